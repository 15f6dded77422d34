/* catalogue.h - what the numbers on the air mean: indicators, hazards, villages.
 *
 * Read from versioned data files (seeds/catalogue/, a commune's villages.csv), never compiled
 * in, because the official codes may change and a province must be able to correct them.  A file
 * with a mistake is refused as a whole, with file and line.
 *
 * A row holds from one day to another, both included and in Vietnam; rows of one number follow each
 * other and may differ in names, never in what the number means.  A moment asked for is given in
 * milliseconds of Unix time.
 *
 * Names are compared without case and without diacritics, with '-', '_' and ' ' the same; so
 * "Nhà-sập", "nha_sap" and "NHA SAP" are one name.
 *
 * Time      Lookups by name search a sorted index, by number a sorted table.
 * Memory    Loaded objects own their heap and are read-only afterwards; strings live in them.
 * Errors    0 or a negative enum catalogue_err; *_load() also explains itself in err.
 */
#ifndef KENG_PROTO_CATALOGUE_H
#define KENG_PROTO_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CATALOGUE_NUMBER_MAX = 16383,    /* two LEB128 groups on the air */
    CATALOGUE_HAZARD_MAX = 127,      /* one */
    CATALOGUE_DECIMALS_MAX = 6,
    CATALOGUE_STATE_COUNT_MAX = 8,
    CATALOGUE_SUGGESTION_COUNT_MAX = 3,
    CATALOGUE_ERR_LEN = 256,         /* enough for every explanation, longer ones are cut */
    CATALOGUE_VALUE_LEN = 128,       /* enough for every formatted value with its unit */
};

/* A moment behind all changes: for who has no clock, or asks what it is called in the end. */
#define CATALOGUE_LATEST INT64_MAX

/* Values are totals of people, houses, kilograms ...: more than this is a slip of the finger. */
#define CATALOGUE_VALUE_MAX INT64_C(999999999999)

enum catalogue_err {
    CATALOGUE_OK = 0,
    CATALOGUE_EFILE = -1,     /* cannot be read */
    CATALOGUE_EFORM = -2,     /* a mistake in the file */
    CATALOGUE_EMEM = -3,
    CATALOGUE_ENUMBER = -4,   /* not a plain number (12, 2.5, 2,5) */
    CATALOGUE_ENEGATIVE = -5,
    CATALOGUE_EDECIMALS = -6, /* more decimals than the unit has */
    CATALOGUE_ERANGE = -7,    /* over CATALOGUE_VALUE_MAX */
    CATALOGUE_ESTATE = -8,    /* not one of the states this item can have */
};

enum catalogue_language { CATALOGUE_VI, CATALOGUE_EN };

/* How every row begins. */
struct catalogue_row {
    int64_t from_ms, until_ms; /* first and last millisecond; INT64_MIN and INT64_MAX: open */
    uint32_t number;           /* what goes on the air, unique within kind at any moment */
    uint32_t line;             /* of the file */
    uint8_t kind; /* of an item: enum record_kind, RECORD_DAMAGE..RECORD_SAFE; otherwise 0 */
};

bool catalogue_holds(const struct catalogue_row *row, int64_t at_ms);

/* An item with states has one of these instead of a quantity. */
struct catalogue_state {
    int64_t value;
    const char *vi, *en; /* what is shown */
    const char *words;   /* what is understood, lower case without diacritics, separated by '/' */
};

struct catalogue_item {
    struct catalogue_row row;
    uint8_t decimals;
    bool quick_report;
    const char *code; /* official where there is one; see basis */
    const char *group;
    const char *name_vi, *name_en;
    const char *alias_vi;           /* first short Vietnamese name; "" when there is none */
    const char *alias_en;           /* first short English name; "" when there is none */
    const char *short_vi, *short_en; /* all short names, separated by spaces */
    const char *unit, *unit_en; /* English says nothing where it would repeat the name */
    const char *basis;
    size_t state_count; /* 0: a quantity */
    const struct catalogue_state *states;
};

struct catalogue_hazard {
    struct catalogue_row row;
    const char *code;
    const char *name_vi, *name_en;
    const char *alias_vi; /* first short name */
    const char *short_vi; /* all of them */
};

/* The index of names: folded, ascending by kind, name and when the row begins. */
struct catalogue_name {
    const char *folded;
    const struct catalogue_row *row;
};

struct catalogue {
    const char *version;    /* of the data, e.g. "2026.1" */
    const char *valid_from; /* YYYY-MM-DD */
    const struct catalogue_item *items; /* ascending by kind, number and time */
    size_t item_count;
    const struct catalogue_hazard *hazards; /* ascending by number and time */
    size_t hazard_count;
    const struct catalogue_name *item_names, *hazard_names;
    size_t item_name_count, hazard_name_count;
};

/* Reads VERSION, indicators.csv and hazards.csv of dir, whose columns seeds/README.md explains.
 * err gets one line when it fails. */
int catalogue_load(const char *dir, struct catalogue **cat_out, char *err, size_t err_cap);
void catalogue_free(struct catalogue *cat);

/* By short name or code, older ones too; NULL when there is none.  Who offers it to be chosen asks
 * catalogue_holds(): the row may have ended, or not begun. */
const struct catalogue_item *catalogue_find(const struct catalogue *cat, uint8_t kind,
                                            const char *name, int64_t at_ms);
/* By number, as it was at a moment: the row that held, else the one that came next, else the last.
 * NULL when there is none: an unknown number is shown as a number, never dropped. */
const struct catalogue_item *catalogue_get(const struct catalogue *cat, uint8_t kind,
                                           uint32_t number, int64_t at_ms);

/* The items that hold and whose short names are nearest to a mistyped one, nearest first, none that
 * is far off.  Returns how many were written. */
size_t catalogue_suggest(const struct catalogue *cat, uint8_t kind, const char *name,
                         int64_t at_ms, const struct catalogue_item **items_out,
                         size_t count_max);

/* The same of hazards. */
const struct catalogue_hazard *catalogue_hazard_find(const struct catalogue *cat,
                                                     const char *name, int64_t at_ms);
const struct catalogue_hazard *catalogue_hazard_get(const struct catalogue *cat, uint32_t number,
                                                    int64_t at_ms);
size_t catalogue_hazard_suggest(const struct catalogue *cat, const char *name, int64_t at_ms,
                                const struct catalogue_hazard **hazards_out, size_t count_max);

/* "2.5" or "2,5" with one decimal gives 25; a state by its Vietnamese or English word, or by its
 * number.  There is no separator of thousands: "1.000" in whole units is refused. */
int catalogue_value_parse(const struct catalogue_item *item, const char *text,
                          int64_t *value_out);

/* The value in words, NUL-ended.  with_unit: to read, with its unit and groups of thousands,
 * "1.250,5 ha" in Vietnamese, "1,250.5 ha" in English; without: as it may be typed again, "1250,5".
 * Returns the full length as snprintf does.  item may be NULL: the bare number. */
size_t catalogue_value_format(const struct catalogue_item *item, int64_t value,
                              enum catalogue_language language, bool with_unit,
                              char *buf, size_t cap);

/* A name as it is compared: lower case, no diacritics, '_' for '-' and ' '.  False: not UTF-8, or
 * too long to be a name of ours. */
enum { CATALOGUE_FOLDED_LEN = 96 };
bool catalogue_fold(const char *name, char folded_out[static CATALOGUE_FOLDED_LEN]);

const char *catalogue_strerror(int err);

struct village {
    struct catalogue_row row; /* numbers 1..65535 */
    const char *name;
    int32_t lat_e5, lon_e5; /* both 0: not known */
    uint32_t households, people;
};

struct villages {
    const struct village *list; /* ascending by number and time */
    size_t count;
    const struct catalogue_name *names;
    size_t name_count;
};

/* Reads number,name,lat,lon,households,people and, where they stand there, from and until. */
int villages_load(const char *path, struct villages **villages_out, char *err, size_t err_cap);
void villages_free(struct villages *villages);
/* As catalogue_get(), catalogue_find() and catalogue_suggest(); a number may be given as a name. */
const struct village *villages_get(const struct villages *villages, uint32_t number,
                                   int64_t at_ms);
const struct village *villages_find(const struct villages *villages, const char *name,
                                    int64_t at_ms);
size_t villages_suggest(const struct villages *villages, const char *name, int64_t at_ms,
                        const struct village **villages_out, size_t count_max);

#endif
