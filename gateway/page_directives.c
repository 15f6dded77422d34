/* Down to the villages: directives, who has them and who read them, and the form for a new one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/console_page.h"

enum {
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
    STATUS_UNAVAILABLE = 503,
    DIRECTIVE_SHOWN_COUNT = 50,
    HOURS_MAX = 24 * 30,
    HOURS_USUAL = 24,
    MINUTES_PER_HOUR = 60,
};

/* ---- receipts ------------------------------------------------------------------------------- */

struct receipt_row {
    struct record_ref of;
    uint16_t author;
    bool read;
};

struct receipts {
    int64_t commune;
    struct receipt_row *list;
    size_t count, cap;
};

static int note_receipt(void *ctx, const struct db_record *r)
{
    struct receipts *all = ctx;
    struct record_view view;
    struct receipt receipt;
    if (r->commune != all->commune || record_decode(r->bytes, r->len, &view) != RECORD_OK ||
        receipt_decode(view.body, view.body_len, &receipt) != REPORT_OK)
        return 0;
    for (size_t i = 0; i < receipt.ref_count; i++) {
        if (all->count == all->cap) {
            size_t cap = all->cap ? 2 * all->cap : 64;
            struct receipt_row *grown = realloc(all->list, cap * sizeof *grown);
            if (!grown)
                return DB_ENOMEM;
            all->list = grown;
            all->cap = cap;
        }
        all->list[all->count++] =
            (struct receipt_row){ receipt.refs[i], view.ref.author, receipt.read };
    }
    return 0;
}

static int compare_receipts(const void *left, const void *right)
{
    const struct receipt_row *a = left, *b = right;
    if (a->of.author != b->of.author)
        return a->of.author < b->of.author ? -1 : 1;
    if (a->of.seq != b->of.seq)
        return a->of.seq < b->of.seq ? -1 : 1;
    if (a->author != b->author)
        return a->author < b->author ? -1 : 1;
    return (a->read > b->read) - (a->read < b->read);
}

/* all: sorted. */
static bool has_receipt(const struct receipts *all, const struct record_ref *of, uint16_t author,
                        bool read)
{
    const struct receipt_row wanted = { *of, author, read };
    return all->count > 0 && bsearch(&wanted, all->list, all->count, sizeof wanted,
                                     compare_receipts);
}

/* ---- what was sent -------------------------------------------------------------------------- */

struct sent {
    struct page *page;
    const struct receipts *receipts;
};

static void put_address(const struct page *p, const struct ledger_commune *c,
                        const struct directive *d)
{
    if (d->village == 0 && d->role == 0 && d->person == 0)
        page_put_text(p, LANG_TO_ALL);
    if (d->person != 0)
        page_put_author(p, c, d->person);
    if (d->role != 0)
        strbuf_putf(p->out, "%s%s", d->person ? ", " : "",
                    lang_role(p->view->language, d->role));
    if (d->village != 0) {
        strbuf_put(p->out, d->person || d->role ? ", " : "");
        page_put_village(p, c->info.id, d->village);
    }
}

/* The people it is for who confirmed, or did not, by name: those are who must be called. */
static void put_readers(const struct page *p, const struct ledger_commune *c,
                        const struct sent *sent, const struct record_ref *ref,
                        const struct directive *d, bool read)
{
    unsigned count = 0;
    for (size_t i = 0; i < c->roster.author_count; i++) {
        const struct roster_entry *e = &c->roster.authors[i].entry;
        if (e->role != ROSTER_MEMBER || e->revoked_after != 0 || !directive_is_for(d, e) ||
            has_receipt(sent->receipts, ref, e->number, true) != read)
            continue;
        strbuf_put(p->out, count++ ? ", " : "");
        strbuf_put_html(p->out, e->name);
    }
    if (count == 0)
        strbuf_put(p->out, "–");
}

static void put_boxes(const struct page *p, const struct ledger_commune *c, const struct sent *sent,
                      const struct record_ref *ref)
{
    unsigned count = 0;
    for (size_t i = 0; i < c->roster.author_count; i++) {
        const struct roster_entry *e = &c->roster.authors[i].entry;
        if (!has_receipt(sent->receipts, ref, e->number, false))
            continue;
        strbuf_put(p->out, count++ ? ", " : "");
        strbuf_put_html(p->out, e->name);
    }
    if (count == 0)
        strbuf_put(p->out, "–");
}

static int put_directive(void *ctx, const struct db_record *r)
{
    struct sent *sent = ctx;
    struct page *p = sent->page;
    const struct ledger_commune *c = ledger_get(p->view->console->ledger, r->commune);
    struct record_view view;
    struct directive d;
    if (!c || record_decode(r->bytes, r->len, &view) != RECORD_OK ||
        directive_decode(view.body, view.body_len, &d) != REPORT_OK)
        return 0;
    int64_t expires_ms = (KENG_EPOCH_UNIX_S + (int64_t)d.expires_min * 60) * 1000;
    bool over = d.expires_min != 0 && expires_ms < p->view->wall_ms;
    strbuf_putf(p->out, "<article class=\"report p%u%s%s\"><header>",
                (unsigned)(r->priority < PRIORITY_COUNT ? r->priority : 0), over ? " done" : "",
                d.drill ? " drill" : "");
    if (d.drill)
        strbuf_putf(p->out, "<span class=\"mark drill\">%s</span> ", page_text(p, LANG_DRILL));
    strbuf_put(p->out, "<span class=\"badge\">");
    strbuf_put_html(p->out, lang_priority(p->view->language, r->priority));
    strbuf_putf(p->out, "</span> <h3>%s: ", page_text(p, LANG_SENT_TO));
    put_address(p, c, &d);
    strbuf_putf(p->out, "</h3><span class=\"at\">%s ", page_text(p, LANG_SENT_AT));
    page_put_time(p, r->received_ms);
    strbuf_put(p->out, "</span></header><p class=\"words\">");
    strbuf_put_html(p->out, d.text);
    strbuf_putf(p->out, "</p><p class=\"foot\"><span class=\"number\">%u-%u</span> ",
                (unsigned)r->ref.author, (unsigned)r->ref.seq);
    page_put_reviewer(p, c, r->ref.author, d.by);
    if (d.expires_min != 0) {
        strbuf_putf(p->out, " · %s ", page_text(p, over ? LANG_OVER_SINCE : LANG_IN_FORCE_UNTIL));
        page_put_time(p, expires_ms);
    }
    strbuf_putf(p->out, " · <a href=\"/cap/alert?arrival=%" PRId64 "\">%s</a></p>"
                        "<dl class=\"readers\"><dt>%s</dt><dd>", r->arrival,
                page_text(p, LANG_CAP_AS), page_text(p, LANG_READ_BY));
    put_readers(p, c, sent, &r->ref, &d, true);
    strbuf_putf(p->out, "</dd><dt>%s</dt><dd class=\"warn\">", page_text(p, LANG_NOT_READ_BY));
    put_readers(p, c, sent, &r->ref, &d, false);
    strbuf_putf(p->out, "</dd><dt>%s</dt><dd>", page_text(p, LANG_HELD_BY));
    put_boxes(p, c, sent, &r->ref);
    strbuf_put(p->out, "</dd></dl></article>\n");
    p->shown_count++;
    return p->out->failed ? DB_ENOMEM : 0;
}

static int put_waiting(void *ctx, const struct db_outgoing *o)
{
    struct page *p = ctx;
    struct directive d;
    if (o->commune != p->view->console->own_commune || o->kind != RECORD_DIRECTIVE ||
        directive_decode(o->body, o->body_len, &d) != REPORT_OK)
        return 0;
    strbuf_put(p->out, "<article class=\"report\"><p class=\"words\">");
    strbuf_put_html(p->out, d.text);
    strbuf_putf(p->out, "</p><p class=\"%s\">", *o->error ? "warn" : "dim");
    strbuf_put_html(p->out, *o->error ? o->error : page_text(p, LANG_REVIEW_QUEUED));
    strbuf_put(p->out, "</p></article>\n");
    return 0;
}

static int put_sent(struct page *p)
{
    struct console *c = p->view->console;
    struct receipts receipts = { .commune = c->own_commune };
    struct sent sent = { .page = p, .receipts = &receipts };
    strbuf_putf(p->out, "<section><h2>%s</h2>", page_text(p, LANG_DIRECTIVES_SENT));
    int result = db_record_of_kind(c->ledger->db, RECORD_RECEIPT, 0, note_receipt, &receipts);
    if (receipts.count > 0)
        qsort(receipts.list, receipts.count, sizeof *receipts.list, compare_receipts);
    if (result >= 0)
        result = db_outgoing_list(c->ledger->db, put_waiting, p);
    if (result >= 0)
        result = db_record_newest_of_kind(c->ledger->db, c->own_commune, RECORD_DIRECTIVE,
                                          DIRECTIVE_SHOWN_COUNT, put_directive, &sent);
    if (p->shown_count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_DIRECTIVES_NONE));
    strbuf_put(p->out, "</section>\n");
    free(receipts.list);
    return result;
}

/* ---- a new one ------------------------------------------------------------------------------ */

static void put_option(const struct page *p, int64_t value, bool selected, const char *label)
{
    strbuf_putf(p->out, "<option value=\"%" PRId64 "\"%s>", value, selected ? " selected" : "");
    strbuf_put_html(p->out, label);
    strbuf_put(p->out, "</option>");
}

/* Templates are links, so that they work without a script. */
static void put_templates(const struct page *p)
{
    const struct templates *t = p->view->console->templates;
    if (!t || t->count == 0)
        return;
    strbuf_putf(p->out, "<details><summary>%s…</summary><ul class=\"templates\">",
                page_text(p, LANG_TEMPLATES));
    for (size_t i = 0; i < t->count; i++) {
        strbuf_putf(p->out, "<li><a href=\"/directives?template=%u&amp;lang=%s\">",
                    t->list[i].number, lang_code(p->view->language));
        strbuf_put_html(p->out, t->list[i].text);
        strbuf_put(p->out, "</a></li>");
    }
    strbuf_put(p->out, "</ul></details>");
}

static void put_to(const struct page *p, const struct ledger_commune *c,
                   const struct page_directive *d)
{
    const struct villages *villages = p->view->console->villages;
    strbuf_putf(p->out, "<label>%s<select name=\"village\">", page_text(p, LANG_VILLAGE));
    put_option(p, 0, d->village == 0, page_text(p, LANG_ALL_VILLAGES));
    for (size_t i = 0; villages && i < villages->count; i++)
        if (catalogue_holds(&villages->list[i].row, p->view->wall_ms))
            put_option(p, villages->list[i].row.number, d->village == villages->list[i].row.number,
                       villages->list[i].name);
    strbuf_putf(p->out, "</select></label><label>%s<select name=\"role\">",
                page_text(p, LANG_ROLE));
    put_option(p, 0, d->role == 0, page_text(p, LANG_TO_ALL));
    put_option(p, ROSTER_MEMBER, d->role == ROSTER_MEMBER,
               lang_role(p->view->language, ROSTER_MEMBER));
    put_option(p, ROSTER_NODE, d->role == ROSTER_NODE,
               lang_role(p->view->language, ROSTER_NODE));
    strbuf_putf(p->out, "</select></label><label>%s<select name=\"person\">",
                page_text(p, LANG_PERSON));
    put_option(p, 0, d->person == 0, page_text(p, LANG_TO_ALL));
    for (size_t i = 0; i < c->roster.author_count; i++) {
        const struct roster_entry *e = &c->roster.authors[i].entry;
        if (e->role == ROSTER_MEMBER && e->revoked_after == 0)
            put_option(p, e->number, d->person == e->number, e->name);
    }
    strbuf_put(p->out, "</select></label>");
}

static void put_hours(const struct page *p, unsigned chosen)
{
    static const unsigned HOURS[] = { 0, 3, 6, 12, 24, 72 };
    char label[CONSOLE_STATUS_LEN];
    bool listed = false;
    strbuf_putf(p->out, "<label>%s<select name=\"hours\">", page_text(p, LANG_IN_FORCE));
    for (size_t i = 0; i < sizeof HOURS / sizeof HOURS[0]; i++) {
        snprintf(label, sizeof label, "%u %s", HOURS[i], page_text(p, LANG_HOURS));
        put_option(p, HOURS[i], HOURS[i] == chosen,
                   HOURS[i] ? label : page_text(p, LANG_FOR_EVER));
        listed = listed || HOURS[i] == chosen;
    }
    snprintf(label, sizeof label, "%u %s", chosen, page_text(p, LANG_HOURS));
    if (!listed)
        put_option(p, chosen, true, label);
    strbuf_put(p->out, "</select></label>");
}

void page_put_directive_form(const struct page *p, const struct ledger_commune *c,
                             const struct page_directive *d)
{
    strbuf_putf(p->out, "<section><h2>%s</h2><form method=\"post\" action=\"/directives\" "
                        "class=\"reply\">", page_text(p, LANG_DIRECTIVE_NEW));
    page_put_token(p->view, p->out);
    put_templates(p);
    strbuf_putf(p->out, "<label>%s<textarea name=\"text\" rows=\"3\" maxlength=\"250\" required>",
                page_text(p, LANG_DIRECTIVE_TEXT));
    strbuf_put_html(p->out, d->text);
    strbuf_put(p->out, "</textarea></label>");
    strbuf_put(p->out, "<div class=\"fields\">");
    put_to(p, c, d);
    strbuf_putf(p->out, "<label>%s<select name=\"priority\">", page_text(p, LANG_PRIORITY));
    for (uint8_t i = PRIORITY_COUNT; i > 0; i--)
        put_option(p, i - 1, i - 1 == d->priority,
                   lang_priority(p->view->language, (uint8_t)(i - 1)));
    strbuf_put(p->out, "</select></label>");
    put_hours(p, d->hours);
    strbuf_putf(p->out, "</div><label class=\"check\"><input type=\"checkbox\" "
                        "name=\"receipt\" value=\"1\"%s> %s</label><label class=\"check\"><input "
                        "type=\"checkbox\" name=\"drill\" value=\"1\"%s> %s</label>"
                        "<div class=\"buttons\"><button class=\"main\">%s</button></div></form>"
                        "</section>\n", d->receipt ? " checked" : "",
                page_text(p, LANG_ASK_RECEIPT), d->drill ? " checked" : "",
                page_text(p, LANG_IS_DRILL),
                page_text(p, LANG_DIRECTIVE_SEND));
}

/* sent: what was being written; NULL: begins with the template that the address names. */
static void put_form(const struct page *p, const struct ledger_commune *c,
                     const struct page_directive *sent)
{
    const struct template_row *t =
        templates_get(p->view->console->templates,
                      console_number(http_query(p->view->request, "template"), INT32_MAX, 0));
    const struct page_directive fresh = { .text = t ? t->text : "",
                                          .priority = t ? t->priority : PRIORITY_EVACUATION,
                                          .hours = HOURS_USUAL, .receipt = !t || t->receipt };
    page_put_directive_form(p, c, sent ? sent : &fresh);
    strbuf_putf(p->out, "<p><a href=\"/cap?lang=%s\">%s</a></p>\n",
                lang_code(p->view->language), page_text(p, LANG_CAP));
}

static void show(const struct console_view *view, enum lang_text notice,
                 const struct page_directive *sent, struct http_answer *answer)
{
    struct console *c = view->console;
    struct page p = { .view = view, .out = &answer->body };
    const struct ledger_commune *own = ledger_get(c->ledger, c->own_commune);
    int result = 0;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_DIRECTIVES), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (notice != LANG_TEXT_COUNT)
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s</p>", page_text(&p, notice));
    if (!own && !page_put_communes(&p, "/directives", true))
        strbuf_putf(p.out, "<p class=\"none\">%s</p>", page_text(&p, LANG_DIRECTIVES_NO_NODE));
    if (own && c->keys)
        page_put_commune(&p, "/directives", own);
    if (own && view->who->role >= ACCESS_REVIEW)
        put_form(&p, own, sent);
    if (own)
        result = put_sent(&p);
    if (result < 0) {
        strbuf_put(p.out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(p.out, db_error(c->ledger->db));
        strbuf_put(p.out, "</p>");
    }
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}

void console_page_directives(const struct console_view *view, struct http_answer *answer)
{
    answer->status = STATUS_OK;
    show(view, LANG_TEXT_COUNT, NULL, answer);
}

/* ---- it is sent ----------------------------------------------------------------------------- */

/* The form as it was sent; what cannot be read stands as in a new one. */
static struct page_directive sent_form(const struct http_request *request)
{
    const char *text = http_form(request, "text");
    return (struct page_directive){
        .text = text ? text : "",
        .priority = (uint8_t)console_number(http_form(request, "priority"), PRIORITY_RESCUE,
                                            PRIORITY_EVACUATION),
        .hours = (unsigned)console_number(http_form(request, "hours"), HOURS_MAX, HOURS_USUAL),
        .receipt = http_form(request, "receipt") != NULL,
        .drill = http_form(request, "drill") != NULL,
        .village = (uint32_t)console_number(http_form(request, "village"), REPORT_VILLAGE_MAX, 0),
        .role = (unsigned)console_number(http_form(request, "role"), ROSTER_OPERATOR, 0),
        .person = (uint16_t)console_number(http_form(request, "person"), AUTHOR_MAX, 0),
    };
}

/* Are all choices numbers that may be?  A directive must not go to all because one was not. */
static bool choices_are_good(const struct http_request *request)
{
    static const struct { const char *name; int64_t max; } CHOICES[] = {
        { "village", REPORT_VILLAGE_MAX }, { "role", ROSTER_OPERATOR }, { "person", AUTHOR_MAX },
        { "hours", HOURS_MAX }, { "priority", PRIORITY_RESCUE },
    };
    for (size_t i = 0; i < sizeof CHOICES / sizeof CHOICES[0]; i++)
        if (console_number(http_form(request, CHOICES[i].name), CHOICES[i].max, -1) < 0)
            return false;
    return true;
}

/* LANG_TEXT_COUNT, or why it cannot be. */
static enum lang_text read_directive(const struct console_view *view,
                                     const struct page_directive *form, struct directive *d_out)
{
    struct directive d = { .drill = form->drill, .receipt = form->receipt,
                           .village = form->village, .role = form->role, .person = form->person,
                           .by = view->who->number };
    if (!choices_are_good(view->request))
        return LANG_ERR_DIRECTIVE_CHOICE;
    /* A browser ends lines as mail does; the air carries one byte for it. */
    for (const char *at = form->text; *at; at++) {
        if (*at == '\r')
            continue;
        if (d.text_len == REPORT_TEXT_LEN_MAX)
            return LANG_ERR_DIRECTIVE_LONG;
        d.text[d.text_len++] = *at;
    }
    int64_t now_min = (view->wall_ms / 1000 - KENG_EPOCH_UNIX_S) / 60;
    int64_t end_min = now_min + (int64_t)form->hours * MINUTES_PER_HOUR;
    if (form->hours > 0 && (now_min <= 0 || end_min > CREATED_MINUTES_MAX))
        return LANG_ERR_DIRECTIVE_CLOCK;
    d.expires_min = form->hours > 0 ? (uint32_t)end_min : 0;
    *d_out = d;
    return LANG_TEXT_COUNT;
}

void console_directive(const struct console_view *view, struct http_answer *answer)
{
    struct console *c = view->console;
    const struct page_directive form = sent_form(view->request);
    struct directive d;
    uint8_t body[RECORD_BODY_LEN_MAX];
    enum lang_text why = read_directive(view, &form, &d);
    int len = why == LANG_TEXT_COUNT ? directive_encode(&d, body, sizeof body) : 0;
    if (len < 0)
        why = len == REPORT_ETOOBIG ? LANG_ERR_DIRECTIVE_LONG
              : len == REPORT_ETEXT ? LANG_ERR_DIRECTIVE_TEXT : LANG_ERR_DIRECTIVE_CHOICE;
    if (c->own_commune == 0)
        why = LANG_DIRECTIVES_NO_NODE;
    if (why != LANG_TEXT_COUNT) {
        answer->status = STATUS_BAD_REQUEST;
        show(view, why, &form, answer);
        return;
    }
    struct db_outgoing outgoing = { .commune = c->own_commune, .text = d.text,
                                    .kind = RECORD_DIRECTIVE, .priority = form.priority,
                                    .body = body, .body_len = (size_t)len };
    if (db_outgoing_add(c->ledger->db, &outgoing, &outgoing.id) < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    c->outgoing_added(c->ctx);
    answer->status = 303;
    snprintf(answer->location, sizeof answer->location, "/directives?lang=%s&commune=%" PRId64,
             lang_code(view->language), c->own_commune);
}
