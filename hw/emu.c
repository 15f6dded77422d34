#include "hw/emu.h"

#include <assert.h>
#include <string.h>

#include "hw/emu_ebyte.h"
#include "hw/emu_kiss.h"
#include "hw/emu_meshtastic.h"
#include "hw/emu_rak3172.h"
#include "hw/emu_reyax.h"
#include "hw/emu_rnode.h"
#include "hw/emu_tnc.h"
#include "hw/emu_wio_e5.h"

enum {
    BITS_PER_BYTE = 10, /* start, eight, stop */
    CHUNK_LEN = 32,     /* bytes of the line that are worth waking up for */
    CUT_PASS_LEN = 16,
    CUT_DROP_LEN = 32,
    NS_PER_S = 1000000000,
};

/* In the order of the drivers.  One line a model, each under its family. */
static const struct emu_model *const models[] = {
    /* boards with an open KISS firmware */
    &emu_kiss_model,
    &emu_rnode_model,
    /* Ebyte */
    &emu_ebyte_e22_model,
    &emu_ebyte_e220_model,
    &emu_ebyte_e32_model,

    /* REYAX */
    &emu_rylr998_model,
    &emu_rylr498_model,
    &emu_rylr896_model,

    /* raw LoRa behind AT commands */
    &emu_rak3172_model,
    &emu_wio_e5_model,

    /* mesh firmwares and amateur TNCs */
    &emu_meshtastic_model,
    &emu_tnc_model,
};

const struct emu_model *emu_model_at(size_t index)
{
    return index < sizeof models / sizeof models[0] ? models[index] : NULL;
}

const struct emu_model *emu_model_find(const char *name)
{
    const struct emu_model *model;
    for (size_t i = 0; (model = emu_model_at(i)) != NULL; i++) {
        if (strcmp(model->name, name) == 0)
            return model;
    }
    return NULL;
}

struct modem_settings emu_try_settings(const struct emu_model *model)
{
    static const struct lora_params fallback = { .freq_hz = 921500000, .bw_hz = 125000, .sf = 7,
                                                 .cr = 5, .preamble_symbols = 16 };
    const struct modem_driver *driver = modem_driver_find(model->name);
    bool given = model->try_lora.freq_hz > 0;
    struct modem_settings s =
        modem_settings_default(given ? &model->try_lora : &fallback,
                               model->try_power_dbm ? model->try_power_dbm : 14);
    s.lines = model->lines;
    if (driver && driver->caps.amateur)
        memcpy(s.amateur_call, "XV9TST-1", sizeof "XV9TST-1");
    if (model->try_options) {
        assert(strlen(model->try_options) < sizeof s.options);
        memcpy(s.options, model->try_options, strlen(model->try_options) + 1);
    }
    return s;
}

uint8_t emu_random_byte(struct emu *emu)
{
    /* xorshift64* (Vigna 2016); the state is never 0. */
    emu->random ^= emu->random >> 12;
    emu->random ^= emu->random << 25;
    emu->random ^= emu->random >> 27;
    return (uint8_t)((emu->random * 0x2545f4914f6cdd1du) >> 56);
}

bool emu_has_quirk(const struct emu *emu, unsigned index)
{
    return emu->quirks >> index & 1;
}

/* ---- the line -------------------------------------------------------------------- */

static uint64_t byte_ns(const struct emu *emu)
{
    return (uint64_t)NS_PER_S * BITS_PER_BYTE / emu->baud;
}

/* The byte starts through the line at at_ns, or when the byte before it is through. */
static bool push_byte(struct emu_line *line, uint64_t at_ns, uint64_t step_ns, uint8_t byte)
{
    if (line->len == line->cap)
        return false;
    if (line->len == 0)
        line->first_ns = (at_ns > line->first_ns ? at_ns : line->first_ns) + step_ns;
    line->bytes[(line->first + line->len++) % line->cap] = byte;
    return true;
}

static bool is_lost(struct emu_line *line)
{
    if (line->pass_len > 0) {
        line->pass_len--;
        return false;
    }
    if (line->drop_len == 0)
        return false;
    line->drop_len--;
    return true;
}

/* What is lost is the rest of what was on its way, not the beginning of what comes later. */
static void end_cut(struct emu_line *line)
{
    if (line->pass_len == 0)
        line->drop_len = 0;
}

static uint8_t pop_byte(struct emu_line *line, uint64_t step_ns)
{
    uint8_t byte = line->bytes[line->first];
    line->first = (uint16_t)((line->first + 1) % line->cap);
    line->len--;
    if (line->len > 0)
        line->first_ns += step_ns;
    return byte;
}

/* When a chunk of a line's waiting bytes, or all, have come through. */
static uint64_t line_us(const struct emu *emu, const struct emu_line *line)
{
    size_t chunk = line->len < CHUNK_LEN ? line->len : CHUNK_LEN;
    return (line->first_ns + (chunk - 1) * byte_ns(emu) + EMU_US - 1) / EMU_US;
}

size_t emu_out_room(const struct emu *emu)
{
    return (size_t)(emu->out.cap - emu->out.len);
}

size_t emu_put(struct emu *emu, uint64_t now_us, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    uint64_t at_ns = (now_us + emu->slow_us) * EMU_US;
    size_t n = 0;
    while (n < len && push_byte(&emu->out, at_ns, byte_ns(emu), b[n]))
        n++;
    return n;
}

size_t emu_in_room(const struct emu *emu)
{
    return (size_t)(emu->in.cap - emu->in.len);
}

size_t emu_on_bytes(struct emu *emu, uint64_t now_us, const uint8_t *buf, size_t len)
{
    size_t n = 0;
    for (; n < len && emu_in_room(emu) > 0; n++) {
        uint8_t byte = buf[n];
        if (is_lost(&emu->in))
            continue;
        if (emu->host_baud != emu->baud)
            byte = emu_random_byte(emu); /* bits sampled at the wrong places */
        (void)push_byte(&emu->in, now_us * EMU_US, byte_ns(emu), byte); /* there is room */
    }
    end_cut(&emu->in);
    return n;
}

size_t emu_poll_output(struct emu *emu, uint64_t now_us, uint8_t *buf, size_t cap)
{
    size_t n = 0;
    while (n < cap && emu->out.len > 0 && emu->out.first_ns <= now_us * EMU_US) {
        uint8_t byte = pop_byte(&emu->out, byte_ns(emu));
        if (is_lost(&emu->out))
            continue;
        buf[n++] = emu->host_baud == emu->baud ? byte : emu_random_byte(emu);
    }
    if (emu->out.len == 0)
        end_cut(&emu->out);
    return n;
}

void emu_set_host_baud(struct emu *emu, uint32_t baud)
{
    emu->host_baud = baud;
}

void emu_set_lines(struct emu *emu, uint64_t now_us, uint8_t lines)
{
    lines &= emu->model->lines & MODEM_LINES_OUT;
    if (lines == emu->lines_in)
        return;
    emu->lines_in = lines;
    if (emu->model->on_lines)
        emu->model->on_lines(emu, now_us);
}

/* ---- life ------------------------------------------------------------------------- */

void emu_restart(struct emu *emu, uint64_t now_us, bool factory)
{
    emu->in.len = emu->out.len = 0;
    emu->in.pass_len = emu->in.drop_len = emu->out.pass_len = emu->out.drop_len = 0;
    emu->hang_until_us = emu->busy_until_us = 0;
    emu->slow_us = 0;
    emu->model->boot(emu, now_us, factory);
}

void emu_init(struct emu *emu, const struct emu_model *model, const struct emu_radio *radio,
              uint32_t quirks, uint64_t seed, uint64_t now_us)
{
    assert(model->state_len <= EMU_STATE_LEN);
    memset(emu, 0, sizeof *emu);
    emu->model = model;
    emu->radio = *radio;
    emu->quirks = quirks;
    emu->random = seed * 0x9e3779b97f4a7c15u | 1;
    emu->baud = emu->host_baud = model->baud;
    emu->in = (struct emu_line){ .cap = EMU_IN_LEN, .bytes = emu->in_bytes };
    emu->out = (struct emu_line){ .cap = EMU_OUT_LEN, .bytes = emu->out_bytes };
    emu_restart(emu, now_us, true);
}

void emu_hang(struct emu *emu, uint64_t until_us)
{
    emu->hang_until_us = until_us;
}

void emu_garbage(struct emu *emu, uint64_t now_us, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = emu_random_byte(emu);
        (void)emu_put(emu, now_us, &byte, 1); /* a full UART drops them */
    }
}

void emu_cut_line(struct emu *emu)
{
    struct emu_line *lines[] = { &emu->in, &emu->out };
    for (size_t i = 0; i < 2; i++) {
        lines[i]->pass_len = emu_random_byte(emu) % CUT_PASS_LEN;
        lines[i]->drop_len = (uint16_t)(1 + emu_random_byte(emu) % CUT_DROP_LEN);
    }
}

void emu_slow(struct emu *emu, uint32_t slow_us)
{
    emu->slow_us = slow_us;
}

void emu_stubborn(struct emu *emu, bool on)
{
    emu->stubborn = on;
}

void emu_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
               int16_t rssi_dbm, int16_t snr_db_x4)
{
    if (now_us >= emu->boot_until_us)
        emu->model->on_rx(emu, now_us, frame, len, rssi_dbm, snr_db_x4);
}

static uint64_t later(uint64_t a_us, uint64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

/* The firmware's loop turns again. */
static uint64_t able_us(const struct emu *emu)
{
    return later(emu->boot_until_us, later(emu->busy_until_us, emu->hang_until_us));
}

void emu_run(struct emu *emu, uint64_t now_us)
{
    if (now_us < emu->boot_until_us)
        emu->in.len = 0; /* nobody listens to the line yet */
    while (now_us >= able_us(emu) && emu->in.len > 0 && emu->in.first_ns <= now_us * EMU_US) {
        emu->byte_at_ns = emu->in.first_ns;
        emu->model->on_byte(emu, now_us, pop_byte(&emu->in, byte_ns(emu)));
    }
    if (now_us >= able_us(emu))
        emu->model->run(emu, now_us);
}

uint64_t emu_next_us(const struct emu *emu)
{
    uint64_t work_us = emu->model->next_us(emu);
    if (emu->in.len > 0 && line_us(emu, &emu->in) < work_us)
        work_us = line_us(emu, &emu->in);
    return later(work_us, able_us(emu));
}

uint64_t emu_output_us(const struct emu *emu)
{
    return emu->out.len > 0 ? line_us(emu, &emu->out) : EMU_NEVER;
}
