#include "hw/emu_wio_e5.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/at.h"

enum {
    BOOT_US = 300000,
    INPUT_TIMEOUT_US = 2000000,
    SYNC_PUBLIC = 0x34,
    QUIRK_PNET = 0,
    QUIRK_CHATTY = 1,
    HZ_PER_KHZ = 1000,
};

static_assert(sizeof(struct emu_wio_e5) <= EMU_STATE_LEN, "state fits");

static struct emu_wio_e5 *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

static void apply(struct emu *emu, uint64_t now_us)
{
    struct emu_wio_e5 *w = state_of(emu);
    w->at.sync = w->public_net ? SYNC_PUBLIC : EMU_SYNC_LORA;
    if (w->inverted || w->crc_off)
        w->at.sync |= (uint32_t)(1 + w->inverted + 2 * w->crc_off) << 8; /* nobody of ours */
    emu_at_tune(emu, now_us);
}

static void say_error(struct emu *emu, uint64_t now_us, int code)
{
    emu_at_say(emu, now_us, "+TEST: ERROR(%d)", code);
}

static void say_radio(struct emu *emu, uint64_t now_us)
{
    const struct emu_wio_e5 *w = state_of(emu);
    const struct lora_params *lora = &w->at.lora;
    emu_at_say(emu, now_us, "+TEST: RFCFG F:%" PRIu32 ", SF%u, BW%" PRIu32
               "K, TXPR:%u, RXPR:%u, POW:%ddBm, CRC:%s, IQ:%s, %sNET:%s", lora->freq_hz, lora->sf,
               lora->bw_hz / HZ_PER_KHZ, lora->preamble_symbols, w->rx_preamble_symbols,
               w->at.power_dbm, w->crc_off ? "OFF" : "ON", w->inverted ? "ON" : "OFF",
               emu_has_quirk(emu, QUIRK_PNET) ? "P" : "", w->public_net ? "ON" : "OFF");
}

/* ---- commands ----------------------------------------------------------------------------- */

static void set_radio(struct emu *emu, uint64_t now_us, const char *value)
{
    struct emu_wio_e5 *w = state_of(emu);
    unsigned sf, width, tx_preamble, rx_preamble, power;
    char crc[4], iq[4], net[4], rest;
    char *end;
    double mhz = strtod(value, &end);
    if (sscanf(end, ",SF%2u,%3u,%5u,%5u,%2u,%3[A-Z],%3[A-Z],%3[A-Z]%c", &sf, &width, &tx_preamble,
               &rx_preamble, &power, crc, iq, net, &rest) != 8 ||
        mhz < 150 || mhz > 960 || sf < WIO_SF_MIN || sf > WIO_SF_MAX ||
        (width != 125 && width != 250 && width != 500) || tx_preamble > UINT16_MAX ||
        rx_preamble > UINT16_MAX || tx_preamble == 0 || power > WIO_POWER_DBM_MAX) {
        say_error(emu, now_us, WIO_ERR_PARAMETER);
        return;
    }
    if (emu->stubborn) {
        say_radio(emu, now_us);
        return;
    }
    w->at.lora = (struct lora_params){ .freq_hz = (uint32_t)(mhz * 1e6 + 0.5),
                                       .bw_hz = width * HZ_PER_KHZ, .sf = (uint8_t)sf,
                                       .cr = WIO_CR, .preamble_symbols = (uint16_t)tx_preamble };
    w->rx_preamble_symbols = (uint16_t)rx_preamble;
    w->at.power_dbm = (int8_t)power;
    w->crc_off = strcmp(crc, "ON") != 0;
    w->inverted = strcmp(iq, "ON") == 0;
    w->public_net = strcmp(net, "ON") == 0;
    apply(emu, now_us);
    emu_at_receive(emu, now_us, false);
    say_radio(emu, now_us);
}

static void send(struct emu *emu, uint64_t now_us, const char *value)
{
    struct emu_wio_e5 *w = state_of(emu);
    uint8_t frame[LORA_PAYLOAD_LEN_MAX];
    size_t digit_count = strcspn(value, "\""), len;
    if (strcmp(value + digit_count, "\"") != 0 ||
        !at_hex_take(value, digit_count, frame, sizeof frame, &len)) {
        say_error(emu, now_us, WIO_ERR_PARAMETER);
        return;
    }
    emu_at_say(emu, now_us, "+TEST: TXLRPKT \"%s", value);
    emu_at_receive(emu, now_us, false);
    if (emu_at_transmit(emu, now_us, frame, len))
        emu->busy_until_us = w->at.tx_end_us; /* it looks at nothing meanwhile */
    else
        say_error(emu, now_us, WIO_ERR_PARAMETER);
}

static void on_test(struct emu *emu, uint64_t now_us, const char *what)
{
    struct emu_wio_e5 *w = state_of(emu);
    if (!w->test_mode) {
        say_error(emu, now_us, WIO_ERR_MODE);
    } else if (at_word(&what, "RFCFG,")) {
        set_radio(emu, now_us, what);
    } else if (at_word(&what, "TXLRPKT,\"") || at_word(&what, "TXLRPKT, \"")) {
        send(emu, now_us, what);
    } else if (strcmp(what, "RXLRPKT") == 0) {
        emu_at_receive(emu, now_us, true);
        emu_at_say(emu, now_us, "+TEST: RXLRPKT");
    } else if (strcmp(what, "STOP") == 0) {
        emu_at_receive(emu, now_us, false);
        emu_at_say(emu, now_us, "+TEST: STOP");
    } else {
        say_error(emu, now_us, WIO_ERR_PARAMETER);
    }
}

static void on_line(struct emu *emu, uint64_t now_us, char *line, size_t len)
{
    struct emu_wio_e5 *w = state_of(emu);
    const char *at = line;
    for (size_t i = 0; i < len; i++)
        line[i] = (char)toupper((unsigned char)line[i]); /* as it reads them */
    if (emu_has_quirk(emu, QUIRK_CHATTY))
        emu_at_say(emu, now_us, "+INFO: LOWPOWER:OFF");
    if (strcmp(line, "AT") == 0) {
        emu_at_say(emu, now_us, "+AT: OK");
    } else if (strcmp(line, "AT+MODE=TEST") == 0) {
        w->test_mode = true;
        emu_at_say(emu, now_us, "+MODE: TEST");
    } else if (strcmp(line, "AT+MODE=LWABP") == 0) {
        w->test_mode = false;
        emu_at_receive(emu, now_us, false);
        emu_at_say(emu, now_us, "+MODE: LWABP");
    } else if (strcmp(line, "AT+RESET") == 0) {
        emu_at_say(emu, now_us, "+RESET: OK");
        emu->model->boot(emu, now_us, false);
    } else if (at_word(&at, "AT+TEST=")) {
        on_test(emu, now_us, at);
    } else {
        emu_at_say(emu, now_us, "+AT: ERROR(%d)", WIO_ERR_UNKNOWN);
    }
}

static void on_input_timeout(struct emu *emu, uint64_t now_us)
{
    emu_at_say(emu, now_us, "+INFO: Input timeout");
}

static void on_sent(struct emu *emu, uint64_t now_us)
{
    emu_at_say(emu, now_us, "+TEST: TX DONE");
}

static void on_start(struct emu *emu, uint64_t now_us)
{
    (void)emu; /* it says nothing */
    (void)now_us;
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    char hex[2 * LORA_PAYLOAD_LEN_MAX + 1];
    if (!emu_at_hears(emu, now_us, len))
        return;
    at_hex_put(hex, frame, len);
    emu_at_say(emu, now_us, "+TEST: LEN:%zu, RSSI:%d, SNR:%d", len, rssi_dbm, snr_db_x4 / 4);
    emu_at_say(emu, now_us, "+TEST: RX \"%s\"", hex);
}

static const struct emu_at_firmware firmware = {
    .line_len_max = WIO_LINE_LEN_MAX,
    .input_timeout_us = INPUT_TIMEOUT_US,
    .on_line = on_line,
    .on_input_timeout = on_input_timeout,
    .on_sent = on_sent,
    .on_start = on_start,
};

/* Nothing of this mode is kept without power, whichever way it went. */
static void model_boot(struct emu *emu, uint64_t now_us, bool factory)
{
    struct emu_wio_e5 *w = state_of(emu);
    (void)factory;
    *w = (struct emu_wio_e5){
        .at.lora = { .freq_hz = 868000000, .bw_hz = 125000, .sf = 12, .cr = WIO_CR,
                     .preamble_symbols = 8 },
        .at.power_dbm = 14,
        .rx_preamble_symbols = 8,
        .crc_off = true,
        .public_net = true,
    };
    apply(emu, now_us);
    emu_at_boot(emu, now_us, &firmware, BOOT_US);
}

static const char *const quirks[] = { [QUIRK_PNET] = "pnet", [QUIRK_CHATTY] = "chatty", NULL };

const struct emu_model emu_wio_e5_model = {
    .name = "wio-e5",
    .baud = WIO_BAUD,
    .state_len = sizeof(struct emu_wio_e5),
    .quirks = quirks,
    .boot = model_boot,
    .on_byte = emu_at_on_byte,
    .on_rx = model_on_rx,
    .run = emu_at_run,
    .next_us = emu_at_next_us,
};
