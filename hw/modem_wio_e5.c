#include "hw/modem_wio_e5.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hw/at.h"
#include "hw/rnode_hw.h"
#include "hw/wio_e5_hw.h"

enum {
    FREQ_HZ_TOLERANCE = 100,
    FREQ_HZ_MIN = 150000000,
    FREQ_HZ_MAX = 960000000,
    HZ_PER_MHZ = 1000000,
    HZ_PER_KHZ = 1000,
};

enum step { STEP_HELLO, STEP_MODE, STEP_RADIO, STEP_SEND, STEP_RECEIVE, STEP_COUNT };

struct driver {
    struct at at;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");

/* In MHz, without zeros at the end. */
static void put_mhz(char *text, size_t cap, uint32_t freq_hz)
{
    int n = snprintf(text, cap, "%u.%06u", freq_hz / HZ_PER_MHZ, freq_hz % HZ_PER_MHZ);
    while (n > 0 && text[n - 1] == '0' && text[n - 2] != '.')
        text[--n] = '\0';
}

static bool question(struct at *a, unsigned step, char line[AT_LINE_LEN])
{
    const struct lora_params *lora = &a->lora;
    char mhz[24];
    switch ((enum step)step) {
    case STEP_HELLO: (void)snprintf(line, AT_LINE_LEN, "AT"); break;
    case STEP_MODE: (void)snprintf(line, AT_LINE_LEN, "AT+MODE=TEST"); break;
    case STEP_RECEIVE: (void)snprintf(line, AT_LINE_LEN, "AT+TEST=RXLRPKT"); break;
    case STEP_RADIO:
        put_mhz(mhz, sizeof mhz, lora->freq_hz);
        (void)snprintf(line, AT_LINE_LEN, "AT+TEST=RFCFG,%s,SF%u,%" PRIu32 ",%u,%u,%d,ON,OFF,OFF",
                       mhz, lora->sf, lora->bw_hz / HZ_PER_KHZ, lora->preamble_symbols,
                       lora->preamble_symbols, a->settings.power_dbm);
        break;
    case STEP_SEND:
        (void)snprintf(line, AT_LINE_LEN, "AT+TEST=TXLRPKT,\"");
        at_raw_put(a, line + strlen(line));
        memcpy(line + strlen(line), "\"", 2);
        break;
    case STEP_COUNT: return false;
    }
    return true;
}

/* ---- answers ------------------------------------------------------------------------------ */

/* The number behind the key; -1 where the key is missing. */
static long value_of(const char *line, const char *key)
{
    long value;
    const char *at = strstr(line, key);
    return at && at_word(&at, key) && at_number(&at, 0, FREQ_HZ_MAX, &value) ? value : -1;
}

/* "F:921500000, SF7, BW125K, TXPR:16, RXPR:16, POW:14dBm, CRC:ON, IQ:OFF, NET:OFF" */
static enum at_verdict on_radio(struct at *a, const char *line)
{
    const struct lora_params *lora = &a->lora;
    const struct { const char *key; long wanted; } values[] = {
        { " SF", lora->sf },
        { " BW", (long)(lora->bw_hz / HZ_PER_KHZ) },
        { " TXPR:", lora->preamble_symbols },
        { " RXPR:", lora->preamble_symbols },
        { " POW:", a->settings.power_dbm },
    };
    static const char *const words[] = { "CRC:ON", "IQ:OFF", "NET:OFF" };
    long freq_hz = value_of(line, "F:");
    if (freq_hz < (long)lora->freq_hz - FREQ_HZ_TOLERANCE ||
        freq_hz > (long)lora->freq_hz + FREQ_HZ_TOLERANCE)
        return at_say(a, AT_WRONG, "the module reads back %ld Hz; written was %" PRIu32, freq_hz,
                      lora->freq_hz);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        long value = value_of(line, values[i].key);
        if (value != values[i].wanted)
            return at_say(a, AT_WRONG, "the module reads back%s %ld; written was %ld",
                          values[i].key, value, values[i].wanted);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!strstr(line, words[i])) /* "PNET:OFF" in some firmware */
            return at_say(a, AT_WRONG, "the module does not read back %s", words[i]);
    }
    return AT_DONE;
}

static enum at_verdict on_error(struct at *a, unsigned step, const char *line)
{
    long code = 0;
    (void)at_number(&line, -999, 0, &code); /* what is no number stays 0 */
    if (code == WIO_ERR_MODE)
        return at_say(a, AT_WRONG, "the module is not in test mode");
    if (step == STEP_SEND)
        return at_say(a, AT_REFUSED, "the module refused the frame: error %ld", code);
    return at_say(a, AT_AGAIN, "the module answers with error %ld", code);
}

static enum at_verdict answer(struct at *a, uint64_t now_ms, unsigned step, const char *line)
{
    const char *at = line;
    (void)now_ms;
    if (at_is(line, "+INFO: Input timeout")) /* half a command has come to it */
        return step == STEP_HELLO ? AT_OTHER
               : at_say(a, step == STEP_SEND ? AT_REFUSED : AT_AGAIN,
                        "the module got half a line");
    if (step == STEP_HELLO)
        return at_is(line, "+AT: OK") ? AT_DONE : AT_OTHER;
    if (at_word(&at, "+MODE: ERROR(") || at_word(&at, "+TEST: ERROR(") ||
        at_word(&at, "+AT: ERROR("))
        return on_error(a, step, at);
    if (step == STEP_MODE)
        return at_is(line, "+MODE: TEST") ? AT_DONE : AT_OTHER;
    if (step == STEP_RADIO)
        return at_word(&at, "+TEST: RFCFG ") ? on_radio(a, at) : AT_OTHER;
    if (step == STEP_RECEIVE)
        return at_is(line, "+TEST: RXLRPKT") ? AT_DONE : AT_OTHER;
    if (at_is(line, "+TEST: TX DONE"))
        return AT_DONE;
    return at_word(&at, "+TEST: TXLRPKT") ? AT_MORE : AT_OTHER;
}

/* "+TEST: LEN:4, RSSI:-49, SNR:12", then "+TEST: RX "54455854"". */
static bool report(struct at *a, uint64_t now_ms, const char *line, size_t len)
{
    long length, rssi_dbm, snr_db;
    (void)now_ms;
    (void)len;
    if (at_word(&line, "+TEST: LEN:")) {
        a->has_signal = at_number(&line, 0, MODEM_FRAME_LEN_MAX, &length) &&
                        at_word(&line, ", RSSI:") && at_number(&line, -200, 50, &rssi_dbm) &&
                        at_word(&line, ", SNR:") && at_number(&line, -100, 100, &snr_db);
        if (a->has_signal) {
            a->rssi_dbm = (int16_t)rssi_dbm;
            a->snr_db_x4 = (int16_t)(4 * snr_db);
        } else {
            a->kit.stats.garbled++;
        }
    } else if (at_word(&line, "+TEST: RX \"")) {
        size_t count = strcspn(line, "\"");
        if (line[count] == '"')
            at_raw_heard(a, line, count, a->has_signal, a->rssi_dbm, a->snr_db_x4);
        else
            a->kit.stats.garbled++;
        a->has_signal = false;
    } else {
        return false;
    }
    return true;
}

static const struct at_dialect dialect = {
    .name = "a Wio-E5 with its AT firmware",
    .baud = WIO_BAUD,
    .check_step = STEP_RADIO,
    .send_step = STEP_SEND,
    .step_count = STEP_COUNT,
    .idle_step = STEP_RECEIVE, /* the check would make it deaf for a moment */
    .mtu_len = WIO_AIR_LEN_MAX - RNODE_HEADER_LEN,
    .air_len = at_raw_air_len,
    .question = question,
    .answer = answer,
    .report = report,
};

/* ---- the driver's table ----------------------------------------------------------------- */

static int driver_init(void *state, const struct modem_settings *settings, uint64_t now_ms,
                       char text[MODEM_TEXT_LEN])
{
    struct driver *d = state;
    const struct lora_params *lora = &settings->lora;
    (void)now_ms; /* nothing is due before the port is open */
    if (!lora_params_valid(lora) || lora->sf < WIO_SF_MIN || lora->sf > WIO_SF_MAX ||
        lora->cr != WIO_CR ||
        (lora->bw_hz != 125000 && lora->bw_hz != 250000 && lora->bw_hz != 500000))
        return modem_bad_setting(text, "SF%u, %" PRIu32 " Hz, 4/%u is nothing that Wio-E5 does",
                                 lora->sf, lora->bw_hz, lora->cr);
    if (lora->freq_hz < FREQ_HZ_MIN || lora->freq_hz > FREQ_HZ_MAX)
        return modem_bad_setting(text, "%" PRIu32 " Hz is outside what Wio-E5 can do",
                                 lora->freq_hz);
    if (settings->power_dbm < 0 || settings->power_dbm > WIO_POWER_DBM_MAX)
        return modem_bad_setting(text, "%d dBm: Wio-E5 can do 0 to %d", settings->power_dbm,
                                 WIO_POWER_DBM_MAX);
    memset(d, 0, sizeof *d);
    at_init(&d->at, &dialect, settings, lora);
    return at_raw_options(&d->at, settings, text);
}

const struct modem_driver modem_wio_e5_driver = {
    .name = "wio-e5",
    .description = "Seeed Wio-E5 (LoRa-E5) with its AT firmware",
    .baud = WIO_BAUD,
    .caps = {
        .mtu_len = WIO_AIR_LEN_MAX - RNODE_HEADER_LEN,
        .overhead_len = RNODE_HEADER_LEN,
        .tx_pending_count = 1,
        .cca = MODEM_CCA_NONE,
        .has_rssi = true,
        .has_snr = true,
        .reports_tx_done = true,
        .reads_back_settings = true,
        .sets_preamble = true,
    },
    .state_len = sizeof(struct driver),
    .init = driver_init,
    .air = at_raw_air,
    AT_DRIVER_FUNCTIONS,
};
