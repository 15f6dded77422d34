/* client.h - a client of kengd's socket (node/SOCKET.md): one JSON object a line each way.
 *
 * Blocking calls with a deadline for tools; the descriptor and client_take_line() for programs with
 * a loop of their own.  Errors: 0 or -1 with one line in client->err that says what to do.
 */
#ifndef KENG_NODE_CLIENT_H
#define KENG_NODE_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_ERR_LEN = 256, CLIENT_LINE_LEN_MAX = 256 * 1024 /* kengd writes none longer */ };

struct client {
    int fd; /* -1: closed */
    char *buf;
    size_t len, cap;
    char err[CLIENT_ERR_LEN];
};

/* Connects.  On failure the client is closed and err says which path and why. */
int client_open(struct client *c, const char *socket_path);
void client_close(struct client *c);

/* Sends a request (stolen reference) and waits for its answer, at most timeout_ms.
 * *answer_out is a new reference; answers with ok:false are returned as -1 with err filled from
 * "error", and *answer_out set all the same so that "code" can be read (decref when not NULL). */
int client_call(struct client *c, json_t *request, int timeout_ms, json_t **answer_out);

/* Sends only. */
int client_send(struct client *c, json_t *request);
/* Reads what is there without blocking: 1 and a new reference, 0 no whole line yet, -1 closed or
 * garbled. */
int client_take_line(struct client *c, json_t **line_out);

#endif
