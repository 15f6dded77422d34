/* province_missing.h - what a report cannot know of: villages that never spoke, and records that a
 * commune's gateway signed for and that are not here.
 *
 * Time      One pass over rosters and checkpoints.
 * Errors    0 or a negative enum db_err.
 */
#ifndef KENG_GATEWAY_PROVINCE_MISSING_H
#define KENG_GATEWAY_PROVINCE_MISSING_H

#include "gateway/lang.h"
#include "gateway/strbuf.h"
#include "gateway/totals.h"

/* Villages that have a member or a box in the roster, and no figure in t. */
void missing_silent_text(const struct ledger_commune *c, const struct totals *t,
                         enum language language, struct strbuf *out);
void missing_silent_json(const struct ledger_commune *c, const struct totals *t,
                         struct strbuf *out);
/* Of each source the newest checkpoint that is covered, and the newer ones that are not.  as_of_ms:
 * of those received up to then; 0: all. */
int missing_checkpoints_text(struct db *db, const struct ledger_commune *c, int64_t as_of_ms,
                             enum language language, struct strbuf *out);
int missing_checkpoints_json(struct db *db, const struct ledger_commune *c, int64_t as_of_ms,
                             struct strbuf *out);

#endif
