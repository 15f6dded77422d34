#include "hw/emu_rak3172.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hw/at.h"

enum {
    BOOT_US = 400000,
    INPUT_TIMEOUT_US = 3000000,
    LINE_LEN_MAX = 520,
    QUIRK_ECHO = 0,
    QUIRK_WIDTH_INDEX = 1,
    QUIRK_BUSY_RECEIVER = 2,
    QUIRK_FEW_COMMANDS = 3,
    HZ_PER_KHZ = 1000,
};

static const char ok[] = "OK", parameter_error[] = "AT_PARAM_ERROR", busy[] = "AT_BUSY_ERROR";

static_assert(sizeof(struct emu_rak3172) <= EMU_STATE_LEN, "state fits");

static struct emu_rak3172 *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

static void apply(struct emu *emu, uint64_t now_us)
{
    struct emu_rak3172 *r = state_of(emu);
    r->at.lora = r->kept.lora;
    r->at.power_dbm = r->kept.power_dbm;
    r->at.sync = r->kept.sync == RAK_SYNC_PRIVATE ? EMU_SYNC_LORA : r->kept.sync;
    emu_at_tune(emu, now_us);
}

/* ---- commands: each returns the status -------------------------------------------------- */

static const char *set_p2p(struct emu *emu, uint64_t now_us, const char *value)
{
    struct emu_rak3172 *r = state_of(emu);
    uint32_t freq_hz;
    unsigned sf, width, cr, preamble, power;
    char rest;
    if (r->receive != 0)
        return busy;
    if (sscanf(value, "%10" SCNu32 ":%2u:%3u:%1u:%5u:%2u%c", &freq_hz, &sf, &width, &cr,
               &preamble, &power, &rest) != 6)
        return parameter_error;
    uint32_t bw_hz = width < 3 ? 125000u << width : width * HZ_PER_KHZ;
    if (freq_hz < RAK_FREQ_HZ_MIN || freq_hz > RAK_FREQ_HZ_MAX || sf < LORA_SF_MIN ||
        sf > LORA_SF_MAX || (bw_hz != 125000 && bw_hz != 250000 && bw_hz != 500000) || cr > 3 ||
        preamble < 2 || preamble > UINT16_MAX || power < RAK_POWER_DBM_MIN ||
        power > RAK_POWER_DBM_MAX)
        return parameter_error;
    if (emu->stubborn)
        return ok;
    r->kept.lora = (struct lora_params){ .freq_hz = freq_hz, .bw_hz = bw_hz, .sf = (uint8_t)sf,
                                         .cr = (uint8_t)(LORA_CR_MIN + cr),
                                         .preamble_symbols = (uint16_t)preamble };
    r->kept.power_dbm = (int8_t)power;
    apply(emu, now_us);
    return ok;
}

static const char *set_receive(struct emu *emu, uint64_t now_us, const char *value)
{
    struct emu_rak3172 *r = state_of(emu);
    unsigned mode;
    char rest;
    if (sscanf(value, "%5u%c", &mode, &rest) != 1 || mode > RAK_RECEIVE_ONE)
        return parameter_error;
    if (mode != 0 && r->receive != 0 && emu_has_quirk(emu, QUIRK_BUSY_RECEIVER))
        return busy;
    r->receive = mode;
    emu_at_receive(emu, now_us, mode != 0);
    return ok;
}

static const char *send(struct emu *emu, uint64_t now_us, const char *hex)
{
    struct emu_rak3172 *r = state_of(emu);
    uint8_t frame[RAK_AIR_LEN_MAX];
    size_t len;
    if (r->at.sending || (r->receive != 0 && r->receive != RAK_RECEIVE_ALWAYS))
        return busy;
    if (!at_hex_take(hex, strlen(hex), frame, sizeof frame, &len))
        return parameter_error;
    return emu_at_transmit(emu, now_us, frame, len) ? ok : "AT_ERROR";
}

static const char *set_sync(struct emu *emu, uint64_t now_us, const char *value)
{
    struct emu_rak3172 *r = state_of(emu);
    unsigned sync;
    char rest;
    if (sscanf(value, "%4x%c", &sync, &rest) != 1 || strlen(value) != 4)
        return parameter_error;
    r->kept.sync = (uint16_t)sync;
    apply(emu, now_us);
    return ok;
}

static const char *set(struct emu *emu, uint64_t now_us, const char *name, const char *value)
{
    bool is_switch = strcmp(name, "IQINVER") == 0 || strcmp(name, "ENCRY") == 0 ||
                     strcmp(name, "CAD") == 0;
    if (state_of(emu)->kept.network != 0)
        return "AT_MODE_NO_SUPPORT";
    if (strcmp(name, "P2P") == 0)
        return set_p2p(emu, now_us, value);
    if (strcmp(name, "PRECV") == 0)
        return set_receive(emu, now_us, value);
    if (strcmp(name, "PSEND") == 0)
        return send(emu, now_us, value);
    if (strcmp(name, "SYNCWORD") == 0)
        return set_sync(emu, now_us, value);
    if (is_switch && !emu_has_quirk(emu, QUIRK_FEW_COMMANDS))
        return strcmp(value, "0") == 0 ? ok : parameter_error; /* other values are not played */
    return "AT_COMMAND_NOT_FOUND";
}

static const char *tell(struct emu *emu, uint64_t now_us, const char *name)
{
    const struct emu_rak3172 *r = state_of(emu);
    const struct lora_params *lora = &r->kept.lora;
    uint32_t width = lora->bw_hz / HZ_PER_KHZ;
    if (emu_has_quirk(emu, QUIRK_WIDTH_INDEX))
        width = lora->bw_hz / 250000;
    if (strcmp(name, "VER") == 0)
        emu_at_say(emu, now_us, "AT+VER=RUI_%s_RAK3172-E", r->old_firmware ? "3.5.4" : "4.0.6");
    else if (strcmp(name, "NWM") == 0)
        emu_at_say(emu, now_us, "AT+NWM=%u", r->kept.network);
    else if (strcmp(name, "P2P") == 0)
        emu_at_say(emu, now_us, "AT+P2P=%" PRIu32 ":%u:%" PRIu32 ":%u:%u:%d", lora->freq_hz,
                   lora->sf, width, lora->cr - LORA_CR_MIN, lora->preamble_symbols,
                   r->kept.power_dbm);
    else if (strcmp(name, "SYNCWORD") == 0)
        emu_at_say(emu, now_us, "AT+SYNCWORD=%04X", r->kept.sync);
    else
        return "AT_COMMAND_NOT_FOUND";
    return ok;
}

static const char *set_network(struct emu *emu, uint64_t now_us, const char *value)
{
    struct emu_rak3172 *r = state_of(emu);
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return parameter_error;
    uint8_t network = (uint8_t)(value[0] - '0');
    if (network != r->kept.network) {
        r->kept.network = network;
        emu->model->boot(emu, now_us, false);
    }
    return ok;
}

static const char *on_command(struct emu *emu, uint64_t now_us, char *line)
{
    struct emu_rak3172 *r = state_of(emu);
    char *equals = strchr(line, '=');
    if (strcmp(line, "AT") == 0)
        return ok;
    if (strcmp(line, "ATE") == 0) {
        r->echo = !r->echo;
        return ok;
    }
    if (strcmp(line, "ATZ") == 0) {
        emu->model->boot(emu, now_us, false);
        return NULL;
    }
    if (strncmp(line, "AT+", 3) != 0 || !equals)
        return "AT_COMMAND_NOT_FOUND";
    *equals = '\0';
    if (strcmp(equals + 1, "?") == 0)
        return tell(emu, now_us, line + 3);
    if (strcmp(line, "AT+NWM") == 0)
        return set_network(emu, now_us, equals + 1);
    return set(emu, now_us, line + 3, equals + 1);
}

static void on_line(struct emu *emu, uint64_t now_us, char *line, size_t len)
{
    if (state_of(emu)->echo)
        emu_at_put_line(emu, now_us, line, len);
    const char *status = on_command(emu, now_us, line);
    if (status)
        emu_at_say(emu, now_us, "\r\n%s", status);
}

static void on_input_timeout(struct emu *emu, uint64_t now_us)
{
    (void)emu; /* it forgets what it had, without a word */
    (void)now_us;
}

static void on_sent(struct emu *emu, uint64_t now_us)
{
    if (!state_of(emu)->old_firmware)
        emu_at_say(emu, now_us, "+EVT:TXP2P DONE");
}

static void on_start(struct emu *emu, uint64_t now_us)
{
    emu_at_say(emu, now_us, "RAKwireless RAK3172-E");
    emu_at_say(emu, now_us, "------------------------------------------------------");
    emu_at_say(emu, now_us, "Current Work Mode: %s.",
               state_of(emu)->kept.network == 0 ? "LoRa P2P" : "LoRaWAN");
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    struct emu_rak3172 *r = state_of(emu);
    char hex[2 * LORA_PAYLOAD_LEN_MAX + 1];
    if (!emu_at_hears(emu, now_us, len))
        return;
    at_hex_put(hex, frame, len);
    emu_at_say(emu, now_us, "+EVT:RXP2P:%d:%d:%s", rssi_dbm, snr_db_x4 / 4, hex);
    if (r->receive == RAK_RECEIVE_ONE) {
        r->receive = 0;
        emu_at_receive(emu, now_us, false);
    }
}

static const struct emu_at_firmware firmware = {
    .line_len_max = LINE_LEN_MAX,
    .input_timeout_us = INPUT_TIMEOUT_US,
    .on_line = on_line,
    .on_input_timeout = on_input_timeout,
    .on_sent = on_sent,
    .on_start = on_start,
};

static void model_boot(struct emu *emu, uint64_t now_us, bool factory)
{
    struct emu_rak3172 *r = state_of(emu);
    struct emu_rak3172_kept kept = r->kept;
    if (factory)
        kept = (struct emu_rak3172_kept){
            .lora = { .freq_hz = 868000000, .bw_hz = 125000, .sf = 7, .cr = 5,
                      .preamble_symbols = 8 },
            .sync = RAK_SYNC_PUBLIC, .network = 1, .power_dbm = 14,
        };
    *r = (struct emu_rak3172){ .kept = kept, .old_firmware = r->old_firmware,
                               .echo = emu_has_quirk(emu, QUIRK_ECHO) };
    apply(emu, now_us);
    emu_at_boot(emu, now_us, &firmware, BOOT_US);
}

static const char *const quirks[] = {
    [QUIRK_ECHO] = "echo",
    [QUIRK_WIDTH_INDEX] = "width-index",
    [QUIRK_BUSY_RECEIVER] = "busy-receiver",
    [QUIRK_FEW_COMMANDS] = "few-commands",
    NULL,
};

const struct emu_model emu_rak3172_model = {
    .name = "rak3172",
    .baud = RAK_BAUD,
    .state_len = sizeof(struct emu_rak3172),
    .quirks = quirks,
    .boot = model_boot,
    .on_byte = emu_at_on_byte,
    .on_rx = model_on_rx,
    .run = emu_at_run,
    .next_us = emu_at_next_us,
};
