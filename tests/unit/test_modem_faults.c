/* Every fault that strikes a modem, at random moments of traffic in both directions, for every
 * driver in the table: soon after the modem is back its frames are heard again, each frame ended
 * exactly once, and nothing was sent elsewhere or louder than promised (the rig watches those two).
 * FAULT_COUNT=N strikes more often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/modem_rig.h"

enum {
    FAULT_COUNT = 200,
    RECOVERY_US = 5 * RIG_S,
    FRAME_LEN = 24,
    ROUND_US = 4 * RIG_S, /* a fault strikes somewhere in the first half */
};

static struct rig rig;
static uint64_t chance_state;
static uint32_t round_number;
static bool heard_probe; /* side 1 heard the frame that shows that side 0 is back */

static uint64_t chance(uint64_t below)
{
    /* xorshift64 (Marsaglia 2003) */
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return chance_state % below;
}

static void on_event(struct rig_side *s, const struct modem_event *ev)
{
    if (s->index == 1 && ev->type == MODEM_EV_RX && ev->len == FRAME_LEN && ev->frame[0] == 'p' &&
        memcmp(ev->frame + 1, &round_number, sizeof round_number) == 0)
        heard_probe = true;
}

static void make_ready(const struct emu_model *model, uint32_t quirks)
{
    rig.on_event = on_event;
    rig.on_line = NULL;
    rig_build(&rig, model, quirks, 3);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        rig_open(&rig.sides[i]);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        assert_true(rig_settle(&rig.sides[i], 20 * RIG_S));
}

/* Both sides talk at random until then. */
static void chatter(uint64_t until_us)
{
    uint8_t frame[MODEM_FRAME_LEN_MAX] = { 'c' };
    while (rig.now_us < until_us) {
        struct rig_side *s = &rig.sides[chance(RIG_SIDE_COUNT)];
        if (modem_can_send(&s->modem)) {
            size_t len = 1 + chance(rig.driver->caps.mtu_len / 4u);
            for (size_t i = 1; i < len; i++)
                frame[i] = (uint8_t)chance(256);
            assert_int_equal(rig_send(s, frame, len), MODEM_OK);
        }
        uint64_t next_us = rig.now_us + chance(RIG_S / 2);
        rig_run_until(&rig, next_us < until_us ? next_us : until_us);
    }
}

/* ---- the faults: each returns when the modem is whole again ---------------------------- */

static uint64_t booted_us(const struct rig_side *s)
{
    return s->emu.boot_until_us > rig.now_us ? s->emu.boot_until_us : rig.now_us;
}

static uint64_t fault_unplug(struct rig_side *s)
{
    rig_unplug(s);
    uint64_t wake_count = s->wake_count;
    rig_run_until(&rig, rig.now_us + chance(20 * RIG_S));
    assert_int_equal(s->wake_count, wake_count); /* nobody is home: nobody wakes */
    rig_open(s);
    return booted_us(s);
}

static uint64_t fault_reboot(struct rig_side *s)
{
    rig_restart(s, false);
    return booted_us(s);
}

static uint64_t fault_brownout(struct rig_side *s)
{
    rig_restart(s, true);
    return booted_us(s);
}

static uint64_t fault_garbage(struct rig_side *s)
{
    emu_garbage(&s->emu, rig.now_us, 1 + chance(300));
    return rig.now_us;
}

static uint64_t fault_cut_line(struct rig_side *s)
{
    emu_cut_line(&s->emu);
    return rig.now_us;
}

static uint64_t fault_hang(struct rig_side *s)
{
    uint64_t until_us = rig.now_us + chance(20 * RIG_S);
    emu_hang(&s->emu, until_us);
    chatter(until_us);
    return rig.now_us;
}

static uint64_t fault_slow(struct rig_side *s)
{
    emu_slow(&s->emu, (uint32_t)chance(RIG_S));
    chatter(rig.now_us + chance(10 * RIG_S));
    emu_slow(&s->emu, 0);
    return rig.now_us;
}

static const struct fault {
    const char *name;
    uint64_t (*strike)(struct rig_side *s);
} faults[] = {
    { "unplugged", fault_unplug },   { "restarted", fault_reboot },
    { "browned out", fault_brownout }, { "garbage", fault_garbage },
    { "half a line", fault_cut_line }, { "hung", fault_hang },
    { "slow", fault_slow },
};

/* Sends until the other side has heard one. */
static bool is_heard(struct rig_side *s, uint64_t limit_us)
{
    uint8_t frame[FRAME_LEN] = { 'p' };
    heard_probe = false;
    round_number++;
    memcpy(frame + 1, &round_number, sizeof round_number);
    while (rig_settle(s, limit_us)) {
        assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_OK);
        while (!heard_probe && rig.now_us < limit_us && !modem_can_send(&s->modem))
            rig_run_until(&rig, rig.now_us + 10000);
        if (heard_probe)
            return true;
        rig_run_until(&rig, rig.now_us + 50000); /* its serial line */
        if (heard_probe)
            return true;
    }
    return heard_probe;
}

/* A board whose settings come into force by a restart of its own is back when that one is over. */
static bool is_back(struct rig_side *s, uint64_t *back_us)
{
    if (is_heard(s, *back_us + RECOVERY_US))
        return true;
    if (s->emu.boot_until_us <= *back_us)
        return false;
    *back_us = s->emu.boot_until_us;
    return is_heard(s, *back_us + RECOVERY_US);
}

static unsigned fault_count(void)
{
    const char *word = getenv("FAULT_COUNT");
    long n = word ? strtol(word, NULL, 10) : FAULT_COUNT;
    assert_true(n > 0 && n < 100000000);
    return (unsigned)n;
}

static void strike(const struct emu_model *model, uint32_t quirks, const struct fault *fault)
{
    struct rig_side *s = &rig.sides[0];
    uint64_t worst_us = 0;
    make_ready(model, quirks);
    for (unsigned n = 0; n < fault_count(); n++) {
        chatter(rig.now_us + chance(ROUND_US / 2));
        uint64_t back_us = fault->strike(s);
        if (!is_back(s, &back_us))
            fail_msg("%s, %s for the %u-th time: not heard again within 5 s (%s)", model->name,
                     fault->name, n + 1, s->last_text);
        if (rig.now_us > back_us && rig.now_us - back_us > worst_us)
            worst_us = rig.now_us - back_us;
        chatter(rig.now_us + chance(ROUND_US / 2));
    }
    print_message("    %s, %s: heard again after %u ms at the latest\n", model->name, fault->name,
                  (unsigned)(worst_us / 1000));
}

static void test_modem_comes_back_from_every_fault(void **state)
{
    const struct modem_driver *driver;
    (void)state;
    for (size_t i = 0; (driver = modem_driver_at(i)) != NULL; i++) {
        const struct emu_model *model = emu_model_find(driver->name);
        assert_non_null(model);
        for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
            chance_state = 88172645463325252u + f;
            strike(model, 0, &faults[f]);
        }
    }
}

/* Whatever it says, what it reads back is not what was written: told in one line, and silent on
 * the air for as long as it lasts. */
static void stay_silent(const struct emu_model *model)
{
    struct rig_side *s = &rig.sides[0];
    struct air_counts counts;
    const uint8_t frame[] = { 'x' };
    rig.on_event = on_event;
    rig_build(&rig, model, 0, 3);
    emu_stubborn(&s->emu, true);
    rig_open(s);
    rig_run_until(&rig, 300u * RIG_S);
    air_radio_counts(rig.air, 0, &counts);
    if (s->event_count[MODEM_EV_MISMATCH] == 0 || s->event_count[MODEM_EV_READY] > 0 ||
        counts.tx_frames > 0)
        fail_msg("%s keeps other settings: %u times ready, %u frames sent, told \"%s\"",
                 model->name, s->event_count[MODEM_EV_READY], (unsigned)counts.tx_frames,
                 s->last_text);
    assert_int_equal(rig_send(s, frame, sizeof frame), MODEM_ENOTREADY);
    print_message("    %s: %s\n", model->name, s->last_text);
    emu_stubborn(&s->emu, false);
    assert_true(rig_settle(s, rig.now_us + 70u * RIG_S));
}

static void test_modem_that_keeps_other_settings_is_told_and_never_sends(void **state)
{
    const struct modem_driver *driver;
    (void)state;
    for (size_t i = 0; (driver = modem_driver_at(i)) != NULL; i++)
        if (driver->caps.reads_back_settings)
            stay_silent(emu_model_find(driver->name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modem_that_keeps_other_settings_is_told_and_never_sends),
        cmocka_unit_test(test_modem_comes_back_from_every_fault),
    };
    return cmocka_run_group_tests_name("modem_faults", tests, NULL, NULL);
}
