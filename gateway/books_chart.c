#include "gateway/books_chart.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOMENT_COUNT = 48,
    PANEL_COUNT_MAX = 8,
    PANEL_COLUMN_COUNT = 2,
    PANEL_WIDTH = 360,
    PANEL_HEIGHT = 150,
    PLOT_LEFT = 16,
    PLOT_TOP = 46,
    PLOT_WIDTH = PANEL_WIDTH - 2 * PLOT_LEFT,
    PLOT_HEIGHT = 70,
    HEAD_HEIGHT = 44,
    NAME_LEN = 256,
    MINUTE_MS = 60 * 1000,
};

struct panel {
    struct totals_key key; /* kind and code */
    uint32_t village_count;
    int64_t values[MOMENT_COUNT], max;
};

struct course {
    const struct books_query *query;
    struct totals all;
    int64_t from_ms, until_ms;
    struct panel panels[PANEL_COUNT_MAX];
    size_t panel_count;
};

/* ---- collecting ---- */

/* The record with the time at which it happened, as far as that is known. */
static struct db_record when_it_happened(const struct db_record *record)
{
    struct db_record moved = *record;
    int64_t said_ms = KENG_EPOCH_UNIX_S * 1000 + (int64_t)record->created_min * MINUTE_MS;
    if (record->clock_set && said_ms < record->received_ms)
        moved.received_ms = said_ms;
    return moved;
}

static bool is_asked(const struct course *c, const struct db_record *record)
{
    const struct books_query *q = c->query;
    return (!q->as_of_ms || record->received_ms <= q->as_of_ms) &&
           (!q->village || record->village == q->village) &&
           (!q->event || record->event == q->event) && (!q->kind || record->kind == q->kind);
}

static int take_report(void *ctx, const struct db_record *record)
{
    struct course *c = ctx;
    struct record_view view;
    struct report report;
    if (!is_asked(c, record) || record_decode(record->bytes, record->len, &view) != RECORD_OK ||
        report_decode(view.body, view.body_len, &report) != REPORT_OK)
        return 0;
    struct db_record moved = when_it_happened(record);
    return totals_add(&c->all, &moved, &report) == TOTALS_OK ? 0 : DB_ENOMEM;
}

static int take_review(void *ctx, const struct db_record *record)
{
    struct course *c = ctx;
    struct record_view view;
    struct review review;
    if ((c->query->as_of_ms && record->received_ms > c->query->as_of_ms) ||
        record_decode(record->bytes, record->len, &view) != RECORD_OK ||
        review_decode(view.body, view.body_len, &review) != REPORT_OK)
        return 0;
    struct db_record moved = when_it_happened(record);
    return totals_add_review(&c->all, &moved, &review) == TOTALS_OK ? 0 : DB_ENOMEM;
}

static int collect(struct course *c)
{
    const struct ledger *l = c->query->ledger;
    int result = 0;
    c->all.filter = totals_all();
    for (size_t i = 0; i < l->commune_count && result >= 0; i++) {
        if (!books_is_wanted(c->query, &l->communes[i]))
            continue;
        result = db_record_reports(l->db, l->communes[i].info.id, take_report, c);
        if (result >= 0)
            result = db_record_reviews(l->db, l->communes[i].info.id, take_review, c);
    }
    for (size_t i = 0; i < c->all.claim_count; i++) {
        int64_t at_ms = c->all.claims[i].received_ms;
        if (i == 0 || at_ms < c->from_ms)
            c->from_ms = at_ms;
        if (i == 0 || at_ms > c->until_ms)
            c->until_ms = at_ms;
    }
    return result < 0 ? result : 0;
}

/* ---- panels ---- */

static bool same_indicator(const struct totals_key *a, const struct totals_key *b)
{
    return a->kind == b->kind && a->code == b->code;
}

/* States are no quantities. */
static bool is_quantity(const struct books_query *q, const struct totals_key *key)
{
    const struct catalogue_item *item =
        q->catalogue ? catalogue_get(q->catalogue, key->kind, key->code) : NULL;
    return (!q->code || key->code == q->code) && (!item || item->state_count == 0);
}

/* Most villages first, then by kind and code. */
static bool stands_before(const struct panel *a, const struct panel *b)
{
    if (a->village_count != b->village_count)
        return a->village_count > b->village_count;
    return a->key.kind != b->key.kind ? a->key.kind < b->key.kind : a->key.code < b->key.code;
}

/* Counts the villages of one more row; the list is as long as there are indicators. */
static int count_row(struct panel **list, size_t *count, const struct totals_row *row)
{
    for (size_t i = 0; i < *count; i++) {
        if (same_indicator(&(*list)[i].key, &row->key)) {
            (*list)[i].village_count++;
            return 0;
        }
    }
    struct panel *grown = realloc(*list, (*count + 1) * sizeof *grown);
    if (!grown)
        return DB_ENOMEM;
    *list = grown;
    grown[(*count)++] = (struct panel){ .key = row->key, .village_count = 1 };
    return 0;
}

static int choose_panels(struct course *c, const struct totals *last)
{
    struct panel *list = NULL;
    size_t count = 0;
    int result = 0;
    for (size_t i = 0; i < last->row_count && result == 0; i++)
        if (is_quantity(c->query, &last->rows[i].key))
            result = count_row(&list, &count, &last->rows[i]);
    while (result == 0 && c->panel_count < PANEL_COUNT_MAX && count > 0) {
        size_t best = 0;
        for (size_t i = 1; i < count; i++)
            if (stands_before(&list[i], &list[best]))
                best = i;
        c->panels[c->panel_count++] = list[best];
        list[best] = list[--count];
    }
    free(list);
    return result;
}

static int64_t moment_ms(const struct course *c, int moment)
{
    return c->from_ms + (c->until_ms - c->from_ms) * moment / (MOMENT_COUNT - 1);
}

static int fill_moment(struct course *c, int moment)
{
    struct totals then;
    int result = totals_at(&c->all, moment_ms(c, moment), &then);
    if (result != TOTALS_OK)
        return DB_ENOMEM;
    if (moment == MOMENT_COUNT - 1)
        result = choose_panels(c, &then);
    for (size_t i = 0; i < then.row_count; i++) {
        for (size_t k = 0; k < c->panel_count; k++) {
            struct panel *panel = &c->panels[k];
            if (!same_indicator(&panel->key, &then.rows[i].key))
                continue;
            panel->values[moment] += then.rows[i].value;
            if (panel->values[moment] > panel->max)
                panel->max = panel->values[moment];
        }
    }
    totals_free(&then);
    return result;
}

/* ---- drawing ---- */

static void put_text(struct strbuf *out, int x, int y, const char *look, const char *words)
{
    strbuf_putf(out, "<text x=\"%d\" y=\"%d\" %s>", x, y, look);
    strbuf_put_html(out, words);
    strbuf_put(out, "</text>\n");
}

/* Steps, because a figure holds until the next report. */
static void put_curve(const struct panel *panel, int left, int top, struct strbuf *out)
{
    strbuf_put(out, "<path fill=\"#1d5fa8\" fill-opacity=\".15\" stroke=\"#1d5fa8\" "
                    "stroke-width=\"2\" d=\"");
    for (int m = 0; m < MOMENT_COUNT; m++) {
        int64_t value = panel->values[m];
        int height = panel->max > 0 ? (int)((double)value / (double)panel->max * PLOT_HEIGHT) : 0;
        int x = left + PLOT_WIDTH * m / (MOMENT_COUNT - 1), y = top + PLOT_HEIGHT - height;
        if (m == 0)
            strbuf_putf(out, "M%d %dV%d", x, top + PLOT_HEIGHT, y);
        else
            strbuf_putf(out, "H%dV%d", x, y);
    }
    strbuf_putf(out, "V%dZ\"/>\n", top + PLOT_HEIGHT);
}

static void put_panel(const struct course *c, size_t index, struct strbuf *out)
{
    const struct panel *panel = &c->panels[index];
    const struct catalogue_item *item =
        c->query->catalogue ? catalogue_get(c->query->catalogue, panel->key.kind, panel->key.code)
                            : NULL;
    int left = (int)(index % PANEL_COLUMN_COUNT) * PANEL_WIDTH + PLOT_LEFT;
    int top = (int)(index / PANEL_COLUMN_COUNT) * PANEL_HEIGHT + HEAD_HEIGHT;
    char name[NAME_LEN], value[CATALOGUE_VALUE_LEN], from[LANG_TIME_LEN], until[LANG_TIME_LEN];
    books_item_name(c->query, &panel->key, name, sizeof name);
    catalogue_value_format(item, panel->values[MOMENT_COUNT - 1],
                           lang_catalogue(c->query->language), true, value, sizeof value);
    lang_time_utc(c->from_ms, from);
    lang_time_utc(c->until_ms, until);
    put_text(out, left, top + 16, "font-size=\"13\"", name);
    put_text(out, left, top + 37, "font-size=\"18\" font-weight=\"bold\"", value);
    put_curve(panel, left, top + PLOT_TOP, out);
    strbuf_putf(out, "<path stroke=\"#555\" d=\"M%d %dh%d\"/>\n", left,
                top + PLOT_TOP + PLOT_HEIGHT, PLOT_WIDTH);
    put_text(out, left, top + PLOT_TOP + PLOT_HEIGHT + 14, "font-size=\"11\" fill=\"#555\"", from);
    put_text(out, left + PLOT_WIDTH, top + PLOT_TOP + PLOT_HEIGHT + 14,
             "font-size=\"11\" fill=\"#555\" text-anchor=\"end\"", until);
}

static void draw(const struct course *c, struct strbuf *out)
{
    size_t row_count = (c->panel_count + PANEL_COLUMN_COUNT - 1) / PANEL_COLUMN_COUNT;
    int width = PANEL_WIDTH * PANEL_COLUMN_COUNT;
    int height = HEAD_HEIGHT + (int)row_count * PANEL_HEIGHT + 12;
    const char *title = lang_text(c->query->language, LANG_COURSE);
    strbuf_putf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "
                     "xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                     "viewBox=\"0 0 %d %d\" role=\"img\" font-family=\"sans-serif\">\n<title>",
                width, height, width, height);
    strbuf_put_html(out, title);
    strbuf_put(out, "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    put_text(out, PLOT_LEFT, 28, "font-size=\"18\" font-weight=\"bold\"",
             c->panel_count > 0 ? title : lang_text(c->query->language, LANG_NO_FIGURES));
    for (size_t i = 0; i < c->panel_count; i++)
        put_panel(c, i, out);
    strbuf_put(out, "</svg>\n");
}

int books_chart(const struct books_query *q, struct strbuf *out)
{
    struct course *c = calloc(1, sizeof *c);
    if (!c)
        return DB_ENOMEM;
    c->query = q;
    int result = collect(c);
    /* The last moment first: it decides which indicators are drawn. */
    for (int m = MOMENT_COUNT - 1; m >= 0 && result >= 0 && c->all.claim_count > 0; m--)
        result = fill_moment(c, m);
    if (result >= 0)
        draw(c, out);
    totals_free(&c->all);
    free(c);
    return result < 0 ? result : out->failed ? DB_ENOMEM : 0;
}
