/* books.h - the province's books told: figures, what is missing, what contradicts itself.
 *
 * Time      One pass over the reports and reviews of the communes asked for.
 * Memory    The figures on the heap (books_free), and what can count of one commune while it is
 *           read; texts in the caller's strbuf, or of any length into its sink.
 * Errors    0 or a negative enum db_err.  The same records give the same bytes on both databases.
 */
#ifndef KENG_GATEWAY_BOOKS_H
#define KENG_GATEWAY_BOOKS_H

#include "gateway/lang.h"
#include "gateway/ledger.h"
#include "gateway/quick.h"
#include "gateway/strbuf.h"
#include "gateway/totals.h"
#include "proto/catalogue.h"

/* What is asked.  NULL and 0: all. */
struct books_query {
    struct ledger *ledger;
    const struct catalogue *catalogue;
    const struct villages *villages; /* of the ledger's only commune */
    const char *commune;             /* name or unit code */
    unsigned village, event, code;
    uint8_t kind;
    enum language language;
    int64_t as_of_ms; /* received and decided up to this moment; 0: all */
    int64_t now_ms;   /* which units stand, when as_of_ms says nothing */
    const char *database; /* as db_open() was told */
};

struct books {
    struct totals totals;
    struct gaps gaps;
};

int books_collect(const struct books_query *q, struct books *books_out);
void books_free(struct books *b);

int books_text(const struct books_query *q, const struct books *b, struct strbuf *out);
int books_json(const struct books_query *q, const struct books *b, struct strbuf *out);
int books_csv(const struct books_query *q, const struct books *b, struct strbuf *out);
/* The table and what is below it, as a part of a page. */
int books_html(const struct books_query *q, const struct books *b, struct strbuf *out);
/* What totals are asked for; only: of the question's indicator, the caller's. */
struct totals_filter books_filter(const struct books_query *q, const struct totals_indicator *only);
/* Is a commune among those asked for? */
bool books_is_wanted(const struct books_query *q, const struct ledger_commune *c);
/* The commune whose figures this one's are part of on the question's day. */
const struct ledger_commune *books_today(const struct books_query *q,
                                         const struct ledger_commune *c);
/* Is a commune called so, or has it that code? */
bool books_is_named(const struct ledger_commune *c, const char *wanted);
/* The moment that the books are of. */
int64_t books_moment(const struct books_query *q);
/* "Xã Cao Minh", or "Xã Mới (Xã Cao Minh)" when its figures are part of another's today. */
void books_commune_name(const struct books_query *q, int64_t commune, char *name, size_t cap);
void books_village_name(const struct books_query *q, uint32_t number, char *name, size_t cap);
/* A value in words, without its unit. */
void books_value(const struct books_query *q, const struct totals_key *key, int64_t value,
                 char words_out[static CATALOGUE_VALUE_LEN]);
/* What an indicator is, NULL: not in the catalogue; what it is called, and its unit. */
const struct catalogue_item *books_item(const struct books_query *q, const struct totals_key *key);
void books_item_name(const struct books_query *q, const struct totals_key *key, char *name,
                      size_t cap);
const char *books_unit(const struct books_query *q, const struct totals_key *key);

#endif
