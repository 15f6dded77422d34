/* Rosters: sorted, one number to a key, and the same whatever order the root's log came in.
 * Input: length byte and record, again and again; only their form is checked. */
#include "proto/roster.h"
#include "tests/fuzz/fuzz.h"

enum { ROSTER_VIEW_COUNT_MAX = 24 };

static size_t take_views(const uint8_t *data, size_t len, struct record_view *views)
{
    size_t count = 0;
    while (len > 0 && count < ROSTER_VIEW_COUNT_MAX) {
        size_t record_len = data[0];
        if (record_len > len - 1)
            record_len = len - 1;
        struct record_view v;
        bool good = record_decode(data + 1, record_len, &v) == RECORD_OK &&
                    v.ref.author == AUTHOR_ROOT;
        /* One number, one record: of a fork the one heard first holds, and that is no order. */
        for (size_t i = 0; good && i < count; i++)
            good = views[i].ref.seq != v.ref.seq;
        if (good)
            views[count++] = v;
        data += 1 + record_len;
        len -= 1 + record_len;
    }
    return count;
}

static void fuzz_roster(const uint8_t *data, size_t len)
{
    static const uint8_t root_key[KENG_KEY_LEN] = { 1 };
    struct record_view views[ROSTER_VIEW_COUNT_MAX];
    struct roster forward, backward;
    size_t count = take_views(data, len, views);
    roster_init(&forward, root_key);
    roster_init(&backward, root_key);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(roster_apply(&forward, &views[i]) != ROSTER_ENOMEM);
        FUZZ_CHECK(roster_apply(&backward, &views[count - 1 - i]) != ROSTER_ENOMEM);
    }
    FUZZ_CHECK(forward.author_count == backward.author_count);
    FUZZ_CHECK(forward.profile_seq == backward.profile_seq);
    for (size_t i = 0; i < forward.author_count; i++) {
        const struct roster_author *a = &forward.authors[i], *b = &backward.authors[i];
        FUZZ_CHECK(i == 0 || forward.authors[i - 1].entry.number < a->entry.number);
        FUZZ_CHECK(roster_find(&forward, a->entry.number) == a);
        FUZZ_CHECK(a->entry_seq == b->entry_seq && a->entry.number == b->entry.number);
        FUZZ_CHECK(memcmp(a->entry.key, b->entry.key, KENG_KEY_LEN) == 0);
        for (size_t k = 0; k < i; k++)
            FUZZ_CHECK(memcmp(a->entry.key, forward.authors[k].entry.key, KENG_KEY_LEN) != 0);
    }
    roster_free(&forward);
    roster_free(&backward);
}

FUZZ_TARGET(fuzz_roster)
