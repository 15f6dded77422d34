#include "hw/emu_rnode.h"

#include <assert.h>
#include <string.h>

#include "hw/kiss.h"

enum {
    BOOT_US = 1500000,
    STATUS_US = 3000,      /* how often it looks at the channel */
    STAT_US = 1000000,
    BIN_US = 7500000,
    SHORT_BIN_COUNT = 2,
    DIFS_SLOTS = 2,
    WINDOW_SLOTS = 15,
    BAND_COUNT = 4,
    SEND_ALL_BPS = 14000,  /* slower than this, the whole queue goes after one contention */
    RADIO_TIMEOUT_US = 20000000,
    COUNTED_PERCENT = 95,  /* its sum of airtime is a little low */
    PER_10000 = 10000,
    US_PER_MS = 1000,

    VERSION_MAJOR = 1,
    VERSION_MINOR = 86,
    BOARD_CODE = 0x3a,
    PLATFORM_ESP32 = 0x80,
    PLATFORM_AVR = 0x90,
    MCU_ESP32 = 0x81,
    MCU_AVR = 0x91,
    POWER_DBM_MAX = 22,
    QUIRK_SAVED = 0,
    QUIRK_NO_STATISTICS = 1,
    CR_DEFAULT = 5,
    NOISE_FLOOR_DBM = -117,
};

static const char boot_text[] = "ESP-ROM:esp32s3-20210327\r\nrst:0x1 (POWERON),boot:0x8\r\n";
static const char unprovisioned_text[] =
    "Device unprovisioned, no device configuration found in EEPROM\r\n";

static_assert(sizeof(struct emu_rnode) <= EMU_STATE_LEN, "state fits");

static struct emu_rnode *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

/* ---- to the host ------------------------------------------------------------------ */

static void reply(struct emu *emu, uint64_t now_us, uint8_t command, const uint8_t *data,
                  size_t len)
{
    uint8_t buf[2 * (RNODE_MTU_LEN + 1) + 2];
    size_t n = kiss_encode(command, data, len, buf, sizeof buf);
    if (n <= emu_out_room(emu))
        (void)emu_put(emu, now_us, buf, n); /* it fits */
}

static void reply_int(struct emu *emu, uint64_t now_us, uint8_t command, unsigned len, uint32_t v)
{
    uint8_t buf[4];
    rnode_store(buf, len, v);
    reply(emu, now_us, command, buf, len);
}

/* ---- airtime ---------------------------------------------------------------------- */

static void count_airtime(struct emu_rnode *r, uint64_t now_us, uint32_t airtime_us)
{
    uint64_t number = now_us / BIN_US;
    for (; r->bin_number < number; r->bin_number++)
        r->bins_us[(r->bin_number + 1) % EMU_RNODE_BIN_COUNT] = 0;
    r->bins_us[number % EMU_RNODE_BIN_COUNT] += airtime_us;
}

static uint16_t own_share(struct emu_rnode *r, uint64_t now_us, unsigned bin_count)
{
    uint64_t sum_us = 0;
    count_airtime(r, now_us, 0);
    for (unsigned i = 0; i < bin_count; i++)
        sum_us += r->bins_us[(r->bin_number + EMU_RNODE_BIN_COUNT - i) % EMU_RNODE_BIN_COUNT];
    return (uint16_t)(sum_us * PER_10000 / ((uint64_t)bin_count * BIN_US));
}

static void tell_band(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    static const uint16_t limits[BAND_COUNT - 1] = { 700, 2800, 8500 };
    uint16_t share = own_share(r, now_us, SHORT_BIN_COUNT);
    uint8_t band = 1;
    while (band < BAND_COUNT && share >= limits[band - 1])
        band++;
    if (band == r->band)
        return;
    r->band = band;
    uint8_t data[RNODE_CSMA_LEN] = { band, (uint8_t)((band - 1) * WINDOW_SLOTS),
                                     (uint8_t)(band * WINDOW_SLOTS - 1) };
    reply(emu, now_us, RNODE_STAT_CSMA, data, sizeof data);
}

static void tell_channel(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    uint8_t data[RNODE_CHANNEL_LEN];
    uint16_t brief = own_share(r, now_us, SHORT_BIN_COUNT);
    uint16_t lasting = own_share(r, now_us, EMU_RNODE_BIN_COUNT);
    int16_t rssi_dbm = emu->radio.rssi_dbm(emu->radio.ctx, now_us);
    r->stat_at_us = now_us + STAT_US;
    if (emu_has_quirk(emu, QUIRK_NO_STATISTICS))
        return;
    rnode_store(data, 2, brief);
    rnode_store(data + 2, 2, lasting);
    rnode_store(data + 4, 2, brief);
    rnode_store(data + 6, 2, lasting);
    data[8] = (uint8_t)(rssi_dbm + RNODE_RSSI_OFFSET);
    data[9] = (uint8_t)(NOISE_FLOOR_DBM + RNODE_RSSI_OFFSET);
    data[10] = 0xff;
    reply(emu, now_us, RNODE_STAT_CHANNEL, data, sizeof data);
    tell_band(emu, now_us);
}

static void tell_phy(struct emu *emu, uint64_t now_us)
{
    const struct emu_rnode *r = state_of(emu);
    uint32_t symbol_us = lora_symbol_us(&r->lora);
    uint32_t slot_ms = rnode_slot_ms(&r->lora);
    const uint32_t values[] = { symbol_us, 1000000 / symbol_us, r->lora.preamble_symbols,
                                r->lora.preamble_symbols * symbol_us / US_PER_MS, slot_ms,
                                DIFS_SLOTS * slot_ms };
    uint8_t data[RNODE_PHY_LEN];
    for (unsigned i = 0; i < RNODE_PHY_LEN / 2; i++)
        rnode_store(data + 2 * i, 2, values[i]);
    reply(emu, now_us, RNODE_STAT_PHY, data, sizeof data);
}

/* ---- commands --------------------------------------------------------------------- */

static void retune(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    if (r->lora.freq_hz == 0 || r->lora.bw_hz == 0 || r->lora.sf == 0)
        return;
    r->lora.preamble_symbols = rnode_preamble_symbols(&r->lora);
    if (r->online) {
        emu->radio.tune(emu->radio.ctx, now_us, &r->lora, EMU_SYNC_LORA);
        tell_phy(emu, now_us);
    }
}

static uint32_t snap_bandwidth(uint32_t bw_hz)
{
    static const uint32_t known[] = { 7800, 10400, 15600, 20800, 31250, 41700, 62500,
                                      125000, 250000, 500000 };
    size_t i = 0;
    while (i + 1 < sizeof known / sizeof known[0] && known[i] < bw_hz)
        i++;
    return known[i];
}

static void set_radio(struct emu *emu, uint64_t now_us, uint8_t value)
{
    struct emu_rnode *r = state_of(emu);
    if (value == RNODE_OFF) {
        r->online = false;
        r->state = EMU_RNODE_IDLE;
    } else if (value == RNODE_ON && !r->unprovisioned && r->lora.freq_hz > 0 &&
               r->lora.bw_hz > 0 && r->lora.sf > 0 && r->power_set) {
        r->online = true;
        memset(r->bins_us, 0, sizeof r->bins_us);
        r->stat_at_us = now_us + STAT_US;
        r->band = 0;
        retune(emu, now_us);
        reply_int(emu, now_us, RNODE_RADIO_STATE, 1, RNODE_ON); /* once by starting it … */
    }
    reply_int(emu, now_us, RNODE_RADIO_STATE, 1, r->online); /* … and once by the command */
}

static uint8_t clamp(uint8_t value, uint8_t min, uint8_t max)
{
    return value < min ? min : value > max ? max : value;
}

static void set_byte(struct emu *emu, uint64_t now_us, uint8_t command, uint8_t value)
{
    struct emu_rnode *r = state_of(emu);
    bool query = value == RNODE_QUERY || emu->stubborn;
    if (command == RNODE_TX_POWER) {
        if (!query)
            r->power_dbm = (int8_t)clamp(value, 0, POWER_DBM_MAX);
        r->power_set = r->power_set || !query;
        reply_int(emu, now_us, command, 1, r->power_set ? (uint8_t)r->power_dbm : RNODE_QUERY);
    } else if (command == RNODE_SF) {
        if (!query)
            r->lora.sf = clamp(value, LORA_SF_MIN, LORA_SF_MAX);
        reply_int(emu, now_us, command, 1, r->lora.sf);
    } else {
        if (!query)
            r->lora.cr = clamp(value, LORA_CR_MIN, LORA_CR_MAX);
        reply_int(emu, now_us, command, 1, r->lora.cr);
    }
    if (!query && command != RNODE_TX_POWER)
        retune(emu, now_us);
}

static void save(struct emu *emu, bool keep)
{
    struct emu_rnode *r = state_of(emu);
    r->has_saved = keep && r->online;
    r->saved = r->lora;
    r->saved_power_dbm = r->power_dbm;
}

/* One argument byte of a command that has one: acts at once, each further byte acts again. */
static void on_short(struct emu *emu, uint64_t now_us, uint8_t value)
{
    struct emu_rnode *r = state_of(emu);
    bool avr = emu_has_quirk(emu, QUIRK_NO_STATISTICS);
    uint8_t c = r->command;
    switch (c) {
    case RNODE_TX_POWER:
    case RNODE_SF:
    case RNODE_CR: set_byte(emu, now_us, c, value); break;
    case RNODE_RADIO_STATE:
        if (value == RNODE_QUERY)
            reply_int(emu, now_us, c, 1, r->online);
        else
            set_radio(emu, now_us, value);
        break;
    case RNODE_RADIO_LOCK: reply_int(emu, now_us, c, 1, !r->online); break;
    case RNODE_DETECT:
        if (value == RNODE_DETECT_ASK)
            reply_int(emu, now_us, c, 1, RNODE_DETECT_ANSWER);
        break;
    case RNODE_READY:
        reply_int(emu, now_us, c, 1, r->packet_count < EMU_RNODE_PACKET_COUNT);
        break;
    case RNODE_STAT_RX:
    case RNODE_STAT_TX: reply_int(emu, now_us, c, 4, 0); break;
    case RNODE_STAT_RSSI:
        reply_int(emu, now_us, c, 1, (uint8_t)(emu->radio.rssi_dbm(emu->radio.ctx, now_us) +
                                               RNODE_RSSI_OFFSET));
        break;
    case RNODE_RANDOM: reply_int(emu, now_us, c, 1, emu_random_byte(emu)); break;
    case RNODE_BOARD: reply_int(emu, now_us, c, 1, BOARD_CODE); break;
    case RNODE_PLATFORM: reply_int(emu, now_us, c, 1, avr ? PLATFORM_AVR : PLATFORM_ESP32); break;
    case RNODE_MCU: reply_int(emu, now_us, c, 1, avr ? MCU_AVR : MCU_ESP32); break;
    case RNODE_FW_VERSION:
        reply_int(emu, now_us, c, 2, VERSION_MAJOR << 8 | VERSION_MINOR);
        break;
    case RNODE_CONF_SAVE: save(emu, true); break;
    case RNODE_CONF_DELETE: save(emu, false); break;
    case RNODE_RESET:
        if (value == RNODE_RESET_NOW)
            emu_restart(emu, now_us, false);
        break;
    default: break; /* commands of display, LED and firmware update: nothing to tell */
    }
}

static void on_long(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    uint32_t value = emu->stubborn ? 0 : rnode_load(r->argument, r->argument_len);
    switch (r->command) {
    case RNODE_FREQUENCY:
        if (value != 0)
            r->lora.freq_hz = value;
        reply_int(emu, now_us, r->command, 4, r->lora.freq_hz);
        break;
    case RNODE_BANDWIDTH:
        if (value != 0)
            r->lora.bw_hz = snap_bandwidth(value);
        reply_int(emu, now_us, r->command, 4, r->lora.bw_hz);
        break;
    case RNODE_SHORT_LOCK:
        r->short_lock = value >= PER_10000 ? 0 : (uint16_t)value;
        reply_int(emu, now_us, r->command, 2, r->short_lock);
        return;
    default:
        r->long_lock = value >= PER_10000 ? 0 : (uint16_t)value;
        reply_int(emu, now_us, r->command, 2, r->long_lock);
        return;
    }
    if (value != 0)
        retune(emu, now_us);
}

/* Length of the argument that is gathered before it acts; 0: acts byte by byte. */
static unsigned argument_len(uint8_t command)
{
    switch (command) {
    case RNODE_FREQUENCY:
    case RNODE_BANDWIDTH: return 4;
    case RNODE_SHORT_LOCK:
    case RNODE_LONG_LOCK: return 2;
    default: return 0;
    }
}

static void queue_byte(struct emu_rnode *r, uint8_t byte)
{
    /* Full: the rest is dropped without a word, and a cut packet is what goes out. */
    if (r->queue_len == EMU_RNODE_QUEUE_LEN || r->packet_count == EMU_RNODE_PACKET_COUNT)
        return;
    r->queue[(r->queue_first + r->queue_len++) % EMU_RNODE_QUEUE_LEN] = byte;
    r->open_len++;
}

static void end_packet(struct emu_rnode *r)
{
    if (r->open_len == 0)
        return;
    r->packet_len[(r->packet_first + r->packet_count++) % EMU_RNODE_PACKET_COUNT] = r->open_len;
    r->open_len = 0;
}

/* Undoes the escape; false when the byte was its first half. */
static bool unescape(struct emu_rnode *r, uint8_t *byte)
{
    if (*byte == KISS_FESC) {
        r->escaped = true;
        return false;
    }
    if (r->escaped && *byte == KISS_TFEND)
        *byte = KISS_FEND;
    else if (r->escaped && *byte == KISS_TFESC)
        *byte = KISS_FESC;
    r->escaped = false;
    return true;
}

static void model_on_byte(struct emu *emu, uint64_t now_us, uint8_t byte)
{
    struct emu_rnode *r = state_of(emu);
    if (byte == KISS_FEND) {
        /* The end of a packet begins nothing. */
        bool ends_data = r->in_frame && r->has_command && r->command == RNODE_DATA;
        if (ends_data)
            end_packet(r);
        r->in_frame = !ends_data;
        r->has_command = r->escaped = false;
        r->argument_len = 0;
    } else if (r->in_frame && !r->has_command) {
        r->command = byte;
        r->has_command = true;
    } else if (r->in_frame && r->command == RNODE_DATA) {
        if (unescape(r, &byte))
            queue_byte(r, byte);
    } else if (r->in_frame && argument_len(r->command) > 0) {
        if (r->argument_len < argument_len(r->command) && unescape(r, &byte)) {
            r->argument[r->argument_len++] = byte;
            if (r->argument_len == argument_len(r->command))
                on_long(emu, now_us);
        }
    } else if (r->in_frame) {
        on_short(emu, now_us, byte);
    }
}

/* ---- sending ---------------------------------------------------------------------- */

static bool is_locked(struct emu_rnode *r, uint64_t now_us)
{
    return (r->short_lock > 0 && own_share(r, now_us, SHORT_BIN_COUNT) >= r->short_lock) ||
           (r->long_lock > 0 && own_share(r, now_us, EMU_RNODE_BIN_COUNT) >= r->long_lock);
}

/* Takes the next packet that can be sent at all. */
static bool take_packet(struct emu *emu)
{
    struct emu_rnode *r = state_of(emu);
    while (r->packet_count > 0) {
        uint16_t len = r->packet_len[r->packet_first];
        r->packet_first = (uint16_t)((r->packet_first + 1) % EMU_RNODE_PACKET_COUNT);
        r->packet_count--;
        for (uint16_t i = 0; i < len; i++) {
            if (i < RNODE_MTU_LEN)
                r->tx_packet[i] = r->queue[(r->queue_first + i) % EMU_RNODE_QUEUE_LEN];
        }
        r->queue_first = (uint16_t)((r->queue_first + len) % EMU_RNODE_QUEUE_LEN);
        r->queue_len = (uint16_t)(r->queue_len - len);
        if (len > RNODE_MTU_LEN)
            continue; /* too long: forgotten without notice */
        r->tx_len = len;
        r->tx_at = 0;
        r->header = emu_random_byte(emu) & 0xf0;
        if (len > RNODE_PACKET_LEN_MAX)
            r->header |= RNODE_SPLIT;
        return true;
    }
    return false;
}

static void send_part(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    uint8_t frame[RNODE_HEADER_LEN + RNODE_PACKET_LEN_MAX] = { r->header };
    size_t len = (size_t)(r->tx_len - r->tx_at);
    uint64_t end_us;
    if (len > RNODE_PACKET_LEN_MAX)
        len = RNODE_PACKET_LEN_MAX;
    memcpy(frame + RNODE_HEADER_LEN, r->tx_packet + r->tx_at, len);
    r->tx_at = (uint16_t)(r->tx_at + len);
    r->state = EMU_RNODE_SENDING;
    if (emu->radio.start_tx(emu->radio.ctx, now_us, frame, len + RNODE_HEADER_LEN, &r->lora,
                            r->power_dbm, &end_us) != 0) {
        r->fail_at_us = end_us = now_us + RADIO_TIMEOUT_US;
    } else {
        uint32_t airtime_us = (uint32_t)(end_us - now_us);
        count_airtime(r, now_us, (uint32_t)((uint64_t)airtime_us * COUNTED_PERCENT / 100));
    }
    emu->busy_until_us = r->timer_us = end_us; /* its loop stands still meanwhile */
}

static uint32_t bits_per_second(const struct lora_params *p)
{
    return (uint32_t)((uint64_t)p->sf * p->bw_hz * 4 / ((uint64_t)p->cr << p->sf));
}

static void on_sent(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    bool all = bits_per_second(&r->lora) < SEND_ALL_BPS;
    if (r->fail_at_us > 0) {
        reply_int(emu, now_us, RNODE_ERROR, 1, RNODE_ERR_MODEM_TIMEOUT);
        reply_int(emu, now_us, RNODE_ERROR, 1, RNODE_ERR_TX_FAILED);
        emu_restart(emu, now_us, false);
    } else if (r->tx_at < r->tx_len || (all && take_packet(emu))) {
        send_part(emu, now_us);
    } else {
        r->state = EMU_RNODE_IDLE;
        tell_channel(emu, now_us);
    }
}

static void run_access(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    uint64_t slot_us = rnode_slot_ms(&r->lora) * (uint64_t)US_PER_MS;
    bool busy = emu->radio.receiving(emu->radio.ctx, now_us);
    uint64_t look_us = now_us + STATUS_US;
    if (r->state == EMU_RNODE_IDLE) {
        if (r->packet_count == 0 || is_locked(r, now_us))
            return;
        tell_band(emu, now_us);
        r->window_left = (uint8_t)((r->band - 1) * WINDOW_SLOTS +
                                   emu_random_byte(emu) % WINDOW_SLOTS);
        r->state = EMU_RNODE_DIFS;
        r->timer_us = now_us + DIFS_SLOTS * slot_us;
    } else if (busy) {
        r->state = EMU_RNODE_DIFS; /* the slots left are kept */
        r->timer_us = now_us + DIFS_SLOTS * slot_us;
    } else if (now_us >= r->timer_us && r->window_left > 0) {
        r->state = EMU_RNODE_WINDOW;
        r->window_left--;
        r->timer_us = now_us + slot_us;
    } else if (now_us >= r->timer_us) {
        if (take_packet(emu))
            send_part(emu, now_us);
        else
            r->state = EMU_RNODE_IDLE;
    }
    r->look_us = now_us < r->timer_us && r->timer_us < look_us ? r->timer_us : look_us;
}

static void announce(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    r->announce = false;
    reply_int(emu, now_us, RNODE_RESET, 1, RNODE_RESET_NOW);
    if (r->unprovisioned)
        (void)emu_put(emu, now_us, unprovisioned_text, sizeof unprovisioned_text - 1);
    if (r->has_saved) {
        r->lora = r->saved;
        r->power_dbm = r->saved_power_dbm;
        r->power_set = true;
        set_radio(emu, now_us, RNODE_ON);
    }
}

static void model_run(struct emu *emu, uint64_t now_us)
{
    struct emu_rnode *r = state_of(emu);
    if (r->announce)
        announce(emu, now_us);
    if (!r->online)
        return;
    if (r->state == EMU_RNODE_SENDING && now_us >= r->timer_us)
        on_sent(emu, now_us);
    if (r->online && r->state != EMU_RNODE_SENDING)
        run_access(emu, now_us);
    if (r->online && r->state != EMU_RNODE_SENDING && now_us >= r->stat_at_us)
        tell_channel(emu, now_us);
}

static uint64_t model_next_us(const struct emu *emu)
{
    const struct emu_rnode *r = (const void *)emu->state;
    if (r->announce)
        return 0; /* as soon as it has booted */
    if (!r->online)
        return EMU_NEVER;
    uint64_t at_us = r->stat_at_us;
    if (r->state == EMU_RNODE_IDLE)
        return at_us;
    uint64_t look_us = r->state == EMU_RNODE_SENDING ? r->timer_us : r->look_us;
    return look_us < at_us ? look_us : at_us;
}

/* ---- receiving -------------------------------------------------------------------- */

static void give(struct emu *emu, uint64_t now_us, const uint8_t *data, size_t len,
                 int16_t rssi_dbm, int16_t snr_db_x4)
{
    reply_int(emu, now_us, RNODE_STAT_RSSI, 1, (uint8_t)(rssi_dbm + RNODE_RSSI_OFFSET));
    reply_int(emu, now_us, RNODE_STAT_SNR, 1, (uint8_t)(int8_t)snr_db_x4);
    reply(emu, now_us, RNODE_DATA, data, len);
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    struct emu_rnode *r = state_of(emu);
    uint8_t whole[2 * RNODE_PACKET_LEN_MAX];
    if (!r->online || now_us < emu->hang_until_us || len <= RNODE_HEADER_LEN)
        return;
    uint8_t header = frame[0];
    frame += RNODE_HEADER_LEN;
    len -= RNODE_HEADER_LEN;
    if (!(header & RNODE_SPLIT)) {
        r->half_len = 0;
        give(emu, now_us, frame, len, rssi_dbm, snr_db_x4);
    } else if (r->half_len > 0 && r->half_header == header) {
        memcpy(whole, r->half, r->half_len);
        memcpy(whole + r->half_len, frame, len);
        give(emu, now_us, whole, r->half_len + len, rssi_dbm, snr_db_x4);
        r->half_len = 0;
    } else {
        memcpy(r->half, frame, len); /* of another packet: what was there is dropped */
        r->half_len = (uint16_t)len;
        r->half_header = header;
    }
}

/* ---- life ------------------------------------------------------------------------- */

static void model_boot(struct emu *emu, uint64_t now_us, bool factory)
{
    static const struct lora_params somebodys = { .freq_hz = 868000000, .bw_hz = 125000,
                                                  .preamble_symbols = 18, .sf = 8, .cr = 6 };
    struct emu_rnode *r = state_of(emu);
    struct emu_rnode kept = { .unprovisioned = r->unprovisioned, .has_saved = r->has_saved,
                              .saved = r->saved, .saved_power_dbm = r->saved_power_dbm };
    if (factory) {
        kept.has_saved = emu_has_quirk(emu, QUIRK_SAVED);
        kept.saved = somebodys;
        kept.saved_power_dbm = POWER_DBM_MAX;
    }
    *r = kept;
    r->lora.cr = CR_DEFAULT;
    r->announce = true;
    r->bin_number = now_us / BIN_US;
    emu->boot_until_us = now_us + BOOT_US;
    /* Its radio is off; what it was sending ends. */
    emu->radio.tune(emu->radio.ctx, now_us, &somebodys, EMU_SYNC_LORA);
    (void)emu_put(emu, now_us, boot_text, sizeof boot_text - 1); /* the line is empty at boot */
}

static const char *const quirks[] = { [QUIRK_SAVED] = "saved-settings",
                                      [QUIRK_NO_STATISTICS] = "no-statistics", NULL };

const struct emu_model emu_rnode_model = {
    .name = "rnode",
    .baud = RNODE_BAUD,
    .state_len = sizeof(struct emu_rnode),
    .quirks = quirks,
    .boot = model_boot,
    .on_byte = model_on_byte,
    .on_rx = model_on_rx,
    .run = model_run,
    .next_us = model_next_us,
};
