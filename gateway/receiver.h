/* receiver.h - the receiving end of the upward sync: batches in, verdicts out.
 *
 *   PUT /v1/batch/<64 hex>   body: one batch (proto/batch.h); the name is its BLAKE2b-256
 *   GET /v1/have?network=    up to where each author's log is held, and how many records of it;
 *       with &batch=<64 hex> also whether every record of that batch is held: so an answer that was
 *       lost on the way costs a question, not the batch again
 *
 * Answers are JSON.  A batch is answered only after its records are durable; putting it again gives
 * duplicates and changes nothing.  What is trusted is the root key, never the connection.
 *
 * Memory    The answer's text is the caller's to free.
 * Errors    Every failure is an answer: {"ok":false,"code":"<word>","error":"<one line>"} with
 *           400 bad-hash, bad-batch, bad-root, bad-request; 403 not-trusted, unknown-source,
 *           bad-signature; 503 disk.
 */
#ifndef KENG_GATEWAY_RECEIVER_H
#define KENG_GATEWAY_RECEIVER_H

#include "gateway/ledger.h"
#include "gateway/strbuf.h"

/* How many refused records an answer names one by one. */
enum { RECEIVER_REFUSED_COUNT_MAX = 1024 };

unsigned receiver_put(struct ledger *l, const char *hash_hex, const uint8_t *body, size_t len,
                      int64_t now_ms, struct strbuf *answer_out);
/* Either may be NULL: not given. */
unsigned receiver_have(struct ledger *l, const char *network_hex, const char *batch_hex,
                       struct strbuf *answer_out);
/* The same shape for errors found before the receiver is asked. */
unsigned receiver_error(unsigned status, const char *code, const char *error,
                        struct strbuf *answer_out);

#endif
