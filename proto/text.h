/* text.h - report text to and from few bytes, for Vietnamese first.
 *
 * A packed text is empty (no text), or one codec byte and a payload:
 *
 *   0  the NFC UTF-8 text itself
 *   1  syllable code; 2 the same, with the first syllable capitalised (see text_tables.h)
 *
 * text_pack() takes the shortest and prefers 0 when they are equal, so that the result is never
 * longer than the text plus one byte.  Packing is canonical: text_unpack() accepts exactly the
 * byte strings that text_pack() can produce, so one text has one packed form.
 *
 * A text is valid UTF-8 without control characters (newline excepted) and without the marks that
 * reorder what a reader sees; it is put into NFC (Unicode annex 15, by libutf8proc), because some
 * keyboards produce decomposed letters.
 *
 * Time      Linear in the text, times a constant table walk for each syllable.
 * Memory    The caller's buffers; about 12 kB of stack.  No heap.
 * Errors    0 or a negative enum text_err; outputs are not to be used after an error.
 */
#ifndef KENG_PROTO_TEXT_H
#define KENG_PROTO_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

enum {
    TEXT_LEN_MAX = REPORT_TEXT_LEN_MAX,   /* NFC UTF-8 bytes */
    TEXT_INPUT_LEN_MAX = 4 * TEXT_LEN_MAX, /* what may shrink to TEXT_LEN_MAX when composed */
    TEXT_PACKED_LEN_MAX = TEXT_LEN_MAX + 1,
};

enum text_codec {
    TEXT_CODEC_PLAIN = 0,
    TEXT_CODEC_SYLLABLE = 1,
    TEXT_CODEC_SYLLABLE_TITLE = 2,
    TEXT_CODEC_COUNT,
};

enum text_err {
    TEXT_OK = 0,
    TEXT_EUTF8 = -1,    /* not valid UTF-8 */
    TEXT_ECONTROL = -2, /* a control character other than newline */
    TEXT_EBIDI = -3,    /* a mark that overrides or isolates the direction of writing */
    TEXT_ELEN = -4,     /* longer than TEXT_LEN_MAX in NFC */
    TEXT_EROOM = -5,    /* the output buffer is too small */
    TEXT_EFORM = -6,    /* packed bytes that do not decode */
    TEXT_ECANON = -7,   /* packed bytes that text_pack() would have written otherwise */
};

/* Checks a text and puts it into NFC.  No terminating NUL is written or needed. */
int text_normalise(const char *utf8, size_t len, char *nfc, size_t cap, size_t *len_out);

/* The same check alone, of a text of any length. */
int text_check(const char *utf8, size_t len);

/* Normalises and packs; TEXT_PACKED_LEN_MAX bytes are always enough. */
int text_pack(const char *utf8, size_t len, uint8_t *packed, size_t cap, size_t *len_out);

/* TEXT_LEN_MAX bytes are always enough; no terminating NUL is written. */
int text_unpack(const uint8_t *packed, size_t len, char *utf8, size_t cap, size_t *len_out);

/* Static English text for an enum text_err. */
const char *text_strerror(int err);

#endif
