/* Databases of older programs: a filled one of every version becomes what this program would have
 * written itself, on both engines; and the steps that did it never change. */
#include "tests/unit/test_gateway_kit.h"

#include <sqlite3.h>
#include <threads.h>

#include "gateway/db_engine.h"
#include "gateway/totals.h"

enum { SQL_LEN = 4096, MARK_LEN = 8 };

/* The first bytes of a hash over each released step.  A new step adds a line; what stands here is
 * in databases out there, and a changed line would mean that they differ from new ones. */
static const struct { const char *sqlite, *postgres; } RELEASED[] = {
    { "741ac85d3ef0574c", "14f721fa87de1848" },
    { "1422042aac110f7f", "bd198721a2b79aca" },
    { "9a93de69f568e870", "56469b6cad6581d3" },
    { "fe1aed308d5914b2", "16feaf5d39c3a534" },
    { "913136f651dec70d", "913136f651dec70d" },
    { "03fff37f163b9d6a", "2de17332b46382ae" },
    { "4bcf69e83b033f7a", "e2ae4b62391cff24" },
    { "ac6588558ce4ec40", "e6c69344a54bc43e" },
    { "60a436e51e2ae2fa", "dff64940f333ee72" },
    { "013658f1d1a90ac5", "055ba89047ea2568" },
    { "a07f761495692b6f", "a07f761495692b6f" },
    { "3d10f86d0e120ee5", "31e052ae5922816f" },
    { "56a9775257a5b97c", "56a9775257a5b97c" },
};

/* Tables with what must be the same in the end.  since: of data that the steps cannot make; tables
 * of later programs than the database's are empty then. */
static const struct {
    const char *name, *columns;
    int since;
} TABLES[] = {
    { "commune", "id, network_id, root_key, name, position_next", 1 },
    { "record", "arrival, commune, author, lane, seq, variant, kind, priority, created_min,"
      " clock_set, received_ms, village, own_village, event, drill, readable, bytes, position,"
      " rank, CASE variant WHEN 0 THEN words ELSE '' END", 1 },
    { "review", "commune, author, lane, seq, state, reviewer, review_seq, text", 1 },
    { "pending", "id, commune, author, received_ms, bytes, via", 1 },
    { "refused", "commune, reason, count, last_ms, sample", 1 },
    { "meta", "key, value", 1 },
    { "target", "id, url, commune, cursor", 1 },
    { "answer", "target, arrival, reason", 1 },
    { "outgoing", "id, commune, author, lane, seq, state, text, error, kind, priority", 1 },
    { "review_log", "commune, author, lane, seq, arrival", 1 },
    { "heard", "commune, author, received_ms, seq, count", 1 },
    { "revoked", "commune, author, from_seq", 1 },
    { "block", "hash", 3 },
    { "checkpoint", "commune, source, size, root, created_min, received_ms, covered, edge", 3 },
    { "quick", "id, commune, event, drill, number, until_ms, doc", 6 },
    { "unit", "commune, code, name, into_code, from_day, until_day, revoked_after", 7 },
};
enum { TABLE_COUNT = sizeof TABLES / sizeof TABLES[0] };

struct place {
    char dir[KIT_PATH_LEN];
    struct kit kit;
    char fresh[POSTGRES_URL_LEN]; /* what this program wrote itself */
};

/* ---- SQL behind the program's back ---- */

static sqlite3 *attach(const struct place *p, const char *where)
{
    sqlite3 *db = NULL;
    char sql[SQL_LEN];
    assert_int_equal(sqlite3_open(where, &db), SQLITE_OK);
    snprintf(sql, sizeof sql, "ATTACH '%s' AS fresh", p->fresh);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void run_sql(const struct place *p, const char *where, const char *sql)
{
    char *err = NULL;
    if (kit_on_postgres) {
        postgres_run(kit_schema(where), sql);
        return;
    }
    sqlite3 *db = attach(p, where);
    if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK)
        fail_msg("%s: %s", sql, err);
    sqlite3_close(db);
}

static void copy_table_sqlite(const struct place *p, const char *where, const char *table)
{
    sqlite3 *db = attach(p, where);
    sqlite3_stmt *list;
    char sql[SQL_LEN];
    snprintf(sql, sizeof sql, "SELECT group_concat(name) FROM pragma_table_info('%s',"
             " 'main')", table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &list, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(list), SQLITE_ROW);
    const char *columns = (const char *)sqlite3_column_text(list, 0);
    if (columns) { /* none: there is no such table yet */
        snprintf(sql, sizeof sql, "INSERT INTO main.%s (%s) SELECT %s FROM fresh.%s", table,
                 columns, columns, table);
        run_sql(p, where, sql);
    }
    sqlite3_finalize(list);
    sqlite3_close(db);
}

static void copy_table_postgres(const struct place *p, const char *where, const char *table)
{
    char sql[SQL_LEN];
    snprintf(sql, sizeof sql,
             "DO $$ DECLARE list text; BEGIN SELECT string_agg(column_name, ',') INTO list FROM"
             " information_schema.columns WHERE table_schema = current_schema()"
             " AND table_name = '%s'; IF list IS NOT NULL THEN EXECUTE format('INSERT INTO %s (%%s)"
             " SELECT %%s FROM %s.%s', list, list); END IF; END $$",
             table, table, kit_schema(p->fresh), table);
    run_sql(p, where, sql);
}

static void assert_same_sqlite(const struct place *p, const char *where, const char *query)
{
    sqlite3 *db = attach(p, where);
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &rows, NULL), SQLITE_OK);
    if (sqlite3_step(rows) != SQLITE_DONE) {
        for (int i = 0; i < sqlite3_column_count(rows); i++)
            print_message("%s %s\n", sqlite3_column_name(rows, i),
                          (const char *)sqlite3_column_text(rows, i));
        fail_msg("a row too few or too many: %s", query);
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
}

static void assert_same(const struct place *p, const char *where, int t)
{
    const char *columns = TABLES[t].columns, *name = TABLES[t].name;
    char query[SQL_LEN], other[POSTGRES_URL_LEN], sql[SQL_LEN + 256];
    const char *own = kit_on_postgres ? "" : "main.";
    snprintf(other, sizeof other, "%s", kit_on_postgres ? kit_schema(p->fresh) : "fresh");
    snprintf(query, sizeof query,
             "SELECT * FROM (SELECT %s FROM %s%s EXCEPT SELECT %s FROM %s.%s) a UNION ALL"
             " SELECT * FROM (SELECT %s FROM %s.%s EXCEPT SELECT %s FROM %s%s) b", columns, own,
             name, columns, other, name, columns, other, name, columns, own, name);
    if (!kit_on_postgres) {
        assert_same_sqlite(p, where, query);
        return;
    }
    snprintf(sql, sizeof sql, "DO $$ BEGIN IF EXISTS (%s) THEN RAISE EXCEPTION 'differs'; END IF;"
             " END $$", query);
    run_sql(p, where, sql);
}

/* ---- a filled database ---- */

static struct kit_record unreadable(const struct kit *k)
{
    static const uint8_t BODY[] = { 0xff, 0xff, 0xff };
    return kit_sign(k, KIT_BINH, 2, RECORD_RESCUE, 3, BODY, sizeof BODY);
}

static void put_more(struct ledger *l)
{
    struct db_quick quick = { .commune = 1, .event = 1, .doc = "{}" };
    struct db_outgoing outgoing = { .commune = 1, .ref = { .author = KIT_ANNA, .seq = 1 },
                                    .state = REVIEW_SEEN, .text = "đã xem", .kind = RECORD_REVIEW,
                                    .priority = 1 };
    struct db_checkpoint checkpoint = { .commune = 1, .source = KIT_GATEWAY, .size = 7 };
    struct unit unit = { .code = "01879", .name = "Xã Cao Minh", .into = "" };
    static const uint8_t HASH[KENG_HASH_LEN] = { 5 };
    int64_t id, target;
    assert_int_equal(db_outbox_target(l->db, "https://tinh.example", 1, &target), 0);
    assert_int_equal(db_outbox_answered(l->db, target, 1, NULL), 0);
    assert_int_equal(db_outbox_answered(l->db, target, 6, "full"), 0);
    assert_int_equal(db_outgoing_add(l->db, &outgoing, &id), 0);
    assert_int_equal(db_quick_put(l->db, &quick, &id), 0);
    assert_int_equal(db_checkpoint_put(l->db, &checkpoint), 0);
    assert_int_equal(db_block_put(l->db, HASH), 0);
    assert_int_equal(db_unit_put(l->db, 1, &unit), 0);
    assert_int_equal(db_meta_set(l->db, "place", 42), 0);
    assert_int_equal(db_refused_add(l->db, 1, "bad-role", KIT_NOW_MS, HASH, 3), 0);
}

static void put_all(struct place *p, struct ledger *l)
{
    struct report words = { .event = 1, .figure_count = 1, .figures = { { 2, 6 } } };
    snprintf(words.text, sizeof words.text, "Nước lên đến mái, cần xuồng");
    const struct kit_record records[] = {
        kit_damage(&p->kit, KIT_ANNA, 1, 1, 3), kit_damage(&p->kit, KIT_ANNA, 2, 1, 5),
        kit_report(&p->kit, KIT_BINH, 1, RECORD_NEEDS, &words),
        kit_damage(&p->kit, KIT_ANNA, 7, 1, 40), kit_damage(&p->kit, KIT_ANNA, 2, 1, 9),
        kit_review(&p->kit, KIT_OPERATOR, 1, KIT_ANNA, 7, REVIEW_REJECTED, "nhầm thôn"),
        kit_review(&p->kit, KIT_OPERATOR, 2, KIT_BINH, 1, REVIEW_APPROVED, ""),
        unreadable(&p->kit), kit_damage(&p->kit, KIT_STRANGER, 1, 1, 1),
        kit_enrol(&p->kit, 13, ROSTER_MEMBER, 4, "Lò Thị Cúc", 0),
        kit_damage(&p->kit, 13, 1, 1, 2), kit_damage(&p->kit, 13, 2, 1, 8),
        kit_enrol(&p->kit, 13, ROSTER_MEMBER, 4, "Lò Thị Cúc", 2),
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        assert_true(kit_put(&p->kit, l, &records[i]) >= 0);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct ledger l;
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->kit, 3);
    kit_db_place(p->dir, "fresh.db", p->fresh);
    struct db *db = kit_open_db(p->dir, "fresh.db");
    kit_open_ledger(&p->kit, db, &l);
    kit_put_root_log(&p->kit, &l);
    put_all(p, &l);
    put_more(&l);
    assert_int_equal(ledger_index(&l), 0);
    ledger_free(&l);
    db_close(db);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

/* ---- migrating ---- */

static struct db *open_raw(const char *where)
{
    struct db *db = NULL;
    int result = db_is_url(where) ? db_postgres_open(where, &db) : db_sqlite_open(where, &db);
    assert_int_equal(result, 0);
    return db;
}

/* As a program of that version left it. */
static void make_older(const struct place *p, const char *where, int version)
{
    struct db *db = open_raw(where);
    assert_int_equal(db_migrate(db, version), 0);
    db_close(db);
    if (kit_on_postgres)
        run_sql(p, where, "CREATE TABLE record_event_1 (LIKE record INCLUDING ALL);"
                          "ALTER TABLE record ATTACH PARTITION record_event_1 FOR VALUES IN (1)");
    for (int t = 0; t < TABLE_COUNT; t++) {
        if (kit_on_postgres)
            copy_table_postgres(p, where, TABLES[t].name);
        else
            copy_table_sqlite(p, where, TABLES[t].name);
    }
    if (kit_on_postgres)
        run_sql(p, where, "SELECT setval('record_arrival', max(arrival)) FROM record");
    /* Older programs knew no index of words and answers, or not all of it. */
    run_sql(p, where, "DELETE FROM meta WHERE key = 'board_indexed_5'");
}

/* It goes on where the older program stopped. */
static void assert_goes_on(struct place *p, struct ledger *l)
{
    struct report other_event = { .event = 2, .figure_count = 1, .figures = { { 1, 12 } } };
    struct kit_record known = kit_damage(&p->kit, KIT_ANNA, 7, 1, 40);
    struct kit_record next = kit_damage(&p->kit, KIT_ANNA, 8, 1, 41);
    struct kit_record other = kit_report(&p->kit, KIT_ANNA, 9, RECORD_DAMAGE, &other_event);
    struct totals t = { .claims = NULL };
    struct totals_filter filter = totals_all();
    assert_int_equal(kit_put(&p->kit, l, &known), LEDGER_DUPLICATE);
    assert_int_equal(kit_put(&p->kit, l, &next), LEDGER_NEW);
    assert_int_equal(kit_put(&p->kit, l, &other), LEDGER_NEW);
    assert_int_equal(totals_collect(&t, l->db, 1, &filter), 0);
    assert_int_equal(totals_finish(&t), TOTALS_OK);
    const struct totals_key key = { .commune = 1, .village = 3, .kind = RECORD_DAMAGE, .code = 1 };
    size_t at = 0;
    while (at < t.row_count && totals_compare_keys(&t.rows[at].key, &key) != 0)
        at++;
    assert_true(at < t.row_count);
    assert_int_equal(t.rows[at].value, 41);
    totals_free(&t);
}

static void test_db_every_older_database_becomes_this_programs(void **state)
{
    struct place *p = *state;
    for (int version = 1; version < db_newest_version(); version++) {
        char name[16], where[POSTGRES_URL_LEN];
        struct ledger l;
        snprintf(name, sizeof name, "v%d.db", version);
        kit_db_place(p->dir, name, where);
        make_older(p, where, version);
        struct db *db = kit_open_db(p->dir, name);
        assert_int_equal(ledger_init(&l, db), 0);
        assert_int_equal(ledger_index(&l), 0);
        for (int t = 0; t < TABLE_COUNT; t++)
            if (version >= TABLES[t].since)
                assert_same(p, where, t);
        assert_goes_on(p, &l);
        ledger_free(&l);
        db_close(db);
    }
}

struct opening {
    char place[POSTGRES_URL_LEN];
    mtx_t *gate; /* shut until all are there */
    struct db *db;
    int result;
};

static int open_it(void *ctx)
{
    struct opening *o = ctx;
    mtx_lock(o->gate);
    mtx_unlock(o->gate);
    o->result = kit_on_postgres ? db_postgres_open(o->place, &o->db)
                                : db_sqlite_open(o->place, &o->db);
    if (o->result == 0)
        o->result = db_migrate(o->db, 1);
    return 0;
}

static void test_db_is_made_by_all_who_come_at_once(void **state)
{
    const struct place *p = *state;
    enum { THREAD_COUNT = 4, ROUND_COUNT = 12 };
    for (int i = 0; i < ROUND_COUNT; i++) {
        struct opening all[THREAD_COUNT] = { { .result = 1 } };
        thrd_t threads[THREAD_COUNT];
        mtx_t gate;
        char name[16];
        snprintf(name, sizeof name, "n%d.db", i);
        assert_int_equal(mtx_init(&gate, mtx_plain), thrd_success);
        mtx_lock(&gate);
        for (int t = 0; t < THREAD_COUNT; t++) {
            kit_db_place(p->dir, name, all[t].place);
            all[t].gate = &gate;
            assert_int_equal(thrd_create(&threads[t], open_it, &all[t]), thrd_success);
        }
        mtx_unlock(&gate);
        for (int t = 0; t < THREAD_COUNT; t++)
            thrd_join(threads[t], NULL);
        mtx_destroy(&gate);
        for (int t = 0; t < THREAD_COUNT; t++) {
            if (all[t].result != 0)
                fail_msg("round %d: %s", i, db_error(all[t].db));
            db_close(all[t].db);
        }
    }
}

static void test_db_released_steps_never_change(void **state)
{
    const struct place *p = *state;
    char place[POSTGRES_URL_LEN], text[DB_STEP_LEN_MAX], hex[2 * MARK_LEN + 1];
    uint8_t hash[crypto_generichash_BYTES];
    kit_db_place(p->dir, "steps.db", place);
    struct db *db = open_raw(place);
    bool good = true;
    for (int version = 1; version <= db_newest_version(); version++) {
        bool known = (size_t)version <= sizeof RELEASED / sizeof RELEASED[0];
        const char *want = !known            ? "none"
                           : kit_on_postgres ? RELEASED[version - 1].postgres
                                             : RELEASED[version - 1].sqlite;
        assert_true(db_step_text(db, version, text, sizeof text));
        crypto_generichash(hash, sizeof hash, (const uint8_t *)text, strlen(text), NULL, 0);
        sodium_bin2hex(hex, sizeof hex, hash, MARK_LEN);
        if (strcmp(hex, want) != 0) {
            print_message("step %d is %s here, but %s when released\n", version, hex, want);
            good = false;
        }
    }
    db_close(db);
    assert_true(good);
}

/* Two programs that open a new database at once both see the old version, and one waits. */
static void test_db_a_step_is_taken_once(void **state)
{
    const struct place *p = *state;
    char place[POSTGRES_URL_LEN], text[DB_STEP_LEN_MAX];
    kit_db_place(p->dir, "both.db", place);
    struct db *one = open_raw(place), *other = open_raw(place);
    for (int version = 1; version <= db_newest_version(); version++) {
        int64_t now = -1;
        assert_true(db_step_text(one, version, text, sizeof text));
        assert_int_equal(one->engine->migrate(one, text, version), 0);
        assert_int_equal(other->engine->migrate(other, text, version), 0);
        assert_int_equal(other->engine->version(other, &now), 0);
        assert_int_equal(now, version);
    }
    db_close(other);
    db_close(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_db_every_older_database_becomes_this_programs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_db_released_steps_never_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_db_a_step_is_taken_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_db_is_made_by_all_who_come_at_once, set_up,
                                        tear_down),
    };
    return kit_run_on_both(tests);
}
