/* What clients see of records and reports (node/SOCKET.md). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "proto/frame.h"

json_t *node_json_hex(const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * RECORD_LEN_MAX];
    if (len > RECORD_LEN_MAX)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    return json_stringn(hex, 2 * len);
}

json_t *node_json_error(const char *code, const char *format, ...)
{
    char text[NODE_TEXT_LEN];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", code, "error", text);
}

static json_t *kind_word(uint8_t kind)
{
    const char *name = record_kind_name(kind);
    char number[8];
    if (name)
        return json_string(name);
    snprintf(number, sizeof number, "%u", kind);
    return json_string(number);
}

json_t *node_json_record(const struct store_record *record)
{
    struct record_view v;
    if (record_decode(record->bytes, record->len, &v) != RECORD_OK)
        return NULL; /* a damaged row: the store's scrub will say so, clients need not */
    return json_pack("{s:I, s:i, s:i, s:i, s:o, s:s, s:i, s:b, s:I, s:o}", "arrival",
                     (json_int_t)record->arrival, "author", v.ref.author, "lane", v.ref.lane, "seq",
                     (int)v.ref.seq, "kind", kind_word(v.kind), "priority",
                     record_priority_name(v.priority), "created_min", (int)v.created_min,
                     "clock_set", v.clock_set, "received_ms", (json_int_t)record->received_ms,
                     "hex", node_json_hex(record->bytes, record->len));
}

/* Those known to hold it now, and the one the store remembers from before a restart. */
static json_t *carriers(const struct node *n, const struct node_report *r)
{
    json_t *list = json_array();
    uint16_t nodes[MESH_NEIGHBOUR_COUNT_MAX];
    bool listed = r->carried_by == AUTHOR_NONE;
    uint8_t count = node_carriers(n, &r->ref, nodes);
    for (uint8_t i = 0; i < count; i++) {
        json_array_append_new(list, json_integer(nodes[i]));
        listed = listed || nodes[i] == r->carried_by;
    }
    if (!listed)
        json_array_append_new(list, json_integer(r->carried_by));
    return list;
}

struct hex_list { struct node *node; json_t *list; };

static void add_hex(void *ctx, const struct record_ref *ref)
{
    const struct hex_list *h = ctx;
    uint8_t bytes[RECORD_LEN_MAX];
    int len = store_load(h->node->store, ref, bytes);
    if (len > 0)
        json_array_append_new(h->list, node_json_hex(bytes, (size_t)len));
}

json_t *node_json_report(struct node *n, const struct store_record *record)
{
    static const char *const states[] = { "stored", "carried", "received", "read" };
    struct record_view v;
    struct node_report r;
    if (record_decode(record->bytes, record->len, &v) != RECORD_OK)
        return NULL;
    node_report_state(n, &v.ref, record->carried_by, &r);
    json_t *json = json_pack("{s:i, s:i, s:i, s:o, s:i, s:b, s:I, s:s, s:o, s:o}", "author",
                             v.ref.author, "lane", v.ref.lane, "seq", (int)v.ref.seq, "kind",
                             kind_word(v.kind), "created_min", (int)v.created_min, "clock_set",
                             v.clock_set, "received_ms", (json_int_t)record->received_ms, "state",
                             states[r.state], "carried_by", carriers(n, &r), "hex",
                             node_json_hex(record->bytes, record->len));
    struct mesh_record_state ms;
    if (mesh_record_state(n->mesh, &v.ref, &ms) && ms.gateway != AUTHOR_NONE)
        json_object_set_new(json, "received_by", json_integer(ms.gateway));
    struct store_review review;
    if (store_find_review(n->store, &v.ref, &review) == STORE_OK) {
        const char *word = review_state_name((enum review_state)review.state);
        struct record_ref by = { .author = review.by, .seq = review.by_seq };
        uint8_t bytes[RECORD_LEN_MAX];
        int len = store_load(n->store, &by, bytes);
        json_object_set_new(json, "review", json_string(word ? word : "unknown"));
        if (len > 0)
            json_object_set_new(json, "review_hex", node_json_hex(bytes, (size_t)len));
        json_object_set_new(json, "review_by", json_integer(review.by));
        json_object_set_new(json, "review_text", json_string(review.text));
        struct hex_list corrections = { n, json_array() };
        int err = store_each_correction(n->store, &v.ref, add_hex, &corrections);
        if (err == STORE_OK && json_array_size(corrections.list) > 0)
            json_object_set(json, "corrections_hex", corrections.list);
        json_decref(corrections.list);
    }
    return json;
}

json_t *node_json_frame(const char *direction, const uint8_t *bytes, size_t len)
{
    struct frame_view v;
    const uint8_t *record;
    size_t record_len;
    json_t *json = json_pack("{s:s, s:I, s:i}", "direction", direction, "at_ms",
                             (json_int_t)node_unix_ms(), "len", (int)len);
    if (!json || frame_decode(bytes, len, &v) != FRAME_OK)
        return json;
    json_t *refs = json_array();
    int record_count = 0;
    for (; frame_next_record(&v, &record, &record_len); record_count++) {
        struct record_view r;
        if (record_decode(record, record_len, &r) == 0)
            json_array_append_new(refs, json_pack("[i, i, I]", r.ref.author, r.ref.lane,
                                                  (json_int_t)r.ref.seq));
    }
    json_object_set_new(json, "node", json_integer(v.sender));
    json_object_set_new(json, "count", json_integer(v.count));
    json_object_set_new(json, "records", json_integer(record_count));
    json_object_set_new(json, "refs", refs);
    json_object_set_new(json, "summary", json_boolean((v.flags & FRAME_FLAG_SUMMARY) != 0));
    return json;
}
