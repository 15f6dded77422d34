#include "hw/modem_rak3172.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hw/at.h"
#include "hw/rak3172_hw.h"
#include "hw/rnode_hw.h"

enum {
    VERSION_MIN = 40004, /* 4.0.4 */
    FREQ_HZ_TOLERANCE = 100,
    PREAMBLE_MIN = 5,
    HZ_PER_KHZ = 1000,
};

enum step {
    STEP_HELLO,
    STEP_VERSION,
    STEP_ASK_NETWORK,
    STEP_NETWORK,    /* left out when it is in P2P mode already */
    STEP_STOP,
    STEP_P2P,
    STEP_SYNC,
    STEP_IQ,         /* not in every firmware; its default is right */
    STEP_ENCRYPTION, /* the same */
    STEP_CAD,        /* the same; one firmware hangs in it */
    STEP_CHECK_NETWORK,
    STEP_CHECK_P2P,
    STEP_CHECK_SYNC,
    STEP_SEND,
    STEP_RECEIVE,
    STEP_COUNT,
};

struct driver {
    struct at at;
    bool is_p2p;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");

static bool question(struct at *a, unsigned step, char line[AT_LINE_LEN])
{
    static const char *const fixed[] = {
        [STEP_HELLO] = "AT",
        [STEP_VERSION] = "AT+VER=?",
        [STEP_ASK_NETWORK] = "AT+NWM=?",
        [STEP_NETWORK] = "AT+NWM=0",
        [STEP_STOP] = "AT+PRECV=0",
        [STEP_IQ] = "AT+IQINVER=0",
        [STEP_ENCRYPTION] = "AT+ENCRY=0",
        [STEP_CAD] = "AT+CAD=0",
        [STEP_CHECK_NETWORK] = "AT+NWM=?",
        [STEP_CHECK_P2P] = "AT+P2P=?",
        [STEP_CHECK_SYNC] = "AT+SYNCWORD=?",
        [STEP_COUNT] = NULL,
    };
    const struct driver *d = (const void *)a;
    const struct lora_params *lora = &a->lora;
    if (step == STEP_NETWORK && d->is_p2p)
        return false;
    if (step == STEP_P2P) {
        (void)snprintf(line, AT_LINE_LEN, "AT+P2P=%" PRIu32 ":%u:%" PRIu32 ":%d:%u:%d",
                       lora->freq_hz, lora->sf, lora->bw_hz / HZ_PER_KHZ, lora->cr - LORA_CR_MIN,
                       lora->preamble_symbols, a->settings.power_dbm);
    } else if (step == STEP_SYNC) {
        (void)snprintf(line, AT_LINE_LEN, "AT+SYNCWORD=%04X", (unsigned)RAK_SYNC_PRIVATE);
    } else if (step == STEP_RECEIVE) {
        (void)snprintf(line, AT_LINE_LEN, "AT+PRECV=%d", RAK_RECEIVE_ALWAYS);
    } else if (step == STEP_SEND) {
        (void)snprintf(line, AT_LINE_LEN, "AT+PSEND=");
        at_raw_put(a, line + strlen(line));
    } else {
        (void)snprintf(line, AT_LINE_LEN, "%s", fixed[step]);
    }
    return true;
}

/* ---- values ----------------------------------------------------------------------------- */

/* "RUI_4.0.6_RAK3172-E" */
static enum at_verdict on_version(struct at *a, const char *value)
{
    long part[3];
    const char *at = value;
    if (!at_word(&at, "RUI_") || !at_number(&at, 0, 99, &part[0]) || !at_word(&at, ".") ||
        !at_number(&at, 0, 99, &part[1]) || !at_word(&at, ".") ||
        !at_number(&at, 0, 99, &part[2]) || (part[0] * 100 + part[1]) * 100 + part[2] < VERSION_MIN)
        return at_say(a, AT_WRONG, "the module's firmware is %.40s; it must be RUI_4.0.4 or later",
                      value);
    return AT_MORE;
}

static enum at_verdict on_network(struct at *a, unsigned step, const char *value)
{
    struct driver *d = (void *)a;
    d->is_p2p = at_is(value, "0");
    if (step == STEP_CHECK_NETWORK && !d->is_p2p)
        return at_say(a, AT_WRONG, "the module is not in P2P mode");
    return AT_MORE;
}

/* The width comes back in kHz or as an index. */
static bool bandwidth_is(uint32_t bw_hz, long value)
{
    static const uint32_t by_index[] = { 125000, 250000, 500000 };
    return (uint32_t)value == bw_hz / HZ_PER_KHZ || (value < 3 && by_index[value] == bw_hz);
}

static enum at_verdict on_p2p(struct at *a, const char *value)
{
    const struct lora_params *lora = &a->lora;
    const char *at = value;
    long v[6];
    for (unsigned i = 0; i < 6; i++) {
        if ((i > 0 && !at_word(&at, ":")) || !at_number(&at, 0, RAK_FREQ_HZ_MAX, &v[i]))
            return at_say(a, AT_AGAIN, "the module's settings cannot be read: %.60s", value);
    }
    long off_hz = v[0] - (long)lora->freq_hz;
    if (off_hz < -FREQ_HZ_TOLERANCE || off_hz > FREQ_HZ_TOLERANCE || v[1] != lora->sf ||
        !bandwidth_is(lora->bw_hz, v[2]) || v[3] != lora->cr - LORA_CR_MIN ||
        v[4] != lora->preamble_symbols || v[5] != a->settings.power_dbm || *at != '\0')
        return at_say(a, AT_WRONG, "the module reads back %.40s; written was %" PRIu32 ":%u:%"
                      PRIu32 ":%d:%u:%d", value, lora->freq_hz, lora->sf,
                      lora->bw_hz / HZ_PER_KHZ, lora->cr - LORA_CR_MIN, lora->preamble_symbols,
                      a->settings.power_dbm);
    return AT_MORE;
}

static enum at_verdict on_sync(struct at *a, const char *value)
{
    char want[8];
    (void)snprintf(want, sizeof want, "%04X", (unsigned)RAK_SYNC_PRIVATE);
    if (at_is(value, want))
        return AT_MORE;
    return at_say(a, AT_WRONG, "the module reads back sync word %.10s; written was %s", value,
                  want);
}

/* ---- answers ------------------------------------------------------------------------------ */

static bool is_question(unsigned step)
{
    return step == STEP_VERSION || step == STEP_ASK_NETWORK ||
           (step >= STEP_CHECK_NETWORK && step <= STEP_CHECK_SYNC);
}

static enum at_verdict on_value(struct at *a, unsigned step, const char *line)
{
    char asked[AT_LINE_LEN];
    (void)question(a, step, asked);
    asked[strcspn(asked, "?")] = '\0';
    if (a->answered || !at_word(&line, asked))
        return AT_OTHER;
    enum at_verdict verdict;
    if (step == STEP_VERSION)
        verdict = on_version(a, line);
    else if (step == STEP_CHECK_P2P)
        verdict = on_p2p(a, line);
    else if (step == STEP_CHECK_SYNC)
        verdict = on_sync(a, line);
    else
        verdict = on_network(a, step, line);
    a->answered = verdict == AT_MORE;
    return verdict;
}

static enum at_verdict on_ok(struct at *a, unsigned step)
{
    struct driver *d = (void *)a;
    if (step == STEP_SEND)
        return AT_MORE; /* its event ends it */
    if (step == STEP_NETWORK)
        d->is_p2p = true;
    return is_question(step) && !a->answered ? AT_OTHER : AT_DONE;
}

static enum at_verdict on_failure(struct at *a, unsigned step, const char *line)
{
    char asked[AT_LINE_LEN];
    if (step == STEP_HELLO)
        return AT_OTHER;
    if (step >= STEP_IQ && step <= STEP_CAD && at_is(line, "AT_COMMAND_NOT_FOUND"))
        return AT_DONE;
    if (step == STEP_RECEIVE && at_is(line, "AT_BUSY_ERROR"))
        return AT_DONE; /* it receives already */
    if (at_is(line, "AT_BUSY_ERROR"))
        return at_say(a, AT_AGAIN, "the module stays busy");
    if (step == STEP_SEND)
        return at_say(a, AT_REFUSED, "the module refused the frame: %.40s", line);
    (void)question(a, step, asked);
    return at_say(a, AT_AGAIN, "the module answers %.40s to %.60s", line, asked);
}

static enum at_verdict answer(struct at *a, uint64_t now_ms, unsigned step, const char *line)
{
    (void)now_ms;
    if (step == STEP_SEND && at_is(line, "+EVT:TXP2P DONE"))
        return AT_DONE;
    if (at_is(line, "OK"))
        return on_ok(a, step);
    if (strncmp(line, "AT_", 3) == 0)
        return on_failure(a, step, line);
    return is_question(step) ? on_value(a, step, line) : AT_OTHER;
}

/* "+EVT:RXP2P:-110:-5:" and the frame in hex. */
static void on_heard(struct at *a, const char *line)
{
    long rssi_dbm, snr_db;
    if (!at_number(&line, -200, 50, &rssi_dbm) || !at_word(&line, ":") ||
        !at_number(&line, -100, 100, &snr_db) || !at_word(&line, ":"))
        a->kit.stats.garbled++;
    else
        at_raw_heard(a, line, strlen(line), true, (int16_t)rssi_dbm, (int16_t)(4 * snr_db));
}

static bool report(struct at *a, uint64_t now_ms, const char *line, size_t len)
{
    (void)len;
    if (at_word(&line, "+EVT:RXP2P:")) {
        on_heard(a, line);
    } else if (strstr(line, "Current Work Mode:")) { /* the last line of what it says at start */
        struct driver *d = (void *)a;
        d->is_p2p = strstr(line, "P2P") != NULL;
        at_restarted(a, now_ms);
    } else {
        return false;
    }
    return true;
}

static const struct at_dialect dialect = {
    .name = "a RAK3172 with its AT firmware (RUI3)",
    .baud = RAK_BAUD,
    .check_step = STEP_CHECK_NETWORK,
    .send_step = STEP_SEND,
    .step_count = STEP_COUNT,
    .idle_step = STEP_CHECK_NETWORK,
    .mtu_len = RAK_AIR_LEN_MAX - RNODE_HEADER_LEN,
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
    if (!lora_params_valid(lora) || (lora->bw_hz != 125000 && lora->bw_hz != 250000 &&
                                     lora->bw_hz != 500000))
        return modem_bad_setting(text, "SF%u, %" PRIu32 " Hz, 4/%u is nothing that RAK3172 does",
                                 lora->sf, lora->bw_hz, lora->cr);
    if (lora->preamble_symbols < PREAMBLE_MIN)
        return modem_bad_setting(text, "a preamble must have %d symbols at least", PREAMBLE_MIN);
    if (lora->freq_hz < RAK_FREQ_HZ_MIN || lora->freq_hz > RAK_FREQ_HZ_MAX)
        return modem_bad_setting(text, "%" PRIu32 " Hz is outside what RAK3172 can do",
                                 lora->freq_hz);
    if (settings->power_dbm < RAK_POWER_DBM_MIN || settings->power_dbm > RAK_POWER_DBM_MAX)
        return modem_bad_setting(text, "%d dBm: RAK3172 can do %d to %d", settings->power_dbm,
                                 RAK_POWER_DBM_MIN, RAK_POWER_DBM_MAX);
    memset(d, 0, sizeof *d);
    at_init(&d->at, &dialect, settings, lora);
    return at_raw_options(&d->at, settings, text);
}

const struct modem_driver modem_rak3172_driver = {
    .name = "rak3172",
    .description = "RAK3172 with its AT firmware, 4.0.4 or later",
    .baud = RAK_BAUD,
    .caps = {
        .mtu_len = RAK_AIR_LEN_MAX - RNODE_HEADER_LEN,
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
