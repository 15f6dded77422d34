#include "gateway/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRBUF_CAP_MIN = 1024 };

static const char HEX_DIGITS[] = "0123456789abcdef";
static const char REPLACEMENT[] = "\xef\xbf\xbd";

void strbuf_free(struct strbuf *b)
{
    free(b->text);
    *b = (struct strbuf){ 0 };
}

/* Room for len more bytes and the NUL. */
static bool reserve(struct strbuf *b, size_t len)
{
    if (b->failed || len > STRBUF_LEN_MAX - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + len + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : STRBUF_CAP_MIN;
    while (cap < need)
        cap *= 2;
    char *text = realloc(b->text, cap);
    if (!text) {
        b->failed = true;
        return false;
    }
    b->text = text;
    b->cap = cap;
    return true;
}

/* What was just written behind the text counts now. */
static void take(struct strbuf *b, size_t len)
{
    if (len == 0)
        return;
    b->len += len;
    b->last = b->text[b->len - 1];
    if (b->sink && b->len >= STRBUF_SINK_LEN)
        (void)strbuf_flush(b);
}

bool strbuf_flush(struct strbuf *b)
{
    if (b->sink && !b->failed && b->len > 0) {
        b->failed = fwrite(b->text, 1, b->len, b->sink) != b->len;
        b->len = 0;
        b->text[0] = '\0';
    }
    return !b->failed;
}

void strbuf_put_len(struct strbuf *b, const char *text, size_t len)
{
    if (!reserve(b, len))
        return;
    memcpy(b->text + b->len, text, len);
    b->text[b->len + len] = '\0';
    take(b, len);
}

void strbuf_put(struct strbuf *b, const char *text)
{
    strbuf_put_len(b, text, strlen(text));
}

void strbuf_putf(struct strbuf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0)
        b->failed = true;
    else if (reserve(b, (size_t)len)) {
        vsnprintf(b->text + b->len, (size_t)len + 1, format, again);
        take(b, (size_t)len);
    }
    va_end(again);
    va_end(args);
}

/* Length of the well-formed UTF-8 sequence at s, or 0.  Never reads past the NUL.  U+FFFE and
 * U+FFFF are no characters, and XML has no place for them. */
static size_t utf8_sequence_len(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[0] == 0xe0 && s[1] < 0xa0) ||
            (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xef && s[1] == 0xbf && s[2] > 0xbd))
            return 0;
        return 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80 ||
            (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

void strbuf_put_utf8(struct strbuf *b, const char *text)
{
    while (*text) {
        size_t len = utf8_sequence_len((const unsigned char *)text);
        strbuf_put_len(b, len ? text : REPLACEMENT, len ? len : sizeof REPLACEMENT - 1);
        text += len ? len : 1;
    }
}

static const char *html_reference(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void strbuf_put_html(struct strbuf *b, const char *text)
{
    while (*text) {
        size_t len = utf8_sequence_len((const unsigned char *)text);
        const char *reference = html_reference(*text);
        unsigned char c = (unsigned char)*text;
        if (reference)
            strbuf_put(b, reference);
        else if (len == 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            strbuf_put(b, REPLACEMENT);
        else
            strbuf_put_len(b, text, len);
        text += len ? len : 1;
    }
}

void strbuf_put_json(struct strbuf *b, const char *text)
{
    strbuf_put(b, "\"");
    while (*text) {
        size_t len = utf8_sequence_len((const unsigned char *)text);
        unsigned char c = (unsigned char)*text;
        if (len == 0)
            strbuf_put(b, REPLACEMENT);
        else if (c < 0x20 || c == '"' || c == '\\' || c == '<' || c == '>' || c == 0x7f)
            strbuf_putf(b, "\\u%04x", (unsigned)c);
        else
            strbuf_put_len(b, text, len);
        text += len ? len : 1;
    }
    strbuf_put(b, "\"");
}

void strbuf_put_comma(struct strbuf *b)
{
    if (b->last != '[' && b->last != '{')
        strbuf_put(b, ",");
}

void strbuf_put_hex(struct strbuf *b, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char pair[2] = { HEX_DIGITS[bytes[i] >> 4], HEX_DIGITS[bytes[i] & 15] };
        strbuf_put_len(b, pair, sizeof pair);
    }
}

void strbuf_put_url(struct strbuf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            c == '-' || c == '_' || c == '.')
            strbuf_put_len(b, text, 1);
        else
            strbuf_putf(b, "%%%02X", (unsigned)c);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool strbuf_parse_hex(const char *hex, uint8_t *bytes_out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = high < 0 ? -1 : hex_digit(hex[2 * i + 1]);
        if (low < 0)
            return false;
        bytes_out[i] = (uint8_t)(high << 4 | low);
    }
    return hex[2 * len] == '\0';
}
