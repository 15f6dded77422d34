/* db_engine.h - what a database engine gives to db.c, and how db.c asks an operation.
 *
 * Inside the database only: db.c (the operations), db_migrate.c (the schema), db_sqlite.c and
 * db_postgres.c, which alone know their libraries.
 *
 * A query is started with the name of its operation (db_ops.h), its parameters are bound in order,
 * then it is stepped; the engine prepares it at the first use and keeps it.
 *
 * Memory    Bound bytes are borrowed until the query ends; column bytes live until the next step.
 *           DB_MANY: rows are fetched in portions, however many there are.
 * Errors    0 (db_query_step: 1 for a row) or a negative enum db_err, one line in db->err.
 */
#ifndef KENG_GATEWAY_DB_ENGINE_H
#define KENG_GATEWAY_DB_ENGINE_H

#include "gateway/db.h"

enum {
    DB_PARAM_COUNT_MAX = 24,
    DB_BUSY_TIMEOUT_MS = 2000, /* how long a writer waits for another one */
};

enum db_op {
#define OP(name, sql) DB_OP_##name,
#define OP2(name, sqlite, postgres) DB_OP_##name,
#include "gateway/db_ops.h"
#undef OP
#undef OP2
    DB_OP_COUNT,
};

enum db_type { DB_INT, DB_BLOB, DB_TEXT };

struct db_value {
    enum db_type type;
    int64_t number;
    const void *bytes; /* NULL: SQL NULL */
    size_t len;
};

/* What the engines call differently in a migration: $INT, $ID given out, $LASTING_ID never given
 * out twice, $BYTES, $TEXT compared byte by byte, $BY_KEY the end of a table stored in the order of
 * its key. */
enum db_word { DB_WORD_INT, DB_WORD_ID, DB_WORD_LASTING_ID, DB_WORD_BYTES, DB_WORD_TEXT,
               DB_WORD_BY_KEY, DB_WORD_COUNT };

enum db_size { DB_FEW, DB_MANY };

struct db_query {
    struct db *db;
    enum db_op op;
    enum db_size size;
    unsigned bound;
    bool running; /* the engine's: it was stepped before */
    struct db_value values[DB_PARAM_COUNT_MAX];
};

struct db_engine {
    const char *words[DB_WORD_COUNT];
    bool own_sql; /* takes the second text where there is one */
    void (*close)(struct db *db);
    /* The number of the schema's last step; 0: the database is empty.  Refuses what is not ours. */
    int (*version)(struct db *db, int64_t *version_out);
    /* Takes one step and notes its number, in one transaction. */
    int (*migrate)(struct db *db, const char *sql, int version);
    int (*begin)(struct db *db);
    int (*commit)(struct db *db);
    void (*rollback)(struct db *db);
    /* 1: a row, 0: no more.  After anything but 1 the query is over. */
    int (*step)(struct db_query *q);
    void (*stop)(struct db_query *q);
    int64_t (*column_int)(const struct db_query *q, int column); /* NULL reads as 0 */
    /* As db_record_bulk(), places from *position on, which is moved on. */
    int (*bulk)(struct db *db, const struct db_record *records, size_t count, int64_t *position,
                bool *taken_out);
    /* NUL follows the bytes; NULL reads as no bytes. */
    const void *(*column_bytes)(const struct db_query *q, int column, size_t *len_out);
};

struct db {
    const struct db_engine *engine;
    char err[DB_ERR_LEN];
};

/* The parameters RECORD_COLUMNS names, in their order. */
void db_bind_record(struct db_query *q, const struct db_record *record, int64_t position);
/* The place on the board before any answer. */
unsigned db_fresh_rank(const struct db_record *record);

/* db.err says why when it fails; the caller closes *db_out all the same unless it is NULL. */
int db_sqlite_open(const char *path, struct db **db_out);
int db_postgres_open(const char *url, struct db **db_out);

/* Brings the schema up to a version of this program: the newest, or an older one to try the steps
 * from there. */
int db_migrate(struct db *db, int to_version);
/* All statements of one step in the engine's words; false: longer than cap. */
enum { DB_STEP_LEN_MAX = 8192 };
bool db_step_text(const struct db *db, int version, char *text, size_t cap);

#endif
