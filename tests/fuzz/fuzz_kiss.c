/* A modem that says anything, at any time: the driver goes on, and every frame handed to it ends
 * exactly once.  Behind the line stands the emulated modem, so that the driver gets as far as
 * sending, and its answers can be flipped.  Input: operation bytes, some with bytes behind. */
#include "hw/emu_kiss.h"
#include "hw/kiss.h"
#include "hw/modem_kiss.h"
#include "tests/fuzz/fuzz.h"

enum { KISS_STEP_MS = 20 };

static struct kiss_run {
    struct modem modem;
    struct emu emu;
    uint64_t now_ms;
    unsigned outstanding;
    uint8_t flip; /* of the next piece of output */
} kiss_run;

static int kiss_start_tx(void *ctx, uint64_t now_us, const uint8_t *frame, size_t len,
                         const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out)
{
    (void)ctx;
    (void)frame;
    (void)power_dbm;
    *end_us_out = now_us + lora_airtime_us(lora, len);
    return 0;
}

static bool kiss_receiving(void *ctx, uint64_t now_us)
{
    (void)ctx;
    return now_us / 1000000 % 7 == 3;
}

static int16_t kiss_rssi(void *ctx, uint64_t now_us)
{
    (void)ctx;
    (void)now_us;
    return -100;
}

static void kiss_tune(void *ctx, uint64_t now_us, const struct lora_params *lora,
                 uint32_t sync)
{
    (void)ctx;
    (void)now_us;
    (void)lora;
    (void)sync;
}

static void drain(struct kiss_run *k)
{
    static struct modem_event ev;
    uint8_t out[64];
    size_t len;
    while (modem_poll_event(&k->modem, k->now_ms, &ev)) {
        FUZZ_CHECK(memchr(ev.text, '\0', sizeof ev.text) != NULL);
        if (ev.type == MODEM_EV_RX)
            FUZZ_CHECK(ev.len > 0 && ev.len <= MODEM_FRAME_LEN_MAX);
        if (ev.type == MODEM_EV_TX_DONE || ev.type == MODEM_EV_REFUSED) {
            FUZZ_CHECK(k->outstanding == 1);
            k->outstanding = 0;
        }
    }
    for (int i = 0; (len = modem_poll_output(&k->modem, k->now_ms, out, sizeof out)) > 0; i++) {
        emu_on_bytes(&k->emu, k->now_ms * 1000, out, len); /* what has no room is lost */
        FUZZ_CHECK(i < 10000);
    }
}

static void give(struct kiss_run *k, const uint8_t *bytes, size_t len)
{
    size_t taken = 0;
    for (int i = 0; taken < len; i++) {
        taken += modem_on_bytes(&k->modem, k->now_ms, bytes + taken, len - taken);
        drain(k);
        FUZZ_CHECK(i < 1000);
    }
}

static void pass_time(struct kiss_run *k, unsigned steps)
{
    uint8_t buf[256];
    size_t len;
    while (steps-- > 0) {
        k->now_ms += KISS_STEP_MS;
        emu_run(&k->emu, k->now_ms * 1000);
        while ((len = emu_poll_output(&k->emu, k->now_ms * 1000, buf, sizeof buf)) > 0) {
            if (k->flip)
                buf[k->flip % len] ^= (uint8_t)(1u << (k->flip & 7));
            k->flip = 0;
            give(k, buf, len);
        }
        modem_on_time(&k->modem, k->now_ms);
        drain(k);
    }
}

/* The bytes behind an operation; at most as many as it says and as there are. */
static size_t piece_len(const uint8_t *data, size_t len)
{
    size_t want = data[0] % 64u;
    return want < len - 1 ? want : len - 1;
}

static size_t one_operation(struct kiss_run *k, const uint8_t *data, size_t len)
{
    static const uint8_t frame[MODEM_FRAME_LEN_MAX] = { 0x20, KISS_FEND, KISS_FESC };
    uint8_t op = data[0];
    size_t used = 1;
    if (op < 0x40) {
        give(k, data + 1, piece_len(data, len));
        used += piece_len(data, len);
    } else if (op < 0x80) {
        emu_on_rx(&k->emu, k->now_ms * 1000, data + 1, piece_len(data, len), -90, 10);
        used += piece_len(data, len);
    } else if (op < 0xc0) {
        pass_time(k, (op & 0x3fu) + 1);
    } else if (op < 0xd0) {
        if (modem_send(&k->modem, k->now_ms, frame, (size_t)(op & 0xf) * 16 + 1) == MODEM_OK)
            FUZZ_CHECK(k->outstanding++ == 0);
    } else if (op < 0xe8) {
        k->flip = (uint8_t)(len > 1 ? data[1] | 1 : 1);
    } else if (op < 0xf0) {
        emu_restart(&k->emu, k->now_ms * 1000, false);
    } else if (op < 0xf8) {
        modem_on_close(&k->modem, k->now_ms);
    } else {
        modem_on_open(&k->modem, k->now_ms);
    }
    return used;
}

static void fuzz_kiss(const uint8_t *data, size_t len)
{
    struct kiss_run *k = &kiss_run;
    struct emu_radio radio = { .start_tx = kiss_start_tx, .receiving = kiss_receiving,
                               .rssi_dbm = kiss_rssi, .tune = kiss_tune };
    struct lora_params lora = { .freq_hz = 922000000, .bw_hz = 125000, .sf = 7, .cr = 5,
                                .preamble_symbols = 16 };
    struct modem_settings settings = modem_settings_default(&lora, 14);
    char text[MODEM_TEXT_LEN];
    *k = (struct kiss_run){ .now_ms = 1000 };
    emu_init(&k->emu, &emu_kiss_model, &radio, 0, 1, 0);
    emu_set_host_baud(&k->emu, modem_kiss_driver.baud);
    FUZZ_CHECK(modem_init(&k->modem, &modem_kiss_driver, &settings, k->now_ms, text) == MODEM_OK);
    modem_on_open(&k->modem, k->now_ms);
    for (int i = 0; len > 0 && i < 256; i++) {
        size_t used = one_operation(k, data, len);
        modem_on_time(&k->modem, k->now_ms);
        drain(k);
        data += used;
        len -= used;
    }
    modem_on_close(&k->modem, k->now_ms);
    drain(k);
    FUZZ_CHECK(k->outstanding == 0);
}

FUZZ_TARGET(fuzz_kiss)
