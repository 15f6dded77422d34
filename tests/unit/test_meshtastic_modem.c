/* The driver "meshtastic" and its emulated board in what is special to them: the board's settings,
 * and what its firmware adds on air, refuses, repeats and says by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/emu_meshtastic.h"
#include "hw/pb.h"
#include "tests/support/modem_rig.h"

enum { BOOT_US = 20 * RIG_S };

static struct rig rig;

static struct emu_meshtastic *board(struct rig_side *s)
{
    return (void *)s->emu.state;
}

static uint64_t frames_on_air(void)
{
    struct air_counts counts;
    air_counts(rig.air, &counts);
    return counts.tx_frames;
}

static void make_ready_at(uint32_t quirks, uint32_t freq_hz)
{
    const struct emu_model *const models[] = { &emu_meshtastic_model, &emu_meshtastic_model };
    struct modem_settings s[] = { emu_try_settings(models[0]), emu_try_settings(models[1]) };
    s[0].lora.freq_hz = s[1].lora.freq_hz = freq_hz;
    rig.on_event = NULL;
    rig.on_line = NULL;
    rig_build_pair(&rig, models, s, quirks, 7);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        rig_open(&rig.sides[i]);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        assert_true(rig_settle(&rig.sides[i], BOOT_US));
}

static void make_ready(uint32_t quirks)
{
    make_ready_at(quirks, 434000000);
}

/* ---- settings ------------------------------------------------------------------------------ */

static void test_meshtastic_refuses_settings_that_it_cannot_make(void **state)
{
    static const struct {
        const char *options, *says;
        uint32_t freq_hz, bw_hz;
        uint8_t sf, cr;
        int8_t power_dbm;
    } rows[] = {
        { "", "41700", 434000000, 41700, 7, 5, 14 },
        { "", "SF6", 434000000, 125000, 6, 5, 14 },
        { "", "0 dBm", 434000000, 125000, 7, 5, 0 },
        { "", "31 dBm", 434000000, 125000, 7, 5, 31 },
        { "", "region=NUMBER", 868500000, 125000, 7, 5, 14 },
        { "region=0", "region", 434000000, 125000, 7, 5, 14 },
        { "channel=3", "channel", 434000000, 125000, 7, 5, 14 },
    };
    struct modem modem;
    char text[MODEM_TEXT_LEN];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct modem_settings s = emu_try_settings(&emu_meshtastic_model);
        s.lora.freq_hz = rows[i].freq_hz;
        s.lora.bw_hz = rows[i].bw_hz;
        s.lora.sf = rows[i].sf;
        s.lora.cr = rows[i].cr;
        s.power_dbm = rows[i].power_dbm;
        memcpy(s.options, rows[i].options, strlen(rows[i].options) + 1);
        assert_int_equal(modem_init(&modem, modem_driver_find("meshtastic"), &s, 0, text),
                         MODEM_ESETTINGS);
        if (!strstr(text, rows[i].says))
            fail_msg("row %zu: %s", i, text);
    }
}

static void test_meshtastic_region_option_stands_for_bands_it_does_not_know(void **state)
{
    struct modem_settings s = emu_try_settings(&emu_meshtastic_model);
    struct modem modem;
    struct modem_air air;
    char text[MODEM_TEXT_LEN];
    (void)state;
    s.lora.freq_hz = 868500000;
    memcpy(s.options, "region=3", sizeof "region=3");
    assert_int_equal(modem_init(&modem, modem_driver_find("meshtastic"), &s, 0, text), MODEM_OK);
    modem_air(&modem, &air);
    assert_int_equal(air.lora.freq_hz, 868500000);
}

/* Its float cannot hold each frequency; the rig watches that it sends where modem_air says. */
static void test_meshtastic_sends_where_its_float_puts_the_frequency(void **state)
{
    struct rig_side *s = &rig.sides[0];
    const uint8_t frame[] = { 1 };
    (void)state;
    make_ready_at(0, 921512345);
    assert_int_not_equal(s->promise.lora.freq_hz, 921512345);
    assert_in_range(s->promise.lora.freq_hz, 921512345 - 31, 921512345 + 31);
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
    assert_true(rig_settle(s, rig.now_us + 5 * RIG_S));
    assert_int_equal(frames_on_air(), 1);
}

static void test_meshtastic_leaves_no_setting_of_the_law_to_the_board(void **state)
{
    const struct emu_meshtastic_kept *k = &board(&rig.sides[0])->kept;
    (void)state;
    make_ready_at(0, 921500000);
    assert_int_equal(k->region, REGION_TH);
    assert_false(k->use_preset || k->override_duty);
    assert_int_equal(k->power_dbm, 14);
    assert_int_equal(k->role, ROLE_HIDDEN);
    assert_int_equal(k->repeat, REPEAT_LOCAL);
    assert_int_equal(k->key_len, 0);
    assert_memory_equal(k->name, "keng", k->name_len);
    /* What was right is not written again: flash wears out. */
    unsigned ready = rig.sides[0].event_count[MODEM_EV_READY];
    rig_unplug(&rig.sides[0]);
    rig_open(&rig.sides[0]);
    uint64_t boot_us = rig.sides[0].emu.boot_until_us;
    assert_true(rig_settle(&rig.sides[0], rig.now_us + BOOT_US));
    assert_int_equal(rig.sides[0].event_count[MODEM_EV_READY], ready + 1);
    assert_int_equal(rig.sides[0].emu.boot_until_us, boot_us);
}

/* Each of these alone is noticed before the next frame, which is not sent. */
static void test_meshtastic_sends_nothing_once_a_setting_is_another(void **state)
{
    struct rig_side *s = &rig.sides[0];
    struct emu_meshtastic_kept *k = &board(s)->kept;
    const uint8_t frame[] = { 1 };
    (void)state;
    make_ready(0);
    struct emu_meshtastic_kept right = *k;
    for (unsigned i = 0; i < 8; i++) {
        assert_true(rig_settle(s, rig.now_us + BOOT_US));
        unsigned refused = s->event_count[MODEM_EV_REFUSED];
        uint64_t sent = frames_on_air();
        *k = right;
        k->use_preset = i == 0;
        k->bandwidth += i == 1;
        k->sf += i == 2;
        k->cr += i == 3;
        k->region = i == 4 ? REGION_TH : k->region;
        k->power_dbm += i == 5;
        k->override_duty = i == 6;
        k->freq_mhz += i == 7 ? 0.001f : 0;
        assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
        rig_run_until(&rig, rig.now_us + RIG_S / 2);
        if (s->event_count[MODEM_EV_REFUSED] != refused + 1 || frames_on_air() != sent)
            fail_msg("row %u: the frame went out", i);
    }
}

/* ---- on the air ---------------------------------------------------------------------------- */

static void test_meshtastic_charges_the_signature_of_newer_firmware(void **state)
{
    const struct modem *modem = &rig.sides[0].modem;
    const struct lora_params *lora = &rig.sides[0].promise.lora;
    (void)state;
    make_ready(0);
    assert_int_equal(modem_airtime_us(modem, 100), lora_airtime_us(lora, 16 + 7 + 100));
    assert_int_equal(modem_airtime_us(modem, 128), lora_airtime_us(lora, 16 + 8 + 128));
    make_ready(1u << EMU_MESHTASTIC_SIGNS);
    assert_int_equal(modem_airtime_us(modem, 100), lora_airtime_us(lora, 16 + 7 + 66 + 100));
    assert_int_equal(modem_airtime_us(modem, 165), lora_airtime_us(lora, 255));
    assert_int_equal(modem_airtime_us(modem, 166), lora_airtime_us(lora, 16 + 8 + 166));
}

/* A text of people, with hops to go, heard by the emulated board. */
static void hear_text(struct rig_side *s, uint8_t hash, uint8_t id)
{
    const uint8_t frame[] = { 255, 255, 255, 255, 1, 2, 3, 4, id, 0, 0, 0, 0x63, hash, 0, 4,
                              0x08, 0x01, 0x12, 0x02, 'h', 'i', 0x48, 0x00 };
    emu_on_rx(&s->emu, rig.now_us, frame, sizeof frame, -80, 20);
}

static void test_meshtastic_board_repeats_neither_strangers_nor_ours(void **state)
{
    struct rig_side *s = &rig.sides[0];
    const uint8_t frame[] = { 1, 2, 3 };
    (void)state;
    make_ready(0);
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
    rig_run_until(&rig, rig.now_us + 60u * RIG_S);
    hear_text(s, 0x08, 1); /* another channel */
    rig_run_until(&rig, rig.now_us + 60u * RIG_S);
    assert_int_equal(frames_on_air(), 1);
    assert_int_equal(rig.sides[1].event_count[MODEM_EV_RX], 1);
    assert_int_equal(s->event_count[MODEM_EV_RX], 0);
    /* As its owner had it, it would: the emulated board is no less talkative than a real one. */
    board(s)->kept.role = ROLE_CLIENT;
    board(s)->kept.repeat = 0;
    hear_text(s, 0x08, 2);
    rig_run_until(&rig, rig.now_us + 60u * RIG_S);
    assert_int_equal(frames_on_air(), 2);
}

static void test_meshtastic_board_is_silent_by_itself_for_a_day(void **state)
{
    (void)state;
    make_ready(0);
    rig_run_until(&rig, rig.now_us + 86400u * (uint64_t)RIG_S);
    assert_int_equal(frames_on_air(), 0);
    board(&rig.sides[0])->kept.role = ROLE_CLIENT;
    rig_run_until(&rig, rig.now_us + 86400u * (uint64_t)RIG_S);
    assert_true(frames_on_air() >= 7);
}

/* Boards introduce themselves to those that they have not met, and nothing forbids it: what they
 * send of their own is charged, at the latest before the next frame goes out. */
static void test_meshtastic_charges_what_the_board_sends_by_itself(void **state)
{
    struct rig_side *a = &rig.sides[0], *b = &rig.sides[1];
    struct air_counts counts;
    uint8_t frame[] = { 1, 0 };
    (void)state;
    make_ready(0);
    board(a)->strangers = board(b)->strangers = true;
    for (unsigned n = 0; n < 20; n++) {
        struct rig_side *s = &rig.sides[n % 2];
        frame[1] = (uint8_t)n;
        assert_true(rig_settle(s, rig.now_us + 5 * RIG_S));
        assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
        rig_run_until(&rig, rig.now_us + 20 * RIG_S);
    }
    rig_run_until(&rig, rig.now_us + 120u * (uint64_t)RIG_S); /* an idle one is asked, too */
    assert_true(frames_on_air() >= 22);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++) {
        air_radio_counts(rig.air, i, &counts);
        assert_true(rig.sides[i].event_count[MODEM_EV_SPENT] > 0);
        assert_true(rig.sides[i].charged_us >= counts.tx_airtime_us);
        assert_in_range(counts.tx_frames, 11, 12);
    }
}

static void test_meshtastic_board_that_counts_nothing_still_sends(void **state)
{
    struct rig_side *s = &rig.sides[0];
    const uint8_t frame[] = { 1 };
    (void)state;
    rig_build(&rig, &emu_meshtastic_model, 0, 1);
    board(s)->counts_nothing = true;
    rig_open(s);
    assert_true(rig_settle(s, BOOT_US)); /* asked in vain, once */
    uint64_t before_us = rig.now_us;
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
    assert_true(rig_settle(s, rig.now_us + 5 * RIG_S));
    assert_true(rig.now_us - before_us < RIG_S);
    assert_int_equal(s->event_count[MODEM_EV_SPENT], 0);
}

/* ---- what it says no to ---------------------------------------------------------------------- */

static void test_meshtastic_board_keeps_its_own_share_of_time(void **state)
{
    struct rig_side *s = &rig.sides[0];
    uint8_t frame[231] = { 0 };
    (void)state;
    make_ready_at(0, 921500000);
    for (unsigned n = 0; s->event_count[MODEM_EV_REFUSED] == 0; n++) {
        assert_true(n < 2000);
        frame[0] = (uint8_t)n;
        frame[1] = (uint8_t)(n >> 8);
        assert_true(rig_settle(s, rig.now_us + 5 * RIG_S));
        assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
        rig_run_until(&rig, rig.now_us + RIG_S / 10);
    }
    assert_non_null(strstr(s->last_text, "share of time"));
    assert_in_range(s->charged_us, 360u * RIG_S, 363u * RIG_S);
    assert_false(rig_settle(s, rig.now_us + 20 * RIG_S)); /* it isn't asked again and again */
    assert_true(rig_settle(s, rig.now_us + 20 * RIG_S));
}

static void test_meshtastic_tells_why_a_frame_was_refused(void **state)
{
    struct rig_side *s = &rig.sides[0];
    const uint8_t frame[] = { 1 };
    (void)state;
    make_ready(0);
    board(s)->tx_count = EMU_MESHTASTIC_QUEUE_COUNT;
    board(s)->sending = true; /* for ever */
    board(s)->tx_end_us = UINT64_MAX;
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
    rig_run_until(&rig, rig.now_us + RIG_S / 2);
    assert_int_equal(s->event_count[MODEM_EV_REFUSED], 1);
    assert_non_null(strstr(s->last_text, "queue is full"));
}

static void test_meshtastic_managed_board_is_told_apart(void **state)
{
    struct rig_side *s = &rig.sides[0];
    (void)state;
    rig_build(&rig, &emu_meshtastic_model, 0, 1);
    board(s)->kept.managed = true;
    rig_open(s);
    assert_false(rig_settle(s, BOOT_US));
    assert_non_null(strstr(s->last_text, "managed"));
    assert_int_equal(s->event_count[MODEM_EV_READY], 0);
}

static void test_meshtastic_old_firmware_is_refused(void **state)
{
    struct rig_side *s = &rig.sides[0];
    (void)state;
    rig_build(&rig, &emu_meshtastic_model, 0, 1);
    board(s)->version = "2.4.2.5b45303";
    rig_open(s);
    assert_false(rig_settle(s, BOOT_US));
    assert_non_null(strstr(s->last_text, "2.4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meshtastic_refuses_settings_that_it_cannot_make),
        cmocka_unit_test(test_meshtastic_region_option_stands_for_bands_it_does_not_know),
        cmocka_unit_test(test_meshtastic_sends_where_its_float_puts_the_frequency),
        cmocka_unit_test(test_meshtastic_leaves_no_setting_of_the_law_to_the_board),
        cmocka_unit_test(test_meshtastic_sends_nothing_once_a_setting_is_another),
        cmocka_unit_test(test_meshtastic_charges_the_signature_of_newer_firmware),
        cmocka_unit_test(test_meshtastic_board_repeats_neither_strangers_nor_ours),
        cmocka_unit_test(test_meshtastic_board_is_silent_by_itself_for_a_day),
        cmocka_unit_test(test_meshtastic_charges_what_the_board_sends_by_itself),
        cmocka_unit_test(test_meshtastic_board_that_counts_nothing_still_sends),
        cmocka_unit_test(test_meshtastic_board_keeps_its_own_share_of_time),
        cmocka_unit_test(test_meshtastic_tells_why_a_frame_was_refused),
        cmocka_unit_test(test_meshtastic_managed_board_is_told_apart),
        cmocka_unit_test(test_meshtastic_old_firmware_is_refused),
    };
    return cmocka_run_group_tests_name("meshtastic_modem", tests, NULL, NULL);
}
