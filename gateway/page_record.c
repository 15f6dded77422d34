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
    COMPARED_COUNT_MAX = 200, /* newest reports of the village and kind that are looked at */
    VALUE_LEN_MAX = 40,
    MS_PER_HOUR = 3600 * 1000,
};

/* ---- the report ----------------------------------------------------------------------------- */

struct loaded {
    struct db_record record; /* bytes and text are not kept */
    struct report report;
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

/* ---- answers so far ------------------------------------------------------------------------- */

struct history {
    struct page *page;
    const struct loaded *loaded;
    unsigned count;
};

static void put_correction(const struct page *p, const struct loaded *l,
                           const struct review *review)
{
    strbuf_put(p->out, "<ul class=\"figures\">");
    for (size_t i = 0; i < review->figure_count; i++) {
        const struct report_figure *new = &review->figures[i];
        const struct catalogue_item *item = page_find_item(p, l->record.kind, new->code);
        strbuf_put(p->out, "<li>");
        page_put_item_name(p, item, new->code);
        strbuf_put(p->out, " <s>");
        for (size_t f = 0; l->readable && f < l->report.figure_count; f++)
            if (l->report.figures[f].code == new->code)
                page_put_bare_value(p, item, l->report.figures[f].value);
        strbuf_put(p->out, "</s> → <b>");
        page_put_value(p, item, new->value);
        strbuf_put(p->out, "</b></li>");
    }
    strbuf_put(p->out, "</ul>");
}

/* As the author said, and as the commune says. */
static void put_move(const struct page *p, const struct loaded *l, uint32_t village)
{
    strbuf_putf(p->out, "<ul class=\"figures\"><li>%s <s>", page_text(p, LANG_VILLAGE));
    page_put_village(p, l->record.commune, l->record.said_village);
    strbuf_put(p->out, "</s> → <b>");
    page_put_village(p, l->record.commune, village);
    strbuf_put(p->out, "</b></li></ul>");
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
    if (review.village != 0)
        put_move(p, h->loaded, review.village);
    if (review.figure_count > 0)
        put_correction(p, h->loaded, &review);
    if (review.same_as.seq != 0)
        strbuf_putf(p->out, " <span class=\"number\">→ %u-%u</span>",
                    (unsigned)review.same_as.author, (unsigned)review.same_as.seq);
    strbuf_put(p->out, "</li>");
    return 0;
}

static int put_history(struct page *p, const struct loaded *l)
{
    struct history h = { .page = p, .loaded = l };
    strbuf_putf(p->out, "<section><h2>%s</h2><ol class=\"history\">", page_text(p, LANG_ANSWERS));
    int result = db_review_log(p->view->console->ledger->db, l->record.commune, &l->record.ref,
                               put_answer, &h);
    strbuf_put(p->out, "</ol>");
    if (h.count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_ANSWERS_NONE));
    strbuf_put(p->out, "</section>\n");
    return result;
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
        strbuf_putf(p->out, "<label class=\"check\"><input type=\"radio\" name=\"same\" "
                            "value=\"%u-%u\"> <span><b>%u-%u</b> ", (unsigned)g->ref.author,
                    (unsigned)g->ref.seq, (unsigned)g->ref.author, (unsigned)g->ref.seq);
        page_put_author(p, ledger_get(c->ledger, l->record.commune), g->ref.author);
        strbuf_put(p->out, " · ");
        page_put_time(p, g->received_ms);
        strbuf_put(p->out, " · ");
        put_reasons(p, g->reasons);
        strbuf_put(p->out, "</span></label>");
    }
    strbuf_putf(p->out, "<label>%s<input name=\"other\" size=\"10\" placeholder=\"12-3\" "
                        "autocomplete=\"off\"></label><div class=\"buttons\">",
                page_text(p, s.count ? LANG_JOIN_OTHER : LANG_JOIN_NONE));
    page_put_review_button(p, REVIEW_JOINED, "");
    strbuf_put(p->out, "</div></form>");
    return result < 0 ? result : 0;
}

/* ---- forms ---------------------------------------------------------------------------------- */

static void put_reply_form(const struct page *p, const struct loaded *l,
                           const struct page_known *known, const char *text)
{
    strbuf_putf(p->out, "<form method=\"post\" action=\"/review\" class=\"reply\"><h3>%s</h3>",
                page_text(p, LANG_REPLY));
    page_put_token(p->view, p->out);
    page_put_known(p, l->record.arrival, known);
    strbuf_putf(p->out, "<label>%s<input type=\"text\" name=\"text\" maxlength=\"140\" "
                        "autocomplete=\"off\" value=\"", page_text(p, LANG_REPLY_TEXT));
    strbuf_put_html(p->out, text);
    strbuf_put(p->out, "\"></label><div class=\"buttons\">");
    for (uint8_t state = REVIEW_SEEN; state <= REVIEW_MET; state++)
        page_put_review_button(p, state, "");
    strbuf_put(p->out, "</div></form>");
}

/* The one where it counts now stands chosen, even if no list has it. */
static void put_village_choice(const struct page *p, const struct villages *villages,
                               uint32_t chosen)
{
    strbuf_putf(p->out, "<label>%s<select name=\"village\">", page_text(p, LANG_VILLAGE));
    if (!villages_get(villages, chosen)) {
        strbuf_putf(p->out, "<option value=\"%u\" selected>", (unsigned)chosen);
        page_put_village(p, p->view->console->own_commune, chosen);
        strbuf_put(p->out, "</option>");
    }
    for (size_t i = 0; i < villages->count; i++) {
        const struct village *v = &villages->list[i];
        strbuf_putf(p->out, "<option value=\"%u\"%s>", (unsigned)v->number,
                    v->number == chosen ? " selected" : "");
        strbuf_put_html(p->out, v->name);
        strbuf_put(p->out, "</option>");
    }
    strbuf_put(p->out, "</select></label>");
}

static void put_correct_form(const struct page *p, const struct loaded *l,
                             const struct page_known *known)
{
    const struct villages *villages = p->view->console->villages;
    if (!l->readable || (l->report.figure_count == 0 && !villages))
        return;
    strbuf_putf(p->out, "<form method=\"post\" action=\"/review\" class=\"reply\"><h3>%s</h3>"
                        "<p class=\"dim\">%s</p>", page_text(p, LANG_CORRECT),
                page_text(p, LANG_CORRECT_RULE));
    page_put_token(p->view, p->out);
    page_put_known(p, l->record.arrival, known);
    for (size_t i = 0; i < l->report.figure_count; i++) {
        const struct report_figure *f = &l->report.figures[i];
        const struct catalogue_item *item = page_find_item(p, l->record.kind, f->code);
        strbuf_put(p->out, "<label>");
        page_put_item_name(p, item, f->code);
        strbuf_putf(p->out, "<input name=\"f%u\" size=\"12\" autocomplete=\"off\" value=\"",
                    (unsigned)f->code);
        page_put_bare_value(p, item, f->value);
        strbuf_put(p->out, "\"></label>");
    }
    if (villages)
        put_village_choice(p, villages, l->record.village);
    strbuf_putf(p->out, "<label>%s<input type=\"text\" name=\"text\" maxlength=\"100\" "
                        "autocomplete=\"off\"></label><div class=\"buttons\">",
                page_text(p, LANG_CORRECT_WHY));
    page_put_review_button(p, REVIEW_CORRECTED, "");
    strbuf_put(p->out, "</div></form>");
}

static int put_forms(struct page *p, const struct loaded *l, const char *text)
{
    struct page_known known;
    int result = page_known_get(p, l->record.commune, &l->record.ref, &known);
    strbuf_put(p->out, "<section class=\"forms\">");
    put_reply_form(p, l, &known, text);
    put_correct_form(p, l, &known);
    if (result >= 0)
        result = put_join_form(p, l, &known);
    strbuf_put(p->out, "</section>\n");
    return result;
}

/* notice: what to say on top, or LANG_TEXT_COUNT; text: what the reader was just writing. */
static void show_record(const struct console_view *view, const struct loaded *l,
                        enum lang_text notice, const char *text, struct http_answer *answer)
{
    struct console_view own = *view;
    struct console *c = view->console;
    own.arrival = l->record.arrival;
    own.filter.words = own.folded;
    struct page p = { .view = &own, .out = &answer->body,
                      .many_communes = c->ledger->commune_count > 1 };
    char title[64];
    snprintf(title, sizeof title, "%u-%u", (unsigned)l->record.ref.author,
             (unsigned)l->record.ref.seq);
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, title, false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (notice != LANG_TEXT_COUNT)
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s</p>", page_text(&p, notice));
    int result = db_outgoing_list(c->ledger->db, page_note_queued, &p);
    if (result >= 0)
        result = db_record_get(c->ledger->db, l->record.arrival, page_put_report, &p);
    if (result >= 0)
        result = put_history(&p, l);
    if (result >= 0 && c->own_commune != 0 && l->record.commune == c->own_commune &&
        view->who->role >= ACCESS_REVIEW)
        result = put_forms(&p, l, text);
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
    struct loaded l = { .found = false };
    if (db_record_get(view->console->ledger->db, view->arrival, take_record, &l) < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    } else if (!l.found) {
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_RECORD, answer);
    } else {
        answer->status = STATUS_OK;
        show_record(view, &l, LANG_TEXT_COUNT, "", answer);
    }
}

/* ---- an answer comes in --------------------------------------------------------------------- */

/* Only what differs from the report is a correction. */
static bool read_corrections(const struct console_view *view, const struct loaded *l,
                             struct review *review)
{
    const struct catalogue *cat = view->console->catalogue;
    for (size_t i = 0; l->readable && i < l->report.figure_count; i++) {
        const struct report_figure *old = &l->report.figures[i];
        const struct catalogue_item *item = cat ? catalogue_get(cat, l->record.kind, old->code)
                                                : NULL;
        char name[16], *end;
        int64_t value = old->value;
        snprintf(name, sizeof name, "f%u", (unsigned)old->code);
        const char *text = http_form(view->request, name);
        if (!text)
            continue;
        if (item && catalogue_value_parse(item, text, &value) != CATALOGUE_OK)
            return false;
        if (!item && (*text < '0' || *text > '9' || (value = strtoll(text, &end, 10), *end)))
            return false;
        if (value != old->value)
            review->figures[review->figure_count++] = (struct report_figure){ old->code, value };
    }
    const char *text = http_form(view->request, "village");
    int64_t village = console_number(text, REPORT_VILLAGE_MAX, -1);
    const struct villages *villages = view->console->villages;
    if (!text)
        return review->figure_count > 0;
    if (village != (int64_t)l->record.village &&
        (village <= 0 || !villages || !villages_get(villages, (uint32_t)village)))
        return false;
    /* Newer corrections replace older ones as a whole: what was moved is said again. */
    if (l->readable && (village != (int64_t)l->record.said_village ||
                        village != (int64_t)l->record.village))
        review->village = (uint32_t)village;
    return review->figure_count > 0 || review->village != 0;
}

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
    long long log_arrival = -1, outgoing_id = -1;
    const char *known = http_form(view->request, "known");
    int result = db_outgoing_list(view->console->ledger->db, page_note_queued, &p);
    if (result >= 0)
        result = page_known_get(&p, l->record.commune, &l->record.ref, &now);
    bool said = known && sscanf(known, "%lld.%lld", &log_arrival, &outgoing_id) == 2;
    /* What waited then may be in the log now; only what is newer than both is news. */
    *outdated_out = said && result >= 0 &&
                    (now.outgoing_id > outgoing_id ||
                     (now.log_arrival > log_arrival && outgoing_id == 0));
    return result;
}

static bool fill_review(const struct console_view *view, const struct loaded *l,
                        struct review *review, enum lang_text *why_out)
{
    const char *text = http_form(view->request, "text");
    *why_out = LANG_ERR_TEXT;
    if (text && strlen(text) >= sizeof review->text)
        return false;
    review->text_len = text ? strlen(text) : 0;
    memcpy(review->text, text ? text : "", review->text_len + 1);
    *why_out = LANG_ERR_FIGURES;
    if (review->state == REVIEW_CORRECTED && !read_corrections(view, l, review))
        return false;
    *why_out = LANG_ERR_JOIN;
    if (review->state == REVIEW_JOINED && !read_same_as(view, l, review))
        return false;
    *why_out = LANG_ERR_REASON;
    return review->state != REVIEW_REJECTED || review->text_len > 0;
}

void console_review(const struct console_view *view, struct http_answer *answer)
{
    struct console *c = view->console;
    struct loaded l = { .found = false };
    const char *arrival = http_form(view->request, "arrival");
    const char *state = http_form(view->request, "state"), *text = http_form(view->request, "text");
    struct review review = { .state = (enum review_state)console_number(state, REVIEW_JOINED, 0),
                             .ref_count = 1, .by = view->who->number };
    bool outdated = false;
    enum lang_text why;
    if (db_record_get(c->ledger->db, console_number(arrival, INT64_MAX, 0), take_record, &l) < 0 ||
        (l.found && is_outdated(view, &l, &outdated) < 0)) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    if (!l.found || l.record.commune != c->own_commune || c->own_commune == 0 ||
        !review_state_name(review.state)) {
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_RECORD, answer);
        return;
    }
    review.refs[0] = l.record.ref;
    if (outdated) {
        answer->status = STATUS_CONFLICT;
        show_record(view, &l, LANG_ERR_OUTDATED, text ? text : "", answer);
        return;
    }
    uint8_t body[RECORD_BODY_LEN_MAX];
    bool filled = fill_review(view, &l, &review, &why);
    int len = filled ? review_encode(&review, body, sizeof body) : -1;
    if (len < 0) {
        answer->status = STATUS_BAD_REQUEST;
        show_record(view, &l, filled ? LANG_ERR_TEXT : why, text ? text : "", answer);
        return;
    }
    struct db_outgoing outgoing = {
        .commune = l.record.commune, .ref = l.record.ref, .state = (uint8_t)review.state,
        .text = review.text, .kind = RECORD_REVIEW, .body = body, .body_len = (size_t)len,
        /* An answer to a call for help must not wait behind figures. */
        .priority = l.record.priority == PRIORITY_RESCUE ? PRIORITY_EVACUATION : PRIORITY_DAMAGE,
    };
    if (db_outgoing_add(c->ledger->db, &outgoing, &outgoing.id) < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    c->outgoing_added(c->ctx);
    console_go_back(view, answer);
}
