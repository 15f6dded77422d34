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
};

struct panel {
    struct totals_key key; /* kind and code */
    uint32_t village_count;
    int64_t values[MOMENT_COUNT], max;
};

struct course {
    const struct books_query *query;
    int64_t moments_ms[MOMENT_COUNT];
    struct panel panels[PANEL_COUNT_MAX];
    size_t panel_count;
};

/* ---- panels ---- */

static bool same_indicator(const struct totals_key *a, const struct totals_key *b)
{
    return a->kind == b->kind && a->code == b->code;
}

/* States are no quantities. */
static bool is_quantity(const struct books_query *q, const struct totals_key *key)
{
    const struct catalogue_item *item = books_item(q, key);
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

/* ---- moments ---- */

static void add_row(struct course *c, int moment, const struct totals_row *row)
{
    for (size_t i = 0; i < c->panel_count; i++)
        if (same_indicator(&c->panels[i].key, &row->key))
            c->panels[i].values[moment] += row->value;
}

static int add_commune(struct course *c, int64_t commune, const struct totals_filter *filter)
{
    struct totals all = { .claims = NULL };
    int result = totals_collect(&all, c->query->ledger->db, commune, filter);
    for (int m = 0; m < MOMENT_COUNT && result >= 0 && all.claim_count > 0; m++) {
        struct totals then;
        if (totals_at(&all, c->moments_ms[m], &then) != TOTALS_OK) {
            result = DB_ENOMEM;
            break;
        }
        for (size_t i = 0; i < then.row_count; i++)
            add_row(c, m, &then.rows[i]);
        totals_free(&then);
    }
    totals_free(&all);
    return result;
}

static int collect(struct course *c, const struct books *b)
{
    const struct ledger *l = c->query->ledger;
    struct totals_indicator drawn[PANEL_COUNT_MAX] = { { 0, 0 } };
    struct totals_filter filter = books_filter(c->query, drawn);
    int64_t span_ms = b->totals.until_ms - b->totals.from_ms;
    int result = choose_panels(c, &b->totals);
    for (int m = 0; m < MOMENT_COUNT; m++)
        c->moments_ms[m] = b->totals.from_ms + span_ms * m / (MOMENT_COUNT - 1);
    for (size_t i = 0; i < c->panel_count; i++)
        drawn[i] = (struct totals_indicator){ c->panels[i].key.code, c->panels[i].key.kind };
    filter.indicator_count = c->panel_count;
    filter.happened = true;
    filter.moments_ms = c->moments_ms;
    filter.moment_count = MOMENT_COUNT;
    for (size_t i = 0; i < l->commune_count && c->panel_count > 0 && result >= 0; i++)
        if (books_is_wanted(c->query, &l->communes[i]))
            result = add_commune(c, l->communes[i].info.id, &filter);
    for (size_t i = 0; i < c->panel_count; i++)
        for (int m = 0; m < MOMENT_COUNT; m++)
            if (c->panels[i].values[m] > c->panels[i].max)
                c->panels[i].max = c->panels[i].values[m];
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
    const struct catalogue_item *item = books_item(c->query, &panel->key);
    int left = (int)(index % PANEL_COLUMN_COUNT) * PANEL_WIDTH + PLOT_LEFT;
    int top = (int)(index / PANEL_COLUMN_COUNT) * PANEL_HEIGHT + HEAD_HEIGHT;
    char name[NAME_LEN], value[CATALOGUE_VALUE_LEN], from[LANG_TIME_LEN], until[LANG_TIME_LEN];
    books_item_name(c->query, &panel->key, name, sizeof name);
    catalogue_value_format(item, panel->values[MOMENT_COUNT - 1],
                           lang_catalogue(c->query->language), true, value, sizeof value);
    lang_time_utc(c->moments_ms[0], from);
    lang_time_utc(c->moments_ms[MOMENT_COUNT - 1], until);
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

int books_chart(const struct books_query *q, const struct books *b, struct strbuf *out)
{
    struct course *c = calloc(1, sizeof *c);
    if (!c)
        return DB_ENOMEM;
    c->query = q;
    int result = collect(c, b);
    if (result >= 0)
        draw(c, out);
    free(c);
    return result < 0 ? result : out->failed ? DB_ENOMEM : 0;
}
