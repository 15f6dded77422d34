#include "gateway/province.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "gateway/books.h"
#include "gateway/books_chart.h"
#include "gateway/books_export.h"
#include "gateway/books_serve.h"
#include "gateway/bundle.h"
#include "gateway/export.h"
#include "gateway/import.h"
#include "gateway/lang.h"
#include "gateway/ledger.h"
#include "gateway/province_import.h"
#include "gateway/province_root.h"
#include "gateway/province_say.h"
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
    const char *name;
    enum lang_text argument, help; /* argument NO_TEXT: it takes none */
};
#define NO_TEXT LANG_TEXT_COUNT

static const struct option_row OPTIONS[] = {
    { 'd', "db", LANG_P_ARGUMENT_FILE, LANG_P_OPTION_DB },
    { 'c', "csv", LANG_P_ARGUMENT_FILE, LANG_P_OPTION_CSV },
    { 's', "svg", LANG_P_ARGUMENT_FILE, LANG_P_OPTION_SVG },
    { 'a', "as-of", LANG_P_ARGUMENT_TIME, LANG_P_OPTION_AS_OF },
    { 'j', "json", NO_TEXT, LANG_P_OPTION_JSON },
    { 'l', "lang", LANG_P_ARGUMENT_LANG, LANG_P_OPTION_LANG },
    { 'D', "data", LANG_P_ARGUMENT_DIR, LANG_P_OPTION_DATA },
    { 'v', "villages", LANG_P_ARGUMENT_FILE, LANG_P_OPTION_VILLAGES },
    { 'C', "commune", LANG_P_ARGUMENT_NAME, LANG_P_OPTION_COMMUNE },
    { 'N', "village", LANG_P_ARGUMENT_NUMBER, LANG_P_OPTION_VILLAGE },
    { 'e', "event", LANG_P_ARGUMENT_NUMBER, LANG_P_OPTION_EVENT },
    { 'i', "indicator", LANG_P_ARGUMENT_INDICATOR, LANG_P_OPTION_INDICATOR },
    { 'k', "desk", LANG_P_ARGUMENT_DIR, LANG_P_OPTION_DESK },
    { 'L', "listen", LANG_P_ARGUMENT_ADDRESS, LANG_P_OPTION_LISTEN },
    { 't', "trust", LANG_P_ARGUMENT_FILE, LANG_P_OPTION_TRUST },
    { 'V', "verdicts", LANG_P_ARGUMENT_FILE, LANG_P_OPTION_VERDICTS },
    { 'T', "threads", LANG_P_ARGUMENT_NUMBER, LANG_P_OPTION_THREADS },
    { 'h', "help", NO_TEXT, LANG_P_OPTION_HELP },
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
    const char *name;
    enum lang_text arguments, help;
    int (*run)(struct province *p, char **arguments, int count);
    bool names;  /* wants the names of indicators and villages */
    bool begins; /* may begin a ledger; others would say that nothing is missing in a new one */
};

#define complain(p, status, text) province_complain((p)->options.language, status, text)
#define complain_of(p, status, text, ...)                                                          \
    province_complain_of((p)->options.language, status, text, __VA_ARGS__)

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
        return complain(p, EXIT_USAGE, LANG_P_WANTS_TRUST);
    for (int i = 0; i < count; i++) {
        int64_t commune;
        if (bundle_trust(&p->ledger, p->options.language, paths[i], wall_ms(), &commune, err) != 0)
            return province_complain_as_told(EXIT_FAILURE, err);
        const struct ledger_commune *c = ledger_get(&p->ledger, commune);
        if (!c)
            return complain_of(p, EXIT_FAILURE, LANG_P_NOT_STORED, LANG_WORD(paths[i]));
        bundle_fingerprint(c->info.network_id, fingerprint);
        printf("%s: %s\n", c->info.name[0] ? c->info.name : paths[i], fingerprint);
    }
    return EXIT_SUCCESS;
}

static int run_import(struct province *p, char **paths, int count)
{
    struct province_import how = { .ledger = &p->ledger, .verify_only = p->verify_only,
                                   .thread_count = p->options.thread_count,
                                   .verdicts_path = p->options.verdicts,
                                   .language = p->options.language };
    int status = EXIT_SUCCESS;
    if (count == 0)
        return complain(p, EXIT_USAGE, LANG_P_WANTS_FILE);
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
        return complain(p, EXIT_USAGE, LANG_P_WANTS_ROOT);
    if (bundle_trust(&p->ledger, p->options.language, paths[0], wall_ms(), &commune, err) != 0)
        return province_complain_as_told(EXIT_FAILURE, err);
    if (units_set_province(&p->ledger, commune) < 0)
        return province_complain_as_told(EXIT_FAILURE, db_error(p->db));
    size_t named = 0;
    for (size_t i = 0; i < p->ledger.commune_count; i++)
        named += p->ledger.communes[i].unit.code[0] != '\0';
    const struct ledger_commune *c = ledger_get(&p->ledger, commune);
    if (!c)
        return complain_of(p, EXIT_FAILURE, LANG_P_NOT_STORED, LANG_WORD(paths[0]));
    bundle_fingerprint(c->info.network_id, fingerprint);
    province_say(p->options.language, LANG_P_NAMES_ROOTS, LANG_WORD(units_name(c)),
                 LANG_WORD(fingerprint), LANG_NUMBER(named));
    printf("\n");
    return EXIT_SUCCESS;
}

/* Every root that is believed here, and how far. */
static int run_roots(struct province *p, char **arguments, int count)
{
    enum language language = p->options.language;
    if (count > 0)
        return complain_of(p, EXIT_USAGE, LANG_P_WANTS_NONE, LANG_WORD("roots"),
                           LANG_WORD(arguments[0]));
    for (size_t i = 0; i < p->ledger.commune_count; i++) {
        const struct ledger_commune *c = &p->ledger.communes[i];
        const struct ledger_commune *now =
            units_now(&p->ledger, c, units_day_of_ms(wall_ms()));
        char fingerprint[BUNDLE_FINGERPRINT_LEN], day[UNITS_DATE_LEN];
        bundle_fingerprint(c->info.network_id, fingerprint);
        printf("%s  %s", fingerprint, units_name(c));
        if (c->is_province)
            printf("%s", lang_text(language, LANG_P_NAMES_OTHERS));
        if (c->unit.code[0])
            province_say(language, LANG_P_CODE, LANG_WORD(c->unit.code));
        if (c->unit.from_day) {
            units_day_format(c->unit.from_day, day);
            province_say(language, LANG_P_FROM, LANG_WORD(day));
        }
        if (c->unit.until_day) {
            units_day_format(c->unit.until_day, day);
            province_say(language, LANG_P_UNTIL, LANG_WORD(day));
        }
        if (c->unit.revoked_after)
            province_say(language, LANG_P_ROOT_BOUND, LANG_NUMBER(c->unit.revoked_after - 1));
        if (now != c)
            province_say(language, LANG_P_PART_OF, LANG_WORD(units_name(now)));
        printf("\n");
    }
    return EXIT_SUCCESS;
}

static int run_sign(struct province *p, char **paths, int count)
{
    if (count != 1)
        return complain(p, EXIT_USAGE, LANG_P_WANTS_LIST);
    return province_sign(p->options.language, p->options.desk, paths[0], wall_ms());
}

/* Without a store: a ledger in memory that knows the communes named with --trust. */
static int run_verify(struct province *p, char **paths, int count)
{
    char err[BUNDLE_ERR_LEN];
    int64_t commune;
    if (p->options.trust_count == 0)
        return complain(p, EXIT_USAGE, LANG_P_WANTS_TRUSTED);
    for (unsigned i = 0; i < p->options.trust_count; i++)
        if (bundle_trust(&p->ledger, p->options.language, p->options.trust[i], wall_ms(), &commune,
                         err) != 0)
            return province_complain_as_told(EXIT_FAILURE, err);
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
        .database = o->db,
    };
}

/* A wrong name must not look like a commune without reports. */
static bool knows_commune(const struct books_query *q)
{
    bool known = !q->commune;
    for (size_t i = 0; i < q->ledger->commune_count && !known; i++)
        known = books_is_wanted(q, &q->ledger->communes[i]);
    return known;
}

static int cannot(const struct province *p, int result)
{
    return result == DB_ENOMEM ? complain(p, EXIT_FAILURE, LANG_P_NO_ROOM)
                               : province_complain_as_told(EXIT_FAILURE, db_error(p->db));
}

typedef int (*books_fn)(const struct books_query *q, const struct books *b, struct strbuf *out);

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

static int make_export(const struct books_query *q, const struct books *b, const char *path,
                       struct strbuf *out)
{
    struct books_export e;
    books_export_init(&e, q, b);
    return format_of(path)->write(&e.quick, q->language, out) ? 0 : DB_ENOMEM;
}

/* One form of the books, to a file or to standard output, of any length.  make NULL: the file's
 * name says which. */
static int tell(struct province *p, const struct books_query *q, const struct books *b,
                books_fn make, const char *path)
{
    char err[HOME_ERR_LEN] = "";
    struct strbuf out = { .sink = path ? home_replace_begin(path, 0644, err) : stdout };
    if (!out.sink)
        return province_complain_as_told(EXIT_FAILURE, err);
    int result = make ? make(q, b, &out) : make_export(q, b, path, &out);
    bool whole = strbuf_flush(&out) && result >= 0;
    bool ended = !path || home_replace_end(out.sink, path, whole, err) == 0;
    strbuf_free(&out);
    if (!ended && err[0])
        return province_complain_as_told(EXIT_FAILURE, err);
    if (!path && ferror(stdout))
        return complain(p, EXIT_FAILURE, LANG_P_NOT_WRITTEN);
    return whole ? EXIT_SUCCESS : cannot(p, result);
}

static int run_report(struct province *p, char **arguments, int count)
{
    struct books_query q = make_query(p);
    struct books b;
    if (count > 0)
        return complain_of(p, EXIT_USAGE, LANG_P_WANTS_NONE, LANG_WORD("report"),
                           LANG_WORD(arguments[0]));
    if (!knows_commune(&q))
        return complain_of(p, EXIT_USAGE, LANG_P_NO_SUCH_COMMUNE, LANG_WORD(q.commune));
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

static int run_export(struct province *p, char **paths, int count)
{
    struct books_query q = make_query(p);
    struct books b;
    if (count == 0)
        return complain(p, EXIT_USAGE, LANG_P_WANTS_EXPORT);
    for (int i = 0; i < count; i++)
        if (!format_of(paths[i]))
            return complain_of(p, EXIT_USAGE, LANG_P_WANTS_FORMAT, LANG_WORD(paths[i]));
    if (!knows_commune(&q))
        return complain_of(p, EXIT_USAGE, LANG_P_NO_SUCH_COMMUNE, LANG_WORD(q.commune));
    int result = books_collect(&q, &b);
    if (result < 0)
        return cannot(p, result);
    int status = EXIT_SUCCESS;
    for (int i = 0; i < count && status == EXIT_SUCCESS; i++)
        status = tell(p, &q, &b, NULL, paths[i]);
    books_free(&b);
    return status;
}

static int run_serve(struct province *p, char **arguments, int count)
{
    struct books_query q = make_query(p);
    if (count > 0)
        return complain_of(p, EXIT_USAGE, LANG_P_WANTS_NONE, LANG_WORD("serve"),
                           LANG_WORD(arguments[0]));
    return books_serve(&q, p->options.listen);
}

/* ---- start ---- */

static const struct command COMMANDS[] = {
    { "trust", LANG_P_ARGUMENT_COMMUNES, LANG_P_COMMAND_TRUST, run_trust, false, true },
    { "import", LANG_P_ARGUMENT_FILES, LANG_P_COMMAND_IMPORT, run_import, false, false },
    { "verify", LANG_P_ARGUMENT_FILES, LANG_P_COMMAND_VERIFY, run_verify, false, true },
    { "report", NO_TEXT, LANG_P_COMMAND_REPORT, run_report, true, false },
    { "export", LANG_P_ARGUMENT_FILES, LANG_P_COMMAND_EXPORT, run_export, true, false },
    { "serve", NO_TEXT, LANG_P_COMMAND_SERVE, run_serve, true, false },
    { "root", LANG_P_ARGUMENT_PROVINCE, LANG_P_COMMAND_ROOT, run_root, false, true },
    { "roots", NO_TEXT, LANG_P_COMMAND_ROOTS, run_roots, false, false },
    { "sign", LANG_P_ARGUMENT_UNITS, LANG_P_COMMAND_SIGN, run_sign, false, false },
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

static void print_help_row(enum language language, const char *dashes, const char *name,
                           enum lang_text argument, enum lang_text help)
{
    enum { LEFT_WIDTH = 24 };
    const char *word = argument == NO_TEXT ? "" : lang_text(language, argument);
    size_t used = strlen(dashes) + strlen(name) + (*word ? 1 : 0) + lang_width(word);
    printf("  %s%s%s%s%*s %s\n", dashes, name, *word ? " " : "", word,
           used < LEFT_WIDTH ? (int)(LEFT_WIDTH - used) : 0, "", lang_text(language, help));
}

static void print_help(enum language language)
{
    printf("%s\n\n", lang_text(language, LANG_P_USAGE));
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        print_help_row(language, "", COMMANDS[i].name, COMMANDS[i].arguments, COMMANDS[i].help);
    printf("\n");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        print_help_row(language, "--", OPTIONS[i].name, OPTIONS[i].argument, OPTIONS[i].help);
    printf("\n%s\n", lang_text(language, LANG_P_EXIT_STATUS));
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

static int wrong_number(const struct province *p, const char *name, unsigned max)
{
    return complain_of(p, EXIT_USAGE, LANG_P_WANTS_NUMBER, LANG_WORD(name), LANG_WORD(optarg),
                       LANG_NUMBER(max));
}

/* What has to be read; 0 or EXIT_USAGE.  word: as it was written. */
static int parse_value(struct province *p, int key, const char *word)
{
    struct options *o = &p->options;
    switch (key) {
    case 'a':
        return books_moment_parse(optarg, &o->as_of_ms)
                   ? 0 : complain_of(p, EXIT_USAGE, LANG_P_WANTS_MOMENT, LANG_WORD(optarg));
    case 'N':
        return parse_count(optarg, REPORT_VILLAGE_MAX, &o->village)
                   ? 0 : wrong_number(p, "village", REPORT_VILLAGE_MAX);
    case 'e':
        return parse_count(optarg, REPORT_EVENT_MAX, &o->event)
                   ? 0 : wrong_number(p, "event", REPORT_EVENT_MAX);
    case 'i':
        return parse_indicator(optarg, o)
                   ? 0 : complain_of(p, EXIT_USAGE, LANG_P_WANTS_INDICATOR, LANG_WORD(optarg));
    case 't':
        if (o->trust_count == TRUST_COUNT_MAX)
            return complain_of(p, EXIT_USAGE, LANG_P_TOO_MANY_TRUSTS, LANG_NUMBER(TRUST_COUNT_MAX));
        o->trust[o->trust_count++] = optarg;
        return 0;
    case 'T':
        return parse_count(optarg, IMPORT_THREAD_COUNT_MAX, &o->thread_count)
                   ? 0 : wrong_number(p, "threads", IMPORT_THREAD_COUNT_MAX);
    case 'l':
        return lang_find(optarg, &o->language)
                   ? 0 : complain_of(p, EXIT_USAGE, LANG_P_WANTS_LANG, LANG_WORD(optarg));
    default:
        return complain_of(p, EXIT_USAGE, LANG_P_NO_OPTION, LANG_WORD(word));
    }
}

/* 0 or EXIT_USAGE. */
static int parse_options(int argc, char **argv, struct province *p, bool *help_out)
{
    struct options *o = &p->options;
    struct option longs[OPTION_COUNT + 1] = { { NULL, 0, NULL, 0 } };
    for (size_t i = 0; i < OPTION_COUNT; i++)
        longs[i] = (struct option){ OPTIONS[i].name,
                                    OPTIONS[i].argument == NO_TEXT ? no_argument
                                                                   : required_argument,
                                    NULL, OPTIONS[i].key };
    *o = (struct options){ .db = "province.db", .desk = "desk", .listen = "127.0.0.1:8090",
                           .language = lang_of_environment() };
    int key, status = 0;
    opterr = 0; /* it only speaks English */
    while (status == 0 && (key = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (key) {
        case 'd': o->db = optarg; break;
        case 'c': o->csv = optarg; break;
        case 's': o->svg = optarg; break;
        case 'k': o->desk = optarg; break;
        case 'L': o->listen = optarg; break;
        case 'j': o->json = true; break;
        case 'D': o->data = optarg; break;
        case 'v': o->villages = optarg; break;
        case 'V': o->verdicts = optarg; break;
        case 'C': o->commune = optarg; break;
        case 'h': *help_out = true; break;
        default: status = parse_value(p, key, argv[optind - 1]);
        }
    }
    return status;
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
            return province_complain_as_told(EXIT_FAILURE, err);
    }
    if (!p->catalogue)
        complain(p, 0, LANG_P_NO_CATALOGUE);
    if (p->options.villages &&
        villages_load(p->options.villages, &p->villages, err, sizeof err) != 0)
        return province_complain_as_told(EXIT_FAILURE, err);
    return 0;
}

int province_run(int argc, char **argv)
{
    struct province p = { .db = NULL };
    char err[DB_ERR_LEN];
    bool help = false;
    int status = parse_options(argc, argv, &p, &help);
    if (status != 0)
        return status;
    if (help)
        print_help(p.options.language); /* whatever else is asked */
    if (help)
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (sodium_init() < 0)
        return complain(&p, EXIT_FAILURE, LANG_P_NO_SODIUM);
    const struct command *command = NULL;
    for (size_t i = 0; i < COMMAND_COUNT && optind < argc; i++)
        if (strcmp(argv[optind], COMMANDS[i].name) == 0)
            command = &COMMANDS[i];
    if (optind == argc)
        return complain(&p, EXIT_USAGE, LANG_P_NAME_A_COMMAND);
    if (!command)
        return complain_of(&p, EXIT_USAGE, LANG_P_NO_COMMAND, LANG_WORD(argv[optind]));
    if (command->run == run_sign)
        return run_sign(&p, argv + optind + 1, argc - optind - 1);
    if (!command->begins && !db_is_url(p.options.db) && !file_exists(p.options.db))
        return complain_of(&p, EXIT_FAILURE, LANG_P_NO_LEDGER, LANG_WORD(p.options.db));
    status = command->names ? load_data(&p) : 0;
    if (status == 0 && db_open(command->run == run_verify ? ":memory:" : p.options.db, &p.db,
                               err) != 0)
        status = province_complain_as_told(EXIT_FAILURE, err);
    if (status == 0 && ledger_init(&p.ledger, p.db) < 0)
        status = province_complain_as_told(EXIT_FAILURE, db_error(p.db));
    if (status == 0)
        status = command->run(&p, argv + optind + 1, argc - optind - 1);
    if (fflush(stdout) != 0 && status == EXIT_SUCCESS)
        status = complain(&p, EXIT_FAILURE, LANG_P_NOT_WRITTEN);
    ledger_free(&p.ledger);
    db_close(p.db);
    catalogue_free(p.catalogue);
    villages_free(p.villages);
    return status;
}
