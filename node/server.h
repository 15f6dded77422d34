/* server.h - the Unix socket's side of kengd: lines in, lines out, followers.
 *
 * Memory   Fixed number of clients; a client's output is bounded: who does not read what he asked
 *          for is paused, and dropped when an announcement finds no room.
 * Errors   -1 with one line in text at start; afterwards a bad client is closed, never the server.
 */
#ifndef KENG_NODE_SERVER_H
#define KENG_NODE_SERVER_H

#include <poll.h>

#include "node/api.h"
#include "node/client.h"

enum {
    SERVER_CLIENT_COUNT_MAX = 24,
    SERVER_LINE_LEN_MAX = 16 * 1024,
    SERVER_OUT_LEN_MAX = 2 * CLIENT_LINE_LEN_MAX,
    SERVER_TEXT_LEN = 256,
};

struct server_client {
    int fd; /* -1: free */
    uint64_t id;
    char *in, *out; /* in: SERVER_LINE_LEN_MAX + 1; out grows */
    size_t in_len, out_len, out_cap, out_at;
    bool waits;     /* a submit of his is on its way to the disk */
    bool follows, monitors;
    bool ended;     /* he has said all he will; closed when answered */
    int64_t after;
};

struct server {
    int fd;
    char path[108]; /* sun_path */
    struct api api;
    uint64_t next_id;
    struct server_client clients[SERVER_CLIENT_COUNT_MAX];
};

/* Listens on path, replacing a socket that nobody answers on. */
int server_open(struct server *s, const char *path, struct node *node, const struct radio *radios,
                char text[static SERVER_TEXT_LEN]);
void server_close(struct server *s);
/* Fills fds (SERVER_CLIENT_COUNT_MAX + 1 of them); returns the count. */
size_t server_poll_fds(const struct server *s, struct pollfd *fds);
/* Reads, handles, writes what can be. */
void server_step(struct server *s, uint64_t now_ms, const struct pollfd *fds, size_t count);
/* Is anybody watching the air?  Then server_frame() gives him a frame: takes the reference. */
bool server_monitored(const struct server *s);
void server_frame(struct server *s, json_t *frame);
/* Gives followers what is new and writes what is waiting; true if there is more to give. */
bool server_flush(struct server *s);

#endif
