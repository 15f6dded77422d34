/* A modem that says anything, at any time: the driver goes on, and every frame handed to it ends
 * exactly once.  Input: an operation byte each, some with a length and bytes behind. */
#include "hw/kiss.h"
#include "hw/modem_kiss.h"
#include "tests/fuzz/fuzz.h"

struct kiss_run {
    struct modem modem;
    uint64_t now_ms;
    unsigned outstanding;
};

static void drain(struct kiss_run *k)
{
    static struct modem_event ev;
    uint8_t out[64];
    while (modem_poll_event(&k->modem, k->now_ms, &ev)) {
        FUZZ_CHECK(memchr(ev.text, '\0', sizeof ev.text) != NULL);
        if (ev.type == MODEM_EV_RX)
            FUZZ_CHECK(ev.len > 0 && ev.len <= MODEM_FRAME_LEN_MAX);
        if (ev.type == MODEM_EV_TX_DONE || ev.type == MODEM_EV_REFUSED) {
            FUZZ_CHECK(k->outstanding == 1);
            k->outstanding = 0;
        }
    }
    for (int i = 0; i < 10000 && modem_poll_output(&k->modem, k->now_ms, out, sizeof out) > 0; i++)
        FUZZ_CHECK(i < 9999);
}

static size_t feed(struct kiss_run *k, const uint8_t *data, size_t len)
{
    size_t want = data[0] % 64u, taken = 0;
    if (want > len - 1)
        want = len - 1;
    for (int i = 0; taken < want; i++) {
        taken += modem_on_bytes(&k->modem, k->now_ms, data + 1 + taken, want - taken);
        drain(k);
        FUZZ_CHECK(i < 1000);
    }
    return want;
}

static void fuzz_kiss(const uint8_t *data, size_t len)
{
    static const uint8_t frame[MODEM_FRAME_LEN_MAX] = { 0x20, KISS_FEND, KISS_FESC };
    static struct kiss_run k;
    struct lora_params lora = { .freq_hz = 922000000, .bw_hz = 125000, .sf = 7, .cr = 5,
                                .preamble_symbols = 16 };
    struct modem_settings settings = modem_settings_default(&lora, 14);
    k = (struct kiss_run){ .now_ms = 1000 };
    FUZZ_CHECK(modem_init(&k.modem, &modem_kiss_driver, &settings, k.now_ms) == MODEM_OK);
    modem_on_open(&k.modem, k.now_ms);
    while (len > 0) {
        size_t used = 1;
        drain(&k);
        if (data[0] < 0x80)
            used += feed(&k, data, len);
        else if (data[0] < 0xc0)
            k.now_ms += (uint64_t)(data[0] & 0x3f) * 50;
        else if (data[0] < 0xe0) {
            if (modem_send(&k.modem, k.now_ms, frame, (size_t)(data[0] & 0x1f) * 8 + 1) == 0)
                FUZZ_CHECK(k.outstanding++ == 0);
        } else if (data[0] < 0xf0)
            modem_on_close(&k.modem, k.now_ms);
        else
            modem_on_open(&k.modem, k.now_ms);
        modem_on_time(&k.modem, k.now_ms);
        data += used;
        len -= used;
    }
    drain(&k);
    modem_on_close(&k.modem, k.now_ms);
    drain(&k);
    FUZZ_CHECK(k.outstanding == 0);
}

FUZZ_TARGET(fuzz_kiss)
