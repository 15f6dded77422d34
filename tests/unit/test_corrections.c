#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/corrections.h"

enum { NOTHING = -9 }; /* no correction: the author's word stands */

struct said {
    uint16_t reviewer;
    uint32_t seq;
    int64_t arrival;
    uint32_t village;
    struct report_figure figures[2]; /* code 0: none */
};

/* What counts then of figures 1 and 2 and of the village, and how many changes are kept. */
static const struct {
    const char *name;
    struct said said[4];
    int64_t first, second, village;
    size_t count;
} CASES[] = {
    { "nothing said", { { 0 } }, NOTHING, NOTHING, NOTHING, 0 },
    { "one figure", { { 9, 1, 1, 0, { { 1, 5 } } } }, 5, NOTHING, NOTHING, 1 },
    { "what the later one does not name stays",
      { { 9, 1, 1, 0, { { 1, 5 } } }, { 9, 2, 2, 0, { { 2, 7 } } }, { 9, 3, 3, 4, { { 0, 0 } } } },
      5, 7, 4, 3 },
    { "of one field the later counts",
      { { 9, 1, 1, 3, { { 1, 5 }, { 2, 1 } } }, { 9, 2, 2, 0, { { 1, 6 } } } }, 6, 1, 3, 4 },
    { "two people, two figures", { { 9, 1, 1, 0, { { 1, 5 } } }, { 8, 1, 2, 0, { { 2, 7 } } } },
      5, 7, NOTHING, 2 },
    { "two people, one figure: who came last",
      { { 9, 7, 1, 0, { { 1, 5 } } }, { 8, 1, 2, 0, { { 1, 7 } } } }, 7, NOTHING, NOTHING, 2 },
    { "what is older than his own word and came late changes nothing",
      { { 9, 2, 1, 0, { { 1, 5 } } }, { 8, 1, 2, 0, { { 1, 7 } } },
        { 9, 1, 3, 0, { { 1, 3 }, { 2, 2 } } } }, 7, 2, NOTHING, 3 },
    { "in whatever order they are added",
      { { 9, 1, 3, 0, { { 1, 3 }, { 2, 2 } } }, { 8, 1, 2, 0, { { 1, 7 } } },
        { 9, 2, 1, 0, { { 1, 5 } } } }, 7, 2, NOTHING, 3 },
    { "to nothing, and to unknown", { { 9, 1, 1, 0, { { 1, 0 }, { 2, REVIEW_UNKNOWN } } } },
      0, REVIEW_UNKNOWN, NOTHING, 2 },
    { "back to the author's village",
      { { 9, 1, 1, 3, { { 0, 0 } } }, { 9, 2, 2, REVIEW_VILLAGE_AUTHORS, { { 0, 0 } } } },
      NOTHING, NOTHING, REVIEW_VILLAGE_AUTHORS, 2 },
};

static int64_t standing(const struct corrections *c, uint32_t code)
{
    const struct correction *last = corrections_last(c, code);
    return last ? last->value : NOTHING;
}

static void test_corrections_hold_field_by_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct corrections c = { .list = NULL };
        for (size_t k = 0; k < 4 && CASES[i].said[k].seq > 0; k++) {
            const struct said *said = &CASES[i].said[k];
            struct record_ref ref = { .author = said->reviewer, .seq = said->seq };
            struct review review = { .state = REVIEW_CORRECTED, .village = said->village };
            for (; review.figure_count < 2 && said->figures[review.figure_count].code;
                 review.figure_count++)
                review.figures[review.figure_count] = said->figures[review.figure_count];
            assert_true(corrections_add(&c, &ref, said->arrival, 1000 * said->arrival, &review));
        }
        corrections_settle(&c);
        if (standing(&c, 1) != CASES[i].first || standing(&c, 2) != CASES[i].second ||
            standing(&c, CORRECTION_VILLAGE) != CASES[i].village || c.count != CASES[i].count)
            fail_msg("%s: %lld, %lld, %lld, %zu kept", CASES[i].name, (long long)standing(&c, 1),
                     (long long)standing(&c, 2), (long long)standing(&c, CORRECTION_VILLAGE),
                     c.count);
        for (size_t k = 1; k < c.count; k++)
            assert_true(c.list[k - 1].arrival <= c.list[k].arrival);
        corrections_free(&c);
    }
}

/* Longer than the room it starts with. */
static void test_corrections_of_many_years_are_all_kept(void **state)
{
    struct corrections c = { .list = NULL };
    struct review review = { .state = REVIEW_CORRECTED, .village = 1,
                             .figure_count = REPORT_FIGURE_COUNT_MAX };
    (void)state;
    for (uint32_t seq = 1; seq <= 100; seq++) {
        struct record_ref ref = { .author = 9, .seq = seq };
        for (uint32_t i = 0; i < REPORT_FIGURE_COUNT_MAX; i++)
            review.figures[i] = (struct report_figure){ i + 1, seq };
        assert_true(corrections_add(&c, &ref, seq, seq, &review));
    }
    corrections_settle(&c);
    assert_int_equal(c.count, 100 * (REPORT_FIGURE_COUNT_MAX + 1));
    assert_int_equal(standing(&c, REPORT_FIGURE_COUNT_MAX), 100);
    corrections_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corrections_hold_field_by_field),
        cmocka_unit_test(test_corrections_of_many_years_are_all_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
