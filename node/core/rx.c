/* What was heard: a verdict and a counter for every frame and every record. */
#include "node/core/core_internal.h"

/* Which kinds an author may write: the roster's roles decide, not the record. */
bool rx_role_allows(const struct mesh_author *a, uint8_t kind)
{
    bool root = a->number == AUTHOR_ROOT;
    switch (kind) {
    case RECORD_ROSTER:
    case RECORD_PROFILE:
        return root;
    case RECORD_REVIEW:
    case RECORD_DIRECTIVE:
    case RECORD_SIGNOFF:
        return a->roles & (MESH_ROLE_REVIEW | MESH_ROLE_GATEWAY);
    default:
        if (record_is_ack(kind))
            return a->roles & MESH_ROLE_GATEWAY;
        return !root;
    }
}

static enum mesh_verdict verify_record(struct mesh *m, const struct mesh_author *a,
                                       const struct record_view *v)
{
    if (v->ref.seq > table_last_good(a, v->ref.lane))
        return MESH_RX_REVOKED;
    if (!rx_role_allows(a, v->kind))
        return MESH_RX_ROLE;
    if (!m->cfg.outside.verify(m->cfg.outside.ctx, v, a->key))
        return MESH_RX_BADSIG;
    return MESH_RX_NEW;
}

static struct queued_event *stage(struct mesh *m, enum mesh_event_type type,
                                  const struct record_view *v, const struct neighbour *from)
{
    struct queued_event *q = core_queue_event(m, type);
    if (!q)
        return NULL;
    q->ev.ref = v->ref;
    q->ev.from_node = from ? from->node : AUTHOR_NONE;
    q->ev.len = (uint16_t)v->len;
    memcpy(q->ev.bytes, v->bytes, v->len);
    return q;
}

/* Who sends a record holds it, and who by its own word hears the sender very likely holds it now.
 * Of those who have not said yet whom they hear, we believe it once enough different nodes said it;
 * summaries mend what is missing. */
void rx_note_copy(struct mesh *m, struct slot *s, const struct neighbour *from)
{
    uint8_t index = (uint8_t)(from - m->neighbours);
    m->air_ms = m->now_ms;
    m->stats.state_changes += m->logs[s->log].local && !(s->confirmed & neigh_bit(m, from));
    s->confirmed |= neigh_bit(m, from);
    s->told |= neigh_hearing(m, from);
    s->said_ms = (uint32_t)m->now_ms;
    if (s->heard_count > HEARD_ENOUGH || s->heard_from == index)
        return;
    s->heard_from = index;
    if (++s->heard_count <= HEARD_ENOUGH)
        return;
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        if (!m->neighbours[i].links_known)
            s->told |= 1ull << i;
}

static enum mesh_verdict known_record(struct mesh *m, struct log *log, uint32_t index,
                                      const struct mesh_author *a, const struct record_view *v,
                                      const struct neighbour *from)
{
    struct slot *s = &m->slots[index];
    if (s->sig_prefix == load32_be(v->sig)) {
        if (from)
            rx_note_copy(m, s, from);
        m->need_dirty = true;
        return MESH_RX_DUPLICATE;
    }
    /* Two records under one number: only a valid signature makes it the author's doing. */
    enum mesh_verdict verdict = verify_record(m, a, v);
    if (verdict != MESH_RX_NEW)
        return verdict;
    struct record_ref ref = v->ref;
    if (!log->forked && !core_event_queued(m, MESH_EV_FORK, &ref))
        stage(m, MESH_EV_FORK, v, from);
    return MESH_RX_FORK;
}

/* Somebody is enrolled of whom we have not heard: there is more of the root's log than we hold, and
 * what he wrote is lost on us until we have it. */
static void ask_for_roster(struct mesh *m)
{
    struct log *root = table_get_log(m, AUTHOR_ROOT, 0);
    if (!root || root->known > root->held)
        return;
    root->known = root->held + 1;
    trickle_ask(m, root, HOLE_UNITS);
}

enum mesh_verdict rx_record(struct mesh *m, const uint8_t *bytes, size_t len,
                            struct neighbour *from)
{
    struct record_view v;
    if (record_decode(bytes, len, &v) != RECORD_OK)
        return MESH_RX_MALFORMED;
    const struct author_slot *a = table_find_author(m, v.ref.author);
    if (!a) {
        ask_for_roster(m);
        return MESH_RX_UNKNOWN_AUTHOR;
    }
    struct log *log = table_find_log(m, v.ref.author, v.ref.lane);
    uint32_t index = log ? table_find(m, log, v.ref.seq) : SLOT_NONE;
    if (index != SLOT_NONE)
        return known_record(m, log, index, &a->author, &v, from);
    if (log && v.ref.lane == 0 && v.ref.seq <= log->settled)
        return MESH_RX_SETTLED;
    if (log && v.ref.lane != 0) {
        if (v.ref.seq <= log->held)
            return MESH_RX_SUPERSEDED;
        if (log->pending_count > 0)
            return MESH_RX_FULL; /* one at a time: the store must know what it replaces */
    }
    enum mesh_verdict verdict = verify_record(m, &a->author, &v);
    if (verdict != MESH_RX_NEW)
        return verdict;

    log = table_get_log(m, v.ref.author, v.ref.lane);
    if (!log)
        return MESH_RX_FULL;
    if (evict_declines(m, log, v.ref.seq)) {
        evict_settle(m, log, v.ref.seq);
        return MESH_RX_SETTLED;
    }
    uint32_t victim;
    v.priority = table_class(m, log, v.priority);
    if (!evict_find(m, log, v.priority, v.ref.seq, &victim))
        return MESH_RX_FULL;
    struct queued_event *q = stage(m, MESH_EV_STORE, &v, from);
    if (!q)
        return MESH_RX_FULL;
    q->slot = table_add(m, log, &v);
    q->ev.replaces_seq = log->lane != 0 ? log->held : 0;
    evict_begin(m, q, victim);
    m->slots[q->slot].heard_from = MESH_NEIGHBOUR_COUNT_MAX;
    if (from)
        rx_note_copy(m, &m->slots[q->slot], from);
    return MESH_RX_NEW;
}

static enum mesh_verdict admit(struct mesh *m, const uint8_t *buf, size_t len,
                               struct frame_view *frame_out)
{
    int err = frame_decode(buf, len, frame_out);
    if (err == FRAME_EVERSION)
        return MESH_RX_VERSION;
    if (err != FRAME_OK)
        return MESH_RX_MALFORMED;
    uint8_t tag[FRAME_TAG_LEN];
    m->cfg.outside.tag(m->cfg.outside.ctx, buf, 1, frame_out->signed_part, frame_out->signed_len,
                       tag);
    uint8_t differs = 0;
    for (int i = 0; i < FRAME_TAG_LEN; i++)
        differs |= tag[i] ^ frame_out->tag[i];
    if (differs)
        return MESH_RX_FOREIGN;
    return frame_out->sender == m->cfg.node ? MESH_RX_ECHO : MESH_RX_FRAME;
}

/* What a sender says of itself. */
static void note_statements(struct mesh *m, struct neighbour *n, struct frame_view *v)
{
    if (v->flags & FRAME_FLAG_LINKS)
        neigh_on_links(m, n, v);
    if (v->flags & FRAME_FLAG_WHOLE)
        tell_answered(m);
    if (v->flags & FRAME_FLAG_SUMMARY) {
        neigh_on_summary(m, n, v);
        hearsay_consider(m, n);
    }
    if (v->sum_count > 0)
        sums_heard(m, n, v);
}

enum mesh_verdict mesh_on_frame(struct mesh *m, uint64_t now_ms, const uint8_t *frame, size_t len,
                                const struct mesh_rx_meta *meta)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    struct frame_view v;
    enum mesh_verdict verdict = admit(m, frame, len, &v);
    m->stats.rx[verdict]++;
    if (verdict != MESH_RX_FRAME)
        return verdict;

    struct neighbour *n = neigh_heard(m, &v, meta);
    m->heard_ms = now_ms;
    if (n->room != v.room)
        m->need_dirty = true;
    n->room = v.room;
    if (v.about != v.sender)
        hearsay_heard(m, &v);
    else
        note_statements(m, n, &v);
    bool news = (v.flags & FRAME_FLAG_MIX) && mix_heard(m, &v, n);
    const uint8_t *record;
    size_t record_len;
    while (frame_next_record(&v, &record, &record_len)) {
        enum mesh_verdict each = rx_record(m, record, record_len, n);
        m->stats.rx[each]++;
        news = news || each == MESH_RX_NEW;
    }
    /* A frame with news comes from a node that is ahead by just that: no difference to mend. */
    if (!news)
        neigh_on_digest(m, n, v.digest);
    else
        n->digest = v.digest; /* compared when the news is durable here too */
    return verdict;
}

enum mesh_verdict mesh_on_record(struct mesh *m, uint64_t now_ms, const uint8_t *record, size_t len)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    enum mesh_verdict verdict = rx_record(m, record, len, NULL);
    m->stats.rx[verdict]++;
    return verdict;
}
