/* text_tables.h - the syllable code: every table and rule of codecs 1 and 2 (normative).
 *
 * The payload is a row of tokens that unfold, left to right, into code points.
 *
 *   80..ff xx  a syllable.  The 15 bits below the flag are onset (5) and final (10).  An onset is
 *              an index into TEXT_ONSETS.  A final is a rime with a tone: the finals are numbered
 *              from 0, rime after rime in the order of TEXT_RIMES, each with its tones in the
 *              order given at its class.
 *   20..7e     that ASCII character
 *   0a         newline
 *   01 02 03   TITLE: the next one, two or three syllables begin with a capital
 *   04         CAPS: the next syllable is all capitals
 *   05         JOIN: no space before the next token, though one would be implied
 *   06         CODE POINT: one code point of two or more bytes follows, in UTF-8
 *   others     see TEXT_SINGLES; what is not listed is reserved and malformed
 *
 * Codec 2 is codec 1 with the first token, a syllable, capitalised.
 *
 * Implied space  A space stands before a syllable, unless the syllable opens the text or follows
 * newline, space or one of ( [ / - " ' and the left double quote.  A space also stands between
 * a syllable and a word character: ASCII letter or digit, d with stroke, or any CODE POINT.
 *
 * Spelling  A syllable is onset letters, then rime letters, with the tone mark on: the last letter
 * with circumflex, breve or horn; else, before a final consonant, the last vowel; else the first
 * of one or two vowels and the middle of three.  The rimes of class NEW carry it on the second of
 * two vowels, which is how the other school writes them.
 *
 * Encoding  A word is a longest run of Vietnamese or ASCII letters in NFC.  It is a syllable token
 * if it is wholly lower case, wholly upper case or capitalised, has more than one byte, and it
 * splits into an onset and a final; the longest onset that leaves a final is taken.  A single
 * capital letter counts as capitalised, not as CAPS.  Any other word goes letter by letter.
 * TITLE counts as many as follow each other after one space, at most three; the one that codec 2
 * stands for is not counted.  JOIN comes before TITLE or CAPS.
 *
 * Tables may grow at their ends; nothing in them may move.
 */
#ifndef KENG_PROTO_TEXT_TABLES_H
#define KENG_PROTO_TEXT_TABLES_H

#include <assert.h>
#include <stdint.h>

/* Tones: level, huyen, sac, hoi, nga, nang; the columns are base letter and its five marks. */
enum { TONE_COUNT = 6, TONE_SAC = 2, TONE_NANG = 5, VOWEL_COUNT = 12 };

static const uint16_t text_vowels[VOWEL_COUNT][TONE_COUNT] = {
    { 'a', 0xe0, 0xe1, 0x1ea3, 0xe3, 0x1ea1 },
    { 0x103, 0x1eb1, 0x1eaf, 0x1eb3, 0x1eb5, 0x1eb7 },
    { 0xe2, 0x1ea7, 0x1ea5, 0x1ea9, 0x1eab, 0x1ead },
    { 'e', 0xe8, 0xe9, 0x1ebb, 0x1ebd, 0x1eb9 },
    { 0xea, 0x1ec1, 0x1ebf, 0x1ec3, 0x1ec5, 0x1ec7 },
    { 'i', 0xec, 0xed, 0x1ec9, 0x129, 0x1ecb },
    { 'o', 0xf2, 0xf3, 0x1ecf, 0xf5, 0x1ecd },
    { 0xf4, 0x1ed3, 0x1ed1, 0x1ed5, 0x1ed7, 0x1ed9 },
    { 0x1a1, 0x1edd, 0x1edb, 0x1edf, 0x1ee1, 0x1ee3 },
    { 'u', 0xf9, 0xfa, 0x1ee7, 0x169, 0x1ee5 },
    { 0x1b0, 0x1eeb, 0x1ee9, 0x1eed, 0x1eef, 0x1ef1 },
    { 'y', 0x1ef3, 0xfd, 0x1ef7, 0x1ef9, 0x1ef5 },
};

/* The 27 of standard spelling and none; then four of Tay and Nung place names. */
static const char *const text_onsets[] = {
    "", "b", "c", "ch", "d", "đ", "g", "gh", "gi", "h", "k", "kh", "l", "m", "n", "ng", "ngh",
    "nh", "p", "ph", "qu", "r", "s", "t", "th", "tr", "v", "x", "sl", "phj", "bj", "mj",
};

/* Classes of rimes and their tones, in code order:
 * OPEN   all six;
 * STOP   level (typed without marks), sac, nang;
 * PLAIN  level: what typing without marks makes of another rime;
 * NEW    huyen, sac, hoi, nga, nang, on the second vowel. */
enum { RIME_OPEN = 6, RIME_STOP = 3, RIME_PLAIN = 1, RIME_NEW = 5 };

#define TEXT_RIMES(X) \
    X("a", OPEN) X("ai", OPEN) X("ao", OPEN) X("au", OPEN) X("ay", OPEN) X("am", OPEN) \
    X("an", OPEN) X("ang", OPEN) X("anh", OPEN) X("ăm", OPEN) X("ăn", OPEN) X("ăng", OPEN) \
    X("âu", OPEN) X("ây", OPEN) X("âm", OPEN) X("ân", OPEN) X("âng", OPEN) \
    X("e", OPEN) X("eo", OPEN) X("em", OPEN) X("en", OPEN) X("eng", OPEN) \
    X("ê", OPEN) X("êu", OPEN) X("êm", OPEN) X("ên", OPEN) X("ênh", OPEN) \
    X("i", OPEN) X("ia", OPEN) X("iu", OPEN) X("im", OPEN) X("in", OPEN) X("inh", OPEN) \
    X("iêu", OPEN) X("iêm", OPEN) X("iên", OPEN) X("iêng", OPEN) \
    X("o", OPEN) X("oi", OPEN) X("om", OPEN) X("on", OPEN) X("ong", OPEN) X("oong", OPEN) \
    X("ô", OPEN) X("ôi", OPEN) X("ôm", OPEN) X("ôn", OPEN) X("ông", OPEN) \
    X("ơ", OPEN) X("ơi", OPEN) X("ơm", OPEN) X("ơn", OPEN) \
    X("u", OPEN) X("ua", OPEN) X("ui", OPEN) X("um", OPEN) X("un", OPEN) X("ung", OPEN) \
    X("ư", OPEN) X("ưa", OPEN) X("ưi", OPEN) X("ưu", OPEN) X("ưm", OPEN) X("ưn", OPEN) \
    X("ưng", OPEN) X("uôi", OPEN) X("uôm", OPEN) X("uôn", OPEN) X("uông", OPEN) \
    X("ươi", OPEN) X("ươu", OPEN) X("ươm", OPEN) X("ươn", OPEN) X("ương", OPEN) \
    X("oa", OPEN) X("oai", OPEN) X("oao", OPEN) X("oay", OPEN) X("oam", OPEN) X("oan", OPEN) \
    X("oang", OPEN) X("oanh", OPEN) X("oăm", OPEN) X("oăn", OPEN) X("oăng", OPEN) \
    X("oe", OPEN) X("oeo", OPEN) X("oen", OPEN) \
    X("uây", OPEN) X("uân", OPEN) X("uâng", OPEN) X("uê", OPEN) X("uên", OPEN) X("uênh", OPEN) \
    X("uơ", OPEN) X("uy", OPEN) X("uya", OPEN) X("uyu", OPEN) X("uynh", OPEN) X("uyên", OPEN) \
    X("y", OPEN) X("ynh", OPEN) X("yêu", OPEN) X("yêm", OPEN) X("yên", OPEN) X("yêng", OPEN) \
    X("ac", STOP) X("at", STOP) X("ap", STOP) X("ach", STOP) X("ăc", STOP) X("ăt", STOP) \
    X("ăp", STOP) X("âc", STOP) X("ât", STOP) X("âp", STOP) X("ec", STOP) X("et", STOP) \
    X("ep", STOP) X("êt", STOP) X("êp", STOP) X("êch", STOP) X("it", STOP) X("ip", STOP) \
    X("ich", STOP) X("iêc", STOP) X("iêt", STOP) X("iêp", STOP) X("oc", STOP) X("ot", STOP) \
    X("op", STOP) X("ooc", STOP) X("ôc", STOP) X("ôt", STOP) X("ôp", STOP) X("ơt", STOP) \
    X("ơp", STOP) X("uc", STOP) X("ut", STOP) X("up", STOP) X("ưc", STOP) X("ưt", STOP) \
    X("uôc", STOP) X("uôt", STOP) X("uôp", STOP) X("ươc", STOP) X("ươt", STOP) X("ươp", STOP) \
    X("oac", STOP) X("oat", STOP) X("oap", STOP) X("oach", STOP) X("oăc", STOP) X("oăt", STOP) \
    X("oăp", STOP) X("oet", STOP) X("uât", STOP) X("uêch", STOP) X("uyt", STOP) X("uych", STOP) \
    X("uyp", STOP) X("uyêt", STOP) X("yt", STOP) X("yêt", STOP) \
    X("ech", PLAIN) X("enh", PLAIN) X("eu", PLAIN) X("iec", PLAIN) X("iem", PLAIN) \
    X("ien", PLAIN) X("ieng", PLAIN) X("iep", PLAIN) X("iet", PLAIN) X("ieu", PLAIN) \
    X("uan", PLAIN) X("uang", PLAIN) X("uat", PLAIN) X("uay", PLAIN) X("ue", PLAIN) \
    X("uech", PLAIN) X("uen", PLAIN) X("uenh", PLAIN) X("uo", PLAIN) X("uoc", PLAIN) \
    X("uoi", PLAIN) X("uom", PLAIN) X("uon", PLAIN) X("uong", PLAIN) X("uop", PLAIN) \
    X("uot", PLAIN) X("uou", PLAIN) X("uu", PLAIN) X("uyen", PLAIN) X("uyet", PLAIN) \
    X("yem", PLAIN) X("yen", PLAIN) X("yeng", PLAIN) X("yet", PLAIN) X("yeu", PLAIN) \
    X("oa", NEW) X("oe", NEW) X("uy", NEW)

struct text_rime {
    const char *letters; /* without tone, UTF-8 */
    uint8_t tone_count;  /* the class */
};

#define TEXT_RIME_ROW(letters, class) { letters, RIME_##class },
static const struct text_rime text_rimes[] = { TEXT_RIMES(TEXT_RIME_ROW) };
#define TEXT_RIME_TONES(letters, class) + RIME_##class

enum {
    TEXT_ONSET_COUNT = sizeof text_onsets / sizeof text_onsets[0],
    TEXT_RIME_COUNT = sizeof text_rimes / sizeof text_rimes[0],
    TEXT_FINAL_COUNT = 0 TEXT_RIMES(TEXT_RIME_TONES),
    TEXT_FINAL_BITS = 10,
    TEXT_SYLLABLE_FLAG = 0x80,
};

static_assert(TEXT_ONSET_COUNT == 32, "onsets fill five bits");
static_assert(TEXT_FINAL_COUNT <= 1 << TEXT_FINAL_BITS, "finals fit ten bits");

enum text_control {
    TEXT_TITLE_1 = 0x01,
    TEXT_TITLE_2 = 0x02,
    TEXT_TITLE_3 = 0x03,
    TEXT_CAPS = 0x04,
    TEXT_JOIN = 0x05,
    TEXT_CODE_POINT = 0x06,
};

/* Characters outside ASCII that reports and telephones use often, in one byte. */
struct text_single {
    uint8_t byte;
    uint16_t code_point;
};

enum { TEXT_D_LOWER = 0x111, TEXT_D_UPPER = 0x110, TEXT_LEFT_QUOTE = 0x201c };

static const struct text_single text_singles[] = {
    { 0x08, TEXT_D_LOWER },    /* d with stroke, in abbreviations */
    { 0x09, TEXT_D_UPPER },
    { 0x0b, 0xb2 },            /* superscript two */
    { 0x0c, 0xb3 },            /* superscript three */
    { 0x0d, 0xb0 },            /* degree */
    { 0x0e, 0x2013 },          /* en dash */
    { 0x0f, 0x2026 },          /* ellipsis */
    { 0x10, TEXT_LEFT_QUOTE }, /* left double quote */
    { 0x11, 0x201d },          /* right double quote */
};

enum { TEXT_SINGLE_COUNT = sizeof text_singles / sizeof text_singles[0] };

#endif
