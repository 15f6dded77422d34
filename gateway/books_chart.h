/* books_chart.h - the course of an event as a picture: how the province's figures grew, one small
 * step curve for each indicator, as SVG 1.1 without script, font or link.
 *
 * The time of a figure is what its author's clock said where that was set and is not past its
 * receipt, else when it was received: what came late on a stick stands where it happened.
 *
 * Time      A pass over the reports, and n log n in the claims for each of some dozen moments.
 * Memory    Of one commune after the other what counts at any of the moments.
 * Errors    0 or a negative enum db_err.
 */
#ifndef KENG_GATEWAY_BOOKS_CHART_H
#define KENG_GATEWAY_BOOKS_CHART_H

#include "gateway/books.h"

/* b: what was collected for the same question. */
int books_chart(const struct books_query *q, const struct books *b, struct strbuf *out);

#endif
