/* What the suites of all drivers cannot see in RNode: the parser of its firmware, byte by byte, and
 * what the driver makes of oddities in the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/emu_rnode.h"
#include "tests/support/modem_rig.h"

enum { BOOT_US = 10 * RIG_S, TALK_LEN = 512, AIRTIME_US = 50000, PACKET_LEN = 508 };

static struct rig rig;

/* ---- the firmware's parser ------------------------------------------------------------------ */

static struct emu emu;
static uint64_t now_us;
static uint8_t said[TALK_LEN];
static size_t said_len;
static unsigned sent_count;
static size_t sent_len;
static uint8_t sent[LORA_PAYLOAD_LEN_MAX];

static int start_tx(void *ctx, uint64_t at_us, const uint8_t *frame, size_t len,
                    const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out)
{
    (void)ctx, (void)lora, (void)power_dbm;
    memcpy(sent, frame, len);
    sent_len = len;
    sent_count++;
    *end_us_out = at_us + AIRTIME_US;
    return 0;
}

static bool receiving(void *ctx, uint64_t at_us)
{
    (void)ctx, (void)at_us;
    return false;
}

static int16_t rssi_dbm(void *ctx, uint64_t at_us)
{
    (void)ctx, (void)at_us;
    return -117;
}

static void tune(void *ctx, uint64_t at_us, const struct lora_params *lora, uint32_t sync)
{
    (void)ctx, (void)at_us, (void)lora, (void)sync;
}

static void listen(uint64_t for_us)
{
    said_len = 0;
    for (uint64_t end_us = now_us + for_us; now_us < end_us; now_us += 1000) {
        emu_run(&emu, now_us);
        said_len += emu_poll_output(&emu, now_us, said + said_len, sizeof said - said_len);
    }
}

/* An AVR board: it says nothing unasked. */
static void switch_on(void)
{
    static const struct emu_radio radio = { .start_tx = start_tx, .tune = tune,
                                            .receiving = receiving, .rssi_dbm = rssi_dbm };
    now_us = 0;
    sent_count = 0;
    emu_init(&emu, &emu_rnode_model, &radio, 1u << 1, 1, now_us);
    listen(3 * RIG_S);
}

static void tell(const void *bytes, size_t len)
{
    assert_int_equal(emu_on_bytes(&emu, now_us, bytes, len), len);
    listen(RIG_S / 2);
}

#define TELL(text) tell(text, sizeof(text) - 1)
#define SAID(text) (said_len == sizeof(text) - 1 && memcmp(said, text, said_len) == 0)

static void test_rnode_firmware_acts_on_each_argument_byte(void **state)
{
    (void)state;
    switch_on();
    TELL("\xc0\x08\x73"); /* before the frame ends */
    assert_true(SAID("\xc0\x08\x46\xc0"));
    TELL("\x73\x73\xc0");
    assert_true(SAID("\xc0\x08\x46\xc0\xc0\x08\x46\xc0"));
    TELL("\xc0\x50\xc0"); /* none: nothing to act on */
    assert_int_equal(said_len, 0);
    TELL("\xc0\x04\x63\xc0"); /* clamped, not refused */
    assert_true(SAID("\xc0\x04\x0c\xc0"));
    TELL("\xc0\x04\xff\xc0");
    assert_true(SAID("\xc0\x04\x0c\xc0"));
}

static void test_rnode_firmware_unescapes_long_arguments(void **state)
{
    (void)state;
    switch_on();
    TELL("\xc0\x01\x36\xdb\xdc\xdb\xdd\x60\xc0"); /* 36 c0 db 60 */
    assert_true(SAID("\xc0\x01\x36\xdb\xdc\xdb\xdd\x60\xc0"));
    TELL("\xc0\x02\x00\x01\xd4\xc1\xc0"); /* 120001 Hz: the next width that it has */
    assert_true(SAID("\xc0\x02\x00\x01\xe8\x48\xc0"));
    TELL("\xc0\x02\x00\x01\xc0"); /* too short: none */
    assert_int_equal(said_len, 0);
}

static void test_rnode_firmware_starts_its_radio_only_with_all_settings(void **state)
{
    (void)state;
    switch_on();
    TELL("\xc0\x06\x01\xc0");
    assert_true(SAID("\xc0\x06\x00\xc0"));
    TELL("\xc0\x01\x36\xec\xf9\x60\xc0\xc0\x02\x00\x01\xe8\x48\xc0\xc0\x04\x07\xc0");
    TELL("\xc0\x06\x01\xc0"); /* no power yet */
    assert_true(SAID("\xc0\x06\x00\xc0"));
    TELL("\xc0\x03\x0e\xc0\xc0\x06\x01\xc0");
    assert_true(said_len > 12);
    assert_memory_equal(said + said_len - 8, "\xc0\x06\x01\xc0\xc0\x06\x01\xc0", 8);
}

static void start_radio(void)
{
    switch_on();
    TELL("\xc0\x01\x36\xec\xf9\x60\xc0\xc0\x02\x00\x01\xe8\x48\xc0\xc0\x04\x07\xc0\xc0\x05\x05\xc0"
         "\xc0\x03\x0e\xc0\xc0\x06\x01\xc0");
}

static void test_rnode_firmware_loses_a_packet_that_shares_its_fend(void **state)
{
    (void)state;
    start_radio();
    TELL("\xc0\x00" "ab\xdb\xdc\xc0\x00" "cd\xc0");
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent_len, RNODE_HEADER_LEN + 3);
    assert_memory_equal(sent + RNODE_HEADER_LEN, "ab\xc0", 3);
    assert_int_equal(sent[0] & RNODE_SPLIT, 0);
    TELL("\xc0\x00" "cd\xc0"); /* and the next is whole again */
    assert_int_equal(sent_count, 2);
    assert_memory_equal(sent + RNODE_HEADER_LEN, "cd", 2);
}

static void test_rnode_firmware_splits_long_packets_and_drops_longer_ones(void **state)
{
    uint8_t frame[PACKET_LEN + 4] = { 0xc0, 0x00 };
    (void)state;
    start_radio();
    memset(frame + 2, 'x', sizeof frame - 2);
    frame[2 + 300] = 0xc0;
    tell(frame, 303);
    assert_int_equal(sent_count, 2);
    assert_int_equal(sent_len, RNODE_HEADER_LEN + 300 - RNODE_PACKET_LEN_MAX);
    assert_int_equal(sent[0] & RNODE_SPLIT, RNODE_SPLIT);
    frame[2 + 300] = 'x';
    tell(frame, sizeof frame);
    TELL("x\xc0");
    assert_int_equal(sent_count, 2);
}

/* ---- the driver ------------------------------------------------------------------------------ */

static void make_ready(void)
{
    rig.on_event = NULL;
    rig.on_line = NULL;
    rig.forged = true;
    rig_build(&rig, &emu_rnode_model, 0, 9);
    rig_open(&rig.sides[0]);
    rig_open(&rig.sides[1]);
    assert_true(rig_settle(&rig.sides[0], BOOT_US) && rig_settle(&rig.sides[1], BOOT_US));
}

#define GIVE(s, text) rig_give(s, (const uint8_t *)(text), sizeof(text) - 1)

static void test_rnode_driver_undoes_escapes_in_signal_reports(void **state)
{
    struct rig_side *s = &rig.sides[0];
    (void)state;
    make_ready();
    /* -16 dB is c0, -9.25 dB is db: other hosts read dc and dd there. */
    GIVE(s, "\xc0\x23\x41\xc0\xc0\x24\xdb\xdc\xc0\xc0\x00" "one\xc0");
    assert_true(s->last_rx.has_signal);
    assert_int_equal(s->last_rx.rssi_dbm, 0x41 - RNODE_RSSI_OFFSET);
    assert_int_equal(s->last_rx.snr_db_x4, -64);
    GIVE(s, "\xc0\x23\xdb\xdd\xc0\xc0\x24\xdb\xdd\xc0\xc0\x00" "two\xc0");
    assert_int_equal(s->last_rx.rssi_dbm, 0xdb - RNODE_RSSI_OFFSET);
    assert_int_equal(s->last_rx.snr_db_x4, -37);
}

static void test_rnode_driver_takes_no_signal_of_another_frame(void **state)
{
    struct rig_side *s = &rig.sides[0];
    (void)state;
    make_ready();
    GIVE(s, "\xc0\x23\x41\xc0\xc0\x24\x10\xc0\xc0\x00" "one\xc0\xc0\x00" "two\xc0");
    assert_int_equal(s->event_count[MODEM_EV_RX], 2);
    assert_false(s->last_rx.has_signal);
    GIVE(s, "\xc0\x23\x41\xc0\xc0\x00" "half\xc0"); /* its SNR was lost */
    assert_false(s->last_rx.has_signal);
    GIVE(s, "\xc0\x23\x41\xc0\xc0\x24\x10\xc0"); /* its frame was lost */
    rig_run_until(&rig, rig.now_us + RIG_S);
    GIVE(s, "\xc0\x00" "late\xc0");
    assert_false(s->last_rx.has_signal);
    assert_memory_equal(s->last_rx.frame, "late", 4);
}

static void test_rnode_driver_drops_what_is_no_frame_of_ours(void **state)
{
    struct rig_side *s = &rig.sides[0];
    struct modem_stats before, after;
    uint8_t frame[3 + RNODE_PACKET_LEN_MAX + 1];
    (void)state;
    make_ready();
    modem_stats(&s->modem, &before);
    memset(frame, 'x', sizeof frame);
    frame[0] = frame[sizeof frame - 1] = 0xc0;
    frame[1] = RNODE_DATA;
    rig_give(s, frame, sizeof frame);        /* 255 bytes: not one LoRa packet of RNode's */
    GIVE(s, "\xc0\x00\xc0");                 /* empty */
    GIVE(s, "\xc0\x00" "a\xdb" "b\xc0");     /* an escape of nothing */
    GIVE(s, "\xc0\x01\x36\xec\xc0");         /* half an answer which nobody asked for */
    GIVE(s, "\xc0\x25\x00\xc0");             /* statistics cut short */
    modem_stats(&s->modem, &after);
    assert_int_equal(s->event_count[MODEM_EV_RX], 0);
    assert_int_equal(after.garbled - before.garbled, 3);
    assert_int_equal(after.unexpected - before.unexpected, 2);
    assert_true(modem_can_send(&s->modem));
}

static void test_rnode_driver_takes_growth_of_airtime_as_proof(void **state)
{
    static const uint8_t frame[100] = { 1 };
    struct rig_side *s = &rig.sides[0];
    (void)state;
    make_ready();
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
    rig_run_until(&rig, rig.now_us + modem_airtime_us(&s->modem, sizeof frame) / 2);
    /* Airtime that cannot be this frame's yet; later the same means that it has left. */
    GIVE(s, "\xc0\x25\x00\x80\x00\x00\x00\x00\x00\x00\x20\x20\xff\xc0");
    assert_true(s->outstanding);
    rig_run_until(&rig, rig.now_us + modem_airtime_us(&s->modem, sizeof frame));
    GIVE(s, "\xc0\x25\x01\x00\x00\x00\x00\x00\x00\x00\x20\x20\xff\xc0");
    assert_false(s->outstanding);
    assert_int_equal(s->result_count[MODEM_TX_SENT], 1);
}

static void test_rnode_driver_tells_each_error_of_the_board(void **state)
{
    static const uint8_t frame[] = { 1 };
    struct rig_side *s = &rig.sides[0];
    (void)state;
    make_ready();
    GIVE(s, "\xc0\x90\x06\xc0");
    assert_int_equal(s->event_count[MODEM_EV_FAULT], 1);
    assert_non_null(strstr(s->last_text, "hung"));
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
    while (!air_sending(rig.air, rig.now_us, 0))
        rig_run_until(&rig, rig.now_us + 1000);
    GIVE(s, "\xc0\x90\x02\xc0");
    assert_int_equal(s->result_count[MODEM_TX_FAILED], 1);
    GIVE(s, "\xc0\x55\xf8\xc0"); /* it starts anew */
    assert_false(modem_can_send(&s->modem));
    assert_true(rig_settle(s, rig.now_us + BOOT_US));
}

static void test_rnode_driver_refuses_settings_that_it_cannot_make(void **state)
{
    static const struct { const char *options, *says; uint32_t bw_hz; uint8_t sf; int8_t dbm; }
    rows[] = {
        { "", "low-rate", 125000, 11, 14 }, { "", "low-rate", 250000, 12, 14 },
        { "", "low-rate", 62500, 10, 14 },  { "", "-1 dBm", 125000, 7, -1 },
        { "", "100000 Hz", 100000, 7, 14 }, { "lock=1", "lock", 125000, 7, 14 },
    };
    struct modem modem;
    char text[MODEM_TEXT_LEN];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct modem_settings s = emu_try_settings(&emu_rnode_model);
        s.lora.bw_hz = rows[i].bw_hz;
        s.lora.sf = rows[i].sf;
        s.power_dbm = rows[i].dbm;
        memcpy(s.options, rows[i].options, strlen(rows[i].options) + 1);
        assert_int_equal(modem_init(&modem, modem_driver_find("rnode"), &s, 0, text),
                         MODEM_ESETTINGS);
        if (!strstr(text, rows[i].says))
            fail_msg("row %zu: %s", i, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rnode_firmware_acts_on_each_argument_byte),
        cmocka_unit_test(test_rnode_firmware_unescapes_long_arguments),
        cmocka_unit_test(test_rnode_firmware_starts_its_radio_only_with_all_settings),
        cmocka_unit_test(test_rnode_firmware_loses_a_packet_that_shares_its_fend),
        cmocka_unit_test(test_rnode_firmware_splits_long_packets_and_drops_longer_ones),
        cmocka_unit_test(test_rnode_driver_undoes_escapes_in_signal_reports),
        cmocka_unit_test(test_rnode_driver_takes_no_signal_of_another_frame),
        cmocka_unit_test(test_rnode_driver_drops_what_is_no_frame_of_ours),
        cmocka_unit_test(test_rnode_driver_takes_growth_of_airtime_as_proof),
        cmocka_unit_test(test_rnode_driver_tells_each_error_of_the_board),
        cmocka_unit_test(test_rnode_driver_refuses_settings_that_it_cannot_make),
    };
    return cmocka_run_group_tests_name("rnode_modem", tests, NULL, NULL);
}
