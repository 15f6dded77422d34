#include "gateway/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/assets.h"
#include "gateway/words.h"
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
    MS_PER_HOUR = 3600 * 1000,
    STREAM_RETRY_MS = 3000,
};

static const char HTML[] = "text/html; charset=utf-8";

int64_t console_number(const char *text, int64_t max, int64_t fallback)
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

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
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
        .arrival = console_number(http_query(request, "arrival"), INT64_MAX, 0),
    };
    struct strbuf folded = { .text = NULL };
    const char *words = http_query(request, "words"), *from = http_query(request, "from");
    int64_t hours = console_number(http_query(request, "hours"), 24 * 365, 0);
    unsigned below_rank = DB_RANK_MAX;
    long long below_arrival = INT64_MAX;
    if (from && sscanf(from, "%3u.%18lld", &below_rank, &below_arrival) != 2)
        below_rank = DB_RANK_MAX;
    snprintf(view.words, sizeof view.words, "%s", words ? words : "");
    words_fold(view.words, &folded);
    snprintf(view.folded, sizeof view.folded, "%s", folded.text ? folded.text : "");
    strbuf_free(&folded);
    view.wall_ms = wall_ms();
    view.filter = (struct db_list_filter){
        .commune = console_number(http_query(request, "commune"), INT32_MAX, 0),
        .village = console_number(http_query(request, "village"), REPORT_VILLAGE_MAX, -1),
        .kind = (unsigned)console_number(http_query(request, "kind"), RECORD_NOTE, 0),
        .state = (int)console_number(http_query(request, "state"), REVIEW_JOINED, -1),
        .priority = (int)console_number(http_query(request, "priority"), PRIORITY_RESCUE, -1),
        .since_ms = hours > 0 ? view.wall_ms - hours * MS_PER_HOUR : 0,
        .below_rank = below_rank,
        .below_arrival = below_arrival,
        .limit = CONSOLE_PAGE_COUNT,
    };
    if (http_query(request, "waiting"))
        view.filter.state = 0;
    access_form_token(&c->people->access, request->cookie, request->secure, view.token);
    return view;
}

void console_message(const struct console_view *view, unsigned status, enum lang_text text,
                     struct http_answer *answer)
{
    answer->status = status;
    answer->content_type = HTML;
    console_page_message(view, lang_text(view->language, text), &answer->body);
}

void console_see_other(struct http_answer *answer, const char *location)
{
    answer->status = STATUS_SEE_OTHER;
    snprintf(answer->location, sizeof answer->location, "%s", location);
}

void console_speak_to(const struct console_view *view, int64_t commune)
{
    struct console *c = view->console;
    const struct ledger_commune *named = ledger_get(c->ledger, commune);
    if (c->keys && named && keys_find(c->keys, named))
        c->own_commune = commune;
}

/* Files without secrets: the log-in page needs them too. */
static bool serve_asset(const char *path, struct http_answer *answer)
{
    static const struct {
        const char *path, *type, *start, *end;
    } ASSETS[] = {
        { "/style.css", "text/css; charset=utf-8", asset_style_css, asset_style_css_end },
        { "/live.js", "text/javascript; charset=utf-8", asset_live_js, asset_live_js_end },
        { "/map.js", "text/javascript; charset=utf-8", asset_map_js, asset_map_js_end },
        { "/leaflet.js", "text/javascript; charset=utf-8", asset_leaflet_js,
          asset_leaflet_js_end },
        { "/leaflet.css", "text/css; charset=utf-8", asset_leaflet_css, asset_leaflet_css_end },
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
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    const char *after_text =
        *request->last_event_id ? request->last_event_id : http_query(request, "after");
    answer->status = STATUS_OK;
    answer->content_type = "text/event-stream; charset=utf-8";
    answer->stream = true;
    strbuf_putf(&answer->body, "retry: %d\n\n", (int)STREAM_RETRY_MS);
    /* What came in while the page was on its way or the line was down. */
    if (console_number(after_text, INT64_MAX, last) < last)
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
    return token && access_form_token_ok(&view->console->people->access, request->cookie,
                                         request->secure, token);
}

/* The page to go back to: only a path of our own with a query of harmless characters. */
void console_go_back(const struct console_view *view, struct http_answer *answer)
{
    const char *back = http_form(view->request, "back");
    char location[384] = "/";
    static const char HARMLESS[] =
        "/?&=_.%-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    bool ours = back && (back[0] == '?' || (back[0] == '/' && back[1] != '/'));
    if (ours && strlen(back) < sizeof location - 1 && back[strspn(back, HARMLESS)] == '\0')
        snprintf(location, sizeof location, "%s%s", back[0] == '?' ? "/" : "", back);
    console_see_other(answer, location);
}

bool console_audit(const struct console_view *view, const char *action, const char *object,
                   struct http_answer *answer)
{
    char err[AUDIT_ERR_LEN];
    if (!access_is_guarded(&view->console->people->access) ||
        audit_add(&view->console->people->audit, view->who ? view->who->number : 0, action, object,
                  view->wall_ms, err) == 0)
        return true;
    fprintf(stderr, "<3>keng-gateway: %s\n", err);
    console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    return false;
}

struct access_peer console_peer(const struct console_view *view)
{
    return (struct access_peer){ .address = view->request->address,
                                 .local = view->request->local,
                                 .secure = view->request->secure };
}

static void show_login(const struct console_view *view, enum console_login state,
                       struct http_answer *answer)
{
    answer->status = state == CONSOLE_LOGIN_FIRST ? STATUS_OK : STATUS_FORBIDDEN;
    answer->content_type = HTML;
    console_page_login(view, state, &answer->body);
}

static void get_login(const struct console_view *view, struct http_answer *answer)
{
    show_login(view, CONSOLE_LOGIN_FIRST, answer);
}

static void post_login(const struct console_view *view, struct http_answer *answer)
{
    const struct http_request *request = view->request;
    struct access *access = &view->console->people->access;
    const char *login = http_form(request, "login");
    const char *passphrase = http_form(request, "passphrase");
    struct access_peer peer = console_peer(view);
    enum access_login result =
        login && passphrase ? access_login(access, login, passphrase, request->cookie, &peer,
                                           view->now_ms, answer->set_cookie,
                                           sizeof answer->set_cookie)
                            : ACCESS_WRONG;
    /* What is refused without a look costs no line: nobody can fill the disk with guesses. */
    if (result == ACCESS_TOO_MANY) {
        show_login(view, CONSOLE_LOGIN_LATER, answer);
        return;
    }
    struct console_view named = *view;
    const struct access_operator *o =
        result == ACCESS_WELCOME ? access_operator_find(access, login) : NULL;
    named.who = o;
    if (!console_audit(&named, o ? "login" : "login-refused", login ? login : "", answer)) {
        answer->set_cookie[0] = '\0';
        return;
    }
    answer->known = o != NULL;
    if (o)
        console_see_other(answer, "/");
    else
        show_login(view, CONSOLE_LOGIN_WRONG, answer);
}

static void post_logout(const struct console_view *view, struct http_answer *answer)
{
    access_logout(&view->console->people->access, view->request->cookie, view->request->secure);
    console_see_other(answer, "/login");
}

static void post_send_now(const struct console_view *view, struct http_answer *answer)
{
    view->console->send_now(view->console->ctx);
    console_go_back(view, answer);
}

static void get_board(const struct console_view *view, struct http_answer *answer)
{
    answer->status = STATUS_OK;
    answer->content_type = HTML;
    console_page_main(view, &answer->body);
}

const struct console_route console_routes[] = {
    { HTTP_GET, "/", ACCESS_VIEW, LANG_REPORTS, get_board },
    { HTTP_GET, "/directives", ACCESS_VIEW, LANG_DIRECTIVES, console_page_directives },
    { HTTP_POST, "/directives", ACCESS_REVIEW, -1, console_directive },
    { HTTP_GET, "/cap", ACCESS_REVIEW, -1, console_page_cap },
    { HTTP_POST, "/cap", ACCESS_REVIEW, -1, console_cap },
    { HTTP_GET, "/cap/alert", ACCESS_VIEW, -1, console_cap_alert },
    { HTTP_GET, "/totals", ACCESS_VIEW, LANG_TOTALS_SHORT, console_page_totals },
    { HTTP_GET, "/figure", ACCESS_VIEW, -1, console_page_figure },
    { HTTP_GET, "/quick", ACCESS_VIEW, LANG_QUICK, console_page_quicks },
    { HTTP_POST, "/quick", ACCESS_REVIEW, -1, console_quick_save },
    { HTTP_GET, "/quick/read", ACCESS_VIEW, -1, console_page_quick },
    { HTTP_GET, "/quick/export", ACCESS_VIEW, -1, console_quick_export },
    { HTTP_POST, "/quick/sign", ACCESS_SIGN, -1, console_quick_sign },
    { HTTP_GET, "/map", ACCESS_VIEW, LANG_MAP, console_page_map },
    { HTTP_GET, "/map/points", ACCESS_VIEW, -1, console_map_points },
    { HTTP_GET, "/map/layer", ACCESS_VIEW, -1, console_map_layer },
    { HTTP_GET, "/map/tile", ACCESS_VIEW, -1, console_map_tile },
    { HTTP_GET, "/nodes", ACCESS_VIEW, LANG_NODES, console_page_nodes },
    { HTTP_GET, "/people", ACCESS_ADMIN, LANG_PEOPLE, console_page_people },
    { HTTP_POST, "/people", ACCESS_ADMIN, -1, console_people_change },
    { HTTP_GET, "/account", ACCESS_VIEW, -1, console_page_account },
    { HTTP_GET, "/guide", ACCESS_VIEW, -1, console_page_guide },
    { HTTP_POST, "/account", ACCESS_VIEW, -1, console_account_change },
    { HTTP_GET, "/events", ACCESS_VIEW, -1, serve_stream },
    { HTTP_GET, "/calls", ACCESS_VIEW, -1, console_page_calls },
    { HTTP_GET, "/record", ACCESS_VIEW, -1, console_page_record },
    { HTTP_GET, "/next", ACCESS_REVIEW, -1, console_next },
    { HTTP_POST, "/review", ACCESS_REVIEW, -1, console_review },
    { HTTP_POST, "/send-now", ACCESS_REVIEW, -1, post_send_now },
    { HTTP_GET, "/login", ACCESS_NOBODY, -1, get_login },
    { HTTP_POST, "/login", ACCESS_NOBODY, -1, post_login },
    { HTTP_POST, "/logout", ACCESS_NOBODY, -1, post_logout },
    { HTTP_OTHER, NULL, ACCESS_NOBODY, -1, NULL },
};

static void dispatch(struct console_view *view, struct http_answer *answer)
{
    const struct http_request *request = view->request;
    const struct console_route *r = console_routes;
    while (r->path && (r->method != request->method || strcmp(r->path, request->path) != 0))
        r++;
    bool is_post = request->method == HTTP_POST;
    if (request->method != HTTP_GET && !is_post)
        console_message(view, STATUS_METHOD, LANG_ERR_METHOD, answer);
    else if (is_post && !form_is_ours(view))
        console_message(view, STATUS_FORBIDDEN, LANG_ERR_CSRF, answer);
    else if (!view->who && (!r->path || r->role > ACCESS_NOBODY))
        console_see_other(answer, "/login");
    else if (!r->path)
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_NOT_FOUND, answer);
    else if (r->role > ACCESS_NOBODY && view->who->role < r->role)
        console_message(view, STATUS_FORBIDDEN, LANG_ERR_ROLE, answer);
    else
        r->handle(view, answer);
    if (answer->status == STATUS_OK && http_query(request, "lang") && !answer->set_cookie[0])
        snprintf(answer->set_cookie, sizeof answer->set_cookie,
                 "lang=%s; Path=/; Max-Age=31536000; SameSite=Strict", lang_code(view->language));
}

void console_handle(struct console *c, const struct http_request *request, int64_t now_ms,
                    struct http_answer *answer)
{
    struct console_view view = make_view(c, request, now_ms);
    char err[ACCESS_ERR_LEN];
    if (!c->enabled) {
        answer->status = STATUS_NOT_FOUND;
        strbuf_put(&answer->body, "there is no console here\n");
        return;
    }
    if (!http_host_allowed(request->host, c->host_names, c->host_name_count)) {
        console_message(&view, STATUS_MISDIRECTED, LANG_ERR_HOST, answer);
        return;
    }
    if (request->method == HTTP_GET && serve_asset(request->path, answer))
        return;
    if (access_refresh(&c->people->access, err) != 0)
        fprintf(stderr, "<3>keng-gateway: %s\n", err);
    view.filter.words = view.folded; /* the view has its place now */
    view.who = access_who(&c->people->access, request->cookie, request->secure, now_ms);
    answer->known = view.who && access_is_guarded(&c->people->access);
    dispatch(&view, answer);
}
