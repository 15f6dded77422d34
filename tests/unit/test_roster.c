#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/roster.h"
#include "proto/sign.h"

struct keypair { uint8_t public_key[KENG_KEY_LEN], secret_key[KENG_SIG_LEN]; };

enum { MEMBER = 12, NODE = 300, GATEWAY = 1, OPERATOR = 4, KEY_COUNT = 16, ROOT_KEY = 15,
       STRANGER_KEY = 14 };

static struct keypair keys[KEY_COUNT];
static uint8_t network_id[KENG_NETWORK_ID_LEN];

struct signed_record { uint8_t bytes[RECORD_LEN_MAX]; size_t len; };

static struct signed_record make_record(uint16_t author, uint32_t seq, uint8_t kind,
                                        const uint8_t *body, size_t body_len, unsigned key)
{
    struct signed_record s;
    struct record_draft draft = {
        .ref = { .author = author, .seq = seq, .lane = record_lane(kind) }, .kind = kind,
        .created_min = 1000, .body = body, .body_len = body_len,
    };
    int len = record_encode(&draft, s.bytes, sizeof s.bytes);
    assert_true(len > 0);
    s.len = record_sign(s.bytes, (size_t)len, network_id, keys[key].secret_key);
    return s;
}

/* One line of the root's log. */
struct line { uint32_t seq; uint16_t number; unsigned key; enum roster_role role;
              uint32_t revoked_after; const char *name; };

static struct signed_record make_entry(const struct line *line)
{
    struct roster_entry entry = { .number = line->number, .role = line->role, .village = 3,
                                  .revoked_after = line->revoked_after };
    uint8_t body[RECORD_BODY_LEN_MAX];

    memcpy(entry.key, keys[line->key].public_key, KENG_KEY_LEN);
    snprintf(entry.name, sizeof entry.name, "%s", line->name);
    int len = roster_entry_encode(&entry, body, sizeof body);
    assert_true(len > 0);
    return make_record(AUTHOR_ROOT, line->seq, RECORD_ROSTER, body, (size_t)len, ROOT_KEY);
}

static int apply(struct roster *r, const struct signed_record *s)
{
    struct record_view view;
    int verdict = roster_verify(r, s->bytes, s->len, &view);
    return verdict != ROSTER_VALID ? verdict : roster_apply(r, &view);
}

static const struct line commune[] = {
    { 2, GATEWAY, 1, ROSTER_GATEWAY, 0, "Trạm xã" },
    { 3, MEMBER, 2, ROSTER_MEMBER, 0, "Lò Văn Pánh" },
    { 4, NODE, 3, ROSTER_NODE, 0, "Nút Bản Mới" },
    { 5, OPERATOR, 4, ROSTER_OPERATOR, 0, "Văn phòng" },
};

static void make_roster(struct roster *r)
{
    roster_init(r, keys[ROOT_KEY].public_key);
    for (size_t i = 0; i < sizeof commune / sizeof commune[0]; i++) {
        struct signed_record s = make_entry(&commune[i]);
        assert_int_equal(apply(r, &s), ROSTER_VALID);
    }
}

static void test_roster_lists_enrolled_authors_by_number(void **state)
{
    (void)state;
    struct roster r;
    make_roster(&r);

    assert_int_equal(r.author_count, 4);
    for (size_t i = 1; i < r.author_count; i++)
        assert_true(r.authors[i - 1].entry.number < r.authors[i].entry.number);
    assert_string_equal(roster_find(&r, MEMBER)->entry.name, "Lò Văn Pánh");
    assert_int_equal(roster_find(&r, MEMBER)->entry_seq, 3);
    assert_memory_equal(roster_key(&r, NODE), keys[3].public_key, KENG_KEY_LEN);
    assert_memory_equal(roster_key(&r, AUTHOR_ROOT), keys[ROOT_KEY].public_key, KENG_KEY_LEN);
    assert_null(roster_find(&r, 13));
    assert_null(roster_key(&r, 13));
    assert_null(roster_find(&r, AUTHOR_ROOT));
    assert_null(roster_find(&r, AUTHOR_NONE));
    roster_free(&r);
}

static void test_roster_judges_who_may_write_what(void **state)
{
    (void)state;
    static const struct { uint16_t author; unsigned key; uint8_t kind; int want; } cases[] = {
        { MEMBER, 2, RECORD_DAMAGE, ROSTER_VALID },
        { MEMBER, 2, RECORD_NOTE, ROSTER_VALID },
        { MEMBER, 2, RECORD_REVIEW, ROSTER_EROLE },
        { MEMBER, 2, RECORD_DIRECTIVE, ROSTER_EROLE },
        { MEMBER, 2, RECORD_SIGNOFF, ROSTER_EROLE },
        { GATEWAY, 1, RECORD_SIGNOFF, ROSTER_VALID },
        { OPERATOR, 4, RECORD_SIGNOFF, ROSTER_VALID },
        { MEMBER, 2, RECORD_ACK_FIRST, ROSTER_EROLE },
        { MEMBER, 2, RECORD_ROSTER, ROSTER_EROLE },
        { MEMBER, 2, RECORD_PROFILE, ROSTER_EROLE },
        { MEMBER, 2, 9, ROSTER_VALID },  /* a kind of a later version */
        { MEMBER, 2, 31, ROSTER_VALID },
        { MEMBER, 1, RECORD_DAMAGE, ROSTER_ESIG }, /* signed by another member of the commune */
        { MEMBER, STRANGER_KEY, RECORD_DAMAGE, ROSTER_ESIG },
        { MEMBER, ROOT_KEY, RECORD_DAMAGE, ROSTER_ESIG },
        { 13, 2, RECORD_DAMAGE, ROSTER_EUNKNOWN },
        { 13, STRANGER_KEY, RECORD_DAMAGE, ROSTER_EUNKNOWN },
        { NODE, 3, RECORD_SAFE, ROSTER_VALID },
        { NODE, 3, RECORD_ACK_FIRST, ROSTER_EROLE },
        { GATEWAY, 1, RECORD_ACK_FIRST, ROSTER_VALID },
        { GATEWAY, 1, RECORD_ACK_LAST, ROSTER_VALID },
        { GATEWAY, 1, RECORD_REVIEW, ROSTER_VALID },
        { GATEWAY, 1, RECORD_DIRECTIVE, ROSTER_VALID },
        { GATEWAY, 1, RECORD_ROSTER, ROSTER_EROLE },
        { OPERATOR, 4, RECORD_REVIEW, ROSTER_VALID },
        { OPERATOR, 4, RECORD_ACK_FIRST, ROSTER_EROLE },
        { AUTHOR_ROOT, ROOT_KEY, RECORD_ROSTER, ROSTER_VALID },
        { AUTHOR_ROOT, ROOT_KEY, RECORD_PROFILE, ROSTER_VALID },
        { AUTHOR_ROOT, ROOT_KEY, RECORD_DIRECTIVE, ROSTER_VALID },
        { AUTHOR_ROOT, ROOT_KEY, RECORD_DAMAGE, ROSTER_EROLE },
        { AUTHOR_ROOT, ROOT_KEY, RECORD_ACK_FIRST, ROSTER_EROLE },
        { AUTHOR_ROOT, STRANGER_KEY, RECORD_ROSTER, ROSTER_ESIG },
        { AUTHOR_ROOT, 1, RECORD_PROFILE, ROSTER_ESIG },
    };
    static const uint8_t body[] = { 8, 1 };
    struct roster r;
    struct record_view view;
    make_roster(&r);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct signed_record s = make_record(cases[i].author, 7, cases[i].kind, body, sizeof body,
                                             cases[i].key);
        int got = roster_verify(&r, s.bytes, s.len, &view);
        if (got != cases[i].want || view.ref.author != cases[i].author)
            fail_msg("row %zu: %s", i, roster_strerror(got));
    }
    roster_free(&r);
}

static void test_roster_notices_every_changed_byte(void **state)
{
    (void)state;
    static const uint8_t body[] = { 8, 1, 42, 5, 0, 'a', 'b', 'c', 'd' };
    struct roster r;
    struct record_view view;
    make_roster(&r);
    struct signed_record s = make_record(MEMBER, 9, RECORD_NOTE, body, sizeof body, 2);

    assert_int_equal(roster_verify(&r, s.bytes, s.len, &view), ROSTER_VALID);
    for (size_t i = 0; i < s.len; i++) {
        s.bytes[i] ^= 1;
        assert_int_not_equal(roster_verify(&r, s.bytes, s.len, &view), ROSTER_VALID);
        s.bytes[i] ^= 1;
    }
    for (size_t len = 0; len < s.len; len++)
        assert_int_not_equal(roster_verify(&r, s.bytes, len, &view), ROSTER_VALID);
    roster_free(&r);
}

static void test_roster_of_another_root_knows_nobody(void **state)
{
    (void)state;
    struct roster r;
    struct signed_record s = make_entry(&commune[1]);

    roster_init(&r, keys[STRANGER_KEY].public_key);
    assert_int_equal(apply(&r, &s), ROSTER_ESIG);
    assert_int_equal(r.author_count, 0);
    roster_free(&r);
}

static void test_roster_revoked_author_keeps_what_was_good(void **state)
{
    (void)state;
    static const struct { uint32_t seq; uint8_t kind; int want; } cases[] = {
        { 1, RECORD_REVIEW, ROSTER_VALID },
        { 40, RECORD_REVIEW, ROSTER_VALID },
        { 41, RECORD_REVIEW, ROSTER_EREVOKED },
        { RECORD_SEQ_MAX, RECORD_REVIEW, ROSTER_EREVOKED },
        { 1, RECORD_ACK_FIRST, ROSTER_EREVOKED },
    };
    static const uint8_t body[] = { 8, 1 };
    static const struct line revocation = { 9, GATEWAY, 1, ROSTER_GATEWAY, 41, "Trạm xã" };
    struct roster r;
    struct record_view view;
    make_roster(&r);
    struct signed_record s = make_entry(&revocation);

    assert_int_equal(apply(&r, &s), ROSTER_VALID);
    assert_int_equal(r.author_count, 4);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s = make_record(GATEWAY, cases[i].seq, cases[i].kind, body, sizeof body, 1);
        assert_int_equal(roster_verify(&r, s.bytes, s.len, &view), cases[i].want);
    }
    roster_free(&r);
}

/* Every order of the same log gives the same table, mistakes of the root included. */
static void test_roster_does_not_depend_on_order(void **state)
{
    (void)state;
    static const struct line log[] = {
        { 2, 1, 1, ROSTER_GATEWAY, 0, "A" },
        { 3, 2, 2, ROSTER_MEMBER, 0, "B" },
        { 4, 2, 2, ROSTER_MEMBER, 5, "B revoked" },
        { 5, 2, 3, ROSTER_OPERATOR, 0, "number 2 again with another key" },
        { 6, 3, 1, ROSTER_GATEWAY, 0, "key 1 again with another number" },
        { 7, 1, 1, ROSTER_OPERATOR, 0, "A, other role" },
        { 8, 2, 2, ROSTER_MEMBER, 9, "B revoked later" },
    };
    enum { LOG_COUNT = sizeof log / sizeof log[0], ORDER_COUNT = 2 * 3 * 4 * 5 * 6 * 7 };
    struct signed_record records[LOG_COUNT];

    for (size_t i = 0; i < LOG_COUNT; i++)
        records[i] = make_entry(&log[i]);
    for (unsigned order = 0; order < ORDER_COUNT; order++) {
        struct roster r;
        unsigned left[LOG_COUNT], code = order;
        roster_init(&r, keys[ROOT_KEY].public_key);
        for (unsigned i = 0; i < LOG_COUNT; i++)
            left[i] = i;
        for (unsigned n = LOG_COUNT; n > 0; n--) {
            unsigned pick = code % n;
            code /= n;
            apply(&r, &records[left[pick]]);
            memmove(&left[pick], &left[pick + 1], (n - pick - 1) * sizeof left[0]);
        }
        assert_int_equal(r.author_count, 2);
        assert_string_equal(r.authors[0].entry.name, "A, other role");
        assert_memory_equal(r.authors[1].entry.key, keys[2].public_key, KENG_KEY_LEN);
        assert_string_equal(r.authors[1].entry.name, "B revoked later");
        assert_int_equal(r.authors[1].entry.revoked_after, 9);
        roster_free(&r);
    }
}

static void test_roster_refuses_a_key_enrolled_twice(void **state)
{
    (void)state;
    static const struct { const char *what; struct line line; } cases[] = {
        { "a member's key for another number", { 9, 13, 2, ROSTER_GATEWAY, 0, "x" } },
        { "another key for a member's number", { 10, MEMBER, 9, ROSTER_MEMBER, 0, "x" } },
        { "the root's own key", { 11, 13, ROOT_KEY, ROSTER_MEMBER, 0, "x" } },
    };
    struct roster r;
    make_roster(&r);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct signed_record s = make_entry(&cases[i].line);
        if (apply(&r, &s) != ROSTER_EBODY)
            fail_msg("%s: accepted", cases[i].what);
        assert_int_equal(r.author_count, 4);
        assert_memory_equal(roster_key(&r, MEMBER), keys[2].public_key, KENG_KEY_LEN);
    }
    roster_free(&r);
}

static void test_roster_garbled_body_changes_nothing(void **state)
{
    (void)state;
    static const uint8_t body[] = { 8, 13, 18, 3, 1, 2, 3 };
    static const uint8_t kinds[] = { RECORD_ROSTER, RECORD_PROFILE };
    struct roster r;
    make_roster(&r);

    for (size_t i = 0; i < sizeof kinds; i++) {
        struct signed_record s = make_record(AUTHOR_ROOT, 9, kinds[i], body, sizeof body, ROOT_KEY);
        assert_int_equal(apply(&r, &s), ROSTER_EBODY);
    }
    assert_int_equal(r.author_count, 4);
    assert_int_equal(r.profile_seq, 0);
    roster_free(&r);
}

static void test_roster_newest_profile_counts(void **state)
{
    (void)state;
    static const struct { uint32_t seq; const char *name, *want; } cases[] = {
        { 6, "Xã Một", "Xã Một" }, { 9, "Xã Hai", "Xã Hai" }, { 8, "Xã Ba", "Xã Hai" },
    };
    struct roster r;
    make_roster(&r);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct profile p = {
            .code = "01879", .region = "VN-920", .eirp_dbm = 14, .duty_node_e4 = 100,
            .duty_gateway_e4 = 1000, .duty_window_s = 3600,
            .lora = { .freq_hz = 921500000, .bw_hz = 125000, .preamble_symbols = 16, .sf = 9,
                      .cr = 5 },
        };
        uint8_t body[RECORD_BODY_LEN_MAX];
        snprintf(p.name, sizeof p.name, "%s", cases[i].name);
        int len = profile_encode(&p, body, sizeof body);
        assert_true(len > 0);
        struct signed_record s = make_record(AUTHOR_ROOT, cases[i].seq, RECORD_PROFILE, body,
                                             (size_t)len, ROOT_KEY);
        assert_int_equal(apply(&r, &s), ROSTER_VALID);
        assert_string_equal(r.profile.name, cases[i].want);
    }
    assert_int_equal(r.profile_seq, 9);
    roster_free(&r);
}

static void test_roster_takes_many_authors(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct roster r;
    roster_init(&r, keys[ROOT_KEY].public_key);

    for (uint16_t i = 0; i < COUNT; i++) {
        struct roster_entry entry = { .number = (uint16_t)(1 + (i * 77) % COUNT * 3), .name = "x",
                                      .role = ROSTER_MEMBER };
        uint8_t body[RECORD_BODY_LEN_MAX];
        randombytes_buf(entry.key, sizeof entry.key);
        int len = roster_entry_encode(&entry, body, sizeof body);
        struct signed_record s = make_record(AUTHOR_ROOT, i + 1u, RECORD_ROSTER, body, (size_t)len,
                                             ROOT_KEY);
        assert_int_equal(apply(&r, &s), ROSTER_VALID);
    }
    assert_int_equal(r.author_count, COUNT);
    for (uint16_t i = 0; i < COUNT; i++)
        assert_int_equal(r.authors[i].entry.number, 1 + 3 * i);
    roster_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roster_lists_enrolled_authors_by_number),
        cmocka_unit_test(test_roster_judges_who_may_write_what),
        cmocka_unit_test(test_roster_notices_every_changed_byte),
        cmocka_unit_test(test_roster_of_another_root_knows_nobody),
        cmocka_unit_test(test_roster_revoked_author_keeps_what_was_good),
        cmocka_unit_test(test_roster_does_not_depend_on_order),
        cmocka_unit_test(test_roster_refuses_a_key_enrolled_twice),
        cmocka_unit_test(test_roster_garbled_body_changes_nothing),
        cmocka_unit_test(test_roster_newest_profile_counts),
        cmocka_unit_test(test_roster_takes_many_authors),
    };

    if (sodium_init() < 0)
        return 1;
    for (uint8_t i = 0; i < KEY_COUNT; i++) {
        uint8_t seed[32] = { i, 1 };
        crypto_sign_seed_keypair(keys[i].public_key, keys[i].secret_key, seed);
    }
    network_id_of_root(keys[ROOT_KEY].public_key, network_id);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
