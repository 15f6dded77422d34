#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/catalogue.h"
#include "proto/record.h"
#include "proto/report.h"

static struct catalogue *cat;

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
        assert_in_range(item->number, 1, REPORT_CODE_MAX);
        assert_ptr_equal(catalogue_get(cat, item->kind, item->number), item);
        assert_ptr_equal(catalogue_find(cat, item->kind, item->code), item);
        if (item->quick_report) {
            assert_ptr_equal(catalogue_find(cat, item->kind, item->alias_vi), item);
            assert_ptr_equal(catalogue_find(cat, item->kind, item->alias_en), item);
            assert_in_range(item->number, 1, 127);
            one_byte++;
        }
        assert_true(item->state_count > 0 || *item->unit);
        damage += item->kind == RECORD_DAMAGE;
        quick_damage += item->kind == RECORD_DAMAGE && item->quick_report;
    }
    assert_int_equal(damage, 288);
    assert_int_equal(quick_damage, 75);
    assert_true(one_byte > 150);
    for (uint8_t kind = RECORD_DAMAGE; kind <= RECORD_SAFE; kind++)
        assert_non_null(catalogue_get(cat, kind, 1));
    assert_string_equal(cat->version, "2026.1");
    assert_string_equal(cat->valid_from, "2026-01-01");
    for (size_t i = 0; i < cat->hazard_count; i++) {
        assert_in_range(cat->hazards[i].number, 1, REPORT_HAZARD_MAX);
        assert_ptr_equal(catalogue_hazard_get(cat, cat->hazards[i].number), &cat->hazards[i]);
        assert_ptr_equal(catalogue_hazard_find(cat, cat->hazards[i].alias_vi), &cat->hazards[i]);
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
        const struct catalogue_item *item = catalogue_find(cat, cases[i].kind, cases[i].name);
        if (!item != !cases[i].code || (item && strcmp(item->code, cases[i].code) != 0))
            fail_msg("'%s': %s", cases[i].name, item ? item->code : "none");
    }
    assert_int_equal(catalogue_hazard_find(cat, "lũ ống")->number, 5);
    assert_int_equal(catalogue_hazard_find(cat, "Sạt lở")->number, 7);
    assert_null(catalogue_hazard_find(cat, "nha_sap"));

    /* No length of a name may reach past the buffer it is folded into. */
    const struct catalogue_item *items[CATALOGUE_SUGGESTION_COUNT_MAX];
    char longest[300] = "";
    for (size_t len = 0; len + 1 < sizeof longest; len++) {
        longest[len] = 'z';
        longest[len + 1] = 0;
        assert_null(catalogue_find(cat, RECORD_DAMAGE, longest));
        catalogue_suggest(cat, RECORD_DAMAGE, longest, items, CATALOGUE_SUGGESTION_COUNT_MAX);
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
        size_t count = catalogue_suggest(cat, cases[i].kind, cases[i].typed, items,
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
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "nha_sa", items, 3), 2);
    assert_string_equal(items[0]->code, "NH01");
    assert_string_equal(items[1]->code, "OP06");
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "cau_tre", items, 3), 1);
    assert_string_equal(items[0]->code, "GT05");
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "nha", items, 2), 2);
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "nha", items, 0), 0);
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "quetzalcoatl", items, 3), 0);
    assert_int_equal(catalogue_suggest(cat, RECORD_DAMAGE, "", items, 3), 0);
    const struct catalogue_hazard *hazards[CATALOGUE_SUGGESTION_COUNT_MAX];
    assert_true(catalogue_hazard_suggest(cat, "sat_l0", hazards, 3) > 0);
    assert_int_equal(hazards[0]->number, 7);
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
        const struct catalogue_item *item = catalogue_find(cat, cases[i].kind, cases[i].name);
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
    };
    char buf[CATALOGUE_VALUE_LEN];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct catalogue_item *item = catalogue_find(cat, RECORD_DAMAGE, cases[i].name);
        size_t len = catalogue_value_format(item, cases[i].value, CATALOGUE_VI, true, buf,
                                            sizeof buf);
        assert_string_equal(buf, cases[i].vi);
        assert_int_equal(len, strlen(buf));
        catalogue_value_format(item, cases[i].value, CATALOGUE_EN, true, buf, sizeof buf);
        assert_string_equal(buf, cases[i].en);
    }
    const struct catalogue_item *bridge = catalogue_find(cat, RECORD_ACCESS, "cau");
    catalogue_value_format(bridge, 2, CATALOGUE_VI, true, buf, sizeof buf);
    assert_string_equal(buf, "cắt");
    catalogue_value_format(bridge, 2, CATALOGUE_EN, false, buf, sizeof buf);
    assert_string_equal(buf, "cut");
    catalogue_value_format(bridge, 9, CATALOGUE_VI, true, buf, sizeof buf);
    assert_string_equal(buf, "9");
    catalogue_value_format(NULL, 12, CATALOGUE_VI, true, buf, sizeof buf);
    assert_string_equal(buf, "12");
    assert_int_equal(catalogue_value_format(NULL, 123456, CATALOGUE_VI, true, buf, 4), 6);
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
        { "size=1\n", HEADER, HAZARDS, CATALOGUE_EFORM, "VERSION: only" },
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
          "damage 1 stands there twice" },
        { VERSION, HEADER GOOD_ROW "damage,2,B,g,v,e,Nhà-Sập,b,u,u,0,no,src,\n", HAZARDS,
          CATALOGUE_EFORM, "'nha_sap' stands for two rows" },
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
          CATALOGUE_EFORM, "hazard 1 stands there twice" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dir[] = "/tmp/keng-catalogue-XXXXXX", err[CATALOGUE_ERR_LEN] = "";
        struct catalogue *loaded;
        assert_non_null(mkdtemp(dir));
        if (cases[i].version)
            write_file(dir, "VERSION", cases[i].version);
        write_file(dir, "indicators.csv", cases[i].items);
        write_file(dir, "hazards.csv", cases[i].hazards);
        int got = catalogue_load(dir, &loaded, err, sizeof err);
        remove_dir(dir);
        if (got != cases[i].want || !strstr(err, cases[i].says))
            fail_msg("case %zu: %d, \"%s\", wanted %d, \"%s\"", i, got, err, cases[i].want,
                     cases[i].says);
        assert_true((loaded != NULL) == (got == CATALOGUE_OK));
        catalogue_free(loaded);
    }
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
    const struct village *v = villages_find(villages, "nà lẹng");
    assert_non_null(v);
    assert_int_equal(v->number, 1);
    assert_string_equal(v->name, "Nà Lẹng");
    assert_in_range(v->lat_e5, 2100000, 2300000);
    assert_in_range(v->lon_e5, 10500000, 10700000);
    assert_ptr_equal(villages_find(villages, "Na-Leng"), v);
    assert_ptr_equal(villages_find(villages, "1"), v);
    assert_ptr_equal(villages_get(villages, 1), v);
    assert_null(villages_find(villages, "9"));
    assert_null(villages_find(villages, "Nà"));
    const struct village *near[CATALOGUE_SUGGESTION_COUNT_MAX];
    assert_true(villages_suggest(villages, "Khuoi Na", near, 3) > 0);
    assert_string_equal(near[0]->name, "Khuổi Mạ");
    villages_free(villages);
}

/* What a village was called stands beside what it is called; one that is no more keeps its name. */
static void test_catalogue_villages_have_a_history(void **state)
{
    static const char ROWS[] = "number,name,lat,lon,households,people,until\n"
                               "1,Nà Mới,,,0,0,\n1,Nà Cũ,,,0,0,2026-06-30\n"
                               "1,Nà Xưa,,,0,0,2020-12-31\n2,Bản Tan,,,0,0,2026-06-30\n";
    static const struct { uint32_t number; const char *day, *name; } CASES[] = {
        { 1, "2020-12-31", "Nà Xưa" }, { 1, "2021-01-01", "Nà Cũ" }, { 1, "2026-06-30", "Nà Cũ" },
        { 1, "2026-07-01", "Nà Mới" }, { 2, "2026-06-30", "Bản Tan" },
        { 2, "2026-07-01", "Bản Tan" },
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
        assert_string_equal(villages_at(villages, CASES[i].number, CASES[i].day)->name,
                            CASES[i].name);
    assert_int_equal(villages->count, 1); /* only what is may be chosen */
    assert_string_equal(villages_get(villages, 1)->name, "Nà Mới");
    assert_null(villages_find(villages, "Bản Tan"));
    assert_null(villages_at(villages, 3, "2026-01-01"));
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
        { "1,A,,,0,0\n1,B,,,0,0\n", CATALOGUE_EFORM, "village 1 stands there twice" },
        { "1,Nà,,,0,0\n2,NA,,,0,0\n", CATALOGUE_EFORM, "'na' stands for two rows" },
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
        cmocka_unit_test(test_catalogue_villages_of_the_demo_commune),
        cmocka_unit_test(test_catalogue_villages_have_a_history),
        cmocka_unit_test(test_catalogue_village_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, load_shipped, free_shipped);
}
