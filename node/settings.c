#include "node/settings.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/core/mesh.h"

enum {
    GAIN_DBI_MAX = 30,
    LOSS_DB_MAX = 30,
    RECORD_COUNT_DEFAULT = 50000,
    RECORD_COUNT_MIN = 1000,
    HZ_MAX = 1000000000,
    PREAMBLE_SYMBOLS_MAX = 1024,
};

static const char NAME_LETTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

/* libconfuse reports through a callback without a context: one parse at a time, at start. */
static char first_error[SETTINGS_TEXT_LEN];

__attribute__((format(printf, 2, 0)))
static void on_error(cfg_t *cfg, const char *format, va_list args)
{
    if (first_error[0])
        return;
    int at = snprintf(first_error, sizeof first_error, "%s:%d: ",
                      cfg && cfg->filename ? cfg->filename : "kengd.conf", cfg ? cfg->line : 0);
    if (at > 0 && (size_t)at < sizeof first_error)
        vsnprintf(first_error + at, sizeof first_error - (size_t)at, format, args);
}

static int copy(char *to, size_t cap, const char *from, const char *key, char *text)
{
    if (strlen(from) >= cap) {
        snprintf(text, SETTINGS_TEXT_LEN, "kengd.conf: %s is too long", key);
        return -1;
    }
    memcpy(to, from, strlen(from) + 1);
    return 0;
}

static int range(cfg_t *cfg, const char *key, long lo, long hi, long *out, char *text)
{
    *out = cfg_getint(cfg, key);
    if (*out >= lo && *out <= hi)
        return 0;
    snprintf(text, SETTINGS_TEXT_LEN, "kengd.conf: %s must be from %ld to %ld, not %ld", key, lo,
             hi, *out);
    return -1;
}

static int take_lora(cfg_t *cfg, struct lora_params *out, char *text)
{
    long freq_hz, bw_hz, sf, cr, preamble;
    if (range(cfg, "freq_hz", 0, HZ_MAX, &freq_hz, text) < 0 ||
        range(cfg, "bw_hz", 0, HZ_MAX, &bw_hz, text) < 0 ||
        range(cfg, "sf", 0, LORA_SF_MAX, &sf, text) < 0 ||
        range(cfg, "cr", 0, LORA_CR_MAX, &cr, text) < 0 ||
        range(cfg, "preamble_symbols", 0, PREAMBLE_SYMBOLS_MAX, &preamble, text) < 0)
        return -1;
    *out = (struct lora_params){ .freq_hz = (uint32_t)freq_hz, .bw_hz = (uint32_t)bw_hz,
                                 .sf = (uint8_t)sf, .cr = (uint8_t)cr,
                                 .preamble_symbols = (uint16_t)preamble };
    return 0;
}

static int take_modem(cfg_t *cfg, struct settings_modem *out, char *text)
{
    long gain, loss;
    if (range(cfg, "antenna_gain_dbi", -GAIN_DBI_MAX, GAIN_DBI_MAX, &gain, text) < 0 ||
        range(cfg, "cable_loss_db", 0, LOSS_DB_MAX, &loss, text) < 0)
        return -1;
    *out = (struct settings_modem){ .antenna_gain_dbi = (int)gain, .cable_loss_db = (int)loss };
    if (copy(out->port, sizeof out->port, cfg_getstr(cfg, "modem"), "modem", text) < 0 ||
        copy(out->driver, sizeof out->driver, cfg_getstr(cfg, "driver"), "driver", text) < 0 ||
        copy(out->options, sizeof out->options, cfg_getstr(cfg, "options"), "options", text) < 0 ||
        copy(out->lines, sizeof out->lines, cfg_getstr(cfg, "lines"), "lines", text) < 0 ||
        copy(out->amateur_call, sizeof out->amateur_call, cfg_getstr(cfg, "amateur_call"),
             "amateur_call", text) < 0)
        return -1;
    return take_lora(cfg, &out->lora, text);
}

/* Either the keys of the only modem, or a section for each. */
static int take_modems(cfg_t *cfg, struct settings *out, char *text)
{
    unsigned count = cfg_size(cfg, "radio");
    out->modem_count = count > 0 ? count : 1;
    if (count == 0)
        return take_modem(cfg, &out->modems[0], text);
    if (count > SETTINGS_MODEM_COUNT_MAX || cfg_getstr(cfg, "modem")[0]) {
        snprintf(text, SETTINGS_TEXT_LEN, "kengd.conf: either modem, or at most %d sections radio",
                 SETTINGS_MODEM_COUNT_MAX);
        return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "radio", i);
        const char *name = cfg_title(section);
        if (take_modem(section, &out->modems[i], text) < 0 ||
            copy(out->modems[i].name, sizeof out->modems[i].name, name, "radio", text) < 0)
            return -1;
        if (name[0] == '\0' || strspn(name, NAME_LETTERS) != strlen(name)) {
            snprintf(text, SETTINGS_TEXT_LEN, "kengd.conf: a radio's name is of letters a-z, digits"
                     " and -, not \"%.32s\"", name);
            return -1;
        }
    }
    return 0;
}

static int take(cfg_t *cfg, struct settings *out, char *text)
{
    long node, records;
    if (range(cfg, "node", 1, AUTHOR_MAX, &node, text) < 0 ||
        range(cfg, "record_count_max", RECORD_COUNT_MIN, MESH_RECORD_COUNT_MAX, &records, text) < 0)
        return -1;
    const char *role = cfg_getstr(cfg, "role");
    if (strcmp(role, "gateway") != 0 && strcmp(role, "village") != 0) {
        snprintf(text, SETTINGS_TEXT_LEN,
                 "kengd.conf: role must be \"village\" or \"gateway\", not \"%s\"", role);
        return -1;
    }
    *out = (struct settings){ .node = (uint16_t)node, .gateway = strcmp(role, "gateway") == 0,
                              .record_count_max = (uint32_t)records };
    if (copy(out->socket, sizeof out->socket, cfg_getstr(cfg, "socket"), "socket", text) < 0)
        return -1;
    return take_modems(cfg, out, text);
}

struct lora_params settings_lora(const struct settings_modem *modem,
                                 const struct lora_params *profile)
{
    const struct lora_params *own = &modem->lora;
    return (struct lora_params){
        .freq_hz = own->freq_hz ? own->freq_hz : profile->freq_hz,
        .bw_hz = own->bw_hz ? own->bw_hz : profile->bw_hz,
        .sf = own->sf ? own->sf : profile->sf,
        .cr = own->cr ? own->cr : profile->cr,
        .preamble_symbols = own->preamble_symbols ? own->preamble_symbols
                                                  : profile->preamble_symbols,
    };
}

#define MODEM_OPTIONS \
    CFG_STR("modem", "", CFGF_NONE), CFG_STR("driver", "meshcore-kiss", CFGF_NONE), \
    CFG_STR("options", "", CFGF_NONE), CFG_STR("lines", "", CFGF_NONE), \
    CFG_STR("amateur_call", "", CFGF_NONE), \
    CFG_INT("antenna_gain_dbi", 2, CFGF_NONE), CFG_INT("cable_loss_db", 0, CFGF_NONE), \
    CFG_INT("freq_hz", 0, CFGF_NONE), CFG_INT("bw_hz", 0, CFGF_NONE), \
    CFG_INT("sf", 0, CFGF_NONE), CFG_INT("cr", 0, CFGF_NONE), \
    CFG_INT("preamble_symbols", 0, CFGF_NONE)

int settings_read(const char *path, struct settings *out, char text[static SETTINGS_TEXT_LEN])
{
    cfg_opt_t radio[] = { MODEM_OPTIONS, CFG_END() };
    cfg_opt_t options[] = {
        CFG_INT("node", 0, CFGF_NONE),
        CFG_STR("role", "village", CFGF_NONE),
        CFG_STR("socket", "", CFGF_NONE),
        CFG_SEC("radio", radio, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
        MODEM_OPTIONS,
        CFG_INT("record_count_max", RECORD_COUNT_DEFAULT, CFGF_NONE),
        CFG_END(),
    };
    if (access(path, R_OK) != 0) {
        snprintf(text, SETTINGS_TEXT_LEN, "%s: %s; `keng enroll --out` writes one", path,
                 strerror(errno));
        return -1;
    }
    /* libconfuse's scanner ends the whole process when it cannot read. */
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        snprintf(text, SETTINGS_TEXT_LEN, "%s: is not a file; `keng enroll --out` writes one",
                 path);
        return -1;
    }
    first_error[0] = '\0';
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    cfg_set_error_function(cfg, on_error);
    int err = -1;
    if (cfg_parse(cfg, path) != CFG_SUCCESS)
        snprintf(text, SETTINGS_TEXT_LEN, "%s", first_error[0] ? first_error : "cannot be read");
    else
        err = take(cfg, out, text);
    cfg_free(cfg);
    return err;
}
