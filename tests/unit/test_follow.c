/* The gateway's line to a real node with a real store behind a real socket; only both loops are the
 * test's.
 */
#include "gateway/follow.h"
#include "node/server.h"
#include "tests/support/commune.h"
#include "tests/unit/test_gateway_kit.h"

enum { TURN_COUNT = 60 };

struct bench {
    struct commune commune;
    char dir[KIT_PATH_LEN]; /* the ledger's */
    struct node node;
    struct radio radio;
    struct server server;
    uint64_t now_ms;
    struct db *db;
    struct ledger ledger;
    struct follow follow;
};

static struct bench bench;

static void start_node(struct bench *b)
{
    char text[NODE_TEXT_LEN], path[COMMUNE_PATH_LEN];
    b->node = (struct node){ .numbers = { .fd = -1 } };
    if (node_open(&b->node, b->commune.dir, 1, b->now_ms, text) < 0)
        fail_msg("%s", text);
    struct radio_config radio = {
        .path = "", .driver = "meshcore-kiss", .wires = "",
        .settings = modem_settings_default(&b->node.roster.profile.lora, 14),
    };
    assert_int_equal(radio_init(&b->radio, &radio, b->now_ms), 0);
    commune_path(&b->commune, "sock", path);
    if (server_open(&b->server, path, &b->node, &b->radio, text) < 0)
        fail_msg("%s", text);
}

static void stop_node(struct bench *b)
{
    server_close(&b->server);
    node_close(&b->node);
}

static void turn(struct bench *b)
{
    struct pollfd fds[SERVER_CLIENT_COUNT_MAX + 1];
    size_t count = server_poll_fds(&b->server, fds);
    b->now_ms += 1000;
    assert_true(poll(fds, count, 0) >= 0);
    server_step(&b->server, b->now_ms, fds, count);
    node_drain(&b->node, b->now_ms);
    server_flush(&b->server);
}

static void run(struct bench *b)
{
    for (int i = 0; i < TURN_COUNT; i++) {
        turn(b);
        assert_true(follow_run(&b->follow, (int64_t)b->now_ms) >= 0);
    }
    assert_true(b->follow.node.connected);
}

static void damage(struct bench *b, uint32_t seq, struct kit_record *out)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    size_t len = commune_damage(seq, body);
    out->len = commune_sign(&b->commune, COMMUNE_STRANGER, seq, RECORD_DAMAGE, body, len,
                            out->bytes);
}

/* As if the node had heard it by radio. */
static void hear(struct bench *b, uint32_t seq)
{
    struct kit_record r;
    char hex[2 * RECORD_LEN_MAX + 1], line[2 * RECORD_LEN_MAX + 64];
    damage(b, seq, &r);
    sodium_bin2hex(hex, sizeof hex, r.bytes, r.len);
    int len = snprintf(line, sizeof line, "{\"do\":\"add\",\"records\":[\"%s\"]}", hex);
    json_t *answer = NULL;
    int64_t after;
    api_handle(&b->server.api, b->now_ms, 1, line, (size_t)len, &answer, &after);
    const json_t *verdict = json_array_get(json_object_get(answer, "verdicts"), 0);
    assert_string_equal(json_string_value(verdict), "new");
    json_decref(answer);
    turn(b);
}

static int count_one(void *ctx, const struct db_record *record)
{
    (void)record;
    ++*(int *)ctx;
    return 0;
}

static bool ledger_has(struct bench *b, uint32_t seq)
{
    struct ledger_commune *c = ledger_find(&b->ledger, b->commune.network_id);
    struct record_ref ref = { .author = COMMUNE_STRANGER, .seq = seq };
    int count = 0;
    assert_true(c && db_record_variants(b->db, c->info.id, &ref, count_one, &count) >= 0);
    return count > 0;
}

static bool count_store(void *ctx, const struct store_record *record)
{
    (void)record;
    ++*(int *)ctx;
    return true;
}

static int node_count(struct bench *b)
{
    int count = 0;
    static const uint16_t author = COMMUNE_STRANGER;
    assert_int_equal(store_newest_of(b->node.store, &author, 1, count_store, &count), STORE_OK);
    return count;
}

static void put_by_wire(struct bench *b, uint32_t seq)
{
    struct kit_record r;
    damage(b, seq, &r);
    struct ledger_commune *c = ledger_find(&b->ledger, b->commune.network_id);
    assert_int_equal(db_begin(b->db), 0);
    b->ledger.via = DB_VIA_WIRE;
    assert_int_equal(ledger_put(&b->ledger, c, r.bytes, r.len, 1), LEDGER_NEW);
    assert_int_equal(db_commit(b->db), 0);
    follow_news(&b->follow);
}

static void lose_store(struct bench *b)
{
    static const char *const NAMES[] = { "store.db", "store.db-wal", "store.db-shm" };
    char path[COMMUNE_PATH_LEN];
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        commune_path(&b->commune, NAMES[i], path);
        unlink(path);
    }
}

static int setup(void **state)
{
    static char socket_path[COMMUNE_PATH_LEN];
    bench = (struct bench){ .now_ms = 1000000 };
    commune_make(&bench.commune, false);
    kit_make_dir(bench.dir);
    bench.db = kit_open_db(bench.dir, "gw.db");
    assert_int_equal(ledger_init(&bench.ledger, bench.db), 0);
    start_node(&bench);
    commune_path(&bench.commune, "sock", socket_path);
    follow_init(&bench.follow, &bench.ledger, socket_path);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    follow_close(&b->follow);
    ledger_free(&b->ledger);
    db_close(b->db);
    stop_node(b);
    commune_remove(&b->commune);
    kit_remove_dir(b->dir);
    return 0;
}

static void test_follow_goes_on_where_it_stopped(void **state)
{
    struct bench *b = *state;
    hear(b, 1);
    run(b);
    assert_true(ledger_has(b, 1));
    uint64_t known = b->ledger.counts[LEDGER_DUPLICATE];
    stop_node(b);
    follow_run(&b->follow, (int64_t)++b->now_ms);
    start_node(b);
    hear(b, 2);
    run(b);
    assert_true(ledger_has(b, 2));
    assert_int_equal(b->ledger.counts[LEDGER_DUPLICATE], known);
}

/* Its arrivals are given out again, and it is past the old place before the gateway asks. */
static void test_follow_takes_all_of_a_new_store(void **state)
{
    struct bench *b = *state;
    hear(b, 1);
    run(b);
    put_by_wire(b, 2);
    run(b);
    assert_int_equal(node_count(b), 2);
    stop_node(b);
    follow_run(&b->follow, (int64_t)++b->now_ms);
    lose_store(b);
    start_node(b);
    for (uint32_t seq = 11; seq <= 20; seq++)
        hear(b, seq);
    run(b);
    for (uint32_t seq = 11; seq <= 20; seq++)
        if (!ledger_has(b, seq))
            fail_msg("%u is at the node and not in the ledger", (unsigned)seq);
    assert_int_equal(node_count(b), 11); /* and what came by wire is there again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follow_goes_on_where_it_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow_takes_all_of_a_new_store, setup, teardown),
    };
    return kit_run_on_both(tests);
}
