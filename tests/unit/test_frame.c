#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/frame.h"
#include "proto/sign.h"

enum { LINE_LEN_MAX = 2048, FIELD_COUNT_MAX = 8, RANDOM_ROUNDS = 100000, TEXT_LEN = 1200 };

static const char vectors_path[] = "proto/vectors/frame.txt";
static uint8_t network_key[KENG_NETWORK_KEY_LEN];

static size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
    size_t len = 0;
    if (strcmp(hex, "-") == 0)
        return 0;
    assert_int_equal(sodium_hex2bin(out, cap, hex, strlen(hex), NULL, &len, NULL), 0);
    return len;
}

static FILE *open_vectors(void)
{
    FILE *file = fopen(vectors_path, "r");
    if (!file)
        fail_msg("cannot open %s: run from the top of the tree", vectors_path);
    return file;
}

static size_t next_vector(FILE *file, char line[LINE_LEN_MAX], char *fields[FIELD_COUNT_MAX])
{
    while (fgets(line, LINE_LEN_MAX, file)) {
        char *save = NULL;
        size_t count = 0;
        if (line[0] == '#')
            continue;
        for (char *f = strtok_r(line, " |\n", &save); f && count < FIELD_COUNT_MAX;
             f = strtok_r(NULL, " |\n", &save))
            fields[count++] = f;
        return count;
    }
    return 0;
}

/* ---- a summary as text, both ways ------------------------------------------------- */

static uint32_t number_at(const char **at)
{
    char *end;
    unsigned long v = strtoul(*at, &end, 10);
    assert_ptr_not_equal(end, *at);
    *at = end;
    return (uint32_t)v;
}

static bool take(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

static void build_summary(struct frame_builder *b, const char *text)
{
    const char *at = text;
    if (strcmp(text, "-") == 0)
        return;
    if (strncmp(at, "whole:", 6) == 0) {
        at += 6;
        uint32_t from = number_at(&at);
        assert_true(take(&at, ':'));
        frame_begin_summary(b, true, from, number_at(&at));
    } else {
        assert_int_equal(strncmp(at, "brief", 5), 0);
        at += 5;
        frame_begin_summary(b, false, 0, 0);
    }
    while (take(&at, ',')) {
        struct frame_entry e = { .log = number_at(&at) };
        assert_true(take(&at, ':'));
        e.held = number_at(&at);
        while (take(&at, '+')) {
            struct frame_run *run = &e.runs[e.run_count++];
            run->gap = number_at(&at);
            assert_true(take(&at, '/'));
            run->held = number_at(&at);
        }
        assert_true(frame_add_entry(b, &e));
    }
    assert_int_equal(*at, '\0');
}

static void print_summary(struct frame_view *v, char text[TEXT_LEN])
{
    struct frame_entry e;
    int len = snprintf(text, TEXT_LEN, "-");
    if (v->flags & FRAME_FLAG_WHOLE)
        len = snprintf(text, TEXT_LEN, "whole:%u:%u", v->whole_from, v->whole_to);
    else if (v->flags & FRAME_FLAG_SUMMARY)
        len = snprintf(text, TEXT_LEN, "brief");
    while (frame_next_entry(v, &e)) {
        len += snprintf(text + len, TEXT_LEN - (size_t)len, ",%u:%u", e.log, e.held);
        for (uint8_t i = 0; i < e.run_count; i++)
            len += snprintf(text + len, TEXT_LEN - (size_t)len, "+%u/%u", e.runs[i].gap,
                            e.runs[i].held);
    }
}

static void print_records(struct frame_view *v, char text[TEXT_LEN])
{
    const uint8_t *record;
    size_t record_len, len = 0;
    (void)snprintf(text, TEXT_LEN, "-");
    while (frame_next_record(v, &record, &record_len)) {
        if (len > 0)
            text[len++] = ',';
        assert_in_range(len + 2 * record_len, 0, TEXT_LEN - 2);
        sodium_bin2hex(text + len, TEXT_LEN - len, record, record_len);
        len += 2 * record_len;
    }
}

static size_t build_frame(char *const fields[FIELD_COUNT_MAX], uint8_t buf[FRAME_LEN_MAX])
{
    struct frame_builder b;
    frame_begin(&b, buf, FRAME_LEN_MAX, (uint16_t)strtoul(fields[1], NULL, 10),
                (uint32_t)strtoul(fields[2], NULL, 16));
    build_summary(&b, fields[3]);
    char records[TEXT_LEN], *save = NULL;
    (void)snprintf(records, sizeof records, "%s", fields[4]);
    for (char *r = strtok_r(records, ",", &save); r && *r != '-'; r = strtok_r(NULL, ",", &save)) {
        uint8_t record[RECORD_LEN_MAX];
        assert_true(frame_add_record(&b, record, unhex(r, record, sizeof record)));
    }
    size_t len = frame_finish(&b);
    uint8_t tag[FRAME_TAG_LEN];
    frame_tag(network_key, buf, 1, buf + 1 + FRAME_TAG_LEN, len - 1 - FRAME_TAG_LEN, tag);
    memcpy(buf + 1, tag, sizeof tag);
    return len;
}

static void test_frame_vectors_hold_both_ways(void **state)
{
    char line[LINE_LEN_MAX], *fields[FIELD_COUNT_MAX];
    unsigned count = 0;
    FILE *file = open_vectors();
    (void)state;
    while (next_vector(file, line, fields) > 0) {
        uint8_t want[FRAME_LEN_MAX], made[FRAME_LEN_MAX];
        struct frame_view v;
        char summary[TEXT_LEN], records[TEXT_LEN];
        if (strcmp(fields[0], "network_key") == 0)
            assert_int_equal(unhex(fields[1], network_key, sizeof network_key), sizeof network_key);
        if (strcmp(fields[0], "frame") != 0)
            continue;
        size_t want_len = unhex(fields[5], want, sizeof want);
        assert_int_equal(build_frame(fields, made), want_len);
        assert_memory_equal(made, want, want_len);
        assert_int_equal(frame_decode(want, want_len, &v), FRAME_OK);
        assert_int_equal(v.sender, strtoul(fields[1], NULL, 10));
        assert_int_equal(v.digest, strtoul(fields[2], NULL, 16));
        print_summary(&v, summary);
        print_records(&v, records);
        assert_string_equal(summary, fields[3]);
        assert_string_equal(records, fields[4]);
        count++;
    }
    fclose(file);
    assert_in_range(count, 10, 1000);
}

static void test_frame_bad_forms_are_refused(void **state)
{
    char line[LINE_LEN_MAX], *fields[FIELD_COUNT_MAX];
    unsigned count = 0;
    FILE *file = open_vectors();
    (void)state;
    while (next_vector(file, line, fields) > 0) {
        uint8_t bytes[2 * FRAME_LEN_MAX];
        struct frame_view v;
        if (strcmp(fields[0], "bad") != 0)
            continue;
        size_t len = unhex(fields[2], bytes, sizeof bytes);
        if (frame_decode(bytes, len, &v) != (int)strtol(fields[1], NULL, 10))
            fail_msg("wrong verdict for %s (%s ...)", fields[2], fields[3]);
        count++;
    }
    fclose(file);
    assert_in_range(count, 22, 1000);
    uint8_t long_one[FRAME_LEN_MAX + 1] = { KENG_PROTOCOL_VERSION << 5 };
    struct frame_view v;
    assert_int_equal(frame_decode(long_one, sizeof long_one, &v), FRAME_EFORM);
}

/* ---- random frames and mutations ---------------------------------------------------- */

static uint32_t random_state = 20260401;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static struct frame_entry random_entry(uint32_t log)
{
    struct frame_entry e = { .log = log, .held = random_below(1u << random_below(21)) };
    uint8_t runs = (uint8_t)random_below(3) ? 0 : (uint8_t)random_below(FRAME_RUN_COUNT_MAX + 1);
    for (; e.run_count < runs; e.run_count++)
        e.runs[e.run_count] = (struct frame_run){ 1 + random_below(100), 1 + random_below(100) };
    return e;
}

/* Builds anything, keeps what fitted, and returns the length. */
static size_t random_frame(uint8_t *buf, size_t cap, struct frame_entry *kept, size_t *kept_count)
{
    struct frame_builder b;
    uint8_t record[RECORD_LEN_MAX];
    *kept_count = 0;
    frame_begin(&b, buf, cap, (uint16_t)random_below(AUTHOR_NONE), random_below(1 << 24));
    if (random_below(2)) {
        uint32_t log = random_below(3);
        frame_begin_summary(&b, random_below(2), 0, FRAME_LOG_MAX);
        for (uint32_t i = random_below(140); i > 0; i--, log += 1 + random_below(3000)) {
            struct frame_entry e = random_entry(log);
            if (frame_add_entry(&b, &e))
                kept[(*kept_count)++] = e;
            else
                break;
        }
    }
    memset(record, 0x5a, sizeof record);
    for (uint32_t i = random_below(4); i > 0; i--)
        frame_add_record(&b, record, 1 + random_below(RECORD_LEN_MAX));
    return frame_finish(&b);
}

static void test_frame_what_is_built_is_what_is_read(void **state)
{
    (void)state;
    for (int round = 0; round < RANDOM_ROUNDS / 10; round++) {
        uint8_t buf[FRAME_LEN_MAX];
        struct frame_entry kept[FRAME_ENTRY_COUNT_MAX], e;
        size_t kept_count, read_count = 0;
        struct frame_view v;
        size_t len = random_frame(buf, 40 + random_below(FRAME_LEN_MAX - 39), kept, &kept_count);
        assert_int_equal(frame_decode(buf, len, &v), FRAME_OK);
        assert_int_equal(v.entry_count, kept_count);
        while (frame_next_entry(&v, &e)) {
            const struct frame_entry *k = &kept[read_count++];
            assert_int_equal(e.log, k->log);
            assert_int_equal(e.held, k->held);
            assert_int_equal(e.run_count, k->run_count);
            assert_memory_equal(e.runs, k->runs, e.run_count * sizeof e.runs[0]);
        }
        assert_int_equal(read_count, kept_count);
    }
}

static void test_frame_mutations_decode_safely(void **state)
{
    unsigned good = 0;
    (void)state;
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        uint8_t buf[FRAME_LEN_MAX];
        struct frame_entry kept[FRAME_ENTRY_COUNT_MAX], e;
        size_t kept_count, record_len, len;
        len = random_frame(buf, sizeof buf, kept, &kept_count);
        for (uint32_t i = random_below(4); i > 0; i--)
            buf[random_below((uint32_t)len)] = (uint8_t)random_below(256);
        len = random_below(3) ? len : random_below((uint32_t)len + 1);
        uint8_t *exact = malloc(len ? len : 1); /* so that a sanitiser sees a byte too far */
        struct frame_view v;
        const uint8_t *record;
        assert_non_null(exact);
        memcpy(exact, buf, len);
        if (frame_decode(exact, len, &v) == FRAME_OK) {
            good++;
            while (frame_next_entry(&v, &e))
                assert_in_range(e.log, 0, FRAME_LOG_MAX);
            while (frame_next_record(&v, &record, &record_len))
                assert_true(record >= exact && record + record_len <= exact + len);
        }
        free(exact);
    }
    assert_in_range(good, RANDOM_ROUNDS / 10, RANDOM_ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_vectors_hold_both_ways),
        cmocka_unit_test(test_frame_bad_forms_are_refused),
        cmocka_unit_test(test_frame_what_is_built_is_what_is_read),
        cmocka_unit_test(test_frame_mutations_decode_safely),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
