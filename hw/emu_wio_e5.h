/* emu_wio_e5.h - a Seeed Wio-E5 (LoRa-E5) with its AT firmware, in software: the test mode.
 *
 * It behaves as the specification says where a host can tell the difference.  Of its LoRaWAN modes
 * only their being there is played: a restarted module is in one and knows no plain LoRa.
 *
 * Quirks    "pnet": names the network word PNET, as some firmware does;
 *           "chatty": +INFO lines of no meaning between its answers.
 * Source    See wio_e5_hw.h.
 */
#ifndef KENG_HW_EMU_WIO_E5_H
#define KENG_HW_EMU_WIO_E5_H

#include "hw/emu_at.h"
#include "hw/wio_e5_hw.h"

struct emu_wio_e5 {
    struct emu_at at;
    bool test_mode;
    uint16_t rx_preamble_symbols;
    bool crc_off, inverted, public_net;
};

extern const struct emu_model emu_wio_e5_model;

#endif
