/* One report on its own: every answer it got, and the answers that need more than one press. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/console_page.h"
#include "gateway/duplicate.h"

enum {
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
    STATUS_NOT_FOUND = 404,
    STATUS_CONFLICT = 409,
    STATUS_UNAVAILABLE = 503,
    SUGGESTION_COUNT_MAX = 8,
    OLDER_COUNT_MAX = 15, /* that one answer speaks of, beside the newest */
    COMPARED_COUNT_MAX = 200, /* newest reports of the village and kind that are looked at */
    MS_PER_HOUR = 3600 * 1000,
};

/* ---- the report ----------------------------------------------------------------------------- */

struct loaded {
    struct db_record record; /* bytes and text are not kept */
    struct report report;
    struct corrections corrections; /* those on their way too */
    bool found, readable;
};

static int take_record(void *ctx, const struct db_record *record)
{
    struct loaded *l = ctx;
    struct record_view view;
    l->record = *record;
    l->record.bytes = NULL;
    l->record.review_text = "";
    l->found = record_is_report(record->kind);
    l->readable = l->found && record->readable &&
                  record_decode(record->bytes, record->len, &view) == RECORD_OK &&
                  report_decode(view.body, view.body_len, &l->report) == REPORT_OK;
    return 0;
}

static int load(const struct console_view *view, int64_t arrival, struct loaded *l_out)
{
    const struct console *c = view->console;
    *l_out = (struct loaded){ .found = false };
    int result = db_record_get(c->ledger->db, arrival, take_record, l_out);
    if (l_out->found)
        console_speak_to(view, l_out->record.commune);
    return result < 0 || !l_out->found
               ? result : page_corrections(c, &l_out->record, true, &l_out->corrections);
}

static struct page_subject subject_of(const struct loaded *l)
{
    return (struct page_subject){ &l->record, l->readable ? &l->report : NULL, &l->corrections };
}

/* ---- answers so far ------------------------------------------------------------------------- */

struct history {
    struct page *page;
    const struct page_subject *subject;
    unsigned count;
};

static void put_correction(const struct page *p, const struct page_subject *s, int64_t arrival,
                           const struct review *review)
{
    strbuf_put(p->out, "<ul class=\"figures\">");
    if (review->village != 0) {
        strbuf_putf(p->out, "<li>%s ", page_text(p, LANG_VILLAGE));
        page_put_change(p, s, CORRECTION_VILLAGE, review->village, arrival);
        strbuf_put(p->out, "</li>");
    }
    for (size_t i = 0; i < review->figure_count; i++) {
        const struct report_figure *new = &review->figures[i];
        strbuf_put(p->out, "<li>");
        page_put_item_name(p, page_find_item(p, s->record->kind, new->code),
                           s->record->kind, new->code);
        strbuf_put(p->out, " ");
        page_put_change(p, s, new->code, new->value, arrival);
        strbuf_put(p->out, "</li>");
    }
    strbuf_put(p->out, "</ul>");
}

static int put_answer(void *ctx, const struct db_record *r)
{
    struct history *h = ctx;
    struct page *p = h->page;
    struct record_view view;
    struct review review;
    if (record_decode(r->bytes, r->len, &view) != RECORD_OK ||
        review_decode(view.body, view.body_len, &review) != REPORT_OK)
        return 0;
    h->count++;
    strbuf_putf(p->out, "<li class=\"review s%u\"><b>", (unsigned)review.state);
    strbuf_put_html(p->out, lang_review(p->view->language, (uint8_t)review.state));
    strbuf_put(p->out, "</b> <span class=\"dim\">");
    page_put_time(p, r->received_ms);
    strbuf_put(p->out, " · ");
    page_put_reviewer(p, ledger_get(p->view->console->ledger, r->commune), r->ref.author,
                      review.by);
    strbuf_putf(p->out, " · %u-%u</span>", (unsigned)r->ref.author, (unsigned)r->ref.seq);
    if (review.text_len > 0) {
        strbuf_put(p->out, "<p class=\"words\">");
        strbuf_put_html(p->out, review.text);
        strbuf_put(p->out, "</p>");
    }
    if (review.state == REVIEW_CORRECTED)
        put_correction(p, h->subject, r->arrival, &review);
    if (review.same_as.seq != 0)
        strbuf_putf(p->out, " <span class=\"number\">→ %u-%u</span>",
                    (unsigned)review.same_as.author, (unsigned)review.same_as.seq);
    strbuf_put(p->out, "</li>");
    return 0;
}

static int put_history(struct page *p, const struct page_subject *s)
{
    struct history h = { .page = p, .subject = s };
    strbuf_putf(p->out, "<section><h2>%s</h2><ol class=\"history\">", page_text(p, LANG_ANSWERS));
    int result = db_review_log(p->view->console->ledger->db, s->record->commune, &s->record->ref,
                               put_answer, &h);
    strbuf_put(p->out, "</ol>");
    if (h.count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_ANSWERS_NONE));
    strbuf_put(p->out, "</section>\n");
    return result;
}

/* What its reader wrote into one of the forms, so that it is still there when it was not taken. */
static enum review_state sent_state(const struct console_view *view)
{
    return http_form(view->request, "take_back") ? REVIEW_CORRECTED
           : http_form(view->request, "older")
               ? REVIEW_SEEN
               : (enum review_state)console_number(http_form(view->request, "state"),
                                                   REVIEW_JOINED, 0);
}

static const char *sent_field(const struct console_view *view, const char *name, bool ours)
{
    const char *text = ours ? http_form(view->request, name) : NULL;
    return text ? text : "";
}

/* ---- what else tells the same --------------------------------------------------------------- */

struct suggestion {
    struct record_ref ref;
    int64_t received_ms;
    unsigned reasons;
};

struct search {
    const struct loaded *of;
    struct suggestion list[SUGGESTION_COUNT_MAX];
    size_t count;
};

static int compare_report(void *ctx, const struct db_record *r)
{
    struct search *s = ctx;
    struct loaded other = { .found = false };
    (void)take_record(&other, r);
    if (!other.readable || r->variant != 0 || r->review_state == REVIEW_JOINED)
        return 0;
    const struct db_record *own = &s->of->record;
    struct duplicate_report a = { own->ref.author, own->kind, own->village, own->received_ms,
                                  &s->of->report };
    struct duplicate_report b = { r->ref.author, r->kind, r->village, r->received_ms,
                                  &other.report };
    unsigned reasons = duplicate_reasons(&a, &b);
    if (reasons == 0)
        return 0;
    s->list[s->count++] = (struct suggestion){ r->ref, r->received_ms, reasons };
    return s->count == SUGGESTION_COUNT_MAX;
}

static void put_reasons(const struct page *p, unsigned reasons)
{
    static const struct { unsigned bit; enum lang_text text; } REASONS[] = {
        { DUPLICATE_FIGURES, LANG_SAME_FIGURES }, { DUPLICATE_PLACE, LANG_SAME_PLACE },
        { DUPLICATE_WORDS, LANG_SAME_WORDS }, { DUPLICATE_SOON, LANG_SAME_TIME },
    };
    bool first = true;
    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++) {
        if (!(reasons & REASONS[i].bit))
            continue;
        strbuf_putf(p->out, "%s%s", first ? "" : ", ", page_text(p, REASONS[i].text));
        first = false;
    }
}

static int put_join_form(struct page *p, const struct loaded *l, const struct page_known *known)
{
    const struct console *c = p->view->console;
    bool ours = sent_state(p->view) == REVIEW_JOINED;
    struct search s = { .of = l };
    struct db_list_filter near = db_list_all(COMPARED_COUNT_MAX);
    near.commune = l->record.commune;
    near.village = (int64_t)l->record.village;
    near.kind = l->record.kind;
    near.since_ms = l->record.received_ms - DUPLICATE_HOURS_MAX * (int64_t)MS_PER_HOUR;
    int result = l->readable ? db_record_list(c->ledger->db, &near, compare_report, &s) : 0;
    strbuf_putf(p->out, "<form method=\"post\" action=\"/review\" class=\"reply\"><h3>%s</h3>",
                page_text(p, LANG_JOIN));
    page_put_token(p->view, p->out);
    page_put_known(p, l->record.arrival, known);
    for (size_t i = 0; i < s.count; i++) {
        const struct suggestion *g = &s.list[i];
        char number[24];
        snprintf(number, sizeof number, "%u-%u", (unsigned)g->ref.author, (unsigned)g->ref.seq);
        strbuf_putf(p->out, "<label class=\"check\"><input type=\"radio\" name=\"same\" "
                            "value=\"%s\"%s> <span><b>%s</b> ", number,
                    strcmp(number, sent_field(p->view, "same", ours)) == 0 ? " checked" : "",
                    number);
        page_put_author(p, ledger_get(c->ledger, l->record.commune), g->ref.author);
        strbuf_put(p->out, " · ");
        page_put_time(p, g->received_ms);
        strbuf_put(p->out, " · ");
        put_reasons(p, g->reasons);
        strbuf_put(p->out, "</span></label>");
    }
    strbuf_putf(p->out, "<label>%s<input name=\"other\" size=\"10\" placeholder=\"12-3\" "
                        "autocomplete=\"off\" value=\"",
                page_text(p, s.count ? LANG_JOIN_OTHER : LANG_JOIN_NONE));
    strbuf_put_html(p->out, sent_field(p->view, "other", ours));
    strbuf_put(p->out, "\"></label><div class=\"buttons\">");
    page_put_review_button(p, REVIEW_JOINED, "");
    strbuf_put(p->out, "</div></form>");
    return result < 0 ? result : 0;
}

/* ---- forms ---------------------------------------------------------------------------------- */

/* Older reports of the same person that wait and say nothing which this one does not say anew: with
 * totals that go on growing, most of what waits. */
struct older {
    const struct loaded *of;
    struct page_answered answered;
    struct record_ref refs[OLDER_COUNT_MAX]; /* newest first */
    size_t count;
};

static bool says_anew(const struct report *newer, const struct report *older)
{
    size_t found = 0;
    for (size_t i = 0; i < older->figure_count; i++)
        for (size_t k = 0; k < newer->figure_count; k++)
            found += newer->figures[k].code == older->figures[i].code;
    return found == older->figure_count && older->figure_count > 0 && older->text_len == 0;
}

static int compare_older(void *ctx, const struct db_record *r)
{
    struct older *o = ctx;
    const struct db_record *own = &o->of->record;
    struct loaded other = { .found = false };
    (void)take_record(&other, r);
    if (!other.readable || r->ref.seq >= own->ref.seq || r->review_state != 0 ||
        r->drill != own->drill || r->village != own->village ||
        page_is_answered(&o->answered, r) || !says_anew(&o->of->report, &other.report))
        return 0;
    o->refs[o->count++] = r->ref;
    return o->count == OLDER_COUNT_MAX;
}

static int find_older(const struct console *c, const struct loaded *l, struct older *older_out)
{
    enum { LOOKED_AT_COUNT_MAX = 64 };
    older_out->of = l;
    older_out->count = 0;
    if (!l->readable || l->record.kind == RECORD_RESCUE || l->record.variant != 0)
        return 0;
    int result = page_answered_get(c, &older_out->answered);
    if (result >= 0)
        result = db_record_kin(c->ledger->db, &l->record, LOOKED_AT_COUNT_MAX, compare_older,
                               older_out);
    return result < 0 ? result : 0;
}

static int put_reply_form(const struct page *p, const struct loaded *l,
                          const struct page_known *known)
{
    bool ours = sent_state(p->view) <= REVIEW_MET;
    struct older older;
    int result = find_older(p->view->console, l, &older);
    strbuf_putf(p->out, "<form method=\"post\" action=\"/review\" class=\"reply\"><h3>%s</h3>",
                page_text(p, LANG_REPLY));
    page_put_token(p->view, p->out);
    page_put_known(p, l->record.arrival, known);
    strbuf_putf(p->out, "<label>%s<input type=\"text\" name=\"text\" maxlength=\"140\" "
                        "autocomplete=\"off\" value=\"", page_text(p, LANG_REPLY_TEXT));
    strbuf_put_html(p->out, sent_field(p->view, "text", ours));
    strbuf_put(p->out, "\"></label><div class=\"buttons\">");
    for (uint8_t state = REVIEW_SEEN; state <= REVIEW_MET; state++)
        page_put_review_button(p, state, "");
    if (result >= 0 && older.count > 0)
        strbuf_putf(p->out, "<button name=\"older\" value=\"1\" accesskey=\"6\">"
                            "<kbd aria-hidden=\"true\">6</kbd> %s: %zu</button>",
                    page_text(p, LANG_SEEN_OLDER), older.count);
    strbuf_putf(p->out, "</div><p class=\"dim keys\">%s</p></form>", page_text(p, LANG_NEXT_KEYS));
    return result;
}

static int put_forms(struct page *p, const struct loaded *l, const struct page_subject *subject)
{
    struct page_known known;
    bool again = sent_state(p->view) == REVIEW_CORRECTED;
    int result = page_known_get(p, l->record.commune, &l->record.ref, &known);
    strbuf_put(p->out, "<section class=\"forms\">");
    if (result >= 0)
        result = put_reply_form(p, l, &known);
    if (result >= 0)
        result = page_put_correct_form(p, subject, &known, sent_field(p->view, "text", again),
                                       again);
    if (result >= 0)
        result = put_join_form(p, l, &known);
    strbuf_put(p->out, "</section>\n");
    return result;
}

static bool may_answer(const struct page *p, const struct loaded *l)
{
    const struct console *c = p->view->console;
    return c->own_commune != 0 && l->record.commune == c->own_commune &&
           p->view->who->role >= ACCESS_REVIEW;
}

/* What was answered is read before it is answered again. */
static int put_answers(struct page *p, const struct loaded *l, const struct page_subject *subject)
{
    bool may = may_answer(p, l);
    bool first = may && l->record.review_state == 0;
    int result = first ? put_forms(p, l, subject) : 0;
    if (result >= 0)
        result = put_history(p, subject);
    return result >= 0 && may && !first ? put_forms(p, l, subject) : result;
}

/* Forms of a report that is one of many go on to the next one. */
static int put_way_on(const struct page *p, const struct loaded *l, struct http_request *request,
                      struct console_view *view)
{
    if (!may_answer(p, l))
        return 0;
    int result = page_put_next_bar(p, &l->record);
    if (http_query(request, "next")) {
        request->path = "/next";
        view->filter.below_rank = l->record.rank;
        view->filter.below_arrival = l->record.arrival;
    }
    return result;
}

/* notice: what to say on top, or LANG_TEXT_COUNT. */
static void show_record(const struct console_view *view, const struct loaded *l,
                        enum lang_text notice, struct http_answer *answer)
{
    struct console_view own = *view;
    struct console *c = view->console;
    struct page_subject subject = subject_of(l);
    struct http_request request = *view->request;
    own.request = &request;
    own.arrival = l->record.arrival;
    own.filter.words = own.folded;
    struct page p = { .view = &own, .out = &answer->body,
                      .many_communes = c->ledger->commune_count > 1 };
    p.moment_ms = totals_happened_ms(&l->record);
    char title[64];
    snprintf(title, sizeof title, "%u-%u", (unsigned)l->record.ref.author,
             (unsigned)l->record.ref.seq);
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, title, false);
    int result = put_way_on(&p, l, &request, &own);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (notice != LANG_TEXT_COUNT)
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s</p>", page_text(&p, notice));
    if (result >= 0)
        result = db_record_get(c->ledger->db, l->record.arrival, page_put_report, &p);
    if (result >= 0)
        result = page_put_path(&p, &l->record);
    if (result >= 0)
        result = put_answers(&p, l, &subject);
    if (result < 0) {
        strbuf_put(p.out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(p.out, db_error(c->ledger->db));
        strbuf_put(p.out, "</p>");
    }
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}

void console_page_record(const struct console_view *view, struct http_answer *answer)
{
    struct loaded l;
    if (load(view, view->arrival, &l) < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    } else if (!l.found) {
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_RECORD, answer);
    } else {
        answer->status = STATUS_OK;
        show_record(view, &l, LANG_TEXT_COUNT, answer);
    }
    corrections_free(&l.corrections);
}

/* ---- an answer comes in --------------------------------------------------------------------- */

/* The report that stays: a report of the same commune that is not joined away itself. */
static bool read_same_as(const struct console_view *view, const struct loaded *l,
                         struct review *review)
{
    const char *other = http_form(view->request, "other"), *same = http_form(view->request, "same");
    const char *text = other && *other ? other : same ? same : "";
    unsigned author, seq;
    int at = 0;
    struct loaded stays = { .found = false };
    if (sscanf(text, "%5u-%7u%n", &author, &seq, &at) != 2 || text[at] || author > AUTHOR_MAX)
        return false;
    review->same_as = (struct record_ref){ .author = (uint16_t)author, .seq = seq };
    return db_record_variants(view->console->ledger->db, l->record.commune, &review->same_as,
                              take_record, &stays) >= 0 &&
           stays.found && stays.record.review_state != REVIEW_JOINED;
}

/* Has somebody answered since the form was made? */
static int is_outdated(const struct console_view *view, const struct loaded *l, bool *outdated_out)
{
    struct page p = { .view = view };
    struct page_known now;
    long long count = -1, outgoing_id = -1;
    const char *known = http_form(view->request, "known");
    int result = page_known_get(&p, l->record.commune, &l->record.ref, &now);
    bool said = known && sscanf(known, "%18lld.%18lld", &count, &outgoing_id) == 2;
    /* What waited then may be in the log now, which leaves the count as it is. */
    *outdated_out = said && result >= 0 && (now.count > count || now.outgoing_id > outgoing_id);
    return result;
}

static bool fill_review(const struct console_view *view, const struct loaded *l,
                        struct review *review, enum lang_text *why_out)
{
    const char *text = http_form(view->request, "text");
    struct page_subject subject = subject_of(l);
    *why_out = LANG_ERR_TEXT;
    if (text && strlen(text) >= sizeof review->text)
        return false;
    review->text_len = text ? strlen(text) : 0;
    memcpy(review->text, text ? text : "", review->text_len + 1);
    if (review->state == REVIEW_CORRECTED &&
        (*why_out = page_read_corrections(view, &subject, review)) != LANG_TEXT_COUNT)
        return false;
    *why_out = LANG_ERR_JOIN;
    if (review->state == REVIEW_JOINED && !read_same_as(view, l, review))
        return false;
    *why_out = LANG_ERR_REASON;
    return review->state != REVIEW_REJECTED || review->text_len > 0;
}

/* One record for all of them: airtime is what the mesh has least of. */
static int add_older(const struct console_view *view, const struct loaded *l,
                     struct review *review)
{
    struct older older;
    int result = find_older(view->console, l, &older);
    review->ref_count = 0;
    while (older.count > 0)
        review->refs[review->ref_count++] = older.refs[--older.count];
    review->refs[review->ref_count++] = l->record.ref;
    return result;
}

/* Durable before anybody hears of it. */
static bool queue_review(const struct console_view *view, const struct loaded *l,
                         const struct review *review, const uint8_t *body, size_t len)
{
    struct console *c = view->console;
    struct db_outgoing outgoing = {
        .commune = l->record.commune, .ref = l->record.ref, .state = (uint8_t)review->state,
        .text = review->text, .kind = RECORD_REVIEW, .body = body, .body_len = len,
        /* An answer to a call for help must not wait behind figures. */
        .priority = l->record.priority == PRIORITY_RESCUE ? PRIORITY_EVACUATION : PRIORITY_DAMAGE,
    };
    if (db_outgoing_add(c->ledger->db, &outgoing, &outgoing.id) < 0)
        return false;
    c->outgoing_added(c->ctx);
    return true;
}

/* On the board one goes on where one was, not at its top. */
static void back_to_place(const struct loaded *l, struct http_answer *answer)
{
    size_t len = strlen(answer->location);
    if (strncmp(answer->location, "/?", 2) == 0 && len + 24 < sizeof answer->location)
        snprintf(answer->location + len, sizeof answer->location - len, "#r%" PRId64,
                 l->record.arrival);
}

static void take_review(const struct console_view *view, const struct loaded *l, bool outdated,
                        struct http_answer *answer)
{
    struct review review = { .state = sent_state(view), .ref_count = 1,
                             .refs = { l->record.ref }, .by = view->who->number };
    uint8_t body[RECORD_BODY_LEN_MAX];
    enum lang_text why;
    if (outdated) {
        answer->status = STATUS_CONFLICT;
        show_record(view, l, LANG_ERR_OUTDATED, answer);
        return;
    }
    if (http_form(view->request, "older") && add_older(view, l, &review) < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    bool filled = fill_review(view, l, &review, &why);
    int len = filled ? review_encode(&review, body, sizeof body) : -1;
    if (len < 0) {
        answer->status = STATUS_BAD_REQUEST;
        show_record(view, l, filled ? LANG_ERR_TEXT : why, answer);
    } else if (!queue_review(view, l, &review, body, (size_t)len)) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    } else {
        console_go_back(view, answer);
        back_to_place(l, answer);
    }
}

void console_review(const struct console_view *view, struct http_answer *answer)
{
    const struct console *c = view->console;
    struct loaded l;
    bool outdated = false;
    if (load(view, console_number(http_form(view->request, "arrival"), INT64_MAX, 0), &l) < 0 ||
        (l.found && is_outdated(view, &l, &outdated) < 0))
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    else if (!l.found || l.record.commune != c->own_commune || c->own_commune == 0 ||
             !review_state_name(sent_state(view)))
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_RECORD, answer);
    else
        take_review(view, &l, outdated, answer);
    corrections_free(&l.corrections);
}
