#include "tests/support/modem_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { US_PER_MS = 1000, DB = 100, SETTLE_TURNS_MAX = 50 };

/* Unlike assert() never compiled away. */
#define RIG_CHECK(promise)                                                                     \
    do {                                                                                       \
        if (!(promise)) {                                                                      \
            (void)fprintf(stderr, "%s:%d: broken by %s: %s\n", __FILE__, __LINE__,             \
                          s->modem.driver->name, #promise);                                     \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

/* ---- radio ----------------------------------------------------------------------- */

static int start_tx(void *ctx, uint64_t now_us, const uint8_t *frame, size_t len,
                    const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out)
{
    struct rig_side *s = ctx;
    const struct lora_params *said = &s->promise.lora;
    uint32_t off_hz = lora->freq_hz > said->freq_hz ? lora->freq_hz - said->freq_hz
                                                    : said->freq_hz - lora->freq_hz;
    RIG_CHECK(s->rig->forged || off_hz + lora->bw_hz / 2 <= said->bw_hz / 2);
    RIG_CHECK(s->rig->forged || power_dbm <= s->promise.power_dbm);
    return air_start_tx(s->rig->air, now_us, s->index, frame, len, lora, power_dbm * DB,
                        end_us_out);
}

static bool receiving(void *ctx, uint64_t now_us)
{
    struct rig_side *s = ctx;
    return air_busy(s->rig->air, now_us, s->index);
}

static int16_t rssi_dbm(void *ctx, uint64_t now_us)
{
    struct rig_side *s = ctx;
    return air_rssi_dbm(s->rig->air, now_us, s->index);
}

static void tune(void *ctx, uint64_t now_us, const struct lora_params *lora, uint32_t sync)
{
    struct rig_side *s = ctx;
    air_cut_tx(s->rig->air, now_us, s->index);
    RIG_CHECK(air_tune(s->rig->air, now_us, s->index, lora) == AIR_OK);
    air_set_sync(s->rig->air, now_us, s->index, sync);
}

/* ---- the caller of the driver ------------------------------------------------------ */

static uint64_t now_ms(const struct rig_side *s)
{
    return s->rig->now_us / US_PER_MS;
}

static void on_event(struct rig_side *s, const struct modem_event *ev)
{
    s->event_count[ev->type]++;
    RIG_CHECK(memchr(ev->text, '\0', sizeof ev->text) && !strchr(ev->text, '\n'));
    if (ev->text[0])
        memcpy(s->last_text, ev->text, sizeof s->last_text);
    if (ev->type == MODEM_EV_TX_DONE || ev->type == MODEM_EV_REFUSED) {
        RIG_CHECK(s->outstanding);
        s->outstanding = false;
    }
    if (ev->type == MODEM_EV_TX_DONE)
        s->result_count[ev->tx_result]++;
    if (ev->type == MODEM_EV_TX_DONE || ev->type == MODEM_EV_SPENT)
        s->charged_us += ev->airtime_us;
    if (ev->type == MODEM_EV_RX) {
        RIG_CHECK(ev->len > 0 && ev->len <= s->modem.driver->caps.mtu_len);
        s->last_rx = *ev;
    }
    if (s->rig->on_event)
        s->rig->on_event(s, ev);
}

static void drain(struct rig_side *s)
{
    struct modem_event ev;
    while (modem_poll_event(&s->modem, now_ms(s), &ev))
        on_event(s, &ev);
}

void rig_give(struct rig_side *s, const uint8_t *bytes, size_t len)
{
    for (unsigned turns = 0; len > 0; turns++) {
        size_t taken = modem_on_bytes(&s->modem, now_ms(s), bytes, len);
        drain(s);
        bytes += taken;
        len -= taken;
        RIG_CHECK(turns < SETTLE_TURNS_MAX);
    }
}

/* Everything the driver wants to tell its port; true when there was something. */
static bool take_output(struct rig_side *s)
{
    uint8_t buf[64];
    struct modem_port port;
    size_t n;
    bool any = false;
    do {
        while ((n = modem_poll_output(&s->modem, now_ms(s), buf, sizeof buf)) > 0) {
            /* What has no room is lost, as it is where no flow control is. */
            if (s->plugged)
                (void)emu_on_bytes(&s->emu, s->rig->now_us, buf, n);
            any = true;
        }
        if (!modem_poll_port(&s->modem, now_ms(s), &port))
            return any;
        RIG_CHECK((port.lines & ~MODEM_LINES_OUT) == 0);
        emu_set_host_baud(&s->emu, port.baud);
        if (s->plugged)
            emu_set_lines(&s->emu, s->rig->now_us, port.lines);
        any = true;
    } while (true);
}

static void pump_side(struct rig_side *s)
{
    uint8_t buf[64];
    size_t n;
    uint64_t deadline_ms = modem_next_deadline(&s->modem);
    if (deadline_ms != MODEM_NEVER && deadline_ms <= now_ms(s))
        s->wake_count++;
    modem_on_time(&s->modem, now_ms(s));
    drain(s);
    for (unsigned turns = 0; take_output(s) || turns == 0; turns++) {
        RIG_CHECK(turns < SETTLE_TURNS_MAX);
        if (!s->plugged)
            continue;
        emu_run(&s->emu, s->rig->now_us);
        if (s->emu.lines_out != s->lines_told) {
            s->lines_told = s->emu.lines_out;
            modem_on_lines(&s->modem, now_ms(s), s->lines_told);
            drain(s);
        }
        while ((n = emu_poll_output(&s->emu, s->rig->now_us, buf, sizeof buf)) > 0) {
            if (s->rig->on_line)
                s->rig->on_line(s, buf, n);
            rig_give(s, buf, n);
        }
    }
}

static void pump(struct rig *rig)
{
    struct air_event ev;
    while (air_poll_event(rig->air, rig->now_us, &ev)) {
        struct rig_side *s = &rig->sides[ev.receiver];
        if (ev.type == AIR_EV_RX && s->plugged)
            emu_on_rx(&s->emu, rig->now_us, ev.frame, ev.len, ev.rssi_dbm, ev.snr_db_x4);
    }
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++)
        pump_side(&rig->sides[i]);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_us(const struct rig *rig)
{
    uint64_t at_us = air_next_event_us(rig->air);
    for (unsigned i = 0; i < RIG_SIDE_COUNT; i++) {
        const struct rig_side *s = &rig->sides[i];
        uint64_t deadline_ms = modem_next_deadline(&s->modem);
        if (deadline_ms != MODEM_NEVER)
            at_us = earlier(at_us, deadline_ms * US_PER_MS);
        if (s->plugged)
            at_us = earlier(at_us, earlier(emu_next_us(&s->emu), emu_output_us(&s->emu)));
    }
    return at_us;
}

/* Does all that is due; whoever still wants to be woken now never sleeps. */
static void settle_now(struct rig *rig)
{
    struct rig_side *s = &rig->sides[0];
    pump(rig);
    for (unsigned turns = 0; next_us(rig) <= rig->now_us; turns++) {
        RIG_CHECK(turns < SETTLE_TURNS_MAX);
        pump(rig);
    }
}

void rig_run_until(struct rig *rig, uint64_t until_us)
{
    uint64_t at_us;
    settle_now(rig);
    while ((at_us = next_us(rig)) <= until_us) {
        rig->now_us = at_us;
        settle_now(rig);
    }
    if (until_us > rig->now_us) {
        rig->now_us = until_us;
        settle_now(rig);
    }
}

bool rig_settle(struct rig_side *s, uint64_t limit_us)
{
    settle_now(s->rig);
    while (!modem_can_send(&s->modem)) {
        uint64_t at_us = next_us(s->rig);
        if (at_us > limit_us) {
            rig_run_until(s->rig, limit_us);
            return false;
        }
        s->rig->now_us = at_us;
        settle_now(s->rig);
    }
    return true;
}

/* ---- plugs -------------------------------------------------------------------------- */

void rig_build_pair(struct rig *rig, const struct emu_model *const models[RIG_SIDE_COUNT],
                    const struct modem_settings settings[RIG_SIDE_COUNT], uint32_t quirks,
                    uint64_t seed)
{
    static const int32_t loss[] = { 0, RIG_LOSS_DB * DB, RIG_LOSS_DB * DB, 0 };
    const struct air_config config = { .radio_count = RIG_SIDE_COUNT, .seed = seed,
                                       .model = AIR_MATRIX, .loss_db_x100 = loss,
                                       .sensitivity_dbm_x100 = -120 * DB,
                                       .capture_db_x100 = 6 * DB, .cca_busy_dbm_x100 = -120 * DB };
    struct rig_side *s = &rig->sides[0];
    rig->now_us = 0;
    rig->driver = modem_driver_find(models[0]->name);
    memset(rig->sides, 0, sizeof rig->sides);
    for (uint32_t i = 0; i < RIG_SIDE_COUNT; i++) {
        rig->sides[i].rig = rig;
        rig->sides[i].modem.driver = modem_driver_find(models[i]->name);
    }
    RIG_CHECK(air_init(rig->storage, sizeof rig->storage, &config, &rig->air) == AIR_OK);
    for (uint32_t i = 0; i < RIG_SIDE_COUNT; i++) {
        s = &rig->sides[i];
        const struct emu_radio radio = { .ctx = s, .start_tx = start_tx, .receiving = receiving,
                                         .rssi_dbm = rssi_dbm, .tune = tune };
        s->index = i;
        s->plugged = true;
        int err = modem_init(&s->modem, s->modem.driver, &settings[i], 0, s->last_text);
        if (err != MODEM_OK)
            (void)fprintf(stderr, "%s: %s\n", s->modem.driver->name, s->last_text);
        RIG_CHECK(err == MODEM_OK);
        RIG_CHECK(modem_next_deadline(&s->modem) == MODEM_NEVER);
        modem_air(&s->modem, &s->promise);
        emu_init(&s->emu, models[i], &radio, quirks, seed * RIG_SIDE_COUNT + i, 0);
    }
}

void rig_build(struct rig *rig, const struct emu_model *model, uint32_t quirks, uint64_t seed)
{
    const struct emu_model *const models[] = { model, model };
    const struct modem_settings settings[] = { emu_try_settings(model), emu_try_settings(model) };
    rig_build_pair(rig, models, settings, quirks, seed);
}

void rig_unplug(struct rig_side *s)
{
    s->plugged = false;
    air_set_on(s->rig->air, s->rig->now_us, s->index, false);
    modem_on_close(&s->modem, now_ms(s));
    drain(s);
    RIG_CHECK(!s->outstanding);
    RIG_CHECK(modem_next_deadline(&s->modem) == MODEM_NEVER);
}

void rig_open(struct rig_side *s)
{
    if (!s->plugged) {
        s->plugged = true;
        air_set_on(s->rig->air, s->rig->now_us, s->index, true);
        emu_restart(&s->emu, s->rig->now_us, false);
    }
    emu_set_host_baud(&s->emu, s->modem.driver->baud);
    modem_on_open(&s->modem, now_ms(s));
    drain(s);
    s->lines_told = s->emu.lines_out;
    modem_on_lines(&s->modem, now_ms(s), s->lines_told);
    drain(s);
}

void rig_restart(struct rig_side *s, bool factory)
{
    air_cut_tx(s->rig->air, s->rig->now_us, s->index);
    emu_restart(&s->emu, s->rig->now_us, factory);
}

int rig_send(struct rig_side *s, const uint8_t *frame, size_t len)
{
    int err = modem_send(&s->modem, now_ms(s), frame, len);
    if (err == MODEM_OK) {
        RIG_CHECK(!s->outstanding);
        s->outstanding = true;
    }
    return err;
}
