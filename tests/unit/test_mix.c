/* Mixes: several records in the room of one, and what every kind of receiver gets out of them.
 *
 * One real node, whose neighbours are frames put into its ear; the watch keeps what it sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "tests/support/net.h"

#define SECOND_US 1000000ull
#define MINUTE_US (60 * SECOND_US)

enum {
    SELF = 1,
    NODE_COUNT = 18, /* the last two have log numbers of two bytes */
    GATEWAY = 12,
    SEED_COUNT = 10,
    KEPT_COUNT = 64,
    BODY_LEN = 120, /* so long that no two of them fit a frame side by side */
    FRAME_COUNT_MAX = 256,
};

static int32_t loss[NODE_COUNT * NODE_COUNT];

struct sent {
    uint16_t len;
    uint8_t bytes[FRAME_LEN_MAX];
};

static struct {
    struct sent frames[FRAME_COUNT_MAX];
    size_t count;
} heard; /* all that the node under test sent */

struct part {
    uint16_t author;
    uint32_t seq;
    uint8_t kind, priority;
    uint8_t body_len, fill;
    uint8_t bytes[RECORD_LEN_MAX];
    size_t len;
};

static void on_sent(void *ctx, const struct net_node *n, uint64_t start_us, uint64_t end_us)
{
    (void)ctx;
    (void)start_us;
    (void)end_us;
    if (n->number != SELF)
        return;
    assert_in_range(heard.count, 0, FRAME_COUNT_MAX - 1);
    struct sent *s = &heard.frames[heard.count++];
    s->len = n->tx.len;
    memcpy(s->bytes, n->tx.bytes, s->len);
}

static struct net *islands(uint64_t seed, uint16_t mtu_len)
{
    struct net_config c = net_config_default(NODE_COUNT, seed);
    for (size_t i = 0; i < sizeof loss / sizeof loss[0]; i++)
        loss[i] = AIR_NO_LINK;
    c.loss_db_x100 = loss;
    c.gateway = GATEWAY - 1;
    c.mtu_len = mtu_len;
    c.watch.sent = on_sent;
    heard.count = 0;
    return net_new(&c);
}

static void run_for(struct net *net, uint64_t us)
{
    if (!net_run(net, net->now_us + us))
        fail_msg("%s", net->breach);
}

static struct part report(struct net *net, uint16_t author, uint32_t seq, uint8_t priority)
{
    struct part p = { .author = author, .seq = seq, .kind = RECORD_DAMAGE, .priority = priority,
                      .body_len = BODY_LEN };
    uint8_t body[BODY_LEN] = { (uint8_t)author, (uint8_t)seq };
    p.len = net_sign(net, &(struct record_draft){ .ref = { .author = author, .seq = seq },
                                                  .kind = p.kind, .priority = priority,
                                                  .body = body, .body_len = sizeof body },
                     p.bytes);
    return p;
}

/* A part with the rest of its fields as given. */
static void sign_part(struct net *net, struct part *p)
{
    uint8_t body[BODY_LEN];
    memset(body, p->fill, sizeof body);
    struct record_ref ref = { .author = p->author, .lane = record_lane(p->kind), .seq = p->seq };
    p->len = net_sign(net, &(struct record_draft){ .ref = ref, .kind = p->kind,
                                                   .priority = p->priority, .body = body,
                                                   .body_len = p->body_len }, p->bytes);
}

static bool holds(const struct net *net, uint32_t node, const struct part *p)
{
    struct record_ref ref = { .author = p->author, .lane = record_lane(p->kind), .seq = p->seq };
    return net_find(&net->nodes[node].rows, &ref) != NULL;
}

static struct mesh_stats stats(const struct net *net)
{
    struct mesh_stats s;
    mesh_stats(net->nodes[SELF - 1].mesh, &s);
    return s;
}

/* ---- what neighbours say ---------------------------------------------------------- */

struct says {
    uint16_t sender;
    bool lists;                 /* that it hears the node under test, and nobody else */
    const struct part *record;
    const struct frame_mixed *mixed;
    uint8_t mixed_count;
    const uint8_t *sum;
    const struct frame_entry *entry; /* a brief summary of one log */
};

static void say(struct net *net, const struct says *s)
{
    static uint8_t count[NODE_COUNT + 1];
    static const struct frame_link us = { SELF, FRAME_QUALITY_MAX };
    uint8_t frame[FRAME_LEN_MAX];
    struct frame_builder b;
    frame_begin(&b, frame, sizeof frame, s->sender, 0, ++count[s->sender]);
    if (s->lists)
        assert_true(frame_add_links(&b, &us, 1, sizeof frame));
    if (s->entry) {
        frame_begin_summary(&b, false, 0, 0);
        assert_true(frame_add_entry(&b, s->entry));
    }
    if (s->mixed)
        assert_true(frame_add_mix(&b, s->mixed, s->mixed_count, s->sum));
    if (s->record)
        assert_true(frame_add_record(&b, s->record->bytes, s->record->len));
    size_t len = frame_finish(&b);
    net_tag(net, 0, frame, len);
    assert_int_equal(net_inject(net, SELF - 1, frame, len), MESH_RX_FRAME);
}

static void bring(struct net *net, uint16_t sender, const struct part *p)
{
    say(net, &(struct says){ .sender = sender, .lists = true, .record = p });
}

/* Who is heard for the first time is believed to hold what is held here by then: all come first. */
static void meet(struct net *net, uint16_t last)
{
    for (uint16_t n = 2; n <= last; n++)
        say(net, &(struct says){ .sender = n, .lists = true });
}

static struct frame_mixed name_of(const struct part *p)
{
    return (struct frame_mixed){
        .log = (uint32_t)p->author * LANE_COUNT + record_lane(p->kind), .seq = p->seq,
        .len = (uint8_t)p->len };
}

static void bring_mix(struct net *net, const struct part *const *parts, uint8_t count)
{
    uint8_t sum[RECORD_LEN_MAX] = { 0 };
    struct frame_mixed mixed[FRAME_MIX_COUNT_MAX];
    for (uint8_t i = 0; i < count; i++) {
        mixed[i] = name_of(parts[i]);
        for (size_t k = 0; k < parts[i]->len; k++)
            sum[k] ^= parts[i]->bytes[k];
    }
    say(net, &(struct says){ .sender = 2, .mixed = mixed, .mixed_count = count, .sum = sum });
}

static void bring_two(struct net *net, const struct part *a, const struct part *b)
{
    const struct part *parts[] = { a, b };
    bring_mix(net, parts, 2);
}

/* ---- what the node says ----------------------------------------------------------- */

/* How often a record of this author was on air by itself, or in a mix, from frame `from` on. */
static unsigned sends(uint16_t author, bool mixed, size_t from)
{
    unsigned count = 0;
    for (size_t i = from; i < heard.count; i++) {
        struct frame_view v;
        struct record_view r;
        const uint8_t *record;
        size_t len;
        assert_int_equal(frame_decode(heard.frames[i].bytes, heard.frames[i].len, &v), FRAME_OK);
        for (uint8_t k = 0; mixed && k < v.mix_count; k++)
            count += v.mixed[k].log / LANE_COUNT == author;
        while (!mixed && frame_next_record(&v, &record, &len)) {
            assert_int_equal(record_decode(record, len, &r), RECORD_OK);
            count += r.ref.author == author;
        }
    }
    return count;
}

/* Runs until the node sent a record of this author; fails if it does not within half an hour. */
static void await(struct net *net, uint16_t author, size_t from)
{
    uint64_t until_us = net->now_us + 30 * MINUTE_US;
    while (sends(author, true, from) + sends(author, false, from) == 0) {
        assert_true(net->now_us < until_us);
        run_for(net, SECOND_US);
    }
}

/* ---- a relay between two ----------------------------------------------------------- */

/* 2 and 3 hear the node between them and not each other: one frame serves both. */
static void test_mix_serves_two_neighbours_with_one_frame(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net *net = islands(seed, 0);
        net_order(net, 1, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
        net_order(net, 2, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN - 50);
        meet(net, 3);
        run_for(net, MINUTE_US);
        heard.count = 0;
        for (uint16_t n = 2; n <= 3; n++) {
            const struct net_row *row =
                net_find(&net->truth, &(struct record_ref){ .author = n, .seq = 1 });
            struct part p = { .len = row->len };
            memcpy(p.bytes, row->bytes, row->len);
            bring(net, n, &p);
        }
        await(net, 2, 0);
        const struct sent *f = &heard.frames[heard.count - 1];
        assert_int_equal(sends(2, true, 0), 1);
        assert_int_equal(sends(3, true, 0), 1);
        assert_int_equal(sends(2, false, 0) + sends(3, false, 0), 0);
        for (uint32_t n = 2; n <= 3; n++) {
            struct record_ref others = { .author = (uint16_t)(5 - n), .seq = 1 };
            assert_null(net_find(&net->nodes[n - 1].rows, &others));
            assert_int_equal(net_inject(net, n - 1, f->bytes, f->len), MESH_RX_FRAME);
            assert_non_null(net_find(&net->nodes[n - 1].rows, &others));
        }
        run_for(net, SECOND_US);
        net_free(net);
    }
}

/* What is urgent does not depend on what somebody holds. */
static void test_mix_takes_nothing_urgent(void **state)
{
    static const struct {
        uint8_t one, other;
        bool mixed;
    } rows[] = {
        { PRIORITY_ROUTINE, PRIORITY_ROUTINE, true },
        { PRIORITY_DAMAGE, PRIORITY_ROUTINE, true },
        { PRIORITY_DAMAGE, PRIORITY_DAMAGE, true },
        { PRIORITY_EVACUATION, PRIORITY_EVACUATION, false },
        { PRIORITY_EVACUATION, PRIORITY_DAMAGE, false },
        { PRIORITY_RESCUE, PRIORITY_ROUTINE, false },
        { PRIORITY_RESCUE, PRIORITY_RESCUE, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct net *net = islands(1, 0);
        meet(net, 3);
        run_for(net, MINUTE_US);
        size_t from = heard.count;
        struct part a = report(net, 2, 1, rows[i].one), b = report(net, 3, 1, rows[i].other);
        bring(net, 3, &b);
        bring(net, 2, &a);
        await(net, 2, from);
        await(net, 3, from);
        if ((sends(2, true, from) > 0) != rows[i].mixed)
            fail_msg("%s with %s", record_priority_name(rows[i].one),
                     record_priority_name(rows[i].other));
        if (rows[i].one > rows[i].other && !rows[i].mixed) /* the more urgent one goes first */
            assert_true(sends(2, false, from) > 0);
        net_free(net);
    }
}

/* Whoever lacks both is sent one of them again without having to ask; who was helped is not. */
static void test_mix_leaves_nobody_waiting(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net *net = islands(seed, 0);
        meet(net, 8);
        run_for(net, MINUTE_US);
        size_t from = heard.count;
        struct part a = report(net, 2, 1, PRIORITY_DAMAGE), b = report(net, 3, 1, PRIORITY_DAMAGE);
        for (uint16_t n = 2; n <= 8; n++)
            if (n != 4)
                bring(net, n, n % 2 ? &b : &a);
        await(net, 2, from);
        size_t first = heard.count;
        assert_int_equal(sends(2, true, from), 1);
        assert_int_equal(sends(3, true, from), 1);
        run_for(net, 10 * MINUTE_US);
        assert_int_equal(sends(2, true, first) + sends(3, true, first), 0);
        assert_int_equal(sends(2, false, first), 1);
        assert_int_equal(sends(3, false, first), 1);
        net_free(net);
    }
}

/* However wrong the beliefs are (here 2 says that it has what it cannot read), each record goes by
 * itself in the end. */
static void test_mix_in_vain_ends_in_the_record_itself(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net *net = islands(seed, 0);
        meet(net, 3);
        run_for(net, MINUTE_US);
        size_t from = heard.count;
        struct part a = report(net, 2, 1, PRIORITY_DAMAGE), b = report(net, 3, 1, PRIORITY_DAMAGE);
        bring(net, 2, &a);
        bring(net, 3, &b);
        for (int i = 0; i < 40 && sends(2, false, from) == 0; i++) {
            struct frame_entry lacks_a = { .log = 2 * LANE_COUNT }, lacks_b = { .log = 24 };
            run_for(net, 3 * MINUTE_US);
            say(net, &(struct says){ .sender = 3, .entry = &lacks_a });
            say(net, &(struct says){ .sender = 2, .entry = &lacks_b });
        }
        assert_int_equal(sends(2, true, from), 3);
        assert_true(sends(2, false, from) > 0);
        net_free(net);
    }
}

/* No length of frame makes a mix, links and a summary fight for the same bytes. */
static void test_mix_fits_every_length_of_frame(void **state)
{
    enum { SEQ = RECORD_SEQ_MAX - 1,
           PLAIN_LEN = FRAME_HEADER_LEN + 1 + 9 + BODY_LEN + KENG_SIG_LEN };
    unsigned mixed = 0, alone = 0;
    (void)state;
    for (uint16_t mtu_len = PLAIN_LEN; mtu_len <= PLAIN_LEN + 48; mtu_len++) {
        struct net *net = islands(1, mtu_len);
        struct part a = report(net, 17, SEQ, PRIORITY_DAMAGE);
        struct part b = report(net, 18, SEQ, PRIORITY_DAMAGE);
        meet(net, 3);
        run_for(net, 10 * MINUTE_US);
        size_t from = heard.count;
        for (uint16_t n = 4; n <= 10; n++)
            say(net, &(struct says){ .sender = n });
        bring(net, 2, &a);
        bring(net, 3, &b);
        await(net, 17, from);
        await(net, 18, from);
        mixed += sends(17, true, from) > 0;
        alone += sends(17, false, from) > 0;
        for (size_t i = 0; i < heard.count; i++)
            assert_in_range(heard.frames[i].len, FRAME_HEADER_LEN, mtu_len);
        net_free(net);
    }
    assert_in_range(mixed, 30, 48);
    assert_in_range(alone, 5, 20);
}

/* ---- a mix heard --------------------------------------------------------------------- */

static void test_mix_waits_for_either_of_two(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct net *net = islands(1, 0);
        struct part parts[] = { report(net, 2, 1, PRIORITY_DAMAGE),
                                report(net, 3, 1, PRIORITY_DAMAGE) };
        bring_two(net, &parts[0], &parts[1]);
        bring_two(net, &parts[0], &parts[1]);
        assert_int_equal(stats(net).mixes_kept, 1);
        assert_int_equal(stats(net).rx[MESH_RX_NEW], 0);
        bring(net, 5, &parts[first]);
        assert_true(holds(net, SELF - 1, &parts[0]) && holds(net, SELF - 1, &parts[1]));
        assert_int_equal(stats(net).rx[MESH_RX_NEW], 2);
        bring_two(net, &parts[0], &parts[1]); /* nothing new any more */
        assert_int_equal(stats(net).mixes_kept, 1);
        assert_int_equal(stats(net).rx[MESH_RX_DUPLICATE], 2);
        net_free(net);
    }
}

/* One record opens a mix, what comes out opens the next. */
static void test_mix_opens_mix(void **state)
{
    struct net *net = islands(1, 0);
    struct part p[5];
    (void)state;
    for (uint16_t i = 0; i < 5; i++)
        p[i] = report(net, (uint16_t)(2 + i), 1, PRIORITY_ROUTINE);
    const struct part *three[] = { &p[2], &p[3], &p[0] };
    bring_mix(net, three, 3);
    bring_two(net, &p[3], &p[4]);
    bring_two(net, &p[1], &p[2]);
    bring_two(net, &p[0], &p[1]);
    assert_int_equal(stats(net).mixes_kept, 4);
    bring(net, 9, &p[4]);
    assert_int_equal(stats(net).rx[MESH_RX_NEW], 2);
    bring(net, 9, &p[0]);
    for (int i = 0; i < 5; i++)
        assert_true(holds(net, SELF - 1, &p[i]));
    net_free(net);
}

/* The newest stay, and a frame heard again and again pushes out nothing. */
static void test_mix_pool_keeps_the_newest(void **state)
{
    enum { MORE = 6 };
    struct net *net = islands(1, 0);
    struct part a[KEPT_COUNT + MORE], b = report(net, 3, 1, PRIORITY_ROUTINE);
    (void)state;
    for (uint32_t i = 0; i < KEPT_COUNT + MORE; i++) {
        a[i] = report(net, 2, 1 + i, PRIORITY_ROUTINE);
        const struct part *parts[] = { &a[i], &b };
        bring_mix(net, parts, 2);
    }
    for (int i = 0; i < 2 * KEPT_COUNT; i++)
        bring_two(net, &a[MORE], &b);
    assert_int_equal(stats(net).mixes_kept, KEPT_COUNT + MORE);
    assert_int_equal(stats(net).mixes_lost, MORE);
    bring(net, 4, &b);
    run_for(net, SECOND_US);
    uint32_t held = 0;
    for (uint32_t i = 0; i < KEPT_COUNT + MORE; i++) {
        held += holds(net, SELF - 1, &a[i]);
        assert_false(i < MORE && holds(net, SELF - 1, &a[i]));
    }
    /* All of them open at once: as many as may be on their way to the store get through. */
    assert_int_equal(held, MESH_STAGED_COUNT_MAX);
    assert_int_equal(stats(net).rx[MESH_RX_FULL], KEPT_COUNT - MESH_STAGED_COUNT_MAX);
    net_free(net);
}

enum harm { NONE, SUM_AUTHOR, SUM_KIND, SUM_SIGNATURE, SUM_TAIL, OTHER_NUMBER, OTHER_LOG };

static void test_mix_gives_what_comes_out_its_verdict(void **state)
{
    static const struct {
        const char *name;
        struct part lacked;
        enum harm harm;
        enum mesh_verdict want;
    } rows[] = {
        { "good", { .author = 3, .seq = 1, .kind = RECORD_DAMAGE }, NONE, MESH_RX_NEW },
        { "past a gap", { .author = 3, .seq = 900, .kind = RECORD_NOTE }, NONE, MESH_RX_NEW },
        { "an acknowledgement", { .author = GATEWAY, .seq = 9, .kind = RECORD_ACK_FIRST }, NONE,
          MESH_RX_NEW },
        { "an older one", { .author = GATEWAY, .seq = 8, .kind = RECORD_ACK_FIRST }, NONE,
          MESH_RX_SUPERSEDED },
        { "by a member", { .author = 3, .seq = 1, .kind = RECORD_ACK_FIRST }, NONE, MESH_RX_ROLE },
        { "nobody's", { .author = 40, .seq = 1, .kind = RECORD_DAMAGE }, NONE,
          MESH_RX_UNKNOWN_AUTHOR },
        { "sum with another author", { .author = 3, .seq = 2, .kind = RECORD_DAMAGE }, SUM_AUTHOR,
          MESH_RX_MALFORMED },
        { "sum with another lane", { .author = 3, .seq = 2, .kind = RECORD_DAMAGE }, SUM_KIND,
          MESH_RX_MALFORMED },
        { "sum with a wrong signature", { .author = 3, .seq = 2, .kind = RECORD_DAMAGE },
          SUM_SIGNATURE, MESH_RX_BADSIG },
        { "sum that is longer", { .author = 3, .seq = 2, .kind = RECORD_DAMAGE }, SUM_TAIL,
          MESH_RX_MALFORMED },
        { "another number", { .author = 3, .seq = 2, .kind = RECORD_DAMAGE }, OTHER_NUMBER,
          MESH_RX_MALFORMED },
        { "another log", { .author = 3, .seq = 2, .kind = RECORD_DAMAGE }, OTHER_LOG,
          MESH_RX_MALFORMED },
    };
    struct net *net = islands(1, 0);
    struct part held = report(net, 2, 1, PRIORITY_DAMAGE);
    (void)state;
    bring(net, 2, &held);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct part p = rows[i].lacked;
        uint8_t sum[RECORD_LEN_MAX];
        uint16_t author = p.author;
        p.author = author == 40 ? 4 : author;
        p.body_len = BODY_LEN - 50;
        sign_part(net, &p);
        p.author = author;
        store16_be(p.bytes, author);
        memcpy(sum, held.bytes, sizeof sum);
        for (size_t k = 0; k < p.len; k++)
            sum[k] ^= p.bytes[k];
        struct frame_mixed mixed[] = { name_of(&held), name_of(&p) };
        sum[1] ^= rows[i].harm == SUM_AUTHOR;
        sum[3] ^= rows[i].harm == SUM_KIND ? RECORD_DAMAGE ^ RECORD_KIND_MAX : 0;
        sum[p.len - 1] ^= rows[i].harm == SUM_SIGNATURE;
        sum[held.len - 1] ^= rows[i].harm == SUM_TAIL;
        mixed[1].seq += rows[i].harm == OTHER_NUMBER;
        mixed[1].log += rows[i].harm == OTHER_LOG ? LANE_COUNT : 0;
        struct mesh_stats before = stats(net);
        uint32_t rows_before = net_row_count(&net->nodes[SELF - 1].rows);
        say(net, &(struct says){ .sender = 5, .mixed = mixed, .mixed_count = 2, .sum = sum });
        if (stats(net).rx[rows[i].want] != before.rx[rows[i].want] + 1)
            fail_msg("%s: no %s", rows[i].name, mesh_verdict_name(rows[i].want));
        assert_int_equal(stats(net).mixes_kept, 0);
        assert_int_equal(net_row_count(&net->nodes[SELF - 1].rows),
                         rows_before + (rows[i].want == MESH_RX_NEW));
    }
    net_free(net);
}

/* Of a number with two contents the sender of a mix may hold the other one. */
static void test_mix_with_a_fork_is_found_out_or_comes_to_nothing(void **state)
{
    struct net *net = islands(1, 0);
    struct part ours = { .author = 2, .seq = 1, .kind = RECORD_DAMAGE, .body_len = 60, .fill = 1 };
    struct part same_len = ours, longer = ours;
    struct part lacked = report(net, 3, 1, PRIORITY_DAMAGE), held = report(net, 4, 1, 0);
    (void)state;
    same_len.fill = 2;
    longer.body_len++;
    sign_part(net, &ours);
    sign_part(net, &same_len);
    sign_part(net, &longer);
    bring(net, 2, &ours);
    bring(net, 4, &held);
    bring_two(net, &same_len, &lacked);
    assert_int_equal(stats(net).rx[MESH_RX_BADSIG], 1);
    bring_two(net, &longer, &lacked);
    assert_int_equal(stats(net).mixes_kept, 1);
    assert_int_equal(stats(net).rx[MESH_RX_FORK], 0);
    bring_two(net, &longer, &held);
    assert_int_equal(stats(net).rx[MESH_RX_FORK], 1);
    assert_int_equal(net_row_count(&net->nodes[SELF - 1].forks), 1);
    assert_false(holds(net, SELF - 1, &lacked));
    bring(net, 3, &lacked);
    assert_true(holds(net, SELF - 1, &lacked));
    assert_int_equal(net_row_count(&net->nodes[SELF - 1].rows), 3);
    net_free(net);
}

/* A store that does not give back what it took: counted, and the mix comes to nothing. */
static void test_mix_survives_a_store_that_cannot_read(void **state)
{
    struct net *net = islands(1, 0);
    struct part held = report(net, 2, 1, PRIORITY_DAMAGE), lacked = report(net, 3, 1, 0);
    struct record_ref ref = { .author = 2, .seq = 1 };
    (void)state;
    bring(net, 2, &held);
    const struct net_row *found = net_find(&net->nodes[SELF - 1].rows, &ref);
    struct net_row *row = &net->nodes[SELF - 1].rows.row[found - net->nodes[SELF - 1].rows.row];
    row->ref.lane = LANE_COUNT - 1;
    bring_two(net, &held, &lacked);
    assert_int_equal(stats(net).load_failed, 1);
    assert_false(holds(net, SELF - 1, &lacked));
    row->ref.lane = 0;
    bring_two(net, &held, &lacked);
    assert_true(holds(net, SELF - 1, &lacked));
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mix_serves_two_neighbours_with_one_frame),
        cmocka_unit_test(test_mix_takes_nothing_urgent),
        cmocka_unit_test(test_mix_leaves_nobody_waiting),
        cmocka_unit_test(test_mix_in_vain_ends_in_the_record_itself),
        cmocka_unit_test(test_mix_fits_every_length_of_frame),
        cmocka_unit_test(test_mix_waits_for_either_of_two),
        cmocka_unit_test(test_mix_opens_mix),
        cmocka_unit_test(test_mix_pool_keeps_the_newest),
        cmocka_unit_test(test_mix_gives_what_comes_out_its_verdict),
        cmocka_unit_test(test_mix_with_a_fork_is_found_out_or_comes_to_nothing),
        cmocka_unit_test(test_mix_survives_a_store_that_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
