/* emu_tnc.h - a LoRa TNC of radio amateurs in software, as small boards with LoRa KISS firmware
 * are: what comes as a data frame goes on the air as it is, what is heard goes to the host.
 *
 * A pure state machine over bytes and virtual time.  Its frequency, modulation and power stand in
 * its own configuration, which KISS can't touch and which a brown-out does not lose; the five
 * parameters of channel access it forgets with its power.
 *
 * Source    Chepponis and Karn, "The KISS TNC" (1987); the manuals of LoRa KISS boards.
 */
#ifndef KENG_HW_EMU_TNC_H
#define KENG_HW_EMU_TNC_H

#include "hw/emu.h"
#include "hw/kiss.h"

enum { EMU_TNC_QUEUE_COUNT = 4 };

enum emu_tnc_quirk {
    EMU_TNC_DEAF_CSMA, /* it does not listen before it talks */
};

/* The firmware's state, in emu->state: tests look into it. */
struct emu_tnc {
    struct lora_params lora; /* as its owner has set it */
    int8_t power_dbm;
    uint8_t tx_delay, persistence, slot_time, tx_tail, full_duplex;
    struct kiss_decoder decoder;
    bool sending;
    uint64_t timer_us, tx_end_us;
    uint8_t first, count;
    struct { uint16_t len; uint8_t bytes[LORA_PAYLOAD_LEN_MAX]; } queue[EMU_TNC_QUEUE_COUNT];
};

extern const struct emu_model emu_tnc_model;

#endif
