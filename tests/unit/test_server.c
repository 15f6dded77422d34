/* A real node with a real store behind a real socket; only the loop is the test's, so that it can
 * stand still.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/server.h"
#include "tests/support/commune.h"

enum { CLIENTS = 30, PATIENCE = 2000, GOT_LEN_MAX = 4 << 20 };

struct bench {
    struct commune commune;
    struct node node;
    struct radio radio;
    struct server server;
    uint64_t now_ms;
    unsigned wakeups; /* of poll() that found something */
    bool more;
};

static struct bench bench;
static char got[GOT_LEN_MAX];

static void start(struct bench *b)
{
    char text[NODE_TEXT_LEN], path[COMMUNE_PATH_LEN];
    b->node = (struct node){ .numbers = { .fd = -1 } };
    if (node_open(&b->node, b->commune.dir, 1, b->now_ms, text) < 0)
        fail_msg("%s", text);
    struct radio_config radio = {
        .path = "", .driver = "meshcore-kiss", .wires = "",
        .settings = modem_settings_default(&b->node.roster.profile.lora, 14),
    };
    assert_int_equal(radio_init(&b->radio, &radio, b->now_ms), 0);
    commune_path(&b->commune, "sock", path);
    if (server_open(&b->server, path, &b->node, &b->radio, text) < 0)
        fail_msg("%s", text);
}

static void stop(struct bench *b)
{
    server_close(&b->server);
    node_close(&b->node);
}

static int setup(void **state)
{
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    bench = (struct bench){ .now_ms = 1000000 };
    commune_make(&bench.commune, false);
    start(&bench);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    stop(b);
    commune_remove(&b->commune);
    return 0;
}

/* One turn of the daemon's loop; false when there was nothing to do. */
static bool turn(struct bench *b)
{
    struct pollfd fds[SERVER_CLIENT_COUNT_MAX + 1];
    size_t count = server_poll_fds(&b->server, fds);
    int ready = poll(fds, count, 0);
    assert_true(ready >= 0);
    if (ready == 0 && !b->more)
        return false;
    b->wakeups++;
    server_step(&b->server, ++b->now_ms, fds, count);
    node_drain(&b->node, b->now_ms);
    b->more = server_flush(&b->server);
    return true;
}

/* Turns until there is nothing to do; a loop that never rests fails. */
static void settle(struct bench *b)
{
    unsigned turns = 0;
    while (turn(b))
        if (++turns > PATIENCE)
            fail_msg("the loop spins: %u turns without rest", turns);
}

static int dial(struct bench *b)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", b->server.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    settle(b);
    return fd;
}

static void tell(int fd, const char *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* All that the server has said to fd so far, as a string; *closed_out: it hung up. */
static const char *hear(struct bench *b, int fd, bool *closed_out)
{
    size_t len = 0;
    bool closed = false;
    for (unsigned quiet = 0; quiet < 2 && !closed;) {
        settle(b);
        ssize_t n = recv(fd, got + len, sizeof got - 1 - len, 0);
        closed = n == 0 || (n < 0 && errno == ECONNRESET);
        quiet = n > 0 ? 0 : quiet + 1;
        len += n > 0 ? (size_t)n : 0;
    }
    got[len] = '\0';
    if (closed_out)
        *closed_out = closed;
    return got;
}

/* The number-th line (from 0) of what was heard, as JSON; NULL when there is none. */
static json_t *line_of(const char *text, size_t number)
{
    const char *end;
    while ((end = strchr(text, '\n')) && number-- > 0)
        text = end + 1;
    return end ? json_loadb(text, (size_t)(end - text), 0, NULL) : NULL;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; (text = strchr(text, '\n')); text++)
        count++;
    return count;
}

/* Is line `number` an answer with this code ("" for ok)? */
static void expect(const char *text, size_t number, const char *code)
{
    json_t *json = line_of(text, number);
    if (!json)
        fail_msg("no line %zu in: %.200s", number, text);
    const char *said = json_string_value(json_object_get(json, "code"));
    bool ok = json_is_true(json_object_get(json, "ok"));
    if (ok != (code[0] == '\0') || (said ? strcmp(said, code) != 0 : !ok))
        fail_msg("wanted \"%s\", line %zu of: %.300s", code, number, text);
    if (!ok)
        assert_non_null(json_string_value(json_object_get(json, "error")));
    json_decref(json);
}

static int64_t field(const char *text, size_t number, const char *key)
{
    json_t *json = line_of(text, number);
    assert_true(json_is_integer(json_object_get(json, key)));
    int64_t value = json_integer_value(json_object_get(json, key));
    json_decref(json);
    return value;
}

static size_t submit_line(char *line, size_t cap, uint32_t value, const char *more)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    char hex[2 * RECORD_BODY_LEN_MAX + 1];
    size_t len = commune_damage(value, body);
    sodium_bin2hex(hex, sizeof hex, body, len);
    int n = snprintf(line, cap, "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"%s\"%s}\n",
                     hex, more);
    assert_in_range(n, 1, cap - 1);
    return (size_t)n;
}

static void ask(struct bench *b, int fd, uint32_t value, const char *more)
{
    char line[512];
    tell(fd, line, submit_line(line, sizeof line, value, more));
    (void)b;
}

/* ---- bytes that are no requests ------------------------------------------------------------ */

static void test_server_answers_each_bad_line_and_lives(void **state)
{
    struct bench *b = *state;
    static const struct { const char *line; const char *code; } cases[] = {
        { "hello", "bad-request" },
        { "[1,2]", "bad-request" },
        { "{}", "bad-request" },
        { "{\"do\":5}", "bad-request" },
        { "{\"do\":\"fly\"}", "bad-request" },
        { "{\"do\":\"status\",\"do\":\"status\"}", "bad-request" },
        { "{\"do\":\"status\"} x", "bad-request" },
        { "{\"do\":\"records\",\"after\":-1}", "bad-request" },
        { "{\"do\":\"records\",\"after\":1e3}", "bad-request" },
        { "{\"do\":\"records\",\"limit\":201}", "bad-request" },
        { "{\"do\":\"records\",\"after\":99999999999999999999999999}", "bad-request" },
        { "{\"do\":\"mine\",\"limit\":0}", "bad-request" },
        { "{\"do\":\"mine\",\"author\":70000}", "bad-request" },
        { "{\"do\":\"follow\",\"after\":\"x\"}", "bad-request" },
        { "{\"do\":\"add\"}", "bad-request" },
        { "{\"do\":\"add\",\"records\":{}}", "bad-request" },
        { "{\"do\":\"submit\"}", "bad-request" },
        { "{\"do\":\"submit\",\"kind\":\"roster\",\"body\":\"\"}", "bad-request" },
        { "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"0\"}", "too-long" },
        { "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"AB\"}", "too-long" },
        { "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"ff\"}", "bad-body" },
        { "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"\",\"author\":21}", "unknown-author" },
        { "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"\",\"once\":\"\"}", "bad-request" },
        { "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"\",\"once\":7}", "bad-request" },
        { "{\"do\":\"submit\",\"kind\":\"damage\",\"body\":\"\",\"priority\":\"very\"}",
          "bad-request" },
        { "{\"do\":\"status\",\"x\":\"\xff\xfe\"}", "bad-request" },
        { "{\"do\":\"status\",\"x\":\"\\ud800\"}", "bad-request" },
        { "{\"do\":\"status\",\"x\":\"a\\u0000b\"}", "bad-request" },
        { "{\"do\":\"status\",\"x\":1e999}", "bad-request" },
        { "{\"do\":\"status\"}", "" },
        { "  {\"do\":\"status\"}\r", "" },
    };
    int fd = dial(b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tell(fd, cases[i].line, strlen(cases[i].line));
        tell(fd, "\n", 1);
        const char *text = hear(b, fd, NULL);
        if (count_lines(text) != 1)
            fail_msg("%s: %zu lines", cases[i].line, count_lines(text));
        expect(text, 0, cases[i].code);
    }
    tell(fd, "{\"do\":\"st\0atus\"}\n\n\n{\"do\":\"status\"}\n", 36);
    const char *text = hear(b, fd, NULL);
    assert_int_equal(count_lines(text), 2); /* empty lines are no requests */
    expect(text, 0, "bad-request");
    expect(text, 1, "");
    close(fd);
    settle(b);
    assert_int_equal(b->node.last_arrival, store_last_arrival(b->node.store));
}

static void test_server_deep_nesting_is_refused(void **state)
{
    struct bench *b = *state;
    static char line[SERVER_LINE_LEN_MAX];
    int fd = dial(b);
    static const char *const opens[] = { "[", "{\"a\":", "{\"do\":[" };
    for (size_t i = 0; i < sizeof opens / sizeof opens[0]; i++) {
        size_t len = 0, open_len = strlen(opens[i]);
        while (len + open_len < sizeof line) {
            memcpy(line + len, opens[i], open_len);
            len += open_len;
        }
        line[len++] = '\n';
        tell(fd, line, len);
        expect(hear(b, fd, NULL), 0, "bad-request");
    }
    close(fd);
}

static void test_server_half_lines_wait_for_the_rest(void **state)
{
    struct bench *b = *state;
    static const char line[] = "{\"do\":\"status\"}\n";
    int fd = dial(b);
    for (size_t i = 0; i + 2 < sizeof line; i++) {
        tell(fd, line + i, 1);
        assert_string_equal(hear(b, fd, NULL), "");
    }
    tell(fd, line + sizeof line - 2, 1);
    expect(hear(b, fd, NULL), 0, "");
    /* A client who goes in the middle of a line is nobody. */
    tell(fd, line, 5);
    close(fd);
    settle(b);
    fd = dial(b);
    tell(fd, line, sizeof line - 1);
    expect(hear(b, fd, NULL), 0, "");
    close(fd);
}

static void test_server_line_length_has_a_limit(void **state)
{
    struct bench *b = *state;
    static char line[SERVER_LINE_LEN_MAX + 1];
    bool closed;
    for (size_t over = 0; over <= 1; over++) {
        size_t len = SERVER_LINE_LEN_MAX + over; /* with the line end */
        int fd = dial(b), words = snprintf(line, sizeof line, "{\"do\":\"status\",\"x\":\"");
        memset(line + words, 'x', sizeof line - (size_t)words);
        memcpy(line + len - 3, "\"}\n", 3);
        tell(fd, line, len);
        const char *text = hear(b, fd, &closed);
        expect(text, 0, over ? "bad-request" : "");
        assert_int_equal(count_lines(text), 1);
        assert_int_equal(closed, over == 1);
        close(fd);
    }
}

/* ---- many, slow and vanishing clients ------------------------------------------------------- */

static void test_server_too_many_clients_are_told(void **state)
{
    struct bench *b = *state;
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = dial(b);
    for (int i = 0; i < CLIENTS; i++) {
        bool closed, placed = i < SERVER_CLIENT_COUNT_MAX;
        if (placed)
            tell(fds[i], "{\"do\":\"status\"}\n", 16);
        const char *text = hear(b, fds[i], &closed);
        expect(text, 0, placed ? "" : "busy");
        assert_int_equal(closed, !placed);
        close(fds[i]);
    }
    settle(b);
    int fd = dial(b); /* their places are free again */
    tell(fd, "{\"do\":\"status\"}\n", 16);
    expect(hear(b, fd, NULL), 0, "");
    close(fd);
}

static void test_server_pipelined_requests_are_answered_in_order(void **state)
{
    struct bench *b = *state;
    int fd = dial(b);
    for (uint32_t i = 0; i < 20; i++) {
        ask(b, fd, i, "");
        tell(fd, "{\"do\":\"records\",\"limit\":1}\n", 27);
    }
    shutdown(fd, SHUT_WR); /* that was all: the answers come nevertheless */
    bool closed;
    const char *text = hear(b, fd, &closed);
    assert_int_equal(count_lines(text), 40);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(field(text, 2 * i, "seq"), i + 1);
        expect(text, 2 * i + 1, "");
        /* Answered only when durable, and seen at once by whoever asks next. */
        assert_int_equal(field(text, 2 * i + 1, "last"), field(text, 1, "last") + i);
    }
    assert_true(closed);
    close(fd);
}

static void test_server_answers_longer_than_a_client_reads_wait(void **state)
{
    struct bench *b = *state;
    enum { REPORTS = 200, QUESTIONS = 30 };
    int fd = dial(b);
    for (uint32_t i = 0; i < REPORTS; i++) {
        ask(b, fd, i, "");
        expect(hear(b, fd, NULL), 0, "");
    }
    for (int i = 0; i < QUESTIONS; i++)
        tell(fd, "{\"do\":\"records\"}\n", 17);
    settle(b);
    settle(b);
    size_t held = 0;
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        held += b->server.clients[i].out_cap;
    assert_true(held <= 256 * 1024); /* most questions are not answered yet */
    const char *text = hear(b, fd, NULL);
    assert_int_equal(count_lines(text), QUESTIONS);
    for (size_t i = 0; i < QUESTIONS; i++)
        expect(text, i, "");
    close(fd);
}

static void test_server_answer_is_never_longer_than_a_client_reads(void **state)
{
    struct bench *b = *state;
    enum { REPORTS = 1000 };
    char text[REPORT_TEXT_LEN_MAX + 1];
    int fd = dial(b);
    snprintf(text, sizeof text, "%0120d", 7); /* digits are not packed: long records */
    for (uint32_t i = 0; i < REPORTS; i++) {
        struct report report = { .figure_count = 1, .figures = { { 1, i } }, .text_len = 120 };
        memcpy(report.text, text, 121);
        uint8_t body[RECORD_BODY_LEN_MAX];
        int len = report_encode(&report, body, sizeof body);
        assert_true(len > 0);
        struct record_draft draft = { .ref = { .author = COMMUNE_MEMBER }, .kind = RECORD_DAMAGE,
                                      .body = body, .body_len = (size_t)len };
        assert_true(node_submit(&b->node, b->now_ms, 0, &draft, NULL));
        node_drain(&b->node, b->now_ms);
    }
    tell(fd, "{\"do\":\"mine\",\"limit\":1000}\n{\"do\":\"mine\",\"limit\":100}\n", 53);
    const char *heard = hear(b, fd, NULL);
    expect(heard, 0, "");
    expect(heard, 1, "");
    assert_in_range(strchr(heard, '\n') - heard, CLIENT_LINE_LEN_MAX / 2, CLIENT_LINE_LEN_MAX - 1);
    close(fd);
}

static void test_server_follower_gets_all_in_order(void **state)
{
    struct bench *b = *state;
    int writer = dial(b), fd = dial(b);
    for (uint32_t i = 0; i < 40; i++)
        ask(b, writer, i, "");
    assert_int_equal(count_lines(hear(b, writer, NULL)), 40);
    tell(fd, "{\"do\":\"follow\",\"after\":0}\n", 26);
    const char *text = hear(b, fd, NULL);
    expect(text, 0, "");
    size_t lines = count_lines(text);
    assert_int_equal(lines, 1 + b->node.last_arrival); /* the root's, then ours */
    for (size_t i = 1; i < lines; i++) {
        json_t *json = line_of(text, i);
        const json_t *record = json_object_get(json, "record");
        assert_int_equal(json_integer_value(json_object_get(record, "arrival")), i);
        json_decref(json);
    }
    ask(b, writer, 99, "");
    expect(hear(b, writer, NULL), 0, "");
    text = hear(b, fd, NULL);
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "\"seq\":41"));
    /* What becomes of a report is told too. */
    uint8_t ack[RECORD_LEN_MAX];
    size_t len = commune_ack(&b->commune, 1, 41, ack);
    assert_string_equal(node_add(&b->node, b->now_ms, ack, len), "new");
    text = hear(b, fd, NULL);
    assert_non_null(strstr(text, "\"state\":\"received\""));
    assert_non_null(strstr(text, "\"received_by\":4"));
    close(fd);
    close(writer);
}

static void test_server_follower_who_never_reads_costs_little(void **state)
{
    struct bench *b = *state;
    enum { REPORTS = 800 };
    int writer = dial(b), deaf = dial(b);
    int small = 4096;
    assert_int_equal(setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    tell(deaf, "{\"do\":\"follow\",\"after\":0}\n", 26);
    for (uint32_t i = 0; i < REPORTS; i++) {
        ask(b, writer, i, "");
        expect(hear(b, writer, NULL), 0, ""); /* others are served all the while */
    }
    unsigned before = b->wakeups;
    settle(b);
    for (int i = 0; i < 20; i++)
        turn(b);
    assert_true(b->wakeups - before < 5); /* and nobody spins for him */
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        assert_true(b->server.clients[i].out_cap <= 128 * 1024);
    /* When he reads at last, nothing is missing. */
    assert_int_equal(count_lines(hear(b, deaf, NULL)), 1 + b->node.last_arrival);
    close(deaf);
    close(writer);
}

static void test_server_client_who_vanishes_while_waiting_is_stored_for(void **state)
{
    struct bench *b = *state;
    for (uint32_t i = 0; i < 50; i++) {
        int fd = dial(b);
        ask(b, fd, i, "");
        if (i % 2 == 0) {
            /* Read and queued, then the client is gone before the disk answers. */
            struct pollfd fds[SERVER_CLIENT_COUNT_MAX + 1];
            size_t count = server_poll_fds(&b->server, fds);
            assert_true(poll(fds, count, 0) > 0);
            server_step(&b->server, ++b->now_ms, fds, count);
            close(fd);
            count = server_poll_fds(&b->server, fds);
            assert_true(poll(fds, count, 0) > 0);
            server_step(&b->server, ++b->now_ms, fds, count);
        } else {
            close(fd);
        }
        settle(b);
    }
    int fd = dial(b);
    ask(b, fd, 1000, "");
    assert_int_equal(field(hear(b, fd, NULL), 0, "seq"), 51);
    for (int i = 0; i < NODE_PENDING_COUNT_MAX; i++)
        assert_false(b->node.pending[i].used);
    close(fd);
}

/* ---- once ---- */

static void test_server_same_token_is_the_same_record(void **state)
{
    struct bench *b = *state;
    int one = dial(b), two = dial(b);
    ask(b, one, 7, ",\"once\":\"ngày 3, lần 1\"");
    ask(b, two, 7, ",\"once\":\"ngày 3, lần 1\"");
    int64_t seq = field(hear(b, one, NULL), 0, "seq");
    const char *text = hear(b, two, NULL);
    assert_int_equal(count_lines(text), 1);
    assert_int_equal(field(text, 0, "seq"), seq);
    ask(b, one, 8, ",\"once\":\"ngày 3, lần 1\"");
    assert_int_equal(field(hear(b, one, NULL), 0, "seq"), seq);
    ask(b, one, 8, ",\"once\":\"ngày 3, lần 2\"");
    assert_int_equal(field(hear(b, one, NULL), 0, "seq"), seq + 1);
    close(one);
    close(two);
    stop(b);
    start(b); /* also after a restart */
    one = dial(b);
    ask(b, one, 7, ",\"once\":\"ngày 3, lần 1\"");
    ask(b, one, 9, "");
    text = hear(b, one, NULL);
    assert_int_equal(field(text, 0, "seq"), seq);
    assert_int_equal(field(text, 1, "seq"), seq + 2);
    close(one);
}

static void test_server_same_token_from_all_clients_at_once(void **state)
{
    struct bench *b = *state;
    int fds[SERVER_CLIENT_COUNT_MAX];
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        fds[i] = dial(b);
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        ask(b, fds[i], (uint32_t)i, i % 3 == 0 ? "" : ",\"once\":\"same\"");
    unsigned seen[SERVER_CLIENT_COUNT_MAX + 2] = { 0 };
    int64_t same = 0;
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++) {
        const char *text = hear(b, fds[i], NULL);
        assert_int_equal(count_lines(text), 1);
        int64_t seq = field(text, 0, "seq");
        assert_in_range(seq, 1, SERVER_CLIENT_COUNT_MAX);
        if (i % 3 == 0)
            assert_int_equal(seen[seq]++, 0);
        else if (same == 0)
            same = seq;
        else
            assert_int_equal(seq, same);
        close(fds[i]);
    }
    assert_int_equal(seen[same], 0);
}

/* ---- a full disk ---- */

static void limit_files(rlim_t len)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = len;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_server_full_disk_is_told_and_leaves_no_gap(void **state)
{
    struct bench *b = *state;
    /* With 0 bytes the numbers file fails first, with more the store does. */
    static const rlim_t rooms[] = { 0, 600, 1024, 1024, 0 };
    uint32_t stored = 0;
    int fd = dial(b);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        limit_files(rooms[i]);
        for (int k = 0; k < 3; k++) {
            ask(b, fd, stored, k == 0 ? ",\"once\":\"kept for later\"" : "");
            const char *text = hear(b, fd, NULL);
            if (i > 0 && k == 0) {
                expect(text, 0, ""); /* stored in the first round: reading needs no room */
                continue;
            }
            limit_files(RLIM_INFINITY);
            expect(text, 0, "disk");
            assert_non_null(strstr(text, "cannot"));
            limit_files(rooms[i]);
        }
        tell(fd, "{\"do\":\"status\"}\n", 16);
        const char *status = hear(b, fd, NULL);
        limit_files(RLIM_INFINITY);
        assert_non_null(strstr(status, "\"state\":\"failing\""));
        /* The very next one works. */
        for (int k = 0; k < 20; k++) {
            ask(b, fd, stored, k == 0 && i == 0 ? ",\"once\":\"kept for later\"" : "");
            const char *text = hear(b, fd, NULL);
            expect(text, 0, "");
            assert_int_equal(field(text, 0, "seq"), ++stored);
        }
        tell(fd, "{\"do\":\"status\"}\n", 16);
        assert_null(strstr(hear(b, fd, NULL), "failing"));
    }
    close(fd);
    stop(b);
    start(b);
    fd = dial(b);
    ask(b, fd, 1, "");
    assert_int_equal(field(hear(b, fd, NULL), 0, "seq"), stored + 1);
    close(fd);
}

/* ---- the socket itself ---- */

static void test_server_socket_is_replaced_only_when_nobody_answers(void **state)
{
    struct bench *b = *state;
    static struct server second;
    char text[SERVER_TEXT_LEN], path[COMMUNE_PATH_LEN], too_long[200];
    commune_path(&b->commune, "sock", path);
    assert_int_equal(server_open(&second, path, &b->node, &b->radio, text), -1);
    assert_non_null(strstr(text, "another kengd"));
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(server_open(&second, too_long, &b->node, &b->radio, text), -1);
    assert_non_null(strstr(text, "shorter"));
    settle(b);
    int fd = dial(b); /* the first one is as it was */
    tell(fd, "{\"do\":\"status\"}\n", 16);
    expect(hear(b, fd, NULL), 0, "");
    close(fd);
    /* As after kill -9: the file is there, nobody listens. */
    close(b->server.fd);
    b->server.fd = -1;
    server_close(&b->server);
    assert_int_equal(access(path, F_OK), 0);
    if (server_open(&b->server, path, &b->node, &b->radio, text) < 0)
        fail_msg("%s", text);
    fd = dial(b);
    tell(fd, "{\"do\":\"status\"}\n", 16);
    expect(hear(b, fd, NULL), 0, "");
    close(fd);
}

static void test_server_socket_never_replaces_a_file(void **state)
{
    struct bench *b = *state;
    static struct server second;
    char text[SERVER_TEXT_LEN], path[COMMUNE_PATH_LEN];
    commune_path(&b->commune, "kengd.conf", path); /* a wrong `socket` line must not cost a file */
    assert_int_equal(server_open(&second, path, &b->node, &b->radio, text), -1);
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_server_answers_each_bad_line_and_lives),
        SERVER_TEST(test_server_deep_nesting_is_refused),
        SERVER_TEST(test_server_half_lines_wait_for_the_rest),
        SERVER_TEST(test_server_line_length_has_a_limit),
        SERVER_TEST(test_server_too_many_clients_are_told),
        SERVER_TEST(test_server_pipelined_requests_are_answered_in_order),
        SERVER_TEST(test_server_answers_longer_than_a_client_reads_wait),
        SERVER_TEST(test_server_answer_is_never_longer_than_a_client_reads),
        SERVER_TEST(test_server_follower_gets_all_in_order),
        SERVER_TEST(test_server_follower_who_never_reads_costs_little),
        SERVER_TEST(test_server_client_who_vanishes_while_waiting_is_stored_for),
        SERVER_TEST(test_server_same_token_is_the_same_record),
        SERVER_TEST(test_server_same_token_from_all_clients_at_once),
        SERVER_TEST(test_server_full_disk_is_told_and_leaves_no_gap),
        SERVER_TEST(test_server_socket_is_replaced_only_when_nobody_answers),
        SERVER_TEST(test_server_socket_never_replaces_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
