#include "hw/emu_ebyte.h"

#include <assert.h>
#include <string.h>

enum {
    BOOT_US = 300000,
    SWITCH_US = 2000,
    SLOW_SWITCH_US = 30000,
    LOOK_US = 5000,        /* how often it listens for a free channel, and a random part */
    LOOK_RANDOM_US = 100,
    BITS_PER_BYTE = 10,
    NS_PER_S = 1000000000,
    US_PER_MS = 1000,
    CHANNEL_HZ = 1000000,
    STRAY_COUNT = 2,
    ORDER_LEN = 6,         /* C0 C1 C2 C3 and two more */
    ORDER_SWITCH = 2,
    FIXED_LEN = 3,         /* address and channel before the data of an addressed packet */
    SYNC_EBYTE = 0x0eb70000,

    QUIRK_SOMEBODYS = 0,
    QUIRK_STRAY_ZEROS = 1,
    QUIRK_SLOW_SWITCH = 2,
    QUIRK_AUX_STUCK = 3,
};

static_assert(sizeof(struct emu_ebyte) <= EMU_STATE_LEN, "state fits");

/* What differs between the three. */
static const struct family {
    const struct emu_model *model;
    uint8_t reg_count, net_at, rate_at, channel_at; /* where; rate_at holds the speed too */
    uint8_t channel_max;
    uint16_t buffer_len;
    uint32_t base_hz;
    int8_t dbm[4];
    uint8_t factory[EBYTE_REG_COUNT_MAX], somebodys[EBYTE_REG_COUNT_MAX];
} families[] = {
    [EBYTE_E22] = { &emu_ebyte_e22_model, EBYTE_E22_REG_COUNT, 2, 3, 5, 80, 1000, 850125000,
                    { 22, 17, 13, 10 }, { 0, 0, 0, 0x62, 0, 18, 0x03, 0, 0 },
                    { 0x12, 0x34, 7, 0xe4, 0x24, 30, 0x40, 0x55, 0xaa } },
    [EBYTE_E220] = { &emu_ebyte_e220_model, EBYTE_E220_REG_COUNT, 0, 2, 4, 80, 400, 850125000,
                     { 22, 17, 13, 10 }, { 0, 0, 0x62, 0, 18, 0x03, 0, 0 },
                     { 0x12, 0x34, 0xe4, 0x24, 30, 0x40, 0x55, 0xaa } },
    [EBYTE_E32] = { &emu_ebyte_e32_model, EBYTE_E32_REG_COUNT, 0, 2, 3, 69, 512, 862000000,
                    { 20, 17, 14, 10 }, { 0, 0, 0x1a, 6, 0x44 },
                    { 0x12, 0x34, 0x3c, 30, 0xc4 } },
};

static struct emu_ebyte *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

static enum ebyte_kind kind_of(const struct emu *emu)
{
    enum ebyte_kind kind = EBYTE_E22;
    while (families[kind].model != emu->model)
        kind++;
    return kind;
}

/* E22 and E220: REG1 and REG3.  The E32 has its one OPTION in place of both. */
static uint8_t reg1(const struct emu *emu)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    enum ebyte_kind kind = kind_of(emu);
    return e->regs[kind == EBYTE_E32 ? EBYTE_E32_REG_COUNT - 1 : families[kind].rate_at + 1];
}

static uint8_t reg3(const struct emu *emu)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    enum ebyte_kind kind = kind_of(emu);
    return kind == EBYTE_E32 ? 0 : e->regs[families[kind].channel_at + 1];
}

static bool is_fixed(const struct emu *emu)
{
    return kind_of(emu) == EBYTE_E32 ? reg1(emu) & EBYTE_OPTION_FIXED
                                     : reg3(emu) & EBYTE_REG3_FIXED;
}

static bool allows(const struct emu *emu, uint8_t bit)
{
    return kind_of(emu) != EBYTE_E32 && (reg1(emu) & bit);
}

static uint32_t data_baud(const struct emu *emu)
{
    static const uint32_t bauds[] = { 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200 };
    const struct emu_ebyte *e = (const void *)emu->state;
    enum ebyte_kind kind = kind_of(emu);
    uint8_t reg = e->regs[families[kind].rate_at];
    return bauds[(kind == EBYTE_E32 ? reg >> 3 : reg >> 5) & 7];
}

static struct lora_params lora_of(const struct emu *emu, uint8_t channel)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    enum ebyte_kind kind = kind_of(emu);
    const struct family *f = &families[kind];
    uint8_t code = e->regs[f->rate_at] & EBYTE_REG0_RATE;
    if (channel > f->channel_max)
        channel = f->channel_max;
    if (kind != EBYTE_E32 && code < 2)
        code = 2; /* its radio cannot do the slow ones */
    else if (kind == EBYTE_E32 && code > 5)
        code = 5;
    return ebyte_lora(f->base_hz + channel * (uint32_t)CHANNEL_HZ, code);
}

static void retune(struct emu *emu, uint64_t now_us)
{
    const struct emu_ebyte *e = state_of(emu);
    enum ebyte_kind kind = kind_of(emu);
    struct lora_params lora = lora_of(emu, e->regs[families[kind].channel_at]);
    emu->radio.tune(emu->radio.ctx, now_us, &lora, SYNC_EBYTE + (uint32_t)kind);
}

static uint8_t rssi_byte(const struct emu_ebyte *e, int16_t rssi_dbm)
{
    return (uint8_t)(e->rssi_half ? -2 * rssi_dbm : 256 + rssi_dbm);
}

/* ---- registers ---------------------------------------------------------------------- */

static void put_wrong(struct emu *emu, uint64_t now_us)
{
    static const uint8_t wrong[] = { EBYTE_WRONG, EBYTE_WRONG, EBYTE_WRONG };
    if (kind_of(emu) != EBYTE_E32) /* which says nothing */
        (void)emu_put(emu, now_us, wrong, sizeof wrong);
}

static void put_registers(struct emu *emu, uint64_t now_us, uint8_t address, uint8_t len)
{
    const struct emu_ebyte *e = state_of(emu);
    uint8_t count = families[kind_of(emu)].reg_count;
    uint8_t answer[3 + EBYTE_REG_COUNT_MAX] = { EBYTE_READ, address, len };
    for (uint8_t i = 0; i < len; i++)
        answer[3 + i] = address + i < count - EBYTE_CRYPT_LEN ? e->regs[address + i] : 0;
    (void)emu_put(emu, now_us, answer, 3u + len); /* a full UART drops it */
}

static void write_registers(struct emu *emu, uint8_t address, const uint8_t *data, size_t len,
                            bool keep)
{
    struct emu_ebyte *e = state_of(emu);
    enum ebyte_kind kind = kind_of(emu);
    unsigned power_at = kind == EBYTE_E32 ? EBYTE_E32_REG_COUNT - 1u : families[kind].rate_at + 1u;
    uint8_t power = e->regs[power_at];
    if (emu->stubborn)
        return;
    memcpy(e->regs + address, data, len);
    if (e->refuses_power)
        e->regs[power_at] = power;
    if (keep)
        memcpy(e->saved, e->regs, sizeof e->saved);
}

/* E22, E220: how long the command is that begins so; 0: not known yet; SIZE_MAX: none. */
static size_t command_len(const struct emu *emu, const uint8_t *c, size_t len)
{
    uint8_t count = families[kind_of(emu)].reg_count;
    bool writes = c[0] == EBYTE_WRITE_KEEP || c[0] == EBYTE_WRITE;
    if (!writes && c[0] != EBYTE_READ)
        return SIZE_MAX;
    if (len < 3)
        return 0;
    bool id = c[0] == EBYTE_READ && c[1] + c[2] <= EBYTE_E22_ID + EBYTE_E22_ID_LEN &&
              c[1] >= (kind_of(emu) == EBYTE_E22 ? EBYTE_E22_ID : EBYTE_E220_ID);
    if (c[2] == 0 || (c[1] + c[2] > count && !(id && c[2] <= EBYTE_E22_ID_LEN)))
        return SIZE_MAX;
    return 3u + (writes ? c[2] : 0u);
}

static void on_command(struct emu *emu, uint64_t now_us)
{
    struct emu_ebyte *e = state_of(emu);
    const uint8_t *c = e->command;
    size_t want = command_len(emu, c, e->command_len);
    if (want == 0 || e->command_len < want)
        return;
    if (c[0] != EBYTE_READ)
        write_registers(emu, c[1], c + 3, c[2], c[0] == EBYTE_WRITE_KEEP);
    put_registers(emu, now_us, c[1], c[2]);
    e->command_len = 0;
}

static void on_e32_command(struct emu *emu, uint64_t now_us)
{
    static const uint8_t version[] = { EBYTE_E32_VERSION, 0x45, 0x0e, 0x14 };
    struct emu_ebyte *e = state_of(emu);
    const uint8_t *c = e->command;
    uint8_t answer[1 + EBYTE_E32_REG_COUNT] = { EBYTE_WRITE_KEEP };
    bool writes = c[0] == EBYTE_WRITE_KEEP || c[0] == EBYTE_WRITE;
    if (writes && e->command_len == 1 + EBYTE_E32_REG_COUNT) {
        write_registers(emu, 0, c + 1, EBYTE_E32_REG_COUNT, c[0] == EBYTE_WRITE_KEEP);
        e->command_len = 0;
    } else if (!writes && e->command_len == EBYTE_E32_REPEAT && c[1] == c[0] && c[2] == c[0]) {
        e->command_len = 0;
        memcpy(answer + 1, e->regs, EBYTE_E32_REG_COUNT);
        if (c[0] == EBYTE_E32_READ)
            (void)emu_put(emu, now_us, answer, sizeof answer);
        else if (c[0] == EBYTE_E32_VERSION)
            (void)emu_put(emu, now_us, version, sizeof version);
        else if (c[0] == EBYTE_E32_RESET)
            emu_restart(emu, now_us, false);
    }
}

static void on_command_byte(struct emu *emu, uint64_t now_us, uint8_t byte)
{
    struct emu_ebyte *e = state_of(emu);
    if (e->command_len == EMU_EBYTE_COMMAND_LEN_MAX)
        return; /* wrong already; told when it is silent */
    e->command[e->command_len++] = byte;
    if (kind_of(emu) == EBYTE_E32)
        on_e32_command(emu, now_us);
    else
        on_command(emu, now_us);
}

/* ---- orders in mid-traffic ------------------------------------------------------------ */

/* What a silence ended is an order, if a register allows it; it is not sent then. */
static bool on_order(struct emu *emu, uint64_t now_us, const uint8_t *c, size_t len)
{
    static const uint8_t head[] = { 0xc0, 0xc1, 0xc2, 0xc3 };
    struct emu_ebyte *e = state_of(emu);
    if (len != ORDER_LEN || memcmp(c, head, sizeof head) != 0)
        return false;
    if (c[4] == ORDER_SWITCH && allows(emu, EBYTE_REG1_SOFT_SWITCH) && c[5] <= 3) {
        const uint8_t answer[] = { 0xc1, 0xc2, 0xc3, ORDER_SWITCH, c[5] };
        (void)emu_put(emu, now_us, answer, sizeof answer);
        e->soft_mode = c[5] == 0 ? EMU_EBYTE_TRANSFER : c[5] == 2 ? EMU_EBYTE_CONFIG
                                                                  : EMU_EBYTE_DEAF;
        return true;
    }
    if (c[4] + c[5] > 2 || c[5] == 0 || !allows(emu, EBYTE_REG1_NOISE_RSSI))
        return false;
    const uint8_t levels[] = { rssi_byte(e, emu->radio.rssi_dbm(emu->radio.ctx, now_us)),
                               e->last_rssi };
    const uint8_t answer[] = { EBYTE_READ, c[4], c[5] };
    (void)emu_put(emu, now_us, answer, sizeof answer);
    (void)emu_put(emu, now_us, levels + c[4], c[5]);
    return true;
}

/* ---- sending ------------------------------------------------------------------------- */

static void on_silence(struct emu *emu, uint64_t now_us)
{
    struct emu_ebyte *e = state_of(emu);
    e->gap_us = 0;
    if (e->mode == EMU_EBYTE_CONFIG && e->command_len > 0) {
        e->command_len = 0;
        put_wrong(emu, now_us);
    } else if (e->mode == EMU_EBYTE_TRANSFER) {
        size_t fresh = (size_t)(e->len - e->closed_len);
        if (on_order(emu, now_us, e->buffer + e->closed_len, fresh))
            e->len = e->closed_len;
        e->closed_len = e->len;
    }
}

static void model_on_byte(struct emu *emu, uint64_t now_us, uint8_t byte)
{
    struct emu_ebyte *e = state_of(emu);
    uint64_t byte_ns = (uint64_t)NS_PER_S * BITS_PER_BYTE / emu->baud;
    uint64_t silent_ns = (EBYTE_GAP_BYTES + 1) * byte_ns;
    if (e->gap_us > 0 && emu->byte_at_ns > e->last_byte_ns + silent_ns)
        on_silence(emu, now_us);
    e->last_byte_ns = emu->byte_at_ns;
    if (e->switch_us > 0 || e->mode == EMU_EBYTE_DEAF)
        return; /* lost */
    e->gap_us = (emu->byte_at_ns + silent_ns) / EMU_US + 1;
    if (e->mode == EMU_EBYTE_CONFIG)
        on_command_byte(emu, now_us, byte);
    else if (e->len < families[kind_of(emu)].buffer_len)
        e->buffer[e->len++] = byte;
}

/* The next packet's length; 0: none is whole. */
static size_t packet_len(const struct emu *emu)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    size_t max = ebyte_packet_len_max(kind_of(emu));
    if (e->mode != EMU_EBYTE_TRANSFER || e->sending)
        return 0;
    return e->len >= max ? max : e->closed_len;
}

static size_t fill_air(const struct emu *emu, const uint8_t *data, size_t len,
                       uint8_t frame[LORA_PAYLOAD_LEN_MAX])
{
    const struct emu_ebyte *e = (const void *)emu->state;
    enum ebyte_kind kind = kind_of(emu);
    const struct family *f = &families[kind];
    uint8_t plain[EBYTE_E22_ON_AIR + EMU_EBYTE_PACKET_LEN_MAX] = { e->regs[0], e->regs[1] };
    size_t head_len = kind == EBYTE_E32 ? EBYTE_E32_ON_AIR : EBYTE_E22_ON_AIR;
    if (kind == EBYTE_E22)
        plain[2] = e->regs[f->net_at];
    if (kind != EBYTE_E32)
        memcpy(plain + 3, e->regs + f->reg_count - EBYTE_CRYPT_LEN, EBYTE_CRYPT_LEN);
    if (is_fixed(emu)) {
        memcpy(plain, data, 2);
        data += FIXED_LEN;
        len -= FIXED_LEN;
    }
    memcpy(plain + head_len, data, len);
    if (kind != EBYTE_E32) {
        memcpy(frame, plain, head_len + len);
        return head_len + len;
    }
    for (size_t i = 0; i < head_len + len; i++) {
        frame[2 * i] = plain[i];
        frame[2 * i + 1] = (uint8_t)~plain[i];
    }
    memset(frame + 2 * (head_len + len), 0, EBYTE_E32_CRC_LEN);
    return ebyte_on_air_len(kind, len);
}

static void send_packet(struct emu *emu, uint64_t now_us, size_t len)
{
    struct emu_ebyte *e = state_of(emu);
    const struct family *f = &families[kind_of(emu)];
    uint8_t frame[LORA_PAYLOAD_LEN_MAX];
    uint8_t channel = e->regs[f->channel_at];
    bool fixed = is_fixed(emu);
    if (!fixed || len > FIXED_LEN) {
        struct lora_params lora = lora_of(emu, fixed ? e->buffer[2] : channel);
        size_t air_len = fill_air(emu, e->buffer, len, frame);
        e->sending = emu->radio.start_tx(emu->radio.ctx, now_us, frame, air_len, &lora,
                                         f->dbm[reg1(emu) & EBYTE_REG1_POWER],
                                         &e->tx_end_us) == 0;
    }
    e->len = (uint16_t)(e->len - len);
    e->closed_len = e->closed_len > len ? (uint16_t)(e->closed_len - len) : 0;
    memmove(e->buffer, e->buffer + len, e->len);
    e->lbt_since_us = 0;
}

static void run_access(struct emu *emu, uint64_t now_us)
{
    struct emu_ebyte *e = state_of(emu);
    size_t len = packet_len(emu);
    if (len == 0 || (e->lbt_since_us > 0 && now_us < e->look_us))
        return;
    if (e->lbt_since_us == 0)
        e->lbt_since_us = now_us;
    bool patient = reg3(emu) & EBYTE_REG3_LBT &&
                   now_us - e->lbt_since_us < (uint64_t)EBYTE_LBT_MS_MAX * US_PER_MS;
    if (patient && emu->radio.receiving(emu->radio.ctx, now_us))
        e->look_us = now_us + LOOK_US + emu_random_byte(emu) * (uint64_t)LOOK_RANDOM_US;
    else
        send_packet(emu, now_us, len);
}

/* ---- modes --------------------------------------------------------------------------- */

static enum emu_ebyte_mode wanted_mode(const struct emu *emu)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    if (e->soft_mode >= 0)
        return (enum emu_ebyte_mode)e->soft_mode;
    uint8_t pins = emu->lines_in & (MODEM_LINE_M0 | MODEM_LINE_M1);
    if (pins == ebyte_config_lines(kind_of(emu)))
        return EMU_EBYTE_CONFIG;
    return pins == 0 ? EMU_EBYTE_TRANSFER : EMU_EBYTE_DEAF;
}

/* It changes its mode only when it has nothing else to do. */
static bool may_switch(const struct emu *emu)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    return e->switch_us == 0 && e->mode != wanted_mode(emu) && !e->sending && e->len == 0 &&
           emu->out.len == 0;
}

static void end_switch(struct emu *emu, uint64_t now_us)
{
    static const uint8_t zeros[STRAY_COUNT];
    struct emu_ebyte *e = state_of(emu);
    e->switch_us = 0;
    e->mode = wanted_mode(emu);
    e->command_len = 0;
    e->gap_us = 0;
    emu->baud = e->mode == EMU_EBYTE_CONFIG ? EBYTE_BAUD : data_baud(emu);
    if (e->mode == EMU_EBYTE_TRANSFER)
        retune(emu, now_us);
    if (emu_has_quirk(emu, QUIRK_STRAY_ZEROS))
        (void)emu_put(emu, now_us, zeros, sizeof zeros);
}

static uint8_t aux(const struct emu *emu)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    bool low = e->switch_us > 0 || e->len > 0 ||
               (e->mode == EMU_EBYTE_TRANSFER && emu->out.len > 0) ||
               emu_has_quirk(emu, QUIRK_AUX_STUCK);
    return low ? 0 : MODEM_LINE_AUX;
}

static void model_run(struct emu *emu, uint64_t now_us)
{
    struct emu_ebyte *e = state_of(emu);
    if (e->switch_us > 0 && now_us >= e->switch_us)
        end_switch(emu, now_us);
    if (e->gap_us > 0 && now_us >= e->gap_us)
        on_silence(emu, now_us);
    if (e->sending && now_us >= e->tx_end_us)
        e->sending = false;
    run_access(emu, now_us);
    if (may_switch(emu))
        e->switch_us = now_us + (emu_has_quirk(emu, QUIRK_SLOW_SWITCH) ? SLOW_SWITCH_US
                                                                       : SWITCH_US);
    emu->lines_out = aux(emu);
}

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static uint64_t model_next_us(const struct emu *emu)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    uint64_t at_us = EMU_NEVER;
    if (emu->lines_out != aux(emu) || may_switch(emu))
        return 0;
    if (e->switch_us > 0)
        at_us = earlier(at_us, e->switch_us);
    if (e->gap_us > 0)
        at_us = earlier(at_us, e->gap_us);
    if (e->sending)
        at_us = earlier(at_us, e->tx_end_us);
    else if (packet_len(emu) > 0)
        at_us = e->lbt_since_us > 0 ? earlier(at_us, e->look_us) : 0;
    return at_us;
}

static void model_on_lines(struct emu *emu, uint64_t now_us)
{
    (void)now_us;
    state_of(emu)->soft_mode = -1; /* run looks at the pins */
}

/* ---- receiving ----------------------------------------------------------------------- */

static bool is_for_us(const struct emu *emu, const uint8_t *head)
{
    const struct emu_ebyte *e = (const void *)emu->state;
    enum ebyte_kind kind = kind_of(emu);
    const struct family *f = &families[kind];
    static const uint8_t all[] = { EBYTE_ADDRESS_ALL, EBYTE_ADDRESS_ALL };
    if (memcmp(head, e->regs, 2) != 0 && memcmp(head, all, 2) != 0 &&
        memcmp(e->regs, all, 2) != 0)
        return false;
    if (kind == EBYTE_E22 && head[2] != e->regs[f->net_at])
        return false;
    return kind == EBYTE_E32 || memcmp(head + 3, e->regs + f->reg_count - EBYTE_CRYPT_LEN,
                                       EBYTE_CRYPT_LEN) == 0;
}

static void model_on_rx(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len,
                        int16_t rssi_dbm, int16_t snr_db_x4)
{
    struct emu_ebyte *e = state_of(emu);
    enum ebyte_kind kind = kind_of(emu);
    size_t head_len = ebyte_on_air_len(kind, 0);
    uint8_t data[LORA_PAYLOAD_LEN_MAX];
    (void)snr_db_x4; /* nobody learns of it */
    if (e->mode != EMU_EBYTE_TRANSFER || e->switch_us > 0 || now_us < emu->hang_until_us ||
        len <= head_len)
        return;
    if (kind == EBYTE_E32) {
        size_t count = (len - EBYTE_E32_CRC_LEN) / 2;
        for (size_t i = 0; i < count; i++) {
            data[i] = frame[2 * i];
            if ((frame[2 * i + 1] ^ data[i]) != 0xff)
                return; /* damaged */
        }
        head_len = EBYTE_E32_ON_AIR;
        len = count;
    } else {
        memcpy(data, frame, len);
    }
    bool tells_rssi = reg3(emu) & EBYTE_REG3_RSSI;
    if (!is_for_us(emu, data) || len - head_len + tells_rssi > emu_out_room(emu))
        return;
    e->last_rssi = rssi_byte(e, rssi_dbm);
    (void)emu_put(emu, now_us, data + head_len, len - head_len); /* there is room */
    if (tells_rssi)
        (void)emu_put(emu, now_us, &e->last_rssi, 1);
}

/* ---- life ---------------------------------------------------------------------------- */

static void model_boot(struct emu *emu, uint64_t now_us, bool factory)
{
    struct emu_ebyte *e = state_of(emu);
    const struct family *f = &families[kind_of(emu)];
    struct emu_ebyte kept = { .rssi_half = e->rssi_half, .refuses_power = e->refuses_power };
    memcpy(kept.saved, e->saved, sizeof kept.saved);
    if (factory)
        memcpy(kept.saved, emu_has_quirk(emu, QUIRK_SOMEBODYS) ? f->somebodys : f->factory,
               sizeof kept.saved);
    *e = kept;
    memcpy(e->regs, e->saved, sizeof e->regs);
    e->mode = EMU_EBYTE_DEAF;
    e->soft_mode = -1;
    e->switch_us = emu->boot_until_us = now_us + BOOT_US;
    emu->lines_out = 0;
    retune(emu, now_us); /* what it was sending ends */
}

static const char *const quirks[] = {
    [QUIRK_SOMEBODYS] = "somebodys",     [QUIRK_STRAY_ZEROS] = "stray-zeros",
    [QUIRK_SLOW_SWITCH] = "slow-switch", [QUIRK_AUX_STUCK] = "aux-stuck", NULL,
};

#define EBYTE_MODEL(freq)                                                                     \
    .baud = EBYTE_BAUD,                                                                       \
    .lines = MODEM_LINE_M0 | MODEM_LINE_M1 | MODEM_LINE_AUX,                                  \
    .state_len = sizeof(struct emu_ebyte),                                                    \
    .quirks = quirks,                                                                         \
    .try_lora = { .freq_hz = (freq), .bw_hz = 125000, .sf = 7, .cr = 5,                       \
                  .preamble_symbols = 16 },                                                   \
    .try_power_dbm = 14,                                                                      \
    .boot = model_boot,                                                                       \
    .on_byte = model_on_byte,                                                                 \
    .on_rx = model_on_rx,                                                                     \
    .run = model_run,                                                                         \
    .next_us = model_next_us,                                                                 \
    .on_lines = model_on_lines

const struct emu_model emu_ebyte_e22_model = {
    .name = "ebyte-e22",
    .try_options = "model=E22-900T22S",
    EBYTE_MODEL(921125000),
};

const struct emu_model emu_ebyte_e220_model = {
    .name = "ebyte-e220",
    .try_options = "model=E220-900T22S",
    EBYTE_MODEL(921125000),
};

const struct emu_model emu_ebyte_e32_model = {
    .name = "ebyte-e32",
    .try_options = "model=E32-900T20S",
    EBYTE_MODEL(921000000),
};
