#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/settings.h"

static char dir[64], path[96], text[SETTINGS_TEXT_LEN];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keng-settings-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/kengd.conf", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static int read_text(const char *content, struct settings *out)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    assert_int_equal(fclose(f), 0);
    memset(text, 0, sizeof text);
    return settings_read(path, out, text);
}

static void test_settings_all_keys_are_read(void **state)
{
    (void)state;
    struct settings s;
    assert_int_equal(read_text("# the box at the school\n"
                               "node = 65534\nrole = \"gateway\"\nmodem = \"/dev/serial/by-id/x\"\n"
                               "driver = \"meshcore-kiss\"\nsocket = \"/run/kengd.sock\"\n"
                               "antenna_gain_dbi = -3\ncable_loss_db = 2\n"
                               "amateur_call = \"XV9ABC-7\"\n"
                               "freq_hz = 433920000\nbw_hz = 250000\nsf = 8\n"
                               "record_count_max = 2000\n", &s), 0);
    assert_int_equal(s.node, 65534);
    assert_true(s.gateway);
    assert_string_equal(s.modems[0].port, "/dev/serial/by-id/x");
    assert_string_equal(s.modems[0].driver, "meshcore-kiss");
    assert_string_equal(s.modems[0].amateur_call, "XV9ABC-7");
    assert_string_equal(s.socket, "/run/kengd.sock");
    assert_int_equal(s.modems[0].antenna_gain_dbi, -3);
    assert_int_equal(s.modems[0].cable_loss_db, 2);
    assert_int_equal(s.record_count_max, 2000);
    const struct lora_params commune = { .freq_hz = 921500000, .bw_hz = 125000, .sf = 9, .cr = 5,
                                         .preamble_symbols = 16 };
    struct lora_params lora = settings_lora(&s.modems[0], &commune); /* the rest: the commune's */
    assert_int_equal(lora.freq_hz, 433920000);
    assert_int_equal(lora.bw_hz, 250000);
    assert_int_equal(lora.sf, 8);
    assert_int_equal(lora.cr, 5);
    assert_int_equal(lora.preamble_symbols, 16);
}

static void test_settings_only_the_number_is_needed(void **state)
{
    (void)state;
    struct settings s;
    assert_int_equal(read_text("node = 1", &s), 0);
    assert_false(s.gateway);
    assert_string_equal(s.modems[0].port, "");
    assert_string_equal(s.modems[0].driver, "meshcore-kiss");
    assert_string_equal(s.modems[0].amateur_call, "");
    assert_string_equal(s.socket, "");
    assert_int_equal(s.modems[0].antenna_gain_dbi, 2);
    assert_int_equal(s.record_count_max, 50000);
}

static void test_settings_mistakes_are_one_line_that_says_where(void **state)
{
    (void)state;
    static const struct { const char *content, *want; } cases[] = {
        { "", "node must be from 1" },
        { "node = 0\n", "node must be from 1" },
        { "node = 65535\n", "not 65535" },
        { "node = -1\n", "not -1" },
        { "node = 99999999999999999999\n", "kengd.conf" },
        { "node = 1\nnode_number = 2\n", "kengd.conf:2: no such option 'node_number'" },
        { "node = one\n", "kengd.conf:1: invalid integer value" },
        { "node = 1.5\n", "kengd.conf:1: invalid integer value" },
        { "node = 1\n\nantenna_gain_dbi = \"high\"\n", "kengd.conf:3: invalid integer value" },
        { "node = 1\nantenna_gain_dbi = 31\n", "antenna_gain_dbi must be from -30 to 30" },
        { "node = 1\ncable_loss_db = -1\n", "cable_loss_db must be from 0 to 30" },
        { "node = 1\nrecord_count_max = 10\n", "record_count_max must be from 1000" },
        { "node = 1\nrecord_count_max = 2000000\n", "record_count_max must be from 1000" },
        { "node = 1\nradio A {\n}\n", "letters a-z" },
        { "node = 1\nradio a {\n}\nradio a {\n}\n", "kengd.conf:4: " },
        { "node = 1\nradio a {\n}\nradio b {\n}\nradio c {\n}\nradio d {\n}\n", "at most 3" },
        { "node = 1\nmodem = \"x\"\nradio a {\n}\n", "either modem, or" },
        { "node = 1\nradio a {\n sf = 99\n}\n", "sf must be from 0" },
        { "node = 1\nsf = 13\n", "sf must be from 0 to 12" },
        { "node = 1\nfreq_hz = -1\n", "freq_hz must be from 0" },
        { "node = 1\nrole = \"boss\"\n", "role must be \"village\" or \"gateway\", not \"boss\"" },
        { "node = 1\nmodem = {\"a\", \"b\"}\n", "kengd.conf:2: " },
        { "node 1\n", "kengd.conf:1: " },
        { "node = \n", "kengd.conf" },
        { "node = 1 }\n", "kengd.conf:1: " },
        { "\xff\xfe", "kengd.conf:1: " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings s;
        if (read_text(cases[i].content, &s) != -1)
            fail_msg("accepted: %s", cases[i].content);
        if (!strstr(text, cases[i].want) || !strstr(text, "kengd.conf") || strchr(text, '\n'))
            fail_msg("%s: says \"%s\"", cases[i].content, text);
    }
    struct settings s; /* one mistake is not remembered into the next file */
    assert_int_equal(read_text("node = 1", &s), 0);
}

static void test_settings_texts_have_limits(void **state)
{
    (void)state;
    static const char *const keys[] = { "modem", "driver", "options", "lines", "amateur_call",
                                        "socket" };
    char content[2048], value[1024];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct settings s;
        snprintf(content, sizeof content, "node = 1\n%s = \"%s\"\n", keys[i], value);
        assert_int_equal(read_text(content, &s), -1);
        assert_non_null(strstr(text, keys[i]));
        assert_non_null(strstr(text, "too long"));
    }
    struct settings s; /* a long wrong value does not overrun the line about it */
    snprintf(content, sizeof content, "node = 1\nrole = \"%s\"\n", value);
    assert_int_equal(read_text(content, &s), -1);
    assert_int_equal(strlen(text), SETTINGS_TEXT_LEN - 1);
}

static void test_settings_missing_file_says_what_writes_one(void **state)
{
    (void)state;
    struct settings s;
    assert_int_equal(settings_read(path, &s, text), -1);
    assert_non_null(strstr(text, path));
    assert_non_null(strstr(text, "keng enroll"));
    assert_int_equal(settings_read(dir, &s, text), -1); /* a directory is no file */
    assert_non_null(strstr(text, dir));
}

int main(void)
{
#define SETTINGS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_settings_all_keys_are_read),
        SETTINGS_TEST(test_settings_only_the_number_is_needed),
        SETTINGS_TEST(test_settings_mistakes_are_one_line_that_says_where),
        SETTINGS_TEST(test_settings_texts_have_limits),
        SETTINGS_TEST(test_settings_missing_file_says_what_writes_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
