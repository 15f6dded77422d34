/* The receiver over a real server on loopback, and the outbox that pushes into it and takes what
 * comes down. */
#include "tests/unit/test_http_kit.h"

#include <netinet/in.h>

#include "gateway/outbox.h"

enum { LONG_LEN = 3 * BATCH_LEN_MAX, ROUND_COUNT_MAX = 20000 };

/* ---- asking as anybody could ---- */

/* Appends network and a nonce. */
static void put_network(const struct place *p, char *path, size_t cap, const char *path_start)
{
    char hex[2 * KENG_NETWORK_ID_LEN + 1];
    sodium_bin2hex(hex, sizeof hex, p->kit.network_id, KENG_NETWORK_ID_LEN);
    snprintf(path, cap, "%s?network=%s&nonce=%032d", path_start, hex, 7);
}

static struct reply *put_batch(struct place *p, const uint8_t *bytes, size_t len)
{
    uint8_t hash[KENG_HASH_LEN];
    char path[512], start[128], hex[2 * KENG_HASH_LEN + 1];
    crypto_generichash(hash, sizeof hash, bytes, len, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(start, sizeof start, "/v1/batch/%s", hex);
    put_network(p, path, sizeof path, start);
    struct ask a = { .method = "PUT", .path = path, .body = bytes, .body_len = len };
    return ask(p, &a);
}

/* ---- the receiver ---- */

static void test_uplink_receiver_answers_each_batch(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct kit foreign;
    struct kit_record records[16];
    size_t len;
    kit_init(&foreign, 2);
    size_t count = kit_root_log(k, records);
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 1, 3);
    uint8_t *early = kit_batch(k, KIT_GATEWAY, &report, 1, &len);
    assert_reply("no roster yet", put_batch(p, early, len), 403, "\"unknown-source\"");
    assert_false(p->known);
    free(early);
    records[count++] = report;
    records[count] = kit_damage(k, KIT_ANNA, 3, 1, 4);
    records[count].bytes[12] ^= 1;
    count++;
    uint8_t *good = kit_batch(k, KIT_GATEWAY, records, count, &len);
    assert_reply("first time", put_batch(p, good, len), 200,
                 "\"verdicts\":{\"new\":6,\"bad-signature\":1},"
                 "\"refused\":[{\"index\":6,\"reason\":\"bad-signature\"}]");
    assert_true(p->known);
    assert_reply("second time", put_batch(p, good, len), 200, "\"duplicate\":6");
    assert_false(p->known); /* anybody may have found it */
    assert_reply("how far", put_batch(p, good, len), 200, "{\"author\":12,\"seq\":1,\"count\":1}");
    good[len - 70] ^= 1;
    assert_reply("changed on the way", put_batch(p, good, len), 403, "\"bad-signature\"");
    free(good);
    uint8_t *stranger = kit_batch(&foreign, AUTHOR_ROOT, &report, 1, &len);
    assert_reply("another network's batch", put_batch(p, stranger, len), 400, "\"bad-request\"");
    memcpy(k->network_id, foreign.network_id, sizeof k->network_id);
    assert_reply("another commune", put_batch(p, stranger, len), 403, "\"not-trusted\"");
    free(stranger);
}

static void test_uplink_receiver_stands_hostile_requests(void **state)
{
    struct place *p = *state;
    char hash[65], batch[512], bad_hex[512], have[512], have_bad[600], down[512], down_long[700];
    char down_split[600];
    char nobody[256], start[128];
    uint8_t *junk = calloc(1, LONG_LEN);
    assert_non_null(junk);
    randombytes_buf_deterministic(junk, LONG_LEN, (const uint8_t[32]){ 5 });
    memset(hash, 'a', 64);
    hash[64] = '\0';
    snprintf(start, sizeof start, "/v1/batch/%s", hash);
    put_network(p, batch, sizeof batch, start);
    snprintf(start, sizeof start, "/v1/batch/%.63sg", hash);
    put_network(p, bad_hex, sizeof bad_hex, start);
    put_network(p, have, sizeof have, "/v1/have");
    snprintf(have_bad, sizeof have_bad, "%s&batch=xyz", have);
    put_network(p, down, sizeof down, "/v1/down");
    snprintf(down_long, sizeof down_long, "%s&since=%s%s", down, hash, hash);
    snprintf(down_split, sizeof down_split, "%s&since=1%%0d%%0aX-Y:1", down);
    snprintf(nobody, sizeof nobody, "/v1/have?network=%s&nonce=%.32s", hash, hash);
    const struct { const char *name; struct ask ask; long status; const char *words; } CASES[] = {
        { "another hash", { "PUT", batch, NULL, junk, 100 }, 400, "\"bad-hash\"" },
        { "no hex", { "PUT", bad_hex, NULL, junk, 100 }, 400, "\"bad-hash\"" },
        { "no name", { "PUT", "/v1/batch/", NULL, junk, 100 }, 400, "\"bad-hash\"" },
        { "too long", { "PUT", batch, NULL, junk, BATCH_LEN_MAX + 1 }, 413, "\"too-big\"" },
        { "much too long", { "PUT", batch, NULL, junk, LONG_LEN }, 413, "\"too-big\"" },
        { "got instead of put", { "GET", batch, NULL, NULL, 0 }, 405, "\"bad-request\"" },
        { "have of nobody", { "GET", nobody, NULL, NULL, 0 }, 403, "\"not-trusted\"" },
        { "have of nothing", { "GET", "/v1/have", NULL, NULL, 0 }, 400, "\"bad-request\"" },
        { "have of no batch", { "GET", have_bad, NULL, NULL, 0 }, 400, "\"bad-hash\"" },
        { "down without a roster", { "GET", down, NULL, NULL, 0 }, 403, "\"no-key\"" },
        { "down with a header", { "GET", down_split, NULL, NULL, 0 }, 400, "\"bad-request\"" },
        { "down from too far", { "GET", down_long, NULL, NULL, 0 }, 400, "\"bad-request\"" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_reply(CASES[i].name, ask(p, &CASES[i].ask), CASES[i].status, CASES[i].words);
    for (size_t len = 0; len < 400; len += 7)
        assert_int_equal(put_batch(p, junk, len ? len : 1)->status, 400);
    free(junk);
}

/* ---- the outbox ---- */

struct sender {
    struct db *db;
    struct ledger ledger;
    struct outbox outbox;
    int64_t skew_ms;
};

static void start_outbox(struct place *p, struct sender *s)
{
    struct home_identity identity = { .number = KIT_GATEWAY };
    char url[64], err[OUTBOX_ERR_LEN];
    memcpy(identity.public_key, p->kit.public_keys[KIT_GATEWAY], KENG_KEY_LEN);
    memcpy(identity.secret_key, p->kit.secret_keys[KIT_GATEWAY], KENG_SIG_LEN);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)http_server_port(p->server));
    if (outbox_init(&s->outbox, &s->ledger, p->multi, url, NULL, &identity, 1, 1000, err) != 0)
        fail_msg("%s", err);
}

/* Both ends trust the root and know whom it enrolled. */
static void open_sender(struct place *p, struct sender *s)
{
    struct kit_record log[8];
    size_t count = kit_root_log(&p->kit, log);
    *s = (struct sender){ .db = kit_open_db(p->dir, "b.db") };
    kit_open_ledger(&p->kit, s->db, &s->ledger);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(kit_put(&p->kit, &s->ledger, &log[i]), LEDGER_NEW);
        assert_int_equal(kit_put(&p->kit, &p->ledger, &log[i]), LEDGER_NEW);
    }
    start_outbox(p, s);
}

static void close_sender(struct sender *s)
{
    outbox_close(&s->outbox);
    ledger_free(&s->ledger);
    db_close(s->db);
}

static void pump_sender(struct place *p, struct sender *s)
{
    int left;
    CURLMsg *done;
    s->skew_ms += 20; /* back-off passes quicker than real time */
    assert_int_equal(outbox_run(&s->outbox, now_ms() + s->skew_ms, KIT_NOW_MS), 0);
    if (p->server) {
        pump(p);
    } else {
        int running;
        curl_multi_perform(p->multi, &running);
        struct timespec pause = { .tv_nsec = 200000 };
        nanosleep(&pause, NULL);
    }
    while ((done = curl_multi_info_read(p->multi, &left)) != NULL)
        assert_int_equal(outbox_on_done(&s->outbox, done->data.result, now_ms() + s->skew_ms,
                                        KIT_NOW_MS), 0);
}

static int64_t waiting_count(struct sender *s)
{
    int64_t waiting = -1;
    assert_int_equal(db_outbox_count(s->db, s->outbox.sync.target, &waiting), 0);
    return waiting;
}

/* Until the way down was asked and had nothing more. */
static void fetch_all(struct place *p, struct sender *s)
{
    outbox_send_now(&s->outbox, now_ms() + s->skew_ms);
    for (int i = 0; i < ROUND_COUNT_MAX && s->outbox.down_ms <= now_ms() + s->skew_ms; i++)
        pump_sender(p, s);
    assert_true(s->outbox.down_ms > now_ms() + s->skew_ms);
}

static void push_all(struct place *p, struct sender *s)
{
    for (int i = 0; i < ROUND_COUNT_MAX && waiting_count(s) != 0; i++)
        pump_sender(p, s);
    assert_int_equal(waiting_count(s), 0);
}

static int64_t last_arrival(struct db *db)
{
    int64_t last = 0;
    assert_int_equal(db_record_last_arrival(db, &last), 0);
    return last;
}

/* A run of one author's records in one transaction. */
static void put_run(struct place *p, struct ledger *l, uint32_t first, uint32_t last,
                    struct kit_record (*make)(const struct kit *k, uint32_t seq))
{
    assert_int_equal(db_begin(l->db), 0);
    for (uint32_t seq = first; seq <= last; seq++) {
        struct kit_record r = make(&p->kit, seq);
        assert_int_equal(ledger_put(l, ledger_find(l, p->kit.network_id), r.bytes, r.len,
                                    KIT_NOW_MS), LEDGER_NEW);
    }
    assert_int_equal(db_commit(l->db), 0);
}

static struct kit_record make_damage(const struct kit *k, uint32_t seq)
{
    return kit_damage(k, KIT_BINH, seq, 1, seq);
}

static void put_damage(struct place *p, struct ledger *l, uint16_t author, uint32_t seq)
{
    struct kit_record r = kit_damage(&p->kit, author, seq, 1, seq);
    assert_int_equal(kit_put(&p->kit, l, &r), LEDGER_NEW);
}

static int compare_with_receiver(void *ctx, const struct db_record *record)
{
    struct place *p = ctx;
    assert_int_equal(ledger_put(&p->ledger, ledger_find(&p->ledger, p->kit.network_id),
                                record->bytes, record->len, KIT_NOW_MS), LEDGER_DUPLICATE);
    return 0;
}

/* Stored, but nobody hears so. */
static void cut_first(struct place *p, const struct http_request *request,
                      struct http_answer *answer)
{
    p->put_count += request->method == HTTP_PUT;
    if (request->method == HTTP_PUT && p->fail_count > 0) {
        p->fail_count--;
        strbuf_free(&answer->body);
        answer->signature[0] = '\0';
        answer->status = 503;
    }
}

static void test_uplink_brings_everything_up_through_cut_links(void **state)
{
    struct place *p = *state;
    struct sender s;
    char listen[32];
    open_sender(p, &s);
    put_run(p, &s.ledger, 1, 700, make_damage);
    p->fail_count = 1; /* the first answer is lost after the batch was stored */
    p->seen = cut_first;
    bool cut = false;
    uint16_t port = http_server_port(p->server);
    for (int i = 0; i < ROUND_COUNT_MAX && waiting_count(&s) != 0; i++) {
        pump_sender(p, &s);
        if (!cut && p->put_count == 2) { /* then the receiver goes away for a while */
            cut = true;
            http_server_stop(p->server);
            p->server = NULL;
            for (int j = 0; j < 200; j++)
                pump_sender(p, &s);
            assert_true(s.outbox.sync.troubled);
            snprintf(listen, sizeof listen, "127.0.0.1:%u", (unsigned)port);
            start_server(p, listen);
        }
    }
    assert_true(cut);
    assert_int_equal(waiting_count(&s), 0);
    assert_false(s.outbox.sync.troubled);
    int64_t everything;
    assert_int_equal(db_outbox_target(s.db, "test:", 1, &everything), 0);
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(db_outbox_waiting(s.db, everything, compare_with_receiver, p), 0);
    assert_int_equal(db_commit(p->db), 0);
    assert_int_equal(last_arrival(p->db), 705); /* none twice */
    close_sender(&s);
}

static void test_uplink_fills_a_receiver_that_was_restored(void **state)
{
    struct place *p = *state;
    struct sender s;
    open_sender(p, &s);
    put_damage(p, &s.ledger, KIT_ANNA, 1);
    /* The sender believes that all was confirmed long ago, but this receiver lacks the last. */
    for (int64_t arrival = 1; arrival <= 6; arrival++)
        assert_int_equal(db_outbox_answered(s.db, s.outbox.sync.target, arrival, NULL), 0);
    assert_int_equal(db_outbox_settle(s.db, s.outbox.sync.target), 0);
    for (int i = 0; i < ROUND_COUNT_MAX && last_arrival(p->db) < 6; i++)
        pump_sender(p, &s);
    assert_int_equal(last_arrival(p->db), 6);
    close_sender(&s);
}

/* Gaps are normal in a mesh.  They must not be taken for a receiver's loss: on a line that is often
 * cut everything behind the gap would be sent again and again. */
static void test_uplink_does_not_take_a_gap_for_a_loss(void **state)
{
    static const uint32_t SEQS[] = { 1, 3, 4, 7 };
    struct place *p = *state;
    struct sender s;
    open_sender(p, &s);
    for (size_t i = 0; i < sizeof SEQS / sizeof SEQS[0]; i++)
        put_damage(p, &s.ledger, KIT_ANNA, SEQS[i]);
    push_all(p, &s);
    s.outbox.asked = false; /* as after a cut: the receiver is asked again */
    outbox_send_now(&s.outbox, now_ms() + s.skew_ms);
    for (int i = 0; i < ROUND_COUNT_MAX && !s.outbox.asked; i++)
        pump_sender(p, &s);
    assert_true(s.outbox.asked);
    assert_int_equal(waiting_count(&s), 0);
    close_sender(&s);
}

/* Gives whoever asks a byte now and then, and never all. */
static void drip(int listening, int *fd)
{
    static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    static int turn;
    if (*fd < 0) {
        *fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (*fd >= 0)
            assert_int_equal(send(*fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL), sizeof HEAD - 1);
    } else if (turn++ % 100 == 0) {
        (void)send(*fd, "x", 1, MSG_NOSIGNAL);
    }
}

static void test_uplink_leaves_a_peer_that_drips(void **state)
{
    struct place *p = *state;
    struct sender s;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t address_len = sizeof address;
    int peer = -1, listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    open_sender(p, &s);
    assert_int_equal(bind(listening, (const struct sockaddr *)&address, address_len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &address_len), 0);
    snprintf(s.outbox.base, sizeof s.outbox.base, "http://127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    s.outbox.stall_timeout_s = 1;
    for (int i = 0; i < ROUND_COUNT_MAX && !s.outbox.sync.troubled; i++) {
        pump_sender(p, &s);
        drip(listening, &peer);
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    assert_true(s.outbox.sync.troubled);
    assert_int_equal(s.outbox.transfer, OUTBOX_NONE);
    close(peer);
    close(listening);
    close_sender(&s);
}

static int count_refused(void *ctx, const struct db_record *record, const char *reason)
{
    (void)record;
    assert_string_equal(reason, "revoked");
    ++*(size_t *)ctx;
    return 0;
}

static size_t refused_count(struct sender *s)
{
    size_t count = 0;
    assert_int_equal(db_outbox_refused(s->db, s->outbox.sync.target, count_refused, &count), 0);
    return count;
}

static void count_put(struct place *p, const struct http_request *request,
                      struct http_answer *answer)
{
    struct batch_reader batch;
    (void)answer;
    if (request->method != HTTP_PUT)
        return;
    assert_int_equal(batch_open(&batch, request->body, request->body_len), BATCH_OK);
    p->put_count += batch.header.count;
}

/* The bound was set too low, and is raised. */
static void test_uplink_sends_again_what_a_revocation_kept_back(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct sender s;
    open_sender(p, &s);
    for (uint32_t seq = 1; seq <= 3; seq++)
        put_damage(p, &s.ledger, KIT_ANNA, seq);
    put_run(p, &s.ledger, 1, 300, make_damage);
    struct kit_record revoked = kit_enrol(k, KIT_ANNA, ROSTER_MEMBER, 3, "Nguyễn Thị An", 2);
    assert_int_equal(kit_put(k, &p->ledger, &revoked), LEDGER_NEW);
    push_all(p, &s);
    assert_int_equal(refused_count(&s), 2);
    fetch_all(p, &s);
    push_all(p, &s);
    assert_int_equal(refused_count(&s), 2);
    assert_int_equal(last_arrival(p->db), 6 + 300 + 1);
    struct kit_record back = kit_enrol(k, KIT_ANNA, ROSTER_MEMBER, 3, "Nguyễn Thị An", 0);
    assert_int_equal(kit_put(k, &s.ledger, &back), LEDGER_NEW);
    assert_int_equal(waiting_count(&s), 3); /* she and her two; nothing of the others again */
    p->seen = count_put;
    outbox_send_now(&s.outbox, now_ms() + s.skew_ms);
    push_all(p, &s);
    assert_int_equal(p->put_count, 3);
    assert_int_equal(refused_count(&s), 0);
    assert_int_equal(last_arrival(p->db), 6 + 300 + 1 + 3);
    close_sender(&s);
}

static void note_first_put(struct place *p, const struct http_request *request,
                           struct http_answer *answer)
{
    struct batch_reader batch;
    (void)answer;
    if (request->method != HTTP_PUT)
        return;
    assert_int_equal(batch_open(&batch, request->body, request->body_len), BATCH_OK);
    if (p->put_count++ == 0)
        p->first_put_count = batch.header.count;
}

static void test_uplink_sends_rescue_ahead_of_a_backlog(void **state)
{
    struct place *p = *state;
    struct sender s;
    struct report call = { .text_len = 3, .text = "hai" };
    open_sender(p, &s);
    push_all(p, &s);
    p->seen = note_first_put;
    put_run(p, &s.ledger, 1, 500, make_damage);
    struct kit_record rescue = kit_report(&p->kit, KIT_ANNA, 1, RECORD_RESCUE, &call);
    assert_int_equal(kit_put(&p->kit, &s.ledger, &rescue), LEDGER_NEW);
    assert_int_equal(outbox_kick(&s.outbox, now_ms() + s.skew_ms), 0);
    push_all(p, &s);
    assert_int_equal(p->first_put_count, 1); /* alone: short enough for a bad link */
    assert_true(p->put_count > 2);
    close_sender(&s);
}

/* Too long for the line, or for the disk behind it. */
static void test_uplink_makes_batches_as_short_as_the_line_needs(void **state)
{
    struct place *p = *state;
    struct sender s;
    open_sender(p, &s);
    put_run(p, &s.ledger, 1, 300, make_damage);
    p->refused_len = 4000;
    push_all(p, &s);
    assert_int_equal(last_arrival(p->db), 305);
    assert_in_range(p->fail_count, 3, 12); /* 24, 12, 6 kB, and now and then 6 again */
    p->refused_len = 0;
    p->seen = note_first_put; /* and long again when it bears them */
    put_run(p, &s.ledger, 301, 1300, make_damage);
    assert_int_equal(outbox_kick(&s.outbox, now_ms() + s.skew_ms), 0);
    p->put_count = 0;
    push_all(p, &s);
    assert_true(p->put_count < 20);
    close_sender(&s);
}

/* ---- who answers ---- */

enum spoiling {
    SPOIL_UNSIGNED,
    SPOIL_GARBLED,
    SPOIL_OTHER_TIME, /* what the receiver once said, to another question */
    SPOIL_CHANGED,
    SPOIL_STATUS,
    SPOIL_MEMBER,     /* enrolled, but nobody's receiver */
    SPOIL_SENDER,     /* our own */
    SPOIL_COUNT,
};

static void sign_as(const struct place *p, const struct http_request *request, uint16_t number,
                    struct http_answer *answer)
{
    char question[OUTBOX_QUESTION_LEN];
    struct exchange x = { .question = question };
    struct exchange_answer what = { .status = answer->status, .next = answer->next,
                                    .body = answer->body.text, .body_len = answer->body.len };
    snprintf(question, sizeof question, "%s?network=%s", request->path,
             http_query(request, "network"));
    memcpy(x.network_id, p->kit.network_id, sizeof x.network_id);
    assert_true(strbuf_parse_hex(http_query(request, "nonce"), x.nonce, sizeof x.nonce));
    exchange_sign_answer(&x, &what, number, p->kit.secret_keys[number], answer->signature);
}

static void spoil(struct place *p, const struct http_request *request, struct http_answer *answer)
{
    char old[EXCHANGE_SIGNED_LEN];
    memcpy(old, p->old_signature, sizeof old);
    memcpy(p->old_signature, answer->signature, sizeof p->old_signature);
    p->put_count += request->method == HTTP_PUT;
    p->fail_count++;
    switch ((enum spoiling)p->spoiling) {
    case SPOIL_UNSIGNED: answer->signature[0] = '\0'; break;
    case SPOIL_GARBLED: answer->signature[20] ^= 1; break;
    case SPOIL_OTHER_TIME: memcpy(answer->signature, old, sizeof old); break;
    case SPOIL_CHANGED: strbuf_put(&answer->body, " "); break;
    case SPOIL_STATUS: answer->status = 201; break;
    case SPOIL_MEMBER: sign_as(p, request, KIT_ANNA, answer); break;
    case SPOIL_SENDER: sign_as(p, request, KIT_GATEWAY, answer); break;
    case SPOIL_COUNT: break;
    }
}

static void test_uplink_believes_only_signed_answers(void **state)
{
    struct place *p = *state;
    struct sender s;
    open_sender(p, &s);
    put_damage(p, &s.ledger, KIT_ANNA, 1);
    p->seen = spoil;
    for (p->spoiling = 0; p->spoiling < SPOIL_COUNT; p->spoiling++) {
        p->fail_count = 0;
        outbox_send_now(&s.outbox, now_ms() + s.skew_ms);
        for (int i = 0; i < ROUND_COUNT_MAX && p->fail_count < 3; i++)
            pump_sender(p, &s);
        if (waiting_count(&s) != 6 || !s.outbox.sync.troubled ||
            s.outbox.sync.trouble != LANG_SYNC_UNSIGNED)
            fail_msg("%d: %s", p->spoiling, s.outbox.sync.error);
    }
    p->seen = NULL;
    push_all(p, &s);
    assert_false(s.outbox.sync.troubled);
    /* The same for a batch whose question was answered well. */
    fetch_all(p, &s);
    pump_sender(p, &s);
    put_damage(p, &s.ledger, KIT_ANNA, 2);
    assert_int_equal(outbox_kick(&s.outbox, now_ms() + s.skew_ms), 0);
    p->seen = spoil;
    p->put_count = 0;
    p->spoiling = SPOIL_MEMBER;
    for (int i = 0; i < ROUND_COUNT_MAX && p->put_count == 0; i++)
        pump_sender(p, &s);
    for (int i = 0; i < 50; i++)
        pump_sender(p, &s);
    assert_int_equal(last_arrival(p->db), 7); /* it is there, and the sender must not believe so */
    assert_int_equal(waiting_count(&s), 1);
    p->seen = NULL;
    push_all(p, &s);
    close_sender(&s);
}

/* ---- the way down ---- */

static struct kit_record make_directive(const struct kit *k, uint32_t seq)
{
    struct directive d = { .text_len = 60, .village = seq };
    uint8_t body[RECORD_BODY_LEN_MAX];
    memset(d.text, 'x', d.text_len);
    int len = directive_encode(&d, body, sizeof body);
    assert_true(len > 0);
    return kit_sign(k, KIT_OPERATOR, seq, RECORD_DIRECTIVE, PRIORITY_EVACUATION, body,
                    (size_t)len);
}

static void put_directives(struct place *p, uint32_t first, uint32_t last)
{
    put_run(p, &p->ledger, first, last, make_directive);
}

static void note_down(struct place *p, const struct http_request *request,
                      struct http_answer *answer)
{
    p->put_count += request->method == HTTP_PUT;
    p->down_count += strcmp(request->path, "/v1/down") == 0 && answer->body.len > 0;
    assert_true(answer->body.len <= BATCH_LEN_TARGET);
    if (p->fail_count > 0 && strcmp(request->path, "/v1/down") == 0) {
        p->fail_count--;
        answer->status = 503;
    }
}

static void test_uplink_takes_down_what_is_no_report(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct sender s;
    open_sender(p, &s);
    push_all(p, &s);
    put_damage(p, &p->ledger, KIT_BINH, 1); /* by another way: not for those below */
    struct kit_record fresh = kit_enrol(k, 20, ROSTER_MEMBER, 1, "Mới", 0);
    struct kit_record review = kit_review(k, KIT_OPERATOR, 401, KIT_BINH, 1, REVIEW_SEEN, "ok");
    put_directives(p, 1, 400);
    assert_int_equal(kit_put(k, &p->ledger, &fresh), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &review), LEDGER_NEW);
    p->seen = note_down;
    p->fail_count = 1;
    p->put_count = 0;
    fetch_all(p, &s);
    assert_int_equal(last_arrival(s.db), 5 + 400 + 2);
    assert_true(p->down_count > 2); /* in pieces */
    assert_non_null(roster_find(&s.ledger.communes[0].roster, 20));
    assert_int_equal(waiting_count(&s), 0); /* nothing of it goes up again */
    assert_int_equal(p->put_count, 0);

    unsigned before = p->down_count;
    outbox_close(&s.outbox); /* killed and started again: it goes on where it was */
    start_outbox(p, &s);
    fetch_all(p, &s);
    assert_int_equal(p->down_count, before);
    put_directives(p, 402, 402);
    put_damage(p, &s.ledger, 20, 1); /* the new member may write */
    fetch_all(p, &s);
    push_all(p, &s);
    assert_int_equal(p->down_count, before + 1);
    assert_int_equal(last_arrival(s.db), 5 + 400 + 2 + 2);
    close_sender(&s);
}

/* What one tier sent up does not come down to it, but does to others. */
static void test_uplink_takes_nothing_down_that_it_brought(void **state)
{
    struct place *p = *state;
    struct sender s;
    open_sender(p, &s);
    struct kit_record r = make_directive(&p->kit, 1);
    assert_int_equal(kit_put(&p->kit, &s.ledger, &r), LEDGER_NEW);
    push_all(p, &s);
    p->seen = note_down;
    fetch_all(p, &s);
    /* The root's log was put in here by hand, so it comes. */
    assert_int_equal(p->down_count, 1);
    assert_int_equal(last_arrival(p->db), 6);
    assert_int_equal(last_arrival(s.db), 6);
    close_sender(&s);
}

/* It was heard by radio; only the name of its author came down. */
static void test_uplink_sends_what_waited_for_a_roster_from_above(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct sender s;
    open_sender(p, &s);
    push_all(p, &s);
    struct kit_record review = kit_review(k, 20, 1, KIT_ANNA, 1, REVIEW_SEEN, "");
    assert_int_equal(kit_put(k, &s.ledger, &review), LEDGER_UNKNOWN_AUTHOR);
    struct kit_record entry = kit_enrol(k, 20, ROSTER_OPERATOR, 0, "Trực ban hai", 0);
    assert_int_equal(kit_put(k, &p->ledger, &entry), LEDGER_NEW);
    fetch_all(p, &s);
    push_all(p, &s);
    assert_int_equal(last_arrival(s.db), 7);
    assert_int_equal(last_arrival(p->db), 7);
    close_sender(&s);
}

static void test_uplink_starts_anew_below_a_restored_receiver(void **state)
{
    struct place *p = *state;
    struct sender s;
    open_sender(p, &s);
    push_all(p, &s);
    put_directives(p, 1, 3);
    fetch_all(p, &s);
    assert_int_equal(last_arrival(s.db), 8);
    /* As if the receiver had given that arrival to another record. */
    char *digit = &s.outbox.down[strlen(s.outbox.down) - 1];
    *digit = *digit == '0' ? '1' : '0';
    put_directives(p, 4, 4);
    fetch_all(p, &s);
    assert_int_equal(last_arrival(s.db), 9);
    close_sender(&s);
}

/* Names and words of people go to the enrolled only. */
static void test_uplink_gives_nothing_down_to_strangers(void **state)
{
    struct place *p = *state;
    struct kit foreign;
    struct sender s;
    char question[512], path[1024], network[2 * KENG_NETWORK_ID_LEN + 1];
    char from[EXCHANGE_SIGNED_LEN];
    struct exchange x = { .question = question };
    open_sender(p, &s);
    kit_init(&foreign, 2);
    struct kit_record gone = kit_enrol(&p->kit, KIT_BINH, ROSTER_MEMBER, 3, "Lý Văn Bình", 1);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &gone), LEDGER_NEW);
    memcpy(x.network_id, p->kit.network_id, sizeof x.network_id);
    sodium_bin2hex(network, sizeof network, x.network_id, sizeof x.network_id);
    snprintf(question, sizeof question, "/v1/down?network=%s&since=", network);
    const struct {
        const char *name;
        const struct kit *kit;
        uint16_t number;
        bool other;
        long want;
    } CASES[] = {
        { "enrolled", &p->kit, KIT_ANNA, false, 200 },
        { "another key", &foreign, KIT_ANNA, false, 403 },
        { "nobody", &p->kit, KIT_STRANGER, false, 403 },
        { "revoked", &p->kit, KIT_BINH, false, 403 },
        { "another question", &p->kit, KIT_ANNA, true, 403 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        exchange_sign_question(&x, CASES[i].number, CASES[i].kit->secret_keys[CASES[i].number],
                               from);
        snprintf(path, sizeof path, "%s%s&nonce=%032d&from=%s", question,
                 CASES[i].other ? "1-ab" : "", 0, from);
        struct ask a = { .method = "GET", .path = path };
        assert_int_equal(ask(p, &a)->status, CASES[i].want);
        assert_int_equal(p->known, CASES[i].want == 200);
    }
    struct ask unsigned_one = { .method = "GET", .path = path };
    path[strlen(path) - strlen(from) - strlen("&from=")] = '\0';
    assert_int_equal(ask(p, &unsigned_one)->status, 403);
    close_sender(&s);
}

/* ---- settings ---- */

static void test_uplink_refuses_addresses_in_the_clear(void **state)
{
    struct place *p = *state;
    struct home_identity identity = { .number = KIT_GATEWAY };
    char err[OUTBOX_ERR_LEN];
    static const char *const BAD[] = {
        "http://province.example", "http://127.0.0.1.example/", "ftp://127.0.0.1", "province",
        "https://user@host", "https://host/?a=b", "http://localhost.evil",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct outbox o;
        assert_int_equal(outbox_init(&o, &p->ledger, p->multi, BAD[i], NULL, &identity, 1, 1000,
                                     err), -1);
    }
}

static void test_uplink_reads_links_strictly(void **state)
{
    (void)state;
    char err[OUTBOX_ERR_LEN];
    static struct outbox o;
    static const char *const BAD[] = {
        "", ",interface=x", "a,", "a,interface=", "a,speed=3", "a,proxy=ftp://x", "interface=x",
        "a-name-that-is-too-long",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_int_equal(outbox_add_link(&o, BAD[i], err), -1);
    assert_int_equal(o.link_count, 0);
    assert_int_equal(outbox_add_link(&o, "cable", err), 0);
    assert_int_equal(outbox_add_link(&o, "sat,proxy=http://10.0.0.1:3128,interface=eth1", err), 0);
    assert_string_equal(o.links[1].name, "sat");
    assert_string_equal(o.links[1].interface, "eth1");
    assert_string_equal(o.links[1].proxy, "http://10.0.0.1:3128");
    assert_int_equal(outbox_add_link(&o, "c", err), 0);
    assert_int_equal(outbox_add_link(&o, "d", err), 0);
    assert_int_equal(outbox_add_link(&o, "e", err), -1);
}

int main(void)
{
#define UPLINK_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(test_uplink_receiver_answers_each_batch),
        UPLINK_TEST(test_uplink_receiver_stands_hostile_requests),
        UPLINK_TEST(test_uplink_brings_everything_up_through_cut_links),
        UPLINK_TEST(test_uplink_fills_a_receiver_that_was_restored),
        UPLINK_TEST(test_uplink_does_not_take_a_gap_for_a_loss),
        UPLINK_TEST(test_uplink_sends_again_what_a_revocation_kept_back),
        UPLINK_TEST(test_uplink_sends_rescue_ahead_of_a_backlog),
        UPLINK_TEST(test_uplink_makes_batches_as_short_as_the_line_needs),
        UPLINK_TEST(test_uplink_believes_only_signed_answers),
        UPLINK_TEST(test_uplink_takes_down_what_is_no_report),
        UPLINK_TEST(test_uplink_takes_nothing_down_that_it_brought),
        UPLINK_TEST(test_uplink_sends_what_waited_for_a_roster_from_above),
        UPLINK_TEST(test_uplink_starts_anew_below_a_restored_receiver),
        UPLINK_TEST(test_uplink_gives_nothing_down_to_strangers),
        UPLINK_TEST(test_uplink_leaves_a_peer_that_drips),
        UPLINK_TEST(test_uplink_refuses_addresses_in_the_clear),
        UPLINK_TEST(test_uplink_reads_links_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
