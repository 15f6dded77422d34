/* pb.h - protobuf's wire format, field by field: just enough for a handful of messages known by
 * their field numbers.
 *
 * Source    Protocol Buffers, "Encoding" (developers.google.com/protocol-buffers).
 * Time      Linear in the message.
 * Memory    The caller's.  A reader and its fields point into the message.
 * Errors    Reading ends early with malformed set; writing stops with overflow set.  Whoever reads
 *           looks at malformed before it believes anything.
 */
#ifndef KENG_HW_PB_H
#define KENG_HW_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    enum pb_type type;
    uint64_t value;       /* of a number, whichever its size */
    const uint8_t *bytes; /* PB_BYTES: a text or an inner message */
    size_t len;
    const uint8_t *whole; /* with its tag, to be copied as it is */
    size_t whole_len;
};

struct pb_reader {
    const uint8_t *at, *end;
    bool malformed;
};

struct pb_writer {
    uint8_t *bytes;
    size_t cap, len;
    bool overflow;
};

struct pb_reader pb_read(const uint8_t *bytes, size_t len);
/* The same for the inside of a field; one that is no bytes reads as malformed. */
struct pb_reader pb_read_inner(const struct pb_field *field);
/* The next field, or false at the end and where it is malformed. */
bool pb_next(struct pb_reader *r, struct pb_field *field_out);
/* The first field of this number, from the start of these bytes; false also for malformed ones. */
bool pb_find(const uint8_t *bytes, size_t len, uint32_t number, struct pb_field *field_out);
/* Of a PB_FIXED32. */
float pb_float(const struct pb_field *field);

struct pb_writer pb_write(uint8_t *bytes, size_t cap);
void pb_put_varint(struct pb_writer *w, uint32_t number, uint64_t value);
void pb_put_fixed32(struct pb_writer *w, uint32_t number, uint32_t value);
void pb_put_float(struct pb_writer *w, uint32_t number, float value);
void pb_put_bytes(struct pb_writer *w, uint32_t number, const void *bytes, size_t len);
/* A field as it was read. */
void pb_put_whole(struct pb_writer *w, const struct pb_field *field);

#endif
