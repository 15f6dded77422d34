/* The simulator: same seed, same bytes; figures by other means; kept seeds stay mended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/chance.h"
#include "tests/sim/sim.h"
#include "tests/sim/svg.h"

enum { LINE_LEN_MAX = 512, CRASH_PPM = 3000, STORM_SEED_COUNT = 6 };

static const char line8[] = "seeds/scenarios/line8.json";
static const char small_storm[] = "seeds/sim/small-storm.json";

static struct scenario *load(const char *path)
{
    char text[SCENARIO_TEXT_LEN] = "";
    struct scenario *s = scenario_load(path, text);
    if (!s)
        fail_msg("%s", text);
    return s;
}

/* What keng-sim prints; the caller frees it. */
static char *printed(const char *path, const struct sim_options *options, bool compact)
{
    struct scenario *s = load(path);
    struct measure *m = sim_run(s, options);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    measure_print(m, compact, out);
    assert_int_equal(fclose(out), 0);
    measure_free(m);
    scenario_free(s);
    return text;
}

static void no_violation(const struct measure *m, const char *path)
{
    if (m->violation_count > 0)
        fail_msg("%s seed %llu: %s", path, (unsigned long long)m->seed, m->violations[0]);
}

static void test_sim_same_seed_same_bytes(void **state)
{
    (void)state;
    static const struct sim_options cases[] = {
        { .seed = 5 }, { .seed = 5, .crash_ppm = CRASH_PPM }, { .seed = 5, .hops = 3 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *a = printed(small_storm, &cases[i], true), *b = printed(small_storm, &cases[i], true);
        struct sim_options other = cases[i];
        other.seed = 6;
        char *c = printed(small_storm, &other, true);
        assert_string_equal(a, b);
        assert_string_not_equal(strstr(a, "\"digest\""), strstr(c, "\"digest\""));
        free(a);
        free(b);
        free(c);
    }
}

static void test_sim_prints_the_stated_keys_and_no_others(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "name", "seed", "protocol", "reports", "digest", "gateway_delivery", "all_delivery",
        "author_knows", "latency_gateway_s", "latency_all_s", "frames", "bytes_on_air", "airtime_s",
        "frames_per_report", "airtime_per_report_s", "duty_mean", "duty_max", "collided",
        "half_duplex_lost", "below_sensitivity", "violations" };
    const struct sim_options options = { .seed = 1 };
    for (int compact = 0; compact < 2; compact++) {
        char *text = printed(line8, &options, compact);
        json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        assert_int_equal(json_object_size(root), sizeof keys / sizeof keys[0]);
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            if (!json_object_get(root, keys[i]))
                fail_msg("no %s", keys[i]);
        json_t *any = json_object_get(json_object_get(root, "latency_gateway_s"), "any");
        assert_true(json_is_real(json_object_get(any, "p50")));
        assert_int_equal(!!strchr(text, '\n'), 1);
        assert_int_equal(strchr(text, '\n') == text + strlen(text) - 1, compact);
        json_decref(root);
        free(text);
    }
}

/* The largest share by trying windows in small steps, and at every edge. */
static double slow_duty(const struct measure *m, uint32_t node, uint64_t until_us, uint64_t step_us)
{
    const struct measure_node *n = &m->nodes[node];
    uint64_t window_us = m->s->duty_window_us, most_us = 0;
    for (uint64_t from_us = 0; from_us < until_us; from_us += step_us) {
        uint64_t sum_us = 0;
        for (uint32_t i = 0; i < n->send_count; i++) {
            uint64_t a = n->sends[i].start_us, b = n->sends[i].end_us;
            a = a < from_us ? from_us : a;
            b = b > from_us + window_us ? from_us + window_us : b;
            sum_us += b > a ? b - a : 0;
        }
        most_us = sum_us > most_us ? sum_us : most_us;
    }
    return (double)most_us / (double)window_us;
}

static void test_sim_duty_is_the_largest_of_all_windows(void **state)
{
    (void)state;
    enum { STEP_US = 100, WINDOW_US = 60000, FRAME_COUNT = 30 };
    struct scenario *s = load(line8);
    s->duty_window_us = WINDOW_US;
    for (uint32_t seed = 0; seed < 50; seed++) {
        struct measure *m = measure_new(s, seed, "keng", NULL);
        struct chance c = chance_new(seed, CHANCE_WORK, 0);
        uint64_t at_us = 0;
        for (int i = 0; i < FRAME_COUNT; i++) {
            at_us += chance_below(&c, 200) * STEP_US;
            uint64_t end_us = at_us + (1 + chance_below(&c, 80)) * STEP_US;
            measure_sent(m, 0, at_us, end_us, (const uint8_t *)"x", 1);
            at_us = end_us;
        }
        double slow = slow_duty(m, 0, at_us, STEP_US);
        assert_true(fabs(measure_duty_max(m, 0) - slow) < 1e-9);
        measure_free(m);
    }
    scenario_free(s);
}

static void test_sim_counts_by_hand(void **state)
{
    (void)state;
    struct scenario *s = load("seeds/scenarios/line4.json"); /* node 0 is the gateway */
    struct measure *m = measure_new(s, 1, "keng", NULL);
    struct measure_result r;
    uint32_t of_three = 0, of_zero = 0;
    while (s->reports[of_three].node != 3)
        of_three++;
    while (s->reports[of_zero].node != 0)
        of_zero++;
    measure_filed(m, 1000000, of_three);
    measure_filed(m, 1000000, of_zero);
    measure_held(m, 2000000, of_three, 2, 3);
    measure_held(m, 5000000, of_three, 0, MEASURE_NO_NODE);
    measure_known(m, of_three);
    measure_result(m, &r);
    assert_int_equal(r.report_count, 2);
    assert_true(fabs(r.gateway_delivery - 1.0) < 1e-9); /* the gateway's own is there already */
    assert_true(fabs(r.all_delivery - 2.0 / 6) < 1e-9);
    assert_true(fabs(r.author_knows - 0.5) < 1e-9);
    assert_true(fabs(r.latency_gateway[PRIORITY_COUNT].max - 4.0) < 1e-9);
    assert_false(r.latency_all[PRIORITY_COUNT].any);
    assert_int_equal(m->carried[3 * 4 + 2], 1);
    assert_int_equal(m->violation_count, 0);
    measure_held(m, 6000000, of_three, 2, 3);
    assert_int_equal(m->violation_count, 1);
    assert_non_null(strstr(m->violations[0], "twice"));
    measure_free(m);
    scenario_free(s);
}

/* Power cuts, a cut between the sides, failing stores, flipped bits, four rogues at once. */
static void test_sim_storm_breaks_no_invariant(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= STORM_SEED_COUNT; seed++)
        for (uint32_t crash_ppm = 0; crash_ppm <= CRASH_PPM; crash_ppm += CRASH_PPM) {
            struct scenario *s = load(small_storm);
            const struct sim_options options = { .seed = seed, .crash_ppm = crash_ppm };
            struct measure *m = sim_run(s, &options);
            struct measure_result r;
            measure_result(m, &r);
            no_violation(m, small_storm);
            assert_true(r.report_count > 10);
            assert_true(r.gateway_delivery > 0.5);
            assert_true(m->air.flipped > 0 && m->air.duplicated > 0 && m->air.dropped > 0);
            measure_free(m);
            scenario_free(s);
        }
}

static void test_sim_real_signatures_change_nothing_but_bytes(void **state)
{
    (void)state;
    struct scenario *s = load("seeds/scenarios/line4.json");
    const struct sim_options options = { .seed = 1, .real_crypto = true };
    struct measure *m = sim_run(s, &options);
    struct measure_result r;
    measure_result(m, &r);
    no_violation(m, "line4");
    assert_true(r.all_delivery > 1 - 1e-9 && r.author_knows > 1 - 1e-9);
    measure_free(m);
    scenario_free(s);
}

/* Two communes within hearing of each other: the air is one, all else is apart. */
static const char two_communes[] =
    "{\"name\":\"two\",\"duration_s\":1800,\"radio\":{\"freq_hz\":920250000,\"sf\":9,"
    "\"bw_hz\":125000,\"cr\":5,\"preamble_symbols\":8,\"tx_eirp_dbm\":16,\"mtu_bytes\":255},"
    "\"sensitivity_dbm\":-129.5,\"capture_db\":6,\"cca\":{\"busy_dbm\":-132.5,\"miss\":0.05},"
    "\"duty\":{\"window_s\":3600,\"node_fraction\":0.01,\"gateway_fraction\":0.1},"
    "\"propagation\":{\"model\":\"log-distance\",\"ref_m\":1,\"ref_loss_db\":31.7,"
    "\"exponent\":3.2,\"shadow_sigma_db\":2,\"fading_sigma_db\":2},\"nodes\":["
    "{\"kind\":\"gateway\",\"x_m\":0,\"y_m\":0,\"commune\":3},"
    "{\"kind\":\"village\",\"x_m\":300,\"y_m\":0,\"commune\":3},"
    "{\"kind\":\"village\",\"x_m\":300,\"y_m\":300},"
    "{\"kind\":\"gateway\",\"x_m\":0,\"y_m\":300},"
    "{\"kind\":\"handheld\",\"x_m\":150,\"y_m\":150}],"
    "\"reports\":[{\"t_s\":60,\"node\":1,\"priority\":\"rescue\",\"body_bytes\":40},"
    "{\"t_s\":90,\"node\":2,\"priority\":\"damage\",\"body_bytes\":40},"
    "{\"t_s\":90,\"node\":4,\"priority\":\"damage\",\"body_bytes\":40}],"
    "\"faults\":{\"rogue\":[{\"node\":1,\"kind\":\"forge\",\"per_hour\":600}]}}";

static void test_sim_communes_share_the_air_and_nothing_else(void **state)
{
    (void)state;
    static const uint32_t hops[] = { 0, 3 };
    for (size_t i = 0; i < sizeof hops / sizeof hops[0]; i++) {
        char text[SCENARIO_TEXT_LEN], *dump = NULL;
        size_t dump_len = 0;
        FILE *out = open_memstream(&dump, &dump_len);
        struct scenario *s = scenario_parse("two", two_communes, strlen(two_communes), text);
        const struct sim_options options = { .seed = 1, .hops = hops[i], .dump = out,
                                             .dump_node = 2 };
        struct measure_result r;
        assert_true(s && out);
        struct measure *m = sim_run(s, &options);
        measure_result(m, &r);
        assert_int_equal(fclose(out), 0);
        no_violation(m, "two communes");
        assert_true(r.gateway_delivery > 1 - 1e-9 && r.all_delivery > 1 - 1e-9);
        for (uint32_t node = 0; node < s->node_count; node++)
            for (uint32_t k = 0; k < s->report_count; k++)
                assert_int_equal(measure_holds(m, k, node), s->nodes[node].commune ==
                                 s->nodes[s->reports[k].node].commune);
        if (hops[i] == 0) {
            assert_true(r.author_knows > 1 - 1e-9 && r.core_memory_bytes > 0);
            assert_non_null(strstr(dump, "heard foreign"));
            assert_null(strstr(dump, "heard foreign: 0\n"));
            /* The rogue is a member of the other commune: his forgeries never get as far here. */
            assert_non_null(strstr(dump, "heard bad-signature: 0\n"));
        }
        free(dump);
        measure_free(m);
        scenario_free(s);
    }
}

static void test_sim_kept_seeds_stay_mended(void **state)
{
    (void)state;
    char line[LINE_LEN_MAX], path[LINE_LEN_MAX];
    FILE *f = fopen("seeds/sim/failed.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        unsigned long long seed;
        unsigned crash_ppm;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (sscanf(line, "%500s %llu %u", path, &seed, &crash_ppm) != 3)
            fail_msg("seeds/sim/failed.txt: cannot be read: %s", line);
        struct scenario *s = load(path);
        const struct sim_options options = { .seed = seed, .crash_ppm = crash_ppm };
        struct measure *m = sim_run(s, &options);
        no_violation(m, path);
        measure_free(m);
        scenario_free(s);
    }
    assert_int_equal(fclose(f), 0);
}

/* Every element is closed in its turn and every number is one. */
static void well_formed(const char *svg)
{
    char open[8][16];
    uint32_t depth = 0;
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    for (const char *at = strchr(svg, '<'); at; at = strchr(at + 1, '<')) {
        const char *end = strchr(at, '>');
        size_t len = strcspn(at + 1 + (at[1] == '/'), " >/");
        assert_non_null(end);
        assert_true(len < sizeof open[0]);
        if (at[1] == '/') {
            assert_true(depth > 0);
            depth--;
            assert_memory_equal(open[depth], at + 2, len);
        } else if (end[-1] != '/') {
            assert_true(depth < 8);
            memcpy(open[depth++], at + 1, len);
        }
    }
    assert_int_equal(depth, 0);
}

static void test_sim_picture_is_well_formed(void **state)
{
    (void)state;
    static const char *const paths[] = { small_storm, line8, "seeds/scenarios/line4.json" };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct scenario *s = load(paths[i]);
        const struct sim_options options = { .seed = 1 };
        struct measure *m = sim_run(s, &options);
        uint8_t *links = calloc((size_t)s->node_count * s->node_count, 1);
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        assert_true(links && out && scenario_links(s, 1, links));
        svg_draw(m, links, out);
        assert_int_equal(fclose(out), 0);
        well_formed(text);
        assert_non_null(strstr(text, "reports reached the commune"));
        free(text);
        free(links);
        measure_free(m);
        scenario_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_same_seed_same_bytes),
        cmocka_unit_test(test_sim_prints_the_stated_keys_and_no_others),
        cmocka_unit_test(test_sim_duty_is_the_largest_of_all_windows),
        cmocka_unit_test(test_sim_counts_by_hand),
        cmocka_unit_test(test_sim_storm_breaks_no_invariant),
        cmocka_unit_test(test_sim_real_signatures_change_nothing_but_bytes),
        cmocka_unit_test(test_sim_communes_share_the_air_and_nothing_else),
        cmocka_unit_test(test_sim_kept_seeds_stay_mended),
        cmocka_unit_test(test_sim_picture_is_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
