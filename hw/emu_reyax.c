#include "hw/emu_reyax.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    BOOT_US = 300000,
    INPUT_TIMEOUT_US = 100000,
    LINE_LEN_MAX = 270, /* AT+SEND=65535,240, and its data */
    NOISE_EVERY = 5,    /* lines */
    QUIRK_OK_AT_END = 0,
    QUIRK_ASCII_ONLY = 1,
    QUIRK_NOISE = 2,
    CR_FACTORY = 1,
    BW_CODE_125 = 7,
};

static_assert(sizeof(struct emu_reyax) <= EMU_STATE_LEN, "state fits");

static struct emu_reyax *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

static void say_error(struct emu *emu, uint64_t now_us, int code)
{
    emu_at_say(emu, now_us, "+ERR=%d", code);
}

static void apply(struct emu *emu, uint64_t now_us)
{
    struct emu_reyax *r = state_of(emu);
    uint32_t family = (uint32_t)(r->type - reyax_types) + 1;
    uint32_t mask = 0;
    for (const char *p = r->password; *p; p++)
        mask = mask * 31 + (uint8_t)*p;
    r->at.lora.bw_hz = reyax_bw_hz(r->kept.bw_code);
    r->at.lora.sf = r->kept.sf;
    r->at.lora.cr = (uint8_t)(LORA_CR_MIN - 1 + r->kept.cr);
    r->at.lora.preamble_symbols = r->kept.preamble_symbols;
    r->at.power_dbm = r->kept.power_dbm;
    r->at.sync = (family << 24 | r->kept.network) ^ mask << 8;
    emu_at_tune(emu, now_us);
}

/* ---- commands ----------------------------------------------------------------------------- */

static int set_parameter(struct emu_reyax *r, const char *value)
{
    unsigned sf, bw, cr, preamble;
    char rest;
    if (sscanf(value, "%3u,%3u,%3u,%3u%c", &sf, &bw, &cr, &preamble, &rest) != 4 ||
        !reyax_sf_ok(r->type, sf, bw) || cr < 1 || cr > 4)
        return REYAX_ERR_UNKNOWN;
    bool sx1276 = r->type->preamble_factory == 4;
    bool may = sx1276 ? preamble >= 4 && preamble <= 7
                      : preamble == 12 ||
                            (r->kept.network == 18 && preamble >= 4 && preamble <= 24);
    if (!may)
        return REYAX_ERR_PREAMBLE;
    r->kept.sf = (uint8_t)sf;
    r->kept.bw_code = (uint8_t)bw;
    r->kept.cr = (uint8_t)cr;
    r->kept.preamble_symbols = (uint8_t)preamble;
    return 0;
}

static int set_band(struct emu_reyax *r, const char *value)
{
    uint32_t freq_hz;
    char word = '\0', rest;
    int n = sscanf(value, "%10" SCNu32 ",%c%c", &freq_hz, &word, &rest);
    if (n < 1 || n > 2 || (n == 2 && word != 'M') || freq_hz < r->type->freq_hz_min ||
        freq_hz > r->type->freq_hz_max)
        return REYAX_ERR_UNKNOWN;
    r->at.lora.freq_hz = freq_hz;
    if (n == 2)
        r->kept.freq_hz = freq_hz;
    return 0;
}

/* A setting; 0 or the error. */
static int set(struct emu_reyax *r, const char *name, const char *value)
{
    unsigned number;
    char rest;
    if (strcmp(name, "PARAMETER") == 0)
        return set_parameter(r, value);
    if (strcmp(name, "BAND") == 0)
        return set_band(r, value);
    if (strcmp(name, "CPIN") == 0) {
        (void)snprintf(r->password, sizeof r->password, "%s", value);
        return 0;
    }
    if (sscanf(value, "%6u%c", &number, &rest) != 1)
        return REYAX_ERR_UNKNOWN;
    if (strcmp(name, "ADDRESS") == 0 && number <= REYAX_ADDRESS_MAX)
        r->kept.address = (uint16_t)number;
    else if (strcmp(name, "NETWORKID") == 0 && reyax_network_ok(r->type, number))
        r->kept.network = (uint8_t)number;
    else if (strcmp(name, "CRFOP") == 0 && number <= r->type->power_dbm_max)
        r->kept.power_dbm = (int8_t)number;
    else if (strcmp(name, "MODE") != 0 || number != 0)
        return REYAX_ERR_UNKNOWN;
    return 0;
}

static void tell(struct emu *emu, uint64_t now_us, const char *name)
{
    const struct emu_reyax *r = state_of(emu);
    const struct emu_reyax_kept *k = &r->kept;
    if (strcmp(name, "ADDRESS") == 0)
        emu_at_say(emu, now_us, "+ADDRESS=%u", k->address);
    else if (strcmp(name, "NETWORKID") == 0)
        emu_at_say(emu, now_us, "+NETWORKID=%u", k->network);
    else if (strcmp(name, "BAND") == 0)
        emu_at_say(emu, now_us, "+BAND=%" PRIu32, r->at.lora.freq_hz);
    else if (strcmp(name, "PARAMETER") == 0)
        emu_at_say(emu, now_us, "+PARAMETER=%u,%u,%u,%u", k->sf, k->bw_code, k->cr,
                   k->preamble_symbols);
    else if (strcmp(name, "CRFOP") == 0)
        emu_at_say(emu, now_us, "+CRFOP=%d", k->power_dbm);
    else if (strcmp(name, "MODE") == 0)
        emu_at_say(emu, now_us, "+MODE=0");
    else if (strcmp(name, "VER") == 0)
        emu_at_say(emu, now_us, "+VER=%s_REYAX_V1.2.2", r->type->version);
    else if (strcmp(name, "UID") == 0)
        emu_at_say(emu, now_us, "+UID=104737333437353600170029");
    else if (strcmp(name, "CPIN") == 0)
        emu_at_say(emu, now_us, "+CPIN=%s", r->password[0] ? r->password : "No Password!");
    else
        say_error(emu, now_us, REYAX_ERR_UNKNOWN);
}

static void send(struct emu *emu, uint64_t now_us, const char *line, size_t len)
{
    struct emu_reyax *r = state_of(emu);
    uint8_t frame[REYAX_OVERHEAD_LEN + REYAX_DATA_LEN_MAX] = { 0 };
    unsigned address, data_len;
    int head_len = 0;
    if (sscanf(line, "AT+SEND=%5u,%3u,%n", &address, &data_len, &head_len) != 2 || head_len == 0)
        say_error(emu, now_us, REYAX_ERR_UNKNOWN);
    else if (data_len > REYAX_DATA_LEN_MAX)
        say_error(emu, now_us, REYAX_ERR_TOO_LONG);
    else if (data_len == 0 || len - (size_t)head_len != data_len)
        say_error(emu, now_us, REYAX_ERR_LENGTH);
    else if (r->at.sending)
        say_error(emu, now_us, REYAX_ERR_BUSY);
    else {
        frame[0] = (uint8_t)(address >> 8);
        frame[1] = (uint8_t)address;
        frame[2] = (uint8_t)(r->kept.address >> 8);
        frame[3] = (uint8_t)r->kept.address;
        frame[4] = (uint8_t)data_len;
        for (unsigned i = 0; i < data_len; i++) {
            char c = line[(unsigned)head_len + i];
            bool strange = (uint8_t)c < ' ' || (uint8_t)c > '~';
            frame[REYAX_OVERHEAD_LEN + i] =
                (uint8_t)(strange && emu_has_quirk(emu, QUIRK_ASCII_ONLY) ? '?' : c);
        }
        if (!emu_at_transmit(emu, now_us, frame, REYAX_OVERHEAD_LEN + data_len))
            say_error(emu, now_us, REYAX_ERR_TX_OVERTIME);
        else if (!emu_has_quirk(emu, QUIRK_OK_AT_END))
            emu_at_say(emu, now_us, "+OK");
    }
}

static void on_setting(struct emu *emu, uint64_t now_us, char *line)
{
    struct emu_reyax *r = state_of(emu);
    char *name = line + strlen("AT+");
    char *equals = strchr(name, '=');
    size_t name_len = strlen(name);
    if (equals) {
        *equals = '\0';
        int code = emu->stubborn ? 0 : set(r, name, equals + 1);
        if (code != 0) {
            say_error(emu, now_us, code);
            return;
        }
        apply(emu, now_us);
        emu_at_say(emu, now_us, "+OK");
    } else if (name_len > 0 && name[name_len - 1] == '?') {
        name[name_len - 1] = '\0';
        tell(emu, now_us, name);
    } else {
        say_error(emu, now_us, REYAX_ERR_UNKNOWN);
    }
}

static void on_line(struct emu *emu, uint64_t now_us, char *line, size_t len)
{
    struct emu_reyax *r = state_of(emu);
    if (emu_has_quirk(emu, QUIRK_NOISE) && ++r->line_count % NOISE_EVERY == 0)
        say_error(emu, now_us, r->line_count % 2 ? REYAX_ERR_CRC : REYAX_ERR_HEADER);
    if (strncmp(line, "AT", 2) != 0) {
        say_error(emu, now_us, REYAX_ERR_NO_AT);
    } else if (strcmp(line, "AT") == 0) {
        emu_at_say(emu, now_us, "+OK");
    } else if (strncmp(line, "AT+SEND=", 8) == 0) {
        send(emu, now_us, line, len);
    } else if (strcmp(line, "AT+RESET") == 0) {
        emu_at_say(emu, now_us, "+RESET");
        emu->model->boot(emu, now_us, false);
    } else if (strcmp(line, "AT+FACTORY") == 0) {
        emu_at_say(emu, now_us, "+FACTORY");
        emu->model->boot(emu, now_us, true);
    } else if (strncmp(line, "AT+", 3) == 0) {
        on_setting(emu, now_us, line);
    } else {
        say_error(emu, now_us, REYAX_ERR_UNKNOWN);
    }
}

static void on_input_timeout(struct emu *emu, uint64_t now_us)
{
    say_error(emu, now_us, REYAX_ERR_NO_END);
}

static void on_sent(struct emu *emu, uint64_t now_us)
{
    if (emu_has_quirk(emu, QUIRK_OK_AT_END))
        emu_at_say(emu, now_us, "+OK");
}

static void on_start(struct emu *emu, uint64_t now_us)
{
    emu_at_say(emu, now_us, "+READY");
    emu_at_receive(emu, now_us, true);
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    const struct emu_reyax *r = state_of(emu);
    char line[EMU_AT_LINE_LEN];
    if (!emu_at_hears(emu, now_us, len) || len <= REYAX_OVERHEAD_LEN)
        return;
    unsigned to = (unsigned)frame[0] << 8 | frame[1];
    unsigned from = (unsigned)frame[2] << 8 | frame[3];
    size_t data_len = len - REYAX_OVERHEAD_LEN;
    if (frame[4] != data_len) {
        say_error(emu, now_us, REYAX_ERR_HEADER);
        return;
    }
    if (to != REYAX_BROADCAST && to != r->kept.address)
        return;
    if (emu_has_quirk(emu, QUIRK_NOISE))
        say_error(emu, now_us, REYAX_ERR_CRC);
    size_t n = (size_t)snprintf(line, sizeof line, "+RCV=%u,%zu,", from, data_len);
    memcpy(line + n, frame + REYAX_OVERHEAD_LEN, data_len);
    n += data_len;
    n += (size_t)snprintf(line + n, sizeof line - n, ",%d,%d", rssi_dbm, snr_db_x4 / 4);
    emu_at_put_line(emu, now_us, line, n);
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
    struct emu_reyax *r = state_of(emu);
    const struct reyax_type *t = reyax_type_find(emu->model->name);
    struct emu_reyax_kept kept = r->kept;
    if (factory)
        kept = (struct emu_reyax_kept){ .freq_hz = t->freq_hz_factory,
                                        .network = t->network_factory, .sf = t->sf_factory,
                                        .bw_code = BW_CODE_125, .cr = CR_FACTORY,
                                        .preamble_symbols = t->preamble_factory,
                                        .power_dbm = (int8_t)t->power_dbm_max };
    *r = (struct emu_reyax){ .type = t, .kept = kept, .at.lora.freq_hz = kept.freq_hz };
    apply(emu, now_us);
    emu_at_boot(emu, now_us, &firmware, BOOT_US);
    emu_at_say(emu, now_us, "+RESET");
}

static const char *const quirks[] = { [QUIRK_OK_AT_END] = "ok-at-end",
                                      [QUIRK_ASCII_ONLY] = "ascii-only",
                                      [QUIRK_NOISE] = "reception-errors", NULL };

#define REYAX_MODEL(kind, hz)                                                                  \
    const struct emu_model emu_##kind##_model = {                                              \
        .name = #kind,                                                                         \
        .baud = REYAX_BAUD,                                                                    \
        .state_len = sizeof(struct emu_reyax),                                                 \
        .quirks = quirks,                                                                      \
        .try_lora = { .freq_hz = hz, .bw_hz = 125000, .sf = 7, .cr = 5,                        \
                      .preamble_symbols = 12 },                                                \
        .boot = model_boot,                                                                    \
        .on_byte = emu_at_on_byte,                                                             \
        .on_rx = model_on_rx,                                                                  \
        .run = emu_at_run,                                                                     \
        .next_us = emu_at_next_us,                                                             \
    }

REYAX_MODEL(rylr998, 921500000);
REYAX_MODEL(rylr498, 433900000);
REYAX_MODEL(rylr896, 921500000);
