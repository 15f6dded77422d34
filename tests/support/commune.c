#include "tests/support/commune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/home.h"
#include "proto/sign.h"

enum { COMMUNE_LEN_MAX = 4096 };

static void keys_of(uint16_t author, uint8_t public_key[KENG_KEY_LEN], uint8_t secret[KENG_SIG_LEN])
{
    uint8_t seed[crypto_sign_SEEDBYTES] = { 77, (uint8_t)(author >> 8), (uint8_t)author };
    crypto_sign_seed_keypair(public_key, secret, seed);
}

void commune_path(const struct commune *c, const char *name,
                  char path_out[static COMMUNE_PATH_LEN])
{
    int len = snprintf(path_out, COMMUNE_PATH_LEN, "%s/%s", c->dir, name);
    assert_in_range(len, 1, COMMUNE_PATH_LEN - 1);
}

void commune_write(const struct commune *c, const char *name, const char *text)
{
    char path[COMMUNE_PATH_LEN];
    commune_path(c, name, path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

size_t commune_sign(const struct commune *c, uint16_t author, uint32_t seq, uint8_t kind,
                    const uint8_t *body, size_t body_len, uint8_t out[static RECORD_LEN_MAX])
{
    uint8_t public_key[KENG_KEY_LEN], secret[KENG_SIG_LEN];
    struct record_draft draft = {
        .ref = { .author = author, .lane = record_lane(kind), .seq = seq }, .kind = kind,
        .priority = record_kind_priority(kind), .created_min = 400000, .body = body,
        .body_len = body_len,
    };
    keys_of(author, public_key, secret);
    int len = record_encode(&draft, out, RECORD_LEN_MAX);
    assert_true(len > 0);
    return record_sign(out, (size_t)len, c->network_id, secret);
}

size_t commune_damage(uint32_t value, uint8_t body_out[static RECORD_BODY_LEN_MAX])
{
    struct report report = { .figure_count = 1, .figures = { { 1, value } } };
    int len = report_encode(&report, body_out, RECORD_BODY_LEN_MAX);
    assert_true(len > 0);
    return (size_t)len;
}

size_t commune_ack(const struct commune *c, uint32_t seq, uint32_t held,
                   uint8_t out[static RECORD_LEN_MAX])
{
    struct ack ack = { .log_count = 1, .logs = { { COMMUNE_MEMBER * LANE_COUNT, held } } };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = ack_encode(&ack, body, sizeof body);
    assert_true(len > 0);
    return commune_sign(c, COMMUNE_GATEWAY, seq, RECORD_ACK_FIRST, body, (size_t)len, out);
}

size_t commune_review(const struct commune *c, uint32_t seq, struct record_ref of, int state,
                      const char *text, uint8_t out[static RECORD_LEN_MAX])
{
    struct review review = { .state = (enum review_state)state, .ref_count = 1, .refs = { of },
                             .text_len = strlen(text) };
    uint8_t body[RECORD_BODY_LEN_MAX];
    memcpy(review.text, text, review.text_len + 1);
    int len = review_encode(&review, body, sizeof body);
    assert_true(len > 0);
    return commune_sign(c, COMMUNE_OPERATOR, seq, RECORD_REVIEW, body, (size_t)len, out);
}

size_t commune_correction(const struct commune *c, uint32_t seq, struct record_ref of,
                          uint32_t village, uint8_t out[static RECORD_LEN_MAX])
{
    struct review review = { .state = REVIEW_CORRECTED, .ref_count = 1, .refs = { of },
                             .village = village };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = review_encode(&review, body, sizeof body);
    assert_true(len > 0);
    return commune_sign(c, COMMUNE_OPERATOR, seq, RECORD_REVIEW, body, (size_t)len, out);
}

static void add_root(struct commune *c, struct batch_builder *b, uint8_t kind, const uint8_t *body,
                     int body_len)
{
    uint8_t record[RECORD_LEN_MAX];
    assert_true(body_len > 0);
    size_t len = commune_sign(c, AUTHOR_ROOT, ++c->root_seq, kind, body, (size_t)body_len, record);
    assert_int_equal(batch_add(b, record, len), BATCH_OK);
}

static struct roster_entry entry_of(uint16_t number, enum roster_role role)
{
    uint8_t secret[KENG_SIG_LEN];
    struct roster_entry entry = { .number = number, .role = role, .village = 1 };
    snprintf(entry.name, sizeof entry.name, "Người %u", number);
    keys_of(number, entry.key, secret);
    return entry;
}

size_t commune_revoke(struct commune *c, uint16_t number, enum roster_role role,
                      uint32_t revoked_after, uint8_t out[static RECORD_LEN_MAX])
{
    struct roster_entry entry = entry_of(number, role);
    uint8_t body[RECORD_BODY_LEN_MAX];
    entry.revoked_after = revoked_after;
    int len = roster_entry_encode(&entry, body, sizeof body);
    assert_true(len > 0);
    return commune_sign(c, AUTHOR_ROOT, ++c->root_seq, RECORD_ROSTER, body, (size_t)len, out);
}

static void write_commune(struct commune *c, const uint8_t *root_key, const uint8_t *root_secret)
{
    static const struct { uint16_t number; enum roster_role role; } authors[] = {
        { COMMUNE_NODE, ROSTER_NODE },         { COMMUNE_GATEWAY, ROSTER_GATEWAY },
        { COMMUNE_OPERATOR, ROSTER_OPERATOR }, { COMMUNE_MEMBER, ROSTER_MEMBER },
        { COMMUNE_STRANGER, ROSTER_MEMBER },
    };
    struct profile profile = {
        .name = "Cao Minh", .code = "01879", .region = "VN-920", .eirp_dbm = 16,
        .lora = { .freq_hz = 920250000, .bw_hz = 125000, .sf = 7, .cr = 5, .preamble_symbols = 16 },
        .duty_node_e4 = 100, .duty_gateway_e4 = 1000, .duty_window_s = 3600,
        .band_count = 1,
        .bands = { { .lo_hz = 920000000, .hi_hz = 923000000, .erp_max_dbm_x100 = 1400,
                     .duty_node = 100, .duty_gateway = 1000, .window_s = 3600 } },
    };
    struct batch_header header = { .source = AUTHOR_ROOT, .number = 1, .created_min = 400000 };
    uint8_t bytes[COMMUNE_LEN_MAX], body[RECORD_BODY_LEN_MAX];
    char path[COMMUNE_PATH_LEN], err[HOME_ERR_LEN];
    struct batch_builder b;

    memcpy(header.network_id, c->network_id, KENG_NETWORK_ID_LEN);
    memcpy(header.root_key, root_key, KENG_KEY_LEN);
    assert_int_equal(batch_begin(&b, bytes, sizeof bytes, &header), BATCH_OK);
    add_root(c, &b, RECORD_PROFILE, body, profile_encode(&profile, body, sizeof body));
    for (size_t i = 0; i < sizeof authors / sizeof authors[0]; i++) {
        struct roster_entry entry = entry_of(authors[i].number, authors[i].role);
        add_root(c, &b, RECORD_ROSTER, body, roster_entry_encode(&entry, body, sizeof body));
    }
    size_t len = batch_finish(&b, root_secret);
    commune_path(c, "commune.keng", path);
    if (home_replace_file(path, bytes, len, 0644, err) != 0)
        fail_msg("%s", err);
}

static void write_key(const struct commune *c, uint16_t author)
{
    uint8_t public_key[KENG_KEY_LEN], secret[KENG_SIG_LEN];
    char name[32], path[COMMUNE_PATH_LEN], err[HOME_ERR_LEN];
    keys_of(author, public_key, secret);
    snprintf(name, sizeof name, "identity/%u.key", author);
    commune_path(c, name, path);
    if (home_write_secret(path, secret, sizeof secret, err) != 0)
        fail_msg("%s", err);
}

void commune_make(struct commune *c, bool gateway)
{
    static const uint8_t network_key[KENG_NETWORK_KEY_LEN] = { 42 };
    uint8_t root_key[KENG_KEY_LEN], root_secret[KENG_SIG_LEN];
    char path[COMMUNE_PATH_LEN], err[HOME_ERR_LEN];

    assert_true(sodium_init() >= 0);
    *c = (struct commune){ .dir = "/tmp/keng-commune-XXXXXX" };
    assert_non_null(mkdtemp(c->dir));
    keys_of(AUTHOR_ROOT, root_key, root_secret);
    network_id_of_root(root_key, c->network_id);
    write_commune(c, root_key, root_secret);
    commune_path(c, "network.key", path);
    if (home_write_secret(path, network_key, sizeof network_key, err) != 0)
        fail_msg("%s", err);
    commune_path(c, "identity", path);
    assert_int_equal(mkdir(path, 0700), 0);
    if (gateway) {
        write_key(c, COMMUNE_GATEWAY);
        commune_write(c, "kengd.conf", "node = 4\nrole = \"gateway\"\nrecord_count_max = 2000\n");
    } else {
        write_key(c, COMMUNE_NODE);
        write_key(c, COMMUNE_MEMBER);
        commune_write(c, "kengd.conf", "node = 1\nrecord_count_max = 2000\n");
    }
}

static void empty(const char *dir)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d));) {
        char path[COMMUNE_PATH_LEN + sizeof e->d_name];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

void commune_remove(struct commune *c)
{
    char path[COMMUNE_PATH_LEN];
    commune_path(c, "identity", path);
    empty(path);
    empty(c->dir);
}
