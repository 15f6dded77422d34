#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/db_engine.h"
#include "proto/report.h"

/* As JUDGE in db_ops.h has them: the priority is added. */
enum { RANK_LOOKED_AT = PRIORITY_COUNT, RANK_WAITING = 2 * PRIORITY_COUNT };

/* ---- asking an operation ---- */

static struct db_query query_start(struct db *db, enum db_op op)
{
    return (struct db_query){ .db = db, .op = op, .size = DB_FEW };
}

/* For what may be as long as the ledger. */
static struct db_query query_many(struct db *db, enum db_op op)
{
    return (struct db_query){ .db = db, .op = op, .size = DB_MANY };
}

static void bind_value(struct db_query *q, struct db_value value)
{
    assert(q->bound < DB_PARAM_COUNT_MAX);
    q->values[q->bound++] = value;
}

static void bind_int(struct db_query *q, int64_t value)
{
    bind_value(q, (struct db_value){ .type = DB_INT, .number = value });
}

static void bind_blob(struct db_query *q, const uint8_t *bytes, size_t len)
{
    bind_value(q, (struct db_value){ .type = DB_BLOB, .bytes = bytes, .len = len });
}

/* NULL is SQL's NULL. */
static void bind_text(struct db_query *q, const char *text)
{
    bind_value(q, (struct db_value){ .type = DB_TEXT, .bytes = text,
                                     .len = text ? strlen(text) : 0 });
}

/* 1: a row, 0: no more, negative: error. */
static int query_step(struct db_query *q)
{
    return q->db->engine->step(q);
}

static void query_stop(struct db_query *q)
{
    q->db->engine->stop(q);
}

/* Runs an operation that gives no rows. */
static int query_run(struct db_query *q)
{
    int result = query_step(q);
    if (result == 1) {
        query_stop(q);
        result = 0;
    }
    return result;
}

static int64_t column_int(const struct db_query *q, int column)
{
    return q->db->engine->column_int(q, column);
}

static const uint8_t *column_blob(const struct db_query *q, int column, size_t *len_out)
{
    return q->db->engine->column_bytes(q, column, len_out);
}

static const char *column_text(const struct db_query *q, int column)
{
    size_t len;
    return q->db->engine->column_bytes(q, column, &len);
}

/* Bytes of a fixed length; others leave the array as it was. */
static void column_array(const struct db_query *q, int column, uint8_t *array_out, size_t want_len)
{
    size_t len;
    const uint8_t *bytes = column_blob(q, column, &len);
    if (len == want_len)
        memcpy(array_out, bytes, len);
}

/* One integer of one row; a missing row or NULL reads as 0. */
static int query_int(struct db_query *q, int64_t *value_out)
{
    int result = query_step(q);
    if (result < 0)
        return result;
    *value_out = result == 1 ? column_int(q, 0) : 0;
    if (result == 1)
        query_stop(q);
    return 0;
}

/* ---- the database as a whole ---- */

bool db_is_url(const char *where)
{
    return strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
}

int db_open(const char *where, struct db **db_out, char err[static DB_ERR_LEN])
{
    struct db *db = NULL;
    int result = db_is_url(where) ? db_postgres_open(where, &db) : db_sqlite_open(where, &db);
    if (result >= 0)
        result = db_migrate(db, db_newest_version());
    if (result < 0) {
        /* A URL may hold a password. */
        snprintf(err, DB_ERR_LEN, "%.100s: %.150s", db_is_url(where) ? "PostgreSQL" : where,
                 db ? db->err : "out of memory");
        db_close(db);
        return result;
    }
    *db_out = db;
    return DB_OK;
}

void db_close(struct db *db)
{
    if (db)
        db->engine->close(db);
}

const char *db_error(const struct db *db)
{
    return db->err;
}

int db_begin(struct db *db)
{
    return db->engine->begin(db);
}

int db_commit(struct db *db)
{
    return db->engine->commit(db);
}

void db_rollback(struct db *db)
{
    db->engine->rollback(db);
}

/* ---- communes ---- */

static void read_commune(const struct db_query *q, struct db_commune *commune_out)
{
    *commune_out = (struct db_commune){ .id = column_int(q, 0) };
    column_array(q, 1, commune_out->network_id, KENG_NETWORK_ID_LEN);
    column_array(q, 2, commune_out->root_key, KENG_KEY_LEN);
    snprintf(commune_out->name, sizeof commune_out->name, "%s",
             column_text(q, 3));
}

int db_commune_put(struct db *db, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                   const uint8_t root_key[static KENG_KEY_LEN], int64_t *id_out)
{
    struct db_query q = query_start(db, DB_OP_COMMUNE_PUT);
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
    struct db_query q = query_start(db, DB_OP_COMMUNE_RENAME);
    bind_int(&q, id);
    bind_text(&q, name);
    return query_run(&q);
}

int db_commune_find(struct db *db, const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                    struct db_commune *commune_out)
{
    struct db_query q = query_start(db, DB_OP_COMMUNE_FIND);
    bind_blob(&q, network_id, KENG_NETWORK_ID_LEN);
    int result = query_step(&q);
    if (result != 1)
        return result < 0 ? result : DB_ENOTFOUND;
    read_commune(&q, commune_out);
    query_stop(&q);
    return 0;
}

int db_commune_list(struct db *db, struct db_commune *communes_out, size_t cap)
{
    struct db_query q = query_start(db, DB_OP_COMMUNE_LIST);
    size_t count = 0;
    int result;
    while ((result = query_step(&q)) == 1 && count < cap)
        read_commune(&q, &communes_out[count++]);
    if (result == 1)
        query_stop(&q);
    return result < 0 ? result : (int)count;
}

int db_unit_put(struct db *db, int64_t commune, const struct unit *unit)
{
    struct db_query q = query_start(db, DB_OP_UNIT_PUT);
    bind_int(&q, commune);
    bind_text(&q, unit->code);
    bind_text(&q, unit->name);
    bind_text(&q, unit->into);
    bind_int(&q, unit->from_day);
    bind_int(&q, unit->until_day);
    bind_int(&q, unit->revoked_after);
    return query_run(&q);
}

int db_unit_list(struct db *db, db_unit_fn fn, void *ctx)
{
    struct db_query q = query_many(db, DB_OP_UNIT_LIST);
    int result;
    while ((result = query_step(&q)) == 1) {
        struct unit unit = { .from_day = (uint32_t)column_int(&q, 4),
                             .until_day = (uint32_t)column_int(&q, 5),
                             .revoked_after = (uint32_t)column_int(&q, 6) };
        snprintf(unit.code, sizeof unit.code, "%s", column_text(&q, 1));
        snprintf(unit.name, sizeof unit.name, "%s", column_text(&q, 2));
        snprintf(unit.into, sizeof unit.into, "%s", column_text(&q, 3));
        int stop = fn(ctx, column_int(&q, 0), &unit);
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

/* ---- records ---- */

static void read_numbers(const struct db_query *q, struct db_record *record_out)
{
    *record_out = (struct db_record){
        .arrival = column_int(q, 0),
        .commune = column_int(q, 1),
        .ref = { .author = (uint16_t)column_int(q, 2),
                 .lane = (uint8_t)column_int(q, 3),
                 .seq = (uint32_t)column_int(q, 4) },
    };
}

static void read_moved(const struct db_query *q, int column, struct db_record *record_out)
{
    int64_t moved_from = column_int(q, column);
    record_out->moved = moved_from >= 0;
    record_out->said_village = record_out->moved ? (uint32_t)moved_from : record_out->village;
}

static void read_record(const struct db_query *q, struct db_record *record_out)
{
    read_numbers(q, record_out);
    record_out->variant = (uint8_t)column_int(q, 5);
    record_out->kind = (uint8_t)column_int(q, 6);
    record_out->priority = (uint8_t)column_int(q, 7);
    record_out->created_min = (uint32_t)column_int(q, 8);
    record_out->clock_set = column_int(q, 9) != 0;
    record_out->received_ms = column_int(q, 10);
    record_out->village = (uint32_t)column_int(q, 11);
    record_out->own_village = column_int(q, 12) != 0;
    record_out->event = (uint32_t)column_int(q, 13);
    record_out->drill = column_int(q, 14) != 0;
    record_out->readable = column_int(q, 15) != 0;
    record_out->bytes = column_blob(q, 16, &record_out->len);
    record_out->review_state = (uint8_t)column_int(q, 17);
    record_out->review_author = (uint16_t)column_int(q, 18);
    record_out->review_text = column_text(q, 19);
    record_out->position = column_int(q, 20);
    record_out->via = (uint8_t)column_int(q, 21);
    record_out->rank = (unsigned)column_int(q, 22);
    read_moved(q, 23, record_out);
}

typedef void (*read_fn)(const struct db_query *q, struct db_record *record_out);

static int each_record(struct db_query *q, read_fn read, db_record_fn fn, void *ctx)
{
    int result;
    while ((result = query_step(q)) == 1) {
        struct db_record record;
        read(q, &record);
        int stop = fn(ctx, &record);
        if (stop != 0) {
            query_stop(q);
            return stop;
        }
    }
    return result;
}

static void bind_ref(struct db_query *q, int64_t commune, const struct record_ref *ref)
{
    bind_int(q, commune);
    bind_int(q, ref->author);
    bind_int(q, ref->lane);
    bind_int(q, ref->seq);
}

void db_bind_record(struct db_query *q, const struct db_record *record, int64_t position)
{
    bind_ref(q, record->commune, &record->ref);
    bind_int(q, record->variant);
    bind_int(q, record->kind);
    bind_int(q, record->priority);
    bind_int(q, record->created_min);
    bind_int(q, record->clock_set);
    bind_int(q, record->received_ms);
    bind_int(q, record->village);
    bind_int(q, record->own_village);
    bind_int(q, record->event);
    bind_int(q, record->drill);
    bind_int(q, record->readable);
    bind_blob(q, record->bytes, record->len);
    bind_int(q, position);
    bind_int(q, db_fresh_rank(record));
    bind_int(q, record->via);
    bind_text(q, record->words ? record->words : "");
}

unsigned db_fresh_rank(const struct db_record *record)
{
    return record_is_report(record->kind) ? RANK_WAITING + record->priority : 0;
}

/* What follows from the records stored behind an arrival. */
static int note_added(struct db *db, int64_t after_arrival)
{
    struct db_query heard = query_start(db, DB_OP_HEARD_ADD);
    bind_int(&heard, after_arrival);
    int result = query_run(&heard);
    if (result < 0)
        return result;
    struct db_query rank = query_start(db, DB_OP_JUDGE_NEW);
    bind_int(&rank, after_arrival);
    return query_run(&rank);
}

/* Of one author among many records stored at once. */
struct added {
    uint16_t author;
    uint32_t count, lowest, highest;
};

static int compare_added(const void *left, const void *right)
{
    const struct added *a = left, *b = right;
    return a->author != b->author ? (a->author < b->author ? -1 : 1)
                                  : (a->lowest > b->lowest) - (a->lowest < b->lowest);
}

/* One for each author; the count of them. */
static size_t fold_added(struct added *list, size_t count)
{
    size_t kept = 0;
    if (count > 0)
        qsort(list, count, sizeof *list, compare_added);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || list[kept - 1].author != list[i].author) {
            list[kept++] = list[i];
            continue;
        }
        list[kept - 1].count++;
        list[kept - 1].highest = list[i].highest;
    }
    return kept;
}

static int run_on_list(struct db *db, enum db_op op, int64_t commune, const char *list,
                       const int64_t *received_ms)
{
    struct db_query q = query_start(db, op);
    bind_int(&q, commune);
    bind_text(&q, list);
    if (received_ms)
        bind_int(&q, *received_ms);
    return query_run(&q);
}

/* What follows from many records of one commune, without reading them again: the logs they belong
 * to, and the answers that came before them. */
static int note_many(struct db *db, const struct db_record *records, size_t count,
                     const bool *taken)
{
    enum { ITEM_LEN_MAX = sizeof "[65535,4294967295,4294967295,4294967295]," };
    struct added *added = malloc(count * sizeof *added);
    size_t added_count = 0, len = 0;
    int64_t received_ms = 0;
    if (!added)
        return DB_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct record_ref *ref = &records[i].ref;
        if (taken[i])
            continue;
        added[added_count++] = (struct added){ ref->author, 1, ref->seq, ref->seq };
        received_ms = records[i].received_ms > received_ms ? records[i].received_ms : received_ms;
    }
    added_count = fold_added(added, added_count);
    char *list = malloc(added_count * ITEM_LEN_MAX + 3);
    for (size_t i = 0; list && i < added_count; i++)
        len += (size_t)snprintf(list + len, ITEM_LEN_MAX + 1, "%c[%u,%u,%u,%u]", i ? ',' : '[',
                                (unsigned)added[i].author, (unsigned)added[i].count,
                                (unsigned)added[i].lowest, (unsigned)added[i].highest);
    int result = list ? 0 : DB_ENOMEM;
    if (list)
        memcpy(list + len, "]", 2);
    if (result == 0 && added_count > 0)
        result = run_on_list(db, DB_OP_HEARD_ADD_MANY, records[0].commune, list, &received_ms);
    if (result == 0 && added_count > 0)
        result = run_on_list(db, DB_OP_JUDGE_MANY, records[0].commune, list, NULL);
    free(added);
    free(list);
    return result;
}

static int insert(struct db *db, struct db_record *record)
{
    struct db_query q = query_start(db, DB_OP_RECORD_INSERT);
    db_bind_record(&q, record, record->position);
    int64_t arrival = 0;
    int result = query_int(&q, &arrival);
    if (result < 0)
        return result;
    if (arrival == 0)
        return DB_ECONFLICT;
    record->arrival = arrival;
    return note_added(db, arrival - 1);
}

static int get_position(struct db *db, int64_t commune, int64_t *position_out)
{
    struct db_query q = query_start(db, DB_OP_POSITION_GET);
    bind_int(&q, commune);
    return query_int(&q, position_out);
}

static int set_position(struct db *db, int64_t commune, int64_t position)
{
    struct db_query q = query_start(db, DB_OP_POSITION_SET);
    bind_int(&q, commune);
    bind_int(&q, position);
    return query_run(&q);
}

int db_record_insert(struct db *db, struct db_record *record)
{
    record->position = -1;
    if (record->ref.lane != 0)
        return insert(db, record);
    int result = get_position(db, record->commune, &record->position);
    if (result == 0)
        result = insert(db, record);
    return result < 0 ? result : set_position(db, record->commune, record->position + 1);
}

int db_record_bulk(struct db *db, const struct db_record *records, size_t count, bool *taken_out)
{
    if (count == 0)
        return 0;
    int64_t position = 0;
    int result = get_position(db, records[0].commune, &position);
    if (result == 0)
        result = db->engine->bulk(db, records, count, &position, taken_out);
    if (result == 0)
        result = note_many(db, records, count, taken_out);
    return result < 0 ? result : set_position(db, records[0].commune, position);
}

int db_record_supersede(struct db *db, int64_t commune, const struct record_ref *ref)
{
    struct db_query q = query_start(db, DB_OP_RECORD_SUPERSEDE);
    bind_ref(&q, commune, ref);
    return query_run(&q);
}

int db_record_variants(struct db *db, int64_t commune, const struct record_ref *ref,
                       db_record_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_RECORD_VARIANTS);
    bind_ref(&q, commune, ref);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_kin(struct db *db, const struct db_record *record, uint32_t limit, db_record_fn fn,
                  void *ctx)
{
    struct db_query q = query_start(db, DB_OP_RECORD_KIN);
    bind_int(&q, record->commune);
    bind_int(&q, record->ref.author);
    bind_int(&q, record->kind);
    bind_int(&q, record->event);
    bind_int(&q, limit);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_newest(struct db *db, int64_t commune, uint16_t author, uint8_t lane,
                     uint32_t *seq_out)
{
    struct db_query q = query_start(db, DB_OP_RECORD_NEWEST);
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
static int each_of_commune(struct db *db, enum db_op op, int64_t commune, read_fn read,
                           db_record_fn fn, void *ctx)
{
    struct db_query q = query_many(db, op);
    bind_int(&q, commune);
    return each_record(&q, read, fn, ctx);
}

int db_record_root_log(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, DB_OP_RECORD_ROOT_LOG, commune, read_record, fn, ctx);
}

int db_record_all(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, DB_OP_RECORD_ALL, commune, read_record, fn, ctx);
}

int db_record_numbers(struct db *db, int64_t commune, int64_t until_ms, db_record_fn fn,
                      void *ctx)
{
    struct db_query q = query_many(db, DB_OP_RECORD_NUMBERS);
    bind_int(&q, commune);
    bind_int(&q, until_ms);
    return each_record(&q, read_numbers, fn, ctx);
}

int db_record_numbers_of(struct db *db, int64_t commune, uint16_t author, db_record_fn fn,
                         void *ctx)
{
    struct db_query q = query_many(db, DB_OP_RECORD_NUMBERS_OF);
    bind_int(&q, commune);
    bind_int(&q, author);
    return each_record(&q, read_numbers, fn, ctx);
}

int db_record_reports(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, DB_OP_RECORD_REPORTS, commune, read_record, fn, ctx);
}

static void read_claim(const struct db_query *q, struct db_record *record_out)
{
    *record_out = (struct db_record){
        .arrival = column_int(q, 0),
        .commune = column_int(q, 1),
        .received_ms = column_int(q, 2),
        .village = (uint32_t)column_int(q, 3),
        .event = (uint32_t)column_int(q, 4),
        .drill = column_int(q, 5) != 0,
    };
    read_moved(q, 6, record_out);
    record_out->bytes = column_blob(q, 7, &record_out->len);
}

int db_record_claims(struct db *db, const struct db_claim_filter *filter, db_record_fn fn,
                     void *ctx)
{
    struct db_query count = query_start(db, DB_OP_COMMUNE_COUNT);
    int64_t commune_count = 0;
    int result = query_int(&count, &commune_count);
    if (result < 0)
        return result;
    enum db_op op = commune_count > 1 ? DB_OP_CLAIMS_OF_ONE
                    : filter->village ? DB_OP_CLAIMS_OF_VILLAGE : DB_OP_CLAIMS_OF_ALL;
    struct db_query q = query_many(db, op);
    bind_int(&q, filter->commune);
    bind_int(&q, filter->until_ms);
    bind_int(&q, filter->event);
    if (op == DB_OP_CLAIMS_OF_VILLAGE) {
        bind_int(&q, filter->village);
        bind_int(&q, filter->kind);
        bind_int(&q, filter->or_answered);
    }
    return each_record(&q, read_claim, fn, ctx);
}

int db_record_reviews(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, DB_OP_RECORD_REVIEWS, commune, read_record, fn, ctx);
}

int db_record_forks(struct db *db, int64_t commune, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, DB_OP_RECORD_FORKS, commune, read_record, fn, ctx);
}

int db_record_rehome(struct db *db, int64_t commune, uint16_t author, uint32_t village)
{
    struct db_query q = query_start(db, DB_OP_RECORD_REHOME);
    bind_int(&q, commune);
    bind_int(&q, author);
    bind_int(&q, village);
    return query_run(&q);
}

int db_record_get(struct db *db, int64_t arrival, db_record_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_RECORD_GET);
    bind_int(&q, arrival);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_last_arrival(struct db *db, int64_t *arrival_out)
{
    struct db_query q = query_start(db, DB_OP_RECORD_LAST);
    return query_int(&q, arrival_out);
}

static void bind_filter(struct db_query *q, const struct db_list_filter *filter)
{
    bind_int(q, filter->commune);
    bind_int(q, filter->village);
    bind_int(q, filter->kind);
    bind_int(q, filter->priority);
    bind_int(q, filter->since_ms);
    bind_text(q, filter->words);
}

int db_record_list(struct db *db, const struct db_list_filter *filter, db_record_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_RECORD_LIST);
    unsigned lowest = 0, highest = DB_RANK_MAX;
    if (filter->state == 0) {
        lowest = RANK_WAITING;
    } else if (filter->state == REVIEW_SEEN || filter->state == REVIEW_QUESTION) {
        lowest = RANK_LOOKED_AT;
        highest = RANK_WAITING - 1;
    } else if (filter->state > 0) {
        highest = RANK_LOOKED_AT - 1;
    }
    bind_filter(&q, filter);
    bind_int(&q, filter->state);
    bind_int(&q, lowest);
    bind_int(&q, filter->below_rank < highest ? filter->below_rank : highest);
    bind_int(&q, filter->below_rank);
    bind_int(&q, filter->below_arrival);
    bind_int(&q, filter->limit);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_count(struct db *db, const struct db_list_filter *filter, int64_t *total_out,
                    int64_t *waiting_out)
{
    struct db_query q = query_start(db, DB_OP_RECORD_COUNT);
    bind_filter(&q, filter);
    bind_int(&q, filter->limit);
    int result = query_step(&q);
    if (result < 0)
        return result;
    *total_out = result == 1 ? column_int(&q, 0) : 0;
    *waiting_out = result == 1 ? column_int(&q, 1) : 0;
    if (result == 1)
        query_stop(&q);
    return 0;
}

int db_rescue_waiting(struct db *db, struct db_rescue *rescue_out)
{
    struct db_query q = query_start(db, DB_OP_RESCUE_WAITING);
    *rescue_out = (struct db_rescue){ .count = 0 };
    int result = query_step(&q);
    if (result != 1)
        return result;
    int64_t count = column_int(&q, 0);
    if (count > 0)
        *rescue_out = (struct db_rescue){ count, column_int(&q, 1), column_int(&q, 2) };
    query_stop(&q);
    return 0;
}

int db_record_judge_author(struct db *db, int64_t commune, uint16_t author)
{
    struct db_query q = query_start(db, DB_OP_JUDGE_AUTHOR);
    bind_int(&q, commune);
    bind_int(&q, author);
    return query_run(&q);
}

int db_review_put(struct db *db, const struct db_review *review)
{
    struct db_query q = query_start(db, DB_OP_REVIEW_PUT);
    bind_ref(&q, review->commune, &review->ref);
    bind_int(&q, review->state);
    bind_int(&q, review->author);
    bind_int(&q, review->seq);
    bind_text(&q, review->text);
    bind_int(&q, review->village);
    return query_run(&q);
}

int db_review_drop(struct db *db, int64_t commune, const struct record_ref *ref)
{
    struct db_query q = query_start(db, DB_OP_REVIEW_DROP);
    bind_ref(&q, commune, ref);
    return query_run(&q);
}

int db_record_note(struct db *db, int64_t arrival, const char *words)
{
    struct db_query q = query_start(db, DB_OP_RECORD_NOTE);
    bind_int(&q, arrival);
    bind_text(&q, words);
    return query_run(&q);
}

int db_record_judge(struct db *db, int64_t commune, const struct record_ref *ref)
{
    struct db_query q = query_start(db, DB_OP_JUDGE_RECORD);
    bind_ref(&q, commune, ref);
    return query_run(&q);
}

int db_record_heard(struct db *db, int64_t commune, db_heard_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_HEARD_LIST);
    bind_int(&q, commune);
    int result;
    while ((result = query_step(&q)) == 1) {
        struct db_heard heard = {
            .author = (uint16_t)column_int(&q, 0), .received_ms = column_int(&q, 1),
            .seq = (uint32_t)column_int(&q, 2), .count = column_int(&q, 3),
        };
        int stop = fn(ctx, &heard);
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_record_of_kind(struct db *db, uint8_t kind, int64_t after_arrival, db_record_fn fn,
                      void *ctx)
{
    struct db_query q = query_start(db, DB_OP_RECORD_OF_KIND);
    bind_int(&q, kind);
    bind_int(&q, after_arrival);
    return each_record(&q, read_record, fn, ctx);
}

int db_record_newest_of_kind(struct db *db, int64_t commune, uint8_t kind, uint32_t limit,
                             db_record_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_RECORD_NEWEST_OF_KIND);
    bind_int(&q, commune);
    bind_int(&q, kind);
    bind_int(&q, limit);
    return each_record(&q, read_record, fn, ctx);
}

int db_review_log_put(struct db *db, int64_t commune, const struct record_ref *ref, int64_t arrival)
{
    struct db_query q = query_start(db, DB_OP_REVIEW_LOG_PUT);
    bind_ref(&q, commune, ref);
    bind_int(&q, arrival);
    return query_run(&q);
}

int db_review_known(struct db *db, int64_t commune, const struct record_ref *ref,
                    int64_t *count_out, int64_t *outgoing_id_out)
{
    struct db_query q = query_start(db, DB_OP_REVIEW_KNOWN);
    bind_ref(&q, commune, ref);
    *count_out = *outgoing_id_out = 0;
    int result = query_step(&q);
    if (result != 1)
        return result;
    *count_out = column_int(&q, 0);
    *outgoing_id_out = column_int(&q, 1);
    query_stop(&q);
    return 0;
}

int db_review_log(struct db *db, int64_t commune, const struct record_ref *ref, db_record_fn fn,
                  void *ctx)
{
    struct db_query q = query_start(db, DB_OP_REVIEW_LOG);
    bind_ref(&q, commune, ref);
    return each_record(&q, read_record, fn, ctx);
}

int db_review_valid(struct db *db, int64_t commune, const struct record_ref *ref, db_record_fn fn,
                    void *ctx)
{
    struct db_query q = query_start(db, DB_OP_REVIEW_VALID);
    bind_ref(&q, commune, ref);
    return each_record(&q, read_record, fn, ctx);
}

int db_reviewed_by(struct db *db, int64_t commune, uint16_t reviewer, db_ref_fn fn, void *ctx)
{
    struct db_query q = query_many(db, DB_OP_REVIEWED_BY);
    bind_int(&q, commune);
    bind_int(&q, reviewer);
    int result;
    while ((result = query_step(&q)) == 1) {
        struct record_ref ref = { .author = (uint16_t)column_int(&q, 0),
                                  .lane = (uint8_t)column_int(&q, 1),
                                  .seq = (uint32_t)column_int(&q, 2) };
        int stop = fn(ctx, &ref);
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

/* ---- held back, refused, small numbers ---- */

int db_pending_put(struct db *db, const struct db_pending *pending)
{
    int64_t count = 0;
    struct db_query q = query_start(db, DB_OP_PENDING_PUT);
    bind_int(&q, pending->commune);
    bind_int(&q, pending->author);
    bind_int(&q, pending->received_ms);
    bind_blob(&q, pending->bytes, pending->len);
    bind_int(&q, pending->via);
    int result = query_run(&q);
    struct db_query counting = query_start(db, DB_OP_PENDING_COUNT);
    bind_int(&counting, pending->commune);
    if (result >= 0)
        result = query_int(&counting, &count);
    if (result < 0 || count <= DB_PENDING_COUNT_MAX)
        return result;
    struct db_query dropping = query_start(db, DB_OP_PENDING_DROP);
    bind_int(&dropping, pending->commune);
    return query_run(&dropping);
}

int db_pending_of(struct db *db, int64_t commune, uint16_t author, db_pending_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_PENDING_OF);
    bind_int(&q, commune);
    bind_int(&q, author);
    int result;
    while ((result = query_step(&q)) == 1) {
        struct db_pending pending = { .id = column_int(&q, 0), .commune = commune,
                                      .received_ms = column_int(&q, 1), .author = author,
                                      .via = (uint8_t)column_int(&q, 3) };
        pending.bytes = column_blob(&q, 2, &pending.len);
        int stop = fn(ctx, &pending);
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_pending_delete(struct db *db, int64_t id)
{
    struct db_query q = query_start(db, DB_OP_PENDING_DELETE);
    bind_int(&q, id);
    return query_run(&q);
}

int db_pending_authors(struct db *db, db_author_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_PENDING_AUTHORS);
    int result;
    while ((result = query_step(&q)) == 1) {
        int stop = fn(ctx, column_int(&q, 0),
                      (uint16_t)column_int(&q, 1));
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_revoked_get(struct db *db, int64_t commune, uint16_t author, int64_t *from_seq_out)
{
    struct db_query q = query_start(db, DB_OP_REVOKED_GET);
    bind_int(&q, commune);
    bind_int(&q, author);
    return query_int(&q, from_seq_out);
}

int db_revoked_set(struct db *db, int64_t commune, uint16_t author, int64_t from_seq)
{
    struct db_query q = query_start(db, from_seq == 0 ? DB_OP_REVOKED_CLEAR : DB_OP_REVOKED_SET);
    bind_int(&q, commune);
    bind_int(&q, author);
    if (from_seq != 0)
        bind_int(&q, from_seq);
    return query_run(&q);
}

int db_refused_add(struct db *db, int64_t commune, const char *reason, int64_t now_ms,
                   const uint8_t *bytes, size_t len)
{
    struct db_query q = query_start(db, DB_OP_REFUSED_ADD);
    bind_int(&q, commune);
    bind_text(&q, reason);
    bind_int(&q, now_ms);
    bind_blob(&q, bytes, len);
    return query_run(&q);
}

int db_refused_list(struct db *db, db_refused_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_REFUSED_LIST);
    int result;
    while ((result = query_step(&q)) == 1) {
                int stop = fn(ctx, column_int(&q, 0), column_text(&q, 1),
                      column_int(&q, 2), column_int(&q, 3));
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_block_put(struct db *db, const uint8_t hash[static KENG_HASH_LEN])
{
    struct db_query q = query_start(db, DB_OP_BLOCK_PUT);
    bind_blob(&q, hash, KENG_HASH_LEN);
    return query_run(&q);
}

int db_block_has(struct db *db, const uint8_t hash[static KENG_HASH_LEN], bool *has_out)
{
    int64_t count = 0;
    struct db_query q = query_start(db, DB_OP_BLOCK_HAS);
    bind_blob(&q, hash, KENG_HASH_LEN);
    int result = query_int(&q, &count);
    *has_out = count > 0;
    return result;
}

int db_checkpoint_put(struct db *db, const struct db_checkpoint *c)
{
    struct db_query q = query_start(db, DB_OP_CHECKPOINT_PUT);
    bind_int(&q, c->commune);
    bind_int(&q, c->source);
    bind_int(&q, (int64_t)c->size);
    bind_blob(&q, c->root, sizeof c->root);
    bind_int(&q, c->created_min);
    bind_int(&q, c->received_ms);
    bind_int(&q, c->covered);
    bind_blob(&q, c->tree.edge[0], tree_edge_count(c->tree.size) * KENG_HASH_LEN);
    return query_run(&q);
}

int db_checkpoint_list(struct db *db, int64_t commune, db_checkpoint_fn fn, void *ctx)
{
    struct db_query q = query_many(db, DB_OP_CHECKPOINT_LIST);
    bind_int(&q, commune);
    int result;
    while ((result = query_step(&q)) == 1) {
        struct db_checkpoint c = {
            .commune = column_int(&q, 0),
            .source = (uint16_t)column_int(&q, 1),
            .size = (uint64_t)column_int(&q, 2),
            .created_min = (uint32_t)column_int(&q, 4),
            .received_ms = column_int(&q, 5),
            .covered = column_int(&q, 6) != 0,
        };
        column_array(&q, 3, c.root, sizeof c.root);
        size_t len;
        const uint8_t *edge = column_blob(&q, 7, &len);
        if (c.covered && len == tree_edge_count(c.size) * KENG_HASH_LEN) {
            c.tree.size = c.size;
            memcpy(c.tree.edge, edge, len);
        }
        int stop = fn(ctx, &c);
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

int db_meta_get(struct db *db, const char *key, int64_t *value_out)
{
    struct db_query q = query_start(db, DB_OP_META_GET);
    bind_text(&q, key);
    return query_int(&q, value_out);
}

int db_meta_set(struct db *db, const char *key, int64_t value)
{
    struct db_query q = query_start(db, DB_OP_META_SET);
    bind_text(&q, key);
    bind_int(&q, value);
    return query_run(&q);
}

/* ---- outbox ---- */

int db_outbox_target(struct db *db, const char *url, int64_t commune, int64_t *id_out)
{
    struct db_query adding = query_start(db, DB_OP_TARGET_ADD);
    bind_text(&adding, url);
    bind_int(&adding, commune);
    int result = query_run(&adding);
    if (result < 0)
        return result;
    struct db_query q = query_start(db, DB_OP_TARGET_FIND);
    bind_text(&q, url);
    bind_int(&q, commune);
    return query_int(&q, id_out);
}

int db_outbox_waiting(struct db *db, int64_t target, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, DB_OP_OUTBOX_WAITING, target, read_record, fn, ctx);
}

int db_outbox_count(struct db *db, int64_t target, int64_t *waiting_out)
{
    struct db_query q = query_start(db, DB_OP_OUTBOX_COUNT);
    bind_int(&q, target);
    return query_int(&q, waiting_out);
}

int db_outbox_stands(struct db *db, int64_t target, int64_t arrival, int64_t *state_out)
{
    struct db_query q = query_start(db, DB_OP_OUTBOX_STANDS);
    bind_int(&q, target);
    bind_int(&q, arrival);
    return query_int(&q, state_out);
}

int db_outbox_answered(struct db *db, int64_t target, int64_t arrival, const char *reason)
{
    struct db_query q = query_start(db, DB_OP_OUTBOX_ANSWERED);
    bind_int(&q, target);
    bind_int(&q, arrival);
    bind_text(&q, reason);
    return query_run(&q);
}

int db_outbox_settle(struct db *db, int64_t target)
{
    struct db_query q = query_start(db, DB_OP_OUTBOX_SETTLE);
    bind_int(&q, target);
    int result = query_run(&q);
    if (result < 0)
        return result;
    struct db_query forget = query_start(db, DB_OP_OUTBOX_FORGET);
    bind_int(&forget, target);
    return query_run(&forget);
}

int db_outbox_reopen(struct db *db, int64_t target, int64_t from_arrival)
{
    struct db_query rewind = query_start(db, DB_OP_OUTBOX_REWIND);
    bind_int(&rewind, target);
    bind_int(&rewind, from_arrival);
    int result = query_run(&rewind);
    if (result < 0)
        return result;
    struct db_query q = query_start(db, DB_OP_OUTBOX_REOPEN);
    bind_int(&q, target);
    bind_int(&q, from_arrival);
    return query_run(&q);
}

int db_outbox_pardon(struct db *db, int64_t commune, uint16_t author)
{
    static const enum db_op STEPS[] = { DB_OP_OUTBOX_NOTE_HELD, DB_OP_OUTBOX_UNREFUSE,
                                        DB_OP_OUTBOX_REWIND_ALL };
    struct db_query asking = query_start(db, DB_OP_OUTBOX_REFUSED_FIRST);
    int64_t first = 0;
    bind_int(&asking, commune);
    bind_int(&asking, author);
    int result = query_int(&asking, &first);
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && result >= 0 && first > 0; i++) {
        struct db_query q = query_start(db, STEPS[i]);
        bind_int(&q, commune);
        bind_int(&q, STEPS[i] == DB_OP_OUTBOX_UNREFUSE ? author : first);
        result = query_run(&q);
    }
    return result;
}

int db_outbox_held(struct db *db, int64_t target, db_record_fn fn, void *ctx)
{
    return each_of_commune(db, DB_OP_OUTBOX_HELD, target, read_numbers, fn, ctx);
}

int db_outbox_refused(struct db *db, int64_t target, db_outbox_refused_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_OUTBOX_REFUSED);
    bind_int(&q, target);
    int result;
    while ((result = query_step(&q)) == 1) {
        struct db_record record;
        read_numbers(&q, &record);
        int stop = fn(ctx, &record, column_text(&q, 5));
        if (stop != 0) {
            query_stop(&q);
            return stop;
        }
    }
    return result;
}

/* ---- the way down ---- */

int db_down_list(struct db *db, int64_t commune, int64_t after_arrival, uint16_t source,
                 db_record_fn fn, void *ctx)
{
    struct db_query q = query_many(db, DB_OP_DOWN_LIST);
    bind_int(&q, commune);
    bind_int(&q, after_arrival);
    bind_int(&q, source);
    return each_record(&q, read_record, fn, ctx);
}

int db_brought_put(struct db *db, int64_t arrival, uint16_t source)
{
    struct db_query q = query_start(db, DB_OP_BROUGHT_PUT);
    bind_int(&q, arrival);
    bind_int(&q, source);
    return query_run(&q);
}

int db_down_mark(struct db *db, int64_t target, uint16_t source, int64_t after_arrival)
{
    struct db_query q = query_start(db, DB_OP_DOWN_MARK);
    bind_int(&q, target);
    bind_int(&q, source);
    bind_int(&q, after_arrival);
    return query_run(&q);
}

int db_down_get(struct db *db, int64_t target, char place_out[static DB_DOWN_LEN])
{
    struct db_query q = query_start(db, DB_OP_DOWN_GET);
    bind_int(&q, target);
    int result = query_step(&q);
    if (result < 0)
        return result;
    const char *place = result == 1 ? column_text(&q, 0) : "";
    snprintf(place_out, DB_DOWN_LEN, "%s", place);
    if (result == 1)
        query_stop(&q);
    return 0;
}

int db_down_set(struct db *db, int64_t target, const char *place)
{
    struct db_query q = query_start(db, DB_OP_DOWN_SET);
    bind_int(&q, target);
    bind_text(&q, place);
    return query_run(&q);
}

int db_record_for_node(struct db *db, int64_t commune, int64_t after_arrival, uint32_t limit,
                       db_record_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_RECORD_FOR_NODE);
    bind_int(&q, commune);
    bind_int(&q, after_arrival);
    bind_int(&q, limit);
    return each_record(&q, read_record, fn, ctx);
}

/* ---- reviews on their way to the node ---- */

int db_outgoing_add(struct db *db, const struct db_outgoing *outgoing, int64_t *id_out)
{
    struct db_query q = query_start(db, DB_OP_OUTGOING_ADD);
    bind_ref(&q, outgoing->commune, &outgoing->ref);
    bind_int(&q, outgoing->state);
    bind_text(&q, outgoing->text);
    bind_int(&q, outgoing->kind);
    bind_int(&q, outgoing->priority);
    bind_blob(&q, outgoing->body, outgoing->body_len);
    return query_int(&q, id_out);
}

static int each_outgoing(struct db_query *q, db_outgoing_fn fn, void *ctx)
{
    int result;
    while ((result = query_step(q)) == 1) {
        struct db_outgoing outgoing = {
            .id = column_int(q, 0),
            .commune = column_int(q, 1),
            .ref = { .author = (uint16_t)column_int(q, 2),
                     .lane = (uint8_t)column_int(q, 3),
                     .seq = (uint32_t)column_int(q, 4) },
            .state = (uint8_t)column_int(q, 5),
            .text = column_text(q, 6),
            .error = column_text(q, 7),
            .kind = (uint8_t)column_int(q, 8),
            .priority = (uint8_t)column_int(q, 9),
        };
        outgoing.body = column_blob(q, 10, &outgoing.body_len);
        int stop = fn(ctx, &outgoing);
        if (stop != 0) {
            query_stop(q);
            return stop;
        }
    }
    return result;
}

int db_outgoing_list(struct db *db, db_outgoing_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_OUTGOING_LIST);
    return each_outgoing(&q, fn, ctx);
}

int db_outgoing_reviews(struct db *db, int64_t commune, const struct record_ref *ref,
                        db_outgoing_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_OUTGOING_REVIEWS);
    bind_ref(&q, commune, ref);
    return each_outgoing(&q, fn, ctx);
}

static int copy_unrefused(void *ctx, const struct db_outgoing *outgoing)
{
    struct db_outgoing_copy *copy = ctx;
    if (*outgoing->error || (copy->commune != 0 && outgoing->commune != copy->commune))
        return 0;
    copy->outgoing = *outgoing;
    snprintf(copy->text, sizeof copy->text, "%s", outgoing->text);
    if (outgoing->body_len > 0 && outgoing->body_len <= sizeof copy->body)
        memcpy(copy->body, outgoing->body, outgoing->body_len);
    else
        copy->outgoing.body_len = 0;
    return 1;
}

/* An older program left only state and text of a review. */
static void encode_old_review(struct db_outgoing_copy *copy)
{
    struct review review = { .state = (enum review_state)copy->outgoing.state, .ref_count = 1,
                             .refs = { copy->outgoing.ref } };
    review.text_len = strlen(copy->text);
    memcpy(review.text, copy->text, review.text_len + 1);
    int len = review_encode(&review, copy->body, sizeof copy->body);
    copy->outgoing.body_len = len > 0 ? (size_t)len : 0;
}

int db_outgoing_next(struct db *db, int64_t commune, struct db_outgoing_copy *copy_out)
{
    copy_out->commune = commune;
    copy_out->outgoing = (struct db_outgoing){ .id = 0 };
    int result = db_outgoing_list(db, copy_unrefused, copy_out);
    if (result < 0 || copy_out->outgoing.id == 0)
        return result < 0 ? result : 0;
    if (copy_out->outgoing.body_len == 0)
        encode_old_review(copy_out);
    copy_out->outgoing.text = copy_out->text;
    copy_out->outgoing.body = copy_out->body;
    copy_out->outgoing.error = "";
    return 0;
}

int db_outgoing_error(struct db *db, int64_t id, const char *error)
{
    struct db_query q = query_start(db, DB_OP_OUTGOING_ERROR);
    bind_int(&q, id);
    bind_text(&q, error);
    return query_run(&q);
}

int db_outgoing_delete(struct db *db, int64_t id)
{
    struct db_query q = query_start(db, DB_OP_OUTGOING_DELETE);
    bind_int(&q, id);
    return query_run(&q);
}

/* ---- quick reports ---- */

int db_quick_put(struct db *db, const struct db_quick *quick, int64_t *id_out)
{
    struct db_query q = query_start(db, quick->id ? DB_OP_QUICK_CHANGE : DB_OP_QUICK_ADD);
    if (quick->id)
        bind_int(&q, quick->id);
    bind_int(&q, quick->commune);
    bind_int(&q, quick->event);
    bind_int(&q, quick->drill);
    bind_int(&q, quick->number);
    bind_int(&q, quick->until_ms);
    bind_text(&q, quick->doc);
    int result = query_int(&q, id_out);
    return result < 0 ? result : *id_out ? 0 : DB_ENOTFOUND;
}

static int each_quick(struct db_query *q, db_quick_fn fn, void *ctx)
{
    int result;
    while ((result = query_step(q)) == 1) {
        struct db_quick quick = {
            .id = column_int(q, 0), .commune = column_int(q, 1),
            .event = (uint32_t)column_int(q, 2), .drill = column_int(q, 3) != 0,
            .number = (uint32_t)column_int(q, 4), .until_ms = column_int(q, 5),
            .doc = column_text(q, 6),
        };
        int stop = fn(ctx, &quick);
        if (stop != 0) {
            query_stop(q);
            return stop;
        }
    }
    return result;
}

int db_quick_get(struct db *db, int64_t id, db_quick_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_QUICK_GET);
    bind_int(&q, id);
    return each_quick(&q, fn, ctx);
}

int db_quick_list(struct db *db, int64_t commune, uint32_t limit, db_quick_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_QUICK_LIST);
    bind_int(&q, commune);
    bind_int(&q, limit);
    return each_quick(&q, fn, ctx);
}

int db_quick_before(struct db *db, const struct db_quick *quick, db_quick_fn fn, void *ctx)
{
    struct db_query q = query_start(db, DB_OP_QUICK_BEFORE);
    bind_int(&q, quick->commune);
    bind_int(&q, quick->event);
    bind_int(&q, quick->drill);
    bind_int(&q, quick->until_ms);
    return each_quick(&q, fn, ctx);
}

int db_quick_last_number(struct db *db, const struct db_quick *quick, int64_t *number_out)
{
    struct db_query q = query_start(db, DB_OP_QUICK_LAST_NUMBER);
    bind_int(&q, quick->commune);
    bind_int(&q, quick->event);
    bind_int(&q, quick->drill);
    return query_int(&q, number_out);
}
