#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/import_internal.h"

static int collect(void *ctx, const struct db_checkpoint *checkpoint)
{
    struct import_tree *t = ctx;
    if (checkpoint->source != t->source)
        return 0;
    if (t->known_count == t->known_cap) {
        size_t cap = t->known_cap ? 2 * t->known_cap : 16;
        struct db_checkpoint *grown = realloc(t->known, cap * sizeof *grown);
        if (!grown)
            return DB_ENOMEM;
        t->known = grown;
        t->known_cap = cap;
    }
    t->known[t->known_count++] = *checkpoint;
    return 0;
}

/* The same one again can only become covered, however often a file repeats it. */
static int take_checkpoint(struct import_tree *t, const struct db_checkpoint *row)
{
    for (size_t i = 0; i < t->known_count; i++) {
        struct db_checkpoint *known = &t->known[i];
        if (known->size == row->size && memcmp(known->root, row->root, sizeof row->root) == 0) {
            if (row->covered)
                *known = *row;
            return 0;
        }
    }
    return collect(t, row);
}

static const struct db_checkpoint *newest_covered(const struct import_tree *t)
{
    const struct db_checkpoint *newest = NULL;
    for (size_t i = 0; i < t->known_count; i++)
        if (t->known[i].covered && (!newest || t->known[i].size > newest->size))
            newest = &t->known[i];
    return newest;
}

/* Turns to a source.  A file that begins where an earlier one ended goes on with the tree of then;
 * one that begins at the beginning is added up anew, and held against every root known. */
static int turn_to(struct import *im, int64_t commune, uint16_t source, uint64_t first)
{
    struct import_tree *t = &im->tree;
    if (t->commune == commune && t->source == source)
        return 0;
    import_tree_end(im);
    free(t->known);
    *t = (struct import_tree){ .commune = commune, .source = source, .expected = first };
    int result = db_checkpoint_list(im->ledger->db, commune, collect, t);
    if (result < 0)
        return result;
    const struct db_checkpoint *newest = newest_covered(t);
    if (first > 0 && newest && newest->size >= first)
        t->tree = newest->tree;
    else if (first > 0)
        t->expected = 0; /* the gap before it is told like any other */
    return 0;
}

/* The tree has grown to a size that a checkpoint of earlier speaks of. */
static void compare_known(struct import *im)
{
    struct import_tree *t = &im->tree;
    while (t->known_next < t->known_count && t->known[t->known_next].size < t->tree.size)
        t->known_next++;
    for (; t->known_next < t->known_count && t->known[t->known_next].size == t->tree.size;
         t->known_next++) {
        uint8_t root[KENG_HASH_LEN];
        tree_root(&t->tree, root);
        if (memcmp(root, t->known[t->known_next].root, sizeof root) == 0)
            continue;
        import_notice(im, true, LANG_P_REWRITTEN, LANG_NUMBER(t->tree.size),
                      LANG_NUMBER(t->source));
        t->broken = true;
    }
}

int import_place_block(struct import *im, const struct import_block *block)
{
    struct import_tree *t = &im->tree;
    if (block->leaf_count == 0)
        return 0;
    uint64_t first = block->section.first;
    int result = turn_to(im, block->commune->info.id, block->source, first);
    if (result < 0)
        return result;
    t->ended = false;
    if (first > t->expected) {
        import_notice(im, true, LANG_P_AT_MISSING, LANG_NUMBER(block->offset),
                      LANG_NUMBER(t->expected + 1), LANG_NUMBER(first));
        t->broken = true;
    } else if (first < t->expected) {
        import_notice(im, true, LANG_P_AT_PLACE, LANG_NUMBER(block->offset), LANG_NUMBER(first + 1),
                      LANG_NUMBER(t->expected + 1));
        t->broken = true;
    }
    t->expected = first + block->leaf_count;
    t->placed_count += block->leaf_count;
    for (uint32_t i = 0; i < block->leaf_count && !t->broken; i++) {
        if (first + i != t->tree.size)
            continue; /* covered by a checkpoint before this file */
        tree_append(&t->tree, block->leaves[i].b);
        compare_known(im);
    }
    return 0;
}

/* The rest of it is not here: at least, does it continue what is known? */
static void judge_uncovered(struct import *im, const struct checkpoint *c, const uint8_t *bytes,
                            size_t len)
{
    const struct import_tree *t = &im->tree;
    const struct db_checkpoint *old = newest_covered(t);
    struct checkpoint_proof proof;
    enum lang_text more = LANG_P_CONTINUES_NOT;
    if (old && checkpoint_find_proof(bytes, len, old->size, &proof))
        more = tree_check(proof.hashes, proof.count, old->size, old->root, c->size, c->root)
                   ? LANG_P_CONTINUES : LANG_P_CONTINUES_OTHER;
    import_notice(im, true, LANG_P_NOT_COVERED, LANG_NUMBER(c->source), LANG_NUMBER(c->size),
                  LANG_NUMBER(old && old->size > t->placed_count ? old->size : t->placed_count),
                  LANG_WORD(lang_text(im->options->language, more)));
}

/* Sets covered and tree of *row if the records add up to the root. */
static void judge_checkpoint(struct import *im, const struct checkpoint *c, const uint8_t *bytes,
                             size_t len, struct db_checkpoint *row)
{
    struct import_tree *t = &im->tree;
    const struct db_checkpoint *newest = newest_covered(t);
    uint8_t root[KENG_HASH_LEN];
    bool held = false;
    for (size_t i = 0; i < t->known_count; i++) {
        if (t->known[i].size != c->size)
            continue;
        if (memcmp(t->known[i].root, c->root, sizeof c->root) == 0)
            held = t->known[i].covered;
        else
            import_notice(im, true, LANG_P_FORK, LANG_NUMBER(c->source), LANG_NUMBER(c->size));
    }
    if (newest && newest->size > c->size)
        import_notice(im, false, LANG_P_OLDER, LANG_NUMBER(c->size), LANG_NUMBER(c->source),
                      LANG_NUMBER(newest->size));
    tree_root(&t->tree, root);
    row->covered = !t->broken && t->tree.size == c->size && memcmp(root, c->root, sizeof root) == 0;
    if (row->covered)
        row->tree = t->tree;
    else if (held)
        return;
    else if (!t->broken && t->tree.size == c->size)
        import_notice(im, true, LANG_P_OTHER_RECORDS, LANG_NUMBER(c->source));
    else
        judge_uncovered(im, c, bytes, len);
}

int import_checkpoint(struct import *im, const struct section *section, uint64_t offset)
{
    uint8_t bytes[SECTION_CONTENTS_LEN_MAX];
    struct checkpoint c;
    int result = pack_open(im->pack, section, bytes);
    if (result == BATCH_OK)
        result = checkpoint_decode(bytes, section->plain_len, &c);
    const struct ledger_commune *commune =
        result == BATCH_OK ? ledger_find(im->ledger, c.network_id) : NULL;
    const uint8_t *key = commune ? roster_key(&commune->roster, c.source) : NULL;
    if (!key || checkpoint_verify(bytes, key) != BATCH_OK) {
        enum lang_text why = result != BATCH_OK ? LANG_P_CHECKPOINT_UNREADABLE
                             : !commune         ? LANG_P_CHECKPOINT_COMMUNE
                             : !key             ? LANG_P_CHECKPOINT_AUTHOR
                                                : LANG_P_CHECKPOINT_SIG;
        import_notice(im, true, LANG_P_AT_CHECKPOINT, LANG_NUMBER(offset),
                      LANG_WORD(lang_text(im->options->language, why)));
        return 0;
    }
    result = turn_to(im, commune->info.id, c.source, 0);
    if (result < 0)
        return result;
    struct db_checkpoint row = { .commune = commune->info.id, .source = c.source, .size = c.size,
                                 .created_min = c.created_min,
                                 .received_ms = im->options->now_ms };
    memcpy(row.root, c.root, sizeof row.root);
    judge_checkpoint(im, &c, bytes, section->plain_len, &row);
    if (c.size > im->tree.expected)
        import_notice(im, true, LANG_P_END_MISSING, LANG_NUMBER(im->tree.expected + 1),
                      LANG_NUMBER(c.size));
    im->tree.ended = true;
    if (row.covered && row.size > im->result.checkpoint_size)
        im->result.checkpoint_size = row.size;
    result = take_checkpoint(&im->tree, &row);
    if (result == 0 && !im->options->verify_only)
        result = db_checkpoint_put(im->ledger->db, &row);
    return result;
}

void import_tree_end(struct import *im)
{
    const struct import_tree *t = &im->tree;
    im->result.place_count += t->placed_count;
    if (t->commune != 0 && !t->ended)
        import_notice(im, true, LANG_P_NO_CHECKPOINT, LANG_NUMBER(t->expected),
                      LANG_NUMBER(t->source));
}
