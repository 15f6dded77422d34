/* quick.h - the commune's quick report (báo cáo nhanh): a period, a course of events, figures.
 *
 * A draft is what an operator wrote; its figures are added up anew whenever it is looked at.
 * Signing it off makes a document: canonical JSON with the figures as of the end of the period,
 * the names and units they had then, and the signed reports they came from.  The document never
 * changes again; its hash is in a record of kind sign-off, and exports are made from it alone.
 *
 * Time      quick_fill: two passes over the commune's reports.
 * Memory    Lines on the heap (quick_free), or made one by one from a source.
 * Errors    Named at each function.
 */
#ifndef KENG_GATEWAY_QUICK_H
#define KENG_GATEWAY_QUICK_H

#include "gateway/ledger.h"
#include "gateway/strbuf.h"
#include "gateway/totals.h"
#include "proto/catalogue.h"

enum {
    QUICK_TEXT_LEN = 2000, /* bytes with the NUL, of each text an operator writes */
    QUICK_NAME_LEN = 192,
    QUICK_UNIT_LEN = 24,
    QUICK_LINE_COUNT_MAX = 20000,
    QUICK_DOC_LEN_MAX = 6 << 20,
};

/* One figure of one village. */
struct quick_line {
    uint32_t village, code;
    uint8_t kind;
    uint8_t decimals;
    bool is_state;             /* a state such as "cut", not a quantity */
    bool counted;              /* stands in the forms of the quick report */
    bool withdrawn;            /* in the report before this one and no more; value is 0 then */
    int64_t value;
    int64_t before;            /* in the report before this one; -1: not in it */
    int64_t low, high;         /* of all who reported it */
    uint32_t seq;              /* the signed report it came from */
    uint16_t author;
    /* Of a province's books, else 0 and "": the document's. */
    uint32_t event;
    char commune_name[QUICK_NAME_LEN], commune_code[32];
    int32_t lat_e5, lon_e5;    /* of the village; both 0: not known */
    char village_name[QUICK_NAME_LEN];
    char official[32];         /* the indicator's code */
    char name_vi[QUICK_NAME_LEN], name_en[QUICK_NAME_LEN];
    char unit_vi[QUICK_UNIT_LEN], unit_en[QUICK_UNIT_LEN];
    char words_vi[CATALOGUE_VALUE_LEN], words_en[CATALOGUE_VALUE_LEN]; /* the value, with unit */
};

struct quick;

/* A province's books are too many lines to stand in memory: they are made when they are asked for.
 * Beside the figures stand findings, a row each, and facts that say how it was made. */
typedef void (*quick_finding_fn)(void *ctx, const char *kind, const char *commune,
                                 const char *words);
typedef void (*quick_fact_fn)(void *ctx, const char *label, const char *words);
struct quick_source {
    void (*line)(const struct quick *q, size_t index, struct quick_line *line_out);
    int (*findings)(const struct quick *q, quick_finding_fn fn, void *ctx); /* 0 or enum db_err */
    void (*facts)(const struct quick *q, quick_fact_fn fn, void *ctx);
};

struct quick {
    int64_t id;      /* in the database */
    int64_t commune; /* the ledger's number; not in the document */
    uint32_t number; /* 1, 2, ... within commune, event and drill; 0: a draft */
    uint32_t last_number; /* of the report that changes are told from; 0: there is none */
    uint32_t event, hazard;
    bool drill, approved;
    int64_t from_ms, until_ms;
    char commune_name[DB_NAME_LEN], commune_code[32];
    char catalogue[32], catalogue_from[16]; /* version and the day it holds from */
    char hazard_vi[QUICK_NAME_LEN], hazard_en[QUICK_NAME_LEN];
    char course[QUICK_TEXT_LEN];   /* time, strength, area, depth */
    char isolated[QUICK_TEXT_LEN]; /* places cut off */
    char response[QUICK_TEXT_LEN]; /* command, forces, who was moved */
    char wants[QUICK_TEXT_LEN];    /* proposals and requests */
    uint32_t by; /* who signed it: operator's number and name; "": a draft */
    char signer[QUICK_NAME_LEN];
    int64_t signed_ms;
    struct quick_line *lines; /* by village, kind, code; NULL when there is a source */
    size_t line_count;
    const struct quick_source *source; /* the caller's, like its context */
    const void *source_ctx;
    uint8_t hash[KENG_HASH_LEN]; /* of the document it was read from; not in it */
};

/* What an indicator comes to in one event over all villages. */
struct quick_sum {
    const struct quick_line *of; /* the first line of the indicator */
    size_t at;                   /* its place */
    int64_t value, before;       /* before -1: in no village then */
    uint32_t event, code;
    uint32_t village_count;      /* 0: withdrawn everywhere */
    uint8_t kind;
};

void quick_free(struct quick *q);

/* Fills names and figures as of until_ms; villages may be NULL.  last: the report before, or NULL;
 * what it had and is no more stays as a withdrawn line.  0 or enum db_err; then there are no
 * lines. */
int quick_fill(struct quick *q, struct ledger *l, const struct catalogue *catalogue,
               const struct villages *villages, const struct quick *last);

/* A row of finished totals as a line of the document. */
void quick_make_line(const struct quick *q, const struct totals_row *row,
                     const struct catalogue *catalogue, const struct villages *villages,
                     struct quick_line *line_out);
/* The line at an index, made in the caller's room where it has to be made. */
const struct quick_line *quick_line(const struct quick *q, size_t index, struct quick_line *room);

/* The document; false: out of memory or longer than QUICK_DOC_LEN_MAX. */
bool quick_to_json(const struct quick *q, struct strbuf *out);
/* Reads one back, of every version there was; false: it is none of ours. */
bool quick_from_json(const char *json, struct quick *q_out);
void quick_hash(const char *json, uint8_t hash_out[static KENG_HASH_LEN]);

/* Which version of the catalogue the names are from; none: NULL. */
void quick_name_catalogue(struct quick *q, const struct catalogue *catalogue);

/* Sums of quantities by event, kind and code; *sums_out is heap, what they point to is the
 * document's or part of it.  Memory: of the sums.  Returns the count, -1: no memory. */
int quick_sums(const struct quick *q, struct quick_sum **sums_out);
/* Has no figure changed, come or gone since the report before?  Without one: no. */
bool quick_is_unchanged(const struct quick *q);

#endif
