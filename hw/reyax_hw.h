/* reyax_hw.h - what REYAX's modules with AT commands can do and say.
 *
 * Shared by the drivers and the emulators.
 *
 * Source    REYAX, AT command guides for RYLR998 and RYLR498 (October 2023) and for RYLR896 and
 *           RYLR406 (July 2022); facts only.
 */
#ifndef KENG_HW_REYAX_HW_H
#define KENG_HW_REYAX_HW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/airtime.h"

enum {
    REYAX_BAUD = 115200,
    REYAX_DATA_LEN_MAX = 240,
    REYAX_OVERHEAD_LEN = 8,  /* the module adds so much on air */
    REYAX_BROADCAST = 0,     /* address of all */
    REYAX_ADDRESS_MAX = 65535,

    REYAX_ERR_NO_END = 1,    /* no line end in time */
    REYAX_ERR_NO_AT = 2,
    REYAX_ERR_UNKNOWN = 4,
    REYAX_ERR_LENGTH = 5,    /* of the data is not as said */
    REYAX_ERR_TX_OVERTIME = 10,
    REYAX_ERR_CRC = 12,      /* unasked: something unreadable was heard */
    REYAX_ERR_TOO_LONG = 13,
    REYAX_ERR_BUSY = 17,     /* the frame before is not sent yet */
    REYAX_ERR_PREAMBLE = 18,
    REYAX_ERR_HEADER = 19,   /* unasked */
};

struct reyax_type {
    const char *name;        /* as keng names it */
    const char *version;     /* how AT+VER? answers, to its first digits */
    uint32_t freq_hz_min, freq_hz_max, freq_hz_factory;
    uint8_t sf_max, bw_code_min;
    uint8_t sf_max_at[3];    /* at 125, 250, 500 kHz */
    uint8_t preamble_symbols, power_dbm_max;
    uint8_t network_min, network_max, network_extra, network_factory;
    uint8_t sf_factory, preamble_factory;
};

static const struct reyax_type reyax_types[] = {
    { "rylr998", "RYLR998", 820000000, 960000000, 915000000, 11, 7, { 9, 10, 11 }, 12, 22,
      3, 15, 18, 18, 9, 12 },
    { "rylr498", "RYLR498", 410000000, 525000000, 433000000, 11, 7, { 9, 10, 11 }, 12, 22,
      3, 15, 18, 18, 9, 12 },
    { "rylr896", "RYLR89", 862000000, 1020000000, 915000000, 12, 0, { 12, 12, 12 }, 7, 15,
      0, 16, 0, 0, 12, 4 },
};

/* By the name of driver and emulator; NULL for no such. */
static inline const struct reyax_type *reyax_type_find(const char *name)
{
    for (unsigned i = 0; i < sizeof reyax_types / sizeof reyax_types[0]; i++) {
        if (strcmp(reyax_types[i].name, name) == 0)
            return &reyax_types[i];
    }
    return NULL;
}

enum { REYAX_BW_COUNT = 10 };

/* By its code in AT+PARAMETER; 0 for no such. */
static inline uint32_t reyax_bw_hz(unsigned code)
{
    static const uint32_t known[REYAX_BW_COUNT] = { 7800, 10400, 15600, 20800, 31250, 41700,
                                                    62500, 125000, 250000, 500000 };
    return code < REYAX_BW_COUNT ? known[code] : 0;
}

/* REYAX_BW_COUNT for no such. */
static inline unsigned reyax_bw_code(uint32_t bw_hz)
{
    unsigned code = 0;
    while (code < REYAX_BW_COUNT && reyax_bw_hz(code) != bw_hz)
        code++;
    return code;
}

/* Does the module take this SF at this width? */
static inline bool reyax_sf_ok(const struct reyax_type *t, unsigned sf, unsigned bw_code)
{
    if (bw_code < t->bw_code_min || bw_code >= REYAX_BW_COUNT)
        return false;
    unsigned max = bw_code < 7 ? t->sf_max : t->sf_max_at[bw_code - 7];
    return sf >= 7 && sf <= max;
}

static inline bool reyax_network_ok(const struct reyax_type *t, long network)
{
    return (network >= t->network_min && network <= t->network_max) ||
           network == t->network_extra;
}

#endif
