/* units.h - a province's root over the communes' roots: whom it names is trusted, and how far.
 *
 * The statements are records of kind 22 in the log of a root that was made the province's here, by
 * a person; in any other log they are only kept.  The newest about a root counts.  A root that was
 * replaced counts up to its last good number: what it enrolled, changed or took back after that
 * never happened, and what such people wrote stays as evidence and counts nowhere.
 *
 * Codes are used again after a reform.  Which root a code means is a question with a day in it.
 *
 * Durable   units_apply() is one transaction, and only writes what differs.
 * Errors    0 or a negative enum db_err.
 */
#ifndef KENG_GATEWAY_UNITS_H
#define KENG_GATEWAY_UNITS_H

#include "gateway/ledger.h"

/* Makes a trusted root the province's, durably, and applies what it says. */
int units_set_province(struct ledger *l, int64_t commune);
/* Fills c->is_province. */
int units_is_province(struct ledger *l, struct ledger_commune *c);
/* Brings trust, rosters and revocations to what the province's roots say.  Pointers to communes do
 * not outlive it. */
int units_apply(struct ledger *l);

/* "2026-07-01" and Vietnam's days since that of the Kẻng epoch; false: no day of the calendar since
 * 1970. */
enum { UNITS_DATE_LEN = 11 };
bool units_day_parse(const char *text, uint32_t *day_out);
void units_day_format(uint32_t day, char text_out[static UNITS_DATE_LEN]);
uint32_t units_day_of_ms(int64_t unix_ms);
bool units_stands(const struct unit *unit, uint32_t day);
/* The commune whose figures this one's are part of on that day: itself, or what it was merged into,
 * or what replaced its root. */
const struct ledger_commune *units_now(const struct ledger *l, const struct ledger_commune *c,
                                       uint32_t day);
/* The province's word for it, else its own; "?" when neither is known. */
const char *units_name(const struct ledger_commune *c);

#endif
