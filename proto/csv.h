/* csv.h - comma-separated values, RFC 4180: quotes, CRLF or LF, an optional UTF-8 BOM.
 *
 * The reader is strict where a mistake would shift columns: a quote inside an unquoted cell, text
 * after a closing quote, an unclosed quote, a NUL byte and an oversized row are errors.  Empty
 * lines are skipped.  The writer ends rows with CRLF and disarms spreadsheet formulas in text.
 *
 * Time      Linear.
 * Memory    The reader borrows the input and copies one row at a time into the caller's row;
 *           the writer fills the caller's buffer.  No heap.
 * Errors    Reader: negative enum csv_err, with the line number in the reader.  Writer: sticky
 *           `failed` when the buffer is full; check it once, at the end.
 */
#ifndef KENG_PROTO_CSV_H
#define KENG_PROTO_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CSV_ROW_LEN_MAX = 4096, /* bytes of all cells of a row, with their NULs */
    CSV_CELL_COUNT_MAX = 64,
};

enum csv_err {
    CSV_OK = 0,
    CSV_EQUOTE = -1, /* a quote where none may stand, or text after a closing quote */
    CSV_EOPEN = -2,  /* the input ends inside a quoted cell */
    CSV_ENUL = -3,   /* a NUL byte */
    CSV_ETOOBIG = -4, /* a row over CSV_ROW_LEN_MAX or CSV_CELL_COUNT_MAX */
};

struct csv_reader {
    const char *at, *end;
    uint32_t line; /* where the next row begins, from 1; after an error: where it was noticed */
};

struct csv_row {
    uint32_t line; /* where the row begins, from 1 */
    size_t count;
    const char *cells[CSV_CELL_COUNT_MAX]; /* NUL-ended, into text */
    char text[CSV_ROW_LEN_MAX];
};

struct csv_reader csv_reader(const char *buf, size_t len);

/* 1: a row; 0: the end; negative enum csv_err: stop reading. */
int csv_read_row(struct csv_reader *r, struct csv_row *row_out);

/* The column named so in a header row, or -1. */
int csv_column(const struct csv_row *header, const char *name);

const char *csv_strerror(int err);

struct csv_writer {
    char *buf;
    size_t cap, len;
    bool failed;
    bool in_row;
};

struct csv_writer csv_writer(char *buf, size_t cap);

/* The mark by which spreadsheet programs recognise UTF-8; first thing in a file, or not at all. */
void csv_write_bom(struct csv_writer *w);

/* A text cell.  One that begins with = + - @ tab or CR gets a leading apostrophe, because a
 * spreadsheet would run it as a formula. */
void csv_write_text(struct csv_writer *w, const char *text, size_t len);

/* value / 10^decimals with a decimal point, never guarded. */
void csv_write_number(struct csv_writer *w, int64_t value, unsigned decimals);

void csv_write_end_row(struct csv_writer *w);

#endif
