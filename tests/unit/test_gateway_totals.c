#include "tests/unit/test_gateway_kit.h"

#include "gateway/totals.h"

struct claim {
    uint16_t author;
    uint32_t seq;
    int64_t arrival;
    uint32_t village, code;
    int64_t value;
    bool drill;
    uint8_t variant, review;
};

struct want {
    uint32_t village, code;
    int64_t value, low, high;
    uint16_t author, author_count;
};

struct totals_case {
    const char *name;
    struct claim claims[6];
    size_t claim_count;
    struct want want[4];
    size_t want_count;
};

static const struct totals_case CASES[] = {
    { "nothing gives nothing", { { 0 } }, 0, { { 0 } }, 0 },
    { "one report stands", { { 12, 1, 1, 3, 1, 5, 0, 0, 0 } }, 1, { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
    { "the higher number supersedes",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 2, 2, 3, 1, 7, 0, 0, 0 } }, 2,
      { { 3, 1, 7, 7, 7, 12, 1 } }, 1 },
    { "an older one that arrives late changes nothing",
      { { 12, 2, 1, 3, 1, 7, 0, 0, 0 }, { 12, 1, 2, 3, 1, 5, 0, 0, 0 } }, 2,
      { { 3, 1, 7, 7, 7, 12, 1 } }, 1 },
    { "a correction downwards counts",
      { { 12, 1, 1, 3, 1, 9, 0, 0, 0 }, { 12, 2, 2, 3, 1, 0, 0, 0, 0 } }, 2,
      { { 3, 1, 0, 0, 0, 12, 1 } }, 1 },
    { "an indicator the newer one leaves out stays",
      { { 12, 1, 1, 3, 1, 9, 0, 0, 0 }, { 12, 2, 2, 3, 2, 4, 0, 0, 0 } }, 2,
      { { 3, 1, 9, 9, 9, 12, 1 }, { 3, 2, 4, 4, 4, 12, 1 } }, 2 },
    { "of two authors the last to arrive counts, and both are seen",
      { { 12, 8, 1, 3, 1, 5, 0, 0, 0 }, { 15, 1, 2, 3, 1, 3, 0, 0, 0 } }, 2,
      { { 3, 1, 3, 3, 5, 15, 2 } }, 1 },
    { "in whatever order they are added",
      { { 15, 1, 2, 3, 1, 3, 0, 0, 0 }, { 12, 8, 1, 3, 1, 5, 0, 0, 0 } }, 2,
      { { 3, 1, 3, 3, 5, 15, 2 } }, 1 },
    { "a superseded claim makes no difference between authors",
      { { 12, 1, 1, 3, 1, 9, 0, 0, 0 }, { 12, 2, 2, 3, 1, 3, 0, 0, 0 },
        { 15, 1, 3, 3, 1, 3, 0, 0, 0 } }, 3, { { 3, 1, 3, 3, 3, 15, 2 } }, 1 },
    { "villages are apart",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 2, 2, 4, 1, 6, 0, 0, 0 } }, 2,
      { { 3, 1, 5, 5, 5, 12, 1 }, { 4, 1, 6, 6, 6, 12, 1 } }, 2 },
    { "a drill counts nowhere", { { 12, 1, 1, 3, 1, 5, 1, 0, 0 } }, 1, { { 0 } }, 0 },
    { "the second half of a fork counts nowhere",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 1, 2, 3, 1, 50, 0, 1, 0 } }, 2,
      { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
    { "a rejected report gives way to the older one",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 2, 2, 3, 1, 500, 0, 0, REVIEW_REJECTED } }, 2,
      { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
    { "a questioned one still counts",
      { { 12, 1, 1, 3, 1, 5, 0, 0, REVIEW_QUESTION } }, 1, { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
};

static void add_claim(struct totals *t, const struct claim *c)
{
    struct db_record record = {
        .arrival = c->arrival, .commune = 1, .village = c->village, .kind = RECORD_DAMAGE,
        .ref = { .author = c->author, .seq = c->seq }, .variant = c->variant,
        .drill = c->drill, .review_state = c->review,
    };
    struct report report = { .figure_count = 1, .figures = { { c->code, c->value } } };
    assert_int_equal(totals_add(t, &record, &report), TOTALS_OK);
}

static void test_totals_follow_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct totals t = { .claims = NULL };
        for (size_t c = 0; c < CASES[i].claim_count; c++)
            add_claim(&t, &CASES[i].claims[c]);
        assert_int_equal(totals_finish(&t), TOTALS_OK);
        if (t.row_count != CASES[i].want_count)
            fail_msg("%s: %zu rows", CASES[i].name, t.row_count);
        for (size_t r = 0; r < t.row_count; r++) {
            const struct totals_row *row = &t.rows[r];
            const struct want *want = &CASES[i].want[r];
            if (row->key.village != want->village || row->key.code != want->code ||
                row->value != want->value || row->low != want->low || row->high != want->high ||
                row->author != want->author || row->author_count != want->author_count)
                fail_msg("%s: row %zu says %lld by %u", CASES[i].name, r, (long long)row->value,
                         (unsigned)row->author);
        }
        totals_free(&t);
    }
}

static void test_totals_add_villages_up(void **state)
{
    static const struct claim CLAIMS[] = {
        { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 15, 1, 2, 4, 1, 6, 0, 0, 0 },
        { 15, 2, 3, 4, 2, 1, 0, 0, 0 }, { 12, 2, 4, 3, 1, 7, 0, 0, 0 },
    };
    struct totals t = { .claims = NULL };
    (void)state;
    for (size_t i = 0; i < sizeof CLAIMS / sizeof CLAIMS[0]; i++)
        add_claim(&t, &CLAIMS[i]);
    assert_int_equal(totals_finish(&t), TOTALS_OK);
    assert_int_equal(t.sum_count, 2);
    assert_int_equal(t.sums[0].value, 13);
    assert_int_equal(t.sums[0].village_count, 2);
    assert_int_equal(t.sums[1].value, 1);
    assert_int_equal(t.sums[1].village_count, 1);
    totals_free(&t);
}

static void test_totals_name_the_missing_numbers(void **state)
{
    static const struct { uint16_t author; uint32_t seq; } HELD[] = {
        { 9, 1 }, { 9, 2 }, { 12, 1 }, { 12, 2 }, { 12, 4 }, { 12, 10 }, { 15, 3 },
    };
    static const struct gap WANT[] = {
        { 1, 3, 3, 12 }, { 1, 5, 9, 12 }, { 1, 1, 2, 15 },
    };
    struct gaps gaps = { .list = NULL };
    struct held_table held = { .list = NULL };
    (void)state;
    for (size_t i = 0; i < sizeof HELD / sizeof HELD[0]; i++) {
        assert_int_equal(gaps_add(&gaps, 1, HELD[i].author, HELD[i].seq), TOTALS_OK);
        assert_int_equal(held_add(&held, HELD[i].author, HELD[i].seq), TOTALS_OK);
    }
    assert_int_equal(gaps.count, sizeof WANT / sizeof WANT[0]);
    for (size_t i = 0; i < gaps.count; i++) {
        assert_int_equal(gaps.list[i].author, WANT[i].author);
        assert_int_equal(gaps.list[i].first, WANT[i].first);
        assert_int_equal(gaps.list[i].last, WANT[i].last);
    }
    assert_int_equal(held_get(&held, 9), 2);
    assert_int_equal(held_get(&held, 12), 2);
    assert_int_equal(held_get(&held, 15), 0);
    assert_int_equal(held_get(&held, 99), 0);
    gaps_free(&gaps);
    held_free(&held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals_follow_the_rules),
        cmocka_unit_test(test_totals_add_villages_up),
        cmocka_unit_test(test_totals_name_the_missing_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
