/* keng-air's modems on real pseudo-terminals, opened by the real serial layer and driven by the
 * real driver; only the clock is virtual.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "hw/keng_air.h"
#include "hw/kiss.h"
#include "hw/modem.h"
#include "hw/serial.h"

enum { NODE_COUNT = 3, PATH_LEN = 128, MS = 1000 };

struct node {
    struct serial serial;
    struct modem modem;
    char path[PATH_LEN];
    uint8_t out[64];
    size_t out_len;
    unsigned ready, rx, gone, refused;
    unsigned done[MODEM_TX_UNKNOWN + 1];
    struct modem_event last_rx;
};

struct bench {
    char dir[32], config_path[PATH_LEN], log_path[PATH_LEN];
    struct keng_air ka;
    struct node nodes[NODE_COUNT];
};

static struct bench bench;

static const char line3[] =
    "{\"modems\":[{\"name\":\"cao\"},{\"name\":\"thap\"},{\"name\":\"xa\"}],"
    "\"links\":[[\"cao\",\"thap\",110],[\"thap\",\"xa\",112.5]],\"sensitivity_dbm\":-126,"
    "\"law\":{\"freq_lo_hz\":920000000,\"freq_hi_hz\":923000000,\"eirp_max_dbm\":16.2,"
    "\"duty_fraction\":0.5,\"duty_window_s\":60}}";

static void join(char out[PATH_LEN], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_LEN, "%s/%s", dir, name);
    assert_true(n > 0 && n < PATH_LEN);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void open_node(struct bench *b, struct node *n)
{
    char text[SERIAL_TEXT_LEN];
    if (serial_open(n->path, n->modem.driver->baud, &n->serial, text) != SERIAL_OK)
        fail_msg("%s", text);
    modem_on_open(&n->modem, b->ka.now_us / MS);
}

static int set_up(void **state)
{
    const struct lora_params lora = { .freq_hz = 920250000, .bw_hz = 125000, .sf = 7, .cr = 5,
                                      .preamble_symbols = 32 };
    const struct modem_settings settings = modem_settings_default(&lora, 14);
    struct bench *b = &bench;
    char text[KENG_AIR_TEXT_LEN];
    memset(b, 0, sizeof *b);
    (void)snprintf(b->dir, sizeof b->dir, "/tmp/keng-air-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    join(b->config_path, b->dir, "air.json");
    join(b->log_path, b->dir, "log");
    write_file(b->config_path, line3);
    assert_int_equal(keng_air_config_load(b->config_path, &b->ka.config, text), 0);
    b->ka.dir = b->dir;
    b->ka.seed = 3;
    b->ka.log = fopen(b->log_path, "w+");
    assert_non_null(b->ka.log);
    if (keng_air_start(&b->ka, text) != 0)
        fail_msg("%s", text);
    for (unsigned i = 0; i < NODE_COUNT; i++) {
        struct node *n = &b->nodes[i];
        n->serial = (struct serial)SERIAL_CLOSED;
        join(n->path, b->dir, b->ka.config.modems[i].name);
        assert_int_equal(modem_init(&n->modem, modem_driver_find("meshcore-kiss"), &settings, 0,
                                    text), MODEM_OK);
        open_node(b, n);
    }
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    for (unsigned i = 0; i < NODE_COUNT; i++)
        serial_close(&b->nodes[i].serial);
    keng_air_stop(&b->ka);
    assert_int_equal(fclose(b->ka.log), 0);
    assert_int_equal(unlink(b->log_path), 0);
    assert_int_equal(unlink(b->config_path), 0);
    assert_int_equal(rmdir(b->dir), 0); /* no link was left behind */
    return 0;
}

static void on_event(struct node *n, const struct modem_event *ev)
{
    n->ready += ev->type == MODEM_EV_READY;
    n->refused += ev->type == MODEM_EV_REFUSED;
    if (ev->type == MODEM_EV_TX_DONE)
        n->done[ev->tx_result]++;
    if (ev->type == MODEM_EV_RX) {
        n->rx++;
        n->last_rx = *ev;
    }
}

/* The loop of a node, as a daemon has it. */
static void run_node(struct bench *b, struct node *n)
{
    uint64_t now_ms = b->ka.now_us / MS;
    struct modem_event ev;
    uint8_t buf[64];
    int got;
    while (serial_fd(&n->serial) >= 0 && (got = serial_read(&n->serial, buf, sizeof buf)) != 0) {
        if (got < 0) {
            n->gone++;
            serial_close(&n->serial);
            modem_on_close(&n->modem, now_ms);
            break;
        }
        for (size_t at = 0; at < (size_t)got;) {
            at += modem_on_bytes(&n->modem, now_ms, buf + at, (size_t)got - at);
            while (modem_poll_event(&n->modem, now_ms, &ev))
                on_event(n, &ev);
        }
    }
    modem_on_time(&n->modem, now_ms);
    while (modem_poll_event(&n->modem, now_ms, &ev))
        on_event(n, &ev);
    if (n->out_len == 0)
        n->out_len = modem_poll_output(&n->modem, now_ms, n->out, sizeof n->out);
    while (n->out_len > 0) {
        int taken = serial_write(&n->serial, n->out, n->out_len);
        if (taken <= 0)
            break;
        assert_int_equal(taken, n->out_len); /* these few bytes always fit */
        n->out_len = modem_poll_output(&n->modem, now_ms, n->out, sizeof n->out);
    }
}

static void run_ms(struct bench *b, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        b->ka.now_us += MS;
        keng_air_pump(&b->ka);
        for (unsigned j = 0; j < NODE_COUNT; j++)
            run_node(b, &b->nodes[j]);
    }
}

static void control(struct bench *b, const char *line, const char *want)
{
    char *got = keng_air_control(&b->ka, line);
    assert_non_null(got);
    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("%s: '%s'", line, got);
    free(got);
}

static void send_and_settle(struct bench *b, unsigned from, const uint8_t *frame, size_t len)
{
    struct node *n = &b->nodes[from];
    assert_int_equal(modem_send(&n->modem, b->ka.now_us / MS, frame, len), MODEM_OK);
    for (unsigned i = 0; i < 20000 && !modem_can_send(&n->modem); i++)
        run_ms(b, 1);
    assert_true(modem_can_send(&n->modem));
    run_ms(b, 60); /* the receiver's serial line */
}

static void test_air_ptys_carry_frames_between_neighbours_only(void **state)
{
    struct bench *b = *state;
    uint8_t frame[255];
    run_ms(b, 2500);
    for (unsigned i = 0; i < NODE_COUNT; i++)
        assert_int_equal(b->nodes[i].ready, 1);
    for (unsigned k = 0; k < 60; k++) {
        size_t len = 1 + k * 37 % 255;
        for (size_t i = 0; i < len; i++)
            frame[i] = (uint8_t)(k * 5 + i);
        send_and_settle(b, 0, frame, len);
        const struct modem_event *got = &b->nodes[1].last_rx;
        assert_int_equal(b->nodes[1].rx, k + 1);
        assert_int_equal(got->len, len);
        assert_memory_equal(got->frame, frame, len);
        assert_int_equal(got->rssi_dbm, -94); /* 14 + 2.15 - 110 */
    }
    assert_int_equal(b->nodes[2].rx, 0);
    assert_int_equal(b->nodes[0].done[MODEM_TX_SENT], 60);
    assert_int_equal(keng_air_violation_count(&b->ka), 0);
    control(b, "stats", "{\"cao\":{\"plugged\":true,\"tx_frames\":60,");
}

static void test_air_ptys_unplugged_in_mid_frame_come_back(void **state)
{
    struct bench *b = *state;
    struct node *cao = &b->nodes[0];
    uint8_t frame[200] = { 1 };
    run_ms(b, 2500);
    assert_int_equal(modem_send(&cao->modem, b->ka.now_us / MS, frame, sizeof frame), MODEM_OK);
    for (unsigned i = 0; i < 2000 && !air_sending(b->ka.air, b->ka.now_us, 0); i++)
        run_ms(b, 1);
    run_ms(b, 20);
    control(b, "unplug cao", "ok");
    assert_int_equal(access(cao->path, F_OK), -1);
    run_ms(b, 500);
    assert_int_equal(cao->gone, 1);
    assert_int_equal(cao->done[MODEM_TX_UNKNOWN], 1);
    assert_int_equal(b->nodes[1].rx, 0); /* what was cut is heard by nobody */
    control(b, "unplug cao", "error 'cao' is not plugged in");
    control(b, "replug cao tty2", "ok");
    assert_int_equal(access(cao->path, F_OK), -1); /* under another name now */
    join(cao->path, b->dir, "tty2");
    open_node(b, cao);
    run_ms(b, 3000);
    assert_int_equal(cao->ready, 2);
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(b->nodes[1].rx, 1);
}

static void test_air_ptys_obey_orders(void **state)
{
    struct bench *b = *state;
    uint8_t frame[20] = { 1 };
    run_ms(b, 2500);
    control(b, "link cao thap off", "ok");
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(b->nodes[1].rx, 0);
    control(b, "link cao thap on", "ok");
    control(b, "node thap off", "ok");
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(b->nodes[1].rx, 0);
    control(b, "node thap on", "ok");
    control(b, "loss 1", "ok");
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(b->nodes[1].rx, 0);
    control(b, "loss 0", "ok");
    control(b, "garbage cao 300", "ok");
    control(b, "hang cao 2.5", "ok");
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(b->nodes[1].rx, 1);
    control(b, "reboot cao", "ok");
    assert_int_equal(modem_send(&b->nodes[0].modem, b->ka.now_us / MS, frame, 20), MODEM_OK);
    run_ms(b, 4000);
    assert_int_equal(b->nodes[0].refused, 1);
    assert_int_equal(b->nodes[0].ready, 2);
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(b->nodes[1].rx, 2);
    control(b, "brownout cao", "ok");
    control(b, "cutline cao", "ok");
    control(b, "slow cao 20", "ok");
    control(b, "stubborn cao on", "ok");
    control(b, "stubborn cao off", "ok");
    run_ms(b, 90000); /* found at the latest by its next look */
    assert_int_equal(b->nodes[0].ready, 3);
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(b->nodes[1].rx, 3);
    assert_int_equal(keng_air_violation_count(&b->ka), 0);
    control(b, "quit", "ok");
    assert_true(b->ka.quit);
}

static void test_air_ptys_refuse_orders_that_make_no_sense(void **state)
{
    static const struct { const char *line, *want; } cases[] = {
        { "", "error expected: unplug" },
        { "   ", "error expected" },
        { "jump", "error unknown command 'jump'" },
        { "stats now", "error unknown command 'stats'" },
        { "unplug", "error usage: unplug NAME" },
        { "unplug a b", "error usage" },
        { "unplug nobody", "error no modem is called 'nobody'" },
        { "link cao cao off", "error a link needs two" },
        { "link cao xa perhaps", "error 'perhaps' must be on or off" },
        { "loss 1.5", "error '1.5' must be a number" },
        { "loss nan", "error 'nan' must be a number" },
        { "garbage cao 0", "error '0' must be" },
        { "garbage cao 5x", "error '5x' must be" },
        { "hang cao -1", "error '-1' must be" },
        { "slow cao -1", "error '-1' must be" },
        { "stubborn cao", "error usage: stubborn NAME on|off" },
        { "brownout", "error usage: brownout NAME" },
        { "cutline nobody", "error no modem" },
        { "replug cao .x", "error '.x' cannot be the name" },
        { "replug cao thap", "error 'thap' is the port of another" },
        { "a b c d e f g", "error expected" },
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        control(b, cases[i].line, cases[i].want);
    char longer[1000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    control(b, longer, "error expected");
}

static void test_air_ptys_log_and_count_what_breaks_the_law(void **state)
{
    struct bench *b = *state;
    /* A host that forgets to set the frequency: factory settings lie outside the band. */
    static const uint8_t frame[] = { KISS_FEND, KISS_DATA, 'x', KISS_FEND };
    char text[1024] = "";
    run_ms(b, 1200);
    modem_on_close(&b->nodes[0].modem, b->ka.now_us / MS);
    control(b, "reboot cao", "ok");
    run_ms(b, 1200);
    assert_int_equal(serial_write(&b->nodes[0].serial, frame, sizeof frame), sizeof frame);
    run_ms(b, 5000);
    assert_int_equal(keng_air_violation_count(&b->ka), 1);
    rewind(b->ka.log);
    assert_non_null(fgets(text, sizeof text, b->ka.log));
    assert_non_null(strstr(text, "\"name\":\"cao\",\"len\":1,"));
    assert_non_null(strstr(text, "\"freq_hz\":869618000"));
    assert_non_null(strstr(text, "\"violation\":\"band\",\"heard_by\":[]}"));
    assert_null(fgets(text, sizeof text, b->ka.log));
}

static void test_air_ptys_measure_duty_over_a_sliding_window(void **state)
{
    struct bench *b = *state;
    uint8_t frame[255] = { 1 };
    run_ms(b, 2500);
    b->ka.config.laws[0].duty_fraction = 0.02; /* 1.2 s of 60 */
    for (unsigned i = 0; i < 2; i++)
        send_and_settle(b, 0, frame, sizeof frame); /* 0.42 s each */
    assert_int_equal(keng_air_violation_count(&b->ka), 0);
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(keng_air_violation_count(&b->ka), 1);
    run_ms(b, 60000);
    send_and_settle(b, 0, frame, sizeof frame);
    assert_int_equal(keng_air_violation_count(&b->ka), 1);
}

static const struct { const char *json, *want; } bad_configs[] = {
    { "{x", "line 1" },
    { "[]", "expected an object" },
    { "{\"modems\":[]}", "'modems' must be a list" },
    { "{\"modems\":[{\"name\":\"a\",\"z\":1}],\"links\":[],\"sensitivity_dbm\":-1}",
      "modems[0]: unknown key 'z'" },
    { "{\"modems\":[{\"name\":\"a/b\"}]}", "modems[0]: 'name' must be" },
    { "{\"modems\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "name 'a' is used twice" },
    { "{\"modems\":[{\"name\":\"a\",\"x_m\":\"far\"}]}", "'x_m' must be a number" },
    { "{\"modems\":[{\"name\":\"a\"}],\"sensitivity_dbm\":-1}", "exactly one of" },
    { "{\"modems\":[{\"name\":\"a\"}],\"links\":[]}", "'sensitivity_dbm' is missing" },
    { "{\"modems\":[{\"name\":\"a\"}],\"links\":[[\"a\",\"b\",3]],\"sensitivity_dbm\":-1}",
      "links[0]" },
    { "{\"modems\":[{\"name\":\"a\"}],\"links\":[],\"sensitivity_dbm\":-1,\"frame_loss\":2}",
      "'frame_loss' is 2" },
    { "{\"modems\":[{\"name\":\"a\"}],\"sensitivity_dbm\":-1,"
      "\"propagation\":{\"model\":\"magic\"}}", "propagation: 'model'" },
    { "{\"modems\":[{\"name\":\"a\"}],\"sensitivity_dbm\":-1,"
      "\"propagation\":{\"model\":\"matrix\",\"loss_db\":[[1,2]]}}", "loss_db[0]" },
    { "{\"modems\":[{\"name\":\"a\"}],\"links\":[],\"links\":[],\"sensitivity_dbm\":-1}",
      "duplicate" },
};

static void test_air_ptys_name_the_key_that_is_wrong(void **state)
{
    struct bench *b = *state;
    struct keng_air_config config;
    char text[KENG_AIR_TEXT_LEN];
    for (size_t i = 0; i < sizeof bad_configs / sizeof bad_configs[0]; i++) {
        write_file(b->config_path, bad_configs[i].json);
        assert_int_equal(keng_air_config_load(b->config_path, &config, text), -1);
        if (!strstr(text, bad_configs[i].want) || !strstr(text, b->config_path))
            fail_msg("%s: '%s'", bad_configs[i].json, text);
    }
}

#define WITH_BENCH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(test_air_ptys_carry_frames_between_neighbours_only),
        WITH_BENCH(test_air_ptys_unplugged_in_mid_frame_come_back),
        WITH_BENCH(test_air_ptys_obey_orders),
        WITH_BENCH(test_air_ptys_refuse_orders_that_make_no_sense),
        WITH_BENCH(test_air_ptys_log_and_count_what_breaks_the_law),
        WITH_BENCH(test_air_ptys_measure_duty_over_a_sliding_window),
        WITH_BENCH(test_air_ptys_name_the_key_that_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
