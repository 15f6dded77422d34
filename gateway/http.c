#include "gateway/http.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* TLS 1.3, and 1.2 only with forward secrecy and authenticated ciphers. */
static const char TLS_PRIORITIES[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA:+AES-256-GCM:+AES-128-GCM:"
    "+CHACHA20-POLY1305:+AEAD:+SIGN-ALL:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:+GROUP-ALL:+COMP-NULL:"
    "+CTYPE-X509";

enum {
    HTTP_STREAM_BLOCK_LEN = 1024,
    HTTP_STOP_ROUNDS_MAX = 100,
    HTTP_SEND_BUFFER_LEN = 64 * 1024, /* the kernel would keep megabytes for a reader that hangs */
    HTTP_LOG_COUNT_MAX = 20, /* between two heartbeats: nobody fills the disk with words */
    HTTP_DISCARD_LEN_MAX = 1 << 20, /* a longer body is cut off, not read to its end */
};

struct stream {
    struct http_server *server;
    struct MHD_Connection *connection;
    char buffer[HTTP_STREAM_BUFFER_LEN];
    size_t len;
    bool suspended, ended;
};

/* One request being received. */
struct exchange {
    uint8_t *body;
    size_t len, cap, len_max;
    size_t discarded_len;
    bool too_big, no_memory;
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_handler handler;
    struct stream *streams[HTTP_STREAM_COUNT_MAX];
    struct http_room room;
    uint8_t address_key[crypto_shorthash_KEYBYTES]; /* so that no two addresses can be made alike */
    char *start_err; /* where the library's words go until it runs */
    int fd;
    int64_t next_heartbeat_ms;
    unsigned log_count;
    uint16_t port;
    bool secure, stopping;
    bool wanted; /* resumed connections wait for the next run */
};

static struct http_line *line_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info->socket_context;
}

/* ---- event streams ---- */

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct stream *st = cls;
    (void)pos;
    if (st->len > 0) {
        size_t len = st->len < max ? st->len : max;
        memcpy(buf, st->buffer, len);
        memmove(st->buffer, st->buffer + len, st->len - len);
        st->len -= len;
        return (ssize_t)len;
    }
    if (st->ended || st->server->stopping)
        return MHD_CONTENT_READER_END_OF_STREAM;
    /* Returning nothing without suspending would be asked again at once, for ever. */
    MHD_suspend_connection(st->connection);
    st->suspended = true;
    return 0;
}

static void stream_free(void *cls)
{
    struct stream *st = cls;
    for (size_t i = 0; i < HTTP_STREAM_COUNT_MAX; i++)
        if (st->server->streams[i] == st)
            st->server->streams[i] = NULL;
    free(st);
}

static void stream_wake(struct stream *st)
{
    if (!st->suspended)
        return;
    st->suspended = false;
    MHD_resume_connection(st->connection);
    st->server->wanted = true;
}

static void stream_put(struct stream *st, const char *event)
{
    size_t len = strlen(event);
    if (len > sizeof st->buffer - st->len) {
        /* The library would wait for a reader that hangs; what he missed he asks for again. */
        st->ended = true;
        shutdown(line_of(st->connection)->fd, SHUT_RDWR);
    } else {
        memcpy(st->buffer + st->len, event, len);
        st->len += len;
    }
    stream_wake(st);
}

void http_server_broadcast(struct http_server *s, const char *event)
{
    for (size_t i = 0; i < HTTP_STREAM_COUNT_MAX; i++)
        if (s->streams[i])
            stream_put(s->streams[i], event);
}

unsigned http_server_stream_count(const struct http_server *s)
{
    unsigned count = 0;
    for (size_t i = 0; i < HTTP_STREAM_COUNT_MAX; i++)
        count += s->streams[i] != NULL;
    return count;
}

/* A response that stays open, or NULL when there are enough of them. */
static struct MHD_Response *stream_start(struct http_server *s, struct MHD_Connection *connection,
                                         const char *first_event)
{
    size_t slot = 0;
    while (slot < HTTP_STREAM_COUNT_MAX && s->streams[slot])
        slot++;
    struct stream *st = slot < HTTP_STREAM_COUNT_MAX ? calloc(1, sizeof *st) : NULL;
    if (!st)
        return NULL;
    st->server = s;
    st->connection = connection;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, HTTP_STREAM_BLOCK_LEN, stream_read, st, stream_free);
    if (!response) {
        free(st);
        return NULL;
    }
    s->streams[slot] = st;
    http_room_stream(line_of(connection), true);
    stream_put(st, first_event);
    return response;
}

/* ---- requests ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

struct host { const char *name; unsigned count; };

static enum MHD_Result take_host(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct host *host = cls;
    (void)kind;
    if (strcasecmp(name, "Host") == 0) {
        host->name = value;
        host->count++;
    }
    return MHD_YES;
}

/* Of two names somebody between us may have judged the other one: that is none (RFC 9112, 3.2). */
static const char *host_of(struct MHD_Connection *connection)
{
    struct host host = { .name = "" };
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_host, &host);
    return host.count == 1 && host.name ? host.name : "";
}

static enum MHD_Result take_query(void *cls, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct http_request *request = cls;
    (void)kind;
    if (request->query_count == HTTP_FIELD_COUNT_MAX)
        return MHD_NO;
    union { const char *from; char *to; } key = { name }, text = { value ? value : "" };
    request->query[request->query_count++] =
        (struct http_field){ .name = key.to, .value = text.to };
    return MHD_YES;
}

/* The usual address only: the others of 127/8 are for forwarders and experiments. */
static uint64_t peer_hash(const struct http_server *s, struct MHD_Connection *connection,
                          bool *local_out)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    uint8_t bytes[16] = { 0 };
    uint64_t hash;
    *local_out = false;
    if (address && address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(bytes, &v4.sin_addr, sizeof v4.sin_addr);
        *local_out = v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    } else if (address && address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(bytes, &v6.sin6_addr, sizeof v6.sin6_addr);
        *local_out = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    crypto_shorthash((uint8_t *)&hash, bytes, sizeof bytes, s->address_key);
    return hash;
}

static enum http_method method_of(const char *method)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
        return HTTP_GET;
    if (strcmp(method, MHD_HTTP_METHOD_POST) == 0)
        return HTTP_POST;
    return strcmp(method, MHD_HTTP_METHOD_PUT) == 0 ? HTTP_PUT : HTTP_OTHER;
}

static const char *connection_header(enum http_method method)
{
    return method == HTTP_GET ? NULL : "close";
}

static void add_headers(struct MHD_Response *response, const struct http_answer *answer,
                        enum http_method method)
{
    static const char *const COMMON[][2] = {
        { "Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'; "
                                     "form-action 'self'; frame-ancestors 'none'" },
        { "X-Content-Type-Options", "nosniff" },
        /* Not no-referrer: browsers would then send "Origin: null" with our own forms. */
        { "Referrer-Policy", "same-origin" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { "Cache-Control", "no-store" },
    };
    for (size_t i = 0; i < sizeof COMMON / sizeof COMMON[0]; i++)
        MHD_add_response_header(response, COMMON[i][0], COMMON[i][1]);
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    if (answer->location[0])
        MHD_add_response_header(response, "Location", answer->location);
    if (answer->set_cookie[0])
        MHD_add_response_header(response, "Set-Cookie", answer->set_cookie);
    if (answer->signature[0])
        MHD_add_response_header(response, "Keng-Signature", answer->signature);
    if (answer->next[0])
        MHD_add_response_header(response, "Keng-Next", answer->next);
    if (answer->file_name[0]) {
        char disposition[sizeof answer->file_name + 32];
        snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"",
                 answer->file_name);
        MHD_add_response_header(response, "Content-Disposition", disposition);
    }
    if (answer->status >= 400 && connection_header(method))
        MHD_add_response_header(response, "Connection", connection_header(method));
}

static void plain_answer(struct http_answer *answer, unsigned status, const char *text)
{
    strbuf_free(&answer->body);
    if (answer->file)
        fclose(answer->file);
    *answer = (struct http_answer){ .status = status, .content_type = "text/plain; charset=utf-8" };
    strbuf_put(&answer->body, text);
}

static struct MHD_Response *file_response(struct http_answer *answer)
{
    struct stat st;
    struct MHD_Response *response = NULL;
    int fd = fflush(answer->file) == 0 ? dup(fileno(answer->file)) : -1;
    if (fd >= 0 && fstat(fd, &st) == 0)
        response = MHD_create_response_from_fd((uint64_t)st.st_size, fd);
    if (fd >= 0 && !response)
        close(fd);
    fclose(answer->file);
    answer->file = NULL;
    return response;
}

static enum MHD_Result send_answer(struct http_server *s, struct MHD_Connection *connection,
                                   enum http_method method, struct http_answer *answer)
{
    struct MHD_Response *response = NULL;
    if (answer->stream) {
        response = stream_start(s, connection, answer->body.text ? answer->body.text : "");
        if (!response)
            plain_answer(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "too many open pages\n");
        else
            strbuf_free(&answer->body);
    }
    if (!response && answer->body.failed)
        plain_answer(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    if (!response && answer->static_body) {
        union { const void *from; void *to; } body = { answer->static_body };
        response = MHD_create_response_from_buffer(answer->static_len, body.to,
                                                   MHD_RESPMEM_PERSISTENT);
    } else if (!response && answer->file) {
        response = file_response(answer);
    } else if (!response) {
        response = MHD_create_response_from_buffer(
            answer->body.len, answer->body.text,
            answer->body.text ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
        if (response)
            answer->body = (struct strbuf){ 0 };
    }
    if (!response) {
        strbuf_free(&answer->body);
        return MHD_NO;
    }
    add_headers(response, answer, method);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_request(struct http_server *s, struct MHD_Connection *connection,
                                      const char *path, const char *method, struct exchange *ex)
{
    struct http_answer answer = { .status = 404, .content_type = "text/plain; charset=utf-8" };
    enum http_method verb = method_of(method);
    struct http_request request = {
        .method = verb,
        .path = path,
        .host = host_of(connection),
        .origin = header(connection, "Origin"),
        .fetch_site = header(connection, "Sec-Fetch-Site"),
        .cookie = header(connection, "Cookie"),
        .last_event_id = header(connection, "Last-Event-ID"),
        .secure = s->secure,
    };
    request.address = peer_hash(s, connection, &request.local);
    http_room_request(&s->room, line_of(connection));
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_query, &request);
    if (ex->too_big) {
        plain_answer(&answer, 413, "{\"ok\":false,\"code\":\"too-big\",\"error\":"
                                   "\"the body is longer than this server takes\"}\n");
        answer.content_type = "application/json";
        return send_answer(s, connection, verb, &answer);
    }
    if (ex->no_memory) {
        plain_answer(&answer, 503, "out of memory\n");
        return send_answer(s, connection, verb, &answer);
    }
    if (verb == HTTP_POST && ex->body) {
        int count = strlen((char *)ex->body) == ex->len
                        ? http_parse_form((char *)ex->body, request.form, HTTP_FIELD_COUNT_MAX)
                        : -1;
        if (count < 0) {
            plain_answer(&answer, 400, "this is not a form\n");
            return send_answer(s, connection, verb, &answer);
        }
        request.form_count = (size_t)count;
    } else if (verb == HTTP_PUT) {
        request.body = ex->body;
        request.body_len = ex->len;
    }
    s->handler.handle(s->handler.ctx, &request, &answer);
    if (answer.known)
        http_room_know(&s->room, line_of(connection));
    return send_answer(s, connection, verb, &answer);
}

/* Keeps the body, with one NUL behind it. */
static void take_body(struct exchange *ex, const char *data, size_t len)
{
    ex->too_big = ex->too_big || len > ex->len_max - ex->len;
    if (ex->too_big || ex->no_memory) {
        ex->discarded_len += len;
        return;
    }
    if (ex->len + len + 1 > ex->cap) {
        size_t cap = ex->cap ? ex->cap : 1024;
        while (cap < ex->len + len + 1)
            cap *= 2;
        uint8_t *body = realloc(ex->body, cap);
        if (!body) {
            ex->no_memory = true;
            return;
        }
        ex->body = body;
        ex->cap = cap;
    }
    memcpy(ex->body + ex->len, data, len);
    ex->len += len;
    ex->body[ex->len] = '\0';
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_len, void **con_cls)
{
    struct http_server *s = cls;
    struct exchange *ex = *con_cls;
    (void)version;
    if (!ex) {
        ex = calloc(1, sizeof *ex);
        if (!ex)
            return MHD_NO;
        *con_cls = ex;
        enum http_method verb = method_of(method);
        if (verb == HTTP_POST)
            ex->len_max = HTTP_FORM_LEN_MAX;
        else if (verb == HTTP_PUT)
            ex->len_max = s->handler.put_len_max(s->handler.ctx, url);
        unsigned long long length = strtoull(header(connection, "Content-Length"), NULL, 10);
        ex->too_big = length > ex->len_max;
        if (length > HTTP_DISCARD_LEN_MAX) /* not worth reading just to refuse it */
            return answer_request(s, connection, url, method, ex);
        return MHD_YES;
    }
    if (*upload_len > 0) {
        take_body(ex, upload_data, *upload_len);
        *upload_len = 0;
        /* A body without a stated length may have no end. */
        return ex->discarded_len > HTTP_DISCARD_LEN_MAX ? MHD_NO : MHD_YES;
    }
    return answer_request(s, connection, url, method, ex);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *ex = *con_cls;
    (void)cls;
    (void)code;
    http_room_stream(line_of(connection), false);
    if (ex)
        free(ex->body);
    free(ex);
    *con_cls = NULL;
}

/* The library's own limits only refuse newcomers, so that whoever came first and says nothing could
 * stay.  It owns the socket; once that is shut down it notices and lets go. */
static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    struct http_line *line = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        http_room_leave(line);
        return;
    }
    bool local;
    uint64_t address = peer_hash(s, connection, &local);
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    int len = HTTP_SEND_BUFFER_LEN;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len, sizeof len); /* only saves */
    *socket_context = http_room_enter(&s->room, address, local, fd);
    struct http_line *out = http_room_crowded_out(&s->room);
    if (out)
        shutdown(out->fd, SHUT_RDWR);
}

__attribute__((format(printf, 2, 0)))
static void on_log(void *cls, const char *format, va_list args)
{
    struct http_server *s = cls;
    char line[HTTP_ERR_LEN];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    if (s->start_err)
        snprintf(s->start_err, HTTP_ERR_LEN, "%s", line);
    else if (s->log_count++ < HTTP_LOG_COUNT_MAX)
        fprintf(stderr, "<7>keng-gateway: http: %s\n", line);
}

static void log_rest(struct http_server *s)
{
    if (s->log_count > HTTP_LOG_COUNT_MAX)
        fprintf(stderr, "<7>keng-gateway: http: and %u more such lines\n",
                s->log_count - HTTP_LOG_COUNT_MAX);
    s->log_count = 0;
}

/* ---- the server ---- */

int http_server_start(const struct http_config *config, const struct http_handler *handler,
                      struct http_server **server_out, char err[static HTTP_ERR_LEN])
{
    struct sockaddr_storage address;
    bool loopback;
    char why[HTTP_ERR_LEN] = "the address cannot be used";
    if (http_parse_listen(config->listen, &address, &loopback, err) != 0)
        return -1;
    struct http_server *s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(err, HTTP_ERR_LEN, "out of memory");
        return -1;
    }
    s->handler = *handler;
    s->secure = config->cert_pem != NULL;
    randombytes_buf(s->address_key, sizeof s->address_key);
    s->start_err = why;
    /* The library takes certificates by pointers to non-const. */
    union { const char *from; void *to; } cert = { config->cert_pem }, key = { config->key_pem },
        priorities = { TLS_PRIORITIES };
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, cert.to },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, key.to },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, priorities.to },
        { MHD_OPTION_END, 0, NULL },
    };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (s->secure)
        flags |= MHD_USE_TLS;
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)HTTP_LINE_COUNT_MAX, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_CONNECTION_MEMORY_LEN, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_ARRAY,
        s->secure ? tls : &tls[3], MHD_OPTION_END);
    s->start_err = NULL;
    const union MHD_DaemonInfo *fd = NULL, *port = NULL;
    if (s->daemon) {
        fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    }
    if (!fd || !port) {
        snprintf(err, HTTP_ERR_LEN, "cannot listen on %s: %.180s", config->listen, why);
        if (s->daemon)
            MHD_stop_daemon(s->daemon);
        free(s);
        return -1;
    }
    s->fd = fd->epoll_fd;
    s->port = port->port;
    *server_out = s;
    return 0;
}

void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    /* The library aborts when it is stopped with suspended connections. */
    s->stopping = true;
    for (int round = 0; round < HTTP_STOP_ROUNDS_MAX && http_server_stream_count(s) > 0; round++) {
        for (size_t i = 0; i < HTTP_STREAM_COUNT_MAX; i++)
            if (s->streams[i])
                stream_wake(s->streams[i]);
        MHD_run(s->daemon);
    }
    MHD_stop_daemon(s->daemon);
    free(s);
}

int http_server_fd(const struct http_server *s)
{
    return s->fd;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

int http_server_timeout_ms(const struct http_server *s, int64_t now_ms)
{
    if (s->wanted)
        return 0;
    int64_t timeout_ms = -1;
    MHD_UNSIGNED_LONG_LONG wanted_ms;
    if (MHD_get_timeout(s->daemon, &wanted_ms) == MHD_YES)
        timeout_ms = wanted_ms < INT32_MAX ? (int64_t)wanted_ms : INT32_MAX;
    if (http_server_stream_count(s) > 0) {
        int64_t heartbeat_ms = s->next_heartbeat_ms - now_ms;
        if (heartbeat_ms < 0)
            heartbeat_ms = 0;
        if (timeout_ms < 0 || heartbeat_ms < timeout_ms)
            timeout_ms = heartbeat_ms;
    }
    return (int)timeout_ms;
}

void http_server_run(struct http_server *s, int64_t now_ms)
{
    /* A reader who vanished while his stream was suspended is noticed only by writing to him. */
    if (now_ms >= s->next_heartbeat_ms) {
        s->next_heartbeat_ms = now_ms + HTTP_HEARTBEAT_MS;
        http_server_broadcast(s, ": still here\n\n");
        log_rest(s);
    }
    s->wanted = false;
    MHD_run(s->daemon);
}
