/* demo_data.h - a training afternoon in a ledger of its own.
 *
 * An invented commune under a root key that is made for it and thrown away, people whose keys go
 * the same way, reports that are all marked as drills.  Real figures cannot be touched: it is
 * another network, in another database, and drills have totals of their own.
 *
 * Time      A few dozen signatures.
 * Memory    None kept.
 * Errors    0 or -1 with one line in err; then nothing was stored.
 */
#ifndef KENG_GATEWAY_DEMO_DATA_H
#define KENG_GATEWAY_DEMO_DATA_H

#include "gateway/ledger.h"
#include "proto/catalogue.h"

enum { DEMO_ERR_LEN = 160, DEMO_EVENT = 1 };
#define DEMO_COMMUNE_CODE "00000" /* no unit has it */

/* The ledger must be empty.  villages may be NULL. */
int demo_data_fill(struct ledger *l, const struct villages *villages, int64_t now_ms,
                   unsigned *report_count_out, char err[static DEMO_ERR_LEN]);

#endif
