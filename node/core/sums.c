/* Sums: of what is held in ranges of logs, and what the difference of ours and a neighbour's tells.
 *
 * A sum adds up a hash of each thing held, and the hash can be undone.  So where two nodes differ
 * in one record only, the difference of their sums is that record's name, in eight bytes, however
 * much they hold.  Where they differ in more, the answer is finer sums, and then the whole of those
 * ranges that still differ. */
#include "node/core/core_internal.h"

/* core_mix() undone: the inverses of its multipliers modulo 2^64, and each shift to its end. */
static uint64_t unmix(uint64_t x)
{
    x ^= x >> 31 ^ x >> 62;
    x *= 0x319642b2d24d8ec3ull;
    x ^= x >> 27 ^ x >> 54;
    x *= 0x96de1b173f119089ull;
    return x ^ x >> 30 ^ x >> 60;
}

static bool within(const struct log *log, uint32_t from, uint32_t to)
{
    uint32_t number = table_log_number(log);
    return number >= from && number <= to;
}

static uint64_t sum_of(const struct mesh *m, uint32_t from, uint32_t to)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < m->log_count; i++)
        if (within(&m->logs[i], from, to))
            sum += m->logs[i].sum;
    return sum;
}

uint32_t sums_log_count(const struct mesh *m, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint16_t i = 0; i < m->log_count; i++)
        count += m->logs[i].top > 0 && within(&m->logs[i], from, to);
    return count;
}

/* Ranges of about as many of our logs each; one range where they are few enough. */
size_t sums_split(const struct mesh *m, uint32_t from, uint32_t to, size_t part_count,
                  struct frame_sum out[FRAME_SUM_COUNT_MAX])
{
    uint32_t total = sums_log_count(m, from, to), seen = 0;
    size_t count = 0;
    out[0] = (struct frame_sum){ .from = from };
    for (uint16_t a = 0; a < m->author_count; a++)
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            uint16_t index = m->authors[a].log[lane];
            if (index == LOG_NONE || m->logs[index].top == 0 || !within(&m->logs[index], from, to))
                continue;
            if (seen > 0 && seen * part_count / total > count) {
                uint32_t number = table_log_number(&m->logs[index]);
                out[count++].to = number - 1;
                out[count] = (struct frame_sum){ .from = number };
            }
            seen++;
        }
    out[count++].to = to;
    for (size_t i = 0; i < count; i++)
        out[i].sum = sum_of(m, out[i].from, out[i].to);
    return count;
}

/* The one thing named by the difference of two sums, if it is one. */
static bool read_name(const struct mesh *m, uint64_t difference, const struct frame_sum *range,
                      struct record_ref *ref_out)
{
    uint64_t name = unmix(difference), number = name >> 32;
    uint32_t seq = (uint32_t)name;
    if (number < range->from || number > range->to || seq == 0 || seq > RECORD_SEQ_MAX)
        return false;
    *ref_out = (struct record_ref){ .author = (uint16_t)(number / LANE_COUNT),
                                    .lane = (uint8_t)(number % LANE_COUNT), .seq = seq };
    return table_find_author(m, ref_out->author) != NULL;
}

/* What does the neighbour hold, if it differs from us in one record of this range only? */
static bool resolve(struct mesh *m, struct neighbour *n, const struct frame_sum *theirs)
{
    uint64_t difference = sum_of(m, theirs->from, theirs->to) - theirs->sum;
    struct record_ref ref;
    if (difference == 0) {
        neigh_holds_same(m, n, theirs->from, theirs->to);
        return true;
    }
    if (read_name(m, difference, theirs, &ref)) {
        struct log *log = table_find_log(m, ref.author, ref.lane);
        bool held = log && table_holds(m, log, ref.seq);
        if (!held && !(log && log->lane == 0 && ref.seq <= log->settled))
            return false;
        neigh_holds_same(m, n, theirs->from, theirs->to);
        if (held)
            neigh_lacks_one(m, n, log, ref.seq);
        return true;
    }
    if (read_name(m, 0 - difference, theirs, &ref)) {
        neigh_holds_same(m, n, theirs->from, theirs->to);
        neigh_claims(m, &ref);
        return true;
    }
    /* Of a superseding lane both hold another newest. */
    for (uint16_t i = 0; i < m->log_count; i++) {
        struct log *log = &m->logs[i];
        if (log->lane == 0 || log->newest == SLOT_NONE || !within(log, theirs->from, theirs->to) ||
            !read_name(m, log->sum - difference, theirs, &ref) || ref.author != log->author ||
            ref.lane != log->lane)
            continue;
        neigh_holds_same(m, n, theirs->from, theirs->to);
        if (ref.seq < log->held)
            neigh_lacks_one(m, n, log, log->held);
        else
            neigh_claims(m, &ref);
        return true;
    }
    return false;
}

void sums_heard(struct mesh *m, struct neighbour *n, struct frame_view *frame)
{
    struct span open[FRAME_SUM_COUNT_MAX];
    size_t open_count = 0, range_count = frame->sum_count;
    bool all = frame->sum_from == 0;
    struct frame_sum theirs;
    while (frame_next_sum(frame, &theirs)) {
        if (resolve(m, n, &theirs))
            continue;
        if (open_count > 0 && open[open_count - 1].to + 1 == theirs.from)
            open[open_count - 1].to = theirs.to;
        else
            open[open_count++] = (struct span){ theirs.from, theirs.to };
    }
    if (open_count == 0) {
        if (all && theirs.to == FRAME_LOG_MAX)
            n->summary_known = true;
    } else {
        tell_answer(m, open, open_count,
                    range_count == 1 &&
                        sums_log_count(m, open[0].from, open[0].to) > FRAME_LOGS);
    }
    m->need_dirty = true;
}
