/* modem_rig.h - any two nodes' modems in one air, in virtual time: driver, serial line, wires,
 * emulated board, radio.
 *
 * The rig is the caller that modem.h asks for, and watches what must always hold: every frame
 * taken by modem_send ends exactly once; nothing asks to be woken at once for ever; text is
 * one line; nothing is sent elsewhere, wider or louder than modem_air said.  A broken promise
 * ends the process with one line that names it.
 *
 * Time      Virtual microseconds in rig->now_us.
 * Memory    All in struct rig, which is large: make it static.
 */
#ifndef KENG_TESTS_SUPPORT_MODEM_RIG_H
#define KENG_TESTS_SUPPORT_MODEM_RIG_H

#include "hw/air.h"
#include "hw/emu.h"
#include "hw/modem.h"

enum { RIG_SIDE_COUNT = 2, RIG_LOSS_DB = 100, RIG_STORAGE_LEN = 65536, RIG_S = 1000000 };

struct rig;

struct rig_side {
    struct rig *rig;
    uint32_t index;
    bool plugged;
    struct modem modem;
    struct emu emu;
    struct modem_air promise;
    uint8_t lines_told;

    bool outstanding;         /* a frame was taken and has not ended */
    unsigned event_count[MODEM_EV_FAULT + 1];
    unsigned result_count[MODEM_TX_UNKNOWN + 1];
    uint64_t charged_us;
    uint64_t wake_count;      /* deadlines of the driver that came */
    struct modem_event last_rx;
    char last_text[MODEM_TEXT_LEN];
};

struct rig {
    uint64_t now_us;
    struct air *air;
    const struct modem_driver *driver;
    bool forged; /* the line tells the driver lies: what is sent may break the promise */
    struct rig_side sides[RIG_SIDE_COUNT];
    /* Every event, after the rig has counted it; NULL for none. */
    void (*on_event)(struct rig_side *s, const struct modem_event *ev);
    /* The last bytes on their way to the host, which a test may change; NULL for none. */
    void (*on_line)(struct rig_side *s, uint8_t *bytes, size_t len);
    alignas(max_align_t) uint8_t storage[RIG_STORAGE_LEN];
};

/* Both boards are powered and boot, the ports are closed.  Keeps on_event and on_line. */
void rig_build(struct rig *rig, const struct emu_model *model, uint32_t quirks, uint64_t seed);
/* The same for two modems which may differ; rig->driver is that of the first. */
void rig_build_pair(struct rig *rig, const struct emu_model *const models[RIG_SIDE_COUNT],
                    const struct modem_settings settings[RIG_SIDE_COUNT], uint32_t quirks,
                    uint64_t seed);
/* Unplugged: port and power are gone. */
void rig_unplug(struct rig_side *s);
/* Plugs in, if it is not, and opens the port. */
void rig_open(struct rig_side *s);
/* Power of the board alone: its port stays, as that of a USB bridge does. */
void rig_restart(struct rig_side *s, bool factory);
/* Hands bytes to the driver as if the modem had sent them. */
void rig_give(struct rig_side *s, const uint8_t *bytes, size_t len);
/* modem_send, counted. */
int rig_send(struct rig_side *s, const uint8_t *frame, size_t len);
void rig_run_until(struct rig *rig, uint64_t until_us);
/* Runs until s may send, at most until then; false if that came first. */
bool rig_settle(struct rig_side *s, uint64_t limit_us);

#endif
