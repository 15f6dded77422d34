/* What all pages share: their frame, and names for numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/assets.h"
#include "gateway/console_page.h"
#include "gateway/demo_data.h"
#include "gateway/units.h"

const char *page_text(const struct page *p, enum lang_text id)
{
    return lang_text(p->view->language, id);
}

void page_put_text(const struct page *p, enum lang_text id)
{
    strbuf_put_html(p->out, page_text(p, id));
}

/* The first of these are what lists of reports are filtered by. */
static const char *const KEPT[] = { "commune", "village", "kind", "state", "priority", "hours",
                                    "words", "waiting", "arrival", "next", "template", "event",
                                    "code", "asof", "basis", "drills", "id" };
enum { FILTER_COUNT = 8, KEPT_COUNT = sizeof KEPT / sizeof KEPT[0] };

static void put_kept(const struct console_view *view, size_t count, const char *separator,
                     struct strbuf *out)
{
    for (size_t i = 0; i < count && view->request; i++) {
        const char *value = http_query(view->request, KEPT[i]);
        if (!value || !*value)
            continue;
        strbuf_putf(out, "%s%s=", separator, KEPT[i]);
        strbuf_put_url(out, value);
    }
}

void console_put_record_location(const struct console_view *view, int64_t arrival,
                                 struct strbuf *out)
{
    strbuf_putf(out, "/record?lang=%s&next=1&arrival=%" PRId64, lang_code(view->language),
                arrival);
    put_kept(view, FILTER_COUNT, "&", out);
}

void console_put_query(const struct console_view *view, enum language language, bool whole,
                       struct strbuf *out)
{
    strbuf_putf(out, "?lang=%s", lang_code(language));
    put_kept(view, KEPT_COUNT, "&amp;", out);
    if (whole && view->filter.below_rank != DB_RANK_MAX)
        strbuf_putf(out, "&amp;from=%u.%" PRId64, view->filter.below_rank,
                    view->filter.below_arrival);
    if (!view->live)
        strbuf_put(out, "&amp;static=1");
}

/* ---- frame of every page ---- */

void page_put_head(const struct console_view *view, const char *title, struct strbuf *out)
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

/* A page that answers a form may have none: it can be neither come back to nor asked for in another
 * language. */
static bool has_address(const struct http_request *request)
{
    const struct console_route *r = console_routes;
    while (r->path && (r->method != HTTP_GET || strcmp(r->path, request->path) != 0))
        r++;
    return r->path != NULL;
}

void page_put_language_links(const struct console_view *view, struct strbuf *out)
{
    static const char *const NAMES[LANG_COUNT] = { "Tiếng Việt", "English" };
    if (!has_address(view->request))
        return;
    strbuf_putf(out, "<nav class=\"lang\" aria-label=\"%s\">",
                lang_text(view->language, LANG_LANGUAGE));
    for (int i = 0; i < LANG_COUNT; i++) {
        strbuf_put(out, "<a href=\"");
        console_put_query(view, (enum language)i, true, out);
        strbuf_putf(out, "\" lang=\"%s\"%s>%s</a>", lang_code((enum language)i),
                    view->language == (enum language)i ? " aria-current=\"true\"" : "", NAMES[i]);
    }
    strbuf_put(out, "</nav>");
}

void page_put_token(const struct console_view *view, struct strbuf *out)
{
    strbuf_putf(out, "<input type=\"hidden\" name=\"token\" value=\"%s\">"
                     "<input type=\"hidden\" name=\"back\" value=\"", view->token);
    const char *back = http_form(view->request, "back");
    if (has_address(view->request) || !back) {
        strbuf_put_html(out, view->request->path);
        console_put_query(view, view->language, true, out);
    } else {
        strbuf_put_html(out, back);
    }
    strbuf_put(out, "\">");
    if (view->console->keys && view->console->own_commune)
        strbuf_putf(out, "<input type=\"hidden\" name=\"commune\" value=\"%" PRId64 "\">",
                    view->console->own_commune);
}

void page_put_commune(const struct page *p, const char *path, const struct ledger_commune *commune)
{
    strbuf_put(p->out, "<h2>");
    strbuf_put_html(p->out, units_name(commune));
    strbuf_putf(p->out, "</h2><p><a href=\"%s?lang=%s\">%s</a></p>\n", path,
                lang_code(p->view->language), page_text(p, LANG_ALL_COMMUNES));
}

bool page_put_communes(const struct page *p, const char *path, bool keyed)
{
    const struct console *c = p->view->console;
    size_t count = 0;
    for (size_t i = 0; i < c->ledger->commune_count; i++) {
        const struct ledger_commune *commune = &c->ledger->communes[i];
        if (commune->is_province || (keyed && !(c->keys && keys_find(c->keys, commune))))
            continue;
        if (count++ == 0)
            strbuf_putf(p->out, "<p>%s</p><ul>", page_text(p, LANG_COMMUNES_CHOOSE));
        strbuf_putf(p->out, "<li><a href=\"%s?commune=%" PRId64 "&amp;lang=%s\">", path,
                    commune->info.id, lang_code(p->view->language));
        strbuf_put_html(p->out, units_name(commune));
        strbuf_put(p->out, "</a></li>");
    }
    strbuf_put(p->out, count ? "</ul>\n" : "");
    return count > 0;
}

static const struct ledger_commune *own_commune(const struct console *c)
{
    const struct ledger_commune *own = ledger_get(c->ledger, c->own_commune);
    return own || c->ledger->commune_count != 1 ? own : &c->ledger->communes[0];
}

const char *page_own_name(const struct console *c)
{
    const struct ledger_commune *own = own_commune(c);
    return own ? own->info.name : "";
}

bool page_is_training(const struct console *c)
{
    const struct ledger_commune *own = own_commune(c);
    return own && strcmp(own->roster.profile.code, DEMO_COMMUNE_CODE) == 0;
}

void console_page_login(const struct console_view *view, enum console_login state,
                        struct strbuf *out)
{
    enum language language = view->language;
    struct console_view still = *view;
    still.live = false;
    page_put_head(&still, lang_text(language, LANG_LOGIN), out);
    strbuf_put(out, "<header class=\"top\"><h1>Kẻng</h1>");
    page_put_language_links(&still, out);
    strbuf_put(out, "</header>\n<main class=\"narrow\"><form method=\"post\" action=\"/login\" "
                    "class=\"login\">");
    page_put_token(view, out);
    if (state != CONSOLE_LOGIN_FIRST) {
        strbuf_put(out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(out, lang_text(language, state == CONSOLE_LOGIN_WRONG ? LANG_LOGIN_WRONG
                                                                              : LANG_LOGIN_LATER));
        strbuf_put(out, "</p>");
    }
    strbuf_put(out, "<label>");
    strbuf_put_html(out, lang_text(language, LANG_LOGIN_NAME));
    strbuf_put(out, "<input type=\"text\" name=\"login\" required autocapitalize=\"none\" "
                    "autocomplete=\"username\" autofocus></label><label>");
    strbuf_put_html(out, lang_text(language, LANG_PASSPHRASE));
    strbuf_put(out, "<input type=\"password\" name=\"passphrase\" required "
                    "autocomplete=\"current-password\"></label><button class=\"main\">");
    strbuf_put_html(out, lang_text(language, LANG_LOGIN));
    strbuf_putf(out, "</button><p class=\"dim\">%s</p></form></main>\n</body>\n</html>\n",
                lang_text(language, LANG_LOGIN_FORGOT));
}

void console_page_message(const struct console_view *view, const char *message, struct strbuf *out)
{
    struct console_view still = *view;
    still.live = false;
    page_put_head(&still, message, out);
    strbuf_put(out, "<header class=\"top\"><h1>Kẻng</h1></header>\n<main class=\"narrow\"><p>");
    strbuf_put_html(out, message);
    strbuf_put(out, "</p><p><a href=\"/\">");
    strbuf_put_html(out, lang_text(view->language, LANG_BACK));
    strbuf_put(out, "</a></p></main>\n</body>\n</html>\n");
}

static void put_menu(const struct page *p)
{
    const struct console_view *view = p->view;
    strbuf_putf(p->out, "<nav class=\"menu\" aria-label=\"%s\">", page_text(p, LANG_PAGES));
    for (const struct console_route *r = console_routes; r->path; r++) {
        if (r->title < 0 || !view->who || view->who->role < r->role)
            continue;
        strbuf_putf(p->out, "<a href=\"%s\"%s>", r->path,
                    strcmp(r->path, view->request->path) == 0 ? " aria-current=\"page\"" : "");
        page_put_text(p, (enum lang_text)r->title);
        strbuf_put(p->out, "</a>");
    }
    strbuf_put(p->out, "</nav>");
}

static void put_line_state(const struct page *p)
{
    strbuf_put(p->out, "<span id=\"line\" class=\"off\" role=\"status\" data-on=\"");
    page_put_text(p, LANG_LIVE);
    strbuf_put(p->out, "\" data-lost=\"");
    page_put_text(p, LANG_LOST);
    strbuf_put(p->out, "\" data-off=\"");
    page_put_text(p, LANG_NOT_LIVE);
    strbuf_put(p->out, "\">");
    page_put_text(p, LANG_NOT_LIVE);
    strbuf_put(p->out, "</span>");
}

/* The script shows it: without one nothing rings. */
static void put_bell(const struct page *p)
{
    strbuf_putf(p->out, "<button id=\"sound\" type=\"button\" data-on=\"%s\" data-off=\"%s\" "
                        "hidden></button>", page_text(p, LANG_SOUND_ON),
                page_text(p, LANG_SOUND_OFF));
}

void page_open(struct page *p, const char *title, bool live)
{
    const struct console_view *view = p->view;
    const char *name = page_own_name(view->console);
    char calls[CONSOLE_STATUS_LEN];
    struct strbuf whole = { .text = NULL };
    int result = db_rescue_waiting(view->console->ledger->db, &p->calls);
    /* Seen in the row of tabs, too. */
    strbuf_putf(&whole, "%s%s", page_calls_words(p, calls), p->calls.count ? " · " : "");
    strbuf_put(&whole, title);
    page_put_head(view, whole.text ? whole.text : title, p->out);
    strbuf_free(&whole);
    strbuf_putf(p->out, "<header class=\"top%s\"><h1>Kẻng</h1><span class=\"commune\">",
                page_is_training(view->console) ? " training" : "");
    strbuf_put_html(p->out, *name ? name : page_text(p, LANG_ALL_COMMUNES));
    strbuf_put(p->out, "</span>");
    put_menu(p);
    if (live && view->live)
        put_line_state(p);
    if (view->live)
        put_bell(p);
    strbuf_putf(p->out, "<a class=\"help\" href=\"/guide\" title=\"%s\" aria-label=\"%s\">?</a>",
                page_text(p, LANG_GUIDE), page_text(p, LANG_GUIDE));
    page_put_language_links(view, p->out);
    if (view->who && view->who->number != 0) {
        strbuf_put(p->out, "<form method=\"post\" action=\"/logout\" class=\"who\">");
        page_put_token(view, p->out);
        strbuf_putf(p->out, "<a href=\"/account\" title=\"%s\">", page_text(p, LANG_ACCOUNT));
        strbuf_put_html(p->out, view->who->name);
        strbuf_putf(p->out, "</a> <button>%s</button></form>", page_text(p, LANG_LOGOUT));
    }
    strbuf_put(p->out, "</header>\n");
    if (!live)
        page_put_calls_region(p);
    if (result < 0) {
        strbuf_put(p->out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(p->out, db_error(view->console->ledger->db));
        strbuf_put(p->out, "</p>");
    }
}

void page_close(const struct page *p)
{
    strbuf_put(p->out, "</body>\n</html>\n");
}

void console_page_guide(const struct console_view *view, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    answer->status = 200;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_GUIDE), false);
    strbuf_put(p.out, "<main class=\"wide guide\">\n");
    strbuf_put(p.out, view->language == LANG_EN ? asset_guide_en : asset_guide_vi);
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}

/* ---- names of things ---- */

static bool knows_villages(const struct page *p, int64_t commune)
{
    const struct console *c = p->view->console;
    return c->villages && (commune == c->own_commune || c->ledger->commune_count == 1);
}

int64_t page_moment(const struct page *p)
{
    return p->moment_ms ? p->moment_ms : p->view->wall_ms;
}

void page_put_village(const struct page *p, int64_t commune, uint32_t number)
{
    const struct village *village =
        knows_villages(p, commune)
            ? villages_get(p->view->console->villages, number, page_moment(p)) : NULL;
    if (number == 0)
        page_put_text(p, LANG_NO_VILLAGE);
    else if (village)
        strbuf_put_html(p->out, village->name);
    else
        strbuf_putf(p->out, "%s %u", page_text(p, LANG_VILLAGE), (unsigned)number);
}

void page_put_author(const struct page *p, const struct ledger_commune *commune, uint16_t number)
{
    const struct roster_author *author = commune ? roster_find(&commune->roster, number) : NULL;
    if (author)
        strbuf_put_html(p->out, author->entry.name);
    else
        strbuf_putf(p->out, "#%u", (unsigned)number);
    if (author) {
        strbuf_put(p->out, " <span class=\"dim role\">(");
        strbuf_put_html(p->out, lang_role(p->view->language, author->entry.role));
        strbuf_put(p->out, ")</span>");
    }
}

/* Local time to read, UTC for machines and as a hint. */
void page_put_time(const struct page *p, int64_t unix_ms)
{
    char at[LANG_TIME_LEN], utc[LANG_TIME_LEN];
    lang_time(unix_ms, at);
    lang_time_utc(unix_ms, utc);
    strbuf_putf(p->out, "<time datetime=\"%s\" title=\"%s\">", utc, utc);
    strbuf_put_html(p->out, at);
    strbuf_put(p->out, "</time>");
}

const struct catalogue_item *page_find_item(const struct page *p, uint8_t kind, uint32_t code)
{
    const struct catalogue *cat = p->view->console->catalogue;
    return cat ? catalogue_get(cat, kind, code, page_moment(p)) : NULL;
}

void page_put_item_name(const struct page *p, const struct catalogue_item *item, uint8_t kind,
                        uint32_t code)
{
    char buf[LANG_ITEM_LEN];
    strbuf_put_html(p->out, lang_item(p->view->language, item, kind, code, buf));
}

static void put_formatted(const struct page *p, const struct catalogue_item *item, int64_t value,
                          bool with_unit)
{
    char words[CATALOGUE_VALUE_LEN];
    if (value == REVIEW_UNKNOWN) {
        page_put_text(p, LANG_NOT_KNOWN);
        return;
    }
    catalogue_value_format(item, value, lang_catalogue(p->view->language), with_unit, words,
                           sizeof words);
    strbuf_put_html(p->out, words);
}

void page_put_value(const struct page *p, const struct catalogue_item *item, int64_t value)
{
    put_formatted(p, item, value, true);
}

void page_put_bare_value(const struct page *p, const struct catalogue_item *item, int64_t value)
{
    put_formatted(p, item, value, false);
}
