#include "gateway/db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DB_APPLICATION_ID = 0x4b454e47, /* "KENG" */
    DB_BUSY_TIMEOUT_MS = 2000,
    DB_URI_LEN_MAX = 3 * 4096 + 64,
};

/* Append only: a step that was released is never changed, moved or removed. */
static const char *const MIGRATIONS[] = {
    "CREATE TABLE commune ("
    " id INTEGER PRIMARY KEY, network_id BLOB NOT NULL UNIQUE, root_key BLOB NOT NULL,"
    " name TEXT NOT NULL DEFAULT '');"
    "CREATE TABLE record ("
    " arrival INTEGER PRIMARY KEY AUTOINCREMENT, commune INTEGER NOT NULL REFERENCES commune(id),"
    " author INTEGER NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " variant INTEGER NOT NULL, kind INTEGER NOT NULL, priority INTEGER NOT NULL,"
    " created_min INTEGER NOT NULL, clock_set INTEGER NOT NULL, received_ms INTEGER NOT NULL,"
    " village INTEGER NOT NULL, own_village INTEGER NOT NULL, event INTEGER NOT NULL,"
    " drill INTEGER NOT NULL, readable INTEGER NOT NULL, bytes BLOB NOT NULL,"
    " UNIQUE (commune, author, lane, seq, variant));"
    "CREATE TABLE review ("
    " commune INTEGER NOT NULL, author INTEGER NOT NULL, lane INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, state INTEGER NOT NULL, reviewer INTEGER NOT NULL,"
    " review_seq INTEGER NOT NULL, text TEXT NOT NULL,"
    " PRIMARY KEY (commune, author, lane, seq)) WITHOUT ROWID;"
    "CREATE TABLE pending ("
    " id INTEGER PRIMARY KEY, commune INTEGER NOT NULL, author INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (commune, author, bytes));"
    "CREATE TABLE refused ("
    " commune INTEGER NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,"
    " last_ms INTEGER NOT NULL, sample BLOB NOT NULL,"
    " PRIMARY KEY (commune, reason)) WITHOUT ROWID;"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE target ("
    " id INTEGER PRIMARY KEY, url TEXT NOT NULL, commune INTEGER NOT NULL,"
    " cursor INTEGER NOT NULL DEFAULT 0, UNIQUE (url, commune));"
    "CREATE TABLE answer ("
    " target INTEGER NOT NULL, arrival INTEGER NOT NULL, reason TEXT,"
    " PRIMARY KEY (target, arrival)) WITHOUT ROWID;"
    "CREATE TABLE outgoing ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, commune INTEGER NOT NULL, author INTEGER NOT NULL,"
    " lane INTEGER NOT NULL, seq INTEGER NOT NULL, state INTEGER NOT NULL, text TEXT NOT NULL,"
    " error TEXT NOT NULL DEFAULT '');",
    "CREATE TABLE revoked ("
    " commune INTEGER NOT NULL, author INTEGER NOT NULL, from_seq INTEGER NOT NULL,"
    " PRIMARY KEY (commune, author)) WITHOUT ROWID;",
};
enum { MIGRATION_COUNT = sizeof MIGRATIONS / sizeof MIGRATIONS[0] };

/* A review past its writer's revocation is none. */
#define REVIEW_JOIN                                                                               \
    " LEFT JOIN review v ON v.commune = r.commune AND v.author = r.author AND v.lane = r.lane"    \
    " AND v.seq = r.seq AND NOT EXISTS (SELECT 1 FROM revoked x WHERE x.commune = v.commune"      \
    " AND x.author = v.reviewer AND v.review_seq >= x.from_seq) "
/* Column order of read_record(). */
#define RECORD_SELECT                                                                             \
    "SELECT r.arrival, r.commune, r.author, r.lane, r.seq, r.variant, r.kind, r.priority,"        \
    " r.created_min, r.clock_set, r.received_ms, r.village, r.own_village, r.event, r.drill,"     \
    " r.readable, r.bytes, v.state, v.reviewer, v.text FROM record r"                             \
    REVIEW_JOIN
#define LIST_WHERE                                                                                \
    "WHERE r.kind BETWEEN 1 AND 7 AND (?1 = 0 OR r.commune = ?1) AND (?2 < 0 OR r.village = ?2)"  \
    " AND (?3 = 0 OR r.kind = ?3) AND (?4 = 0 OR v.state IS NULL) "
#define UNANSWERED                                                                                \
    "NOT EXISTS (SELECT 1 FROM answer a WHERE a.target = t.id AND a.arrival = r.arrival) "

enum op {
    OP_BEGIN, OP_COMMIT, OP_ROLLBACK,
    OP_COMMUNE_PUT, OP_COMMUNE_RENAME, OP_COMMUNE_FIND, OP_COMMUNE_LIST,
    OP_RECORD_INSERT, OP_RECORD_SUPERSEDE, OP_RECORD_VARIANTS, OP_RECORD_NEWEST,
    OP_RECORD_ROOT_LOG, OP_RECORD_NUMBERS, OP_RECORD_REPORTS, OP_RECORD_FORKS, OP_RECORD_REHOME,
    OP_RECORD_GET, OP_RECORD_LAST, OP_RECORD_LIST, OP_RECORD_COUNT,
    OP_REVIEW_PUT,
    OP_PENDING_COUNT, OP_PENDING_PUT, OP_PENDING_OF, OP_PENDING_DELETE, OP_PENDING_AUTHORS,
    OP_REVOKED_GET, OP_REVOKED_SET, OP_REVOKED_CLEAR,
    OP_REFUSED_ADD, OP_REFUSED_LIST,
    OP_META_GET, OP_META_SET,
    OP_TARGET_ADD, OP_TARGET_FIND, OP_OUTBOX_WAITING, OP_OUTBOX_COUNT, OP_OUTBOX_ANSWERED,
    OP_OUTBOX_SETTLE, OP_OUTBOX_FORGET, OP_OUTBOX_REWIND, OP_OUTBOX_REOPEN, OP_OUTBOX_HELD,
    OP_OUTBOX_REFUSED,
    OP_OUTGOING_ADD, OP_OUTGOING_LIST, OP_OUTGOING_ERROR, OP_OUTGOING_DELETE,
    OP_COUNT,
};

static const char *const SQL[OP_COUNT] = {
    [OP_BEGIN] = "BEGIN IMMEDIATE",
    [OP_COMMIT] = "COMMIT",
    [OP_ROLLBACK] = "ROLLBACK",
    [OP_COMMUNE_PUT] = "INSERT INTO commune (network_id, root_key) VALUES (?1, ?2)"
                       " ON CONFLICT (network_id) DO NOTHING",
    [OP_COMMUNE_RENAME] = "UPDATE commune SET name = ?2 WHERE id = ?1",
    [OP_COMMUNE_FIND] = "SELECT id, network_id, root_key, name FROM commune WHERE network_id = ?1",
    [OP_COMMUNE_LIST] = "SELECT id, network_id, root_key, name FROM commune ORDER BY id",
    [OP_RECORD_INSERT] =
        "INSERT INTO record (commune, author, lane, seq, variant, kind, priority, created_min,"
        " clock_set, received_ms, village, own_village, event, drill, readable, bytes)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
        " ON CONFLICT DO NOTHING",
    [OP_RECORD_SUPERSEDE] = "DELETE FROM record WHERE commune = ?1 AND author = ?2 AND lane = ?3"
                            " AND seq < ?4 AND NOT EXISTS (SELECT 1 FROM record o WHERE"
                            " o.commune = ?1 AND o.author = ?2 AND o.lane = ?3"
                            " AND o.seq = record.seq AND o.variant = 1)",
    [OP_RECORD_VARIANTS] = RECORD_SELECT "WHERE r.commune = ?1 AND r.author = ?2 AND r.lane = ?3"
                                         " AND r.seq = ?4 ORDER BY r.variant",
    [OP_RECORD_NEWEST] = "SELECT max(seq) FROM record WHERE commune = ?1 AND author = ?2"
                         " AND lane = ?3",
    [OP_RECORD_ROOT_LOG] = RECORD_SELECT "WHERE r.commune = ?1 AND r.author = 0 AND r.lane = 0"
                                         " ORDER BY r.seq, r.variant",
    [OP_RECORD_NUMBERS] =
        "SELECT arrival, commune, author, lane, seq FROM record WHERE commune = ?1 AND lane = 0"
        " AND variant = 0 ORDER BY author, seq",
    [OP_RECORD_REPORTS] = RECORD_SELECT "WHERE r.commune = ?1 AND r.kind BETWEEN 1 AND 7"
                                        " AND r.variant = 0 AND r.readable = 1"
                                        " AND NOT EXISTS (SELECT 1 FROM revoked x"
                                        " WHERE x.commune = r.commune AND x.author = r.author"
                                        " AND r.seq >= x.from_seq)"
                                        " ORDER BY r.author, r.seq",
    [OP_RECORD_FORKS] =
        RECORD_SELECT "WHERE r.commune = ?1 AND EXISTS (SELECT 1 FROM record o WHERE"
                      " o.commune = r.commune AND o.author = r.author AND o.lane = r.lane"
                      " AND o.seq = r.seq AND o.variant = 1)"
                      " ORDER BY r.author, r.lane, r.seq, r.variant",
    [OP_RECORD_REHOME] = "UPDATE record SET village = ?3 WHERE commune = ?1 AND author = ?2"
                         " AND own_village = 1 AND village != ?3",
    [OP_RECORD_GET] = RECORD_SELECT "WHERE r.arrival = ?1",
    [OP_RECORD_LAST] = "SELECT max(arrival) FROM record",
    [OP_RECORD_LIST] =
        RECORD_SELECT LIST_WHERE "ORDER BY v.state IS NOT NULL,"
                                 " CASE WHEN v.state IS NULL THEN -r.priority ELSE 0 END,"
                                 " r.arrival DESC LIMIT ?5 OFFSET ?6",
    [OP_RECORD_COUNT] =
        "SELECT count(*), sum(v.state IS NULL) FROM record r" REVIEW_JOIN LIST_WHERE,
    /* Of one reviewer the higher number counts, of several the one heard last. */
    [OP_REVIEW_PUT] =
        "INSERT INTO review (commune, author, lane, seq, state, reviewer, review_seq, text)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (commune, author, lane, seq)"
        " DO UPDATE SET state = ?5, reviewer = ?6, review_seq = ?7, text = ?8"
        " WHERE reviewer != ?6 OR review_seq < ?7",
    [OP_PENDING_COUNT] = "SELECT count(*) FROM pending WHERE commune = ?1",
    [OP_PENDING_PUT] = "INSERT INTO pending (commune, author, received_ms, bytes)"
                       " VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    [OP_PENDING_OF] = "SELECT id, received_ms, bytes FROM pending WHERE commune = ?1"
                      " AND author = ?2 ORDER BY id",
    [OP_PENDING_DELETE] = "DELETE FROM pending WHERE id = ?1",
    [OP_PENDING_AUTHORS] = "SELECT DISTINCT commune, author FROM pending",
    [OP_REVOKED_GET] = "SELECT from_seq FROM revoked WHERE commune = ?1 AND author = ?2",
    [OP_REVOKED_SET] = "INSERT INTO revoked (commune, author, from_seq) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (commune, author) DO UPDATE SET from_seq = ?3",
    [OP_REVOKED_CLEAR] = "DELETE FROM revoked WHERE commune = ?1 AND author = ?2",
    [OP_REFUSED_ADD] =
        "INSERT INTO refused (commune, reason, count, last_ms, sample) VALUES (?1, ?2, 1, ?3, ?4)"
        " ON CONFLICT (commune, reason) DO UPDATE SET count = count + 1, last_ms = ?3, sample = ?4",
    [OP_REFUSED_LIST] = "SELECT commune, reason, count, last_ms FROM refused"
                        " ORDER BY commune, reason",
    [OP_META_GET] = "SELECT value FROM meta WHERE key = ?1",
    [OP_META_SET] = "INSERT INTO meta (key, value) VALUES (?1, ?2)"
                    " ON CONFLICT (key) DO UPDATE SET value = ?2",
    [OP_TARGET_ADD] = "INSERT INTO target (url, commune) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [OP_TARGET_FIND] = "SELECT id FROM target WHERE url = ?1 AND commune = ?2",
    [OP_OUTBOX_WAITING] =
        RECORD_SELECT "JOIN target t ON t.id = ?1 WHERE r.commune = t.commune"
                      " AND r.arrival > t.cursor AND " UNANSWERED
                      "ORDER BY r.author = 0 DESC, r.priority DESC, r.arrival",
    [OP_OUTBOX_COUNT] = "SELECT count(*) FROM record r JOIN target t ON t.id = ?1"
                        " WHERE r.commune = t.commune AND r.arrival > t.cursor AND " UNANSWERED,
    [OP_OUTBOX_ANSWERED] =
        "INSERT INTO answer (target, arrival, reason) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (target, arrival) DO UPDATE SET reason = ?3",
    [OP_OUTBOX_SETTLE] =
        "UPDATE target AS t SET cursor = coalesce((SELECT min(r.arrival) - 1 FROM record r"
        " WHERE r.commune = t.commune AND r.arrival > t.cursor AND " UNANSWERED "),"
        " (SELECT max(arrival) FROM record), t.cursor) WHERE t.id = ?1",
    [OP_OUTBOX_FORGET] = "DELETE FROM answer WHERE target = ?1 AND reason IS NULL"
                         " AND arrival <= (SELECT cursor FROM target WHERE id = ?1)",
    [OP_OUTBOX_REWIND] = "UPDATE target SET cursor = min(cursor, ?2 - 1) WHERE id = ?1",
    [OP_OUTBOX_REOPEN] = "DELETE FROM answer WHERE target = ?1 AND arrival >= ?2"
                         " AND reason IS NULL",
    [OP_OUTBOX_HELD] =
        "SELECT r.arrival, r.commune, r.author, r.lane, r.seq FROM record r"
        " JOIN target t ON t.id = ?1 LEFT JOIN answer a ON a.target = t.id"
        " AND a.arrival = r.arrival WHERE r.commune = t.commune AND r.lane = 0 AND r.variant = 0"
        " AND a.reason IS NULL AND (r.arrival <= t.cursor OR a.arrival IS NOT NULL)"
        " ORDER BY r.author, r.seq",
    [OP_OUTBOX_REFUSED] =
        "SELECT r.arrival, r.commune, r.author, r.lane, r.seq, a.reason FROM answer a"
        " JOIN record r ON r.arrival = a.arrival WHERE a.target = ?1 AND a.reason IS NOT NULL"
        " ORDER BY r.arrival",
    [OP_OUTGOING_ADD] = "INSERT INTO outgoing (commune, author, lane, seq, state, text)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [OP_OUTGOING_LIST] = "SELECT id, commune, author, lane, seq, state, text, error FROM outgoing"
                         " ORDER BY id",
    [OP_OUTGOING_ERROR] = "UPDATE outgoing SET error = ?2 WHERE id = ?1",
    [OP_OUTGOING_DELETE] = "DELETE FROM outgoing WHERE id = ?1",
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[OP_COUNT];
    char err[DB_ERR_LEN];
};

/* One use of a prepared statement: bind in order, then step or finish. */
struct query {
    struct db *db;
    sqlite3_stmt *statement;
    int bound, rc;
};

static int db_fail(struct db *db, int rc)
{
    snprintf(db->err, sizeof db->err, "database: %s",
             db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DB_EBUSY;
    case SQLITE_NOMEM:
        return DB_ENOMEM;
    default:
        return DB_EDISK;
    }
}

static struct query query_start(struct db *db, enum op op)
{
    struct query q = { .db = db, .rc = SQLITE_OK };
    if (!db->statements[op])
        q.rc = sqlite3_prepare_v3(db->handle, SQL[op], -1, SQLITE_PREPARE_PERSISTENT,
                                  &db->statements[op], NULL);
    q.statement = db->statements[op];
    return q;
}

static void bind_int(struct query *q, int64_t value)
{
    if (q->rc == SQLITE_OK)
        q->rc = sqlite3_bind_int64(q->statement, ++q->bound, value);
}

static void bind_blob(struct query *q, const uint8_t *bytes, size_t len)
{
    if (q->rc == SQLITE_OK)
        q->rc = sqlite3_bind_blob64(q->statement, ++q->bound, bytes, len, SQLITE_TRANSIENT);
}

static void bind_text(struct query *q, const char *text)
{
    if (q->rc == SQLITE_OK)
        q->rc = sqlite3_bind_text(q->statement, ++q->bound, text, -1, SQLITE_TRANSIENT);
}

/* 1: a row, 0: no more, negative: error.  After anything but 1 the statement is free again. */
static int query_step(struct query *q)
{
    if (q->rc == SQLITE_OK || q->rc == SQLITE_ROW)
        q->rc = sqlite3_step(q->statement);
    if (q->rc == SQLITE_ROW)
        return 1;
    int result = q->rc == SQLITE_DONE ? 0 : db_fail(q->db, q->rc);
    if (q->statement) {
        sqlite3_reset(q->statement);
        sqlite3_clear_bindings(q->statement);
    }
    return result;
}

static void query_stop(struct query *q)
{
    sqlite3_reset(q->statement);
    sqlite3_clear_bindings(q->statement);
}

/* Runs a statement that gives no rows. */
static int query_run(struct query *q)
{
    int result = query_step(q);
    if (result == 1) {
        query_stop(q);
        result = 0;
    }
    return result;
}

/* One integer of one row; a missing row or NULL reads as 0. */
static int query_int(struct query *q, int64_t *value_out)
{
    int result = query_step(q);
    if (result < 0)
        return result;
    *value_out = result == 1 ? sqlite3_column_int64(q->statement, 0) : 0;
    if (result == 1)
        query_stop(q);
    return 0;
}

/* sqlite3's URI form, so that psow can be switched off. */
static bool make_uri(const char *path, char *uri, size_t cap)
{
    struct { char *at, *end; } w = { uri, uri + cap };
    w.at += snprintf(uri, cap, "file:");
    for (; *path; path++) {
        if (w.end - w.at < 4)
            return false;
        if (*path == '?' || *path == '#' || *path == '%')
            w.at += snprintf(w.at, 4, "%%%02X", (unsigned)(unsigned char)*path);
        else
            *w.at++ = *path;
    }
    return snprintf(w.at, (size_t)(w.end - w.at), "?psow=0") < w.end - w.at;
}

static int read_pragma(sqlite3 *handle, const char *sql, int64_t *value_out)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *value_out = sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return rc;
}

static int migrate(sqlite3 *handle, const char *path, char err[static DB_ERR_LEN])
{
    int64_t version = 0, application = 0;
    if (read_pragma(handle, "PRAGMA user_version", &version) != SQLITE_OK ||
        read_pragma(handle, "PRAGMA application_id", &application) != SQLITE_OK)
        goto failed;
    if (version > MIGRATION_COUNT) {
        snprintf(err, DB_ERR_LEN, "%s was written by a newer program (version %lld, this one knows "
                 "%d): install that program", path, (long long)version, (int)MIGRATION_COUNT);
        return DB_ENEWER;
    }
    if (version != 0 && application != DB_APPLICATION_ID) {
        snprintf(err, DB_ERR_LEN, "%s is a database of another program", path);
        return DB_EDISK;
    }
    while (version < MIGRATION_COUNT) {
        char close[128];
        snprintf(close, sizeof close, "PRAGMA application_id = %d; PRAGMA user_version = %lld;"
                 "COMMIT", (int)DB_APPLICATION_ID, (long long)(version + 1));
        if (sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(handle, MIGRATIONS[version], NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(handle, close, NULL, NULL, NULL) != SQLITE_OK)
            goto failed;
        version++;
    }
    return DB_OK;
failed:
    snprintf(err, DB_ERR_LEN, "%s: %s", path, sqlite3_errmsg(handle));
    return (sqlite3_errcode(handle) & 0xff) == SQLITE_BUSY ? DB_EBUSY : DB_EDISK;
}

int db_open(const char *path, struct db **db_out, char err[static DB_ERR_LEN])
{
    char uri[DB_URI_LEN_MAX];
    if (!make_uri(path, uri, sizeof uri)) {
        snprintf(err, DB_ERR_LEN, "database path is too long");
        return DB_EDISK;
    }
    struct db *db = calloc(1, sizeof *db);
    if (!db) {
        snprintf(err, DB_ERR_LEN, "out of memory");
        return DB_ENOMEM;
    }
    int result = DB_EDISK;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    /* The order matters: synchronous before the journal mode, so that the very first pages are
     * synced too; the checkpoint leaves no old log to be replayed over newer pages. */
    if (sqlite3_open_v2(uri, &db->handle, flags, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(db->handle, DB_BUSY_TIMEOUT_MS) != SQLITE_OK ||
        sqlite3_exec(db->handle, "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL;"
                     "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA foreign_keys = ON",
                     NULL, NULL, NULL) != SQLITE_OK) {
        snprintf(err, DB_ERR_LEN, "%s: %s", path,
                 db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
    } else {
        result = migrate(db->handle, path, err);
    }
    if (result != DB_OK) {
        db_close(db);
        return result;
    }
    *db_out = db;
    return DB_OK;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (int i = 0; i < OP_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->handle);
    free(db);
}

const char *db_error(const struct db *db)
{
    return db->err;
}

int db_begin(struct db *db)
{
    struct query q = query_start(db, OP_BEGIN);
    return query_run(&q);
}

int db_commit(struct db *db)
{
    struct query q = query_start(db, OP_COMMIT);
    return query_run(&q);
}

void db_rollback(struct db *db)
{
    /* Some errors roll back by themselves; a second rollback would only complain. */
    if (!sqlite3_get_autocommit(db->handle)) {
        struct query q = query_start(db, OP_ROLLBACK);
        (void)query_run(&q);
    }
}

/* ---- communes ---- */

static void read_commune(sqlite3_stmt *s, struct db_commune *commune_out)
{
    *commune_out = (struct db_commune){ .id = sqlite3_column_int64(s, 0) };
    if (sqlite3_column_bytes(s, 1) == KENG_NETWORK_ID_LEN)
        memcpy(commune_out->network_id, sqlite3_column_blob(s, 1), KENG_NETWORK_ID_LEN);
    if (sqlite3_column_bytes(s, 2) == KENG_KEY_LEN)
        memcpy(commune_out->root_key, sqlite3_column_blob(s, 2), KENG_KEY_LEN);
    snprintf(commune_out->name, sizeof commune_out->name, "%s",
             (const char *)sqlite3_column_text(s, 3));
}

int db_commune_put(struct db *db, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                   const uint8_t root_key[static KENG_KEY_LEN], int64_t *id_out)
{
    struct query q = query_start(db, OP_COMMUNE_PUT);
    bind_blob(&q, network_id, KENG_NETWORK_ID_LEN);
    bind_blob(&q, root_key, KENG_KEY_LEN);
    int result = query_run(&q);
    if (result < 0)
        return result;
    struct db_commune commune;
    result = db_commune_find(db, network_id, &commune);
    if (result == 0)
        *id_out = commune.id;
    return result;
}

int db_commune_rename(struct db *db, int64_t id, const char *name)
{
    struct query q = query_start(db, OP_COMMUNE_RENAME);
    bind_int(&q, id);
    bind_text(&q, name);
    return query_run(&q);
}

int db_commune_find(struct db *db, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                    struct db_commune *commune_out)
{
    struct query q = query_start(db, OP_COMMUNE_FIND);
    bind_blob(&q, network_id, KENG_NETWORK_ID_LEN);
    int result = query_step(&q);
    if (result != 1)
        return result < 0 ? result : DB_ENOTFOUND;
    read_commune(q.statement, commune_out);
    query_stop(&q);
    return 0;
}

int db_commune_list(struct db *db, struct db_commune *communes_out, size_t cap)
{
    struct query q = query_start(db, OP_COMMUNE_LIST);
    size_t count = 0;
    int result;
    while ((result = query_step(&q)) == 1 && count < cap)
        read_commune(q.statement, &communes_out[count++]);
    if (result == 1)
        query_stop(&q);
    return result < 0 ? result : (int)count;
}

/* ---- records ---- */

static void read_numbers(sqlite3_stmt *s, struct db_record *record_out)
{
    *record_out = (struct db_record){
        .arrival = sqlite3_column_int64(s, 0),
        .commune = sqlite3_column_int64(s, 1),
        .ref = { .author = (uint16_t)sqlite3_column_int(s, 2),
                 .lane = (uint8_t)sqlite3_column_int(s, 3),
                 .seq = (uint32_t)sqlite3_column_int64(s, 4) },
    };
}

static void read_record(sqlite3_stmt *s, struct db_record *record_out)
{
    read_numbers(s, record_out);
    record_out->variant = (uint8_t)sqlite3_column_int(s, 5);
    record_out->kind = (uint8_t)sqlite3_column_int(s, 6);
    record_out->priority = (uint8_t)sqlite3_column_int(s, 7);
    record_out->created_min = (uint32_t)sqlite3_column_int64(s, 8);
    record_out->clock_set = sqlite3_column_int(s, 9) != 0;
    record_out->received_ms = sqlite3_column_int64(s, 10);
    record_out->village = (uint32_t)sqlite3_column_int64(s, 11);
    record_out->own_village = sqlite3_column_int(s, 12) != 0;
    record_out->event = (uint32_t)sqlite3_column_int64(s, 13);
    record_out->drill = sqlite3_column_int(s, 14) != 0;
    record_out->readable = sqlite3_column_int(s, 15) != 0;
    record_out->bytes = sqlite3_column_blob(s, 16);
    record_out->len = (size_t)sqlite3_column_bytes(s, 16);
    record_out->review_state = (uint8_t)sqlite3_column_int(s, 17);
    record_out->review_author = (uint16_t)sqlite3_column_int(s, 18);
    record_out->review_text = (const char *)sqlite3_column_text(s, 19);
    if (!record_out->review_text)
        record_out->review_text = "";
}

static int each_record(struct query *q, void (*read)(sqlite3_stmt *, struct db_record *),
                       db_record_fn fn, void *ctx)
{
    int result;
    while ((result = query_step(q)) == 1) {
        struct db_record record;
        read(q->statement, &record);
        int stop = fn(ctx, &record);
        if (stop != 0) {
            query_stop(q);
            return stop;
        }
    }
    return result;
}

static void bind_ref(struct query *q, int64_t commune, const struct record_ref *ref)
{
    bind_int(q, commune);
    bind_int(q, ref->author);
    bind_int(q, ref->lane);
    bind_int(q, ref->seq);
}

int db_record_insert(struct db *db, struct db_record *record)
{
    struct query q = query_start(db, OP_RECORD_INSERT);
    bind_ref(&q, record->commune, &record->ref);
    bind_int(&q, record->variant);
    bind_int(&q, record->kind);
    bind_int(&q, record->priority);
    bind_int(&q, record->created_min);
    bind_int(&q, record->clock_set);
    bind_int(&q, record->received_ms);
    bind_int(&q, record->village);
    bind_int(&q, record->own_village);
    bind_int(&q, record->event);
    bind_int(&q, record->drill);
    bind_int(&q, record->readable);
    bind_blob(&q, record->bytes, record->len);
    int result = query_run(&q);
    if (result < 0)
        return result;
    if (sqlite3_changes(db->handle) == 0)
        return DB_ECONFLICT;
    record->arrival = sqlite3_last_insert_rowid(db->handle);
    return 0;
}

int db_record_supersede(struct db *db, int64_t commune, const struct record_ref *ref)
{
    struct query q = query_start(db, OP_RECORD_SUPERSEDE);
    bind_ref(&q, commune, ref);
    return query_run(&q);
}

int db_record_variants(struct db *db, int64_t commune, const struct record_ref *ref,
                       db_record_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_RECORD_VARIANTS);
    bind_ref(&q, commune, ref);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_newest(struct db *db, int64_t commune, uint16_t author, uint8_t lane,
                     uint32_t *seq_out)
{
    struct query q = query_start(db, OP_RECORD_NEWEST);
    bind_int(&q, commune);
    bind_int(&q, author);
    bind_int(&q, lane);
    int64_t seq = 0;
    int result = query_int(&q, &seq);
    if (result == 0)
        *seq_out = (uint32_t)seq;
    return result;
}

/* The queries over all records of one commune differ only in their text. */
static int each_of_commune(struct db *db, enum op op, int64_t commune,
                           void (*read)(sqlite3_stmt *, struct db_record *), db_record_fn fn,
                           void *ctx)
{
    struct query q = query_start(db, op);
    bind_int(&q, commune);
    return each_record(&q, read, fn, ctx);
}

int db_record_root_log(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, OP_RECORD_ROOT_LOG, commune, read_record, fn, ctx);
}

int db_record_numbers(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, OP_RECORD_NUMBERS, commune, read_numbers, fn, ctx);
}

int db_record_reports(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, OP_RECORD_REPORTS, commune, read_record, fn, ctx);
}

int db_record_forks(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, OP_RECORD_FORKS, commune, read_record, fn, ctx);
}

int db_record_rehome(struct db *db, int64_t commune, uint16_t author, uint32_t village)
{
    struct query q = query_start(db, OP_RECORD_REHOME);
    bind_int(&q, commune);
    bind_int(&q, author);
    bind_int(&q, village);
    return query_run(&q);
}

int db_record_get(struct db *db, int64_t arrival, db_record_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_RECORD_GET);
    bind_int(&q, arrival);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_last_arrival(struct db *db, int64_t *arrival_out)
{
    struct query q = query_start(db, OP_RECORD_LAST);
    return query_int(&q, arrival_out);
}

static void bind_filter(struct query *q, const struct db_list_filter *filter)
{
    bind_int(q, filter->commune);
    bind_int(q, filter->village);
    bind_int(q, filter->kind);
    bind_int(q, filter->waiting_only);
}

int db_record_list(struct db *db, const struct db_list_filter *filter, db_record_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_RECORD_LIST);
    bind_filter(&q, filter);
    bind_int(&q, filter->limit);
    bind_int(&q, filter->offset);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_count(struct db *db, const struct db_list_filter *filter, int64_t *total_out,
                    int64_t *waiting_out)
{
    struct query q = query_start(db, OP_RECORD_COUNT);
    bind_filter(&q, filter);
    int result = query_step(&q);
    if (result < 0)
        return result;
    *total_out = result == 1 ? sqlite3_column_int64(q.statement, 0) : 0;
    *waiting_out = result == 1 ? sqlite3_column_int64(q.statement, 1) : 0;
    if (result == 1)
        query_stop(&q);
    return 0;
}

int db_review_put(struct db *db, const struct db_review *review)
{
    struct query q = query_start(db, OP_REVIEW_PUT);
    bind_ref(&q, review->commune, &review->ref);
    bind_int(&q, review->state);
    bind_int(&q, review->author);
    bind_int(&q, review->seq);
    bind_text(&q, review->text);
    return query_run(&q);
}

/* ---- held back, refused, small numbers ---- */

int db_pending_put(struct db *db, int64_t commune, uint16_t author, int64_t received_ms,
                   const uint8_t *bytes, size_t len, bool *full_out)
{
    int64_t count = 0;
    struct query counting = query_start(db, OP_PENDING_COUNT);
    bind_int(&counting, commune);
    int result = query_int(&counting, &count);
    if (result < 0)
        return result;
    *full_out = count >= DB_PENDING_COUNT_MAX;
    if (*full_out)
        return 0;
    struct query q = query_start(db, OP_PENDING_PUT);
    bind_int(&q, commune);
    bind_int(&q, author);
    bind_int(&q, received_ms);
    bind_blob(&q, bytes, len);
    return query_run(&q);
}

int db_pending_of(struct db *db, int64_t commune, uint16_t author, db_pending_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_PENDING_OF);
    bind_int(&q, commune);
    bind_int(&q, author);
    int result;
    while ((result = query_step(&q)) == 1) {
        sqlite3_stmt *s = q.statement;
        int stop = fn(ctx, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
                      sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2));
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_pending_delete(struct db *db, int64_t id)
{
    struct query q = query_start(db, OP_PENDING_DELETE);
    bind_int(&q, id);
    return query_run(&q);
}

int db_pending_authors(struct db *db, db_author_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_PENDING_AUTHORS);
    int result;
    while ((result = query_step(&q)) == 1) {
        int stop = fn(ctx, sqlite3_column_int64(q.statement, 0),
                      (uint16_t)sqlite3_column_int(q.statement, 1));
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_revoked_get(struct db *db, int64_t commune, uint16_t author, int64_t *from_seq_out)
{
    struct query q = query_start(db, OP_REVOKED_GET);
    bind_int(&q, commune);
    bind_int(&q, author);
    return query_int(&q, from_seq_out);
}

int db_revoked_set(struct db *db, int64_t commune, uint16_t author, int64_t from_seq)
{
    struct query q = query_start(db, from_seq == 0 ? OP_REVOKED_CLEAR : OP_REVOKED_SET);
    bind_int(&q, commune);
    bind_int(&q, author);
    if (from_seq != 0)
        bind_int(&q, from_seq);
    return query_run(&q);
}

int db_refused_add(struct db *db, int64_t commune, const char *reason, int64_t now_ms,
                   const uint8_t *bytes, size_t len)
{
    struct query q = query_start(db, OP_REFUSED_ADD);
    bind_int(&q, commune);
    bind_text(&q, reason);
    bind_int(&q, now_ms);
    bind_blob(&q, bytes, len);
    return query_run(&q);
}

int db_refused_list(struct db *db, db_refused_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_REFUSED_LIST);
    int result;
    while ((result = query_step(&q)) == 1) {
        sqlite3_stmt *s = q.statement;
        int stop = fn(ctx, sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
                      sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3));
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_meta_get(struct db *db, const char *key, int64_t *value_out)
{
    struct query q = query_start(db, OP_META_GET);
    bind_text(&q, key);
    return query_int(&q, value_out);
}

int db_meta_set(struct db *db, const char *key, int64_t value)
{
    struct query q = query_start(db, OP_META_SET);
    bind_text(&q, key);
    bind_int(&q, value);
    return query_run(&q);
}

/* ---- outbox ---- */

int db_outbox_target(struct db *db, const char *url, int64_t commune, int64_t *id_out)
{
    struct query adding = query_start(db, OP_TARGET_ADD);
    bind_text(&adding, url);
    bind_int(&adding, commune);
    int result = query_run(&adding);
    if (result < 0)
        return result;
    struct query q = query_start(db, OP_TARGET_FIND);
    bind_text(&q, url);
    bind_int(&q, commune);
    return query_int(&q, id_out);
}

int db_outbox_waiting(struct db *db, int64_t target, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, OP_OUTBOX_WAITING, target, read_record, fn, ctx);
}

int db_outbox_count(struct db *db, int64_t target, int64_t *waiting_out)
{
    struct query q = query_start(db, OP_OUTBOX_COUNT);
    bind_int(&q, target);
    return query_int(&q, waiting_out);
}

int db_outbox_answered(struct db *db, int64_t target, int64_t arrival, const char *reason)
{
    struct query q = query_start(db, OP_OUTBOX_ANSWERED);
    bind_int(&q, target);
    bind_int(&q, arrival);
    if (reason)
        bind_text(&q, reason);
    return query_run(&q);
}

int db_outbox_settle(struct db *db, int64_t target)
{
    struct query q = query_start(db, OP_OUTBOX_SETTLE);
    bind_int(&q, target);
    int result = query_run(&q);
    if (result < 0)
        return result;
    struct query forget = query_start(db, OP_OUTBOX_FORGET);
    bind_int(&forget, target);
    return query_run(&forget);
}

int db_outbox_reopen(struct db *db, int64_t target, int64_t from_arrival)
{
    struct query rewind = query_start(db, OP_OUTBOX_REWIND);
    bind_int(&rewind, target);
    bind_int(&rewind, from_arrival);
    int result = query_run(&rewind);
    if (result < 0)
        return result;
    struct query q = query_start(db, OP_OUTBOX_REOPEN);
    bind_int(&q, target);
    bind_int(&q, from_arrival);
    return query_run(&q);
}

int db_outbox_held(struct db *db, int64_t target, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, OP_OUTBOX_HELD, target, read_numbers, fn, ctx);
}

int db_outbox_refused(struct db *db, int64_t target, db_outbox_refused_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_OUTBOX_REFUSED);
    bind_int(&q, target);
    int result;
    while ((result = query_step(&q)) == 1) {
        struct db_record record;
        read_numbers(q.statement, &record);
        int stop = fn(ctx, &record, (const char *)sqlite3_column_text(q.statement, 5));
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

/* ---- reviews on their way to the node ---- */

int db_outgoing_add(struct db *db, const struct db_outgoing *outgoing, int64_t *id_out)
{
    struct query q = query_start(db, OP_OUTGOING_ADD);
    bind_ref(&q, outgoing->commune, &outgoing->ref);
    bind_int(&q, outgoing->state);
    bind_text(&q, outgoing->text);
    int result = query_run(&q);
    if (result == 0)
        *id_out = sqlite3_last_insert_rowid(db->handle);
    return result;
}

int db_outgoing_list(struct db *db, db_outgoing_fn fn, void *ctx)
{
    struct query q = query_start(db, OP_OUTGOING_LIST);
    int result;
    while ((result = query_step(&q)) == 1) {
        sqlite3_stmt *s = q.statement;
        struct db_outgoing outgoing = {
            .id = sqlite3_column_int64(s, 0),
            .commune = sqlite3_column_int64(s, 1),
            .ref = { .author = (uint16_t)sqlite3_column_int(s, 2),
                     .lane = (uint8_t)sqlite3_column_int(s, 3),
                     .seq = (uint32_t)sqlite3_column_int64(s, 4) },
            .state = (uint8_t)sqlite3_column_int(s, 5),
            .text = (const char *)sqlite3_column_text(s, 6),
            .error = (const char *)sqlite3_column_text(s, 7),
        };
        int stop = fn(ctx, &outgoing);
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_outgoing_error(struct db *db, int64_t id, const char *error)
{
    struct query q = query_start(db, OP_OUTGOING_ERROR);
    bind_int(&q, id);
    bind_text(&q, error);
    return query_run(&q);
}

int db_outgoing_delete(struct db *db, int64_t id)
{
    struct query q = query_start(db, OP_OUTGOING_DELETE);
    bind_int(&q, id);
    return query_run(&q);
}
