#include "hw/modem_reyax.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hw/at.h"
#include "hw/reyax_hw.h"

enum {
    MTU_LEN = 196,
    BASE = 93,
    LETTER_FIRST = '!', /* to '~', the comma left out */
    TX_MARGIN_MS = 20,
    US_PER_MS = 1000,
};

enum step {
    STEP_HELLO,
    STEP_MODE,
    STEP_ADDRESS,
    STEP_NETWORK,
    STEP_BAND,
    STEP_PARAMETER,
    STEP_POWER,
    STEP_CHECK_PASSWORD,
    STEP_CHECK_NETWORK, /* the first that is looked at before a frame */
    STEP_CHECK_BAND,
    STEP_CHECK_PARAMETER,
    STEP_CHECK_POWER,
    STEP_SEND,
    STEP_COUNT,
};

struct driver {
    struct at at;
    const struct reyax_type *type;
    long network, address;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");

/* ---- frames as letters ---------------------------------------------------------------- */

/* Letters for len bytes: 8 / log2(93) is a little less than 1.2234. */
static size_t letter_count(size_t len)
{
    return (len * 12234 + 9999) / 10000;
}

static char letter(unsigned digit)
{
    unsigned c = LETTER_FIRST + digit;
    return (char)(c < ',' ? c : c + 1);
}

/* The frame is one number, most significant first. */
static void letters_put(char *letters, const uint8_t *frame, size_t len)
{
    uint8_t number[MTU_LEN];
    memcpy(number, frame, len);
    for (size_t i = letter_count(len); i > 0; i--) {
        unsigned rest = 0;
        for (size_t k = 0; k < len; k++) {
            rest = rest << 8 | number[k];
            number[k] = (uint8_t)(rest / BASE);
            rest %= BASE;
        }
        letters[i - 1] = letter(rest);
    }
    letters[letter_count(len)] = '\0';
}

/* False for what letters_put never makes. */
static bool letters_take(const char *letters, size_t count, uint8_t frame[MTU_LEN],
                         size_t *len_out)
{
    size_t len = count * 10000 / 12234;
    if (len == 0 || len > MTU_LEN || letter_count(len) != count)
        return false;
    memset(frame, 0, len);
    for (size_t i = 0; i < count; i++) {
        uint8_t c = (uint8_t)letters[i];
        if (c < LETTER_FIRST || c > '~' || c == ',')
            return false;
        unsigned carry = (unsigned)c - LETTER_FIRST - (c > ',' ? 1u : 0u);
        for (size_t k = len; k > 0; k--) {
            carry += (unsigned)frame[k - 1] * BASE;
            frame[k - 1] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry > 0)
            return false;
    }
    *len_out = len;
    return true;
}

/* ---- questions and answers -------------------------------------------------------------- */

/* The setting that a step writes, or reads back, as the module writes it. */
static void setting(const struct driver *d, unsigned step, char *text, size_t cap)
{
    const struct lora_params *lora = &d->at.lora;
    int n = 0;
    switch ((enum step)step) {
    case STEP_ADDRESS: n = snprintf(text, cap, "ADDRESS=%ld", d->address); break;
    case STEP_NETWORK:
    case STEP_CHECK_NETWORK: n = snprintf(text, cap, "NETWORKID=%ld", d->network); break;
    case STEP_BAND:
    case STEP_CHECK_BAND: n = snprintf(text, cap, "BAND=%" PRIu32, lora->freq_hz); break;
    case STEP_PARAMETER:
    case STEP_CHECK_PARAMETER:
        n = snprintf(text, cap, "PARAMETER=%u,%u,%d,%u", lora->sf, reyax_bw_code(lora->bw_hz),
                     lora->cr - 4, lora->preamble_symbols);
        break;
    case STEP_POWER:
    case STEP_CHECK_POWER: n = snprintf(text, cap, "CRFOP=%d", d->at.settings.power_dbm); break;
    case STEP_MODE: n = snprintf(text, cap, "MODE=0"); break;
    case STEP_CHECK_PASSWORD: n = snprintf(text, cap, "CPIN=No Password!"); break;
    case STEP_HELLO:
    case STEP_SEND:
    case STEP_COUNT: break;
    }
    assert(n > 0 && (size_t)n < cap);
}

static bool question(struct at *a, unsigned step, char line[AT_LINE_LEN])
{
    const struct driver *d = (const void *)a;
    char text[64];
    char letters[REYAX_DATA_LEN_MAX + 1];
    if (step == STEP_HELLO) {
        (void)snprintf(line, AT_LINE_LEN, "AT");
    } else if (step == STEP_SEND) {
        letters_put(letters, a->kit.tx_frame, a->kit.tx_len);
        (void)snprintf(line, AT_LINE_LEN, "AT+SEND=%d,%zu,%s", REYAX_BROADCAST, strlen(letters),
                       letters);
    } else if (step < STEP_CHECK_PASSWORD) {
        setting(d, step, text, sizeof text);
        (void)snprintf(line, AT_LINE_LEN, "AT+%s", text);
    } else {
        setting(d, step, text, sizeof text);
        (void)snprintf(line, AT_LINE_LEN, "AT+%.*s?", (int)strcspn(text, "="), text);
    }
    return true;
}

static enum at_verdict on_error(struct at *a, unsigned step, long code)
{
    char line[AT_LINE_LEN];
    if (step == STEP_HELLO)
        return AT_OTHER; /* to the line end that was written before it */
    if (step == STEP_CHECK_PASSWORD && code == REYAX_ERR_UNKNOWN)
        return AT_DONE;
    if (step != STEP_SEND) {
        (void)question(a, step, line);
        return at_say(a, AT_AGAIN, "the module answers +ERR=%ld to %.60s", code, line);
    }
    if (code == REYAX_ERR_BUSY)
        return AT_AGAIN;
    if (code == REYAX_ERR_TX_OVERTIME)
        return at_say(a, AT_FAILED, "the module took too long to send");
    return at_say(a, AT_REFUSED, "the module refused the frame: +ERR=%ld", code);
}

/* It comes when the module has taken the frame, or when it has sent it: the manual does not say.
 * Before the time on air is over it can only be the first. */
static enum at_verdict on_send_ok(struct at *a, uint64_t now_ms)
{
    uint64_t airtime_ms = a->kit.tx_airtime_us / US_PER_MS + 1;
    if (a->tx_until_ms != MODEM_NEVER)
        return AT_OTHER; /* an answer too many */
    if (now_ms >= a->tx_from_ms + airtime_ms)
        return AT_DONE;
    a->tx_until_ms = now_ms + airtime_ms + TX_MARGIN_MS;
    if (a->step_until_ms <= a->tx_until_ms)
        a->step_until_ms = a->tx_until_ms + 1;
    return AT_MORE;
}

static enum at_verdict answer(struct at *a, uint64_t now_ms, unsigned step, const char *line)
{
    const struct driver *d = (const void *)a;
    char text[64];
    long code;
    if (at_word(&line, "+ERR=") && at_number(&line, 0, 99, &code))
        return on_error(a, step, code);
    if (step == STEP_SEND)
        return at_is(line, "+OK") ? on_send_ok(a, now_ms) : AT_OTHER;
    if (step < STEP_CHECK_PASSWORD)
        return at_is(line, "+OK") ? AT_DONE : AT_OTHER;
    setting(d, step, text, sizeof text);
    size_t name_len = strcspn(text, "=") + 1;
    if (*line != '+' || strncmp(line + 1, text, name_len) != 0)
        return AT_OTHER;
    if (at_is(line + 1, text))
        return AT_DONE;
    if (step == STEP_CHECK_PASSWORD)
        return at_say(a, AT_WRONG, "the module has a password (AT+CPIN) and hears nobody else; "
                      "AT+FACTORY or AT+RESET takes it away");
    return at_say(a, AT_WRONG, "the module reads back %.40s; written was %.40s", line + 1, text);
}

/* ---- what comes unasked --------------------------------------------------------------- */

/* "+RCV=address,len," - then len bytes of anything, ",rssi,snr". */
static bool read_head(const char **at, size_t *len_out)
{
    long address, len;
    if (!at_word(at, "+RCV=") || !at_number(at, 0, REYAX_ADDRESS_MAX, &address) ||
        !at_word(at, ",") || !at_number(at, 1, REYAX_DATA_LEN_MAX, &len) || !at_word(at, ","))
        return false;
    *len_out = (size_t)len;
    return true;
}

/* Data of other senders may hold line ends. */
static bool is_whole(const char *line, size_t len)
{
    char head[24];
    size_t head_len = len < sizeof head - 1 ? len : sizeof head - 1;
    memcpy(head, line, head_len);
    head[head_len] = '\0';
    const char *at = head;
    size_t data_len;
    return !read_head(&at, &data_len) || len >= (size_t)(at - head) + data_len;
}

static void on_heard(struct at *a, const char *line, size_t len)
{
    uint8_t frame[MTU_LEN];
    const char *data = line;
    size_t data_len, frame_len;
    long rssi_dbm, snr_db;
    if (!read_head(&data, &data_len) || (size_t)(data - line) + data_len > len) {
        a->kit.stats.garbled++;
        return;
    }
    const char *tail = data + data_len;
    bool has_signal = at_word(&tail, ",") && at_number(&tail, -200, 50, &rssi_dbm) &&
                      at_word(&tail, ",") && at_number(&tail, -100, 100, &snr_db) &&
                      *tail == '\0';
    if (!has_signal) {
        a->kit.stats.garbled++; /* half a line, or two in one */
        return;
    }
    if (!letters_take(data, data_len, frame, &frame_len)) {
        a->kit.stats.unexpected++; /* of somebody else */
        return;
    }
    at_heard(a, frame, frame_len, true, (int16_t)rssi_dbm, (int16_t)(4 * snr_db));
}

static bool report(struct at *a, uint64_t now_ms, const char *line, size_t len)
{
    if (strncmp(line, "+RCV=", 5) == 0) {
        on_heard(a, line, len);
    } else if (at_is(line, "+ERR=12") || at_is(line, "+ERR=19")) {
        a->kit.stats.garbled++; /* on air, that is: no answer to anything */
    } else if (at_is(line, "+READY")) {
        at_restarted(a, now_ms);
    } else {
        return at_is(line, "+RESET"); /* +READY follows */
    }
    return true;
}

static size_t air_len(const struct at *a, size_t len)
{
    (void)a;
    return letter_count(len) + REYAX_OVERHEAD_LEN;
}

static const struct at_dialect dialect = {
    .name = "a REYAX module",
    .baud = REYAX_BAUD,
    .check_step = STEP_CHECK_NETWORK,
    .send_step = STEP_SEND,
    .step_count = STEP_COUNT,
    .idle_step = STEP_CHECK_NETWORK,
    .mtu_len = MTU_LEN,
    .air_len = air_len,
    .question = question,
    .answer = answer,
    .report = report,
    .is_whole = is_whole,
};

/* ---- the drivers' table ----------------------------------------------------------------- */

static int check_settings(const struct reyax_type *t, const struct modem_settings *s,
                          const struct lora_params *lora, char text[MODEM_TEXT_LEN])
{
    if (!lora_params_valid(lora) || !reyax_sf_ok(t, lora->sf, reyax_bw_code(lora->bw_hz)))
        return modem_bad_setting(text, "%s cannot do SF%u at %" PRIu32 " Hz, 4/%u", t->name,
                                 lora->sf, lora->bw_hz, lora->cr);
    if (lora->freq_hz < t->freq_hz_min || lora->freq_hz > t->freq_hz_max)
        return modem_bad_setting(text, "%" PRIu32 " Hz: %s can do %" PRIu32 " to %" PRIu32,
                                 lora->freq_hz, t->name, t->freq_hz_min, t->freq_hz_max);
    if (s->power_dbm < 0 || s->power_dbm > t->power_dbm_max)
        return modem_bad_setting(text, "%d dBm: %s can do 0 to %u", s->power_dbm, t->name,
                                 t->power_dbm_max);
    return MODEM_OK;
}

static int init(void *state, const struct reyax_type *t, const struct modem_settings *settings,
                char text[MODEM_TEXT_LEN])
{
    struct driver *d = state;
    struct lora_params lora = settings->lora;
    struct modem_option known[] = {
        { .key = "network", .min = 0, .max = 18, .value = t->network_factory },
        { .key = "address", .min = 0, .max = REYAX_ADDRESS_MAX, .value = 0 },
    };
    lora.preamble_symbols = t->preamble_symbols;
    int err = check_settings(t, settings, &lora, text);
    if (err == MODEM_OK)
        err = modem_options_read(settings, known, 2, text);
    if (err != MODEM_OK)
        return err;
    if (!reyax_network_ok(t, known[0].value))
        return modem_bad_setting(text, "option network: %s can do %u to %u and %u", t->name,
                                 t->network_min, t->network_max, t->network_extra);
    memset(d, 0, sizeof *d);
    at_init(&d->at, &dialect, settings, &lora);
    d->type = t;
    d->network = known[0].value;
    d->address = known[1].value;
    return MODEM_OK;
}

#define INIT_FUNCTION(kind)                                                                    \
    static int kind##_init(void *state, const struct modem_settings *settings,                 \
                           uint64_t now_ms, char text[MODEM_TEXT_LEN])                         \
    {                                                                                          \
        (void)now_ms; /* nothing is due before the port is open */                             \
        return init(state, reyax_type_find(#kind), settings, text);                            \
    }

INIT_FUNCTION(rylr998)
INIT_FUNCTION(rylr498)
INIT_FUNCTION(rylr896)

static void driver_air(const void *state, struct modem_air *air_out)
{
    const struct driver *d = state;
    const struct lora_params *lora = &d->at.lora;
    *air_out = (struct modem_air){ .lora = *lora, .power_dbm = d->at.settings.power_dbm };
    (void)snprintf(air_out->interop, sizeof air_out->interop,
                   "%s:%ld:%" PRIu32 ":%" PRIu32 ":%u", d->type->name, d->network, lora->freq_hz,
                   lora->bw_hz, lora->sf);
}

#define REYAX_DRIVER(kind, text)                                                               \
    const struct modem_driver modem_##kind##_driver = {                                        \
        .name = #kind,                                                                         \
        .description = text,                                                                   \
        .baud = REYAX_BAUD,                                                                    \
        .caps = {                                                                              \
            .mtu_len = MTU_LEN,                                                                \
            .overhead_len = REYAX_OVERHEAD_LEN + REYAX_DATA_LEN_MAX - MTU_LEN,                 \
            .tx_pending_count = 1,                                                             \
            .cca = MODEM_CCA_NONE,                                                             \
            .has_rssi = true,                                                                  \
            .has_snr = true,                                                                   \
            .reports_tx_done = false,                                                          \
            .reads_back_settings = true,                                                       \
            .sets_preamble = false,                                                            \
        },                                                                                     \
        .state_len = sizeof(struct driver),                                                    \
        .init = kind##_init,                                                                   \
        .air = driver_air,                                                                     \
        AT_DRIVER_FUNCTIONS,                                                                   \
    }

REYAX_DRIVER(rylr998, "REYAX RYLR998, 820-960 MHz, on a 3.3 V serial line");
REYAX_DRIVER(rylr498, "REYAX RYLR498, 410-525 MHz, on a 3.3 V serial line");
REYAX_DRIVER(rylr896, "REYAX RYLR896, 862-1020 MHz, on a 3.3 V serial line");
