/* One report as it stands on the board and on its own page, and the buttons that answer it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/console_page.h"

enum { MS_PER_MINUTE = 60000 };

int page_known_get(const struct page *p, int64_t commune, const struct record_ref *ref,
                   struct page_known *known_out)
{
    return db_review_known(p->view->console->ledger->db, commune, ref, &known_out->count,
                           &known_out->outgoing_id);
}

void page_put_known(const struct page *p, int64_t arrival, const struct page_known *known)
{
    strbuf_putf(p->out, "<input type=\"hidden\" name=\"arrival\" value=\"%" PRId64 "\">"
                        "<input type=\"hidden\" name=\"known\" value=\"%" PRId64 ".%" PRId64 "\">",
                arrival, known->count, known->outgoing_id);
}

void page_put_reviewer(const struct page *p, const struct ledger_commune *commune, uint16_t author,
                       uint32_t by)
{
    const struct console *c = p->view->console;
    const struct access_operator *o =
        by && commune && commune->info.id == c->own_commune
            ? access_operator_get(&c->people->access, by) : NULL;
    if (o) {
        strbuf_put_html(p->out, o->name);
    } else if (by) {
        strbuf_putf(p->out, "%s %u", page_text(p, LANG_OPERATOR), (unsigned)by);
    }
    if (author == AUTHOR_NONE)
        return;
    strbuf_put(p->out, by ? ", " : "");
    page_put_author(p, commune, author);
}

/* What was corrected since stands beside what its author said. */
static void put_figure(const struct page *p, const struct page_subject *s,
                       const struct report_figure *figure)
{
    const struct catalogue_item *item = page_find_item(p, s->record->kind, figure->code);
    int64_t counted = page_counted_value(s, figure->code, INT64_MAX);
    strbuf_put(p->out, "<li>");
    page_put_item_name(p, item, s->record->kind, figure->code);
    if (counted != figure->value) {
        strbuf_put(p->out, " <s>");
        page_put_bare_value(p, item, figure->value);
        strbuf_put(p->out, "</s> →");
    }
    strbuf_put(p->out, " <b>");
    page_put_value(p, item, counted);
    strbuf_put(p->out, "</b></li>");
}

static void put_body(const struct page *p, const struct page_subject *s)
{
    const struct report *report = s->report;
    const struct catalogue *cat = p->view->console->catalogue;
    if (report->hazard) {
        const struct catalogue_hazard *hazard =
            cat ? catalogue_hazard_get(cat, report->hazard, page_moment(p)) : NULL;
        strbuf_put(p->out, "<p class=\"hazard\">");
        page_put_text(p, LANG_HAZARD);
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
    for (size_t i = 0; i < report->figure_count; i++)
        put_figure(p, s, &report->figures[i]);
    if (report->figure_count > 0)
        strbuf_put(p->out, "</ul>");
    if (report->text_len > 0) {
        strbuf_put(p->out, "<p class=\"words\">");
        strbuf_put_html(p->out, report->text);
        strbuf_put(p->out, "</p>");
    }
    if (report->lat_e5 != 0 || report->lon_e5 != 0) {
        strbuf_put(p->out, "<p class=\"dim\">");
        page_put_text(p, LANG_POSITION);
        strbuf_putf(p->out, ": <a href=\"geo:%.5f,%.5f\">%.5f, %.5f</a></p>", report->lat_e5 / 1e5,
                    report->lon_e5 / 1e5, report->lat_e5 / 1e5, report->lon_e5 / 1e5);
    }
}

void page_put_review_button(const struct page *p, uint8_t state, const char *class_name)
{
    bool key = p->view->arrival != 0 && state <= REVIEW_MET; /* alone on its page */
    strbuf_putf(p->out, "<button name=\"state\" value=\"%u\" class=\"%s\"", (unsigned)state,
                class_name);
    if (key)
        strbuf_putf(p->out, " accesskey=\"%u\"><kbd aria-hidden=\"true\">%u</kbd> ",
                    (unsigned)state, (unsigned)state);
    else
        strbuf_put(p->out, ">");
    /* What one does and not what then is: the states' names begin alike. */
    strbuf_put_html(p->out, state == REVIEW_CORRECTED ? page_text(p, LANG_CORRECT)
                            : state == REVIEW_JOINED ? page_text(p, LANG_JOIN_DO)
                            : state == REVIEW_QUESTION ? page_text(p, LANG_DO_ASK)
                            : state == REVIEW_APPROVED ? page_text(p, LANG_DO_APPROVE)
                            : state == REVIEW_REJECTED ? page_text(p, LANG_DO_REJECT)
                            : lang_review(p->view->language, state));
    strbuf_put(p->out, "</button>");
}

/* The commonest answer at one press, the rest behind the report's own page or a word. */
static int put_review_forms(const struct page *p, const struct db_record *r)
{
    struct page_known known;
    int result = page_known_get(p, r->commune, &r->ref, &known);
    if (result < 0)
        return result;
    strbuf_put(p->out, "<div class=\"act\">");
    if (r->review_state == 0) {
        strbuf_put(p->out, "<form method=\"post\" action=\"/review\">");
        page_put_token(p->view, p->out);
        page_put_known(p, r->arrival, &known);
        page_put_review_button(p, REVIEW_SEEN, "main");
        page_put_review_button(p, REVIEW_APPROVED, "");
        strbuf_put(p->out, "</form>");
    }
    strbuf_put(p->out, "<details><summary>");
    page_put_text(p, LANG_REPLY);
    strbuf_put(p->out, "…</summary><form method=\"post\" action=\"/review\" class=\"reply\">");
    page_put_token(p->view, p->out);
    page_put_known(p, r->arrival, &known);
    strbuf_put(p->out, "<label>");
    page_put_text(p, LANG_REPLY_TEXT);
    strbuf_put(p->out, "<input type=\"text\" name=\"text\" maxlength=\"140\" autocomplete=\"off\">"
                       "</label><div class=\"buttons\">");
    for (uint8_t state = REVIEW_SEEN; state <= REVIEW_MET; state++)
        page_put_review_button(p, state, "");
    strbuf_put(p->out, "</div></form></details></div>");
    return 0;
}

/* The newest answer that is not in the node's log yet. */
struct queued {
    uint8_t state; /* 0: there is none */
    char error[CONSOLE_STATUS_LEN]; /* "": on its way */
};

static int note_queued(void *ctx, const struct db_outgoing *outgoing)
{
    struct queued *queued = ctx;
    queued->state = outgoing->state;
    snprintf(queued->error, sizeof queued->error, "%.*s", (int)sizeof queued->error - 1,
             outgoing->error);
    return 0;
}

static int put_review(const struct page *p, const struct ledger_commune *commune,
                      const struct db_record *r)
{
    struct queued queued = { .state = 0 };
    int result = db_outgoing_reviews(p->view->console->ledger->db, r->commune, &r->ref,
                                     note_queued, &queued);
    strbuf_putf(p->out, "<p class=\"review s%u\"><b>", (unsigned)r->review_state);
    strbuf_put_html(p->out, lang_review(p->view->language, r->review_state));
    strbuf_put(p->out, "</b>");
    if (r->review_state != 0) {
        strbuf_put(p->out, " <span class=\"dim\">· ");
        page_put_author(p, commune, r->review_author);
        strbuf_put(p->out, "</span>");
    }
    if (*r->review_text) {
        strbuf_put(p->out, " “");
        strbuf_put_html(p->out, r->review_text);
        strbuf_put(p->out, "”");
    }
    if (queued.state != 0) {
        strbuf_put(p->out, " → <i>");
        strbuf_put_html(p->out, lang_review(p->view->language, queued.state));
        strbuf_putf(p->out, "</i> <span class=\"%s\">(", *queued.error ? "warn" : "dim");
        strbuf_put_html(p->out, *queued.error ? queued.error : page_text(p, LANG_REVIEW_QUEUED));
        strbuf_put(p->out, ")</span>");
    }
    strbuf_put(p->out, "</p>");
    return result;
}

/* Signed with a key that was taken back before. */
static bool is_revoked(const struct ledger_commune *commune, const struct db_record *r)
{
    const struct roster_author *author =
        commune ? roster_find(&commune->roster, r->ref.author) : NULL;
    return author && author->entry.revoked_after != 0 && r->ref.seq >= author->entry.revoked_after;
}

static void put_report_head(const struct page *p, const struct ledger_commune *commune,
                            const struct db_record *r)
{
    enum language language = p->view->language;
    char unseen[CONSOLE_STATUS_LEN];
    strbuf_put(p->out, "<header>");
    if (r->drill) /* before the priority: nobody may run for an exercise */
        strbuf_putf(p->out, "<span class=\"mark drill\">%s</span> ", page_text(p, LANG_DRILL));
    strbuf_put(p->out, "<span class=\"badge\">");
    strbuf_put_html(p->out, lang_priority(language, r->priority));
    const char *heading = p->view->arrival == 0 ? "h3" : "h2"; /* in a list or alone */
    strbuf_putf(p->out, "</span> <%s%s>", heading,
                p->view->arrival == 0 ? "" : " id=\"report\" tabindex=\"-1\" autofocus");
    if (r->moved && r->said_village != r->village) {
        strbuf_put(p->out, "<s>");
        page_put_village(p, r->commune, r->said_village);
        strbuf_put(p->out, "</s> → ");
    }
    page_put_village(p, r->commune, r->village);
    if (p->many_communes && commune) {
        strbuf_put(p->out, ", ");
        strbuf_put_html(p->out, commune->info.name);
    }
    strbuf_putf(p->out, "</%s> <span class=\"kind\">", heading);
    const char *kind = lang_kind(language, r->kind);
    strbuf_put_html(p->out, kind ? kind : "?");
    strbuf_put(p->out, "</span>");
    if (r->variant)
        strbuf_putf(p->out, " <span class=\"mark alarm\">%s</span>", page_text(p, LANG_FORK));
    if (is_revoked(commune, r))
        strbuf_putf(p->out, " <span class=\"mark alarm\">%s</span>", page_text(p, LANG_REVOKED));
    if (r->received_ms > 0) {
        strbuf_putf(p->out, "<span class=\"at\">%s ", page_text(p, LANG_RECEIVED));
        page_put_time(p, r->received_ms);
        strbuf_put(p->out, "</span>");
    }
    int64_t unseen_min = (p->view->wall_ms - r->received_ms) / MS_PER_MINUTE;
    if (r->received_ms > 0 && r->review_state == 0 && unseen_min >= CONSOLE_UNSEEN_MIN &&
        !is_revoked(commune, r))
        strbuf_putf(p->out, "<span class=\"unseen\">%s</span>",
                    lang_fill(language, LANG_UNSEEN, unseen, sizeof unseen,
                              LANG_NUMBER(unseen_min)));
    strbuf_put(p->out, "</header>");
}

static void put_report_foot(const struct page *p, const struct ledger_commune *commune,
                            const struct db_record *r)
{
    strbuf_putf(p->out, "<p class=\"foot\"><span class=\"number\">%u-%u</span> ",
                (unsigned)r->ref.author, (unsigned)r->ref.seq);
    page_put_author(p, commune, r->ref.author);
    strbuf_putf(p->out, " · %s ", page_text(p, LANG_CREATED));
    page_put_time(p, (KENG_EPOCH_UNIX_S * 1000) + (int64_t)r->created_min * MS_PER_MINUTE);
    if (!r->clock_set)
        strbuf_putf(p->out, " (%s)", page_text(p, LANG_CLOCK_UNSET));
    if (r->event)
        strbuf_putf(p->out, " · %s %u", page_text(p, LANG_EVENT), (unsigned)r->event);
    if (r->via != DB_VIA_UNKNOWN)
        strbuf_putf(p->out, " · %s",
                    page_text(p, (enum lang_text)(LANG_VIA_NODE + (int)r->via - DB_VIA_NODE)));
    if (is_revoked(commune, r))
        strbuf_putf(p->out, " · <span class=\"warn\">%s</span>", page_text(p, LANG_REVOKED_RULE));
    else
        strbuf_putf(p->out, " · <span class=\"ok\">✓ %s</span>", page_text(p, LANG_SIGNED));
    if (p->view->arrival == 0)
        strbuf_putf(p->out, " · <a href=\"/record?arrival=%" PRId64 "&amp;lang=%s\">%s</a>",
                    r->arrival, lang_code(p->view->language), page_text(p, LANG_OPEN));
    strbuf_put(p->out, "</p>");
}

int page_put_report(void *ctx, const struct db_record *r)
{
    struct page *p = ctx;
    struct console *c = p->view->console;
    const struct ledger_commune *commune = ledger_get(c->ledger, r->commune);
    struct record_view view;
    struct report report;
    int64_t moment_ms = p->moment_ms;
    struct corrections corrections = { .list = NULL };
    int result = r->review_state ? page_corrections(c, r, false, &corrections) : 0;
    p->moment_ms = totals_happened_ms(r);
    strbuf_putf(p->out, "<article class=\"report p%u%s%s\" id=\"r%" PRId64 "\">",
                (unsigned)(r->priority < PRIORITY_COUNT ? r->priority : 0),
                r->review_state ? " done" : "", r->drill ? " drill" : "", r->arrival);
    put_report_head(p, commune, r);
    if (r->readable && record_decode(r->bytes, r->len, &view) == RECORD_OK &&
        report_decode(view.body, view.body_len, &report) == REPORT_OK) {
        put_body(p, &(struct page_subject){ r, &report, &corrections });
    } else {
        strbuf_put(p->out, "<p class=\"warn\">");
        page_put_text(p, LANG_UNREADABLE);
        strbuf_put(p->out, "</p>");
    }
    put_report_foot(p, commune, r);
    if (result >= 0)
        result = put_review(p, commune, r);
    corrections_free(&corrections);
    if (result >= 0 && c->own_commune != 0 && r->commune == c->own_commune &&
        p->view->arrival == 0 && p->view->who->role >= ACCESS_REVIEW)
        result = put_review_forms(p, r);
    strbuf_put(p->out, "</article>\n");
    p->moment_ms = moment_ms;
    p->shown_count++;
    p->last_rank = r->rank;
    p->last_arrival = r->arrival;
    if (result < 0)
        return result;
    return p->out->failed ? DB_ENOMEM : 0;
}
