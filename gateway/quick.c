#include "gateway/quick.h"

#include <assert.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/lang.h"

enum {
    FORMAT = 2,
    FORMAT_FIRST = 1, /* knew neither last_number nor withdrawn */
    SUM_COUNT_MIN = 1024,
};

void quick_free(struct quick *q)
{
    free(q->lines);
    q->lines = NULL;
    q->line_count = 0;
}

/* Cuts at a character's end. */
static void copy_text(char *out, size_t cap, const char *text)
{
    size_t len = strlen(text);
    if (len >= cap)
        for (len = cap - 1; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80; len--)
            ;
    memcpy(out, text, len);
    out[len] = '\0';
}
#define COPY(array, text) copy_text(array, sizeof(array), text)

/* ---- figures --------------------------------------------------------------------------------- */

static void name_village(struct quick_line *line, const struct villages *villages, int64_t at_ms)
{
    const struct village *v = villages ? villages_get(villages, line->village, at_ms) : NULL;
    if (v) {
        COPY(line->village_name, v->name);
        line->lat_e5 = v->lat_e5;
        line->lon_e5 = v->lon_e5;
    } else if (line->village != 0) {
        snprintf(line->village_name, sizeof line->village_name, "%u", (unsigned)line->village);
    }
}

static const struct catalogue_item *find_item(const struct quick *q,
                                              const struct quick_line *line,
                                              const struct catalogue *catalogue)
{
    return catalogue ? catalogue_get(catalogue, line->kind, line->code, q->until_ms) : NULL;
}

static void name_indicator(struct quick_line *line, const struct catalogue_item *item)
{
    char buf[LANG_ITEM_LEN];
    line->counted = !item || item->quick_report;
    /* a number of a later catalogue is shown as a number, never dropped */
    COPY(line->name_vi, lang_item(LANG_VI, item, line->kind, line->code, buf));
    COPY(line->name_en, lang_item(LANG_EN, item, line->kind, line->code, buf));
    if (!item)
        return;
    line->decimals = item->decimals;
    line->is_state = item->state_count > 0;
    COPY(line->official, item->code);
    COPY(line->unit_vi, item->unit);
    COPY(line->unit_en, item->unit_en); /* none where the name says it: "Houses flooded" */
}

static int compare_lines(const struct quick_line *a, const struct quick_line *b)
{
    if (a->village != b->village)
        return a->village < b->village ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->code < b->code ? -1 : a->code > b->code;
}

/* A figure that is no more takes its "before" along unless it stays as a line: the sums would call
 * what is left unchanged. */
static void put_withdrawn(struct quick *q, const struct quick_line *was,
                          const struct catalogue *catalogue, const struct villages *villages)
{
    if (was->withdrawn)
        return;
    const struct catalogue_item *item = find_item(q, was, catalogue);
    struct quick_line *line = &q->lines[q->line_count++];
    *line = *was;
    line->withdrawn = true;
    line->before = was->value;
    line->value = line->low = line->high = 0;
    name_village(line, villages, q->until_ms);
    if (item) /* else as it was called then */
        name_indicator(line, item);
}

void quick_make_line(const struct quick *q, const struct totals_row *row,
                     const struct catalogue *catalogue, const struct villages *villages,
                     struct quick_line *line)
{
    *line = (struct quick_line){ .village = row->key.village, .code = row->key.code,
                                 .kind = row->key.kind, .value = row->value, .before = -1,
                                 .low = row->low, .high = row->high, .seq = row->seq,
                                 .author = row->author };
    const struct catalogue_item *item = find_item(q, line, catalogue);
    name_village(line, villages, q->until_ms);
    name_indicator(line, item);
    catalogue_value_format(item, line->value, CATALOGUE_VI, true, line->words_vi,
                           sizeof line->words_vi);
    catalogue_value_format(item, line->value, CATALOGUE_EN, true, line->words_en,
                           sizeof line->words_en);
}

const struct quick_line *quick_line(const struct quick *q, size_t index, struct quick_line *room)
{
    if (!q->source)
        return &q->lines[index];
    q->source->line(q, index, room);
    return room;
}

/* A row of finished totals each. */
static int fill_lines(struct quick *q, const struct totals *t, const struct catalogue *catalogue,
                      const struct villages *villages, const struct quick *last)
{
    size_t last_count = last ? last->line_count : 0, at = 0;
    q->last_number = last ? last->number : 0;
    q->lines = calloc(t->row_count + last_count + 1, sizeof *q->lines);
    if (!q->lines)
        return DB_ENOMEM;
    for (size_t i = 0; i < t->row_count; i++) {
        struct quick_line row = { .village = t->rows[i].key.village,
                                  .kind = t->rows[i].key.kind, .code = t->rows[i].key.code };
        for (; at < last_count && compare_lines(&last->lines[at], &row) < 0; at++)
            put_withdrawn(q, &last->lines[at], catalogue, villages);
        quick_make_line(q, &t->rows[i], catalogue, villages, &q->lines[q->line_count++]);
        if (at < last_count && compare_lines(&last->lines[at], &row) == 0) {
            if (!last->lines[at].withdrawn)
                q->lines[q->line_count - 1].before = last->lines[at].value;
            at++;
        }
    }
    for (; at < last_count; at++)
        put_withdrawn(q, &last->lines[at], catalogue, villages);
    if (q->line_count <= QUICK_LINE_COUNT_MAX)
        return 0;
    quick_free(q);
    return DB_ENOMEM;
}

void quick_name_catalogue(struct quick *q, const struct catalogue *catalogue)
{
    COPY(q->catalogue, catalogue ? catalogue->version : "");
    COPY(q->catalogue_from, catalogue ? catalogue->valid_from : "");
}

int quick_fill(struct quick *q, struct ledger *l, const struct catalogue *catalogue,
               const struct villages *villages, const struct quick *last)
{
    const struct ledger_commune *c = ledger_get(l, q->commune);
    const struct catalogue_hazard *hazard =
        catalogue ? catalogue_hazard_get(catalogue, q->hazard, q->until_ms) : NULL;
    struct totals t = { .claims = NULL };
    struct totals_filter filter = { .as_of_ms = q->until_ms, .event = q->event,
                                    .approved = q->approved, .drills = q->drill };
    quick_free(q);
    if (!c)
        return DB_ENOTFOUND;
    COPY(q->commune_name, c->info.name);
    COPY(q->commune_code, c->roster.profile.code);
    quick_name_catalogue(q, catalogue);
    COPY(q->hazard_vi, hazard ? hazard->name_vi : "");
    COPY(q->hazard_en, hazard ? hazard->name_en : "");
    int result = totals_collect(&t, l->db, q->commune, &filter);
    if (result >= 0 && totals_finish(&t) != TOTALS_OK)
        result = DB_ENOMEM;
    if (result >= 0)
        result = fill_lines(q, &t, catalogue, villages, last);
    totals_free(&t);
    return result < 0 ? result : 0;
}

static int compare_sums(const void *left, const void *right)
{
    const struct quick_sum *a = left, *b = right;
    if (a->event != b->event)
        return a->event < b->event ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->code != b->code)
        return a->code < b->code ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Puts together what belongs together; the count that is left. */
static size_t add_up(struct quick_sum *sums, size_t count)
{
    size_t kept = 0;
    if (count > 0)
        qsort(sums, count, sizeof *sums, compare_sums);
    for (size_t i = 0; i < count; i++) {
        struct quick_sum *last = kept ? &sums[kept - 1] : NULL;
        if (!last || last->event != sums[i].event || last->kind != sums[i].kind ||
            last->code != sums[i].code) {
            sums[kept++] = sums[i];
            continue;
        }
        last->value += sums[i].value;
        last->village_count += sums[i].village_count;
        if (sums[i].before >= 0)
            last->before = (last->before < 0 ? 0 : last->before) + sums[i].before;
    }
    return kept;
}

struct sums {
    struct quick_sum *list;
    size_t count, cap;
};

/* Grows only when adding up does not free half of the room. */
static bool make_room(struct sums *s)
{
    if (s->count < s->cap)
        return true;
    s->count = add_up(s->list, s->count);
    if (s->cap > 0 && s->count <= s->cap / 2)
        return true;
    size_t cap = s->cap ? 2 * s->cap : SUM_COUNT_MIN;
    struct quick_sum *list = realloc(s->list, cap * sizeof *list);
    if (!list)
        return false;
    s->list = list;
    s->cap = cap;
    return true;
}

/* Lines that do not stand in the document stand behind the sums. */
static bool point_to_lines(const struct quick *q, struct sums *s)
{
    size_t made_count = q->source ? s->count : 0;
    static_assert(_Alignof(struct quick_sum) >= _Alignof(struct quick_line), "in one block");
    struct quick_sum *list = realloc(s->list, s->count * sizeof *list +
                                                  made_count * sizeof(struct quick_line) + 1);
    if (!list)
        return false;
    struct quick_line *made = (struct quick_line *)(list + s->count);
    for (size_t i = 0; i < s->count; i++)
        list[i].of = quick_line(q, list[i].at, q->source ? &made[i] : NULL);
    s->list = list;
    return true;
}

int quick_sums(const struct quick *q, struct quick_sum **sums_out)
{
    struct sums s = { .list = NULL };
    struct quick_line room;
    bool good = true;
    for (size_t i = 0; i < q->line_count && good; i++) {
        const struct quick_line *line = quick_line(q, i, &room);
        if (line->is_state || !line->counted)
            continue;
        good = make_room(&s);
        if (good)
            s.list[s.count++] = (struct quick_sum){ .at = i, .value = line->value,
                                                    .before = line->before, .event = line->event,
                                                    .code = line->code, .kind = line->kind,
                                                    .village_count = !line->withdrawn };
    }
    s.count = add_up(s.list, s.count);
    good = good && point_to_lines(q, &s);
    if (!good)
        free(s.list);
    *sums_out = good ? s.list : NULL;
    return good ? (int)s.count : -1;
}

bool quick_is_unchanged(const struct quick *q)
{
    for (size_t i = 0; i < q->line_count && q->last_number > 0; i++)
        if (q->lines[i].withdrawn || q->lines[i].value != q->lines[i].before)
            return false;
    return q->last_number > 0;
}

/* ---- the document ---------------------------------------------------------------------------- */

/* Those of the first version, and what came later. */
#define NUMBERS(X) X(number) X(event) X(hazard) X(from_ms) X(until_ms) X(by) X(signed_ms)
#define TEXTS(X)                                                                                   \
    X(commune_name) X(commune_code) X(catalogue) X(catalogue_from) X(hazard_vi) X(hazard_en)       \
    X(course) X(isolated) X(response) X(wants) X(signer)
#define FLAGS(X) X(drill) X(approved)
#define NUMBERS_2(X) X(last_number)
#define LINE_NUMBERS(X)                                                                            \
    X(village) X(kind) X(code) X(decimals) X(value) X(before) X(low) X(high) X(author) X(seq)      \
    X(lat_e5) X(lon_e5)
#define LINE_TEXTS(X)                                                                              \
    X(village_name) X(official) X(name_vi) X(name_en) X(unit_vi) X(unit_en) X(words_vi)            \
    X(words_en)
#define LINE_FLAGS(X) X(is_state) X(counted)
#define LINE_FLAGS_2(X) X(withdrawn)

static json_t *line_to_json(const struct quick_line *from)
{
    json_t *to = json_object();
    bool good = true;
/* A text that is not UTF-8 cannot be set, and makes the whole no document. */
#define PUT(name, value) good = json_object_set_new(to, #name, value) == 0 && good;
#define PUT_NUMBER(name) PUT(name, json_integer((json_int_t)from->name))
#define PUT_TEXT(name) PUT(name, json_string(from->name))
#define PUT_FLAG(name) PUT(name, json_boolean(from->name))
    LINE_NUMBERS(PUT_NUMBER)
    LINE_TEXTS(PUT_TEXT)
    LINE_FLAGS(PUT_FLAG)
    LINE_FLAGS_2(PUT_FLAG)
    if (!good) {
        json_decref(to);
        return NULL;
    }
    return to;
}

bool quick_to_json(const struct quick *from, struct strbuf *out)
{
    json_t *to = json_object(), *lines = json_array();
    bool good = json_object_set_new(to, "format", json_integer(FORMAT)) == 0;
    NUMBERS(PUT_NUMBER)
    TEXTS(PUT_TEXT)
    FLAGS(PUT_FLAG)
    NUMBERS_2(PUT_NUMBER)
    for (size_t i = 0; i < from->line_count; i++)
        json_array_append_new(lines, line_to_json(&from->lines[i]));
    json_object_set_new(to, "lines", lines);
    char *text = json_dumps(to, JSON_COMPACT | JSON_SORT_KEYS);
    bool whole = good && text && json_array_size(lines) == from->line_count &&
                 strlen(text) <= QUICK_DOC_LEN_MAX;
    if (whole)
        strbuf_put(out, text);
    free(text);
    json_decref(to);
    return whole && !out->failed;
}

static bool get_number(const json_t *from, const char *key, int64_t *value_out)
{
    const json_t *value = json_object_get(from, key);
    *value_out = json_integer_value(value);
    return json_is_integer(value);
}

static bool get_text(const json_t *from, const char *key, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(from, key));
    if (!text || strlen(text) >= cap)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* What does not fit the field's type is none of ours. */
#define GET_NUMBER(name)                                                                           \
    good = good && get_number(from, #name, &number);                                               \
    to->name = (__typeof__(to->name))number;                                                       \
    good = good && (int64_t)to->name == number;
#define GET_TEXT(name) good = good && get_text(from, #name, to->name, sizeof to->name);
#define GET_FLAG(name)                                                                             \
    good = good && json_is_boolean(json_object_get(from, #name));                                  \
    to->name = json_is_true(json_object_get(from, #name));

static bool line_from_json(const json_t *from, json_int_t format, struct quick_line *to)
{
    bool good = json_is_object(from);
    int64_t number = 0;
    LINE_NUMBERS(GET_NUMBER)
    LINE_TEXTS(GET_TEXT)
    LINE_FLAGS(GET_FLAG)
    if (format > FORMAT_FIRST) {
        LINE_FLAGS_2(GET_FLAG)
    }
    return good && to->decimals <= CATALOGUE_DECIMALS_MAX && record_is_report(to->kind);
}

bool quick_from_json(const char *json, struct quick *to)
{
    json_t *from = strlen(json) <= QUICK_DOC_LEN_MAX ? json_loads(json, 0, NULL) : NULL;
    const json_t *lines = json_object_get(from, "lines");
    json_int_t format = json_integer_value(json_object_get(from, "format"));
    bool good = format >= FORMAT_FIRST && format <= FORMAT && json_is_array(lines) &&
                json_array_size(lines) <= QUICK_LINE_COUNT_MAX;
    int64_t number = 0;
    *to = (struct quick){ .id = 0 };
    NUMBERS(GET_NUMBER)
    TEXTS(GET_TEXT)
    FLAGS(GET_FLAG)
    if (format > FORMAT_FIRST) {
        NUMBERS_2(GET_NUMBER)
    } else {
        to->last_number = to->number ? to->number - 1 : 0; /* it was always that one */
    }
    quick_hash(json, to->hash);
    to->lines = good ? calloc(json_array_size(lines) + 1, sizeof *to->lines) : NULL;
    good = good && to->lines;
    for (size_t i = 0; good && i < json_array_size(lines); i++)
        good = line_from_json(json_array_get(lines, i), format,
                              &to->lines[to->line_count++]);
    if (!good)
        quick_free(to);
    json_decref(from);
    return good;
}

void quick_hash(const char *json, uint8_t hash_out[static KENG_HASH_LEN])
{
    crypto_generichash(hash_out, KENG_HASH_LEN, (const uint8_t *)json, strlen(json), NULL, 0);
}
