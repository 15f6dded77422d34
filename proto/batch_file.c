#include "proto/batch_file.h"

#include <assert.h>
#include <sodium.h>

#include "proto/sign.h"

static const uint8_t MAGIC[BATCH_MAGIC_LEN] = { 'K', 'E', 'N', 'G', 0x02, 0x0d, 0x0a, 0x1a };
static const char SIGN_DOMAIN[] = "keng checkpoint v1"; /* the final NUL is part of it */

enum {
    MESSAGE_LEN = sizeof SIGN_DOMAIN + CHECKPOINT_SIGNED_LEN,
    PROOFS_AT = CHECKPOINT_SIGNED_LEN + KENG_SIG_LEN,
};

bool section_is(const uint8_t *bytes, size_t len)
{
    return len >= sizeof MAGIC && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
}

static void check_of(const uint8_t *bytes, size_t len, uint8_t check_out[static SECTION_CHECK_LEN])
{
    crypto_generichash(check_out, SECTION_CHECK_LEN, bytes, len, NULL, 0);
}

int section_read(const uint8_t *bytes, size_t len, struct section *section_out)
{
    if (len < SECTION_HEAD_LEN + SECTION_CHECK_LEN || !section_is(bytes, len))
        return BATCH_EFORM;
    struct bytes_reader r = bytes_reader(bytes + BATCH_MAGIC_LEN, len - BATCH_MAGIC_LEN);
    struct section s = { .type = read_u8(&r) };
    s.first = read_u32(&r);
    s.plain_len = read_u32(&r);
    s.len = read_u32(&r);
    if (s.plain_len > SECTION_CONTENTS_LEN_MAX || s.len > s.plain_len)
        return BATCH_EFORM;
    s.contents = read_bytes(&r, s.len);
    const uint8_t *check = read_bytes(&r, SECTION_CHECK_LEN);
    if (!check)
        return BATCH_EFORM;
    uint8_t want[SECTION_CHECK_LEN];
    s.whole_len = SECTION_HEAD_LEN + s.len + SECTION_CHECK_LEN;
    check_of(bytes, SECTION_HEAD_LEN + s.len, want);
    if (memcmp(want, check, sizeof want) != 0)
        return BATCH_EFORM;
    *section_out = s;
    return BATCH_OK;
}

size_t section_find(const uint8_t *bytes, size_t len, size_t from)
{
    while (from < len) {
        const uint8_t *at = memchr(bytes + from, MAGIC[0], len - from);
        if (!at)
            break;
        from = (size_t)(at - bytes);
        /* A magic that is cut at the end may be whole when more was read. */
        size_t left = len - from < sizeof MAGIC ? len - from : sizeof MAGIC;
        if (memcmp(at, MAGIC, left) == 0)
            return from;
        from++;
    }
    return len;
}

size_t section_write(const struct section *section, uint8_t *buf, size_t cap)
{
    struct bytes_writer w = bytes_writer(buf, cap);
    write_bytes(&w, MAGIC, sizeof MAGIC);
    write_u8(&w, section->type);
    write_u32(&w, section->first);
    write_u32(&w, section->plain_len);
    write_u32(&w, (uint32_t)section->len);
    write_bytes(&w, section->contents, section->len);
    if (w.failed || bytes_room(&w) < SECTION_CHECK_LEN)
        return 0;
    uint8_t check[SECTION_CHECK_LEN];
    check_of(buf, bytes_written(&w), check);
    write_bytes(&w, check, sizeof check);
    return bytes_written(&w);
}

/* ---- checkpoints ---- */

static void signed_message(const uint8_t *bytes, uint8_t message_out[static MESSAGE_LEN])
{
    memcpy(message_out, SIGN_DOMAIN, sizeof SIGN_DOMAIN);
    memcpy(message_out + sizeof SIGN_DOMAIN, bytes, CHECKPOINT_SIGNED_LEN);
}

size_t checkpoint_encode(const struct checkpoint *c, const uint8_t secret_key[static KENG_SIG_LEN],
                         uint8_t buf[static CHECKPOINT_LEN_MAX])
{
    struct bytes_writer w = bytes_writer(buf, CHECKPOINT_LEN_MAX);
    uint8_t message[MESSAGE_LEN];
    write_bytes(&w, c->network_id, KENG_NETWORK_ID_LEN);
    write_bytes(&w, c->root_key, KENG_KEY_LEN);
    write_u16(&w, c->source);
    write_u32(&w, c->created_min);
    write_u64(&w, c->size);
    write_bytes(&w, c->root, KENG_HASH_LEN);
    assert(bytes_written(&w) == CHECKPOINT_SIGNED_LEN);
    signed_message(buf, message);
    crypto_sign_detached(buf + CHECKPOINT_SIGNED_LEN, NULL, message, sizeof message, secret_key);
    buf[PROOFS_AT] = 0;
    return PROOFS_AT + 1;
}

size_t checkpoint_add_proof(const struct checkpoint_proof *proof, size_t len,
                            uint8_t buf[static CHECKPOINT_LEN_MAX])
{
    assert(buf[PROOFS_AT] < CHECKPOINT_PROOF_COUNT_MAX && proof->count <= TREE_PROOF_COUNT_MAX);
    struct bytes_writer w = bytes_writer(buf + len, CHECKPOINT_LEN_MAX - len);
    write_u64(&w, proof->old_size);
    write_u8(&w, (uint8_t)proof->count);
    write_bytes(&w, proof->hashes[0].b, proof->count * KENG_HASH_LEN);
    buf[PROOFS_AT]++;
    return len + bytes_written(&w);
}

/* The next proof of the list: false at the end or where it cannot be read. */
static bool next_proof(struct bytes_reader *r, struct checkpoint_proof *proof_out)
{
    proof_out->old_size = read_u64(r);
    proof_out->count = read_u8(r);
    if (proof_out->count > TREE_PROOF_COUNT_MAX)
        r->failed = true;
    const uint8_t *hashes = read_bytes(r, proof_out->count * KENG_HASH_LEN);
    if (!hashes)
        return false;
    memcpy(proof_out->hashes, hashes, proof_out->count * KENG_HASH_LEN);
    return true;
}

int checkpoint_decode(const uint8_t *bytes, size_t len, struct checkpoint *c_out)
{
    struct bytes_reader r = bytes_reader(bytes, len);
    const uint8_t *network_id = read_bytes(&r, KENG_NETWORK_ID_LEN);
    const uint8_t *root_key = read_bytes(&r, KENG_KEY_LEN);
    struct checkpoint c = { .source = read_u16(&r) };
    c.created_min = read_u32(&r);
    c.size = read_u64(&r);
    const uint8_t *root = read_bytes(&r, KENG_HASH_LEN);
    (void)read_bytes(&r, KENG_SIG_LEN);
    unsigned proof_count = read_u8(&r);
    struct checkpoint_proof proof;
    if (proof_count > CHECKPOINT_PROOF_COUNT_MAX)
        return BATCH_EFORM;
    for (unsigned i = 0; i < proof_count && next_proof(&r, &proof); i++)
        ;
    if (r.failed || bytes_left(&r) > 0 || c.source == AUTHOR_NONE)
        return BATCH_EFORM;
    memcpy(c.network_id, network_id, sizeof c.network_id);
    memcpy(c.root_key, root_key, sizeof c.root_key);
    memcpy(c.root, root, sizeof c.root);
    uint8_t expected_id[KENG_NETWORK_ID_LEN];
    network_id_of_root(c.root_key, expected_id);
    if (memcmp(expected_id, c.network_id, sizeof expected_id) != 0)
        return BATCH_EROOT;
    *c_out = c;
    return BATCH_OK;
}

int checkpoint_verify(const uint8_t *bytes, const uint8_t source_key[static KENG_KEY_LEN])
{
    uint8_t message[MESSAGE_LEN];
    signed_message(bytes, message);
    return crypto_sign_verify_detached(bytes + CHECKPOINT_SIGNED_LEN, message, sizeof message,
                                       source_key) == 0 ? BATCH_OK : BATCH_ESIG;
}

bool checkpoint_find_proof(const uint8_t *bytes, size_t len, uint64_t old_size,
                           struct checkpoint_proof *proof_out)
{
    struct bytes_reader r = bytes_reader(bytes + PROOFS_AT, len - PROOFS_AT);
    for (unsigned left = read_u8(&r); left > 0 && next_proof(&r, proof_out); left--)
        if (proof_out->old_size == old_size)
            return true;
    return false;
}
