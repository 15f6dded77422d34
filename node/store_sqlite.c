#include "node/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_VERSION = 6,
    CACHE_KIB = 160, /* a node has little memory and few hot pages */
    BUSY_TIMEOUT_MS = 2000,
    URI_LEN_MAX = 3 * 4096 + 32,
    LANE_AUTHOR_SHIFT = 3,
    AIRTIME_KEPT_MS = 2 * 3600 * 1000, /* longer than any window of the law */
};

/* Append only: a step is never changed once it was released. */
static const char *const MIGRATIONS[SCHEMA_VERSION] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;"
    "CREATE TABLE record("
    " arrival INTEGER PRIMARY KEY AUTOINCREMENT,"
    " log INTEGER NOT NULL," /* author x 8 + lane */
    " seq INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL,"
    " carried_by INTEGER,"
    " once TEXT,"
    " bytes BLOB NOT NULL);"
    "CREATE UNIQUE INDEX record_ref ON record(log, seq);"
    "CREATE UNIQUE INDEX record_once ON record(once) WHERE once IS NOT NULL;"
    "CREATE TABLE fork(log INTEGER NOT NULL, seq INTEGER NOT NULL, received_ms INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, UNIQUE(log, seq, bytes));"
    "CREATE TABLE review(log INTEGER NOT NULL, seq INTEGER NOT NULL, by INTEGER NOT NULL,"
    " state INTEGER NOT NULL, text BLOB, PRIMARY KEY(log, seq)) WITHOUT ROWID;"
    "CREATE TABLE airtime(boot TEXT NOT NULL, minute_ms INTEGER NOT NULL, us INTEGER NOT NULL,"
    " PRIMARY KEY(boot, minute_ms)) WITHOUT ROWID;",
    "ALTER TABLE review ADD COLUMN by_seq INTEGER NOT NULL DEFAULT 0;",
    "CREATE TABLE settled(log INTEGER PRIMARY KEY, seq INTEGER NOT NULL);",
    ("CREATE TABLE owed(log INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(log, seq))"
     " WITHOUT ROWID;"),
    ("CREATE TABLE correction(log INTEGER NOT NULL, seq INTEGER NOT NULL," /* in order of arrival */
     " by_log INTEGER NOT NULL, by_seq INTEGER NOT NULL, UNIQUE(log, seq, by_log, by_seq));"
     "INSERT INTO correction SELECT log, seq, by * 8, by_seq FROM review"
     " WHERE state = 6 AND by_seq > 0;"),
    ("ALTER TABLE review RENAME TO review_one;"
     "CREATE TABLE review(log INTEGER NOT NULL, seq INTEGER NOT NULL, by INTEGER NOT NULL,"
     " state INTEGER NOT NULL, text BLOB, by_seq INTEGER NOT NULL,"
     " heard INTEGER NOT NULL," /* rising: of several reviewers the last heard counts */
     " PRIMARY KEY(log, seq, by)) WITHOUT ROWID;"
     "INSERT INTO review SELECT log, seq, by, state, text, by_seq, 1 FROM review_one;"
     "DROP TABLE review_one;"),
};

enum statement {
    ST_BEGIN, ST_COMMIT, ST_ROLLBACK,
    ST_PUT_RECORD, ST_KEEP_OTHER, ST_DROP_RECORD, ST_DROP_REVIEW, ST_DROP_CORRECTIONS,
    ST_PUT_SETTLED, ST_PUT_FORK, ST_PUT_REVIEW, ST_PUT_CORRECTION, ST_PUT_CARRIED, ST_PUT_OWED,
    ST_DROP_OWED,
    ST_PUT_AIRTIME, ST_TRIM_AIRTIME, ST_KEEP_LEDGERS, ST_EACH_AIRTIME,
    ST_LOAD, ST_FIND_ONCE, ST_FIND_REVIEW,
    ST_EACH_RECORD, ST_FIND_RECORD, ST_RECORDS_AFTER, ST_NEWEST_OF, ST_LAST_ARRIVAL,
    ST_EACH_SETTLED, ST_EACH_OWED, ST_EACH_CORRECTION, ST_RECORD_COUNT,
    ST_COUNT,
};

#define RECORD_COLUMNS "arrival, log, seq, received_ms, carried_by, bytes"
static const char *const SQL[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_PUT_RECORD] = "INSERT INTO record(log, seq, received_ms, once, bytes) VALUES(?,?,?,?,?)",
    [ST_KEEP_OTHER] = "INSERT OR IGNORE INTO fork(log, seq, received_ms, bytes)"
                      " SELECT log, seq, received_ms, bytes FROM record WHERE log = ? AND seq = ?",
    [ST_DROP_RECORD] = "DELETE FROM record WHERE log = ? AND seq = ?",
    [ST_DROP_REVIEW] = "DELETE FROM review WHERE log = ? AND seq = ?",
    [ST_DROP_CORRECTIONS] = "DELETE FROM correction WHERE log = ? AND seq = ?",
    [ST_PUT_SETTLED] = "INSERT INTO settled(log, seq) VALUES(?1,?2)"
                       " ON CONFLICT(log) DO UPDATE SET seq = max(seq, ?2)",
    [ST_PUT_FORK] = "INSERT OR IGNORE INTO fork(log, seq, received_ms, bytes) VALUES(?,?,?,?)",
    [ST_PUT_REVIEW] = "INSERT INTO review(log, seq, by, state, text, by_seq, heard)"
                      " VALUES(?1,?2,?3,?4,?5,?6, (SELECT coalesce(max(heard), 0) + 1 FROM review"
                      " WHERE log = ?1 AND seq = ?2)) ON CONFLICT(log, seq, by) DO UPDATE"
                      " SET state = ?4, text = ?5, by_seq = ?6, heard = excluded.heard"
                      " WHERE by_seq < ?6",
    [ST_PUT_CORRECTION] = "INSERT OR IGNORE INTO correction(log, seq, by_log, by_seq)"
                          " VALUES(?,?,?,?)",
    [ST_PUT_CARRIED] = "UPDATE record SET carried_by = ? WHERE log = ? AND seq = ?"
                       " AND carried_by IS NULL",
    [ST_PUT_AIRTIME] = "INSERT OR REPLACE INTO airtime(boot, minute_ms, us) VALUES(?,?,?)",
    [ST_TRIM_AIRTIME] = "DELETE FROM airtime WHERE boot = ? AND minute_ms < ?",
    [ST_KEEP_LEDGERS] = "DELETE FROM airtime WHERE boot NOT IN (?,?,?)",
    [ST_EACH_AIRTIME] = "SELECT boot, minute_ms, us FROM airtime ORDER BY boot, minute_ms DESC",
    [ST_LOAD] = "SELECT bytes FROM record WHERE log = ? AND seq = ?",
    [ST_FIND_ONCE] = "SELECT log, seq FROM record WHERE once = ?",
    [ST_FIND_REVIEW] = "SELECT by, state, text, by_seq FROM review WHERE log = ? AND seq = ?"
                       " ORDER BY heard DESC LIMIT 1",
    [ST_EACH_RECORD] = "SELECT " RECORD_COLUMNS " FROM record ORDER BY log >= 8, arrival",
    [ST_FIND_RECORD] = "SELECT " RECORD_COLUMNS " FROM record WHERE log = ? AND seq = ?",
    [ST_RECORDS_AFTER] = "SELECT " RECORD_COLUMNS " FROM record WHERE arrival > ?"
                         " ORDER BY arrival LIMIT ?",
    [ST_NEWEST_OF] = "SELECT " RECORD_COLUMNS " FROM record WHERE log IN (?,?,?,?,?,?,?,?)"
                     " ORDER BY arrival DESC",
    [ST_LAST_ARRIVAL] = "SELECT max(arrival) FROM record",
    [ST_PUT_OWED] = "INSERT OR IGNORE INTO owed(log, seq) VALUES(?,?)",
    [ST_DROP_OWED] = "DELETE FROM owed WHERE log = ? AND seq = ?",
    [ST_EACH_SETTLED] = "SELECT log, seq FROM settled",
    [ST_EACH_OWED] = "SELECT log, seq FROM owed ORDER BY log, seq",
    [ST_EACH_CORRECTION] = "SELECT by_log, by_seq FROM (SELECT rowid AS n, by_log, by_seq"
                           " FROM correction WHERE log = ? AND seq = ? ORDER BY n DESC LIMIT 24)"
                           " ORDER BY n", /* STORE_CORRECTION_COUNT_MAX */
    [ST_RECORD_COUNT] = "SELECT count(*) FROM record",
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[ST_COUNT];
    char text[STORE_TEXT_LEN];
};

static sqlite3_int64 log_of(const struct record_ref *ref)
{
    return (sqlite3_int64)ref->author << LANE_AUTHOR_SHIFT | ref->lane;
}

static int fail(struct store *s, const char *doing)
{
    snprintf(s->text, sizeof s->text, "store.db: cannot %s: %s", doing, sqlite3_errmsg(s->db));
    return STORE_EIO;
}

const char *store_text(const struct store *s)
{
    return s->text;
}

/* ---- opening --------------------------------------------------------------------- */

static int exec(struct store *s, const char *sql, const char *doing)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? STORE_OK : fail(s, doing);
}

/* A file: URI of the path; only there can psow be switched off. */
static bool path_uri(const char *path, char uri[URI_LEN_MAX])
{
    static const char hex[] = "0123456789ABCDEF";
    size_t at = (size_t)snprintf(uri, URI_LEN_MAX, "file:");
    for (const char *c = path; *c; c++) {
        if (at + 16 > URI_LEN_MAX)
            return false;
        if (*c == '%' || *c == '?' || *c == '#') {
            uri[at++] = '%';
            uri[at++] = hex[(uint8_t)*c >> 4];
            uri[at++] = hex[(uint8_t)*c & 15];
        } else {
            uri[at++] = *c;
        }
    }
    snprintf(uri + at, URI_LEN_MAX - at, "?psow=0");
    return true;
}

static int read_version(struct store *s, int *version_out)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return fail(s, "read its version");
    int err = STORE_OK;
    if (sqlite3_step(st) == SQLITE_ROW)
        *version_out = sqlite3_column_int(st, 0);
    else
        err = fail(s, "read its version");
    sqlite3_finalize(st);
    return err;
}

static int migrate(struct store *s)
{
    int version = 0, err = read_version(s, &version);
    if (err != STORE_OK)
        return err;
    if (version > SCHEMA_VERSION) {
        snprintf(s->text, sizeof s->text,
                 "store.db was written by a newer kengd (schema %d, this one knows %d): update"
                 " kengd", version, SCHEMA_VERSION);
        return STORE_EVERSION;
    }
    for (; version < SCHEMA_VERSION; version++) {
        char set[64];
        snprintf(set, sizeof set, "PRAGMA user_version = %d", version + 1);
        err = exec(s, "BEGIN IMMEDIATE", "migrate");
        if (err == STORE_OK)
            err = exec(s, MIGRATIONS[version], "migrate");
        if (err == STORE_OK)
            err = exec(s, set, "migrate");
        if (err == STORE_OK)
            err = exec(s, "COMMIT", "migrate");
        if (err != STORE_OK) {
            /* The first error is the one to tell; without a transaction this says nothing. */
            sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
            return err;
        }
    }
    return STORE_OK;
}

static int check_network(struct store *s, const uint8_t *network_id)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(s->db, "INSERT OR IGNORE INTO meta(key, value) VALUES('network', ?)", -1,
                           &st, NULL) != SQLITE_OK)
        return fail(s, "write its commune");
    sqlite3_bind_blob(st, 1, network_id, KENG_NETWORK_ID_LEN, SQLITE_STATIC);
    bool written = sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    if (!written)
        return fail(s, "write its commune");
    if (sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE key = 'network'", -1, &st, NULL) !=
        SQLITE_OK)
        return fail(s, "read its commune");
    bool same = sqlite3_step(st) == SQLITE_ROW &&
                sqlite3_column_bytes(st, 0) == KENG_NETWORK_ID_LEN &&
                memcmp(sqlite3_column_blob(st, 0), network_id, KENG_NETWORK_ID_LEN) == 0;
    sqlite3_finalize(st);
    if (same)
        return STORE_OK;
    snprintf(s->text, sizeof s->text, "store.db belongs to another commune than commune.keng: use"
             " the home directory made for this one");
    return STORE_ENETWORK;
}

static int open_db(struct store *s, const char *path)
{
    char uri[URI_LEN_MAX];
    if (!path_uri(path, uri)) {
        snprintf(s->text, sizeof s->text, "path of the store is too long");
        return STORE_EIO;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(uri, &s->db, flags, NULL) != SQLITE_OK)
        return fail(s, "open");
    sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    char cache[64];
    snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", CACHE_KIB);
    /* An exclusive lock before anything is read, so that the log's index is in memory from the
     * start and nobody else writes; EXTRA before WAL, so that the change of journal itself is
     * safe. */
    const char *const pragmas[] = {
        "PRAGMA locking_mode = EXCLUSIVE", cache, "PRAGMA synchronous = EXTRA",
        "PRAGMA journal_mode = WAL", "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++)
        if (exec(s, pragmas[i], "open") != STORE_OK)
            return STORE_EIO;
    return STORE_OK;
}

int store_open(const char *path, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
               struct store **store_out, char text[static STORE_TEXT_LEN])
{
    struct store *s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(text, STORE_TEXT_LEN, "out of memory");
        return STORE_EIO;
    }
    int err = open_db(s, path);
    if (err == STORE_OK)
        err = migrate(s);
    if (err == STORE_OK)
        err = check_network(s, network_id);
    for (int i = 0; err == STORE_OK && i < ST_COUNT; i++)
        if (sqlite3_prepare_v3(s->db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i],
                               NULL) != SQLITE_OK)
            err = fail(s, "prepare");
    if (err == STORE_OK) {
        *store_out = s;
        return STORE_OK;
    }
    snprintf(text, STORE_TEXT_LEN, "%s", s->text);
    store_close(s);
    return err;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (int i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    free(s);
}

/* ---- writing ------------------------------------------------------------------------ */

/* Runs a statement that gives no rows. */
static int run(struct store *s, sqlite3_stmt *st, const char *doing)
{
    int rc = sqlite3_step(st);
    int err = rc == SQLITE_DONE ? STORE_OK : fail(s, doing);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return err;
}

int store_begin(struct store *s)
{
    return run(s, s->statements[ST_BEGIN], "begin");
}

int store_commit(struct store *s)
{
    return run(s, s->statements[ST_COMMIT], "write");
}

void store_rollback(struct store *s)
{
    char text[STORE_TEXT_LEN];
    memcpy(text, s->text, sizeof text);
    /* SQLite may have rolled back by itself; then this fails, and that is what we want to know. */
    if (!sqlite3_get_autocommit(s->db))
        run(s, s->statements[ST_ROLLBACK], "roll back");
    memcpy(s->text, text, sizeof text);
}

static void bind_ref(sqlite3_stmt *st, int at, const struct record_ref *ref)
{
    sqlite3_bind_int64(st, at, log_of(ref));
    sqlite3_bind_int64(st, at + 1, ref->seq);
}

static int run_ref(struct store *s, enum statement which, const struct record_ref *ref,
                   const char *doing)
{
    bind_ref(s->statements[which], 1, ref);
    return run(s, s->statements[which], doing);
}

int store_drop_record(struct store *s, const struct record_ref *ref)
{
    int err = run_ref(s, ST_DROP_RECORD, ref, "drop a record");
    if (err == STORE_OK)
        err = run_ref(s, ST_DROP_REVIEW, ref, "drop a review");
    return err == STORE_OK ? run_ref(s, ST_DROP_CORRECTIONS, ref, "drop corrections") : err;
}

int store_put_settled(struct store *s, const struct record_ref *ref)
{
    return run_ref(s, ST_PUT_SETTLED, ref, "write what is settled");
}

int store_put_owed(struct store *s, const struct record_ref *ref)
{
    return run_ref(s, ST_PUT_OWED, ref, "write what is owed");
}

int store_drop_owed(struct store *s, const struct record_ref *ref)
{
    return run_ref(s, ST_DROP_OWED, ref, "drop what was owed");
}

int store_put_record(struct store *s, const struct record_view *view, int64_t received_ms,
                     uint32_t replaces_seq, const char *once, int64_t *arrival_out)
{
    sqlite3_stmt *st;
    if (replaces_seq != 0) {
        struct record_ref old = view->ref;
        old.seq = replaces_seq;
        int err = run_ref(s, ST_DROP_RECORD, &old, "drop what was superseded");
        if (err != STORE_OK)
            return err;
    }
    st = s->statements[ST_PUT_RECORD];
    bind_ref(st, 1, &view->ref);
    sqlite3_bind_int64(st, 3, received_ms);
    if (once)
        sqlite3_bind_text(st, 4, once, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 5, view->bytes, (int)view->len, SQLITE_STATIC);
    int err = run(s, st, "write a record");
    if (err == STORE_OK)
        *arrival_out = sqlite3_last_insert_rowid(s->db);
    return err;
}

int store_keep_again(struct store *s, const struct record_view *view)
{
    uint8_t bytes[RECORD_LEN_MAX];
    int len = store_load(s, &view->ref, bytes);
    if (len < 0)
        return len;
    if ((size_t)len == view->len && memcmp(bytes, view->bytes, view->len) == 0)
        return STORE_OK;
    int err = run_ref(s, ST_KEEP_OTHER, &view->ref, "write evidence");
    if (err == STORE_OK)
        err = run_ref(s, ST_DROP_RECORD, &view->ref, "drop what did not count");
    return err == STORE_OK ? STORE_ENONE : err;
}

int store_put_fork(struct store *s, const struct record_view *view, int64_t received_ms)
{
    sqlite3_stmt *st = s->statements[ST_PUT_FORK];
    bind_ref(st, 1, &view->ref);
    sqlite3_bind_int64(st, 3, received_ms);
    sqlite3_bind_blob(st, 4, view->bytes, (int)view->len, SQLITE_STATIC);
    return run(s, st, "write evidence");
}

int store_put_review(struct store *s, const struct record_ref *of,
                     const struct store_review *review)
{
    sqlite3_stmt *st = s->statements[ST_PUT_REVIEW];
    bind_ref(st, 1, of);
    sqlite3_bind_int(st, 3, review->by);
    sqlite3_bind_int(st, 4, review->state);
    sqlite3_bind_text(st, 5, review->text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 6, review->by_seq);
    return run(s, st, "write a review");
}

int store_put_correction(struct store *s, const struct record_ref *of,
                         const struct record_ref *review)
{
    sqlite3_stmt *st = s->statements[ST_PUT_CORRECTION];
    bind_ref(st, 1, of);
    bind_ref(st, 3, review);
    return run(s, st, "write a correction");
}

int store_put_carried(struct store *s, const struct record_ref *ref, uint16_t node)
{
    sqlite3_stmt *st = s->statements[ST_PUT_CARRIED];
    sqlite3_bind_int(st, 1, node);
    bind_ref(st, 2, ref);
    return run(s, st, "write who carries a record");
}

int store_put_airtime(struct store *s, const char *ledger, uint64_t minute_ms, uint32_t airtime_us)
{
    sqlite3_stmt *st = s->statements[ST_PUT_AIRTIME];
    sqlite3_bind_text(st, 1, ledger, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)minute_ms);
    sqlite3_bind_int64(st, 3, airtime_us);
    int err = run(s, st, "write the airtime ledger");
    if (err != STORE_OK || minute_ms < AIRTIME_KEPT_MS)
        return err;
    st = s->statements[ST_TRIM_AIRTIME];
    sqlite3_bind_text(st, 1, ledger, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)minute_ms - AIRTIME_KEPT_MS);
    return run(s, st, "trim the airtime ledger");
}

int store_keep_ledgers(struct store *s, const char *const ledgers[STORE_LEDGER_COUNT_MAX])
{
    sqlite3_stmt *st = s->statements[ST_KEEP_LEDGERS];
    for (int i = 0; i < STORE_LEDGER_COUNT_MAX; i++) /* NULL would make the whole test unknown */
        sqlite3_bind_text(st, i + 1, ledgers[i] ? ledgers[i] : "", -1, SQLITE_STATIC);
    return run(s, st, "drop old airtime ledgers");
}

/* ---- reading ------------------------------------------------------------------------- */

/* A statement that gives rows: calls row() for each until it says stop. */
static int each_row(struct store *s, sqlite3_stmt *st, bool (*row)(void *ctx, sqlite3_stmt *st),
                    void *ctx)
{
    int rc;
    bool more = true;
    while (more && (rc = sqlite3_step(st)) == SQLITE_ROW)
        more = row(ctx, st);
    int err = !more || rc == SQLITE_DONE ? STORE_OK : fail(s, "read");
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return err;
}

struct record_rows { store_record_fn fn; void *ctx; };

static struct record_ref ref_of(sqlite3_int64 log, sqlite3_int64 seq)
{
    return (struct record_ref){ .author = (uint16_t)(log >> LANE_AUTHOR_SHIFT),
                                .lane = (uint8_t)(log & (LANE_COUNT - 1)), .seq = (uint32_t)seq };
}

static bool record_row(void *ctx, sqlite3_stmt *st)
{
    struct record_rows *rows = ctx;
    struct store_record r = {
        .arrival = sqlite3_column_int64(st, 0),
        .ref = ref_of(sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2)),
        .received_ms = sqlite3_column_int64(st, 3),
        .carried_by = sqlite3_column_type(st, 4) == SQLITE_NULL
                          ? AUTHOR_NONE : (uint16_t)sqlite3_column_int(st, 4),
        .bytes = sqlite3_column_blob(st, 5),
    };
    r.len = (size_t)sqlite3_column_bytes(st, 5);
    return rows->fn(rows->ctx, &r);
}

static int each_record(struct store *s, sqlite3_stmt *st, store_record_fn fn, void *ctx)
{
    struct record_rows rows = { .fn = fn, .ctx = ctx };
    return each_row(s, st, record_row, &rows);
}

int store_each_record(struct store *s, store_record_fn fn, void *ctx)
{
    return each_record(s, s->statements[ST_EACH_RECORD], fn, ctx);
}

struct found_record { store_record_fn fn; void *ctx; bool found; };

static bool found_record(void *ctx, const struct store_record *record)
{
    struct found_record *f = ctx;
    f->found = true;
    f->fn(f->ctx, record);
    return false;
}

int store_find_record(struct store *s, const struct record_ref *ref, store_record_fn fn, void *ctx)
{
    sqlite3_stmt *st = s->statements[ST_FIND_RECORD];
    struct found_record f = { .fn = fn, .ctx = ctx };
    bind_ref(st, 1, ref);
    int err = each_record(s, st, found_record, &f);
    return err != STORE_OK ? err : f.found ? STORE_OK : STORE_ENONE;
}

int store_records_after(struct store *s, int64_t after, int limit, store_record_fn fn, void *ctx)
{
    sqlite3_stmt *st = s->statements[ST_RECORDS_AFTER];
    sqlite3_bind_int64(st, 1, after);
    sqlite3_bind_int(st, 2, limit);
    return each_record(s, st, fn, ctx);
}

int store_newest_of(struct store *s, const uint16_t *authors, size_t author_count,
                    store_record_fn fn, void *ctx)
{
    sqlite3_stmt *st = s->statements[ST_NEWEST_OF];
    for (size_t i = 0; i < author_count && i < STORE_AUTHOR_COUNT_MAX; i++) {
        struct record_ref log = { .author = authors[i] };
        sqlite3_bind_int64(st, (int)i + 1, log_of(&log)); /* the rest match nothing */
    }
    return each_record(s, st, fn, ctx);
}

struct loaded { uint8_t *buf; int len; };

static bool load_row(void *ctx, sqlite3_stmt *st)
{
    struct loaded *l = ctx;
    int len = sqlite3_column_bytes(st, 0);
    if (len > 0 && len <= RECORD_LEN_MAX) {
        memcpy(l->buf, sqlite3_column_blob(st, 0), (size_t)len);
        l->len = len;
    }
    return false;
}

int store_load(struct store *s, const struct record_ref *ref, uint8_t *buf)
{
    sqlite3_stmt *st = s->statements[ST_LOAD];
    struct loaded l = { .buf = buf, .len = STORE_ENONE };
    bind_ref(st, 1, ref);
    int err = each_row(s, st, load_row, &l);
    return err == STORE_OK ? l.len : err;
}

struct found_ref { struct record_ref ref; bool found; };

static bool once_row(void *ctx, sqlite3_stmt *st)
{
    struct found_ref *f = ctx;
    f->ref = ref_of(sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
    f->found = true;
    return false;
}

int store_find_once(struct store *s, const char *once, struct record_ref *ref_out)
{
    sqlite3_stmt *st = s->statements[ST_FIND_ONCE];
    struct found_ref f = { .found = false };
    sqlite3_bind_text(st, 1, once, -1, SQLITE_STATIC);
    int err = each_row(s, st, once_row, &f);
    if (err != STORE_OK)
        return err;
    if (!f.found)
        return STORE_ENONE;
    *ref_out = f.ref;
    return STORE_OK;
}

struct found_review { struct store_review *review; bool found; };

static bool review_row(void *ctx, sqlite3_stmt *st)
{
    struct found_review *f = ctx;
    const unsigned char *text = sqlite3_column_text(st, 2);
    f->review->by = (uint16_t)sqlite3_column_int(st, 0);
    f->review->state = (uint8_t)sqlite3_column_int(st, 1);
    f->review->by_seq = (uint32_t)sqlite3_column_int64(st, 3);
    snprintf(f->review->text, sizeof f->review->text, "%s", text ? (const char *)text : "");
    f->found = true;
    return false;
}

int store_find_review(struct store *s, const struct record_ref *of, struct store_review *review_out)
{
    sqlite3_stmt *st = s->statements[ST_FIND_REVIEW];
    struct found_review f = { .review = review_out };
    bind_ref(st, 1, of);
    int err = each_row(s, st, review_row, &f);
    return err != STORE_OK ? err : f.found ? STORE_OK : STORE_ENONE;
}

static bool number_row(void *ctx, sqlite3_stmt *st)
{
    *(int64_t *)ctx = sqlite3_column_int64(st, 0);
    return false;
}

static int64_t number_of(struct store *s, enum statement which)
{
    int64_t number = 0;
    int err = each_row(s, s->statements[which], number_row, &number);
    return err == STORE_OK ? number : err;
}

int64_t store_last_arrival(struct store *s)
{
    return number_of(s, ST_LAST_ARRIVAL);
}

int64_t store_record_count(struct store *s)
{
    return number_of(s, ST_RECORD_COUNT);
}

struct ref_rows { store_ref_fn fn; void *ctx; };

static bool ref_row(void *ctx, sqlite3_stmt *st)
{
    struct ref_rows *rows = ctx;
    struct record_ref ref = ref_of(sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
    rows->fn(rows->ctx, &ref);
    return true;
}

int store_each_settled(struct store *s, store_ref_fn fn, void *ctx)
{
    struct ref_rows rows = { .fn = fn, .ctx = ctx };
    return each_row(s, s->statements[ST_EACH_SETTLED], ref_row, &rows);
}

int store_each_owed(struct store *s, store_ref_fn fn, void *ctx)
{
    struct ref_rows rows = { .fn = fn, .ctx = ctx };
    return each_row(s, s->statements[ST_EACH_OWED], ref_row, &rows);
}

int store_each_correction(struct store *s, const struct record_ref *of, store_ref_fn fn, void *ctx)
{
    sqlite3_stmt *st = s->statements[ST_EACH_CORRECTION];
    struct ref_rows rows = { .fn = fn, .ctx = ctx };
    bind_ref(st, 1, of);
    return each_row(s, st, ref_row, &rows);
}

struct airtime_rows { store_airtime_fn fn; void *ctx; };

static bool airtime_row(void *ctx, sqlite3_stmt *st)
{
    struct airtime_rows *rows = ctx;
    const char *ledger = (const char *)sqlite3_column_text(st, 0);
    rows->fn(rows->ctx, ledger ? ledger : "", (uint64_t)sqlite3_column_int64(st, 1),
             (uint32_t)sqlite3_column_int64(st, 2));
    return true;
}

int store_each_airtime(struct store *s, store_airtime_fn fn, void *ctx)
{
    struct airtime_rows rows = { .fn = fn, .ctx = ctx };
    return each_row(s, s->statements[ST_EACH_AIRTIME], airtime_row, &rows);
}
