/* From one waiting report to the next, without a way back over the board: the most urgent first,
 * then the newest, within what the board was filtered by. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/console_page.h"
#include "gateway/keys.h"

enum { STATUS_OK = 200, STATUS_UNAVAILABLE = 503, COUNTED_COUNT_MAX = 1000000 };

static const char PATH[] = "/next";

bool page_goes_on(const struct console_view *view)
{
    const char *back = http_form(view->request, "back");
    return back ? strncmp(back, PATH, strlen(PATH)) == 0
                : http_query(view->request, "next") != NULL;
}

/* Where the next one is looked for: behind this report. */
static void put_next(const struct page *p, const struct db_record *r)
{
    struct console_view view = *p->view;
    const char *back = http_form(view.request, "back");
    view.filter.below_rank = r->rank;
    view.filter.below_arrival = r->arrival;
    if (back && page_goes_on(p->view)) {
        strbuf_put_html(p->out, back);
        return;
    }
    strbuf_put(p->out, PATH);
    console_put_query(&view, view.language, true, p->out);
}

/* How many wait, within the filter. */
static int put_waiting_count(const struct page *p)
{
    struct db_list_filter filter = p->view->filter;
    int64_t total = 0, waiting = 0;
    filter.limit = COUNTED_COUNT_MAX;
    filter.state = -1;
    filter.words = "";
    int result = db_record_count(p->view->console->ledger->db, &filter, &total, &waiting);
    strbuf_putf(p->out, "<span><b>%" PRId64 "</b> %s</span>", waiting,
                page_text(p, LANG_WAITING));
    return result;
}

int page_put_next_bar(const struct page *p, const struct db_record *r)
{
    bool goes_on = page_goes_on(p->view);
    strbuf_putf(p->out, "<nav class=\"next\" aria-label=\"%s\">", page_text(p, LANG_NEXT));
    int result = goes_on ? put_waiting_count(p) : 0;
    strbuf_put(p->out, "<a accesskey=\"0\" href=\"");
    put_next(p, r);
    strbuf_putf(p->out, "\">%s →</a></nav>\n",
                page_text(p, goes_on && r->review_state == 0 ? LANG_NEXT_LATER : LANG_NEXT));
    return result;
}

/* ---- answers on their way ------------------------------------------------------------------- */

static int take_queued(void *ctx, const struct db_outgoing *o)
{
    struct page_answered *a = ctx;
    struct review review;
    if (o->kind != RECORD_REVIEW || *o->error || /* what the node refused is no answer */
        review_decode(o->body, o->body_len, &review) != REPORT_OK)
        return 0;
    for (size_t i = 0; i < review.ref_count && a->count < PAGE_ANSWERED_COUNT_MAX; i++) {
        a->list[a->count].commune = o->commune;
        a->list[a->count++].ref = review.refs[i];
    }
    return a->count == PAGE_ANSWERED_COUNT_MAX;
}

int page_answered_get(const struct console *c, struct page_answered *answered_out)
{
    answered_out->count = 0;
    int result = db_outgoing_list(c->ledger->db, take_queued, answered_out);
    return result < 0 ? result : 0;
}

bool page_is_answered(const struct page_answered *a, const struct db_record *r)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct record_ref *ref = &a->list[i].ref;
        if (a->list[i].commune == r->commune && ref->author == r->ref.author &&
            ref->lane == r->ref.lane && ref->seq == r->ref.seq)
            return true;
    }
    return false;
}

/* ---- the next one --------------------------------------------------------------------------- */

struct search {
    const struct console_view *view;
    struct page_answered answered;
    int64_t arrival; /* 0: none yet */
};

/* Above communes, to whomever one has a key for. */
static bool may_speak_to(const struct console *c, int64_t commune)
{
    const struct ledger_commune *named = ledger_get(c->ledger, commune);
    return commune == c->own_commune || (c->keys && named && keys_find(c->keys, named));
}

/* What is answered and only waits for the node does not wait for anybody here. */
static int take_next(void *ctx, const struct db_record *r)
{
    struct search *s = ctx;
    if (!may_speak_to(s->view->console, r->commune) || page_is_answered(&s->answered, r))
        return 0;
    s->arrival = r->arrival;
    return 1;
}

static int find_next(const struct console_view *view, struct search *s, bool *filtered_out)
{
    struct db *db = view->console->ledger->db;
    struct db_list_filter filter = view->filter;
    filter.state = 0;
    filter.limit = PAGE_ANSWERED_COUNT_MAX + 1;
    int result = page_answered_get(view->console, &s->answered);
    if (result >= 0)
        result = db_record_list(db, &filter, take_next, s);
    if (result >= 0 && s->arrival == 0) { /* what was put off, and what came in meanwhile */
        filter.below_rank = DB_RANK_MAX;
        filter.below_arrival = INT64_MAX;
        result = db_record_list(db, &filter, take_next, s);
    }
    filter.state = -1;
    *filtered_out = page_is_filtered(&filter);
    return result;
}

void console_next(const struct console_view *view, struct http_answer *answer)
{
    struct search s = { .view = view };
    struct strbuf location = { .text = NULL };
    bool filtered = false;
    int result = find_next(view, &s, &filtered);
    if (result >= 0)
        console_put_record_location(view, s.arrival, &location);
    if (result < 0 || location.failed)
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    else if (s.arrival == 0)
        console_message(view, STATUS_OK, filtered ? LANG_NEXT_NONE_HERE : LANG_NEXT_NONE, answer);
    else
        console_see_other(answer, location.text);
    strbuf_free(&location);
}
