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

/* One question and an answer to it, or a banner without a question.  In this order: what a modem
 * takes for rubbish stands before what it would answer wrongly.  Rows with the same question follow
 * each other: it is put once. */
struct question {
    enum probe_ask ask;
    uint8_t lines; /* PROBE_SETTINGS: what the mode wires are to be */
    uint32_t baud;
    uint32_t wait_ms;
    const char *say;
    size_t say_len;
    const char *want;
    size_t want_len;
    const char *driver, *what;
};

#define BYTES(text) text, sizeof(text) - 1
#define BOTH_LINES (MODEM_LINE_M0 | MODEM_LINE_M1)
static const struct question questions[] = {
    { PROBE_LISTEN, 0, 115200, 0, BYTES(""), BYTES("\xc0\x55\xf8\xc0"), "rnode",
      "RNode, starting" },
    { PROBE_LISTEN, 0, 115200, 0, BYTES(""), BYTES("+READY"), NULL,
      "REYAX RYLR, starting (asked, it says which)" },
    { PROBE_LISTEN, 0, 115200, 0, BYTES(""), BYTES("RAKwireless"), "rak3172",
      "RAK3172, starting" },
    { PROBE_LISTEN, 0, 115200, 0, BYTES(""), BYTES("\x94\xc3"), "meshtastic", "Meshtastic" },
    { PROBE_ASK, 0, 115200, 500, BYTES("\xc0\xc0\x08\x73\xc0"), BYTES("\xc0\x08\x46\xc0"),
      "rnode", "RNode" },
    { PROBE_ASK, 0, 115200, 500, BYTES("\xc0\x06\x17\xc0"), BYTES("\xc0\x06\x97"),
      "meshcore-kiss", "MeshCore KISS modem" },
    { PROBE_ASK, 0, 115200, 2000, BYTES("\x94\xc3\x00\x06\x18\xf8\xac\xd1\x91\x01"),
      BYTES("\x94\xc3\x00"), "meshtastic", "Meshtastic" },
    { PROBE_ASK, 0, 115200, 500, BYTES("\r\nAT+VER?\r\n"), BYTES("+VER=RYLR998"), "rylr998",
      "REYAX RYLR998" },
    { PROBE_ASK, 0, 115200, 500, BYTES("\r\nAT+VER?\r\n"), BYTES("+VER=RYLR498"), "rylr498",
      "REYAX RYLR498" },
    { PROBE_ASK, 0, 115200, 500, BYTES("\r\nAT+VER?\r\n"), BYTES("+VER=RYLR89"), "rylr896",
      "REYAX RYLR896" },
    { PROBE_ASK, 0, 115200, 500, BYTES("\r\nAT\r\n"), BYTES("+OK"), NULL,
      "REYAX RYLR of a kind that is not known here" },
    { PROBE_ASK, 0, 115200, 500, BYTES("\r\nAT\r\n"), BYTES("\r\nOK"), "rak3172", "RAK3172" },
    { PROBE_ASK, 0, 9600, 500, BYTES("\r\nAT\r\n"), BYTES("+AT: OK"), "wio-e5",
      "Seeed Wio-E5" },
    /* In the E22's settings mode the others hear at most and do not send; in theirs it sleeps. */
    { PROBE_SETTINGS, BOTH_LINES, 9600, 500, BYTES("\xc1\x00\x08"), BYTES("\xc1\x00\x08"),
      "ebyte-e220", "Ebyte E220" },
    { PROBE_SETTINGS, BOTH_LINES, 9600, 500, BYTES("\xc1\xc1\xc1"), BYTES("\xc0"), "ebyte-e32",
      "Ebyte E32" },
    { PROBE_SETTINGS, MODEM_LINE_M1, 9600, 500, BYTES("\xc1\x00\x09"), BYTES("\xc1\x00\x09"),
      "ebyte-e22", "Ebyte E22" },
};
enum { QUESTION_COUNT = sizeof questions / sizeof questions[0] };

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

static bool same_question(const struct question *a, const struct question *b)
{
    return a->ask == b->ask && a->lines == b->lines && a->baud == b->baud &&
           a->say_len == b->say_len && memcmp(a->say, b->say, a->say_len) == 0;
}

/* Is what was heard an answer to q? */
static bool recognise(struct probe_result *r, const struct question *q)
{
    for (const struct question *row = q; row < questions + QUESTION_COUNT &&
                                         same_question(row, q); row++) {
        if (!memmem(r->heard, r->heard_len, row->want, row->want_len))
            continue;
        r->driver = row->driver;
        r->what = row->what;
        r->baud = row->baud;
        return true;
    }
    return false;
}

/* Reads for so long, or until an answer to q was heard. */
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
        if (recognise(r, q))
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

/* Sets the mode wires, and drops what the module says of the change. */
static int set_mode(struct lines *lines, struct serial *serial, uint8_t mode, char *text)
{
    struct probe_result dropped = { .driver = NULL };
    if (lines_set(lines, serial_fd(serial), mode) == LINES_OK)
        return hear(serial, MODE_MS, &questions[0], &dropped);
    (void)snprintf(text, SERIAL_TEXT_LEN, "the mode wires cannot be set");
    return SERIAL_EOPEN;
}

static int ask_all(struct serial *serial, struct lines *lines, enum probe_ask ask,
                   struct probe_result *r, char *text)
{
    uint8_t mode = 0;
    int err = SERIAL_OK;
    for (size_t i = 0; i < QUESTION_COUNT && !r->driver && err == SERIAL_OK; i++) {
        const struct question *q = &questions[i];
        if (q->ask != ask || (i > 0 && same_question(q, q - 1)))
            continue;
        if (q->lines != mode)
            err = set_mode(lines, serial, q->lines, text);
        mode = q->lines;
        if (err == SERIAL_OK)
            err = put(serial, q, r);
    }
    if (mode != 0 && err == SERIAL_OK)
        err = set_mode(lines, serial, 0, text); /* back to work */
    return err;
}

static int open_wires(struct lines *lines, struct serial *serial, char *text)
{
    if ((lines->present & BOTH_LINES) != BOTH_LINES) {
        (void)snprintf(text, SERIAL_TEXT_LEN, "both mode wires, m0 and m1, must be named");
        return SERIAL_EOPEN;
    }
    return lines_open(lines, serial_fd(serial), text) == LINES_OK ? SERIAL_OK : SERIAL_EOPEN;
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
    err = ask == PROBE_SETTINGS ? open_wires(&lines, &serial, text)
                                : hear(&serial, LISTEN_MS, &questions[0], &r);
    if (err == SERIAL_OK && ask != PROBE_LISTEN && !r.driver)
        err = ask_all(&serial, &lines, ask, &r, text);
    if (err != SERIAL_OK && text[0] == '\0')
        (void)snprintf(text, SERIAL_TEXT_LEN, "%s: %s", path, serial_strerror(err));
    lines_close(&lines);
    serial_close(&serial);
    *result_out = r;
    return err;
}
