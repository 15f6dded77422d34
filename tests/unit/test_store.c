#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/store.h"
#include "tests/support/powercut_vfs.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITISED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITISED 1
#endif
#endif
#ifndef SANITISED
#define SANITISED 0
#endif

enum {
    POWER_CUTS = SANITISED ? 400 : 4000,
    BOOTS_PER_DISK = 5,
    KILLS = SANITISED ? 60 : 300,
};

static char dir[64], path[96], text[STORE_TEXT_LEN];
static const uint8_t network[KENG_NETWORK_ID_LEN] = { 1, 2, 3 };
static struct store *s;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keng-store-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/store.db", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
    store_close(s);
    s = NULL;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
    return rmdir(dir);
}

static void open_store(void)
{
    if (store_open(path, network, &s, text) != STORE_OK)
        fail_msg("%s", text);
}

static void reopen(void)
{
    store_close(s);
    s = NULL;
    open_store();
}

/* A record's bytes follow from its name, so that a check needs no copy of them. */
static struct record_view make(uint16_t author, uint8_t lane, uint32_t seq,
                               uint8_t bytes[RECORD_LEN_MAX])
{
    uint64_t z = (uint64_t)author << 40 | (uint64_t)lane << 32 | seq;
    struct record_view v = { .ref = { .author = author, .lane = lane, .seq = seq },
                             .bytes = bytes };
    for (size_t i = 0; i < RECORD_LEN_MAX; i++) {
        z = z * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(z >> 56);
    }
    v.len = RECORD_LEN_MIN + bytes[0] % (RECORD_LEN_MAX - RECORD_LEN_MIN + 1);
    return v;
}

static int put(uint16_t author, uint8_t lane, uint32_t seq, uint32_t replaces, const char *once,
               int64_t *arrival_out)
{
    uint8_t bytes[RECORD_LEN_MAX];
    struct record_view v = make(author, lane, seq, bytes);
    return store_put_record(s, &v, 1000 + seq, replaces, once, arrival_out);
}

static int64_t put_one(uint16_t author, uint8_t lane, uint32_t seq, uint32_t replaces,
                       const char *once)
{
    int64_t arrival = 0;
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(put(author, lane, seq, replaces, once, &arrival), STORE_OK);
    assert_int_equal(store_commit(s), STORE_OK);
    return arrival;
}

/* Is it there, byte for byte?  Anything but yes or "no such row" fails. */
static bool holds(uint16_t author, uint8_t lane, uint32_t seq)
{
    uint8_t want[RECORD_LEN_MAX], got[RECORD_LEN_MAX];
    struct record_view v = make(author, lane, seq, want);
    int len = store_load(s, &v.ref, got);
    if (len == STORE_ENONE)
        return false;
    assert_int_equal(len, v.len);
    assert_memory_equal(got, want, v.len);
    return true;
}

struct list { size_t count, stop_after; struct store_record rows[64]; };

static bool collect(void *ctx, const struct store_record *record)
{
    struct list *l = ctx;
    assert_true(l->count < 64);
    l->rows[l->count++] = *record;
    return l->count != l->stop_after;
}

struct settled_seq { uint32_t seq; };

static void note_settled(void *ctx, const struct record_ref *ref)
{
    struct settled_seq *settled = ctx;
    assert_int_equal(ref->author, 11);
    settled->seq = ref->seq;
}

/* ---- rows --------------------------------------------------------------------------- */

static void test_store_reopen_keeps_everything(void **state)
{
    (void)state;
    struct store_review review = { .by = 4, .state = 2, .text = "Mấy nhà? gõ lại giúp" }, got;
    struct list l = { .count = 0 };
    uint8_t bytes[RECORD_LEN_MAX];
    open_store();
    int64_t first = put_one(11, 0, 1, 0, "token");
    assert_int_equal(put_one(0, 0, 1, 0, NULL), first + 1);
    struct record_view v = make(11, 0, 1, bytes);
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(store_put_review(s, &v.ref, &review), STORE_OK);
    assert_int_equal(store_put_carried(s, &v.ref, 3), STORE_OK);
    assert_int_equal(store_put_carried(s, &v.ref, 5), STORE_OK); /* the first one stays */
    assert_int_equal(store_put_fork(s, &v, 7), STORE_OK);
    assert_int_equal(store_put_fork(s, &v, 8), STORE_OK); /* the same evidence once */
    assert_int_equal(store_commit(s), STORE_OK);
    reopen();
    assert_true(holds(11, 0, 1) && holds(0, 0, 1));
    assert_int_equal(store_each_record(s, collect, &l), STORE_OK);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.rows[0].ref.author, 0); /* the root's first, although it came last */
    assert_int_equal(l.rows[0].carried_by, AUTHOR_NONE);
    assert_int_equal(l.rows[1].arrival, first);
    assert_int_equal(l.rows[1].carried_by, 3);
    assert_int_equal(l.rows[1].received_ms, 1001);
    assert_int_equal(store_find_review(s, &v.ref, &got), STORE_OK);
    assert_int_equal(got.by, 4);
    assert_int_equal(got.state, 2);
    assert_string_equal(got.text, review.text);
    struct record_ref ref;
    assert_int_equal(store_find_once(s, "token", &ref), STORE_OK);
    assert_int_equal(ref.author, 11);
    assert_int_equal(ref.seq, 1);
    assert_int_equal(store_last_arrival(s), first + 1);
}

static void test_store_names_of_records_survive_their_packing(void **state)
{
    (void)state;
    static const struct record_ref refs[] = {
        { .author = 0, .lane = 0, .seq = 1 },
        { .author = 0, .lane = 7, .seq = RECORD_SEQ_MAX },
        { .author = 1, .lane = 0, .seq = RECORD_SEQ_MAX },
        { .author = AUTHOR_MAX, .lane = 7, .seq = 1 },
        { .author = AUTHOR_MAX, .lane = 0, .seq = RECORD_SEQ_MAX },
    };
    enum { COUNT = sizeof refs / sizeof refs[0] };
    struct list l = { .count = 0 };
    open_store();
    for (size_t i = 0; i < COUNT; i++)
        put_one(refs[i].author, refs[i].lane, refs[i].seq, 0, NULL);
    assert_int_equal(store_records_after(s, 0, COUNT, collect, &l), STORE_OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(l.rows[i].ref.author, refs[i].author);
        assert_int_equal(l.rows[i].ref.lane, refs[i].lane);
        assert_int_equal(l.rows[i].ref.seq, refs[i].seq);
    }
}

static void test_store_rollback_leaves_nothing(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_LEN_MAX];
    struct record_view v = make(11, 0, 1, bytes);
    struct store_review review = { .by = 4, .state = 1 };
    int64_t arrival;
    struct record_ref ref;
    open_store();
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(put(11, 0, 1, 0, "t", &arrival), STORE_OK);
    assert_int_equal(store_put_review(s, &v.ref, &review), STORE_OK);
    assert_int_equal(store_put_airtime(s, "boot", 60000, 5), STORE_OK);
    store_rollback(s);
    store_rollback(s); /* without a transaction: nothing to do */
    assert_false(holds(11, 0, 1));
    assert_int_equal(store_find_once(s, "t", &ref), STORE_ENONE);
    assert_int_equal(store_find_review(s, &v.ref, &review), STORE_ENONE);
    put_one(11, 0, 1, 0, "t");
    reopen();
    assert_true(holds(11, 0, 1));
}

static void test_store_superseding_lane_keeps_only_the_newest(void **state)
{
    (void)state;
    open_store();
    int64_t before = put_one(4, 1, 1, 0, NULL);
    for (uint32_t seq = 2; seq <= 9; seq++) {
        int64_t arrival = put_one(4, 1, seq, seq - 1, NULL);
        assert_true(arrival > before); /* the number of a deleted row never comes again */
        before = arrival;
    }
    put_one(4, 2, 1, 0, NULL); /* another lane of the same author */
    reopen();
    for (uint32_t seq = 1; seq <= 8; seq++)
        assert_false(holds(4, 1, seq));
    assert_true(holds(4, 1, 9) && holds(4, 2, 1));
    /* A failed transaction brings the older one back. */
    int64_t arrival;
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(put(4, 1, 10, 9, NULL, &arrival), STORE_OK);
    store_rollback(s);
    assert_true(holds(4, 1, 9) && !holds(4, 1, 10));
}

static void test_store_arrival_is_never_used_again(void **state)
{
    (void)state;
    open_store();
    put_one(11, 0, 1, 0, NULL);
    int64_t gone = put_one(4, 1, 1, 0, NULL);
    sqlite3 *db;
    store_close(s);
    s = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM record", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    open_store();
    assert_int_equal(store_last_arrival(s), 0);
    assert_true(put_one(11, 0, 2, 0, NULL) > gone);
}

static void test_store_a_number_and_a_token_are_taken_once(void **state)
{
    (void)state;
    int64_t arrival;
    open_store();
    put_one(11, 0, 1, 0, "a");
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(put(11, 0, 2, 0, "a", &arrival), STORE_EIO);
    assert_non_null(strstr(store_text(s), "store.db: cannot write a record"));
    store_rollback(s);
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(put(11, 0, 1, 0, "b", &arrival), STORE_EIO);
    store_rollback(s);
    put_one(11, 0, 2, 0, "b");
    put_one(11, 0, 3, 0, NULL); /* no token is no token, however often */
    put_one(11, 0, 4, 0, NULL);
}

static void test_store_pages_through_arrivals(void **state)
{
    (void)state;
    struct list l;
    open_store();
    for (uint32_t seq = 1; seq <= 25; seq++)
        put_one(11, 0, seq, 0, NULL);
    int64_t after = 0;
    uint32_t want = 1;
    do {
        l = (struct list){ .count = 0 };
        assert_int_equal(store_records_after(s, after, 10, collect, &l), STORE_OK);
        for (size_t i = 0; i < l.count; i++, want++) {
            assert_int_equal(l.rows[i].ref.seq, want);
            after = l.rows[i].arrival;
        }
    } while (l.count == 10);
    assert_int_equal(want, 26);
    l = (struct list){ .stop_after = 3 };
    assert_int_equal(store_records_after(s, 0, 10, collect, &l), STORE_OK);
    assert_int_equal(l.count, 3);
    l = (struct list){ .count = 0 };
    assert_int_equal(store_records_after(s, INT64_MAX, 10, collect, &l), STORE_OK);
    assert_int_equal(l.count, 0);
    put_one(11, 1, 1, 0, NULL);
    put_one(12, 0, 1, 0, NULL);
    put_one(13, 0, 1, 0, NULL);
    put_one(11, 0, 26, 0, NULL);
    /* Of several authors what came last is first, whoever wrote it. */
    static const uint16_t authors[STORE_AUTHOR_COUNT_MAX] = { 11, 99, 12 };
    static const struct record_ref newest[] = {
        { .author = 11, .seq = 26 }, { .author = 12, .seq = 1 }, { .author = 11, .seq = 25 },
        { .author = 11, .seq = 24 },
    };
    l = (struct list){ .stop_after = 4 };
    assert_int_equal(store_newest_of(s, authors, 3, collect, &l), STORE_OK);
    assert_int_equal(l.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(l.rows[i].ref.author, newest[i].author);
        assert_int_equal(l.rows[i].ref.seq, newest[i].seq);
        assert_int_equal(l.rows[i].ref.lane, 0);
    }
    l = (struct list){ .count = 0 };
    assert_int_equal(store_newest_of(s, authors, 0, collect, &l), STORE_OK);
    assert_int_equal(l.count, 0);
}

static void test_store_review_is_replaced(void **state)
{
    (void)state;
    struct record_ref of = { .author = 11, .lane = 0, .seq = 3 };
    open_store();
    for (uint8_t i = 1; i <= 5; i++) {
        struct store_review review = { .by = (uint16_t)(3 + i), .state = i }, got;
        memset(review.text, 'a' + i, i == 5 ? REPORT_TEXT_LEN_MAX : i);
        assert_int_equal(store_begin(s), STORE_OK);
        assert_int_equal(store_put_review(s, &of, &review), STORE_OK);
        assert_int_equal(store_commit(s), STORE_OK);
        assert_int_equal(store_find_review(s, &of, &got), STORE_OK);
        assert_int_equal(got.by, review.by);
        assert_int_equal(got.state, i);
        assert_string_equal(got.text, review.text);
    }
}

static void test_store_late_review_does_not_undo_a_newer(void **state)
{
    (void)state;
    struct record_ref of = { .author = 11, .lane = 0, .seq = 3 };
    static const struct { uint16_t by; uint32_t by_seq; uint8_t state, want; } CASES[] = {
        { 5, 7, REVIEW_APPROVED, REVIEW_APPROVED }, { 5, 4, REVIEW_QUESTION, REVIEW_APPROVED },
        { 5, 7, REVIEW_REJECTED, REVIEW_APPROVED }, { 5, 8, REVIEW_MET, REVIEW_MET },
        { 4, 1, REVIEW_SEEN, REVIEW_SEEN }, /* another person: heard last */
        /* What the first one said before comes late, by another way. */
        { 5, 6, REVIEW_QUESTION, REVIEW_SEEN }, { 5, 8, REVIEW_MET, REVIEW_SEEN },
        { 5, 9, REVIEW_REJECTED, REVIEW_REJECTED }, { 4, 1, REVIEW_SEEN, REVIEW_REJECTED },
    };
    open_store();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct store_review review = { .by = CASES[i].by, .by_seq = CASES[i].by_seq,
                                       .state = CASES[i].state }, got;
        assert_int_equal(store_put_review(s, &of, &review), STORE_OK);
        assert_int_equal(store_find_review(s, &of, &got), STORE_OK);
        assert_int_equal(got.state, CASES[i].want);
    }
}

static void run_sql(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A store of schema 5, with one row for each report. */
static void test_store_reviews_of_one_row_each_are_taken_over(void **state)
{
    (void)state;
    struct store_review got;
    struct record_ref of = { .author = 11, .lane = 0, .seq = 3 };
    const struct store_review late = { .by = 5, .by_seq = 6, .state = REVIEW_MET };
    open_store();
    put_one(11, 0, 3, 0, NULL);
    store_close(s);
    s = NULL;
    run_sql("DROP TABLE review;"
            "CREATE TABLE review(log INTEGER NOT NULL, seq INTEGER NOT NULL, by INTEGER NOT NULL,"
            " state INTEGER NOT NULL, text BLOB, by_seq INTEGER NOT NULL DEFAULT 0,"
            " PRIMARY KEY(log, seq)) WITHOUT ROWID;"
            "INSERT INTO review VALUES(88, 3, 5, 2, 'Mấy nhà?', 7), (88, 4, 6, 1, '', 1);"
            "PRAGMA user_version = 5");
    open_store();
    assert_true(holds(11, 0, 3));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_find_review(s, &of, &got), STORE_OK);
        assert_int_equal(got.by, 5);
        assert_int_equal(got.by_seq, 7);
        assert_int_equal(got.state, REVIEW_QUESTION);
        assert_string_equal(got.text, "Mấy nhà?");
        assert_int_equal(store_put_review(s, &of, &late), STORE_OK);
    }
    of.seq = 4;
    assert_int_equal(store_find_review(s, &of, &got), STORE_OK);
    assert_int_equal(got.by, 6);
    assert_int_equal(store_drop_record(s, &of), STORE_OK);
    assert_int_equal(store_find_review(s, &of, &got), STORE_ENONE);
}

struct spent { uint64_t this_boot_us, others_us, first_minute_ms; };

static void add_spent(void *ctx, const char *ledger, uint64_t minute_ms, uint32_t airtime_us)
{
    struct spent *sum = ctx;
    bool same_boot = strncmp(ledger, "new", 3) == 0;
    *(same_boot ? &sum->this_boot_us : &sum->others_us) += airtime_us;
    if (same_boot && minute_ms < sum->first_minute_ms)
        sum->first_minute_ms = minute_ms;
}

static void test_store_airtime_is_kept_per_boot_and_minute(void **state)
{
    (void)state;
    struct spent sum = { .first_minute_ms = UINT64_MAX };
    open_store();
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(store_put_airtime(s, "old", 120000, 7), STORE_OK);
    assert_int_equal(store_put_airtime(s, "new", 60000, 100), STORE_OK);
    assert_int_equal(store_put_airtime(s, "new", 120000, 1000), STORE_OK);
    assert_int_equal(store_put_airtime(s, "new", 120000, UINT32_MAX), STORE_OK); /* a new total */
    assert_int_equal(store_put_airtime(s, "new/433", 120000, 5), STORE_OK); /* another modem */
    assert_int_equal(store_put_airtime(s, "new/gone", 120000, 3), STORE_OK);
    assert_int_equal(store_commit(s), STORE_OK);
    reopen();
    assert_int_equal(store_each_airtime(s, add_spent, &sum), STORE_OK);
    assert_int_equal(sum.this_boot_us, 108 + (uint64_t)UINT32_MAX);
    assert_int_equal(sum.others_us, 7);
    const char *const ledgers[STORE_LEDGER_COUNT_MAX] = { "new", "new/433" };
    assert_int_equal(store_keep_ledgers(s, ledgers), STORE_OK);
    sum = (struct spent){ .first_minute_ms = UINT64_MAX };
    assert_int_equal(store_each_airtime(s, add_spent, &sum), STORE_OK);
    assert_int_equal(sum.this_boot_us, 105 + (uint64_t)UINT32_MAX);
    assert_int_equal(sum.others_us, 0);
    assert_int_equal(sum.first_minute_ms, 60000);
}

static void count_minute(void *ctx, const char *ledger, uint64_t minute_ms, uint32_t airtime_us)
{
    uint64_t *next = ctx; /* ledger by ledger, the newest first */
    static const uint64_t WANT[] = { 7260000, 7200000, 60000, 7200000, 0 };
    assert_string_equal(ledger, *next < 3 ? "a" : "b");
    assert_int_equal(minute_ms, WANT[(*next)++]);
    assert_int_equal(airtime_us, 5);
}

/* A box that runs for years writes a row a minute. */
static void test_store_airtime_does_not_grow_for_ever(void **state)
{
    (void)state;
    uint64_t count = 0;
    open_store();
    assert_int_equal(store_begin(s), STORE_OK);
    for (uint64_t minute_ms = 0; minute_ms <= 7200000; minute_ms += 7200000)
        assert_int_equal(store_put_airtime(s, "b", minute_ms, 5), STORE_OK);
    assert_int_equal(store_put_airtime(s, "a", 0, 5), STORE_OK);
    assert_int_equal(store_put_airtime(s, "a", 60000, 5), STORE_OK);
    assert_int_equal(store_put_airtime(s, "a", 7200000, 5), STORE_OK);
    assert_int_equal(store_put_airtime(s, "a", 7260000, 5), STORE_OK);
    assert_int_equal(store_commit(s), STORE_OK);
    assert_int_equal(store_each_airtime(s, count_minute, &count), STORE_OK);
    assert_int_equal(count, 5);
}

/* ---- kept as evidence, and counting again ---- */

/* A revoked author's records stay as rows while the core lets go of them.  Should he count again
 * they come in again, and must not stop the whole transaction. */
static void test_store_takes_again_what_it_kept(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_LEN_MAX], got[RECORD_LEN_MAX];
    int64_t arrival;
    sqlite3 *db;
    sqlite3_stmt *st;
    open_store();
    int64_t first = put_one(11, 0, 1, 0, "token");
    struct record_view v = make(11, 0, 1, bytes);
    assert_int_equal(store_keep_again(s, &v), STORE_OK);
    v.ref.seq = 2;
    assert_int_equal(store_keep_again(s, &v), STORE_ENONE);
    v.ref.seq = 1;
    v.bytes = memcpy(got, bytes, sizeof got);
    got[v.len - 1] ^= 1; /* two under one number: the other one has come to be believed here */
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(store_keep_again(s, &v), STORE_ENONE);
    assert_int_equal(store_put_record(s, &v, 5, 0, NULL, &arrival), STORE_OK);
    assert_int_equal(store_commit(s), STORE_OK);
    assert_true(arrival > first);
    assert_int_equal(store_load(s, &v.ref, bytes), (int)v.len);
    assert_memory_equal(bytes, got, v.len);
    store_close(s);
    s = NULL;
    make(11, 0, 1, bytes);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT bytes FROM fork", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_bytes(st, 0), (int)v.len);
    assert_memory_equal(sqlite3_column_blob(st, 0), bytes, v.len);
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
    sqlite3_finalize(st);
    sqlite3_close(db);
    open_store();
}

/* ---- what it refuses to open ------------------------------------------------------------ */

static void test_store_refuses_what_is_not_its_own(void **state)
{
    (void)state;
    uint8_t other[KENG_NETWORK_ID_LEN] = { 9 };
    struct store *none = NULL;
    open_store();
    put_one(11, 0, 1, 0, NULL);
    store_close(s);
    s = NULL;
    assert_int_equal(store_open(path, other, &none, text), STORE_ENETWORK);
    assert_non_null(strstr(text, "another commune"));
    run_sql("PRAGMA user_version = 99");
    assert_int_equal(store_open(path, network, &none, text), STORE_EVERSION);
    assert_non_null(strstr(text, "newer kengd"));
    assert_non_null(strstr(text, "99"));
    run_sql("PRAGMA user_version = 6");
    open_store(); /* neither refusal changed anything */
    assert_true(holds(11, 0, 1));
    assert_null(none);
}

static void test_store_says_why_it_cannot_open(void **state)
{
    (void)state;
    struct store *none = NULL;
    char name[8192];
    snprintf(name, sizeof name, "%s/nowhere/store.db", dir);
    assert_int_equal(store_open(name, network, &none, text), STORE_EIO);
    assert_non_null(strstr(text, "store.db: cannot open"));
    assert_int_equal(store_open(dir, network, &none, text), STORE_EIO);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    memset(name, 'x', sizeof name);
    assert_int_equal(write(fd, name, sizeof name), sizeof name);
    close(fd);
    assert_int_equal(store_open(path, network, &none, text), STORE_EIO);
    assert_non_null(strstr(text, "not a database"));
    assert_null(none);
}

static void test_store_path_may_hold_any_character(void **state)
{
    (void)state;
    static const char *const names[] = { "a?mode=memory", "b#c", "d%41", "Cao Minh ở xa",
                                        "e&psow=1" };
    char plain[96];
    memcpy(plain, path, sizeof plain);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        open_store();
        put_one(11, 0, 1, 0, NULL);
        reopen();
        assert_true(holds(11, 0, 1));
        store_close(s);
        s = NULL;
        assert_int_equal(access(path, F_OK), 0);
        unlink(path);
    }
    memcpy(path, plain, sizeof plain);
}

struct noted { size_t count; struct record_ref last; };

static void note_ref(void *ctx, const struct record_ref *ref)
{
    struct noted *noted = ctx;
    noted->count++;
    noted->last = *ref;
}

static void test_store_knows_every_correction_of_a_report(void **state)
{
    (void)state;
    struct record_ref of = { .author = 11, .seq = 2 }, other = { .author = 11, .seq = 1 };
    struct noted all = { 0 }, none = { 0 }, gone = { 0 };
    open_store();
    put_one(11, 0, 2, 0, NULL);
    assert_int_equal(store_begin(s), STORE_OK);
    for (uint32_t seq = 1; seq <= 30; seq++) {
        struct record_ref review = { .author = 4, .seq = seq };
        assert_int_equal(store_put_correction(s, &of, &review), STORE_OK);
        assert_int_equal(store_put_correction(s, &of, &review), STORE_OK); /* once is enough */
    }
    assert_int_equal(store_commit(s), STORE_OK);
    reopen();
    assert_int_equal(store_each_correction(s, &of, note_ref, &all), STORE_OK);
    assert_int_equal(all.count, STORE_CORRECTION_COUNT_MAX); /* the newest */
    assert_true(all.last.author == 4 && all.last.lane == 0 && all.last.seq == 30);
    assert_int_equal(store_each_correction(s, &other, note_ref, &none), STORE_OK);
    assert_int_equal(none.count, 0);
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(store_drop_record(s, &of), STORE_OK);
    assert_int_equal(store_commit(s), STORE_OK);
    assert_int_equal(store_each_correction(s, &of, note_ref, &gone), STORE_OK);
    assert_int_equal(gone.count, 0);
}

static void test_store_what_made_room_is_gone_and_its_number_is_known(void **state)
{
    (void)state;
    struct record_ref of = { .author = 11, .seq = 2 }, lower = { .author = 11, .seq = 1 };
    struct store_review review = { .by = 4, .state = 1 };
    struct settled_seq settled = { 0 };
    open_store();
    for (uint32_t seq = 1; seq <= 3; seq++)
        put_one(11, 0, seq, 0, NULL);
    assert_int_equal(store_record_count(s), 3);
    assert_int_equal(store_begin(s), STORE_OK);
    assert_int_equal(store_put_review(s, &of, &review), STORE_OK);
    assert_int_equal(store_drop_record(s, &of), STORE_OK);
    assert_int_equal(store_put_settled(s, &of), STORE_OK);
    assert_int_equal(store_put_settled(s, &lower), STORE_OK); /* takes nothing back */
    assert_int_equal(store_commit(s), STORE_OK);
    reopen();
    assert_true(holds(11, 0, 1) && !holds(11, 0, 2) && holds(11, 0, 3));
    assert_int_equal(store_record_count(s), 2);
    assert_int_equal(store_find_review(s, &of, &review), STORE_ENONE);
    assert_int_equal(store_each_settled(s, note_settled, &settled), STORE_OK);
    assert_int_equal(settled.seq, 2);
}

/* ---- a disk that is full ----------------------------------------------------------------- */

static void limit_files(rlim_t len)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = len;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_store_full_disk_is_an_error_and_passes(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    open_store();
    put_one(11, 0, 1, 0, NULL);
    uint32_t next = 2;
    for (rlim_t room = 0; room < 200000; room += 7000) {
        uint32_t kept = next - 1;
        int err = STORE_OK;
        limit_files(room);
        while (err == STORE_OK) {
            int64_t arrival;
            err = store_begin(s);
            for (uint32_t i = 0; err == STORE_OK && i < 3; i++)
                err = put(11, 0, next + i, 0, NULL, &arrival);
            if (err == STORE_OK)
                err = store_commit(s);
            if (err == STORE_OK)
                next += 3;
            if (next - kept > 3000)
                break;
        }
        limit_files(RLIM_INFINITY);
        if (err != STORE_OK) {
            assert_int_equal(err, STORE_EIO);
            assert_non_null(strstr(store_text(s), "store.db: cannot"));
            store_rollback(s);
            assert_non_null(strstr(store_text(s), "store.db: cannot")); /* the reason is not lost */
        }
        for (uint32_t seq = kept; seq < next; seq++)
            assert_true(holds(11, 0, seq));
        for (uint32_t i = 0; i < 3; i++)
            assert_false(holds(11, 0, next + i));
        put_one(11, 0, next++, 0, NULL); /* there is room again */
    }
    reopen();
    for (uint32_t seq = 1; seq < next; seq++)
        assert_true(holds(11, 0, seq));
}

static void test_store_full_disk_at_the_first_open(void **state)
{
    (void)state;
    struct store *none = NULL;
    unsigned refused = 0;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < 120000; room += 2048) {
        limit_files(room);
        int err = store_open(path, network, &none, text);
        limit_files(RLIM_INFINITY);
        if (err != STORE_OK) {
            assert_int_equal(err, STORE_EIO);
            assert_null(none);
            refused++;
            continue;
        }
        store_close(none);
        none = NULL;
    }
    assert_true(refused > 0);
    open_store(); /* what the failed tries left is no obstacle */
    put_one(11, 0, 1, 0, NULL);
}

/* ---- kill -9 ------------------------------------------------------------------------------ */

/* Commits pairs and says so through the pipe, until it is killed. */
static void writer(int out, uint32_t next)
{
    struct store *mine;
    if (store_open(path, network, &mine, text) != STORE_OK)
        _exit(3);
    s = mine;
    for (;; next += 2) {
        int64_t arrival;
        if (store_begin(s) != STORE_OK || put(11, 0, next, 0, NULL, &arrival) != STORE_OK ||
            put(11, 0, next + 1, 0, NULL, &arrival) != STORE_OK || store_commit(s) != STORE_OK)
            _exit(4);
        if (write(out, &next, sizeof next) != sizeof next)
            _exit(5);
    }
}

static void test_store_killed_loses_nothing_it_reported(void **state)
{
    (void)state;
    uint32_t next = 1, told = 0;
    unsigned grown = 0;
    for (int i = 0; i < KILLS; i++) {
        int pipe_fds[2], status;
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(pipe_fds[0]);
            writer(pipe_fds[1], next);
        }
        close(pipe_fds[1]);
        /* Every other time surely while it writes: a busy machine may take long to get there. */
        struct pollfd first = { .fd = pipe_fds[0], .events = POLLIN };
        if (i % 2 == 1)
            assert_int_equal(poll(&first, 1, 10000), 1);
        nanosleep(&(struct timespec){ .tv_nsec = (long)(lrand48() % 20) * 500000 }, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        uint32_t before = told;
        for (uint32_t seq; read(pipe_fds[0], &seq, sizeof seq) == sizeof seq;)
            told = seq;
        close(pipe_fds[0]);
        grown += told > before;
        open_store();
        if (told > 0)
            assert_true(holds(11, 0, told) && holds(11, 0, told + 1));
        /* One pair may be there that was not reported yet; never half of one. */
        if (told >= next)
            next = told + 2;
        assert_int_equal(holds(11, 0, next), holds(11, 0, next + 1));
        if (holds(11, 0, next))
            next += 2;
        assert_false(holds(11, 0, next));
        store_close(s);
        s = NULL;
    }
    print_message("%d kills, %u of them after a commit, %u records reported\n", KILLS, grown,
                  told + 1);
    assert_true(grown > 0);
    open_store();
    for (uint32_t seq = 1; seq < next; seq++)
        assert_true(holds(11, 0, seq));
}

/* ---- power cuts ---------------------------------------------------------------------------- */

/* What was promised, and what may or may not have happened. */
struct promise {
    uint32_t log;        /* lane 0 of author 11 holds left + 1 .. log */
    uint32_t left;       /* those up to it made room and are settled */
    bool leaving;        /* the next did in the transaction that was cut off */
    uint32_t newest;     /* lane 1 of author 4 holds exactly this one */
    uint32_t unsure;     /* records of the transaction that was cut off */
    int64_t arrival;     /* the highest that was told */
};

static uint64_t chance_state;

static uint32_t pick(uint32_t below)
{
    chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(chance_state >> 33) % below;
}

/* One transaction; true when it was acknowledged. */
static bool transact(struct promise *p)
{
    uint32_t count = 1 + pick(4);
    int64_t arrival = 0;
    p->unsure = count;
    int err = store_begin(s);
    for (uint32_t i = 1; err == STORE_OK && i <= count; i++)
        err = put(11, 0, p->log + i, 0, NULL, &arrival);
    if (err == STORE_OK)
        err = put(4, 1, p->newest + 1, p->newest, NULL, &arrival);
    struct record_ref oldest = { .author = 11, .seq = p->left + 1 };
    p->leaving = p->left + 4 < p->log && pick(2) == 0;
    if (err == STORE_OK && p->leaving)
        err = store_drop_record(s, &oldest);
    if (err == STORE_OK && p->leaving)
        err = store_put_settled(s, &oldest);
    bool abandon = pick(8) == 0;
    if (err == STORE_OK && !abandon)
        err = store_commit(s);
    if (err != STORE_OK || abandon) {
        store_rollback(s);
        p->unsure = abandon ? 0 : count;
        p->leaving = p->leaving && !abandon;
        return err == STORE_OK;
    }
    p->log += count;
    p->newest++;
    p->left += p->leaving;
    p->leaving = false;
    p->unsure = 0;
    p->arrival = arrival;
    return true;
}

/* NULL, or what was broken. */
static const char *check_promise(struct promise *p)
{
    uint8_t bytes[RECORD_LEN_MAX];
    struct settled_seq settled = { 0 };
    bool later = p->unsure > 0 && holds(11, 0, p->log + 1);
    p->left += later && p->leaving;
    p->leaving = false;
    if (store_each_settled(s, note_settled, &settled) != STORE_OK || settled.seq != p->left)
        return "what was settled is not what made room";
    if (p->left > 0 && holds(11, 0, p->left))
        return "what made room is there";
    for (uint32_t seq = p->left + 1; seq <= p->log; seq++) {
        struct record_view v = make(11, 0, seq, bytes);
        uint8_t got[RECORD_LEN_MAX];
        int len = store_load(s, &v.ref, got);
        if (len != (int)v.len || memcmp(got, bytes, v.len) != 0)
            return "an acknowledged record is not there as it was";
    }
    for (uint32_t i = 1; i <= p->unsure; i++)
        if (holds(11, 0, p->log + i) != later)
            return "half a transaction";
    p->log += later ? p->unsure : 0;
    p->newest += later ? 1 : 0;
    p->unsure = 0;
    if (holds(11, 0, p->log + 1))
        return "a record that was never written, or was rolled back";
    if (p->newest > 0 && !holds(4, 1, p->newest))
        return "the newest of a superseding lane is gone";
    if (holds(4, 1, p->newest + 1) || (p->newest > 1 && holds(4, 1, p->newest - 1)))
        return "the superseding lane is torn";
    if (store_last_arrival(s) < p->arrival)
        return "arrivals went back";
    return NULL;
}

/* Runs a number of boots on one disk, each ended by a cut; NULL, or what was broken. */
static const char *one_disk(uint64_t seed, bool lying, unsigned *cuts, unsigned *kept)
{
    struct promise p = { .log = 0 };
    const char *broken = NULL;
    powercut_begin(seed);
    chance_state = seed * 3 + 1;
    for (int boot = 0; !broken && boot < BOOTS_PER_DISK; boot++) {
        powercut_lie(lying);
        powercut_arm(1 + pick(60));
        int err = store_open("store.db", network, &s, text);
        while (err == STORE_OK && transact(&p))
            continue;
        store_close(s);
        s = NULL;
        if (!powercut_happened())
            broken = "failed without a cut";
        powercut_restore();
        powercut_lie(false);
        *cuts += 1;
        if (!broken && store_open("store.db", network, &s, text) != STORE_OK)
            broken = text;
        if (!broken)
            broken = check_promise(&p);
        store_close(s);
        s = NULL;
    }
    *kept += p.log;
    powercut_end();
    return broken;
}

static void test_store_power_cut_loses_nothing_acknowledged(void **state)
{
    (void)state;
    unsigned cuts = 0, kept = 0;
    for (uint64_t seed = 1; cuts < POWER_CUTS; seed++) {
        const char *broken = one_disk(seed, false, &cuts, &kept);
        if (broken)
            fail_msg("seed %llu: %s", (unsigned long long)seed, broken);
    }
    print_message("%u cuts, %u records acknowledged and there\n", cuts, kept);
    assert_true(kept > cuts);
}

/* The test above is worth something only if it sees a disk that lies. */
static void test_store_power_cut_test_can_fail(void **state)
{
    (void)state;
    unsigned cuts = 0, kept = 0, broken = 0;
    for (uint64_t seed = 1; seed <= 20; seed++)
        broken += one_disk(seed, true, &cuts, &kept) != NULL;
    assert_true(broken > 10);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_store_reopen_keeps_everything),
        STORE_TEST(test_store_names_of_records_survive_their_packing),
        STORE_TEST(test_store_rollback_leaves_nothing),
        STORE_TEST(test_store_superseding_lane_keeps_only_the_newest),
        STORE_TEST(test_store_takes_again_what_it_kept),
        STORE_TEST(test_store_arrival_is_never_used_again),
        STORE_TEST(test_store_what_made_room_is_gone_and_its_number_is_known),
        STORE_TEST(test_store_a_number_and_a_token_are_taken_once),
        STORE_TEST(test_store_pages_through_arrivals),
        STORE_TEST(test_store_review_is_replaced),
        STORE_TEST(test_store_knows_every_correction_of_a_report),
        STORE_TEST(test_store_late_review_does_not_undo_a_newer),
        STORE_TEST(test_store_reviews_of_one_row_each_are_taken_over),
        STORE_TEST(test_store_airtime_is_kept_per_boot_and_minute),
        STORE_TEST(test_store_airtime_does_not_grow_for_ever),
        STORE_TEST(test_store_refuses_what_is_not_its_own),
        STORE_TEST(test_store_says_why_it_cannot_open),
        STORE_TEST(test_store_path_may_hold_any_character),
        STORE_TEST(test_store_full_disk_is_an_error_and_passes),
        STORE_TEST(test_store_full_disk_at_the_first_open),
        STORE_TEST(test_store_killed_loses_nothing_it_reported),
        STORE_TEST(test_store_power_cut_loses_nothing_acknowledged),
        STORE_TEST(test_store_power_cut_test_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
