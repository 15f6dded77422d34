#include "gateway/follow.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/bytes.h"
#include "proto/report.h"

static const char CURSOR_KEY[] = "follow_arrival";
static const char CURSOR_HASH_KEY[] = "follow_hash";
static const char INSTANCE_KEY[] = "instance";
static const char FED_KEY[] = "node_fed_arrival";

void follow_init(struct follow *f, struct ledger *l, const char *socket_path)
{
    *f = (struct follow){
        .ledger = l,
        .socket_path = socket_path,
        .log = { .fd = -1 },
        .requests = { .fd = -1 },
        .node = { .configured = true, .number = -1, .held_count = -1, .neighbour_count = -1,
                  .airtime_used_ms = -1, .airtime_allowed_ms = -1 },
        .backoff_ms = FOLLOW_BACKOFF_MS_MIN,
        .reviewer = AUTHOR_NONE,
        .fed_arrival = -1,
    };
}

void follow_close(struct follow *f)
{
    client_close(&f->log);
    client_close(&f->requests);
    f->asked = FOLLOW_IDLE;
    f->node.connected = false;
}

static void give_up(struct follow *f, int64_t now_ms, const char *why)
{
    snprintf(f->node.error, sizeof f->node.error, "%.*s", (int)sizeof f->node.error - 1, why);
    follow_close(f);
    f->retry_ms = now_ms + f->backoff_ms;
    f->backoff_ms *= 2;
    if (f->backoff_ms > FOLLOW_BACKOFF_MS_MAX)
        f->backoff_ms = FOLLOW_BACKOFF_MS_MAX;
}

static bool ask(struct follow *f, enum follow_request what, json_t *request, int64_t now_ms)
{
    if (!request || client_send(&f->requests, request) != 0) {
        give_up(f, now_ms, request ? f->requests.err : "out of memory");
        return false;
    }
    f->asked = what;
    f->deadline_ms = now_ms + FOLLOW_ANSWER_TIMEOUT_MS;
    return true;
}

static void connect_node(struct follow *f, int64_t now_ms)
{
    if (client_open(&f->requests, f->socket_path) != 0) {
        give_up(f, now_ms, f->requests.err);
        return;
    }
    (void)ask(f, FOLLOW_ROSTER, json_pack("{s:s}", "do", "roster"), now_ms);
}

/* ---- answers ---- */

static int64_t number_of(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool read_record(const json_t *record, uint8_t bytes[static RECORD_LEN_MAX],
                        size_t *len_out)
{
    const char *hex = text_of(record, "hex");
    *len_out = strlen(hex) / 2;
    return *len_out <= RECORD_LEN_MAX && strbuf_parse_hex(hex, bytes, *len_out);
}

/* How far the node's log was taken: an arrival there, and a hash of the record that has it. */
struct place {
    int64_t arrival; /* 0: nothing yet */
    int64_t hash;
};

static int64_t hash_of(const uint8_t *bytes, size_t len)
{
    uint8_t hash[KENG_HASH_LEN];
    crypto_generichash(hash, sizeof hash, bytes, len, NULL, 0);
    return (int64_t)load64_be(hash);
}

static int read_place(struct db *db, struct place *place_out)
{
    int result = db_meta_get(db, CURSOR_KEY, &place_out->arrival);
    return result < 0 ? result : db_meta_get(db, CURSOR_HASH_KEY, &place_out->hash);
}

static int write_place(struct db *db, const struct place *place)
{
    int result = db_meta_set(db, CURSOR_KEY, place->arrival);
    return result < 0 ? result : db_meta_set(db, CURSOR_HASH_KEY, place->hash);
}

/* Who of this box may review: an operator before the gateway itself. */
static void choose_reviewer(struct follow *f)
{
    const struct ledger_commune *c = ledger_get(f->ledger, f->commune);
    f->reviewer = AUTHOR_NONE;
    for (size_t i = 0; c && i < f->local_count; i++) {
        const struct roster_author *author = roster_find(&c->roster, f->local[i]);
        if (author && author->entry.role == ROSTER_OPERATOR) {
            f->reviewer = f->local[i];
            return;
        }
        if (author && author->entry.role == ROSTER_GATEWAY && f->reviewer == AUTHOR_NONE)
            f->reviewer = f->local[i];
    }
}

/* Whoever named this socket trusts the node behind it to say which commune it serves. */
static int on_roster(struct follow *f, const json_t *answer, int64_t now_ms)
{
    uint8_t root_key[KENG_KEY_LEN];
    const json_t *commune = json_object_get(answer, "commune");
    const json_t *local = json_object_get(answer, "local");
    if (!strbuf_parse_hex(text_of(commune, "root_key"), root_key, sizeof root_key)) {
        give_up(f, now_ms, "kengd does not say which commune it serves: do the versions match?");
        return 0;
    }
    bool known;
    int result = db_begin(f->ledger->db);
    if (result == 0)
        result = ledger_trust(f->ledger, root_key, &known);
    if (result == 0)
        result = db_commit(f->ledger->db);
    if (result < 0) {
        db_rollback(f->ledger->db);
        int reloaded = ledger_reload(f->ledger);
        give_up(f, now_ms, db_error(f->ledger->db));
        return reloaded < 0 ? reloaded : result;
    }
    struct roster named;
    roster_init(&named, root_key);
    const struct ledger_commune *c = ledger_find(f->ledger, named.network_id);
    f->commune = c ? c->info.id : 0;
    roster_free(&named);
    f->local_count = 0;
    for (size_t i = 0; i < json_array_size(local) && f->local_count < FOLLOW_LOCAL_COUNT_MAX; i++)
        f->local[f->local_count++] = (uint16_t)json_integer_value(json_array_get(local, i));
    choose_reviewer(f);
    struct place place;
    result = read_place(f->ledger->db, &place);
    if (result < 0) {
        give_up(f, now_ms, db_error(f->ledger->db));
        return result;
    }
    json_int_t before = place.arrival > 0 ? place.arrival - 1 : 0;
    (void)ask(f, FOLLOW_PLACE, json_pack("{s:s,s:I,s:i}", "do", "records", "after", before,
                                         "limit", 1), now_ms);
    return 0;
}

/* From the start again, in the log and in what the node is given. */
static int start_over(struct follow *f)
{
    struct db *db = f->ledger->db;
    int result = db_begin(db);
    if (result == 0)
        result = write_place(db, &(struct place){ .arrival = 0 });
    if (result == 0)
        result = db_meta_set(db, FED_KEY, 0);
    if (result == 0)
        result = db_commit(db);
    if (result < 0)
        db_rollback(db);
    else
        f->fed_arrival = f->feed_ms = 0;
    return result;
}

/* A node whose store was made anew, or put back from an older copy, gives its arrivals to other
 * records, and may have given more of them by now than before. */
static int on_place(struct follow *f, const json_t *answer, int64_t now_ms)
{
    struct place place, there = { .arrival = 0 };
    uint8_t bytes[RECORD_LEN_MAX];
    size_t len;
    const json_t *record = json_array_get(json_object_get(answer, "records"), 0);
    if (record && read_record(record, bytes, &len))
        there = (struct place){ number_of(record, "arrival", 0), hash_of(bytes, len) };
    int result = read_place(f->ledger->db, &place);
    if (result == 0 && place.arrival > 0 &&
        (place.arrival != there.arrival || place.hash != there.hash)) {
        result = start_over(f);
        place.arrival = 0;
    }
    if (result < 0) {
        give_up(f, now_ms, db_error(f->ledger->db));
        return result;
    }
    if (client_open(&f->log, f->socket_path) != 0 ||
        client_send(&f->log, json_pack("{s:s,s:I}", "do", "follow", "after",
                                       (json_int_t)place.arrival)) != 0) {
        give_up(f, now_ms, f->log.err);
        return 0;
    }
    f->node.connected = true;
    f->node.error[0] = '\0';
    f->backoff_ms = FOLLOW_BACKOFF_MS_MIN;
    f->status_ms = now_ms;
    return 0;
}

static void take_neighbours(struct console_node *node, const json_t *neighbours)
{
    node->listed_count = 0;
    for (size_t i = 0;
         i < json_array_size(neighbours) && i < CONSOLE_NEIGHBOUR_COUNT_MAX; i++) {
        const json_t *n = json_array_get(neighbours, i);
        node->neighbours[node->listed_count++] = (struct console_neighbour){
            .number = (uint16_t)number_of(n, "node", 0),
            .heard_s = number_of(n, "heard_s", 0),
            .rssi_dbm = (int)number_of(n, "rssi_dbm", 0),
            .snr_db = json_number_value(json_object_get(n, "snr_db")),
            .in_sync = json_is_true(json_object_get(n, "in_sync")),
        };
    }
}

static void on_status(struct follow *f, const json_t *answer)
{
    const json_t *neighbours = json_object_get(answer, "neighbours");
    const json_t *airtime = json_object_get(answer, "airtime");
    const json_t *modem = json_object_get(answer, "modem");
    const json_t *store = json_object_get(answer, "store");
    f->node.number = number_of(answer, "node", -1);
    f->node.held_count = number_of(answer, "records", -1);
    f->node.neighbour_count =
        json_is_array(neighbours) ? (int64_t)json_array_size(neighbours) : -1;
    take_neighbours(&f->node, neighbours);
    f->node.airtime_used_ms = number_of(airtime, "spent_ms", -1);
    f->node.airtime_allowed_ms = number_of(airtime, "budget_ms", -1);
    snprintf(f->node.modem, sizeof f->node.modem, "%.40s %.80s", text_of(modem, "state"),
             text_of(modem, "text"));
    f->node.error[0] = '\0';
    if (strcmp(text_of(store, "state"), "failing") == 0)
        snprintf(f->node.error, sizeof f->node.error, "kengd: %.120s", text_of(store, "text"));
}

/* Is the refusal one that time heals? */
static bool is_passing(const char *code)
{
    static const char *const PASSING[] = { "again", "busy", "behind", "disk", "store-full" };
    for (size_t i = 0; i < sizeof PASSING / sizeof PASSING[0]; i++)
        if (strcmp(code, PASSING[i]) == 0)
            return true;
    return false;
}

static int on_submitted(struct follow *f, const json_t *answer, int64_t now_ms)
{
    if (json_is_true(json_object_get(answer, "ok")))
        return db_outgoing_delete(f->ledger->db, f->outgoing_id);
    f->submit_ms = now_ms + FOLLOW_STATUS_MS;
    if (is_passing(text_of(answer, "code")))
        return 0;
    return db_outgoing_error(f->ledger->db, f->outgoing_id, text_of(answer, "error"));
}

/* ---- what came by wire or file, for the node ---- */

struct feed {
    struct follow *follow;
    json_t *list;
};

static int append_feed(void *ctx, const struct db_record *record)
{
    struct feed *feed = ctx;
    struct follow *f = feed->follow;
    char hex[2 * RECORD_LEN_MAX + 1];
    sodium_bin2hex(hex, sizeof hex, record->bytes, record->len);
    if (json_array_append_new(feed->list, json_string(hex)) != 0)
        return DB_ENOMEM;
    f->feed_arrivals[f->feed_count] = record->arrival;
    f->feed_must[f->feed_count] = !record_is_report(record->kind);
    f->feed_count++;
    return 0;
}

static int feed_node(struct follow *f, int64_t now_ms)
{
    struct db *db = f->ledger->db;
    struct feed feed = { .follow = f, .list = json_array() };
    int64_t last = 0;
    int result = feed.list ? 0 : DB_ENOMEM;
    f->feed_count = 0;
    if (result == 0 && f->fed_arrival < 0)
        result = db_meta_get(db, FED_KEY, &f->fed_arrival);
    if (result == 0)
        result = db_record_last_arrival(db, &last);
    if (result == 0)
        result = db_record_for_node(db, f->commune, f->fed_arrival, FOLLOW_FEED_COUNT,
                                    append_feed, &feed);
    if (result == 0 && f->feed_count > 0) {
        (void)ask(f, FOLLOW_ADD, json_pack("{s:s,s:O}", "do", "add", "records", feed.list),
                  now_ms);
    } else if (result == 0) {
        f->fed_arrival = last;
        f->feed_ms = INT64_MAX;
    }
    json_decref(feed.list);
    if (result < 0)
        f->feed_ms = now_ms + FOLLOW_FEED_RETRY_MS;
    return result;
}

/* The node's word comes when a record is durable there.  One without room for a report has it not,
 * as any full node; the ledger has. */
static int on_added(struct follow *f, const json_t *answer, int64_t now_ms)
{
    const json_t *verdicts = json_object_get(answer, "verdicts");
    size_t done = 0;
    if (json_array_size(verdicts) != f->feed_count) {
        give_up(f, now_ms, "kengd does not say what became of records: do the versions match?");
        return 0;
    }
    for (; done < f->feed_count; done++) {
        const char *verdict = json_string_value(json_array_get(verdicts, done));
        if (f->feed_must[done] && (!verdict || strcmp(verdict, "full") == 0))
            break;
    }
    f->feed_ms = done == f->feed_count ? now_ms : now_ms + FOLLOW_FEED_RETRY_MS;
    if (done == 0)
        return 0;
    f->fed_arrival = f->feed_arrivals[done - 1];
    return db_meta_set(f->ledger->db, FED_KEY, f->fed_arrival);
}

static int on_answer(struct follow *f, const json_t *answer, int64_t now_ms)
{
    enum follow_request asked = f->asked;
    f->asked = FOLLOW_IDLE;
    if (asked != FOLLOW_SUBMIT && !json_is_true(json_object_get(answer, "ok"))) {
        const char *why = text_of(answer, "error");
        give_up(f, now_ms, *why ? why : "kengd gave an answer without sense");
        return 0;
    }
    switch (asked) {
    case FOLLOW_IDLE: break; /* an answer nobody asked for */
    case FOLLOW_ROSTER: return on_roster(f, answer, now_ms);
    case FOLLOW_PLACE: return on_place(f, answer, now_ms);
    case FOLLOW_STATUS: on_status(f, answer); break;
    case FOLLOW_SUBMIT: return on_submitted(f, answer, now_ms);
    case FOLLOW_ADD: return on_added(f, answer, now_ms);
    }
    return 0;
}

/* ---- reviews and directives ---- */

/* A number that tells this database from one that was deleted and made again. */
static int instance_number(struct db *db, int64_t *instance_out)
{
    int result = db_meta_get(db, INSTANCE_KEY, instance_out);
    if (result < 0 || *instance_out != 0)
        return result;
    uint32_t random[2];
    randombytes_buf(random, sizeof random);
    *instance_out = (int64_t)((uint64_t)(random[0] & 0x7fffffffu) << 32 | random[1]) | 1;
    return db_meta_set(db, INSTANCE_KEY, *instance_out);
}

static int submit_outgoing(struct follow *f, int64_t now_ms)
{
    struct db_outgoing_copy next;
    const struct db_outgoing *o = &next.outgoing;
    int64_t instance;
    int result = db_outgoing_next(f->ledger->db, 0, &next);
    if (result >= 0 && o->id != 0)
        result = instance_number(f->ledger->db, &instance);
    if (result < 0 || o->id == 0)
        return result < 0 ? result : 0;
    choose_reviewer(f);
    f->outgoing_id = o->id;
    if (f->reviewer == AUTHOR_NONE)
        return db_outgoing_error(f->ledger->db, o->id, "neither an operator nor a gateway is "
                                 "enrolled on this node");
    if (o->body_len == 0)
        return db_outgoing_error(f->ledger->db, o->id, report_strerror(REPORT_ETOOBIG));
    char hex[2 * RECORD_BODY_LEN_MAX + 1], once[40];
    sodium_bin2hex(hex, sizeof hex, next.body, o->body_len);
    snprintf(once, sizeof once, "%016llx-%lld", (unsigned long long)instance, (long long)o->id);
    (void)ask(f, FOLLOW_SUBMIT, json_pack("{s:s,s:s,s:s,s:s,s:i,s:s}", "do", "submit", "kind",
                                          record_kind_name(o->kind), "priority",
                                          record_priority_name(o->priority), "body", hex, "author",
                                          (int)f->reviewer, "once", once), now_ms);
    return 0;
}

/* ---- the log ---- */

/* One line of the log inside the open transaction: 1 if its record was new. */
static int take_record(struct follow *f, const json_t *record, struct place *place)
{
    struct ledger_commune *c = ledger_get(f->ledger, f->commune);
    uint8_t bytes[RECORD_LEN_MAX];
    struct record_view view;
    size_t len;
    if (!c || !read_record(record, bytes, &len))
        return 0;
    /* Of superseding kinds the record may be gone tomorrow; they hold no place. */
    if (record_decode(bytes, len, &view) == RECORD_OK && view.ref.lane == 0)
        *place = (struct place){ number_of(record, "arrival", 0), hash_of(bytes, len) };
    f->ledger->via = DB_VIA_NODE;
    int verdict = ledger_put(f->ledger, c, bytes, len, number_of(record, "received_ms", 0));
    return verdict < 0 ? verdict : verdict == LEDGER_NEW;
}

/* Takes what is there, at most one group, and makes it durable. */
static int take_log(struct follow *f, int64_t now_ms)
{
    struct db *db = f->ledger->db;
    struct place place = { .arrival = 0 };
    int fresh = 0, result = 0, lines = 0, took = 0;
    bool open = false;
    json_t *line;
    while (lines < FOLLOW_GROUP_COUNT_MAX && result >= 0 &&
           (took = client_take_line(&f->log, &line)) == 1) {
        const json_t *record = json_object_get(line, "record");
        if (record && !open) {
            result = db_begin(db);
            open = result == 0;
        }
        if (record && result >= 0)
            result = take_record(f, record, &place);
        fresh += result == 1;
        lines++;
        json_decref(line);
    }
    if (open && result >= 0 && place.arrival > 0)
        result = write_place(db, &place);
    if (open && result >= 0)
        result = db_commit(db);
    if (result < 0) {
        char why[DB_ERR_LEN];
        snprintf(why, sizeof why, "%s", db_error(db));
        db_rollback(db);
        give_up(f, now_ms, why);
        int reloaded = ledger_reload(f->ledger);
        return reloaded < 0 ? reloaded : result;
    }
    if (took < 0)
        give_up(f, now_ms, f->log.err);
    else if (lines == FOLLOW_GROUP_COUNT_MAX)
        f->last_now_ms = now_ms; /* more may be buffered: come back at once */
    return fresh;
}

int follow_run(struct follow *f, int64_t now_ms)
{
    f->last_now_ms = 0;
    if (f->requests.fd < 0) {
        if (now_ms >= f->retry_ms)
            connect_node(f, now_ms);
        return 0;
    }
    json_t *answer;
    int took = client_take_line(&f->requests, &answer);
    if (took < 0) {
        give_up(f, now_ms, f->requests.err);
        return 0;
    }
    int result = 0;
    if (took == 1) {
        result = on_answer(f, answer, now_ms);
        json_decref(answer);
    } else if (f->asked != FOLLOW_IDLE && now_ms >= f->deadline_ms) {
        give_up(f, now_ms, "kengd does not answer: restart it");
        return 0;
    }
    int fresh = 0;
    if (result >= 0 && f->log.fd >= 0)
        fresh = take_log(f, now_ms);
    if (result < 0 || fresh < 0 || f->log.fd < 0 || f->asked != FOLLOW_IDLE)
        return result < 0 ? result : fresh;
    if (now_ms >= f->submit_ms) {
        f->submit_ms = now_ms + FOLLOW_STATUS_MS;
        result = submit_outgoing(f, now_ms);
        if (f->asked == FOLLOW_SUBMIT)
            f->submit_ms = now_ms; /* look for another one right after the answer */
    }
    if (result >= 0 && f->asked == FOLLOW_IDLE && f->log.fd >= 0 && now_ms >= f->status_ms) {
        f->status_ms = now_ms + FOLLOW_STATUS_MS;
        (void)ask(f, FOLLOW_STATUS, json_pack("{s:s}", "do", "status"), now_ms);
    }
    if (result >= 0 && f->asked == FOLLOW_IDLE && f->log.fd >= 0 && now_ms >= f->feed_ms)
        result = feed_node(f, now_ms);
    return result < 0 ? result : fresh;
}

void follow_fds(const struct follow *f, int fds_out[2])
{
    fds_out[0] = f->requests.fd;
    fds_out[1] = f->log.fd;
}

int64_t follow_deadline_ms(const struct follow *f)
{
    if (f->last_now_ms)
        return f->last_now_ms;
    if (f->requests.fd < 0)
        return f->retry_ms;
    if (f->asked != FOLLOW_IDLE)
        return f->deadline_ms;
    int64_t next_ms = f->status_ms < f->submit_ms ? f->status_ms : f->submit_ms;
    return next_ms < f->feed_ms ? next_ms : f->feed_ms;
}

void follow_kick(struct follow *f)
{
    f->submit_ms = 0;
}

void follow_news(struct follow *f)
{
    if (f->feed_ms == INT64_MAX) /* a full node is not asked sooner */
        f->feed_ms = 0;
}
