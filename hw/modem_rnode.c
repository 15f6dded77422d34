#include "hw/modem_rnode.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "hw/kiss.h"
#include "hw/modem_kit.h"
#include "hw/rnode_hw.h"

enum {
    REPLY_TIMEOUT_MS = 1000, /* the answer takes 5 ms; the rest is for a busy host */
    TRY_COUNT_MAX = 3,
    SIGNAL_AGE_MS_MAX = 400, /* RSSI and SNR come right before their frame */
    PING_IDLE_MS = 60000,
    SILENT_REST_MS = 2000,
    MISMATCH_REST_MS = 2000,

    DIFS_SLOTS = 2,
    WINDOW_SLOTS = 15,       /* until the board says otherwise */
    WINDOW_SLOTS_MAX = 60,
    BUSY_FRAME_COUNT = 2,    /* longest frames of others that one contention may wait for */
    STAT_MARGIN_MS = 1300,   /* channel statistics come once a second */

    VERSION_MIN = 1 << 8 | 52,
    FREQ_HZ_MIN = 137000000,
    FREQ_HZ_MAX = 1020000000,
    FREQ_HZ_TOLERANCE = 100,
    POWER_DBM_MAX = 22,
    US_PER_MS = 1000,
};

/* What is asked, in this order; the answer repeats the command. */
enum step {
    STEP_DETECT,
    STEP_VERSION,
    STEP_OFF, /* a board with saved settings starts with its radio on */
    STEP_FREQUENCY,
    STEP_BANDWIDTH,
    STEP_POWER,
    STEP_SF,
    STEP_CR,
    STEP_SHORT_LOCK, /* the ledger of airtime is the node's: a lock would only hide frames */
    STEP_LONG_LOCK,
    STEP_ON,
    STEP_CHECK_STATE, /* when ready: before a frame, and now and then */
    STEP_CHECK_FREQUENCY,
    STEP_CHECK_POWER,
    STEP_IDLE,
};

static const struct { uint8_t command, len; } steps[] = {
    [STEP_DETECT] = { RNODE_DETECT, 1 },
    [STEP_VERSION] = { RNODE_FW_VERSION, 2 },
    [STEP_OFF] = { RNODE_RADIO_STATE, 1 },
    [STEP_FREQUENCY] = { RNODE_FREQUENCY, 4 },
    [STEP_BANDWIDTH] = { RNODE_BANDWIDTH, 4 },
    [STEP_POWER] = { RNODE_TX_POWER, 1 },
    [STEP_SF] = { RNODE_SF, 1 },
    [STEP_CR] = { RNODE_CR, 1 },
    [STEP_SHORT_LOCK] = { RNODE_SHORT_LOCK, 2 },
    [STEP_LONG_LOCK] = { RNODE_LONG_LOCK, 2 },
    [STEP_ON] = { RNODE_RADIO_STATE, 1 },
    [STEP_CHECK_STATE] = { RNODE_RADIO_STATE, 1 },
    [STEP_CHECK_FREQUENCY] = { RNODE_FREQUENCY, 4 },
    [STEP_CHECK_POWER] = { RNODE_TX_POWER, 1 },
};

struct driver {
    struct modem_kit kit;
    struct modem_settings settings;
    struct lora_params lora; /* with the preamble of the firmware */
    enum step step;
    unsigned try_count;
    uint64_t step_deadline_ms, check_at_ms;
    bool phy_seen;           /* since the radio was asked to start */
    uint32_t symbol_us;      /* as the board says */

    uint64_t tx_earliest_ms, tx_latest_ms;
    bool has_channel_stats;  /* this board sends them */
    bool window_moved;       /* its window of airtime moved on: growth may be hidden */
    uint16_t own_airtime;    /* of its short window, last told */
    uint32_t window_slots;

    bool has_rssi, has_snr;
    uint64_t signal_ms;
    int16_t rssi_dbm, snr_db_x4;

    struct kiss_decoder decoder;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");
static_assert(2 * (RNODE_PACKET_LEN_MAX + 1) + 2 <= MODEM_KIT_OUT_LEN, "a frame fits");

static uint32_t airtime_us(const void *state, size_t len)
{
    const struct driver *d = state;
    return lora_airtime_us(&d->lora, len + RNODE_HEADER_LEN);
}

/* ---- asking ---------------------------------------------------------------------- */

/* What a step writes; its answer must be the same, but for queries. */
static uint32_t step_value(const struct driver *d)
{
    switch (d->step) {
    case STEP_DETECT: return RNODE_DETECT_ASK;
    case STEP_OFF: return RNODE_OFF;
    case STEP_FREQUENCY: return d->settings.lora.freq_hz;
    case STEP_BANDWIDTH: return d->settings.lora.bw_hz;
    case STEP_POWER: return (uint8_t)d->settings.power_dbm;
    case STEP_SF: return d->settings.lora.sf;
    case STEP_CR: return d->settings.lora.cr;
    case STEP_ON: return RNODE_ON;
    case STEP_CHECK_STATE:
    case STEP_CHECK_POWER: return RNODE_QUERY;
    case STEP_VERSION:
    case STEP_SHORT_LOCK:
    case STEP_LONG_LOCK:
    case STEP_CHECK_FREQUENCY:
    case STEP_IDLE: break;
    }
    return 0;
}

static void put_step(struct driver *d)
{
    uint8_t buf[4];
    unsigned len = d->step == STEP_VERSION ? 1 : steps[d->step].len;
    rnode_store(buf, len, step_value(d));
    /* No room: the port takes nothing; the timeout will tell. */
    (void)modem_kit_put_kiss(&d->kit, steps[d->step].command, buf, len);
}

static void begin_step(struct driver *d, uint64_t now_ms, enum step step)
{
    d->step = step;
    d->try_count = 1;
    d->step_deadline_ms = now_ms + REPLY_TIMEOUT_MS;
    if (step == STEP_ON)
        d->phy_seen = false;
    put_step(d);
}

static void begin_configuring(struct driver *d, uint64_t now_ms)
{
    d->kit.mode = MODEM_KIT_CONFIGURING;
    begin_step(d, now_ms, STEP_DETECT);
}

/* ---- sending --------------------------------------------------------------------- */

static void put_tx(struct driver *d, uint64_t now_ms)
{
    if (!modem_kit_put_kiss(&d->kit, RNODE_DATA, d->kit.tx_frame, d->kit.tx_len)) {
        modem_kit_refuse_tx(&d->kit, "the port takes no bytes");
        return;
    }
    uint32_t slots = DIFS_SLOTS + d->window_slots;
    uint64_t busy_us = (uint64_t)airtime_us(d, RNODE_PACKET_LEN_MAX) * BUSY_FRAME_COUNT;
    modem_kit_give_tx(&d->kit);
    d->window_moved = false;
    d->tx_earliest_ms = now_ms + d->kit.tx_airtime_us / US_PER_MS;
    d->tx_latest_ms = d->tx_earliest_ms + busy_us / US_PER_MS + STAT_MARGIN_MS +
                      (uint64_t)slots * rnode_slot_ms(&d->lora);
}

/* ---- trouble --------------------------------------------------------------------- */

static struct modem_event *mismatch(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    return modem_kit_mismatch(&d->kit, now_ms, MISMATCH_REST_MS);
}

static void silent(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    modem_kit_say(modem_kit_silent(&d->kit, now_ms, SILENT_REST_MS),
                  "no answer from the modem in %u tries; is it a board with the RNode firmware, "
                  "and the right port?", (unsigned)TRY_COUNT_MAX);
}

static void restarted(struct driver *d, uint64_t now_ms)
{
    if (d->kit.tx == MODEM_KIT_TX_WAITING)
        modem_kit_refuse_tx(&d->kit, "the modem had lost its settings; the frame was not sent");
    else if (d->kit.tx == MODEM_KIT_TX_GIVEN)
        modem_kit_end_tx(&d->kit, MODEM_TX_UNKNOWN,
                         "the modem restarted before it can have sent the frame whole");
    if (d->kit.mode == MODEM_KIT_READY) {
        d->kit.stats.restarts_seen++;
        modem_kit_say(modem_kit_push(&d->kit, MODEM_EV_FAULT),
                      "the modem lost its settings (restarted?); configuring it again");
    }
    begin_configuring(d, now_ms);
}

/* ---- answers --------------------------------------------------------------------- */

static bool answer_right(const struct driver *d, uint32_t value)
{
    uint32_t wanted = step_value(d);
    switch (d->step) {
    case STEP_DETECT: return value == RNODE_DETECT_ANSWER;
    case STEP_VERSION: return value >= VERSION_MIN;
    case STEP_CHECK_STATE: return value == RNODE_ON;
    case STEP_CHECK_POWER: return value == (uint8_t)d->settings.power_dbm;
    case STEP_FREQUENCY:
    case STEP_CHECK_FREQUENCY:
        wanted = d->settings.lora.freq_hz; /* the chip rounds to its steps */
        return value + FREQ_HZ_TOLERANCE >= wanted && value <= wanted + FREQ_HZ_TOLERANCE;
    case STEP_OFF:
    case STEP_BANDWIDTH:
    case STEP_POWER:
    case STEP_SF:
    case STEP_CR:
    case STEP_SHORT_LOCK:
    case STEP_LONG_LOCK:
    case STEP_ON: return value == wanted;
    case STEP_IDLE: break;
    }
    return false;
}

static void on_wrong(struct driver *d, uint64_t now_ms, uint32_t value)
{
    static const char *const names[] = {
        [STEP_FREQUENCY] = "frequency (Hz)", [STEP_BANDWIDTH] = "bandwidth (Hz)",
        [STEP_POWER] = "power (dBm)",        [STEP_SF] = "SF",
        [STEP_CR] = "coding rate",           [STEP_SHORT_LOCK] = "lock of airtime",
        [STEP_LONG_LOCK] = "lock of airtime", [STEP_OFF] = "radio off",
    };
    enum step step = d->step;
    uint32_t wanted = step_value(d);
    if (step >= STEP_CHECK_STATE) {
        restarted(d, now_ms);
        return;
    }
    if (step == STEP_DETECT) {
        d->kit.stats.unexpected++; /* some other device; the tries will run out */
        return;
    }
    struct modem_event *ev = mismatch(d, now_ms);
    if (step == STEP_VERSION)
        modem_kit_say(ev, "the RNode firmware is %" PRIu32 ".%" PRIu32 "; it must be 1.52 or later",
                      value >> 8, value & 0xff);
    else if (step == STEP_ON)
        modem_kit_say(ev, "the board does not switch its radio on: not provisioned (rnodeconf "
                      "--autoinstall does it), or its radio is broken");
    else
        modem_kit_say(ev, "the modem reads back %s %" PRIu32 "; written was %" PRIu32, names[step],
                      value, wanted);
}

static void become_ready(struct driver *d, uint64_t now_ms)
{
    uint32_t symbol_us = lora_symbol_us(&d->lora);
    if (d->phy_seen && (d->symbol_us + 1 < symbol_us || d->symbol_us > symbol_us + 1)) {
        modem_kit_say(mismatch(d, now_ms), "the radio's symbol lasts %" PRIu32 " us, not %" PRIu32
                      ": it did not take bandwidth or SF", d->symbol_us, symbol_us);
        return;
    }
    d->step = STEP_IDLE;
    d->check_at_ms = now_ms + d->settings.ping_idle_ms;
    d->own_airtime = 0; /* the start cleared its counters */
    d->window_slots = WINDOW_SLOTS;
    modem_kit_ready(&d->kit, &d->lora);
}

static void on_answer(struct driver *d, uint64_t now_ms, const uint8_t *data)
{
    uint32_t value = rnode_load(data, steps[d->step].len);
    if (!answer_right(d, value)) {
        on_wrong(d, now_ms, value);
    } else if (d->step == STEP_ON) {
        become_ready(d, now_ms);
    } else if (d->step == STEP_CHECK_POWER) {
        d->step = STEP_IDLE;
        d->check_at_ms = now_ms + d->settings.ping_idle_ms;
        if (d->kit.tx == MODEM_KIT_TX_WAITING)
            put_tx(d, now_ms);
    } else {
        begin_step(d, now_ms, d->step + 1);
    }
}

static void on_channel(struct driver *d, uint64_t now_ms, const uint8_t *data)
{
    uint16_t own = (uint16_t)rnode_load(data, 2);
    bool grown = own > d->own_airtime;
    d->has_channel_stats = true;
    d->window_moved = d->window_moved || own < d->own_airtime;
    d->own_airtime = own;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN && grown && now_ms >= d->tx_earliest_ms)
        modem_kit_end_tx(&d->kit, MODEM_TX_SENT, "");
}

static void on_phy(struct driver *d, const uint8_t *data)
{
    uint32_t preamble_symbols = rnode_load(data + 4, 2);
    struct lora_params lora = d->lora;
    lora.preamble_symbols = (uint16_t)preamble_symbols;
    if (!lora_params_valid(&lora)) {
        d->kit.stats.garbled++;
        return;
    }
    d->symbol_us = rnode_load(data, 2);
    d->lora = lora;
    d->phy_seen = true;
}

static void on_error(struct driver *d, uint64_t now_ms, uint8_t code)
{
    struct modem_event *ev;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN)
        modem_kit_end_tx(&d->kit, MODEM_TX_FAILED,
                         "the modem reports that the radio failed to send");
    if (code == RNODE_ERR_RADIO_INIT && d->kit.mode == MODEM_KIT_CONFIGURING) {
        ev = mismatch(d, now_ms);
        modem_kit_say(ev, "the board's radio chip does not start: broken, or another board's "
                      "firmware");
        return;
    }
    ev = modem_kit_push(&d->kit, MODEM_EV_FAULT);
    modem_kit_say(ev, "the modem reports error %02x%s", code,
                  code == RNODE_ERR_MODEM_TIMEOUT ? ": its radio hung, it restarts" : "");
}

static void on_data(struct driver *d, uint64_t now_ms, const uint8_t *data, size_t len)
{
    bool fresh = d->has_rssi && d->has_snr && now_ms <= d->signal_ms + SIGNAL_AGE_MS_MAX;
    d->has_rssi = d->has_snr = false;
    if (len == 0 || len > RNODE_PACKET_LEN_MAX) {
        d->kit.stats.garbled++; /* longer ones are never ours */
        return;
    }
    /* Before READY it may come from any network on the settings before. */
    if (d->kit.mode != MODEM_KIT_READY) {
        d->kit.stats.unexpected++;
        return;
    }
    modem_kit_heard(&d->kit, data, len, fresh, d->rssi_dbm, d->snr_db_x4);
}

/* What comes unasked; false for anything else. */
static bool on_report(struct driver *d, uint64_t now_ms, uint8_t command, const uint8_t *data,
                      size_t len)
{
    if (command == RNODE_STAT_RSSI && len == 1) {
        d->rssi_dbm = (int16_t)(data[0] - RNODE_RSSI_OFFSET);
        d->has_rssi = true;
        d->signal_ms = now_ms;
    } else if (command == RNODE_STAT_SNR && len == 1) {
        d->snr_db_x4 = (int8_t)data[0];
        d->has_snr = true;
    } else if (command == RNODE_STAT_CHANNEL && len == RNODE_CHANNEL_LEN) {
        on_channel(d, now_ms, data);
    } else if (command == RNODE_STAT_PHY && len == RNODE_PHY_LEN) {
        on_phy(d, data);
    } else if (command == RNODE_STAT_CSMA && len == RNODE_CSMA_LEN) {
        d->window_slots = data[2] < WINDOW_SLOTS_MAX ? data[2] : WINDOW_SLOTS_MAX;
    } else if (command == RNODE_RESET && len == 1) {
        restarted(d, now_ms);
    } else if (command == RNODE_ERROR && len == 1) {
        on_error(d, now_ms, data[0]);
    } else {
        return false;
    }
    return true;
}

static void on_frame(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    uint8_t command = d->decoder.frame[0];
    const uint8_t *data = d->decoder.frame + 1;
    size_t len = d->decoder.frame_len - 1u;
    if (command == RNODE_DATA)
        on_data(d, now_ms, data, len);
    else if (d->step != STEP_IDLE && command == steps[d->step].command &&
             len == steps[d->step].len)
        on_answer(d, now_ms, data);
    else if (!on_report(d, now_ms, command, data, len))
        d->kit.stats.unexpected++;
}

/* ---- the driver table's functions -------------------------------------------------- */

static bool bandwidth_known(uint32_t bw_hz)
{
    static const uint32_t known[] = { 7800, 10400, 15600, 20800, 31250, 41700, 62500,
                                      125000, 250000, 500000 };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == bw_hz)
            return true;
    }
    return false;
}

static int check_settings(const struct modem_settings *s, char text[MODEM_TEXT_LEN])
{
    struct lora_params lora = s->lora;
    lora.preamble_symbols = 18;
    if (!lora_params_valid(&lora) || !bandwidth_known(lora.bw_hz))
        return modem_bad_setting(text, "%" PRIu32 " Hz wide, SF%u, 4/%u is nothing that RNode does",
                                 lora.bw_hz, lora.sf, lora.cr);
    if (lora.freq_hz < FREQ_HZ_MIN || lora.freq_hz > FREQ_HZ_MAX)
        return modem_bad_setting(text, "%" PRIu32 " Hz is outside what the radio can do",
                                 lora.freq_hz);
    if (s->power_dbm < 0 || s->power_dbm > POWER_DBM_MAX)
        return modem_bad_setting(text, "%d dBm: RNode can do 0 to %d", s->power_dbm,
                                 POWER_DBM_MAX);
    if (rnode_ldro(&lora) != lora_ldro(&lora))
        return modem_bad_setting(text, "SF%u at %" PRIu32 " Hz: RNode sends it without the "
                                 "low-rate optimisation, no other radio would hear it",
                                 lora.sf, lora.bw_hz);
    return modem_options_read(s, NULL, 0, text);
}

static int driver_init(void *state, const struct modem_settings *settings, uint64_t now_ms,
                       char text[MODEM_TEXT_LEN])
{
    struct driver *d = state;
    (void)now_ms; /* nothing is due before the port is open */
    int err = check_settings(settings, text);
    if (err != MODEM_OK)
        return err;
    memset(d, 0, sizeof *d);
    d->settings = *settings;
    if (d->settings.ping_idle_ms == 0)
        d->settings.ping_idle_ms = PING_IDLE_MS;
    d->lora = settings->lora;
    d->lora.preamble_symbols = rnode_preamble_symbols(&settings->lora);
    d->step = STEP_IDLE;
    d->window_slots = WINDOW_SLOTS;
    kiss_decoder_init(&d->decoder, KISS_STRICT);
    return MODEM_OK;
}

static void driver_on_close(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    (void)now_ms;
    /* The frame's last byte is what makes the modem send, and it is last in the output. */
    modem_kit_close(&d->kit, modem_kit_has_output(&d->kit));
    d->step = STEP_IDLE;
}

static void driver_on_open(void *state, uint64_t now_ms)
{
    static const uint8_t ends[] = { KISS_FEND, KISS_FEND };
    struct driver *d = state;
    driver_on_close(d, now_ms);
    kiss_decoder_init(&d->decoder, KISS_STRICT);
    d->has_channel_stats = d->has_rssi = d->has_snr = false;
    /* They end whatever half a frame the modem holds from an earlier life. */
    (void)modem_kit_put(&d->kit, ends, sizeof ends); /* it is empty */
    begin_configuring(d, now_ms);
}

static size_t driver_on_bytes(void *state, uint64_t now_ms, const uint8_t *buf, size_t len)
{
    struct driver *d = state;
    return modem_kit_on_kiss(&d->kit, &d->decoder, now_ms, buf, len, on_frame);
}

static void on_step_timeout(struct driver *d, uint64_t now_ms)
{
    if (d->try_count >= TRY_COUNT_MAX) {
        silent(d, now_ms);
        return;
    }
    d->try_count++;
    d->kit.stats.replies_lost++;
    d->step_deadline_ms = now_ms + REPLY_TIMEOUT_MS;
    put_step(d);
}

/* All the time it may take is over. */
static void on_tx_latest(struct driver *d, uint64_t now_ms)
{
    if (!d->has_channel_stats || d->window_moved) {
        modem_kit_end_tx(&d->kit, MODEM_TX_SENT, "");
    } else {
        modem_kit_end_tx(&d->kit, MODEM_TX_UNKNOWN,
                         "the modem's own airtime does not show the frame");
        d->check_at_ms = now_ms;
    }
}

static void driver_on_time(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    if (d->kit.mode == MODEM_KIT_CLOSED || !modem_kit_has_room(&d->kit))
        return;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN && now_ms >= d->tx_latest_ms)
        on_tx_latest(d, now_ms);
    if (d->step != STEP_IDLE && now_ms >= d->step_deadline_ms)
        on_step_timeout(d, now_ms);
    if (d->kit.mode == MODEM_KIT_RESTING && now_ms >= d->kit.rest_until_ms)
        begin_configuring(d, now_ms);
    if (d->kit.mode == MODEM_KIT_READY && d->step == STEP_IDLE && d->kit.tx == MODEM_KIT_TX_NONE &&
        now_ms >= d->check_at_ms)
        begin_step(d, now_ms, STEP_CHECK_STATE);
}

static int driver_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    struct driver *d = state;
    int err = modem_kit_take(&d->kit, modem_kit_can_send(d), frame, len, airtime_us(d, len));
    if (err != MODEM_OK)
        return err;
    if (d->step == STEP_IDLE) /* else the check that is under way serves */
        begin_step(d, now_ms, STEP_CHECK_STATE);
    return MODEM_OK;
}

static uint64_t driver_next_deadline(const void *state)
{
    const struct driver *d = state;
    uint64_t at_ms = MODEM_NEVER;
    if (d->kit.mode == MODEM_KIT_CLOSED)
        return at_ms;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN)
        at_ms = d->tx_latest_ms;
    if (d->step != STEP_IDLE)
        at_ms = modem_kit_earlier(at_ms, d->step_deadline_ms);
    if (d->kit.mode == MODEM_KIT_RESTING)
        at_ms = modem_kit_earlier(at_ms, d->kit.rest_until_ms);
    if (d->kit.mode == MODEM_KIT_READY && d->step == STEP_IDLE && d->kit.tx == MODEM_KIT_TX_NONE)
        at_ms = modem_kit_earlier(at_ms, d->check_at_ms);
    return at_ms;
}

static void driver_air(const void *state, struct modem_air *air_out)
{
    const struct driver *d = state;
    modem_kit_air("rnode", &d->lora, d->settings.power_dbm, air_out);
}

const struct modem_driver modem_rnode_driver = {
    .name = "rnode",
    .description = "boards with the RNode firmware, on USB",
    .baud = RNODE_BAUD,
    .caps = {
        .mtu_len = RNODE_PACKET_LEN_MAX,
        .overhead_len = RNODE_HEADER_LEN,
        .tx_pending_count = 1,
        .cca = MODEM_CCA_IN_MODEM,
        .has_rssi = true,
        .has_snr = true,
        .reports_tx_done = false,
        .reads_back_settings = true,
        .sets_preamble = false,
    },
    .state_len = sizeof(struct driver),
    .init = driver_init,
    .on_open = driver_on_open,
    .on_close = driver_on_close,
    .on_bytes = driver_on_bytes,
    .on_time = driver_on_time,
    .poll_output = modem_kit_poll_output,
    .poll_event = modem_kit_poll_event,
    .send = driver_send,
    .can_send = modem_kit_can_send,
    .next_deadline = driver_next_deadline,
    .airtime_us = airtime_us,
    .air = driver_air,
    .stats = modem_kit_stats,
};
