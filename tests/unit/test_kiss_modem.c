/* The driver "meshcore-kiss" against the emulated modem, two of each in one air, all in
 * virtual time: no port, no clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/air.h"
#include "hw/emu_kiss.h"
#include "hw/modem.h"

enum { SIDE_COUNT = 2, US = 1000, S = 1000000, STORAGE_LEN = 65536 };

struct world;

struct side {
    struct world *w;
    uint32_t index;
    bool plugged;
    struct modem modem;
    struct emu emu;
    struct kiss_decoder to_host; /* watches what the modem answers */

    /* Faults. */
    int drop_reply;        /* the how-many-th reply frame to lose; -1: none */
    uint8_t drop_hw;       /* SetHardware frames with this first byte are lost; 0: none */
    bool cut_line;         /* nothing passes either way */
    bool poke_config;      /* the modem forgets its coding rate at once */
    uint8_t line[KISS_ENCODED_LEN_MAX];
    size_t line_len;
    int reply_count;

    /* What came. */
    unsigned event_count[MODEM_EV_FAULT + 1];
    unsigned result_count[MODEM_TX_UNKNOWN + 1];
    uint32_t airtime_us;
    struct modem_event last_rx, last;
    struct lora_params ready_lora;
    unsigned rx_wrong, rx_silent;
    uint64_t rx_next;      /* number of the next frame expected */
};

struct world {
    uint64_t now_us;
    struct air *air;
    struct side sides[SIDE_COUNT];
    unsigned unlawful;     /* transmissions with other settings than ours */
    alignas(max_align_t) uint8_t storage[STORAGE_LEN];
};

static const struct lora_params lora = { .freq_hz = 920250000, .bw_hz = 125000, .sf = 7, .cr = 5,
                                         .preamble_symbols = 8 };
enum { POWER_DBM = 14 };

static struct emu_kiss *kiss_state(struct emu *emu)
{
    return (void *)emu->state;
}

/* ---- radio ---------------------------------------------------------------------- */

static int start_tx(void *ctx, uint64_t now_us, const uint8_t *frame, size_t len,
                    const struct lora_params *p, int8_t power_dbm, uint64_t *end_us_out)
{
    struct side *s = ctx;
    if (p->freq_hz != lora.freq_hz || p->sf != lora.sf || power_dbm != POWER_DBM)
        s->w->unlawful++;
    return air_start_tx(s->w->air, now_us, s->index, frame, len, p, power_dbm * 100, end_us_out);
}

static bool receiving(void *ctx, uint64_t now_us)
{
    struct side *s = ctx;
    return air_busy(s->w->air, now_us, s->index);
}

static int16_t rssi_dbm(void *ctx, uint64_t now_us)
{
    struct side *s = ctx;
    return air_rssi_dbm(s->w->air, now_us, s->index);
}

static void tune(void *ctx, uint64_t now_us, const struct lora_params *p,
                 uint32_t sync)
{
    assert_int_equal(sync, EMU_SYNC_LORA);
    struct side *s = ctx;
    air_cut_tx(s->w->air, now_us, s->index);
    assert_int_equal(air_tune(s->w->air, now_us, s->index, p), AIR_OK);
}

/* ---- world ---------------------------------------------------------------------- */

static void fill_frame(uint64_t number, uint8_t *frame, size_t *len_out)
{
    *len_out = 1 + number % 255;
    for (size_t i = 0; i < *len_out; i++)
        frame[i] = (uint8_t)(number + i * 11);
}

static void on_event(struct side *s, const struct modem_event *ev)
{
    s->event_count[ev->type]++;
    s->last = *ev;
    if (ev->type == MODEM_EV_READY)
        s->ready_lora = ev->lora;
    if (ev->type == MODEM_EV_TX_DONE) {
        s->result_count[ev->tx_result]++;
        s->airtime_us += ev->airtime_us;
    }
    if (ev->type != MODEM_EV_RX)
        return;
    uint8_t want[255];
    size_t len;
    fill_frame(s->rx_next++, want, &len);
    s->rx_wrong += ev->len != len || memcmp(ev->frame, want, len) != 0;
    s->rx_silent += !ev->has_signal;
    s->last_rx = *ev;
}

static void drain(struct side *s)
{
    struct modem_event ev;
    while (modem_poll_event(&s->modem, s->w->now_us / US, &ev))
        on_event(s, &ev);
}

static void to_host(struct side *s, const uint8_t *buf, size_t len)
{
    while (len > 0) {
        size_t taken = modem_on_bytes(&s->modem, s->w->now_us / US, buf, len);
        drain(s);
        buf += taken;
        len -= taken;
    }
}

static bool is_lost(struct side *s)
{
    const struct kiss_decoder *d = &s->to_host;
    if (d->frame[0] != KISS_SET_HARDWARE || d->frame_len < 2)
        return false;
    return s->reply_count++ == s->drop_reply || (s->drop_hw != 0 && d->frame[1] == s->drop_hw);
}

/* Passes the modem's bytes on frame by frame, so that a fault can lose one. */
static void filter_to_host(struct side *s, uint8_t byte)
{
    if (s->cut_line)
        return;
    assert_true(s->line_len < sizeof s->line);
    s->line[s->line_len++] = byte;
    enum kiss_verdict verdict = kiss_decode(&s->to_host, byte);
    if (byte == KISS_FEND && s->line_len > 1) {
        if (verdict != KISS_FRAME || !is_lost(s))
            to_host(s, s->line, s->line_len);
        s->line_len = 0;
    }
}

static void pump_side(struct side *s)
{
    uint8_t buf[64];
    size_t n;
    uint64_t now_us = s->w->now_us;
    modem_on_time(&s->modem, now_us / US);
    drain(s);
    do {
        while ((n = modem_poll_output(&s->modem, now_us / US, buf, sizeof buf)) > 0) {
            if (!s->cut_line && s->plugged)
                assert_int_equal(emu_on_bytes(&s->emu, now_us, buf, n), n);
        }
        if (!s->plugged)
            return;
        emu_run(&s->emu, now_us);
        if (s->poke_config)
            kiss_state(&s->emu)->config[9] = 8;
        n = emu_poll_output(&s->emu, now_us, buf, sizeof buf);
        for (size_t i = 0; i < n; i++)
            filter_to_host(s, buf[i]);
    } while (n > 0);
}

static void pump(struct world *w)
{
    struct air_event ev;
    while (air_poll_event(w->air, w->now_us, &ev)) {
        struct side *s = &w->sides[ev.receiver];
        if (ev.type == AIR_EV_RX && s->plugged)
            emu_on_rx(&s->emu, w->now_us, ev.frame, ev.len, ev.rssi_dbm, ev.snr_db_x4);
    }
    for (unsigned i = 0; i < SIDE_COUNT; i++)
        pump_side(&w->sides[i]);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_us(const struct world *w)
{
    uint64_t at = air_next_event_us(w->air);
    for (unsigned i = 0; i < SIDE_COUNT; i++) {
        const struct side *s = &w->sides[i];
        uint64_t deadline_ms = modem_next_deadline(&s->modem);
        if (deadline_ms != MODEM_NEVER)
            at = earlier(at, deadline_ms * US);
        if (s->plugged)
            at = earlier(at, earlier(emu_next_us(&s->emu), emu_output_us(&s->emu)));
    }
    return at;
}

/* Does all that is due.  A modem retuned in mid-frame ends its frame this very moment, which
 * takes a second turn; whoever still wants to be woken now never sleeps. */
static void settle_now(struct world *w)
{
    pump(w);
    if (next_us(w) <= w->now_us)
        pump(w);
    if (next_us(w) <= w->now_us)
        fail_msg("asked to be woken at %llu us, it is %llu us", (unsigned long long)next_us(w),
                 (unsigned long long)w->now_us);
}

static void run_until(struct world *w, uint64_t until_us)
{
    settle_now(w);
    uint64_t at;
    while ((at = next_us(w)) <= until_us) {
        w->now_us = at;
        settle_now(w);
    }
    w->now_us = until_us;
    settle_now(w);
}

static void plug(struct side *s)
{
    const struct emu_radio radio = { .ctx = s, .start_tx = start_tx, .receiving = receiving,
                                     .rssi_dbm = rssi_dbm, .tune = tune };
    s->plugged = true;
    s->line_len = 0;
    kiss_decoder_init(&s->to_host, KISS_STRICT);
    emu_init(&s->emu, &emu_kiss_model, &radio, 0, 77 + s->index, s->w->now_us);
}

static void build(struct world *w, const struct lora_params *p)
{
    static const int32_t loss[] = { 0, 10000, 10000, 0 };
    const struct air_config config = { .radio_count = SIDE_COUNT, .seed = 5, .model = AIR_MATRIX,
                                       .loss_db_x100 = loss, .sensitivity_dbm_x100 = -12000,
                                       .capture_db_x100 = 600, .cca_busy_dbm_x100 = -12000 };
    memset(w, 0, sizeof *w);
    assert_int_equal(air_init(w->storage, sizeof w->storage, &config, &w->air), AIR_OK);
    struct modem_settings settings = modem_settings_default(p, POWER_DBM);
    char text[MODEM_TEXT_LEN];
    for (unsigned i = 0; i < SIDE_COUNT; i++) {
        struct side *s = &w->sides[i];
        s->w = w;
        s->index = i;
        s->drop_reply = -1;
        plug(s);
        assert_int_equal(modem_init(&s->modem, modem_driver_find("meshcore-kiss"), &settings, 0,
                                    text), MODEM_OK);
        assert_int_equal(modem_next_deadline(&s->modem), MODEM_NEVER);
    }
}

static void open_all(struct world *w)
{
    for (unsigned i = 0; i < SIDE_COUNT; i++)
        modem_on_open(&w->sides[i].modem, w->now_us / US);
}

static struct world world;

/* Both sides ready; the modems take a second to boot, so the first try of each goes unheard. */
static struct world *ready_world(void)
{
    struct world *w = &world;
    build(w, &lora);
    run_until(w, 1200 * US);
    open_all(w);
    run_until(w, w->now_us + S / 10);
    for (unsigned i = 0; i < SIDE_COUNT; i++)
        assert_int_equal(w->sides[i].event_count[MODEM_EV_READY], 1);
    return w;
}

static void send(struct world *w, unsigned from, uint64_t number)
{
    uint8_t frame[255];
    size_t len;
    fill_frame(number, frame, &len);
    assert_int_equal(modem_send(&w->sides[from].modem, w->now_us / US, frame, len), MODEM_OK);
}

/* Runs to the next thing that happens. */
static void step(struct world *w)
{
    settle_now(w);
    assert_int_not_equal(next_us(w), UINT64_MAX);
    run_until(w, next_us(w));
}

/* Runs until the sender may send again. */
static void settle(struct world *w, unsigned from)
{
    uint64_t limit_us = w->now_us + 60u * S;
    pump(w);
    while (!modem_can_send(&w->sides[from].modem) && w->now_us < limit_us)
        step(w);
    assert_true(w->now_us < limit_us);
}

static struct modem_stats stats_of(const struct side *s)
{
    struct modem_stats stats;
    modem_stats(&s->modem, &stats);
    return stats;
}

/* ---- tests ---------------------------------------------------------------------- */

static void test_kiss_modem_is_ready_once_everything_reads_back_equal(void **state)
{
    static const struct { uint8_t sf; uint16_t preamble_symbols; } cases[] = {
        { 5, 32 }, { 7, 32 }, { 8, 32 }, { 9, 16 }, { 12, 16 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lora_params p = lora;
        p.sf = cases[i].sf;
        build(&world, &p);
        open_all(&world);
        run_until(&world, 3 * S);
        struct side *s = &world.sides[0];
        assert_int_equal(s->event_count[MODEM_EV_READY], 1);
        assert_int_equal(s->ready_lora.preamble_symbols, cases[i].preamble_symbols);
        assert_int_equal(kiss_state(&s->emu)->lora.freq_hz, lora.freq_hz);
        assert_int_equal(kiss_state(&s->emu)->power_dbm, POWER_DBM);
        assert_int_equal(kiss_state(&s->emu)->tx_delay, 0);
        assert_int_equal(kiss_state(&s->emu)->persistence, 127);
        p.preamble_symbols = cases[i].preamble_symbols;
        assert_int_equal(modem_airtime_us(&s->modem, 100), lora_airtime_us(&p, 100));
    }
}

static void test_kiss_modem_carries_every_length_and_byte_in_order(void **state)
{
    struct world *w = ready_world();
    (void)state;
    for (uint64_t n = 0; n < 1000; n++) {
        send(w, 0, n);
        settle(w, 0);
    }
    run_until(w, w->now_us + S);
    struct side *a = &w->sides[0], *b = &w->sides[1];
    assert_int_equal(b->event_count[MODEM_EV_RX], 1000);
    assert_int_equal(b->rx_wrong, 0);
    assert_int_equal(b->rx_silent, 0);
    assert_int_equal(b->last_rx.rssi_dbm, POWER_DBM - 100);
    assert_int_equal(a->result_count[MODEM_TX_SENT], 1000);
    assert_int_equal(w->unlawful, 0);
    struct air_counts counts;
    air_radio_counts(w->air, 0, &counts);
    assert_int_equal(a->airtime_us, counts.tx_airtime_us);
    assert_int_equal(stats_of(a).tx_airtime_us, counts.tx_airtime_us);
    assert_int_equal(stats_of(a).tx_bytes, counts.tx_bytes);
}

static void test_kiss_modem_restarted_never_sends_with_factory_settings(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    uint64_t number = 0;
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        /* A brown-out at ever later points of sending. */
        send(w, 0, number);
        run_until(w, w->now_us + i * 5 * US);
        air_cut_tx(w->air, w->now_us, 0);
        emu_restart(&a->emu, w->now_us, false);
        settle(w, 0);
        number++;
    }
    assert_int_equal(w->unlawful, 0);
    assert_true(stats_of(a).restarts_seen > 0);
    /* Every frame ended exactly once. */
    assert_int_equal(a->event_count[MODEM_EV_TX_DONE] + a->event_count[MODEM_EV_REFUSED], 60);
    unsigned heard = w->sides[1].event_count[MODEM_EV_RX];
    settle(w, 0);
    send(w, 0, number);
    settle(w, 0);
    run_until(w, w->now_us + S);
    if (a->event_count[MODEM_EV_REFUSED] > 0 && w->sides[1].event_count[MODEM_EV_RX] == heard) {
        send(w, 0, number); /* the first after the last brown-out may have found it out */
        settle(w, 0);
        run_until(w, w->now_us + S);
    }
    assert_int_equal(w->sides[1].event_count[MODEM_EV_RX], heard + 1);
}

static void test_kiss_modem_restarted_while_idle_is_found_within_a_minute(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    (void)state;
    emu_restart(&a->emu, w->now_us, false);
    run_until(w, w->now_us + 62u * S);
    assert_int_equal(stats_of(a).restarts_seen, 1);
    assert_int_equal(a->event_count[MODEM_EV_FAULT], 1);
    assert_int_equal(a->event_count[MODEM_EV_READY], 2);
    assert_int_equal(kiss_state(&a->emu)->lora.freq_hz, lora.freq_hz);
}

static void test_kiss_modem_repeats_each_command_whose_answer_is_lost(void **state)
{
    (void)state;
    for (int lost = 0; lost < 7; lost++) {
        struct world *w = &world;
        build(w, &lora);
        run_until(w, 1200 * US);
        w->sides[0].drop_reply = lost;
        open_all(w);
        run_until(w, w->now_us + 4u * S);
        assert_int_equal(w->sides[0].event_count[MODEM_EV_READY], 1);
        assert_int_equal(stats_of(&w->sides[0]).replies_lost, 1);
        assert_int_equal(w->sides[0].event_count[MODEM_EV_SILENT], 0);
    }
}

static void test_kiss_modem_that_is_silent_is_told_and_tried_again(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    (void)state;
    a->cut_line = true;
    send(w, 0, 0);
    run_until(w, w->now_us + 10u * S);
    assert_int_equal(a->event_count[MODEM_EV_REFUSED], 1);
    assert_true(a->event_count[MODEM_EV_SILENT] >= 1);
    uint8_t byte = 1;
    assert_int_equal(modem_send(&a->modem, w->now_us / US, &byte, 1), MODEM_ENOTREADY);
    run_until(w, w->now_us + 600u * S);
    assert_in_range(a->event_count[MODEM_EV_SILENT], 100, 130); /* every 5 s */
    a->cut_line = false;
    run_until(w, w->now_us + 40u * S);
    assert_int_equal(a->event_count[MODEM_EV_READY], 2);
}

static void test_kiss_modem_with_other_settings_may_not_send(void **state)
{
    struct world *w = &world;
    struct side *a = &w->sides[0];
    uint8_t byte = 1;
    (void)state;
    build(w, &lora);
    a->poke_config = true;
    open_all(w);
    run_until(w, 3u * S);
    assert_int_equal(a->event_count[MODEM_EV_READY], 0);
    assert_int_equal(a->event_count[MODEM_EV_MISMATCH], 1);
    assert_non_null(strstr(a->last.text, "4/8"));
    assert_int_equal(modem_send(&a->modem, w->now_us / US, &byte, 1), MODEM_ENOTREADY);
    a->poke_config = false;
    run_until(w, 10u * S);
    assert_int_equal(a->event_count[MODEM_EV_READY], 1);

    /* A bandwidth that the radio chip does not have: read back equal, but not in force. */
    struct lora_params odd = lora;
    odd.bw_hz = 200000;
    build(w, &odd);
    open_all(w);
    run_until(w, 3u * S);
    assert_int_equal(a->event_count[MODEM_EV_READY], 0);
    assert_int_equal(a->event_count[MODEM_EV_MISMATCH], 1);
    assert_non_null(strstr(a->last.text, "did not take"));
}

static void test_kiss_modem_found_at_another_power_may_not_send(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    (void)state;
    kiss_state(&a->emu)->config_power = 22;
    kiss_state(&a->emu)->power_dbm = 22;
    send(w, 0, 0);
    settle(w, 0);
    assert_int_equal(a->event_count[MODEM_EV_REFUSED], 1);
    assert_int_equal(kiss_state(&a->emu)->power_dbm, POWER_DBM); /* written anew */
    send(w, 0, 0);
    settle(w, 0);
    assert_int_equal(a->result_count[MODEM_TX_SENT], 1);
    assert_int_equal(w->unlawful, 0);
}

static void test_kiss_modem_holding_an_older_frame_refuses(void **state)
{
    struct world *w = &world;
    struct side *a = &w->sides[0];
    static const uint8_t older[] = { KISS_FEND, KISS_DATA, 1, 2, 3, KISS_FEND };
    (void)state;
    build(w, &lora);
    run_until(w, 1200 * US);
    open_all(w);
    while (a->event_count[MODEM_EV_READY] == 0)
        step(w);
    /* As if the program before us had just sent it. */
    assert_int_equal(emu_on_bytes(&a->emu, w->now_us, older, sizeof older), sizeof older);
    send(w, 0, 0);
    settle(w, 0);
    assert_int_equal(a->event_count[MODEM_EV_REFUSED], 1);
    assert_int_equal(a->event_count[MODEM_EV_TX_DONE], 0);
    assert_int_equal(stats_of(a).tx_airtime_us, 0);
    w->sides[1].rx_next = 0;
    run_until(w, w->now_us + S);
    w->sides[1].rx_next = 0;
    w->sides[1].rx_wrong = 0;
    send(w, 0, 0);
    settle(w, 0);
    run_until(w, w->now_us + S);
    assert_int_equal(a->result_count[MODEM_TX_SENT], 1);
    assert_int_equal(w->sides[1].rx_wrong, 0);
}

static void test_kiss_modem_that_never_says_done_costs_the_airtime(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    (void)state;
    a->drop_hw = KISS_HW_TX_DONE;
    send(w, 0, 99);
    run_until(w, w->now_us + 60u * S);
    assert_int_equal(a->result_count[MODEM_TX_UNKNOWN], 1);
    assert_int_equal(a->airtime_us, modem_airtime_us(&a->modem, 100));
    a->drop_hw = 0;
    send(w, 0, 100);
    run_until(w, w->now_us + 5u * S);
    assert_int_equal(a->result_count[MODEM_TX_SENT], 1);
}

static void test_kiss_modem_takes_a_full_output_for_no_refusal(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    static const uint8_t busy[] = { KISS_FEND, KISS_SET_HARDWARE, KISS_HW_ERROR, KISS_HW_ERR_BUSY,
                                    KISS_FEND };
    (void)state;
    send(w, 0, 0); /* done: from here on the modem is known to hold nothing */
    settle(w, 0);
    send(w, 0, 1);
    while (!air_sending(w->air, w->now_us, 0))
        step(w);
    to_host(a, busy, sizeof busy);
    assert_int_equal(a->event_count[MODEM_EV_REFUSED], 0);
    settle(w, 0);
    assert_int_equal(a->result_count[MODEM_TX_SENT], 2);
    assert_int_equal(stats_of(a).unexpected, 1);
}

static void test_kiss_modem_whose_radio_fails_says_so(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    (void)state;
    air_set_on(w->air, w->now_us, 0, false); /* the chip takes no frame */
    send(w, 0, 0);
    settle(w, 0);
    assert_int_equal(a->result_count[MODEM_TX_FAILED], 1);
    assert_int_equal(stats_of(a).tx_failed, 1);
    assert_non_null(strstr(a->last.text, "failed"));
}

static void test_kiss_modem_gone_ends_the_frame_as_far_as_it_came(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    (void)state;
    /* Before anything was written. */
    send(w, 0, 0);
    modem_on_close(&a->modem, w->now_us / US);
    drain(a);
    assert_int_equal(a->event_count[MODEM_EV_REFUSED], 1);
    assert_int_equal(modem_next_deadline(&a->modem), MODEM_NEVER);
    uint8_t buf[8];
    assert_int_equal(modem_poll_output(&a->modem, w->now_us / US, buf, sizeof buf), 0);
    /* While it is on the air. */
    modem_on_open(&a->modem, w->now_us / US);
    settle(w, 0);
    send(w, 0, 200);
    while (!air_sending(w->air, w->now_us, 0))
        step(w);
    modem_on_close(&a->modem, w->now_us / US);
    drain(a);
    assert_int_equal(a->result_count[MODEM_TX_UNKNOWN], 1);
    assert_int_equal(a->airtime_us, modem_airtime_us(&a->modem, 201));
    /* And back. */
    air_cut_tx(w->air, w->now_us, 0);
    plug(a);
    modem_on_open(&a->modem, w->now_us / US);
    settle(w, 0);
    assert_int_equal(a->event_count[MODEM_EV_READY], 3);
}

static void raw(struct side *s, const char *wire, size_t len)
{
    to_host(s, (const uint8_t *)wire, len);
}

static void test_kiss_modem_pairs_signal_reports_with_their_frames(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    uint64_t garbled = stats_of(a).garbled; /* the boot text */
    (void)state;
#define RAW(s) raw(a, s, sizeof s - 1)
    RAW("\xc0\0one\xc0\xc0\0two\xc0\xc0\x06\xf9\x08\xa6\xc0"); /* the first's report is lost */
    assert_int_equal(a->event_count[MODEM_EV_RX], 2);
    assert_int_equal(a->rx_silent, 1);
    assert_true(a->last_rx.has_signal);
    assert_int_equal(a->last_rx.snr_db_x4, 8);
    assert_int_equal(a->last_rx.rssi_dbm, -90);
    assert_memory_equal(a->last_rx.frame, "two", 3);
    RAW("\xc0\x06\xf9\x08\xa6\xc0"); /* a report without a frame */
    assert_int_equal(a->event_count[MODEM_EV_RX], 2);
    RAW("\xc0\0three\xc0\xc0\x06\xf8\x01\xc0\xc0\x06\xf9\x08\xa6\xc0"); /* not right after it */
    assert_int_equal(a->event_count[MODEM_EV_RX], 3);
    assert_int_equal(a->rx_silent, 2);
    RAW("\xc0\0four\xc0");
    assert_int_equal(a->event_count[MODEM_EV_RX], 3);
    run_until(w, w->now_us + S); /* no report at all: not held back for ever */
    assert_int_equal(a->event_count[MODEM_EV_RX], 4);
    RAW("\xc0\x06\xf9\x40\xc0\xc0\0\xc0\xc0\x16\x97\xc0"); /* cut report, empty frame, other port */
#undef RAW
    assert_int_equal(stats_of(a).unexpected, 4);
    assert_int_equal(stats_of(a).garbled, garbled + 2);
    assert_int_equal(stats_of(a).rx_without_signal, 3);
}

static void test_kiss_modem_takes_no_more_bytes_than_it_has_room_for_events(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0];
    static const char one[] = "\xc0\0x\xc0\xc0\x06\xf9\x08\xa6\xc0";
    uint8_t many[20 * (sizeof one - 1)];
    (void)state;
    for (size_t i = 0; i < 20; i++)
        memcpy(many + i * (sizeof one - 1), one, sizeof one - 1);
    size_t at = modem_on_bytes(&a->modem, w->now_us / US, many, sizeof many);
    assert_true(at < sizeof many);
    assert_false(modem_can_send(&a->modem));
    while (at < sizeof many) {
        drain(a);
        at += modem_on_bytes(&a->modem, w->now_us / US, many + at, sizeof many - at);
    }
    drain(a);
    assert_int_equal(a->event_count[MODEM_EV_RX], 20);
}

static void test_kiss_modem_survives_noise_on_the_line(void **state)
{
    struct world *w = ready_world();
    struct side *a = &w->sides[0], *b = &w->sides[1];
    uint64_t x = 3;
    uint8_t buf[50];
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof buf; i++) {
            static const uint8_t likely[] = { 0xc0, 0xc0, 0xdb, 0xdc, 0x06, 0xf0, 0xf1, 0xf8,
                                              0xf9, 0x8b, 0x8c, 0x8f, 0x00, 0x01, 0x07, 0x97 };
            x = x * 6364136223846793005u + 1442695040888963407u;
            uint8_t byte = (uint8_t)(x >> 40);
            buf[i] = x >> 63 ? likely[byte % sizeof likely] : byte;
        }
        to_host(a, buf, sizeof buf);
        if (modem_can_send(&a->modem))
            send(w, 0, round);
        (void)emu_on_bytes(&b->emu, w->now_us, buf, sizeof buf); /* what fits */
        run_until(w, w->now_us + 5 * US);
    }
    /* Noise may have been read as an order to reboot, never as one to send elsewhere by a. */
    kiss_decoder_init(&a->to_host, KISS_STRICT);
    run_until(w, w->now_us + 200u * S);
    settle(w, 0);
    unsigned sent = a->result_count[MODEM_TX_SENT];
    send(w, 0, 1);
    settle(w, 0);
    assert_int_equal(a->result_count[MODEM_TX_SENT], sent + 1);
    struct modem_stats stats = stats_of(a);
    assert_true(stats.garbled > 1000);
}

static void test_kiss_modem_refuses_settings_out_of_range(void **state)
{
    struct modem_settings good = modem_settings_default(&lora, POWER_DBM);
    struct modem_settings bad[13];
    struct modem m;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        bad[i] = good;
    bad[0].lora.freq_hz = 149999999;
    bad[1].lora.freq_hz = 960000001;
    bad[2].lora.sf = 4;
    bad[3].lora.sf = 13;
    bad[4].lora.cr = 9;
    bad[5].lora.bw_hz = 1;
    bad[6].power_dbm = 23;
    bad[7].power_dbm = -10;
    bad[8].csma_slot_ms = 15;
    bad[9].csma_slot_ms = 0;
    bad[10].csma_slot_ms = 2560;
    bad[11].tx_delay_ms = 2560;
    memcpy(bad[12].options, "netid=1", sizeof "netid=1");
    char text[MODEM_TEXT_LEN] = "";
    const struct modem_driver *driver = modem_driver_find("meshcore-kiss");
    assert_int_equal(modem_init(&m, driver, &good, 0, text), MODEM_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        text[0] = '\0';
        if (modem_init(&m, driver, &bad[i], 0, text) != MODEM_ESETTINGS || text[0] == '\0')
            fail_msg("settings %zu were accepted", i);
    }
    assert_null(modem_driver_find("no-such-driver"));
    assert_null(modem_driver_at(1000));
}

static void test_kiss_modem_refuses_frames_it_cannot_send(void **state)
{
    struct world *w = ready_world();
    struct modem *m = &w->sides[0].modem;
    uint8_t frame[256] = { 0 };
    (void)state;
    assert_int_equal(modem_send(m, w->now_us / US, frame, 0), MODEM_ELEN);
    assert_int_equal(modem_send(m, w->now_us / US, frame, 256), MODEM_ELEN);
    assert_int_equal(modem_send(m, w->now_us / US, frame, 255), MODEM_OK);
    assert_int_equal(modem_send(m, w->now_us / US, frame, 1), MODEM_EBUSY);
}

/* ---- the emulator against the firmware's documented bytes -------------------------- */

static const struct {
    const char *name;
    const char *wire;
    size_t wire_len;
    const char *want;
    size_t want_len;
} dialogue[] = {
#define PAIR(a, b) a, sizeof a - 1, b, sizeof b - 1
    { "ping", PAIR("\xc0\x06\x17\xc0", "\xc0\x06\x97\xc0") },
    { "version", PAIR("\xc0\x06\x11\xc0", "\xc0\x06\x91\x01\x00\xc0") },
    { "unknown command", PAIR("\xc0\x06\x77\xc0", "\xc0\x06\xf1\x05\xc0") },
    { "short argument", PAIR("\xc0\x06\x09\x01\xc0", "\xc0\x06\xf1\x01\xc0") },
    { "no settings after start", PAIR("\xc0\x06\x0b\xc0",
      "\xc0\x06\x8b\0\0\0\0\0\0\0\0\0\0\xc0") },
    { "random length 0", PAIR("\xc0\x06\x02\x00\xc0", "\xc0\x06\xf1\x02\xc0") },
    { "set radio", PAIR("\xc0\x06\x09\x10\xed\xd9\x36\x48\xe8\x01\x00\x09\x05\xc0",
      "\xc0\x06\xf0\xc0") },
    { "get radio", PAIR("\xc0\x06\x0b\xc0",
      "\xc0\x06\x8b\x10\xed\xd9\x36\x48\xe8\x01\x00\x09\x05\xc0") },
    { "airtime", PAIR("\xc0\x06\x0f\x32\xc0", "\xc0\x06\x8f\x69\x01\x00\x00\xc0") },
    { "power", PAIR("\xc0\x06\x0a\x0e\xc0\xc0\x06\x0c\xc0",
      "\xc0\x06\xf0\xc0\xc0\x06\x8c\x0e\xc0") },
    { "escaped answer", PAIR("\xc0\x06\x0a\xdb\xdc\xc0\x06\x0c\xc0",
      "\xc0\x06\xf0\xc0\xc0\x06\x8c\xdb\xdc\xc0") },
    { "signal report off and on", PAIR("\xc0\x06\x19\x00\xc0\x06\x1a\xc0\x06\x19\x07\xc0",
      "\xc0\x06\x9a\x00\xc0\xc0\x06\x9a\x00\xc0\xc0\x06\x9a\x01\xc0") },
    { "other port", PAIR("\xc0\x16\x17\xc0", "") },
    { "leave KISS mode", PAIR("\xc0\xff\xc0", "") },
    { "empty frames", PAIR("\xc0\xc0\xc0\x06\xc0", "") },
    { "own key pair", PAIR("\xc0\x06\x01\xc0", "\xc0\x06\xf1\x03\xc0") },
    { "temperature", PAIR("\xc0\x06\x14\xc0", "\xc0\x06\xf1\x03\xc0") },
    { "clear channel", PAIR("\xc0\x06\x0e\xc0", "\xc0\x06\x8e\x00\xc0") },
    { "noise floor", PAIR("\xc0\x06\x10\xc0", "\xc0\x06\x90\x8b\xff\xc0") },
    { "name", PAIR("\xc0\x06\x16\xc0", "\xc0\x06\x96keng-air\xc0") },
    { "two frames at once", PAIR("\xc0\0a\xc0\0b\xc0", "\xc0\x06\xf1\x07\xc0") },
#undef PAIR
};

/* Answers within 50 ms. */
static size_t exchange(struct world *w, const void *wire, size_t len, uint8_t *buf, size_t cap)
{
    struct side *a = &w->sides[0];
    size_t n = 0;
    assert_int_equal(emu_on_bytes(&a->emu, w->now_us, wire, len), len);
    for (unsigned ms = 0; ms < 50; ms++) {
        emu_run(&a->emu, w->now_us);
        n += emu_poll_output(&a->emu, w->now_us, buf + n, cap - n);
        w->now_us += US;
    }
    return n;
}

static void test_emu_kiss_answers_as_the_firmware_documents(void **state)
{
    struct world *w = &world;
    uint8_t buf[600];
    (void)state;
    build(w, &lora);
    run_until(w, 1200 * US); /* boot text is behind us */
    for (size_t i = 0; i < sizeof dialogue / sizeof dialogue[0]; i++) {
        size_t n = exchange(w, dialogue[i].wire, dialogue[i].wire_len, buf, sizeof buf);
        if (n != dialogue[i].want_len || memcmp(buf, dialogue[i].want, n) != 0)
            fail_msg("%s: %zu bytes, %02x %02x %02x %02x %02x %02x", dialogue[i].name, n, buf[0],
                     buf[1], buf[2], buf[3], buf[4], buf[5]);
    }
}

static void test_emu_kiss_drops_frames_longer_than_the_radio_takes(void **state)
{
    struct world *w = &world;
    uint8_t payload[256] = { 0 }, wire[600], buf[600];
    (void)state;
    build(w, &lora);
    run_until(w, 1200 * US);
    size_t len = kiss_encode(KISS_DATA, payload, 256, wire, sizeof wire);
    assert_int_equal(exchange(w, wire, len, buf, sizeof buf), 0);
    assert_false(kiss_state(&w->sides[0].emu)->tx_pending);
    len = kiss_encode(KISS_DATA, payload, 255, wire, sizeof wire);
    assert_int_equal(exchange(w, wire, len, buf, sizeof buf), 0);
    assert_true(kiss_state(&w->sides[0].emu)->tx_pending);
}

static void test_emu_kiss_reads_rubbish_at_a_wrong_speed(void **state)
{
    struct world *w = &world;
    static const char ping[] = "\xc0\x06\x17\xc0";
    uint8_t buf[64];
    (void)state;
    build(w, &lora);
    run_until(w, 1200 * US);
    emu_set_host_baud(&w->sides[0].emu, 9600);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(exchange(w, ping, 4, buf, sizeof buf), 0);
    emu_set_host_baud(&w->sides[0].emu, KISS_HW_BAUD);
    (void)exchange(w, "\xc0\xc0", 2, buf, sizeof buf);
    assert_int_equal(exchange(w, ping, 4, buf, sizeof buf), 4);
    assert_memory_equal(buf, "\xc0\x06\x97\xc0", 4);
}

static void test_emu_kiss_sends_no_faster_than_the_line(void **state)
{
    struct world *w = &world;
    uint8_t frame[255] = { 0 }, buf[600];
    (void)state;
    build(w, &lora);
    run_until(w, 1200 * US);
    struct emu *emu = &w->sides[0].emu;
    emu_on_rx(emu, w->now_us, frame, sizeof frame, -90, 8);
    emu_run(emu, w->now_us);
    uint64_t start_us = w->now_us;
    size_t n = 0, total = 3 + 255 + 6; /* FEND 0 … FEND, FEND 6 F9 snr rssi FEND */
    while (n < total) {
        n += emu_poll_output(emu, w->now_us, buf + n, sizeof buf - n);
        assert_true(n <= (w->now_us - start_us) * KISS_HW_BAUD / 10 / S + 1);
        w->now_us += 100;
    }
    assert_in_range(w->now_us - start_us, total * 86, total * 88 + 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kiss_modem_is_ready_once_everything_reads_back_equal),
        cmocka_unit_test(test_kiss_modem_carries_every_length_and_byte_in_order),
        cmocka_unit_test(test_kiss_modem_restarted_never_sends_with_factory_settings),
        cmocka_unit_test(test_kiss_modem_restarted_while_idle_is_found_within_a_minute),
        cmocka_unit_test(test_kiss_modem_repeats_each_command_whose_answer_is_lost),
        cmocka_unit_test(test_kiss_modem_that_is_silent_is_told_and_tried_again),
        cmocka_unit_test(test_kiss_modem_with_other_settings_may_not_send),
        cmocka_unit_test(test_kiss_modem_found_at_another_power_may_not_send),
        cmocka_unit_test(test_kiss_modem_holding_an_older_frame_refuses),
        cmocka_unit_test(test_kiss_modem_that_never_says_done_costs_the_airtime),
        cmocka_unit_test(test_kiss_modem_takes_a_full_output_for_no_refusal),
        cmocka_unit_test(test_kiss_modem_whose_radio_fails_says_so),
        cmocka_unit_test(test_kiss_modem_gone_ends_the_frame_as_far_as_it_came),
        cmocka_unit_test(test_kiss_modem_pairs_signal_reports_with_their_frames),
        cmocka_unit_test(test_kiss_modem_takes_no_more_bytes_than_it_has_room_for_events),
        cmocka_unit_test(test_kiss_modem_survives_noise_on_the_line),
        cmocka_unit_test(test_kiss_modem_refuses_settings_out_of_range),
        cmocka_unit_test(test_kiss_modem_refuses_frames_it_cannot_send),
        cmocka_unit_test(test_emu_kiss_answers_as_the_firmware_documents),
        cmocka_unit_test(test_emu_kiss_drops_frames_longer_than_the_radio_takes),
        cmocka_unit_test(test_emu_kiss_reads_rubbish_at_a_wrong_speed),
        cmocka_unit_test(test_emu_kiss_sends_no_faster_than_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
