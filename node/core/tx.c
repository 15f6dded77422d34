/* Frames: what goes into the next one, and what it costs.
 *
 * Three reasons make a node speak: an own record that nobody is known to hold, a neighbour believed
 * to lack something held here (turn.c), and a summary that is due (trickle.c).  One frame serves
 * them all. */
#include "node/core/core_internal.h"

/* Share of the window's budget, in percent, that a class may use up: the rest is for what is
 * more urgent, and the last of it for rescue alone.  Statements alone come last: while they could
 * use more than records, a node short of airtime asked for ever and never gave. */
static const uint32_t BUDGET_PERCENT[CLASS_COUNT] = { 50, 80, 90, 95, 100 };

enum {
    SUMMARY_ROOM_LEN = 7, /* entry count and range, at most */
};

static const struct span EVERYTHING = { 0, FRAME_LOG_MAX };

void tx_set_due(struct mesh *m, uint64_t wait_ms)
{
    uint64_t at_ms = m->now_ms + wait_ms;
    if (at_ms < m->tx.earliest_ms)
        at_ms = m->tx.earliest_ms;
    if (at_ms < m->tx.due_ms)
        m->tx.due_ms = at_ms;
}

/* ---- building a frame -------------------------------------------------------------- */

struct draft {
    uint8_t bytes[FRAME_LEN_MAX]; /* the chosen records, one after the other */
    uint8_t lens[FRAME_RECORD_COUNT_MAX];
    size_t len;                   /* of the records with their length bytes */
    uint8_t count, priority;
    struct mix_draft mix;         /* the first of them, and what goes with it */
};

static bool class_allowed(const struct mesh *m, uint32_t class, size_t frame_len)
{
    return ledger_allows(m, m->airtime_us[frame_len], BUDGET_PERCENT[class]);
}

/* This class has used up its share: it waits until some of what was spent leaves the window.  What
 * is more urgent is tried all the same. */
static void block(struct mesh *m, uint32_t class)
{
    uint64_t relief_ms = ledger_next_relief_ms(m);
    m->stats.tx_refused_duty++;
    m->tx.blocked_below = (uint8_t)(class + 1);
    m->tx.blocked_until_ms = relief_ms > m->now_ms && relief_ms != MESH_NEVER
                                 ? relief_ms : m->now_ms + MS_PER_MINUTE;
}

uint64_t tx_blocked_until_ms(const struct mesh *m, uint32_t class)
{
    bool blocked = class < m->tx.blocked_below && m->tx.blocked_until_ms > m->now_ms;
    return blocked ? m->tx.blocked_until_ms : m->now_ms;
}

static bool chosen(const struct mesh *m, uint32_t index)
{
    for (uint8_t k = 0; k < m->tx.slot_count; k++)
        if (m->tx.slots[k] == index)
            return true;
    return false;
}

/* Takes a record into the frame if its turn has come and there is room; false: its class has no
 * airtime left. */
static bool choose(struct mesh *m, struct draft *d, uint32_t index, uint64_t by)
{
    struct slot *s = &m->slots[index];
    size_t frame_len = FRAME_HEADER_LEN + d->len + 1 + s->len;
    bool its_turn = s->ready_ms > 0 && s->ready_ms <= m->now_ms && !turn_better_wait(m, s, by);
    if (!its_turn || frame_len > m->cfg.mtu_len || chosen(m, index))
        return true;
    if (!class_allowed(m, CLASS_RECORD + s->priority, frame_len)) {
        block(m, CLASS_RECORD + s->priority);
        return false;
    }
    if (!table_load(m, index))
        return true;
    memcpy(d->bytes + (d->len - m->tx.slot_count), m->scratch, s->len);
    d->lens[m->tx.slot_count] = s->len;
    d->len += 1u + s->len;
    if (m->tx.slot_count == 0)
        d->mix = (struct mix_draft){ .by = by, .count = 1, .len = s->len, .slots = { index } };
    m->tx.seqs[m->tx.slot_count] = s->seq;
    m->tx.slots[m->tx.slot_count++] = index;
    if (s->priority > d->priority)
        d->priority = s->priority;
    return true;
}

/* Own records that nobody is known to hold come first: all others are held elsewhere too. */
static void choose_of_priority(struct mesh *m, struct draft *d, uint32_t priority, uint64_t reach)
{
    uint64_t by;
    for (uint32_t k = 0; k < m->unconfirmed_count; k++)
        if (m->tx.slot_count < FRAME_RECORD_COUNT_MAX &&
            turn_shouts(m, &m->unconfirmed[k], priority) &&
            !choose(m, d, m->unconfirmed[k].slot, UINT64_MAX))
            return;
    uint32_t i = m->order_first[priority];
    while ((i = turn_next_wanted(m, i, reach, &by)) != SLOT_NONE &&
           m->tx.slot_count < FRAME_RECORD_COUNT_MAX && choose(m, d, i, by))
        i = m->slots[i].order_next;
}

/* Looks for records that other neighbours lack, to go in the room of the first. */
static void mix(struct mesh *m, struct draft *d, uint64_t reach)
{
    size_t frame_len = FRAME_HEADER_LEN + d->len + FRAME_MIX_ENTRY_LEN_MAX;
    d->count = m->tx.plain_count = m->tx.slot_count;
    if (d->count == 0 || m->cfg.mtu_len < frame_len)
        return;
    memcpy(d->mix.sum, d->bytes, d->lens[0]);
    mix_add_partners(m, &d->mix, reach, m->cfg.mtu_len - frame_len);
    m->tx.waiting = d->mix.waiting;
    if (d->mix.count == 1)
        return;
    /* The count stands where the first record's length stood. */
    d->len += (size_t)d->mix.len - d->lens[0] + (size_t)d->mix.count * FRAME_MIX_ENTRY_LEN_MAX;
    for (uint8_t i = 1; i < d->mix.count; i++) {
        const struct slot *s = &m->slots[d->mix.slots[i]];
        m->tx.seqs[m->tx.slot_count] = s->seq;
        m->tx.slots[m->tx.slot_count++] = d->mix.slots[i];
        if (s->priority > d->priority)
            d->priority = s->priority;
    }
}

static void write_mix(const struct mesh *m, struct frame_builder *b, const struct mix_draft *d)
{
    struct frame_mixed mixed[FRAME_MIX_COUNT_MAX];
    for (uint8_t i = 0; i < d->count; i++) {
        const struct slot *s = &m->slots[d->slots[i]];
        const struct log *log = &m->logs[s->log];
        mixed[i] = (struct frame_mixed){ .log = (uint32_t)log->author * LANE_COUNT + log->lane,
                                         .seq = s->seq, .len = s->len };
    }
    bool fits = frame_add_mix(b, mixed, d->count, d->sum);
    assert(fits);
    (void)fits;
}

static void entry_of(const struct mesh *m, const struct log *log, struct frame_entry *e)
{
    *e = (struct frame_entry){ .log = (uint32_t)log->author * LANE_COUNT + log->lane,
                               .held = log->held };
    if (log->lane != 0)
        return;
    uint32_t at = log->held, next;
    while (e->run_count < FRAME_RUN_COUNT_MAX && at < log->top &&
           (next = table_next_held(m, log, at)) != 0) {
        struct frame_run run = { .gap = next - at - 1, .held = 1 };
        for (at = next; table_holds(m, log, at + 1); at++)
            run.held++;
        e->runs[e->run_count++] = run;
    }
}

/* Brief: what changed since we last told it, and what we know to be missing; in a frame that has
 * nothing else to say, also what changed lately, for those who did not hear it then. */
static bool worth_telling(const struct mesh *m, const struct log *log, bool whole)
{
    if (whole)
        return log->top > 0;
    if (log->changed_ms > log->stated_ms)
        return true;
    uint64_t since_ms = m->now_ms - log->stated_ms;
    if (m->tx.slot_count == 0 && m->want_summary && log->changed_ms > 0 &&
        m->now_ms - log->changed_ms < CHANGED_UNITS * m->unit_ms)
        return true;
    uint64_t units = m->tx.slot_count == 0 ? HOLE_QUIET_UNITS : HOLE_UNITS / 2;
    return log->known > log->held && since_ms > units * m->unit_ms;
}

/* Adds entries of the logs in `span` until room_len is used up.  Returns the first number that
 * found no room, or that behind the span when all were told. */
static uint32_t add_entries(struct mesh *m, struct frame_builder *b, bool whole, struct span span,
                            size_t room_len, bool dry)
{
    uint8_t *end = b->w.end;
    if (bytes_room(&b->w) > room_len)
        b->w.end = b->w.at + room_len;
    uint32_t stop = span.to + 1;
    for (uint16_t a = 0; a < m->author_count && stop > span.to; a++)
        for (int lane = 0; lane < LANE_COUNT && stop > span.to; lane++) {
            uint16_t index = m->authors[a].log[lane];
            uint32_t number = (uint32_t)m->authors[a].author.number * LANE_COUNT + (uint32_t)lane;
            struct frame_entry e;
            if (index == LOG_NONE || number < span.from || number > span.to ||
                !worth_telling(m, &m->logs[index], whole))
                continue;
            entry_of(m, &m->logs[index], &e);
            if (!frame_add_entry(b, &e))
                stop = number;
            else if (!dry)
                m->logs[index].stated_ms = m->now_ms;
        }
    b->w.end = end;
    return stop;
}

/* Writes the whole of the first range that is owed, as far as there is room, or what is brief. */
static void write_summary(struct mesh *m, struct frame_builder *b, size_t records_len, bool whole)
{
    size_t room_len = bytes_room(&b->w) - records_len;
    if (room_len <= SUMMARY_ROOM_LEN)
        return;
    room_len -= SUMMARY_ROOM_LEN;
    if (!whole) {
        frame_begin_summary(b, false, 0, 0);
        add_entries(m, b, false, EVERYTHING, room_len, false);
        return;
    }
    /* The range stands before its entries: find how far they reach, then write. */
    struct frame_builder dry = *b;
    uint8_t flags = *b->flags;
    struct span span = m->owed[0];
    frame_begin_summary(&dry, true, span.from, FRAME_LOG_MAX);
    uint32_t stop = add_entries(m, &dry, true, span, room_len, true);
    *b->flags = flags;
    frame_begin_summary(b, true, span.from, stop - 1);
    add_entries(m, b, true, span, room_len, false);
    m->owed[0].from = stop;
    if (stop > span.to)
        memmove(m->owed, m->owed + 1, --m->owed_count * sizeof m->owed[0]);
}

static void write_sums(struct mesh *m, struct frame_builder *b)
{
    struct frame_sum sums[FRAME_SUM_COUNT_MAX];
    size_t count = sums_split(m, m->sum_span.from, m->sum_span.to, m->sum_parts, sums);
    if (!frame_add_sums(b, sums, count))
        frame_add_sums(b, sums, 1); /* a modem with short frames */
    m->sums_ms = m->now_ms;
    m->sum_parts = 0;
}

/* Do own records seem to be missing here, since lately? */
static bool misses_own(const struct mesh *m)
{
    for (uint16_t i = 0; i < m->log_count; i++)
        if (m->logs[i].claimed_ms != MESH_NEVER &&
            m->now_ms - m->logs[i].claimed_ms < BEHIND_WAIT_MS)
            return true;
    return false;
}

static void write_links(struct mesh *m, struct frame_builder *b, size_t records_len)
{
    struct frame_link links[FRAME_LINK_COUNT_MAX];
    /* Who asks must say whom he hears, or nobody thinks that an answer would be heard. */
    bool asks = m->tx.slot_count == 0 && trickle_hole_aged(m, 0);
    uint64_t gap_ms = m->tx.slot_count == 0 ? LINKS_GAP_UNITS * m->unit_ms : m->links_gap_ms;
    if ((m->links_changed_ms == 0 && !asks) ||
        (m->links_ms > 0 && m->now_ms - m->links_ms < gap_ms))
        return;
    size_t count = neigh_links(m, links);
    if (count == 0 && misses_own(m))
        return; /* just started: who believed that we hear nobody would not send them */
    if (!frame_add_links(b, links, count, bytes_room(&b->w) - records_len))
        return;
    neigh_links_stated(m);
    m->links_ms = m->now_ms;
    m->links_gap_ms = m->links_gap_ms * 2 < LINKS_GAP_MS_MAX ? m->links_gap_ms * 2
                                                              : LINKS_GAP_MS_MAX;
    m->links_changed_ms = 0;
    if (m->links_left > 0)
        m->links_left--;
}

static bool anything_to_tell(const struct mesh *m)
{
    for (uint16_t i = 0; i < m->log_count; i++)
        if (worth_telling(m, &m->logs[i], false))
            return true;
    return false;
}

/* What we say of ourselves, in a frame with records_len bytes of records. */
static void write_statements(struct mesh *m, struct frame_builder *b, size_t records_len)
{
    write_links(m, b, records_len);
    bool whole = m->owed_count > 0 && m->tx.slot_count == 0;
    bool sums = m->sum_parts > 0 && m->tx.slot_count == 0 && !whole;
    if (sums)
        write_sums(m, b);
    else if (whole || anything_to_tell(m))
        write_summary(m, b, records_len, whole);
    m->want_summary = false;
    if (m->tx.slot_count > 0 && !m->answering) {
        m->owed_count = 0; /* news flows again: what was to be told is about to change */
        m->sum_parts = 0;
    }
    m->answering = m->answering && !whole && !sums;
    if (whole || sums)
        neigh_greeted(m);
}

static size_t compose(struct mesh *m, const struct draft *d)
{
    struct frame_builder b;
    frame_begin(&b, m->tx.frame.bytes, m->cfg.mtu_len, m->cfg.node,
                table_digest24(m, m->cfg.node), ++m->frame_count);
    m->room = evict_room(m);
    if (m->room > 0 && bytes_room(&b.w) > d->len)
        frame_add_room(&b, m->room);
    if (m->tx.slot_count > 0 || m->hearsay_ms > m->now_ms || !hearsay_write(m, &b))
        write_statements(m, &b, d->len);
    if (b.entry_count || m->tx.slot_count == 0)
        m->stats.tx_summaries++;
    size_t at = 0;
    uint8_t i = 0;
    if (d->mix.count > 1) {
        write_mix(m, &b, &d->mix);
        at = d->lens[i++];
    }
    for (; i < d->count; i++) {
        frame_add_record(&b, d->bytes + at, d->lens[i]);
        at += d->lens[i];
    }
    m->tx.digest = m->digest;
    size_t len = frame_finish(&b);
    assert(len > 0);
    uint8_t tag[FRAME_TAG_LEN];
    m->cfg.outside.tag(m->cfg.outside.ctx, m->tx.frame.bytes, 1,
                       m->tx.frame.bytes + 1 + FRAME_TAG_LEN, len - 1 - FRAME_TAG_LEN, tag);
    memcpy(m->tx.frame.bytes + 1, tag, sizeof tag);
    return len;
}

/* Books the frame's airtime and asks for that to be made durable before it is handed out. */
static void charge(struct mesh *m, size_t len, uint8_t priority)
{
    struct queued_event *q = core_queue_event(m, MESH_EV_CHARGE);
    assert(q); /* its place is kept free */
    m->tx.frame.len = (uint16_t)len;
    m->tx.frame.priority = priority;
    m->tx.frame.airtime_us = m->airtime_us[len];
    m->tx.minute = m->ledger_minute;
    ledger_book(m, m->tx.frame.airtime_us);
    q->ev.minute_ms = m->ledger_minute * MS_PER_MINUTE;
    q->ev.minute_airtime_us = m->ledger_us[m->ledger_minute % LEDGER_COUNT];
    m->tx.charge_event_id = q->ev.event_id;
    m->tx.state = TX_CHARGING;
}

static void build(struct mesh *m)
{
    struct record_ref none = { 0 };
    if (core_event_queued(m, MESH_EV_CHARGE, &none)) {
        /* The charge of a frame that went with its modem is not answered yet. */
        m->tx.due_ms = m->now_ms + RETRY_MS;
        return;
    }
    uint64_t reach = neigh_near_mask(m);
    struct draft d = { .priority = PRIORITY_DAMAGE };
    m->tx.due_ms = MESH_NEVER;
    m->tx.slot_count = 0;
    m->tx.waiting = 0;
    turn_find_floors(m, reach);
    for (uint32_t p = PRIORITY_COUNT; p-- > 0;)
        if (tx_blocked_until_ms(m, CLASS_RECORD + p) <= m->now_ms)
            choose_of_priority(m, &d, p, reach);
    mix(m, &d, reach);
    hearsay_review(m);
    bool summary = tx_tell_ms(m) <= m->now_ms;
    if (m->tx.slot_count == 0 && summary &&
        !class_allowed(m, CLASS_STATEMENT, m->cfg.mtu_len)) {
        block(m, CLASS_STATEMENT);
        summary = false;
    }
    if (m->tx.slot_count == 0 && !summary) {
        m->need_dirty = true; /* others have said it, or no airtime: when is the next turn? */
        return;
    }
    size_t len = compose(m, &d);
    /* Entries beside the records made the frame longer than what was asked for above. */
    if (!class_allowed(m, CLASS_COUNT - 1, len)) {
        block(m, CLASS_COUNT - 1);
        m->need_dirty = true;
        return;
    }
    charge(m, len, d.priority);
}

/* ---- what the other files call ------------------------------------------------------- */

uint64_t tx_tell_ms(const struct mesh *m)
{
    uint64_t free_ms = tx_blocked_until_ms(m, CLASS_STATEMENT), at_ms = m->hearsay_ms;
    if ((m->want_summary || m->owed_count > 0 || m->sum_parts > 0) && m->tell_ms < at_ms)
        at_ms = m->tell_ms;
    return at_ms > free_ms ? at_ms : free_ms;
}

/* Who asks must say whom he hears, or nobody thinks that an answer would be heard. */
static void want_sums(struct mesh *m, uint8_t part_count)
{
    m->sum_parts = part_count;
    m->links_gap_ms = LINKS_GAP_UNITS * m->unit_ms;
}

void tell_all(struct mesh *m, uint32_t whole_log_count)
{
    m->trickle.since_whole = 0;
    m->sum_span = EVERYTHING;
    if (sums_log_count(m, 0, FRAME_LOG_MAX) > whole_log_count)
        want_sums(m, 1);
    else if (m->owed_count == 0)
        m->owed[m->owed_count++] = EVERYTHING;
}

void tell_answered(struct mesh *m)
{
    if (!m->answering)
        return;
    m->answering = false;
    m->owed_count = 0;
    m->sum_parts = 0;
}

void tell_answer(struct mesh *m, const struct span *spans, size_t span_count, bool finer)
{
    if (m->now_ms < m->answer_again_ms)
        return;
    m->answer_again_ms = m->now_ms + m->answer_gap_ms;
    m->answer_gap_ms = m->answer_gap_ms * 2 < TRICKLE_MAX_MS ? m->answer_gap_ms * 2
                                                              : TRICKLE_MAX_MS;
    want_sums(m, finer ? FRAME_SUM_COUNT_MAX : 0);
    m->sum_span = spans[0];
    m->owed_count = finer ? 0 : (uint8_t)span_count;
    memcpy(m->owed, spans, m->owed_count * sizeof m->owed[0]);
    m->answering = true;
    m->tell_ms = m->now_ms + core_between(m, m->unit_ms / 4, ANSWER_UNITS * m->unit_ms);
}

void tx_record_committed(struct mesh *m, uint32_t index, bool own)
{
    m->need_dirty = true;
    if (!own)
        return;
    m->slots[index].flags |= SLOT_SHOUT;
    turn_unconfirmed_add(m, index);
}

void tx_on_done(struct mesh *m, enum mesh_tx_result result)
{
    struct mesh_tx *f = &m->tx.frame;
    if (result == MESH_TX_REFUSED) {
        m->stats.tx_refused_modem++;
        ledger_refund(m, m->tx.minute, f->airtime_us);
    } else {
        uint64_t reach = neigh_near_mask(m);
        m->sent_ms = m->now_ms;
        m->sent_digest = m->tx.digest;
        if (m->tx.slot_count > 0)
            m->air_ms = m->now_ms;
        m->stats.tx_frames++;
        m->stats.tx_bytes += f->len;
        m->stats.tx_airtime_us += f->airtime_us;
        for (uint8_t i = 0; i < m->tx.slot_count; i++) {
            uint32_t index = m->tx.slots[i];
            if (!turn_slot_current(m, index, m->tx.seqs[i]))
                continue;
            struct slot *s = &m->slots[index];
            uint64_t helped = neigh_lacking(m, s, reach);
            neigh_uncovered(m, helped);
            bool plain = i > 0 && i < m->tx.plain_count;
            s->told |= plain ? reach : reach & ~m->tx.waiting;
            s->ready_ms = 0;
            s->said_ms = (uint32_t)m->now_ms;
            s->flags &= (uint8_t)~SLOT_SHOUT;
            if (s->sent_count < UINT8_MAX)
                s->sent_count++;
            turn_unconfirmed_sent(m, index, helped);
            m->stats.tx_records++;
        }
        if (m->tx.digest == m->digest)
            neigh_covered(m, reach);
    }
    if (result != MESH_TX_REFUSED && m->sound_left > 0)
        m->sound_left--;
    m->tx.state = TX_IDLE;
    m->tx.due_ms = MESH_NEVER;
    /* Who has just heard another leaves him the time to go on: two with much to tell each other
     * would else start at the same moment now and then, and hear neither. */
    bool others = m->heard_ms > 0 && m->now_ms - m->heard_ms < TALK_UNITS * m->unit_ms;
    uint64_t least_ms = others ? m->unit_ms * 3 / 2 : m->unit_ms / 2;
    m->tx.earliest_ms = m->now_ms + core_between(m, least_ms, least_ms + m->unit_ms);
    m->need_dirty = true;
}

static bool tx_possible(const struct mesh *m)
{
    return m->tx.state == TX_IDLE && m->modem_ready && m->cfg.duty_budget_ms > 0;
}

void tx_advance(struct mesh *m)
{
    trickle_advance(m);
    turn_unconfirmed_advance(m);
    if (!tx_possible(m))
        return;
    if (m->sound_left > 0 && !m->want_summary) {
        m->want_summary = true;
        m->need_dirty = true;
    }
    if (m->need_dirty)
        turn_consider(m);
    if (m->tx.due_ms <= m->now_ms)
        build(m);
}

uint64_t tx_next_deadline(const struct mesh *m)
{
    uint64_t at_ms = m->trickle.fired ? m->trickle.end_ms : m->trickle.fire_ms;
    for (uint32_t i = 0; i < m->unconfirmed_count; i++)
        if (m->unconfirmed[i].again_ms < at_ms)
            at_ms = m->unconfirmed[i].again_ms;
    if (tx_possible(m) && m->tx.due_ms < at_ms)
        at_ms = m->tx.due_ms;
    return at_ms;
}
