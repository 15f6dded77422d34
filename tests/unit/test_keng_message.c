#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/keng_cli.h"
#include "proto/report.h"

/* A record in hex with a signature of zeros: form is all that is looked at here. */
static const char *record_hex_of(uint8_t kind, const uint8_t *body, size_t body_len,
                                 bool clock_set, uint32_t created_min)
{
    static char hex[2 * RECORD_LEN_MAX + 1];
    uint8_t bytes[RECORD_LEN_MAX] = { 0 };
    struct record_draft draft = { .ref = { .author = 12, .seq = 3, .lane = record_lane(kind) },
                                  .kind = kind, .priority = PRIORITY_DAMAGE,
                                  .clock_set = clock_set, .created_min = created_min,
                                  .body = body, .body_len = body_len };
    int len = record_encode(&draft, bytes, sizeof bytes);
    assert_true(len > 0);
    sodium_bin2hex(hex, sizeof hex, bytes, (size_t)len + KENG_SIG_LEN);
    return hex;
}

static const char *record_hex(uint8_t kind, const uint8_t *body, size_t body_len)
{
    return record_hex_of(kind, body, body_len, false, 5);
}

static struct keng a_keng(void)
{
    struct keng k = { .lang = KENG_EN, .client = { .fd = -1 } };
    k.roster = json_pack("{s:[{s:i,s:s,s:i,s:s}],s:[i]}", "authors", "number", 12, "name",
                         "Lò Văn Pánh", "village", 7, "role", "member", "local", 12);
    return k;
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s == NULL ? "(absent)" : s;
}

static void test_keng_message_shows_a_report_without_any_list(void **state)
{
    (void)state;
    struct keng k = a_keng();
    json_t *m = json_object();
    struct report r = { .figure_count = 1, .figures = { { 4711, 25 } }, .drill = true,
                        .lat_e5 = -5, .lon_e5 = 7, .text_len = 3, .text = "abc" };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = report_encode(&r, body, sizeof body);

    assert_true(len > 0);
    keng_message_decode(&k, record_hex(RECORD_DAMAGE, body, (size_t)len), m);
    assert_true(json_is_true(json_object_get(m, "readable")));
    assert_string_equal(string_of(m, "author_name"), "Lò Văn Pánh");
    assert_int_equal(json_integer_value(json_object_get(m, "village")), 7); /* the author's own */
    assert_string_equal(string_of(m, "village_name"), "village 7");
    assert_string_equal(string_of(m, "text"), "abc");
    assert_true(json_is_true(json_object_get(m, "drill")));
    assert_true(json_is_false(json_object_get(m, "clock_set")));
    assert_int_equal(json_integer_value(json_object_get(m, "lat_e5")), -5);
    const json_t *figure = json_array_get(json_object_get(m, "figures"), 0);
    assert_string_equal(string_of(figure, "name"), "indicator 4711 (not in the catalogue)");
    assert_int_equal(json_integer_value(json_object_get(figure, "value")), 25);
    json_decref(m);
    keng_free(&k);
}

/* As it was called when it was written; a clock that was never set says nothing of that. */
static void test_keng_message_uses_the_names_of_then(void **state)
{
    enum { MIN_PER_DAY = 1440, DAY_30 = 30 * MIN_PER_DAY - 7 * 60 }; /* 31 January in Vietnam */
    static const char ROWS[] = "number,name,lat,lon,households,people,until\n"
                               "7,Bản Mới,,,0,0,\n7,Bản Cũ,,,0,0,2026-01-30\n";
    static const struct { bool clock_set; uint32_t created_min; const char *name; } CASES[] = {
        { true, DAY_30 - 1, "Bản Cũ" }, { true, DAY_30, "Bản Mới" }, { false, 5, "Bản Mới" },
    };
    char path[] = "/tmp/keng-villages-XXXXXX", err[CATALOGUE_ERR_LEN];
    struct report r = { .text_len = 3, .text = "abc" };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = report_encode(&r, body, sizeof body), fd = mkstemp(path);
    struct keng k = a_keng();
    (void)state;
    assert_true(len > 0 && fd >= 0);
    assert_int_equal(write(fd, ROWS, sizeof ROWS - 1), sizeof ROWS - 1);
    close(fd);
    assert_int_equal(villages_load(path, &k.villages, err, sizeof err), 0);
    unlink(path);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        json_t *m = json_object();
        keng_message_decode(&k, record_hex_of(RECORD_NOTE, body, (size_t)len, CASES[i].clock_set,
                                              CASES[i].created_min), m);
        assert_string_equal(string_of(m, "village_name"), CASES[i].name);
        json_decref(m);
    }
    keng_free(&k);
}

static void test_keng_message_of_garbled_bytes_is_unreadable(void **state)
{
    (void)state;
    static const uint8_t garbled[] = { 0xff, 0xff, 0xff };
    static const uint8_t kinds[] = { RECORD_DAMAGE, RECORD_NOTE, RECORD_REVIEW, RECORD_DIRECTIVE,
                                     RECORD_RECEIPT };
    static const char *const texts[] = { "", "zz", "0", "000c", "000c0301000005" };
    struct keng k = a_keng();

    for (size_t i = 0; i < sizeof texts / sizeof texts[0] + sizeof kinds; i++) {
        json_t *m = json_object();
        const char *hex = i < sizeof kinds ? record_hex(kinds[i], garbled, sizeof garbled)
                          : texts[i - sizeof kinds];
        keng_message_decode(&k, hex, m);
        if (!json_is_false(json_object_get(m, "readable")) || json_object_get(m, "text") != NULL)
            fail_msg("row %zu is taken for readable", i);
        json_decref(m);
    }
    keng_free(&k);
}

static void test_keng_message_takes_any_truncation_and_flip(void **state)
{
    (void)state;
    struct keng k = a_keng();
    struct review r = { .state = REVIEW_QUESTION, .ref_count = 2, .text_len = 2, .text = "ok",
                        .refs = { { .author = 12, .seq = 3 }, { .author = 13, .seq = 1 } } };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&r, body, sizeof body);
    char hex[2 * RECORD_LEN_MAX + 1];

    assert_true(len > 0);
    snprintf(hex, sizeof hex, "%s", record_hex(RECORD_REVIEW, body, (size_t)len));
    json_t *whole = json_object();
    keng_message_decode(&k, hex, whole);
    assert_string_equal(string_of(whole, "review"), "question");
    assert_int_equal(json_array_size(json_object_get(whole, "refs")), 2);
    json_decref(whole);
    for (size_t i = 0; i < strlen(hex); i++) {
        char kept = hex[i];
        for (int cut = 0; cut < 2; cut++) { /* one digit changed, then all behind it gone */
            json_t *m = json_object();
            hex[i] = cut ? '\0' : kept == '7' ? '8' : '7';
            keng_message_decode(&k, hex, m);
            assert_true(json_is_boolean(json_object_get(m, "readable")));
            if (cut && i / 2 < RECORD_LEN_MIN)
                assert_true(json_is_false(json_object_get(m, "readable")));
            json_decref(m);
        }
        hex[i] = kept;
    }
    keng_free(&k);
}

static void test_keng_message_knows_whom_a_directive_is_for(void **state)
{
    (void)state;
    static const struct {
        struct directive directive;
        bool want;
    } CASES[] = {
        { { .village = 0 }, true }, { { .village = 7 }, true }, { { .village = 8 }, false },
        { { .role = ROSTER_MEMBER }, true }, { { .role = ROSTER_GATEWAY }, false },
        { { .person = 12 }, true }, { { .person = 13 }, false },
    };
    struct keng k = a_keng();

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct directive d = CASES[i].directive;
        uint8_t body[RECORD_BODY_LEN_MAX];
        json_t *m = json_pack("{s:s}", "kind", "directive");
        d.text_len = strlen("sơ tán");
        snprintf(d.text, sizeof d.text, "sơ tán");
        int len = directive_encode(&d, body, sizeof body);
        assert_true(len > 0);
        keng_message_decode(&k, record_hex(RECORD_DIRECTIVE, body, (size_t)len), m);
        if (keng_is_for_inbox(&k, m) != CASES[i].want)
            fail_msg("row %zu", i);
        assert_string_equal(string_of(m, "text"), "sơ tán");
        json_decref(m);
    }
    keng_free(&k);
}

static json_t *correction_hex(uint32_t village, struct report_figure figure)
{
    struct review r = { .state = REVIEW_CORRECTED, .ref_count = 1, .village = village,
                        .refs = { { .author = 12, .seq = 3 } }, .figure_count = figure.code > 0,
                        .figures = { figure } };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&r, body, sizeof body);
    assert_true(len > 0);
    return json_string(record_hex(RECORD_REVIEW, body, (size_t)len));
}

/* Each says only what it changes; what the author said himself is none. */
static void test_keng_message_shows_what_stands_of_all_corrections(void **state)
{
    (void)state;
    struct keng k = a_keng();
    json_t *m = json_pack("{s:s,s:i,s:[{s:i,s:i},{s:i,s:i},{s:i,s:i}],s:[o,o,o,s]}", "kind",
                          "damage", "village", 7, "figures", "number", 4711, "value", 300,
                          "number", 4712, "value", 2, "number", 4713, "value", 9,
                          "corrections_hex", correction_hex(8, (struct report_figure){ 4711, 30 }),
                          correction_hex(0, (struct report_figure){ 4712, 2 }),
                          correction_hex(0, (struct report_figure){ 4713, REVIEW_UNKNOWN }), "zz");
    keng_message_decode_answer(&k, m);
    const json_t *list = json_object_get(m, "corrections");
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "value")), 30);
    assert_string_equal(string_of(json_array_get(list, 1), "shown"), "not known");
    assert_string_equal(string_of(m, "corrected_village"), "village 8");
    assert_null(json_object_get(m, "corrections_hex"));
    json_decref(m);
    keng_free(&k);
}

static void test_keng_message_shows_what_the_report_is_joined_to(void **state)
{
    (void)state;
    struct keng k = a_keng();
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct review r = { .state = REVIEW_JOINED, .ref_count = 1,
                        .refs = { { .author = 12, .seq = 3 } },
                        .same_as = { .author = 13, .seq = 9 } };
    int len = review_encode(&r, body, sizeof body);
    json_t *m = json_pack("{s:s,s:s}", "kind", "damage", "review_hex",
                          record_hex(RECORD_REVIEW, body, (size_t)len));
    keng_message_decode_answer(&k, m);
    assert_string_equal(string_of(m, "same_as"), "13-9");
    assert_null(json_object_get(m, "corrections"));
    json_decref(m);

    m = json_pack("{s:s,s:s}", "kind", "damage", "review_hex", "00zz"); /* nothing to read there */
    keng_message_decode_answer(&k, m);
    assert_int_equal(json_object_size(m), 1);
    json_decref(m);
    keng_free(&k);
}

static void test_keng_author_names_fall_back_to_numbers(void **state)
{
    (void)state;
    struct keng k = a_keng();
    char name[64];

    keng_author_name(&k, 12, name, sizeof name);
    assert_string_equal(name, "Lò Văn Pánh");
    keng_author_name(&k, 13, name, sizeof name);
    assert_string_equal(name, "number 13");
    keng_author_name(&k, AUTHOR_ROOT, name, sizeof name);
    assert_string_equal(name, "commune (root)");
    keng_village_name(&k, 0, CATALOGUE_LATEST, name, sizeof name);
    assert_string_equal(name, "");
    keng_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keng_message_shows_a_report_without_any_list),
        cmocka_unit_test(test_keng_message_uses_the_names_of_then),
        cmocka_unit_test(test_keng_message_of_garbled_bytes_is_unreadable),
        cmocka_unit_test(test_keng_message_takes_any_truncation_and_flip),
        cmocka_unit_test(test_keng_message_knows_whom_a_directive_is_for),
        cmocka_unit_test(test_keng_message_shows_what_stands_of_all_corrections),
        cmocka_unit_test(test_keng_message_shows_what_the_report_is_joined_to),
        cmocka_unit_test(test_keng_author_names_fall_back_to_numbers),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
