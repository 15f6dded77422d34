/* Authors, logs and records: what this node knows to exist and what it holds. */
#include "node/core/core_internal.h"

uint32_t table_log_number(const struct log *log)
{
    return (uint32_t)log->author * LANE_COUNT + log->lane;
}

static uint64_t held_hash(const struct log *log, uint32_t seq)
{
    return core_mix((uint64_t)table_log_number(log) << 32 | seq);
}

static void count_hash(struct mesh *m, struct log *log, uint64_t hash)
{
    m->digest += hash;
    log->sum += hash;
}

void table_init(struct mesh *m)
{
    for (uint32_t i = 0; i <= m->bucket_mask; i++)
        m->buckets[i] = SLOT_NONE;
    /* Slots never used are not touched, so that they cost no memory: the free list ends in the
     * first of them. */
    m->free_slot = m->fresh_slot = 0;
    for (int p = 0; p < PRIORITY_COUNT; p++)
        m->order_first[p] = m->order_last[p] = SLOT_NONE;
}

/* Where `number` is or would stand among the sorted authors. */
static uint16_t author_position(const struct mesh *m, uint16_t number)
{
    uint16_t lo = 0, hi = m->author_count;
    while (lo < hi) {
        uint16_t mid = (uint16_t)((lo + hi) / 2);
        if (m->authors[mid].author.number < number)
            lo = (uint16_t)(mid + 1);
        else
            hi = mid;
    }
    return lo;
}

struct author_slot *table_find_author(const struct mesh *m, uint16_t number)
{
    uint16_t at = author_position(m, number);
    if (at < m->author_count && m->authors[at].author.number == number)
        return &m->authors[at];
    return NULL;
}

uint32_t table_last_good(const struct mesh_author *a, uint8_t lane)
{
    /* A newest record's number says nothing about when it was written. */
    return a->last_good_seq != UINT32_MAX && lane != 0 ? 0 : a->last_good_seq;
}

uint32_t table_log_end(const struct mesh *m, const struct log *log)
{
    return table_last_good(&table_find_author(m, log->author)->author, log->lane);
}

bool table_is_revoked(const struct mesh *m, const struct record_ref *ref)
{
    const struct author_slot *a = table_find_author(m, ref->author);
    return a && ref->seq > table_last_good(&a->author, ref->lane);
}

void table_expect_own(struct mesh *m, struct log *log)
{
    log->lost = log->reserved > log->top && log->top < table_log_end(m, log);
    if (!log->lost)
        return;
    /* A crash came between the note and the record, or the record was lost after it had been on
     * air.  So what we hold of this log is told at once: whoever has more answers. */
    log->claimed_ms = m->now_ms;
    log->changed_ms = m->now_ms;
}

/* What of a log lies past its author's last good number leaves the core, so that it is neither
 * offered to those who refuse it nor a difference from them.  The store keeps it as evidence. */
static void cut_log(struct mesh *m, struct log *log, uint32_t last_good)
{
    uint16_t log_index = table_log_index(m, log);
    uint32_t top = log->settled < last_good ? log->settled : last_good;
    for (uint32_t i = 0; i < m->fresh_slot; i++) {
        struct slot *s = &m->slots[i];
        if ((s->flags & (SLOT_USED | SLOT_PENDING)) != SLOT_USED || s->log != log_index)
            continue;
        if (s->seq <= last_good) {
            top = s->seq > top ? s->seq : top;
            continue;
        }
        evict_forgotten(m, i);
        table_forget(m, i);
    }
    for (; log->settled > last_good; log->settled--)
        count_hash(m, log, 0 - held_hash(log, log->settled));
    if (log->lane != 0)
        log->newest = SLOT_NONE;
    log->top = top;
    log->held = log->held < last_good ? log->held : last_good;
    log->known = log->known < last_good ? log->known : last_good;
    if (log->known <= log->held)
        log->hole_ms = 0;
    log->changed_ms = 0; /* not told: who has not heard of it would send it all again */
    m->stats.state_changes++;
    m->need_dirty = true;
}

int mesh_set_author(struct mesh *m, const struct mesh_author *author)
{
    if (author->number == AUTHOR_NONE)
        return MESH_ECONFIG;
    struct author_slot *a = table_find_author(m, author->number);
    if (!a) {
        if (m->author_count == m->cfg.author_count_max)
            return MESH_EFULL;
        uint16_t at = author_position(m, author->number);
        memmove(&m->authors[at + 1], &m->authors[at],
                (size_t)(m->author_count - at) * sizeof *m->authors);
        m->author_count++;
        a = &m->authors[at];
        a->author = *author;
        for (int lane = 0; lane < LANE_COUNT; lane++)
            a->log[lane] = LOG_NONE;
    } else if (memcmp(a->author.key, author->key, KENG_KEY_LEN) != 0) {
        return MESH_ECONFIG;
    }
    uint32_t before = a->author.last_good_seq;
    a->author = *author;
    for (uint8_t lane = 0; lane < LANE_COUNT; lane++) {
        if (a->log[lane] == LOG_NONE)
            continue;
        m->logs[a->log[lane]].local = author->local;
        if (author->last_good_seq < before)
            cut_log(m, &m->logs[a->log[lane]], table_last_good(author, lane));
        else if (author->last_good_seq > before)
            table_expect_own(m, &m->logs[a->log[lane]]);
    }
    if (author->last_good_seq < before) {
        ack_take_back(m, author->number);
        neigh_recheck(m);
    }
    return MESH_OK;
}

struct log *table_find_log(const struct mesh *m, uint16_t author, uint8_t lane)
{
    const struct author_slot *a = table_find_author(m, author);
    return a && a->log[lane] != LOG_NONE ? &m->logs[a->log[lane]] : NULL;
}

struct log *table_get_log(struct mesh *m, uint16_t author, uint8_t lane)
{
    struct author_slot *a = table_find_author(m, author);
    if (!a)
        return NULL;
    if (a->log[lane] != LOG_NONE)
        return &m->logs[a->log[lane]];
    if (m->log_count == m->cfg.log_count_max)
        return NULL;
    struct log *log = &m->logs[m->log_count];
    *log = (struct log){ .author = author, .lane = lane, .local = a->author.local,
                         .newest = SLOT_NONE, .acked_by = AUTHOR_NONE, .claimed_ms = MESH_NEVER };
    a->log[lane] = m->log_count++;
    return log;
}

uint16_t table_log_index(const struct mesh *m, const struct log *log)
{
    return (uint16_t)(log - m->logs);
}

static uint32_t *bucket_of(const struct mesh *m, uint16_t log_index, uint32_t seq)
{
    return &m->buckets[core_mix((uint64_t)log_index << 32 | seq) & m->bucket_mask];
}

uint32_t table_find(const struct mesh *m, const struct log *log, uint32_t seq)
{
    uint16_t log_index = table_log_index(m, log);
    uint32_t i = *bucket_of(m, log_index, seq);
    while (i != SLOT_NONE && (m->slots[i].seq != seq || m->slots[i].log != log_index))
        i = m->slots[i].hash_next;
    return i;
}

bool table_holds(const struct mesh *m, const struct log *log, uint32_t seq)
{
    uint32_t i = table_find(m, log, seq);
    return i != SLOT_NONE && !(m->slots[i].flags & SLOT_PENDING);
}

uint32_t table_next_held(const struct mesh *m, const struct log *log, uint32_t after)
{
    uint16_t log_index = table_log_index(m, log);
    if (log->top - after <= m->fresh_slot) {
        for (uint32_t seq = after + 1; seq <= log->top; seq++)
            if (table_holds(m, log, seq))
                return seq;
        return 0;
    }
    /* One record may claim any number: looking through all slots is then the shorter way. */
    uint32_t next = 0;
    for (uint32_t i = 0; i < m->fresh_slot; i++) {
        const struct slot *s = &m->slots[i];
        if ((s->flags & (SLOT_USED | SLOT_PENDING)) == SLOT_USED && s->log == log_index &&
            s->seq > after && (next == 0 || s->seq < next))
            next = s->seq;
    }
    return next;
}

uint32_t table_add(struct mesh *m, struct log *log, const struct record_view *view)
{
    uint32_t i = m->free_slot;
    assert(i != SLOT_NONE); /* there are more slots than may be held and staged */
    struct slot *s = &m->slots[i];
    if (i == m->fresh_slot)
        m->free_slot = ++m->fresh_slot < m->cfg.record_count_max + MESH_STAGED_COUNT_MAX
                           ? m->fresh_slot : SLOT_NONE;
    else
        m->free_slot = s->hash_next;
    uint16_t log_index = table_log_index(m, log);
    uint32_t *bucket = bucket_of(m, log_index, view->ref.seq);
    *s = (struct slot){ .seq = view->ref.seq, .log = log_index, .len = (uint8_t)view->len,
                        .kind = view->kind, .priority = view->priority,
                        .flags = SLOT_USED | SLOT_PENDING, .acked_by = AUTHOR_NONE,
                        .heard_from = MESH_NEIGHBOUR_COUNT_MAX,
                        .sig_prefix = load32_be(view->sig), .hash_next = *bucket,
                        .order_prev = SLOT_NONE, .order_next = SLOT_NONE };
    *bucket = i;
    log->pending_count++;
    m->used_count++;
    return i;
}

uint8_t table_class(const struct mesh *m, struct log *log, uint8_t priority)
{
    if (priority == PRIORITY_ROUTINE || log->lane != 0 || log->author == AUTHOR_ROOT)
        return priority;
    if (log->paced_ms < m->now_ms)
        log->paced_ms = m->now_ms;
    uint64_t cost = (log->paced_ms - m->now_ms) / (PACE_COUNT * PACE_MS);
    /* It costs no more than it may: a flood must not be paid for long after it ended. */
    if (cost < PRIORITY_COUNT)
        log->paced_ms += PACE_MS;
    return cost < priority ? (uint8_t)(priority - cost) : PRIORITY_ROUTINE;
}

static void order_append(struct mesh *m, uint32_t i)
{
    struct slot *s = &m->slots[i];
    s->order_prev = m->order_last[s->priority];
    s->order_next = SLOT_NONE;
    if (s->order_prev != SLOT_NONE)
        m->slots[s->order_prev].order_next = i;
    else
        m->order_first[s->priority] = i;
    m->order_last[s->priority] = i;
}

static void order_remove(struct mesh *m, const struct slot *s)
{
    if (s->order_prev != SLOT_NONE)
        m->slots[s->order_prev].order_next = s->order_next;
    else
        m->order_first[s->priority] = s->order_next;
    if (s->order_next != SLOT_NONE)
        m->slots[s->order_next].order_prev = s->order_prev;
    else
        m->order_last[s->priority] = s->order_prev;
}

void table_forget(struct mesh *m, uint32_t index)
{
    struct slot *s = &m->slots[index];
    struct log *log = &m->logs[s->log];
    assert(s->flags & SLOT_USED);
    if (s->flags & SLOT_PENDING) {
        log->pending_count--;
    } else {
        order_remove(m, s);
        if (s->seq > log->settled)
            count_hash(m, log, 0 - held_hash(log, s->seq));
        log->held_count--;
        m->stats.records_held--;
    }
    uint32_t *link = bucket_of(m, s->log, s->seq);
    while (*link != index)
        link = &m->slots[*link].hash_next;
    *link = s->hash_next;
    *s = (struct slot){ .hash_next = m->free_slot };
    m->free_slot = index;
    m->used_count--;
}

/* While very much is missing and only one is near, that some of it came is not worth telling: he
 * sent it. */
static bool catching_up(const struct mesh *m)
{
    uint64_t reach = neigh_reach_mask(m);
    uint32_t count = 0;
    if (reach & (reach - 1))
        return false;
    for (uint16_t i = 0; i < m->log_count; i++)
        count += m->logs[i].known > m->logs[i].held;
    return count > CATCH_UP_LOGS;
}

bool table_load(struct mesh *m, uint32_t index)
{
    struct slot *s = &m->slots[index];
    struct record_ref ref = { .seq = s->seq, .author = m->logs[s->log].author,
                              .lane = m->logs[s->log].lane };
    if (m->cfg.outside.load(m->cfg.outside.ctx, &ref, m->scratch) == s->len)
        return true;
    m->stats.load_failed++;
    s->told = UINT64_MAX;
    s->flags &= (uint8_t)~SLOT_SHOUT;
    return false;
}

void table_commit(struct mesh *m, uint32_t index)
{
    struct slot *s = &m->slots[index];
    struct log *log = &m->logs[s->log];
    assert(s->flags & SLOT_PENDING);
    s->flags &= (uint8_t)~SLOT_PENDING;
    log->pending_count--;
    order_append(m, index);
    if (s->seq > log->settled)
        count_hash(m, log, held_hash(log, s->seq));
    log->held_count++;
    m->stats.records_held++;
    m->stats.state_changes++;
    bool risen = s->seq > log->top;
    if (risen)
        log->top = s->seq;
    if (s->seq > log->known)
        log->known = s->seq;
    if (log->lane != 0) {
        if (log->newest != SLOT_NONE)
            table_forget(m, log->newest);
        log->newest = index;
        log->held = s->seq;
    }
    while (log->lane == 0 && table_holds(m, log, log->held + 1))
        log->held++;
    if (risen || !catching_up(m))
        log->changed_ms = m->now_ms;
    if (log->hole_ms > 0)
        m->hole_gap_ms = 0; /* asking helps */
    if (log->known <= log->held)
        log->hole_ms = 0;
    else if (log->hole_ms == 0)
        log->hole_ms = m->now_ms;
}

void table_settle(struct mesh *m, struct log *log, uint32_t seq)
{
    uint32_t end = table_log_end(m, log);
    seq = seq < end ? seq : end;
    for (uint32_t i = log->settled + 1; i <= seq; i++)
        if (!table_holds(m, log, i))
            count_hash(m, log, held_hash(log, i));
    if (seq <= log->settled)
        return;
    log->settled = seq;
    if (log->held < seq)
        log->held = seq;
    while (table_holds(m, log, log->held + 1))
        log->held++;
    if (log->top < seq)
        log->top = seq;
    if (log->known < log->top)
        log->known = log->top;
    if (log->known <= log->held)
        log->hole_ms = 0;
    log->changed_ms = m->now_ms;
}

bool table_is_gateway(const struct mesh *m, uint16_t author)
{
    const struct author_slot *a = table_find_author(m, author);
    return a && (a->author.roles & MESH_ROLE_GATEWAY) && a->author.last_good_seq == UINT32_MAX;
}

/* Salted with the sender, so that two different holdings that look alike to one pair of nodes
 * do not look alike to the next. */
uint32_t table_digest24(const struct mesh *m, uint16_t sender)
{
    return (uint32_t)(core_mix(m->digest + sender) & 0xffffffu);
}
