/* The pages of console.h as HTML.  Literal markup by strbuf_put, all else escaped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/console.h"
#include "gateway/totals.h"
#include "proto/report.h"

enum {
    MS_PER_MINUTE = 60000,
    OUTGOING_COUNT_MAX = 256,
    REFUSED_COUNT_MAX = 64,
};

struct queued_review {
    struct record_ref ref;
    uint8_t state;
    char error[CONSOLE_STATUS_LEN]; /* "": on its way */
};

/* State of rendering one main page. */
struct page {
    const struct console_view *view;
    struct strbuf *out;
    struct queued_review queued[OUTGOING_COUNT_MAX];
    size_t queued_count;
    size_t shown_count;
    bool many_communes;
};

static const char *text(const struct page *p, enum lang_text id)
{
    return lang_text(p->view->language, id);
}

static void put_text(const struct page *p, enum lang_text id)
{
    strbuf_put_html(p->out, text(p, id));
}

void console_put_query(const struct console_view *view, enum language language, uint32_t page,
                       struct strbuf *out)
{
    strbuf_putf(out, "?lang=%s", lang_code(language));
    if (view->filter.commune)
        strbuf_putf(out, "&amp;commune=%" PRId64, view->filter.commune);
    if (view->filter.village >= 0)
        strbuf_putf(out, "&amp;village=%" PRId64, view->filter.village);
    if (view->filter.kind)
        strbuf_putf(out, "&amp;kind=%u", view->filter.kind);
    if (view->filter.waiting_only)
        strbuf_put(out, "&amp;waiting=1");
    if (page)
        strbuf_putf(out, "&amp;page=%u", (unsigned)page);
    if (!view->live)
        strbuf_put(out, "&amp;static=1");
}

/* ---- frame of every page ---- */

static void put_head(const struct console_view *view, const char *title, struct strbuf *out)
{
    strbuf_putf(out, "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<title>Kẻng · ", lang_code(view->language));
    strbuf_put_html(out, title);
    strbuf_put(out, "</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n"
                    "<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\n");
    if (view->live)
        strbuf_put(out, "<script src=\"/live.js\" defer></script>\n");
    strbuf_put(out, "</head>\n<body>\n");
}

static void put_language_links(const struct console_view *view, struct strbuf *out)
{
    static const char *const NAMES[LANG_COUNT] = { "Tiếng Việt", "English" };
    strbuf_put(out, "<nav class=\"lang\">");
    for (int i = 0; i < LANG_COUNT; i++) {
        strbuf_put(out, "<a href=\"");
        console_put_query(view, (enum language)i, view->page, out);
        strbuf_putf(out, "\" lang=\"%s\"%s>%s</a>", lang_code((enum language)i),
                    view->language == (enum language)i ? " aria-current=\"true\"" : "", NAMES[i]);
    }
    strbuf_put(out, "</nav>");
}

static void put_token(const struct console_view *view, struct strbuf *out)
{
    strbuf_putf(out, "<input type=\"hidden\" name=\"token\" value=\"%s\">"
                     "<input type=\"hidden\" name=\"back\" value=\"", view->token);
    console_put_query(view, view->language, view->page, out);
    strbuf_put(out, "\">");
}

static const char *own_name(const struct console *c)
{
    const struct ledger_commune *own = ledger_get(c->ledger, c->own_commune);
    if (!own && c->ledger->commune_count == 1)
        own = &c->ledger->communes[0];
    return own ? own->info.name : "";
}

void console_page_login(const struct console_view *view, bool wrong, struct strbuf *out)
{
    enum language language = view->language;
    struct console_view still = *view;
    still.live = false;
    put_head(&still, lang_text(language, LANG_LOGIN), out);
    strbuf_put(out, "<header class=\"top\"><h1>Kẻng</h1>");
    strbuf_put(out, "</header>\n<main class=\"narrow\"><form method=\"post\" action=\"/login\" "
                    "class=\"login\">");
    put_token(view, out);
    if (wrong) {
        strbuf_put(out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(out, lang_text(language, LANG_LOGIN_WRONG));
        strbuf_put(out, "</p>");
    }
    strbuf_put(out, "<label>");
    strbuf_put_html(out, lang_text(language, LANG_PASSPHRASE));
    strbuf_put(out, "<input type=\"password\" name=\"passphrase\" autofocus required "
                    "autocomplete=\"current-password\"></label><button class=\"main\">");
    strbuf_put_html(out, lang_text(language, LANG_LOGIN));
    strbuf_put(out, "</button></form></main>\n</body>\n</html>\n");
}

void console_page_message(const struct console_view *view, const char *message, struct strbuf *out)
{
    struct console_view still = *view;
    still.live = false;
    put_head(&still, message, out);
    strbuf_put(out, "<header class=\"top\"><h1>Kẻng</h1></header>\n<main class=\"narrow\"><p>");
    strbuf_put_html(out, message);
    strbuf_put(out, "</p><p><a href=\"/\">");
    strbuf_put_html(out, lang_text(view->language, LANG_BACK));
    strbuf_put(out, "</a></p></main>\n</body>\n</html>\n");
}

/* ---- names of things ---- */

static bool knows_villages(const struct page *p, int64_t commune)
{
    const struct console *c = p->view->console;
    return c->villages && (commune == c->own_commune || c->ledger->commune_count == 1);
}

static void put_village(const struct page *p, int64_t commune, uint32_t number)
{
    const struct village *village =
        knows_villages(p, commune) ? villages_get(p->view->console->villages, number) : NULL;
    if (number == 0)
        put_text(p, LANG_NO_VILLAGE);
    else if (village)
        strbuf_put_html(p->out, village->name);
    else
        strbuf_putf(p->out, "%s %u", text(p, LANG_VILLAGE), (unsigned)number);
}

static void put_author(const struct page *p, const struct ledger_commune *commune, uint16_t number)
{
    const struct roster_author *author = commune ? roster_find(&commune->roster, number) : NULL;
    if (author)
        strbuf_put_html(p->out, author->entry.name);
    else
        strbuf_putf(p->out, "#%u", (unsigned)number);
    if (author) {
        strbuf_put(p->out, " <span class=\"dim\">(");
        strbuf_put_html(p->out, lang_role(p->view->language, author->entry.role));
        strbuf_put(p->out, ")</span>");
    }
}

static void put_time(const struct page *p, int64_t unix_ms)
{
    char at[LANG_TIME_LEN];
    lang_time(unix_ms, at);
    strbuf_put_html(p->out, at);
}

static const struct catalogue_item *find_item(const struct page *p, uint8_t kind, uint32_t code)
{
    const struct catalogue *cat = p->view->console->catalogue;
    return cat ? catalogue_get(cat, kind, code) : NULL;
}

static void put_item_name(const struct page *p, const struct catalogue_item *item, uint32_t code)
{
    if (item)
        strbuf_put_html(p->out,
                        p->view->language == LANG_EN ? item->name_en : item->name_vi);
    else
        strbuf_putf(p->out, "%s %u", text(p, LANG_INDICATOR), (unsigned)code);
}

static void put_formatted(const struct page *p, const struct catalogue_item *item, int64_t value,
                          bool with_unit)
{
    char words[CATALOGUE_VALUE_LEN];
    catalogue_value_format(item, value, lang_catalogue(p->view->language), with_unit, words,
                           sizeof words);
    strbuf_put_html(p->out, words);
}

static void put_value(const struct page *p, const struct catalogue_item *item, int64_t value)
{
    put_formatted(p, item, value, true);
}

static void put_bare_value(const struct page *p, const struct catalogue_item *item, int64_t value)
{
    put_formatted(p, item, value, false);
}

/* ---- one report ---- */

static void put_figures(const struct page *p, uint8_t kind, const struct report *report)
{
    const struct catalogue *cat = p->view->console->catalogue;
    if (report->hazard) {
        const struct catalogue_hazard *hazard =
            cat ? catalogue_hazard_get(cat, report->hazard) : NULL;
        strbuf_put(p->out, "<p class=\"hazard\">");
        put_text(p, LANG_HAZARD);
        strbuf_put(p->out, ": ");
        if (hazard)
            strbuf_put_html(p->out,
                            p->view->language == LANG_EN ? hazard->name_en : hazard->name_vi);
        else
            strbuf_putf(p->out, "%u", (unsigned)report->hazard);
        strbuf_put(p->out, "</p>");
    }
    if (report->figure_count > 0)
        strbuf_put(p->out, "<ul class=\"figures\">");
    for (size_t i = 0; i < report->figure_count; i++) {
        const struct catalogue_item *item = find_item(p, kind, report->figures[i].code);
        strbuf_put(p->out, "<li>");
        put_item_name(p, item, report->figures[i].code);
        strbuf_put(p->out, " <b>");
        put_value(p, item, report->figures[i].value);
        strbuf_put(p->out, "</b></li>");
    }
    if (report->figure_count > 0)
        strbuf_put(p->out, "</ul>");
    if (report->text_len > 0) {
        strbuf_put(p->out, "<p class=\"words\">");
        strbuf_put_html(p->out, report->text);
        strbuf_put(p->out, "</p>");
    }
    if (report->lat_e5 != 0 || report->lon_e5 != 0) {
        strbuf_put(p->out, "<p class=\"dim\">");
        put_text(p, LANG_POSITION);
        strbuf_putf(p->out, ": <a href=\"geo:%.5f,%.5f\">%.5f, %.5f</a></p>", report->lat_e5 / 1e5,
                    report->lon_e5 / 1e5, report->lat_e5 / 1e5, report->lon_e5 / 1e5);
    }
}

static void put_review_button(const struct page *p, uint8_t state, const char *class_name)
{
    strbuf_putf(p->out, "<button name=\"state\" value=\"%u\" class=\"%s\">", (unsigned)state,
                class_name);
    strbuf_put_html(p->out, lang_review(p->view->language, state));
    strbuf_put(p->out, "</button>");
}

static void put_review_forms(const struct page *p, const struct db_record *r)
{
    strbuf_put(p->out, "<div class=\"act\">");
    if (r->review_state == 0) {
        strbuf_put(p->out, "<form method=\"post\" action=\"/review\">");
        put_token(p->view, p->out);
        strbuf_putf(p->out, "<input type=\"hidden\" name=\"arrival\" value=\"%" PRId64 "\">",
                    r->arrival);
        put_review_button(p, REVIEW_SEEN, "main");
        strbuf_put(p->out, "</form>");
    }
    strbuf_put(p->out, "<details><summary>");
    put_text(p, LANG_REPLY);
    strbuf_put(p->out, "…</summary><form method=\"post\" action=\"/review\" class=\"reply\">");
    put_token(p->view, p->out);
    strbuf_putf(p->out, "<input type=\"hidden\" name=\"arrival\" value=\"%" PRId64 "\"><label>",
                r->arrival);
    put_text(p, LANG_REPLY_TEXT);
    strbuf_put(p->out, "<input type=\"text\" name=\"text\" maxlength=\"140\" autocomplete=\"off\">"
                       "</label><div class=\"buttons\">");
    for (uint8_t state = REVIEW_SEEN; state <= REVIEW_MET; state++)
        put_review_button(p, state, "");
    strbuf_put(p->out, "</div></form></details></div>");
}

static void put_review(const struct page *p, const struct ledger_commune *commune,
                       const struct db_record *r)
{
    const struct queued_review *queued = NULL;
    for (size_t i = 0; i < p->queued_count; i++)
        if (p->queued[i].ref.seq == r->ref.seq &&
            p->queued[i].ref.author == r->ref.author && p->queued[i].ref.lane == r->ref.lane &&
            r->commune == p->view->console->own_commune)
            queued = &p->queued[i];
    strbuf_putf(p->out, "<p class=\"review s%u\"><b>", (unsigned)r->review_state);
    strbuf_put_html(p->out, lang_review(p->view->language, r->review_state));
    strbuf_put(p->out, "</b>");
    if (r->review_state != 0) {
        strbuf_putf(p->out, " <span class=\"dim\">%s ", text(p, LANG_REVIEW_BY));
        put_author(p, commune, r->review_author);
        strbuf_put(p->out, "</span>");
    }
    if (*r->review_text) {
        strbuf_put(p->out, " “");
        strbuf_put_html(p->out, r->review_text);
        strbuf_put(p->out, "”");
    }
    if (queued) {
        strbuf_put(p->out, " → <i>");
        strbuf_put_html(p->out, lang_review(p->view->language, queued->state));
        strbuf_putf(p->out, "</i> <span class=\"%s\">(", *queued->error ? "warn" : "dim");
        strbuf_put_html(p->out, *queued->error ? queued->error : text(p, LANG_REVIEW_QUEUED));
        strbuf_put(p->out, ")</span>");
    }
    strbuf_put(p->out, "</p>");
}

static void put_report_head(const struct page *p, const struct ledger_commune *commune,
                            const struct db_record *r)
{
    enum language language = p->view->language;
    strbuf_put(p->out, "<header>");
    if (r->drill) /* before the priority: nobody may run for an exercise */
        strbuf_putf(p->out, "<span class=\"mark drill\">%s</span> ", text(p, LANG_DRILL));
    strbuf_put(p->out, "<span class=\"badge\">");
    strbuf_put_html(p->out, lang_priority(language, r->priority));
    strbuf_put(p->out, "</span> <h3>");
    put_village(p, r->commune, r->village);
    if (p->many_communes && commune) {
        strbuf_put(p->out, ", ");
        strbuf_put_html(p->out, commune->info.name);
    }
    strbuf_put(p->out, "</h3> <span class=\"kind\">");
    const char *kind = lang_kind(language, r->kind);
    strbuf_put_html(p->out, kind ? kind : "?");
    strbuf_put(p->out, "</span>");
    if (r->variant)
        strbuf_putf(p->out, " <span class=\"mark alarm\">%s</span>", text(p, LANG_FORK));
    if (r->received_ms > 0) {
        strbuf_putf(p->out, "<time>%s ", text(p, LANG_RECEIVED));
        put_time(p, r->received_ms);
        strbuf_put(p->out, "</time>");
    }
    strbuf_put(p->out, "</header>");
}

static void put_report_foot(const struct page *p, const struct ledger_commune *commune,
                            const struct db_record *r)
{
    strbuf_putf(p->out, "<p class=\"foot\"><span class=\"number\">%u-%u</span> ",
                (unsigned)r->ref.author, (unsigned)r->ref.seq);
    put_author(p, commune, r->ref.author);
    strbuf_putf(p->out, " · %s ", text(p, LANG_CREATED));
    put_time(p, (KENG_EPOCH_UNIX_S * 1000) + (int64_t)r->created_min * MS_PER_MINUTE);
    if (!r->clock_set)
        strbuf_putf(p->out, " (%s)", text(p, LANG_CLOCK_UNSET));
    if (r->event)
        strbuf_putf(p->out, " · %s %u", text(p, LANG_EVENT), (unsigned)r->event);
    strbuf_putf(p->out, " · <span class=\"ok\">✓ %s</span></p>", text(p, LANG_SIGNED));
}

static int put_report(void *ctx, const struct db_record *r)
{
    struct page *p = ctx;
    struct console *c = p->view->console;
    const struct ledger_commune *commune = ledger_get(c->ledger, r->commune);
    struct record_view view;
    struct report report;
    strbuf_putf(p->out, "<article class=\"report p%u%s%s\" id=\"r%" PRId64 "\">",
                (unsigned)(r->priority < PRIORITY_COUNT ? r->priority : 0),
                r->review_state ? " done" : "", r->drill ? " drill" : "", r->arrival);
    put_report_head(p, commune, r);
    if (r->readable && record_decode(r->bytes, r->len, &view) == RECORD_OK &&
        report_decode(view.body, view.body_len, &report) == REPORT_OK) {
        put_figures(p, r->kind, &report);
    } else {
        strbuf_put(p->out, "<p class=\"warn\">");
        put_text(p, LANG_UNREADABLE);
        strbuf_put(p->out, "</p>");
    }
    put_report_foot(p, commune, r);
    put_review(p, commune, r);
    if (c->own_commune != 0 && r->commune == c->own_commune)
        put_review_forms(p, r);
    strbuf_put(p->out, "</article>\n");
    p->shown_count++;
    return p->out->failed ? DB_ENOMEM : 0;
}

/* ---- the list with its filter ---- */

static void put_option(const struct page *p, int64_t value, bool selected, const char *label)
{
    strbuf_putf(p->out, "<option value=\"%" PRId64 "\"%s>", value, selected ? " selected" : "");
    strbuf_put_html(p->out, label);
    strbuf_put(p->out, "</option>");
}

static void put_filter_communes(const struct page *p)
{
    const struct db_list_filter *filter = &p->view->filter;
    const struct ledger *l = p->view->console->ledger;
    if (!p->many_communes)
        return;
    strbuf_putf(p->out, "<label>%s<select name=\"commune\">", text(p, LANG_COMMUNE));
    put_option(p, 0, filter->commune == 0, text(p, LANG_ALL_COMMUNES));
    for (size_t i = 0; i < l->commune_count; i++)
        put_option(p, l->communes[i].info.id, filter->commune == l->communes[i].info.id,
                   l->communes[i].info.name);
    strbuf_put(p->out, "</select></label>");
}

static void put_filter(const struct page *p)
{
    const struct db_list_filter *filter = &p->view->filter;
    const struct villages *villages = p->view->console->villages;
    strbuf_put(p->out, "<form method=\"get\" action=\"/\" class=\"filter\">");
    strbuf_putf(p->out, "<input type=\"hidden\" name=\"lang\" value=\"%s\">",
                lang_code(p->view->language));
    if (!p->view->live)
        strbuf_put(p->out, "<input type=\"hidden\" name=\"static\" value=\"1\">");
    put_filter_communes(p);
    strbuf_putf(p->out, "<label>%s", text(p, LANG_VILLAGE));
    if (villages && !p->many_communes) {
        strbuf_put(p->out, "<select name=\"village\"><option value=\"\">");
        put_text(p, LANG_ALL_VILLAGES);
        strbuf_put(p->out, "</option>");
        for (size_t i = 0; i < villages->count; i++)
            put_option(p, villages->list[i].number, filter->village == villages->list[i].number,
                       villages->list[i].name);
        put_option(p, 0, filter->village == 0, text(p, LANG_NO_VILLAGE));
        strbuf_put(p->out, "</select>");
    } else {
        strbuf_put(p->out, "<input name=\"village\" inputmode=\"numeric\" size=\"5\" value=\"");
        if (filter->village >= 0)
            strbuf_putf(p->out, "%" PRId64, filter->village);
        strbuf_put(p->out, "\">");
    }
    strbuf_putf(p->out, "</label><label>%s<select name=\"kind\">", text(p, LANG_KIND));
    put_option(p, 0, filter->kind == 0, text(p, LANG_ALL_KINDS));
    for (uint8_t kind = RECORD_DAMAGE; kind <= RECORD_NOTE; kind++)
        put_option(p, kind, filter->kind == kind, lang_kind(p->view->language, kind));
    strbuf_putf(p->out, "</select></label><label class=\"check\"><input type=\"checkbox\" "
                        "name=\"waiting\" value=\"1\"%s> %s</label><button>%s</button></form>\n",
                filter->waiting_only ? " checked" : "", text(p, LANG_ONLY_WAITING),
                text(p, LANG_FILTER));
}

static void put_pages(const struct page *p, int64_t total)
{
    const struct console_view *view = p->view;
    bool older = (int64_t)(view->page + 1) * CONSOLE_PAGE_COUNT < total;
    if (view->page == 0 && !older)
        return;
    strbuf_put(p->out, "<p class=\"pages\">");
    if (view->page > 0) {
        strbuf_put(p->out, "<a href=\"");
        console_put_query(view, view->language, view->page - 1, p->out);
        strbuf_putf(p->out, "\">← %s</a> ", text(p, LANG_NEWER));
    }
    if (older) {
        strbuf_put(p->out, "<a href=\"");
        console_put_query(view, view->language, view->page + 1, p->out);
        strbuf_putf(p->out, "\">%s →</a>", text(p, LANG_OLDER));
    }
    strbuf_put(p->out, "</p>");
}

static bool is_filtered(const struct db_list_filter *filter)
{
    return filter->commune != 0 || filter->village >= 0 || filter->kind != 0 ||
           filter->waiting_only || filter->offset > 0;
}

static int put_reports(struct page *p)
{
    int64_t total = 0, waiting = 0;
    struct db *db = p->view->console->ledger->db;
    struct db_list_filter everything = p->view->filter;
    everything.waiting_only = false;
    int result = db_record_count(db, &everything, &total, &waiting);
    if (result < 0)
        return result;
    strbuf_putf(p->out, "<section id=\"reports\"><h2>%s <span class=\"count\"><b%s>%" PRId64
                        "</b> %s</span> <span class=\"dim\">/ %" PRId64 " %s</span></h2>\n",
                text(p, LANG_REPORTS), waiting ? "" : " class=\"zero\"", waiting,
                text(p, LANG_WAITING), total, text(p, LANG_IN_ALL));
    put_filter(p);
    result = db_record_list(db, &p->view->filter, put_report, p);
    if (result < 0)
        return result;
    if (p->shown_count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>",
                    text(p, is_filtered(&p->view->filter) ? LANG_NONE_YET : LANG_NOTHING_YET));
    put_pages(p, p->view->filter.waiting_only ? waiting : total);
    strbuf_put(p->out, "</section>\n");
    return 0;
}

/* ---- totals ---- */

static bool is_quantity(const struct catalogue_item *item)
{
    return !item || item->state_count == 0;
}

static void put_group(const struct page *p, const char *label, uint32_t event, int64_t commune,
                      bool is_village, uint32_t village)
{
    strbuf_put(p->out, "<tbody><tr><th colspan=\"3\" scope=\"rowgroup\">");
    if (is_village)
        put_village(p, commune, village);
    else
        strbuf_put_html(p->out, label);
    if (event)
        strbuf_putf(p->out, " <span class=\"dim\">· %s %u</span>", text(p, LANG_EVENT),
                    (unsigned)event);
    strbuf_put(p->out, "</th></tr>");
}

static void put_sums(const struct page *p, const struct totals *t, const char *commune_name)
{
    bool open = false;
    for (size_t i = 0; i < t->sum_count; i++) {
        const struct totals_sum *sum = &t->sums[i];
        const struct catalogue_item *item = find_item(p, sum->key.kind, sum->key.code);
        if (!is_quantity(item) || sum->village_count < 2)
            continue;
        if (!open || (i > 0 && t->sums[i - 1].key.event != sum->key.event)) {
            if (open)
                strbuf_put(p->out, "</tbody>");
            put_group(p, commune_name, sum->key.event, sum->key.commune, false, 0);
            open = true;
        }
        strbuf_put(p->out, "<tr class=\"sum\"><td>");
        put_item_name(p, item, sum->key.code);
        strbuf_put(p->out, "</td><td class=\"value\">");
        put_value(p, item, sum->value);
        strbuf_putf(p->out, "</td><td class=\"dim\">%u %s</td></tr>",
                    (unsigned)sum->village_count, text(p, LANG_VILLAGES));
    }
    if (open)
        strbuf_put(p->out, "</tbody>");
}

static void put_rows(const struct page *p, const struct totals *t)
{
    size_t count = t->row_count < CONSOLE_TOTALS_ROW_COUNT_MAX ? t->row_count
                                                               : CONSOLE_TOTALS_ROW_COUNT_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct totals_row *row = &t->rows[i];
        const struct totals_row *last = i ? &t->rows[i - 1] : NULL;
        const struct catalogue_item *item = find_item(p, row->key.kind, row->key.code);
        if (!last || last->key.village != row->key.village || last->key.event != row->key.event) {
            if (last)
                strbuf_put(p->out, "</tbody>");
            put_group(p, "", row->key.event, row->key.commune, true, row->key.village);
        }
        strbuf_put(p->out, "<tr><td>");
        put_item_name(p, item, row->key.code);
        strbuf_put(p->out, "</td><td class=\"value\">");
        put_value(p, item, row->value);
        strbuf_putf(p->out, "</td><td class=\"dim\">%u-%u", (unsigned)row->author,
                    (unsigned)row->seq);
        if (row->low != row->high) {
            strbuf_putf(p->out, " <span class=\"mark\">%s: ", text(p, LANG_DIFFER));
            put_bare_value(p, item, row->low);
            strbuf_put(p->out, "–");
            put_bare_value(p, item, row->high);
            strbuf_put(p->out, "</span>");
        }
        strbuf_put(p->out, "</td></tr>\n");
    }
    if (count > 0)
        strbuf_put(p->out, "</tbody>");
    if (count < t->row_count)
        strbuf_putf(p->out, "<tbody><tr><td colspan=\"3\">… +%zu</td></tr></tbody>",
                    t->row_count - count);
}

static bool commune_wanted(const struct page *p, const struct ledger_commune *commune)
{
    return p->view->filter.commune == 0 || p->view->filter.commune == commune->info.id;
}

static int put_totals(const struct page *p)
{
    const struct ledger *l = p->view->console->ledger;
    int result = 0;
    size_t row_count = 0;
    strbuf_putf(p->out, "<section id=\"totals\"><h2>%s</h2><p class=\"dim\">%s</p>",
                text(p, LANG_TOTALS), text(p, LANG_TOTALS_RULE));
    for (size_t i = 0; i < l->commune_count && result == 0; i++) {
        const struct ledger_commune *commune = &l->communes[i];
        struct totals t = { .claims = NULL };
        if (!commune_wanted(p, commune))
            continue;
        result = totals_collect(&t, l->db, commune->info.id);
        if (result == 0 && totals_finish(&t) != TOTALS_OK)
            result = DB_ENOMEM;
        if (result == 0 && t.row_count > 0) {
            strbuf_putf(p->out, "<table><thead><tr><th>%s</th><th class=\"value\">%s</th>"
                                "<th>%s</th></tr></thead>", text(p, LANG_INDICATOR),
                        text(p, LANG_VALUE), text(p, LANG_SOURCE));
            put_sums(p, &t, commune->info.name);
            put_rows(p, &t);
            strbuf_put(p->out, "</table>");
        }
        row_count += t.row_count;
        totals_free(&t);
    }
    if (row_count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", text(p, LANG_NO_FIGURES));
    strbuf_put(p->out, "</section>\n");
    return result;
}

/* ---- what is missing, doubled, refused ---- */

static int put_gaps(const struct page *p)
{
    const struct ledger *l = p->view->console->ledger;
    int result = 0;
    size_t shown = 0;
    strbuf_putf(p->out, "<section id=\"missing\"><h2>%s</h2>", text(p, LANG_MISSING));
    for (size_t i = 0; i < l->commune_count && result == 0; i++) {
        const struct ledger_commune *commune = &l->communes[i];
        struct gaps gaps = { .list = NULL };
        if (!commune_wanted(p, commune))
            continue;
        result = gaps_collect(&gaps, l->db, commune->info.id);
        for (size_t g = 0; g < gaps.count && shown < CONSOLE_GAP_COUNT_MAX; g++, shown++) {
            const struct gap *gap = &gaps.list[g];
            bool again = g > 0 && gaps.list[g - 1].author == gap->author;
            if (shown == 0)
                strbuf_putf(p->out, "<p class=\"dim\">%s</p>", text(p, LANG_MISSING_RULE));
            if (!again) {
                strbuf_putf(p->out, "%s<p class=\"gap\"><b>%u</b> ", g ? "</p>" : "",
                            (unsigned)gap->author);
                put_author(p, commune, gap->author);
                strbuf_put(p->out, ": ");
            }
            strbuf_putf(p->out, again ? ", %u" : "%u", (unsigned)gap->first);
            if (gap->last != gap->first)
                strbuf_putf(p->out, "–%u", (unsigned)gap->last);
        }
        if (gaps.count > 0)
            strbuf_put(p->out, "</p>");
        gaps_free(&gaps);
    }
    if (shown == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", text(p, LANG_MISSING_NONE));
    strbuf_put(p->out, "</section>\n");
    return result;
}

static int put_fork(void *ctx, const struct db_record *r)
{
    struct page *p = ctx;
    if (r->variant == 0)
        return 0;
    if (p->shown_count++ == 0)
        strbuf_putf(p->out, "<section id=\"forks\" class=\"alarm\"><h2>%s</h2><p>%s</p><ul>",
                    text(p, LANG_FORKS), text(p, LANG_FORKS_RULE));
    strbuf_putf(p->out, "<li><b>%u-%u</b> ", (unsigned)r->ref.author, (unsigned)r->ref.seq);
    put_author(p, ledger_get(p->view->console->ledger, r->commune), r->ref.author);
    strbuf_put(p->out, "</li>");
    return 0;
}

static int put_forks(struct page *p)
{
    const struct ledger *l = p->view->console->ledger;
    int result = 0;
    p->shown_count = 0;
    for (size_t i = 0; i < l->commune_count && result == 0; i++)
        if (commune_wanted(p, &l->communes[i]))
            result = db_record_forks(l->db, l->communes[i].info.id, put_fork, p);
    if (p->shown_count > 0)
        strbuf_put(p->out, "</ul></section>\n");
    return result;
}

static int put_refusal(void *ctx, int64_t commune, const char *reason, int64_t count,
                       int64_t last_ms)
{
    struct page *p = ctx;
    (void)commune;
    if (p->shown_count++ == 0)
        strbuf_putf(p->out, "<section id=\"refused\"><h2>%s</h2><ul>", text(p, LANG_REFUSED));
    strbuf_put(p->out, "<li>");
    strbuf_put_html(p->out, reason);
    strbuf_putf(p->out, ": <b>%" PRId64 "</b> <span class=\"dim\">", count);
    put_time(p, last_ms);
    strbuf_put(p->out, "</span></li>");
    return 0;
}

static int put_refused(struct page *p)
{
    p->shown_count = 0;
    int result = db_refused_list(p->view->console->ledger->db, put_refusal, p);
    if (p->shown_count > 0)
        strbuf_put(p->out, "</ul></section>\n");
    return result;
}

static int put_sync_refusal(void *ctx, const struct db_record *r, const char *reason)
{
    struct page *p = ctx;
    if (p->shown_count++ == 0)
        strbuf_putf(p->out, "<p class=\"warn\">%s: ", text(p, LANG_SYNC_REFUSED));
    else
        strbuf_put(p->out, ", ");
    strbuf_putf(p->out, "%u-%u (", (unsigned)r->ref.author, (unsigned)r->ref.seq);
    strbuf_put_html(p->out, reason);
    strbuf_put(p->out, ")");
    return 0;
}

static int put_sync(struct page *p)
{
    const struct console_sync *sync = p->view->console->sync;
    int result = 0;
    if (!sync->configured)
        return 0;
    strbuf_putf(p->out, "<section id=\"sync\"><h2>%s</h2><p><code>", text(p, LANG_SYNC));
    strbuf_put_html(p->out, sync->url);
    strbuf_putf(p->out, "</code></p><p><b>%" PRId64 "</b> %s · %s: ", sync->waiting_count,
                text(p, LANG_SYNC_WAITING), text(p, LANG_SYNC_LAST_OK));
    if (sync->last_ok_ms)
        put_time(p, sync->last_ok_ms);
    else
        put_text(p, LANG_SYNC_NEVER);
    strbuf_put(p->out, "</p>");
    if (sync->error[0]) {
        strbuf_put(p->out, "<p class=\"warn\">");
        strbuf_put_html(p->out, sync->error);
        strbuf_put(p->out, "</p>");
    }
    p->shown_count = 0;
    result = db_outbox_refused(p->view->console->ledger->db, sync->target, put_sync_refusal, p);
    if (p->shown_count > 0)
        strbuf_put(p->out, "</p>");
    strbuf_put(p->out, "<form method=\"post\" action=\"/send-now\">");
    put_token(p->view, p->out);
    strbuf_putf(p->out, "<button>%s</button></form></section>\n", text(p, LANG_SYNC_NOW));
    return result;
}

/* ---- the whole page ---- */

struct rescue_count {
    unsigned count;
    int64_t first_arrival; /* of the one that has waited longest */
};

static int count_rescue(void *ctx, const struct db_record *r)
{
    struct rescue_count *rescue = ctx;
    if (r->drill)
        return 0;
    if (rescue->count++ == 0 || r->arrival < rescue->first_arrival)
        rescue->first_arrival = r->arrival;
    return 0;
}

/* Whatever the list is filtered or scrolled to, a call for help that nobody has answered stays in
 * sight. */
static int find_rescue(const struct console_view *view, struct rescue_count *rescue_out)
{
    struct db_list_filter filter = { .village = -1, .kind = RECORD_RESCUE, .waiting_only = true,
                                     .limit = CONSOLE_PAGE_COUNT };
    *rescue_out = (struct rescue_count){ .count = 0 };
    return db_record_list(view->console->ledger->db, &filter, count_rescue, rescue_out);
}

static void put_rescue(const struct page *p, const struct rescue_count *rescue)
{
    strbuf_put(p->out, "<nav class=\"jump\">");
    if (rescue->count > 0) {
        /* The bare list: a filter may hide what is called for. */
        strbuf_putf(p->out, "<a class=\"rescue\" href=\"?lang=%s%s#r%" PRId64 "\">",
                    lang_code(p->view->language), p->view->live ? "" : "&amp;static=1",
                    rescue->first_arrival);
        strbuf_putf(p->out, "<b>%u%s</b> ", rescue->count,
                    rescue->count == CONSOLE_PAGE_COUNT ? "+" : "");
        put_text(p, LANG_RESCUE_WAITING);
        strbuf_put(p->out, "</a>");
    }
    strbuf_putf(p->out, "<a href=\"#reports\">%s</a><a href=\"#totals\">%s</a>"
                        "<a href=\"#missing\">%s</a></nav>\n", text(p, LANG_REPORTS),
                text(p, LANG_TOTALS_SHORT), text(p, LANG_MISSING));
}

/* The node's word for its modem, then what it adds; a word of a later version stays as it is. */
static void put_modem(const struct page *p, const char *modem)
{
    static const struct { const char *word; enum lang_text text; } states[] = {
        { "none", LANG_MODEM_NONE }, { "absent", LANG_MODEM_ABSENT },
        { "configuring", LANG_MODEM_CONFIGURING }, { "ready", LANG_MODEM_READY },
        { "silent", LANG_MODEM_SILENT },
    };
    size_t len = strcspn(modem, " ");
    const char *word = NULL;
    for (size_t i = 0; i < sizeof states / sizeof states[0] && !word; i++)
        if (strlen(states[i].word) == len && strncmp(states[i].word, modem, len) == 0)
            word = text(p, states[i].text);
    bool bad = len != strlen("ready") || strncmp(modem, "ready", len) != 0;
    strbuf_putf(p->out, "<span%s>%s: ", bad ? " class=\"warn\"" : "", text(p, LANG_MODEM));
    if (word)
        strbuf_put_html(p->out, word);
    strbuf_put_html(p->out, word ? modem + len : modem);
    strbuf_put(p->out, "</span>");
}

static void put_percent(const struct page *p, const struct console_node *node)
{
    if (node->airtime_used_ms < 0 || node->airtime_allowed_ms <= 0)
        return;
    strbuf_putf(p->out, "<span>%s <b>%.1f / %.0f s</b></span>", text(p, LANG_AIRTIME),
                (double)node->airtime_used_ms / 1000, (double)node->airtime_allowed_ms / 1000);
}

static void put_node(const struct page *p)
{
    const struct console_node *node = p->view->console->node;
    if (!node->configured)
        return;
    strbuf_putf(p->out, "<div class=\"status%s\"><span>%s", node->connected ? "" : " alarm",
                text(p, LANG_NODE));
    if (node->number >= 0)
        strbuf_putf(p->out, " <b>%" PRId64 "</b>", node->number);
    strbuf_putf(p->out, " · %s</span>",
                text(p, node->connected ? LANG_NODE_ON : LANG_NODE_OFF));
    if (node->connected && node->neighbour_count >= 0)
        strbuf_putf(p->out, "<span><b>%" PRId64 "</b> %s</span>", node->neighbour_count,
                    text(p, LANG_NEIGHBOURS));
    if (node->connected && node->held_count >= 0)
        strbuf_putf(p->out, "<span><b>%" PRId64 "</b> %s</span>", node->held_count,
                    text(p, LANG_HELD));
    if (node->connected)
        put_percent(p, node);
    if (node->connected && node->modem[0])
        put_modem(p, node->modem);
    if (node->error[0]) {
        strbuf_put(p->out, "<span>");
        strbuf_put_html(p->out, node->error);
        strbuf_put(p->out, "</span>");
    }
    strbuf_put(p->out, "</div>\n");
}

static int note_queued(void *ctx, const struct db_outgoing *outgoing)
{
    struct page *p = ctx;
    if (p->queued_count == OUTGOING_COUNT_MAX)
        return 1;
    p->queued[p->queued_count++] =
        (struct queued_review){ .ref = outgoing->ref, .state = outgoing->state };
    snprintf(p->queued[p->queued_count - 1].error, sizeof p->queued[0].error, "%.*s",
             (int)sizeof p->queued[0].error - 1, outgoing->error);
    return 0;
}

static void put_top(const struct page *p, unsigned rescue_count)
{
    const struct console_view *view = p->view;
    const char *name = own_name(view->console);
    char title[CONSOLE_STATUS_LEN];
    snprintf(title, sizeof title, "%s", name);
    if (rescue_count > 0) /* seen in the row of tabs too */
        snprintf(title, sizeof title, "%u %s · %s", rescue_count, text(p, LANG_RESCUE_WAITING),
                 name);
    put_head(view, title, p->out);
    strbuf_put(p->out, "<header class=\"top\"><h1>Kẻng</h1><span class=\"commune\">");
    strbuf_put_html(p->out, *name ? name : text(p, LANG_ALL_COMMUNES));
    strbuf_put(p->out, "</span>");
    if (view->live) {
        strbuf_put(p->out, "<span id=\"line\" class=\"off\" data-on=\"");
        put_text(p, LANG_LIVE);
        strbuf_put(p->out, "\" data-lost=\"");
        put_text(p, LANG_LOST);
        strbuf_put(p->out, "\" data-off=\"");
        put_text(p, LANG_NOT_LIVE);
        strbuf_put(p->out, "\">");
        put_text(p, LANG_NOT_LIVE);
        strbuf_put(p->out, "</span>");
    }
    put_language_links(view, p->out);
    if (view->console->access->passphrase_hash[0]) {
        strbuf_put(p->out, "<form method=\"post\" action=\"/logout\">");
        put_token(view, p->out);
        strbuf_putf(p->out, "<button>%s</button></form>", text(p, LANG_LOGOUT));
    }
    strbuf_put(p->out, "</header>\n");
}

void console_page_main(const struct console_view *view, struct strbuf *out)
{
    struct page page = {
        .view = view, .out = out, .many_communes = view->console->ledger->commune_count > 1
    };
    struct db *db = view->console->ledger->db;
    int64_t arrival = 0;
    struct rescue_count rescue;
    int result = find_rescue(view, &rescue);
    put_top(&page, rescue.count);
    if (result >= 0)
        result = db_record_last_arrival(db, &arrival);
    if (result >= 0)
        result = db_outgoing_list(db, note_queued, &page);
    strbuf_putf(out, "<div id=\"live\" data-arrival=\"%" PRId64 "\">\n", arrival);
    put_node(&page);
    put_rescue(&page, &rescue);
    strbuf_put(out, "<main>\n");
    if (result >= 0)
        result = put_reports(&page);
    strbuf_put(out, "<aside>\n");
    if (result >= 0)
        result = put_forks(&page);
    if (result >= 0)
        result = put_totals(&page);
    if (result >= 0)
        result = put_gaps(&page);
    if (result >= 0)
        result = put_sync(&page);
    if (result >= 0)
        result = put_refused(&page);
    if (result < 0) {
        strbuf_put(out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(out, db_error(db));
        strbuf_put(out, "</p>");
    }
    strbuf_put(out, "</aside>\n</main>\n</div>\n</body>\n</html>\n");
}
