/* totals.h - from reports to figures: one per village, event and indicator.
 *
 * Reports are cumulative totals, so figures are never added up over time:
 *   1. of one author, the record with the highest number that states the indicator counts;
 *   2. of several authors who speak of one village, the one whose record arrived here last counts,
 *      and the row says that they differ, with the lowest and the highest claim;
 *   3. drills, unreadable bodies, second halves of a fork and records the commune rejected in a
 *      review count nowhere: the author's older figure stands again.
 * Rule 1 depends on signed numbers only and is the same at every tier; only rule 2 depends on
 * arrival, which is why it is shown (DESIGN.md, "Totals").
 *
 * Time      n log n in the claims.
 * Memory    Three heap arrays (totals_free).
 * Errors    0 or TOTALS_ENOMEM; then nothing was added.
 */
#ifndef KENG_GATEWAY_TOTALS_H
#define KENG_GATEWAY_TOTALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/db.h"
#include "gateway/ledger.h"
#include "proto/report.h"

enum { TOTALS_OK = 0, TOTALS_ENOMEM = -1 };

struct totals_key {
    int64_t commune;
    uint32_t village; /* 0: the author has none and named none */
    uint32_t event;
    uint32_t code;
    uint8_t kind;
};

struct totals_claim {
    struct totals_key key;
    int64_t arrival, value;
    uint32_t seq;
    uint16_t author;
};

struct totals_row {
    struct totals_key key;
    int64_t value;     /* the claim that counts */
    int64_t low, high; /* of all authors' newest claims */
    uint32_t seq;      /* the record that counts */
    uint16_t author;
    uint16_t author_count;
};

/* One indicator over all villages of a commune: what the rows add up to.  Meaningless for
 * indicators with states; whoever shows it asks the catalogue. */
struct totals_sum {
    struct totals_key key; /* village 0 */
    int64_t value;
    uint32_t village_count;
};

struct totals {
    struct totals_claim *claims;
    size_t claim_count, claim_cap;
    struct totals_row *rows; /* by commune, village, event, kind, code; after totals_finish() */
    size_t row_count;
    struct totals_sum *sums; /* by commune, event, kind, code; after totals_finish() */
    size_t sum_count;
};

void totals_free(struct totals *t);
/* Adds one report's figures. */
int totals_add(struct totals *t, const struct db_record *record, const struct report *report);
/* Reduces the claims to rows. */
int totals_finish(struct totals *t);
/* All reports of one commune in the database.  0, TOTALS_ENOMEM or enum db_err. */
int totals_collect(struct totals *t, struct db *db, int64_t commune);

/* Numbers missing from authors' logs: runs below the highest number held. */
struct gap {
    int64_t commune;
    uint32_t first, last;
    uint16_t author;
};
struct gaps {
    struct gap *list;
    size_t count, cap;
    uint16_t author;   /* state of the walk */
    uint32_t expected;
};
void gaps_free(struct gaps *g);
int gaps_add(struct gaps *g, int64_t commune, uint16_t author, uint32_t seq);
int gaps_collect(struct gaps *g, struct db *db, int64_t commune);

/* What a receiver tells a sender about a log. */
struct held {
    uint16_t author;
    uint32_t seq;   /* everything from 1 up to this number is held */
    uint32_t count; /* how many are held, those behind a gap included */
};
struct held_table {
    struct held *list; /* by author */
    size_t count, cap;
};
void held_free(struct held_table *h);
int held_add(struct held_table *h, uint16_t author, uint32_t seq);
int held_collect(struct held_table *h, struct db *db, int64_t commune);
/* NULL when nothing is held. */
const struct held *held_find(const struct held_table *h, uint16_t author);
/* 0 when nothing is held. */
uint32_t held_get(const struct held_table *h, uint16_t author);

#endif
