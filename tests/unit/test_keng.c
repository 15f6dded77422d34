#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "node/keng_cli.h"
#include "proto/limits.h"

/* ---- texts ---------------------------------------------------------------------------------- */

/* Which of {1}..{9} a template names, as bits. */
static unsigned placeholders(const char *template)
{
    unsigned found = 0;
    for (const char *p = template; (p = strchr(p, '{')) != NULL; p++) {
        if (p[1] >= '1' && p[1] <= '9' && p[2] == '}')
            found |= 1u << (p[1] - '0');
    }
    return found;
}

static void test_keng_texts_say_the_same_in_both_languages(void **state)
{
    (void)state;
    for (enum keng_text_id id = 0; id < TEXT_COUNT; id++) {
        const char *vi = text_get(KENG_VI, id), *en = text_get(KENG_EN, id);
        if (vi == NULL || en == NULL || vi[0] == '\0' || en[0] == '\0' || strchr(vi, '\n') ||
            strchr(en, '\n'))
            fail_msg("text %d is missing or not one line", (int)id);
        if (placeholders(vi) != placeholders(en))
            fail_msg("arguments differ: \"%s\" and \"%s\"", vi, en);
    }
}

static void test_keng_text_fill_puts_arguments_and_cuts_whole(void **state)
{
    (void)state;
    static const struct {
        const char *template, *args[4];
        size_t cap;
        const char *want;
        size_t want_len;
    } cases[] = {
        { "no arguments", { NULL }, 99, "no arguments", 12 },
        { "{2} before {1}", { "a", "b", NULL }, 99, "b before a", 10 },
        { "{1}{1}", { "xy", NULL }, 99, "xyxy", 4 },
        { "{3} {x} {", { "a", NULL }, 99, "{3} {x} {", 9 },
        { "{0} {", { "a", NULL }, 99, "{0} {", 5 },
        { "{1}", { "{1}", NULL }, 99, "{1}", 3 }, /* what a person typed is not a template */
        { "abc", { NULL }, 3, "ab", 3 },
        { "abc", { NULL }, 1, "", 3 },
        { "xế", { NULL }, 4, "x", 4 }, /* ế takes three bytes */
        { "xế", { NULL }, 5, "xế", 4 },
        { "x😀", { NULL }, 5, "x", 5 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[100];
        size_t len = text_fill(cases[i].template, cases[i].args, buf, cases[i].cap);
        if (strcmp(buf, cases[i].want) != 0 || len != cases[i].want_len)
            fail_msg("row %zu: \"%s\", %zu", i, buf, len);
    }
    assert_int_equal(text_fill("{1}", NULL, NULL, 0), 3);
}

struct env { const char *pairs[6]; };

static const char *lookup(void *ctx, const char *name)
{
    const struct env *env = ctx;
    for (size_t i = 0; i + 1 < 6 && env->pairs[i] != NULL; i += 2) {
        if (strcmp(env->pairs[i], name) == 0)
            return env->pairs[i + 1];
    }
    return NULL;
}

static void test_keng_language_follows_the_environment(void **state)
{
    (void)state;
    static const struct { struct env env; enum keng_lang want; } cases[] = {
        { { { NULL } }, KENG_EN },
        { { { "LANG", "vi_VN.UTF-8" } }, KENG_VI },
        { { { "LANG", "vi" } }, KENG_VI },
        { { { "LC_ALL", "C", "LANG", "vi_VN" } }, KENG_VI },
        { { { "LC_MESSAGES", "vi_VN" } }, KENG_VI },
        { { { "LANGUAGE", "en:vi" } }, KENG_VI },
        { { { "LANGUAGE", "vie" } }, KENG_EN },
        { { { "LANG", "en_US.UTF-8" } }, KENG_EN },
        { { { "KENG_LANG", "en", "LANG", "vi_VN" } }, KENG_EN },
        { { { "KENG_LANG", "vi", "LANG", "en_US" } }, KENG_VI },
        { { { "KENG_LANG", "", "LANG", "vi_VN" } }, KENG_VI },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct env env = cases[i].env;
        if (text_lang_find(lookup, &env) != cases[i].want)
            fail_msg("row %zu", i);
    }
}

/* ---- words and numbers that people type ------------------------------------------------------ */

static void test_keng_finds_kinds_and_commands_in_both_languages(void **state)
{
    (void)state;
    static const struct { const char *word; uint8_t want; } kinds[] = {
        { "damage", RECORD_DAMAGE }, { "thiet-hai", RECORD_DAMAGE }, { "thiệt-hại", RECORD_DAMAGE },
        { "Thiet_Hai", RECORD_DAMAGE }, { "thiệt hại", RECORD_DAMAGE },
        { "thie\xcc\xa3t-ha\xcc\xa3i", RECORD_DAMAGE }, /* "thiẹt": a slip in the marks */
        { "CỨU NẠN", RECORD_RESCUE }, { "cứu hộ", RECORD_RESCUE }, { "ĐƯỜNG", RECORD_ACCESS },
        { "thi\xc3\xaa\xcc\xa3t-ha\xcc\xa3i", RECORD_DAMAGE }, /* decomposed marks */
        { "nhu-cau", RECORD_NEEDS }, { "sơ-tán", RECORD_EVACUATION }, { "cuu-nan", RECORD_RESCUE },
        { "đường", RECORD_ACCESS }, { "an-toàn", RECORD_SAFE }, { "ghi-chu", RECORD_NOTE },
        { "", 0 }, { "dam", 0 }, { "damage thiet-hai", 0 }, { "review", 0 }, { "\xff", 0 },
    };
    static const struct { const char *word, *want; } commands[] = {
        { "report", "report" }, { "bao", "report" }, { "báo", "report" }, { "status", "status" },
        { "nạp", "import" }, { "STATUS", "status" },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (keng_kind_find(kinds[i].word) != kinds[i].want)
            fail_msg("kind \"%s\": %u", kinds[i].word, keng_kind_find(kinds[i].word));
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct keng_command *c = keng_command_find(commands[i].word);
        if (c == NULL || strcmp(c->name, commands[i].want) != 0)
            fail_msg("command \"%s\"", commands[i].word);
    }
    assert_null(keng_command_find("repor"));
    assert_null(keng_command_find(""));
}

static void test_keng_numbers_are_whole_and_in_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t min, max;
        bool want;
        uint64_t value;
    } cases[] = {
        { "0", 0, 10, true, 0 }, { "10", 0, 10, true, 10 }, { "11", 0, 10, false, 0 },
        { "1", 2, 10, false, 0 }, { "007", 0, 10, true, 7 }, { "", 0, 10, false, 0 },
        { "-1", 0, 10, false, 0 }, { "+1", 0, 10, false, 0 }, { " 1", 0, 10, false, 0 },
        { "1x", 0, 10, false, 0 }, { "1.0", 0, 10, false, 0 }, { "0x1", 0, 10, false, 0 },
        { "18446744073709551617", 0, UINT64_MAX, false, 0 },
        { "999999999999999999", 0, UINT64_MAX, true, 999999999999999999 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 0;
        bool got = keng_parse_number(cases[i].text, cases[i].min, cases[i].max, &value);
        if (got != cases[i].want || value != cases[i].value)
            fail_msg("\"%s\"", cases[i].text);
    }
}

static void test_keng_decimals_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned decimals;
        bool want;
        int64_t value;
    } cases[] = {
        { "921.5", 6, true, 921500000 }, { "921,5", 6, true, 921500000 },
        { "921", 6, true, 921000000 },
        { "-12.25", 5, true, -1225000 }, { "0.00001", 5, true, 1 }, { "0.000001", 5, false, 0 },
        { "1.", 2, false, 0 }, { ".5", 2, false, 0 }, { "", 2, false, 0 }, { "-", 2, false, 0 },
        { "1.5", 0, false, 0 }, { "16", 0, true, 16 }, { "1e3", 3, false, 0 },
        { "1.2.3", 5, false, 0 },
        { "12345678901234567", 5, false, 0 }, { "1 ", 1, false, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        bool got = keng_parse_decimal(cases[i].text, cases[i].decimals, &value);
        if (got != cases[i].want || value != cases[i].value)
            fail_msg("\"%s\": %lld", cases[i].text, (long long)value);
    }
    assert_string_equal(keng_decimal(921500000, 6).s, "921.5");
    assert_string_equal(keng_decimal(-1225000, 5).s, "-12.25");
    assert_string_equal(keng_decimal(-5, 5).s, "-0.00005");
    assert_string_equal(keng_decimal(0, 5).s, "0");
    assert_string_equal(keng_decimal(125000, 3).s, "125");
    assert_string_equal(keng_decimal(INT64_MIN, 0).s, "-9223372036854775808");
}

/* ---- views ----------------------------------------------------------------------------------- */

static void test_keng_ages_are_told_in_words(void **state)
{
    (void)state;
    static const struct { int64_t age_s; const char *vi, *en; } cases[] = {
        { 0, "vừa xong", "just now" },
        { 59, "vừa xong", "just now" },
        { -120, "vừa xong", "just now" },
        { -121, "đồng hồ lệch", "clocks differ" },
        { 60, "1 phút trước", "1 min ago" },
        { 3599, "59 phút trước", "59 min ago" },
        { 3600, "1 giờ trước", "1 h ago" },
        { 2 * 86400 - 1, "47 giờ trước", "47 h ago" },
        { 2 * 86400, "2 ngày trước", "2 days ago" },
        { INT64_C(400) * 86400, "400 ngày trước", "400 days ago" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[64];
        keng_age(KENG_VI, cases[i].age_s, buf, sizeof buf);
        assert_string_equal(buf, cases[i].vi);
        keng_age(KENG_EN, cases[i].age_s, buf, sizeof buf);
        assert_string_equal(buf, cases[i].en);
    }
}

static void test_keng_clock_is_vietnams(void **state)
{
    (void)state;
    static const struct { int64_t unix_s; const char *want; } cases[] = {
        { KENG_EPOCH_UNIX_S, "07:00 01/01" },
        { KENG_EPOCH_UNIX_S + 17 * 3600 - 1, "23:59 01/01" },
        { KENG_EPOCH_UNIX_S + 17 * 3600, "00:00 02/01" },
        { 1835326800, "12:00 28/02" }, /* 2028, a leap year */
        { 1835326800 + 86400, "12:00 29/02" },
        { 1835326800 + 2 * 86400, "12:00 01/03" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[32];
        keng_clock(cases[i].unix_s, buf, sizeof buf);
        assert_string_equal(buf, cases[i].want);
    }
}

static void test_keng_frame_len_is_that_of_the_protocol(void **state)
{
    (void)state;
    assert_int_equal(keng_frame_len(1, 0), FRAME_HEADER_LEN + 1 + RECORD_LEN_MIN);
    assert_int_equal(keng_frame_len(127, 30), keng_frame_len(1, 30));
    assert_int_equal(keng_frame_len(128, 30), keng_frame_len(1, 30) + 1);
    assert_int_equal(keng_frame_len(RECORD_SEQ_MAX, RECORD_BODY_LEN_MAX), FRAME_LEN_MAX);
}

static void test_keng_states_and_kinds_have_words(void **state)
{
    (void)state;
    static const char *const words[STATE_COUNT] = { "stored", "carried", "received", "read" };
    enum keng_state found;

    for (size_t i = 0; i < STATE_COUNT; i++) {
        assert_true(keng_state_find(words[i], &found));
        assert_int_equal(found, i);
        assert_non_null(keng_state_icon(found));
    }
    assert_false(keng_state_find("failed", &found));
    assert_int_equal(keng_review_text("approved"), TEXT_REVIEW_APPROVED);
    assert_int_equal(keng_review_text("of a later version"), TEXT_REVIEW_SEEN);
    for (uint8_t kind = RECORD_DAMAGE; kind <= RECORD_NOTE; kind++)
        assert_int_not_equal(keng_kind_text(kind), TEXT_KIND_OTHER);
    assert_int_equal(keng_kind_text(RECORD_ACK_FIRST), TEXT_KIND_ACK);
    assert_int_equal(keng_kind_text(9), TEXT_KIND_OTHER);
}

static void test_keng_fingerprint_is_read_in_groups_of_four(void **state)
{
    (void)state;
    uint8_t id[KENG_NETWORK_ID_LEN];
    char text[KENG_FINGERPRINT_LEN];

    for (uint8_t i = 0; i < sizeof id; i++)
        id[i] = i;
    keng_fingerprint(id, text);
    assert_string_equal(text, "0001 0203 0405 0607 0809 0a0b 0c0d 0e0f");
}

/* ---- the command line ------------------------------------------------------------------------ */

static void test_keng_arguments_are_taken_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *argv[8];
        int want;
        const char *command;
        size_t operand_count;
    } cases[] = {
        { { "status" }, KENG_OK, "status", 0 },
        { { "--home", "h", "status", "--json" }, KENG_OK, "status", 0 },
        { { "report", "damage", "a=1" }, KENG_OK, "report", 2 },
        { { "report", "damage", "--", "--json" }, KENG_OK, "report", 2 },
        { { "report", "note", "--text", "--json" }, KENG_OK, "report", 1 }, /* any text */
        { { "report", "note", "--text=-x" }, KENG_OK, "report", 1 },
        { { "report", "--lines", "-", "note" }, KENG_OK, "report", 1 },
        { { "--help" }, KENG_OK, NULL, 0 },
        { { "report", "-h" }, KENG_OK, "report", 0 },
        { { NULL }, KENG_WRONG, NULL, 0 },
        { { "tinh", "trang" }, KENG_OK, "status", 0 }, /* a word of two syllables */
        { { "b\xc3\xa1o", "c\xc3\xa1o", "note" }, KENG_OK, "report", 1 },
        { { "bao", "damage", "--thon", "1", "--thu" }, KENG_OK, "report", 1 },
        { { "bao", "--thon", "1", "--village", "2" }, KENG_WRONG, "report", 0 },
        { { "nonsense" }, KENG_WRONG, NULL, 0 },
        { { "rescue", "trapped=3" }, KENG_WRONG, NULL, 0 }, /* the command is missing */
        { { "status", "extra" }, KENG_WRONG, "status", 1 },
        { { "status", "--text", "x" }, KENG_WRONG, "status", 0 },
        { { "status", "--nonsense" }, KENG_WRONG, "status", 0 },
        { { "status", "-x" }, KENG_WRONG, "status", 0 },
        { { "status", "--json=1" }, KENG_WRONG, "status", 0 },
        { { "status", "--json", "--json" }, KENG_WRONG, "status", 0 },
        { { "report", "note", "--text" }, KENG_WRONG, "report", 1 },
        { { "status", "--lang", "fr" }, KENG_WRONG, NULL, 0 },
        { { "revoke", "--dir", "d", "--number", "3" }, KENG_WRONG, "revoke", 0 },
        { { "revoke", "--dir", "d", "--number", "3", "--after", "7" }, KENG_OK, "revoke", 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct keng k = { .lang = KENG_EN, .client = { .fd = -1 } };
        char copies[8][32], *argv[10] = { copies[7] };
        int argc = 1;
        for (size_t a = 0; a < 7 && cases[i].argv[a] != NULL; a++) {
            strncpy(copies[a], cases[i].argv[a], sizeof copies[a] - 1);
            copies[a][sizeof copies[a] - 1] = '\0';
            argv[argc++] = copies[a];
        }
        int got = keng_parse(&k, argc, argv);
        if (got != cases[i].want || k.operand_count != cases[i].operand_count ||
            (k.command == NULL) != (cases[i].command == NULL) ||
            (k.command != NULL && strcmp(k.command->name, cases[i].command) != 0))
            fail_msg("row %zu: status %d, %zu operands", i, got, k.operand_count);
        keng_free(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keng_texts_say_the_same_in_both_languages),
        cmocka_unit_test(test_keng_text_fill_puts_arguments_and_cuts_whole),
        cmocka_unit_test(test_keng_language_follows_the_environment),
        cmocka_unit_test(test_keng_finds_kinds_and_commands_in_both_languages),
        cmocka_unit_test(test_keng_numbers_are_whole_and_in_bounds),
        cmocka_unit_test(test_keng_decimals_are_exact),
        cmocka_unit_test(test_keng_ages_are_told_in_words),
        cmocka_unit_test(test_keng_clock_is_vietnams),
        cmocka_unit_test(test_keng_frame_len_is_that_of_the_protocol),
        cmocka_unit_test(test_keng_states_and_kinds_have_words),
        cmocka_unit_test(test_keng_fingerprint_is_read_in_groups_of_four),
        cmocka_unit_test(test_keng_arguments_are_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
