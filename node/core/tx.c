/* What to send, when, and in which frame.
 *
 * Three reasons make a node speak: an own record that nobody is known to hold, a neighbour believed
 * to lack something held here, and a summary that is due.  One frame serves all three. */
#include "node/core/core_internal.h"

/* Share of the window's budget, in percent, that a class may use up: the rest is for what is
 * more urgent, and the last of it for rescue alone. */
static const uint32_t BUDGET_PERCENT[PRIORITY_COUNT] = { 80, 90, 95, 100 };
/* Waiting, in units, while neighbours have not said whom they hear: chance instead of turns. */
static const uint32_t WAIT_UNITS[PRIORITY_COUNT] = { 10, 6, 3, 1 };
/* Waiting of a relay that would help few. */
static const uint32_t FEW_UNITS[PRIORITY_COUNT] = { 160, 120, 8, 1 };

enum {
    SUMMARY_PRIORITY = PRIORITY_DAMAGE, /* whose share of the budget summaries may use */
    SUMMARY_ROOM_LEN = 7,               /* entry count and range, at most */
    CONSIDER_COUNT_MAX = 64,            /* records that turns are drawn for at a time */
};

static bool slot_current(const struct mesh *m, uint32_t index, uint32_t seq)
{
    const struct slot *s = &m->slots[index];
    return (s->flags & (SLOT_USED | SLOT_PENDING)) == SLOT_USED && s->seq == seq;
}

/* ---- own records nobody is known to hold -------------------------------------- */

static void unconfirmed_remove(struct mesh *m, uint32_t at)
{
    m->unconfirmed[at] = m->unconfirmed[--m->unconfirmed_count];
}

static void unconfirmed_add(struct mesh *m, uint32_t index)
{
    uint32_t at = m->unconfirmed_count;
    if (at == UNCONFIRMED_COUNT_MAX) {
        /* Full: give up the least urgent; summaries will carry it on. */
        at = 0;
        for (uint32_t i = 1; i < UNCONFIRMED_COUNT_MAX; i++)
            if (m->slots[m->unconfirmed[i].slot].priority <
                m->slots[m->unconfirmed[at].slot].priority)
                at = i;
    } else {
        m->unconfirmed_count++;
    }
    m->unconfirmed[at] = (struct unconfirmed){ .slot = index, .seq = m->slots[index].seq,
                                               .again_ms = MESH_NEVER };
}

static void unconfirmed_advance(struct mesh *m)
{
    for (uint32_t i = m->unconfirmed_count; i-- > 0;) {
        struct unconfirmed *u = &m->unconfirmed[i];
        const struct slot *s = &m->slots[u->slot];
        if (!slot_current(m, u->slot, u->seq) || s->confirmed || s->seq <= m->logs[s->log].acked ||
            s->sent_count >= SHOUT_COUNT_MAX) {
            unconfirmed_remove(m, i);
        } else if (u->again_ms <= m->now_ms) {
            u->again_ms = MESH_NEVER;
            m->slots[u->slot].flags |= SLOT_SHOUT;
            m->need_dirty = true;
        }
    }
}

static void unconfirmed_sent(struct mesh *m, uint32_t index)
{
    for (uint32_t i = 0; i < m->unconfirmed_count; i++)
        if (m->unconfirmed[i].slot == index) {
            /* Nobody may have had airtime to carry it on: only a call for rescue cannot wait. */
            uint64_t units = m->slots[index].priority == PRIORITY_RESCUE ? SHOUT_UNITS
                                                                        : SHOUT_ROUTINE_UNITS;
            uint64_t wait_ms = (units * m->unit_ms) << m->slots[index].sent_count;
            m->unconfirmed[i].again_ms = m->now_ms + core_between(m, wait_ms / 2, wait_ms);
        }
}

/* ---- the trickle of summaries --------------------------------------------------- */

static void trickle_begin(struct mesh *m, uint64_t interval_ms)
{
    struct trickle *t = &m->trickle;
    t->interval_ms = interval_ms;
    t->fire_ms = m->now_ms + core_between(m, interval_ms / 2, interval_ms);
    t->end_ms = m->now_ms + interval_ms;
    t->consistent_count = 0;
    t->covered = 0;
    t->fired = false;
}

static uint64_t trickle_min_ms(const struct mesh *m)
{
    uint64_t min_ms = TRICKLE_MIN_UNITS * m->unit_ms;
    return min_ms > TRICKLE_MIN_MS_MIN ? min_ms : TRICKLE_MIN_MS_MIN;
}

void trickle_reset(struct mesh *m)
{
    m->reset_digest = m->digest;
    m->trickle.rounds = 0; /* brief summaries first; since_whole sees to the whole all the same */
    if (m->trickle.interval_ms != trickle_min_ms(m))
        trickle_begin(m, trickle_min_ms(m));
}

/* Has anybody spoken since things became quiet who does not hold what we hold? */
static bool differs(const struct mesh *m, uint64_t alive)
{
    for (uint64_t rest = alive; rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        if (n->heard_ms >= m->news_ms && !neigh_in_sync(m, n))
            return true;
    }
    return false;
}

/* Is there somebody whom we may reach, who was not like us when we last heard him, and who heard
 * nothing like ours from others?  Two halves of a line, each agreed within, are silent to
 * each other otherwise. */
static bool somebody_untold(const struct mesh *m)
{
    for (uint64_t rest = neigh_reach_mask(m) & ~m->trickle.covered; rest; rest &= rest - 1)
        if (!neigh_in_sync(m, &m->neighbours[__builtin_ctzll(rest)]))
            return true;
    return false;
}

/* Do we know, long enough for it to have come by itself, of something that we lack? */
static bool hole_aged(const struct mesh *m)
{
    for (uint16_t i = 0; i < m->log_count; i++)
        if (m->logs[i].hole_ms > 0 && m->now_ms - m->logs[i].hole_ms > HOLE_UNITS * m->unit_ms)
            return true;
    return false;
}

/* Has somebody turned up of whom we do not know at all what he holds, and who differs? */
static bool stranger_around(const struct mesh *m)
{
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (n->used && !n->summary_known && !neigh_in_sync(m, n) &&
            m->now_ms - n->heard_ms < STRANGER_MS)
            return true;
    }
    return false;
}

/* Is there a reason for a frame without records?  While news comes in, its frames tell what there
 * is to tell, and only what has been missing for long is asked for. */
static bool summary_due(struct mesh *m)
{
    struct trickle *t = &m->trickle;
    if (m->sent_ms == 0)
        return true; /* nobody knows of us yet */
    bool different = differs(m, neigh_alive_mask(m));
    if (stranger_around(m) && m->now_ms - m->sent_ms > m->hello_gap_ms) {
        m->hello_gap_ms = m->hello_gap_ms * 2 < TRICKLE_MAX_MS ? m->hello_gap_ms * 2
                                                               : TRICKLE_MAX_MS;
        t->rounds = WHOLE_AFTER_ROUNDS + 1;
        return true;
    }
    if (m->hole_again_ms <= m->now_ms && hole_aged(m)) {
        /* While nothing helps, ask less and less: nobody around may have it, or have airtime. */
        m->hole_again_ms = m->now_ms + core_between(m, m->hole_gap_ms / 2, m->hole_gap_ms);
        m->hole_gap_ms = m->hole_gap_ms * 2 < HOLE_GAP_MS_MAX ? m->hole_gap_ms * 2
                                                               : HOLE_GAP_MS_MAX;
        return true;
    }
    uint64_t patience = m->links_ms == 0 ? LINKS_FIRST_UNITS : LINKS_UNITS;
    if (m->links_changed_ms > 0 && (m->links_ms == 0 || m->links_left == LINKS_REPEAT) &&
        m->now_ms - m->links_changed_ms > patience * m->unit_ms)
        return true;
    if (m->news_ms > 0 && m->now_ms - m->news_ms < QUIET_UNITS * m->unit_ms)
        return false;
    t->rounds = different ? t->rounds + 1 : 0;
    t->since_whole = different ? t->since_whole + 1 : 0;
    return different || t->consistent_count < TRICKLE_CONSISTENT || somebody_untold(m) ||
           m->now_ms - m->sent_ms > SILENCE_MS;
}

static void set_due(struct mesh *m, uint64_t wait_ms)
{
    uint64_t at_ms = m->now_ms + wait_ms;
    if (at_ms < m->tx.earliest_ms)
        at_ms = m->tx.earliest_ms;
    if (at_ms < m->tx.due_ms)
        m->tx.due_ms = at_ms;
}

static void trickle_advance(struct mesh *m)
{
    struct trickle *t = &m->trickle;
    if (t->interval_ms == 0)
        trickle_begin(m, trickle_min_ms(m));
    if (neigh_links_changed(m))
        m->links_left = LINKS_REPEAT;
    if (m->links_changed_ms == 0 && (m->links_left > 0 ||
                                     m->now_ms - m->links_ms > LINKS_RENEW_MS))
        m->links_changed_ms = m->now_ms;
    if (!t->fired && t->fire_ms <= m->now_ms) {
        t->fired = true;
        if (summary_due(m)) {
            m->want_summary = true;
            m->want_whole = t->rounds > WHOLE_AFTER_ROUNDS || t->since_whole > WHOLE_AFTER_RESETS;
            set_due(m, 0);
        }
    }
    if (t->end_ms <= m->now_ms) {
        /* Counting towards silence begins when things are quiet. */
        bool busy = m->news_ms > 0 && m->now_ms - m->news_ms < QUIET_UNITS * m->unit_ms;
        uint64_t twice_ms = busy ? trickle_min_ms(m) : t->interval_ms * 2;
        uint64_t max_ms = t->rounds > 0 ? TRICKLE_MAX_DIFFERENT_MS : TRICKLE_MAX_MS;
        trickle_begin(m, twice_ms < max_ms ? twice_ms : max_ms);
    }
}

/* ---- what is worth sending ------------------------------------------------------- */

/* For each log the number up to which every living neighbour is believed to hold it: a quick no for
 * nearly all records. */
static void find_floors(struct mesh *m, uint64_t alive)
{
    for (uint16_t i = 0; i < m->log_count; i++) {
        uint32_t floor = UINT32_MAX;
        for (uint64_t rest = alive; rest; rest &= rest - 1) {
            uint32_t held = m->neighbours[__builtin_ctzll(rest)].held[i];
            if (held < floor)
                floor = held;
        }
        m->floors[i] = floor;
    }
}

/* The neighbours a record is worth sending for; all ones for an own record to be shouted. */
static uint64_t wanted_by(const struct mesh *m, const struct slot *s, uint64_t reach)
{
    if (s->flags & SLOT_SHOUT)
        return UINT64_MAX;
    return s->seq <= m->floors[s->log] ? 0 : neigh_lacking(m, s, reach);
}

/* Next record worth sending at or after *at within priority; SLOT_NONE at the end. */
static uint32_t next_wanted(const struct mesh *m, uint32_t at, uint64_t reach, uint64_t *by_out)
{
    for (; at != SLOT_NONE; at = m->slots[at].order_next) {
        *by_out = wanted_by(m, &m->slots[at], reach);
        if (*by_out)
            return at;
    }
    return SLOT_NONE;
}

/* How many of those who hold the record would, by what is known here, help more of the neighbours
 * that we could help, and so speak before us?  Ties go by a hash, so that they fall on another node
 * for every record. */
static uint32_t turn_of(const struct mesh *m, const struct slot *s, uint64_t by, uint64_t alive)
{
    uint64_t lacking = neigh_lacking(m, s, alive), salt = m->logs[s->log].author + (s->seq << 8);
    int ours = __builtin_popcountll(by);
    uint64_t our_tie = core_mix(salt << 16 | m->cfg.node);
    uint32_t before = 0;
    for (uint64_t rest = alive & ~lacking; rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        uint64_t theirs = lacking & neigh_hearing(m, n);
        int count = __builtin_popcountll(theirs);
        if ((theirs & by) && (count > ours || (count == ours &&
                                               core_mix(salt << 16 | n->node) < our_tie)))
            before++;
    }
    /* Who has spent much of his hour lets others go first. */
    if (m->cfg.duty_budget_ms > 0)
        before += ledger_spent_ms(m) * 4 / m->cfg.duty_budget_ms;
    return before < TURN_COUNT_MAX ? before : TURN_COUNT_MAX;
}

/* How many others might help those neighbours, hidden from us or not?  The least for any of them.
 * Two links are a line: the other one has it from the neighbour himself. */
static uint64_t other_helpers(const struct mesh *m, uint64_t by)
{
    uint64_t least = HELPER_COUNT_MAX;
    for (uint64_t rest = by; rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        uint64_t others = n->link_count > 2 ? n->link_count - 2u : 0;
        if (others < least)
            least = others;
    }
    return least;
}

/* Would the record help so few that it may wait?  Never on its way to a gateway, nor while somebody
 * has not said whom he hears. */
static bool helps_few(const struct mesh *m, uint64_t by)
{
    for (uint64_t rest = by; rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        if (!n->links_known || table_is_gateway(m, n->node))
            return false;
    }
    return __builtin_popcountll(by) < FEW_COUNT;
}

/* Its turn has come: is it better to hear first what those it would help say?  They may have it
 * from somebody whom we do not hear. */
static bool better_wait(struct mesh *m, struct slot *s, uint64_t by)
{
    uint64_t since_ms = (uint32_t)m->now_ms - s->said_ms;
    if (s->priority >= PRIORITY_EVACUATION || (s->flags & SLOT_SHOUT) ||
        since_ms > UNSPOKEN_MS_MAX || !helps_few(m, by) ||
        other_helpers(m, by) < HELPER_COUNT_MAX)
        return false;
    for (uint64_t rest = by; rest; rest &= rest - 1)
        if (m->now_ms - m->neighbours[__builtin_ctzll(rest)].heard_ms < since_ms)
            return false;
    s->ready_ms = m->now_ms + UNSPOKEN_UNITS * m->unit_ms;
    m->need_dirty = true;
    return true;
}

static uint64_t draw_turn(struct mesh *m, const struct slot *s, uint64_t by, uint64_t alive)
{
    /* Two who cannot hear each other, asked by the same frame, would collide for ever within a
     * window that is shorter than their frames: each further attempt spreads wider. */
    uint64_t again = s->sent_count < SPREAD_COUNT_MAX ? s->sent_count : SPREAD_COUNT_MAX;
    uint64_t window_ms = (1 + SPREAD_UNITS * again) * m->unit_ms;
    if (s->flags & SLOT_SHOUT)
        return m->now_ms + core_between(m, 0, window_ms);
    bool strangers = false;
    for (uint64_t rest = by; rest; rest &= rest - 1)
        strangers = strangers || !m->neighbours[__builtin_ctzll(rest)].links_known;
    if (strangers)
        window_ms += WAIT_UNITS[s->priority] * m->unit_ms;
    uint64_t turn_ms = turn_of(m, s, by, alive) * SLOT_UNITS * m->unit_ms;
    /* A single neighbour may well have it from somebody whom we do not hear: it will show. */
    uint64_t count = (uint64_t)__builtin_popcountll(by);
    if (helps_few(m, by))
        window_ms += FEW_UNITS[s->priority] * m->unit_ms * (FEW_COUNT - count) / count *
                     other_helpers(m, by) / HELPER_COUNT_MAX;
    return m->now_ms + turn_ms + core_between(m, window_ms / 4, window_ms);
}

/* Draws a turn for each record that became worth sending, and finds the first of them. */
static void consider(struct mesh *m)
{
    uint64_t alive = neigh_alive_mask(m), reach = neigh_reach_mask(m), by, first_ms = MESH_NEVER;
    uint32_t seen = 0;
    m->need_dirty = false;
    find_floors(m, reach);
    for (uint32_t p = PRIORITY_COUNT; p-- > 0;) {
        uint32_t i = m->order_first[p];
        while (seen < CONSIDER_COUNT_MAX && (i = next_wanted(m, i, reach, &by)) != SLOT_NONE) {
            struct slot *s = &m->slots[i];
            /* A turn that passed long ago was drawn for another situation. */
            if (s->ready_ms == 0 || m->now_ms > s->ready_ms + STALE_UNITS * m->unit_ms)
                s->ready_ms = draw_turn(m, s, by, alive);
            if (s->ready_ms < first_ms)
                first_ms = s->ready_ms;
            seen++;
            i = s->order_next;
        }
    }
    bool blocked = m->tx.blocked_until_ms != MESH_NEVER && m->tx.blocked_until_ms > m->now_ms;
    if (blocked && first_ms < m->tx.blocked_until_ms)
        first_ms = m->tx.blocked_until_ms;
    m->tx.due_ms = MESH_NEVER;
    if (first_ms != MESH_NEVER)
        set_due(m, first_ms > m->now_ms ? first_ms - m->now_ms : 0);
    if (m->want_summary)
        set_due(m, blocked ? m->tx.blocked_until_ms - m->now_ms : 0);
}

/* ---- building a frame -------------------------------------------------------------- */

struct draft {
    uint8_t bytes[FRAME_LEN_MAX]; /* the chosen records, one after the other */
    uint8_t lens[FRAME_RECORD_COUNT_MAX];
    size_t len;                   /* of the records with their length bytes */
    uint8_t priority;
};

static bool class_allowed(const struct mesh *m, uint32_t priority, size_t frame_len)
{
    return ledger_allows(m, lora_airtime_us(&m->cfg.lora, frame_len), BUDGET_PERCENT[priority]);
}

static void choose_of_priority(struct mesh *m, struct draft *d, uint32_t priority, uint64_t reach)
{
    uint64_t by;
    uint32_t i = m->order_first[priority];
    while ((i = next_wanted(m, i, reach, &by)) != SLOT_NONE &&
           m->tx.slot_count < FRAME_RECORD_COUNT_MAX) {
        struct slot *s = &m->slots[i];
        size_t frame_len = FRAME_HEADER_LEN + d->len + 1 + s->len;
        uint32_t next = s->order_next;
        bool its_turn = s->ready_ms > 0 && s->ready_ms <= m->now_ms && !better_wait(m, s, by);
        if (its_turn && frame_len <= m->cfg.mtu_len) {
            if (!class_allowed(m, priority, frame_len)) {
                m->tx.held_back = true;
                return;
            }
            struct record_ref ref = { .seq = s->seq, .author = m->logs[s->log].author,
                                      .lane = m->logs[s->log].lane };
            uint8_t *at = d->bytes + (d->len - m->tx.slot_count);
            if (m->cfg.outside.load(m->cfg.outside.ctx, &ref, m->scratch) != s->len) {
                m->stats.load_failed++;
                s->told = UINT64_MAX; /* not again before somebody states that it lacks it */
                s->flags &= (uint8_t)~SLOT_SHOUT;
            } else {
                memcpy(at, m->scratch, s->len);
                d->lens[m->tx.slot_count] = s->len;
                d->len += 1u + s->len;
                m->tx.seqs[m->tx.slot_count] = s->seq;
                m->tx.slots[m->tx.slot_count++] = i;
                if (priority > d->priority)
                    d->priority = (uint8_t)priority;
            }
        }
        i = next;
    }
}

static void entry_of(const struct mesh *m, const struct log *log, struct frame_entry *e)
{
    *e = (struct frame_entry){ .log = (uint32_t)log->author * LANE_COUNT + log->lane,
                               .held = log->held };
    if (log->lane != 0)
        return;
    uint32_t seq = log->held + 1;
    while (seq <= log->top && e->run_count < FRAME_RUN_COUNT_MAX) {
        struct frame_run run = { 0 };
        for (; seq <= log->top; seq++, run.gap++) {
            uint32_t i = table_find(m, log, seq);
            if (i != SLOT_NONE && !(m->slots[i].flags & SLOT_PENDING))
                break;
        }
        for (; seq <= log->top; seq++, run.held++) {
            uint32_t i = table_find(m, log, seq);
            if (i == SLOT_NONE || (m->slots[i].flags & SLOT_PENDING))
                break;
        }
        if (run.held > 0)
            e->runs[e->run_count++] = run;
    }
}

/* Brief: what changed since we last told it, and what we know to be missing; in a frame that has
 * nothing else to say, also what changed lately, for those who did not hear it then. */
static bool worth_telling(const struct mesh *m, const struct log *log, bool whole)
{
    if (whole)
        return log->top > 0;
    if (log->changed_ms > log->stated_ms)
        return true;
    if (m->want_summary && m->tx.slot_count == 0)
        return log->known > log->held || (log->changed_ms > 0 &&
                                          m->now_ms - log->changed_ms < CHANGED_UNITS * m->unit_ms);
    return log->known > log->held &&
           m->now_ms - log->stated_ms > HOLE_UNITS * m->unit_ms / 2;
}

/* Adds entries from log number `from` on until room_len is used up.  Returns the first number that
 * found no room, or FRAME_LOG_MAX + 1 when all were told. */
static uint32_t add_entries(struct mesh *m, struct frame_builder *b, bool whole, uint32_t from,
                            size_t room_len, bool dry)
{
    uint8_t *end = b->w.end;
    if (bytes_room(&b->w) > room_len)
        b->w.end = b->w.at + room_len;
    uint32_t stop = FRAME_LOG_MAX + 1;
    for (uint16_t a = 0; a < m->author_count && stop > FRAME_LOG_MAX; a++)
        for (int lane = 0; lane < LANE_COUNT && stop > FRAME_LOG_MAX; lane++) {
            uint16_t index = m->authors[a].log[lane];
            uint32_t number = (uint32_t)m->authors[a].author.number * LANE_COUNT + (uint32_t)lane;
            struct frame_entry e;
            if (index == LOG_NONE || number < from || !worth_telling(m, &m->logs[index], whole))
                continue;
            entry_of(m, &m->logs[index], &e);
            if (!frame_add_entry(b, &e))
                stop = number;
            else if (!dry)
                m->logs[index].stated_ms = m->now_ms;
        }
    b->w.end = end;
    return stop;
}

static void write_summary(struct mesh *m, struct frame_builder *b, size_t records_len, bool whole)
{
    size_t room_len = bytes_room(&b->w) - records_len;
    if (room_len <= SUMMARY_ROOM_LEN)
        return;
    room_len -= SUMMARY_ROOM_LEN;
    if (!whole) {
        frame_begin_summary(b, false, 0, 0);
        add_entries(m, b, false, 0, room_len, false);
        return;
    }
    /* The range stands before its entries: find how far they reach, then write. */
    struct frame_builder dry = *b;
    uint8_t flags = *b->flags;
    frame_begin_summary(&dry, true, m->whole_from, FRAME_LOG_MAX);
    uint32_t stop = add_entries(m, &dry, true, m->whole_from, room_len, true);
    *b->flags = flags;
    frame_begin_summary(b, true, m->whole_from, stop - 1);
    add_entries(m, b, true, m->whole_from, room_len, false);
    m->whole_from = stop > FRAME_LOG_MAX ? 0 : stop;
}

static void write_links(struct mesh *m, struct frame_builder *b, size_t records_len)
{
    struct frame_link links[FRAME_LINK_COUNT_MAX];
    if (m->links_changed_ms == 0 ||
        (m->links_ms > 0 && m->now_ms - m->links_ms < m->links_gap_ms))
        return;
    size_t count = neigh_links(m, links);
    if (!frame_add_links(b, links, count, bytes_room(&b->w) - records_len))
        return;
    neigh_links_stated(m);
    m->links_ms = m->now_ms;
    m->links_gap_ms = m->links_gap_ms * 2 < LINKS_GAP_MS_MAX ? m->links_gap_ms * 2
                                                              : LINKS_GAP_MS_MAX;
    m->links_changed_ms = 0;
    if (m->links_left > 0)
        m->links_left--;
}

static bool anything_to_tell(const struct mesh *m)
{
    for (uint16_t i = 0; i < m->log_count; i++)
        if (worth_telling(m, &m->logs[i], false))
            return true;
    return false;
}

static size_t compose(struct mesh *m, const struct draft *d)
{
    struct frame_builder b;
    frame_begin(&b, m->tx.frame.bytes, m->cfg.mtu_len, m->cfg.node,
                table_digest24(m, m->cfg.node), ++m->frame_count);
    write_links(m, &b, d->len);
    bool whole = m->want_whole && m->tx.slot_count == 0;
    if (whole || anything_to_tell(m))
        write_summary(m, &b, d->len, whole);
    if (b.entry_count || m->want_summary)
        m->stats.tx_summaries++;
    size_t at = 0;
    for (uint8_t i = 0; i < m->tx.slot_count; i++) {
        frame_add_record(&b, d->bytes + at, d->lens[i]);
        at += d->lens[i];
    }
    size_t len = frame_finish(&b);
    assert(len > 0);
    if (!m->want_whole || whole) {
        /* A whole that did not fit beside records is still owed; its next pieces follow. */
        m->want_whole = whole && m->whole_from != 0;
        m->want_summary = m->want_whole;
        if (whole)
            m->trickle.since_whole = 0;
    }
    uint8_t tag[FRAME_TAG_LEN];
    m->cfg.outside.tag(m->cfg.outside.ctx, m->tx.frame.bytes, 1,
                       m->tx.frame.bytes + 1 + FRAME_TAG_LEN, len - 1 - FRAME_TAG_LEN, tag);
    memcpy(m->tx.frame.bytes + 1, tag, sizeof tag);
    return len;
}

/* Books the frame's airtime and asks for that to be made durable before it is handed out. */
static void charge(struct mesh *m, size_t len, uint8_t priority)
{
    struct queued_event *q = core_queue_event(m, MESH_EV_CHARGE);
    assert(q); /* its place is kept free */
    m->tx.frame.len = (uint16_t)len;
    m->tx.frame.priority = priority;
    m->tx.frame.airtime_us = lora_airtime_us(&m->cfg.lora, len);
    m->tx.minute = m->ledger_minute;
    ledger_book(m, m->tx.frame.airtime_us);
    q->ev.minute_ms = m->ledger_minute * MS_PER_MINUTE;
    q->ev.minute_airtime_us = m->ledger_us[m->ledger_minute % LEDGER_COUNT];
    m->tx.charge_event_id = q->ev.event_id;
    m->tx.state = TX_CHARGING;
}

/* Nothing that waits now may be sent before; what is more urgent and comes later is tried. */
static void block(struct mesh *m, uint64_t until_ms)
{
    m->tx.blocked_until_ms = m->tx.due_ms = until_ms;
}

static void build(struct mesh *m)
{
    struct record_ref none = { 0 };
    if (core_event_queued(m, MESH_EV_CHARGE, &none)) {
        /* The charge of a frame that went with its modem is not answered yet. */
        m->tx.due_ms = m->now_ms + RETRY_MS;
        return;
    }
    uint64_t reach = neigh_reach_mask(m);
    struct draft d = { .priority = SUMMARY_PRIORITY };
    m->tx.due_ms = m->tx.blocked_until_ms = MESH_NEVER;
    m->tx.slot_count = 0;
    m->tx.held_back = false;
    find_floors(m, reach);
    for (uint32_t p = PRIORITY_COUNT; p-- > 0;)
        choose_of_priority(m, &d, p, reach);
    bool summary_allowed = class_allowed(m, SUMMARY_PRIORITY, m->cfg.mtu_len);
    if (m->tx.slot_count == 0 && !(m->want_summary && summary_allowed)) {
        if (m->tx.held_back || m->want_summary) {
            m->stats.tx_refused_duty++;
            uint64_t relief_ms = ledger_next_relief_ms(m);
            block(m, relief_ms > m->now_ms ? relief_ms : m->now_ms + MS_PER_MINUTE);
        } else {
            m->need_dirty = true; /* somebody else has said it: when is the next turn? */
        }
        return;
    }
    size_t len = compose(m, &d);
    /* Entries beside the records made the frame longer than what was asked for above. */
    if (!class_allowed(m, PRIORITY_RESCUE, len)) {
        m->stats.tx_refused_duty++;
        block(m, m->now_ms + MS_PER_MINUTE);
        return;
    }
    charge(m, len, d.priority);
}

/* ---- what the other files call ------------------------------------------------------- */

void tx_record_committed(struct mesh *m, uint32_t index, bool own)
{
    m->need_dirty = true;
    if (m->slots[index].priority >= PRIORITY_EVACUATION)
        m->tx.blocked_until_ms = MESH_NEVER; /* its share of the hour may still be free */
    if (!own)
        return;
    m->slots[index].flags |= SLOT_SHOUT;
    unconfirmed_add(m, index);
}

void tx_on_done(struct mesh *m, enum mesh_tx_result result)
{
    struct mesh_tx *f = &m->tx.frame;
    if (result == MESH_TX_REFUSED) {
        m->stats.tx_refused_modem++;
        ledger_refund(m, m->tx.minute, f->airtime_us);
    } else {
        uint64_t reach = neigh_reach_mask(m);
        m->sent_ms = m->now_ms;
        m->stats.tx_frames++;
        m->stats.tx_bytes += f->len;
        m->stats.tx_airtime_us += f->airtime_us;
        for (uint8_t i = 0; i < m->tx.slot_count; i++) {
            uint32_t index = m->tx.slots[i];
            if (!slot_current(m, index, m->tx.seqs[i]))
                continue;
            struct slot *s = &m->slots[index];
            s->told |= reach;
            s->ready_ms = 0;
            s->said_ms = (uint32_t)m->now_ms;
            s->flags &= (uint8_t)~SLOT_SHOUT;
            if (s->sent_count < UINT8_MAX)
                s->sent_count++;
            unconfirmed_sent(m, index);
            m->stats.tx_records++;
        }
    }
    m->tx.state = TX_IDLE;
    m->tx.due_ms = MESH_NEVER;
    m->tx.earliest_ms = m->now_ms + core_between(m, m->unit_ms / 2, m->unit_ms * 3 / 2);
    m->need_dirty = true;
    if (m->want_summary)
        set_due(m, 0);
}

static bool tx_possible(const struct mesh *m)
{
    return m->tx.state == TX_IDLE && m->modem_ready && m->cfg.duty_budget_ms > 0;
}

void tx_advance(struct mesh *m)
{
    trickle_advance(m);
    unconfirmed_advance(m);
    if (!tx_possible(m))
        return;
    if (m->need_dirty)
        consider(m);
    if (m->tx.due_ms <= m->now_ms)
        build(m);
}

uint64_t tx_next_deadline(const struct mesh *m)
{
    uint64_t at_ms = m->trickle.fired ? m->trickle.end_ms : m->trickle.fire_ms;
    for (uint32_t i = 0; i < m->unconfirmed_count; i++)
        if (m->unconfirmed[i].again_ms < at_ms)
            at_ms = m->unconfirmed[i].again_ms;
    if (tx_possible(m) && m->tx.due_ms < at_ms)
        at_ms = m->tx.due_ms;
    return at_ms;
}
