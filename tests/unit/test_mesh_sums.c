/* Sums of holdings: what a node makes of a neighbour's, by the frames it then sends.
 *
 * One real node that holds a few records, one neighbour whose frames are put into its ear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "tests/support/net.h"

enum { SELF = 1, PEER = 2, AUTHOR = 3, NODE_COUNT = 4, HELD_COUNT = 6, BODY_LEN = 20 };
#define SECOND_US 1000000ull
#define MINUTE_US (60 * SECOND_US)
#define AT_ONCE_US (15 * SECOND_US) /* before the difference that nobody mends is told whole */

static struct {
    bool record[HELD_COUNT + 2]; /* by number, of AUTHOR's log */
    bool asked, whole;
    uint32_t asked_held;
    size_t frame_count;
} sent;

static void on_sent(void *ctx, const struct net_node *n, uint64_t start_us, uint64_t end_us)
{
    struct frame_view v;
    struct frame_entry e;
    struct record_view r;
    const uint8_t *bytes;
    size_t len;
    (void)ctx;
    (void)start_us;
    (void)end_us;
    assert_int_equal(frame_decode(n->tx.bytes, n->tx.len, &v), FRAME_OK);
    sent.frame_count++;
    sent.whole = sent.whole || ((v.flags & FRAME_FLAG_WHOLE) && v.sum_count == 0);
    while (frame_next_entry(&v, &e))
        if (e.log == AUTHOR * LANE_COUNT) {
            sent.asked = true;
            sent.asked_held = e.held;
        }
    while (frame_next_record(&v, &bytes, &len))
        if (record_decode(bytes, len, &r) == RECORD_OK && r.ref.author == AUTHOR)
            sent.record[r.ref.seq] = true;
}

/* PROTOCOL.md, 5.2. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static uint64_t name(uint32_t author, uint32_t seq)
{
    return mix((uint64_t)author * LANE_COUNT << 32 | seq);
}

static uint64_t sum_to(uint32_t seq)
{
    uint64_t sum = 0;
    for (uint32_t i = 1; i <= seq; i++)
        sum += name(AUTHOR, i);
    return sum;
}

static uint8_t frame_count;

static void say(struct net *net, uint64_t digest_sum, bool with_sum, uint32_t record_seq)
{
    static const uint8_t body[BODY_LEN] = "a roof has gone";
    struct frame_link link = { .node = SELF, .quality = FRAME_QUALITY_MAX };
    struct frame_sum sum = { .to = FRAME_LOG_MAX, .sum = digest_sum };
    uint8_t frame[FRAME_LEN_MAX], record[RECORD_LEN_MAX];
    struct frame_builder b;
    frame_begin(&b, frame, sizeof frame, PEER, (uint32_t)mix(digest_sum + PEER) & 0xffffff,
                ++frame_count);
    assert_true(frame_add_links(&b, &link, 1, sizeof frame));
    if (with_sum)
        assert_true(frame_add_sums(&b, &sum, 1));
    if (record_seq > 0) {
        struct record_draft d = { .ref = { .author = AUTHOR, .seq = record_seq },
                                  .kind = RECORD_DAMAGE, .priority = PRIORITY_DAMAGE,
                                  .body = body, .body_len = sizeof body };
        assert_true(frame_add_record(&b, record, net_sign(net, &d, record)));
    }
    size_t len = frame_finish(&b);
    net_tag(net, 0, frame, len);
    assert_int_equal(net_inject(net, SELF - 1, frame, len), MESH_RX_FRAME);
}

static void run_for(struct net *net, uint64_t us)
{
    if (!net_run(net, net->now_us + us))
        fail_msg("%s", net->breach);
}

/* A node that holds 1 … HELD_COUNT, in sync with its neighbour, long after the last news. */
static struct net *settled(void)
{
    int32_t loss[NODE_COUNT * NODE_COUNT];
    for (size_t i = 0; i < sizeof loss / sizeof loss[0]; i++)
        loss[i] = AIR_NO_LINK;
    struct net_config c = net_config_default(NODE_COUNT, 1);
    c.loss_db_x100 = loss;
    c.watch.sent = on_sent;
    struct net *net = net_new(&c);
    for (uint32_t i = 1; i < NODE_COUNT; i++)
        net_stop(net, i);
    for (uint32_t seq = 1; seq <= HELD_COUNT; seq++)
        say(net, sum_to(HELD_COUNT), false, seq);
    run_for(net, 20 * MINUTE_US);
    say(net, sum_to(HELD_COUNT), false, 0);
    run_for(net, MINUTE_US);
    memset(&sent, 0, sizeof sent);
    return net;
}

static void test_sums_name_the_one_record_the_neighbour_lacks(void **state)
{
    (void)state;
    for (uint32_t lacking = 1; lacking <= HELD_COUNT; lacking++) {
        struct net *net = settled();
        say(net, sum_to(HELD_COUNT) - name(AUTHOR, lacking), true, 0);
        run_for(net, AT_ONCE_US);
        for (uint32_t seq = 1; seq <= HELD_COUNT; seq++)
            assert_int_equal(sent.record[seq], seq == lacking);
        assert_false(sent.whole);
        net_free(net);
    }
}

static void test_sums_name_the_one_record_we_lack(void **state)
{
    (void)state;
    struct net *net = settled();
    say(net, sum_to(HELD_COUNT + 1), true, 0);
    run_for(net, AT_ONCE_US);
    assert_true(sent.asked);
    assert_int_equal(sent.asked_held, HELD_COUNT);
    assert_false(sent.whole);
    net_free(net);
}

static void test_sums_that_differ_in_more_are_answered_with_the_whole(void **state)
{
    (void)state;
    struct net *net = settled();
    say(net, sum_to(HELD_COUNT) - name(AUTHOR, 2) - name(AUTHOR, 4), true, 0);
    run_for(net, AT_ONCE_US / 5);
    assert_true(sent.whole);
    for (uint32_t seq = 1; seq <= HELD_COUNT; seq++)
        assert_false(sent.record[seq]);
    net_free(net);
}

/* A name of nobody who is enrolled says nothing: no log is opened, nothing is asked for. */
static void test_sums_of_unknown_authors_open_no_log(void **state)
{
    (void)state;
    struct net *net = settled();
    struct mesh_stats before, after;
    mesh_stats(net->nodes[SELF - 1].mesh, &before);
    for (uint32_t author = 1000; author < 1100; author++)
        say(net, sum_to(HELD_COUNT) + name(author, 1), true, 0);
    mesh_stats(net->nodes[SELF - 1].mesh, &after);
    assert_int_equal(after.logs_held, before.logs_held);
    run_for(net, MINUTE_US);
    assert_in_range(sent.frame_count, 1, 20); /* a hundred questions, a bounded answer */
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_name_the_one_record_the_neighbour_lacks),
        cmocka_unit_test(test_sums_name_the_one_record_we_lack),
        cmocka_unit_test(test_sums_that_differ_in_more_are_answered_with_the_whole),
        cmocka_unit_test(test_sums_of_unknown_authors_open_no_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
