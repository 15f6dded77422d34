#include "hw/law.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    FIELD_COUNT = 7, /* behind the name */
    DIPOLE_DBI_X100 = 215,
    PER_10000 = 10000,
    DB = 100,
    US_PER_MS = 1000,
};

__attribute__((format(printf, 3, 4)))
static int fail(char *text, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, LAW_TEXT_LEN, format, args); /* cut when too long */
    va_end(args);
    return err;
}

/* A whole number up to the next comma or the end; moves *at past the comma. */
static bool read_number(const char **at, const char *end, int64_t *value_out)
{
    const char *p = *at;
    bool negative = p < end && *p == '-';
    int64_t v = 0;
    p += negative;
    if (p == end || *p < '0' || *p > '9')
        return false;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (*p - '0');
        if (v > UINT32_MAX)
            return false;
    }
    if (p < end && *p++ != ',')
        return false;
    *value_out = negative ? -v : v;
    *at = p;
    return true;
}

/* name,lo_hz,hi_hz,erp_max_dbm_x100,duty_node,duty_gateway,window_s,dwell_ms */
static bool read_line(const char *line, size_t len, struct region *r)
{
    const char *end = line + len;
    const char *comma = memchr(line, ',', len);
    int64_t v[FIELD_COUNT];
    if (!comma || comma == line || comma - line > REGION_NAME_LEN_MAX)
        return false;
    *r = (struct region){ .lo_hz = 0 };
    memcpy(r->name, line, (size_t)(comma - line));
    const char *at = comma + 1;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (!read_number(&at, end, &v[i]) || (i != 2 && v[i] < 0))
            return false;
    }
    r->lo_hz = (uint32_t)v[0];
    r->hi_hz = (uint32_t)v[1];
    r->erp_max_dbm_x100 = (int32_t)v[2];
    r->duty_node = (uint32_t)v[3];
    r->duty_gateway = (uint32_t)v[4];
    r->window_s = (uint32_t)v[5];
    r->dwell_ms = (uint32_t)v[6];
    return at == end && end[-1] != ',' && region_valid(r);
}

/* Takes the region if it is the one asked for, or of its country. */
static bool take(const struct region *r, const char *name, struct region *regions, size_t cap,
                 size_t *count, bool *found)
{
    size_t country_len = strcspn(name, "-") + 1;
    if (strcmp(r->name, name) == 0) {
        if (*found)
            return false;
        *found = true;
        regions[0] = *r;
    } else if (strncmp(r->name, name, country_len) == 0 && *count < cap) {
        regions[(*count)++] = *r;
    }
    return true;
}

int law_find(const char *table, size_t len, const char *name, struct region *regions, size_t cap,
             size_t *count_out, char text[LAW_TEXT_LEN])
{
    const char *end = table + len;
    bool found = false;
    size_t count = 1;
    unsigned number = 0;
    while (table < end) {
        struct region r;
        const char *eol = memchr(table, '\n', (size_t)(end - table));
        size_t line_len = (size_t)((eol ? eol : end) - table);
        number++;
        if (line_len > 0 && table[0] != '#') {
            if (!read_line(table, line_len, &r))
                return fail(text, LAW_ETABLE, "regions: line %u cannot be read", number);
            if (!take(&r, name, regions, cap, &count, &found))
                return fail(text, LAW_ETABLE, "regions: line %u: %s is there twice", number, name);
        }
        table += line_len + (eol ? 1 : 0);
    }
    *count_out = count;
    return found ? LAW_OK : fail(text, LAW_EUNKNOWN, "no region is called \"%s\"", name);
}

static int check_duty(const struct region *region, const struct law_use *use, char *text)
{
    uint32_t max_e4 = use->gateway ? region->duty_gateway : region->duty_node;
    if (use->duty_e4 <= max_e4 && (use->window_s <= region->window_s || max_e4 == PER_10000))
        return LAW_OK;
    return fail(text, LAW_EUNLAWFUL, "%s: %.2f %% of any %" PRIu32 " s; %s may use %.2f %% of any %"
                PRIu32 " s", region->name, use->duty_e4 / 1e2, use->window_s,
                use->gateway ? "a gateway" : "a node", max_e4 / 1e2, region->window_s);
}

int law_check(const struct region *region, const struct law_use *use, char text[LAW_TEXT_LEN])
{
    uint32_t half_hz = (use->lora.bw_hz + 1) / 2;
    uint64_t lo_hz = (uint64_t)region->lo_hz + half_hz;
    uint64_t hi_hz = region->hi_hz > half_hz ? region->hi_hz - half_hz : 0;
    if (lo_hz > hi_hz)
        return fail(text, LAW_EUNLAWFUL, "%s: %" PRIu32 " Hz is wider than the whole band",
                    region->name, use->lora.bw_hz);
    if (use->lora.freq_hz < lo_hz || use->lora.freq_hz > hi_hz)
        return fail(text, LAW_EUNLAWFUL, "%s: %.6f MHz, %" PRIu32 " Hz wide, must lie from %.6f to "
                    "%.6f MHz", region->name, use->lora.freq_hz / 1e6, use->lora.bw_hz,
                    (double)lo_hz / 1e6, (double)hi_hz / 1e6);
    int64_t erp = (int64_t)use->power_dbm_x100 + use->antenna_gain_dbi_x100 -
                  use->cable_loss_db_x100 - DIPOLE_DBI_X100;
    if (erp > region->erp_max_dbm_x100)
        return fail(text, LAW_EUNLAWFUL, "%s: %.2f dBm ERP; at most %.2f: at most %d dBm at the "
                    "modem with this antenna", region->name, (double)erp / DB,
                    region->erp_max_dbm_x100 / (double)DB,
                    (int)law_power_max_dbm(region, use->antenna_gain_dbi_x100,
                                           use->cable_loss_db_x100));
    if (region->dwell_ms > 0 && use->longest_us > (uint64_t)region->dwell_ms * US_PER_MS)
        return fail(text, LAW_EUNLAWFUL, "%s: the longest frame lasts %.1f ms; at most %" PRIu32,
                    region->name, use->longest_us / 1e3, region->dwell_ms);
    return check_duty(region, use, text);
}

int32_t law_power_max_dbm(const struct region *region, int32_t antenna_gain_dbi_x100,
                          int32_t cable_loss_db_x100)
{
    int32_t max_x100 = region->erp_max_dbm_x100 + DIPOLE_DBI_X100 - antenna_gain_dbi_x100 +
                       cable_loss_db_x100;
    return max_x100 >= 0 ? max_x100 / DB : -((-max_x100 + DB - 1) / DB);
}
