#include "hw/emu_tnc.h"

#include <assert.h>
#include <string.h>

enum {
    BAUD = 115200,
    BOOT_US = 800000,
    UNIT_US = 10000, /* KISS counts in 10 ms */
    TX_DELAY = 50,
    PERSISTENCE = 63,
    SLOT_TIME = 10,
};

/* Within what all may use without a licence, and amateurs anyway. */
#define OWN_LORA { .freq_hz = 433775000, .bw_hz = 125000, .sf = 9, .cr = 5, .preamble_symbols = 8 }
enum { OWN_POWER_DBM = 14 };

static const char boot_text[] = "LoRa KISS TNC\r\n";

static_assert(sizeof(struct emu_tnc) <= EMU_STATE_LEN, "state fits");

static struct emu_tnc *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

static void model_boot(struct emu *emu, uint64_t now_us, bool factory)
{
    struct emu_tnc *t = state_of(emu);
    (void)factory; /* its configuration is a part of its program */
    memset(t, 0, sizeof *t);
    t->lora = (struct lora_params)OWN_LORA;
    t->power_dbm = OWN_POWER_DBM;
    t->tx_delay = TX_DELAY;
    t->persistence = PERSISTENCE;
    t->slot_time = SLOT_TIME;
    kiss_decoder_init(&t->decoder, KISS_LENIENT);
    emu->baud = BAUD;
    emu->boot_until_us = now_us + BOOT_US;
    emu->radio.tune(emu->radio.ctx, now_us, &t->lora, EMU_SYNC_LORA);
    (void)emu_put(emu, now_us, boot_text, sizeof boot_text - 1); /* the line is empty at boot */
}

static uint64_t unit_us(uint8_t units)
{
    return (uint64_t)units * UNIT_US;
}

/* The host is told nothing: what finds the queue full is gone. */
static void on_data(struct emu_tnc *t, uint64_t now_us, const uint8_t *bytes, size_t len)
{
    if (len == 0 || len > LORA_PAYLOAD_LEN_MAX || t->count == EMU_TNC_QUEUE_COUNT)
        return;
    unsigned index = (t->first + t->count) % EMU_TNC_QUEUE_COUNT;
    memcpy(t->queue[index].bytes, bytes, len);
    t->queue[index].len = (uint16_t)len;
    if (t->count++ == 0)
        t->timer_us = now_us;
}

static void on_frame(struct emu_tnc *t, uint64_t now_us)
{
    const uint8_t *data = t->decoder.frame + 1;
    size_t len = t->decoder.frame_len - 1u;
    uint8_t type = t->decoder.frame[0];
    if (type == KISS_DATA)
        on_data(t, now_us, data, len);
    else if (len == 0)
        return;
    else if (type == KISS_TX_DELAY)
        t->tx_delay = data[0];
    else if (type == KISS_PERSISTENCE)
        t->persistence = data[0];
    else if (type == KISS_SLOT_TIME)
        t->slot_time = data[0];
    else if (type == KISS_TX_TAIL)
        t->tx_tail = data[0];
    else if (type == KISS_FULL_DUPLEX)
        t->full_duplex = data[0];
}

static void model_on_byte(struct emu *emu, uint64_t now_us, uint8_t byte)
{
    struct emu_tnc *t = state_of(emu);
    if (kiss_decode(&t->decoder, byte) == KISS_FRAME)
        on_frame(t, now_us);
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    uint8_t buf[2 * (LORA_PAYLOAD_LEN_MAX + 1) + 2];
    (void)rssi_dbm; /* KISS has no word for them */
    (void)snr_db_x4;
    if (state_of(emu)->sending)
        return;
    size_t n = kiss_encode(KISS_DATA, frame, len, buf, sizeof buf);
    if (n <= emu_out_room(emu))
        (void)emu_put(emu, now_us, buf, n); /* it fits; else the frame is lost */
}

static void start_tx(struct emu *emu, uint64_t now_us)
{
    struct emu_tnc *t = state_of(emu);
    unsigned index = t->first;
    t->first = (uint8_t)((t->first + 1) % EMU_TNC_QUEUE_COUNT);
    t->count--;
    t->sending = emu->radio.start_tx(emu->radio.ctx, now_us, t->queue[index].bytes,
                                     t->queue[index].len, &t->lora, t->power_dbm,
                                     &t->tx_end_us) == 0;
}

static void model_run(struct emu *emu, uint64_t now_us)
{
    struct emu_tnc *t = state_of(emu);
    if (t->sending && now_us >= t->tx_end_us) {
        t->sending = false;
        t->timer_us = now_us;
    }
    if (t->sending || t->count == 0 || now_us < t->timer_us)
        return;
    bool listens = !t->full_duplex && !emu_has_quirk(emu, EMU_TNC_DEAF_CSMA);
    if (listens && (emu->radio.receiving(emu->radio.ctx, now_us) ||
                    emu_random_byte(emu) > t->persistence))
        t->timer_us = now_us + unit_us(t->slot_time > 0 ? t->slot_time : 1);
    else
        start_tx(emu, now_us);
}

static uint64_t model_next_us(const struct emu *emu)
{
    const struct emu_tnc *t = (const void *)emu->state;
    if (t->sending)
        return t->tx_end_us;
    return t->count > 0 ? t->timer_us : EMU_NEVER;
}

static const char *const quirks[] = { "deaf-csma", NULL };

const struct emu_model emu_tnc_model = {
    .name = "kiss-tnc",
    .baud = BAUD,
    .state_len = sizeof(struct emu_tnc),
    .quirks = quirks,
    .try_lora = OWN_LORA,
    .try_power_dbm = OWN_POWER_DBM,
    .try_options = "contents=open",
    .boot = model_boot,
    .on_byte = model_on_byte,
    .on_rx = model_on_rx,
    .run = model_run,
    .next_us = model_next_us,
};
