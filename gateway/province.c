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

#include "gateway/books.h"
#include "gateway/books_chart.h"
#include "gateway/books_serve.h"
#include "gateway/bundle.h"
#include "gateway/export.h"
#include "gateway/import.h"
#include "gateway/lang.h"
#include "gateway/ledger.h"
#include "gateway/province_import.h"
#include "gateway/province_root.h"
#include "gateway/units.h"
#include "node/home.h"
#include "proto/catalogue.h"

enum {
    EXIT_USAGE = PROVINCE_EXIT_USAGE,
    TRUST_COUNT_MAX = 64,
    PATH_LEN_MAX = 4096,
};

struct options {
    const char *db, *csv, *svg, *data, *villages, *verdicts, *desk, *listen;
    const char *trust[TRUST_COUNT_MAX];
    unsigned trust_count, thread_count;
    int64_t as_of_ms;
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
    { 's', "svg", "FILE", "report: also draw the course of the event" },
    { 'a', "as-of", "TIME", "report, export: of what was here then: 2026-11-22T03:30 or a day" },
    { 'j', "json", NULL, "report: JSON instead of a table" },
    { 'l', "lang", "vi|en", "language (default: vi when the environment says so, else en)" },
    { 'D', "data", "DIR", "data files (default: $KENG_DATA, ./seeds, /usr/share/keng)" },
    { 'v', "villages", "FILE", "village names, when the ledger holds one commune" },
    { 'C', "commune", "NAME", "report, export: of this commune only" },
    { 'N', "village", "N", "report, export: of this village only" },
    { 'e', "event", "N", "report, export: of this event only" },
    { 'i', "indicator", "KIND:CODE", "report, export: of this indicator only, such as damage:1" },
    { 'k', "desk", "DIR", "sign: the province's key desk (default: desk)" },
    { 'L', "listen", "ADDRESS", "serve: where (default: 127.0.0.1:8090)" },
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
    bool names; /* wants the names of indicators and villages */
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

/* Makes a root the province's: whom it names is trusted, and how far. */
static int run_root(struct province *p, char **paths, int count)
{
    char err[BUNDLE_ERR_LEN], fingerprint[BUNDLE_FINGERPRINT_LEN];
    int64_t commune;
    if (count != 1)
        return complain(EXIT_USAGE, "root needs the commune.keng of the province's own desk");
    if (bundle_trust(&p->ledger, paths[0], wall_ms(), &commune, err) != 0)
        return complain(EXIT_FAILURE, "%s", err);
    if (units_set_province(&p->ledger, commune) < 0)
        return complain(EXIT_FAILURE, "%s", db_error(p->db));
    size_t named = 0;
    for (size_t i = 0; i < p->ledger.commune_count; i++)
        named += p->ledger.communes[i].unit.code[0] != '\0';
    const struct ledger_commune *c = ledger_get(&p->ledger, commune);
    if (!c)
        return complain(EXIT_FAILURE, "%s: not stored", paths[0]);
    bundle_fingerprint(c->info.network_id, fingerprint);
    printf("%s: %s; names %zu roots\n", units_name(c), fingerprint, named);
    return EXIT_SUCCESS;
}

/* Every root that is believed here, and how far. */
static int run_roots(struct province *p, char **arguments, int count)
{
    if (count > 0)
        return complain(EXIT_USAGE, "roots takes no argument: %s", arguments[0]);
    for (size_t i = 0; i < p->ledger.commune_count; i++) {
        const struct ledger_commune *c = &p->ledger.communes[i];
        const struct ledger_commune *now =
            units_now(&p->ledger, c, units_day_of_ms(wall_ms()));
        char fingerprint[BUNDLE_FINGERPRINT_LEN], day[UNITS_DATE_LEN];
        bundle_fingerprint(c->info.network_id, fingerprint);
        printf("%s  %s", fingerprint, units_name(c));
        if (c->is_province)
            printf("; names the others");
        if (c->unit.code[0])
            printf("; code %s", c->unit.code);
        if (c->unit.from_day) {
            units_day_format(c->unit.from_day, day);
            printf(" from %s", day);
        }
        if (c->unit.until_day) {
            units_day_format(c->unit.until_day, day);
            printf(" until %s", day);
        }
        if (c->unit.revoked_after)
            printf("; its root counts up to number %u", (unsigned)c->unit.revoked_after - 1);
        printf(now == c ? "\n" : "; now part of %s\n", units_name(now));
    }
    return EXIT_SUCCESS;
}

static int run_sign(struct province *p, char **paths, int count)
{
    if (count != 1)
        return complain(EXIT_USAGE, "sign needs one list of units");
    return province_sign(p->options.desk, paths[0], wall_ms());
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

/* ---- what the books say ---- */

static struct books_query make_query(struct province *p)
{
    const struct options *o = &p->options;
    return (struct books_query){
        .ledger = &p->ledger, .catalogue = p->catalogue, .villages = p->villages,
        .commune = o->commune, .village = o->village, .event = o->event, .code = o->code,
        .kind = o->kind, .language = o->language, .as_of_ms = o->as_of_ms, .now_ms = wall_ms(),
    };
}

static int write_file(const char *path, const struct strbuf *text)
{
    char err[HOME_ERR_LEN];
    return home_replace_file(path, (const uint8_t *)text->text, text->len, 0644, err) == 0
               ? EXIT_SUCCESS : complain(EXIT_FAILURE, "%s", err);
}

static int cannot(const struct province *p, int result)
{
    return complain(EXIT_FAILURE, "%s", result == DB_ENOMEM
                        ? "more than fits one report: ask for a commune or an event"
                        : db_error(p->db));
}

typedef int (*books_fn)(const struct books_query *q, const struct books *b, struct strbuf *out);

/* One form of the books, to a file or to standard output, of any length. */
static int tell(struct province *p, const struct books_query *q, const struct books *b,
                books_fn make, const char *path)
{
    char err[HOME_ERR_LEN] = "";
    struct strbuf out = { .sink = path ? home_replace_begin(path, 0644, err) : stdout };
    if (!out.sink)
        return complain(EXIT_FAILURE, "%s", err);
    int result = make(q, b, &out);
    bool whole = strbuf_flush(&out) && result >= 0;
    bool ended = !path || home_replace_end(out.sink, path, whole, err) == 0;
    strbuf_free(&out);
    if (!ended && err[0])
        return complain(EXIT_FAILURE, "%s", err);
    if (!path && ferror(stdout))
        return complain(EXIT_FAILURE, "the output cannot be written");
    return whole ? EXIT_SUCCESS : cannot(p, result);
}

static int run_report(struct province *p, char **arguments, int count)
{
    struct books_query q = make_query(p);
    struct books b;
    if (count > 0)
        return complain(EXIT_USAGE, "report takes no argument: %s", arguments[0]);
    int result = books_collect(&q, &b);
    if (result < 0)
        return cannot(p, result);
    int status = EXIT_SUCCESS;
    if (p->options.csv)
        status = tell(p, &q, &b, books_csv, p->options.csv);
    if (status == EXIT_SUCCESS && p->options.svg)
        status = tell(p, &q, &b, books_chart, p->options.svg);
    if (status == EXIT_SUCCESS)
        status = tell(p, &q, &b, p->options.json ? books_json : books_text, NULL);
    books_free(&b);
    return status;
}

/* The format is the end of the file's name. */
static const struct export_format *format_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strchr(slash ? slash : path, '.');
    const struct export_format *f = NULL;
    while (dot && !(f = export_find(dot + 1)))
        dot = strchr(dot + 1, '.');
    return f;
}

static int run_export(struct province *p, char **paths, int count)
{
    struct books_query q = make_query(p);
    struct books b;
    struct quick quick;
    if (count == 0)
        return complain(EXIT_USAGE, "name at least one file to write");
    for (int i = 0; i < count; i++)
        if (!format_of(paths[i]))
            return complain(EXIT_USAGE, "%s: expected a name that ends in .xlsx, .csv, .hxl.csv, "
                            ".geojson or .txt", paths[i]);
    int result = books_collect(&q, &b);
    if (result < 0)
        return cannot(p, result);
    result = books_quick(&q, &b, &quick);
    books_free(&b);
    if (result < 0)
        return cannot(p, result);
    int status = EXIT_SUCCESS;
    for (int i = 0; i < count && status == EXIT_SUCCESS; i++) {
        struct strbuf out = { .text = NULL };
        status = format_of(paths[i])->write(&quick, q.language, &out) ? write_file(paths[i], &out)
                                                                      : cannot(p, DB_ENOMEM);
        strbuf_free(&out);
    }
    quick_free(&quick);
    return status;
}

static int run_serve(struct province *p, char **arguments, int count)
{
    struct books_query q = make_query(p);
    if (count > 0)
        return complain(EXIT_USAGE, "serve takes no argument: %s", arguments[0]);
    return books_serve(&q, p->options.listen);
}

/* ---- start ---- */

static const struct command COMMANDS[] = {
    { "trust", "COMMUNE.keng...", "accept these communes' records", run_trust, false },
    { "import", "FILE...", "verify and take in batch files", run_import, false },
    { "verify", "FILE...", "the same without a ledger: nothing is kept", run_verify, false },
    { "report", "", "totals, missing numbers, forks", run_report, true },
    { "export", "FILE...", "the totals as .xlsx, .csv, .hxl.csv, .geojson or .txt", run_export,
      true },
    { "serve", "", "the books as pages for this machine's browser", run_serve, true },
    { "root", "PROVINCE.keng", "trust the roots that this one names, and so far as it says",
      run_root, false },
    { "roots", "", "every root that is believed, and how far", run_roots, false },
    { "sign", "UNITS.csv", "at the province's desk: name the communes' roots", run_sign, false },
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
    *o = (struct options){ .db = "province.db", .desk = "desk", .listen = "127.0.0.1:8090",
                           .language = language_of_environment() };
    int key;
    while ((key = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (key) {
        case 'd': o->db = optarg; break;
        case 'c': o->csv = optarg; break;
        case 's': o->svg = optarg; break;
        case 'k': o->desk = optarg; break;
        case 'L': o->listen = optarg; break;
        case 'a':
            if (!books_moment_parse(optarg, &o->as_of_ms))
                return complain(EXIT_USAGE, "--as-of %s: expected 2026-11-22 or 2026-11-22T03:30, "
                                "with Z at its end for UTC", optarg);
            break;
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
        return complain(EXIT_USAGE, "%s%sname a command; see keng-province --help",
                        optind < argc ? argv[optind] : "",
                        optind < argc ? ": no such command; " : "");
    if (command->run == run_sign)
        return run_sign(&p, argv + optind + 1, argc - optind - 1);
    status = command->names ? load_data(&p) : 0;
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
