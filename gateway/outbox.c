#include "gateway/outbox.h"

#include <jansson.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "gateway/bundle.h"
#include "gateway/keys.h"
#include "gateway/totals.h"

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Does the host of an http:// address mean this very machine? */
static bool is_this_machine(const char *url)
{
    static const char *const LOCAL[] = { "http://127.0.0.1", "http://localhost", "http://[::1]" };
    for (size_t i = 0; i < sizeof LOCAL / sizeof LOCAL[0]; i++) {
        size_t len = strlen(LOCAL[i]);
        if (strncmp(url, LOCAL[i], len) == 0 &&
            (url[len] == '\0' || url[len] == ':' || url[len] == '/'))
            return true;
    }
    return false;
}

int outbox_init(struct outbox *o, struct ledger *l, CURLM *multi, const char *url,
                const char *ca_path, const struct home_identity *identity, int64_t commune,
                int64_t interval_ms, char err[static OUTBOX_ERR_LEN])
{
    *o = (struct outbox){
        .ledger = l, .multi = multi, .ca_path = ca_path, .identity = *identity,
        .commune = commune, .interval_ms = interval_ms,
    };
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    if (len >= sizeof o->base || strpbrk(url, "?# @") ||
        (!has_prefix(url, "https://") && !is_this_machine(url))) {
        snprintf(err, OUTBOX_ERR_LEN, "--push %.100s: expected https://HOST[:PORT][/PATH]; plain "
                 "http goes only to this machine itself", url);
        return -1;
    }
    memcpy(o->base, url, len);
    o->backoff_ms = o->interval_ms;
    o->stall_timeout_s = OUTBOX_STALL_TIMEOUT_S;
    o->batch_cap = sizeof o->batch;
    o->sync = (struct console_sync){ .configured = true, .url = o->base };
    if (db_outbox_target(l->db, o->base, commune, &o->sync.target) < 0 ||
        db_outbox_count(l->db, o->sync.target, &o->sync.waiting_count) < 0 ||
        db_down_get(l->db, o->sync.target, o->down) < 0) {
        snprintf(err, OUTBOX_ERR_LEN, "%.200s", db_error(l->db));
        return -1;
    }
    o->headers = curl_slist_append(NULL, "Expect:");
    struct curl_slist *more =
        o->headers ? curl_slist_append(o->headers, "Content-Type: application/octet-stream") : NULL;
    o->easy = more ? curl_easy_init() : NULL;
    if (!o->easy) {
        snprintf(err, OUTBOX_ERR_LEN, "out of memory");
        outbox_close(o);
        return -1;
    }
    return 0;
}

/* One NAME=VALUE of a link. */
static bool set_link_field(struct outbox_link *link, const char *text, size_t len)
{
    static const struct { const char *name; size_t at, cap; } FIELDS[] = {
        { "interface=", offsetof(struct outbox_link, interface), OUTBOX_INTERFACE_LEN },
        { "proxy=", offsetof(struct outbox_link, proxy), DB_URL_LEN },
    };
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        size_t name_len = strlen(FIELDS[i].name);
        if (len > name_len && strncmp(text, FIELDS[i].name, name_len) == 0 &&
            len - name_len < FIELDS[i].cap) {
            char *field = (char *)link + FIELDS[i].at;
            memcpy(field, text + name_len, len - name_len);
            field[len - name_len] = '\0';
            return true;
        }
    }
    return false;
}

int outbox_add_link(struct outbox *o, const char *text, char err[static OUTBOX_ERR_LEN])
{
    struct outbox_link link = { .name = "" };
    size_t len = strcspn(text, ",");
    bool good = len > 0 && len < sizeof link.name && !memchr(text, '=', len);
    if (good)
        memcpy(link.name, text, len);
    for (const char *at = text + len; good && *at == ',';) {
        at++;
        len = strcspn(at, ",");
        good = set_link_field(&link, at, len);
        at += len;
    }
    if (good && link.proxy[0] && !has_prefix(link.proxy, "http://") &&
        !has_prefix(link.proxy, "https://") && !has_prefix(link.proxy, "socks5h://"))
        good = false;
    if (!good || o->link_count == OUTBOX_LINK_COUNT_MAX) {
        snprintf(err, OUTBOX_ERR_LEN, "--link %.100s: expected NAME[,interface=NAME][,proxy="
                 "http://HOST:PORT], %d links at most", text, (int)OUTBOX_LINK_COUNT_MAX);
        return -1;
    }
    o->links[o->link_count++] = link;
    return 0;
}

void outbox_close(struct outbox *o)
{
    if (o->easy && o->transfer != OUTBOX_NONE)
        curl_multi_remove_handle(o->multi, o->easy);
    if (o->easy)
        curl_easy_cleanup(o->easy);
    curl_slist_free_all(o->headers);
    strbuf_free(&o->answer);
    sodium_memzero(&o->identity, sizeof o->identity);
    o->easy = NULL;
    o->headers = NULL;
}

static size_t take_answer(char *data, size_t size, size_t count, void *ctx)
{
    struct outbox *o = ctx;
    size_t len = size * count;
    if (len > OUTBOX_ANSWER_LEN_MAX - o->answer.len)
        return 0; /* makes the transfer fail: no receiver of ours says so much */
    strbuf_put_len(&o->answer, data, len);
    return o->answer.failed ? 0 : len;
}

/* The value of a header line of that name, or NULL. */
static const char *header_value(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + 1 + strspn(line + len + 1, " ");
}

static size_t take_header(char *data, size_t size, size_t count, void *ctx)
{
    struct outbox *o = ctx;
    char line[OUTBOX_QUESTION_LEN];
    size_t len = size * count;
    if (len >= sizeof line) /* none of ours is so long */
        return len;
    memcpy(line, data, len);
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    const char *signature = header_value(line, "Keng-Signature");
    const char *next = header_value(line, "Keng-Next");
    if (has_prefix(line, "HTTP/")) /* what stood before was a proxy's */
        o->signature[0] = o->next[0] = '\0';
    if (signature)
        snprintf(o->signature, sizeof o->signature, "%s", signature);
    if (next && exchange_is_place(next))
        snprintf(o->next, sizeof o->next, "%s", next);
    return len;
}

static void set_trouble(struct outbox *o, enum lang_text trouble, const char *detail)
{
    const char *link = o->link_count > 0 ? o->links[o->link].name : "";
    o->sync.troubled = true;
    o->sync.trouble = trouble;
    snprintf(o->sync.error, sizeof o->sync.error, "%s%s%.120s", link, *link && *detail ? ": " : "",
             detail);
}

static void back_off(struct outbox *o, int64_t now_ms)
{
    /* Half is certain, half is chance: many gateways that lost one link do not come back as one. */
    int64_t half_ms = o->backoff_ms / 2;
    o->next_ms = now_ms + half_ms + (int64_t)randombytes_uniform((uint32_t)half_ms + 1);
    o->backoff_ms *= 2;
    if (o->backoff_ms > o->interval_ms * OUTBOX_INTERVAL_FACTOR_MAX)
        o->backoff_ms = o->interval_ms * OUTBOX_INTERVAL_FACTOR_MAX;
    o->link = 0;
    o->asked = false;
    o->resting = false;
}

/* The next link, or, after the last, a wait. */
static void wait_after_failure(struct outbox *o, int64_t now_ms)
{
    if (o->link + 1 >= o->link_count) {
        back_off(o, now_ms);
        return;
    }
    o->link++;
    o->prefer_ms = now_ms + o->interval_ms * OUTBOX_INTERVAL_FACTOR_MAX;
    o->next_ms = now_ms;
    o->asked = false;
}

/* The receiver said no: asking again soon would change nothing. */
static void wait_after_refusal(struct outbox *o, int64_t now_ms)
{
    o->backoff_ms = o->interval_ms * OUTBOX_INTERVAL_FACTOR_MAX;
    back_off(o, now_ms);
}

/* Sends o->question, with a nonce of its own. */
static void start(struct outbox *o, enum outbox_transfer what, int64_t now_ms)
{
    char url[DB_URL_LEN + OUTBOX_QUESTION_LEN + EXCHANGE_SIGNED_LEN + 64];
    char nonce[2 * EXCHANGE_NONCE_LEN + 1], from[EXCHANGE_SIGNED_LEN] = "";
    const struct ledger_commune *c = ledger_get(o->ledger, o->commune);
    CURL *e = o->easy;
    if (!c) {
        wait_after_refusal(o, now_ms);
        return;
    }
    memcpy(o->exchange.network_id, c->info.network_id, sizeof o->exchange.network_id);
    randombytes_buf(o->exchange.nonce, sizeof o->exchange.nonce);
    o->exchange.question = o->question;
    sodium_bin2hex(nonce, sizeof nonce, o->exchange.nonce, sizeof o->exchange.nonce);
    if (what == OUTBOX_FETCHING)
        exchange_sign_question(&o->exchange, o->identity.number, o->identity.secret_key, from);
    snprintf(url, sizeof url, "%s%s&nonce=%s%s%s", o->base, o->question, nonce,
             *from ? "&from=" : "", from);
    o->signature[0] = o->next[0] = '\0';
    const struct outbox_link *link = &o->links[o->link]; /* the first is empty if there are none */
    curl_easy_reset(e); /* keeps connections and TLS sessions */
    strbuf_free(&o->answer);
    o->curl_err[0] = '\0';
    CURLcode set[] = {
        curl_easy_setopt(e, CURLOPT_URL, url),
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, o->curl_err),
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_answer),
        curl_easy_setopt(e, CURLOPT_WRITEDATA, o),
        curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header),
        curl_easy_setopt(e, CURLOPT_HEADERDATA, o),
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, o->headers),
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https"),
        curl_easy_setopt(e, CURLOPT_PROXY, link->proxy),
        link->interface[0] ? curl_easy_setopt(e, CURLOPT_INTERFACE, link->interface) : CURLE_OK,
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2),
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)OUTBOX_CONNECT_TIMEOUT_S),
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)OUTBOX_SPEED_MIN_BYTES),
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, o->stall_timeout_s),
        curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)OUTBOX_TRANSFER_TIMEOUT_S),
        o->ca_path ? curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_path) : CURLE_OK,
        what == OUTBOX_PUTTING ? curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, "PUT") : CURLE_OK,
        what == OUTBOX_PUTTING ? curl_easy_setopt(e, CURLOPT_POSTFIELDS, o->batch) : CURLE_OK,
        what == OUTBOX_PUTTING
            ? curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)o->batch_len) : CURLE_OK,
    };
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        if (set[i] != CURLE_OK) {
            set_trouble(o, LANG_SYNC_NO_LINE, curl_easy_strerror(set[i]));
            wait_after_refusal(o, now_ms);
            return;
        }
    }
    CURLMcode added = curl_multi_add_handle(o->multi, e);
    if (added != CURLM_OK) {
        set_trouble(o, LANG_SYNC_NO_LINE, curl_multi_strerror(added));
        wait_after_failure(o, now_ms);
        return;
    }
    o->transfer = what;
}

/* Writes path and network, and what more is asked, as proto/exchange.h has it. */
static void put_question(struct outbox *o, const char *path, const char *more, const char *value)
{
    const struct ledger_commune *c = ledger_get(o->ledger, o->commune);
    char hex[2 * KENG_NETWORK_ID_LEN + 1] = "";
    if (c)
        sodium_bin2hex(hex, sizeof hex, c->info.network_id, sizeof c->info.network_id);
    snprintf(o->question, sizeof o->question, "%s?network=%s%s%s", path, hex, more, value);
}

static void start_asking(struct outbox *o, int64_t now_ms)
{
    bool unsure = o->batch_len > 0;
    put_question(o, "/v1/have", unsure ? "&batch=" : "", unsure ? o->batch_hex : "");
    start(o, OUTBOX_ASKING, now_ms);
}

static void start_fetching(struct outbox *o, int64_t now_ms)
{
    put_question(o, "/v1/down", "&since=", o->down);
    start(o, OUTBOX_FETCHING, now_ms);
}

struct filling {
    struct outbox *outbox;
    struct batch_builder builder;
    bool urgent; /* a call for rescue is in it */
};

static int fill_batch(void *ctx, const struct db_record *record)
{
    struct filling *filling = ctx;
    struct outbox *o = filling->outbox;
    bool root = record->ref.author == AUTHOR_ROOT;
    bool urgent = !root && record->priority == PRIORITY_RESCUE;
    /* What is urgent goes in a batch of its own: a short one gets through where a long one is
     * cut. */
    if ((filling->urgent && !urgent && !root) || o->arrival_count == OUTBOX_RECORD_COUNT_MAX ||
        batch_add(&filling->builder, record->bytes, record->len) != BATCH_OK)
        return 1;
    filling->urgent = filling->urgent || urgent;
    o->arrivals[o->arrival_count++] = record->arrival;
    return 0;
}

/* Builds the next batch.  Its number is durable before it leaves, so that none is used twice. */
static int build_batch(struct outbox *o, int64_t wall_ms)
{
    const struct ledger_commune *c = ledger_get(o->ledger, o->commune);
    struct db *db = o->ledger->db;
    struct filling filling = { .outbox = o };
    int64_t number = 0;
    o->arrival_count = 0;
    o->batch_len = 0;
    if (!c)
        return 0;
    int result = bundle_take_numbers(db, 1, &number);
    if (result < 0)
        return result;
    struct batch_header header = { .number = (uint32_t)number, .source = o->identity.number,
                                   .created_min = bundle_created_min(wall_ms) };
    memcpy(header.network_id, c->info.network_id, sizeof header.network_id);
    memcpy(header.root_key, c->info.root_key, sizeof header.root_key);
    if (batch_begin(&filling.builder, o->batch, o->batch_cap, &header) != BATCH_OK)
        return DB_ENOMEM;
    result = db_outbox_waiting(db, o->sync.target, fill_batch, &filling);
    if (result < 0 || o->arrival_count == 0)
        return result < 0 ? result : 0;
    o->batch_len = batch_finish(&filling.builder, o->identity.secret_key);
    return 0;
}

static void rest(struct outbox *o, int64_t now_ms)
{
    int64_t soon_ms = now_ms + OUTBOX_GATHER_MS;
    o->resting = true;
    o->next_ms = o->down_ms > soon_ms ? o->down_ms : soon_ms;
}

static int start_putting(struct outbox *o, int64_t now_ms, int64_t wall_ms)
{
    int result = build_batch(o, wall_ms);
    if (result < 0 || o->batch_len == 0) {
        rest(o, now_ms);
        return result;
    }
    uint8_t hash[KENG_HASH_LEN];
    char path[sizeof o->batch_hex + 16];
    crypto_generichash(hash, sizeof hash, o->batch, o->batch_len, NULL, 0);
    sodium_bin2hex(o->batch_hex, sizeof o->batch_hex, hash, sizeof hash);
    snprintf(path, sizeof path, "/v1/batch/%s", o->batch_hex);
    put_question(o, path, "", "");
    start(o, OUTBOX_PUTTING, now_ms);
    return 0;
}

int outbox_run(struct outbox *o, int64_t now_ms, int64_t wall_ms)
{
    if (o->transfer != OUTBOX_NONE || now_ms < o->next_ms)
        return 0;
    o->next_ms = INT64_MAX;
    o->resting = false;
    if (o->link > 0 && o->asked && now_ms >= o->prefer_ms)
        o->link = 0; /* the better one may be back; if not, the next attempt is on this one again */
    int result = db_outbox_count(o->ledger->db, o->sync.target, &o->sync.waiting_count);
    bool waiting = o->sync.waiting_count > 0;
    if (result == 0 && !o->asked)
        start_asking(o, now_ms);
    else if (result == 0 && now_ms >= o->down_ms && (!waiting || o->before == OUTBOX_PUTTING))
        start_fetching(o, now_ms); /* neither way waits for the other's backlog */
    else if (result == 0 && waiting)
        result = start_putting(o, now_ms, wall_ms);
    else
        rest(o, now_ms);
    if (result < 0) {
        set_trouble(o, LANG_SYNC_OWN_DISK, db_error(o->ledger->db));
        wait_after_failure(o, now_ms);
    }
    return result;
}

int outbox_kick(struct outbox *o, int64_t now_ms)
{
    /* While the link is known to be down, new records do not shorten the waiting. */
    if (o->resting && o->next_ms > now_ms + OUTBOX_GATHER_MS)
        o->next_ms = now_ms + OUTBOX_GATHER_MS;
    return db_outbox_count(o->ledger->db, o->sync.target, &o->sync.waiting_count);
}

void outbox_send_now(struct outbox *o, int64_t now_ms)
{
    o->next_ms = o->down_ms = now_ms;
    o->backoff_ms = o->interval_ms;
}

int64_t outbox_deadline_ms(const struct outbox *o)
{
    return o->transfer != OUTBOX_NONE ? INT64_MAX : o->next_ms;
}

/* ---- answers ---- */

/* The first record the receiver confirmed and does not hold any more, of authors of whom it holds
 * less than it confirmed.  A log with a gap, or sent out of order, is no loss: it reaches as far,
 * and holds as many, as what was confirmed. */
struct comparing {
    const json_t *have; /* object: author as text to {seq, count} */
    struct held_table answered;
    int64_t first_missing;
};

static int count_answered(void *ctx, const struct db_record *record)
{
    struct comparing *comparing = ctx;
    int added = held_add(&comparing->answered, record->ref.author, record->ref.seq);
    return added == TOTALS_OK ? 0 : DB_ENOMEM;
}

static int find_missing(void *ctx, const struct db_record *record)
{
    struct comparing *comparing = ctx;
    const struct held *answered = held_find(&comparing->answered, record->ref.author);
    char author[8];
    snprintf(author, sizeof author, "%u", (unsigned)record->ref.author);
    const json_t *one = json_object_get(comparing->have, author);
    json_int_t upto = json_integer_value(json_object_get(one, "seq"));
    json_int_t count = json_integer_value(json_object_get(one, "count"));
    bool lost = answered && (upto < (json_int_t)answered->seq ||
                             count < (json_int_t)answered->count);
    if (lost && (json_int_t)record->ref.seq > upto &&
        (comparing->first_missing == 0 || record->arrival < comparing->first_missing))
        comparing->first_missing = record->arrival;
    return 0;
}

static int mark_answered(struct outbox *o, const json_t *answer, size_t *lacking_out);

/* A receiver that holds less than it once confirmed was restored from an older copy. */
static int on_have(struct outbox *o, const json_t *answer)
{
    if (o->batch_len > 0 && !json_is_true(json_object_get(answer, "batch"))) {
        /* It did not arrive: made anew, what became urgent meanwhile goes before it. */
        o->batch_len = 0;
    } else if (o->batch_len > 0) {
        size_t lacking;
        int marked = mark_answered(o, answer, &lacking);
        if (marked < 0)
            return marked;
    }
    const json_t *list = json_object_get(answer, "have");
    json_t *have = json_object();
    for (size_t i = 0; have && i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);
        char author[32];
        snprintf(author, sizeof author, "%lld",
                 (long long)json_integer_value(json_object_get(one, "author")));
        if (json_object_set(have, author, one) != 0) {
            json_decref(have);
            have = NULL;
        }
    }
    if (!have)
        return DB_ENOMEM;
    struct comparing comparing = { .have = have };
    struct db *db = o->ledger->db;
    int result = db_outbox_held(db, o->sync.target, count_answered, &comparing);
    if (result >= 0)
        result = db_outbox_held(db, o->sync.target, find_missing, &comparing);
    if (result >= 0 && comparing.first_missing)
        result = db_outbox_reopen(db, o->sync.target, comparing.first_missing);
    held_free(&comparing.answered);
    json_decref(have);
    return result < 0 ? result : 0;
}

/* Why the answer names this index, or NULL. */
static const char *refusal_of(const json_t *answer, size_t index)
{
    const json_t *refused = json_object_get(answer, "refused");
    for (size_t i = 0; i < json_array_size(refused); i++) {
        const json_t *one = json_array_get(refused, i);
        if (json_integer_value(json_object_get(one, "index")) == (json_int_t)index) {
            const char *reason = json_string_value(json_object_get(one, "reason"));
            return reason ? reason : "refused";
        }
    }
    return NULL;
}

/* Marks what the answer speaks of.  lacking_out: records that only need the roster or room. */
static int mark_answered(struct outbox *o, const json_t *answer, size_t *lacking_out)
{
    struct db *db = o->ledger->db;
    int result = db_begin(db);
    *lacking_out = 0;
    for (size_t i = 0; i < o->arrival_count && result == 0; i++) {
        const char *reason = refusal_of(answer, i);
        bool lacking = reason && (strcmp(reason, "unknown-author") == 0 ||
                                  strcmp(reason, "full") == 0); /* of older receivers */
        if (lacking)
            ++*lacking_out;
        else
            result = db_outbox_answered(db, o->sync.target, o->arrivals[i], reason);
    }
    if (result == 0)
        result = db_outbox_settle(db, o->sync.target);
    if (result == 0)
        result = db_commit(db);
    if (result < 0)
        db_rollback(db);
    else
        o->batch_len = 0;
    return result;
}

/* The receiver does not know our authors: everything again from the root's log on, but once. */
static int send_root_again(struct outbox *o, int64_t now_ms, const char *why)
{
    if (o->root_sent_again) {
        set_trouble(o, LANG_SYNC_LACKS_AUTHORS, why);
        wait_after_refusal(o, now_ms);
        return 0;
    }
    o->root_sent_again = true;
    o->next_ms = now_ms;
    return db_outbox_reopen(o->ledger->db, o->sync.target, 1);
}

static int on_put(struct outbox *o, const json_t *answer, int64_t now_ms)
{
    size_t lacking;
    if (json_integer_value(json_object_get(answer, "count")) != (json_int_t)o->arrival_count) {
        set_trouble(o, LANG_SYNC_OTHER_BATCH, "");
        o->batch_len = 0;
        wait_after_refusal(o, now_ms);
        return 0;
    }
    int result = mark_answered(o, answer, &lacking);
    if (result < 0)
        return result;
    if (lacking > 0)
        return send_root_again(o, now_ms, "");
    o->root_sent_again = false;
    o->next_ms = now_ms; /* the next batch, if there is one */
    return 0;
}

static int on_refusal(struct outbox *o, long status, const json_t *answer, int64_t now_ms)
{
    const char *code = json_string_value(json_object_get(answer, "code"));
    if (status >= 400 && status < 500)
        o->batch_len = 0; /* this one never will be taken: the next is made anew */
    const char *why = json_string_value(json_object_get(answer, "error"));
    char words[128];
    snprintf(words, sizeof words, "HTTP %ld %.30s: %.80s", status, code ? code : "",
             why ? why : "");
    if (code && strcmp(code, "unknown-source") == 0)
        return send_root_again(o, now_ms, words);
    set_trouble(o, status >= 500 ? LANG_SYNC_RECEIVER_FAILS : LANG_SYNC_REFUSES, words);
    if ((status >= 400 && status < 500 && status != 408 && status != 429) ||
        (code && strcmp(code, "disk") == 0))
        wait_after_refusal(o, now_ms);
    else
        wait_after_failure(o, now_ms);
    return 0;
}

/* What came down is in the ledger; notes how far, and that it need not go up again. */
static int note_down(struct outbox *o, const struct batch_reader *batch, int64_t before_arrival)
{
    struct db *db = o->ledger->db;
    int result = db_begin(db);
    if (result == 0)
        result = db_down_mark(db, o->sync.target, batch->header.source, before_arrival);
    if (result == 0)
        result = db_outbox_settle(db, o->sync.target);
    if (result == 0)
        result = db_down_set(db, o->sync.target, o->next);
    if (result == 0)
        result = db_commit(db);
    if (result < 0)
        db_rollback(db);
    else
        memcpy(o->down, o->next, sizeof o->down);
    return result;
}

/* The way down does not work; the way up goes on. */
static void on_down_refused(struct outbox *o, const char *why, int64_t now_ms)
{
    set_trouble(o, LANG_SYNC_NOTHING_DOWN, why);
    o->next_ms = now_ms;
    o->down_ms = now_ms + o->interval_ms * OUTBOX_INTERVAL_FACTOR_MAX;
}

static int on_down(struct outbox *o, int64_t now_ms, int64_t wall_ms)
{
    struct ledger *l = o->ledger;
    const uint8_t *bytes = (const uint8_t *)o->answer.text;
    struct batch_reader batch;
    struct ledger_batch_result taken;
    bool sig_ok, more = strcmp(o->next, o->down) != 0;
    int64_t before = 0;
    o->next_ms = now_ms;
    if (!more)
        o->down_ms = now_ms + o->interval_ms * OUTBOX_DOWN_FACTOR;
    if (o->answer.len == 0)
        return 0;
    int result = db_record_last_arrival(l->db, &before);
    if (result < 0)
        return result;
    l->via = DB_VIA_WIRE;
    result = ledger_put_batch(l, bytes, o->answer.len, wall_ms, true, &taken, &sig_ok);
    if (result <= LEDGER_BATCH_EFORM) {
        on_down_refused(o, ledger_batch_strerror(result), now_ms);
        return 0;
    }
    if (result < 0)
        return result;
    ledger_batch_result_free(&taken);
    return batch_open(&batch, bytes, o->answer.len) == BATCH_OK ? note_down(o, &batch, before) : 0;
}

/* Did somebody say this who may, to just this question?  Not we ourselves: our own receiver would
 * confirm what we hold anyway. */
static bool is_signed(const struct outbox *o, long status)
{
    const struct ledger_commune *c = ledger_get(o->ledger, o->commune);
    struct exchange_answer answer = { .status = (unsigned)status, .next = o->next,
                                      .body = o->answer.text, .body_len = o->answer.len };
    uint8_t sig[KENG_SIG_LEN];
    uint16_t number;
    if (!c || !exchange_parse(o->signature, &number, sig) || number == o->identity.number)
        return false;
    const struct roster_author *author = roster_find(&c->roster, number);
    return keys_may_answer(author) &&
           exchange_verify_answer(&o->exchange, &answer, number, author->entry.key, sig);
}

/* After a PUT.  What arrived although its answer was lost says nothing against its length, but that
 * is known only later. */
static void fit_batch(struct outbox *o, bool done)
{
    o->batch_cap = done ? o->batch_cap + OUTBOX_BATCH_LEN_STEP : o->batch_cap / 2;
    if (o->batch_cap > sizeof o->batch)
        o->batch_cap = sizeof o->batch;
    if (o->batch_cap < OUTBOX_BATCH_LEN_MIN)
        o->batch_cap = OUTBOX_BATCH_LEN_MIN;
}

/* Whatever it says, it is not from the receiver; a page of the mobile operator, for example. */
static void on_unsigned(struct outbox *o, long status, const json_t *answer, int64_t now_ms)
{
    const char *why = json_string_value(json_object_get(answer, "error"));
    char words[128];
    snprintf(words, sizeof words, "HTTP %ld%s%.80s", status, why ? ": " : "", why ? why : "");
    set_trouble(o, LANG_SYNC_UNSIGNED, words);
    wait_after_failure(o, now_ms);
}

int outbox_on_done(struct outbox *o, CURLcode code, int64_t now_ms, int64_t wall_ms)
{
    enum outbox_transfer transfer = o->transfer;
    long status = 0;
    curl_easy_getinfo(o->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(o->multi, o->easy);
    o->transfer = OUTBOX_NONE;
    o->before = transfer;
    if (transfer == OUTBOX_PUTTING && (code != CURLE_OK || status == 200 || status >= 500))
        fit_batch(o, code == CURLE_OK && status == 200);
    if (code != CURLE_OK) {
        set_trouble(o, LANG_SYNC_NO_LINE, o->curl_err[0] ? o->curl_err : curl_easy_strerror(code));
        wait_after_failure(o, now_ms);
        return 0;
    }
    json_t *answer = o->answer.text ? json_loadb(o->answer.text, o->answer.len, 0, NULL) : NULL;
    bool batch = transfer == OUTBOX_FETCHING && status == 200;
    int result = 0;
    if (!is_signed(o, status)) {
        on_unsigned(o, status, answer, now_ms);
    } else if (transfer == OUTBOX_FETCHING && status >= 400 && status < 500) {
        const char *why = json_string_value(json_object_get(answer, "error"));
        on_down_refused(o, why ? why : "refused", now_ms);
    } else if (status != 200 || (!batch && !json_is_true(json_object_get(answer, "ok")))) {
        result = on_refusal(o, status, answer, now_ms);
    } else {
        o->sync.troubled = false;
        o->sync.last_ok_ms = wall_ms;
        o->backoff_ms = o->interval_ms;
        if (transfer == OUTBOX_FETCHING) {
            result = on_down(o, now_ms, wall_ms);
        } else if (transfer == OUTBOX_ASKING) {
            result = on_have(o, answer);
            o->asked = true;
            o->next_ms = now_ms;
        } else {
            result = on_put(o, answer, now_ms);
        }
    }
    json_decref(answer);
    if (result == 0)
        result = db_outbox_count(o->ledger->db, o->sync.target, &o->sync.waiting_count);
    if (result < 0) {
        set_trouble(o, LANG_SYNC_OWN_DISK, db_error(o->ledger->db));
        wait_after_failure(o, now_ms);
    }
    return result;
}
