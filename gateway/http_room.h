/* http_room.h - who has room among a server's connections, and who makes room for a newcomer.
 *
 * A newcomer always gets in.  When there are more connections than HTTP_ROOM_COUNT, one makes room:
 * of an address with the most of them, the one from which the longest time no whole request came.
 * So somebody who opens many and says nothing displaces himself.  Strangers make room first, then
 * addresses that proved who they are, then this machine; but each of the three keeps its share.
 * Event streams are counted by their own limit and never make room.
 *
 * Time      A few microseconds: one look at each connection.
 * Memory    Fixed, the caller's.
 * Errors    None.
 */
#ifndef KENG_GATEWAY_HTTP_ROOM_H
#define KENG_GATEWAY_HTTP_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_SHARE_COUNT = 128,
    HTTP_ROOM_COUNT = 3 * HTTP_SHARE_COUNT,
    HTTP_STREAM_COUNT_MAX = 256,
    HTTP_LEAVING_COUNT_MAX = 64, /* told to go, and not yet gone */
    HTTP_LINE_COUNT_MAX = HTTP_ROOM_COUNT + HTTP_STREAM_COUNT_MAX + HTTP_LEAVING_COUNT_MAX,
    HTTP_KNOWN_COUNT = 256, /* addresses remembered while they have no connection */
    HTTP_PEER_COUNT_MAX = HTTP_LINE_COUNT_MAX + HTTP_KNOWN_COUNT,
};

/* Who makes room first. */
enum http_standing { HTTP_STRANGER, HTTP_KNOWN, HTTP_LOCAL, HTTP_STANDING_COUNT };

struct http_peer {
    uint64_t address;
    uint64_t known_turn; /* 0: never proved who he is */
    unsigned line_count; /* all that refer to this */
    unsigned room_count; /* of these, who take up room */
    bool local;
};

/* One connection. */
struct http_line {
    struct http_peer *peer; /* NULL: free */
    uint64_t turn;          /* of its last whole request; at first of its beginning */
    int fd;
    bool streams, leaves;
};

struct http_room {
    struct http_line lines[HTTP_LINE_COUNT_MAX];
    struct http_peer peers[HTTP_PEER_COUNT_MAX];
    uint64_t turn; /* counts; no clock is needed to say what is older */
};

/* At most HTTP_LINE_COUNT_MAX at a time. */
struct http_line *http_room_enter(struct http_room *room, uint64_t address, bool local, int fd);
void http_room_leave(struct http_line *line);
/* A whole request came. */
void http_room_request(struct http_room *room, struct http_line *line);
/* Who asks there has proved who he is; it holds for his address. */
void http_room_know(struct http_room *room, struct http_line *line);
/* An event stream begins or ends there. */
void http_room_stream(struct http_line *line, bool streams);
/* Who is to go now; NULL: there is room.  Takes up none from now on. */
struct http_line *http_room_crowded_out(struct http_room *room);

#endif
