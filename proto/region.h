/* region.h - what the law says of one band: how loudly and how long one may send there without a
 * licence.  The row of seeds/catalogue/regions.csv that a commune's root signs into its profile. */
#ifndef KENG_PROTO_REGION_H
#define KENG_PROTO_REGION_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REGION_NAME_LEN_MAX = 16,
    REGION_HZ_MAX = 2000000000,
    REGION_ERP_DBM_X100_MAX = 9999, /* and as low below 0 */
    REGION_WINDOW_S_MAX = 86400,
    REGION_DWELL_MS_MAX = 60000,
};

struct region {
    char name[REGION_NAME_LEN_MAX + 1];
    uint32_t lo_hz, hi_hz;             /* the occupied bandwidth must lie inside */
    int32_t erp_max_dbm_x100;
    uint32_t duty_node, duty_gateway;  /* of 10000, in any window; 10000: no limit */
    uint32_t window_s;
    uint32_t dwell_ms;                 /* longest transmission; 0: no limit */
};

/* Are these figures that a law can have?  The name is not looked at. */
static inline bool region_valid(const struct region *r)
{
    return r->lo_hz < r->hi_hz && r->hi_hz <= REGION_HZ_MAX &&
           r->erp_max_dbm_x100 >= -REGION_ERP_DBM_X100_MAX &&
           r->erp_max_dbm_x100 <= REGION_ERP_DBM_X100_MAX && r->duty_node > 0 &&
           r->duty_node <= 10000 && r->duty_gateway > 0 && r->duty_gateway <= 10000 &&
           r->window_s > 0 && r->window_s <= REGION_WINDOW_S_MAX &&
           r->dwell_ms <= REGION_DWELL_MS_MAX;
}

#endif
