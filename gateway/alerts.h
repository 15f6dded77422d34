/* alerts.h - the commune's directives as alerts of CAP 1.2, for systems beside ours.
 *
 * What one person is told is marked Private, what one role is told Restricted: whoever hands the
 * files on sees it.  An exercise says so.
 *
 * Memory    One alert at a time.
 * Errors    alert_of_record: false.  alerts_export: -1 with one line in err; files written before
 *           are there, whole.
 */
#ifndef KENG_GATEWAY_ALERTS_H
#define KENG_GATEWAY_ALERTS_H

#include "gateway/cap.h"
#include "gateway/ledger.h"
#include "proto/catalogue.h"

enum { ALERTS_ERR_LEN = 512 };

/* identifier_out: also the file's name, without its end.  villages may be NULL.  False: this is no
 * directive that can be read, or memory ran out. */
bool alert_of_record(const struct ledger_commune *c, const struct villages *villages,
                     const struct db_record *record, struct strbuf *out,
                     char identifier_out[static CAP_WORD_LEN]);

/* Every directive of a commune as a file IDENTIFIER.xml in dir.  Returns how many. */
int64_t alerts_export(struct ledger *l, int64_t commune, const struct villages *villages,
                      const char *dir, char err[static ALERTS_ERR_LEN]);

#endif
