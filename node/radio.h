/* radio.h - one modem on one serial port, kept alive: opened by its stable name, configured and
 * verified by its driver, reopened with back-off when it goes away.
 *
 * Time     now_ms on the loop's clock.  Nothing blocks, apart from the open of a slow device.
 * Memory   All in struct radio; it must stay put.
 * Errors   A missing or silent modem is not an error but a state; radio->text says what is wrong.
 */
#ifndef KENG_NODE_RADIO_H
#define KENG_NODE_RADIO_H

#include "hw/lines.h"
#include "hw/modem.h"
#include "hw/serial.h"

#define RADIO_NEVER UINT64_MAX

enum { RADIO_OUT_LEN = 1024, RADIO_IN_LEN = 512 };

enum radio_state { RADIO_NONE, RADIO_ABSENT, RADIO_CONFIGURING, RADIO_READY, RADIO_SILENT };

struct radio {
    enum radio_state state;
    const char *path; /* empty: no modem */
    const struct modem_driver *driver;
    struct modem modem;
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

/* path and driver_name are borrowed; wires as in lines.h, settings->lines follows from them.  -1
 * with text for an unknown driver, wires that make no sense or impossible settings. */
int radio_init(struct radio *r, const char *path, const char *driver_name, const char *wires,
               const struct modem_settings *settings, uint64_t now_ms);
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
