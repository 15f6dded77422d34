/* test_http_kit.h - a gateway's server on loopback with a ledger behind it, and a client for it,
 * which take turns in one thread.
 */
#ifndef KENG_TESTS_HTTP_KIT_H
#define KENG_TESTS_HTTP_KIT_H

#include "tests/unit/test_gateway_kit.h"

#include <curl/curl.h>
#include <time.h>

#include "gateway/console.h"
#include "gateway/http.h"
#include "gateway/receiver.h"
#include "proto/exchange.h"

enum { DEADLINE_MS = 10000 };

struct place {
    char dir[KIT_PATH_LEN];
    struct kit kit;
    struct db *db;
    struct ledger ledger;
    struct receiver receiver;
    struct keys_entry key;
    struct people people;
    struct console console;
    struct console_node node;
    struct console_sync sync;
    struct http_server *server;
    CURLM *multi;
    unsigned reviews_added;
    /* Looks at each answer of the receiver, and may spoil it. */
    void (*seen)(struct place *p, const struct http_request *request, struct http_answer *answer);
    unsigned put_count, fail_count, down_count;
    size_t first_put_count; /* records in the first batch */
    size_t refused_len; /* a longer PUT never gets as far as the receiver; 0: all do */
    bool known; /* the last who asked proved who he is */
    int spoiling;
    char old_signature[EXCHANGE_SIGNED_LEN];
};

static inline int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void handle(void *ctx, const struct http_request *request, struct http_answer *answer)
{
    struct place *p = ctx;
    if (p->refused_len && request->method == HTTP_PUT && request->body_len > p->refused_len) {
        answer->status = 503;
        p->fail_count++;
        return;
    }
    if (!receiver_handle(&p->receiver, request, KIT_NOW_MS, answer)) {
        console_handle(&p->console, request, now_ms(), answer);
        p->known = answer->known;
        return;
    }
    p->known = answer->known;
    if (p->seen)
        p->seen(p, request, answer);
}

static inline size_t put_len_max(void *ctx, const char *path)
{
    (void)ctx;
    return receiver_put_len_max(path);
}

static inline void count_review(void *ctx)
{
    ((struct place *)ctx)->reviews_added++;
}

static inline void start_server(struct place *p, const char *listen)
{
    char err[HTTP_ERR_LEN];
    struct http_config config = { .listen = listen };
    struct http_handler handler = { .ctx = p, .handle = handle, .put_len_max = put_len_max };
    if (http_server_start(&config, &handler, &p->server, err) != 0)
        fail_msg("%s", err);
}

static inline int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char err[AUDIT_ERR_LEN];
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->kit, 1);
    p->db = kit_open_db(p->dir, "a.db");
    kit_open_ledger(&p->kit, p->db, &p->ledger);
    p->key = (struct keys_entry){ .identity = { .number = KIT_OPERATOR } };
    memcpy(p->key.network_id, p->kit.network_id, KENG_NETWORK_ID_LEN);
    memcpy(p->key.identity.public_key, p->kit.public_keys[KIT_OPERATOR], KENG_KEY_LEN);
    memcpy(p->key.identity.secret_key, p->kit.secret_keys[KIT_OPERATOR], KENG_SIG_LEN);
    p->receiver = (struct receiver){ .ledger = &p->ledger,
                                     .keys = { .list = &p->key, .count = 1, .cap = 1 } };
    assert_int_equal(people_open(&p->people, NULL, p->dir, NULL, err), 0);
    p->console = (struct console){ .ledger = &p->ledger, .people = &p->people, .node = &p->node,
                                   .sync = &p->sync, .enabled = true, .ctx = p, .own_commune = 1,
                                   .outgoing_added = count_review, .send_now = count_review };
    p->multi = curl_multi_init();
    start_server(p, "127.0.0.1:0");
    *state = p;
    return 0;
}

static inline int tear_down(void **state)
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

static inline size_t take_text(char *data, size_t size, size_t count, void *ctx)
{
    struct reply *r = ctx;
    size_t len = size * count, room = sizeof r->text - 1 - r->len;
    memcpy(r->text + r->len, data, len < room ? len : room);
    r->len += len < room ? len : room;
    return len;
}

static inline size_t take_header(char *data, size_t size, size_t count, void *ctx)
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

static inline void pump(struct place *p)
{
    int running;
    curl_multi_perform(p->multi, &running);
    http_server_run(p->server, now_ms());
    curl_multi_perform(p->multi, &running);
    struct timespec pause = { .tv_nsec = 200000 };
    nanosleep(&pause, NULL);
}

/* One request; the library and the server take turns in this thread. */
static inline struct reply *ask(struct place *p, const struct ask *a)
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

static inline void assert_reply(const char *name, const struct reply *r, long status,
                                const char *words)
{
    if (r->status != status || !strstr(r->text, words))
        fail_msg("%s: %ld %s", name, r->status, r->text);
}

static inline struct reply *get(struct place *p, const char *path)
{
    struct ask a = { "GET", path, NULL, NULL, 0 };
    return ask(p, &a);
}

/* The value of a hidden field of the page, the last one of that name. */
static inline const char *hidden(const struct reply *page, const char *name)
{
    static char value[2 * KENG_HASH_LEN + 1];
    char mark[64];
    const char *at = page->text, *found = NULL;
    snprintf(mark, sizeof mark, "name=\"%s\" value=\"", name);
    while ((at = strstr(at, mark)) != NULL)
        found = at += strlen(mark);
    if (!found)
        fail_msg("no field %s", name);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "\""), found);
    return value;
}

#endif
