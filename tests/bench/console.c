/* How long the console's pages take with 100,000 reports in the ledger: medians of 11, in one
 * process, without the network.  Beside the time that passed stands that of the processor, which
 * other programs on the machine do not lengthen.  Fails where a page takes longer than its goal. */
#include "tests/unit/test_gateway_kit.h"

#include <time.h>

#include "gateway/console.h"

enum { REPORT_COUNT = 100000, GROUP_COUNT = 2500, ROUND_COUNT = 11, GOAL_MS = 150 };

static double now_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

/* A group at once, as an import does it. */
static void put_group(struct kit *k, struct ledger *l, uint32_t first)
{
    static const char *const TEXTS[] = { "Nước lên nhanh", "Sạt đường vào bản",
                                         "Cần gạo, nước sạch" };
    static struct kit_record records[GROUP_COUNT];
    static struct db_record rows[GROUP_COUNT];
    static struct strbuf words[GROUP_COUNT];
    static bool taken[GROUP_COUNT];
    for (uint32_t i = 0; i < GROUP_COUNT; i++) {
        uint32_t n = first + i;
        struct report r = { .village = 1 + n % 40, .figure_count = 1,
                            .figures = { { 20 + n % 5, n % 7 } } };
        struct ledger_checked checked;
        snprintf(r.text, sizeof r.text, "%s", TEXTS[n % 3]);
        r.text_len = strlen(r.text);
        records[i] = kit_report(k, n % 2 ? KIT_ANNA : KIT_BINH, n / 2 + 1,
                                (uint8_t)(RECORD_DAMAGE + n % 7), &r);
        assert_int_equal(ledger_check(ledger_get(l, 1), records[i].bytes, records[i].len,
                                      &checked), 0);
        assert_true(checked.plain);
        words[i].len = 0;
        ledger_words(ledger_get(l, 1), &checked.view, &words[i]);
        rows[i] = checked.row;
        rows[i].received_ms = KIT_NOW_MS + n * 1000;
        rows[i].words = words[i].text;
    }
    assert_int_equal(db_begin(l->db), 0);
    assert_int_equal(db_record_bulk(l->db, rows, GROUP_COUNT, taken), 0);
    assert_int_equal(db_commit(l->db), 0);
    if (first + GROUP_COUNT == REPORT_COUNT)
        for (uint32_t i = 0; i < GROUP_COUNT; i++)
            strbuf_free(&words[i]);
}

static void fill(struct kit *k, struct ledger *l)
{
    kit_put_root_log(k, l);
    for (uint32_t first = 0; first < REPORT_COUNT; first += GROUP_COUNT)
        put_group(k, l, first);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static bool measure(struct console *c, const char *name, const char *path, struct http_field *query,
                    size_t query_count)
{
    double took_ms[ROUND_COUNT], busy_ms[ROUND_COUNT];
    for (int i = 0; i < ROUND_COUNT; i++) {
        struct http_request request = { .method = HTTP_GET, .path = path, .host = "localhost",
                                        .origin = "", .fetch_site = "", .cookie = "",
                                        .last_event_id = "", .query_count = query_count };
        struct http_answer answer = { .status = 0 };
        for (size_t q = 0; q < query_count; q++)
            request.query[q] = query[q];
        double began_ms = now_ms(CLOCK_MONOTONIC), busy_from_ms = now_ms(CLOCK_PROCESS_CPUTIME_ID);
        console_handle(c, &request, (int64_t)began_ms, &answer);
        took_ms[i] = now_ms(CLOCK_MONOTONIC) - began_ms;
        busy_ms[i] = now_ms(CLOCK_PROCESS_CPUTIME_ID) - busy_from_ms;
        assert_int_equal(answer.status, 200);
        strbuf_free(&answer.body);
    }
    qsort(took_ms, ROUND_COUNT, sizeof took_ms[0], compare);
    qsort(busy_ms, ROUND_COUNT, sizeof busy_ms[0], compare);
    double median_ms = took_ms[ROUND_COUNT / 2];
    printf("%s: %.1f ms (%d), processor %.1f ms\n", name, median_ms, (int)GOAL_MS,
           busy_ms[ROUND_COUNT / 2]);
    return median_ms < GOAL_MS;
}

int main(void)
{
    static struct kit k;
    static struct people people;
    struct ledger ledger;
    struct console_node node = { .number = -1 };
    struct console_sync sync = { .configured = false };
    char dir[KIT_PATH_LEN], err[AUDIT_ERR_LEN];
    kit_make_dir(dir);
    kit_init(&k, 1);
    struct db *db = kit_open_db(dir, "a.db");
    kit_open_ledger(&k, db, &ledger);
    assert_int_equal(people_open(&people, NULL, dir, NULL, err), 0);
    fill(&k, &ledger);
    struct console c = { .ledger = &ledger, .people = &people, .node = &node, .sync = &sync,
                         .enabled = true, .own_commune = 1, .outgoing_added = nothing,
                         .send_now = nothing };
    struct http_field words[] = { { "words", "duong vao" } }, village[] = { { "village", "7" } },
                      rare[] = { { "words", "15-4711" } },
                      state[] = { { "state", "0" }, { "kind", "4" } },
                      seen[] = { { "state", "1" } }, from[] = { { "from", "8.500" } },
                      then[] = { { "asof", "1795000050000" } },
                      figure[] = { { "commune", "1" }, { "village", "7" }, { "event", "0" },
                                   { "kind", "2" }, { "code", "21" } };
    bool good = measure(&c, "board, first page", "/", NULL, 0);
    good = measure(&c, "board, words", "/", words, 1) && good;
    good = measure(&c, "board, rare words", "/", rare, 1) && good;
    good = measure(&c, "board, seen", "/", seen, 1) && good;
    good = measure(&c, "board, village", "/", village, 1) && good;
    good = measure(&c, "board, waiting rescue", "/", state, 2) && good;
    good = measure(&c, "board, far down", "/", from, 1) && good;
    good = measure(&c, "totals", "/totals", NULL, 0) && good;
    good = measure(&c, "totals as of half the time", "/totals", then, 1) && good;
    good = measure(&c, "reports behind a figure", "/figure", figure, 5) && good;
    good = measure(&c, "map", "/map", NULL, 0) && good;
    good = measure(&c, "nodes", "/nodes", NULL, 0) && good;
    people_close(&people);
    ledger_free(&ledger);
    db_close(db);
    kit_remove_dir(dir);
    return good ? 0 : 1;
}
