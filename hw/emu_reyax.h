/* emu_reyax.h - REYAX's modules with AT commands, in software.
 *
 * They behave as the manuals say where a host can tell the difference; sleep and the receiver's
 * duty cycle are not played.  The frame on air has eight bytes of the module's own, whose real
 * form nobody published: addresses, length and zeros.
 *
 * Quirks    "ok-at-end": +OK comes when the frame has been sent, not when it was taken;
 *           "ascii-only": data beyond printable letters arrive as '?';
 *           "reception-errors": +ERR=12 and +ERR=19 come unasked, amid everything.
 * Source    See reyax_hw.h.
 */
#ifndef KENG_HW_EMU_REYAX_H
#define KENG_HW_EMU_REYAX_H

#include "hw/emu_at.h"
#include "hw/reyax_hw.h"

/* What the module keeps without power; the frequency only when told so. */
struct emu_reyax_kept {
    uint32_t freq_hz;
    uint16_t address;
    uint8_t network, sf, bw_code, cr, preamble_symbols;
    int8_t power_dbm;
};

struct emu_reyax {
    struct emu_at at;
    const struct reyax_type *type;
    struct emu_reyax_kept kept;
    char password[33]; /* empty: none */
    unsigned line_count;
};

extern const struct emu_model emu_rylr998_model;
extern const struct emu_model emu_rylr498_model;
extern const struct emu_model emu_rylr896_model;

#endif
