#include "tests/unit/test_gateway_kit.h"

#include <jansson.h>

#include "gateway/export.h"
#include "gateway/quick.h"

static struct catalogue *catalogue;
static struct villages *villages;

struct desk {
    struct kit kit;
    struct ledger ledger;
    struct db *db;
    char dir[KIT_PATH_LEN];
};

static int open_desk(void **state)
{
    static struct desk d;
    kit_init(&d.kit, 5);
    kit_make_dir(d.dir);
    d.db = kit_open_db(d.dir, "quick.db");
    kit_open_ledger(&d.kit, d.db, &d.ledger);
    kit_put_root_log(&d.kit, &d.ledger);
    *state = &d;
    return 0;
}

static int close_desk(void **state)
{
    struct desk *d = *state;
    ledger_free(&d->ledger);
    db_close(d->db);
    kit_remove_dir(d->dir);
    return 0;
}

static void put(struct desk *d, const struct kit_record *r)
{
    assert_int_equal(kit_put(&d->kit, &d->ledger, r), LEDGER_NEW);
}

/* Houses 3 and rice 2.5 ha of one village, one of them withdrawn later; a road that is cut. */
static struct quick make_quick(struct desk *d, const struct quick *last)
{
    struct quick q = { .commune = 1, .event = 1, .hazard = 1, .from_ms = KIT_NOW_MS - 3600000,
                       .until_ms = KIT_NOW_MS };
    snprintf(q.course, sizeof q.course, "=cmd|' /C calc'!A0\nmưa \"lớn\", 300 mm");
    assert_int_equal(quick_fill(&q, &d->ledger, catalogue, villages, last), 0);
    return q;
}

static void put_reports(struct desk *d)
{
    struct report damage = { .event = 1, .figure_count = 2, .figures = { { 8, 3 }, { 18, 250 } } };
    struct report other = { .event = 1, .village = 77, .figure_count = 1, .figures = { { 8, 4 } } };
    struct report road = { .event = 1, .figure_count = 2, .figures = { { 1, 2 }, { 14, 0 } } };
    struct report drill = { .event = 1, .drill = true, .figure_count = 1,
                            .figures = { { 8, 99 } } };
    struct kit_record r[] = {
        kit_report(&d->kit, KIT_ANNA, 1, RECORD_DAMAGE, &damage),
        kit_report(&d->kit, KIT_ANNA, 2, RECORD_DAMAGE, &other),
        kit_report(&d->kit, KIT_ANNA, 3, RECORD_ACCESS, &road),
        kit_report(&d->kit, KIT_BINH, 1, RECORD_DAMAGE, &drill),
    };
    for (size_t i = 0; i < sizeof r / sizeof r[0]; i++)
        put(d, &r[i]);
}

/* A village that was renamed since is called as it was at the end of the period. */
static void test_quick_calls_villages_as_they_were(void **state)
{
    static const char ROWS[] = "number,name,lat,lon,households,people,until\n"
                               "3,Tên Mới,,,0,0,\n3,Tên Cũ,22.1,105.9,0,0,2026-11-18\n";
    struct desk *d = *state;
    char path[KIT_PATH_LEN + 16], err[CATALOGUE_ERR_LEN];
    struct villages *renamed, *now = villages;
    struct quick q;
    put_reports(d);
    snprintf(path, sizeof path, "%s/villages.csv", d->dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(ROWS, 1, sizeof ROWS - 1, file), sizeof ROWS - 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(villages_load(path, &renamed, err, sizeof err), 0);
    villages = renamed;
    q = make_quick(d, NULL); /* until 18 November 2026 */
    assert_string_equal(q.lines[0].village_name, "Tên Cũ");
    assert_int_equal(q.lines[0].lat_e5, 2210000);
    quick_free(&q);
    q = (struct quick){ .commune = 1, .event = 1, .until_ms = KIT_NOW_MS + 86400000 };
    assert_int_equal(quick_fill(&q, &d->ledger, catalogue, villages, NULL), 0);
    assert_string_equal(q.lines[0].village_name, "Tên Mới");
    quick_free(&q);
    villages = now;
    villages_free(renamed);
}

static void test_quick_document_comes_back_as_it_was(void **state)
{
    struct desk *d = *state;
    struct strbuf doc = { .text = NULL }, again = { .text = NULL };
    struct quick q, back;
    put_reports(d);
    q = make_quick(d, NULL);
    assert_int_equal(q.line_count, 5);
    assert_string_equal(q.lines[0].village_name, "Lũng Cằm");
    assert_string_equal(q.lines[1].words_vi, "2,5 ha");
    assert_string_equal(q.lines[1].words_en, "2.5 ha");
    assert_true(q.lines[2].is_state);
    assert_int_equal(q.lines[0].before, -1);
    assert_true(quick_to_json(&q, &doc));
    assert_true(quick_from_json(doc.text, &back));
    assert_true(quick_to_json(&back, &again));
    assert_string_equal(doc.text, again.text);
    /* A changed byte is another document, or none. */
    uint8_t hash[KENG_HASH_LEN], other[KENG_HASH_LEN];
    quick_hash(doc.text, hash);
    *strstr(doc.text, "\"value\":3") += 1;
    quick_hash(doc.text, other);
    assert_memory_not_equal(hash, other, sizeof hash);
    struct quick none;
    static const char *const BAD[] = { "", "{}", "[]", "{\"format\":1}",
                                       "{\"format\":2,\"lines\":[]}" };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_false(quick_from_json(BAD[i], &none));
    /* A text that is no UTF-8 is refused before it is stored. */
    strbuf_free(&again);
    again = (struct strbuf){ .text = NULL };
    snprintf(q.course, sizeof q.course, "\xff");
    assert_false(quick_to_json(&q, &again));
    strbuf_free(&doc);
    strbuf_free(&again);
    quick_free(&q);
    quick_free(&back);
}

static void test_quick_says_what_changed(void **state)
{
    struct desk *d = *state;
    struct quick_sum *sums;
    put_reports(d);
    struct quick first = make_quick(d, NULL);
    assert_false(quick_is_unchanged(&first));
    struct quick same = make_quick(d, &first);
    assert_true(quick_is_unchanged(&same)); /* "no new damage" is a report too */
    struct kit_record r = { .len = 0 };
    struct report more = { .event = 1, .figure_count = 1, .figures = { { 8, 9 } } };
    r = kit_report(&d->kit, KIT_ANNA, 4, RECORD_DAMAGE, &more);
    put(d, &r);
    struct quick next = make_quick(d, &first);
    assert_int_equal(quick_sums(&next, &sums), 2); /* houses, rice; states have no sum */
    assert_int_equal(sums[0].value, 13);
    assert_int_equal(sums[0].before, 7);
    assert_int_equal(sums[0].village_count, 2);
    assert_int_equal(sums[1].value, sums[1].before);
    free(sums);
    quick_free(&first);
    quick_free(&same);
    quick_free(&next);
}

static void test_quick_drills_stay_apart(void **state)
{
    struct desk *d = *state;
    put_reports(d);
    struct quick q = { .commune = 1, .event = 1, .drill = true, .until_ms = KIT_NOW_MS };
    struct strbuf text = { .text = NULL };
    assert_int_equal(quick_fill(&q, &d->ledger, catalogue, villages, NULL), 0);
    assert_int_equal(q.line_count, 1);
    assert_int_equal(q.lines[0].value, 99);
    assert_true(export_chat(&q, LANG_VI, &text));
    assert_ptr_equal(strstr(text.text, "DIỄN TẬP"), text.text);
    strbuf_free(&text);
    quick_free(&q);
}

/* ---- RFC 7946, by its rules ------------------------------------------------------------------ */

static void check_geojson(const char *text, size_t feature_count)
{
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "type")), "FeatureCollection");
    assert_null(json_object_get(root, "crs"));
    const json_t *features = json_object_get(root, "features");
    assert_int_equal(json_array_size(features), feature_count);
    for (size_t i = 0; i < feature_count; i++) {
        const json_t *f = json_array_get(features, i), *geometry = json_object_get(f, "geometry");
        assert_string_equal(json_string_value(json_object_get(f, "type")), "Feature");
        assert_true(json_is_object(json_object_get(f, "properties")));
        assert_true(json_is_null(geometry) || json_is_object(geometry));
        if (json_is_null(geometry))
            continue;
        const json_t *at = json_object_get(geometry, "coordinates");
        assert_string_equal(json_string_value(json_object_get(geometry, "type")), "Point");
        assert_int_equal(json_array_size(at), 2);
        double lon = json_real_value(json_array_get(at, 0)),
               lat = json_real_value(json_array_get(at, 1));
        assert_true(lon > 102 && lon < 110 && lat > 8 && lat < 24); /* longitude first */
    }
    json_decref(root);
}

static void test_quick_exports_keep_their_formats(void **state)
{
    struct desk *d = *state;
    struct strbuf csv = { .text = NULL }, hxl = { .text = NULL }, geo = { .text = NULL },
                  chat = { .text = NULL };
    put_reports(d);
    struct quick q = make_quick(d, NULL);
    assert_true(export_csv(&q, LANG_VI, &csv));
    assert_memory_equal(csv.text, "\xef\xbb\xbf", 3);
    assert_non_null(strstr(csv.text, "Xã Cao Minh 01879")); /* no cell of digits alone */
    assert_null(strstr(csv.text, ",01879,"));
    assert_non_null(strstr(csv.text, "tin 12-1"));
    assert_null(strstr(csv.text, ",12-1,"));
    assert_non_null(strstr(csv.text, ",2.50,ha,"));
    assert_true(export_hxl(&q, LANG_EN, &hxl));
    assert_non_null(strstr(hxl.text, "#date+reported,#event+id+num,"));
    assert_non_null(strstr(hxl.text, ",01879,"));
    assert_true(export_geojson(&q, LANG_VI, &geo));
    check_geojson(geo.text, 2); /* village 77 stands in no list: without a place, not left out */
    assert_true(export_chat(&q, LANG_VI, &chat));
    assert_non_null(strstr(chat.text, "mưa \"lớn\""));
    assert_non_null(strstr(chat.text, ": 7 cái"));
    assert_non_null(strstr(chat.text, "Lũng Cằm: Đường vào thôn"));
    strbuf_free(&csv);
    strbuf_free(&hxl);
    strbuf_free(&geo);
    strbuf_free(&chat);
    quick_free(&q);
}

/* A name that a spreadsheet would run. */
static void test_quick_csv_disarms_formulas(void **state)
{
    struct quick_line line = { .kind = RECORD_DAMAGE, .code = 1, .village_name = "=1+1",
                               .name_vi = "@SUM(A1)" };
    struct quick q = { .lines = &line, .line_count = 1, .commune_name = "-2" };
    struct strbuf csv = { .text = NULL };
    (void)state;
    assert_true(export_csv(&q, LANG_VI, &csv));
    assert_non_null(strstr(csv.text, ",'=1+1,"));
    assert_non_null(strstr(csv.text, ",'@SUM(A1),"));
    assert_non_null(strstr(csv.text, ",'-2 ,"));
    strbuf_free(&csv);
}

static int note_doc(void *ctx, const struct db_quick *quick)
{
    *(struct db_quick *)ctx = *quick;
    return 0;
}

static void test_quick_signed_row_stays(void **state)
{
    struct desk *d = *state;
    struct db_quick row = { .commune = 1, .event = 1, .until_ms = 5, .doc = "draft" }, got;
    int64_t id, again;
    assert_int_equal(db_quick_put(d->db, &row, &id), 0);
    row.id = id;
    row.number = 1;
    row.doc = "signed";
    assert_int_equal(db_quick_put(d->db, &row, &again), 0);
    assert_int_equal(again, id);
    row.doc = "changed";
    assert_int_equal(db_quick_put(d->db, &row, &again), DB_ENOTFOUND);
    got = (struct db_quick){ .id = 0 };
    assert_int_equal(db_quick_last(d->db, 1, 1, false, note_doc, &got), 0);
    assert_int_equal(got.id, id);
    got = (struct db_quick){ .id = 0 };
    assert_int_equal(db_quick_last(d->db, 1, 1, true, note_doc, &got), 0);
    assert_int_equal(got.id, 0);
    assert_int_equal(db_quick_list(d->db, 1, 5, note_doc, &got), 0);
    assert_int_equal(got.id, id);
}

int main(void)
{
    char err[CATALOGUE_ERR_LEN];
    if (catalogue_load("seeds/catalogue", &catalogue, err, sizeof err) != 0 ||
        villages_load("seeds/demo/villages.csv", &villages, err, sizeof err) != 0)
        return 2;
#define QUICK_TEST(name) cmocka_unit_test_setup_teardown(name, open_desk, close_desk)
    const struct CMUnitTest tests[] = {
        QUICK_TEST(test_quick_document_comes_back_as_it_was),
        QUICK_TEST(test_quick_calls_villages_as_they_were),
        QUICK_TEST(test_quick_says_what_changed),
        QUICK_TEST(test_quick_drills_stay_apart),
        QUICK_TEST(test_quick_exports_keep_their_formats),
        cmocka_unit_test(test_quick_csv_disarms_formulas),
        QUICK_TEST(test_quick_signed_row_stays),
    };
    int failed = kit_run_on_both(tests);
    catalogue_free(catalogue);
    villages_free(villages);
    return failed;
}
