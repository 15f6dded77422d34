/* catalogue.h - what the numbers on the air mean: indicators, hazards, villages.
 *
 * Read from versioned data files (seeds/catalogue/, a commune's villages.csv), never compiled
 * in, because the official codes may change and a province must be able to correct them.  A file
 * with a mistake is refused as a whole, with file and line.
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

/* An item with states has one of these instead of a quantity. */
struct catalogue_state {
    int64_t value;
    const char *vi, *en; /* what is shown */
    const char *words;   /* what is understood, lower case without diacritics, separated by '/' */
};

struct catalogue_item {
    uint32_t number; /* what goes on the air, unique within kind */
    uint8_t kind;    /* enum record_kind, RECORD_DAMAGE..RECORD_SAFE */
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
    uint32_t number;
    const char *code;
    const char *name_vi, *name_en;
    const char *alias_vi; /* first short name */
    const char *short_vi; /* all of them */
};

/* The index of names: folded, ascending by kind (0: hazards) and name. */
struct catalogue_name {
    const char *folded;
    uint32_t index; /* into items or hazards */
    uint8_t kind;
};

struct catalogue {
    const char *version;    /* of the data, e.g. "2026.1" */
    const char *valid_from; /* YYYY-MM-DD */
    const struct catalogue_item *items; /* ascending by kind, then number */
    size_t item_count;
    const struct catalogue_hazard *hazards; /* ascending by number */
    size_t hazard_count;
    const struct catalogue_name *names;
    size_t name_count;
};

/* Reads VERSION, indicators.csv and hazards.csv of dir.  err gets one line when it fails. */
int catalogue_load(const char *dir, struct catalogue **cat_out, char *err, size_t err_cap);
void catalogue_free(struct catalogue *cat);

/* By short name or code; NULL when there is none. */
const struct catalogue_item *catalogue_find(const struct catalogue *cat, uint8_t kind,
                                            const char *name);
/* By number; NULL when there is none: an unknown number is shown as a number, never dropped. */
const struct catalogue_item *catalogue_get(const struct catalogue *cat, uint8_t kind,
                                           uint32_t number);

/* The items whose short names are nearest to a mistyped one, nearest first, none that is far off.
 * Returns how many were written. */
size_t catalogue_suggest(const struct catalogue *cat, uint8_t kind, const char *name,
                         const struct catalogue_item **items_out, size_t count_max);

const struct catalogue_hazard *catalogue_hazard_find(const struct catalogue *cat,
                                                     const char *name);
const struct catalogue_hazard *catalogue_hazard_get(const struct catalogue *cat, uint32_t number);
size_t catalogue_hazard_suggest(const struct catalogue *cat, const char *name,
                                const struct catalogue_hazard **hazards_out, size_t count_max);

/* "2.5" or "2,5" with one decimal gives 25; a state by its Vietnamese or English word, or by its
 * number.  There is no separator of thousands: "1.000" in whole units is refused. */
int catalogue_value_parse(const struct catalogue_item *item, const char *text,
                          int64_t *value_out);

/* The value in words, NUL-ended, with its unit when with_unit: "2,5 ha" in Vietnamese, "2.5 ha" in
 * English.  Returns the full length as snprintf does.  item may be NULL: the bare number. */
size_t catalogue_value_format(const struct catalogue_item *item, int64_t value,
                              enum catalogue_language language, bool with_unit,
                              char *buf, size_t cap);

/* A name as it is compared: lower case, no diacritics, '_' for '-' and ' '.  False: not UTF-8, or
 * too long to be a name of ours. */
enum { CATALOGUE_FOLDED_LEN = 96 };
bool catalogue_fold(const char *name, char folded_out[static CATALOGUE_FOLDED_LEN]);

const char *catalogue_strerror(int err);

struct village {
    uint32_t number; /* 1..65535 */
    const char *name;
    int32_t lat_e5, lon_e5; /* both 0: not known */
    uint32_t households, people;
    const char *until; /* the last day it was so, YYYY-MM-DD; "": it still is */
};

struct villages {
    const struct village *list; /* ascending by number */
    size_t count;
    const struct catalogue_name *names; /* kind 0, index into list */
    const struct village *older; /* that are so no more: by number, then until */
    size_t older_count;
};

/* Reads number,name,lat,lon,households,people and, where there is one, until: rows that have a day
 * there say what the village was called, and where it was, up to then. */
int villages_load(const char *path, struct villages **villages_out, char *err, size_t err_cap);
void villages_free(struct villages *villages);
/* As it is now; one that is no more as it was last. */
const struct village *villages_get(const struct villages *villages, uint32_t number);
/* As it was on a day, YYYY-MM-DD. */
const struct village *villages_at(const struct villages *villages, uint32_t number,
                                  const char *day);
/* By name, or by number written in digits. */
const struct village *villages_find(const struct villages *villages, const char *name);
size_t villages_suggest(const struct villages *villages, const char *name,
                        const struct village **villages_out, size_t count_max);

#endif
