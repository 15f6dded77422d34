/* A province's root over communes: trust by its word, replaced roots, mergers, codes used again. */
#include "tests/unit/test_gateway_kit.h"

#include "gateway/books.h"
#include "gateway/lang.h"
#include "gateway/units.h"

enum { DAY_BEFORE = 100, DAY_REFORM = 181 };

struct place {
    char dir[KIT_PATH_LEN];
    struct kit province, old, new;
    struct db *db;
    struct ledger ledger;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->province, 50);
    kit_init(&p->old, 51);
    kit_init(&p->new, 52);
    p->db = kit_open_db(p->dir, "u.db");
    kit_open_ledger(&p->province, p->db, &p->ledger);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    ledger_free(&p->ledger);
    db_close(p->db);
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

static struct unit about(const struct kit *k, const char *code, const char *name)
{
    struct unit unit = { .from_day = 0 };
    snprintf(unit.code, sizeof unit.code, "%s", code);
    snprintf(unit.name, sizeof unit.name, "%s", name);
    memcpy(unit.root_key, k->public_keys[0], KENG_KEY_LEN);
    return unit;
}

/* The province says it, and what it says is applied. */
static void say(struct place *p, const struct unit *unit)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = unit_encode(unit, body, sizeof body);
    assert_true(len > 0);
    struct kit_record r = kit_sign(&p->province, AUTHOR_ROOT, ++p->province.root_seq, RECORD_UNIT,
                                   0, body, (size_t)len);
    assert_int_equal(kit_put(&p->province, &p->ledger, &r), LEDGER_NEW);
    assert_int_equal(units_apply(&p->ledger), 0);
}

static void crown(struct place *p)
{
    assert_int_equal(units_set_province(
        &p->ledger, ledger_find(&p->ledger, p->province.network_id)->info.id), 0);
}

static const struct ledger_commune *find(struct place *p, const struct kit *k)
{
    return ledger_find(&p->ledger, k->network_id);
}

/* What the ledger says a commune's figures are. */
static int64_t figure(struct place *p, const struct kit *k)
{
    struct totals t = { .claims = NULL };
    struct totals_filter filter = totals_all();
    int64_t value = 0;
    assert_int_equal(totals_collect(&t, p->db, find(p, k)->info.id, &filter), 0);
    assert_int_equal(totals_finish(&t), TOTALS_OK);
    for (size_t i = 0; i < t.sum_count; i++)
        value += t.sums[i].value;
    totals_free(&t);
    return value;
}

static void test_units_trust_by_the_provinces_word_only(void **state)
{
    struct place *p = *state;
    struct unit unit = about(&p->old, "01879", "Xã Cao Minh");
    say(p, &unit);
    assert_null(find(p, &p->old)); /* nobody has made it the province's root here */
    crown(p);
    assert_non_null(find(p, &p->old));
    assert_string_equal(units_name(find(p, &p->old)), "Xã Cao Minh");
    /* A commune's root says nothing about others. */
    struct unit stranger = about(&p->new, "01900", "Xã Lạ");
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = unit_encode(&stranger, body, sizeof body);
    struct kit_record r = kit_sign(&p->old, AUTHOR_ROOT, 1, RECORD_UNIT, 0, body, (size_t)len);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_NEW);
    assert_int_equal(units_apply(&p->ledger), 0);
    assert_null(find(p, &p->new));
    /* Nor does a person. */
    struct kit_record enrol = kit_enrol(&p->province, KIT_ANNA, ROSTER_OPERATOR, 0, "An", 0);
    assert_int_equal(kit_put(&p->province, &p->ledger, &enrol), LEDGER_NEW);
    r = kit_sign(&p->province, KIT_ANNA, 1, RECORD_UNIT, 0, body, (size_t)len);
    assert_int_equal(kit_put(&p->province, &p->ledger, &r), LEDGER_BAD_ROLE);
}

static void test_units_survive_a_restart(void **state)
{
    struct place *p = *state;
    struct unit unit = about(&p->old, "01879", "Xã Cao Minh");
    crown(p);
    unit.from_day = DAY_BEFORE;
    unit.until_day = DAY_REFORM;
    unit.revoked_after = 5;
    say(p, &unit);
    ledger_free(&p->ledger);
    assert_int_equal(ledger_init(&p->ledger, p->db), 0);
    const struct unit *got = &find(p, &p->old)->unit;
    assert_true(find(p, &p->province)->is_province && !find(p, &p->old)->is_province);
    assert_string_equal(got->code, "01879");
    assert_string_equal(got->name, "Xã Cao Minh");
    assert_int_equal(got->from_day, DAY_BEFORE);
    assert_int_equal(got->until_day, DAY_REFORM);
    assert_int_equal(find(p, &p->old)->roster.root_revoked_after, 5);
}

static void test_units_replaced_root_counts_to_its_last_good_number(void **state)
{
    struct place *p = *state;
    struct unit unit = about(&p->old, "01879", "Xã Cao Minh");
    crown(p);
    say(p, &unit);
    kit_put_root_log(&p->old, &p->ledger);
    uint32_t good = p->old.root_seq;
    struct kit_record r = kit_damage(&p->old, KIT_ANNA, 1, 1, 3);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_NEW);
    /* The thief enrols somebody who reports, and takes Anna's village and word. */
    r = kit_enrol(&p->old, KIT_STRANGER, ROSTER_MEMBER, 4, "Kẻ gian", 0);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_NEW);
    r = kit_damage(&p->old, KIT_STRANGER, 1, 1, 1000);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_NEW);
    r = kit_enrol(&p->old, KIT_ANNA, ROSTER_MEMBER, 9, "Nguyễn Thị An", 1);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_NEW);
    assert_int_equal(figure(p, &p->old), 1000);
    unit.revoked_after = good + 1;
    say(p, &unit);
    assert_int_equal(figure(p, &p->old), 3);
    assert_int_equal(roster_find(&find(p, &p->old)->roster, KIT_ANNA)->entry.village, 3);
    r = kit_damage(&p->old, KIT_STRANGER, 2, 1, 2000);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_UNKNOWN_AUTHOR);
    r = kit_enrol(&p->old, KIT_STRANGER, ROSTER_MEMBER, 5, "Kẻ gian", 0);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_REVOKED);
    /* The new root under the same code. */
    unit = about(&p->new, "01879", "Xã Cao Minh");
    say(p, &unit);
    const struct ledger_commune *now = units_now(&p->ledger, find(p, &p->old), DAY_REFORM);
    assert_ptr_equal(now, find(p, &p->new));
    /* Said too early: more of the old root's log is good after all, and so is what was held back
     * of those it enrolled. */
    unit = about(&p->old, "01879", "Xã Cao Minh");
    unit.revoked_after = good + 3;
    say(p, &unit);
    assert_int_equal(figure(p, &p->old), 2000);
}

static void test_units_merged_communes_are_one_sum(void **state)
{
    struct place *p = *state;
    crown(p);
    struct unit gone = about(&p->old, "01879", "Xã Cao Minh");
    struct unit stays = about(&p->new, "01879", "Xã Bắc Lý"); /* the code is used again */
    gone.until_day = stays.from_day = DAY_REFORM;
    snprintf(gone.into, sizeof gone.into, "01879");
    say(p, &gone);
    say(p, &stays);
    kit_put_root_log(&p->old, &p->ledger);
    kit_put_root_log(&p->new, &p->ledger);
    struct kit_record r = kit_damage(&p->old, KIT_ANNA, 1, 1, 3);
    assert_int_equal(kit_put(&p->old, &p->ledger, &r), LEDGER_NEW);
    r = kit_damage(&p->new, KIT_ANNA, 1, 1, 4);
    assert_int_equal(kit_put(&p->new, &p->ledger, &r), LEDGER_NEW);
    const struct ledger_commune *old = find(p, &p->old);
    assert_ptr_equal(units_now(&p->ledger, old, DAY_REFORM - 1), old);
    assert_ptr_equal(units_now(&p->ledger, old, DAY_REFORM), find(p, &p->new));
    struct books_query q = { .ledger = &p->ledger, .language = LANG_EN, .now_ms = KIT_NOW_MS,
                             .commune = "Xã Bắc Lý" };
    struct books b;
    struct strbuf text = { .text = NULL };
    assert_int_equal(books_collect(&q, &b), 0);
    assert_int_equal(b.totals.sum_count, 1);
    assert_int_equal(b.totals.sums[0].value, 7);
    assert_int_equal(b.totals.sums[0].village_count, 2);
    assert_int_equal(books_text(&q, &b, &text), 0);
    assert_non_null(strstr(text.text, "Xã Bắc Lý (Xã Cao Minh)  Village 3"));
    assert_non_null(strstr(text.text, "= 2 villages"));
    strbuf_free(&text);
    books_free(&b);
    q.as_of_ms = 1; /* before anything was here, and before the reform */
    assert_int_equal(books_collect(&q, &b), 0);
    assert_int_equal(b.totals.row_count, 0);
    books_free(&b);
}

static void test_units_days(void **state)
{
    (void)state;
    static const struct { const char *text; bool good; uint32_t day; } CASES[] = {
        { "2026-01-01", true, 0 }, { "2026-07-01", true, 181 }, { "2028-02-29", true, 789 },
        { "2025-07-01", true, 0 }, { "2026-02-29", false, 0 }, { "2026-7-1", false, 0 },
        { "2026-07-01x", false, 0 }, { "", false, 0 }, { "hôm nay", false, 0 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint32_t day = 0;
        char again[UNITS_DATE_LEN];
        if (units_day_parse(CASES[i].text, &day) != CASES[i].good || day != CASES[i].day)
            fail_msg("%s: %u", CASES[i].text, (unsigned)day);
        units_day_format(day, again);
        if (CASES[i].good && day > 0)
            assert_string_equal(again, CASES[i].text);
    }
    /* They begin at midnight in Vietnam, which is 17:00 UTC. */
    static const struct { const char *time; uint32_t day; } MOMENTS[] = {
        { "2026-01-01T00:00", 0 }, { "2026-01-01T23:59", 0 }, { "2026-06-30T23:59", 180 },
        { "2026-07-01T00:00", 181 }, { "2026-07-01T06:59", 181 }, { "2026-07-01T23:59", 181 },
    };
    for (size_t i = 0; i < sizeof MOMENTS / sizeof MOMENTS[0]; i++) {
        int64_t ms;
        assert_true(lang_time_parse(MOMENTS[i].time, &ms));
        assert_int_equal(units_day_of_ms(ms), MOMENTS[i].day);
    }
}

int main(void)
{
#define UNITS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        UNITS_TEST(test_units_trust_by_the_provinces_word_only),
        UNITS_TEST(test_units_survive_a_restart),
        UNITS_TEST(test_units_replaced_root_counts_to_its_last_good_number),
        UNITS_TEST(test_units_merged_communes_are_one_sum),
        UNITS_TEST(test_units_days),
    };
    return kit_run_on_both(tests);
}
