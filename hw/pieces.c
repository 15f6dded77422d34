#include "hw/pieces.h"

#include <assert.h>
#include <string.h>

enum { AT_KEY = 1, AT_LEN = 2, AT_INDEX = 3, AT_TAG = 4, KEY_COUNT = 256 };

static_assert((int)PIECES_LEN_MAX < (int)KEY_COUNT, "fewer positions of a run than keys");
static_assert(PIECES_COUNT_MAX <= 15, "index and count share a byte");

/* CRC-16/XMODEM: polynomial 1021, from 0. */
static uint16_t crc16(const uint8_t *bytes, size_t len)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

/* ---- out ---------------------------------------------------------------------------- */

unsigned pieces_count(size_t len, size_t piece_len_max)
{
    size_t data_max = piece_len_max - PIECES_OVERHEAD_LEN;
    return (unsigned)((len + data_max - 1) / data_max);
}

size_t pieces_len(size_t len, size_t piece_len_max, unsigned index)
{
    size_t data_max = piece_len_max - PIECES_OVERHEAD_LEN;
    size_t left = len - index * data_max;
    return (left < data_max ? left : data_max) + PIECES_OVERHEAD_LEN;
}

static bool has_run(const uint8_t *piece, size_t len, uint8_t key)
{
    /* From the key's own place on: it stands there unmasked. */
    uint8_t a = key, b = piece[AT_LEN] ^ key;
    for (size_t i = AT_LEN + 1; i < len; i++) {
        uint8_t c = piece[i] ^ key;
        if (a == 0xc0 && b == 0xc1 && c == 0xc2)
            return true;
        a = b;
        b = c;
    }
    return false;
}

static void mask(uint8_t *piece, size_t len)
{
    unsigned chosen = KEY_COUNT;
    for (unsigned key = 0; key < KEY_COUNT; key++) {
        if (key == PIECES_SYNC || has_run(piece, len, (uint8_t)key))
            continue;
        bool alone = !memchr(piece + AT_LEN, (int)(PIECES_SYNC ^ key), len - AT_LEN);
        if (chosen == KEY_COUNT || alone)
            chosen = key;
        if (alone)
            break;
    }
    assert(chosen < KEY_COUNT);
    piece[AT_KEY] = (uint8_t)chosen;
    for (size_t i = AT_LEN; i < len; i++)
        piece[i] ^= (uint8_t)chosen;
}

size_t pieces_encode(const uint8_t *frame, size_t len, size_t piece_len_max, uint8_t *out,
                     size_t cap)
{
    unsigned count = pieces_count(len, piece_len_max);
    uint8_t tag = (uint8_t)crc16(frame, len);
    size_t at = 0;
    assert(len > 0 && len <= PIECES_FRAME_LEN_MAX && piece_len_max <= PIECES_LEN_MAX);
    assert(count <= PIECES_COUNT_MAX);
    if (len + count * PIECES_OVERHEAD_LEN > cap)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        size_t piece_len = pieces_len(len, piece_len_max, i);
        size_t data_len = piece_len - PIECES_OVERHEAD_LEN;
        uint8_t *piece = out + at;
        piece[0] = PIECES_SYNC;
        piece[AT_LEN] = (uint8_t)data_len;
        piece[AT_INDEX] = (uint8_t)(i << 4 | count);
        piece[AT_TAG] = tag;
        memcpy(piece + PIECES_HEAD_LEN, frame, data_len);
        uint16_t crc = crc16(piece + AT_LEN, piece_len - 2 - AT_LEN);
        piece[piece_len - 2] = (uint8_t)crc;
        piece[piece_len - 1] = (uint8_t)(crc >> 8);
        mask(piece, piece_len);
        frame += data_len;
        at += piece_len;
    }
    return at;
}

/* ---- in ----------------------------------------------------------------------------- */

void pieces_decoder_init(struct pieces_decoder *d, bool has_trailer)
{
    *d = (struct pieces_decoder){ .has_trailer = has_trailer };
}

void pieces_put(struct pieces_decoder *d, uint8_t byte)
{
    assert(d->len < sizeof d->bytes);
    d->noise = d->noise && !d->silent;
    d->silent = false;
    d->bytes[d->len++] = byte;
}

static void drop(struct pieces_decoder *d, size_t len)
{
    d->len = (uint16_t)(d->len - len);
    memmove(d->bytes, d->bytes + len, d->len);
}

/* Puts a piece's data where it belongs; true when that shows that a frame, this one or the one
 * before, stays incomplete.  A piece that does not go on where the last one ended starts anew or is
 * of no use: the one between was lost. */
static bool assemble(struct pieces_decoder *d, const uint8_t *piece, size_t data_len)
{
    uint8_t index = piece[AT_INDEX] >> 4, count = piece[AT_INDEX] & 15;
    bool told = d->lost, cut = false;
    d->noise = false;
    if (index == 0) {
        cut = d->count > 0;
        d->tag = piece[AT_TAG];
        d->count = count;
        d->next = 0;
        d->frame_len = 0;
        d->lost = false;
    }
    if (index != d->next || count != d->count || piece[AT_TAG] != d->tag ||
        d->frame_len + data_len > sizeof d->frame) {
        d->count = 0;
        d->lost = true;
        return !told;
    }
    memcpy(d->frame + d->frame_len, piece + PIECES_HEAD_LEN, data_len);
    d->frame_len = (uint16_t)(d->frame_len + data_len);
    d->next++;
    if (d->next < d->count)
        return cut && !told;
    d->count = 0;
    d->frame_due = (uint8_t)crc16(d->frame, d->frame_len) == d->tag;
    return (cut && !told) || !d->frame_due;
}

/* The piece at the beginning of bytes: its length; 0: not all here yet; negative: there is none. */
static int read_piece(const struct pieces_decoder *d, uint8_t piece[PIECES_LEN_MAX])
{
    if (d->bytes[0] != PIECES_SYNC)
        return -1;
    if (d->len <= AT_LEN)
        return 0;
    uint8_t key = d->bytes[AT_KEY];
    size_t len = (size_t)(d->bytes[AT_LEN] ^ key) + PIECES_OVERHEAD_LEN;
    if (len == PIECES_OVERHEAD_LEN || len > PIECES_LEN_MAX)
        return -1;
    if (d->len < len)
        return 0;
    for (size_t i = AT_LEN; i < len; i++)
        piece[i] = d->bytes[i] ^ key;
    uint16_t crc = (uint16_t)(piece[len - 2] | piece[len - 1] << 8);
    uint8_t index = piece[AT_INDEX] >> 4, count = piece[AT_INDEX] & 15;
    if (crc16(piece + AT_LEN, len - 2 - AT_LEN) != crc || count == 0 ||
        count > PIECES_COUNT_MAX || index >= count)
        return -1;
    return (int)len;
}

enum pieces_verdict pieces_poll(struct pieces_decoder *d)
{
    uint8_t piece[PIECES_LEN_MAX];
    for (;;) {
        if (d->trailer_due && d->len > 0) {
            d->trailer_due = false;
            d->trailer_seen = d->bytes[0] != PIECES_SYNC;
            d->trailer = d->bytes[0];
            drop(d, d->trailer_seen ? 1 : 0);
        }
        if (d->frame_due && !d->trailer_due) {
            d->frame_due = false;
            return PIECES_FRAME;
        }
        if (d->trailer_due || d->len == 0)
            return PIECES_MORE;
        int len = read_piece(d, piece);
        if (len == 0)
            return PIECES_MORE;
        drop(d, len > 0 ? (size_t)len : 1);
        if (len < 0 && d->noise)
            continue;
        if (len < 0) {
            d->noise = d->lost = true;
            return PIECES_GARBLED;
        }
        d->trailer_due = d->has_trailer;
        d->trailer_seen = false;
        if (assemble(d, piece, (size_t)len - PIECES_OVERHEAD_LEN))
            return PIECES_GARBLED;
    }
}

bool pieces_waiting(const struct pieces_decoder *d)
{
    return d->len > 0 || d->trailer_due;
}

void pieces_on_silence(struct pieces_decoder *d)
{
    /* Whatever stands first has not become a piece; further on there may be whole ones.  A trailer
     * that has not come does not come. */
    if (d->len > 0)
        d->bytes[0] = (uint8_t)~PIECES_SYNC;
    d->trailer_due = false;
    d->silent = true;
}
