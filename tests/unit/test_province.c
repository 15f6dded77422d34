/* keng-province as a person runs it: trust, import of good and of damaged files, report. */
#include "tests/unit/test_gateway_kit.h"

#include <getopt.h>
#include <sys/wait.h>

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
    assert_run(p, "report", 0, "Xã Cao Minh, author 12: 3-6 missing\n");
    assert_run(p, "--json report", 0, "\"author\":12,\"first\":3,\"last\":6");
    assert_run(p, "--csv out.csv report", 0, "Xã Cao Minh");
    snprintf(path, sizeof path, "%s/out.csv", p->dir);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);
    assert_memory_equal(text, "\xef\xbb\xbf" "commune,network,village", 26);
    assert_non_null(strstr(text, ",15,1,2,4,5,4\r\n"));
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
        { "--no-such-option report", 2, "--help" },
        { "--lang xx report", 2, "expected vi or en" },
        { "import nowhere.keng", 1, "nowhere.keng: No such file" },
        { "import b.keng", 1, "its commune is not trusted here" },
        { "import a.db", 1, "this is not a whole batch file" },
        { "trust a.db", 1, "expected a commune.keng" },
        { "--help", 0, "exit status" },
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
        PROVINCE_TEST(test_province_explains_wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
