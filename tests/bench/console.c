/* How long the console's pages take with 100,000 reports in the ledger: medians of 11, in one
 * process, without the network.  Beside the time that passed stands that of the processor, which
 * other programs on the machine do not lengthen.  Fails where a page takes longer than its goal,
 * or does not show what was asked for.
 *
 * The commune is a large one: 40 villages, 120 boxes, 200 people who report, holes in the logs of
 * every tenth, thousands of answers, directives that boxes hold and people read. */
#define KIT_AUTHOR_COUNT 501
#include "tests/unit/test_gateway_kit.h"

#include <time.h>

#include "gateway/console.h"

enum {
    REPORT_COUNT = 100000,
    GROUP_COUNT = 2500,
    VILLAGE_COUNT = 40,
    FIRST_BOX = 101,
    BOX_COUNT = 120,
    FIRST_MEMBER = 301,
    MEMBER_COUNT = 200,
    ANSWER_COUNT = 3000,
    DIRECTIVE_COUNT = 50,
    ROUND_COUNT = 11,
    GOAL_MS = 150,
};

struct bench {
    struct kit kit;
    struct ledger ledger;
    int64_t now_ms;       /* the last report has just come */
    uint32_t gateway_seq; /* of its log */
    char dir[KIT_PATH_LEN];
    struct people people;
    struct catalogue *catalogue;
    struct villages *villages;
    struct templates templates;
    struct console_node node;
    struct console_sync sync;
    struct console console;
};

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

/* ---- what is in the ledger ------------------------------------------------------------------ */

static void put(struct bench *b, const struct kit_record *r)
{
    struct ledger_commune *c = ledger_get(&b->ledger, 1);
    assert_int_equal(ledger_put(&b->ledger, c, r->bytes, r->len, b->now_ms), LEDGER_NEW);
}

static void put_people(struct bench *b)
{
    for (uint16_t i = 0; i < BOX_COUNT + MEMBER_COUNT; i++) {
        bool box = i < BOX_COUNT;
        uint16_t number = (uint16_t)(box ? FIRST_BOX + i : FIRST_MEMBER + i - BOX_COUNT);
        char name[ROSTER_NAME_LEN_MAX + 1];
        snprintf(name, sizeof name, box ? "Trạm %u" : "Nguyễn Văn %u", (unsigned)number);
        struct kit_record r = kit_enrol(&b->kit, number, box ? ROSTER_NODE : ROSTER_MEMBER,
                                        1 + i % VILLAGE_COUNT, name, 0);
        put(b, &r);
    }
}

static struct record_ref report_ref(uint32_t n)
{
    uint32_t member = n % MEMBER_COUNT, seq = n / MEMBER_COUNT + 1;
    return (struct record_ref){ .author = (uint16_t)(FIRST_MEMBER + member),
                                .seq = member % 10 == 0 ? seq + seq / 23 : seq };
}

static uint8_t report_kind(uint32_t n)
{
    return (uint8_t)(RECORD_DAMAGE + n % 7);
}

static struct kit_record make_report(const struct kit *k, uint32_t n)
{
    static const char *const TEXTS[] = { "Nước lên nhanh", "Sạt đường vào bản",
                                         "Cần gạo, nước sạch" };
    struct report r = { .village = n % 8 ? 0 : 1 + n / 8 % VILLAGE_COUNT,
                        .figure_count = report_kind(n) == RECORD_NOTE ? 0 : 1 + n % 3 };
    for (uint32_t i = 0; i < r.figure_count; i++)
        r.figures[i] = (struct report_figure){ 1 + n / 7 % 5 + i, n % 11 };
    snprintf(r.text, sizeof r.text, "%s", TEXTS[n % 3]);
    r.text_len = strlen(r.text);
    struct record_ref ref = report_ref(n);
    return kit_report(k, ref.author, ref.seq, report_kind(n), &r);
}

/* A group at once, as an import does it. */
static void put_group(struct bench *b, uint32_t first)
{
    static struct kit_record records[GROUP_COUNT];
    static struct db_record rows[GROUP_COUNT];
    static struct strbuf words[GROUP_COUNT];
    static bool taken[GROUP_COUNT];
    struct ledger_commune *c = ledger_get(&b->ledger, 1);
    for (uint32_t i = 0; i < GROUP_COUNT; i++) {
        struct ledger_checked checked;
        records[i] = make_report(&b->kit, first + i);
        assert_int_equal(ledger_check(c, records[i].bytes, records[i].len, &checked), 0);
        assert_true(checked.plain);
        words[i].len = 0;
        ledger_words(c, &checked.view, &words[i]);
        rows[i] = checked.row;
        rows[i].received_ms = b->now_ms - (int64_t)(REPORT_COUNT - 1 - first - i) * 1000;
        rows[i].words = words[i].text;
    }
    assert_int_equal(db_begin(b->ledger.db), 0);
    assert_int_equal(db_record_bulk(b->ledger.db, rows, GROUP_COUNT, taken), 0);
    assert_int_equal(db_commit(b->ledger.db), 0);
    if (first + GROUP_COUNT == REPORT_COUNT)
        for (uint32_t i = 0; i < GROUP_COUNT; i++)
            strbuf_free(&words[i]);
}

/* The i-th answer, to a report in the older half; some put a figure or a village right. */
static struct kit_record make_answer(struct bench *b, uint32_t i)
{
    static const uint8_t STATES[] = { REVIEW_SEEN, REVIEW_QUESTION, REVIEW_APPROVED,
                                      REVIEW_APPROVED, REVIEW_REJECTED, REVIEW_CORRECTED };
    uint32_t n = i * 16 + i % 7;
    struct review review = { .state = STATES[i % sizeof STATES], .ref_count = 1,
                             .refs = { report_ref(n) } };
    if (review.state == REVIEW_CORRECTED && i % 4 == 1) {
        review.village = 1 + i % VILLAGE_COUNT;
    } else if (review.state == REVIEW_CORRECTED) {
        review.figure_count = 1;
        review.figures[0] = (struct report_figure){ 1 + n / 7 % 5, 3 };
    }
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&review, body, sizeof body);
    assert_true(len > 0);
    return kit_sign(&b->kit, KIT_GATEWAY, ++b->gateway_seq, RECORD_REVIEW, 1, body, (size_t)len);
}

static void put_receipt(struct bench *b, uint16_t author, uint32_t seq, uint32_t of_seq, bool read)
{
    struct receipt receipt = { .read = read, .ref_count = 1,
                               .refs = { { .author = KIT_GATEWAY, .seq = of_seq } } };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = receipt_encode(&receipt, body, sizeof body);
    assert_true(len > 0);
    struct kit_record r = kit_sign(&b->kit, author, seq, RECORD_RECEIPT, 0, body, (size_t)len);
    put(b, &r);
}

/* Every box says that it has each directive, and two people of three that they read it. */
static void put_directives(struct bench *b)
{
    for (uint32_t i = 0; i < DIRECTIVE_COUNT; i++) {
        struct directive d = { .receipt = true };
        d.text_len = (size_t)snprintf(d.text, sizeof d.text, "Sơ tán ngay, lệnh số %u",
                                      (unsigned)i + 1);
        uint8_t body[RECORD_BODY_LEN_MAX];
        int len = directive_encode(&d, body, sizeof body);
        assert_true(len > 0);
        struct kit_record r = kit_sign(&b->kit, KIT_GATEWAY, ++b->gateway_seq, RECORD_DIRECTIVE, 2,
                                       body, (size_t)len);
        put(b, &r);
        for (uint16_t box = 0; box < BOX_COUNT; box++)
            put_receipt(b, FIRST_BOX + box, i + 1, b->gateway_seq, false);
        for (uint16_t m = 0; m < MEMBER_COUNT; m++) /* behind his reports */
            if (m % 3)
                put_receipt(b, FIRST_MEMBER + m, 600 + i, b->gateway_seq, true);
    }
}

static void fill(struct bench *b)
{
    struct db *db = b->ledger.db;
    kit_put_root_log(&b->kit, &b->ledger);
    assert_int_equal(db_begin(db), 0);
    put_people(b);
    assert_int_equal(db_commit(db), 0);
    for (uint32_t first = 0; first < REPORT_COUNT; first += GROUP_COUNT)
        put_group(b, first);
    assert_int_equal(db_begin(db), 0);
    for (uint32_t i = 0; i < ANSWER_COUNT; i++) {
        struct kit_record r = make_answer(b, i);
        put(b, &r);
    }
    put_directives(b);
    assert_int_equal(db_commit(db), 0);
}

/* ---- the console over it -------------------------------------------------------------------- */

static void make_villages(struct bench *b)
{
    char path[KIT_PATH_LEN + 16], text[VILLAGE_COUNT * 64], err[AUDIT_ERR_LEN];
    size_t len = (size_t)snprintf(text, sizeof text, "number,name,lat,lon,households,people\n");
    for (unsigned i = 1; i <= VILLAGE_COUNT; i++)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                "%u,Bản %u,22.1%02u,105.9%02u,50,210\n", i, i, i, i * 2);
    snprintf(path, sizeof path, "%s/villages.csv", b->dir);
    kit_write_file(path, (const uint8_t *)text, len);
    if (villages_load(path, &b->villages, err, sizeof err) != 0 ||
        catalogue_load("seeds/catalogue", &b->catalogue, err, sizeof err) != 0 ||
        templates_load("seeds/catalogue/directives.csv", &b->templates, err) != 0)
        fail_msg("%s", err);
}

static void make_node(struct console_node *node)
{
    *node = (struct console_node){ .configured = true, .connected = true, .number = KIT_GATEWAY,
                                   .held_count = REPORT_COUNT, .neighbour_count = 24,
                                   .listed_count = 24 };
    for (size_t i = 0; i < node->listed_count; i++)
        node->neighbours[i] = (struct console_neighbour){
            .number = (uint16_t)(FIRST_BOX + i), .rssi_dbm = -90 - (int)i,
            .heard_s = 300 * (int64_t)i, .snr_db = 5.5, .in_sync = i % 2
        };
}

static void open_console(struct bench *b)
{
    char err[AUDIT_ERR_LEN];
    make_villages(b);
    make_node(&b->node);
    assert_int_equal(people_open(&b->people, NULL, b->dir, NULL, err), 0);
    b->console = (struct console){
        .ledger = &b->ledger, .people = &b->people, .node = &b->node, .sync = &b->sync,
        .catalogue = b->catalogue, .villages = b->villages, .templates = &b->templates,
        .enabled = true, .own_commune = 1, .outgoing_added = nothing, .send_now = nothing,
    };
}

/* ---- measuring ------------------------------------------------------------------------------ */

struct clocks {
    double passed_ms, busy_ms;
};

static struct clocks read_clocks(void)
{
    return (struct clocks){ now_ms(CLOCK_MONOTONIC), now_ms(CLOCK_PROCESS_CPUTIME_ID) };
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static bool tell(const char *name, double *took_ms, double *busy_ms)
{
    qsort(took_ms, ROUND_COUNT, sizeof took_ms[0], compare);
    qsort(busy_ms, ROUND_COUNT, sizeof busy_ms[0], compare);
    double median_ms = took_ms[ROUND_COUNT / 2];
    printf("%s: %.1f ms (%d), processor %.1f ms\n", name, median_ms, (int)GOAL_MS,
           busy_ms[ROUND_COUNT / 2]);
    return median_ms < GOAL_MS;
}

/* fields: as in an address or a form.  A page of 200 must hold the text; of a form the answer's
 * place is written there, if asked. */
struct page_case {
    const char *name;
    enum http_method method;
    const char *path, *fields, *holds;
};

static void ask(struct bench *b, const struct page_case *page, struct clocks *took_out,
                char location_out[512])
{
    char fields[512], token[ACCESS_TOKEN_HEX_LEN];
    struct http_request request = { .method = page->method, .path = page->path,
                                    .host = "localhost", .origin = "", .fetch_site = "",
                                    .cookie = "", .last_event_id = "" };
    struct http_answer answer = { .status = 0 };
    bool form = page->method == HTTP_POST;
    access_form_token(&b->people.access, "", false, token);
    snprintf(fields, sizeof fields, "%s%s%s", page->fields, form ? "&token=" : "",
             form ? token : "");
    int count = http_parse_form(fields, form ? request.form : request.query, HTTP_FIELD_COUNT_MAX);
    assert_true(count >= 0);
    *(form ? &request.form_count : &request.query_count) = (size_t)count;
    struct clocks began = read_clocks();
    console_handle(&b->console, &request, (int64_t)began.passed_ms, &answer);
    struct clocks ended = read_clocks();
    *took_out = (struct clocks){ ended.passed_ms - began.passed_ms,
                                 ended.busy_ms - began.busy_ms };
    if (answer.status != (form ? 303 : 200) ||
        (!form && !strstr(answer.body.text ? answer.body.text : "", page->holds)))
        fail_msg("%s: status %u, or \"%s\" is missing", page->name, answer.status, page->holds);
    memcpy(location_out, answer.location, sizeof answer.location);
    strbuf_free(&answer.body);
}

static bool measure(struct bench *b, const struct page_case *page)
{
    double took_ms[ROUND_COUNT], busy_ms[ROUND_COUNT];
    for (int i = 0; i < ROUND_COUNT; i++) {
        struct clocks took;
        char location[512];
        ask(b, page, &took, location);
        took_ms[i] = took.passed_ms;
        busy_ms[i] = took.busy_ms;
    }
    return tell(page->name, took_ms, busy_ms);
}

/* The answer comes back from the node: the report's place on the board and its figures follow. */
static bool measure_answers(struct bench *b)
{
    double took_ms[ROUND_COUNT], busy_ms[ROUND_COUNT];
    for (uint32_t i = 0; i < ROUND_COUNT; i++) {
        struct kit_record r = make_answer(b, ANSWER_COUNT + i);
        struct clocks began = read_clocks();
        assert_int_equal(db_begin(b->ledger.db), 0);
        put(b, &r);
        assert_int_equal(db_commit(b->ledger.db), 0);
        struct clocks ended = read_clocks();
        took_ms[i] = ended.passed_ms - began.passed_ms;
        busy_ms[i] = ended.busy_ms - began.busy_ms;
    }
    return tell("answer taken in", took_ms, busy_ms);
}

/* A draft over all of it; its address is made into the page to read. */
static void make_draft(struct bench *b, char path[512])
{
    char from[LANG_TIME_LEN], until[LANG_TIME_LEN], fields[256];
    struct clocks took;
    lang_time_local(b->now_ms - (int64_t)REPORT_COUNT * 1000, from);
    lang_time_local(b->now_ms, until);
    snprintf(fields, sizeof fields, "event=0&hazard=1&basis=received&from=%s&until=%s", from,
             until);
    struct page_case save = { "quick report, save", HTTP_POST, "/quick", fields, "" };
    ask(b, &save, &took, path);
}

static int take_arrival(void *ctx, const struct db_record *record)
{
    *(int64_t *)ctx = record->arrival;
    return 0;
}

static int64_t arrival_of(struct bench *b, uint32_t n)
{
    struct record_ref ref = report_ref(n);
    int64_t arrival = 0;
    assert_int_equal(db_record_variants(b->ledger.db, 1, &ref, take_arrival, &arrival), 0);
    assert_true(arrival > 0);
    return arrival;
}

static bool measure_all(struct bench *b)
{
    char half[64], record[64], review[96], draft[512];
    snprintf(half, sizeof half, "asof=%lld", (long long)(b->now_ms - REPORT_COUNT / 2 * 1000));
    snprintf(record, sizeof record, "arrival=%lld", (long long)arrival_of(b, 16));
    snprintf(review, sizeof review, "arrival=%lld&state=1",
             (long long)arrival_of(b, REPORT_COUNT - 1));
    make_draft(b, draft);
    char *draft_fields = strchr(draft, '?');
    assert_non_null(draft_fields);
    const struct page_case pages[] = {
        { "board, first page", HTTP_GET, "/", "", "Bản 7" },
        { "board, words", HTTP_GET, "/", "words=duong+vao", "Sạt đường vào bản" },
        { "board, rare words", HTTP_GET, "/", "words=305-411", "305-411" },
        { "board, seen", HTTP_GET, "/", "state=1", "class=\"report" },
        { "board, village", HTTP_GET, "/", "village=7", "Bản 7" },
        { "board, waiting rescue", HTTP_GET, "/", "state=0&kind=4", "class=\"report" },
        { "board, far down", HTTP_GET, "/", "from=8.500", "class=\"report" },
        { "report", HTTP_GET, "/record", record, "class=\"reply\"" },
        { "totals", HTTP_GET, "/totals", "", "/figure?commune=1" },
        { "totals as of half the time", HTTP_GET, "/totals", half, "/figure?commune=1" },
        { "reports behind a figure", HTTP_GET, "/figure",
          "commune=1&village=7&event=0&kind=2&code=3", "/record?arrival=" },
        { "quick report, new draft", HTTP_GET, "/quick", "", "name=\"until\"" },
        { "quick report, draft", HTTP_GET, "/quick/read", draft_fields + 1,
          "class=\"figures-of" },
        { "directives", HTTP_GET, "/directives", "", "Trạm 220" },
        { "map", HTTP_GET, "/map", "", "Trạm 220" },
        { "nodes", HTTP_GET, "/nodes", "", "Trạm 220" },
        { "answer, button", HTTP_POST, "/review", review, "" },
    };
    bool good = true;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        good = measure(b, &pages[i]) && good;
    return measure_answers(b) && good;
}

int main(void)
{
    static struct bench b;
    kit_make_dir(b.dir);
    kit_init(&b.kit, 1);
    b.now_ms = (int64_t)now_ms(CLOCK_REALTIME) - 60 * 1000;
    struct db *db = kit_open_db(b.dir, "a.db");
    kit_open_ledger(&b.kit, db, &b.ledger);
    open_console(&b);
    fill(&b);
    bool good = measure_all(&b);
    people_close(&b.people);
    catalogue_free(b.catalogue);
    villages_free(b.villages);
    ledger_free(&b.ledger);
    db_close(db);
    kit_remove_dir(b.dir);
    return good ? 0 : 1;
}
