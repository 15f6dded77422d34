/* keng_profile.c - the commune's profile: name, radio setting and the law it was held against.
 * `keng profile` shows it and signs another; `keng init` signs the first. */
#include "node/keng_desk.h"

#include <stdlib.h>
#include <string.h>

#include "hw/law.h"
#include "proto/report.h"

enum {
    REGIONS_LEN_MAX = 1 << 16,
    BW_HZ_DEFAULT = 125000,
    SF_DEFAULT = 9,
    CR_DEFAULT = 5,
    PREAMBLE_DEFAULT = 16,
    PREAMBLE_MIN = 6,
    PREAMBLE_MAX = 64,
    DUTY_PER_PERCENT = 100,
    SECONDS_PER_MIN = 60,
};

static const char REGION_DEFAULT[] = "VN-920";

/* The options that change something; without any, the profile is only shown. */
static const enum keng_option changing[] = { OPT_NAME, OPT_CODE, OPT_REGION, OPT_FREQ, OPT_BW,
                                             OPT_SF, OPT_CR, OPT_PREAMBLE, OPT_EIRP };

/* ---- what was asked for --------------------------------------------------------------------- */

static int decimal_option(const struct keng *k, enum keng_option option, unsigned decimals,
                          const char *example, int64_t *value)
{
    const char *text = k->option[option];

    if (text == NULL || keng_parse_decimal(text, decimals, value))
        return KENG_OK;
    return keng_wrong(k, TEXT_WRONG_DECIMAL, KENG_ARGS(keng_option_name(option), text, example));
}

/* The law of a region, and of the other bands of its country, as the data say today. */
static int read_law(const struct keng *k, const char *name, struct profile *p)
{
    char path[KENG_PATH_LEN_MAX + 32], why[LAW_TEXT_LEN];
    size_t len;

    snprintf(path, sizeof path, "%s/catalogue/regions.csv", k->data);
    char *table = keng_read_all(k, path, REGIONS_LEN_MAX, &len);
    if (table == NULL)
        return KENG_FAILED;
    int err = law_find(table, len, name, p->bands, PROFILE_BAND_COUNT_MAX, &p->band_count, why);
    free(table);
    if (err == LAW_EUNKNOWN)
        return keng_wrong(k, TEXT_WRONG_REGION, KENG_ARGS(name, path));
    if (err != LAW_OK)
        return keng_failed(k, TEXT_FAILED_DATA, KENG_ARGS(why));
    memcpy(p->region, p->bands[0].name, sizeof p->region);
    p->duty_node_e4 = (uint16_t)p->bands[0].duty_node;
    p->duty_gateway_e4 = (uint16_t)p->bands[0].duty_gateway;
    p->duty_window_s = p->bands[0].window_s;
    return KENG_OK;
}

/* The power asked for as typed, or as it stands, is none that may be. */
static int wrong_eirp(const struct keng *k, int64_t eirp_dbm, int32_t eirp_max_dbm)
{
    return keng_wrong(k, TEXT_WRONG_EIRP, KENG_ARGS(keng_num(PROFILE_EIRP_DBM_MIN).s,
                                                    keng_num(eirp_max_dbm).s,
                                                    keng_num(eirp_dbm).s));
}

static int check_law(const struct keng *k, const struct profile *p)
{
    const struct region *band = &p->bands[0];
    char why[LAW_TEXT_LEN];

    if (!lora_params_valid(&p->lora))
        return keng_wrong(k, TEXT_WRONG_RADIO, NULL);
    struct law_use use = { .lora = p->lora, .power_dbm_x100 = 100 * p->eirp_dbm,
                           .longest_us = lora_airtime_us(&p->lora, FRAME_LEN_MAX) };
    return law_check(band, &use, why) == LAW_OK ? KENG_OK
                                                : keng_wrong(k, TEXT_WRONG_LAW, KENG_ARGS(why));
}

static int read_power(const struct keng *k, bool first, struct profile *p)
{
    /* With a dipole: gains and losses are those of each node, which checks for itself. */
    int32_t eirp_max_dbm = law_power_max_dbm(&p->bands[0], 0, 0);
    int64_t eirp_dbm = first || p->eirp_dbm > eirp_max_dbm ? eirp_max_dbm : p->eirp_dbm;

    if (eirp_max_dbm > PROFILE_EIRP_DBM_MAX)
        eirp_max_dbm = PROFILE_EIRP_DBM_MAX;
    if (eirp_dbm > PROFILE_EIRP_DBM_MAX)
        eirp_dbm = PROFILE_EIRP_DBM_MAX;
    int status = decimal_option(k, OPT_EIRP, 0, "14", &eirp_dbm);
    if (status != KENG_OK)
        return status;
    if (eirp_dbm < PROFILE_EIRP_DBM_MIN || eirp_dbm > eirp_max_dbm)
        return wrong_eirp(k, eirp_dbm, eirp_max_dbm);
    p->eirp_dbm = (int8_t)eirp_dbm;
    return KENG_OK;
}

/* A figure that does not fit would become another one that does. */
static uint32_t fitting(int64_t value)
{
    return value < 0 || value > UINT32_MAX ? 0 : (uint32_t)value;
}

static int read_radio(const struct keng *k, bool first, struct profile *p)
{
    const struct region *band = &p->bands[0];
    const struct lora_params old = p->lora;
    bool stays = !first && old.freq_hz >= band->lo_hz && old.freq_hz <= band->hi_hz;
    int64_t freq_hz = stays ? old.freq_hz : band->lo_hz + (band->hi_hz - band->lo_hz) / 2;
    int64_t bw_hz = first ? BW_HZ_DEFAULT : old.bw_hz;
    uint64_t sf = first ? SF_DEFAULT : old.sf, cr = first ? CR_DEFAULT : old.cr;
    uint64_t preamble = first ? PREAMBLE_DEFAULT : old.preamble_symbols;

    int status = decimal_option(k, OPT_FREQ, 6, "921.5", &freq_hz);
    if (status == KENG_OK)
        status = decimal_option(k, OPT_BW, 3, "125", &bw_hz);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_SF, LORA_SF_MIN, LORA_SF_MAX, &sf);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_CR, LORA_CR_MIN, LORA_CR_MAX, &cr);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_PREAMBLE, PREAMBLE_MIN, PREAMBLE_MAX, &preamble);
    if (status == KENG_OK)
        status = read_power(k, first, p);
    if (status != KENG_OK)
        return status;
    p->lora = (struct lora_params){
        .freq_hz = fitting(freq_hz), .bw_hz = fitting(bw_hz), .sf = (uint8_t)sf,
        .cr = (uint8_t)cr, .preamble_symbols = (uint16_t)preamble,
    };
    return check_law(k, p);
}

int desk_read_profile(const struct keng *k, struct profile *p)
{
    const char *code = k->option[OPT_CODE], *region = k->option[OPT_REGION];
    bool first = p->region[0] == '\0';
    int status = KENG_OK;

    if (k->option[OPT_NAME] != NULL)
        status = desk_read_name(k, k->option[OPT_NAME], p->name, PROFILE_NAME_LEN_MAX);
    if (status == KENG_OK && code != NULL) {
        size_t digits = strspn(code, "0123456789");
        if (digits == 0 || code[digits] != '\0' || digits > PROFILE_CODE_LEN_MAX)
            return keng_wrong(k, TEXT_WRONG_CODE,
                              KENG_ARGS(code, keng_num(PROFILE_CODE_LEN_MAX).s));
        memcpy(p->code, code, digits + 1);
    }
    if (status == KENG_OK && (first || region != NULL))
        status = read_law(k, region == NULL ? REGION_DEFAULT : region, p);
    if (status == KENG_OK && p->band_count == 0) /* of an older version */
        status = keng_wrong(k, TEXT_WRONG_NO_LAW, KENG_ARGS(p->region));
    return status == KENG_OK ? read_radio(k, first, p) : status;
}

/* ---- telling -------------------------------------------------------------------------------- */

void desk_tell_radio(const struct keng *k, const struct profile *p)
{
    keng_say(k, stdout, TEXT_DESK_RADIO,
             KENG_ARGS(keng_decimal(p->lora.freq_hz, 6).s, keng_decimal(p->lora.bw_hz, 3).s,
                       keng_num(p->lora.sf).s, keng_num(p->lora.cr).s, keng_num(p->eirp_dbm).s));
}

static void tell_band(const struct keng *k, const struct region *band)
{
    keng_say(k, stdout, TEXT_PROFILE_BAND,
             KENG_ARGS(band->name, keng_decimal(band->lo_hz, 6).s, keng_decimal(band->hi_hz, 6).s,
                       keng_decimal(band->erp_max_dbm_x100, 2).s,
                       keng_decimal(band->duty_node, 2).s, keng_decimal(band->duty_gateway, 2).s,
                       keng_decimal((int64_t)band->window_s * 10 / SECONDS_PER_MIN, 1).s));
    if (band->dwell_ms > 0)
        keng_say(k, stdout, TEXT_PROFILE_DWELL, KENG_ARGS(keng_num(band->dwell_ms).s));
}

static json_t *bands_json(const struct profile *p)
{
    json_t *bands = json_array();

    for (size_t i = 0; i < p->band_count; i++) {
        const struct region *b = &p->bands[i];
        json_array_append_new(bands, json_pack(
            "{s:s,s:I,s:I,s:I,s:i,s:i,s:I,s:I}", "name", b->name, "lo_hz", (json_int_t)b->lo_hz,
            "hi_hz", (json_int_t)b->hi_hz, "erp_max_dbm_x100", (json_int_t)b->erp_max_dbm_x100,
            "duty_node_e4", (int)b->duty_node, "duty_gateway_e4", (int)b->duty_gateway,
            "window_s", (json_int_t)b->window_s, "dwell_ms", (json_int_t)b->dwell_ms));
    }
    return bands;
}

static void tell(const struct keng *k, const struct profile *p, uint32_t seq, bool signed_now)
{
    char path[KENG_PATH_LEN_MAX];

    desk_join(path, k->option[OPT_DIR], "commune.keng");
    if (k->option[OPT_JSON] != NULL) {
        json_t *json = json_pack(
            "{s:s,s:s,s:s,s:I,s:I,s:i,s:i,s:i,s:i}", "name", p->name, "code", p->code, "region",
            p->region, "freq_hz", (json_int_t)p->lora.freq_hz, "bw_hz",
            (json_int_t)p->lora.bw_hz, "sf", p->lora.sf, "cr", p->lora.cr, "preamble_symbols",
            p->lora.preamble_symbols, "eirp_dbm", p->eirp_dbm);
        json_object_set_new(json, "bands", bands_json(p));
        json_object_set_new(json, "seq", json_integer(seq));
        json_object_set_new(json, "signed", json_boolean(signed_now));
        json_object_set_new(json, "file", json_string(path));
        keng_print_json(json);
        return;
    }
    keng_say(k, stdout, TEXT_PROFILE_HEAD, KENG_ARGS(p->name, p->code, keng_num(seq).s));
    desk_tell_radio(k, p);
    for (size_t i = 0; i < p->band_count; i++)
        tell_band(k, &p->bands[i]);
    if (signed_now) {
        keng_say(k, stdout, TEXT_PROFILE_SIGNED, KENG_ARGS(path));
        keng_say(k, stdout, TEXT_PROFILE_RESTART, NULL);
    }
}

/* ---- profile -------------------------------------------------------------------------------- */

static int change(const struct keng *k, struct desk *d, struct profile *p)
{
    uint8_t body[RECORD_BODY_LEN_MAX], old[RECORD_BODY_LEN_MAX];
    int old_len = profile_encode(p, old, sizeof old);
    int status = desk_read_profile(k, p);

    if (status != KENG_OK)
        return status;
    int len = profile_encode(p, body, sizeof body);
    /* The same again would only cost airtime. */
    bool same = len >= 0 && len == old_len && memcmp(body, old, (size_t)len) == 0;
    bool dry = k->option[OPT_DRY_RUN] != NULL;
    if (!same && !dry)
        status = desk_append(k, d, RECORD_PROFILE, body, len);
    if (status != KENG_OK)
        return status;
    tell(k, p, same || dry ? d->roster.profile_seq : d->last_seq, !same && !dry);
    if ((same || dry) && k->option[OPT_JSON] == NULL)
        keng_say(k, stdout, same ? TEXT_PROFILE_SAME : TEXT_PROFILE_DRY, NULL);
    return KENG_OK;
}

int keng_run_profile(struct keng *k)
{
    struct desk d;
    bool changes = false;
    int status = desk_open(k, &d);

    for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++)
        changes = changes || k->option[changing[i]] != NULL;
    struct profile p = d.roster.profile;
    if (status == KENG_OK && changes)
        status = change(k, &d, &p);
    else if (status == KENG_OK)
        tell(k, &p, d.roster.profile_seq, false);
    desk_close(&d);
    return status;
}
