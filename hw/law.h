/* law.h - is it lawful to send like this, here?
 *
 * A region is one line of data (seeds/catalogue/regions.csv); nothing of it is compiled in.  Powers
 * are hundredths of a dB, shares of time are parts of ten thousand.
 *
 * Time      Pure; bounded by the input.
 * Memory    The caller's.
 * Errors    Negative enum law_err with one line of text that says what, found and allowed.
 * Source    For Vietnam: Circular 08/2021/TT-BTTTT, appendix 19, and QCVN 122:2020/BTTTT: the 99 %
 *           occupied bandwidth must lie inside the band; for LoRa that is its bandwidth.
 */
#ifndef KENG_HW_LAW_H
#define KENG_HW_LAW_H

#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"

enum { LAW_NAME_LEN = 16, LAW_TEXT_LEN = 160 };

enum law_err {
    LAW_OK = 0,
    LAW_EUNLAWFUL = -1,
    LAW_EUNKNOWN = -2, /* no such region in the table */
    LAW_ETABLE = -3,   /* the table cannot be read; the text names the line */
};

struct law_region {
    char name[LAW_NAME_LEN];
    uint32_t lo_hz, hi_hz;
    int32_t erp_max_dbm_x100;
    uint32_t duty_node, duty_gateway; /* of 10000, in any window; 10000: no limit */
    uint32_t window_s;
    uint32_t dwell_ms;                /* longest transmission; 0: no limit */
};

/* How a node sends. */
struct law_use {
    struct lora_params lora;
    int32_t power_dbm_x100;        /* at the modem's socket */
    int32_t antenna_gain_dbi_x100;
    int32_t cable_loss_db_x100;
    uint32_t longest_us;           /* time on air of its longest frame */
};

/* Finds a region in the text of the table.  Every line is read, so that a broken one is told. */
int law_find(const char *table, size_t len, const char *name, struct law_region *region_out,
             char text[LAW_TEXT_LEN]) __attribute__((warn_unused_result));
int law_check(const struct law_region *region, const struct law_use *use, char text[LAW_TEXT_LEN])
    __attribute__((warn_unused_result));
/* The largest power at the modem's socket, in whole dBm rounded down, of that antenna and cable. */
int32_t law_power_max_dbm(const struct law_region *region, int32_t antenna_gain_dbi_x100,
                          int32_t cable_loss_db_x100);

#endif
