/* The flood must agree with the peer's simulator before anything is compared with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

enum { SEED_COUNT = 3, TEXT_LEN = 128 };

static struct measure *flood(struct scenario *s, uint64_t seed, uint32_t hops)
{
    const struct sim_options options = { .seed = seed, .hops = hops };
    return sim_run(s, &options);
}

static struct scenario *load(const char *path)
{
    char text[SCENARIO_TEXT_LEN] = "";
    struct scenario *s = scenario_load(path, text);
    if (!s)
        fail_msg("%s", text);
    return s;
}

static void test_sim_flood_agrees_with_the_peer(void **state)
{
    (void)state;
    char line[TEXT_LEN];
    uint32_t count = 0;
    FILE *f = fopen("tests/bench/sync-baseline.csv", "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f)); /* the names of the columns */
    while (fgets(line, sizeof line, f)) {
        char name[TEXT_LEN], path[2 * TEXT_LEN];
        unsigned hops;
        double reach, frames, got_reach = 0, got_frames = 0;
        int fields = sscanf(line, "%100[^,],flood:%u,%lf,%lf", name, &hops, &reach, &frames);
        assert_int_equal(fields, 4);
        (void)snprintf(path, sizeof path, "seeds/scenarios/%s.json", name);
        struct scenario *s = load(path);
        for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
            struct measure_result r;
            struct measure *m = flood(s, seed, hops);
            measure_result(m, &r);
            got_reach += r.all_delivery / SEED_COUNT;
            got_frames += r.frames_per_report / SEED_COUNT;
            measure_free(m);
        }
        scenario_free(s);
        if (fabs(got_reach - reach) > 0.05 || fabs(got_frames / frames - 1) > 0.20)
            fail_msg("%s flood:%u reached %.3f with %.1f frames; the peer %.3f with %.1f", name,
                     hops, got_reach, got_frames, reach, frames);
        count++;
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(count, 4);
}

/* On eight in a line, whose ends are seven hops apart. */
static void test_sim_flood_stops_at_its_hop_limit(void **state)
{
    (void)state;
    for (uint32_t hops = 1; hops < SIM_HOPS_MAX; hops++) {
        struct scenario *s = load("seeds/scenarios/line8.json");
        struct measure *m = flood(s, 1, hops);
        bool at_limit = false;
        for (uint32_t i = 0; i < s->report_count; i++)
            for (uint32_t k = 0; k < s->node_count; k++) {
                /* Fading lets a link of two steps through now and then: count arrivals by steps
                 * of the line only where each step was heard. */
                uint32_t from = s->reports[i].node, far = k > from ? k - from : from - k;
                if (far == hops + 1 && measure_holds(m, i, k))
                    at_limit = true;
                if (far > 2 * (hops + 1))
                    assert_false(measure_holds(m, i, k));
            }
        assert_true(at_limit);
        measure_free(m);
        scenario_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_flood_agrees_with_the_peer),
        cmocka_unit_test(test_sim_flood_stops_at_its_hop_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
