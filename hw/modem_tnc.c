#include "hw/modem_tnc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hw/ax25.h"
#include "hw/kiss.h"
#include "hw/modem_kit.h"

enum {
    BAUD = 115200,
    BAUD_MIN = 1200,
    BAUD_MAX = 921600,
    BITS_PER_BYTE = 10,
    MTU_LEN = LORA_PAYLOAD_LEN_MAX - AX25_HEADER_LEN,
    PERSISTENCE = 255, /* as soon as the channel is free: the node has spread its frames */
    KISS_UNIT_MS = 10,
    KISS_UNIT_MAX = 255,
    BOOT_MS = 2000,    /* many a board starts anew when its port is opened */
    BUSY_MS = 100,     /* for a TNC that looks at its line now and then */
    POWER_DBM_MAX = 30,
    CONTENTS_LEN = 8,
    US_PER_MS = 1000,
    MS_PER_S = 1000,
};

/* Whom all of them speak to. */
static const char group_call[] = "KENG";

struct driver {
    struct modem_settings settings;
    uint32_t baud;
    uint8_t header[AX25_HEADER_LEN], group[AX25_ADDRESS_LEN];
    bool open, port_told, ready;
    uint64_t ready_ms;
    bool sending;
    uint64_t tx_done_ms;
    uint32_t tx_airtime_us;
    uint16_t tx_len;
    struct kiss_decoder decoder;
    struct modem_kit kit;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");

static uint32_t airtime_us(const struct driver *d, size_t len)
{
    return lora_airtime_us(&d->settings.lora, AX25_HEADER_LEN + len);
}

/* ---- from the TNC ---------------------------------------------------------------------- */

static void on_frame(struct driver *d)
{
    const uint8_t *frame = d->decoder.frame + 1;
    size_t len = d->decoder.frame_len - 1u, at;
    if (d->decoder.frame[0] != KISS_DATA || !ax25_content(frame, len, d->group, &at) ||
        at == len || len - at > MTU_LEN) {
        d->kit.stats.unexpected++; /* other amateurs' traffic */
        return;
    }
    struct modem_event *ev = modem_kit_push(&d->kit, MODEM_EV_RX);
    ev->len = (uint16_t)(len - at);
    memcpy(ev->frame, frame + at, ev->len);
    d->kit.stats.rx_without_signal++;
    d->kit.stats.rx_frames++;
    d->kit.stats.rx_bytes += ev->len;
}

/* ---- the driver table's functions ----------------------------------------------------------- */

static int check_settings(const struct modem_settings *s, char text[MODEM_TEXT_LEN])
{
    if (!lora_params_valid(&s->lora))
        return modem_bad_setting(text, "%" PRIu32 " Hz wide, SF%u, 4/%u is no LoRa modulation",
                                 s->lora.bw_hz, s->lora.sf, s->lora.cr);
    if (s->power_dbm > POWER_DBM_MAX)
        return modem_bad_setting(text, "%d dBm: a TNC has %d at most", s->power_dbm,
                                 POWER_DBM_MAX);
    return MODEM_OK;
}

static int driver_init(void *state, const struct modem_settings *settings, uint64_t now_ms,
                       char text[MODEM_TEXT_LEN])
{
    struct driver *d = state;
    uint8_t from[AX25_ADDRESS_LEN], group[AX25_ADDRESS_LEN];
    char contents[CONTENTS_LEN] = "";
    struct modem_option known[] = {
        { .key = "contents", .text = contents, .text_cap = sizeof contents },
        { .key = "baud", .min = BAUD_MIN, .max = BAUD_MAX, .value = BAUD },
    };
    (void)now_ms; /* nothing is due before the port is open */
    int err = check_settings(settings, text);
    if (err == MODEM_OK)
        err = modem_options_read(settings, known, sizeof known / sizeof known[0], text);
    if (err != MODEM_OK)
        return err;
    if (!ax25_is_call_sign(settings->amateur_call) ||
        !ax25_address(settings->amateur_call, from) || !ax25_address(group_call, group))
        return modem_bad_setting(text, "amateur_call '%s' is no call sign like XV9ABC or XV9ABC-7",
                                 settings->amateur_call);
    if (strcmp(contents, "open") != 0)
        return modem_bad_setting(text, "amateurs may hide nothing: option contents=open says that "
                                 "all which this network sends can be read by anybody");
    memset(d, 0, sizeof *d);
    d->settings = *settings;
    d->baud = (uint32_t)known[1].value;
    memcpy(d->group, group, sizeof group);
    ax25_header(group, from, d->header);
    kiss_decoder_init(&d->decoder, KISS_STRICT);
    return MODEM_OK;
}

static void end_tx(struct driver *d, enum modem_tx_result result, const char *why)
{
    struct modem_event *ev = modem_kit_push(&d->kit, MODEM_EV_TX_DONE);
    ev->tx_result = result;
    ev->airtime_us = d->tx_airtime_us;
    modem_kit_say(ev, "%s", why);
    d->kit.stats.tx_sent += result == MODEM_TX_SENT;
    d->kit.stats.tx_unknown += result == MODEM_TX_UNKNOWN;
    d->sending = false;
}

static void refuse_tx(struct driver *d, const char *why)
{
    d->kit.stats.tx_bytes -= d->tx_len;
    d->kit.stats.tx_airtime_us -= d->tx_airtime_us;
    d->kit.stats.tx_refused++;
    modem_kit_say(modem_kit_push(&d->kit, MODEM_EV_REFUSED), "%s", why);
    d->sending = false;
}

static void driver_on_close(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    (void)now_ms;
    /* The frame's last byte is what makes the TNC send, and it is last in the output. */
    if (d->sending && modem_kit_has_output(&d->kit))
        refuse_tx(d, "the port closed before the frame was written");
    else if (d->sending)
        end_tx(d, MODEM_TX_UNKNOWN, "the port closed before the frame can have been sent");
    modem_kit_drop_output(&d->kit);
    d->open = d->ready = false;
}

/* In KISS's own units of 10 ms. */
static uint8_t units(uint32_t ms)
{
    uint32_t v = ms / KISS_UNIT_MS;
    return (uint8_t)(v < KISS_UNIT_MAX ? v : KISS_UNIT_MAX);
}

static bool put_parameter(struct driver *d, uint8_t type, uint8_t value)
{
    return modem_kit_put_kiss(&d->kit, type, &value, 1);
}

static bool put_parameters(struct driver *d)
{
    return put_parameter(d, KISS_TX_DELAY, units(d->settings.tx_delay_ms)) &&
           put_parameter(d, KISS_PERSISTENCE, PERSISTENCE) &&
           put_parameter(d, KISS_SLOT_TIME, units(d->settings.csma_slot_ms)) &&
           put_parameter(d, KISS_TX_TAIL, 0) && put_parameter(d, KISS_FULL_DUPLEX, 0);
}

static void driver_on_open(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    driver_on_close(d, now_ms);
    kiss_decoder_init(&d->decoder, KISS_STRICT);
    d->open = true;
    d->port_told = false;
    d->ready_ms = now_ms + BOOT_MS;
}

static void get_ready(struct driver *d)
{
    d->ready = true;
    d->kit.stats.configured++;
    modem_kit_push(&d->kit, MODEM_EV_READY)->lora = d->settings.lora;
}

static size_t driver_on_bytes(void *state, uint64_t now_ms, const uint8_t *buf, size_t len)
{
    struct driver *d = state;
    size_t taken = 0;
    (void)now_ms;
    for (; taken < len && modem_kit_has_room(&d->kit); taken++) {
        enum kiss_verdict verdict = d->open ? kiss_decode(&d->decoder, buf[taken]) : KISS_MORE;
        if (verdict == KISS_FRAME)
            on_frame(d);
        else if (verdict == KISS_GARBLED)
            d->kit.stats.garbled++;
    }
    return taken;
}

static void driver_on_time(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    if (!d->open || !modem_kit_has_room(&d->kit))
        return;
    if (!d->ready && now_ms >= d->ready_ms)
        get_ready(d);
    if (d->sending && now_ms >= d->tx_done_ms)
        end_tx(d, MODEM_TX_SENT, "");
}

static size_t driver_poll_output(void *state, uint64_t now_ms, uint8_t *buf, size_t cap)
{
    struct driver *d = state;
    (void)now_ms;
    return modem_kit_poll_output(&d->kit, buf, cap);
}

static bool driver_poll_event(void *state, uint64_t now_ms, struct modem_event *event_out)
{
    struct driver *d = state;
    (void)now_ms;
    return modem_kit_poll_event(&d->kit, event_out);
}

static bool driver_can_send(const void *state)
{
    const struct driver *d = state;
    return d->ready && !d->sending && modem_kit_has_room(&d->kit);
}

static int driver_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    struct driver *d = state;
    uint8_t packet[LORA_PAYLOAD_LEN_MAX];
    if (len == 0 || len > MTU_LEN)
        return MODEM_ELEN;
    if (!d->ready)
        return MODEM_ENOTREADY;
    if (!driver_can_send(d))
        return MODEM_EBUSY;
    memcpy(packet, d->header, AX25_HEADER_LEN);
    memcpy(packet + AX25_HEADER_LEN, frame, len);
    d->sending = true;
    d->tx_len = (uint16_t)len;
    d->tx_airtime_us = airtime_us(d, len);
    d->kit.stats.tx_bytes += len;
    d->kit.stats.tx_airtime_us += d->tx_airtime_us;
    if (!put_parameters(d) ||
        !modem_kit_put_kiss(&d->kit, KISS_DATA, packet, AX25_HEADER_LEN + len)) {
        refuse_tx(d, "the port takes no bytes");
        return MODEM_OK;
    }
    uint64_t line_ms = (uint64_t)modem_kit_output_len(&d->kit) * BITS_PER_BYTE * MS_PER_S / d->baud;
    d->tx_done_ms = now_ms + line_ms + d->settings.tx_delay_ms + d->settings.csma_slot_ms +
                    d->tx_airtime_us / US_PER_MS + BUSY_MS;
    return MODEM_OK;
}

static uint64_t driver_next_deadline(const void *state)
{
    const struct driver *d = state;
    if (!d->open || (d->ready && !d->sending))
        return MODEM_NEVER;
    return d->ready ? d->tx_done_ms : d->ready_ms;
}

static uint32_t driver_airtime_us(const void *state, size_t len)
{
    return airtime_us(state, len);
}

static void driver_air(const void *state, struct modem_air *air_out)
{
    const struct driver *d = state;
    *air_out = (struct modem_air){ .lora = d->settings.lora,
                                   .power_dbm = d->settings.power_dbm };
    (void)snprintf(air_out->interop, sizeof air_out->interop, "ax25:%" PRIu32 ":%" PRIu32 ":%u",
                   d->settings.lora.freq_hz, d->settings.lora.bw_hz, d->settings.lora.sf);
}

static void driver_stats(const void *state, struct modem_stats *stats_out)
{
    const struct driver *d = state;
    *stats_out = d->kit.stats;
}

static bool driver_poll_port(void *state, uint64_t now_ms, struct modem_port *port_out)
{
    struct driver *d = state;
    (void)now_ms;
    if (!d->open || d->port_told)
        return false;
    d->port_told = true;
    *port_out = (struct modem_port){ .baud = d->baud };
    return true;
}

const struct modem_driver modem_tnc_driver = {
    .name = "kiss-tnc",
    .description = "LoRa TNCs with plain KISS, for licensed radio amateurs only",
    .baud = BAUD,
    .caps = {
        .mtu_len = MTU_LEN,
        .overhead_len = AX25_HEADER_LEN,
        .tx_pending_count = 1,
        .cca = MODEM_CCA_NONE,
        .has_rssi = false,
        .has_snr = false,
        .reports_tx_done = false,
        .reads_back_settings = false,
        .sets_preamble = false,
        .amateur = true,
    },
    .state_len = sizeof(struct driver),
    .init = driver_init,
    .on_open = driver_on_open,
    .on_close = driver_on_close,
    .on_bytes = driver_on_bytes,
    .on_time = driver_on_time,
    .poll_output = driver_poll_output,
    .poll_event = driver_poll_event,
    .send = driver_send,
    .can_send = driver_can_send,
    .next_deadline = driver_next_deadline,
    .airtime_us = driver_airtime_us,
    .air = driver_air,
    .stats = driver_stats,
    .poll_port = driver_poll_port,
};
