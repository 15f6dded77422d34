#include "proto/text.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "proto/bytes.h"
#include "proto/text_tables.h"

enum {
    /* No code point of n UTF-8 bytes decomposes canonically into more than 1.5 n code points, so
     * what needs more cannot compose to TEXT_LEN_MAX bytes. */
    CODE_POINT_COUNT_MAX = TEXT_LEN_MAX + TEXT_LEN_MAX / 2,
    WORD_LETTER_COUNT_MAX = 8, /* the longest syllable has seven */
    TITLE_RUN_MAX = 3,
    UTF8_LEN_MAX = 4,
};

/* ---- code points -------------------------------------------------------------------------- */

/* The code point at s, which is valid UTF-8. */
static uint32_t utf8_get(const char *s, size_t *len_out)
{
    const uint8_t *b = (const uint8_t *)s;
    if (b[0] < 0x80) {
        *len_out = 1;
        return b[0];
    }
    if (b[0] < 0xe0) {
        *len_out = 2;
        return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
    }
    if (b[0] < 0xf0) {
        *len_out = 3;
        return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    }
    *len_out = 4;
    return (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
}

static void write_utf8(struct bytes_writer *w, uint32_t cp)
{
    uint8_t b[UTF8_LEN_MAX];
    utf8proc_ssize_t len = utf8proc_encode_char((utf8proc_int32_t)cp, b);
    write_bytes(w, b, (size_t)len);
}

static int check_code_point(uint32_t cp)
{
    if ((cp < 0x20 && cp != '\n') || (cp >= 0x7f && cp < 0xa0))
        return TEXT_ECONTROL;
    if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
        return TEXT_EBIDI;
    return TEXT_OK;
}

static uint32_t to_lower(uint32_t cp)
{
    if ((cp >= 'A' && cp <= 'Z') || (cp >= 0xc0 && cp <= 0xdd))
        return cp + 0x20;
    if (cp == 0x102 || cp == TEXT_D_UPPER || cp == 0x128 || cp == 0x168 || cp == 0x1a0 ||
        cp == 0x1af)
        return cp + 1;
    if (cp >= 0x1ea0 && cp <= 0x1ef8 && cp % 2 == 0)
        return cp + 1;
    return cp;
}

/* cp is a lower-case letter of Vietnamese or ASCII. */
static uint32_t to_upper(uint32_t cp)
{
    if (cp < 0x80 || (cp >= 0xe0 && cp <= 0xfd))
        return cp - 0x20;
    return cp - 1;
}

/* A lower-case letter as its toneless form and its tone; false when it is none of ours. */
static bool split_tone(uint32_t lower, uint32_t *base_out, unsigned *tone_out)
{
    for (size_t v = 0; v < VOWEL_COUNT; v++) {
        for (unsigned t = 0; t < TONE_COUNT; t++) {
            if (text_vowels[v][t] == lower) {
                *base_out = text_vowels[v][0];
                *tone_out = t;
                return true;
            }
        }
    }
    *base_out = lower;
    *tone_out = 0;
    return (lower >= 'a' && lower <= 'z') || lower == TEXT_D_LOWER;
}

static uint32_t add_tone(uint32_t base, unsigned tone)
{
    for (size_t v = 0; v < VOWEL_COUNT; v++) {
        if (text_vowels[v][0] == base)
            return text_vowels[v][tone];
    }
    return base;
}

static bool is_letter(uint32_t cp)
{
    uint32_t base;
    unsigned tone;
    return split_tone(to_lower(cp), &base, &tone);
}

/* ---- rimes and tones ---------------------------------------------------------------------- */

/* Which letter of a rime carries the tone mark. */
static size_t tone_position(const uint32_t *letters, size_t count, unsigned class)
{
    size_t vowel_count = 0, marked = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t cp = letters[i];
        if (cp >= 0x80)
            marked = i;
        if (cp >= 0x80 || strchr("aeiouy", (int)cp))
            vowel_count = i + 1;
    }
    if (marked < count)
        return marked;
    if (class == RIME_NEW)
        return 1;
    if (vowel_count < count)
        return vowel_count - 1;
    return vowel_count == 3 ? 1 : 0;
}

/* The place of a tone within its class, or -1 when the class has no such tone. */
static int tone_to_index(unsigned class, unsigned tone)
{
    switch (class) {
    case RIME_STOP:
        return tone == 0 ? 0 : tone == TONE_SAC ? 1 : tone == TONE_NANG ? 2 : -1;
    case RIME_NEW:
        return (int)tone - 1;
    default:
        return tone < class ? (int)tone : -1;
    }
}

static unsigned tone_of_index(unsigned class, unsigned index)
{
    static const uint8_t stop_tones[RIME_STOP] = { 0, TONE_SAC, TONE_NANG };
    if (class == RIME_STOP)
        return stop_tones[index];
    return class == RIME_NEW ? index + 1 : index;
}

/* UTF-8 letters of the tables into code points; returns how many. */
static size_t table_letters(const char *s, uint32_t letters_out[static WORD_LETTER_COUNT_MAX])
{
    size_t count = 0;
    while (*s) {
        size_t len;
        letters_out[count++] = utf8_get(s, &len);
        s += len;
    }
    return count;
}

/* The number of the final with these letters and its tone on tone_at, or -1. */
static int final_find(const uint32_t *letters, size_t count, unsigned tone, size_t tone_at)
{
    int first = 0;
    for (size_t r = 0; r < TEXT_RIME_COUNT; r++) {
        unsigned class = text_rimes[r].tone_count;
        int index = tone_to_index(class, tone);
        uint32_t rime[WORD_LETTER_COUNT_MAX];
        size_t rime_count = table_letters(text_rimes[r].letters, rime);
        if (index >= 0 && rime_count == count && !memcmp(rime, letters, count * sizeof *rime) &&
            (tone == 0 || tone_position(rime, count, class) == tone_at))
            return first + index;
        first += (int)class;
    }
    return -1;
}

/* ---- packing ------------------------------------------------------------------------------ */

enum letter_case { CASE_LOWER, CASE_TITLE, CASE_CAPS, CASE_MIXED };

/* What stands before the next token, as far as implied spaces care. */
enum before { BEFORE_GLUE, BEFORE_SYLLABLE, BEFORE_OTHER };

struct syllable {
    uint16_t code;
    enum letter_case letter_case;
};

struct packer {
    const uint32_t *cps;
    size_t count;
    struct bytes_writer w;
    enum before before;
    unsigned title_left; /* how many syllables the last TITLE still covers */
    bool title_first;
};

static size_t word_letter_count(const uint32_t *cps, size_t count)
{
    size_t n = 0;
    while (n < count && is_letter(cps[n]))
        n++;
    return n;
}

static enum letter_case word_case(const uint32_t *cps, size_t count)
{
    size_t upper_count = 0;
    for (size_t i = 0; i < count; i++)
        upper_count += to_lower(cps[i]) != cps[i];
    if (upper_count == 0)
        return CASE_LOWER;
    if (upper_count == 1 && to_lower(cps[0]) != cps[0])
        return CASE_TITLE;
    return upper_count == count ? CASE_CAPS : CASE_MIXED;
}

/* Is this whole word one syllable token? */
static bool word_syllable(const uint32_t *cps, size_t count, struct syllable *syllable_out)
{
    uint32_t letters[WORD_LETTER_COUNT_MAX];
    unsigned tone = 0;
    size_t tone_at = 0;

    /* One ASCII letter is shorter as itself. */
    if (count == 0 || count > WORD_LETTER_COUNT_MAX || (count == 1 && cps[0] < 0x80))
        return false;
    syllable_out->letter_case = word_case(cps, count);
    if (syllable_out->letter_case == CASE_MIXED)
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned t;
        split_tone(to_lower(cps[i]), &letters[i], &t);
        if (t > 0 && tone > 0)
            return false;
        if (t > 0) {
            tone = t;
            tone_at = i;
        }
    }
    int best = -1;
    size_t best_count = 0;
    for (size_t o = 0; o < TEXT_ONSET_COUNT; o++) {
        uint32_t onset[WORD_LETTER_COUNT_MAX];
        size_t n = table_letters(text_onsets[o], onset);
        if (n >= count || (best >= 0 && n <= best_count) || (tone > 0 && tone_at < n) ||
            memcmp(onset, letters, n * sizeof *onset) != 0)
            continue;
        int final = final_find(letters + n, count - n, tone, tone_at - (tone > 0 ? n : 0));
        if (final >= 0) {
            best = (int)o << TEXT_FINAL_BITS | final;
            best_count = n;
        }
    }
    syllable_out->code = (uint16_t)(best < 0 ? 0 : best);
    return best >= 0;
}

/* The one-byte form of a character, or 0. */
static uint8_t single_byte(uint32_t cp)
{
    if ((cp >= 0x20 && cp < 0x7f) || cp == '\n')
        return (uint8_t)cp;
    for (size_t i = 0; i < TEXT_SINGLE_COUNT; i++) {
        if (text_singles[i].code_point == cp)
            return text_singles[i].byte;
    }
    return 0;
}

static bool is_word_character(uint32_t cp)
{
    if (cp < 0x80)
        return is_letter(cp) || (cp >= '0' && cp <= '9');
    return cp == TEXT_D_LOWER || cp == TEXT_D_UPPER || single_byte(cp) == 0;
}

static enum before before_after(uint32_t cp)
{
    if (cp == TEXT_LEFT_QUOTE || (cp < 0x80 && strchr(" \n([/-\"'", (int)cp)))
        return BEFORE_GLUE;
    return BEFORE_OTHER;
}

static void pack_character(struct packer *p, uint32_t cp)
{
    uint8_t byte = single_byte(cp);
    if (byte) {
        write_u8(&p->w, byte);
    } else {
        write_u8(&p->w, TEXT_CODE_POINT);
        write_utf8(&p->w, cp);
    }
    p->before = before_after(cp);
}

/* How many capitalised syllables follow each other from at on, each after one space. */
static unsigned title_run(const struct packer *p, size_t at)
{
    unsigned run = 0;
    struct syllable s;
    while (run < TITLE_RUN_MAX) {
        size_t n = word_letter_count(p->cps + at, p->count - at);
        if (!word_syllable(p->cps + at, n, &s) || s.letter_case != CASE_TITLE)
            break;
        run++;
        at += n;
        if (at >= p->count || p->cps[at] != ' ')
            break;
        at++;
    }
    return run;
}

static void pack_syllable(struct packer *p, const struct syllable *s, size_t at)
{
    if (s->letter_case == CASE_CAPS) {
        write_u8(&p->w, TEXT_CAPS);
    } else if (s->letter_case == CASE_TITLE) {
        if (at == 0) {
            p->title_first = true;
        } else if (p->title_left > 0) {
            p->title_left--;
        } else {
            unsigned run = title_run(p, at);
            write_u8(&p->w, (uint8_t)(TEXT_TITLE_1 + run - 1));
            p->title_left = run - 1;
        }
    }
    write_u16(&p->w, (uint16_t)(TEXT_SYLLABLE_FLAG << 8 | s->code));
    p->before = BEFORE_SYLLABLE;
}

/* One token with the space before it, if any; returns the next position. */
static size_t pack_token(struct packer *p, size_t at)
{
    bool spaced = p->cps[at] == ' ';
    size_t begin = at + spaced;
    size_t letter_count = word_letter_count(p->cps + begin, p->count - begin);
    struct syllable s;
    bool is_syllable = word_syllable(p->cps + begin, letter_count, &s);
    bool implied = is_syllable ? p->before != BEFORE_GLUE
                               : p->before == BEFORE_SYLLABLE && begin < p->count &&
                                     is_word_character(p->cps[begin]);
    if (spaced && !implied) {
        pack_character(p, ' ');
        return begin;
    }
    if (!spaced && implied)
        write_u8(&p->w, TEXT_JOIN);
    if (is_syllable) {
        pack_syllable(p, &s, begin);
        return begin + letter_count;
    }
    size_t end = begin + (letter_count > 0 ? letter_count : 1);
    for (size_t i = begin; i < end; i++)
        pack_character(p, p->cps[i]);
    return end;
}

/* nfc as packed bytes into buf; returns the length, at most TEXT_PACKED_LEN_MAX. */
static size_t pack_normalised(const char *nfc, size_t len, uint8_t buf[static TEXT_PACKED_LEN_MAX])
{
    uint32_t cps[TEXT_LEN_MAX];
    size_t count = 0;

    if (len == 0)
        return 0;
    for (size_t i = 0, n; i < len; i += n)
        cps[count++] = utf8_get(nfc + i, &n);
    struct packer p = {
        .cps = cps, .count = count, .w = bytes_writer(buf + 1, len - 1), .before = BEFORE_GLUE,
    };
    for (size_t at = 0; at < count && !p.w.failed;)
        at = pack_token(&p, at);
    if (p.w.failed) {
        buf[0] = TEXT_CODEC_PLAIN;
        memcpy(buf + 1, nfc, len);
        return 1 + len;
    }
    buf[0] = p.title_first ? TEXT_CODEC_SYLLABLE_TITLE : TEXT_CODEC_SYLLABLE;
    return 1 + bytes_written(&p.w);
}

int text_normalise(const char *utf8, size_t len, char *nfc, size_t cap, size_t *len_out)
{
    utf8proc_int32_t work[CODE_POINT_COUNT_MAX + 1]; /* one over: utf8proc ends it with NUL */
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;

    *len_out = 0;
    if (len == 0)
        return TEXT_OK;
    if (len > TEXT_INPUT_LEN_MAX)
        return TEXT_ELEN;
    utf8proc_ssize_t count = utf8proc_decompose((const utf8proc_uint8_t *)utf8,
                                                (utf8proc_ssize_t)len, work,
                                                CODE_POINT_COUNT_MAX, options);
    if (count < 0)
        return TEXT_EUTF8;
    if (count > CODE_POINT_COUNT_MAX)
        return TEXT_ELEN;
    count = utf8proc_normalize_utf32(work, count, options);
    assert(count >= 0);

    uint8_t out[TEXT_LEN_MAX];
    struct bytes_writer w = bytes_writer(out, sizeof out);
    for (utf8proc_ssize_t i = 0; i < count; i++) {
        int err = check_code_point((uint32_t)work[i]);
        if (err < 0)
            return err;
        write_utf8(&w, (uint32_t)work[i]);
    }
    if (w.failed)
        return TEXT_ELEN;
    if (bytes_written(&w) > cap)
        return TEXT_EROOM;
    *len_out = bytes_written(&w);
    memcpy(nfc, out, *len_out);
    return TEXT_OK;
}

int text_check(const char *utf8, size_t len)
{
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)utf8 + i,
                                              (utf8proc_ssize_t)(len - i), &cp);
        int err = n < 0 ? TEXT_EUTF8 : check_code_point((uint32_t)cp);
        if (err < 0)
            return err;
        i += (size_t)n;
    }
    return TEXT_OK;
}

int text_pack(const char *utf8, size_t len, uint8_t *packed, size_t cap, size_t *len_out)
{
    char nfc[TEXT_LEN_MAX];
    uint8_t buf[TEXT_PACKED_LEN_MAX];
    size_t nfc_len;

    *len_out = 0;
    int err = text_normalise(utf8, len, nfc, sizeof nfc, &nfc_len);
    if (err < 0)
        return err;
    size_t packed_len = pack_normalised(nfc, nfc_len, buf);
    if (packed_len > cap)
        return TEXT_EROOM;
    if (packed_len > 0)
        memcpy(packed, buf, packed_len);
    *len_out = packed_len;
    return TEXT_OK;
}

/* ---- unpacking ---------------------------------------------------------------------------- */

struct unpacker {
    struct bytes_reader r;
    struct bytes_writer w;
    enum before before;
    unsigned title_left;
    bool caps, join;
};

/* Writes the letters of an onset or a rime, in capitals as asked. */
static void unpack_letters(struct unpacker *u, const uint32_t *letters, size_t count,
                           bool upper_first, bool upper_all)
{
    for (size_t i = 0; i < count; i++) {
        bool upper = upper_all || (upper_first && i == 0);
        write_utf8(&u->w, upper ? to_upper(letters[i]) : letters[i]);
    }
}

static int unpack_syllable(struct unpacker *u, unsigned code)
{
    uint32_t letters[2 * WORD_LETTER_COUNT_MAX];
    size_t onset_count = table_letters(text_onsets[code >> TEXT_FINAL_BITS], letters);
    unsigned final = code & ((1u << TEXT_FINAL_BITS) - 1);
    size_t r = 0;

    while (r < TEXT_RIME_COUNT && final >= text_rimes[r].tone_count)
        final -= text_rimes[r++].tone_count;
    if (r == TEXT_RIME_COUNT)
        return TEXT_EFORM;
    unsigned class = text_rimes[r].tone_count, tone = tone_of_index(class, final);
    uint32_t *rime = letters + onset_count;
    size_t rime_count = table_letters(text_rimes[r].letters, rime);
    size_t tone_at = tone_position(rime, rime_count, class);
    rime[tone_at] = add_tone(rime[tone_at], tone);

    if (u->before != BEFORE_GLUE && !u->join)
        write_u8(&u->w, ' ');
    unpack_letters(u, letters, onset_count + rime_count, u->title_left > 0, u->caps);
    if (u->title_left > 0)
        u->title_left--;
    u->caps = u->join = false;
    u->before = BEFORE_SYLLABLE;
    return TEXT_OK;
}

static int unpack_character(struct unpacker *u, uint32_t cp)
{
    /* A capital that was announced and does not come. */
    if (u->title_left > 0 || u->caps)
        return TEXT_EFORM;
    if (u->before == BEFORE_SYLLABLE && !u->join && is_word_character(cp))
        write_u8(&u->w, ' ');
    write_utf8(&u->w, cp);
    u->join = false;
    u->before = before_after(cp);
    return TEXT_OK;
}

/* The code point after a CODE POINT byte, or -1. */
static int32_t unpack_code_point(struct bytes_reader *r)
{
    utf8proc_int32_t cp;
    utf8proc_ssize_t len = utf8proc_iterate(r->at, (utf8proc_ssize_t)bytes_left(r), &cp);
    if (len < 2)
        return -1;
    read_bytes(r, (size_t)len);
    return cp;
}

static int unpack_token(struct unpacker *u)
{
    uint8_t byte = read_u8(&u->r);
    if (byte & TEXT_SYLLABLE_FLAG) {
        unsigned low = read_u8(&u->r);
        if (u->r.failed)
            return TEXT_EFORM;
        return unpack_syllable(u, (byte & 0x7fu) << 8 | low);
    }
    if (byte >= 0x20 && byte < 0x7f)
        return unpack_character(u, byte);
    if (byte == '\n')
        return unpack_character(u, byte);
    if (byte >= TEXT_TITLE_1 && byte <= TEXT_TITLE_3) {
        if (u->title_left > 0 || u->caps)
            return TEXT_EFORM;
        u->title_left = (unsigned)byte - TEXT_TITLE_1 + 1;
        return TEXT_OK;
    }
    if (byte == TEXT_CAPS) {
        u->caps = true;
        return TEXT_OK;
    }
    if (byte == TEXT_JOIN) {
        u->join = true;
        return TEXT_OK;
    }
    if (byte == TEXT_CODE_POINT) {
        int32_t cp = unpack_code_point(&u->r);
        return cp < 0 ? TEXT_EFORM : unpack_character(u, (uint32_t)cp);
    }
    for (size_t i = 0; i < TEXT_SINGLE_COUNT; i++) {
        if (text_singles[i].byte == byte)
            return unpack_character(u, text_singles[i].code_point);
    }
    return TEXT_EFORM;
}

/* Unfolds a payload of the syllable code into buf. */
static int unpack_payload(const uint8_t *packed, size_t len, bool title_first,
                          char buf[static TEXT_LEN_MAX], size_t *len_out)
{
    struct unpacker u = {
        .r = bytes_reader(packed, len),
        .w = bytes_writer((uint8_t *)buf, TEXT_LEN_MAX),
        .before = BEFORE_GLUE,
        .title_left = title_first,
    };
    while (bytes_left(&u.r) > 0) {
        int err = unpack_token(&u);
        if (err < 0)
            return err;
    }
    if (u.title_left > 0 || u.caps || u.join)
        return TEXT_EFORM;
    if (u.w.failed)
        return TEXT_ELEN;
    *len_out = bytes_written(&u.w);
    return TEXT_OK;
}

int text_unpack(const uint8_t *packed, size_t len, char *utf8, size_t cap, size_t *len_out)
{
    char text[TEXT_LEN_MAX], nfc[TEXT_LEN_MAX];
    uint8_t again[TEXT_PACKED_LEN_MAX];
    size_t text_len = 0, nfc_len;
    int err = TEXT_OK;

    *len_out = 0;
    if (len == 0)
        return TEXT_OK;
    if (len > TEXT_PACKED_LEN_MAX)
        return TEXT_ELEN;
    if (packed[0] >= TEXT_CODEC_COUNT)
        return TEXT_EFORM;
    if (packed[0] == TEXT_CODEC_PLAIN) {
        text_len = len - 1;
        memcpy(text, packed + 1, text_len);
    } else {
        err = unpack_payload(packed + 1, len - 1, packed[0] == TEXT_CODEC_SYLLABLE_TITLE, text,
                             &text_len);
    }
    if (err == TEXT_OK)
        err = text_normalise(text, text_len, nfc, sizeof nfc, &nfc_len);
    if (err < 0)
        return err;
    if (nfc_len != text_len || memcmp(nfc, text, nfc_len) != 0)
        return TEXT_ECANON;
    if (pack_normalised(nfc, nfc_len, again) != len || memcmp(again, packed, len) != 0)
        return TEXT_ECANON;
    if (text_len > cap)
        return TEXT_EROOM;
    memcpy(utf8, text, text_len);
    *len_out = text_len;
    return TEXT_OK;
}

const char *text_strerror(int err)
{
    switch ((enum text_err)err) {
    case TEXT_OK:
        return "no error";
    case TEXT_EUTF8:
        return "the text is not valid UTF-8";
    case TEXT_ECONTROL:
        return "the text has a control character";
    case TEXT_EBIDI:
        return "the text has a mark that changes the direction of writing";
    case TEXT_ELEN:
        return "the text is too long";
    case TEXT_EROOM:
        return "the buffer for the text is too small";
    case TEXT_EFORM:
        return "the packed text is malformed";
    case TEXT_ECANON:
        return "the packed text is not in its one canonical form";
    }
    return "unknown error";
}
