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

enum { LINE_LEN_MAX = 2048, FIELD_COUNT_MAX = 8, RANDOM_ROUNDS = 100000, TEXT_LEN = 1200,
       SUMMARY_START_LEN_MAX = 1 + 2 * 3 };

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

/* ---- links and a summary as text, both ways ---------------------------------------- */

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

static size_t read_links(const char *text, struct frame_link links[FRAME_LINK_COUNT_MAX])
{
    const char *at = text + strlen("heard");
    size_t count = 0;
    assert_int_equal(strncmp(text, "heard", strlen("heard")), 0);
    while (take(&at, ',')) {
        assert_in_range(count, 0, FRAME_LINK_COUNT_MAX - 1);
        links[count].node = (uint16_t)number_at(&at);
        assert_true(take(&at, '/'));
        links[count++].quality = (uint8_t)number_at(&at);
    }
    assert_int_equal(*at, '\0');
    return count;
}

static void build_links(struct frame_builder *b, const char *text)
{
    struct frame_link links[FRAME_LINK_COUNT_MAX];
    if (strcmp(text, "-") != 0)
        assert_true(frame_add_links(b, links, read_links(text, links), FRAME_LEN_MAX));
}

static void print_links(struct frame_view *v, char text[TEXT_LEN])
{
    struct frame_link link;
    int len = snprintf(text, TEXT_LEN, v->flags & FRAME_FLAG_LINKS ? "heard" : "-");
    while (frame_next_link(v, &link))
        len += snprintf(text + len, TEXT_LEN - (size_t)len, ",%u/%u", link.node, link.quality);
}

/* 'sums:from', then ',to/sum' for each range. */
static void build_sums(struct frame_builder *b, const char *text)
{
    struct frame_sum sums[FRAME_SUM_COUNT_MAX];
    const char *at = text + strlen("sums:");
    size_t count = 0;
    for (uint32_t from = number_at(&at); take(&at, ','); from = sums[count++].to + 1) {
        char *end;
        assert_in_range(count, 0, FRAME_SUM_COUNT_MAX - 1);
        sums[count].from = from;
        sums[count].to = number_at(&at);
        assert_true(take(&at, '/'));
        sums[count].sum = strtoull(at, &end, 16);
        at = end;
    }
    assert_int_equal(*at, '\0');
    assert_true(frame_add_sums(b, sums, count));
}

/* 'about:node/digest', then entries; the links are his. */
static const char *build_hearsay(struct frame_builder *b, const char *links_text, const char *text)
{
    struct frame_link links[FRAME_LINK_COUNT_MAX];
    const char *at = text + strlen("about:");
    char *end;
    size_t count = read_links(links_text, links);
    uint16_t about = (uint16_t)number_at(&at);
    assert_true(take(&at, '/'));
    uint32_t digest = (uint32_t)strtoul(at, &end, 16);
    assert_true(frame_begin_hearsay(b, about, digest, links, count));
    return end;
}

static void build_statements(struct frame_builder *b, const char *links_text, const char *text)
{
    const char *at = text;
    bool about = strncmp(text, "about:", 6) == 0;
    if (!about)
        build_links(b, links_text);
    if (strcmp(text, "-") == 0)
        return;
    if (strncmp(at, "sums:", 5) == 0) {
        build_sums(b, text);
        return;
    }
    if (about) {
        at = build_hearsay(b, links_text, text);
    } else if (strncmp(at, "whole:", 6) == 0) {
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
    struct frame_sum sum;
    int len = snprintf(text, TEXT_LEN, "-");
    if (v->sum_count > 0)
        len = snprintf(text, TEXT_LEN, "sums:%u", v->sum_from);
    else if (v->about != v->sender)
        len = snprintf(text, TEXT_LEN, "about:%u/%06x", v->about, v->about_digest);
    else if (v->flags & FRAME_FLAG_WHOLE)
        len = snprintf(text, TEXT_LEN, "whole:%u:%u", v->whole_from, v->whole_to);
    else if (v->flags & FRAME_FLAG_SUMMARY)
        len = snprintf(text, TEXT_LEN, "brief");
    while (frame_next_sum(v, &sum))
        len += snprintf(text + len, TEXT_LEN - (size_t)len, ",%u/%llx", sum.to,
                        (unsigned long long)sum.sum);
    while (frame_next_entry(v, &e)) {
        len += snprintf(text + len, TEXT_LEN - (size_t)len, ",%u:%u", e.log, e.held);
        for (uint8_t i = 0; i < e.run_count; i++)
            len += snprintf(text + len, TEXT_LEN - (size_t)len, "+%u/%u", e.runs[i].gap,
                            e.runs[i].held);
    }
}

/* Returns what stands behind it. */
static const char *build_mix(struct frame_builder *b, const char *text)
{
    struct frame_mixed mixed[FRAME_MIX_COUNT_MAX];
    uint8_t count = 0, sum[RECORD_LEN_MAX];
    char hex[TEXT_LEN];
    do {
        assert_in_range(count, 0, FRAME_MIX_COUNT_MAX - 1);
        struct frame_mixed *x = &mixed[count++];
        x->log = number_at(&text);
        assert_true(take(&text, ':'));
        x->seq = number_at(&text);
        assert_true(take(&text, ':'));
        x->len = (uint8_t)number_at(&text);
    } while (take(&text, '+'));
    assert_true(take(&text, '='));
    (void)snprintf(hex, sizeof hex, "%.*s", (int)strcspn(text, ","), text);
    unhex(hex, sum, sizeof sum);
    assert_true(frame_add_mix(b, mixed, count, sum));
    text += strlen(hex);
    return take(&text, ',') ? text : "-";
}

static size_t longest_len(const struct frame_mixed *mixed, uint8_t count)
{
    size_t len = 0;
    for (uint8_t i = 0; i < count; i++)
        len = mixed[i].len > len ? mixed[i].len : len;
    return len;
}

static size_t print_mix(const struct frame_view *v, char text[TEXT_LEN])
{
    size_t len = 0, sum_len = longest_len(v->mixed, v->mix_count);
    for (uint8_t i = 0; i < v->mix_count; i++)
        len += (size_t)snprintf(text + len, TEXT_LEN - len, "%s%u:%u:%u", i == 0 ? "" : "+",
                                v->mixed[i].log, v->mixed[i].seq, v->mixed[i].len);
    if (v->mix_count > 0) {
        text[len++] = '=';
        sodium_bin2hex(text + len, TEXT_LEN - len, v->mix, sum_len);
        len += 2 * sum_len;
    }
    return len;
}

static void print_records(struct frame_view *v, char text[TEXT_LEN])
{
    const uint8_t *record;
    size_t record_len, len;
    (void)snprintf(text, TEXT_LEN, "-");
    len = print_mix(v, text);
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
                (uint32_t)strtoul(fields[2], NULL, 16), (uint8_t)strtoul(fields[3], NULL, 10));
    const char *room = strchr(fields[3], '/');
    if (room)
        frame_add_room(&b, (uint8_t)strtoul(room + 1, NULL, 10));
    build_statements(&b, fields[4], fields[5]);
    char records[TEXT_LEN], *save = NULL;
    (void)snprintf(records, sizeof records, "%s",
                   strchr(fields[6], '=') ? build_mix(&b, fields[6]) : fields[6]);
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
        char links[TEXT_LEN], summary[TEXT_LEN], records[TEXT_LEN];
        if (strcmp(fields[0], "network_key") == 0)
            assert_int_equal(unhex(fields[1], network_key, sizeof network_key), sizeof network_key);
        if (strcmp(fields[0], "frame") != 0)
            continue;
        size_t want_len = unhex(fields[7], want, sizeof want);
        assert_int_equal(build_frame(fields, made), want_len);
        assert_memory_equal(made, want, want_len);
        assert_int_equal(frame_decode(want, want_len, &v), FRAME_OK);
        assert_int_equal(v.sender, strtoul(fields[1], NULL, 10));
        assert_int_equal(v.digest, strtoul(fields[2], NULL, 16));
        assert_int_equal(v.count, strtoul(fields[3], NULL, 10));
        const char *room = strchr(fields[3], '/');
        assert_int_equal(v.room, room ? strtoul(room + 1, NULL, 10) : 0);
        print_links(&v, links);
        print_summary(&v, summary);
        print_records(&v, records);
        assert_string_equal(links, fields[4]);
        assert_string_equal(summary, fields[5]);
        assert_string_equal(records, fields[6]);
        count++;
    }
    fclose(file);
    assert_in_range(count, 25, 1000);
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
    assert_in_range(count, 60, 1000);
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

/* What a frame was built from, as far as it fitted. */
struct kept {
    uint8_t count;
    struct frame_link links[FRAME_LINK_COUNT_MAX];
    struct frame_entry entries[FRAME_ENTRY_COUNT_MAX];
    struct frame_mixed mixed[FRAME_MIX_COUNT_MAX];
    uint8_t sum[RECORD_LEN_MAX], mix_count;
    struct frame_sum sums[FRAME_SUM_COUNT_MAX];
    size_t link_count, entry_count, sum_count;
};

static void add_random_links(struct frame_builder *b, size_t cap, struct kept *kept)
{
    struct frame_link links[FRAME_LINK_COUNT_MAX];
    size_t count = random_below(FRAME_LINK_COUNT_MAX + 1);
    uint32_t node = random_below(3);
    for (size_t i = 0; i < count; i++, node += 1 + random_below(1300))
        links[i] = (struct frame_link){ (uint16_t)node,
                                        (uint8_t)random_below(FRAME_QUALITY_MAX + 1) };
    if (!frame_add_links(b, links, count, random_below((uint32_t)cap)))
        return;
    memcpy(kept->links, links, count * sizeof links[0]);
    kept->link_count = count;
}

static void add_random_sums(struct frame_builder *b, struct kept *kept)
{
    uint32_t from = random_below(3), count = 1 + random_below(FRAME_SUM_COUNT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sum = (uint64_t)random_below(1u << 24) << 40 | random_below(1u << 24);
        kept->sums[i] = (struct frame_sum){ from, from + random_below(30000), sum };
        from = kept->sums[i].to + 1;
    }
    if (frame_add_sums(b, kept->sums, count))
        kept->sum_count = count;
}

static void add_random_mix(struct frame_builder *b, struct kept *kept)
{
    uint8_t count = (uint8_t)(2 + random_below(FRAME_MIX_COUNT_MAX - 1));
    for (uint8_t i = 0; i < count; i++)
        kept->mixed[i] = (struct frame_mixed){
            .log = random_below(FRAME_LOG_MAX + 1), .seq = 1 + i + random_below(RECORD_SEQ_MAX - 4),
            .len = (uint8_t)(RECORD_LEN_MIN + random_below(40)) };
    for (size_t i = 0; i < sizeof kept->sum; i++)
        kept->sum[i] = (uint8_t)random_below(256);
    kept->mix_count = frame_add_mix(b, kept->mixed, count, kept->sum) ? count : 0;
}

/* Builds anything, keeps what fitted, and returns the length. */
static size_t random_frame(uint8_t *buf, size_t cap, struct kept *kept)
{
    struct frame_builder b;
    uint8_t record[RECORD_LEN_MAX];
    kept->count = (uint8_t)random_below(256);
    kept->link_count = kept->entry_count = kept->sum_count = 0;
    kept->mix_count = 0;
    frame_begin(&b, buf, cap, (uint16_t)random_below(AUTHOR_NONE), random_below(1 << 24),
                kept->count);
    if (random_below(2))
        add_random_links(&b, cap, kept);
    if (random_below(2) && bytes_room(&b.w) > SUMMARY_START_LEN_MAX) {
        uint32_t log = random_below(3);
        frame_begin_summary(&b, random_below(2), 0, FRAME_LOG_MAX);
        for (uint32_t i = random_below(140); i > 0; i--, log += 1 + random_below(3000)) {
            struct frame_entry e = random_entry(log);
            if (frame_add_entry(&b, &e))
                kept->entries[kept->entry_count++] = e;
            else
                break;
        }
    }
    else if (random_below(2))
        add_random_sums(&b, kept);
    if (random_below(2))
        add_random_mix(&b, kept);
    memset(record, 0x5a, sizeof record);
    for (uint32_t i = random_below(4); i > 0; i--)
        frame_add_record(&b, record, 1 + random_below(RECORD_LEN_MAX));
    return frame_finish(&b);
}

static void assert_sums(struct frame_view *v, const struct kept *kept)
{
    struct frame_sum sum;
    assert_int_equal(v->sum_count, kept->sum_count);
    for (size_t i = 0; frame_next_sum(v, &sum); i++) {
        assert_int_equal(sum.from, kept->sums[i].from);
        assert_int_equal(sum.to, kept->sums[i].to);
        assert_true(sum.sum == kept->sums[i].sum);
    }
}

/* A frame too short for his links, or without a byte for the entries, is as if never asked. */
static void test_frame_hearsay_that_does_not_fit_leaves_no_trace(void **state)
{
    enum { LINK_COUNT = 3, NEEDED_LEN = 1 + 2 + 3 + 1 + LINK_COUNT + 1 };
    static const struct frame_link links[LINK_COUNT] = { { 1, 3 }, { 2, 0 }, { 9, 1 } };
    (void)state;
    for (size_t room = 0; room <= NEEDED_LEN; room++) {
        uint8_t buf[FRAME_LEN_MAX];
        struct frame_builder b;
        struct frame_view v;
        frame_begin(&b, buf, FRAME_HEADER_LEN + room, 5, 0x0a0b0c, 1);
        bool fits = frame_begin_hearsay(&b, 7, 0x112233, links, LINK_COUNT);
        assert_true(fits == (room == NEEDED_LEN));
        size_t len = frame_finish(&b);
        assert_int_equal(len, FRAME_HEADER_LEN + (fits ? room : 0));
        assert_int_equal(frame_decode(buf, len, &v), FRAME_OK);
        assert_int_equal(v.about, fits ? 7 : 5);
        assert_int_equal(v.link_count, fits ? LINK_COUNT : 0);
        assert_int_equal(v.flags, fits ? FRAME_FLAG_LINKS | FRAME_FLAG_SUMMARY : 0);
    }
}

static void test_frame_what_is_built_is_what_is_read(void **state)
{
    size_t links_read = 0, mixes_read = 0;
    (void)state;
    for (int round = 0; round < RANDOM_ROUNDS / 10; round++) {
        uint8_t buf[FRAME_LEN_MAX];
        struct kept kept;
        struct frame_entry e;
        struct frame_link link;
        size_t read_count = 0;
        struct frame_view v;
        size_t len = random_frame(buf, 40 + random_below(FRAME_LEN_MAX - 39), &kept);
        assert_int_equal(frame_decode(buf, len, &v), FRAME_OK);
        assert_int_equal(v.count, kept.count);
        assert_int_equal(v.link_count, kept.link_count);
        for (size_t i = 0; frame_next_link(&v, &link); i++, links_read++) {
            assert_int_equal(link.node, kept.links[i].node);
            assert_int_equal(link.quality, kept.links[i].quality);
        }
        assert_int_equal(v.entry_count, kept.entry_count);
        while (frame_next_entry(&v, &e)) {
            const struct frame_entry *k = &kept.entries[read_count++];
            assert_int_equal(e.log, k->log);
            assert_int_equal(e.held, k->held);
            assert_int_equal(e.run_count, k->run_count);
            assert_memory_equal(e.runs, k->runs, e.run_count * sizeof e.runs[0]);
        }
        assert_int_equal(read_count, kept.entry_count);
        assert_sums(&v, &kept);
        assert_int_equal(v.mix_count, kept.mix_count);
        for (uint8_t i = 0; i < v.mix_count; i++) {
            assert_int_equal(v.mixed[i].log, kept.mixed[i].log);
            assert_int_equal(v.mixed[i].seq, kept.mixed[i].seq);
            assert_int_equal(v.mixed[i].len, kept.mixed[i].len);
        }
        if (v.mix_count > 0)
            assert_memory_equal(v.mix, kept.sum, longest_len(kept.mixed, kept.mix_count));
        mixes_read += v.mix_count > 0;
    }
    assert_in_range(mixes_read, RANDOM_ROUNDS / 200, SIZE_MAX);
    assert_in_range(links_read, RANDOM_ROUNDS / 10, SIZE_MAX);
}

static void test_frame_mix_that_does_not_fit_leaves_no_trace(void **state)
{
    enum { MIXED_LEN = 80, ENTRY_LEN = 1 + 1 + 1 };
    static const uint8_t sum[MIXED_LEN] = { 1, 2, 3 };
    static const struct {
        const char *name;
        uint8_t count;
        size_t room_len;
        bool want;
    } rows[] = {
        { "just fits", 2, 1 + 2 * ENTRY_LEN + MIXED_LEN, true },
        { "one byte too few", 2, 2 * ENTRY_LEN + MIXED_LEN, false },
        { "not even the count", 2, 0, false },
        { "one is no mix", 1, FRAME_LEN_MAX - FRAME_HEADER_LEN, false },
        { "the most", FRAME_MIX_COUNT_MAX, FRAME_LEN_MAX - FRAME_HEADER_LEN, true },
        { "too many", FRAME_MIX_COUNT_MAX + 1, FRAME_LEN_MAX - FRAME_HEADER_LEN, false },
    };
    struct frame_mixed mixed[FRAME_MIX_COUNT_MAX + 1];
    (void)state;
    for (uint8_t i = 0; i < FRAME_MIX_COUNT_MAX + 1; i++)
        mixed[i] = (struct frame_mixed){ .log = i, .seq = 1, .len = MIXED_LEN };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t buf[FRAME_LEN_MAX];
        struct frame_builder b;
        struct frame_view v;
        frame_begin(&b, buf, FRAME_HEADER_LEN + rows[i].room_len, 7, 0x123456, 1);
        if (frame_add_mix(&b, mixed, rows[i].count, sum) != rows[i].want)
            fail_msg("%s", rows[i].name);
        size_t len = frame_finish(&b);
        assert_int_equal(frame_decode(buf, len, &v), FRAME_OK);
        assert_int_equal(v.mix_count, rows[i].want ? rows[i].count : 0);
        if (!rows[i].want)
            assert_int_equal(len, FRAME_HEADER_LEN);
    }
}

/* Where links do not fit, the frame is as if nobody had asked for them. */
static void test_frame_links_that_do_not_fit_leave_no_trace(void **state)
{
    struct frame_link links[FRAME_LINK_COUNT_MAX + 1];
    static const uint8_t record[] = "a record";
    (void)state;
    for (size_t i = 0; i < FRAME_LINK_COUNT_MAX + 1; i++)
        links[i] = (struct frame_link){ (uint16_t)(1000 * (i + 1)), (uint8_t)(i % 4) };
    static const struct {
        const char *name;
        size_t count, room_len, cap;
        bool want;
    } rows[] = {
        { "just fit the room", 5, 1 + 5 * 2, FRAME_LEN_MAX, true },
        { "one byte too few", 5, 5 * 2, FRAME_LEN_MAX, false },
        { "no room at all", 5, 0, FRAME_LEN_MAX, false },
        { "not even the count", 0, 0, FRAME_LEN_MAX, false },
        { "the count alone", 0, 1, FRAME_LEN_MAX, true },
        { "just fit the frame", 5, FRAME_LEN_MAX, FRAME_HEADER_LEN + 1 + 5 * 2, true },
        { "frame too short", 5, FRAME_LEN_MAX, FRAME_HEADER_LEN + 5 * 2, false },
        { "the most", FRAME_LINK_COUNT_MAX, FRAME_LEN_MAX, FRAME_LEN_MAX, true },
        { "too many", FRAME_LINK_COUNT_MAX + 1, FRAME_LEN_MAX, FRAME_LEN_MAX, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t buf[FRAME_LEN_MAX], plain[FRAME_LEN_MAX];
        struct frame_builder b;
        struct frame_view v;
        frame_begin(&b, buf, rows[i].cap, 7, 0x123456, 1);
        if (frame_add_links(&b, links, rows[i].count, rows[i].room_len) != rows[i].want)
            fail_msg("%s", rows[i].name);
        bool more = frame_add_record(&b, record, sizeof record);
        size_t len = frame_finish(&b);
        assert_int_equal(frame_decode(buf, len, &v), FRAME_OK);
        assert_int_equal(v.link_count, rows[i].want ? rows[i].count : 0);
        if (rows[i].want)
            continue;
        frame_begin(&b, plain, rows[i].cap, 7, 0x123456, 1);
        assert_int_equal(frame_add_record(&b, record, sizeof record), more);
        assert_int_equal(frame_finish(&b), len);
        assert_memory_equal(buf, plain, len);
    }
}

static void test_frame_mutations_decode_safely(void **state)
{
    unsigned good = 0;
    (void)state;
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        uint8_t buf[FRAME_LEN_MAX];
        struct kept kept;
        struct frame_entry e;
        struct frame_link link;
        struct frame_sum sum;
        size_t record_len, len;
        len = random_frame(buf, sizeof buf, &kept);
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
            while (frame_next_link(&v, &link))
                assert_in_range(link.node, 0, AUTHOR_MAX);
            while (frame_next_entry(&v, &e))
                assert_in_range(e.log, 0, FRAME_LOG_MAX);
            while (frame_next_sum(&v, &sum))
                assert_in_range(sum.to, sum.from, FRAME_LOG_MAX);
            size_t sum_len = longest_len(v.mixed, v.mix_count);
            assert_true(sum_len == 0 || (v.mix >= exact && v.mix + sum_len <= exact + len));
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
        cmocka_unit_test(test_frame_mix_that_does_not_fit_leaves_no_trace),
        cmocka_unit_test(test_frame_hearsay_that_does_not_fit_leaves_no_trace),
        cmocka_unit_test(test_frame_links_that_do_not_fit_leave_no_trace),
        cmocka_unit_test(test_frame_mutations_decode_safely),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
