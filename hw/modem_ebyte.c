#include "hw/modem_ebyte.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/ebyte_hw.h"
#include "hw/modem_kit.h"
#include "hw/pieces.h"

enum {
    SETTLE_MS = 40,        /* after a change of mode; the manual's 2 ms are not always enough */
    AUX_MS = 3,            /* after AUX says so */
    /* Longer than it may wait for a free channel, with a frame of kengd's life before: what is
     * written into that is sent.  Then AUX is stuck, as after a brown-out: try without it. */
    AUX_LOW_MS_MAX = EBYTE_LBT_MS_MAX + 500,
    WRITE_MS = 60,         /* whatever it answers to a write has come by then */
    REPLY_TIMEOUT_MS = 500,
    TRY_COUNT_MAX = 3,
    SILENCE_MS = 300,      /* within a piece there is none; the rest is for a busy host */
    STALL_MS_MAX = 1000,   /* the same while AUX says that there is more */
    PING_IDLE_MS = 60000,
    SILENT_REST_MS = 1000,
    MISMATCH_REST_MS = 2000,

    TURN_MS = 20,          /* between two packets */
    TX_MARGIN_MS = 50,
    BITS_PER_BYTE = 10,
    US_PER_MS = 1000,
    POWER_COUNT = 4,
    MODEL_LEN = 24,
    REPLY_LEN = 32,
    REPLY_HEAD_LEN = 3,    /* E22 and E220: C1, address, length */
    OUT_LEN_MAX = PIECES_FRAME_LEN_MAX + PIECES_COUNT_MAX * PIECES_OVERHEAD_LEN,
};

static_assert((int)OUT_LEN_MAX <= 400, "the smallest of the modules' buffers takes a frame");

enum step {
    STEP_IDLE,
    STEP_ENTER,   /* pins set for the registers, not yet settled */
    STEP_VERSION, /* E32 */
    STEP_WRITE,
    STEP_READ,
    STEP_LEAVE,   /* pins set for traffic, not yet settled */
};

/* Bands by the number in the module's name. */
static const struct band {
    enum ebyte_kind kind;
    uint16_t number;
    uint8_t code; /* E32: as its version says */
    uint8_t channel_max;
    uint32_t base_hz;
} bands[] = {
    { EBYTE_E22, 400, 0, 83, 410125000 },     { EBYTE_E22, 900, 0, 80, 850125000 },
    { EBYTE_E220, 400, 0, 83, 410125000 },    { EBYTE_E220, 900, 0, 80, 850125000 },
    { EBYTE_E32, 433, 0x32, 31, 410000000 },  { EBYTE_E32, 868, 0x45, 69, 862000000 },
    { EBYTE_E32, 900, 0x45, 69, 862000000 },  { EBYTE_E32, 915, 0x44, 31, 900000000 },
};

/* Powers by code, for the number behind the T. */
static const struct powers { uint8_t number; int8_t dbm[POWER_COUNT]; } powers[] = {
    { 20, { 20, 17, 14, 10 } }, { 22, { 22, 17, 13, 10 } }, { 30, { 30, 27, 24, 21 } },
};

static const struct family {
    const char *name;
    enum ebyte_kind kind;
    uint8_t reg_count;
    uint8_t rate_code_min, rate_code_max; /* new E22 do 2.4 kbit/s whatever slower one is asked */
    bool listens;   /* LBT, and RSSI of what it heard */
} families[] = {
    [EBYTE_E22] = { "E22", EBYTE_E22, EBYTE_E22_REG_COUNT, 2, 7, true },
    [EBYTE_E220] = { "E220", EBYTE_E220, EBYTE_E220_REG_COUNT, 2, 7, true },
    [EBYTE_E32] = { "E32", EBYTE_E32, EBYTE_E32_REG_COUNT, 0, 5, false },
};

struct driver {
    struct modem_kit kit;
    struct modem_settings settings;
    const struct family *family;
    const struct band *band;
    struct lora_params lora;
    int8_t power_dbm;
    uint8_t channel, netid;
    bool rssi_half;
    uint8_t regs[EBYTE_REG_COUNT_MAX]; /* as they must be */

    enum step step;
    unsigned try_count;
    uint64_t step_deadline_ms, check_at_ms;
    uint64_t aux_latest_ms;  /* so long AUX is waited for */
    uint8_t lines;           /* that the modem is to see */
    bool port_changed;
    bool aux_low;
    bool aux_stuck;          /* was low for too long: not looked at before it has risen */
    bool waited_for_aux;     /* longer than a change of mode takes */
    bool heard_since_aux;    /* bytes came while it was low */
    bool reply_garbled;      /* more came than an answer; told */
    uint8_t reply_len;
    uint8_t reply[REPLY_LEN];

    uint64_t tx_line_ms;     /* all of it has reached the modem */
    uint64_t tx_latest_ms;
    uint16_t tx_out_len;

    uint64_t silence_ms;     /* when what is half-read is given up */
    struct pieces_decoder decoder;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");
static_assert((int)OUT_LEN_MAX <= (int)MODEM_KIT_OUT_LEN, "a frame fits");

static size_t piece_len_max(const struct driver *d)
{
    return ebyte_packet_len_max(d->family->kind);
}

static uint32_t piece_airtime_us(const struct driver *d, size_t len, unsigned index)
{
    size_t piece_len = pieces_len(len, piece_len_max(d), index);
    return lora_airtime_us(&d->lora, ebyte_on_air_len(d->family->kind, piece_len));
}

static uint32_t airtime_us(const void *state, size_t len)
{
    const struct driver *d = state;
    unsigned count = pieces_count(len, piece_len_max(d));
    uint32_t sum_us = 0;
    for (unsigned i = 0; i < count; i++)
        sum_us += piece_airtime_us(d, len, i);
    return sum_us;
}

/* ---- asking ---------------------------------------------------------------------- */

static void set_lines(struct driver *d, uint64_t now_ms, uint8_t lines)
{
    d->lines = lines;
    d->port_changed = true;
    d->step_deadline_ms = now_ms + SETTLE_MS;
    d->aux_latest_ms = now_ms + AUX_LOW_MS_MAX;
    d->waited_for_aux = false;
}

/* Registers that are read back.  The key always reads 0; and as fewer are read than were written,
 * this answer differs from that to the write, which may come late and is no proof. */
static uint8_t read_count(const struct driver *d)
{
    return d->family->kind == EBYTE_E32 ? d->family->reg_count
                                        : (uint8_t)(d->family->reg_count - EBYTE_CRYPT_LEN);
}

static void put_command(struct driver *d)
{
    uint8_t buf[REPLY_HEAD_LEN + EBYTE_REG_COUNT_MAX];
    uint8_t count = d->step == STEP_READ ? read_count(d) : d->family->reg_count;
    size_t len = EBYTE_E32_REPEAT;
    bool e32 = d->family->kind == EBYTE_E32;
    if (d->step == STEP_VERSION) {
        memset(buf, EBYTE_E32_VERSION, len);
    } else if (d->step == STEP_READ && e32) {
        memset(buf, EBYTE_E32_READ, len);
    } else {
        buf[0] = d->step == STEP_READ ? EBYTE_READ : EBYTE_WRITE;
        buf[1] = 0;
        buf[2] = count;
        len = e32 ? 1 : REPLY_HEAD_LEN;
        if (d->step == STEP_WRITE) {
            memcpy(buf + len, d->regs, count);
            len += count;
        }
    }
    /* No room: the port takes nothing; the timeout will tell. */
    (void)modem_kit_put(&d->kit, buf, len);
}

static void begin_step(struct driver *d, uint64_t now_ms, enum step step)
{
    d->step = step;
    d->try_count = 1;
    d->reply_len = 0;
    d->reply_garbled = false;
    if (step == STEP_ENTER) {
        set_lines(d, now_ms, ebyte_config_lines(d->family->kind));
    } else if (step == STEP_LEAVE) {
        set_lines(d, now_ms, 0);
    } else {
        put_command(d);
        d->step_deadline_ms = now_ms + (step == STEP_WRITE ? WRITE_MS : REPLY_TIMEOUT_MS);
    }
}

static void begin_configuring(struct driver *d, uint64_t now_ms)
{
    d->kit.mode = MODEM_KIT_CONFIGURING;
    begin_step(d, now_ms, STEP_ENTER);
}

/* ---- sending --------------------------------------------------------------------- */

static void put_tx(struct driver *d, uint64_t now_ms)
{
    uint8_t out[OUT_LEN_MAX];
    unsigned count = pieces_count(d->kit.tx_len, piece_len_max(d));
    size_t len = pieces_encode(d->kit.tx_frame, d->kit.tx_len, piece_len_max(d), out, sizeof out);
    if (modem_kit_has_output(&d->kit) || !modem_kit_put(&d->kit, out, len)) {
        modem_kit_refuse_tx(&d->kit, "the port takes no bytes");
        return;
    }
    uint32_t wait_ms = TURN_MS + (d->family->listens ? EBYTE_LBT_MS_MAX : 0);
    uint64_t line_ms = len * BITS_PER_BYTE * 1000u / EBYTE_BAUD;
    modem_kit_give_tx(&d->kit);
    d->tx_out_len = (uint16_t)len;
    d->tx_line_ms = now_ms + line_ms;
    d->tx_latest_ms = d->tx_line_ms + count * wait_ms + d->kit.tx_airtime_us / US_PER_MS +
                      TX_MARGIN_MS;
}

/* ---- trouble --------------------------------------------------------------------- */

static struct modem_event *mismatch(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    set_lines(d, now_ms, 0);
    return modem_kit_mismatch(&d->kit, now_ms, MISMATCH_REST_MS);
}

static void silent(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    set_lines(d, now_ms, 0);
    modem_kit_say(modem_kit_silent(&d->kit, now_ms, SILENT_REST_MS),
                  "no answer from the modem in %u tries; is it an %s, has it power, and do M0 and "
                  "M1 reach it?", (unsigned)TRY_COUNT_MAX, d->family->name);
}

/* Its registers are somebody else's; the pins are set for writing them. */
static void restarted(struct driver *d, uint64_t now_ms)
{
    if (d->kit.tx == MODEM_KIT_TX_WAITING)
        modem_kit_refuse_tx(&d->kit, "the modem had lost its settings; the frame was not sent");
    d->kit.stats.restarts_seen++;
    modem_kit_say(modem_kit_push(&d->kit, MODEM_EV_FAULT),
                  "the modem lost its settings (restarted?); configuring it again");
    d->kit.mode = MODEM_KIT_CONFIGURING;
    begin_step(d, now_ms, STEP_WRITE);
}

/* ---- answers --------------------------------------------------------------------- */

static const char *reg_name(const struct driver *d, unsigned index)
{
    static const char *const e22[] = { "address", "address", "network", "baud and air rate",
                                       "power", "channel", "options", "key", "key" };
    static const char *const e32[] = { "address", "address", "baud and air rate", "channel",
                                       "options and power" };
    if (d->family->kind == EBYTE_E32)
        return e32[index];
    return e22[d->family->kind == EBYTE_E220 && index >= 2 ? index + 1 : index];
}

static void on_registers(struct driver *d, uint64_t now_ms, const uint8_t *regs)
{
    unsigned index = 0;
    while (index < read_count(d) && regs[index] == d->regs[index])
        index++;
    if (index == read_count(d))
        begin_step(d, now_ms, STEP_LEAVE);
    else if (d->kit.mode == MODEM_KIT_READY)
        restarted(d, now_ms);
    else
        modem_kit_say(mismatch(d, now_ms), "the modem reads back %s %02x; written was %02x",
                      reg_name(d, index), regs[index], d->regs[index]);
}

static void on_version(struct driver *d, uint64_t now_ms, const uint8_t *version)
{
    uint8_t code = version[1] ? version[1] : version[2]; /* newer ones put a 0 before */
    bool known = false;
    for (size_t i = 0; i < sizeof bands / sizeof bands[0]; i++)
        known = known || (code != 0 && bands[i].code == code);
    if (known && code != d->band->code)
        modem_kit_say(mismatch(d, now_ms), "the module says that its band is %02x; an E32-%u is "
                      "%02x: another one than the option model says", code, d->band->number,
                      d->band->code);
    else
        begin_step(d, now_ms, STEP_WRITE);
}

/* Looks for the answer behind whatever stray bytes came first. */
static void find_reply(struct driver *d, uint64_t now_ms)
{
    uint8_t count = read_count(d);
    bool e32 = d->family->kind == EBYTE_E32;
    unsigned want = d->step == STEP_VERSION ? 3u : (e32 ? 1u : REPLY_HEAD_LEN) + count;
    for (unsigned i = 0; i + want <= d->reply_len; i++) {
        const uint8_t *r = d->reply + i;
        if (d->step == STEP_VERSION && r[0] == EBYTE_E32_VERSION) {
            on_version(d, now_ms, r);
            return;
        }
        if (d->step == STEP_READ && e32 && (r[0] == EBYTE_WRITE_KEEP || r[0] == EBYTE_WRITE)) {
            on_registers(d, now_ms, r + 1);
            return;
        }
        if (d->step == STEP_READ && !e32 && r[0] == EBYTE_READ && r[1] == 0 && r[2] == count) {
            on_registers(d, now_ms, r + REPLY_HEAD_LEN);
            return;
        }
    }
}

static void on_reply_byte(struct driver *d, uint64_t now_ms, uint8_t byte)
{
    if (d->reply_len == sizeof d->reply) { /* garbage; its second half may hold the answer */
        d->reply_len /= 2;
        memmove(d->reply, d->reply + d->reply_len, d->reply_len);
        d->kit.stats.garbled += !d->reply_garbled;
        d->reply_garbled = true;
    }
    d->reply[d->reply_len++] = byte;
    find_reply(d, now_ms);
}

/* ---- hearing --------------------------------------------------------------------- */

static void on_frame(struct driver *d, uint64_t now_ms)
{
    const struct pieces_decoder *p = &d->decoder;
    /* Before READY it may come from any network on the settings before. */
    if (d->kit.mode != MODEM_KIT_READY) {
        d->kit.stats.unexpected++;
        return;
    }
    struct modem_event *ev = modem_kit_push(&d->kit, MODEM_EV_RX);
    memcpy(ev->frame, p->frame, p->frame_len);
    ev->len = p->frame_len;
    ev->has_signal = p->trailer_seen;
    if (ev->has_signal)
        ev->rssi_dbm = (int16_t)(d->rssi_half ? -p->trailer / 2 : p->trailer - 256);
    d->kit.stats.rx_without_signal += d->family->listens && !ev->has_signal;
    d->kit.stats.rx_frames++;
    d->kit.stats.rx_bytes += p->frame_len;
    d->check_at_ms = now_ms + d->settings.ping_idle_ms; /* it listens where we are */
}

/* One byte may end a false piece, and many frames may be in that: as far as there is room.  The
 * rest when an event was taken: so that while there is room, there is no rest. */
static void poll_decoder(struct driver *d, uint64_t now_ms)
{
    enum pieces_verdict verdict;
    while (modem_kit_has_room(&d->kit) && (verdict = pieces_poll(&d->decoder)) != PIECES_MORE) {
        if (verdict == PIECES_FRAME)
            on_frame(d, now_ms);
        else
            d->kit.stats.garbled++;
    }
}

/* ---- steps ----------------------------------------------------------------------- */

static bool aux_is_low(const struct driver *d)
{
    return d->aux_low && !d->aux_stuck && (d->settings.lines & MODEM_LINE_AUX);
}

/* When a half-read frame is given up: while AUX is low the modem has more to say, which a busy
 * computer in between may hold up. */
static uint64_t give_up_ms(const struct driver *d)
{
    return d->silence_ms + (aux_is_low(d) ? STALL_MS_MAX : 0);
}

/* When the registers are to be looked at again: not while a frame is half-heard or the modem is at
 * work, but neither may last. */
static uint64_t check_ms(const struct driver *d)
{
    if (d->kit.mode != MODEM_KIT_READY || d->step != STEP_IDLE || d->kit.tx == MODEM_KIT_TX_GIVEN)
        return MODEM_NEVER;
    uint64_t at_ms = d->kit.tx == MODEM_KIT_TX_WAITING ? 0 : d->check_at_ms;
    bool blocked = pieces_waiting(&d->decoder) || aux_is_low(d);
    return blocked && at_ms < d->aux_latest_ms ? d->aux_latest_ms : at_ms;
}

static void try_check(struct driver *d, uint64_t now_ms)
{
    if (now_ms >= check_ms(d))
        begin_step(d, now_ms, STEP_ENTER);
}

static void become_ready(struct driver *d)
{
    modem_kit_ready(&d->kit, &d->lora);
}

/* The pins are set and the modem had its time. */
static void on_settled(struct driver *d, uint64_t now_ms)
{
    if (aux_is_low(d) && now_ms < d->aux_latest_ms) {
        d->step_deadline_ms = d->aux_latest_ms; /* or when it rises */
        d->waited_for_aux = true;
        return;
    }
    d->aux_stuck = d->aux_stuck || aux_is_low(d);
    if (d->step == STEP_LEAVE && d->waited_for_aux && d->kit.mode == MODEM_KIT_READY) {
        begin_step(d, now_ms, STEP_ENTER); /* so long lasts no change of mode: it restarted */
    } else if (d->step == STEP_ENTER) {
        begin_step(d, now_ms, d->kit.mode == MODEM_KIT_READY ? STEP_READ
                              : d->family->kind == EBYTE_E32 ? STEP_VERSION : STEP_WRITE);
    } else {
        d->step = STEP_IDLE;
        d->check_at_ms = now_ms + d->settings.ping_idle_ms;
        pieces_decoder_init(&d->decoder, d->family->listens);
        if (d->kit.mode == MODEM_KIT_CONFIGURING)
            become_ready(d);
        else if (d->kit.tx == MODEM_KIT_TX_WAITING)
            put_tx(d, now_ms);
    }
}

static void on_step_deadline(struct driver *d, uint64_t now_ms)
{
    if (d->step == STEP_ENTER || d->step == STEP_LEAVE) {
        on_settled(d, now_ms);
    } else if (d->step == STEP_WRITE) {
        begin_step(d, now_ms, STEP_READ); /* what it answered is no proof, this is */
    } else if (d->try_count >= TRY_COUNT_MAX) {
        silent(d, now_ms);
    } else {
        d->try_count++;
        d->kit.stats.replies_lost++;
        d->step_deadline_ms = now_ms + REPLY_TIMEOUT_MS;
        put_command(d);
    }
}

/* ---- settings -------------------------------------------------------------------- */

/* "E22-900T22S": family, band, T and power, form. */
static int read_model(struct driver *d, const char *model, const int8_t **dbm_out, char *text)
{
    size_t name_len = strlen(d->family->name);
    char *end = NULL;
    unsigned long band = 0, power = 0;
    if (strncmp(model, d->family->name, name_len) == 0 && model[name_len] == '-') {
        band = strtoul(model + name_len + 1, &end, 10);
        if (*end == 'T')
            power = strtoul(end + 1, NULL, 10);
    }
    d->band = NULL;
    *dbm_out = NULL;
    for (size_t i = 0; i < sizeof bands / sizeof bands[0]; i++) {
        if (bands[i].kind == d->family->kind && bands[i].number == band)
            d->band = &bands[i];
    }
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++) {
        if (powers[i].number == power)
            *dbm_out = powers[i].dbm;
    }
    if (model[0] == '\0')
        return modem_bad_setting(text, "options must say what is printed on the module, like "
                                 "model=%s-%uT2%uS", d->family->name,
                                 d->family->kind == EBYTE_E32 ? 433u : 900u,
                                 d->family->kind == EBYTE_E32 ? 0u : 2u);
    if (!d->band || !*dbm_out)
        return modem_bad_setting(text, "model=%s: no %s whose band and powers are known here",
                                 model, d->family->name);
    return MODEM_OK;
}

static int choose_channel(struct driver *d, uint32_t freq_hz, char *text)
{
    enum { STEP_HZ = 1000000 };
    uint32_t base_hz = d->band->base_hz;
    uint32_t channel = freq_hz >= base_hz ? (freq_hz - base_hz) / STEP_HZ : UINT32_MAX;
    if (channel > d->band->channel_max)
        return modem_bad_setting(text, "%" PRIu32 " Hz is outside what an %s-%u can do", freq_hz,
                                 d->family->name, d->band->number);
    uint32_t at_hz = base_hz + channel * STEP_HZ;
    if (at_hz != freq_hz)
        return modem_bad_setting(text, "%" PRIu32 " Hz is no channel of an %s-%u; the nearest are "
                                 "%" PRIu32 " and %" PRIu32, freq_hz, d->family->name,
                                 d->band->number, at_hz, at_hz + STEP_HZ);
    d->channel = (uint8_t)channel;
    return MODEM_OK;
}

static void fill_registers(struct driver *d, uint8_t rate_code, uint8_t power_code)
{
    uint8_t options = EBYTE_REG3_RSSI | EBYTE_REG3_LBT;
    uint8_t *r = d->regs;
    *r++ = EBYTE_ADDRESS_ALL;
    *r++ = EBYTE_ADDRESS_ALL;
    if (d->family->kind == EBYTE_E32) {
        *r++ = EBYTE_SPED_BAUD_9600 | rate_code;
        *r++ = d->channel;
        *r++ = EBYTE_OPTION_PUSH_PULL | EBYTE_OPTION_FEC | power_code;
        return;
    }
    if (d->family->kind == EBYTE_E22)
        *r++ = d->netid;
    *r++ = EBYTE_REG0_BAUD_9600 | rate_code;
    *r++ = power_code; /* largest packets, no orders in mid-traffic */
    *r++ = d->channel;
    *r++ = options; /* the key behind stays 0 */
}

static int choose(struct driver *d, const struct modem_settings *s, char *text)
{
    char model[MODEL_LEN] = "";
    enum { MODEL, RATE, NETID, HALF };
    struct modem_option known[] = {
        [MODEL] = { .key = "model", .text = model, .text_cap = sizeof model },
        [RATE] = { .key = "rate", .min = 300, .max = 62500, .value = 2400 },
        [NETID] = { .key = "netid", .max = 255 },
        [HALF] = { .key = "rssi_half", .max = 1 },
    };
    const int8_t *dbm;
    uint8_t rate_code = d->family->rate_code_min, power_code = 0;
    int err = modem_options_read(s, known, sizeof known / sizeof known[0], text);
    if (err == MODEM_OK)
        err = read_model(d, model, &dbm, text);
    if (err == MODEM_OK)
        err = choose_channel(d, s->lora.freq_hz, text);
    if (err != MODEM_OK)
        return err;
    while (rate_code <= d->family->rate_code_max &&
           ebyte_rates[rate_code].bps != (uint32_t)known[RATE].value)
        rate_code++;
    if (rate_code > d->family->rate_code_max)
        return modem_bad_setting(text, "rate=%" PRId32 ": an %s can do %" PRIu32 " to %" PRIu32
                                 " in steps of two", known[RATE].value, d->family->name,
                                 ebyte_rates[d->family->rate_code_min].bps,
                                 ebyte_rates[d->family->rate_code_max].bps);
    while (power_code < POWER_COUNT && dbm[power_code] > s->power_dbm)
        power_code++;
    if (power_code == POWER_COUNT)
        return modem_bad_setting(text, "%d dBm: an %s cannot send more quietly than at %d dBm",
                                 s->power_dbm, model, dbm[POWER_COUNT - 1]);
    if ((known[NETID].value != 0 && d->family->kind != EBYTE_E22) ||
        (known[HALF].value != 0 && !d->family->listens))
        return modem_bad_setting(text, "an %s has no %s", d->family->name,
                                 known[NETID].value != 0 ? "netid" : "rssi_half");
    d->power_dbm = dbm[power_code];
    d->netid = (uint8_t)known[NETID].value;
    d->rssi_half = known[HALF].value != 0;
    d->lora = ebyte_lora(s->lora.freq_hz, rate_code);
    fill_registers(d, rate_code, power_code);
    return MODEM_OK;
}

/* ---- the driver table's functions -------------------------------------------------- */

static int init(struct driver *d, enum ebyte_kind kind, const struct modem_settings *settings,
                char text[MODEM_TEXT_LEN])
{
    memset(d, 0, sizeof *d);
    d->family = &families[kind];
    int err = choose(d, settings, text);
    if (err != MODEM_OK)
        return err;
    d->settings = *settings;
    if (d->settings.ping_idle_ms == 0)
        d->settings.ping_idle_ms = PING_IDLE_MS;
    return MODEM_OK;
}

static int e22_init(void *state, const struct modem_settings *settings, uint64_t now_ms,
                    char text[MODEM_TEXT_LEN])
{
    (void)now_ms; /* nothing is due before the port is open */
    return init(state, EBYTE_E22, settings, text);
}

static int e220_init(void *state, const struct modem_settings *settings, uint64_t now_ms,
                     char text[MODEM_TEXT_LEN])
{
    (void)now_ms;
    return init(state, EBYTE_E220, settings, text);
}

static int e32_init(void *state, const struct modem_settings *settings, uint64_t now_ms,
                    char text[MODEM_TEXT_LEN])
{
    (void)now_ms;
    return init(state, EBYTE_E32, settings, text);
}

static void driver_on_close(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    (void)now_ms;
    /* The modem sends what it has got, even if the rest never comes. */
    modem_kit_close(&d->kit, modem_kit_output_len(&d->kit) == d->tx_out_len);
    d->step = STEP_IDLE;
    d->port_changed = false;
}

static void driver_on_open(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    driver_on_close(d, now_ms);
    pieces_decoder_init(&d->decoder, d->family->listens);
    d->aux_low = d->aux_stuck = d->heard_since_aux = false;
    begin_configuring(d, now_ms);
}

static size_t driver_on_bytes(void *state, uint64_t now_ms, const uint8_t *buf, size_t len)
{
    struct driver *d = state;
    size_t taken = 0;
    for (; taken < len && modem_kit_has_room(&d->kit); taken++) {
        if (d->kit.mode == MODEM_KIT_CLOSED)
            continue;
        d->heard_since_aux = true;
        if (d->step == STEP_VERSION || d->step == STEP_READ) {
            on_reply_byte(d, now_ms, buf[taken]);
        } else if (d->step == STEP_IDLE || d->step == STEP_ENTER) {
            if (now_ms >= d->silence_ms && !pieces_waiting(&d->decoder))
                pieces_on_silence(&d->decoder);
            pieces_put(&d->decoder, buf[taken]);
            poll_decoder(d, now_ms);
            d->silence_ms = now_ms + SILENCE_MS;
        }
    }
    if (modem_kit_has_room(&d->kit))
        try_check(d, now_ms);
    return taken;
}

static void driver_on_lines(void *state, uint64_t now_ms, uint8_t lines)
{
    struct driver *d = state;
    bool was_low = d->aux_low;
    d->aux_low = !(lines & MODEM_LINE_AUX);
    if (d->kit.mode == MODEM_KIT_CLOSED || was_low == d->aux_low)
        return;
    if (d->aux_low) {
        d->heard_since_aux = false;
        return;
    }
    d->aux_stuck = false;
    d->silence_ms = d->silence_ms > now_ms + SILENCE_MS ? d->silence_ms : now_ms + SILENCE_MS;
    if ((d->step == STEP_ENTER || d->step == STEP_LEAVE) && d->waited_for_aux)
        d->step_deadline_ms = now_ms + AUX_MS;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN && now_ms >= d->tx_line_ms) {
        /* Its buffer is empty: the last packet begins. */
        unsigned last = pieces_count(d->kit.tx_len, piece_len_max(d)) - 1;
        uint32_t us = piece_airtime_us(d, d->kit.tx_len, last);
        uint64_t end_ms = now_ms + us / US_PER_MS + TX_MARGIN_MS;
        d->tx_latest_ms = modem_kit_earlier(d->tx_latest_ms, end_ms);
    }
    /* At work although nothing was sent or heard: it may have restarted. */
    if (d->step == STEP_IDLE && d->kit.tx == MODEM_KIT_TX_NONE && !d->heard_since_aux)
        d->check_at_ms = modem_kit_earlier(d->check_at_ms, now_ms + SILENCE_MS);
}

static bool driver_poll_port(void *state, uint64_t now_ms, struct modem_port *port_out)
{
    struct driver *d = state;
    (void)now_ms;
    if (!d->port_changed)
        return false;
    d->port_changed = false;
    *port_out = (struct modem_port){ .baud = EBYTE_BAUD, .lines = d->lines };
    return true;
}

static void driver_on_time(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    if (d->kit.mode == MODEM_KIT_CLOSED || !modem_kit_has_room(&d->kit))
        return;
    if (pieces_waiting(&d->decoder) && now_ms >= give_up_ms(d)) {
        pieces_on_silence(&d->decoder);
        poll_decoder(d, now_ms);
        d->silence_ms = now_ms + SILENCE_MS;
        if (!modem_kit_has_room(&d->kit))
            return;
    }
    if (d->kit.tx == MODEM_KIT_TX_GIVEN && now_ms >= d->tx_latest_ms)
        modem_kit_end_tx(&d->kit, MODEM_TX_SENT, "");
    if (d->step != STEP_IDLE && now_ms >= d->step_deadline_ms)
        on_step_deadline(d, now_ms);
    if (d->kit.mode == MODEM_KIT_RESTING && now_ms >= d->kit.rest_until_ms)
        begin_configuring(d, now_ms);
    try_check(d, now_ms);
}

static bool driver_poll_event(void *state, uint64_t now_ms, struct modem_event *event_out)
{
    struct driver *d = state;
    bool any = modem_kit_poll_event(d, now_ms, event_out);
    poll_decoder(d, now_ms);
    return any;
}

static int driver_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    struct driver *d = state;
    int err = modem_kit_take(&d->kit, modem_kit_can_send(d), frame, len, airtime_us(d, len));
    if (err != MODEM_OK)
        return err;
    if (d->step == STEP_IDLE) /* else the check that is under way serves */
        d->aux_latest_ms = now_ms + AUX_LOW_MS_MAX;
    try_check(d, now_ms);
    return MODEM_OK;
}

static uint64_t driver_next_deadline(const void *state)
{
    const struct driver *d = state;
    uint64_t at_ms = MODEM_NEVER;
    if (d->kit.mode == MODEM_KIT_CLOSED)
        return at_ms;
    if (pieces_waiting(&d->decoder))
        at_ms = give_up_ms(d);
    if (d->kit.tx == MODEM_KIT_TX_GIVEN)
        at_ms = modem_kit_earlier(at_ms, d->tx_latest_ms);
    if (d->step != STEP_IDLE)
        at_ms = modem_kit_earlier(at_ms, d->step_deadline_ms);
    if (d->kit.mode == MODEM_KIT_RESTING)
        at_ms = modem_kit_earlier(at_ms, d->kit.rest_until_ms);
    return modem_kit_earlier(at_ms, check_ms(d));
}

static void driver_air(const void *state, struct modem_air *air_out)
{
    const struct driver *d = state;
    *air_out = (struct modem_air){ .lora = d->lora, .power_dbm = d->power_dbm };
    air_out->lora.bw_hz = LORA_BW_HZ_MAX; /* nobody published what it is */
    (void)snprintf(air_out->interop, sizeof air_out->interop, "ebyte-%s:%u:%" PRIu32 ":%" PRIu32
                   ":%u", d->family->name, d->netid, d->lora.freq_hz, d->lora.bw_hz, d->lora.sf);
}

#define EBYTE_FUNCTIONS                                                                       \
    .baud = EBYTE_BAUD,                                                                       \
    .state_len = sizeof(struct driver),                                                       \
    .on_open = driver_on_open,                                                                \
    .on_close = driver_on_close,                                                              \
    .on_bytes = driver_on_bytes,                                                              \
    .on_time = driver_on_time,                                                                \
    .poll_output = modem_kit_poll_output,                                                     \
    .poll_event = driver_poll_event,                                                          \
    .send = driver_send,                                                                      \
    .can_send = modem_kit_can_send,                                                           \
    .next_deadline = driver_next_deadline,                                                    \
    .airtime_us = airtime_us,                                                                 \
    .air = driver_air,                                                                        \
    .stats = modem_kit_stats,                                                                 \
    .poll_port = driver_poll_port,                                                            \
    .on_lines = driver_on_lines

#define EBYTE_CAPS(on_air, sense, rssi, pins)                                                 \
    {                                                                                         \
        .mtu_len = PIECES_FRAME_LEN_MAX,                                                      \
        .overhead_len = PIECES_OVERHEAD_LEN + (on_air),                                       \
        .tx_pending_count = 1,                                                                \
        .cca = (sense),                                                                       \
        .has_rssi = (rssi),                                                                   \
        .reads_back_settings = true,                                                          \
        .closed = true,                                                                       \
        .lines_needed = (pins),                                                               \
        .lines_used = MODEM_LINE_AUX,                                                         \
    }

const struct modem_driver modem_ebyte_e22_driver = {
    .name = "ebyte-e22",
    .description = "Ebyte E22 serial modules, with wires to M0 and M1",
    .init = e22_init,
    .caps = EBYTE_CAPS(EBYTE_E22_ON_AIR, MODEM_CCA_IN_MODEM, true, MODEM_LINE_M1),
    EBYTE_FUNCTIONS,
};

const struct modem_driver modem_ebyte_e220_driver = {
    .name = "ebyte-e220",
    .description = "Ebyte E220 serial modules, with wires to M0 and M1",
    .init = e220_init,
    .caps = EBYTE_CAPS(EBYTE_E22_ON_AIR, MODEM_CCA_IN_MODEM, true, MODEM_LINE_M0 | MODEM_LINE_M1),
    EBYTE_FUNCTIONS,
};

const struct modem_driver modem_ebyte_e32_driver = {
    .name = "ebyte-e32",
    .description = "Ebyte E32 serial modules, with wires to M0 and M1",
    .init = e32_init,
    .caps = EBYTE_CAPS(EBYTE_E32_ON_AIR, MODEM_CCA_NONE, false, MODEM_LINE_M0 | MODEM_LINE_M1),
    EBYTE_FUNCTIONS,
};
