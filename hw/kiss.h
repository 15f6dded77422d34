/* kiss.h - KISS framing: FEND, type byte, escaped payload, FEND.
 *
 * Source    Chepponis and Karn, "The KISS TNC" (1987), and the MeshCore KISS modem
 *           firmware for the length limit and its way with broken escapes.
 * Time      Pure; bounded by the input.
 * Memory    The decoder is the caller's and holds one frame.
 * Errors    None for the stream: broken input is a verdict.  KISS has no checksum; a
 *           frame cut short by a lost byte looks like a shorter frame.
 */
#ifndef KENG_HW_KISS_H
#define KENG_HW_KISS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KISS_FEND = 0xc0,
    KISS_FESC = 0xdb,
    KISS_TFEND = 0xdc,
    KISS_TFESC = 0xdd,

    KISS_LEN_MAX = 512, /* type byte and payload, unescaped */
    KISS_ENCODED_LEN_MAX = 2 * KISS_LEN_MAX + 2,

    /* Low nibble of the type byte; the high nibble is the port. */
    KISS_DATA = 0x00,
    KISS_TX_DELAY = 0x01,
    KISS_PERSISTENCE = 0x02,
    KISS_SLOT_TIME = 0x03,
    KISS_TX_TAIL = 0x04,
    KISS_FULL_DUPLEX = 0x05,
    KISS_SET_HARDWARE = 0x06,
    KISS_RETURN = 0xff, /* the whole byte */
};

enum kiss_escapes {
    KISS_STRICT,  /* a broken escape spoils its frame: what a host wants */
    KISS_LENIENT, /* a broken escape is dropped, the frame goes on: what the firmware does */
};

enum kiss_verdict {
    KISS_MORE,    /* nothing complete yet */
    KISS_FRAME,   /* frame[0..frame_len) holds type byte and payload */
    KISS_GARBLED, /* a piece of input was dropped */
};

struct kiss_decoder {
    enum kiss_escapes escapes;
    bool active;  /* a FEND was seen: bytes belong to a frame */
    bool escaped;
    bool spoiled; /* strict: drop this frame at its end */
    bool noise;   /* bytes outside any frame are being skipped */
    uint16_t len;
    uint16_t frame_len;
    uint8_t frame[KISS_LEN_MAX];
};

void kiss_decoder_init(struct kiss_decoder *d, enum kiss_escapes escapes);
/* Takes one byte.  After KISS_FRAME the frame stays until the next call. */
enum kiss_verdict kiss_decode(struct kiss_decoder *d, uint8_t byte);
/* Writes one whole frame; returns its length, or 0 when it does not fit into cap or is
 * longer than KISS_LEN_MAX. */
size_t kiss_encode(uint8_t type, const uint8_t *payload, size_t len, uint8_t *out, size_t cap);

#endif
