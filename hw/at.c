#include "hw/at.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/rnode_hw.h"

enum {
    ANSWER_TIMEOUT_MS = 1000, /* 250 ms of it a long line at 9600 baud, the rest a busy host */
    TRY_COUNT_MAX = 3,
    AGAIN_MS = 150,
    BUSY_MS = 300,
    BUSY_COUNT_MAX = 20,
    TX_MARGIN_MS = 2000,      /* for what a modem may take beside line and airtime */
    LINE_GAP_MS = 500,        /* half a line that is older belongs to nothing */
    PING_IDLE_MS = 60000,
    SILENT_REST_MS = 2000,
    MISMATCH_REST_MS = 2000,
    RESTART_COUNT_MAX = 5,    /* while configuring */

    BITS_PER_BYTE = 10,
    US_PER_MS = 1000,
    MS_PER_S = 1000,
};

/* ---- lines -------------------------------------------------------------------------- */

bool at_word(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

bool at_number(const char **at, long min, long max, long *value_out)
{
    char *end;
    if (**at != '-' && !isdigit((unsigned char)**at))
        return false;
    long value = strtol(*at, &end, 10);
    if (end == *at || value < min || value > max)
        return false;
    *at = end;
    *value_out = value;
    return true;
}

bool at_is(const char *line, const char *word)
{
    return strcmp(line, word) == 0;
}

void at_hex_put(char *hex, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        *hex++ = digits[bytes[i] >> 4];
        *hex++ = digits[bytes[i] & 0xf];
    }
    *hex = '\0';
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return p ? (int)(p - digits) : -1;
}

bool at_hex_take(const char *hex, size_t digit_count, uint8_t *bytes, size_t cap, size_t *len_out)
{
    if (digit_count == 0 || digit_count % 2 != 0 || digit_count / 2 > cap)
        return false;
    for (size_t i = 0; i < digit_count / 2; i++) {
        int hi = hex_value(hex[2 * i]), lo = hex_value(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        bytes[i] = (uint8_t)(hi << 4 | lo);
    }
    *len_out = digit_count / 2;
    return true;
}

/* ---- events ------------------------------------------------------------------------- */

enum at_verdict at_say(struct at *a, enum at_verdict verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(a->why, sizeof a->why, format, args); /* cut when too long */
    va_end(args);
    return verdict;
}

void at_heard(struct at *a, const uint8_t *frame, size_t len, bool has_signal, int16_t rssi_dbm,
              int16_t snr_db_x4)
{
    /* Before READY it may come from any network on the settings before. */
    if (a->kit.mode != MODEM_KIT_READY || len > a->dialect->mtu_len) {
        a->kit.stats.unexpected++;
        return;
    }
    modem_kit_heard(&a->kit, frame, len, has_signal, rssi_dbm, snr_db_x4);
}

/* ---- asking ------------------------------------------------------------------------- */

static uint64_t line_time_ms(const struct at *a, size_t len)
{
    return (uint64_t)len * BITS_PER_BYTE * MS_PER_S / a->dialect->baud + 1;
}

/* False: the port takes nothing. */
static bool put_question(struct at *a, uint64_t now_ms)
{
    char line[AT_LINE_LEN];
    (void)a->dialect->question(a, a->step, line); /* it was there when the step began */
    size_t len = strlen(line);
    assert(len + 2 < sizeof line);
    memcpy(line + len, "\r\n", 2);
    a->asked = true;
    a->answered = false;
    a->step_until_ms = now_ms + ANSWER_TIMEOUT_MS;
    if (!modem_kit_put(&a->kit, line, len + 2))
        return false;
    if (a->step == a->dialect->send_step) {
        modem_kit_give_tx(&a->kit);
        a->tx_from_ms = now_ms + line_time_ms(a, len + 2);
        a->tx_until_ms = MODEM_NEVER;
        a->step_until_ms = a->tx_from_ms + a->kit.tx_airtime_us / US_PER_MS + TX_MARGIN_MS;
    }
    return true;
}

static void become_ready(struct at *a)
{
    a->restart_count = 0;
    modem_kit_ready(&a->kit, &a->lora);
}

/* The first step from there on that there is; after the last one the modem is ready. */
static void begin_step(struct at *a, uint64_t now_ms, unsigned step)
{
    char line[AT_LINE_LEN];
    const struct at_dialect *d = a->dialect;
    while (step < d->step_count &&
           ((step == d->send_step &&
             (a->kit.mode != MODEM_KIT_READY || a->kit.tx != MODEM_KIT_TX_WAITING)) ||
            !d->question(a, step, line)))
        step++;
    a->try_count = 1;
    a->why[0] = '\0';
    if (step == d->check_step)
        a->tx_lost_count = a->kit.stats.replies_lost;
    if (step < d->step_count) {
        a->step = (uint8_t)step;
        if (!put_question(a, now_ms) && step == d->send_step) {
            modem_kit_refuse_tx(&a->kit, "the port takes no bytes");
            begin_step(a, now_ms, step + 1);
        }
        return;
    }
    a->step = AT_STEP_NONE;
    a->check_at_ms = now_ms + a->settings.ping_idle_ms;
    if (a->kit.mode == MODEM_KIT_CONFIGURING)
        become_ready(a);
}

static void begin_configuring(struct at *a, uint64_t now_ms)
{
    a->kit.mode = MODEM_KIT_CONFIGURING;
    begin_step(a, now_ms, 0);
}

/* ---- trouble ------------------------------------------------------------------------ */

static void mismatch(struct at *a, uint64_t now_ms)
{
    a->step = AT_STEP_NONE;
    modem_kit_say(modem_kit_mismatch(&a->kit, now_ms, MISMATCH_REST_MS), "%s", a->why);
}

static void silent(struct at *a, uint64_t now_ms)
{
    a->step = AT_STEP_NONE;
    modem_kit_say(modem_kit_silent(&a->kit, now_ms, SILENT_REST_MS),
                  "no answer from the modem in %u tries; is it %s at %" PRIu32
                  " baud, and the right port?", (unsigned)TRY_COUNT_MAX, a->dialect->name,
                  a->dialect->baud);
}

static void lost_settings(struct at *a, uint64_t now_ms)
{
    if (a->kit.tx == MODEM_KIT_TX_WAITING)
        modem_kit_refuse_tx(&a->kit, "the modem had lost its settings; the frame was not sent");
    else if (a->kit.tx == MODEM_KIT_TX_GIVEN)
        modem_kit_end_tx(&a->kit, MODEM_TX_UNKNOWN,
                         "the modem restarted before it can have sent the frame whole");
    a->kit.stats.restarts_seen++;
    modem_kit_say(modem_kit_push(&a->kit, MODEM_EV_FAULT),
                  "the modem lost its settings (restarted?); configuring it again%s%s",
                  a->why[0] ? ": " : "", a->why);
    begin_configuring(a, now_ms);
}

void at_restarted(struct at *a, uint64_t now_ms)
{
    a->why[0] = '\0';
    if (a->kit.mode == MODEM_KIT_READY) {
        lost_settings(a, now_ms);
    } else if (a->kit.mode == MODEM_KIT_CONFIGURING && ++a->restart_count > RESTART_COUNT_MAX) {
        a->restart_count = 0;
        (void)at_say(a, AT_WRONG, "the modem restarts again and again: is its power supply weak?");
        mismatch(a, now_ms);
    } else if (a->kit.mode == MODEM_KIT_CONFIGURING) {
        begin_configuring(a, now_ms);
    }
}

/* ---- answers ------------------------------------------------------------------------ */

static void again(struct at *a, uint64_t now_ms)
{
    a->asked = false;
    a->step_until_ms = now_ms + AGAIN_MS;
    if (a->step != a->dialect->send_step)
        return;
    modem_kit_take_back_tx(&a->kit);
    a->tx_from_ms = now_ms + BUSY_MS;
    if (++a->tx_try_count > BUSY_COUNT_MAX)
        modem_kit_refuse_tx(&a->kit, "the modem stays busy; the frame was not sent");
    begin_step(a, now_ms, a->step + 1u); /* the checks and the frame come again afterwards */
}

/* The step is over; what a frame of its end was told has been told. */
static void next(struct at *a, uint64_t now_ms)
{
    if (a->step != AT_STEP_NONE)
        begin_step(a, now_ms, a->step + 1u);
}

static void on_verdict(struct at *a, uint64_t now_ms, enum at_verdict verdict)
{
    bool sending = a->step == a->dialect->send_step;
    /* An error may answer a question that was asked twice: then the frame may be on air. */
    if (sending && (verdict == AT_AGAIN || verdict == AT_REFUSED) &&
        a->kit.stats.replies_lost != a->tx_lost_count)
        verdict = AT_FAILED;
    switch (verdict) {
    case AT_OTHER:
        a->kit.stats.unexpected++;
        break;
    case AT_MORE:
        break;
    case AT_DONE:
        if (sending)
            modem_kit_end_tx(&a->kit, MODEM_TX_SENT, "");
        next(a, now_ms);
        break;
    case AT_AGAIN:
        again(a, now_ms);
        break;
    case AT_WRONG:
        if (a->kit.mode == MODEM_KIT_READY)
            lost_settings(a, now_ms);
        else
            mismatch(a, now_ms);
        break;
    case AT_REFUSED:
        modem_kit_refuse_tx(&a->kit, a->why);
        next(a, now_ms);
        break;
    case AT_FAILED:
        modem_kit_end_tx(&a->kit, MODEM_TX_FAILED, a->why);
        next(a, now_ms);
        break;
    }
}

static bool is_echo(struct at *a)
{
    char line[AT_LINE_LEN];
    return a->step != AT_STEP_NONE && a->dialect->question(a, a->step, line) &&
           at_is(a->line, line);
}

static void start_waiting(struct at *a, uint64_t now_ms)
{
    if (a->kit.mode == MODEM_KIT_READY && a->step == AT_STEP_NONE &&
        a->kit.tx == MODEM_KIT_TX_WAITING && now_ms >= a->tx_from_ms)
        begin_step(a, now_ms, a->dialect->check_step);
}

static void on_line(struct at *a, uint64_t now_ms)
{
    uint64_t heard_count = a->kit.stats.rx_frames;
    if (is_echo(a))
        return;
    if (a->dialect->report(a, now_ms, a->line, a->line_len)) {
        if (a->kit.stats.rx_frames > heard_count)
            a->check_at_ms = now_ms + a->settings.ping_idle_ms; /* it is not silent */
        return;
    }
    if (a->step == AT_STEP_NONE || !a->asked)
        a->kit.stats.unexpected++;
    else
        on_verdict(a, now_ms, a->dialect->answer(a, now_ms, a->step, a->line));
}

static void end_line(struct at *a, uint64_t now_ms)
{
    if (a->line_over) {
        a->kit.stats.garbled++;
    } else {
        while (a->line_len > 0 && a->line[a->line_len - 1] == '\r')
            a->line_len--;
        a->line[a->line_len] = '\0';
        if (a->line_len > 0)
            on_line(a, now_ms);
    }
    a->line_len = 0;
    a->line_over = false;
}

static void on_byte(struct at *a, uint64_t now_ms, uint8_t byte)
{
    bool (*is_whole)(const char *line, size_t len) = a->dialect->is_whole;
    if ((a->line_len > 0 || a->line_over) && now_ms > a->line_ms + LINE_GAP_MS) {
        a->kit.stats.garbled++;
        a->line_len = 0;
        a->line_over = false;
    }
    a->line_ms = now_ms;
    if (byte == '\n' && (a->line_over || !is_whole || is_whole(a->line, a->line_len)))
        end_line(a, now_ms);
    else if (a->line_len + 1u < sizeof a->line)
        a->line[a->line_len++] = (char)byte;
    else
        a->line_over = true;
}

/* ---- modems that send plain LoRa ---------------------------------------------------- */

int at_raw_options(struct at *a, const struct modem_settings *settings,
                   char text[MODEM_TEXT_LEN])
{
    char header[8] = "";
    struct modem_option known[] = { { .key = "header", .text = header,
                                      .text_cap = sizeof header } };
    int err = modem_options_read(settings, known, 1, text);
    if (err != MODEM_OK)
        return err;
    a->header_len = at_is(header, "rnode") ? RNODE_HEADER_LEN : 0;
    if (header[0] && a->header_len == 0)
        return modem_bad_setting(text, "option header can be rnode, not '%s'", header);
    if (a->header_len > 0 && rnode_ldro(&settings->lora) != lora_ldro(&settings->lora))
        return modem_bad_setting(text, "SF%u at %" PRIu32 " Hz: RNode sends it without the "
                                 "low-rate optimisation, it would not be heard",
                                 settings->lora.sf, settings->lora.bw_hz);
    return MODEM_OK;
}

size_t at_raw_air_len(const struct at *a, size_t len)
{
    return len + a->header_len;
}

void at_raw_put(struct at *a, char *hex)
{
    uint8_t frame[RNODE_HEADER_LEN + MODEM_FRAME_LEN_MAX];
    frame[0] = (uint8_t)(a->kit.stats.tx_sent << 4); /* any number, and no half of a packet */
    memcpy(frame + a->header_len, a->kit.tx_frame, a->kit.tx_len);
    at_hex_put(hex, frame, (size_t)a->kit.tx_len + a->header_len);
}

void at_raw_heard(struct at *a, const char *hex, size_t digit_count, bool has_signal,
                  int16_t rssi_dbm, int16_t snr_db_x4)
{
    uint8_t frame[MODEM_FRAME_LEN_MAX];
    size_t len;
    if (!at_hex_take(hex, digit_count, frame, sizeof frame, &len))
        a->kit.stats.garbled++;
    else if (len <= a->header_len || (a->header_len > 0 && frame[0] & RNODE_SPLIT))
        a->kit.stats.unexpected++; /* empty, or half of a packet longer than ours */
    else
        at_heard(a, frame + a->header_len, len - a->header_len, has_signal, rssi_dbm, snr_db_x4);
}

void at_raw_air(const void *state, struct modem_air *air_out)
{
    const struct at *a = state;
    modem_kit_air(a->header_len > 0 ? "rnode" : "lora", &a->lora, a->settings.power_dbm, air_out);
}

/* ---- the driver table's functions --------------------------------------------------- */

void at_init(struct at *a, const struct at_dialect *dialect, const struct modem_settings *settings,
             const struct lora_params *lora)
{
    a->dialect = dialect;
    a->settings = *settings;
    if (a->settings.ping_idle_ms == 0)
        a->settings.ping_idle_ms = PING_IDLE_MS;
    a->lora = *lora;
    a->step = AT_STEP_NONE;
}

void at_on_close(void *state, uint64_t now_ms)
{
    struct at *a = state;
    (void)now_ms;
    /* The line's last byte is what makes the modem send, and it is last in the output. */
    modem_kit_close(&a->kit, modem_kit_has_output(&a->kit));
    a->step = AT_STEP_NONE;
}

void at_on_open(void *state, uint64_t now_ms)
{
    struct at *a = state;
    at_on_close(a, now_ms);
    a->line_len = 0;
    a->line_over = a->has_signal = false;
    a->restart_count = 0;
    /* It ends whatever half a line the modem holds, and wakes one that sleeps. */
    (void)modem_kit_put(&a->kit, "\r\n", 2); /* it is empty */
    begin_configuring(a, now_ms);
}

size_t at_on_bytes(void *state, uint64_t now_ms, const uint8_t *buf, size_t len)
{
    struct at *a = state;
    size_t taken = 0;
    for (; taken < len && modem_kit_has_room(&a->kit); taken++) {
        if (a->kit.mode != MODEM_KIT_CLOSED)
            on_byte(a, now_ms, buf[taken]);
        start_waiting(a, now_ms);
    }
    return taken;
}

static void on_step_time(struct at *a, uint64_t now_ms)
{
    if (a->step == a->dialect->send_step && a->kit.tx == MODEM_KIT_TX_GIVEN) {
        modem_kit_end_tx(&a->kit, MODEM_TX_UNKNOWN,
                         "the modem does not say that the frame was sent");
        next(a, now_ms);
        a->check_at_ms = now_ms;
    } else if (a->try_count < TRY_COUNT_MAX) {
        a->try_count++;
        a->kit.stats.replies_lost++;
        (void)put_question(a, now_ms); /* no room: the next time-out will tell */
    } else if (a->why[0]) {
        on_verdict(a, now_ms, AT_WRONG); /* it did answer, but not well */
    } else {
        silent(a, now_ms);
    }
}

void at_on_time(void *state, uint64_t now_ms)
{
    struct at *a = state;
    if (a->kit.mode == MODEM_KIT_CLOSED || !modem_kit_has_room(&a->kit))
        return;
    if (a->kit.tx == MODEM_KIT_TX_GIVEN && now_ms >= a->tx_until_ms) {
        modem_kit_end_tx(&a->kit, MODEM_TX_SENT, "");
        next(a, now_ms);
    }
    if (a->step != AT_STEP_NONE && now_ms >= a->step_until_ms)
        on_step_time(a, now_ms);
    if (a->kit.mode == MODEM_KIT_RESTING && now_ms >= a->kit.rest_until_ms)
        begin_configuring(a, now_ms);
    start_waiting(a, now_ms);
    if (a->kit.mode == MODEM_KIT_READY && a->step == AT_STEP_NONE &&
        a->kit.tx == MODEM_KIT_TX_NONE && now_ms >= a->check_at_ms)
        begin_step(a, now_ms, a->dialect->idle_step);
}

int at_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    struct at *a = state;
    int err = modem_kit_take(&a->kit, modem_kit_can_send(a), frame, len, at_airtime_us(a, len));
    if (err != MODEM_OK)
        return err;
    a->tx_from_ms = now_ms;
    a->tx_try_count = 0;
    start_waiting(a, now_ms);
    return MODEM_OK;
}

uint64_t at_next_deadline(const void *state)
{
    const struct at *a = state;
    uint64_t at_ms = MODEM_NEVER;
    if (a->kit.mode == MODEM_KIT_CLOSED)
        return at_ms;
    if (a->step != AT_STEP_NONE)
        at_ms = a->step_until_ms;
    if (a->kit.tx == MODEM_KIT_TX_GIVEN)
        at_ms = modem_kit_earlier(at_ms, a->tx_until_ms);
    if (a->kit.mode == MODEM_KIT_RESTING)
        at_ms = modem_kit_earlier(at_ms, a->kit.rest_until_ms);
    if (a->kit.mode == MODEM_KIT_READY && a->step == AT_STEP_NONE)
        at_ms = modem_kit_earlier(at_ms, a->kit.tx == MODEM_KIT_TX_WAITING ? a->tx_from_ms
                                                                          : a->check_at_ms);
    return at_ms;
}

uint32_t at_airtime_us(const void *state, size_t len)
{
    const struct at *a = state;
    return lora_airtime_us(&a->lora, a->dialect->air_len(a, len));
}
