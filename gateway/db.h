/* db.h - the ledger's storage: every verified record of every known commune.
 *
 * The only module that knows SQL, for two engines behind it: SQLite in a file, PostgreSQL by a
 * connection string.  All statements stand in one table (db_ops.h), all tables in db_migrate.c.
 * Rows hold the signed bytes as they came; columns beside them are copies for searching and can be
 * computed again from the bytes.
 *
 * Durable   A transaction is on the disk when db_commit() returned 0, across power loss as far as
 *           the disk honours a sync.  Confirm nothing before that.
 * Writers   One transaction at a time, by whichever program; a second waits, then DB_EBUSY.
 * Schema    Append-only migrations, each in one transaction with its version number.  A database
 *           written by a newer program is refused.
 * Memory    One handle, prepared statements kept.  Byte pointers handed to a callback live until
 *           it returns.  A callback may not call db functions that use the same operation.
 * Errors    0 (or a count) or a negative enum db_err; db_error() then has one line for a person.
 *           After an error inside a transaction, call db_rollback().
 */
#ifndef KENG_GATEWAY_DB_H
#define KENG_GATEWAY_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/exchange.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/report.h"
#include "proto/tree.h"

struct db;

enum db_err {
    DB_OK = 0,
    DB_EDISK = -1,     /* full, read-only, I/O error, corrupt */
    DB_ENEWER = -2,    /* written by a newer program */
    DB_EBUSY = -3,     /* another process holds it */
    DB_ECONFLICT = -4, /* the row is already there */
    DB_ENOTFOUND = -5,
    DB_ENOMEM = -6,
};

enum {
    DB_ERR_LEN = 256,
    DB_NAME_LEN = 64,         /* of a commune, NUL included */
    DB_URL_LEN = 256,
    DB_COMMUNE_COUNT_MAX = 4096,
    DB_VARIANT_COUNT_MAX = 2, /* two different records under one number prove a fork */
    DB_PENDING_COUNT_MAX = 1024, /* per commune: records held back until their author is known */
    DB_TEXT_LEN_MAX = REPORT_TEXT_LEN_MAX + 1,
    DB_WORDS_LEN_MAX = 2 * REPORT_TEXT_LEN_MAX, /* of a record, folded */
};

struct db_commune {
    int64_t id;
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint8_t root_key[KENG_KEY_LEN];
    char name[DB_NAME_LEN]; /* from the newest profile; may be empty */
};

/* By which way a record came. */
enum db_via { DB_VIA_UNKNOWN, DB_VIA_NODE, DB_VIA_WIRE, DB_VIA_FILE };

struct db_record {
    int64_t arrival; /* rises with every record stored here; never reused */
    int64_t commune;
    int64_t received_ms; /* Unix time by the receiving clock, which may be wrong; 0: unknown */
    struct record_ref ref;
    uint32_t created_min;
    uint32_t village; /* where a report speaks of, the author's own already put in; 0: none */
    uint32_t event;
    uint8_t kind, priority;
    uint8_t variant; /* 0, or 1 for the second record under one number */
    bool own_village; /* the report left the village to the roster */
    bool moved;       /* an answer says that it belongs to `village`; the author says: */
    uint32_t said_village;
    bool clock_set;
    bool readable; /* the body could be decoded */
    bool drill;
    int64_t position; /* place in the commune's tree, in order of arrival; -1: superseding kind */
    const uint8_t *bytes;
    size_t len;
    /* From the newest review of this record; 0: none. */
    uint8_t review_state;
    uint16_t review_author;
    const char *review_text;
    uint8_t via;   /* enum db_via */
    const char *words; /* given when stored, folded; NULL: none.  Not read back. */
    unsigned rank; /* of a report, on the board: higher is first */
};

/* where: a file's path, made if it is not there, or postgresql://... as libpq takes it. */
int db_open(const char *where, struct db **db_out, char err[static DB_ERR_LEN]);
bool db_is_url(const char *where);
/* Of the schema that this program writes. */
int db_newest_version(void);
void db_close(struct db *db);
const char *db_error(const struct db *db);

int db_begin(struct db *db);
int db_commit(struct db *db);
void db_rollback(struct db *db);

/* Communes.  put: trusts a root key, or does nothing if it is trusted already. */
int db_commune_put(struct db *db, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                   const uint8_t root_key[static KENG_KEY_LEN], int64_t *id_out);
int db_commune_rename(struct db *db, int64_t id, const char *name);
int db_commune_find(struct db *db, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                    struct db_commune *commune_out);
/* In order of id.  Returns the count written. */
int db_commune_list(struct db *db, struct db_commune *communes_out, size_t cap);

/* What a province's root says of a commune's.  put: in place of what it said before. */
int db_unit_put(struct db *db, int64_t commune, const struct unit *unit);
/* By commune; the root key is not filled. */
typedef int (*db_unit_fn)(void *ctx, int64_t commune, const struct unit *unit);
int db_unit_list(struct db *db, db_unit_fn fn, void *ctx);

/* Records.  A callback returns 0 to go on, anything else to stop (returned as it is). */
typedef int (*db_record_fn)(void *ctx, const struct db_record *record);
/* Adds; arrival and position of *record are set.  DB_ECONFLICT: that variant is there already. */
int db_record_insert(struct db *db, struct db_record *record);
/* Adds many of one commune, all of lane 0 and variant 0, in this order.  taken_out[i]:
 * records[i] was not added, as its number may be held already: to be put alone. */
int db_record_bulk(struct db *db, const struct db_record *records, size_t count, bool *taken_out);
/* Everything of a commune in order of arrival. */
int db_record_all(struct db *db, int64_t commune, db_record_fn fn, void *ctx);
/* Forgets variant 0 of older numbers in a superseding lane. */
int db_record_supersede(struct db *db, int64_t commune, const struct record_ref *ref);
/* All variants under one number. */
int db_record_variants(struct db *db, int64_t commune, const struct record_ref *ref,
                       db_record_fn fn, void *ctx);
/* The newest that its author said of the same kind and event, itself too, newest first. */
int db_record_kin(struct db *db, const struct db_record *record, uint32_t limit, db_record_fn fn,
                  void *ctx);
/* Highest number of an author's lane; 0 if none. */
int db_record_newest(struct db *db, int64_t commune, uint16_t author, uint8_t lane,
                     uint32_t *seq_out);
/* The root's log, by number. */
int db_record_root_log(struct db *db, int64_t commune, db_record_fn fn, void *ctx);
/* Variant 0 of lane 0 (author, seq), for finding gaps; bytes are not filled.  until_ms: received up
 * to then; INT64_MAX: all. */
int db_record_numbers(struct db *db, int64_t commune, int64_t until_ms, db_record_fn fn,
                      void *ctx);
/* The same of one author, whenever received. */
int db_record_numbers_of(struct db *db, int64_t commune, uint16_t author, db_record_fn fn,
                         void *ctx);
/* Readable reports of a commune with their review state, by author and number; without those past
 * a revocation, whenever it was learned. */
int db_record_reports(struct db *db, int64_t commune, db_record_fn fn, void *ctx);
/* The same for totals, in no order.  Of a record only what its signed bytes do not say is filled,
 * and nothing of reviews.  More than asked may come where a village is named. */
struct db_claim_filter {
    int64_t commune;
    int64_t event;    /* -1: all */
    int64_t until_ms; /* received up to then; 0: all */
    uint32_t village; /* there now or by its author's word; 0: all */
    uint8_t kind;     /* 0: all */
    bool or_answered; /* beside the village's all that anybody answered */
};
int db_record_claims(struct db *db, const struct db_claim_filter *filter, db_record_fn fn,
                     void *ctx);
/* Readable reviews of a commune, in order of arrival; likewise. */
int db_record_reviews(struct db *db, int64_t commune, db_record_fn fn, void *ctx);
/* Records under whose number there are two. */
int db_record_forks(struct db *db, int64_t commune, db_record_fn fn, void *ctx);
/* An author's village changed: reports that left it to the roster follow. */
int db_record_rehome(struct db *db, int64_t commune, uint16_t author, uint32_t village);
int db_record_get(struct db *db, int64_t arrival, db_record_fn fn, void *ctx);
int db_record_last_arrival(struct db *db, int64_t *arrival_out);

/* What the console lists: by rank, then newest first. */
enum { DB_RANK_MAX = 255 };
struct db_list_filter {
    int64_t commune;  /* 0: all */
    int64_t village;  /* -1: all */
    unsigned kind;    /* 0: all reports */
    int state;        /* -1: all; 0: without a review; else enum review_state */
    int priority;     /* -1: all */
    int64_t since_ms; /* received since; 0: ever */
    const char *words; /* folded; "": any */
    /* The page begins behind this place: DB_RANK_MAX and INT64_MAX for the first. */
    unsigned below_rank;
    int64_t below_arrival;
    uint32_t limit;
};
/* All reports, from the first place on. */
static inline struct db_list_filter db_list_all(uint32_t limit)
{
    return (struct db_list_filter){ .village = -1, .state = -1, .priority = -1, .words = "",
                                    .below_rank = DB_RANK_MAX, .below_arrival = INT64_MAX,
                                    .limit = limit };
}
int db_record_list(struct db *db, const struct db_list_filter *filter, db_record_fn fn, void *ctx);
/* Reports that match, whatever their state, and of these how many wait for a review.  Counts no
 * further than the filter's limit. */
int db_record_count(struct db *db, const struct db_list_filter *filter, int64_t *total_out,
                    int64_t *waiting_out);

/* The folded words of a record that an older program stored. */
int db_record_note(struct db *db, int64_t arrival, const char *words);
/* Calls for help that nobody has answered.  Drills are none, nor what was signed past a
 * revocation. */
struct db_rescue {
    int64_t count;
    int64_t first_arrival, first_ms; /* of the one that has waited longest; 0: there is none */
};
int db_rescue_waiting(struct db *db, struct db_rescue *rescue_out);
/* Notes beside a record what its review says: rank and village. */
int db_record_judge(struct db *db, int64_t commune, const struct record_ref *ref);
/* When each author was last heard, by his log. */
struct db_heard {
    uint16_t author;
    uint32_t seq;
    int64_t received_ms, count;
};
typedef int (*db_heard_fn)(void *ctx, const struct db_heard *heard);
int db_record_heard(struct db *db, int64_t commune, db_heard_fn fn, void *ctx);
/* Readable records of one kind, no reports, of all communes, in order of arrival. */
int db_record_of_kind(struct db *db, uint8_t kind, int64_t after_arrival, db_record_fn fn,
                      void *ctx);
/* The newest of one commune, newest first. */
int db_record_newest_of_kind(struct db *db, int64_t commune, uint8_t kind, uint32_t limit,
                             db_record_fn fn, void *ctx);
/* All reviews that speak of a record, oldest first: which record (by arrival) speaks of which. */
int db_review_log_put(struct db *db, int64_t commune, const struct record_ref *ref,
                      int64_t arrival);
/* How many answers to it there are, those on their way too, and the newest of the latter (0: there
 * is none). */
int db_review_known(struct db *db, int64_t commune, const struct record_ref *ref,
                    int64_t *count_out, int64_t *outgoing_id_out);
int db_review_log(struct db *db, int64_t commune, const struct record_ref *ref, db_record_fn fn,
                  void *ctx);
/* Those that count, whose writer is not revoked: by reviewer, newest number first. */
int db_review_valid(struct db *db, int64_t commune, const struct record_ref *ref, db_record_fn fn,
                    void *ctx);
/* Which records a reviewer spoke of. */
typedef int (*db_ref_fn)(void *ctx, const struct record_ref *ref);
int db_reviewed_by(struct db *db, int64_t commune, uint16_t reviewer, db_ref_fn fn, void *ctx);

/* What all answers to a record come to. */
struct db_review {
    int64_t commune;
    struct record_ref ref; /* the record it speaks of */
    uint8_t state;
    uint16_t author;
    uint32_t seq; /* the review's own number */
    uint32_t village; /* where a correction says that it belongs; 0: where the author says */
    const char *text;
};
int db_review_put(struct db *db, const struct db_review *review);
int db_review_drop(struct db *db, int64_t commune, const struct record_ref *ref);

/* Records of an author who is not enrolled yet.  When there is no room, the oldest of the author
 * with the most of them makes it: nobody's junk keeps others out. */
struct db_pending {
    int64_t id, commune, received_ms;
    uint16_t author;
    uint8_t via; /* enum db_via */
    const uint8_t *bytes;
    size_t len;
};
int db_pending_put(struct db *db, const struct db_pending *pending);
typedef int (*db_pending_fn)(void *ctx, const struct db_pending *pending);
int db_pending_of(struct db *db, int64_t commune, uint16_t author, db_pending_fn fn, void *ctx);
int db_pending_delete(struct db *db, int64_t id);
/* Whose records are held back. */
typedef int (*db_author_fn)(void *ctx, int64_t commune, uint16_t author);
int db_pending_authors(struct db *db, db_author_fn fn, void *ctx);

/* From this number on an author's log counts for nothing, nor do his reviews; 0: not revoked. */
int db_revoked_get(struct db *db, int64_t commune, uint16_t author, int64_t *from_seq_out);
int db_revoked_set(struct db *db, int64_t commune, uint16_t author, int64_t from_seq);
/* The board's order of all that he wrote, after that. */
int db_record_judge_author(struct db *db, int64_t commune, uint16_t author);

/* Refusals: a counter per reason and the newest sample. */
int db_refused_add(struct db *db, int64_t commune, const char *reason, int64_t now_ms,
                   const uint8_t *bytes, size_t len);
typedef int (*db_refused_fn)(void *ctx, int64_t commune, const char *reason, int64_t count,
                             int64_t last_ms);
int db_refused_list(struct db *db, db_refused_fn fn, void *ctx);

/* Blocks of batch files of which every record is held. */
int db_block_put(struct db *db, const uint8_t hash[static KENG_HASH_LEN]);
int db_block_has(struct db *db, const uint8_t hash[static KENG_HASH_LEN], bool *has_out);

/* Checkpoints of sources below (proto/batch_file.h).  put: one of another root under the same size
 * stands beside the first; the same again can only become covered. */
struct db_checkpoint {
    int64_t commune, received_ms;
    uint64_t size;
    uint32_t created_min;
    uint16_t source;
    bool covered; /* every record was seen in its place, and they add up to the root */
    uint8_t root[KENG_HASH_LEN];
    struct tree tree; /* at that size; empty unless covered */
};
int db_checkpoint_put(struct db *db, const struct db_checkpoint *checkpoint);
/* By source and size. */
typedef int (*db_checkpoint_fn)(void *ctx, const struct db_checkpoint *checkpoint);
int db_checkpoint_list(struct db *db, int64_t commune, db_checkpoint_fn fn, void *ctx);

/* Small durable numbers by name; a missing one reads as 0. */
int db_meta_get(struct db *db, const char *key, int64_t *value_out);
int db_meta_set(struct db *db, const char *key, int64_t value);

/* Outbox of one target: everything up to `cursor` was answered, and single rows beyond it. */
typedef int (*db_outbox_fn)(void *ctx, const struct db_record *record);
/* Makes the target known and returns its id. */
int db_outbox_target(struct db *db, const char *url, int64_t commune, int64_t *id_out);
/* Not yet answered: the root's log first, then urgent before others, then in order of arrival. */
int db_outbox_waiting(struct db *db, int64_t target, db_record_fn fn, void *ctx);
int db_outbox_count(struct db *db, int64_t target, int64_t *waiting_out);
/* Does the target hold this record? */
enum db_outbox_state { DB_OUTBOX_WAITS, DB_OUTBOX_HELD, DB_OUTBOX_REFUSED };
int db_outbox_stands(struct db *db, int64_t target, int64_t arrival, int64_t *state_out);
/* reason NULL: the receiver holds it; otherwise it never will, and this is why. */
int db_outbox_answered(struct db *db, int64_t target, int64_t arrival, const char *reason);
/* Moves the cursor over answered rows. */
int db_outbox_settle(struct db *db, int64_t target);
/* The receiver does not hold this one after all. */
int db_outbox_reopen(struct db *db, int64_t target, int64_t from_arrival);
/* What any receiver refused of an author for what the roster said of him waits again, and nothing
 * else does. */
int db_outbox_pardon(struct db *db, int64_t commune, uint16_t author);
/* Answered as held, lane 0, by author and number; bytes are not filled. */
int db_outbox_held(struct db *db, int64_t target, db_record_fn fn, void *ctx);
typedef int (*db_outbox_refused_fn)(void *ctx, const struct db_record *record, const char *reason);
int db_outbox_refused(struct db *db, int64_t target, db_outbox_refused_fn fn, void *ctx);

/* The way down.  list: what a source lacks behind an arrival, as far as is known here, in order of
 * arrival: everything but reports and what he brought.  brought: whose batch a record came in. */
int db_down_list(struct db *db, int64_t commune, int64_t after_arrival, uint16_t source,
                 db_record_fn fn, void *ctx);
int db_brought_put(struct db *db, int64_t arrival, uint16_t source);
/* What source brought behind an arrival is held by the target it came from. */
int db_down_mark(struct db *db, int64_t target, uint16_t source, int64_t after_arrival);
/* How far the target's records were taken; "" at first. */
enum { DB_DOWN_LEN = EXCHANGE_PLACE_LEN };
int db_down_get(struct db *db, int64_t target, char place_out[static DB_DOWN_LEN]);
int db_down_set(struct db *db, int64_t target, const char *place);
/* What came by wire or file behind an arrival, in order of arrival. */
int db_record_for_node(struct db *db, int64_t commune, int64_t after_arrival, uint32_t limit,
                       db_record_fn fn, void *ctx);

/* Reviews and directives written at the console and not yet in the node's log: durable first, then
 * submitted. */
struct db_outgoing {
    int64_t id;
    int64_t commune;
    struct record_ref ref; /* of a review: what it speaks of; with state, for showing it */
    uint8_t state;
    const char *text;
    uint8_t kind, priority;
    const uint8_t *body; /* the record's body; none in rows that older programs wrote */
    size_t body_len;
    const char *error; /* why the node would not take it, or "" */
};
typedef int (*db_outgoing_fn)(void *ctx, const struct db_outgoing *outgoing);
int db_outgoing_add(struct db *db, const struct db_outgoing *outgoing, int64_t *id_out);
/* Oldest first: all, and the answers to one report. */
int db_outgoing_list(struct db *db, db_outgoing_fn fn, void *ctx);
int db_outgoing_reviews(struct db *db, int64_t commune, const struct record_ref *ref,
                        db_outgoing_fn fn, void *ctx);
/* A copy of the first that nobody refused yet, of one commune or of any (0); reviews of older
 * programs get their body. */
struct db_outgoing_copy {
    struct db_outgoing outgoing; /* id 0: there is none */
    int64_t commune;             /* that was asked for */
    char text[DB_TEXT_LEN_MAX];
    uint8_t body[RECORD_BODY_LEN_MAX];
};
int db_outgoing_next(struct db *db, int64_t commune, struct db_outgoing_copy *copy_out);
int db_outgoing_error(struct db *db, int64_t id, const char *error);
int db_outgoing_delete(struct db *db, int64_t id);

/* Quick reports (quick.h); several of one number cannot be. */
struct db_quick {
    int64_t id, commune, until_ms;
    uint32_t event, number; /* number 0: a draft */
    bool drill;
    const char *doc; /* "" in a list */
};
/* Adds (id 0) or changes a draft; DB_ENOTFOUND: there is no such draft. */
int db_quick_put(struct db *db, const struct db_quick *quick, int64_t *id_out);
typedef int (*db_quick_fn)(void *ctx, const struct db_quick *quick);
int db_quick_get(struct db *db, int64_t id, db_quick_fn fn, void *ctx);
/* Newest first. */
int db_quick_list(struct db *db, int64_t commune, uint32_t limit, db_quick_fn fn, void *ctx);
/* The signed one whose figures run up to until_ms or end last before; fn is not called when there
 * is none. */
int db_quick_before(struct db *db, const struct db_quick *quick, db_quick_fn fn, void *ctx);
/* The highest number signed off for that commune, event and drill; 0: none. */
int db_quick_last_number(struct db *db, const struct db_quick *quick, int64_t *number_out);

#endif
