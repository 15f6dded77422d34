/* Who may use the console, and what was done with it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/console_page.h"

enum { AUDIT_SHOWN_COUNT = 200 };

static const char *role_text(const struct page *p, enum access_role role)
{
    return page_text(p, (enum lang_text)(LANG_ROLE_VIEW + (int)role - (int)ACCESS_VIEW));
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

/* ---- forms ---------------------------------------------------------------------------------- */

static void put_field(const struct page *p, enum lang_text label, const char *name,
                      const char *attributes)
{
    strbuf_putf(p->out, "<label>%s<input name=\"%s\" required %s></label>", page_text(p, label),
                name, attributes);
}

static void put_passphrase(const struct page *p, enum lang_text label, const char *name)
{
    put_field(p, label, name, strcmp(name, "passphrase") == 0
                                  ? "type=\"password\" autocomplete=\"current-password\""
                                  : "type=\"password\" autocomplete=\"new-password\"");
}

static void put_own_passphrase(const struct page *p)
{
    if (access_is_guarded(&p->view->console->people->access))
        put_passphrase(p, LANG_OWN_PASSPHRASE, "passphrase");
}

static void open_form(const struct page *p, const char *path, enum lang_text title)
{
    strbuf_putf(p->out, "<details><summary>%s</summary>"
                        "<form method=\"post\" action=\"%s\" class=\"reply\">",
                page_text(p, title), path);
    page_put_token(p->view, p->out);
}

static void put_verb(const struct page *p, const char *verb, enum lang_text text)
{
    strbuf_putf(p->out, "<button name=\"verb\" value=\"%s\">%s</button>", verb,
                page_text(p, text));
}

static void close_form(const struct page *p)
{
    strbuf_put(p->out, "</div></form></details>\n");
}

/* first: of nobody yet there is only one choice. */
static void put_role_choice(const struct page *p, bool first)
{
    strbuf_putf(p->out, "<label>%s<select name=\"role\" required>%s", page_text(p, LANG_ROLE),
                first ? "" : "<option value=\"\">–</option>");
    for (enum access_role role = first ? ACCESS_ADMIN : ACCESS_VIEW; role <= ACCESS_ADMIN; role++)
        strbuf_putf(p->out, "<option value=\"%s\">%s</option>", access_role_name(role),
                    role_text(p, role));
    strbuf_put(p->out, "</select></label>");
}

static void put_operator_choice(const struct page *p)
{
    const struct access *a = &p->view->console->people->access;
    strbuf_putf(p->out, "<label>%s<select name=\"login\" required><option value=\"\">–</option>",
                page_text(p, LANG_OPERATOR));
    for (size_t i = 0; i < a->operator_count; i++) {
        strbuf_putf(p->out, "<option value=\"%s\">%s – ", a->operators[i].login,
                    a->operators[i].login);
        strbuf_put_html(p->out, a->operators[i].name);
        strbuf_put(p->out, "</option>");
    }
    strbuf_put(p->out, "</select></label>");
}

static void put_forms(const struct page *p)
{
    bool first = !access_is_guarded(&p->view->console->people->access);
    strbuf_put(p->out, "<section>");
    open_form(p, "/people", LANG_PEOPLE_ADD);
    put_field(p, LANG_LOGIN_NAME, "login",
              "type=\"text\" autocapitalize=\"none\" maxlength=\"32\" "
              "pattern=\"[a-z0-9._\\-]+\" autocomplete=\"off\"");
    put_field(p, LANG_NAME, "name", "type=\"text\" maxlength=\"63\" autocomplete=\"off\"");
    put_role_choice(p, first);
    put_passphrase(p, LANG_NEW_PASSPHRASE, "new");
    put_own_passphrase(p);
    strbuf_putf(p->out, "<p class=\"dim\">%s</p><div class=\"buttons\">",
                page_text(p, LANG_PEOPLE_ADD_RULE));
    put_verb(p, "add", LANG_PEOPLE_ADD);
    close_form(p);
    if (!first) {
        open_form(p, "/people", LANG_PEOPLE_SWITCH);
        put_operator_choice(p);
        put_own_passphrase(p);
        strbuf_put(p->out, "<div class=\"buttons\">");
        put_verb(p, "off", LANG_PEOPLE_OFF);
        put_verb(p, "on", LANG_PEOPLE_ON);
        close_form(p);
        open_form(p, "/people", LANG_PEOPLE_SET_ROLE);
        put_operator_choice(p);
        put_role_choice(p, false);
        put_own_passphrase(p);
        strbuf_put(p->out, "<div class=\"buttons\">");
        put_verb(p, "role", LANG_PEOPLE_SET_ROLE);
        close_form(p);
        open_form(p, "/people", LANG_PASSPHRASE_CHANGE);
        put_operator_choice(p);
        put_passphrase(p, LANG_NEW_PASSPHRASE, "new");
        put_own_passphrase(p);
        strbuf_put(p->out, "<div class=\"buttons\">");
        put_verb(p, "passwd", LANG_PASSPHRASE_CHANGE);
        close_form(p);
    }
    strbuf_put(p->out, "</section>\n");
}

/* ---- audit trail ---------------------------------------------------------------------------- */

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
        { "export", LANG_DID_EXPORT },
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
    /* "quick 3 csv": the trail is for machines, too. */
    bool quick = strncmp(e->object, "quick ", strlen("quick ")) == 0;
    strbuf_put(p->out, quick ? page_text(p, LANG_QUICK) : "");
    strbuf_put_html(p->out, e->object + (quick ? strlen("quick") : 0));
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

/* ---- pages ---------------------------------------------------------------------------------- */

static void begin(struct page *p, struct http_answer *answer, enum lang_text title,
                  const char *fault)
{
    answer->status = fault ? 400 : 200;
    answer->content_type = "text/html; charset=utf-8";
    page_open(p, page_text(p, title), false);
    strbuf_put(p->out, "<main class=\"wide\">\n");
    if (!fault)
        return;
    strbuf_put(p->out, "<p class=\"alarm\" role=\"alert\">");
    strbuf_put_html(p->out, fault);
    strbuf_put(p->out, "</p>\n");
}

static void end(const struct page *p)
{
    strbuf_put(p->out, "</main>\n");
    page_close(p);
}

static void show_people(const struct console_view *view, const char *fault,
                        struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    begin(&p, answer, LANG_PEOPLE, fault);
    put_operators(&p);
    put_forms(&p);
    put_trail(&p);
    end(&p);
}

void console_page_people(const struct console_view *view, struct http_answer *answer)
{
    show_people(view, NULL, answer);
}

static void show_account(const struct console_view *view, const char *fault,
                         struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    if (view->who->number == 0) { /* nobody is asked who he is */
        console_see_other(answer, "/people");
        return;
    }
    begin(&p, answer, LANG_ACCOUNT, fault);
    strbuf_putf(p.out, "<section><h2>%s</h2><p>", page_text(&p, LANG_ACCOUNT));
    strbuf_put_html(p.out, view->who->name);
    strbuf_putf(p.out, " · %s · %s</p></section>\n<section><h2>%s</h2><p class=\"dim\">%s</p>"
                       "<form method=\"post\" action=\"/account\" class=\"reply\">",
                view->who->login, role_text(&p, view->who->role),
                page_text(&p, LANG_PASSPHRASE_CHANGE), page_text(&p, LANG_PASSPHRASE_CHANGE_RULE));
    page_put_token(view, p.out);
    put_passphrase(&p, LANG_OLD_PASSPHRASE, "passphrase");
    put_passphrase(&p, LANG_NEW_PASSPHRASE, "new");
    put_passphrase(&p, LANG_NEW_PASSPHRASE_AGAIN, "again");
    strbuf_putf(p.out, "<div class=\"buttons\"><button class=\"main\">%s</button></div></form>"
                       "</section>\n", page_text(&p, LANG_PASSPHRASE_CHANGE));
    end(&p);
}

void console_page_account(const struct console_view *view, struct http_answer *answer)
{
    show_account(view, NULL, answer);
}

/* ---- changes -------------------------------------------------------------------------------- */

static const char *form_text(const struct console_view *view, const char *name)
{
    const char *value = http_form(view->request, name);
    return value ? value : "";
}

/* A desk left alone must not give away who may do what.  NULL: it is him. */
static const char *confirm(const struct console_view *view, struct http_answer *answer,
                           bool *answered_out)
{
    struct access_peer peer = console_peer(view);
    enum access_login result =
        access_confirm(&view->console->people->access, view->who,
                       form_text(view, "passphrase"), &peer, view->now_ms);
    *answered_out = result == ACCESS_WRONG &&
                    !console_audit(view, "login-refused", view->who->login, answer);
    return result == ACCESS_WELCOME ? NULL
           : lang_text(view->language, result == ACCESS_WRONG ? LANG_FAULT_OWN_PASSPHRASE
                                                              : LANG_LOGIN_LATER);
}

/* NULL: done. */
static const char *apply(const struct console_view *view, const struct people_change *change)
{
    static char err[AUDIT_ERR_LEN];
    enum access_fault fault = people_apply(view->console->people, change, err);
    if (fault == ACCESS_NOT_KEPT)
        fprintf(stderr, "<3>keng-gateway: %s\n", err);
    return fault == ACCESS_GOOD ? NULL : lang_text(view->language, people_fault_text(fault));
}

void console_people_change(const struct console_view *view, struct http_answer *answer)
{
    bool answered, first = !access_is_guarded(&view->console->people->access);
    struct people_change change = {
        .verb = people_verb_find(form_text(view, "verb")), .login = form_text(view, "login"),
        .role = form_text(view, "role"), .name = form_text(view, "name"),
        .passphrase = form_text(view, "new"), .by = view->who->number, .wall_ms = view->wall_ms,
    };
    if (change.verb == PEOPLE_VERB_COUNT) {
        console_message(view, 400, LANG_ERR_NOT_FOUND, answer);
        return;
    }
    const char *fault = confirm(view, answer, &answered);
    if (answered)
        return;
    if (!fault && first && access_role_find(change.role) != ACCESS_ADMIN)
        fault = lang_text(view->language, LANG_FAULT_NO_ADMIN);
    if (!fault)
        fault = apply(view, &change);
    if (fault)
        show_people(view, fault, answer);
    else
        console_see_other(answer, first ? "/login" : "/people");
}

void console_account_change(const struct console_view *view, struct http_answer *answer)
{
    char login[ACCESS_LOGIN_LEN];
    bool answered = false;
    struct people_change change = { .verb = PEOPLE_PASSWD, .login = login,
                                    .passphrase = form_text(view, "new"),
                                    .by = view->who->number, .wall_ms = view->wall_ms };
    snprintf(login, sizeof login, "%s", view->who->login);
    if (view->who->number == 0) {
        show_account(view, NULL, answer);
        return;
    }
    const char *fault = strcmp(change.passphrase, form_text(view, "again")) == 0
                            ? confirm(view, answer, &answered)
                            : lang_text(view->language, LANG_PASSPHRASES_DIFFER);
    if (answered)
        return;
    if (!fault)
        fault = apply(view, &change);
    if (fault)
        show_account(view, fault, answer);
    else
        console_see_other(answer, "/login"); /* his sessions ended with the old one */
}
