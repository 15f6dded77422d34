#include "gateway/receiver.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "gateway/totals.h"
#include "proto/batch.h"
#include "proto/exchange.h"

enum {
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
    STATUS_FORBIDDEN = 403,
    STATUS_NOT_ALLOWED = 405,
    STATUS_UNAVAILABLE = 503,
    QUESTION_LEN_MAX = 512,
    PLACE_HASH_LEN = 8,
};

static const char BATCH_PATH[] = "/v1/batch/";
static const char HAVE_PATH[] = "/v1/have";
static const char DOWN_PATH[] = "/v1/down";

/* One request, as it was understood. */
struct question {
    struct receiver *receiver;
    const struct http_request *request;
    int64_t now_ms;
    struct exchange exchange;
    char text[QUESTION_LEN_MAX];
    uint8_t batch_hash[KENG_HASH_LEN];
    bool has_batch;
    const char *since; /* "": from the start */
};

static unsigned say_error(unsigned status, const char *code, const char *error,
                          struct http_answer *answer)
{
    struct strbuf *out = &answer->body;
    answer->content_type = "application/json";
    answer->next[0] = '\0';
    strbuf_free(out);
    strbuf_put(out, "{\"ok\":false,\"code\":");
    strbuf_put_json(out, code);
    strbuf_put(out, ",\"error\":");
    strbuf_put_json(out, error);
    strbuf_put(out, "}\n");
    return status;
}

static unsigned say_disk(const struct question *q, struct http_answer *answer)
{
    return say_error(STATUS_UNAVAILABLE, "disk", db_error(q->receiver->ledger->db), answer);
}

static unsigned batch_refused(const struct question *q, int err, struct http_answer *answer)
{
    static const struct { int err; unsigned status; const char *code; } REFUSALS[] = {
        { LEDGER_BATCH_EFORM, STATUS_BAD_REQUEST, "bad-batch" },
        { LEDGER_BATCH_EROOT, STATUS_BAD_REQUEST, "bad-root" },
        { LEDGER_BATCH_ETRUST, STATUS_FORBIDDEN, "not-trusted" },
        { LEDGER_BATCH_ESOURCE, STATUS_FORBIDDEN, "unknown-source" },
        { LEDGER_BATCH_ESIG, STATUS_FORBIDDEN, "bad-signature" },
    };
    for (size_t i = 0; i < sizeof REFUSALS / sizeof REFUSALS[0]; i++)
        if (REFUSALS[i].err == err)
            return say_error(REFUSALS[i].status, REFUSALS[i].code, ledger_batch_strerror(err),
                             answer);
    return say_disk(q, answer);
}

/* "have": how far each author's log is held without a gap, and how many of it in all. */
static int put_have(struct ledger *l, int64_t commune, struct strbuf *out)
{
    struct held_table held = { .list = NULL };
    int result = held_collect(&held, l->db, commune);
    strbuf_put(out, ",\"have\":[");
    for (size_t i = 0; i < held.count; i++)
        strbuf_putf(out, "%s{\"author\":%u,\"seq\":%u,\"count\":%u}", i ? "," : "",
                    (unsigned)held.list[i].author, (unsigned)held.list[i].seq,
                    (unsigned)held.list[i].count);
    strbuf_put(out, "]}\n");
    held_free(&held);
    return result;
}

static void put_verdicts(const struct ledger_batch_result *result, struct strbuf *out)
{
    bool first = true;
    strbuf_putf(out, "{\"ok\":true,\"count\":%u,\"verdicts\":{", (unsigned)result->count);
    for (int v = 0; v < LEDGER_VERDICT_COUNT; v++) {
        if (result->counts[v] == 0)
            continue;
        strbuf_putf(out, "%s\"%s\":%u", first ? "" : ",",
                    ledger_verdict_name((enum ledger_verdict)v), (unsigned)result->counts[v]);
        first = false;
    }
    strbuf_put(out, "},\"refused\":[");
    unsigned named = 0;
    for (uint32_t i = 0; i < result->count && named < RECEIVER_REFUSED_COUNT_MAX; i++) {
        enum ledger_verdict verdict = (enum ledger_verdict)result->verdicts[i];
        if (ledger_verdict_held(verdict))
            continue;
        strbuf_putf(out, "%s{\"index\":%u,\"reason\":\"%s\"}", named ? "," : "", (unsigned)i,
                    ledger_verdict_name(verdict));
        named++;
    }
    strbuf_put(out, "]");
}

static unsigned answer_put(const struct question *q, struct http_answer *answer)
{
    struct ledger *l = q->receiver->ledger;
    const struct http_request *r = q->request;
    uint8_t got[KENG_HASH_LEN];
    crypto_generichash(got, sizeof got, r->body, r->body_len, NULL, 0);
    if (memcmp(q->batch_hash, got, sizeof got) != 0)
        return say_error(STATUS_BAD_REQUEST, "bad-hash",
                         "the body is not the one its name speaks of: it was cut or changed on the "
                         "way, send it again", answer);
    struct batch_reader batch;
    if (batch_open(&batch, r->body, r->body_len) == BATCH_OK &&
        memcmp(batch.header.network_id, q->exchange.network_id, KENG_NETWORK_ID_LEN) != 0)
        return say_error(STATUS_BAD_REQUEST, "bad-request", "the batch is of another network",
                         answer);
    struct ledger_batch_result result;
    bool sig_ok;
    l->via = DB_VIA_WIRE;
    int put = ledger_put_batch(l, r->body, r->body_len, q->now_ms, true, &result, &sig_ok);
    l->write_failed = put < 0 && put > LEDGER_BATCH_EFORM;
    if (put < 0)
        return batch_refused(q, put, answer);
    answer->known = result.counts[LEDGER_NEW] > 0; /* anybody can repeat an old one */
    put_verdicts(&result, &answer->body);
    uint32_t held = 0;
    for (int v = 0; v < LEDGER_VERDICT_COUNT; v++)
        held += ledger_verdict_held((enum ledger_verdict)v) ? result.counts[v] : 0;
    int noted = held == result.count ? db_block_put(l->db, got) : 0;
    ledger_batch_result_free(&result);
    const struct ledger_commune *c = ledger_find(l, q->exchange.network_id);
    if (!c || noted < 0 || put_have(l, c->info.id, &answer->body) < 0)
        return say_disk(q, answer);
    return STATUS_OK;
}

static unsigned answer_have(const struct question *q, struct http_answer *answer)
{
    struct ledger *l = q->receiver->ledger;
    const struct ledger_commune *c = ledger_find(l, q->exchange.network_id);
    bool held = false;
    int result = c ? 0 : DB_ENOTFOUND;
    if (result == 0 && q->has_batch)
        result = db_block_has(l->db, q->batch_hash, &held);
    /* While the disk is full this is said here, where it costs the link little. */
    if (result == 0 && l->write_failed)
        result = db_meta_set(l->db, "write_probe", c->info.id);
    strbuf_putf(&answer->body, "{\"ok\":true,\"batch\":%s", held ? "true" : "false");
    if (result < 0 || put_have(l, c->info.id, &answer->body) < 0)
        return say_disk(q, answer);
    return STATUS_OK;
}

/* ---- the way down ---- */

/* A place in what goes down: an arrival here, and a hash of the record that has it.  A ledger that
 * was restored from an older copy gives its arrivals to other records. */
static void write_place(const struct db_record *record, char *out, size_t cap)
{
    uint8_t hash[KENG_HASH_LEN];
    char hex[2 * PLACE_HASH_LEN + 1];
    crypto_generichash(hash, sizeof hash, record->bytes, record->len, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, PLACE_HASH_LEN);
    snprintf(out, cap, "%lld-%s", (long long)record->arrival, hex);
}

struct place {
    int64_t commune;
    const char *text;
    bool good;
};

static int check_place(void *ctx, const struct db_record *record)
{
    struct place *place = ctx;
    char text[DB_DOWN_LEN];
    write_place(record, text, sizeof text);
    place->good = record->commune == place->commune && strcmp(text, place->text) == 0;
    return 0;
}

/* Where to go on: 0 when the place is not known here. */
static int find_place(struct db *db, int64_t commune, const char *text, int64_t *arrival_out)
{
    struct place place = { .commune = commune, .text = text };
    int64_t arrival = 0;
    for (const char *at = text; *at >= '0' && *at <= '9' && at - text < 18; at++)
        arrival = arrival * 10 + (*at - '0');
    int result = db_record_get(db, arrival, check_place, &place);
    *arrival_out = place.good ? arrival : 0;
    return result < 0 ? result : 0;
}

struct going_down {
    struct batch_builder builder;
    char *next;
};

static int add_down(void *ctx, const struct db_record *record)
{
    struct going_down *down = ctx;
    if (batch_add(&down->builder, record->bytes, record->len) != BATCH_OK)
        return 1;
    /* Of superseding kinds the record may be gone tomorrow; they hold no place. */
    if (record->ref.lane == 0)
        write_place(record, down->next, DB_DOWN_LEN);
    return 0;
}

/* Who asks must be enrolled, because people's names and words go down. */
static bool is_enrolled(const struct question *q, const struct ledger_commune *c,
                        uint16_t *author_out)
{
    uint8_t sig[KENG_SIG_LEN];
    const char *from = http_query(q->request, "from");
    if (!from || !exchange_parse(from, author_out, sig))
        return false;
    const struct roster_author *author = roster_find(&c->roster, *author_out);
    return author && author->entry.revoked_after == 0 &&
           exchange_verify_question(&q->exchange, *author_out, author->entry.key, sig);
}

static unsigned answer_down(const struct question *q, struct http_answer *answer)
{
    struct ledger *l = q->receiver->ledger;
    const struct ledger_commune *c = ledger_find(l, q->exchange.network_id);
    const struct keys_entry *key = c ? keys_find(&q->receiver->keys, c) : NULL;
    uint8_t bytes[BATCH_LEN_TARGET];
    uint16_t author;
    int64_t after = 0;
    if (!key)
        return say_error(STATUS_FORBIDDEN, "no-key", "this place has no key in that commune's "
                         "roster", answer);
    if (!is_enrolled(q, c, &author))
        return say_error(STATUS_FORBIDDEN, "bad-signature", "who asks is not enrolled, or did not "
                         "sign the question", answer);
    answer->known = true;
    struct batch_header header = { .source = key->identity.number,
                                   .created_min = bundle_created_min(q->now_ms) };
    memcpy(header.network_id, c->info.network_id, sizeof header.network_id);
    memcpy(header.root_key, c->info.root_key, sizeof header.root_key);
    struct going_down down = { .next = answer->next };
    snprintf(answer->next, sizeof answer->next, "%s", q->since);
    int result = batch_begin(&down.builder, bytes, sizeof bytes, &header);
    if (result == BATCH_OK)
        result = find_place(l->db, c->info.id, q->since, &after);
    if (result == 0)
        result = db_down_list(l->db, c->info.id, after, author, add_down, &down);
    if (result < 0)
        return say_disk(q, answer);
    answer->content_type = "application/octet-stream";
    if (down.builder.count > 0) {
        size_t len = batch_finish(&down.builder, key->identity.secret_key);
        strbuf_put_len(&answer->body, (const char *)bytes, len);
    }
    return STATUS_OK;
}

/* ---- requests ---- */

/* The question as both ends write it down for signing. */
static bool write_question(struct question *q, const char *network_hex, const char *batch_hex)
{
    const char *path = q->request->path;
    int len;
    if (strcmp(path, DOWN_PATH) == 0)
        len = snprintf(q->text, sizeof q->text, "%s?network=%s&since=%s", path, network_hex,
                       q->since);
    else
        len = snprintf(q->text, sizeof q->text, "%s?network=%s%s%s", path, network_hex,
                       batch_hex ? "&batch=" : "", batch_hex ? batch_hex : "");
    return len > 0 && len < (int)sizeof q->text;
}

/* 0, or the status of an answer that says what is wrong. */
static unsigned read_question(struct question *q, struct http_answer *answer)
{
    const struct http_request *r = q->request;
    bool is_put = strncmp(r->path, BATCH_PATH, sizeof BATCH_PATH - 1) == 0;
    const char *network_hex = http_query(r, "network");
    const char *batch_hex = is_put ? NULL : http_query(r, "batch");
    const char *hash_hex = is_put ? r->path + sizeof BATCH_PATH - 1 : batch_hex;
    const char *nonce_hex = http_query(r, "nonce"), *since = http_query(r, "since");
    if (r->method != (is_put ? HTTP_PUT : HTTP_GET))
        return say_error(STATUS_NOT_ALLOWED, "bad-request", "this path takes PUT (batch) or GET "
                         "(have, down)", answer);
    if (hash_hex && !strbuf_parse_hex(hash_hex, q->batch_hash, sizeof q->batch_hash))
        return say_error(STATUS_BAD_REQUEST, "bad-hash",
                         "a batch's name must be the 64 hex digits of its BLAKE2b-256", answer);
    if (!network_hex ||
        !strbuf_parse_hex(network_hex, q->exchange.network_id, sizeof q->exchange.network_id) ||
        !nonce_hex || !strbuf_parse_hex(nonce_hex, q->exchange.nonce, sizeof q->exchange.nonce))
        return say_error(STATUS_BAD_REQUEST, "bad-request", "network must be the 64 hex digits of "
                         "a commune's network id, nonce 32 hex digits", answer);
    q->has_batch = batch_hex != NULL;
    q->since = since ? since : "";
    q->exchange.question = q->text;
    if (!exchange_is_place(q->since) || !write_question(q, network_hex, batch_hex))
        return say_error(STATUS_BAD_REQUEST, "bad-request", "since is none that was given here",
                         answer);
    if (!ledger_find(q->receiver->ledger, q->exchange.network_id))
        return say_error(STATUS_FORBIDDEN, "not-trusted",
                         ledger_batch_strerror(LEDGER_BATCH_ETRUST), answer);
    return 0;
}

static void sign_answer(const struct question *q, struct http_answer *answer)
{
    const struct ledger_commune *c =
        ledger_find(q->receiver->ledger, q->exchange.network_id);
    const struct keys_entry *key = c ? keys_find(&q->receiver->keys, c) : NULL;
    struct exchange_answer what = { .status = answer->status, .next = answer->next,
                                    .body = answer->body.text, .body_len = answer->body.len };
    if (key && !answer->body.failed)
        exchange_sign_answer(&q->exchange, &what, key->identity.number, key->identity.secret_key,
                             answer->signature);
}

size_t receiver_put_len_max(const char *path)
{
    return strncmp(path, BATCH_PATH, sizeof BATCH_PATH - 1) == 0 ? BATCH_LEN_MAX : 0;
}

bool receiver_handle(struct receiver *r, const struct http_request *request, int64_t now_ms,
                     struct http_answer *answer)
{
    struct question q = { .receiver = r, .request = request, .now_ms = now_ms };
    bool is_have = strcmp(request->path, HAVE_PATH) == 0;
    bool is_down = strcmp(request->path, DOWN_PATH) == 0;
    if (!is_have && !is_down && receiver_put_len_max(request->path) == 0)
        return false;
    answer->content_type = "application/json";
    answer->status = read_question(&q, answer);
    if (answer->status != 0)
        return true;
    answer->status = is_have ? answer_have(&q, answer) : is_down ? answer_down(&q, answer)
                                                                 : answer_put(&q, answer);
    sign_answer(&q, answer);
    return true;
}
