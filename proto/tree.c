#include "proto/tree.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static const uint8_t LEAF = 0, NODE = 1;

void tree_leaf(const uint8_t *record, size_t len, uint8_t leaf_out[static KENG_HASH_LEN])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, KENG_HASH_LEN);
    crypto_generichash_update(&state, &LEAF, 1);
    crypto_generichash_update(&state, record, len);
    crypto_generichash_final(&state, leaf_out, KENG_HASH_LEN);
}

/* out may be left or right. */
static void join(const uint8_t *left, const uint8_t *right, uint8_t *out)
{
    uint8_t both[1 + 2 * KENG_HASH_LEN] = { NODE };
    memcpy(both + 1, left, KENG_HASH_LEN);
    memcpy(both + 1 + KENG_HASH_LEN, right, KENG_HASH_LEN);
    crypto_generichash(out, KENG_HASH_LEN, both, sizeof both, NULL, 0);
}

size_t tree_edge_count(uint64_t size)
{
    return (size_t)__builtin_popcountll(size);
}

void tree_append(struct tree *t, const uint8_t leaf[static KENG_HASH_LEN])
{
    size_t count = tree_edge_count(t->size);
    memcpy(t->edge[count], leaf, KENG_HASH_LEN);
    /* As in adding one to a number in binary: every one at the end becomes a carry. */
    for (uint64_t rest = t->size; rest & 1; rest >>= 1, count--)
        join(t->edge[count - 1], t->edge[count], t->edge[count - 1]);
    t->size++;
}

void tree_root(const struct tree *t, uint8_t root_out[static KENG_HASH_LEN])
{
    size_t count = tree_edge_count(t->size);
    if (count == 0) {
        crypto_generichash(root_out, KENG_HASH_LEN, NULL, 0, NULL, 0);
        return;
    }
    memcpy(root_out, t->edge[count - 1], KENG_HASH_LEN);
    while (--count > 0)
        join(t->edge[count - 1], root_out, root_out);
}

static void subtree(const struct tree_hash *leaves, uint64_t count,
                    uint8_t root_out[static KENG_HASH_LEN])
{
    struct tree t = { .size = 0 };
    for (uint64_t i = 0; i < count; i++)
        tree_append(&t, leaves[i].b);
    tree_root(&t, root_out);
}

/* The largest power of two below count, which is at least 2. */
static uint64_t split(uint64_t count)
{
    return UINT64_C(1) << (63 - __builtin_clzll(count - 1));
}

/* From the top down, where RFC 9162 goes from the bottom up: hence written from the end. */
size_t tree_prove(const struct tree_hash *leaves, uint64_t old_size, uint64_t size,
                  struct tree_hash proof_out[static TREE_PROOF_COUNT_MAX])
{
    struct tree_hash found[TREE_PROOF_COUNT_MAX];
    size_t count = 0;
    bool whole = true; /* the old tree is a whole subtree, whose root the checker knows */
    assert(old_size > 0 && old_size <= size);
    while (old_size != size) {
        uint64_t left = split(size);
        if (old_size <= left) {
            subtree(leaves + left, size - left, found[count++].b);
            size = left;
        } else {
            subtree(leaves, left, found[count++].b);
            leaves += left;
            old_size -= left;
            size -= left;
            whole = false;
        }
    }
    if (!whole)
        subtree(leaves, size, found[count++].b);
    for (size_t i = 0; i < count; i++)
        proof_out[i] = found[count - 1 - i];
    return count;
}

bool tree_check(const struct tree_hash *proof, size_t proof_count, uint64_t old_size,
                const uint8_t old_root[static KENG_HASH_LEN], uint64_t size,
                const uint8_t root[static KENG_HASH_LEN])
{
    if (old_size == 0 || old_size > size)
        return false;
    if (old_size == size)
        return proof_count == 0 && memcmp(old_root, root, KENG_HASH_LEN) == 0;
    uint64_t first = old_size - 1, last = size - 1;
    for (; first & 1; first >>= 1)
        last >>= 1;
    uint8_t from_old[KENG_HASH_LEN], from_new[KENG_HASH_LEN];
    size_t used = 0;
    if (first != 0 && proof_count == 0)
        return false;
    memcpy(from_old, first == 0 ? old_root : proof[used++].b, KENG_HASH_LEN);
    memcpy(from_new, from_old, KENG_HASH_LEN);
    for (; used < proof_count; used++) {
        if (last == 0)
            return false;
        if ((first & 1) || first == last) {
            join(proof[used].b, from_old, from_old);
            join(proof[used].b, from_new, from_new);
            for (; !(first & 1) && first != 0; first >>= 1)
                last >>= 1;
        } else {
            join(from_new, proof[used].b, from_new);
        }
        first >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(from_old, old_root, KENG_HASH_LEN) == 0 &&
           memcmp(from_new, root, KENG_HASH_LEN) == 0;
}
