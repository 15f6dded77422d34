/* A modem that says anything, at any time: the driver goes on, and every frame handed to it ends
 * exactly once (the rig watches).  Behind the line stands the emulated modem, so that the driver
 * gets as far as sending, and its answers can be flipped.  Input: operation bytes, some with bytes
 * behind.  `make fuzz TARGET=modem_NAME` for the driver NAME. */
#include "tests/fuzz/fuzz.h"
#include "tests/support/modem_rig.h"

enum { MODEM_STEP_US = 20000, MODEM_OPERATION_COUNT_MAX = 256 };

static struct rig modem_rig;
static uint8_t modem_flip; /* of the next bytes to the host */
static const char *modem_name;

static void modem_on_line(struct rig_side *s, uint8_t *bytes, size_t len)
{
    (void)s;
    if (modem_flip)
        bytes[modem_flip % len] ^= (uint8_t)(1u << (modem_flip & 7));
    modem_flip = 0;
}

/* The bytes behind an operation; at most as many as it says and as there are. */
static size_t modem_piece_len(const uint8_t *data, size_t len)
{
    size_t want = data[0] % 64u;
    return want < len - 1 ? want : len - 1;
}

static void modem_send_one(struct rig_side *s, unsigned size)
{
    static const uint8_t frame[MODEM_FRAME_LEN_MAX] = { 0x20, 0xc0, 0xdb, '\r', '\n', ',' };
    size_t len = size * 16 + 1;
    bool fits = len <= modem_rig.driver->caps.mtu_len;
    int err = rig_send(s, frame, len);
    FUZZ_CHECK(fits ? err != MODEM_ELEN : err == MODEM_ELEN);
}

static size_t modem_operation(struct rig_side *s, const uint8_t *data, size_t len)
{
    uint8_t op = data[0];
    size_t piece = op < 0x80 ? modem_piece_len(data, len) : 0;
    if (op < 0x40)
        rig_give(s, data + 1, piece);
    else if (op < 0x80 && s->plugged && piece > 0)
        emu_on_rx(&s->emu, modem_rig.now_us, data + 1, piece, -90, 10);
    else if (op >= 0x80 && op < 0xc0)
        rig_run_until(&modem_rig, modem_rig.now_us + ((op & 0x3fu) + 1) * MODEM_STEP_US);
    else if (op >= 0xc0 && op < 0xd0)
        modem_send_one(s, op & 0xf);
    else if (op >= 0xd0 && op < 0xe8)
        modem_flip = (uint8_t)(len > 1 ? data[1] | 1 : 1);
    else if (op >= 0xe8 && op < 0xf0 && s->plugged)
        rig_restart(s, op & 1);
    else if (op >= 0xf0 && op < 0xf8)
        rig_unplug(s);
    else if (op >= 0xf8)
        rig_open(s);
    return 1 + piece;
}

static void fuzz_modem(const uint8_t *data, size_t len)
{
    struct rig_side *s = &modem_rig.sides[0];
    const struct emu_model *model = emu_model_find(modem_name);
    FUZZ_CHECK(model);
    modem_flip = 0;
    modem_rig.forged = true;
    modem_rig.on_line = modem_on_line;
    rig_build(&modem_rig, model, 0, 1);
    rig_open(s);
    for (int i = 0; len > 0 && i < MODEM_OPERATION_COUNT_MAX; i++) {
        size_t used = modem_operation(s, data, len);
        rig_run_until(&modem_rig, modem_rig.now_us);
        data += used;
        len -= used;
    }
    rig_unplug(s);
    FUZZ_CHECK(!s->outstanding);
}

#ifndef FUZZ_REPLAY
static void fuzz_named_modem(const uint8_t *data, size_t len)
{
    modem_name = FUZZ_MODEM;
    fuzz_modem(data, len);
}

FUZZ_TARGET(fuzz_named_modem)
#endif
