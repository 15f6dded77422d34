#include "node/api.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "node/client.h"

enum {
    RECORDS_LIMIT_MAX = 200,
    RECORDS_PAGE_MAX = 64, /* what is given at a time whatever was asked: nodes are small */
    MINE_LIMIT_DEFAULT = 50,
    MINE_LIMIT_MAX = 1000,
    ANSWER_ROUND_LEN = 64, /* what stands around the list of reports */
    ADD_COUNT_MAX = 40,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower-case hex into bytes; the length, or -1. */
static int from_hex(const json_t *value, uint8_t *out, size_t cap)
{
    const char *hex = json_string_value(value);
    size_t len = hex ? json_string_length(value) : 1;
    if (len % 2 != 0 || len / 2 > cap)
        return -1;
    for (size_t i = 0; i < len / 2; i++) {
        int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return -1;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return (int)(len / 2);
}

/* An integer field within lo..hi; `otherwise` when absent; false when it is something else. */
static bool get_integer(const json_t *request, const char *key, int64_t lo, int64_t hi,
                        int64_t otherwise, int64_t *out)
{
    const json_t *value = json_object_get(request, key);
    *out = value ? json_integer_value(value) : otherwise;
    return !value || (json_is_integer(value) && *out >= lo && *out <= hi);
}

/* ---- submit ------------------------------------------------------------------------- */

static json_t *check_body(uint8_t kind, const uint8_t *body, size_t len)
{
    union {
        struct report report;
        struct review review;
        struct directive directive;
        struct receipt receipt;
        struct signoff signoff;
    } decoded;
    int err;
    if (record_is_report(kind))
        err = report_decode(body, len, &decoded.report);
    else if (kind == RECORD_REVIEW)
        err = review_decode(body, len, &decoded.review);
    else if (kind == RECORD_DIRECTIVE)
        err = directive_decode(body, len, &decoded.directive);
    else if (kind == RECORD_RECEIPT)
        err = receipt_decode(body, len, &decoded.receipt);
    else if (kind == RECORD_SIGNOFF)
        err = signoff_decode(body, len, &decoded.signoff);
    else
        return node_json_error("bad-request", "records of this kind are not written by clients");
    if (err != REPORT_OK)
        return node_json_error("bad-body", "the body is not as the protocol wants it: %s",
                               report_strerror(err));
    return NULL;
}

/* The only local member, else the only local author. */
static uint16_t default_author(const struct node *n)
{
    uint16_t member = AUTHOR_NONE;
    int members = 0;
    for (int i = 0; i < n->identity_count; i++) {
        const struct roster_author *a = roster_find(&n->roster, n->identities[i].number);
        if (a && a->entry.role == ROSTER_MEMBER) {
            member = n->identities[i].number;
            members++;
        }
    }
    if (members == 1)
        return member;
    return members == 0 && n->identity_count == 1 ? n->identities[0].number : AUTHOR_NONE;
}

static json_t *read_submit(const struct node *n, const json_t *request, struct record_draft *draft,
                           uint8_t body[RECORD_BODY_LEN_MAX], const char **once_out)
{
    const char *kind = json_string_value(json_object_get(request, "kind"));
    const json_t *priority = json_object_get(request, "priority");
    const json_t *once = json_object_get(request, "once");
    int64_t author;
    uint8_t kind_number = kind ? record_kind_find(kind) : 0;
    if (kind_number == 0)
        return node_json_error("bad-request", "kind must be a word such as damage or review");
    int level = record_kind_priority(kind_number);
    if (priority)
        level = json_is_string(priority) ? record_priority_find(json_string_value(priority)) : -1;
    if (level < 0)
        return node_json_error("bad-request", "priority must be routine, damage, evacuation or"
                               " rescue");
    if (!get_integer(request, "author", 1, AUTHOR_MAX, default_author(n), &author))
        return node_json_error("bad-request", "author must be a number from 1 to %d", AUTHOR_MAX);
    if (author == AUTHOR_NONE)
        return node_json_error("unknown-author", "several people, or nobody, write on this node:"
                               " say which with author");
    if (once && (!json_is_string(once) || json_string_length(once) > STORE_ONCE_LEN_MAX ||
                 json_string_length(once) == 0))
        return node_json_error("bad-request", "once must be text of 1 to %d bytes",
                               STORE_ONCE_LEN_MAX);
    int len = from_hex(json_object_get(request, "body"), body, RECORD_BODY_LEN_MAX);
    if (len < 0)
        return node_json_error("too-long", "body must be lower-case hex of at most %d bytes",
                               RECORD_BODY_LEN_MAX);
    json_t *error = check_body(kind_number, body, (size_t)len);
    if (error)
        return error;
    *draft = (struct record_draft){ .ref = { .author = (uint16_t)author }, .kind = kind_number,
                                    .priority = (uint8_t)level, .clock_set = node_clock_set(),
                                    .created_min = node_created_min(), .body = body,
                                    .body_len = (size_t)len };
    *once_out = once ? json_string_value(once) : NULL;
    return NULL;
}

/* ---- reading --------------------------------------------------------------------------- */

static bool append_record(void *ctx, const struct store_record *record)
{
    json_t *json = node_json_record(record);
    if (json)
        json_array_append_new(ctx, json);
    return true;
}

static json_t *do_records(struct api *api, const json_t *request)
{
    int64_t after, limit;
    if (!get_integer(request, "after", 0, INT64_MAX, 0, &after) ||
        !get_integer(request, "limit", 1, RECORDS_LIMIT_MAX, RECORDS_LIMIT_MAX, &limit))
        return node_json_error("bad-request", "after must be an arrival number, limit 1 to %d",
                               RECORDS_LIMIT_MAX);
    if (limit > RECORDS_PAGE_MAX)
        limit = RECORDS_PAGE_MAX;
    json_t *list = json_array();
    if (store_records_after(api->node->store, after, (int)limit, append_record, list) != STORE_OK) {
        json_decref(list);
        return node_json_error("disk", "%s", store_text(api->node->store));
    }
    return json_pack("{s:b, s:o, s:I}", "ok", 1, "records", list, "last",
                     (json_int_t)api->node->last_arrival);
}

struct mine { struct node *node; json_t *list; size_t limit, room_len; };

/* As many of the newest as were asked for and one line can carry. */
static bool append_report(void *ctx, const struct store_record *record)
{
    struct mine *mine = ctx;
    struct record_view v;
    if (record_decode(record->bytes, record->len, &v) != RECORD_OK || !record_is_report(v.kind))
        return true;
    json_t *report = node_json_report(mine->node, record);
    size_t len = json_dumpb(report, NULL, 0, JSON_COMPACT) + 1;
    if (len > mine->room_len) {
        json_decref(report);
        return false;
    }
    mine->room_len -= len;
    json_array_append_new(mine->list, report);
    return json_array_size(mine->list) < mine->limit;
}

static_assert((int)STORE_AUTHOR_COUNT_MAX == (int)HOME_IDENTITY_COUNT_MAX, "all who write here");

static json_t *do_mine(struct api *api, const json_t *request)
{
    struct node *n = api->node;
    int64_t author, limit;
    if (!get_integer(request, "author", 1, AUTHOR_MAX, 0, &author) ||
        !get_integer(request, "limit", 1, MINE_LIMIT_MAX, MINE_LIMIT_DEFAULT, &limit))
        return node_json_error("bad-request", "author must be a number, limit 1 to %d",
                               MINE_LIMIT_MAX);
    uint16_t authors[HOME_IDENTITY_COUNT_MAX];
    size_t count = 0;
    for (int i = 0; i < n->identity_count; i++)
        if (author == 0 || n->identities[i].number == author)
            authors[count++] = n->identities[i].number;
    struct mine mine = { .node = n, .list = json_array(), .limit = (size_t)limit,
                         .room_len = CLIENT_LINE_LEN_MAX - ANSWER_ROUND_LEN };
    if (store_newest_of(n->store, authors, count, append_report, &mine) != STORE_OK) {
        json_decref(mine.list);
        return node_json_error("disk", "%s", store_text(n->store));
    }
    return json_pack("{s:b, s:o}", "ok", 1, "reports", mine.list);
}

static const char *role_word(enum roster_role role)
{
    switch (role) {
    case ROSTER_MEMBER: return "member";
    case ROSTER_NODE: return "node";
    case ROSTER_GATEWAY: return "gateway";
    case ROSTER_OPERATOR: return "operator";
    }
    return "unknown";
}

static json_t *do_roster(struct api *api)
{
    struct node *n = api->node;
    const struct roster *r = &n->roster;
    json_t *authors = json_array(), *local = json_array();
    for (size_t i = 0; i < r->author_count; i++) {
        const struct roster_entry *e = &r->authors[i].entry;
        json_t *a = json_pack("{s:i, s:s, s:i, s:s, s:o, s:b}", "number", e->number, "role",
                              role_word(e->role), "village", (int)e->village, "name", e->name,
                              "key", node_json_hex(e->key, KENG_KEY_LEN), "local",
                              node_is_local(n, e->number));
        if (e->revoked_after > 0)
            json_object_set_new(a, "revoked_after", json_integer(e->revoked_after - 1));
        json_array_append_new(authors, a);
    }
    for (int i = 0; i < n->identity_count; i++)
        json_array_append_new(local, json_integer(n->identities[i].number));
    json_t *commune = json_pack("{s:s, s:s, s:o, s:o}", "name", r->profile.name, "code",
                                r->profile.code, "network_id",
                                node_json_hex(r->network_id, KENG_NETWORK_ID_LEN), "root_key",
                                node_json_hex(r->root_key, KENG_KEY_LEN));
    return json_pack("{s:b, s:o, s:o, s:o}", "ok", 1, "commune", commune, "authors", authors,
                     "local", local);
}

/* ---- status ------------------------------------------------------------------------------- */

static json_t *neighbours_json(const struct node *n, uint64_t now_ms)
{
    struct mesh_neighbour list[MESH_NEIGHBOUR_COUNT_MAX];
    json_t *json = json_array();
    for (size_t s = 0; s < n->side_count; s++) {
        size_t count = mesh_neighbours(n->sides[s].mesh, list);
        for (size_t i = 0; i < count; i++)
            json_array_append_new(json, json_pack(
                "{s:i, s:I, s:i, s:f, s:b, s:s}", "node", list[i].node, "heard_s",
                (json_int_t)((now_ms - list[i].heard_ms) / 1000), "rssi_dbm", list[i].rssi_dbm,
                "snr_db", list[i].snr_db_x4 / 4.0, "in_sync", list[i].in_sync, "modem",
                n->settings.modems[s].name));
    }
    return json;
}

static json_t *sent_json(const struct mesh_stats *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "frames", (json_int_t)s->tx_frames,
                     "bytes", (json_int_t)s->tx_bytes, "airtime_us", (json_int_t)s->tx_airtime_us,
                     "records", (json_int_t)s->tx_records, "summaries",
                     (json_int_t)s->tx_summaries, "refused_duty", (json_int_t)s->tx_refused_duty,
                     "refused_modem", (json_int_t)s->tx_refused_modem);
}

static json_t *modem_counters_json(const struct radio *radio)
{
    struct modem_stats s;
    modem_stats(&radio->modem, &s);
    const struct { const char *name; uint64_t value; } counters[] = {
        { "heard", s.rx_frames },          { "heard_without_signal", s.rx_without_signal },
        { "sent", s.tx_sent },             { "failed", s.tx_failed },
        { "unknown", s.tx_unknown },       { "refused", s.tx_refused },
        { "sent_bytes", s.tx_bytes },      { "airtime_us", s.tx_airtime_us },
        { "garbled", s.garbled },          { "unexpected", s.unexpected },
        { "replies_lost", s.replies_lost }, { "configured", s.configured },
        { "restarts_seen", s.restarts_seen }, { "mismatches", s.mismatches },
        { "silences", s.silences },
    };
    json_t *json = json_object();
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        json_object_set_new(json, counters[i].name, json_integer((json_int_t)counters[i].value));
    return json;
}

static json_t *airtime_json(const struct node *n, const struct mesh_stats *s)
{
    return json_pack("{s:i, s:i, s:I}", "spent_ms", (int)s->window_airtime_ms, "budget_ms",
                     (int)s->budget_ms, "window_ms",
                     (json_int_t)n->roster.profile.duty_window_s * 1000);
}

static json_t *modem_json(const struct node *n, const struct radio *radio, size_t side)
{
    struct mesh_stats stats;
    const struct modem_caps *caps = &radio->driver->caps;
    struct modem_air air;
    modem_air(&radio->modem, &air);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s}", "port", radio->path, "driver", radio->driver->name, "state",
        radio_state_name(radio->state), "text",
        n->profile_changed ? "the commune's radio profile changed: restart kengd" : radio->text);
    mesh_stats(n->sides[side].mesh, &stats);
    json_object_set_new(json, "name", json_string(n->settings.modems[side].name));
    json_object_set_new(json, "airtime", airtime_json(n, &stats));
    json_object_set_new(json, "sent", sent_json(&stats));
    json_object_set_new(json, "region", json_string(radio->region.name));
    json_object_set_new(json, "settings", json_pack(
        "{s:I, s:I, s:i, s:i, s:i, s:i, s:b}", "freq_hz", (json_int_t)air.lora.freq_hz, "bw_hz",
        (json_int_t)air.lora.bw_hz, "sf", air.lora.sf, "cr", air.lora.cr, "preamble_symbols",
        air.lora.preamble_symbols, "power_dbm", air.power_dbm, "closed", caps->closed));
    /* Written is not verified: some modems cannot be asked. */
    json_object_set_new(json, "verified",
                        json_boolean(radio->state == RADIO_READY && caps->reads_back_settings));
    json_object_set_new(json, "mtu_len", json_integer(caps->mtu_len));
    json_object_set_new(json, "longest_us",
                        json_integer(modem_airtime_us(&radio->modem, caps->mtu_len)));
    json_object_set_new(json, "counters", modem_counters_json(radio));
    return json;
}

static json_t *do_status(struct api *api, uint64_t now_ms)
{
    const struct node *n = api->node;
    struct mesh_stats s;
    char digest[9];
    mesh_stats(n->mesh, &s);
    snprintf(digest, sizeof digest, "%08x", s.digest);
    json_t *verdicts = json_object();
    for (int i = 0; i < MESH_RX_COUNT; i++)
        json_object_set_new(verdicts, mesh_verdict_name((enum mesh_verdict)i),
                            json_integer((json_int_t)s.rx[i]));
    json_t *json = json_pack("{s:b, s:i, s:s, s:i, s:i, s:i, s:i, s:s, s:b}", "ok", 1, "node",
                             n->settings.node, "role", n->settings.gateway ? "gateway" : "village",
                             "version", KENG_PROTOCOL_VERSION, "speed", (int)n->speed, "records",
                             (int)s.records_held, "logs", (int)s.logs_held, "digest", digest,
                             "clock_set", node_clock_set());
    json_object_set_new(json, "profile", json_integer(n->roster.profile_seq));
    json_object_set_new(json, "airtime", airtime_json(n, &s));
    json_object_set_new(json, "neighbours", neighbours_json(n, now_ms));
    json_t *modems = json_array();
    for (size_t i = 0; i < n->side_count; i++)
        json_array_append_new(modems, modem_json(n, &api->radios[i], i));
    json_object_set(json, "modem", json_array_get(modems, 0));
    json_object_set_new(json, "modems", modems);
    json_object_set_new(json, "sent", sent_json(&s));
    json_object_set_new(json, "verdicts", verdicts);
    json_object_set_new(json, "store", json_pack(
        "{s:s, s:s}", "state", n->store_failing ? "failing" : "ok", "text",
        n->store_failing ? n->disk_text : ""));
    json_object_set_new(json, "store_failed", json_integer((json_int_t)s.store_failed));
    json_object_set_new(json, "load_failed", json_integer((json_int_t)s.load_failed));
    json_object_set_new(json, "evicted", json_integer((json_int_t)s.evicted));
    json_object_set_new(json, "mixes_kept", json_integer((json_int_t)s.mixes_kept));
    json_object_set_new(json, "mixes_lost", json_integer((json_int_t)s.mixes_lost));
    return json;
}

/* ---- add ------------------------------------------------------------------------------------ */

static json_t *do_add(struct api *api, uint64_t now_ms, const json_t *request)
{
    const json_t *records = json_object_get(request, "records");
    if (!json_is_array(records) || json_array_size(records) > ADD_COUNT_MAX)
        return node_json_error("bad-request", "records must be a list of at most %d hex texts",
                               ADD_COUNT_MAX);
    json_t *verdicts = json_array();
    for (size_t i = 0; i < json_array_size(records); i++) {
        uint8_t bytes[RECORD_LEN_MAX];
        int len = from_hex(json_array_get(records, i), bytes, sizeof bytes);
        const char *verdict = len < 0 ? mesh_verdict_name(MESH_RX_MALFORMED)
                                      : node_add(api->node, now_ms, bytes, (size_t)len);
        json_array_append_new(verdicts, json_string(verdict));
    }
    return json_pack("{s:b, s:o}", "ok", 1, "verdicts", verdicts);
}

/* ---- one request ---------------------------------------------------------------------- */

static enum api_outcome submit(struct api *api, uint64_t now_ms, uint64_t client,
                               const json_t *request, json_t **answer_out)
{
    struct record_draft draft;
    uint8_t body[RECORD_BODY_LEN_MAX];
    const char *once = NULL;
    *answer_out = read_submit(api->node, request, &draft, body, &once);
    if (*answer_out)
        return API_ANSWERED;
    if (node_submit(api->node, now_ms, client, &draft, once))
        return API_WAITS;
    *answer_out = node_json_error("busy", "too many reports are being written, try again");
    return API_ANSWERED;
}

static enum api_outcome monitor(struct api *api, uint64_t now_ms, const json_t *request,
                                json_t **answer_out)
{
    int64_t frame_count;
    if (!get_integer(request, "sound", 0, UINT8_MAX, 0, &frame_count)) {
        *answer_out = node_json_error("bad-request", "sound must be a number of frames, at most %d",
                                      UINT8_MAX);
        return API_ANSWERED;
    }
    for (size_t i = 0; i < api->node->side_count && frame_count > 0; i++)
        mesh_sound(api->node->sides[i].mesh, now_ms, (uint8_t)frame_count);
    *answer_out = json_pack("{s:b}", "ok", 1);
    return API_MONITOR;
}

static enum api_outcome dispatch(struct api *api, uint64_t now_ms, uint64_t client,
                                 const json_t *request, json_t **answer_out, int64_t *after_out)
{
    const char *what = json_string_value(json_object_get(request, "do"));
    if (!what)
        *answer_out = node_json_error("bad-request", "a request is an object with \"do\"");
    else if (strcmp(what, "submit") == 0)
        return submit(api, now_ms, client, request, answer_out);
    else if (strcmp(what, "records") == 0)
        *answer_out = do_records(api, request);
    else if (strcmp(what, "mine") == 0)
        *answer_out = do_mine(api, request);
    else if (strcmp(what, "roster") == 0)
        *answer_out = do_roster(api);
    else if (strcmp(what, "status") == 0)
        *answer_out = do_status(api, now_ms);
    else if (strcmp(what, "add") == 0)
        *answer_out = do_add(api, now_ms, request);
    else if (strcmp(what, "monitor") == 0)
        return monitor(api, now_ms, request, answer_out);
    else if (strcmp(what, "follow") != 0)
        *answer_out = node_json_error("bad-request", "\"do\" is none of submit, records, follow,"
                                      " monitor, add, mine, roster, status");
    else if (!get_integer(request, "after", 0, INT64_MAX, 0, after_out))
        *answer_out = node_json_error("bad-request", "after must be an arrival number");
    else {
        *answer_out = json_pack("{s:b}", "ok", 1);
        return API_FOLLOW;
    }
    return API_ANSWERED;
}

enum api_outcome api_handle(struct api *api, uint64_t now_ms, uint64_t client, const char *line,
                            size_t len, json_t **answer_out, int64_t *after_out)
{
    json_error_t error;
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    enum api_outcome outcome = API_ANSWERED;
    if (json_is_object(request))
        outcome = dispatch(api, now_ms, client, request, answer_out, after_out);
    else
        *answer_out = node_json_error("bad-request", "not a JSON object on one line: %s",
                                      request ? "another value" : error.text);
    json_decref(request);
    return outcome;
}
