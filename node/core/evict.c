/* A full store: what leaves it for what.
 *
 * First go reports that by a gateway's signed word are safe there, up to some number of their
 * author: these numbers are settled, they count as held without being kept, and nobody sends
 * them again.  Only then leaves what may be on its way: of the author who takes most, else what
 * is less urgent than what comes, else of the same author what comes later.  Own records stay
 * until they are settled, and then while they take less than half. */
#include "node/core/core_internal.h"

/* Free places of a gateway's store that a class leaves to what is more urgent, and places of any
 * store that own records leave to those of others. */
static const uint32_t GATEWAY_SPARE[PRIORITY_COUNT] = { 192, 128, 64, 32 };
enum { OWN_SPARE = 192, OWN_SPARE_RESCUE = 96 };

/* A gateway's word is why others let go of a record, so it does not; and what the second core of a
 * box does not keep is decided by the first. */
static bool keeps_all(const struct mesh *m)
{
    return m->cfg.gateway || m->cfg.second;
}

static uint32_t at_most_part(uint32_t count, uint32_t cap, uint32_t parts)
{
    return count < cap / parts ? count : cap / parts;
}

static uint32_t taken(const struct mesh *m)
{
    return m->used_count - m->leaving_count;
}

/* Whose records stay whatever comes: the roster's, and the newest of a superseding lane. */
static bool stays(const struct log *log)
{
    return log->lane != 0 || log->author == AUTHOR_ROOT;
}

static bool may_leave(const struct mesh *m, uint32_t index)
{
    const struct slot *s = &m->slots[index];
    if ((s->flags & (SLOT_PENDING | SLOT_LEAVING)) || stays(&m->logs[s->log]))
        return false;
    for (uint8_t i = 0; m->tx.state != TX_IDLE && i < m->tx.slot_count; i++)
        if (m->tx.slots[i] == index)
            return false;
    return true;
}

static bool settles(const struct log *log, uint32_t seq)
{
    return seq <= log->acked;
}

/* The number that the gateways wait for: what comes behind it cannot be settled before. */
static bool is_head(const struct log *log, uint32_t seq)
{
    return seq == log->acked + 1;
}

struct pick {
    const struct log *log; /* NULL: any */
    uint32_t below;        /* of less urgent classes than this */
    uint32_t after;        /* with a higher number than this */
    bool local, settled;
    bool heads;            /* what a gateway waits for, too */
    bool newest;           /* of a class, else the one that is here longest */
};

static uint32_t find(const struct mesh *m, const struct pick *k)
{
    for (uint32_t p = 0; p < k->below; p++) {
        uint32_t i = k->newest ? m->order_last[p] : m->order_first[p];
        while (i != SLOT_NONE) {
            const struct slot *s = &m->slots[i];
            const struct log *log = &m->logs[s->log];
            if (log->local == k->local && (!k->log || k->log == log) && s->seq > k->after &&
                settles(log, s->seq) == k->settled && (k->heads || !is_head(log, s->seq)) &&
                may_leave(m, i))
                return i;
            i = k->newest ? s->order_prev : s->order_next;
        }
    }
    return SLOT_NONE;
}

static uint32_t own_count(const struct mesh *m)
{
    uint32_t count = 0;
    for (uint16_t i = 0; i < m->log_count; i++)
        if (m->logs[i].local && m->logs[i].lane == 0)
            count += m->logs[i].held_count;
    return count;
}

/* Of another author than ours, the one who takes most; NULL while all keep to their share. */
static const struct log *greediest(const struct mesh *m)
{
    uint32_t most = m->cfg.record_count_max / SHARE_PARTS;
    const struct log *greedy = NULL;
    for (uint16_t i = 0; i < m->log_count; i++) {
        const struct log *log = &m->logs[i];
        if (!log->local && !stays(log) && log->held_count > most) {
            most = log->held_count;
            greedy = log;
        }
    }
    return greedy;
}

/* Nothing settled is left.  What a gateway waits for comes before what it does not, or stores full
 * of what lies behind gaps would refuse just that which closes them, for ever.  Each
 * step brings such a one, or lessens what authors hold above their share, or raises the urgency of
 * what is held, or lowers its numbers, and undoes nothing that stands before in this list: so two
 * records never take turns in pushing each other out. */
static uint32_t find_open(const struct mesh *m, const struct log *log, uint8_t priority,
                          uint32_t seq)
{
    bool guest = !log->local && !stays(log);
    bool head = guest && is_head(log, seq);
    uint32_t below = stays(log) ? PRIORITY_COUNT : log->local ? priority + 1u : priority;
    uint32_t victim;
    const struct log *greedy = greediest(m);
    if (greedy && greedy != log && (!guest || greedy->held_count > log->held_count + 1))
        return find(m, &(struct pick){ .log = greedy, .below = PRIORITY_COUNT, .newest = true });
    if (guest && log->held_count >= m->cfg.record_count_max / SHARE_PARTS)
        victim = find(m, &(struct pick){ .log = log, .below = below, .newest = true });
    else
        victim = find(m, &(struct pick){ .below = below });
    if (victim == SLOT_NONE && guest)
        victim = find(m, &(struct pick){ .log = log, .below = head ? PRIORITY_COUNT : below + 1,
                                         .after = seq, .newest = true });
    if (victim == SLOT_NONE && head)
        victim = find(m, &(struct pick){ .below = PRIORITY_COUNT, .newest = true });
    if (victim == SLOT_NONE && (head || stays(log)))
        victim = find(m, &(struct pick){ .below = below, .heads = true });
    return victim;
}

static bool gateway_has_room(const struct mesh *m, uint32_t priority)
{
    uint32_t cap = m->cfg.record_count_max;
    uint32_t spare = at_most_part(GATEWAY_SPARE[priority], cap, SHARE_PARTS);
    return cap - taken(m) > spare;
}

bool evict_find(const struct mesh *m, const struct log *log, uint8_t priority, uint32_t seq,
                uint32_t *victim_out)
{
    uint32_t cap = m->cfg.record_count_max, victim = SLOT_NONE;
    *victim_out = SLOT_NONE;
    if (log->lane != 0 && log->newest != SLOT_NONE)
        return true; /* it takes the place of the older one */
    /* What a gateway has acknowledged stays there: its word is why others let go of it. */
    if (keeps_all(m))
        return stays(log) || log->local ? taken(m) < cap : gateway_has_room(m, priority);
    uint32_t own = own_count(m);
    uint32_t spare = priority == PRIORITY_RESCUE ? at_most_part(OWN_SPARE_RESCUE, cap, 8)
                                                 : at_most_part(OWN_SPARE, cap, 4);
    bool too_many = log->local && log->lane == 0 && own + spare >= cap;
    if (taken(m) < cap && !too_many)
        return true;
    if (own >= cap / 2)
        victim = find(m, &(struct pick){ .below = PRIORITY_COUNT, .local = true,
                                         .settled = true });
    if (victim == SLOT_NONE && !too_many)
        victim = find(m, &(struct pick){ .below = PRIORITY_COUNT, .settled = true });
    if (victim == SLOT_NONE && !too_many)
        victim = find_open(m, log, priority, seq);
    *victim_out = victim;
    return victim != SLOT_NONE;
}

static_assert(FRAME_ROOM_MIN == PRIORITY_ROUTINE + 2 && FRAME_ROOM_MAX == PRIORITY_COUNT + 1,
              "room is told by classes");

uint8_t evict_room(const struct mesh *m)
{
    uint8_t p = PRIORITY_ROUTINE;
    if (keeps_all(m)) {
        while (p < PRIORITY_COUNT && !gateway_has_room(m, p))
            p++;
        return p == PRIORITY_ROUTINE ? 0 : p + 1;
    }
    struct pick settled = { .below = PRIORITY_COUNT, .settled = true };
    if (taken(m) < m->cfg.record_count_max || find(m, &settled) != SLOT_NONE || greediest(m))
        return 0;
    while (p < PRIORITY_COUNT && find(m, &(struct pick){ .below = p + 1u }) == SLOT_NONE)
        p++;
    return p == PRIORITY_COUNT ? FRAME_ROOM_MAX : p + 2;
}

bool evict_in_vain(const struct mesh *m, const struct neighbour *n, const struct slot *s)
{
    const struct log *log = &m->logs[s->log];
    return s->priority + 1 < n->room && !stays(log) && !is_head(log, s->seq);
}

void evict_begin(struct mesh *m, struct queued_event *q, uint32_t victim)
{
    q->victim = victim;
    if (victim == SLOT_NONE)
        return;
    struct slot *s = &m->slots[victim];
    const struct log *log = &m->logs[s->log];
    s->flags |= SLOT_LEAVING;
    m->leaving_count++;
    q->ev.leaves = (struct record_ref){ .author = log->author, .lane = log->lane, .seq = s->seq };
    q->ev.settles = settles(log, s->seq);
}

void evict_review(struct mesh *m, struct queued_event *q)
{
    if (q->victim == SLOT_NONE || q->ev.settles)
        return;
    uint32_t victim = find(m, &(struct pick){ .below = PRIORITY_COUNT, .settled = true });
    if (victim == SLOT_NONE)
        return;
    m->slots[q->victim].flags &= (uint8_t)~SLOT_LEAVING;
    m->leaving_count--;
    evict_begin(m, q, victim);
}

static void let_go(struct mesh *m, uint32_t index, bool settle)
{
    struct log *log = &m->logs[m->slots[index].log];
    uint32_t seq = m->slots[index].seq;
    if (settle)
        table_settle(m, log, seq);
    table_forget(m, index);
    if (seq > log->settled && seq <= log->held)
        log->held = seq - 1;
    if (log->hole_ms == 0 && log->known > log->held)
        log->hole_ms = m->now_ms;
    log->changed_ms = m->now_ms;
    m->settle_dirty = true;
    m->stats.evicted++;
    m->stats.state_changes++;
    m->need_dirty = true;
}

void evict_end(struct mesh *m, const struct queued_event *q, bool durable)
{
    if (q->victim == SLOT_NONE)
        return;
    m->leaving_count--;
    if (durable)
        let_go(m, q->victim, q->ev.settles);
    else
        m->slots[q->victim].flags &= (uint8_t)~SLOT_LEAVING;
}

void evict_forgotten(struct mesh *m, uint32_t index)
{
    for (int i = 0; i < EVENT_COUNT; i++)
        if (m->events[i].used && m->events[i].victim == index) {
            m->events[i].victim = SLOT_NONE;
            m->leaving_count--;
        }
}

void mesh_on_left(struct mesh *m, uint64_t now_ms, const struct record_ref *ref, bool settles)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    struct log *log = table_get_log(m, ref->author, ref->lane);
    uint32_t index = log ? table_find(m, log, ref->seq) : SLOT_NONE;
    if (index != SLOT_NONE && !(m->slots[index].flags & (SLOT_PENDING | SLOT_LEAVING)))
        let_go(m, index, settles);
    else if (index == SLOT_NONE && log && settles)
        table_settle(m, log, ref->seq);
    else
        return;
    neigh_recheck(m);
}

/* Missing, and not worth asking for: a gateway has it, and we have no room, or asked for a day. */
static bool given_up(const struct mesh *m, const struct log *log)
{
    if (log->local || stays(log) || log->held >= log->acked || log->known <= log->held)
        return false;
    return taken(m) >= m->cfg.record_count_max ||
           (m->now_ms - log->hole_ms > GIVE_UP_MS && m->now_ms - log->changed_ms > GIVE_UP_MS);
}

void evict_advance(struct mesh *m)
{
    if (!m->settle_dirty || keeps_all(m))
        return;
    for (uint16_t i = 0; i < m->log_count; i++) {
        const struct log *log = &m->logs[i];
        if (!given_up(m, log))
            continue;
        evict_settle(m, log, log->acked < log->known ? log->acked : log->known);
        return; /* one at a time, the next when it is durable */
    }
    m->settle_dirty = false;
}

bool evict_declines(const struct mesh *m, const struct log *log, uint32_t seq)
{
    return !keeps_all(m) && !log->local && log->lane == 0 && settles(log, seq) &&
           taken(m) >= m->cfg.record_count_max;
}

void evict_settle(struct mesh *m, const struct log *log, uint32_t seq)
{
    struct record_ref ref = { .author = log->author, .lane = log->lane, .seq = seq };
    m->settle_dirty = true;
    struct queued_event *q = core_queue_event(m, MESH_EV_SETTLE);
    if (q)
        q->ev.ref = ref; /* else it is offered again, and settled then */
}
