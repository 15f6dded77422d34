/* rnode_hw.h - the bytes of the RNode firmware's serial protocol.
 *
 * Shared by the driver and the emulator.  KISS framing; the type byte is the command.  All
 * integers are big-endian.
 *
 * Source    markqvist/RNode_Firmware at d39339f (version 1.86): Framing.h, RNode_Firmware.ino,
 *           Config.h, Utilities.h; protocol facts only.
 */
#ifndef KENG_HW_RNODE_HW_H
#define KENG_HW_RNODE_HW_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/airtime.h"

enum {
    RNODE_BAUD = 115200,
    RNODE_PACKET_LEN_MAX = 254, /* in one LoRa frame, behind the header byte */
    RNODE_HEADER_LEN = 1,
    RNODE_SPLIT = 0x01,         /* bit of the header: half of a longer packet */
    RNODE_MTU_LEN = 508,

    RNODE_DATA = 0x00,
    RNODE_FREQUENCY = 0x01,
    RNODE_BANDWIDTH = 0x02,
    RNODE_TX_POWER = 0x03,
    RNODE_SF = 0x04,
    RNODE_CR = 0x05,
    RNODE_RADIO_STATE = 0x06,
    RNODE_RADIO_LOCK = 0x07,
    RNODE_DETECT = 0x08,
    RNODE_LEAVE = 0x0a,
    RNODE_SHORT_LOCK = 0x0b, /* 0.01 %; 0: off */
    RNODE_LONG_LOCK = 0x0c,
    RNODE_READY = 0x0f,
    RNODE_STAT_RX = 0x21,    /* never counted: always 0 */
    RNODE_STAT_TX = 0x22,
    RNODE_STAT_RSSI = 0x23,
    RNODE_STAT_SNR = 0x24,
    RNODE_STAT_CHANNEL = 0x25,
    RNODE_STAT_PHY = 0x26,
    RNODE_STAT_CSMA = 0x28,
    RNODE_BLINK = 0x30,
    RNODE_RANDOM = 0x40,
    RNODE_BOARD = 0x47,
    RNODE_PLATFORM = 0x48,
    RNODE_MCU = 0x49,
    RNODE_FW_VERSION = 0x50,
    RNODE_CONF_SAVE = 0x53,
    RNODE_CONF_DELETE = 0x54,
    RNODE_RESET = 0x55,
    RNODE_ERROR = 0x90,

    RNODE_QUERY = 0xff,      /* argument of a one-byte setting; four zeros for a long one */
    RNODE_DETECT_ASK = 0x73,
    RNODE_DETECT_ANSWER = 0x46,
    RNODE_RESET_NOW = 0xf8,
    RNODE_OFF = 0x00,
    RNODE_ON = 0x01,

    RNODE_ERR_RADIO_INIT = 0x01,
    RNODE_ERR_TX_FAILED = 0x02,
    RNODE_ERR_MODEM_TIMEOUT = 0x06,

    RNODE_RSSI_OFFSET = 157, /* byte minus this is dBm */
    RNODE_CHANNEL_LEN = 11,  /* own airtime: short 2, long 2; all: 2, 2; three levels */
    RNODE_PHY_LEN = 12,      /* symbol us, its rate, preamble symbols, ms, slot ms, DIFS ms */
    RNODE_CSMA_LEN = 3,      /* band, window min, window max in slots */
};

static inline void rnode_store(uint8_t *b, unsigned len, uint32_t v)
{
    for (unsigned i = 0; i < len; i++)
        b[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
}

static inline uint32_t rnode_load(const uint8_t *b, unsigned len)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < len; i++)
        v = v << 8 | b[i];
    return v;
}

/* At least 18 symbols and at least 24 ms. */
static inline uint16_t rnode_preamble_symbols(const struct lora_params *p)
{
    uint64_t scaled = 24ull * p->bw_hz; /* 24 ms in symbols is this / (1000 2^SF), rounded up */
    uint64_t per = 1000ull << p->sf;
    uint64_t symbols = (scaled + per - 1) / per;
    return (uint16_t)(symbols > 18 ? symbols : 18);
}

/* The firmware divides in whole numbers, and so misses settings which others optimise. */
static inline bool rnode_ldro(const struct lora_params *p)
{
    return (1u << p->sf) / (p->bw_hz / 1000) > 16;
}

/* Slot of its channel access: 12 symbols, 24 to 100 ms. */
static inline uint32_t rnode_slot_ms(const struct lora_params *p)
{
    uint32_t ms = 12 * lora_symbol_us(p) / 1000;
    return ms < 24 ? 24 : ms > 100 ? 100 : ms;
}

#endif
