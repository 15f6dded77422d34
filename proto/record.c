#include "proto/record.h"

#include "proto/bytes.h"

enum {
    KIND_MASK = 0x1f,
    PRIORITY_SHIFT = 5,
    PRIORITY_MASK = 0x03,
    EXT_FLAG = 0x80,
    CREATED_CLOCK_SET = 1 << 23,
    EXT_EPOCH_MASK = 0x0f,
    EXT_ENCRYPTED = 0x10,
    EXT_SEALED = 0x20,
    EXT_RESERVED = 0xc0,
    SIV_LEN = 4,
};

/* The extension byte and what it announces.  False: a form this version must refuse. */
static bool decode_ext(struct bytes_reader *r, struct record_view *v)
{
    uint8_t ext = read_u8(r);
    v->epoch = ext & EXT_EPOCH_MASK;
    v->encrypted = ext & EXT_ENCRYPTED;
    /* An extension that announces nothing would be a second encoding of the same record. */
    if ((ext & EXT_RESERVED) || !(ext & (EXT_ENCRYPTED | EXT_SEALED)) ||
        (!v->encrypted && v->epoch != 0))
        return false;
    if (v->encrypted)
        read_bytes(r, SIV_LEN);
    if (ext & EXT_SEALED) {
        v->sealed_len = read_u8(r);
        if (v->sealed_len == 0)
            return false;
    }
    return true;
}

int record_decode(const uint8_t *buf, size_t len, struct record_view *view_out)
{
    if (len < RECORD_LEN_MIN || len > RECORD_LEN_MAX)
        return RECORD_EFORM;
    struct bytes_reader r = bytes_reader(buf, len - KENG_SIG_LEN);
    struct record_view v = { .bytes = buf, .len = len, .sig = buf + len - KENG_SIG_LEN };

    v.ref.author = read_u16(&r);
    v.ref.seq = (uint32_t)read_varint(&r, RECORD_SEQ_MAX);
    uint8_t kind = read_u8(&r);
    v.kind = kind & KIND_MASK;
    v.priority = (kind >> PRIORITY_SHIFT) & PRIORITY_MASK;
    v.ref.lane = record_lane(v.kind);
    uint32_t created = read_u24(&r);
    v.clock_set = created & CREATED_CLOCK_SET;
    v.created_min = created & CREATED_MINUTES_MAX;
    if ((kind & EXT_FLAG) && !decode_ext(&r, &v))
        return RECORD_EFORM;
    if (r.failed || v.ref.seq == 0 || v.kind == 0 || v.ref.author == AUTHOR_NONE ||
        v.sealed_len > bytes_left(&r))
        return RECORD_EFORM;

    v.header_len = (size_t)(r.at - buf);
    v.body = r.at;
    v.body_len = bytes_left(&r) - v.sealed_len;
    v.sealed = v.body + v.body_len;
    *view_out = v;
    return RECORD_OK;
}

int record_encode(const struct record_draft *draft, uint8_t *buf, size_t cap)
{
    if (draft->kind == 0 || draft->kind > RECORD_KIND_MAX || draft->priority >= PRIORITY_COUNT ||
        draft->ref.seq == 0 || draft->ref.seq > RECORD_SEQ_MAX ||
        draft->ref.author == AUTHOR_NONE || draft->ref.lane != record_lane(draft->kind) ||
        draft->created_min > CREATED_MINUTES_MAX)
        return RECORD_EFORM;
    if (draft->body_len > RECORD_BODY_LEN_MAX)
        return RECORD_ETOOBIG;
    struct bytes_writer w = bytes_writer(buf, cap);
    write_u16(&w, draft->ref.author);
    write_varint(&w, draft->ref.seq);
    write_u8(&w, (uint8_t)(draft->kind | draft->priority << PRIORITY_SHIFT));
    write_u24(&w, draft->created_min | (draft->clock_set ? CREATED_CLOCK_SET : 0));
    write_bytes(&w, draft->body, draft->body_len);
    if (w.failed || bytes_room(&w) < KENG_SIG_LEN)
        return RECORD_ETOOBIG;
    return (int)bytes_written(&w);
}

static const struct {
    uint8_t kind;
    uint8_t priority;
    const char *name;
} KINDS[] = {
    { RECORD_DAMAGE, PRIORITY_DAMAGE, "damage" },
    { RECORD_NEEDS, PRIORITY_DAMAGE, "needs" },
    { RECORD_EVACUATION, PRIORITY_EVACUATION, "evacuation" },
    { RECORD_RESCUE, PRIORITY_RESCUE, "rescue" },
    { RECORD_ACCESS, PRIORITY_DAMAGE, "access" },
    { RECORD_SAFE, PRIORITY_ROUTINE, "safe" },
    { RECORD_NOTE, PRIORITY_ROUTINE, "note" },
    { RECORD_ROSTER, PRIORITY_EVACUATION, "roster" },
    { RECORD_REVIEW, PRIORITY_DAMAGE, "review" },
    { RECORD_DIRECTIVE, PRIORITY_EVACUATION, "directive" },
    { RECORD_PROFILE, PRIORITY_EVACUATION, "profile" },
    { RECORD_RECEIPT, PRIORITY_DAMAGE, "receipt" },
    { RECORD_SIGNOFF, PRIORITY_ROUTINE, "signoff" },
    { RECORD_UNIT, PRIORITY_ROUTINE, "unit" },
    { RECORD_ACK_FIRST, PRIORITY_EVACUATION, "ack" },
};
static const char *const PRIORITIES[PRIORITY_COUNT] = { "routine", "damage", "evacuation",
                                                        "rescue" };

const char *record_kind_name(uint8_t kind)
{
    if (record_is_ack(kind))
        kind = RECORD_ACK_FIRST;
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (KINDS[i].kind == kind)
            return KINDS[i].name;
    return NULL;
}

uint8_t record_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (strcmp(KINDS[i].name, name) == 0)
            return KINDS[i].kind;
    return 0;
}

uint8_t record_kind_priority(uint8_t kind)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (KINDS[i].kind == kind)
            return KINDS[i].priority;
    return PRIORITY_ROUTINE;
}

const char *record_priority_name(uint8_t priority)
{
    return priority < PRIORITY_COUNT ? PRIORITIES[priority] : NULL;
}

int record_priority_find(const char *name)
{
    for (int i = 0; i < PRIORITY_COUNT; i++)
        if (strcmp(PRIORITIES[i], name) == 0)
            return i;
    return -1;
}
