#include "gateway/totals.h"

#include <stdlib.h>

enum { ARRAY_CAP_MIN = 64 };

/* Room for one more element; false when memory ran out, and the array is as it was. */
static bool grow(void **list, size_t count, size_t *cap, size_t element_len)
{
    if (count < *cap)
        return true;
    size_t new_cap = *cap ? 2 * *cap : ARRAY_CAP_MIN;
    void *grown = realloc(*list, new_cap * element_len);
    if (!grown)
        return false;
    *list = grown;
    *cap = new_cap;
    return true;
}

void totals_free(struct totals *t)
{
    free(t->claims);
    free(t->rows);
    free(t->sums);
    *t = (struct totals){ 0 };
}

int totals_add(struct totals *t, const struct db_record *record, const struct report *report)
{
    if (record->drill || record->variant != 0 || record->review_state == REVIEW_REJECTED)
        return TOTALS_OK;
    for (size_t i = 0; i < report->figure_count; i++) {
        void *list = t->claims;
        if (!grow(&list, t->claim_count, &t->claim_cap, sizeof *t->claims))
            return TOTALS_ENOMEM;
        t->claims = list;
        t->claims[t->claim_count++] = (struct totals_claim){
            .key = { .commune = record->commune,
                     .village = record->village,
                     .event = record->event,
                     .code = report->figures[i].code,
                     .kind = record->kind },
            .arrival = record->arrival,
            .value = report->figures[i].value,
            .seq = record->ref.seq,
            .author = record->ref.author,
        };
    }
    return TOTALS_OK;
}

#define COMPARE(a, b)         \
    do {                      \
        if ((a) != (b))       \
            return (a) < (b) ? -1 : 1; \
    } while (0)

static int compare_keys(const struct totals_key *a, const struct totals_key *b)
{
    COMPARE(a->commune, b->commune);
    COMPARE(a->village, b->village);
    COMPARE(a->event, b->event);
    COMPARE(a->kind, b->kind);
    COMPARE(a->code, b->code);
    return 0;
}

/* By key, then author, then newest number first. */
static int compare_claims(const void *left, const void *right)
{
    const struct totals_claim *a = left, *b = right;
    int order = compare_keys(&a->key, &b->key);
    if (order != 0)
        return order;
    COMPARE(a->author, b->author);
    COMPARE(b->seq, a->seq);
    return 0;
}

static void take_claim(struct totals_row *row, const struct totals_claim *claim,
                       int64_t *newest_arrival)
{
    if (row->author_count == 0 || claim->value < row->low)
        row->low = claim->value;
    if (row->author_count == 0 || claim->value > row->high)
        row->high = claim->value;
    if (row->author_count == 0 || claim->arrival > *newest_arrival) {
        row->value = claim->value;
        row->seq = claim->seq;
        row->author = claim->author;
        *newest_arrival = claim->arrival;
    }
    row->author_count++;
}

static int compare_sums(const void *left, const void *right)
{
    const struct totals_sum *a = left, *b = right;
    return compare_keys(&a->key, &b->key);
}

/* Each row becomes a sum of one village; equal keys are then folded together. */
static void add_up(struct totals *t)
{
    for (size_t i = 0; i < t->row_count; i++) {
        t->sums[i] = (struct totals_sum){
            .key = t->rows[i].key, .value = t->rows[i].value, .village_count = 1
        };
        t->sums[i].key.village = 0;
    }
    if (t->row_count > 0)
        qsort(t->sums, t->row_count, sizeof *t->sums, compare_sums);
    t->sum_count = 0;
    for (size_t i = 0; i < t->row_count; i++) {
        struct totals_sum *last = t->sum_count ? &t->sums[t->sum_count - 1] : NULL;
        if (last && compare_keys(&last->key, &t->sums[i].key) == 0) {
            last->value += t->sums[i].value;
            last->village_count++;
        } else {
            t->sums[t->sum_count++] = t->sums[i];
        }
    }
}

int totals_finish(struct totals *t)
{
    free(t->rows);
    free(t->sums);
    t->row_count = t->sum_count = 0;
    t->sums = NULL;
    t->rows = calloc(t->claim_count + 1, sizeof *t->rows);
    if (t->rows)
        t->sums = calloc(t->claim_count + 1, sizeof *t->sums);
    if (!t->sums)
        return TOTALS_ENOMEM;
    if (t->claim_count > 0)
        qsort(t->claims, t->claim_count, sizeof *t->claims, compare_claims);
    int64_t newest_arrival = 0;
    for (size_t i = 0; i < t->claim_count; i++) {
        const struct totals_claim *claim = &t->claims[i];
        struct totals_row *row = t->row_count ? &t->rows[t->row_count - 1] : NULL;
        if (!row || compare_keys(&row->key, &claim->key) != 0) {
            row = &t->rows[t->row_count++];
            row->key = claim->key;
        } else if (t->claims[i - 1].author == claim->author) {
            continue; /* an older figure of the same author */
        }
        take_claim(row, claim, &newest_arrival);
    }
    add_up(t);
    return TOTALS_OK;
}

static int collect_report(void *ctx, const struct db_record *record)
{
    struct record_view view;
    struct report report;
    if (record_decode(record->bytes, record->len, &view) != RECORD_OK ||
        report_decode(view.body, view.body_len, &report) != REPORT_OK)
        return 0; /* damaged on the disk since it was judged: claims nothing */
    return totals_add(ctx, record, &report) == TOTALS_OK ? 0 : DB_ENOMEM;
}

int totals_collect(struct totals *t, struct db *db, int64_t commune)
{
    return db_record_reports(db, commune, collect_report, t);
}

/* ---- gaps ---- */

void gaps_free(struct gaps *g)
{
    free(g->list);
    *g = (struct gaps){ 0 };
}

/* Numbers must come by author, ascending. */
int gaps_add(struct gaps *g, int64_t commune, uint16_t author, uint32_t seq)
{
    if (g->expected == 0 || g->author != author) {
        g->author = author;
        g->expected = 1;
    }
    if (seq > g->expected) {
        void *list = g->list;
        if (!grow(&list, g->count, &g->cap, sizeof *g->list))
            return TOTALS_ENOMEM;
        g->list = list;
        g->list[g->count++] = (struct gap){
            .commune = commune, .first = g->expected, .last = seq - 1, .author = author
        };
    }
    g->expected = seq + 1;
    return TOTALS_OK;
}

static int collect_gap(void *ctx, const struct db_record *record)
{
    int added = gaps_add(ctx, record->commune, record->ref.author, record->ref.seq);
    return added == TOTALS_OK ? 0 : DB_ENOMEM;
}

int gaps_collect(struct gaps *g, struct db *db, int64_t commune)
{
    g->expected = 0;
    return db_record_numbers(db, commune, collect_gap, g);
}

/* ---- what is held without a gap ---- */

void held_free(struct held_table *h)
{
    free(h->list);
    *h = (struct held_table){ 0 };
}

/* Numbers must come by author, ascending. */
int held_add(struct held_table *h, uint16_t author, uint32_t seq)
{
    struct held *last = h->count ? &h->list[h->count - 1] : NULL;
    if (!last || last->author != author) {
        void *list = h->list;
        if (!grow(&list, h->count, &h->cap, sizeof *h->list))
            return TOTALS_ENOMEM;
        h->list = list;
        last = &h->list[h->count++];
        *last = (struct held){ .author = author };
    }
    if (seq == last->seq + 1)
        last->seq = seq;
    last->count++;
    return TOTALS_OK;
}

static int collect_held(void *ctx, const struct db_record *record)
{
    return held_add(ctx, record->ref.author, record->ref.seq) == TOTALS_OK ? 0 : DB_ENOMEM;
}

int held_collect(struct held_table *h, struct db *db, int64_t commune)
{
    return db_record_numbers(db, commune, collect_held, h);
}

const struct held *held_find(const struct held_table *h, uint16_t author)
{
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->list[middle].author < author)
            low = middle + 1;
        else
            high = middle;
    }
    return low < h->count && h->list[low].author == author ? &h->list[low] : NULL;
}

uint32_t held_get(const struct held_table *h, uint16_t author)
{
    const struct held *held = held_find(h, author);
    return held ? held->seq : 0;
}
