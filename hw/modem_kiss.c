#include "hw/modem_kiss.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "hw/kiss.h"
#include "hw/kiss_hw.h"
#include "hw/modem_kit.h"

enum {
    COMMAND_LEN_MAX = 16,

    REPLY_TIMEOUT_MS = 1000, /* the answer takes 5 ms; the rest is for a busy host */
    RETRY_SOON_MS = 100,
    TRY_COUNT_MAX = 3,
    META_TIMEOUT_MS = 400,  /* the report follows its frame at once: 7 bytes, 0.6 ms */
    BUSY_HOLD_MS = 1000,
    PING_IDLE_MS = 60000,
    SILENT_REST_MS_MIN = 1000,
    SILENT_REST_MS_MAX = 2000, /* a ping now and then costs nothing: it must be found soon */
    MISMATCH_REST_MS = 2000,
    SERIAL_MARGIN_MS = 300, /* the longest frame takes 45 ms each way */
    BUSY_FRAME_COUNT = 2,   /* longest frames of others that one contention may wait for */

    KISS_UNIT_MS = 10,
    KISS_UNIT_MAX = 255,
    US_PER_MS = 1000,
    FREQ_HZ_MIN = 150000000, /* SX126x, SX127x */
    FREQ_HZ_MAX = 960000000,
    POWER_DBM_MIN = -9,
    POWER_DBM_MAX = 22,
    PREAMBLE_SYMBOLS_MIN = 6,
    PREAMBLE_SYMBOLS_MAX = 128,
    AIRTIME_TOLERANCE_MS = 1,
};

/* The command whose answer is awaited. */
enum step {
    STEP_IDLE,
    STEP_PING,
    STEP_SET_RADIO,
    STEP_SET_POWER,
    STEP_SET_REPORT,
    STEP_GET_RADIO,
    STEP_GET_POWER,
    STEP_GET_AIRTIME,
    STEP_CHECK_RADIO, /* once more, when ready: before a frame, and now and then */
    STEP_CHECK_POWER,
};

struct driver {
    struct modem_kit kit;
    struct modem_settings settings;
    struct lora_params lora; /* with the preamble of the firmware */
    enum step step;
    unsigned try_count;
    uint64_t step_deadline_ms;
    uint64_t check_at_ms;
    uint32_t silent_rest_ms;

    bool maybe_pending;      /* an older frame may still be in the modem */
    uint64_t hold_until_ms;  /* no sending before: it said busy */
    uint64_t tx_deadline_ms;

    bool rx_held;            /* events[] does not have it yet: its signal report may come */
    uint64_t rx_held_until_ms;
    uint16_t rx_len;
    uint8_t rx_frame[KISS_HW_PACKET_LEN_MAX];

    struct kiss_decoder decoder;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");
static_assert(2 * (KISS_HW_PACKET_LEN_MAX + 1) + 2 <= MODEM_KIT_OUT_LEN, "a frame fits");

/* ---- events ------------------------------------------------------------------ */

static void flush_rx(struct driver *d, const uint8_t *meta)
{
    if (!d->rx_held)
        return;
    modem_kit_heard(&d->kit, d->rx_frame, d->rx_len, meta != NULL, meta ? (int8_t)meta[1] : 0,
                    meta ? (int8_t)meta[0] : 0);
    d->rx_held = false;
}

/* ---- output ------------------------------------------------------------------ */

static void put_byte(struct driver *d, uint8_t type, uint8_t value)
{
    (void)modem_kit_put_kiss(&d->kit, type, &value, 1); /* no room: as below */
}

static uint32_t airtime_us(const void *state, size_t len)
{
    const struct driver *d = state;
    return lora_airtime_us(&d->lora, len);
}

static void store_radio(const struct driver *d, uint8_t out[KISS_HW_RADIO_LEN])
{
    kiss_hw_store32(out, d->settings.lora.freq_hz);
    kiss_hw_store32(out + 4, d->settings.lora.bw_hz);
    out[8] = d->settings.lora.sf;
    out[9] = d->settings.lora.cr;
}

static uint8_t step_command(enum step step)
{
    switch (step) {
    case STEP_PING: return KISS_HW_PING;
    case STEP_SET_RADIO: return KISS_HW_SET_RADIO;
    case STEP_SET_POWER: return KISS_HW_SET_TX_POWER;
    case STEP_SET_REPORT: return KISS_HW_SET_SIGNAL_REPORT;
    case STEP_GET_RADIO:
    case STEP_CHECK_RADIO: return KISS_HW_GET_RADIO;
    case STEP_GET_POWER:
    case STEP_CHECK_POWER: return KISS_HW_GET_TX_POWER;
    case STEP_GET_AIRTIME: return KISS_HW_GET_AIRTIME;
    case STEP_IDLE: break;
    }
    assert(step != STEP_IDLE); /* nothing is asked for when idle */
    return 0;
}

static uint8_t step_reply(enum step step)
{
    if (step == STEP_SET_RADIO || step == STEP_SET_POWER)
        return KISS_HW_OK;
    if (step == STEP_SET_REPORT)
        return KISS_HW_REPLY | KISS_HW_GET_SIGNAL_REPORT;
    return KISS_HW_REPLY | step_command(step);
}

static void put_command(struct driver *d)
{
    uint8_t buf[COMMAND_LEN_MAX] = { step_command(d->step) };
    size_t len = 1;
    if (d->step == STEP_SET_RADIO) {
        store_radio(d, buf + 1);
        len += KISS_HW_RADIO_LEN;
    } else if (d->step == STEP_SET_POWER) {
        buf[len++] = (uint8_t)d->settings.power_dbm;
    } else if (d->step == STEP_SET_REPORT) {
        buf[len++] = 1;
    } else if (d->step == STEP_GET_AIRTIME) {
        buf[len++] = KISS_HW_PACKET_LEN_MAX;
    }
    /* No room: the port takes nothing; the command's timeout will tell. */
    (void)modem_kit_put_kiss(&d->kit, KISS_SET_HARDWARE, buf, len);
}

static void begin_step(struct driver *d, uint64_t now_ms, enum step step)
{
    if (step == STEP_SET_REPORT) {
        /* Channel access has no answer and no read-back: written with every configuring. */
        put_byte(d, KISS_TX_DELAY, (uint8_t)(d->settings.tx_delay_ms / KISS_UNIT_MS));
        put_byte(d, KISS_PERSISTENCE, d->settings.csma_persistence);
        put_byte(d, KISS_SLOT_TIME, (uint8_t)(d->settings.csma_slot_ms / KISS_UNIT_MS));
        put_byte(d, KISS_TX_TAIL, 0);
        put_byte(d, KISS_FULL_DUPLEX, 0);
    }
    d->step = step;
    d->try_count = 1;
    d->step_deadline_ms = now_ms + REPLY_TIMEOUT_MS;
    put_command(d);
}

static void begin_configuring(struct driver *d, uint64_t now_ms)
{
    d->kit.mode = MODEM_KIT_CONFIGURING;
    begin_step(d, now_ms, STEP_PING);
}

/* ---- sending ----------------------------------------------------------------- */

static void end_tx(struct driver *d, enum modem_tx_result result, const char *why)
{
    modem_kit_end_tx(&d->kit, result, why);
    d->maybe_pending = result == MODEM_TX_UNKNOWN;
}

/* The longest a frame may take from the port to TxDone, barring a jammed channel. */
static uint64_t tx_timeout_ms(const struct driver *d)
{
    /* Slots until the chance of never having won one falls below one in a million. */
    uint32_t left_ppm = 1000000;
    uint32_t slot_count = 0;
    while (left_ppm > 0 && slot_count < 4096) {
        left_ppm -= (left_ppm * (d->settings.csma_persistence + 1u) + 255) / 256;
        slot_count++;
    }
    uint64_t longest_us = airtime_us(d, KISS_HW_PACKET_LEN_MAX);
    uint64_t air_us = longest_us * BUSY_FRAME_COUNT + (uint64_t)d->kit.tx_airtime_us * 3 / 2;
    return air_us / US_PER_MS + (uint64_t)slot_count * d->settings.csma_slot_ms +
           d->settings.tx_delay_ms + SERIAL_MARGIN_MS;
}

static void put_tx(struct driver *d, uint64_t now_ms)
{
    if (!modem_kit_put_kiss(&d->kit, KISS_DATA, d->kit.tx_frame, d->kit.tx_len)) {
        modem_kit_refuse_tx(&d->kit, "the port takes no bytes");
        return;
    }
    modem_kit_give_tx(&d->kit);
    d->tx_deadline_ms = now_ms + tx_timeout_ms(d);
}

/* ---- trouble ----------------------------------------------------------------- */

static struct modem_event *mismatch(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    return modem_kit_mismatch(&d->kit, now_ms, MISMATCH_REST_MS);
}

static void silent(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    modem_kit_say(modem_kit_silent(&d->kit, now_ms, d->silent_rest_ms),
                  "no answer from the modem in %u tries; is it a board with MeshCore's KISS modem "
                  "firmware, and the right port?", (unsigned)TRY_COUNT_MAX);
    d->silent_rest_ms = SILENT_REST_MS_MAX;
}

/* Ready, but the settings are not what they were: it restarted. */
static void restarted(struct driver *d, uint64_t now_ms)
{
    d->kit.stats.restarts_seen++;
    if (d->kit.tx == MODEM_KIT_TX_WAITING)
        modem_kit_refuse_tx(&d->kit, "the modem had lost its settings; the frame was not sent");
    modem_kit_say(modem_kit_push(&d->kit, MODEM_EV_FAULT),
                  "the modem lost its settings (restarted?); configuring it again");
    d->maybe_pending = false;
    begin_configuring(d, now_ms);
}

/* ---- answers ----------------------------------------------------------------- */

static bool radio_equal(const struct driver *d, const uint8_t *data)
{
    uint8_t wanted[KISS_HW_RADIO_LEN];
    store_radio(d, wanted);
    return memcmp(wanted, data, sizeof wanted) == 0;
}

static void on_radio(struct driver *d, uint64_t now_ms, const uint8_t *data)
{
    if (radio_equal(d, data)) {
        begin_step(d, now_ms, d->step == STEP_GET_RADIO ? STEP_GET_POWER : STEP_CHECK_POWER);
    } else if (d->step == STEP_CHECK_RADIO) {
        restarted(d, now_ms);
    } else {
        modem_kit_say(mismatch(d, now_ms),
                      "the modem reads back %" PRIu32 " Hz, %" PRIu32 " Hz wide, SF%u, 4/%u; "
                      "written were %" PRIu32 ", %" PRIu32 ", SF%u, 4/%u",
                      kiss_hw_load32(data), kiss_hw_load32(data + 4), data[8], data[9],
                      d->settings.lora.freq_hz, d->settings.lora.bw_hz, d->settings.lora.sf,
                      d->settings.lora.cr);
    }
}

static void on_power(struct driver *d, uint64_t now_ms, uint8_t raw)
{
    int8_t power_dbm = (int8_t)raw;
    bool checking = d->step == STEP_CHECK_POWER;
    if (power_dbm != d->settings.power_dbm && checking) {
        restarted(d, now_ms);
    } else if (power_dbm != d->settings.power_dbm) {
        modem_kit_say(mismatch(d, now_ms), "the modem reads back %d dBm; written were %d dBm",
                      power_dbm, d->settings.power_dbm);
    } else if (!checking) {
        begin_step(d, now_ms, STEP_GET_AIRTIME);
    } else {
        d->step = STEP_IDLE;
        d->check_at_ms = now_ms + d->settings.ping_idle_ms;
        if (d->kit.tx == MODEM_KIT_TX_WAITING)
            put_tx(d, now_ms);
    }
}

static bool airtime_near(const struct lora_params *lora, uint32_t seen_ms)
{
    uint32_t ms = lora_airtime_us(lora, KISS_HW_PACKET_LEN_MAX) / US_PER_MS;
    return seen_ms + AIRTIME_TOLERANCE_MS >= ms && seen_ms <= ms + AIRTIME_TOLERANCE_MS;
}

/* The radio chip's own view of bandwidth, SF, coding rate and preamble. */
static void on_airtime(struct driver *d, uint64_t now_ms, uint32_t seen_ms)
{
    struct lora_params lora = d->settings.lora;
    lora.preamble_symbols = kiss_hw_preamble_symbols(lora.sf);
    /* Other firmware versions have other preambles: take the longest that fits. */
    if (!airtime_near(&lora, seen_ms)) {
        lora.preamble_symbols = PREAMBLE_SYMBOLS_MAX;
        while (lora.preamble_symbols >= PREAMBLE_SYMBOLS_MIN && !airtime_near(&lora, seen_ms))
            lora.preamble_symbols--;
    }
    if (lora.preamble_symbols < PREAMBLE_SYMBOLS_MIN) {
        modem_kit_say(mismatch(d, now_ms),
                      "the radio would take %" PRIu32 " ms for %u bytes, which fits no preamble "
                      "at SF%u and %" PRIu32 " Hz: it did not take these settings",
                      seen_ms, (unsigned)KISS_HW_PACKET_LEN_MAX, lora.sf, lora.bw_hz);
        return;
    }
    d->lora = lora;
    d->step = STEP_IDLE;
    d->silent_rest_ms = SILENT_REST_MS_MIN;
    d->check_at_ms = now_ms + d->settings.ping_idle_ms;
    modem_kit_ready(&d->kit, &lora);
}

static bool reply_len_right(enum step step, size_t len)
{
    switch (step) {
    case STEP_PING:
    case STEP_SET_RADIO:
    case STEP_SET_POWER: return len == 0;
    case STEP_SET_REPORT:
    case STEP_GET_POWER:
    case STEP_CHECK_POWER: return len == 1;
    case STEP_GET_RADIO:
    case STEP_CHECK_RADIO: return len == KISS_HW_RADIO_LEN;
    case STEP_GET_AIRTIME: return len == KISS_HW_AIRTIME_LEN;
    case STEP_IDLE: break;
    }
    return false;
}

static void on_reply(struct driver *d, uint64_t now_ms, const uint8_t *data, size_t len)
{
    if (!reply_len_right(d->step, len)) {
        d->kit.stats.garbled++; /* cut on the line: asked again at the timeout */
        return;
    }
    switch (d->step) {
    case STEP_PING: begin_step(d, now_ms, STEP_SET_RADIO); break;
    case STEP_SET_RADIO: begin_step(d, now_ms, STEP_SET_POWER); break;
    case STEP_SET_POWER: begin_step(d, now_ms, STEP_SET_REPORT); break;
    case STEP_SET_REPORT: begin_step(d, now_ms, STEP_GET_RADIO); break;
    case STEP_GET_RADIO:
    case STEP_CHECK_RADIO: on_radio(d, now_ms, data); break;
    case STEP_GET_POWER:
    case STEP_CHECK_POWER: on_power(d, now_ms, data[0]); break;
    case STEP_GET_AIRTIME: on_airtime(d, now_ms, kiss_hw_load32(data)); break;
    case STEP_IDLE: break;
    }
}

static void on_error(struct driver *d, uint64_t now_ms, uint8_t code)
{
    if (d->kit.tx == MODEM_KIT_TX_GIVEN) {
        if (code == KISS_HW_ERR_BUSY && d->maybe_pending) {
            modem_kit_refuse_tx(&d->kit, "the modem still holds an earlier frame");
            d->hold_until_ms = now_ms + BUSY_HOLD_MS;
        } else {
            d->kit.stats.unexpected++; /* its output was full; TxDone will tell of the frame */
        }
    } else if (d->step == STEP_IDLE) {
        d->kit.stats.unexpected++;
    } else if (code == KISS_HW_ERR_BUSY || d->kit.mode == MODEM_KIT_READY) {
        d->kit.stats.unexpected++;
        d->step_deadline_ms = now_ms + RETRY_SOON_MS;
    } else {
        uint8_t command = step_command(d->step);
        modem_kit_say(mismatch(d, now_ms),
                      "the modem refuses command 0x%02x with error 0x%02x: too old a firmware, "
                      "or a setting it does not know", command, code);
    }
}

static void on_tx_done(struct driver *d, bool sent)
{
    d->hold_until_ms = 0;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN) {
        end_tx(d, sent ? MODEM_TX_SENT : MODEM_TX_FAILED,
               sent ? "" : "the modem reports that the radio failed to send");
    } else {
        d->kit.stats.unexpected++;
        d->maybe_pending = false;
    }
}

static void on_hardware(struct driver *d, uint64_t now_ms, const uint8_t *data, size_t len)
{
    uint8_t what = data[0];
    if (what == KISS_HW_RX_META && len == 1 + KISS_HW_META_LEN) {
        if (d->rx_held)
            flush_rx(d, data + 1);
        else
            d->kit.stats.unexpected++;
        return;
    }
    /* The report is sent in one go with its frame: after anything else it is lost. */
    flush_rx(d, NULL);
    if (what == KISS_HW_TX_DONE && len == 2)
        on_tx_done(d, data[1] == 1);
    else if (what == KISS_HW_ERROR && len == 2)
        on_error(d, now_ms, data[1]);
    else if (d->step != STEP_IDLE && what == step_reply(d->step))
        on_reply(d, now_ms, data + 1, len - 1);
    else
        d->kit.stats.unexpected++;
}

static void on_data(struct driver *d, uint64_t now_ms, const uint8_t *data, size_t len)
{
    flush_rx(d, NULL);
    if (len == 0 || len > KISS_HW_PACKET_LEN_MAX) {
        d->kit.stats.garbled++;
        return;
    }
    /* Before READY it may come from any network on the factory frequency. */
    if (d->kit.mode != MODEM_KIT_READY) {
        d->kit.stats.unexpected++;
        return;
    }
    memcpy(d->rx_frame, data, len);
    d->rx_len = (uint16_t)len;
    d->rx_held = true;
    d->rx_held_until_ms = now_ms + META_TIMEOUT_MS;
}

static void on_frame(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    const uint8_t *frame = d->decoder.frame;
    size_t len = d->decoder.frame_len;
    if (frame[0] == KISS_DATA) {
        on_data(d, now_ms, frame + 1, len - 1);
    } else if (frame[0] == KISS_SET_HARDWARE && len > 1) {
        on_hardware(d, now_ms, frame + 1, len - 1);
    } else {
        flush_rx(d, NULL);
        d->kit.stats.garbled++;
    }
}

/* ---- the driver table's functions ---------------------------------------------- */

static bool unit_valid(uint16_t ms, unsigned min)
{
    return ms % KISS_UNIT_MS == 0 && ms / KISS_UNIT_MS >= min && ms / KISS_UNIT_MS <= KISS_UNIT_MAX;
}

static int check_settings(const struct modem_settings *s, char text[MODEM_TEXT_LEN])
{
    struct lora_params lora = s->lora;
    lora.preamble_symbols = kiss_hw_preamble_symbols(lora.sf);
    if (!lora_params_valid(&lora))
        return modem_bad_setting(text, "%" PRIu32 " Hz wide, SF%u, 4/%u is no LoRa modulation",
                                 lora.bw_hz, lora.sf, lora.cr);
    if (lora.freq_hz < FREQ_HZ_MIN || lora.freq_hz > FREQ_HZ_MAX)
        return modem_bad_setting(text, "%" PRIu32 " Hz is outside what the radio can do",
                                 lora.freq_hz);
    if (s->power_dbm < POWER_DBM_MIN || s->power_dbm > POWER_DBM_MAX)
        return modem_bad_setting(text, "%d dBm: the radio can do %d to %d", s->power_dbm,
                                 POWER_DBM_MIN, POWER_DBM_MAX);
    if (!unit_valid(s->csma_slot_ms, 1) || !unit_valid(s->tx_delay_ms, 0))
        return modem_bad_setting(text, "slot and delay of channel access must be multiples of "
                                 "10 ms, at most 2550");
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
    d->lora.preamble_symbols = kiss_hw_preamble_symbols(settings->lora.sf);
    d->silent_rest_ms = SILENT_REST_MS_MIN;
    d->maybe_pending = true; /* whoever had the modem before may have left one in it */
    kiss_decoder_init(&d->decoder, KISS_STRICT);
    return MODEM_OK;
}

static void driver_on_close(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    (void)now_ms;
    if (d->rx_held)
        flush_rx(d, NULL);
    /* The frame's last byte is what makes the modem send, and it is last in the output. */
    modem_kit_close(&d->kit, modem_kit_has_output(&d->kit));
    d->step = STEP_IDLE;
    d->hold_until_ms = 0;
}

static void driver_on_open(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    driver_on_close(d, now_ms);
    kiss_decoder_init(&d->decoder, KISS_STRICT);
    d->silent_rest_ms = SILENT_REST_MS_MIN;
    d->maybe_pending = true;
    /* Two FENDs end whatever half a frame the modem holds from an earlier life. */
    static const uint8_t ends[] = { KISS_FEND, KISS_FEND };
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
    put_command(d);
}

static void driver_on_time(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    if (d->kit.mode == MODEM_KIT_CLOSED || !modem_kit_has_room(&d->kit))
        return;
    if (d->rx_held && now_ms >= d->rx_held_until_ms)
        flush_rx(d, NULL);
    if (now_ms >= d->hold_until_ms)
        d->hold_until_ms = 0;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN && now_ms >= d->tx_deadline_ms) {
        end_tx(d, MODEM_TX_UNKNOWN, "the modem did not report the frame sent in time");
        d->check_at_ms = now_ms;
    }
    if (d->step != STEP_IDLE && now_ms >= d->step_deadline_ms)
        on_step_timeout(d, now_ms);
    if (d->kit.mode == MODEM_KIT_RESTING && now_ms >= d->kit.rest_until_ms)
        begin_configuring(d, now_ms);
    if (d->kit.mode == MODEM_KIT_READY && d->step == STEP_IDLE && d->kit.tx == MODEM_KIT_TX_NONE &&
        now_ms >= d->check_at_ms)
        begin_step(d, now_ms, STEP_CHECK_RADIO);
}

static bool driver_can_send(const void *state)
{
    const struct driver *d = state;
    return modem_kit_can_send(d) && d->hold_until_ms == 0;
}

static int driver_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    struct driver *d = state;
    int err = modem_kit_take(&d->kit, driver_can_send(d), frame, len, airtime_us(d, len));
    if (err != MODEM_OK)
        return err;
    if (d->step == STEP_IDLE) /* else the check that is under way serves */
        begin_step(d, now_ms, STEP_CHECK_RADIO);
    return MODEM_OK;
}

static uint64_t driver_next_deadline(const void *state)
{
    const struct driver *d = state;
    uint64_t at_ms = MODEM_NEVER;
    if (d->kit.mode == MODEM_KIT_CLOSED)
        return at_ms;
    if (d->rx_held)
        at_ms = modem_kit_earlier(at_ms, d->rx_held_until_ms);
    if (d->hold_until_ms > 0)
        at_ms = modem_kit_earlier(at_ms, d->hold_until_ms);
    if (d->kit.tx == MODEM_KIT_TX_GIVEN)
        at_ms = modem_kit_earlier(at_ms, d->tx_deadline_ms);
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
    modem_kit_air("lora", &d->lora, d->settings.power_dbm, air_out);
}

const struct modem_driver modem_kiss_driver = {
    .name = "meshcore-kiss",
    .description = "boards with MeshCore's KISS modem firmware, on USB or a serial line",
    .baud = KISS_HW_BAUD,
    .caps = {
        .mtu_len = KISS_HW_PACKET_LEN_MAX,
        .overhead_len = 0,
        .tx_pending_count = 1,
        .cca = MODEM_CCA_IN_MODEM,
        .has_rssi = true,
        .has_snr = true,
        .reports_tx_done = true,
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
    .can_send = driver_can_send,
    .next_deadline = driver_next_deadline,
    .airtime_us = airtime_us,
    .air = driver_air,
    .stats = modem_kit_stats,
};
