/* limits.h - every constant both ends must agree on, with its arithmetic.
 *
 * The norm is PROTOCOL.md; a number that stands there stands here and nowhere else.
 */
#ifndef KENG_PROTO_LIMITS_H
#define KENG_PROTO_LIMITS_H

#include <assert.h>

enum {
    KENG_PROTOCOL_VERSION = 1,

    /* libsodium sizes, named here so that the core need not include it. */
    KENG_SIG_LEN = 64,
    KENG_KEY_LEN = 32,
    KENG_HASH_LEN = 32,
    KENG_NETWORK_ID_LEN = 32,
    KENG_NETWORK_KEY_LEN = 32,

    /* Record: author 2, seq 1-3, kind 1, created 3, [ext 1], body, signature 64. */
    RECORD_SEQ_MAX = (1 << 21) - 1, /* three LEB128 groups of 7 bits */
    RECORD_SEQ_LEN_MAX = 3,
    RECORD_HEADER_LEN_MIN = 2 + 1 + 1 + 3,
    RECORD_HEADER_LEN_MAX = 2 + RECORD_SEQ_LEN_MAX + 1 + 3 + 1 + 4 + 1,
    RECORD_LEN_MIN = RECORD_HEADER_LEN_MIN + KENG_SIG_LEN,

    /* Frame: version and flags 1, tag 4, sender 2, digest 3, count 1, sections. */
    FRAME_TAG_LEN = 4,
    FRAME_DIGEST_LEN = 3,
    FRAME_HEADER_LEN = 1 + FRAME_TAG_LEN + 2 + FRAME_DIGEST_LEN + 1,
    FRAME_LEN_MAX = 255, /* LoRa's own limit; a modem may offer less */

    /* A record travels whole in one frame: header, one length byte, record. */
    RECORD_LEN_MAX = FRAME_LEN_MAX - FRAME_HEADER_LEN - 1,
    RECORD_BODY_LEN_MAX = RECORD_LEN_MAX - (2 + RECORD_SEQ_LEN_MAX + 1 + 3) - KENG_SIG_LEN,

    /* Author numbers: 0 is the commune's root, 1..65534 are enrolled, 65535 is never used. */
    AUTHOR_ROOT = 0,
    AUTHOR_NONE = 0xffff,
    AUTHOR_MAX = 0xfffe,

    /* Lane 0 is an author's log; lanes 1..7 hold one superseding kind each. */
    LANE_COUNT = 8,

    /* Claims of time: whole minutes since 2026-01-01T00:00:00Z in 23 bits, 15.9 years. */
    CREATED_MINUTES_MAX = (1 << 23) - 1,

    VIETNAM_OFFSET_S = 7 * 3600, /* its clocks and days, the same all year */

    /* Report text as stored in the body, before the codec; see PROTOCOL.md. */
    REPORT_FIGURE_COUNT_MAX = 24,
    REPORT_TEXT_LEN_MAX = 600, /* decoded UTF-8 bytes: what 160 coded bytes can unfold to */
};

/* Seconds from the Unix epoch to 2026-01-01T00:00:00Z. */
#define KENG_EPOCH_UNIX_S 1767225600LL

static_assert(RECORD_LEN_MAX + FRAME_HEADER_LEN + 1 == FRAME_LEN_MAX, "one record fits one frame");
static_assert(RECORD_BODY_LEN_MAX >= 160, "room for a long text");

#endif
