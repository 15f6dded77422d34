/* Scenarios: read whole or refused with the file and the key, drawn from the seed alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/scenario.h"

enum { JSON_LEN = 4096 };

static const char base[] =
    "{\"name\":\"t\",\"duration_s\":600,\"radio\":{\"freq_hz\":920250000,\"sf\":9,\"bw_hz\":125000,"
    "\"cr\":5,\"preamble_symbols\":8,\"tx_eirp_dbm\":16,\"mtu_bytes\":255},"
    "\"sensitivity_dbm\":-129.5,\"capture_db\":6,\"cca\":{\"busy_dbm\":-132.5,\"miss\":0.03},"
    "\"duty\":{\"window_s\":3600,\"node_fraction\":0.01,\"gateway_fraction\":0.1},"
    "\"propagation\":{\"model\":\"matrix\",\"loss_db\":[[null,100.25],[101,null]]},"
    "\"nodes\":[{\"kind\":\"gateway\",\"x_m\":0,\"y_m\":0},"
    "{\"kind\":\"handheld\",\"x_m\":1000,\"y_m\":0,\"track\":[[10,1000,0],[20,2000,100]],"
    "\"off\":[[100,200]],\"clock_offset_s\":-5,\"commune\":7}],"
    "\"cuts\":[{\"from_s\":50,\"to_s\":60,\"sides\":[[0],[1]]}],"
    "\"reports\":[{\"t_s\":2.5,\"node\":1,\"priority\":\"rescue\",\"body_bytes\":40},"
    "{\"t_s\":1.25,\"node\":0,\"priority\":\"routine\",\"body_bytes\":1}],"
    "\"faults\":{\"frame_loss\":0.1,\"rogue\":[{\"node\":1,\"kind\":\"forge\",\"per_hour\":60}]}}";

/* The base with the first `from` replaced by `to`. */
static struct scenario *changed(const char *from, const char *to, char text[SCENARIO_TEXT_LEN])
{
    char json[JSON_LEN];
    const char *at = strstr(base, from);
    assert_non_null(at);
    int len = snprintf(json, sizeof json, "%.*s%s%s", (int)(at - base), base, to,
                       at + strlen(from));
    assert_in_range(len, 1, JSON_LEN - 1);
    return scenario_parse("file.json", json, (size_t)len, text);
}

static void test_scenario_reads_every_field(void **state)
{
    (void)state;
    char text[SCENARIO_TEXT_LEN];
    struct scenario *s = scenario_parse("file.json", base, strlen(base), text);
    assert_non_null(s);
    assert_string_equal(s->name, "t");
    assert_int_equal(s->duration_us, 600000000);
    assert_int_equal(s->lora.sf, 9);
    assert_int_equal(s->lora.preamble_symbols, 8);
    assert_int_equal(s->eirp_dbm_x100, 1600);
    assert_int_equal(s->sensitivity_dbm_x100, -12950);
    assert_true(s->has_cca);
    assert_int_equal(s->cca_miss_ppm, 30000);
    assert_int_equal(s->duty_window_us, 3600000000);
    assert_int_equal(s->loss_db_x100[1], 10025);
    assert_int_equal(s->loss_db_x100[2], 10100);
    assert_int_equal(s->loss_db_x100[0], AIR_NO_LINK);
    assert_int_equal(s->nodes[0].kind, SCENARIO_GATEWAY);
    assert_int_equal(s->nodes[1].clock_offset_s, -5);
    assert_int_equal(s->nodes[0].commune, 0);
    assert_int_equal(s->nodes[1].commune, 7);
    assert_int_equal(scenario_commune(s, 7).node_count, 1);
    assert_int_equal(scenario_commune(s, 7).gateway_count, 0);
    assert_int_equal(scenario_commune(s, 0).report_count, 1);
    assert_int_equal(s->nodes[1].off[0].to_us, 200000000);
    assert_int_equal(s->cuts[0].side[1], 2);
    /* Listed in any order, kept in that of time. */
    assert_int_equal(s->report_count, 2);
    assert_int_equal(s->reports[0].at_us, 1250000);
    assert_int_equal(s->reports[1].priority, PRIORITY_RESCUE);
    assert_int_equal(s->rogues[0].kind, ROGUE_FORGE);
    scenario_free(s);
}

static void test_scenario_mistakes_name_file_and_key(void **state)
{
    (void)state;
    static const struct { const char *from, *to, *says; } cases[] = {
        { "\"name\":\"t\",", "", "'name' is missing" },
        { "\"name\":\"t\"", "\"name\":7", "'name'" },
        { "\"duration_s\":600", "\"duration_s\":0", "'duration_s' is 0" },
        { "\"duration_s\":600", "\"duration_s\":\"600\"", "'duration_s' must be a number" },
        { "\"duration_s\":600", "\"duration_s\":600,\"speed\":1", "unknown key 'speed'" },
        { "\"duration_s\":600", "\"duration_s\":600,\"duration_s\":700", "line 1" },
        { "\"sf\":9", "\"sf\":13", "radio: 'sf' is 13" },
        { "\"sf\":9", "\"sf\":9.5", "radio: 'sf' must be a whole number" },
        { "\"sf\":9,", "", "radio: key 'sf' is missing" },
        { "\"cr\":5", "\"cr\":4", "radio: 'cr' is 4" },
        { "\"mtu_bytes\":255", "\"mtu_bytes\":300", "'mtu_bytes'" },
        { "\"capture_db\":6", "\"capture_db\":-1", "'capture_db' is -1" },
        { "\"commune\":7", "\"commune\":-1", "nodes[1]: 'commune' is -1" },
        { "\"commune\":7", "\"commune\":1.5", "nodes[1]: 'commune' must be a whole number" },
        { "\"miss\":0.03", "\"miss\":1.5", "cca: 'miss' is 1.5" },
        { "\"miss\":0.03", "\"mis\":0.03", "cca: unknown key 'mis'" },
        { "\"window_s\":3600", "\"window_s\":90", "'window_s' must be whole minutes" },
        { "\"node_fraction\":0.01", "\"node_fraction\":2", "'node_fraction' is 2" },
        { "\"model\":\"matrix\"", "\"model\":\"magic\"", "'model' is 'magic'" },
        { "\"model\":\"matrix\"", "\"model\":\"log-distance\"", "unknown key 'loss_db'" },
        { "[101,null]", "[101]", "row 1" },
        { "[101,null]", "[\"x\",null]", "loss_db[1][0]" },
        { ",[101,null]", "", "'loss_db' has 1 rows" },
        { "\"kind\":\"gateway\"", "\"kind\":\"tower\"", "nodes[0]: 'kind' is 'tower'" },
        { "\"x_m\":1000,", "", "nodes[1]: key 'x_m' is missing" },
        { "[20,2000,100]", "[10,2000,100]", "nodes[1]: 'track' times must rise" },
        { "[20,2000,100]", "[20,2000]", "nodes[1]: 'track'" },
        { "[[100,200]]", "[[200,100]]", "'off' ends before it begins" },
        { "[[100,200]]", "[[100,200],[150,300]]", "'off' times" },
        { "\"clock_offset_s\":-5", "\"clock\":\"noon\"", "'clock' is 'noon'" },
        { "\"clock_offset_s\":-5", "\"clock\":\"none\",\"clock_offset_s\":1", "'clock' is none" },
        { "[[0],[1]]", "[[0],[2]]", "cuts[0]: 'sides' is 2" },
        { "[[0],[1]]", "[[0],[0]]", "twice" },
        { "\"t_s\":2.5", "\"t_s\":601", "reports[0]: 't_s' is 601" },
        { "\"node\":1,\"pri", "\"node\":2,\"pri", "reports[0]: 'node' is 2" },
        { "\"priority\":\"rescue\"", "\"priority\":\"now\"", "reports[0]: 'priority' is 'now'" },
        { "\"body_bytes\":40", "\"body_bytes\":0", "reports[0]: 'body_bytes' is 0" },
        { "\"reports\":[", "\"workload\":{},\"reports\":[", "exactly one of" },
        { "\"frame_loss\":0.1", "\"frame_loss\":-0.1", "faults: 'frame_loss'" },
        { "\"kind\":\"forge\"", "\"kind\":\"jam\"", "faults.rogue[0]: 'kind' is 'jam'" },
        { "\"per_hour\":60", "\"per_hour\":1e9", "'per_hour'" },
        { "{\"name\"", "[{\"name\"", "line 1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[SCENARIO_TEXT_LEN] = "";
        struct scenario *s = changed(cases[i].from, cases[i].to, text);
        if (s || strncmp(text, "file.json: ", 11) != 0 || !strstr(text, cases[i].says))
            fail_msg("%s -> %s: said \"%s\", not \"%s\"", cases[i].from, cases[i].to, text,
                     cases[i].says);
    }
}

static void test_scenario_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(base); len++) {
        char text[SCENARIO_TEXT_LEN];
        assert_null(scenario_parse("file.json", base, len, text));
    }
}

static void test_scenario_unreadable_file_is_named(void **state)
{
    (void)state;
    char text[SCENARIO_TEXT_LEN];
    assert_null(scenario_load("seeds/scenarios/none.json", text));
    assert_non_null(strstr(text, "seeds/scenarios/none.json"));
}

static void test_scenario_journeys_are_straight(void **state)
{
    (void)state;
    static const struct { uint64_t at_us; int32_t x_m, y_m; } cases[] = {
        { 0, 1000, 0 }, { 10000000, 1000, 0 }, { 15000000, 1500, 50 }, { 19999999, 2000, 100 },
        { 20000000, 2000, 100 }, { 900000000, 2000, 100 },
    };
    char text[SCENARIO_TEXT_LEN];
    struct scenario *s = scenario_parse("file.json", base, strlen(base), text);
    assert_non_null(s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct air_position at = scenario_at(&s->nodes[1], cases[i].at_us);
        assert_int_equal(at.x_m, cases[i].x_m);
        assert_int_equal(at.y_m, cases[i].y_m);
    }
    assert_false(scenario_is_off(&s->nodes[1], 99999999));
    assert_true(scenario_is_off(&s->nodes[1], 100000000));
    assert_false(scenario_is_off(&s->nodes[1], 200000000));
    scenario_free(s);
}

static const char workload[] =
    "\"workload\":{\"per_node_per_hour\":600,\"from_s\":60,\"to_s\":360,\"body_bytes\":[12,60],"
    "\"mix\":{\"rescue\":0.25,\"damage\":0.75}}}";

static struct scenario *with_workload(uint64_t seed)
{
    char json[JSON_LEN], text[SCENARIO_TEXT_LEN];
    int head = (int)(strstr(base, "\"reports\"") - base);
    int len = snprintf(json, sizeof json, "%.*s%s", head, base, workload);
    struct scenario *s = scenario_parse("file.json", json, (size_t)len, text);
    assert_non_null(s);
    scenario_draw(s, seed);
    return s;
}

static void test_scenario_workload_is_drawn_from_the_seed(void **state)
{
    (void)state;
    struct scenario *a = with_workload(7), *b = with_workload(7), *c = with_workload(8);
    assert_int_equal(a->report_count, b->report_count);
    assert_memory_equal(a->reports, b->reports, a->report_count * sizeof *a->reports);
    assert_true(a->report_count != c->report_count ||
                memcmp(a->reports, c->reports, a->report_count * sizeof *a->reports) != 0);
    /* 600 an hour at each of two nodes for five minutes: 100, give or take five sigma. */
    assert_in_range(a->report_count, 50, 150);
    uint32_t rescue = 0;
    for (uint32_t i = 0; i < a->report_count; i++) {
        const struct scenario_report *r = &a->reports[i];
        assert_in_range(r->at_us, 60000000, 360000000);
        assert_in_range(r->body_len, 12, 60);
        assert_true(r->priority == PRIORITY_RESCUE || r->priority == PRIORITY_DAMAGE);
        assert_true(i == 0 || r->at_us >= r[-1].at_us);
        rescue += r->priority == PRIORITY_RESCUE;
    }
    assert_in_range(rescue, a->report_count / 10, a->report_count / 2);
    scenario_free(a);
    scenario_free(b);
    scenario_free(c);
}

/* The prices that the table of benches is held against. */
static void test_scenario_tree_of_the_peers_links(void **state)
{
    (void)state;
    static const struct { const char *path; double tree; } cases[] = {
        { "seeds/scenarios/vn30.json", 5.8 },
        { "seeds/scenarios/vn50.json", 6.6 },
        { "seeds/scenarios/longfast30.json", 9.1 },
    };
    static uint8_t links[50 * 50];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[SCENARIO_TEXT_LEN];
        struct scenario *s = scenario_load(cases[i].path, text);
        assert_non_null(s);
        assert_true((size_t)s->node_count * s->node_count <= sizeof links);
        assert_true(scenario_links(s, 1, links));
        assert_true(fabs(scenario_tree(s, links) - cases[i].tree) < 0.1);
        scenario_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario_reads_every_field),
        cmocka_unit_test(test_scenario_mistakes_name_file_and_key),
        cmocka_unit_test(test_scenario_cut_off_anywhere_is_refused),
        cmocka_unit_test(test_scenario_unreadable_file_is_named),
        cmocka_unit_test(test_scenario_journeys_are_straight),
        cmocka_unit_test(test_scenario_workload_is_drawn_from_the_seed),
        cmocka_unit_test(test_scenario_tree_of_the_peers_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
