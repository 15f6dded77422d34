#include "hw/modem_meshtastic.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "hw/meshtastic_host.h"
#include "hw/modem_kit.h"

enum {
    MTU_LEN = 231,
    DATA_AROUND_LEN = 7,        /* around a payload below 128 bytes; one more above */
    SHORT_PAYLOAD_LEN_MAX = 127,
    SIGNED_AROUND_LEN = MESHTASTIC_SIGNATURE_LEN + 2,

    HELLO_QUIET_MS = 1000,      /* between two messages of the answer */
    HELLO_LIMIT_MS = 20000,     /* for all of it, be there ever so many nodes */
    HELLO_TRY_COUNT = 3,
    REPLY_TIMEOUT_MS = 500,     /* it looks at its line every 250 ms */
    WRITE_TIMEOUT_MS = 2000,    /* flash */
    TRY_COUNT_MAX = 3,
    REBOOT_S = 1,
    REBOOT_WAIT_MS = 4000,      /* it says so itself, sooner; a cut line loses that */
    REBOOT_LIMIT_MS = 20000,
    POLL_MS = 100,              /* while a frame waits in the board's queue */
    ON_AIR_MARGIN_MS = 20,
    HANDED_TIMEOUT_MS = 1000,
    REFUSED_HOLD_MS = 1000,
    DUTY_HOLD_MS = 30000,
    PING_IDLE_MS = 60000,       /* it forgets a host after 15 min of silence */
    SILENT_REST_MS_MIN = 1000,
    SILENT_REST_MS_MAX = 2000,
    MISMATCH_REST_MS = 3000,
    CUT_MS = 300,               /* it writes a frame in one go */
    STRAY_LEN = 16,             /* text on the line of a board that speaks frames: it restarted */
    WAKE_LEN = 32,
    SLOTS_MAX = 512,            /* of contention, on a channel that is never free for long */
    SLOT_EXTRA_US = 7600,

    VERSION_MIN = 0x205,
    VERSION_SIGNS = 0x208,
    POWER_DBM_MIN = 1,          /* 0 would mean as much as it can */
    POWER_DBM_MAX = 30,
    REGION_MAX = 255,
    SPENT_COUNT_MAX = 1000,
    HZ_PER_MHZ = 1000000,
    US_PER_MS = 1000,
    US_PER_S = 1000000,
};

enum step {
    STEP_IDLE,
    STEP_HELLO,
    STEP_WRITE_DEVICE,
    STEP_WRITE_CHANNEL,
    STEP_WRITE_LORA,
    STEP_WRITE_REBOOT,
    STEP_REBOOTING,
    STEP_CHECK, /* this and the next before a frame, and now and then */
    STEP_COUNT, /* how many packets did it send?  Also before it is ready */
};

/* Where a frame is that was given to the board. */
enum stage {
    STAGE_HANDED, /* did its queue take it? */
    STAGE_QUEUED, /* has it left the queue? */
    STAGE_ON_AIR,
};

struct driver {
    struct modem_kit kit;
    struct meshtastic_wanted want;
    struct lora_params lora; /* with what its float makes of the frequency */
    uint32_t ping_idle_ms;
    enum step step;
    unsigned try_count;
    uint64_t step_deadline_ms;
    uint64_t hello_end_ms;  /* of one greeting's answer, be it ever so long */
    uint64_t silence_ok_ms; /* until then silence is nothing to speak of */
    uint64_t check_at_ms;
    uint32_t silent_rest_ms;
    uint32_t step_id;    /* of the first packet whose answer is awaited; the next tries count on */
    uint32_t id_count;
    bool written;        /* since the last rest, over its restart: what differs was not taken */
    bool signs;
    bool counts;         /* it has said how many packets it sent */
    bool counts_not;     /* it was asked and did not say */
    uint32_t sent_count; /* as it said last */
    uint32_t own_count;  /* of these that may be ours, since then */
    uint16_t stray_count;
    struct meshtastic_board board;

    enum stage stage;
    uint64_t hold_until_ms;
    uint64_t tx_due_ms;  /* the next question, or the reckoned end */
    uint64_t tx_deadline_ms;
    bool tx_taken;       /* it said that its queue has taken the frame */
    uint32_t tx_id;

    uint64_t heard_at_ms;
    struct meshtastic_decoder decoder;
};

static_assert(sizeof(struct driver) <= MODEM_STATE_LEN, "state fits");
static_assert(MESHTASTIC_AIR_HEADER_LEN + DATA_AROUND_LEN + 1 + MTU_LEN == MESHTASTIC_AIR_LEN_MAX,
              "the longest frame fills a packet");

/* ---- what goes to the board ------------------------------------------------------------ */

/* False: the port has taken nothing for a while; the answer's timeout will tell. */
static bool put_message(struct driver *d, const struct pb_writer *w)
{
    uint8_t buf[MESHTASTIC_FRAMING_LEN + MESHTASTIC_HOST_LEN_MAX];
    assert(!w->overflow && w->len <= MESHTASTIC_HOST_LEN_MAX);
    meshtastic_framing(buf, w->len);
    memcpy(buf + MESHTASTIC_FRAMING_LEN, w->bytes, w->len);
    return modem_kit_put(&d->kit, buf, MESHTASTIC_FRAMING_LEN + w->len);
}

/* A number that neither the board has seen of us lately nor others of the board, even when this
 * node has restarted and its clock with it: the frame's own bytes go in.  FNV-1a. */
static uint32_t next_id(struct driver *d, uint64_t now_ms, const uint8_t *bytes, size_t len)
{
    enum { PRIME = 16777619 };
    uint32_t id = 2166136261u;
    d->id_count++;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        id = (id ^ (uint8_t)(d->id_count >> shift)) * PRIME;
        id = (id ^ (uint8_t)(now_ms >> shift)) * PRIME;
    }
    for (size_t i = 0; i < len; i++)
        id = (id ^ bytes[i]) * PRIME;
    return id | 1;
}

/* An answer to any of the tries will do: a slow board answers the first. */
static bool is_step_id(const struct driver *d, uint32_t id)
{
    return d->step != STEP_IDLE && id - d->step_id < d->try_count;
}

/* Ends whatever part of a message the board still waits for. */
static void put_wake(struct driver *d, size_t len)
{
    uint8_t wake[MESHTASTIC_LEN_MAX];
    memset(wake, MESHTASTIC_START_2, len);
    (void)modem_kit_put(&d->kit, wake, len); /* no room: as above */
}

static void put_hello(struct driver *d)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    put_wake(d, d->try_count > 1 ? MESHTASTIC_LEN_MAX : WAKE_LEN);
    meshtastic_put_hello(&w);
    (void)put_message(d, &w);
}

static void put_heartbeat(struct driver *d)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    meshtastic_put_heartbeat(&w);
    (void)put_message(d, &w);
}

static void put_step(struct driver *d, uint64_t now_ms)
{
    uint8_t order_buf[MESHTASTIC_HOST_LEN_MAX], buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer order = pb_write(order_buf, sizeof order_buf);
    struct pb_writer w = pb_write(buf, sizeof buf);
    switch (d->step) {
    case STEP_WRITE_DEVICE: meshtastic_put_device(&order, &d->board); break;
    case STEP_WRITE_CHANNEL: meshtastic_put_channel(&order); break;
    case STEP_WRITE_LORA: meshtastic_put_lora(&order, &d->board, &d->want); break;
    case STEP_WRITE_REBOOT: meshtastic_put_reboot(&order, REBOOT_S); break;
    case STEP_CHECK: meshtastic_put_ask_lora(&order); break;
    case STEP_COUNT: meshtastic_put_ask_count(&order); break;
    case STEP_IDLE:
    case STEP_HELLO:
    case STEP_REBOOTING: break;
    }
    assert(order.len > 0); /* nothing is asked in those */
    if (d->try_count == 1)
        d->step_id = next_id(d, now_ms, order.bytes, order.len);
    meshtastic_put_order(&w, d->board.node, d->step_id + d->try_count - 1,
                         d->step == STEP_COUNT ? PORT_TELEMETRY : PORT_ADMIN, &order);
    (void)put_message(d, &w); /* no room: its timeout will tell */
}

static uint32_t step_timeout_ms(enum step step)
{
    return step >= STEP_CHECK ? REPLY_TIMEOUT_MS : WRITE_TIMEOUT_MS;
}

static void begin_step(struct driver *d, uint64_t now_ms, enum step step)
{
    d->step = step;
    d->try_count = 1;
    d->step_deadline_ms = now_ms + step_timeout_ms(step);
    put_step(d, now_ms);
}

static void greet(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_HELLO;
    d->step_deadline_ms = now_ms + HELLO_QUIET_MS;
    d->hello_end_ms = now_ms + HELLO_LIMIT_MS;
    d->board = (struct meshtastic_board){ .node = 0 };
    d->stray_count = 0;
    put_hello(d);
}

static void begin_configuring(struct driver *d, uint64_t now_ms, uint32_t patience_ms)
{
    d->kit.mode = MODEM_KIT_CONFIGURING;
    d->try_count = 1;
    d->silence_ok_ms = now_ms + patience_ms;
    greet(d, now_ms);
}

/* ---- sending ------------------------------------------------------------------------------ */

static uint32_t airtime_us(const void *state, size_t len)
{
    const struct driver *d = state;
    size_t on_air_len = MESHTASTIC_AIR_HEADER_LEN + DATA_AROUND_LEN + len;
    on_air_len += len > SHORT_PAYLOAD_LEN_MAX;
    if (d->signs && on_air_len + SIGNED_AROUND_LEN <= MESHTASTIC_AIR_LEN_MAX)
        on_air_len += SIGNED_AROUND_LEN;
    return lora_airtime_us(&d->lora, on_air_len);
}

static void end_tx(struct driver *d, enum modem_tx_result result, const char *why)
{
    modem_kit_end_tx(&d->kit, result, why);
    d->own_count++;
}

/* It restarted, or its port is gone: what it held is lost or not, who knows. */
static void give_up_tx(struct driver *d, const char *why)
{
    if (d->kit.tx == MODEM_KIT_TX_WAITING)
        modem_kit_refuse_tx(&d->kit, why);
    else if (d->kit.tx != MODEM_KIT_TX_NONE)
        end_tx(d, MODEM_TX_UNKNOWN, why);
}

static bool is_at(const struct driver *d, enum stage stage)
{
    return d->kit.tx == MODEM_KIT_TX_GIVEN && d->stage == stage;
}

static uint64_t tx_timeout_ms(const struct driver *d)
{
    uint32_t slot_us = lora_symbol_us(&d->lora) * 5 / 2 + SLOT_EXTRA_US;
    uint64_t longest_us = airtime_us(d, MTU_LEN);
    return (2 * longest_us + d->kit.tx_airtime_us + (uint64_t)SLOTS_MAX * slot_us) / US_PER_MS +
           HANDED_TIMEOUT_MS;
}

static void put_tx(struct driver *d, uint64_t now_ms)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    d->tx_id = next_id(d, now_ms, d->kit.tx_frame, d->kit.tx_len);
    meshtastic_put_frame(&w, d->tx_id, d->kit.tx_frame, d->kit.tx_len);
    if (!put_message(d, &w)) {
        modem_kit_refuse_tx(&d->kit, "the port takes no bytes");
        return;
    }
    modem_kit_give_tx(&d->kit);
    d->stage = STAGE_HANDED;
    d->tx_taken = false;
    d->tx_due_ms = now_ms + HANDED_TIMEOUT_MS;
    d->tx_deadline_ms = now_ms + tx_timeout_ms(d);
}

/* ---- trouble ------------------------------------------------------------------------------ */

static struct modem_event *mismatch(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    d->written = false;
    return modem_kit_mismatch(&d->kit, now_ms, MISMATCH_REST_MS);
}

static void silent(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    d->written = false;
    modem_kit_say(modem_kit_silent(&d->kit, now_ms, d->silent_rest_ms),
                  "no answer from the modem in %d tries; is it a board with Meshtastic's firmware, "
                  "and the right port?", HELLO_TRY_COUNT);
    d->silent_rest_ms = SILENT_REST_MS_MAX;
}

/* It was ready, and now is not what it was. */
static void restarted(struct driver *d, uint64_t now_ms, const char *what, uint32_t patience_ms)
{
    d->kit.stats.restarts_seen++;
    give_up_tx(d, "the modem restarted; the frame may be lost");
    d->own_count = 0; /* its own count begins anew */
    modem_kit_say(modem_kit_push(&d->kit, MODEM_EV_FAULT), "%s; configuring it again", what);
    begin_configuring(d, now_ms, patience_ms);
}

/* ---- what the board says ---------------------------------------------------------------- */

static void ready(struct driver *d)
{
    d->written = false;
    d->silent_rest_ms = SILENT_REST_MS_MIN;
    modem_kit_ready(&d->kit, &d->lora);
}

/* All that it has to say of itself was heard. */
static void judge(struct driver *d, uint64_t now_ms)
{
    uint32_t version = d->board.version;
    d->signs = version >= VERSION_SIGNS;
    if (version < VERSION_MIN) {
        modem_kit_say(mismatch(d, now_ms), "the board's firmware is %u.%u; 2.5 or later is needed",
                      (unsigned)(version >> 8), (unsigned)(version & 0xff));
    } else if (meshtastic_board_right(&d->board, &d->want)) {
        begin_step(d, now_ms, STEP_COUNT);
    } else if (d->board.managed) {
        modem_kit_say(mismatch(d, now_ms),
                      "the board is in managed mode: it takes no settings on its own port");
    } else if (d->written) {
        struct modem_event *ev = mismatch(d, now_ms);
        meshtastic_board_tell(&d->board, &d->want, ev->text, sizeof ev->text);
    } else {
        d->written = true;
        begin_step(d, now_ms, STEP_WRITE_DEVICE);
    }
}

static void on_refusal(struct driver *d, uint64_t now_ms, uint64_t code)
{
    modem_kit_refuse_tx(&d->kit, meshtastic_refusal(code));
    d->hold_until_ms = now_ms + (code == REFUSED_DUTY ? DUTY_HOLD_MS : REFUSED_HOLD_MS);
    d->check_at_ms = now_ms; /* is it still set as it was? */
}

static void next_write(struct driver *d, uint64_t now_ms)
{
    if (d->step < STEP_WRITE_REBOOT) {
        begin_step(d, now_ms, d->step + 1);
        return;
    }
    d->step = STEP_REBOOTING;
    d->step_deadline_ms = now_ms + REBOOT_WAIT_MS;
}

static bool is_write(enum step step)
{
    return step >= STEP_WRITE_DEVICE && step <= STEP_WRITE_REBOOT;
}

static void on_queue(struct driver *d, uint64_t now_ms, const struct pb_field *said)
{
    struct meshtastic_queue q;
    if (!meshtastic_read_queue(said, &q)) {
        d->kit.stats.garbled++;
    } else if (is_at(d, STAGE_HANDED) && q.packet == d->tx_id && q.result != 0) {
        on_refusal(d, now_ms, q.result);
    } else if (is_at(d, STAGE_HANDED) && q.packet == d->tx_id) {
        d->stage = STAGE_QUEUED;
        d->tx_taken = true;
        d->tx_due_ms = now_ms + POLL_MS;
    } else if (is_at(d, STAGE_QUEUED) && q.packet == 0 && q.free_count >= q.size) {
        /* It has left the queue at the latest now, and so its last byte leaves the air. */
        d->stage = STAGE_ON_AIR;
        d->tx_due_ms = now_ms + d->kit.tx_airtime_us / US_PER_MS + ON_AIR_MARGIN_MS;
    } else if (q.packet != 0 && is_write(d->step) && is_step_id(d, q.packet)) {
        next_write(d, now_ms);
    } else if (q.packet != 0 && !is_step_id(d, q.packet)) {
        d->kit.stats.unexpected++;
    }
}

static int16_t clamp(double v)
{
    return v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : (int16_t)lround(v);
}

static void on_private(struct driver *d, const struct meshtastic_packet *p)
{
    bool ours = p->from == d->board.node; /* it may hand back what it was given */
    if (d->kit.mode != MODEM_KIT_READY || ours || p->channel != 0 || p->via_mqtt != 0 ||
        p->payload_len == 0 || p->payload_len > MTU_LEN) {
        d->kit.stats.unexpected++;
        return;
    }
    bool has_signal = p->has_rssi && isfinite(p->snr_db);
    modem_kit_heard(&d->kit, p->payload, p->payload_len, has_signal, clamp(p->rssi_dbm),
                    has_signal ? clamp((double)p->snr_db * 4) : 0);
}

/* It is set as it should be, and what it has sent is charged. */
static void checked(struct driver *d, uint64_t now_ms)
{
    d->step = STEP_IDLE;
    d->check_at_ms = now_ms + d->ping_idle_ms;
    if (d->kit.mode == MODEM_KIT_CONFIGURING)
        ready(d);
    if (d->kit.tx == MODEM_KIT_TX_WAITING)
        put_tx(d, now_ms);
}

/* The answer to STEP_CHECK. */
static void on_admin(struct driver *d, uint64_t now_ms, const struct meshtastic_packet *p)
{
    struct meshtastic_part lora;
    if (p->from != d->board.node || d->step != STEP_CHECK || !is_step_id(d, p->request) ||
        !meshtastic_read_lora(p, &lora)) {
        d->kit.stats.unexpected++;
        return;
    }
    if (!meshtastic_lora_right(&lora, &d->want)) {
        restarted(d, now_ms, "the modem lost its settings (restarted?)", 0);
        return;
    }
    if (d->counts_not)
        checked(d, now_ms);
    else
        begin_step(d, now_ms, STEP_COUNT);
}

/* The answer to STEP_COUNT.  What is not ours it sent by itself, each as long as can be. */
static void on_telemetry(struct driver *d, uint64_t now_ms, const struct meshtastic_packet *p)
{
    uint32_t count;
    if (p->from != d->board.node || d->step != STEP_COUNT || !is_step_id(d, p->request) ||
        !meshtastic_read_count(p, &count)) {
        d->kit.stats.unexpected++; /* it tells its battery now and then */
        return;
    }
    uint32_t sent = count < d->sent_count ? count : count - d->sent_count; /* it has restarted */
    if (d->counts && sent > d->own_count) {
        uint32_t extra = sent - d->own_count;
        extra = extra < SPENT_COUNT_MAX ? extra : SPENT_COUNT_MAX;
        uint64_t us = (uint64_t)extra * lora_airtime_us(&d->lora, MESHTASTIC_AIR_LEN_MAX);
        modem_kit_push(&d->kit, MODEM_EV_SPENT)->airtime_us =
            us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    }
    d->counts = true;
    d->sent_count = count;
    d->own_count = 0;
    checked(d, now_ms);
}

static void on_routing(struct driver *d, uint64_t now_ms, const struct meshtastic_packet *p)
{
    uint64_t code;
    bool waits = is_at(d, STAGE_HANDED) || is_at(d, STAGE_QUEUED);
    if (waits && p->request == d->tx_id && p->from == d->board.node &&
        meshtastic_read_refusal(p, &code))
        on_refusal(d, now_ms, code);
    else
        d->kit.stats.unexpected++;
}

static void on_packet(struct driver *d, uint64_t now_ms, const struct pb_field *said)
{
    struct meshtastic_packet p;
    if (!meshtastic_read_packet(said, &p))
        d->kit.stats.garbled++;
    else if (p.port == PORT_PRIVATE)
        on_private(d, &p);
    else if (p.port == PORT_ADMIN)
        on_admin(d, now_ms, &p);
    else if (p.port == PORT_TELEMETRY)
        on_telemetry(d, now_ms, &p);
    else if (p.port == PORT_ROUTING)
        on_routing(d, now_ms, &p);
    else
        d->kit.stats.unexpected++; /* other ports, and what the board cannot decipher */
}

/* What it answers to the greeting. */
static void on_settings(struct driver *d, uint64_t now_ms, const struct pb_field *said)
{
    d->step_deadline_ms = modem_kit_earlier(now_ms + HELLO_QUIET_MS, d->hello_end_ms);
    if (said->number != FROM_RADIO_COMPLETE)
        d->kit.stats.garbled += !meshtastic_board_take(&d->board, said);
    else if (meshtastic_board_known(&d->board))
        judge(d, now_ms); /* else the end of an earlier answer */
}

static void on_rebooted(struct driver *d, uint64_t now_ms)
{
    if (d->kit.mode == MODEM_KIT_READY)
        restarted(d, now_ms, "the modem has restarted", REBOOT_LIMIT_MS);
    else if (d->kit.mode == MODEM_KIT_CONFIGURING && d->step != STEP_HELLO)
        begin_configuring(d, now_ms, REBOOT_LIMIT_MS);
}

static void on_message(struct driver *d, uint64_t now_ms)
{
    struct pb_field said;
    if (!meshtastic_read(d->decoder.message, d->decoder.len, &said)) {
        d->kit.stats.garbled++;
    } else if (said.number == FROM_RADIO_REBOOTED) {
        on_rebooted(d, now_ms);
    } else if (said.number == FROM_RADIO_PACKET) {
        on_packet(d, now_ms, &said);
    } else if (said.number == FROM_RADIO_QUEUE && said.type == PB_BYTES) {
        on_queue(d, now_ms, &said);
    } else if (d->step == STEP_HELLO) {
        on_settings(d, now_ms, &said);
    } else {
        d->kit.stats.unexpected++;
    }
}

/* Text between frames: noise of a console before the first frame reached the board. */
static void on_stray(struct driver *d, uint64_t now_ms)
{
    if (d->stray_count++ == 0)
        d->kit.stats.garbled++;
    if (d->stray_count == STRAY_LEN && d->kit.mode == MODEM_KIT_READY)
        d->check_at_ms = now_ms;
}

/* ---- the driver table's functions -------------------------------------------------------- */

/* Whose region of the firmware's list holds it, with the law nearest to ours. */
static uint32_t region_of(uint32_t freq_hz)
{
    static const struct { uint32_t lo_hz, hi_hz; uint32_t region; } regions[] = {
        { 433000000, 435000000, REGION_MY_433 },
        { 920000000, 925000000, REGION_TH },
        { 917000000, 920000000, REGION_SG_923 },
    };
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        if (freq_hz >= regions[i].lo_hz && freq_hz <= regions[i].hi_hz)
            return regions[i].region;
    }
    return REGION_UNSET;
}

static int check_settings(const struct modem_settings *s, char text[MODEM_TEXT_LEN])
{
    static const uint32_t widths_hz[] = { 31250, 62500, 125000, 250000, 500000 };
    bool width_known = false;
    for (size_t i = 0; i < sizeof widths_hz / sizeof widths_hz[0]; i++)
        width_known = width_known || widths_hz[i] == s->lora.bw_hz;
    if (!width_known || s->lora.sf < 7 || s->lora.sf > LORA_SF_MAX || s->lora.cr < LORA_CR_MIN ||
        s->lora.cr > LORA_CR_MAX)
        return modem_bad_setting(text, "Meshtastic has no %" PRIu32 " Hz wide, SF%u, 4/%u",
                                 s->lora.bw_hz, s->lora.sf, s->lora.cr);
    if (s->power_dbm < POWER_DBM_MIN || s->power_dbm > POWER_DBM_MAX)
        return modem_bad_setting(text, "%d dBm: Meshtastic can be set to %d to %d", s->power_dbm,
                                 POWER_DBM_MIN, POWER_DBM_MAX);
    return MODEM_OK;
}

static int driver_init(void *state, const struct modem_settings *settings, uint64_t now_ms,
                       char text[MODEM_TEXT_LEN])
{
    struct driver *d = state;
    struct modem_option region = { .key = "region", .min = 1, .max = REGION_MAX };
    (void)now_ms; /* nothing is due before the port is open */
    int err = check_settings(settings, text);
    if (err == MODEM_OK)
        err = modem_options_read(settings, &region, 1, text);
    if (err != MODEM_OK)
        return err;
    if (region.value == 0)
        region.value = (int32_t)region_of(settings->lora.freq_hz);
    if (region.value == REGION_UNSET)
        return modem_bad_setting(text, "%" PRIu32 " Hz: say in which region of Meshtastic's that "
                                 "is, as option region=NUMBER", settings->lora.freq_hz);
    memset(d, 0, sizeof *d);
    d->want = (struct meshtastic_wanted){ .lora = settings->lora,
                                          .power_dbm = settings->power_dbm,
                                          .region = (uint32_t)region.value };
    d->ping_idle_ms = settings->ping_idle_ms > 0 ? settings->ping_idle_ms : PING_IDLE_MS;
    d->lora = settings->lora;
    float freq_mhz = meshtastic_freq_mhz(settings->lora.freq_hz);
    d->lora.freq_hz = (uint32_t)lround((double)freq_mhz * HZ_PER_MHZ);
    d->lora.preamble_symbols = MESHTASTIC_PREAMBLE_SYMBOLS;
    d->signs = true; /* until its version is known */
    d->silent_rest_ms = SILENT_REST_MS_MIN;
    meshtastic_decoder_init(&d->decoder);
    return MODEM_OK;
}

static void driver_on_close(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    (void)now_ms;
    /* The frame's last byte is what makes the board send, and it is last in the output. */
    if (is_at(d, STAGE_HANDED) && modem_kit_has_output(&d->kit))
        modem_kit_refuse_tx(&d->kit, "the port closed before the frame was written");
    give_up_tx(d, "the port closed before the frame was known to be sent");
    modem_kit_close(&d->kit, false);
    d->step = STEP_IDLE;
    d->hold_until_ms = 0;
}

static void driver_on_open(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    driver_on_close(d, now_ms);
    meshtastic_decoder_init(&d->decoder);
    d->silent_rest_ms = SILENT_REST_MS_MIN;
    d->counts_not = false;
    begin_configuring(d, now_ms, 0);
}

static size_t driver_on_bytes(void *state, uint64_t now_ms, const uint8_t *buf, size_t len)
{
    struct driver *d = state;
    size_t taken = 0;
    if (now_ms - d->heard_at_ms > CUT_MS)
        meshtastic_decoder_init(&d->decoder); /* the rest of what it began is lost */
    d->heard_at_ms = now_ms;
    for (; taken < len && modem_kit_has_room(&d->kit); taken++) {
        if (d->kit.mode == MODEM_KIT_CLOSED)
            continue;
        switch (meshtastic_decode(&d->decoder, buf[taken])) {
        case MESHTASTIC_MORE: break;
        case MESHTASTIC_STRAY: on_stray(d, now_ms); break;
        case MESHTASTIC_FRAME:
            d->stray_count = 0;
            on_message(d, now_ms);
            break;
        }
    }
    return taken;
}

/* Nothing came for long enough. */
static void on_hello_timeout(struct driver *d, uint64_t now_ms)
{
    if (d->try_count >= HELLO_TRY_COUNT && now_ms >= d->silence_ok_ms) {
        silent(d, now_ms);
        return;
    }
    d->try_count++;
    d->kit.stats.replies_lost++;
    greet(d, now_ms);
}

static void on_step_timeout(struct driver *d, uint64_t now_ms)
{
    if (d->step == STEP_HELLO) {
        on_hello_timeout(d, now_ms);
    } else if (d->step == STEP_REBOOTING) {
        begin_configuring(d, now_ms, REBOOT_LIMIT_MS);
    } else if (d->try_count < TRY_COUNT_MAX) {
        d->try_count++;
        d->kit.stats.replies_lost++;
        d->step_deadline_ms = now_ms + step_timeout_ms(d->step);
        put_wake(d, MESHTASTIC_LEN_MAX);
        put_step(d, now_ms);
    } else if (d->step == STEP_COUNT) {
        d->counts_not = !d->counts; /* it never did: older firmware can't */
        checked(d, now_ms);
    } else if (d->step == STEP_CHECK) {
        restarted(d, now_ms, "the modem does not answer (restarted?)", 0);
    } else {
        begin_configuring(d, now_ms, 0);
    }
}

static void on_tx_due(struct driver *d, uint64_t now_ms)
{
    if (is_at(d, STAGE_ON_AIR) && d->tx_taken) {
        end_tx(d, MODEM_TX_SENT, "");
    } else if (is_at(d, STAGE_ON_AIR)) {
        end_tx(d, MODEM_TX_UNKNOWN, "the modem did not say that it took the frame");
    } else if (now_ms >= d->tx_deadline_ms) {
        end_tx(d, MODEM_TX_UNKNOWN, "the modem did not send the frame in time");
        d->check_at_ms = now_ms;
    } else {
        if (is_at(d, STAGE_HANDED)) /* the frame was cut, or its word on it was lost */
            put_wake(d, MESHTASTIC_LEN_MAX);
        d->stage = STAGE_QUEUED;
        d->tx_due_ms = now_ms + POLL_MS;
        put_heartbeat(d);
    }
}

static void driver_on_time(void *state, uint64_t now_ms)
{
    struct driver *d = state;
    if (d->kit.mode == MODEM_KIT_CLOSED || !modem_kit_has_room(&d->kit))
        return;
    if (now_ms >= d->hold_until_ms)
        d->hold_until_ms = 0;
    if (d->kit.tx == MODEM_KIT_TX_GIVEN && now_ms >= d->tx_due_ms)
        on_tx_due(d, now_ms);
    if (d->step != STEP_IDLE && now_ms >= d->step_deadline_ms)
        on_step_timeout(d, now_ms);
    if (d->kit.mode == MODEM_KIT_RESTING && now_ms >= d->kit.rest_until_ms)
        begin_configuring(d, now_ms, 0);
    if (d->kit.mode == MODEM_KIT_READY && d->step == STEP_IDLE && d->kit.tx == MODEM_KIT_TX_NONE &&
        now_ms >= d->check_at_ms)
        begin_step(d, now_ms, STEP_CHECK);
}

static bool driver_can_send(const void *state)
{
    const struct driver *d = state;
    return modem_kit_can_send(d) && d->hold_until_ms == 0;
}

static int driver_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    struct driver *d = state;
    int err = modem_kit_take(&d->kit, driver_can_send(d), frame, len, airtime_us(d, len));
    if (err != MODEM_OK)
        return err;
    if (d->step == STEP_IDLE) /* else the check that is under way serves */
        begin_step(d, now_ms, STEP_CHECK);
    return MODEM_OK;
}

static uint64_t driver_next_deadline(const void *state)
{
    const struct driver *d = state;
    uint64_t at_ms = MODEM_NEVER;
    if (d->kit.mode == MODEM_KIT_CLOSED)
        return at_ms;
    if (d->hold_until_ms > 0)
        at_ms = modem_kit_earlier(at_ms, d->hold_until_ms);
    if (d->kit.tx == MODEM_KIT_TX_GIVEN)
        at_ms = modem_kit_earlier(at_ms, d->tx_due_ms);
    if (d->step != STEP_IDLE)
        at_ms = modem_kit_earlier(at_ms, d->step_deadline_ms);
    if (d->kit.mode == MODEM_KIT_RESTING)
        at_ms = modem_kit_earlier(at_ms, d->kit.rest_until_ms);
    if (d->kit.mode == MODEM_KIT_READY && d->step == STEP_IDLE && d->kit.tx == MODEM_KIT_TX_NONE)
        at_ms = modem_kit_earlier(at_ms, d->check_at_ms);
    return at_ms;
}

static void driver_air(const void *state, struct modem_air *air_out)
{
    const struct driver *d = state;
    modem_kit_air("meshtastic", &d->lora, d->want.power_dbm, air_out);
}

const struct modem_driver modem_meshtastic_driver = {
    .name = "meshtastic",
    .description = "boards with Meshtastic's firmware, 2.5 or later, on USB",
    .baud = MESHTASTIC_BAUD,
    .caps = {
        .mtu_len = MTU_LEN,
        .overhead_len = MESHTASTIC_AIR_HEADER_LEN + DATA_AROUND_LEN + 1 + SIGNED_AROUND_LEN,
        .tx_pending_count = 1,
        .cca = MODEM_CCA_IN_MODEM,
        .has_rssi = true,
        .has_snr = true,
        .reports_tx_done = false,
        .reads_back_settings = true,
        .sets_preamble = false,
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
    .can_send = driver_can_send,
    .next_deadline = driver_next_deadline,
    .airtime_us = airtime_us,
    .air = driver_air,
    .stats = modem_kit_stats,
};
