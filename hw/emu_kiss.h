/* emu_kiss.h - a MeshCore KISS modem in software: its serial side, its channel access and
 * its habits, good and bad.
 *
 * A pure state machine over bytes and virtual time.  It behaves as the firmware does
 * where a host can tell the difference: parsing, one pending frame, replies, two output
 * slots, p-persistent channel access, settings gone after a restart.  It departs from it
 * in this: the commands that use the board's own key pair answer "not available", and the
 * board has no temperature sensor.
 *
 * Source    See kiss_hw.h.
 */
#ifndef KENG_HW_EMU_KISS_H
#define KENG_HW_EMU_KISS_H

#include "hw/emu.h"
#include "hw/kiss.h"
#include "hw/kiss_hw.h"

enum {
    EMU_KISS_SLOT_COUNT = 2,
    EMU_KISS_SLOT_LEN = 2 * (KISS_LEN_MAX + 2) + 2,
};

enum emu_tx_state {
    EMU_TX_IDLE,
    EMU_TX_WAIT_CLEAR,
    EMU_TX_SLOT_WAIT,
    EMU_TX_DELAY,
    EMU_TX_SENDING,
    EMU_TX_DONE_PENDING,
};

/* The firmware's state, in emu->state: tests look into it. */
struct emu_kiss {
    uint64_t reboot_at_us; /* after the reboot command; 0: none */

    /* Settings as the firmware keeps them: all gone after a restart. */
    struct lora_params lora;           /* what the radio has */
    int8_t power_dbm;                  /* what the radio has */
    uint8_t config[KISS_HW_RADIO_LEN]; /* what it answers: what was last written */
    uint8_t config_power;
    uint8_t tx_delay, persistence, slot_time, tx_tail, full_duplex;
    bool signal_report;
    uint32_t rx_count, tx_count, error_count;

    /* From the host. */
    struct kiss_decoder decoder;

    /* Channel access. */
    enum emu_tx_state tx_state;
    uint64_t tx_timer_us, tx_end_us;
    bool tx_pending;
    bool tx_result;
    uint16_t tx_len;
    uint8_t tx_frame[KISS_HW_PACKET_LEN_MAX];

    /* The one frame the radio chip holds until the firmware fetches it. */
    bool rx_ready;
    uint16_t rx_len;
    uint8_t rx_frame[KISS_HW_PACKET_LEN_MAX];
    int8_t rx_snr_db_x4, rx_rssi_dbm;

    /* To the host. */
    bool busy_error_pending;
    uint8_t slot_first, slot_count;
    struct { uint16_t len, written; uint8_t bytes[EMU_KISS_SLOT_LEN]; } slots[EMU_KISS_SLOT_COUNT];
};

extern const struct emu_model emu_kiss_model;

#endif
