/* totals.h - from reports to figures: one per village, event and indicator, as of any moment.
 *
 * Reports are cumulative totals, so figures are never added up over time:
 *   1. of one author, the record with the highest number that states the indicator counts;
 *   2. of several authors who speak of one village, the one whose record arrived here last counts,
 *      and the row says that they differ, with the lowest and the highest claim;
 *   3. what the commune said of a report holds: rejected or joined to another it counts nowhere,
 *      and the author's older figure stands again; a corrected figure or village stands in
 *      place of the author's, and one that is said to be unknown counts as if he had not stated
 *      it; a need that was met is none any more.  Of one reviewer the answer with the highest
 *      number counts, of several the one that arrived here last; and the same among those that
 *      name the figure, and among those that name the village;
 *   4. drills, unreadable bodies, second halves of a fork and whatever is past its author's
 *      revocation count nowhere; drills have totals of their own.
 * Nothing is ever changed or taken away, so "as of" a moment is the same over what had been
 * received and decided until then.  Rule 1 depends on signed numbers only and is the same at every
 * tier; only rule 2 depends on arrival, which is why it is shown (DESIGN.md, "Totals").
 *
 * Time      Linear in the claims read, n log n in those kept.
 * Memory    Heap arrays (totals_free).  From the database only what can still count is kept: it
 *           grows with villages, indicators, authors and answers, not with the reports.
 * Errors    0 or TOTALS_ENOMEM; then nothing was added.
 */
#ifndef KENG_GATEWAY_TOTALS_H
#define KENG_GATEWAY_TOTALS_H

#include <sodium.h>
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

struct totals_indicator {
    uint32_t code;
    uint8_t kind;
};

/* Which of them: all that was received up to now unless said otherwise. */
struct totals_filter {
    int64_t as_of_ms; /* received and decided up to this moment; 0: all */
    int64_t event;    /* -1: all */
    uint32_t village; /* 0: all */
    const struct totals_indicator *indicators; /* the caller's */
    size_t indicator_count;                    /* 0: all */
    bool approved;    /* only what the commune approved, corrected or met */
    bool drills;      /* only exercises, instead of only what is real */
    bool all_claims;  /* keep those that cannot count any more, to show them */
    /* Instead of when it came here: when it happened, as far as its author's clock tells. */
    bool happened;
    /* For totals_at(), ascending; the caller's.  Of other moments nothing can be told then. */
    const int64_t *moments_ms;
    size_t moment_count;
};
/* When it happened, as far as its author's clock tells: nothing did after it was received. */
int64_t totals_happened_ms(const struct db_record *record);

static inline struct totals_filter totals_all(void)
{
    return (struct totals_filter){ .event = -1 };
}

enum totals_standing {
    TOTALS_COUNTS,   /* the row shows it */
    TOTALS_DIFFERS,  /* an author's newest, but another author's came later */
    TOTALS_OLDER,    /* the same author said something newer */
    TOTALS_LEFT_OUT, /* rejected, joined, unknown, or not approved where that is asked for */
};

struct totals_claim {
    struct totals_key key;
    int64_t arrival, received_ms;
    int64_t claimed; /* what the author says */
    uint32_t said_village; /* where he says; key has where it counts, after totals_finish() */
    int64_t value;   /* what counts of it, or REVIEW_UNKNOWN; this and standing: totals_finish() */
    uint32_t seq;
    uint16_t author;
    uint8_t state;   /* enum review_state; 0: not answered */
    uint8_t standing;
};

/* One answer to one report. */
struct totals_answer {
    int64_t commune, arrival, received_ms;
    uint32_t of_seq, seq;
    uint32_t village; /* as in struct review */
    uint16_t of_author, reviewer;
    uint8_t state, figure_count;
    size_t figure_at;
};

struct totals_row {
    struct totals_key key;
    int64_t value;     /* the claim that counts */
    int64_t low, high; /* of all authors' newest claims */
    int64_t arrival;   /* of the record that counts */
    uint32_t seq;
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
    struct totals_filter filter; /* set before the first totals_add() */
    struct totals_claim *claims; /* by key, author, newest first; after totals_finish() */
    size_t claim_count, claim_cap;
    /* While claims come from the database: where the newest one without an answer stands, plus 1,
     * by key, author and moment.  cap: a power of 2, or 0: every claim is kept. */
    uint32_t *newest;
    size_t newest_count, newest_cap;
    uint8_t newest_key[crypto_shorthash_KEYBYTES];
    int64_t from_ms, until_ms; /* of all claims added: when they happened */
    struct totals_answer *answers;
    size_t answer_count, answer_cap;
    bool moves; /* some answer says where a report belongs */
    struct report_figure *corrections; /* figures of the answers */
    size_t correction_count, correction_cap;
    struct totals_row *rows; /* by commune, village, event, kind, code; after totals_finish() */
    size_t row_count, row_cap;
    struct totals_sum *sums; /* by commune, event, kind, code; after totals_finish() */
    size_t sum_count;
};

void totals_free(struct totals *t);
/* Adds one report's figures. */
int totals_add(struct totals *t, const struct db_record *record,
               const struct report_figure *figures, size_t figure_count);
/* Adds what a review says of the reports it names; record: the review's own. */
int totals_add_review(struct totals *t, const struct db_record *record,
                      const struct review *review);
/* Judges the claims and reduces them to rows. */
int totals_finish(struct totals *t);
/* Adds all of one commune in the database.  0 or enum db_err. */
int totals_collect(struct totals *t, struct db *db, int64_t commune,
                   const struct totals_filter *filter);
/* Instead of totals_finish(), commune after commune in the order of their ids: adds its rows and
 * forgets its claims.  totals_regroup() then ends it. */
int totals_settle(struct totals *t);
/* Adds the rows up, communes that belong together as one: under what group says. */
typedef int64_t (*totals_group_fn)(void *ctx, int64_t commune);
int totals_regroup(struct totals *t, totals_group_fn group, void *ctx);
/* The same as of a moment: a copy that is finished already. */
int totals_at(const struct totals *all, int64_t as_of_ms, struct totals *then_out);
/* Has a village any row? */
bool totals_has_village(const struct totals *t, int64_t commune, uint32_t village);
/* By commune, village, event, kind, code. */
int totals_compare_keys(const struct totals_key *a, const struct totals_key *b);

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
/* as_of_ms: of what had been received then; 0: of all. */
int gaps_collect(struct gaps *g, struct db *db, int64_t commune, int64_t as_of_ms);

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
