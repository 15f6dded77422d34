/* emu_rnode.h - a board with the RNode firmware, in software: parser, queue, channel access,
 * airtime statistics, and habits good and bad.
 *
 * It behaves as the firmware does where a host can tell the difference.  It departs from it in
 * this: a board that prints to a host which does not read drops whole frames, and the share of
 * the channel that others use is its own.
 *
 * Quirks    "saved-settings": starts with its radio on, on the frequency somebody saved;
 *           "no-statistics": an AVR board, which sends no channel statistics.
 * Source    See rnode_hw.h.
 */
#ifndef KENG_HW_EMU_RNODE_H
#define KENG_HW_EMU_RNODE_H

#include "hw/emu.h"
#include "hw/rnode_hw.h"

enum {
    EMU_RNODE_QUEUE_LEN = 6144,
    EMU_RNODE_PACKET_COUNT = 200,
    EMU_RNODE_BIN_COUNT = 480, /* of 7.5 s: an hour */
};

enum emu_rnode_state { EMU_RNODE_IDLE, EMU_RNODE_DIFS, EMU_RNODE_WINDOW, EMU_RNODE_SENDING };

/* The firmware's state, in emu->state: tests look into it. */
struct emu_rnode {
    bool unprovisioned; /* a test may say so: answers, but its radio stays off */
    bool has_saved;     /* settings that it starts with, radio on */
    struct lora_params saved;
    int8_t saved_power_dbm;

    /* From the host. */
    bool in_frame, has_command, escaped;
    uint8_t command;
    uint8_t argument[4];
    uint8_t argument_len;

    struct lora_params lora; /* freq_hz, bw_hz, sf 0: not set */
    int8_t power_dbm;
    bool power_set, online;
    bool announce;           /* the start is to be told */
    uint16_t short_lock, long_lock;

    uint16_t queue_first, queue_len; /* bytes; the last open_len belong to no packet yet */
    uint16_t open_len;
    uint16_t packet_first, packet_count;
    uint16_t packet_len[EMU_RNODE_PACKET_COUNT];
    uint8_t queue[EMU_RNODE_QUEUE_LEN];

    enum emu_rnode_state state;
    uint64_t timer_us;
    uint64_t look_us;        /* next look at the channel while contending */
    uint8_t window_left;     /* slots */
    uint8_t header;          /* of the packet on the air */
    uint16_t tx_at, tx_len;  /* of that packet */
    uint64_t fail_at_us;     /* the radio hung; 0: no */
    uint8_t tx_packet[RNODE_MTU_LEN];

    uint8_t half_header;     /* of a split packet whose first half came */
    uint16_t half_len;
    uint8_t half[RNODE_PACKET_LEN_MAX];

    uint64_t stat_at_us;
    uint8_t band;            /* of channel access, last told */
    uint64_t bin_number;
    uint32_t bins_us[EMU_RNODE_BIN_COUNT];
};

extern const struct emu_model emu_rnode_model;

#endif
