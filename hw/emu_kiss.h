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
 * Time      now_us: virtual microseconds, never going back.  Bytes travel at the line's
 *           baud in both directions; call emu_kiss_run when emu_kiss_next_us has come, after
 *           input, after taking output, and whenever the channel may have become free.
 * Memory    All state is in struct emu_kiss; the radio is the caller's.
 * Errors    None: whatever the host sends, the modem does what the firmware would.
 */
#ifndef KENG_HW_EMU_KISS_H
#define KENG_HW_EMU_KISS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/kiss.h"
#include "hw/kiss_hw.h"
#include "proto/airtime.h"

#define EMU_KISS_NEVER UINT64_MAX

enum {
    EMU_KISS_IN_LEN = 2048,     /* on the line and in the receive buffer */
    EMU_KISS_SERIAL_LEN = 1024, /* the board's transmit buffer */
    EMU_KISS_SLOT_COUNT = 2,
    EMU_KISS_SLOT_LEN = 2 * (KISS_LEN_MAX + 2) + 2,
};

/* The radio behind the modem. */
struct emu_radio {
    void *ctx;
    /* Starts a frame; 0 and its end, or negative when the radio refuses. */
    int (*start_tx)(void *ctx, uint64_t now_us, const uint8_t *frame, size_t len,
                    const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out);
    bool (*receiving)(void *ctx, uint64_t now_us);
    int16_t (*rssi_dbm)(void *ctx, uint64_t now_us);
    void (*tune)(void *ctx, uint64_t now_us, const struct lora_params *lora);
};

enum emu_tx_state {
    EMU_TX_IDLE,
    EMU_TX_WAIT_CLEAR,
    EMU_TX_SLOT_WAIT,
    EMU_TX_DELAY,
    EMU_TX_SENDING,
    EMU_TX_DONE_PENDING,
};

struct emu_kiss {
    struct emu_radio radio;
    uint64_t random;
    uint64_t boot_until_us; /* deaf and dumb before */
    uint64_t hang_until_us;
    uint64_t reboot_at_us;  /* after the reboot command; 0: none */
    uint32_t host_baud;     /* what the host's end is set to */

    /* Settings as the firmware keeps them: all gone after a restart. */
    struct lora_params lora; /* what the radio has */
    int8_t power_dbm;        /* what the radio has */
    uint8_t config[KISS_HW_RADIO_LEN]; /* what it answers: what was last written */
    uint8_t config_power;
    uint8_t tx_delay, persistence, slot_time, tx_tail, full_duplex;
    bool signal_report;
    uint32_t rx_count, tx_count, error_count;

    /* From the host. */
    struct kiss_decoder decoder;
    uint16_t in_first, in_len;
    uint8_t in[EMU_KISS_IN_LEN];
    uint64_t in_line_ns; /* when the first byte in in[] has arrived */

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
    uint16_t serial_first, serial_len;
    uint8_t serial[EMU_KISS_SERIAL_LEN];
    uint64_t serial_line_ns; /* when the first byte in serial[] is through the line */
};

/* Switches the modem on: it boots, which takes about a second, into factory settings. */
void emu_kiss_init(struct emu_kiss *emu, const struct emu_radio *radio, uint64_t seed,
                   uint64_t now_us);
/* A brown-out: everything but the radio and the chance generator starts anew.  The caller cuts
 * what is on the air. */
void emu_kiss_reboot(struct emu_kiss *emu, uint64_t now_us);
/* The firmware's loop stands still until then. */
void emu_kiss_hang(struct emu_kiss *emu, uint64_t until_us);
/* Puts random bytes on the line, as a loose plug does. */
void emu_kiss_garbage(struct emu_kiss *emu, uint64_t now_us, size_t len);
/* Tells what speed the host has set; unless it is 115200 both sides read rubbish. */
void emu_kiss_set_host_baud(struct emu_kiss *emu, uint32_t baud);

/* Bytes from the host; returns how many fit. */
size_t emu_kiss_on_bytes(struct emu_kiss *emu, uint64_t now_us, const uint8_t *buf, size_t len);
size_t emu_kiss_in_room(const struct emu_kiss *emu);
/* The radio heard a frame. */
void emu_kiss_on_rx(struct emu_kiss *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                    int16_t rssi_dbm, int16_t snr_db_x4);
/* Does whatever is due. */
void emu_kiss_run(struct emu_kiss *emu, uint64_t now_us);
/* Bytes that have come through the line, at most cap. */
size_t emu_kiss_poll_output(struct emu_kiss *emu, uint64_t now_us, uint8_t *buf, size_t cap);
/* When to run again if nothing else happens, or EMU_KISS_NEVER. */
uint64_t emu_kiss_next_us(const struct emu_kiss *emu);
/* When more output will have come through, or EMU_KISS_NEVER.  Apart, because a host that
 * does not read must not keep the caller awake. */
uint64_t emu_kiss_output_us(const struct emu_kiss *emu);

#endif
