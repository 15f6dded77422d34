#include "proto/sign.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(KENG_SIG_LEN == crypto_sign_BYTES, "signature length");
static_assert(KENG_SIG_LEN == crypto_sign_SECRETKEYBYTES, "secret key length");
static_assert(KENG_KEY_LEN == crypto_sign_PUBLICKEYBYTES, "public key length");
static_assert(KENG_HASH_LEN == crypto_generichash_BYTES, "hash length");

static const uint8_t LABEL_RECORD[] = "keng record v1"; /* with its zero byte */
static const uint8_t LABEL_NETWORK[] = "keng network v1";
static const uint8_t LABEL_FRAME[] = "keng frame v1";

enum { PREIMAGE_LEN_MAX = sizeof LABEL_RECORD + KENG_NETWORK_ID_LEN + RECORD_HEADER_LEN_MAX +
                          2 * KENG_HASH_LEN };

static void hash(uint8_t out[KENG_HASH_LEN], const uint8_t *bytes, size_t len)
{
    crypto_generichash(out, KENG_HASH_LEN, bytes, len, NULL, 0);
}

/* Label, network, header as sent, hash of the body, hash of the sealed part or zeros. */
static size_t preimage(const struct record_view *v, const uint8_t *network_id,
                       uint8_t out[PREIMAGE_LEN_MAX])
{
    uint8_t *at = out;
    memcpy(at, LABEL_RECORD, sizeof LABEL_RECORD);
    at += sizeof LABEL_RECORD;
    memcpy(at, network_id, KENG_NETWORK_ID_LEN);
    at += KENG_NETWORK_ID_LEN;
    assert(v->header_len <= RECORD_HEADER_LEN_MAX);
    memcpy(at, v->bytes, v->header_len);
    at += v->header_len;
    hash(at, v->body, v->body_len);
    at += KENG_HASH_LEN;
    if (v->sealed_len > 0)
        hash(at, v->sealed, v->sealed_len);
    else
        memset(at, 0, KENG_HASH_LEN);
    at += KENG_HASH_LEN;
    return (size_t)(at - out);
}

size_t record_sign(uint8_t *buf, size_t len_unsigned,
                   const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                   const uint8_t secret_key[static KENG_SIG_LEN])
{
    uint8_t image[PREIMAGE_LEN_MAX];
    struct record_view v;
    memset(buf + len_unsigned, 0, KENG_SIG_LEN);
    int err = record_decode(buf, len_unsigned + KENG_SIG_LEN, &v);
    assert(err == RECORD_OK);
    (void)err;
    size_t len = preimage(&v, network_id, image);
    crypto_sign_detached(buf + len_unsigned, NULL, image, len, secret_key);
    return len_unsigned + KENG_SIG_LEN;
}

bool record_verify(const struct record_view *view,
                   const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                   const uint8_t key[static KENG_KEY_LEN])
{
    uint8_t image[PREIMAGE_LEN_MAX];
    size_t len = preimage(view, network_id, image);
    return crypto_sign_verify_detached(view->sig, image, len, key) == 0;
}

void network_id_of_root(const uint8_t root_key[static KENG_KEY_LEN],
                        uint8_t network_id_out[static KENG_NETWORK_ID_LEN])
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, KENG_NETWORK_ID_LEN);
    crypto_generichash_update(&st, LABEL_NETWORK, sizeof LABEL_NETWORK);
    crypto_generichash_update(&st, root_key, KENG_KEY_LEN);
    crypto_generichash_final(&st, network_id_out, KENG_NETWORK_ID_LEN);
}

void frame_tag(const uint8_t network_key[static KENG_NETWORK_KEY_LEN], const uint8_t *head,
               size_t head_len, const uint8_t *rest, size_t rest_len,
               uint8_t tag_out[static FRAME_TAG_LEN])
{
    uint8_t full[KENG_HASH_LEN];
    crypto_generichash_state st;
    crypto_generichash_init(&st, network_key, KENG_NETWORK_KEY_LEN, sizeof full);
    crypto_generichash_update(&st, LABEL_FRAME, sizeof LABEL_FRAME);
    crypto_generichash_update(&st, head, head_len);
    crypto_generichash_update(&st, rest, rest_len);
    crypto_generichash_final(&st, full, sizeof full);
    memcpy(tag_out, full, FRAME_TAG_LEN);
    sodium_memzero(full, sizeof full);
}
