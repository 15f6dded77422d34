#include "gateway/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xlsxwriter.h>

enum { CHUNK_LEN = 64 * 1024 };

struct sheet {
    lxw_workbook *book;
    lxw_worksheet *sheet;
    lxw_format *bold, *wrap, *number, *decimal, *moment;
    enum language language;
    lxw_row_t row, head;     /* the next; where the heads of the columns are */
    lxw_col_t column_count;
    lxw_error err; /* the first */
    const struct quick *quick; /* findings: what they are of, and which sheet of them this is */
    unsigned part;
};

static void note(struct sheet *s, lxw_error err)
{
    if (s->err == LXW_NO_ERROR)
        s->err = err;
}

/* A string cell is never run as a formula, and 01879 stays as it is.  The library writes what is no
 * character as it is, and then no program opens the file. */
static void put_text(struct sheet *s, lxw_col_t column, const char *text, lxw_format *format)
{
    struct strbuf clean = { .text = NULL };
    strbuf_put_utf8(&clean, text);
    if (clean.failed)
        note(s, LXW_ERROR_MEMORY_MALLOC_FAILED);
    else if (clean.text)
        note(s, worksheet_write_string(s->sheet, s->row, column, clean.text, format));
    strbuf_free(&clean);
}

static void put_number(struct sheet *s, lxw_col_t column, int64_t value, unsigned decimals)
{
    note(s, worksheet_write_number(s->sheet, s->row, column, (double)value / pow(10, decimals),
                                   decimals ? s->decimal : s->number));
}

/* A real date, by the clock on the wall, so that it sorts and is shown as the reader's program
 * shows dates; cells have no zone. */
static void put_moment(struct sheet *s, lxw_col_t column, int64_t unix_ms)
{
    char text[LANG_TIME_LEN];
    lxw_datetime at = { .year = 0 };
    lang_time_local(unix_ms, text);
    if (sscanf(text, "%d-%d-%dT%d:%d", &at.year, &at.month, &at.day, &at.hour, &at.min) == 5)
        note(s, worksheet_write_datetime(s->sheet, s->row, column, &at, s->moment));
}

static void put_field(struct sheet *s, enum lang_text label, const char *text)
{
    if (!*text)
        return;
    put_text(s, 0, lang_text(s->language, label), s->bold);
    put_text(s, 1, text, s->wrap);
    s->row++;
}

static void put_head(struct sheet *s, const struct quick *q)
{
    struct strbuf title = { .text = NULL };
    export_title(q, s->language, &title);
    put_text(s, 0, title.text ? title.text : "", s->bold);
    s->row++;
    strbuf_free(&title);
    bool begins = q->from_ms > 0; /* a province's books have only an end */
    put_text(s, 0, lang_text(s->language, begins ? LANG_QUICK_PERIOD : LANG_QUICK_UNTIL), s->bold);
    if (begins)
        put_moment(s, 1, q->from_ms);
    put_moment(s, begins ? 2 : 1, q->until_ms);
    s->row++;
    put_field(s, LANG_QUICK_COMMUNE_CODE, q->commune_code);
    put_field(s, LANG_CATALOGUE, q->catalogue);
    put_field(s, LANG_HAZARD, s->language == LANG_EN ? q->hazard_en : q->hazard_vi);
    put_field(s, LANG_QUICK_COURSE, q->course);
    put_field(s, LANG_QUICK_ISOLATED, q->isolated);
    put_field(s, LANG_QUICK_RESPONSE, q->response);
    put_field(s, LANG_QUICK_WANTS, q->wants);
    put_field(s, LANG_QUICK_SIGNER, q->signer);
    char before[64];
    snprintf(before, sizeof before, "%s %u", lang_text(s->language, LANG_QUICK_NUMBER),
             (unsigned)q->last_number);
    put_field(s, LANG_QUICK_BEFORE, q->last_number ? before : "");
    if (quick_is_unchanged(q))
        put_field(s, LANG_QUICK_CHANGE, lang_text(s->language, LANG_QUICK_UNCHANGED));
    s->row++;
}

/* A sheet that is copied elsewhere must still say that it is an exercise. */
static void add_sheet(struct sheet *s, const struct quick *q, enum lang_text name, unsigned number)
{
    char marked[4 * LXW_SHEETNAME_MAX], again[16] = "";
    const char *drill = q->drill ? lang_text(s->language, LANG_DRILL) : "";
    if (number > 1)
        snprintf(again, sizeof again, " %u", number);
    snprintf(marked, sizeof marked, "%.30s%s%.60s%s", drill, *drill ? " " : "",
             lang_text(s->language, name), again);
    s->sheet = workbook_add_worksheet(s->book, marked);
    s->row = 0;
    if (!s->sheet)
        note(s, LXW_ERROR_MEMORY_MALLOC_FAILED);
}

struct column {
    enum lang_text head;
    double width;
};

/* Heads that stay in sight.  Of a document of its own they stand below its words. */
static void put_columns(struct sheet *s, const struct column *columns, size_t count)
{
    for (size_t i = 0; i < count && s->sheet; i++) {
        lxw_col_t column = (lxw_col_t)i;
        worksheet_set_column(s->sheet, column, column, columns[i].width, NULL);
        put_text(s, column, lang_text(s->language, columns[i].head), s->bold);
    }
    s->head = s->row++;
    s->column_count = (lxw_col_t)count;
    if (s->sheet && s->head == 0)
        worksheet_freeze_panes(s->sheet, 1, 0);
}

/* What is written is in a file that the library does not ask how it went. */
static void end_rows(struct sheet *s)
{
    if (!s->sheet)
        return;
    lxw_row_t last = s->row > s->head + 1 ? s->row - 1 : s->head;
    worksheet_autofilter(s->sheet, s->head, 0, last, s->column_count - 1);
    if (fflush(s->sheet->optimize_tmpfile) != 0 || ferror(s->sheet->optimize_tmpfile))
        note(s, LXW_ERROR_CREATING_TMPFILE);
}
#define COLUMNS(...) (const struct column[]){ __VA_ARGS__ }, \
                     sizeof (const struct column[]){ __VA_ARGS__ } / sizeof(struct column)

static bool put_sums(struct sheet *s, const struct quick *q)
{
    struct quick_sum *sums;
    int count = quick_sums(q, &sums);
    bool before = !q->source;
    put_columns(s, COLUMNS({ LANG_QUICK_CODE, 16 }, { LANG_INDICATOR, 60 }, { LANG_VALUE, 17 },
                           { LANG_QUICK_UNIT, 17 }, { before ? LANG_QUICK_BEFORE : LANG_EVENT, 17 },
                           { LANG_KIND, 17 }, { LANG_VILLAGES, 17 })); /* a date needs 16 */
    for (int i = 0; i < count && s->err == LXW_NO_ERROR; i++, s->row++) {
        const struct quick_line *line = sums[i].of;
        put_text(s, 0, line->official, NULL);
        put_text(s, 1, export_name(line, s->language), s->wrap);
        put_number(s, 2, sums[i].value, line->decimals);
        put_text(s, 3, export_unit(line, s->language), NULL);
        if (!before)
            put_number(s, 4, export_event(q, line), 0);
        else if (sums[i].before >= 0)
            put_number(s, 4, sums[i].before, line->decimals);
        put_text(s, 5, lang_kind(s->language, line->kind), NULL);
        put_number(s, 6, sums[i].village_count, 0);
    }
    free(sums);
    end_rows(s);
    return count >= 0;
}

/* Where and what a row is; the next column. */
static lxw_col_t put_place(struct sheet *s, const struct quick *q, const struct quick_line *line)
{
    lxw_col_t column = 0;
    if (q->source) {
        put_text(s, column++, export_commune(q, line), NULL);
        put_text(s, column++, export_commune_code(q, line), NULL);
    }
    put_text(s, column++, export_village(line, s->language), NULL);
    if (q->source)
        put_number(s, column++, export_event(q, line), 0);
    put_text(s, column++, lang_kind(s->language, line->kind), NULL);
    put_text(s, column++, line->official, NULL);
    put_text(s, column++, export_name(line, s->language), NULL);
    return column;
}

static void put_line(struct sheet *s, const struct quick *q, const struct quick_line *line)
{
    char source[32];
    lxw_col_t column = put_place(s, q, line);
    snprintf(source, sizeof source, "%u-%u", (unsigned)line->author, (unsigned)line->seq);
    if (!line->withdrawn)
        put_number(s, column, line->value, line->decimals);
    put_text(s, column + 1, export_unit(line, s->language), NULL);
    put_text(s, column + 2, export_state(line, s->language), NULL);
    column += 3;
    if (!q->source && line->before >= 0)
        put_number(s, column, line->before, line->decimals);
    if (!q->source)
        column++;
    if (line->low != line->high) {
        put_number(s, column, line->low, line->decimals);
        put_number(s, column + 1, line->high, line->decimals);
    }
    put_text(s, column + 2, source, NULL);
}

static void put_line_heads(struct sheet *s, const struct quick *q)
{
    if (q->source)
        put_columns(s, COLUMNS({ LANG_COMMUNE, 24 }, { LANG_QUICK_COMMUNE_CODE, 10 },
                               { LANG_VILLAGE, 16 }, { LANG_EVENT, 10 }, { LANG_KIND, 12 },
                               { LANG_QUICK_CODE, 12 }, { LANG_INDICATOR, 52 }, { LANG_VALUE, 14 },
                               { LANG_QUICK_UNIT, 12 }, { LANG_STATE, 16 }, { LANG_LOWEST, 14 },
                               { LANG_HIGHEST, 14 }, { LANG_SOURCE, 12 }));
    else
        put_columns(s, COLUMNS({ LANG_VILLAGE, 16 }, { LANG_KIND, 16 }, { LANG_QUICK_CODE, 16 },
                               { LANG_INDICATOR, 60 }, { LANG_VALUE, 14 }, { LANG_QUICK_UNIT, 14 },
                               { LANG_STATE, 14 }, { LANG_QUICK_BEFORE, 14 }, { LANG_LOWEST, 14 },
                               { LANG_HIGHEST, 14 }, { LANG_SOURCE, 14 }));
}

/* A sheet of the format ends at 1,048,576 rows: the rest stands on another. */
static void put_villages(struct sheet *s, const struct quick *q)
{
    struct quick_line room;
    unsigned number = 0;
    for (size_t i = 0; (i < q->line_count || number == 0) && s->err == LXW_NO_ERROR;) {
        add_sheet(s, q, LANG_TOTALS, ++number);
        put_line_heads(s, q);
        for (; i < q->line_count && s->row < LXW_ROW_MAX && s->err == LXW_NO_ERROR; i++, s->row++)
            put_line(s, q, quick_line(q, i, &room));
        end_rows(s);
    }
}

/* ---- a province's books ---- */

static void put_finding(void *ctx, const char *kind, const char *commune, const char *words)
{
    struct sheet *s = ctx;
    if (s->row == LXW_ROW_MAX) {
        end_rows(s);
        add_sheet(s, s->quick, LANG_SHEET_FINDINGS, ++s->part);
    }
    if (s->row == 0)
        put_columns(s, COLUMNS({ LANG_FINDING, 28 }, { LANG_COMMUNE, 28 },
                               { LANG_IN_WORDS, 110 }));
    put_text(s, 0, kind, NULL);
    put_text(s, 1, commune, NULL);
    put_text(s, 2, words, s->wrap);
    s->row++;
}

static bool put_findings(struct sheet *s, const struct quick *q)
{
    s->quick = q;
    s->part = 1;
    add_sheet(s, q, LANG_SHEET_FINDINGS, 1);
    int result = q->source->findings(q, put_finding, s);
    if (s->row == 0) /* it must not look as if nobody had asked */
        put_finding(s, "", "", lang_text(s->language, LANG_F_ALL_WELL));
    end_rows(s);
    return result >= 0;
}

static void put_fact(void *ctx, const char *label, const char *words)
{
    struct sheet *s = ctx;
    put_text(s, 0, label, s->bold);
    put_text(s, 1, words, s->wrap);
    s->row++;
}

static void put_facts(struct sheet *s, const struct quick *q)
{
    add_sheet(s, q, LANG_SHEET_MADE, 1);
    if (s->sheet) {
        worksheet_set_column(s->sheet, 0, 0, 30, NULL);
        worksheet_set_column(s->sheet, 1, 1, 90, NULL);
    }
    put_head(s, q);
    q->source->facts(q, put_fact, s);
}

static bool put_books(struct sheet *s, const struct quick *q)
{
    put_villages(s, q);
    add_sheet(s, q, LANG_SHEET_SUMS, 1);
    bool good = put_sums(s, q);
    good = put_findings(s, q) && good;
    put_facts(s, q);
    return good;
}

static bool put_report(struct sheet *s, const struct quick *q)
{
    add_sheet(s, q, LANG_QUICK, 1);
    put_head(s, q);
    bool good = put_sums(s, q);
    put_villages(s, q);
    return good;
}

/* Rows go to a file of the library's as they are written, so that their number costs no memory. */
static bool write_book(const struct quick *q, enum language language, const char *path)
{
    lxw_workbook_options options = { .constant_memory = LXW_TRUE };
    lxw_workbook *book = workbook_new_opt(path, &options);
    if (!book)
        return false;
    struct sheet s = { .book = book, .language = language, .bold = workbook_add_format(book),
                       .wrap = workbook_add_format(book), .number = workbook_add_format(book),
                       .decimal = workbook_add_format(book), .moment = workbook_add_format(book) };
    /* The document's own time: two exports of one report are the same file. */
    lxw_doc_properties properties = {
        .created = (time_t)((q->source ? q->until_ms : q->signed_ms) / 1000),
        .title = (char *)(uintptr_t)lang_text(language, q->source ? LANG_BOOKS : LANG_QUICK),
    };
    workbook_set_properties(book, &properties);
    format_set_bold(s.bold);
    format_set_text_wrap(s.wrap);
    format_set_align(s.wrap, LXW_ALIGN_VERTICAL_TOP);
    format_set_num_format(s.number, "#,##0");
    format_set_num_format(s.decimal, "#,##0.0#####");
    format_set_num_format(s.moment, "dd/mm/yyyy hh:mm");
    format_set_align(s.moment, LXW_ALIGN_LEFT);
    bool good = q->source ? put_books(&s, q) : put_report(&s, q);
    /* Closing is what writes; it also frees. */
    return workbook_close(book) == LXW_NO_ERROR && s.err == LXW_NO_ERROR && good;
}

static bool read_back(FILE *file, struct strbuf *out)
{
    char *chunk = malloc(CHUNK_LEN);
    size_t len = 0;
    while (chunk && (len = fread(chunk, 1, CHUNK_LEN, file)) > 0)
        strbuf_put_len(out, chunk, len);
    bool good = chunk && !ferror(file) && !out->failed;
    free(chunk);
    return good;
}

/* The library writes to names only, but the file must have none that a kill would leave behind. */
bool export_xlsx(const struct quick *q, enum language language, struct strbuf *out)
{
    FILE *file = tmpfile();
    char path[32];
    if (!file)
        return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    bool good = write_book(q, language, path) && read_back(file, out);
    fclose(file);
    return good;
}
