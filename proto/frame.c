#include "proto/frame.h"

enum {
    VERSION_SHIFT = 5,
    FLAG_MASK = 0x1f,
    QUALITY_BITS = 2,
    HELD_MAX = RECORD_SEQ_MAX,
};

static bool read_entry(struct bytes_reader *r, uint32_t *log, bool first, struct frame_entry *e)
{
    uint32_t step = (uint32_t)read_varint(r, FRAME_LOG_MAX);
    uint32_t value = (uint32_t)read_varint(r, 2 * (uint64_t)HELD_MAX + 1);
    /* Rising order: one set of holdings has one encoding. */
    if (r->failed || (!first && step == 0) || step > FRAME_LOG_MAX - *log)
        return false;
    *log += step;
    e->log = *log;
    e->held = value >> 1;
    e->run_count = 0;
    if (!(value & 1))
        return true;
    uint8_t run_count = read_u8(r);
    if (r->failed || run_count == 0 || run_count > FRAME_RUN_COUNT_MAX)
        return false;
    uint64_t at = e->held;
    for (uint8_t i = 0; i < run_count; i++) {
        e->runs[i].gap = (uint32_t)read_varint(r, HELD_MAX);
        e->runs[i].held = (uint32_t)read_varint(r, HELD_MAX);
        at += (uint64_t)e->runs[i].gap + e->runs[i].held;
        if (r->failed || e->runs[i].gap == 0 || e->runs[i].held == 0 || at > HELD_MAX)
            return false;
    }
    e->run_count = run_count;
    return true;
}

static bool read_link(struct bytes_reader *r, uint32_t *node, bool first, struct frame_link *link)
{
    uint32_t value = (uint32_t)read_varint(r, (AUTHOR_MAX << QUALITY_BITS) | FRAME_QUALITY_MAX);
    uint32_t step = value >> QUALITY_BITS;
    if (r->failed || (!first && step == 0) || step > AUTHOR_MAX - *node)
        return false;
    *node += step;
    *link = (struct frame_link){ .node = (uint16_t)*node,
                                 .quality = (uint8_t)(value & FRAME_QUALITY_MAX) };
    return true;
}

static bool decode_links(struct bytes_reader *r, struct frame_view *v)
{
    v->link_count = read_u8(r);
    if (r->failed || v->link_count > FRAME_LINK_COUNT_MAX)
        return false;
    v->links = *r;
    uint32_t node = 0;
    struct frame_link link;
    for (size_t i = 0; i < v->link_count; i++)
        if (!read_link(r, &node, i == 0, &link))
            return false;
    return true;
}

static bool decode_summary(struct bytes_reader *r, struct frame_view *v)
{
    v->entry_count = read_u8(r);
    if (v->flags & FRAME_FLAG_WHOLE) {
        v->whole_from = (uint32_t)read_varint(r, FRAME_LOG_MAX);
        v->whole_to = (uint32_t)read_varint(r, FRAME_LOG_MAX);
    }
    if (r->failed || v->entry_count > FRAME_ENTRY_COUNT_MAX || v->whole_from > v->whole_to)
        return false;
    v->entries = *r;
    uint32_t log = 0;
    struct frame_entry e;
    for (size_t i = 0; i < v->entry_count; i++)
        if (!read_entry(r, &log, i == 0, &e))
            return false;
    return true;
}

/* The range that begins at *from; the next one begins behind it. */
static bool read_sum(struct bytes_reader *r, uint32_t *from, struct frame_sum *sum)
{
    uint32_t span = (uint32_t)read_varint(r, FRAME_LOG_MAX);
    uint64_t value = read_u64(r);
    if (r->failed || *from > FRAME_LOG_MAX || span > FRAME_LOG_MAX - *from)
        return false;
    *sum = (struct frame_sum){ .from = *from, .to = *from + span, .sum = value };
    *from += span + 1;
    return true;
}

static bool decode_sums(struct bytes_reader *r, struct frame_view *v)
{
    v->sum_count = read_u8(r);
    v->sum_from = (uint32_t)read_varint(r, FRAME_LOG_MAX);
    if (r->failed || v->sum_count == 0 || v->sum_count > FRAME_SUM_COUNT_MAX)
        return false;
    v->sums = *r;
    uint32_t from = v->sum_from;
    struct frame_sum sum;
    for (size_t i = 0; i < v->sum_count; i++)
        if (!read_sum(r, &from, &sum))
            return false;
    return true;
}

/* From here on the view is that of a frame of his, with links and a brief summary. */
static bool decode_hearsay(struct bytes_reader *r, struct frame_view *v)
{
    read_u8(r); /* no sums */
    v->about = read_u16(r);
    v->about_digest = read_u24(r);
    if (r->failed || v->about == AUTHOR_NONE || v->about == v->sender ||
        (v->flags & FRAME_FLAG_LINKS))
        return false;
    v->flags ^= FRAME_FLAG_WHOLE | FRAME_FLAG_LINKS | FRAME_FLAG_SUMMARY;
    return decode_links(r, v) && decode_summary(r, v);
}

static bool decode_holdings(struct bytes_reader *r, struct frame_view *v)
{
    if (v->flags & FRAME_FLAG_SUMMARY)
        return decode_summary(r, v);
    if (!(v->flags & FRAME_FLAG_WHOLE))
        return true;
    return bytes_left(r) > 0 && r->at[0] == 0 ? decode_hearsay(r, v) : decode_sums(r, v);
}

static bool decode_mix(struct bytes_reader *r, struct frame_view *v)
{
    uint8_t longest_len = 0;
    v->mix_count = read_u8(r);
    if (r->failed || v->mix_count < 2 || v->mix_count > FRAME_MIX_COUNT_MAX)
        return false;
    for (uint8_t i = 0; i < v->mix_count; i++) {
        struct frame_mixed *x = &v->mixed[i];
        x->log = (uint32_t)read_varint(r, FRAME_LOG_MAX);
        x->seq = (uint32_t)read_varint(r, HELD_MAX);
        x->len = read_u8(r);
        for (uint8_t k = 0; k < i; k++)
            if (v->mixed[k].log == x->log && v->mixed[k].seq == x->seq)
                return false;
        if (r->failed || x->seq == 0 || x->len < RECORD_LEN_MIN || x->len > RECORD_LEN_MAX)
            return false;
        longest_len = x->len > longest_len ? x->len : longest_len;
    }
    v->mix = read_bytes(r, longest_len);
    return v->mix != NULL;
}

int frame_decode(const uint8_t *buf, size_t len, struct frame_view *view_out)
{
    if (len < FRAME_HEADER_LEN || len > FRAME_LEN_MAX)
        return FRAME_EFORM;
    if (buf[0] >> VERSION_SHIFT != KENG_PROTOCOL_VERSION)
        return FRAME_EVERSION;
    struct frame_view v = { .flags = buf[0] & FLAG_MASK, .tag = buf + 1 };
    v.signed_part = buf + 1 + FRAME_TAG_LEN;
    v.signed_len = len - 1 - FRAME_TAG_LEN;
    struct bytes_reader r = bytes_reader(v.signed_part, v.signed_len);
    v.sender = v.about = read_u16(&r);
    v.digest = v.about_digest = read_u24(&r);
    v.count = read_u8(&r);
    if (v.sender == AUTHOR_NONE)
        return FRAME_EFORM;
    if (v.flags & FRAME_FLAG_FULL) {
        v.room = read_u8(&r);
        if (r.failed || v.room < FRAME_ROOM_MIN || v.room > FRAME_ROOM_MAX)
            return FRAME_EFORM;
    }
    if ((v.flags & FRAME_FLAG_LINKS) && !decode_links(&r, &v))
        return FRAME_EFORM;
    if (!decode_holdings(&r, &v))
        return FRAME_EFORM;
    if ((v.flags & FRAME_FLAG_MIX) && !decode_mix(&r, &v))
        return FRAME_EFORM;
    v.records = r;
    while (bytes_left(&r) > 0) {
        uint8_t record_len = read_u8(&r);
        read_bytes(&r, record_len);
        if (r.failed || record_len == 0)
            return FRAME_EFORM;
    }
    *view_out = v;
    return FRAME_OK;
}

bool frame_next_link(struct frame_view *v, struct frame_link *link_out)
{
    if (v->link_count == 0)
        return false;
    /* frame_decode() read the same bytes and refused a zero step; the first may be zero. */
    read_link(&v->links, &v->link_node, true, link_out);
    v->link_count--;
    return true;
}

bool frame_next_entry(struct frame_view *v, struct frame_entry *entry_out)
{
    if (v->entry_count == 0)
        return false;
    /* frame_decode() read the same bytes and refused a zero step; the first may be zero. */
    read_entry(&v->entries, &v->entry_log, true, entry_out);
    v->entry_count--;
    return true;
}

bool frame_next_sum(struct frame_view *v, struct frame_sum *sum_out)
{
    if (v->sum_count == 0)
        return false;
    read_sum(&v->sums, &v->sum_from, sum_out);
    v->sum_count--;
    return true;
}

bool frame_next_record(struct frame_view *v, const uint8_t **record_out, size_t *len_out)
{
    if (bytes_left(&v->records) == 0)
        return false;
    *len_out = read_u8(&v->records);
    *record_out = read_bytes(&v->records, *len_out);
    return *record_out != NULL;
}

void frame_begin(struct frame_builder *b, uint8_t *buf, size_t cap, uint16_t sender,
                 uint32_t digest, uint8_t count)
{
    static const uint8_t no_tag[FRAME_TAG_LEN];
    *b = (struct frame_builder){ .w = bytes_writer(buf, cap), .flags = buf };
    write_u8(&b->w, KENG_PROTOCOL_VERSION << VERSION_SHIFT);
    write_bytes(&b->w, no_tag, sizeof no_tag);
    write_u16(&b->w, sender);
    write_u24(&b->w, digest & 0xffffffu);
    write_u8(&b->w, count);
}

void frame_add_room(struct frame_builder *b, uint8_t room)
{
    *b->flags |= FRAME_FLAG_FULL;
    write_u8(&b->w, room);
}

bool frame_add_links(struct frame_builder *b, const struct frame_link *links, size_t link_count,
                     size_t room_len)
{
    struct bytes_writer w = b->w;
    if (bytes_room(&w) > room_len)
        w.end = w.at + room_len;
    uint32_t node = 0;
    write_u8(&w, (uint8_t)link_count);
    for (size_t i = 0; i < link_count; i++) {
        write_varint(&w, (uint64_t)(links[i].node - node) << QUALITY_BITS | links[i].quality);
        node = links[i].node;
    }
    if (w.failed || link_count > FRAME_LINK_COUNT_MAX)
        return false;
    b->w.at = w.at;
    *b->flags |= FRAME_FLAG_LINKS;
    return true;
}

void frame_begin_summary(struct frame_builder *b, bool whole, uint32_t from, uint32_t to)
{
    *b->flags |= FRAME_FLAG_SUMMARY | (whole ? FRAME_FLAG_WHOLE : 0);
    b->entry_count = b->w.at;
    write_u8(&b->w, 0);
    if (whole) {
        write_varint(&b->w, from);
        write_varint(&b->w, to);
    }
}

bool frame_add_entry(struct frame_builder *b, const struct frame_entry *entry)
{
    if (*b->entry_count == FRAME_ENTRY_COUNT_MAX)
        return false;
    struct bytes_writer w = b->w;
    write_varint(&w, entry->log - b->entry_log);
    write_varint(&w, (uint64_t)entry->held << 1 | (entry->run_count > 0));
    if (entry->run_count > 0) {
        write_u8(&w, entry->run_count);
        for (uint8_t i = 0; i < entry->run_count; i++) {
            write_varint(&w, entry->runs[i].gap);
            write_varint(&w, entry->runs[i].held);
        }
    }
    if (w.failed)
        return false;
    b->w = w;
    b->entry_log = entry->log;
    ++*b->entry_count;
    return true;
}

bool frame_add_mix(struct frame_builder *b, const struct frame_mixed *mixed, uint8_t count,
                   const uint8_t *bytes)
{
    struct bytes_writer w = b->w;
    uint8_t longest_len = 0;
    write_u8(&w, count);
    for (uint8_t i = 0; i < count; i++) {
        write_varint(&w, mixed[i].log);
        write_varint(&w, mixed[i].seq);
        write_u8(&w, mixed[i].len);
        longest_len = mixed[i].len > longest_len ? mixed[i].len : longest_len;
    }
    write_bytes(&w, bytes, longest_len);
    if (w.failed || count < 2 || count > FRAME_MIX_COUNT_MAX)
        return false;
    b->w = w;
    *b->flags |= FRAME_FLAG_MIX;
    return true;
}

bool frame_add_sums(struct frame_builder *b, const struct frame_sum *sums, size_t sum_count)
{
    struct bytes_writer w = b->w;
    write_u8(&w, (uint8_t)sum_count);
    write_varint(&w, sums[0].from);
    for (size_t i = 0; i < sum_count; i++) {
        write_varint(&w, sums[i].to - sums[i].from);
        write_u64(&w, sums[i].sum);
    }
    if (w.failed || sum_count > FRAME_SUM_COUNT_MAX)
        return false;
    b->w = w;
    *b->flags |= FRAME_FLAG_WHOLE;
    return true;
}

bool frame_begin_hearsay(struct frame_builder *b, uint16_t about, uint32_t digest,
                         const struct frame_link *links, size_t link_count)
{
    struct frame_builder old = *b;
    uint8_t flags = *b->flags;
    write_u8(&b->w, 0);
    write_u16(&b->w, about);
    write_u24(&b->w, digest & 0xffffffu);
    if (!b->w.failed && frame_add_links(b, links, link_count, bytes_room(&b->w)) &&
        bytes_room(&b->w) > 0) {
        frame_begin_summary(b, false, 0, 0);
        *b->flags = flags | FRAME_FLAG_WHOLE;
        return true;
    }
    *b = old;
    *b->flags = flags;
    return false;
}

bool frame_add_record(struct frame_builder *b, const uint8_t *record, size_t len)
{
    if (len == 0 || len > UINT8_MAX || bytes_room(&b->w) < len + 1)
        return false;
    write_u8(&b->w, (uint8_t)len);
    write_bytes(&b->w, record, len);
    return true;
}

size_t frame_finish(struct frame_builder *b)
{
    return b->w.failed ? 0 : bytes_written(&b->w);
}
