#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/catalogue.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/report.h"

static const int64_t LATEST = CATALOGUE_LATEST;
static struct catalogue *cat;

/* Midnight in Vietnam. */
static int64_t day_ms(int year, int month, int day)
{
    struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
    return ((int64_t)timegm(&tm) - VIETNAM_OFFSET_S) * 1000;
}

static int load_shipped(void **state)
{
    (void)state;
    char err[CATALOGUE_ERR_LEN] = "";
    if (catalogue_load("seeds/catalogue", &cat, err, sizeof err) < 0) {
        print_error("%s (run from the top of the tree)\n", err);
        return -1;
    }
    return 0;
}

static int free_shipped(void **state)
{
    (void)state;
    catalogue_free(cat);
    return 0;
}

static void test_catalogue_shipped_rows_are_complete(void **state)
{
    (void)state;
    size_t damage = 0, quick_damage = 0, one_byte = 0;
    for (size_t i = 0; i < cat->item_count; i++) {
        const struct catalogue_item *item = &cat->items[i];
        const uint8_t kind = item->row.kind;
        assert_in_range(item->row.number, 1, REPORT_CODE_MAX);
        assert_ptr_equal(catalogue_get(cat, kind, item->row.number, LATEST), item);
        assert_ptr_equal(catalogue_find(cat, kind, item->code, LATEST), item);
        if (item->quick_report) {
            assert_ptr_equal(catalogue_find(cat, kind, item->alias_vi, LATEST), item);
            assert_ptr_equal(catalogue_find(cat, kind, item->alias_en, LATEST), item);
            assert_in_range(item->row.number, 1, 127);
            one_byte++;
        }
        assert_true(item->state_count > 0 || *item->unit);
        damage += kind == RECORD_DAMAGE;
        quick_damage += kind == RECORD_DAMAGE && item->quick_report;
    }
    assert_int_equal(damage, 288);
    assert_int_equal(quick_damage, 75);
    assert_true(one_byte > 150);
    for (uint8_t kind = RECORD_DAMAGE; kind <= RECORD_SAFE; kind++)
        assert_non_null(catalogue_get(cat, kind, 1, LATEST));
    assert_string_equal(cat->version, "2026.1");
    assert_string_equal(cat->valid_from, "2026-01-01");
    for (size_t i = 0; i < cat->hazard_count; i++) {
        assert_in_range(cat->hazards[i].row.number, 1, REPORT_HAZARD_MAX);
        const struct catalogue_hazard *h = &cat->hazards[i];
        assert_ptr_equal(catalogue_hazard_get(cat, h->row.number, LATEST), h);
        assert_ptr_equal(catalogue_hazard_find(cat, h->alias_vi, LATEST), h);
    }
}

static void test_catalogue_names_fold_case_marks_and_separators(void **state)
{
    (void)state;
    static const struct { uint8_t kind; const char *name, *code; } cases[] = {
        { RECORD_DAMAGE, "nha_sap", "NH01" },
        { RECORD_DAMAGE, "Nhà-sập", "NH01" },
        { RECORD_DAMAGE, "NHÀ SẬP", "NH01" },
        { RECORD_DAMAGE, "Nha\xcc\x80 sa\xcc\xa3\xcc\x82p", "NH01" }, /* decomposed */
        { RECORD_DAMAGE, "houses_destroyed", "NH01" },
        { RECORD_DAMAGE, "houses-collapsed", "NH01" },
        { RECORD_DAMAGE, "nh01", "NH01" },
        { RECORD_DAMAGE, "nha_toc_mai", "OP05" },
        { RECORD_DAMAGE, "nha_hu_nang", "NH03" },
        { RECORD_DAMAGE, "lúa", "NLN01" },
        { RECORD_DAMAGE, "trau_bo", "CHN011" },
        { RECORD_DAMAGE, "đê", "TL02" },
        { RECORD_NEEDS, "gạo", "NC01" },
        { RECORD_NEEDS, "nuoc_uong", "NC10" },
        { RECORD_NEEDS, "Bạt", "NC40" },
        { RECORD_EVACUATION, "khẩu", "ST02" },
        { RECORD_RESCUE, "mac_ket", "CH01" },
        { RECORD_ACCESS, "cầu", "TC02" },
        { RECORD_ACCESS, "Sóng di động", "TC12" },
        { RECORD_SAFE, "people", "AT01" },
        { RECORD_NEEDS, "nha_sap", NULL },
        { RECORD_NOTE, "nha_sap", NULL },
        { 0, "bao", NULL },
        { RECORD_DAMAGE, "", NULL },
        { RECORD_DAMAGE, "nha_sap=3", NULL },
        { RECORD_DAMAGE, "\xff", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct catalogue_item *item = catalogue_find(cat, cases[i].kind, cases[i].name,
                                                           LATEST);
        if (!item != !cases[i].code || (item && strcmp(item->code, cases[i].code) != 0))
            fail_msg("'%s': %s", cases[i].name, item ? item->code : "none");
    }
    assert_int_equal(catalogue_hazard_find(cat, "lũ ống", LATEST)->row.number, 5);
    assert_int_equal(catalogue_hazard_find(cat, "Sạt lở", LATEST)->row.number, 7);
    assert_null(catalogue_hazard_find(cat, "nha_sap", LATEST));

    /* No length of a name may reach past the buffer it is folded into. */
    const struct catalogue_item *items[CATALOGUE_SUGGESTION_COUNT_MAX];
    char longest[300] = "";
    for (size_t len = 0; len + 1 < sizeof longest; len++) {
        longest[len] = 'z';
        longest[len + 1] = 0;
        assert_null(catalogue_find(cat, RECORD_DAMAGE, longest, LATEST));
        catalogue_suggest(cat, RECORD_DAMAGE, longest, LATEST, items,
                          CATALOGUE_SUGGESTION_COUNT_MAX);
    }
}

static void test_catalogue_suggests_what_was_meant(void **state)
{
    (void)state;
    static const struct { uint8_t kind; const char *typed, *want; } cases[] = {
        { RECORD_DAMAGE, "nha_sapp", "NH01" },
        { RECORD_DAMAGE, "nah_sap", "NH01" },
        { RECORD_DAMAGE, "houses_destroied", "NH01" },
        { RECORD_DAMAGE, "nha_tocmai", "OP05" },
        { RECORD_DAMAGE, "ngap", "NH05" },
        { RECORD_NEEDS, "goa", "NC01" },
        { RECORD_ACCESS, "song", "TC12" },
    };
    const struct catalogue_item *items[CATALOGUE_SUGGESTION_COUNT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count = catalogue_suggest(cat, cases[i].kind, cases[i].typed, LATEST, items,
                                         CATALOGUE_SUGGESTION_COUNT_MAX);
        bool found = false;
        for (size_t k = 0; k < count; k++) {
            found = found || !strcmp(items[k]->code, cases[i].want);
            for (size_t j = 0; j < k; j++)
                assert_ptr_not_equal(items[j], items[k]);
        }
        if (!found)
            fail_msg("'%s' does not suggest %s (%zu others)", cases[i].typed, cases[i].want, count);
    }
    /* "nha_sa": two names of one row are near, one nearer; the row comes once, and first. */
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "nha_sa", LATEST, items, 3), 2);
    assert_string_equal(items[0]->code, "NH01");
    assert_string_equal(items[1]->code, "OP06");
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "cau_tre", LATEST, items, 3), 1);
    assert_string_equal(items[0]->code, "GT05");
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "nha", LATEST, items, 2), 2);
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "nha", LATEST, items, 0), 0);
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "quetzalcoatl", LATEST, items, 3), 0);
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "", LATEST, items, 3), 0);
    const struct catalogue_hazard *hazards[CATALOGUE_SUGGESTION_COUNT_MAX];
    assert_true(catalogue_hazard_suggest(cat, "sat_l0", LATEST, hazards, 3) > 0);
    assert_int_equal(hazards[0]->row.number, 7);
}

static void test_catalogue_values_parse_exactly_or_say_why(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        const char *name, *text;
        int want;
        int64_t value;
    } cases[] = {
        { RECORD_DAMAGE, "nha_sap", "3", CATALOGUE_OK, 3 },
        { RECORD_DAMAGE, "nha_sap", "0", CATALOGUE_OK, 0 },
        { RECORD_DAMAGE, "nha_sap", "007", CATALOGUE_OK, 7 },
        { RECORD_DAMAGE, "nha_sap", "999999999999", CATALOGUE_OK, 999999999999 },
        { RECORD_DAMAGE, "nha_sap", "1000000000000", CATALOGUE_ERANGE, 0 },
        { RECORD_DAMAGE, "nha_sap", "99999999999999999999999999", CATALOGUE_ERANGE, 0 },
        { RECORD_DAMAGE, "nha_sap", "-1", CATALOGUE_ENEGATIVE, 0 },
        { RECORD_DAMAGE, "nha_sap", "1.5", CATALOGUE_EDECIMALS, 0 },
        { RECORD_DAMAGE, "nha_sap", "1.000", CATALOGUE_EDECIMALS, 0 },
        { RECORD_DAMAGE, "nha_sap", "", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "nha_sap", "+3", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "nha_sap", " 3", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "nha_sap", "3x", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "nha_sap", "1e3", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "lua", "6,5", CATALOGUE_OK, 650 },
        { RECORD_DAMAGE, "lua", "6.05", CATALOGUE_OK, 605 },
        { RECORD_DAMAGE, "lua", "6", CATALOGUE_OK, 600 },
        { RECORD_DAMAGE, "lua", "6.055", CATALOGUE_EDECIMALS, 0 },
        { RECORD_DAMAGE, "lua", "6.", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "lua", ".5", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "lua", "1.2.3", CATALOGUE_ENUMBER, 0 },
        { RECORD_DAMAGE, "lua", "99999999999", CATALOGUE_ERANGE, 0 },
        { RECORD_ACCESS, "do_sau", "2.5", CATALOGUE_OK, 25 },
        { RECORD_ACCESS, "cau", "cut", CATALOGUE_OK, 2 },
        { RECORD_ACCESS, "cau", "Cắt", CATALOGUE_OK, 2 },
        { RECORD_ACCESS, "cau", "nguy_hiem", CATALOGUE_OK, 1 },
        { RECORD_ACCESS, "cau", "thông", CATALOGUE_OK, 0 },
        { RECORD_ACCESS, "cau", "open", CATALOGUE_OK, 0 },
        { RECORD_ACCESS, "cau", "2", CATALOGUE_OK, 2 },
        { RECORD_ACCESS, "cau", "3", CATALOGUE_ESTATE, 0 },
        { RECORD_ACCESS, "cau", "-1", CATALOGUE_ESTATE, 0 },
        { RECORD_ACCESS, "cau", "broken", CATALOGUE_ESTATE, 0 },
        { RECORD_ACCESS, "cau", "", CATALOGUE_ESTATE, 0 },
        { RECORD_ACCESS, "cau", "/", CATALOGUE_ESTATE, 0 },
        { RECORD_ACCESS, "song_di_dong", "cut", CATALOGUE_OK, 2 },
        { RECORD_ACCESS, "song_di_dong", "mất", CATALOGUE_OK, 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct catalogue_item *item = catalogue_find(cat, cases[i].kind, cases[i].name,
                                                           LATEST);
        int64_t value = 0;
        assert_non_null(item);
        int got = catalogue_value_parse(item, cases[i].text, &value);
        if (got != cases[i].want || value != cases[i].value)
            fail_msg("%s=%s: %d, %lld", cases[i].name, cases[i].text, got, (long long)value);
    }
}

static void test_catalogue_values_read_well_in_both_languages(void **state)
{
    (void)state;
    static const struct { const char *name; int64_t value; const char *vi, *en; } cases[] = {
        { "lua", 650, "6,5 ha", "6.5 ha" },
        { "lua", 605, "6,05 ha", "6.05 ha" },
        { "lua", 600, "6 ha", "6 ha" },
        { "lua", 5, "0,05 ha", "0.05 ha" },
        { "lua", 0, "0 ha", "0 ha" },
        { "lua", -5, "-0,05 ha", "-0.05 ha" },
        { "lua", -605, "-6,05 ha", "-6.05 ha" },
        { "nha_sap", 10, "10 cái", "10" },
        { "nha_sap", 999, "999 cái", "999" },
        { "nha_sap", 1250, "1.250 cái", "1,250" },
        { "lua", 123456705, "1.234.567,05 ha", "1,234,567.05 ha" },
        { "lua", -125000, "-1.250 ha", "-1,250 ha" },
    };
    char buf[CATALOGUE_VALUE_LEN];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct catalogue_item *item = catalogue_find(cat, RECORD_DAMAGE, cases[i].name,
                                                           LATEST);
        size_t len = catalogue_value_format(item, cases[i].value, CATALOGUE_VI, true, buf,
                                            sizeof buf);
        assert_string_equal(buf, cases[i].vi);
        assert_int_equal(len, strlen(buf));
        catalogue_value_format(item, cases[i].value, CATALOGUE_EN, true, buf, sizeof buf);
        assert_string_equal(buf, cases[i].en);
    }
    const struct catalogue_item *bridge = catalogue_find(cat, RECORD_ACCESS, "cau", LATEST);
    catalogue_value_format(bridge, 2, CATALOGUE_VI, true, buf, sizeof buf);
    assert_string_equal(buf, "cắt");
    catalogue_value_format(bridge, 2, CATALOGUE_EN, false, buf, sizeof buf);
    assert_string_equal(buf, "cut");
    catalogue_value_format(bridge, 9, CATALOGUE_VI, true, buf, sizeof buf);
    assert_string_equal(buf, "9");
    catalogue_value_format(NULL, 12, CATALOGUE_VI, true, buf, sizeof buf);
    assert_string_equal(buf, "12");
    assert_int_equal(catalogue_value_format(NULL, 123456, CATALOGUE_VI, false, buf, 4), 6);
    assert_string_equal(buf, "123");
}

/* ---- files with mistakes ------------------------------------------------------------------ */

#define HEADER \
    "kind,number,code,group,name_vi,name_en,short_vi,short_en,unit,unit_en,decimals," \
    "quick_report,basis,values\n"
#define GOOD_ROW "damage,1,NH01,Nhà,Nhà sập,Houses,nha_sap,houses,cái,,0,yes,src,\n"
#define HAZARDS "number,code,name_vi,name_en,short_vi\n1,BAO,Bão,Storm,bao\n"
#define VERSION "version=1\nvalid_from=2026-01-01\n"

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = { "VERSION", "indicators.csv", "hazards.csv" };
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(dir), 0);
}

static int load_texts(const char *version, const char *items, const char *hazards,
                      struct catalogue **loaded_out, char err[static CATALOGUE_ERR_LEN])
{
    char dir[] = "/tmp/keng-catalogue-XXXXXX";
    assert_non_null(mkdtemp(dir));
    if (version)
        write_file(dir, "VERSION", version);
    write_file(dir, "indicators.csv", items);
    write_file(dir, "hazards.csv", hazards);
    int got = catalogue_load(dir, loaded_out, err, CATALOGUE_ERR_LEN);
    remove_dir(dir);
    return got;
}

static void test_catalogue_mistakes_are_named_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *version, *items, *hazards;
        int want;
        const char *says;
    } cases[] = {
        { VERSION, HEADER GOOD_ROW, HAZARDS, CATALOGUE_OK, "" },
        { VERSION, HEADER, HAZARDS, CATALOGUE_OK, "" },
        { NULL, HEADER, HAZARDS, CATALOGUE_EFILE, "VERSION: cannot be read" },
        { "version=1\n", HEADER, HAZARDS, CATALOGUE_EFORM, "VERSION: needs" },
        { "\nsize=1\n", HEADER, HAZARDS, CATALOGUE_EFORM, "VERSION, line 2: only" },
        { "version=1\nvalid_from=2026-02-30\n", HEADER, HAZARDS, CATALOGUE_EFORM,
          "VERSION: needs" },
        { VERSION, "", HAZARDS, CATALOGUE_EFORM, "indicators.csv, line 1: empty" },
        { VERSION, "kind,number\n", HAZARDS, CATALOGUE_EFORM, "there is no column 'code'" },
        { VERSION, HEADER "damage,1\n", HAZARDS, CATALOGUE_EFORM, "line 2: 2 cells" },
        { VERSION, HEADER "\n" "harm,1,A,g,v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM,
          "line 3: 'harm' is no kind" },
        { VERSION, HEADER "note,1,A,g,v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM,
          "no kind" },
        { VERSION, HEADER "damage,0,A,g,v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM,
          "begin" },
        { VERSION, HEADER "damage,x,A,g,v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM, "'x'" },
        { VERSION, HEADER "damage,16384,A,g,v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM,
          "'16384': too large" },
        { VERSION, HEADER "damage,1,A,g,v,e,a,b,u,u,7,no,src,\n", HAZARDS, CATALOGUE_EFORM, "'7'" },
        { VERSION, HEADER "damage,1,A,g,v,e,a,b,u,u,0,maybe,src,\n", HAZARDS, CATALOGUE_EFORM,
          "not 'maybe'" },
        { VERSION, HEADER "damage,1,A,g,v,e,,b,u,u,0,yes,src,\n", HAZARDS, CATALOGUE_EFORM,
          "needs short names" },
        { VERSION, HEADER "damage,1,,g,v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM,
          "must not be empty" },
        { VERSION, HEADER GOOD_ROW "damage,1,B,g,v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM,
          "line 3: damage 1 stands there twice for the same days, also in line 2" },
        { VERSION, HEADER GOOD_ROW "damage,2,B,g,v,e,Nhà-Sập,b,u,u,0,no,src,\n", HAZARDS,
          CATALOGUE_EFORM, "line 3: the name 'nha_sap' stands for two rows, also in line 2" },
        { VERSION, HEADER GOOD_ROW "needs,1,B,g,v,e,nha_sap,b,u,u,0,no,src,\n", HAZARDS,
          CATALOGUE_OK, "" },
        { VERSION, HEADER "access,1,A,g,v,e,a,b,,,0,no,src,0=x\n", HAZARDS, CATALOGUE_EFORM,
          "Vietnamese and an English" },
        { VERSION, HEADER "access,1,A,g,v,e,a,b,,,0,no,src,1=x|y;0=z|w\n", HAZARDS,
          CATALOGUE_EFORM, "ascending" },
        { VERSION, HEADER "access,1,A,g,v,e,a,b,,,0,no,src,x\n", HAZARDS, CATALOGUE_EFORM,
          "states are written" },
        { VERSION, HEADER "damage,1,A,g,\"v,e,a,b,u,u,0,no,src,\n", HAZARDS, CATALOGUE_EFORM,
          "not closed" },
        { VERSION, HEADER, "number,code,name_vi,name_en,short_vi\n1,A,,e,s\n", CATALOGUE_EFORM,
          "hazards.csv, line 2: code and names" },
        { VERSION, HEADER, "number,code,name_vi,name_en,short_vi\n128,A,v,e,s\n", CATALOGUE_EFORM,
          "too large" },
        { VERSION, HEADER, "number,code,name_vi,name_en,short_vi\n1,A,v,e,s\n1,B,v,e,t\n",
          CATALOGUE_EFORM, "hazards.csv, line 3: hazard 1 stands there twice" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char err[CATALOGUE_ERR_LEN] = "";
        struct catalogue *loaded;
        int got = load_texts(cases[i].version, cases[i].items, cases[i].hazards, &loaded, err);
        if (got != cases[i].want || !strstr(err, cases[i].says))
            fail_msg("case %zu: %d, \"%s\", wanted %d, \"%s\"", i, got, err, cases[i].want,
                     cases[i].says);
        assert_true((loaded != NULL) == (got == CATALOGUE_OK));
        catalogue_free(loaded);
    }
}

/* ---- what changes ------------------------------------------------------------------------- */

#define DATED \
    "kind,number,code,group,name_vi,name_en,short_vi,short_en,unit,unit_en,decimals," \
    "quick_report,basis,values,from,until\n"
#define ROW(kind, number, code, name, names, unit, from, until) \
    kind "," number "," code ",g," name "," name "," names ",," unit ",,0,no,src,," from ","       \
         until "\n"

/* One number under three names, one that ended, one that is to come. */
static const char HISTORY[] =
    DATED ROW("damage", "1", "NH01", "Now", "now", "cái", "", "")
    ROW("damage", "1", "NH01", "Then", "then both", "cái", "2024-01-01", "2026-06-30")
    ROW("damage", "1", "OLD1", "Once", "once", "cái", "", "2020-12-31")
    ROW("damage", "2", "NH02", "Ended", "ended", "ha", "", "2026-06-30")
    ROW("damage", "3", "NH03", "Coming", "coming both", "kg", "2027-01-01", "");

static void test_catalogue_indicators_have_a_history(void **state)
{
    const int64_t in_2026 = day_ms(2026, 11, 22);
    const struct {
        uint32_t number;
        int64_t at_ms;
        const char *name;
        bool holds;
    } cases[] = {
        { 1, INT64_MIN, "Once", true }, { 1, day_ms(2021, 1, 1) - 1, "Once", true },
        { 1, day_ms(2021, 1, 1), "Then", false }, /* nobody said: what came next */
        { 1, day_ms(2024, 1, 1) - 1, "Then", false }, { 1, day_ms(2024, 1, 1), "Then", true },
        { 1, day_ms(2026, 7, 1) - 1, "Then", true }, { 1, day_ms(2026, 7, 1), "Now", true },
        { 1, LATEST, "Now", true }, { 2, day_ms(2026, 7, 1) - 1, "Ended", true },
        { 2, day_ms(2026, 7, 1), "Ended", false }, { 2, LATEST, "Ended", false },
        { 3, in_2026, "Coming", false }, { 3, day_ms(2027, 1, 1), "Coming", true },
    };
    static const struct { const char *name; uint32_t number; bool holds; } names[] = {
        { "now", 1, true }, { "then", 1, true }, { "once", 1, true }, { "old1", 1, true },
        { "both", 1, true }, /* not "Coming": it has not begun, and 1 is understood by it */
        { "ended", 2, false }, { "coming", 3, false },
    };
    const struct catalogue_item *near[CATALOGUE_SUGGESTION_COUNT_MAX];
    char err[CATALOGUE_ERR_LEN] = "";
    struct catalogue *loaded;
    (void)state;
    if (load_texts(VERSION, HISTORY, HAZARDS, &loaded, err) != CATALOGUE_OK)
        fail_msg("%s", err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct catalogue_item *item =
            catalogue_get(loaded, RECORD_DAMAGE, cases[i].number, cases[i].at_ms);
        assert_non_null(item);
        if (strcmp(item->name_vi, cases[i].name) != 0 ||
            catalogue_holds(&item->row, cases[i].at_ms) != cases[i].holds)
            fail_msg("case %zu: %s", i, item->name_vi);
    }
    assert_null(catalogue_get(loaded, RECORD_DAMAGE, 4, in_2026));
    assert_null(catalogue_get(loaded, RECORD_NEEDS, 1, in_2026));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct catalogue_item *item =
            catalogue_find(loaded, RECORD_DAMAGE, names[i].name, in_2026);
        assert_non_null(item);
        if (item->row.number != names[i].number ||
            catalogue_holds(&item->row, in_2026) != names[i].holds)
            fail_msg("'%s' is %u", names[i].name, item->row.number);
    }
    assert_int_equal(catalogue_suggest(loaded, RECORD_DAMAGE, "endet", in_2026, near, 3), 0);
    assert_int_equal(catalogue_suggest(loaded, RECORD_DAMAGE, "endet", day_ms(2026, 6, 30), near,
                                       3), 1);
    catalogue_free(loaded);
}

static void test_catalogue_meanings_never_change(void **state)
{
    static const struct { const char *rows, *says; } cases[] = {
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-06-30")
          ROW("damage", "1", "A", "m", "b", "cái", "", ""), "" },
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-06-30")
          ROW("damage", "1", "A", "m", "b", "ha", "", ""),
          "line 3: damage 1 has another unit, decimals or values in line 2" },
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-06-30")
          "damage,1,A,g,n,n,b,,cái,,1,no,src,,,\n", "line 3: damage 1 has another unit" },
        { "access,1,A,g,n,n,a,,,,0,no,src,0=x|y;1=z|w,,2026-06-30\n"
          "access,1,A,g,n,n,a,,,,0,no,src,0=x|y;2=z|w,,\n", "line 3: access 1 has another unit" },
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-06-30")
          ROW("needs", "2", "A", "m", "b", "cái", "2026-07-01", ""),
          "line 3: the code 'A' stands for something else in line 2" },
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-06-30")
          ROW("damage", "1", "A", "m", "a", "cái", "2026-06-30", ""),
          "line 3: damage 1 stands there twice for the same days, also in line 2" },
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-06-30")
          ROW("damage", "2", "B", "m", "a", "cái", "2026-06-30", ""),
          "line 3: the name 'a' stands for two rows, also in line 2" },
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-06-30")
          ROW("damage", "2", "B", "m", "a", "cái", "2026-07-01", ""), "" },
        { ROW("damage", "1", "A", "n", "a", "cái", "", "2026-02-29"),
          "line 2: '2026-02-29' is no day such as 2026-07-01" },
        { ROW("damage", "1", "A", "n", "a", "cái", "1/7/2026", ""), "'1/7/2026' is no day" },
        { ROW("damage", "1", "A", "n", "a", "cái", "2026-07-01", "2026-06-30"),
          "line 2: ends before it begins" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char items[1024], err[CATALOGUE_ERR_LEN] = "";
        struct catalogue *loaded;
        snprintf(items, sizeof items, "%s%s", DATED, cases[i].rows);
        int got = load_texts(VERSION, items, HAZARDS, &loaded, err);
        if ((got == CATALOGUE_OK) != (*cases[i].says == '\0') || !strstr(err, cases[i].says))
            fail_msg("case %zu: %d, \"%s\", wanted \"%s\"", i, got, err, cases[i].says);
        catalogue_free(loaded);
    }
}

static void test_catalogue_hazards_have_a_history(void **state)
{
    static const char ROWS[] = "number,code,name_vi,name_en,short_vi,until\n"
                               "1,BAO,Bão,Storm,bao,\n1,BAO,Bão cũ,Old storm,bao,2026-06-30\n";
    char err[CATALOGUE_ERR_LEN] = "";
    struct catalogue *loaded;
    (void)state;
    if (load_texts(VERSION, HEADER, ROWS, &loaded, err) != CATALOGUE_OK)
        fail_msg("%s", err);
    assert_string_equal(catalogue_hazard_get(loaded, 1, day_ms(2026, 6, 30))->name_en, "Old storm");
    assert_string_equal(catalogue_hazard_find(loaded, "bao", day_ms(2026, 7, 1))->name_en, "Storm");
    catalogue_free(loaded);
}

/* ---- villages ----------------------------------------------------------------------------- */

static void test_catalogue_villages_of_the_demo_commune(void **state)
{
    (void)state;
    char err[CATALOGUE_ERR_LEN] = "";
    struct villages *villages;
    if (villages_load("seeds/demo/villages.csv", &villages, err, sizeof err) < 0)
        fail_msg("%s", err);
    assert_int_equal(villages->count, 8);
    const struct village *v = villages_find(villages, "nà lẹng", LATEST);
    assert_non_null(v);
    assert_int_equal(v->row.number, 1);
    assert_string_equal(v->name, "Nà Lẹng");
    assert_in_range(v->lat_e5, 2100000, 2300000);
    assert_in_range(v->lon_e5, 10500000, 10700000);
    assert_ptr_equal(villages_find(villages, "Na-Leng", LATEST), v);
    assert_ptr_equal(villages_find(villages, "1", LATEST), v);
    assert_ptr_equal(villages_get(villages, 1, LATEST), v);
    assert_null(villages_find(villages, "9", LATEST));
    assert_null(villages_find(villages, "Nà", LATEST));
    const struct village *near[CATALOGUE_SUGGESTION_COUNT_MAX];
    assert_true(villages_suggest(villages, "Khuoi Na", LATEST, near, 3) > 0);
    assert_string_equal(near[0]->name, "Khuổi Mạ");
    villages_free(villages);
}

/* What a village was called stands beside what it is called; one that is no more keeps its name. */
static void test_catalogue_villages_have_a_history(void **state)
{
    static const char ROWS[] = "number,name,lat,lon,households,people,until\n"
                               "1,Nà Mới,,,0,0,\n1,Nà Cũ,,,0,0,2026-06-30\n"
                               "1,Nà Xưa,,,0,0,2020-12-31\n2,Bản Tan,,,0,0,2026-06-30\n";
    const struct { uint32_t number; int64_t at_ms; const char *name; } CASES[] = {
        { 1, day_ms(2020, 12, 31), "Nà Xưa" }, { 1, day_ms(2021, 1, 1), "Nà Cũ" },
        { 1, day_ms(2026, 7, 1) - 1, "Nà Cũ" }, { 1, day_ms(2026, 7, 1), "Nà Mới" },
        { 2, day_ms(2026, 7, 1) - 1, "Bản Tan" }, { 2, day_ms(2026, 7, 1), "Bản Tan" },
    };
    char path[] = "/tmp/keng-villages-XXXXXX", err[CATALOGUE_ERR_LEN] = "";
    struct villages *villages;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, ROWS, sizeof ROWS - 1), sizeof ROWS - 1);
    close(fd);
    assert_int_equal(villages_load(path, &villages, err, sizeof err), 0);
    unlink(path);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_string_equal(villages_get(villages, CASES[i].number, CASES[i].at_ms)->name,
                            CASES[i].name);
    assert_string_equal(villages_find(villages, "Nà Cũ", LATEST)->name, "Nà Mới");
    assert_false(catalogue_holds(&villages_find(villages, "Bản Tan", LATEST)->row, LATEST));
    assert_null(villages_get(villages, 3, LATEST));
    villages_free(villages);
}

static void test_catalogue_village_mistakes_are_named(void **state)
{
    (void)state;
    static const struct { const char *rows; int want; const char *says; } cases[] = {
        { "1,A,,,0,0\n", CATALOGUE_OK, "" },
        { "1,A,-22.5,-105,0,0\n", CATALOGUE_OK, "" },
        { "0,A,,,0,0\n", CATALOGUE_EFORM, "line 2: numbers begin" },
        { "1,,,,0,0\n", CATALOGUE_EFORM, "no name" },
        { "1,A,91,0,0,0\n", CATALOGUE_EFORM, "'91': too large" },
        { "1,A,--1,0,0,0\n", CATALOGUE_EFORM, "'--1'" },
        { "1,A,1.123456,0,0,0\n", CATALOGUE_EFORM, "decimals" },
        { "1,A,,,x,0\n", CATALOGUE_EFORM, "'x': not a plain number" },
        { "1,A,,,0,0\n1,B,,,0,0\n", CATALOGUE_EFORM, "line 3: village 1 stands there twice" },
        { "1,Nà,,,0,0\n2,NA,,,0,0\n", CATALOGUE_EFORM,
          "line 3: the name 'na' stands for two rows" },
        { "1,\xff,,,0,0\n", CATALOGUE_EFORM, "not UTF-8" },
    };
    char err[CATALOGUE_ERR_LEN];
    struct villages *villages;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[] = "/tmp/keng-villages-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        FILE *f = fdopen(fd, "w");
        assert_non_null(f);
        fprintf(f, "number,name,lat,lon,households,people\n%s", cases[i].rows);
        assert_int_equal(fclose(f), 0);
        err[0] = 0;
        int got = villages_load(path, &villages, err, sizeof err);
        unlink(path);
        if (got != cases[i].want || !strstr(err, cases[i].says))
            fail_msg("case %zu: %d, \"%s\"", i, got, err);
        villages_free(villages);
    }
    assert_int_equal(villages_load("/nonexistent", &villages, err, sizeof err), CATALOGUE_EFILE);
    assert_null(villages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalogue_shipped_rows_are_complete),
        cmocka_unit_test(test_catalogue_names_fold_case_marks_and_separators),
        cmocka_unit_test(test_catalogue_suggests_what_was_meant),
        cmocka_unit_test(test_catalogue_values_parse_exactly_or_say_why),
        cmocka_unit_test(test_catalogue_values_read_well_in_both_languages),
        cmocka_unit_test(test_catalogue_mistakes_are_named_with_file_and_line),
        cmocka_unit_test(test_catalogue_indicators_have_a_history),
        cmocka_unit_test(test_catalogue_meanings_never_change),
        cmocka_unit_test(test_catalogue_hazards_have_a_history),
        cmocka_unit_test(test_catalogue_villages_of_the_demo_commune),
        cmocka_unit_test(test_catalogue_villages_have_a_history),
        cmocka_unit_test(test_catalogue_village_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, load_shipped, free_shipped);
}
