/* emu.h - an emulated modem: what all of them share, and the table of those there are.
 *
 * struct emu is the board as its plug shows it: the serial line at its speed in both
 * directions, power, the wires beside the line, and the faults that strike any board.  A
 * struct emu_model is one firmware: a pure state machine that gets bytes once they have come
 * through the line, and puts bytes on it.
 *
 * Time      now_us: virtual microseconds, never going back.  Call emu_run when emu_next_us has
 *           come, after input, after taking output, and whenever the channel may be free.
 * Memory    All state is in struct emu, which must stay put; the radio is the caller's.
 * Errors    None: whatever the host sends, the modem does what the firmware would.
 */
#ifndef KENG_HW_EMU_H
#define KENG_HW_EMU_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/modem.h"
#include "proto/airtime.h"

#define EMU_NEVER UINT64_MAX

enum {
    EMU_IN_LEN = 2048,     /* on the line and in the board's receive buffer */
    EMU_OUT_LEN = 1024,    /* the board's transmit buffer */
    EMU_STATE_LEN = 12288, /* room for any firmware's state */
    EMU_US = 1000,         /* nanoseconds, in which line times are kept */
};

/* The radio behind the modem. */
struct emu_radio {
    void *ctx;
    /* Starts a frame; 0 and its end, or negative when the radio refuses. */
    int (*start_tx)(void *ctx, uint64_t now_us, const uint8_t *frame, size_t len,
                    const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out);
    bool (*receiving)(void *ctx, uint64_t now_us);
    int16_t (*rssi_dbm)(void *ctx, uint64_t now_us);
    /* Frames of another sync word are not heard: EMU_SYNC_LORA, or one of a closed family. */
    void (*tune)(void *ctx, uint64_t now_us, const struct lora_params *lora, uint32_t sync);
};

enum { EMU_SYNC_LORA = 0x12 }; /* LoRa's word for private networks */

struct emu;

struct emu_model {
    const char *name;  /* that of the driver which speaks with it, and in keng-air's file */
    uint32_t baud;     /* at the factory */
    uint8_t lines;     /* enum modem_line: wires it has beside the serial line */
    size_t state_len;  /* at most EMU_STATE_LEN; zeros before the first boot */
    /* Ways in which boards of this kind differ, ended with NULL; the i-th is bit i of quirks. */
    const char *const *quirks;
    /* What the suites set a node with this modem to; zeros stand for 921.5 MHz, 125 kHz, SF7, 4/5,
     * 14 dBm. */
    struct lora_params try_lora;
    int8_t try_power_dbm;
    const char *try_options;

    /* Power comes or came back; factory: what the board had kept is gone too.  Sets baud,
     * boot_until_us and the radio. */
    void (*boot)(struct emu *emu, uint64_t now_us, bool factory);
    void (*on_byte)(struct emu *emu, uint64_t now_us, uint8_t byte);
    void (*on_rx)(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                  int16_t rssi_dbm, int16_t snr_db_x4);
    /* Does what is due.  More may become due by it at once: next_us says. */
    void (*run)(struct emu *emu, uint64_t now_us);
    uint64_t (*next_us)(const struct emu *emu);
    /* The host changed an output line; NULL without such. */
    void (*on_lines)(struct emu *emu, uint64_t now_us);
};

/* One direction of the serial line: bytes that are on it or wait at its end. */
struct emu_line {
    uint16_t first, len, cap;
    uint16_t pass_len, drop_len; /* fault: after so many bytes, so many are lost */
    uint64_t first_ns;           /* when the first byte is through */
    uint8_t *bytes;
};

struct emu {
    const struct emu_model *model;
    struct emu_radio radio;
    uint64_t random;
    uint32_t quirks;
    uint32_t baud;          /* the board's own end */
    uint32_t host_baud;
    uint8_t lines_in;       /* what the host drives; outputs of enum modem_line */
    uint8_t lines_out;      /* what the board drives */
    uint64_t boot_until_us; /* deaf and dumb before: what comes in is lost */
    uint64_t busy_until_us; /* the firmware does not look at anything before; set by the model */
    uint64_t hang_until_us; /* the same as a fault */
    uint32_t slow_us;       /* fault: every answer is so much late */
    bool stubborn;          /* fault: settings are taken with a yes and not kept; for the model */
    uint64_t byte_at_ns;    /* when the byte given to on_byte had come through the line */
    struct emu_line in, out;
    uint8_t in_bytes[EMU_IN_LEN], out_bytes[EMU_OUT_LEN];
    alignas(max_align_t) uint8_t state[EMU_STATE_LEN];
};

/* The model of that name, or NULL; the index-th, or NULL past the last. */
const struct emu_model *emu_model_find(const char *name);
const struct emu_model *emu_model_at(size_t index);
/* What a node that uses this model in a test is set to. */
struct modem_settings emu_try_settings(const struct emu_model *model);

/* Switches a board on for the first time: it boots into factory settings. */
void emu_init(struct emu *emu, const struct emu_model *model, const struct emu_radio *radio,
              uint32_t quirks, uint64_t seed, uint64_t now_us);
/* Power was away and is back; or, brown-out, what the board had kept is gone as well.  What is on
 * the air ends. */
void emu_restart(struct emu *emu, uint64_t now_us, bool factory);
/* Faults.  The firmware stands still until then. */
void emu_hang(struct emu *emu, uint64_t until_us);
/* Puts random bytes on the line to the host, as a loose plug does. */
void emu_garbage(struct emu *emu, uint64_t now_us, size_t len);
/* Some of the next bytes in each direction are lost: half a line. */
void emu_cut_line(struct emu *emu);
/* From now on every answer comes so much later. */
void emu_slow(struct emu *emu, uint32_t slow_us);
/* It says yes to every setting and keeps those that it has, over restarts too. */
void emu_stubborn(struct emu *emu, bool on);

/* What the host has set its port to. */
void emu_set_host_baud(struct emu *emu, uint32_t baud);
void emu_set_lines(struct emu *emu, uint64_t now_us, uint8_t lines);

/* Bytes from the host; returns how many fit. */
size_t emu_on_bytes(struct emu *emu, uint64_t now_us, const uint8_t *buf, size_t len);
size_t emu_in_room(const struct emu *emu);
/* The radio heard a frame. */
void emu_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
               int16_t rssi_dbm, int16_t snr_db_x4);
/* Does whatever is due. */
void emu_run(struct emu *emu, uint64_t now_us);
/* Bytes that have come through the line, at most cap. */
size_t emu_poll_output(struct emu *emu, uint64_t now_us, uint8_t *buf, size_t cap);
/* When to run again if nothing else happens, or EMU_NEVER. */
uint64_t emu_next_us(const struct emu *emu);
/* When more output will have come through, or EMU_NEVER.  Apart, because a host that
 * does not read must not keep the caller awake. */
uint64_t emu_output_us(const struct emu *emu);

/* ---- for models ------------------------------------------------------------------- */

uint8_t emu_random_byte(struct emu *emu);
/* Puts bytes on the line to the host; returns how many fit. */
size_t emu_put(struct emu *emu, uint64_t now_us, const void *bytes, size_t len);
size_t emu_out_room(const struct emu *emu);
bool emu_has_quirk(const struct emu *emu, unsigned index);

#endif
