#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/kiss.h"

/* Feeds bytes; returns how many frames came, the last in d. */
static unsigned feed(struct kiss_decoder *d, const uint8_t *buf, size_t len, unsigned *garbled_out)
{
    unsigned frames = 0;
    for (size_t i = 0; i < len; i++) {
        enum kiss_verdict verdict = kiss_decode(d, buf[i]);
        frames += verdict == KISS_FRAME;
        *garbled_out += verdict == KISS_GARBLED;
    }
    return frames;
}

static void test_kiss_carries_every_byte_value_at_every_place(void **state)
{
    uint8_t payload[8], wire[64];
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        for (size_t place = 0; place < sizeof payload; place++) {
            struct kiss_decoder d;
            unsigned garbled = 0;
            memset(payload, 0x55, sizeof payload);
            payload[place] = (uint8_t)value;
            size_t len = kiss_encode(KISS_DATA, payload, sizeof payload, wire, sizeof wire);
            assert_true(len > 0);
            kiss_decoder_init(&d, KISS_STRICT);
            assert_int_equal(feed(&d, wire, len, &garbled), 1);
            assert_int_equal(garbled, 0);
            assert_int_equal(d.frame_len, 1 + sizeof payload);
            assert_int_equal(d.frame[0], KISS_DATA);
            assert_memory_equal(d.frame + 1, payload, sizeof payload);
        }
    }
}

static void test_kiss_carries_every_type_byte(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        struct kiss_decoder d;
        uint8_t wire[8];
        unsigned garbled = 0;
        size_t len = kiss_encode((uint8_t)type, NULL, 0, wire, sizeof wire);
        kiss_decoder_init(&d, KISS_STRICT);
        assert_int_equal(feed(&d, wire, len, &garbled), 1);
        assert_int_equal(d.frame_len, 1);
        assert_int_equal(d.frame[0], type);
    }
}

static void test_kiss_does_not_mind_where_the_input_is_split(void **state)
{
    static const uint8_t payload[] = { 0xc0, 0xdb, 0xdc, 0xdd, 0x00, 0xc0 };
    uint8_t wire[32];
    size_t len = kiss_encode(KISS_SET_HARDWARE, payload, sizeof payload, wire, sizeof wire);
    (void)state;
    for (size_t at = 0; at <= len; at++) {
        struct kiss_decoder d;
        unsigned garbled = 0;
        kiss_decoder_init(&d, KISS_STRICT);
        unsigned frames = feed(&d, wire, at, &garbled);
        frames += feed(&d, wire + at, len - at, &garbled);
        assert_int_equal(frames, 1);
        assert_int_equal(garbled, 0);
        assert_memory_equal(d.frame + 1, payload, sizeof payload);
    }
}

static const struct {
    const char *name;
    const char *wire;
    size_t wire_len;
    unsigned frames_strict, garbled_strict, frames_lenient;
    const char *last_lenient; /* the last frame, after its type byte; the type is always 0 */
} broken[] = {
#define WIRE(s) s, sizeof s - 1
    { "nothing between FENDs", WIRE("\xc0\xc0\xc0"), 0, 0, 0, "" },
    { "one FEND ends and begins", WIRE("\xc0\0" "a\xc0\0" "b\xc0"), 2, 0, 2, "b" },
    { "text before the first FEND", WIRE("boot\r\n\xc0\0" "a\xc0"), 1, 1, 1, "a" },
    { "cut frame, then a whole one", WIRE("\xc0\0" "ab\xc0\0" "c\xc0"), 2, 0, 2, "c" },
    { "unknown escape", WIRE("\xc0\0" "a\xdbxb\xc0"), 0, 1, 1, "ab" },
    { "escape before FEND", WIRE("\xc0\0" "a\xdb\xc0\0" "b\xc0"), 1, 1, 2, "b" },
    { "two escapes in a row", WIRE("\xc0\0" "a\xdb\xdb\xdc\xc0"), 0, 1, 1, "a\xc0" },
    { "good after a broken one", WIRE("\xc0\0\xdbz\xc0\0" "ok\xc0"), 1, 1, 2, "ok" },
#undef WIRE
};

static void test_kiss_gives_a_verdict_on_broken_input(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct kiss_decoder d;
        unsigned garbled = 0;
        const uint8_t *wire = (const uint8_t *)broken[i].wire;
        kiss_decoder_init(&d, KISS_STRICT);
        unsigned frames = feed(&d, wire, broken[i].wire_len, &garbled);
        if (frames != broken[i].frames_strict || garbled != broken[i].garbled_strict)
            fail_msg("%s: %u frames, %u garbled", broken[i].name, frames, garbled);
        kiss_decoder_init(&d, KISS_LENIENT);
        frames = feed(&d, wire, broken[i].wire_len, &garbled);
        if (frames != broken[i].frames_lenient)
            fail_msg("%s: %u frames when lenient", broken[i].name, frames);
        if (frames > 0) {
            assert_int_equal(d.frame_len, 1 + strlen(broken[i].last_lenient));
            assert_memory_equal(d.frame + 1, broken[i].last_lenient, d.frame_len - 1u);
        }
    }
}

static void test_kiss_drops_what_is_too_long_and_goes_on(void **state)
{
    struct kiss_decoder d;
    unsigned garbled = 0;
    uint8_t good[] = { KISS_FEND, 0, 'x', KISS_FEND };
    (void)state;
    kiss_decoder_init(&d, KISS_STRICT);
    assert_int_equal(kiss_decode(&d, KISS_FEND), KISS_MORE);
    for (size_t i = 0; i < 3 * KISS_LEN_MAX; i++)
        assert_int_equal(kiss_decode(&d, 'y'), KISS_MORE);
    assert_int_equal(feed(&d, good, sizeof good, &garbled), 1);
    assert_int_equal(garbled, 1);
    assert_int_equal(d.frame_len, 2);
}

static void test_kiss_refuses_to_encode_what_does_not_fit(void **state)
{
    uint8_t payload[KISS_LEN_MAX], wire[KISS_ENCODED_LEN_MAX];
    memset(payload, KISS_FEND, sizeof payload);
    (void)state;
    assert_int_equal(kiss_encode(0, payload, KISS_LEN_MAX, wire, sizeof wire), 0);
    size_t len = kiss_encode(0, payload, KISS_LEN_MAX - 1, wire, sizeof wire);
    assert_int_equal(len, 2 + 1 + 2 * (KISS_LEN_MAX - 1));
    assert_int_equal(kiss_encode(0, payload, KISS_LEN_MAX - 1, wire, len - 1), 0);
    assert_int_equal(kiss_encode(0, payload, KISS_LEN_MAX - 1, wire, len), len);
}

static void test_kiss_survives_a_million_random_bytes(void **state)
{
    struct kiss_decoder d;
    uint64_t x = 1;
    unsigned frames = 0;
    (void)state;
    kiss_decoder_init(&d, KISS_STRICT);
    for (unsigned i = 0; i < 1000000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        if (kiss_decode(&d, (uint8_t)(x >> 56)) == KISS_FRAME) {
            assert_in_range(d.frame_len, 1, KISS_LEN_MAX);
            frames++;
        }
    }
    assert_true(frames > 100); /* one byte in 256 is a FEND */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kiss_carries_every_byte_value_at_every_place),
        cmocka_unit_test(test_kiss_carries_every_type_byte),
        cmocka_unit_test(test_kiss_does_not_mind_where_the_input_is_split),
        cmocka_unit_test(test_kiss_gives_a_verdict_on_broken_input),
        cmocka_unit_test(test_kiss_drops_what_is_too_long_and_goes_on),
        cmocka_unit_test(test_kiss_refuses_to_encode_what_does_not_fit),
        cmocka_unit_test(test_kiss_survives_a_million_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
