/* audit.h - who did what at this gateway: an append-only file of signed, chained lines.
 *
 * Reviews and directives are records of the mesh and name their operator themselves.  All else
 * that an operator does at the console (log-ins, accounts, sign-offs, what is saved as a file), and
 * `keng-gateway operator`, is written here, because airtime is too dear for it.  Whoever runs other
 * commands owns the machine and could read its disk without a word.  One line an entry:
 *
 *   number unix_ms author by action object signature
 *
 * The signature (Ed25519, hex) of the gateway's identity `author` covers "keng audit v1" 00, the
 * signature of the line before (zeros before the first) and the line up to its last space.  So a
 * line that was changed, moved or taken out of the middle shows; lines cut off at the end do not,
 * unless somebody keeps a later signature.
 *
 * Durable   An entry is on the disk when audit_add() returned 0; do what it tells of only then.
 *           What a crash left of half a line is cut off by the next one.  Several programs may
 *           append (flock).
 * Errors    0 or -1 with one line in err.
 */
#ifndef KENG_GATEWAY_AUDIT_H
#define KENG_GATEWAY_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/home.h"

enum {
    AUDIT_ERR_LEN = 256,
    AUDIT_PATH_LEN = 4096,
    AUDIT_ACTION_LEN = 24,
    AUDIT_OBJECT_LEN = 200,
    AUDIT_TAIL_LEN = 64 * 1024, /* what a page reads */
};

struct audit {
    char path[AUDIT_PATH_LEN];
    struct home_identity identity; /* wiped by audit_close() */
};

struct audit_entry {
    int64_t number, unix_ms;
    uint16_t author;
    uint32_t by; /* operator; 0: nobody logged in, or the command line */
    char action[AUDIT_ACTION_LEN];
    char object[AUDIT_OBJECT_LEN];
    bool good; /* its signature and its place in the chain hold */
};

/* The trail in a directory, signed by identity, or, where it is NULL, by a key of its own that is
 * made there. */
int audit_open(struct audit *a, const char *dir, const struct home_identity *identity,
               char err[static AUDIT_ERR_LEN]);
void audit_close(struct audit *a);
/* action is one word; object says to whom or what, any text. */
int audit_add(const struct audit *a, uint32_t by, const char *action, const char *object,
              int64_t unix_ms, char err[static AUDIT_ERR_LEN]);

/* The public key an author signed with, or NULL. */
typedef const uint8_t *(*audit_key_fn)(void *ctx, uint16_t author);
typedef void (*audit_entry_fn)(void *ctx, const struct audit_entry *entry);
/* Reads and checks the last tail_len bytes (0: all of it), oldest first.  bad_count_out: entries
 * that do not hold.  A trail that is not there yet is empty. */
int audit_read(const struct audit *a, size_t tail_len, audit_key_fn key_of, void *key_ctx,
               audit_entry_fn fn, void *ctx, size_t *bad_count_out, char err[static AUDIT_ERR_LEN]);

#endif
