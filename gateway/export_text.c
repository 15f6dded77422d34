#include "gateway/export.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/csv.h"

const struct export_format export_formats[] = {
    { "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", export_xlsx,
      LANG_AS_XLSX },
    { "csv", "text/csv; charset=utf-8", export_csv, LANG_AS_CSV },
    { "hxl.csv", "text/csv; charset=utf-8", export_hxl, LANG_AS_HXL },
    { "geojson", "application/geo+json", export_geojson, LANG_AS_GEOJSON },
    { "txt", "text/plain; charset=utf-8", export_chat, LANG_AS_TXT },
    { NULL, NULL, NULL, LANG_AS_TXT },
};

const struct export_format *export_find(const char *name)
{
    const struct export_format *f = export_formats;
    while (f->name && strcmp(f->name, name) != 0)
        f++;
    return f->name ? f : NULL;
}

const char *export_name(const struct quick_line *line, enum language language)
{
    return language == LANG_EN ? line->name_en : line->name_vi;
}

const char *export_unit(const struct quick_line *line, enum language language)
{
    return language == LANG_EN ? line->unit_en : line->unit_vi;
}

const char *export_state(const struct quick_line *line, enum language language)
{
    if (line->withdrawn)
        return lang_text(language, LANG_QUICK_WITHDRAWN);
    if (!line->is_state)
        return "";
    return language == LANG_EN ? line->words_en : line->words_vi;
}

const char *export_commune(const struct quick *q, const struct quick_line *line)
{
    return *line->commune_name ? line->commune_name : q->commune_name;
}

const char *export_commune_code(const struct quick *q, const struct quick_line *line)
{
    return *line->commune_name ? line->commune_code : q->commune_code;
}

uint32_t export_event(const struct quick *q, const struct quick_line *line)
{
    return line->event ? line->event : q->event;
}

const char *export_village(const struct quick_line *line, enum language language)
{
    return *line->village_name ? line->village_name : lang_text(language, LANG_NO_VILLAGE);
}

void export_title(const struct quick *q, enum language language, struct strbuf *out)
{
    if (q->source) {
        strbuf_putf(out, "%s%s%s", lang_text(language, LANG_BOOKS), *q->commune_name ? " · " : "",
                    q->commune_name);
        return;
    }
    if (q->drill)
        strbuf_putf(out, "%s – ", lang_text(language, LANG_DRILL));
    strbuf_putf(out, "%s ", lang_text(language, LANG_QUICK));
    if (q->number)
        strbuf_putf(out, "%s %u", lang_text(language, LANG_QUICK_NUMBER), (unsigned)q->number);
    else
        strbuf_putf(out, "(%s)", lang_text(language, LANG_QUICK_DRAFT));
    strbuf_putf(out, " · %s", q->commune_name);
}

static struct catalogue_item item_of(const struct quick_line *line)
{
    return (struct catalogue_item){ .decimals = line->decimals, .unit = line->unit_vi,
                                    .unit_en = line->unit_en };
}

void export_change(const struct quick *q, const struct quick_sum *sum, enum language language,
                   char text[static CATALOGUE_VALUE_LEN])
{
    const struct catalogue_item item = item_of(sum->of);
    char size[CATALOGUE_VALUE_LEN - 4]; /* the minus has three bytes */
    int64_t grown = sum->value - sum->before;
    *text = '\0';
    if (q->last_number > 0 && sum->before < 0)
        snprintf(text, CATALOGUE_VALUE_LEN, "%s", lang_text(language, LANG_QUICK_FRESH));
    if (sum->before < 0 || grown == 0)
        return;
    catalogue_value_format(&item, grown < 0 ? -grown : grown, lang_catalogue(language), false,
                           size, sizeof size);
    snprintf(text, CATALOGUE_VALUE_LEN, "%s%s", grown > 0 ? "+" : "−", size);
}

void export_amount(const struct quick_sum *sum, enum language language,
                   char text[static CATALOGUE_VALUE_LEN])
{
    const struct catalogue_item item = item_of(sum->of);
    if (sum->village_count == 0) /* not 0: nobody says that there are none */
        snprintf(text, CATALOGUE_VALUE_LEN, "%s", lang_text(language, LANG_QUICK_WITHDRAWN));
    else
        catalogue_value_format(&item, sum->value, lang_catalogue(language), true, text,
                               CATALOGUE_VALUE_LEN);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

enum { CSV_ROW_LEN = 8192 };

static void write_text(struct csv_writer *w, const char *text)
{
    csv_write_text(w, text, strlen(text));
}

/* Hands the row over, and begins the next. */
static void end_row(struct csv_writer *w, struct strbuf *out)
{
    csv_write_end_row(w);
    strbuf_put_len(out, w->buf, w->len);
    out->failed = out->failed || w->failed;
    *w = csv_writer(w->buf, w->cap);
}

/* What authors say, lowest and highest, where they differ. */
static void write_range(struct csv_writer *w, const struct quick_line *line)
{
    bool differ = line->low != line->high;
    differ ? csv_write_number(w, line->low, line->decimals) : write_text(w, "");
    differ ? csv_write_number(w, line->high, line->decimals) : write_text(w, "");
}

static void write_csv_line(struct csv_writer *w, const struct quick *q,
                           const struct quick_line *line, enum language language)
{
    char unit[QUICK_NAME_LEN + 40], number[32], until[LANG_TIME_LEN], catalogue[96];
    /* Alone, 01879 would lose its zero and 12-3 become a day in March. */
    snprintf(unit, sizeof unit, "%s %s", export_commune(q, line), export_commune_code(q, line));
    snprintf(number, sizeof number, "%s %u-%u", lang_text(language, LANG_QUICK_RECORD),
             (unsigned)line->author, (unsigned)line->seq);
    snprintf(catalogue, sizeof catalogue, "%s %s", lang_text(language, LANG_CATALOGUE),
             q->catalogue);
    lang_time_utc(q->until_ms, until);
    write_text(w, q->drill ? lang_text(language, LANG_DRILL) : "");
    write_text(w, unit);
    write_text(w, export_village(line, language));
    csv_write_number(w, export_event(q, line), 0);
    write_text(w, lang_kind(language, line->kind));
    write_text(w, line->official);
    write_text(w, export_name(line, language));
    if (line->withdrawn)
        write_text(w, "");
    else
        csv_write_number(w, line->value, line->decimals);
    write_text(w, export_unit(line, language));
    write_text(w, export_state(line, language));
    if (line->before >= 0)
        csv_write_number(w, line->before, line->decimals);
    else
        write_text(w, "");
    write_range(w, line);
    write_text(w, number);
    write_text(w, until);
    write_text(w, catalogue);
}

bool export_csv(const struct quick *q, enum language language, struct strbuf *out)
{
    static const enum lang_text COLUMNS[] = {
        LANG_DRILL, LANG_COMMUNE, LANG_VILLAGE, LANG_EVENT, LANG_KIND, LANG_QUICK_CODE,
        LANG_INDICATOR, LANG_VALUE, LANG_QUICK_UNIT, LANG_STATE, LANG_QUICK_BEFORE,
        LANG_LOWEST, LANG_HIGHEST, LANG_SOURCE, LANG_QUICK_UNTIL, LANG_CATALOGUE,
    };
    char row[CSV_ROW_LEN];
    struct csv_writer w = csv_writer(row, sizeof row);
    struct quick_line room;
    csv_write_bom(&w);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        write_text(&w, lang_text(language, COLUMNS[i]));
    end_row(&w, out);
    for (size_t i = 0; i < q->line_count && !out->failed; i++) {
        write_csv_line(&w, q, quick_line(q, i, &room), language);
        end_row(&w, out);
    }
    return !out->failed;
}

static void write_hxl_line(struct csv_writer *w, const struct quick *q,
                           const struct quick_line *line, enum language language)
{
    char until[LANG_TIME_LEN], source[32];
    bool placed = line->lat_e5 != 0 || line->lon_e5 != 0;
    lang_time_utc(q->until_ms, until);
    snprintf(source, sizeof source, "%u-%u", (unsigned)line->author, (unsigned)line->seq);
    write_text(w, until);
    csv_write_number(w, export_event(q, line), 0);
    write_text(w, q->drill ? "drill" : "");
    write_text(w, export_commune_code(q, line));
    write_text(w, export_commune(q, line));
    csv_write_number(w, line->village, 0);
    write_text(w, line->village_name);
    placed ? csv_write_number(w, line->lat_e5, 5) : write_text(w, "");
    placed ? csv_write_number(w, line->lon_e5, 5) : write_text(w, "");
    write_text(w, record_kind_name(line->kind));
    write_text(w, line->official);
    write_text(w, export_name(line, language));
    csv_write_number(w, line->value, line->decimals);
    write_text(w, export_unit(line, language));
    write_text(w, source);
    write_text(w, q->catalogue);
}

/* Machines take the figures as they are: bare codes, a row of hashtags under the names. */
bool export_hxl(const struct quick *q, enum language language, struct strbuf *out)
{
    static const struct { enum lang_text name; const char *tag; } COLUMNS[] = {
        { LANG_QUICK_UNTIL, "#date+reported" }, { LANG_EVENT, "#event+id+num" },
        { LANG_DRILL, "#status+drill" }, { LANG_QUICK_COMMUNE_CODE, "#adm2+code" },
        { LANG_COMMUNE, "#adm2+name" }, { LANG_NUMBER, "#loc+village+code" },
        { LANG_VILLAGE, "#loc+village+name" }, { LANG_QUICK_LAT, "#geo+lat" },
        { LANG_QUICK_LON, "#geo+lon" }, { LANG_KIND, "#indicator+type" },
        { LANG_QUICK_CODE, "#indicator+code" }, { LANG_INDICATOR, "#indicator+name" },
        { LANG_VALUE, "#indicator+value+num" }, { LANG_QUICK_UNIT, "#indicator+unit" },
        { LANG_SOURCE, "#meta+source+id" }, { LANG_CATALOGUE, "#meta+catalogue+version" },
    };
    char row[CSV_ROW_LEN];
    struct csv_writer w = csv_writer(row, sizeof row);
    struct quick_line room;
    csv_write_bom(&w);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        write_text(&w, lang_text(language, COLUMNS[i].name));
    end_row(&w, out);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        write_text(&w, COLUMNS[i].tag);
    end_row(&w, out);
    for (size_t i = 0; i < q->line_count && !out->failed; i++) {
        const struct quick_line *line = quick_line(q, i, &room);
        if (line->withdrawn)
            continue;
        write_hxl_line(&w, q, line, language);
        end_row(&w, out);
    }
    return !out->failed;
}

/* ---- GeoJSON --------------------------------------------------------------------------------- */

static void put_decimal(int64_t value, unsigned decimals, struct strbuf *out)
{
    char text[40];
    struct csv_writer w = csv_writer(text, sizeof text);
    csv_write_number(&w, value, decimals);
    strbuf_put_len(out, text, w.len);
}

static void put_place(const struct quick *q, const struct quick_line *line, enum language language,
                      struct strbuf *out)
{
    strbuf_put(out, "{\"type\":\"Feature\",\"geometry\":");
    if (line->lat_e5 != 0 || line->lon_e5 != 0) {
        strbuf_put(out, "{\"type\":\"Point\",\"coordinates\":[");
        put_decimal(line->lon_e5, 5, out);
        strbuf_put(out, ",");
        put_decimal(line->lat_e5, 5, out);
        strbuf_put(out, "]}");
    } else {
        strbuf_put(out, "null");
    }
    strbuf_put(out, ",\"properties\":{\"commune\":");
    strbuf_put_json(out, export_commune(q, line));
    strbuf_put(out, ",\"commune_code\":");
    strbuf_put_json(out, export_commune_code(q, line));
    strbuf_putf(out, ",\"village\":%u,\"name\":", (unsigned)line->village);
    strbuf_put_json(out, export_village(line, language));
    strbuf_put(out, ",\"figures\":[");
}

static void put_figure(const struct quick *q, const struct quick_line *line,
                       enum language language, struct strbuf *out)
{
    strbuf_put_comma(out);
    strbuf_putf(out, "{\"event\":%u,\"kind\":\"%s\",\"code\":",
                (unsigned)export_event(q, line), record_kind_name(line->kind));
    strbuf_put_json(out, line->official);
    strbuf_put(out, ",\"name\":");
    strbuf_put_json(out, export_name(line, language));
    strbuf_put(out, ",\"value\":");
    put_decimal(line->value, line->decimals, out);
    strbuf_put(out, ",\"unit\":");
    strbuf_put_json(out, export_unit(line, language));
    strbuf_putf(out, ",\"source\":\"%u-%u\"}", (unsigned)line->author, (unsigned)line->seq);
}

/* Two communes may have one name, and two villages as well. */
static bool is_same_village(const struct quick_line *a, const struct quick_line *b)
{
    return a->village == b->village && strcmp(a->village_name, b->village_name) == 0 &&
           strcmp(a->commune_name, b->commune_name) == 0 &&
           strcmp(a->commune_code, b->commune_code) == 0;
}

bool export_geojson(const struct quick *q, enum language language, struct strbuf *out)
{
    char until[LANG_TIME_LEN];
    lang_time_utc(q->until_ms, until);
    strbuf_put(out, "{\"type\":\"FeatureCollection\",\"commune\":");
    strbuf_put_json(out, q->commune_name);
    strbuf_put(out, ",\"commune_code\":");
    strbuf_put_json(out, q->commune_code);
    strbuf_put(out, ",\"catalogue\":");
    strbuf_put_json(out, q->catalogue);
    strbuf_putf(out, ",\"event\":%u,\"drill\":%s,\"as_of\":\"%s\",\"features\":[",
                (unsigned)q->event, q->drill ? "true" : "false", until);
    struct quick_line room, place = { .village = 0 }; /* of the feature that is open */
    bool open = false;
    for (size_t i = 0; i < q->line_count && !out->failed; i++) {
        const struct quick_line *line = quick_line(q, i, &room);
        if (line->withdrawn)
            continue;
        if (!open || !is_same_village(line, &place)) {
            strbuf_put(out, open ? "]}},\n" : "");
            put_place(q, line, language, out);
            place = *line;
            open = true;
        }
        put_figure(q, line, language, out);
    }
    strbuf_put(out, open ? "]}}]}\n" : "]}\n");
    return !out->failed;
}

/* ---- chat ------------------------------------------------------------------------------------ */

static void put_words(const char *label, const char *text, struct strbuf *out)
{
    if (*text)
        strbuf_putf(out, "%s: %s\n", label, text);
}

static void put_sum(const struct quick *q, const struct quick_sum *sum, enum language language,
                    struct strbuf *out)
{
    char value[CATALOGUE_VALUE_LEN], change[CATALOGUE_VALUE_LEN];
    export_amount(sum, language, value);
    export_change(q, sum, language, change);
    strbuf_putf(out, "- %s: %s", export_name(sum->of, language), value);
    if (*change)
        strbuf_putf(out, " (%s)", change);
    strbuf_put(out, "\n");
}

/* 0 is always the good state. */
static bool is_bad_state(const struct quick_line *line)
{
    return line->is_state && line->counted && !line->withdrawn && line->kind == RECORD_ACCESS &&
           line->value > 0;
}

void export_states(const struct quick *q, enum language language, struct strbuf *out)
{
    struct quick_line room, place = { .village = 0 };
    bool open = false;
    for (size_t i = 0; i < q->line_count && !out->failed; i++) {
        const struct quick_line *line = quick_line(q, i, &room);
        if (!is_bad_state(line))
            continue;
        if (open && is_same_village(line, &place)) {
            strbuf_put(out, "; ");
        } else {
            strbuf_putf(out, "%s- %s%s%s: ", open ? "\n" : "", line->commune_name,
                        *line->commune_name ? " – " : "", export_village(line, language));
            place = *line;
            open = true;
        }
        strbuf_putf(out, "%s – %s", export_name(line, language),
                    language == LANG_EN ? line->words_en : line->words_vi);
    }
    strbuf_put(out, open ? "\n" : "");
}

static bool has_bad_state(const struct quick *q)
{
    struct quick_line room;
    for (size_t i = 0; i < q->line_count; i++)
        if (is_bad_state(quick_line(q, i, &room)))
            return true;
    return false;
}

/* As somebody put it, and as the reports have it. */
static void put_isolated(const struct quick *q, enum language language, struct strbuf *out)
{
    if (!*q->isolated && !has_bad_state(q))
        return;
    strbuf_putf(out, "%s:%s%s\n", lang_text(language, LANG_QUICK_ISOLATED),
                *q->isolated ? " " : "", q->isolated);
    export_states(q, language, out);
}

const char *export_period(const struct quick *q, enum language language,
                          char text_out[static EXPORT_PERIOD_LEN])
{
    char from[LANG_TIME_LEN], until[LANG_TIME_LEN];
    lang_time_full(q->from_ms, from);
    lang_time_full(q->until_ms, until);
    if (q->from_ms > 0)
        lang_fill(language, LANG_QUICK_FROM_TO, text_out, EXPORT_PERIOD_LEN, LANG_WORD(from),
                  LANG_WORD(until));
    else /* a province's books have only an end */
        snprintf(text_out, EXPORT_PERIOD_LEN, "%s %s (UTC+7)",
                 lang_text(language, LANG_QUICK_UNTIL), until);
    return text_out;
}

bool export_chat(const struct quick *q, enum language language, struct strbuf *out)
{
    char period[EXPORT_PERIOD_LEN];
    struct quick_sum *sums;
    int count = quick_sums(q, &sums);
    if (count < 0)
        return false;
    export_title(q, language, out);
    strbuf_putf(out, "\n%s\n", export_period(q, language, period));
    put_words(lang_text(language, LANG_HAZARD),
              language == LANG_EN ? q->hazard_en : q->hazard_vi, out);
    put_words(lang_text(language, LANG_COURSE), q->course, out);
    put_isolated(q, language, out);
    if (quick_is_unchanged(q))
        strbuf_putf(out, "%s\n", lang_text(language, LANG_QUICK_UNCHANGED));
    for (int i = 0; i < count; i++) {
        bool other = i == 0 || sums[i].event != sums[i - 1].event;
        if (other && sums[i].event != 0)
            strbuf_putf(out, "%s %u\n", lang_text(language, LANG_EVENT), (unsigned)sums[i].event);
        if (other || sums[i].kind != sums[i - 1].kind)
            strbuf_putf(out, "%s:\n", lang_kind(language, sums[i].kind));
        put_sum(q, &sums[i], language, out);
    }
    free(sums);
    put_words(lang_text(language, LANG_QUICK_RESPONSE), q->response, out);
    put_words(lang_text(language, LANG_QUICK_WANTS), q->wants, out);
    put_words(lang_text(language, LANG_QUICK_SIGNER), q->signer, out);
    return !out->failed;
}
