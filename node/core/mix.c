/* Mixes: several records in the room of one, for neighbours of which each lacks another one.
 *
 * A relay between two halves of a network carries news both ways; who lacks the one record holds
 * the other, and gets his own out of their sum.  What the sum was made of is decided by beliefs;
 * where one was wrong, the record is missing there a while longer, as after a frame not heard. */
#include "node/core/core_internal.h"

enum { MIX_TRY_COUNT_MAX = 64 }; /* records looked at for one partner */

/* ---- hearing one -------------------------------------------------------------------- */

static uint32_t find_mixed(const struct mesh *m, const struct frame_mixed *x)
{
    const struct log *log = table_find_log(m, (uint16_t)(x->log / LANE_COUNT),
                                           (uint8_t)(x->log % LANE_COUNT));
    return log ? table_find(m, log, x->seq) : SLOT_NONE;
}

static bool durable(const struct mesh *m, uint32_t index)
{
    return index != SLOT_NONE && !(m->slots[index].flags & SLOT_PENDING);
}

/* Takes a record held here out of the sum.  False if it is not what the sender took it for, or
 * cannot be read now. */
static bool take_out(struct mesh *m, uint32_t index, const struct frame_mixed *x,
                     uint8_t sum[RECORD_LEN_MAX])
{
    const struct slot *s = &m->slots[index];
    struct record_ref ref = { .seq = s->seq, .author = m->logs[s->log].author,
                              .lane = m->logs[s->log].lane };
    if (s->len != x->len)
        return false;
    if (m->cfg.outside.load(m->cfg.outside.ctx, &ref, m->scratch) != s->len) {
        m->stats.load_failed++;
        return false;
    }
    for (uint8_t i = 0; i < s->len; i++)
        sum[i] ^= m->scratch[i];
    return true;
}

/* The one record of a mix that is not held here, out of the others. */
static enum mesh_verdict resolve(struct mesh *m, const struct kept_mix *k, uint8_t missing,
                                 struct neighbour *from)
{
    uint8_t sum[RECORD_LEN_MAX];
    memcpy(sum, k->sum, sizeof sum);
    for (uint8_t i = 0; i < k->count; i++)
        if (i != missing && !take_out(m, find_mixed(m, &k->mixed[i]), &k->mixed[i], sum))
            return MESH_RX_MALFORMED;
    for (size_t i = k->mixed[missing].len; i < sizeof sum; i++)
        if (sum[i])
            return MESH_RX_MALFORMED;
    return rx_record(m, sum, k->mixed[missing].len, from);
}

/* How many are not held here; *missing_out: the last of them. */
static uint8_t count_missing(const struct mesh *m, const struct kept_mix *k, uint8_t *missing_out)
{
    uint8_t count = 0;
    for (uint8_t i = 0; i < k->count; i++)
        if (!durable(m, find_mixed(m, &k->mixed[i]))) {
            *missing_out = i;
            count++;
        }
    return count;
}

static void keep(struct mesh *m, const struct kept_mix *k)
{
    m->mixes[m->mix_next] = *k;
    m->mix_next = (uint8_t)((m->mix_next + 1) % MIX_KEPT_COUNT);
}

bool mix_heard(struct mesh *m, const struct frame_view *v, struct neighbour *from)
{
    struct kept_mix k = { .count = v->mix_count, .node = from->node };
    uint8_t missing, longest_len = 0;
    for (uint8_t i = 0; i < k.count; i++) {
        k.mixed[i] = v->mixed[i];
        if (k.mixed[i].len > longest_len)
            longest_len = k.mixed[i].len;
    }
    if (longest_len > sizeof k.sum) {
        m->stats.rx[MESH_RX_MALFORMED]++;
        return false;
    }
    memcpy(k.sum, v->mix, longest_len);
    for (uint8_t i = 0; i < k.count; i++) {
        uint32_t index = find_mixed(m, &k.mixed[i]);
        if (index != SLOT_NONE)
            rx_note_copy(m, &m->slots[index], from);
    }
    m->need_dirty = true;
    uint8_t count = count_missing(m, &k, &missing);
    if (count == 0) {
        m->stats.rx[MESH_RX_DUPLICATE] += k.count;
        return false;
    }
    if (count > 1) {
        keep(m, &k);
        return false;
    }
    enum mesh_verdict verdict = resolve(m, &k, missing, from);
    m->stats.rx[verdict]++;
    return verdict == MESH_RX_NEW;
}

void mix_retry(struct mesh *m)
{
    for (uint8_t i = 0; i < MIX_KEPT_COUNT; i++) {
        struct kept_mix *k = &m->mixes[i];
        uint8_t missing, count = k->count ? count_missing(m, k, &missing) : 2;
        if (count > 1)
            continue;
        if (count == 1) {
            enum mesh_verdict verdict = resolve(m, k, missing, neigh_find(m, k->node));
            m->stats.rx[verdict]++;
            if (verdict == MESH_RX_FULL)
                continue;
        }
        k->count = 0;
    }
}

/* ---- making one ----------------------------------------------------------------------- */

/* Those of `nodes` that are believed to hold just this record, and not only a newer one. */
static uint64_t holding(const struct mesh *m, const struct slot *s, uint64_t nodes)
{
    uint64_t known = nodes & (s->confirmed | s->told);
    return m->logs[s->log].lane != 0 ? known : nodes & ~neigh_lacking(m, s, nodes);
}

/* Whoever lacks both cannot take the sum apart yet: it waits there for either of them. */
static bool goes_with(const struct mesh *m, const struct mix_draft *d, uint32_t index, uint64_t by)
{
    const struct slot *s = &m->slots[index];
    uint64_t others = d->by & ~by;
    by &= ~d->by;
    if ((s->flags & SLOT_SHOUT) || holding(m, s, others) != others)
        return false;
    for (uint8_t i = 0; i < m->tx.slot_count; i++)
        if (m->tx.slots[i] == index)
            return false; /* in the frame already, on its own */
    for (uint8_t i = 0; i < d->count; i++)
        if (d->slots[i] == index || holding(m, &m->slots[d->slots[i]], by) != by)
            return false;
    return true;
}

/* How many more it would help, less those whom it would keep waiting. */
static int gain(const struct mix_draft *d, uint64_t by)
{
    return __builtin_popcountll(by & ~d->by) - __builtin_popcountll(by & (d->by | d->waiting));
}

static uint32_t best_partner(const struct mesh *m, const struct mix_draft *d, uint64_t reach,
                             size_t len_max, uint64_t *by_out)
{
    uint32_t best = SLOT_NONE, seen = 0;
    int best_gain = 0;
    for (uint32_t p = PRIORITY_EVACUATION; p-- > 0;) {
        uint64_t by;
        uint32_t i = m->order_first[p];
        for (; seen < MIX_TRY_COUNT_MAX && (i = turn_next_wanted(m, i, reach, &by)) != SLOT_NONE;
             i = m->slots[i].order_next, seen++) {
            int more = gain(d, by);
            if (more > best_gain && m->slots[i].len <= len_max && goes_with(m, d, i, by)) {
                best = i;
                best_gain = more;
                *by_out = by;
            }
        }
    }
    return best;
}

void mix_add_partners(struct mesh *m, struct mix_draft *d, uint64_t reach, size_t room_len)
{
    const struct slot *first = &m->slots[d->slots[0]];
    if (first->priority >= PRIORITY_EVACUATION || (first->flags & SLOT_SHOUT))
        return;
    while (d->count < FRAME_MIX_COUNT_MAX && room_len > MIX_ENTRY_LEN_MAX) {
        uint64_t by;
        room_len -= MIX_ENTRY_LEN_MAX;
        uint32_t i = best_partner(m, d, reach, d->len + room_len, &by);
        if (i == SLOT_NONE)
            return;
        const struct slot *s = &m->slots[i];
        struct record_ref ref = { .seq = s->seq, .author = m->logs[s->log].author,
                                  .lane = m->logs[s->log].lane };
        if (m->cfg.outside.load(m->cfg.outside.ctx, &ref, m->scratch) != s->len) {
            m->stats.load_failed++;
            return;
        }
        for (uint8_t k = 0; k < s->len; k++)
            d->sum[k] ^= m->scratch[k];
        if (s->len > d->len) {
            room_len -= (size_t)s->len - d->len;
            d->len = s->len;
        }
        d->waiting |= d->by & by;
        d->by = (d->by | by) & ~d->waiting;
        d->slots[d->count++] = i;
    }
}
