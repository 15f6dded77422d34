/* The form that corrects a report: it starts from what counts now, shows beside each field what its
 * author said and how it was corrected since, and sends only what its operator changed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/console_page.h"

enum { VALUE_LEN_MAX = 40 };

/* Behind all that arrived; far from the end, so that ids can be added. */
static const int64_t ON_ITS_WAY = INT64_MAX / 2;

/* ---- what counts ---------------------------------------------------------------------------- */

struct gathering {
    const struct db_record *record;
    struct corrections *corrections;
};

static int take_answer(void *ctx, const struct db_record *answer)
{
    const struct gathering *g = ctx;
    struct record_view view;
    struct review review;
    if (record_decode(answer->bytes, answer->len, &view) != RECORD_OK ||
        review_decode(view.body, view.body_len, &review) != REPORT_OK)
        return 0;
    return corrections_add(g->corrections, &answer->ref, answer->arrival, answer->received_ms,
                           &review) ? 0 : DB_ENOMEM;
}

/* What the node did not take yet counts as soon as it can; what it refused never will. */
static int take_queued(void *ctx, const struct db_outgoing *o)
{
    const struct gathering *g = ctx;
    const struct record_ref answer = { .author = AUTHOR_NONE, .seq = (uint32_t)o->id };
    struct review review;
    if (*o->error || review_decode(o->body, o->body_len, &review) != REPORT_OK)
        return 0;
    return corrections_add(g->corrections, &answer, ON_ITS_WAY + o->id, 0, &review) ? 0
                                                                                    : DB_ENOMEM;
}

int page_corrections(const struct console *c, const struct db_record *record, bool queued,
                     struct corrections *corrections_out)
{
    struct gathering g = { record, corrections_out };
    *corrections_out = (struct corrections){ .list = NULL };
    int result = db_review_valid(c->ledger->db, record->commune, &record->ref, take_answer, &g);
    if (result >= 0 && queued)
        result = db_outgoing_reviews(c->ledger->db, record->commune, &record->ref, take_queued, &g);
    corrections_settle(corrections_out);
    return result < 0 ? result : 0;
}

int64_t page_author_value(const struct page_subject *s, uint32_t code)
{
    if (code == CORRECTION_VILLAGE)
        return s->record->said_village;
    for (size_t i = 0; s->report && i < s->report->figure_count; i++)
        if (s->report->figures[i].code == code)
            return s->report->figures[i].value;
    return REVIEW_UNKNOWN;
}

/* Of a village its number; never REVIEW_VILLAGE_AUTHORS. */
static int64_t value_of(const struct page_subject *s, const struct correction *last, uint32_t code)
{
    bool authors = !last || (code == CORRECTION_VILLAGE && last->value == REVIEW_VILLAGE_AUTHORS);
    return authors ? page_author_value(s, code) : last->value;
}

int64_t page_counted_value(const struct page_subject *s, uint32_t code, int64_t before_arrival)
{
    const struct corrections *c = s->corrections;
    const struct correction *last = NULL;
    for (size_t i = 0; i < c->count && c->list[i].arrival < before_arrival; i++)
        if (c->list[i].code == code)
            last = &c->list[i];
    return value_of(s, last, code);
}

static int64_t counted(const struct page_subject *s, uint32_t code)
{
    return page_counted_value(s, code, INT64_MAX);
}

static void put_field_value(const struct page *p, const struct page_subject *s, uint32_t code,
                            int64_t value, bool with_unit)
{
    const struct catalogue_item *item = page_find_item(p, s->record->kind, code);
    if (code == CORRECTION_VILLAGE)
        page_put_village(p, s->record->commune, (uint32_t)value);
    else if (with_unit)
        page_put_value(p, item, value);
    else
        page_put_bare_value(p, item, value);
}

void page_put_change(const struct page *p, const struct page_subject *s, uint32_t code,
                     int64_t value, int64_t arrival)
{
    if (code == CORRECTION_VILLAGE && value == REVIEW_VILLAGE_AUTHORS)
        value = s->record->said_village;
    strbuf_put(p->out, "<s>");
    put_field_value(p, s, code, page_counted_value(s, code, arrival), false);
    strbuf_put(p->out, "</s> → <b>");
    put_field_value(p, s, code, value, true);
    strbuf_put(p->out, "</b>");
}

/* ---- what was typed ------------------------------------------------------------------------- */

/* What a form that was sent says of one field. */
struct typed {
    const char *text; /* NULL: nothing */
    int64_t value, was;
    bool bad;
};

/* What its fields said when it was made: numbers, in their order, the village last. */
static int64_t read_was(const char *text, size_t index, int64_t otherwise)
{
    char *end;
    while (text && index > 0) {
        text = strchr(text, '.');
        text = text ? text + 1 : NULL;
        index--;
    }
    int64_t value = text ? strtoll(text, &end, 10) : otherwise;
    return text && (end == text || (*end && *end != '.')) ? otherwise : value;
}

static bool parse_value(const struct catalogue_item *item, const char *text, int64_t *value_out)
{
    char bare[VALUE_LEN_MAX], *end;
    text += strspn(text, " ");
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        len--;
    if (len == 0 || len >= sizeof bare)
        return false;
    memcpy(bare, text, len);
    bare[len] = '\0';
    if (strcmp(bare, "?") == 0) {
        *value_out = REVIEW_UNKNOWN;
        return true;
    }
    if (item)
        return catalogue_value_parse(item, bare, value_out) == CATALOGUE_OK;
    *value_out = strtoll(bare, &end, 10);
    return *bare >= '0' && *bare <= '9' && *end == '\0';
}

static struct typed read_figure(const struct console_view *view, const struct page_subject *s,
                                size_t index)
{
    uint32_t code = s->report->figures[index].code;
    const struct catalogue *cat = view->console->catalogue;
    const struct catalogue_item *item =
        cat ? catalogue_get(cat, s->record->kind, code, totals_happened_ms(s->record)) : NULL;
    char name[16];
    snprintf(name, sizeof name, "f%u", (unsigned)code);
    struct typed t = { .text = http_form(view->request, name) };
    t.value = t.was = read_was(http_form(view->request, "was"), index, counted(s, code));
    t.bad = t.text && !parse_value(item, t.text, &t.value);
    return t;
}

/* Can a report be moved there today? */
static bool is_village(const struct console_view *view, int64_t number)
{
    const struct villages *villages = view->console->villages;
    const struct village *v = villages && number > 0
                                  ? villages_get(villages, (uint32_t)number, view->wall_ms) : NULL;
    return v && catalogue_holds(&v->row, view->wall_ms);
}

static struct typed read_village(const struct console_view *view, const struct page_subject *s)
{
    int64_t now = counted(s, CORRECTION_VILLAGE);
    struct typed t = { .text = http_form(view->request, "village") };
    t.was = read_was(http_form(view->request, "was"), s->report->figure_count, now);
    t.value = t.text ? console_number(t.text, REPORT_VILLAGE_MAX, -1) : t.was;
    bool known = t.value == now || t.value == s->record->said_village || t.value == t.was ||
                 is_village(view, t.value);
    t.bad = !known;
    return t;
}

/* One press takes back whatever was corrected. */
static void take_back(const struct page_subject *s, struct review *review)
{
    for (size_t i = 0; i < s->report->figure_count; i++)
        if (counted(s, s->report->figures[i].code) != s->report->figures[i].value)
            review->figures[review->figure_count++] = s->report->figures[i];
    const struct correction *move = corrections_last(s->corrections, CORRECTION_VILLAGE);
    if (move && move->value != REVIEW_VILLAGE_AUTHORS)
        review->village = REVIEW_VILLAGE_AUTHORS;
}

enum lang_text page_read_corrections(const struct console_view *view, const struct page_subject *s,
                                     struct review *review)
{
    if (!s->report)
        return LANG_ERR_UNCHANGED;
    if (http_form(view->request, "take_back")) {
        take_back(s, review);
    } else {
        for (size_t i = 0; i < s->report->figure_count; i++) {
            struct typed t = read_figure(view, s, i);
            uint32_t code = s->report->figures[i].code;
            if (t.bad)
                return LANG_ERR_FIGURES;
            if (t.value != t.was && t.value != counted(s, code))
                review->figures[review->figure_count++] = (struct report_figure){ code, t.value };
        }
        struct typed t = read_village(view, s);
        if (t.bad)
            return LANG_ERR_FIGURES;
        if (t.value != t.was && t.value != counted(s, CORRECTION_VILLAGE))
            review->village = t.value == s->record->said_village ? REVIEW_VILLAGE_AUTHORS
                                                                 : (uint32_t)t.value;
    }
    return review->figure_count > 0 || review->village != 0 ? LANG_TEXT_COUNT
                                                            : LANG_ERR_UNCHANGED;
}

/* ---- what else its author said -------------------------------------------------------------- */

/* His newer figure, which counts instead of this one; and how his older one was corrected, which no
 * longer counts: totals go on by his newest, and somebody has to judge that once more. */
struct kin {
    int64_t arrival, said, counted;
    uint32_t seq; /* 0: none */
};
struct kin_search {
    const struct console *console;
    const struct page_subject *s;
    struct kin newer[REPORT_FIGURE_COUNT_MAX], older[REPORT_FIGURE_COUNT_MAX];
};

static int compare_kin(void *ctx, const struct db_record *r)
{
    struct kin_search *k = ctx;
    const struct page_subject *s = k->s;
    struct record_view view;
    struct report report;
    struct corrections corrections;
    if (r->ref.seq == s->record->ref.seq || r->drill != s->record->drill ||
        r->village != s->record->village || r->review_state == REVIEW_REJECTED ||
        r->review_state == REVIEW_JOINED ||
        record_decode(r->bytes, r->len, &view) != RECORD_OK ||
        report_decode(view.body, view.body_len, &report) != REPORT_OK)
        return 0;
    int result = page_corrections(k->console, r, true, &corrections);
    struct page_subject other = { r, &report, &corrections };
    struct kin *list = r->ref.seq > s->record->ref.seq ? k->newer : k->older;
    for (size_t i = 0; i < s->report->figure_count; i++) {
        uint32_t code = s->report->figures[i].code;
        struct kin kin = { r->arrival, page_author_value(&other, code), counted(&other, code),
                           r->ref.seq };
        if (list[i].seq == 0 && kin.said != REVIEW_UNKNOWN &&
            (list == k->older || kin.counted != REVIEW_UNKNOWN))
            list[i] = kin;
    }
    corrections_free(&corrections);
    return result;
}

static void put_kin(const struct page *p, const struct page_subject *s, uint32_t code,
                    const struct kin *newer, const struct kin *older)
{
    const struct kin *kin = newer->seq ? newer : older;
    if (kin->seq == 0 || (kin == older && kin->said == kin->counted))
        return;
    strbuf_putf(p->out, "<li class=\"warn\">%s (<a href=\"/record?arrival=%" PRId64
                        "&amp;lang=%s\">%u-%u</a>): ",
                page_text(p, kin == newer ? LANG_KIN_NEWER : LANG_KIN_OLDER), kin->arrival,
                lang_code(p->view->language), (unsigned)s->record->ref.author,
                (unsigned)kin->seq);
    if (kin->said != kin->counted) {
        strbuf_put(p->out, "<s>");
        put_field_value(p, s, code, kin->said, false);
        strbuf_put(p->out, "</s> → ");
    }
    put_field_value(p, s, code, kin->counted, true);
    strbuf_put(p->out, "</li>");
}

/* ---- the form ------------------------------------------------------------------------------- */

/* The author's word and what became of it; and what counts, where somebody typed another. */
static void open_field_story(const struct page *p, const struct page_subject *s, uint32_t code,
                             const struct typed *t)
{
    const struct corrections *c = s->corrections;
    const struct ledger_commune *commune = ledger_get(p->view->console->ledger,
                                                      s->record->commune);
    strbuf_putf(p->out, "<ul class=\"story\" id=\"s%u\">", (unsigned)code);
    if (t && t->bad)
        strbuf_putf(p->out, "<li class=\"warn\">%s</li>", page_text(p, LANG_ERR_FIGURES));
    strbuf_putf(p->out, "<li>%s: <b>", page_text(p, LANG_AUTHOR_SAYS));
    put_field_value(p, s, code, page_author_value(s, code), true);
    strbuf_put(p->out, "</b></li>");
    for (size_t i = 0; i < c->count; i++) {
        const struct correction *said = &c->list[i];
        if (said->code != code)
            continue;
        strbuf_put(p->out, "<li>");
        if (said->received_ms > 0)
            page_put_time(p, said->received_ms);
        else
            page_put_text(p, LANG_REVIEW_QUEUED);
        strbuf_put(p->out, " · ");
        page_put_reviewer(p, commune, said->reviewer, said->by);
        strbuf_put(p->out, " · ");
        page_put_change(p, s, code, said->value, said->arrival);
        strbuf_put(p->out, "</li>");
    }
    if (t && t->was != counted(s, code)) {
        strbuf_putf(p->out, "<li class=\"warn\">%s: ", page_text(p, LANG_COUNTS_NOW));
        put_field_value(p, s, code, counted(s, code), true);
        strbuf_put(p->out, "</li>");
    }
}

static void put_states(const struct page *p, const struct catalogue_item *item, int64_t chosen)
{
    for (size_t i = 0; i < item->state_count; i++) {
        const struct catalogue_state *state = &item->states[i];
        strbuf_putf(p->out, "<option value=\"%" PRId64 "\"%s>", (int64_t)state->value,
                    state->value == chosen ? " selected" : "");
        strbuf_put_html(p->out, p->view->language == LANG_EN ? state->en : state->vi);
        strbuf_put(p->out, "</option>");
    }
    strbuf_putf(p->out, "<option value=\"?\"%s>%s</option>",
                chosen == REVIEW_UNKNOWN ? " selected" : "", page_text(p, LANG_NOT_KNOWN));
}

/* typed: what stood there when it was sent, or NULL. */
static void put_figure_field(const struct page *p, const struct kin_search *k, size_t index,
                             const struct typed *typed)
{
    const struct page_subject *s = k->s;
    uint32_t code = s->report->figures[index].code;
    const struct catalogue_item *item = page_find_item(p, s->record->kind, code);
    bool changed = typed && typed->text && (typed->bad || typed->value != typed->was);
    int64_t value = changed && !typed->bad ? typed->value : counted(s, code);
    strbuf_put(p->out, "<div class=\"field\"><label>");
    page_put_item_name(p, item, s->record->kind, code);
    if (item && item->state_count > 0) {
        strbuf_putf(p->out, "<select name=\"f%u\" aria-describedby=\"s%u\">", (unsigned)code,
                    (unsigned)code);
        put_states(p, item, value);
        strbuf_put(p->out, "</select></label>");
    } else {
        strbuf_putf(p->out, "<input name=\"f%u\" size=\"12\" autocomplete=\"off\" "
                            "aria-describedby=\"s%u\"%s value=\"", (unsigned)code, (unsigned)code,
                    typed && typed->bad ? " aria-invalid=\"true\"" : "");
        if (changed)
            strbuf_put_html(p->out, typed->text);
        else if (value == REVIEW_UNKNOWN)
            strbuf_put(p->out, "?");
        else
            page_put_bare_value(p, item, value);
        strbuf_put(p->out, "\"></label>");
    }
    open_field_story(p, s, code, changed ? typed : NULL);
    put_kin(p, s, code, &k->newer[index], &k->older[index]);
    strbuf_put(p->out, "</ul></div>");
}

static void put_village_option(const struct page *p, int64_t commune, int64_t number, bool chosen)
{
    strbuf_putf(p->out, "<option value=\"%" PRId64 "\"%s>", number, chosen ? " selected" : "");
    page_put_village(p, commune, (uint32_t)number);
    strbuf_put(p->out, "</option>");
}

/* Where it counts now, and where its author says, can be chosen even if no list has it. */
static void put_village_field(const struct page *p, const struct page_subject *s,
                              const struct typed *typed)
{
    const struct villages *villages = p->view->console->villages;
    bool changed = typed && typed->text && !typed->bad && typed->value != typed->was;
    int64_t commune = s->record->commune, said = s->record->said_village;
    int64_t now = counted(s, CORRECTION_VILLAGE), chosen = changed ? typed->value : now;
    strbuf_putf(p->out, "<div class=\"field\"><label>%s<select name=\"village\" "
                        "aria-describedby=\"s0\">", page_text(p, LANG_VILLAGE));
    if (!is_village(p->view, now))
        put_village_option(p, commune, now, now == chosen);
    if (said != now && !is_village(p->view, said))
        put_village_option(p, commune, said, said == chosen);
    for (size_t i = 0; i < villages->count; i++)
        if (catalogue_holds(&villages->list[i].row, p->view->wall_ms))
            put_village_option(p, commune, villages->list[i].row.number,
                               villages->list[i].row.number == chosen);
    strbuf_put(p->out, "</select></label>");
    open_field_story(p, s, CORRECTION_VILLAGE, changed ? typed : NULL);
    strbuf_put(p->out, "</ul></div>");
}

static void put_was(const struct page *p, const struct page_subject *s)
{
    strbuf_put(p->out, "<input type=\"hidden\" name=\"was\" value=\"");
    for (size_t i = 0; i < s->report->figure_count; i++)
        strbuf_putf(p->out, "%" PRId64 ".", counted(s, s->report->figures[i].code));
    strbuf_putf(p->out, "%" PRId64 "\">", counted(s, CORRECTION_VILLAGE));
}

static void put_buttons(const struct page *p, const struct page_subject *s)
{
    struct review back = { .figure_count = 0 };
    take_back(s, &back);
    strbuf_put(p->out, "<div class=\"buttons\">");
    page_put_review_button(p, REVIEW_CORRECTED, "");
    if (back.figure_count > 0 || back.village != 0)
        strbuf_putf(p->out, "<button name=\"take_back\" value=\"1\">%s</button>",
                    page_text(p, LANG_CORRECT_BACK));
    strbuf_put(p->out, "</div>");
}

int page_put_correct_form(const struct page *p, const struct page_subject *s,
                          const struct page_known *known, const char *text, bool again)
{
    enum { KIN_COUNT_MAX = 32 };
    const struct console *c = p->view->console;
    struct kin_search kin = { .console = c, .s = s };
    if (!s->report || (s->report->figure_count == 0 && !c->villages))
        return 0;
    int result = db_record_kin(c->ledger->db, s->record, KIN_COUNT_MAX, compare_kin, &kin);
    strbuf_putf(p->out, "<form method=\"post\" action=\"/review\" class=\"reply\" id=\"correct\">"
                        "<h3>%s</h3><p class=\"dim\">%s %s</p>", page_text(p, LANG_CORRECT),
                page_text(p, LANG_CORRECT_RULE), page_text(p, LANG_CORRECT_SIGNS));
    if (s->record->review_state == REVIEW_REJECTED || s->record->review_state == REVIEW_JOINED)
        strbuf_putf(p->out, "<p class=\"warn\">%s</p>", page_text(p, LANG_CORRECT_OUT));
    page_put_token(p->view, p->out);
    page_put_known(p, s->record->arrival, known);
    put_was(p, s);
    for (size_t i = 0; i < s->report->figure_count; i++) {
        struct typed typed = read_figure(p->view, s, i);
        put_figure_field(p, &kin, i, again ? &typed : NULL);
    }
    if (c->villages) {
        struct typed typed = read_village(p->view, s);
        put_village_field(p, s, again ? &typed : NULL);
    }
    strbuf_putf(p->out, "<label>%s<input type=\"text\" name=\"text\" maxlength=\"100\" "
                        "autocomplete=\"off\" value=\"", page_text(p, LANG_CORRECT_WHY));
    strbuf_put_html(p->out, text);
    strbuf_put(p->out, "\"></label>");
    put_buttons(p, s);
    strbuf_put(p->out, "</form>");
    return result < 0 ? result : 0;
}
