#include "gateway/totals.h"

#include <sodium.h>
#include <stdlib.h>

enum {
    ARRAY_CAP_MIN = 64,
    NEWEST_CAP_MIN = 1024,
    MINUTE_MS = 60 * 1000,
};

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
    free(t->newest);
    free(t->answers);
    free(t->corrections);
    free(t->rows);
    free(t->sums);
    *t = (struct totals){ .filter = t->filter };
}

static bool in_time(const struct totals *t, const struct db_record *record)
{
    return t->filter.as_of_ms == 0 || record->received_ms <= t->filter.as_of_ms;
}

static uint32_t said_village(const struct db_record *record)
{
    return record->moved ? record->said_village : record->village;
}

/* Where nobody moved anything, other villages need not be looked at; else rows are chosen. */
static bool is_asked(const struct totals *t, const struct db_record *record)
{
    const struct totals_filter *f = &t->filter;
    return record->drill == f->drills && record->variant == 0 && in_time(t, record) &&
           (f->event < 0 || record->event == f->event) &&
           (f->village == 0 || t->moves || said_village(record) == f->village);
}

static bool is_asked_indicator(const struct totals *t, uint8_t kind, uint32_t code)
{
    const struct totals_filter *f = &t->filter;
    for (size_t i = 0; i < f->indicator_count; i++)
        if (f->indicators[i].kind == kind && f->indicators[i].code == code)
            return true;
    return f->indicator_count == 0;
}

int64_t totals_happened_ms(const struct db_record *record)
{
    int64_t said_ms = KENG_EPOCH_UNIX_S * 1000 + (int64_t)record->created_min * MINUTE_MS;
    return record->clock_set && said_ms < record->received_ms ? said_ms : record->received_ms;
}

/* The moment of a record that counts here. */
static int64_t time_of(const struct totals *t, const struct db_record *record)
{
    return t->filter.happened ? totals_happened_ms(record) : record->received_ms;
}

static void note_time(struct totals *t, int64_t at_ms)
{
    if (t->from_ms == 0 || at_ms < t->from_ms)
        t->from_ms = at_ms;
    if (at_ms > t->until_ms)
        t->until_ms = at_ms;
}

static int add_claim(struct totals *t, const struct totals_claim *claim, bool answered);
static bool is_answered(const struct totals *t, const struct totals_claim *claim);

int totals_add(struct totals *t, const struct db_record *record,
               const struct report_figure *figures, size_t figure_count)
{
    struct totals_claim claim = {
        .key = { .commune = record->commune,
                 .village = said_village(record),
                 .event = record->event,
                 .kind = record->kind },
        .arrival = record->arrival,
        .received_ms = time_of(t, record),
        .said_village = said_village(record),
        .seq = record->ref.seq,
        .author = record->ref.author,
    };
    if (!is_asked(t, record))
        return TOTALS_OK;
    bool answered = is_answered(t, &claim);
    for (size_t i = 0; i < figure_count; i++) {
        if (!is_asked_indicator(t, record->kind, figures[i].code))
            continue;
        note_time(t, totals_happened_ms(record));
        claim.key.code = figures[i].code;
        claim.claimed = figures[i].value;
        if (add_claim(t, &claim, answered) != TOTALS_OK)
            return TOTALS_ENOMEM;
    }
    return TOTALS_OK;
}

int totals_add_review(struct totals *t, const struct db_record *record,
                      const struct review *review)
{
    size_t figure_at = t->correction_count;
    if (!in_time(t, record) || record->variant != 0)
        return TOTALS_OK;
    for (size_t i = 0; i < review->figure_count; i++) {
        void *list = t->corrections;
        if (!grow(&list, t->correction_count, &t->correction_cap, sizeof *t->corrections))
            return TOTALS_ENOMEM;
        t->corrections = list;
        t->corrections[t->correction_count++] = review->figures[i];
    }
    for (size_t i = 0; i < review->ref_count; i++) {
        void *list = t->answers;
        if (review->refs[i].lane != 0)
            continue; /* reports live in lane 0 */
        if (!grow(&list, t->answer_count, &t->answer_cap, sizeof *t->answers))
            return TOTALS_ENOMEM;
        t->answers = list;
        t->moves = t->moves || review->village != 0;
        t->answers[t->answer_count++] = (struct totals_answer){
            .commune = record->commune,
            .arrival = record->arrival,
            .received_ms = time_of(t, record),
            .of_seq = review->refs[i].seq,
            .seq = record->ref.seq,
            .village = review->village,
            .of_author = review->refs[i].author,
            .reviewer = record->ref.author,
            .state = (uint8_t)review->state,
            .figure_count = (uint8_t)review->figure_count,
            .figure_at = figure_at,
        };
    }
    return TOTALS_OK;
}

#define COMPARE(a, b)         \
    do {                      \
        if ((a) != (b))       \
            return (a) < (b) ? -1 : 1; \
    } while (0)

int totals_compare_keys(const struct totals_key *a, const struct totals_key *b)
{
    COMPARE(a->commune, b->commune);
    COMPARE(a->village, b->village);
    COMPARE(a->event, b->event);
    COMPARE(a->kind, b->kind);
    COMPARE(a->code, b->code);
    return 0;
}

/* ---- answers ---- */

/* By report, then reviewer, then newest number first. */
static int compare_answers(const void *left, const void *right)
{
    const struct totals_answer *a = left, *b = right;
    COMPARE(a->commune, b->commune);
    COMPARE(a->of_author, b->of_author);
    COMPARE(a->of_seq, b->of_seq);
    COMPARE(a->reviewer, b->reviewer);
    COMPARE(b->seq, a->seq);
    return 0;
}

static int compare_report(const struct totals_answer *answer, const struct totals_claim *claim)
{
    COMPARE(answer->commune, claim->key.commune);
    COMPARE(answer->of_author, claim->author);
    COMPARE(answer->of_seq, claim->seq);
    return 0;
}

/* Answers to one report: a stretch of the sorted list. */
static size_t find_answers(const struct totals *t, const struct totals_claim *claim)
{
    size_t low = 0, high = t->answer_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_report(&t->answers[middle], claim) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- which claims are kept ---- */

/* The first of the filter's moments at which a claim is there. */
static size_t moment_of(const struct totals *t, const struct totals_claim *claim)
{
    size_t low = 0, high = t->filter.moment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->filter.moments_ms[middle] < claim->received_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_answered(const struct totals *t, const struct totals_claim *claim)
{
    size_t i = find_answers(t, claim);
    return i < t->answer_count && compare_report(&t->answers[i], claim) == 0;
}

/* Where a claim's place stands, or is to stand. */
static uint32_t *newest_slot(const struct totals *t, const struct totals_claim *claim)
{
    const struct totals_key *key = &claim->key;
    size_t moment = moment_of(t, claim);
    const uint64_t parts[] = { key->village, key->event, key->code, key->kind, claim->author,
                               moment };
    uint64_t hash;
    /* Villages and codes are what members say: without a key they could be chosen to collide. */
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)parts, sizeof parts, t->newest_key);
    for (size_t at = (size_t)hash;; at++) {
        uint32_t *slot = &t->newest[at & (t->newest_cap - 1)];
        const struct totals_claim *other = *slot != 0 ? &t->claims[*slot - 1] : NULL;
        if (!other || (other->author == claim->author && moment_of(t, other) == moment &&
                       totals_compare_keys(&other->key, key) == 0))
            return slot;
    }
}

/* At most half full, so that a search soon meets a free place. */
static int widen_newest(struct totals *t)
{
    struct totals wide = *t;
    if (2 * t->newest_count < t->newest_cap)
        return TOTALS_OK;
    wide.newest_cap = 2 * t->newest_cap;
    wide.newest = calloc(wide.newest_cap, sizeof *wide.newest);
    if (!wide.newest)
        return TOTALS_ENOMEM;
    for (size_t i = 0; i < t->newest_cap; i++)
        if (t->newest[i] != 0)
            *newest_slot(&wide, &t->claims[t->newest[i] - 1]) = t->newest[i];
    free(t->newest);
    *t = wide;
    return TOTALS_OK;
}

/* Unanswered, a claim holds from its moment on, and no older one of its author can count then.  All
 * answers are there and sorted. */
static int add_claim(struct totals *t, const struct totals_claim *claim, bool answered)
{
    uint32_t *slot = NULL;
    void *list = t->claims;
    if (t->newest_cap > 0) {
        if (widen_newest(t) != TOTALS_OK)
            return TOTALS_ENOMEM;
        slot = newest_slot(t, claim);
    }
    struct totals_claim *other = slot && *slot != 0 ? &t->claims[*slot - 1] : NULL;
    if (other && other->seq > claim->seq && !(answered && t->moves))
        return TOTALS_OK; /* answered, it may count in another village */
    if (other && other->seq < claim->seq && !answered) {
        *other = *claim;
        return TOTALS_OK;
    }
    if (!grow(&list, t->claim_count, &t->claim_cap, sizeof *t->claims))
        return TOTALS_ENOMEM;
    t->claims = list;
    t->claims[t->claim_count++] = *claim;
    if (slot && !other && !answered) {
        *slot = (uint32_t)t->claim_count;
        t->newest_count++;
    }
    return TOTALS_OK;
}

static const struct report_figure *find_correction(const struct totals *t,
                                                   const struct totals_answer *a, uint32_t code)
{
    for (size_t i = a->figure_at; i < a->figure_at + a->figure_count; i++)
        if (t->corrections[i].code == code)
            return &t->corrections[i];
    return NULL;
}

enum subject { SUBJECT_STATE, SUBJECT_VILLAGE, SUBJECT_FIGURE };

static bool speaks_of(const struct totals *t, const struct totals_answer *a, enum subject subject,
                      uint32_t code)
{
    return subject == SUBJECT_STATE || (subject == SUBJECT_VILLAGE && a->village != 0) ||
           (subject == SUBJECT_FIGURE && find_correction(t, a, code));
}

/* Of each reviewer his newest answer that speaks of the subject, of these the last to come. */
static const struct totals_answer *choose_answer(const struct totals *t,
                                                 const struct totals_claim *claim,
                                                 enum subject subject)
{
    const struct totals_answer *chosen = NULL, *last = NULL;
    for (size_t i = find_answers(t, claim);
         i < t->answer_count && compare_report(&t->answers[i], claim) == 0; i++) {
        const struct totals_answer *a = &t->answers[i];
        if ((last && last->reviewer == a->reviewer) ||
            !speaks_of(t, a, subject, claim->key.code))
            continue;
        last = a;
        if (!chosen || a->arrival > chosen->arrival)
            chosen = a;
    }
    return chosen;
}

static void judge(const struct totals *t, struct totals_claim *claim)
{
    const struct totals_answer *answer = choose_answer(t, claim, SUBJECT_STATE);
    const struct totals_answer *correction =
        answer ? choose_answer(t, claim, SUBJECT_FIGURE) : NULL;
    claim->state = answer ? answer->state : 0;
    claim->value = correction ? find_correction(t, correction, claim->key.code)->value
                              : claim->claimed;
    if (claim->state == REVIEW_MET && claim->key.kind == RECORD_NEEDS &&
        claim->value != REVIEW_UNKNOWN)
        claim->value = 0;
    bool approved = claim->state == REVIEW_APPROVED || claim->state == REVIEW_CORRECTED ||
                    claim->state == REVIEW_MET;
    bool out = claim->state == REVIEW_REJECTED || claim->state == REVIEW_JOINED ||
               claim->value == REVIEW_UNKNOWN || (t->filter.approved && !approved);
    claim->standing = out ? TOTALS_LEFT_OUT : TOTALS_DIFFERS;
}

/* ---- rows ---- */

/* By key, then author, then newest number first. */
static int compare_claims(const void *left, const void *right)
{
    const struct totals_claim *a = left, *b = right;
    int order = totals_compare_keys(&a->key, &b->key);
    if (order != 0)
        return order;
    COMPARE(a->author, b->author);
    COMPARE(b->seq, a->seq);
    return 0;
}

static void take_claim(struct totals_row *row, const struct totals_claim *claim)
{
    if (row->author_count == 0 || claim->value < row->low)
        row->low = claim->value;
    if (row->author_count == 0 || claim->value > row->high)
        row->high = claim->value;
    if (row->author_count == 0 || claim->arrival > row->arrival) {
        row->value = claim->value;
        row->seq = claim->seq;
        row->author = claim->author;
        row->arrival = claim->arrival;
    }
    row->author_count++;
}

static int compare_sums(const void *left, const void *right)
{
    const struct totals_sum *a = left, *b = right;
    return totals_compare_keys(&a->key, &b->key);
}

/* Each row becomes a sum of one village; equal keys are then folded together. */
int totals_regroup(struct totals *t, totals_group_fn group, void *ctx)
{
    struct totals_sum *sums = realloc(t->sums, (t->row_count + 1) * sizeof *sums);
    if (!sums)
        return TOTALS_ENOMEM;
    t->sums = sums;
    for (size_t i = 0; i < t->row_count; i++) {
        t->sums[i] = (struct totals_sum){
            .key = t->rows[i].key, .value = t->rows[i].value, .village_count = 1
        };
        t->sums[i].key.village = 0;
        t->sums[i].key.commune = group(ctx, t->rows[i].key.commune);
    }
    if (t->row_count > 0)
        qsort(t->sums, t->row_count, sizeof *t->sums, compare_sums);
    t->sum_count = 0;
    for (size_t i = 0; i < t->row_count; i++) {
        struct totals_sum *last = t->sum_count ? &t->sums[t->sum_count - 1] : NULL;
        if (last && totals_compare_keys(&last->key, &t->sums[i].key) == 0) {
            last->value += t->sums[i].value;
            last->village_count++;
        } else {
            t->sums[t->sum_count++] = t->sums[i];
        }
    }
    return TOTALS_OK;
}

static int64_t by_itself(void *ctx, int64_t commune)
{
    (void)ctx;
    return commune;
}

/* The claims under one key, [from, to): at most one row. */
static int reduce(struct totals *t, size_t from, size_t to)
{
    struct totals_row row = { .key = t->claims[from].key };
    const struct totals_claim *newest = NULL; /* of the present author */
    void *list = t->rows;
    if (!grow(&list, t->row_count, &t->row_cap, sizeof *t->rows))
        return TOTALS_ENOMEM;
    t->rows = list;
    for (size_t i = from; i < to; i++) {
        struct totals_claim *claim = &t->claims[i];
        judge(t, claim);
        if (claim->standing == TOTALS_LEFT_OUT)
            continue;
        if (newest && newest->author == claim->author) {
            claim->standing = TOTALS_OLDER;
            continue;
        }
        newest = claim;
        take_claim(&row, claim);
    }
    for (size_t i = from; i < to; i++)
        if (t->claims[i].standing == TOTALS_DIFFERS && t->claims[i].arrival == row.arrival)
            t->claims[i].standing = TOTALS_COUNTS;
    if (row.author_count > 0)
        t->rows[t->row_count++] = row;
    return TOTALS_OK;
}

static void sort_claims(struct totals *t)
{
    if (t->claim_count > 0)
        qsort(t->claims, t->claim_count, sizeof *t->claims, compare_claims);
}

static void sort_answers(struct totals *t)
{
    if (t->answer_count > 0)
        qsort(t->answers, t->answer_count, sizeof *t->answers, compare_answers);
}

/* Each claim to the village where it counts. */
static void place_claims(struct totals *t)
{
    for (size_t i = 0; t->moves && i < t->claim_count; i++) {
        struct totals_claim *claim = &t->claims[i];
        const struct totals_answer *move = choose_answer(t, claim, SUBJECT_VILLAGE);
        claim->key.village = move && move->village != REVIEW_VILLAGE_AUTHORS ? move->village
                                                                             : claim->said_village;
    }
}

static bool is_row_asked(const struct totals *t, const struct totals_claim *claim)
{
    return t->filter.village == 0 || claim->key.village == t->filter.village;
}

static int add_rows(struct totals *t)
{
    sort_answers(t);
    place_claims(t);
    sort_claims(t);
    for (size_t from = 0, to; from < t->claim_count; from = to) {
        for (to = from + 1; to < t->claim_count; to++)
            if (totals_compare_keys(&t->claims[from].key, &t->claims[to].key) != 0)
                break;
        if (is_row_asked(t, &t->claims[from]) && reduce(t, from, to) != TOTALS_OK)
            return TOTALS_ENOMEM;
    }
    return TOTALS_OK;
}

int totals_finish(struct totals *t)
{
    t->row_count = t->sum_count = 0;
    return add_rows(t) == TOTALS_OK ? totals_regroup(t, by_itself, NULL) : TOTALS_ENOMEM;
}

int totals_settle(struct totals *t)
{
    int result = add_rows(t);
    t->claim_count = t->answer_count = t->correction_count = 0;
    t->moves = false;
    return result;
}

int totals_at(const struct totals *all, int64_t as_of_ms, struct totals *then_out)
{
    struct totals then = { .filter = all->filter, .moves = all->moves };
    then.claims = calloc(all->claim_count + 1, sizeof *then.claims);
    then.answers = calloc(all->answer_count + 1, sizeof *then.answers);
    then.corrections = calloc(all->correction_count + 1, sizeof *then.corrections);
    bool good = then.claims && then.answers && then.corrections;
    for (size_t i = 0; good && i < all->claim_count; i++)
        if (all->claims[i].received_ms <= as_of_ms)
            then.claims[then.claim_count++] = all->claims[i];
    for (size_t i = 0; good && i < all->answer_count; i++)
        if (all->answers[i].received_ms <= as_of_ms)
            then.answers[then.answer_count++] = all->answers[i];
    for (size_t i = 0; good && i < all->correction_count; i++)
        then.corrections[then.correction_count++] = all->corrections[i];
    if (!good || totals_finish(&then) != TOTALS_OK) {
        totals_free(&then);
        return TOTALS_ENOMEM;
    }
    *then_out = then;
    return TOTALS_OK;
}

/* The first row not before a key. */
static size_t find_row(const struct totals *t, const struct totals_key *key)
{
    size_t low = 0, high = t->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (totals_compare_keys(&t->rows[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool totals_has_village(const struct totals *t, int64_t commune, uint32_t village)
{
    struct totals_key first = { .commune = commune, .village = village };
    size_t at = find_row(t, &first);
    return at < t->row_count && t->rows[at].key.commune == commune &&
           t->rows[at].key.village == village;
}

/* ---- from the database ---- */

static int collect_report(void *ctx, const struct db_record *record)
{
    struct record_view view;
    struct report_figure figures[REPORT_FIGURE_COUNT_MAX];
    if (record_decode(record->bytes, record->len, &view) != RECORD_OK)
        return 0; /* damaged on the disk since it was judged: claims nothing */
    struct db_record claim = *record;
    claim.ref = view.ref;
    claim.kind = view.kind;
    claim.created_min = view.created_min;
    claim.clock_set = view.clock_set;
    size_t count = report_figures(view.body, view.body_len, figures);
    return totals_add(ctx, &claim, figures, count) == TOTALS_OK ? 0 : DB_ENOMEM;
}

static int collect_review(void *ctx, const struct db_record *record)
{
    struct record_view view;
    struct review review;
    if (record_decode(record->bytes, record->len, &view) != RECORD_OK ||
        review_decode(view.body, view.body_len, &review) != REPORT_OK)
        return 0;
    return totals_add_review(ctx, record, &review) == TOTALS_OK ? 0 : DB_ENOMEM;
}

int totals_collect(struct totals *t, struct db *db, int64_t commune,
                   const struct totals_filter *filter)
{
    t->filter = *filter;
    int result = db_record_reviews(db, commune, collect_review, t);
    sort_answers(t);
    if (!filter->all_claims && !filter->approved) {
        t->newest = calloc(NEWEST_CAP_MIN, sizeof *t->newest);
        t->newest_cap = NEWEST_CAP_MIN;
        crypto_shorthash_keygen(t->newest_key);
        if (!t->newest)
            result = DB_ENOMEM;
    }
    struct db_claim_filter asked = {
        .commune = commune, .event = filter->event, .until_ms = filter->as_of_ms,
        .village = filter->village,
        .kind = filter->indicator_count == 1 ? filter->indicators[0].kind : 0,
        .or_answered = t->moves,
    };
    if (result >= 0)
        result = db_record_claims(db, &asked, collect_report, t);
    free(t->newest);
    t->newest = NULL;
    t->newest_count = t->newest_cap = 0;
    return result;
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

struct gap_search {
    struct gaps *gaps;
    struct db *db;
    int64_t commune;
};

/* Only a log of fewer records than its last number is walked. */
static int search_log(void *ctx, const struct db_heard *heard)
{
    const struct gap_search *s = ctx;
    if (heard->count >= (int64_t)heard->seq)
        return 0;
    return db_record_numbers_of(s->db, s->commune, heard->author, collect_gap, s->gaps);
}

int gaps_collect(struct gaps *g, struct db *db, int64_t commune, int64_t as_of_ms)
{
    struct gap_search search = { g, db, commune };
    g->expected = 0;
    if (as_of_ms) /* how much was here then is not kept */
        return db_record_numbers(db, commune, as_of_ms, collect_gap, g);
    return db_record_heard(db, commune, search_log, &search);
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
    return db_record_numbers(db, commune, INT64_MAX, collect_held, h);
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
