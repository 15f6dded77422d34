#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/numbers.h"

enum { SLOT_LEN = 512, FILE_LEN = 2 * SLOT_LEN };

static char dir[64], path[96], text[NUMBERS_TEXT_LEN];
static struct numbers n;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keng-numbers-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/numbers", dir);
    n = (struct numbers){ .fd = -1 };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    numbers_close(&n);
    unlink(path);
    return rmdir(dir);
}

static void reopen(void)
{
    numbers_close(&n);
    if (numbers_open(&n, path, text) < 0)
        fail_msg("%s", text);
}

static size_t read_file(uint8_t bytes[FILE_LEN])
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t len = read(fd, bytes, FILE_LEN);
    assert_true(len >= 0);
    close(fd);
    return (size_t)len;
}

static void write_file(const uint8_t *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static void test_numbers_survive_a_reopen(void **state)
{
    (void)state;
    struct stat st;
    reopen();
    assert_int_equal(numbers_get(&n, 11, 0), 0);
    assert_int_equal(numbers_put(&n, 11, 0, 16), 0);
    assert_int_equal(numbers_put(&n, 11, 1, 32), 0);
    assert_int_equal(numbers_put(&n, 65534, 7, 2097151), 0);
    assert_int_equal(numbers_put(&n, 11, 0, 48), 0);
    reopen();
    assert_int_equal(numbers_get(&n, 11, 0), 48);
    assert_int_equal(numbers_get(&n, 11, 1), 32);
    assert_int_equal(numbers_get(&n, 65534, 7), 2097151);
    assert_int_equal(numbers_get(&n, 12, 0), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, FILE_LEN);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Power may fail with any part of a slot written; the numbers before must be there then, or the new
 * ones, never anything else. */
static void test_numbers_torn_slot_leaves_the_one_before(void **state)
{
    (void)state;
    uint8_t before[FILE_LEN], after[FILE_LEN];
    reopen();
    for (uint32_t number = 1; number <= 6; number++) {
        read_file(before);
        uint32_t old = numbers_get(&n, 11, 0);
        assert_int_equal(numbers_put(&n, 11, 0, number * 16), 0);
        numbers_close(&n);
        size_t len = read_file(after);
        /* A file of one slot grows with the first number. */
        if (number == 1)
            memset(before + SLOT_LEN, 0, SLOT_LEN);
        for (size_t cut = 0; cut <= len; cut++) {
            uint8_t torn[FILE_LEN];
            memcpy(torn, before, sizeof torn);
            size_t at = (number % 2) * SLOT_LEN; /* the slot written in this turn */
            size_t part = cut < SLOT_LEN ? cut : SLOT_LEN;
            memcpy(torn + at, after + at, part);
            write_file(torn, len);
            if (numbers_open(&n, path, text) < 0)
                fail_msg("cut at %zu: %s", cut, text);
            uint32_t got = numbers_get(&n, 11, 0);
            assert_true(got == number * 16 || (got == old && cut < SLOT_LEN));
            numbers_close(&n);
        }
        write_file(after, len);
        reopen();
    }
}

static void test_numbers_flipped_bits_are_noticed(void **state)
{
    (void)state;
    uint8_t good[FILE_LEN];
    reopen();
    assert_int_equal(numbers_put(&n, 11, 0, 16), 0);
    assert_int_equal(numbers_put(&n, 11, 0, 32), 0); /* generation 2, in the first slot */
    numbers_close(&n);
    read_file(good);
    for (size_t bit = 0; bit < SLOT_LEN * 8; bit++) {
        uint8_t bad[FILE_LEN];
        memcpy(bad, good, sizeof bad);
        bad[bit / 8] = (uint8_t)(bad[bit / 8] ^ 1u << bit % 8);
        write_file(bad, sizeof bad);
        assert_int_equal(numbers_open(&n, path, text), 0);
        assert_int_equal(numbers_get(&n, 11, 0), 16);
        numbers_close(&n);
        bad[SLOT_LEN + bit / 8] = (uint8_t)(bad[SLOT_LEN + bit / 8] ^ 1u << bit % 8);
        write_file(bad, sizeof bad);
        assert_int_equal(numbers_open(&n, path, text), -1);
        assert_non_null(strstr(text, path));
        assert_non_null(strstr(text, "both copies are damaged"));
        assert_int_equal(n.fd, -1);
    }
}

static void test_numbers_first_write_may_be_torn(void **state)
{
    (void)state;
    static const uint8_t rubbish[SLOT_LEN] = { 'K', 'N', 'U', 'M' };
    for (size_t len = 0; len <= SLOT_LEN; len += 64) {
        write_file(rubbish, len); /* nothing was reserved yet: nothing to lose */
        reopen();
        assert_int_equal(numbers_put(&n, 11, 0, 16), 0);
        reopen();
        assert_int_equal(numbers_get(&n, 11, 0), 16);
    }
}

static void test_numbers_entries_beyond_the_table_are_no_slot(void **state)
{
    (void)state;
    uint8_t bytes[FILE_LEN];
    reopen();
    assert_int_equal(numbers_put(&n, 11, 0, 16), 0);
    numbers_close(&n);
    read_file(bytes);
    /* A count no table can have, under a hash that holds. */
    bytes[SLOT_LEN + 11] = NUMBERS_COUNT_MAX + 1;
    crypto_generichash(bytes + FILE_LEN - 16, 16, bytes + SLOT_LEN, SLOT_LEN - 16, NULL, 0);
    write_file(bytes, sizeof bytes);
    reopen();
    assert_int_equal(numbers_get(&n, 11, 0), 0); /* the slot before */
}

static void test_numbers_full_table_refuses_and_keeps(void **state)
{
    (void)state;
    reopen();
    for (uint32_t i = 0; i < NUMBERS_COUNT_MAX; i++)
        assert_int_equal(numbers_put(&n, (uint16_t)(1000 + i), (uint8_t)(i % 8), i + 1), 0);
    errno = 0;
    assert_int_equal(numbers_put(&n, 999, 0, 5), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(numbers_get(&n, 999, 0), 0);
    assert_int_equal(numbers_put(&n, 1000, 0, 77), 0); /* who has a place keeps it */
    reopen();
    for (uint32_t i = 1; i < NUMBERS_COUNT_MAX; i++)
        assert_int_equal(numbers_get(&n, (uint16_t)(1000 + i), (uint8_t)(i % 8)), i + 1);
    assert_int_equal(numbers_get(&n, 1000, 0), 77);
}

static void test_numbers_failed_write_changes_nothing(void **state)
{
    (void)state;
    /* Rooms for the file: each fails at another byte of one slot or the other. */
    static const rlim_t rooms[] = { 0, 1, 100, 511, 513, 700, 1023 };
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    reopen();
    uint32_t number = 16;
    assert_int_equal(numbers_put(&n, 11, 0, number), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    for (size_t i = 0; i < 2 * sizeof rooms / sizeof rooms[0]; i++) {
        struct rlimit small = { .rlim_cur = rooms[i / 2], .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        errno = 0;
        int err = numbers_put(&n, 11, 0, number + 1);
        int why = errno;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        if (err != 0)
            assert_int_not_equal(why, 0);
        else
            number++;
        assert_int_equal(numbers_get(&n, 11, 0), number);
        reopen();
        assert_int_equal(numbers_get(&n, 11, 0), number);
        assert_int_equal(numbers_put(&n, 11, 0, ++number), 0);
    }
}

static void test_numbers_failed_sync_changes_nothing(void **state)
{
    (void)state;
    int pipe_fds[2];
    reopen();
    assert_int_equal(numbers_put(&n, 11, 0, 16), 0);
    /* A descriptor that was closed, one that cannot be written, one without places: a card
     * that went away looks like this. */
    int good = n.fd, read_only = open(path, O_RDONLY), full = open("/dev/full", O_RDWR);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(read_only >= 0 && full >= 0);
    int bad[] = { -1, read_only, full, pipe_fds[1] };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        n.fd = bad[i];
        errno = 0;
        assert_int_equal(numbers_put(&n, 11, 0, 32), -1);
        assert_int_not_equal(errno, 0);
        assert_int_equal(numbers_get(&n, 11, 0), 16);
    }
    int null = open("/dev/null", O_RDWR);
    assert_true(null >= 0);
    n.fd = null; /* takes every byte, and says at fsync that it keeps none */
    assert_int_equal(numbers_put(&n, 11, 0, 32), -1);
    assert_int_equal(numbers_get(&n, 11, 0), 16);
    n.fd = good;
    assert_int_equal(numbers_put(&n, 11, 0, 32), 0);
    close(read_only);
    close(full);
    close(null);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void test_numbers_unusable_path_is_told(void **state)
{
    (void)state;
    char nowhere[128];
    snprintf(nowhere, sizeof nowhere, "%s/no/numbers", dir);
    assert_int_equal(numbers_open(&n, nowhere, text), -1);
    assert_non_null(strstr(text, nowhere));
    assert_int_equal(numbers_open(&n, dir, text), -1);
    assert_non_null(strstr(text, dir));
    assert_int_equal(n.fd, -1);
}

int main(void)
{
#define NUMBERS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        NUMBERS_TEST(test_numbers_survive_a_reopen),
        NUMBERS_TEST(test_numbers_torn_slot_leaves_the_one_before),
        NUMBERS_TEST(test_numbers_flipped_bits_are_noticed),
        NUMBERS_TEST(test_numbers_first_write_may_be_torn),
        NUMBERS_TEST(test_numbers_entries_beyond_the_table_are_no_slot),
        NUMBERS_TEST(test_numbers_full_table_refuses_and_keeps),
        NUMBERS_TEST(test_numbers_failed_write_changes_nothing),
        NUMBERS_TEST(test_numbers_failed_sync_changes_nothing),
        NUMBERS_TEST(test_numbers_unusable_path_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
