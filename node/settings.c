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
};

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

static int take(cfg_t *cfg, struct settings *out, char *text)
{
    long node, gain, loss, records;
    if (range(cfg, "node", 1, AUTHOR_MAX, &node, text) < 0 ||
        range(cfg, "antenna_gain_dbi", -GAIN_DBI_MAX, GAIN_DBI_MAX, &gain, text) < 0 ||
        range(cfg, "cable_loss_db", 0, LOSS_DB_MAX, &loss, text) < 0 ||
        range(cfg, "record_count_max", RECORD_COUNT_MIN, MESH_RECORD_COUNT_MAX, &records, text) < 0)
        return -1;
    const char *role = cfg_getstr(cfg, "role");
    if (strcmp(role, "gateway") != 0 && strcmp(role, "village") != 0) {
        snprintf(text, SETTINGS_TEXT_LEN,
                 "kengd.conf: role must be \"village\" or \"gateway\", not \"%s\"", role);
        return -1;
    }
    *out = (struct settings){ .node = (uint16_t)node, .gateway = strcmp(role, "gateway") == 0,
                              .antenna_gain_dbi = (int)gain, .cable_loss_db = (int)loss,
                              .record_count_max = (uint32_t)records };
    if (copy(out->modem, sizeof out->modem, cfg_getstr(cfg, "modem"), "modem", text) < 0 ||
        copy(out->driver, sizeof out->driver, cfg_getstr(cfg, "driver"), "driver", text) < 0 ||
        copy(out->options, sizeof out->options, cfg_getstr(cfg, "options"), "options", text) < 0 ||
        copy(out->lines, sizeof out->lines, cfg_getstr(cfg, "lines"), "lines", text) < 0 ||
        copy(out->socket, sizeof out->socket, cfg_getstr(cfg, "socket"), "socket", text) < 0)
        return -1;
    return 0;
}

int settings_read(const char *path, struct settings *out, char text[static SETTINGS_TEXT_LEN])
{
    cfg_opt_t options[] = {
        CFG_INT("node", 0, CFGF_NONE),
        CFG_STR("role", "village", CFGF_NONE),
        CFG_STR("modem", "", CFGF_NONE),
        CFG_STR("driver", "meshcore-kiss", CFGF_NONE),
        CFG_STR("options", "", CFGF_NONE),
        CFG_STR("lines", "", CFGF_NONE),
        CFG_STR("socket", "", CFGF_NONE),
        CFG_INT("antenna_gain_dbi", 2, CFGF_NONE),
        CFG_INT("cable_loss_db", 0, CFGF_NONE),
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
