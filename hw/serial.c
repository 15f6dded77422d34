#include "hw/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <libserialport.h>

enum {
    /* Device numbers of Unix98 pseudo-terminal slaves: Linux, admin-guide/devices.txt. */
    PTY_SLAVE_MAJOR_FIRST = 136,
    PTY_SLAVE_MAJOR_LAST = 143,
};

__attribute__((format(printf, 2, 3)))
static void say(char text[SERIAL_TEXT_LEN], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, SERIAL_TEXT_LEN, format, args); /* cut when too long */
    va_end(args);
}

static int fail_errno(const char *path, int err, char text[SERIAL_TEXT_LEN])
{
    const char *hint = "";
    if (err == EACCES)
        hint = "; add the user to the group that owns the device, often 'dialout'";
    else if (err == ENOENT)
        hint = "; is the modem plugged in?";
    else if (err == EBUSY)
        hint = "; another program uses it";
    say(text, "%s: %s%s", path, strerror(err), hint);
    return err == EBUSY ? SERIAL_EBUSY : SERIAL_EOPEN;
}

static bool baud_to_speed(uint32_t baud, speed_t *speed_out)
{
    static const struct { uint32_t baud; speed_t speed; } speeds[] = {
        { 1200, B1200 },     { 2400, B2400 },     { 4800, B4800 },     { 9600, B9600 },
        { 19200, B19200 },   { 38400, B38400 },   { 57600, B57600 },   { 115200, B115200 },
        { 230400, B230400 }, { 460800, B460800 }, { 921600, B921600 },
    };
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        if (speeds[i].baud == baud) {
            *speed_out = speeds[i].speed;
            return true;
        }
    }
    return false;
}

/* Raw, and VMIN 1 so that a read of 0 bytes can only mean a hang-up.  With speed NULL the
 * line's speed, set by libserialport, is kept. */
static int make_raw(int fd, const speed_t *speed)
{
    struct termios tio;
    if (tcgetattr(fd, &tio) < 0)
        return -errno;
    cfmakeraw(&tio);
    tio.c_cflag |= CREAD | CLOCAL;
    /* Without HUPCL closing does not drop DTR, which resets many boards. */
    tio.c_cflag &= ~(tcflag_t)(HUPCL | CSTOPB | PARENB | CRTSCTS);
    tio.c_cc[VMIN] = 1;
    tio.c_cc[VTIME] = 0;
    if (speed && (cfsetispeed(&tio, *speed) < 0 || cfsetospeed(&tio, *speed) < 0))
        return -errno;
    if (tcsetattr(fd, TCSANOW, &tio) < 0)
        return -errno;
    struct termios now;
    if (tcgetattr(fd, &now) < 0)
        return -errno;
    /* tcsetattr reports success when any one of the settings took. */
    if (now.c_cc[VMIN] != 1 || now.c_cc[VTIME] != 0 || (now.c_lflag & (ICANON | ECHO)) != 0 ||
        (speed && cfgetospeed(&now) != *speed))
        return -EINVAL;
    return 0;
}

static int claim(int fd, bool is_pty)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    /* An emulator keeps its pty open for ever, so that TIOCEXCL would outlive a killed
     * owner and lock out its successor; flock dies with its owner. */
    if (!is_pty && ioctl(fd, TIOCEXCL) < 0)
        return -errno;
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static int open_pty(const char *path, uint32_t baud, struct serial *serial,
                    char text[SERIAL_TEXT_LEN])
{
    speed_t speed;
    if (!baud_to_speed(baud, &speed)) {
        say(text, "%s: %u baud is not a usual speed", path, (unsigned)baud);
        return SERIAL_EOPEN;
    }
    serial->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (serial->fd < 0)
        return fail_errno(path, errno, text);
    serial->is_pty = true;
    int err = claim(serial->fd, true);
    if (err == 0)
        err = make_raw(serial->fd, &speed);
    return err == 0 ? SERIAL_OK : fail_errno(path, -err, text);
}

static int fail_sp(const char *path, enum sp_return result, char text[SERIAL_TEXT_LEN])
{
    if (result == SP_ERR_FAIL)
        return fail_errno(path, sp_last_error_code(), text);
    say(text, "%s: %s", path,
        result == SP_ERR_ARG ? "not a serial port" : "the port does not support these settings");
    return SERIAL_EOPEN;
}

static int open_port(const char *path, uint32_t baud, struct serial *serial,
                     char text[SERIAL_TEXT_LEN])
{
    struct sp_port *port = NULL;
    enum sp_return result = sp_get_port_by_name(path, &port);
    if (result != SP_OK)
        return fail_sp(path, result, text);
    serial->port = port;
    result = sp_open(port, SP_MODE_READ_WRITE);
    if (result != SP_OK)
        return fail_sp(path, result, text);
    if (sp_get_port_handle(port, &serial->fd) != SP_OK)
        return fail_sp(path, SP_ERR_FAIL, text);
    int err = claim(serial->fd, false);
    if (err != 0)
        return fail_errno(path, -err, text);
    if ((result = sp_set_baudrate(port, (int)baud)) != SP_OK ||
        (result = sp_set_bits(port, 8)) != SP_OK ||
        (result = sp_set_parity(port, SP_PARITY_NONE)) != SP_OK ||
        (result = sp_set_stopbits(port, 1)) != SP_OK ||
        (result = sp_set_flowcontrol(port, SP_FLOWCONTROL_NONE)) != SP_OK)
        return fail_sp(path, result, text);
    err = make_raw(serial->fd, NULL);
    return err == 0 ? SERIAL_OK : fail_errno(path, -err, text);
}

int serial_open(const char *path, uint32_t baud, struct serial *serial_out,
                char text[SERIAL_TEXT_LEN])
{
    struct serial serial = SERIAL_CLOSED;
    *serial_out = serial;
    text[0] = '\0';
    /* libserialport 0.1.1 does not follow /dev/serial/by-id links. */
    char *real = realpath(path, NULL);
    if (!real)
        return fail_errno(path, errno, text);
    struct stat st;
    int err = SERIAL_OK;
    if (stat(real, &st) < 0) {
        err = fail_errno(path, errno, text);
    } else if (!S_ISCHR(st.st_mode)) {
        say(text, "%s: not a serial port", path);
        err = SERIAL_EOPEN;
    } else if (major(st.st_rdev) >= PTY_SLAVE_MAJOR_FIRST &&
               major(st.st_rdev) <= PTY_SLAVE_MAJOR_LAST) {
        err = open_pty(real, baud, &serial, text);
    } else {
        err = open_port(real, baud, &serial, text);
    }
    free(real);
    /* What arrived before we set the line up was read at the wrong speed or is stale. */
    if (err == SERIAL_OK && tcflush(serial.fd, TCIOFLUSH) < 0)
        err = fail_errno(path, errno, text);
    if (err != SERIAL_OK)
        serial_close(&serial);
    *serial_out = serial;
    return err;
}

int serial_fd(const struct serial *serial)
{
    return serial->fd;
}

bool serial_is_pty(const struct serial *serial)
{
    return serial->is_pty;
}

static int io_error(void)
{
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    /* EIO is how a tty says that its other side is gone; ENXIO and ENODEV, USB. */
    if (errno == EIO || errno == ENXIO || errno == ENODEV)
        return SERIAL_EGONE;
    return SERIAL_EIO;
}

int serial_set_baud(struct serial *serial, uint32_t baud)
{
    speed_t speed;
    struct termios tio;
    if (serial->port)
        return sp_set_baudrate(serial->port, (int)baud) == SP_OK ? SERIAL_OK : SERIAL_EIO;
    if (!baud_to_speed(baud, &speed) || tcgetattr(serial->fd, &tio) < 0 ||
        cfsetispeed(&tio, speed) < 0 || cfsetospeed(&tio, speed) < 0 ||
        tcsetattr(serial->fd, TCSANOW, &tio) < 0)
        return SERIAL_EIO;
    return SERIAL_OK;
}

int serial_read(struct serial *serial, uint8_t *buf, size_t cap)
{
    if (serial->fd < 0)
        return SERIAL_EGONE;
    if (cap == 0)
        return 0;
    ssize_t n = read(serial->fd, buf, cap < INT_MAX ? cap : INT_MAX);
    if (n > 0)
        return (int)n;
    return n == 0 ? SERIAL_EGONE : io_error();
}

int serial_write(struct serial *serial, const uint8_t *buf, size_t len)
{
    if (serial->fd < 0)
        return SERIAL_EGONE;
    if (len == 0)
        return 0;
    ssize_t n = write(serial->fd, buf, len < INT_MAX ? len : INT_MAX);
    return n >= 0 ? (int)n : io_error();
}

void serial_close(struct serial *serial)
{
    if (serial->fd >= 0)
        (void)ioctl(serial->fd, TIOCNXCL); /* fails on a gone device, where it does not matter */
    if (serial->port) {
        if (serial->fd >= 0)
            (void)sp_close(serial->port); /* nothing to do about a failure, the handle is freed */
        sp_free_port(serial->port);
    } else if (serial->fd >= 0) {
        (void)close(serial->fd); /* the descriptor is gone whatever it returns */
    }
    *serial = (struct serial)SERIAL_CLOSED;
}

static void describe(const struct sp_port *port, struct serial_port *out)
{
    *out = (struct serial_port){ .is_usb = sp_get_port_transport(port) == SP_TRANSPORT_USB };
    const char *description = sp_get_port_description(port);
    (void)snprintf(out->path, sizeof out->path, "%s", sp_get_port_name(port));
    (void)snprintf(out->description, sizeof out->description, "%s", description ? description : "");
    int vid, pid;
    if (out->is_usb && sp_get_port_usb_vid_pid(port, &vid, &pid) == SP_OK) {
        out->usb_vid = (uint16_t)vid;
        out->usb_pid = (uint16_t)pid;
    }
}

int serial_list(struct serial_port *ports, size_t cap, size_t *count_out)
{
    struct sp_port **list = NULL;
    if (sp_list_ports(&list) != SP_OK)
        return SERIAL_EIO;
    size_t count = 0;
    for (; list[count]; count++) {
        if (count < cap)
            describe(list[count], &ports[count]);
    }
    sp_free_port_list(list);
    *count_out = count;
    return SERIAL_OK;
}

const char *serial_strerror(int err)
{
    switch (err) {
    case SERIAL_OK: return "ok";
    case SERIAL_EOPEN: return "the port cannot be opened or configured";
    case SERIAL_EBUSY: return "another program holds the port";
    case SERIAL_EGONE: return "the port is gone: unplugged, or its other side closed";
    case SERIAL_EIO: return "the port reports an input or output error";
    }
    return "unknown serial error";
}
