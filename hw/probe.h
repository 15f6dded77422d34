/* probe.h - which modem may be behind a port?
 *
 * Listening is harmless.  Asking is not always: a transparent module (Ebyte in its working mode)
 * sends whatever it is given over the air, so questions are put only when the caller says that
 * there is none, or that its wires can hold it in its settings mode.  Nothing that would switch a
 * transmitter on is ever written, and nothing is changed.
 *
 * Time      probe_port blocks, at most PROBE_MS_MAX.
 * Memory    The caller's.
 * Errors    Negative enum serial_err with one line of text; 0 also when nothing was recognised.
 * Source    The modems' manuals and firmware, as in the drivers.
 */
#ifndef KENG_HW_PROBE_H
#define KENG_HW_PROBE_H

#include "hw/lines.h"
#include "hw/serial.h"

enum { PROBE_MS_MAX = 20000, PROBE_HEARD_LEN = 64 };

enum probe_ask {
    PROBE_LISTEN,   /* two seconds, nothing is written */
    PROBE_ASK,      /* there is no transparent module on this port */
    PROBE_SETTINGS, /* wires hold a transparent module in its settings mode: asks only that one */
};

struct probe_result {
    const char *driver; /* that speaks to it; NULL: unknown, or none */
    const char *what;   /* one line for people, NULL: unknown */
    uint32_t baud;
    uint8_t heard[PROBE_HEARD_LEN]; /* what came, the last of it */
    size_t heard_len;
};

/* wires: as in kengd.conf; needed for PROBE_SETTINGS, else "". */
int probe_port(const char *path, const char *wires, enum probe_ask ask,
               struct probe_result *result_out, char text[SERIAL_TEXT_LEN])
    __attribute__((warn_unused_result));
/* What usually hides behind a USB id, or NULL: it names the USB chip, rarely the modem. */
const char *probe_usb_hint(uint16_t vid, uint16_t pid);

#endif
