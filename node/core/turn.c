/* Relays: which records are worth sending, and whose turn it is.
 *
 * A record is worth sending while a neighbour that hears us is believed to lack it, or while it is
 * our own and nobody is known to hold it. */
#include "node/core/core_internal.h"

/* Waiting, in units, while neighbours have not said whom they hear: chance instead of turns. */
static const uint32_t WAIT_UNITS[PRIORITY_COUNT] = { 10, 6, 3, 1 };
/* Between the turns of relays that reach the same neighbours: those who cannot hear each other
 * should have heard of it from those between them. */
static const uint32_t SLOT_UNITS[PRIORITY_COUNT] = { 12, 12, 3, 3 };
/* Waiting of a relay that would help few. */
static const uint32_t FEW_UNITS[PRIORITY_COUNT] = { 160, 120, 8, 1 };

enum { CONSIDER_COUNT_MAX = 64 }; /* records that turns are drawn for at a time */

bool turn_slot_current(const struct mesh *m, uint32_t index, uint32_t seq)
{
    const struct slot *s = &m->slots[index];
    return (s->flags & (SLOT_USED | SLOT_PENDING)) == SLOT_USED && s->seq == seq;
}

/* ---- records that nobody is known to have got -------------------------------------- */

static void unconfirmed_remove(struct mesh *m, uint32_t at)
{
    m->unconfirmed[at] = m->unconfirmed[--m->unconfirmed_count];
}

static void unconfirmed_put(struct mesh *m, uint32_t index, uint64_t helped)
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
                                               .again_ms = MESH_NEVER, .helped = helped };
}

void turn_unconfirmed_add(struct mesh *m, uint32_t index)
{
    unconfirmed_put(m, index, UINT64_MAX);
}

void turn_unconfirmed_advance(struct mesh *m)
{
    for (uint32_t i = m->unconfirmed_count; i-- > 0;) {
        struct unconfirmed *u = &m->unconfirmed[i];
        struct slot *s = &m->slots[u->slot];
        if (!turn_slot_current(m, u->slot, u->seq) || (s->confirmed & u->helped) ||
            s->seq <= m->logs[s->log].acked || s->sent_count >= SHOUT_COUNT_MAX) {
            unconfirmed_remove(m, i);
        } else if (u->again_ms <= m->now_ms) {
            u->again_ms = MESH_NEVER;
            m->need_dirty = true;
            if (m->logs[s->log].local) {
                s->flags |= SLOT_SHOUT;
            } else {
                s->told &= ~u->helped;
                s->ready_ms = 0;
            }
        }
    }
}

void turn_unconfirmed_sent(struct mesh *m, uint32_t index, uint64_t helped)
{
    const struct slot *s = &m->slots[index];
    uint32_t i = 0;
    while (i < m->unconfirmed_count && m->unconfirmed[i].slot != index)
        i++;
    if (i == m->unconfirmed_count) {
        if (s->priority < PRIORITY_RESCUE || m->logs[s->log].local || helped == 0 ||
            s->sent_count >= SHOUT_COUNT_MAX || m->unconfirmed_count == UNCONFIRMED_COUNT_MAX)
            return;
        unconfirmed_put(m, index, helped);
    }
    /* Nobody may have had airtime to carry it on: only a call for rescue cannot wait. */
    uint64_t units = s->priority == PRIORITY_RESCUE ? SHOUT_UNITS : SHOUT_ROUTINE_UNITS;
    uint64_t wait_ms = (units * m->unit_ms) << s->sent_count;
    m->unconfirmed[i].again_ms = m->now_ms + core_between(m, wait_ms / 2, wait_ms);
}

/* ---- what is worth sending ------------------------------------------------------- */

/* For each log the number up to which every living neighbour is believed to hold it: a quick no for
 * nearly all records. */
void turn_find_floors(struct mesh *m, uint64_t alive)
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
    if (FRAME_HEADER_LEN + 1u + s->len > m->cfg.mtu_len)
        return 0; /* made for a modem with longer frames */
    if (s->flags & SLOT_LEAVING)
        return 0;
    if (s->flags & SLOT_SHOUT)
        return UINT64_MAX;
    return s->seq <= m->floors[s->log] ? 0 : neigh_lacking(m, s, reach);
}

/* Next record worth sending at or after *at within priority; SLOT_NONE at the end. */
uint32_t turn_next_wanted(const struct mesh *m, uint32_t at, uint64_t reach, uint64_t *by_out)
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
bool turn_better_wait(struct mesh *m, struct slot *s, uint64_t by)
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

/* The fewer it helps, the longer it may wait. */
static uint64_t few_factor(uint64_t count)
{
    uint64_t factor = (FEW_COUNT - count) / count;
    return factor < FEW_FACTOR_MAX ? factor : FEW_FACTOR_MAX;
}

/* A single report goes out at once; of many at once each keeps the air free for what comes back. */
static uint64_t shout_window_units(const struct mesh *m, const struct slot *s)
{
    uint64_t units = 1;
    if (s->priority >= PRIORITY_EVACUATION)
        return units;
    for (uint32_t i = 0; i < m->unconfirmed_count; i++) {
        const struct slot *other = &m->slots[m->unconfirmed[i].slot];
        if (other != s && (other->flags & SLOT_SHOUT) && units < SHOUT_SPREAD_UNITS_MAX)
            units += SHOUT_SPREAD_UNITS;
    }
    return units;
}

static uint64_t draw_turn(struct mesh *m, const struct slot *s, uint64_t by, uint64_t alive)
{
    /* Two who cannot hear each other, asked by the same frame, would collide for ever within a
     * window that is shorter than their frames: each further attempt spreads wider. */
    uint64_t again = s->sent_count < SPREAD_COUNT_MAX ? s->sent_count : SPREAD_COUNT_MAX;
    uint64_t window_ms = (1 + SPREAD_UNITS * again) * m->unit_ms;
    if (s->flags & SLOT_SHOUT)
        return m->now_ms + core_between(m, 0, window_ms * shout_window_units(m, s));
    bool strangers = false;
    for (uint64_t rest = by; rest; rest &= rest - 1)
        strangers = strangers || !m->neighbours[__builtin_ctzll(rest)].links_known;
    if (strangers)
        window_ms += WAIT_UNITS[s->priority] * m->unit_ms;
    uint64_t turn_ms = turn_of(m, s, by, alive) * SLOT_UNITS[s->priority] * m->unit_ms;
    /* Who has spent much of his hour lets others go first. */
    if (m->cfg.duty_budget_ms > 0)
        turn_ms += SLOT_UNITS[s->priority] * m->unit_ms * ledger_spent_ms(m) /
                   m->cfg.duty_budget_ms;
    /* A single neighbour may well have it from somebody whom we do not hear: it will show. */
    uint64_t count = (uint64_t)__builtin_popcountll(by);
    if (helps_few(m, by))
        window_ms += FEW_UNITS[s->priority] * m->unit_ms * few_factor(count) *
                     other_helpers(m, by) / HELPER_COUNT_MAX;
    return m->now_ms + turn_ms + core_between(m, window_ms / 4, window_ms);
}

bool turn_shouts(const struct mesh *m, const struct unconfirmed *u, uint32_t priority)
{
    const struct slot *s = &m->slots[u->slot];
    return turn_slot_current(m, u->slot, u->seq) && s->priority == priority &&
           (s->flags & SLOT_SHOUT);
}

/* Draws a record's turn where it has none, and returns when it may be sent. */
static uint64_t turn_ms(struct mesh *m, struct slot *s, uint64_t by, uint64_t alive)
{
    /* A turn that passed long ago was drawn for another situation. */
    if (s->ready_ms == 0 || m->now_ms > s->ready_ms + STALE_UNITS * m->unit_ms)
        s->ready_ms = draw_turn(m, s, by, alive);
    uint64_t at_ms = tx_blocked_until_ms(m, CLASS_RECORD + s->priority);
    return at_ms > s->ready_ms ? at_ms : s->ready_ms;
}

/* Draws a turn for each record that became worth sending, and finds the first of them. */
void turn_consider(struct mesh *m)
{
    uint64_t alive = neigh_alive_mask(m), reach = neigh_near_mask(m), by, first_ms = MESH_NEVER;
    uint32_t seen = 0;
    m->need_dirty = false;
    turn_find_floors(m, reach);
    for (uint32_t p = PRIORITY_COUNT; p-- > 0;) {
        for (uint32_t k = 0; k < m->unconfirmed_count; k++)
            if (turn_shouts(m, &m->unconfirmed[k], p)) {
                uint64_t at_ms = turn_ms(m, &m->slots[m->unconfirmed[k].slot], UINT64_MAX, alive);
                first_ms = at_ms < first_ms ? at_ms : first_ms;
            }
        uint32_t i = m->order_first[p];
        while (seen < CONSIDER_COUNT_MAX && (i = turn_next_wanted(m, i, reach, &by)) != SLOT_NONE) {
            uint64_t at_ms = turn_ms(m, &m->slots[i], by, alive);
            first_ms = at_ms < first_ms ? at_ms : first_ms;
            seen++;
            i = m->slots[i].order_next;
        }
    }
    if (tx_tell_ms(m) < first_ms)
        first_ms = tx_tell_ms(m);
    m->tx.due_ms = MESH_NEVER;
    if (first_ms != MESH_NEVER)
        tx_set_due(m, first_ms > m->now_ms ? first_ms - m->now_ms : 0);
}
