/* follow.h - the gateway's line to its node: records in, reviews out.
 *
 * Two connections to kengd's socket (node/SOCKET.md): one that follows the log, one for requests.
 * Records are put into the ledger in groups; the place reached is stored in the same transaction,
 * so that after any crash nothing is skipped and nothing counts twice.  Reviews wait in the
 * database until the node says that they are in its log; the same review is never filed twice.
 * What came by wire or file goes to the node as if it had heard it, and so into the mesh.
 *
 * Time      Never blocks on the node longer than a send into its socket takes.
 * Memory    The two connections' buffers.
 * Errors    Kept in `node` for the console; reconnects by itself with back-off.
 */
#ifndef KENG_GATEWAY_FOLLOW_H
#define KENG_GATEWAY_FOLLOW_H

#include "gateway/console.h"
#include "gateway/ledger.h"
#include "node/client.h"

enum {
    FOLLOW_GROUP_COUNT_MAX = 256,
    FOLLOW_BACKOFF_MS_MIN = 500,
    FOLLOW_BACKOFF_MS_MAX = 10000,
    FOLLOW_STATUS_MS = 5000,
    FOLLOW_ANSWER_TIMEOUT_MS = 30000,
    FOLLOW_LOCAL_COUNT_MAX = 16,
    FOLLOW_FEED_COUNT = 24, /* records in one request, which is a line of at most 16 KiB */
    FOLLOW_FEED_RETRY_MS = 60000,
};

enum follow_request {
    FOLLOW_IDLE, /* nothing asked */
    FOLLOW_ROSTER,
    FOLLOW_PLACE,
    FOLLOW_STATUS,
    FOLLOW_SUBMIT,
    FOLLOW_ADD,
};

struct follow {
    struct ledger *ledger;
    const char *socket_path;
    struct client log, requests;
    struct console_node node;
    enum follow_request asked;
    int64_t commune; /* 0: not known yet */
    int64_t outgoing_id;
    int64_t retry_ms, backoff_ms, status_ms, deadline_ms, submit_ms;
    int64_t last_now_ms;
    int64_t fed_arrival;   /* what came otherwise is at the node up to here; -1: not read yet */
    int64_t feed_ms;       /* when it is looked again; FOLLOW_FEED_COUNT of it are on their way: */
    int64_t feed_arrivals[FOLLOW_FEED_COUNT];
    bool feed_must[FOLLOW_FEED_COUNT]; /* is tried again when the node has no room */
    size_t feed_count;
    uint16_t reviewer; /* AUTHOR_NONE: nobody here may review */
    uint16_t local[FOLLOW_LOCAL_COUNT_MAX];
    size_t local_count;
};

void follow_init(struct follow *f, struct ledger *l, const char *socket_path);
void follow_close(struct follow *f);
/* Does what is due and what arrived.  Returns how many records were new, or a negative enum db_err
 * (the connection is then closed and tried again later). */
int follow_run(struct follow *f, int64_t now_ms);
/* Descriptors to poll for reading; -1: closed. */
void follow_fds(const struct follow *f, int fds_out[2]);
int64_t follow_deadline_ms(const struct follow *f);
/* A review was queued. */
void follow_kick(struct follow *f);
/* Records came, by whichever way. */
void follow_news(struct follow *f);

#endif
