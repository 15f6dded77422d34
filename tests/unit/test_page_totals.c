#include "tests/unit/test_http_kit.h"

static struct catalogue *catalogue;

static const struct { uint32_t village, event, code; int64_t value; } REPORTS[] = {
    { 3, 1, 8, 1 }, { 5, 1, 8, 1 },     /* 2 houses in two villages */
    { 3, 2, 8, 9 },                     /* in one village: no sum of it */
    { 3, 2, 12, 40 }, { 5, 2, 12, 60 }, /* 100 in two */
};

static const char *find_after(const char *text, const char *words)
{
    const char *at = strstr(text, words);
    if (!at)
        fail_msg("no %s in %s", words, text);
    return at + strlen(words);
}

/* The first sum of an event may be left out; its heading may not. */
static void test_page_totals_sums_stand_under_their_event(void **state)
{
    struct place *p = *state;
    kit_put_root_log(&p->kit, &p->ledger);
    p->console.catalogue = catalogue;
    for (size_t i = 0; i < sizeof REPORTS / sizeof REPORTS[0]; i++) {
        struct report report = { .event = REPORTS[i].event, .village = REPORTS[i].village,
                                 .figure_count = 1,
                                 .figures = { { REPORTS[i].code, REPORTS[i].value } } };
        struct kit_record r =
            kit_report(&p->kit, KIT_ANNA, (uint32_t)i + 1, RECORD_DAMAGE, &report);
        assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_NEW);
    }
    struct reply *r = get(p, "/totals?lang=en");
    const char *at = find_after(r->text, "Event 1<");
    at = find_after(at, "<tr class=\"sum\">");
    at = find_after(at, "Event 2<");
    at = find_after(at, "<tr class=\"sum\">");
    find_after(at, "100");
    assert_null(strstr(at, "<tr class=\"sum\">"));
}

int main(void)
{
    char err[CATALOGUE_ERR_LEN];
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (catalogue_load("seeds/catalogue", &catalogue, err, sizeof err) != 0)
        return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_page_totals_sums_stand_under_their_event, set_up,
                                        tear_down),
    };
    int failed = kit_run_on_both(tests);
    catalogue_free(catalogue);
    return failed;
}
