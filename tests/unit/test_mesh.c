/* One core alone, call by call: verdicts, durability before use, numbers, the airtime ledger, and
 * acknowledgements against the other encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/core/mesh.h"
#include "proto/frame.h"
#include "proto/report.h"

enum {
    SELF = 10,
    OTHER = 11,
    GATEWAY = 12,
    OPERATOR = 13,
    REVOKED = 14,
    ROW_COUNT = 64,
    HOUR_MS = 3600000,
};

struct row {
    struct record_ref ref;
    size_t len;
    uint8_t bytes[RECORD_LEN_MAX];
};

struct rig {
    void *storage;
    struct mesh *mesh;
    uint64_t now_ms;
    bool store_works;
    unsigned stores, reserves, charges, forks;
    struct row rows[ROW_COUNT];
    size_t row_count;
};

/* A signature is its author's number all over: enough for a core that asks only yes or no. */
static int fake_sign(void *ctx, uint16_t author, uint8_t *buf, size_t len_unsigned)
{
    (void)ctx;
    memset(buf + len_unsigned, author, KENG_SIG_LEN);
    buf[len_unsigned] = (uint8_t)len_unsigned;
    buf[len_unsigned + 1] = len_unsigned > 7 ? buf[7] : 0;
    return 0;
}

static bool fake_verify(void *ctx, const struct record_view *v, const uint8_t key[KENG_KEY_LEN])
{
    (void)ctx;
    return v->sig[KENG_SIG_LEN - 1] == key[0];
}

static void fake_tag(void *ctx, const uint8_t *head, size_t head_len, const uint8_t *rest,
                     size_t rest_len, uint8_t tag_out[FRAME_TAG_LEN])
{
    uint32_t sum = 7;
    (void)ctx;
    for (size_t i = 0; i < head_len; i++)
        sum = sum * 31 + head[i];
    for (size_t i = 0; i < rest_len; i++)
        sum = sum * 31 + rest[i];
    store32_be(tag_out, sum);
}

static int row_load(void *ctx, const struct record_ref *ref, uint8_t *buf)
{
    const struct rig *rig = ctx;
    for (size_t i = 0; i < rig->row_count; i++)
        if (memcmp(&rig->rows[i].ref, ref, sizeof *ref) == 0) {
            memcpy(buf, rig->rows[i].bytes, rig->rows[i].len);
            return (int)rig->rows[i].len;
        }
    return -1;
}

static void add_author(struct rig *rig, uint16_t number, uint8_t roles)
{
    struct mesh_author a = { .number = number, .roles = roles, .last_good_seq = UINT32_MAX,
                             .local = number == SELF };
    a.key[0] = (uint8_t)number;
    if (number == REVOKED)
        a.last_good_seq = 5;
    assert_int_equal(mesh_set_author(rig->mesh, &a), MESH_OK);
}

static struct mesh_config config_of(struct rig *rig)
{
    return (struct mesh_config){
        .outside = { rig, fake_sign, fake_verify, fake_tag, row_load },
        .lora = { .bw_hz = 125000, .preamble_symbols = 16, .sf = 9, .cr = 5 },
        .seed = 1, .node = SELF, .mtu_len = FRAME_LEN_MAX, .record_count_max = ROW_COUNT,
        .log_count_max = 16, .author_count_max = 8, .duty_window_ms = HOUR_MS,
        .duty_budget_ms = HOUR_MS / 100,
    };
}

static void start(struct rig *rig, const struct mesh_config *cfg)
{
    size_t len = mesh_storage_size(cfg);
    assert_true(len > 0);
    rig->storage = malloc(len);
    assert_non_null(rig->storage);
    rig->now_ms = 5 * HOUR_MS;
    rig->store_works = true;
    assert_int_equal(mesh_init(rig->storage, len - 1, cfg, rig->now_ms, &rig->mesh), MESH_ESTORAGE);
    assert_int_equal(mesh_init(rig->storage, len, cfg, rig->now_ms, &rig->mesh), MESH_OK);
    add_author(rig, AUTHOR_ROOT, 0);
    add_author(rig, SELF, cfg->gateway ? MESH_ROLE_GATEWAY : 0);
    add_author(rig, OTHER, 0);
    add_author(rig, GATEWAY, MESH_ROLE_GATEWAY);
    add_author(rig, OPERATOR, MESH_ROLE_REVIEW);
    add_author(rig, REVOKED, 0);
    mesh_set_modem(rig->mesh, rig->now_ms, true);
}

static void setup(struct rig *rig)
{
    *rig = (struct rig){ 0 };
    struct mesh_config cfg = config_of(rig);
    start(rig, &cfg);
}

static void drain(struct rig *rig)
{
    struct mesh_event ev;
    while (mesh_poll_event(rig->mesh, rig->now_ms, &ev)) {
        rig->stores += ev.type == MESH_EV_STORE;
        rig->reserves += ev.type == MESH_EV_RESERVE;
        rig->charges += ev.type == MESH_EV_CHARGE;
        rig->forks += ev.type == MESH_EV_FORK;
        if (ev.type == MESH_EV_STORE && rig->store_works) {
            assert_in_range(rig->row_count, 0, ROW_COUNT - 1);
            struct row *row = &rig->rows[rig->row_count++];
            memset(row, 0, sizeof *row);
            row->ref.seq = ev.ref.seq;
            row->ref.author = ev.ref.author;
            row->ref.lane = ev.ref.lane;
            row->len = ev.len;
            memcpy(row->bytes, ev.bytes, ev.len);
        }
        assert_int_equal(mesh_on_persisted(rig->mesh, rig->now_ms, ev.event_id, rig->store_works),
                         MESH_OK);
        assert_int_equal(mesh_on_persisted(rig->mesh, rig->now_ms, ev.event_id, true),
                         MESH_EUNKNOWN);
    }
}

static size_t make_record(uint16_t author, uint32_t seq, uint8_t kind, const char *body,
                          uint8_t *buf)
{
    struct record_draft d = { .ref = { .author = author, .lane = record_lane(kind), .seq = seq },
                              .kind = kind, .priority = PRIORITY_DAMAGE,
                              .body = (const uint8_t *)body, .body_len = strlen(body) };
    int len = record_encode(&d, buf, RECORD_LEN_MAX);
    assert_true(len > 0);
    fake_sign(NULL, author, buf, (size_t)len);
    return (size_t)len + KENG_SIG_LEN;
}

static enum mesh_verdict hear_frame(struct rig *rig, uint16_t sender, const uint8_t *record,
                                    size_t len, const struct frame_entry *entry)
{
    uint8_t frame[FRAME_LEN_MAX], tag[FRAME_TAG_LEN];
    struct mesh_rx_meta meta = { -90, 20 };
    struct frame_builder b;
    frame_begin(&b, frame, sizeof frame, sender, 1, 0);
    if (entry) {
        frame_begin_summary(&b, false, 0, 0);
        assert_true(frame_add_entry(&b, entry));
    }
    if (record)
        assert_true(frame_add_record(&b, record, len));
    size_t frame_len = frame_finish(&b);
    fake_tag(NULL, frame, 1, frame + 1 + FRAME_TAG_LEN, frame_len - 1 - FRAME_TAG_LEN, tag);
    memcpy(frame + 1, tag, sizeof tag);
    return mesh_on_frame(rig->mesh, rig->now_ms, frame, frame_len, &meta);
}

static enum mesh_verdict hear(struct rig *rig, uint16_t sender, const uint8_t *record, size_t len)
{
    return hear_frame(rig, sender, record, len, NULL);
}

static enum mesh_verdict hear_claim(struct rig *rig, uint16_t sender,
                                    const struct frame_entry *claim)
{
    return hear_frame(rig, sender, NULL, 0, claim);
}

/* Sleeps from deadline to deadline until a frame is handed out or until_ms is reached. */
static bool next_frame(struct rig *rig, uint64_t until_ms, struct mesh_tx *tx)
{
    for (;;) {
        drain(rig);
        if (mesh_poll_tx(rig->mesh, rig->now_ms, tx))
            return true;
        uint64_t at_ms = mesh_next_deadline(rig->mesh);
        assert_true(at_ms > rig->now_ms);
        if (at_ms > until_ms)
            return false;
        rig->now_ms = at_ms;
    }
}

static int submit(struct rig *rig, uint8_t kind, const char *body, struct record_ref *ref_out)
{
    struct record_draft d = { .ref = { .author = SELF, .lane = record_lane(kind) }, .kind = kind,
                              .priority = PRIORITY_DAMAGE, .body = (const uint8_t *)body,
                              .body_len = strlen(body) };
    return mesh_submit(rig->mesh, rig->now_ms, &d, ref_out);
}

static void store_own(struct rig *rig, uint32_t count)
{
    struct record_ref ref;
    for (uint32_t i = 0; i < count; i++) {
        while (submit(rig, RECORD_DAMAGE, "own", &ref) == MESH_EAGAIN)
            drain(rig);
        drain(rig);
    }
    assert_int_equal(ref.seq, count);
}

/* ---- verdicts ----------------------------------------------------------------------- */

static void test_mesh_gives_each_record_its_verdict(void **state)
{
    static const struct {
        const char *name;
        uint32_t seq;
        uint16_t author;
        uint8_t kind;
        bool bad_sig;
        enum mesh_verdict want;
    } rows[] = {
        { "new report", 1, OTHER, RECORD_DAMAGE, false, MESH_RX_NEW },
        { "the same again", 1, OTHER, RECORD_DAMAGE, false, MESH_RX_DUPLICATE },
        { "a gap is no reason", 9, OTHER, RECORD_DAMAGE, false, MESH_RX_NEW },
        { "signature of nobody", 2, OTHER, RECORD_DAMAGE, true, MESH_RX_BADSIG },
        { "author unheard of", 1, 99, RECORD_DAMAGE, false, MESH_RX_UNKNOWN_AUTHOR },
        { "roster by a member", 3, OTHER, RECORD_ROSTER, false, MESH_RX_ROLE },
        { "profile by a gateway", 3, GATEWAY, RECORD_PROFILE, false, MESH_RX_ROLE },
        { "roster by the root", 1, AUTHOR_ROOT, RECORD_ROSTER, false, MESH_RX_NEW },
        { "report by the root", 2, AUTHOR_ROOT, RECORD_DAMAGE, false, MESH_RX_ROLE },
        { "review by a member", 3, OTHER, RECORD_REVIEW, false, MESH_RX_ROLE },
        { "review by an operator", 1, OPERATOR, RECORD_REVIEW, false, MESH_RX_NEW },
        { "directive by a gateway", 1, GATEWAY, RECORD_DIRECTIVE, false, MESH_RX_NEW },
        { "acknowledgement by an operator", 1, OPERATOR, RECORD_ACK_FIRST, false, MESH_RX_ROLE },
        { "acknowledgement by a gateway", 7, GATEWAY, RECORD_ACK_FIRST, false, MESH_RX_NEW },
        { "an older one", 6, GATEWAY, RECORD_ACK_FIRST, false, MESH_RX_SUPERSEDED },
        { "a newer one", 8, GATEWAY, RECORD_ACK_FIRST, false, MESH_RX_NEW },
        { "last good number", 5, REVOKED, RECORD_SAFE, false, MESH_RX_NEW },
        { "past the last good number", 6, REVOKED, RECORD_SAFE, false, MESH_RX_REVOKED },
        { "a lane of a revoked author", 1, REVOKED, 31, false, MESH_RX_REVOKED },
    };
    struct rig rig;
    (void)state;
    setup(&rig);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t record[RECORD_LEN_MAX];
        struct mesh_stats before, after;
        size_t len = make_record(rows[i].author, rows[i].seq, rows[i].kind, "body", record);
        if (rows[i].bad_sig)
            record[len - 1] ^= 1;
        mesh_stats(rig.mesh, &before);
        enum mesh_verdict got = mesh_on_record(rig.mesh, rig.now_ms, record, len);
        mesh_stats(rig.mesh, &after);
        if (got != rows[i].want)
            fail_msg("%s: %s", rows[i].name, mesh_verdict_name(got));
        assert_int_equal(after.rx[got], before.rx[got] + 1);
        drain(&rig);
    }
    assert_int_equal(rig.stores, 8);
    free(rig.storage);
}

static void test_mesh_gives_each_frame_its_verdict(void **state)
{
    static const uint8_t old[] = { 0x40, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 };
    static const uint8_t cut[] = { 0x20, 0, 0, 0, 0, 0, 1, 0, 0, 0 };
    static const uint8_t bare_mix[] = { 0x28, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 };
    static const uint8_t foreign[] = { 0x20, 1, 2, 3, 4, 0, OTHER, 0, 0, 0, 0 };
    struct mesh_rx_meta meta = { 0, 0 };
    struct mesh_neighbour seen[MESH_NEIGHBOUR_COUNT_MAX];
    struct rig rig;
    (void)state;
    setup(&rig);
    assert_int_equal(mesh_on_frame(rig.mesh, rig.now_ms, old, sizeof old, &meta), MESH_RX_VERSION);
    assert_int_equal(mesh_on_frame(rig.mesh, rig.now_ms, cut, sizeof cut, &meta),
                     MESH_RX_MALFORMED);
    assert_int_equal(mesh_on_frame(rig.mesh, rig.now_ms, bare_mix, sizeof bare_mix, &meta),
                     MESH_RX_MALFORMED);
    assert_int_equal(mesh_on_frame(rig.mesh, rig.now_ms, foreign, sizeof foreign, &meta),
                     MESH_RX_FOREIGN);
    assert_int_equal(hear(&rig, SELF, NULL, 0), MESH_RX_ECHO);
    assert_int_equal(mesh_neighbours(rig.mesh, seen), 0);
    assert_int_equal(hear(&rig, OTHER, NULL, 0), MESH_RX_FRAME);
    assert_int_equal(mesh_neighbours(rig.mesh, seen), 1);
    assert_int_equal(seen[0].node, OTHER);
    assert_int_equal(seen[0].rssi_dbm, -90);
    free(rig.storage);
}

static void test_mesh_keeps_one_fork_as_evidence(void **state)
{
    uint8_t one[RECORD_LEN_MAX], two[RECORD_LEN_MAX];
    struct rig rig;
    (void)state;
    setup(&rig);
    size_t one_len = make_record(OTHER, 1, RECORD_DAMAGE, "one", one);
    size_t two_len = make_record(OTHER, 1, RECORD_DAMAGE, "another", two);
    assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, one, one_len), MESH_RX_NEW);
    drain(&rig);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, two, two_len), MESH_RX_FORK);
        drain(&rig);
    }
    assert_int_equal(rig.forks, 1);
    assert_int_equal(rig.stores, 1);
    two[two_len - 1] ^= 1; /* not the author's doing */
    assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, two, two_len), MESH_RX_BADSIG);
    free(rig.storage);
}

/* Every neighbour place taken, more logs than there is room for, more records than slots. */
static void test_mesh_full_pools_are_counted_not_fatal(void **state)
{
    struct rig rig;
    uint8_t record[RECORD_LEN_MAX];
    struct mesh_stats stats;
    (void)state;
    setup(&rig);
    for (uint16_t i = 0; i < 3 * MESH_NEIGHBOUR_COUNT_MAX; i++)
        assert_int_equal(hear(&rig, (uint16_t)(1000 + i), NULL, 0), MESH_RX_FRAME);
    mesh_stats(rig.mesh, &stats);
    assert_int_equal(stats.neighbours_replaced, 2 * MESH_NEIGHBOUR_COUNT_MAX);
    for (uint32_t seq = 1; seq <= ROW_COUNT; seq++) {
        size_t len = make_record(OTHER, seq, RECORD_SAFE, "", record);
        assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, record, len), MESH_RX_NEW);
        drain(&rig);
    }
    size_t len = make_record(OTHER, ROW_COUNT + 1, RECORD_SAFE, "", record);
    assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, record, len), MESH_RX_FULL);
    free(rig.storage);
}

/* ---- durable, then act --------------------------------------------------------------- */

static void test_mesh_own_record_needs_its_number_then_its_store(void **state)
{
    struct rig rig;
    struct record_ref ref;
    struct mesh_record_state st;
    struct mesh_tx tx;
    (void)state;
    setup(&rig);
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "one", &ref), MESH_EAGAIN);
    drain(&rig);
    assert_int_equal(rig.reserves, 1);
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "one", &ref), MESH_OK);
    assert_int_equal(ref.seq, 1);
    assert_true(mesh_record_state(rig.mesh, &ref, &st));
    assert_false(st.durable);
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "two", &ref), MESH_EAGAIN);

    rig.store_works = false;
    drain(&rig);
    assert_false(mesh_record_state(rig.mesh, &ref, &st));
    assert_false(next_frame(&rig, rig.now_ms + 10000, &tx)); /* nothing durable, nothing sent */

    rig.store_works = true;
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "one again", &ref), MESH_OK);
    assert_int_equal(ref.seq, 1); /* the number was never used */
    drain(&rig);
    assert_true(mesh_record_state(rig.mesh, &ref, &st));
    assert_true(st.durable);
    assert_true(next_frame(&rig, rig.now_ms + 60000, &tx));
    struct frame_view v;
    const uint8_t *record;
    size_t len;
    assert_int_equal(frame_decode(tx.bytes, tx.len, &v), FRAME_OK);
    assert_true(frame_next_record(&v, &record, &len));
    assert_int_equal(len, rig.rows[0].len);
    assert_memory_equal(record, rig.rows[0].bytes, len);
    free(rig.storage);
}

static void test_mesh_no_frame_leaves_before_its_airtime_is_durable(void **state)
{
    struct rig rig;
    struct mesh_tx tx;
    (void)state;
    setup(&rig);
    rig.store_works = false;
    assert_false(next_frame(&rig, rig.now_ms + HOUR_MS, &tx));
    assert_in_range(rig.charges, 1, 100000);
    struct mesh_stats stats;
    mesh_stats(rig.mesh, &stats);
    assert_int_equal(stats.tx_frames, 0);
    rig.store_works = true;
    assert_true(next_frame(&rig, rig.now_ms + 2 * HOUR_MS, &tx));
    free(rig.storage);
}

/* The charge of a frame that went with its modem is still on its way to the store when the modem is
 * back and the next frame is due. */
static void test_mesh_modem_lost_while_charging_is_survived(void **state)
{
    struct rig rig;
    struct mesh_tx tx;
    unsigned lost = 0;
    (void)state;
    setup(&rig);
    store_own(&rig, 1); /* worth a frame until it was sent */
    mesh_set_modem(rig.mesh, rig.now_ms, false);
    mesh_set_modem(rig.mesh, rig.now_ms, true);
    for (int round = 0; round < 50; round++) {
        struct mesh_event first, second;
        rig.now_ms += 20000;
        bool charging = mesh_poll_event(rig.mesh, rig.now_ms, &first);
        mesh_set_modem(rig.mesh, rig.now_ms, false);
        mesh_set_modem(rig.mesh, rig.now_ms, true);
        assert_false(mesh_poll_event(rig.mesh, rig.now_ms, &second) && charging);
        if (charging) {
            lost++;
            assert_int_equal(first.type, MESH_EV_CHARGE);
            assert_int_equal(mesh_on_persisted(rig.mesh, rig.now_ms, first.event_id, true),
                             MESH_OK);
        }
        assert_false(mesh_poll_tx(rig.mesh, rig.now_ms, &tx)); /* built anew, or not at all */
    }
    assert_in_range(lost, 2, 50);
    assert_true(next_frame(&rig, rig.now_ms + HOUR_MS, &tx));
    free(rig.storage);
}

static void test_mesh_submit_refuses_what_its_author_may_not(void **state)
{
    struct rig rig;
    struct record_ref ref;
    char body[RECORD_BODY_LEN_MAX + 2];
    (void)state;
    setup(&rig);
    assert_int_equal(submit(&rig, RECORD_ROSTER, "x", &ref), MESH_EROLE);
    assert_int_equal(submit(&rig, RECORD_ACK_FIRST, "x", &ref), MESH_EROLE);
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    assert_int_equal(submit(&rig, RECORD_NOTE, body, &ref), MESH_ETOOBIG);
    struct record_draft d = { .ref = { .author = OTHER }, .kind = RECORD_SAFE };
    assert_int_equal(mesh_submit(rig.mesh, rig.now_ms, &d, &ref), MESH_EUNKNOWN);
    d.ref.author = 99;
    assert_int_equal(mesh_submit(rig.mesh, rig.now_ms, &d, &ref), MESH_EUNKNOWN);
    free(rig.storage);
}

static void waits_for(struct rig *rig, uint64_t wait_ms, uint32_t next_seq)
{
    struct record_ref ref;
    assert_int_equal(submit(rig, RECORD_DAMAGE, "next?", &ref), MESH_EBEHIND);
    rig->now_ms += wait_ms - 1000;
    assert_int_equal(submit(rig, RECORD_DAMAGE, "next?", &ref), MESH_EBEHIND);
    rig->now_ms += 2000;
    assert_int_equal(submit(rig, RECORD_DAMAGE, "next", &ref), MESH_EAGAIN);
    drain(rig);
    assert_int_equal(submit(rig, RECORD_DAMAGE, "next", &ref), MESH_OK);
    assert_int_equal(ref.seq, next_seq);
}

/* One that came back is proof that more may follow, at the pace of relays. */
static void test_mesh_author_waits_for_own_records_to_come_back(void **state)
{
    struct rig rig;
    uint8_t record[RECORD_LEN_MAX];
    (void)state;
    setup(&rig);
    size_t len = make_record(SELF, 1, RECORD_DAMAGE, "mine", record);
    assert_int_equal(hear(&rig, OTHER, record, len), MESH_RX_FRAME);
    drain(&rig);
    waits_for(&rig, 15 * 60000, 2);
    free(rig.storage);
}

/* A tag is not a signature: what somebody claims must not silence an author for ever, nor twice. */
static void test_mesh_author_waits_a_little_for_what_is_only_claimed(void **state)
{
    struct rig rig;
    struct record_ref ref;
    struct frame_entry claim = { .log = SELF * LANE_COUNT, .held = 7 };
    (void)state;
    setup(&rig);
    assert_int_equal(hear_claim(&rig, OTHER, &claim), MESH_RX_FRAME);
    waits_for(&rig, 2 * 60000, 1);
    drain(&rig);
    assert_int_equal(hear_claim(&rig, OTHER, &claim), MESH_RX_FRAME);
    while (submit(&rig, RECORD_DAMAGE, "and on", &ref) == MESH_EAGAIN)
        drain(&rig);
    assert_int_equal(ref.seq, 2);
    free(rig.storage);
}

/* Its record may never have been made, or be lost after it was on air: nobody here can tell. */
static void test_mesh_author_waits_a_little_for_the_last_number_noted(void **state)
{
    struct rig rig;
    struct record_ref ref;
    struct mesh_tx tx;
    (void)state;
    setup(&rig);
    assert_int_equal(mesh_restore_reserved(rig.mesh, SELF, 0, 1), MESH_OK);
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "next?", &ref), MESH_EBEHIND);
    rig.now_ms += 2 * 60000 - 1000;
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "next?", &ref), MESH_EBEHIND);
    rig.now_ms += 2000;
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "next", &ref), MESH_OK);
    assert_int_equal(ref.seq, 1);
    free(rig.storage);
    /* Who holds it hears at once that it is missing here. */
    setup(&rig);
    assert_int_equal(mesh_restore_reserved(rig.mesh, SELF, 0, 1), MESH_OK);
    assert_true(next_frame(&rig, rig.now_ms + HOUR_MS, &tx));
    struct frame_view v;
    struct frame_entry e;
    assert_int_equal(frame_decode(tx.bytes, tx.len, &v), FRAME_OK);
    assert_true(frame_next_entry(&v, &e));
    assert_int_equal(e.log, SELF * LANE_COUNT);
    assert_int_equal(e.held, 0);
    free(rig.storage);
}

/* ---- acknowledgements ------------------------------------------------------------------- */

static void test_mesh_gateway_says_what_report_ack_reads(void **state)
{
    struct rig rig = { 0 };
    struct mesh_config cfg = config_of(&rig);
    uint8_t record[RECORD_LEN_MAX];
    struct mesh_tx tx;
    static const uint32_t seqs[] = { 1, 2, 3, 9, 7, 6 }; /* as they come */
    static const uint32_t beyond[] = { 6, 7, 9 };
    (void)state;
    cfg.gateway = true;
    start(&rig, &cfg);
    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        uint8_t kind = seqs[i] == 7 ? RECORD_RESCUE : RECORD_DAMAGE;
        size_t len = make_record(OTHER, seqs[i], kind, "x", record);
        assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, record, len), MESH_RX_NEW);
        drain(&rig);
    }
    size_t before = rig.row_count;
    while (rig.row_count == before) {
        if (next_frame(&rig, rig.now_ms + HOUR_MS, &tx))
            mesh_on_tx_done(rig.mesh, rig.now_ms, tx.tx_id, MESH_TX_SENT);
        assert_in_range(rig.now_ms, 0, 6 * HOUR_MS);
    }
    const struct row *row = &rig.rows[before];
    struct record_view v;
    static struct ack ack;
    uint8_t again[RECORD_BODY_LEN_MAX];
    assert_int_equal(record_decode(row->bytes, row->len, &v), RECORD_OK);
    assert_int_equal(v.kind, RECORD_ACK_FIRST);
    assert_int_equal(ack_decode(v.body, v.body_len, &ack), REPORT_OK);
    assert_int_equal(ack.log_count, 1);
    assert_int_equal(ack.logs[0].log, OTHER * LANE_COUNT);
    assert_int_equal(ack.logs[0].held, 3);
    assert_int_equal(ack.beyond_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ack.beyond[i].seq, beyond[i]);
    assert_int_equal(ack_encode(&ack, again, sizeof again), v.body_len);
    assert_memory_equal(again, v.body, v.body_len);
    free(rig.storage);
}

static uint16_t gateway_of(const struct rig *rig, uint32_t seq)
{
    struct record_ref ref = { .author = SELF, .seq = seq };
    struct mesh_record_state st;
    assert_true(mesh_record_state(rig->mesh, &ref, &st));
    return st.gateway;
}

static void hear_ack_of(struct rig *rig, uint16_t gateway, uint32_t seq, const uint8_t *body,
                        size_t body_len)
{
    uint8_t record[RECORD_LEN_MAX];
    struct record_draft d = { .ref = { .author = gateway, .lane = 1, .seq = seq },
                              .kind = RECORD_ACK_FIRST, .body = body, .body_len = body_len };
    int len = record_encode(&d, record, sizeof record);
    assert_true(len > 0);
    fake_sign(NULL, gateway, record, (size_t)len);
    assert_int_equal(mesh_on_record(rig->mesh, rig->now_ms, record, (size_t)len + KENG_SIG_LEN),
                     MESH_RX_NEW);
    drain(rig);
}

static void hear_ack(struct rig *rig, uint32_t seq, const uint8_t *body, size_t body_len)
{
    hear_ack_of(rig, GATEWAY, seq, body, body_len);
}

static void test_mesh_author_reads_what_report_ack_writes(void **state)
{
    static struct ack ack = {
        .log_count = 3, .beyond_count = 2,
        .logs = { { 0, 4 }, { SELF * LANE_COUNT, 2 }, { GATEWAY * LANE_COUNT, 1 } },
        .beyond = { { 1, 4 }, { 1, 6 } },
    };
    static const bool want[] = { true, true, false, true, false, true };
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct rig rig;
    (void)state;
    setup(&rig);
    store_own(&rig, 6);
    assert_int_equal(gateway_of(&rig, 1), AUTHOR_NONE);
    int len = ack_encode(&ack, body, sizeof body);
    assert_true(len > 0);
    hear_ack(&rig, 1, body, (size_t)len);
    for (uint32_t seq = 1; seq <= 6; seq++)
        assert_int_equal(gateway_of(&rig, seq), want[seq - 1] ? GATEWAY : AUTHOR_NONE);
    free(rig.storage);
}

/* Signed by a gateway, and yet any bytes: nothing happens that the bytes do not clearly say. */
static void test_mesh_any_acknowledgement_is_survived(void **state)
{
    uint32_t random = 20260501;
    struct rig rig;
    (void)state;
    setup(&rig);
    store_own(&rig, 3);
    for (uint32_t round = 1; round <= 3000; round++) {
        static const uint8_t base[] = { 0x0a, 2, SELF * LANE_COUNT, 8, 0x12, 2, 1, 0, 0x1a, 2,
                                        0, 3 };
        uint8_t body[sizeof base];
        memcpy(body, base, sizeof base);
        for (int i = 0; i < 3; i++) {
            random = random * 1664525u + 1013904223u;
            body[(random >> 8) % sizeof body] = (uint8_t)(random >> 24);
        }
        size_t len = (random >> 4) % (sizeof body + 1);
        rig.row_count = rig.row_count > ROW_COUNT / 2 ? 3 : rig.row_count;
        hear_ack(&rig, round, body, len);
        assert_true(mesh_next_deadline(rig.mesh) > rig.now_ms);
    }
    free(rig.storage);
}

/* ---- the airtime ledger -------------------------------------------------------------------- */

/* Sends as much as the core will for hours, and adds up every window by itself. */
static void spend(uint32_t percent, uint64_t restored_us, uint64_t *sum_us_out)
{
    enum { SEND_COUNT_MAX = 20000, HOURS = 4 };
    static struct { uint64_t at_ms; uint32_t us; } sends[SEND_COUNT_MAX];
    struct rig rig = { 0 };
    struct mesh_config cfg = config_of(&rig);
    size_t count = 0, first = 0;
    uint64_t window_us = restored_us, sum_us = 0;
    struct mesh_tx tx;
    cfg.duty_budget_ms = HOUR_MS / 100 * percent;
    start(&rig, &cfg);
    if (restored_us > 0) {
        mesh_restore_airtime(rig.mesh, rig.now_ms, 0, (uint32_t)restored_us);
        assert_int_equal(mesh_minute_airtime_us(rig.mesh, rig.now_ms), restored_us);
    }
    uint64_t start_ms = rig.now_ms, until_ms = rig.now_ms + HOURS * (uint64_t)HOUR_MS;
    uint32_t digest = 0;
    while (next_frame(&rig, until_ms, &tx)) {
        rig.now_ms += tx.airtime_us / 1000 + 1;
        assert_int_equal(mesh_on_tx_done(rig.mesh, rig.now_ms, tx.tx_id, MESH_TX_SENT), MESH_OK);
        assert_in_range(count, 0, SEND_COUNT_MAX - 1);
        sends[count].at_ms = rig.now_ms;
        sends[count++].us = tx.airtime_us;
        window_us += tx.airtime_us;
        sum_us += tx.airtime_us;
        if (restored_us > 0 && rig.now_ms - start_ms >= HOUR_MS) {
            window_us -= restored_us;
            restored_us = 0;
        }
        for (; rig.now_ms - sends[first].at_ms >= HOUR_MS; first++)
            window_us -= sends[first].us;
        if (window_us > (uint64_t)cfg.duty_budget_ms * 1000)
            fail_msg("%llu us in one window", (unsigned long long)window_us);
        /* A neighbour whose holdings change all the time keeps the summaries coming. */
        uint8_t frame[FRAME_LEN_MAX], tag[FRAME_TAG_LEN];
        struct mesh_rx_meta meta = { -90, 20 };
        struct frame_builder b;
        frame_begin(&b, frame, sizeof frame, OTHER, ++digest, 0);
        size_t len = frame_finish(&b);
        fake_tag(NULL, frame, 1, frame + 1 + FRAME_TAG_LEN, len - 1 - FRAME_TAG_LEN, tag);
        memcpy(frame + 1, tag, sizeof tag);
        mesh_on_frame(rig.mesh, rig.now_ms, frame, len, &meta);
    }
    *sum_us_out = sum_us;
    free(rig.storage);
}

static void test_mesh_no_window_exceeds_the_law(void **state)
{
    uint64_t sum_us, after_restart_us;
    (void)state;
    spend(1, 0, &sum_us);
    assert_true(sum_us > 1000000); /* it did send */
    spend(1, 35000000, &after_restart_us); /* nearly all of the hour's 36 s were spent before */
    assert_true(after_restart_us > 1000000 && after_restart_us < sum_us);
}

static void test_mesh_without_a_budget_never_sends(void **state)
{
    struct rig rig = { 0 };
    struct mesh_config cfg = config_of(&rig);
    struct mesh_tx tx;
    (void)state;
    cfg.duty_budget_ms = 0;
    start(&rig, &cfg);
    store_own(&rig, 2);
    assert_false(next_frame(&rig, rig.now_ms + 3 * HOUR_MS, &tx));
    assert_int_equal(rig.charges, 0);
    free(rig.storage);
}

static void test_mesh_refused_frame_gives_its_airtime_back(void **state)
{
    struct rig rig;
    struct mesh_tx tx;
    struct mesh_stats stats;
    (void)state;
    setup(&rig);
    assert_true(next_frame(&rig, rig.now_ms + HOUR_MS, &tx));
    mesh_stats(rig.mesh, &stats);
    assert_int_equal(stats.window_airtime_ms, (tx.airtime_us + 999) / 1000);
    assert_int_equal(mesh_on_tx_done(rig.mesh, rig.now_ms, tx.tx_id, MESH_TX_REFUSED), MESH_OK);
    mesh_stats(rig.mesh, &stats);
    assert_int_equal(stats.window_airtime_ms, 0);
    assert_int_equal(stats.tx_refused_modem, 1);
    assert_int_equal(stats.tx_frames, 0);
    free(rig.storage);
}

/* Frames sent until end_ms, and the sum of their airtime. */
static unsigned send_until(struct rig *rig, uint64_t end_ms, uint64_t *airtime_us)
{
    unsigned count = 0;
    while (rig->now_ms < end_ms) {
        struct mesh_tx tx;
        drain(rig);
        if (mesh_poll_tx(rig->mesh, rig->now_ms, &tx)) {
            rig->now_ms += tx.airtime_us / 1000;
            assert_int_equal(mesh_on_tx_done(rig->mesh, rig->now_ms, tx.tx_id, MESH_TX_SENT),
                             MESH_OK);
            *airtime_us += tx.airtime_us;
            count++;
            continue;
        }
        uint64_t next_ms = mesh_next_deadline(rig->mesh);
        assert_true(next_ms > rig->now_ms);
        rig->now_ms = next_ms < end_ms ? next_ms : end_ms;
    }
    return count;
}

static void test_mesh_sounds_as_often_as_asked_within_the_law(void **state)
{
    struct rig rig;
    uint64_t airtime_us = 0;
    (void)state;
    setup(&rig);
    uint64_t start_ms = rig.now_ms;
    send_until(&rig, start_ms + HOUR_MS / 4, &airtime_us); /* its first words */
    assert_int_equal(send_until(&rig, rig.now_ms + 20000, &airtime_us), 0);
    mesh_sound(rig.mesh, rig.now_ms, 5);
    assert_int_equal(send_until(&rig, rig.now_ms + 60000, &airtime_us), 5);
    mesh_sound(rig.mesh, rig.now_ms, UINT8_MAX);
    send_until(&rig, start_ms + HOUR_MS - 1, &airtime_us);
    assert_in_range(airtime_us / 1000, HOUR_MS / 100 / 4, HOUR_MS / 100 / 2);
    free(rig.storage);
}

static void test_mesh_config_out_of_range_is_refused(void **state)
{
    struct rig rig = { 0 };
    struct mesh_config good = config_of(&rig), bad[10];
    (void)state;
    for (size_t i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].outside.sign = NULL;
    bad[1].lora.sf = 13;
    bad[2].node = AUTHOR_NONE;
    bad[3].mtu_len = RECORD_LEN_MIN;
    bad[4].mtu_len = FRAME_LEN_MAX + 1;
    bad[5].record_count_max = 0;
    bad[6].log_count_max = MESH_LOG_COUNT_MAX + 1;
    bad[7].duty_window_ms = HOUR_MS + 60000;
    bad[8].duty_window_ms = 90001;
    bad[9].duty_budget_ms = HOUR_MS + 1;
    assert_true(mesh_storage_size(&good) > 0);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(mesh_storage_size(&bad[i]), 0);
}

/* ---- what the root takes back ------------------------------------------------------------- */

static void revoke(struct rig *rig, uint16_t number, uint8_t roles, uint32_t last_good_seq)
{
    struct mesh_author a = { .number = number, .roles = roles, .last_good_seq = last_good_seq,
                             .local = number == SELF };
    a.key[0] = (uint8_t)number;
    assert_int_equal(mesh_set_author(rig->mesh, &a), MESH_OK);
}

/* Takes the record in and leaves it on its way to the store: the event's number. */
static uint32_t stage(struct rig *rig, uint32_t seq, uint8_t kind)
{
    uint8_t record[RECORD_LEN_MAX];
    struct mesh_event ev;
    size_t len = make_record(OPERATOR, seq, kind, "x", record);
    assert_int_equal(mesh_on_record(rig->mesh, rig->now_ms, record, len), MESH_RX_NEW);
    do
        assert_true(mesh_poll_event(rig->mesh, rig->now_ms, &ev));
    while (ev.type != MESH_EV_STORE);
    return ev.event_id;
}

/* However a record past the last good one came in, once the root has spoken the node is like one
 * that refused it. */
static void test_mesh_revoked_records_leave_no_trace_in_what_is_held(void **state)
{
    struct rig rig;
    struct mesh_stats want, got;
    struct record_ref ref = { .author = OPERATOR, .seq = 5 };
    struct mesh_record_state seen;
    (void)state;
    setup(&rig);
    for (uint32_t seq = 1; seq <= 4; seq++)
        mesh_on_persisted(rig.mesh, rig.now_ms, stage(&rig, seq, RECORD_NOTE), true);
    mesh_stats(rig.mesh, &want);
    free(rig.storage);
    for (uint32_t settled = 0; settled <= 9; settled++) {
        setup(&rig);
        for (uint32_t seq = 1; seq <= 8; seq++)
            mesh_on_persisted(rig.mesh, rig.now_ms, stage(&rig, seq, RECORD_NOTE), true);
        mesh_on_persisted(rig.mesh, rig.now_ms, stage(&rig, 11, RECORD_NOTE), true);
        if (settled > 0)
            assert_int_equal(mesh_restore_settled(rig.mesh, OPERATOR, 0, settled), MESH_OK);
        uint32_t pending = stage(&rig, 12, RECORD_NOTE);
        revoke(&rig, OPERATOR, MESH_ROLE_REVIEW, 4);
        assert_int_equal(mesh_on_persisted(rig.mesh, rig.now_ms, pending, true), MESH_OK);
        mesh_stats(rig.mesh, &got);
        assert_int_equal(got.digest, want.digest);
        assert_int_equal(got.records_held, want.records_held);
        assert_false(mesh_record_state(rig.mesh, &ref, &seen));
        /* The store's memory of it changes nothing either. */
        assert_int_equal(mesh_restore_settled(rig.mesh, OPERATOR, 0, 12), MESH_OK);
        mesh_stats(rig.mesh, &got);
        assert_int_equal(got.digest, want.digest);
        free(rig.storage);
    }
}

/* The newest of another lane says nothing of when it was written. */
static void test_mesh_revoked_gateway_loses_its_other_lanes(void **state)
{
    struct rig rig;
    struct mesh_stats before, after;
    struct mesh_tx tx;
    uint8_t record[RECORD_LEN_MAX];
    struct frame_entry claim = { .log = GATEWAY * LANE_COUNT + 1, .held = 9 };
    (void)state;
    setup(&rig);
    mesh_stats(rig.mesh, &before);
    size_t len = make_record(GATEWAY, 7, RECORD_ACK_FIRST, "", record);
    assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, record, len), MESH_RX_NEW);
    drain(&rig);
    revoke(&rig, GATEWAY, MESH_ROLE_GATEWAY, 0);
    mesh_stats(rig.mesh, &after);
    assert_int_equal(after.digest, before.digest);
    /* Who has not heard of it claims more: nobody asks him for it. */
    assert_int_equal(hear_claim(&rig, OTHER, &claim), MESH_RX_FRAME);
    uint64_t until_ms = rig.now_ms + HOUR_MS;
    while (next_frame(&rig, until_ms, &tx)) {
        struct frame_view v;
        struct frame_entry e;
        assert_int_equal(frame_decode(tx.bytes, tx.len, &v), FRAME_OK);
        while (frame_next_entry(&v, &e))
            assert_int_not_equal(e.log, claim.log);
        mesh_on_tx_done(rig.mesh, rig.now_ms, tx.tx_id, MESH_TX_SENT);
    }
    free(rig.storage);
}

static void test_mesh_revoked_author_is_told_so(void **state)
{
    struct rig rig = { 0 };
    struct mesh_config cfg = config_of(&rig);
    struct record_ref ref;
    uint8_t record[RECORD_LEN_MAX];
    struct mesh_tx tx;
    (void)state;
    cfg.gateway = true;
    start(&rig, &cfg);
    revoke(&rig, SELF, MESH_ROLE_GATEWAY, 7);
    assert_int_equal(submit(&rig, RECORD_DAMAGE, "x", &ref), MESH_EREVOKED);
    assert_int_equal(submit(&rig, RECORD_ROSTER, "x", &ref), MESH_EROLE);
    assert_int_equal(rig.reserves, 0);
    /* Nor does his gateway try for ever to acknowledge what it takes in. */
    size_t len = make_record(OTHER, 1, RECORD_RESCUE, "help", record);
    assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, record, len), MESH_RX_NEW);
    mesh_set_modem(rig.mesh, rig.now_ms, false);
    uint64_t until_ms = rig.now_ms + HOUR_MS;
    for (int i = 0; i < 1000 && rig.now_ms < until_ms; i++) {
        assert_false(next_frame(&rig, rig.now_ms, &tx));
        rig.now_ms = mesh_next_deadline(rig.mesh);
    }
    assert_true(rig.now_ms >= until_ms);
    assert_int_equal(rig.row_count, 1);
    free(rig.storage);
}

/* Whoever stole a gateway's key can say "received" of what nobody has.  Once the root has spoken
 * only the other gateways' word counts, also after a restart. */
static void test_mesh_revoked_gateway_has_acknowledged_nothing(void **state)
{
    enum { OTHER_GATEWAY = 77 };
    static const struct ack stolen = { .log_count = 1, .beyond_count = 1,
                                       .logs = { { SELF * LANE_COUNT, 3 } },
                                       .beyond = { { 0, 5 } } };
    static const struct ack honest = { .log_count = 1, .logs = { { SELF * LANE_COUNT, 1 } } };
    static const uint16_t before[] = { GATEWAY, GATEWAY, GATEWAY, AUTHOR_NONE, GATEWAY };
    uint8_t body[RECORD_BODY_LEN_MAX], other[RECORD_BODY_LEN_MAX];
    struct rig rig;
    (void)state;
    setup(&rig);
    add_author(&rig, OTHER_GATEWAY, MESH_ROLE_GATEWAY);
    store_own(&rig, 5);
    int len = ack_encode(&stolen, body, sizeof body);
    int other_len = ack_encode(&honest, other, sizeof other);
    assert_true(len > 0 && other_len > 0);
    hear_ack_of(&rig, OTHER_GATEWAY, 1, other, (size_t)other_len);
    hear_ack(&rig, 900, body, (size_t)len);
    for (uint32_t seq = 1; seq <= 5; seq++)
        assert_int_equal(gateway_of(&rig, seq), before[seq - 1]);
    revoke(&rig, GATEWAY, MESH_ROLE_GATEWAY, 0);
    for (uint32_t seq = 1; seq <= 5; seq++)
        assert_int_equal(gateway_of(&rig, seq), seq == 1 ? OTHER_GATEWAY : AUTHOR_NONE);
    for (size_t i = 0; i < rig.row_count; i++) {
        struct record_view v;
        assert_int_equal(record_decode(rig.rows[i].bytes, rig.rows[i].len, &v), RECORD_OK);
        assert_int_equal(mesh_restore_record(rig.mesh, &v), MESH_OK);
        mesh_restore_ack(rig.mesh, &v);
    }
    for (uint32_t seq = 1; seq <= 5; seq++)
        assert_int_equal(gateway_of(&rig, seq), seq == 1 ? OTHER_GATEWAY : AUTHOR_NONE);
    free(rig.storage);
}

/* He spoke for a record, so the other gateway kept silent: now it says itself that it has it. */
static void test_mesh_gateway_speaks_up_when_another_is_revoked(void **state)
{
    static const struct ack stolen = { .log_count = 1, .logs = { { OTHER * LANE_COUNT, 9 } } };
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    struct rig rig = { 0 };
    struct mesh_config cfg = config_of(&rig);
    struct mesh_tx tx;
    (void)state;
    cfg.gateway = true;
    start(&rig, &cfg);
    int body_len = ack_encode(&stolen, body, sizeof body);
    hear_ack(&rig, 900, body, (size_t)body_len);
    size_t len = make_record(OTHER, 1, RECORD_DAMAGE, "x", record);
    assert_int_equal(mesh_on_record(rig.mesh, rig.now_ms, record, len), MESH_RX_NEW);
    for (uint64_t until_ms = rig.now_ms + HOUR_MS; next_frame(&rig, until_ms, &tx);)
        mesh_on_tx_done(rig.mesh, rig.now_ms, tx.tx_id, MESH_TX_SENT);
    assert_int_equal(rig.row_count, 2);
    revoke(&rig, GATEWAY, MESH_ROLE_GATEWAY, 0);
    for (uint64_t until_ms = rig.now_ms + HOUR_MS; next_frame(&rig, until_ms, &tx);)
        mesh_on_tx_done(rig.mesh, rig.now_ms, tx.tx_id, MESH_TX_SENT);
    assert_int_equal(rig.row_count, 3);
    assert_int_equal(rig.rows[2].ref.author, SELF);
    assert_int_equal(rig.rows[2].ref.lane, record_lane(RECORD_ACK_FIRST));
    free(rig.storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh_revoked_gateway_has_acknowledged_nothing),
        cmocka_unit_test(test_mesh_gateway_speaks_up_when_another_is_revoked),
        cmocka_unit_test(test_mesh_revoked_author_is_told_so),
        cmocka_unit_test(test_mesh_revoked_records_leave_no_trace_in_what_is_held),
        cmocka_unit_test(test_mesh_revoked_gateway_loses_its_other_lanes),
        cmocka_unit_test(test_mesh_gives_each_record_its_verdict),
        cmocka_unit_test(test_mesh_gives_each_frame_its_verdict),
        cmocka_unit_test(test_mesh_keeps_one_fork_as_evidence),
        cmocka_unit_test(test_mesh_full_pools_are_counted_not_fatal),
        cmocka_unit_test(test_mesh_own_record_needs_its_number_then_its_store),
        cmocka_unit_test(test_mesh_no_frame_leaves_before_its_airtime_is_durable),
        cmocka_unit_test(test_mesh_modem_lost_while_charging_is_survived),
        cmocka_unit_test(test_mesh_submit_refuses_what_its_author_may_not),
        cmocka_unit_test(test_mesh_author_waits_for_own_records_to_come_back),
        cmocka_unit_test(test_mesh_author_waits_a_little_for_what_is_only_claimed),
        cmocka_unit_test(test_mesh_author_waits_a_little_for_the_last_number_noted),
        cmocka_unit_test(test_mesh_gateway_says_what_report_ack_reads),
        cmocka_unit_test(test_mesh_author_reads_what_report_ack_writes),
        cmocka_unit_test(test_mesh_any_acknowledgement_is_survived),
        cmocka_unit_test(test_mesh_no_window_exceeds_the_law),
        cmocka_unit_test(test_mesh_without_a_budget_never_sends),
        cmocka_unit_test(test_mesh_refused_frame_gives_its_airtime_back),
        cmocka_unit_test(test_mesh_sounds_as_often_as_asked_within_the_law),
        cmocka_unit_test(test_mesh_config_out_of_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
