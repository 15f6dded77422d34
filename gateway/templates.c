#include "gateway/templates.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/console.h"
#include "proto/csv.h"

enum { FILE_LEN_MAX = 64 * 1024, COLUMN_COUNT = 4 };

static const char *const COLUMNS[COLUMN_COUNT] = { "number", "priority", "receipt", "text" };

static int read_row(const struct csv_row *row, const int columns[COLUMN_COUNT],
                    struct template_row *row_out)
{
    const char *cells[COLUMN_COUNT];
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        cells[i] = (size_t)columns[i] < row->count ? row->cells[columns[i]] : "";
    int priority = record_priority_find(cells[1]);
    struct template_row t = { .number = (unsigned)console_number(cells[0], 9999, 0),
                              .priority = (uint8_t)priority,
                              .receipt = strcmp(cells[2], "1") == 0 };
    if (t.number == 0 || priority < 0 || strlen(cells[3]) == 0 ||
        strlen(cells[3]) >= sizeof t.text || (!t.receipt && strcmp(cells[2], "0") != 0))
        return -1;
    snprintf(t.text, sizeof t.text, "%s", cells[3]);
    *row_out = t;
    return 0;
}

static int parse(const char *path, const char *text, size_t len, struct templates *t,
                 char err[static TEMPLATE_ERR_LEN])
{
    struct csv_reader reader = csv_reader(text, len);
    static struct csv_row row;
    int columns[COLUMN_COUNT] = { -1, -1, -1, -1 };
    int got = csv_read_row(&reader, &row);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        columns[i] = got == 1 ? csv_column(&row, COLUMNS[i]) : -1;
        if (columns[i] < 0) {
            snprintf(err, TEMPLATE_ERR_LEN, "%.160s: there is no column %s", path, COLUMNS[i]);
            return -1;
        }
    }
    while ((got = csv_read_row(&reader, &row)) == 1) {
        if (t->count == TEMPLATE_COUNT_MAX || read_row(&row, columns, &t->list[t->count]) != 0) {
            snprintf(err, TEMPLATE_ERR_LEN, "%.160s line %u: number, priority word, receipt 0 or "
                     "1, text of at most %d bytes; %d rows at most", path, (unsigned)row.line,
                     (int)TEMPLATE_TEXT_LEN - 1, (int)TEMPLATE_COUNT_MAX);
            return -1;
        }
        t->count++;
    }
    if (got < 0)
        snprintf(err, TEMPLATE_ERR_LEN, "%.160s line %u: %s", path, (unsigned)reader.line,
                 csv_strerror(got));
    return got;
}

int templates_load(const char *path, struct templates *templates_out,
                   char err[static TEMPLATE_ERR_LEN])
{
    *templates_out = (struct templates){ .count = 0 };
    char *text = malloc(FILE_LEN_MAX + 1);
    FILE *file = text ? fopen(path, "re") : NULL;
    size_t len = file ? fread(text, 1, FILE_LEN_MAX + 1, file) : 0;
    int result = -1;
    if (!file || ferror(file) || len > FILE_LEN_MAX)
        snprintf(err, TEMPLATE_ERR_LEN, "%.160s: %s", path,
                 len > FILE_LEN_MAX ? "too long" : strerror(errno));
    else
        result = parse(path, text, len, templates_out, err);
    if (file)
        fclose(file);
    free(text);
    return result;
}

const struct template_row *templates_get(const struct templates *t, int64_t number)
{
    for (size_t i = 0; t && i < t->count; i++)
        if (t->list[i].number == number)
            return &t->list[i];
    return NULL;
}
