#include "hw/probe.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hw/modem.h"

enum {
    LISTEN_MS = 2000,
    MODE_MS = 100, /* a module takes its wires' new mode within */
    MS_PER_S = 1000,
    NS_PER_MS = 1000000,
};

/* One question, or a banner without one.  In this order: what a modem takes for rubbish stands
 * before what it would answer wrongly. */
struct question {
    enum probe_ask ask;
    uint32_t baud;
    uint32_t wait_ms;
    const char *say;
    size_t say_len;
    const char *want;
    size_t want_len;
    const char *driver, *what;
};

#define BYTES(text) text, sizeof(text) - 1
static const struct question questions[] = {
    { PROBE_LISTEN, 115200, 0, BYTES(""), BYTES("\xc0\x55\xf8\xc0"), "rnode", "RNode, starting" },
    { PROBE_LISTEN, 115200, 0, BYTES(""), BYTES("+READY"), "rylr998",
      "REYAX RYLR, starting: its label says which" },
    { PROBE_LISTEN, 115200, 0, BYTES(""), BYTES("RAKwireless"), "rak3172", "RAK3172, starting" },
    { PROBE_LISTEN, 115200, 0, BYTES(""), BYTES("\x94\xc3"), "meshtastic", "Meshtastic" },
    { PROBE_ASK, 115200, 500, BYTES("\xc0\xc0\x08\x73\xc0"), BYTES("\xc0\x08\x46\xc0"), "rnode",
      "RNode" },
    { PROBE_ASK, 115200, 500, BYTES("\xc0\x06\x17\xc0"), BYTES("\xc0\x06\x97"), "meshcore-kiss",
      "MeshCore KISS modem" },
    { PROBE_ASK, 115200, 2000, BYTES("\x94\xc3\x00\x06\x18\xf8\xac\xd1\x91\x01"),
      BYTES("\x94\xc3\x00"), "meshtastic", "Meshtastic" },
    { PROBE_ASK, 115200, 500, BYTES("\r\nAT\r\n"), BYTES("+OK"), "rylr998",
      "REYAX RYLR: its label says which" },
    { PROBE_ASK, 115200, 500, BYTES("\r\nAT\r\n"), BYTES("\r\nOK"), "rak3172", "RAK3172" },
    { PROBE_ASK, 9600, 500, BYTES("\r\nAT\r\n"), BYTES("+AT: OK"), "wio-e5", "Seeed Wio-E5" },
    { PROBE_SETTINGS, 9600, 500, BYTES("\xc1\x00\x09"), BYTES("\xc1\x00\x09"), "ebyte-e22",
      "Ebyte E22" },
    { PROBE_SETTINGS, 9600, 500, BYTES("\xc1\x00\x08"), BYTES("\xc1\x00\x08"), "ebyte-e220",
      "Ebyte E220" },
    { PROBE_SETTINGS, 9600, 500, BYTES("\xc1\xc1\xc1"), BYTES("\xc0"), "ebyte-e32",
      "Ebyte E32" },
};

static const struct { uint16_t vid, pid; const char *hint; } usb_hints[] = {
    { 0x10c4, 0xea60, "USB-UART CP210x: many ESP32 boards, and bare modules" },
    { 0x1a86, 0x7523, "USB-UART CH340: cheap adapters, bare modules" },
    { 0x1a86, 0x55d4, "USB-UART CH9102: ESP32 boards" },
    { 0x303a, 0x1001, "ESP32-S3 board" },
    { 0x0403, 0x6001, "USB-UART FTDI: adapters, bare modules" },
    { 0x239a, 0x8029, "RAK4631 or another nRF52 board" },
};

const char *probe_usb_hint(uint16_t vid, uint16_t pid)
{
    for (size_t i = 0; i < sizeof usb_hints / sizeof usb_hints[0]; i++)
        if (usb_hints[i].vid == vid && usb_hints[i].pid == pid)
            return usb_hints[i].hint;
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * MS_PER_S + ts.tv_nsec / NS_PER_MS;
}

static void keep(struct probe_result *r, const uint8_t *bytes, size_t len)
{
    if (len > sizeof r->heard) {
        bytes += len - sizeof r->heard;
        len = sizeof r->heard;
    }
    size_t old_len = r->heard_len + len > sizeof r->heard ? sizeof r->heard - len : r->heard_len;
    memmove(r->heard, r->heard + (r->heard_len - old_len), old_len);
    memcpy(r->heard + old_len, bytes, len);
    r->heard_len = old_len + len;
}

static bool recognise(struct probe_result *r, const struct question *q)
{
    if (!memmem(r->heard, r->heard_len, q->want, q->want_len))
        return false;
    r->driver = q->driver;
    r->what = q->what;
    r->baud = q->baud;
    return true;
}

/* Reads for so long, or until the answer to q (NULL: any banner) was heard. */
static int hear(struct serial *serial, uint32_t wait_ms, const struct question *q,
                struct probe_result *r)
{
    uint8_t buf[PROBE_HEARD_LEN];
    for (int64_t end_ms = now_ms() + wait_ms, left_ms; (left_ms = end_ms - now_ms()) > 0;) {
        struct pollfd fd = { .fd = serial_fd(serial), .events = POLLIN };
        if (poll(&fd, 1, (int)left_ms) <= 0)
            continue;
        int n = serial_read(serial, buf, sizeof buf);
        if (n < 0)
            return n;
        keep(r, buf, (size_t)n);
        if (q && recognise(r, q))
            return 0;
        for (size_t i = 0; !q && questions[i].ask == PROBE_LISTEN; i++)
            if (recognise(r, &questions[i]))
                return 0;
    }
    return 0;
}

static int put(struct serial *serial, const struct question *q, struct probe_result *r)
{
    size_t at = 0;
    int err = serial_set_baud(serial, q->baud);
    r->heard_len = 0;
    while (err == SERIAL_OK && at < q->say_len) {
        int n = serial_write(serial, (const uint8_t *)q->say + at, q->say_len - at);
        if (n == 0)
            return SERIAL_EIO; /* a few bytes that find no room: nobody takes them */
        err = n < 0 ? n : SERIAL_OK;
        at += n > 0 ? (size_t)n : 0;
    }
    return err == SERIAL_OK ? hear(serial, q->wait_ms, q, r) : err;
}

static int ask_all(struct serial *serial, enum probe_ask ask, struct probe_result *r)
{
    for (size_t i = 0; i < sizeof questions / sizeof questions[0] && !r->what; i++) {
        int err = questions[i].ask == ask ? put(serial, &questions[i], r) : SERIAL_OK;
        if (err != SERIAL_OK)
            return err;
    }
    return SERIAL_OK;
}

static int set_mode(struct lines *lines, struct serial *serial, char *text)
{
    if ((lines->present & (MODEM_LINE_M0 | MODEM_LINE_M1)) != (MODEM_LINE_M0 | MODEM_LINE_M1)) {
        (void)snprintf(text, SERIAL_TEXT_LEN, "both mode wires, m0 and m1, must be named");
        return SERIAL_EOPEN;
    }
    if (lines_open(lines, serial_fd(serial), text) != LINES_OK)
        return SERIAL_EOPEN;
    if (lines_set(lines, serial_fd(serial), MODEM_LINE_M0 | MODEM_LINE_M1) != LINES_OK) {
        (void)snprintf(text, SERIAL_TEXT_LEN, "the mode wires cannot be set");
        return SERIAL_EOPEN;
    }
    return SERIAL_OK;
}

int probe_port(const char *path, const char *wires, enum probe_ask ask,
               struct probe_result *result_out, char text[SERIAL_TEXT_LEN])
{
    struct serial serial = SERIAL_CLOSED;
    struct lines lines;
    struct probe_result r = { .driver = NULL };
    if (lines_parse(wires, &lines, text) != LINES_OK)
        return SERIAL_EOPEN;
    int err = serial_open(path, ask == PROBE_SETTINGS ? 9600 : 115200, &serial, text);
    if (err != SERIAL_OK)
        return err;
    if (ask == PROBE_SETTINGS) {
        err = set_mode(&lines, &serial, text);
        if (err == SERIAL_OK)
            err = hear(&serial, MODE_MS, NULL, &r);
    } else {
        err = hear(&serial, LISTEN_MS, NULL, &r);
    }
    bool said = text[0] != '\0';
    if (err == SERIAL_OK && ask != PROBE_LISTEN && !r.what)
        err = ask_all(&serial, ask, &r);
    if (err != SERIAL_OK && !said)
        (void)snprintf(text, SERIAL_TEXT_LEN, "%s: %s", path, serial_strerror(err));
    lines_close(&lines);
    serial_close(&serial);
    *result_out = r;
    return err;
}
