#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/db_engine.h"

enum {
    APPLICATION_ID = 0x4b454e47, /* "KENG" */
    URI_LEN_MAX = 3 * 4096 + 64,
};

static const char *const SQL[DB_OP_COUNT] = {
#define OP(name, sql) [DB_OP_##name] = sql,
#define OP2(name, sqlite, postgres) [DB_OP_##name] = sqlite,
#include "gateway/db_ops.h"
#undef OP
#undef OP2
};

struct db_sqlite {
    struct db base;
    sqlite3 *handle;
    sqlite3_stmt *statements[DB_OP_COUNT];
    bool wide; /* has room for many records at once */
};

static struct db_sqlite *engine_of(struct db *db)
{
    return (struct db_sqlite *)db;
}

static sqlite3_stmt *statement_of(const struct db_query *q)
{
    return engine_of(q->db)->statements[q->op];
}

static int fail(struct db_sqlite *s, int rc)
{
    snprintf(s->base.err, sizeof s->base.err, "database: %s",
             s->handle ? sqlite3_errmsg(s->handle) : sqlite3_errstr(rc));
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

static int execute(struct db_sqlite *s, const char *sql)
{
    int rc = sqlite3_exec(s->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail(s, rc);
}

static void stop(struct db_query *q)
{
    sqlite3_stmt *statement = statement_of(q);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

/* Everything bound is borrowed until the query ends, as db_engine.h says. */
static int bind(sqlite3_stmt *statement, int index, const struct db_value *value)
{
    switch (value->type) {
    case DB_INT:
        return sqlite3_bind_int64(statement, index, value->number);
    case DB_BLOB:
        return sqlite3_bind_blob64(statement, index, value->bytes, value->len, SQLITE_STATIC);
    case DB_TEXT:
        return sqlite3_bind_text64(statement, index, value->bytes, value->len, SQLITE_STATIC,
                                   SQLITE_UTF8);
    }
    return SQLITE_MISUSE;
}

static int start(struct db_sqlite *s, struct db_query *q)
{
    sqlite3_stmt **statement = &s->statements[q->op];
    int rc = SQLITE_OK;
    if (!*statement)
        rc = sqlite3_prepare_v3(s->handle, SQL[q->op], -1, SQLITE_PREPARE_PERSISTENT, statement,
                                NULL);
    for (unsigned i = 0; i < q->bound && rc == SQLITE_OK; i++)
        rc = bind(*statement, (int)i + 1, &q->values[i]);
    q->running = true;
    return rc;
}

static int step(struct db_query *q)
{
    struct db_sqlite *s = engine_of(q->db);
    int rc = q->running ? SQLITE_OK : start(s, q);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s->statements[q->op]);
    if (rc == SQLITE_ROW)
        return 1;
    int result = rc == SQLITE_DONE ? 0 : fail(s, rc);
    stop(q);
    return result;
}

/* A million records touch more pages of the indexes than 2 MB hold, and the same ones again and
 * again: they are kept, and copied from the log into the database less often. */
static int widen(struct db_sqlite *s)
{
    int result = s->wide ? 0 : execute(s, "PRAGMA cache_size = -32768;"
                                          "PRAGMA wal_autocheckpoint = 8192");
    s->wide = result == 0;
    return result;
}

static int bulk(struct db *db, const struct db_record *records, size_t count, int64_t *position,
                bool *taken_out)
{
    int widened = widen(engine_of(db));
    if (widened < 0)
        return widened;
    for (size_t i = 0; i < count; i++) {
        struct db_query q = { .db = db, .op = DB_OP_RECORD_ADD };
        db_bind_record(&q, &records[i], *position);
        int result = step(&q);
        if (result < 0)
            return result;
        taken_out[i] = sqlite3_changes(engine_of(db)->handle) == 0;
        *position += !taken_out[i];
    }
    return 0;
}

static int64_t column_int(const struct db_query *q, int column)
{
    return sqlite3_column_int64(statement_of(q), column);
}

static const void *column_bytes(const struct db_query *q, int column, size_t *len_out)
{
    sqlite3_stmt *statement = statement_of(q);
    const void *bytes = sqlite3_column_type(statement, column) == SQLITE_TEXT
                            ? (const void *)sqlite3_column_text(statement, column)
                            : sqlite3_column_blob(statement, column);
    *len_out = (size_t)sqlite3_column_bytes(statement, column);
    return bytes ? bytes : "";
}

static int begin(struct db *db)
{
    return execute(engine_of(db), "BEGIN IMMEDIATE");
}

static int commit(struct db *db)
{
    return execute(engine_of(db), "COMMIT");
}

static void roll_back(struct db *db)
{
    struct db_sqlite *s = engine_of(db);
    /* Some errors roll back by themselves; a second rollback would only complain. */
    if (!sqlite3_get_autocommit(s->handle))
        (void)sqlite3_exec(s->handle, "ROLLBACK", NULL, NULL, NULL);
}

static int read_pragma(struct db_sqlite *s, const char *sql, int64_t *value_out)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(s->handle, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *value_out = sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_OK ? 0 : fail(s, rc);
}

static int version(struct db *db, int64_t *version_out)
{
    struct db_sqlite *s = engine_of(db);
    int64_t application = 0;
    int result = read_pragma(s, "PRAGMA user_version", version_out);
    if (result == 0)
        result = read_pragma(s, "PRAGMA application_id", &application);
    if (result == 0 && *version_out != 0 && application != APPLICATION_ID) {
        snprintf(db->err, sizeof db->err, "this is a database of another program");
        result = DB_EDISK;
    }
    return result;
}

static int migrate(struct db *db, const char *sql, int to_version)
{
    struct db_sqlite *s = engine_of(db);
    char marks[96];
    int64_t now = 0;
    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             (int)APPLICATION_ID, to_version);
    int result = begin(db);
    if (result == 0)
        result = version(db, &now);
    /* Somebody else may have taken the step while we waited for the lock. */
    if (result == 0 && now < to_version) {
        result = execute(s, sql);
        if (result == 0)
            result = execute(s, marks);
    }
    if (result == 0)
        result = commit(db);
    if (result < 0)
        roll_back(db);
    return result;
}

static void close_db(struct db *db)
{
    struct db_sqlite *s = engine_of(db);
    for (int i = 0; i < DB_OP_COUNT; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->handle);
    free(s);
}

static const struct db_engine ENGINE = {
    .words = {
        [DB_WORD_INT] = "INTEGER",
        [DB_WORD_ID] = "INTEGER PRIMARY KEY",
        [DB_WORD_LASTING_ID] = "INTEGER PRIMARY KEY AUTOINCREMENT",
        [DB_WORD_BYTES] = "BLOB",
        [DB_WORD_TEXT] = "TEXT",
        [DB_WORD_BY_KEY] = " WITHOUT ROWID",
    },
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

/* sqlite3's URI form, so that psow can be switched off. */
static bool make_uri(const char *path, char *uri, size_t cap)
{
    struct { char *at, *end; } w = { uri, uri + cap };
    /* A host, empty, where the path begins with a slash: two of them would name one. */
    w.at += snprintf(uri, cap, "file:%s", *path == '/' ? "//" : "");
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

/* The order matters: synchronous before the journal mode, so that the very first pages are synced
 * too; the checkpoint leaves no old log to be replayed over newer pages.  Of two that open a new
 * database SQLite lets neither wait for the other's switch of the mode: one must step back.  Only
 * then there is a timeout, as a checkpoint that waits for readers keeps writers out meanwhile. */
static int set_up(struct db_sqlite *s)
{
    enum { STEP_MS = 20 };
    int result, waited_ms = 0;
    do {
        result = execute(s, "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL;"
                            "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA foreign_keys = ON");
    } while (result == DB_EBUSY && (waited_ms += sqlite3_sleep(STEP_MS)) < DB_BUSY_TIMEOUT_MS);
    int rc = sqlite3_busy_timeout(s->handle, DB_BUSY_TIMEOUT_MS);
    return rc == SQLITE_OK ? result : fail(s, rc);
}

int db_sqlite_open(const char *path, struct db **db_out)
{
    struct db_sqlite *s = calloc(1, sizeof *s);
    if (!s)
        return DB_ENOMEM;
    s->base.engine = &ENGINE;
    *db_out = &s->base;
    char uri[URI_LEN_MAX];
    if (!make_uri(path, uri, sizeof uri)) {
        snprintf(s->base.err, sizeof s->base.err, "the path is too long");
        return DB_EDISK;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI |
                SQLITE_OPEN_NOMUTEX; /* a handle is one thread's */
    int rc = sqlite3_open_v2(uri, &s->handle, flags, NULL);
    return rc == SQLITE_OK ? set_up(s) : fail(s, rc);
}
