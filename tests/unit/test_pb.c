/* Protobuf's wire format and the framing of Meshtastic's stream, by bytes that the official schema
 * gives, and by what a broken line makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/meshtastic.h"
#include "hw/pb.h"

static void test_pb_writes_what_the_official_schema_writes(void **state)
{
    static const uint8_t want[] = {
        0x0a, 0x1b, 0x15, 0xff, 0xff, 0xff, 0xff, 0x18, 0x01, 0x22, 0x09, 0x08, 0x80, 0x02, 0x12,
        0x04, 0xde, 0xad, 0xbe, 0xef, 0x35, 0x67, 0x45, 0x23, 0x01, 0x48, 0x03, 0x50, 0x01,
    };
    static const uint8_t payload[] = { 0xde, 0xad, 0xbe, 0xef };
    uint8_t data_buf[16], packet_buf[32], buf[32];
    struct pb_writer data = { .bytes = data_buf, .cap = sizeof data_buf };
    struct pb_writer packet = { .bytes = packet_buf, .cap = sizeof packet_buf };
    struct pb_writer w = { .bytes = buf, .cap = sizeof buf };
    (void)state;
    pb_put_varint(&data, DATA_PORT, PORT_PRIVATE);
    pb_put_bytes(&data, DATA_PAYLOAD, payload, sizeof payload);
    pb_put_fixed32(&packet, PACKET_TO, (uint32_t)MESHTASTIC_TO_ALL);
    pb_put_varint(&packet, PACKET_CHANNEL, 1);
    pb_put_bytes(&packet, PACKET_DATA, data.bytes, data.len);
    pb_put_fixed32(&packet, PACKET_ID, 0x01234567);
    pb_put_varint(&packet, PACKET_HOP_LIMIT, 3);
    pb_put_varint(&packet, 10, 1);
    pb_put_bytes(&w, TO_RADIO_PACKET, packet.bytes, packet.len);
    assert_false(data.overflow || packet.overflow || w.overflow);
    assert_int_equal(w.len, sizeof want);
    assert_memory_equal(w.bytes, want, sizeof want);
}

static void test_pb_reads_back_each_type(void **state)
{
    uint8_t buf[64];
    struct pb_writer w = { .bytes = buf, .cap = sizeof buf };
    struct pb_field f;
    (void)state;
    pb_put_varint(&w, 1, UINT64_MAX); /* -1 as int32 */
    pb_put_float(&w, 14, 921.5f);
    pb_put_bytes(&w, 300, "abc", 3);
    struct pb_reader r = pb_read(w.bytes, w.len);
    assert_true(pb_next(&r, &f));
    assert_int_equal((int32_t)f.value, -1);
    assert_true(pb_next(&r, &f));
    assert_true(f.type == PB_FIXED32 && f.number == 14);
    assert_true(pb_float(&f) > 921.49f && pb_float(&f) < 921.51f);
    assert_true(pb_next(&r, &f));
    assert_int_equal(f.number, 300);
    assert_memory_equal(f.bytes, "abc", 3);
    assert_false(pb_next(&r, &f));
    assert_false(r.malformed);
    assert_false(pb_find(w.bytes, w.len, 2, &f));
}

static void test_pb_says_what_is_malformed(void **state)
{
    static const struct { const char *what; uint8_t len, bytes[12]; } rows[] = {
        { "a tag without its value", 1, { 0x08 } },
        { "a number without an end", 12, { 0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                          255 } },
        { "fewer bytes than said", 3, { 0x12, 0x02, 0x00 } },
        { "a length of nearly 2^64", 11, { 0x12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1 } },
        { "half a fixed number", 3, { 0x15, 0x00, 0x00 } },
        { "field number 0", 2, { 0x00, 0x00 } },
        { "a group", 2, { 0x0b, 0x00 } },
        { "type 7", 2, { 0x0f, 0x00 } },
    };
    struct pb_field f;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pb_reader r = pb_read(rows[i].bytes, rows[i].len);
        if (pb_next(&r, &f) || !r.malformed)
            fail_msg("%s is taken", rows[i].what);
    }
    struct pb_field number = { .type = PB_VARINT };
    struct pb_reader r = pb_read_inner(&number);
    assert_false(pb_next(&r, &f));
    assert_true(r.malformed);
}

static void test_pb_writer_stops_at_its_end(void **state)
{
    uint8_t buf[4] = { 0 };
    struct pb_writer w = { .bytes = buf, .cap = 3 };
    (void)state;
    pb_put_varint(&w, 1, 1);
    pb_put_bytes(&w, 2, "abc", 3);
    assert_true(w.overflow);
    assert_int_equal(buf[3], 0);
}

/* Every byte of in[] in turn; what came, as letters. */
static void decode_all(const uint8_t *in, size_t len, char *seen_out)
{
    static const char letters[] = { [MESHTASTIC_MORE] = '-', [MESHTASTIC_FRAME] = 'F',
                                    [MESHTASTIC_STRAY] = 's' };
    struct meshtastic_decoder d;
    meshtastic_decoder_init(&d);
    for (size_t i = 0; i < len; i++)
        seen_out[i] = letters[meshtastic_decode(&d, in[i])];
    seen_out[len] = '\0';
}

static void test_meshtastic_framing_is_found_again(void **state)
{
    static const struct { uint8_t len, bytes[12]; const char *want; } rows[] = {
        { 6, { 0x94, 0xc3, 0, 2, 0x3a, 0 }, "-----F" },
        { 4, { 0x94, 0xc3, 0, 0 }, "---F" },
        { 7, { 'x', 0xc3, 0x94, 0xc3, 0, 1, 7 }, "ss----F" },
        { 7, { 0x94, 0x94, 0xc3, 0, 1, 7, 'x' }, "-----Fs" },
        { 10, { 0x94, 0xc3, 2, 1, 0x94, 0xc3, 0, 1, 0x94, 'x' }, "---s----Fs" }, /* 513: none */
        { 8, { 0x94, 'x', 0x94, 0xc3, 0, 2, 0x94, 0xc3 }, "-s-----F" },
    };
    char seen[16];
    uint8_t framing[MESHTASTIC_FRAMING_LEN];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        decode_all(rows[i].bytes, rows[i].len, seen);
        assert_string_equal(seen, rows[i].want);
    }
    meshtastic_framing(framing, 0x1d);
    assert_memory_equal(framing, "\x94\xc3\x00\x1d", sizeof framing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pb_writes_what_the_official_schema_writes),
        cmocka_unit_test(test_pb_reads_back_each_type),
        cmocka_unit_test(test_pb_says_what_is_malformed),
        cmocka_unit_test(test_pb_writer_stops_at_its_end),
        cmocka_unit_test(test_meshtastic_framing_is_found_again),
    };
    return cmocka_run_group_tests_name("pb", tests, NULL, NULL);
}
