/* An alert that others issued becomes the form of a directive, a directive of ours an alert. */
#include <stdio.h>
#include <string.h>

#include "gateway/alerts.h"
#include "gateway/console_page.h"

enum { MS_PER_HOUR = 3600 * 1000, HOURS_MAX = 24 * 30 };

static void put_paste_form(const struct page *p, const char *xml)
{
    strbuf_putf(p->out, "<section><h2>%s</h2><form method=\"post\" action=\"/cap\" class=\"reply\">"
                        "<p class=\"dim\">%s</p>", page_text(p, LANG_CAP),
                page_text(p, LANG_CAP_RULE));
    page_put_token(p->view, p->out);
    strbuf_putf(p->out, "<label>%s<textarea name=\"xml\" rows=\"10\" required>",
                page_text(p, LANG_CAP_XML));
    strbuf_put_html(p->out, xml);
    strbuf_putf(p->out, "</textarea></label><div class=\"buttons\"><button class=\"main\">%s"
                        "</button></div></form></section>\n", page_text(p, LANG_CAP_READ));
}

static void put_fact(const struct page *p, const char *text)
{
    if (!*text)
        return;
    strbuf_put(p->out, "<p class=\"words\">");
    strbuf_put_html(p->out, text);
    strbuf_put(p->out, "</p>");
}

/* The words of the standard are English, and so the sources of our texts. */
static void put_grade(const struct page *p, const char *word)
{
    strbuf_put(p->out, " · ");
    for (int i = LANG_CAP_IMMEDIATE; i <= LANG_CAP_UNKNOWN; i++)
        if (strcmp(word, lang_text(LANG_EN, (enum lang_text)i)) == 0)
            page_put_text(p, (enum lang_text)i);
}

/* The alert in full, so that whoever shortens it sees what is lost. */
static void put_alert(const struct page *p, const struct cap_alert *a)
{
    strbuf_putf(p->out, "<section><h2>%s ", page_text(p, LANG_CAP_FROM));
    strbuf_put_html(p->out, a->sender);
    strbuf_put(p->out, "</h2><p>");
    page_put_time(p, a->sent_ms);
    put_grade(p, a->info.urgency);
    put_grade(p, a->info.severity);
    put_grade(p, a->info.certainty);
    strbuf_put(p->out, "</p>");
    put_fact(p, a->info.headline);
    put_fact(p, a->info.description);
    put_fact(p, a->info.instruction);
    put_fact(p, a->info.areas);
    strbuf_put(p->out, "</section>\n");
}

static unsigned hours_left(const struct cap_alert *a, int64_t now_ms)
{
    if (a->expires_ms == 0)
        return 24;
    int64_t hours = (a->expires_ms - now_ms + MS_PER_HOUR - 1) / MS_PER_HOUR;
    return hours < HOURS_MAX ? (unsigned)hours : HOURS_MAX;
}

static void show(const struct console_view *view, const char *xml, struct http_answer *answer)
{
    static struct cap_alert alert; /* large; pages are made one at a time */
    struct page p = { .view = view, .out = &answer->body };
    const struct console *c = view->console;
    const struct ledger_commune *own = ledger_get(c->ledger, c->own_commune);
    struct directive directive;
    struct page_directive form = { .receipt = true };
    char err[CAP_ERR_LEN] = "";
    bool read = *xml && cap_parse(xml, strlen(xml), &alert, err) == 0;
    bool good = read && cap_directive(&alert, view->wall_ms, &directive, &form.priority, err) == 0;
    answer->status = *xml && !good ? 400 : 200;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_CAP), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (*err) {
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s. %s <span lang=\"en\">(",
                    page_text(&p, LANG_CAP_BAD), page_text(&p, LANG_CAP_BAD_DO));
        strbuf_put_html(p.out, err);
        strbuf_put(p.out, ")</span></p>");
    }
    if (!own)
        strbuf_putf(p.out, "<p class=\"none\">%s</p>", page_text(&p, LANG_DIRECTIVES_NO_NODE));
    if (read)
        put_alert(&p, &alert);
    if (good && own) {
        form.text = directive.text;
        form.drill = directive.drill;
        form.hours = hours_left(&alert, view->wall_ms);
        page_put_directive_form(&p, own, &form);
    } else {
        put_paste_form(&p, xml);
    }
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}

void console_page_cap(const struct console_view *view, struct http_answer *answer)
{
    show(view, "", answer);
}

void console_cap(const struct console_view *view, struct http_answer *answer)
{
    const char *xml = http_form(view->request, "xml");
    show(view, xml ? xml : "", answer);
}

struct written {
    const struct console *console;
    struct strbuf *out;
    char identifier[CAP_WORD_LEN];
    struct record_ref ref;
    bool good;
};

static int write_alert(void *ctx, const struct db_record *r)
{
    struct written *w = ctx;
    const struct ledger_commune *c = ledger_get(w->console->ledger, r->commune);
    w->ref = r->ref;
    w->good = c && alert_of_record(c, r->commune == w->console->own_commune ? w->console->villages
                                                                           : NULL,
                                   r, w->out, w->identifier);
    return 0;
}

void console_cap_alert(const struct console_view *view, struct http_answer *answer)
{
    struct strbuf alert = { .text = NULL };
    struct written w = { .console = view->console, .out = &alert };
    char object[AUDIT_OBJECT_LEN];
    if (db_record_get(view->console->ledger->db, view->arrival, write_alert, &w) < 0) {
        console_message(view, 503, LANG_ERR_DISK, answer);
    } else if (!w.good) {
        console_message(view, 404, LANG_ERR_NOT_FOUND, answer);
    } else {
        snprintf(object, sizeof object, "alert %u-%u", (unsigned)w.ref.author,
                 (unsigned)w.ref.seq);
        if (console_audit(view, "export", object, answer)) {
            answer->status = 200;
            answer->content_type = "application/cap+xml";
            snprintf(answer->file_name, sizeof answer->file_name, "%.50s.xml", w.identifier);
            strbuf_put_len(&answer->body, alert.text, alert.len);
        }
    }
    strbuf_free(&alert);
}
