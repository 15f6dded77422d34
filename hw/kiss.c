#include "hw/kiss.h"

void kiss_decoder_init(struct kiss_decoder *d, enum kiss_escapes escapes)
{
    *d = (struct kiss_decoder){ .escapes = escapes };
}

static enum kiss_verdict end_of_frame(struct kiss_decoder *d)
{
    enum kiss_verdict verdict = KISS_MORE;
    bool broken_escape = d->escapes == KISS_STRICT && d->escaped;
    if (d->noise || d->spoiled || broken_escape) {
        verdict = KISS_GARBLED;
    } else if (d->active && d->len > 0) {
        d->frame_len = d->len;
        verdict = KISS_FRAME;
    }
    d->len = 0;
    d->escaped = false;
    d->spoiled = false;
    d->noise = false;
    d->active = true; /* one FEND may end a frame and begin the next */
    return verdict;
}

enum kiss_verdict kiss_decode(struct kiss_decoder *d, uint8_t byte)
{
    if (byte == KISS_FEND)
        return end_of_frame(d);
    if (!d->active) {
        d->noise = true; /* told once, at the next FEND */
        return KISS_MORE;
    }
    if (byte == KISS_FESC) {
        if (d->escaped && d->escapes == KISS_STRICT)
            d->spoiled = true;
        d->escaped = true;
        return KISS_MORE;
    }
    if (d->escaped) {
        d->escaped = false;
        if (byte == KISS_TFEND) {
            byte = KISS_FEND;
        } else if (byte == KISS_TFESC) {
            byte = KISS_FESC;
        } else {
            d->spoiled = d->spoiled || d->escapes == KISS_STRICT;
            return KISS_MORE;
        }
    }
    if (d->len < KISS_LEN_MAX) {
        d->frame[d->len++] = byte;
        return KISS_MORE;
    }
    /* Too long for any frame: wait for a FEND that begins a new one. */
    d->len = 0;
    d->active = false;
    d->noise = true;
    return KISS_MORE;
}

static size_t put_escaped(uint8_t *out, uint8_t byte)
{
    if (byte != KISS_FEND && byte != KISS_FESC) {
        out[0] = byte;
        return 1;
    }
    out[0] = KISS_FESC;
    out[1] = byte == KISS_FEND ? KISS_TFEND : KISS_TFESC;
    return 2;
}

static size_t escaped_len(uint8_t byte)
{
    return byte == KISS_FEND || byte == KISS_FESC ? 2 : 1;
}

size_t kiss_encode(uint8_t type, const uint8_t *payload, size_t len, uint8_t *out, size_t cap)
{
    if (len + 1 > KISS_LEN_MAX)
        return 0;
    size_t need = 2 + escaped_len(type);
    for (size_t i = 0; i < len; i++)
        need += escaped_len(payload[i]);
    if (need > cap)
        return 0;
    size_t at = 0;
    out[at++] = KISS_FEND;
    at += put_escaped(out + at, type);
    for (size_t i = 0; i < len; i++)
        at += put_escaped(out + at, payload[i]);
    out[at++] = KISS_FEND;
    return at;
}
