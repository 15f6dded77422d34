#include "gateway/province.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway/bundle.h"
#include "gateway/import.h"
#include "gateway/lang.h"
#include "gateway/ledger.h"
#include "gateway/province_import.h"
#include "gateway/province_missing.h"
#include "gateway/strbuf.h"
#include "gateway/totals.h"
#include "node/home.h"
#include "proto/catalogue.h"
#include "proto/csv.h"

enum {
    EXIT_USAGE = PROVINCE_EXIT_USAGE,
    TRUST_COUNT_MAX = 64,
    PATH_LEN_MAX = 4096,
    CSV_ROW_LEN = 1024,
    COLUMN_COUNT = 5,
};

struct options {
    const char *db, *csv, *data, *villages, *verdicts, *trust[TRUST_COUNT_MAX];
    unsigned trust_count, thread_count;
    /* Of a report; NULL and 0: all. */
    const char *commune;
    unsigned village, event, code;
    uint8_t kind;
    enum language language;
    bool json;
};

struct option_row {
    int key;
    const char *name, *argument, *help;
};

static const struct option_row OPTIONS[] = {
    { 'd', "db", "FILE", "the ledger: a file (default: province.db) or postgresql://..." },
    { 'c', "csv", "FILE", "report: also write the table as CSV for spreadsheets" },
    { 'j', "json", NULL, "report: JSON instead of a table" },
    { 'l', "lang", "vi|en", "language (default: vi when the environment says so, else en)" },
    { 'D', "data", "DIR", "data files (default: $KENG_DATA, ./seeds, /usr/share/keng)" },
    { 'v', "villages", "FILE", "village names, when the ledger holds one commune" },
    { 'C', "commune", "NAME", "report: of this commune only" },
    { 'N', "village", "N", "report: of this village only" },
    { 'e', "event", "N", "report: of this event only" },
    { 'i', "indicator", "KIND:CODE", "report: of this indicator only, such as damage:1" },
    { 't', "trust", "FILE", "verify: a commune.keng whose root is believed; may be repeated" },
    { 'V', "verdicts", "FILE", "import, verify: also append every refusal to this file" },
    { 'T', "threads", "N", "import, verify: threads that verify (default: all processors)" },
    { 'h', "help", NULL, "this list" },
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof OPTIONS[0] };

struct province {
    struct options options;
    struct db *db;
    struct ledger ledger;
    struct catalogue *catalogue;
    struct villages *villages;
    bool verify_only;
};

struct command {
    const char *name, *arguments, *help;
    int (*run)(struct province *p, char **arguments, int count);
};

__attribute__((format(printf, 2, 3)))
static int complain(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "keng-province: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return status;
}

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* ---- trust, import ---- */

static int run_trust(struct province *p, char **paths, int count)
{
    char err[BUNDLE_ERR_LEN], fingerprint[BUNDLE_FINGERPRINT_LEN];
    if (count == 0)
        return complain(EXIT_USAGE, "trust needs at least one commune.keng");
    for (int i = 0; i < count; i++) {
        int64_t commune;
        if (bundle_trust(&p->ledger, paths[i], wall_ms(), &commune, err) != 0)
            return complain(EXIT_FAILURE, "%s", err);
        const struct ledger_commune *c = ledger_get(&p->ledger, commune);
        if (!c)
            return complain(EXIT_FAILURE, "%s: not stored", paths[i]);
        bundle_fingerprint(c->info.network_id, fingerprint);
        printf("%s: %s\n", c->info.name[0] ? c->info.name : paths[i], fingerprint);
    }
    return EXIT_SUCCESS;
}

static int run_import(struct province *p, char **paths, int count)
{
    struct province_import how = { .ledger = &p->ledger, .verify_only = p->verify_only,
                                   .thread_count = p->options.thread_count,
                                   .verdicts_path = p->options.verdicts };
    int status = EXIT_SUCCESS;
    if (count == 0)
        return complain(EXIT_USAGE, "name at least one batch file");
    for (int i = 0; i < count; i++) {
        int one = province_import_file(&how, paths[i]);
        if (one == EXIT_FAILURE || (one == PROVINCE_EXIT_REFUSED && status == EXIT_SUCCESS))
            status = one;
    }
    return status;
}

/* Without a store: a ledger in memory that knows the communes named with --trust. */
static int run_verify(struct province *p, char **paths, int count)
{
    char err[BUNDLE_ERR_LEN];
    int64_t commune;
    if (p->options.trust_count == 0)
        return complain(EXIT_USAGE, "verify needs --trust COMMUNE.keng");
    for (unsigned i = 0; i < p->options.trust_count; i++)
        if (bundle_trust(&p->ledger, p->options.trust[i], wall_ms(), &commune, err) != 0)
            return complain(EXIT_FAILURE, "%s", err);
    p->verify_only = true;
    return run_import(p, paths, count);
}

/* ---- report ---- */

static const char *commune_name(const struct province *p, int64_t commune)
{
    struct ledger_commune *c = NULL;
    for (size_t i = 0; i < p->ledger.commune_count; i++)
        if (p->ledger.communes[i].info.id == commune)
            c = &p->ledger.communes[i];
    return c && c->info.name[0] ? c->info.name : "?";
}

static void village_name(const struct province *p, uint32_t number, char *name, size_t cap)
{
    const struct village *village = p->villages && p->ledger.commune_count == 1
                                        ? villages_get(p->villages, number) : NULL;
    if (number == 0)
        snprintf(name, cap, "%s", lang_text(p->options.language, LANG_NO_VILLAGE));
    else if (village)
        snprintf(name, cap, "%s", village->name);
    else
        snprintf(name, cap, "%s %u", lang_text(p->options.language, LANG_VILLAGE),
                 (unsigned)number);
}

static const struct catalogue_item *find_item(const struct province *p,
                                              const struct totals_key *key)
{
    return p->catalogue ? catalogue_get(p->catalogue, key->kind, key->code) : NULL;
}

static const char *unit_of(const struct province *p, const struct catalogue_item *item)
{
    return !item ? "" : p->options.language == LANG_EN ? item->unit_en : item->unit;
}

static void item_name(const struct province *p, const struct totals_key *key, char *name,
                      size_t cap)
{
    const struct catalogue_item *item = find_item(p, key);
    const char *kind = lang_kind(p->options.language, key->kind);
    if (item)
        snprintf(name, cap, "%s",
                 p->options.language == LANG_EN ? item->name_en : item->name_vi);
    else
        snprintf(name, cap, "%s %u", kind ? kind : "?", (unsigned)key->code);
}

/* One line of the table, ready to print. */
struct line {
    char cells[COLUMN_COUNT][192];
};

static void fill_line(const struct province *p, const struct totals_row *row, struct line *line)
{
    const struct catalogue_item *item = find_item(p, &row->key);
    enum catalogue_language language = lang_catalogue(p->options.language);
    char low[CATALOGUE_VALUE_LEN], high[CATALOGUE_VALUE_LEN];
    snprintf(line->cells[0], sizeof line->cells[0], "%s", commune_name(p, row->key.commune));
    village_name(p, row->key.village, line->cells[1], sizeof line->cells[1]);
    if (row->key.event) {
        size_t len = strlen(line->cells[1]);
        snprintf(line->cells[1] + len, sizeof line->cells[1] - len, " (%s %u)",
                 lang_text(p->options.language, LANG_EVENT), (unsigned)row->key.event);
    }
    item_name(p, &row->key, line->cells[2], sizeof line->cells[2]);
    catalogue_value_format(item, row->value, language, true, line->cells[3],
                           sizeof line->cells[3]);
    snprintf(line->cells[4], sizeof line->cells[4], "%u-%u", (unsigned)row->author,
             (unsigned)row->seq);
    if (row->low != row->high) {
        catalogue_value_format(item, row->low, language, false, low, sizeof low);
        catalogue_value_format(item, row->high, language, false, high, sizeof high);
        size_t len = strlen(line->cells[4]);
        snprintf(line->cells[4] + len, sizeof line->cells[4] - len, " (%s: %.50s - %.50s)",
                 lang_text(p->options.language, LANG_DIFFER), low, high);
    }
}

static void print_padded(const char *text, size_t width, bool right, bool last)
{
    size_t used = lang_width(text);
    size_t pad = used < width ? width - used : 0;
    if (right)
        printf("%*s%s%s", (int)pad, "", text, last ? "\n" : "  ");
    else
        printf("%s%*s%s", text, last ? 0 : (int)pad, "", last ? "\n" : "  ");
}

static void print_lines(const struct line *lines, size_t count)
{
    size_t widths[COLUMN_COUNT] = { 0 };
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < COLUMN_COUNT; c++) {
            size_t width = lang_width(lines[i].cells[c]);
            if (width > widths[c])
                widths[c] = width;
        }
    }
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < COLUMN_COUNT; c++)
            print_padded(lines[i].cells[c], widths[c], c == 3 && i > 0, c == COLUMN_COUNT - 1);
}

static int print_table(const struct province *p, const struct totals *t)
{
    static const enum lang_text HEADINGS[COLUMN_COUNT] = {
        LANG_COMMUNE, LANG_VILLAGE, LANG_INDICATOR, LANG_VALUE, LANG_SOURCE
    };
    struct line *lines = calloc(t->row_count + t->sum_count + 1, sizeof *lines);
    if (!lines)
        return complain(EXIT_FAILURE, "out of memory");
    size_t count = 1;
    for (size_t c = 0; c < COLUMN_COUNT; c++)
        snprintf(lines[0].cells[c], sizeof lines[0].cells[c], "%s",
                 lang_text(p->options.language, HEADINGS[c]));
    for (size_t i = 0; i < t->row_count; i++)
        fill_line(p, &t->rows[i], &lines[count++]);
    for (size_t i = 0; i < t->sum_count; i++) {
        const struct totals_sum *sum = &t->sums[i];
        const struct catalogue_item *item = find_item(p, &sum->key);
        if (sum->village_count < 2 || (item && item->state_count > 0))
            continue;
        struct totals_row row = { .key = sum->key, .value = sum->value };
        fill_line(p, &row, &lines[count]);
        char *label = lines[count].cells[1];
        size_t cap = sizeof lines[count].cells[1];
        const char *form = p->options.language == LANG_EN ? "villages" : "thôn";
        int len = snprintf(label, cap, "= %u %s", (unsigned)sum->village_count, form);
        if (sum->key.event)
            snprintf(label + len, cap - (size_t)len, " (%s %u)",
                     lang_text(p->options.language, LANG_EVENT), (unsigned)sum->key.event);
        lines[count++].cells[4][0] = '\0';
    }
    print_lines(lines, count);
    free(lines);
    return EXIT_SUCCESS;
}

static int write_csv(const struct province *p, const struct totals *t, const char *path)
{
    static const char *const COLUMNS[] = { "commune", "network", "village", "village_name", "event",
                                           "kind", "code", "official_code", "indicator", "value",
                                           "unit", "author", "seq", "authors", "low", "high",
                                           "shown" };
    size_t cap = (t->row_count + 2) * CSV_ROW_LEN;
    char *text = malloc(cap), err[HOME_ERR_LEN];
    if (!text)
        return complain(EXIT_FAILURE, "out of memory");
    struct csv_writer w = csv_writer(text, cap);
    csv_write_bom(&w);
    for (size_t i = 0; i < sizeof COLUMNS / sizeof COLUMNS[0]; i++)
        csv_write_text(&w, COLUMNS[i], strlen(COLUMNS[i]));
    csv_write_end_row(&w);
    for (size_t i = 0; i < t->row_count; i++) {
        const struct totals_row *row = &t->rows[i];
        const struct catalogue_item *item = find_item(p, &row->key);
        unsigned decimals = item ? item->decimals : 0;
        struct line line;
        char network[2 * KENG_NETWORK_ID_LEN + 1] = "", village[192];
        const char *kind = record_kind_name(row->key.kind);
        fill_line(p, row, &line);
        village_name(p, row->key.village, village, sizeof village);
        for (size_t c = 0; c < p->ledger.commune_count; c++)
            if (p->ledger.communes[c].info.id == row->key.commune)
                sodium_bin2hex(network, sizeof network, p->ledger.communes[c].info.network_id,
                               KENG_NETWORK_ID_LEN);
        const char *unit = unit_of(p, item);
        const char *official = item ? item->code : "";
        csv_write_text(&w, line.cells[0], strlen(line.cells[0]));
        csv_write_text(&w, network, 16);
        csv_write_number(&w, row->key.village, 0);
        csv_write_text(&w, village, strlen(village));
        csv_write_number(&w, row->key.event, 0);
        csv_write_text(&w, kind ? kind : "", strlen(kind ? kind : ""));
        csv_write_number(&w, row->key.code, 0);
        csv_write_text(&w, official, strlen(official));
        csv_write_text(&w, line.cells[2], strlen(line.cells[2]));
        csv_write_number(&w, row->value, decimals);
        csv_write_text(&w, unit, strlen(unit));
        csv_write_number(&w, row->author, 0);
        csv_write_number(&w, row->seq, 0);
        csv_write_number(&w, row->author_count, 0);
        csv_write_number(&w, row->low, decimals);
        csv_write_number(&w, row->high, decimals);
        /* In words, with its unit: the number of a state means nothing in a spreadsheet. */
        csv_write_text(&w, line.cells[3], strlen(line.cells[3]));
        csv_write_end_row(&w);
    }
    int status = EXIT_SUCCESS;
    if (w.failed)
        status = complain(EXIT_FAILURE, "%s: a row is too long", path);
    else if (home_replace_file(path, (const uint8_t *)text, w.len, 0644, err) != 0)
        status = complain(EXIT_FAILURE, "%s", err);
    free(text);
    return status;
}

static void print_gaps(const struct province *p, const struct gaps *gaps)
{
    for (size_t i = 0; i < gaps->count; i++) {
        const struct gap *gap = &gaps->list[i];
        const struct gap *last = i ? &gaps->list[i - 1] : NULL;
        bool again = last && last->author == gap->author && last->commune == gap->commune;
        if (!again && last)
            printf(p->options.language == LANG_EN ? " missing\n" : "\n");
        if (!again && p->options.language == LANG_EN)
            printf("%s, author %u: ", commune_name(p, gap->commune), (unsigned)gap->author);
        else if (!again)
            printf("%s, người báo %u: thiếu ", commune_name(p, gap->commune),
                   (unsigned)gap->author);
        printf("%s%u", again ? ", " : "", (unsigned)gap->first);
        if (gap->last != gap->first)
            printf("-%u", (unsigned)gap->last);
    }
    if (gaps->count > 0)
        printf(p->options.language == LANG_EN ? " missing\n" : "\n");
    else
        printf("%s\n", lang_text(p->options.language, LANG_MISSING_NONE));
}

static int print_fork(void *ctx, const struct db_record *r)
{
    const struct province *p = ctx;
    if (r->variant != 0)
        printf("%s: %s %u-%u\n", lang_text(p->options.language, LANG_FORKS),
               commune_name(p, r->commune), (unsigned)r->ref.author, (unsigned)r->ref.seq);
    return 0;
}

static int print_refused(void *ctx, int64_t commune, const char *reason, int64_t count,
                         int64_t last_ms)
{
    const struct province *p = ctx;
    (void)last_ms;
    printf("%s: %s %s %" PRId64 "\n", lang_text(p->options.language, LANG_REFUSED),
           commune_name(p, commune), reason, count);
    return 0;
}

/* ---- what was asked for ---- */

static bool wanted_commune(const struct province *p, const struct ledger_commune *c)
{
    return !p->options.commune || strcmp(p->options.commune, c->info.name) == 0;
}

/* A village is silent when it has no figure at all, which a part of the figures cannot tell. */
static bool tells_silent(const struct province *p)
{
    return !p->options.village && !p->options.kind;
}

static void keep_wanted(const struct province *p, struct totals *t)
{
    const struct options *o = &p->options;
    size_t kept = 0;
    for (size_t i = 0; i < t->claim_count; i++) {
        const struct totals_key *key = &t->claims[i].key;
        if ((!o->village || key->village == o->village) && (!o->event || key->event == o->event) &&
            (!o->kind || (key->kind == o->kind && key->code == o->code)))
            t->claims[kept++] = t->claims[i];
    }
    t->claim_count = kept;
}

/* ---- report as JSON ---- */

static int json_fork(void *ctx, const struct db_record *r)
{
    struct strbuf *out = ctx;
    if (r->variant != 0)
        strbuf_putf(out, "%s{\"commune\":%" PRId64 ",\"author\":%u,\"lane\":%u,\"seq\":%u}",
                    out->text[out->len - 1] == '[' ? "" : ",", r->commune,
                    (unsigned)r->ref.author, (unsigned)r->ref.lane, (unsigned)r->ref.seq);
    return 0;
}

static void json_rows(const struct province *p, const struct totals *t, struct strbuf *out)
{
    strbuf_put(out, "\"totals\":[");
    for (size_t i = 0; i < t->row_count; i++) {
        const struct totals_row *row = &t->rows[i];
        const struct catalogue_item *item = find_item(p, &row->key);
        char name[192];
        const char *kind = record_kind_name(row->key.kind);
        strbuf_putf(out, "%s\n{\"commune\":%" PRId64 ",\"village\":%u,\"village_name\":",
                    i ? "," : "", row->key.commune, (unsigned)row->key.village);
        village_name(p, row->key.village, name, sizeof name);
        strbuf_put_json(out, name);
        strbuf_putf(out, ",\"event\":%u,\"kind\":", (unsigned)row->key.event);
        strbuf_put_json(out, kind ? kind : "");
        strbuf_putf(out, ",\"code\":%u,\"indicator\":", (unsigned)row->key.code);
        item_name(p, &row->key, name, sizeof name);
        strbuf_put_json(out, name);
        strbuf_putf(out, ",\"value\":%" PRId64 ",\"decimals\":%u,\"unit\":", row->value,
                    item ? (unsigned)item->decimals : 0);
        strbuf_put_json(out, unit_of(p, item));
        strbuf_putf(out, ",\"author\":%u,\"seq\":%u,\"authors\":%u,\"low\":%" PRId64
                         ",\"high\":%" PRId64 "}",
                    (unsigned)row->author, (unsigned)row->seq, (unsigned)row->author_count,
                    row->low, row->high);
    }
    strbuf_put(out, "]");
}

static int print_json(struct province *p, const struct totals *t, const struct gaps *gaps)
{
    struct strbuf out = { .text = NULL };
    int result = 0;
    strbuf_put(&out, "{\"communes\":[");
    for (size_t i = 0; i < p->ledger.commune_count; i++) {
        const struct db_commune *info = &p->ledger.communes[i].info;
        strbuf_putf(&out, "%s{\"id\":%" PRId64 ",\"name\":", i ? "," : "", info->id);
        strbuf_put_json(&out, info->name);
        strbuf_put(&out, ",\"network\":\"");
        strbuf_put_hex(&out, info->network_id, sizeof info->network_id);
        strbuf_put(&out, "\"}");
    }
    strbuf_put(&out, "],\n");
    json_rows(p, t, &out);
    strbuf_put(&out, ",\n\"missing\":[");
    for (size_t i = 0; i < gaps->count; i++)
        strbuf_putf(&out, "%s{\"commune\":%" PRId64 ",\"author\":%u,\"first\":%u,\"last\":%u}",
                    i ? "," : "", gaps->list[i].commune, (unsigned)gaps->list[i].author,
                    (unsigned)gaps->list[i].first, (unsigned)gaps->list[i].last);
    strbuf_put(&out, "],\n\"forks\":[");
    for (size_t i = 0; i < p->ledger.commune_count && result >= 0 && !out.failed; i++)
        if (wanted_commune(p, &p->ledger.communes[i]))
            result = db_record_forks(p->db, p->ledger.communes[i].info.id, json_fork, &out);
    strbuf_put(&out, "],\n\"silent\":[");
    for (size_t i = 0; i < p->ledger.commune_count && !out.failed; i++)
        if (wanted_commune(p, &p->ledger.communes[i]) && tells_silent(p))
            missing_silent_json(&p->ledger.communes[i], t, &out);
    strbuf_put(&out, "],\n\"checkpoints\":[");
    for (size_t i = 0; i < p->ledger.commune_count && result >= 0 && !out.failed; i++)
        if (wanted_commune(p, &p->ledger.communes[i]))
            result = missing_checkpoints_json(p->db, &p->ledger.communes[i], &out);
    strbuf_put(&out, "]}\n");
    if (result >= 0 && !out.failed)
        fputs(out.text, stdout);
    int status = result >= 0 && !out.failed ? EXIT_SUCCESS
                                            : complain(EXIT_FAILURE, "cannot build the report");
    strbuf_free(&out);
    return status;
}

static int print_text(struct province *p, const struct totals *t, const struct gaps *gaps)
{
    int status = print_table(p, t);
    int result = 0;
    printf("\n");
    print_gaps(p, gaps);
    struct strbuf out = { .text = NULL };
    for (size_t i = 0; i < p->ledger.commune_count && result >= 0; i++) {
        const struct ledger_commune *c = &p->ledger.communes[i];
        if (!wanted_commune(p, c))
            continue;
        if (tells_silent(p))
            missing_silent_text(c, t, p->options.language, &out);
        result = missing_checkpoints_text(p->db, c, p->options.language, &out);
        if (result >= 0)
            result = db_record_forks(p->db, c->info.id, print_fork, p);
    }
    if (out.failed)
        result = DB_ENOMEM;
    else if (out.text)
        fputs(out.text, stdout);
    strbuf_free(&out);
    if (result >= 0)
        result = db_refused_list(p->db, print_refused, p);
    return result < 0 ? complain(EXIT_FAILURE, "%s", db_error(p->db)) : status;
}

static int run_report(struct province *p, char **arguments, int count)
{
    struct totals totals = { .claims = NULL };
    struct gaps gaps = { .list = NULL };
    struct totals_filter filter = totals_all();
    int result = 0;
    if (count > 0)
        return complain(EXIT_USAGE, "report takes no argument: %s", arguments[0]);
    for (size_t i = 0; i < p->ledger.commune_count && result == 0; i++) {
        int64_t commune = p->ledger.communes[i].info.id;
        if (!wanted_commune(p, &p->ledger.communes[i]))
            continue;
        result = totals_collect(&totals, p->db, commune, &filter);
        if (result == 0)
            result = gaps_collect(&gaps, p->db, commune);
    }
    keep_wanted(p, &totals);
    if (result == 0 && totals_finish(&totals) != TOTALS_OK)
        result = DB_ENOMEM;
    int status = EXIT_SUCCESS;
    if (result < 0)
        status = complain(EXIT_FAILURE, "%s", db_error(p->db));
    else if (p->options.csv)
        status = write_csv(p, &totals, p->options.csv);
    if (status == EXIT_SUCCESS)
        status = p->options.json ? print_json(p, &totals, &gaps) : print_text(p, &totals, &gaps);
    totals_free(&totals);
    gaps_free(&gaps);
    return status;
}

/* ---- start ---- */

static const struct command COMMANDS[] = {
    { "trust", "COMMUNE.keng...", "accept these communes' records", run_trust },
    { "import", "FILE...", "verify and take in batch files", run_import },
    { "verify", "FILE...", "the same without a ledger: nothing is kept", run_verify },
    { "report", "", "totals, missing numbers, forks", run_report },
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

static void print_help(void)
{
    printf("usage: keng-province [OPTION]... COMMAND [ARGUMENT]...\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", COMMANDS[i].name, COMMANDS[i].arguments);
        printf("  %-24s %s\n", left, COMMANDS[i].help);
    }
    printf("\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", OPTIONS[i].name, OPTIONS[i].argument ? " " : "",
                 OPTIONS[i].argument ? OPTIONS[i].argument : "");
        printf("  %-24s %s\n", left, OPTIONS[i].help);
    }
    printf("\nexit status: 0 all good, 1 failure, 2 wrong usage, 3 some records were refused\n");
}

/* Vietnamese when the first variable that is set names it. */
static enum language language_of_environment(void)
{
    static const char *const NAMES[] = { "KENG_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE" };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const char *value = getenv(NAMES[i]);
        if (value && strncmp(value, "vi", 2) == 0)
            return LANG_VI;
    }
    return LANG_EN;
}

static bool parse_count(const char *text, unsigned max, unsigned *count_out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end || *text == '-' || value < 1 || value > max)
        return false;
    *count_out = (unsigned)value;
    return true;
}

static bool parse_indicator(const char *text, struct options *o)
{
    char kind[24];
    size_t len = strcspn(text, ":");
    if (len >= sizeof kind || text[len] != ':')
        return false;
    memcpy(kind, text, len);
    kind[len] = '\0';
    o->kind = record_kind_find(kind);
    return record_is_report(o->kind) && parse_count(text + len + 1, REPORT_CODE_MAX, &o->code);
}

/* 0, EXIT_USAGE, or -1 when help was printed. */
static int parse_options(int argc, char **argv, struct options *o)
{
    struct option longs[OPTION_COUNT + 1] = { { NULL, 0, NULL, 0 } };
    for (size_t i = 0; i < OPTION_COUNT; i++)
        longs[i] = (struct option){ OPTIONS[i].name, OPTIONS[i].argument ? required_argument
                                                                        : no_argument,
                                    NULL, OPTIONS[i].key };
    *o = (struct options){ .db = "province.db", .language = language_of_environment() };
    int key;
    while ((key = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (key) {
        case 'd': o->db = optarg; break;
        case 'c': o->csv = optarg; break;
        case 'j': o->json = true; break;
        case 'D': o->data = optarg; break;
        case 'v': o->villages = optarg; break;
        case 'V': o->verdicts = optarg; break;
        case 'C': o->commune = optarg; break;
        case 'N':
            if (!parse_count(optarg, REPORT_VILLAGE_MAX, &o->village))
                return complain(EXIT_USAGE, "--village %s: expected a number", optarg);
            break;
        case 'e':
            if (!parse_count(optarg, REPORT_EVENT_MAX, &o->event))
                return complain(EXIT_USAGE, "--event %s: expected a number", optarg);
            break;
        case 'i':
            if (!parse_indicator(optarg, o))
                return complain(EXIT_USAGE, "--indicator %s: expected KIND:CODE, such as damage:1",
                                optarg);
            break;
        case 't':
            if (o->trust_count == TRUST_COUNT_MAX)
                return complain(EXIT_USAGE, "--trust: %d files at most", (int)TRUST_COUNT_MAX);
            o->trust[o->trust_count++] = optarg;
            break;
        case 'T':
            if (!parse_count(optarg, IMPORT_THREAD_COUNT_MAX, &o->thread_count))
                return complain(EXIT_USAGE, "--threads %s: expected 1 to %d", optarg,
                                (int)IMPORT_THREAD_COUNT_MAX);
            break;
        case 'l':
            if (!lang_find(optarg, &o->language))
                return complain(EXIT_USAGE, "--lang %s: expected vi or en", optarg);
            break;
        case 'h': print_help(); return -1;
        default: return complain(EXIT_USAGE, "see keng-province --help");
        }
    }
    return 0;
}

static int load_data(struct province *p)
{
    const char *env = getenv("KENG_DATA");
    const char *places[] = { p->options.data, p->options.data ? NULL : env, "seeds",
                             "/usr/share/keng" };
    char path[PATH_LEN_MAX] = "", err[CATALOGUE_ERR_LEN];
    for (size_t i = 0; i < sizeof places / sizeof places[0] && !p->catalogue; i++) {
        if (!places[i])
            continue;
        snprintf(path, sizeof path, "%s/catalogue", places[i]);
        if (!file_exists(path) && places[i] != p->options.data)
            continue;
        if (catalogue_load(path, &p->catalogue, err, sizeof err) != 0)
            return complain(EXIT_FAILURE, "%s", err);
    }
    if (!p->catalogue)
        complain(0, "no catalogue found: indicators are shown as numbers; name it with --data");
    if (p->options.villages &&
        villages_load(p->options.villages, &p->villages, err, sizeof err) != 0)
        return complain(EXIT_FAILURE, "%s", err);
    return 0;
}

int province_run(int argc, char **argv)
{
    struct province p = { .db = NULL };
    char err[DB_ERR_LEN];
    if (sodium_init() < 0)
        return complain(EXIT_FAILURE, "libsodium cannot start");
    int status = parse_options(argc, argv, &p.options);
    if (status != 0)
        return status < 0 ? EXIT_SUCCESS : status;
    const struct command *command = NULL;
    for (size_t i = 0; i < COMMAND_COUNT && optind < argc; i++)
        if (strcmp(argv[optind], COMMANDS[i].name) == 0)
            command = &COMMANDS[i];
    if (!command)
        return complain(EXIT_USAGE, "%s%sname a command: trust, import, verify or report; see "
                        "keng-province --help", optind < argc ? argv[optind] : "",
                        optind < argc ? ": no such command; " : "");
    status = command->run == run_report ? load_data(&p) : 0;
    if (status == 0 && db_open(command->run == run_verify ? ":memory:" : p.options.db, &p.db,
                               err) != 0)
        status = complain(EXIT_FAILURE, "%s", err);
    if (status == 0 && ledger_init(&p.ledger, p.db) < 0)
        status = complain(EXIT_FAILURE, "%s", db_error(p.db));
    if (status == 0)
        status = command->run(&p, argv + optind + 1, argc - optind - 1);
    if (fflush(stdout) != 0 && status == EXIT_SUCCESS)
        status = complain(EXIT_FAILURE, "the output cannot be written");
    ledger_free(&p.ledger);
    db_close(p.db);
    catalogue_free(p.catalogue);
    villages_free(p.villages);
    return status;
}
