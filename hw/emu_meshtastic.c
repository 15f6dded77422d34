#include "hw/emu_meshtastic.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hw/pb.h"

enum {
    BOOT_US = 2000000,
    REBOOT_DELAY_US = 7000000, /* after a setting that needs one */
    NAP_US = 250000,           /* how seldom it looks at a line that was quiet */
    QUIET_US = 2000000,
    FLASH_US = 150000,
    SLOT_EXTRA_US = 7600,
    WINDOW_MIN = 8,            /* slots, on a channel with little traffic */
    BEACON_FIRST_US = 30000000,
    BEACON_S = 10800,
    INTRODUCE_US = 300000000,
    MINUTE_US = 60000000,
    US_PER_S = 1000000,
    US_PER_MS = 1000,
    MS_PER_HOUR = 3600000,
    HZ_PER_MHZ = 1000000,
    NODE_COUNT = 40,           /* in its memory, of whom it tells */
    HOP_BITS = 7,
    HOP_LIMIT_DEFAULT = 3,
    MESSAGE_LEN_MAX = 480,
    BANDWIDTH_31 = 31,
    BANDWIDTH_62 = 62,
    DJB2_SEED = 5381,
};

static const char boot_text[] =
    "\x1b[34mDEBUG \x1b[0m| ??:??:?? 1 Filesystem files:\r\n"
    "\x1b[32mINFO  \x1b[0m| ??:??:?? 2 S:B:43,2.7.4\r\n";
static const char rx_text[] = "\x1b[34mDEBUG \x1b[0m| ??:??:?? 9 [RadioIf] Lora RX\r\n";

/* What the table of regions says of those that a Vietnamese node may be told to use, and a few. */
static const struct region_row {
    uint32_t number;
    uint32_t lo_hz, hi_hz;
    uint32_t duty_percent;
    int8_t power_dbm_max;
} regions[] = {
    { REGION_UNSET, 902000000, 928000000, 100, 30 },
    { 1, 902000000, 928000000, 100, 30 },
    { REGION_TH, 920000000, 925000000, 10, 27 },
    { REGION_MY_433, 433000000, 435000000, 100, 20 },
    { REGION_SG_923, 917000000, 925000000, 100, 20 },
};

static_assert(sizeof(struct emu_meshtastic) <= EMU_STATE_LEN, "state fits");

static struct emu_meshtastic *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

static const struct region_row *region_of(const struct emu_meshtastic *m)
{
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        if (regions[i].number == m->kept.region)
            return &regions[i];
    }
    return &regions[0];
}

/* ---- to the host ------------------------------------------------------------------------- */

/* One frame as a whole, or nothing as long as the line is full. */
static bool emit(struct emu *emu, uint64_t now_us, const uint8_t *bytes, size_t len)
{
    uint8_t framing[MESHTASTIC_FRAMING_LEN];
    if (emu_out_room(emu) < sizeof framing + len)
        return false;
    meshtastic_framing(framing, len);
    (void)emu_put(emu, now_us, framing, sizeof framing); /* there is room, as for the next */
    (void)emu_put(emu, now_us, bytes, len);
    return true;
}

static bool emit_inner(struct emu *emu, uint64_t now_us, uint32_t number,
                       const struct pb_writer *inner)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t buf[MESHTASTIC_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    assert(!inner->overflow);
    pb_put_varint(&w, FROM_RADIO_ID, ++m->message_count);
    pb_put_bytes(&w, number, inner->bytes, inner->len);
    return emit(emu, now_us, w.bytes, w.len);
}

/* Its log: plain text before the first frame, messages later where its owner wants them. */
static void put_log(struct emu *emu, uint64_t now_us, const char *text, size_t len)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t buf[128];
    struct pb_writer w = pb_write(buf, sizeof buf);
    if (!m->frames_only) {
        (void)emu_put(emu, now_us, text, len); /* what has no room is lost */
    } else if (emu_has_quirk(emu, EMU_MESHTASTIC_LOGS)) {
        pb_put_bytes(&w, 1, text, len < 64 ? len : 64);
        (void)emit_inner(emu, now_us, FROM_RADIO_LOG, &w); /* as above */
    }
}

/* For the host; what finds its queue full is gone. */
static void queue_packet(struct emu_meshtastic *m, const struct pb_writer *packet)
{
    struct emu_meshtastic_host *h;
    if (m->host_count == EMU_MESHTASTIC_HOST_COUNT || packet->overflow)
        return;
    h = &m->host[(m->host_first + m->host_count) % EMU_MESHTASTIC_HOST_COUNT];
    struct pb_writer w = pb_write(h->bytes, sizeof h->bytes);
    pb_put_varint(&w, FROM_RADIO_ID, ++m->message_count);
    pb_put_bytes(&w, FROM_RADIO_PACKET, packet->bytes, packet->len);
    assert(!w.overflow);
    h->len = (uint16_t)w.len;
    m->host_count++;
}

static void put_queue_status(struct emu *emu, uint64_t now_us, uint32_t result, uint32_t id)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t buf[32];
    struct pb_writer w = pb_write(buf, sizeof buf);
    pb_put_varint(&w, QUEUE_RESULT, result);
    pb_put_varint(&w, QUEUE_FREE, (uint64_t)(EMU_MESHTASTIC_QUEUE_COUNT - m->tx_count));
    pb_put_varint(&w, QUEUE_SIZE, EMU_MESHTASTIC_QUEUE_COUNT);
    if (id != 0)
        pb_put_varint(&w, QUEUE_PACKET, id);
    (void)emit_inner(emu, now_us, FROM_RADIO_QUEUE, &w); /* a full line loses it */
}

/* A message of the board itself to its host. */
static void answer(struct emu_meshtastic *m, uint32_t port, uint32_t request,
                   const struct pb_writer *payload)
{
    uint8_t data_buf[MESSAGE_LEN_MAX], buf[MESSAGE_LEN_MAX];
    struct pb_writer data = pb_write(data_buf, 280), w = pb_write(buf, 330);
    pb_put_varint(&data, DATA_PORT, port);
    pb_put_bytes(&data, DATA_PAYLOAD, payload->bytes, payload->len);
    pb_put_fixed32(&data, DATA_REQUEST, request);
    pb_put_fixed32(&w, PACKET_FROM, m->node);
    pb_put_fixed32(&w, PACKET_TO, m->node);
    pb_put_bytes(&w, PACKET_DATA, data.bytes, data.len);
    pb_put_fixed32(&w, PACKET_ID, request ^ m->node);
    queue_packet(m, &w);
}

static void answer_error(struct emu_meshtastic *m, uint32_t request, uint32_t error)
{
    uint8_t buf[8];
    struct pb_writer w = pb_write(buf, sizeof buf);
    pb_put_varint(&w, ROUTING_ERROR, error);
    answer(m, PORT_ROUTING, request, &w);
}

static void answer_counters(struct emu_meshtastic *m, uint32_t request, const uint8_t *bytes,
                            size_t len)
{
    uint8_t local_buf[16], buf[24];
    struct pb_writer local = pb_write(local_buf, sizeof local_buf), w = pb_write(buf, sizeof buf);
    struct pb_field f;
    if (m->counts_nothing || !pb_find(bytes, len, TELEMETRY_LOCAL, &f))
        return;
    pb_put_varint(&local, LOCAL_SENT_COUNT, m->sent_count);
    pb_put_bytes(&w, TELEMETRY_LOCAL, local.bytes, local.len);
    answer(m, PORT_TELEMETRY, request, &w);
}

/* ---- settings ---------------------------------------------------------------------------- */

static void write_device(const struct emu_meshtastic *m, struct pb_writer *w)
{
    if (m->kept.role != 0)
        pb_put_varint(w, DEVICE_ROLE, m->kept.role);
    if (m->kept.repeat != 0)
        pb_put_varint(w, DEVICE_REPEAT, m->kept.repeat);
    pb_put_varint(w, 11, 900); /* of no concern here */
}

static void write_nonzero(struct pb_writer *w, uint32_t number, uint64_t value)
{
    if (value != 0)
        pb_put_varint(w, number, value);
}

static void write_lora(const struct emu_meshtastic *m, struct pb_writer *w)
{
    const struct emu_meshtastic_kept *k = &m->kept;
    write_nonzero(w, LORA_USE_PRESET, k->use_preset);
    write_nonzero(w, LORA_PRESET, k->preset);
    write_nonzero(w, LORA_BANDWIDTH, k->bandwidth);
    write_nonzero(w, LORA_SPREAD, k->sf);
    write_nonzero(w, LORA_CODING, k->cr);
    if (fpclassify(k->offset) != FP_ZERO)
        pb_put_float(w, LORA_OFFSET, k->offset);
    write_nonzero(w, LORA_REGION, k->region);
    write_nonzero(w, LORA_HOP_LIMIT, k->hop_limit);
    write_nonzero(w, LORA_TX_ENABLED, k->tx_enabled);
    write_nonzero(w, LORA_TX_POWER, (uint64_t)(int64_t)k->power_dbm);
    write_nonzero(w, LORA_OVERRIDE_DUTY, k->override_duty);
    pb_put_varint(w, 13, 1);
    if (fpclassify(k->freq_mhz) != FP_ZERO)
        pb_put_float(w, LORA_FREQUENCY, k->freq_mhz);
}

static void write_channel(const struct emu_meshtastic *m, unsigned index, struct pb_writer *w)
{
    uint8_t buf[80];
    struct pb_writer settings = pb_write(buf, sizeof buf);
    write_nonzero(w, CHANNEL_INDEX, index);
    if (index == 0) {
        if (m->kept.key_len > 0)
            pb_put_bytes(&settings, CHANNEL_KEY, m->kept.key, m->kept.key_len);
        if (m->kept.name_len > 0)
            pb_put_bytes(&settings, CHANNEL_NAME, m->kept.name, m->kept.name_len);
        pb_put_varint(w, CHANNEL_ROLE, CHANNEL_PRIMARY);
    }
    pb_put_bytes(w, CHANNEL_SETTINGS, settings.bytes, settings.len);
}

static uint32_t bandwidth_hz(uint32_t khz)
{
    return khz == BANDWIDTH_31 ? 31250 : khz == BANDWIDTH_62 ? 62500 : khz * 1000;
}

/* The middle of the slot that the channel's name is hashed to. */
static uint32_t slot_freq_hz(const struct emu_meshtastic *m, uint32_t bw_hz)
{
    static const char preset_name[] = "LongFast";
    const struct region_row *region = region_of(m);
    const uint8_t *name = m->kept.name_len > 0 ? m->kept.name : (const uint8_t *)preset_name;
    size_t len = m->kept.name_len > 0 ? m->kept.name_len : sizeof preset_name - 1;
    uint32_t hash = DJB2_SEED;
    for (size_t i = 0; i < len; i++)
        hash = hash * 33 + name[i];
    uint32_t count = (region->hi_hz - region->lo_hz) / bw_hz;
    return region->lo_hz + bw_hz / 2 + (count > 0 ? hash % count : 0) * bw_hz;
}

/* What its settings make of the radio. */
static void tune(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    const struct emu_meshtastic_kept *k = &m->kept;
    struct lora_params p = { .bw_hz = bandwidth_hz(k->bandwidth), .sf = (uint8_t)k->sf,
                             .cr = (uint8_t)k->cr,
                             .preamble_symbols = MESHTASTIC_PREAMBLE_SYMBOLS, .freq_hz = 1 };
    if (k->use_preset || !lora_params_valid(&p)) {
        p.bw_hz = 250000; /* LongFast; others are not emulated */
        p.sf = 11;
        p.cr = 5;
    }
    p.freq_hz = slot_freq_hz(m, p.bw_hz);
    if (k->freq_mhz > 100 && k->freq_mhz < 1000)
        p.freq_hz = (uint32_t)lround(((double)k->freq_mhz + (double)k->offset) * HZ_PER_MHZ);
    m->sending = false;
    m->lora = p;
    emu->radio.tune(emu->radio.ctx, now_us, &p, MESHTASTIC_SYNC);
}

static void set_device(struct emu *emu, uint64_t now_us, struct pb_reader r)
{
    struct emu_meshtastic *m = state_of(emu);
    struct emu_meshtastic_kept next = m->kept;
    struct pb_field f;
    next.role = next.repeat = 0;
    while (pb_next(&r, &f)) {
        if (f.number == DEVICE_ROLE)
            next.role = (uint32_t)f.value;
        else if (f.number == DEVICE_REPEAT)
            next.repeat = (uint32_t)f.value;
    }
    if (r.malformed || emu->stubborn)
        return;
    if (next.role != m->kept.role)
        m->reboot_at_us = now_us + REBOOT_DELAY_US;
    m->kept = next;
}

static void take_lora_field(struct emu_meshtastic_kept *next, const struct pb_field *f)
{
    uint32_t value = (uint32_t)f->value;
    switch (f->number) {
    case LORA_USE_PRESET: next->use_preset = value != 0; break;
    case LORA_PRESET: next->preset = value; break;
    case LORA_BANDWIDTH: next->bandwidth = value; break;
    case LORA_SPREAD: next->sf = value; break;
    case LORA_CODING: next->cr = value; break;
    case LORA_OFFSET: next->offset = pb_float(f); break;
    case LORA_REGION: next->region = value; break;
    case LORA_HOP_LIMIT: next->hop_limit = value; break;
    case LORA_TX_ENABLED: next->tx_enabled = value != 0; break;
    case LORA_TX_POWER: next->power_dbm = (int32_t)value; break;
    case LORA_OVERRIDE_DUTY: next->override_duty = value != 0; break;
    case LORA_FREQUENCY: next->freq_mhz = pb_float(f); break;
    default: break; /* a number from the line; not emulated */
    }
}

static void set_lora(struct emu *emu, uint64_t now_us, struct pb_reader r)
{
    struct emu_meshtastic *m = state_of(emu);
    struct emu_meshtastic_kept next = m->kept;
    struct pb_field f;
    next.use_preset = next.tx_enabled = next.override_duty = false;
    next.preset = next.bandwidth = next.sf = next.cr = next.region = 0;
    next.power_dbm = 0;
    next.hop_limit = 0;
    next.offset = next.freq_mhz = 0;
    while (pb_next(&r, &f))
        take_lora_field(&next, &f);
    if (r.malformed || emu->stubborn)
        return;
    m->kept = next;
    m->reboot_at_us = now_us + REBOOT_DELAY_US;
    tune(emu, now_us);
}

static void set_channel(struct emu *emu, const struct pb_field *channel)
{
    struct emu_meshtastic *m = state_of(emu);
    struct pb_field f, part;
    if (channel->type != PB_BYTES ||
        (pb_find(channel->bytes, channel->len, CHANNEL_INDEX, &f) && f.value != 0) ||
        !pb_find(channel->bytes, channel->len, CHANNEL_SETTINGS, &f) || f.type != PB_BYTES ||
        emu->stubborn)
        return;
    m->kept.name_len = m->kept.key_len = 0;
    if (pb_find(f.bytes, f.len, CHANNEL_NAME, &part) && part.len < sizeof m->kept.name) {
        memcpy(m->kept.name, part.bytes, part.len);
        m->kept.name_len = (uint8_t)part.len;
    }
    if (pb_find(f.bytes, f.len, CHANNEL_KEY, &part) && part.len <= sizeof m->kept.key) {
        memcpy(m->kept.key, part.bytes, part.len);
        m->kept.key_len = (uint8_t)part.len;
    }
}

/* The board's own settings, over its own port: nobody is asked for a password. */
static void on_admin(struct emu *emu, uint64_t now_us, uint32_t id, const uint8_t *bytes,
                     size_t len)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t lora_buf[160], config_buf[200], buf[220];
    struct pb_writer lora = pb_write(lora_buf, sizeof lora_buf);
    struct pb_writer config = pb_write(config_buf, sizeof config_buf);
    struct pb_writer w = pb_write(buf, sizeof buf);
    struct pb_reader r = pb_read(bytes, len);
    struct pb_field f, part;
    if (m->kept.managed || !pb_next(&r, &f))
        return;
    if (f.number == ADMIN_GET_CONFIG && f.value == ADMIN_GET_LORA) {
        write_lora(m, &lora);
        pb_put_bytes(&config, CONFIG_LORA, lora.bytes, lora.len);
        pb_put_bytes(&w, ADMIN_CONFIG, config.bytes, config.len);
        answer(m, PORT_ADMIN, id, &w);
        return;
    }
    if (f.number == ADMIN_SET_CONFIG && f.type == PB_BYTES) {
        if (pb_find(f.bytes, f.len, CONFIG_DEVICE, &part))
            set_device(emu, now_us, pb_read_inner(&part));
        else if (pb_find(f.bytes, f.len, CONFIG_LORA, &part))
            set_lora(emu, now_us, pb_read_inner(&part));
        emu->busy_until_us = now_us + FLASH_US;
    } else if (f.number == ADMIN_SET_CHANNEL) {
        set_channel(emu, &f);
        emu->busy_until_us = now_us + FLASH_US;
    } else if (f.number == ADMIN_REBOOT_S) {
        m->reboot_at_us = now_us + f.value % MS_PER_HOUR * US_PER_S;
    }
    answer_error(m, id, 0);
}

/* ---- the air ------------------------------------------------------------------------------ */

static void store32(uint8_t *b, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        b[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t load32(const uint8_t *b)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++)
        v |= (uint32_t)b[i] << (8 * i);
    return v;
}

static uint8_t channel_hash(const struct emu_meshtastic *m)
{
    uint8_t hash = 0;
    for (size_t i = 0; i < m->kept.name_len; i++)
        hash ^= m->kept.name[i];
    for (size_t i = 0; i < m->kept.key_len; i++)
        hash ^= m->kept.key[i];
    return hash;
}

/* In place of its cipher; its own inverse. */
static void scramble(const struct emu_meshtastic *m, uint32_t id, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && m->kept.key_len > 0; i++)
        bytes[i] ^= (uint8_t)(m->kept.key[i % m->kept.key_len] * 31 + (id >> (i % 4 * 8)) + i);
}

/* It waits before it sends for the first time, too. */
static void start_contention(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    uint64_t slot_us = (uint64_t)lora_symbol_us(&m->lora) * 5 / 2 + SLOT_EXTRA_US;
    m->tx_timer_us = now_us + (1u + emu_random_byte(emu) % WINDOW_MIN) * slot_us;
}

/* A frame for the air; false when the queue is full. */
static bool queue_air(struct emu *emu, uint64_t now_us, uint32_t id, const uint8_t *bytes,
                      size_t len)
{
    struct emu_meshtastic *m = state_of(emu);
    struct emu_meshtastic_air *t;
    if (m->tx_count == EMU_MESHTASTIC_QUEUE_COUNT)
        return false;
    t = &m->tx[(m->tx_first + m->tx_count) % EMU_MESHTASTIC_QUEUE_COUNT];
    memcpy(t->bytes, bytes, len);
    t->len = (uint16_t)len;
    t->id = id;
    m->tx_count++;
    if (m->tx_timer_us == 0 && !m->sending)
        start_contention(emu, now_us);
    return true;
}

static bool send_data(struct emu *emu, uint64_t now_us, uint32_t id, uint8_t hops,
                      const struct pb_writer *data)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t frame[MESHTASTIC_AIR_LEN_MAX] = { 0 };
    uint8_t *body = frame + MESHTASTIC_AIR_HEADER_LEN;
    store32(frame, (uint32_t)MESHTASTIC_TO_ALL);
    store32(frame + 4, m->node);
    store32(frame + 8, id);
    frame[12] = (uint8_t)(hops | hops << 5);
    frame[13] = channel_hash(m);
    frame[15] = (uint8_t)m->node;
    memcpy(body, data->bytes, data->len);
    scramble(m, id, body, data->len);
    return queue_air(emu, now_us, id, frame, MESHTASTIC_AIR_HEADER_LEN + data->len);
}

/* What goes out on the air for a port's payload; overflow where it is too long. */
static struct pb_writer make_data(struct emu *emu, uint8_t buf[MESHTASTIC_AIR_LEN_MAX],
                                  uint64_t port, const uint8_t *payload, size_t len)
{
    enum { DATA_LEN_MAX = MESHTASTIC_AIR_LEN_MAX - MESHTASTIC_AIR_HEADER_LEN };
    uint8_t signature[MESHTASTIC_SIGNATURE_LEN];
    struct pb_writer w = pb_write(buf, DATA_LEN_MAX);
    pb_put_varint(&w, DATA_PORT, port);
    pb_put_bytes(&w, DATA_PAYLOAD, payload, len);
    pb_put_varint(&w, DATA_BITS, 0);
    if (emu_has_quirk(emu, EMU_MESHTASTIC_SIGNS) &&
        w.len + MESHTASTIC_SIGNATURE_LEN + 2 <= DATA_LEN_MAX) {
        for (size_t i = 0; i < sizeof signature; i++)
            signature[i] = emu_random_byte(emu);
        pb_put_bytes(&w, DATA_SIGNATURE, signature, sizeof signature);
    }
    return w;
}

static void count_minute(struct emu_meshtastic *m, uint64_t now_us)
{
    for (; m->minute < now_us / MINUTE_US; m->minute++)
        m->sent_ms[(m->minute + 1) % EMU_MESHTASTIC_MINUTE_COUNT] = 0;
}

static bool duty_used_up(struct emu_meshtastic *m, uint64_t now_us)
{
    uint64_t sum_ms = 0;
    count_minute(m, now_us);
    for (size_t i = 0; i < EMU_MESHTASTIC_MINUTE_COUNT; i++)
        sum_ms += m->sent_ms[i];
    return !m->kept.override_duty && sum_ms * 100 > (uint64_t)region_of(m)->duty_percent *
                                                        MS_PER_HOUR;
}

/* From the host to everybody; the result as the queue's status has it. */
static uint32_t send_from_host(struct emu *emu, uint64_t now_us, uint32_t id, uint8_t hops,
                               uint64_t port, const uint8_t *payload, size_t len)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t buf[MESHTASTIC_AIR_LEN_MAX];
    uint32_t error = 0;
    struct pb_writer data = make_data(emu, buf, port, payload, len);
    if (duty_used_up(m, now_us))
        error = REFUSED_DUTY;
    else if (data.overflow)
        error = REFUSED_TOO_LARGE;
    if (error != 0) {
        answer_error(m, id, error);
        return error;
    }
    if (m->kept.region == REGION_UNSET || !m->kept.tx_enabled)
        return REFUSED_DISABLED;
    return send_data(emu, now_us, id, hops, &data) ? 0 : REFUSED_FULL;
}

static void start_tx(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    struct emu_meshtastic_air *t = &m->tx[m->tx_first];
    int8_t power_max = region_of(m)->power_dbm_max;
    int32_t power = m->kept.power_dbm;
    if (power == 0 || power > power_max)
        power = power_max;
    m->tx_first = (uint8_t)((m->tx_first + 1) % EMU_MESHTASTIC_QUEUE_COUNT);
    m->tx_count--;
    m->tx_timer_us = 0;
    if (emu->radio.start_tx(emu->radio.ctx, now_us, t->bytes, t->len, &m->lora, (int8_t)power,
                            &m->tx_end_us) < 0)
        return;
    m->sending = true;
    m->sent_count++;
    count_minute(m, now_us);
    m->sent_ms[m->minute % EMU_MESHTASTIC_MINUTE_COUNT] +=
        lora_airtime_us(&m->lora, t->len) / US_PER_MS;
}

static void run_air(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    m->sending = m->sending && now_us < m->tx_end_us;
    if (m->sending || m->tx_count == 0)
        return;
    if (m->tx_timer_us == 0) /* one that came while it was sending */
        start_contention(emu, now_us);
    else if (now_us >= m->tx_timer_us && emu->radio.receiving(emu->radio.ctx, now_us))
        start_contention(emu, now_us);
    else if (now_us >= m->tx_timer_us)
        start_tx(emu, now_us);
}

/* Its name and number. */
static void introduce(struct emu *emu, uint64_t now_us)
{
    static const uint8_t user[] = "\x0a\x09!00000000\x12\x0aMeshtastic\x1a\x04node";
    struct emu_meshtastic *m = state_of(emu);
    uint8_t buf[MESHTASTIC_AIR_LEN_MAX];
    uint32_t hops = m->kept.hop_limit > 0 ? m->kept.hop_limit & HOP_BITS : HOP_LIMIT_DEFAULT;
    if (m->kept.region == REGION_UNSET || !m->kept.tx_enabled)
        return;
    struct pb_writer data = make_data(emu, buf, PORT_NODE, user, sizeof user - 1);
    (void)send_data(emu, now_us, (uint32_t)now_us | 1, (uint8_t)hops, &data); /* or later */
    m->introduced_at_us = now_us;
}

/* To everybody, as long as its role lets it. */
static void run_beacon(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    if (now_us < m->beacon_at_us)
        return;
    m->beacon_at_us = now_us + (uint64_t)BEACON_S * US_PER_S;
    if (m->kept.role != ROLE_HIDDEN)
        introduce(emu, now_us);
}

/* To one that it has not met, whatever its role; not again and again. */
static void meet(struct emu *emu, uint64_t now_us, uint32_t node)
{
    struct emu_meshtastic *m = state_of(emu);
    if (!m->strangers)
        return;
    for (unsigned i = 0; i < m->met_count; i++) {
        if (m->met[i] == node)
            return;
    }
    if (m->met_count < EMU_MESHTASTIC_MET_COUNT)
        m->met[m->met_count++] = node;
    if (m->introduced_at_us == 0 || now_us - m->introduced_at_us > INTRODUCE_US)
        introduce(emu, now_us);
}

/* ---- from the air --------------------------------------------------------------------------- */

static bool seen_before(struct emu_meshtastic *m, uint32_t from, uint32_t id)
{
    uint32_t both = from * 31 ^ id;
    for (unsigned i = 0; i < m->seen_count && i < EMU_MESHTASTIC_SEEN_COUNT; i++) {
        if (m->seen[i] == both)
            return true;
    }
    m->seen[m->seen_count++ % EMU_MESHTASTIC_SEEN_COUNT] = both;
    if (m->seen_count == 2 * EMU_MESHTASTIC_SEEN_COUNT)
        m->seen_count = EMU_MESHTASTIC_SEEN_COUNT;
    return false;
}

static bool is_data(const uint8_t *bytes, size_t len)
{
    struct pb_reader r = pb_read(bytes, len);
    struct pb_field f;
    bool has_port = false;
    while (pb_next(&r, &f))
        has_port = has_port || (f.number == DATA_PORT && f.type == PB_VARINT && f.value != 0);
    return has_port && !r.malformed;
}

/* Repeats others' packets as its role has it. */
static void repeat(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len, bool ours)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t again[MESHTASTIC_AIR_LEN_MAX];
    if ((frame[12] & HOP_BITS) == 0 || (m->kept.repeat == REPEAT_LOCAL && !ours) ||
        m->kept.region == REGION_UNSET || !m->kept.tx_enabled)
        return;
    memcpy(again, frame, len);
    again[12]--;
    again[15] = (uint8_t)m->node;
    (void)queue_air(emu, now_us, load32(frame + 8), again, len); /* a full queue drops it */
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t body[MESHTASTIC_AIR_LEN_MAX], buf[330];
    struct pb_writer w = pb_write(buf, sizeof buf);
    if (m->sending || len < MESHTASTIC_AIR_HEADER_LEN || len > sizeof body)
        return;
    uint32_t from = load32(frame + 4), id = load32(frame + 8);
    size_t body_len = len - MESHTASTIC_AIR_HEADER_LEN;
    put_log(emu, now_us, rx_text, sizeof rx_text - 1);
    if (from == 0 || from == m->node || seen_before(m, from, id))
        return;
    memcpy(body, frame + MESHTASTIC_AIR_HEADER_LEN, body_len);
    scramble(m, id, body, body_len);
    bool ours = frame[13] == channel_hash(m) && is_data(body, body_len);
    if (ours)
        meet(emu, now_us, from);
    repeat(emu, now_us, frame, len, ours);
    if (!ours && m->kept.repeat == REPEAT_LOCAL)
        return;
    pb_put_fixed32(&w, PACKET_FROM, from);
    pb_put_fixed32(&w, PACKET_TO, load32(frame));
    if (ours) {
        pb_put_bytes(&w, PACKET_DATA, body, body_len);
    } else {
        pb_put_varint(&w, PACKET_CHANNEL, frame[13]);
        pb_put_bytes(&w, PACKET_ENCIPHERED, frame + MESHTASTIC_AIR_HEADER_LEN, body_len);
    }
    pb_put_fixed32(&w, PACKET_ID, id);
    pb_put_float(&w, PACKET_SNR, (float)snr_db_x4 / 4);
    write_nonzero(&w, PACKET_HOP_LIMIT, frame[12] & HOP_BITS);
    pb_put_varint(&w, PACKET_RSSI, (uint64_t)(int64_t)rssi_dbm);
    if (m->open || m->frames_only)
        queue_packet(m, &w);
}

/* ---- from the host -------------------------------------------------------------------------- */

static bool recent(struct emu_meshtastic *m, uint32_t id)
{
    for (unsigned i = 0; i < EMU_MESHTASTIC_RECENT_COUNT; i++) {
        if (id != 0 && m->recent[i] == id)
            return true;
    }
    m->recent[m->recent_count++ % EMU_MESHTASTIC_RECENT_COUNT] = id;
    return false;
}

static void on_packet(struct emu *emu, uint64_t now_us, struct pb_reader r)
{
    struct emu_meshtastic *m = state_of(emu);
    struct pb_field f, payload = { .len = 0 }, port = { .value = 0 };
    uint32_t to = 0, id = 0;
    uint8_t hops = 0;
    while (pb_next(&r, &f)) {
        if (f.number == PACKET_TO)
            to = (uint32_t)f.value;
        else if (f.number == PACKET_ID)
            id = (uint32_t)f.value;
        else if (f.number == PACKET_HOP_LIMIT)
            hops = (uint8_t)(f.value & HOP_BITS);
        else if (f.number == PACKET_DATA && f.type == PB_BYTES) {
            (void)pb_find(f.bytes, f.len, DATA_PORT, &port); /* absent: 0, which is no port */
            (void)pb_find(f.bytes, f.len, DATA_PAYLOAD, &payload);
        }
    }
    if (r.malformed || payload.type != PB_BYTES || recent(m, id))
        return; /* it says nothing, to what it has seen neither */
    uint32_t result = TAKEN_LOCALLY;
    if (to == m->node && port.value == PORT_TELEMETRY)
        answer_counters(m, id, payload.bytes, payload.len);
    else if (to == m->node && port.value == PORT_ADMIN)
        on_admin(emu, now_us, id, payload.bytes, payload.len);
    else if (to != m->node)
        result = send_from_host(emu, now_us, id, hops, port.value, payload.bytes, payload.len);
    put_queue_status(emu, now_us, result, id);
}

static void on_message(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    struct pb_reader r = pb_read(m->decoder.message, m->decoder.len);
    struct pb_field f;
    m->frames_only = true;
    if (!pb_next(&r, &f))
        return;
    if (f.number == TO_RADIO_WANT_CONFIG) {
        m->nonce = (uint32_t)f.value;
        m->flooding = true;
        m->open = false;
        m->flood_index = 0;
    } else if (f.number == TO_RADIO_HEARTBEAT) {
        m->heartbeat = true;
    } else if (f.number == TO_RADIO_PACKET) {
        on_packet(emu, now_us, pb_read_inner(&f));
    }
}

static void model_on_byte(struct emu *emu, uint64_t now_us, uint8_t byte)
{
    struct emu_meshtastic *m = state_of(emu);
    if (now_us - m->heard_at_us > QUIET_US)
        emu->busy_until_us = now_us + emu_random_byte(emu) * (uint64_t)NAP_US / UINT8_MAX;
    m->heard_at_us = now_us;
    if (meshtastic_decode(&m->decoder, byte) == MESHTASTIC_FRAME)
        on_message(emu, now_us);
}

/* ---- what it tells when greeted ------------------------------------------------------------ */

enum {
    FLOOD_MY_INFO,
    FLOOD_SELF,
    FLOOD_METADATA,
    FLOOD_CHANNELS,
    FLOOD_CONFIGS = FLOOD_CHANNELS + MESHTASTIC_CHANNEL_COUNT,
    CONFIG_COUNT = 10,
    FLOOD_MODULES = FLOOD_CONFIGS + CONFIG_COUNT,
    MODULE_COUNT = 13,
    FLOOD_NODES = FLOOD_MODULES + MODULE_COUNT,
    FLOOD_COMPLETE = FLOOD_NODES + NODE_COUNT,
};

static void write_node(const struct emu_meshtastic *m, unsigned index, struct pb_writer *w)
{
    static const char user[] = "\x0a\x09!7d0001ab\x12\x10Somebody near by\x1a\x04some";
    pb_put_varint(w, 1, m->node + index);
    pb_put_bytes(w, 2, user, sizeof user - 1);
    pb_put_float(w, 4, 5.25f);
}

static void write_config(const struct emu_meshtastic *m, unsigned number, struct pb_writer *w)
{
    uint8_t buf[160];
    struct pb_writer part = pb_write(buf, sizeof buf);
    if (number == CONFIG_DEVICE)
        write_device(m, &part);
    else if (number == CONFIG_LORA)
        write_lora(m, &part);
    else if (number == CONFIG_SECURITY)
        write_nonzero(&part, SECURITY_MANAGED, m->kept.managed);
    pb_put_bytes(w, number, part.bytes, part.len);
}

/* The index-th piece; its number in the message to the host. */
static uint32_t write_piece(const struct emu_meshtastic *m, unsigned index, struct pb_writer *w)
{
    if (index == FLOOD_MY_INFO) {
        pb_put_varint(w, 1, m->node);
        pb_put_varint(w, 8, 7);
        return FROM_RADIO_MY_INFO;
    }
    if (index == FLOOD_METADATA) {
        pb_put_bytes(w, 1, m->version, strlen(m->version));
        return FROM_RADIO_METADATA;
    }
    if (index >= FLOOD_CHANNELS && index < FLOOD_CONFIGS) {
        write_channel(m, index - FLOOD_CHANNELS, w);
        return FROM_RADIO_CHANNEL;
    }
    if (index >= FLOOD_CONFIGS && index < FLOOD_MODULES) {
        write_config(m, index - FLOOD_CONFIGS + 1, w);
        return FROM_RADIO_CONFIG;
    }
    if (index >= FLOOD_MODULES && index < FLOOD_NODES) {
        pb_put_bytes(w, index - FLOOD_MODULES + 1, NULL, 0);
        return FROM_RADIO_MODULE;
    }
    write_node(m, index == FLOOD_SELF ? 0 : index - FLOOD_NODES + 1, w);
    return FROM_RADIO_NODE;
}

static bool complete(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    uint8_t buf[16];
    struct pb_writer w = pb_write(buf, sizeof buf);
    pb_put_varint(&w, FROM_RADIO_ID, ++m->message_count);
    pb_put_varint(&w, FROM_RADIO_COMPLETE, m->nonce);
    return emit(emu, now_us, w.bytes, w.len);
}

static void run_flood(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    bool no_nodes = m->nonce == MESHTASTIC_ONLY_CONFIG &&
                    !emu_has_quirk(emu, EMU_MESHTASTIC_FLOODS);
    while (m->flooding) {
        uint8_t buf[MESHTASTIC_LEN_MAX];
        struct pb_writer w = pb_write(buf, sizeof buf);
        if (m->flood_index == FLOOD_NODES && no_nodes)
            m->flood_index = FLOOD_COMPLETE;
        if (m->flood_index == FLOOD_COMPLETE) {
            m->open = complete(emu, now_us);
            m->flooding = !m->open;
            return;
        }
        uint32_t number = write_piece(m, m->flood_index, &w);
        if (!emit_inner(emu, now_us, number, &w))
            return;
        m->flood_index++;
    }
}

static void run_host(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    if (m->heartbeat) {
        m->heartbeat = false;
        put_queue_status(emu, now_us, 0, 0);
    }
    run_flood(emu, now_us);
    while (m->open && m->host_count > 0) {
        const struct emu_meshtastic_host *h = &m->host[m->host_first];
        if (!emit(emu, now_us, h->bytes, h->len))
            return;
        m->host_first = (uint8_t)((m->host_first + 1) % EMU_MESHTASTIC_HOST_COUNT);
        m->host_count--;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct emu_meshtastic_kept factory_settings(void)
{
    return (struct emu_meshtastic_kept){ .use_preset = true, .tx_enabled = true, .key_len = 1,
                                         .key = { 1 }, .hop_limit = HOP_LIMIT_DEFAULT };
}

static void model_boot(struct emu *emu, uint64_t now_us, bool factory)
{
    static const uint8_t rebooted[] = { FROM_RADIO_REBOOTED << 3, 1 };
    struct emu_meshtastic *m = state_of(emu);
    struct emu_meshtastic_kept kept = m->kept;
    uint32_t node = m->node;
    bool strangers = m->strangers, counts_nothing = m->counts_nothing;
    bool keep = m->flashed && (!factory || emu->stubborn);
    memset(m, 0, sizeof *m);
    m->flashed = true;
    m->kept = keep ? kept : factory_settings();
    m->strangers = strangers;
    m->counts_nothing = counts_nothing;
    m->node = node;
    for (unsigned i = 0; node == 0 && i < 4; i++) /* the last digits of its own address */
        m->node = m->node << 8 | (emu_random_byte(emu) | 1);
    m->version = emu_has_quirk(emu, EMU_MESHTASTIC_SIGNS) ? "2.8.0.d06d0ed" : "2.7.4.c1f4f79";
    m->beacon_at_us = now_us + BOOT_US + BEACON_FIRST_US;
    m->minute = now_us / MINUTE_US;
    meshtastic_decoder_init(&m->decoder);
    emu->baud = MESHTASTIC_BAUD;
    emu->boot_until_us = now_us + BOOT_US;
    tune(emu, now_us);
    (void)emu_put(emu, now_us, boot_text, sizeof boot_text - 1); /* the line is empty at boot */
    (void)emit(emu, now_us, rebooted, sizeof rebooted);
}

static void model_run(struct emu *emu, uint64_t now_us)
{
    struct emu_meshtastic *m = state_of(emu);
    if (m->reboot_at_us > 0 && now_us >= m->reboot_at_us) {
        emu_restart(emu, now_us, false);
        return;
    }
    run_beacon(emu, now_us);
    run_air(emu, now_us);
    run_host(emu, now_us);
}

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static uint64_t model_next_us(const struct emu *emu)
{
    const struct emu_meshtastic *m = (const void *)emu->state;
    uint64_t at_us = m->beacon_at_us;
    if (m->reboot_at_us > 0)
        at_us = earlier(at_us, m->reboot_at_us);
    if (m->sending)
        at_us = earlier(at_us, m->tx_end_us);
    else if (m->tx_count > 0)
        at_us = earlier(at_us, m->tx_timer_us);
    /* What waits for the host's line waits for no time. */
    if (m->heartbeat || (m->open && m->host_count > 0 && emu_out_room(emu) == EMU_OUT_LEN))
        at_us = 0;
    return at_us;
}

static const char *const quirks[] = { "signs", "floods", "logs", NULL };

const struct emu_model emu_meshtastic_model = {
    .name = "meshtastic",
    .baud = MESHTASTIC_BAUD,
    .state_len = sizeof(struct emu_meshtastic),
    .quirks = quirks,
    /* Where its own share of time does not end the suites' talk. */
    .try_lora = { .freq_hz = 434000000, .bw_hz = 125000, .sf = 7, .cr = 5,
                  .preamble_symbols = MESHTASTIC_PREAMBLE_SYMBOLS },
    .boot = model_boot,
    .on_byte = model_on_byte,
    .on_rx = model_on_rx,
    .run = model_run,
    .next_us = model_next_us,
};
