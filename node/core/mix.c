/* Mixes: several records in the room of one, for neighbours of which each lacks another one.
 *
 * A relay between two halves of a network carries news both ways; who lacks the one record holds
 * the other, and gets his own out of their sum.  What the sum was made of is decided by beliefs;
 * where one was wrong, the record is missing there a while longer, as after a frame not heard. */
#include "node/core/core_internal.h"

enum { MIX_TRY_COUNT_MAX = 64 }; /* records looked at for one partner */

/* ---- hearing one -------------------------------------------------------------------- */

/* One of another length is not the one that the sender means. */
static uint32_t find_mixed(const struct mesh *m, const struct frame_mixed *x)
{
    const struct log *log = table_find_log(m, (uint16_t)(x->log / LANE_COUNT),
                                           (uint8_t)(x->log % LANE_COUNT));
    uint32_t index = log ? table_find(m, log, x->seq) : SLOT_NONE;
    return index != SLOT_NONE && m->slots[index].len == x->len ? index : SLOT_NONE;
}

static bool durable(const struct mesh *m, uint32_t index)
{
    return index != SLOT_NONE && !(m->slots[index].flags & SLOT_PENDING);
}

static void add(uint8_t sum[RECORD_LEN_MAX], const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum[i] ^= bytes[i];
}

/* Is what is left of a sum the record that its sender named? */
static bool is_named(const uint8_t sum[RECORD_LEN_MAX], const struct frame_mixed *x)
{
    struct record_view v;
    for (size_t i = x->len; i < RECORD_LEN_MAX; i++)
        if (sum[i])
            return false;
    return record_decode(sum, x->len, &v) == RECORD_OK && v.ref.seq == x->seq &&
           (uint32_t)v.ref.author * LANE_COUNT + v.ref.lane == x->log;
}

/* The one record of a mix that is not held here, out of the others.  Was it new? */
static bool resolve(struct mesh *m, const struct kept_mix *k, uint8_t missing,
                    struct neighbour *from)
{
    const struct frame_mixed *x = &k->mixed[missing];
    uint8_t sum[RECORD_LEN_MAX];
    memcpy(sum, k->sum, sizeof sum);
    for (uint8_t i = 0; i < k->count; i++) {
        if (i == missing)
            continue;
        if (!table_load(m, find_mixed(m, &k->mixed[i])))
            return false;
        add(sum, m->scratch, k->mixed[i].len);
    }
    enum mesh_verdict verdict = is_named(sum, x) ? rx_record(m, sum, x->len, from)
                                                 : MESH_RX_MALFORMED;
    m->stats.rx[verdict]++;
    return verdict == MESH_RX_NEW;
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

/* The oldest makes room, but not for one that is here already: a frame replayed again and again
 * pushes out nothing. */
static void keep(struct mesh *m, const struct kept_mix *k)
{
    for (uint8_t i = 0; i < m->mix_count; i++)
        if (memcmp(m->mixes[i].sum, k->sum, sizeof k->sum) == 0)
            return;
    m->stats.mixes_kept++;
    if (m->mix_count == MIX_KEPT_COUNT) {
        m->stats.mixes_lost++;
        memmove(&m->mixes[0], &m->mixes[1], (MIX_KEPT_COUNT - 1) * sizeof m->mixes[0]);
        m->mix_count--;
    }
    m->mixes[m->mix_count++] = *k;
}

bool mix_heard(struct mesh *m, const struct frame_view *v, struct neighbour *from)
{
    struct kept_mix k = { .count = v->mix_count, .node = from->node };
    uint8_t missing, longest_len = 0;
    for (uint8_t i = 0; i < k.count; i++) {
        k.mixed[i] = v->mixed[i];
        if (k.mixed[i].len > longest_len)
            longest_len = k.mixed[i].len;
        uint32_t index = find_mixed(m, &k.mixed[i]);
        if (index != SLOT_NONE)
            rx_note_copy(m, &m->slots[index], from);
    }
    memcpy(k.sum, v->mix, longest_len);
    m->need_dirty = true;
    uint8_t count = count_missing(m, &k, &missing);
    m->stats.rx[MESH_RX_DUPLICATE] += (uint64_t)(k.count - count);
    if (count == 1)
        return resolve(m, &k, missing, from);
    if (count > 1)
        keep(m, &k);
    return false;
}

static bool names(const struct mesh *m, const struct kept_mix *k, const struct slot *s)
{
    const struct log *log = &m->logs[s->log];
    for (uint8_t i = 0; i < k->count; i++)
        if (k->mixed[i].seq == s->seq &&
            k->mixed[i].log == (uint32_t)log->author * LANE_COUNT + log->lane)
            return true;
    return false;
}

void mix_retry(struct mesh *m, const struct slot *s)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < m->mix_count; i++) {
        const struct kept_mix *k = &m->mixes[i];
        uint8_t missing, count = names(m, k, s) ? count_missing(m, k, &missing) : 2;
        if (count > 1)
            m->mixes[kept++] = *k;
        else if (count == 1)
            resolve(m, k, missing, neigh_find(m, k->node));
    }
    m->mix_count = kept;
}

/* ---- making one ----------------------------------------------------------------------- */

/* Those of `nodes` that are believed to hold just this record, and not only a newer one. */
static uint64_t holding(const struct mesh *m, const struct slot *s, uint64_t nodes)
{
    uint64_t known = nodes & (s->confirmed | s->told);
    bool superseding = m->logs[s->log].lane != 0;
    for (uint64_t rest = nodes; rest; rest &= rest - 1) {
        uint32_t held = m->neighbours[__builtin_ctzll(rest)].held[s->log];
        if (superseding && held > s->seq)
            known &= ~(rest & -rest);
        else if (!superseding && held >= s->seq)
            known |= rest & -rest;
    }
    return known;
}

/* Some belief about those who were to take it out of a mix is wrong: it goes by itself. */
static bool goes_alone(const struct slot *s)
{
    return (s->flags & SLOT_SHOUT) || s->sent_count >= MIX_SENT_COUNT_MAX;
}

/* Whoever lacks both cannot take the sum apart yet: it waits there for either of them. */
static bool goes_with(const struct mesh *m, const struct mix_draft *d, uint32_t index, uint64_t by)
{
    const struct slot *s = &m->slots[index];
    uint64_t others = d->by & ~by;
    by &= ~d->by;
    if (goes_alone(s) || holding(m, s, others) != others)
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
    if (first->priority >= PRIORITY_EVACUATION || goes_alone(first))
        return;
    while (d->count < FRAME_MIX_COUNT_MAX && room_len >= FRAME_MIX_ENTRY_LEN_MAX) {
        uint64_t by;
        room_len -= FRAME_MIX_ENTRY_LEN_MAX;
        uint32_t i = best_partner(m, d, reach, d->len + room_len, &by);
        if (i == SLOT_NONE || !table_load(m, i))
            return;
        const struct slot *s = &m->slots[i];
        add(d->sum, m->scratch, s->len);
        if (s->len > d->len) {
            room_len -= (size_t)s->len - d->len;
            d->len = s->len;
        }
        d->waiting |= d->by & by;
        d->by = (d->by | by) & ~d->waiting;
        d->slots[d->count++] = i;
    }
}
