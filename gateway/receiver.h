/* receiver.h - the receiving end of the upward sync: batches in, verdicts out; and what goes down.
 *
 *   PUT /v1/batch/<64 hex>?network=   body: one batch (proto/batch.h); the name is its BLAKE2b-256
 *   GET /v1/have?network=   up to where each author's log is held, and how many records of it; with
 *       &batch=<64 hex> also whether every record of that batch is held: so an answer that was lost
 *       on the way costs a question, not the batch again
 *   GET /v1/down?network=&since=&from=   what the asker lacks of all that is not a report, as one
 *       batch; empty when there is nothing.  The header Keng-Next has the next question's since.
 *
 * All take a nonce; every answer about a commune that is trusted here is signed with this place's
 * key in that commune's roster (proto/exchange.h).  Answers but batches are JSON.  A batch is
 * answered only after its records are durable; putting it again gives duplicates and changes
 * nothing.  What is trusted is the root key, never the connection.
 *
 * Memory    The answer's text is the caller's to free.
 * Errors    Every failure is an answer: {"ok":false,"code":"<word>","error":"<one line>"} with
 *           400 bad-hash, bad-batch, bad-root, bad-request; 403 not-trusted, unknown-source,
 *           bad-signature, no-key; 405 bad-request; 503 disk.
 */
#ifndef KENG_GATEWAY_RECEIVER_H
#define KENG_GATEWAY_RECEIVER_H

#include "gateway/http.h"
#include "gateway/keys.h"
#include "gateway/ledger.h"

/* How many refused records an answer names one by one. */
enum { RECEIVER_REFUSED_COUNT_MAX = 1024 };

struct receiver {
    struct ledger *ledger;
    struct keys keys;
};

/* Answers the paths above; false: the request is for somebody else. */
bool receiver_handle(struct receiver *r, const struct http_request *request, int64_t now_ms,
                     struct http_answer *answer);
/* The longest body a PUT to this path may have; 0: none. */
size_t receiver_put_len_max(const char *path);

#endif
