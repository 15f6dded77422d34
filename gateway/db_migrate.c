#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "gateway/db_engine.h"

/* Append only: what was released is never changed, moved or removed.  Statements with the same
 * version are one transaction.  Both engines take the same text after their words were put in (enum
 * db_word), unless PostgreSQL has one of its own. */
static const struct {
    int version;
    const char *sql;
    const char *postgres; /* NULL: the same */
} MIGRATIONS[] = {
    { 1, "CREATE TABLE commune ("
      " id $ID, network_id $BYTES NOT NULL UNIQUE, root_key $BYTES NOT NULL,"
      " name $TEXT NOT NULL DEFAULT '')", NULL },
    { 1, "CREATE TABLE record ("
      " arrival $LASTING_ID, commune $INT NOT NULL REFERENCES commune(id),"
      " author $INT NOT NULL, lane $INT NOT NULL, seq $INT NOT NULL,"
      " variant $INT NOT NULL, kind $INT NOT NULL, priority $INT NOT NULL,"
      " created_min $INT NOT NULL, clock_set $INT NOT NULL, received_ms $INT NOT NULL,"
      " village $INT NOT NULL, own_village $INT NOT NULL, event $INT NOT NULL,"
      " drill $INT NOT NULL, readable $INT NOT NULL, bytes $BYTES NOT NULL,"
      " UNIQUE (commune, author, lane, seq, variant))",
      /* A number is unique over all events by the writer's lock, see RECORD_INSERT: a partition's
       * index only knows its own.  The big columns last, the narrow ones without gaps. */
      "CREATE SEQUENCE record_arrival;"
      "CREATE TABLE record ("
      " arrival BIGINT NOT NULL DEFAULT nextval('record_arrival'), received_ms BIGINT NOT NULL,"
      " commune INTEGER NOT NULL, created_min INTEGER NOT NULL,"
      " seq INTEGER NOT NULL, author INTEGER NOT NULL, village INTEGER NOT NULL,"
      " event INTEGER NOT NULL, lane SMALLINT NOT NULL, variant SMALLINT NOT NULL,"
      " kind SMALLINT NOT NULL, priority SMALLINT NOT NULL, clock_set SMALLINT NOT NULL,"
      " own_village SMALLINT NOT NULL, drill SMALLINT NOT NULL, readable SMALLINT NOT NULL,"
      " bytes BYTEA NOT NULL,"
      " UNIQUE (commune, author, lane, seq, variant, event)) PARTITION BY LIST (event);"
      "CREATE INDEX record_by_arrival ON record (arrival);"
      "CREATE TABLE record_default PARTITION OF record DEFAULT" },
    { 1, "CREATE TABLE review ("
      " commune $INT NOT NULL, author $INT NOT NULL, lane $INT NOT NULL,"
      " seq $INT NOT NULL, state $INT NOT NULL, reviewer $INT NOT NULL,"
      " review_seq $INT NOT NULL, text $TEXT NOT NULL,"
      " PRIMARY KEY (commune, author, lane, seq))$BY_KEY", NULL },
    { 1, "CREATE TABLE pending ("
      " id $ID, commune $INT NOT NULL, author $INT NOT NULL,"
      " received_ms $INT NOT NULL, bytes $BYTES NOT NULL, UNIQUE (commune, author, bytes))", NULL },
    { 1, "CREATE TABLE refused ("
      " commune $INT NOT NULL, reason $TEXT NOT NULL, count $INT NOT NULL,"
      " last_ms $INT NOT NULL, sample $BYTES NOT NULL,"
      " PRIMARY KEY (commune, reason))$BY_KEY", NULL },
    { 1, "CREATE TABLE meta (key $TEXT PRIMARY KEY, value $INT NOT NULL)$BY_KEY", NULL },
    { 1, "CREATE TABLE target ("
      " id $ID, url $TEXT NOT NULL, commune $INT NOT NULL,"
      " cursor $INT NOT NULL DEFAULT 0, UNIQUE (url, commune))", NULL },
    { 1, "CREATE TABLE answer ("
      " target $INT NOT NULL, arrival $INT NOT NULL, reason $TEXT,"
      " PRIMARY KEY (target, arrival))$BY_KEY", NULL },
    { 1, "CREATE TABLE outgoing ("
      " id $LASTING_ID, commune $INT NOT NULL, author $INT NOT NULL,"
      " lane $INT NOT NULL, seq $INT NOT NULL, state $INT NOT NULL, text $TEXT NOT NULL,"
      " error $TEXT NOT NULL DEFAULT '')", NULL },
    { 2, "CREATE TABLE revoked ("
      " commune $INT NOT NULL, author $INT NOT NULL, from_seq $INT NOT NULL,"
      " PRIMARY KEY (commune, author))$BY_KEY", NULL },
    /* Where a log record stands among the commune's, in order of arrival: its leaf's place in the
     * tree that checkpoints are signed over.  -1: in none, because newer ones replace it. */
    { 3, "ALTER TABLE record ADD COLUMN position $INT NOT NULL DEFAULT -1", NULL },
    { 3, "ALTER TABLE commune ADD COLUMN position_next $INT NOT NULL DEFAULT 0", NULL },
    { 3, "UPDATE record SET position = n.position FROM (SELECT arrival, row_number() OVER"
      " (PARTITION BY commune ORDER BY arrival) - 1 AS position FROM record WHERE lane = 0) n"
      " WHERE n.arrival = record.arrival", NULL },
    { 3, "UPDATE commune SET position_next = (SELECT count(*) FROM record WHERE"
      " record.commune = commune.id AND record.lane = 0)", NULL },
    /* Blocks of batch files of which nothing is left to take in. */
    { 3, "CREATE TABLE block (hash $BYTES PRIMARY KEY)$BY_KEY", NULL },
    /* What sources signed about all they hold; two roots for one size prove that one lied. */
    { 3, "CREATE TABLE checkpoint ("
      " commune $INT NOT NULL, source $INT NOT NULL, size $INT NOT NULL, root $BYTES NOT NULL,"
      " created_min $INT NOT NULL, received_ms $INT NOT NULL, covered $INT NOT NULL,"
      " edge $BYTES NOT NULL, PRIMARY KEY (commune, source, size, root))$BY_KEY", NULL },
    /* What the board sorts and searches by; copies, like village and event. */
    { 4, "ALTER TABLE record ADD COLUMN rank $INT NOT NULL DEFAULT 0", NULL },
    { 4, "ALTER TABLE record ADD COLUMN via $INT NOT NULL DEFAULT 0", NULL },
    { 4, "ALTER TABLE record ADD COLUMN words $TEXT NOT NULL DEFAULT ''", NULL },
    { 4, "CREATE INDEX record_board ON record (rank, arrival) WHERE kind BETWEEN 1 AND 7", NULL },
    { 4, "CREATE TABLE review_log ("
      " commune $INT NOT NULL, author $INT NOT NULL, lane $INT NOT NULL, seq $INT NOT NULL,"
      " arrival $INT NOT NULL, PRIMARY KEY (commune, author, lane, seq, arrival))$BY_KEY", NULL },
    { 4, "ALTER TABLE outgoing ADD COLUMN kind $INT NOT NULL DEFAULT 17", NULL },
    { 4, "ALTER TABLE outgoing ADD COLUMN priority $INT NOT NULL DEFAULT 1", NULL },
    { 4, "ALTER TABLE outgoing ADD COLUMN body $BYTES", NULL },
    { 5, "CREATE INDEX record_other ON record (kind, arrival) WHERE kind >= 16", NULL },
    /* Quick reports.  number 0: a draft. */
    { 6, "CREATE TABLE quick ("
      " id $LASTING_ID, commune $INT NOT NULL, event $INT NOT NULL, drill $INT NOT NULL,"
      " number $INT NOT NULL, until_ms $INT NOT NULL, doc $TEXT NOT NULL)", NULL },
    /* What a province's root says of the communes' roots. */
    { 7, "CREATE TABLE unit ("
      " commune $INT NOT NULL PRIMARY KEY, code $TEXT NOT NULL, name $TEXT NOT NULL,"
      " into_code $TEXT NOT NULL, from_day $INT NOT NULL, until_day $INT NOT NULL,"
      " revoked_after $INT NOT NULL)$BY_KEY", NULL },
    /* Everything the board filters by, so that it is read without the rows; and the few second
     * halves of forks. */
    { 8, "DROP INDEX record_board", NULL },
    { 8, "CREATE INDEX record_board ON record (rank, arrival, commune, village, kind, priority,"
      " received_ms) WHERE kind BETWEEN 1 AND 7", NULL },
    { 8, "CREATE INDEX record_fork ON record (commune, author, lane, seq)"
      " WHERE variant = 1", NULL },
    /* Of each log: how much is here and when the last of it came. */
    { 8, "CREATE TABLE heard ("
      " commune $INT NOT NULL, author $INT NOT NULL, received_ms $INT NOT NULL, seq $INT NOT NULL,"
      " count $INT NOT NULL, PRIMARY KEY (commune, author))$BY_KEY", NULL },
    { 8, "INSERT INTO heard (commune, author, received_ms, seq, count)"
      " SELECT commune, author, max(received_ms), max(seq), count(*) FROM record"
      " WHERE lane = 0 AND variant = 0 GROUP BY commune, author", NULL },
    /* Which source's batch brought a record that is no report: it does not go down to him again. */
    { 9, "CREATE TABLE brought (arrival $INT PRIMARY KEY, source $INT NOT NULL)$BY_KEY", NULL },
    /* How far a receiver's records were taken, in its own words. */
    { 9, "ALTER TABLE target ADD COLUMN down $TEXT NOT NULL DEFAULT ''", NULL },
    /* Where answers say that a report belongs, and where its author said; -1: not moved. */
    { 10, "ALTER TABLE review ADD COLUMN village $INT NOT NULL DEFAULT 0", NULL },
    { 10, "DELETE FROM review WHERE EXISTS (SELECT 1 FROM revoked x WHERE"
      " x.commune = review.commune AND x.author = review.reviewer"
      " AND review.review_seq >= x.from_seq)", NULL },
    { 10, "ALTER TABLE record ADD COLUMN moved_from $INT NOT NULL DEFAULT -1", NULL },
    /* The words, too: a search for what is rare looks at all of them. */
    { 11, "DROP INDEX record_board", NULL },
    { 11, "CREATE INDEX record_board ON record (rank, arrival, commune, village, kind, priority,"
      " received_ms, words) WHERE kind BETWEEN 1 AND 7", NULL },
    /* By which way it came; whoever enrols its author did not bring it. */
    { 12, "ALTER TABLE pending ADD COLUMN via $INT NOT NULL DEFAULT 0", NULL },
    /* Calls for help that wait, as RESCUE_WAITING asks for them on every page. */
    { 13, "CREATE INDEX record_call ON record (arrival, received_ms) WHERE kind BETWEEN 1 AND 7"
      " AND rank >= 8 AND (kind = 4 OR priority = 3) AND drill = 0", NULL },
};
enum { MIGRATION_COUNT = sizeof MIGRATIONS / sizeof MIGRATIONS[0] };

static const char *const WORDS[DB_WORD_COUNT] = {
    [DB_WORD_INT] = "$INT",
    [DB_WORD_ID] = "$ID",
    [DB_WORD_LASTING_ID] = "$LASTING_ID",
    [DB_WORD_BYTES] = "$BYTES",
    [DB_WORD_TEXT] = "$TEXT",
    [DB_WORD_BY_KEY] = "$BY_KEY",
};

/* Appends sql with the engine's words to text; false: it is too long. */
static bool append_words(const struct db_engine *engine, const char *sql, char *text, size_t cap)
{
    size_t len = strlen(text);
    while (*sql && len + 1 < cap) {
        const char *piece = sql;
        size_t piece_len = 1;
        sql++;
        for (int i = 0; piece[0] == '$' && i < DB_WORD_COUNT; i++) {
            if (strncmp(piece, WORDS[i], strlen(WORDS[i])) == 0) {
                sql = piece + strlen(WORDS[i]);
                piece = engine->words[i];
                piece_len = strlen(piece);
                break;
            }
        }
        if (piece_len >= cap - len)
            return false;
        memcpy(text + len, piece, piece_len);
        len += piece_len;
    }
    text[len] = '\0';
    return *sql == '\0';
}

bool db_step_text(const struct db *db, int version, char *text, size_t cap)
{
    text[0] = '\0';
    for (int i = 0; i < MIGRATION_COUNT; i++) {
        if (MIGRATIONS[i].version != version)
            continue;
        const char *sql = MIGRATIONS[i].sql;
        if (db->engine->own_sql && MIGRATIONS[i].postgres)
            sql = MIGRATIONS[i].postgres;
        if (!append_words(db->engine, sql, text, cap) ||
            !append_words(db->engine, ";", text, cap))
            return false;
    }
    return true;
}

int db_newest_version(void)
{
    return MIGRATIONS[MIGRATION_COUNT - 1].version;
}

int db_migrate(struct db *db, int to_version)
{
    int newest = db_newest_version();
    int64_t version = 0;
    int result = db->engine->version(db, &version);
    if (result < 0)
        return result;
    if (version > newest) {
        snprintf(db->err, sizeof db->err, "the database was written by a newer program (version "
                 "%lld, this one knows %d): install that program", (long long)version, newest);
        return DB_ENEWER;
    }
    while (result >= 0 && version < to_version) {
        char text[DB_STEP_LEN_MAX];
        bool fits = db_step_text(db, (int)++version, text, sizeof text);
        assert(fits); /* our own table */
        (void)fits;
        result = db->engine->migrate(db, text, (int)version);
    }
    return result;
}
