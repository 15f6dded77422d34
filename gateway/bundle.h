/* bundle.h - batches as files: reading, trusting, writing.  The format is proto/batch.h.
 *
 * Memory    bundle_read gives a heap buffer, the caller's to free().
 * Errors    0 or -1 with one line in err that says what and how to mend it.
 */
#ifndef KENG_GATEWAY_BUNDLE_H
#define KENG_GATEWAY_BUNDLE_H

#include "gateway/lang.h"
#include "gateway/ledger.h"
#include "node/home.h"

enum { BUNDLE_ERR_LEN = 512, BUNDLE_FINGERPRINT_LEN = 40 };

/* language: of err. */
int bundle_read(enum language language, const char *path, uint8_t **bytes_out, size_t *len_out,
                char err[static BUNDLE_ERR_LEN]);

/* First 16 bytes of the network id in groups, for reading aloud. */
void bundle_fingerprint(const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                        char text_out[static BUNDLE_FINGERPRINT_LEN]);

/* Trusts the root of a commune file and takes in its records.  The file's own signature must hold:
 * a file cut or changed on its way is not what somebody meant to trust. */
int bundle_trust(struct ledger *l, enum language language, const char *path, int64_t now_ms,
                 int64_t *commune_out, char err[static BUNDLE_ERR_LEN]);

/* Everything the ledger holds of a commune as a batch file (proto/batch_file.h), in order of
 * arrival, with a checkpoint at its end that is signed by identity and proves that the checkpoints
 * of earlier exports are part of it.  Nobody waits for the ledger while the file is written; what
 * comes meanwhile is not in it.  Returns how many records were written, or -1; then what was at
 * path before is still there, unless it was the database that failed when all was written. */
int64_t bundle_export(struct ledger *l, int64_t commune, const struct home_identity *identity,
                      const char *path, int64_t now_ms, char err[static BUNDLE_ERR_LEN]);

/* Takes numbers for that many batches, in a transaction of its own: none is used twice, whoever
 * else writes batches.  0 or enum db_err. */
int bundle_take_numbers(struct db *db, int64_t count, int64_t *first_out);

/* The identity that signs batches: a gateway's, else an operator's, else any enrolled one; NULL if
 * none is in the roster. */
const struct home_identity *bundle_choose_identity(const struct roster *roster,
                                                   const struct home_identity *list, size_t count);

/* Minutes since the Kẻng epoch; 0 when the clock stands before it. */
uint32_t bundle_created_min(int64_t now_ms);

#endif
