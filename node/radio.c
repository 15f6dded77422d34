#include "node/radio.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { BACKOFF_MS_MIN = 500, BACKOFF_MS_MAX = 30000 };

/* lora: what is in force, or will be.  Says whether that is lawful, and else what differs. */
static bool lawful(struct radio *r, const struct lora_params *lora)
{
    struct modem_air air;
    struct law_use use = r->use;
    char why[LAW_TEXT_LEN];
    size_t len = r->driver->caps.mtu_len;
    modem_air(&r->modem, &air);
    use.lora = *lora;
    if (air.lora.bw_hz > lora->bw_hz)
        use.lora.bw_hz = air.lora.bw_hz; /* a closed modem: what it may occupy at most */
    use.power_dbm_x100 = 100 * air.power_dbm;
    use.longest_us = modem_airtime_us(&r->modem, len);
    if (r->region.lo_hz == 0)
        snprintf(r->text, sizeof r->text, "not sending: the commune's profile states no law for"
                 " its region: sign a new one at the key desk, keng profile --region");
    else if (law_check(&r->region, &use, why) != LAW_OK)
        snprintf(r->text, sizeof r->text, "not sending: %s", why);
    else
        return true;
    return false;
}

int radio_init(struct radio *r, const struct radio_config *config, uint64_t now_ms)
{
    struct modem_settings wired = config->settings;
    char why[MODEM_TEXT_LEN];
    struct modem_air air;
    *r = (struct radio){ .path = config->path, .serial = SERIAL_CLOSED, .region = config->region,
                         .use = config->use, .backoff_ms = BACKOFF_MS_MIN, .reopen_ms = now_ms };
    r->driver = modem_driver_find(config->driver);
    if (!r->driver) {
        snprintf(r->text, sizeof r->text, "kengd.conf: no driver is called \"%s\"; try \"%s\"",
                 config->driver, modem_driver_at(0)->name);
        return -1;
    }
    if (lines_parse(config->wires, &r->lines, r->text) != LINES_OK)
        return -1;
    wired.lines = r->lines.present;
    if (modem_init(&r->modem, r->driver, &wired, now_ms, why) != MODEM_OK) {
        snprintf(r->text, sizeof r->text,
                 "the commune's radio profile asks for settings that %s cannot make: %s",
                 r->driver->name, why);
        return -1;
    }
    modem_air(&r->modem, &air);
    r->state = RADIO_ABSENT;
    if (r->path[0] == '\0')
        r->state = RADIO_NONE;
    else if (!lawful(r, &air.lora))
        r->state = RADIO_UNLAWFUL;
    if (r->state != RADIO_ABSENT)
        r->reopen_ms = RADIO_NEVER;
    return 0;
}

static void gone(struct radio *r, uint64_t now_ms)
{
    serial_close(&r->serial);
    lines_close(&r->lines);
    modem_on_close(&r->modem, now_ms);
    r->state = RADIO_ABSENT;
    r->out_at = r->out_len = r->in_at = r->in_len = 0;
    r->reopen_ms = now_ms + r->backoff_ms;
}

void radio_close(struct radio *r, uint64_t now_ms)
{
    if (serial_fd(&r->serial) >= 0)
        gone(r, now_ms);
    r->reopen_ms = RADIO_NEVER;
}

static int open_port(struct radio *r)
{
    if (serial_open(r->path, r->driver->baud, &r->serial, r->text) != SERIAL_OK)
        return -1;
    if (lines_open(&r->lines, serial_fd(&r->serial), r->text) == LINES_OK)
        return 0;
    serial_close(&r->serial);
    return -1;
}

static void try_open(struct radio *r, uint64_t now_ms)
{
    if (open_port(r) < 0) {
        r->reopen_ms = now_ms + r->backoff_ms;
        r->backoff_ms = r->backoff_ms * 2 < BACKOFF_MS_MAX ? r->backoff_ms * 2 : BACKOFF_MS_MAX;
        return;
    }
    if (r->real_ports_refused && !serial_is_pty(&r->serial)) {
        serial_close(&r->serial);
        lines_close(&r->lines);
        snprintf(r->text, sizeof r->text, "%s is a real port: --speed is for emulated modems only,"
                 " start kengd without it", r->path);
        r->reopen_ms = RADIO_NEVER;
        return;
    }
    r->backoff_ms = BACKOFF_MS_MIN;
    r->reopen_ms = RADIO_NEVER;
    r->state = RADIO_CONFIGURING;
    r->lines_known = false;
    modem_on_open(&r->modem, now_ms);
}

static void lost(struct radio *r, const char *what, uint64_t now_ms)
{
    snprintf(r->text, sizeof r->text, "%s: %s", r->path, what);
    gone(r, now_ms);
}

/* What the driver wants of the port; true when there was something, and the port lives. */
static bool apply_port(struct radio *r, uint64_t now_ms)
{
    struct modem_port port;
    if (!modem_poll_port(&r->modem, now_ms, &port))
        return false;
    if (serial_set_baud(&r->serial, port.baud) != SERIAL_OK) {
        lost(r, "the speed cannot be set", now_ms);
        return false;
    }
    if (lines_set(&r->lines, serial_fd(&r->serial), port.lines) != LINES_OK) {
        lost(r, "the wires beside the port are gone", now_ms);
        return false;
    }
    return true;
}

static void read_lines(struct radio *r, uint64_t now_ms)
{
    uint8_t inputs;
    bool changed;
    if (lines_read(&r->lines, serial_fd(&r->serial), &inputs, &changed) != LINES_OK) {
        lost(r, "the wires beside the port are gone", now_ms);
        return;
    }
    if (changed || !r->lines_known)
        modem_on_lines(&r->modem, now_ms, inputs);
    r->lines_known = true;
}

static void write_out(struct radio *r, uint64_t now_ms)
{
    for (;;) {
        if (r->out_at == r->out_len) {
            r->out_at = 0;
            r->out_len = modem_poll_output(&r->modem, now_ms, r->out, sizeof r->out);
            if (r->out_len == 0 && !apply_port(r, now_ms))
                return;
            if (r->out_len == 0)
                continue;
        }
        int n = serial_write(&r->serial, r->out + r->out_at, r->out_len - r->out_at);
        if (n < 0) {
            lost(r, serial_strerror(n), now_ms);
            return;
        }
        if (n == 0)
            return; /* full: poll says when there is room again */
        r->out_at += (size_t)n;
    }
}

static void read_in(struct radio *r, uint64_t now_ms)
{
    if (r->in_at < r->in_len)
        return; /* the driver has not taken the last bytes yet: its events come first */
    int n = serial_read(&r->serial, r->in, sizeof r->in);
    if (n < 0) {
        lost(r, serial_strerror(n), now_ms);
        return;
    }
    r->in_at = 0;
    r->in_len = (size_t)n;
}

/* The driver takes what it can; the rest waits until its events were drained. */
static void feed(struct radio *r, uint64_t now_ms)
{
    if (r->in_at < r->in_len)
        r->in_at += modem_on_bytes(&r->modem, now_ms, r->in + r->in_at, r->in_len - r->in_at);
}

void radio_step(struct radio *r, uint64_t now_ms)
{
    if (serial_fd(&r->serial) < 0) {
        if (r->reopen_ms > now_ms)
            return;
        try_open(r, now_ms);
    } else {
        read_in(r, now_ms);
    }
    if (serial_fd(&r->serial) >= 0)
        read_lines(r, now_ms);
    if (serial_fd(&r->serial) < 0)
        return;
    feed(r, now_ms);
    modem_on_time(&r->modem, now_ms);
    write_out(r, now_ms);
}

int radio_fd(const struct radio *r, short *events_out)
{
    *events_out = (short)(POLLIN | (r->out_at < r->out_len ? POLLOUT : 0));
    return serial_fd(&r->serial);
}

int radio_lines_fd(const struct radio *r)
{
    return lines_fd(&r->lines);
}

bool radio_poll_event(struct radio *r, uint64_t now_ms, struct modem_event *event_out)
{
    while (!modem_poll_event(&r->modem, now_ms, event_out)) {
        if (r->in_at == r->in_len)
            return false;
        feed(r, now_ms);
    }
    bool open = serial_fd(&r->serial) >= 0;
    switch (event_out->type) {
    case MODEM_EV_READY:
        if (open && !lawful(r, &event_out->lora)) {
            gone(r, now_ms);
            r->state = RADIO_UNLAWFUL;
            r->reopen_ms = RADIO_NEVER;
            *event_out = (struct modem_event){ .type = MODEM_EV_FAULT };
            snprintf(event_out->text, sizeof event_out->text, "%.*s", MODEM_TEXT_LEN - 1, r->text);
            break;
        }
        r->state = open ? RADIO_READY : r->state;
        r->text[0] = '\0';
        break;
    case MODEM_EV_MISMATCH:
        r->state = open ? RADIO_CONFIGURING : r->state;
        break;
    case MODEM_EV_SILENT:
        r->state = open ? RADIO_SILENT : r->state;
        break;
    case MODEM_EV_RX:
    case MODEM_EV_TX_DONE:
    case MODEM_EV_REFUSED:
    case MODEM_EV_SPENT:
    case MODEM_EV_FAULT:
        break;
    }
    if (event_out->text[0])
        snprintf(r->text, sizeof r->text, "%s", event_out->text);
    return true;
}

int radio_send(struct radio *r, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    int err = modem_send(&r->modem, now_ms, frame, len);
    if (err == MODEM_OK)
        write_out(r, now_ms);
    else if (err == MODEM_ENOTREADY && r->state == RADIO_READY)
        r->state = RADIO_CONFIGURING; /* it restarted; the driver is writing its settings again */
    return err;
}

uint64_t radio_next_deadline(const struct radio *r)
{
    if (serial_fd(&r->serial) < 0)
        return r->reopen_ms;
    return modem_next_deadline(&r->modem);
}

const char *radio_state_name(enum radio_state state)
{
    switch (state) {
    case RADIO_NONE: return "none";
    case RADIO_ABSENT: return "absent";
    case RADIO_CONFIGURING: return "configuring";
    case RADIO_READY: return "ready";
    case RADIO_SILENT: return "silent";
    case RADIO_UNLAWFUL: return "unlawful";
    }
    return "unknown";
}
