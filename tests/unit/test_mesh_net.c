/* Many cores on one air: everything must reach everyone, whatever happens on the way. */
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
#define HOUR_US (60 * MINUTE_US)

enum { SEED_COUNT = 20, BODY_LEN = 86, LOSS_20_PPM = 200000 };

static int32_t loss[NET_NODE_COUNT_MAX * NET_NODE_COUNT_MAX];

/* More seeds than in every run: KENG_SEEDS=1000. */
static uint64_t seed_count(uint64_t usual)
{
    const char *text = getenv("KENG_SEEDS");
    return text ? strtoull(text, NULL, 10) : usual;
}

static void must(struct net *net, uint64_t seed, bool good, const char *what)
{
    if (good && !net->breach)
        return;
    net_print(net, stderr);
    fail_msg("seed %llu: %s", (unsigned long long)seed, net->breach ? net->breach : what);
}

static void line(uint32_t node_count, uint64_t seed, struct net_config *c)
{
    *c = net_config_default(node_count, seed);
    net_line(node_count, loss);
    c->loss_db_x100 = loss;

}

/* count reports from any node that is up, one about every gap_us. */
static void talk(struct net *net, uint32_t count, uint64_t gap_us)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = (uint32_t)net_random_below(net, net->cfg.node_count);
        uint8_t priority = (uint8_t)net_random_below(net, PRIORITY_COUNT);
        net_order(net, node, RECORD_DAMAGE, priority, BODY_LEN);
        net_run(net, net->now_us + net_random_below(net, 2 * gap_us));
    }
}

static void finish(struct net *net, uint64_t seed, uint64_t within_us)
{
    uint64_t from_us = net->now_us;
    bool complete = net_run_complete(net, net->now_us + within_us);
    if (getenv("KENG_VERBOSE"))
        print_message("# seed %llu: complete after %.1f s, %llu frames %llu bytes\n",
                      (unsigned long long)seed, (double)(net->now_us - from_us) / 1e6,
                      (unsigned long long)net->frames, (unsigned long long)net->frame_bytes);
    must(net, seed, complete, "something is missing");
    net_free(net);
}

static void line_of(uint32_t node_count, uint32_t loss_ppm)
{
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(node_count, seed, &c);
        c.faults.frame_loss_ppm = loss_ppm;
        struct net *net = net_new(&c);
        talk(net, 20, 20 * SECOND_US);
        finish(net, seed, HOUR_US);
    }
}

static void test_mesh_net_line_of_4(void **state)
{
    (void)state;
    line_of(4, 0);
}

static void test_mesh_net_line_of_4_with_loss(void **state)
{
    (void)state;
    line_of(4, LOSS_20_PPM);
}

static void test_mesh_net_line_of_8_with_loss(void **state)
{
    (void)state;
    line_of(8, LOSS_20_PPM);
}

/* Ten that all hear each other: the medium is one, and collisions are the danger. */
static void test_mesh_net_dense_10(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c = net_config_default(10, seed);
        net_dense(10, seed, loss);
        c.loss_db_x100 = loss;
        c.faults.frame_loss_ppm = 100000;
        struct net *net = net_new(&c);
        talk(net, 30, 5 * SECOND_US);
        finish(net, seed, HOUR_US);
    }
}

static void test_mesh_net_random_16(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT / 2); seed++) {
        struct net_config c = net_config_default(16, seed);
        net_random(16, seed, loss);
        c.loss_db_x100 = loss;
        c.faults.frame_loss_ppm = 100000;
        struct net *net = net_new(&c);
        talk(net, 20, 10 * SECOND_US);
        finish(net, seed, HOUR_US);
    }
}

/* Two halves write for an hour without hearing each other; one link joins them again. */
static void test_mesh_net_partition_heals(void **state)
{
    (void)state;
    static const uint8_t side[] = { 1, 1, 1, 2, 2, 2 };
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        struct air_cut cut = { 0, NET_START_US + HOUR_US, side };
        line(6, seed, &c);
        c.cuts = &cut;
        c.cut_count = 1;
        c.faults.frame_loss_ppm = 100000;
        struct net *net = net_new(&c);
        talk(net, 30, MINUTE_US);
        net_run(net, NET_START_US + HOUR_US);
        must(net, seed, !net_complete(net), "the cut did not cut");
        finish(net, seed, HOUR_US);
    }
}

/* A relay lost between two halves that each agree within must not sleep under their agreement. */
static void test_mesh_net_agreed_halves_mend_a_lost_relay(void **state)
{
    (void)state;
    static const uint8_t side[] = { 1, 1, 1, 2, 2, 2 };
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        struct air_cut cut = { NET_START_US + HOUR_US, NET_START_US + HOUR_US + MINUTE_US, side };
        line(6, seed, &c);
        c.cuts = &cut;
        c.cut_count = 1;
        struct net *net = net_new(&c);
        talk(net, 20, 20 * SECOND_US);
        net_run(net, cut.from_us);
        must(net, seed, net_complete(net), "not even before the cut");
        net_order(net, 0, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
        net_run(net, cut.to_us);
        must(net, seed, !net_complete(net), "the cut did not cut");
        finish(net, seed, 25 * MINUTE_US);
    }
}

static void test_mesh_net_node_off_and_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(4, seed, &c);
        c.faults.frame_loss_ppm = 100000;
        struct net *net = net_new(&c);
        talk(net, 6, 10 * SECOND_US);
        net_stop(net, 2);
        talk(net, 12, 10 * SECOND_US);
        net_run(net, net->now_us + 2 * HOUR_US);
        net_start(net, 2);
        finish(net, seed, HOUR_US);
    }
}

/* A new memory card: the node must get its own records back before it counts on. */
static void test_mesh_net_store_lost_uses_no_number_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(4, seed, &c);
        c.faults.frame_loss_ppm = 100000;
        struct net *net = net_new(&c);
        for (int i = 0; i < 12; i++)
            net_order(net, 1, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
        must(net, seed, net_run_complete(net, net->now_us + HOUR_US), "not even before the loss");
        bool numbers_too = seed % 2;
        net_stop(net, 1);
        net_forget(net, 1, numbers_too);
        net_start(net, 1);
        /* Where the note of used numbers went too, the first record to come back is the warning. */
        while (!net->breach && numbers_too && net->nodes[1].rows.count == 0)
            net_run(net, net->now_us + SECOND_US);
        net_order(net, 1, RECORD_RESCUE, PRIORITY_RESCUE, BODY_LEN);
        net_run(net, net->now_us + 1);
        must(net, seed, net->nodes[1].last_err == MESH_EBEHIND || net_complete(net),
             "an order was taken too early");
        finish(net, seed, HOUR_US);
    }
}

/* A newcomer among helpers who cannot hear each other must not always be answered in one breath. */
static void test_mesh_net_hidden_helpers_do_not_collide_for_ever(void **state)
{
    enum { LEAVES = 6 };
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c = net_config_default(LEAVES + 1, seed);
        for (uint32_t i = 0; i < (LEAVES + 1) * (LEAVES + 1); i++)
            loss[i] = AIR_NO_LINK;
        for (uint32_t i = 1; i <= LEAVES; i++)
            loss[i] = loss[i * (LEAVES + 1)] = 10500;
        c.loss_db_x100 = loss;
        struct net *net = net_new(&c);
        net_order(net, 1, RECORD_RESCUE, PRIORITY_RESCUE, BODY_LEN);
        must(net, seed, net_run_complete(net, net->now_us + HOUR_US), "not even from one leaf");
        net_stop(net, 0);
        net_forget(net, 0, true);
        net_run(net, net->now_us + HOUR_US / 2);
        net_start(net, 0);
        finish(net, seed, 10 * MINUTE_US);
    }
}

static void test_mesh_net_crash_storm(void **state)
{
    (void)state;
    uint32_t crashes = 0;
    for (uint64_t seed = 1; seed <= seed_count(2 * SEED_COUNT); seed++) {
        struct net_config c;
        line(5, seed, &c);
        c.gateway = 4;
        c.faults = (struct net_faults){ .frame_loss_ppm = 100000, .crash_ppm = 15000,
                                        .store_fail_ppm = 20000, .duplicate_ppm = 50000 };
        struct net *net = net_new(&c);
        talk(net, 25, 20 * SECOND_US);
        net->cfg.faults.crash_ppm = net->cfg.faults.store_fail_ppm = 0;
        for (int i = 0; i < 5; i++)
            crashes += net->nodes[i].crashes;
        finish(net, seed, HOUR_US);
    }
    assert_true(crashes > 5 * seed_count(2 * SEED_COUNT));
}

static void test_mesh_net_store_fails_at_nth_write(void **state)
{
    (void)state;
    for (uint32_t nth = 1; nth <= 40; nth++) {
        struct net_config c;
        line(3, nth, &c);
        c.gateway = 2;
        struct net *net = net_new(&c);
        for (int i = 0; i < 3; i++)
            net->nodes[i].store_fail_at = nth;
        talk(net, 6, 20 * SECOND_US);
        finish(net, nth, HOUR_US);
    }
}

static void test_mesh_net_stores_fail_often(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(4, seed, &c);
        c.gateway = 3;
        c.faults.store_fail_ppm = 200000;
        struct net *net = net_new(&c);
        talk(net, 15, 20 * SECOND_US);
        finish(net, seed, 2 * HOUR_US);
    }
}

static void test_mesh_net_late_joiner_gets_300_records(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(3); seed++) {
        struct net_config c = net_config_default(5, seed);
        net_dense(4, seed, loss);
        net_dense(5, seed, loss);
        c.loss_db_x100 = loss;
        c.faults.frame_loss_ppm = 100000;
        struct net *net = net_new(&c);
        net_stop(net, 4);
        for (int i = 0; i < 300; i++)
            net_order(net, (uint32_t)i % 4, RECORD_DAMAGE, (uint8_t)(i % PRIORITY_COUNT), BODY_LEN);
        must(net, seed, net_run_complete(net, net->now_us + 3 * HOUR_US), "the four alone failed");
        uint64_t before = net->frame_bytes;
        if (getenv("KENG_VERBOSE"))
            net_print(net, stderr);
        net_start(net, 4);
        must(net, seed, net_run_complete(net, net->now_us + HOUR_US), "the joiner lacks records");
        must(net, seed, net->frame_bytes - before < 3ull * 300 * (BODY_LEN + 72),
             "the joiner was told everything three times");
        net_free(net);
    }
}

static void test_mesh_net_authors_learn_of_acknowledgement(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(5, seed, &c);
        c.gateway = 4;
        c.faults.frame_loss_ppm = LOSS_20_PPM;
        struct net *net = net_new(&c);
        talk(net, 20, 20 * SECOND_US);
        uint64_t until_us = net->now_us + HOUR_US;
        while (!net->breach && net->now_us < until_us && !net_acknowledged(net))
            net_run(net, net->now_us + SECOND_US);
        must(net, seed, net_acknowledged(net), "an author was never told");
        finish(net, seed, HOUR_US);
    }
}

static uint32_t acks_made(const struct net *net)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < net->truth.count; i++)
        count += net->truth.row[i].ref.lane != 0;
    return count;
}

/* A gateway at both ends. */
static struct net *line_of_two_gateways(uint64_t seed, uint32_t loss_ppm, uint32_t crash_ppm)
{
    static const uint8_t gateways[] = { 1, 0, 0, 0, 0, 0, 1 };
    struct net_config c;
    line(sizeof gateways, seed, &c);
    c.gateways = gateways;
    c.faults.frame_loss_ppm = loss_ppm;
    c.faults.crash_ppm = crash_ppm;
    return net_new(&c);
}

static void test_mesh_net_one_gateway_speaks_for_a_record(void **state)
{
    (void)state;
    uint64_t acks = 0, seeds = seed_count(SEED_COUNT);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct net *net = line_of_two_gateways(seed, 0, 0);
        for (uint32_t node = 1; node <= 5; node += 4) {
            net_order(net, node, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
            net_run(net, net->now_us + HOUR_US);
        }
        must(net, seed, net_acknowledged(net), "an author was never told");
        acks += acks_made(net);
        finish(net, seed, HOUR_US);
    }
    /* Two records each; the slower gateway is only seldom the first to speak. */
    assert_in_range(acks, 2 * seeds, 2 * seeds + seeds / 3);
}

/* What gateways leave to each other must not get lost between them, whoever forgets what. */
static void test_mesh_net_gateways_share_the_authors(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net *net = line_of_two_gateways(seed, LOSS_20_PPM, 100);
        talk(net, 30, 20 * SECOND_US);
        uint64_t until_us = net->now_us + 2 * HOUR_US;
        while (!net->breach && net->now_us < until_us &&
               !(net_acknowledged(net) && net_complete(net)))
            net_run(net, net->now_us + SECOND_US);
        must(net, seed, net_acknowledged(net) && net_complete(net), "an author was never told");
        for (uint32_t i = 0; i < net->cfg.node_count; i++) {
            net_stop(net, i);
            net_start(net, i);
        }
        must(net, seed, net_acknowledged(net), "what gateways said was superseded away");
        finish(net, seed, HOUR_US);
    }
}

/* One percent is enforced by a check after every frame; here it must not stop anything for good. */
static void test_mesh_net_one_percent_is_enough(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT / 2); seed++) {
        struct net_config c;
        line(6, seed, &c);
        c.lora = net_lora(9);
        c.gateway = 5;
        c.duty_node_e4 = 100;
        c.duty_gateway_e4 = 1000;
        c.faults = (struct net_faults){ .frame_loss_ppm = 100000, .crash_ppm = 200 };
        struct net *net = net_new(&c);
        talk(net, 60, 10 * SECOND_US);
        finish(net, seed, 12 * HOUR_US);
    }
}

/* Garbage, foreign frames, replays, and members' tags around forged records. */
static void attack(struct net *net, uint32_t node)
{
    uint8_t frame[FRAME_LEN_MAX], record[RECORD_LEN_MAX];
    size_t len = 1 + (size_t)net_random_below(net, FRAME_LEN_MAX);
    for (size_t i = 0; i < len; i++)
        frame[i] = (uint8_t)net_random_below(net, 256);
    if (net_random_below(net, 2) && len > FRAME_HEADER_LEN) {
        frame[0] = (uint8_t)(KENG_PROTOCOL_VERSION << 5 | (frame[0] & 7));
        net_tag(net, 0, frame, len);
    }
    net_inject(net, node, frame, len);

    uint32_t who = (uint32_t)net_random_below(net, net->cfg.node_count);
    const struct net_rows *rows = &net->nodes[who].rows;
    if (rows->count == 0)
        return;
    const struct net_row *row = &rows->row[net_random_below(net, rows->count)];
    struct frame_builder b;
    memcpy(record, row->bytes, row->len);
    if (net_random_below(net, 3))
        record[net_random_below(net, row->len)] ^= (uint8_t)(1 + net_random_below(net, 255));
    frame_begin(&b, frame, sizeof frame, (uint16_t)(1 + who), (uint32_t)net->rng, 0);
    frame_add_record(&b, record, row->len);
    len = frame_finish(&b);
    if (net_random_below(net, 4))
        net_tag(net, 0, frame, len);
    net_inject(net, node, frame, len);
}

static void test_mesh_net_forged_and_garbled_change_nothing(void **state)
{
    uint64_t counts[MESH_RX_COUNT] = { 0 };
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(4, seed, &c);
        c.gateway = 3;
        c.faults = (struct net_faults){ .bit_flip_ppm = 100000, .duplicate_ppm = 100000,
                                        .frame_loss_ppm = 50000 };
        struct net *net = net_new(&c);
        for (int i = 0; i < 15; i++) {
            talk(net, 1, 20 * SECOND_US);
            for (uint32_t k = 0; k < 4 && !net->breach; k++)
                attack(net, k);
        }
        must(net, seed, net_run_complete(net, net->now_us + 2 * HOUR_US), "something is missing");
        for (uint32_t i = 0; i < net->truth.count; i++)
            must(net, seed, net->truth.row[i].own, "a forged record was stored");
        for (int v = 0; v < MESH_RX_COUNT; v++)
            for (uint32_t i = 0; i < 4; i++)
                counts[v] += net_rx(net, i, (enum mesh_verdict)v);
        net_free(net);
    }
    static const enum mesh_verdict wanted[] = {
        MESH_RX_FOREIGN, MESH_RX_MALFORMED, MESH_RX_VERSION, MESH_RX_BADSIG, MESH_RX_ECHO,
        MESH_RX_UNKNOWN_AUTHOR, MESH_RX_DUPLICATE,
    };
    for (size_t v = 0; v < sizeof wanted / sizeof wanted[0]; v++)
        if (counts[wanted[v]] == 0)
            fail_msg("verdict '%s' was never given", mesh_verdict_name(wanted[v]));
}

static void test_mesh_net_unknown_author_until_enrolled(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(4, seed, &c);
        c.gateway = 3;
        struct net *net = net_new(&c);
        net_stop(net, 0);
        net->nodes[0].hidden = true;
        for (uint32_t i = 1; i < 4; i++) {
            net_stop(net, i);
            net_start(net, i); /* with a roster that lacks the first */
        }
        net_start(net, 0);
        talk(net, 12, 20 * SECOND_US);
        net_order(net, 0, RECORD_RESCUE, PRIORITY_RESCUE, BODY_LEN);
        net_run(net, net->now_us + 10 * MINUTE_US);
        must(net, seed, net_rx(net, 1, MESH_RX_UNKNOWN_AUTHOR) > 0 && !net_complete(net),
             "the unknown author was believed");
        net_enrol(net, 0);
        finish(net, seed, HOUR_US);
    }
}

static void test_mesh_net_fork_is_kept_as_evidence(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(3); seed++) {
        struct net_config c;
        line(3, seed, &c);
        c.real_crypto = true;
        struct net *net = net_new(&c);
        talk(net, 6, 10 * SECOND_US);
        net_order(net, 0, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
        must(net, seed, net_run_complete(net, net->now_us + HOUR_US), "something is missing");
        static const uint8_t body[] = "another first report";
        struct record_draft d = { .ref = { .author = 1, .seq = 1 }, .kind = RECORD_SAFE,
                                  .body = body, .body_len = sizeof body };
        uint8_t record[RECORD_LEN_MAX], frame[FRAME_LEN_MAX];
        size_t len = net_sign(net, &d, record);
        struct frame_builder b;
        frame_begin(&b, frame, sizeof frame, 77, 0, 0);
        frame_add_record(&b, record, len);
        len = frame_finish(&b);
        net_tag(net, 0, frame, len);
        net_inject(net, 1, frame, len);
        net_inject(net, 1, frame, len);
        must(net, seed, net_rx(net, 1, MESH_RX_FORK) == 2, "the fork was not seen");
        must(net, seed, net->nodes[1].forks.count == 1, "its evidence is not kept once");
        finish(net, seed, HOUR_US);
    }
}

/* Only the newest of a superseding lane is kept, and all agree on it. */
static void test_mesh_net_superseding_lanes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= seed_count(SEED_COUNT); seed++) {
        struct net_config c;
        line(4, seed, &c);
        c.faults.frame_loss_ppm = LOSS_20_PPM;
        struct net *net = net_new(&c);
        for (int i = 0; i < 20; i++) {
            net_order(net, (uint32_t)i % 2, (uint8_t)(RECORD_ACK_LAST + 1 + i % 3),
                      PRIORITY_ROUTINE, 20);
            net_run(net, net->now_us + net_random_below(net, 20 * SECOND_US));
        }
        /* Who asks in vain asks less and less: three lost requests take most of an hour. */
        must(net, seed, net_run_complete(net, net->now_us + 2 * HOUR_US),
             "not all hold the newest");
        for (uint32_t i = 0; i < 4; i++)
            must(net, seed, net_row_count(&net->nodes[i].rows) == 6, "an older one was kept");
        net_free(net);
    }
}

/* Digests of two runs must agree bit for bit: the whole run hangs on the seed alone. */
static void test_mesh_net_same_seed_same_run(void **state)
{
    (void)state;
    uint64_t digest[2], steps[2];
    for (int run = 0; run < 2; run++) {
        struct net_config c;
        line(5, 4242, &c);
        c.gateway = 4;
        c.faults = (struct net_faults){ .frame_loss_ppm = 100000, .crash_ppm = 1000,
                                        .store_fail_ppm = 20000, .bit_flip_ppm = 20000 };
        struct net *net = net_new(&c);
        talk(net, 20, 20 * SECOND_US);
        net->cfg.faults.crash_ppm = 0;
        net_run(net, net->now_us + HOUR_US);
        must(net, 4242, net_complete(net), "something is missing");
        steps[run] = net->steps;
        digest[run] = mesh_digest(net->nodes[2].mesh);
        net_free(net);
    }
    assert_int_equal(steps[0], steps[1]);
    assert_int_equal(digest[0], digest[1]);
}

/* What it costs: bytes on air for twenty reports along a line of four, mean over the seeds. */
static uint64_t mean_bytes(uint32_t node_count, uint32_t loss_ppm, uint32_t reports, bool gateway)
{
    uint64_t bytes = 0, record_bytes = 0, frames = 0, sent = 0, late_us = 0;
    uint64_t count = seed_count(SEED_COUNT);
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct net_config c = net_config_default(node_count, seed);
        if (node_count == 4)
            net_line(node_count, loss);
        else
            net_random(node_count, seed, loss);
        c.loss_db_x100 = loss;
        c.gateway = gateway ? node_count - 1 : node_count;
        c.faults.frame_loss_ppm = loss_ppm;
        struct net *net = net_new(&c);
        talk(net, reports, 20 * SECOND_US);
        uint64_t from_us = net->now_us;
        must(net, seed, net_run_complete(net, net->now_us + 2 * HOUR_US), "something is missing");
        late_us += net->now_us - from_us;
        bytes += net->frame_bytes;
        record_bytes += net->record_bytes;
        frames += net->frames;
        sent += net->records_sent;
        net_free(net);
    }
    print_message("# %u nodes%s, %u %% loss, %u reports: %llu bytes on air, %llu %% control, "
                  "%.2f frames and %.2f sends of a record for each report, complete after %.0f s\n",
                  node_count, gateway ? " with acknowledgements" : "",
                  loss_ppm / 10000, reports, (unsigned long long)(bytes / count),
                  (unsigned long long)(100 - 100 * record_bytes / bytes),
                  (double)frames / (double)(count * reports),
                  (double)sent / (double)(count * reports),
                  (double)late_us / 1e6 / (double)count);
    return bytes / count;
}

static void in_sync(struct net *net, uint32_t a, uint32_t b)
{
    struct mesh_stats one, other;
    mesh_stats(net->nodes[a].mesh, &one);
    mesh_stats(net->nodes[b].mesh, &other);
    must(net, 1, one.digest == other.digest && one.records_held == other.records_held,
         "two that hold the same look different");
}

/* Some took in what a thief wrote before the root took his number back.  Those who come later
 * refuse it: it must be neither offered to them nor a difference for ever. */
static void test_mesh_net_what_the_root_took_back_is_left_in_peace(void **state)
{
    enum { KEEPER, THIEF, LATE, COUNT };
    (void)state;
    struct net_config c = net_config_default(COUNT, 1);
    for (int i = 0; i < COUNT * COUNT; i++)
        loss[i] = 10000;
    c.loss_db_x100 = loss;
    struct net *net = net_new(&c);
    net_run(net, net->now_us + MINUTE_US);
    net_stop(net, LATE);
    for (int i = 0; i < 8; i++)
        net_order(net, THIEF, RECORD_DAMAGE, PRIORITY_DAMAGE, 60);
    net_run(net, net->now_us + HOUR_US);
    must(net, 1, net_row_count(&net->nodes[KEEPER].rows) == 8, "the keeper holds all");
    net_stop(net, THIEF);
    net_revoke(net, THIEF, 4);
    net_start(net, LATE);
    net_run(net, net->now_us + HOUR_US);
    must(net, 1, net_row_count(&net->nodes[LATE].rows) == 4, "who comes late lacks good records");
    for (int round = 0; round < 2; round++) {
        uint64_t frames = net->frames, records = net->records_sent;
        in_sync(net, KEEPER, LATE);
        net_run(net, net->now_us + 4 * HOUR_US);
        must(net, 1, net->frames - frames <= 40, "frames as if something was missing");
        must(net, 1, net->records_sent == records, "records that nobody takes");
        must(net, 1, net_rx(net, LATE, MESH_RX_REVOKED) == 0, "refused");
        net_stop(net, KEEPER); /* its rows are there still, and stay out of the core */
        net_start(net, KEEPER);
        net_run(net, net->now_us + HOUR_US);
    }
    must(net, 1, net_row_count(&net->nodes[KEEPER].rows) == 8, "evidence is kept");
    /* The root thinks better of two of them. */
    net_revoke(net, THIEF, 6);
    net_stop(net, KEEPER);
    net_start(net, KEEPER);
    net_run(net, net->now_us + HOUR_US);
    must(net, 1, net_row_count(&net->nodes[LATE].rows) == 6, "what counts again comes again");
    in_sync(net, KEEPER, LATE);
    net_free(net);
}

static void test_mesh_net_line_of_4_costs_few_bytes(void **state)
{
    (void)state;
    assert_in_range(mean_bytes(4, 0, 20, false), 0, 12000);
    assert_in_range(mean_bytes(4, LOSS_20_PPM, 20, false), 0, 16000);
    mean_bytes(4, 0, 20, true);
    mean_bytes(4, LOSS_20_PPM, 20, true);
    mean_bytes(30, 0, 20, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh_net_line_of_4),
        cmocka_unit_test(test_mesh_net_line_of_4_with_loss),
        cmocka_unit_test(test_mesh_net_line_of_8_with_loss),
        cmocka_unit_test(test_mesh_net_dense_10),
        cmocka_unit_test(test_mesh_net_random_16),
        cmocka_unit_test(test_mesh_net_partition_heals),
        cmocka_unit_test(test_mesh_net_agreed_halves_mend_a_lost_relay),
        cmocka_unit_test(test_mesh_net_node_off_and_back),
        cmocka_unit_test(test_mesh_net_store_lost_uses_no_number_twice),
        cmocka_unit_test(test_mesh_net_hidden_helpers_do_not_collide_for_ever),
        cmocka_unit_test(test_mesh_net_crash_storm),
        cmocka_unit_test(test_mesh_net_store_fails_at_nth_write),
        cmocka_unit_test(test_mesh_net_stores_fail_often),
        cmocka_unit_test(test_mesh_net_late_joiner_gets_300_records),
        cmocka_unit_test(test_mesh_net_authors_learn_of_acknowledgement),
        cmocka_unit_test(test_mesh_net_one_gateway_speaks_for_a_record),
        cmocka_unit_test(test_mesh_net_gateways_share_the_authors),
        cmocka_unit_test(test_mesh_net_one_percent_is_enough),
        cmocka_unit_test(test_mesh_net_forged_and_garbled_change_nothing),
        cmocka_unit_test(test_mesh_net_unknown_author_until_enrolled),
        cmocka_unit_test(test_mesh_net_fork_is_kept_as_evidence),
        cmocka_unit_test(test_mesh_net_superseding_lanes),
        cmocka_unit_test(test_mesh_net_what_the_root_took_back_is_left_in_peace),
        cmocka_unit_test(test_mesh_net_same_seed_same_run),
        cmocka_unit_test(test_mesh_net_line_of_4_costs_few_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
