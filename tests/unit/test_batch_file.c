#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "proto/batch_file.h"
#include "proto/sign.h"

enum { LEAF_COUNT = 70 };

static struct tree_hash leaves[LEAF_COUNT];

/* The definition of RFC 9162, 2.1.1, word by word. */
static void root_by_definition(const struct tree_hash *list, size_t count, uint8_t *out)
{
    if (count == 1) {
        memcpy(out, list[0].b, KENG_HASH_LEN);
        return;
    }
    size_t k = 1;
    while (2 * k < count)
        k *= 2;
    uint8_t both[1 + 2 * KENG_HASH_LEN] = { 1 };
    root_by_definition(list, k, both + 1);
    root_by_definition(list + k, count - k, both + 1 + KENG_HASH_LEN);
    crypto_generichash(out, KENG_HASH_LEN, both, sizeof both, NULL, 0);
}

static int set_up(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < LEAF_COUNT; i++)
        tree_leaf(&i, 1, leaves[i].b);
    return sodium_init() < 0;
}

static void test_tree_root_is_the_definition_s(void **state)
{
    (void)state;
    struct tree t = { .size = 0 };
    uint8_t want[KENG_HASH_LEN], got[KENG_HASH_LEN];
    for (size_t i = 0; i < LEAF_COUNT; i++) {
        tree_append(&t, leaves[i].b);
        root_by_definition(leaves, i + 1, want);
        tree_root(&t, got);
        assert_memory_equal(got, want, sizeof want);
    }
}

static void root_of(size_t count, uint8_t *out)
{
    root_by_definition(leaves, count, out);
}

static void test_tree_proves_every_growth_and_no_other(void **state)
{
    (void)state;
    struct tree_hash proof[TREE_PROOF_COUNT_MAX];
    uint8_t old_root[KENG_HASH_LEN], root[KENG_HASH_LEN];
    for (size_t size = 1; size <= LEAF_COUNT; size++) {
        for (size_t old = 1; old <= size; old++) {
            size_t count = tree_prove(leaves, old, size, proof);
            root_of(old, old_root);
            root_of(size, root);
            assert_true(tree_check(proof, count, old, old_root, size, root));
            old_root[3] ^= 1;
            assert_false(tree_check(proof, count, old, old_root, size, root));
            old_root[3] ^= 1;
            root[5] ^= 1;
            assert_false(tree_check(proof, count, old, old_root, size, root));
            root[5] ^= 1;
            for (size_t i = 0; i < count; i++) {
                proof[i].b[0] ^= 1;
                assert_false(tree_check(proof, count, old, old_root, size, root));
                proof[i].b[0] ^= 1;
            }
            if (count > 0)
                assert_false(tree_check(proof, count - 1, old, old_root, size, root));
        }
    }
}

static void test_section_notices_every_changed_byte_and_cut(void **state)
{
    (void)state;
    static const uint8_t CONTENTS[90] = { 1, 2, 3 };
    uint8_t buf[SECTION_HEAD_LEN + sizeof CONTENTS + SECTION_CHECK_LEN];
    struct section s = { .type = SECTION_BLOCK, .first = 7, .plain_len = sizeof CONTENTS,
                         .contents = CONTENTS, .len = sizeof CONTENTS }, got;
    assert_int_equal(section_write(&s, buf, sizeof buf - 1), 0);
    assert_int_equal(section_write(&s, buf, sizeof buf), sizeof buf);
    assert_int_equal(section_read(buf, sizeof buf, &got), BATCH_OK);
    assert_int_equal(got.first, 7);
    assert_int_equal(got.whole_len, sizeof buf);
    assert_memory_equal(got.contents, CONTENTS, sizeof CONTENTS);
    for (size_t i = 0; i < sizeof buf; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            buf[i] ^= (uint8_t)(1u << bit);
            assert_int_equal(section_read(buf, sizeof buf, &got), BATCH_EFORM);
            buf[i] ^= (uint8_t)(1u << bit);
        }
        assert_int_equal(section_read(buf, i, &got), BATCH_EFORM);
    }
}

static void test_section_is_found_behind_rubbish(void **state)
{
    (void)state;
    uint8_t buf[200] = "KENGKENG\x02KENG\x01\x0d\x0a\x1a";
    struct section s = { .type = SECTION_CHECKPOINT };
    size_t len = section_write(&s, buf + 100, 100);
    assert_int_equal(section_find(buf, 100 + len, 0), 100);
    assert_int_equal(section_find(buf, 100 + len, 101), 100 + len);
    assert_int_equal(section_find(buf, 105, 0), 100); /* cut: more bytes will tell */
}

static void test_checkpoint_holds_what_was_signed(void **state)
{
    (void)state;
    uint8_t key[KENG_KEY_LEN], secret[KENG_SIG_LEN], seed[32] = { 9 };
    uint8_t buf[CHECKPOINT_LEN_MAX];
    crypto_sign_seed_keypair(key, secret, seed);
    struct checkpoint c = { .source = 3, .created_min = 77, .size = 70 }, got;
    memcpy(c.root_key, key, sizeof key);
    network_id_of_root(key, c.network_id);
    root_of(70, c.root);
    size_t len = checkpoint_encode(&c, secret, buf);
    struct checkpoint_proof proof = { .old_size = 33 }, found;
    proof.count = tree_prove(leaves, 33, 70, proof.hashes);
    len = checkpoint_add_proof(&proof, len, buf);
    assert_int_equal(checkpoint_decode(buf, len, &got), BATCH_OK);
    assert_memory_equal(&got.root, &c.root, sizeof c.root);
    assert_int_equal(got.size, 70);
    assert_int_equal(checkpoint_verify(buf, key), BATCH_OK);
    assert_true(checkpoint_find_proof(buf, len, 33, &found));
    assert_int_equal(found.count, proof.count);
    assert_memory_equal(found.hashes, proof.hashes, proof.count * KENG_HASH_LEN);
    assert_false(checkpoint_find_proof(buf, len, 34, &found));
    for (size_t i = 0; i < len; i++)
        assert_int_equal(checkpoint_decode(buf, i, &got), BATCH_EFORM);
    for (size_t i = 0; i < CHECKPOINT_SIGNED_LEN + KENG_SIG_LEN; i++) {
        buf[i] ^= 1;
        assert_int_equal(checkpoint_verify(buf, key), BATCH_ESIG);
        buf[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_root_is_the_definition_s),
        cmocka_unit_test(test_tree_proves_every_growth_and_no_other),
        cmocka_unit_test(test_section_notices_every_changed_byte_and_cut),
        cmocka_unit_test(test_section_is_found_behind_rubbish),
        cmocka_unit_test(test_checkpoint_holds_what_was_signed),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
