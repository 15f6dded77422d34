/* Ebyte's modules: what is documented of each, byte by byte, on the emulator's side; and of the
 * drivers what the suites over all modems cannot see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hw/emu_ebyte.h"
#include "tests/support/modem_rig.h"

enum { MS = 1000, CONFIG_E22 = MODEM_LINE_M1, CONFIG = MODEM_LINE_M0 | MODEM_LINE_M1 };

/* ---- the emulated module alone ---------------------------------------------------------- */

static struct emu emu;
static uint64_t now_us;
static uint8_t said[512];
static size_t said_len;

static struct {
    unsigned count;
    size_t len[8];
    uint64_t at_us[8];
    struct lora_params lora;
    int8_t power_dbm;
    uint64_t end_us;
    bool busy;
} air;

static int air_send(void *ctx, uint64_t at_us, const uint8_t *frame, size_t len,
                    const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out)
{
    (void)ctx;
    (void)frame;
    assert_true(air.count < 8);
    air.len[air.count] = len;
    air.at_us[air.count++] = at_us;
    air.lora = *lora;
    air.power_dbm = power_dbm;
    *end_us_out = air.end_us = at_us + lora_airtime_us(lora, len);
    return 0;
}

static bool air_is_busy(void *ctx, uint64_t at_us)
{
    (void)ctx;
    (void)at_us;
    return air.busy;
}

static int16_t air_level(void *ctx, uint64_t at_us)
{
    (void)ctx;
    (void)at_us;
    return -104;
}

static void tune(void *ctx, uint64_t at_us, const struct lora_params *lora, uint32_t sync)
{
    (void)ctx;
    (void)at_us;
    (void)lora;
    (void)sync;
}

static void run_ms(uint64_t ms)
{
    uint64_t until_us = now_us + ms * MS;
    uint64_t at_us;
    do {
        emu_run(&emu, now_us);
        said_len += emu_poll_output(&emu, now_us, said + said_len, sizeof said - said_len);
        at_us = emu_next_us(&emu) < emu_output_us(&emu) ? emu_next_us(&emu) : emu_output_us(&emu);
        if (at_us > now_us)
            now_us = at_us < until_us ? at_us : until_us;
    } while (now_us < until_us);
    emu_run(&emu, now_us);
    said_len += emu_poll_output(&emu, now_us, said + said_len, sizeof said - said_len);
}

static void switch_on(const struct emu_model *model, uint32_t quirks, uint8_t lines)
{
    static const struct emu_radio radio = { .start_tx = air_send, .receiving = air_is_busy,
                                            .rssi_dbm = air_level, .tune = tune };
    memset(&air, 0, sizeof air);
    now_us = 0;
    emu_init(&emu, model, &radio, quirks, 5, 0);
    emu_set_lines(&emu, 0, lines);
    run_ms(400);
    said_len = 0;
}

static void set_pins(uint8_t lines)
{
    emu_set_lines(&emu, now_us, lines);
    run_ms(40);
    said_len = 0;
}

static void ask(const void *bytes, size_t len)
{
    said_len = 0;
    assert_int_equal(emu_on_bytes(&emu, now_us, bytes, len), len);
    run_ms(60);
}

/* The module is asked in its configuration mode; nothing is answered where len is 0. */
static const struct {
    const struct emu_model *model;
    const char *what;
    uint8_t lines, ask_len, ask[16], len, answer[16];
} talks[] = {
    { &emu_ebyte_e22_model, "factory's registers", CONFIG_E22, 3, { 0xc1, 0, 9 }, 12,
      { 0xc1, 0, 9, 0, 0, 0, 0x62, 0, 18, 3, 0, 0 } },
    { &emu_ebyte_e22_model, "a part of them", CONFIG_E22, 3, { 0xc1, 5, 1 }, 4,
      { 0xc1, 5, 1, 18 } },
    { &emu_ebyte_e22_model, "the key is not told", CONFIG_E22, 5, { 0xc2, 7, 2, 1, 2 }, 5,
      { 0xc1, 7, 2, 0, 0 } },
    { &emu_ebyte_e22_model, "no such register", CONFIG_E22, 3, { 0xc1, 9, 1 }, 3,
      { 0xff, 0xff, 0xff } },
    { &emu_ebyte_e22_model, "no such command", CONFIG_E22, 2, "AT", 3, { 0xff, 0xff, 0xff } },
    { &emu_ebyte_e22_model, "half a command", CONFIG_E22, 2, { 0xc1, 0 }, 3,
      { 0xff, 0xff, 0xff } },
    { &emu_ebyte_e22_model, "asleep", CONFIG, 3, { 0xc1, 0, 9 }, 0, { 0 } },
    { &emu_ebyte_e220_model, "factory's registers", CONFIG, 3, { 0xc1, 0, 8 }, 11,
      { 0xc1, 0, 8, 0, 0, 0x62, 0, 18, 3, 0, 0 } },
    { &emu_ebyte_e220_model, "not with an E22's pins", CONFIG_E22, 3, { 0xc1, 0, 8 }, 0, { 0 } },
    { &emu_ebyte_e32_model, "factory's registers", CONFIG, 3, { 0xc1, 0xc1, 0xc1 }, 6,
      { 0xc0, 0, 0, 0x1a, 6, 0x44 } },
    { &emu_ebyte_e32_model, "its version", CONFIG, 3, { 0xc3, 0xc3, 0xc3 }, 4,
      { 0xc3, 0x45, 0x0e, 0x14 } },
    { &emu_ebyte_e32_model, "what it does not know", CONFIG, 3, { 0xc1, 0, 9 }, 0, { 0 } },
};

static void test_ebyte_module_answers_as_its_manual_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        switch_on(talks[i].model, 0, talks[i].lines);
        ask(talks[i].ask, talks[i].ask_len);
        if (said_len != talks[i].len || memcmp(said, talks[i].answer, said_len) != 0)
            fail_msg("%s, %s: answered %zu bytes, the first %02x", talks[i].model->name,
                     talks[i].what, said_len, said[0]);
    }
}

static void test_ebyte_module_keeps_what_was_written_to_be_kept(void **state)
{
    static const uint8_t keep[] = { 0xc0, 5, 1, 71 }, forget[] = { 0xc2, 5, 1, 72 };
    static const uint8_t read[] = { 0xc1, 5, 1 };
    (void)state;
    switch_on(&emu_ebyte_e22_model, 0, CONFIG_E22);
    ask(keep, sizeof keep);
    ask(forget, sizeof forget);
    ask(read, sizeof read);
    assert_int_equal(said[3], 72);
    emu_restart(&emu, now_us, false);
    run_ms(400);
    ask(read, sizeof read);
    assert_int_equal(said[3], 71);
    emu_restart(&emu, now_us, true);
    run_ms(400);
    ask(read, sizeof read);
    assert_int_equal(said[3], 18);
}

static void test_ebyte_module_cuts_packets_at_length_and_silence(void **state)
{
    static const uint8_t bytes[300];
    (void)state;
    switch_on(&emu_ebyte_e22_model, 0, 0);
    assert_int_equal(emu_on_bytes(&emu, now_us, bytes, sizeof bytes), sizeof bytes);
    run_ms(5000);
    assert_int_equal(air.count, 2);
    assert_int_equal(air.len[0], 15 + 240);
    assert_int_equal(air.len[1], 15 + 60);
    assert_int_equal(air.power_dbm, 22); /* the factory's */
    assert_int_equal(air.lora.freq_hz, 868125000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(emu_on_bytes(&emu, now_us, bytes, 10), 10);
        run_ms(10 + 2); /* less than three bytes' time behind the last */
    }
    run_ms(2000);
    assert_int_equal(air.count, 3);
    assert_int_equal(air.len[2], 15 + 20);
    assert_int_equal(emu_on_bytes(&emu, now_us, bytes, 10), 10);
    run_ms(20);
    assert_int_equal(emu_on_bytes(&emu, now_us, bytes, 10), 10);
    run_ms(2000);
    assert_int_equal(air.count, 5);
}

/* AUX is down from power-up to the end of the self-test, and while anything waits to be sent; not
 * while the last packet is on the air. */
static void test_ebyte_aux_tells_of_the_buffer_not_of_the_air(void **state)
{
    static const uint8_t bytes[20];
    (void)state;
    switch_on(&emu_ebyte_e32_model, 0, 0);
    assert_int_equal(emu.lines_out, MODEM_LINE_AUX);
    emu_restart(&emu, now_us, false);
    run_ms(100);
    assert_int_equal(emu.lines_out, 0);
    run_ms(300);
    assert_int_equal(emu.lines_out, MODEM_LINE_AUX);
    assert_int_equal(emu_on_bytes(&emu, now_us, bytes, sizeof bytes), sizeof bytes);
    run_ms(10);
    assert_int_equal(emu.lines_out, 0);
    assert_int_equal(air.count, 0);
    run_ms(30);
    assert_int_equal(air.count, 1);
    assert_int_equal(emu.lines_out, MODEM_LINE_AUX);
    assert_true(now_us < air.end_us);
}

static void test_ebyte_module_waits_two_seconds_for_a_free_channel_and_then_sends(void **state)
{
    static const uint8_t listen[] = { 0xc2, 6, 1, EBYTE_REG3_LBT };
    (void)state;
    switch_on(&emu_ebyte_e22_model, 0, CONFIG_E22);
    ask(listen, sizeof listen);
    set_pins(0);
    air.busy = true;
    uint64_t begin_us = now_us;
    ask("x", 1);
    run_ms(1500);
    assert_int_equal(air.count, 0);
    run_ms(1000);
    assert_int_equal(air.count, 1);
    assert_in_range(air.at_us[0] - begin_us, 2000 * MS, 2100 * MS);
}

static void test_ebyte_module_takes_orders_only_where_a_register_allows(void **state)
{
    static const uint8_t noise[] = { 0xc0, 0xc1, 0xc2, 0xc3, 0, 1 };
    static const uint8_t to_config[] = { 0xc0, 0xc1, 0xc2, 0xc3, 2, 2 };
    static const uint8_t allow[] = { 0xc2, 4, 1, EBYTE_REG1_NOISE_RSSI | EBYTE_REG1_SOFT_SWITCH };
    static const uint8_t switched[] = { 0xc1, 0xc2, 0xc3, 2, 2 };
    static const uint8_t read[] = { 0xc1, 4, 1 };
    (void)state;
    switch_on(&emu_ebyte_e22_model, 0, 0);
    ask(noise, sizeof noise);
    assert_int_equal(said_len, 0);
    assert_int_equal(air.count, 1); /* it went on the air */
    run_ms(2000);
    set_pins(CONFIG_E22);
    ask(allow, sizeof allow);
    set_pins(0);
    ask(noise, sizeof noise);
    assert_int_equal(said_len, 4);
    assert_int_equal(said[3], 256 - 104);
    ((struct emu_ebyte *)(void *)emu.state)->rssi_half = true;
    ask(noise, sizeof noise);
    assert_int_equal(said[3], 208);
    ask(to_config, sizeof to_config);
    assert_memory_equal(said, switched, sizeof switched);
    ask(read, sizeof read);
    assert_int_equal(said_len, 4);
    assert_int_equal(air.count, 1);
}

static void test_ebyte_module_of_another_speed_is_understood_only_in_its_configuration(void **state)
{
    static const uint8_t read[] = { 0xc1, 0, 9 };
    (void)state;
    switch_on(&emu_ebyte_e22_model, 1, CONFIG_E22); /* somebody's, 115200 */
    ask(read, sizeof read);
    assert_int_equal(said_len, 12);
    assert_int_equal(said[6], 0xe4);
    set_pins(0);
    assert_int_equal(emu.baud, 115200);
}

/* ---- driver and module ------------------------------------------------------------------- */

static const struct {
    const char *driver, *options;
    uint32_t freq_hz;
    int8_t power_dbm;
    const char *want; /* in the text; NULL: taken, with those below */
    int8_t sends_dbm;
    const char *interop;
} settings_rows[] = {
    { "ebyte-e22", "model=E22-900T22S", 921125000, 14, NULL, 13,
      "ebyte-E22:0:921125000:500000:11" },
    { "ebyte-e22", "model=E22-400T22D netid=9 rate=62500", 434125000, 22, NULL, 22,
      "ebyte-E22:9:434125000:500000:5" },
    { "ebyte-e220", "model=E220-400T22S rate=4800", 434125000, 10, NULL, 10,
      "ebyte-E220:0:434125000:500000:10" },
    { "ebyte-e32", "model=E32-433T20D rate=300", 434000000, 14, NULL, 14,
      "ebyte-E32:0:434000000:125000:12" },
    { "ebyte-e32", "model=E32-915T20D", 921000000, 16, NULL, 14,
      "ebyte-E32:0:921000000:500000:11" },
    { "ebyte-e22", "", 921125000, 14, "what is printed", 0, NULL },
    { "ebyte-e22", "model=E220-900T22S", 921125000, 14, "model=E220-900T22S", 0, NULL },
    { "ebyte-e22", "model=E22-230T22D", 921125000, 14, "model=E22-230T22D", 0, NULL },
    { "ebyte-e22", "model=E22-900M22S", 921125000, 14, "model=E22-900M22S", 0, NULL },
    { "ebyte-e22", "model=E22-900T33S", 921125000, 14, "model=E22-900T33S", 0, NULL },
    { "ebyte-e22", "model=E22-900T30S", 921125000, 14, "than at 21 dBm", 0, NULL },
    { "ebyte-e32", "model=E32-433T30D", 434000000, 14, "than at 21 dBm", 0, NULL },
    { "ebyte-e22", "model=E22-900T22S", 921500000, 14, "921125000 and 922125000", 0, NULL },
    { "ebyte-e22", "model=E22-400T22S", 921125000, 14, "outside", 0, NULL },
    { "ebyte-e32", "model=E32-433T20D", 409000000, 14, "outside", 0, NULL },
    { "ebyte-e22", "model=E22-900T22S", 921125000, 9, "than at 10 dBm", 0, NULL },
    { "ebyte-e22", "model=E22-900T22S rate=1200", 921125000, 14, "2400 to 62500", 0, NULL },
    { "ebyte-e32", "model=E32-900T20S rate=38400", 921000000, 14, "300 to 19200", 0, NULL },
    { "ebyte-e220", "model=E220-900T22S netid=1", 921125000, 14, "no netid", 0, NULL },
    { "ebyte-e32", "model=E32-900T20S rssi_half=1", 921000000, 14, "no rssi_half", 0, NULL },
    { "ebyte-e22", "model=E22-900T22S netid=256", 921125000, 14, "netid", 0, NULL },
};

static void test_ebyte_settings_are_taken_or_refused_in_words(void **state)
{
    static struct modem modem;
    (void)state;
    for (size_t i = 0; i < sizeof settings_rows / sizeof settings_rows[0]; i++) {
        const struct lora_params lora = { .freq_hz = settings_rows[i].freq_hz, .bw_hz = 125000,
                                          .sf = 9, .cr = 5, .preamble_symbols = 16 };
        struct modem_settings s = modem_settings_default(&lora, settings_rows[i].power_dbm);
        struct modem_air promise;
        char text[MODEM_TEXT_LEN] = "";
        const char *want = settings_rows[i].want;
        s.lines = CONFIG;
        snprintf(s.options, sizeof s.options, "%s", settings_rows[i].options);
        int err = modem_init(&modem, modem_driver_find(settings_rows[i].driver), &s, 0, text);
        if (want ? err != MODEM_ESETTINGS || !strstr(text, want) : err != MODEM_OK)
            fail_msg("%s: %s", settings_rows[i].options, text);
        if (want)
            continue;
        modem_air(&modem, &promise);
        assert_int_equal(promise.power_dbm, settings_rows[i].sends_dbm);
        assert_int_equal(promise.lora.freq_hz, settings_rows[i].freq_hz);
        assert_int_equal(promise.lora.bw_hz, 500000);
        assert_string_equal(promise.interop, settings_rows[i].interop);
    }
}

static void test_ebyte_driver_needs_the_pins(void **state)
{
    static struct modem modem;
    static const struct emu_model *const models[] = { &emu_ebyte_e22_model, &emu_ebyte_e220_model,
                                                      &emu_ebyte_e32_model };
    char text[MODEM_TEXT_LEN];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct modem_settings s = emu_try_settings(models[i]);
        s.lines = MODEM_LINE_AUX;
        assert_int_equal(modem_init(&modem, modem_driver_find(models[i]->name), &s, 0, text),
                         MODEM_ESETTINGS);
        assert_non_null(strstr(text, "wire M"));
    }
}

static struct rig rig;

static struct emu_ebyte *module(unsigned side)
{
    return (void *)rig.sides[side].emu.state;
}

static void make_ready(const struct emu_model *model, uint32_t quirks)
{
    rig.on_event = NULL;
    rig.on_line = NULL;
    rig_build(&rig, model, quirks, 7);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        rig_open(&rig.sides[i]);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        assert_true(rig_settle(&rig.sides[i], 5 * RIG_S));
}

static void test_ebyte_frame_is_cut_into_as_few_packets_as_can_be(void **state)
{
    static const struct { const struct emu_model *model; size_t one; unsigned most; } rows[] = {
        { &emu_ebyte_e22_model, 233, 2 }, { &emu_ebyte_e220_model, 193, 2 },
        { &emu_ebyte_e32_model, 51, 5 },
    };
    static const uint8_t frame[MODEM_FRAME_LEN_MAX];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct air_counts counts;
        size_t lens[] = { rows[i].one, rows[i].one + 1, sizeof frame };
        unsigned want = 0;
        make_ready(rows[i].model, 0);
        for (unsigned n = 0; n < 3; n++) {
            assert_int_equal(rig_send(&rig.sides[0], frame, lens[n]), MODEM_OK);
            assert_true(rig_settle(&rig.sides[0], rig.now_us + 20 * RIG_S));
            rig_run_until(&rig, rig.now_us + RIG_S);
            want += n == 2 ? rows[i].most : n + 1;
            air_radio_counts(rig.air, 0, &counts);
            assert_int_equal(counts.tx_frames, want);
            assert_int_equal(rig.sides[1].last_rx.len, lens[n]);
        }
    }
}

static void test_ebyte_power_that_is_not_taken_is_told_and_nothing_is_sent(void **state)
{
    (void)state;
    rig_build(&rig, &emu_ebyte_e22_model, 0, 7);
    module(0)->refuses_power = true;
    rig_open(&rig.sides[0]);
    assert_false(rig_settle(&rig.sides[0], 20 * RIG_S));
    assert_true(rig.sides[0].event_count[MODEM_EV_MISMATCH] >= 2);
    assert_non_null(strstr(rig.sides[0].last_text, "power 00; written was 02"));
    assert_int_equal(rig_send(&rig.sides[0], (const uint8_t *)"x", 1), MODEM_ENOTREADY);
}

/* A module that has restarted hears nobody on its factory's channel; AUX gave it away. */
static void test_ebyte_restart_is_seen_by_aux(void **state)
{
    (void)state;
    make_ready(&emu_ebyte_e32_model, 0);
    rig_run_until(&rig, rig.now_us + 10 * RIG_S);
    rig_restart(&rig.sides[0], true);
    rig_run_until(&rig, rig.now_us + 2 * RIG_S);
    assert_int_equal(rig.sides[0].event_count[MODEM_EV_READY], 2);
    assert_int_equal(rig.sides[0].event_count[MODEM_EV_FAULT], 1);
    assert_int_equal(rig_send(&rig.sides[1], (const uint8_t *)"x", 1), MODEM_OK);
    rig_run_until(&rig, rig.now_us + 2 * RIG_S);
    assert_int_equal(rig.sides[0].event_count[MODEM_EV_RX], 1);
    /* Hearing a frame pulls AUX down too, and is no restart. */
    assert_int_equal(rig.sides[0].event_count[MODEM_EV_FAULT], 1);
}

static void test_ebyte_networks_do_not_hear_each_other(void **state)
{
    (void)state;
    make_ready(&emu_ebyte_e22_model, 0);
    module(1)->regs[2] = 9;
    assert_int_equal(rig_send(&rig.sides[0], (const uint8_t *)"x", 1), MODEM_OK);
    rig_run_until(&rig, rig.now_us + 5 * RIG_S);
    assert_int_equal(rig.sides[1].event_count[MODEM_EV_RX], 0);
    assert_int_equal(rig.sides[0].result_count[MODEM_TX_SENT], 1);
}

/* Without AUX the end is the latest moment; with it two seconds of listening need not be waited. */
static void test_ebyte_aux_makes_the_end_of_a_frame_known_earlier(void **state)
{
    uint64_t took_us[2];
    (void)state;
    for (unsigned stuck = 0; stuck < 2; stuck++) {
        make_ready(&emu_ebyte_e22_model, stuck ? 8u : 0);
        uint64_t begin_us = rig.now_us;
        assert_int_equal(rig_send(&rig.sides[0], (const uint8_t *)"x", 1), MODEM_OK);
        assert_true(rig_settle(&rig.sides[0], rig.now_us + 20 * RIG_S));
        took_us[stuck] = rig.now_us - begin_us;
        assert_int_equal(rig.sides[0].result_count[MODEM_TX_SENT], 1);
    }
    assert_true(took_us[0] < RIG_S);
    assert_true(took_us[1] > 2 * RIG_S);
}

/* A frame that the computer in between held up in its middle: with AUX low more is to come; without
 * it is given up, and counted once. */
static void test_ebyte_half_a_frame_waits_while_aux_is_low(void **state)
{
    static const uint8_t first[] = { 0x16, 0x01, 0x06, 0x00, 0x96, 0xc1 };
    static const uint8_t rest[] = { 0xc0, 0xc3, 0xc2, 0x30, 0x37, 0x17, 0x62, 0x0c, 0xa6 };
    (void)state;
    for (unsigned low = 0; low < 2; low++) {
        struct modem_stats stats;
        make_ready(&emu_ebyte_e22_model, 0);
        struct rig_side *s = &rig.sides[0];
        modem_on_lines(&s->modem, rig.now_us / MS, low ? 0 : MODEM_LINE_AUX);
        rig_give(s, first, sizeof first);
        rig_run_until(&rig, rig.now_us + RIG_S / 2);
        rig_give(s, rest, sizeof rest);
        rig_run_until(&rig, rig.now_us + RIG_S / 2);
        modem_stats(&s->modem, &stats);
        assert_int_equal(s->event_count[MODEM_EV_RX], low);
        assert_int_equal(stats.garbled, low ? 0 : 2); /* cut in two by the silence */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ebyte_module_answers_as_its_manual_says),
        cmocka_unit_test(test_ebyte_module_keeps_what_was_written_to_be_kept),
        cmocka_unit_test(test_ebyte_module_cuts_packets_at_length_and_silence),
        cmocka_unit_test(test_ebyte_aux_tells_of_the_buffer_not_of_the_air),
        cmocka_unit_test(test_ebyte_module_waits_two_seconds_for_a_free_channel_and_then_sends),
        cmocka_unit_test(test_ebyte_module_takes_orders_only_where_a_register_allows),
        cmocka_unit_test(
            test_ebyte_module_of_another_speed_is_understood_only_in_its_configuration),
        cmocka_unit_test(test_ebyte_settings_are_taken_or_refused_in_words),
        cmocka_unit_test(test_ebyte_driver_needs_the_pins),
        cmocka_unit_test(test_ebyte_frame_is_cut_into_as_few_packets_as_can_be),
        cmocka_unit_test(test_ebyte_power_that_is_not_taken_is_told_and_nothing_is_sent),
        cmocka_unit_test(test_ebyte_restart_is_seen_by_aux),
        cmocka_unit_test(test_ebyte_networks_do_not_hear_each_other),
        cmocka_unit_test(test_ebyte_aux_makes_the_end_of_a_frame_known_earlier),
        cmocka_unit_test(test_ebyte_half_a_frame_waits_while_aux_is_low),
    };
    return cmocka_run_group_tests_name("ebyte_modem", tests, NULL, NULL);
}
