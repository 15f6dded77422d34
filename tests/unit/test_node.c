/* Real nodes on real files; frames pass from core to core without an air between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/node.h"
#include "tests/support/commune.h"

enum { STEPS_MAX = 4000 };

struct station {
    struct commune commune;
    struct node node;
    json_t *answer; /* the last one, to client 1 */
    unsigned answer_count, state_count;
    char state[16];
};

struct bench {
    struct station village, gateway;
    uint64_t now_ms;
    unsigned drains;
};

static struct bench bench;

static void on_answer(void *listener, uint64_t client, json_t *answer)
{
    struct station *s = listener;
    assert_int_equal(client, 1);
    json_decref(s->answer);
    s->answer = answer;
    s->answer_count++;
}

static void on_state(void *listener, json_t *state)
{
    struct station *s = listener;
    s->state_count++;
    snprintf(s->state, sizeof s->state, "%s",
             json_string_value(json_object_get(state, "state")));
    json_decref(state);
}

static void start(struct bench *b, struct station *s)
{
    char text[NODE_TEXT_LEN];
    s->node = (struct node){ .numbers = { .fd = -1 }, .listener = s, .on_answer = on_answer,
                             .on_state = on_state };
    if (node_open(&s->node, s->commune.dir, 1, b->now_ms, text) < 0)
        fail_msg("%s", text);
    mesh_set_modem(s->node.mesh, b->now_ms, true);
    node_drain(&s->node, b->now_ms);
}

static void stop(struct station *s)
{
    node_close(&s->node);
    s->node.store = NULL;
}

static int setup(void **state)
{
    signal(SIGXFSZ, SIG_IGN);
    /* Well past one window, so that older minutes exist. */
    bench = (struct bench){ .now_ms = 3 * 3600 * 1000 };
    commune_make(&bench.village.commune, false);
    commune_make(&bench.gateway.commune, true);
    start(&bench, &bench.village);
    start(&bench, &bench.gateway);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    struct station *stations[] = { &b->village, &b->gateway };
    for (int i = 0; i < 2; i++) {
        json_decref(stations[i]->answer);
        stop(stations[i]);
        commune_remove(&stations[i]->commune);
    }
    return 0;
}

static void transmit(struct bench *b, struct station *from, struct station *to)
{
    static const struct mesh_rx_meta meta = { .rssi_dbm = -90, .snr_db_x4 = 20 };
    struct mesh_tx tx;
    while (mesh_poll_tx(from->node.mesh, b->now_ms, &tx)) {
        mesh_on_frame(to->node.mesh, b->now_ms, tx.bytes, tx.len, &meta);
        node_drain(&to->node, b->now_ms);
        mesh_on_tx_done(from->node.mesh, b->now_ms, tx.tx_id, MESH_TX_SENT);
        node_drain(&from->node, b->now_ms);
    }
}

/* Lets both live until the village's first report is in `word`, or for_ms went by. */
static bool run_until(struct bench *b, const char *word, uint64_t for_ms)
{
    uint64_t end_ms = b->now_ms + for_ms;
    for (int i = 0; i < STEPS_MAX && b->now_ms < end_ms; i++) {
        node_drain(&b->village.node, b->now_ms);
        node_drain(&b->gateway.node, b->now_ms);
        b->drains += 2;
        transmit(b, &b->village, &b->gateway);
        transmit(b, &b->gateway, &b->village);
        if (strcmp(b->village.state, word) == 0)
            return true;
        uint64_t one = mesh_next_deadline(b->village.node.mesh);
        uint64_t two = mesh_next_deadline(b->gateway.node.mesh);
        uint64_t next = one < two ? one : two;
        assert_true(next > b->now_ms);
        b->now_ms = next < end_ms ? next : end_ms;
    }
    return false;
}

static const char *submit(struct bench *b, struct station *s, uint16_t author, uint32_t value)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct record_draft draft = { .ref = { .author = author }, .kind = RECORD_DAMAGE,
                                  .priority = PRIORITY_DAMAGE, .created_min = 400000,
                                  .body = body };
    draft.body_len = commune_damage(value, body);
    unsigned before = s->answer_count;
    assert_true(node_submit(&s->node, b->now_ms, 1, &draft, NULL));
    assert_int_equal(s->answer_count, before); /* nothing is said before the disk has spoken */
    node_drain(&s->node, b->now_ms);
    assert_int_equal(s->answer_count, before + 1);
    const char *code = json_string_value(json_object_get(s->answer, "code"));
    return code ? code : "ok";
}

static int64_t answered_seq(const struct station *s)
{
    return json_integer_value(json_object_get(s->answer, "seq"));
}

static enum node_report_state state_of(struct station *s, uint32_t seq)
{
    struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = seq };
    struct node_report r;
    node_report_state(&s->node, &ref, AUTHOR_NONE, &r);
    return r.state;
}

static void limit_files(rlim_t len)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = len;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- from village to gateway --------------------------------------------------------------- */

static void test_node_report_comes_to_be_received_and_read(void **state)
{
    struct bench *b = *state;
    uint8_t review[RECORD_LEN_MAX];
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 5), "ok");
    assert_int_equal(state_of(&b->village, 1), REPORT_STORED);
    assert_true(run_until(b, "carried", 600000) || strcmp(b->village.state, "received") == 0);
    assert_true(run_until(b, "received", 3600000));
    assert_int_equal(state_of(&b->village, 1), REPORT_RECEIVED);
    struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = 1 };
    size_t len = commune_review(&b->gateway.commune, 1, ref, REVIEW_APPROVED,
                                "Đã cử xã đội", review);
    assert_string_equal(node_add(&b->gateway.node, b->now_ms, review, len), "new");
    assert_true(run_until(b, "read", 3600000));
    assert_int_equal(state_of(&b->village, 1), REPORT_READ);
    assert_true(b->village.state_count >= 2);
}

struct picture {
    uint32_t digest, held, spent_ms;
    enum node_report_state states[4];
    uint16_t carried_by;
};

static bool note_carrier(void *ctx, const struct store_record *record)
{
    struct picture *p = ctx;
    p->carried_by = record->carried_by;
    return false;
}

static void look(struct bench *b, struct picture *p)
{
    struct mesh_stats stats;
    memset(p, 0, sizeof *p);
    node_drain(&b->village.node, b->now_ms);
    mesh_stats(b->village.node.mesh, &stats);
    p->digest = stats.digest;
    p->held = stats.records_held;
    p->spent_ms = stats.window_airtime_ms;
    for (uint32_t i = 0; i < 4; i++)
        p->states[i] = state_of(&b->village, i + 1);
    static const uint16_t author = COMMUNE_MEMBER;
    assert_int_equal(store_newest_of(b->village.node.store, &author, 1, note_carrier, p), STORE_OK);
}

static void test_node_restart_equals(void **state)
{
    struct bench *b = *state;
    uint8_t record[RECORD_LEN_MAX];
    struct picture before, after;
    for (uint32_t i = 1; i <= 3; i++)
        assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, i), "ok");
    assert_true(run_until(b, "received", 3600000));
    struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = 2 };
    size_t len = commune_review(&b->village.commune, 1, ref, REVIEW_QUESTION, "Mấy nhà?", record);
    assert_string_equal(node_add(&b->village.node, b->now_ms, record, len), "new");
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 4), "ok");
    look(b, &before);
    assert_true(before.spent_ms > 0);
    assert_int_equal(before.states[1], REPORT_READ);
    assert_int_equal(before.states[3], REPORT_STORED);
    stop(&b->village);
    b->now_ms += 1000;
    start(b, &b->village);
    look(b, &after);
    assert_int_equal(after.digest, before.digest);
    assert_int_equal(after.held, before.held);
    assert_memory_equal(after.states, before.states, sizeof after.states);
    /* Whole minutes are kept: what was spent may look a little younger, never less. */
    assert_int_equal(after.spent_ms, before.spent_ms);
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 5), "ok");
    assert_int_equal(answered_seq(&b->village), 5);
}

static void test_node_who_carried_a_report_survives_a_restart(void **state)
{
    struct bench *b = *state;
    struct picture p;
    stop(&b->gateway);
    start(b, &b->gateway);
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 1), "ok");
    assert_true(run_until(b, "received", 3600000));
    look(b, &p);
    assert_int_equal(p.carried_by, COMMUNE_GATEWAY);
    stop(&b->village);
    start(b, &b->village);
    look(b, &p);
    assert_int_equal(p.carried_by, COMMUNE_GATEWAY);
}

static size_t count_kind(struct station *s, uint16_t author, uint8_t kind)
{
    struct record_ref ref = { .author = author, .seq = 1 };
    uint8_t bytes[RECORD_LEN_MAX];
    size_t count = 0;
    for (int len; (len = store_load(s->node.store, &ref, bytes)) > 0; ref.seq++) {
        struct record_view view;
        assert_int_equal(record_decode(bytes, (size_t)len, &view), RECORD_OK);
        count += view.kind == kind;
    }
    return count;
}

/* Feeds the gateway's directive number seq to the village's box. */
static void direct(struct bench *b, uint32_t seq, struct directive d)
{
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    d.text_len = strlen("Sơ tán ngay");
    snprintf(d.text, sizeof d.text, "Sơ tán ngay");
    int len = directive_encode(&d, body, sizeof body);
    assert_true(len > 0);
    size_t record_len = commune_sign(&b->village.commune, COMMUNE_GATEWAY, seq, RECORD_DIRECTIVE,
                                     body, (size_t)len, record);
    assert_string_equal(node_add(&b->village.node, b->now_ms, record, record_len), "new");
    node_drain(&b->village.node, b->now_ms);
}

static void test_node_box_says_once_that_it_holds_a_directive(void **state)
{
    struct bench *b = *state;
    struct station *s = &b->village;
    direct(b, 1, (struct directive){ .receipt = false });
    direct(b, 2, (struct directive){ .receipt = true, .village = 99 });
    direct(b, 3, (struct directive){ .receipt = true, .person = COMMUNE_STRANGER });
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 0);
    direct(b, 4, (struct directive){ .receipt = true, .person = COMMUNE_MEMBER });
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 1);
    direct(b, 5, (struct directive){ .receipt = true });
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 2);
    stop(s);
    start(b, s);
    node_drain(&s->node, b->now_ms);
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 2);
    /* Only people read. */
    assert_int_equal(count_kind(s, COMMUNE_MEMBER, RECORD_RECEIPT), 0);
}

/* Submits until no place is left: what the box itself has to say finds none. */
static void fill_places(struct bench *b, struct station *s)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct record_draft draft = { .ref = { .author = COMMUNE_MEMBER }, .kind = RECORD_DAMAGE,
                                  .body = body, .body_len = commune_damage(1, body) };
    while (node_submit(&s->node, b->now_ms, 0, &draft, NULL))
        ;
}

static void test_node_receipt_survives_full_places_and_restarts(void **state)
{
    struct bench *b = *state;
    struct station *s = &b->village;
    struct record_ref late[] = { { .author = COMMUNE_GATEWAY, .seq = 70 },
                                 { .author = COMMUNE_GATEWAY, .seq = 71 } };
    fill_places(b, s);
    direct(b, 1, (struct directive){ .receipt = true });
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 1);
    /* What a power cut leaves that came between two directives and their receipts. */
    assert_int_equal(store_begin(s->node.store), STORE_OK);
    assert_int_equal(store_put_owed(s->node.store, &late[1]), STORE_OK);
    assert_int_equal(store_put_owed(s->node.store, &late[0]), STORE_OK);
    assert_int_equal(store_commit(s->node.store), STORE_OK);
    stop(s);
    start(b, s);
    node_drain(&s->node, b->now_ms);
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 2); /* one for both */
    stop(s);
    start(b, s);
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 2);
}

/* While the disk fails nothing is believed, and nothing is asked of it without end. */
static void test_node_receipt_waits_for_the_disk(void **state)
{
    struct bench *b = *state;
    struct station *s = &b->village;
    struct record_ref of = { .author = COMMUNE_GATEWAY, .seq = 70 };
    assert_int_equal(store_begin(s->node.store), STORE_OK);
    assert_int_equal(store_put_owed(s->node.store, &of), STORE_OK);
    assert_int_equal(store_commit(s->node.store), STORE_OK);
    s->node.owes = true;
    limit_files(0);
    node_drain(&s->node, b->now_ms);
    node_drain(&s->node, b->now_ms);
    limit_files(RLIM_INFINITY);
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 0);
    b->now_ms += 120000;
    node_drain(&s->node, b->now_ms);
    assert_int_equal(count_kind(s, COMMUNE_NODE, RECORD_RECEIPT), 1);
}

/* Changes the village's store behind its back; it is stopped. */
static void change_store(struct bench *b, const char *sql)
{
    char path[COMMUNE_PATH_LEN];
    sqlite3 *db;
    commune_path(&b->village.commune, "store.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_in_range(sqlite3_changes(db), 1, INT32_MAX);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_node_airtime_of_another_boot_counts_as_just_spent(void **state)
{
    struct bench *b = *state;
    struct mesh_stats stats;
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 1), "ok");
    assert_true(run_until(b, "received", 3600000));
    mesh_stats(b->village.node.mesh, &stats);
    uint32_t spent_ms = stats.window_airtime_ms;
    assert_true(spent_ms > 0);
    stop(&b->village);
    change_store(b, "UPDATE airtime SET boot = 'before'");
    b->now_ms = 5000; /* the new boot's clock began anew */
    for (int i = 0; i < 3; i++) {
        start(b, &b->village);
        mesh_stats(b->village.node.mesh, &stats);
        assert_in_range(stats.window_airtime_ms, spent_ms, spent_ms + 1);
        stop(&b->village); /* again and again: neither forgotten nor counted twice */
        b->now_ms += 1000;
    }
    start(b, &b->village);
    /* A window and its broken minutes later it is gone; without a modem nothing new is booked. */
    mesh_set_modem(b->village.node.mesh, b->now_ms, false);
    b->now_ms += 3600000 + 120000;
    node_drain(&b->village.node, b->now_ms);
    mesh_stats(b->village.node.mesh, &stats);
    assert_int_equal(stats.window_airtime_ms, 0);
}

/* The power cut may have been of no length at all: what stood in the window of the newest minute
 * spent may be in today's, and nothing before it. */
static void test_node_airtime_before_the_last_window_of_another_boot_is_gone(void **state)
{
    struct bench *b = *state;
    struct mesh_stats stats;
    stop(&b->village);
    b->now_ms = 0;
    start(b, &b->village);
    mesh_set_modem(b->village.node.mesh, b->now_ms, false);
    for (int i = 0; i < 5 * 24; i++) {
        node_spend(&b->village.node, 0, b->now_ms, 500000);
        b->now_ms += 3600000;
    }
    /* The core counts 62 minutes of the hour: the first of these is out, the second in. */
    for (int i = 0; i < 2; i++, b->now_ms += 60000)
        node_spend(&b->village.node, 0, b->now_ms, i == 0 ? 40000 : 3000);
    b->now_ms += 60 * 60000;
    node_spend(&b->village.node, 0, b->now_ms, 700);
    node_drain(&b->village.node, b->now_ms);
    mesh_stats(b->village.node.mesh, &stats);
    assert_int_equal(stats.window_airtime_ms, 4); /* 3.7, rounded up */
    stop(&b->village);
    change_store(b, "UPDATE airtime SET boot = 'before'");
    b->now_ms = 5000;
    start(b, &b->village);
    mesh_stats(b->village.node.mesh, &stats);
    assert_int_equal(stats.window_airtime_ms, 4);
}

/* Without end: minutes that are more than full add up to the most there is, not to a little. */
static void test_node_airtime_of_another_boot_does_not_count_over(void **state)
{
    struct bench *b = *state;
    struct mesh_stats stats;
    char sql[160];
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 1), "ok");
    assert_true(run_until(b, "received", 3600000));
    stop(&b->village);
    snprintf(sql, sizeof sql,
             "UPDATE airtime SET boot = 'before', us = %u; INSERT INTO airtime"
             " SELECT boot, minute_ms + 60000, 5000000 FROM airtime", UINT32_MAX);
    change_store(b, sql);
    b->now_ms = 5000;
    start(b, &b->village);
    node_spend(&b->village.node, 0, b->now_ms, 1000000);
    mesh_stats(b->village.node.mesh, &stats);
    assert_int_equal(stats.window_airtime_ms, UINT32_MAX / 1000 + 1);
    stop(&b->village);
    start(b, &b->village);
    mesh_stats(b->village.node.mesh, &stats);
    assert_int_equal(stats.window_airtime_ms, UINT32_MAX / 1000 + 1);
}

static void test_node_airtime_that_a_modem_spent_by_itself_counts_and_lasts(void **state)
{
    struct bench *b = *state;
    struct mesh_stats before, after;
    mesh_stats(b->village.node.mesh, &before);
    node_spend(&b->village.node, 0, b->now_ms, 400000);
    node_spend(&b->village.node, 0, b->now_ms, 600000);
    mesh_stats(b->village.node.mesh, &after);
    assert_int_equal(after.window_airtime_ms, before.window_airtime_ms + 1000);
    stop(&b->village);
    start(b, &b->village);
    mesh_stats(b->village.node.mesh, &after);
    assert_int_equal(after.window_airtime_ms, before.window_airtime_ms + 1000);
}

/* The modem goes on sending while the disk is full. */
static void test_node_airtime_spent_while_the_disk_failed_lasts(void **state)
{
    struct bench *b = *state;
    struct mesh_stats before, after;
    mesh_set_modem(b->village.node.mesh, b->now_ms, false);
    mesh_stats(b->village.node.mesh, &before);
    node_spend(&b->village.node, 0, b->now_ms, 100000);
    limit_files(1000);
    for (int i = 0; i < 10; i++) {
        b->now_ms += 60000;
        node_spend(&b->village.node, 0, b->now_ms, 400000);
    }
    limit_files(RLIM_INFINITY);
    b->now_ms += 60000;
    node_spend(&b->village.node, 0, b->now_ms, 500000);
    mesh_stats(b->village.node.mesh, &after);
    assert_int_equal(after.window_airtime_ms, before.window_airtime_ms + 4600);
    /* Each minute stands where it was spent: the oldest two leave the window first. */
    static const uint32_t want_ms[] = { 4600, 4100 };
    for (int i = 0; i < 2; i++, b->now_ms += 52 * 60000) {
        stop(&b->village);
        start(b, &b->village);
        mesh_set_modem(b->village.node.mesh, b->now_ms, false);
        mesh_stats(b->village.node.mesh, &after);
        assert_int_equal(after.window_airtime_ms, before.window_airtime_ms + want_ms[i]);
    }
}

/* ---- numbers ---- */

static void test_node_store_behind_its_numbers_writes_nothing_new(void **state)
{
    struct bench *b = *state;
    static const char *const lost[] = { "store.db", "store.db-wal" };
    char path[COMMUNE_PATH_LEN];
    uint8_t saved[40][RECORD_LEN_MAX];
    int lens[40];
    for (uint32_t i = 0; i < 40; i++) {
        assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, i), "ok");
        struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = i + 1 };
        lens[i] = store_load(b->village.node.store, &ref, saved[i]);
        assert_true(lens[i] > 0);
    }
    stop(&b->village);
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        commune_path(&b->village.commune, lost[i], path);
        unlink(path);
    }
    start(b, &b->village);
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 99), "behind");
    assert_string_equal(submit(b, &b->village, COMMUNE_NODE, 99), "ok"); /* he lost nothing */
    for (uint32_t i = 0; i < 40; i++)
        assert_string_equal(node_add(&b->village.node, b->now_ms, saved[i], (size_t)lens[i]),
                            "new");
    b->now_ms += 24 * 3600 * 1000ull; /* what waits for neighbours has waited */
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 99), "ok");
    assert_int_equal(answered_seq(&b->village), 41);
}

/* A card that was pulled out lost the newest record alone, which others hold already. */
static void test_node_that_lost_its_last_record_signs_no_second(void **state)
{
    struct bench *b = *state;
    struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = 2 };
    uint8_t here[RECORD_LEN_MAX], there[RECORD_LEN_MAX];
    struct mesh_stats stats;
    char sql[100];
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 1), "ok");
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 2), "ok");
    run_until(b, "never", 600000);
    assert_int_equal(state_of(&b->village, 2), REPORT_RECEIVED);
    stop(&b->village);
    snprintf(sql, sizeof sql, "DELETE FROM record WHERE log = %d AND seq = 2",
             COMMUNE_MEMBER * LANE_COUNT);
    change_store(b, sql);
    start(b, &b->village);
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 3), "behind");
    run_until(b, "never", 120000);
    int len = store_load(b->gateway.node.store, &ref, there);
    assert_true(len > 0);
    assert_int_equal(store_load(b->village.node.store, &ref, here), len); /* it came back */
    assert_memory_equal(here, there, (size_t)len);
    b->now_ms += 24 * 3600 * 1000ull;
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 3), "ok");
    assert_int_equal(answered_seq(&b->village), 3);
    run_until(b, "never", 3600000);
    assert_int_equal(state_of(&b->village, 3), REPORT_RECEIVED);
    mesh_stats(b->gateway.node.mesh, &stats);
    assert_int_equal(stats.rx[MESH_RX_FORK], 0);
}

static void test_node_killed_at_any_file_length_uses_no_number_twice(void **state)
{
    struct bench *b = *state;
    uint8_t bytes[RECORD_LEN_MAX];
    uint32_t stored = 0;
    /* The disk fills up at another byte each time; then the node is started anew. */
    for (rlim_t room = 0; room < 40000; room += 1777) {
        limit_files(room);
        for (int i = 0; i < 4; i++) {
            const char *code = submit(b, &b->village, COMMUNE_MEMBER, stored);
            if (strcmp(code, "ok") == 0)
                assert_int_equal(answered_seq(&b->village), ++stored);
            else
                assert_string_equal(code, "disk");
        }
        stop(&b->village);
        limit_files(RLIM_INFINITY);
        start(b, &b->village);
        /* A disk may fail behind the end of a transaction: then what was refused is there. */
        struct record_ref next = { .author = COMMUNE_MEMBER, .seq = stored + 1 };
        stored += store_load(b->village.node.store, &next, bytes) > 0;
        b->now_ms += 150000; /* for a record that others might hold, if the number was noted */
        assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, stored), "ok");
        assert_int_equal(answered_seq(&b->village), ++stored);
    }
}

/* ---- what the root takes back ---- */

static void say_of_member(struct bench *b, uint32_t revoked_after)
{
    struct station *stations[] = { &b->village, &b->gateway };
    uint8_t record[RECORD_LEN_MAX];
    size_t len = commune_revoke(&b->village.commune, COMMUNE_MEMBER, ROSTER_MEMBER, revoked_after,
                                record);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(node_add(&stations[i]->node, b->now_ms, record, len), "new");
        node_drain(&stations[i]->node, b->now_ms);
    }
}

/* Both hold so many records and look alike, also after a restart; none is missing in the store. */
static void both_hold(struct bench *b, uint32_t count)
{
    struct mesh_stats village, gateway;
    uint8_t bytes[RECORD_LEN_MAX];
    for (int restart = 0; restart < 2; restart++) {
        mesh_stats(b->village.node.mesh, &village);
        mesh_stats(b->gateway.node.mesh, &gateway);
        assert_int_equal(village.records_held, count);
        assert_int_equal(gateway.records_held, count);
        assert_int_equal(village.digest, gateway.digest);
        assert_false(b->village.node.store_failing || b->gateway.node.store_failing);
        for (uint32_t seq = 1; seq <= 4; seq++) {
            struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = seq };
            assert_true(store_load(b->village.node.store, &ref, bytes) > 0);
            assert_true(store_load(b->gateway.node.store, &ref, bytes) > 0);
        }
        stop(&b->village);
        stop(&b->gateway);
        start(b, &b->village);
        start(b, &b->gateway);
    }
}

static void test_node_what_was_taken_back_may_count_again(void **state)
{
    struct bench *b = *state;
    struct mesh_stats stats;
    for (uint32_t i = 1; i <= 4; i++)
        assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, i), "ok");
    run_until(b, "never", 3600000);
    assert_int_equal(state_of(&b->village, 4), REPORT_RECEIVED);
    mesh_stats(b->village.node.mesh, &stats);
    uint32_t all = stats.records_held;
    say_of_member(b, 1 + 1);
    both_hold(b, all + 1 - 3);
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 5), "revoked");
    say_of_member(b, 3 + 1);
    both_hold(b, all + 2 - 1);
    assert_int_equal(state_of(&b->village, 3), REPORT_RECEIVED);
    say_of_member(b, 0);
    both_hold(b, all + 3);
    b->now_ms += 24 * 3600 * 1000ull; /* what came back once more is waited for, too */
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 5), "ok");
    assert_int_equal(answered_seq(&b->village), 5);
}

/* ---- a store that is full ---- */

static void hear_note(struct bench *b, uint32_t seq)
{
    uint8_t record[RECORD_LEN_MAX];
    size_t len = commune_sign(&b->village.commune, COMMUNE_STRANGER, seq, RECORD_NOTE, NULL, 0,
                              record);
    assert_int_equal(mesh_on_record(b->village.node.mesh, b->now_ms, record, len), MESH_RX_NEW);
}

static struct mesh_stats village_stats(struct bench *b)
{
    struct mesh_stats stats;
    mesh_stats(b->village.node.mesh, &stats);
    return stats;
}

/* What made room is gone from the file, stays settled after a restart, and a smaller limit than the
 * store already fills loses nothing. */
static void test_node_full_store_survives_restarts(void **state)
{
    enum { LIMIT = 1000, MORE = 20 };
    struct bench *b = *state;
    struct ack ack = { .log_count = 1, .logs = { { COMMUNE_STRANGER * LANE_COUNT, LIMIT / 2 } } };
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 1), "ok");
    uint32_t seq = 1;
    for (; village_stats(b).records_held + 1 < LIMIT; seq++) {
        hear_note(b, seq);
        if (seq % 8 == 0 || village_stats(b).records_held + 9 >= LIMIT)
            node_drain(&b->village.node, b->now_ms);
    }
    int body_len = ack_encode(&ack, body, sizeof body);
    assert_true(body_len > 0);
    size_t len = commune_sign(&b->village.commune, COMMUNE_GATEWAY, 1, RECORD_ACK_FIRST, body,
                              (size_t)body_len, record);
    assert_string_equal(node_add(&b->village.node, b->now_ms, record, len), "new");
    stop(&b->village);
    commune_write(&b->village.commune, "kengd.conf", "node = 1\nrecord_count_max = 1000\n");
    start(b, &b->village);
    assert_int_equal(village_stats(b).records_held, LIMIT);
    for (int i = 0; i < MORE; i++) {
        hear_note(b, seq++);
        node_drain(&b->village.node, b->now_ms);
    }
    struct mesh_stats before = village_stats(b);
    assert_int_equal(before.evicted, MORE);
    assert_int_equal(store_record_count(b->village.node.store), LIMIT);
    struct record_ref gone = { .author = COMMUNE_STRANGER, .seq = MORE };
    assert_int_equal(store_load(b->village.node.store, &gone, record), STORE_ENONE);
    stop(&b->village);
    start(b, &b->village);
    assert_int_equal(village_stats(b).records_held, LIMIT);
    assert_int_equal(village_stats(b).digest, before.digest);
    len = commune_sign(&b->village.commune, COMMUNE_STRANGER, MORE, RECORD_NOTE, NULL, 0, record);
    assert_string_equal(node_add(&b->village.node, b->now_ms, record, len), "settled");
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 2), "ok");
    assert_int_equal(answered_seq(&b->village), 2);
}

/* ---- two modems ---- */

/* A note of the stranger, on the air of one of the village's sides. */
static void hear_on(struct bench *b, size_t side, uint32_t seq, const char *text)
{
    uint8_t record[RECORD_LEN_MAX];
    size_t len = commune_sign(&b->village.commune, COMMUNE_STRANGER, seq, RECORD_NOTE,
                              (const uint8_t *)text, strlen(text), record);
    mesh_on_record(b->village.node.sides[side].mesh, b->now_ms, record, len);
    node_drain(&b->village.node, b->now_ms);
}

/* Both sides hold what the store holds, to the last record. */
static void check_sides(struct bench *b)
{
    struct node *n = &b->village.node;
    struct mesh_stats first, second;
    mesh_stats(n->sides[0].mesh, &first);
    mesh_stats(n->sides[1].mesh, &second);
    assert_int_equal(first.records_held, store_record_count(n->store));
    assert_int_equal(second.records_held, first.records_held);
    assert_int_equal(second.digest, first.digest);
}

static void test_node_two_sides_hold_one_store(void **state)
{
    enum { LIMIT = 1000, MORE = 30 };
    struct bench *b = *state;
    struct ack ack = { .log_count = 1, .logs = { { COMMUNE_STRANGER * LANE_COUNT, LIMIT / 2 } } };
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    stop(&b->village);
    commune_write(&b->village.commune, "kengd.conf", "node = 1\nrecord_count_max = 1000\n"
                  "radio near {\n}\nradio far {\n driver = \"rnode\"\n freq_hz = 922000000\n}\n");
    start(b, &b->village);
    assert_int_equal(b->village.node.side_count, 2);
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 1), "ok");
    check_sides(b);
    uint32_t seq = 1;
    for (; village_stats(b).records_held < LIMIT; seq++)
        hear_on(b, seq % 2, seq, "");
    check_sides(b);
    int body_len = ack_encode(&ack, body, sizeof body);
    size_t len = commune_sign(&b->village.commune, COMMUNE_GATEWAY, 1, RECORD_ACK_FIRST, body,
                              (size_t)body_len, record);
    mesh_on_record(b->village.node.sides[1].mesh, b->now_ms, record, len);
    node_drain(&b->village.node, b->now_ms);
    for (int i = 0; i < MORE; i++, seq++)
        hear_on(b, seq % 2, seq, "");
    check_sides(b);
    assert_true(village_stats(b).evicted >= MORE);
    hear_on(b, 1, seq - 1, "another text"); /* a fork, heard by the other side alone */
    struct mesh_stats stats = village_stats(b);
    assert_int_equal(stats.rx[MESH_RX_FORK], 1);
    check_sides(b);
    stop(&b->village);
    start(b, &b->village);
    check_sides(b);
    assert_int_equal(village_stats(b).digest, stats.digest);
}

/* One transmission each by two modems: two ledgers, which a restart keeps apart. */
static void test_node_two_sides_have_two_ledgers(void **state)
{
    struct bench *b = *state;
    struct mesh_stats before[2], after[2];
    stop(&b->village);
    commune_write(&b->village.commune, "kengd.conf", "node = 1\nrecord_count_max = 2000\n"
                  "radio near {\n}\nradio far {\n sf = 9\n}\n");
    start(b, &b->village);
    mesh_set_modem(b->village.node.sides[1].mesh, b->now_ms, true);
    assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, 1), "ok");
    for (int i = 0; i < 2000; i++) {
        struct mesh_tx tx;
        b->now_ms += 100;
        node_drain(&b->village.node, b->now_ms);
        for (size_t side = 0; side < 2; side++) {
            struct mesh *mesh = b->village.node.sides[side].mesh;
            if (mesh_poll_tx(mesh, b->now_ms, &tx))
                mesh_on_tx_done(mesh, b->now_ms, tx.tx_id, MESH_TX_SENT);
        }
    }
    for (size_t side = 0; side < 2; side++)
        mesh_stats(b->village.node.sides[side].mesh, &before[side]);
    assert_true(before[0].window_airtime_ms > 0 && before[1].window_airtime_ms > 0);
    assert_int_not_equal(before[0].window_airtime_ms, before[1].window_airtime_ms);
    stop(&b->village);
    commune_write(&b->village.commune, "kengd.conf", "node = 1\nrecord_count_max = 2000\n"
                  "radio far {\n sf = 9\n}\nradio near {\n}\n");
    start(b, &b->village);
    for (size_t side = 0; side < 2; side++) {
        mesh_stats(b->village.node.sides[side].mesh, &after[side]);
        assert_int_equal(after[side].window_airtime_ms, before[1 - side].window_airtime_ms);
    }
    /* A name that nobody has any more: whose modem it was is not known, so both pay. */
    stop(&b->village);
    commune_write(&b->village.commune, "kengd.conf", "node = 1\nrecord_count_max = 2000\n"
                  "radio far {\n sf = 9\n}\nradio other {\n}\n");
    start(b, &b->village);
    mesh_stats(b->village.node.sides[0].mesh, &after[0]);
    assert_in_range(after[0].window_airtime_ms,
                    before[0].window_airtime_ms + before[1].window_airtime_ms - 1,
                    before[0].window_airtime_ms + before[1].window_airtime_ms + 1);
}

/* ---- a disk that fails, seen by the rest ---- */

static bool gateway_holds(struct bench *b, uint32_t seq)
{
    struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = seq };
    struct mesh_record_state state;
    return mesh_record_state(b->gateway.node.mesh, &ref, &state) && state.durable;
}

/* The report is stored, then the disk of the gateway is full when the acknowledgement should be. */
static void test_node_gateway_acknowledges_when_its_disk_is_well_again(void **state)
{
    struct bench *b = *state;
    static const rlim_t rooms[] = { 0, 1024 }; /* the numbers file fails, the store fails */
    for (uint32_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        b->village.state[0] = '\0';
        assert_string_equal(submit(b, &b->village, COMMUNE_MEMBER, i), "ok");
        for (int k = 0; k < 100000 && !gateway_holds(b, i + 1); k++)
            run_until(b, "none such", 20);
        assert_true(gateway_holds(b, i + 1));
        assert_string_not_equal(b->village.state, "received");
        unsigned drains = b->drains;
        limit_files(rooms[i]);
        run_until(b, "none such", 120000);
        limit_files(RLIM_INFINITY);
        assert_string_not_equal(b->village.state, "received");
        assert_true(b->drains - drains < STEPS_MAX); /* retried, but with a pace */
        assert_true(run_until(b, "received", 4 * 3600000ull));
    }
}

static void test_node_failing_disk_refuses_what_comes_from_files(void **state)
{
    struct bench *b = *state;
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    size_t len = commune_sign(&b->village.commune, COMMUNE_STRANGER, 1, RECORD_DAMAGE, body,
                              commune_damage(3, body), record);
    limit_files(1024);
    const char *verdict = node_add(&b->village.node, b->now_ms, record, len);
    limit_files(RLIM_INFINITY);
    assert_string_equal(verdict, "full"); /* offered again later */
    assert_true(b->village.node.store_failing);
    assert_string_equal(node_add(&b->village.node, b->now_ms, record, len), "new");
    assert_string_equal(node_add(&b->village.node, b->now_ms, record, len), "duplicate");
    assert_false(b->village.node.store_failing);
}

static const char *submit_long(struct bench *b, struct station *s, uint16_t body_len)
{
    static const uint8_t body[RECORD_BODY_LEN_MAX] = { 0 };
    struct record_draft draft = { .ref = { .author = COMMUNE_MEMBER }, .kind = RECORD_DAMAGE,
                                  .priority = PRIORITY_DAMAGE, .created_min = 400000,
                                  .body = body, .body_len = body_len };
    (void)node_submit(&s->node, b->now_ms, 1, &draft, NULL); /* a refusal is an answer too */
    node_drain(&s->node, b->now_ms);
    const char *code = json_string_value(json_object_get(s->answer, "code"));
    return code ? code : "ok";
}

/* A modem with shorter frames: what would never fit is refused at once, not kept for ever. */
static void test_node_refuses_what_its_modem_cannot_carry(void **state)
{
    struct bench *b = *state;
    struct station *s = &b->village;
    assert_string_equal(submit_long(b, s, 150), "ok");
    stop(s);
    commune_write(&s->commune, "kengd.conf", "node = 1\ndriver = \"rylr998\"\n");
    start(b, s);
    assert_string_equal(submit_long(b, s, 150), "too-long");
    assert_string_equal(submit_long(b, s, 100), "ok");
}

/* ---- what cannot start ---- */

static void test_node_says_in_one_line_why_it_cannot_start(void **state)
{
    struct bench *b = *state;
    static const struct { const char *name, *content, *want; } cases[] = {
        { "kengd.conf", "node = 1\nrole = \"gateway\"\n", "not enrolled as a gateway" },
        { "kengd.conf", "node = 0\n", "node must be" },
        { "network.key", "xyz\n", "network.key" },
        { "commune.keng", "KENG", "commune.keng" },
        { "identity/11.key", "00\n", "11.key" },
        { "numbers", NULL, "both copies are damaged" },
        { "store.db", "not a database, but long enough to be looked at by anybody", "store.db" },
    };
    struct station *s = &b->village;
    assert_string_equal(submit(b, s, COMMUNE_MEMBER, 1), "ok");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct node n;
        char text[NODE_TEXT_LEN], path[COMMUNE_PATH_LEN], rubbish[1025];
        stop(s);
        commune_remove(&s->commune);
        commune_make(&s->commune, false);
        start(b, s);
        assert_string_equal(submit(b, s, COMMUNE_MEMBER, 1), "ok");
        stop(s);
        memset(rubbish, 'x', sizeof rubbish - 1);
        rubbish[sizeof rubbish - 1] = '\0';
        commune_write(&s->commune, cases[i].name, cases[i].content ? cases[i].content : rubbish);
        n = (struct node){ .numbers = { .fd = -1 } };
        assert_int_equal(node_open(&n, s->commune.dir, 1, b->now_ms, text), -1);
        node_close(&n);
        if (!strstr(text, cases[i].want) || strchr(text, '\n'))
            fail_msg("%s: %s", cases[i].name, text);
        commune_path(&s->commune, cases[i].name, path);
        unlink(path);
        n = (struct node){ .numbers = { .fd = -1 } };
        bool optional = strcmp(cases[i].name, "numbers") == 0 ||
                        strcmp(cases[i].name, "store.db") == 0 ||
                        strcmp(cases[i].name, "identity/11.key") == 0;
        assert_int_equal(node_open(&n, s->commune.dir, 1, b->now_ms, text), optional ? 0 : -1);
        node_close(&n);
        commune_remove(&s->commune);
        commune_make(&s->commune, false);
        start(b, s);
    }
}

int main(void)
{
#define NODE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_node_report_comes_to_be_received_and_read),
        NODE_TEST(test_node_restart_equals),
        NODE_TEST(test_node_who_carried_a_report_survives_a_restart),
        NODE_TEST(test_node_box_says_once_that_it_holds_a_directive),
        NODE_TEST(test_node_receipt_survives_full_places_and_restarts),
        NODE_TEST(test_node_receipt_waits_for_the_disk),
        NODE_TEST(test_node_airtime_of_another_boot_counts_as_just_spent),
        NODE_TEST(test_node_airtime_before_the_last_window_of_another_boot_is_gone),
        NODE_TEST(test_node_airtime_of_another_boot_does_not_count_over),
        NODE_TEST(test_node_airtime_that_a_modem_spent_by_itself_counts_and_lasts),
        NODE_TEST(test_node_store_behind_its_numbers_writes_nothing_new),
        NODE_TEST(test_node_airtime_spent_while_the_disk_failed_lasts),
        NODE_TEST(test_node_what_was_taken_back_may_count_again),
        NODE_TEST(test_node_that_lost_its_last_record_signs_no_second),
        NODE_TEST(test_node_killed_at_any_file_length_uses_no_number_twice),
        NODE_TEST(test_node_full_store_survives_restarts),
        NODE_TEST(test_node_two_sides_hold_one_store),
        NODE_TEST(test_node_two_sides_have_two_ledgers),
        NODE_TEST(test_node_gateway_acknowledges_when_its_disk_is_well_again),
        NODE_TEST(test_node_failing_disk_refuses_what_comes_from_files),
        NODE_TEST(test_node_refuses_what_its_modem_cannot_carry),
        NODE_TEST(test_node_says_in_one_line_why_it_cannot_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
