/* The records of the demonstration commune, as batch files: a test that they all verify, and with
 * KENG_DEMO_DIR set the way by which the browser test gets them. */
#include "tests/unit/test_gateway_kit.h"

#include "gateway/bundle.h"

static struct report with_text(const char *text)
{
    struct report report = { .text_len = strlen(text) };
    snprintf(report.text, sizeof report.text, "%s", text);
    return report;
}

/* Returns how many; the last one is kept apart for the live part of the browser test. */
static size_t make_reports(struct kit *k, struct kit_record *out)
{
    size_t n = 0;
    struct report r = { .hazard = 1, .event = 1, .figure_count = 3,
                        .figures = { { 1, 1 }, { 2, 3 }, { 4, 12 } } };
    out[n++] = kit_report(k, KIT_ANNA, 1, RECORD_DAMAGE, &r);
    r = with_text("Nhà sàn của 1 hộ ở Lũng Cằm bị đất vùi nửa nhà, người đã chạy kịp.");
    out[n++] = kit_report(k, KIT_ANNA, 2, RECORD_NOTE, &r);
    r = with_text("Kẹt 3 người trong nhà bị vùi, còn nghe tiếng gọi, cần máy xúc!");
    r.event = 1;
    r.figure_count = 2;
    r.figures[0] = (struct report_figure){ 1, 3 };
    r.figures[1] = (struct report_figure){ 2, 1 };
    r.lat_e5 = 2234512;
    r.lon_e5 = 10590311;
    out[n++] = kit_report(k, KIT_BINH, 1, RECORD_RESCUE, &r);
    r = (struct report){ .event = 1, .figure_count = 2, .figures = { { 1, 40 }, { 3, 200 } } };
    out[n++] = kit_report(k, 16, 1, RECORD_NEEDS, &r);
    r = (struct report){ .event = 1, .figure_count = 3,
                         .figures = { { 1, 14 }, { 2, 61 }, { 3, 17 } } };
    out[n++] = kit_report(k, 16, 2, RECORD_EVACUATION, &r);
    r = (struct report){ .event = 1, .figure_count = 1, .figures = { { 1, 2 } } };
    out[n++] = kit_report(k, 17, 1, RECORD_ACCESS, &r);
    r = (struct report){ .event = 1, .figure_count = 2, .figures = { { 1, 212 }, { 2, 48 } } };
    out[n++] = kit_report(k, 18, 4, RECORD_SAFE, &r);
    r = (struct report){ .event = 1, .figure_count = 2, .figures = { { 1, 2 }, { 2, 4 } } };
    out[n++] = kit_report(k, KIT_BINH, 2, RECORD_DAMAGE, &r);
    r = with_text("<script>alert('xã')</script> & \"nháy\" <img src=x onerror=alert(1)>");
    r.drill = true;
    out[n++] = kit_report(k, 17, 2, RECORD_NOTE, &r);
    out[n++] = kit_review(k, KIT_OPERATOR, 1, KIT_ANNA, 2, REVIEW_SEEN, "Đã cử tổ 2 đến, 40 phút");
    r = with_text("Bản Khuổi Mạ thêm 2 nhà đổ tường, có 1 người bị thương nhẹ.");
    r.event = 1;
    r.figure_count = 1;
    r.figures[0] = (struct report_figure){ 2, 5 };
    out[n++] = kit_report(k, KIT_ANNA, 3, RECORD_DAMAGE, &r);
    return n;
}

static size_t make_root_log(struct kit *k, struct kit_record *out)
{
    size_t n = kit_root_log(k, out);
    out[n++] = kit_enrol(k, 16, ROSTER_MEMBER, 5, "Hoàng Thị Dín", 0);
    out[n++] = kit_enrol(k, 17, ROSTER_MEMBER, 2, "Triệu Văn Páo", 0);
    out[n++] = kit_enrol(k, 18, ROSTER_NODE, 1, "Máy thôn 1", 0);
    return n;
}

static void write_batch(const char *dir, const char *name, const struct kit *k, uint16_t source,
                        const struct kit_record *records, size_t count)
{
    size_t len;
    char path[KIT_PATH_LEN + 32];
    uint8_t *bytes = kit_batch(k, source, records, count, &len);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    kit_write_file(path, bytes, len);
    free(bytes);
}

static void test_gateway_demo_records_all_verify(void **state)
{
    struct kit k;
    struct kit_record root[16], reports[32];
    char dir[KIT_PATH_LEN], path[KIT_PATH_LEN + 16], err[BUNDLE_ERR_LEN] = "";
    (void)state;
    kit_init(&k, 7);
    kit_make_dir(dir);
    size_t root_count = make_root_log(&k, root), count = make_reports(&k, reports);
    write_batch(dir, "a.keng", &k, AUTHOR_ROOT, root, root_count);
    write_batch(dir, "b.keng", &k, KIT_GATEWAY, reports, count);
    struct ledger l;
    struct db *db = kit_open_db(dir, "a.db");
    int64_t commune;
    assert_int_equal(ledger_init(&l, db), 0);
    snprintf(path, sizeof path, "%s/a.keng", dir);
    if (bundle_trust(&l, LANG_EN, path, KIT_NOW_MS, &commune, err) != 0)
        fail_msg("%s", err);
    uint8_t *bytes;
    size_t len;
    snprintf(path, sizeof path, "%s/b.keng", dir);
    assert_int_equal(bundle_read(LANG_EN, path, &bytes, &len, err), 0);
    struct ledger_batch_result result;
    bool sig_ok;
    assert_int_equal(ledger_put_batch(&l, bytes, len, KIT_NOW_MS, true, &result, &sig_ok), 0);
    assert_int_equal(result.counts[LEDGER_NEW], count);
    ledger_batch_result_free(&result);
    free(bytes);
    ledger_free(&l);
    db_close(db);
    const char *demo = getenv("KENG_DEMO_DIR");
    if (demo) {
        write_batch(demo, "commune.keng", &k, AUTHOR_ROOT, root, root_count);
        write_batch(demo, "reports.keng", &k, KIT_GATEWAY, reports, count - 1);
        write_batch(demo, "late.keng", &k, KIT_GATEWAY, &reports[count - 1], 1);
    }
    kit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gateway_demo_records_all_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
