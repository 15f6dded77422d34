/* Frames without records: a trickle of summaries that falls silent when all is well, and the
 * reasons for which one is sent before its time. */
#include "node/core/core_internal.h"

static void trickle_begin(struct mesh *m, uint64_t interval_ms)
{
    struct trickle *t = &m->trickle;
    t->interval_ms = interval_ms;
    /* In peace who fell silent last time goes first: else the same one of two may speak for both
     * again and again, and beyond the other somebody is who does not hear him. */
    uint64_t most_ms = t->hushed && interval_ms >= TRICKLE_MAX_DIFFERENT_MS ? interval_ms / 2
                                                                            : interval_ms;
    t->fire_ms = m->now_ms + core_between(m, most_ms / 2, most_ms);
    t->end_ms = m->now_ms + interval_ms;
    t->consistent_count = 0;
    if (interval_ms >= TRICKLE_MAX_MS)
        t->covered_digest = ~m->digest; /* whoever still has not spoken may have missed it */
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

void trickle_ask(struct mesh *m, struct log *log, uint64_t patience_units)
{
    uint64_t patience_ms = patience_units * m->unit_ms;
    log->hole_ms = m->now_ms > patience_ms ? m->now_ms - patience_ms : 1;
    m->hole_again_ms = m->now_ms;
    m->links_gap_ms = LINKS_GAP_UNITS * m->unit_ms; /* who asks must say whom he hears */
    trickle_reset(m);
}

/* Do we differ by what we are about to send it?  What we sent already may have been lost. */
static bool explained(const struct mesh *m, const struct neighbour *n)
{
    uint64_t bit = neigh_bit(m, n);
    for (uint16_t i = 0; i < m->log_count; i++)
        for (uint32_t seq = n->held[i]; seq < m->logs[i].held;) {
            uint32_t index = table_find(m, &m->logs[i], ++seq);
            if (index != SLOT_NONE && neigh_lacking(m, &m->slots[index], bit))
                return true;
        }
    return false;
}

/* Has anybody spoken since things became quiet who does not hold what we hold?  What it said before
 * records were on air here may be made good by them, and who is full cannot. */
static bool differs(const struct mesh *m, uint64_t alive)
{
    for (uint64_t rest = alive; rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        if (n->heard_ms >= m->news_ms && n->heard_ms >= m->air_ms && n->room == 0 &&
            !neigh_in_sync(m, n) && !explained(m, n))
            return true;
    }
    return false;
}

/* Is there somebody whom we may reach, who was not like us when we last heard him, and who since
 * our last change did not hear something like ours often enough?  Two halves of a line, each agreed
 * within, are silent to each other otherwise. */
static bool somebody_untold(struct mesh *m)
{
    neigh_covered(m, 0);
    for (uint64_t rest = neigh_reach_mask(m); rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        if (n->covered < COVER_COUNT + FRAME_QUALITY_MAX - n->hears_us_quality &&
            !neigh_in_sync(m, n) && !explained(m, n))
            return true;
    }
    return false;
}

bool trickle_hole_aged(const struct mesh *m, uint64_t units)
{
    if (m->room > 0)
        return false; /* we may have let go of it ourselves, and could not take it */
    for (uint16_t i = 0; i < m->log_count; i++)
        if (m->logs[i].hole_ms > 0 && m->now_ms - m->logs[i].hole_ms > units * m->unit_ms &&
            m->now_ms - m->logs[i].stated_ms > units * m->unit_ms)
            return true;
    return false;
}

/* Has somebody turned up of whom we do not know at all what he holds, and who differs?  *asks_out:
 * by what we know that he lacks. */
static bool stranger_around(const struct mesh *m, bool *asks_out)
{
    bool around = false;
    *asks_out = true;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (n->used && !n->summary_known && n->greeted < GREET_COUNT && !neigh_in_sync(m, n) &&
            m->now_ms - n->heard_ms < STRANGER_MS) {
            around = true;
            *asks_out = *asks_out && explained(m, n);
        }
    }
    return around;
}

/* Is there a reason for a frame without records?  While news comes in, its frames tell what there
 * is to tell, and only what has been missing for long is asked for. */
static bool summary_due(struct mesh *m)
{
    struct trickle *t = &m->trickle;
    m->room = evict_room(m);
    m->settle_dirty = true;
    if (m->sent_ms == 0)
        return true; /* nobody knows of us yet */
    bool different = m->room == 0 && differs(m, neigh_alive_mask(m));
    bool asks;
    if (stranger_around(m, &asks) && m->now_ms - m->sent_ms > m->hello_gap_ms) {
        m->hello_gap_ms = m->hello_gap_ms * 2 < TRICKLE_MAX_MS ? m->hello_gap_ms * 2
                                                               : TRICKLE_MAX_MS;
        /* Where gaps are known, asking for them says more; what differs besides shows later. */
        if (!asks && !trickle_hole_aged(m, 0))
            tell_all(m, GREET_LOGS);
        return true;
    }
    bool busy = m->news_ms > 0 && m->now_ms - m->news_ms < QUIET_UNITS * m->unit_ms;
    uint64_t patience = busy ? HOLE_UNITS : HOLE_QUIET_UNITS;
    if (m->hole_again_ms <= m->now_ms && trickle_hole_aged(m, patience)) {
        /* While nothing helps, ask less and less: nobody around may have it, or have airtime. */
        uint64_t gap_ms = m->hole_gap_ms > patience * m->unit_ms ? m->hole_gap_ms
                                                                 : patience * m->unit_ms;
        m->hole_again_ms = m->now_ms + core_between(m, gap_ms / 2, gap_ms);
        m->hole_gap_ms = gap_ms * 2 < HOLE_GAP_MS_MAX ? gap_ms * 2 : HOLE_GAP_MS_MAX;
        return true;
    }
    patience = m->links_ms == 0 ? LINKS_FIRST_UNITS : LINKS_UNITS;
    if (m->links_changed_ms > 0 && (m->links_ms == 0 || m->links_left == LINKS_REPEAT) &&
        m->now_ms - m->links_changed_ms > patience * m->unit_ms)
        return true;
    if (m->sent_digest != m->digest && m->now_ms - m->sent_ms > LIFE_MS)
        return true;
    if (busy)
        return false;
    t->rounds = different ? t->rounds + 1 : 0;
    /* The digest of who is full says nothing to anybody.  What he lacks and would take, a word of a
     * gateway that was told to him and lost, shows in the whole only. */
    t->since_whole = different || m->room > 0 ? t->since_whole + 1 : 0;
    /* Those who differ by what is on its way to them make no noise; a sign of life comes later. */
    bool alone = t->consistent_count < TRICKLE_CONSISTENT &&
                 (t->interval_ms >= TRICKLE_MAX_DIFFERENT_MS || m->news_ms == 0);
    return different || alone || somebody_untold(m) || m->now_ms - m->sent_ms > SILENCE_MS;
}

void trickle_advance(struct mesh *m)
{
    struct trickle *t = &m->trickle;
    if (t->interval_ms == 0)
        trickle_begin(m, trickle_min_ms(m));
    neigh_note_answer(m);
    if (neigh_links_changed(m))
        m->links_left = LINKS_REPEAT;
    if (m->links_changed_ms == 0 && (m->links_left > 0 ||
                                     m->now_ms - m->links_ms > LINKS_RENEW_MS))
        m->links_changed_ms = m->now_ms;
    if (!t->fired && t->fire_ms <= m->now_ms) {
        t->fired = true;
        t->hushed = !summary_due(m);
        if (!t->hushed) {
            m->want_summary = true;
            uint32_t brief_max = m->room > 0 ? WHOLE_AFTER_ROUNDS : WHOLE_AFTER_RESETS;
            if (t->rounds > WHOLE_AFTER_ROUNDS || t->since_whole > brief_max)
                tell_all(m, FRAME_LOGS);
            m->tell_ms = m->now_ms;
            tx_set_due(m, 0);
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
