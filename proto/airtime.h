/* airtime.h - LoRa time on air, in exact integer microseconds.
 *
 * Formula of Semtech's SX126x driver (sx126x.c, sx126x_get_lora_time_on_air_*):
 *
 *   symbols = preamble + 4.25 (SF 7-12) or 6.25 (SF 5-6) + 8
 *           + ceil(max(8 len + 16 crc - 4 SF + (8 if SF >= 7) + 20 explicit, 0)
 *                  / (4 (SF - 2 LDRO))) (4 + CR)
 *   one symbol = 2^SF / BW
 *
 * Here always: explicit header, CRC on, LDRO when a symbol lasts 16 ms or more.
 * Pure functions; no failure other than parameters out of range.
 */
#ifndef KENG_PROTO_AIRTIME_H
#define KENG_PROTO_AIRTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LORA_SF_MIN = 5,
    LORA_SF_MAX = 12,
    LORA_CR_MIN = 5, /* 4/5 */
    LORA_CR_MAX = 8, /* 4/8 */
    LORA_BW_HZ_MIN = 7800,
    LORA_BW_HZ_MAX = 500000,
    LORA_PAYLOAD_LEN_MAX = 255,
};

struct lora_params {
    uint32_t freq_hz;          /* centre frequency; not used by the formula */
    uint32_t bw_hz;            /* LORA_BW_HZ_MIN to LORA_BW_HZ_MAX */
    uint16_t preamble_symbols; /* programmed preamble, without the 4.25 sync symbols */
    uint8_t sf;                /* 5..12 */
    uint8_t cr;                /* 5..8: coding rate 4/cr */
};

/* Is p within the ranges above? */
bool lora_params_valid(const struct lora_params *p);

/* One symbol in microseconds, rounded up. */
uint32_t lora_symbol_us(const struct lora_params *p);

/* Does the low-data-rate optimisation apply? */
bool lora_ldro(const struct lora_params *p);

/* Time on air of a payload of len bytes, in microseconds, rounded up.
 * p must be valid and len at most LORA_PAYLOAD_LEN_MAX (asserted). */
uint32_t lora_airtime_us(const struct lora_params *p, size_t len);

#endif
