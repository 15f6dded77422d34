#include "tests/unit/test_gateway_kit.h"

#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

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

static void write_text(const struct desk *d, const char *name, const char *text)
{
    char path[KIT_PATH_LEN + 16];
    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    kit_write_file(path, (const uint8_t *)text, strlen(text));
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
    write_text(d, "villages.csv", ROWS);
    snprintf(path, sizeof path, "%s/villages.csv", d->dir);
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
    first.number = 1;
    struct quick same = make_quick(d, &first);
    assert_int_equal(same.last_number, 1);
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

/* ---- what is no more ------------------------------------------------------------------------- */

/* Three houses of An's in village 3, four of Binh's in 77, and what a first report says of them. */
static struct quick sign_two_villages(struct desk *d)
{
    struct report ours = { .event = 1, .village = 3, .figure_count = 1, .figures = { { 8, 3 } } };
    struct report theirs = { .event = 1, .village = 77, .figure_count = 1,
                             .figures = { { 8, 4 } } };
    struct kit_record a = kit_report(&d->kit, KIT_ANNA, 1, RECORD_DAMAGE, &ours);
    struct kit_record b = kit_report(&d->kit, KIT_BINH, 1, RECORD_DAMAGE, &theirs);
    put(d, &a);
    put(d, &b);
    struct quick first = make_quick(d, NULL);
    first.number = 1;
    return first;
}

static void check_houses(const struct quick *q, int64_t value, int64_t before, uint32_t in_count)
{
    struct quick_sum *sums;
    assert_int_equal(quick_sums(q, &sums), 1);
    assert_int_equal(sums[0].value, value);
    assert_int_equal(sums[0].before, before);
    assert_int_equal(sums[0].village_count, in_count);
    free(sums);
    assert_false(quick_is_unchanged(q));
}

static void reject(struct desk *d, uint32_t seq, uint16_t author)
{
    struct kit_record no = kit_review(&d->kit, KIT_GATEWAY, seq, author, 1, REVIEW_REJECTED, "sai");
    put(d, &no);
}

static void test_quick_tells_what_was_withdrawn(void **state)
{
    struct desk *d = *state;
    struct strbuf doc = { .text = NULL };
    struct quick back, first = sign_two_villages(d);
    reject(d, 1, KIT_BINH);
    struct quick next = make_quick(d, &first);
    check_houses(&next, 3, 7, 1);
    assert_int_equal(next.line_count, 2);
    assert_true(next.lines[1].withdrawn);
    assert_int_equal(next.lines[1].before, 4);
    next.number = 2;
    assert_true(quick_to_json(&next, &doc));
    assert_true(quick_from_json(doc.text, &back));
    check_houses(&back, 3, 7, 1);
    strbuf_free(&doc);
    /* Said once: the one after that begins with what is left. */
    struct quick third = make_quick(d, &back);
    assert_int_equal(third.line_count, 1);
    assert_int_equal(third.lines[0].before, 3);
    assert_true(quick_is_unchanged(&third));
    quick_free(&third);
    reject(d, 2, KIT_ANNA);
    third = make_quick(d, &back);
    check_houses(&third, 0, 3, 0);
    quick_free(&first);
    quick_free(&next);
    quick_free(&back);
    quick_free(&third);
}

/* A report that belongs to another village is no new damage. */
static void test_quick_moves_figures_without_inventing_any(void **state)
{
    struct desk *d = *state;
    struct quick first = sign_two_villages(d);
    struct review review = { .state = REVIEW_CORRECTED, .ref_count = 1, .village = 5,
                             .refs = { { .seq = 1, .author = KIT_BINH } } };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&review, body, sizeof body);
    assert_true(len > 0);
    struct kit_record move = kit_sign(&d->kit, KIT_GATEWAY, 1, RECORD_REVIEW, 0, body, (size_t)len);
    put(d, &move);
    struct quick next = make_quick(d, &first);
    check_houses(&next, 7, 7, 2);
    assert_int_equal(next.line_count, 3);
    quick_free(&first);
    quick_free(&next);
}

/* Also on the line of what was withdrawn, or one sum would have two names.  What the catalogue
 * lacks keeps the name that the report before knew; new, it has its number. */
static void test_quick_calls_indicators_as_they_were(void **state)
{
    static const char ROWS[] =
        "kind,number,code,group,name_vi,name_en,short_vi,short_en,unit,unit_en,decimals,"
        "quick_report,basis,values,until\n"
        "damage,8,NH01,g,Nhà mới,New,a,b,cái,,0,yes,src,,\n"
        "damage,8,NH00,g,Nhà cũ,Old,a,b,cái,,0,yes,src,,2026-11-18\n";
    struct desk *d = *state;
    struct catalogue *now = catalogue, *renamed;
    char err[CATALOGUE_ERR_LEN];
    put_reports(d);
    write_text(d, "VERSION", "version=7\nvalid_from=2026-01-01\n");
    write_text(d, "indicators.csv", ROWS);
    write_text(d, "hazards.csv", "number,code,name_vi,name_en,short_vi\n");
    assert_int_equal(catalogue_load(d->dir, &renamed, err, sizeof err), 0);
    catalogue = renamed;
    struct quick q = make_quick(d, NULL); /* until 18 November 2026 */
    catalogue = now;
    assert_string_equal(q.catalogue, "7");
    assert_string_equal(q.lines[0].name_vi, "Nhà cũ");
    assert_string_equal(q.lines[0].official, "NH00");
    assert_string_equal(q.lines[1].name_en, "Damage 18 (not in the catalogue)");
    assert_string_equal(q.lines[1].name_vi, "Thiệt hại 18 (không có trong danh mục)");
    assert_int_equal(q.lines[1].value, 250);
    assert_true(q.lines[1].counted);
    reject(d, 1, KIT_ANNA);
    struct quick next = { .commune = 1, .event = 1, .until_ms = KIT_NOW_MS + 86400000 };
    q.number = 1;
    snprintf(q.lines[1].name_vi, sizeof q.lines[1].name_vi, "Lúa");
    assert_int_equal(quick_fill(&next, &d->ledger, renamed, villages, &q), 0);
    assert_true(next.lines[0].withdrawn && next.lines[1].withdrawn);
    assert_string_equal(next.lines[0].name_vi, "Nhà mới");
    assert_string_equal(next.lines[0].official, "NH01");
    assert_string_equal(next.lines[1].name_vi, "Lúa");
    quick_free(&q);
    quick_free(&next);
    catalogue_free(renamed);
}

/* "No new damage" needs a report before; then it may be said of nothing, too. */
static void test_quick_first_one_is_never_unchanged(void **state)
{
    struct desk *d = *state;
    struct quick first = make_quick(d, NULL);
    assert_int_equal(first.line_count, 0);
    assert_false(quick_is_unchanged(&first));
    first.number = 1;
    struct quick next = make_quick(d, &first);
    assert_true(quick_is_unchanged(&next));
    quick_free(&first);
    quick_free(&next);
}

/* As the first version of the program signed it. */
#define LINE_OF_VERSION_1                                                                          \
    "{\"author\":12,\"before\":3,\"code\":8,\"counted\":true,\"decimals\":0,\"high\":3,"           \
    "\"is_state\":false,\"kind\":1,\"lat_e5\":0,\"lon_e5\":0,\"low\":3,\"name_en\":\"Houses\","    \
    "\"name_vi\":\"Nhà\",\"official\":\"NH01\",\"seq\":1,\"unit_en\":\"\",\"unit_vi\":\"cái\","    \
    "\"value\":3,\"village\":3,\"village_name\":\"Lũng Cằm\",\"words_en\":\"3\","                  \
    "\"words_vi\":\"3 cái\"}"
#define OF_VERSION_1(number, lines)                                                                \
    "{\"approved\":true,\"by\":2,\"catalogue\":\"1\",\"catalogue_from\":\"2026-01-01\","           \
    "\"commune_code\":\"01879\",\"commune_name\":\"Xã Cao Minh\",\"course\":\"\",\"drill\":false," \
    "\"event\":1,\"format\":1,\"from_ms\":1794990000000,\"hazard\":0,\"hazard_en\":\"\","          \
    "\"hazard_vi\":\"\",\"isolated\":\"\",\"lines\":[" lines "],\"number\":" number ","            \
    "\"response\":\"\",\"signed_ms\":1795000000000,\"signer\":\"Lan\","                            \
    "\"until_ms\":1795000000000,\"wants\":\"\"}"

static void test_quick_reads_documents_of_the_first_version(void **state)
{
    static const char SECOND[] = OF_VERSION_1("2", LINE_OF_VERSION_1);
    uint8_t hash[KENG_HASH_LEN];
    struct quick q;
    (void)state;
    assert_true(quick_from_json(SECOND, &q));
    assert_int_equal(q.last_number, 1);
    assert_false(q.lines[0].withdrawn);
    assert_true(quick_is_unchanged(&q));
    quick_hash(SECOND, hash); /* by it the signature is found: no new version may write it anew */
    assert_memory_equal(q.hash, hash, sizeof hash);
    quick_free(&q);
    assert_true(quick_from_json(OF_VERSION_1("1", ""), &q));
    assert_false(quick_is_unchanged(&q));
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

static void test_quick_exports_say_what_was_withdrawn(void **state)
{
    struct desk *d = *state;
    struct strbuf csv = { .text = NULL }, hxl = { .text = NULL }, geo = { .text = NULL },
                  chat = { .text = NULL };
    struct quick first = sign_two_villages(d);
    reject(d, 1, KIT_BINH);
    struct quick next = make_quick(d, &first);
    assert_true(export_csv(&next, LANG_VI, &csv));
    assert_non_null(strstr(csv.text, ",,cái,không còn tính,4,"));
    assert_true(export_hxl(&next, LANG_VI, &hxl));
    assert_non_null(strstr(hxl.text, "12-1"));
    assert_null(strstr(hxl.text, "15-1"));
    assert_true(export_geojson(&next, LANG_VI, &geo));
    check_geojson(geo.text, 1);
    assert_true(export_chat(&next, LANG_VI, &chat));
    assert_non_null(strstr(chat.text, ": 3 cái (−4)"));
    assert_null(strstr(chat.text, "Không có thiệt hại mới"));
    quick_free(&next);
    strbuf_free(&chat);
    reject(d, 2, KIT_ANNA);
    next = make_quick(d, &first);
    chat = (struct strbuf){ .text = NULL };
    assert_true(export_chat(&next, LANG_VI, &chat));
    assert_non_null(strstr(chat.text, ": không còn tính (−7)"));
    quick_free(&first);
    quick_free(&next);
    strbuf_free(&csv);
    strbuf_free(&hxl);
    strbuf_free(&geo);
    strbuf_free(&chat);
}

static int note_doc(void *ctx, const struct db_quick *quick)
{
    *(struct db_quick *)ctx = *quick;
    return 0;
}

/* Changes are told from the report before in time; numbers go on from the highest. */
static void test_quick_before_is_before_in_time(void **state)
{
    struct desk *d = *state;
    struct db_quick row = { .commune = 1, .event = 1, .doc = "signed" }, got;
    static const int64_t UNTIL_MS[] = { 100, 300, 200 };
    static const struct { int64_t until_ms; uint32_t before; } CASES[] = {
        { 99, 0 }, { 100, 1 }, { 250, 3 }, { 300, 2 }, { 1000, 2 },
    };
    int64_t id, number;
    for (row.number = 1; row.number <= 3; row.number++) {
        row.until_ms = UNTIL_MS[row.number - 1];
        assert_int_equal(db_quick_put(d->db, &row, &id), 0);
    }
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        got = (struct db_quick){ .id = 0 };
        row.until_ms = CASES[i].until_ms;
        assert_int_equal(db_quick_before(d->db, &row, note_doc, &got), 0);
        assert_int_equal(got.number, CASES[i].before);
    }
    assert_int_equal(db_quick_last_number(d->db, &row, &number), 0);
    assert_int_equal(number, 3);
    row.event = 2;
    assert_int_equal(db_quick_last_number(d->db, &row, &number), 0);
    assert_int_equal(number, 0);
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

static unsigned named_leftovers(void)
{
    unsigned count = 0;
    DIR *d = opendir("/tmp");
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        count += strncmp(e->d_name, "keng-xlsx.", 10) == 0;
    closedir(d);
    return count;
}

/* Killed in the midst of a spreadsheet, here by the limit of its length: nothing lies about. */
static void test_quick_spreadsheet_leaves_nothing_when_killed(void **state)
{
    struct quick q = { .number = 1, .commune_name = "Xã Cao Minh" };
    struct strbuf xlsx = { .text = NULL };
    unsigned before = named_leftovers();
    int status;
    (void)state;
    assert_true(export_xlsx(&q, LANG_VI, &xlsx));
    assert_memory_equal(xlsx.text, "PK", 2);
    strbuf_free(&xlsx);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = { 0, 0 }, short_files = { 64, 64 };
        setrlimit(RLIMIT_CORE, &no_core);
        setrlimit(RLIMIT_FSIZE, &short_files);
        (void)export_xlsx(&q, LANG_VI, &xlsx);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    assert_int_equal(named_leftovers(), before);
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
    assert_int_equal(db_quick_before(d->db, &row, note_doc, &got), 0);
    assert_int_equal(got.id, id);
    got = (struct db_quick){ .id = 0 };
    row.drill = true;
    assert_int_equal(db_quick_before(d->db, &row, note_doc, &got), 0);
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
        QUICK_TEST(test_quick_calls_indicators_as_they_were),
        QUICK_TEST(test_quick_says_what_changed),
        QUICK_TEST(test_quick_tells_what_was_withdrawn),
        QUICK_TEST(test_quick_moves_figures_without_inventing_any),
        QUICK_TEST(test_quick_first_one_is_never_unchanged),
        cmocka_unit_test(test_quick_reads_documents_of_the_first_version),
        QUICK_TEST(test_quick_exports_say_what_was_withdrawn),
        QUICK_TEST(test_quick_before_is_before_in_time),
        QUICK_TEST(test_quick_drills_stay_apart),
        QUICK_TEST(test_quick_exports_keep_their_formats),
        cmocka_unit_test(test_quick_csv_disarms_formulas),
        cmocka_unit_test(test_quick_spreadsheet_leaves_nothing_when_killed),
        QUICK_TEST(test_quick_signed_row_stays),
    };
    int failed = kit_run_on_both(tests);
    catalogue_free(catalogue);
    villages_free(villages);
    return failed;
}
