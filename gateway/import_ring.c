#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/import_internal.h"

static bool is_root(const uint8_t *record, size_t len)
{
    return len >= 2 && load16_be(record) == AUTHOR_ROOT;
}

static int check_record(struct import_block *b, const uint8_t *record, size_t len)
{
    if (len < RECORD_LEN_MIN) {
        b->short_count++;
        return 0;
    }
    struct ledger_checked *k = &b->checked[b->count++];
    /* The root's records were judged before all others, known ones when they came. */
    if (b->known || is_root(record, len)) {
        *k = (struct ledger_checked){ .verdict = LEDGER_DUPLICATE };
        if (record_decode(record, len, &k->view) != RECORD_OK)
            k->verdict = LEDGER_MALFORMED;
    } else {
        int result = ledger_check(b->commune, record, len, k);
        if (result < 0)
            return result;
        if (k->plain) {
            ledger_words(b->commune, &k->view, &b->words);
            strbuf_put_len(&b->words, "", 1);
        }
        if (b->words.failed)
            return DB_ENOMEM;
    }
    if (k->verdict != LEDGER_MALFORMED && k->view.ref.lane == 0)
        tree_leaf(record, len, b->leaves[b->leaf_count++].b);
    return 0;
}

static int check_block(struct ledger *l, struct pack *pack, struct import_block *b)
{
    struct batch_reader batch;
    const uint8_t *record;
    size_t len;
    int more, result = pack_open(pack, &b->section, b->plain);
    if (result == BATCH_OK)
        result = batch_open(&batch, b->plain, b->section.plain_len);
    if (result != BATCH_OK)
        return result;
    b->source = batch.header.source;
    b->commune = ledger_find(l, batch.header.network_id);
    if (!b->commune)
        return LEDGER_BATCH_ETRUST;
    const uint8_t *key = roster_key(&b->commune->roster, b->source);
    b->sig_ok = b->known || (key && batch_verify(&batch, key) == BATCH_OK);
    while ((more = batch_next(&batch, &record, &len)) == 1) {
        result = check_record(b, record, len);
        if (result < 0)
            return result;
    }
    b->truncated = more < 0;
    return 0;
}

static int work(void *ctx)
{
    struct import_ring *ring = ctx;
    struct pack *pack = pack_new();
    mtx_lock(&ring->lock);
    for (;;) {
        while (ring->started == ring->filled && !ring->ending)
            cnd_wait(&ring->to_do, &ring->lock);
        if (ring->started == ring->filled)
            break;
        struct import_block *b = &ring->blocks[ring->started++ % IMPORT_BLOCK_COUNT];
        b->state = IMPORT_BUSY;
        mtx_unlock(&ring->lock);
        int err = pack ? check_block(ring->ledger, pack, b) : DB_ENOMEM;
        mtx_lock(&ring->lock);
        b->err = err;
        b->state = IMPORT_DONE;
        cnd_signal(&ring->finished);
    }
    mtx_unlock(&ring->lock);
    pack_free(pack);
    return 0;
}

int ring_open(struct import_ring *ring, struct ledger *l, unsigned thread_count)
{
    *ring = (struct import_ring){ .ledger = l };
    ring->blocks = calloc(IMPORT_BLOCK_COUNT, sizeof *ring->blocks);
    if (!ring->blocks || mtx_init(&ring->lock, mtx_plain) != thrd_success ||
        cnd_init(&ring->to_do) != thrd_success || cnd_init(&ring->finished) != thrd_success) {
        free(ring->blocks);
        return DB_ENOMEM;
    }
    while (ring->thread_count < thread_count) {
        if (thrd_create(&ring->threads[ring->thread_count], work, ring) != thrd_success)
            break;
        ring->thread_count++;
    }
    if (ring->thread_count > 0)
        return 0;
    ring_close(ring);
    return DB_ENOMEM;
}

void ring_close(struct import_ring *ring)
{
    mtx_lock(&ring->lock);
    ring->ending = true;
    ring->started = ring->filled; /* what nobody began nobody waits for */
    cnd_broadcast(&ring->to_do);
    mtx_unlock(&ring->lock);
    for (unsigned i = 0; i < ring->thread_count; i++)
        thrd_join(ring->threads[i], NULL);
    cnd_destroy(&ring->finished);
    cnd_destroy(&ring->to_do);
    mtx_destroy(&ring->lock);
    for (int i = 0; i < IMPORT_BLOCK_COUNT; i++)
        strbuf_free(&ring->blocks[i].words);
    free(ring->blocks);
    ring->blocks = NULL;
}

struct import_block *ring_next(struct import_ring *ring)
{
    struct import_block *b = &ring->blocks[ring->filled % IMPORT_BLOCK_COUNT];
    if (b->state != IMPORT_FREE)
        return NULL;
    b->known = b->sig_ok = b->truncated = false;
    b->err = 0;
    b->commune = NULL;
    b->words.len = 0;
    b->count = b->short_count = b->leaf_count = 0;
    return b;
}

void ring_submit(struct import_ring *ring)
{
    mtx_lock(&ring->lock);
    ring->blocks[ring->filled++ % IMPORT_BLOCK_COUNT].state = IMPORT_READY;
    cnd_signal(&ring->to_do);
    mtx_unlock(&ring->lock);
}

struct import_block *ring_wait(struct import_ring *ring, unsigned written)
{
    if (ring->done + written == ring->filled)
        return NULL;
    struct import_block *b = &ring->blocks[(ring->done + written) % IMPORT_BLOCK_COUNT];
    mtx_lock(&ring->lock);
    while (b->state != IMPORT_DONE)
        cnd_wait(&ring->finished, &ring->lock);
    mtx_unlock(&ring->lock);
    return b;
}

void ring_release(struct import_ring *ring, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ring->blocks[ring->done++ % IMPORT_BLOCK_COUNT].state = IMPORT_FREE;
}
