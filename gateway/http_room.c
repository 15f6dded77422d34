#include "gateway/http_room.h"

#include <assert.h>

static enum http_standing standing_of(const struct http_peer *peer)
{
    return peer->local ? HTTP_LOCAL : peer->known_turn > 0 ? HTTP_KNOWN : HTTP_STRANGER;
}

static bool takes_room(const struct http_line *line)
{
    return line->peer && !line->streams && !line->leaves;
}

/* This address's place; of those without a connection, who was known the longest ago makes way. */
static struct http_peer *find_peer(struct http_room *room, uint64_t address, bool local)
{
    struct http_peer *oldest = NULL;
    for (size_t i = 0; i < HTTP_PEER_COUNT_MAX; i++) {
        struct http_peer *p = &room->peers[i];
        if (p->address == address && p->local == local && (p->line_count > 0 || p->known_turn > 0))
            return p;
        if (p->line_count == 0 && (!oldest || p->known_turn < oldest->known_turn))
            oldest = p;
    }
    *oldest = (struct http_peer){ .address = address, .local = local };
    return oldest;
}

struct http_line *http_room_enter(struct http_room *room, uint64_t address, bool local, int fd)
{
    struct http_line *line = room->lines;
    while (line->peer) {
        line++;
        assert(line < room->lines + HTTP_LINE_COUNT_MAX);
    }
    *line = (struct http_line){ .peer = find_peer(room, address, local), .fd = fd,
                                .turn = ++room->turn };
    line->peer->line_count++;
    line->peer->room_count++;
    return line;
}

void http_room_leave(struct http_line *line)
{
    line->peer->room_count -= takes_room(line);
    line->peer->line_count--;
    line->peer = NULL;
}

void http_room_request(struct http_room *room, struct http_line *line)
{
    line->turn = ++room->turn;
}

void http_room_know(struct http_room *room, struct http_line *line)
{
    line->peer->known_turn = ++room->turn;
}

void http_room_stream(struct http_line *line, bool streams)
{
    line->peer->room_count -= takes_room(line);
    line->streams = streams;
    line->peer->room_count += takes_room(line);
}

/* Those who are first to make room and have more than their share. */
static enum http_standing who_makes_room(const struct http_room *room, size_t *count_out)
{
    size_t counts[HTTP_STANDING_COUNT] = { 0 };
    *count_out = 0;
    for (size_t i = 0; i < HTTP_LINE_COUNT_MAX; i++) {
        if (!takes_room(&room->lines[i]))
            continue;
        counts[standing_of(room->lines[i].peer)]++;
        ++*count_out;
    }
    enum http_standing standing = HTTP_STRANGER;
    while (standing < HTTP_LOCAL && counts[standing] <= HTTP_SHARE_COUNT)
        standing++;
    return standing;
}

struct http_line *http_room_crowded_out(struct http_room *room)
{
    struct http_line *out = NULL;
    size_t count;
    enum http_standing standing = who_makes_room(room, &count);
    if (count <= HTTP_ROOM_COUNT)
        return NULL;
    for (size_t i = 0; i < HTTP_LINE_COUNT_MAX; i++) {
        struct http_line *line = &room->lines[i];
        if (!takes_room(line) || standing_of(line->peer) != standing)
            continue;
        if (!out || line->peer->room_count > out->peer->room_count ||
            (line->peer->room_count == out->peer->room_count && line->turn < out->turn))
            out = line;
    }
    if (out) {
        out->peer->room_count--;
        out->leaves = true;
    }
    return out;
}
