/* The receiver and the console over a real server on loopback, spoken to by libcurl, and the outbox
 * that pushes into it. */
#include "tests/unit/test_gateway_kit.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "gateway/console.h"
#include "gateway/http.h"
#include "gateway/outbox.h"
#include "gateway/receiver.h"

enum { LONG_LEN = 3 * BATCH_LEN_MAX, DEADLINE_MS = 10000 };

struct place {
    char dir[KIT_PATH_LEN];
    struct kit kit;
    struct db *db;
    struct ledger ledger;
    struct people people;
    struct console console;
    struct console_node node;
    struct console_sync sync;
    struct http_server *server;
    CURLM *multi;
    unsigned reviews_added, receiver_calls, receiver_fails; /* fails: the next n answers are cut */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void handle(void *ctx, const struct http_request *request, struct http_answer *answer)
{
    struct place *p = ctx;
    if (strncmp(request->path, "/v1/batch/", 10) == 0 && request->method == HTTP_PUT) {
        p->receiver_calls++;
        answer->content_type = "application/json";
        answer->status = receiver_put(&p->ledger, request->path + 10, request->body,
                                      request->body_len, KIT_NOW_MS, &answer->body);
        if (p->receiver_fails > 0) { /* stored, but nobody hears so */
            p->receiver_fails--;
            strbuf_free(&answer->body);
            answer->status = 503;
        }
    } else if (strcmp(request->path, "/v1/have") == 0) {
        answer->content_type = "application/json";
        answer->status = receiver_have(&p->ledger, http_query(request, "network"),
                                       http_query(request, "batch"), &answer->body);
    } else {
        console_handle(&p->console, request, now_ms(), answer);
    }
}

static size_t put_len_max(void *ctx, const char *path)
{
    (void)ctx;
    return strncmp(path, "/v1/batch/", 10) == 0 ? BATCH_LEN_MAX : 0;
}

static void count_review(void *ctx)
{
    ((struct place *)ctx)->reviews_added++;
}

static void start_server(struct place *p, const char *listen)
{
    char err[HTTP_ERR_LEN];
    struct http_config config = { .listen = listen };
    struct http_handler handler = { .ctx = p, .handle = handle, .put_len_max = put_len_max };
    if (http_server_start(&config, &handler, &p->server, err) != 0)
        fail_msg("%s", err);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char err[AUDIT_ERR_LEN];
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->kit, 1);
    p->db = kit_open_db(p->dir, "a.db");
    kit_open_ledger(&p->kit, p->db, &p->ledger);
    assert_int_equal(people_open(&p->people, NULL, p->dir, NULL, err), 0);
    p->console = (struct console){ .ledger = &p->ledger, .people = &p->people, .node = &p->node,
                                   .sync = &p->sync, .enabled = true, .ctx = p, .own_commune = 1,
                                   .outgoing_added = count_review, .send_now = count_review };
    p->multi = curl_multi_init();
    start_server(p, "127.0.0.1:0");
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    http_server_stop(p->server);
    curl_multi_cleanup(p->multi);
    people_close(&p->people);
    ledger_free(&p->ledger);
    db_close(p->db);
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

/* ---- a client ---- */

struct reply {
    long status;
    char text[256 * 1024];
    size_t len;
    char headers[4096];
    size_t header_len;
};

static size_t take_text(char *data, size_t size, size_t count, void *ctx)
{
    struct reply *r = ctx;
    size_t len = size * count, room = sizeof r->text - 1 - r->len;
    memcpy(r->text + r->len, data, len < room ? len : room);
    r->len += len < room ? len : room;
    return len;
}

static size_t take_header(char *data, size_t size, size_t count, void *ctx)
{
    struct reply *r = ctx;
    size_t len = size * count, room = sizeof r->headers - 1 - r->header_len;
    memcpy(r->headers + r->header_len, data, len < room ? len : room);
    r->header_len += len < room ? len : room;
    return len;
}

struct ask {
    const char *method, *path, *header;
    const void *body;
    size_t body_len;
};

static void pump(struct place *p)
{
    int running;
    curl_multi_perform(p->multi, &running);
    http_server_run(p->server, now_ms());
    curl_multi_perform(p->multi, &running);
    struct timespec pause = { .tv_nsec = 200000 };
    nanosleep(&pause, NULL);
}

/* One request; the library and the server take turns in this thread. */
static struct reply *ask(struct place *p, const struct ask *a)
{
    static struct reply reply;
    char url[512];
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    memset(&reply, 0, sizeof reply);
    if (a->header)
        headers = curl_slist_append(headers, a->header);
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)http_server_port(p->server),
             a->path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_text);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &reply);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, a->method);
    if (a->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, a->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)a->body_len);
    }
    curl_multi_add_handle(p->multi, easy);
    int64_t end_ms = now_ms() + DEADLINE_MS;
    int left;
    CURLMsg *done = NULL;
    while (!done && now_ms() < end_ms) {
        pump(p);
        done = curl_multi_info_read(p->multi, &left);
    }
    if (!done)
        fail_msg("%s %s: no answer", a->method, a->path);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_multi_remove_handle(p->multi, easy);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return &reply;
}

static struct reply *put_batch(struct place *p, const uint8_t *bytes, size_t len)
{
    uint8_t hash[KENG_HASH_LEN];
    char path[128], hex[2 * KENG_HASH_LEN + 1];
    crypto_generichash(hash, sizeof hash, bytes, len, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(path, sizeof path, "/v1/batch/%s", hex);
    struct ask a = { .method = "PUT", .path = path, .body = bytes, .body_len = len };
    return ask(p, &a);
}

static void assert_reply(const char *name, const struct reply *r, long status, const char *words)
{
    if (r->status != status || !strstr(r->text, words))
        fail_msg("%s: %ld %s", name, r->status, r->text);
}

/* ---- the receiver ---- */

static void test_http_receiver_answers_each_batch(void **state)
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
    free(early);
    records[count++] = report;
    records[count] = kit_damage(k, KIT_ANNA, 3, 1, 4);
    records[count].bytes[12] ^= 1;
    count++;
    uint8_t *good = kit_batch(k, KIT_GATEWAY, records, count, &len);
    assert_reply("first time", put_batch(p, good, len), 200,
                 "\"verdicts\":{\"new\":6,\"bad-signature\":1},"
                 "\"refused\":[{\"index\":6,\"reason\":\"bad-signature\"}]");
    assert_reply("second time", put_batch(p, good, len), 200, "\"duplicate\":6");
    assert_reply("how far", put_batch(p, good, len), 200, "{\"author\":12,\"seq\":1,\"count\":1}");
    good[len - 70] ^= 1;
    assert_reply("changed on the way", put_batch(p, good, len), 403, "\"bad-signature\"");
    free(good);
    uint8_t *stranger = kit_batch(&foreign, AUTHOR_ROOT, &report, 1, &len);
    assert_reply("another commune", put_batch(p, stranger, len), 403, "\"not-trusted\"");
    free(stranger);
}

static void test_http_receiver_stands_hostile_requests(void **state)
{
    struct place *p = *state;
    char hash[65], path[128], bad_hex[128], query[128];
    uint8_t *junk = calloc(1, LONG_LEN);
    assert_non_null(junk);
    randombytes_buf_deterministic(junk, LONG_LEN, (const uint8_t[32]){ 5 });
    memset(hash, 'a', 64);
    hash[64] = '\0';
    snprintf(path, sizeof path, "/v1/batch/%s", hash);
    snprintf(bad_hex, sizeof bad_hex, "/v1/batch/%.63sg", hash);
    snprintf(query, sizeof query, "/v1/have?network=%s", hash);
    const struct { const char *name; struct ask ask; long status; const char *words; } CASES[] = {
        { "another hash", { "PUT", path, NULL, junk, 100 }, 400, "\"bad-hash\"" },
        { "no hex", { "PUT", bad_hex, NULL, junk, 100 }, 400, "\"bad-hash\"" },
        { "no name", { "PUT", "/v1/batch/", NULL, junk, 100 }, 400, "\"bad-hash\"" },
        { "too long", { "PUT", path, NULL, junk, BATCH_LEN_MAX + 1 }, 413, "\"too-big\"" },
        { "much too long", { "PUT", path, NULL, junk, LONG_LEN }, 413, "\"too-big\"" },
        { "put to a page", { "PUT", "/", NULL, junk, 10 }, 413, "too-big" },
        { "have of nobody", { "GET", query, NULL, NULL, 0 }, 403, "\"not-trusted\"" },
        { "have of nothing", { "GET", "/v1/have", NULL, NULL, 0 }, 400, "\"bad-request\"" },
        { "climbing out", { "GET", "/../../etc/passwd", NULL, NULL, 0 }, 404, "" },
        { "a long form", { "POST", "/review", NULL, junk, HTTP_FORM_LEN_MAX + 1 }, 413, "" },
        { "no form", { "POST", "/review", NULL, "a=%zz", 5 }, 400, "" },
        { "a strange verb", { "BREW", "/", NULL, NULL, 0 }, 405, "" },
        { "a strange host", { "GET", "/", "Host: evil.example", NULL, 0 }, 421, "" },
        { "no token", { "POST", "/review", NULL, "arrival=1&state=1", 17 }, 403, "" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_reply(CASES[i].name, ask(p, &CASES[i].ask), CASES[i].status, CASES[i].words);
    for (size_t len = 0; len < 400; len += 7)
        assert_int_equal(put_batch(p, junk, len ? len : 1)->status, 400);
    free(junk);
}

/* ---- the console ---- */

/* Without a stated length a body could last for ever, and its connection with it. */
static void test_http_server_cuts_off_a_body_without_an_end(void **state)
{
    enum { CHUNK_LEN = 4096, SENT_LEN_MAX = 8 << 20, ROUND_COUNT_MAX = 200000 };
    static const char HEAD[] = "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    static char chunk[6 + CHUNK_LEN + 2];
    struct place *p = *state;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(http_server_port(p->server)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    memset(chunk, 'x', sizeof chunk);
    memcpy(chunk, "1000\r\n", 6);
    memcpy(chunk + 6 + CHUNK_LEN, "\r\n", 2);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL), sizeof HEAD - 1);
    size_t sent = 0;
    bool ended = false;
    for (int i = 0; i < ROUND_COUNT_MAX && !ended && sent < SENT_LEN_MAX; i++) {
        ssize_t n = send(fd, chunk + sent % sizeof chunk, sizeof chunk - sent % sizeof chunk,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        ended = n < 0 && errno != EAGAIN;
        sent += n > 0 ? (size_t)n : 0;
        http_server_run(p->server, now_ms());
    }
    close(fd);
    assert_true(ended);
}

static void test_http_console_escapes_what_people_wrote(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record evil = kit_enrol(k, 20, ROSTER_MEMBER, 1, "<b onclick=\"x\">&'", 0);
    struct report report = { .text_len = 25 };
    memcpy(report.text, "<script>alert(1)</script>", 26);
    struct kit_record note = kit_report(k, 20, 1, RECORD_NOTE, &report);
    assert_int_equal(kit_put(k, &p->ledger, &evil), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &note), LEDGER_NEW);
    struct ask a = { .method = "GET", .path = "/?static=1&village=%3Cscript%3E&kind=%22" };
    struct reply *r = ask(p, &a);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->text, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_non_null(strstr(r->text, "&lt;b onclick=&quot;x&quot;&gt;&amp;&#39;"));
    assert_null(strstr(r->text, "<script"));
    assert_null(strstr(r->text, "<b onclick"));
    assert_non_null(strstr(r->headers, "Content-Security-Policy: default-src 'self'"));
    assert_non_null(strstr(r->headers, "X-Content-Type-Options: nosniff"));
}

static const char *token_of(const char *page)
{
    static char token[ACCESS_TOKEN_HEX_LEN];
    const char *at = strstr(page, "name=\"token\" value=\"");
    assert_non_null(at);
    memcpy(token, at + 20, sizeof token - 1);
    return token;
}

static int take_outgoing(void *ctx, const struct db_outgoing *outgoing)
{
    struct db_outgoing *copy = ctx;
    *copy = *outgoing;
    copy->text = strcmp(outgoing->text, "Đã cử tổ 2") == 0 ? "as written" : "other";
    return 0;
}

static void test_http_console_queues_a_review_once_asked_properly(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 1, 3);
    assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_NEW);
    struct ask page = { .method = "GET", .path = "/" };
    char token[ACCESS_TOKEN_HEX_LEN], form[512];
    snprintf(token, sizeof token, "%s", token_of(ask(p, &page)->text));
    const struct { const char *fields, *header; long status; } CASES[] = {
        { "arrival=999&state=1", NULL, 404 },
        { "arrival=6&state=9", NULL, 404 },
        { "arrival=6&state=1&text=%01", NULL, 400 },
        { "arrival=6&state=1", "Origin: http://evil.example", 403 },
        { "arrival=6&state=1", "Sec-Fetch-Site: cross-site", 403 },
        { "arrival=6&state=4&text=%C4%90%C3%A3+c%E1%BB%AD+t%E1%BB%95+2&back=?lang=vi", NULL, 303 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        snprintf(form, sizeof form, "token=%s&%s", token, CASES[i].fields);
        struct ask a = { "POST", "/review", CASES[i].header, form, strlen(form) };
        assert_reply(CASES[i].fields, ask(p, &a), CASES[i].status, "");
    }
    struct db_outgoing outgoing = { .id = 0 };
    assert_int_equal(db_outgoing_list(p->db, take_outgoing, &outgoing), 0);
    assert_int_equal(p->reviews_added, 1);
    assert_int_equal(outgoing.state, REVIEW_REJECTED);
    assert_int_equal(outgoing.ref.author, KIT_ANNA);
    assert_string_equal(outgoing.text, "as written");
}

struct queued { size_t count; struct review newest; uint8_t priority; };

static int take_queued(void *ctx, const struct db_outgoing *outgoing)
{
    struct queued *q = ctx;
    assert_int_equal(outgoing->kind, RECORD_REVIEW);
    assert_int_equal(review_decode(outgoing->body, outgoing->body_len, &q->newest), REPORT_OK);
    q->priority = outgoing->priority;
    q->count++;
    return 0;
}

/* Posts fields to /review with the page's token and checks the status. */
static void post_review(struct place *p, const char *fields, long status)
{
    char token[ACCESS_TOKEN_HEX_LEN], form[512];
    struct ask page = { .method = "GET", .path = "/" };
    snprintf(token, sizeof token, "%s", token_of(ask(p, &page)->text));
    snprintf(form, sizeof form, "token=%s&%s", token, fields);
    struct ask a = { "POST", "/review", NULL, form, strlen(form) };
    assert_reply(fields, ask(p, &a), status, "");
}

static void test_http_console_corrects_and_joins(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct queued q = { .count = 0 };
    kit_put_root_log(k, &p->ledger);
    struct report report = { .figure_count = 2, .figures = { { 20, 3 }, { 22, 7 } } };
    struct kit_record one = kit_report(k, KIT_ANNA, 1, RECORD_DAMAGE, &report);
    struct kit_record two = kit_report(k, KIT_BINH, 1, RECORD_DAMAGE, &report);
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_NEW); /* arrival 6 */
    assert_int_equal(kit_put(k, &p->ledger, &two), LEDGER_NEW);
    struct ask page = { "GET", "/record?arrival=6", NULL, NULL, 0 };
    struct reply *r = ask(p, &page);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->text, "cùng số liệu")); /* the other is suggested, with its reason */
    post_review(p, "arrival=6&state=6&f20=3&f22=7", 400); /* nothing changed */
    post_review(p, "arrival=6&state=6&f20=x", 400);
    post_review(p, "arrival=6&state=6&f20=-1", 400);
    post_review(p, "arrival=6&state=4", 400); /* rejected, and no reason */
    post_review(p, "arrival=6&state=7&other=99-1", 400);
    post_review(p, "arrival=6&state=7&other=12-1", 400); /* to itself */
    post_review(p, "arrival=6&state=7&other=12-1x", 400);
    assert_int_equal(p->reviews_added, 0);
    post_review(p, "arrival=6&state=6&f20=2&f22=7&text=ok", 303);
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.newest.state, REVIEW_CORRECTED);
    assert_int_equal(q.newest.figure_count, 1);
    assert_int_equal(q.newest.figures[0].code, 20);
    assert_int_equal(q.newest.figures[0].value, 2);
    post_review(p, "arrival=7&state=7&same=12-1", 303);
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.newest.state, REVIEW_JOINED);
    assert_int_equal(q.newest.same_as.author, KIT_ANNA);
    assert_int_equal(q.newest.same_as.seq, 1);
}

static void test_http_console_tells_operators_of_each_other(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 20, 3);
    assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_NEW);
    post_review(p, "arrival=6&state=1&known=0.0", 303);
    post_review(p, "arrival=6&state=3&known=0.0", 409); /* one answer waits that he did not see */
    assert_int_equal(p->reviews_added, 1);
    post_review(p, "arrival=6&state=3&known=0.1", 303);
    struct kit_record seen = kit_review(k, KIT_OPERATOR, 1, KIT_ANNA, 1, REVIEW_SEEN, "");
    assert_int_equal(kit_put(k, &p->ledger, &seen), LEDGER_NEW);
    assert_int_equal(db_outgoing_delete(p->db, 1), 0);
    assert_int_equal(db_outgoing_delete(p->db, 2), 0);
    post_review(p, "arrival=6&state=4&text=x&known=0.0", 409); /* one is in the log by now */
    post_review(p, "arrival=6&state=4&text=x&known=7.0", 303);
    struct ask page = { "GET", "/record?arrival=6&lang=en", NULL, NULL, 0 };
    assert_reply("its history", ask(p, &page), 200, "Answers so far");
    struct ask gone = { "GET", "/record?arrival=7", NULL, NULL, 0 };
    assert_reply("a review is no report", ask(p, &gone), 404, "");
}

static void test_http_board_is_searched_and_paged(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    assert_int_equal(db_begin(p->db), 0);
    for (uint32_t seq = 1; seq <= 130; seq++) {
        struct report note = { .text_len = 0 };
        snprintf(note.text, sizeof note.text, seq == 3 ? "Nước lên nhanh" : "tin %u", seq);
        note.text_len = strlen(note.text);
        struct kit_record r = kit_report(k, KIT_ANNA, seq, RECORD_NOTE, &note);
        assert_int_equal(ledger_put(&p->ledger, ledger_get(&p->ledger, 1), r.bytes, r.len,
                                    KIT_NOW_MS), LEDGER_NEW);
    }
    assert_int_equal(db_commit(p->db), 0);
    struct ask search = { "GET", "/?words=nuoc%20LEN", NULL, NULL, 0 };
    struct reply *r = ask(p, &search);
    assert_non_null(strstr(r->text, "Nước lên nhanh"));
    assert_null(strstr(r->text, "tin 4<"));
    struct ask wild = { "GET", "/?words=%25", NULL, NULL, 0 };
    assert_int_equal(ask(p, &wild)->status, 200);
    /* Three pages, each report on exactly one of them, found by following the links. */
    char path[128] = "/?lang=en";
    bool seen[131] = { false };
    size_t count = 0;
    for (int page = 0; page < 3; page++) {
        struct ask a = { "GET", path, NULL, NULL, 0 };
        r = ask(p, &a);
        for (const char *at = r->text; (at = strstr(at, "class=\"number\">12-")) != NULL; at++) {
            unsigned seq = (unsigned)strtoul(at + 18, NULL, 10);
            assert_in_range(seq, 1, 130);
            assert_false(seen[seq]);
            seen[seq] = true;
            count++;
        }
        char *older = strstr(r->text, "\">Older"), *link = NULL;
        assert_int_equal(older != NULL, page < 2);
        if (older)
            *older = '\0';
        for (char *at = r->text; older && (at = strstr(at, "&amp;from=")) != NULL; at++)
            link = at;
        if (link)
            snprintf(path, sizeof path, "/?lang=en&from=%.60s", link + 10);
    }
    assert_int_equal(count, 130);
}

static const char PASSPHRASE[] = "bốn từ dễ nhớ lắm";
static const char PASSPHRASE_FORM[] =
    "b%E1%BB%91n+t%E1%BB%AB+d%E1%BB%85+nh%E1%BB%9B+l%E1%BA%AFm";

static void add_operator(struct place *p, const char *login, enum access_role role)
{
    char err[ACCESS_ERR_LEN];
    struct access_operator *o = access_operator_add(&p->people.access, login, login, role, err);
    assert_non_null(o);
    assert_int_equal(access_hash(PASSPHRASE, o->hash, err), 0);
    assert_int_equal(access_save(&p->people.access, err), 0);
}

static struct reply *log_in(struct place *p, const char *login, const char *passphrase,
                            const char *header)
{
    char form[512];
    struct ask page = { .method = "GET", .path = "/login", .header = header };
    snprintf(form, sizeof form, "token=%s&login=%s&passphrase=%s", token_of(ask(p, &page)->text),
             login, passphrase);
    struct ask a = { "POST", "/login", header, form, strlen(form) };
    return ask(p, &a);
}

static void cookie_of(const struct reply *r, char header_out[static 128])
{
    const char *cookie = strstr(r->headers, "Set-Cookie: keng=");
    assert_non_null(cookie);
    assert_non_null(strstr(cookie, "HttpOnly; SameSite=Strict"));
    snprintf(header_out, 128, "Cookie: keng=%.64s", cookie + 17);
}

static void test_http_console_asks_who_one_is(void **state)
{
    struct place *p = *state;
    char header[128], planted[128];
    add_operator(p, "lan", ACCESS_ADMIN);
    struct ask page = { .method = "GET", .path = "/" };
    assert_reply("no session", ask(p, &page), 303, "");
    struct ask events = { .method = "GET", .path = "/events" };
    assert_reply("no events either", ask(p, &events), 303, "");
    struct ask nowhere = { .method = "GET", .path = "/nowhere" };
    assert_reply("strangers learn of no page", ask(p, &nowhere), 303, "");
    assert_reply("wrong", log_in(p, "lan", "wrong+wrong+wrong", NULL), 403, "");
    assert_reply("unknown", log_in(p, "lam", PASSPHRASE_FORM, NULL), 403, "");
    /* A session that somebody else planted is not the one that the log-in makes. */
    snprintf(planted, sizeof planted, "Cookie: keng=%064d", 7);
    struct reply *r = log_in(p, "lan", PASSPHRASE_FORM, planted);
    assert_int_equal(r->status, 303);
    cookie_of(r, header);
    assert_string_not_equal(header, planted);
    struct ask with_planted = { "GET", "/", planted, NULL, 0 };
    assert_reply("planted", ask(p, &with_planted), 303, "");
    struct ask inside = { "GET", "/", header, NULL, 0 };
    assert_reply("inside", ask(p, &inside), 200, "logout");
    for (int i = 0; i < ACCESS_TRIES_PER_ADDRESS; i++)
        (void)log_in(p, "lan", "wrong+wrong+wrong", NULL);
    int64_t before_ms = now_ms();
    assert_reply("too many tries", log_in(p, "lan", PASSPHRASE_FORM, NULL), 403, "Thử quá nhiều");
    assert_true(now_ms() - before_ms < 1000);
    assert_reply("who is inside stays inside", ask(p, &inside), 200, "logout");
}

static void test_http_console_holds_everybody_to_his_role(void **state)
{
    struct place *p = *state;
    char header[128], form[512], token[ACCESS_TOKEN_HEX_LEN];
    kit_put_root_log(&p->kit, &p->ledger);
    struct kit_record report = kit_damage(&p->kit, KIT_ANNA, 1, 1, 3);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &report), LEDGER_NEW);
    add_operator(p, "xem", ACCESS_VIEW);
    add_operator(p, "duyet", ACCESS_REVIEW);
    cookie_of(log_in(p, "xem", PASSPHRASE_FORM, NULL), header);
    struct ask page = { "GET", "/", header, NULL, 0 };
    struct reply *r = ask(p, &page);
    assert_int_equal(r->status, 200);
    assert_null(strstr(r->text, "action=\"/review\"")); /* no button that would only be refused */
    snprintf(token, sizeof token, "%s", token_of(r->text));
    snprintf(form, sizeof form, "token=%s&arrival=6&state=1", token);
    struct ask review = { "POST", "/review", header, form, strlen(form) };
    assert_reply("may only look", ask(p, &review), 403, "");
    struct ask people = { "GET", "/people", header, NULL, 0 };
    assert_reply("may not administer", ask(p, &people), 403, "");
    assert_int_equal(p->reviews_added, 0);

    char other[128];
    cookie_of(log_in(p, "duyet", PASSPHRASE_FORM, NULL), other);
    struct ask stolen = { "POST", "/review", other, form, strlen(form) };
    assert_reply("another session's token", ask(p, &stolen), 403, "");
    struct ask mine = { "GET", "/", other, NULL, 0 };
    snprintf(form, sizeof form, "token=%s&arrival=6&state=1", token_of(ask(p, &mine)->text));
    struct ask good = { "POST", "/review", other, form, strlen(form) };
    assert_reply("may review", ask(p, &good), 303, "");
    assert_int_equal(p->reviews_added, 1);

    /* Switched off at the command line: out at the next click. */
    char err[ACCESS_ERR_LEN];
    access_operator_find(&p->people.access, "duyet")->disabled = true;
    assert_int_equal(access_save(&p->people.access, err), 0);
    assert_reply("switched off", ask(p, &mine), 303, "");
}

/* ---- event streams ---- */

static CURL *open_stream(struct place *p, struct reply *r)
{
    char url[128];
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%u/events", (unsigned)http_server_port(p->server));
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_text);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    curl_multi_add_handle(p->multi, easy);
    return easy;
}

static void test_http_streams_carry_events_and_end_cleanly(void **state)
{
    struct place *p = *state;
    enum { CLIENT_COUNT = HTTP_STREAM_COUNT_MAX + 4 };
    struct reply *replies = calloc(CLIENT_COUNT, sizeof *replies);
    CURL *streams[CLIENT_COUNT];
    assert_non_null(replies);
    for (size_t i = 0; i < CLIENT_COUNT; i++)
        streams[i] = open_stream(p, &replies[i]);
    for (int i = 0; i < 300; i++)
        pump(p);
    assert_int_equal(http_server_stream_count(p->server), HTTP_STREAM_COUNT_MAX);
    http_server_broadcast(p->server, "id: 7\nevent: report\ndata: 7\n\n");
    for (int i = 0; i < 100; i++)
        pump(p);
    size_t heard = 0;
    for (size_t i = 0; i < CLIENT_COUNT; i++)
        heard += strstr(replies[i].text, "id: 7\n") != NULL;
    assert_int_equal(heard, HTTP_STREAM_COUNT_MAX);
    /* Half of them vanish; the next heartbeats notice it. */
    for (size_t i = 0; i < CLIENT_COUNT / 2; i++) {
        curl_multi_remove_handle(p->multi, streams[i]);
        curl_easy_cleanup(streams[i]);
    }
    for (int64_t later = 1; later < 8; later++) {
        http_server_run(p->server, now_ms() + later * HTTP_HEARTBEAT_MS);
        for (int i = 0; i < 30; i++)
            pump(p);
    }
    assert_true(http_server_stream_count(p->server) <= CLIENT_COUNT / 2);
    http_server_stop(p->server);
    p->server = NULL;
    for (size_t i = CLIENT_COUNT / 2; i < CLIENT_COUNT; i++) {
        curl_multi_remove_handle(p->multi, streams[i]);
        curl_easy_cleanup(streams[i]);
    }
    free(replies);
}

/* ---- the outbox ---- */

struct sender {
    struct db *db;
    struct ledger ledger;
    struct outbox outbox;
};

static void start_sender(struct place *p, struct sender *s, uint16_t port)
{
    struct home_identity identity = { .number = KIT_GATEWAY };
    char url[64], err[OUTBOX_ERR_LEN];
    memcpy(identity.public_key, p->kit.public_keys[KIT_GATEWAY], KENG_KEY_LEN);
    memcpy(identity.secret_key, p->kit.secret_keys[KIT_GATEWAY], KENG_SIG_LEN);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)port);
    if (outbox_init(&s->outbox, &s->ledger, p->multi, url, NULL, &identity, 1, 1000, err) != 0)
        fail_msg("%s", err);
}

static void pump_sender(struct place *p, struct sender *s, int64_t *skew_ms)
{
    int left;
    CURLMsg *done;
    *skew_ms += 20; /* back-off passes quicker than real time */
    assert_int_equal(outbox_run(&s->outbox, now_ms() + *skew_ms, KIT_NOW_MS), 0);
    if (p->server) {
        pump(p);
    } else {
        int running;
        curl_multi_perform(p->multi, &running);
        struct timespec pause = { .tv_nsec = 200000 };
        nanosleep(&pause, NULL);
    }
    while ((done = curl_multi_info_read(p->multi, &left)) != NULL)
        assert_int_equal(outbox_on_done(&s->outbox, done->data.result, now_ms() + *skew_ms,
                                        KIT_NOW_MS), 0);
}

static int compare_with_receiver(void *ctx, const struct db_record *record)
{
    struct place *p = ctx;
    struct kit_record r = { .len = record->len };
    memcpy(r.bytes, record->bytes, record->len);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_DUPLICATE);
    return 0;
}

static void test_http_outbox_brings_everything_up_through_cut_links(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct sender s = { .db = kit_open_db(p->dir, "b.db") };
    char listen[32];
    kit_open_ledger(k, s.db, &s.ledger);
    kit_put_root_log(k, &s.ledger);
    for (uint32_t seq = 1; seq <= 700; seq++) {
        struct kit_record r = kit_damage(k, seq % 2 ? KIT_ANNA : KIT_BINH, (seq + 1) / 2, 1, seq);
        assert_int_equal(kit_put(k, &s.ledger, &r), LEDGER_NEW);
    }
    uint16_t port = http_server_port(p->server);
    start_sender(p, &s, port);
    int64_t skew_ms = 0, waiting = -1;
    p->receiver_fails = 1; /* the first answer is lost after the batch was stored */
    bool cut = false;
    for (int i = 0; i < 20000 && waiting != 0; i++) {
        pump_sender(p, &s, &skew_ms);
        assert_int_equal(db_outbox_count(s.db, s.outbox.sync.target, &waiting), 0);
        if (!cut && p->receiver_calls == 2) { /* then the receiver goes away for a while */
            cut = true;
            http_server_stop(p->server);
            p->server = NULL;
            for (int j = 0; j < 200; j++)
                pump_sender(p, &s, &skew_ms);
            assert_true(s.outbox.sync.error[0] != '\0');
            snprintf(listen, sizeof listen, "127.0.0.1:%u", (unsigned)port);
            start_server(p, listen);
        }
    }
    assert_true(cut);
    assert_int_equal(waiting, 0);
    assert_string_equal(s.outbox.sync.error, "");
    int64_t everything;
    assert_int_equal(db_outbox_target(s.db, "test:", 1, &everything), 0);
    assert_int_equal(db_outbox_waiting(s.db, everything, compare_with_receiver, p), 0);
    int64_t last = 0;
    assert_int_equal(db_record_last_arrival(p->db, &last), 0);
    assert_int_equal(last, 705); /* none twice */
    outbox_close(&s.outbox);
    ledger_free(&s.ledger);
    db_close(s.db);
}

static void test_http_outbox_fills_a_receiver_that_was_restored(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct sender s = { .db = kit_open_db(p->dir, "b.db") };
    kit_open_ledger(k, s.db, &s.ledger);
    kit_put_root_log(k, &s.ledger);
    struct kit_record r = kit_damage(k, KIT_ANNA, 1, 1, 1);
    assert_int_equal(kit_put(k, &s.ledger, &r), LEDGER_NEW);
    start_sender(p, &s, http_server_port(p->server));
    /* The sender believes that all was confirmed long ago, but this receiver is empty. */
    for (int64_t arrival = 1; arrival <= 6; arrival++)
        assert_int_equal(db_outbox_answered(s.db, s.outbox.sync.target, arrival, NULL), 0);
    assert_int_equal(db_outbox_settle(s.db, s.outbox.sync.target), 0);
    int64_t skew_ms = 0, last = 0;
    for (int i = 0; i < 2000 && last < 6; i++) {
        pump_sender(p, &s, &skew_ms);
        assert_int_equal(db_record_last_arrival(p->db, &last), 0);
    }
    assert_int_equal(last, 6);
    outbox_close(&s.outbox);
    ledger_free(&s.ledger);
    db_close(s.db);
}

/* Gaps are normal in a mesh.  They must not be taken for a receiver's loss: on a line that is often
 * cut everything behind the gap would be sent again and again. */
static void test_http_outbox_does_not_take_a_gap_for_a_loss(void **state)
{
    static const uint32_t SEQS[] = { 1, 3, 4, 7 };
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct sender s = { .db = kit_open_db(p->dir, "b.db") };
    kit_open_ledger(k, s.db, &s.ledger);
    kit_put_root_log(k, &s.ledger);
    for (size_t i = 0; i < sizeof SEQS / sizeof SEQS[0]; i++) {
        struct kit_record r = kit_damage(k, KIT_ANNA, SEQS[i], 1, 1);
        assert_int_equal(kit_put(k, &s.ledger, &r), LEDGER_NEW);
    }
    start_sender(p, &s, http_server_port(p->server));
    int64_t skew_ms = 0, waiting = -1;
    for (int i = 0; i < 2000 && waiting != 0; i++) {
        pump_sender(p, &s, &skew_ms);
        assert_int_equal(db_outbox_count(s.db, s.outbox.sync.target, &waiting), 0);
    }
    assert_int_equal(waiting, 0);
    s.outbox.asked = false; /* as after a cut: the receiver is asked again */
    outbox_send_now(&s.outbox, now_ms() + skew_ms);
    for (int i = 0; i < 2000 && !s.outbox.asked; i++)
        pump_sender(p, &s, &skew_ms);
    assert_true(s.outbox.asked);
    assert_int_equal(db_outbox_count(s.db, s.outbox.sync.target, &waiting), 0);
    assert_int_equal(waiting, 0);
    outbox_close(&s.outbox);
    ledger_free(&s.ledger);
    db_close(s.db);
}

static void test_http_outbox_refuses_addresses_in_the_clear(void **state)
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

static void test_http_outbox_reads_links_strictly(void **state)
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

/* ---- pure parts ---- */

static void test_http_parses_forms_strictly(void **state)
{
    static const struct { const char *text; int want; const char *value; } CASES[] = {
        { "", 0, NULL }, { "a=1", 1, "1" }, { "a=1&b=2", 2, "1" }, { "a=x+y%2B", 1, "x y+" },
        { "a", -1, NULL }, { "a=%", -1, NULL }, { "a=%4", -1, NULL }, { "a=%00", -1, NULL },
        { "a=%g0", -1, NULL }, { "a=1&&b=2", -1, NULL }, { "a=", 1, "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char text[64];
        struct http_field fields[4];
        snprintf(text, sizeof text, "%s", CASES[i].text);
        int count = http_parse_form(text, fields, 4);
        if (count != CASES[i].want || (CASES[i].value && strcmp(fields[0].value, CASES[i].value)))
            fail_msg("%s: %d", CASES[i].text, count);
    }
    char many[] = "a=1&b=2&c=3&d=4&e=5";
    struct http_field fields[4];
    assert_int_equal(http_parse_form(many, fields, 4), -1);
}

static void test_http_knows_whose_host_it_is(void **state)
{
    static const char *const NAMES[] = { "tram.xa" };
    static const struct { const char *host; bool want; } CASES[] = {
        { "127.0.0.1", true }, { "127.0.0.1:8080", true }, { "[::1]:8080", true },
        { "localhost:80", true }, { "TRAM.xa:8080", true }, { "10.0.0.1", true }, { "", false },
        { "evil.example", false }, { "tram.xa.evil", false }, { "127.0.0.1.evil", false },
        { "[::1", false }, { "::1", false }, { "localhost.evil", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        if (http_host_allowed(CASES[i].host, NAMES, 1) != CASES[i].want)
            fail_msg("%s", CASES[i].host);
}

int main(void)
{
#define HTTP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_parses_forms_strictly),
        cmocka_unit_test(test_http_knows_whose_host_it_is),
        HTTP_TEST(test_http_receiver_answers_each_batch),
        HTTP_TEST(test_http_receiver_stands_hostile_requests),
        HTTP_TEST(test_http_server_cuts_off_a_body_without_an_end),
        HTTP_TEST(test_http_console_escapes_what_people_wrote),
        HTTP_TEST(test_http_console_queues_a_review_once_asked_properly),
        HTTP_TEST(test_http_console_corrects_and_joins),
        HTTP_TEST(test_http_console_tells_operators_of_each_other),
        HTTP_TEST(test_http_board_is_searched_and_paged),
        HTTP_TEST(test_http_console_asks_who_one_is),
        HTTP_TEST(test_http_console_holds_everybody_to_his_role),
        HTTP_TEST(test_http_streams_carry_events_and_end_cleanly),
        HTTP_TEST(test_http_outbox_brings_everything_up_through_cut_links),
        HTTP_TEST(test_http_outbox_fills_a_receiver_that_was_restored),
        HTTP_TEST(test_http_outbox_does_not_take_a_gap_for_a_loss),
        HTTP_TEST(test_http_outbox_refuses_addresses_in_the_clear),
        HTTP_TEST(test_http_outbox_reads_links_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
