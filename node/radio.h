/* radio.h - one modem on one serial port, kept alive: opened by its stable name, configured and
 * verified by its driver, reopened with back-off when it goes away.
 *
 * What the modem will send is held against the law before its port is opened, and once more when
 * the modem said what is in force: outside of it the port stays closed.
 *
 * Time     now_ms on the loop's clock.  Nothing blocks, apart from the open of a slow device.
 * Memory   All in struct radio; it must stay put.
 * Errors   A missing or silent modem is not an error but a state; radio->text says what is wrong.
 */
#ifndef KENG_NODE_RADIO_H
#define KENG_NODE_RADIO_H

#include "hw/law.h"
#include "hw/lines.h"
#include "hw/modem.h"
#include "hw/serial.h"

#define RADIO_NEVER UINT64_MAX

enum { RADIO_OUT_LEN = 1024, RADIO_IN_LEN = 512 };

enum radio_state {
    RADIO_NONE,
    RADIO_ABSENT,
    RADIO_CONFIGURING,
    RADIO_READY,
    RADIO_SILENT,
    RADIO_UNLAWFUL, /* it never sends; text says what the law allows */
};

struct radio_config {
    const char *path;   /* borrowed, as the other two; empty: no modem */
    const char *driver;
    const char *wires;  /* as in lines.h; settings.lines follows from them */
    struct modem_settings settings;
    struct region region; /* lo_hz 0: the commune's profile states no law */
    struct law_use use;   /* antenna, cable, role, share of time; the rest is the modem's */
};

struct radio {
    enum radio_state state;
    const char *path; /* empty: no modem */
    const struct modem_driver *driver;
    struct modem modem;
    struct region region;
    struct law_use use;
    struct serial serial;
    struct lines lines;
    bool lines_known;   /* the driver was told of the inputs since the port is open */
    uint64_t reopen_ms, backoff_ms;
    bool real_ports_refused; /* the clock is not that of the law: pseudo-terminals only */
    uint8_t out[RADIO_OUT_LEN];
    size_t out_at, out_len;
    uint8_t in[RADIO_IN_LEN];
    size_t in_at, in_len;
    char text[SERIAL_TEXT_LEN];
};

/* -1 with text for an unknown driver, wires that make no sense or impossible settings.  0 for
 * settings outside the law, which is a state. */
int radio_init(struct radio *r, const struct radio_config *config, uint64_t now_ms);
void radio_close(struct radio *r, uint64_t now_ms);

/* What to poll for: the descriptor, or -1 while the port is not open. */
int radio_fd(const struct radio *r, short *events_out);
/* The descriptor of the wires beside the port, for POLLIN; -1 without such. */
int radio_lines_fd(const struct radio *r);
/* Opens, reads, writes, lets time pass.  Then drain radio_poll_event(). */
void radio_step(struct radio *r, uint64_t now_ms);
/* Next event of the modem, already reflected in state and text; or false. */
bool radio_poll_event(struct radio *r, uint64_t now_ms, struct modem_event *event_out);
/* MODEM_OK, or nothing was sent. */
int radio_send(struct radio *r, uint64_t now_ms, const uint8_t *frame, size_t len);
uint64_t radio_next_deadline(const struct radio *r);
const char *radio_state_name(enum radio_state state);

#endif
