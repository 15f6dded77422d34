/* pieces.h - frames through a modem that is only a pipe of bytes: it keeps no boundaries, may lose,
 * merge or split what it carries, and takes some runs of bytes for orders.
 *
 * A frame travels as 1 to PIECES_COUNT_MAX pieces, each small enough for one transmission of the
 * modem, all but the last of full length, written in one go:
 *
 *     SYNC | key | len | index, count | tag | data, len bytes | CRC-16 of len to data, low first
 *
 * Everything behind the key is masked with it.  The key is chosen so that no run of the bytes
 * C0 C1 C2, in any modem of this kind the beginning of an order, is ever in a piece, and mostly no
 * second SYNC.  Each position of a run rules out one key at most, and there are fewer positions
 * than keys.  The tag is the low byte of the whole frame's CRC: it says what belongs together.
 * Behind each piece the modem may put one byte of its own, the trailer.
 *
 * Time      Bounded by the length; a byte is looked at again at most once for each false SYNC.
 * Memory    The caller's; nothing is kept by pointer.
 * Errors    None for what comes through the pipe: it is garbled, and counted by the caller.
 */
#ifndef KENG_HW_PIECES_H
#define KENG_HW_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"

enum {
    PIECES_SYNC = 0x16, /* no trailer: as a level it would be below any noise, or far too loud */
    PIECES_HEAD_LEN = 5,
    PIECES_OVERHEAD_LEN = PIECES_HEAD_LEN + 2,
    PIECES_LEN_MAX = 240, /* of one piece */
    PIECES_COUNT_MAX = 5,
    PIECES_FRAME_LEN_MAX = LORA_PAYLOAD_LEN_MAX,
};

struct pieces_decoder {
    bool has_trailer;  /* setting: one byte follows each piece */
    bool trailer_due;
    bool frame_due;    /* frame is whole, its trailer is not yet here */
    bool trailer_seen; /* of the frame just told: trailer holds its last one */
    uint8_t trailer;
    bool noise;        /* the bytes that were dropped before this one are told */
    bool lost;         /* and that the frame which pieces belong to is incomplete */
    bool silent;       /* since the last byte */
    uint8_t tag, count, next; /* of the frame being put together; count 0: none */
    uint16_t frame_len;
    uint8_t frame[PIECES_FRAME_LEN_MAX];
    uint16_t len;
    uint8_t bytes[PIECES_LEN_MAX + 1];
};

enum pieces_verdict {
    PIECES_MORE,    /* nothing to be had before the next byte */
    PIECES_FRAME,   /* frame, frame_len, trailer_seen */
    PIECES_GARBLED, /* bytes that belong to no piece, or a frame that stays incomplete; once each */
};

/* How many pieces of at most piece_len_max bytes each a frame of len bytes makes. */
unsigned pieces_count(size_t len, size_t piece_len_max);
/* Length of the index-th of them. */
size_t pieces_len(size_t len, size_t piece_len_max, unsigned index);
/* Writes all pieces of a frame of 1 to PIECES_FRAME_LEN_MAX bytes; their length, or 0 when they
 * do not fit into cap. */
size_t pieces_encode(const uint8_t *frame, size_t len, size_t piece_len_max, uint8_t *out,
                     size_t cap);

void pieces_decoder_init(struct pieces_decoder *d, bool has_trailer);
/* Takes one byte; then call pieces_poll until it says PIECES_MORE. */
void pieces_put(struct pieces_decoder *d, uint8_t byte);
enum pieces_verdict pieces_poll(struct pieces_decoder *d);
/* Is something half-read, so that silence means something? */
bool pieces_waiting(const struct pieces_decoder *d);
/* The pipe has been silent: what is half-read will not be completed.  Then pieces_poll. */
void pieces_on_silence(struct pieces_decoder *d);

#endif
