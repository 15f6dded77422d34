#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/client.h"

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keng-client-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/sock", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

/* A peer in a process of its own: reads one line, says `speech` in pieces of `piece` bytes, waits
 * until the client is gone when it is to `linger`, and ends. */
static pid_t start_peer(const char *speech, size_t speech_len, size_t piece, bool linger)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    memcpy(addr.sun_path, path, strlen(path) + 1);
    unlink(path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(listener, 1), 0);
    pid_t pid = fork();
    if (pid != 0) {
        close(listener);
        return pid;
    }
    int fd = accept(listener, NULL, NULL);
    char c = 0;
    while (c != '\n' && read(fd, &c, 1) == 1)
        continue;
    for (size_t at = 0; at < speech_len; at += piece) {
        size_t len = speech_len - at < piece ? speech_len - at : piece;
        if (send(fd, speech + at, len, MSG_NOSIGNAL) < 0)
            break;
    }
    while (linger && read(fd, &c, 1) == 1)
        continue;
    _exit(0);
}

static void test_client_call_gives_answer_or_reason(void **state)
{
    (void)state;
    static const struct {
        const char *name, *speech;
        size_t piece;
        bool linger;
        int want;
        const char *want_err; /* part of it */
        bool want_answer;
    } cases[] = {
        { "answer", "{\"ok\":true,\"seq\":5}\n", 100, true, 0, "", true },
        { "answer byte by byte", "{\"ok\":true,\"seq\":5}\n", 1, true, 0, "", true },
        { "refusal", "{\"ok\":false,\"error\":\"disk is full\",\"code\":\"disk\"}\n", 100, true, -1,
          "disk is full", true },
        { "closed before answer", "", 1, false, -1, "closed", false },
        { "closed in the middle", "{\"ok\":tr", 100, false, -1, "closed", false },
        { "silence", "", 1, true, -1, "does not answer", false },
        { "not JSON", "hello\n", 100, true, -1, "not JSON", false },
        { "a list", "[1]\n", 100, true, -1, "not JSON", false },
        { "no verdict", "{\"seq\":5}\n", 100, true, -1, "without a meaning", false },
        { "refusal without a reason", "{\"ok\":false}\n", 100, true, -1, "without a meaning",
          false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct client c;
        json_t *answer = NULL;
        pid_t pid = start_peer(cases[i].speech, strlen(cases[i].speech), cases[i].piece,
                               cases[i].linger);
        assert_int_equal(client_open(&c, path), 0);
        int got = client_call(&c, json_pack("{s:s}", "do", "status"), 300, &answer);
        if (got != cases[i].want || strstr(c.err, cases[i].want_err) == NULL ||
            (answer != NULL) != cases[i].want_answer)
            fail_msg("%s: got %d, err \"%s\"", cases[i].name, got, c.err);
        json_decref(answer);
        client_close(&c);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
}

static void test_client_takes_lines_one_by_one(void **state)
{
    (void)state;
    static const char speech[] = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
    struct client c;
    json_t *line = NULL;
    pid_t pid = start_peer(speech, sizeof speech - 1, 11, false);

    assert_int_equal(client_open(&c, path), 0);
    assert_int_equal(client_take_line(&c, &line), 0);
    assert_int_equal(client_send(&c, json_pack("{s:s}", "do", "follow")), 0);
    for (int want = 1; want <= 3; want++) {
        int got;
        while ((got = client_take_line(&c, &line)) == 0)
            poll(&(struct pollfd){ .fd = c.fd, .events = POLLIN }, 1, 1000);
        assert_int_equal(got, 1);
        assert_int_equal(json_integer_value(json_object_get(line, "n")), want);
        json_decref(line);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(client_take_line(&c, &line), -1);
    client_close(&c);
    assert_int_equal(client_take_line(&c, &line), -1);
    assert_int_equal(client_send(&c, json_object()), -1);
}

static void test_client_line_without_end_is_refused(void **state)
{
    (void)state;
    size_t len = CLIENT_LINE_LEN_MAX + 100000;
    char *speech = malloc(len);
    struct client c;
    json_t *answer = NULL;

    memset(speech, 'x', len);
    pid_t pid = start_peer(speech, len, 4096, true);
    free(speech);
    assert_int_equal(client_open(&c, path), 0);
    assert_int_equal(client_call(&c, json_object(), 5000, &answer), -1);
    assert_non_null(strstr(c.err, "too long"));
    client_close(&c);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_client_open_says_what_is_wrong(void **state)
{
    (void)state;
    struct client c;
    char long_path[200];

    unlink(path);
    assert_int_equal(client_open(&c, path), -1);
    assert_int_equal(c.fd, -1);
    assert_non_null(strstr(c.err, path));
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(client_open(&c, long_path), -1);
    assert_non_null(strstr(c.err, "longer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_call_gives_answer_or_reason),
        cmocka_unit_test(test_client_takes_lines_one_by_one),
        cmocka_unit_test(test_client_line_without_end_is_refused),
        cmocka_unit_test(test_client_open_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
