/* The console over a real server on loopback, spoken to by libcurl. */
#include "tests/unit/test_http_kit.h"

#include "gateway/quick.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { LONG_LEN = 3 * BATCH_LEN_MAX };

/* ---- the console ---- */

static void test_http_server_stands_hostile_requests(void **state)
{
    struct place *p = *state;
    uint8_t *junk = calloc(1, LONG_LEN);
    assert_non_null(junk);
    randombytes_buf_deterministic(junk, LONG_LEN, (const uint8_t[32]){ 5 });
    const struct { const char *name; struct ask ask; long status; const char *words; } CASES[] = {
        { "put to a page", { "PUT", "/", NULL, junk, 10 }, 413, "too-big" },
        { "climbing out", { "GET", "/../../etc/passwd", NULL, NULL, 0 }, 404, "" },
        { "a long form", { "POST", "/review", NULL, junk, HTTP_FORM_LEN_MAX + 1 }, 413, "" },
        { "no form", { "POST", "/review", NULL, "a=%zz", 5 }, 400, "" },
        { "a strange verb", { "BREW", "/", NULL, NULL, 0 }, 405, "" },
        { "a strange host", { "GET", "/", "Host: evil.example", NULL, 0 }, 421, "" },
        { "no token", { "POST", "/review", NULL, "arrival=1&state=1", 17 }, 403, "" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_reply(CASES[i].name, ask(p, &CASES[i].ask), CASES[i].status, CASES[i].words);
    free(junk);
}

static int connect_raw(const struct place *p)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(http_server_port(p->server)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Without a stated length a body could last for ever, and its connection with it. */
static void test_http_server_cuts_off_a_body_without_an_end(void **state)
{
    enum { CHUNK_LEN = 4096, SENT_LEN_MAX = 8 << 20, ROUND_COUNT_MAX = 200000 };
    static const char HEAD[] = "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    static char chunk[6 + CHUNK_LEN + 2];
    struct place *p = *state;
    memset(chunk, 'x', sizeof chunk);
    memcpy(chunk, "1000\r\n", 6);
    memcpy(chunk + 6 + CHUNK_LEN, "\r\n", 2);
    int fd = connect_raw(p);
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

struct queued { size_t count; int64_t id; struct review newest; uint8_t priority; };

static int take_queued(void *ctx, const struct db_outgoing *outgoing)
{
    struct queued *q = ctx;
    assert_int_equal(outgoing->kind, RECORD_REVIEW);
    assert_int_equal(review_decode(outgoing->body, outgoing->body_len, &q->newest), REPORT_OK);
    q->priority = outgoing->priority;
    q->id = outgoing->id;
    q->count++;
    return 0;
}

/* Posts fields to /review with the page's token and checks the status. */
static struct reply *post_review(struct place *p, const char *fields, long status)
{
    char token[ACCESS_TOKEN_HEX_LEN], form[512];
    struct ask page = { .method = "GET", .path = "/" };
    snprintf(token, sizeof token, "%s", token_of(ask(p, &page)->text));
    snprintf(form, sizeof form, "token=%s&%s", token, fields);
    struct ask a = { "POST", "/review", NULL, form, strlen(form) };
    struct reply *reply = ask(p, &a);
    assert_reply(fields, reply, status, "");
    return reply;
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

/* What waits for the node reaches it and comes back signed. */
static void sign_queued(struct place *p, uint32_t *seq)
{
    struct queued q = { .count = 0 };
    uint8_t body[RECORD_BODY_LEN_MAX];
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.count, 1);
    int len = review_encode(&q.newest, body, sizeof body);
    struct kit_record r = kit_sign(&p->kit, KIT_GATEWAY, ++*seq, RECORD_REVIEW, 0, body,
                                   (size_t)len);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_NEW);
    assert_int_equal(db_outgoing_delete(p->db, q.id), 0);
}

/* The second form starts from what the first made count, and says only what it changes. */
static void test_http_console_corrects_again_and_takes_back(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    uint32_t seq = 0;
    struct report report = { .figure_count = 2, .figures = { { 20, 3 }, { 22, 7 } } };
    const struct { const char *fields; size_t count; struct report_figure first; } STEPS[] = {
        { "f20=30&f22=7&was=3.7.3", 1, { 20, 30 } },
        { "f20=30&f22=0&was=30.7.3", 1, { 22, 0 } },  /* the other; to none */
        { "f20=30&f22=+?+&was=30.0.3", 1, { 22, REVIEW_UNKNOWN } },
        { "f20=3&f22=?&was=30.-1.3", 1, { 20, 3 } },  /* as its author said */
        { "f20=9&f22=8&was=3.-1.3", 2, { 20, 9 } },
        { "f20=500&take_back=1&was=9.8.3", 2, { 20, 3 } },
    };
    struct ask page = { "GET", "/record?arrival=6&lang=vi", NULL, NULL, 0 };
    kit_put_root_log(k, &p->ledger);
    struct kit_record one = kit_report(k, KIT_ANNA, 1, RECORD_DAMAGE, &report);
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_NEW); /* arrival 6 */
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++) {
        char fields[160];
        struct queued q = { .count = 0 };
        snprintf(fields, sizeof fields, "arrival=6&state=6&%s", STEPS[i].fields);
        post_review(p, fields, 303);
        assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
        if (q.newest.figure_count != STEPS[i].count || q.newest.village != 0 ||
            q.newest.figures[0].code != STEPS[i].first.code ||
            q.newest.figures[0].value != STEPS[i].first.value)
            fail_msg("%s: %zu figures, %u: %lld", fields, q.newest.figure_count,
                     q.newest.figures[0].code, (long long)q.newest.figures[0].value);
        if (i == 1) { /* before the node has it, too */
            assert_reply("starts there", ask(p, &page), 200, "name=\"was\" value=\"30.0.3\"");
            assert_reply("and says so", ask(p, &page), 200, "đang chuyển cho trạm");
        }
        sign_queued(p, &seq);
        if (i == 1) {
            assert_reply("each step", ask(p, &page), 200, "<s>3</s> → <b>30");
            assert_reply("of both", ask(p, &page), 200, "<s>7</s> → <b>0");
        }
    }
    post_review(p, "arrival=6&state=6&take_back=1", 400); /* nothing is left to take back */
    assert_reply("as he said", ask(p, &page), 200, "name=\"was\" value=\"3.7.3\"");
    assert_reply("old and new", ask(p, &page), 200, "<s>không rõ</s> → <b>8");
}

/* Two desks: the later one sees what the other did, keeps what he typed, and undoes nothing. */
static void test_http_console_keeps_both_corrections(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    uint32_t seq = 0;
    struct queued q = { .count = 0 };
    struct report report = { .figure_count = 2, .figures = { { 20, 3 }, { 22, 7 } } };
    char token[ACCESS_TOKEN_HEX_LEN], form[512];
    kit_put_root_log(k, &p->ledger);
    struct kit_record one = kit_report(k, KIT_ANNA, 1, RECORD_DAMAGE, &report);
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_NEW);
    post_review(p, "arrival=6&state=6&f20=30&f22=7&known=0.0&was=3.7.3&text=a", 303);
    sign_queued(p, &seq);
    struct ask page = { .method = "GET", .path = "/" };
    snprintf(token, sizeof token, "%s", token_of(ask(p, &page)->text));
    snprintf(form, sizeof form, "token=%s&arrival=6&state=6&f20=3&f22=x9&known=0.0&was=3.7.3"
             "&text=%%C4%%91%%E1%%BA%%BFm+l%%E1%%BA%%A1i", token);
    struct ask late = { "POST", "/review", NULL, form, strlen(form) };
    struct reply *r = ask(p, &late);
    assert_int_equal(r->status, 409);
    assert_non_null(strstr(r->text, "name=\"was\" value=\"30.7.3\"")); /* the other's stands */
    assert_non_null(strstr(r->text, "aria-describedby=\"s20\" value=\"30\""));
    assert_non_null(strstr(r->text, "value=\"x9\"")); /* what was typed is there */
    assert_non_null(strstr(r->text, "value=\"đếm lại\""));
    post_review(p, "arrival=6&state=6&f20=30&f22=x9&known=7.0&was=30.7.3", 400);
    /* The same press from a page that did not notice: the other figure is not touched. */
    post_review(p, "arrival=6&state=6&f20=3&f22=9&was=3.7.3", 303);
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.newest.figure_count, 1);
    assert_int_equal(q.newest.figures[0].code, 22);
    sign_queued(p, &seq);
    snprintf(form, sizeof form, "token=%s&arrival=6&state=6&f20=31&f22=9&known=0.0&was=3.9.3",
             token);
    late.body_len = strlen(form);
    assert_reply("both figures", ask(p, &late), 409, "nay đang tính: 30");
    post_review(p, "arrival=6&state=6&f20=30&f22=9&was=3.9.3", 400); /* they agree */
}

/* His newer report counts instead, whatever was corrected in the older one: both pages say so. */
static void test_http_console_warns_of_the_authors_other_report(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    uint32_t seq = 0;
    kit_put_root_log(k, &p->ledger);
    struct kit_record one = kit_damage(k, KIT_ANNA, 1, 20, 500);
    struct kit_record two = kit_damage(k, KIT_ANNA, 2, 20, 501);
    struct ask older = { "GET", "/record?arrival=6&lang=vi", NULL, NULL, 0 };
    struct ask newer = { "GET", "/record?arrival=8&lang=vi", NULL, NULL, 0 };
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_NEW); /* arrival 6 */
    post_review(p, "arrival=6&state=6&f20=5&was=500.3", 303);
    sign_queued(p, &seq); /* arrival 7 */
    assert_null(strstr(ask(p, &older)->text, "Tin mới hơn"));
    assert_int_equal(kit_put(k, &p->ledger, &two), LEDGER_NEW); /* arrival 8 */
    assert_reply("the newer", ask(p, &older), 200, "Tin mới hơn của người này nói");
    assert_reply("the corrected", ask(p, &newer), 200, "Tin trước của người này đã được sửa");
    assert_reply("from and to", ask(p, &newer), 200, "<s>500</s> → 5");
    post_review(p, "arrival=8&state=7&other=12-1", 303);
    sign_queued(p, &seq);
    assert_null(strstr(ask(p, &older)->text, "Tin mới hơn")); /* joined, it counts nowhere */
    assert_reply("and here", ask(p, &newer), 200, "Sửa số là tin này lại được tính");
}

static void assert_leads_to(struct place *p, const char *path, const char *where)
{
    struct ask a = { "GET", path, NULL, NULL, 0 };
    struct reply *r = ask(p, &a);
    if (r->status != 303 || !strstr(r->headers, where))
        fail_msg("%s: %ld, not to %s: %s", path, r->status, where, r->headers);
}

/* The most urgent first, then the newest; what is answered and on its way is not asked for. */
static void test_http_console_leads_from_one_to_the_next(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct report call = { .figure_count = 1, .figures = { { 1, 3 } } };
    struct ask alone = { "GET", "/next?lang=vi", NULL, NULL, 0 };
    kit_put_root_log(k, &p->ledger);
    assert_reply("nothing waits", ask(p, &alone), 200, "Không còn tin nào chờ xem");
    struct kit_record records[] = { kit_damage(k, KIT_ANNA, 1, 20, 3),
                                    kit_report(k, KIT_BINH, 1, RECORD_RESCUE, &call),
                                    kit_damage(k, KIT_ANNA, 2, 20, 4) };
    for (size_t i = 0; i < 3; i++) /* arrivals 6 to 8 */
        assert_int_equal(kit_put(k, &p->ledger, &records[i]), LEDGER_NEW);
    assert_leads_to(p, "/next?lang=vi", "/record?lang=vi&next=1&arrival=7");
    assert_leads_to(p, "/next?lang=vi&kind=1&state=3", "arrival=8&kind=1&state=3");
    struct ask page = { "GET", "/record?lang=vi&next=1&arrival=8&kind=1", NULL, NULL, 0 };
    struct reply *r = ask(p, &page);
    assert_non_null(strstr(r->text, "1 tin CỨU NẠN chờ xem"));
    assert_non_null(strstr(r->text, "Để sau, xem tin tiếp"));
    const char *back = strstr(r->text, "name=\"back\" value=\"/next?lang=vi&amp;kind=1");
    assert_non_null(back);
    const char *from = strstr(back, "from=");
    char next[128], form[256];
    snprintf(next, sizeof next, "/next?lang=vi&kind=1&%.*s", (int)strcspn(from, "\"&"), from);
    assert_leads_to(p, next, "arrival=6"); /* put off: the one behind it */
    snprintf(form, sizeof form, "arrival=8&state=1&back=%s", "/next?lang=vi%26kind=1");
    post_review(p, form, 303);
    assert_leads_to(p, "/next?lang=vi&kind=1", "arrival=6"); /* 8 waits for the node alone */
    post_review(p, "arrival=6&state=1", 303);
    assert_leads_to(p, "/next?lang=vi", "arrival=7");
    struct ask filtered = { "GET", "/next?lang=vi&kind=1&from=9.8", NULL, NULL, 0 };
    assert_reply("others wait", ask(p, &filtered), 200, "các tin khác có thể vẫn còn");
    p->console.own_commune = 0; /* above communes, with a key for it */
    assert_reply("nobody to speak to", ask(p, &alone), 200, "Không còn tin nào chờ xem");
    p->console.keys = &p->receiver.keys;
    assert_leads_to(p, "/next?lang=vi", "arrival=7");
    p->console.keys = NULL;
    p->console.own_commune = 1;
    post_review(p, "arrival=7&state=1", 303);
    assert_reply("all are answered", ask(p, &alone), 200, "Không còn tin nào chờ xem");
}

/* One press for what a newer total replaces, and for nothing that says more. */
static void test_http_console_sees_older_reports_along(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct queued q = { .count = 0 };
    struct report words = { .figure_count = 1, .figures = { { 20, 5 } }, .text_len = 2,
                            .text = "ai" };
    struct report more = { .figure_count = 2, .figures = { { 20, 5 }, { 21, 1 } } };
    struct ask page = { "GET", "/record?arrival=10&lang=vi", NULL, NULL, 0 };
    struct ask none = { "GET", "/record?arrival=6&lang=vi", NULL, NULL, 0 };
    kit_put_root_log(k, &p->ledger);
    struct kit_record records[] = {
        kit_damage(k, KIT_ANNA, 1, 20, 3), kit_report(k, KIT_ANNA, 2, RECORD_DAMAGE, &words),
        kit_report(k, KIT_ANNA, 3, RECORD_DAMAGE, &more), kit_damage(k, KIT_ANNA, 4, 20, 4),
        kit_damage(k, KIT_ANNA, 5, 20, 5), kit_damage(k, KIT_ANNA, 6, 20, 6),
        kit_damage(k, KIT_BINH, 1, 20, 6),
    };
    for (size_t i = 0; i < 7; i++) /* arrivals 6 to 12 */
        assert_int_equal(kit_put(k, &p->ledger, &records[i]), LEDGER_NEW);
    assert_null(strstr(ask(p, &none)->text, "name=\"older\""));
    assert_reply("1 and 4", ask(p, &page), 200, "kể cả các tin cũ mà tin này thay: 2<");
    post_review(p, "arrival=9&state=2&text=x", 303); /* 4 is asked about by now */
    assert_reply("1 alone", ask(p, &page), 200, "kể cả các tin cũ mà tin này thay: 1<");
    post_review(p, "arrival=10&older=1", 303);
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.newest.state, REVIEW_SEEN);
    assert_int_equal(q.newest.ref_count, 2);
    assert_true(q.newest.refs[0].seq == 1 && q.newest.refs[1].seq == 5);
    assert_leads_to(p, "/next?lang=vi", "arrival=12");
    assert_leads_to(p, "/next?lang=vi&from=9.7", "arrival=12"); /* 6 is on its way, too */
}

/* A report of the wrong village is moved and moved back; the author's word stays to be seen. */
static void test_http_console_moves_a_report(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct queued q = { .count = 0 };
    struct villages *villages;
    char err[CATALOGUE_ERR_LEN];
    kit_put_root_log(k, &p->ledger);
    assert_int_equal(villages_load("seeds/demo/villages.csv", &villages, err, sizeof err), 0);
    p->console.villages = villages;
    struct kit_record one = kit_damage(k, KIT_ANNA, 1, 20, 3); /* of village 3; arrival 6 */
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_NEW);
    post_review(p, "arrival=6&state=6&f20=3&village=3", 400); /* nothing changed */
    post_review(p, "arrival=6&state=6&f20=3&village=99", 400);
    post_review(p, "arrival=6&state=6&f20=3&village=x", 400);
    post_review(p, "arrival=6&state=6&f20=3&village=0", 400);
    post_review(p, "arrival=6&state=6&f20=3&village=1", 303);
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.newest.village, 1);
    assert_int_equal(q.newest.figure_count, 0);
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&q.newest, body, sizeof body);
    struct kit_record move = kit_sign(k, KIT_GATEWAY, 1, RECORD_REVIEW, 0, body, (size_t)len);
    assert_int_equal(kit_put(k, &p->ledger, &move), LEDGER_NEW);
    struct ask page = { "GET", "/record?arrival=6", NULL, NULL, 0 };
    assert_reply("old and new", ask(p, &page), 200, "<s>Lũng Cằm</s> → <b>Nà Lẹng</b>");
    struct ask board = { "GET", "/?village=1", NULL, NULL, 0 };
    assert_reply("it is found there", ask(p, &board), 200, "<s>Lũng Cằm</s> → Nà Lẹng");
    struct ask totals = { "GET", "/totals", NULL, NULL, 0 };
    assert_reply("it counts there", ask(p, &totals), 200, "scope=\"rowgroup\">Nà Lẹng");
    /* Not said again with what else changes. */
    post_review(p, "arrival=6&state=6&f20=2&village=1", 303);
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.newest.village, 0);
    post_review(p, "arrival=6&state=6&f20=3&village=3", 303); /* back again */
    assert_int_equal(db_outgoing_list(p->db, take_queued, &q), 0);
    assert_int_equal(q.newest.village, REVIEW_VILLAGE_AUTHORS);
    villages_free(villages);
    p->console.villages = NULL;
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
    post_review(p, "arrival=6&state=3&known=1.1", 303);
    struct kit_record seen = kit_review(k, KIT_OPERATOR, 1, KIT_ANNA, 1, REVIEW_SEEN, "");
    assert_int_equal(kit_put(k, &p->ledger, &seen), LEDGER_NEW);
    assert_int_equal(db_outgoing_delete(p->db, 1), 0);
    post_review(p, "arrival=6&state=4&text=x&known=1.1", 409); /* one is in the log by now */
    post_review(p, "arrival=6&state=4&text=x&known=2.2", 303); /* which is no news to him */
    /* His form was made while one waited.  That and another's are in the log now. */
    struct kit_record rejected = kit_review(k, KIT_OPERATOR, 2, KIT_ANNA, 1, REVIEW_REJECTED, "x");
    struct kit_record met = kit_review(k, KIT_OPERATOR, 3, KIT_ANNA, 1, REVIEW_MET, "");
    struct kit_record question = kit_review(k, KIT_OPERATOR, 4, KIT_ANNA, 1, REVIEW_QUESTION, "?");
    assert_int_equal(kit_put(k, &p->ledger, &rejected), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &met), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &question), LEDGER_NEW);
    assert_int_equal(db_outgoing_delete(p->db, 2), 0);
    assert_int_equal(db_outgoing_delete(p->db, 3), 0);
    post_review(p, "arrival=6&state=1&known=3.3", 409);
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
    struct ask number = { "GET", "/?words=12-77&lang=vi", NULL, NULL, 0 };
    assert_reply("by its number", ask(p, &number), 200, "tin 77<");
    assert_null(strstr(ask(p, &number)->text, "tin 78<"));
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
    struct access_operator *o;
    assert_int_equal(access_operator_add(&p->people.access, login, login, role, &o), ACCESS_GOOD);
    assert_int_equal(access_hash(PASSPHRASE, o->hash), ACCESS_GOOD);
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

struct deeds { unsigned count; char last[AUDIT_OBJECT_LEN]; };

static void note_export(void *ctx, const struct audit_entry *entry)
{
    struct deeds *d = ctx;
    if (strcmp(entry->action, "export") != 0)
        return;
    assert_true(entry->good);
    assert_int_equal(entry->by, 1);
    d->count++;
    snprintf(d->last, sizeof d->last, "%s", entry->object);
}

static void check_exports(struct place *p, unsigned count, const char *last)
{
    struct deeds d = { .count = 0 };
    size_t bad;
    char err[AUDIT_ERR_LEN];
    assert_int_equal(audit_read(&p->people.audit, 0, people_audit_key, &p->people, note_export, &d,
                                &bad, err), 0);
    assert_int_equal(d.count, count);
    assert_string_equal(d.last, last);
}

/* What leaves the console as a file is noted before it leaves; what cannot be noted stays. */
static void test_http_console_notes_what_leaves_as_a_file(void **state)
{
    struct place *p = *state;
    struct strbuf doc = { .text = NULL };
    char header[128];
    int64_t id;
    kit_put_root_log(&p->kit, &p->ledger);
    struct directive d = { .text_len = 2, .text = "ab" };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = directive_encode(&d, body, sizeof body);
    struct kit_record r = kit_sign(&p->kit, KIT_GATEWAY, 1, RECORD_DIRECTIVE, 2, body, (size_t)len);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_NEW);
    struct quick q = { .number = 1, .event = 1, .until_ms = KIT_NOW_MS };
    assert_true(quick_to_json(&q, &doc));
    struct db_quick row = { .commune = 1, .event = 1, .number = 1, .doc = doc.text };
    assert_int_equal(db_quick_put(p->db, &row, &id), 0);
    strbuf_free(&doc);
    add_operator(p, "lan", ACCESS_VIEW);
    cookie_of(log_in(p, "lan", PASSPHRASE_FORM, NULL), header);
    struct ask file = { "GET", "/quick/export?id=1&as=csv", header, NULL, 0 };
    assert_reply("a file", ask(p, &file), 200, "");
    check_exports(p, 1, "quick 1 csv");
    struct ask alert = { "GET", "/cap/alert?arrival=6", header, NULL, 0 };
    assert_reply("an alert", ask(p, &alert), 200, "<alert");
    check_exports(p, 2, "alert 9-1");
    struct ask none = { "GET", "/quick/export?id=2&as=csv", header, NULL, 0 };
    assert_reply("no such report", ask(p, &none), 404, "");
    check_exports(p, 2, "alert 9-1");
    snprintf(p->people.audit.path, sizeof p->people.audit.path, "%.200s/none/audit.log", p->dir);
    assert_reply("not noted", ask(p, &file), 503, "");
    struct reply *refused = ask(p, &alert);
    assert_reply("not noted", refused, 503, "");
    assert_null(strstr(refused->text, "<alert"));
}

static unsigned count_of(const char *from, const char *until, const char *words)
{
    unsigned count = 0;
    for (; (from = strstr(from, words)) != NULL && from < until; from += strlen(words))
        count++;
    return count;
}

/* More gaps than a page lists, over two communes: how many more is said. */
static void test_http_board_says_what_gaps_it_leaves_out(void **state)
{
    struct place *p = *state;
    struct kit other;
    bool known;
    kit_init(&other, 7);
    kit_put_root_log(&p->kit, &p->ledger);
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(ledger_trust(&p->ledger, other.public_keys[0], &known), 0);
    assert_int_equal(db_commit(p->db), 0);
    kit_put_root_log(&other, &p->ledger);
    assert_int_equal(db_begin(p->db), 0);
    struct ledger_commune *c = ledger_find(&p->ledger, p->kit.network_id);
    for (uint32_t seq = 2; seq <= 2 * (CONSOLE_GAP_COUNT_MAX + 3); seq += 2) {
        struct kit_record r = kit_damage(&p->kit, KIT_ANNA, seq, 8, 1);
        assert_int_equal(ledger_put(&p->ledger, c, r.bytes, r.len, KIT_NOW_MS), LEDGER_NEW);
    }
    assert_int_equal(db_commit(p->db), 0);
    struct kit_record r = kit_damage(&other, KIT_ANNA, 2, 8, 1);
    assert_int_equal(kit_put(&other, &p->ledger, &r), LEDGER_NEW);
    struct ask page = { "GET", "/?lang=en&static=1", NULL, NULL, 0 };
    const char *at = strstr(ask(p, &page)->text, "<section id=\"missing\">");
    assert_non_null(at);
    const char *end = strstr(at, "</section>");
    assert_non_null(end);
    const char *more = strstr(at, "<p>4 more gaps");
    assert_true(more && more < end);
    assert_int_equal(count_of(at, end, "<p"), count_of(at, end, "</p>"));
}

static const char *rescue_banner(struct place *p)
{
    struct ask page = { "GET", "/?lang=en&static=1", NULL, NULL, 0 };
    return strstr(ask(p, &page)->text, "class=\"rescue\"");
}

static void put_call(struct place *p, uint16_t author, uint32_t seq, bool drill)
{
    struct report call = { .drill = drill, .figure_count = 1, .figures = { { 1, 3 } } };
    struct kit_record r = kit_report(&p->kit, author, seq, RECORD_RESCUE, &call);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_NEW);
}

/* However many drills came after it. */
/* The node is away for a night: each of many answers on their way stays known. */
static void test_http_console_knows_every_answer_that_waits(void **state)
{
    enum { COUNT = 300 };
    struct place *p = *state;
    struct kit *k = &p->kit;
    char form[80];
    kit_put_root_log(k, &p->ledger);
    for (uint32_t i = 1; i <= COUNT; i++) {
        struct kit_record report = kit_damage(k, KIT_ANNA, i, 20, 3);
        struct db_outgoing outgoing = { .commune = 1, .ref = { .author = KIT_ANNA, .seq = i },
                                        .kind = RECORD_REVIEW, .state = REVIEW_SEEN, .text = "" };
        assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_NEW);
        assert_int_equal(db_outgoing_add(p->db, &outgoing, &outgoing.id), 0);
    }
    snprintf(form, sizeof form, "arrival=%d&state=3&known=0.0", COUNT + 5);
    post_review(p, form, 409);
    struct ask page = { "GET", "/record?arrival=305&lang=en", NULL, NULL, 0 };
    assert_reply("the last of them", ask(p, &page), 200, "on its way");
}

/* Pressed again where somebody else answered: one gets back to where one came from. */
static void test_http_console_leads_back_after_a_second_press(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 20, 3);
    struct kit_record seen = kit_review(k, KIT_OPERATOR, 1, KIT_ANNA, 1, REVIEW_SEEN, "");
    assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &seen), LEDGER_NEW);
    struct reply *again = post_review(p, "arrival=6&state=3&known=0.0&back=%2F%3Fkind%3D1", 409);
    assert_non_null(strstr(again->text, "name=\"back\" value=\"/?kind=1\""));
    assert_null(strstr(again->text, "href=\"?lang")); /* a page that has no address */
}

static void test_http_board_calls_out_the_one_real_call(void **state)
{
    struct place *p = *state;
    kit_put_root_log(&p->kit, &p->ledger);
    for (uint32_t i = 1; i <= 3; i++)
        put_call(p, KIT_ANNA, i, true);
    assert_null(rescue_banner(p));
    put_call(p, KIT_BINH, 1, false);
    for (uint32_t i = 4; i <= CONSOLE_PAGE_COUNT + 4; i++)
        put_call(p, KIT_ANNA, i, true);
    const char *banner = rescue_banner(p);
    assert_non_null(banner);
    assert_non_null(strstr(banner, ">1 RESCUE reports waiting"));
}

/* A thief's call is shown for what it is and calls nobody out, until the author is pardoned. */
static void test_http_board_marks_what_a_taken_back_key_signed(void **state)
{
    struct place *p = *state;
    kit_put_root_log(&p->kit, &p->ledger);
    put_call(p, KIT_ANNA, 1, false);
    put_call(p, KIT_ANNA, 2, false);
    assert_non_null(strstr(rescue_banner(p), ">2 RESCUE"));
    struct kit_record r = kit_enrol(&p->kit, KIT_ANNA, ROSTER_MEMBER, 3, "An", 2);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_NEW);
    assert_non_null(strstr(rescue_banner(p), ">1 RESCUE"));
    struct ask page = { "GET", "/?lang=en&static=1", NULL, NULL, 0 };
    struct reply *board = ask(p, &page);
    const char *first = strstr(board->text, ">12-1<"), *second = strstr(board->text, ">12-2<");
    assert_non_null(first);
    assert_true(first < second); /* behind what waits */
    assert_null(strstr(second, "✓"));
    assert_non_null(strstr(second, "signed after the key was taken back"));
    const char *mark = strstr(board->text, "KEY TAKEN BACK");
    assert_true(mark > first && mark < second);
    r = kit_enrol(&p->kit, KIT_ANNA, ROSTER_MEMBER, 3, "An", 0);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_NEW);
    assert_non_null(strstr(rescue_banner(p), ">2 RESCUE"));
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
    assert_true(p->known);
    assert_reply("planted", ask(p, &with_planted), 303, "");
    assert_false(p->known);
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

/* Who opens a live page and reads nothing is let go; who reads hears everything. */
static void test_http_streams_let_a_hanging_reader_go(void **state)
{
    enum { EVENT_COUNT_MAX = 20000, SMALL_LEN = 2048 };
    static const char ASK[] = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    static const char EVENT[] = "id: 7\nevent: report\ndata: as long as a line may well become, "
                                "so that a few thousand of them fill every buffer\n\n";
    struct place *p = *state;
    struct reply *reply = calloc(1, sizeof *reply);
    int small = SMALL_LEN, fd = connect_raw(p), sent = 0;
    assert_non_null(reply);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(send(fd, ASK, sizeof ASK - 1, MSG_NOSIGNAL), sizeof ASK - 1);
    CURL *reads = open_stream(p, reply);
    for (int i = 0; i < 300 && http_server_stream_count(p->server) < 2; i++)
        pump(p);
    assert_int_equal(http_server_stream_count(p->server), 2);
    for (; sent < EVENT_COUNT_MAX && http_server_stream_count(p->server) == 2; sent++) {
        http_server_broadcast(p->server, EVENT);
        pump(p);
    }
    for (int i = 0; i < 300; i++)
        pump(p);
    assert_int_equal(http_server_stream_count(p->server), 1);
    size_t heard = 0;
    for (const char *at = reply->text; (at = strstr(at, "id: 7\n")) != NULL; at++)
        heard++;
    assert_int_equal(heard, sent);
    close(fd);
    curl_multi_remove_handle(p->multi, reads);
    curl_easy_cleanup(reads);
    free(reply);
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
        HTTP_TEST(test_http_server_stands_hostile_requests),
        HTTP_TEST(test_http_server_cuts_off_a_body_without_an_end),
        HTTP_TEST(test_http_console_escapes_what_people_wrote),
        HTTP_TEST(test_http_console_queues_a_review_once_asked_properly),
        HTTP_TEST(test_http_console_corrects_and_joins),
        HTTP_TEST(test_http_console_corrects_again_and_takes_back),
        HTTP_TEST(test_http_console_keeps_both_corrections),
        HTTP_TEST(test_http_console_warns_of_the_authors_other_report),
        HTTP_TEST(test_http_console_leads_from_one_to_the_next),
        HTTP_TEST(test_http_console_sees_older_reports_along),
        HTTP_TEST(test_http_console_moves_a_report),
        HTTP_TEST(test_http_console_tells_operators_of_each_other),
        HTTP_TEST(test_http_board_is_searched_and_paged),
        HTTP_TEST(test_http_console_knows_every_answer_that_waits),
        HTTP_TEST(test_http_console_leads_back_after_a_second_press),
        HTTP_TEST(test_http_board_calls_out_the_one_real_call),
        HTTP_TEST(test_http_console_notes_what_leaves_as_a_file),
        HTTP_TEST(test_http_board_says_what_gaps_it_leaves_out),
        HTTP_TEST(test_http_board_marks_what_a_taken_back_key_signed),
        HTTP_TEST(test_http_console_asks_who_one_is),
        HTTP_TEST(test_http_console_holds_everybody_to_his_role),
        HTTP_TEST(test_http_streams_carry_events_and_end_cleanly),
        HTTP_TEST(test_http_streams_let_a_hanging_reader_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
