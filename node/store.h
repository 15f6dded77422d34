/* store.h - kengd's durable memory: records, forks, airtime, what became of own reports.
 *
 * One SQLite file, opened as power-cut experiments found safe: psow=0, synchronous EXTRA before
 * WAL, TRUNCATE checkpoint at open.  Writes go in transactions: nothing is durable before
 * store_commit() returned STORE_OK.
 *
 * Memory   struct store owns the handle and its statements; results are copied or borrowed until
 *          the callback returns.
 * Errors   Negative enum store_err; store_text() has one line for a person.  After an error inside
 *          a transaction call store_rollback(): nothing of it stays.
 */
#ifndef KENG_NODE_STORE_H
#define KENG_NODE_STORE_H

#include <stdbool.h>

#include "proto/record.h"
#include "proto/report.h"

enum {
    STORE_TEXT_LEN = 256,
    STORE_ONCE_LEN_MAX = 32,
    STORE_LEDGER_COUNT_MAX = 3,
    STORE_AUTHOR_COUNT_MAX = 8,
};

enum store_err {
    STORE_OK = 0,
    STORE_EIO = -1,     /* cannot write or read: disk full, read-only, broken */
    STORE_EVERSION = -2, /* written by a newer kengd */
    STORE_ENETWORK = -3, /* belongs to another commune */
    STORE_ENONE = -4,   /* no such row */
};

enum { STORE_CORRECTION_COUNT_MAX = 24 };
struct store;

struct store_record {
    int64_t arrival;     /* rising, per node */
    int64_t received_ms; /* Unix milliseconds by the node's clock */
    struct record_ref ref;
    const uint8_t *bytes;
    size_t len;
    uint16_t carried_by; /* first node known to hold it; AUTHOR_NONE: none yet */
};

struct store_review {
    uint16_t by;
    uint32_t by_seq; /* the review's own number: of one reviewer the newest counts */
    uint8_t state; /* enum review_state */
    char text[REPORT_TEXT_LEN_MAX + 1];
};

/* Opens or creates.  network_id is written at creation and compared afterwards. */
int store_open(const char *path, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
               struct store **store_out, char text[static STORE_TEXT_LEN]);
void store_close(struct store *s);
const char *store_text(const struct store *s);

int store_begin(struct store *s);
int store_commit(struct store *s);
void store_rollback(struct store *s);

/* Inside a transaction.  replaces_seq: the older record of a superseding lane, 0 none.  once: NULL
 * or the client's token.  *arrival_out is the new row's number. */
int store_put_record(struct store *s, const struct record_view *view, int64_t received_ms,
                     uint32_t replaces_seq, const char *once, int64_t *arrival_out);
/* Inside a transaction.  A revoked author's record may come to count again, and be here still: then
 * STORE_OK, and it is not put again.  STORE_ENONE: it is not; if there were other bytes under its
 * number they are evidence of a fork now. */
int store_keep_again(struct store *s, const struct record_view *view);
int store_put_fork(struct store *s, const struct record_view *view, int64_t received_ms);
/* A record, and what was said of it, makes room. */
int store_drop_record(struct store *s, const struct record_ref *ref);
/* Everything in ref's log up to it counts as held; a lower number than before changes nothing. */
int store_put_settled(struct store *s, const struct record_ref *ref);
/* A directive that asked for a receipt is here, and none is: until one is stored. */
int store_put_owed(struct store *s, const struct record_ref *ref);
int store_drop_owed(struct store *s, const struct record_ref *ref);
/* Keeps the newest of one reviewer, of several the one heard last. */
int store_put_review(struct store *s, const struct record_ref *of,
                     const struct store_review *review);
/* A review corrects something of a report: the newest alone does not say what stands. */
int store_put_correction(struct store *s, const struct record_ref *of,
                         const struct record_ref *review);
int store_put_carried(struct store *s, const struct record_ref *ref, uint16_t node);
/* Total airtime of one minute; a ledger is one modem's in one boot, whose clock it goes by.  Of
 * this ledger what is two hours older goes. */
int store_put_airtime(struct store *s, const char *ledger, uint64_t minute_ms,
                      uint32_t airtime_us);

/* Callbacks return false to stop. */
typedef bool (*store_record_fn)(void *ctx, const struct store_record *record);

/* The bytes of a record into buf (RECORD_LEN_MAX): its length, STORE_ENONE or STORE_EIO. */
int store_load(struct store *s, const struct record_ref *ref, uint8_t *buf);
/* The whole row; fn is called at most once.  STORE_ENONE when there is none. */
int store_find_record(struct store *s, const struct record_ref *ref, store_record_fn fn, void *ctx);
int store_find_once(struct store *s, const char *once, struct record_ref *ref_out);
int store_find_review(struct store *s, const struct record_ref *of,
                      struct store_review *review_out);

/* In order of arrival.  All records, the root's first, for a restart. */
int store_each_record(struct store *s, store_record_fn fn, void *ctx);
int store_records_after(struct store *s, int64_t after, int limit, store_record_fn fn, void *ctx);
/* Lane 0 of these authors together, what arrived last first. */
int store_newest_of(struct store *s, const uint16_t *authors, size_t author_count,
                    store_record_fn fn, void *ctx);
int64_t store_last_arrival(struct store *s);

typedef void (*store_ref_fn)(void *ctx, const struct record_ref *ref);
int store_each_settled(struct store *s, store_ref_fn fn, void *ctx);
/* Ascending. */
int store_each_owed(struct store *s, store_ref_fn fn, void *ctx);
/* The reviews that correct a report, in order of arrival; of more than STORE_CORRECTION_COUNT_MAX
 * the newest. */
int store_each_correction(struct store *s, const struct record_ref *of, store_ref_fn fn, void *ctx);
/* How many records there are, or negative. */
int64_t store_record_count(struct store *s);

typedef void (*store_airtime_fn)(void *ctx, const char *ledger, uint64_t minute_ms,
                                 uint32_t airtime_us);
/* Ledger by ledger, its newest minute first. */
int store_each_airtime(struct store *s, store_airtime_fn fn, void *ctx);
/* Forgets all ledgers but these. */
int store_keep_ledgers(struct store *s, const char *const ledgers[STORE_LEDGER_COUNT_MAX]);

#endif
