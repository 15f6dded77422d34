/* air.h - a model of the shared radio medium, on integer virtual time.
 *
 * Used in real time by keng-air and in virtual time by simulations.  Radios send
 * frames; the model says who hears them, how strongly, and why the others do not.
 *
 * Rules     A frame is heard by every other radio that was on, tuned to the same
 *           frequency, bandwidth, SF and sync word and not sending for the frame's whole time,
 *           for which the received power is at least the sensitivity and at least
 *           capture_db above that of every other frame of the same tuning which
 *           overlapped it.  Frames below the sensitivity do not interfere.  Other
 *           tunings are taken as orthogonal.  Links, positions and cuts count as they
 *           are when the frame ends; a cut counts if it touched the frame at all.
 * Time      now_us never goes back (asserted).  Drain air_poll_event up to a moment before
 *           changing anything later than it: outcomes are worked out when polled.  Events
 *           come in the order of their times, at equal times in the order of the starts.
 * Chance    Every draw is a hash of the seed and of what it is drawn for (frame,
 *           receiver, purpose), so that neither the order of calls nor the number of
 *           radios shifts another draw.  Same config, same calls: same events.
 * Memory    One block of the caller's, air_storage_len(config) bytes: some for each radio and
 *           for each of tx_count_max, and a bit for each ordered pair.
 * Work      A frame costs what its neighbourhood does: radios that no fading could let notice it
 *           are not looked at.  Who moves is looked at by everybody.
 *           Tables in the config (loss matrix, cuts, positions) are borrowed until the
 *           air is no longer used; positions are copied.
 * Errors    Negative enum air_err for the caller's mistakes.
 *
 * Powers and losses are hundredths of a decibel in 32 bits ("_db_x100"), probabilities are
 * parts per million.
 */
#ifndef KENG_HW_AIR_H
#define KENG_HW_AIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"

#define AIR_NEVER UINT64_MAX
#define AIR_NO_LINK INT32_MAX /* in the loss matrix: these two never hear each other */

enum {
    AIR_PPM = 1000000,
    AIR_RADIO_COUNT_MAX = 65535,
};

enum air_err {
    AIR_OK = 0,
    AIR_ECONFIG = -1,  /* a config field is out of range */
    AIR_ESTORAGE = -2, /* storage shorter than air_storage_len */
    AIR_EFULL = -3,    /* tx_count_max transmissions are still of interest */
    AIR_ESENDING = -4, /* this radio is already sending */
    AIR_EOFF = -5,     /* this radio is off */
    AIR_EPARAM = -6,   /* no such radio, bad LoRa parameters, or frame too long or empty */
};

enum air_model { AIR_MATRIX, AIR_LOG_DISTANCE };

struct air_position { int32_t x_m, y_m; };

/* No link between radios of different sides from from_us to before to_us. */
struct air_cut {
    uint64_t from_us, to_us;
    const uint8_t *side; /* radio_count entries; 0 = on no side, links unaffected */
};

struct air_config {
    uint32_t radio_count;    /* 1..AIR_RADIO_COUNT_MAX */
    uint32_t tx_count_max;   /* transmissions remembered at once; 0: 4 radio_count + 64 */
    uint32_t pair_count_max; /* ordered pairs air_set_link may hold off; 0 is fine */
    uint64_t seed;

    enum air_model model;
    const int32_t *loss_db_x100; /* AIR_MATRIX: [sender * radio_count + receiver] or AIR_NO_LINK */
    const struct air_position *positions; /* AIR_LOG_DISTANCE: radio_count of them */
    int32_t ref_m;           /* AIR_LOG_DISTANCE: at least 1 */
    int32_t ref_loss_db_x100;
    int32_t exponent_x100;
    int32_t shadow_sigma_db_x100; /* drawn once an ordered pair */
    /* AIR_LOG_DISTANCE, or NULL: what air_loss_db_x100() says of the first positions, laid out as
     * above.  It spares working it out for every frame; who has moved is worked out anyway. */
    const int32_t *first_loss_db_x100;
    int32_t fading_sigma_db_x100; /* either model: drawn once a frame and receiver */

    int32_t sensitivity_dbm_x100;
    int32_t capture_db_x100;
    int32_t cca_busy_dbm_x100;
    uint32_t cca_miss_ppm;     /* chance that a radio cannot sense a frame, once a frame */
    uint32_t cca_blind_us;     /* a frame younger than this cannot be sensed yet */

    /* Faults, per frame and receiver. */
    uint32_t frame_loss_ppm, bit_flip_ppm, duplicate_ppm;

    const struct air_cut *cuts;
    uint32_t cut_count;
};

enum air_event_type {
    AIR_EV_RX,     /* receiver heard it.  All fields */
    AIR_EV_TX_END, /* the transmission is over, its receivers were reported.  heard_count, cut */
};

struct air_event {
    enum air_event_type type;
    uint64_t at_us;      /* end of the frame */
    uint64_t start_us;
    uint64_t tx_id;      /* 0, 1, 2 … in the order of air_start_tx */
    uint32_t sender;
    uint32_t receiver;   /* AIR_EV_RX */
    int16_t rssi_dbm;    /* AIR_EV_RX */
    int16_t snr_db_x4;   /* AIR_EV_RX */
    bool damaged;        /* AIR_EV_RX: the bit-flip fault struck */
    bool cut;            /* AIR_EV_TX_END: ended early, nobody could receive it */
    uint32_t heard_count;
    uint16_t len;
    const uint8_t *frame; /* valid until the next call with this air */
};

/* Receptions by outcome; for a pair without a link nothing is counted. */
struct air_counts {
    uint64_t tx_frames, tx_bytes, tx_airtime_us, tx_cut;
    uint64_t rx_frames;
    uint64_t collided;          /* drowned by an overlapping frame */
    uint64_t half_duplex_lost;  /* was sending itself */
    uint64_t below_sensitivity;
    uint64_t not_listening;     /* strong enough, but off or tuned elsewhere for a part */
    uint64_t dropped;           /* frame_loss fault */
    uint64_t flipped, duplicated;
};

struct air; /* lives inside the caller's storage */

/* Bytes that air_init needs, or 0 for a config out of range. */
size_t air_storage_len(const struct air_config *config);
/* Builds the air inside storage (aligned for any type).  Radios start on, not tuned. */
int air_init(void *storage, size_t storage_len, const struct air_config *config,
             struct air **air_out) __attribute__((warn_unused_result));

/* Tunes a radio's receiver.  What it was half-way through hearing is lost if this changes
 * frequency, bandwidth or SF. */
int air_tune(struct air *air, uint64_t now_us, uint32_t radio, const struct lora_params *lora)
    __attribute__((warn_unused_result));
/* The word that keeps families apart which share a tuning: a radio hears frames of its own word
 * only, the others still drown what they overlap.  0 at first; same loss as by air_tune. */
void air_set_sync(struct air *air, uint64_t now_us, uint32_t radio, uint32_t sync);
/* Switches a radio on or off; off in mid-frame cuts its transmission. */
void air_set_on(struct air *air, uint64_t now_us, uint32_t radio, bool on);
/* Puts one ordered link off or back on.  AIR_EFULL past pair_count_max. */
int air_set_link(struct air *air, uint64_t now_us, uint32_t sender, uint32_t receiver, bool on)
    __attribute__((warn_unused_result));
void air_set_position(struct air *air, uint64_t now_us, uint32_t radio, struct air_position at);
void air_set_frame_loss(struct air *air, uint32_t frame_loss_ppm);

/* Starts a frame; it ends by itself after its time on air, written to end_us_out. */
int air_start_tx(struct air *air, uint64_t now_us, uint32_t radio, const uint8_t *frame,
                 size_t len, const struct lora_params *lora, int32_t eirp_dbm_x100,
                 uint64_t *end_us_out) __attribute__((warn_unused_result));
/* Ends the radio's running frame now; nothing if it sends none. */
void air_cut_tx(struct air *air, uint64_t now_us, uint32_t radio);
/* Does this radio's carrier sense say busy?  Its own sending counts as busy. */
bool air_busy(struct air *air, uint64_t now_us, uint32_t radio);
bool air_sending(const struct air *air, uint64_t now_us, uint32_t radio);
/* What the radio's receiver measures now: the strongest frame in its channel, or noise. */
int16_t air_rssi_dbm(const struct air *air, uint64_t now_us, uint32_t radio);
/* Thermal noise in a receiver of that bandwidth, noise figure 6 dB. */
int32_t air_noise_dbm_x100(uint32_t bw_hz);

/* When air_poll_event next has something, or AIR_NEVER. */
uint64_t air_next_event_us(const struct air *air);
/* Next reception or end of a transmission not later than now_us, or false. */
bool air_poll_event(struct air *air, uint64_t now_us, struct air_event *event_out);

/* Path loss from sender to receiver, fading apart; AIR_NO_LINK if none. */
int32_t air_loss_db_x100(const struct air *air, uint32_t sender, uint32_t receiver);
/* Sums over all radios, and one radio's share (receptions count at the receiver). */
void air_counts(const struct air *air, struct air_counts *counts_out);
void air_radio_counts(const struct air *air, uint32_t radio, struct air_counts *counts_out);
/* Static text for an enum air_err. */
const char *air_strerror(int err);

#endif
