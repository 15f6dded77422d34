/* A store that is full: what leaves it for what, that its number then counts as held, and that no
 * order of failures and restarts loses what must stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/core/mesh.h"
#include "proto/bytes.h"
#include "proto/report.h"
#include "tests/support/net.h"

enum { SELF = 1, GATEWAY = 2, FIRST = 3, AUTHORS = 20, CAP = 40, SHARE = CAP / 8 };

struct row {
    struct record_ref ref;
    size_t len;
    uint8_t bytes[RECORD_LEN_MAX];
};

static struct rig {
    void *storage;
    struct mesh *mesh;
    uint64_t now_ms;
    bool store_works, gateway;
    struct row rows[CAP + 1];
    size_t count;
    uint32_t settled[AUTHORS];
    uint32_t reserved[LANE_COUNT];
    uint32_t ack_seq;
} rig;

static int sign(void *ctx, uint16_t author, uint8_t *buf, size_t len)
{
    (void)ctx;
    memset(buf + len, author, KENG_SIG_LEN);
    return 0;
}

static bool verify(void *ctx, const struct record_view *v, const uint8_t key[KENG_KEY_LEN])
{
    (void)ctx;
    return v->sig[0] == key[0];
}

static void tag(void *ctx, const uint8_t *head, size_t head_len, const uint8_t *rest,
                size_t rest_len, uint8_t out[FRAME_TAG_LEN])
{
    (void)ctx, (void)head, (void)head_len, (void)rest, (void)rest_len;
    memset(out, 0, FRAME_TAG_LEN);
}

static struct row *find(const struct record_ref *ref)
{
    for (size_t i = 0; i < rig.count; i++) {
        struct row *r = &rig.rows[i];
        if (r->ref.author == ref->author && r->ref.lane == ref->lane && r->ref.seq == ref->seq)
            return r;
    }
    return NULL;
}

static int load(void *ctx, const struct record_ref *ref, uint8_t *buf)
{
    (void)ctx;
    const struct row *r = find(ref);
    assert_non_null(r);
    memcpy(buf, r->bytes, r->len);
    return (int)r->len;
}

static bool holds(uint16_t author, uint32_t seq)
{
    return find(&(struct record_ref){ .author = author, .seq = seq }) != NULL;
}

/* A core on the rows there are, as after a power cut. */
static void boot(void)
{
    struct mesh_config cfg = {
        .outside = { NULL, sign, verify, tag, load },
        .lora = { .bw_hz = 125000, .preamble_symbols = 16, .sf = 9, .cr = 5 },
        .seed = 1, .node = SELF, .gateway = rig.gateway, .mtu_len = FRAME_LEN_MAX,
        .record_count_max = CAP, .log_count_max = 64, .author_count_max = AUTHORS,
        .duty_window_ms = 3600000, .duty_budget_ms = 36000,
    };
    size_t len = mesh_storage_size(&cfg);
    free(rig.storage);
    rig.storage = malloc(len);
    assert_non_null(rig.storage);
    rig.now_ms += 1000;
    assert_int_equal(mesh_init(rig.storage, len, &cfg, rig.now_ms, &rig.mesh), MESH_OK);
    for (uint16_t i = 0; i < AUTHORS; i++) {
        struct mesh_author a = { .number = i, .last_good_seq = UINT32_MAX, .local = i == SELF,
                                 .key = { (uint8_t)i } };
        a.roles = i == GATEWAY || (i == SELF && rig.gateway) ? MESH_ROLE_GATEWAY : 0;
        assert_int_equal(mesh_set_author(rig.mesh, &a), MESH_OK);
    }
    for (size_t i = 0; i < rig.count; i++) {
        struct record_view v;
        assert_int_equal(record_decode(rig.rows[i].bytes, rig.rows[i].len, &v), RECORD_OK);
        assert_int_equal(mesh_restore_record(rig.mesh, &v), MESH_OK);
        mesh_restore_ack(rig.mesh, &v);
    }
    for (uint16_t i = 0; i < AUTHORS; i++)
        if (rig.settled[i] > 0)
            assert_int_equal(mesh_restore_settled(rig.mesh, i, 0, rig.settled[i]), MESH_OK);
    for (uint8_t lane = 0; lane < LANE_COUNT; lane++)
        if (rig.reserved[lane] > 0)
            assert_int_equal(mesh_restore_reserved(rig.mesh, SELF, lane, rig.reserved[lane]),
                             MESH_OK);
}

static int setup(void **state)
{
    (void)state;
    free(rig.storage);
    rig = (struct rig){ .store_works = true };
    boot();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(rig.storage);
    rig.storage = NULL;
    return 0;
}

static void settle(const struct record_ref *ref)
{
    if (ref->seq > rig.settled[ref->author])
        rig.settled[ref->author] = ref->seq;
}

static void store(const struct mesh_event *ev)
{
    struct record_ref old = { .author = ev->ref.author, .lane = ev->ref.lane,
                              .seq = ev->replaces_seq };
    const struct record_ref *gone[] = { &old, &ev->leaves };
    for (int i = 0; i < 2; i++) {
        struct row *r = find(gone[i]);
        assert_true(r || gone[i]->seq == 0);
        if (r)
            *r = rig.rows[--rig.count];
    }
    if (ev->settles)
        settle(&ev->leaves);
    assert_null(find(&ev->ref));
    assert_in_range(rig.count, 0, CAP - 1);
    struct row *r = &rig.rows[rig.count++];
    *r = (struct row){ .ref = ev->ref, .len = ev->len };
    memcpy(r->bytes, ev->bytes, ev->len);
}

static void drain(void)
{
    struct mesh_event ev;
    while (mesh_poll_event(rig.mesh, rig.now_ms, &ev)) {
        if (rig.store_works && ev.type == MESH_EV_STORE)
            store(&ev);
        if (rig.store_works && ev.type == MESH_EV_SETTLE)
            settle(&ev.ref);
        if (rig.store_works && ev.type == MESH_EV_RESERVE)
            rig.reserved[ev.ref.lane] = ev.ref.seq;
        assert_int_equal(mesh_on_persisted(rig.mesh, rig.now_ms, ev.event_id, rig.store_works),
                         MESH_OK);
    }
}

static enum mesh_verdict take(uint16_t author, uint8_t kind, uint32_t seq, uint8_t priority,
                              const uint8_t *body, size_t body_len)
{
    uint8_t bytes[RECORD_LEN_MAX];
    struct record_draft d = { .ref = { .author = author, .lane = record_lane(kind), .seq = seq },
                              .kind = kind, .priority = priority, .body = body,
                              .body_len = body_len };
    int len = record_encode(&d, bytes, sizeof bytes);
    assert_true(len > 0);
    sign(NULL, author, bytes, (size_t)len);
    enum mesh_verdict verdict = mesh_on_record(rig.mesh, rig.now_ms, bytes,
                                               (size_t)len + KENG_SIG_LEN);
    drain();
    return verdict;
}

static enum mesh_verdict hear(uint16_t author, uint32_t seq, uint8_t priority)
{
    return take(author, RECORD_NOTE, seq, priority, NULL, 0);
}

/* Reports 1 to `count` of each of `authors` authors. */
static void fill(uint32_t authors, uint32_t count, uint8_t priority)
{
    for (uint32_t seq = 1; seq <= count; seq++)
        for (uint16_t i = 0; i < authors; i++)
            assert_int_equal(hear((uint16_t)(FIRST + i), seq, priority), MESH_RX_NEW);
}

static void acknowledge(uint16_t author, uint32_t held)
{
    static struct ack ack;
    uint8_t body[RECORD_BODY_LEN_MAX];
    ack = (struct ack){ .log_count = 1, .logs = { { author * LANE_COUNT, held } } };
    int len = ack_encode(&ack, body, sizeof body);
    assert_true(len > 0);
    assert_int_equal(take(GATEWAY, RECORD_ACK_FIRST, ++rig.ack_seq, PRIORITY_EVACUATION, body,
                          (size_t)len), MESH_RX_NEW);
}

static int submit(uint8_t priority)
{
    struct record_draft d = { .ref = { .author = SELF }, .kind = RECORD_NOTE,
                              .priority = priority };
    struct record_ref ref;
    int err = mesh_submit(rig.mesh, rig.now_ms, &d, &ref);
    drain();
    if (err == MESH_EAGAIN) { /* its number was not reserved yet */
        err = mesh_submit(rig.mesh, rig.now_ms, &d, &ref);
        drain();
    }
    return err;
}

static uint32_t digest(void)
{
    struct mesh_stats stats;
    mesh_stats(rig.mesh, &stats);
    return stats.digest;
}

/* ---- what leaves for what ------------------------------------------------------------ */

static void test_mesh_full_store_lets_go_of_what_a_gateway_has(void **state)
{
    (void)state;
    fill(10, 3, PRIORITY_RESCUE);
    acknowledge(FIRST + 4, 2);
    for (uint32_t seq = 1; seq <= CAP - 31; seq++) /* the acknowledgement takes a place too */
        assert_int_equal(hear((uint16_t)(FIRST + 10 + seq % 3), 1 + (seq - 1) / 3, 0),
                         MESH_RX_NEW);
    assert_int_equal(rig.count, CAP);
    uint32_t before = digest();
    assert_int_equal(hear(FIRST + 10, 4, PRIORITY_ROUTINE), MESH_RX_NEW);
    assert_false(holds(FIRST + 4, 1));
    assert_true(holds(FIRST + 4, 2) && holds(FIRST + 4, 3) && holds(FIRST, 1));
    assert_int_equal(rig.settled[FIRST + 4], 1);
    assert_true(digest() != before); /* by what came, not by what went: */
    uint32_t with = digest();
    boot();
    assert_int_equal(digest(), with);
    assert_int_equal(hear(FIRST + 4, 1, PRIORITY_RESCUE), MESH_RX_SETTLED);
    struct record_ref ref = { .author = FIRST + 4, .seq = 1 };
    struct mesh_record_state st;
    assert_true(mesh_record_state(rig.mesh, &ref, &st));
    assert_false(st.durable);
    assert_int_equal(st.gateway, GATEWAY);
}

/* Two nodes that had the same, one of which let go of half, still look alike. */
static void test_mesh_settled_numbers_count_in_the_digest(void **state)
{
    (void)state;
    fill(3, 4, PRIORITY_DAMAGE);
    acknowledge(FIRST, 4);
    uint32_t all = digest();
    for (size_t i = 0; i < rig.count;) {
        bool gone = rig.rows[i].ref.author == FIRST && rig.rows[i].ref.seq <= 3;
        if (gone)
            rig.rows[i] = rig.rows[--rig.count];
        else
            i++;
    }
    boot();
    assert_true(digest() != all);
    rig.settled[FIRST] = 3;
    boot();
    assert_int_equal(digest(), all);
}

static void test_mesh_full_store_takes_what_is_more_urgent(void **state)
{
    (void)state;
    fill(10, 2, PRIORITY_ROUTINE);
    for (uint16_t i = 0; i < 10; i++)
        for (uint32_t seq = 3; seq <= 4; seq++)
            assert_int_equal(hear((uint16_t)(FIRST + i), seq, PRIORITY_DAMAGE), MESH_RX_NEW);
    static const struct { const char *label; uint8_t priority; enum mesh_verdict want;
                          uint16_t gone; uint32_t gone_seq; } table[] = {
        { "routine that a gateway waits for takes the last", PRIORITY_ROUTINE, MESH_RX_NEW,
          FIRST + 9, 2 },
        { "other routine pushes nothing out", PRIORITY_ROUTINE, MESH_RX_FULL, AUTHOR_NONE, 1 },
        { "damage takes the oldest routine that none waits for", PRIORITY_DAMAGE, MESH_RX_NEW,
          FIRST, 2 },
        { "rescue takes the next", PRIORITY_RESCUE, MESH_RX_NEW, FIRST + 1, 2 },
    };
    uint32_t seq = 1;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum mesh_verdict got = hear(FIRST + 12, seq, table[i].priority);
        if (got != table[i].want)
            fail_msg("%s: %s", table[i].label, mesh_verdict_name(got));
        if (got == MESH_RX_NEW)
            assert_false(holds(table[i].gone, table[i].gone_seq));
        seq += got == MESH_RX_NEW;
        assert_int_equal(rig.count, CAP);
    }
    /* What no gateway has is lacked, not settled: it is taken again when there is room. */
    assert_int_equal(rig.settled[FIRST], 0);
    assert_int_equal(hear(FIRST, 2, PRIORITY_ROUTINE), MESH_RX_FULL);
    acknowledge(FIRST + 5, 4);
    assert_int_equal(hear(FIRST, 2, PRIORITY_ROUTINE), MESH_RX_NEW);
}

static void test_mesh_author_who_floods_pushes_out_only_himself(void **state)
{
    (void)state;
    fill(4, 3, PRIORITY_ROUTINE);
    for (uint32_t seq = 1; seq <= CAP - 12; seq++)
        assert_int_equal(hear(FIRST + 9, seq, PRIORITY_RESCUE), MESH_RX_NEW);
    assert_int_equal(hear(FIRST + 9, CAP, PRIORITY_RESCUE), MESH_RX_FULL);
    for (uint16_t i = 0; i < 4; i++)
        for (uint32_t seq = 1; seq <= 3; seq++)
            assert_true(holds((uint16_t)(FIRST + i), seq));
    /* Others' routine takes his latest, until he keeps to his share. */
    uint32_t taken = 0;
    for (uint32_t seq = 4; seq <= 4 + CAP; seq++)
        for (uint16_t i = 0; i < 8; i++)
            taken += hear((uint16_t)(FIRST + i), i < 4 ? seq : seq - 3, PRIORITY_ROUTINE) ==
                     MESH_RX_NEW;
    assert_in_range(taken, CAP - 12 - SHARE, 2 * CAP);
    for (uint32_t seq = 1; seq <= CAP; seq++)
        assert_int_equal(holds(FIRST + 9, seq), seq <= SHARE);
}

/* Everything urgent but what the gateway waits for is here: it comes in all the same. */
static void test_mesh_full_store_takes_what_closes_a_gap(void **state)
{
    (void)state;
    for (uint32_t seq = 2; seq <= 5; seq++)
        for (uint16_t i = 0; i < 10; i++)
            assert_int_equal(hear((uint16_t)(FIRST + i), seq, PRIORITY_RESCUE), MESH_RX_NEW);
    assert_int_equal(hear(FIRST + 11, 2, PRIORITY_ROUTINE), MESH_RX_FULL);
    for (uint16_t i = 0; i < 10; i++) {
        assert_int_equal(hear((uint16_t)(FIRST + i), 1, PRIORITY_ROUTINE), MESH_RX_NEW);
        assert_false(holds((uint16_t)(FIRST + i), 5));
        assert_int_equal(hear((uint16_t)(FIRST + i), 5, PRIORITY_RESCUE), MESH_RX_FULL);
    }
    assert_int_equal(hear(FIRST + 11, 1, PRIORITY_ROUTINE), MESH_RX_NEW);
}

/* What was pushed out is offered again, for ever: two records must not take turns. */
static void test_mesh_full_store_comes_to_rest(void **state)
{
    (void)state;
    uint64_t chance = 7;
    uint32_t changes = 1, rounds = 0;
    for (; changes > 0; rounds++) {
        assert_in_range(rounds, 0, 50);
        changes = 0;
        for (uint16_t author = FIRST; author < FIRST + 12; author++)
            for (uint32_t seq = 1; seq <= 9; seq++) {
                chance = (uint64_t)author * 2654435761u + seq * 40503u;
                changes += hear(author, seq, (chance >> 7) % PRIORITY_COUNT) == MESH_RX_NEW;
            }
    }
    assert_int_equal(rig.count, CAP);
}

/* How urgent a node takes a record to be shows in what it pushes out for it. */
static void test_mesh_author_who_cries_wolf_is_heard_as_less_urgent(void **state)
{
    enum { HOUR_MS = 3600000, PACE_COUNT = 16 };
    (void)state;
    for (uint32_t seq = 1; seq <= PACE_COUNT; seq++) {
        assert_int_equal(hear(FIRST + 9, seq, PRIORITY_DAMAGE), MESH_RX_NEW);
        if (seq % 8 == 0)
            acknowledge(FIRST + 9, seq);
    }
    for (uint32_t seq = 1; seq <= 4; seq++)
        for (uint16_t i = 0; i < 9; i++)
            assert_int_equal(hear((uint16_t)(FIRST + i), seq, PRIORITY_ROUTINE), MESH_RX_NEW);
    while (hear(FIRST + 10, 1 + rig.settled[0], PRIORITY_ROUTINE) == MESH_RX_NEW)
        rig.settled[0]++;
    rig.settled[0] = 0;
    /* A call of somebody else pushes routine out; his does not, until he was quiet for a while. */
    assert_int_equal(hear(FIRST + 11, 2, PRIORITY_DAMAGE), MESH_RX_NEW);
    assert_int_equal(hear(FIRST + 9, PACE_COUNT + 2, PRIORITY_DAMAGE), MESH_RX_FULL);
    assert_int_equal(hear(FIRST + 9, PACE_COUNT + 2, PRIORITY_RESCUE), MESH_RX_NEW);
    rig.now_ms += 2 * HOUR_MS;
    assert_int_equal(hear(FIRST + 9, PACE_COUNT + 3, PRIORITY_DAMAGE), MESH_RX_NEW);
}

/* ---- own records, and a gateway's ------------------------------------------------------- */

static void test_mesh_own_records_stay(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(submit(PRIORITY_ROUTINE), MESH_OK);
    fill(16, 2, PRIORITY_RESCUE);
    assert_int_equal(rig.count, CAP);
    assert_int_equal(submit(PRIORITY_ROUTINE), MESH_EFULL); /* told, not dropped */
    assert_int_equal(submit(PRIORITY_RESCUE), MESH_OK);
    acknowledge(SELF, 9); /* the newest word of a gateway always finds a place */
    for (uint32_t seq = 3; seq <= 9; seq++)
        hear(FIRST, seq, PRIORITY_RESCUE);
    for (uint32_t seq = 1; seq <= 9; seq++)
        assert_true(holds(SELF, seq));
}

/* Who writes much and is heard by no gateway leaves a quarter to others; then what a gateway has
 * makes room for his next. */
static void test_mesh_own_records_leave_room_for_others(void **state)
{
    (void)state;
    int count = 0;
    while (submit(PRIORITY_ROUTINE) == MESH_OK)
        count++;
    assert_int_equal(count, CAP - CAP / 4);
    while (submit(PRIORITY_RESCUE) == MESH_OK)
        count++;
    assert_int_equal(count, CAP - CAP / 8);
    assert_int_equal(hear(FIRST, 1, PRIORITY_ROUTINE), MESH_RX_NEW);
    acknowledge(SELF, 2);
    assert_int_equal(submit(PRIORITY_ROUTINE), MESH_OK);
    assert_false(holds(SELF, 1));
    assert_int_equal(rig.settled[SELF], 1);
    boot();
    struct record_ref ref = { .author = SELF, .seq = 1 };
    struct mesh_record_state st;
    assert_true(mesh_record_state(rig.mesh, &ref, &st));
    assert_int_equal(st.gateway, GATEWAY);
    assert_int_equal(submit(PRIORITY_ROUTINE), MESH_OK);
    assert_true(holds(SELF, (uint32_t)count + 2)); /* no number is used twice */
}

static void test_mesh_gateway_keeps_what_it_acknowledged(void **state)
{
    (void)state;
    rig.gateway = true;
    boot();
    uint32_t count = 0;
    static const uint32_t spare[PRIORITY_COUNT] = { 5, 5, 5, 5 }; /* an eighth of so small a one */
    for (uint8_t p = 0; p < PRIORITY_COUNT; p++) {
        while (hear((uint16_t)(FIRST + count % 12), 1 + count / 12, p) == MESH_RX_NEW)
            count++;
        assert_in_range(rig.count, 0, CAP - spare[p]);
    }
    assert_int_equal(count, CAP - SHARE);
    for (uint32_t i = 0; i < count; i++)
        assert_true(holds((uint16_t)(FIRST + i % 12), 1 + i / 12));
    assert_int_equal(submit(PRIORITY_ROUTINE), MESH_OK); /* and may still speak itself */
}

/* ---- a newcomer whose store is smaller than what there is ---------------------------- */

static void test_mesh_full_store_declines_what_a_gateway_has(void **state)
{
    (void)state;
    fill(13, 3, PRIORITY_DAMAGE);
    acknowledge(FIRST + 14, 6);
    assert_int_equal(hear(FIRST + 14, 5, PRIORITY_RESCUE), MESH_RX_SETTLED);
    assert_int_equal(rig.settled[FIRST + 14], 5);
    assert_int_equal(hear(FIRST + 14, 3, PRIORITY_RESCUE), MESH_RX_SETTLED);
    assert_int_equal(hear(FIRST + 14, 7, PRIORITY_RESCUE), MESH_RX_NEW); /* nobody has that yet */
}

/* Records that everybody around has let go of: who has room asks for a day, then settles too. */
static void test_mesh_what_a_gateway_has_is_not_asked_for_for_ever(void **state)
{
    enum { HOUR_MS = 3600000 };
    (void)state;
    fill(2, 2, PRIORITY_DAMAGE);
    assert_int_equal(hear(FIRST, 5, PRIORITY_DAMAGE), MESH_RX_NEW);
    assert_int_equal(hear(FIRST + 1, 5, PRIORITY_DAMAGE), MESH_RX_NEW);
    acknowledge(FIRST, 5); /* the other one's gap may still be closed */
    for (int hour = 0; hour < 30; hour++) {
        rig.store_works = hour != 25; /* it settles all the same, later */
        if (hour <= 24)
            assert_int_equal(rig.settled[FIRST], 0);
        rig.now_ms += HOUR_MS;
        drain();
        drain();
    }
    assert_int_equal(rig.settled[FIRST], 5);
    assert_int_equal(rig.settled[FIRST + 1], 0);
    assert_int_equal(hear(FIRST, 4, PRIORITY_DAMAGE), MESH_RX_SETTLED);
    assert_int_equal(hear(FIRST + 1, 4, PRIORITY_DAMAGE), MESH_RX_NEW);
}

/* ---- a store that fails ---------------------------------------------------------------- */

static void test_mesh_nothing_leaves_when_the_store_fails(void **state)
{
    (void)state;
    struct mesh_stats stats;
    fill(10, 4, PRIORITY_ROUTINE);
    uint32_t before = digest();
    rig.store_works = false;
    for (int i = 0; i < 20; i++)
        assert_int_equal(hear(FIRST + 12, 1, PRIORITY_RESCUE), MESH_RX_NEW);
    assert_int_equal(digest(), before);
    mesh_stats(rig.mesh, &stats);
    assert_int_equal(stats.records_held, CAP);
    assert_int_equal(stats.evicted, 0);
    rig.store_works = true;
    assert_int_equal(hear(FIRST + 12, 1, PRIORITY_RESCUE), MESH_RX_NEW);
    mesh_stats(rig.mesh, &stats);
    assert_int_equal(stats.records_held, CAP);
    assert_int_equal(stats.evicted, 1);
    assert_true(holds(FIRST + 12, 1));
    acknowledge(FIRST + 3, 4);
    acknowledge(FIRST + 14, 6);
    rig.store_works = false;
    assert_int_equal(hear(FIRST + 14, 2, PRIORITY_RESCUE), MESH_RX_SETTLED);
    assert_int_equal(rig.settled[FIRST + 14], 0);
    assert_int_equal(hear(FIRST + 3, 5, PRIORITY_ROUTINE), MESH_RX_NEW);
    assert_int_equal(rig.settled[FIRST + 3], 0);
}

/* ---- together -------------------------------------------------------------------------- */

static bool all_alike(const struct net *net)
{
    struct mesh_stats first, each;
    mesh_stats(net->nodes[0].mesh, &first);
    for (uint32_t i = 1; i < net->cfg.node_count; i++) {
        if (!net->nodes[i].up)
            return false;
        mesh_stats(net->nodes[i].mesh, &each);
        if (each.digest != first.digest)
            return false;
    }
    return true;
}

/* Small stores, crashes between any two calls, writes that fail: everything reaches the gateway,
 * every author knows, and in the end all look alike and are silent, whatever each of them kept. */
static void test_mesh_small_stores_deliver_everything(void **state)
{
    (void)state;
    enum { NODES = 8, SEEDS = 24, REPORTS = 20 };
    uint64_t hours_us = 3600ull * 1000000;
    int32_t loss[NODES * NODES];
    uint32_t evicted = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct net_config cfg = net_config_default(NODES, seed);
        net_random(NODES, seed, loss);
        cfg.loss_db_x100 = loss;
        cfg.gateway = 0;
        cfg.village_record_count_max = CAP;
        cfg.faults = (struct net_faults){ .frame_loss_ppm = 20000, .crash_ppm = 100,
                                          .store_fail_ppm = 5000 };
        struct net *net = net_new(&cfg);
        for (uint32_t k = 0; k < REPORTS; k++)
            for (uint32_t i = 1; i < NODES; i++)
                net_order(net, i, RECORD_NOTE, (uint8_t)net_random_below(net, PRIORITY_COUNT), 20);
        bool there = false;
        for (uint32_t hour = 1; !there && hour <= 12; hour++) {
            net_run(net, NET_START_US + hour * hours_us);
            there = !net->breach && net_acknowledged(net) && all_alike(net);
            for (uint32_t i = 0; there && i < NODES; i++)
                there = net->nodes[i].order_count == 0;
        }
        if (!there) {
            net_print(net, stderr);
            fail_msg("seed %llu", (unsigned long long)seed);
        }
        uint64_t frames = net->frames;
        net->cfg.faults = (struct net_faults){ .frame_loss_ppm = 0 };
        assert_true(net_run(net, net->now_us + 4 * hours_us));
        assert_true(all_alike(net));
        assert_in_range(net->frames - frames, 0, 4 * NODES * 3);
        for (uint32_t i = 0; i < NODES; i++)
            evicted += net->nodes[i].evicted;
        net_free(net);
    }
    assert_true(evicted > 100);
}

int main(void)
{
#define FULL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        FULL_TEST(test_mesh_full_store_lets_go_of_what_a_gateway_has),
        FULL_TEST(test_mesh_settled_numbers_count_in_the_digest),
        FULL_TEST(test_mesh_full_store_takes_what_is_more_urgent),
        FULL_TEST(test_mesh_author_who_floods_pushes_out_only_himself),
        FULL_TEST(test_mesh_full_store_takes_what_closes_a_gap),
        FULL_TEST(test_mesh_full_store_comes_to_rest),
        FULL_TEST(test_mesh_author_who_cries_wolf_is_heard_as_less_urgent),
        FULL_TEST(test_mesh_own_records_stay),
        FULL_TEST(test_mesh_own_records_leave_room_for_others),
        FULL_TEST(test_mesh_gateway_keeps_what_it_acknowledged),
        FULL_TEST(test_mesh_full_store_declines_what_a_gateway_has),
        FULL_TEST(test_mesh_what_a_gateway_has_is_not_asked_for_for_ever),
        FULL_TEST(test_mesh_nothing_leaves_when_the_store_fails),
        FULL_TEST(test_mesh_small_stores_deliver_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
