/* ledger.h - from bytes of anybody to verified records in the database.
 *
 * Every record is verified by itself against the roster, which is built from the root's own log in
 * the database.  Nothing else decides: not who carried it, not the batch it came in.  Putting the
 * same record twice changes nothing.  Records of an author who is not enrolled yet are held back,
 * bounded, and tried again when a roster record for that author arrives; so the order inside and
 * between batches does not matter.
 *
 * Durable   Nothing is until db_commit() of the same database returned 0.  The caller opens and
 *           closes the transaction around any number of ledger_put(); after db_rollback() it calls
 *           ledger_reload(), because rosters in memory may be ahead of the disk.
 * Memory    One roster per commune, on the heap.
 * Errors    Verdicts for bytes; negative enum db_err for our own disk and memory.
 */
#ifndef KENG_GATEWAY_LEDGER_H
#define KENG_GATEWAY_LEDGER_H

#include "gateway/db.h"
#include "gateway/strbuf.h"
#include "proto/roster.h"

enum ledger_verdict {
    LEDGER_NEW = 0,
    LEDGER_DUPLICATE,      /* these very bytes are here */
    LEDGER_SUPERSEDED,     /* only the newest of its lane is kept, and a newer one is here */
    LEDGER_BAD_BODY,       /* signature holds, the body cannot be read: kept, but counted nowhere */
    LEDGER_FORK,           /* signed, but the number is taken by other bytes: kept as evidence, up
                              to DB_VARIANT_COUNT_MAX */
    LEDGER_UNKNOWN_AUTHOR, /* held back until the roster names the author */
    LEDGER_BAD_SIGNATURE,
    LEDGER_MALFORMED,
    LEDGER_REVOKED,
    LEDGER_BAD_ROLE,
    LEDGER_VERDICT_COUNT,
};

/* "new", "duplicate", ... as in the HTTP answers and the socket protocol. */
const char *ledger_verdict_name(enum ledger_verdict verdict);
enum ledger_verdict ledger_verdict_find(const char *name); /* LEDGER_VERDICT_COUNT: no such */
/* Does the ledger hold the record (or a newer one in its place) after this verdict? */
bool ledger_verdict_held(enum ledger_verdict verdict);

struct ledger_commune {
    struct db_commune info;
    struct roster roster;
    struct unit unit;     /* code "": no province's root speaks of it */
    char nameless[16];    /* for whom nobody named yet: how its fingerprint begins */
    bool is_province;     /* its root says which other roots are trusted (units.h) */
};

struct ledger {
    struct db *db;
    struct ledger_commune *communes;
    size_t commune_count;
    uint64_t counts[LEDGER_VERDICT_COUNT]; /* since start */
    bool write_failed; /* the last batch could not be stored */
    enum db_via via; /* by which way what is put comes; whoever puts says so */
    uint16_t source; /* whose batch is being taken in from the network; else AUTHOR_NONE */
};

/* Loads every trusted commune's roster.  db is borrowed. */
int ledger_init(struct ledger *l, struct db *db);
/* Once: fills in what the board needs beside records that an older program stored. */
int ledger_index(struct ledger *l);
void ledger_free(struct ledger *l);
/* Reads the rosters again, after a rollback; one: as the disk has it, within unit's bounds. */
int ledger_reload(struct ledger *l);
int ledger_read_roster(struct ledger *l, struct ledger_commune *c);
/* From that number on an author's records stay as evidence and count no more; 0: they count. */
int ledger_revoke(struct ledger *l, const struct ledger_commune *c, uint16_t author,
                  uint32_t from_seq);
/* What an author's entry in the roster means for what is here already: villages, revocation, what
 * was held back for him, and what receivers refused for it.  before: his entry until now, or
 * NULL. */
int ledger_follow_author(struct ledger *l, struct ledger_commune *c,
                         const struct roster_entry *before, uint16_t number);

/* Trusts a root key, durably once committed.  known_out: it was trusted before. */
int ledger_trust(struct ledger *l, const uint8_t root_key[static KENG_KEY_LEN], bool *known_out);
/* NULL: not trusted.  Valid until the next ledger_trust() or ledger_reload(). */
struct ledger_commune *ledger_find(struct ledger *l,
                                   const uint8_t network_id[static KENG_NETWORK_ID_LEN]);
struct ledger_commune *ledger_get(struct ledger *l, int64_t commune);

/* Judges one record and stores it if it holds.  Returns an enum ledger_verdict, or a negative
 * enum db_err, after which the transaction must be rolled back. */
int ledger_put(struct ledger *l, struct ledger_commune *commune, const uint8_t *bytes, size_t len,
               int64_t received_ms);

/* The same in two halves, for many records on many processors.  The first reads the commune's
 * roster and nothing else, so any number of threads may be in it as long as nobody is in the
 * second; it says whether the record's form, signature and role hold, and reads its body. */
struct ledger_checked {
    struct record_view view; /* borrows the record's bytes */
    struct db_record row;    /* as db_record_bulk() takes it, but for received_ms */
    enum ledger_verdict verdict; /* LEDGER_NEW: it holds, and may still be a duplicate or a fork */
    bool plain; /* storing it changes nothing but the records: it may go with others at once */
};
/* 0 or DB_ENOMEM. */
int ledger_check(const struct ledger_commune *commune, const uint8_t *bytes, size_t len,
                 struct ledger_checked *checked_out);
/* Appends what a report is found by: number, author and text, folded.  As ledger_check() it only
 * reads. */
void ledger_words(const struct ledger_commune *commune, const struct record_view *view,
                  struct strbuf *out);
/* Returns as ledger_put().  bytes: those that were checked. */
int ledger_put_checked(struct ledger *l, struct ledger_commune *commune,
                       const struct ledger_checked *checked, const uint8_t *bytes, size_t len,
                       int64_t received_ms);
/* Counts a verdict that was reached without ledger_put(). */
void ledger_count(struct ledger *l, enum ledger_verdict verdict);

/* What one batch came to. */
struct ledger_batch_result {
    uint32_t count;
    uint32_t counts[LEDGER_VERDICT_COUNT];
    uint8_t *verdicts; /* one enum ledger_verdict per record; heap, ledger_batch_result_free() */
    bool truncated;    /* the rest of the batch could not be read */
};

enum ledger_batch_err {
    LEDGER_BATCH_OK = 0,
    LEDGER_BATCH_EFORM = -100,   /* no batch */
    LEDGER_BATCH_EROOT = -101,   /* network id is not that of the root key */
    LEDGER_BATCH_ETRUST = -102,  /* nobody here trusts that root */
    LEDGER_BATCH_ESOURCE = -103, /* its source is in no roster: the root's log must come with it */
    LEDGER_BATCH_ESIG = -104,    /* its signature is not its source's */
};

/* Judges a whole batch in one transaction and commits it; the root's records first, wherever they
 * stand.  With require_sig a batch whose own signature does not hold is refused as a whole (the
 * network); without it (files from a stick) its good records are still taken and sig_ok_out says
 * so.  Returns 0, a negative enum ledger_batch_err, or a negative enum db_err; then nothing
 * changed. */
int ledger_put_batch(struct ledger *l, const uint8_t *bytes, size_t len, int64_t received_ms,
                     bool require_sig, struct ledger_batch_result *result_out, bool *sig_ok_out);
void ledger_batch_result_free(struct ledger_batch_result *result);
const char *ledger_batch_strerror(int err);

#endif
