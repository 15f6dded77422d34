/* import_internal.h - the parts of an import: reading sections, the ring of blocks, the tree.
 *
 * import.c      the order of things, the one writer
 * import_ring.c the blocks under way and the threads that verify them
 * import_tree.c what the checkpoints say
 */
#ifndef KENG_GATEWAY_IMPORT_INTERNAL_H
#define KENG_GATEWAY_IMPORT_INTERNAL_H

#include <threads.h>

#include "gateway/import.h"
#include "gateway/lang.h"
#include "gateway/pack.h"

enum {
    IMPORT_BLOCK_COUNT = 64, /* in the ring */
    IMPORT_GROUP_COUNT = 24, /* written at once; the ring holds some more meanwhile */
    IMPORT_RECORD_COUNT_MAX = SECTION_CONTENTS_LEN_MAX / (1 + RECORD_LEN_MIN) + 1,
    IMPORT_NO_PLACE = -1,
};

enum import_state { IMPORT_FREE, IMPORT_READY, IMPORT_BUSY, IMPORT_DONE };

struct import_block {
    enum import_state state;
    uint64_t offset, number;
    uint8_t hash[KENG_HASH_LEN]; /* of the section as it is in the file */
    bool known;                  /* every record of it is held: only the leaves are wanted */
    struct section section;
    uint8_t stored[SECTION_LEN_MAX];
    uint8_t plain[SECTION_CONTENTS_LEN_MAX];
    /* What the worker found. */
    int err; /* enum batch_err or enum ledger_batch_err; DB_ENOMEM */
    bool sig_ok, truncated;
    const struct ledger_commune *commune;
    uint16_t source;
    uint32_t count;       /* records in checked */
    uint32_t short_count; /* too short to be one; not in checked */
    struct ledger_checked checked[IMPORT_RECORD_COUNT_MAX];
    struct strbuf words; /* of the plain ones, each NUL-ended, in their order */
    uint32_t leaf_count;
    struct tree_hash leaves[IMPORT_RECORD_COUNT_MAX];
};

struct import_ring {
    struct ledger *ledger;
    struct import_block *blocks; /* IMPORT_BLOCK_COUNT */
    uint64_t filled, started, done; /* blocks so far; in order of the file */
    thrd_t threads[IMPORT_THREAD_COUNT_MAX];
    unsigned thread_count;
    bool ending;
    mtx_t lock;
    cnd_t to_do, finished;
};

/* Starts the threads.  Until ring_close() nobody may change the ledger's rosters. */
int ring_open(struct import_ring *ring, struct ledger *l, unsigned thread_count);
void ring_close(struct import_ring *ring);
/* The next block to fill, or NULL: all are under way.  Then hand it over. */
struct import_block *ring_next(struct import_ring *ring);
void ring_submit(struct import_ring *ring);
/* Waits until the block after the `written` oldest ones is verified; NULL: none is under way. */
struct import_block *ring_wait(struct import_ring *ring, unsigned written);
/* The `count` oldest are done with. */
void ring_release(struct import_ring *ring, unsigned count);

/* Where the file is in its source's tree. */
struct import_tree {
    int64_t commune; /* 0: nothing yet */
    uint16_t source;
    bool broken; /* a record was missing or out of its place: roots cannot be computed any more */
    bool ended;  /* a checkpoint came after the last block */
    struct tree tree;
    uint64_t expected, placed_count;
    struct db_checkpoint *known; /* of that source, by size */
    size_t known_count, known_cap, known_next;
};

struct import {
    struct ledger *ledger;
    const struct import_options *options;
    struct import_result result;
    struct import_tree tree;
    struct pack *pack;
    int fd;
    uint64_t file_len, block_number;
    /* A window of the file. */
    uint8_t *window;
    size_t window_len;
    uint64_t window_at;
    bool at_end;
    unsigned open_count; /* records in the open transaction */
    bool in_transaction;
};

#define import_notice(im, fault, text, ...)                                                        \
    import_notice_args(im, fault, text, LANG_ARGS(__VA_ARGS__))
void import_notice_args(struct import *im, bool fault, enum lang_text text,
                        const struct lang_arg *args, size_t count);

/* 0 or a negative enum db_err. */
int import_place_block(struct import *im, const struct import_block *block);
int import_checkpoint(struct import *im, const struct section *section, uint64_t offset);
/* Says what no checkpoint speaks of. */
void import_tree_end(struct import *im);

#endif
