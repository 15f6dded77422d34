/* What every driver promises, whatever its modem is, over its emulator and each of its quirks.
 * A driver in the table is covered without a word here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/modem_rig.h"

enum { FRAME_COUNT = 1000, BOOT_US = 20 * RIG_S, FRAME_LIMIT_US = 120 * RIG_S };

static struct rig rig;

/* What arrived at each side. */
static struct { uint64_t next[RIG_SIDE_COUNT]; unsigned wrong, without_rssi, without_snr; } heard;

/* The number-th frame: every length in turn, and at each length other bytes. */
static size_t fill(uint64_t number, uint8_t *frame)
{
    size_t len = 1 + number % rig.driver->caps.mtu_len;
    for (size_t i = 0; i < len; i++)
        frame[i] = (uint8_t)(number * 7 + i * 11);
    return len;
}

static void on_event(struct rig_side *s, const struct modem_event *ev)
{
    uint8_t want[MODEM_FRAME_LEN_MAX];
    if (ev->type != MODEM_EV_RX)
        return;
    size_t len = fill(heard.next[s->index]++, want);
    heard.wrong += ev->len != len || memcmp(ev->frame, want, len) != 0;
    int rssi_off = ev->rssi_dbm - (s->promise.power_dbm - RIG_LOSS_DB);
    heard.without_rssi += !ev->has_signal || rssi_off < -2 || rssi_off > 2;
    heard.without_snr += !ev->has_signal || ev->snr_db_x4 == 0;
}

static void make_ready(const struct emu_model *model, uint32_t quirks)
{
    memset(&heard, 0, sizeof heard);
    rig.on_event = on_event;
    rig.on_line = NULL;
    rig_build(&rig, model, quirks, 11);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        rig_open(&rig.sides[i]);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++) {
        if (!rig_settle(&rig.sides[i], BOOT_US))
            fail_msg("%s is not ready: %s", model->name, rig.sides[i].last_text);
        assert_true(rig.sides[i].event_count[MODEM_EV_READY] >= 1);
    }
}

/* Runs a check for every driver, plain and with each quirk of its boards. */
static void for_each(void (*check)(const struct emu_model *model))
{
    const struct modem_driver *driver;
    for (size_t i = 0; (driver = modem_driver_at(i)) != NULL; i++) {
        const struct emu_model *model = emu_model_find(driver->name);
        if (!model)
            fail_msg("%s has no emulated modem", driver->name);
        print_message("    %s\n", driver->name);
        make_ready(model, 0);
        check(model);
        for (unsigned q = 0; model->quirks && model->quirks[q]; q++) {
            print_message("    %s, %s\n", driver->name, model->quirks[q]);
            make_ready(model, 1u << q);
            check(model);
        }
    }
}

static void send_number(struct rig_side *s, uint64_t number)
{
    uint8_t frame[MODEM_FRAME_LEN_MAX];
    size_t len = fill(number, frame);
    assert_true(rig_settle(s, rig.now_us + FRAME_LIMIT_US));
    assert_int_equal(rig_send(s, frame, len), MODEM_OK);
}

static void check_frames(const struct emu_model *model)
{
    struct rig_side *a = &rig.sides[0], *b = &rig.sides[1];
    for (uint64_t n = 0; n < FRAME_COUNT; n++)
        send_number(a, n);
    assert_true(rig_settle(a, rig.now_us + FRAME_LIMIT_US));
    rig_run_until(&rig, rig.now_us + RIG_S);
    if (heard.next[1] != FRAME_COUNT || heard.wrong > 0)
        fail_msg("%s: %u frames of %d arrived, %u of them wrong", model->name,
                 (unsigned)heard.next[1], FRAME_COUNT, heard.wrong);
    assert_int_equal(a->result_count[MODEM_TX_SENT], FRAME_COUNT);
    assert_int_equal(a->event_count[MODEM_EV_REFUSED], 0);
    assert_int_equal(b->event_count[MODEM_EV_FAULT], 0);
    if (rig.driver->caps.has_rssi)
        assert_int_equal(heard.without_rssi, 0);
    if (rig.driver->caps.has_snr)
        assert_int_equal(heard.without_snr, 0);
    print_message("    %s: %d frames of 1 to %u bytes unaltered\n", model->name, FRAME_COUNT,
                  rig.driver->caps.mtu_len);
}

static void test_modem_carries_every_length_and_byte_unaltered_and_in_order(void **state)
{
    (void)state;
    for_each(check_frames);
}

static void check_airtime(const struct emu_model *model)
{
    struct rig_side *a = &rig.sides[0];
    struct air_counts before, after;
    uint64_t over_ppm_max = 0;
    for (uint64_t n = 0; n < 100; n++) {
        uint8_t frame[MODEM_FRAME_LEN_MAX];
        uint64_t number = n * 61;
        size_t len = fill(number, frame);
        uint64_t charged_us = a->charged_us;
        air_radio_counts(rig.air, 0, &before);
        send_number(a, number);
        assert_true(rig_settle(a, rig.now_us + FRAME_LIMIT_US));
        rig_run_until(&rig, rig.now_us + RIG_S / 10); /* where the end is estimated */
        air_radio_counts(rig.air, 0, &after);
        uint64_t air_us = after.tx_airtime_us - before.tx_airtime_us;
        charged_us = a->charged_us - charged_us;
        assert_int_equal(charged_us, modem_airtime_us(&a->modem, len));
        /* Never less than the air says: the law is a hard limit.  A millisecond is its grain. */
        if (charged_us < air_us || charged_us > air_us + air_us / 100 + 1)
            fail_msg("%s: %u bytes took %u us, charged were %u", model->name, (unsigned)len,
                     (unsigned)air_us, (unsigned)charged_us);
        uint64_t over_ppm = (charged_us - air_us) * 1000000 / air_us;
        over_ppm_max = over_ppm > over_ppm_max ? over_ppm : over_ppm_max;
    }
    print_message("    %s: charged %u ppm too much at most\n", model->name,
                  (unsigned)over_ppm_max);
}

static void test_modem_charges_the_airtime_that_the_air_has_seen(void **state)
{
    (void)state;
    for_each(check_airtime);
}

static void check_lengths(const struct emu_model *model)
{
    struct rig_side *a = &rig.sides[0];
    uint8_t frame[MODEM_FRAME_LEN_MAX + 1] = { 0 };
    (void)model;
    assert_int_equal(rig_send(a, frame, 0), MODEM_ELEN);
    assert_int_equal(rig_send(a, frame, rig.driver->caps.mtu_len + 1u), MODEM_ELEN);
    assert_int_equal(rig_send(a, frame, rig.driver->caps.mtu_len), MODEM_OK);
    assert_int_equal(rig_send(a, frame, 1), MODEM_EBUSY);
    assert_false(modem_can_send(&a->modem));
    rig_unplug(a);
    assert_int_equal(rig_send(a, frame, 1), MODEM_ENOTREADY);
}

static void test_modem_refuses_what_it_cannot_take(void **state)
{
    (void)state;
    for_each(check_lengths);
}

/* When TX-done comes, the frame is off the air, and not much later. */
static void check_tx_done(const struct emu_model *model)
{
    enum { LATE_US = 3 * RIG_S / 2 };
    struct rig_side *a = &rig.sides[0];
    for (uint64_t n = 0; n < 50; n++) {
        send_number(a, n * 5);
        while (a->outstanding) {
            bool was_sending = air_sending(rig.air, rig.now_us, 0);
            rig_run_until(&rig, rig.now_us + 1000);
            if (!a->outstanding && (was_sending || air_sending(rig.air, rig.now_us, 0)) &&
                air_sending(rig.air, rig.now_us, 0))
                fail_msg("%s: done is said while the frame is on the air", model->name);
        }
        assert_true(rig_settle(a, rig.now_us + LATE_US));
    }
}

static void test_modem_is_done_only_when_the_frame_has_left_the_air(void **state)
{
    (void)state;
    for_each(check_tx_done);
}

/* Both want the channel all the time.  One that listens first lets nearly all through. */
static void check_busy(const struct emu_model *model)
{
    enum { COUNT = 50 };
    unsigned sent = 0;
    rig.on_event = NULL;
    for (unsigned n = 0; n < 10 * COUNT && sent < COUNT; n++) {
        for (unsigned i = 0; i < RIG_SIDE_COUNT; i++) {
            uint8_t frame[MODEM_FRAME_LEN_MAX];
            if (rig_settle(&rig.sides[i], rig.now_us) &&
                rig_send(&rig.sides[i], frame, fill(n, frame)) == MODEM_OK)
                sent += i == 0;
        }
        rig_run_until(&rig, rig.now_us + RIG_S);
    }
    struct air_counts counts;
    air_counts(rig.air, &counts);
    assert_int_equal(sent, COUNT);
    if (rig.driver->caps.cca == MODEM_CCA_IN_MODEM &&
        counts.half_duplex_lost + counts.collided > counts.tx_frames / 4)
        fail_msg("%s says that it listens first: of %u frames %u were lost", model->name,
                 (unsigned)counts.tx_frames,
                 (unsigned)(counts.half_duplex_lost + counts.collided));
}

static void test_modem_that_says_so_listens_before_it_talks(void **state)
{
    (void)state;
    for_each(check_busy);
}

static void check_idle(const struct emu_model *model)
{
    struct rig_side *a = &rig.sides[0];
    uint64_t before = a->wake_count;
    rig_run_until(&rig, rig.now_us + 600u * RIG_S);
    if (a->wake_count - before > 600)
        fail_msg("%s: %u wake-ups in ten idle minutes", model->name,
                 (unsigned)(a->wake_count - before));
    assert_true(modem_can_send(&a->modem));
}

static void test_modem_sleeps_while_nothing_happens(void **state)
{
    (void)state;
    for_each(check_idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modem_carries_every_length_and_byte_unaltered_and_in_order),
        cmocka_unit_test(test_modem_charges_the_airtime_that_the_air_has_seen),
        cmocka_unit_test(test_modem_refuses_what_it_cannot_take),
        cmocka_unit_test(test_modem_is_done_only_when_the_frame_has_left_the_air),
        cmocka_unit_test(test_modem_that_says_so_listens_before_it_talks),
        cmocka_unit_test(test_modem_sleeps_while_nothing_happens),
    };
    return cmocka_run_group_tests_name("modem_conformance", tests, NULL, NULL);
}
