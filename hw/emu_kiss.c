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
    LOOP_US = 1000,  /* one turn of the firmware's loop, about */
    UNIT_US = 10000, /* KISS counts in 10 ms */
    US_PER_MS = 1000,
};

static const char boot_text[] = "\r\nemulated board: starting\r\n";
static const char board_name[] = "keng-air";

static struct emu_kiss *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

/* ---- to the host --------------------------------------------------------------- */

/* Moves encoded frames into the serial buffer; true when all slots are empty. */
static bool flush_slots(struct emu *emu, uint64_t now_us)
{
    struct emu_kiss *k = state_of(emu);
    while (k->slot_count > 0) {
        unsigned first = k->slot_first;
        while (k->slots[first].written < k->slots[first].len) {
            uint8_t byte = k->slots[first].bytes[k->slots[first].written];
            if (emu_put(emu, now_us, &byte, 1) == 0)
                return false;
            k->slots[first].written++;
        }
        k->slot_first = (uint8_t)((first + 1) % EMU_KISS_SLOT_COUNT);
        k->slot_count--;
    }
    return true;
}

static bool queue_frame(struct emu *emu, uint64_t now_us, uint8_t type, const uint8_t *data,
                        size_t len, bool mark_busy)
{
    struct emu_kiss *k = state_of(emu);
    if (k->slot_count >= EMU_KISS_SLOT_COUNT && !flush_slots(emu, now_us)) {
        k->busy_error_pending = k->busy_error_pending || mark_busy;
        return false;
    }
    unsigned index = (k->slot_first + k->slot_count) % EMU_KISS_SLOT_COUNT;
    size_t n = kiss_encode(type, data, len, k->slots[index].bytes, EMU_KISS_SLOT_LEN);
    if (n == 0)
        return false;
    k->slots[index].len = (uint16_t)n;
    k->slots[index].written = 0;
    k->slot_count++;
    flush_slots(emu, now_us);
    return true;
}

static bool reply_or_mark(struct emu *emu, uint64_t now_us, uint8_t code, const uint8_t *data,
                          size_t len, bool mark_busy)
{
    uint8_t buf[1 + RANDOM_LEN_MAX];
    buf[0] = code;
    if (len > 0)
        memcpy(buf + 1, data, len);
    return queue_frame(emu, now_us, KISS_SET_HARDWARE, buf, 1 + len, mark_busy);
}

static void reply(struct emu *emu, uint64_t now_us, uint8_t code, const uint8_t *data,
                  size_t len)
{
    (void)reply_or_mark(emu, now_us, code, data, len, true); /* a full queue is marked */
}

static void reply_byte(struct emu *emu, uint64_t now_us, uint8_t code, uint8_t value)
{
    reply(emu, now_us, code, &value, 1);
}

static void reply_error(struct emu *emu, uint64_t now_us, uint8_t error)
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
static void set_radio(struct emu *emu, uint64_t now_us, const uint8_t *data)
{
    struct emu_kiss *k = state_of(emu);
    enum { CHIP_FREQ_HZ_MIN = 150000000, CHIP_FREQ_HZ_MAX = 960000000 };

    if (emu->stubborn) {
        reply(emu, now_us, KISS_HW_OK, NULL, 0);
        return;
    }
    memcpy(k->config, data, KISS_HW_RADIO_LEN);
    uint32_t freq_hz = kiss_hw_load32(data);
    uint32_t bw_hz = kiss_hw_load32(data + 4);
    if (freq_hz >= CHIP_FREQ_HZ_MIN && freq_hz <= CHIP_FREQ_HZ_MAX)
        k->lora.freq_hz = freq_hz;
    if (data[8] >= LORA_SF_MIN && data[8] <= LORA_SF_MAX)
        k->lora.sf = data[8];
    if (bandwidth_known(bw_hz))
        k->lora.bw_hz = bw_hz;
    if (data[9] >= LORA_CR_MIN && data[9] <= LORA_CR_MAX)
        k->lora.cr = data[9];
    k->lora.preamble_symbols = kiss_hw_preamble_symbols(data[8]);
    emu->radio.tune(emu->radio.ctx, now_us, &k->lora, EMU_SYNC_LORA);
    reply(emu, now_us, KISS_HW_OK, NULL, 0);
}

static void set_power(struct emu *emu, uint64_t now_us, uint8_t raw)
{
    struct emu_kiss *k = state_of(emu);
    enum { CHIP_POWER_DBM_MIN = -9, CHIP_POWER_DBM_MAX = 22 };

    if (!emu->stubborn)
        k->config_power = raw;
    if (!emu->stubborn && (int8_t)raw >= CHIP_POWER_DBM_MIN && (int8_t)raw <= CHIP_POWER_DBM_MAX)
        k->power_dbm = (int8_t)raw;
    reply(emu, now_us, KISS_HW_OK, NULL, 0);
}

static uint32_t airtime_ms(const struct emu *emu, uint8_t len)
{
    const struct emu_kiss *k = (const void *)emu->state;
    return lora_airtime_us(&k->lora, len) / US_PER_MS;
}

static void reply32(struct emu *emu, uint64_t now_us, uint8_t code, uint32_t value)
{
    uint8_t buf[4];
    kiss_hw_store32(buf, value);
    reply(emu, now_us, code, buf, sizeof buf);
}

static void reply16(struct emu *emu, uint64_t now_us, uint8_t code, uint16_t value)
{
    uint8_t buf[2] = { (uint8_t)value, (uint8_t)(value >> 8) };
    reply(emu, now_us, code, buf, sizeof buf);
}

static void reply_stats(struct emu *emu, uint64_t now_us, uint8_t code)
{
    struct emu_kiss *k = state_of(emu);
    uint8_t buf[12];
    kiss_hw_store32(buf, k->rx_count);
    kiss_hw_store32(buf + 4, k->tx_count);
    kiss_hw_store32(buf + 8, k->error_count);
    reply(emu, now_us, code, buf, sizeof buf);
}

static void reply_random(struct emu *emu, uint64_t now_us, uint8_t code, uint8_t len)
{
    uint8_t buf[RANDOM_LEN_MAX];
    if (len < 1 || len > RANDOM_LEN_MAX) {
        reply_error(emu, now_us, KISS_HW_ERR_PARAM);
        return;
    }
    for (size_t i = 0; i < len; i++)
        buf[i] = emu_random_byte(emu);
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
static bool on_query(struct emu *emu, uint64_t now_us, uint8_t command, const uint8_t *data)
{
    struct emu_kiss *k = state_of(emu);
    const uint8_t code = KISS_HW_REPLY | command;
    int16_t rssi_dbm = 0;
    switch (command) {
    case KISS_HW_GET_RANDOM: reply_random(emu, now_us, code, data[0]); return true;
    case KISS_HW_GET_RADIO: reply(emu, now_us, code, k->config, KISS_HW_RADIO_LEN); return true;
    case KISS_HW_GET_TX_POWER: reply_byte(emu, now_us, code, k->config_power); return true;
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
    case KISS_HW_GET_SIGNAL_REPORT: reply_byte(emu, now_us, code, k->signal_report); return true;
    default: return false;
    }
}

static void on_command(struct emu *emu, uint64_t now_us, uint8_t command, const uint8_t *data,
                       size_t len)
{
    struct emu_kiss *k = state_of(emu);
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
        k->signal_report = data[0] != 0;
        reply_byte(emu, now_us, KISS_HW_REPLY | KISS_HW_GET_SIGNAL_REPORT, k->signal_report);
        break;
    case KISS_HW_REBOOT:
        reply(emu, now_us, KISS_HW_OK, NULL, 0);
        k->reboot_at_us = now_us + REBOOT_DELAY_US;
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

static void on_data(struct emu *emu, uint64_t now_us, const uint8_t *data, size_t len)
{
    struct emu_kiss *k = state_of(emu);
    if (k->tx_pending) {
        reply_error(emu, now_us, KISS_HW_ERR_BUSY);
    } else if (len > 0 && len <= KISS_HW_PACKET_LEN_MAX) {
        memcpy(k->tx_frame, data, len);
        k->tx_len = (uint16_t)len;
        k->tx_pending = true;
    } /* else dropped without a word, as the firmware does */
}

static void on_frame(struct emu *emu, uint64_t now_us)
{
    struct emu_kiss *k = state_of(emu);
    const uint8_t *data = k->decoder.frame + 1;
    size_t len = k->decoder.frame_len - 1u;
    uint8_t type = k->decoder.frame[0];
    if (type >> 4 != 0)
        return; /* another port, or 0xff: leave KISS mode, which it has no other of */
    if (type == KISS_DATA)
        on_data(emu, now_us, data, len);
    else if (len == 0)
        return;
    else if (type == KISS_TX_DELAY)
        k->tx_delay = data[0];
    else if (type == KISS_PERSISTENCE)
        k->persistence = data[0];
    else if (type == KISS_SLOT_TIME)
        k->slot_time = data[0];
    else if (type == KISS_TX_TAIL)
        k->tx_tail = data[0];
    else if (type == KISS_FULL_DUPLEX)
        k->full_duplex = data[0];
    else if (type == KISS_SET_HARDWARE)
        on_command(emu, now_us, data[0], data + 1, len - 1);
}

/* ---- channel access -------------------------------------------------------------- */

static void set_tx(struct emu *emu, uint64_t now_us, enum emu_tx_state state)
{
    struct emu_kiss *k = state_of(emu);
    k->tx_state = state;
    k->tx_timer_us = now_us;
}

static void tx_done(struct emu *emu, bool sent)
{
    struct emu_kiss *k = state_of(emu);
    k->tx_result = sent;
    k->tx_state = EMU_TX_DONE_PENDING;
}

static uint64_t busy_limit_us(const struct emu *emu)
{
    const struct emu_kiss *k = (const void *)emu->state;
    return (uint64_t)lora_airtime_us(&k->lora, KISS_HW_PACKET_LEN_MAX) * 3 / 2;
}

static uint64_t slot_us(const struct emu *emu)
{
    const struct emu_kiss *k = (const void *)emu->state;
    return k->slot_time > 0 ? (uint64_t)k->slot_time * UNIT_US : LOOP_US;
}

static void on_wait_clear(struct emu *emu, uint64_t now_us)
{
    struct emu_kiss *k = state_of(emu);
    if (!emu->radio.receiving(emu->radio.ctx, now_us)) {
        bool won = emu_random_byte(emu) <= k->persistence;
        set_tx(emu, now_us, won ? EMU_TX_DELAY : EMU_TX_SLOT_WAIT);
    } else if (now_us - k->tx_timer_us >= busy_limit_us(emu)) {
        set_tx(emu, now_us, EMU_TX_DELAY); /* it gives up being polite */
    }
}

static void on_tx_delay(struct emu *emu, uint64_t now_us)
{
    struct emu_kiss *k = state_of(emu);
    if (emu->radio.start_tx(emu->radio.ctx, now_us, k->tx_frame, k->tx_len, &k->lora,
                            k->power_dbm, &k->tx_end_us) == 0)
        set_tx(emu, now_us, EMU_TX_SENDING);
    else
        tx_done(emu, false);
}

/* One turn of the firmware's sending loop; true when the state changed. */
static bool run_tx(struct emu *emu, uint64_t now_us)
{
    struct emu_kiss *k = state_of(emu);
    enum emu_tx_state before = k->tx_state;
    uint8_t result;
    switch (k->tx_state) {
    case EMU_TX_IDLE:
        if (k->tx_pending)
            set_tx(emu, now_us, k->full_duplex ? EMU_TX_DELAY : EMU_TX_WAIT_CLEAR);
        break;
    case EMU_TX_WAIT_CLEAR: on_wait_clear(emu, now_us); break;
    case EMU_TX_SLOT_WAIT:
        if (now_us - k->tx_timer_us >= slot_us(emu))
            set_tx(emu, now_us, EMU_TX_WAIT_CLEAR);
        break;
    case EMU_TX_DELAY:
        if (now_us - k->tx_timer_us >= (uint64_t)k->tx_delay * UNIT_US)
            on_tx_delay(emu, now_us);
        break;
    case EMU_TX_SENDING:
        if (now_us >= k->tx_end_us) {
            k->tx_count++;
            tx_done(emu, true);
        }
        break;
    case EMU_TX_DONE_PENDING:
        result = k->tx_result;
        if (reply_or_mark(emu, now_us, KISS_HW_TX_DONE, &result, 1, false)) {
            k->tx_pending = false;
            k->tx_state = EMU_TX_IDLE;
        }
        break;
    }
    return k->tx_state != before;
}

/* ---- life ---------------------------------------------------------------------- */

static void model_boot(struct emu *emu, uint64_t now_us, bool factory)
{
    struct emu_kiss *k = state_of(emu);
    (void)factory; /* it keeps nothing */
    k->lora = (struct lora_params){ .freq_hz = FACTORY_FREQ_HZ, .bw_hz = FACTORY_BW_HZ,
                                      .preamble_symbols = kiss_hw_preamble_symbols(FACTORY_SF),
                                      .sf = FACTORY_SF, .cr = FACTORY_CR };
    k->power_dbm = FACTORY_POWER_DBM;
    memset(k->config, 0, sizeof k->config);
    k->config_power = 0;
    k->tx_delay = FACTORY_TX_DELAY;
    k->persistence = FACTORY_PERSISTENCE;
    k->slot_time = FACTORY_SLOT_TIME;
    k->tx_tail = 0;
    k->full_duplex = 0;
    k->signal_report = true;
    k->rx_count = k->tx_count = k->error_count = 0;
    kiss_decoder_init(&k->decoder, KISS_LENIENT);
    k->tx_state = EMU_TX_IDLE;
    k->tx_pending = false;
    k->rx_ready = false;
    k->busy_error_pending = false;
    k->slot_count = 0;
    k->reboot_at_us = 0;
    emu->boot_until_us = now_us + BOOT_US;
    emu->radio.tune(emu->radio.ctx, now_us, &k->lora, EMU_SYNC_LORA);
    (void)emu_put(emu, now_us, boot_text, sizeof boot_text - 1); /* the line is empty at boot */
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    struct emu_kiss *k = state_of(emu);
    (void)now_us;
    if (k->tx_state == EMU_TX_SENDING)
        return;
    /* A frame not fetched yet is overwritten by the next. */
    memcpy(k->rx_frame, frame, len);
    k->rx_len = (uint16_t)len;
    k->rx_rssi_dbm = (int8_t)(rssi_dbm < INT8_MIN ? INT8_MIN : rssi_dbm);
    if (snr_db_x4 < INT8_MIN)
        snr_db_x4 = INT8_MIN;
    k->rx_snr_db_x4 = (int8_t)(snr_db_x4 > INT8_MAX ? INT8_MAX : snr_db_x4);
    k->rx_ready = true;
}

static bool is_backed_up(const struct emu *emu)
{
    const struct emu_kiss *k = (const void *)emu->state;
    return k->slot_count > 0 || k->busy_error_pending || k->tx_state == EMU_TX_DONE_PENDING;
}

/* The firmware fetches a frame only when its output is not backed up. */
static void fetch_rx(struct emu *emu, uint64_t now_us)
{
    struct emu_kiss *k = state_of(emu);
    if (!k->rx_ready || is_backed_up(emu) || k->tx_state == EMU_TX_SENDING)
        return;
    k->rx_ready = false;
    k->rx_count++;
    if (queue_frame(emu, now_us, KISS_DATA, k->rx_frame, k->rx_len, true) &&
        k->signal_report) {
        uint8_t meta[KISS_HW_META_LEN] = { (uint8_t)k->rx_snr_db_x4, (uint8_t)k->rx_rssi_dbm };
        reply(emu, now_us, KISS_HW_RX_META, meta, sizeof meta);
    }
}

static void model_run(struct emu *emu, uint64_t now_us)
{
    struct emu_kiss *k = state_of(emu);
    if (k->reboot_at_us > 0 && now_us >= k->reboot_at_us) {
        emu_restart(emu, now_us, false);
        return;
    }
    flush_slots(emu, now_us);
    while (run_tx(emu, now_us)) {}
    flush_slots(emu, now_us);
    if (k->busy_error_pending) {
        uint8_t error = KISS_HW_ERR_BUSY;
        if (reply_or_mark(emu, now_us, KISS_HW_ERROR, &error, 1, false))
            k->busy_error_pending = false;
    }
    fetch_rx(emu, now_us);
}

static void model_on_byte(struct emu *emu, uint64_t now_us, uint8_t byte)
{
    struct emu_kiss *k = state_of(emu);
    if (kiss_decode(&k->decoder, byte) == KISS_FRAME)
        on_frame(emu, now_us);
}

/* ---- when next ------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static uint64_t tx_next_us(const struct emu *emu)
{
    const struct emu_kiss *k = (const void *)emu->state;
    switch (k->tx_state) {
    case EMU_TX_WAIT_CLEAR: return k->tx_timer_us + busy_limit_us(emu);
    case EMU_TX_SLOT_WAIT: return k->tx_timer_us + slot_us(emu);
    case EMU_TX_DELAY: return k->tx_timer_us + (uint64_t)k->tx_delay * UNIT_US;
    case EMU_TX_SENDING: return k->tx_end_us;
    case EMU_TX_IDLE:
    case EMU_TX_DONE_PENDING: break; /* waits for the host's line, not for a time */
    }
    return EMU_NEVER;
}

static uint64_t model_next_us(const struct emu *emu)
{
    const struct emu_kiss *k = (const void *)emu->state;
    uint64_t work_us = tx_next_us(emu);
    /* A frame in the chip waits for the end of our own sending; with output backed up it waits
     * for the host, which is no time. */
    if (k->rx_ready && !is_backed_up(emu) && k->tx_state != EMU_TX_SENDING)
        work_us = 0;
    if (k->reboot_at_us > 0)
        work_us = earlier(work_us, k->reboot_at_us);
    return work_us;
}

const struct emu_model emu_kiss_model = {
    .name = "meshcore-kiss",
    .baud = KISS_HW_BAUD,
    .state_len = sizeof(struct emu_kiss),
    .boot = model_boot,
    .on_byte = model_on_byte,
    .on_rx = model_on_rx,
    .run = model_run,
    .next_us = model_next_us,
};
