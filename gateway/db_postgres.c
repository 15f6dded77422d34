#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/db_engine.h"
#include "proto/bytes.h"
#include "proto/report.h"

enum {
    SQL_LEN_MAX = 4096,
    NAME_LEN = 16,
    PORTION_COUNT = 1000, /* rows of a long answer that are fetched at once */
    PARTITION_COUNT_MAX = 64,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_TEXT = 25,
};

static const char *const SQL[DB_OP_COUNT] = {
#define OP(name, sql) [DB_OP_##name] = sql,
#define OP2(name, sqlite, postgres) [DB_OP_##name] = postgres,
#include "gateway/db_ops.h"
#undef OP
#undef OP2
};

/* One operation: whether the server knows it, and the rows at hand while it runs. */
struct operation {
    bool prepared, cursor;
    PGresult *rows;
    int row; /* the current one */
};

struct db_postgres {
    struct db base;
    PGconn *conn;
    bool in_transaction;
    struct operation operations[DB_OP_COUNT];
    uint32_t top[AUTHOR_MAX + 1]; /* scratch: of each author the highest number */
    uint8_t seen[REPORT_EVENT_MAX / 8 + 1]; /* events whose partition was looked after */
};

static struct db_postgres *engine_of(struct db *db)
{
    return (struct db_postgres *)db;
}

/* The first line; what PostgreSQL adds about statement and position is of no use to an operator. */
static int fail(struct db_postgres *p, const PGresult *result)
{
    const char *text = result ? PQresultErrorMessage(result) : PQerrorMessage(p->conn);
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (!text || !*text)
        text = PQerrorMessage(p->conn);
    snprintf(p->base.err, sizeof p->base.err, "database: %.*s", (int)strcspn(text, "\n"), text);
    if (!state)
        return DB_EDISK;
    /* No lock in time, chosen to end a deadlock, too many clients. */
    if (strcmp(state, "55P03") == 0 || strcmp(state, "40P01") == 0 || strcmp(state, "53300") == 0)
        return DB_EBUSY;
    return strcmp(state, "53200") == 0 ? DB_ENOMEM : DB_EDISK;
}

/* Takes over the result.  0, or an error. */
static int judge(struct db_postgres *p, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    int judged = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : fail(p, result);
    PQclear(result);
    return judged;
}

static int execute(struct db_postgres *p, const char *sql)
{
    return judge(p, PQexec(p->conn, sql));
}

/* What every connection is told: an answered commit is on the disk, and nobody waits for ever. */
static int set_up(struct db_postgres *p)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SET synchronous_commit = on; SET lock_timeout = %d;"
             "SET client_min_messages = error", (int)DB_BUSY_TIMEOUT_MS);
    return execute(p, sql);
}

static void forget(struct db_postgres *p)
{
    for (int i = 0; i < DB_OP_COUNT; i++) {
        PQclear(p->operations[i].rows);
        p->operations[i] = (struct operation){ .prepared = false };
    }
}

static bool is_reading(const struct db_postgres *p)
{
    for (int i = 0; i < DB_OP_COUNT; i++)
        if (p->operations[i].rows)
            return true;
    return false;
}

/* A server that was restarted is found again, but never in the middle of a transaction, whose first
 * half is lost, or of a longer answer: the caller must hear of it. */
static int reconnect(struct db_postgres *p)
{
    if (PQstatus(p->conn) == CONNECTION_OK)
        return 0;
    if (p->in_transaction || is_reading(p)) {
        snprintf(p->base.err, sizeof p->base.err, "database: the connection was lost");
        return DB_EDISK;
    }
    forget(p);
    PQreset(p->conn);
    return PQstatus(p->conn) == CONNECTION_OK ? set_up(p) : fail(p, NULL);
}

/* ---- queries ---- */

/* ?1 becomes $1. */
static void dollar(const char *sql, char text[static SQL_LEN_MAX])
{
    size_t len = strlen(sql);
    assert(len < SQL_LEN_MAX); /* our own table */
    for (size_t i = 0; i <= len; i++)
        text[i] = sql[i] == '?' ? '$' : sql[i];
}

struct parameters {
    Oid types[DB_PARAM_COUNT_MAX];
    const char *values[DB_PARAM_COUNT_MAX];
    int lens[DB_PARAM_COUNT_MAX], formats[DB_PARAM_COUNT_MAX];
    uint8_t numbers[DB_PARAM_COUNT_MAX][8];
};

static void make_parameters(const struct db_query *q, struct parameters *out)
{
    for (unsigned i = 0; i < q->bound; i++) {
        const struct db_value *value = &q->values[i];
        out->formats[i] = 1;
        out->lens[i] = (int)value->len;
        out->values[i] = value->bytes;
        switch (value->type) {
        case DB_INT:
            store64_be(out->numbers[i], (uint64_t)value->number);
            out->values[i] = (const char *)out->numbers[i];
            out->lens[i] = 8;
            out->types[i] = OID_INT8;
            break;
        case DB_BLOB: out->types[i] = OID_BYTEA; break;
        case DB_TEXT: out->types[i] = OID_TEXT; break;
        }
    }
}

static PGresult *run_prepared(struct db_postgres *p, const struct db_query *q,
                              const struct parameters *args)
{
    char name[NAME_LEN];
    snprintf(name, sizeof name, "op%d", (int)q->op);
    struct operation *o = &p->operations[q->op];
    if (!o->prepared) {
        char sql[SQL_LEN_MAX];
        dollar(SQL[q->op], sql);
        PGresult *result = PQprepare(p->conn, name, sql, (int)q->bound, args->types);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            return result;
        PQclear(result);
        o->prepared = true;
    }
    return PQexecPrepared(p->conn, name, (int)q->bound, args->values, args->lens, args->formats, 1);
}

/* A cursor that outlives transactions: the server keeps the rows, not we. */
static PGresult *run_cursor(struct db_postgres *p, const struct db_query *q,
                            const struct parameters *args)
{
    char sql[SQL_LEN_MAX], text[SQL_LEN_MAX + 64];
    dollar(SQL[q->op], sql);
    snprintf(text, sizeof text, "DECLARE op%d NO SCROLL CURSOR %s FOR %s", (int)q->op,
             PQtransactionStatus(p->conn) == PQTRANS_IDLE ? "WITH HOLD" : "", sql);
    PGresult *result = PQexecParams(p->conn, text, (int)q->bound, args->types, args->values,
                                    args->lens, args->formats, 1);
    p->operations[q->op].cursor = PQresultStatus(result) == PGRES_COMMAND_OK;
    return result;
}

static PGresult *fetch(struct db_postgres *p, enum db_op op)
{
    char text[64];
    snprintf(text, sizeof text, "FETCH %d FROM op%d", (int)PORTION_COUNT, (int)op);
    return PQexecParams(p->conn, text, 0, NULL, NULL, NULL, NULL, 1);
}

static void stop(struct db_query *q)
{
    struct db_postgres *p = engine_of(q->db);
    struct operation *o = &p->operations[q->op];
    PQclear(o->rows);
    o->rows = NULL;
    if (o->cursor) {
        char text[32];
        snprintf(text, sizeof text, "CLOSE op%d", (int)q->op);
        /* In a failed transaction it is gone already.  If the connection is, reconnect() tells. */
        PQclear(PQexec(p->conn, text));
        o->cursor = false;
    }
}

static int start(struct db_postgres *p, struct db_query *q)
{
    struct parameters args;
    struct operation *o = &p->operations[q->op];
    int result = reconnect(p);
    if (result < 0)
        return result;
    make_parameters(q, &args);
    q->running = true;
    o->row = -1;
    if (q->size == DB_FEW) {
        o->rows = run_prepared(p, q, &args);
        return 0;
    }
    result = judge(p, run_cursor(p, q, &args));
    if (result == 0)
        o->rows = fetch(p, q->op);
    return result;
}

static int step(struct db_query *q)
{
    struct db_postgres *p = engine_of(q->db);
    struct operation *o = &p->operations[q->op];
    int result = q->running ? 0 : start(p, q);
    if (result == 0 && o->cursor && o->row + 1 == PORTION_COUNT) {
        PQclear(o->rows);
        o->rows = fetch(p, q->op);
        o->row = -1;
    }
    if (result == 0) {
        ExecStatusType status = PQresultStatus(o->rows);
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
            result = fail(p, o->rows);
        else if (++o->row < PQntuples(o->rows))
            return 1;
    }
    stop(q);
    return result;
}

static int64_t column_int(const struct db_query *q, int column)
{
    const struct operation *o = &engine_of(q->db)->operations[q->op];
    const uint8_t *at = (const uint8_t *)PQgetvalue(o->rows, o->row, column);
    switch (PQgetlength(o->rows, o->row, column)) {
    case 1: return at[0];
    case 2: return (int16_t)load16_be(at);
    case 4: return (int32_t)load32_be(at);
    case 8: return (int64_t)load64_be(at);
    default: return 0; /* NULL */
    }
}

static const void *column_bytes(const struct db_query *q, int column, size_t *len_out)
{
    const struct operation *o = &engine_of(q->db)->operations[q->op];
    *len_out = (size_t)PQgetlength(o->rows, o->row, column);
    return PQgetvalue(o->rows, o->row, column);
}

/* ---- many records at once ---- */

/* Of the table record, with the length of each number there. */
#define COPIED_COLUMNS                                                                            \
    "received_ms, position, rank, via, commune, created_min, seq, author, village, event, lane,"  \
    " variant, kind, priority, clock_set, own_village, drill, readable, bytes, words"
static const uint8_t COPIED_LENS[] = { 8, 8, 8, 8, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2 };

enum {
    COPIED_NUMBER_COUNT = sizeof COPIED_LENS,
    COPY_ROW_LEN_MAX = 2 + COPIED_NUMBER_COUNT * (4 + 8) + 4 + RECORD_LEN_MAX + 4 +
                       DB_WORDS_LEN_MAX,
};

static void copy_number(struct bytes_writer *w, size_t len, int64_t value)
{
    write_u32(w, (uint32_t)len);
    if (len == 8)
        write_u64(w, (uint64_t)value);
    else if (len == 4)
        write_u32(w, (uint32_t)value);
    else
        write_u16(w, (uint16_t)value);
}

/* One row of COPY's binary format. */
static size_t copy_row(const struct db_record *r, int64_t position, uint8_t row[COPY_ROW_LEN_MAX])
{
    struct bytes_writer w = bytes_writer(row, COPY_ROW_LEN_MAX);
    const int64_t numbers[COPIED_NUMBER_COUNT] = {
        r->received_ms, position, db_fresh_rank(r), r->via, r->commune, r->created_min, r->ref.seq,
        r->ref.author, r->village, r->event, r->ref.lane, r->variant, r->kind, r->priority,
        r->clock_set, r->own_village, r->drill, r->readable,
    };
    const char *words = r->words ? r->words : "";
    size_t words_len = strlen(words);
    write_u16(&w, COPIED_NUMBER_COUNT + 2);
    for (size_t i = 0; i < COPIED_NUMBER_COUNT; i++)
        copy_number(&w, COPIED_LENS[i], numbers[i]);
    write_u32(&w, (uint32_t)r->len);
    write_bytes(&w, r->bytes, r->len);
    write_u32(&w, (uint32_t)words_len);
    write_bytes(&w, (const uint8_t *)words, words_len);
    return bytes_written(&w);
}

/* Those not taken, in their order, which is that of their places and arrivals. */
static int copy_in(struct db_postgres *p, const struct db_record *records, size_t count,
                   const bool *taken, int64_t *position)
{
    static const char HEADER[19] = "PGCOPY\n\377\r\n"; /* signature 11, flags 4, extension 4 */
    PGresult *started = PQexec(p->conn, "COPY record (" COPIED_COLUMNS ") FROM STDIN BINARY");
    if (PQresultStatus(started) != PGRES_COPY_IN)
        return judge(p, started);
    PQclear(started);
    bool sent = PQputCopyData(p->conn, HEADER, sizeof HEADER) == 1;
    for (size_t i = 0; i < count && sent; i++) {
        uint8_t row[COPY_ROW_LEN_MAX];
        size_t len = taken[i] ? 0 : copy_row(&records[i], *position, row);
        sent = len == 0 || PQputCopyData(p->conn, (const char *)row, (int)len) == 1;
        *position += !taken[i];
    }
    if (!sent || PQputCopyEnd(p->conn, NULL) != 1)
        return fail(p, NULL);
    int result = judge(p, PQgetResult(p->conn));
    PGresult *more;
    while ((more = PQgetResult(p->conn)))
        PQclear(more);
    return result;
}

/* The highest number held of each author in records, into p->top. */
static int find_tops(struct db_postgres *p, const struct db_record *records, size_t count)
{
    enum { NUMBER_LEN = 6 };
    char *list = malloc(count * NUMBER_LEN + 3), commune[24];
    const char *values[] = { commune, list };
    if (!list)
        return DB_ENOMEM;
    size_t len = 0;
    memset(p->top, 0, sizeof p->top);
    for (size_t i = 0; i < count; i++) {
        uint16_t author = records[i].ref.author;
        if (p->top[author] == 0)
            len += (size_t)snprintf(list + len, NUMBER_LEN + 1, "%c%u", len ? ',' : '{',
                                    (unsigned)author);
        p->top[author] = 1;
    }
    memcpy(list + len, "}", 2);
    snprintf(commune, sizeof commune, "%lld", (long long)records[0].commune);
    PGresult *rows = PQexecParams(p->conn, "SELECT a.author::bigint, (SELECT max(r.seq) FROM record"
        " r WHERE r.commune = $1::bigint AND r.author = a.author AND r.lane = 0)::bigint"
        " FROM unnest($2::integer[]) a(author)", 2, NULL, values, NULL, NULL, 1);
    memset(p->top, 0, sizeof p->top);
    for (int i = 0; i < PQntuples(rows); i++) {
        uint64_t author = load64_be((const uint8_t *)PQgetvalue(rows, i, 0));
        if (author <= AUTHOR_MAX && !PQgetisnull(rows, i, 1))
            p->top[author] = (uint32_t)load64_be((const uint8_t *)PQgetvalue(rows, i, 1));
    }
    free(list);
    return judge(p, rows);
}

/* Logs grow at their end: what is above its author's highest number is new for sure.  Anything else
 * is called taken, which has it looked at one by one. */
static int find_taken(struct db_postgres *p, const struct db_record *records, size_t count,
                      bool *taken_out)
{
    int result = find_tops(p, records, count);
    for (size_t i = 0; i < count && result == 0; i++) {
        uint32_t *top = &p->top[records[i].ref.author];
        taken_out[i] = records[i].ref.seq <= *top;
        if (!taken_out[i])
            *top = records[i].ref.seq;
    }
    return result;
}

/* Makes the partition of an event of which there is none yet, and moves there what was put into the
 * default one meanwhile.  A hostile member can name many events: beyond so many they share the
 * default partition. */
static int open_partition(struct db_postgres *p, uint32_t event)
{
    char sql[768];
    if (event == 0 || event > REPORT_EVENT_MAX || p->seen[event / 8] >> (event % 8) & 1)
        return 0;
    snprintf(sql, sizeof sql, "SELECT to_regclass('record_event_%u') IS NOT NULL OR (SELECT"
             " count(*) FROM pg_inherits WHERE inhparent = 'record'::regclass) > %d",
             (unsigned)event, (int)PARTITION_COUNT_MAX);
    PGresult *rows = PQexec(p->conn, sql);
    bool made = PQntuples(rows) == 1 && PQgetvalue(rows, 0, 0)[0] == 't';
    int result = judge(p, rows);
    if (result == 0 && !made) {
        unsigned e = (unsigned)event;
        snprintf(sql, sizeof sql, "CREATE TABLE record_event_%u (LIKE record INCLUDING ALL);"
                 "WITH moved AS (DELETE FROM record_default WHERE event = %u RETURNING *)"
                 " INSERT INTO record_event_%u SELECT * FROM moved;"
                 "ALTER TABLE record ATTACH PARTITION record_event_%u FOR VALUES IN (%u)",
                 e, e, e, e, e);
        result = execute(p, sql);
    }
    if (result == 0)
        p->seen[event / 8] |= (uint8_t)(1u << (event % 8));
    return result;
}

static int bulk(struct db *db, const struct db_record *records, size_t count, int64_t *position,
                bool *taken_out)
{
    struct db_postgres *p = engine_of(db);
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = open_partition(p, records[i].event);
    if (result == 0)
        result = find_taken(p, records, count, taken_out);
    return result < 0 ? result : copy_in(p, records, count, taken_out, position);
}

/* ---- transactions ---- */

/* One writer at a time, as in SQLite: what was read in a transaction still holds when it writes.
 * The lock is the schema's, so that two ledgers in one database do not wait for each other. */
static int begin(struct db *db)
{
    struct db_postgres *p = engine_of(db);
    int result = reconnect(p);
    if (result == 0)
        result = execute(p, "BEGIN");
    if (result == 0)
        result = execute(p, "SELECT pg_advisory_xact_lock(hashtext('keng'),"
                            " hashtext(current_schema()))");
    p->in_transaction = result == 0;
    if (result < 0)
        PQclear(PQexec(p->conn, "ROLLBACK")); /* keeps the reason */
    return result;
}

static int commit(struct db *db)
{
    struct db_postgres *p = engine_of(db);
    PGresult *result = PQexec(p->conn, "COMMIT");
    p->in_transaction = false;
    /* A transaction that had failed is rolled back by COMMIT, which then does not complain. */
    if (PQresultStatus(result) == PGRES_COMMAND_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        snprintf(db->err, sizeof db->err, "database: the transaction had failed before");
        PQclear(result);
        return DB_EDISK;
    }
    return judge(p, result);
}

static void roll_back(struct db *db)
{
    struct db_postgres *p = engine_of(db);
    memset(p->seen, 0, sizeof p->seen); /* a partition made in it is gone */
    p->in_transaction = false;
    if (PQtransactionStatus(p->conn) != PQTRANS_IDLE)
        PQclear(PQexec(p->conn, "ROLLBACK"));
}

/* 0 where there is no table of versions yet: who makes one holds the lock. */
static int version(struct db *db, int64_t *version_out)
{
    struct db_postgres *p = engine_of(db);
    /* Not to_regclass(), which goes on saying what was so before the lock. */
    PGresult *rows = PQexec(p->conn, "SELECT FROM pg_class WHERE relname = 'keng_schema'"
                            " AND relnamespace = current_schema()::regnamespace");
    bool none = PQntuples(rows) == 0;
    int result = judge(p, rows);
    *version_out = 0;
    if (result < 0 || none)
        return result;
    rows = PQexecParams(p->conn, "SELECT max(version) FROM keng_schema", 0, NULL, NULL, NULL, NULL,
                        1);
    if (PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0))
        *version_out = (int32_t)load32_be((const uint8_t *)PQgetvalue(rows, 0, 0));
    return judge(p, rows);
}

static int migrate(struct db *db, const char *sql, int to_version)
{
    struct db_postgres *p = engine_of(db);
    int64_t now = 0;
    int result = begin(db);
    if (result == 0)
        result = version(db, &now);
    /* Somebody else may have taken the step while we waited for the lock. */
    if (result == 0 && now < to_version) {
        char mark[160];
        snprintf(mark, sizeof mark, "CREATE TABLE IF NOT EXISTS keng_schema (version INTEGER"
                 " NOT NULL); INSERT INTO keng_schema (version) VALUES (%d)", to_version);
        result = execute(p, sql);
        if (result == 0)
            result = execute(p, mark);
    }
    if (result == 0)
        result = commit(db);
    if (result < 0)
        roll_back(db);
    return result;
}

static void close_db(struct db *db)
{
    struct db_postgres *p = engine_of(db);
    forget(p);
    PQfinish(p->conn);
    free(p);
}

static const struct db_engine ENGINE = {
    .words = {
        [DB_WORD_INT] = "BIGINT",
        [DB_WORD_ID] = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        [DB_WORD_LASTING_ID] = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        [DB_WORD_BYTES] = "BYTEA",
        [DB_WORD_TEXT] = "TEXT COLLATE \"C\"",
        [DB_WORD_BY_KEY] = "",
    },
    .own_sql = true,
    .close = close_db,
    .version = version,
    .migrate = migrate,
    .begin = begin,
    .commit = commit,
    .rollback = roll_back,
    .step = step,
    .stop = stop,
    .bulk = bulk,
    .column_int = column_int,
    .column_bytes = column_bytes,
};

int db_postgres_open(const char *url, struct db **db_out)
{
    struct db_postgres *p = calloc(1, sizeof *p);
    if (!p)
        return DB_ENOMEM;
    p->base.engine = &ENGINE;
    *db_out = &p->base;
    p->conn = PQconnectdb(url);
    if (PQstatus(p->conn) != CONNECTION_OK)
        return fail(p, NULL);
    return set_up(p);
}
