#include "hw/modem_kit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool modem_kit_has_room(const struct modem_kit *kit)
{
    return kit->event_count + MODEM_KIT_ROOM <= MODEM_KIT_EVENT_COUNT;
}

struct modem_event *modem_kit_push(struct modem_kit *kit, enum modem_event_type type)
{
    assert(kit->event_count < MODEM_KIT_EVENT_COUNT);
    unsigned index = (kit->event_first + kit->event_count) % MODEM_KIT_EVENT_COUNT;
    kit->event_count++;
    kit->events[index] = (struct modem_event){ .type = type };
    return &kit->events[index];
}

void modem_kit_say(struct modem_event *ev, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ev->text, sizeof ev->text, format, args); /* cut when too long */
    va_end(args);
}

void modem_kit_ready(struct modem_kit *kit, const struct lora_params *lora)
{
    kit->mode = MODEM_KIT_READY;
    kit->mismatch_count = 0;
    kit->stats.configured++;
    modem_kit_push(kit, MODEM_EV_READY)->lora = *lora;
}

static void rest(struct modem_kit *kit, uint64_t until_ms)
{
    kit->mode = MODEM_KIT_RESTING;
    kit->rest_until_ms = until_ms;
}

struct modem_event *modem_kit_mismatch(struct modem_kit *kit, uint64_t now_ms, uint32_t rest_ms)
{
    for (unsigned i = 0; i < kit->mismatch_count && rest_ms < MODEM_KIT_REST_MS_MAX; i++)
        rest_ms *= 2;
    if (rest_ms > MODEM_KIT_REST_MS_MAX)
        rest_ms = MODEM_KIT_REST_MS_MAX;
    if (kit->mismatch_count < UINT8_MAX)
        kit->mismatch_count++;
    kit->stats.mismatches++;
    rest(kit, now_ms + rest_ms);
    return modem_kit_push(kit, MODEM_EV_MISMATCH);
}

struct modem_event *modem_kit_silent(struct modem_kit *kit, uint64_t now_ms, uint32_t rest_ms)
{
    if (kit->tx == MODEM_KIT_TX_WAITING)
        modem_kit_refuse_tx(kit, "the modem does not answer; the frame was not sent");
    kit->stats.silences++;
    rest(kit, now_ms + rest_ms);
    return modem_kit_push(kit, MODEM_EV_SILENT);
}

void modem_kit_heard(struct modem_kit *kit, const uint8_t *frame, size_t len, bool has_signal,
                     int16_t rssi_dbm, int16_t snr_db_x4)
{
    struct modem_event *ev = modem_kit_push(kit, MODEM_EV_RX);
    memcpy(ev->frame, frame, len);
    ev->len = (uint16_t)len;
    ev->has_signal = has_signal;
    if (has_signal) {
        ev->rssi_dbm = rssi_dbm;
        ev->snr_db_x4 = snr_db_x4;
    }
    kit->stats.rx_without_signal += !has_signal;
    kit->stats.rx_frames++;
    kit->stats.rx_bytes += len;
}

/* ---- sending ------------------------------------------------------------------------ */

int modem_kit_take(struct modem_kit *kit, bool can_send, const uint8_t *frame, size_t len,
                   uint32_t airtime_us)
{
    if (kit->mode != MODEM_KIT_READY)
        return MODEM_ENOTREADY;
    if (!can_send)
        return MODEM_EBUSY;
    memcpy(kit->tx_frame, frame, len);
    kit->tx_len = (uint16_t)len;
    kit->tx_airtime_us = airtime_us;
    kit->tx = MODEM_KIT_TX_WAITING;
    return MODEM_OK;
}

void modem_kit_give_tx(struct modem_kit *kit)
{
    kit->tx = MODEM_KIT_TX_GIVEN;
    kit->stats.tx_bytes += kit->tx_len;
    kit->stats.tx_airtime_us += kit->tx_airtime_us;
}

void modem_kit_take_back_tx(struct modem_kit *kit)
{
    if (kit->tx == MODEM_KIT_TX_GIVEN) {
        kit->stats.tx_bytes -= kit->tx_len;
        kit->stats.tx_airtime_us -= kit->tx_airtime_us;
    }
    kit->tx = MODEM_KIT_TX_WAITING;
}

void modem_kit_refuse_tx(struct modem_kit *kit, const char *why)
{
    modem_kit_take_back_tx(kit);
    kit->tx = MODEM_KIT_TX_NONE;
    kit->stats.tx_refused++;
    modem_kit_say(modem_kit_push(kit, MODEM_EV_REFUSED), "%s", why);
}

void modem_kit_end_tx(struct modem_kit *kit, enum modem_tx_result result, const char *why)
{
    struct modem_event *ev = modem_kit_push(kit, MODEM_EV_TX_DONE);
    ev->tx_result = result;
    ev->airtime_us = kit->tx_airtime_us;
    modem_kit_say(ev, "%s", why);
    kit->stats.tx_sent += result == MODEM_TX_SENT;
    kit->stats.tx_failed += result == MODEM_TX_FAILED;
    kit->stats.tx_unknown += result == MODEM_TX_UNKNOWN;
    kit->tx = MODEM_KIT_TX_NONE;
}

void modem_kit_close(struct modem_kit *kit, bool unsent)
{
    if (kit->tx == MODEM_KIT_TX_WAITING || (kit->tx == MODEM_KIT_TX_GIVEN && unsent))
        modem_kit_refuse_tx(kit, "the port closed before the frame was written");
    else if (kit->tx == MODEM_KIT_TX_GIVEN)
        modem_kit_end_tx(kit, MODEM_TX_UNKNOWN,
                         "the port closed before the frame was known to be sent");
    kit->out_at = kit->out_len = 0;
    kit->mode = MODEM_KIT_CLOSED;
    kit->mismatch_count = 0;
}

/* ---- the port ----------------------------------------------------------------------- */

/* Where the next bytes go; what was taken makes room once all is. */
static uint8_t *out_end(struct modem_kit *kit, size_t *room_out)
{
    if (kit->out_at == kit->out_len)
        kit->out_at = kit->out_len = 0;
    *room_out = (size_t)(MODEM_KIT_OUT_LEN - kit->out_len);
    return kit->out + kit->out_len;
}

bool modem_kit_put(struct modem_kit *kit, const void *bytes, size_t len)
{
    size_t room;
    uint8_t *end = out_end(kit, &room);
    if (len > room)
        return false;
    memcpy(end, bytes, len);
    kit->out_len = (uint16_t)(kit->out_len + len);
    return true;
}

bool modem_kit_put_kiss(struct modem_kit *kit, uint8_t type, const uint8_t *payload, size_t len)
{
    size_t room;
    uint8_t *end = out_end(kit, &room);
    size_t n = kiss_encode(type, payload, len, end, room);
    kit->out_len = (uint16_t)(kit->out_len + n);
    return n > 0;
}

size_t modem_kit_output_len(const struct modem_kit *kit)
{
    return (size_t)(kit->out_len - kit->out_at);
}

bool modem_kit_has_output(const struct modem_kit *kit)
{
    return modem_kit_output_len(kit) > 0;
}

size_t modem_kit_on_kiss(struct modem_kit *kit, struct kiss_decoder *decoder, uint64_t now_ms,
                         const uint8_t *buf, size_t len,
                         void (*on_frame)(void *state, uint64_t now_ms))
{
    size_t taken = 0;
    for (; taken < len && modem_kit_has_room(kit); taken++) {
        if (kit->mode == MODEM_KIT_CLOSED)
            continue;
        enum kiss_verdict verdict = kiss_decode(decoder, buf[taken]);
        if (verdict == KISS_FRAME)
            on_frame(kit, now_ms);
        else if (verdict == KISS_GARBLED)
            kit->stats.garbled++;
    }
    return taken;
}

uint64_t modem_kit_earlier(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

void modem_kit_air(const char *family, const struct lora_params *lora, int8_t power_dbm,
                   struct modem_air *air_out)
{
    *air_out = (struct modem_air){ .lora = *lora, .power_dbm = power_dbm };
    (void)snprintf(air_out->interop, sizeof air_out->interop, "%s:%" PRIu32 ":%" PRIu32 ":%u",
                   family, lora->freq_hz, lora->bw_hz, lora->sf);
}

/* ---- the driver table's functions --------------------------------------------------- */

size_t modem_kit_poll_output(void *state, uint64_t now_ms, uint8_t *buf, size_t cap)
{
    struct modem_kit *kit = state;
    size_t len = modem_kit_output_len(kit);
    (void)now_ms;
    if (len > cap)
        len = cap;
    memcpy(buf, kit->out + kit->out_at, len);
    kit->out_at = (uint16_t)(kit->out_at + len);
    return len;
}

bool modem_kit_poll_event(void *state, uint64_t now_ms, struct modem_event *event_out)
{
    struct modem_kit *kit = state;
    (void)now_ms;
    if (kit->event_count == 0)
        return false;
    *event_out = kit->events[kit->event_first];
    kit->event_first = (uint8_t)((kit->event_first + 1) % MODEM_KIT_EVENT_COUNT);
    kit->event_count--;
    return true;
}

bool modem_kit_can_send(const void *state)
{
    const struct modem_kit *kit = state;
    return kit->mode == MODEM_KIT_READY && kit->tx == MODEM_KIT_TX_NONE &&
           modem_kit_has_room(kit);
}

void modem_kit_stats(const void *state, struct modem_stats *stats_out)
{
    const struct modem_kit *kit = state;
    *stats_out = kit->stats;
}
