#include "tests/unit/test_gateway_kit.h"

#include <sqlite3.h>

#include "gateway/totals.h"

struct claim {
    uint16_t author;
    uint32_t seq;
    int64_t arrival;
    uint32_t village, code;
    int64_t value;
    bool drill;
    uint8_t variant, review;
};

struct want {
    uint32_t village, code;
    int64_t value, low, high;
    uint16_t author, author_count;
};

struct totals_case {
    const char *name;
    struct claim claims[6];
    size_t claim_count;
    struct want want[4];
    size_t want_count;
};

static const struct totals_case CASES[] = {
    { "nothing gives nothing", { { 0 } }, 0, { { 0 } }, 0 },
    { "one report stands", { { 12, 1, 1, 3, 1, 5, 0, 0, 0 } }, 1, { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
    { "the higher number supersedes",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 2, 2, 3, 1, 7, 0, 0, 0 } }, 2,
      { { 3, 1, 7, 7, 7, 12, 1 } }, 1 },
    { "an older one that arrives late changes nothing",
      { { 12, 2, 1, 3, 1, 7, 0, 0, 0 }, { 12, 1, 2, 3, 1, 5, 0, 0, 0 } }, 2,
      { { 3, 1, 7, 7, 7, 12, 1 } }, 1 },
    { "a correction downwards counts",
      { { 12, 1, 1, 3, 1, 9, 0, 0, 0 }, { 12, 2, 2, 3, 1, 0, 0, 0, 0 } }, 2,
      { { 3, 1, 0, 0, 0, 12, 1 } }, 1 },
    { "an indicator the newer one leaves out stays",
      { { 12, 1, 1, 3, 1, 9, 0, 0, 0 }, { 12, 2, 2, 3, 2, 4, 0, 0, 0 } }, 2,
      { { 3, 1, 9, 9, 9, 12, 1 }, { 3, 2, 4, 4, 4, 12, 1 } }, 2 },
    { "of two authors the last to arrive counts, and both are seen",
      { { 12, 8, 1, 3, 1, 5, 0, 0, 0 }, { 15, 1, 2, 3, 1, 3, 0, 0, 0 } }, 2,
      { { 3, 1, 3, 3, 5, 15, 2 } }, 1 },
    { "in whatever order they are added",
      { { 15, 1, 2, 3, 1, 3, 0, 0, 0 }, { 12, 8, 1, 3, 1, 5, 0, 0, 0 } }, 2,
      { { 3, 1, 3, 3, 5, 15, 2 } }, 1 },
    { "a superseded claim makes no difference between authors",
      { { 12, 1, 1, 3, 1, 9, 0, 0, 0 }, { 12, 2, 2, 3, 1, 3, 0, 0, 0 },
        { 15, 1, 3, 3, 1, 3, 0, 0, 0 } }, 3, { { 3, 1, 3, 3, 3, 15, 2 } }, 1 },
    { "villages are apart",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 2, 2, 4, 1, 6, 0, 0, 0 } }, 2,
      { { 3, 1, 5, 5, 5, 12, 1 }, { 4, 1, 6, 6, 6, 12, 1 } }, 2 },
    { "a drill counts nowhere", { { 12, 1, 1, 3, 1, 5, 1, 0, 0 } }, 1, { { 0 } }, 0 },
    { "the second half of a fork counts nowhere",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 1, 2, 3, 1, 50, 0, 1, 0 } }, 2,
      { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
    { "a rejected report gives way to the older one",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 12, 2, 2, 3, 1, 500, 0, 0, REVIEW_REJECTED } }, 2,
      { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
    { "one joined to another gives way too",
      { { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 15, 1, 2, 3, 1, 6, 0, 0, REVIEW_JOINED } }, 2,
      { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
    { "a corrected figure stands in place of the author's",
      { { 12, 1, 1, 3, 1, 500, 0, 0, REVIEW_CORRECTED } }, 1, { { 3, 1, 1, 1, 1, 12, 1 } }, 1 },
    { "a questioned one still counts",
      { { 12, 1, 1, 3, 1, 5, 0, 0, REVIEW_QUESTION } }, 1, { { 3, 1, 5, 5, 5, 12, 1 } }, 1 },
};

static void add_claim(struct totals *t, const struct claim *c)
{
    struct db_record record = {
        .arrival = c->arrival, .commune = 1, .village = c->village, .kind = RECORD_DAMAGE,
        .ref = { .author = c->author, .seq = c->seq }, .variant = c->variant,
        .drill = c->drill,
    };
    struct report report = { .figure_count = 1, .figures = { { c->code, c->value } } };
    assert_int_equal(totals_add(t, &record, report.figures, report.figure_count), TOTALS_OK);
    if (c->review == 0)
        return;
    struct db_record answer = { .arrival = 100 + c->arrival, .commune = 1, .kind = RECORD_REVIEW,
                                .ref = { .author = 9, .seq = (uint32_t)c->arrival } };
    struct review review = { .state = (enum review_state)c->review, .ref_count = 1,
                             .refs = { record.ref } };
    if (review.state == REVIEW_CORRECTED) {
        review.figure_count = 1;
        review.figures[0] = (struct report_figure){ c->code, 1 };
    }
    assert_int_equal(totals_add_review(t, &answer, &review), TOTALS_OK);
}

static void test_totals_follow_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct totals t = { .claims = NULL };
        for (size_t c = 0; c < CASES[i].claim_count; c++)
            add_claim(&t, &CASES[i].claims[c]);
        assert_int_equal(totals_finish(&t), TOTALS_OK);
        if (t.row_count != CASES[i].want_count)
            fail_msg("%s: %zu rows", CASES[i].name, t.row_count);
        for (size_t r = 0; r < t.row_count; r++) {
            const struct totals_row *row = &t.rows[r];
            const struct want *want = &CASES[i].want[r];
            if (row->key.village != want->village || row->key.code != want->code ||
                row->value != want->value || row->low != want->low || row->high != want->high ||
                row->author != want->author || row->author_count != want->author_count)
                fail_msg("%s: row %zu says %lld by %u", CASES[i].name, r, (long long)row->value,
                         (unsigned)row->author);
        }
        totals_free(&t);
    }
}

static void test_totals_add_villages_up(void **state)
{
    static const struct claim CLAIMS[] = {
        { 12, 1, 1, 3, 1, 5, 0, 0, 0 }, { 15, 1, 2, 4, 1, 6, 0, 0, 0 },
        { 15, 2, 3, 4, 2, 1, 0, 0, 0 }, { 12, 2, 4, 3, 1, 7, 0, 0, 0 },
    };
    struct totals t = { .claims = NULL };
    (void)state;
    for (size_t i = 0; i < sizeof CLAIMS / sizeof CLAIMS[0]; i++)
        add_claim(&t, &CLAIMS[i]);
    assert_int_equal(totals_finish(&t), TOTALS_OK);
    assert_int_equal(t.sum_count, 2);
    assert_int_equal(t.sums[0].value, 13);
    assert_int_equal(t.sums[0].village_count, 2);
    assert_int_equal(t.sums[1].value, 1);
    assert_int_equal(t.sums[1].village_count, 1);
    totals_free(&t);
}

static void test_totals_name_the_missing_numbers(void **state)
{
    static const struct { uint16_t author; uint32_t seq; } HELD[] = {
        { 9, 1 }, { 9, 2 }, { 12, 1 }, { 12, 2 }, { 12, 4 }, { 12, 10 }, { 15, 3 },
    };
    static const struct gap WANT[] = {
        { 1, 3, 3, 12 }, { 1, 5, 9, 12 }, { 1, 1, 2, 15 },
    };
    struct gaps gaps = { .list = NULL };
    struct held_table held = { .list = NULL };
    (void)state;
    for (size_t i = 0; i < sizeof HELD / sizeof HELD[0]; i++) {
        assert_int_equal(gaps_add(&gaps, 1, HELD[i].author, HELD[i].seq), TOTALS_OK);
        assert_int_equal(held_add(&held, HELD[i].author, HELD[i].seq), TOTALS_OK);
    }
    assert_int_equal(gaps.count, sizeof WANT / sizeof WANT[0]);
    for (size_t i = 0; i < gaps.count; i++) {
        assert_int_equal(gaps.list[i].author, WANT[i].author);
        assert_int_equal(gaps.list[i].first, WANT[i].first);
        assert_int_equal(gaps.list[i].last, WANT[i].last);
    }
    assert_int_equal(held_get(&held, 9), 2);
    assert_int_equal(held_get(&held, 12), 2);
    assert_int_equal(held_get(&held, 15), 0);
    assert_int_equal(held_get(&held, 99), 0);
    gaps_free(&gaps);
    held_free(&held);
}

static void add_answer(struct totals *t, int64_t at, uint16_t reviewer, uint32_t seq,
                       enum review_state state, int64_t corrected)
{
    struct db_record record = { .arrival = at, .received_ms = at * 1000, .commune = 1,
                                .kind = RECORD_REVIEW,
                                .ref = { .author = reviewer, .seq = seq } };
    struct review review = { .state = state, .ref_count = 1,
                             .refs = { { .author = 12, .seq = 1 } } };
    review.figure_count = state == REVIEW_CORRECTED;
    review.figures[0] = (struct report_figure){ 1, corrected };
    assert_int_equal(totals_add_review(t, &record, &review), TOTALS_OK);
}

/* One report of five, at second 1, and its answers; what stands at a moment. */
static int64_t value_at(int64_t as_of_s, bool approved, uint8_t kind)
{
    struct totals t = { .filter = { .as_of_ms = as_of_s * 1000, .event = -1,
                                    .approved = approved } };
    struct db_record record = { .arrival = 1, .received_ms = 1000, .commune = 1, .village = 3,
                                .kind = kind, .ref = { .author = 12, .seq = 1 } };
    struct report report = { .figure_count = 1, .figures = { { 1, 5 } } };
    assert_int_equal(totals_add(&t, &record, report.figures, report.figure_count), TOTALS_OK);
    add_answer(&t, 2, 9, 1, REVIEW_CORRECTED, 7);
    add_answer(&t, 3, 9, 2, REVIEW_REJECTED, 0);
    add_answer(&t, 4, 10, 1, REVIEW_SEEN, 0);
    add_answer(&t, 6, 9, 4, REVIEW_MET, 0);
    add_answer(&t, 7, 9, 3, REVIEW_REJECTED, 0); /* late, and older than his last word */
    assert_int_equal(totals_finish(&t), TOTALS_OK);
    int64_t value = t.row_count == 1 ? t.rows[0].value : -1;
    totals_free(&t);
    return value;
}

static void test_totals_stand_as_of_any_moment(void **state)
{
    static const struct { int64_t as_of_s, received, approved; } MOMENTS[] = {
        { 1, 5, -1 }, { 2, 7, 7 }, { 3, -1, -1 }, { 4, 7, -1 }, { 6, 7, 7 }, { 7, 7, 7 },
        { 0, 7, 7 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof MOMENTS / sizeof MOMENTS[0]; i++) {
        assert_int_equal(value_at(MOMENTS[i].as_of_s, false, RECORD_DAMAGE), MOMENTS[i].received);
        assert_int_equal(value_at(MOMENTS[i].as_of_s, true, RECORD_DAMAGE), MOMENTS[i].approved);
    }
    assert_int_equal(value_at(6, false, RECORD_NEEDS), 0); /* met: nothing is needed any more */
}

/* ---- a whole event against SQL -------------------------------------------------------------- */

enum {
    EVENT_REPORT_COUNT = 5000,
    EVENT_AUTHOR_COUNT = 12,
    EVENT_VILLAGE_COUNT = 8,
    EVENT_MOMENT_COUNT = 20,
    EVENT_HOURS = 48,
};

/* xorshift: the same event every time. */
static uint32_t chance(uint32_t below)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x % below;
}

/* What was said and decided, as plain rows; nothing here was decoded by the product. */
static const char FACTS[] =
    "CREATE TABLE figure (arrival, at, author, seq, kind, village, event, drill, code, value);"
    "CREATE TABLE answer (arrival, at, reviewer, review_seq, author, seq, state);"
    "CREATE TABLE mended (arrival, at, reviewer, review_seq, author, seq, code, value);";

/* What became of each report.  ?1: moment.  Written from the rules, not from the code. */
#define JUDGED                                                                                     \
    "WITH heard AS (SELECT * FROM answer WHERE at <= ?1),"                                         \
    " word AS (SELECT *, row_number() OVER (PARTITION BY author, seq, reviewer"                    \
    "  ORDER BY review_seq DESC) AS n FROM heard),"                                                \
    " said AS (SELECT author, seq, state, row_number() OVER (PARTITION BY author, seq"             \
    "  ORDER BY arrival DESC) AS n FROM word WHERE n = 1),"                                        \
    " fix AS (SELECT *, row_number() OVER (PARTITION BY author, seq, code, reviewer"               \
    "  ORDER BY review_seq DESC) AS n FROM mended WHERE at <= ?1),"                                \
    " fixed AS (SELECT author, seq, code, value, row_number() OVER (PARTITION BY author, seq,"     \
    "  code ORDER BY arrival DESC) AS n FROM fix WHERE n = 1),"                                    \
    " judged AS (SELECT f.*, coalesce(s.state, 0) AS state,"                                       \
    "  CASE WHEN p.value < 65536 THEN p.value ELSE f.village END AS place,"                        \
    "  CASE WHEN x.value = -1 THEN -1 WHEN s.state = 5 AND f.kind = 2 THEN 0"                      \
    "  ELSE coalesce(x.value, f.value) END AS v FROM figure f"                                     \
    "  LEFT JOIN said s ON s.author = f.author AND s.seq = f.seq AND s.n = 1"                      \
    "  LEFT JOIN fixed x ON x.author = f.author AND x.seq = f.seq AND x.n = 1 AND x.code = f.code" \
    "  LEFT JOIN fixed p ON p.author = f.author AND p.seq = f.seq AND p.n = 1 AND p.code = 0"      \
    "  WHERE f.at <= ?1)"
static const char BOARD[] =
    JUDGED " SELECT DISTINCT author, seq, state, place, village FROM judged ORDER BY author, seq";
/* ?2: only approved, ?3: event. */
static const char SUMS[] =
    JUDGED ","
    " good AS (SELECT * FROM judged WHERE drill = 0 AND event = ?3 AND state NOT IN (4, 7)"
    "  AND v >= 0 AND (?2 = 0 OR state IN (3, 5, 6))),"
    " newest AS (SELECT *, row_number() OVER (PARTITION BY place, kind, code, author"
    "  ORDER BY seq DESC) AS n FROM good),"
    " last AS (SELECT *, row_number() OVER (PARTITION BY place, kind, code"
    "  ORDER BY arrival DESC) AS m, min(v) OVER w AS low, max(v) OVER w AS high"
    "  FROM newest WHERE n = 1 WINDOW w AS (PARTITION BY place, kind, code))"
    " SELECT place, kind, code, v, low, high, author, seq FROM last WHERE m = 1"
    " ORDER BY place, kind, code";

struct event {
    struct kit kit;
    struct ledger ledger;
    struct db *db;
    sqlite3 *facts;
    int64_t arrival, now_ms;
    uint32_t seqs[KIT_AUTHOR_COUNT];
    struct record_ref corrected; /* last */
    unsigned again_count;        /* corrections of what was corrected just before */
    /* Signed, not yet here: what a village holds while it is cut off. */
    struct { struct kit_record record; char fact[512]; } late[64];
    size_t late_count;
};

static void run_sql(sqlite3 *db, const char *sql)
{
    char *err = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK)
        fail_msg("%s: %s", sql, err);
}

/* The record comes in now, and with it the facts; %1$lld and %2$lld: arrival and time. */
static void arrive(struct event *e, const struct kit_record *r, const char *fact)
{
    struct ledger_commune *c = ledger_find(&e->ledger, e->kit.network_id);
    char sql[600];
    e->now_ms += 1 + chance(2 * EVENT_HOURS * 3600 * 1000 / EVENT_REPORT_COUNT);
    assert_int_equal(ledger_put(&e->ledger, c, r->bytes, r->len, e->now_ms), LEDGER_NEW);
    assert_int_equal(db_record_last_arrival(e->db, &e->arrival), 0);
    snprintf(sql, sizeof sql, "CREATE TEMP TABLE now AS SELECT %lld AS arrival, %lld AS at; %.480s;"
             " DROP TABLE now", (long long)e->arrival, (long long)e->now_ms, fact);
    run_sql(e->facts, sql);
    if (chance(10) == 0) /* radios repeat themselves */
        assert_int_equal(ledger_put(&e->ledger, c, r->bytes, r->len, e->now_ms + 5),
                         LEDGER_DUPLICATE);
}

/* Answers too: another gateway's come by its own ways, an older one after a newer. */
static void arrive_or_wait(struct event *e, const struct kit_record *r, const char *fact)
{
    size_t late_cap = sizeof e->late / sizeof e->late[0];
    if (chance(8) == 0 && e->late_count < late_cap) {
        e->late[e->late_count].record = *r;
        snprintf(e->late[e->late_count++].fact, sizeof e->late[0].fact, "%s", fact);
    } else {
        arrive(e, r, fact);
    }
    if (chance(60) == 0 || e->late_count == late_cap) /* the way is open again */
        while (e->late_count > 0) {
            e->late_count--;
            arrive(e, &e->late[e->late_count].record, e->late[e->late_count].fact);
        }
}

static void make_report(struct event *e)
{
    uint16_t author = (uint16_t)(KIT_ANNA + chance(EVENT_AUTHOR_COUNT));
    uint8_t kind = (uint8_t)(chance(3) == 0 ? RECORD_NEEDS : RECORD_DAMAGE);
    uint32_t seq = ++e->seqs[author];
    struct report report = { .village = chance(3) ? author % EVENT_VILLAGE_COUNT + 1u
                                                  : 1 + chance(EVENT_VILLAGE_COUNT),
                             .event = 1 + chance(2), .drill = chance(20) == 0,
                             .figure_count = 2 };
    char fact[512];
    /* Zero now and then: what was said before is withdrawn. */
    uint32_t code = 1 + chance(4);
    report.figures[0] = (struct report_figure){ code, chance(5) ? chance(100) : 0 };
    report.figures[1] = (struct report_figure){ code + 1, chance(100) };
    snprintf(fact, sizeof fact,
             "INSERT INTO figure SELECT arrival, at, %u, %u, %u, %u, %u, %d, code, value FROM now,"
             " (SELECT %u AS code, %lld AS value UNION ALL SELECT %u, %lld)", author, seq, kind,
             report.village, report.event, report.drill, code,
             (long long)report.figures[0].value, code + 1, (long long)report.figures[1].value);
    struct kit_record r = kit_report(&e->kit, author, seq, kind, &report);
    arrive_or_wait(e, &r, fact);
}

/* One or two figures, or the village, or both; now and then unknown, or where the author says. */
static void make_correction(struct review *review)
{
    uint32_t code = 1 + chance(4), village = chance(6);
    review->village = chance(2) ? 0 : village > 4 ? REVIEW_VILLAGE_AUTHORS : 1 + village;
    review->figure_count = review->village == 0 ? 1 + chance(2) : chance(3);
    for (uint32_t i = 0; i < review->figure_count; i++)
        review->figures[i] = (struct report_figure){
            code + i, chance(5) ? (int64_t)chance(100) : REVIEW_UNKNOWN
        };
}

static void put_mended(const struct review *review, const char *who, char *fact, size_t cap)
{
    size_t len = 0;
    if (review->village > 0)
        len = (size_t)snprintf(fact, cap, ";INSERT INTO mended SELECT arrival,at,%s,0,%u FROM now",
                               who, review->village);
    for (size_t i = 0; i < review->figure_count; i++)
        len += (size_t)snprintf(fact + len, cap - len,
                                ";INSERT INTO mended SELECT arrival,at,%s,%u,%lld FROM now", who,
                                review->figures[i].code, (long long)review->figures[i].value);
}

static void make_answer(struct event *e)
{
    static const uint8_t STATES[] = { REVIEW_SEEN, REVIEW_QUESTION, REVIEW_APPROVED,
                                      REVIEW_APPROVED, REVIEW_APPROVED, REVIEW_REJECTED,
                                      REVIEW_MET, REVIEW_CORRECTED, REVIEW_JOINED };
    uint16_t reviewer = chance(4) ? KIT_GATEWAY : KIT_OPERATOR;
    uint16_t author = (uint16_t)(KIT_ANNA + chance(EVENT_AUTHOR_COUNT));
    if (e->seqs[author] == 0)
        return;
    uint32_t back = chance(12), seq = e->seqs[author] > back ? e->seqs[author] - back : 1;
    struct review review = { .state = STATES[chance(sizeof STATES)], .ref_count = 1,
                             .refs = { { .author = author, .seq = seq } } };
    if (e->corrected.seq > 0 && chance(4) == 0) { /* and once more */
        review.state = REVIEW_CORRECTED;
        review.refs[0] = e->corrected;
        e->again_count++;
    }
    if (review.state == REVIEW_CORRECTED) {
        make_correction(&review);
        e->corrected = review.refs[0];
    } else if (review.state == REVIEW_JOINED) {
        review.same_as = (struct record_ref){ .author = KIT_GATEWAY, .seq = 1 };
    }
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&review, body, sizeof body);
    assert_true(len > 0);
    uint32_t review_seq = ++e->seqs[reviewer];
    struct kit_record r = kit_sign(&e->kit, reviewer, review_seq, RECORD_REVIEW, 1, body,
                                   (size_t)len);
    char fact[480], who[64];
    snprintf(who, sizeof who, "%u,%u,%u,%u", reviewer, review_seq, review.refs[0].author,
             review.refs[0].seq);
    int fact_len = snprintf(fact, sizeof fact,
                            "INSERT INTO answer SELECT arrival,at,%s,%u FROM now", who,
                            (unsigned)review.state);
    put_mended(&review, who, fact + fact_len, sizeof fact - (size_t)fact_len);
    arrive_or_wait(e, &r, fact);
}

/* Every row equals the SQL's, and there is no other. */
static void compare_rows(const struct event *e, const struct totals *t, int64_t moment_ms,
                         bool approved, uint32_t event)
{
    sqlite3_stmt *sums;
    assert_int_equal(sqlite3_prepare_v2(e->facts, SUMS, -1, &sums, NULL), SQLITE_OK);
    sqlite3_bind_int64(sums, 1, moment_ms);
    sqlite3_bind_int(sums, 2, approved);
    sqlite3_bind_int64(sums, 3, event);
    for (size_t i = 0; i < t->row_count; i++) {
        const struct totals_row *row = &t->rows[i];
        assert_int_equal(sqlite3_step(sums), SQLITE_ROW);
        const int64_t have[] = { row->key.village, row->key.kind, row->key.code, row->value,
                                 row->low, row->high, row->author, row->seq };
        for (int column = 0; column < 8; column++)
            if (sqlite3_column_int64(sums, column) != have[column])
                fail_msg("row %zu column %d at %lld: %lld, SQL says %lld", i, column,
                         (long long)moment_ms, (long long)have[column],
                         (long long)sqlite3_column_int64(sums, column));
    }
    assert_int_equal(sqlite3_step(sums), SQLITE_DONE);
    sqlite3_finalize(sums);
}

static void compare_at(const struct event *e, int64_t moment_ms, bool approved, uint32_t event,
                       size_t *row_count)
{
    struct totals t = { .claims = NULL };
    struct totals_filter filter = { .as_of_ms = moment_ms, .event = event, .approved = approved };
    assert_int_equal(totals_collect(&t, e->db, 1, &filter), 0);
    assert_int_equal(totals_finish(&t), TOTALS_OK);
    compare_rows(e, &t, moment_ms, approved, event);
    *row_count += t.row_count;
    totals_free(&t);
}

static const struct totals_claim *next_under(const struct totals *t, size_t *at,
                                             const struct totals_key *key)
{
    while (*at < t->claim_count && totals_compare_keys(&t->claims[*at].key, key) != 0)
        ++*at;
    return *at < t->claim_count ? &t->claims[(*at)++] : NULL;
}

static void assert_same_claim(const struct totals_claim *a, const struct totals_claim *b)
{
    assert_int_equal(totals_compare_keys(&a->key, &b->key), 0);
    assert_int_equal(a->arrival, b->arrival);
    assert_int_equal(a->received_ms, b->received_ms);
    assert_int_equal(a->claimed, b->claimed);
    assert_int_equal(a->said_village, b->said_village);
    assert_int_equal(a->value, b->value);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->author, b->author);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->standing, b->standing);
}

/* A figure's page asks for one village and one indicator; it must show what all claims together
 * have under them, those included that an answer moved there or away, then or later. */
static void compare_figures(const struct event *e, int64_t moment_ms, size_t *claim_count)
{
    struct totals all = { .claims = NULL };
    struct totals_filter filter = { .as_of_ms = moment_ms, .event = 1, .all_claims = true };
    assert_int_equal(totals_collect(&all, e->db, 1, &filter), 0);
    assert_int_equal(totals_finish(&all), TOTALS_OK);
    for (uint32_t village = 1; village <= EVENT_VILLAGE_COUNT; village++) {
        struct totals_key key = { .commune = 1, .village = village, .event = 1,
                                  .code = 1 + chance(5),
                                  .kind = (uint8_t)(chance(2) ? RECORD_NEEDS : RECORD_DAMAGE) };
        struct totals_indicator only = { key.code, key.kind };
        struct totals one = { .claims = NULL };
        size_t at = 0, want_at = 0;
        filter.village = village;
        filter.indicators = &only;
        filter.indicator_count = 1;
        assert_int_equal(totals_collect(&one, e->db, 1, &filter), 0);
        assert_int_equal(totals_finish(&one), TOTALS_OK);
        for (const struct totals_claim *want; (want = next_under(&all, &want_at, &key)) != NULL;) {
            const struct totals_claim *have = next_under(&one, &at, &key);
            assert_non_null(have);
            assert_same_claim(have, want);
            ++*claim_count;
        }
        assert_null(next_under(&one, &at, &key));
        totals_free(&one);
    }
    totals_free(&all);
}

/* Read once for all moments, as for a chart; all claims or only those that may count. */
static void compare_moments(const struct event *e, bool all_claims, size_t *claim_count_out)
{
    int64_t moments_ms[EVENT_MOMENT_COUNT];
    struct totals t = { .claims = NULL }, then;
    for (int64_t i = 0; i < EVENT_MOMENT_COUNT; i++)
        moments_ms[i] = KIT_NOW_MS + (e->now_ms - KIT_NOW_MS) * (i + 1) / EVENT_MOMENT_COUNT;
    struct totals_filter filter = { .event = 2, .moments_ms = moments_ms, .all_claims = all_claims,
                                    .moment_count = EVENT_MOMENT_COUNT };
    assert_int_equal(totals_collect(&t, e->db, 1, &filter), 0);
    *claim_count_out = t.claim_count;
    for (size_t i = 0; i < EVENT_MOMENT_COUNT; i++) {
        assert_int_equal(totals_at(&t, moments_ms[i], &then), TOTALS_OK);
        compare_rows(e, &then, moments_ms[i], false, 2);
        totals_free(&then);
    }
    totals_free(&t);
}

static int compare_board_row(void *ctx, const struct db_record *r)
{
    sqlite3_stmt *rows = ctx;
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    const int64_t have[] = { r->ref.author, r->ref.seq, r->review_state, r->village,
                             r->said_village };
    for (int column = 0; column < 5; column++)
        if (sqlite3_column_int64(rows, column) != have[column])
            fail_msg("report %u-%u column %d: %lld, SQL says %lld", r->ref.author, r->ref.seq,
                     column, (long long)have[column],
                     (long long)sqlite3_column_int64(rows, column));
    return 0;
}

/* The board knows only the present; it must be the same as the totals' last moment. */
static void compare_board(const struct event *e)
{
    sqlite3_stmt *rows;
    assert_int_equal(sqlite3_prepare_v2(e->facts, BOARD, -1, &rows, NULL), SQLITE_OK);
    sqlite3_bind_int64(rows, 1, e->now_ms);
    assert_int_equal(db_record_reports(e->db, 1, compare_board_row, rows), 0);
    assert_int_equal(sqlite3_step(rows), SQLITE_DONE);
    sqlite3_finalize(rows);
}

/* Half of what the operator answered was a thief's; then it is found that it was not. */
static void compare_after_revocation(struct event *e)
{
    char sql[320];
    uint32_t from = e->seqs[KIT_OPERATOR] / 2;
    size_t row_count = 0;
    snprintf(sql, sizeof sql, "CREATE TABLE every AS SELECT * FROM answer;"
             "CREATE TABLE every_mended AS SELECT * FROM mended;"
             "DELETE FROM answer WHERE reviewer = %u AND review_seq >= %u;"
             "DELETE FROM mended WHERE reviewer = %u AND review_seq >= %u", KIT_OPERATOR, from,
             KIT_OPERATOR, from);
    run_sql(e->facts, sql);
    struct kit_record r = kit_enrol(&e->kit, KIT_OPERATOR, ROSTER_OPERATOR, 0, "Trực ban", from);
    assert_int_equal(kit_put(&e->kit, &e->ledger, &r), LEDGER_NEW);
    compare_board(e);
    compare_at(e, e->now_ms, false, 1, &row_count);
    compare_at(e, KIT_NOW_MS + (e->now_ms - KIT_NOW_MS) / 2, true, 2, &row_count);
    run_sql(e->facts, "DELETE FROM answer; INSERT INTO answer SELECT * FROM every;"
                      "DELETE FROM mended; INSERT INTO mended SELECT * FROM every_mended");
    r = kit_enrol(&e->kit, KIT_OPERATOR, ROSTER_OPERATOR, 0, "Trực ban", 0);
    assert_int_equal(kit_put(&e->kit, &e->ledger, &r), LEDGER_NEW);
    compare_board(e);
    compare_at(e, e->now_ms, false, 1, &row_count);
}

static void test_totals_of_an_event_equal_sql(void **state)
{
    static struct event e;
    char dir[KIT_PATH_LEN];
    (void)state;
    e = (struct event){ .now_ms = KIT_NOW_MS };
    kit_init(&e.kit, 5);
    kit_make_dir(dir);
    e.db = kit_open_db(dir, "event.db");
    kit_open_ledger(&e.kit, e.db, &e.ledger);
    kit_put_root_log(&e.kit, &e.ledger);
    for (uint16_t i = KIT_ANNA; i < KIT_ANNA + EVENT_AUTHOR_COUNT; i++) {
        struct kit_record r = kit_enrol(&e.kit, i, ROSTER_MEMBER, i % EVENT_VILLAGE_COUNT + 1,
                                        "Người", 0);
        assert_int_equal(kit_put(&e.kit, &e.ledger, &r), LEDGER_NEW);
    }
    assert_int_equal(sqlite3_open(":memory:", &e.facts), SQLITE_OK);
    run_sql(e.facts, FACTS);
    assert_int_equal(db_begin(e.db), 0);
    for (size_t i = 0; i < EVENT_REPORT_COUNT; i++) {
        make_report(&e);
        if (chance(2) == 0)
            make_answer(&e);
    }
    assert_int_equal(db_commit(e.db), 0);
    size_t row_count = 0, claim_count = 0;
    for (size_t i = 0; i < EVENT_MOMENT_COUNT; i++) {
        int64_t moment_ms = KIT_NOW_MS + chance((uint32_t)(e.now_ms - KIT_NOW_MS));
        compare_at(&e, moment_ms, i % 2, 1 + (uint32_t)(i / 2 % 2), &row_count);
        if (i % 4 == 0)
            compare_figures(&e, moment_ms, &claim_count);
    }
    assert_true(row_count > 500 && claim_count > 100 && e.again_count > 300);
    size_t all_count, kept_count;
    compare_moments(&e, true, &all_count);
    compare_moments(&e, false, &kept_count);
    assert_true(kept_count < all_count); /* what cannot count was dropped, and nothing else */
    compare_board(&e);
    compare_after_revocation(&e);
    sqlite3_close(e.facts);
    ledger_free(&e.ledger);
    db_close(e.db);
    kit_remove_dir(dir);
}

static void answer_at(const struct kit *k, struct ledger *l, uint32_t seq, uint32_t village,
                      int64_t at_ms)
{
    struct review review = { .state = REVIEW_CORRECTED, .ref_count = 1,
                             .refs = { { .author = KIT_ANNA, .seq = 1 } }, .village = village };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&review, body, sizeof body);
    assert_true(len > 0);
    struct kit_record r = kit_sign(k, KIT_GATEWAY, seq, RECORD_REVIEW, 1, body, (size_t)len);
    assert_int_equal(db_begin(l->db), 0);
    assert_int_equal(ledger_put(l, ledger_get(l, 1), r.bytes, r.len, at_ms), LEDGER_NEW);
    assert_int_equal(db_commit(l->db), 0);
}

/* In which of villages 3 and 4 a page finds Anna's one figure as of a moment. */
static uint32_t found_in(struct db *db, int64_t moment_ms)
{
    const struct totals_indicator only = { 8, RECORD_DAMAGE };
    uint32_t found = 0;
    for (uint32_t village = 3; village <= 4; village++) {
        struct totals t = { .claims = NULL };
        struct totals_filter filter = { .as_of_ms = moment_ms, .village = village,
                                        .indicators = &only, .indicator_count = 1,
                                        .all_claims = true };
        assert_int_equal(totals_collect(&t, db, 1, &filter), 0);
        assert_int_equal(totals_finish(&t), TOTALS_OK);
        if (t.row_count > 0) {
            assert_int_equal(found, 0);
            found = village;
        }
        totals_free(&t);
    }
    return found;
}

static void test_totals_find_a_moved_figure_at_any_moment(void **state)
{
    struct kit k;
    struct ledger l;
    char dir[KIT_PATH_LEN];
    (void)state;
    kit_init(&k, 6);
    kit_make_dir(dir);
    struct db *db = kit_open_db(dir, "moved.db");
    kit_open_ledger(&k, db, &l);
    kit_put_root_log(&k, &l);
    struct kit_record r = kit_damage(&k, KIT_ANNA, 1, 8, 2);
    assert_int_equal(kit_put(&k, &l, &r), LEDGER_NEW); /* in village 3, at KIT_NOW_MS */
    answer_at(&k, &l, 1, 4, KIT_NOW_MS + 100);
    assert_int_equal(found_in(db, KIT_NOW_MS), 3); /* before any answer moved anything */
    assert_int_equal(found_in(db, KIT_NOW_MS + 100), 4);
    answer_at(&k, &l, 2, REVIEW_VILLAGE_AUTHORS, KIT_NOW_MS + 200);
    assert_int_equal(found_in(db, KIT_NOW_MS), 3);
    assert_int_equal(found_in(db, KIT_NOW_MS + 100), 4);
    assert_int_equal(found_in(db, KIT_NOW_MS + 200), 3);
    assert_int_equal(found_in(db, 0), 3);
    ledger_free(&l);
    db_close(db);
    kit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals_follow_the_rules),
        cmocka_unit_test(test_totals_add_villages_up),
        cmocka_unit_test(test_totals_stand_as_of_any_moment),
        cmocka_unit_test(test_totals_of_an_event_equal_sql),
        cmocka_unit_test(test_totals_name_the_missing_numbers),
    };
    const struct CMUnitTest on_both[] = {
        cmocka_unit_test(test_totals_find_a_moved_figure_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) + kit_run_on_both(on_both);
}
