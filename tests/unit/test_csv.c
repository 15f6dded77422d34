#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/csv.h"

/* Everything read, cells ended with '|', rows with '/', an error as its number. */
static void read_all(const char *input, size_t len, char *out, size_t cap, uint32_t *line_out)
{
    struct csv_reader r = csv_reader(input, len);
    struct csv_row row;
    size_t used = 0;
    int got;

    out[0] = 0;
    while ((got = csv_read_row(&r, &row)) > 0) {
        for (size_t i = 0; i < row.count; i++)
            used += (size_t)snprintf(out + used, cap - used, "%s|", row.cells[i]);
        used += (size_t)snprintf(out + used, cap - used, "/");
        assert_true(used < cap);
    }
    if (got < 0)
        snprintf(out + used, cap - used, "%d", got);
    *line_out = r.line;
}

static void test_csv_reader_follows_rfc_4180(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        size_t len;
        const char *want;
        uint32_t line;
    } cases[] = {
        { "", 0, "", 1 },
        { "a", 1, "a|/", 1 },
        { "a,b\nc,d\n", 8, "a|b|/c|d|/", 3 },
        { "a,b\r\nc,d\r\n", 10, "a|b|/c|d|/", 3 },
        { "\xef\xbb\xbf" "a,b", 6, "a|b|/", 1 },
        { "a,,b,\n", 6, "a||b||/", 2 },
        { "\n\r\na\n\n", 6, "a|/", 5 },
        { "\"a,b\",c", 7, "a,b|c|/", 1 },
        { "\"a\"\"b\"", 6, "a\"b|/", 1 },
        { "\"\"", 2, "|/", 1 },
        { "\"two\nlines\",x\ny", 15, "two\nlines|x|/y|/", 3 },
        { "a\rb", 3, "a\rb|/", 1 },
        { "a\nb\"c", 5, "a|/-1", 2 },
        { "\"a\"b", 4, "-1", 1 },
        { "x\n\"a", 4, "x|/-2", 2 },
        { "\"a\n\nb", 5, "-2", 3 },
        { "a\0b", 3, "-3", 1 },
        { "\"a\0\"", 4, "-3", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[256];
        uint32_t line;
        /* The exact length on the heap, so that a sanitizer sees a read past the end. */
        char *exact = malloc(cases[i].len + 1);
        assert_non_null(exact);
        memcpy(exact, cases[i].input, cases[i].len);
        exact = realloc(exact, cases[i].len > 0 ? cases[i].len : 1);
        assert_non_null(exact);
        read_all(exact, cases[i].len, out, sizeof out, &line);
        free(exact);
        if (strcmp(out, cases[i].want) != 0 || line != cases[i].line)
            fail_msg("case %zu: %s at line %u", i, out, line);
    }
}

static void test_csv_reader_bounds_a_row(void **state)
{
    (void)state;
    static char big[CSV_ROW_LEN_MAX + 2];
    struct csv_row row;
    memset(big, 'x', sizeof big);

    struct csv_reader r = csv_reader(big, CSV_ROW_LEN_MAX - 1);
    assert_int_equal(csv_read_row(&r, &row), 1);
    assert_int_equal(strlen(row.cells[0]), CSV_ROW_LEN_MAX - 1);
    r = csv_reader(big, CSV_ROW_LEN_MAX);
    assert_int_equal(csv_read_row(&r, &row), CSV_ETOOBIG);

    memset(big, ',', sizeof big);
    r = csv_reader(big, CSV_CELL_COUNT_MAX - 1);
    assert_int_equal(csv_read_row(&r, &row), 1);
    assert_int_equal(row.count, CSV_CELL_COUNT_MAX);
    r = csv_reader(big, CSV_CELL_COUNT_MAX);
    assert_int_equal(csv_read_row(&r, &row), CSV_ETOOBIG);
}

static void test_csv_column_is_found_by_name(void **state)
{
    (void)state;
    struct csv_row row;
    struct csv_reader r = csv_reader("number,name,lat", 15);
    assert_int_equal(csv_read_row(&r, &row), 1);
    assert_int_equal(csv_column(&row, "number"), 0);
    assert_int_equal(csv_column(&row, "lat"), 2);
    assert_int_equal(csv_column(&row, "lon"), -1);
}

static void test_csv_writer_disarms_formulas_and_quotes(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } cases[] = {
        { "", "\r\n" },
        { "Nhà sập", "Nhà sập\r\n" },
        { "=1+1", "'=1+1\r\n" },
        { "+84", "'+84\r\n" },
        { "-2", "'-2\r\n" },
        { "@SUM(A1)", "'@SUM(A1)\r\n" },
        { "\t=1", "'\t=1\r\n" },
        { "\r=1", "\"'\r=1\"\r\n" },
        { "=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\"\r\n" },
        { "a=1", "a=1\r\n" },
        { "a,b", "\"a,b\"\r\n" },
        { "a\nb", "\"a\nb\"\r\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[64];
        struct csv_writer w = csv_writer(buf, sizeof buf);
        csv_write_text(&w, cases[i].text, strlen(cases[i].text));
        csv_write_end_row(&w);
        assert_false(w.failed);
        assert_int_equal(w.len, strlen(cases[i].want));
        assert_memory_equal(buf, cases[i].want, w.len);
    }
}

static void test_csv_writer_puts_the_point_in_numbers(void **state)
{
    (void)state;
    static const struct { int64_t value; unsigned decimals; const char *want; } cases[] = {
        { 0, 0, "0" }, { 25, 1, "2.5" }, { 5, 2, "0.05" }, { 0, 2, "0.00" }, { -5, 1, "-0.5" },
        { 999999999999, 6, "999999.999999" }, { INT64_MIN, 0, "-9223372036854775808" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[64];
        struct csv_writer w = csv_writer(buf, sizeof buf);
        csv_write_number(&w, cases[i].value, cases[i].decimals);
        assert_false(w.failed);
        assert_int_equal(w.len, strlen(cases[i].want));
        assert_memory_equal(buf, cases[i].want, w.len);
    }
}

static void test_csv_writer_fails_for_good_when_full(void **state)
{
    (void)state;
    char buf[12];
    struct csv_writer w = csv_writer(buf, 8);
    memset(buf, 'z', sizeof buf);
    csv_write_bom(&w);
    csv_write_text(&w, "abc", 3);
    csv_write_number(&w, 12, 0);
    assert_true(w.failed);
    csv_write_end_row(&w);
    assert_true(w.failed);
    assert_memory_equal(buf + 8, "zzzz", 4);
}

static void test_csv_what_is_written_reads_back(void **state)
{
    (void)state;
    char buf[128], out[128];
    uint32_t line;
    struct csv_writer w = csv_writer(buf, sizeof buf);
    csv_write_bom(&w);
    csv_write_text(&w, "a \"b\", c", 8);
    csv_write_number(&w, 25, 1);
    csv_write_end_row(&w);
    csv_write_text(&w, "", 0);
    csv_write_text(&w, "x\ny", 3);
    csv_write_end_row(&w);
    assert_false(w.failed);
    read_all(buf, w.len, out, sizeof out, &line);
    assert_string_equal(out, "a \"b\", c|2.5|/|x\ny|/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_reader_follows_rfc_4180),
        cmocka_unit_test(test_csv_reader_bounds_a_row),
        cmocka_unit_test(test_csv_column_is_found_by_name),
        cmocka_unit_test(test_csv_writer_disarms_formulas_and_quotes),
        cmocka_unit_test(test_csv_writer_puts_the_point_in_numbers),
        cmocka_unit_test(test_csv_writer_fails_for_good_when_full),
        cmocka_unit_test(test_csv_what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
