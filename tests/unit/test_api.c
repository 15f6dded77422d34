/* Requests against a real node, without the socket: what is answered, and that nothing crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/api.h"
#include "node/client.h"
#include "tests/support/commune.h"

enum { FUZZ_COUNT = 20000, LINE_LEN_MAX = 16384, CLIENT = 1 };

struct bench {
    struct commune commune;
    struct node node;
    struct radio radio;
    struct api api;
    uint64_t now_ms;
    json_t *answer; /* to a submit */
    uint64_t random;
};

static struct bench bench;

static void on_answer(void *listener, uint64_t client, json_t *answer)
{
    struct bench *b = listener;
    assert_int_equal(client, CLIENT);
    json_decref(b->answer);
    b->answer = answer;
}

static void on_state(void *listener, json_t *state)
{
    assert_non_null(listener);
    assert_non_null(json_object_get(state, "state"));
    json_decref(state);
}

static int setup(void **state)
{
    struct bench *b = &bench;
    char text[NODE_TEXT_LEN];
    *b = (struct bench){ .now_ms = 1000000, .random = 1 };
    b->node = (struct node){ .numbers = { .fd = -1 }, .listener = b, .on_answer = on_answer,
                             .on_state = on_state };
    commune_make(&b->commune, false);
    if (node_open(&b->node, b->commune.dir, 1, b->now_ms, text) < 0)
        fail_msg("%s", text);
    struct radio_config radio = {
        .path = "", .driver = "meshcore-kiss", .wires = "",
        .settings = modem_settings_default(&b->node.roster.profile.lora, 14),
    };
    assert_int_equal(radio_init(&b->radio, &radio, b->now_ms), 0);
    b->api = (struct api){ .node = &b->node, .radios = &b->radio };
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    json_decref(b->answer);
    node_close(&b->node);
    commune_remove(&b->commune);
    return 0;
}

/* The answer, borrowed until the next question. */
static const json_t *ask_len(struct bench *b, const char *line, size_t len)
{
    json_t *answer = NULL;
    int64_t after = -1;
    enum api_outcome outcome = api_handle(&b->api, ++b->now_ms, CLIENT, line, len, &answer, &after);
    json_decref(b->answer);
    b->answer = answer;
    if (outcome == API_WAITS) {
        assert_null(answer);
        node_drain(&b->node, b->now_ms);
    }
    assert_non_null(b->answer); /* whatever was asked */
    assert_true(json_is_boolean(json_object_get(b->answer, "ok")));
    if (json_is_false(json_object_get(b->answer, "ok"))) {
        assert_true(json_is_string(json_object_get(b->answer, "code")));
        assert_true(json_string_length(json_object_get(b->answer, "error")) > 0);
    }
    assert_int_equal(outcome == API_FOLLOW, after >= 0 && outcome != API_ANSWERED);
    return b->answer;
}

static const json_t *ask(struct bench *b, const char *line)
{
    return ask_len(b, line, strlen(line));
}

static const char *code_of(const json_t *answer)
{
    const char *code = json_string_value(json_object_get(answer, "code"));
    return code ? code : "ok";
}

static void submit_line(char *line, size_t cap, const char *kind, const uint8_t *body, size_t len,
                        const char *more)
{
    char hex[2 * RECORD_BODY_LEN_MAX + 1];
    sodium_bin2hex(hex, sizeof hex, body, len);
    int n = snprintf(line, cap, "{\"do\":\"submit\",\"kind\":\"%s\",\"body\":\"%s\"%s}", kind, hex,
                     more);
    assert_in_range(n, 1, cap - 1);
}

/* ---- submit ------------------------------------------------------------------------------- */

static void test_api_submit_needs_the_right_author_for_the_kind(void **state)
{
    struct bench *b = *state;
    static const struct { const char *kind, *more, *want; } cases[] = {
        { "damage", "", "ok" },
        { "damage", ",\"author\":1", "ok" },
        { "damage", ",\"author\":11,\"priority\":\"rescue\"", "ok" },
        { "damage", ",\"author\":4", "unknown-author" }, /* enrolled, but its key is elsewhere */
        { "damage", ",\"author\":999", "unknown-author" },
        { "damage", ",\"author\":0", "bad-request" },
        { "damage", ",\"author\":65535", "bad-request" },
        { "damage", ",\"author\":\"11\"", "bad-request" },
        { "damage", ",\"author\":11.0", "bad-request" },
        { "damage", ",\"author\":null", "bad-request" },
        { "damage", ",\"priority\":5", "bad-request" },
        { "damage", ",\"once\":\"0123456789012345678901234567890123\"", "bad-request" },
        { "profile", "", "bad-request" },
        { "roster", "", "bad-request" },
        { "ack", "", "bad-request" },
        { "review", "", "bad-body" },
        { "directive", "", "bad-body" },
        { "receipt", "", "bad-body" },
        { "Damage", "", "bad-request" },
        { "", "", "bad-request" },
    };
    uint8_t body[RECORD_BODY_LEN_MAX];
    char line[1024];
    size_t len = commune_damage(7, body);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        submit_line(line, sizeof line, cases[i].kind, body, len, cases[i].more);
        const char *code = code_of(ask(b, line));
        if (strcmp(code, cases[i].want) != 0)
            fail_msg("%s: %s, wanted %s", line, code, cases[i].want);
    }
}

static void test_api_submit_answers_what_the_records_hold(void **state)
{
    struct bench *b = *state;
    uint8_t body[RECORD_BODY_LEN_MAX];
    char line[1024];
    submit_line(line, sizeof line, "damage", body, commune_damage(12, body), "");
    const json_t *answer = ask(b, line);
    assert_string_equal(code_of(answer), "ok");
    json_int_t author = json_integer_value(json_object_get(answer, "author"));
    json_int_t seq = json_integer_value(json_object_get(answer, "seq"));
    json_int_t len = json_integer_value(json_object_get(answer, "len"));
    json_int_t frame_len = json_integer_value(json_object_get(answer, "frame_len"));
    assert_int_equal(author, COMMUNE_MEMBER); /* the only local member */
    assert_int_equal(seq, 1);
    assert_int_equal(frame_len, len + FRAME_HEADER_LEN + 1);
    const json_t *mine = json_object_get(ask(b, "{\"do\":\"mine\"}"), "reports");
    assert_int_equal(json_array_size(mine), 1);
    const json_t *report = json_array_get(mine, 0);
    assert_int_equal(json_string_length(json_object_get(report, "hex")), 2 * len);
    assert_string_equal(json_string_value(json_object_get(report, "state")), "stored");
    assert_string_equal(json_string_value(json_object_get(report, "kind")), "damage");
    assert_int_equal(json_array_size(json_object_get(ask(b, "{\"do\":\"mine\",\"author\":1}"),
                                                     "reports")), 0);
}

static void test_api_too_long_body_is_refused_and_costs_no_number(void **state)
{
    struct bench *b = *state;
    uint8_t body[RECORD_BODY_LEN_MAX];
    char line[1024], hex[2 * RECORD_BODY_LEN_MAX + 3];
    memset(hex, 'a', sizeof hex - 1);
    hex[sizeof hex - 1] = '\0';
    snprintf(line, sizeof line, "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"%s\"}", hex);
    assert_string_equal(code_of(ask(b, line)), "too-long");
    submit_line(line, sizeof line, "damage", body, commune_damage(12, body), "");
    assert_int_equal(json_integer_value(json_object_get(ask(b, line), "seq")), 1);
}

/* ---- add ------------------------------------------------------------------------------------- */

static const char *add(struct bench *b, const uint8_t *record, size_t len)
{
    char line[1024], hex[2 * RECORD_LEN_MAX + 1];
    sodium_bin2hex(hex, sizeof hex, record, len);
    snprintf(line, sizeof line, "{\"do\":\"add\",\"records\":[\"%s\"]}", hex);
    const json_t *verdicts = json_object_get(ask(b, line), "verdicts");
    assert_int_equal(json_array_size(verdicts), 1);
    const char *word = json_string_value(json_array_get(verdicts, 0));
    assert_non_null(word);
    return word;
}

static void test_api_add_gives_each_record_its_verdict(void **state)
{
    struct bench *b = *state;
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX], bad[RECORD_LEN_MAX];
    size_t body_len = commune_damage(3, body);
    size_t len = commune_sign(&b->commune, COMMUNE_STRANGER, 1, RECORD_DAMAGE, body, body_len,
                              record);
    for (size_t i = 0; i < len; i++) {
        memcpy(bad, record, len);
        bad[i] ^= 1;
        const char *word = add(b, bad, len);
        if (strcmp(word, "new") == 0 || strcmp(word, "duplicate") == 0)
            fail_msg("a flip in byte %zu is %s", i, word);
        word = add(b, record, i);
        if (strcmp(word, "new") == 0)
            fail_msg("cut to %zu bytes is %s", i, word);
    }
    assert_string_equal(add(b, record, len), "new");
    assert_string_equal(add(b, record, len), "duplicate");
    size_t other_len = commune_sign(&b->commune, COMMUNE_STRANGER, 1, RECORD_DAMAGE, body,
                                    commune_damage(4, body), bad);
    assert_string_equal(add(b, bad, other_len), "fork");
    other_len = commune_sign(&b->commune, 999, 1, RECORD_DAMAGE, body, body_len, bad);
    assert_string_equal(add(b, bad, other_len), "unknown-author");
    assert_string_equal(code_of(ask(b, "{\"do\":\"add\",\"records\":[7,null,{},\"zz\",\"\"]}")),
                        "ok");
    size_t index;
    const json_t *word;
    json_array_foreach(json_object_get(b->answer, "verdicts"), index, word)
        assert_string_equal(json_string_value(word), "malformed");
    assert_int_equal(json_array_size(json_object_get(b->answer, "verdicts")), 5);
    ask(b, "{\"do\":\"status\"}");
    const json_t *verdicts = json_object_get(b->answer, "verdicts");
    assert_int_equal(json_integer_value(json_object_get(verdicts, "fork")), 1);
}

static void test_api_review_makes_a_report_read(void **state)
{
    struct bench *b = *state;
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    char line[1024];
    submit_line(line, sizeof line, "damage", body, commune_damage(12, body), "");
    assert_string_equal(code_of(ask(b, line)), "ok");
    struct record_ref ref = { .author = COMMUNE_MEMBER, .seq = 1 };
    size_t len = commune_review(&b->commune, 1, ref, REVIEW_QUESTION, "Mấy nhà?", record);
    assert_string_equal(add(b, record, len), "new");
    const json_t *report =
        json_array_get(json_object_get(ask(b, "{\"do\":\"mine\"}"), "reports"), 0);
    assert_string_equal(json_string_value(json_object_get(report, "state")), "read");
    assert_string_equal(json_string_value(json_object_get(report, "review")), "question");
    assert_string_equal(json_string_value(json_object_get(report, "review_text")), "Mấy nhà?");
    assert_int_equal(json_integer_value(json_object_get(report, "review_by")), COMMUNE_OPERATOR);
    char hex[2 * RECORD_LEN_MAX + 1];
    sodium_bin2hex(hex, sizeof hex, record, len);
    assert_string_equal(json_string_value(json_object_get(report, "review_hex")), hex);
    assert_null(json_object_get(report, "corrections_hex"));
    for (uint32_t seq = 2; seq <= 3; seq++) { /* each changes one thing: both are told */
        len = commune_correction(&b->commune, seq, ref, seq, record);
        assert_string_equal(add(b, record, len), "new");
    }
    report = json_array_get(json_object_get(ask(b, "{\"do\":\"mine\"}"), "reports"), 0);
    sodium_bin2hex(hex, sizeof hex, record, len);
    const json_t *corrections = json_object_get(report, "corrections_hex");
    assert_int_equal(json_array_size(corrections), 2);
    assert_string_equal(json_string_value(json_array_get(corrections, 1)), hex);
    len = commune_ack(&b->commune, 1, 1, record);
    assert_string_equal(add(b, record, len), "new");
    report = json_array_get(json_object_get(ask(b, "{\"do\":\"mine\"}"), "reports"), 0);
    assert_string_equal(json_string_value(json_object_get(report, "state")), "read");
    assert_int_equal(json_integer_value(json_object_get(report, "received_by")), COMMUNE_GATEWAY);
}

/* ---- several people on one box ---- */

static void put_reports(struct bench *b, uint16_t author, uint32_t from_seq, uint32_t count,
                        uint8_t kind)
{
    uint8_t body[RECORD_BODY_LEN_MAX] = { 0 }, record[RECORD_LEN_MAX];
    struct record_view v;
    int64_t arrival;
    assert_int_equal(store_begin(b->node.store), STORE_OK);
    for (uint32_t seq = from_seq; seq < from_seq + count; seq++) {
        size_t len = commune_sign(&b->commune, author, seq, kind, body, 160, record);
        assert_int_equal(record_decode(record, len, &v), RECORD_OK);
        assert_int_equal(store_put_record(b->node.store, &v, 1, 0, NULL, &arrival), STORE_OK);
    }
    assert_int_equal(store_commit(b->node.store), STORE_OK);
}

static uint16_t author_at(const json_t *reports, size_t i)
{
    return (uint16_t)json_integer_value(json_object_get(json_array_get(reports, i), "author"));
}

/* Who wrote least and last must not vanish behind those who wrote much before; nor may much at once
 * be more than a client reads. */
static void test_api_newest_reports_are_those_of_all_who_write_here(void **state)
{
    struct bench *b = *state;
    put_reports(b, COMMUNE_NODE, 1, 300, RECORD_DAMAGE);
    put_reports(b, COMMUNE_MEMBER, 1, 1, RECORD_RESCUE);
    put_reports(b, COMMUNE_NODE, 301, 60, RECORD_RECEIPT); /* what the box says by itself */
    const json_t *reports = json_object_get(ask(b, "{\"do\":\"mine\",\"limit\":20}"), "reports");
    assert_int_equal(json_array_size(reports), 20);
    assert_int_equal(author_at(reports, 0), COMMUNE_MEMBER);
    for (size_t i = 1; i < 20; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(reports, i), "seq")),
                         301 - (json_int_t)i);
    reports = json_object_get(ask(b, "{\"do\":\"mine\",\"author\":1,\"limit\":1}"), "reports");
    assert_int_equal(json_array_size(reports), 1);
    assert_int_equal(author_at(reports, 0), COMMUNE_NODE);
    put_reports(b, COMMUNE_NODE, 361, 300, RECORD_DAMAGE);
    const json_t *answer = ask(b, "{\"do\":\"mine\",\"limit\":1000}");
    size_t len = json_dumpb(answer, NULL, 0, JSON_COMPACT) + 1;
    assert_in_range(len, CLIENT_LINE_LEN_MAX - 2000, CLIENT_LINE_LEN_MAX);
    reports = json_object_get(answer, "reports");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(reports, 0), "seq")), 660);
}

/* ---- anything at all ---- */

static uint32_t pick(struct bench *b, uint32_t below)
{
    b->random = b->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(b->random >> 33) % below;
}

static size_t mutate(struct bench *b, char *line, size_t len)
{
    for (uint32_t i = 1 + pick(b, 4); i > 0 && len > 0; i--) {
        size_t at = pick(b, (uint32_t)len);
        switch (pick(b, 5)) {
        case 0: line[at] = (char)pick(b, 256); break;
        case 1: line[at] = "\"{}[],:0-9eE.\\ntfu"[pick(b, 18)]; break;
        case 2: len = at; break;
        case 3: /* a piece twice */
            if (2 * len < LINE_LEN_MAX) {
                memmove(line + len, line + at, len - at);
                len += len - at;
            }
            break;
        default: /* a piece less */
            memmove(line + at, line + at + 1, len - at - 1);
            len--;
            break;
        }
    }
    return len;
}

static void test_api_any_bytes_get_an_answer(void **state)
{
    struct bench *b = *state;
    static const char *const words[] = {
        "{\"do\":\"status\"}", "{\"do\":\"roster\"}", "{\"do\":\"mine\",\"author\":11,\"limit\":9}",
        "{\"do\":\"records\",\"after\":2,\"limit\":3}", "{\"do\":\"follow\",\"after\":3}",
        "{\"do\":\"add\",\"records\":[\"000b01\",\"ff\"]}",
        "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"0a00\",\"once\":\"t\",\"author\":11}",
        "{\"do\":\"submit\",\"kind\":\"review\",\"body\":\"0801\",\"author\":1}",
    };
    static char line[LINE_LEN_MAX];
    unsigned refused = 0;
    for (int i = 0; i < FUZZ_COUNT; i++) {
        size_t len;
        if (i % 4 == 0) {
            len = pick(b, 200);
            for (size_t k = 0; k < len; k++)
                line[k] = (char)pick(b, 256);
        } else {
            const char *word = words[pick(b, sizeof words / sizeof words[0])];
            len = strlen(word);
            memcpy(line, word, len);
            len = mutate(b, line, len);
        }
        /* A copy of just that length, so that a byte read beyond is seen. */
        char *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, line, len);
        refused += strcmp(code_of(ask_len(b, exact, len)), "ok") != 0;
        free(exact);
    }
    assert_in_range(refused, FUZZ_COUNT / 2, FUZZ_COUNT - 100);
    assert_string_equal(code_of(ask(b, "{\"do\":\"status\"}")), "ok");
}

int main(void)
{
#define API_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        API_TEST(test_api_submit_needs_the_right_author_for_the_kind),
        API_TEST(test_api_submit_answers_what_the_records_hold),
        API_TEST(test_api_too_long_body_is_refused_and_costs_no_number),
        API_TEST(test_api_add_gives_each_record_its_verdict),
        API_TEST(test_api_review_makes_a_report_read),
        API_TEST(test_api_newest_reports_are_those_of_all_who_write_here),
        API_TEST(test_api_any_bytes_get_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
