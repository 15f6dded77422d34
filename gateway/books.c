#include "gateway/books.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/books_findings.h"
#include "gateway/units.h"
#include "proto/csv.h"

enum { COLUMN_COUNT = 5, CELL_LEN = 256, CSV_ROW_LEN = 2048, PAGE_LINE_COUNT_MAX = 5000 };

/* ---- collecting ---- */

int64_t books_moment(const struct books_query *q)
{
    return q->as_of_ms ? q->as_of_ms : q->now_ms;
}

static uint32_t today(const struct books_query *q)
{
    return units_day_of_ms(books_moment(q));
}

bool books_is_named(const struct ledger_commune *c, const char *wanted)
{
    return strcmp(wanted, units_name(c)) == 0 || strcmp(wanted, c->info.name) == 0 ||
           strcmp(wanted, c->unit.name) == 0 || strcmp(wanted, c->unit.code) == 0;
}

/* A unit's figures are also those of what was merged into it. */
bool books_is_wanted(const struct books_query *q, const struct ledger_commune *c)
{
    return !q->commune || books_is_named(c, q->commune) ||
           books_is_named(units_now(q->ledger, c, today(q)), q->commune);
}

struct totals_filter books_filter(const struct books_query *q, const struct totals_indicator *only)
{
    struct totals_filter filter = totals_all();
    filter.as_of_ms = q->as_of_ms;
    filter.village = q->village;
    filter.event = q->event ? q->event : filter.event;
    filter.indicators = only;
    filter.indicator_count = q->kind ? 1 : 0;
    return filter;
}

const struct ledger_commune *books_today(const struct books_query *q,
                                         const struct ledger_commune *c)
{
    return units_now(q->ledger, c, today(q));
}

static int64_t group_of(void *ctx, int64_t commune)
{
    const struct books_query *q = ctx;
    const struct ledger_commune *c = ledger_get(q->ledger, commune);
    return c ? books_today(q, c)->info.id : commune;
}

int books_collect(const struct books_query *q, struct books *books_out)
{
    struct books b = { .totals = { .claims = NULL } };
    struct totals_indicator only = { q->code, q->kind };
    struct totals_filter filter = books_filter(q, &only);
    int result = 0;
    for (size_t i = 0; i < q->ledger->commune_count && result >= 0; i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        if (!books_is_wanted(q, c))
            continue;
        result = totals_collect(&b.totals, q->ledger->db, c->info.id, &filter);
        if (result >= 0 && totals_settle(&b.totals) != TOTALS_OK)
            result = DB_ENOMEM;
        if (result >= 0)
            result = gaps_collect(&b.gaps, q->ledger->db, c->info.id, q->as_of_ms);
    }
    if (result >= 0 && totals_regroup(&b.totals, group_of, (void *)(uintptr_t)q) != TOTALS_OK)
        result = DB_ENOMEM;
    b.totals.filter = totals_all(); /* `only` ends here */
    if (result < 0)
        books_free(&b);
    else
        *books_out = b;
    return result < 0 ? result : 0;
}

void books_free(struct books *b)
{
    totals_free(&b->totals);
    gaps_free(&b->gaps);
}

/* ---- names ---- */

static const char *text(const struct books_query *q, enum lang_text id)
{
    return lang_text(q->language, id);
}

static const char *commune_name(const struct books_query *q, int64_t commune)
{
    const struct ledger_commune *c = ledger_get(q->ledger, commune);
    return c ? units_name(c) : "?";
}

void books_commune_name(const struct books_query *q, int64_t commune, char *name, size_t cap)
{
    int64_t now = group_of((void *)(uintptr_t)q, commune);
    if (now == commune)
        snprintf(name, cap, "%s", commune_name(q, commune));
    else
        snprintf(name, cap, "%s (%s)", commune_name(q, now), commune_name(q, commune));
}

void books_village_name(const struct books_query *q, uint32_t number, char *name, size_t cap)
{
    const struct village *village = q->villages && q->ledger->commune_count == 1
                                        ? villages_get(q->villages, number, books_moment(q)) : NULL;
    if (number == 0)
        snprintf(name, cap, "%s", text(q, LANG_NO_VILLAGE));
    else if (village)
        snprintf(name, cap, "%s", village->name);
    else
        snprintf(name, cap, "%s %u", text(q, LANG_VILLAGE), (unsigned)number);
}

const struct catalogue_item *books_item(const struct books_query *q, const struct totals_key *key)
{
    return q->catalogue ? catalogue_get(q->catalogue, key->kind, key->code, books_moment(q)) : NULL;
}

void books_value(const struct books_query *q, const struct totals_key *key, int64_t value,
                 char words_out[static CATALOGUE_VALUE_LEN])
{
    catalogue_value_format(books_item(q, key), value, lang_catalogue(q->language), false, words_out,
                           CATALOGUE_VALUE_LEN);
}

const char *books_unit(const struct books_query *q, const struct totals_key *key)
{
    const struct catalogue_item *item = books_item(q, key);
    return !item ? "" : q->language == LANG_EN ? item->unit_en : item->unit;
}

void books_item_name(const struct books_query *q, const struct totals_key *key, char *name,
                     size_t cap)
{
    char buf[LANG_ITEM_LEN];
    snprintf(name, cap, "%s",
             lang_item(q->language, books_item(q, key), key->kind, key->code, buf));
}

/* ---- the table ---- */

static const enum lang_text HEADINGS[COLUMN_COUNT] = { LANG_COMMUNE, LANG_VILLAGE, LANG_INDICATOR,
                                                       LANG_VALUE, LANG_SOURCE };

struct line {
    char cells[COLUMN_COUNT][CELL_LEN];
};

static void put_event(const struct books_query *q, uint32_t event, char *cell)
{
    size_t len = strlen(cell);
    if (event)
        snprintf(cell + len, CELL_LEN - len, " (%s %u)", text(q, LANG_EVENT), (unsigned)event);
}

static void fill_line(const struct books_query *q, const struct totals_row *row, struct line *line)
{
    const struct catalogue_item *item = books_item(q, &row->key);
    char low[CATALOGUE_VALUE_LEN], high[CATALOGUE_VALUE_LEN];
    books_commune_name(q, row->key.commune, line->cells[0], CELL_LEN);
    books_village_name(q, row->key.village, line->cells[1], CELL_LEN);
    put_event(q, row->key.event, line->cells[1]);
    books_item_name(q, &row->key, line->cells[2], CELL_LEN);
    catalogue_value_format(item, row->value, lang_catalogue(q->language), true, line->cells[3],
                           CELL_LEN);
    int len = snprintf(line->cells[4], CELL_LEN, "%u-%u", (unsigned)row->author,
                       (unsigned)row->seq);
    if (row->low != row->high) {
        books_value(q, &row->key, row->low, low);
        books_value(q, &row->key, row->high, high);
        snprintf(line->cells[4] + len, CELL_LEN - (size_t)len, " (%s: %.50s - %.50s)",
                 text(q, LANG_DIFFER), low, high);
    }
}

/* Sums of states, or of one village, say nothing. */
static bool fill_sum(const struct books_query *q, const struct totals_sum *sum, struct line *line)
{
    const struct catalogue_item *item = books_item(q, &sum->key);
    struct totals_row row = { .key = sum->key, .value = sum->value };
    if (sum->village_count < 2 || (item && item->state_count > 0))
        return false;
    fill_line(q, &row, line);
    snprintf(line->cells[0], CELL_LEN, "%s", commune_name(q, sum->key.commune));
    snprintf(line->cells[1], CELL_LEN, "= %u %s", (unsigned)sum->village_count,
             text(q, LANG_VILLAGES));
    put_event(q, sum->key.event, line->cells[1]);
    line->cells[4][0] = '\0';
    return true;
}

typedef void (*line_fn)(void *ctx, size_t index, const struct line *line);

/* Heading, rows, sums, one after the other. */
static void each_line(const struct books_query *q, const struct totals *t, line_fn fn, void *ctx)
{
    struct line line;
    size_t index = 0;
    for (size_t c = 0; c < COLUMN_COUNT; c++)
        snprintf(line.cells[c], CELL_LEN, "%s", text(q, HEADINGS[c]));
    fn(ctx, index++, &line);
    for (size_t i = 0; i < t->row_count; i++) {
        fill_line(q, &t->rows[i], &line);
        fn(ctx, index++, &line);
    }
    for (size_t i = 0; i < t->sum_count; i++)
        if (fill_sum(q, &t->sums[i], &line))
            fn(ctx, index++, &line);
}

struct table {
    struct strbuf *out;
    size_t widths[COLUMN_COUNT];
};

static void widen(void *ctx, size_t index, const struct line *line)
{
    struct table *table = ctx;
    (void)index;
    for (size_t c = 0; c < COLUMN_COUNT; c++)
        if (lang_width(line->cells[c]) > table->widths[c])
            table->widths[c] = lang_width(line->cells[c]);
}

static void put_padded(struct strbuf *out, const char *cell, size_t width, bool right, bool last)
{
    size_t used = lang_width(cell);
    int pad = used < width ? (int)(width - used) : 0;
    if (right)
        strbuf_putf(out, "%*s%s%s", pad, "", cell, last ? "\n" : "  ");
    else
        strbuf_putf(out, "%s%*s%s", cell, last ? 0 : pad, "", last ? "\n" : "  ");
}

static void text_line(void *ctx, size_t index, const struct line *line)
{
    const struct table *table = ctx;
    for (size_t c = 0; c < COLUMN_COUNT; c++)
        put_padded(table->out, line->cells[c], table->widths[c], c == 3 && index > 0,
                   c == COLUMN_COUNT - 1);
}

/* Twice over the rows, so that none need be kept as text. */
static void text_table(const struct books_query *q, const struct totals *t, struct strbuf *out)
{
    struct table table = { .out = out };
    each_line(q, t, widen, &table);
    each_line(q, t, text_line, &table);
}

struct html {
    struct strbuf *out;
    char group[2 * CELL_LEN + 8]; /* what the rows are under */
};

/* Under headings of their own, so that three columns fit a phone. */
static void html_row(struct html *h, const char *group, const struct line *line,
                     const char *source, const char *class_name)
{
    if (strcmp(group, h->group) != 0) {
        strbuf_putf(h->out, "%s<tbody><tr><th colspan=\"3\" scope=\"rowgroup\">",
                    *h->group ? "</tbody>" : "");
        strbuf_put_html(h->out, group);
        strbuf_put(h->out, "</th></tr>\n");
        snprintf(h->group, sizeof h->group, "%s", group);
    }
    strbuf_putf(h->out, "<tr%s><td>", class_name);
    strbuf_put_html(h->out, line->cells[2]);
    strbuf_put(h->out, "</td><td class=\"value\">");
    strbuf_put_html(h->out, line->cells[3]);
    /* "101-27 (reports differ: 3 - 5)": the number is not broken at its hyphen. */
    size_t number_len = strcspn(source, " ");
    strbuf_putf(h->out, "</td><td class=\"dim\"><span class=\"whole\">%.*s</span>",
                (int)number_len, source);
    strbuf_put_html(h->out, source + number_len);
    strbuf_put(h->out, "</td></tr>\n");
}

/* Sums first: who opens this page looks for them.  How many figures stand behind them. */
static size_t html_table(const struct books_query *q, const struct totals *t, struct strbuf *out)
{
    struct html h = { .out = out };
    struct line line;
    char group[sizeof h.group], villages[CELL_LEN];
    size_t left = PAGE_LINE_COUNT_MAX;
    strbuf_putf(out, "<table class=\"figures-of\"><thead><tr><th>%s</th><th class=\"value\">%s</th>"
                     "<th>%s</th></tr></thead>\n", text(q, LANG_INDICATOR), text(q, LANG_VALUE),
                text(q, LANG_SOURCE));
    for (size_t i = 0; i < t->sum_count && left > 0; i++) {
        const struct totals_sum *sum = &t->sums[i];
        if (!fill_sum(q, sum, &line))
            continue;
        left--;
        snprintf(group, CELL_LEN, "%s", line.cells[0]);
        put_event(q, sum->key.event, group);
        snprintf(villages, sizeof villages, "%u %s", (unsigned)sum->village_count,
                 text(q, LANG_VILLAGES));
        html_row(&h, group, &line, villages, " class=\"sum\"");
    }
    for (size_t i = 0; i < t->row_count && i < left; i++) {
        fill_line(q, &t->rows[i], &line);
        snprintf(group, sizeof group, "%s · %s", line.cells[0], line.cells[1]);
        html_row(&h, group, &line, line.cells[4], "");
    }
    strbuf_putf(out, "%s</table>\n", *h.group ? "</tbody>" : "");
    return left < t->row_count ? left : t->row_count;
}

/* ---- all of it ---- */

/* What needs a look stands in the first line, and in full at the end, where a terminal stops. */
int books_text(const struct books_query *q, const struct books *b, struct strbuf *out)
{
    struct strbuf details = { .text = NULL };
    struct findings found;
    int result = findings_text(q, b, &details, &found);
    if (result >= 0) {
        findings_line(q, &found, out);
        strbuf_put(out, "\n");
        text_table(q, &b->totals, out);
        if (q->catalogue)
            strbuf_putf(out, "\n%s: %s\n", text(q, LANG_CATALOGUE), q->catalogue->version);
        strbuf_put(out, "\n");
        strbuf_put(out, details.text ? details.text : "");
    }
    strbuf_free(&details);
    return result < 0 ? result : out->failed ? DB_ENOMEM : 0;
}

/* No browser likes a page of 100,000 rows, and nobody reads one; a part says that it is one. */
static void html_cut(const struct books_query *q, size_t count, size_t shown, struct strbuf *out)
{
    char words[2 * CELL_LEN];
    if (shown < count)
        strbuf_putf(out, "<p><strong>%s</strong></p>\n",
                    lang_fill(q->language, LANG_P_PAGE_FIRST, words, sizeof words,
                              LANG_NUMBER(shown), LANG_NUMBER(count)));
}

/* On a page all of it stands before the table, where it opens. */
int books_html(const struct books_query *q, const struct books *b, struct strbuf *out)
{
    struct strbuf details = { .text = NULL }, line = { .text = NULL }, table = { .text = NULL };
    struct findings found;
    int result = findings_html(q, b, &details, &found);
    if (result >= 0) {
        findings_line(q, &found, &line);
        strbuf_put(out, "<p><strong>");
        strbuf_put_html(out, line.text ? line.text : "");
        strbuf_put(out, "</strong></p>\n<div class=\"findings\">\n");
        strbuf_put(out, details.text ? details.text : "");
        strbuf_put(out, "</div>\n");
        html_cut(q, b->totals.row_count, html_table(q, &b->totals, &table), out);
        strbuf_put(out, table.text ? table.text : "");
        out->failed = out->failed || table.failed;
        if (q->catalogue) {
            strbuf_putf(out, "<p>%s: ", text(q, LANG_CATALOGUE));
            strbuf_put_html(out, q->catalogue->version);
            strbuf_put(out, "</p>\n");
        }
    }
    strbuf_free(&line);
    strbuf_free(&table);
    strbuf_free(&details);
    return result < 0 ? result : out->failed ? DB_ENOMEM : 0;
}

/* ---- JSON ---- */

static void json_communes(const struct books_query *q, struct strbuf *out)
{
    for (size_t i = 0; i < q->ledger->commune_count; i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        strbuf_putf(out, "%s{\"id\":%" PRId64 ",\"name\":", i ? "," : "", c->info.id);
        strbuf_put_json(out, units_name(c));
        strbuf_put(out, ",\"network\":\"");
        strbuf_put_hex(out, c->info.network_id, sizeof c->info.network_id);
        strbuf_putf(out, "\",\"code\":\"%s\",\"now\":%" PRId64 "}", c->unit.code,
                    units_now(q->ledger, c, today(q))->info.id);
    }
}

static void json_rows(const struct books_query *q, const struct totals *t, struct strbuf *out)
{
    for (size_t i = 0; i < t->row_count; i++) {
        const struct totals_row *row = &t->rows[i];
        const struct catalogue_item *item = books_item(q, &row->key);
        char name[CELL_LEN];
        const char *kind = record_kind_name(row->key.kind);
        strbuf_putf(out, "%s\n{\"commune\":%" PRId64 ",\"village\":%u,\"village_name\":",
                    i ? "," : "", row->key.commune, (unsigned)row->key.village);
        books_village_name(q, row->key.village, name, sizeof name);
        strbuf_put_json(out, name);
        strbuf_putf(out, ",\"event\":%u,\"kind\":", (unsigned)row->key.event);
        strbuf_put_json(out, kind ? kind : "");
        strbuf_putf(out, ",\"code\":%u,\"indicator\":", (unsigned)row->key.code);
        books_item_name(q, &row->key, name, sizeof name);
        strbuf_put_json(out, name);
        strbuf_putf(out, ",\"value\":%" PRId64 ",\"decimals\":%u,\"unit\":", row->value,
                    item ? (unsigned)item->decimals : 0);
        strbuf_put_json(out, books_unit(q, &row->key));
        strbuf_putf(out, ",\"author\":%u,\"seq\":%u,\"authors\":%u,\"low\":%" PRId64
                         ",\"high\":%" PRId64 "}",
                    (unsigned)row->author, (unsigned)row->seq, (unsigned)row->author_count,
                    row->low, row->high);
    }
}

int books_json(const struct books_query *q, const struct books *b, struct strbuf *out)
{
    strbuf_put(out, "{\"catalogue\":");
    strbuf_put_json(out, q->catalogue ? q->catalogue->version : "");
    strbuf_put(out, ",\"communes\":[");
    json_communes(q, out);
    strbuf_put(out, "],\n\"totals\":[");
    json_rows(q, &b->totals, out);
    strbuf_put(out, "],\n");
    int result = findings_json(q, b, out);
    strbuf_put(out, "}\n");
    return result < 0 ? result : out->failed ? DB_ENOMEM : 0;
}

/* ---- CSV ---- */

static void csv_text(struct csv_writer *w, const char *cell)
{
    csv_write_text(w, cell, strlen(cell));
}

static void csv_row(const struct books_query *q, const struct totals_row *row,
                    struct csv_writer *w)
{
    const struct catalogue_item *item = books_item(q, &row->key);
    const struct ledger_commune *c = ledger_get(q->ledger, row->key.commune);
    unsigned decimals = item ? item->decimals : 0;
    char network[17] = "", cell[CELL_LEN];
    struct strbuf hex = { .text = NULL };
    const char *kind = record_kind_name(row->key.kind);
    if (c)
        strbuf_put_hex(&hex, c->info.network_id, sizeof network / 2);
    snprintf(network, sizeof network, "%s", hex.text ? hex.text : "");
    strbuf_free(&hex);
    csv_text(w, commune_name(q, row->key.commune));
    csv_text(w, network);
    csv_write_number(w, row->key.village, 0);
    books_village_name(q, row->key.village, cell, sizeof cell);
    csv_text(w, cell);
    csv_write_number(w, row->key.event, 0);
    csv_text(w, kind ? kind : "");
    csv_write_number(w, row->key.code, 0);
    csv_text(w, item ? item->code : "");
    books_item_name(q, &row->key, cell, sizeof cell);
    csv_text(w, cell);
    csv_write_number(w, row->value, decimals);
    csv_text(w, books_unit(q, &row->key));
    csv_write_number(w, row->author, 0);
    csv_write_number(w, row->seq, 0);
    csv_write_number(w, row->author_count, 0);
    csv_write_number(w, row->low, decimals);
    csv_write_number(w, row->high, decimals);
    /* In words, with its unit: the number of a state means nothing in a spreadsheet. */
    catalogue_value_format(item, row->value, lang_catalogue(q->language), true, cell, sizeof cell);
    csv_text(w, cell);
    csv_text(w, commune_name(q, group_of((void *)(uintptr_t)q, row->key.commune)));
    csv_text(w, q->catalogue ? q->catalogue->version : "");
    csv_write_end_row(w);
}

int books_csv(const struct books_query *q, const struct books *b, struct strbuf *out)
{
    static const char *const COLUMNS[] = { "commune", "network", "village", "village_name", "event",
                                           "kind", "code", "official_code", "indicator", "value",
                                           "unit", "author", "seq", "authors", "low", "high",
                                           "shown", "part_of", "catalogue" };
    char row[CSV_ROW_LEN];
    struct csv_writer w = csv_writer(row, sizeof row);
    csv_write_bom(&w);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        csv_text(&w, COLUMNS[i]);
    csv_write_end_row(&w);
    strbuf_put_len(out, row, w.len);
    for (size_t i = 0; i < b->totals.row_count && !w.failed; i++) {
        w = csv_writer(row, sizeof row);
        csv_row(q, &b->totals.rows[i], &w);
        strbuf_put_len(out, row, w.len);
    }
    return w.failed || out->failed ? DB_ENOMEM : 0;
}
