/* emu_rak3172.h - a RAK3172 with RUI3 firmware 4.0.6, in software: the P2P commands.
 *
 * It behaves as the manual says where a host can tell the difference.  LoRaWAN is played only so
 * far that its mode is where a factory-new module starts and that it knows no P2P there.
 *
 * Quirks    "echo": repeats what it hears (ATE);
 *           "width-index": reads the bandwidth back as an index;
 *           "busy-receiver": AT+PRECV is AT_BUSY_ERROR while it receives, AT+PRECV=0 apart;
 *           "few-commands": knows no AT+IQINVER, AT+ENCRY and AT+CAD.
 * Source    See rak3172_hw.h.
 */
#ifndef KENG_HW_EMU_RAK3172_H
#define KENG_HW_EMU_RAK3172_H

#include "hw/emu_at.h"
#include "hw/rak3172_hw.h"

/* What the module keeps without power. */
struct emu_rak3172_kept {
    struct lora_params lora;
    uint16_t sync;
    uint8_t network; /* 1: LoRaWAN, 0: P2P */
    int8_t power_dbm;
};

struct emu_rak3172 {
    struct emu_at at;
    struct emu_rak3172_kept kept;
    bool old_firmware; /* a test may say so: 3.5.4, which says nothing when a frame has left */
    bool echo;
    uint32_t receive;  /* AT+PRECV */
};

extern const struct emu_model emu_rak3172_model;

#endif
