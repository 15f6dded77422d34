#include "gateway/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xlsxwriter.h>

enum { CHUNK_LEN = 64 * 1024 };

struct sheet {
    lxw_worksheet *sheet;
    lxw_format *bold, *wrap, *number, *decimal, *moment;
    enum language language;
    lxw_row_t row;
    lxw_error err; /* the first */
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

static void put_heads(struct sheet *s, const enum lang_text *heads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_text(s, (lxw_col_t)i, lang_text(s->language, heads[i]), s->bold);
    s->row++;
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

static bool put_sums(struct sheet *s, const struct quick *q)
{
    static const enum lang_text HEADS[] = { LANG_QUICK_CODE, LANG_INDICATOR, LANG_VALUE,
                                            LANG_QUICK_UNIT, LANG_QUICK_BEFORE, LANG_KIND,
                                            LANG_VILLAGES };
    struct quick_sum *sums;
    int count = quick_sums(q, &sums);
    put_heads(s, HEADS, sizeof HEADS / sizeof HEADS[0]);
    for (int i = 0; i < count; i++, s->row++) {
        const struct quick_line *line = sums[i].of;
        put_text(s, 0, line->official, NULL);
        put_text(s, 1, export_name(line, s->language), s->wrap);
        put_number(s, 2, sums[i].value, line->decimals);
        put_text(s, 3, export_unit(line, s->language), NULL);
        if (sums[i].before >= 0)
            put_number(s, 4, sums[i].before, line->decimals);
        put_text(s, 5, lang_kind(s->language, line->kind), NULL);
        put_number(s, 6, sums[i].village_count, 0);
    }
    free(sums);
    worksheet_set_column(s->sheet, 0, 0, 16, NULL);
    worksheet_set_column(s->sheet, 1, 1, 60, NULL);
    worksheet_set_column(s->sheet, 2, 6, 17, NULL); /* a date needs 16 */
    return count >= 0;
}

static void put_villages(struct sheet *s, const struct quick *q)
{
    static const enum lang_text HEADS[] = { LANG_VILLAGE, LANG_KIND, LANG_QUICK_CODE,
                                            LANG_INDICATOR, LANG_VALUE, LANG_QUICK_UNIT,
                                            LANG_STATE, LANG_QUICK_BEFORE, LANG_SOURCE };
    put_heads(s, HEADS, sizeof HEADS / sizeof HEADS[0]);
    for (size_t i = 0; i < q->line_count; i++, s->row++) {
        const struct quick_line *line = &q->lines[i];
        char source[32];
        snprintf(source, sizeof source, "%u-%u", (unsigned)line->author, (unsigned)line->seq);
        put_text(s, 0, *line->village_name ? line->village_name
                                           : lang_text(s->language, LANG_NO_VILLAGE), NULL);
        put_text(s, 1, lang_kind(s->language, line->kind), NULL);
        put_text(s, 2, line->official, NULL);
        put_text(s, 3, export_name(line, s->language), NULL);
        if (!line->withdrawn)
            put_number(s, 4, line->value, line->decimals);
        put_text(s, 5, export_unit(line, s->language), NULL);
        put_text(s, 6, export_state(line, s->language), NULL);
        if (line->before >= 0)
            put_number(s, 7, line->before, line->decimals);
        put_text(s, 8, source, NULL);
    }
    worksheet_set_column(s->sheet, 0, 2, 16, NULL);
    worksheet_set_column(s->sheet, 3, 3, 60, NULL);
    worksheet_set_column(s->sheet, 4, 8, 14, NULL);
    worksheet_freeze_panes(s->sheet, 1, 0);
}

/* A sheet that is copied elsewhere must still say that it is an exercise. */
static lxw_worksheet *add_sheet(lxw_workbook *book, const struct quick *q, const char *name,
                                enum language language)
{
    char marked[4 * LXW_SHEETNAME_MAX];
    snprintf(marked, sizeof marked, "%s%s%s", q->drill ? lang_text(language, LANG_DRILL) : "",
             q->drill ? " " : "", name);
    return workbook_add_worksheet(book, marked);
}

static bool write_book(const struct quick *q, enum language language, const char *path)
{
    lxw_workbook *book = workbook_new(path);
    if (!book)
        return false;
    struct sheet s = { .language = language, .bold = workbook_add_format(book),
                       .wrap = workbook_add_format(book), .number = workbook_add_format(book),
                       .decimal = workbook_add_format(book), .moment = workbook_add_format(book) };
    /* The document's own time: two exports of one report are the same file. */
    lxw_doc_properties properties = { .created = (time_t)(q->signed_ms / 1000),
                                      .title = (char *)(uintptr_t)lang_text(language, LANG_QUICK) };
    workbook_set_properties(book, &properties);
    format_set_bold(s.bold);
    format_set_text_wrap(s.wrap);
    format_set_num_format(s.number, "#,##0");
    format_set_num_format(s.decimal, "#,##0.0#####");
    format_set_num_format(s.moment, "dd/mm/yyyy hh:mm");
    format_set_align(s.moment, LXW_ALIGN_LEFT);
    s.sheet = add_sheet(book, q, lang_text(language, LANG_QUICK), language);
    put_head(&s, q);
    bool good = put_sums(&s, q);
    s.row = 0;
    s.sheet = add_sheet(book, q, lang_text(language, LANG_TOTALS), language);
    put_villages(&s, q);
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
