/* Who hears whom: links from the counts in frames, and relays by what the lists of links say.
 *
 * One real node, whose neighbours are frames put into its ear; what it sends is watched.  Only what
 * is on air is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "tests/support/net.h"

#define SECOND_US 1000000ull
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US (60 * MINUTE_US)

enum {
    SELF = 1, /* number of the node under test; the others are only enrolled */
    NODE_COUNT = 12,
    SEED_COUNT = 20,
    LINK_COUNT_MAX = 6,
    BODY_LEN = 40,
    FRAME_COUNT_MAX = 4096,
    RELIED = 2,    /* a quality from which a frame is taken as heard */
    TRUST_MIN = 40, /* minutes for which a list that lacks us is believed */
    ABSENT_MIN = 31, /* minutes of silence after which nothing is sent for somebody */
};

static int32_t loss[NODE_COUNT * NODE_COUNT];

struct sent {
    uint64_t at_us;
    uint16_t len;
    uint8_t bytes[FRAME_LEN_MAX];
};

static struct {
    struct sent frames[FRAME_COUNT_MAX];
    size_t count;
} heard; /* all that the node under test sent */

static void on_sent(void *ctx, const struct net_node *n, uint64_t start_us, uint64_t end_us)
{
    (void)ctx;
    (void)end_us;
    if (n->number != SELF)
        return;
    assert_in_range(heard.count, 0, FRAME_COUNT_MAX - 1);
    struct sent *s = &heard.frames[heard.count++];
    s->at_us = start_us;
    s->len = n->tx.len;
    memcpy(s->bytes, n->tx.bytes, s->len);
}

static struct net *alone(uint64_t seed)
{
    struct net_config c = net_config_default(NODE_COUNT, seed);
    for (size_t i = 0; i < sizeof loss / sizeof loss[0]; i++)
        loss[i] = AIR_NO_LINK;
    c.loss_db_x100 = loss;
    c.watch.sent = on_sent;
    heard.count = 0;
    struct net *net = net_new(&c);
    for (uint32_t i = 1; i < NODE_COUNT; i++)
        net_stop(net, i);
    return net;
}

static void run_for(struct net *net, uint64_t us)
{
    if (!net_run(net, net->now_us + us))
        fail_msg("%s", net->breach);
}

/* ---- what neighbours say ---------------------------------------------------------- */

struct says {
    uint16_t sender, about; /* about: hearsay, of whom; 0: its own statements */
    uint8_t count;
    bool lists; /* with a list of links, of those before the first quality above the highest */
    struct frame_link links[LINK_COUNT_MAX];
    const uint8_t *record;
    size_t record_len;
    const struct frame_entry *entry; /* a brief summary of one log */
};
#define END { 0, FRAME_QUALITY_MAX + 1 }

/* The digest of a node that holds nothing: PROTOCOL.md, 5.2. */
static uint32_t empty_digest(uint16_t sender)
{
    uint64_t x = sender;
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return (uint32_t)((x ^ x >> 31) & 0xffffffu);
}

static void say(struct net *net, const struct says *s)
{
    uint8_t frame[FRAME_LEN_MAX];
    struct frame_builder b;
    size_t count = 0;
    frame_begin(&b, frame, sizeof frame, s->sender, empty_digest(s->sender), s->count);
    while (count < LINK_COUNT_MAX && s->links[count].quality <= FRAME_QUALITY_MAX)
        count++;
    if (s->about)
        assert_true(frame_begin_hearsay(&b, s->about, empty_digest(s->about), s->links, count));
    else if (s->lists)
        assert_true(frame_add_links(&b, s->links, count, sizeof frame));
    if (s->entry && !s->about)
        frame_begin_summary(&b, false, 0, 0);
    if (s->entry)
        assert_true(frame_add_entry(&b, s->entry));
    if (s->record)
        assert_true(frame_add_record(&b, s->record, s->record_len));
    size_t len = frame_finish(&b);
    net_tag(net, 0, frame, len);
    assert_int_equal(net_inject(net, SELF - 1, frame, len), MESH_RX_FRAME);
}

static size_t sign_report(struct net *net, uint16_t author, uint32_t seq,
                          uint8_t record[RECORD_LEN_MAX])
{
    static const uint8_t body[BODY_LEN] = "a roof has gone";
    struct record_draft d = { .ref = { .author = author, .seq = seq }, .kind = RECORD_DAMAGE,
                              .priority = PRIORITY_DAMAGE, .body = body, .body_len = sizeof body };
    return net_sign(net, &d, record);
}

/* ---- what the node says ----------------------------------------------------------- */

/* When it first sent a record of this author at or after from_us; 0: never. */
static uint64_t relayed_us(uint16_t author, uint64_t from_us)
{
    for (size_t i = 0; i < heard.count; i++) {
        struct frame_view v;
        struct record_view r;
        const uint8_t *record;
        size_t len;
        assert_int_equal(frame_decode(heard.frames[i].bytes, heard.frames[i].len, &v), FRAME_OK);
        while (frame_next_record(&v, &record, &len)) {
            assert_int_equal(record_decode(record, len, &r), RECORD_OK);
            if (r.ref.author == author && heard.frames[i].at_us >= from_us)
                return heard.frames[i].at_us;
        }
    }
    return 0;
}

/* Its latest list: the quality of a node, -1 if not listed; fails if it never made a list. */
static int listed_quality(uint16_t node)
{
    for (size_t i = heard.count; i-- > 0;) {
        struct frame_view v;
        struct frame_link link;
        assert_int_equal(frame_decode(heard.frames[i].bytes, heard.frames[i].len, &v), FRAME_OK);
        if (!(v.flags & FRAME_FLAG_LINKS) || v.about != SELF)
            continue;
        while (frame_next_link(&v, &link))
            if (link.node == node)
                return link.quality;
        return -1;
    }
    fail_msg("it never said whom it hears");
    return -1;
}

/* ---- how well a neighbour is heard ---------------------------------------------------- */

struct counts { /* part of a neighbour's life: `frames` heard, each `step` past the one before */
    uint16_t frames;
    uint8_t step;
};

static int quality_after(const struct counts *pieces, size_t piece_count)
{
    struct net *net = alone(1);
    struct says s = { .sender = 2, .count = 250 };
    for (size_t i = 0; i < piece_count; i++)
        for (uint16_t k = 0; k < pieces[i].frames; k++) {
            s.count = (uint8_t)(s.count + pieces[i].step);
            say(net, &s);
            run_for(net, SECOND_US / 10);
        }
    /* Lists are renewed beside records, so one more of ours brings the latest. */
    run_for(net, 20 * MINUTE_US);
    heard.count = 0;
    net_order(net, SELF - 1, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
    run_for(net, 5 * MINUTE_US);
    int quality = listed_quality(2);
    net_free(net);
    return quality;
}

static void test_mesh_links_tell_how_much_of_a_neighbour_is_heard(void **state)
{
    enum { NOT_LISTED = -1 };
    static const struct {
        const char *name;
        struct counts pieces[3];
        int want;
    } rows[] = {
        { "one frame says little", { { 1, 1 } }, 2 },
        { "every frame, over the end of the count", { { 40, 1 } }, 3 },
        { "every second frame", { { 40, 2 } }, 1 },
        { "every fourth frame", { { 40, 4 } }, 0 },
        { "every eighth frame", { { 40, 8 } }, NOT_LISTED },
        { "well, then hardly", { { 40, 1 }, { 12, 8 } }, NOT_LISTED },
        { "hardly, then well", { { 40, 8 }, { 30, 1 } }, 3 },
        { "a restart is no loss", { { 40, 1 }, { 1, 133 }, { 3, 1 } }, 3 },
        { "nor a long absence", { { 40, 1 }, { 1, 60 }, { 1, 1 } }, 3 },
        { "the same frame again is no frame", { { 40, 8 }, { 20, 0 } }, NOT_LISTED },
        { "nor does it speak against a link", { { 40, 1 }, { 20, 0 } }, 3 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int got = quality_after(rows[i].pieces, 3);
        if (got != rows[i].want)
            fail_msg("%s: quality %d instead of %d", rows[i].name, got, rows[i].want);
    }
}

/* One frame in passing is a link for half an hour, two are one for as long as it may be silent. */
static void test_mesh_links_by_chance_are_soon_forgotten(void **state)
{
    (void)state;
    for (uint8_t frames = 1; frames <= 2; frames++)
        for (uint64_t minutes = 20; minutes <= 60; minutes += 40) {
            struct net *net = alone(1);
            for (uint8_t i = 1; i <= frames; i++)
                say(net, &(struct says){ .sender = 2, .count = i, .links = { END } });
            run_for(net, minutes * MINUTE_US);
            net_order(net, SELF - 1, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
            run_for(net, 5 * MINUTE_US);
            assert_true((listed_quality(2) >= 0) == (frames == 2 || minutes == 20));
            net_free(net);
        }
}

/* ---- who is helped -------------------------------------------------------------------- */

/* 2 holds nothing; 3 brings a record.  Is 2 helped within so many minutes? */
static bool helped_within(struct net *net, uint64_t minutes)
{
    uint64_t from_us = net->now_us, until_us = from_us + minutes * MINUTE_US;
    while (net->now_us < until_us && !relayed_us(3, from_us))
        run_for(net, 10 * SECOND_US);
    return relayed_us(3, from_us) > 0;
}

static void bring(struct net *net, uint8_t seq)
{
    uint8_t record[RECORD_LEN_MAX];
    say(net, &(struct says){ .sender = 3, .count = seq, .record = record,
                             .record_len = sign_report(net, 3, seq, record) });
}

static struct net *one_lacks(uint64_t seed, const struct says *statement)
{
    struct net *net = alone(seed);
    run_for(net, MINUTE_US);
    say(net, statement);
    run_for(net, MINUTE_US);
    bring(net, 1);
    return net;
}

static void test_mesh_links_lacking_us_mean_no_help_until_listed(void **state)
{
    static const struct {
        const char *name;
        struct says first, then; /* then: ten minutes later, if it has a sender */
        bool soon, later;        /* helped within ten minutes; within half an hour after that */
    } rows[] = {
        { "lists us", { .sender = 2, .count = 1, .lists = true, .links = { { SELF, 3 }, END } },
          { 0 }, true, true },
        { "lists us as heard now and then",
          { .sender = 2, .count = 1, .lists = true, .links = { { SELF, 0 }, END } },
          { 0 }, true, true },
        { "never said whom it hears", { .sender = 2, .count = 1, .links = { END } },
          { 0 }, true, true },
        { "lists others only",
          { .sender = 2, .count = 1, .lists = true, .links = { { 7, 3 }, END } },
          { 0 }, false, false },
        { "hears nobody", { .sender = 2, .count = 1, .lists = true, .links = { END } },
          { 0 }, false, false },
        { "lists us after all",
          { .sender = 2, .count = 1, .lists = true, .links = { { 7, 3 }, END } },
          { .sender = 2, .count = 2, .lists = true, .links = { { SELF, 1 }, { 7, 3 }, END } },
          false, true },
        { "speaks again, without a list",
          { .sender = 2, .count = 1, .lists = true, .links = { { 7, 3 }, END } },
          { .sender = 2, .count = 2, .links = { END } }, false, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
            struct net *net = one_lacks(seed, &rows[i].first);
            bool soon = helped_within(net, 10);
            if (rows[i].then.sender != 0)
                say(net, &rows[i].then);
            bool later = soon || helped_within(net, TRUST_MIN - 12);
            if (soon != rows[i].soon || later != rows[i].later)
                fail_msg("seed %llu: %s: %s", (unsigned long long)seed, rows[i].name,
                         soon ? "helped at once" : later ? "helped later" : "not helped");
            net_free(net);
        }
}

/* Its newer list may have been lost: nobody is given up for good. */
static void test_mesh_links_lacking_us_are_not_believed_for_ever(void **state)
{
    static const struct says deaf = { .sender = 2, .count = 1, .lists = true,
                                      .links = { { 7, 3 }, END } };
    static const struct says around = { .sender = 2, .count = 2, .links = { END } };
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net *net = one_lacks(seed, &deaf);
        assert_false(helped_within(net, TRUST_MIN / 2));
        say(net, &around);
        assert_false(helped_within(net, TRUST_MIN / 2 - 3));
        assert_true(helped_within(net, 30));
        net_free(net);
    }
}

/* A forger's senders cost nothing: only who states something is helped. */
static void test_mesh_links_a_mere_name_is_not_helped(void **state)
{
    static const struct says name = { .sender = 2, .count = 1, .links = { END } };
    static const struct says listing = { .sender = 2, .count = 2, .lists = true,
                                         .links = { { SELF, 3 }, END } };
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net *net = alone(seed);
        bring(net, 1);
        run_for(net, MINUTE_US);
        say(net, &name); /* with the digest of an empty store */
        bring(net, 2);
        assert_false(helped_within(net, 20));
        say(net, &listing);
        assert_true(helped_within(net, 15));
        net_free(net);
    }
}

/* Whom eight records sent did not reach is believed to be deaf to us, until he lists us. */
static void test_mesh_links_who_lacks_what_was_sent_is_deaf(void **state)
{
    static const struct says deaf = { .sender = 2, .count = 1, .lists = true,
                                      .links = { { 7, 3 }, END } };
    static const struct frame_entry nothing = { .log = 3 * LANE_COUNT };
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net *net = alone(seed);
        uint8_t count = 2;
        say(net, &deaf);
        run_for(net, TRUST_MIN * MINUTE_US);
        for (uint8_t seq = 1; seq <= 8; seq++) {
            bring(net, seq);
            say(net, &(struct says){ .sender = 2, .count = count++, .links = { END } });
            assert_true(helped_within(net, 20));
        }
        run_for(net, 5 * MINUTE_US);
        say(net, &(struct says){ .sender = 2, .count = count++, .links = { END },
                                 .entry = &nothing });
        assert_false(helped_within(net, 20));
        say(net, &(struct says){ .sender = 2, .count = count++, .lists = true,
                                 .links = { { SELF, 3 }, END } });
        assert_true(helped_within(net, 20));
        net_free(net);
    }
}

/* Who is behind the hill is not helped in vain, but as soon as he is heard again. */
static void test_mesh_links_the_absent_are_helped_when_they_are_back(void **state)
{
    static const struct says listing = { .sender = 2, .count = 1, .lists = true,
                                         .links = { { SELF, 3 }, END } };
    static const struct says back = { .sender = 2, .count = 2, .links = { END } };
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net *net = alone(seed);
        run_for(net, MINUTE_US);
        say(net, &listing);
        for (uint8_t i = 1; i <= 3; i++) {
            bring(net, i);
            /* An hour without news says nothing about anybody, half an hour after some does. */
            assert_true(helped_within(net, 60) == (i < 3));
            run_for(net, i == 1 ? 0 : ABSENT_MIN * MINUTE_US);
        }
        say(net, &back);
        assert_true(helped_within(net, 15));
        net_free(net);
    }
}

/* ---- hearsay -------------------------------------------------------------------------------- */

/* Who hears others and is heard by none of them names himself among his links. */
static void test_mesh_links_of_the_unanswered_name_himself(void **state)
{
    static const struct {
        const char *name;
        struct says others[2]; /* twice each: once might be chance */
        bool named;
    } rows[] = {
        { "hears nobody", { { 0 }, { 0 } }, false },
        { "one who hears him", { { .sender = 2, .lists = true, .links = { { SELF, 0 }, END } } },
          false },
        { "one who does not", { { .sender = 2, .lists = true, .links = { { 7, 3 }, END } } },
          true },
        { "one who hears nobody", { { .sender = 2, .lists = true, .links = { END } } }, true },
        { "one of two", { { .sender = 2, .lists = true, .links = { { 7, 3 }, END } },
                          { .sender = 3, .lists = true, .links = { { SELF, 3 }, END } } }, false },
        { "one who has not said", { { .sender = 2, .links = { END } } }, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct net *net = alone(1);
        for (uint8_t k = 0; k < 4; k++) {
            struct says s = rows[i].others[k % 2];
            s.count = k / 2;
            if (s.sender != 0)
                say(net, &s);
        }
        run_for(net, 20 * MINUTE_US);
        heard.count = 0;
        net_order(net, SELF - 1, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
        run_for(net, 5 * MINUTE_US);
        if ((listed_quality(SELF) >= 0) != rows[i].named)
            fail_msg("%s", rows[i].name);
        net_free(net);
    }
}

/* He counts on whomever he hears at all: every eighth frame is not enough for others. */
static void test_mesh_links_of_the_unanswered_are_all_whom_he_hears(void **state)
{
    (void)state;
    for (int answered = 0; answered <= 1; answered++) {
        struct net *net = alone(1);
        struct says weak = { .sender = 2, .lists = true, .links = { { 7, 3 }, END } };
        struct says well = { .sender = 3, .lists = true, .links = { { SELF, 3 }, END } };
        for (uint8_t i = 1; i <= 40; i++, well.count++) {
            weak.count = (uint8_t)(weak.count + 8);
            say(net, &weak);
            if (answered)
                say(net, &well);
            run_for(net, SECOND_US / 10);
        }
        run_for(net, 20 * MINUTE_US);
        assert_int_equal(listed_quality(2), answered ? -1 : 0);
        net_free(net);
    }
}

/* Frames of hearsay about 2 that tell 5 of him and of the one record that he lacks. */
static size_t hearsay_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < heard.count; i++) {
        struct frame_view v;
        struct frame_link link;
        struct frame_entry e;
        assert_int_equal(frame_decode(heard.frames[i].bytes, heard.frames[i].len, &v), FRAME_OK);
        if (v.about == SELF)
            continue;
        assert_int_equal(v.about, 2);
        assert_int_equal(v.about_digest, empty_digest(2));
        assert_true(frame_next_link(&v, &link) && link.node == 5 && link.quality == 3);
        assert_false(frame_next_link(&v, &link));
        assert_true(frame_next_entry(&v, &e) && e.log == 3 * LANE_COUNT && e.held == 0);
        assert_int_equal(e.run_count, 0);
        assert_false(frame_next_entry(&v, &e));
        count++;
    }
    return count;
}

static void test_mesh_links_what_the_unanswered_lack_is_told_to_whom_they_hear(void **state)
{
    static const struct frame_entry nothing = { .log = 3 * LANE_COUNT },
                                    all = { .log = 3 * LANE_COUNT, .held = 1 };
    static const struct says five = { .sender = 5, .count = 1, .lists = true,
                                      .links = { { SELF, 3 }, { 7, 3 }, END } },
                             hears_him = { .sender = 5, .count = 1, .lists = true,
                                           .links = { { SELF, 3 }, { 2, 0 }, END } },
                             deaf_to_us = { .sender = 5, .count = 1, .lists = true,
                                            .links = { { 7, 3 }, END } };
    static const struct {
        const char *name;
        struct says who;       /* who lacks */
        const struct says *by; /* whom he hears */
        bool other;            /* somebody else told it a moment later */
        size_t want;
    } rows[] = {
        { "heard by none of them", { .links = { { 2, 0 }, { 5, 3 }, END }, .entry = &nothing },
          &five, false, 1 },
        { "answered", { .links = { { 5, 3 }, END }, .entry = &nothing }, &five, false, 0 },
        { "hears us", { .links = { { SELF, 0 }, { 2, 0 }, { 5, 3 }, END }, .entry = &nothing },
          &five, false, 0 },
        { "lacks nothing", { .links = { { 2, 0 }, { 5, 3 }, END }, .entry = &all }, &five, false,
          0 },
        { "heard by whom he hears", { .links = { { 2, 0 }, { 5, 3 }, END }, .entry = &nothing },
          &hears_him, false, 0 },
        { "who does not hear us", { .links = { { 2, 0 }, { 5, 3 }, END }, .entry = &nothing },
          &deaf_to_us, false, 0 },
        { "told by another", { .links = { { 2, 0 }, { 5, 3 }, END }, .entry = &nothing },
          &five, true, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
            struct net *net = alone(seed);
            struct says who = rows[i].who;
            bring(net, 1);
            run_for(net, MINUTE_US);
            say(net, rows[i].by);
            who.sender = 2;
            who.lists = true;
            for (who.count = 1; who.count <= 2; who.count++) /* asking again is not told again */
                say(net, &who);
            if (rows[i].other)
                say(net, &(struct says){ .sender = 8, .about = 2, .links = { { 5, 3 }, END },
                                         .entry = &nothing });
            run_for(net, 4 * MINUTE_US);
            if (hearsay_count() != rows[i].want)
                fail_msg("seed %llu: %s: told %zu times", (unsigned long long)seed, rows[i].name,
                         hearsay_count());
            net_free(net);
        }
}

/* Whom we never heard is helped, as hearsay says that he hears us, and is no link of ours. */
static void test_mesh_links_hearsay_is_a_reason_to_help(void **state)
{
    static const struct frame_entry nothing = { .log = 3 * LANE_COUNT },
                                    all = { .log = 3 * LANE_COUNT, .held = 1 };
    static const struct {
        const char *name;
        struct says hearsay;
        bool helped;
    } rows[] = {
        { "hears us", { .sender = 4, .about = 2, .links = { { SELF, 1 }, END },
                        .entry = &nothing }, true },
        { "and lacks nothing", { .sender = 4, .about = 2, .links = { { SELF, 1 }, END },
                                 .entry = &all }, false },
        { "hears others", { .sender = 4, .about = 2, .links = { { 7, 3 }, END },
                            .entry = &nothing }, false },
        { "about us", { .sender = 4, .about = SELF, .links = { { SELF, 3 }, END },
                        .entry = &nothing }, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
            struct net *net = alone(seed);
            bring(net, 1);
            run_for(net, MINUTE_US);
            say(net, &rows[i].hearsay);
            if (helped_within(net, 20) != rows[i].helped)
                fail_msg("seed %llu: %s", (unsigned long long)seed, rows[i].name);
            run_for(net, 20 * MINUTE_US);
            net_order(net, SELF - 1, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
            run_for(net, 5 * MINUTE_US);
            assert_int_equal(listed_quality(2), -1);
            net_free(net);
        }
}

/* ---- whose turn it is ------------------------------------------------------------------- */

/* 5, 6, 7 and 8 lack what 4 brings; 3 has it from 4 as well.  covered: whom of them 3 reaches,
 * by their own lists. */
static uint64_t wait_us(uint64_t seed, const bool by_us[4], const bool by_3[4])
{
    uint8_t record[RECORD_LEN_MAX];
    struct net *net = alone(seed);
    run_for(net, MINUTE_US);
    say(net, &(struct says){ .sender = 4, .count = 1, .links = { END } });
    say(net, &(struct says){ .sender = 3, .count = 1, .lists = true,
                             .links = { { SELF, 3 }, { 4, 3 }, END } });
    for (uint16_t i = 0; i < 4; i++) {
        struct says s = { .sender = (uint16_t)(5 + i), .count = 1, .lists = true };
        size_t count = 0;
        if (by_us[i])
            s.links[count++] = (struct frame_link){ SELF, 3 };
        if (by_3[i])
            s.links[count++] = (struct frame_link){ 3, 3 };
        s.links[count].quality = FRAME_QUALITY_MAX + 1;
        say(net, &s);
    }
    run_for(net, 10 * MINUTE_US);
    uint64_t from_us = net->now_us;
    say(net, &(struct says){ .sender = 4, .count = 2, .record = record, .links = { END },
                             .record_len = sign_report(net, 4, 1, record) });
    run_for(net, 10 * MINUTE_US);
    uint64_t at_us = relayed_us(4, from_us);
    net_free(net);
    if (at_us == 0)
        fail_msg("seed %llu: not relayed", (unsigned long long)seed);
    return at_us - from_us;
}

static void test_mesh_links_who_covers_more_goes_first(void **state)
{
    static const bool all[4] = { true, true, true, true }, half[4] = { true, true };
    static const bool last[4] = { false, false, true, true };
    struct lora_params lora = net_lora(7);
    uint64_t unit_us = lora_airtime_us(&lora, FRAME_LEN_MAX), first_us = 0, second_us = UINT64_MAX;
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        uint64_t more_us = wait_us(seed, all, half), fewer_us = wait_us(seed, half, all);
        uint64_t others_us = wait_us(seed, half, last);
        first_us = more_us > first_us ? more_us : first_us;
        first_us = others_us > first_us ? others_us : first_us;
        second_us = fewer_us < second_us ? fewer_us : second_us;
    }
    /* Late enough for the first to be heard before the second would begin. */
    if (second_us < first_us + unit_us)
        fail_msg("who covers more waits up to %llu us, who covers less from %llu us on",
                 (unsigned long long)first_us, (unsigned long long)second_us);
}

/* ---- when it is said already --------------------------------------------------------------- */

static void test_mesh_links_end_a_relay_that_another_has_made(void **state)
{
    static const struct {
        const char *name;
        struct frame_link five[3], six[3];
        bool want; /* is the relay still made? */
    } rows[] = {
        { "both hear the other relay", { { SELF, 3 }, { 3, 3 }, END },
          { { SELF, 3 }, { 3, 3 }, END }, false },
        { "both, fairly well", { { SELF, 3 }, { 3, RELIED }, END },
          { { SELF, 3 }, { 3, RELIED }, END }, false },
        { "one does not hear it", { { SELF, 3 }, { 3, 3 }, END }, { { SELF, 3 }, END }, true },
        { "one hears it now and then", { { SELF, 3 }, { 3, 3 }, END },
          { { SELF, 3 }, { 3, 0 }, END }, true },
        { "neither hears it", { { SELF, 3 }, END }, { { SELF, 3 }, END }, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
            uint8_t record[RECORD_LEN_MAX];
            struct net *net = alone(seed);
            struct says five = { .sender = 5, .count = 1, .lists = true };
            struct says six = { .sender = 6, .count = 1, .lists = true };
            memcpy(five.links, rows[i].five, sizeof rows[i].five);
            memcpy(six.links, rows[i].six, sizeof rows[i].six);
            size_t len = sign_report(net, 4, 1, record);
            say(net, &(struct says){ .sender = 3, .count = 1, .links = { END } });
            say(net, &five);
            say(net, &six);
            run_for(net, 10 * MINUTE_US);
            uint64_t from_us = net->now_us;
            say(net, &(struct says){ .sender = 4, .count = 1, .record = record, .record_len = len,
                                     .links = { END } });
            say(net, &(struct says){ .sender = 3, .count = 2, .record = record, .record_len = len,
                                     .links = { END } });
            run_for(net, 30 * MINUTE_US);
            if ((relayed_us(4, from_us) > 0) != rows[i].want)
                fail_msg("seed %llu: %s: %s", (unsigned long long)seed, rows[i].name,
                         rows[i].want ? "nobody helped" : "said twice");
            /* Lists are a guess as well: whoever says that it lacks the record is helped. */
            struct frame_entry none = { .log = 4 * LANE_COUNT };
            from_us = net->now_us;
            say(net, &(struct says){ .sender = 5, .count = 2, .entry = &none, .links = { END } });
            run_for(net, 30 * MINUTE_US);
            if (relayed_us(4, from_us) == 0)
                fail_msg("seed %llu: %s: not helped on request", (unsigned long long)seed,
                         rows[i].name);
            net_free(net);
        }
}

/* ---- many nodes --------------------------------------------------------------------------- */

static void test_mesh_links_in_a_line_are_stated_as_they_are(void **state)
{
    enum { LINE_COUNT = 5 };
    static int32_t line_loss[LINE_COUNT * LINE_COUNT];
    (void)state;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct net_config c = net_config_default(LINE_COUNT, seed);
        net_line(LINE_COUNT, line_loss);
        c.loss_db_x100 = line_loss;
        c.watch.sent = on_sent;
        heard.count = 0;
        struct net *net = net_new(&c);
        for (uint32_t i = 0; i < 300; i++) {
            net_order(net, i % 8 ? 0 : i % LINE_COUNT, RECORD_DAMAGE, PRIORITY_DAMAGE, BODY_LEN);
            run_for(net, 20 * SECOND_US);
        }
        assert_true(listed_quality(2) >= RELIED);
        for (uint16_t node = 3; node <= LINE_COUNT; node++)
            assert_int_equal(listed_quality(node), -1);
        /* And its count runs on by one with every frame, past 255 too. */
        assert_in_range(heard.count, 257, FRAME_COUNT_MAX);
        for (size_t i = 1; i < heard.count; i++) {
            struct frame_view before, v;
            assert_int_equal(frame_decode(heard.frames[i - 1].bytes, heard.frames[i - 1].len,
                                          &before), FRAME_OK);
            assert_int_equal(frame_decode(heard.frames[i].bytes, heard.frames[i].len, &v),
                             FRAME_OK);
            assert_int_equal(v.count, (uint8_t)(before.count + 1));
        }
        net_free(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh_links_tell_how_much_of_a_neighbour_is_heard),
        cmocka_unit_test(test_mesh_links_by_chance_are_soon_forgotten),
        cmocka_unit_test(test_mesh_links_lacking_us_mean_no_help_until_listed),
        cmocka_unit_test(test_mesh_links_lacking_us_are_not_believed_for_ever),
        cmocka_unit_test(test_mesh_links_a_mere_name_is_not_helped),
        cmocka_unit_test(test_mesh_links_who_lacks_what_was_sent_is_deaf),
        cmocka_unit_test(test_mesh_links_the_absent_are_helped_when_they_are_back),
        cmocka_unit_test(test_mesh_links_of_the_unanswered_name_himself),
        cmocka_unit_test(test_mesh_links_of_the_unanswered_are_all_whom_he_hears),
        cmocka_unit_test(test_mesh_links_what_the_unanswered_lack_is_told_to_whom_they_hear),
        cmocka_unit_test(test_mesh_links_hearsay_is_a_reason_to_help),
        cmocka_unit_test(test_mesh_links_who_covers_more_goes_first),
        cmocka_unit_test(test_mesh_links_end_a_relay_that_another_has_made),
        cmocka_unit_test(test_mesh_links_in_a_line_are_stated_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
