/* The wires: their words, and an emulated modem's through a real socket.  GPIO pins and the lines
 * of a real port need hardware; that both are refused in words where there is none is tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "hw/lines.h"
#include "hw/modem.h"

static char text[LINES_TEXT_LEN];

static const struct {
    const char *words;
    enum lines_kind kind;
    uint8_t present, inverted;
} good[] = {
    { "", LINES_NONE, 0, 0 },
    { "gpio:/dev/gpiochip0 m0=17 m1=27 aux=22", LINES_GPIO,
      MODEM_LINE_M0 | MODEM_LINE_M1 | MODEM_LINE_AUX, 0 },
    { "gpio:/dev/gpiochip1  reset=!4 ", LINES_GPIO, MODEM_LINE_RESET, MODEM_LINE_RESET },
    { "port: m0=dtr m1=!rts aux=cts", LINES_PORT,
      MODEM_LINE_M0 | MODEM_LINE_M1 | MODEM_LINE_AUX, MODEM_LINE_M1 },
    { "socket:air/cao.lines", LINES_SOCKET, MODEM_LINES_OUT | MODEM_LINE_AUX, 0 },
};

static const struct { const char *words, *want; } bad[] = {
    { "m0=dtr", "begin with" },
    { "gpio:", "path" },
    { "socket:", "path" },
    { "gpio:/dev/gpiochip0", "no wire is named" },
    { "port:", "no wire is named" },
    { "gpio:/dev/gpiochip0 m0=dtr", "'dtr'" },
    { "gpio:/dev/gpiochip0 m0=-1", "'-1'" },
    { "gpio:/dev/gpiochip0 m0=65536", "'65536'" },
    { "gpio:/dev/gpiochip0 m0", "'m0'" },
    { "port: m0=17", "'17'" },
    { "port: m0=cts", "'cts'" },
    { "port: aux=dtr", "'dtr'" },
    { "port: m2=dtr", "'m2=dtr'" },
    { "port: =dtr", "'=dtr'" },
    { "port: m0x=dtr", "'m0x=dtr'" },
    { "port: m0=dtr m0=rts", "twice" },
    { "port: a-word-that-is-longer-than-any", "no wire" },
};

static void test_lines_are_said_in_words(void **state)
{
    struct lines l;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (lines_parse(good[i].words, &l, text) != LINES_OK)
            fail_msg("%s: %s", good[i].words, text);
        assert_int_equal(l.kind, good[i].kind);
        assert_int_equal(l.present, good[i].present);
        assert_int_equal(l.inverted, good[i].inverted);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (lines_parse(bad[i].words, &l, text) != LINES_EWORDS || !strstr(text, bad[i].want))
            fail_msg("%s: %s", bad[i].words, text);
    }
}

static void test_lines_that_are_not_there_are_told(void **state)
{
    struct lines l;
    int pipe_fds[2];
    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(lines_parse("gpio:/dev/no-such-chip m0=1", &l, text), LINES_OK);
    assert_int_equal(lines_open(&l, -1, text), LINES_EOPEN);
    assert_non_null(strstr(text, "no-such-chip"));
    assert_int_equal(lines_parse("gpio:/dev/null m0=1", &l, text), LINES_OK);
    assert_int_equal(lines_open(&l, -1, text), LINES_EOPEN);
    assert_int_equal(lines_parse("port: m0=dtr", &l, text), LINES_OK);
    assert_int_equal(lines_open(&l, pipe_fds[0], text), LINES_EOPEN);
    assert_non_null(strstr(text, "no DTR"));
    assert_int_equal(lines_fd(&l), -1);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void test_lines_of_an_emulated_modem_go_through_its_socket(void **state)
{
    char dir[] = "/tmp/keng-lines-XXXXXX", words[64];
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct lines l;
    uint8_t byte, inputs;
    bool changed;
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s/a", dir);
    (void)snprintf(words, sizeof words, "socket:%s/a", dir);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(lines_parse(words, &l, text), LINES_OK);
    assert_int_equal(lines_open(&l, -1, text), LINES_OK);
    int modem = accept(listener, NULL, NULL);
    assert_true(modem >= 0 && lines_fd(&l) >= 0);
    assert_int_equal(lines_set(&l, -1, MODEM_LINE_M0 | MODEM_LINE_M1), LINES_OK);
    assert_int_equal(read(modem, &byte, 1), 1);
    assert_int_equal(byte, MODEM_LINE_M0 | MODEM_LINE_M1);
    assert_int_equal(lines_read(&l, -1, &inputs, &changed), LINES_OK);
    assert_false(changed);
    byte = MODEM_LINE_AUX;
    assert_int_equal(write(modem, &byte, 1), 1);
    assert_int_equal(lines_read(&l, -1, &inputs, &changed), LINES_OK);
    assert_true(changed);
    assert_int_equal(inputs, MODEM_LINE_AUX);
    (void)close(modem);
    assert_int_equal(lines_read(&l, -1, &inputs, &changed), LINES_EGONE);
    lines_close(&l);
    (void)close(listener);
    assert_int_equal(unlink(addr.sun_path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_said_in_words),
        cmocka_unit_test(test_lines_that_are_not_there_are_told),
        cmocka_unit_test(test_lines_of_an_emulated_modem_go_through_its_socket),
    };
    return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
