/* tree.h - a Merkle tree over a growing list, in the manner of RFC 9162, section 2.1.
 *
 * A leaf is BLAKE2b-256 of 00 and the record, a node BLAKE2b-256 of 01, left and right.  The root
 * of a list commits to every record in it and to their order; from one root to a later one a short
 * proof shows that nothing was left out or rewritten in between.
 *
 * Time      Appending: constant on average.  Proving: linear in the leaves.
 * Memory    struct tree is the caller's and keeps only the right edge: 64 hashes.
 * Source    RFC 9162, 2.1.1 (tree hash), 2.1.4 (consistency); BLAKE2b where it has SHA-256.
 */
#ifndef KENG_PROTO_TREE_H
#define KENG_PROTO_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

enum {
    TREE_DEPTH_MAX = 64,
    TREE_PROOF_COUNT_MAX = TREE_DEPTH_MAX + 1,
    TREE_EDGE_LEN_MAX = TREE_DEPTH_MAX * KENG_HASH_LEN,
};

struct tree_hash {
    uint8_t b[KENG_HASH_LEN];
};

/* One full subtree for each bit of size that is set, the largest first. */
struct tree {
    uint64_t size;
    uint8_t edge[TREE_DEPTH_MAX][KENG_HASH_LEN];
};

void tree_leaf(const uint8_t *record, size_t len, uint8_t leaf_out[static KENG_HASH_LEN]);
void tree_append(struct tree *t, const uint8_t leaf[static KENG_HASH_LEN]);
/* The empty tree's root is BLAKE2b-256 of nothing. */
void tree_root(const struct tree *t, uint8_t root_out[static KENG_HASH_LEN]);
/* How many hashes of the edge are in use. */
size_t tree_edge_count(uint64_t size);

/* Proof that the first old_size of size leaves are the tree of old_size; 0 < old_size <= size.
 * Returns how many hashes were written. */
size_t tree_prove(const struct tree_hash *leaves, uint64_t old_size, uint64_t size,
                  struct tree_hash proof_out[static TREE_PROOF_COUNT_MAX]);
bool tree_check(const struct tree_hash *proof, size_t proof_count, uint64_t old_size,
                const uint8_t old_root[static KENG_HASH_LEN], uint64_t size,
                const uint8_t root[static KENG_HASH_LEN]);

#endif
