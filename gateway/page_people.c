/* Who may use the console, and what was done with it. */
#include <inttypes.h>
#include <string.h>

#include "gateway/console_page.h"

enum { AUDIT_SHOWN_COUNT = 200 };

static const char *role_text(const struct page *p, enum access_role role)
{
    return role == ACCESS_NOBODY
               ? "" : page_text(p, (enum lang_text)(LANG_ROLE_VIEW + (int)role - (int)ACCESS_VIEW));
}

static void put_operators(const struct page *p)
{
    const struct access *a = &p->view->console->people->access;
    strbuf_putf(p->out, "<section><h2>%s</h2><p class=\"dim\">%s</p>", page_text(p, LANG_PEOPLE),
                page_text(p, a->operator_count ? LANG_PEOPLE_RULE : LANG_PEOPLE_NONE));
    if (a->operator_count > 0)
        strbuf_putf(p->out, "<table><thead><tr><th>%s</th><th>%s</th><th>%s</th><th>%s</th></tr>"
                            "</thead><tbody>", page_text(p, LANG_NUMBER),
                    page_text(p, LANG_LOGIN_NAME), page_text(p, LANG_NAME),
                    page_text(p, LANG_ROLE));
    for (size_t i = 0; i < a->operator_count; i++) {
        const struct access_operator *o = &a->operators[i];
        strbuf_putf(p->out, "<tr><td>%u</td><td>%s</td><td>", (unsigned)o->number, o->login);
        strbuf_put_html(p->out, o->name);
        strbuf_putf(p->out, "</td><td>%s%s%s</td></tr>", role_text(p, o->role),
                    o->disabled ? ", " : "",
                    o->disabled ? page_text(p, LANG_SWITCHED_OFF) : "");
    }
    strbuf_put(p->out, a->operator_count ? "</tbody></table></section>\n" : "</section>\n");
}

/* The newest entries, kept in a ring while the trail is read from old to new. */
struct newest {
    struct audit_entry list[AUDIT_SHOWN_COUNT];
    size_t count;
};

static void keep(void *ctx, const struct audit_entry *entry)
{
    struct newest *n = ctx;
    n->list[n->count++ % AUDIT_SHOWN_COUNT] = *entry;
}

/* What the trail has as a word for machines; a later version's stands as it is. */
static void put_action(const struct page *p, const char *action)
{
    static const struct { const char *action; enum lang_text text; } DEEDS[] = {
        { "login", LANG_DID_LOG_IN }, { "login-refused", LANG_DID_FAIL_LOG_IN },
        { "sign-off", LANG_DID_SIGN }, { "operator-add", LANG_DID_ADD },
        { "operator-role", LANG_DID_ROLE }, { "operator-passwd", LANG_DID_PASSWD },
        { "operator-off", LANG_DID_OFF }, { "operator-on", LANG_DID_ON },
    };
    for (size_t i = 0; i < sizeof DEEDS / sizeof DEEDS[0]; i++)
        if (strcmp(action, DEEDS[i].action) == 0)
            action = page_text(p, DEEDS[i].text);
    strbuf_put_html(p->out, action);
}

static void put_entry(const struct page *p, const struct audit_entry *e)
{
    const struct access_operator *o =
        access_operator_get(&p->view->console->people->access, e->by);
    strbuf_putf(p->out, "<tr%s><td>%" PRId64 "</td><td>", e->good ? "" : " class=\"warn\"",
                e->number);
    page_put_time(p, e->unix_ms);
    strbuf_put(p->out, "</td><td>");
    strbuf_put_html(p->out, o ? o->name : "–");
    strbuf_put(p->out, "</td><td>");
    put_action(p, e->action);
    strbuf_put(p->out, ": ");
    strbuf_put_html(p->out, e->object);
    strbuf_put(p->out, "</td></tr>\n");
}

static void put_trail(const struct page *p)
{
    static struct newest newest; /* large; pages are made one at a time */
    struct people *people = p->view->console->people;
    char err[AUDIT_ERR_LEN];
    size_t bad_count = 0;
    newest.count = 0;
    strbuf_putf(p->out, "<section><h2>%s</h2>", page_text(p, LANG_AUDIT));
    if (audit_read(&people->audit, AUDIT_TAIL_LEN, people_audit_key, people, keep, &newest,
                   &bad_count, err) != 0) {
        strbuf_put(p->out, "<p class=\"warn\">");
        strbuf_put_html(p->out, err);
        strbuf_put(p->out, "</p>");
    }
    if (bad_count > 0)
        strbuf_putf(p->out, "<p class=\"alarm\">%s: %zu</p>", page_text(p, LANG_AUDIT_BAD),
                    bad_count);
    if (newest.count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_AUDIT_NONE));
    else
        strbuf_putf(p->out, "<table><thead><tr><th>%s</th><th>%s</th><th>%s</th><th>%s</th></tr>"
                            "</thead><tbody>", page_text(p, LANG_NUMBER),
                    page_text(p, LANG_AUDIT_WHEN), page_text(p, LANG_AUDIT_WHO),
                    page_text(p, LANG_AUDIT_WHAT));
    for (size_t i = newest.count;
         i > 0 && newest.count - i < AUDIT_SHOWN_COUNT; i--)
        put_entry(p, &newest.list[(i - 1) % AUDIT_SHOWN_COUNT]);
    strbuf_put(p->out, newest.count ? "</tbody></table></section>\n" : "</section>\n");
}

void console_page_people(const struct console_view *view, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    answer->status = 200;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_PEOPLE), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    put_operators(&p);
    put_trail(&p);
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}
