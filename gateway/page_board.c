/* The board: what came in, what it adds up to, what is missing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/console_page.h"

enum { MS_PER_HOUR = 3600 * 1000, COUNTED_COUNT_MAX = 1000000 };

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
    strbuf_putf(p->out, "<label>%s<select name=\"commune\">", page_text(p, LANG_COMMUNE));
    put_option(p, 0, filter->commune == 0, page_text(p, LANG_ALL_COMMUNES));
    for (size_t i = 0; i < l->commune_count; i++)
        put_option(p, l->communes[i].info.id, filter->commune == l->communes[i].info.id,
                   l->communes[i].info.name);
    strbuf_put(p->out, "</select></label>");
}

/* State, priority, age and words. */
static void put_filter_more(const struct page *p)
{
    static const unsigned HOURS[] = { 1, 6, 24, 72 };
    const struct db_list_filter *filter = &p->view->filter;
    int64_t hours = filter->since_ms ? (p->view->wall_ms - filter->since_ms) / MS_PER_HOUR : 0;
    char label[CONSOLE_STATUS_LEN];
    strbuf_putf(p->out, "<label>%s<select name=\"state\">", page_text(p, LANG_STATE));
    strbuf_putf(p->out, "<option value=\"\">%s</option>", page_text(p, LANG_ALL_STATES));
    for (uint8_t state = 0; state <= REVIEW_JOINED; state++)
        put_option(p, state, filter->state == state, lang_review(p->view->language, state));
    strbuf_putf(p->out, "</select></label><label>%s<select name=\"priority\">"
                        "<option value=\"\">%s</option>", page_text(p, LANG_PRIORITY),
                page_text(p, LANG_ALL_PRIORITIES));
    for (uint8_t priority = PRIORITY_COUNT; priority > 0; priority--)
        put_option(p, priority - 1, filter->priority == priority - 1,
                   lang_priority(p->view->language, (uint8_t)(priority - 1)));
    strbuf_putf(p->out, "</select></label><label>%s<select name=\"hours\">"
                        "<option value=\"\">%s</option>", page_text(p, LANG_TIME),
                page_text(p, LANG_ALL_TIMES));
    for (size_t i = 0; i < sizeof HOURS / sizeof HOURS[0]; i++) {
        snprintf(label, sizeof label, "%u %s", HOURS[i], page_text(p, LANG_HOURS));
        put_option(p, HOURS[i], hours == HOURS[i], label);
    }
    strbuf_putf(p->out, "</select></label><label>%s<input type=\"search\" name=\"words\" "
                        "maxlength=\"60\" value=\"", page_text(p, LANG_WORDS));
    strbuf_put_html(p->out, p->view->words);
    strbuf_put(p->out, "\"></label>");
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
    strbuf_putf(p->out, "<label>%s", page_text(p, LANG_VILLAGE));
    if (villages && !p->many_communes) {
        strbuf_put(p->out, "<select name=\"village\"><option value=\"\">");
        page_put_text(p, LANG_ALL_VILLAGES);
        strbuf_put(p->out, "</option>");
        for (size_t i = 0; i < villages->count; i++) {
            const struct village *v = &villages->list[i];
            if (catalogue_holds(&v->row, p->view->wall_ms))
                put_option(p, v->row.number, filter->village == v->row.number, v->name);
        }
        put_option(p, 0, filter->village == 0, page_text(p, LANG_NO_VILLAGE));
        strbuf_put(p->out, "</select>");
    } else {
        strbuf_put(p->out, "<input name=\"village\" inputmode=\"numeric\" size=\"5\" value=\"");
        if (filter->village >= 0)
            strbuf_putf(p->out, "%" PRId64, filter->village);
        strbuf_put(p->out, "\">");
    }
    strbuf_putf(p->out, "</label><label>%s<select name=\"kind\">", page_text(p, LANG_KIND));
    put_option(p, 0, filter->kind == 0, page_text(p, LANG_ALL_KINDS));
    for (uint8_t kind = RECORD_DAMAGE; kind <= RECORD_NOTE; kind++)
        put_option(p, kind, filter->kind == kind, lang_kind(p->view->language, kind));
    strbuf_put(p->out, "</select></label>");
    put_filter_more(p);
    strbuf_putf(p->out, "<button>%s</button></form>\n", page_text(p, LANG_FILTER));
}

/* The first of these rows is on the page, the one behind it tells whether there are more. */
static void put_pages(const struct page *p)
{
    const struct console_view *view = p->view;
    bool first = view->filter.below_rank == DB_RANK_MAX;
    if (first && p->shown_count < CONSOLE_PAGE_COUNT)
        return;
    strbuf_put(p->out, "<p class=\"pages\">");
    if (!first) {
        strbuf_put(p->out, "<a href=\"");
        console_put_query(view, view->language, false, p->out);
        strbuf_putf(p->out, "\">← %s</a> ", page_text(p, LANG_NEWEST));
    }
    if (p->shown_count == CONSOLE_PAGE_COUNT) {
        strbuf_put(p->out, "<a href=\"");
        console_put_query(view, view->language, false, p->out);
        strbuf_putf(p->out, "&amp;from=%u.%" PRId64 "\">%s →</a>", p->last_rank, p->last_arrival,
                    page_text(p, LANG_OLDER));
    }
    strbuf_put(p->out, "</p>");
}

/* For whoever answers: each waiting report on its own, the next one after each answer. */
static void put_one_by_one(const struct page *p, int64_t waiting)
{
    const struct console_view *view = p->view;
    if (waiting == 0 || (view->console->own_commune == 0 && !view->console->keys) ||
        view->who->role < ACCESS_REVIEW)
        return;
    strbuf_put(p->out, "<p class=\"one\"><a href=\"/next");
    console_put_query(view, view->language, false, p->out);
    strbuf_putf(p->out, "\">%s →</a></p>\n", page_text(p, LANG_NEXT_START));
}

bool page_is_filtered(const struct db_list_filter *filter)
{
    return filter->commune != 0 || filter->village >= 0 || filter->kind != 0 ||
           filter->state >= 0 || filter->priority >= 0 || filter->since_ms > 0 ||
           *filter->words || filter->below_rank != DB_RANK_MAX;
}

static int put_reports(struct page *p)
{
    int64_t total = 0, waiting = 0;
    struct db *db = p->view->console->ledger->db;
    struct db_list_filter everything = p->view->filter;
    everything.limit = COUNTED_COUNT_MAX;
    everything.words = ""; /* a look at each row's would cost as much again */
    int result = db_record_count(db, &everything, &total, &waiting);
    if (result < 0)
        return result;
    strbuf_putf(p->out, "<section id=\"reports\"><h2>%s <span class=\"count\"><b%s>%" PRId64
                        "</b> %s</span> <span class=\"dim\">/ %" PRId64 " %s</span></h2>\n",
                page_text(p, LANG_REPORTS), waiting ? "" : " class=\"zero\"", waiting,
                page_text(p, LANG_WAITING), total, page_text(p, LANG_IN_ALL));
    put_filter(p);
    put_one_by_one(p, waiting);
    result = db_record_list(db, &p->view->filter, page_put_report, p);
    if (result < 0)
        return result;
    if (p->shown_count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>",
                    page_text(p, page_is_filtered(&p->view->filter) ? LANG_NONE_YET
                                                                    : LANG_NOTHING_YET));
    put_pages(p);
    strbuf_put(p->out, "</section>\n");
    return 0;
}

/* ---- totals ---- */

/* Adding up costs a look at every report: with many of them it waits until somebody asks. */
static int put_totals_or_link(const struct page *p)
{
    enum { ON_BOARD_COUNT_MAX = 2000 };
    struct db_list_filter all = db_list_all(ON_BOARD_COUNT_MAX + 1);
    struct totals_filter every = totals_all();
    every.drills = page_is_training(p->view->console);
    int64_t total = 0, waiting = 0;
    int result = db_record_count(p->view->console->ledger->db, &all, &total, &waiting);
    if (result < 0)
        return result;
    if (total <= ON_BOARD_COUNT_MAX)
        return page_put_totals(p, &every);
    strbuf_putf(p->out, "<section id=\"totals\"><h2>%s</h2><p><a href=\"/totals\">%s</a></p>"
                        "</section>\n", page_text(p, LANG_TOTALS), page_text(p, LANG_OPEN));
    return 0;
}

/* ---- what is missing, doubled, refused ---- */

static int put_gaps(const struct page *p)
{
    const struct ledger *l = p->view->console->ledger;
    int result = 0;
    size_t shown = 0, gap_count = 0;
    char words[CONSOLE_STATUS_LEN];
    strbuf_putf(p->out, "<section id=\"missing\"><h2>%s</h2>", page_text(p, LANG_MISSING));
    for (size_t i = 0; i < l->commune_count && result == 0; i++) {
        const struct ledger_commune *commune = &l->communes[i];
        struct gaps gaps = { .list = NULL };
        if (!page_commune_wanted(p, commune))
            continue;
        result = gaps_collect(&gaps, l->db, commune->info.id, 0);
        bool listed = gaps.count > 0 && shown < CONSOLE_GAP_COUNT_MAX;
        gap_count += gaps.count;
        for (size_t g = 0; g < gaps.count && shown < CONSOLE_GAP_COUNT_MAX; g++, shown++) {
            const struct gap *gap = &gaps.list[g];
            bool again = g > 0 && gaps.list[g - 1].author == gap->author;
            if (shown == 0)
                strbuf_putf(p->out, "<p class=\"dim\">%s</p>", page_text(p, LANG_MISSING_RULE));
            if (!again) {
                strbuf_putf(p->out, "%s<p class=\"gap\"><b>%u</b> ", g ? "</p>" : "",
                            (unsigned)gap->author);
                page_put_author(p, commune, gap->author);
                strbuf_put(p->out, ": ");
            }
            strbuf_putf(p->out, again ? ", %u" : "%u", (unsigned)gap->first);
            if (gap->last != gap->first)
                strbuf_putf(p->out, "–%u", (unsigned)gap->last);
        }
        strbuf_put(p->out, listed ? "</p>" : "");
        gaps_free(&gaps);
    }
    if (gap_count > shown)
        strbuf_putf(p->out, "<p>%s</p>", lang_fill(p->view->language, LANG_MISSING_MORE, words,
                                                   sizeof words, LANG_NUMBER(gap_count - shown)));
    if (shown == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_MISSING_NONE));
    strbuf_put(p->out, "</section>\n");
    return result;
}

static int put_fork(void *ctx, const struct db_record *r)
{
    struct page *p = ctx;
    if (r->variant == 0) { /* the one that counts comes before the other */
        p->last_arrival = r->arrival;
        return 0;
    }
    if (p->shown_count++ == 0)
        strbuf_putf(p->out, "<section id=\"forks\" class=\"alarm\"><h2>%s</h2><p>%s</p><ul>",
                    page_text(p, LANG_FORKS), page_text(p, LANG_FORKS_RULE));
    strbuf_putf(p->out, "<li><b>%u-%u</b> ", (unsigned)r->ref.author, (unsigned)r->ref.seq);
    page_put_author(p, ledger_get(p->view->console->ledger, r->commune), r->ref.author);
    strbuf_putf(p->out, " · <a href=\"/record?arrival=%" PRId64 "\">%s 1</a> · "
                        "<a href=\"/record?arrival=%" PRId64 "\">%s 2</a></li>", p->last_arrival,
                page_text(p, LANG_EVIDENCE), r->arrival, page_text(p, LANG_EVIDENCE));
    return 0;
}

static int put_forks(struct page *p)
{
    const struct ledger *l = p->view->console->ledger;
    int result = 0;
    p->shown_count = 0;
    for (size_t i = 0; i < l->commune_count && result == 0; i++)
        if (page_commune_wanted(p, &l->communes[i]))
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
        strbuf_putf(p->out, "<section id=\"refused\"><h2>%s</h2><ul>", page_text(p, LANG_REFUSED));
    strbuf_put(p->out, "<li>");
    strbuf_put_html(p->out, lang_verdict_named(p->view->language, reason));
    strbuf_putf(p->out, ": <b>%" PRId64 "</b> <span class=\"dim\">", count);
    page_put_time(p, last_ms);
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
        strbuf_putf(p->out, "<p class=\"warn\">%s: ", page_text(p, LANG_SYNC_REFUSED));
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
    strbuf_putf(p->out, "<section id=\"sync\"><h2>%s</h2><p><code>", page_text(p, LANG_SYNC));
    strbuf_put_html(p->out, sync->url);
    strbuf_putf(p->out, "</code></p><p><b>%" PRId64 "</b> %s · %s: ", sync->waiting_count,
                page_text(p, LANG_SYNC_WAITING), page_text(p, LANG_SYNC_LAST_OK));
    if (sync->last_ok_ms)
        page_put_time(p, sync->last_ok_ms);
    else
        page_put_text(p, LANG_SYNC_NEVER);
    strbuf_put(p->out, "</p>");
    if (sync->troubled) {
        strbuf_putf(p->out, "<p class=\"warn\">%s%s", page_text(p, sync->trouble),
                    sync->error[0] ? ": " : "");
        strbuf_put_html(p->out, sync->error);
        strbuf_put(p->out, "</p>");
    }
    p->shown_count = 0;
    result = db_outbox_refused(p->view->console->ledger->db, sync->target, put_sync_refusal, p);
    if (p->shown_count > 0)
        strbuf_put(p->out, "</p>");
    strbuf_put(p->out, "<form method=\"post\" action=\"/send-now\">");
    page_put_token(p->view, p->out);
    strbuf_putf(p->out, "<button>%s</button></form></section>\n", page_text(p, LANG_SYNC_NOW));
    return result;
}

/* ---- the whole page ---- */

/* Whatever the list is filtered or scrolled to, a call for help that nobody has answered stays in
 * sight. */
static void put_jump(const struct page *p)
{
    strbuf_putf(p->out, "<nav class=\"jump\" aria-label=\"%s\">",
                page_text(p, LANG_ON_THIS_PAGE));
    page_put_calls(p);
    strbuf_putf(p->out, "<a href=\"#reports\">%s</a><a href=\"#totals\">%s</a>"
                        "<a href=\"#missing\">%s</a></nav>\n", page_text(p, LANG_REPORTS),
                page_text(p, LANG_TOTALS_SHORT), page_text(p, LANG_MISSING));
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
            word = page_text(p, states[i].text);
    bool bad = len != strlen("ready") || strncmp(modem, "ready", len) != 0;
    /* What a modem that works said once is for the technician: keng node has it. */
    const char *more = bad ? modem + len : "";
    strbuf_putf(p->out, "<span%s>%s: ", bad ? " class=\"warn\"" : "", page_text(p, LANG_MODEM));
    if (word)
        strbuf_put_html(p->out, word);
    strbuf_put_html(p->out, word ? more : modem);
    strbuf_put(p->out, "</span>");
}

static void put_percent(const struct page *p, const struct console_node *node)
{
    if (node->airtime_used_ms < 0 || node->airtime_allowed_ms <= 0)
        return;
    strbuf_putf(p->out, "<span>%s <b>%.0f / %.0f s</b></span>", page_text(p, LANG_AIRTIME),
                (double)node->airtime_used_ms / 1000, (double)node->airtime_allowed_ms / 1000);
}

static void put_node(const struct page *p)
{
    const struct console_node *node = p->view->console->node;
    if (!node->configured)
        return;
    strbuf_putf(p->out, "<div class=\"status%s\" role=\"region\" aria-label=\"%s\"><span>%s",
                node->connected ? "" : " alarm", page_text(p, LANG_NODE), page_text(p, LANG_NODE));
    if (node->number >= 0)
        strbuf_putf(p->out, " <b>%" PRId64 "</b>", node->number);
    strbuf_putf(p->out, " · %s</span>",
                page_text(p, node->connected ? LANG_NODE_ON : LANG_NODE_OFF));
    if (!node->connected)
        strbuf_putf(p->out, "<span>%s</span>", page_text(p, LANG_NODE_LOOK));
    if (node->connected && node->neighbour_count >= 0)
        strbuf_putf(p->out, "<span><b>%" PRId64 "</b> %s</span>", node->neighbour_count,
                    page_text(p, LANG_NEIGHBOURS));
    if (node->connected && node->held_count >= 0)
        strbuf_putf(p->out, "<span><b>%" PRId64 "</b> %s</span>", node->held_count,
                    page_text(p, LANG_HELD));
    if (node->connected)
        put_percent(p, node);
    if (node->connected && node->modem[0])
        put_modem(p, node->modem);
    if (node->error[0]) { /* for the technician, who reads it in the log, too */
        strbuf_put(p->out, "<span class=\"technical\" lang=\"en\">");
        strbuf_put_html(p->out, node->error);
        strbuf_put(p->out, "</span>");
    }
    strbuf_put(p->out, "</div>\n");
}

void console_page_main(const struct console_view *view, struct strbuf *out)
{
    struct page page = {
        .view = view, .out = out, .many_communes = view->console->ledger->commune_count > 1
    };
    struct db *db = view->console->ledger->db;
    int64_t arrival = 0;
    page_open(&page, page_own_name(view->console), true);
    int result = db_record_last_arrival(db, &arrival);
    strbuf_putf(out, "<div id=\"live\" data-arrival=\"%" PRId64 "\">\n", arrival);
    put_node(&page);
    put_jump(&page);
    strbuf_put(out, "<main>\n");
    if (result >= 0)
        result = put_reports(&page);
    strbuf_put(out, "<aside>\n");
    if (result >= 0)
        result = put_forks(&page);
    if (result >= 0)
        result = put_gaps(&page);
    if (result >= 0)
        result = put_sync(&page);
    if (result >= 0)
        result = put_refused(&page);
    if (result >= 0) /* the longest last, so that it pushes nothing out of sight */
        result = put_totals_or_link(&page);
    if (result < 0) {
        strbuf_put(out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(out, db_error(db));
        strbuf_put(out, "</p>");
    }
    strbuf_put(out, "</aside>\n</main>\n</div>\n");
    page_close(&page);
}
