#include "gateway/receiver.h"

#include <sodium.h>
#include <string.h>

#include "gateway/totals.h"
#include "proto/batch.h"

enum { HTTP_OK = 200, HTTP_BAD_REQUEST = 400, HTTP_FORBIDDEN = 403, HTTP_UNAVAILABLE = 503 };

unsigned receiver_error(unsigned status, const char *code, const char *error,
                        struct strbuf *answer_out)
{
    strbuf_put(answer_out, "{\"ok\":false,\"code\":");
    strbuf_put_json(answer_out, code);
    strbuf_put(answer_out, ",\"error\":");
    strbuf_put_json(answer_out, error);
    strbuf_put(answer_out, "}\n");
    return status;
}

static unsigned batch_refused(struct ledger *l, int err, struct strbuf *answer_out)
{
    const char *why = ledger_batch_strerror(err);
    switch (err) {
    case LEDGER_BATCH_EFORM: return receiver_error(HTTP_BAD_REQUEST, "bad-batch", why, answer_out);
    case LEDGER_BATCH_EROOT: return receiver_error(HTTP_BAD_REQUEST, "bad-root", why, answer_out);
    case LEDGER_BATCH_ETRUST:
        return receiver_error(HTTP_FORBIDDEN, "not-trusted", why, answer_out);
    case LEDGER_BATCH_ESOURCE:
        return receiver_error(HTTP_FORBIDDEN, "unknown-source", why, answer_out);
    case LEDGER_BATCH_ESIG:
        return receiver_error(HTTP_FORBIDDEN, "bad-signature", why, answer_out);
    default: return receiver_error(HTTP_UNAVAILABLE, "disk", db_error(l->db), answer_out);
    }
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

unsigned receiver_put(struct ledger *l, const char *hash_hex, const uint8_t *body, size_t len,
                      int64_t now_ms, struct strbuf *answer_out)
{
    uint8_t want[KENG_HASH_LEN], got[KENG_HASH_LEN];
    if (!strbuf_parse_hex(hash_hex, want, sizeof want))
        return receiver_error(HTTP_BAD_REQUEST, "bad-hash",
                              "the batch's name must be the 64 hex digits of its BLAKE2b-256",
                              answer_out);
    crypto_generichash(got, sizeof got, body, len, NULL, 0);
    if (memcmp(want, got, sizeof got) != 0)
        return receiver_error(HTTP_BAD_REQUEST, "bad-hash",
                              "the body is not the one its name speaks of: it was cut or changed "
                              "on the way, send it again", answer_out);
    struct ledger_batch_result result;
    bool sig_ok;
    l->via = DB_VIA_WIRE;
    int put = ledger_put_batch(l, body, len, now_ms, true, &result, &sig_ok);
    l->write_failed = put < 0 && put > LEDGER_BATCH_EFORM;
    if (put < 0)
        return batch_refused(l, put, answer_out);
    struct batch_reader batch;
    const struct ledger_commune *c = NULL;
    if (batch_open(&batch, body, len) == BATCH_OK)
        c = ledger_find(l, batch.header.network_id);
    put_verdicts(&result, answer_out);
    uint32_t held = 0;
    for (int v = 0; v < LEDGER_VERDICT_COUNT; v++)
        held += ledger_verdict_held((enum ledger_verdict)v) ? result.counts[v] : 0;
    int noted = held == result.count ? db_block_put(l->db, got) : 0;
    ledger_batch_result_free(&result);
    if (!c || noted < 0 || put_have(l, c->info.id, answer_out) < 0) {
        strbuf_free(answer_out);
        return receiver_error(HTTP_UNAVAILABLE, "disk", db_error(l->db), answer_out);
    }
    return HTTP_OK;
}

unsigned receiver_have(struct ledger *l, const char *network_hex, const char *batch_hex,
                       struct strbuf *answer_out)
{
    uint8_t network_id[KENG_NETWORK_ID_LEN], hash[KENG_HASH_LEN];
    bool held = false;
    if (batch_hex && !strbuf_parse_hex(batch_hex, hash, sizeof hash))
        return receiver_error(HTTP_BAD_REQUEST, "bad-request",
                              "batch must be the 64 hex digits of a batch's BLAKE2b-256",
                              answer_out);
    if (!network_hex || !strbuf_parse_hex(network_hex, network_id, sizeof network_id))
        return receiver_error(HTTP_BAD_REQUEST, "bad-request",
                              "network must be the 64 hex digits of a commune's network id",
                              answer_out);
    const struct ledger_commune *c = ledger_find(l, network_id);
    if (!c)
        return receiver_error(HTTP_FORBIDDEN, "not-trusted",
                              ledger_batch_strerror(LEDGER_BATCH_ETRUST), answer_out);
    int result = batch_hex ? db_block_has(l->db, hash, &held) : 0;
    /* While the disk is full this is said here, where it costs the link little. */
    if (result == 0 && l->write_failed)
        result = db_meta_set(l->db, "write_probe", c->info.id);
    strbuf_putf(answer_out, "{\"ok\":true,\"batch\":%s", held ? "true" : "false");
    if (result < 0 || put_have(l, c->info.id, answer_out) < 0) {
        strbuf_free(answer_out);
        return receiver_error(HTTP_UNAVAILABLE, "disk", db_error(l->db), answer_out);
    }
    return HTTP_OK;
}
