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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"
#include "proto/region.h"

enum { LAW_TEXT_LEN = 160 };

enum law_err {
    LAW_OK = 0,
    LAW_EUNLAWFUL = -1,
    LAW_EUNKNOWN = -2, /* no such region in the table */
    LAW_ETABLE = -3,   /* the table cannot be read; the text names the line */
};

/* How a node sends. */
struct law_use {
    struct lora_params lora;
    int32_t power_dbm_x100;        /* at the modem's socket */
    int32_t antenna_gain_dbi_x100;
    int32_t cable_loss_db_x100;
    uint32_t longest_us;           /* time on air of its longest frame */
    bool gateway;                  /* a declared gateway may send longer */
    uint32_t duty_e4, window_s;    /* the share of any window that it will use */
};

/* Finds a region in the text of the table, and behind it the others of its country (whose names
 * begin with the same letters before the '-'), as far as cap reaches.  Every line is read, so that
 * a broken one is told. */
int law_find(const char *table, size_t len, const char *name, struct region *regions, size_t cap,
             size_t *count_out, char text[LAW_TEXT_LEN]) __attribute__((warn_unused_result));
int law_check(const struct region *region, const struct law_use *use, char text[LAW_TEXT_LEN])
    __attribute__((warn_unused_result));
/* The largest power at the modem's socket, in whole dBm rounded down, of that antenna and cable. */
int32_t law_power_max_dbm(const struct region *region, int32_t antenna_gain_dbi_x100,
                          int32_t cable_loss_db_x100);

#endif
