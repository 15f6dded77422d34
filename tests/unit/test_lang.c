/* Languages: every text is translated, none carries markup, unknown ones stay English. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/assets.h"
#include "gateway/lang.h"
#include "proto/report.h"

static void test_lang_every_text_is_translated(void **state)
{
    (void)state;
    for (int i = 0; i < LANG_TEXT_COUNT; i++) {
        const char *english = lang_text(LANG_EN, (enum lang_text)i);
        const char *vietnamese = lang_text(LANG_VI, (enum lang_text)i);
        /* What is not found comes back as the very same text. */
        if (vietnamese == english || vietnamese[0] == '\0')
            fail_msg("gateway/po/vi.po does not know: %s", english);
        assert_null(strpbrk(english, "<>&%"));
        assert_null(strpbrk(vietnamese, "<>&%"));
        for (char digit = '1'; digit <= '9'; digit++) {
            const char place[] = { '{', digit, '}', '\0' };
            if (!strstr(english, place) != !strstr(vietnamese, place))
                fail_msg("%s stands in one language only: %s", place, english);
        }
    }
}

static void test_lang_puts_names_and_numbers_in(void **state)
{
    (void)state;
    char words[64];
    assert_string_equal(lang_fill(LANG_EN, LANG_P_COUNTS, words, sizeof words, LANG_WORD("a"),
                                  LANG_NUMBER(UINT64_MAX), LANG_NUMBER(0), LANG_NUMBER(3)),
                        "a: 18446744073709551615 new, 0 duplicate, 3 superseded");
    assert_string_equal(lang_verdict_named(LANG_VI, "bad-signature"), "chữ ký sai");
    assert_string_equal(lang_verdict_named(LANG_VI, "of-tomorrow"), "of-tomorrow");
}

static void test_lang_finds_the_first_and_the_last_of_the_catalogue(void **state)
{
    (void)state;
    assert_string_equal(lang_text(LANG_VI, LANG_ALL_COMMUNES), "Mọi xã");
    assert_string_equal(lang_text(LANG_VI, LANG_WAITING), "chờ xem");
    assert_string_equal(lang_text(LANG_EN, LANG_WAITING), "waiting");
}

static void test_lang_words_for_numbers_of_the_protocol(void **state)
{
    (void)state;
    assert_string_equal(lang_kind(LANG_VI, RECORD_RESCUE), "Cứu nạn");
    assert_null(lang_kind(LANG_VI, RECORD_REVIEW));
    assert_string_equal(lang_review(LANG_EN, REVIEW_MET), "Need met");
    assert_string_equal(lang_priority(LANG_EN, 200), lang_priority(LANG_EN, PRIORITY_ROUTINE));
    assert_string_equal(lang_role(LANG_EN, ROSTER_OPERATOR), "operator");
}

static bool is_text(enum language language, const char *word, size_t len)
{
    for (int i = 0; i < LANG_TEXT_COUNT; i++) {
        const char *text = lang_text(language, (enum lang_text)i);
        if (strlen(text) == len && memcmp(text, word, len) == 0)
            return true;
    }
    return false;
}

/* The guide names buttons and warnings in bold: a text that is changed must change there, too. */
static size_t count_named(enum language language, const char *guide)
{
    size_t count = 0;
    for (const char *at = guide; (at = strstr(at, "<b>")) != NULL; count++) {
        at += strlen("<b>");
        size_t len = strcspn(at, "<");
        if (!is_text(language, at, len))
            fail_msg("the guide names what stands nowhere: %.*s", (int)len, at);
    }
    return count;
}

static void test_lang_the_guide_names_what_is_there(void **state)
{
    (void)state;
    size_t vietnamese = count_named(LANG_VI, asset_guide_vi);
    assert_true(vietnamese > 20);
    assert_int_equal(count_named(LANG_EN, asset_guide_en), vietnamese);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lang_every_text_is_translated),
        cmocka_unit_test(test_lang_puts_names_and_numbers_in),
        cmocka_unit_test(test_lang_finds_the_first_and_the_last_of_the_catalogue),
        cmocka_unit_test(test_lang_words_for_numbers_of_the_protocol),
        cmocka_unit_test(test_lang_the_guide_names_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
