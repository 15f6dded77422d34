#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "hw/serial.h"

struct pty { int master_fd; char path[64]; };

static struct pty open_master(void)
{
    struct pty pty;
    pty.master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(pty.master_fd >= 0);
    assert_int_equal(grantpt(pty.master_fd), 0);
    assert_int_equal(unlockpt(pty.master_fd), 0);
    assert_int_equal(ptsname_r(pty.master_fd, pty.path, sizeof pty.path), 0);
    return pty;
}

static struct serial open_ok(const char *path)
{
    struct serial serial;
    char text[SERIAL_TEXT_LEN];
    int err = serial_open(path, 115200, &serial, text);
    if (err != SERIAL_OK)
        fail_msg("%s", text);
    assert_true(serial_fd(&serial) >= 0);
    return serial;
}

static void test_serial_opens_a_pty_raw_at_the_asked_speed(void **state)
{
    struct pty pty = open_master();
    struct serial serial = open_ok(pty.path);
    struct termios tio;
    (void)state;
    assert_true(serial_is_pty(&serial));
    assert_int_equal(tcgetattr(pty.master_fd, &tio), 0); /* shows the slave's settings */
    assert_int_equal(cfgetospeed(&tio), B115200);
    assert_int_equal(tio.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_int_equal(tio.c_cc[VMIN], 1);
    assert_int_equal(tio.c_cflag & HUPCL, 0);
    assert_true((fcntl(serial_fd(&serial), F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(serial_fd(&serial), F_GETFL) & O_NONBLOCK) != 0);
    serial_close(&serial);
    assert_int_equal(serial_fd(&serial), -1);
    serial_close(&serial); /* again: harmless */
    (void)close(pty.master_fd);
}

static void test_serial_carries_every_byte_both_ways(void **state)
{
    struct pty pty = open_master();
    struct serial serial = open_ok(pty.path);
    uint8_t all[256], back[256];
    (void)state;
    for (unsigned i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    assert_int_equal(serial_write(&serial, all, sizeof all), sizeof all);
    assert_int_equal(read(pty.master_fd, back, sizeof back), sizeof all);
    assert_memory_equal(all, back, sizeof all);
    memset(back, 0, sizeof back);
    assert_int_equal(write(pty.master_fd, all, sizeof all), sizeof all);
    assert_int_equal(serial_read(&serial, back, sizeof back), sizeof all);
    assert_memory_equal(all, back, sizeof all);
    serial_close(&serial);
    (void)close(pty.master_fd);
}

static void test_serial_tells_nothing_yet_from_unplugged(void **state)
{
    struct pty pty = open_master();
    struct serial serial = open_ok(pty.path);
    uint8_t buf[16] = { 0 };
    (void)state;
    assert_int_equal(serial_read(&serial, buf, sizeof buf), 0);
    struct pollfd p = { .fd = serial_fd(&serial), .events = POLLIN };
    assert_int_equal(poll(&p, 1, 50), 0); /* sleeps: nothing is ready */
    (void)close(pty.master_fd);
    assert_int_equal(poll(&p, 1, 1000), 1);
    assert_true((p.revents & (POLLHUP | POLLIN)) != 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(serial_read(&serial, buf, sizeof buf), SERIAL_EGONE);
        assert_int_equal(serial_write(&serial, buf, sizeof buf), SERIAL_EGONE);
    }
    serial_close(&serial);
    assert_int_equal(serial_read(&serial, buf, sizeof buf), SERIAL_EGONE);
    assert_int_equal(serial_write(&serial, buf, sizeof buf), SERIAL_EGONE);
}

static void test_serial_write_to_a_host_that_does_not_read_takes_nothing(void **state)
{
    struct pty pty = open_master();
    struct serial serial = open_ok(pty.path);
    static uint8_t buf[4096];
    size_t total = 0;
    int n;
    (void)state;
    while ((n = serial_write(&serial, buf, sizeof buf)) > 0) {
        total += (size_t)n;
        assert_true(total < 1000000);
    }
    assert_int_equal(n, 0);
    struct pollfd p = { .fd = serial_fd(&serial), .events = POLLOUT };
    assert_int_equal(poll(&p, 1, 0), 0);
    serial_close(&serial);
    (void)close(pty.master_fd);
}

static void test_serial_port_has_one_owner_and_passes_to_the_next(void **state)
{
    struct pty pty = open_master();
    char text[SERIAL_TEXT_LEN];
    struct serial second;
    (void)state;
    /* As an emulator does: it keeps its own end of the slave open. */
    int keep_fd = open(pty.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(keep_fd >= 0);
    struct serial serial = open_ok(pty.path);
    assert_int_equal(serial_open(pty.path, 115200, &second, text), SERIAL_EBUSY);
    assert_int_equal(serial_fd(&second), -1);
    assert_non_null(strstr(text, "another program"));
    serial_close(&serial);

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int err = serial_open(pty.path, 115200, &second, text);
        _exit(err == SERIAL_OK ? 0 : 1); /* dies without closing */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    serial = open_ok(pty.path);
    /* Root is let in all the same, so look: an exclusive pty would lock out everyone else. */
    int exclusive = -1;
    assert_int_equal(ioctl(keep_fd, TIOCGEXCL, &exclusive), 0);
    assert_int_equal(exclusive, 0);
    serial_close(&serial);
    (void)close(keep_fd);
    (void)close(pty.master_fd);
}

static void test_serial_follows_links_and_drops_what_is_stale(void **state)
{
    struct pty pty = open_master();
    char dir[] = "/tmp/keng-serial-XXXXXX", path[64];
    uint8_t buf[8];
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/modem", dir);
    assert_int_equal(symlink(pty.path, path), 0);
    int keep_fd = open(pty.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(keep_fd >= 0);
    assert_int_equal(write(pty.master_fd, "stale\n", 6), 6);
    struct serial serial = open_ok(path);
    assert_int_equal(serial_read(&serial, buf, sizeof buf), 0);
    assert_int_equal(write(pty.master_fd, "new", 3), 3);
    assert_int_equal(serial_read(&serial, buf, sizeof buf), 3);
    serial_close(&serial);
    (void)close(keep_fd);
    (void)close(pty.master_fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static const struct { const char *path; uint32_t baud; const char *want; } refused[] = {
    { "/nonexistent/modem", 115200, "plugged in" },
    { "/etc/passwd", 115200, "not a serial port" },
    { "/tmp", 115200, "not a serial port" },
    { "/dev/null", 115200, "/dev/null" },
};

static void test_serial_says_why_a_path_cannot_be_opened(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct serial serial;
        char text[SERIAL_TEXT_LEN];
        assert_int_equal(serial_open(refused[i].path, refused[i].baud, &serial, text),
                         SERIAL_EOPEN);
        assert_int_equal(serial_fd(&serial), -1);
        if (!strstr(text, refused[i].want) || strchr(text, '\n'))
            fail_msg("%s: '%s'", refused[i].path, text);
    }
    struct pty pty = open_master();
    struct serial serial;
    char text[SERIAL_TEXT_LEN];
    assert_int_equal(serial_open(pty.path, 12345, &serial, text), SERIAL_EOPEN);
    assert_non_null(strstr(text, "12345"));
    (void)close(pty.master_fd);
}

static void test_serial_lists_ports_within_the_given_room(void **state)
{
    struct serial_port ports[4];
    size_t count = 999;
    (void)state;
    if (access("/sys/class/tty", R_OK | X_OK) != 0) {
        /* Nobody can say which ports there are: an error, not an empty list. */
        assert_int_equal(serial_list(ports, 4, &count), SERIAL_EIO);
        assert_int_equal(count, 999);
        return;
    }
    assert_int_equal(serial_list(ports, 4, &count), SERIAL_OK);
    for (size_t i = 0; i < count && i < 4; i++)
        assert_true(ports[i].path[0] == '/');
    size_t again;
    assert_int_equal(serial_list(NULL, 0, &again), SERIAL_OK);
    assert_int_equal(again, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial_opens_a_pty_raw_at_the_asked_speed),
        cmocka_unit_test(test_serial_carries_every_byte_both_ways),
        cmocka_unit_test(test_serial_tells_nothing_yet_from_unplugged),
        cmocka_unit_test(test_serial_write_to_a_host_that_does_not_read_takes_nothing),
        cmocka_unit_test(test_serial_port_has_one_owner_and_passes_to_the_next),
        cmocka_unit_test(test_serial_follows_links_and_drops_what_is_stale),
        cmocka_unit_test(test_serial_says_why_a_path_cannot_be_opened),
        cmocka_unit_test(test_serial_lists_ports_within_the_given_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
