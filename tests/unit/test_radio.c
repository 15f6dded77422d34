/* The radio over a real pseudo-terminal; behind it the emulated modem, on the test's clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "hw/emu_kiss.h"
#include "node/radio.h"

enum { MS = 1000, AIRTIME_MS = 50, SETTLE_MS = 20000 };

struct bench {
    char dir[32], link[96];
    int master;
    struct emu emu;
    struct radio radio;
    uint64_t now_ms;
    unsigned sent;      /* frames on the emulated air */
    uint8_t last[256];
    size_t last_len;
    unsigned ready, received, done, steps; /* done: sent, or refused */
    uint8_t heard[256];
    size_t heard_len;
};

static struct bench bench;

/* ---- the emulated board ----------------------------------------------------------------- */

static int start_tx(void *ctx, uint64_t now_us, const uint8_t *frame, size_t len,
                    const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out)
{
    struct bench *b = ctx;
    (void)lora;
    (void)power_dbm;
    assert_true(len <= sizeof b->last);
    memcpy(b->last, frame, len);
    b->last_len = len;
    b->sent++;
    *end_us_out = now_us + AIRTIME_MS * MS;
    return 0;
}

static bool receiving(void *ctx, uint64_t now_us)
{
    (void)ctx;
    (void)now_us;
    return false;
}

static int16_t rssi_dbm(void *ctx, uint64_t now_us)
{
    (void)ctx;
    (void)now_us;
    return -120;
}

static void tune(void *ctx, uint64_t now_us, const struct lora_params *lora,
                 uint32_t sync)
{
    (void)ctx;
    (void)now_us;
    (void)lora;
    (void)sync;
}

/* A board on a new pseudo-terminal, under the stable name. */
static void plug_in(struct bench *b)
{
    const struct emu_radio radio = { .ctx = b, .start_tx = start_tx, .receiving = receiving,
                                     .rssi_dbm = rssi_dbm, .tune = tune };
    b->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(b->master >= 0);
    assert_int_equal(grantpt(b->master), 0);
    assert_int_equal(unlockpt(b->master), 0);
    struct termios tio;
    assert_int_equal(tcgetattr(b->master, &tio), 0);
    cfmakeraw(&tio);
    assert_int_equal(tcsetattr(b->master, TCSANOW, &tio), 0);
    unlink(b->link);
    assert_int_equal(symlink(ptsname(b->master), b->link), 0);
    emu_init(&b->emu, &emu_kiss_model, &radio, 0, 5, b->now_ms * MS);
}

static void unplug(struct bench *b)
{
    close(b->master);
    b->master = -1;
}

static void run_board(struct bench *b)
{
    uint8_t buf[256];
    ssize_t n;
    if (b->master < 0)
        return;
    uint64_t now_us = b->now_ms * MS;
    while (emu_in_room(&b->emu) >= sizeof buf && (n = read(b->master, buf, sizeof buf)) > 0)
        assert_int_equal(emu_on_bytes(&b->emu, now_us, buf, (size_t)n), n);
    emu_run(&b->emu, now_us);
    size_t len;
    while ((len = emu_poll_output(&b->emu, now_us, buf, sizeof buf)) > 0)
        assert_int_equal(write(b->master, buf, len), len);
}

/* ---- the loop of a daemon ------------------------------------------------------------------ */

static void drain(struct bench *b)
{
    struct modem_event ev;
    while (radio_poll_event(&b->radio, b->now_ms, &ev)) {
        b->ready += ev.type == MODEM_EV_READY;
        b->done += ev.type == MODEM_EV_TX_DONE || ev.type == MODEM_EV_REFUSED;
        if (ev.type == MODEM_EV_RX) {
            b->received++;
            memcpy(b->heard, ev.frame, ev.len);
            b->heard_len = ev.len;
        }
    }
}

/* Steps only when poll() or the deadline says so, as the daemon does. */
static void run_ms(struct bench *b, uint64_t for_ms)
{
    for (uint64_t end_ms = b->now_ms + for_ms; b->now_ms < end_ms; b->now_ms++) {
        run_board(b);
        struct pollfd fd = { .events = 0 };
        fd.fd = radio_fd(&b->radio, &fd.events);
        int ready = poll(&fd, 1, 0);
        assert_true(ready >= 0);
        if (ready == 0 && radio_next_deadline(&b->radio) > b->now_ms)
            continue;
        b->steps++;
        radio_step(&b->radio, b->now_ms);
        drain(b);
    }
}

static struct radio_config lawful_config(const struct bench *b)
{
    const struct lora_params lora = { .freq_hz = 920250000, .bw_hz = 125000, .sf = 7, .cr = 5,
                                      .preamble_symbols = 16 };
    return (struct radio_config){
        .path = b->link, .driver = "meshcore-kiss", .wires = "",
        .settings = modem_settings_default(&lora, 14),
        .region = { .name = "VN-920", .lo_hz = 920000000, .hi_hz = 923000000,
                    .erp_max_dbm_x100 = 1400, .duty_node = 100, .duty_gateway = 1000,
                    .window_s = 3600 },
        .use = { .antenna_gain_dbi_x100 = 200, .duty_e4 = 100, .window_s = 3600 },
    };
}

static int setup(void **state)
{
    struct bench *b = &bench;
    memset(b, 0, sizeof *b);
    b->now_ms = 1000;
    b->master = -1;
    snprintf(b->dir, sizeof b->dir, "/tmp/keng-radio-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    snprintf(b->link, sizeof b->link, "%.31s/modem", b->dir);
    plug_in(b);
    *state = b;
    const struct radio_config config = lawful_config(b);
    return radio_init(&b->radio, &config, b->now_ms);
}

static int teardown(void **state)
{
    struct bench *b = *state;
    radio_close(&b->radio, b->now_ms);
    if (b->master >= 0)
        close(b->master);
    unlink(b->link);
    return rmdir(b->dir);
}

/* ---- tests ---- */

static void test_radio_becomes_ready_sends_and_hears(void **state)
{
    struct bench *b = *state;
    static const uint8_t frame[] = { 1, 0xc0, 0xdb, 0xdd, 0xdc, 2 };
    assert_int_equal(b->radio.state, RADIO_ABSENT);
    assert_int_not_equal(radio_send(&b->radio, b->now_ms, frame, sizeof frame), MODEM_OK);
    run_ms(b, SETTLE_MS);
    assert_int_equal(b->radio.state, RADIO_READY);
    assert_int_equal(b->ready, 1);
    assert_string_equal(b->radio.text, "");
    assert_int_equal(radio_send(&b->radio, b->now_ms, frame, sizeof frame), MODEM_OK);
    run_ms(b, 3000);
    assert_int_equal(b->sent, 1);
    assert_int_equal(b->done, 1);
    assert_int_equal(b->last_len, sizeof frame);
    assert_memory_equal(b->last, frame, sizeof frame);
    emu_on_rx(&b->emu, b->now_ms * MS, frame, sizeof frame, -90, 12);
    run_ms(b, 1000);
    assert_int_equal(b->received, 1);
    assert_int_equal(b->heard_len, sizeof frame);
    assert_memory_equal(b->heard, frame, sizeof frame);
}

static void test_radio_sleeps_when_nothing_happens(void **state)
{
    struct bench *b = *state;
    run_ms(b, SETTLE_MS);
    assert_int_equal(b->radio.state, RADIO_READY);
    b->steps = 0;
    run_ms(b, 600000);
    assert_int_equal(b->radio.state, RADIO_READY);
    /* Ten minutes: now and then it asks whether the modem lives. */
    assert_in_range(b->steps, 1, 200);
}

static void test_radio_unplugged_is_absent_and_comes_back(void **state)
{
    struct bench *b = *state;
    run_ms(b, SETTLE_MS);
    for (unsigned round = 1; round <= 3; round++) {
        assert_int_equal(b->radio.state, RADIO_READY);
        assert_int_equal(b->ready, round);
        unplug(b);
        run_ms(b, 100);
        assert_int_equal(b->radio.state, RADIO_ABSENT);
        assert_non_null(strstr(b->radio.text, b->link));
        short events;
        assert_int_equal(radio_fd(&b->radio, &events), -1);
        run_ms(b, 60000);
        assert_int_equal(b->radio.state, RADIO_ABSENT);
        plug_in(b);
        run_ms(b, 60000); /* the back-off is half a minute at most */
    }
    assert_int_equal(b->ready, 4);
}

static void test_radio_backs_off_while_there_is_no_port(void **state)
{
    struct bench *b = *state;
    unplug(b);
    unlink(b->link);
    run_ms(b, 1000);
    assert_int_equal(b->radio.state, RADIO_ABSENT);
    assert_non_null(strstr(b->radio.text, "plugged in"));
    run_ms(b, 60000);
    b->steps = 0;
    run_ms(b, 600000);
    assert_in_range(b->steps, 10, 25); /* every half minute */
}

static void test_radio_unplugged_in_the_middle_of_a_frame_accounts_for_it(void **state)
{
    struct bench *b = *state;
    static const uint8_t frame[200] = { 1, 2, 3 };
    run_ms(b, SETTLE_MS);
    for (uint64_t wait_ms = 0; wait_ms < 120; wait_ms += 7) {
        unsigned before = b->done;
        assert_int_equal(b->radio.state, RADIO_READY);
        assert_int_equal(radio_send(&b->radio, b->now_ms, frame, sizeof frame), MODEM_OK);
        run_ms(b, wait_ms);
        unplug(b);
        run_ms(b, 1000);
        /* Exactly one end for each frame that was taken: its airtime is charged or given back. */
        assert_int_equal(b->done, before + 1);
        plug_in(b);
        run_ms(b, 60000);
        assert_int_equal(b->done, before + 1);
    }
}

/* The port is gone in the very moment of sending: the end of the frame must not be lost by the
 * port's return. */
static void test_radio_gone_while_sending_accounts_for_it(void **state)
{
    struct bench *b = *state;
    static const uint8_t frame[200] = { 1, 2, 3 };
    run_ms(b, SETTLE_MS);
    assert_int_equal(b->radio.state, RADIO_READY);
    unplug(b);
    plug_in(b);
    if (radio_send(&b->radio, b->now_ms, frame, sizeof frame) == MODEM_OK) {
        run_ms(b, 60000);
        assert_int_equal(b->done, 1);
    }
    run_ms(b, 60000);
    assert_int_equal(b->radio.state, RADIO_READY);
}

static void test_radio_flood_of_rubbish_is_survived(void **state)
{
    struct bench *b = *state;
    uint8_t rubbish[997];
    uint32_t z = 1;
    run_ms(b, SETTLE_MS);
    b->steps = 0;
    for (unsigned round = 0; round < 400; round++) {
        for (size_t i = 0; i < sizeof rubbish; i++) {
            z = z * 1664525 + 1013904223;
            rubbish[i] = (uint8_t)(z >> 24);
            if (round % 4 == 0 && i % 7 == 0)
                rubbish[i] = 0xc0; /* many short frames */
        }
        ssize_t n = write(b->master, rubbish, sizeof rubbish);
        assert_true(n > 0);
        run_ms(b, 20);
    }
    assert_true(b->steps < 400 * 25);
    run_ms(b, 5 * 60000); /* whatever it made of that: it finds its modem again */
    assert_int_equal(b->radio.state, RADIO_READY);
}

static void test_radio_fast_clock_is_for_emulated_modems_only(void **state)
{
    struct bench *b = *state;
    b->radio.real_ports_refused = true;
    run_ms(b, SETTLE_MS);
    assert_int_equal(b->radio.state, RADIO_READY); /* a pseudo-terminal is fine */
    radio_close(&b->radio, b->now_ms);
    assert_true(radio_next_deadline(&b->radio) == RADIO_NEVER);
    short events;
    assert_int_equal(radio_fd(&b->radio, &events), -1);
}

static void test_radio_that_cannot_be_is_told_at_start(void **state)
{
    struct bench *b = *state;
    static struct radio r;
    struct radio_config config = lawful_config(b);
    config.driver = "no-such";
    assert_int_equal(radio_init(&r, &config, 0), -1);
    assert_non_null(strstr(r.text, "no-such"));
    assert_non_null(strstr(r.text, "meshcore-kiss"));
    config = lawful_config(b);
    config.settings.power_dbm = 100;
    assert_int_equal(radio_init(&r, &config, 0), -1);
    assert_non_null(strstr(r.text, "100 dBm"));
    config = lawful_config(b);
    config.path = "";
    assert_int_equal(radio_init(&r, &config, 0), 0);
    assert_int_equal(r.state, RADIO_NONE);
    assert_true(radio_next_deadline(&r) == RADIO_NEVER);
    radio_step(&r, 100);
    assert_int_equal(r.state, RADIO_NONE);
    for (int i = RADIO_NONE; i <= RADIO_UNLAWFUL; i++)
        assert_string_not_equal(radio_state_name((enum radio_state)i), "unknown");
}

/* A profile outside the law: said in one line, and the port is not even opened. */
static void test_radio_outside_the_law_never_sends(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *what, *want;
        uint32_t freq_hz;
        int gain_dbi;
        uint32_t duty_e4;
        bool no_law;
    } cases[] = {
        { "over the edge", "must lie from 920.06", 920050000, 2, 100, false },
        { "another region's", "must lie from 920.06", 869618000, 2, 100, false },
        { "a good antenna", "at most 11 dBm", 920250000, 5, 100, false },
        { "more than a node's share", "a node may use 1.00 %", 920250000, 2, 1000, false },
        { "no law", "states no law", 920250000, 2, 100, true },
    };
    uint8_t frame[10] = { 1 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct radio_config config = lawful_config(b);
        config.settings.lora.freq_hz = cases[i].freq_hz;
        config.use.antenna_gain_dbi_x100 = 100 * cases[i].gain_dbi;
        config.use.duty_e4 = cases[i].duty_e4;
        if (cases[i].no_law)
            config.region = (struct region){ .lo_hz = 0 };
        assert_int_equal(radio_init(&b->radio, &config, b->now_ms), 0);
        run_ms(b, 2000);
        short events;
        if (b->radio.state != RADIO_UNLAWFUL || !strstr(b->radio.text, cases[i].want))
            fail_msg("%s: %d, %s", cases[i].what, b->radio.state, b->radio.text);
        assert_int_equal(radio_fd(&b->radio, &events), -1);
        assert_int_equal(radio_send(&b->radio, b->now_ms, frame, sizeof frame), MODEM_ENOTREADY);
        assert_true(radio_next_deadline(&b->radio) == RADIO_NEVER);
    }
    assert_int_equal(b->sent, 0);
}

/* The modem's own choice may take it out: its preamble makes the longest frame too long. */
static void test_radio_that_turns_out_unlawful_is_closed(void **state)
{
    struct bench *b = *state;
    struct radio_config config = lawful_config(b);
    config.settings.lora.preamble_symbols = 8;
    config.region.dwell_ms = 1000;
    assert_int_equal(radio_init(&b->radio, &config, b->now_ms), 0);
    assert_int_equal(b->radio.state, RADIO_ABSENT);
    uint32_t longest_us = modem_airtime_us(&b->radio.modem, b->radio.driver->caps.mtu_len);
    b->radio.region.dwell_ms = longest_us / 1000 - 1; /* as if the profile had said so */
    run_ms(b, SETTLE_MS);
    assert_int_equal(b->radio.state, RADIO_UNLAWFUL);
    assert_non_null(strstr(b->radio.text, "the longest frame"));
    assert_int_equal(b->ready, 0);
    short events;
    assert_int_equal(radio_fd(&b->radio, &events), -1);
}

int main(void)
{
#define RADIO_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        RADIO_TEST(test_radio_becomes_ready_sends_and_hears),
        RADIO_TEST(test_radio_sleeps_when_nothing_happens),
        RADIO_TEST(test_radio_unplugged_is_absent_and_comes_back),
        RADIO_TEST(test_radio_backs_off_while_there_is_no_port),
        RADIO_TEST(test_radio_unplugged_in_the_middle_of_a_frame_accounts_for_it),
        RADIO_TEST(test_radio_gone_while_sending_accounts_for_it),
        RADIO_TEST(test_radio_flood_of_rubbish_is_survived),
        RADIO_TEST(test_radio_fast_clock_is_for_emulated_modems_only),
        RADIO_TEST(test_radio_that_cannot_be_is_told_at_start),
        RADIO_TEST(test_radio_outside_the_law_never_sends),
        RADIO_TEST(test_radio_that_turns_out_unlawful_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
