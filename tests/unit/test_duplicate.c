/* What speaks for two reports telling of the same, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/duplicate.h"
#include "gateway/words.h"

enum { MINUTE_MS = 60000 };

static void test_duplicate_gives_its_reasons(void **state)
{
    (void)state;
    static const struct report plain = { .figure_count = 1, .figures = { { 20, 3 } } };
    static const struct report none = { .figure_count = 1, .figures = { { 20, 0 } } };
    static const struct report more = { .figure_count = 2, .figures = { { 20, 3 }, { 22, 5 } } };
    static const struct report less = { .figure_count = 2, .figures = { { 20, 3 }, { 22, 4 } } };
    static const struct report here = { .lat_e5 = 2211400, .lon_e5 = 10598300 };
    static const struct report near = { .lat_e5 = 2211500, .lon_e5 = 10598500 };
    static const struct report far = { .lat_e5 = 2211400, .lon_e5 = 10598700 };
    static const struct report said = { .text = "Nước lên nhanh ở suối Nà Lẹng, cần xuồng" };
    static const struct report typed = { .text = "nuoc len nhanh, o suoi na leng" };
    static const struct report other = { .text = "Sạt đường vào bản" };
    static const struct report drill = { .figure_count = 1, .figures = { { 20, 3 } },
                                         .drill = true };
    static const struct {
        const char *name;
        const struct report *a, *b;
        uint8_t kind_a, kind_b;
        uint16_t author_b;
        uint32_t village_b;
        int64_t apart_min;
        unsigned want;
    } CASES[] = {
        { "figure", &plain, &more, 1, 1, 13, 3, 60, DUPLICATE_FIGURES },
        { "one figure differs", &more, &less, 1, 1, 13, 3, 60, 0 },
        { "both say none", &none, &none, 1, 1, 13, 3, 60, 0 },
        { "same author", &plain, &plain, 1, 1, 12, 3, 60, 0 },
        { "other village", &plain, &plain, 1, 1, 13, 4, 60, 0 },
        { "other kind", &plain, &plain, 1, 2, 13, 3, 60, 0 },
        { "a drill and not", &plain, &drill, 1, 1, 13, 3, 60, 0 },
        { "a day later", &plain, &plain, 1, 1, 13, 3, 24 * 60, 0 },
        { "near", &here, &near, 1, 1, 13, 3, 60, DUPLICATE_PLACE },
        { "half a kilometre", &here, &far, 1, 1, 13, 3, 60, 0 },
        { "one without a place", &here, &plain, 1, 1, 13, 3, 60, 0 },
        { "words, without diacritics", &said, &typed, 7, 7, 13, 3, 60, DUPLICATE_WORDS },
        { "other words", &said, &other, 7, 7, 13, 3, 60, 0 },
        { "rescue at once", &here, &other, 4, 4, 13, 3, -20, DUPLICATE_SOON },
        { "rescue later", &here, &other, 4, 4, 13, 3, 40, 0 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct duplicate_report a = { 12, CASES[i].kind_a, 3, 1000 * (int64_t)MINUTE_MS,
                                      CASES[i].a };
        struct duplicate_report b = { CASES[i].author_b, CASES[i].kind_b, CASES[i].village_b,
                                      (1000 + CASES[i].apart_min) * MINUTE_MS, CASES[i].b };
        if (duplicate_reasons(&a, &b) != CASES[i].want ||
            duplicate_reasons(&b, &a) != CASES[i].want)
            fail_msg("%s: %u", CASES[i].name, duplicate_reasons(&a, &b));
    }
}

static void test_words_are_folded_for_searching(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } CASES[] = {
        { "", "" },
        { "  Nước lên\n NHANH!  ", "nuoc len nhanh" },
        { "Đường 100% _sạt_", "duong 100 sat" },
        { "a\\b'c\"d", "a b c d" },
        { "xã\xff" "hỏng", "" }, /* ill-formed: not to be found, and no harm */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct strbuf words = { .text = NULL };
        words_fold(CASES[i].text, &words);
        assert_string_equal(words.text ? words.text : "", CASES[i].want);
        strbuf_free(&words);
    }
    char longest[400];
    struct strbuf words = { .text = NULL };
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    words_fold(longest, &words);
    assert_in_range(words.len, 1, 95);
    strbuf_free(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duplicate_gives_its_reasons),
        cmocka_unit_test(test_words_are_folded_for_searching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
