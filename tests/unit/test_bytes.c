#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/bytes.h"

static void test_bytes_fixed_integers_are_big_endian(void **state)
{
    uint8_t buf[18];
    static const uint8_t want[18] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                                      0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12 };
    struct bytes_writer w = bytes_writer(buf, sizeof buf);
    (void)state;
    write_u8(&w, 0x01);
    write_u16(&w, 0x0203);
    write_u24(&w, 0x040506);
    write_u32(&w, 0x0708090a);
    write_u64(&w, 0x0b0c0d0e0f101112);
    assert_false(w.failed);
    assert_int_equal(bytes_written(&w), sizeof want);
    assert_memory_equal(buf, want, sizeof want);
    struct bytes_reader r = bytes_reader(buf, sizeof buf);
    assert_int_equal(read_u8(&r), 0x01);
    assert_int_equal(read_u16(&r), 0x0203);
    assert_int_equal(read_u24(&r), 0x040506);
    assert_int_equal(read_u32(&r), 0x0708090a);
    assert_true(read_u64(&r) == 0x0b0c0d0e0f101112);
    assert_false(r.failed);
    assert_int_equal(bytes_left(&r), 0);
}

static void test_bytes_varints_have_one_form(void **state)
{
    static const struct {
        const char *name;
        uint8_t bytes[11];
        size_t len;
        uint64_t max, value;
        bool good;
    } rows[] = {
        { "zero", { 0 }, 1, 0, 0, true },
        { "largest of one byte", { 0x7f }, 1, 127, 127, true },
        { "smallest of two", { 0x80, 0x01 }, 2, 128, 128, true },
        { "all ones", { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 10,
          UINT64_MAX, UINT64_MAX, true },
        { "above the limit", { 0x80, 0x01 }, 2, 127, 0, false },
        { "needless group", { 0x81, 0x00 }, 2, 999, 0, false },
        { "needless group of zero", { 0x80, 0x00 }, 2, 999, 0, false },
        { "cut", { 0x80 }, 1, 999, 0, false },
        { "empty", { 0 }, 0, 999, 0, false },
        { "65 bits", { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 }, 10,
          UINT64_MAX, 0, false },
        { "eleven bytes", { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 }, 11,
          UINT64_MAX, 0, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes_reader r = bytes_reader(rows[i].bytes, rows[i].len);
        uint64_t v = read_varint(&r, rows[i].max);
        if (r.failed == rows[i].good || v != rows[i].value)
            fail_msg("%s", rows[i].name);
        if (!rows[i].good)
            continue;
        uint8_t buf[10];
        struct bytes_writer w = bytes_writer(buf, sizeof buf);
        write_varint(&w, v);
        assert_int_equal(bytes_written(&w), rows[i].len);
        assert_int_equal(varint_len(v), rows[i].len);
        assert_memory_equal(buf, rows[i].bytes, rows[i].len);
    }
}

static void test_bytes_failure_sticks(void **state)
{
    static const uint8_t three[3] = { 1, 2, 3 };
    uint8_t buf[3];
    struct bytes_reader r = bytes_reader(three, sizeof three);
    struct bytes_writer w = bytes_writer(buf, sizeof buf);
    (void)state;
    assert_int_equal(read_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(read_u8(&r), 0); /* though there would be one */
    assert_int_equal(bytes_left(&r), 0);
    write_u16(&w, 7);
    write_u16(&w, 7);
    write_u8(&w, 7);
    assert_true(w.failed);
    assert_int_equal(bytes_written(&w), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_fixed_integers_are_big_endian),
        cmocka_unit_test(test_bytes_varints_have_one_form),
        cmocka_unit_test(test_bytes_failure_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
