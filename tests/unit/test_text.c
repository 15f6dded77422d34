#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

#include "proto/text.h"

enum {
    LINE_LEN_MAX = 2048,
    SAMPLE_COUNT = 140,
    PACKED_PERCENT_MAX = 50,
    RANDOM_ROUNDS = 20000,
};

static const char samples_path[] = "seeds/demo/sample-reports-vi.txt";
static const char vectors_path[] = "proto/vectors/text.txt";

/* A fixed sequence, so that a failure can be run again. */
static uint32_t random_state = 20260101;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static FILE *open_or_fail(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("cannot open %s (run from the top of the tree)", path);
    return f;
}

/* Packs, unpacks, and expects the very bytes of nfc back; returns the packed length. */
static size_t check_round_trip(const char *text, size_t len, const char *nfc, size_t nfc_len)
{
    uint8_t packed[TEXT_PACKED_LEN_MAX];
    char back[TEXT_LEN_MAX];
    size_t packed_len, back_len;

    assert_int_equal(text_pack(text, len, packed, sizeof packed, &packed_len), TEXT_OK);
    assert_true(packed_len <= nfc_len + 1);
    assert_int_equal(text_unpack(packed, packed_len, back, sizeof back, &back_len), TEXT_OK);
    assert_int_equal(back_len, nfc_len);
    if (nfc_len > 0)
        assert_memory_equal(back, nfc, nfc_len);
    return packed_len;
}

static size_t hex_to_bytes(const char *hex, size_t digits, uint8_t *out, size_t cap)
{
    assert_true(digits % 2 == 0 && digits / 2 <= cap);
    for (size_t i = 0; i < digits / 2; i++) {
        char pair[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        char *end;
        out[i] = (uint8_t)strtoul(pair, &end, 16);
        assert_ptr_equal(end, pair + 2);
    }
    return digits / 2;
}

static void test_text_vectors_hold_in_both_directions(void **state)
{
    (void)state;
    FILE *f = open_or_fail(vectors_path);
    char line[LINE_LEN_MAX];
    size_t count = 0;

    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        uint8_t want[TEXT_PACKED_LEN_MAX], packed[TEXT_PACKED_LEN_MAX];
        char text[LINE_LEN_MAX], back[TEXT_LEN_MAX];
        size_t digits = strcspn(line, "\t"), text_len = 0, packed_len, back_len;
        size_t want_len = hex_to_bytes(line, digits, want, sizeof want);
        for (const char *s = line + digits + 1; *s && *s != '\n'; s++) {
            bool newline = s[0] == '\\' && s[1] == 'n';
            text[text_len++] = newline ? '\n' : *s;
            s += newline;
        }
        assert_int_equal(text_pack(text, text_len, packed, sizeof packed, &packed_len), TEXT_OK);
        assert_int_equal(packed_len, want_len);
        assert_memory_equal(packed, want, want_len);
        assert_int_equal(text_unpack(want, want_len, back, sizeof back, &back_len), TEXT_OK);
        assert_int_equal(back_len, text_len);
        assert_memory_equal(back, text, text_len);
        count++;
    }
    fclose(f);
    assert_true(count >= 25);
}

static void test_text_samples_round_trip_in_half_the_bytes(void **state)
{
    (void)state;
    FILE *f = open_or_fail(samples_path);
    char line[LINE_LEN_MAX];
    size_t count = 0, text_total = 0, packed_total = 0;

    while (fgets(line, sizeof line, f)) {
        size_t len = strcspn(line, "\n");
        packed_total += check_round_trip(line, len, line, len);
        text_total += len;
        count++;
    }
    fclose(f);
    assert_int_equal(count, SAMPLE_COUNT);
    print_message("text: %zu samples, %zu bytes packed to %zu (%zu %%)\n", count, text_total,
                  packed_total, packed_total * 100 / text_total);
    assert_true(packed_total * 100 <= text_total * PACKED_PERCENT_MAX);
}

static void test_text_decomposed_input_packs_as_composed(void **state)
{
    (void)state;
    FILE *f = open_or_fail(samples_path);
    char line[LINE_LEN_MAX];

    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        utf8proc_uint8_t *nfd = utf8proc_NFD((const utf8proc_uint8_t *)line);
        assert_non_null(nfd);
        check_round_trip((const char *)nfd, strlen((const char *)nfd), line, strlen(line));
        free(nfd);
    }
    fclose(f);
}

static void test_text_bad_input_has_its_own_error(void **state)
{
    (void)state;
    static const struct { const char *text; size_t len; int want; } cases[] = {
        { "", 0, TEXT_OK },
        { "a\nb", 3, TEXT_OK },
        { "\xc3", 1, TEXT_EUTF8 },
        { "a\xff", 2, TEXT_EUTF8 },
        { "\xc0\xaf", 2, TEXT_EUTF8 },             /* overlong */
        { "\xed\xa0\x80", 3, TEXT_EUTF8 },         /* surrogate */
        { "\xf4\x90\x80\x80", 4, TEXT_EUTF8 },     /* over U+10FFFF */
        { "a\0b", 3, TEXT_ECONTROL },
        { "a\tb", 3, TEXT_ECONTROL },
        { "a\rb", 3, TEXT_ECONTROL },
        { "\x1b[2J", 4, TEXT_ECONTROL },
        { "\x7f", 1, TEXT_ECONTROL },
        { "\xc2\x85", 2, TEXT_ECONTROL },          /* next line, C1 */
        { "a\xe2\x80\xae" "b", 5, TEXT_EBIDI },    /* right-to-left override */
        { "\xe2\x80\xaa", 3, TEXT_EBIDI },
        { "\xe2\x81\xa6", 3, TEXT_EBIDI },
        { "\xe2\x81\xa9", 3, TEXT_EBIDI },
        { "\xe2\x81\xaa", 3, TEXT_OK },            /* just after the isolates */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t packed[TEXT_PACKED_LEN_MAX];
        size_t len = 77;
        int got = text_pack(cases[i].text, cases[i].len, packed, sizeof packed, &len);
        if (got != cases[i].want)
            fail_msg("case %zu: %d, wanted %d", i, got, cases[i].want);
        assert_int_equal(text_check(cases[i].text, cases[i].len), cases[i].want);
        if (cases[i].len == 0)
            assert_int_equal(len, 0);
    }
}

static void test_text_length_limits_are_exact(void **state)
{
    (void)state;
    char text[TEXT_INPUT_LEN_MAX + 2];
    uint8_t packed[TEXT_PACKED_LEN_MAX];
    char back[TEXT_LEN_MAX];
    size_t len;

    memset(text, '.', sizeof text);
    check_round_trip(text, TEXT_LEN_MAX, text, TEXT_LEN_MAX);
    assert_int_equal(text_pack(text, TEXT_LEN_MAX + 1, packed, sizeof packed, &len), TEXT_ELEN);
    assert_int_equal(text_pack(text, sizeof text, packed, sizeof packed, &len), TEXT_ELEN);
    assert_int_equal(text_pack(text, 10, packed, 10, &len), TEXT_EROOM);
    assert_int_equal(text_pack(text, 10, packed, 11, &len), TEXT_OK);
    assert_int_equal(text_unpack(packed, len, back, 9, &len), TEXT_EROOM);
    assert_int_equal(text_normalise(text, 10, back, 9, &len), TEXT_EROOM);

    /* Two bytes can unfold to nine: what comes to more than TEXT_LEN_MAX is refused. */
    uint8_t bomb[1 + 2 * 100] = { TEXT_CODEC_SYLLABLE };
    for (size_t i = 1; i < sizeof bomb; i += 2) { /* "nghiêng" and a space */
        bomb[i] = 0xc0;
        bomb[i + 1] = 0xd8;
    }
    assert_int_equal(text_unpack(bomb, sizeof bomb, back, sizeof back, &len), TEXT_ELEN);
}

static void test_text_malformed_packing_is_refused(void **state)
{
    (void)state;
    static const struct { const char *name; uint8_t bytes[12]; size_t len; int want; } cases[] = {
        { "codec alone", { 0 }, 1, TEXT_ECANON },
        { "unknown codec", { 3, 'a' }, 2, TEXT_EFORM },
        { "syllable cut", { 1, 0xc4 }, 2, TEXT_EFORM },
        { "final out of range", { 1, 0x83, 0xff, 0xc4, 0x01 }, 5, TEXT_EFORM },
        { "reserved byte", { 1, 0xc4, 0x01, 0x12 }, 4, TEXT_EFORM },
        { "NUL byte", { 1, 0xc4, 0x01, 0x00 }, 4, TEXT_EFORM },
        { "DEL", { 1, 0xc4, 0x01, 0x7f }, 4, TEXT_EFORM },
        { "title at the end", { 1, 0xc4, 0x01, 1 }, 4, TEXT_EFORM },
        { "title of two, one comes", { 1, '.', 2, 0xc4, 0x01, '.' }, 6, TEXT_EFORM },
        { "caps before ASCII", { 1, 0xc4, 0x01, 4, 'x' }, 5, TEXT_EFORM },
        { "join at the end", { 1, 0xc4, 0x01, 5 }, 4, TEXT_EFORM },
        { "title, then title", { 1, '.', 1, 1, 0xc4, 0x01 }, 6, TEXT_EFORM },
        { "join where no space is implied", { 1, 5, 0xc4, 0x01 }, 4, TEXT_ECANON },
        { "space where one is implied", { 1, 0xc4, 0x01, ' ', 0xc4, 0x01 }, 6, TEXT_ECANON },
        { "TITLE where codec 2 serves", { 1, 1, 0xc4, 0x01 }, 4, TEXT_ECANON },
        { "codec 2 without a syllable", { 2, 'a', 'b' }, 3, TEXT_EFORM },
        { "two TITLE 1 for a TITLE 2", { 1, '.', 1, 0xc4, 1, 1, 0xc4, 1 }, 8, TEXT_ECANON },
        { "letters for a syllable", { 1, 0xc4, 0x01, 'b', 'a' }, 5, TEXT_ECANON },
        { "plain where the code is shorter", { 0, 'n', 'h', 0xc3, 0xa0 }, 5, TEXT_ECANON },
        { "code where plain is as short", { 1, 0x84, 0x00 }, 3, TEXT_ECANON },
        { "plain in NFD", { 0, 'a', 0xcc, 0x80 }, 4, TEXT_ECANON },
        { "plain with a tab", { 0, '\t' }, 2, TEXT_ECONTROL },
        { "plain, broken UTF-8", { 0, 0xc3 }, 2, TEXT_EUTF8 },
        { "code point cut", { 1, 0xc4, 0x01, 6, 0xe2, 0x86 }, 6, TEXT_EFORM },
        { "code point in ASCII", { 1, 0xc4, 0x01, 6, 'a' }, 5, TEXT_EFORM },
        { "code point overlong", { 1, 0xc4, 0x01, 6, 0xc0, 0xaf }, 6, TEXT_EFORM },
        { "code point that reorders", { 1, 0xc4, 0x01, 6, 0xe2, 0x80, 0xae }, 7, TEXT_EBIDI },
        { "code point for a single", { 1, 0xc4, 0x01, 6, 0xc2, 0xb0 }, 6, TEXT_ECANON },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TEXT_LEN_MAX];
        size_t len = 77;
        int got = text_unpack(cases[i].bytes, cases[i].len, text, sizeof text, &len);
        if (got != cases[i].want || len != 0)
            fail_msg("%s: %d, wanted %d", cases[i].name, got, cases[i].want);
    }
}

/* 32 onsets x 860 finals; refused are the unused finals and the 39 codes whose letters the rules
 * write otherwise: one ASCII letter, and "gi" split after its "g". */
static void test_text_every_syllable_code_is_canonical_or_refused(void **state)
{
    (void)state;
    size_t accepted = 0, unused = 0, other_spelling = 0;
    for (unsigned code = 0; code < 0x8000; code++) {
        uint8_t packed[] = { 1, 0xc4, 0x01, (uint8_t)(0x80 | code >> 8), (uint8_t)code };
        char text[TEXT_LEN_MAX];
        size_t len;
        int err = text_unpack(packed, sizeof packed, text, sizeof text, &len);
        if (err == TEXT_OK)
            assert_int_equal(check_round_trip(text, len, text, len), sizeof packed);
        accepted += err == TEXT_OK;
        unused += err == TEXT_EFORM;
        other_spelling += err == TEXT_ECANON;
    }
    assert_int_equal(unused, 32 * (1024 - 860));
    assert_int_equal(other_spelling, 39);
    assert_int_equal(accepted, 32 * 860 - 39);
}

static size_t random_text(char *buf, size_t cap)
{
    static const uint32_t ranges[][2] = {
        { 0x20, 0x7e }, { 'a', 'z' }, { 0xa0, 0x24f }, { 0x300, 0x36f }, { 0x1ea0, 0x1ef9 },
        { 0x600, 0x6ff }, { 0x900, 0x97f }, { 0x1100, 0x11ff }, { 0x2000, 0x2029 },
        { 0x2070, 0x2fff }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfb1d, 0xfb4f },
        { 0x1d150, 0x1d1ff }, { 0x1f300, 0x1f6ff }, { 0x2f800, 0x2fa1d },
    };
    size_t len = 0, count = random_below(40);
    for (size_t i = 0; i < count && len + 4 <= cap; i++) {
        const uint32_t *range = ranges[random_below(sizeof ranges / sizeof ranges[0])];
        uint32_t cp = range[0] + random_below(range[1] - range[0] + 1);
        if (random_below(4) == 0)
            cp = ' ';
        len += (size_t)utf8proc_encode_char((utf8proc_int32_t)cp, (utf8proc_uint8_t *)buf + len);
    }
    return len;
}

static void test_text_random_unicode_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < RANDOM_ROUNDS; i++) {
        char text[256], nfc[TEXT_LEN_MAX], again[TEXT_LEN_MAX];
        size_t nfc_len, again_len, len = random_text(text, sizeof text);
        assert_int_equal(text_normalise(text, len, nfc, sizeof nfc, &nfc_len), TEXT_OK);
        assert_int_equal(text_normalise(nfc, nfc_len, again, sizeof again, &again_len), TEXT_OK);
        assert_int_equal(again_len, nfc_len);
        check_round_trip(text, len, nfc, nfc_len);
    }
}

/* Words of Vietnamese letters without any grammar: most are misspelt and must survive so. */
static void test_text_random_letters_round_trip(void **state)
{
    (void)state;
    static const char *const letters[] = {
        "a", "ạ", "ă", "â", "e", "ê", "ế", "i", "o", "ô", "ơ", "ờ", "u", "ư", "y", "ỹ", "đ", "Đ",
        "n", "g", "h", "q", "t", "c", "N", "H", "A", "Ạ", "Ơ", " ", " ", "1", ",", "(", "/", ".",
        "“", "°", "\n", "oà", "uỷ", "Nà", " Nà", " Bó", "NGHIÊNG", "qu", "gi", "\xcc\x80",
    };
    for (size_t i = 0; i < RANDOM_ROUNDS; i++) {
        char text[512], nfc[TEXT_LEN_MAX];
        size_t len = 0, nfc_len, count = random_below(40);
        for (size_t k = 0; k < count; k++) {
            const char *letter = letters[random_below(sizeof letters / sizeof letters[0])];
            memcpy(text + len, letter, strlen(letter));
            len += strlen(letter);
        }
        assert_int_equal(text_normalise(text, len, nfc, sizeof nfc, &nfc_len), TEXT_OK);
        check_round_trip(text, len, nfc, nfc_len);
    }
}

static void test_text_random_bytes_unpack_to_one_form_or_fail(void **state)
{
    (void)state;
    size_t accepted = 0;
    for (size_t i = 0; i < 4 * RANDOM_ROUNDS; i++) {
        uint8_t packed[64], again[TEXT_PACKED_LEN_MAX];
        char text[TEXT_LEN_MAX];
        size_t text_len, again_len, len = 1 + random_below(i % 2 ? 8 : sizeof packed);
        for (size_t k = 0; k < len; k++)
            packed[k] = (uint8_t)random_below(256);
        packed[0] = (uint8_t)random_below(TEXT_CODEC_COUNT);
        /* The exact length on the heap, so that a sanitizer sees a read past the end. */
        uint8_t *exact = malloc(len);
        assert_non_null(exact);
        memcpy(exact, packed, len);
        int err = text_unpack(exact, len, text, sizeof text, &text_len);
        free(exact);
        if (err != TEXT_OK)
            continue;
        accepted++;
        assert_int_equal(text_pack(text, text_len, again, sizeof again, &again_len), TEXT_OK);
        assert_int_equal(again_len, len);
        assert_memory_equal(again, packed, len);
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_vectors_hold_in_both_directions),
        cmocka_unit_test(test_text_samples_round_trip_in_half_the_bytes),
        cmocka_unit_test(test_text_decomposed_input_packs_as_composed),
        cmocka_unit_test(test_text_bad_input_has_its_own_error),
        cmocka_unit_test(test_text_length_limits_are_exact),
        cmocka_unit_test(test_text_malformed_packing_is_refused),
        cmocka_unit_test(test_text_every_syllable_code_is_canonical_or_refused),
        cmocka_unit_test(test_text_random_unicode_round_trips),
        cmocka_unit_test(test_text_random_letters_round_trip),
        cmocka_unit_test(test_text_random_bytes_unpack_to_one_form_or_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
