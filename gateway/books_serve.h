/* books_serve.h - `keng-province serve`: the books as pages, for this machine's browser.  They read
 * and change nothing; a page is made anew each time it is asked for.
 *
 *   /              table, missing numbers, contradictions; ?commune=&village=&event=&as-of=&lang=
 *   /course.svg    the chart, /figures.FORMAT the exports (export.h), /figures.json
 *
 * Everybody who reaches it may read it: so it listens on loopback only.
 * Errors    The exit status of the program.
 */
#ifndef KENG_GATEWAY_BOOKS_SERVE_H
#define KENG_GATEWAY_BOOKS_SERVE_H

#include "gateway/books.h"

/* base: its ledger, data and language; until SIGTERM or SIGINT. */
int books_serve(const struct books_query *base, const char *listen);

/* A moment: 2026-11-22 is the end of that day, 2026-11-22T03:30 by this machine's time zone, with Z
 * at its end UTC. */
bool books_moment_parse(const char *text, int64_t *unix_ms_out);

#endif
