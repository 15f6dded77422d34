/* serial.h - a serial port as a descriptor for poll(2).
 *
 * Real ports are found, opened and configured through libserialport; a
 * pseudo-terminal, which libserialport refuses, through a short termios path.
 * Either way the result is a raw 8N1 descriptor without flow control, close-on-exec,
 * non-blocking, held exclusively (flock; a real port TIOCEXCL too), with VMIN 1 and
 * VTIME 0: only so does read(2) tell "nothing yet" (EAGAIN) from "unplugged" (0).
 *
 * Time      No call blocks, apart from open and close of a slow device.
 * Memory    struct serial is the caller's; libserialport's handle inside it is
 *           released by serial_close.
 * Errors    Negative enum serial_err.  After SERIAL_EGONE the port stays gone: close
 *           it and open it again later by its stable name.  Poll must not be repeated
 *           on a gone port, POLLHUP would return at once for ever.
 */
#ifndef KENG_HW_SERIAL_H
#define KENG_HW_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERIAL_TEXT_LEN = 256,
    SERIAL_PATH_LEN = 128,
};

enum serial_err {
    SERIAL_OK = 0,
    SERIAL_EOPEN = -1, /* cannot be opened or configured: see the text */
    SERIAL_EBUSY = -2, /* another program holds it */
    SERIAL_EGONE = -3, /* unplugged, or the other side of the pty closed */
    SERIAL_EIO = -4,   /* the device reports an error; treat like gone */
};

struct serial {
    int fd;     /* -1 when closed */
    bool is_pty;
    void *port; /* libserialport's handle; NULL for a pty */
};

#define SERIAL_CLOSED { .fd = -1, .is_pty = false, .port = NULL }

struct serial_port {
    char path[SERIAL_PATH_LEN];
    char description[SERIAL_PATH_LEN];
    bool is_usb;
    uint16_t usb_vid, usb_pid; /* 0 unless is_usb */
};

/* Opens path (links are followed) at baud.  On failure serial_out is closed and text
 * holds one line that says what and how to mend it, NUL-ended. */
int serial_open(const char *path, uint32_t baud, struct serial *serial_out,
                char text[SERIAL_TEXT_LEN]) __attribute__((warn_unused_result));
/* For poll(2): wait for POLLIN; POLLERR and POLLHUP come unasked and mean gone once
 * serial_read says so. */
int serial_fd(const struct serial *serial);
bool serial_is_pty(const struct serial *serial);
/* Bytes read (1..cap), 0 for nothing yet, SERIAL_EGONE or SERIAL_EIO. */
int serial_read(struct serial *serial, uint8_t *buf, size_t cap)
    __attribute__((warn_unused_result));
/* Bytes taken (0..len; 0 when the buffer is full: wait for POLLOUT), SERIAL_EGONE or SERIAL_EIO. */
int serial_write(struct serial *serial, const uint8_t *buf, size_t len)
    __attribute__((warn_unused_result));
/* Changes the speed of an open port; what is still being sent may be garbled. */
int serial_set_baud(struct serial *serial, uint32_t baud) __attribute__((warn_unused_result));
/* Also for a gone or never opened one. */
void serial_close(struct serial *serial);

/* Lists up to cap real ports; how many there are goes to count_out. */
int serial_list(struct serial_port *ports, size_t cap, size_t *count_out)
    __attribute__((warn_unused_result));
/* Static text for an enum serial_err. */
const char *serial_strerror(int err);

#endif
