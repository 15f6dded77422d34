/* The driver "kiss-tnc" in what is special to it: who may use it, what goes out under whose call
 * sign, and what of other amateurs' traffic is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hw/ax25.h"
#include "hw/emu_tnc.h"
#include "tests/support/modem_rig.h"

static struct rig rig;

static void test_tnc_call_signs_are_told_from_words(void **state)
{
    static const struct { const char *text; bool address, call_sign; } rows[] = {
        { "XV9ABC", true, true },    { "XV9ABC-7", true, true },  { "XV9ABC-15", true, true },
        { "3W9A", true, true },      { "KENG", true, false },     { "12345", true, false },
        { "A1", true, false },       { "", false, false },        { "-7", false, false },
        { "XV9ABC-16", false, false }, { "XV9ABC-", false, false }, { "XV9ABC-07", false, false },
        { "XV9ABC-7x", false, false }, { "XV9ABCD", false, false }, { "xv9abc", false, false },
        { "XV9 BC", false, false },  { "XV9ABC-1-2", false, false },
    };
    uint8_t address[AX25_ADDRESS_LEN];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ax25_address(rows[i].text, address) != rows[i].address ||
            ax25_is_call_sign(rows[i].text) != rows[i].call_sign)
            fail_msg("'%s'", rows[i].text);
    }
    assert_true(ax25_address("XV9ABC-7", address));
    assert_memory_equal(address, "\xb0\xac\x72\x82\x84\x86\x6e", sizeof address);
}

static void test_tnc_is_for_those_who_say_what_the_law_wants(void **state)
{
    static const struct { const char *driver, *call, *options, *says; } rows[] = {
        { "kiss-tnc", "", "contents=open", "needs an amateur licence" },
        { "kiss-tnc", "KENG", "contents=open", "no call sign" },
        { "kiss-tnc", "XV9ABC-16", "contents=open", "no call sign" },
        { "kiss-tnc", "XV9ABC", "", "contents=open" },
        { "kiss-tnc", "XV9ABC", "contents=hidden", "contents=open" },
        { "kiss-tnc", "XV9ABC", "contents=open baud=300", "baud" },
        { "meshcore-kiss", "XV9ABC", "", "no amateur modem" },
        { "kiss-tnc", "XV9ABC-7", "contents=open baud=9600", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct modem_settings s = emu_try_settings(&emu_tnc_model);
        struct modem modem;
        char text[MODEM_TEXT_LEN] = "";
        snprintf(s.amateur_call, sizeof s.amateur_call, "%s", rows[i].call);
        snprintf(s.options, sizeof s.options, "%s", rows[i].options);
        int err = modem_init(&modem, modem_driver_find(rows[i].driver), &s, 0, text);
        if (err != (rows[i].says ? MODEM_ESETTINGS : MODEM_OK) ||
            (rows[i].says && !strstr(text, rows[i].says)))
            fail_msg("row %zu: %s", i, text);
    }
}

static void test_tnc_sends_under_its_call_sign_and_sets_access_each_time(void **state)
{
    struct rig_side *a = &rig.sides[0], *b = &rig.sides[1];
    const struct emu_tnc *t = (const void *)b->emu.state;
    const uint8_t frame[] = { 0xc0, 0xdb, 'x' };
    (void)state;
    rig_build(&rig, &emu_tnc_model, 0, 3);
    rig_open(a);
    rig_open(b);
    assert_true(rig_settle(a, 5 * RIG_S) && rig_settle(b, 5 * RIG_S));
    assert_int_equal(rig_send(b, frame, sizeof frame), MODEM_OK);
    rig_run_until(&rig, rig.now_us + 2 * RIG_S);
    assert_int_equal(a->event_count[MODEM_EV_RX], 1);
    assert_memory_equal(a->last_rx.frame, frame, sizeof frame);
    assert_false(a->last_rx.has_signal);
    assert_memory_equal(t->queue[0].bytes, "\x96\x8a\x9c\x8e\x40\x40\xe0"
                        "\xb0\xac\x72\xa8\xa6\xa8\x63\x03\xf0\xc0\xdbx", 19);
    assert_int_equal(t->persistence, 255);
    rig_restart(b, false);
    rig_run_until(&rig, rig.now_us + 2 * RIG_S);
    assert_int_equal(t->persistence, 63);
    assert_int_equal(rig_send(b, frame, sizeof frame), MODEM_OK);
    rig_run_until(&rig, rig.now_us + 2 * RIG_S);
    assert_int_equal(t->persistence, 255);
}

static void test_tnc_takes_the_speed_it_is_told(void **state)
{
    struct modem_settings s = emu_try_settings(&emu_tnc_model);
    struct modem modem;
    struct modem_port port;
    char text[MODEM_TEXT_LEN];
    (void)state;
    memcpy(s.options, "baud=9600 contents=open", sizeof "baud=9600 contents=open");
    assert_int_equal(modem_init(&modem, modem_driver_find("kiss-tnc"), &s, 0, text), MODEM_OK);
    assert_false(modem_poll_port(&modem, 0, &port));
    modem_on_open(&modem, 0);
    assert_true(modem_poll_port(&modem, 0, &port));
    assert_int_equal(port.baud, 9600);
    assert_false(modem_poll_port(&modem, 0, &port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tnc_call_signs_are_told_from_words),
        cmocka_unit_test(test_tnc_is_for_those_who_say_what_the_law_wants),
        cmocka_unit_test(test_tnc_sends_under_its_call_sign_and_sets_access_each_time),
        cmocka_unit_test(test_tnc_takes_the_speed_it_is_told),
    };
    return cmocka_run_group_tests_name("tnc_modem", tests, NULL, NULL);
}
