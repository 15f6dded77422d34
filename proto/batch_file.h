/* batch_file.h - a file of many batches and the checkpoints over them (PROTOCOL.md, "Batch file").
 *
 * A file is sections, one behind the other:
 *
 *   magic      8   "KENG" 02 0D 0A 1A
 *   type       1   1 block, 2 checkpoint
 *   first      4   block: place of its first log record in the source's tree
 *   plain_len  4   length of the contents
 *   len        4   bytes that follow; less than plain_len: they are one zstd frame
 *   contents   len
 *   check      16  BLAKE2b-128 of all before, from magic on
 *
 * A block's contents are one batch (batch.h), so that damage costs one block and a reader finds
 * the next by its magic.  A checkpoint's contents:
 *
 *   network_id 32, root_key 32, source 2, created_min 4, size 8, root 32
 *   signature  64  of source over "keng checkpoint v1\0" and all before, from network_id on
 *   proofs     1   how many, then each: old_size 8, count 1, hashes of 32
 *
 * size and root are those of the tree (tree.h) over every record of lane 0 that the source holds of
 * the commune, in the order in which they came there.  check says whether a stick damaged the
 * bytes; nothing is trusted for it.
 *
 * Memory   Readers borrow the bytes, writers write into the caller's buffer.  No zstd in here.
 * Errors   Negative enum batch_err.
 */
#ifndef KENG_PROTO_BATCH_FILE_H
#define KENG_PROTO_BATCH_FILE_H

#include "proto/batch.h"
#include "proto/tree.h"

enum {
    SECTION_HEAD_LEN = BATCH_MAGIC_LEN + 1 + 4 + 4 + 4,
    SECTION_CHECK_LEN = 16,
    SECTION_CONTENTS_LEN_MAX = BATCH_LEN_MAX,
    SECTION_LEN_MAX = SECTION_HEAD_LEN + SECTION_CONTENTS_LEN_MAX + SECTION_CHECK_LEN,
    CHECKPOINT_SIGNED_LEN = KENG_NETWORK_ID_LEN + KENG_KEY_LEN + 2 + 4 + 8 + KENG_HASH_LEN,
    CHECKPOINT_PROOF_COUNT_MAX = 16,
    CHECKPOINT_LEN_MAX = CHECKPOINT_SIGNED_LEN + KENG_SIG_LEN + 1 +
                         CHECKPOINT_PROOF_COUNT_MAX * (8 + 1 + TREE_PROOF_COUNT_MAX *
                                                       KENG_HASH_LEN),
};
static_assert(CHECKPOINT_LEN_MAX <= SECTION_CONTENTS_LEN_MAX, "a checkpoint is one section");

enum section_type { SECTION_BLOCK = 1, SECTION_CHECKPOINT = 2 };

struct section {
    uint8_t type;
    uint32_t first;
    uint32_t plain_len;
    const uint8_t *contents; /* as stored */
    size_t len;
    size_t whole_len; /* from magic to check */
};

/* Is it a file of sections (rather than one bare batch)? */
bool section_is(const uint8_t *bytes, size_t len);
/* One section at the start of bytes: BATCH_OK, or BATCH_EFORM if it is cut, changed or none. */
int section_read(const uint8_t *bytes, size_t len, struct section *section_out);
/* Where the next section may begin, at least at `from`; len if nowhere. */
size_t section_find(const uint8_t *bytes, size_t len, size_t from);
/* Writes head and check around section->contents.  Returns the whole length, 0: no room. */
size_t section_write(const struct section *section, uint8_t *buf, size_t cap);

struct checkpoint {
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint8_t root_key[KENG_KEY_LEN];
    uint16_t source;
    uint32_t created_min;
    uint64_t size;
    uint8_t root[KENG_HASH_LEN];
};
struct checkpoint_proof {
    uint64_t old_size;
    size_t count;
    struct tree_hash hashes[TREE_PROOF_COUNT_MAX];
};

/* Without proofs; returns the length. */
size_t checkpoint_encode(const struct checkpoint *c, const uint8_t secret_key[static KENG_SIG_LEN],
                         uint8_t buf[static CHECKPOINT_LEN_MAX]);
/* Appends a proof to the len bytes of an encoded checkpoint; returns the new length. */
size_t checkpoint_add_proof(const struct checkpoint_proof *proof, size_t len,
                            uint8_t buf[static CHECKPOINT_LEN_MAX]);
int checkpoint_decode(const uint8_t *bytes, size_t len, struct checkpoint *c_out);
/* BATCH_OK or BATCH_ESIG. */
int checkpoint_verify(const uint8_t *bytes, const uint8_t source_key[static KENG_KEY_LEN]);
/* The proof from old_size, or false.  bytes were decoded before. */
bool checkpoint_find_proof(const uint8_t *bytes, size_t len, uint64_t old_size,
                           struct checkpoint_proof *proof_out);

#endif
