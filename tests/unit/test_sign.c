#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/sign.h"

struct signer {
    uint8_t key[KENG_KEY_LEN], secret[KENG_SIG_LEN], network_id[KENG_NETWORK_ID_LEN];
    uint8_t record[RECORD_LEN_MAX];
    size_t len;
};

static void make(struct signer *s)
{
    static const uint8_t seed[crypto_sign_SEEDBYTES] = { 7 };
    static const uint8_t body[] = "three houses";
    struct record_draft d = { .ref = { .author = 300, .seq = 129 }, .kind = RECORD_DAMAGE,
                              .priority = PRIORITY_DAMAGE, .created_min = 4711, .body = body,
                              .body_len = sizeof body };
    crypto_sign_seed_keypair(s->key, s->secret, seed);
    network_id_of_root(s->key, s->network_id);
    int len = record_encode(&d, s->record, sizeof s->record);
    assert_true(len > 0);
    s->len = record_sign(s->record, (size_t)len, s->network_id, s->secret);
}

static bool holds(const struct signer *s, const uint8_t *record, const uint8_t *network_id)
{
    struct record_view v;
    return record_decode(record, s->len, &v) == RECORD_OK && record_verify(&v, network_id, s->key);
}

static void test_sign_every_single_bit_counts(void **state)
{
    struct signer s;
    unsigned formed = 0;
    (void)state;
    make(&s);
    assert_true(holds(&s, s.record, s.network_id));
    for (size_t bit = 0; bit < 8 * s.len; bit++) {
        uint8_t copy[RECORD_LEN_MAX];
        struct record_view v;
        memcpy(copy, s.record, s.len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        formed += record_decode(copy, s.len, &v) == RECORD_OK;
        if (holds(&s, copy, s.network_id))
            fail_msg("bit %zu is not signed", bit);
    }
    /* Nearly all of them were refused by the signature, not by the form. */
    assert_in_range(formed, 8 * s.len - 16, 8 * s.len);
}

static void test_sign_another_network_or_key_does_not_hold(void **state)
{
    struct signer s;
    struct record_view v;
    (void)state;
    make(&s);
    assert_int_equal(record_decode(s.record, s.len, &v), RECORD_OK);
    for (int bit = 0; bit < 8 * KENG_NETWORK_ID_LEN; bit++) {
        uint8_t other[KENG_NETWORK_ID_LEN];
        memcpy(other, s.network_id, sizeof other);
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(record_verify(&v, other, s.key));
    }
    static const uint8_t seed[crypto_sign_SEEDBYTES] = { 8 };
    uint8_t key[KENG_KEY_LEN], secret[KENG_SIG_LEN];
    crypto_sign_seed_keypair(key, secret, seed);
    assert_false(record_verify(&v, s.network_id, key));
    /* Keys of small order verify what nobody signed, where a library lets them. */
    memset(key, 0, sizeof key);
    assert_false(record_verify(&v, s.network_id, key));
    key[0] = 1;
    assert_false(record_verify(&v, s.network_id, key));
}

/* The same key over the same fields for another purpose: batch, frame, or no label at all. */
static void test_sign_another_label_does_not_hold(void **state)
{
    static const char *const labels[] = { "keng batch v1", "keng frame v1", "keng network v1",
                                          "keng record v2", "" };
    (void)state;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        struct signer s;
        struct record_view v;
        uint8_t image[256], *at = image, hash[KENG_HASH_LEN];
        make(&s);
        assert_int_equal(record_decode(s.record, s.len, &v), RECORD_OK);
        memcpy(at, labels[i], strlen(labels[i]) + 1);
        at += strlen(labels[i]) + 1;
        memcpy(at, s.network_id, sizeof s.network_id);
        at += sizeof s.network_id;
        memcpy(at, v.bytes, v.header_len);
        at += v.header_len;
        crypto_generichash(hash, sizeof hash, v.body, v.body_len, NULL, 0);
        memcpy(at, hash, sizeof hash);
        at += sizeof hash;
        memset(at, 0, KENG_HASH_LEN);
        at += KENG_HASH_LEN;
        crypto_sign_detached(s.record + s.len - KENG_SIG_LEN, NULL, image, (size_t)(at - image),
                             s.secret);
        assert_false(holds(&s, s.record, s.network_id));
    }
}

/* A sealed part may be erased later: who keeps its hash can still verify.  Here: it is covered. */
static void test_sign_covers_where_body_ends_and_sealed_begins(void **state)
{
    uint8_t record[RECORD_LEN_MAX] = { 0, 1, 1, RECORD_NEEDS | 0x80, 0, 0, 1, 0x20, 2,
                                       'a', 'b', 'c', 'd' };
    struct signer s;
    struct record_view v;
    (void)state;
    make(&s);
    s.len = record_sign(record, 13, s.network_id, s.secret);
    assert_int_equal(record_decode(record, s.len, &v), RECORD_OK);
    assert_int_equal(v.sealed_len, 2);
    assert_true(record_verify(&v, s.network_id, s.key));
    record[8] = 1; /* the same bytes, divided elsewhere */
    assert_int_equal(record_decode(record, s.len, &v), RECORD_OK);
    assert_false(record_verify(&v, s.network_id, s.key));
}

static void test_sign_every_bit_of_a_frame_is_tagged(void **state)
{
    uint8_t key[KENG_NETWORK_KEY_LEN] = { 1, 2, 3 }, head = 0x20, rest[40] = { 9 };
    uint8_t tag[FRAME_TAG_LEN], other[FRAME_TAG_LEN];
    (void)state;
    frame_tag(key, &head, 1, rest, sizeof rest, tag);
    frame_tag(key, &head, 1, rest, sizeof rest, other);
    assert_memory_equal(tag, other, sizeof tag);
    for (size_t bit = 0; bit < 8; bit++) {
        uint8_t flipped = (uint8_t)(head ^ 1u << bit);
        frame_tag(key, &flipped, 1, rest, sizeof rest, other);
        assert_memory_not_equal(tag, other, sizeof tag);
    }
    for (size_t bit = 0; bit < 8 * sizeof rest; bit++) {
        rest[bit / 8] ^= (uint8_t)(1u << bit % 8);
        frame_tag(key, &head, 1, rest, sizeof rest, other);
        assert_memory_not_equal(tag, other, sizeof tag);
        rest[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    frame_tag(key, &head, 1, rest, sizeof rest - 1, other);
    assert_memory_not_equal(tag, other, sizeof tag);
    key[31] ^= 1;
    frame_tag(key, &head, 1, rest, sizeof rest, other);
    assert_memory_not_equal(tag, other, sizeof tag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_every_single_bit_counts),
        cmocka_unit_test(test_sign_another_network_or_key_does_not_hold),
        cmocka_unit_test(test_sign_another_label_does_not_hold),
        cmocka_unit_test(test_sign_covers_where_body_ends_and_sealed_begins),
        cmocka_unit_test(test_sign_every_bit_of_a_frame_is_tagged),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
