#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/bytes.h"
#include "proto/sign.h"

enum { LINE_LEN_MAX = 2048, FIELD_COUNT_MAX = 16, RANDOM_ROUNDS = 20000 };

static const char vectors_path[] = "proto/vectors/record.txt";

/* ---- vectors ------------------------------------------------------------------ */

struct vectors {
    FILE *file;
    char line[LINE_LEN_MAX];
    char *fields[FIELD_COUNT_MAX];
    size_t field_count;
    unsigned line_number;
    uint8_t key[KENG_KEY_LEN], secret[KENG_SIG_LEN], network_id[KENG_NETWORK_ID_LEN];
};

static size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
    size_t len = 0;
    if (strcmp(hex, "-") == 0)
        return 0;
    assert_int_equal(sodium_hex2bin(out, cap, hex, strlen(hex), NULL, &len, NULL), 0);
    return len;
}

/* Next line that is no comment, cut at its blanks and bars. */
static bool next_vector(struct vectors *v)
{
    while (fgets(v->line, sizeof v->line, v->file)) {
        char *save = NULL;
        v->line_number++;
        if (v->line[0] == '#')
            continue;
        v->field_count = 0;
        for (char *f = strtok_r(v->line, " |\n", &save); f && v->field_count < FIELD_COUNT_MAX;
             f = strtok_r(NULL, " |\n", &save))
            v->fields[v->field_count++] = f;
        return true;
    }
    return false;
}

static void open_vectors(struct vectors *v)
{
    uint8_t seed[crypto_sign_SEEDBYTES], given[KENG_KEY_LEN], root[KENG_KEY_LEN];
    uint8_t id[KENG_NETWORK_ID_LEN];
    *v = (struct vectors){ .file = fopen(vectors_path, "r") };
    if (!v->file)
        fail_msg("cannot open %s: run from the top of the tree", vectors_path);
    assert_true(next_vector(v));
    assert_string_equal(v->fields[0], "key");
    unhex(v->fields[1], seed, sizeof seed);
    unhex(v->fields[2], given, sizeof given);
    unhex(v->fields[3], root, sizeof root);
    unhex(v->fields[4], v->network_id, sizeof v->network_id);
    crypto_sign_seed_keypair(v->key, v->secret, seed);
    assert_memory_equal(v->key, given, sizeof given);
    network_id_of_root(root, id);
    assert_memory_equal(v->network_id, id, sizeof id);
}

static unsigned long number(const struct vectors *v, size_t field)
{
    return strtoul(v->fields[field], NULL, 10);
}

static struct record_draft draft_of(const struct vectors *v)
{
    return (struct record_draft){
        .ref = { .author = (uint16_t)number(v, 1), .lane = (uint8_t)number(v, 2),
                 .seq = (uint32_t)number(v, 3) },
        .kind = (uint8_t)number(v, 4), .priority = (uint8_t)number(v, 5),
        .clock_set = number(v, 6), .created_min = (uint32_t)number(v, 7),
    };
}

static void check_fields(const struct record_view *view, const struct record_draft *want)
{
    assert_int_equal(view->ref.author, want->ref.author);
    assert_int_equal(view->ref.lane, want->ref.lane);
    assert_int_equal(view->ref.seq, want->ref.seq);
    assert_int_equal(view->kind, want->kind);
    assert_int_equal(view->priority, want->priority);
    assert_int_equal(view->clock_set, want->clock_set);
    assert_int_equal(view->created_min, want->created_min);
}

static void test_record_vectors_hold_both_ways(void **state)
{
    struct vectors v;
    unsigned count = 0;
    (void)state;
    open_vectors(&v);
    while (next_vector(&v)) {
        uint8_t body[RECORD_LEN_MAX], want[RECORD_LEN_MAX], made[RECORD_LEN_MAX];
        struct record_view view;
        if (strcmp(v.fields[0], "record") != 0)
            continue;
        struct record_draft draft = draft_of(&v);
        draft.body = body;
        draft.body_len = unhex(v.fields[8], body, sizeof body);
        size_t want_len = unhex(v.fields[9], want, sizeof want);
        assert_int_equal(record_decode(want, want_len, &view), RECORD_OK);
        check_fields(&view, &draft);
        assert_int_equal(view.body_len, draft.body_len);
        assert_memory_equal(view.body, body, draft.body_len);
        assert_false(view.encrypted);
        assert_true(record_verify(&view, v.network_id, v.key));

        int len = record_encode(&draft, made, sizeof made);
        assert_in_range(len, RECORD_HEADER_LEN_MIN, RECORD_LEN_MAX - KENG_SIG_LEN);
        assert_int_equal(record_sign(made, (size_t)len, v.network_id, v.secret), want_len);
        assert_memory_equal(made, want, want_len);
        count++;
    }
    fclose(v.file);
    assert_in_range(count, 9, 1000);
}

static void test_record_sealed_vectors_decode_and_verify(void **state)
{
    struct vectors v;
    unsigned count = 0;
    (void)state;
    open_vectors(&v);
    while (next_vector(&v)) {
        uint8_t ext[8], body[RECORD_LEN_MAX], sealed[RECORD_LEN_MAX], bytes[RECORD_LEN_MAX];
        struct record_view view;
        if (strcmp(v.fields[0], "sealed") != 0)
            continue;
        struct record_draft draft = draft_of(&v);
        unhex(v.fields[8], ext, sizeof ext);
        size_t body_len = unhex(v.fields[9], body, sizeof body);
        size_t sealed_len = unhex(v.fields[10], sealed, sizeof sealed);
        size_t len = unhex(v.fields[11], bytes, sizeof bytes);
        assert_int_equal(record_decode(bytes, len, &view), RECORD_OK);
        check_fields(&view, &draft);
        assert_int_equal(view.encrypted, (ext[0] & 0x10) != 0);
        assert_int_equal(view.epoch, ext[0] & 0x0f);
        assert_int_equal(view.body_len, body_len);
        assert_memory_equal(view.body, body, body_len);
        assert_int_equal(view.sealed_len, sealed_len);
        assert_memory_equal(view.sealed, sealed, sealed_len);
        assert_true(record_verify(&view, v.network_id, v.key));
        count++;
    }
    fclose(v.file);
    assert_int_equal(count, 3);
}

static void test_record_bad_forms_are_refused(void **state)
{
    struct vectors v;
    unsigned count = 0;
    (void)state;
    open_vectors(&v);
    while (next_vector(&v)) {
        uint8_t bytes[2 * RECORD_LEN_MAX];
        struct record_view view;
        if (strcmp(v.fields[0], "bad") != 0)
            continue;
        size_t len = unhex(v.fields[1], bytes, sizeof bytes);
        if (record_decode(bytes, len, &view) != RECORD_EFORM)
            fail_msg("%s:%u was read as a record", vectors_path, v.line_number);
        count++;
    }
    fclose(v.file);
    assert_in_range(count, 16, 1000);
}

/* ---- encoding ------------------------------------------------------------------- */

static void test_record_encode_refuses_what_decode_would(void **state)
{
    static const uint8_t body[RECORD_BODY_LEN_MAX + 1];
    static const struct record_draft good = { .ref = { .author = 1, .seq = 1 },
                                              .kind = RECORD_SAFE, .body = body };
    struct record_draft d[12];
    uint8_t buf[RECORD_LEN_MAX];
    (void)state;
    for (size_t i = 0; i < 12; i++)
        d[i] = good;
    d[0].kind = 0;
    d[1].kind = RECORD_KIND_MAX + 1;
    d[2].priority = PRIORITY_COUNT;
    d[3].ref.seq = 0;
    d[4].ref.seq = RECORD_SEQ_MAX + 1;
    d[5].ref.author = AUTHOR_NONE;
    d[6].ref.lane = 1;
    d[7].kind = RECORD_ACK_FIRST; /* whose lane is not 0 */
    d[8].created_min = CREATED_MINUTES_MAX + 1;
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(record_encode(&d[i], buf, sizeof buf), RECORD_EFORM);
    d[9].body_len = RECORD_BODY_LEN_MAX + 1;
    assert_int_equal(record_encode(&d[9], buf, sizeof buf), RECORD_ETOOBIG);
    d[10].body_len = 1;
    assert_int_equal(record_encode(&d[10], buf, RECORD_LEN_MIN), RECORD_ETOOBIG);
    d[11].ref.seq = RECORD_SEQ_MAX;
    d[11].body_len = RECORD_BODY_LEN_MAX;
    assert_int_equal(record_encode(&d[11], buf, sizeof buf), RECORD_LEN_MAX - KENG_SIG_LEN);
}

static void test_record_any_bytes_decode_safely(void **state)
{
    uint32_t random = 20260301;
    unsigned good = 0;
    (void)state;
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        random = random * 1664525u + 1013904223u;
        size_t len = (random >> 8) % (RECORD_LEN_MAX + 20);
        uint8_t *buf = malloc(len + 1); /* exact, so that a sanitiser sees the first byte too far */
        assert_non_null(buf);
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525u + 1013904223u;
            buf[i] = (uint8_t)(random >> 24);
        }
        struct record_view v;
        uint8_t *exact = realloc(buf, len ? len : 1);
        assert_non_null(exact);
        if (record_decode(exact, len, &v) == RECORD_OK) {
            good++;
            assert_int_equal(v.header_len + v.body_len + v.sealed_len + KENG_SIG_LEN, len);
            assert_in_range(v.ref.seq, 1, RECORD_SEQ_MAX);
            assert_in_range(v.ref.lane, 0, LANE_COUNT - 1);
        }
        free(exact);
    }
    assert_in_range(good, RANDOM_ROUNDS / 100, RANDOM_ROUNDS);
}

static void test_record_names_go_both_ways(void **state)
{
    unsigned named = 0;
    (void)state;
    for (uint8_t kind = 0; kind <= RECORD_KIND_MAX; kind++) {
        const char *name = record_kind_name(kind);
        if (!name)
            continue;
        named++;
        assert_int_equal(record_kind_find(name), record_is_ack(kind) ? RECORD_ACK_FIRST : kind);
        assert_in_range(record_kind_priority(kind), 0, PRIORITY_COUNT - 1);
    }
    assert_int_equal(named, 7 + 7 + 4);
    for (uint8_t p = 0; p < PRIORITY_COUNT; p++)
        assert_int_equal(record_priority_find(record_priority_name(p)), p);
    assert_null(record_priority_name(PRIORITY_COUNT));
    assert_int_equal(record_priority_find("urgent"), -1);
    assert_int_equal(record_kind_find("flood"), 0);
    assert_int_equal(record_kind_priority(RECORD_RESCUE), PRIORITY_RESCUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_vectors_hold_both_ways),
        cmocka_unit_test(test_record_sealed_vectors_decode_and_verify),
        cmocka_unit_test(test_record_bad_forms_are_refused),
        cmocka_unit_test(test_record_encode_refuses_what_decode_would),
        cmocka_unit_test(test_record_any_bytes_decode_safely),
        cmocka_unit_test(test_record_names_go_both_ways),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
