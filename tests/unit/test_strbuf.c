/* A buffer with a sink: all of it arrives in order, however long, and a full disk is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/strbuf.h"

enum { NUMBER_COUNT = 2000000 };

static void test_strbuf_hands_any_length_to_its_sink(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    struct strbuf b = { .sink = file };
    strbuf_put(&b, "[");
    for (int i = 0; i < NUMBER_COUNT; i++) {
        strbuf_put_comma(&b);
        strbuf_putf(&b, "%d", i);
        assert_true(b.len < STRBUF_SINK_LEN);
    }
    strbuf_put(&b, "]");
    assert_true(strbuf_flush(&b));
    assert_true(ftell(file) > STRBUF_LEN_MAX);
    rewind(file);
    for (int i = 0; i < NUMBER_COUNT; i++) {
        int number = -1;
        assert_int_equal(fgetc(file), i == 0 ? '[' : ',');
        assert_int_equal(fscanf(file, "%d", &number), 1);
        assert_int_equal(number, i);
    }
    assert_int_equal(fgetc(file), ']');
    assert_int_equal(fgetc(file), EOF);
    strbuf_free(&b);
    fclose(file);
}

static void test_strbuf_says_that_its_sink_is_full(void **state)
{
    (void)state;
    FILE *file = fopen("/dev/full", "we");
    assert_non_null(file);
    struct strbuf b = { .sink = file };
    for (int i = 0; i < 2 * STRBUF_SINK_LEN; i++)
        strbuf_put(&b, "x");
    assert_true(b.failed);
    assert_false(strbuf_flush(&b));
    strbuf_free(&b);
    fclose(file);
}

static void test_strbuf_replaces_what_is_no_character(void **state)
{
    static const struct { const char *text, *want; } CASES[] = {
        { "Nà Lẹng <b>", "Nà Lẹng <b>" }, { "a\xff" "b", "a\uFFFDb" },
        { "\xef\xbf\xbe", "\uFFFD\uFFFD\uFFFD" }, { "\xe1\xba", "\uFFFD\uFFFD" },
        { "\xc0\x80", "\uFFFD\uFFFD" }, { "\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct strbuf b = { .text = NULL };
        strbuf_put_utf8(&b, CASES[i].text);
        assert_string_equal(b.text, CASES[i].want);
        strbuf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strbuf_hands_any_length_to_its_sink),
        cmocka_unit_test(test_strbuf_says_that_its_sink_is_full),
        cmocka_unit_test(test_strbuf_replaces_what_is_no_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
