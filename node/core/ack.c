/* A gateway's acknowledgements: signed statements of what is durable there, and what they mean.
 *
 * The body is the protobuf message Ack of proto/keng.proto.  It is three packed arrays of numbers,
 * written and read by hand because the core carries no protobuf library; the tests hold both ways
 * against protobuf-c.  One statement covers as many logs as fit a record; up to four lanes
 * share a large roster. */
#include "node/core/core_internal.h"

enum {
    TAG_LOGS = 1 << 3 | 2,
    TAG_HELD = 2 << 3 | 2,
    TAG_BEYOND = 3 << 3 | 2,
    TAGS_LEN = 3 * 3, /* three fields: tag and a length of at most two bytes */
    BEYOND_LEN_MAX = 40,
    ENTRY_COUNT_MAX = 96,
};

struct part {
    uint8_t logs[RECORD_BODY_LEN_MAX], held[RECORD_BODY_LEN_MAX], beyond[BEYOND_LEN_MAX];
    struct bytes_writer logs_w, held_w, beyond_w;
    uint32_t last_log;
    uint32_t count;
};

static uint64_t hash_bytes(const uint8_t *bytes, size_t len)
{
    uint64_t h = len;
    for (size_t i = 0; i < len; i++)
        h = core_mix(h ^ bytes[i]);
    return h;
}

static void part_begin(struct part *p)
{
    *p = (struct part){ 0 };
    p->logs_w = bytes_writer(p->logs, sizeof p->logs);
    p->held_w = bytes_writer(p->held, sizeof p->held);
    p->beyond_w = bytes_writer(p->beyond, sizeof p->beyond);
}

static size_t part_len(const struct part *p)
{
    return TAGS_LEN + bytes_written(&p->logs_w) + bytes_written(&p->held_w) +
           bytes_written(&p->beyond_w);
}

/* Records held behind a gap are named one by one: their authors wait for word too.  The urgent
 * have the room first; what is written is ascending, as whoever decodes it demands. */
static void part_add_beyond(struct mesh *m, struct part *p, const struct log *log, size_t cap)
{
    uint16_t log_index = table_log_index(m, log);
    uint32_t seqs[BEYOND_LEN_MAX / 2], count = 0; /* a pair takes two bytes at least */
    size_t index_len = varint_len(p->count), len = 0;
    bool room = true;
    for (uint32_t pri = PRIORITY_COUNT; room && pri-- > 0;) {
        uint32_t i = m->order_first[pri];
        for (; room && i != SLOT_NONE; i = m->slots[i].order_next) {
            const struct slot *s = &m->slots[i];
            if (s->log != log_index || s->seq <= log->held)
                continue;
            size_t need = len + index_len + varint_len(s->seq);
            room = bytes_room(&p->beyond_w) >= need && part_len(p) + need <= cap;
            if (!room)
                continue;
            len = need;
            uint32_t at = count++;
            for (; at > 0 && seqs[at - 1] > s->seq; at--)
                seqs[at] = seqs[at - 1];
            seqs[at] = s->seq;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        write_varint(&p->beyond_w, p->count);
        write_varint(&p->beyond_w, seqs[i]);
    }
}

static bool part_add(struct mesh *m, struct part *p, const struct log *log, size_t cap)
{
    uint32_t number = (uint32_t)log->author * LANE_COUNT + log->lane;
    size_t need = varint_len(number - p->last_log) + varint_len(log->held);
    if (part_len(p) + need > cap || p->count == ENTRY_COUNT_MAX)
        return false;
    write_varint(&p->logs_w, number - p->last_log);
    write_varint(&p->held_w, log->held);
    if (log->top > log->held)
        part_add_beyond(m, p, log, cap);
    p->last_log = number;
    p->count++;
    return true;
}

static size_t part_finish(const struct part *p, uint8_t *body, size_t cap)
{
    const struct bytes_writer *fields[] = { &p->logs_w, &p->held_w, &p->beyond_w };
    static const uint8_t tags[] = { TAG_LOGS, TAG_HELD, TAG_BEYOND };
    struct bytes_writer w = bytes_writer(body, cap);
    for (int i = 0; i < 3; i++) {
        size_t len = bytes_written(fields[i]);
        if (len == 0)
            continue;
        write_u8(&w, tags[i]);
        write_varint(&w, len);
        write_bytes(&w, fields[i]->start, len);
    }
    assert(!w.failed);
    return bytes_written(&w);
}

/* The slot of a record of this log that is held behind a gap and not acknowledged, or by us only
 * where `ours` is asked for too. */
static bool beyond_waits(const struct mesh *m, const struct log *log, bool ours)
{
    uint16_t log_index = table_log_index(m, log);
    if (log->top <= log->held)
        return false;
    for (uint32_t pri = 0; pri < PRIORITY_COUNT; pri++)
        for (uint32_t i = m->order_first[pri]; i != SLOT_NONE; i = m->slots[i].order_next) {
            const struct slot *s = &m->slots[i];
            if (s->log != log_index || s->seq <= log->held || s->seq <= log->acked)
                continue;
            if (!(s->flags & SLOT_ACKED) || (ours && s->acked_by == m->cfg.node))
                return true;
        }
    return false;
}

/* Every gateway's word goes to every node of the network.  So one gateway speaks for a record: who
 * said the most of a log, the lowest number among equals; the others leave it out. */
static bool is_ours_to_say(const struct mesh *m, const struct log *log)
{
    return log->held > log->acked || (log->held > 0 && log->acked_by == m->cfg.node) ||
           beyond_waits(m, log, true);
}

static bool is_news(const struct mesh *m, const struct log *log)
{
    return log->held > log->acked || beyond_waits(m, log, false);
}

/* Signs one part if it says anything new.  MESH_EAGAIN: once more, later. */
static int part_submit(struct mesh *m, const struct part *p, uint32_t part_index)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    size_t len = part_finish(p, body, sizeof body);
    uint64_t h = hash_bytes(body, len);
    if (h == m->ack_hash[part_index])
        return MESH_OK;
    uint8_t kind = (uint8_t)(RECORD_ACK_FIRST + part_index);
    struct record_draft draft = {
        .ref = { .author = m->cfg.node, .lane = record_lane(kind) },
        .kind = kind,
        .priority = m->ack_urgent ? PRIORITY_EVACUATION : PRIORITY_DAMAGE,
        .clock_set = m->clock_set,
        .created_min = m->created_min,
        .body = body,
        .body_len = len,
    };
    struct record_ref ref;
    int err = mesh_submit(m, m->now_ms, &draft, &ref);
    if (err == MESH_OK)
        m->ack_hash[part_index] = h;
    return err;
}

static size_t body_cap(const struct mesh *m)
{
    size_t overhead = FRAME_HEADER_LEN + 1 + 2 + RECORD_SEQ_LEN_MAX + 1 + 3 + KENG_SIG_LEN;
    size_t cap = m->cfg.mtu_len - overhead;
    return cap < RECORD_BODY_LEN_MAX ? cap : RECORD_BODY_LEN_MAX;
}

static bool any_news(const struct mesh *m)
{
    for (uint16_t i = 0; i < m->log_count; i++)
        if (m->logs[i].lane == 0 && m->logs[i].author != m->cfg.node && m->logs[i].top > 0 &&
            is_news(m, &m->logs[i]))
            return true;
    return false;
}

static bool is_only_gateway(const struct mesh *m)
{
    for (uint16_t i = 0; i < m->author_count; i++)
        if (m->authors[i].author.number != m->cfg.node &&
            table_is_gateway(m, m->authors[i].author.number))
            return false;
    return true;
}

void ack_advance(struct mesh *m)
{
    if (m->now_ms < m->ack_due_ms)
        return;
    if (!is_only_gateway(m) && !any_news(m)) {
        m->ack_due_ms = MESH_NEVER; /* others were sooner */
        return;
    }
    struct part p;
    uint32_t part_index = 0;
    int err = MESH_OK;
    part_begin(&p);
    for (uint16_t i = 0; i < m->author_count && err == MESH_OK; i++) {
        const struct author_slot *a = &m->authors[i];
        if (a->log[0] == LOG_NONE || a->author.number == m->cfg.node)
            continue;
        const struct log *log = &m->logs[a->log[0]];
        if (log->top == 0 || !is_ours_to_say(m, log) || part_add(m, &p, log, body_cap(m)))
            continue;
        err = part_submit(m, &p, part_index++);
        if (part_index == ACK_PART_COUNT)
            break; /* a roster beyond four statements: PROTOCOL.md names the limit */
        part_begin(&p);
        part_add(m, &p, log, body_cap(m));
    }
    if (err == MESH_OK && p.count > 0 && part_index < ACK_PART_COUNT)
        err = part_submit(m, &p, part_index);
    if (err == MESH_OK) {
        /* Every statement costs the whole commune airtime: the first reports of a quiet hour are
         * answered at once, those of a storm together.  A pause makes it quick again. */
        uint64_t least_ms = ACK_GAP_UNITS * m->unit_ms;
        bool pause = m->ack_last_ms == 0 || m->now_ms - m->ack_last_ms > 2 * m->ack_gap_ms;
        m->ack_gap_ms = pause ? least_ms : m->ack_gap_ms * 3 / 2;
        if (m->ack_gap_ms > ACK_GAP_MS_MAX)
            m->ack_gap_ms = ACK_GAP_MS_MAX;
        if (m->ack_gap_ms < least_ms)
            m->ack_gap_ms = least_ms;
        m->ack_due_ms = MESH_NEVER;
        m->ack_last_ms = m->now_ms;
        m->ack_urgent = false;
    } else if (err == MESH_EREVOKED) {
        m->ack_due_ms = MESH_NEVER; /* nobody would believe it */
    } else {
        m->ack_due_ms = m->now_ms + (err == MESH_EAGAIN ? 1 : RETRY_MS);
    }
}

/* The store did not take what part `lane` - 1 says, or not its number: it was not said, and is
 * tried again when the disk had time to recover. */
void ack_on_failure(struct mesh *m, uint8_t lane)
{
    assert(lane >= 1 && lane <= ACK_PART_COUNT);
    m->ack_hash[lane - 1] = 0;
    m->ack_due_ms = m->now_ms + RETRY_MS;
}

/* Do we hear the author, or somebody who does? */
static bool is_near(const struct mesh *m, uint16_t author)
{
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (!n->used)
            continue;
        if (n->node == author)
            return true;
        for (uint8_t k = 0; k < n->link_count; k++)
            if (n->links[k].node == author)
                return true;
    }
    return false;
}

/* Whoever is near answers at once, and its word overtakes the waiting of those who are not. */
static uint64_t far_wait_ms(struct mesh *m, uint16_t author, bool rescue)
{
    uint64_t least_ms = ACK_FAR_UNITS * m->unit_ms, spread_ms = ACK_FAR_SPREAD_UNITS * m->unit_ms;
    if (is_only_gateway(m) || is_near(m, author))
        return 0;
    return core_between(m, least_ms, least_ms + spread_ms) / (rescue ? 2 : 1);
}

void ack_on_commit(struct mesh *m, const struct slot *s)
{
    const struct log *log = &m->logs[s->log];
    if (!m->cfg.gateway || log->lane != 0 || log->author == m->cfg.node)
        return;
    bool rescue = s->priority == PRIORITY_RESCUE;
    if (s->priority >= PRIORITY_EVACUATION)
        m->ack_urgent = true;
    uint64_t due_ms = m->now_ms + far_wait_ms(m, log->author, rescue) +
                      (rescue ? ACK_WAIT_RESCUE_UNITS : ACK_WAIT_UNITS) * m->unit_ms;
    uint64_t gap_ms = rescue ? ACK_GAP_RESCUE_UNITS * m->unit_ms : m->ack_gap_ms;
    if (m->ack_last_ms > 0 && due_ms < m->ack_last_ms + gap_ms)
        due_ms = m->ack_last_ms + gap_ms;
    if (due_ms < m->ack_due_ms)
        m->ack_due_ms = due_ms;
}

static bool read_packed(struct bytes_reader *r, uint8_t tag, struct bytes_reader *field_out)
{
    *field_out = bytes_reader(r->at, 0);
    if (bytes_left(r) == 0 || *r->at != tag)
        return true; /* absent: empty */
    read_u8(r);
    size_t len = (size_t)read_varint(r, RECORD_BODY_LEN_MAX);
    const uint8_t *bytes = read_bytes(r, len);
    if (!bytes || len == 0)
        return false;
    *field_out = bytes_reader(bytes, len);
    return true;
}

static void apply_held(struct mesh *m, uint16_t gateway, uint32_t number, uint32_t held)
{
    if (number % LANE_COUNT != 0)
        return; /* only reports are acknowledged: no lane is opened for a word about it */
    struct log *log = table_get_log(m, (uint16_t)(number / LANE_COUNT), 0);
    if (!log || held < log->acked || held == 0 ||
        (held == log->acked && gateway >= log->acked_by))
        return;
    log->acked = held;
    m->settle_dirty = true;
    log->acked_by = gateway;
    m->stats.state_changes++;
}

void ack_apply(struct mesh *m, uint16_t gateway, const uint8_t *body, size_t len)
{
    struct bytes_reader r = bytes_reader(body, len), logs, held, beyond;
    if (!read_packed(&r, TAG_LOGS, &logs) || !read_packed(&r, TAG_HELD, &held) ||
        !read_packed(&r, TAG_BEYOND, &beyond) || bytes_left(&r) > 0)
        return;
    uint32_t numbers[ENTRY_COUNT_MAX], count = 0, number = 0;
    while (bytes_left(&logs) > 0 && count < ENTRY_COUNT_MAX) {
        number += (uint32_t)read_varint(&logs, FRAME_LOG_MAX);
        uint32_t up_to = (uint32_t)read_varint(&held, RECORD_SEQ_MAX);
        if (logs.failed || held.failed || number > FRAME_LOG_MAX)
            return;
        numbers[count++] = number;
        apply_held(m, gateway, number, up_to);
    }
    while (bytes_left(&beyond) > 0) {
        uint32_t i = (uint32_t)read_varint(&beyond, ENTRY_COUNT_MAX);
        uint32_t seq = (uint32_t)read_varint(&beyond, RECORD_SEQ_MAX);
        if (beyond.failed || i >= count)
            return;
        const struct log *log = table_find_log(m, (uint16_t)(numbers[i] / LANE_COUNT),
                                               (uint8_t)(numbers[i] % LANE_COUNT));
        uint32_t index = log ? table_find(m, log, seq) : SLOT_NONE;
        if (index == SLOT_NONE || (m->slots[index].flags & SLOT_ACKED))
            continue;
        m->slots[index].flags |= SLOT_ACKED;
        m->slots[index].acked_by = gateway;
        m->stats.state_changes++;
    }
}

/* What the other gateways say of themselves: their newest statements, once more. */
static void apply_held_acks(struct mesh *m)
{
    for (uint16_t i = 0; i < m->log_count; i++) {
        const struct log *log = &m->logs[i];
        struct record_view v;
        if (log->lane == 0 || log->newest == SLOT_NONE ||
            !record_is_ack(m->slots[log->newest].kind) || !table_load(m, log->newest))
            continue;
        int err = record_decode(m->scratch, m->slots[log->newest].len, &v);
        if (err == RECORD_OK)
            ack_apply(m, log->author, v.body, v.body_len);
    }
}

void ack_take_back(struct mesh *m, uint16_t gateway)
{
    for (uint16_t i = 0; i < m->log_count; i++)
        if (m->logs[i].acked_by == gateway) {
            m->logs[i].acked = 0;
            m->logs[i].acked_by = AUTHOR_NONE;
        }
    for (uint32_t i = 0; i < m->fresh_slot; i++)
        if ((m->slots[i].flags & SLOT_ACKED) && m->slots[i].acked_by == gateway) {
            m->slots[i].flags &= (uint8_t)~SLOT_ACKED;
            m->slots[i].acked_by = AUTHOR_NONE;
        }
    apply_held_acks(m);
    m->stats.state_changes++;
    if (m->cfg.gateway)
        m->ack_due_ms = m->now_ms; /* where he spoke for us we kept silent */
}

void mesh_restore_ack(struct mesh *m, const struct record_view *view)
{
    if (!record_is_ack(view->kind) || !table_is_gateway(m, view->ref.author))
        return;
    ack_apply(m, view->ref.author, view->body, view->body_len);
    if (view->ref.author == m->cfg.node)
        m->ack_hash[view->kind - RECORD_ACK_FIRST] = hash_bytes(view->body, view->body_len);
}
