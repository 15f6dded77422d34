/* settings.h - kengd.conf, read by libconfuse.  An unknown or ill-typed key is an error that names
 * file and line.  Memory: fixed; errors: -1 with one line in text. */
#ifndef KENG_NODE_SETTINGS_H
#define KENG_NODE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"

enum {
    SETTINGS_PATH_LEN = 512,
    SETTINGS_NAME_LEN = 32,
    SETTINGS_TEXT_LEN = 256,
    SETTINGS_MODEM_COUNT_MAX = 3,
};

struct settings_modem {
    char name[SETTINGS_NAME_LEN];   /* of its section; empty for the only one */
    char port[SETTINGS_PATH_LEN];   /* serial port, by its stable name; empty: none */
    char driver[SETTINGS_NAME_LEN];
    char options[SETTINGS_PATH_LEN]; /* of that driver: "key=value …" */
    char lines[SETTINGS_PATH_LEN];  /* wires beside the port, as in hw/lines.h */
    char amateur_call[SETTINGS_NAME_LEN]; /* whose licence an amateur modem is run under */
    int antenna_gain_dbi, cable_loss_db;
    struct lora_params lora;        /* fields of 0: as the commune's profile says */
};

struct settings {
    uint16_t node;   /* this box's number in the roster */
    bool gateway;    /* role = "gateway" */
    char socket[SETTINGS_PATH_LEN]; /* empty: HOME/kengd.sock */
    struct settings_modem modems[SETTINGS_MODEM_COUNT_MAX];
    size_t modem_count;             /* at least 1 */
    uint32_t record_count_max;
};

/* What this modem is to send by: its own settings, else the commune's. */
struct lora_params settings_lora(const struct settings_modem *modem,
                                 const struct lora_params *profile);

int settings_read(const char *path, struct settings *out, char text[static SETTINGS_TEXT_LEN]);

#endif
