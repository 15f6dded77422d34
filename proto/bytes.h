/* bytes.h - integers to and from bytes, and bounded readers and writers.
 *
 * Fixed-width integers on the wire are big-endian.  Variable-length integers are
 * LEB128 (base 128, least significant group first, as in protobuf) and must be
 * minimal: an encoding with a needless final zero group is refused, so that one
 * value has one encoding.
 *
 * Memory    Readers and writers borrow the caller's buffer.
 * Errors    Sticky: after the first read past the end (or write past the end, or a
 *           malformed integer) `failed` is set, reads give 0, writes do nothing.
 *           Check `failed` once, at the end.
 */
#ifndef KENG_PROTO_BYTES_H
#define KENG_PROTO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes_reader { const uint8_t *at, *end; bool failed; };
struct bytes_writer { uint8_t *at, *end, *start; bool failed; };

static inline uint16_t load16_be(const uint8_t b[2])
{
    return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t load24_be(const uint8_t b[3])
{
    return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}

static inline uint32_t load32_be(const uint8_t b[4])
{
    return (uint32_t)b[0] << 24 | load24_be(b + 1);
}

static inline uint64_t load64_be(const uint8_t b[8])
{
    return (uint64_t)load32_be(b) << 32 | load32_be(b + 4);
}

static inline void store16_be(uint8_t b[2], uint16_t v)
{
    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}

static inline void store24_be(uint8_t b[3], uint32_t v)
{
    b[0] = (uint8_t)(v >> 16);
    b[1] = (uint8_t)(v >> 8);
    b[2] = (uint8_t)v;
}

static inline void store32_be(uint8_t b[4], uint32_t v)
{
    b[0] = (uint8_t)(v >> 24);
    store24_be(b + 1, v & 0xffffffu);
}

static inline void store64_be(uint8_t b[8], uint64_t v)
{
    store32_be(b, (uint32_t)(v >> 32));
    store32_be(b + 4, (uint32_t)v);
}

/* How many bytes the LEB128 form of v takes: 1 to 10. */
static inline size_t varint_len(uint64_t v)
{
    size_t len = 1;
    while (v >= 0x80) {
        v >>= 7;
        len++;
    }
    return len;
}

static inline struct bytes_reader bytes_reader(const uint8_t *buf, size_t len)
{
    return (struct bytes_reader){ .at = buf, .end = buf + len };
}

static inline size_t bytes_left(const struct bytes_reader *r)
{
    return r->failed ? 0 : (size_t)(r->end - r->at);
}

/* len bytes in place, or NULL with `failed` set. */
static inline const uint8_t *read_bytes(struct bytes_reader *r, size_t len)
{
    if (r->failed || bytes_left(r) < len) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += len;
    return p;
}

static inline uint8_t read_u8(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 1);
    return p ? p[0] : 0;
}

static inline uint16_t read_u16(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 2);
    return p ? load16_be(p) : 0;
}

static inline uint32_t read_u24(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 3);
    return p ? load24_be(p) : 0;
}

static inline uint32_t read_u32(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 4);
    return p ? load32_be(p) : 0;
}

static inline uint64_t read_u64(struct bytes_reader *r)
{
    const uint8_t *p = read_bytes(r, 8);
    return p ? load64_be(p) : 0;
}

/* A minimal LEB128 integer not above max; anything else sets `failed`. */
static inline uint64_t read_varint(struct bytes_reader *r, uint64_t max)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = read_u8(r);
        if (r->failed)
            return 0;
        uint64_t group = b & 0x7fu;
        if ((shift == 63 && group > 1) || (b == 0 && shift > 0))
            break;
        v |= group << shift;
        if (!(b & 0x80)) {
            if (v > max)
                break;
            return v;
        }
    }
    r->failed = true;
    return 0;
}

static inline struct bytes_writer bytes_writer(uint8_t *buf, size_t cap)
{
    return (struct bytes_writer){ .at = buf, .end = buf + cap, .start = buf };
}

static inline size_t bytes_written(const struct bytes_writer *w)
{
    return (size_t)(w->at - w->start);
}

static inline size_t bytes_room(const struct bytes_writer *w)
{
    return (size_t)(w->end - w->at);
}

static inline void write_bytes(struct bytes_writer *w, const uint8_t *src, size_t len)
{
    if (w->failed || bytes_room(w) < len) {
        w->failed = true;
        return;
    }
    if (len > 0)
        memcpy(w->at, src, len);
    w->at += len;
}

static inline void write_u8(struct bytes_writer *w, uint8_t v)
{
    write_bytes(w, &v, 1);
}

static inline void write_u16(struct bytes_writer *w, uint16_t v)
{
    uint8_t b[2];
    store16_be(b, v);
    write_bytes(w, b, sizeof b);
}

static inline void write_u24(struct bytes_writer *w, uint32_t v)
{
    uint8_t b[3];
    store24_be(b, v);
    write_bytes(w, b, sizeof b);
}

static inline void write_u32(struct bytes_writer *w, uint32_t v)
{
    uint8_t b[4];
    store32_be(b, v);
    write_bytes(w, b, sizeof b);
}

static inline void write_u64(struct bytes_writer *w, uint64_t v)
{
    uint8_t b[8];
    store64_be(b, v);
    write_bytes(w, b, sizeof b);
}

static inline void write_varint(struct bytes_writer *w, uint64_t v)
{
    while (v >= 0x80) {
        write_u8(w, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    write_u8(w, (uint8_t)v);
}

#endif
