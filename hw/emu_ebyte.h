/* emu_ebyte.h - Ebyte's serial modules in software: E22-900T22S, E220-900T22S and E32-900T20S.
 *
 * They behave as the manuals and field reports say where a host can tell: registers kept and
 * volatile, the mode pins and the time a change takes, AUX, packets cut at a length or a silence
 * (held against the times at which bytes came through the line), listen before talk, RSSI
 * behind what was heard, orders in mid-traffic where a register allows them, the line's speed.
 * What is on the air is their bounds of ebyte_hw.h, and words that keep the families apart.  Wake
 * on radio, relaying and configuration by air are left out: in such a mode it is deaf.
 *
 * Quirks    "somebodys": starts with another's settings: channel, network, key, speed, addressed
 *           packets, soft switch;
 *           "stray-zeros": zero bytes on the line after each change of mode;
 *           "slow-switch": a change of mode takes 30 ms;
 *           "aux-stuck": AUX stays low, as reported after brown-outs.
 * Source    See ebyte_hw.h; reports in the issues of xreef's and KrisKasprzak's libraries.
 */
#ifndef KENG_HW_EMU_EBYTE_H
#define KENG_HW_EMU_EBYTE_H

#include "hw/ebyte_hw.h"
#include "hw/emu.h"

enum {
    EMU_EBYTE_BUFFER_LEN_MAX = 1000,
    EMU_EBYTE_COMMAND_LEN_MAX = 16,
    EMU_EBYTE_PACKET_LEN_MAX = 240,
};

enum emu_ebyte_mode { EMU_EBYTE_TRANSFER, EMU_EBYTE_CONFIG, EMU_EBYTE_DEAF };

/* The firmware's state, in emu->state: tests look into it. */
struct emu_ebyte {
    uint8_t saved[EBYTE_REG_COUNT_MAX]; /* survives power loss */
    uint8_t regs[EBYTE_REG_COUNT_MAX];
    bool rssi_half;     /* a test may say so: early firmware */
    bool refuses_power; /* a test may say so: keeps its own power */

    enum emu_ebyte_mode mode;
    int soft_mode;      /* asked for by order: -1: the pins decide */
    uint64_t switch_us; /* when the change of mode is done; 0: none under way */

    uint8_t command_len;
    uint8_t command[EMU_EBYTE_COMMAND_LEN_MAX];

    uint16_t len;       /* waiting to be sent */
    uint16_t closed_len; /* of these, up to here a silence ended the packet; 0: none */
    uint8_t buffer[EMU_EBYTE_BUFFER_LEN_MAX];
    uint64_t gap_us;    /* silence until then ends packet or command; 0: nothing is open */
    uint64_t last_byte_ns;

    bool sending;
    uint64_t tx_end_us;
    uint64_t lbt_since_us, look_us; /* 0: not listening for a free channel */
    uint8_t last_rssi;
};

extern const struct emu_model emu_ebyte_e22_model;
extern const struct emu_model emu_ebyte_e220_model;
extern const struct emu_model emu_ebyte_e32_model;

#endif
