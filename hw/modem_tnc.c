#include "hw/modem_tnc.h"

#include <assert.h>
#include <inttypes.h>
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
    struct modem_kit kit;
    struct modem_settings settings;
    uint32_t baud;
    uint8_t header[AX25_HEADER_LEN], group[AX25_ADDRESS_LEN];
    bool port_told;
    uint64_t ready_ms;
    uint64_t tx_done_ms;
    struct kiss_decoder decoder;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");

static uint32_t airtime_us(const void *state, size_t len)
{
    const struct driver *d = state;
    return lora_airtime_us(&d->settings.lora, AX25_HEADER_LEN + len);
}

/* ---- from the TNC ---------------------------------------------------------------------- */

static void on_frame(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    const uint8_t *frame = d->decoder.frame + 1;
    size_t len = d->decoder.frame_len - 1u, at;
    (void)now_ms;
    if (d->decoder.frame[0] != KISS_DATA || !ax25_content(frame, len, d->group, &at) ||
        at == len || len - at > MTU_LEN)
        d->kit.stats.unexpected++; /* other amateurs' traffic */
    else
        modem_kit_heard(&d->kit, frame + at, len - at, false, 0, 0);
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

static void driver_on_close(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    (void)now_ms;
    /* The frame's last byte is what makes the TNC send, and it is last in the output. */
    modem_kit_close(&d->kit, modem_kit_has_output(&d->kit));
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
    d->kit.mode = MODEM_KIT_CONFIGURING;
    d->port_told = false;
    d->ready_ms = now_ms + BOOT_MS;
}

static size_t driver_on_bytes(void *state, uint64_t now_ms, const uint8_t *buf, size_t len)
{
    struct driver *d = state;
    return modem_kit_on_kiss(&d->kit, &d->decoder, now_ms, buf, len, on_frame);
}

static void driver_on_time(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    if (d->kit.mode == MODEM_KIT_CLOSED || !modem_kit_has_room(&d->kit))
        return;
    if (d->kit.mode == MODEM_KIT_CONFIGURING && now_ms >= d->ready_ms)
        modem_kit_ready(&d->kit, &d->settings.lora);
    if (d->kit.tx == MODEM_KIT_TX_GIVEN && now_ms >= d->tx_done_ms)
        modem_kit_end_tx(&d->kit, MODEM_TX_SENT, "");
}

static int driver_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    struct driver *d = state;
    uint8_t packet[LORA_PAYLOAD_LEN_MAX];
    int err = modem_kit_take(&d->kit, modem_kit_can_send(d), frame, len, airtime_us(d, len));
    if (err != MODEM_OK)
        return err;
    memcpy(packet, d->header, AX25_HEADER_LEN);
    memcpy(packet + AX25_HEADER_LEN, frame, len);
    if (!put_parameters(d) ||
        !modem_kit_put_kiss(&d->kit, KISS_DATA, packet, AX25_HEADER_LEN + len)) {
        modem_kit_refuse_tx(&d->kit, "the port takes no bytes");
        return MODEM_OK;
    }
    modem_kit_give_tx(&d->kit);
    uint64_t line_ms = (uint64_t)modem_kit_output_len(&d->kit) * BITS_PER_BYTE * MS_PER_S / d->baud;
    d->tx_done_ms = now_ms + line_ms + d->settings.tx_delay_ms + d->settings.csma_slot_ms +
                    d->kit.tx_airtime_us / US_PER_MS + BUSY_MS;
    return MODEM_OK;
}

static uint64_t driver_next_deadline(const void *state)
{
    const struct driver *d = state;
    if (d->kit.mode == MODEM_KIT_CONFIGURING)
        return d->ready_ms;
    return d->kit.tx == MODEM_KIT_TX_GIVEN ? d->tx_done_ms : MODEM_NEVER;
}

static void driver_air(const void *state, struct modem_air *air_out)
{
    const struct driver *d = state;
    modem_kit_air("ax25", &d->settings.lora, d->settings.power_dbm, air_out);
}

static bool driver_poll_port(void *state, uint64_t now_ms, struct modem_port *port_out)
{
    struct driver *d = state;
    (void)now_ms;
    if (d->kit.mode == MODEM_KIT_CLOSED || d->port_told)
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
    .poll_output = modem_kit_poll_output,
    .poll_event = modem_kit_poll_event,
    .send = driver_send,
    .can_send = modem_kit_can_send,
    .next_deadline = driver_next_deadline,
    .airtime_us = airtime_us,
    .air = driver_air,
    .stats = modem_kit_stats,
    .poll_port = driver_poll_port,
};
