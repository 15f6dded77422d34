/* home.h - the files of a commune's key desk and of a node.
 *
 * Key desk (made by `keng init`, stays with the commune's root, offline):
 *   commune.keng   batch of the root's log: profile and roster; public, integrity by signature
 *   network.key    64 hex digits: tags every frame; secret, same on every node of the commune
 *   root.key       the root's secret key; never leaves the desk
 *   tls/ca.crt tls/ca.key  local certificate authority for consoles and the way upward
 *
 * Node home (made by `keng enroll`, one per box):
 *   commune.keng, network.key as above
 *   identity/<number>.key   secret key of each author who writes on this box
 *   kengd.conf              settings
 *   store.db                kengd's store
 *
 * Key files: one line of hex, mode 0600; they appear whole or not at all and never replace another
 * (temporary, fsync, rename without replacing, fsync of the directory).
 * commune.keng is replaced atomically (temporary, fsync, rename, fsync of the directory).
 *
 * Errors   0 or -1 with one line in err that says what and how to mend it.
 */
#ifndef KENG_NODE_HOME_H
#define KENG_NODE_HOME_H

#include <stdio.h>

#include "proto/batch.h"
#include "proto/roster.h"

enum { HOME_ERR_LEN = 256, HOME_IDENTITY_COUNT_MAX = 8 };

struct home_identity {
    uint16_t number;
    uint8_t public_key[KENG_KEY_LEN];
    uint8_t secret_key[KENG_SIG_LEN];
};

/* Reads DIR/network.key. */
int home_read_network_key(const char *dir, uint8_t key_out[static KENG_NETWORK_KEY_LEN],
                          char err[static HOME_ERR_LEN]);
/* Reads DIR/commune.keng into a heap buffer (free()), opened and root-verified: every record in it
 * is of the root's log and its signature holds. */
int home_read_commune(const char *dir, uint8_t **bytes_out, struct batch_reader *reader_out,
                      char err[static HOME_ERR_LEN]);
/* Reads all DIR/identity/N.key, in order of number.  Returns the count or -1. */
int home_read_identities(const char *dir, struct home_identity out[static HOME_IDENTITY_COUNT_MAX],
                         char err[static HOME_ERR_LEN]);
/* Reads or writes one secret key file. */
int home_read_secret(const char *path, struct home_identity *id_out, char err[static HOME_ERR_LEN]);
int home_write_secret(const char *path, const uint8_t *secret, size_t len,
                      char err[static HOME_ERR_LEN]);
/* A name that a rename or a create put into a directory is durable only after this. */
int home_sync_parent(const char *path, char err[static HOME_ERR_LEN]);
/* Atomic, durable replacement of a file. */
int home_replace_file(const char *path, const uint8_t *bytes, size_t len, unsigned mode,
                      char err[static HOME_ERR_LEN]);
/* The same for what does not stand in memory: write to the file in between.  begin: NULL on errors.
 * end: closes it; -1 and the old file stays when it is not whole (err is left alone then) or a
 * write failed. */
FILE *home_replace_begin(const char *path, unsigned mode, char err[static HOME_ERR_LEN]);
int home_replace_end(FILE *file, const char *path, bool whole, char err[static HOME_ERR_LEN]);

#endif
