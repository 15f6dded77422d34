/* Hearsay: what a neighbour lacks who does not hear us, told to those whom he hears.
 *
 * A village behind a hill may hear only nodes that do not hear it.  Those know nothing of it, and
 * who knows what it lacks cannot help; one frame from the latter to the former closes the ring. */
#include "node/core/core_internal.h"

static bool lists(const struct neighbour *n, uint16_t node)
{
    for (uint8_t i = 0; i < n->link_count; i++)
        if (n->links[i].node == node)
            return true;
    return false;
}

/* What it lacks of a log, as far as we hold it; false: nothing. */
static bool lacking(const struct mesh *m, const struct neighbour *n, const struct log *log,
                    struct frame_entry *e)
{
    uint64_t bit = neigh_bit(m, n);
    *e = (struct frame_entry){ .log = table_log_number(log),
                               .held = n->held[table_log_index(m, log)] };
    if (log->lane != 0)
        return log->newest != SLOT_NONE && neigh_lacking(m, &m->slots[log->newest], bit);
    uint32_t at = e->held;
    bool lacks = false;
    for (uint32_t seq = at; seq < log->top && (seq = table_next_held(m, log, seq)) != 0;) {
        if (neigh_lacking(m, &m->slots[table_find(m, log, seq)], bit)) {
            lacks = true;
            continue;
        }
        if (seq > at + 1 && e->run_count == FRAME_RUN_COUNT_MAX)
            break; /* the entry is silent about what lies behind */
        if (seq > at + 1)
            e->runs[e->run_count++].gap = seq - at - 1;
        if (e->run_count > 0)
            e->runs[e->run_count - 1].held++;
        else
            e->held = seq;
        at = seq;
    }
    return lacks;
}

/* Is there somebody whom it hears, who does not hear it and hears us? */
static bool somebody_to_tell(struct mesh *m, const struct neighbour *n)
{
    uint64_t near = neigh_near_mask(m);
    for (uint8_t i = 0; i < n->link_count; i++) {
        const struct neighbour *other = neigh_find(m, n->links[i].node);
        if (other && other->links_known && (near & neigh_bit(m, other)) && !lists(other, n->node))
            return true;
    }
    return false;
}

static bool of_use(struct mesh *m, const struct neighbour *n)
{
    struct frame_entry e;
    if (!n->used || !n->unanswered || n->hears_us || n->room > 0 || !somebody_to_tell(m, n))
        return false;
    for (uint16_t i = 0; i < m->log_count; i++)
        if (lacking(m, n, &m->logs[i], &e))
            return true;
    return false;
}

void hearsay_consider(struct mesh *m, struct neighbour *n)
{
    bool told = n->hearsay_ms > 0 && m->now_ms - n->hearsay_ms < HEARSAY_GAP_MS;
    if (told || m->hearsay_ms != MESH_NEVER || !of_use(m, n))
        return;
    m->hearsay_about = (uint8_t)(n - m->neighbours);
    m->hearsay_ms = m->now_ms + core_between(m, m->unit_ms, HEARSAY_UNITS * m->unit_ms);
    m->need_dirty = true;
}

void hearsay_review(struct mesh *m)
{
    if (m->hearsay_ms <= m->now_ms && !of_use(m, &m->neighbours[m->hearsay_about]))
        m->hearsay_ms = MESH_NEVER;
}

bool hearsay_write(struct mesh *m, struct frame_builder *b)
{
    struct neighbour *n = &m->neighbours[m->hearsay_about];
    m->hearsay_ms = MESH_NEVER;
    n->hearsay_ms = m->now_ms;
    if (!frame_begin_hearsay(b, n->node, n->digest, n->links, n->link_count))
        return false;
    for (uint16_t a = 0; a < m->author_count; a++)
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            uint16_t index = m->authors[a].log[lane];
            struct frame_entry e;
            if (index != LOG_NONE && lacking(m, n, &m->logs[index], &e) && !frame_add_entry(b, &e))
                return true; /* the rest when this is made good */
        }
    return true;
}

void hearsay_heard(struct mesh *m, struct frame_view *frame)
{
    struct neighbour *n = neigh_find(m, frame->about);
    if (n) {
        n->hearsay_ms = m->now_ms;
        if (m->hearsay_about == n - m->neighbours)
            m->hearsay_ms = MESH_NEVER;
    }
    struct frame_view v = *frame;
    struct frame_link link = { .node = AUTHOR_NONE };
    while (link.node != m->cfg.node)
        if (frame->about == m->cfg.node || !frame_next_link(&v, &link))
            return; /* it is not for us */
    n = neigh_get(m, frame->about);
    n->heard_ms = m->now_ms;
    n->ignored_ms = 0;
    n->digest = frame->about_digest;
    neigh_on_links(m, n, frame);
    neigh_on_summary(m, n, frame);
    n->summary_known = true;
}
