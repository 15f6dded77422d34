#include "hw/emu_at.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct emu_at *state_of(struct emu *emu)
{
    return (void *)emu->state;
}

void emu_at_put_line(struct emu *emu, uint64_t now_us, const void *line, size_t len)
{
    if (len + 2 > emu_out_room(emu))
        return;
    (void)emu_put(emu, now_us, line, len); /* it fits */
    (void)emu_put(emu, now_us, "\r\n", 2);
}

void emu_at_say(struct emu *emu, uint64_t now_us, const char *format, ...)
{
    char line[EMU_AT_LINE_LEN];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args); /* no firmware says more */
    va_end(args);
    emu_at_put_line(emu, now_us, line, strlen(line));
}

void emu_at_tune(struct emu *emu, uint64_t now_us)
{
    const struct emu_at *a = state_of(emu);
    emu->radio.tune(emu->radio.ctx, now_us, &a->lora, a->sync);
}

void emu_at_receive(struct emu *emu, uint64_t now_us, bool on)
{
    struct emu_at *a = state_of(emu);
    if (on && !a->receiving)
        a->rx_from_us = now_us;
    a->receiving = on;
}

bool emu_at_transmit(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len)
{
    struct emu_at *a = state_of(emu);
    a->sending = emu->radio.start_tx(emu->radio.ctx, now_us, frame, len, &a->lora, a->power_dbm,
                                     &a->tx_end_us) == 0;
    return a->sending;
}

bool emu_at_hears(const struct emu *emu, uint64_t now_us, size_t len)
{
    const struct emu_at *a = (const void *)emu->state;
    return a->receiving && !a->starting && now_us >= emu->hang_until_us &&
           now_us >= a->rx_from_us + lora_airtime_us(&a->lora, len);
}

static void end_line(struct emu *emu, uint64_t now_us)
{
    struct emu_at *a = state_of(emu);
    size_t len = a->line_len;
    bool over = a->line_over;
    a->line_len = 0;
    a->line_over = false;
    while (len > 0 && a->line[len - 1] == '\r')
        len--;
    a->line[len] = '\0';
    if (over)
        a->firmware->on_input_timeout(emu, now_us); /* its end never fitted */
    else if (len > 0)
        a->firmware->on_line(emu, now_us, a->line, len);
}

void emu_at_on_byte(struct emu *emu, uint64_t now_us, uint8_t byte)
{
    struct emu_at *a = state_of(emu);
    a->line_us = now_us;
    if (byte == '\n')
        end_line(emu, now_us);
    else if (a->line_len < a->firmware->line_len_max && a->line_len + 1u < sizeof a->line)
        a->line[a->line_len++] = (char)byte;
    else
        a->line_over = true;
}

static uint64_t input_timeout_us(const struct emu_at *a)
{
    return a->line_len > 0 ? a->line_us + a->firmware->input_timeout_us : EMU_NEVER;
}

void emu_at_run(struct emu *emu, uint64_t now_us)
{
    struct emu_at *a = state_of(emu);
    if (a->starting) {
        a->starting = false;
        a->firmware->on_start(emu, now_us);
    }
    if (a->sending && now_us >= a->tx_end_us) {
        a->sending = false;
        a->firmware->on_sent(emu, now_us);
    }
    if (now_us >= input_timeout_us(a)) {
        a->line_len = 0;
        a->line_over = false;
        a->firmware->on_input_timeout(emu, now_us);
    }
}

uint64_t emu_at_next_us(const struct emu *emu)
{
    const struct emu_at *a = (const void *)emu->state;
    uint64_t at_us = input_timeout_us(a);
    if (a->starting)
        return 0; /* as soon as it has booted */
    if (a->sending && a->tx_end_us < at_us)
        at_us = a->tx_end_us;
    return at_us;
}

void emu_at_boot(struct emu *emu, uint64_t now_us, const struct emu_at_firmware *firmware,
                 uint32_t boot_us)
{
    struct emu_at *a = state_of(emu);
    a->firmware = firmware;
    a->starting = true;
    a->sending = a->receiving = a->line_over = false;
    a->line_len = 0;
    emu->baud = emu->model->baud;
    emu->boot_until_us = now_us + boot_us;
    emu_at_tune(emu, now_us); /* and so ends what was on the air */
}
