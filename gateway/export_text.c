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

static const char *village_of(const struct quick_line *line, enum language language)
{
    return *line->village_name ? line->village_name : lang_text(language, LANG_NO_VILLAGE);
}

void export_title(const struct quick *q, enum language language, struct strbuf *out)
{
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

enum { CSV_HEAD_LEN = 16384, CSV_LINE_LEN = 2048 };

static void write_text(struct csv_writer *w, const char *text)
{
    csv_write_text(w, text, strlen(text));
}

/* Hands the buffer over to a strbuf. */
static bool finish_csv(struct csv_writer *w, struct strbuf *out)
{
    bool good = w->buf && !w->failed;
    if (good)
        strbuf_put_len(out, w->buf, w->len);
    free(w->buf);
    return good && !out->failed;
}

static struct csv_writer start_csv(const struct quick *q)
{
    size_t cap = CSV_HEAD_LEN + q->line_count * CSV_LINE_LEN;
    char *buf = malloc(cap);
    struct csv_writer w = csv_writer(buf, buf ? cap : 0);
    csv_write_bom(&w);
    return w;
}

static void write_csv_line(struct csv_writer *w, const struct quick *q,
                           const struct quick_line *line, enum language language)
{
    char unit[2 * DB_NAME_LEN], number[32], until[LANG_TIME_LEN], catalogue[96];
    /* Alone, 01879 would lose its zero and 12-3 become a day in March. */
    snprintf(unit, sizeof unit, "%s %s", q->commune_name, q->commune_code);
    snprintf(number, sizeof number, "%s %u-%u", lang_text(language, LANG_QUICK_RECORD),
             (unsigned)line->author, (unsigned)line->seq);
    snprintf(catalogue, sizeof catalogue, "%s %s", lang_text(language, LANG_CATALOGUE),
             q->catalogue);
    lang_time_utc(q->until_ms, until);
    write_text(w, q->drill ? lang_text(language, LANG_DRILL) : "");
    write_text(w, unit);
    write_text(w, village_of(line, language));
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
    write_text(w, number);
    write_text(w, until);
    write_text(w, catalogue);
    csv_write_end_row(w);
}

bool export_csv(const struct quick *q, enum language language, struct strbuf *out)
{
    static const enum lang_text COLUMNS[] = {
        LANG_DRILL, LANG_COMMUNE, LANG_VILLAGE, LANG_KIND, LANG_QUICK_CODE, LANG_INDICATOR,
        LANG_VALUE, LANG_QUICK_UNIT, LANG_STATE, LANG_QUICK_BEFORE, LANG_SOURCE, LANG_QUICK_UNTIL,
        LANG_CATALOGUE,
    };
    struct csv_writer w = start_csv(q);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        write_text(&w, lang_text(language, COLUMNS[i]));
    csv_write_end_row(&w);
    for (size_t i = 0; i < q->line_count; i++)
        write_csv_line(&w, q, &q->lines[i], language);
    return finish_csv(&w, out);
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
    char until[LANG_TIME_LEN], source[32];
    struct csv_writer w = start_csv(q);
    lang_time_utc(q->until_ms, until);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        write_text(&w, lang_text(language, COLUMNS[i].name));
    csv_write_end_row(&w);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        write_text(&w, COLUMNS[i].tag);
    csv_write_end_row(&w);
    for (size_t i = 0; i < q->line_count; i++) {
        const struct quick_line *line = &q->lines[i];
        if (line->withdrawn)
            continue;
        bool placed = line->lat_e5 != 0 || line->lon_e5 != 0;
        write_text(&w, until);
        csv_write_number(&w, q->event, 0);
        write_text(&w, q->drill ? "drill" : "");
        write_text(&w, q->commune_code);
        write_text(&w, q->commune_name);
        csv_write_number(&w, line->village, 0);
        write_text(&w, line->village_name);
        placed ? csv_write_number(&w, line->lat_e5, 5) : write_text(&w, "");
        placed ? csv_write_number(&w, line->lon_e5, 5) : write_text(&w, "");
        write_text(&w, record_kind_name(line->kind));
        write_text(&w, line->official);
        write_text(&w, export_name(line, language));
        csv_write_number(&w, line->value, line->decimals);
        write_text(&w, export_unit(line, language));
        snprintf(source, sizeof source, "%u-%u", (unsigned)line->author, (unsigned)line->seq);
        write_text(&w, source);
        write_text(&w, q->catalogue);
        csv_write_end_row(&w);
    }
    return finish_csv(&w, out);
}

/* ---- GeoJSON --------------------------------------------------------------------------------- */

static void put_decimal(int64_t value, unsigned decimals, struct strbuf *out)
{
    char text[40];
    struct csv_writer w = csv_writer(text, sizeof text);
    csv_write_number(&w, value, decimals);
    strbuf_put_len(out, text, w.len);
}

static void put_feature(const struct quick *q, size_t from, size_t to, enum language language,
                        struct strbuf *out)
{
    const struct quick_line *first = &q->lines[from];
    strbuf_put(out, "{\"type\":\"Feature\",\"geometry\":");
    if (first->lat_e5 != 0 || first->lon_e5 != 0) {
        strbuf_put(out, "{\"type\":\"Point\",\"coordinates\":[");
        put_decimal(first->lon_e5, 5, out);
        strbuf_put(out, ",");
        put_decimal(first->lat_e5, 5, out);
        strbuf_put(out, "]}");
    } else {
        strbuf_put(out, "null");
    }
    strbuf_putf(out, ",\"properties\":{\"village\":%u,\"name\":", (unsigned)first->village);
    strbuf_put_json(out, village_of(first, language));
    strbuf_put(out, ",\"figures\":[");
    bool again = false;
    for (size_t i = from; i < to; i++) {
        const struct quick_line *line = &q->lines[i];
        if (line->withdrawn)
            continue;
        strbuf_putf(out, "%s{\"kind\":\"%s\",\"code\":", again ? "," : "",
                    record_kind_name(line->kind));
        again = true;
        strbuf_put_json(out, line->official);
        strbuf_put(out, ",\"name\":");
        strbuf_put_json(out, export_name(line, language));
        strbuf_put(out, ",\"value\":");
        put_decimal(line->value, line->decimals, out);
        strbuf_put(out, ",\"unit\":");
        strbuf_put_json(out, export_unit(line, language));
        strbuf_putf(out, ",\"source\":\"%u-%u\"}", (unsigned)line->author, (unsigned)line->seq);
    }
    strbuf_put(out, "]}}");
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
    bool again = false;
    for (size_t from = 0, to; from < q->line_count; from = to) {
        bool stands = !q->lines[from].withdrawn;
        for (to = from + 1; to < q->line_count; to++)
            if (q->lines[to].village != q->lines[from].village ||
                strcmp(q->lines[to].village_name, q->lines[from].village_name) != 0)
                break;
            else
                stands = stands || !q->lines[to].withdrawn;
        if (!stands)
            continue;
        strbuf_put(out, again ? ",\n" : "");
        again = true;
        put_feature(q, from, to, language, out);
    }
    strbuf_put(out, "]}\n");
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
void export_states(const struct quick *q, enum language language, struct strbuf *out)
{
    const struct quick_line *before = NULL;
    for (size_t i = 0; i < q->line_count; i++) {
        const struct quick_line *line = &q->lines[i];
        if (!line->is_state || !line->counted || line->withdrawn || line->kind != RECORD_ACCESS ||
            line->value <= 0)
            continue;
        if (before && before->village == line->village &&
            strcmp(before->village_name, line->village_name) == 0)
            strbuf_put(out, "; ");
        else
            strbuf_putf(out, "%s- %s: ", before ? "\n" : "", village_of(line, language));
        strbuf_putf(out, "%s – %s", export_name(line, language),
                    language == LANG_EN ? line->words_en : line->words_vi);
        before = line;
    }
    strbuf_put(out, before ? "\n" : "");
}

/* As somebody put it, and as the reports have it. */
static void put_isolated(const struct quick *q, enum language language, struct strbuf *out)
{
    struct strbuf states = { .text = NULL };
    export_states(q, language, &states);
    if (*q->isolated || states.text)
        strbuf_putf(out, "%s:%s%s\n", lang_text(language, LANG_QUICK_ISOLATED),
                    *q->isolated ? " " : "", q->isolated);
    strbuf_put(out, states.text ? states.text : "");
    strbuf_free(&states);
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
        if (i == 0 || sums[i].of->kind != sums[i - 1].of->kind)
            strbuf_putf(out, "%s:\n", lang_kind(language, sums[i].of->kind));
        put_sum(q, &sums[i], language, out);
    }
    free(sums);
    put_words(lang_text(language, LANG_QUICK_RESPONSE), q->response, out);
    put_words(lang_text(language, LANG_QUICK_WANTS), q->wants, out);
    put_words(lang_text(language, LANG_QUICK_SIGNER), q->signer, out);
    return !out->failed;
}
