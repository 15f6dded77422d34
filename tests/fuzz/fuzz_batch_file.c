/* Batch files: any bytes as sections, as a checkpoint, as something to unpack. */
#include "gateway/pack.h"
#include "proto/batch_file.h"
#include "proto/sign.h"
#include "tests/fuzz/fuzz.h"

static void walk_sections(const uint8_t *data, size_t len)
{
    struct section s;
    for (size_t at = 0; at < len;) {
        size_t next = section_find(data, len, at);
        FUZZ_CHECK(next >= at && next <= len);
        at = next;
        if (section_read(data + at, len - at, &s) != BATCH_OK) {
            at++;
            continue;
        }
        FUZZ_CHECK(s.contents >= data + at && s.contents + s.len <= data + len);
        FUZZ_CHECK(s.whole_len <= len - at && s.whole_len > s.len);
        at += s.whole_len;
    }
}

static bool proof_continues(const struct checkpoint_proof *proof, const struct checkpoint *c,
                            const uint8_t old_root[static KENG_HASH_LEN])
{
    return tree_check(proof->hashes, proof->count, proof->old_size, old_root, c->size, c->root);
}

/* With a network id that fits its root key, which no mutation would ever find. */
static void read_checkpoint(const uint8_t *data, size_t len)
{
    static const uint8_t NO_KEY[KENG_KEY_LEN];
    struct checkpoint c;
    struct checkpoint_proof proof;
    if (len < KENG_NETWORK_ID_LEN + KENG_KEY_LEN)
        return;
    uint8_t *mended = malloc(len);
    FUZZ_CHECK(mended != NULL);
    memcpy(mended, data, len);
    network_id_of_root(mended + KENG_NETWORK_ID_LEN, mended);
    if (checkpoint_decode(mended, len, &c) == BATCH_OK) {
        FUZZ_CHECK(checkpoint_verify(mended, NO_KEY) == BATCH_ESIG);
        /* A signer may choose a root that continues any old one; two would be a collision. */
        for (uint64_t size = 0; size < 8; size++)
            if (checkpoint_find_proof(mended, len, size, &proof))
                FUZZ_CHECK(!proof_continues(&proof, &c, NO_KEY) ||
                           !proof_continues(&proof, &c, mended));
    }
    free(mended);
}

static void unpack(const uint8_t *data, size_t len)
{
    static uint8_t plain[SECTION_CONTENTS_LEN_MAX];
    static struct pack *pack;
    struct section s = { .plain_len = SECTION_CONTENTS_LEN_MAX, .contents = data, .len = len };
    if (!pack)
        pack = pack_new();
    FUZZ_CHECK(pack != NULL);
    if (len < SECTION_CONTENTS_LEN_MAX)
        (void)pack_open(pack, &s, plain);
}

static void fuzz_batch_file(const uint8_t *data, size_t len)
{
    walk_sections(data, len);
    read_checkpoint(data, len);
    unpack(data, len);
}

FUZZ_TARGET(fuzz_batch_file)
