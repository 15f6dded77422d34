#include "tests/unit/test_gateway_kit.h"

#include "gateway/demo_data.h"
#include "gateway/totals.h"

static int check_drill(void *ctx, const struct db_record *record)
{
    assert_true(record->drill && record->readable);
    ++*(unsigned *)ctx;
    return 0;
}

/* Figures for the drill, none that could be taken for real, and no second filling. */
static void test_demo_data_is_a_drill_only(void **state)
{
    char dir[KIT_PATH_LEN], err[DEMO_ERR_LEN];
    struct ledger l;
    unsigned said = 0, found = 0;
    (void)state;
    assert_true(sodium_init() >= 0);
    kit_make_dir(dir);
    struct db *db = kit_open_db(dir, "demo.db");
    assert_int_equal(ledger_init(&l, db), 0);
    if (demo_data_fill(&l, NULL, KIT_NOW_MS, &said, err) != 0)
        fail_msg("%s", err);
    assert_int_equal(db_record_reports(db, 1, check_drill, &found), 0);
    assert_int_equal(found, said);
    for (int drills = 0; drills < 2; drills++) {
        struct totals t = { .claims = NULL };
        struct totals_filter filter = { .event = -1, .drills = drills == 1 };
        assert_int_equal(totals_collect(&t, db, 1, &filter), 0);
        assert_int_equal(totals_finish(&t), TOTALS_OK);
        assert_true(drills ? t.row_count > 10 : t.row_count == 0);
        for (size_t i = 0; i < t.row_count; i++) /* the slip of 20 houses was rejected */
            assert_false(t.rows[i].key.kind == RECORD_DAMAGE && t.rows[i].value == 20);
        totals_free(&t);
    }
    assert_int_equal(demo_data_fill(&l, NULL, KIT_NOW_MS, &said, err), -1);
    ledger_free(&l);
    db_close(db);
    kit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_demo_data_is_a_drill_only) };
    return kit_run_on_both(tests);
}
