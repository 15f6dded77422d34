/* keng-province as a person runs it: trust, import of good and of damaged files, report. */
#include "tests/unit/test_gateway_kit.h"

#include <getopt.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "gateway/province.h"

struct place {
    char dir[KIT_PATH_LEN];
    struct kit kit;
    struct kit_record reports[6];
    size_t report_count;
};

/* Runs it in a process of its own, in the place's directory, and keeps what it said.  Returns its
 * exit status. */
static int run(struct place *p, const char *arguments, char *said, size_t cap)
{
    char words[512], *argv[16] = { "keng-province", "--db", "a.db", "--lang", "en" };
    int argc = 5;
    snprintf(words, sizeof words, "%s", arguments);
    for (char *at = words; at && *at && argc < 15;) {
        argv[argc++] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (chdir(p->dir) != 0 || !freopen("out.txt", "w", stdout) ||
            dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
            _exit(99);
        optind = 1;
        int status = province_run(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    char out[KIT_PATH_LEN + 32];
    snprintf(out, sizeof out, "%s/out.txt", p->dir);
    FILE *file = fopen(out, "rbe");
    assert_non_null(file);
    size_t len = fread(said, 1, cap - 1, file);
    said[len] = '\0';
    fclose(file);
    if (!WIFEXITED(status))
        fail_msg("%s: ended by a signal: %s", arguments, said);
    return WEXITSTATUS(status);
}

static void write_batch(struct place *p, const char *name, uint16_t source,
                        const struct kit_record *records, size_t count, size_t flip, size_t cut)
{
    size_t len;
    char path[KIT_PATH_LEN + 32];
    uint8_t *bytes = kit_batch(&p->kit, source, records, count, &len);
    if (flip > 0)
        bytes[flip] ^= 1;
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    kit_write_file(path, bytes, len - cut);
    free(bytes);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct kit_record root[8];
    char said[4096];
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->kit, 1);
    size_t count = kit_root_log(&p->kit, root);
    write_batch(p, "a.keng", AUTHOR_ROOT, root, count, 0, 0);
    p->reports[p->report_count++] = kit_damage(&p->kit, KIT_ANNA, 1, 1, 3);
    p->reports[p->report_count++] = kit_damage(&p->kit, KIT_ANNA, 2, 1, 5);
    p->reports[p->report_count++] = kit_damage(&p->kit, KIT_ANNA, 7, 2, 40);
    p->reports[p->report_count++] = kit_damage(&p->kit, KIT_BINH, 1, 1, 4);
    if (run(p, "trust a.keng", said, sizeof said) != 0)
        fail_msg("%s", said);
    assert_non_null(strstr(said, "Xã Cao Minh: "));
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

static void assert_run(struct place *p, const char *arguments, int status, const char *words)
{
    char said[16384];
    int got = run(p, arguments, said, sizeof said);
    if (got != status || !strstr(said, words))
        fail_msg("%s: exit %d, said: %s", arguments, got, said);
}

static void test_province_imports_once_and_says_so(void **state)
{
    struct place *p = *state;
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, 0, 0);
    assert_run(p, "import b.keng", 0, "b.keng: 4 new, 0 duplicate");
    assert_run(p, "import b.keng", 0, "b.keng: 0 new, 4 duplicate");
}

static void test_province_names_bad_records_and_keeps_the_good(void **state)
{
    struct place *p = *state;
    size_t second = BATCH_HEADER_LEN + 1 + p->reports[0].len + 1 + 9;
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, second, 0);
    assert_run(p, "import b.keng", 3, "3 new, 0 duplicate, 0 superseded, 1 bad-signature; "
                                      "the file's own signature does not hold\n"
                                      "  record 2: bad-signature");
}

static void test_province_takes_what_a_torn_file_still_holds(void **state)
{
    struct place *p = *state;
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, 0, 90);
    /* The last 64 bytes that are left are taken for the signature. */
    assert_run(p, "import b.keng", 3, "2 new");
    assert_run(p, "import b.keng", 3, "the rest of the file cannot be read");
}

static void test_province_survives_any_single_changed_byte(void **state)
{
    struct place *p = *state;
    size_t len;
    uint8_t *bytes = kit_batch(&p->kit, KIT_GATEWAY, p->reports, p->report_count, &len);
    free(bytes);
    for (size_t at = 1; at < len; at += 23) {
        char said[4096];
        write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, at, 0);
        int status = run(p, "import b.keng", said, sizeof said);
        if (status != 1 && status != 3)
            fail_msg("byte %zu: exit %d: %s", at, status, said);
    }
}

static void test_province_reports_totals_and_missing_numbers(void **state)
{
    struct place *p = *state;
    char path[KIT_PATH_LEN + 32], text[8192];
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, 0, 0);
    assert_run(p, "import b.keng", 0, "4 new");
    assert_run(p, "report", 0, "15-1 (reports differ: 4 - 5)");
    assert_run(p, "report", 0, "Xã Cao Minh, author 12 (Nguyễn Thị An): 3-6\n");
    assert_run(p, "--json report", 0, "\"author\":12,\"first\":3,\"last\":6");
    assert_run(p, "--csv out.csv report", 0, "Xã Cao Minh");
    snprintf(path, sizeof path, "%s/out.csv", p->dir);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);
    assert_memory_equal(text, "\xef\xbb\xbf" "commune,network,village", 26);
    assert_non_null(strstr(text, ",15,1,2,4,5,4,Xã Cao Minh,\r\n"));
}

static void read_text(const struct place *p, const char *name, char *text, size_t cap)
{
    char path[KIT_PATH_LEN + 32];
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    size_t len = fread(text, 1, cap - 1, file);
    text[len] = '\0';
    fclose(file);
}

static void test_province_tells_what_it_knew_then(void **state)
{
    struct place *p = *state;
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, 2, 0, 0);
    assert_run(p, "import b.keng", 0, "2 new");
    struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
    char arguments[128], when[32], before[8192], after[8192];
    nanosleep(&moment, NULL);
    /* A second later is after what is here and, with a wait until then, before what comes. */
    time_t now = time(NULL) + 1;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    snprintf(arguments, sizeof arguments, "--as-of %s report", when);
    assert_int_equal(run(p, arguments, before, sizeof before), 0);
    assert_non_null(strstr(before, "12-2"));
    while (time(NULL) <= now)
        nanosleep(&moment, NULL);
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, 0, 0);
    assert_run(p, "import b.keng", 0, "2 new");
    assert_run(p, "report", 0, "15-1 (reports differ: 4 - 5)");
    assert_int_equal(run(p, arguments, after, sizeof after), 0);
    assert_string_equal(after, before);
    assert_run(p, "--as-of 2020-01-01 report", 0, "TO LOOK AT: silent villages: 1\n");
}

static void put_checkpoint(struct db *db, uint64_t size, uint8_t root, bool covered)
{
    struct db_checkpoint c = { .commune = 1, .source = KIT_GATEWAY, .size = size, .root = { root },
                               .covered = covered, .tree = { .size = covered ? size : 0 } };
    assert_int_equal(db_checkpoint_put(db, &c), 0);
}

/* All that can be wrong with the books, counted in the first line and told below it. */
static void test_province_shows_first_what_needs_a_look(void **state)
{
    struct place *p = *state;
    struct kit other;
    struct kit_record root[8], silent = kit_enrol(&p->kit, 13, ROSTER_MEMBER, 5, "Lò Thị Cúc", 0);
    char said[16384], path[KIT_PATH_LEN + 32], err[DB_ERR_LEN];
    struct db *db;
    assert_run(p, "report", 0, "TO LOOK AT: silent villages: 1; communes of which nothing has");
    p->reports[p->report_count++] = kit_damage(&p->kit, KIT_ANNA, 2, 1, 9);
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, 0, 0);
    assert_run(p, "import b.keng", 3, "4 new, 0 duplicate, 0 superseded, 1 fork");
    write_batch(p, "c.keng", AUTHOR_ROOT, &silent, 1, 0, 0);
    assert_run(p, "import c.keng", 0, "1 new");
    write_batch(p, "d.keng", KIT_GATEWAY, p->reports, 1, BATCH_HEADER_LEN + 12, 0);
    assert_run(p, "import d.keng", 3, "1 bad-signature");
    snprintf(path, sizeof path, "%s/a.db", p->dir);
    assert_int_equal(db_open(path, &db, err), 0);
    put_checkpoint(db, 4, 1, true);
    put_checkpoint(db, 9, 2, false);
    put_checkpoint(db, 9, 3, false);
    db_close(db);
    /* Another commune, of which only the root is known. */
    kit_init(&other, 40);
    size_t count = kit_root_log(&other, root);
    struct kit own = p->kit;
    p->kit = other;
    write_batch(p, "o.keng", AUTHOR_ROOT, root, count, 0, 0);
    p->kit = own;
    assert_run(p, "trust o.keng", 0, "Xã Cao Minh: ");
    assert_int_equal(run(p, "report", said, sizeof said), 0);
    static const char *const WORDS[] = {
        "TO LOOK AT: figures on which reports differ: 1; numbers used twice: 2; records missing: 4;"
        " silent villages: 2; communes of which nothing has come: 1; "
        "sources not complete up to what they signed: 1; records refused: 2\n\n",
        "Village 3, Damage 1 (not in the catalogue): 4 counts; 2 authors say 4 to 5\n",
        "  Xã Cao Minh, author 12 (Nguyễn Thị An): number 2\n",
        "  Xã Cao Minh, author 12 (Nguyễn Thị An): 3-6\n",
        "  Xã Cao Minh: 5\n",
        "Nothing at all has come from:\n  Xã Cao Minh\n",
        "  Xã Cao Minh, author 9 (Trạm xã): signed over 9 records, of which 4 are proved here\n",
        "  Xã Cao Minh, author 9 (Trạm xã): over 9 records\n",
        "Complete up to the newest signed checkpoint: 0 of 1 sources.\n",
        "  Xã Cao Minh: bad-signature, 1 times, last ",
    };
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        if (!strstr(said, WORDS[i]))
            fail_msg("not said: %s; but: %s", WORDS[i], said);
    assert_run(p, "--lang vi report", 0, "CẦN XEM: các tin nói khác nhau về 1 số liệu");
    assert_run(p, "--commune nowhere report", 2, "no commune of that name or code");
}

static void test_province_writes_the_forms_of_others(void **state)
{
    struct place *p = *state;
    char text[32768];
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, 0, 0);
    assert_run(p, "import b.keng", 0, "4 new");
    assert_run(p, "--event 0 export x.csv", 2, "--event 0: expected a number");
    assert_run(p, "export x.csv x.geojson x.hxl.csv x.xlsx x.txt", 0, "");
    read_text(p, "x.csv", text, sizeof text);
    assert_memory_equal(text, "\xef\xbb\xbf", 3);
    assert_non_null(strstr(text, "Xã Cao Minh 01879"));
    read_text(p, "x.hxl.csv", text, sizeof text);
    assert_non_null(strstr(text, "#loc+village+code"));
    read_text(p, "x.geojson", text, sizeof text);
    assert_non_null(strstr(text, "\"source\":\"15-1\""));
    read_text(p, "x.xlsx", text, sizeof text);
    assert_memory_equal(text, "PK", 2);
    read_text(p, "x.txt", text, sizeof text);
    assert_non_null(strstr(text, "The province's books · Xã Cao Minh\n")); /* no quick report */
    assert_run(p, "export x.pdf", 2, "expected a name that ends in");
    assert_run(p, "--svg course.svg report", 0, "15-1");
    read_text(p, "course.svg", text, sizeof text);
    assert_non_null(strstr(text, "Course of the event"));
    assert_non_null(strstr(text, "<path fill"));
    assert_non_null(strstr(text, "</svg>\n"));
}

static void test_province_tells_nameless_communes_apart(void **state)
{
    struct place *p = *state;
    struct kit others[2];
    char words[64];
    for (uint8_t i = 0; i < 2; i++) {
        char name[KIT_PATH_LEN + 32];
        size_t len;
        kit_init(&others[i], (uint8_t)(40 + i));
        uint8_t *bytes = kit_batch(&others[i], AUTHOR_ROOT, NULL, 0, &len);
        snprintf(name, sizeof name, "%s/n%d.keng", p->dir, i);
        kit_write_file(name, bytes, len);
        free(bytes);
    }
    assert_run(p, "trust n0.keng n1.keng", 0, "");
    for (int i = 0; i < 2; i++) {
        const uint8_t *id = others[i].network_id;
        snprintf(words, sizeof words, "\n  ? (%02x%02x %02x%02x)\n", id[0], id[1], id[2], id[3]);
        assert_run(p, "report", 0, words);
    }
}

/* A desk as `keng init` leaves it, as far as signing needs it. */
static void make_desk(struct place *p, struct kit *province)
{
    struct kit_record profile = kit_profile(province, "Tỉnh Lạng Sơn");
    char path[KIT_PATH_LEN + 32], hex[2 * KENG_SIG_LEN + 2];
    size_t len;
    uint8_t *bytes = kit_batch(province, AUTHOR_ROOT, &profile, 1, &len);
    snprintf(path, sizeof path, "%s/commune.keng", p->dir);
    kit_write_file(path, bytes, len);
    free(bytes);
    sodium_bin2hex(hex, sizeof hex, province->secret_keys[0], KENG_SIG_LEN);
    hex[2 * KENG_SIG_LEN] = '\n';
    hex[2 * KENG_SIG_LEN + 1] = 0;
    snprintf(path, sizeof path, "%s/root.key", p->dir);
    kit_write_file(path, (const uint8_t *)hex, strlen(hex));
    assert_int_equal(chmod(path, 0600), 0);
}

static void write_list(const struct place *p, const char *rows)
{
    char path[KIT_PATH_LEN + 32], text[1024];
    int len = snprintf(text, sizeof text, "code,name,from,until,into,root,last_good\n%s", rows);
    snprintf(path, sizeof path, "%s/units.csv", p->dir);
    kit_write_file(path, (const uint8_t *)text, (size_t)len);
}

static void test_province_signs_a_list_and_believes_it(void **state)
{
    struct place *p = *state;
    struct kit province;
    kit_init(&province, 77);
    make_desk(p, &province);
    write_list(p, "01879,Xã Cao Minh,,,,a.keng,\n");
    assert_run(p, "--desk . sign units.csv", 0, "1 units, 1 newly signed");
    assert_run(p, "--desk . sign units.csv", 0, "1 units, 0 newly signed");
    assert_run(p, "--db b.db root commune.keng", 0, "names 1 roots");
    assert_run(p, "--db b.db roots", 0, "Xã Cao Minh; code 01879\n");
    /* Trusted by the province's word: its first batch brings its roster. */
    assert_run(p, "--db b.db import a.keng", 0, "5 new");
    write_list(p, "01879,Xã Cao Minh,,,,a.keng,0\n");
    assert_run(p, "--desk . sign units.csv", 0, "1 newly signed");
    assert_run(p, "--db b.db import commune.keng", 0, "1 new");
    assert_run(p, "--db b.db roots", 0, "its root counts up to number 0\n");
    write_batch(p, "b.keng", KIT_GATEWAY, p->reports, p->report_count, 0, 0);
    assert_run(p, "--db b.db import b.keng", 3, "0 new, 0 duplicate");
    static const struct { const char *rows, *words; } WRONG[] = {
        { "", "names no unit" },
        { "01879,Xã A,,,,a.keng,\n01880,Xã B,,,,a.keng,\n", "the same root as in line 2" },
        { "01879,Xã A,,,,a.keng,\n01879,Xã B,,,,commune.keng,\n", "at the same time" },
        { "01879,Xã A,,2026-07-01,01900,a.keng,\n", "01900 must stand on it" },
        { "01879,Xã A,1/7/2026,,,a.keng,\n", "units.csv:2: a day is written" },
        { "01879,Xã A,,2025-07-01,,a.keng,\n", "before there was any record" },
        { "01879,Xã A,,,,nowhere.keng,\n", "No such file" },
        { "01879,Xã A,,,,a.db,\n", "a.db" },
        { "01879,Xã A,,,,a.keng,x\n", "last_good is the number" },
        { "xa1,Xã A,,,,a.keng,\n", "units.csv:2" },
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        write_list(p, WRONG[i].rows);
        assert_run(p, "--desk . sign units.csv", 1, WRONG[i].words);
    }
}

static void test_province_explains_wrong_use(void **state)
{
    struct place *p = *state;
    struct kit_record stranger;
    struct kit foreign;
    kit_init(&foreign, 9);
    stranger = kit_damage(&foreign, KIT_ANNA, 1, 1, 3);
    size_t len;
    char path[KIT_PATH_LEN + 32];
    uint8_t *bytes = kit_batch(&foreign, AUTHOR_ROOT, &stranger, 1, &len);
    snprintf(path, sizeof path, "%s/b.keng", p->dir);
    kit_write_file(path, bytes, len);
    free(bytes);
    const struct { const char *arguments; int status; const char *words; } CASES[] = {
        { "", 2, "name a command" },
        { "melt", 2, "melt: no such command" },
        { "import", 2, "at least one batch file" },
        { "report now", 2, "takes no argument" },
        { "export", 2, "name at least one file" },
        { "sign", 2, "one list of units" },
        { "root", 2, "own desk" },
        { "--as-of yesterday report", 2, "expected 2026-11-22" },
        { "--listen 0.0.0.0:0 serve", 1, "only this machine may" },
        { "--no-such-option report", 2, "--help" },
        { "--lang xx report", 2, "expected vi or en" },
        { "import nowhere.keng", 1, "nowhere.keng: No such file" },
        { "import b.keng", 1, "its commune is not trusted here" },
        { "import a.db", 1, "this is not a whole batch file" },
        { "trust a.db", 1, "expected a commune.keng" },
        { "--db typo.db report", 1, "--db typo.db: there is no ledger" },
        { "--db typo.db import b.keng", 1, "--db typo.db: there is no ledger" }, /* still none */
        { "--db new.db trust b.db", 1, "b.db: " },
        { "--db new.db report", 0, "No commune is trusted here" },
        { "--help", 0, "exit status" },
        { "--help --lang vi", 0, "cách dùng: " },
        { "--lang vi import nowhere.keng", 1, "nowhere.keng: " },
        { "--lang vi import b.keng", 1, "chưa được tin ở đây" },
        { "--lang vi melt", 2, "melt: không có lệnh này" },
        { "--lang vi --nothing", 2, "--nothing: không có tùy chọn này" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_run(p, CASES[i].arguments, CASES[i].status, CASES[i].words);
}

int main(void)
{
#define PROVINCE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PROVINCE_TEST(test_province_imports_once_and_says_so),
        PROVINCE_TEST(test_province_names_bad_records_and_keeps_the_good),
        PROVINCE_TEST(test_province_takes_what_a_torn_file_still_holds),
        PROVINCE_TEST(test_province_survives_any_single_changed_byte),
        PROVINCE_TEST(test_province_reports_totals_and_missing_numbers),
        PROVINCE_TEST(test_province_tells_what_it_knew_then),
        PROVINCE_TEST(test_province_shows_first_what_needs_a_look),
        PROVINCE_TEST(test_province_writes_the_forms_of_others),
        PROVINCE_TEST(test_province_tells_nameless_communes_apart),
        PROVINCE_TEST(test_province_signs_a_list_and_believes_it),
        PROVINCE_TEST(test_province_explains_wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
