/* The quick report: written, looked at, signed off by a named person, and saved in other forms. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/console_page.h"
#include "gateway/export.h"
#include "proto/text.h"

enum {
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
    STATUS_NOT_FOUND = 404,
    STATUS_CONFLICT = 409,
    STATUS_UNAVAILABLE = 503,
    LISTED_COUNT = 50,
    SIGNOFF_LOOKED_COUNT = 200,
    MS_PER_MINUTE = 60 * 1000,
    COUNTED_COUNT_MAX = 1000000,
    MS_PER_DAY = 24 * 3600 * 1000,
};

/* ---- from and into the database -------------------------------------------------------------- */

static int take_quick(void *ctx, const struct db_quick *row)
{
    struct quick *q = ctx;
    if (!quick_from_json(row->doc, q))
        return DB_EDISK;
    q->id = row->id;
    q->commune = row->commune;
    q->number = row->number;
    return 0;
}

static struct db_quick row_of(const struct quick *q)
{
    return (struct db_quick){ .id = q->id, .commune = q->commune, .until_ms = q->until_ms,
                              .event = q->event, .number = q->number, .drill = q->drill };
}

/* The one signed off for the same event whose figures come before q's. */
static int load_last(const struct console *c, const struct quick *q, struct quick *last_out)
{
    const struct db_quick row = row_of(q);
    *last_out = (struct quick){ .id = 0 };
    return db_quick_before(c->ledger->db, &row, take_quick, last_out);
}

/* With the figures of a draft as they stand for its time; its hash is that of all one sees then. */
static int load_quick(const struct console *c, int64_t id, struct quick *q_out)
{
    struct quick last = { .id = 0 };
    struct strbuf doc = { .text = NULL };
    *q_out = (struct quick){ .id = 0 };
    int result = db_quick_get(c->ledger->db, id, take_quick, q_out);
    if (result < 0 || q_out->id == 0 || q_out->number != 0)
        return result;
    result = load_last(c, q_out, &last);
    if (result >= 0)
        result = quick_fill(q_out, c->ledger, c->catalogue, c->villages, last.id ? &last : NULL);
    quick_free(&last);
    if (result >= 0 && !quick_to_json(q_out, &doc))
        result = DB_ENOMEM;
    if (result >= 0)
        quick_hash(doc.text, q_out->hash);
    strbuf_free(&doc);
    return result;
}

/* A draft's document has no figures: they are added up when it is looked at. */
static int save_quick(struct db *db, const struct quick *q, int64_t *id_out,
                      uint8_t hash_out[static KENG_HASH_LEN])
{
    struct quick kept = *q;
    struct strbuf doc = { .text = NULL };
    if (q->number == 0)
        kept.line_count = 0;
    int result = DB_ENOMEM;
    if (quick_to_json(&kept, &doc)) {
        struct db_quick row = row_of(q);
        row.doc = doc.text;
        quick_hash(doc.text, hash_out);
        result = db_quick_put(db, &row, id_out);
    }
    strbuf_free(&doc);
    return result;
}

static void put_db_error(const struct page *p)
{
    strbuf_put(p->out, "<p class=\"alarm\" role=\"alert\">");
    strbuf_put_html(p->out, db_error(p->view->console->ledger->db));
    strbuf_put(p->out, "</p>");
}

/* Forms say which document they were made from, so that nobody signs or overwrites what he has not
 * seen. */
static void put_seen(const struct page *p, const uint8_t hash[static KENG_HASH_LEN])
{
    strbuf_put(p->out, "<input type=\"hidden\" name=\"seen\" value=\"");
    strbuf_put_hex(p->out, hash, KENG_HASH_LEN);
    strbuf_put(p->out, "\">");
}

static void read_seen(const struct console_view *view, uint8_t hash_out[static KENG_HASH_LEN])
{
    const char *seen = http_form(view->request, "seen");
    if (!seen || !strbuf_parse_hex(seen, hash_out, KENG_HASH_LEN))
        memset(hash_out, 0, KENG_HASH_LEN);
}

/* ---- the form -------------------------------------------------------------------------------- */

static void put_area(const struct page *p, const char *name, enum lang_text label,
                     const char *text)
{
    strbuf_putf(p->out, "<label>%s<textarea name=\"%s\" rows=\"3\" maxlength=\"%d\">",
                page_text(p, label), name, (int)QUICK_TEXT_LEN / 3);
    strbuf_put_html(p->out, text);
    strbuf_put(p->out, "</textarea></label>");
}

static void put_hazards(const struct page *p, uint32_t chosen)
{
    const struct catalogue *cat = p->view->console->catalogue;
    strbuf_putf(p->out, "<label>%s<select name=\"hazard\"><option value=\"0\">–</option>",
                page_text(p, LANG_HAZARD));
    for (size_t i = 0; cat && i < cat->hazard_count; i++) {
        const struct catalogue_hazard *h = &cat->hazards[i];
        if (!catalogue_holds(&h->row, p->view->wall_ms) && h->row.number != chosen)
            continue;
        strbuf_putf(p->out, "<option value=\"%u\"%s>", (unsigned)h->row.number,
                    h->row.number == chosen ? " selected" : "");
        strbuf_put_html(p->out, p->view->language == LANG_EN ? h->name_en : h->name_vi);
        strbuf_put(p->out, "</option>");
    }
    strbuf_put(p->out, "</select></label>");
}

static void put_moment(const struct page *p, const char *name, enum lang_text label, int64_t ms)
{
    char moment[LANG_TIME_LEN];
    lang_time_local(ms, moment);
    strbuf_putf(p->out, "<label>%s<input type=\"datetime-local\" name=\"%s\" required value=\"%s\">"
                        "</label>", page_text(p, label), name, moment);
}

static void put_form(const struct page *p, const struct quick *q)
{
    strbuf_putf(p->out, "<section class=\"forms\"><h2>%s</h2><form method=\"post\" "
                        "action=\"/quick\" class=\"reply\">",
                page_text(p, q->id ? LANG_QUICK_CONTINUE : LANG_QUICK_NEW));
    page_put_token(p->view, p->out);
    put_seen(p, q->hash);
    if (p->view->console->own_commune == 0) /* nobody to speak to, still a report to write */
        strbuf_putf(p->out, "<input type=\"hidden\" name=\"commune\" value=\"%" PRId64 "\">",
                    q->commune);
    strbuf_putf(p->out, "<input type=\"hidden\" name=\"id\" value=\"%" PRId64 "\">"
                        "<div class=\"filter\"><label>%s<input name=\"event\" size=\"6\" "
                        "inputmode=\"numeric\" value=\"%u\"></label>", q->id,
                page_text(p, LANG_EVENT), (unsigned)q->event);
    put_moment(p, "from", LANG_QUICK_FROM, q->from_ms);
    /* Forms know minutes: the one that is running ends where it is now, see read_draft(). */
    put_moment(p, "until", LANG_QUICK_TO, q->until_ms + MS_PER_MINUTE - 1);
    put_hazards(p, q->hazard);
    strbuf_putf(p->out, "<label>%s<select name=\"basis\"><option value=\"approved\"%s>%s</option>"
                        "<option value=\"received\"%s>%s</option></select></label>"
                        "<label class=\"check\"><input type=\"checkbox\" name=\"drill\" "
                        "value=\"1\"%s> %s</label></div>", page_text(p, LANG_BASIS),
                q->approved ? " selected" : "", page_text(p, LANG_BASIS_APPROVED),
                q->approved ? "" : " selected", page_text(p, LANG_BASIS_RECEIVED),
                q->drill ? " checked" : "", page_text(p, LANG_DRILLS_ONLY));
    put_area(p, "course", LANG_QUICK_COURSE, q->course);
    put_area(p, "isolated", LANG_QUICK_ISOLATED, q->isolated);
    put_area(p, "response", LANG_QUICK_RESPONSE, q->response);
    put_area(p, "wants", LANG_QUICK_WANTS, q->wants);
    strbuf_putf(p->out, "<div class=\"buttons\"><button class=\"main\">%s</button></div></form>"
                        "</section>\n", page_text(p, LANG_QUICK_SAVE));
}

static int put_listed(void *ctx, const struct db_quick *row)
{
    struct page *p = ctx;
    strbuf_putf(p->out, "<tr><td><a href=\"/quick/read?id=%" PRId64 "&amp;lang=%s\">", row->id,
                lang_code(p->view->language));
    if (row->number)
        strbuf_putf(p->out, "%s %u", page_text(p, LANG_QUICK_NUMBER), (unsigned)row->number);
    else
        page_put_text(p, LANG_QUICK_DRAFT);
    strbuf_putf(p->out, "</a>%s%s%s</td><td>%s %u</td><td>",
                row->drill ? " <span class=\"mark drill\">" : "",
                row->drill ? page_text(p, LANG_DRILL) : "", row->drill ? "</span>" : "",
                page_text(p, LANG_EVENT), (unsigned)row->event);
    page_put_time(p, row->until_ms);
    strbuf_put(p->out, "</td></tr>\n");
    p->shown_count++;
    return 0;
}

static int put_list(struct page *p, int64_t commune)
{
    strbuf_putf(p->out, "<section><h2>%s</h2><table><tbody>\n", page_text(p, LANG_QUICK_SAVED));
    int result = db_quick_list(p->view->console->ledger->db, commune, LISTED_COUNT, put_listed, p);
    strbuf_put(p->out, "</tbody></table>");
    if (p->shown_count == 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_QUICK_NONE));
    strbuf_put(p->out, "</section>\n");
    return result;
}

/* The commune the reports are about: the own one, the one that is named, or the only one. */
static int64_t reported_commune(const struct console_view *view)
{
    const struct console *c = view->console;
    const char *sent = http_form(view->request, "commune");
    int64_t named = sent ? console_number(sent, INT64_MAX, 0) : view->filter.commune;
    if (c->own_commune)
        return c->own_commune;
    if (ledger_get(c->ledger, named))
        return named;
    return c->ledger->commune_count == 1 ? c->ledger->communes[0].info.id : 0;
}

static int take_event(void *ctx, const struct db_record *r)
{
    struct quick *q = ctx;
    q->event = r->event;
    return 1;
}

/* A new draft goes on where the last report ended.  Nobody has to know the event's number by heart:
 * it is that of the report on top of the board. */
static int start_draft(const struct console_view *view, struct quick *q_out)
{
    struct quick last = { .id = 0 };
    *q_out = (struct quick){ .commune = reported_commune(view), .approved = true,
                             .until_ms = view->wall_ms };
    q_out->drill = http_query(view->request, "drills") || page_is_training(view->console);
    int64_t event = console_number(http_query(view->request, "event"), REPORT_EVENT_MAX, -1);
    struct db_list_filter top = db_list_all(1);
    top.commune = q_out->commune;
    int result = event < 0 ? db_record_list(view->console->ledger->db, &top, take_event, q_out) : 0;
    if (event >= 0)
        q_out->event = (uint32_t)event;
    if (result >= 0)
        result = load_last(view->console, q_out, &last);
    q_out->from_ms = last.id ? last.until_ms : q_out->until_ms - MS_PER_DAY;
    q_out->hazard = last.hazard;
    quick_free(&last);
    return result;
}

static void put_field(const struct page *p, enum lang_text label, const char *text)
{
    if (!*text)
        return;
    strbuf_putf(p->out, "<h3 class=\"field\">%s</h3><p class=\"words\">", page_text(p, label));
    strbuf_put_html(p->out, text);
    strbuf_put(p->out, "</p>");
}

/* What a draft is about, in a line. */
static void put_scope(const struct page *p, const struct quick *q)
{
    char period[EXPORT_PERIOD_LEN];
    strbuf_putf(p->out, "<p><b>%s</b> · %s %u · %s",
                export_period(q, p->view->language, period), page_text(p, LANG_EVENT),
                (unsigned)q->event,
                page_text(p, q->approved ? LANG_BASIS_APPROVED : LANG_BASIS_RECEIVED));
    if (*q->catalogue) /* nothing was added up yet */
        strbuf_putf(p->out, " · %s ", page_text(p, LANG_CATALOGUE));
    strbuf_put_html(p->out, q->catalogue);
    strbuf_put(p->out, "</p>");
}

static void put_drill(const struct page *p, const struct quick *q)
{
    if (q->drill)
        strbuf_putf(p->out, "<span class=\"mark drill\">%s</span>", page_text(p, LANG_DRILL));
}

/* What another desk saved meanwhile. */
static void put_stored(const struct page *p, const struct quick *q)
{
    const struct catalogue *cat = p->view->console->catalogue;
    const struct catalogue_hazard *h =
        cat ? catalogue_hazard_get(cat, q->hazard, q->until_ms) : NULL;
    bool english = p->view->language == LANG_EN;
    strbuf_putf(p->out, "<section class=\"quick\">");
    put_drill(p, q);
    strbuf_putf(p->out, "<h2>%s</h2>", page_text(p, LANG_QUICK_STORED));
    put_scope(p, q);
    put_field(p, LANG_HAZARD, !h ? "" : english ? h->name_en : h->name_vi);
    put_field(p, LANG_QUICK_COURSE, q->course);
    put_field(p, LANG_QUICK_ISOLATED, q->isolated);
    put_field(p, LANG_QUICK_RESPONSE, q->response);
    put_field(p, LANG_QUICK_WANTS, q->wants);
    strbuf_put(p->out, "</section>\n");
}

/* stored: what is saved instead of what the form began with, or NULL. */
static void show_form(const struct console_view *view, const struct quick *q,
                      enum lang_text notice, const struct quick *stored,
                      struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_QUICK), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (notice != LANG_TEXT_COUNT)
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s</p>", page_text(&p, notice));
    const struct console *c = view->console;
    const struct ledger_commune *commune = ledger_get(c->ledger, q->commune);
    if (!commune && !page_put_communes(&p, "/quick", false))
        strbuf_putf(p.out, "<p class=\"none\">%s</p>", page_text(&p, LANG_QUICK_NONE));
    if (commune && c->ledger->commune_count > 1 && (c->keys || c->own_commune == 0))
        page_put_commune(&p, "/quick", commune);
    if (commune && !stored && put_list(&p, q->commune) < 0)
        put_db_error(&p);
    if (view->who->role >= ACCESS_REVIEW && commune)
        put_form(&p, q);
    if (stored)
        put_stored(&p, stored);
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}

void console_page_quicks(const struct console_view *view, struct http_answer *answer)
{
    struct quick q = { .id = 0 };
    int64_t id = console_number(http_query(view->request, "id"), INT64_MAX, 0);
    int result = id ? db_quick_get(view->console->ledger->db, id, take_quick, &q)
                    : start_draft(view, &q);
    if (result < 0 || (id && q.id == 0)) {
        console_message(view, result < 0 ? STATUS_UNAVAILABLE : STATUS_NOT_FOUND,
                        result < 0 ? LANG_ERR_DISK : LANG_ERR_QUICK, answer);
    } else if (q.number != 0) {
        console_message(view, STATUS_CONFLICT, LANG_ERR_QUICK_SIGNED, answer);
    } else {
        console_speak_to(view, q.commune);
        answer->status = STATUS_OK;
        show_form(view, &q, LANG_TEXT_COUNT, NULL, answer);
    }
    quick_free(&q);
}

/* ---- a draft is saved ------------------------------------------------------------------------ */

/* A browser ends lines as mail does, and a table's cells come with tabs. */
static bool read_text(const struct http_request *request, const char *name,
                      char out[static QUICK_TEXT_LEN])
{
    const char *text = http_form(request, name);
    size_t len = 0;
    for (; text && *text && len < QUICK_TEXT_LEN - 1; text++)
        if (*text != '\r')
            out[len++] = *text == '\t' ? ' ' : *text;
    out[len] = '\0';
    return (!text || !*text) && text_check(out, len) == TEXT_OK;
}

static bool read_moment(const struct http_request *request, const char *name, int64_t *ms_out)
{
    const char *text = http_form(request, name);
    return text && lang_time_parse(text, ms_out);
}

static bool read_draft(const struct console_view *view, struct quick *q)
{
    const struct http_request *request = view->request;
    const char *basis = http_form(request, "basis");
    int64_t event = console_number(http_form(request, "event"), REPORT_EVENT_MAX, -1);
    q->id = console_number(http_form(request, "id"), INT64_MAX, 0);
    read_seen(view, q->hash);
    q->event = event < 0 ? 0 : (uint32_t)event;
    q->hazard = (uint32_t)console_number(http_form(request, "hazard"), REPORT_HAZARD_MAX, 0);
    q->drill = http_form(request, "drill") != NULL;
    q->approved = !basis || strcmp(basis, "received") != 0;
    bool good = read_text(request, "course", q->course);
    good = read_text(request, "isolated", q->isolated) && good;
    good = read_text(request, "response", q->response) && good;
    good = read_text(request, "wants", q->wants) && good;
    if (!read_moment(request, "from", &q->from_ms) ||
        !read_moment(request, "until", &q->until_ms) || event < 0 || !good)
        return false;
    if (q->until_ms > view->wall_ms && q->until_ms <= view->wall_ms + MS_PER_MINUTE)
        q->until_ms = view->wall_ms;
    return q->from_ms >= KENG_EPOCH_UNIX_S * 1000 && q->from_ms <= q->until_ms &&
           q->until_ms <= view->wall_ms;
}

/* DB_ENOTFOUND: the draft is not, or no more, what the form was made from; *now_out is what is
 * there. */
static int save_draft(struct db *db, const struct quick *q, struct quick *now_out, int64_t *id_out)
{
    uint8_t hash[KENG_HASH_LEN];
    *now_out = (struct quick){ .id = 0 };
    int result = db_begin(db);
    if (result < 0)
        return result;
    if (q->id)
        result = db_quick_get(db, q->id, take_quick, now_out);
    if (result >= 0 && q->id &&
        (now_out->commune != q->commune || memcmp(now_out->hash, q->hash, sizeof hash) != 0))
        result = DB_ENOTFOUND;
    if (result >= 0)
        result = save_quick(db, q, id_out, hash);
    if (result >= 0)
        return db_commit(db);
    db_rollback(db);
    return result;
}

void console_quick_save(const struct console_view *view, struct http_answer *answer)
{
    struct quick q = { .commune = reported_commune(view) }, now;
    int64_t id = 0;
    if (q.commune == 0 || !read_draft(view, &q)) {
        answer->status = STATUS_BAD_REQUEST;
        show_form(view, &q, LANG_ERR_QUICK_FIELDS, NULL, answer);
        return;
    }
    int result = save_draft(view->console->ledger->db, &q, &now, &id);
    if (result == DB_ENOTFOUND && now.commune != q.commune) {
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_QUICK, answer);
    } else if (result == DB_ENOTFOUND) {
        /* What one wrote is kept: to be saved over what is shown now, or as a new draft. */
        q.id = now.number ? 0 : q.id;
        memcpy(q.hash, now.hash, sizeof q.hash);
        answer->status = STATUS_CONFLICT;
        show_form(view, &q, now.number ? LANG_ERR_QUICK_SIGNED_SINCE : LANG_ERR_QUICK_OUTDATED,
                  &now, answer);
    } else if (result < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    } else {
        answer->status = 303;
        snprintf(answer->location, sizeof answer->location, "/quick/read?id=%" PRId64 "&lang=%s",
                 id, lang_code(view->language));
    }
    quick_free(&now);
}

/* ---- one of them to read --------------------------------------------------------------------- */

static void put_sums(const struct page *p, const struct quick *q)
{
    struct quick_sum *sums;
    int count = quick_sums(q, &sums);
    char words[CATALOGUE_VALUE_LEN];
    bool changes = q->last_number > 0; /* the first report of an event has nothing to compare */
    for (int i = 0; i < count; i++)
        changes = changes || sums[i].before >= 0;
    strbuf_putf(p->out, "<table class=\"figures-of\"><thead><tr><th>%s</th>"
                        "<th class=\"value\">%s</th>", page_text(p, LANG_INDICATOR),
                page_text(p, LANG_VALUE));
    if (changes)
        strbuf_putf(p->out, "<th class=\"value\">%s</th>",
                    q->last_number ? lang_fill(p->view->language, LANG_QUICK_CHANGE_SINCE, words,
                                               sizeof words, LANG_NUMBER(q->last_number))
                                   : page_text(p, LANG_QUICK_CHANGE));
    strbuf_put(p->out, "</tr></thead>");
    for (int i = 0; i < count; i++) {
        const struct quick_line *line = sums[i].of;
        if (i == 0 || sums[i - 1].of->kind != line->kind)
            strbuf_putf(p->out, "%s<tbody><tr><th colspan=\"%d\" scope=\"rowgroup\">%s</th>"
                                "</tr>", i ? "</tbody>" : "", changes ? 3 : 2,
                        lang_kind(p->view->language, line->kind));
        strbuf_put(p->out, "<tr><td>");
        strbuf_put_html(p->out, export_name(line, p->view->language));
        strbuf_put(p->out, "</td><td class=\"value\">");
        export_amount(&sums[i], p->view->language, words);
        strbuf_put_html(p->out, words);
        if (changes) {
            strbuf_put(p->out, "</td><td class=\"value\">");
            export_change(q, &sums[i], p->view->language, words);
            strbuf_put_html(p->out, words);
        }
        strbuf_put(p->out, "</td></tr>\n");
    }
    strbuf_putf(p->out, "%s</table>", count > 0 ? "</tbody>" : "");
    if (count <= 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_NO_FIGURES));
    free(sums);
}

/* The signed report behind a line is one press away, by what the figure says of its place. */
static void put_source(const struct page *p, const struct quick *q, const struct quick_line *line)
{
    strbuf_putf(p->out, "<a href=\"/figure?commune=%" PRId64 "&amp;village=%u&amp;event=%u&amp;"
                        "kind=%u&amp;code=%u&amp;asof=%" PRId64 "%s%s&amp;lang=%s\">"
                        "%u-%u</a>", q->commune,
                (unsigned)line->village, (unsigned)q->event, (unsigned)line->kind,
                (unsigned)line->code, q->until_ms, q->approved ? "&amp;basis=approved" : "",
                q->drill ? "&amp;drills=1" : "", lang_code(p->view->language),
                (unsigned)line->author, (unsigned)line->seq);
}

static void put_lines(const struct page *p, const struct quick *q)
{
    strbuf_putf(p->out, "<h3 class=\"field appendix\">%s</h3><table class=\"figures-of\">"
                        "<thead><tr><th>%s</th><th class=\"value\">%s</th><th>%s</th>"
                        "</tr></thead>",
                page_text(p, LANG_QUICK_APPENDIX), page_text(p, LANG_INDICATOR),
                page_text(p, LANG_VALUE), page_text(p, LANG_SOURCE));
    for (size_t i = 0; i < q->line_count; i++) {
        const struct quick_line *line = &q->lines[i];
        if (i == 0 || q->lines[i - 1].village != line->village) {
            strbuf_putf(p->out, "%s<tbody><tr><th colspan=\"3\" scope=\"rowgroup\">",
                        i ? "</tbody>" : "");
            strbuf_put_html(p->out, *line->village_name ? line->village_name
                                                        : page_text(p, LANG_NO_VILLAGE));
            strbuf_put(p->out, "</th></tr>");
        }
        strbuf_put(p->out, "<tr><td>");
        strbuf_put_html(p->out, export_name(line, p->view->language));
        strbuf_put(p->out, "</td><td class=\"value\">");
        const char *words = p->view->language == LANG_EN ? line->words_en : line->words_vi;
        strbuf_put(p->out, line->withdrawn ? "<s>" : "");
        strbuf_put_html(p->out, words); /* of a figure that was withdrawn: what it was */
        if (line->withdrawn)
            strbuf_putf(p->out, "</s> %s", export_state(line, p->view->language));
        strbuf_put(p->out, "</td><td class=\"dim\">");
        put_source(p, q, line);
        strbuf_put(p->out, "</td></tr>\n");
    }
    strbuf_putf(p->out, "%s</table>", q->line_count ? "</tbody>" : "");
}

struct signoff_search {
    uint8_t hash[KENG_HASH_LEN];
    struct record_ref ref; /* seq 0: not found */
};

static int match_signoff(void *ctx, const struct db_record *r)
{
    struct signoff_search *s = ctx;
    struct record_view view;
    struct signoff signoff;
    if (record_decode(r->bytes, r->len, &view) != RECORD_OK ||
        signoff_decode(view.body, view.body_len, &signoff) != REPORT_OK ||
        memcmp(signoff.hash, s->hash, KENG_HASH_LEN) != 0)
        return 0;
    s->ref = r->ref;
    return 1;
}

/* Who signed, and the record that proves it once the node has it. */
static int put_signature(const struct page *p, const struct quick *q)
{
    struct signoff_search search = { .ref = { .seq = 0 } };
    memcpy(search.hash, q->hash, sizeof search.hash);
    int result = db_record_newest_of_kind(p->view->console->ledger->db, q->commune, RECORD_SIGNOFF,
                                          SIGNOFF_LOOKED_COUNT, match_signoff, &search);
    strbuf_putf(p->out, "<p class=\"signed\"><b>%s: ", page_text(p, LANG_QUICK_SIGNER));
    strbuf_put_html(p->out, q->signer);
    strbuf_put(p->out, "</b>, ");
    page_put_time(p, q->signed_ms);
    if (search.ref.seq)
        strbuf_putf(p->out, " · <span class=\"ok\">✓ %s %u-%u</span>",
                    page_text(p, LANG_EVIDENCE), (unsigned)search.ref.author,
                    (unsigned)search.ref.seq);
    else
        strbuf_putf(p->out, " · <span class=\"dim\">%s</span>", page_text(p, LANG_REVIEW_QUEUED));
    strbuf_put(p->out, "<br><code>");
    strbuf_put_hex(p->out, search.hash, sizeof search.hash);
    strbuf_put(p->out, "</code></p>");
    return result < 0 ? result : 0;
}

static void put_sign_form(const struct page *p, const struct quick *q)
{
    const struct console_view *view = p->view;
    strbuf_putf(p->out, "<section class=\"forms act\"><p><a href=\"/quick?id=%" PRId64
                        "&amp;lang=%s\">%s</a></p>", q->id, lang_code(view->language),
                page_text(p, LANG_QUICK_CONTINUE));
    if (view->console->own_commune == 0) {
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_ERR_QUICK_NO_NODE));
    } else if (view->who->role >= ACCESS_SIGN) {
        strbuf_put(p->out, "<form method=\"post\" action=\"/quick/sign\" class=\"reply\">");
        page_put_token(view, p->out);
        strbuf_putf(p->out, "<p class=\"dim\">%s</p><input type=\"hidden\" name=\"id\" value=\"%"
                            PRId64 "\">", page_text(p, LANG_QUICK_SIGN_RULE), q->id);
        put_seen(p, q->hash);
        if (view->who->number == 0)
            strbuf_putf(p->out, "<label>%s<input type=\"text\" name=\"signer\" required "
                                "maxlength=\"60\"></label>", page_text(p, LANG_QUICK_FREE_NAME));
        strbuf_putf(p->out, "<div class=\"buttons\"><button class=\"main\">%s</button></div>"
                            "</form>", page_text(p, LANG_QUICK_SIGN));
    }
    strbuf_put(p->out, "</section>\n");
}

static void put_exports(const struct page *p, const struct quick *q)
{
    struct strbuf chat = { .text = NULL };
    strbuf_putf(p->out, "<div class=\"act\"><p class=\"files\">%s: ",
                page_text(p, LANG_QUICK_EXPORT));
    for (const struct export_format *f = export_formats; f->name; f++)
        strbuf_putf(p->out, "<a href=\"/quick/export?id=%" PRId64 "&amp;as=%s&amp;lang=%s\">"
                            "%s</a> ", q->id, f->name, lang_code(p->view->language),
                    page_text(p, f->label));
    strbuf_putf(p->out, "</p><details class=\"reply\"><summary>%s…</summary><label>%s"
                        "<textarea rows=\"12\" readonly>", page_text(p, LANG_QUICK_CHAT),
                page_text(p, LANG_AS_TXT));
    if (export_chat(q, p->view->language, &chat))
        strbuf_put_html(p->out, chat.text);
    else
        p->out->failed = true;
    strbuf_free(&chat);
    strbuf_putf(p->out, "</textarea></label><button type=\"button\" class=\"copy\" "
                        "data-done=\"%s\" hidden>%s</button></details></div>\n",
                page_text(p, LANG_COPIED), page_text(p, LANG_COPY));
}

/* Only approved reports count: how many others wait is said before somebody signs. */
static int put_left_out(const struct page *p, const struct quick *q)
{
    struct db_list_filter waiting = db_list_all(COUNTED_COUNT_MAX);
    int64_t total = 0, count = 0;
    char words[CONSOLE_STATUS_LEN];
    if (q->number != 0 || !q->approved)
        return 0;
    waiting.commune = q->commune;
    int result = db_record_count(p->view->console->ledger->db, &waiting, &total, &count);
    if (result >= 0 && count > 0)
        strbuf_putf(p->out, "<p class=\"warn act\">%s</p>",
                    lang_fill(p->view->language, LANG_QUICK_LEFT_OUT, words, sizeof words,
                              LANG_NUMBER(count)));
    return result < 0 ? result : 0;
}

/* Isolated places as somebody put it, and what the reports say of roads, power and signal. */
static void put_isolated(const struct page *p, const struct quick *q)
{
    struct strbuf states = { .text = NULL };
    export_states(q, p->view->language, &states);
    put_field(p, LANG_QUICK_ISOLATED,
              *q->isolated ? q->isolated : states.text ? states.text : "");
    if (*q->isolated && states.text) {
        strbuf_put(p->out, "<p class=\"words\">");
        strbuf_put_html(p->out, states.text);
        strbuf_put(p->out, "</p>");
    }
    strbuf_free(&states);
}

static int put_quick(const struct page *p, const struct quick *q)
{
    bool english = p->view->language == LANG_EN;
    struct strbuf title = { .text = NULL };
    export_title(q, p->view->language, &title);
    strbuf_put(p->out, "<section class=\"quick\">");
    page_put_paper_head(p, q);
    put_drill(p, q);
    strbuf_put(p->out, "<h2>");
    strbuf_put_html(p->out, title.text ? title.text : "");
    strbuf_free(&title);
    strbuf_putf(p->out, "</h2><p class=\"paper title\"><b>%s</b></p>",
                page_text(p, LANG_PAPER_TITLE));
    put_scope(p, q);
    int result = put_left_out(p, q);
    put_exports(p, q);
    put_field(p, LANG_HAZARD, english ? q->hazard_en : q->hazard_vi);
    put_field(p, LANG_COURSE, q->course);
    put_isolated(p, q);
    strbuf_putf(p->out, "<h3 class=\"field\">%s</h3>", page_text(p, LANG_QUICK_FIGURES));
    if (quick_is_unchanged(q))
        strbuf_putf(p->out, "<p><b>%s</b></p>", page_text(p, LANG_QUICK_UNCHANGED));
    put_sums(p, q);
    put_field(p, LANG_QUICK_RESPONSE, q->response);
    put_field(p, LANG_QUICK_WANTS, q->wants);
    page_put_paper_foot(p, q);
    if (q->number && result >= 0)
        result = put_signature(p, q);
    put_lines(p, q);
    strbuf_put(p->out, "</section>\n");
    if (q->number == 0)
        put_sign_form(p, q);
    return result;
}

/* Loads what ?id= or the form's id names; false: the answer says why not. */
static bool find_quick(const struct console_view *view, const char *id, struct quick *q_out,
                       struct http_answer *answer)
{
    int result = load_quick(view->console, console_number(id, INT64_MAX, 0), q_out);
    if (result >= 0 && q_out->id != 0) {
        console_speak_to(view, q_out->commune);
        return true;
    }
    quick_free(q_out);
    console_message(view, result < 0 ? STATUS_UNAVAILABLE : STATUS_NOT_FOUND,
                    result < 0 ? LANG_ERR_DISK : LANG_ERR_QUICK, answer);
    return false;
}

static void show_quick(const struct console_view *view, const struct quick *q,
                       enum lang_text notice, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_QUICK), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    if (notice != LANG_TEXT_COUNT)
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s</p>", page_text(&p, notice));
    if (put_quick(&p, q) < 0)
        put_db_error(&p);
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}

void console_page_quick(const struct console_view *view, struct http_answer *answer)
{
    struct quick q;
    if (!find_quick(view, http_query(view->request, "id"), &q, answer))
        return;
    answer->status = STATUS_OK;
    show_quick(view, &q, LANG_TEXT_COUNT, answer);
    quick_free(&q);
}

void console_quick_export(const struct console_view *view, struct http_answer *answer)
{
    const char *as = http_query(view->request, "as");
    const struct export_format *f = as ? export_find(as) : NULL;
    struct quick q;
    if (!f) {
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_NOT_FOUND, answer);
        return;
    }
    if (!find_quick(view, http_query(view->request, "id"), &q, answer))
        return;
    char object[AUDIT_OBJECT_LEN];
    snprintf(object, sizeof object, "quick %" PRId64 " %s", q.id, f->name);
    if (!console_audit(view, "export", object, answer)) {
        quick_free(&q);
        return;
    }
    if (f->write(&q, view->language, &answer->body)) {
        answer->status = STATUS_OK;
        answer->content_type = f->type;
        snprintf(answer->file_name, sizeof answer->file_name, "%sbao-cao-nhanh-%u-%u.%s",
                 q.drill ? "dien-tap-" : "", (unsigned)q.event, (unsigned)q.number, f->name);
    } else {
        strbuf_free(&answer->body);
        answer->body = (struct strbuf){ .text = NULL };
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    }
    quick_free(&q);
}

/* ---- it is signed off ------------------------------------------------------------------------ */

static bool name_signer(const struct console_view *view, struct quick *q)
{
    const char *name = view->who->number ? view->who->name : http_form(view->request, "signer");
    if (!name || !*name || strlen(name) >= sizeof q->signer)
        return false;
    q->by = view->who->number;
    q->signed_ms = view->wall_ms;
    snprintf(q->signer, sizeof q->signer, "%s", name);
    return true;
}

/* The document and the signature that waits for the node. */
static int store_signed(const struct console_view *view, struct quick *q)
{
    struct console *c = view->console;
    const struct db_quick row = row_of(q);
    struct signoff signoff = { .event = q->event, .by = q->by, .drill = q->drill };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int64_t id, last_number = 0;
    int result = db_quick_last_number(c->ledger->db, &row, &last_number);
    q->number = (uint32_t)last_number + 1;
    if (result >= 0)
        result = save_quick(c->ledger->db, q, &id, signoff.hash);
    signoff.from_min = (uint32_t)((q->from_ms / 1000 - KENG_EPOCH_UNIX_S) / 60);
    signoff.until_min = (uint32_t)((q->until_ms / 1000 - KENG_EPOCH_UNIX_S) / 60);
    int len = signoff_encode(&signoff, body, sizeof body);
    if (result >= 0 && len < 0)
        result = DB_EDISK;
    struct db_outgoing outgoing = { .commune = q->commune, .text = "", .kind = RECORD_SIGNOFF,
                                    .priority = PRIORITY_ROUTINE, .body = body,
                                    .body_len = len > 0 ? (size_t)len : 0 };
    return result < 0 ? result : db_outgoing_add(c->ledger->db, &outgoing, &outgoing.id);
}

/* In a transaction, so that what is compared is what is signed; false: the answer says why not. */
static bool sign_off(const struct console_view *view, struct quick *q, struct http_answer *answer)
{
    const struct console *c = view->console;
    char object[48];
    uint8_t seen[KENG_HASH_LEN];
    read_seen(view, seen);
    if (!find_quick(view, http_form(view->request, "id"), q, answer))
        return false;
    snprintf(object, sizeof object, "quick %" PRId64, q->id);
    if (c->own_commune == 0) {
        console_message(view, STATUS_CONFLICT, LANG_ERR_QUICK_NO_NODE, answer);
    } else if (q->number != 0 || q->commune != c->own_commune) {
        console_message(view, STATUS_CONFLICT, LANG_ERR_QUICK_SIGNED, answer);
    } else if (memcmp(seen, q->hash, sizeof seen) != 0) {
        answer->status = STATUS_CONFLICT;
        show_quick(view, q, LANG_ERR_QUICK_UNREAD, answer);
    } else if (!name_signer(view, q)) {
        answer->status = STATUS_BAD_REQUEST;
        show_quick(view, q, LANG_ERR_QUICK_SIGNER, answer);
    } else if (console_audit(view, "sign-off", object, answer)) {
        if (store_signed(view, q) >= 0)
            return true;
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    }
    return false;
}

void console_quick_sign(const struct console_view *view, struct http_answer *answer)
{
    struct console *c = view->console;
    struct quick q = { .id = 0 };
    if (db_begin(c->ledger->db) < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
        return;
    }
    if (!sign_off(view, &q, answer)) {
        db_rollback(c->ledger->db);
    } else if (db_commit(c->ledger->db) < 0) {
        console_message(view, STATUS_UNAVAILABLE, LANG_ERR_DISK, answer);
    } else {
        c->outgoing_added(c->ctx);
        answer->status = 303;
        snprintf(answer->location, sizeof answer->location, "/quick/read?id=%" PRId64 "&lang=%s",
                 q.id, lang_code(view->language));
    }
    quick_free(&q);
}
