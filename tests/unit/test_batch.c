#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/batch.h"
#include "proto/sign.h"

enum { RECORD_COUNT = 3, RECORD_LEN = 140, CAP = 2048, COUNT_AT = BATCH_HEADER_LEN - 4 };

static uint8_t root_key[KENG_KEY_LEN], root_secret[KENG_SIG_LEN];
static uint8_t source_key[KENG_KEY_LEN], source_secret[KENG_SIG_LEN];

/* 140 bytes make a two-byte length, so that both forms of a length are in the batch. */
static const size_t record_lens[RECORD_COUNT] = { RECORD_LEN, 1, RECORD_LEN_MAX };

static void fill_record(uint8_t *record, size_t index)
{
    memset(record, (int)(0xa0 + index), RECORD_LEN_MAX);
}

static struct batch_header a_header(void)
{
    struct batch_header header = { .source = 300, .number = 70000, .created_min = 123456,
                                   .count = 999 };
    memcpy(header.root_key, root_key, sizeof root_key);
    network_id_of_root(root_key, header.network_id);
    return header;
}

static size_t make_batch(uint8_t buf[static CAP])
{
    struct batch_header header = a_header();
    struct batch_builder b;
    uint8_t record[RECORD_LEN_MAX];

    assert_int_equal(batch_begin(&b, buf, CAP, &header), BATCH_OK);
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        fill_record(record, i);
        assert_int_equal(batch_add(&b, record, record_lens[i]), BATCH_OK);
    }
    return batch_finish(&b, source_secret);
}

/* What a receiver does: open, verify, read all.  The first thing that fails. */
static int read_all(const uint8_t *buf, size_t len, size_t *count_out)
{
    struct batch_reader r;
    const uint8_t *record;
    size_t record_len;
    int err = batch_open(&r, buf, len), more = 0;

    *count_out = 0;
    if (err != BATCH_OK)
        return err;
    err = batch_verify(&r, source_key);
    while ((more = batch_next(&r, &record, &record_len)) > 0)
        ++*count_out;
    return more < 0 ? more : err;
}

static void test_batch_reads_what_was_written(void **state)
{
    (void)state;
    uint8_t buf[CAP], want[RECORD_LEN_MAX];
    size_t len = make_batch(buf), record_len;
    struct batch_reader r;
    const uint8_t *record;

    assert_int_equal(len, BATCH_HEADER_LEN + 2 + RECORD_LEN + 1 + 1 + 2 + RECORD_LEN_MAX + 64);
    assert_int_equal(batch_open(&r, buf, len), BATCH_OK);
    assert_int_equal(r.header.source, 300);
    assert_int_equal(r.header.number, 70000);
    assert_int_equal(r.header.created_min, 123456);
    assert_int_equal(r.header.count, RECORD_COUNT);
    assert_memory_equal(r.header.root_key, root_key, sizeof root_key);
    assert_int_equal(batch_verify(&r, source_key), BATCH_OK);
    assert_int_equal(batch_verify(&r, root_key), BATCH_ESIG);
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        fill_record(want, i);
        assert_int_equal(batch_next(&r, &record, &record_len), 1);
        assert_int_equal(record_len, record_lens[i]);
        assert_memory_equal(record, want, record_len);
    }
    assert_int_equal(batch_next(&r, &record, &record_len), 0);
    assert_int_equal(batch_next(&r, &record, &record_len), 0);
}

static void test_batch_without_records_is_valid(void **state)
{
    (void)state;
    uint8_t buf[BATCH_HEADER_LEN + KENG_SIG_LEN];
    struct batch_header header = a_header();
    struct batch_builder b;
    size_t count;

    assert_int_equal(batch_begin(&b, buf, sizeof buf, &header), BATCH_OK);
    assert_int_equal(batch_finish(&b, source_secret), sizeof buf);
    assert_int_equal(read_all(buf, sizeof buf, &count), BATCH_OK);
    assert_int_equal(count, 0);
}

static void test_batch_notices_every_changed_byte(void **state)
{
    (void)state;
    uint8_t buf[CAP];
    size_t len = make_batch(buf), count;

    assert_int_equal(read_all(buf, len, &count), BATCH_OK);
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            buf[i] ^= (uint8_t)(1u << bit);
            assert_int_not_equal(read_all(buf, len, &count), BATCH_OK);
            buf[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void test_batch_notices_every_truncation(void **state)
{
    (void)state;
    uint8_t buf[CAP + 1];
    size_t len = make_batch(buf), count;

    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut > 0 ? cut : 1); /* so that a read past the end is caught */
        memcpy(exact, buf, cut);
        assert_int_not_equal(read_all(exact, cut, &count), BATCH_OK);
        free(exact);
    }
    buf[len] = 0;
    assert_int_not_equal(read_all(buf, len + 1, &count), BATCH_OK);
}

/* A header that is signed, but lies: the signature alone must not be enough. */
static void test_batch_refuses_signed_nonsense(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        uint8_t bytes[4];
        size_t len;
        int want;
        size_t want_count;
    } cases[] = {
        { "one record fewer than there are", COUNT_AT, { 0, 0, 0, 2 }, 4, BATCH_EFORM, 2 },
        { "one record more than there are", COUNT_AT, { 0, 0, 0, 4 }, 4, BATCH_EFORM, 3 },
        { "more records than bytes", COUNT_AT, { 0xff, 0xff, 0xff, 0xff }, 4, BATCH_EFORM, 0 },
        { "no source", COUNT_AT - 10, { 0xff, 0xff }, 2, BATCH_EFORM, 0 },
        { "another version", 4, { 2 }, 1, BATCH_EFORM, 0 },
        { "another network", BATCH_MAGIC_LEN, { 0, 0, 0, 0 }, 4, BATCH_EROOT, 0 },
        { "a length that is not minimal", BATCH_HEADER_LEN, { 0x81, 0x00 }, 2, BATCH_EFORM, 0 },
        { "a record of no bytes", BATCH_HEADER_LEN, { 0x00 }, 1, BATCH_EFORM, 0 },
        { "a record that is too long", BATCH_HEADER_LEN, { 0xff, 0x7f }, 2, BATCH_EFORM, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t buf[CAP];
        size_t len = make_batch(buf), count;
        memcpy(buf + cases[i].at, cases[i].bytes, cases[i].len);
        uint8_t message[14 + KENG_HASH_LEN] = "keng batch v1";
        crypto_generichash(message + 14, KENG_HASH_LEN, buf, len - KENG_SIG_LEN, NULL, 0);
        crypto_sign_detached(buf + len - KENG_SIG_LEN, NULL, message, sizeof message,
                             source_secret);
        int got = read_all(buf, len, &count);
        if (got != cases[i].want || count != cases[i].want_count)
            fail_msg("%s: verdict %d, %zu records", cases[i].name, got, count);
    }
}

static void test_batch_that_is_full_stays_as_it_was(void **state)
{
    (void)state;
    enum { SMALL = BATCH_HEADER_LEN + 11 + KENG_SIG_LEN };
    uint8_t buf[SMALL], record[RECORD_LEN_MAX + 1];
    struct batch_header header = a_header();
    struct batch_builder b;
    size_t count;

    fill_record(record, 0);
    record[RECORD_LEN_MAX] = 0;
    assert_int_equal(batch_begin(&b, buf, BATCH_HEADER_LEN + KENG_SIG_LEN - 1, &header),
                     BATCH_EFULL);
    assert_int_equal(batch_begin(&b, buf, sizeof buf, &header), BATCH_OK);
    assert_int_equal(batch_add(&b, record, 0), BATCH_EFORM);
    assert_int_equal(batch_add(&b, record, RECORD_LEN_MAX + 1), BATCH_EFORM);
    assert_int_equal(batch_add(&b, record, 11), BATCH_EFULL);
    assert_int_equal(batch_add(&b, record, 10), BATCH_OK);
    assert_int_equal(batch_add(&b, record, 1), BATCH_EFULL);
    assert_int_equal(batch_finish(&b, source_secret), sizeof buf);
    assert_int_equal(read_all(buf, sizeof buf, &count), BATCH_OK);
    assert_int_equal(count, 1);
}

/* One row of the vectors: built again it must be the same bytes, read it must say the same. */
static void check_vector(char *line)
{
    static uint8_t want[CAP], got[CAP];
    uint8_t root_seed[32], seed[32], key[KENG_KEY_LEN], secret[KENG_SIG_LEN], record[256];
    char *field[8];
    struct batch_header header = { .count = 0 };
    struct batch_builder b;
    struct batch_reader r;
    const uint8_t *bytes;
    size_t len, want_len, record_len;

    for (size_t i = 0; i < 8; i++)
        field[i] = strsep(&line, " ");
    assert_non_null(field[7]);
    sodium_hex2bin(root_seed, sizeof root_seed, field[0], 64, NULL, &len, NULL);
    sodium_hex2bin(seed, sizeof seed, field[1], 64, NULL, &len, NULL);
    assert_int_equal(sodium_hex2bin(want, sizeof want, field[6], strlen(field[6]), NULL, &want_len,
                                    NULL), 0);
    crypto_sign_seed_keypair(header.root_key, secret, root_seed);
    network_id_of_root(header.root_key, header.network_id);
    crypto_sign_seed_keypair(key, secret, seed);
    header.source = (uint16_t)strtoul(field[2], NULL, 10);
    header.number = (uint32_t)strtoul(field[3], NULL, 10);
    header.created_min = (uint32_t)strtoul(field[4], NULL, 10);

    assert_int_equal(batch_open(&r, want, want_len), BATCH_OK);
    assert_int_equal(batch_verify(&r, key), BATCH_OK);
    assert_int_equal(r.header.source, header.source);
    assert_int_equal(r.header.number, header.number);
    assert_int_equal(r.header.created_min, header.created_min);
    assert_int_equal(batch_begin(&b, got, sizeof got, &header), BATCH_OK);
    char *records = strcmp(field[5], "-") == 0 ? NULL : field[5], *hex;
    while ((hex = strsep(&records, ",")) != NULL) {
        sodium_hex2bin(record, sizeof record, hex, strlen(hex), NULL, &len, NULL);
        assert_int_equal(batch_add(&b, record, len), BATCH_OK);
        assert_int_equal(batch_next(&r, &bytes, &record_len), 1);
        assert_int_equal(record_len, len);
        assert_memory_equal(bytes, record, len);
    }
    assert_int_equal(batch_next(&r, &bytes, &record_len), 0);
    assert_int_equal(batch_finish(&b, secret), want_len);
    assert_memory_equal(got, want, want_len);
}

static void test_batch_agrees_with_its_vectors(void **state)
{
    (void)state;
    static char line[4 * CAP];
    FILE *f = fopen("proto/vectors/batch.txt", "r");
    int count = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#')
            continue;
        check_vector(line);
        count++;
    }
    fclose(f);
    assert_int_equal(count, 3);
}

static void test_batch_errors_have_words(void **state)
{
    (void)state;
    for (int err = BATCH_EFULL; err <= BATCH_OK; err++)
        assert_string_not_equal(batch_strerror(err), "unknown error");
    assert_string_equal(batch_strerror(-99), "unknown error");
}

int main(void)
{
    static const uint8_t root_seed[32] = { 1 }, source_seed[32] = { 2 };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_reads_what_was_written),
        cmocka_unit_test(test_batch_without_records_is_valid),
        cmocka_unit_test(test_batch_notices_every_changed_byte),
        cmocka_unit_test(test_batch_notices_every_truncation),
        cmocka_unit_test(test_batch_refuses_signed_nonsense),
        cmocka_unit_test(test_batch_that_is_full_stays_as_it_was),
        cmocka_unit_test(test_batch_agrees_with_its_vectors),
        cmocka_unit_test(test_batch_errors_have_words),
    };

    if (sodium_init() < 0)
        return 1;
    crypto_sign_seed_keypair(root_key, root_secret, root_seed);
    crypto_sign_seed_keypair(source_key, source_secret, source_seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
