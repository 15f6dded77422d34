#include "proto/bytes.h"
#include "proto/report.h"

#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "keng.pb-c.h"
#include "proto/text.h"

enum {
    /* The message, 8 bytes for each one-byte element at worst, copies of the byte strings.  What
     * needs more has the same field many times over, which no canonical body has. */
    ARENA_LEN = 16 * RECORD_BODY_LEN_MAX,
    DUTY_E4_MAX = 10000,
    BAND_FIGURE_COUNT = 7, /* of a band in a profile */
    HZ_PER_10_KHZ = 10000,
    FREQ_HZ_MIN = 150000000, /* SX126x */
    FREQ_HZ_MAX = 960000000,
    PREAMBLE_SYMBOLS_MIN = 6,
};

/* ---- protobuf-c without a heap ------------------------------------------------------------ */

struct arena {
    size_t used;
    alignas(max_align_t) uint8_t bytes[ARENA_LEN];
};

static void *arena_alloc(void *data, size_t len)
{
    struct arena *a = data;
    size_t padded = (len + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (padded < len || padded > sizeof a->bytes - a->used)
        return NULL;
    void *p = a->bytes + a->used;
    a->used += padded;
    return p;
}

/* The arena dies as a whole. */
static void arena_free(void *data, void *p)
{
    (void)data;
    (void)p;
}

/* NULL when the bytes are no such message or the arena is too small. */
static const void *unpack(struct arena *a, const ProtobufCMessageDescriptor *type,
                          const uint8_t *body, size_t len)
{
    ProtobufCAllocator allocator = { .alloc = arena_alloc, .free = arena_free,
                                     .allocator_data = a };
    a->used = 0;
    if (len > RECORD_BODY_LEN_MAX)
        return NULL;
    return protobuf_c_message_unpack(type, &allocator, len, body);
}

/* The message's bytes; the length or a negative error. */
static int pack(const ProtobufCMessage *message, uint8_t *buf, size_t cap)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    if (len > RECORD_BODY_LEN_MAX)
        return REPORT_ETOOBIG;
    if (len > cap)
        return REPORT_EROOM;
    protobuf_c_message_pack(message, buf);
    return (int)len;
}

/* What a decoder ends with: the bytes that encoding gave must be the bytes that came. */
static int check_canonical(int encoded_len, const uint8_t *encoded, const uint8_t *body, size_t len)
{
    if (encoded_len < 0)
        return encoded_len;
    if ((size_t)encoded_len != len || (len > 0 && memcmp(encoded, body, len) != 0))
        return REPORT_ECANON;
    return REPORT_OK;
}

/* ---- texts and names ---------------------------------------------------------------------- */

/* packed has TEXT_PACKED_LEN_MAX bytes and outlives the message. */
static int put_text(const char *text, size_t len, uint8_t *packed, ProtobufCBinaryData *field_out)
{
    size_t packed_len;
    if (len > REPORT_TEXT_LEN_MAX ||
        text_pack(text, len, packed, TEXT_PACKED_LEN_MAX, &packed_len) < 0)
        return REPORT_ETEXT;
    field_out->data = packed;
    field_out->len = packed_len;
    return REPORT_OK;
}

static int get_text(const ProtobufCBinaryData *field, char text_out[static REPORT_TEXT_LEN_MAX + 1],
                    size_t *len_out)
{
    if (text_unpack(field->data, field->len, text_out, REPORT_TEXT_LEN_MAX, len_out) < 0)
        return REPORT_ETEXT;
    text_out[*len_out] = 0;
    return REPORT_OK;
}

/* A name in one line of NFC; nfc has len_max bytes and outlives the message. */
static int put_name(const char *name, size_t len_max, char *nfc, ProtobufCBinaryData *field_out)
{
    size_t len = strnlen(name, len_max + 1), nfc_len;
    if (len == 0 || len > len_max || memchr(name, '\n', len) ||
        text_normalise(name, len, nfc, len_max, &nfc_len) < 0)
        return REPORT_ETEXT;
    field_out->data = (uint8_t *)nfc;
    field_out->len = nfc_len;
    return REPORT_OK;
}

/* A field without NUL into a string of len_max + 1 bytes. */
static int get_string(const ProtobufCBinaryData *field, size_t len_max, char *string_out)
{
    if (field->len > len_max || (field->len > 0 && memchr(field->data, 0, field->len)))
        return REPORT_ETEXT;
    if (field->len > 0)
        memcpy(string_out, field->data, field->len);
    string_out[field->len] = 0;
    return REPORT_OK;
}

/* Only characters of allowed, count_min..len_max of them. */
static int put_word(const char *word, const char *allowed, size_t len_min, size_t len_max,
                    char *copy, ProtobufCBinaryData *field_out)
{
    size_t len = strnlen(word, len_max + 1);
    if (len < len_min || len > len_max || strspn(word, allowed) != len)
        return REPORT_ETEXT;
    memcpy(copy, word, len);
    field_out->data = (uint8_t *)copy;
    field_out->len = len;
    return REPORT_OK;
}

/* ---- reports ------------------------------------------------------------------------------ */

static int check_figures(const struct report_figure *figures, size_t count, int64_t value_min)
{
    if (count > REPORT_FIGURE_COUNT_MAX)
        return REPORT_ECOUNT;
    for (size_t i = 0; i < count; i++) {
        const struct report_figure *f = &figures[i];
        if (f->code == 0 || f->code > REPORT_CODE_MAX || f->value < value_min ||
            f->value > REPORT_VALUE_MAX)
            return REPORT_ERANGE;
        if (i > 0 && f->code <= f[-1].code)
            return REPORT_EORDER;
    }
    return REPORT_OK;
}

static void put_figures(const struct report_figure *figures, size_t count,
                        uint32_t codes[static REPORT_FIGURE_COUNT_MAX],
                        int64_t values[static REPORT_FIGURE_COUNT_MAX])
{
    for (size_t i = 0; i < count; i++) {
        codes[i] = figures[i].code;
        values[i] = figures[i].value;
    }
}

static int check_report(const struct report *r)
{
    if (r->village > REPORT_VILLAGE_MAX || r->event > REPORT_EVENT_MAX ||
        r->hazard > REPORT_HAZARD_MAX ||
        r->lat_e5 < -REPORT_LAT_E5_MAX || r->lat_e5 > REPORT_LAT_E5_MAX ||
        r->lon_e5 < -REPORT_LON_E5_MAX || r->lon_e5 > REPORT_LON_E5_MAX)
        return REPORT_ERANGE;
    return check_figures(r->figures, r->figure_count, 0);
}

int report_encode(const struct report *report, uint8_t *buf, size_t cap)
{
    uint32_t codes[REPORT_FIGURE_COUNT_MAX];
    int64_t values[REPORT_FIGURE_COUNT_MAX];
    uint8_t packed[TEXT_PACKED_LEN_MAX];
    Keng__Report m = KENG__REPORT__INIT;

    int err = check_report(report);
    if (err == REPORT_OK)
        err = put_text(report->text, report->text_len, packed, &m.text);
    if (err < 0)
        return err;
    put_figures(report->figures, report->figure_count, codes, values);
    m.village = report->village;
    m.event = report->event;
    m.hazard = report->hazard;
    m.lat_e5 = report->lat_e5;
    m.lon_e5 = report->lon_e5;
    m.drill = report->drill;
    m.n_codes = m.n_values = report->figure_count;
    m.codes = codes;
    m.values = values;
    return pack(&m.base, buf, cap);
}

int report_decode(const uint8_t *body, size_t len, struct report *report_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__Report *m = unpack(&arena, &keng__report__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    if (m->n_codes != m->n_values || m->n_codes > REPORT_FIGURE_COUNT_MAX)
        return REPORT_ECOUNT;
    *report_out = (struct report){
        .village = m->village, .event = m->event, .hazard = m->hazard, .lat_e5 = m->lat_e5,
        .lon_e5 = m->lon_e5, .drill = m->drill, .figure_count = m->n_codes,
    };
    for (size_t i = 0; i < m->n_codes; i++)
        report_out->figures[i] = (struct report_figure){ m->codes[i], m->values[i] };
    int err = get_text(&m->text, report_out->text, &report_out->text_len);
    if (err < 0)
        return err;
    return check_canonical(report_encode(report_out, again, sizeof again), again, body, len);
}

/* Codes are field 3, values field 4, each packed; what stands behind them is not read. */
size_t report_figures(const uint8_t *body, size_t len,
                      struct report_figure figures_out[REPORT_FIGURE_COUNT_MAX])
{
    enum { TAG_VILLAGE = 1 << 3, TAG_EVENT = 2 << 3, TAG_CODES = 3 << 3 | 2,
           TAG_VALUES = 4 << 3 | 2 };
    struct bytes_reader r = bytes_reader(body, len);
    uint64_t tag = bytes_left(&r) ? read_varint(&r, UINT32_MAX) : 0;
    size_t count = 0, value_count = 0;
    while (tag == TAG_VILLAGE || tag == TAG_EVENT) {
        (void)read_varint(&r, UINT32_MAX);
        tag = bytes_left(&r) ? read_varint(&r, UINT32_MAX) : 0;
    }
    if (tag != TAG_CODES)
        return 0;
    size_t codes_len = (size_t)read_varint(&r, RECORD_BODY_LEN_MAX);
    const uint8_t *codes = read_bytes(&r, codes_len);
    if (r.failed || !codes || read_varint(&r, UINT32_MAX) != TAG_VALUES)
        return 0;
    struct bytes_reader c = bytes_reader(codes, codes_len);
    size_t values_len = (size_t)read_varint(&r, RECORD_BODY_LEN_MAX);
    const uint8_t *values = read_bytes(&r, values_len);
    if (r.failed || !values)
        return 0;
    struct bytes_reader v = bytes_reader(values, values_len);
    for (; bytes_left(&c) > 0 && count < REPORT_FIGURE_COUNT_MAX && !c.failed; count++)
        figures_out[count].code = (uint32_t)read_varint(&c, REPORT_CODE_MAX);
    for (; bytes_left(&v) > 0 && value_count < count && !v.failed; value_count++) {
        uint64_t zigzag = read_varint(&v, UINT64_MAX);
        figures_out[value_count].value = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
    }
    bool whole = !c.failed && !v.failed && bytes_left(&c) == 0 && bytes_left(&v) == 0;
    return whole && value_count == count ? count : 0;
}

/* ---- acknowledgements --------------------------------------------------------------------- */

static int check_ack(const struct ack *a)
{
    if (a->log_count > ACK_LOG_COUNT_MAX || a->beyond_count > ACK_BEYOND_COUNT_MAX)
        return REPORT_ECOUNT;
    for (size_t i = 0; i < a->log_count; i++) {
        if (a->logs[i].log > ACK_LOG_MAX || a->logs[i].held > RECORD_SEQ_MAX)
            return REPORT_ERANGE;
        if (i > 0 && a->logs[i].log <= a->logs[i - 1].log)
            return REPORT_EORDER;
    }
    for (size_t i = 0; i < a->beyond_count; i++) {
        const struct ack_beyond *b = &a->beyond[i];
        if (b->index >= a->log_count || b->seq > RECORD_SEQ_MAX ||
            b->seq < a->logs[b->index].held + 2)
            return REPORT_ERANGE;
        if (i > 0 && (b->index < b[-1].index || (b->index == b[-1].index && b->seq <= b[-1].seq)))
            return REPORT_EORDER;
    }
    return REPORT_OK;
}

int ack_encode(const struct ack *ack, uint8_t *buf, size_t cap)
{
    uint32_t logs[ACK_LOG_COUNT_MAX], held[ACK_LOG_COUNT_MAX];
    uint32_t beyond[2 * ACK_BEYOND_COUNT_MAX];
    Keng__Ack m = KENG__ACK__INIT;

    int err = check_ack(ack);
    if (err < 0)
        return err;
    for (size_t i = 0; i < ack->log_count; i++) {
        logs[i] = ack->logs[i].log - (i > 0 ? ack->logs[i - 1].log : 0);
        held[i] = ack->logs[i].held;
    }
    for (size_t i = 0; i < ack->beyond_count; i++) {
        beyond[2 * i] = ack->beyond[i].index;
        beyond[2 * i + 1] = ack->beyond[i].seq;
    }
    m.n_logs = m.n_held = ack->log_count;
    m.logs = logs;
    m.held = held;
    m.n_beyond = 2 * ack->beyond_count;
    m.beyond = beyond;
    return pack(&m.base, buf, cap);
}

int ack_decode(const uint8_t *body, size_t len, struct ack *ack_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__Ack *m = unpack(&arena, &keng__ack__descriptor, body, len);
    uint64_t log = 0;

    if (!m)
        return REPORT_EFORM;
    if (m->n_logs != m->n_held || m->n_logs > ACK_LOG_COUNT_MAX || m->n_beyond % 2 != 0 ||
        m->n_beyond / 2 > ACK_BEYOND_COUNT_MAX)
        return REPORT_ECOUNT;
    *ack_out = (struct ack){ .log_count = m->n_logs, .beyond_count = m->n_beyond / 2 };
    for (size_t i = 0; i < m->n_logs; i++) {
        log += m->logs[i];
        if (log > ACK_LOG_MAX)
            return REPORT_ERANGE;
        ack_out->logs[i] = (struct ack_log){ (uint32_t)log, m->held[i] };
    }
    for (size_t i = 0; i < ack_out->beyond_count; i++)
        ack_out->beyond[i] = (struct ack_beyond){ m->beyond[2 * i], m->beyond[2 * i + 1] };
    return check_canonical(ack_encode(ack_out, again, sizeof again), again, body, len);
}

/* ---- reviews, directives, receipts ---------------------------------------------------------- */

static int ref_compare(const struct record_ref *a, const struct record_ref *b)
{
    if (a->author != b->author)
        return a->author < b->author ? -1 : 1;
    if (a->lane != b->lane)
        return a->lane < b->lane ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static bool ref_valid(const struct record_ref *ref)
{
    return ref->author <= AUTHOR_MAX && ref->lane < LANE_COUNT && ref->seq != 0 &&
           ref->seq <= RECORD_SEQ_MAX;
}

static int check_refs(const struct record_ref *refs, size_t count)
{
    if (count == 0 || count > REVIEW_REF_COUNT_MAX)
        return REPORT_ECOUNT;
    for (size_t i = 0; i < count; i++) {
        if (!ref_valid(&refs[i]))
            return REPORT_ERANGE;
        if (i > 0 && ref_compare(&refs[i - 1], &refs[i]) >= 0)
            return REPORT_EORDER;
    }
    return REPORT_OK;
}

/* What belongs to one state only: new figures or a village to a correction of one record, the
 * record that stays to a joining, which cannot be one of those that are joined to it. */
static int check_review(const struct review *r)
{
    bool corrected = r->state == REVIEW_CORRECTED, joined = r->state == REVIEW_JOINED;
    int err = check_refs(r->refs, r->ref_count);
    if (err == REPORT_OK)
        err = check_figures(r->figures, r->figure_count, REVIEW_UNKNOWN);
    if (err < 0)
        return err;
    if (!review_state_name(r->state) || r->by > OPERATOR_MAX ||
        r->village > REVIEW_VILLAGE_AUTHORS)
        return REPORT_ERANGE;
    if (corrected != (r->figure_count > 0 || r->village != 0) || (corrected && r->ref_count > 1))
        return REPORT_ECOUNT;
    if (joined ? !ref_valid(&r->same_as) || r->same_as.lane != 0
               : r->same_as.seq != 0 || r->same_as.author != 0)
        return REPORT_ERANGE;
    for (size_t i = 0; joined && i < r->ref_count; i++)
        if (ref_compare(&r->refs[i], &r->same_as) == 0)
            return REPORT_ERANGE;
    return REPORT_OK;
}

int review_encode(const struct review *review, uint8_t *buf, size_t cap)
{
    uint32_t authors[REVIEW_REF_COUNT_MAX], lanes[REVIEW_REF_COUNT_MAX];
    uint32_t seqs[REVIEW_REF_COUNT_MAX], codes[REPORT_FIGURE_COUNT_MAX];
    int64_t values[REPORT_FIGURE_COUNT_MAX];
    uint8_t packed[TEXT_PACKED_LEN_MAX];
    Keng__Review m = KENG__REVIEW__INIT;
    bool any_lane = false;

    int err = check_review(review);
    if (err == REPORT_OK)
        err = put_text(review->text, review->text_len, packed, &m.text);
    if (err < 0)
        return err;
    for (size_t i = 0; i < review->ref_count; i++) {
        authors[i] = review->refs[i].author;
        lanes[i] = review->refs[i].lane;
        seqs[i] = review->refs[i].seq;
        any_lane = any_lane || lanes[i] > 0;
    }
    m.state = (Keng__Review__State)review->state;
    m.n_authors = m.n_seqs = review->ref_count;
    m.n_lanes = any_lane ? review->ref_count : 0;
    m.authors = authors;
    m.lanes = lanes;
    m.seqs = seqs;
    put_figures(review->figures, review->figure_count, codes, values);
    m.n_codes = m.n_values = review->figure_count;
    m.codes = codes;
    m.values = values;
    m.same_author = review->same_as.author;
    m.same_seq = review->same_as.seq;
    m.by = review->by;
    m.village = review->village;
    return pack(&m.base, buf, cap);
}

int review_decode(const uint8_t *body, size_t len, struct review *review_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__Review *m = unpack(&arena, &keng__review__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    if (m->n_authors != m->n_seqs || m->n_authors > REVIEW_REF_COUNT_MAX ||
        (m->n_lanes != 0 && m->n_lanes != m->n_authors) || m->n_codes != m->n_values ||
        m->n_codes > REPORT_FIGURE_COUNT_MAX)
        return REPORT_ECOUNT;
    if (m->same_author > AUTHOR_MAX)
        return REPORT_ERANGE;
    *review_out = (struct review){
        .state = (enum review_state)m->state, .ref_count = m->n_authors, .by = m->by,
        .same_as = { .author = (uint16_t)m->same_author, .seq = m->same_seq },
        .village = m->village, .figure_count = m->n_codes,
    };
    for (size_t i = 0; i < m->n_codes; i++)
        review_out->figures[i] = (struct report_figure){ m->codes[i], m->values[i] };
    for (size_t i = 0; i < m->n_authors; i++) {
        uint32_t lane = m->n_lanes > 0 ? m->lanes[i] : 0;
        if (m->authors[i] > AUTHOR_MAX || lane >= LANE_COUNT)
            return REPORT_ERANGE;
        review_out->refs[i] = (struct record_ref){
            .author = (uint16_t)m->authors[i], .lane = (uint8_t)lane, .seq = m->seqs[i],
        };
    }
    int err = get_text(&m->text, review_out->text, &review_out->text_len);
    if (err < 0)
        return err;
    return check_canonical(review_encode(review_out, again, sizeof again), again, body, len);
}

int directive_encode(const struct directive *directive, uint8_t *buf, size_t cap)
{
    uint8_t packed[TEXT_PACKED_LEN_MAX];
    Keng__Directive m = KENG__DIRECTIVE__INIT;

    if (directive->village > REPORT_VILLAGE_MAX || directive->expires_min > CREATED_MINUTES_MAX ||
        directive->person > AUTHOR_MAX || directive->by > OPERATOR_MAX ||
        (directive->role != 0 && !roster_role_name((enum roster_role)directive->role)))
        return REPORT_ERANGE;
    int err = directive->text_len == 0 ? REPORT_ETEXT
                                       : put_text(directive->text, directive->text_len, packed,
                                                  &m.text);
    if (err < 0)
        return err;
    m.village = directive->village;
    m.expires_minutes = directive->expires_min;
    m.role = (Keng__Role)directive->role;
    m.person = directive->person;
    m.drill = directive->drill;
    m.receipt = directive->receipt;
    m.by = directive->by;
    return pack(&m.base, buf, cap);
}

int directive_decode(const uint8_t *body, size_t len, struct directive *directive_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__Directive *m = unpack(&arena, &keng__directive__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    if (m->person > AUTHOR_MAX)
        return REPORT_ERANGE;
    *directive_out = (struct directive){
        .village = m->village, .expires_min = m->expires_minutes, .role = (unsigned)m->role,
        .person = (uint16_t)m->person, .drill = m->drill, .receipt = m->receipt, .by = m->by,
    };
    int err = get_text(&m->text, directive_out->text, &directive_out->text_len);
    if (err < 0)
        return err;
    return check_canonical(directive_encode(directive_out, again, sizeof again), again, body, len);
}

bool directive_is_for(const struct directive *directive, const struct roster_entry *author)
{
    return (directive->village == 0 || directive->village == author->village) &&
           (directive->role == 0 || directive->role == (unsigned)author->role) &&
           (directive->person == 0 || directive->person == author->number);
}

static int check_receipt(const struct receipt *r)
{
    for (size_t i = 0; i < r->ref_count && i < REVIEW_REF_COUNT_MAX; i++)
        if (r->refs[i].lane != 0)
            return REPORT_ERANGE;
    return check_refs(r->refs, r->ref_count);
}

int receipt_encode(const struct receipt *receipt, uint8_t *buf, size_t cap)
{
    uint32_t authors[REVIEW_REF_COUNT_MAX], seqs[REVIEW_REF_COUNT_MAX];
    Keng__Receipt m = KENG__RECEIPT__INIT;

    int err = check_receipt(receipt);
    if (err < 0)
        return err;
    for (size_t i = 0; i < receipt->ref_count; i++) {
        authors[i] = receipt->refs[i].author;
        seqs[i] = receipt->refs[i].seq;
    }
    m.n_authors = m.n_seqs = receipt->ref_count;
    m.authors = authors;
    m.seqs = seqs;
    m.read = receipt->read;
    return pack(&m.base, buf, cap);
}

int receipt_decode(const uint8_t *body, size_t len, struct receipt *receipt_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__Receipt *m = unpack(&arena, &keng__receipt__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    if (m->n_authors != m->n_seqs || m->n_authors > REVIEW_REF_COUNT_MAX)
        return REPORT_ECOUNT;
    *receipt_out = (struct receipt){ .read = m->read, .ref_count = m->n_authors };
    for (size_t i = 0; i < m->n_authors; i++) {
        if (m->authors[i] > AUTHOR_MAX)
            return REPORT_ERANGE;
        receipt_out->refs[i] = (struct record_ref){ .author = (uint16_t)m->authors[i],
                                                    .seq = m->seqs[i] };
    }
    return check_canonical(receipt_encode(receipt_out, again, sizeof again), again, body, len);
}

int signoff_encode(const struct signoff *signoff, uint8_t *buf, size_t cap)
{
    uint8_t hash[KENG_HASH_LEN];
    Keng__SignOff m = KENG__SIGN_OFF__INIT;

    if (signoff->event > REPORT_EVENT_MAX || signoff->by > OPERATOR_MAX ||
        signoff->from_min > signoff->until_min || signoff->until_min > CREATED_MINUTES_MAX)
        return REPORT_ERANGE;
    memcpy(hash, signoff->hash, sizeof hash);
    m.hash.data = hash;
    m.hash.len = sizeof hash;
    m.event = signoff->event;
    m.from_minutes = signoff->from_min;
    m.until_minutes = signoff->until_min;
    m.by = signoff->by;
    m.drill = signoff->drill;
    return pack(&m.base, buf, cap);
}

int signoff_decode(const uint8_t *body, size_t len, struct signoff *signoff_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__SignOff *m = unpack(&arena, &keng__sign_off__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    if (m->hash.len != KENG_HASH_LEN)
        return REPORT_ERANGE;
    *signoff_out = (struct signoff){ .event = m->event, .from_min = m->from_minutes,
                                     .until_min = m->until_minutes, .by = m->by,
                                     .drill = m->drill };
    memcpy(signoff_out->hash, m->hash.data, KENG_HASH_LEN);
    return check_canonical(signoff_encode(signoff_out, again, sizeof again), again, body, len);
}

/* ---- roster entries and profiles ---------------------------------------------------------- */

static bool key_is_zero(const uint8_t key[static KENG_KEY_LEN])
{
    uint8_t any = 0;
    for (size_t i = 0; i < KENG_KEY_LEN; i++)
        any |= key[i];
    return any == 0;
}

int roster_entry_encode(const struct roster_entry *entry, uint8_t *buf, size_t cap)
{
    uint8_t key[KENG_KEY_LEN];
    char name[ROSTER_NAME_LEN_MAX];
    Keng__RosterEntry m = KENG__ROSTER_ENTRY__INIT;

    if (entry->number == AUTHOR_ROOT || entry->number > AUTHOR_MAX ||
        !roster_role_name(entry->role) || entry->village > REPORT_VILLAGE_MAX ||
        entry->revoked_after > RECORD_SEQ_MAX + 1 || key_is_zero(entry->key))
        return REPORT_ERANGE;
    int err = put_name(entry->name, ROSTER_NAME_LEN_MAX, name, &m.name);
    if (err < 0)
        return err;
    memcpy(key, entry->key, sizeof key);
    m.number = entry->number;
    m.role = (Keng__Role)entry->role;
    m.village = entry->village;
    m.revoked_after = entry->revoked_after;
    m.key.data = key;
    m.key.len = sizeof key;
    return pack(&m.base, buf, cap);
}

int roster_entry_decode(const uint8_t *body, size_t len, struct roster_entry *entry_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__RosterEntry *m = unpack(&arena, &keng__roster_entry__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    if (m->number > AUTHOR_MAX || m->key.len != KENG_KEY_LEN)
        return REPORT_ERANGE;
    *entry_out = (struct roster_entry){
        .number = (uint16_t)m->number, .role = (enum roster_role)m->role, .village = m->village,
        .revoked_after = m->revoked_after,
    };
    memcpy(entry_out->key, m->key.data, KENG_KEY_LEN);
    int err = get_string(&m->name, ROSTER_NAME_LEN_MAX, entry_out->name);
    if (err < 0)
        return err;
    return check_canonical(roster_entry_encode(entry_out, again, sizeof again), again, body, len);
}

static int check_profile(const struct profile *p)
{
    if (!lora_params_valid(&p->lora) || p->lora.freq_hz < FREQ_HZ_MIN ||
        p->lora.freq_hz > FREQ_HZ_MAX || p->lora.preamble_symbols < PREAMBLE_SYMBOLS_MIN ||
        p->eirp_dbm < PROFILE_EIRP_DBM_MIN || p->eirp_dbm > PROFILE_EIRP_DBM_MAX ||
        p->duty_node_e4 == 0 || p->duty_node_e4 > DUTY_E4_MAX ||
        p->duty_gateway_e4 == 0 || p->duty_gateway_e4 > DUTY_E4_MAX ||
        p->duty_window_s < PROFILE_WINDOW_S_MIN || p->duty_window_s > PROFILE_WINDOW_S_MAX)
        return REPORT_ERANGE;
    if (p->band_count > PROFILE_BAND_COUNT_MAX)
        return REPORT_ECOUNT;
    for (size_t i = 0; i < p->band_count; i++)
        if (!region_valid(&p->bands[i]))
            return REPORT_ERANGE;
    return REPORT_OK;
}

static void put_band(const struct region *b, int64_t figures_out[static BAND_FIGURE_COUNT])
{
    const int64_t figures[BAND_FIGURE_COUNT] = { b->lo_hz, b->hi_hz, b->erp_max_dbm_x100,
                                                 b->duty_node, b->duty_gateway, b->window_s,
                                                 b->dwell_ms };
    memcpy(figures_out, figures, sizeof figures);
}

static int get_band(const int64_t figures[static BAND_FIGURE_COUNT], struct region *band_out)
{
    for (size_t i = 0; i < BAND_FIGURE_COUNT; i++)
        if (figures[i] > UINT32_MAX || figures[i] < (i == 2 ? INT32_MIN : 0) ||
            (i == 2 && figures[i] > INT32_MAX))
            return REPORT_ERANGE;
    *band_out = (struct region){
        .lo_hz = (uint32_t)figures[0], .hi_hz = (uint32_t)figures[1],
        .erp_max_dbm_x100 = (int32_t)figures[2], .duty_node = (uint32_t)figures[3],
        .duty_gateway = (uint32_t)figures[4], .window_s = (uint32_t)figures[5],
        .dwell_ms = (uint32_t)figures[6],
    };
    return REPORT_OK;
}

/* "433.05-434.79" */
static void name_band(struct region *band)
{
    unsigned lo = band->lo_hz / HZ_PER_10_KHZ, hi = band->hi_hz / HZ_PER_10_KHZ;
    (void)snprintf(band->name, sizeof band->name, "%u.%02u-%u.%02u", lo / 100, lo % 100, hi / 100,
                   hi % 100);
}

static int get_bands(const Keng__Profile *m, struct profile *out)
{
    if (m->n_bands % BAND_FIGURE_COUNT != 0 ||
        m->n_bands / BAND_FIGURE_COUNT > PROFILE_BAND_COUNT_MAX)
        return REPORT_ECOUNT;
    out->band_count = m->n_bands / BAND_FIGURE_COUNT;
    for (size_t i = 0; i < out->band_count; i++) {
        int err = get_band(&m->bands[i * BAND_FIGURE_COUNT], &out->bands[i]);
        if (err < 0)
            return err;
        if (i == 0)
            memcpy(out->bands[i].name, out->region, sizeof out->region);
        else
            name_band(&out->bands[i]);
    }
    return REPORT_OK;
}

int profile_encode(const struct profile *profile, uint8_t *buf, size_t cap)
{
    char name[PROFILE_NAME_LEN_MAX], code[PROFILE_CODE_LEN_MAX], region[PROFILE_REGION_LEN_MAX];
    int64_t figures[PROFILE_BAND_COUNT_MAX * BAND_FIGURE_COUNT];
    Keng__Profile m = KENG__PROFILE__INIT;

    int err = check_profile(profile);
    if (err == REPORT_OK)
        err = put_name(profile->name, PROFILE_NAME_LEN_MAX, name, &m.name);
    if (err == REPORT_OK)
        err = put_word(profile->code, "0123456789", 0, PROFILE_CODE_LEN_MAX, code, &m.code);
    if (err == REPORT_OK)
        err = put_word(profile->region, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", 1,
                       PROFILE_REGION_LEN_MAX, region, &m.region);
    if (err < 0)
        return err;
    m.freq_hz = profile->lora.freq_hz;
    m.bw_hz = profile->lora.bw_hz;
    m.sf = profile->lora.sf;
    m.cr = profile->lora.cr;
    m.preamble_symbols = profile->lora.preamble_symbols;
    m.eirp_dbm = profile->eirp_dbm;
    m.duty_node_e4 = profile->duty_node_e4;
    m.duty_gateway_e4 = profile->duty_gateway_e4;
    m.duty_window_s = profile->duty_window_s;
    for (size_t i = 0; i < profile->band_count; i++)
        put_band(&profile->bands[i], &figures[i * BAND_FIGURE_COUNT]);
    m.n_bands = profile->band_count * BAND_FIGURE_COUNT;
    m.bands = figures;
    return pack(&m.base, buf, cap);
}

int profile_decode(const uint8_t *body, size_t len, struct profile *profile_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__Profile *m = unpack(&arena, &keng__profile__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    /* What does not fit the struct's fields is out of range in any case. */
    if (m->sf > LORA_SF_MAX || m->cr > LORA_CR_MAX || m->preamble_symbols > UINT16_MAX ||
        m->eirp_dbm < PROFILE_EIRP_DBM_MIN || m->eirp_dbm > PROFILE_EIRP_DBM_MAX ||
        m->duty_node_e4 > DUTY_E4_MAX || m->duty_gateway_e4 > DUTY_E4_MAX)
        return REPORT_ERANGE;
    *profile_out = (struct profile){
        .lora = { .freq_hz = m->freq_hz, .bw_hz = m->bw_hz, .sf = (uint8_t)m->sf,
                  .cr = (uint8_t)m->cr, .preamble_symbols = (uint16_t)m->preamble_symbols },
        .eirp_dbm = (int8_t)m->eirp_dbm,
        .duty_node_e4 = (uint16_t)m->duty_node_e4,
        .duty_gateway_e4 = (uint16_t)m->duty_gateway_e4,
        .duty_window_s = m->duty_window_s,
    };
    int err = get_string(&m->name, PROFILE_NAME_LEN_MAX, profile_out->name);
    if (err == REPORT_OK)
        err = get_string(&m->code, PROFILE_CODE_LEN_MAX, profile_out->code);
    if (err == REPORT_OK)
        err = get_string(&m->region, PROFILE_REGION_LEN_MAX, profile_out->region);
    if (err == REPORT_OK)
        err = get_bands(m, profile_out);
    if (err < 0)
        return err;
    return check_canonical(profile_encode(profile_out, again, sizeof again), again, body, len);
}

int unit_encode(const struct unit *unit, uint8_t *buf, size_t cap)
{
    uint8_t key[KENG_KEY_LEN];
    char name[PROFILE_NAME_LEN_MAX], code[PROFILE_CODE_LEN_MAX], into[PROFILE_CODE_LEN_MAX];
    Keng__Unit m = KENG__UNIT__INIT;

    if (unit->from_day > UNIT_DAY_MAX || unit->until_day > UNIT_DAY_MAX ||
        (unit->until_day != 0 && unit->until_day <= unit->from_day) ||
        unit->revoked_after > RECORD_SEQ_MAX + 1 || key_is_zero(unit->root_key))
        return REPORT_ERANGE;
    int err = put_name(unit->name, PROFILE_NAME_LEN_MAX, name, &m.name);
    if (err == REPORT_OK)
        err = put_word(unit->code, "0123456789", 1, PROFILE_CODE_LEN_MAX, code, &m.code);
    if (err == REPORT_OK)
        err = put_word(unit->into, "0123456789", 0, PROFILE_CODE_LEN_MAX, into, &m.into);
    if (err < 0)
        return err;
    memcpy(key, unit->root_key, sizeof key);
    m.root_key.data = key;
    m.root_key.len = sizeof key;
    m.from_day = unit->from_day;
    m.until_day = unit->until_day;
    m.revoked_after = unit->revoked_after;
    return pack(&m.base, buf, cap);
}

int unit_decode(const uint8_t *body, size_t len, struct unit *unit_out)
{
    struct arena arena;
    uint8_t again[RECORD_BODY_LEN_MAX];
    const Keng__Unit *m = unpack(&arena, &keng__unit__descriptor, body, len);

    if (!m)
        return REPORT_EFORM;
    if (m->root_key.len != KENG_KEY_LEN)
        return REPORT_ERANGE;
    *unit_out = (struct unit){ .from_day = m->from_day, .until_day = m->until_day,
                               .revoked_after = m->revoked_after };
    memcpy(unit_out->root_key, m->root_key.data, KENG_KEY_LEN);
    int err = get_string(&m->code, PROFILE_CODE_LEN_MAX, unit_out->code);
    if (err == REPORT_OK)
        err = get_string(&m->name, PROFILE_NAME_LEN_MAX, unit_out->name);
    if (err == REPORT_OK)
        err = get_string(&m->into, PROFILE_CODE_LEN_MAX, unit_out->into);
    if (err < 0)
        return err;
    return check_canonical(unit_encode(unit_out, again, sizeof again), again, body, len);
}

/* ---- words -------------------------------------------------------------------------------- */

const char *review_state_name(enum review_state state)
{
    static const char *const names[] = {
        [REVIEW_SEEN] = "seen", [REVIEW_QUESTION] = "question", [REVIEW_APPROVED] = "approved",
        [REVIEW_REJECTED] = "rejected", [REVIEW_MET] = "met",
        [REVIEW_CORRECTED] = "corrected", [REVIEW_JOINED] = "joined",
    };
    unsigned i = (unsigned)state;
    return i < sizeof names / sizeof names[0] ? names[i] : NULL;
}

static const char *const role_names[] = {
    [ROSTER_MEMBER] = "member", [ROSTER_NODE] = "node", [ROSTER_GATEWAY] = "gateway",
    [ROSTER_OPERATOR] = "operator",
};

enum { ROLE_COUNT = sizeof role_names / sizeof role_names[0] };

const char *roster_role_name(enum roster_role role)
{
    unsigned i = (unsigned)role;
    return i < ROLE_COUNT ? role_names[i] : NULL;
}

enum roster_role roster_role_find(const char *name)
{
    for (unsigned i = ROSTER_MEMBER; i < ROLE_COUNT; i++) {
        if (!strcmp(role_names[i], name))
            return (enum roster_role)i;
    }
    return (enum roster_role)0;
}

const char *report_strerror(int err)
{
    switch ((enum report_err)err) {
    case REPORT_OK:
        return "no error";
    case REPORT_EROOM:
        return "the buffer for the body is too small";
    case REPORT_ETOOBIG:
        return "too much for one record: shorten the text or send fewer figures";
    case REPORT_EFORM:
        return "the body is malformed";
    case REPORT_ERANGE:
        return "a field of the body is out of range";
    case REPORT_EORDER:
        return "a list in the body is not in ascending order";
    case REPORT_ECOUNT:
        return "a list in the body has the wrong length";
    case REPORT_ETEXT:
        return "a text in the body is not valid";
    case REPORT_ECANON:
        return "the body is not in its one canonical form";
    }
    return "unknown error";
}
