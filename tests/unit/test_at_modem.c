/* What the suites of all drivers cannot see in the modems with AT commands: each word and error of
 * their firmwares, settings that are refused, who hears whom, factory settings, old firmware. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/at.h"
#include "hw/emu_rak3172.h"
#include "hw/emu_reyax.h"
#include "hw/emu_wio_e5.h"
#include "tests/support/modem_rig.h"

enum { BOOT_US = 5 * RIG_S, AIRTIME_US = 100000, TALK_LEN = 4096 };

static struct rig rig;

/* ---- the firmwares, word by word ---------------------------------------------------------- */

static struct emu emu;
static uint64_t now_us;
static char said[TALK_LEN];

static int start_tx(void *ctx, uint64_t at_us, const uint8_t *frame, size_t len,
                    const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out)
{
    (void)ctx, (void)frame, (void)len, (void)lora, (void)power_dbm;
    *end_us_out = at_us + AIRTIME_US;
    return 0;
}

static void tune(void *ctx, uint64_t at_us, const struct lora_params *lora, uint32_t sync)
{
    (void)ctx, (void)at_us, (void)sync;
    assert_true(lora_params_valid(lora));
}

/* All that the board says in so long a time. */
static void listen(uint64_t for_us)
{
    size_t len = 0;
    for (uint64_t end_us = now_us + for_us; now_us < end_us; now_us += 1000) {
        emu_run(&emu, now_us);
        len += emu_poll_output(&emu, now_us, (uint8_t *)said + len, sizeof said - 1 - len);
    }
    said[len] = '\0';
}

static void switch_on(const char *name)
{
    static const struct emu_radio radio = { .start_tx = start_tx, .tune = tune };
    now_us = 0;
    emu_init(&emu, emu_model_find(name), &radio, 0, 1, now_us);
    listen(2 * RIG_S);
}

static void expect(const char *name, const char *bytes, const char *want)
{
    assert_int_equal(emu_on_bytes(&emu, now_us, (const uint8_t *)bytes, strlen(bytes)),
                     strlen(bytes));
    listen(want[0] ? RIG_S : 4 * RIG_S);
    if (strcmp(said, want) != 0)
        fail_msg("%s: to %s it says %s, not %s", name, bytes, said, want);
}

static const struct talk { const char *name, *to, *from; } talks[] = {
    { "rylr998", "AT\r\n", "+OK\r\n" },
    { "rylr998", "AT+BAND?\r\n", "+BAND=915000000\r\n" }, /* at the factory: not lawful here */
    { "rylr998", "AT+CRFOP?\r\n", "+CRFOP=22\r\n" },
    { "rylr998", "AT+PARAMETER?\r\n", "+PARAMETER=9,7,1,12\r\n" },
    { "rylr998", "AT+NETWORKID?\r\n", "+NETWORKID=18\r\n" },
    { "rylr998", "AT+VER?\r\n", "+VER=RYLR998_REYAX_V1.2.2\r\n" },
    { "rylr998", "AT+CPIN?\r\n", "+CPIN=No Password!\r\n" },
    { "rylr998", "AT+SEND=0,5,HELLO\r\n", "+OK\r\n" },
    { "rylr998", "AT+SEND=0,5,HELLO\r\nAT+SEND=0,5,HELLO\r\n", "+OK\r\n+ERR=17\r\n" },
    { "rylr998", "AT", "+ERR=1\r\n" },
    { "rylr998", "XY\r\n", "+ERR=2\r\n" },
    { "rylr998", "AT+NOTHING\r\n", "+ERR=4\r\n" },
    { "rylr998", "AT+SEND=0,5,HELL\r\n", "+ERR=5\r\n" },
    { "rylr998", "AT+SEND=0,241,X\r\n", "+ERR=13\r\n" },
    { "rylr998", "AT+NETWORKID=5\r\nAT+PARAMETER=9,7,1,8\r\n", "+OK\r\n+ERR=18\r\n" },
    { "rylr998", "AT+PARAMETER=10,7,1,12\r\n", "+ERR=4\r\n" }, /* SF is tied to the width */
    { "rylr998", "AT+RESET\r\n", "+RESET\r\n+RESET\r\n+READY\r\n" },
    { "rylr498", "AT+BAND?\r\n", "+BAND=433000000\r\n" },
    { "rylr896", "AT+PARAMETER?\r\n", "+PARAMETER=12,7,1,4\r\n" },
    { "rylr896", "AT+CRFOP=16\r\n", "+ERR=4\r\n" },
    { "rak3172", "AT\r\n", "\r\nOK\r\n" },
    { "rak3172", "AT+NWM=?\r\n", "AT+NWM=1\r\n\r\nOK\r\n" },
    { "rak3172", "AT+PSEND=00\r\n", "\r\nAT_MODE_NO_SUPPORT\r\n" },
    { "rak3172", "AT+WHAT=?\r\n", "\r\nAT_COMMAND_NOT_FOUND\r\n" },
    { "wio-e5", "at\n", "+AT: OK\r\n" },
    { "wio-e5", "AT", "+INFO: Input timeout\r\n" },
    { "wio-e5", "AT+TEST=RXLRPKT\r\n", "+TEST: ERROR(-12)\r\n" },
    { "wio-e5", "AT+MODE=TEST\r\nAT+TEST=TXLRPKT,\"0\"\r\n",
      "+MODE: TEST\r\n+TEST: ERROR(-1)\r\n" },
    { "wio-e5", "AT+HELLO\r\n", "+AT: ERROR(-10)\r\n" },
};

static void test_at_modems_in_software_speak_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        const struct talk *t = &talks[i];
        bool waits = t->to[strlen(t->to) - 1] != '\n';
        switch_on(t->name);
        assert_int_equal(emu_on_bytes(&emu, now_us, (const uint8_t *)t->to, strlen(t->to)),
                         strlen(t->to));
        listen(waits ? 4 * RIG_S : RIG_S);
        if (strcmp(said, t->from) != 0)
            fail_msg("%s: to %s it says %s, not %s", t->name, t->to, said, t->from);
    }
}

static void test_at_modem_rak3172_keeps_its_modes_apart(void **state)
{
    (void)state;
    switch_on("rak3172");
    assert_non_null(strstr(said, "Current Work Mode: LoRaWAN."));
    expect("rak3172", "AT+NWM=0\r\n", "\r\nOK\r\nRAKwireless RAK3172-E\r\n"
           "------------------------------------------------------\r\n"
           "Current Work Mode: LoRa P2P.\r\n");
    expect("rak3172", "AT+P2P=?\r\n", "AT+P2P=868000000:7:125:0:8:14\r\n\r\nOK\r\n");
    expect("rak3172", "AT+P2P=921500000:13:125:0:8:14\r\n", "\r\nAT_PARAM_ERROR\r\n");
    expect("rak3172", "AT+PSEND=1\r\n", "\r\nAT_PARAM_ERROR\r\n");
    expect("rak3172", "AT+PSEND=11\r\n", "\r\nOK\r\n+EVT:TXP2P DONE\r\n");
    expect("rak3172", "AT+PRECV=65534\r\n", "\r\nOK\r\n");
    expect("rak3172", "AT+PSEND=11\r\n", "\r\nAT_BUSY_ERROR\r\n"); /* it only receives */
    expect("rak3172", "AT+PRECV=65533\r\n", "\r\nOK\r\n");
    expect("rak3172", "AT+PSEND=11\r\n", "\r\nOK\r\n+EVT:TXP2P DONE\r\n");
    expect("rak3172", "AT+P2P=921500000:7:125:0:8:14\r\n", "\r\nAT_BUSY_ERROR\r\n");
    expect("rak3172", "ATE\r\n", "\r\nOK\r\n");
    expect("rak3172", "AT\r\n", "AT\r\n\r\nOK\r\n");
}

static void test_at_modem_wio_e5_hears_nothing_after_it_has_sent(void **state)
{
    static const uint8_t frame[] = { 0xc0, 0x00 };
    (void)state;
    switch_on("wio-e5");
    expect("wio-e5", "AT+MODE=TEST\r\n", "+MODE: TEST\r\n");
    expect("wio-e5", "AT+TEST=RFCFG,921.5,SF7,125,12,15,14,ON,OFF,OFF\r\n",
           "+TEST: RFCFG F:921500000, SF7, BW125K, TXPR:12, RXPR:15, POW:14dBm, CRC:ON, IQ:OFF, "
           "NET:OFF\r\n");
    expect("wio-e5", "AT+TEST=RXLRPKT\r\n", "+TEST: RXLRPKT\r\n");
    emu_on_rx(&emu, now_us, frame, sizeof frame, -49, 48);
    expect("wio-e5", "AT+TEST=TXLRPKT,\"00ff\"\r\n",
           "+TEST: LEN:2, RSSI:-49, SNR:12\r\n+TEST: RX \"C000\"\r\n"
           "+TEST: TXLRPKT \"00FF\"\r\n+TEST: TX DONE\r\n");
    emu_on_rx(&emu, now_us, frame, sizeof frame, -49, 48);
    expect("wio-e5", "AT\r\n", "+AT: OK\r\n");
}

/* ---- settings ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *options, *says;
    uint32_t freq_hz, bw_hz;
    uint8_t sf, cr;
    int8_t power_dbm;
} refused[] = {
    { "rylr998", "", "SF10", 921500000, 125000, 10, 5, 14 },
    { "rylr998", "", "SF11", 921500000, 250000, 11, 5, 14 },
    { "rylr998", "", "62500", 921500000, 62500, 7, 5, 14 },
    { "rylr998", "", "433900000 Hz", 433900000, 125000, 7, 5, 14 },
    { "rylr998", "", "23 dBm", 921500000, 125000, 7, 5, 23 },
    { "rylr998", "network=2", "network", 921500000, 125000, 7, 5, 14 },
    { "rylr998", "network=16", "network", 921500000, 125000, 7, 5, 14 },
    { "rylr998", "address=65536", "address", 921500000, 125000, 7, 5, 14 },
    { "rylr498", "", "921500000 Hz", 921500000, 125000, 7, 5, 14 },
    { "rylr896", "", "16 dBm", 921500000, 125000, 7, 5, 16 },
    { "rylr896", "network=17", "network", 921500000, 125000, 7, 5, 14 },
    { "rak3172", "", "4 dBm", 921500000, 125000, 7, 5, 4 },
    { "rak3172", "", "62500", 921500000, 62500, 7, 5, 14 },
    { "rak3172", "header=yes", "header", 921500000, 125000, 7, 5, 14 },
    { "rak3172", "header=rnode", "low-rate", 921500000, 125000, 11, 5, 14 },
    { "wio-e5", "", "4/6", 921500000, 125000, 7, 6, 14 },
    { "wio-e5", "", "SF6", 921500000, 125000, 6, 5, 14 },
    { "wio-e5", "", "-1 dBm", 921500000, 125000, 7, 5, -1 },
};

static void test_at_modem_refuses_settings_that_it_cannot_make(void **state)
{
    struct modem modem;
    char text[MODEM_TEXT_LEN];
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct modem_settings s = emu_try_settings(emu_model_find(refused[i].name));
        s.lora.freq_hz = refused[i].freq_hz;
        s.lora.bw_hz = refused[i].bw_hz;
        s.lora.sf = refused[i].sf;
        s.lora.cr = refused[i].cr;
        s.power_dbm = refused[i].power_dbm;
        memcpy(s.options, refused[i].options, strlen(refused[i].options) + 1);
        assert_int_equal(modem_init(&modem, modem_driver_find(refused[i].name), &s, 0, text),
                         MODEM_ESETTINGS);
        if (!strstr(text, refused[i].says))
            fail_msg("row %zu: %s", i, text);
    }
}

/* ---- who hears whom ---------------------------------------------------------------------- */

static const struct {
    const char *a, *b, *options_a, *options_b;
    bool hear;
} pairs[] = {
    { "rak3172", "wio-e5", "", "", true },
    { "rak3172", "meshcore-kiss", "", "", true },
    { "wio-e5", "meshcore-kiss", "", "", true },
    { "rak3172", "rnode", "header=rnode", "", true },
    { "wio-e5", "rnode", "header=rnode", "", true },
    { "rak3172", "wio-e5", "header=rnode", "header=rnode", true },
    { "rylr998", "rylr998", "network=5", "network=5", true },
    { "rylr998", "rylr998", "network=5", "network=6", false },
    { "rylr998", "rylr998", "address=1", "address=2", true }, /* frames go to all */
    { "rylr998", "rylr896", "", "", false },
    { "rylr998", "rak3172", "", "", false },
    { "rylr896", "wio-e5", "", "", false },
};

static void set_side(struct modem_settings *s, const char *name, const char *options)
{
    *s = emu_try_settings(emu_model_find(name));
    memcpy(s->options, options, strlen(options) + 1);
}

static void talk(size_t row, struct rig_side *from, struct rig_side *to, bool hear)
{
    static const uint8_t frame[] = { 0xc0, 0x00, '\r', '\n', ',', 0xff };
    assert_true(rig_settle(from, rig.now_us + 10 * RIG_S));
    unsigned count = to->event_count[MODEM_EV_RX];
    assert_int_equal(rig_send(from, frame, sizeof frame), MODEM_OK);
    rig_run_until(&rig, rig.now_us + 5 * RIG_S);
    assert_int_equal(from->result_count[MODEM_TX_SENT], 1);
    if (to->event_count[MODEM_EV_RX] - count != hear)
        fail_msg("row %zu: %u frames came from %s to %s", row,
                 to->event_count[MODEM_EV_RX] - count, from->modem.driver->name,
                 to->modem.driver->name);
    if (hear)
        assert_memory_equal(to->last_rx.frame, frame, sizeof frame);
}

static void test_at_modems_hear_those_whose_interop_word_is_theirs(void **state)
{
    (void)state;
    rig.on_event = NULL;
    rig.on_line = NULL;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct rig_side *a = &rig.sides[0], *b = &rig.sides[1];
        const struct emu_model *const models[] = { emu_model_find(pairs[i].a),
                                                   emu_model_find(pairs[i].b) };
        struct modem_settings settings[2];
        set_side(&settings[0], pairs[i].a, pairs[i].options_a);
        set_side(&settings[1], pairs[i].b, pairs[i].options_b);
        rig_build_pair(&rig, models, settings, 0, 5);
        assert_int_equal(strcmp(a->promise.interop, b->promise.interop) == 0, pairs[i].hear);
        rig_open(a);
        rig_open(b);
        assert_true(rig_settle(a, BOOT_US) && rig_settle(b, BOOT_US));
        talk(i, a, b, pairs[i].hear);
        talk(i, b, a, pairs[i].hear);
    }
}

/* ---- special troubles ----------------------------------------------------------------------- */

static void test_at_modem_rak3172_says_that_its_firmware_is_too_old(void **state)
{
    struct rig_side *s = &rig.sides[0];
    (void)state;
    rig_build(&rig, &emu_rak3172_model, 0, 1);
    ((struct emu_rak3172 *)(void *)s->emu.state)->old_firmware = true;
    rig_open(s);
    assert_false(rig_settle(s, BOOT_US));
    assert_true(s->event_count[MODEM_EV_MISMATCH] > 0);
    assert_non_null(strstr(s->last_text, "3.5.4"));
}

static void test_at_modem_reyax_with_a_password_says_so(void **state)
{
    struct rig_side *s = &rig.sides[0];
    (void)state;
    rig_build(&rig, &emu_rylr998_model, 0, 1);
    memcpy(((struct emu_reyax *)(void *)s->emu.state)->password, "EEDCAA90", 9);
    rig_open(s);
    assert_false(rig_settle(s, BOOT_US));
    assert_non_null(strstr(s->last_text, "password"));
}

static void test_at_modem_that_is_no_such_modem_is_silent(void **state)
{
    struct rig_side *s = &rig.sides[0];
    const struct emu_model *const models[] = { &emu_wio_e5_model, &emu_wio_e5_model };
    const struct modem_settings settings[] = { emu_try_settings(&emu_wio_e5_model),
                                               emu_try_settings(&emu_wio_e5_model) };
    (void)state;
    rig_build_pair(&rig, models, settings, 0, 1);
    rig_open(s);
    emu_set_host_baud(&s->emu, 115200); /* the port has another speed than the module */
    assert_false(rig_settle(s, 10 * RIG_S));
    assert_true(s->event_count[MODEM_EV_SILENT] > 0);
    assert_non_null(strstr(s->last_text, "9600 baud"));
}

/* The module's settings can change under the driver at any time. */
static void test_at_modem_looks_at_power_before_each_frame(void **state)
{
    static const uint8_t frame[] = { 1 };
    struct rig_side *s = &rig.sides[0];
    (void)state;
    rig_build(&rig, &emu_rylr998_model, 0, 1);
    rig_open(s);
    assert_true(rig_settle(s, BOOT_US));
    struct emu_reyax *r = (void *)s->emu.state;
    r->kept.power_dbm = r->at.power_dbm = 22;
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
    rig_run_until(&rig, rig.now_us + RIG_S); /* the rig watches the power of what is sent */
    assert_int_equal(s->event_count[MODEM_EV_REFUSED], 1);
    assert_true(rig_settle(s, rig.now_us + RIG_S));
    assert_int_equal(r->kept.power_dbm, 14);
}

/* ---- lines -------------------------------------------------------------------------------- */

static void test_at_numbers_and_hex_are_read_strictly(void **state)
{
    const char *at = "12x";
    uint8_t bytes[2];
    size_t len;
    long value;
    (void)state;
    assert_true(at_number(&at, 0, 99, &value));
    assert_int_equal(value, 12);
    assert_string_equal(at, "x");
    assert_false(at_number(&at, 0, 99, &value));
    at = " 1";
    assert_false(at_number(&at, 0, 99, &value));
    at = "99999999999999999999";
    assert_false(at_number(&at, 0, 99, &value));
    at = "-";
    assert_false(at_number(&at, -9, 99, &value));
    assert_true(at_hex_take("aF09", 4, bytes, sizeof bytes, &len));
    assert_int_equal(len, 2);
    assert_int_equal(bytes[0], 0xaf);
    assert_int_equal(bytes[1], 0x09);
    assert_false(at_hex_take("", 0, bytes, sizeof bytes, &len));
    assert_false(at_hex_take("123", 3, bytes, sizeof bytes, &len));
    assert_false(at_hex_take("1g", 2, bytes, sizeof bytes, &len));
    assert_false(at_hex_take("010203", 6, bytes, sizeof bytes, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_modems_in_software_speak_as_documented),
        cmocka_unit_test(test_at_modem_rak3172_keeps_its_modes_apart),
        cmocka_unit_test(test_at_modem_wio_e5_hears_nothing_after_it_has_sent),
        cmocka_unit_test(test_at_modem_refuses_settings_that_it_cannot_make),
        cmocka_unit_test(test_at_modems_hear_those_whose_interop_word_is_theirs),
        cmocka_unit_test(test_at_modem_rak3172_says_that_its_firmware_is_too_old),
        cmocka_unit_test(test_at_modem_reyax_with_a_password_says_so),
        cmocka_unit_test(test_at_modem_that_is_no_such_modem_is_silent),
        cmocka_unit_test(test_at_modem_looks_at_power_before_each_frame),
        cmocka_unit_test(test_at_numbers_and_hex_are_read_strictly),
    };
    return cmocka_run_group_tests_name("at_modem", tests, NULL, NULL);
}
