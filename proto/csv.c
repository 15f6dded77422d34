#include "proto/csv.h"

#include <stdio.h>
#include <string.h>

static const char bom[] = "\xef\xbb\xbf";

enum { BOM_LEN = sizeof bom - 1 };

struct csv_reader csv_reader(const char *buf, size_t len)
{
    struct csv_reader r = { .at = buf, .end = buf + len, .line = 1 };
    if (len >= BOM_LEN && !memcmp(buf, bom, BOM_LEN))
        r.at += BOM_LEN;
    return r;
}

/* How many bytes the end of line at s has: 1 for LF, 2 for CRLF, 0 when there is none. */
static size_t line_end_len(const char *s, const char *end)
{
    if (s < end && *s == '\n')
        return 1;
    return end - s >= 2 && s[0] == '\r' && s[1] == '\n' ? 2 : 0;
}

static int put_char(struct csv_row *row, size_t *used, char c)
{
    if (*used >= sizeof row->text)
        return CSV_ETOOBIG;
    row->text[(*used)++] = c;
    return CSV_OK;
}

/* The inside of a quoted cell; r stands after its opening quote. */
static int read_quoted(struct csv_reader *r, struct csv_row *row, size_t *used)
{
    for (;;) {
        if (r->at == r->end)
            return CSV_EOPEN;
        char c = *r->at++;
        if (c == 0)
            return CSV_ENUL;
        if (c == '"') {
            if (r->at == r->end || *r->at != '"')
                break;
            r->at++; /* two quotes stand for one */
        }
        r->line += c == '\n';
        if (put_char(row, used, c) < 0)
            return CSV_ETOOBIG;
    }
    if (r->at < r->end && *r->at != ',' && line_end_len(r->at, r->end) == 0)
        return CSV_EQUOTE;
    return CSV_OK;
}

static int read_plain(struct csv_reader *r, struct csv_row *row, size_t *used)
{
    while (r->at < r->end && *r->at != ',' && line_end_len(r->at, r->end) == 0) {
        char c = *r->at++;
        if (c == 0)
            return CSV_ENUL;
        if (c == '"')
            return CSV_EQUOTE;
        if (put_char(row, used, c) < 0)
            return CSV_ETOOBIG;
    }
    return CSV_OK;
}

int csv_read_row(struct csv_reader *r, struct csv_row *row_out)
{
    size_t used = 0, end_len;

    while ((end_len = line_end_len(r->at, r->end)) > 0) {
        r->at += end_len;
        r->line++;
    }
    row_out->line = r->line;
    row_out->count = 0;
    if (r->at == r->end)
        return 0;
    for (;;) {
        if (row_out->count == CSV_CELL_COUNT_MAX)
            return CSV_ETOOBIG;
        row_out->cells[row_out->count++] = row_out->text + used;
        int err;
        if (r->at < r->end && *r->at == '"') {
            r->at++;
            err = read_quoted(r, row_out, &used);
        } else {
            err = read_plain(r, row_out, &used);
        }
        if (err == CSV_OK)
            err = put_char(row_out, &used, 0);
        if (err < 0)
            return err;
        if (r->at == r->end || *r->at != ',')
            break;
        r->at++;
    }
    end_len = line_end_len(r->at, r->end);
    r->at += end_len;
    r->line += end_len > 0;
    return 1;
}

int csv_column(const struct csv_row *header, const char *name)
{
    for (size_t i = 0; i < header->count; i++) {
        if (!strcmp(header->cells[i], name))
            return (int)i;
    }
    return -1;
}

const char *csv_strerror(int err)
{
    switch ((enum csv_err)err) {
    case CSV_OK:
        return "no error";
    case CSV_EQUOTE:
        return "a quote where none may stand (quote the whole cell and double the quotes in it)";
    case CSV_EOPEN:
        return "a quoted cell is not closed";
    case CSV_ENUL:
        return "a NUL byte";
    case CSV_ETOOBIG:
        return "a row that is too long";
    }
    return "unknown error";
}

/* ---- writing ------------------------------------------------------------------------------ */

struct csv_writer csv_writer(char *buf, size_t cap)
{
    return (struct csv_writer){ .buf = buf, .cap = cap };
}

static void put(struct csv_writer *w, const char *s, size_t len)
{
    if (w->failed || w->cap - w->len < len) {
        w->failed = true;
        return;
    }
    memcpy(w->buf + w->len, s, len);
    w->len += len;
}

static void begin_cell(struct csv_writer *w)
{
    if (w->in_row)
        put(w, ",", 1);
    w->in_row = true;
}

void csv_write_bom(struct csv_writer *w)
{
    put(w, bom, BOM_LEN);
}

void csv_write_text(struct csv_writer *w, const char *text, size_t len)
{
    bool guard = len > 0 && memchr("=+-@\t\r", text[0], 6) != NULL;
    bool quote = false;

    for (size_t i = 0; i < len; i++)
        quote = quote || text[i] == '"' || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
    begin_cell(w);
    if (quote)
        put(w, "\"", 1);
    if (guard)
        put(w, "'", 1);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            put(w, "\"", 1);
        put(w, text + i, 1);
    }
    if (quote)
        put(w, "\"", 1);
}

void csv_write_number(struct csv_writer *w, int64_t value, unsigned decimals)
{
    char digits[24];
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    int len = snprintf(digits, sizeof digits, "%0*llu", (int)decimals + 1,
                       (unsigned long long)magnitude);

    begin_cell(w);
    if (len <= 0 || (size_t)len >= sizeof digits) { /* more decimals than a number can have */
        w->failed = true;
        return;
    }
    if (value < 0)
        put(w, "-", 1);
    put(w, digits, (size_t)len - decimals);
    if (decimals > 0) {
        put(w, ".", 1);
        put(w, digits + len - decimals, decimals);
    }
}

void csv_write_end_row(struct csv_writer *w)
{
    put(w, "\r\n", 2);
    w->in_row = false;
}
