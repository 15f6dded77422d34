/* test_gateway_kit.h - a commune with real keys for the gateway's tests: rosters, reports and
 * batches made by the product's own encoders, and temporary places.
 */
#ifndef KENG_TESTS_GATEWAY_KIT_H
#define KENG_TESTS_GATEWAY_KIT_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "gateway/db.h"
#include "gateway/ledger.h"
#include "proto/batch.h"
#include "proto/report.h"
#include "proto/sign.h"
#include "tests/support/postgres.h"

#ifndef KIT_AUTHOR_COUNT
#define KIT_AUTHOR_COUNT 32 /* who needs more says so before */
#endif
enum { KIT_PATH_LEN = 256, KIT_RECORD_COUNT_MAX = 512 };
enum { KIT_ANNA = 12, KIT_BINH = 15, KIT_GATEWAY = 9, KIT_OPERATOR = 10, KIT_STRANGER = 30 };

#define KIT_NOW_MS INT64_C(1795000000000)

struct kit {
    uint8_t public_keys[KIT_AUTHOR_COUNT][KENG_KEY_LEN]; /* [0]: the root's */
    uint8_t secret_keys[KIT_AUTHOR_COUNT][KENG_SIG_LEN];
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint32_t root_seq;
};

struct kit_record {
    uint8_t bytes[RECORD_LEN_MAX];
    size_t len;
};

static inline void kit_init(struct kit *k, uint8_t seed)
{
    assert_true(sodium_init() >= 0);
    memset(k, 0, sizeof *k);
    for (size_t i = 0; i < KIT_AUTHOR_COUNT; i++) {
        uint8_t key_seed[32] = { seed, (uint8_t)(i + 1), (uint8_t)((i + 1) >> 8) };
        crypto_sign_seed_keypair(k->public_keys[i], k->secret_keys[i], key_seed);
    }
    network_id_of_root(k->public_keys[0], k->network_id);
}

static inline struct kit_record kit_sign(const struct kit *k, uint16_t author, uint32_t seq,
                                         uint8_t kind, uint8_t priority, const uint8_t *body,
                                         size_t body_len)
{
    struct kit_record r;
    struct record_draft draft = {
        .ref = { .seq = seq, .author = author, .lane = record_lane(kind) },
        .kind = kind, .priority = priority, .clock_set = author % 2 == 0,
        .created_min = 460000 + seq, .body = body, .body_len = body_len,
    };
    int len = record_encode(&draft, r.bytes, sizeof r.bytes);
    assert_true(len > 0);
    r.len = record_sign(r.bytes, (size_t)len, k->network_id, k->secret_keys[author]);
    return r;
}

static inline struct kit_record kit_report(const struct kit *k, uint16_t author, uint32_t seq,
                                           uint8_t kind, const struct report *report)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = report_encode(report, body, sizeof body);
    assert_true(len >= 0);
    return kit_sign(k, author, seq, kind, record_kind_priority(kind), body, (size_t)len);
}

/* A damage report with one figure about the author's own village. */
static inline struct kit_record kit_damage(const struct kit *k, uint16_t author, uint32_t seq,
                                           uint32_t code, int64_t value)
{
    struct report report = { .figure_count = 1, .figures = { { code, value } } };
    return kit_report(k, author, seq, RECORD_DAMAGE, &report);
}

static inline struct kit_record kit_enrol(struct kit *k, uint16_t number, enum roster_role role,
                                          uint32_t village, const char *name,
                                          uint32_t revoked_after)
{
    struct roster_entry entry = { .number = number, .role = role, .village = village,
                                  .revoked_after = revoked_after };
    uint8_t body[RECORD_BODY_LEN_MAX];
    memcpy(entry.key, k->public_keys[number], KENG_KEY_LEN);
    snprintf(entry.name, sizeof entry.name, "%s", name);
    int len = roster_entry_encode(&entry, body, sizeof body);
    assert_true(len > 0);
    return kit_sign(k, AUTHOR_ROOT, ++k->root_seq, RECORD_ROSTER, 0, body, (size_t)len);
}

static inline struct kit_record kit_profile(struct kit *k, const char *name)
{
    struct profile profile = {
        .code = "01879", .region = "VN-920", .eirp_dbm = 16, .duty_node_e4 = 100,
        .duty_gateway_e4 = 1000, .duty_window_s = 3600,
        .lora = { .freq_hz = 921400000, .bw_hz = 125000, .sf = 9, .cr = 5, .preamble_symbols = 16 },
    };
    uint8_t body[RECORD_BODY_LEN_MAX];
    snprintf(profile.name, sizeof profile.name, "%s", name);
    int len = profile_encode(&profile, body, sizeof body);
    assert_true(len > 0);
    return kit_sign(k, AUTHOR_ROOT, ++k->root_seq, RECORD_PROFILE, 0, body, (size_t)len);
}

static inline struct kit_record kit_review(const struct kit *k, uint16_t reviewer, uint32_t seq,
                                           uint16_t author, uint32_t reviewed_seq,
                                           enum review_state state, const char *text)
{
    struct review review = { .state = state, .ref_count = 1,
                             .refs = { { .seq = reviewed_seq, .author = author } } };
    uint8_t body[RECORD_BODY_LEN_MAX];
    review.text_len = strlen(text);
    snprintf(review.text, sizeof review.text, "%s", text);
    int len = review_encode(&review, body, sizeof body);
    assert_true(len > 0);
    return kit_sign(k, reviewer, seq, RECORD_REVIEW, 0, body, (size_t)len);
}

/* The root's log: a profile, two members, a gateway, an operator. */
static inline size_t kit_root_log(struct kit *k, struct kit_record *records_out)
{
    size_t count = 0;
    records_out[count++] = kit_profile(k, "Xã Cao Minh");
    records_out[count++] = kit_enrol(k, KIT_GATEWAY, ROSTER_GATEWAY, 0, "Trạm xã", 0);
    records_out[count++] = kit_enrol(k, KIT_OPERATOR, ROSTER_OPERATOR, 0, "Trực ban", 0);
    records_out[count++] = kit_enrol(k, KIT_ANNA, ROSTER_MEMBER, 3, "Nguyễn Thị An", 0);
    records_out[count++] = kit_enrol(k, KIT_BINH, ROSTER_MEMBER, 3, "Lý Văn Bình", 0);
    return count;
}

/* A signed batch in a heap buffer. */
static inline uint8_t *kit_batch(const struct kit *k, uint16_t source,
                                 const struct kit_record *records, size_t count, size_t *len_out)
{
    size_t cap = BATCH_HEADER_LEN + KENG_SIG_LEN + count * (RECORD_LEN_MAX + 2);
    uint8_t *buf = malloc(cap);
    struct batch_header header = { .number = 1, .source = source, .created_min = 460000 };
    struct batch_builder builder;
    assert_non_null(buf);
    memcpy(header.network_id, k->network_id, sizeof header.network_id);
    memcpy(header.root_key, k->public_keys[0], sizeof header.root_key);
    assert_int_equal(batch_begin(&builder, buf, cap, &header), BATCH_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(batch_add(&builder, records[i].bytes, records[i].len), BATCH_OK);
    *len_out = batch_finish(&builder, k->secret_keys[source]);
    return buf;
}

static inline void kit_write_file(const char *path, const uint8_t *bytes, size_t len)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* A fresh directory; kit_remove_dir() takes it away with the plain files in it. */
static inline void kit_make_dir(char dir[static KIT_PATH_LEN])
{
    snprintf(dir, KIT_PATH_LEN, "/tmp/keng-gateway-test.XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static inline void kit_remove_dir(const char *dir)
{
    char path[KIT_PATH_LEN + 256];
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path); /* "." and ".." stay */
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

/* The same tests run on both engines: kit_run_on_both(). */
static bool kit_on_postgres;

/* Where a database of that name is: a file in the directory, or a schema named after both. */
static inline void kit_db_place(const char *dir, const char *name, char place[POSTGRES_URL_LEN])
{
    if (!kit_on_postgres) {
        snprintf(place, POSTGRES_URL_LEN, "%s/%s", dir, name);
        return;
    }
    char schema[64];
    snprintf(schema, sizeof schema, "t_%.20s_%.8s", strrchr(dir, '.') + 1, name);
    for (char *c = schema; *c; c++)
        *c = *c == '.' ? '_' : *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    postgres_url(schema, place);
}

/* The schema that such a place names. */
static inline const char *kit_schema(const char *place)
{
    return strstr(place, "%3D") + 3;
}

static inline struct db *kit_open_db(const char *dir, const char *name)
{
    char place[POSTGRES_URL_LEN], err[DB_ERR_LEN];
    struct db *db = NULL;
    kit_db_place(dir, name, place);
    if (db_open(place, &db, err) != 0)
        fail_msg("%s", err);
    return db;
}

static inline int kit_run_engine(bool postgres, const struct CMUnitTest *tests, size_t count)
{
    kit_on_postgres = postgres;
    return _cmocka_run_group_tests(postgres ? "postgres" : "sqlite", tests, count, NULL, NULL);
}

static inline int kit_run_list_on_both(const struct CMUnitTest *tests, size_t count)
{
    int failed = kit_run_engine(false, tests, count);
    return failed + kit_run_engine(true, tests, count);
}

#define kit_run_on_both(tests) kit_run_list_on_both(tests, sizeof(tests) / sizeof((tests)[0]))

/* A ledger that trusts the commune; nothing is in it yet. */
static inline void kit_open_ledger(const struct kit *k, struct db *db, struct ledger *l)
{
    bool known;
    assert_int_equal(ledger_init(l, db), 0);
    assert_int_equal(db_begin(db), 0);
    assert_int_equal(ledger_trust(l, k->public_keys[0], &known), 0);
    assert_int_equal(db_commit(db), 0);
}

/* One record in a transaction of its own. */
static inline int kit_put(const struct kit *k, struct ledger *l, const struct kit_record *r)
{
    assert_int_equal(db_begin(l->db), 0);
    struct ledger_commune *c = ledger_find(l, k->network_id);
    assert_non_null(c);
    int verdict = ledger_put(l, c, r->bytes, r->len, KIT_NOW_MS);
    assert_int_equal(db_commit(l->db), 0);
    return verdict;
}

static inline void kit_put_root_log(struct kit *k, struct ledger *l)
{
    struct kit_record log[8];
    size_t count = kit_root_log(k, log);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(kit_put(k, l, &log[i]), LEDGER_NEW);
}

#endif
