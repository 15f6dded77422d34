#include "hw/emu_kiss.h"

#include <string.h>

enum {
    FACTORY_FREQ_HZ = 869618000,
    FACTORY_BW_HZ = 62500,
    FACTORY_SF = 8,
    FACTORY_CR = 5,
    FACTORY_POWER_DBM = 22,
    FACTORY_TX_DELAY = 50,
    FACTORY_PERSISTENCE = 63,
    FACTORY_SLOT_TIME = 10,
    FIRMWARE_VERSION = 1,
    BATTERY_MV = 4100,
    NOISE_FLOOR_DBM_MIN = -120, /* the firmware clamps there */
    RANDOM_LEN_MAX = 64,

    BOOT_US = 1000000,
    REBOOT_DELAY_US = 50000,
    LOOP_US = 1000,      /* one turn of the firmware's loop, about */
    UNIT_US = 10000,     /* KISS counts in 10 ms */
    BITS_PER_BYTE = 10,  /* start, eight, stop */
    CHUNK_LEN = 32,      /* bytes of the line that are worth waking up for */
    US = 1000,           /* nanoseconds, in which line times are kept */
};

static const uint64_t byte_ns = 1000000000u / KISS_HW_BAUD * BITS_PER_BYTE;
static const char boot_text[] = "\r\nemulated board: starting\r\n";
static const char board_name[] = "keng-air";

static uint8_t random_byte(struct emu_kiss *emu)
{
    /* xorshift64* (Vigna 2016); the state is never 0. */
    emu->random ^= emu->random >> 12;
    emu->random ^= emu->random << 25;
    emu->random ^= emu->random >> 27;
    return (uint8_t)((emu->random * 0x2545f4914f6cdd1du) >> 56);
}

/* ---- to the host --------------------------------------------------------------- */

static void put_serial(struct emu_kiss *emu, uint64_t now_us, uint8_t byte)
{
    if (emu->serial_len == EMU_KISS_SERIAL_LEN)
        return; /* only stray bytes get here unasked: a full UART drops them */
    if (emu->serial_len == 0) {
        uint64_t start_ns = now_us * US;
        /* The line is still busy with the byte before. */
        if (start_ns < emu->serial_line_ns)
            start_ns = emu->serial_line_ns;
        emu->serial_line_ns = start_ns + byte_ns;
    }
    emu->serial[(emu->serial_first + emu->serial_len++) % EMU_KISS_SERIAL_LEN] = byte;
}

/* Moves encoded frames into the serial buffer; true when all slots are empty. */
static bool flush_slots(struct emu_kiss *emu, uint64_t now_us)
{
    while (emu->slot_count > 0) {
        unsigned first = emu->slot_first;
        while (emu->slots[first].written < emu->slots[first].len) {
            if (emu->serial_len == EMU_KISS_SERIAL_LEN)
                return false;
            put_serial(emu, now_us, emu->slots[first].bytes[emu->slots[first].written++]);
        }
        emu->slot_first = (uint8_t)((first + 1) % EMU_KISS_SLOT_COUNT);
        emu->slot_count--;
    }
    return true;
}

static bool queue_frame(struct emu_kiss *emu, uint64_t now_us, uint8_t type, const uint8_t *data,
                        size_t len, bool mark_busy)
{
    if (emu->slot_count >= EMU_KISS_SLOT_COUNT && !flush_slots(emu, now_us)) {
        emu->busy_error_pending = emu->busy_error_pending || mark_busy;
        return false;
    }
    unsigned index = (emu->slot_first + emu->slot_count) % EMU_KISS_SLOT_COUNT;
    size_t n = kiss_encode(type, data, len, emu->slots[index].bytes, EMU_KISS_SLOT_LEN);
    if (n == 0)
        return false;
    emu->slots[index].len = (uint16_t)n;
    emu->slots[index].written = 0;
    emu->slot_count++;
    flush_slots(emu, now_us);
    return true;
}

static bool reply_or_mark(struct emu_kiss *emu, uint64_t now_us, uint8_t code, const uint8_t *data,
                          size_t len, bool mark_busy)
{
    uint8_t buf[1 + RANDOM_LEN_MAX];
    buf[0] = code;
    if (len > 0)
        memcpy(buf + 1, data, len);
    return queue_frame(emu, now_us, KISS_SET_HARDWARE, buf, 1 + len, mark_busy);
}

static void reply(struct emu_kiss *emu, uint64_t now_us, uint8_t code, const uint8_t *data,
                  size_t len)
{
    (void)reply_or_mark(emu, now_us, code, data, len, true); /* a full queue is marked */
}

static void reply_byte(struct emu_kiss *emu, uint64_t now_us, uint8_t code, uint8_t value)
{
    reply(emu, now_us, code, &value, 1);
}

static void reply_error(struct emu_kiss *emu, uint64_t now_us, uint8_t error)
{
    reply_byte(emu, now_us, KISS_HW_ERROR, error);
}

/* ---- commands ------------------------------------------------------------------ */

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

/* The firmware ignores what the radio says to each value, and so answers OK to all. */
static void set_radio(struct emu_kiss *emu, uint64_t now_us, const uint8_t *data)
{
    enum { CHIP_FREQ_HZ_MIN = 150000000, CHIP_FREQ_HZ_MAX = 960000000 };

    memcpy(emu->config, data, KISS_HW_RADIO_LEN);
    uint32_t freq_hz = kiss_hw_load32(data);
    uint32_t bw_hz = kiss_hw_load32(data + 4);
    if (freq_hz >= CHIP_FREQ_HZ_MIN && freq_hz <= CHIP_FREQ_HZ_MAX)
        emu->lora.freq_hz = freq_hz;
    if (data[8] >= LORA_SF_MIN && data[8] <= LORA_SF_MAX)
        emu->lora.sf = data[8];
    if (bandwidth_known(bw_hz))
        emu->lora.bw_hz = bw_hz;
    if (data[9] >= LORA_CR_MIN && data[9] <= LORA_CR_MAX)
        emu->lora.cr = data[9];
    emu->lora.preamble_symbols = kiss_hw_preamble_symbols(data[8]);
    emu->radio.tune(emu->radio.ctx, now_us, &emu->lora);
    reply(emu, now_us, KISS_HW_OK, NULL, 0);
}

static void set_power(struct emu_kiss *emu, uint64_t now_us, uint8_t raw)
{
    enum { CHIP_POWER_DBM_MIN = -9, CHIP_POWER_DBM_MAX = 22 };

    emu->config_power = raw;
    if ((int8_t)raw >= CHIP_POWER_DBM_MIN && (int8_t)raw <= CHIP_POWER_DBM_MAX)
        emu->power_dbm = (int8_t)raw;
    reply(emu, now_us, KISS_HW_OK, NULL, 0);
}

static uint32_t airtime_ms(const struct emu_kiss *emu, uint8_t len)
{
    return lora_airtime_us(&emu->lora, len) / US;
}

static void reply32(struct emu_kiss *emu, uint64_t now_us, uint8_t code, uint32_t value)
{
    uint8_t buf[4];
    kiss_hw_store32(buf, value);
    reply(emu, now_us, code, buf, sizeof buf);
}

static void reply16(struct emu_kiss *emu, uint64_t now_us, uint8_t code, uint16_t value)
{
    uint8_t buf[2] = { (uint8_t)value, (uint8_t)(value >> 8) };
    reply(emu, now_us, code, buf, sizeof buf);
}

static void reply_stats(struct emu_kiss *emu, uint64_t now_us, uint8_t code)
{
    uint8_t buf[12];
    kiss_hw_store32(buf, emu->rx_count);
    kiss_hw_store32(buf + 4, emu->tx_count);
    kiss_hw_store32(buf + 8, emu->error_count);
    reply(emu, now_us, code, buf, sizeof buf);
}

static void reply_random(struct emu_kiss *emu, uint64_t now_us, uint8_t code, uint8_t len)
{
    uint8_t buf[RANDOM_LEN_MAX];
    if (len < 1 || len > RANDOM_LEN_MAX) {
        reply_error(emu, now_us, KISS_HW_ERR_PARAM);
        return;
    }
    for (size_t i = 0; i < len; i++)
        buf[i] = random_byte(emu);
    reply(emu, now_us, code, buf, len);
}

/* Shortest argument of each command. */
static size_t argument_len_min(uint8_t command)
{
    switch (command) {
    case KISS_HW_SET_RADIO: return KISS_HW_RADIO_LEN;
    case KISS_HW_GET_RANDOM:
    case KISS_HW_SET_TX_POWER:
    case KISS_HW_GET_AIRTIME:
    case KISS_HW_GET_SENSORS:
    case KISS_HW_SET_SIGNAL_REPORT: return 1;
    default: return 0; /* a byte from the line, not an enum of ours */
    }
}

/* Commands that ask for something; false for those that do something. */
static bool on_query(struct emu_kiss *emu, uint64_t now_us, uint8_t command, const uint8_t *data)
{
    const uint8_t code = KISS_HW_REPLY | command;
    int16_t rssi_dbm = 0;
    switch (command) {
    case KISS_HW_GET_RANDOM: reply_random(emu, now_us, code, data[0]); return true;
    case KISS_HW_GET_RADIO: reply(emu, now_us, code, emu->config, KISS_HW_RADIO_LEN); return true;
    case KISS_HW_GET_TX_POWER: reply_byte(emu, now_us, code, emu->config_power); return true;
    case KISS_HW_GET_RSSI:
        rssi_dbm = emu->radio.rssi_dbm(emu->radio.ctx, now_us);
        reply_byte(emu, now_us, code, (uint8_t)(int8_t)rssi_dbm);
        return true;
    case KISS_HW_IS_BUSY:
        reply_byte(emu, now_us, code, emu->radio.receiving(emu->radio.ctx, now_us));
        return true;
    case KISS_HW_GET_AIRTIME: reply32(emu, now_us, code, airtime_ms(emu, data[0])); return true;
    case KISS_HW_GET_NOISE_FLOOR:
        rssi_dbm = emu->radio.rssi_dbm(emu->radio.ctx, now_us);
        if (rssi_dbm < NOISE_FLOOR_DBM_MIN)
            rssi_dbm = NOISE_FLOOR_DBM_MIN;
        reply16(emu, now_us, code, (uint16_t)rssi_dbm);
        return true;
    case KISS_HW_GET_VERSION: reply16(emu, now_us, code, FIRMWARE_VERSION); return true;
    case KISS_HW_GET_STATS: reply_stats(emu, now_us, code); return true;
    case KISS_HW_GET_BATTERY: reply16(emu, now_us, code, BATTERY_MV); return true;
    case KISS_HW_GET_SENSORS: reply(emu, now_us, code, NULL, 0); return true;
    case KISS_HW_GET_NAME:
        reply(emu, now_us, code, (const uint8_t *)board_name, sizeof board_name - 1);
        return true;
    case KISS_HW_PING: reply(emu, now_us, code, NULL, 0); return true;
    case KISS_HW_GET_SIGNAL_REPORT: reply_byte(emu, now_us, code, emu->signal_report); return true;
    default: return false;
    }
}

static void on_command(struct emu_kiss *emu, uint64_t now_us, uint8_t command, const uint8_t *data,
                       size_t len)
{
    if (len < argument_len_min(command)) {
        reply_error(emu, now_us, KISS_HW_ERR_LENGTH);
        return;
    }
    if (on_query(emu, now_us, command, data))
        return;
    switch (command) {
    case KISS_HW_SET_RADIO: set_radio(emu, now_us, data); break;
    case KISS_HW_SET_TX_POWER: set_power(emu, now_us, data[0]); break;
    case KISS_HW_SET_SIGNAL_REPORT:
        emu->signal_report = data[0] != 0;
        reply_byte(emu, now_us, KISS_HW_REPLY | KISS_HW_GET_SIGNAL_REPORT, emu->signal_report);
        break;
    case KISS_HW_REBOOT:
        reply(emu, now_us, KISS_HW_OK, NULL, 0);
        emu->reboot_at_us = now_us + REBOOT_DELAY_US;
        break;
    case KISS_HW_GET_IDENTITY:
    case KISS_HW_VERIFY_SIGNATURE:
    case KISS_HW_SIGN_DATA:
    case KISS_HW_ENCRYPT_DATA:
    case KISS_HW_DECRYPT_DATA:
    case KISS_HW_KEY_EXCHANGE:
    case KISS_HW_HASH:
    case KISS_HW_GET_MCU_TEMP: reply_error(emu, now_us, KISS_HW_ERR_NO_CALLBACK); break;
    default: reply_error(emu, now_us, KISS_HW_ERR_UNKNOWN); break;
    }
}

static void on_data(struct emu_kiss *emu, uint64_t now_us, const uint8_t *data, size_t len)
{
    if (emu->tx_pending) {
        reply_error(emu, now_us, KISS_HW_ERR_BUSY);
    } else if (len > 0 && len <= KISS_HW_PACKET_LEN_MAX) {
        memcpy(emu->tx_frame, data, len);
        emu->tx_len = (uint16_t)len;
        emu->tx_pending = true;
    } /* else dropped without a word, as the firmware does */
}

static void on_frame(struct emu_kiss *emu, uint64_t now_us)
{
    const uint8_t *data = emu->decoder.frame + 1;
    size_t len = emu->decoder.frame_len - 1u;
    uint8_t type = emu->decoder.frame[0];
    if (type >> 4 != 0)
        return; /* another port, or 0xff: leave KISS mode, which it has no other of */
    if (type == KISS_DATA)
        on_data(emu, now_us, data, len);
    else if (len == 0)
        return;
    else if (type == KISS_TX_DELAY)
        emu->tx_delay = data[0];
    else if (type == KISS_PERSISTENCE)
        emu->persistence = data[0];
    else if (type == KISS_SLOT_TIME)
        emu->slot_time = data[0];
    else if (type == KISS_TX_TAIL)
        emu->tx_tail = data[0];
    else if (type == KISS_FULL_DUPLEX)
        emu->full_duplex = data[0];
    else if (type == KISS_SET_HARDWARE)
        on_command(emu, now_us, data[0], data + 1, len - 1);
}

/* ---- channel access -------------------------------------------------------------- */

static void set_tx(struct emu_kiss *emu, uint64_t now_us, enum emu_tx_state state)
{
    emu->tx_state = state;
    emu->tx_timer_us = now_us;
}

static void tx_done(struct emu_kiss *emu, bool sent)
{
    emu->tx_result = sent;
    emu->tx_state = EMU_TX_DONE_PENDING;
}

static uint64_t busy_limit_us(const struct emu_kiss *emu)
{
    return (uint64_t)lora_airtime_us(&emu->lora, KISS_HW_PACKET_LEN_MAX) * 3 / 2;
}

static uint64_t slot_us(const struct emu_kiss *emu)
{
    return emu->slot_time > 0 ? (uint64_t)emu->slot_time * UNIT_US : LOOP_US;
}

static void on_wait_clear(struct emu_kiss *emu, uint64_t now_us)
{
    if (!emu->radio.receiving(emu->radio.ctx, now_us)) {
        bool won = random_byte(emu) <= emu->persistence;
        set_tx(emu, now_us, won ? EMU_TX_DELAY : EMU_TX_SLOT_WAIT);
    } else if (now_us - emu->tx_timer_us >= busy_limit_us(emu)) {
        set_tx(emu, now_us, EMU_TX_DELAY); /* it gives up being polite */
    }
}

static void on_tx_delay(struct emu_kiss *emu, uint64_t now_us)
{
    if (emu->radio.start_tx(emu->radio.ctx, now_us, emu->tx_frame, emu->tx_len, &emu->lora,
                            emu->power_dbm, &emu->tx_end_us) == 0)
        set_tx(emu, now_us, EMU_TX_SENDING);
    else
        tx_done(emu, false);
}

/* One turn of the firmware's sending loop; true when the state changed. */
static bool run_tx(struct emu_kiss *emu, uint64_t now_us)
{
    enum emu_tx_state before = emu->tx_state;
    uint8_t result;
    switch (emu->tx_state) {
    case EMU_TX_IDLE:
        if (emu->tx_pending)
            set_tx(emu, now_us, emu->full_duplex ? EMU_TX_DELAY : EMU_TX_WAIT_CLEAR);
        break;
    case EMU_TX_WAIT_CLEAR: on_wait_clear(emu, now_us); break;
    case EMU_TX_SLOT_WAIT:
        if (now_us - emu->tx_timer_us >= slot_us(emu))
            set_tx(emu, now_us, EMU_TX_WAIT_CLEAR);
        break;
    case EMU_TX_DELAY:
        if (now_us - emu->tx_timer_us >= (uint64_t)emu->tx_delay * UNIT_US)
            on_tx_delay(emu, now_us);
        break;
    case EMU_TX_SENDING:
        if (now_us >= emu->tx_end_us) {
            emu->tx_count++;
            tx_done(emu, true);
        }
        break;
    case EMU_TX_DONE_PENDING:
        result = emu->tx_result;
        if (reply_or_mark(emu, now_us, KISS_HW_TX_DONE, &result, 1, false)) {
            emu->tx_pending = false;
            emu->tx_state = EMU_TX_IDLE;
        }
        break;
    }
    return emu->tx_state != before;
}

/* ---- life ---------------------------------------------------------------------- */

static void start_firmware(struct emu_kiss *emu, uint64_t now_us)
{
    emu->lora = (struct lora_params){ .freq_hz = FACTORY_FREQ_HZ, .bw_hz = FACTORY_BW_HZ,
                                      .preamble_symbols = kiss_hw_preamble_symbols(FACTORY_SF),
                                      .sf = FACTORY_SF, .cr = FACTORY_CR };
    emu->power_dbm = FACTORY_POWER_DBM;
    memset(emu->config, 0, sizeof emu->config);
    emu->config_power = 0;
    emu->tx_delay = FACTORY_TX_DELAY;
    emu->persistence = FACTORY_PERSISTENCE;
    emu->slot_time = FACTORY_SLOT_TIME;
    emu->tx_tail = 0;
    emu->full_duplex = 0;
    emu->signal_report = true;
    emu->rx_count = emu->tx_count = emu->error_count = 0;
    kiss_decoder_init(&emu->decoder, KISS_LENIENT);
    emu->in_len = 0;
    emu->tx_state = EMU_TX_IDLE;
    emu->tx_pending = false;
    emu->rx_ready = false;
    emu->busy_error_pending = false;
    emu->slot_count = 0;
    emu->serial_len = 0;
    emu->reboot_at_us = 0;
    emu->hang_until_us = 0;
    emu->boot_until_us = now_us + BOOT_US;
    emu->radio.tune(emu->radio.ctx, now_us, &emu->lora);
    for (size_t i = 0; i < sizeof boot_text - 1; i++)
        put_serial(emu, now_us, (uint8_t)boot_text[i]);
}

void emu_kiss_init(struct emu_kiss *emu, const struct emu_radio *radio, uint64_t seed,
                   uint64_t now_us)
{
    memset(emu, 0, sizeof *emu);
    emu->radio = *radio;
    emu->random = seed * 0x9e3779b97f4a7c15u | 1;
    emu->host_baud = KISS_HW_BAUD;
    start_firmware(emu, now_us);
}

void emu_kiss_reboot(struct emu_kiss *emu, uint64_t now_us)
{
    start_firmware(emu, now_us);
}

void emu_kiss_hang(struct emu_kiss *emu, uint64_t until_us)
{
    emu->hang_until_us = until_us;
}

void emu_kiss_garbage(struct emu_kiss *emu, uint64_t now_us, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put_serial(emu, now_us, random_byte(emu));
}

void emu_kiss_set_host_baud(struct emu_kiss *emu, uint32_t baud)
{
    emu->host_baud = baud;
}

size_t emu_kiss_in_room(const struct emu_kiss *emu)
{
    return EMU_KISS_IN_LEN - (size_t)emu->in_len;
}

size_t emu_kiss_on_bytes(struct emu_kiss *emu, uint64_t now_us, const uint8_t *buf, size_t len)
{
    if (len > emu_kiss_in_room(emu))
        len = emu_kiss_in_room(emu);
    if (emu->in_len == 0 && len > 0) {
        uint64_t start_ns = now_us * US;
        if (start_ns < emu->in_line_ns)
            start_ns = emu->in_line_ns;
        emu->in_line_ns = start_ns + byte_ns;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = buf[i];
        if (emu->host_baud != KISS_HW_BAUD)
            byte = random_byte(emu); /* bits sampled at the wrong places */
        emu->in[(emu->in_first + emu->in_len++) % EMU_KISS_IN_LEN] = byte;
    }
    return len;
}

void emu_kiss_on_rx(struct emu_kiss *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                    int16_t rssi_dbm, int16_t snr_db_x4)
{
    if (now_us < emu->boot_until_us || emu->tx_state == EMU_TX_SENDING)
        return;
    /* A frame not fetched yet is overwritten by the next. */
    memcpy(emu->rx_frame, frame, len);
    emu->rx_len = (uint16_t)len;
    emu->rx_rssi_dbm = (int8_t)(rssi_dbm < INT8_MIN ? INT8_MIN : rssi_dbm);
    if (snr_db_x4 < INT8_MIN)
        snr_db_x4 = INT8_MIN;
    emu->rx_snr_db_x4 = (int8_t)(snr_db_x4 > INT8_MAX ? INT8_MAX : snr_db_x4);
    emu->rx_ready = true;
}

static bool is_backed_up(const struct emu_kiss *emu)
{
    return emu->slot_count > 0 || emu->busy_error_pending || emu->tx_state == EMU_TX_DONE_PENDING;
}

/* The firmware fetches a frame only when its output is not backed up. */
static void fetch_rx(struct emu_kiss *emu, uint64_t now_us)
{
    if (!emu->rx_ready || is_backed_up(emu) || emu->tx_state == EMU_TX_SENDING)
        return;
    emu->rx_ready = false;
    emu->rx_count++;
    if (queue_frame(emu, now_us, KISS_DATA, emu->rx_frame, emu->rx_len, true) &&
        emu->signal_report) {
        uint8_t meta[KISS_HW_META_LEN] = { (uint8_t)emu->rx_snr_db_x4, (uint8_t)emu->rx_rssi_dbm };
        reply(emu, now_us, KISS_HW_RX_META, meta, sizeof meta);
    }
}

void emu_kiss_run(struct emu_kiss *emu, uint64_t now_us)
{
    if (emu->reboot_at_us > 0 && now_us >= emu->reboot_at_us)
        start_firmware(emu, now_us);
    if (now_us < emu->boot_until_us) {
        emu->in_len = 0; /* nobody listens to the line yet */
        return;
    }
    if (now_us < emu->hang_until_us)
        return;
    flush_slots(emu, now_us);
    while (emu->in_len > 0 && emu->in_line_ns <= now_us * US) {
        uint8_t byte = emu->in[emu->in_first];
        emu->in_first = (uint16_t)((emu->in_first + 1) % EMU_KISS_IN_LEN);
        emu->in_len--;
        emu->in_line_ns += byte_ns;
        if (kiss_decode(&emu->decoder, byte) == KISS_FRAME)
            on_frame(emu, now_us);
    }
    while (run_tx(emu, now_us)) {}
    flush_slots(emu, now_us);
    if (emu->busy_error_pending) {
        uint8_t error = KISS_HW_ERR_BUSY;
        if (reply_or_mark(emu, now_us, KISS_HW_ERROR, &error, 1, false))
            emu->busy_error_pending = false;
    }
    fetch_rx(emu, now_us);
}

size_t emu_kiss_poll_output(struct emu_kiss *emu, uint64_t now_us, uint8_t *buf, size_t cap)
{
    size_t n = 0;
    while (n < cap && emu->serial_len > 0 && emu->serial_line_ns <= now_us * US) {
        buf[n] = emu->serial[emu->serial_first];
        if (emu->host_baud != KISS_HW_BAUD)
            buf[n] = random_byte(emu);
        n++;
        emu->serial_first = (uint16_t)((emu->serial_first + 1) % EMU_KISS_SERIAL_LEN);
        emu->serial_len--;
        if (emu->serial_len > 0)
            emu->serial_line_ns += byte_ns;
    }
    return n;
}

/* ---- when next ------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* When a chunk of a line's waiting bytes, or all, have come through. */
static uint64_t line_us(uint64_t first_ns, size_t len)
{
    size_t chunk = len < CHUNK_LEN ? len : CHUNK_LEN;
    return (first_ns + (chunk - 1) * byte_ns + US - 1) / US;
}

static uint64_t tx_next_us(const struct emu_kiss *emu)
{
    switch (emu->tx_state) {
    case EMU_TX_WAIT_CLEAR: return emu->tx_timer_us + busy_limit_us(emu);
    case EMU_TX_SLOT_WAIT: return emu->tx_timer_us + slot_us(emu);
    case EMU_TX_DELAY: return emu->tx_timer_us + (uint64_t)emu->tx_delay * UNIT_US;
    case EMU_TX_SENDING: return emu->tx_end_us;
    case EMU_TX_IDLE:
    case EMU_TX_DONE_PENDING: break; /* waits for the host's line, not for a time */
    }
    return EMU_KISS_NEVER;
}

uint64_t emu_kiss_next_us(const struct emu_kiss *emu)
{
    uint64_t work_us = tx_next_us(emu);
    if (emu->in_len > 0)
        work_us = earlier(work_us, line_us(emu->in_line_ns, emu->in_len));
    /* A frame in the chip waits for the boot, the hang or the end of our own sending; with
     * output backed up it waits for the host, which is no time. */
    if (emu->rx_ready && !is_backed_up(emu) && emu->tx_state != EMU_TX_SENDING)
        work_us = 0;
    uint64_t able_us = emu->boot_until_us > emu->hang_until_us ? emu->boot_until_us
                                                               : emu->hang_until_us;
    if (work_us < able_us)
        work_us = able_us;
    if (emu->reboot_at_us > 0)
        work_us = earlier(work_us, emu->reboot_at_us);
    return work_us;
}

uint64_t emu_kiss_output_us(const struct emu_kiss *emu)
{
    return emu->serial_len > 0 ? line_us(emu->serial_line_ns, emu->serial_len) : EMU_KISS_NEVER;
}
