/* strbuf.h - a growing text buffer, with the escapes that keep hostile text harmless.
 *
 * Everything the console and the JSON answers contain goes through here: literal markup by
 * strbuf_put(), anything a person or the network wrote by strbuf_put_html() or strbuf_put_json().
 *
 * Memory    Owns one heap block (strbuf_free), never beyond STRBUF_LEN_MAX.  With a sink it is
 *           emptied into it whenever it is full, and what is written may be of any length.
 * Errors    Sticky: after the first failed growth `failed` is set and nothing more is written.
 *           Check it once, at the end.
 */
#ifndef KENG_GATEWAY_STRBUF_H
#define KENG_GATEWAY_STRBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { STRBUF_LEN_MAX = 8 << 20, STRBUF_SINK_LEN = 64 << 10 };

struct strbuf {
    char *text; /* NUL-ended once anything was written; NULL before */
    size_t len, cap;
    bool failed;
    FILE *sink; /* the caller's; NULL: everything stays in text */
    char last;  /* that was written */
};

void strbuf_free(struct strbuf *b);
/* Hands the rest to the sink; false if anything failed before or now. */
bool strbuf_flush(struct strbuf *b);
void strbuf_put(struct strbuf *b, const char *text);
void strbuf_put_len(struct strbuf *b, const char *text, size_t len);
void strbuf_putf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text for an element or a quoted attribute: the five characters that mean something to HTML
 * become references; control characters and ill-formed UTF-8 become U+FFFD. */
void strbuf_put_html(struct strbuf *b, const char *text);
/* Text as it is, but that ill-formed UTF-8 becomes U+FFFD. */
void strbuf_put_utf8(struct strbuf *b, const char *text);
/* A JSON string with its quotes; '<' and '>' are escaped too. */
void strbuf_put_json(struct strbuf *b, const char *text);
/* The comma between elements: nothing behind an opening bracket. */
void strbuf_put_comma(struct strbuf *b);
/* Bytes as lower-case hex. */
void strbuf_put_hex(struct strbuf *b, const uint8_t *bytes, size_t len);
/* Percent-encoded for a query value. */
void strbuf_put_url(struct strbuf *b, const char *text);

/* Lower- or upper-case hex of exactly len bytes; false if it is anything else. */
bool strbuf_parse_hex(const char *hex, uint8_t *bytes_out, size_t len);

#endif
