/* keng_air.h - inside of keng-air: its configuration, its modems, its control socket.
 *
 * Not an interface for others.  One thread; memory from the heap, freed at the end; time is
 * virtual microseconds since start, which --speed maps to the machine's monotonic clock.
 */
#ifndef KENG_HW_KENG_AIR_H
#define KENG_HW_KENG_AIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hw/air.h"
#include "hw/emu.h"

enum {
    KENG_AIR_MODEM_COUNT_MAX = 512,
    KENG_AIR_NAME_LEN = 32,
    KENG_AIR_TEXT_LEN = 256,
    KENG_AIR_PATH_LEN = 512,
    KENG_AIR_OUT_LEN = 256,
    KENG_AIR_LAW_COUNT_MAX = 4,
};

struct keng_air_law {
    uint32_t freq_lo_hz, freq_hi_hz;
    double eirp_max_dbm;
    bool has_duty;
    double duty_fraction;
    uint64_t duty_window_us;
};

struct keng_air_modem_config {
    char name[KENG_AIR_NAME_LEN];
    double antenna_dbi;
    double duty_fraction; /* 0: the law's */
    const struct emu_model *model;
    uint32_t quirks;      /* bits as in its list */
};

struct keng_air_config {
    uint32_t modem_count;
    struct keng_air_modem_config *modems;
    struct air_config air; /* its tables are below */
    int32_t *loss_db_x100;
    struct air_position *positions;
    struct keng_air_law laws[KENG_AIR_LAW_COUNT_MAX]; /* of one band each; none: all is lawful */
    uint32_t law_count;
};

/* Reads a configuration.  On failure text says file, key and what is wrong, and nothing is held. */
int keng_air_config_load(const char *path, struct keng_air_config *config_out,
                         char text[KENG_AIR_TEXT_LEN]) __attribute__((warn_unused_result));
void keng_air_config_free(struct keng_air_config *config);
/* Is it fit for a port: 1 to KENG_AIR_NAME_LEN - 1 letters, digits, '.', '_' or '-'? */
bool keng_air_name_valid(const char *name);

/* ---- modems on pseudo-terminals ------------------------------------------------- */

struct keng_air;

/* One past transmission, for the sliding window of the law. */
struct keng_air_span { uint64_t start_us, end_us; };

struct keng_air_modem {
    struct keng_air *owner;
    uint32_t index;
    const struct keng_air_modem_config *config;
    char link[KENG_AIR_NAME_LEN]; /* the port's name; a replugged one may come under another */
    int master_fd, slave_fd;      /* -1 when unplugged */
    int lines_listen_fd, lines_fd; /* wires beside the port; -1 without such */
    uint8_t lines_told;           /* of our outputs, to that socket */
    uint8_t lines_set;            /* by the host, then */
    uint64_t lines_us;
    uint8_t in[EMU_IN_LEN];       /* read from the pty, not yet on the line */
    size_t in_len;
    struct emu emu;
    uint8_t out[KENG_AIR_OUT_LEN]; /* through the line, not yet taken by the pty */
    size_t out_len;

    struct lora_params tx_lora; /* of the frame on the air */
    int8_t tx_power_dbm;
    struct keng_air_span *spans;
    size_t span_count, span_cap;
    uint64_t violation_count;
};

struct keng_air {
    struct keng_air_config config;
    const char *dir;
    uint64_t seed;
    void *air_storage;
    struct air *air;
    struct keng_air_modem *modems;
    uint64_t now_us;
    bool behind;       /* now_us is past: what hosts have written since belongs to later */
    uint64_t live_us;  /* when it was not, last */
    FILE *log;         /* NULL: none */
    bool log_failed;
    uint32_t *heard;   /* receivers of the frame being reported */
    uint32_t heard_count;
    bool quit;
};

/* Builds the air and all modems with their links in dir. */
int keng_air_start(struct keng_air *ka, char text[KENG_AIR_TEXT_LEN])
    __attribute__((warn_unused_result));
void keng_air_stop(struct keng_air *ka);
/* Takes what hosts have written, gives them what is due, at ka->now_us. */
void keng_air_pump(struct keng_air *ka);
/* When the next thing happens by itself, in virtual time, or AIR_NEVER. */
uint64_t keng_air_next_us(const struct keng_air *ka);

/* Makes the port of a modem that has none, under m->link; power comes with it. */
int keng_air_plug(struct keng_air *ka, struct keng_air_modem *m, char text[KENG_AIR_TEXT_LEN])
    __attribute__((warn_unused_result));
void keng_air_unplug(struct keng_air *ka, struct keng_air_modem *m);

/* The wires beside a port, as the socket LINK.lines: each byte from the host sets the outputs of
 * enum modem_line, each byte to it tells the inputs.  Nothing for a modem without wires. */
int keng_air_lines_open(struct keng_air *ka, struct keng_air_modem *m)
    __attribute__((warn_unused_result));
void keng_air_lines_close(struct keng_air *ka, struct keng_air_modem *m);
void keng_air_lines_take(struct keng_air *ka, struct keng_air_modem *m);
void keng_air_lines_tell(struct keng_air_modem *m);
/* A host waits for the mode before it writes by new wires.  That wait is lost where both come to
 * light at once, in a program that stood still meanwhile: so long the bytes are held.  now_us: not
 * at all. */
uint64_t keng_air_lines_hold_us(const struct keng_air *ka, const struct keng_air_modem *m);

/* One line per transmission, and the law's verdict on it. */
void keng_air_report_tx(struct keng_air *ka, const struct air_event *ev);
uint64_t keng_air_violation_count(const struct keng_air *ka);
void keng_air_print_totals(const struct keng_air *ka, FILE *out);

/* ---- control -------------------------------------------------------------------- */

/* Carries out one command line; the answer, one line without its end, is malloc'd, or NULL
 * when memory is short. */
char *keng_air_control(struct keng_air *ka, const char *line);

#endif
