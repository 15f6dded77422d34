/* Batch files into the ledger: whole, twice, damaged, and what checkpoints then say. */
#include "tests/unit/test_gateway_kit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <threads.h>

#include "gateway/bundle.h"
#include "gateway/import_internal.h"
#include "gateway/pack.h"

enum { REPORT_COUNT = 800, FILE_LEN_MAX = 256 * 1024, SAID_LEN = 8192 };

struct place {
    char dir[KIT_PATH_LEN];
    struct kit kit;
    struct db *db, *commune_db;
    struct ledger ledger, commune;
    uint32_t seq;
    uint8_t file[FILE_LEN_MAX];
    size_t len;
    char said[SAID_LEN];
    struct import_result result;
};

/* The commune's gateway files more reports and writes all it holds. */
static void export(struct place *p, uint32_t count)
{
    char path[KIT_PATH_LEN + 16], err[BUNDLE_ERR_LEN];
    struct home_identity gateway = { .number = KIT_GATEWAY };
    memcpy(gateway.secret_key, p->kit.secret_keys[KIT_GATEWAY], sizeof gateway.secret_key);
    assert_int_equal(db_begin(p->commune_db), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct kit_record r = kit_damage(&p->kit, p->seq % 2 ? KIT_ANNA : KIT_BINH,
                                         p->seq / 2 + 1, 1, p->seq);
        struct ledger_commune *c = ledger_find(&p->commune, p->kit.network_id);
        assert_int_equal(ledger_put(&p->commune, c, r.bytes, r.len, KIT_NOW_MS), LEDGER_NEW);
        p->seq++;
    }
    assert_int_equal(db_commit(p->commune_db), 0);
    snprintf(path, sizeof path, "%s/a.keng", p->dir);
    assert_true(bundle_export(&p->commune, 1, &gateway, path, KIT_NOW_MS, err) > 0);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    p->len = fread(p->file, 1, sizeof p->file, file);
    assert_in_range(p->len, 1, sizeof p->file - 1);
    fclose(file);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->kit, 1);
    p->db = kit_open_db(p->dir, "a.db");
    p->commune_db = kit_open_db(p->dir, "b.db");
    kit_open_ledger(&p->kit, p->db, &p->ledger);
    kit_open_ledger(&p->kit, p->commune_db, &p->commune);
    kit_put_root_log(&p->kit, &p->commune);
    export(p, REPORT_COUNT);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    ledger_free(&p->ledger);
    ledger_free(&p->commune);
    db_close(p->db);
    db_close(p->commune_db);
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

static void hear(void *ctx, bool fault, const char *text)
{
    struct place *p = ctx;
    size_t len = strlen(p->said);
    snprintf(p->said + len, sizeof p->said - len, "%s%s\n", fault ? "" : "note: ", text);
}

struct writing {
    struct place *place;
    char path[KIT_PATH_LEN + 16], err[BUNDLE_ERR_LEN];
    int64_t written;
    _Atomic bool done;
};

static int write_slowly(void *ctx)
{
    struct writing *w = ctx;
    struct home_identity gateway = { .number = KIT_GATEWAY };
    memcpy(gateway.secret_key, w->place->kit.secret_keys[KIT_GATEWAY], sizeof gateway.secret_key);
    w->written = bundle_export(&w->place->commune, 1, &gateway, w->path, KIT_NOW_MS, w->err);
    w->done = true;
    return 0;
}

static int count_checkpoint(void *ctx, const struct db_checkpoint *checkpoint)
{
    (void)checkpoint;
    ++*(int *)ctx;
    return 0;
}

/* The stick takes a while, and in the end it fails. */
static void test_export_keeps_nobody_waiting_and_leaves_nothing(void **state)
{
    struct place *p = *state;
    struct writing w = { .place = p };
    char temporary[KIT_PATH_LEN + 32], bytes[4096];
    int count = 0;
    thrd_t thread;
    struct db *other = kit_open_db(p->dir, "b.db");
    snprintf(w.path, sizeof w.path, "%s/stick", p->dir);
    snprintf(temporary, sizeof temporary, "%s.new", w.path);
    assert_int_equal(mkfifo(temporary, 0600), 0); /* which no fsync() can make durable */
    int fd = open(temporary, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0 && fcntl(fd, F_SETPIPE_SZ, (int)sizeof bytes) > 0);
    assert_int_equal(thrd_create(&thread, write_slowly, &w), thrd_success);
    struct pollfd stick = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&stick, 1, 10000), 1);
    assert_false(w.done);
    int begun = db_begin(other); /* while it waits for the stick */
    db_rollback(other);
    while (!w.done) {
        poll(&stick, 1, 10);
        (void)!read(fd, bytes, sizeof bytes);
    }
    thrd_join(thread, NULL);
    close(fd);
    assert_int_equal(begun, 0);
    assert_int_equal(w.written, -1);
    assert_non_null(strstr(w.err, "cannot write"));
    assert_int_equal(access(temporary, F_OK), -1);
    assert_int_equal(access(w.path, F_OK), -1);
    assert_int_equal(db_checkpoint_list(other, 1, count_checkpoint, &count), 0);
    assert_int_equal(count, 1); /* of the file that there is */
    db_close(other);
}

/* Imports the bytes as they stand now.  Returns the number of faults. */
static uint64_t import_bytes(struct place *p, const uint8_t *bytes, size_t len)
{
    char path[KIT_PATH_LEN + 16];
    struct import_options options = { .thread_count = 2, .now_ms = KIT_NOW_MS, .ctx = p,
                                      .language = LANG_EN, .notice = hear };
    snprintf(path, sizeof path, "%s/b.keng", p->dir);
    kit_write_file(path, bytes, len);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    p->said[0] = '\0';
    assert_int_equal(import_run(&p->ledger, fd, &options, &p->result), 0);
    close(fd);
    return p->result.fault_count;
}

static void assert_said(const struct place *p, const char *words)
{
    if (!strstr(p->said, words))
        fail_msg("expected \"%s\" in: %s", words, p->said);
}

/* The sections of the file: where the index-th begins, and its length. */
static size_t section_at(const struct place *p, size_t index, size_t *len_out)
{
    struct section s;
    size_t at = 0;
    for (;; at += s.whole_len, index--) {
        assert_int_equal(section_read(p->file + at, p->len - at, &s), BATCH_OK);
        if (index == 0) {
            *len_out = s.whole_len;
            return at;
        }
    }
}

static size_t section_count(const struct place *p)
{
    struct section s;
    size_t count = 0;
    for (size_t at = 0; at < p->len; at += s.whole_len, count++)
        assert_int_equal(section_read(p->file + at, p->len - at, &s), BATCH_OK);
    return count;
}

static void cut_out(struct place *p, size_t at, size_t len)
{
    memmove(p->file + at, p->file + at + len, p->len - at - len);
    p->len -= len;
}

static void test_import_takes_all_and_twice_changes_nothing(void **state)
{
    struct place *p = *state;
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    uint64_t total = p->result.record_count;
    assert_int_equal(p->result.counts[LEDGER_NEW], total);
    assert_int_equal(p->result.checkpoint_size, total);
    assert_int_equal(p->result.known_block_count, 0);
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    assert_int_equal(p->result.counts[LEDGER_DUPLICATE], total);
    assert_int_equal(p->result.known_block_count, p->result.block_count);
    export(p, 7);
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    assert_int_equal(p->result.counts[LEDGER_NEW], 7);
    assert_int_equal(p->result.checkpoint_size, total + 7);
}

static int take_root_record(void *ctx, const struct db_record *record)
{
    struct place *p = ctx;
    struct ledger_commune *c = ledger_find(&p->ledger, p->kit.network_id);
    assert_int_equal(ledger_put(&p->ledger, c, record->bytes, record->len, KIT_NOW_MS), LEDGER_NEW);
    return 0;
}

struct log {
    uint16_t author;
    uint32_t seq;
    int64_t count;
};

static int find_log(void *ctx, const struct db_heard *heard)
{
    struct log *log = ctx;
    if (heard->author == log->author)
        *log = (struct log){ heard->author, heard->seq, heard->count };
    return 0;
}

static int note_rank(void *ctx, const struct db_record *record)
{
    *(unsigned *)ctx = record->rank;
    return 0;
}

/* An answer, and some of the reports, came another way before the file: what is kept beside the
 * records is as if they had come one by one. */
static void test_import_counts_logs_and_finds_earlier_answers(void **state)
{
    struct place *p = *state;
    struct kit_record answer = kit_review(&p->kit, KIT_OPERATOR, 1, KIT_ANNA, 5,
                                          REVIEW_APPROVED, "");
    struct kit_record early = kit_damage(&p->kit, KIT_ANNA, 2, 1, 3);
    struct log anna = { .author = KIT_ANNA }, other = { .author = KIT_ANNA };
    unsigned answered = 99, waiting = 99;
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(db_record_root_log(p->commune_db, 1, take_root_record, p), 0);
    assert_int_equal(db_commit(p->db), 0);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &answer), LEDGER_NEW);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &early), LEDGER_NEW);
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    assert_int_equal(p->result.counts[LEDGER_DUPLICATE], p->kit.root_seq + 1);
    assert_int_equal(db_record_heard(p->db, 1, find_log, &anna), 0);
    assert_int_equal(db_record_heard(p->commune_db, 1, find_log, &other), 0);
    assert_memory_equal(&anna, &other, sizeof anna);
    assert_int_equal(anna.count, REPORT_COUNT / 2);
    assert_int_equal(db_record_variants(p->db, 1, &(struct record_ref){ .author = KIT_ANNA,
                                        .seq = 5 }, note_rank, &answered), 0);
    assert_int_equal(db_record_variants(p->db, 1, &(struct record_ref){ .author = KIT_ANNA,
                                        .seq = 6 }, note_rank, &waiting), 0);
    assert_int_equal(answered, 0);
    assert_true(waiting > 0);
}

static void test_import_names_a_changed_byte_and_keeps_the_rest(void **state)
{
    struct place *p = *state;
    size_t len, at = section_at(p, 1, &len);
    for (size_t i = at; i < at + len; i += len / 4) {
        p->file[i] ^= 0x10;
        assert_true(import_bytes(p, p->file, p->len) >= 2);
        assert_said(p, "changed or cut");
        assert_said(p, "missing before this block");
        assert_said(p, "is not covered");
        p->file[i] ^= 0x10;
    }
    assert_true(p->result.record_count > REPORT_COUNT / 3);
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    assert_true(p->result.counts[LEDGER_NEW] > 0);
    assert_true(p->result.counts[LEDGER_DUPLICATE] > 0);
}

static void test_import_names_a_file_that_was_cut(void **state)
{
    struct place *p = *state;
    size_t count = section_count(p), len, at = section_at(p, count - 1, &len);
    assert_true(import_bytes(p, p->file, at) > 0);
    assert_said(p, "no checkpoint at the end");
    assert_int_equal(p->result.record_count, REPORT_COUNT + p->kit.root_seq);
    assert_true(import_bytes(p, p->file, at - 10) > 0);
    assert_said(p, "up to the end: changed or cut");
}

static void test_import_names_swapped_and_missing_blocks(void **state)
{
    struct place *p = *state;
    static uint8_t swapped[FILE_LEN_MAX];
    size_t len_a, len_b, a = section_at(p, 0, &len_a), b = section_at(p, 1, &len_b);
    memcpy(swapped, p->file + b, len_b);
    memcpy(swapped + len_b, p->file + a, len_a);
    memcpy(swapped + len_a + len_b, p->file + b + len_b, p->len - b - len_b);
    assert_true(import_bytes(p, swapped, p->len) > 0);
    assert_said(p, "block out of its place");
    assert_int_equal(p->result.counts[LEDGER_NEW], REPORT_COUNT + p->kit.root_seq);
    cut_out(p, b, len_b);
    assert_true(import_bytes(p, p->file, p->len) > 0);
    assert_said(p, "are missing before this block");
}

/* Somebody who holds the gateway's key takes a record out and signs everything again, but for the
 * checkpoint, or with it. */
static void rebuild(struct place *p, uint64_t leave_out, bool sign_checkpoint)
{
    struct batch_builder builder;
    struct batch_reader batch;
    struct section s;
    struct tree tree = { .size = 0 };
    struct pack *pack = pack_new();
    static uint8_t out[FILE_LEN_MAX], plain[SECTION_CONTENTS_LEN_MAX], again[BATCH_LEN_MAX];
    static uint8_t buf[SECTION_LEN_MAX];
    size_t out_len = 0;
    uint64_t seen = 0;
    for (size_t at = 0; at < p->len; at += s.whole_len) {
        const uint8_t *record;
        size_t len = 0;
        assert_int_equal(section_read(p->file + at, p->len - at, &s), BATCH_OK);
        assert_int_equal(pack_open(pack, &s, plain), BATCH_OK);
        uint32_t first = (uint32_t)tree.size;
        if (s.type == SECTION_BLOCK) {
            assert_int_equal(batch_open(&batch, plain, s.plain_len), BATCH_OK);
            assert_int_equal(batch_begin(&builder, again, sizeof again, &batch.header), BATCH_OK);
            while (batch_next(&batch, &record, &len) == 1) {
                uint8_t leaf[KENG_HASH_LEN];
                if (seen++ == leave_out)
                    continue;
                assert_int_equal(batch_add(&builder, record, len), BATCH_OK);
                tree_leaf(record, len, leaf);
                tree_append(&tree, leaf);
            }
            len = batch_finish(&builder, p->kit.secret_keys[KIT_GATEWAY]);
        } else {
            struct checkpoint c;
            assert_int_equal(checkpoint_decode(plain, s.plain_len, &c), BATCH_OK);
            memcpy(again, plain, s.plain_len);
            len = s.plain_len;
            if (sign_checkpoint) {
                c.size = tree.size;
                tree_root(&tree, c.root);
                len = checkpoint_encode(&c, p->kit.secret_keys[KIT_GATEWAY], again);
            }
        }
        size_t whole = pack_section(pack, s.type, first, again, len, buf);
        memcpy(out + out_len, buf, whole);
        out_len += whole;
    }
    memcpy(p->file, out, out_len);
    p->len = out_len;
    pack_free(pack);
}

static void test_import_names_a_record_that_was_taken_out(void **state)
{
    struct place *p = *state;
    rebuild(p, 200, false);
    assert_true(import_bytes(p, p->file, p->len) > 0);
    assert_said(p, "is not covered");
    assert_int_equal(p->result.counts[LEDGER_NEW], REPORT_COUNT + p->kit.root_seq - 1);
}

static void test_import_names_a_past_that_was_rewritten(void **state)
{
    struct place *p = *state;
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    export(p, 50);
    rebuild(p, 200, true);
    assert_true(import_bytes(p, p->file, p->len) > 0);
    assert_said(p, "rewritten: the first");
}

static void test_import_names_an_older_checkpoint_and_a_fork(void **state)
{
    struct place *p = *state;
    static uint8_t older[FILE_LEN_MAX];
    size_t older_len = p->len;
    memcpy(older, p->file, p->len);
    export(p, 1);
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    assert_int_equal(import_bytes(p, older, older_len), 0);
    assert_said(p, "note: an older checkpoint");
    /* As many records as the checkpoint before: another one in place of the one left out. */
    export(p, 1);
    rebuild(p, 200, true);
    assert_true(import_bytes(p, p->file, p->len) > 0);
    assert_said(p, "FORK");
}

/* However often a file says the same, it is one thing to remember and to compare with. */
static void test_import_remembers_a_repeated_checkpoint_once(void **state)
{
    struct place *p = *state;
    struct import_options options = { .now_ms = KIT_NOW_MS, .ctx = p, .notice = hear };
    struct import im = { .ledger = &p->ledger, .options = &options, .pack = pack_new() };
    struct section section;
    size_t len, at = section_at(p, section_count(p) - 1, &len);
    assert_non_null(im.pack);
    assert_int_equal(import_bytes(p, p->file, p->len - len), 1); /* it is missing */
    assert_int_equal(section_read(p->file + at, len, &section), BATCH_OK);
    assert_int_equal(section.type, SECTION_CHECKPOINT);
    for (int i = 0; i < 5; i++)
        assert_int_equal(import_checkpoint(&im, &section, at), 0);
    assert_int_equal(im.tree.known_count, 1);
    free(im.tree.known);
    pack_free(im.pack);
    for (int i = 0; i < 5; i++, p->len += len)
        memcpy(p->file + p->len, p->file + at, len);
    assert_int_equal(import_bytes(p, p->file, p->len), 0);
    assert_int_equal(p->result.checkpoint_size, REPORT_COUNT + p->kit.root_seq);
}

/* Somebody without the gateway's key changes a record and all that can be computed without it. */
static void test_import_names_a_forged_record_and_its_reason(void **state)
{
    struct place *p = *state;
    struct section s;
    static uint8_t plain[SECTION_CONTENTS_LEN_MAX], buf[SECTION_LEN_MAX];
    struct pack *pack = pack_new();
    size_t len, at = section_at(p, 1, &len);
    assert_int_equal(section_read(p->file + at, len, &s), BATCH_OK);
    assert_int_equal(pack_open(pack, &s, plain), BATCH_OK);
    plain[BATCH_HEADER_LEN + 9] ^= 1;
    size_t whole = pack_section(pack, s.type, s.first, plain, s.plain_len, buf);
    static uint8_t forged[FILE_LEN_MAX];
    memcpy(forged, p->file, at);
    memcpy(forged + at, buf, whole);
    memcpy(forged + at + whole, p->file + at + len, p->len - at - len);
    assert_true(import_bytes(p, forged, p->len - len + whole) > 0);
    assert_said(p, "bad-signature");
    assert_said(p, "its signature is not that of author 9");
    assert_said(p, "the records are not those that author 9 signed his checkpoint over");
    assert_int_equal(p->result.counts[LEDGER_BAD_SIGNATURE], 1);
    assert_int_equal(p->result.counts[LEDGER_NEW], REPORT_COUNT + p->kit.root_seq - 1);
    pack_free(pack);
}

int main(void)
{
#define IMPORT_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IMPORT_TEST(test_export_keeps_nobody_waiting_and_leaves_nothing),
        IMPORT_TEST(test_import_takes_all_and_twice_changes_nothing),
        IMPORT_TEST(test_import_counts_logs_and_finds_earlier_answers),
        IMPORT_TEST(test_import_names_a_changed_byte_and_keeps_the_rest),
        IMPORT_TEST(test_import_names_a_file_that_was_cut),
        IMPORT_TEST(test_import_names_swapped_and_missing_blocks),
        IMPORT_TEST(test_import_names_a_record_that_was_taken_out),
        IMPORT_TEST(test_import_names_a_past_that_was_rewritten),
        IMPORT_TEST(test_import_names_an_older_checkpoint_and_a_fork),
        IMPORT_TEST(test_import_remembers_a_repeated_checkpoint_once),
        IMPORT_TEST(test_import_names_a_forged_record_and_its_reason),
    };
    return kit_run_on_both(tests);
}
