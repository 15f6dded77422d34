/* import.c - a batch file of many signed records, and how fast its signatures alone are verified.
 *
 *   import make FILE TRUST.keng RECORDS SEED   writes both; one commune, 200 authors; below 200
 *                                              records 10 authors and blocks of 2 kB
 *   import wide FILE TRUST.keng RECORDS SEED   the same; each record has 24 figures of a village of
 *                                              its own, but every tenth speaks of the one before
 *   import verify FILE TRUST.keng THREADS COUNT  records a second, for COUNT of them
 *   import tamper FILE TRUST.keng SAMPLES PROCESSES  each sample changes one byte: it must be
 *                                              noticed, and the records of all other sections kept
 *
 * Keys come from the seed, so that the same arguments give the same file.  Reports are coded damage
 * reports with three figures, one in fifty with a text.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "gateway/bundle.h"
#include "gateway/import.h"
#include "gateway/pack.h"
#include "proto/report.h"
#include "proto/roster.h"
#include "proto/sign.h"

enum {
    AUTHOR_FIRST = 100,
    AUTHOR_COUNT = 200,
    SMALL_AUTHOR_COUNT = 10, /* of a file that is read 100,000 times */
    SMALL_BLOCK_LEN = 2048,
    GATEWAY = 1,
    THREAD_COUNT_MAX = 64,
};

struct keys {
    uint8_t public_key[KENG_KEY_LEN], secret_key[KENG_SIG_LEN];
};

struct making {
    struct keys root, gateway, authors[AUTHOR_COUNT];
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint32_t root_seq, seqs[AUTHOR_COUNT], batch_number;
    struct batch_builder builder;
    uint32_t author_count;
    bool wide;
    size_t block_len;
    uint8_t plain[BATCH_LEN_TARGET], section[SECTION_LEN_MAX];
    uint32_t block_first;
    struct tree tree;
    struct pack *pack;
    FILE *file;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "import: %s\n", what);
    exit(1);
}

static struct keys make_keys(uint32_t seed, uint32_t number)
{
    uint8_t from[32] = { 0 };
    struct keys k;
    store32_be(from, seed);
    store32_be(from + 4, number);
    crypto_sign_seed_keypair(k.public_key, k.secret_key, from);
    return k;
}

static void begin_block(struct making *m)
{
    struct batch_header header = { .number = ++m->batch_number, .created_min = 470000,
                                   .source = GATEWAY };
    memcpy(header.network_id, m->network_id, sizeof header.network_id);
    memcpy(header.root_key, m->root.public_key, sizeof header.root_key);
    m->block_first = (uint32_t)m->tree.size;
    if (batch_begin(&m->builder, m->plain, m->block_len, &header) != BATCH_OK)
        die("no block");
}

static void put_section(struct making *m, uint8_t type, uint32_t first, const uint8_t *plain,
                        size_t len)
{
    size_t whole = pack_section(m->pack, type, first, plain, len, m->section);
    if (fwrite(m->section, 1, whole, m->file) != whole)
        die("cannot write");
}

static void put_record(struct making *m, uint16_t author, uint32_t seq, uint8_t kind,
                       const uint8_t *body, int body_len, const struct keys *keys)
{
    uint8_t bytes[RECORD_LEN_MAX], leaf[KENG_HASH_LEN];
    struct record_draft draft = { .ref = { .seq = seq, .author = author }, .kind = kind,
                                  .priority = record_kind_priority(kind), .clock_set = true,
                                  .created_min = 460000 + seq, .body = body,
                                  .body_len = (size_t)body_len };
    int len = body_len < 0 ? -1 : record_encode(&draft, bytes, sizeof bytes);
    if (len < 0)
        die("a record cannot be encoded");
    size_t whole = record_sign(bytes, (size_t)len, m->network_id, keys->secret_key);
    if (batch_add(&m->builder, bytes, whole) != BATCH_OK) {
        put_section(m, SECTION_BLOCK, m->block_first, m->plain,
                    batch_finish(&m->builder, m->gateway.secret_key));
        begin_block(m);
        if (batch_add(&m->builder, bytes, whole) != BATCH_OK)
            die("a record fits no block");
    }
    tree_leaf(bytes, whole, leaf);
    tree_append(&m->tree, leaf);
}

static void put_entry(struct making *m, uint16_t number, enum roster_role role, uint32_t village,
                      const struct keys *keys)
{
    struct roster_entry entry = { .number = number, .role = role, .village = village };
    uint8_t body[RECORD_BODY_LEN_MAX];
    memcpy(entry.key, keys->public_key, KENG_KEY_LEN);
    snprintf(entry.name, sizeof entry.name, "author %u", (unsigned)number);
    put_record(m, AUTHOR_ROOT, ++m->root_seq, RECORD_ROSTER, body,
               roster_entry_encode(&entry, body, sizeof body), &m->root);
}

static void put_report(struct making *m, uint32_t index)
{
    uint32_t a = index % m->author_count;
    struct report report = {
        .event = 1 + index / 400000,
        .figure_count = 3,
        .figures = { { 1, index % 30 }, { 2, index % 7 }, { 5, (index * 7) % 400 } },
    };
    uint8_t body[RECORD_BODY_LEN_MAX];
    if (m->wide) {
        report.event = 1;
        report.village = 1 + index - (index % 10 == 9);
        report.figure_count = REPORT_FIGURE_COUNT_MAX;
        for (uint32_t i = 0; i < REPORT_FIGURE_COUNT_MAX; i++)
            report.figures[i] = (struct report_figure){ 1 + i, (index * 7 + i) % 400 };
    }
    if (index % 50 == 0 && !m->wide)
        snprintf(report.text, sizeof report.text, "nhà %u bị tốc mái, cần bạt", (unsigned)index);
    put_record(m, (uint16_t)(AUTHOR_FIRST + a), ++m->seqs[a], RECORD_DAMAGE, body,
               report_encode(&report, body, sizeof body), &m->authors[a]);
}

static void write_trust(const struct making *m, const char *path)
{
    uint8_t bytes[1024];
    struct batch_builder b;
    struct batch_header header = { .number = 1, .created_min = 460000 };
    memcpy(header.network_id, m->network_id, sizeof header.network_id);
    memcpy(header.root_key, m->root.public_key, sizeof header.root_key);
    FILE *file = fopen(path, "wbe");
    if (!file || batch_begin(&b, bytes, sizeof bytes, &header) != BATCH_OK)
        die("cannot write the trust file");
    size_t len = batch_finish(&b, m->root.secret_key);
    if (fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        die("cannot write the trust file");
}

static int make(const char *path, const char *trust_path, uint32_t record_count, uint32_t seed,
                bool wide)
{
    struct making *m = calloc(1, sizeof *m);
    if (!m || !(m->pack = pack_new()) || !(m->file = fopen(path, "wbe")))
        die("cannot begin");
    m->wide = wide;
    m->author_count = record_count < AUTHOR_COUNT ? SMALL_AUTHOR_COUNT : AUTHOR_COUNT;
    m->block_len = record_count < AUTHOR_COUNT ? SMALL_BLOCK_LEN : sizeof m->plain;
    m->root = make_keys(seed, 0);
    m->gateway = make_keys(seed, GATEWAY);
    network_id_of_root(m->root.public_key, m->network_id);
    write_trust(m, trust_path);
    begin_block(m);
    put_entry(m, GATEWAY, ROSTER_GATEWAY, 0, &m->gateway);
    for (uint16_t i = 0; i < m->author_count; i++) {
        m->authors[i] = make_keys(seed, AUTHOR_FIRST + i);
        put_entry(m, (uint16_t)(AUTHOR_FIRST + i), ROSTER_MEMBER, 1u + i % 20, &m->authors[i]);
    }
    for (uint32_t i = 0; i < record_count; i++)
        put_report(m, i);
    put_section(m, SECTION_BLOCK, m->block_first, m->plain,
                batch_finish(&m->builder, m->gateway.secret_key));
    uint8_t bytes[CHECKPOINT_LEN_MAX];
    struct checkpoint c = { .source = GATEWAY, .created_min = 470000, .size = m->tree.size };
    memcpy(c.network_id, m->network_id, sizeof c.network_id);
    memcpy(c.root_key, m->root.public_key, sizeof c.root_key);
    tree_root(&m->tree, c.root);
    put_section(m, SECTION_CHECKPOINT, 0, bytes,
                checkpoint_encode(&c, m->gateway.secret_key, bytes));
    if (fclose(m->file) != 0)
        die("cannot write");
    pack_free(m->pack);
    free(m);
    return 0;
}

/* ---- signatures alone ---- */

struct verifying {
    struct roster roster;
    uint8_t *bytes;    /* length byte, record, ... */
    size_t *starts;
    size_t count;
    unsigned thread_count;
    struct { struct verifying *all; unsigned index; size_t good; } threads[THREAD_COUNT_MAX];
};

static int verify_share(void *ctx)
{
    struct verifying *v = *(struct verifying **)ctx;
    for (unsigned t = 0; t < v->thread_count; t++) {
        if ((void *)&v->threads[t] != ctx)
            continue;
        for (size_t i = t; i < v->count; i += v->thread_count) {
            struct record_view view;
            const uint8_t *at = v->bytes + v->starts[i];
            v->threads[t].good += roster_verify(&v->roster, at + 1, at[0], &view) == ROSTER_VALID;
        }
    }
    return 0;
}

static void load(struct verifying *v, FILE *file, size_t count)
{
    struct pack *pack = pack_new();
    static uint8_t buf[SECTION_LEN_MAX], plain[SECTION_CONTENTS_LEN_MAX];
    size_t len = 0, at = 0;
    struct section s;
    v->bytes = malloc(count * (RECORD_LEN_MAX + 1));
    v->starts = malloc(count * sizeof *v->starts);
    if (!pack || !v->bytes || !v->starts)
        die("no memory");
    while ((len += fread(buf + len, 1, sizeof buf - len, file)) > 0 && v->count < count) {
        if (section_read(buf, len, &s) != BATCH_OK || pack_open(pack, &s, plain) != BATCH_OK)
            die("the file is damaged");
        struct batch_reader batch;
        const uint8_t *record;
        size_t record_len;
        struct record_view view;
        if (s.type == SECTION_BLOCK && batch_open(&batch, plain, s.plain_len) == BATCH_OK) {
            while (v->count < count && batch_next(&batch, &record, &record_len) == 1) {
                if (load16_be(record) == AUTHOR_ROOT) {
                    if (roster_verify(&v->roster, record, record_len, &view) == ROSTER_VALID)
                        (void)roster_apply(&v->roster, &view);
                    continue;
                }
                v->starts[v->count++] = at;
                v->bytes[at++] = (uint8_t)record_len;
                memcpy(v->bytes + at, record, record_len);
                at += record_len;
            }
        }
        memmove(buf, buf + s.whole_len, len - s.whole_len);
        len -= s.whole_len;
    }
    pack_free(pack);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int verify(const char *path, const char *trust_path, unsigned thread_count, size_t count)
{
    static struct verifying v;
    uint8_t *bytes;
    size_t len;
    char err[BUNDLE_ERR_LEN];
    struct batch_reader trust;
    FILE *file = fopen(path, "rbe");
    if (!file || bundle_read(LANG_EN, trust_path, &bytes, &len, err) != 0 ||
        batch_open(&trust, bytes, len) != BATCH_OK)
        die("cannot read");
    roster_init(&v.roster, trust.header.root_key);
    load(&v, file, count);
    v.thread_count = thread_count;
    thrd_t threads[THREAD_COUNT_MAX];
    double began_s = now_s();
    for (unsigned t = 0; t < thread_count; t++) {
        v.threads[t].all = &v;
        if (thrd_create(&threads[t], verify_share, &v.threads[t]) != thrd_success)
            die("no thread");
    }
    size_t good = 0;
    for (unsigned t = 0; t < thread_count; t++) {
        thrd_join(threads[t], NULL);
        good += v.threads[t].good;
    }
    double took_s = now_s() - began_s;
    if (good != v.count)
        die("not all signatures hold");
    printf("%.0f\n", (double)good / took_s);
    fclose(file);
    return 0;
}

/* ---- changed bytes ---- */

struct tampering {
    struct ledger ledger;
    uint8_t *bytes;
    size_t len;
    int fd;
    size_t section_count;
    struct { size_t end, record_count; } sections[256];
};

static void read_sections(struct tampering *t)
{
    static uint8_t plain[SECTION_CONTENTS_LEN_MAX];
    struct pack *pack = pack_new();
    struct section s;
    struct batch_reader batch;
    for (size_t at = 0; at < t->len; at += s.whole_len) {
        if (!pack || t->section_count == 256 ||
            section_read(t->bytes + at, t->len - at, &s) != BATCH_OK ||
            pack_open(pack, &s, plain) != BATCH_OK)
            die("the file is damaged before we damage it, or too long");
        size_t count = s.type == SECTION_BLOCK && batch_open(&batch, plain, s.plain_len) == BATCH_OK
                           ? batch.header.count : 0;
        t->sections[t->section_count].record_count = count;
        t->sections[t->section_count++].end = at + s.whole_len;
    }
    pack_free(pack);
}

static void import_changed(struct tampering *t, struct import_result *result_out)
{
    struct import_options options = { .thread_count = 1, .verify_only = true };
    if (import_run(&t->ledger, t->fd, &options, result_out) < 0)
        die("the ledger failed");
}

/* The first block holds the root's records; they stay known from the whole file before. */
static bool sample(struct tampering *t, size_t whole_count)
{
    size_t at = randombytes_uniform((uint32_t)t->len), section = 0;
    uint8_t changed = t->bytes[at] ^ (uint8_t)(1 + randombytes_uniform(255));
    struct import_result result;
    uint64_t kept = 0;
    if (pwrite(t->fd, &changed, 1, (off_t)at) != 1)
        die("cannot change the copy");
    import_changed(t, &result);
    if (pwrite(t->fd, &t->bytes[at], 1, (off_t)at) != 1)
        die("cannot mend the copy");
    while (at >= t->sections[section].end)
        section++;
    for (int v = 0; v < LEDGER_BAD_BODY; v++)
        kept += result.counts[v];
    size_t want = whole_count - t->sections[section].record_count;
    if (result.fault_count > 0 && kept >= want)
        return true;
    printf("byte %zu to %02x: %llu faults, %llu of %zu records kept\n", at, changed,
           (unsigned long long)result.fault_count, (unsigned long long)kept, want);
    return false;
}

/* One process's samples; how many were not noticed. */
static size_t tamper(const char *path, const char *trust_path, size_t sample_count)
{
    static struct tampering t;
    struct db *db;
    int64_t commune;
    char err[BUNDLE_ERR_LEN];
    struct import_result result;
    size_t bad = 0;
    if (bundle_read(LANG_EN, path, &t.bytes, &t.len, err) != 0 ||
        db_open(":memory:", &db, err) != 0 || ledger_init(&t.ledger, db) != 0 ||
        bundle_trust(&t.ledger, LANG_EN, trust_path, 0, &commune, err) != 0)
        die(err);
    read_sections(&t);
    t.fd = memfd_create("changed", MFD_CLOEXEC);
    if (t.fd < 0 || write(t.fd, t.bytes, t.len) != (ssize_t)t.len)
        die("no copy");
    import_changed(&t, &result);
    if (result.fault_count != 0)
        die("the whole file is not accepted");
    for (size_t i = 0; i < sample_count; i++)
        bad += !sample(&t, result.record_count);
    ledger_free(&t.ledger);
    db_close(db);
    free(t.bytes);
    return bad;
}

static int tamper_all(const char *path, const char *trust_path, size_t sample_count,
                      unsigned process_count)
{
    int status = 0;
    unsigned failed = 0;
    if (process_count < 1 || process_count > THREAD_COUNT_MAX)
        die("so many processes");
    for (unsigned i = 0; i < process_count; i++) {
        size_t share = sample_count / process_count + (i < sample_count % process_count);
        pid_t child = fork();
        if (child < 0)
            die("no process");
        if (child == 0)
            exit(tamper(path, trust_path, share) == 0 ? 0 : 1);
    }
    while (wait(&status) > 0)
        failed += status != 0;
    printf("changed bytes noticed, the records beside them kept: %zu samples, %u of %u processes "
           "found one that was not (0)\n", sample_count, failed, process_count);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0)
        die("libsodium cannot start");
    bool wide = argc == 6 && strcmp(argv[1], "wide") == 0;
    if (wide || (argc == 6 && strcmp(argv[1], "make") == 0))
        return make(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10),
                    (uint32_t)strtoul(argv[5], NULL, 10), wide);
    if (argc == 6 && strcmp(argv[1], "verify") == 0)
        return verify(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10),
                      (size_t)strtoul(argv[5], NULL, 10));
    if (argc == 6 && strcmp(argv[1], "tamper") == 0)
        return tamper_all(argv[2], argv[3], (size_t)strtoul(argv[4], NULL, 10),
                          (unsigned)strtoul(argv[5], NULL, 10));
    die("usage: import make|wide|verify|tamper FILE TRUST ...");
}
