#include "tests/unit/test_gateway_kit.h"


struct place {
    char dir[KIT_PATH_LEN];
    struct db *db;
    int64_t commune;
};

static int set_up(void **state)
{
    static const uint8_t NETWORK[KENG_NETWORK_ID_LEN] = { 1 }, ROOT[KENG_KEY_LEN] = { 2 };
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    kit_make_dir(p->dir);
    p->db = kit_open_db(p->dir, "a.db");
    assert_int_equal(db_commune_put(p->db, NETWORK, ROOT, &p->commune), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    db_close(p->db);
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

static int64_t add(struct place *p, uint16_t author, uint32_t seq, uint8_t priority)
{
    uint8_t bytes[4] = { (uint8_t)author, (uint8_t)seq, priority };
    struct db_record record = {
        .commune = p->commune, .ref = { .author = author, .seq = seq }, .kind = RECORD_DAMAGE,
        .priority = priority, .readable = true, .bytes = bytes, .len = sizeof bytes,
    };
    assert_int_equal(db_record_insert(p->db, &record), 0);
    return record.arrival;
}

struct order {
    uint32_t seqs[16];
    size_t count;
};

static int note_order(void *ctx, const struct db_record *record)
{
    struct order *order = ctx;
    order->seqs[order->count++] = record->ref.author * 100u + record->ref.seq;
    return 0;
}

static void assert_waiting(struct place *p, int64_t target, const uint32_t *want, size_t count)
{
    struct order order = { .count = 0 };
    assert_int_equal(db_outbox_waiting(p->db, target, note_order, &order), 0);
    assert_int_equal(order.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(order.seqs[i], want[i]);
}

static void test_db_keeps_one_row_per_number_and_variant(void **state)
{
    struct place *p = *state;
    uint8_t bytes[1] = { 7 };
    struct db_record record = { .commune = p->commune, .ref = { .author = 1, .seq = 1 },
                                .bytes = bytes, .len = 1 };
    assert_int_equal(db_record_insert(p->db, &record), 0);
    assert_int_equal(db_record_insert(p->db, &record), DB_ECONFLICT);
    record.variant = 1;
    assert_int_equal(db_record_insert(p->db, &record), 0);
}

static void test_db_rolls_back_and_reopens(void **state)
{
    struct place *p = *state;
    int64_t last = -1, value = -1, arrival;
    assert_int_equal(db_begin(p->db), 0);
    add(p, 1, 1, 0);
    db_rollback(p->db);
    assert_int_equal(db_record_last_arrival(p->db, &last), 0);
    assert_int_equal(last, 0);
    assert_int_equal(db_begin(p->db), 0);
    arrival = add(p, 1, 1, 0);
    assert_int_equal(db_meta_set(p->db, "place", 42), 0);
    assert_int_equal(db_commit(p->db), 0);
    db_close(p->db);
    p->db = kit_open_db(p->dir, "a.db");
    assert_int_equal(db_record_last_arrival(p->db, &last), 0);
    assert_int_equal(last, arrival);
    assert_int_equal(db_meta_get(p->db, "place", &value), 0);
    assert_int_equal(value, 42);
    assert_int_equal(db_meta_get(p->db, "nowhere", &value), 0);
    assert_int_equal(value, 0);
}

static void test_db_refuses_what_a_newer_program_wrote(void **state)
{
    struct place *p = *state;
    char place[POSTGRES_URL_LEN], err[DB_ERR_LEN];
    struct db *db = NULL;
    kit_db_place(p->dir, "a.db", place);
    db_close(p->db);
    p->db = NULL;
    if (kit_on_postgres) {
        postgres_run(kit_schema(place), "INSERT INTO keng_schema VALUES (768)");
    } else {
        /* Bytes 60..63 of the file's header hold the version number. */
        FILE *file = fopen(place, "r+be");
        assert_non_null(file);
        assert_int_equal(fseek(file, 60, SEEK_SET), 0);
        static const uint8_t VERSION[4] = { 0, 0, 3, 0 };
        assert_int_equal(fwrite(VERSION, 1, sizeof VERSION, file), sizeof VERSION);
        assert_int_equal(fclose(file), 0);
    }
    assert_int_equal(db_open(place, &db, err), DB_ENEWER);
    assert_non_null(strstr(err, "newer program"));
}

/* More rows than are fetched at once, other operations between them, and an early end. */
struct walk {
    struct place *place;
    unsigned count, stop_at;
};

static int walk_row(void *ctx, const struct db_record *record)
{
    struct walk *w = ctx;
    int64_t value;
    assert_int_equal(record->ref.seq, ++w->count);
    assert_int_equal(db_meta_get(w->place->db, "any", &value), 0);
    return w->count == w->stop_at ? 7 : 0;
}

static void test_db_walks_long_answers(void **state)
{
    struct place *p = *state;
    enum { COUNT = 2500 };
    assert_int_equal(db_begin(p->db), 0);
    for (uint32_t seq = 1; seq <= COUNT; seq++)
        add(p, 3, seq, 0);
    struct walk inside = { .place = p }, outside = { .place = p };
    assert_int_equal(db_record_numbers(p->db, p->commune, INT64_MAX, walk_row, &inside), 0);
    assert_int_equal(inside.count, COUNT);
    assert_int_equal(db_commit(p->db), 0);
    assert_int_equal(db_record_numbers(p->db, p->commune, INT64_MAX, walk_row, &outside), 0);
    assert_int_equal(outside.count, COUNT);
    struct walk early = { .place = p, .stop_at = 1200 };
    assert_int_equal(db_record_numbers(p->db, p->commune, INT64_MAX, walk_row, &early), 7);
    assert_int_equal(early.count, 1200);
    early = (struct walk){ .place = p, .stop_at = COUNT };
    assert_int_equal(db_record_numbers(p->db, p->commune, INT64_MAX, walk_row, &early), 7);
}

static void test_db_lets_one_writer_in(void **state)
{
    struct place *p = *state;
    struct db *other = kit_open_db(p->dir, "a.db");
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(db_begin(other), DB_EBUSY);
    assert_int_equal(db_commit(p->db), 0);
    assert_int_equal(db_begin(other), 0);
    db_rollback(other);
    db_close(other);
}

/* Ends the session that has a transaction open, and nobody else's. */
static void end_writer(const char *place)
{
    postgres_run(kit_schema(place), "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks"
                 " WHERE locktype = 'advisory' AND objid::bigint ="
                 " (hashtext(current_schema())::bigint & 4294967295)");
}

/* A server that goes away takes the open transaction with it, and the next one works again. */
static void test_db_finds_a_restarted_server_again(void **state)
{
    struct place *p = *state;
    int64_t last;
    char place[POSTGRES_URL_LEN];
    kit_db_place(p->dir, "a.db", place);
    assert_int_equal(db_begin(p->db), 0);
    add(p, 1, 1, 0);
    end_writer(place);
    assert_int_equal(db_commit(p->db), DB_EDISK);
    db_rollback(p->db);
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(db_record_last_arrival(p->db, &last), 0);
    assert_int_equal(last, 0);
    add(p, 1, 1, 0);
    assert_int_equal(db_commit(p->db), 0);
}

static int end_while_reading(void *ctx, const struct db_record *record)
{
    (void)record;
    end_writer(ctx);
    return 7;
}

/* Nor is its first half forgotten when it is a long answer's end that finds the server gone. */
static void test_db_loses_no_half_of_a_transaction(void **state)
{
    struct place *p = *state;
    int64_t last;
    char place[POSTGRES_URL_LEN];
    kit_db_place(p->dir, "a.db", place);
    assert_int_equal(db_begin(p->db), 0);
    add(p, 1, 1, 0);
    assert_int_equal(db_record_all(p->db, p->commune, end_while_reading, place), 7);
    assert_int_equal(db_record_last_arrival(p->db, &last), DB_EDISK);
    assert_int_equal(db_commit(p->db), DB_EDISK);
    db_rollback(p->db);
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(db_record_last_arrival(p->db, &last), 0);
    assert_int_equal(last, 0);
    db_rollback(p->db);
}

static void test_db_is_not_asked_where_no_server_is(void **state)
{
    (void)state;
    char err[DB_ERR_LEN] = "";
    struct db *db = NULL;
    assert_int_equal(db_open("postgresql://nobody:secret@/none?host=/nowhere", &db, err), DB_EDISK);
    assert_non_null(strstr(err, "PostgreSQL"));
    assert_null(strstr(err, "secret"));
}

/* Every way to write it names the same file. */
static void test_db_takes_any_path(void **state)
{
    struct place *p = *state;
    static const char *const NAMES[] = { "a b.db", "50%25.db", "x?y#z&mode=ro.db", "/a.db" };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        char path[2 * KIT_PATH_LEN], err[DB_ERR_LEN] = "";
        struct db *db = NULL;
        snprintf(path, sizeof path, "/%s/%s", p->dir, NAMES[i]); /* begins with two slashes */
        if (db_open(path, &db, err) != 0)
            fail_msg("%s", err);
        db_close(db);
        assert_int_equal(access(path, F_OK), 0);
    }
}

static void test_db_refuses_a_file_that_is_none(void **state)
{
    struct place *p = *state;
    char path[KIT_PATH_LEN + 32], err[DB_ERR_LEN] = "";
    struct db *db = NULL;
    snprintf(path, sizeof path, "%s/b.db", p->dir);
    kit_write_file(path, (const uint8_t *)"this is a letter, not a database, and quite long", 48);
    assert_int_equal(db_open(path, &db, err), DB_EDISK);
    assert_true(strlen(err) > 0);
    snprintf(path, sizeof path, "%s/no/such/place.db", p->dir);
    assert_int_equal(db_open(path, &db, err), DB_EDISK);
}

static void assert_stands(struct place *p, int64_t target, int64_t arrival,
                          enum db_outbox_state want)
{
    int64_t stands = -1;
    assert_int_equal(db_outbox_stands(p->db, target, arrival, &stands), 0);
    assert_int_equal(stands, want);
}

static void test_db_outbox_sends_the_root_then_the_urgent(void **state)
{
    struct place *p = *state;
    int64_t target, waiting;
    add(p, 12, 1, PRIORITY_ROUTINE);
    add(p, 12, 2, PRIORITY_RESCUE);
    int64_t root = add(p, 0, 1, PRIORITY_ROUTINE);
    int64_t late = add(p, 15, 1, PRIORITY_DAMAGE);
    assert_int_equal(db_outbox_target(p->db, "https://a", p->commune, &target), 0);
    assert_waiting(p, target, (const uint32_t[]){ 1, 1202, 1501, 1201 }, 4);
    assert_int_equal(db_outbox_answered(p->db, target, root, NULL), 0);
    assert_int_equal(db_outbox_answered(p->db, target, late, "bad-role"), 0);
    assert_int_equal(db_outbox_settle(p->db, target), 0);
    assert_waiting(p, target, (const uint32_t[]){ 1202, 1201 }, 2);
    assert_stands(p, target, root, DB_OUTBOX_HELD);
    assert_stands(p, target, late, DB_OUTBOX_REFUSED);
    assert_stands(p, target, 1, DB_OUTBOX_WAITS);
    assert_int_equal(db_outbox_answered(p->db, target, 1, NULL), 0);
    assert_int_equal(db_outbox_answered(p->db, target, 2, NULL), 0);
    assert_int_equal(db_outbox_settle(p->db, target), 0);
    assert_int_equal(db_outbox_count(p->db, target, &waiting), 0);
    assert_int_equal(waiting, 0);
    assert_stands(p, target, 1, DB_OUTBOX_HELD);
    assert_stands(p, target, late, DB_OUTBOX_REFUSED);
    int64_t next = add(p, 15, 2, PRIORITY_DAMAGE);
    assert_waiting(p, target, (const uint32_t[]){ 1502 }, 1);
    assert_stands(p, target, next, DB_OUTBOX_WAITS);
    assert_int_equal(db_outbox_reopen(p->db, target, 2), 0);
    assert_waiting(p, target, (const uint32_t[]){ 1, 1202, 1502 }, 3);
}

static void test_db_outbox_pardons_whom_the_roster_does(void **state)
{
    struct place *p = *state;
    int64_t a, b;
    for (uint32_t seq = 1; seq <= 3; seq++) {
        add(p, 12, seq, PRIORITY_ROUTINE);
        add(p, 15, seq, PRIORITY_ROUTINE);
    }
    assert_int_equal(db_outbox_target(p->db, "https://a", p->commune, &a), 0);
    assert_int_equal(db_outbox_target(p->db, "https://b", p->commune, &b), 0);
    for (int64_t arrival = 1; arrival <= 5; arrival++) {
        const char *why = arrival < 3 ? NULL : arrival < 5 ? "revoked" : "bad-body";
        assert_int_equal(db_outbox_answered(p->db, a, arrival, why), 0);
        assert_int_equal(db_outbox_answered(p->db, b, arrival, NULL), 0);
    }
    assert_int_equal(db_outbox_settle(p->db, a), 0);
    assert_int_equal(db_outbox_settle(p->db, b), 0);
    assert_int_equal(db_outbox_pardon(p->db, p->commune, 20), 0);
    assert_waiting(p, a, (const uint32_t[]){ 1503 }, 1);
    assert_int_equal(db_outbox_pardon(p->db, p->commune, 12), 0);
    assert_waiting(p, a, (const uint32_t[]){ 1202, 1503 }, 2); /* 3 and not 4, the other's, nor 5 */
    assert_waiting(p, b, (const uint32_t[]){ 1503 }, 1);
    assert_int_equal(db_outbox_settle(p->db, a), 0);
    assert_waiting(p, a, (const uint32_t[]){ 1202, 1503 }, 2);
    assert_int_equal(db_outbox_answered(p->db, a, 3, NULL), 0);
    assert_int_equal(db_outbox_settle(p->db, a), 0);
    assert_waiting(p, a, (const uint32_t[]){ 1503 }, 1);
}

static void test_db_targets_do_not_mix(void **state)
{
    struct place *p = *state;
    int64_t a, b, again;
    add(p, 12, 1, 0);
    assert_int_equal(db_outbox_target(p->db, "https://a", p->commune, &a), 0);
    assert_int_equal(db_outbox_target(p->db, "https://b", p->commune, &b), 0);
    assert_int_equal(db_outbox_target(p->db, "https://a", p->commune, &again), 0);
    assert_int_equal(a, again);
    assert_int_not_equal(a, b);
    assert_int_equal(db_outbox_answered(p->db, a, 1, NULL), 0);
    assert_int_equal(db_outbox_settle(p->db, a), 0);
    assert_waiting(p, a, NULL, 0);
    assert_waiting(p, b, (const uint32_t[]){ 1201 }, 1);
}

static int64_t add_kind(struct place *p, uint8_t kind, uint32_t seq, enum db_via via)
{
    uint8_t bytes[4] = { kind, (uint8_t)seq, 9, 9 };
    struct db_record record = {
        .commune = p->commune, .ref = { .author = 10, .seq = seq, .lane = record_lane(kind) },
        .kind = kind, .readable = true, .via = (uint8_t)via, .bytes = bytes, .len = sizeof bytes,
    };
    assert_int_equal(db_record_insert(p->db, &record), 0);
    return record.arrival;
}

static void assert_down(struct place *p, int64_t after, uint16_t source, size_t count)
{
    struct order order = { .count = 0 };
    assert_int_equal(db_down_list(p->db, p->commune, after, source, note_order, &order), 0);
    assert_int_equal(order.count, count);
}

static void test_db_goes_down_to_all_but_who_brought_it(void **state)
{
    struct place *p = *state;
    int64_t target, waiting;
    char place[DB_DOWN_LEN];
    struct order order = { .count = 0 };
    int64_t first = add_kind(p, RECORD_REVIEW, 1, DB_VIA_NODE);
    add(p, 12, 1, PRIORITY_RESCUE);
    int64_t second = add_kind(p, RECORD_ACK_LAST, 7, DB_VIA_WIRE);
    assert_int_equal(db_brought_put(p->db, second, 60), 0);
    assert_down(p, 0, 11, 2);
    assert_down(p, 0, 60, 1);
    assert_down(p, first, 11, 1);
    assert_down(p, second, 11, 0);

    assert_int_equal(db_outbox_target(p->db, "https://a", p->commune, &target), 0);
    assert_int_equal(db_down_get(p->db, target, place), 0);
    assert_string_equal(place, "");
    assert_int_equal(db_down_set(p->db, target, "12-ab"), 0);
    assert_int_equal(db_down_get(p->db, target, place), 0);
    assert_string_equal(place, "12-ab");
    assert_int_equal(db_down_mark(p->db, target, 60, first), 0);
    assert_int_equal(db_down_mark(p->db, target, 60, first), 0);
    assert_int_equal(db_outbox_count(p->db, target, &waiting), 0);
    assert_int_equal(waiting, 2);

    assert_int_equal(db_record_for_node(p->db, p->commune, 0, 5, note_order, &order), 0);
    assert_int_equal(order.count, 1);
    assert_int_equal(order.seqs[0], 1007);
}

int main(void)
{
#define DB_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest both[] = {
        DB_TEST(test_db_keeps_one_row_per_number_and_variant),
        DB_TEST(test_db_rolls_back_and_reopens),
        DB_TEST(test_db_refuses_what_a_newer_program_wrote),
        DB_TEST(test_db_walks_long_answers),
        DB_TEST(test_db_lets_one_writer_in),
        DB_TEST(test_db_outbox_sends_the_root_then_the_urgent),
        DB_TEST(test_db_outbox_pardons_whom_the_roster_does),
        DB_TEST(test_db_targets_do_not_mix),
        DB_TEST(test_db_goes_down_to_all_but_who_brought_it),
    };
    const struct CMUnitTest sqlite[] = {
        DB_TEST(test_db_takes_any_path),
        DB_TEST(test_db_refuses_a_file_that_is_none),
    };
    const struct CMUnitTest postgres[] = {
        DB_TEST(test_db_finds_a_restarted_server_again),
        DB_TEST(test_db_loses_no_half_of_a_transaction),
        DB_TEST(test_db_is_not_asked_where_no_server_is),
    };
    int failed = kit_run_on_both(both);
    failed += cmocka_run_group_tests(postgres, NULL, NULL);
    kit_on_postgres = false;
    return failed + cmocka_run_group_tests(sqlite, NULL, NULL);
}
