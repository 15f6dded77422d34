/* books_export.h - the province's books for the exporters of quick reports (export.h).
 *
 * Lines are made from the totals when they are asked for: a province has hundreds of thousands.
 *
 * Memory    None; query, books and what quick_out points to are the caller's and outlive it.
 */
#ifndef KENG_GATEWAY_BOOKS_EXPORT_H
#define KENG_GATEWAY_BOOKS_EXPORT_H

#include "gateway/books.h"
#include "gateway/export.h"

struct books_export {
    const struct books_query *query;
    const struct books *books;
    struct quick quick;
};

/* A document of all communes asked for; the struct stays where it is. */
void books_export_init(struct books_export *e, const struct books_query *q, const struct books *b);

#endif
