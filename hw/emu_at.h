/* emu_at.h - what emulated modems with AT commands do alike: lines in and out, a radio that sends
 * one frame and hears others.
 *
 * struct emu_at comes first in a firmware's state; emu_at_on_byte, emu_at_run and emu_at_next_us go
 * straight into its struct emu_model.  Lines to a host which does not read are dropped whole.
 */
#ifndef KENG_HW_EMU_AT_H
#define KENG_HW_EMU_AT_H

#include "hw/emu.h"

enum { EMU_AT_LINE_LEN = 640 };

struct emu_at_firmware {
    uint16_t line_len_max;
    uint32_t input_timeout_us; /* half a line that waits longer is given up */
    /* Lines are NUL-ended; len counts what NULs they hold. */
    void (*on_line)(struct emu *emu, uint64_t now_us, char *line, size_t len);
    void (*on_input_timeout)(struct emu *emu, uint64_t now_us);
    void (*on_sent)(struct emu *emu, uint64_t now_us);
    void (*on_start)(struct emu *emu, uint64_t now_us); /* it has booted */
};

struct emu_at {
    const struct emu_at_firmware *firmware;
    struct lora_params lora;
    uint32_t sync;
    int8_t power_dbm;
    bool starting;
    bool sending;
    bool receiving;      /* its receiver is on, and has been since … */
    uint64_t rx_from_us;
    uint64_t tx_end_us;

    bool line_over;
    uint16_t line_len;
    uint64_t line_us;    /* of its last byte */
    char line[EMU_AT_LINE_LEN];
};

void emu_at_boot(struct emu *emu, uint64_t now_us, const struct emu_at_firmware *firmware,
                 uint32_t boot_us);
void emu_at_on_byte(struct emu *emu, uint64_t now_us, uint8_t byte);
void emu_at_run(struct emu *emu, uint64_t now_us);
uint64_t emu_at_next_us(const struct emu *emu);

/* One line, CR and LF added. */
void emu_at_say(struct emu *emu, uint64_t now_us, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Bytes of any kind as a line. */
void emu_at_put_line(struct emu *emu, uint64_t now_us, const void *line, size_t len);
void emu_at_tune(struct emu *emu, uint64_t now_us);
void emu_at_receive(struct emu *emu, uint64_t now_us, bool on);
/* False: the radio refuses. */
bool emu_at_transmit(struct emu *emu, uint64_t now_us, const uint8_t *frame, size_t len);
/* Was the receiver on for the whole of a frame that has just ended? */
bool emu_at_hears(const struct emu *emu, uint64_t now_us, size_t len);

#endif
