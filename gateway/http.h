/* http.h - the only module that knows the HTTP server (libmicrohttpd, RFC 9110) and its traps.
 *
 * Turns connections into requests and answers, keeps the limits (connections, time, body), puts the
 * security headers on every answer, and holds the event streams.  No thread: the caller polls
 * http_server_fd() and calls http_server_run().
 *
 * Time      The handler runs inside http_server_run() and should take milliseconds.
 * Memory    A request is valid during the handler's call; the answer's text is freed here.
 * Errors    http_server_start: 0 or -1 with one line in err.
 */
#ifndef KENG_GATEWAY_HTTP_H
#define KENG_GATEWAY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/http_room.h"
#include "gateway/strbuf.h"

enum {
    HTTP_ERR_LEN = 256,
    HTTP_TIMEOUT_S = 10,
    HTTP_CONNECTION_MEMORY_LEN = 32 * 1024,
    HTTP_FORM_LEN_MAX = 48 * 1024, /* a quick report: four texts, three bytes for one */
    HTTP_FIELD_COUNT_MAX = 40, /* a report has up to 24 figures */
    HTTP_NAME_LEN_MAX = 64,
    HTTP_HEARTBEAT_MS = 15000,
    HTTP_STREAM_BUFFER_LEN = 4096,
};

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_OTHER };

struct http_field {
    char *name, *value;
};

struct http_request {
    enum http_method method;
    const char *path;
    const char *host;       /* "" when absent, as all of these; or when there are two */
    const char *origin;
    const char *fetch_site;
    const char *cookie;
    const char *last_event_id;
    uint64_t address; /* a keyed hash of the peer's address: for counting tries */
    bool local;       /* the peer is this machine, by its usual address */
    bool secure;
    size_t query_count, form_count;
    struct http_field query[HTTP_FIELD_COUNT_MAX];
    struct http_field form[HTTP_FIELD_COUNT_MAX]; /* of a url-encoded POST body */
    const uint8_t *body; /* of a PUT */
    size_t body_len;
};

/* The first field so named, or NULL. */
const char *http_query(const struct http_request *request, const char *name);
const char *http_form(const struct http_request *request, const char *name);

struct http_answer {
    unsigned status;
    const char *content_type; /* static */
    struct strbuf body;
    const void *static_body; /* instead of body; lives as long as the program */
    size_t static_len;
    FILE *file; /* instead of body: all that was written to it; the server closes it */
    char location[512];   /* for 303 */
    char set_cookie[256];
    char signature[160];  /* of a receiver: who signs this, and where its records go on */
    char next[64];
    char file_name[64];   /* "": a page; else saved under this name, ASCII without quotes */
    bool stream;          /* an event stream begins here; body is its first event */
    bool known;           /* who asked has proved who he is */
};

struct http_handler {
    void *ctx;
    void (*handle)(void *ctx, const struct http_request *request, struct http_answer *answer);
    /* The longest body a PUT to this path may have; 0: no PUT there. */
    size_t (*put_len_max)(void *ctx, const char *path);
};

struct http_config {
    const char *listen;   /* 127.0.0.1:8080, [::1]:8080; port 0: any free one */
    const char *cert_pem, *key_pem; /* both or none */
};

struct http_server;

int http_server_start(const struct http_config *config, const struct http_handler *handler,
                      struct http_server **server_out, char err[static HTTP_ERR_LEN]);
/* Ends the streams, then the server.  NULL is allowed. */
void http_server_stop(struct http_server *s);
int http_server_fd(const struct http_server *s);
uint16_t http_server_port(const struct http_server *s);
/* Milliseconds until http_server_run() is wanted even without traffic; -1: never. */
int http_server_timeout_ms(const struct http_server *s, int64_t now_ms);
void http_server_run(struct http_server *s, int64_t now_ms);
/* Sends an event to every stream.  A stream that cannot take it is ended: it comes back by itself
 * and asks for what it missed. */
void http_server_broadcast(struct http_server *s, const char *event);
unsigned http_server_stream_count(const struct http_server *s);

/* "127.0.0.1:8080" and the like; loopback_out: only this machine can reach it. */
struct sockaddr_storage;
int http_parse_listen(const char *listen, struct sockaddr_storage *address_out,
                      bool *loopback_out, char err[static HTTP_ERR_LEN]);
/* application/x-www-form-urlencoded, decoded in place.  Returns the count, -1 if malformed. */
int http_parse_form(char *text, struct http_field *fields_out, size_t cap);
/* Is this Host header an address, localhost or one of the names?  Only names can be turned to
 * another address behind a browser's back. */
bool http_host_allowed(const char *host, const char *const *names, size_t name_count);

#endif
