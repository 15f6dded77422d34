#include "hw/meshtastic.h"

void meshtastic_decoder_init(struct meshtastic_decoder *d)
{
    *d = (struct meshtastic_decoder){ .framing_len = 0 };
}

/* Looks for a beginning; the byte that spoils one may be the first of the next. */
static enum meshtastic_verdict seek(struct meshtastic_decoder *d, uint8_t byte)
{
    bool second = d->framing_len == 1 && byte == MESHTASTIC_START_2;
    d->framing_len = second ? 2 : byte == MESHTASTIC_START_1;
    return d->framing_len > 0 ? MESHTASTIC_MORE : MESHTASTIC_STRAY;
}

static enum meshtastic_verdict end_if_whole(struct meshtastic_decoder *d)
{
    if (d->len < d->want_len)
        return MESHTASTIC_MORE;
    d->framing_len = 0;
    return MESHTASTIC_FRAME;
}

enum meshtastic_verdict meshtastic_decode(struct meshtastic_decoder *d, uint8_t byte)
{
    if (d->framing_len < 2)
        return seek(d, byte);
    if (d->framing_len == 2) {
        d->want_len = (uint16_t)(byte << 8);
        d->framing_len++;
        return MESHTASTIC_MORE;
    }
    if (d->framing_len < MESHTASTIC_FRAMING_LEN) {
        d->want_len |= byte;
        d->framing_len++;
        d->len = 0;
        if (d->want_len <= MESHTASTIC_LEN_MAX)
            return end_if_whole(d);
        d->framing_len = 0;
        return MESHTASTIC_STRAY;
    }
    d->message[d->len++] = byte;
    return end_if_whole(d);
}

void meshtastic_framing(uint8_t out[MESHTASTIC_FRAMING_LEN], size_t len)
{
    out[0] = MESHTASTIC_START_1;
    out[1] = MESHTASTIC_START_2;
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
}
