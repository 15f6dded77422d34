/* A real port without hardware: libserialport and serial.c are shown /dev/ttyKENG0, which this
 * program makes of a pseudo-terminal by standing in front of the few calls by which they tell a
 * port.  Bytes, speeds, raw mode and unplugging are the kernel's own; the modem lines, which a
 * pseudo-terminal has not, are kept here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "hw/lines.h"
#include "hw/modem.h"
#include "hw/serial.h"

#define PORT "/dev/ttyKENG0"
#define BY_ID "/dev/serial/by-id/usb-keng-if00"

enum { USB_SERIAL_MAJOR = 188 };

static struct {
    int master_fd;
    char slave[64];
    int modem_bits;     /* TIOCM_ of the port's wires */
    int exclusive;      /* TIOCEXCL less TIOCNXCL */
    unsigned opened;    /* times the port was opened through libserialport */
    unsigned long fail; /* this ioctl fails once */
} board;

/* ---- what stands in front of the C library ---------------------------------------------- */

int __lxstat(int version, const char *path, struct stat *st);
int __open_2(const char *path, int flags);

static bool is_port(const char *path)
{
    return strcmp(path, PORT) == 0 || strcmp(path, BY_ID) == 0;
}

char *realpath(const char *path, char *resolved)
{
    assert_null(resolved);
    if (is_port(path))
        return strdup(PORT);
    errno = ENOENT;
    return NULL;
}

int stat(const char *path, struct stat *st)
{
    if (!is_port(path))
        return (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
    *st = (struct stat){ .st_mode = S_IFCHR | 0660, .st_rdev = makedev(USB_SERIAL_MAJOR, 0) };
    return 0;
}

int __lxstat(int version, const char *path, struct stat *st)
{
    (void)version;
    if (strcmp(path, "/sys/class/tty/ttyKENG0") != 0)
        return (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
    *st = (struct stat){ .st_mode = S_IFLNK | 0777 };
    return 0;
}

ssize_t readlink(const char *path, char *buf, size_t cap)
{
    static const char target[] = "../../devices/platform/keng/tty/ttyKENG0";
    if (strcmp(path, "/sys/class/tty/ttyKENG0") != 0)
        return syscall(SYS_readlinkat, AT_FDCWD, path, buf, cap);
    size_t len = sizeof target - 1 < cap ? sizeof target - 1 : cap;
    memcpy(buf, target, len);
    return (ssize_t)len;
}

static int open_any(const char *path, int flags, mode_t mode)
{
    if (strcmp(path, PORT) != 0)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    board.opened++;
    return (int)syscall(SYS_openat, AT_FDCWD, board.slave, flags, 0);
}

int __open_2(const char *path, int flags)
{
    return open_any(path, flags, 0);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg(args, int) : 0;
    va_end(args);
    return open_any(path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    int *value = va_arg(args, int *);
    va_end(args);
    if (board.fail == request) {
        board.fail = 0;
        errno = ENOTTY;
        return -1;
    }
    switch (request) {
    case TIOCMGET:
        *value = board.modem_bits;
        return 0;
    case TIOCMSET:
        board.modem_bits = *value | (board.modem_bits & (TIOCM_CTS | TIOCM_DSR));
        return 0;
    case TIOCMBIS:
        board.modem_bits |= *value;
        return 0;
    case TIOCMBIC:
        board.modem_bits &= ~*value;
        return 0;
    case TIOCEXCL:
        board.exclusive++;
        break;
    case TIOCNXCL:
        board.exclusive--;
        break;
    default:
        break;
    }
    return (int)syscall(SYS_ioctl, fd, request, value);
}

/* ---- the board ----------------------------------------------------------------------------*/

static int setup(void **state)
{
    (void)state;
    memset(&board, 0, sizeof board);
    board.master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    assert_true(board.master_fd >= 0);
    assert_int_equal(grantpt(board.master_fd), 0);
    assert_int_equal(unlockpt(board.master_fd), 0);
    return ptsname_r(board.master_fd, board.slave, sizeof board.slave);
}

static int teardown(void **state)
{
    (void)state;
    return board.master_fd >= 0 ? close(board.master_fd) : 0;
}

static struct serial open_ok(const char *path)
{
    struct serial serial;
    char text[SERIAL_TEXT_LEN];
    if (serial_open(path, 115200, &serial, text) != SERIAL_OK)
        fail_msg("%s", text);
    assert_non_null(serial.port); /* libserialport's, not the short path of pseudo-terminals */
    assert_false(serial_is_pty(&serial));
    return serial;
}

static speed_t speed_now(void)
{
    struct termios tio;
    assert_int_equal(tcgetattr(board.master_fd, &tio), 0);
    return cfgetospeed(&tio);
}

static void test_serial_port_is_opened_raw_and_held_alone(void **state)
{
    struct serial serial = open_ok(PORT);
    struct termios tio;
    (void)state;
    assert_int_equal(board.opened, 1);
    assert_int_equal(tcgetattr(board.master_fd, &tio), 0);
    assert_int_equal(cfgetospeed(&tio), B115200);
    assert_int_equal(tio.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_int_equal(tio.c_oflag & OPOST, 0);
    assert_int_equal(tio.c_cc[VMIN], 1);
    assert_int_equal(tio.c_cc[VTIME], 0);
    assert_int_equal(tio.c_cflag & (HUPCL | CRTSCTS | PARENB | CSTOPB), 0);
    assert_int_equal(board.exclusive, 1);
    assert_true((fcntl(serial_fd(&serial), F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(serial_fd(&serial), F_GETFL) & O_NONBLOCK) != 0);
    serial_close(&serial);
    assert_int_equal(board.exclusive, 0);
}

static void test_serial_port_is_found_by_its_stable_name(void **state)
{
    struct serial serial = open_ok(BY_ID);
    (void)state;
    serial_close(&serial);
}

static void test_serial_port_carries_bytes_and_changes_speed(void **state)
{
    struct serial serial = open_ok(PORT);
    uint8_t all[256], got[256];
    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    assert_int_equal(serial_write(&serial, all, sizeof all), sizeof all);
    assert_int_equal(read(board.master_fd, got, sizeof got), sizeof got);
    assert_memory_equal(got, all, sizeof all);
    assert_int_equal(serial_read(&serial, got, sizeof got), 0); /* nothing yet */
    assert_int_equal(write(board.master_fd, all, sizeof all), sizeof all);
    assert_int_equal(serial_read(&serial, got, sizeof got), sizeof got);
    assert_memory_equal(got, all, sizeof all);
    assert_int_equal(serial_set_baud(&serial, 9600), SERIAL_OK);
    assert_int_equal(speed_now(), B9600);
    /* Another speed must not undo VMIN 1: read still tells "nothing yet" from "unplugged". */
    assert_int_equal(serial_read(&serial, got, sizeof got), 0);
    close(board.master_fd);
    board.master_fd = -1;
    assert_int_equal(serial_read(&serial, got, sizeof got), SERIAL_EGONE);
    serial_close(&serial);
}

static void test_serial_port_has_one_owner(void **state)
{
    struct serial first = open_ok(PORT), second;
    char text[SERIAL_TEXT_LEN];
    (void)state;
    assert_int_not_equal(serial_open(PORT, 115200, &second, text), SERIAL_OK);
    assert_int_equal(serial_fd(&second), -1);
    assert_non_null(strstr(text, PORT));
    serial_close(&first);
    second = open_ok(PORT);
    serial_close(&second);
}

/* Whatever the port refuses ends in one line and no descriptor left open. */
static void test_serial_port_that_refuses_is_left_closed(void **state)
{
    static const unsigned long requests[] = { TIOCMGET, TIOCEXCL };
    (void)state;
    int before = dup(0);
    close(before);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct serial serial;
        char text[SERIAL_TEXT_LEN] = "";
        board.fail = requests[i];
        assert_int_equal(serial_open(PORT, 115200, &serial, text), SERIAL_EOPEN);
        assert_true(text[0] != '\0' && !strchr(text, '\n'));
        assert_int_equal(serial_fd(&serial), -1);
        int after = dup(0);
        assert_int_equal(after, before);
        close(after);
    }
}

static void test_serial_port_has_wires_of_its_own(void **state)
{
    struct serial serial = open_ok(PORT);
    struct lines lines;
    char text[LINES_TEXT_LEN];
    uint8_t inputs;
    bool changed;
    (void)state;
    assert_int_equal(lines_parse("port: m0=dtr m1=!rts aux=cts", &lines, text), LINES_OK);
    assert_int_equal(lines_open(&lines, serial_fd(&serial), text), LINES_OK);
    assert_int_equal(lines_set(&lines, serial_fd(&serial), MODEM_LINE_M0 | MODEM_LINE_M1),
                     LINES_OK);
    assert_int_equal(board.modem_bits & (TIOCM_DTR | TIOCM_RTS), TIOCM_DTR);
    assert_int_equal(lines_set(&lines, serial_fd(&serial), 0), LINES_OK);
    assert_int_equal(board.modem_bits & (TIOCM_DTR | TIOCM_RTS), TIOCM_RTS);
    assert_int_equal(lines_read(&lines, serial_fd(&serial), &inputs, &changed), LINES_OK);
    assert_int_equal(inputs & MODEM_LINE_AUX, 0);
    board.modem_bits |= TIOCM_CTS;
    assert_int_equal(lines_read(&lines, serial_fd(&serial), &inputs, &changed), LINES_OK);
    assert_true((inputs & MODEM_LINE_AUX) && changed);
    lines_close(&lines);
    serial_close(&serial);
}

int main(void)
{
#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        PORT_TEST(test_serial_port_is_opened_raw_and_held_alone),
        PORT_TEST(test_serial_port_is_found_by_its_stable_name),
        PORT_TEST(test_serial_port_carries_bytes_and_changes_speed),
        PORT_TEST(test_serial_port_has_one_owner),
        PORT_TEST(test_serial_port_that_refuses_is_left_closed),
        PORT_TEST(test_serial_port_has_wires_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
