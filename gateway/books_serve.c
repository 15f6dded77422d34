#include "gateway/books_serve.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/assets.h"
#include "gateway/books_chart.h"
#include "gateway/books_export.h"
#include "gateway/console.h"
#include "gateway/export.h"
#include "gateway/http.h"
#include "gateway/units.h"

enum { STATUS_OK = 200, STATUS_BAD_REQUEST = 400, STATUS_NOT_FOUND = 404, STATUS_METHOD = 405,
       STATUS_MISDIRECTED = 421, STATUS_UNAVAILABLE = 503 };

struct serving {
    const struct books_query *base;
    int64_t known_arrival; /* rosters in memory are as of then */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool books_moment_parse(const char *text, int64_t *unix_ms_out)
{
    struct tm parts = { .tm_isdst = -1 };
    const char *end = strptime(text, "%Y-%m-%d", &parts);
    bool has_time = end && (*end == 'T' || *end == ' ');
    if (has_time)
        end = strptime(end + 1, "%H:%M", &parts);
    if (end && has_time && *end == ':')
        end = strptime(end, ":%S", &parts);
    bool utc = end && has_time && *end == 'Z';
    if (!end || end[utc] != '\0')
        return false;
    parts.tm_mday += !has_time;
    time_t seconds = utc ? timegm(&parts) : mktime(&parts);
    if (seconds <= 0)
        return false;
    *unix_ms_out = (int64_t)seconds * 1000 - !has_time;
    return true;
}

/* ---- a request ---- */

static void put_head(enum language language, struct strbuf *out)
{
    const char *title = lang_text(language, LANG_BOOKS);
    strbuf_putf(out, "<!doctype html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><meta "
                     "name=\"viewport\" content=\"width=device-width\"><title>%s</title>"
                     "<link rel=\"stylesheet\" href=\"/style.css\"></head><body>"
                     "<header class=\"top\"><h1>%s</h1>", lang_code(language), title, title);
}

static void say(struct http_answer *answer, unsigned status, enum language language,
                const char *words)
{
    strbuf_free(&answer->body);
    answer->body = (struct strbuf){ .text = NULL };
    if (answer->file)
        fclose(answer->file);
    answer->file = NULL;
    answer->file_name[0] = '\0';
    answer->status = status;
    answer->content_type = "text/html; charset=utf-8";
    put_head(language, &answer->body);
    strbuf_put(&answer->body, "</header><main class=\"narrow\"><p>");
    strbuf_put_html(&answer->body, words);
    strbuf_putf(&answer->body, "</p><p><a href=\"/?lang=%s\">%s</a></p></main></body></html>\n",
                lang_code(language), lang_text(language, LANG_P_SERVE_BACK));
}

static void say_text(struct http_answer *answer, unsigned status, enum language language,
                     enum lang_text text)
{
    say(answer, status, language, lang_text(language, text));
}

static unsigned number(const struct http_request *request, const char *name, int64_t max, bool *bad)
{
    const char *text = http_query(request, name);
    int64_t value = text && *text ? console_number(text, max, -1) : 0;
    *bad = *bad || value < 0;
    return (unsigned)value;
}

/* False: it cannot be read. */
static bool read_query(const struct serving *s, const struct http_request *request,
                       struct books_query *q_out)
{
    struct books_query q = *s->base;
    bool bad = false;
    const char *commune = http_query(request, "commune"), *lang = http_query(request, "lang");
    const char *as_of = http_query(request, "as-of");
    q.now_ms = clock_ms(CLOCK_REALTIME);
    q.commune = commune && *commune ? commune : NULL;
    q.village = number(request, "village", REPORT_VILLAGE_MAX, &bad);
    q.event = number(request, "event", REPORT_EVENT_MAX, &bad);
    if (lang && *lang)
        bad = !lang_find(lang, &q.language) || bad;
    if (as_of && *as_of)
        bad = bad || !books_moment_parse(as_of, &q.as_of_ms);
    *q_out = q;
    return !bad;
}

static int reload_if_new(struct serving *s)
{
    struct ledger *l = s->base->ledger;
    int64_t last = 0;
    int result = db_record_last_arrival(l->db, &last);
    if (result >= 0 && last != s->known_arrival)
        result = ledger_reload(l);
    if (result >= 0)
        s->known_arrival = last;
    return result;
}

/* ---- the page ---- */

static void put_field(struct strbuf *out, const char *label, const char *name, const char *value)
{
    strbuf_putf(out, "<label>%s <input name=\"%s\" size=\"6\" inputmode=\"numeric\" value=\"",
                label, name);
    strbuf_put_html(out, value ? value : "");
    strbuf_put(out, "\"></label>\n");
}

/* The same question, asked for another form or in another language. */
static void put_link(const struct http_request *request, const char *path, enum language language,
                     const char *words, struct strbuf *out)
{
    static const char *const NAMES[] = { "commune", "village", "event", "as-of" };
    strbuf_putf(out, "<a href=\"%s?lang=%s", path, lang_code(language));
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const char *value = http_query(request, NAMES[i]);
        if (!value || !*value)
            continue;
        strbuf_putf(out, "&amp;%s=", NAMES[i]);
        strbuf_put_url(out, value);
    }
    strbuf_putf(out, "\">%s</a>\n", words);
}

static void put_form(const struct books_query *q, const struct http_request *request,
                     struct strbuf *out)
{
    enum language language = q->language;
    char moment[LANG_TIME_LEN] = "";
    strbuf_put(out, "<form class=\"filter\" method=\"get\" action=\"/\">\n<label>");
    strbuf_putf(out, "%s <select name=\"commune\"><option value=\"\">%s</option>\n",
                lang_text(language, LANG_COMMUNE), lang_text(language, LANG_ALL_COMMUNES));
    for (size_t i = 0; i < q->ledger->commune_count; i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        if (c->is_province)
            continue;
        strbuf_put(out, "<option value=\"");
        strbuf_put_html(out, units_name(c));
        strbuf_putf(out, "\"%s>", q->commune && strcmp(q->commune, units_name(c)) == 0
                                      ? " selected" : "");
        strbuf_put_html(out, units_name(c));
        strbuf_put(out, "</option>\n");
    }
    strbuf_put(out, "</select></label>\n");
    put_field(out, lang_text(language, LANG_P_VILLAGE_NUMBER), "village",
              http_query(request, "village"));
    put_field(out, lang_text(language, LANG_EVENT), "event", http_query(request, "event"));
    if (q->as_of_ms)
        lang_time_local(q->as_of_ms, moment);
    strbuf_putf(out, "<label>%s <input type=\"datetime-local\" name=\"as-of\" value=\"%s\"></label>"
                     "<input type=\"hidden\" name=\"lang\" value=\"%s\"><button>%s</button>"
                     "</form>\n", lang_text(language, LANG_AS_OF), moment, lang_code(language),
                lang_text(language, LANG_TOTALS_SHOW));
}

static void put_files(const struct books_query *q, const struct http_request *request,
                      struct strbuf *out)
{
    strbuf_putf(out, "<p class=\"files\">%s: ", lang_text(q->language, LANG_QUICK_EXPORT));
    for (const struct export_format *f = export_formats; f->name; f++) {
        char path[64];
        snprintf(path, sizeof path, "/figures.%s", f->name);
        put_link(request, path, q->language, lang_text(q->language, f->label), out);
    }
    put_link(request, "/figures.json", q->language, "JSON", out);
    put_link(request, "/course.svg", q->language, lang_text(q->language, LANG_COURSE), out);
    strbuf_put(out, "</p>\n");
}

static int put_page(const struct books_query *q, const struct books *b,
                    const struct http_request *request, struct strbuf *out)
{
    put_head(q->language, out);
    strbuf_put(out, "<nav class=\"lang\">");
    if (q->language == LANG_EN)
        put_link(request, "/", LANG_VI, "Tiếng Việt", out);
    else
        put_link(request, "/", LANG_EN, "English", out);
    strbuf_put(out, "</nav></header>\n<main class=\"wide\">\n");
    put_form(q, request, out);
    put_files(q, request, out);
    /* With long names it scrolls sideways on a phone: reachable without a pointer, too. */
    strbuf_putf(out, "<section tabindex=\"0\" aria-label=\"%s\">",
                lang_text(q->language, LANG_TOTALS));
    int result = books_html(q, b, out);
    strbuf_put(out, "</section></main></body></html>\n");
    return result;
}

static int put_export(const struct books_query *q, const struct books *b,
                      const struct export_format *f, struct http_answer *answer)
{
    struct books_export e;
    answer->content_type = f->type;
    snprintf(answer->file_name, sizeof answer->file_name, "keng-figures.%s", f->name);
    books_export_init(&e, q, b);
    return f->write(&e.quick, q->language, &answer->body) ? 0 : DB_ENOMEM;
}

/* What has no end goes through an unnamed file. */
static int put_file(const struct books_query *q, const struct books *b, const char *path,
                    struct http_answer *answer)
{
    static const char FIGURES[] = "/figures.";
    bool json = strcmp(path, "/figures.json") == 0;
    const struct export_format *f = json ? NULL : export_find(path + sizeof FIGURES - 1);
    int result = DB_ENOMEM;
    if (!json && !f) {
        say_text(answer, STATUS_NOT_FOUND, q->language, LANG_ERR_NOT_FOUND);
        return 0;
    }
    answer->file = answer->body.sink = tmpfile();
    if (!answer->file)
        return result;
    if (json) {
        answer->content_type = "application/json";
        result = books_json(q, b, &answer->body);
    } else {
        result = put_export(q, b, f, answer);
    }
    bool whole = strbuf_flush(&answer->body);
    strbuf_free(&answer->body);
    return result < 0 ? result : whole ? 0 : DB_ENOMEM;
}

static int put_answer(const struct books_query *q, const struct http_request *request,
                      struct http_answer *answer)
{
    static const char FIGURES[] = "/figures.";
    struct books b = { .gaps = { .list = NULL } };
    int result = books_collect(q, &b);
    if (result >= 0 && strcmp(request->path, "/") == 0) {
        answer->content_type = "text/html; charset=utf-8";
        result = put_page(q, &b, request, &answer->body);
    } else if (result >= 0 && strcmp(request->path, "/course.svg") == 0) {
        answer->content_type = "image/svg+xml";
        result = books_chart(q, &b, &answer->body);
    } else if (result >= 0 && strncmp(request->path, FIGURES, sizeof FIGURES - 1) == 0) {
        result = put_file(q, &b, request->path, answer);
    } else if (result >= 0) {
        say_text(answer, STATUS_NOT_FOUND, q->language, LANG_ERR_NOT_FOUND);
    }
    books_free(&b);
    return result;
}

static void handle(void *ctx, const struct http_request *request, struct http_answer *answer)
{
    struct serving *s = ctx;
    struct books_query q;
    bool readable = read_query(s, request, &q);
    if (!http_host_allowed(request->host, NULL, 0)) {
        say_text(answer, STATUS_MISDIRECTED, q.language, LANG_P_SERVE_HOST);
    } else if (request->method != HTTP_GET) {
        say_text(answer, STATUS_METHOD, q.language, LANG_P_SERVE_METHOD);
    } else if (strcmp(request->path, "/style.css") == 0) {
        answer->status = STATUS_OK;
        answer->content_type = "text/css; charset=utf-8";
        answer->static_body = asset_style_css;
        answer->static_len = asset_len(asset_style_css, asset_style_css_end);
    } else if (!readable) {
        say_text(answer, STATUS_BAD_REQUEST, q.language, LANG_P_SERVE_QUESTION);
    } else {
        answer->status = STATUS_OK;
        int result = reload_if_new(s);
        if (result >= 0)
            result = put_answer(&q, request, answer);
        if (result < 0)
            say(answer, STATUS_UNAVAILABLE, q.language, result == DB_ENOMEM
                    ? lang_text(q.language, LANG_P_NO_ROOM) : db_error(q.ledger->db));
    }
}

static size_t no_put(void *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    return 0;
}

int books_serve(const struct books_query *base, const char *listen)
{
    struct serving serving = { .base = base };
    struct http_handler handler = { .ctx = &serving, .handle = handle, .put_len_max = no_put };
    struct http_config config = { .listen = listen };
    struct sockaddr_storage address;
    struct http_server *server = NULL;
    char err[HTTP_ERR_LEN];
    bool loopback = false;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    int result = signals < 0 ? -1 : http_parse_listen(listen, &address, &loopback, err);
    if (result == 0 && !loopback) {
        lang_fill(base->language, LANG_P_ONLY_HERE, err, sizeof err, LANG_WORD(listen));
        result = -1;
    }
    if (result == 0)
        result = http_server_start(&config, &handler, &server, err);
    if (result != 0) {
        fprintf(stderr, "keng-province: %s\n", signals < 0 ? "signalfd" : err);
        if (signals >= 0)
            close(signals);
        return EXIT_FAILURE;
    }
    printf("http://%.*s:%u/\n", (int)(strrchr(listen, ':') - listen), listen,
           (unsigned)http_server_port(server));
    fflush(stdout);
    struct pollfd fds[2] = { { .fd = signals, .events = POLLIN },
                             { .fd = http_server_fd(server), .events = POLLIN } };
    while (fds[0].revents == 0) {
        int timeout = http_server_timeout_ms(server, clock_ms(CLOCK_MONOTONIC));
        if (poll(fds, 2, timeout) >= 0)
            http_server_run(server, clock_ms(CLOCK_MONOTONIC));
    }
    http_server_stop(server);
    close(signals);
    return EXIT_SUCCESS;
}
