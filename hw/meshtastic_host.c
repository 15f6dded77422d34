#include "hw/meshtastic_host.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    OURS_LEN_MAX = 64, /* what is written beside the rest of a part */
    HOP_LIMIT = 1,     /* 0 would mean the usual three */
    HZ_PER_KHZ = 1000,
    HZ_PER_MHZ = 1000000,
};

static const char channel_name[] = "keng";

struct lora_seen {
    uint64_t use_preset, bandwidth, sf, cr, region, hop_limit, tx_enabled, power, override_duty;
    float offset, freq;
};

float meshtastic_freq_mhz(uint32_t freq_hz)
{
    return (float)((double)freq_hz / HZ_PER_MHZ);
}

static uint32_t bandwidth_khz(uint32_t bw_hz)
{
    return bw_hz / HZ_PER_KHZ; /* 31.25 and 62.5 are 31 and 62 to it */
}

/* ---- settings as they are ----------------------------------------------------------------- */

static void keep_part(struct meshtastic_part *part, const struct pb_field *f)
{
    if (f->len > sizeof part->bytes)
        return; /* it stays unknown: such a board is not understood */
    memcpy(part->bytes, f->bytes, f->len);
    part->len = (uint16_t)f->len;
    part->known = true;
}

static void take_config(struct meshtastic_board *b, struct pb_reader r)
{
    struct pb_field f, managed;
    while (pb_next(&r, &f)) {
        if (f.type != PB_BYTES)
            continue;
        if (f.number == CONFIG_DEVICE)
            keep_part(&b->device, &f);
        else if (f.number == CONFIG_LORA)
            keep_part(&b->lora, &f);
        else if (f.number == CONFIG_SECURITY)
            b->managed = pb_find(f.bytes, f.len, SECURITY_MANAGED, &managed) && managed.value != 0;
    }
}

static void take_channel(struct meshtastic_board *b, const uint8_t *bytes, size_t len)
{
    struct pb_field f, name, key;
    if (pb_find(bytes, len, CHANNEL_INDEX, &f) && f.value != 0)
        return;
    b->channel_known = true;
    bool primary = pb_find(bytes, len, CHANNEL_ROLE, &f) && f.value == CHANNEL_PRIMARY;
    b->channel_right = primary && pb_find(bytes, len, CHANNEL_SETTINGS, &f) &&
                       f.type == PB_BYTES && pb_find(f.bytes, f.len, CHANNEL_NAME, &name) &&
                       name.type == PB_BYTES && name.len == sizeof channel_name - 1 &&
                       memcmp(name.bytes, channel_name, name.len) == 0 &&
                       !(pb_find(f.bytes, f.len, CHANNEL_KEY, &key) && key.len > 0);
}

static void take_metadata(struct meshtastic_board *b, const uint8_t *bytes, size_t len)
{
    struct pb_field f;
    char text[16];
    unsigned major, minor;
    if (!pb_find(bytes, len, 1, &f) || f.type != PB_BYTES)
        return;
    size_t n = f.len < sizeof text - 1 ? f.len : sizeof text - 1;
    memcpy(text, f.bytes, n);
    text[n] = '\0';
    if (sscanf(text, "%3u.%3u", &major, &minor) == 2 && major <= UINT8_MAX && minor <= UINT8_MAX)
        b->version = major << 8 | minor;
}

bool meshtastic_board_take(struct meshtastic_board *b, const struct pb_field *said)
{
    struct pb_field node;
    if (said->type != PB_BYTES)
        return false;
    if (said->number == FROM_RADIO_MY_INFO)
        b->node = pb_find(said->bytes, said->len, 1, &node) ? (uint32_t)node.value : 0;
    else if (said->number == FROM_RADIO_CONFIG)
        take_config(b, pb_read_inner(said));
    else if (said->number == FROM_RADIO_CHANNEL)
        take_channel(b, said->bytes, said->len);
    else if (said->number == FROM_RADIO_METADATA)
        take_metadata(b, said->bytes, said->len);
    return true;
}

bool meshtastic_board_known(const struct meshtastic_board *b)
{
    return b->node != 0 && b->version != 0 && b->channel_known && b->device.known && b->lora.known;
}

/* False where they are malformed. */
static bool parse_lora(const struct meshtastic_part *part, struct lora_seen *out)
{
    struct pb_reader r = pb_read(part->bytes, part->len);
    struct pb_field f;
    *out = (struct lora_seen){ .use_preset = 0 };
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case LORA_USE_PRESET: out->use_preset = f.value; break;
        case LORA_BANDWIDTH: out->bandwidth = f.value; break;
        case LORA_SPREAD: out->sf = f.value; break;
        case LORA_CODING: out->cr = f.value; break;
        case LORA_OFFSET: out->offset = pb_float(&f); break;
        case LORA_REGION: out->region = f.value; break;
        case LORA_HOP_LIMIT: out->hop_limit = f.value; break;
        case LORA_TX_ENABLED: out->tx_enabled = f.value; break;
        case LORA_TX_POWER: out->power = f.value; break;
        case LORA_OVERRIDE_DUTY: out->override_duty = f.value; break;
        case LORA_FREQUENCY: out->freq = pb_float(&f); break;
        default: break; /* a number from the line; not ours */
        }
    }
    return !r.malformed;
}

bool meshtastic_lora_right(const struct meshtastic_part *lora,
                           const struct meshtastic_wanted *want)
{
    struct lora_seen s;
    float freq = meshtastic_freq_mhz(want->lora.freq_hz), none = 0;
    /* Compared as bits: a number that is none must not pass, nor another that rounds alike. */
    return lora->known && parse_lora(lora, &s) && s.use_preset == 0 &&
           s.bandwidth == bandwidth_khz(want->lora.bw_hz) && s.sf == want->lora.sf &&
           s.cr == want->lora.cr && s.region == want->region && s.hop_limit == HOP_LIMIT &&
           s.tx_enabled == 1 && s.power == (uint64_t)want->power_dbm && s.override_duty == 0 &&
           memcmp(&s.offset, &none, sizeof none) == 0 && memcmp(&s.freq, &freq, sizeof freq) == 0;
}

static bool device_right(const struct meshtastic_part *device)
{
    struct pb_field role, repeat;
    return device->known && pb_find(device->bytes, device->len, DEVICE_ROLE, &role) &&
           role.value == ROLE_HIDDEN &&
           pb_find(device->bytes, device->len, DEVICE_REPEAT, &repeat) &&
           repeat.value == REPEAT_LOCAL;
}

bool meshtastic_board_right(const struct meshtastic_board *b, const struct meshtastic_wanted *want)
{
    return meshtastic_lora_right(&b->lora, want) && device_right(&b->device) && b->channel_right;
}

void meshtastic_board_tell(const struct meshtastic_board *b, const struct meshtastic_wanted *want,
                           char *text, size_t cap)
{
    struct lora_seen s;
    if (meshtastic_lora_right(&b->lora, want)) {
        (void)snprintf(text, cap, "the board reads back another %s than was written",
                       device_right(&b->device) ? "primary channel" : "role");
        return;
    }
    (void)parse_lora(&b->lora, &s); /* what of it could be read */
    (void)snprintf(text, cap, "the board reads back region %" PRIu64 ", %.3f MHz, %" PRIu64
                   " kHz%s, SF%" PRIu64 ", %" PRIu64 " dBm; written were %" PRIu32 ", %.3f, %"
                   PRIu32 ", SF%u, %d", s.region, (double)s.freq, s.bandwidth,
                   s.use_preset ? " (a preset)" : "", s.sf, s.power, want->region,
                   (double)meshtastic_freq_mhz(want->lora.freq_hz),
                   bandwidth_khz(want->lora.bw_hz), want->lora.sf, want->power_dbm);
}

/* ---- what goes to the board --------------------------------------------------------------- */

void meshtastic_put_hello(struct pb_writer *w)
{
    pb_put_varint(w, TO_RADIO_WANT_CONFIG, MESHTASTIC_ONLY_CONFIG);
}

void meshtastic_put_heartbeat(struct pb_writer *w)
{
    pb_put_bytes(w, TO_RADIO_HEARTBEAT, NULL, 0);
}

static void put_packet(struct pb_writer *w, uint32_t to, uint32_t id, const struct pb_writer *data)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer packet = pb_write(buf, sizeof buf);
    pb_put_fixed32(&packet, PACKET_TO, to);
    pb_put_bytes(&packet, PACKET_DATA, data->bytes, data->len);
    pb_put_fixed32(&packet, PACKET_ID, id);
    pb_put_bytes(w, TO_RADIO_PACKET, packet.bytes, packet.len);
    assert(!data->overflow && !packet.overflow && !w->overflow);
}

void meshtastic_put_frame(struct pb_writer *w, uint32_t id, const uint8_t *frame, size_t len)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer data = pb_write(buf, sizeof buf);
    pb_put_varint(&data, DATA_PORT, PORT_PRIVATE);
    pb_put_bytes(&data, DATA_PAYLOAD, frame, len);
    put_packet(w, (uint32_t)MESHTASTIC_TO_ALL, id, &data);
}

void meshtastic_put_order(struct pb_writer *w, uint32_t node, uint32_t id, uint32_t port,
                          const struct pb_writer *order)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer data = pb_write(buf, sizeof buf);
    assert(!order->overflow);
    pb_put_varint(&data, DATA_PORT, port);
    pb_put_bytes(&data, DATA_PAYLOAD, order->bytes, order->len);
    pb_put_varint(&data, DATA_WANT_RESPONSE, 1);
    put_packet(w, node, id, &data);
}

/* What was read, without the fields of these numbers, which follow anew. */
static void put_others(struct pb_writer *w, const struct meshtastic_part *part, uint32_t ours)
{
    struct pb_reader r = pb_read(part->bytes, part->len);
    struct pb_field f;
    while (pb_next(&r, &f)) {
        if (f.number >= 32 || !(ours >> f.number & 1))
            pb_put_whole(w, &f);
    }
}

static void put_config(struct pb_writer *w, uint32_t number, const struct pb_writer *part)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer config = pb_write(buf, sizeof buf);
    pb_put_bytes(&config, number, part->bytes, part->len);
    pb_put_bytes(w, ADMIN_SET_CONFIG, config.bytes, config.len);
    assert(!part->overflow && !config.overflow);
}

void meshtastic_put_device(struct pb_writer *w, const struct meshtastic_board *b)
{
    uint8_t buf[MESHTASTIC_PART_LEN_MAX + OURS_LEN_MAX];
    struct pb_writer part = pb_write(buf, sizeof buf);
    put_others(&part, &b->device, 1u << DEVICE_ROLE | 1u << DEVICE_REPEAT);
    pb_put_varint(&part, DEVICE_ROLE, ROLE_HIDDEN);
    pb_put_varint(&part, DEVICE_REPEAT, REPEAT_LOCAL);
    put_config(w, CONFIG_DEVICE, &part);
}

void meshtastic_put_lora(struct pb_writer *w, const struct meshtastic_board *b,
                         const struct meshtastic_wanted *want)
{
    uint8_t buf[MESHTASTIC_PART_LEN_MAX + OURS_LEN_MAX];
    struct pb_writer part = pb_write(buf, sizeof buf);
    put_others(&part, &b->lora,
               1u << LORA_USE_PRESET | 1u << LORA_BANDWIDTH | 1u << LORA_SPREAD |
                   1u << LORA_CODING | 1u << LORA_OFFSET | 1u << LORA_REGION |
                   1u << LORA_HOP_LIMIT | 1u << LORA_TX_ENABLED | 1u << LORA_TX_POWER |
                   1u << LORA_OVERRIDE_DUTY | 1u << LORA_FREQUENCY);
    pb_put_varint(&part, LORA_BANDWIDTH, bandwidth_khz(want->lora.bw_hz));
    pb_put_varint(&part, LORA_SPREAD, want->lora.sf);
    pb_put_varint(&part, LORA_CODING, want->lora.cr);
    pb_put_varint(&part, LORA_REGION, want->region);
    pb_put_varint(&part, LORA_HOP_LIMIT, HOP_LIMIT);
    pb_put_varint(&part, LORA_TX_ENABLED, 1);
    pb_put_varint(&part, LORA_TX_POWER, (uint64_t)want->power_dbm);
    pb_put_float(&part, LORA_FREQUENCY, meshtastic_freq_mhz(want->lora.freq_hz));
    put_config(w, CONFIG_LORA, &part);
}

void meshtastic_put_channel(struct pb_writer *w)
{
    uint8_t settings_buf[32], channel_buf[40];
    struct pb_writer settings = pb_write(settings_buf, sizeof settings_buf);
    struct pb_writer channel = pb_write(channel_buf, sizeof channel_buf);
    pb_put_bytes(&settings, CHANNEL_NAME, channel_name, sizeof channel_name - 1);
    pb_put_bytes(&channel, CHANNEL_SETTINGS, settings.bytes, settings.len);
    pb_put_varint(&channel, CHANNEL_ROLE, CHANNEL_PRIMARY);
    pb_put_bytes(w, ADMIN_SET_CHANNEL, channel.bytes, channel.len);
}

void meshtastic_put_reboot(struct pb_writer *w, uint32_t wait_s)
{
    pb_put_varint(w, ADMIN_REBOOT_S, wait_s);
}

void meshtastic_put_ask_lora(struct pb_writer *w)
{
    pb_put_varint(w, ADMIN_GET_CONFIG, ADMIN_GET_LORA);
}

void meshtastic_put_ask_count(struct pb_writer *w)
{
    pb_put_bytes(w, TELEMETRY_LOCAL, NULL, 0);
}

/* ---- what the board says ------------------------------------------------------------------ */

bool meshtastic_read(const uint8_t *message, size_t len, struct pb_field *said_out)
{
    struct pb_reader r = pb_read(message, len);
    struct pb_field f;
    *said_out = (struct pb_field){ .number = 0 };
    while (pb_next(&r, &f)) {
        if (f.number != FROM_RADIO_ID)
            *said_out = f;
    }
    return !r.malformed;
}

bool meshtastic_read_queue(const struct pb_field *said, struct meshtastic_queue *queue_out)
{
    struct pb_reader r = pb_read_inner(said);
    struct pb_field f;
    *queue_out = (struct meshtastic_queue){ .result = 0 };
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case QUEUE_RESULT: queue_out->result = f.value; break;
        case QUEUE_FREE: queue_out->free_count = f.value; break;
        case QUEUE_SIZE: queue_out->size = f.value; break;
        case QUEUE_PACKET: queue_out->packet = (uint32_t)f.value; break;
        default: break; /* a number from the line; not ours */
        }
    }
    return !r.malformed;
}

static bool read_data(const struct pb_field *data, struct meshtastic_packet *p)
{
    struct pb_reader r = pb_read_inner(data);
    struct pb_field f;
    while (pb_next(&r, &f)) {
        if (f.number == DATA_PORT) {
            p->port = f.value;
        } else if (f.number == DATA_REQUEST) {
            p->request = (uint32_t)f.value;
        } else if (f.number == DATA_PAYLOAD && f.type == PB_BYTES) {
            p->payload = f.bytes;
            p->payload_len = f.len;
        }
    }
    return !r.malformed;
}

bool meshtastic_read_packet(const struct pb_field *said, struct meshtastic_packet *packet_out)
{
    struct pb_reader r = pb_read_inner(said);
    struct meshtastic_packet *p = packet_out;
    struct pb_field f;
    bool sound = true;
    *p = (struct meshtastic_packet){ .from = 0 };
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case PACKET_FROM: p->from = (uint32_t)f.value; break;
        case PACKET_CHANNEL: p->channel = f.value; break;
        case PACKET_DATA: sound = sound && read_data(&f, p); break;
        case PACKET_SNR: p->snr_db = pb_float(&f); break;
        case PACKET_RSSI:
            p->has_rssi = true;
            p->rssi_dbm = (int32_t)f.value;
            break;
        case PACKET_VIA_MQTT: p->via_mqtt = f.value; break;
        default: break; /* a number from the line; not ours */
        }
    }
    return sound && !r.malformed;
}

bool meshtastic_read_lora(const struct meshtastic_packet *p, struct meshtastic_part *lora_out)
{
    struct pb_field config, lora;
    *lora_out = (struct meshtastic_part){ .known = false };
    if (!pb_find(p->payload, p->payload_len, ADMIN_CONFIG, &config) || config.type != PB_BYTES ||
        !pb_find(config.bytes, config.len, CONFIG_LORA, &lora) || lora.type != PB_BYTES)
        return false;
    keep_part(lora_out, &lora);
    return true;
}

bool meshtastic_read_count(const struct meshtastic_packet *p, uint32_t *count_out)
{
    struct pb_field local, f;
    if (!pb_find(p->payload, p->payload_len, TELEMETRY_LOCAL, &local) || local.type != PB_BYTES)
        return false;
    *count_out = pb_find(local.bytes, local.len, LOCAL_SENT_COUNT, &f) ? (uint32_t)f.value : 0;
    return true;
}

bool meshtastic_read_refusal(const struct meshtastic_packet *p, uint64_t *code_out)
{
    struct pb_field error;
    if (!pb_find(p->payload, p->payload_len, ROUTING_ERROR, &error) || error.value == 0)
        return false;
    *code_out = error.value;
    return true;
}

const char *meshtastic_refusal(uint64_t code)
{
    switch (code) {
    case REFUSED_DUTY: return "the board refuses: its own share of time is used up";
    case REFUSED_RATE: return "the board refuses: too many packets";
    case REFUSED_TOO_LARGE: return "the board refuses: the packet is too large";
    case REFUSED_NO_CHANNEL: return "the board refuses: it has no such channel";
    case REFUSED_FULL: return "the board refuses: its queue is full";
    case REFUSED_NO_INTERFACE:
    case REFUSED_NO_RADIO: return "the board refuses: it found no radio";
    case REFUSED_DISABLED: return "the board refuses: sending is switched off in it";
    default: return "the board refuses, for a reason it does not say"; /* a number from the line */
    }
}
