/* Figures: the totals as of any moment, and the signed reports behind each of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/console_page.h"

/* ---- totals ---------------------------------------------------------------------------------- */

static void put_figure_link(const struct page *p, const struct totals_row *row,
                            const struct totals_filter *filter)
{
    const struct totals_key *key = &row->key;
    strbuf_putf(p->out, "<a href=\"/figure?commune=%" PRId64 "&amp;village=%u&amp;event=%u&amp;"
                        "kind=%u&amp;code=%u&amp;asof=%" PRId64 "%s%s&amp;lang=%s\">"
                        "%u-%u</a>", key->commune,
                (unsigned)key->village, (unsigned)key->event, (unsigned)key->kind,
                (unsigned)key->code, filter->as_of_ms,
                filter->approved ? "&amp;basis=approved" : "",
                filter->drills ? "&amp;drills=1" : "", lang_code(p->view->language),
                (unsigned)row->author, (unsigned)row->seq);
}

static bool is_quantity(const struct catalogue_item *item)
{
    return !item || item->state_count == 0;
}

static void put_group(const struct page *p, const char *label, uint32_t event, int64_t commune,
                      bool is_village, uint32_t village)
{
    strbuf_put(p->out, "<tbody><tr><th colspan=\"3\" scope=\"rowgroup\">");
    if (is_village)
        page_put_village(p, commune, village);
    else
        strbuf_put_html(p->out, label);
    if (event)
        strbuf_putf(p->out, " <span class=\"dim\">· %s %u</span>", page_text(p, LANG_EVENT),
                    (unsigned)event);
    strbuf_put(p->out, "</th></tr>");
}

static void put_sums(const struct page *p, const struct totals *t, const char *commune_name)
{
    const struct totals_sum *headed = NULL; /* the first under the heading that stands */
    for (size_t i = 0; i < t->sum_count; i++) {
        const struct totals_sum *sum = &t->sums[i];
        const struct catalogue_item *item = page_find_item(p, sum->key.kind, sum->key.code);
        if (!is_quantity(item) || sum->village_count < 2)
            continue;
        if (!headed || headed->key.event != sum->key.event) {
            strbuf_put(p->out, headed ? "</tbody>" : "");
            put_group(p, commune_name, sum->key.event, sum->key.commune, false, 0);
            headed = sum;
        }
        strbuf_put(p->out, "<tr class=\"sum\"><td>");
        page_put_item_name(p, item, sum->key.kind, sum->key.code);
        strbuf_put(p->out, "</td><td class=\"value\">");
        page_put_value(p, item, sum->value);
        strbuf_putf(p->out, "</td><td class=\"dim\">%u %s</td></tr>",
                    (unsigned)sum->village_count, page_text(p, LANG_VILLAGES));
    }
    strbuf_put(p->out, headed ? "</tbody>" : "");
}

static void put_rows(const struct page *p, const struct totals *t)
{
    size_t count = t->row_count < CONSOLE_TOTALS_ROW_COUNT_MAX ? t->row_count
                                                               : CONSOLE_TOTALS_ROW_COUNT_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct totals_row *row = &t->rows[i];
        const struct totals_row *last = i ? &t->rows[i - 1] : NULL;
        const struct catalogue_item *item = page_find_item(p, row->key.kind, row->key.code);
        if (!last || last->key.village != row->key.village || last->key.event != row->key.event) {
            if (last)
                strbuf_put(p->out, "</tbody>");
            put_group(p, "", row->key.event, row->key.commune, true, row->key.village);
        }
        strbuf_put(p->out, "<tr><td>");
        page_put_item_name(p, item, row->key.kind, row->key.code);
        strbuf_put(p->out, "</td><td class=\"value\">");
        page_put_value(p, item, row->value);
        strbuf_put(p->out, "</td><td class=\"dim\">");
        put_figure_link(p, row, &t->filter);
        if (row->low != row->high) {
            strbuf_putf(p->out, " <span class=\"mark\">%s: ", page_text(p, LANG_DIFFER));
            page_put_bare_value(p, item, row->low);
            strbuf_put(p->out, "–");
            page_put_bare_value(p, item, row->high);
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

bool page_commune_wanted(const struct page *p, const struct ledger_commune *commune)
{
    return p->view->filter.commune == 0 || p->view->filter.commune == commune->info.id;
}

int page_put_totals(const struct page *p, const struct totals_filter *filter)
{
    const struct ledger *l = p->view->console->ledger;
    int result = 0;
    size_t row_count = 0;
    strbuf_putf(p->out, "<section id=\"totals\"><h2>%s%s%s%s</h2><p class=\"dim\">%s</p>",
                page_text(p, LANG_TOTALS),
                filter->drills ? " <span class=\"mark drill\">" : "",
                filter->drills ? page_text(p, LANG_DRILL) : "", filter->drills ? "</span>" : "",
                page_text(p, LANG_TOTALS_RULE));
    for (size_t i = 0; i < l->commune_count && result == 0; i++) {
        const struct ledger_commune *commune = &l->communes[i];
        struct totals t = { .claims = NULL };
        if (!page_commune_wanted(p, commune))
            continue;
        result = totals_collect(&t, l->db, commune->info.id, filter);
        if (result == 0 && totals_finish(&t) != TOTALS_OK)
            result = DB_ENOMEM;
        if (result == 0 && t.row_count > 0) {
            strbuf_putf(p->out, "<table class=\"figures-of\"><thead><tr><th>%s</th>"
                                "<th class=\"value\">%s</th><th>%s</th></tr></thead>",
                        page_text(p, LANG_INDICATOR), page_text(p, LANG_VALUE),
                        page_text(p, LANG_SOURCE));
            put_sums(p, &t, commune->info.name);
            put_rows(p, &t);
            strbuf_put(p->out, "</table>");
        }
        row_count += t.row_count;
        totals_free(&t);
    }
    if (row_count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_NO_FIGURES));
    strbuf_put(p->out, "</section>\n");
    return result;
}

/* What the address asks for; false: a moment that cannot be read. */
static bool read_filter(const struct console_view *view, struct totals_filter *filter_out)
{
    const struct http_request *request = view->request;
    const char *moment = http_query(request, "asof"), *basis = http_query(request, "basis");
    *filter_out = (struct totals_filter){
        .event = console_number(http_query(request, "event"), REPORT_EVENT_MAX, -1),
        .approved = basis && strcmp(basis, "approved") == 0,
        .drills = http_query(request, "drills") || page_is_training(view->console),
    };
    filter_out->as_of_ms = console_number(moment, INT64_MAX, -1); /* in links of ours */
    if (filter_out->as_of_ms >= 0)
        return true;
    filter_out->as_of_ms = 0;
    return !moment || !*moment || lang_time_parse(moment, &filter_out->as_of_ms);
}

static void put_form(const struct page *p, const struct totals_filter *filter)
{
    char moment[LANG_TIME_LEN] = "";
    if (filter->as_of_ms)
        lang_time_local(filter->as_of_ms, moment);
    strbuf_putf(p->out, "<form method=\"get\" action=\"/totals\" class=\"filter\">"
                        "<input type=\"hidden\" name=\"lang\" value=\"%s\">"
                        "<label>%s<input type=\"datetime-local\" name=\"asof\" "
                        "value=\"%s\"></label>"
                        "<label>%s<select name=\"basis\"><option value=\"\">%s</option>"
                        "<option value=\"approved\"%s>%s</option></select></label>",
                lang_code(p->view->language), page_text(p, LANG_AS_OF), moment,
                page_text(p, LANG_BASIS), page_text(p, LANG_BASIS_RECEIVED),
                filter->approved ? " selected" : "", page_text(p, LANG_BASIS_APPROVED));
    strbuf_putf(p->out, "<label>%s<input name=\"event\" size=\"6\" inputmode=\"numeric\" "
                        "value=\"", page_text(p, LANG_EVENT));
    if (filter->event >= 0)
        strbuf_putf(p->out, "%" PRId64, filter->event);
    strbuf_putf(p->out, "\"></label><label class=\"check\"><input type=\"checkbox\" "
                        "name=\"drills\" value=\"1\"%s> %s</label><button>%s</button></form>\n",
                filter->drills ? " checked" : "", page_text(p, LANG_DRILLS_ONLY),
                page_text(p, LANG_TOTALS_SHOW));
}

static void put_db_error(const struct page *p)
{
    strbuf_put(p->out, "<p class=\"alarm\" role=\"alert\">");
    strbuf_put_html(p->out, db_error(p->view->console->ledger->db));
    strbuf_put(p->out, "</p>");
}

void console_page_totals(const struct console_view *view, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body,
                      .many_communes = view->console->ledger->commune_count > 1 };
    struct totals_filter filter;
    bool good = read_filter(view, &filter);
    p.moment_ms = filter.as_of_ms;
    answer->status = good ? 200 : 400;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_TOTALS), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (filter.drills)
        strbuf_putf(p.out, "<p><span class=\"mark drill\">%s</span></p>",
                    page_text(&p, LANG_DRILL));
    if (!good)
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s</p>",
                    page_text(&p, LANG_ERR_QUICK_FIELDS));
    put_form(&p, &filter);
    if (good && page_put_totals(&p, &filter) < 0)
        put_db_error(&p);
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}

/* ---- the reports behind one figure ----------------------------------------------------------- */

static void put_claim(const struct page *p, const struct ledger_commune *commune,
                      const struct catalogue_item *item, const struct totals_claim *claim)
{
    static const enum lang_text STANDINGS[] = {
        [TOTALS_COUNTS] = LANG_STAND_COUNTS, [TOTALS_DIFFERS] = LANG_STAND_DIFFERS,
        [TOTALS_OLDER] = LANG_STAND_OLDER, [TOTALS_LEFT_OUT] = LANG_STAND_OUT,
    };
    bool counts = claim->standing == TOTALS_COUNTS;
    strbuf_putf(p->out, "<tr%s><td><a href=\"/record?arrival=%" PRId64 "&amp;lang=%s\">"
                        "%u-%u</a> ", counts ? " class=\"sum\"" : "", claim->arrival,
                lang_code(p->view->language),
                (unsigned)claim->author, (unsigned)claim->seq);
    page_put_author(p, commune, claim->author);
    strbuf_put(p->out, "</td><td>");
    page_put_time(p, claim->received_ms);
    strbuf_put(p->out, "</td><td class=\"value\">");
    if (claim->value != claim->claimed) {
        strbuf_put(p->out, "<s>");
        page_put_bare_value(p, item, claim->claimed);
        strbuf_put(p->out, "</s> → ");
    }
    page_put_value(p, item, claim->value);
    strbuf_putf(p->out, "</td><td class=\"extra\">%s</td><td>%s</td></tr>\n",
                lang_review(p->view->language, claim->state),
                page_text(p, STANDINGS[claim->standing]));
}

static void put_claims(const struct page *p, const struct ledger_commune *commune,
                       const struct totals *t, const struct totals_key *key)
{
    const struct catalogue_item *item = page_find_item(p, key->kind, key->code);
    strbuf_put(p->out, "<section><h2>");
    page_put_item_name(p, item, key->kind, key->code);
    strbuf_put(p->out, " · ");
    page_put_village(p, key->commune, key->village);
    strbuf_putf(p->out, "</h2><p class=\"dim\">%s</p><table><thead><tr><th>%s</th><th>%s</th>"
                        "<th class=\"value\">%s</th><th class=\"extra\">%s</th><th>%s</th></tr>"
                        "</thead><tbody>",
                page_text(p, LANG_FIGURE_SOURCES), page_text(p, LANG_SOURCE),
                page_text(p, LANG_RECEIVED), page_text(p, LANG_VALUE), page_text(p, LANG_STATE),
                page_text(p, LANG_STANDING));
    for (size_t i = 0; i < t->claim_count; i++)
        if (totals_compare_keys(&t->claims[i].key, key) == 0)
            put_claim(p, commune, item, &t->claims[i]);
    strbuf_put(p->out, "</tbody></table></section>\n");
}

void console_page_figure(const struct console_view *view, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    const struct http_request *request = view->request;
    struct ledger *l = view->console->ledger;
    struct totals_key key = {
        .commune = view->filter.commune,
        .village = (uint32_t)console_number(http_query(request, "village"), REPORT_VILLAGE_MAX, 0),
        .event = (uint32_t)console_number(http_query(request, "event"), REPORT_EVENT_MAX, 0),
        .code = (uint32_t)console_number(http_query(request, "code"), REPORT_CODE_MAX, 0),
        .kind = (uint8_t)view->filter.kind,
    };
    const struct ledger_commune *commune = ledger_get(l, key.commune);
    struct totals t = { .claims = NULL };
    struct totals_filter filter;
    if (!read_filter(view, &filter) || !commune) {
        console_message(view, 404, LANG_ERR_NOT_FOUND, answer);
        return;
    }
    struct totals_indicator only = { key.code, key.kind };
    filter.event = key.event;
    p.moment_ms = filter.as_of_ms;
    filter.village = key.village;
    filter.indicators = &only;
    filter.indicator_count = 1;
    filter.all_claims = true;
    answer->status = 200;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_TOTALS), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (filter.drills)
        strbuf_putf(p.out, "<p><span class=\"mark drill\">%s</span></p>",
                    page_text(&p, LANG_DRILL));
    if (totals_collect(&t, l->db, key.commune, &filter) < 0 || totals_finish(&t) != TOTALS_OK)
        put_db_error(&p);
    else
        put_claims(&p, commune, &t, &key);
    totals_free(&t);
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}
