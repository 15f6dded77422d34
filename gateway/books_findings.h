/* books_findings.h - what an analyst must look at beside the figures: reports that contradict each
 * other, numbers used twice, missing records, villages and communes that never spoke, what a
 * gateway signed for and is not here, what was refused.
 *
 * As text, one line counts all of it and stands first; the details stand under headings, the first
 * of each kind only.  As JSON all of it.
 *
 * Time      One pass over rows, rosters, forks and checkpoints.
 * Memory    Texts in the caller's strbuf.
 * Errors    0 or a negative enum db_err.
 */
#ifndef KENG_GATEWAY_BOOKS_FINDINGS_H
#define KENG_GATEWAY_BOOKS_FINDINGS_H

#include "gateway/books.h"

enum findings_kind { FINDINGS_DIFFER, FINDINGS_FORKS, FINDINGS_MISSING, FINDINGS_SILENT,
                     FINDINGS_EMPTY, FINDINGS_OPEN, FINDINGS_REFUSED, FINDINGS_KIND_COUNT };

struct findings {
    uint64_t counts[FINDINGS_KIND_COUNT]; /* figures, numbers, records, villages, communes, ... */
};

/* The details. */
int findings_text(const struct books_query *q, const struct books *b, struct strbuf *out,
                  struct findings *findings_out);
/* The same as a part of a page: a list for each kind, long ones folded. */
int findings_html(const struct books_query *q, const struct books *b, struct strbuf *out,
                  struct findings *findings_out);
/* All of them, a row each. */
int findings_each(const struct books_query *q, const struct books *b, quick_finding_fn fn,
                  void *ctx);
/* The line that counts them. */
void findings_line(const struct books_query *q, const struct findings *f, struct strbuf *out);
/* The members missing, forks, silent and checkpoints of an object. */
int findings_json(const struct books_query *q, const struct books *b, struct strbuf *out);

#endif
