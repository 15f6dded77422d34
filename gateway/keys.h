/* keys.h - the keys with which this place speaks in communes' rosters.
 *
 * A commune enrolls whoever may receive its records: its own gateway, its province.  The key comes
 * as a home (node/home.h); a receiver above many communes has a home of each.  With it answers to
 * that commune's gateways are signed, and directives and answers to its people written, where no
 * node does it.
 *
 * Durable   A record is in the ledger, and its number noted in the home, when it is reported.
 * Memory    One entry for each key, on the heap (keys_free() wipes them).
 * Errors    0 or -1 with one line in err.
 */
#ifndef KENG_GATEWAY_KEYS_H
#define KENG_GATEWAY_KEYS_H

#include "gateway/bundle.h"
#include "gateway/ledger.h"
#include "node/home.h"

struct keys_entry {
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    struct home_identity identity;
    char *home;
};

struct keys {
    struct keys_entry *list;
    size_t count, cap;
};

void keys_free(struct keys *k);
/* Adds the keys of a home.  network_id: whose home it is. */
int keys_add(struct keys *k, const char *home,
             const uint8_t network_id[static KENG_NETWORK_ID_LEN],
             char err[static BUNDLE_ERR_LEN]);
/* Adds a home, or all homes in a directory, and trusts their communes. */
int keys_add_homes(struct keys *k, struct ledger *l, const char *dir, int64_t now_ms,
                   char err[static BUNDLE_ERR_LEN]);
/* May this author answer for the commune? */
bool keys_may_answer(const struct roster_author *author);
/* The key for a commune: a gateway's, else an operator's; NULL: none that may answer. */
const struct keys_entry *keys_find(const struct keys *k, const struct ledger_commune *c);
/* Writes a directive or an answer into the log of the commune's key.  With an id it is taken from
 * the database's queue in the same transaction, so that it is written once. */
int keys_write(const struct keys *k, struct ledger *l, const struct db_outgoing *outgoing,
               int64_t now_ms, struct record_ref *ref_out, char err[static BUNDLE_ERR_LEN]);
/* Writes all that the console queued for communes that have a key here; what cannot be written is
 * marked with the reason.  0 or a negative enum db_err: the rest stays queued. */
int keys_write_queue(const struct keys *k, struct ledger *l, int64_t now_ms);

#endif
