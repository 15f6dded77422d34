#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/home.h"
#include "proto/sign.h"

static char dir[64];
static char err[HOME_ERR_LEN];
static uint8_t root_key[KENG_KEY_LEN], root_secret[KENG_SIG_LEN];

static const char *in_dir(const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t len, mode_t mode)
{
    unlink(in_dir(name));
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = { 7 };
    umask(022);
    snprintf(dir, sizeof dir, "/tmp/keng-home-XXXXXX");
    crypto_sign_seed_keypair(root_key, root_secret, seed);
    return mkdtemp(dir) == NULL || mkdir(in_dir("identity"), 0700) != 0 ? -1 : 0;
}

static void empty(const char *path)
{
    DIR *d = opendir(path);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        unlink(name);
    }
    if (d != NULL)
        closedir(d);
}

static int teardown(void **state)
{
    (void)state;
    empty(in_dir("identity"));
    empty(dir);
    return rmdir(in_dir("identity")) != 0 || rmdir(dir) != 0 ? -1 : 0;
}

static void test_home_secret_survives_and_is_private(void **state)
{
    (void)state;
    struct home_identity id;
    struct stat st;
    const char *path = in_dir("root.key");

    assert_int_equal(home_write_secret(path, root_secret, sizeof root_secret, err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 2 * KENG_SIG_LEN + 1);
    assert_int_equal(home_read_secret(path, &id, err), 0);
    assert_int_equal(id.number, AUTHOR_ROOT);
    assert_memory_equal(id.secret_key, root_secret, sizeof root_secret);
    assert_memory_equal(id.public_key, root_key, sizeof root_key);
    assert_int_equal(home_write_secret(path, root_secret, sizeof root_secret, err), -1);
    assert_non_null(strstr(err, "exists"));

    /* What a power cut may leave behind is in the way of nobody. */
    unlink(path);
    write_file("root.key.new", "0123", 4, 0600);
    assert_int_equal(home_write_secret(path, root_secret, sizeof root_secret, err), 0);
    assert_int_equal(home_read_secret(path, &id, err), 0);
    assert_int_equal(stat(in_dir("root.key.new"), &st), -1);
}

static void test_home_secret_others_can_read_is_refused(void **state)
{
    (void)state;
    static const mode_t modes[] = { 0640, 0604, 0660, 0610, 0601, 0620 };
    struct home_identity id;
    const char *path = in_dir("root.key");

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(home_read_secret(path, &id, err), -1);
        assert_non_null(strstr(err, "chmod 600"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(home_read_secret(path, &id, err), 0);
    unlink(path);
}

static void test_home_garbled_secret_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int at;       /* this digit is replaced */
        char with;
        int len_more; /* and so many bytes added or taken */
    } cases[] = {
        { "a digit of the seed", 5, 'X', 0 },
        { "a flipped digit of the seed", 5, 0, 0 },
        { "a flipped digit of the public half", 100, 0, 0 },
        { "one digit short", -1, 0, -2 },
        { "cut in half", -1, 0, -64 },
        { "empty", -1, 0, -129 },
        { "something behind it", -1, 0, 1 },
        { "a line too many", -1, 0, 4 },
    };
    struct home_identity id;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[140];
        memset(text, '\n', sizeof text);
        sodium_bin2hex(text, 129, root_secret, sizeof root_secret);
        text[128] = '\n';
        if (cases[i].at >= 0) {
            char *digit = &text[cases[i].at];
            *digit = cases[i].with ? cases[i].with : *digit == '1' ? '2' : '1';
        }
        write_file("root.key", text, (size_t)(129 + cases[i].len_more), 0600);
        if (home_read_secret(in_dir("root.key"), &id, err) != -1)
            fail_msg("%s: accepted", cases[i].name);
    }
    unlink(in_dir("root.key"));
    assert_int_equal(home_read_secret(in_dir("root.key"), &id, err), -1);
    assert_int_equal(home_read_secret(in_dir("other.key"), &id, err), -1);
    assert_int_equal(home_read_secret(dir, &id, err), -1);
}

static void test_home_identities_come_in_order_of_number(void **state)
{
    (void)state;
    static const char *const names[] = { "12.key", "2.key", "65534.key" };
    static const char *const others[] = { "0.key", "02.key", "65535.key", "99999.key", "123456.key",
                                          "7.key.new", "7", "x.key", ".key", "-1.key" };
    struct home_identity ids[HOME_IDENTITY_COUNT_MAX];
    char name[64];

    assert_int_equal(home_read_identities(dir, ids, err), 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(name, sizeof name, "identity/%s", others[i]);
        write_file(name, "x", 1, 0600);
    }
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t seed[32] = { i }, key[KENG_KEY_LEN], secret[KENG_SIG_LEN];
        crypto_sign_seed_keypair(key, secret, seed);
        snprintf(name, sizeof name, "identity/%s", names[i]);
        assert_int_equal(home_write_secret(in_dir(name), secret, sizeof secret, err), 0);
    }
    assert_int_equal(home_read_identities(dir, ids, err), 3);
    assert_int_equal(ids[0].number, 2);
    assert_int_equal(ids[1].number, 12);
    assert_int_equal(ids[2].number, 65534);

    write_file("identity/5.key", "x", 1, 0600);
    assert_int_equal(home_read_identities(dir, ids, err), -1);
    assert_non_null(strstr(err, "5.key"));
    for (int i = 100; i < 100 + HOME_IDENTITY_COUNT_MAX; i++) {
        snprintf(name, sizeof name, "identity/%d.key", i);
        write_file(name, "x", 1, 0600);
    }
    assert_int_equal(home_read_identities(dir, ids, err), -1);
    assert_non_null(strstr(err, "more than"));
    empty(in_dir("identity"));
    assert_int_equal(home_read_identities("/nowhere/at/all", ids, err), -1);
}

static void test_home_network_key_is_read_or_explained(void **state)
{
    (void)state;
    uint8_t key[KENG_NETWORK_KEY_LEN], got[KENG_NETWORK_KEY_LEN];

    assert_int_equal(home_read_network_key(dir, got, err), -1);
    randombytes_buf(key, sizeof key);
    assert_int_equal(home_write_secret(in_dir("network.key"), key, sizeof key, err), 0);
    assert_int_equal(home_read_network_key(dir, got, err), 0);
    assert_memory_equal(got, key, sizeof key);
    write_file("network.key", "0123", 4, 0600);
    assert_int_equal(home_read_network_key(dir, got, err), -1);
    assert_non_null(strstr(err, "64 hex digits"));
}

static void test_home_replaced_file_is_whole(void **state)
{
    (void)state;
    struct stat st;
    char got[16];

    assert_int_equal(home_replace_file(in_dir("f"), (const uint8_t *)"old", 3, 0644, err), 0);
    write_file("f.new", "left by a crash, and longer", 27, 0600);
    assert_int_equal(home_replace_file(in_dir("f"), (const uint8_t *)"newer", 5, 0640, err), 0);
    assert_int_equal(stat(in_dir("f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    int fd = open(in_dir("f"), O_RDONLY);
    assert_int_equal(read(fd, got, sizeof got), 5);
    close(fd);
    assert_memory_equal(got, "newer", 5);
    assert_int_equal(stat(in_dir("f.new"), &st), -1);
    assert_int_equal(home_replace_file(in_dir("no/f"), (const uint8_t *)"x", 1, 0644, err), -1);
    assert_int_equal(home_replace_file(in_dir("identity"), (const uint8_t *)"x", 1, 0644, err), -1);
    assert_int_equal(stat(in_dir("identity.new"), &st), -1);
}

static void test_home_streamed_file_is_whole_or_the_old_one(void **state)
{
    (void)state;
    struct stat st;
    FILE *file = home_replace_begin(in_dir("s"), 0644, err);

    assert_non_null(file);
    assert_true(fputs("first", file) >= 0);
    assert_int_equal(stat(in_dir("s"), &st), -1); /* nobody sees half of it */
    assert_int_equal(home_replace_end(file, in_dir("s"), true, err), 0);
    assert_int_equal(stat(in_dir("s"), &st), 0);
    assert_int_equal(st.st_size, 5);
    file = home_replace_begin(in_dir("s"), 0644, err);
    assert_non_null(file);
    assert_true(fputs("given up", file) >= 0);
    assert_int_equal(home_replace_end(file, in_dir("s"), false, err), -1);
    assert_int_equal(stat(in_dir("s"), &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(stat(in_dir("s.new"), &st), -1);
    assert_null(home_replace_begin(in_dir("no/s"), 0644, err));
}

/* A commune's file with one record; author and source as wanted. */
static size_t make_commune(uint8_t *buf, size_t cap, uint16_t source, uint16_t author)
{
    uint8_t record[RECORD_LEN_MAX], body[4] = { 1, 2, 3, 4 };
    struct batch_header header = { .source = source };
    struct batch_builder b;
    struct record_draft draft = { .ref = { .seq = 1, .author = author }, .kind = RECORD_PROFILE,
                                  .body = body, .body_len = sizeof body };

    memcpy(header.root_key, root_key, sizeof root_key);
    network_id_of_root(root_key, header.network_id);
    assert_int_equal(batch_begin(&b, buf, cap, &header), BATCH_OK);
    int len = record_encode(&draft, record, sizeof record);
    assert_true(len > 0);
    size_t record_len = record_sign(record, (size_t)len, header.network_id, root_secret);
    assert_int_equal(batch_add(&b, record, record_len), BATCH_OK);
    return batch_finish(&b, root_secret);
}

static void test_home_commune_is_the_roots_or_refused(void **state)
{
    (void)state;
    uint8_t buf[1024], *bytes = NULL;
    const uint8_t *record;
    struct batch_reader reader;
    size_t record_len, len = make_commune(buf, sizeof buf, AUTHOR_ROOT, AUTHOR_ROOT);

    assert_int_equal(home_read_commune(dir, &bytes, &reader, err), -1);
    write_file("commune.keng", buf, len, 0644);
    assert_int_equal(home_read_commune(dir, &bytes, &reader, err), 0);
    assert_int_equal(batch_next(&reader, &record, &record_len), 1);
    assert_int_equal(batch_next(&reader, &record, &record_len), 0);
    free(bytes);

    for (size_t i = 0; i < len; i++) {
        buf[i] ^= 0x10;
        write_file("commune.keng", buf, len, 0644);
        assert_int_equal(home_read_commune(dir, &bytes, &reader, err), -1);
        buf[i] ^= 0x10;
        assert_non_null(strstr(err, "commune.keng"));
    }
    len = make_commune(buf, sizeof buf, 5, AUTHOR_ROOT);
    write_file("commune.keng", buf, len, 0644);
    assert_int_equal(home_read_commune(dir, &bytes, &reader, err), -1);
    assert_non_null(strstr(err, "root"));
    len = make_commune(buf, sizeof buf, AUTHOR_ROOT, 5);
    write_file("commune.keng", buf, len, 0644);
    assert_int_equal(home_read_commune(dir, &bytes, &reader, err), -1);
    write_file("commune.keng", "", 0, 0644);
    assert_int_equal(home_read_commune(dir, &bytes, &reader, err), -1);
    unlink(in_dir("commune.keng"));
    assert_int_equal(mkdir(in_dir("commune.keng"), 0700), 0);
    assert_int_equal(home_read_commune(dir, &bytes, &reader, err), -1);
    assert_int_equal(rmdir(in_dir("commune.keng")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_home_secret_survives_and_is_private),
        cmocka_unit_test(test_home_secret_others_can_read_is_refused),
        cmocka_unit_test(test_home_garbled_secret_is_refused),
        cmocka_unit_test(test_home_identities_come_in_order_of_number),
        cmocka_unit_test(test_home_network_key_is_read_or_explained),
        cmocka_unit_test(test_home_replaced_file_is_whole),
        cmocka_unit_test(test_home_streamed_file_is_whole_or_the_old_one),
        cmocka_unit_test(test_home_commune_is_the_roots_or_refused),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, setup, teardown);
}
