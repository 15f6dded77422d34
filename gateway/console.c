#include "gateway/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/assets.h"
#include "proto/report.h"

enum {
    STATUS_OK = 200,
    STATUS_SEE_OTHER = 303,
    STATUS_BAD_REQUEST = 400,
    STATUS_FORBIDDEN = 403,
    STATUS_NOT_FOUND = 404,
    STATUS_METHOD = 405,
    STATUS_MISDIRECTED = 421,
    STATUS_UNAVAILABLE = 503,
    PAGE_MAX = 100000,
    STREAM_RETRY_MS = 3000,
};

static const char HTML[] = "text/html; charset=utf-8";

/* A plain decimal number up to max, or fallback. */
static int64_t parse_number(const char *text, int64_t max, int64_t fallback)
{
    if (!text || *text < '0' || *text > '9')
        return fallback;
    errno = 0;
    char *end;
    long long value = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && value <= max ? value : fallback;
}

/* The language of the address, else of the cookie, else Vietnamese. */
static enum language choose_language(const struct http_request *request)
{
    enum language language = LANG_VI;
    char cookie[8];
    const char *query = http_query(request, "lang");
    if (query && lang_find(query, &language))
        return language;
    if (access_cookie(request->cookie, "lang", cookie, sizeof cookie))
        (void)lang_find(cookie, &language);
    return language;
}

static struct console_view make_view(struct console *c, const struct http_request *request,
                                     int64_t now_ms)
{
    struct console_view view = {
        .console = c,
        .request = request,
        .language = choose_language(request),
        .live = !http_query(request, "static"),
        .now_ms = now_ms,
        .page = (uint32_t)parse_number(http_query(request, "page"), PAGE_MAX, 0),
    };
    view.filter = (struct db_list_filter){
        .commune = parse_number(http_query(request, "commune"), INT32_MAX, 0),
        .village = parse_number(http_query(request, "village"), REPORT_VILLAGE_MAX, -1),
        .kind = (unsigned)parse_number(http_query(request, "kind"), RECORD_NOTE, 0),
        .waiting_only = http_query(request, "waiting") != NULL,
        .offset = view.page * CONSOLE_PAGE_COUNT,
        .limit = CONSOLE_PAGE_COUNT,
    };
    access_form_token(c->access, request->cookie, request->secure, view.token);
    return view;
}

static void message(const struct console_view *view, unsigned status, enum lang_text text,
                    struct http_answer *answer)
{
    answer->status = status;
    answer->content_type = HTML;
    console_page_message(view, lang_text(view->language, text), &answer->body);
}

static void see_other(struct http_answer *answer, const char *location)
{
    answer->status = STATUS_SEE_OTHER;
    snprintf(answer->location, sizeof answer->location, "%s", location);
}

/* Files without secrets: the log-in page needs them too. */
static bool serve_asset(const char *path, struct http_answer *answer)
{
    static const struct {
        const char *path, *type, *start, *end;
    } ASSETS[] = {
        { "/style.css", "text/css; charset=utf-8", asset_style_css, asset_style_css_end },
        { "/live.js", "text/javascript; charset=utf-8", asset_live_js, asset_live_js_end },
        { "/icon.svg", "image/svg+xml", asset_icon_svg, asset_icon_svg_end },
    };
    for (size_t i = 0; i < sizeof ASSETS / sizeof ASSETS[0]; i++) {
        if (strcmp(path, ASSETS[i].path) != 0)
            continue;
        answer->status = STATUS_OK;
        answer->content_type = ASSETS[i].type;
        answer->static_body = ASSETS[i].start;
        answer->static_len = asset_len(ASSETS[i].start, ASSETS[i].end);
        return true;
    }
    return false;
}

void console_event(int64_t arrival, struct strbuf *event_out)
{
    strbuf_putf(event_out, "id: %lld\nevent: report\ndata: %lld\n\n", (long long)arrival,
                (long long)arrival);
}

static void serve_stream(const struct console_view *view, struct http_answer *answer)
{
    const struct http_request *request = view->request;
    int64_t last = 0;
    if (db_record_last_arrival(view->console->ledger->db, &last) < 0) {
        message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    const char *after_text =
        *request->last_event_id ? request->last_event_id : http_query(request, "after");
    answer->status = STATUS_OK;
    answer->content_type = "text/event-stream; charset=utf-8";
    answer->stream = true;
    strbuf_putf(&answer->body, "retry: %d\n\n", (int)STREAM_RETRY_MS);
    /* What came in while the page was on its way or the line was down. */
    if (parse_number(after_text, INT64_MAX, last) < last)
        console_event(last, &answer->body);
}

/* Did the form come from one of our own pages? */
static bool form_is_ours(const struct console_view *view)
{
    const struct http_request *request = view->request;
    const char *token = http_form(request, "token");
    if (*request->fetch_site && strcmp(request->fetch_site, "same-origin") != 0 &&
        strcmp(request->fetch_site, "none") != 0)
        return false;
    if (*request->origin) {
        const char *scheme = request->secure ? "https://" : "http://";
        size_t len = strlen(scheme);
        if (strncmp(request->origin, scheme, len) != 0 ||
            strcmp(request->origin + len, request->host) != 0)
            return false;
    }
    return token && access_form_token_ok(view->console->access, request->cookie, request->secure,
                                         token);
}

/* The page to go back to: only our own root with a query of harmless characters. */
static void go_back(const struct console_view *view, struct http_answer *answer)
{
    const char *back = http_form(view->request, "back");
    char location[256] = "/";
    if (back && back[0] == '?' && strlen(back) < sizeof location - 1 &&
        back[strspn(back, "?&=_-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] ==
            '\0')
        snprintf(location, sizeof location, "/%s", back);
    see_other(answer, location);
}

struct found {
    struct db_record record;
    bool found;
};

static int take_record(void *ctx, const struct db_record *record)
{
    struct found *f = ctx;
    f->record = *record;
    f->record.bytes = NULL;
    f->record.review_text = "";
    f->found = true;
    return 0;
}

/* Queues a review durably; the loop hands it to the node, whose log it becomes part of. */
static void handle_review(const struct console_view *view, struct http_answer *answer)
{
    struct console *c = view->console;
    const struct http_request *request = view->request;
    const char *text = http_form(request, "text");
    struct found f = { .found = false };
    int64_t arrival = parse_number(http_form(request, "arrival"), INT64_MAX, 0);
    struct review review = {
        .state = (enum review_state)parse_number(http_form(request, "state"), REVIEW_MET, 0),
        .ref_count = 1,
    };
    if (db_record_get(c->ledger->db, arrival, take_record, &f) < 0) {
        message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    if (!f.found || f.record.commune != c->own_commune || c->own_commune == 0 ||
        review.state < REVIEW_SEEN) {
        message(view, STATUS_NOT_FOUND, LANG_ERR_RECORD, answer);
        return;
    }
    uint8_t body[RECORD_BODY_LEN_MAX];
    review.refs[0] = f.record.ref;
    review.text_len = text ? strlen(text) : 0;
    if (review.text_len < sizeof review.text) {
        memcpy(review.text, text ? text : "", review.text_len + 1);
    }
    if (review.text_len >= sizeof review.text || review_encode(&review, body, sizeof body) < 0) {
        message(view, STATUS_BAD_REQUEST, LANG_ERR_TEXT, answer);
        return;
    }
    struct db_outgoing outgoing = { .commune = f.record.commune, .ref = f.record.ref,
                                    .state = (uint8_t)review.state, .text = review.text };
    if (db_outgoing_add(c->ledger->db, &outgoing, &outgoing.id) < 0) {
        message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    c->review_added(c->ctx);
    go_back(view, answer);
}

static void handle_login(const struct console_view *view, struct http_answer *answer)
{
    const struct http_request *request = view->request;
    const char *passphrase = http_form(request, "passphrase");
    if (passphrase && access_login(view->console->access, passphrase, request->address,
                                   request->secure, view->now_ms, answer->set_cookie,
                                   sizeof answer->set_cookie)) {
        see_other(answer, "/");
        return;
    }
    answer->status = STATUS_FORBIDDEN;
    answer->content_type = HTML;
    console_page_login(view, true, &answer->body);
}

static void handle_post(const struct console_view *view, bool allowed, struct http_answer *answer)
{
    const char *path = view->request->path;
    struct console *c = view->console;
    if (!form_is_ours(view)) {
        message(view, STATUS_FORBIDDEN, LANG_ERR_CSRF, answer);
    } else if (strcmp(path, "/login") == 0) {
        handle_login(view, answer);
    } else if (!allowed) {
        see_other(answer, "/login");
    } else if (strcmp(path, "/review") == 0) {
        handle_review(view, answer);
    } else if (strcmp(path, "/send-now") == 0) {
        c->send_now(c->ctx);
        go_back(view, answer);
    } else if (strcmp(path, "/logout") == 0) {
        access_logout(c->access, view->request->cookie, view->request->secure);
        see_other(answer, "/login");
    } else {
        message(view, STATUS_NOT_FOUND, LANG_ERR_NOT_FOUND, answer);
    }
}

static void handle_get(const struct console_view *view, bool allowed, struct http_answer *answer)
{
    const char *path = view->request->path;
    if (strcmp(path, "/login") == 0) {
        answer->status = STATUS_OK;
        answer->content_type = HTML;
        console_page_login(view, false, &answer->body);
    } else if (!allowed) {
        see_other(answer, "/login");
    } else if (strcmp(path, "/") == 0) {
        answer->status = STATUS_OK;
        answer->content_type = HTML;
        if (http_query(view->request, "lang"))
            snprintf(answer->set_cookie, sizeof answer->set_cookie,
                     "lang=%s; Path=/; Max-Age=31536000; SameSite=Strict",
                     lang_code(view->language));
        console_page_main(view, &answer->body);
    } else if (strcmp(path, "/events") == 0) {
        serve_stream(view, answer);
    } else {
        message(view, STATUS_NOT_FOUND, LANG_ERR_NOT_FOUND, answer);
    }
}

void console_handle(struct console *c, const struct http_request *request, int64_t now_ms,
                    struct http_answer *answer)
{
    struct console_view view = make_view(c, request, now_ms);
    if (!c->enabled) {
        answer->status = STATUS_NOT_FOUND;
        strbuf_put(&answer->body, "there is no console here\n");
        return;
    }
    if (!http_host_allowed(request->host, c->host_names, c->host_name_count)) {
        message(&view, STATUS_MISDIRECTED, LANG_ERR_HOST, answer);
        return;
    }
    if (request->method == HTTP_GET && serve_asset(request->path, answer))
        return;
    bool allowed = access_allowed(c->access, request->cookie, request->secure, now_ms);
    if (request->method == HTTP_GET)
        handle_get(&view, allowed, answer);
    else if (request->method == HTTP_POST)
        handle_post(&view, allowed, answer);
    else
        message(&view, STATUS_METHOD, LANG_ERR_METHOD, answer);
}
