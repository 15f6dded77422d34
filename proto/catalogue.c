#include "proto/catalogue.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "proto/csv.h"
#include "proto/limits.h"
#include "proto/record.h"

enum {
    FILE_LEN_MAX = 4 << 20,
    FOLDED_LEN_MAX = CATALOGUE_FOLDED_LEN, /* with NUL; a longer name is no name of ours */
    COLUMN_COUNT_MAX = 16,
    VILLAGE_NUMBER_MAX = 0xffff,
    VILLAGE_TOTAL_MAX = 1000000,
    DEGREE_DECIMALS = 5,
    LAT_E5_MAX = 90 * 100000,
    LON_E5_MAX = 180 * 100000,
    SUBSTRING_LEN_MIN = 3,
    SUBSTRING_DISTANCE = 2,
    MS_PER_DAY = 24 * 3600 * 1000,
};

/* ---- names -------------------------------------------------------------------------------- */

/* Lower case without diacritics, '-' and ' ' as '_', NUL-ended.  False: not valid or too long. */
static bool name_fold(const char *name, size_t len, char folded_out[static FOLDED_LEN_MAX])
{
    utf8proc_int32_t cps[FOLDED_LEN_MAX];
    size_t used = 0;
    utf8proc_ssize_t count = utf8proc_decompose(
        (const utf8proc_uint8_t *)name, (utf8proc_ssize_t)len, cps, FOLDED_LEN_MAX,
        UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_STRIPMARK | UTF8PROC_CASEFOLD);

    if (count < 0 || count > FOLDED_LEN_MAX)
        return false;
    for (utf8proc_ssize_t i = 0; i < count; i++) {
        utf8proc_uint8_t b[4];
        utf8proc_int32_t cp = cps[i];
        if (cp == '-' || cp == ' ')
            cp = '_';
        else if (cp == 0x111) /* d with stroke has no decomposition */
            cp = 'd';
        utf8proc_ssize_t n = utf8proc_encode_char(cp, b);
        if (used + (size_t)n >= FOLDED_LEN_MAX)
            return false;
        memcpy(folded_out + used, b, (size_t)n);
        used += (size_t)n;
    }
    folded_out[used] = 0;
    return true;
}

bool catalogue_fold(const char *name, char folded_out[static CATALOGUE_FOLDED_LEN])
{
    return name_fold(name, strlen(name), folded_out);
}

static int name_compare(uint8_t kind, const char *folded, const struct catalogue_name *name)
{
    if (kind != name->row->kind)
        return kind < name->row->kind ? -1 : 1;
    return strcmp(folded, name->folded);
}

static int name_order(const void *a, const void *b)
{
    const struct catalogue_name *x = a, *y = b;
    int order = name_compare(x->row->kind, x->folded, y);
    if (order == 0 && x->row->from_ms != y->row->from_ms)
        order = x->row->from_ms < y->row->from_ms ? -1 : 1;
    return order;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][FOLDED_LEN_MAX];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t a_len = strlen(a), b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            now[j] = min_size(last[j - 1] + (a[i - 1] != b[j - 1]),
                              min_size(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min_size(now[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

/* How far off a name is, or SIZE_MAX when it is too far to be meant. */
static size_t name_distance(const char *typed, const char *name)
{
    size_t len = strlen(typed), distance = edit_distance(typed, name);
    size_t limit = len <= 4 ? 1 : len / 3;
    if (len >= SUBSTRING_LEN_MIN && strstr(name, typed))
        return min_size(distance, SUBSTRING_DISTANCE);
    return distance <= limit ? distance : SIZE_MAX;
}

/* The nearest rows so far, each once, nearest first. */
struct nearest {
    const struct catalogue_row **rows;
    size_t distances[CATALOGUE_SUGGESTION_COUNT_MAX];
    size_t count, count_max;
};

static void nearest_remove(struct nearest *n, size_t at)
{
    size_t tail = --n->count - at;
    memmove(n->rows + at, n->rows + at + 1, tail * sizeof *n->rows);
    memmove(n->distances + at, n->distances + at + 1, tail * sizeof *n->distances);
}

static void nearest_add(struct nearest *n, const struct catalogue_row *row, size_t distance)
{
    size_t at = 0;
    for (size_t i = 0; i < n->count; i++) {
        if (n->rows[i] != row)
            continue;
        if (n->distances[i] <= distance)
            return;
        nearest_remove(n, i);
        break;
    }
    while (at < n->count && n->distances[at] <= distance)
        at++;
    if (at == n->count_max)
        return;
    if (n->count == n->count_max)
        n->count--;
    memmove(n->rows + at + 1, n->rows + at, (n->count - at) * sizeof *n->rows);
    memmove(n->distances + at + 1, n->distances + at, (n->count - at) * sizeof *n->distances);
    n->rows[at] = row;
    n->distances[at] = distance;
    n->count++;
}

/* ---- rows --------------------------------------------------------------------------------- */

/* A sorted list whose rows begin with a struct catalogue_row, and its names. */
struct table {
    const void *rows;
    size_t count, size;
    const struct catalogue_name *names;
    size_t name_count;
};

bool catalogue_holds(const struct catalogue_row *row, int64_t at_ms)
{
    return row->from_ms <= at_ms && at_ms <= row->until_ms;
}

static bool same_number(const struct catalogue_row *a, const struct catalogue_row *b)
{
    return a->kind == b->kind && a->number == b->number;
}

static int row_order(const void *a, const void *b)
{
    const struct catalogue_row *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->until_ms < y->until_ms ? -1 : x->until_ms > y->until_ms;
}

static const struct catalogue_row *table_row(const struct table *t, size_t index)
{
    return (const void *)((const char *)t->rows + index * t->size);
}

/* The row that has not ended at that moment, else the last one. */
static const void *table_get(const struct table *t, uint8_t kind, uint32_t number, int64_t at_ms)
{
    const struct catalogue_row key = { .kind = kind, .number = number, .until_ms = at_ms };
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (row_order(table_row(t, middle), &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < t->count && same_number(table_row(t, low), &key))
        return table_row(t, low);
    return low > 0 && same_number(table_row(t, low - 1), &key) ? table_row(t, low - 1) : NULL;
}

/* A name stands for whose it is at that moment, else for a number that had it or will. */
static const void *table_find(const struct table *t, uint8_t kind, const char *name, int64_t at_ms)
{
    const struct catalogue_row *found = NULL;
    char folded[FOLDED_LEN_MAX];
    size_t low = 0, high = t->name_count;
    if (!name_fold(name, strlen(name), folded))
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (name_compare(kind, folded, &t->names[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < t->name_count && name_compare(kind, folded, &t->names[low]) == 0; low++) {
        const struct catalogue_row *named = t->names[low].row;
        if (catalogue_holds(named, at_ms))
            return named;
        named = table_get(t, kind, named->number, at_ms);
        if (!found || catalogue_holds(named, at_ms))
            found = named;
    }
    return found;
}

static size_t table_suggest(const struct table *t, uint8_t kind, const char *typed, int64_t at_ms,
                            const struct catalogue_row **rows_out, size_t count_max)
{
    struct nearest nearest = {
        .rows = rows_out,
        .count_max = min_size(count_max, CATALOGUE_SUGGESTION_COUNT_MAX),
    };
    char folded[FOLDED_LEN_MAX];

    if (nearest.count_max == 0 || !name_fold(typed, strlen(typed), folded))
        return 0;
    for (size_t i = 0; i < t->name_count; i++) {
        const struct catalogue_row *row = t->names[i].row;
        if (row->kind != kind || !catalogue_holds(row, at_ms))
            continue;
        size_t distance = name_distance(folded, t->names[i].folded);
        if (distance != SIZE_MAX)
            nearest_add(&nearest, row, distance);
    }
    return nearest.count;
}

/* ---- numbers ------------------------------------------------------------------------------ */

/* Digits with an optional point or comma, scaled by 10^decimals. */
static int parse_decimal(const char *text, unsigned decimals, int64_t max, int64_t *value_out)
{
    int64_t value = 0;
    size_t digit_count = 0;
    unsigned fraction = 0;
    bool point = false;

    if (text[0] == '-')
        return CATALOGUE_ENEGATIVE;
    for (const char *s = text; *s; s++) {
        if ((*s == '.' || *s == ',') && !point && digit_count > 0) {
            point = true;
            continue;
        }
        if (*s < '0' || *s > '9')
            return CATALOGUE_ENUMBER;
        if (point && fraction++ == decimals)
            return CATALOGUE_EDECIMALS;
        digit_count++;
        value = value * 10 + (*s - '0');
        if (value > max)
            return CATALOGUE_ERANGE;
    }
    if (digit_count == 0 || (point && fraction == 0))
        return CATALOGUE_ENUMBER;
    for (; fraction < decimals; fraction++) {
        value *= 10;
        if (value > max)
            return CATALOGUE_ERANGE;
    }
    *value_out = value;
    return CATALOGUE_OK;
}

/* ---- files -------------------------------------------------------------------------------- */

/* One file being read: its text, where strings go, and where an explanation goes. */
struct loader {
    char path[512];
    char *text;
    size_t len;
    char *pool;
    size_t pool_len, pool_cap;
    char *err;
    size_t err_cap;
    struct csv_reader reader;
    struct csv_row row;
    size_t cell_count;
    int columns[COLUMN_COUNT_MAX];
    int from_column, until_column; /* -1: the file has none */
};

/* Writes "file, line n: what" and gives the error back. */
static int __attribute__((format(printf, 3, 4)))
load_fail(struct loader *l, int error, const char *format, ...)
{
    va_list args;
    int n = l->row.line > 0 ? snprintf(l->err, l->err_cap, "%s, line %u: ", l->path, l->row.line)
                            : snprintf(l->err, l->err_cap, "%s: ", l->path);
    va_start(args, format);
    if (n >= 0 && (size_t)n < l->err_cap)
        vsnprintf(l->err + n, l->err_cap - (size_t)n, format, args);
    va_end(args);
    return error;
}

static int load_text(struct loader *l, const char *dir, const char *file)
{
    int n = dir ? snprintf(l->path, sizeof l->path, "%s/%s", dir, file)
                : snprintf(l->path, sizeof l->path, "%s", file);
    FILE *f = NULL;
    int result = CATALOGUE_OK;
    long end;

    free(l->text);
    l->text = NULL;
    l->pool = NULL; /* its owner is the object that is being loaded */
    l->row.line = 0;
    if (n < 0 || (size_t)n >= sizeof l->path)
        return load_fail(l, CATALOGUE_EFILE, "the path is too long");
    f = fopen(l->path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0 || (end = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0) {
        result = load_fail(l, CATALOGUE_EFILE, "cannot be read: %s", strerror(errno));
        goto out;
    }
    if (end > FILE_LEN_MAX) {
        result = load_fail(l, CATALOGUE_EFORM, "longer than %d bytes", FILE_LEN_MAX);
        goto out;
    }
    l->len = (size_t)end;
    l->text = malloc(l->len + 1);
    if (!l->text) {
        result = load_fail(l, CATALOGUE_EMEM, "no memory");
        goto out;
    }
    if (fread(l->text, 1, l->len, f) != l->len)
        result = load_fail(l, CATALOGUE_EFILE, "cannot be read");
    l->text[l->len] = 0;
out:
    if (f)
        fclose(f);
    return result;
}

/* Opens a table and finds its columns; the rows that follow have as many cells as the header. */
static int load_table(struct loader *l, const char *dir, const char *file,
                      const char *const *columns, size_t column_count)
{
    int err = load_text(l, dir, file);
    if (err < 0)
        return err;
    l->reader = csv_reader(l->text, l->len);
    int got = csv_read_row(&l->reader, &l->row);
    if (got <= 0)
        return load_fail(l, CATALOGUE_EFORM, "%s", got < 0 ? csv_strerror(got) : "empty");
    l->cell_count = l->row.count;
    assert(column_count <= COLUMN_COUNT_MAX);
    for (size_t i = 0; i < column_count; i++) {
        l->columns[i] = csv_column(&l->row, columns[i]);
        if (l->columns[i] < 0)
            return load_fail(l, CATALOGUE_EFORM, "there is no column '%s'", columns[i]);
    }
    l->from_column = csv_column(&l->row, "from");
    l->until_column = csv_column(&l->row, "until");
    return CATALOGUE_OK;
}

static int load_row(struct loader *l)
{
    int got = csv_read_row(&l->reader, &l->row);
    if (got < 0)
        return load_fail(l, CATALOGUE_EFORM, "%s", csv_strerror(got));
    if (got > 0 && l->row.count != l->cell_count)
        return load_fail(l, CATALOGUE_EFORM, "%zu cells, but the header has %zu", l->row.count,
                         l->cell_count);
    return got;
}

static const char *load_cell(const struct loader *l, size_t column)
{
    return l->row.cells[l->columns[column]];
}

/* A copy that lives as long as the loaded object.  The pool was made large enough for all cells
 * several times over, so that it only runs out on a file made for it. */
static const char *pool_copy(struct loader *l, const char *s, size_t len)
{
    if (l->pool_cap - l->pool_len <= len)
        return NULL;
    char *copy = l->pool + l->pool_len;
    memcpy(copy, s, len);
    copy[len] = 0;
    l->pool_len += len + 1;
    return copy;
}

static int load_string(struct loader *l, size_t column, const char **string_out)
{
    const char *cell = load_cell(l, column);
    *string_out = pool_copy(l, cell, strlen(cell));
    return *string_out ? CATALOGUE_OK : load_fail(l, CATALOGUE_EMEM, "no room for its strings");
}

static int load_number(struct loader *l, size_t column, unsigned decimals, int64_t max,
                       int64_t *value_out)
{
    int err = parse_decimal(load_cell(l, column), decimals, max, value_out);
    if (err < 0)
        return load_fail(l, CATALOGUE_EFORM, "'%s': %s", load_cell(l, column),
                         catalogue_strerror(err));
    return CATALOGUE_OK;
}

/* YYYY-MM-DD, and there must be such a day. */
static bool parse_day(const char *text, int64_t *ms_out)
{
    struct tm tm = { .tm_sec = 0 };
    char again[sizeof "0000-00-00"];
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    if (!end || *end)
        return false;
    *ms_out = ((int64_t)timegm(&tm) - VIETNAM_OFFSET_S) * 1000; /* makes 1 March of 29 February */
    return strftime(again, sizeof again, "%Y-%m-%d", &tm) > 0 && strcmp(again, text) == 0;
}

static int load_day(struct loader *l, int column, int64_t *ms_out)
{
    const char *cell = column < 0 ? "" : l->row.cells[column];
    if (*cell && !parse_day(cell, ms_out))
        return load_fail(l, CATALOGUE_EFORM, "'%s' is no day such as 2026-07-01", cell);
    return CATALOGUE_OK;
}

/* What all rows have: a number, and the days between which it holds. */
static int load_span(struct loader *l, size_t number_column, int64_t number_max, uint8_t kind,
                     struct catalogue_row *row)
{
    int64_t number;
    *row = (struct catalogue_row){ .kind = kind, .line = l->row.line, .from_ms = INT64_MIN,
                                   .until_ms = INT64_MAX };
    if (load_number(l, number_column, 0, number_max, &number) < 0 ||
        load_day(l, l->from_column, &row->from_ms) < 0 ||
        load_day(l, l->until_column, &row->until_ms) < 0)
        return CATALOGUE_EFORM;
    if (number == 0)
        return load_fail(l, CATALOGUE_EFORM, "numbers begin at 1");
    row->number = (uint32_t)number;
    if (row->until_ms != INT64_MAX)
        row->until_ms += MS_PER_DAY - 1;
    if (row->from_ms > row->until_ms)
        return load_fail(l, CATALOGUE_EFORM, "ends before it begins");
    return CATALOGUE_OK;
}

/* Blames the later of two lines that do not agree; both go into the explanation. */
static uint32_t load_blame(struct loader *l, const struct catalogue_row *a,
                           const struct catalogue_row *b)
{
    l->row.line = a->line > b->line ? a->line : b->line;
    return a->line < b->line ? a->line : b->line;
}

/* Sorts what was read, and lets a row that does not say so begin where the one before it ends. */
static int sort_rows(struct loader *l, void *rows, size_t count, size_t size, const char *what)
{
    const struct table t = { .rows = rows, .count = count, .size = size };
    qsort(rows, count, size, row_order);
    for (size_t i = 1; i < count; i++) {
        const struct catalogue_row *before = table_row(&t, i - 1);
        struct catalogue_row *row = (void *)((char *)rows + i * size);
        if (!same_number(before, row))
            continue;
        if (before->until_ms == row->until_ms ||
            (row->from_ms != INT64_MIN && row->from_ms <= before->until_ms)) {
            uint32_t other = load_blame(l, before, row);
            return load_fail(l, CATALOGUE_EFORM,
                             "%s %u stands there twice for the same days, also in line %u",
                             row->kind ? record_kind_name(row->kind) : what, row->number, other);
        }
        if (row->from_ms == INT64_MIN)
            row->from_ms = before->until_ms + 1;
    }
    return CATALOGUE_OK;
}

static int load_name(struct loader *l, const char *name, size_t len,
                     const struct catalogue_row *row, struct catalogue_name *names,
                     size_t *name_count)
{
    char folded[FOLDED_LEN_MAX];
    l->row.line = row->line;
    if (!name_fold(name, len, folded))
        return load_fail(l, CATALOGUE_EFORM, "the name '%.*s' is too long or not UTF-8", (int)len,
                         name);
    const char *kept = pool_copy(l, folded, strlen(folded));
    if (!kept)
        return load_fail(l, CATALOGUE_EMEM, "no room for its names");
    names[(*name_count)++] = (struct catalogue_name){ kept, row };
    return CATALOGUE_OK;
}

/* Adds every name of a list separated by spaces to the index; the first one goes to first_out. */
static int load_names(struct loader *l, const char *list, const struct catalogue_row *row,
                      struct catalogue_name *names, size_t *name_count, const char **first_out)
{
    const char *first = "";
    for (const char *s = list; *s; s += strspn(s, " ")) {
        size_t len = strcspn(s, " ");
        int err = load_name(l, s, len, row, names, name_count);
        if (err < 0)
            return err;
        if (!*first && !(first = pool_copy(l, s, len)))
            return load_fail(l, CATALOGUE_EMEM, "no room for its names");
        s += len;
    }
    if (first_out)
        *first_out = first;
    return CATALOGUE_OK;
}

/* Sorts the index, drops a name that one row has twice and refuses one that two rows share. */
static int sort_names(struct loader *l, struct catalogue_name *names, size_t *name_count)
{
    size_t kept = 0;
    qsort(names, *name_count, sizeof *names, name_order);
    for (size_t i = 0; i < *name_count; i++) {
        const struct catalogue_row *row = names[i].row;
        const struct catalogue_name *before = kept > 0 ? &names[kept - 1] : NULL;
        bool same = before && name_compare(row->kind, names[i].folded, before) == 0;
        if (same && before->row != row && row->from_ms <= before->row->until_ms) {
            uint32_t other = load_blame(l, before->row, row);
            return load_fail(l, CATALOGUE_EFORM,
                             "the name '%s' stands for two rows, also in line %u",
                             names[i].folded, other);
        }
        if (!same || before->row != row)
            names[kept++] = names[i];
    }
    *name_count = kept;
    return CATALOGUE_OK;
}

/* How often c is in the text: an upper bound for what is counted by it. */
static size_t count_char(const struct loader *l, char c)
{
    size_t count = 1;
    for (size_t i = 0; i < l->len; i++)
        count += l->text[i] == c;
    return count;
}

/* Room for the names of this file. */
static int reserve_names(struct loader *l, struct catalogue_name **names)
{
    *names = calloc(count_char(l, ' ') + 3 * count_char(l, '\n'), sizeof **names);
    return *names ? CATALOGUE_OK : load_fail(l, CATALOGUE_EMEM, "no memory");
}

/* Room for the strings of this file: each cell, its first name, its names folded and as typed. */
static int load_pool(struct loader *l)
{
    l->pool_len = 0;
    l->pool_cap = 6 * (l->len + 1);
    l->pool = malloc(l->pool_cap);
    return l->pool ? CATALOGUE_OK : load_fail(l, CATALOGUE_EMEM, "no memory");
}

/* ---- the catalogue ------------------------------------------------------------------------ */

/* What catalogue_load() hands out, with what must be freed. */
struct loaded {
    struct catalogue cat; /* first: a pointer to it is a pointer to the whole */
    struct catalogue_item *items;
    struct catalogue_state *states;
    struct catalogue_hazard *hazards;
    struct catalogue_name *item_names, *hazard_names;
    char *pools[3];
};

static int load_version(struct loaded *d, struct loader *l, const char *dir)
{
    int err = load_text(l, dir, "VERSION");
    if (err == CATALOGUE_OK)
        err = load_pool(l);
    d->pools[0] = l->pool;
    if (err < 0)
        return err;
    for (const char *s = l->text, *next; *s; s = next) {
        size_t len = strcspn(s, "\r\n"), key = strcspn(s, "=");
        next = s + strcspn(s, "\n");
        next += *next == '\n';
        l->row.line++;
        if (len == 0)
            continue;
        const char *value = key < len ? pool_copy(l, s + key + 1, len - key - 1) : NULL;
        if (value && key == strlen("version") && !strncmp(s, "version", key))
            d->cat.version = value;
        else if (value && key == strlen("valid_from") && !strncmp(s, "valid_from", key))
            d->cat.valid_from = value;
        else
            return load_fail(l, CATALOGUE_EFORM, "only version=… and valid_from=… may stand here");
    }
    int64_t from_ms;
    l->row.line = 0;
    if (!d->cat.version || !*d->cat.version || !d->cat.valid_from ||
        !parse_day(d->cat.valid_from, &from_ms))
        return load_fail(l, CATALOGUE_EFORM, "needs version=… and valid_from=YYYY-MM-DD");
    return CATALOGUE_OK;
}

/* "thông/an toàn|open/safe": the first words are shown, all of them are understood. */
static int load_state(struct loader *l, const char *s, size_t len, int64_t value,
                      struct catalogue_state *state_out)
{
    const char *bar = memchr(s, '|', len);
    char folded[FOLDED_LEN_MAX];
    if (!bar || bar == s || bar == s + len - 1)
        return load_fail(l, CATALOGUE_EFORM, "a state needs a Vietnamese and an English word");
    size_t vi_len = (size_t)(bar - s), en_len = len - vi_len - 1;
    const char *en = bar + 1;
    const char *slash = memchr(s, '/', vi_len);
    state_out->value = value;
    state_out->vi = pool_copy(l, s, slash ? (size_t)(slash - s) : vi_len);
    slash = memchr(en, '/', en_len);
    state_out->en = pool_copy(l, en, slash ? (size_t)(slash - en) : en_len);
    if (!name_fold(s, len, folded))
        return load_fail(l, CATALOGUE_EFORM, "the words of a state are too long");
    for (char *p = folded; *p; p++)
        *p = *p == '|' ? '/' : *p;
    state_out->words = pool_copy(l, folded, strlen(folded));
    if (!state_out->vi || !state_out->en || !state_out->words)
        return load_fail(l, CATALOGUE_EMEM, "no room for its states");
    return CATALOGUE_OK;
}

/* "0=…;1=…": states with ascending values. */
static int load_states(struct loader *l, const char *cell, struct catalogue_state *states,
                       size_t *count_out)
{
    *count_out = 0;
    for (const char *s = cell; *s; s += strspn(s, ";")) {
        size_t len = strcspn(s, ";"), digits = strspn(s, "0123456789");
        size_t count = *count_out;
        if (count == CATALOGUE_STATE_COUNT_MAX)
            return load_fail(l, CATALOGUE_EFORM, "more than %d states", CATALOGUE_STATE_COUNT_MAX);
        if (digits != 1 || s[1] != '=' || (count > 0 && s[0] - '0' <= states[count - 1].value))
            return load_fail(l, CATALOGUE_EFORM, "states are written 0=…;1=…, ascending");
        int err = load_state(l, s + 2, len - 2, s[0] - '0', &states[count]);
        if (err < 0)
            return err;
        *count_out += 1;
        s += len;
    }
    return CATALOGUE_OK;
}

enum item_column {
    ITEM_KIND, ITEM_NUMBER, ITEM_CODE, ITEM_GROUP, ITEM_NAME_VI, ITEM_NAME_EN, ITEM_SHORT_VI,
    ITEM_SHORT_EN, ITEM_UNIT, ITEM_UNIT_EN, ITEM_DECIMALS, ITEM_QUICK, ITEM_BASIS, ITEM_VALUES,
    ITEM_COLUMN_COUNT,
};
static const char *const item_columns[ITEM_COLUMN_COUNT] = {
    "kind", "number", "code", "group", "name_vi", "name_en", "short_vi",
    "short_en", "unit", "unit_en", "decimals", "quick_report", "basis", "values",
};

static int load_item(struct loader *l, struct loaded *d, struct catalogue_item *item,
                     size_t *state_count)
{
    int64_t decimals;
    const char *quick = load_cell(l, ITEM_QUICK);
    uint8_t kind = record_kind_find(load_cell(l, ITEM_KIND));

    if (!record_is_report(kind) || kind == RECORD_NOTE)
        return load_fail(l, CATALOGUE_EFORM, "'%s' is no kind of report", load_cell(l, ITEM_KIND));
    if (load_span(l, ITEM_NUMBER, CATALOGUE_NUMBER_MAX, kind, &item->row) < 0 ||
        load_number(l, ITEM_DECIMALS, 0, CATALOGUE_DECIMALS_MAX, &decimals) < 0)
        return CATALOGUE_EFORM;
    if (strcmp(quick, "yes") != 0 && strcmp(quick, "no") != 0)
        return load_fail(l, CATALOGUE_EFORM, "quick_report is yes or no, not '%s'", quick);
    item->decimals = (uint8_t)decimals;
    item->quick_report = quick[0] == 'y';
    if (load_string(l, ITEM_CODE, &item->code) < 0 ||
        load_string(l, ITEM_GROUP, &item->group) < 0 ||
        load_string(l, ITEM_NAME_VI, &item->name_vi) < 0 ||
        load_string(l, ITEM_NAME_EN, &item->name_en) < 0 ||
        load_string(l, ITEM_SHORT_VI, &item->short_vi) < 0 ||
        load_string(l, ITEM_SHORT_EN, &item->short_en) < 0 ||
        load_string(l, ITEM_UNIT, &item->unit) < 0 ||
        load_string(l, ITEM_UNIT_EN, &item->unit_en) < 0 ||
        load_string(l, ITEM_BASIS, &item->basis) < 0)
        return CATALOGUE_EMEM;
    if (!*item->code || !*item->name_vi || !*item->name_en)
        return load_fail(l, CATALOGUE_EFORM, "code and both names must not be empty");
    if (item->quick_report && (!*item->short_vi || !*item->short_en))
        return load_fail(l, CATALOGUE_EFORM, "a row of the quick report needs short names");
    struct catalogue_state *states = d->states + *state_count;
    int err = load_states(l, load_cell(l, ITEM_VALUES), states, &item->state_count);
    item->states = item->state_count > 0 ? states : NULL;
    *state_count += item->state_count;
    return err;
}

/* A number's rows may differ in names, not in what a value means. */
static bool same_meaning(const struct catalogue_item *a, const struct catalogue_item *b)
{
    bool same = a->decimals == b->decimals && a->state_count == b->state_count &&
                strcmp(a->unit, b->unit) == 0;
    for (size_t i = 0; same && i < a->state_count; i++)
        same = a->states[i].value == b->states[i].value;
    return same;
}

static int code_order(const void *a, const void *b)
{
    const struct catalogue_item *const *x = a, *const *y = b;
    return strcmp((*x)->code, (*y)->code);
}

/* Neither a number nor a code is ever given to something else. */
static int check_meanings(struct loader *l, const struct catalogue_item *items, size_t count)
{
    const struct catalogue_item **by_code = calloc(count + 1, sizeof *by_code);
    int err = by_code ? CATALOGUE_OK : load_fail(l, CATALOGUE_EMEM, "no memory");
    for (size_t i = 0; i < count && err == CATALOGUE_OK; i++) {
        by_code[i] = &items[i];
        if (i == 0 || !same_number(&items[i - 1].row, &items[i].row) ||
            same_meaning(&items[i - 1], &items[i]))
            continue;
        uint32_t other = load_blame(l, &items[i - 1].row, &items[i].row);
        err = load_fail(l, CATALOGUE_EFORM,
                        "%s %u has another unit, decimals or values in line %u; a new meaning "
                        "needs a new number", record_kind_name(items[i].row.kind),
                        items[i].row.number, other);
    }
    if (err == CATALOGUE_OK)
        qsort(by_code, count, sizeof *by_code, code_order);
    for (size_t i = 1; i < count && err == CATALOGUE_OK; i++) {
        const struct catalogue_row *before = &by_code[i - 1]->row, *row = &by_code[i]->row;
        if (strcmp(by_code[i - 1]->code, by_code[i]->code) != 0 || same_number(before, row))
            continue;
        uint32_t other = load_blame(l, before, row);
        err = load_fail(l, CATALOGUE_EFORM, "the code '%s' stands for something else in line %u",
                        by_code[i]->code, other);
    }
    free(by_code);
    return err;
}

static int load_item_names(struct loaded *d, struct loader *l)
{
    size_t *count = &d->cat.item_name_count;
    int err = CATALOGUE_OK;
    for (size_t i = 0; i < d->cat.item_count && err == CATALOGUE_OK; i++) {
        struct catalogue_item *item = &d->items[i];
        err = load_names(l, item->code, &item->row, d->item_names, count, NULL);
        if (err == CATALOGUE_OK)
            err = load_names(l, item->short_vi, &item->row, d->item_names, count, &item->alias_vi);
        if (err == CATALOGUE_OK)
            err = load_names(l, item->short_en, &item->row, d->item_names, count, &item->alias_en);
    }
    d->cat.item_names = d->item_names;
    return err == CATALOGUE_OK ? sort_names(l, d->item_names, count) : err;
}

static int load_items(struct loaded *d, struct loader *l, const char *dir)
{
    size_t count = 0, state_count = 0;
    int got, err = load_table(l, dir, "indicators.csv", item_columns, ITEM_COLUMN_COUNT);
    if (err == CATALOGUE_OK)
        err = load_pool(l);
    d->pools[1] = l->pool;
    if (err == CATALOGUE_OK)
        err = reserve_names(l, &d->item_names);
    if (err < 0)
        return err;
    d->items = calloc(count_char(l, '\n'), sizeof *d->items);
    d->states = calloc(count_char(l, '='), sizeof *d->states);
    if (!d->items || !d->states)
        return load_fail(l, CATALOGUE_EMEM, "no memory");
    while ((got = load_row(l)) > 0) {
        err = load_item(l, d, &d->items[count], &state_count);
        if (err < 0)
            return err;
        count++;
    }
    if (got < 0)
        return got;
    err = sort_rows(l, d->items, count, sizeof *d->items, "");
    if (err == CATALOGUE_OK)
        err = check_meanings(l, d->items, count);
    if (err < 0)
        return err;
    d->cat.items = d->items;
    d->cat.item_count = count;
    return load_item_names(d, l);
}

enum hazard_column {
    HAZARD_NUMBER, HAZARD_CODE, HAZARD_NAME_VI, HAZARD_NAME_EN, HAZARD_SHORT_VI,
    HAZARD_COLUMN_COUNT,
};
static const char *const hazard_columns[HAZARD_COLUMN_COUNT] = {
    "number", "code", "name_vi", "name_en", "short_vi",
};

static int load_hazard(struct loader *l, struct catalogue_hazard *hazard)
{
    if (load_span(l, HAZARD_NUMBER, CATALOGUE_HAZARD_MAX, 0, &hazard->row) < 0)
        return CATALOGUE_EFORM;
    if (load_string(l, HAZARD_CODE, &hazard->code) < 0 ||
        load_string(l, HAZARD_NAME_VI, &hazard->name_vi) < 0 ||
        load_string(l, HAZARD_NAME_EN, &hazard->name_en) < 0 ||
        load_string(l, HAZARD_SHORT_VI, &hazard->short_vi) < 0)
        return CATALOGUE_EMEM;
    if (!*hazard->code || !*hazard->name_vi || !*hazard->name_en || !*hazard->short_vi)
        return load_fail(l, CATALOGUE_EFORM, "code and names must not be empty");
    return CATALOGUE_OK;
}

static int load_hazards(struct loaded *d, struct loader *l, const char *dir)
{
    size_t count = 0, *name_count = &d->cat.hazard_name_count;
    int got, err = load_table(l, dir, "hazards.csv", hazard_columns, HAZARD_COLUMN_COUNT);
    if (err == CATALOGUE_OK)
        err = load_pool(l);
    d->pools[2] = l->pool;
    if (err == CATALOGUE_OK)
        err = reserve_names(l, &d->hazard_names);
    if (err < 0)
        return err;
    d->hazards = calloc(count_char(l, '\n'), sizeof *d->hazards);
    if (!d->hazards)
        return load_fail(l, CATALOGUE_EMEM, "no memory");
    while ((got = load_row(l)) > 0) {
        err = load_hazard(l, &d->hazards[count]);
        if (err < 0)
            return err;
        count++;
    }
    if (got < 0)
        return got;
    err = sort_rows(l, d->hazards, count, sizeof *d->hazards, "hazard");
    for (size_t i = 0; i < count && err == CATALOGUE_OK; i++) {
        struct catalogue_hazard *hazard = &d->hazards[i];
        err = load_names(l, hazard->code, &hazard->row, d->hazard_names, name_count, NULL);
        if (err == CATALOGUE_OK)
            err = load_names(l, hazard->short_vi, &hazard->row, d->hazard_names, name_count,
                             &hazard->alias_vi);
    }
    d->cat.hazards = d->hazards;
    d->cat.hazard_count = count;
    d->cat.hazard_names = d->hazard_names;
    return err == CATALOGUE_OK ? sort_names(l, d->hazard_names, name_count) : err;
}

int catalogue_load(const char *dir, struct catalogue **cat_out, char *err, size_t err_cap)
{
    struct loader l = { .err = err, .err_cap = err_cap };
    struct loaded *d = calloc(1, sizeof *d);

    *cat_out = NULL;
    if (!d)
        return load_fail(&l, CATALOGUE_EMEM, "no memory");
    int result = load_version(d, &l, dir);
    if (result == CATALOGUE_OK)
        result = load_items(d, &l, dir);
    if (result == CATALOGUE_OK)
        result = load_hazards(d, &l, dir);
    free(l.text);
    if (result < 0)
        catalogue_free(&d->cat);
    else
        *cat_out = &d->cat;
    return result;
}

void catalogue_free(struct catalogue *cat)
{
    struct loaded *d = (struct loaded *)cat;
    if (!d)
        return;
    for (size_t i = 0; i < sizeof d->pools / sizeof d->pools[0]; i++)
        free(d->pools[i]);
    free(d->items);
    free(d->states);
    free(d->hazards);
    free(d->item_names);
    free(d->hazard_names);
    free(d);
}

static struct table item_table(const struct catalogue *cat)
{
    return (struct table){ cat->items, cat->item_count, sizeof *cat->items, cat->item_names,
                           cat->item_name_count };
}

static struct table hazard_table(const struct catalogue *cat)
{
    return (struct table){ cat->hazards, cat->hazard_count, sizeof *cat->hazards,
                           cat->hazard_names, cat->hazard_name_count };
}

const struct catalogue_item *catalogue_find(const struct catalogue *cat, uint8_t kind,
                                            const char *name, int64_t at_ms)
{
    const struct table t = item_table(cat);
    return table_find(&t, kind, name, at_ms);
}

const struct catalogue_item *catalogue_get(const struct catalogue *cat, uint8_t kind,
                                           uint32_t number, int64_t at_ms)
{
    const struct table t = item_table(cat);
    return table_get(&t, kind, number, at_ms);
}

size_t catalogue_suggest(const struct catalogue *cat, uint8_t kind, const char *name,
                         int64_t at_ms, const struct catalogue_item **items_out, size_t count_max)
{
    const struct table t = item_table(cat);
    const struct catalogue_row *rows[CATALOGUE_SUGGESTION_COUNT_MAX];
    size_t count = table_suggest(&t, kind, name, at_ms, rows, count_max);
    for (size_t i = 0; i < count; i++)
        items_out[i] = (const struct catalogue_item *)rows[i];
    return count;
}

const struct catalogue_hazard *catalogue_hazard_find(const struct catalogue *cat, const char *name,
                                                     int64_t at_ms)
{
    const struct table t = hazard_table(cat);
    return table_find(&t, 0, name, at_ms);
}

const struct catalogue_hazard *catalogue_hazard_get(const struct catalogue *cat, uint32_t number,
                                                    int64_t at_ms)
{
    const struct table t = hazard_table(cat);
    return table_get(&t, 0, number, at_ms);
}

size_t catalogue_hazard_suggest(const struct catalogue *cat, const char *name, int64_t at_ms,
                                const struct catalogue_hazard **hazards_out, size_t count_max)
{
    const struct table t = hazard_table(cat);
    const struct catalogue_row *rows[CATALOGUE_SUGGESTION_COUNT_MAX];
    size_t count = table_suggest(&t, 0, name, at_ms, rows, count_max);
    for (size_t i = 0; i < count; i++)
        hazards_out[i] = (const struct catalogue_hazard *)rows[i];
    return count;
}

/* ---- values ------------------------------------------------------------------------------- */

/* Is the folded word one of words, which are separated by '/'? */
static bool word_listed(const char *words, const char *word)
{
    size_t word_len = strlen(word);
    while (*words) {
        size_t len = strcspn(words, "/");
        if (len == word_len && !memcmp(words, word, len))
            return true;
        words += len;
        words += *words == '/';
    }
    return false;
}

static int parse_state(const struct catalogue_item *item, const char *text, int64_t *value_out)
{
    char folded[FOLDED_LEN_MAX];
    int64_t number = -1;

    if (!name_fold(text, strlen(text), folded))
        return CATALOGUE_ESTATE;
    if (parse_decimal(text, 0, CATALOGUE_VALUE_MAX, &number) < 0)
        number = -1;
    for (size_t i = 0; i < item->state_count; i++) {
        if (item->states[i].value == number || word_listed(item->states[i].words, folded)) {
            *value_out = item->states[i].value;
            return CATALOGUE_OK;
        }
    }
    return CATALOGUE_ESTATE;
}

int catalogue_value_parse(const struct catalogue_item *item, const char *text, int64_t *value_out)
{
    if (item->state_count > 0)
        return parse_state(item, text, value_out);
    return parse_decimal(text, item->decimals, CATALOGUE_VALUE_MAX, value_out);
}

enum { GROUPED_LEN = 32 };

/* 1250 as 1.250: to read.  What may be typed again has no groups: there a point begins decimals. */
static void put_whole(uint64_t value, char separator, char out[static GROUPED_LEN])
{
    char digits[GROUPED_LEN];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        if (separator && i > 0 && (count - i) % 3 == 0)
            out[len++] = separator;
        out[len++] = digits[i];
    }
    out[len] = '\0';
}

size_t catalogue_value_format(const struct catalogue_item *item, int64_t value,
                              enum catalogue_language language, bool with_unit, char *buf,
                              size_t cap)
{
    unsigned decimals = item ? item->decimals : 0;
    const char *unit = !item || !with_unit || item->state_count > 0 ? ""
                       : language == CATALOGUE_VI ? item->unit : item->unit_en;
    int64_t scale = 1;

    for (size_t i = 0; item && i < item->state_count; i++) {
        const struct catalogue_state *state = &item->states[i];
        if (state->value == value)
            return (size_t)snprintf(buf, cap, "%s", language == CATALOGUE_VI ? state->vi
                                                                             : state->en);
    }
    while (decimals > 0 && value % 10 == 0) { /* 2.50 reads as 2.5 */
        value /= 10;
        decimals--;
    }
    for (unsigned i = 0; i < decimals; i++)
        scale *= 10;
    char fraction[CATALOGUE_DECIMALS_MAX + 2] = ""; /* the point and what follows it */
    int64_t rest = value % scale;
    for (unsigned i = decimals; i > 0; i--) {
        fraction[i] = (char)('0' + (rest < 0 ? -(rest % 10) : rest % 10));
        rest /= 10;
    }
    if (decimals > 0)
        fraction[0] = language == CATALOGUE_VI ? ',' : '.';
    char whole[GROUPED_LEN];
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put_whole(size / (uint64_t)scale,
              !with_unit ? '\0' : language == CATALOGUE_VI ? '.' : ',', whole);
    return (size_t)snprintf(buf, cap, "%s%s%s%s%s", value < 0 ? "-" : "", whole, fraction,
                            *unit ? " " : "", unit);
}

const char *catalogue_strerror(int err)
{
    switch ((enum catalogue_err)err) {
    case CATALOGUE_OK:
        return "no error";
    case CATALOGUE_EFILE:
        return "the file cannot be read";
    case CATALOGUE_EFORM:
        return "the file has a mistake";
    case CATALOGUE_EMEM:
        return "no memory";
    case CATALOGUE_ENUMBER:
        return "not a plain number";
    case CATALOGUE_ENEGATIVE:
        return "a negative number";
    case CATALOGUE_EDECIMALS:
        return "more decimals than the unit has (thousands are written without a separator)";
    case CATALOGUE_ERANGE:
        return "too large";
    case CATALOGUE_ESTATE:
        return "not one of the states it can have";
    }
    return "unknown error";
}

/* ---- villages ----------------------------------------------------------------------------- */

struct loaded_villages {
    struct villages villages; /* first: a pointer to it is a pointer to the whole */
    struct village *list;
    struct catalogue_name *names;
    char *pool;
};

enum village_column {
    VILLAGE_NUMBER, VILLAGE_NAME, VILLAGE_LAT, VILLAGE_LON, VILLAGE_HOUSEHOLDS, VILLAGE_PEOPLE,
    VILLAGE_COLUMN_COUNT,
};
static const char *const village_columns[VILLAGE_COLUMN_COUNT] = {
    "number", "name", "lat", "lon", "households", "people",
};

/* Degrees with a sign; an empty cell is 0, not known. */
static int load_degrees(struct loader *l, size_t column, int64_t max, int32_t *e5_out)
{
    const char *cell = load_cell(l, column);
    int64_t value = 0;
    bool south_or_west = cell[0] == '-';
    int err = *cell ? parse_decimal(cell + south_or_west, DEGREE_DECIMALS, max, &value)
                    : CATALOGUE_OK;
    if (err < 0)
        return load_fail(l, CATALOGUE_EFORM, "'%s': %s", cell, catalogue_strerror(err));
    *e5_out = (int32_t)(south_or_west ? -value : value);
    return CATALOGUE_OK;
}

static int load_village(struct loader *l, struct village *v)
{
    int64_t households, people;
    if (load_span(l, VILLAGE_NUMBER, VILLAGE_NUMBER_MAX, 0, &v->row) < 0 ||
        load_number(l, VILLAGE_HOUSEHOLDS, 0, VILLAGE_TOTAL_MAX, &households) < 0 ||
        load_number(l, VILLAGE_PEOPLE, 0, VILLAGE_TOTAL_MAX, &people) < 0 ||
        load_degrees(l, VILLAGE_LAT, LAT_E5_MAX, &v->lat_e5) < 0 ||
        load_degrees(l, VILLAGE_LON, LON_E5_MAX, &v->lon_e5) < 0)
        return CATALOGUE_EFORM;
    if (!*load_cell(l, VILLAGE_NAME))
        return load_fail(l, CATALOGUE_EFORM, "the village has no name");
    v->households = (uint32_t)households;
    v->people = (uint32_t)people;
    return load_string(l, VILLAGE_NAME, &v->name);
}

static int load_village_list(struct loaded_villages *d, struct loader *l, const char *path)
{
    size_t count = 0, name_count = 0;
    int got, err = load_table(l, NULL, path, village_columns, VILLAGE_COLUMN_COUNT);
    if (err == CATALOGUE_OK)
        err = load_pool(l);
    d->pool = l->pool;
    if (err < 0)
        return err;
    d->list = calloc(count_char(l, '\n'), sizeof *d->list);
    d->names = calloc(count_char(l, '\n'), sizeof *d->names);
    if (!d->list || !d->names)
        return load_fail(l, CATALOGUE_EMEM, "no memory");
    while ((got = load_row(l)) > 0) {
        err = load_village(l, &d->list[count]);
        if (err < 0)
            return err;
        count++;
    }
    if (got < 0)
        return got;
    err = sort_rows(l, d->list, count, sizeof *d->list, "village");
    for (size_t i = 0; i < count && err == CATALOGUE_OK; i++) {
        const struct village *v = &d->list[i];
        err = load_name(l, v->name, strlen(v->name), &v->row, d->names, &name_count);
    }
    if (err == CATALOGUE_OK)
        err = sort_names(l, d->names, &name_count);
    d->villages = (struct villages){ d->list, count, d->names, name_count };
    return err;
}

int villages_load(const char *path, struct villages **villages_out, char *err, size_t err_cap)
{
    struct loader l = { .err = err, .err_cap = err_cap };
    struct loaded_villages *d = calloc(1, sizeof *d);

    *villages_out = NULL;
    if (!d)
        return load_fail(&l, CATALOGUE_EMEM, "no memory");
    int result = load_village_list(d, &l, path);
    free(l.text);
    if (result < 0)
        villages_free(&d->villages);
    else
        *villages_out = &d->villages;
    return result;
}

void villages_free(struct villages *villages)
{
    struct loaded_villages *d = (struct loaded_villages *)villages;
    if (!d)
        return;
    free(d->list);
    free(d->names);
    free(d->pool);
    free(d);
}

static struct table village_table(const struct villages *villages)
{
    return (struct table){ villages->list, villages->count, sizeof *villages->list,
                           villages->names, villages->name_count };
}

const struct village *villages_get(const struct villages *villages, uint32_t number, int64_t at_ms)
{
    const struct table t = village_table(villages);
    return table_get(&t, 0, number, at_ms);
}

const struct village *villages_find(const struct villages *villages, const char *name,
                                    int64_t at_ms)
{
    const struct table t = village_table(villages);
    int64_t number;
    if (parse_decimal(name, 0, VILLAGE_NUMBER_MAX, &number) == CATALOGUE_OK)
        return table_get(&t, 0, (uint32_t)number, at_ms);
    return table_find(&t, 0, name, at_ms);
}

size_t villages_suggest(const struct villages *villages, const char *name, int64_t at_ms,
                        const struct village **villages_out, size_t count_max)
{
    const struct table t = village_table(villages);
    const struct catalogue_row *rows[CATALOGUE_SUGGESTION_COUNT_MAX];
    size_t count = table_suggest(&t, 0, name, at_ms, rows, count_max);
    for (size_t i = 0; i < count; i++)
        villages_out[i] = (const struct village *)rows[i];
    return count;
}
