/* Frames through a pipe of bytes: every length, the bytes that are orders, what is lost between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/pieces.h"

enum { OUT_LEN = 512 };

static const size_t piece_lens[] = { 58, 200, 240 };
static struct pieces_decoder decoder;
static uint8_t out[OUT_LEN];
static unsigned frames, garbled;
static uint8_t last[PIECES_FRAME_LEN_MAX];
static size_t last_len;

static void poll_all(void)
{
    enum pieces_verdict verdict;
    while ((verdict = pieces_poll(&decoder)) != PIECES_MORE) {
        frames += verdict == PIECES_FRAME;
        garbled += verdict == PIECES_GARBLED;
        if (verdict == PIECES_FRAME) {
            last_len = decoder.frame_len;
            memcpy(last, decoder.frame, last_len);
        }
    }
}

static void give(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        pieces_put(&decoder, bytes[i]);
        poll_all();
    }
}

static void begin(bool has_trailer)
{
    pieces_decoder_init(&decoder, has_trailer);
    frames = garbled = 0;
}

/* Bytes that try everything: runs of orders, SYNC, counting. */
static void fill(uint8_t *frame, size_t len, unsigned kind)
{
    static const uint8_t run[] = { 0xc0, 0xc1, 0xc2, 0xc3 };
    for (size_t i = 0; i < len; i++)
        frame[i] = kind == 0 ? run[i % 4] : kind == 1 ? PIECES_SYNC : (uint8_t)(i * kind);
}

static void test_pieces_of_every_length_hold_no_order_and_come_back(void **state)
{
    uint8_t frame[PIECES_FRAME_LEN_MAX];
    (void)state;
    begin(false);
    for (size_t p = 0; p < 3; p++) {
        for (size_t len = 1; len <= sizeof frame; len++) {
            for (unsigned kind = 0; kind < 6; kind++) {
                fill(frame, len, kind);
                size_t n = pieces_encode(frame, len, piece_lens[p], out, sizeof out);
                unsigned count = pieces_count(len, piece_lens[p]);
                assert_int_equal(n, len + count * PIECES_OVERHEAD_LEN);
                for (size_t i = 0; i + 2 < n; i++)
                    assert_false(out[i] == 0xc0 && out[i + 1] == 0xc1 && out[i + 2] == 0xc2);
                frames = 0;
                give(out, n);
                assert_int_equal(frames, 1);
                assert_int_equal(last_len, len);
                assert_memory_equal(last, frame, len);
                assert_false(pieces_waiting(&decoder));
            }
        }
    }
    assert_int_equal(garbled, 0);
    assert_int_equal(pieces_encode(frame, 255, 58, out, 289), 0);
}

/* The mask has a key for every piece, also where each key but few makes a run: at position i of the
 * body, key i would. */
static void test_pieces_find_a_key_where_nearly_all_are_bad(void **state)
{
    uint8_t frame[233];
    (void)state;
    begin(false);
    for (unsigned turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < sizeof frame; i++)
            frame[i] = (uint8_t)((i / 3 + turn * 80) ^ (0xc0 + i % 3));
        size_t n = pieces_encode(frame, sizeof frame, 240, out, sizeof out);
        for (size_t i = 0; i + 2 < n; i++)
            assert_false(out[i] == 0xc0 && out[i + 1] == 0xc1 && out[i + 2] == 0xc2);
        give(out, n);
        assert_memory_equal(last, frame, sizeof frame);
    }
    assert_int_equal(frames, 3);
}

static void test_pieces_are_found_again_behind_garbage(void **state)
{
    static const uint8_t junk[] = { 0x16, 0x00, 0xc8, 0x16, 0x16, 0x01,
                                    0xff, 0x00, 0x16, 0x05, 0x0f };
    uint8_t frame[60];
    (void)state;
    fill(frame, sizeof frame, 7);
    size_t n = pieces_encode(frame, sizeof frame, 240, out, sizeof out);
    begin(false);
    give(junk, sizeof junk); /* its first three bytes promise 200 */
    give(out, n);
    give(out, n);
    assert_int_equal(frames, 0);
    assert_true(pieces_waiting(&decoder));
    for (int i = 0; i < 8 && pieces_waiting(&decoder); i++) {
        pieces_on_silence(&decoder);
        poll_all();
    }
    assert_int_equal(frames, 2);
    assert_int_equal(garbled, 1);
    give(junk + 1, 2);
    pieces_on_silence(&decoder);
    give(junk + 1, 2);
    assert_int_equal(garbled, 3); /* silence parts them */
}

/* Each byte lost, and each bit flipped: that frame does not come, or comes unaltered; the next
 * does. */
static void test_pieces_damaged_anywhere_spoil_nothing_else(void **state)
{
    uint8_t frame[100], next[20], bent[OUT_LEN], good[64];
    (void)state;
    fill(frame, sizeof frame, 3);
    fill(next, sizeof next, 5);
    size_t n = pieces_encode(frame, sizeof frame, 58, out, sizeof out);
    size_t good_len = pieces_encode(next, sizeof next, 58, good, sizeof good);
    for (size_t at = 0; at < n * 9; at++) {
        size_t i = at % n;
        size_t len = n;
        memcpy(bent, out, n);
        if (at < n * 8)
            bent[i] ^= (uint8_t)(1u << at / n);
        else
            memmove(bent + i, bent + i + 1, --len - i);
        begin(false);
        give(bent, len);
        assert_int_equal(frames, 0);
        while (pieces_waiting(&decoder)) {
            pieces_on_silence(&decoder);
            poll_all();
        }
        assert_int_equal(frames, 0);
        give(good, good_len);
        assert_int_equal(frames, 1);
        assert_memory_equal(last, next, sizeof next);
        assert_int_equal(garbled, 1); /* the frame, not its bytes */
    }
}

static void test_pieces_of_two_frames_are_not_mixed(void **state)
{
    uint8_t a[100], b[100], other[OUT_LEN];
    (void)state;
    fill(a, sizeof a, 3);
    fill(b, sizeof b, 5);
    size_t n = pieces_encode(a, sizeof a, 58, out, sizeof out);
    (void)pieces_encode(b, sizeof b, 58, other, sizeof other);
    begin(false);
    give(out, 58);
    give(other + 58, n - 58); /* the second half of another */
    give(out + 58, n - 58);
    assert_int_equal(frames, 0);
    assert_int_equal(garbled, 1);
    give(out, n);
    assert_int_equal(frames, 1);
    give(out, 58);
    give(out, n); /* begun and not ended, then sent again */
    assert_int_equal(frames, 2);
    assert_int_equal(garbled, 2);
}

static void test_pieces_carry_their_trailers(void **state)
{
    uint8_t frame[100];
    static const uint8_t first = 0xa0, second = 0xb0;
    (void)state;
    fill(frame, sizeof frame, 3);
    size_t n = pieces_encode(frame, sizeof frame, 58, out, sizeof out);
    begin(true);
    give(out, 58);
    give(&first, 1);
    give(out + 58, n - 58);
    assert_int_equal(frames, 0); /* its level may come */
    give(&second, 1);
    assert_int_equal(frames, 1);
    assert_true(decoder.trailer_seen);
    assert_int_equal(decoder.trailer, second);
    give(out, n); /* none behind any: the first piece of the next is not taken for it */
    assert_int_equal(frames, 1);
    give(out, n);
    assert_int_equal(frames, 2);
    assert_false(decoder.trailer_seen);
    pieces_on_silence(&decoder);
    poll_all();
    assert_int_equal(frames, 3);
    assert_false(decoder.trailer_seen || pieces_waiting(&decoder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_of_every_length_hold_no_order_and_come_back),
        cmocka_unit_test(test_pieces_find_a_key_where_nearly_all_are_bad),
        cmocka_unit_test(test_pieces_are_found_again_behind_garbage),
        cmocka_unit_test(test_pieces_damaged_anywhere_spoil_nothing_else),
        cmocka_unit_test(test_pieces_of_two_frames_are_not_mixed),
        cmocka_unit_test(test_pieces_carry_their_trailers),
    };
    return cmocka_run_group_tests_name("pieces", tests, NULL, NULL);
}
