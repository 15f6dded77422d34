/* ebyte_hw.h - the bytes of Ebyte's serial modules E22, E220 and E32.
 *
 * Shared by the driver and the emulator.  The modules are pipes of bytes with registers behind
 * two mode pins.  What they do on the air is not published; what stands here of it is bounds:
 *
 * Modulation  The E32's at 0.3, 1.2, 2.4 and 4.8 kbit/s was read off its radio's wires; at 62.5
 *             kbit/s only SF5 at 500 kHz and 4/5 fits.  For the rest stands the fastest setting
 *             that is not faster than the rate's name: it lasts longer than the module can need.
 * Overhead    An E22 sends 240 bytes in a LoRa frame, which has 255: at most 15 are its own; the
 *             E220 is taken to be alike.  The E32 sends each byte as two, with 12 of its own (read
 *             off its wires, with FEC).
 *
 * Source    Manuals of E22-400T30S, E22-900T22S, E22-T30D, E220-400T30S, E220-400T22S,
 *           E32-433T20D, E32-900T20S; arduino-LoRa issue 203 for the E32's modulation.
 */
#ifndef KENG_HW_EBYTE_HW_H
#define KENG_HW_EBYTE_HW_H

#include <stddef.h>
#include <stdint.h>

#include "hw/modem.h"
#include "proto/airtime.h"

enum ebyte_kind { EBYTE_E22, EBYTE_E220, EBYTE_E32 };

enum {
    EBYTE_BAUD = 9600,        /* at the factory, and of the configuration mode always */
    EBYTE_GAP_BYTES = 3,      /* a silence of so many bytes' time ends a packet, or a command */
    EBYTE_LBT_MS_MAX = 2000,  /* then it sends although the channel is busy */

    /* E22 and E220: command, address, length, data. */
    EBYTE_WRITE_KEEP = 0xc0,
    EBYTE_READ = 0xc1,        /* heads every answer too */
    EBYTE_WRITE = 0xc2,       /* until power is lost */
    EBYTE_WRONG = 0xff,       /* three of them: not understood */
    EBYTE_E22_ID = 0x80,      /* address of the product's name */
    EBYTE_E22_ID_LEN = 7,
    EBYTE_E220_ID = 0x08,
    EBYTE_E220_ID_LEN = 3,
    EBYTE_E22_REG_COUNT = 9,  /* ADDH ADDL NETID REG0 REG1 channel REG3 CRYPTH CRYPTL */
    EBYTE_E220_REG_COUNT = 8, /* the same without NETID */
    EBYTE_REG_COUNT_MAX = EBYTE_E22_REG_COUNT,
    EBYTE_CRYPT_LEN = 2,      /* the last ones: written, but read as 0 */

    EBYTE_ADDRESS_ALL = 0xff, /* both address bytes: heard by all, hears all */
    EBYTE_REG0_BAUD_9600 = 3 << 5,
    EBYTE_REG0_RATE = 7,
    EBYTE_REG1_NOISE_RSSI = 1 << 5,  /* answers to C0 C1 C2 C3 in mid-traffic */
    EBYTE_REG1_SOFT_SWITCH = 1 << 2, /* and changes its mode by it */
    EBYTE_REG1_POWER = 3,
    EBYTE_REG3_RSSI = 1 << 7, /* a byte of RSSI behind each packet heard */
    EBYTE_REG3_FIXED = 1 << 6,
    EBYTE_REG3_LBT = 1 << 4,

    /* E32: the command three times; to write, once and the five registers. */
    EBYTE_E32_READ = 0xc1,
    EBYTE_E32_VERSION = 0xc3,
    EBYTE_E32_RESET = 0xc4,
    EBYTE_E32_REPEAT = 3,
    EBYTE_E32_REG_COUNT = 5,  /* ADDH ADDL SPED channel OPTION */
    EBYTE_SPED_BAUD_9600 = 3 << 3,
    EBYTE_OPTION_FIXED = 1 << 7,
    EBYTE_OPTION_PUSH_PULL = 1 << 6,
    EBYTE_OPTION_FEC = 1 << 2,

    EBYTE_E22_ON_AIR = 15,
    EBYTE_E32_ON_AIR = 5,     /* before each byte is sent as two … */
    EBYTE_E32_CRC_LEN = 2,    /* … and these behind */
    EBYTE_PREAMBLE = 16,
};

/* Modulation by code of the air data rate. */
static const struct ebyte_rate { uint32_t bps; uint32_t bw_hz; uint8_t sf; } ebyte_rates[8] = {
    { 300, 125000, 12 },  { 1200, 250000, 11 }, { 2400, 500000, 11 },  { 4800, 500000, 10 },
    { 9600, 500000, 9 },  { 19200, 500000, 8 }, { 38400, 500000, 6 }, { 62500, 500000, 5 },
};

/* The longest packet: "sub-packet". */
static inline size_t ebyte_packet_len_max(enum ebyte_kind kind)
{
    return kind == EBYTE_E22 ? 240 : kind == EBYTE_E220 ? 200 : 58;
}

/* Bytes of LoRa payload that a packet of so many bytes becomes. */
static inline size_t ebyte_on_air_len(enum ebyte_kind kind, size_t len)
{
    return kind == EBYTE_E32 ? 2 * (EBYTE_E32_ON_AIR + len) + EBYTE_E32_CRC_LEN
                             : EBYTE_E22_ON_AIR + len;
}

/* Pins that choose the mode in which registers are to be had. */
static inline uint8_t ebyte_config_lines(enum ebyte_kind kind)
{
    return kind == EBYTE_E22 ? MODEM_LINE_M1 : MODEM_LINE_M0 | MODEM_LINE_M1;
}

static inline struct lora_params ebyte_lora(uint32_t freq_hz, unsigned rate_code)
{
    const struct ebyte_rate *rate = &ebyte_rates[rate_code];
    return (struct lora_params){ .freq_hz = freq_hz, .bw_hz = rate->bw_hz, .sf = rate->sf,
                                 .cr = LORA_CR_MIN, .preamble_symbols = EBYTE_PREAMBLE };
}

#endif
