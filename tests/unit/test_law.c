#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hw/law.h"

static char table[8192];
static size_t table_len;
static char text[LAW_TEXT_LEN];

static int read_table(void **state)
{
    (void)state;
    FILE *f = fopen("seeds/catalogue/regions.csv", "r");
    assert_non_null(f);
    table_len = fread(table, 1, sizeof table, f);
    assert_true(table_len > 0 && table_len < sizeof table);
    return fclose(f);
}

static int find(const char *from, size_t len, const char *name, struct region *region_out)
{
    size_t count;
    return law_find(from, len, name, region_out, 1, &count, text);
}

static struct region vn920(void)
{
    struct region r;
    assert_int_equal(find(table, table_len, "VN-920", &r), LAW_OK);
    return r;
}

static struct law_use usual(void)
{
    return (struct law_use){ .lora = { .freq_hz = 921500000, .bw_hz = 125000, .sf = 9, .cr = 5,
                                       .preamble_symbols = 16 },
                             .power_dbm_x100 = 1400, .antenna_gain_dbi_x100 = 215 };
}

static void test_law_of_vietnam_is_as_the_circular_says(void **state)
{
    struct region r = vn920();
    (void)state;
    assert_int_equal(r.lo_hz, 920000000);
    assert_int_equal(r.hi_hz, 923000000);
    assert_int_equal(r.erp_max_dbm_x100, 1400);
    assert_int_equal(r.duty_node, 100);
    assert_int_equal(r.duty_gateway, 1000);
    assert_int_equal(r.window_s, 3600);
    assert_int_equal(find(table, table_len, "VN-433", &r), LAW_OK);
    assert_int_equal(r.hi_hz, 434790000);
    assert_int_equal(find(table, table_len, "XX", &r), LAW_EUNKNOWN);
    assert_non_null(strstr(text, "XX"));
}

static const struct {
    const char *name;
    uint32_t freq_hz, bw_hz;
    int32_t power, gain, loss;
    const char *wrong; /* a word of the text; NULL: lawful */
} uses[] = {
    { "in the middle", 921500000, 125000, 1400, 215, 0, NULL },
    { "at the lower edge", 920062500, 125000, 1400, 215, 0, NULL },
    { "a hertz below", 920062499, 125000, 1400, 215, 0, "920.062499" },
    { "at the upper edge", 922937500, 125000, 1400, 215, 0, NULL },
    { "a hertz above", 922937501, 125000, 1400, 215, 0, "922.937501" },
    { "a known preset on 923.0 MHz", 923000000, 250000, 1400, 215, 0, "923.000000" },
    { "an odd bandwidth is rounded up", 920031250, 62501, 1400, 215, 0, "62501" },
    { "factory: 868.125 MHz", 868125000, 500000, 1400, 215, 0, "868.125" },
    { "factory: 22 dBm", 921500000, 125000, 2200, 215, 0, "at most 14 dBm" },
    { "a good antenna", 921500000, 125000, 1400, 500, 0, "at most 11 dBm" },
    { "a good antenna at the end of a cable", 921500000, 125000, 1400, 500, 300, NULL },
    { "a hundredth too loud", 921500000, 125000, 1401, 215, 0, "14.01 dBm ERP" },
    { "wider than the band", 921500000, 4000000, 1400, 215, 0, "wider" },
};

static void test_law_looks_at_edges_and_power_at_the_antenna(void **state)
{
    struct region r = vn920();
    (void)state;
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        struct law_use use = usual();
        use.lora.freq_hz = uses[i].freq_hz;
        use.lora.bw_hz = uses[i].bw_hz;
        use.power_dbm_x100 = uses[i].power;
        use.antenna_gain_dbi_x100 = uses[i].gain;
        use.cable_loss_db_x100 = uses[i].loss;
        text[0] = '\0';
        int err = law_check(&r, &use, text);
        if (err != (uses[i].wrong ? LAW_EUNLAWFUL : LAW_OK))
            fail_msg("%s: %d, %s", uses[i].name, err, text);
        if (uses[i].wrong && !strstr(text, uses[i].wrong))
            fail_msg("%s: the text is: %s", uses[i].name, text);
    }
}

static void test_law_gives_the_other_bands_of_a_country(void **state)
{
    struct region r[4];
    size_t count;
    (void)state;
    assert_int_equal(law_find(table, table_len, "VN-433", r, 4, &count, text), LAW_OK);
    assert_int_equal(count, 2);
    assert_string_equal(r[0].name, "VN-433");
    assert_string_equal(r[1].name, "VN-920");
    assert_int_equal(law_find(table, table_len, "VN-433", r, 1, &count, text), LAW_OK);
    assert_int_equal(count, 1);
    assert_int_equal(law_find(table, table_len, "TH-920", r, 4, &count, text), LAW_OK);
    assert_int_equal(count, 1);
}

static void test_law_shares_of_time_are_those_of_the_role(void **state)
{
    struct region r = vn920();
    struct law_use use = usual();
    (void)state;
    use.duty_e4 = 100;
    use.window_s = 3600;
    assert_int_equal(law_check(&r, &use, text), LAW_OK);
    use.window_s = 3601; /* one percent of a longer window may be all of an hour's at once */
    assert_int_equal(law_check(&r, &use, text), LAW_EUNLAWFUL);
    use.window_s = 60;
    use.duty_e4 = 101;
    assert_int_equal(law_check(&r, &use, text), LAW_EUNLAWFUL);
    assert_non_null(strstr(text, "a node may use 1.00 %"));
    use.gateway = true;
    use.duty_e4 = 1000;
    assert_int_equal(law_check(&r, &use, text), LAW_OK);
    use.duty_e4 = 1001;
    assert_int_equal(law_check(&r, &use, text), LAW_EUNLAWFUL);
    r.duty_gateway = 10000;
    use.duty_e4 = 10000;
    use.window_s = 86400;
    assert_int_equal(law_check(&r, &use, text), LAW_OK);
}

static void test_law_limits_the_longest_frame_where_it_does(void **state)
{
    struct region r = vn920();
    struct law_use use = usual();
    (void)state;
    r.dwell_ms = 400;
    use.longest_us = 400000;
    assert_int_equal(law_check(&r, &use, text), LAW_OK);
    use.longest_us++;
    assert_int_equal(law_check(&r, &use, text), LAW_EUNLAWFUL);
}

static void test_law_power_is_rounded_down_below_zero_too(void **state)
{
    struct region r = vn920();
    (void)state;
    assert_int_equal(law_power_max_dbm(&r, 215, 0), 14);
    assert_int_equal(law_power_max_dbm(&r, 216, 0), 13);
    assert_int_equal(law_power_max_dbm(&r, 1616, 0), -1);
    assert_int_equal(law_power_max_dbm(&r, 1615, 0), 0);
}

static void test_law_tells_a_broken_line(void **state)
{
    static const char *const broken[] = {
        "A", "A,1,2", ",1,2,3,4,5,6,7", "A,2,1,1400,100,100,3600,0", "A,1,2,x,100,100,3600,0",
        "A,1,2,1400,0,100,3600,0", "A,1,2,1400,10001,100,3600,0", "A,1,2,1400,100,100,0,0",
        "A,1,2,1400,100,100,3600,0,9", "A,1,2,1400,100,100,3600,", "A,1,-2,1400,100,100,3600,0",
        "A,1,99999999999,1400,100,100,3600,0", "a-name-that-is-too-long,1,2,1400,100,100,3600,0",
        "A,1,2,1400,100,100,3600,0\nA,1,2,1400,100,100,3600,0",
    };
    struct region r;
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (find(broken[i], strlen(broken[i]), "A", &r) != LAW_ETABLE)
            fail_msg("taken: %s", broken[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_law_of_vietnam_is_as_the_circular_says),
        cmocka_unit_test(test_law_looks_at_edges_and_power_at_the_antenna),
        cmocka_unit_test(test_law_gives_the_other_bands_of_a_country),
        cmocka_unit_test(test_law_shares_of_time_are_those_of_the_role),
        cmocka_unit_test(test_law_limits_the_longest_frame_where_it_does),
        cmocka_unit_test(test_law_power_is_rounded_down_below_zero_too),
        cmocka_unit_test(test_law_tells_a_broken_line),
    };
    return cmocka_run_group_tests_name("law", tests, read_table, NULL);
}
