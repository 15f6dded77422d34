/* lines.h - the wires beside a serial port: mode pins, busy, reset (enum modem_line).
 *
 * Where they go is said in words:
 *
 *     ""                                        there are none
 *     "gpio:/dev/gpiochip0 m0=17 m1=27 aux=22"  pins of a GPIO chip, by their offsets
 *     "port: m0=dtr m1=rts aux=cts"             the modem lines of the serial port itself
 *     "socket:PATH"                             an emulated modem (keng-air)
 *
 * A name with a ! before the pin is inverted: "m0=!dtr", as the usual transistor stage needs.
 *
 * Time      No call blocks.
 * Memory    struct lines is the caller's; lines_close releases what it holds.
 * Errors    Negative enum lines_err.  After LINES_EGONE close and open again.
 * Source    Linux uAPI v2 of the GPIO character device (linux/gpio.h), tty_ioctl(4).
 */
#ifndef KENG_HW_LINES_H
#define KENG_HW_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_TEXT_LEN = 256, LINES_COUNT = 4 };

enum lines_err {
    LINES_OK = 0,
    LINES_EWORDS = -1, /* the words make no sense: see the text */
    LINES_EOPEN = -2,  /* cannot be opened: see the text */
    LINES_EGONE = -3,
};

enum lines_kind { LINES_NONE, LINES_GPIO, LINES_PORT, LINES_SOCKET };

struct lines {
    enum lines_kind kind;
    uint8_t present;  /* enum modem_line */
    uint8_t inverted;
    uint8_t inputs;   /* last seen */
    char path[108];
    unsigned pin[LINES_COUNT]; /* by bit of enum modem_line: offset, or a TIOCM_ bit */
    int fd;           /* -1: closed, or none needed */
};

/* Reads the words, opens nothing.  Afterwards lines_out->present says which wires there are. */
int lines_parse(const char *words, struct lines *lines_out, char text[LINES_TEXT_LEN])
    __attribute__((warn_unused_result));
/* port_fd: the open serial port, for LINES_PORT. */
int lines_open(struct lines *lines, int port_fd, char text[LINES_TEXT_LEN])
    __attribute__((warn_unused_result));
/* For poll(2), POLLIN: an input may have changed; -1 where only lines_read tells. */
int lines_fd(const struct lines *lines);
/* Sets all outputs at once. */
int lines_set(struct lines *lines, int port_fd, uint8_t outputs)
    __attribute__((warn_unused_result));
/* The inputs as they are; true in changed_out when they differ from the last time. */
int lines_read(struct lines *lines, int port_fd, uint8_t *inputs_out, bool *changed_out)
    __attribute__((warn_unused_result));
void lines_close(struct lines *lines);

#endif
