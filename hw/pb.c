#include "hw/pb.h"

#include <string.h>

enum {
    VARINT_LEN_MAX = 10,
    VARINT_BITS = 7,
    VARINT_MORE = 0x80,
    TYPE_BITS = 3,
    TYPE_MASK = 7,
    NUMBER_MAX = 0x1fffffff,
    BYTE_BITS = 8,
};

struct pb_reader pb_read(const uint8_t *bytes, size_t len)
{
    return (struct pb_reader){ .at = bytes, .end = bytes + len };
}

struct pb_reader pb_read_inner(const struct pb_field *field)
{
    struct pb_reader r = { .malformed = true };
    return field->type == PB_BYTES ? pb_read(field->bytes, field->len) : r;
}

static uint64_t take_varint(struct pb_reader *r)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_LEN_MAX && r->at < r->end; i++) {
        uint8_t byte = *r->at++;
        v |= (uint64_t)(byte & ~VARINT_MORE) << (VARINT_BITS * i);
        if (!(byte & VARINT_MORE))
            return v;
    }
    r->malformed = true;
    return 0;
}

static uint64_t take_fixed(struct pb_reader *r, size_t len)
{
    uint64_t v = 0;
    if ((size_t)(r->end - r->at) < len) {
        r->malformed = true;
        return 0;
    }
    for (size_t i = 0; i < len; i++)
        v |= (uint64_t)*r->at++ << (BYTE_BITS * i);
    return v;
}

static void take_bytes(struct pb_reader *r, struct pb_field *f)
{
    uint64_t len = take_varint(r);
    if (r->malformed || len > (uint64_t)(r->end - r->at)) {
        r->malformed = true;
        return;
    }
    f->bytes = r->at;
    f->len = (size_t)len;
    r->at += f->len;
}

bool pb_next(struct pb_reader *r, struct pb_field *field_out)
{
    struct pb_field f = { .whole = r->at };
    if (r->malformed || r->at == r->end)
        return false;
    uint64_t tag = take_varint(r);
    f.number = (uint32_t)(tag >> TYPE_BITS);
    f.type = (enum pb_type)(tag & TYPE_MASK);
    r->malformed = r->malformed || f.number == 0 || tag >> TYPE_BITS > NUMBER_MAX;
    if (f.type == PB_VARINT)
        f.value = take_varint(r);
    else if (f.type == PB_FIXED64)
        f.value = take_fixed(r, sizeof(uint64_t));
    else if (f.type == PB_FIXED32)
        f.value = take_fixed(r, sizeof(uint32_t));
    else if (f.type == PB_BYTES)
        take_bytes(r, &f);
    else
        r->malformed = true; /* groups, which nobody writes any more, among them */
    if (r->malformed)
        return false;
    f.whole_len = (size_t)(r->at - f.whole);
    *field_out = f;
    return true;
}

bool pb_find(const uint8_t *bytes, size_t len, uint32_t number, struct pb_field *field_out)
{
    struct pb_reader r = pb_read(bytes, len);
    struct pb_field f;
    while (pb_next(&r, &f)) {
        if (f.number == number) {
            *field_out = f;
            return true;
        }
    }
    return false;
}

float pb_float(const struct pb_field *field)
{
    uint32_t bits = (uint32_t)field->value;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

struct pb_writer pb_write(uint8_t *bytes, size_t cap)
{
    return (struct pb_writer){ .bytes = bytes, .cap = cap };
}

static void put(struct pb_writer *w, const void *bytes, size_t len)
{
    if (w->overflow || len > w->cap - w->len) {
        w->overflow = true;
        return;
    }
    if (len > 0)
        memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

static void put_bare_varint(struct pb_writer *w, uint64_t value)
{
    uint8_t buf[VARINT_LEN_MAX];
    size_t len = 0;
    do {
        buf[len] = (uint8_t)(value & (VARINT_MORE - 1));
        value >>= VARINT_BITS;
        buf[len++] |= value > 0 ? VARINT_MORE : 0;
    } while (value > 0);
    put(w, buf, len);
}

static void put_tag(struct pb_writer *w, uint32_t number, enum pb_type type)
{
    put_bare_varint(w, (uint64_t)number << TYPE_BITS | type);
}

void pb_put_varint(struct pb_writer *w, uint32_t number, uint64_t value)
{
    put_tag(w, number, PB_VARINT);
    put_bare_varint(w, value);
}

void pb_put_fixed32(struct pb_writer *w, uint32_t number, uint32_t value)
{
    uint8_t buf[sizeof value];
    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)(value >> (BYTE_BITS * i));
    put_tag(w, number, PB_FIXED32);
    put(w, buf, sizeof buf);
}

void pb_put_float(struct pb_writer *w, uint32_t number, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    pb_put_fixed32(w, number, bits);
}

void pb_put_bytes(struct pb_writer *w, uint32_t number, const void *bytes, size_t len)
{
    put_tag(w, number, PB_BYTES);
    put_bare_varint(w, len);
    put(w, bytes, len);
}

void pb_put_whole(struct pb_writer *w, const struct pb_field *field)
{
    put(w, field->whole, field->whole_len);
}
