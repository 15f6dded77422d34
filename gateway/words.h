/* words.h - text as it is searched: without diacritics, case and extra blanks.
 *
 * "Nước lên  NHANH" and a typed "nuoc len nhanh" become the same.  What a pattern of the database
 * would take for a wildcard is left out on both sides.
 * Memory    Appends to the caller's strbuf.
 */
#ifndef KENG_GATEWAY_WORDS_H
#define KENG_GATEWAY_WORDS_H

#include "gateway/strbuf.h"

/* Appends the words of text, each with a blank before it unless it is the first of out or follows a
 * NUL. */
void words_fold(const char *text, struct strbuf *out);

#endif
