/* Neighbours and beliefs about what they hold.
 *
 * What a neighbour states (a summary, an equal digest, a record it sends) is taken as true until it
 * states otherwise.  What we only guess (it probably heard our transmission) is kept apart and
 * forgotten at its next statement, so that a wrong guess costs one exchange and never a record. */
#include "node/core/core_internal.h"

uint64_t neigh_bit(const struct mesh *m, const struct neighbour *n)
{
    return 1ull << (n - m->neighbours);
}

static void clear_bit(struct mesh *m, uint64_t bit)
{
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        m->neighbours[i].hears &= ~bit;
    for (uint32_t i = 0; i < m->fresh_slot; i++) {
        m->slots[i].confirmed &= ~bit;
        m->slots[i].told &= ~bit;
    }
}

static struct neighbour *replace_oldest(struct mesh *m)
{
    struct neighbour *oldest = NULL;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        struct neighbour *n = &m->neighbours[i];
        if (!n->used)
            return n;
        if (!oldest || n->heard_ms < oldest->heard_ms)
            oldest = n;
    }
    m->stats.neighbours_replaced++;
    clear_bit(m, neigh_bit(m, oldest));
    return oldest;
}

struct neighbour *neigh_find(struct mesh *m, uint16_t node)
{
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        if (m->neighbours[i].used && m->neighbours[i].node == node)
            return &m->neighbours[i];
    return NULL;
}

/* What the lists of the others say about a node: those who hear it. */
static void read_lists(struct mesh *m, const struct neighbour *about)
{
    uint64_t bit = neigh_bit(m, about);
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        struct neighbour *n = &m->neighbours[i];
        for (uint8_t k = 0; n->used && k < n->link_count; k++)
            if (n->links[k].node == about->node && n->links[k].quality >= QUALITY_RELIED)
                n->hears |= bit;
    }
}

void neigh_on_links(struct mesh *m, struct neighbour *n, struct frame_view *frame)
{
    struct frame_link link;
    n->link_count = 0;
    n->hears = 0;
    n->hears_us = n->unanswered = false;
    n->hears_us_quality = 0;
    n->links_known = true;
    n->links_heard_ms = m->now_ms;
    while (frame_next_link(frame, &link)) {
        if (link.node == n->node) {
            n->unanswered = true;
            continue;
        }
        n->links[n->link_count++] = link;
        if (link.node == m->cfg.node) {
            n->hears_us = true;
            n->hears_us_quality = link.quality;
            n->vain_count = 0;
        }
        const struct neighbour *other = neigh_find(m, link.node);
        if (other && link.quality >= QUALITY_RELIED)
            n->hears |= neigh_bit(m, other);
    }
    m->need_dirty = true;
}

/* Each frame carries its sender's running count: the gaps are what we did not hear. */
static void note_count(struct neighbour *n, uint8_t step, uint8_t count, bool is_new)
{
    n->count = count;
    if (step == 0 && !is_new)
        return; /* the same frame once more says nothing about the link */
    n->by_chance = is_new || step > FRAMES_MISSED_MAX;
    if (is_new) {
        n->quality = QUALITY_START;
        return;
    }
    if (n->by_chance) {
        n->quality = (uint8_t)(n->quality / 2 + QUALITY_START / 2);
        return;
    }
    for (; step > 1; step--)
        n->quality = (uint8_t)(n->quality - n->quality / QUALITY_GAIN);
    n->quality = (uint8_t)(n->quality + (UINT8_MAX - n->quality) / QUALITY_GAIN);
}

static bool heard_lately(const struct mesh *m, const struct neighbour *n)
{
    return n->used && n->quality > 0 &&
           m->now_ms - n->heard_ms < (n->by_chance ? RETURN_MS : NEIGHBOUR_ALIVE_MS);
}

static uint8_t stated_quality(const struct neighbour *n)
{
    return n->quality < QUALITY_LISTED ? 0
                                       : (uint8_t)((n->quality - QUALITY_LISTED) / QUALITY_STEP);
}

/* Do we hear somebody, and nobody well who hears us? */
static bool no_answer(const struct mesh *m)
{
    bool any = false;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (!heard_lately(m, n))
            continue;
        if (n->hears_us && !n->by_chance && stated_quality(n) >= QUALITY_RELIED)
            return false;
        any = any || n->links_known;
    }
    return any;
}

/* For so long that it is no list yet to come, nor one that was lost? */
static bool unanswered(const struct mesh *m)
{
    return m->now_ms - m->answered_ms > LINKS_RENEW_MS && no_answer(m);
}

/* Who is unanswered counts on whomever he hears at all. */
static bool is_link(const struct mesh *m, const struct neighbour *n, bool alone)
{
    return heard_lately(m, n) && (alone || n->quality >= QUALITY_LISTED);
}

void neigh_note_answer(struct mesh *m)
{
    if (!no_answer(m))
        m->answered_ms = m->now_ms;
}

bool neigh_links_changed(const struct mesh *m)
{
    bool alone = unanswered(m);
    if (alone != m->unanswered)
        return true;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        if (is_link(m, &m->neighbours[i], alone) != m->neighbours[i].listed)
            return true;
    return false;
}

static_assert((UINT8_MAX - QUALITY_LISTED) / QUALITY_STEP <= FRAME_QUALITY_MAX, "fits a link");

static void insert_link(struct frame_link out[FRAME_LINK_COUNT_MAX], size_t *count,
                        struct frame_link link)
{
    size_t at = (*count)++;
    for (; at > 0 && out[at - 1].node > link.node; at--)
        out[at] = out[at - 1];
    out[at] = link;
}

/* Who names himself says that nobody answers him. */
size_t neigh_links(struct mesh *m, struct frame_link out[FRAME_LINK_COUNT_MAX])
{
    size_t count = 0;
    bool alone = unanswered(m);
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (is_link(m, n, alone))
            insert_link(out, &count, (struct frame_link){ .node = n->node,
                                                          .quality = stated_quality(n) });
    }
    if (count < FRAME_LINK_COUNT_MAX && alone)
        insert_link(out, &count, (struct frame_link){ .node = m->cfg.node });
    return count;
}

void neigh_links_stated(struct mesh *m)
{
    m->unanswered = unanswered(m);
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        m->neighbours[i].listed = is_link(m, &m->neighbours[i], m->unanswered);
}

uint64_t neigh_hearing(const struct mesh *m, const struct neighbour *sender)
{
    uint64_t bit = neigh_bit(m, sender), mask = 0;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        if (m->neighbours[i].used && (m->neighbours[i].hears & bit))
            mask |= 1ull << i;
    return mask;
}

uint64_t neigh_reach_mask(const struct mesh *m)
{
    uint64_t mask = neigh_alive_mask(m);
    for (uint64_t rest = mask; rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        if (n->links_known && !n->hears_us &&
            (n->vain_count >= VAIN_COUNT || m->now_ms - n->links_heard_ms < LINKS_TRUST_MS))
            mask &= ~neigh_bit(m, n);
    }
    return mask;
}

uint64_t neigh_near_mask(const struct mesh *m)
{
    uint64_t mask = neigh_reach_mask(m);
    for (uint64_t rest = mask; rest; rest &= rest - 1) {
        const struct neighbour *n = &m->neighbours[__builtin_ctzll(rest)];
        bool away = m->now_ms - n->heard_ms > RETURN_MS && n->ignored_ms > 0 &&
                    m->now_ms - n->ignored_ms > QUIET_UNITS * m->unit_ms;
        bool stranger = !n->links_known && !n->summary_known;
        if (away || stranger)
            mask &= ~neigh_bit(m, n);
    }
    return mask;
}

/* Who comes may soon be gone: he is greeted and answered at once. */
static void expect_stranger(struct mesh *m)
{
    m->hello_gap_ms = HELLO_UNITS * m->unit_ms;
    m->links_gap_ms = LINKS_GAP_UNITS * m->unit_ms; /* it helps us only once we list it */
    m->answer_gap_ms = ANSWER_GAP_UNITS * m->unit_ms;
}

struct neighbour *neigh_get(struct mesh *m, uint16_t node)
{
    struct neighbour *n = neigh_find(m, node);
    if (n)
        return n;
    n = replace_oldest(m);
    uint32_t *held = n->held;
    *n = (struct neighbour){ .used = true, .node = node, .held = held, .digest = UINT32_MAX };
    /* Until it states what it holds, a stranger is not flooded with our whole store. */
    for (uint16_t i = 0; i < m->log_count; i++)
        held[i] = m->logs[i].top;
    for (uint32_t i = m->log_count; i < m->cfg.log_count_max; i++)
        held[i] = 0;
    read_lists(m, n);
    return n;
}

struct neighbour *neigh_heard(struct mesh *m, const struct frame_view *frame,
                              const struct mesh_rx_meta *meta)
{
    struct neighbour *n = neigh_get(m, frame->sender);
    bool is_new = n->quality == 0; /* known from hearsay at most */
    if (is_new)
        expect_stranger(m);
    uint8_t step = (uint8_t)(frame->count - n->count);
    note_count(n, step, frame->count, is_new);
    if (!is_new && step != 1 && m->now_ms - n->heard_ms > RETURN_MS) {
        /* It spoke where we did not hear it: back from elsewhere, with what is to be had there, it
         * is greeted like a stranger. */
        n->summary_known = false;
        n->greeted = 0;
        expect_stranger(m);
    }
    n->heard_ms = m->now_ms;
    n->ignored_ms = 0;
    n->rssi_dbm = meta->rssi_dbm;
    n->snr_db_x4 = meta->snr_db_x4;
    return n;
}

uint64_t neigh_alive_mask(const struct mesh *m)
{
    uint64_t mask = 0;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (n->used && m->now_ms - n->heard_ms < NEIGHBOUR_ALIVE_MS)
            mask |= 1ull << i;
    }
    return mask;
}

bool neigh_holds(const struct mesh *m, const struct neighbour *n, const struct slot *s)
{
    return (s->confirmed & neigh_bit(m, n)) || (n->summary_known && s->seq <= n->held[s->log]);
}

uint64_t neigh_lacking(const struct mesh *m, const struct slot *s, uint64_t alive)
{
    uint64_t maybe = alive & ~(s->confirmed | s->told);
    for (uint64_t rest = maybe; rest; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        if (s->seq <= m->neighbours[i].held[s->log] ||
            evict_in_vain(m, &m->neighbours[i], s))
            maybe &= ~(1ull << i);
    }
    return maybe;
}

static void state_record(struct mesh *m, struct slot *s, uint64_t bit, bool holds)
{
    struct neighbour *n = &m->neighbours[__builtin_ctzll(bit)];
    if (holds) {
        if (s->sent_count > 0 && !(s->confirmed & bit))
            n->vain_count = 0;
        s->confirmed |= bit;
    } else if ((s->told & bit) && !(s->confirmed & bit) &&
               (uint32_t)m->now_ms - s->said_ms < STALE_UNITS * m->unit_ms) {
        /* Said a moment ago, and the statement may be older than that: the next one will tell. */
    } else if (((s->told | s->confirmed) & bit) ||
               s->ready_ms < m->now_ms + NEAR_UNITS * m->unit_ms) {
        /* Said again and again, it must not put off for ever a relay that waits for long. */
        if (s->sent_count > 0 && (s->told & bit) && n->vain_count < UINT8_MAX)
            n->vain_count++;
        s->confirmed &= ~bit;
        s->told &= ~bit;
        s->heard_count = 0;
        s->heard_from = MESH_NEIGHBOUR_COUNT_MAX;
        s->ready_ms = 0;
    }
}

/* Is seq among what the entry states behind a gap?  With all runs used up the entry is silent
 * about what lies behind the last: *silent_out. */
static bool in_runs(const struct frame_entry *e, uint32_t seq, bool *silent_out)
{
    uint32_t at = e->held;
    *silent_out = false;
    for (uint8_t i = 0; i < e->run_count; i++) {
        if (seq <= at + e->runs[i].gap)
            return false;
        at += e->runs[i].gap + e->runs[i].held;
        if (seq <= at)
            return true;
    }
    *silent_out = e->run_count == FRAME_RUN_COUNT_MAX;
    return false;
}

static void state_slot(struct mesh *m, struct slot *s, const struct frame_entry *e,
                       uint64_t bit)
{
    bool silent;
    bool holds = in_runs(e, s->seq, &silent);
    if (!silent)
        state_record(m, s, bit, holds);
}

/* Everything we hold of the log above what the entry states as complete. */
static void state_above(struct mesh *m, const struct log *log, const struct frame_entry *e,
                        uint64_t bit)
{
    uint16_t log_index = table_log_index(m, log);
    if (log->top <= e->held)
        return;
    /* A log with wide gaps is cheaper to walk by slots than by numbers. */
    if (log->top - e->held > m->cfg.record_count_max) {
        for (uint32_t i = 0; i < m->fresh_slot; i++)
            if ((m->slots[i].flags & SLOT_USED) && m->slots[i].log == log_index &&
                m->slots[i].seq > e->held)
                state_slot(m, &m->slots[i], e, bit);
        return;
    }
    for (uint32_t seq = e->held + 1; seq <= log->top; seq++) {
        uint32_t i = table_find(m, log, seq);
        if (i != SLOT_NONE)
            state_slot(m, &m->slots[i], e, bit);
    }
}

static void confirm_own(struct mesh *m, const struct log *log, uint32_t held, uint64_t bit)
{
    for (uint32_t seq = log->acked + 1; seq <= held && seq <= log->top; seq++) {
        uint32_t i = table_find(m, log, seq);
        if (i != SLOT_NONE)
            m->slots[i].confirmed |= bit;
    }
    m->stats.state_changes++;
}

/* Somebody holds records of this log up to `claim`. */
static void claimed(struct mesh *m, struct log *log, uint32_t claim)
{
    uint32_t end = table_log_end(m, log);
    if (claim > end)
        claim = end; /* he has not heard yet that the rest counts no more */
    if (claim > log->known)
        log->known = claim;
    if (log->hole_ms == 0 && log->known > log->held)
        log->hole_ms = m->now_ms;
    /* Once until it is made good: an unproved claim must not silence an author for ever. */
    if (log->local && claim > log->top && log->claimed_ms == MESH_NEVER)
        log->claimed_ms = m->now_ms;
}

static void state_log(struct mesh *m, struct neighbour *n, struct log *log,
                      const struct frame_entry *e)
{
    uint64_t bit = neigh_bit(m, n);
    uint32_t claim = e->held;
    for (uint8_t i = 0; i < e->run_count; i++)
        claim += e->runs[i].gap + e->runs[i].held;
    claimed(m, log, claim);
    n->held[table_log_index(m, log)] = e->held;
    if (log->lane != 0) {
        if (log->newest != SLOT_NONE)
            state_record(m, &m->slots[log->newest], bit,
                         m->slots[log->newest].seq <= e->held);
        return;
    }
    state_above(m, log, e, bit);
    if (log->local)
        confirm_own(m, log, e->held, bit);
}

/* A summary is tagged, not signed: it may open the logs a commune really has, but not every lane
 * of every author. */
static struct log *stated_log(struct mesh *m, uint16_t author, uint8_t lane)
{
    bool ack_lane = lane >= record_lane(RECORD_ACK_FIRST) && lane <= record_lane(RECORD_ACK_LAST);
    if (lane == 0 || (ack_lane && table_is_gateway(m, author)))
        return table_get_log(m, author, lane);
    return table_find_log(m, author, lane);
}

void neigh_on_summary(struct mesh *m, struct neighbour *n, struct frame_view *frame)
{
    uint8_t listed[MESH_LOG_COUNT_MAX / 8] = { 0 };
    bool whole = frame->flags & FRAME_FLAG_WHOLE;
    bool asked = m->sums_ms > 0 && m->now_ms - m->sums_ms < ASKED_UNITS * m->unit_ms;
    struct frame_entry e;
    while (frame_next_entry(frame, &e)) {
        struct log *log = stated_log(m, (uint16_t)(e.log / LANE_COUNT),
                                     (uint8_t)(e.log % LANE_COUNT));
        if (!log) {
            m->stats.rx[MESH_RX_UNKNOWN_AUTHOR]++;
            continue;
        }
        uint16_t i = table_log_index(m, log);
        listed[i / 8] |= (uint8_t)(1u << (i % 8));
        bool known = log->known > log->held;
        state_log(m, n, log, &e);
        if (asked && !known && log->known > log->held)
            trickle_ask(m, log, HOLE_QUIET_UNITS);
    }
    for (uint16_t i = 0; whole && i < m->log_count; i++) {
        struct log *log = &m->logs[i];
        uint32_t number = (uint32_t)log->author * LANE_COUNT + log->lane;
        if ((listed[i / 8] & 1u << (i % 8)) || number < frame->whole_from ||
            number > frame->whole_to)
            continue;
        struct frame_entry nothing = { .log = number };
        state_log(m, n, log, &nothing);
    }
    if (whole && frame->whole_from == 0)
        n->summary_known = true;
    m->need_dirty = true;
}

void neigh_greeted(struct mesh *m)
{
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        struct neighbour *n = &m->neighbours[i];
        if (n->used && n->greeted < GREET_COUNT && m->now_ms - n->heard_ms < RETURN_MS)
            n->greeted++;
    }
}

bool neigh_in_sync(const struct mesh *m, const struct neighbour *n)
{
    return n->digest == table_digest24(m, n->node);
}

void neigh_holds_same(struct mesh *m, struct neighbour *n, uint32_t from, uint32_t to)
{
    uint64_t bit = neigh_bit(m, n);
    for (uint16_t i = 0; i < m->log_count; i++) {
        struct log *log = &m->logs[i];
        uint32_t number = table_log_number(log);
        if (number < from || number > to)
            continue;
        n->held[i] = log->held;
        uint32_t seq = log->held;
        while (log->lane == 0 && seq < log->top && (seq = table_next_held(m, log, seq)) != 0)
            m->slots[table_find(m, log, seq)].confirmed |= bit;
    }
}

void neigh_lacks_one(struct mesh *m, struct neighbour *n, struct log *log, uint32_t seq)
{
    uint32_t *held = &n->held[table_log_index(m, log)];
    for (uint32_t above = seq + 1; above <= *held; above++)
        if (table_holds(m, log, above))
            m->slots[table_find(m, log, above)].confirmed |= neigh_bit(m, n);
    if (*held >= seq)
        *held = seq - 1;
    state_record(m, &m->slots[table_find(m, log, seq)], neigh_bit(m, n), false);
}

void neigh_claims(struct mesh *m, const struct record_ref *ref)
{
    struct log *log = stated_log(m, ref->author, ref->lane);
    if (!log || table_is_revoked(m, ref))
        return;
    claimed(m, log, ref->seq);
    trickle_ask(m, log, HOLE_QUIET_UNITS);
}

/* Its digest is ours: it holds all that we hold. */
static void note_sync(struct mesh *m, struct neighbour *n)
{
    if (n->summary_known && n->synced_digest == m->digest)
        return;
    neigh_holds_same(m, n, 0, FRAME_LOG_MAX);
    n->summary_known = true;
    n->synced_digest = m->digest;
    m->need_dirty = true;
    m->stats.state_changes++;
}

void neigh_on_news(struct mesh *m, const struct slot *s)
{
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        if (m->neighbours[i].ignored_ms == 0 && !(s->confirmed & 1ull << i))
            m->neighbours[i].ignored_ms = m->now_ms;
}

void neigh_recheck(struct mesh *m)
{
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        if (m->neighbours[i].used && neigh_in_sync(m, &m->neighbours[i]))
            note_sync(m, &m->neighbours[i]);
}

void neigh_uncovered(struct mesh *m, uint64_t nodes)
{
    for (uint64_t rest = nodes; rest; rest &= rest - 1)
        m->neighbours[__builtin_ctzll(rest)].covered = 0;
}

void neigh_covered(struct mesh *m, uint64_t nodes)
{
    bool changed = m->trickle.covered_digest != m->digest;
    m->trickle.covered_digest = m->digest;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        struct neighbour *n = &m->neighbours[i];
        n->covered = changed ? 0 : n->covered;
        if ((nodes & 1ull << i) && n->covered < UINT8_MAX)
            n->covered++;
    }
}

void neigh_on_digest(struct mesh *m, struct neighbour *n, uint32_t digest24)
{
    uint32_t before = n->digest;
    n->digest = digest24;
    if (neigh_in_sync(m, n)) {
        note_sync(m, n);
        m->trickle.consistent_count++;
        neigh_covered(m, neigh_hearing(m, n));
    } else if (n->room == 0 && m->room == 0 &&
               (digest24 != before || m->digest != m->reset_digest)) {
        /* Something changed since we last compared: exchange summaries soon.  The same difference
         * heard again does not hurry us, or a long catching-up would drown in summaries. */
        trickle_reset(m);
    }
}

size_t mesh_neighbours(const struct mesh *m, struct mesh_neighbour out[MESH_NEIGHBOUR_COUNT_MAX])
{
    size_t count = 0;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (n->used && n->quality > 0) /* heard itself */
            out[count++] = (struct mesh_neighbour){
                .node = n->node, .heard_ms = n->heard_ms, .rssi_dbm = n->rssi_dbm,
                .snr_db_x4 = n->snr_db_x4, .in_sync = neigh_in_sync(m, n) };
    }
    return count;
}
