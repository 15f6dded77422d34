#include "node/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 16,
    FOLLOW_STEP = 16,            /* records given to a follower at a time */
    FOLLOW_OUT_LEN_MAX = 32768,  /* a slower reader waits with the rest on disk */
    OUT_CAP_MIN = 4096,
    SOCKET_MODE = 0660,
};

static void drop(struct server *s, struct server_client *c)
{
    node_forget_client(s->api.node, c->id);
    close(c->fd);
    free(c->in);
    free(c->out);
    *c = (struct server_client){ .fd = -1 };
}

/* ---- output ---------------------------------------------------------------------------- */

static bool reserve_out(struct server_client *c, size_t more)
{
    if (c->out_at > 0) {
        memmove(c->out, c->out + c->out_at, c->out_len - c->out_at);
        c->out_len -= c->out_at;
        c->out_at = 0;
    }
    if (c->out_len + more > SERVER_OUT_LEN_MAX)
        return false;
    if (c->out_len + more <= c->out_cap)
        return true;
    size_t cap = c->out_cap ? c->out_cap : OUT_CAP_MIN;
    while (cap < c->out_len + more)
        cap *= 2;
    char *out = realloc(c->out, cap);
    if (!out)
        return false;
    c->out = out;
    c->out_cap = cap;
    return true;
}

/* Does he owe us so much reading that he gets nothing more for now? */
static bool is_full(const struct server_client *c)
{
    return c->out_len - c->out_at > FOLLOW_OUT_LEN_MAX;
}

static bool has_line(const struct server_client *c)
{
    return c->in_len > 0 && memchr(c->in, '\n', c->in_len);
}

static int append(const char *bytes, size_t len, void *ctx)
{
    struct server_client *c = ctx;
    if (!reserve_out(c, len))
        return -1;
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
    return 0;
}

/* One whole line, or nothing of it: a line cut short would be a lie. */
static bool append_line(struct server_client *c, const json_t *json)
{
    size_t waiting = c->out_len - c->out_at;
    if (json && json_dump_callback(json, append, c, JSON_COMPACT) == 0 && append("\n", 1, c) == 0)
        return true;
    c->out_len = c->out_at + waiting;
    return false;
}

/* Takes the reference.  Who has no room for it is dropped. */
static bool say(struct server *s, struct server_client *c, json_t *json)
{
    bool good = append_line(c, json);
    json_decref(json);
    if (!good)
        drop(s, c);
    return good;
}

static void write_out(struct server *s, struct server_client *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            drop(s, c);
            return;
        }
        c->out_at += (size_t)n;
    }
    /* A large answer's memory goes back: nodes are small. */
    if (c->out_cap > FOLLOW_OUT_LEN_MAX) {
        free(c->out);
        c->out = NULL;
        c->out_cap = 0;
    }
    c->out_at = c->out_len = 0;
    if (c->ended && !c->waits && !has_line(c))
        drop(s, c);
}

/* ---- what the node tells ------------------------------------------------------------------ */

static void on_answer(void *listener, uint64_t client, json_t *answer)
{
    struct server *s = listener;
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        if (s->clients[i].fd >= 0 && s->clients[i].id == client) {
            s->clients[i].waits = false;
            say(s, &s->clients[i], answer);
            return;
        }
    json_decref(answer);
}

static void on_state(void *listener, json_t *state)
{
    struct server *s = listener;
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        if (s->clients[i].fd >= 0 && s->clients[i].follows)
            say(s, &s->clients[i], json_pack("{s:O}", "state", state));
    json_decref(state);
}

bool server_monitored(const struct server *s)
{
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        if (s->clients[i].fd >= 0 && s->clients[i].monitors)
            return true;
    return false;
}

void server_frame(struct server *s, json_t *frame)
{
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        if (s->clients[i].fd >= 0 && s->clients[i].monitors)
            say(s, &s->clients[i], json_pack("{s:O}", "frame", frame));
    json_decref(frame);
}

struct follow { struct server *server; struct server_client *client; };

static bool give_record(void *ctx, const struct store_record *record)
{
    struct follow *f = ctx;
    f->client->after = record->arrival;
    json_t *json = node_json_record(record);
    return !json || say(f->server, f->client, json_pack("{s:o}", "record", json));
}

static bool lags(const struct server *s, const struct server_client *c)
{
    return c->fd >= 0 && c->follows && c->after < s->api.node->last_arrival && !is_full(c);
}

/* Some of what he has not seen yet; false when there was nothing to get. */
static bool feed_follower(struct server *s, struct server_client *c)
{
    struct follow f = { .server = s, .client = c };
    int64_t before = c->after;
    return store_records_after(s->api.node->store, c->after, FOLLOW_STEP, give_record, &f) ==
               STORE_OK && c->after > before;
}

bool server_flush(struct server *s)
{
    bool more = false;
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++) {
        struct server_client *c = &s->clients[i];
        bool fed = !lags(s, c) || feed_follower(s, c);
        if (c->fd >= 0 && (c->out_at < c->out_len || c->ended))
            write_out(s, c);
        /* Asked again after writing: who has just read all must not wait for a knock. */
        more = more || (fed && lags(s, c));
        /* Lines that waited behind a submit which is answered by now, or for answers to be read. */
        more = more || (c->fd >= 0 && !c->waits && !is_full(c) && has_line(c));
    }
    return more;
}

/* ---- input ----------------------------------------------------------------------------------- */

static void handle_line(struct server *s, struct server_client *c, uint64_t now_ms,
                        const char *line, size_t len)
{
    json_t *answer = NULL;
    int64_t after = 0;
    uint64_t id = c->id;
    c->waits = true; /* until the outcome is known: a submit may be answered inside the call */
    enum api_outcome outcome = api_handle(&s->api, now_ms, c->id, line, len, &answer, &after);
    if (c->fd < 0 || c->id != id) {
        json_decref(answer);
        return;
    }
    if (outcome == API_WAITS)
        return;
    c->waits = false;
    bool said = append_line(c, answer);
    json_decref(answer);
    if (!said && !say(s, c, node_json_error("too-long", "the answer is too long: ask for fewer")))
        return;
    if (outcome == API_MONITOR)
        c->monitors = true;
    if (outcome != API_FOLLOW)
        return;
    c->follows = true;
    c->after = after;
}

/* Whole lines, as long as none of them has to wait for the disk and the answers are read. */
static void handle_lines(struct server *s, struct server_client *c, uint64_t now_ms)
{
    size_t at = 0;
    while (c->fd >= 0 && !c->waits && !is_full(c)) {
        const char *newline = memchr(c->in + at, '\n', c->in_len - at);
        if (!newline)
            break;
        size_t len = (size_t)(newline - (c->in + at));
        const char *line = c->in + at;
        at += len + 1;
        if (len > 0)
            handle_line(s, c, now_ms, line, len);
    }
    if (c->fd < 0)
        return;
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    if (c->in_len == SERVER_LINE_LEN_MAX && !has_line(c)) {
        c->ended = true;
        c->in_len = 0;
        say(s, c, node_json_error("bad-request", "a line may have %d bytes", SERVER_LINE_LEN_MAX));
    }
}

static void read_client(struct server *s, struct server_client *c, uint64_t now_ms)
{
    size_t room = SERVER_LINE_LEN_MAX - c->in_len;
    if (room > 0 && !c->ended) {
        ssize_t n = recv(c->fd, c->in + c->in_len, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            drop(s, c);
            return;
        }
        if (n == 0)
            c->ended = true;
        c->in_len += (size_t)n;
    }
    handle_lines(s, c, now_ms);
}

static void accept_client(struct server *s)
{
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++) {
        struct server_client *c = &s->clients[i];
        if (c->fd >= 0)
            continue;
        char *in = malloc(SERVER_LINE_LEN_MAX);
        if (!in)
            break;
        *c = (struct server_client){ .fd = fd, .id = s->next_id++, .in = in };
        return;
    }
    static const char full[] = "{\"ok\":false,\"code\":\"busy\",\"error\":\"too many clients, try"
                               " again\"}\n";
    if (send(fd, full, sizeof full - 1, MSG_NOSIGNAL) < 0)
        fprintf(stderr, "<4>kengd: too many clients\n");
    close(fd);
}

/* ---- loop ---- */

size_t server_poll_fds(const struct server *s, struct pollfd *fds)
{
    size_t count = 0;
    fds[count++] = (struct pollfd){ .fd = s->fd, .events = POLLIN };
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++) {
        const struct server_client *c = &s->clients[i];
        if (c->fd < 0)
            continue;
        /* A client who waits, or does not read his answers, is not listened to meanwhile. */
        short events = (short)((c->waits || c->ended || is_full(c) ? 0 : POLLIN) |
                               (c->out_at < c->out_len ? POLLOUT : 0));
        fds[count++] = (struct pollfd){ .fd = c->fd, .events = events };
    }
    return count;
}

void server_step(struct server *s, uint64_t now_ms, const struct pollfd *fds, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (int k = 0; k < SERVER_CLIENT_COUNT_MAX && fds[i].revents; k++) {
            struct server_client *c = &s->clients[k];
            if (c->fd != fds[i].fd)
                continue;
            if (fds[i].revents & POLLIN)
                read_client(s, c, now_ms);
            else if (fds[i].revents & (POLLHUP | POLLERR))
                drop(s, c);
            break;
        }
    /* Lines that waited behind a submit that is answered now. */
    for (int k = 0; k < SERVER_CLIENT_COUNT_MAX; k++)
        if (s->clients[k].fd >= 0 && !s->clients[k].waits && s->clients[k].in_len > 0)
            handle_lines(s, &s->clients[k], now_ms);
    if (fds[0].revents & POLLIN)
        accept_client(s);
}

/* ---- start ---- */

static bool answered(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool yes = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    close(fd);
    return yes;
}

int server_open(struct server *s, const char *path, struct node *node, const struct radio *radios,
                char text[static SERVER_TEXT_LEN])
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    *s = (struct server){ .fd = -1, .next_id = 1, .api = { .node = node, .radios = radios } };
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        s->clients[i].fd = -1;
    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(text, SERVER_TEXT_LEN, "socket path is longer than %zu bytes: set a shorter"
                 " `socket` in kengd.conf", sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    memcpy(s->path, path, strlen(path) + 1);
    if (answered(&address)) {
        snprintf(text, SERVER_TEXT_LEN, "another kengd is running on this socket");
        return -1;
    }
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        snprintf(text, SERVER_TEXT_LEN, "there is a file of that name which is no socket: set"
                 " another `socket` in kengd.conf");
        return -1;
    }
    unlink(path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(path, SOCKET_MODE) < 0 || listen(s->fd, BACKLOG) < 0) {
        snprintf(text, SERVER_TEXT_LEN, "cannot listen on the socket: %s", strerror(errno));
        if (s->fd >= 0)
            close(s->fd);
        s->fd = -1;
        return -1;
    }
    node->listener = s;
    node->on_answer = on_answer;
    node->on_state = on_state;
    return 0;
}

void server_close(struct server *s)
{
    for (int i = 0; i < SERVER_CLIENT_COUNT_MAX; i++)
        if (s->clients[i].fd >= 0)
            drop(s, &s->clients[i]);
    if (s->fd < 0)
        return;
    close(s->fd);
    unlink(s->path);
    s->fd = -1;
}
