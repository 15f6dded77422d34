/* record.h - the signed unit that is replicated, stored and exported.
 *
 * Layout, in order (PROTOCOL.md, "Record"):
 *
 *   author   2   big-endian
 *   seq      1-3 LEB128, 1..RECORD_SEQ_MAX, per author and lane
 *   kind     1   bits 0-4 kind, bits 5-6 priority, bit 7: an extension byte follows
 *   created  3   bit 23: the author's clock was set by an authority; bits 0-22 minutes
 *   ext      0-1 bits 0-3 key epoch, bit 4 body encrypted, bit 5 sealed part, 6-7 zero
 *   siv      0-4 when encrypted
 *   sealed_len 0-1 when there is a sealed part
 *   body     n
 *   sealed   sealed_len
 *   sig      64  Ed25519
 *
 * The signature covers: "keng record v1\0", network id 32, everything before the body as
 * sent, BLAKE2b-256(body), BLAKE2b-256(sealed) or 32 zeros.  So a sealed part can be erased
 * later while the signature still verifies.
 *
 * Decoding looks at form only, never at truth: verify before believing (proto/sign.h).
 * Pure functions: the core uses them as they are.
 * Memory: views borrow the bytes they were decoded from.
 */
#ifndef KENG_PROTO_RECORD_H
#define KENG_PROTO_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

enum record_kind {
    RECORD_DAMAGE = 1,
    RECORD_NEEDS = 2,
    RECORD_EVACUATION = 3,
    RECORD_RESCUE = 4,
    RECORD_ACCESS = 5,
    RECORD_SAFE = 6,
    RECORD_NOTE = 7,
    RECORD_ROSTER = 16,
    RECORD_REVIEW = 17,
    RECORD_DIRECTIVE = 18,
    RECORD_PROFILE = 19,
    RECORD_RECEIPT = 20,
    RECORD_SIGNOFF = 21,
    RECORD_UNIT = 22,
    /* From here on superseding: kind 24 + lane lives in its own lane, only the newest is kept. */
    RECORD_SUPERSEDING_FIRST = 25,
    RECORD_ACK_FIRST = 25,
    RECORD_ACK_LAST = 28,
    RECORD_KIND_MAX = 31,
};

enum record_priority {
    PRIORITY_ROUTINE = 0,
    PRIORITY_DAMAGE = 1,
    PRIORITY_EVACUATION = 2,
    PRIORITY_RESCUE = 3,
    PRIORITY_COUNT = 4,
};

/* Names a record: numbers run from 1 without gaps in each (author, lane). */
struct record_ref {
    uint32_t seq;
    uint16_t author;
    uint8_t lane;
};

struct record_view {
    struct record_ref ref;
    uint8_t kind;     /* enum record_kind, or one this version does not know */
    uint8_t priority; /* enum record_priority */
    bool clock_set;
    bool encrypted;
    uint8_t epoch;
    uint32_t created_min; /* minutes since KENG_EPOCH_UNIX_S, the author's claim */
    const uint8_t *bytes; /* the whole record */
    size_t len;
    size_t header_len; /* everything before the body */
    const uint8_t *body;
    size_t body_len;
    const uint8_t *sealed;
    size_t sealed_len;
    const uint8_t *sig; /* KENG_SIG_LEN bytes */
};

enum record_err {
    RECORD_OK = 0,
    RECORD_EFORM = -1,   /* too short, too long, or a field out of range */
    RECORD_ETOOBIG = -2, /* body longer than RECORD_BODY_LEN_MAX */
};

/* The lane a kind lives in: 0, or kind - 24 for a superseding kind. */
static inline uint8_t record_lane(uint8_t kind)
{
    return kind >= RECORD_SUPERSEDING_FIRST ? (uint8_t)(kind - (RECORD_SUPERSEDING_FIRST - 1)) : 0;
}

static inline bool record_is_report(uint8_t kind)
{
    return kind >= RECORD_DAMAGE && kind <= RECORD_NOTE;
}

static inline bool record_is_ack(uint8_t kind)
{
    return kind >= RECORD_ACK_FIRST && kind <= RECORD_ACK_LAST;
}

/* Reads the form of a record.  view_out borrows buf. */
int record_decode(const uint8_t *buf, size_t len, struct record_view *view_out);

/* What record_encode() writes before the signature. */
struct record_draft {
    struct record_ref ref; /* lane is checked against kind */
    uint8_t kind;
    uint8_t priority;
    bool clock_set;
    uint32_t created_min;
    const uint8_t *body;
    size_t body_len;
};

/* Header and body into buf (at least RECORD_LEN_MAX bytes), leaving room for the signature.
 * Returns the length so far (add KENG_SIG_LEN for the whole record), or a negative error. */
int record_encode(const struct record_draft *draft, uint8_t *buf, size_t cap);

/* English word for a kind ("damage", ...), or NULL. */
const char *record_kind_name(uint8_t kind);
/* The kind a word names, or 0. */
uint8_t record_kind_find(const char *name);
const char *record_priority_name(uint8_t priority);
int record_priority_find(const char *name);
/* The priority a kind has unless its author says otherwise. */
uint8_t record_kind_priority(uint8_t kind);

#endif
