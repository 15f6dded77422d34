/* keng_setup.c - `keng modem set-up`: the fastest lawful setting that reaches far enough, and the
 * radio part of kengd.conf.
 *
 * Reach is judged by free space plus a margin for hills, trees, rain and fading: a first choice,
 * which `keng modem test` then confirms or not.  Sensitivity is thermal noise, 6 dB of noise figure
 * and the least SNR of each spreading factor; within 2.5 dB of the SX1272's datasheet. */
#include "node/keng_cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hw/law.h"
#include "hw/modem.h"
#include "node/home.h"
#include "node/settings.h"

enum {
    CONF_LEN_MAX = 65536,
    KEY_COUNT_MAX = 12,
    MARGIN_DB_DEFAULT = 30,
    MARGIN_DB_MAX = 100,
    RANGE_M_MAX = 100000,
    GAIN_DBI_MAX = 30,
    TRIAL_LEN = 100, /* bytes of the frame whose airtime is compared: a typical report */
    TEXT_LEN = SETTINGS_PATH_LEN + SETTINGS_NAME_LEN,
};

static const double NOISE_FIGURE_DB = 6, NOISE_DBM_PER_HZ = -174;

/* A line of kengd.conf to be. */
struct pair { char key[SETTINGS_NAME_LEN], value[TEXT_LEN]; };

struct setup {
    struct profile profile;
    uint32_t profile_seq;
    struct settings settings;
    size_t index;                /* of the modem in settings */
    struct settings_modem modem; /* as it is to be */
    const struct modem_driver *driver;
    struct region region;
    struct pair pairs[KEY_COUNT_MAX];
    size_t pair_count;
    double loss_db; /* to be reached across; 0: not asked */
    int power_dbm;
};

static double sensitivity_dbm(const struct lora_params *p)
{
    return NOISE_DBM_PER_HZ + 10 * log10(p->bw_hz) + NOISE_FIGURE_DB - 2.5 * (p->sf - 4);
}

/* Decibels left at the other end, which has an antenna like ours. */
static double spare_db(const struct setup *s, const struct lora_params *p)
{
    int antenna_db = s->modem.antenna_gain_dbi - s->modem.cable_loss_db;
    return s->power_dbm + 2 * antenna_db - s->loss_db - sensitivity_dbm(p);
}

static int load_profile(const struct keng *k, struct setup *s)
{
    char err[HOME_ERR_LEN];
    uint8_t *bytes = NULL;
    struct batch_reader reader;
    struct roster roster;
    const uint8_t *record;
    struct record_view view;
    size_t len;

    if (home_read_commune(k->home, &bytes, &reader, err) != 0)
        return keng_failed(k, TEXT_FAILED, KENG_ARGS(err));
    roster_init(&roster, reader.header.root_key);
    while (batch_next(&reader, &record, &len) > 0) {
        if (roster_verify(&roster, record, len, &view) == ROSTER_VALID)
            roster_apply(&roster, &view);
    }
    s->profile = roster.profile;
    s->profile_seq = roster.profile_seq;
    roster_free(&roster);
    free(bytes);
    if (s->profile.band_count == 0)
        return keng_failed(k, TEXT_FAILED_NO_LAW, NULL);
    return KENG_OK;
}

/* A running kengd may have heard of a newer profile than the file's. */
static int check_newest(const struct keng *k, const struct setup *s)
{
    struct client c;
    json_t *answer = NULL;
    int64_t seq = 0;

    if (client_open(&c, k->socket) != 0)
        return KENG_OK; /* it does not run */
    if (client_call(&c, json_pack("{s:s}", "do", "status"), KENG_CALL_TIMEOUT_MS, &answer) == 0)
        seq = keng_integer_of(answer, "profile");
    json_decref(answer);
    client_close(&c);
    return seq <= s->profile_seq ? KENG_OK
                                 : keng_failed(k, TEXT_FAILED_OLD_PROFILE, KENG_ARGS(k->home));
}

/* The band that a frequency lies in; a frequency in none is the law's to refuse. */
static const struct region *band_of(const struct profile *p, uint32_t freq_hz)
{
    for (size_t i = 0; i < p->band_count; i++) {
        if (freq_hz >= p->bands[i].lo_hz && freq_hz <= p->bands[i].hi_hz)
            return &p->bands[i];
    }
    return &p->bands[0];
}

static void add_pair(struct setup *s, const char *key, const char *value, bool quoted)
{
    struct pair *p = &s->pairs[s->pair_count++];

    snprintf(p->key, sizeof p->key, "%s", key);
    snprintf(p->value, sizeof p->value, quoted ? "\"%s\"" : "%s", value);
}

/* A text option into the settings and the lines to be written. */
static int take_text(const struct keng *k, struct setup *s, enum keng_option option,
                     const char *key, char *to, size_t cap)
{
    const char *text = k->option[option];

    if (text == NULL)
        return KENG_OK;
    if (strlen(text) >= cap || strpbrk(text, "\"\\\n") != NULL)
        return keng_wrong(k, TEXT_WRONG_CONF_TEXT, KENG_ARGS(keng_option_name(option), text));
    snprintf(to, cap, "%s", text);
    add_pair(s, key, text, true);
    return KENG_OK;
}

static int take_db(const struct keng *k, struct setup *s, enum keng_option option, const char *key,
                   int min, int *to)
{
    const char *text = k->option[option];
    int64_t value;

    if (text == NULL)
        return KENG_OK;
    if (!keng_parse_decimal(text, 0, &value) || value < min || value > GAIN_DBI_MAX)
        return keng_wrong(k, TEXT_WRONG_NUMBER,
                          KENG_ARGS(keng_option_name(option), keng_num(min).s,
                                    keng_num(GAIN_DBI_MAX).s, text));
    *to = (int)value;
    add_pair(s, key, keng_num(value).s, false);
    return KENG_OK;
}

static int take_options(const struct keng *k, struct setup *s)
{
    struct settings_modem *m = &s->modem;
    int status = take_text(k, s, OPT_PORT, "modem", m->port, sizeof m->port);

    if (status == KENG_OK)
        status = take_text(k, s, OPT_DRIVER, "driver", m->driver, sizeof m->driver);
    if (status == KENG_OK)
        status = take_text(k, s, OPT_SETTINGS, "options", m->options, MODEM_OPTIONS_LEN);
    if (status == KENG_OK)
        status = take_text(k, s, OPT_WIRES, "lines", m->lines, sizeof m->lines);
    if (status == KENG_OK)
        status = take_text(k, s, OPT_AMATEUR, "amateur_call", m->amateur_call, MODEM_CALL_LEN);
    if (status == KENG_OK)
        status = take_db(k, s, OPT_GAIN, "antenna_gain_dbi", -GAIN_DBI_MAX, &m->antenna_gain_dbi);
    if (status == KENG_OK)
        status = take_db(k, s, OPT_LOSS, "cable_loss_db", 0, &m->cable_loss_db);
    s->driver = modem_driver_find(m->driver);
    if (status == KENG_OK && s->driver == NULL)
        status = keng_wrong(k, TEXT_WRONG_DRIVER, KENG_ARGS(m->driver));
    return status;
}

static int take_range(const struct keng *k, struct setup *s)
{
    int64_t range_m = 0;
    uint64_t margin_db = MARGIN_DB_DEFAULT;
    const char *text = k->option[OPT_RANGE];

    int status = keng_number_option(k, OPT_MARGIN, 0, MARGIN_DB_MAX, &margin_db);
    if (status != KENG_OK || text == NULL)
        return status;
    if (!keng_parse_decimal(text, 3, &range_m) || range_m < 1 || range_m > RANGE_M_MAX)
        return keng_wrong(k, TEXT_WRONG_DECIMAL, KENG_ARGS("range", text, "8.5"));
    double mhz = settings_lora(&s->modem, &s->profile.lora).freq_hz / 1e6;
    s->loss_db = 32.45 + 20 * log10((double)range_m / 1000) + 20 * log10(mhz) + (double)margin_db;
    return KENG_OK;
}

/* Can this modem send so, and may it? */
static bool possible(struct setup *s, const struct lora_params *p, char why[static MODEM_TEXT_LEN])
{
    static struct modem modem; /* too large for a stack that recurses nowhere */
    struct modem_settings settings = modem_settings_default(p, (int8_t)s->power_dbm);
    struct modem_air air;

    if (!lora_params_valid(p)) {
        snprintf(why, MODEM_TEXT_LEN, "LoRa has no such setting");
        return false;
    }
    snprintf(settings.options, sizeof settings.options, "%.*s", MODEM_OPTIONS_LEN - 1,
             s->modem.options);
    snprintf(settings.amateur_call, sizeof settings.amateur_call, "%.*s", MODEM_CALL_LEN - 1,
             s->modem.amateur_call);
    settings.lines = s->driver->caps.lines_needed;
    if (modem_init(&modem, s->driver, &settings, 0, why) != MODEM_OK)
        return false;
    modem_air(&modem, &air);
    struct law_use use = {
        .lora = air.lora, .power_dbm_x100 = 100 * air.power_dbm,
        .antenna_gain_dbi_x100 = 100 * s->modem.antenna_gain_dbi,
        .cable_loss_db_x100 = 100 * s->modem.cable_loss_db,
        .longest_us = modem_airtime_us(&modem, s->driver->caps.mtu_len),
    };
    return law_check(&s->region, &use, why) == LAW_OK;
}

/* The fastest of all that reaches; false when none does. */
static bool choose(struct setup *s, struct lora_params *best_out)
{
    static const uint32_t widths_hz[] = { 500000, 250000, 125000 };
    struct lora_params now = settings_lora(&s->modem, &s->profile.lora);
    uint32_t best_us = UINT32_MAX;
    char why[MODEM_TEXT_LEN];

    for (size_t w = 0; w < sizeof widths_hz / sizeof widths_hz[0]; w++) {
        for (uint8_t sf = 7; sf <= LORA_SF_MAX; sf++) {
            struct lora_params p = now;
            p.bw_hz = widths_hz[w];
            p.sf = sf;
            if (!possible(s, &p, why)) {
                p.freq_hz = s->region.lo_hz + (s->region.hi_hz - s->region.lo_hz) / 2;
                if (!possible(s, &p, why))
                    continue;
            }
            uint32_t us = lora_airtime_us(&p, TRIAL_LEN);
            if (spare_db(s, &p) >= 0 && us < best_us) {
                best_us = us;
                *best_out = p;
            }
        }
    }
    return best_us < UINT32_MAX;
}

/* What is not as in the profile stands in kengd.conf. */
static void add_lora(struct setup *s, const struct lora_params *p)
{
    const struct lora_params *commune = &s->profile.lora;

    add_pair(s, "freq_hz", p->freq_hz == commune->freq_hz ? "0" : keng_num(p->freq_hz).s, false);
    add_pair(s, "bw_hz", p->bw_hz == commune->bw_hz ? "0" : keng_num(p->bw_hz).s, false);
    add_pair(s, "sf", p->sf == commune->sf ? "0" : keng_num(p->sf).s, false);
    s->modem.lora.freq_hz = p->freq_hz;
    s->modem.lora.bw_hz = p->bw_hz;
    s->modem.lora.sf = p->sf;
}

static int decide(const struct keng *k, struct setup *s)
{
    struct lora_params p = settings_lora(&s->modem, &s->profile.lora);
    char why[MODEM_TEXT_LEN];

    s->region = *band_of(&s->profile, p.freq_hz);
    s->power_dbm = s->profile.eirp_dbm - s->modem.antenna_gain_dbi + s->modem.cable_loss_db;
    if (k->option[OPT_RANGE] != NULL && s->driver->caps.closed)
        return keng_wrong(k, TEXT_WRONG_CLOSED, KENG_ARGS(s->driver->name));
    if (k->option[OPT_RANGE] != NULL) {
        if (!choose(s, &p))
            return keng_failed(k, TEXT_SETUP_TOO_FAR,
                               KENG_ARGS(k->option[OPT_RANGE], keng_num(lround(s->loss_db)).s));
        add_lora(s, &p);
    }
    if (!possible(s, &p, why))
        return keng_failed(k, TEXT_WRONG_LAW, KENG_ARGS(why));
    return KENG_OK;
}

static void show(const struct keng *k, const struct setup *s)
{
    struct lora_params p = settings_lora(&s->modem, &s->profile.lora);
    bool alone = memcmp(&p, &s->profile.lora, sizeof p) != 0;
    int64_t spare_x10 = lround(10 * spare_db(s, &p));

    if (k->option[OPT_JSON] != NULL) {
        json_t *conf = json_object();
        for (size_t i = 0; i < s->pair_count; i++)
            json_object_set_new(conf, s->pairs[i].key, json_string(s->pairs[i].value));
        json_t *json = json_pack("{s:s,s:s,s:s,s:I,s:I,s:i,s:i,s:i,s:I,s:b,s:b,s:o}", "name",
                                 s->modem.name, "driver", s->driver->name, "region",
                                 s->region.name, "freq_hz", (json_int_t)p.freq_hz, "bw_hz",
                                 (json_int_t)p.bw_hz, "sf", p.sf, "cr", p.cr, "power_dbm",
                                 s->power_dbm, "airtime_us",
                                 (json_int_t)lora_airtime_us(&p, TRIAL_LEN), "as_commune", !alone,
                                 "written", k->option[OPT_WRITE] != NULL, "conf", conf);
        if (s->loss_db > 0)
            json_object_set_new(json, "spare_db", json_real((double)spare_x10 / 10));
        keng_print_json(json);
        return;
    }
    keng_say(k, stdout, TEXT_MODEM_RADIO,
             KENG_ARGS(keng_decimal(p.freq_hz, 6).s, keng_decimal(p.bw_hz, 3).s, keng_num(p.sf).s,
                       keng_num(p.cr).s, keng_num(s->power_dbm).s, s->region.name));
    keng_say(k, stdout, TEXT_SETUP_AIRTIME,
             KENG_ARGS(keng_num(TRIAL_LEN).s, keng_num(lora_airtime_us(&p, TRIAL_LEN) / 1000).s));
    if (s->loss_db > 0)
        keng_say(k, stdout, TEXT_SETUP_REACH,
                 KENG_ARGS(k->option[OPT_RANGE], keng_num(lround(s->loss_db)).s,
                           keng_decimal(spare_x10, 1).s));
    if (alone)
        keng_say(k, stdout, TEXT_SETUP_ALONE, NULL);
    if (s->modem.name[0] != '\0')
        printf("  radio %s {\n", s->modem.name);
    for (size_t i = 0; i < s->pair_count; i++)
        printf("    %s = %s\n", s->pairs[i].key, s->pairs[i].value);
    if (s->modem.name[0] != '\0')
        printf("  }\n");
}

/* ---- kengd.conf ------------------------------------------------------------------------- */

static bool is_ours(const struct setup *s, const char *line)
{
    size_t blank = strspn(line, " \t"), word = strcspn(line + blank, " \t=\n");

    for (size_t i = 0; i < s->pair_count; i++) {
        if (strlen(s->pairs[i].key) == word && strncmp(line + blank, s->pairs[i].key, word) == 0)
            return true;
    }
    return false;
}

/* Is this line the head of that section, `radio NAME {` and no more? */
static bool is_head(const char *line, const char *name)
{
    char word[SETTINGS_NAME_LEN + 2], rest[2];
    int at = 0;

    if (sscanf(line, " radio %33[^ \t\n{] %1[{]%n", word, rest, &at) != 2)
        return false;
    size_t quoted = word[0] == '"' || word[0] == '\'', len = strlen(name);
    const char *more = line + at + strspn(line + at, " \t");
    return strncmp(word + quoted, name, len) == 0 && strlen(word) == len + 2 * quoted &&
           (*more == '\n' || *more == '#');
}

/* Where the keys of that section stand, or of the only modem: the whole file. */
static bool find_body(const char *old, const char *name, size_t *from_out, size_t *to_out)
{
    size_t at = 0, next;
    bool inside = name[0] == '\0';

    *from_out = 0;
    for (; old[at] != '\0'; at = next) {
        next = at + strcspn(old + at, "\n");
        next += old[next] == '\n';
        if (inside && name[0] != '\0' && old[at + strspn(old + at, " \t")] == '}')
            break;
        if (!inside && is_head(old + at, name)) {
            inside = true;
            *from_out = next;
        }
    }
    *to_out = at;
    return inside && (name[0] == '\0' || old[at] != '\0');
}

/* The file without the old lines, then the new ones; all else stays as it was typed. */
static char *rewrite(const struct setup *s, const char *old, size_t from, size_t to,
                     size_t *len_out)
{
    size_t old_len = strlen(old), len = from;
    size_t cap = old_len + 2 + s->pair_count * (sizeof s->pairs[0] + 16);
    const char *indent = s->modem.name[0] == '\0' ? "" : "    ";
    char *text = malloc(cap);

    if (text == NULL)
        return NULL;
    memcpy(text, old, from);
    for (size_t at = from, next; at < to; at = next) {
        next = at + strcspn(old + at, "\n");
        next += old[next] == '\n';
        if (is_ours(s, old + at))
            continue;
        memcpy(text + len, old + at, next - at);
        len += next - at;
    }
    if (len > 0 && text[len - 1] != '\n')
        text[len++] = '\n';
    for (size_t i = 0; i < s->pair_count; i++)
        len += (size_t)snprintf(text + len, cap - len, "%s%s = %s\n", indent, s->pairs[i].key,
                                s->pairs[i].value);
    memcpy(text + len, old + to, old_len - to);
    *len_out = len + old_len - to;
    return text;
}

static bool same_modem(const struct profile *p, const struct settings_modem *a,
                       const struct settings_modem *b)
{
    struct lora_params la = settings_lora(a, &p->lora), lb = settings_lora(b, &p->lora);

    return strcmp(a->name, b->name) == 0 && strcmp(a->port, b->port) == 0 &&
           strcmp(a->driver, b->driver) == 0 && strcmp(a->options, b->options) == 0 &&
           strcmp(a->lines, b->lines) == 0 && strcmp(a->amateur_call, b->amateur_call) == 0 &&
           a->antenna_gain_dbi == b->antenna_gain_dbi &&
           a->cable_loss_db == b->cable_loss_db && memcmp(&la, &lb, sizeof la) == 0;
}

/* Does the new file say what was meant, of this modem and of all else? */
static bool as_meant(const struct setup *s, const struct settings *new)
{
    const struct settings *old = &s->settings;
    bool same = new->node == old->node && new->gateway == old->gateway &&
                strcmp(new->socket, old->socket) == 0 && new->modem_count == old->modem_count &&
                new->record_count_max == old->record_count_max;

    for (size_t i = 0; i < old->modem_count && same; i++)
        same = same_modem(&s->profile, &new->modems[i],
                          i == s->index ? &s->modem : &old->modems[i]);
    return same;
}

/* The new file is read by kengd's own reader before it takes the old one's place. */
static int write_conf(const struct keng *k, const struct setup *s, const char *path)
{
    char trial[KENG_PATH_LEN_MAX + 32], text[SETTINGS_TEXT_LEN], err[HOME_ERR_LEN];
    struct settings read_back;
    size_t len = 0, from, to;
    char *old = keng_read_all(k, path, CONF_LEN_MAX, &len);

    if (old == NULL)
        return KENG_FAILED;
    bool found = find_body(old, s->modem.name, &from, &to);
    char *new = found ? rewrite(s, old, from, to, &len) : NULL;
    free(old);
    if (!found)
        return keng_failed(k, TEXT_FAILED_CONF_FORM, KENG_ARGS(path));
    if (new == NULL)
        return keng_failed(k, TEXT_FAILED_MEMORY, NULL);
    snprintf(trial, sizeof trial, "%s.trial", path);
    int status = KENG_OK;
    if (home_replace_file(trial, (const uint8_t *)new, len, 0644, err) != 0)
        status = keng_failed(k, TEXT_FAILED, KENG_ARGS(err));
    else if (settings_read(trial, &read_back, text) != 0)
        status = keng_failed(k, TEXT_FAILED, KENG_ARGS(text));
    else if (!as_meant(s, &read_back))
        status = keng_failed(k, TEXT_FAILED_CONF_FORM, KENG_ARGS(path));
    else if (home_replace_file(path, (const uint8_t *)new, len, 0644, err) != 0)
        status = keng_failed(k, TEXT_FAILED, KENG_ARGS(err));
    unlink(trial);
    free(new);
    return status;
}

/* The modem by its section's name, which may go unsaid where there is one. */
static int choose_modem(const struct keng *k, struct setup *s, const char *path)
{
    const char *name = k->operand_count > 1 ? k->operands[1] : "";
    char names[SETTINGS_MODEM_COUNT_MAX * (SETTINGS_NAME_LEN + 1) + 1] = "";
    size_t len = 0;

    for (s->index = 0; s->index < s->settings.modem_count; s->index++) {
        const char *known = s->settings.modems[s->index].name;
        if (strcmp(known, name) == 0 || (name[0] == '\0' && s->settings.modem_count == 1)) {
            s->modem = s->settings.modems[s->index];
            return KENG_OK;
        }
        len += (size_t)snprintf(names + len, sizeof names - len, " %s", known);
    }
    if (s->settings.modems[0].name[0] == '\0')
        return keng_wrong(k, TEXT_WRONG_NO_SECTIONS, KENG_ARGS(path, name));
    return keng_wrong(k, TEXT_WRONG_SECTION, KENG_ARGS(path, names));
}

int keng_modem_set_up(struct keng *k)
{
    static struct setup s;
    char path[KENG_PATH_LEN_MAX + 16], text[SETTINGS_TEXT_LEN];

    s = (struct setup){ .pair_count = 0 };
    snprintf(path, sizeof path, "%s/kengd.conf", k->home);
    if (settings_read(path, &s.settings, text) != 0)
        return keng_failed(k, TEXT_FAILED, KENG_ARGS(text));
    int status = choose_modem(k, &s, path);
    if (k->option[OPT_RANGE] != NULL)
        s.modem.lora.bw_hz = s.modem.lora.sf = 0; /* chosen anew */
    if (status == KENG_OK)
        status = load_profile(k, &s);
    if (status == KENG_OK)
        status = check_newest(k, &s);
    if (status == KENG_OK)
        status = take_options(k, &s);
    if (status == KENG_OK)
        status = take_range(k, &s);
    if (status == KENG_OK)
        status = decide(k, &s);
    if (status == KENG_OK && k->option[OPT_WRITE] != NULL)
        status = write_conf(k, &s, path);
    if (status != KENG_OK)
        return status;
    show(k, &s);
    if (k->option[OPT_JSON] == NULL && k->option[OPT_WRITE] == NULL)
        keng_say(k, stdout, TEXT_SETUP_NOT_WRITTEN, NULL);
    else if (k->option[OPT_JSON] == NULL)
        keng_say(k, stdout, TEXT_SETUP_WRITTEN, KENG_ARGS(path));
    return KENG_OK;
}
