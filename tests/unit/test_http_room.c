/* Who makes room among a server's connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/http_room.h"

enum { FIRST_ADDRESS = 1000 };

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct http_room));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* A newcomer, and whoever has to go for him, at once; fd is made to tell them apart. */
static struct http_line *enter(struct http_room *room, uint64_t address, bool local, int fd,
                               int *gone_out)
{
    struct http_line *line = http_room_enter(room, address, local, fd);
    struct http_line *out = http_room_crowded_out(room);
    *gone_out = out ? out->fd : -1;
    if (out)
        http_room_leave(out);
    return line;
}

static size_t fill(struct http_room *room, unsigned address_count, unsigned line_count)
{
    size_t gone_count = 0;
    for (unsigned i = 0; i < line_count; i++) {
        int gone;
        (void)enter(room, FIRST_ADDRESS + i % address_count, false, (int)i, &gone);
        gone_count += gone >= 0;
    }
    return gone_count;
}

static void test_http_room_is_for_everybody_while_there_is_some(void **state)
{
    struct http_room *room = *state;
    assert_int_equal(fill(room, 1, HTTP_ROOM_COUNT), 0);
    assert_int_equal(fill(room, 1, 1), 1);
}

/* However many addresses crowd in, whoever comes with one connection keeps it for a whole round. */
static void test_http_room_crowds_displace_themselves(void **state)
{
    static const unsigned ADDRESS_COUNTS[] = { 1, 3, 10, 50, HTTP_ROOM_COUNT, 10000 };
    for (size_t i = 0; i < sizeof ADDRESS_COUNTS / sizeof ADDRESS_COUNTS[0]; i++) {
        struct http_room *room = *state;
        int gone;
        *room = (struct http_room){ .turn = 0 };
        fill(room, ADDRESS_COUNTS[i], 2 * HTTP_ROOM_COUNT);
        struct http_line *person = enter(room, 1, false, 1000000, &gone);
        assert_int_not_equal(gone, -1);
        fill(room, ADDRESS_COUNTS[i], HTTP_ROOM_COUNT - 1);
        assert_non_null(person->peer);
        assert_int_equal(person->fd, 1000000);
    }
}

static void test_http_room_who_is_known_stays(void **state)
{
    struct http_room *room = *state;
    int gone;
    struct http_line *known = enter(room, 1, false, 1000000, &gone);
    http_room_know(room, known);
    struct http_line *local = enter(room, 2, true, 1000001, &gone);
    fill(room, 10000, 10000);
    assert_int_equal(known->fd, 1000000);
    assert_int_equal(local->fd, 1000001);
    /* What is known is the address, and it is remembered without a connection. */
    http_room_leave(known);
    fill(room, 10000, 10000);
    struct http_line *again = enter(room, 1, false, 1000002, &gone);
    fill(room, 10000, 10000);
    assert_non_null(again->peer);
    assert_int_equal(again->fd, 1000002);
}

/* Not even who is known, or this machine, takes what is kept for strangers. */
static void test_http_room_each_keeps_a_share(void **state)
{
    struct http_room *room = *state;
    int gone;
    for (int i = 0; i < 2 * HTTP_ROOM_COUNT; i++)
        (void)enter(room, 2, true, 1000000 + i, &gone);
    for (int i = 0; i < HTTP_SHARE_COUNT; i++) {
        (void)enter(room, (uint64_t)FIRST_ADDRESS + (uint64_t)i, false, i, &gone);
        assert_true(gone >= 1000000);
    }
    for (int i = 0; i < HTTP_SHARE_COUNT; i++)
        http_room_know(room, enter(room, 3, false, 2000000 + i, &gone));
    for (int i = 0; i < 2 * HTTP_ROOM_COUNT; i++) {
        (void)enter(room, 2, true, 1000000 + i, &gone);
        assert_in_range(gone, 1000000, 1999999);
    }
}

/* Of two with as many, the one whose last whole request is older; streams never. */
static void test_http_room_requests_and_streams_count_as_life(void **state)
{
    struct http_room *room = *state;
    int gone;
    struct http_line *asks = enter(room, FIRST_ADDRESS, false, 0, &gone);
    struct http_line *streams = enter(room, FIRST_ADDRESS + 1, false, 1, &gone);
    http_room_stream(streams, true);
    for (int i = 2; i <= HTTP_ROOM_COUNT; i++)
        (void)enter(room, (uint64_t)FIRST_ADDRESS + (uint64_t)i, false, i, &gone);
    http_room_request(room, asks);
    (void)enter(room, 1, false, 1000000, &gone);
    assert_int_equal(gone, 2);
    http_room_stream(streams, false); /* takes up room again, and is the oldest */
    (void)enter(room, 2, false, 1000001, &gone);
    assert_int_equal(gone, 1);
}

int main(void)
{
#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROOM_TEST(test_http_room_is_for_everybody_while_there_is_some),
        ROOM_TEST(test_http_room_crowds_displace_themselves),
        ROOM_TEST(test_http_room_who_is_known_stays),
        ROOM_TEST(test_http_room_each_keeps_a_share),
        ROOM_TEST(test_http_room_requests_and_streams_count_as_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
