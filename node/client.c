#include "node/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    SEND_TIMEOUT_MS = 5000, /* a daemon that takes nothing for so long is stuck */
    READ_LEN = 16 * 1024,
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int fail(struct client *c, const char *what)
{
    snprintf(c->err, sizeof c->err, "%s", what);
    return -1;
}

int client_open(struct client *c, const char *socket_path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    *c = (struct client){ .fd = -1 };
    if (strlen(socket_path) >= sizeof addr.sun_path) {
        snprintf(c->err, sizeof c->err, "socket path is longer than %zu bytes: %.120s; use a "
                 "shorter home", sizeof addr.sun_path - 1, socket_path);
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(addr.sun_path, socket_path, strlen(socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        snprintf(c->err, sizeof c->err, "cannot make a socket: %s", strerror(errno));
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0) {
        int why = errno;
        close(fd);
        snprintf(c->err, sizeof c->err, "cannot reach kengd at %.120s: %s; is kengd running?",
                 socket_path, strerror(why));
        errno = why;
        return -1;
    }
    c->fd = fd;
    return 0;
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->buf);
    c->fd = -1;
    c->buf = NULL;
    c->len = c->cap = 0;
}

/* Waits for events; 1 ready, 0 deadline passed, -1 error. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - now_ms();
        struct pollfd p = { .fd = fd, .events = events };
        int n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
        if (n < 0 && errno == EINTR)
            continue;
        return n < 0 ? -1 : n;
    }
}

static int send_all(struct client *c, const char *bytes, size_t len)
{
    int64_t deadline_ms = now_ms() + SEND_TIMEOUT_MS;

    while (len > 0) {
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (wait_for(c->fd, POLLOUT, deadline_ms) <= 0)
                return fail(c, "kengd takes no requests; restart it");
        } else {
            return fail(c, "kengd closed the connection; is it being restarted?");
        }
    }
    return 0;
}

int client_send(struct client *c, json_t *request)
{
    if (c->fd < 0) {
        json_decref(request);
        return fail(c, "not connected to kengd");
    }
    char *line = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (line == NULL)
        return fail(c, "request cannot be written as JSON");
    size_t len = strlen(line);
    line[len] = '\n'; /* json_dumps() left a NUL here, which nobody needs */
    int result = send_all(c, line, len + 1);
    free(line);
    return result;
}

/* Takes the first whole line out of the buffer, if there is one. */
static int take_buffered(struct client *c, json_t **line_out)
{
    char *end = c->len > 0 ? memchr(c->buf, '\n', c->len) : NULL;
    if (end == NULL) {
        if (c->len >= CLIENT_LINE_LEN_MAX)
            return fail(c, "kengd sent a line that is too long; do keng and kengd match?");
        return 0;
    }
    size_t line_len = (size_t)(end - c->buf);
    json_t *line = json_loadb(c->buf, line_len, JSON_REJECT_DUPLICATES, NULL);
    c->len -= line_len + 1;
    memmove(c->buf, end + 1, c->len);
    if (!json_is_object(line)) {
        json_decref(line);
        return fail(c, "kengd sent what is not JSON; do keng and kengd match?");
    }
    *line_out = line;
    return 1;
}

static int make_room(struct client *c)
{
    if (c->cap - c->len >= READ_LEN)
        return 0;
    size_t cap = c->cap == 0 ? 2 * READ_LEN : c->cap * 2;
    char *buf = realloc(c->buf, cap);
    if (buf == NULL)
        return fail(c, "out of memory");
    c->buf = buf;
    c->cap = cap;
    return 0;
}

int client_take_line(struct client *c, json_t **line_out)
{
    if (c->fd < 0)
        return fail(c, "not connected to kengd");
    for (;;) {
        int taken = take_buffered(c, line_out);
        if (taken != 0)
            return taken;
        if (make_room(c) != 0)
            return -1;
        ssize_t n = recv(c->fd, c->buf + c->len, READ_LEN, MSG_DONTWAIT);
        if (n > 0)
            c->len += (size_t)n;
        else if (n == 0)
            return fail(c, "kengd closed the connection; is it being restarted?");
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        else if (errno != EINTR)
            return fail(c, "connection to kengd broke; is it being restarted?");
    }
}

static int wait_for_answer(struct client *c, json_t *request, int timeout_ms, json_t **answer_out)
{
    int64_t deadline_ms = now_ms() + timeout_ms;

    if (client_send(c, request) != 0)
        return -1;
    for (;;) {
        int taken = client_take_line(c, answer_out);
        if (taken != 0)
            return taken < 0 ? -1 : 0;
        int ready = wait_for(c->fd, POLLIN, deadline_ms);
        if (ready < 0)
            return fail(c, "connection to kengd broke; is it being restarted?");
        if (ready == 0)
            return fail(c, "kengd does not answer; is it busy or stopped?");
    }
}

int client_call(struct client *c, json_t *request, int timeout_ms, json_t **answer_out)
{
    json_t *answer = NULL;

    *answer_out = NULL;
    if (wait_for_answer(c, request, timeout_ms, &answer) != 0) {
        client_close(c); /* an answer that comes late must not be taken for the next one's */
        return -1;
    }
    const json_t *ok = json_object_get(answer, "ok");
    if (json_is_true(ok)) {
        *answer_out = answer;
        return 0;
    }
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (!json_is_false(ok) || error == NULL) {
        json_decref(answer);
        client_close(c);
        return fail(c, "kengd gave an answer without a meaning; do keng and kengd match?");
    }
    *answer_out = answer;
    return fail(c, error);
}
