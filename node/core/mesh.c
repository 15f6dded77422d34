/* The public calls, and the order in which work is done. */
#include "node/core/core_internal.h"

enum { ALIGN = 16, MIXES_AT_START = 4 };

/* splitmix64's finaliser (Steele, Lea, Flood 2014): for hashing and for jitter, never for keys. */
uint64_t core_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

uint64_t core_random(struct mesh *m)
{
    m->rng += 0x9e3779b97f4a7c15ull;
    return core_mix(m->rng);
}

uint64_t core_between(struct mesh *m, uint64_t lo, uint64_t hi)
{
    return lo + (hi > lo ? core_random(m) % (hi - lo + 1) : 0);
}

/* ---- storage ------------------------------------------------------------------- */

struct layout {
    size_t slots, buckets, authors, logs, floors, held, total;
    uint32_t bucket_count;
};

static size_t place(size_t *at, size_t count, size_t size)
{
    size_t start = *at;
    *at += (count * size + ALIGN - 1) / ALIGN * ALIGN;
    return start;
}

static bool config_valid(const struct mesh_config *c)
{
    return c->outside.sign && c->outside.verify && c->outside.tag && c->outside.load &&
           lora_params_valid(&c->lora) && c->node != AUTHOR_NONE &&
           c->mtu_len >= FRAME_HEADER_LEN + 1 + RECORD_LEN_MIN + RECORD_SEQ_LEN_MAX &&
           c->mtu_len <= FRAME_LEN_MAX && c->record_count_max > 0 &&
           c->record_count_max <= MESH_RECORD_COUNT_MAX && c->log_count_max > 0 &&
           c->log_count_max <= MESH_LOG_COUNT_MAX && c->author_count_max > 0 &&
           c->author_count_max <= MESH_AUTHOR_COUNT_MAX &&
           c->duty_window_ms >= MS_PER_MINUTE && c->duty_window_ms % MS_PER_MINUTE == 0 &&
           c->duty_window_ms / MS_PER_MINUTE <= MESH_WINDOW_MINUTES_MAX &&
           c->duty_budget_ms <= c->duty_window_ms;
}

static struct layout lay_out(const struct mesh_config *c)
{
    struct layout l = { .bucket_count = 64 };
    while (l.bucket_count < c->record_count_max)
        l.bucket_count *= 2;
    size_t at = (sizeof(struct mesh) + ALIGN - 1) / ALIGN * ALIGN;
    /* What makes room stays until what comes is durable. */
    l.slots = place(&at, c->record_count_max + MESH_STAGED_COUNT_MAX, sizeof(struct slot));
    l.buckets = place(&at, l.bucket_count, sizeof(uint32_t));
    l.authors = place(&at, c->author_count_max, sizeof(struct author_slot));
    l.logs = place(&at, c->log_count_max, sizeof(struct log));
    l.floors = place(&at, c->log_count_max, sizeof(uint32_t));
    l.held = place(&at, (size_t)c->log_count_max * MESH_NEIGHBOUR_COUNT_MAX, sizeof(uint32_t));
    l.total = at;
    return l;
}

size_t mesh_storage_size(const struct mesh_config *cfg)
{
    return config_valid(cfg) ? lay_out(cfg).total : 0;
}

int mesh_init(void *storage, size_t storage_len, const struct mesh_config *cfg, uint64_t now_ms,
              struct mesh **m_out)
{
    if (!config_valid(cfg))
        return MESH_ECONFIG;
    struct layout l = lay_out(cfg);
    if (storage_len < l.total)
        return MESH_ESTORAGE;
    uint8_t *base = storage;
    struct mesh *m = storage;
    *m = (struct mesh){ .cfg = *cfg, .now_ms = now_ms, .rng = cfg->seed };
    m->slots = (struct slot *)(void *)(base + l.slots);
    m->buckets = (uint32_t *)(void *)(base + l.buckets);
    m->authors = (struct author_slot *)(void *)(base + l.authors);
    m->logs = (struct log *)(void *)(base + l.logs);
    m->floors = (uint32_t *)(void *)(base + l.floors);
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        m->neighbours[i].held = (uint32_t *)(void *)(base + l.held) +
                                (size_t)i * cfg->log_count_max;
    m->bucket_mask = l.bucket_count - 1;
    table_init(m);
    for (int i = 0; i < MIXES_AT_START; i++)
        core_random(m);
    for (size_t len = 0; len <= FRAME_LEN_MAX; len++)
        m->airtime_us[len] = lora_airtime_us(&cfg->lora, len);
    m->unit_ms = m->airtime_us[cfg->mtu_len] / 1000 + 1;
    m->links_gap_ms = LINKS_GAP_UNITS * m->unit_ms;
    m->hello_gap_ms = HELLO_UNITS * m->unit_ms;
    m->answer_gap_ms = ANSWER_GAP_UNITS * m->unit_ms;
    m->next_event_id = m->next_tx_id = 1;
    m->tx.due_ms = m->ack_due_ms = m->hearsay_ms = MESH_NEVER;
    m->ledger_minute = now_ms / MS_PER_MINUTE;
    *m_out = m;
    return MESH_OK;
}

void mesh_set_clock(struct mesh *m, uint32_t created_min, bool clock_set)
{
    m->created_min = created_min <= CREATED_MINUTES_MAX ? created_min : CREATED_MINUTES_MAX;
    m->clock_set = clock_set;
}

void mesh_set_airtime(struct mesh *m, const uint32_t airtime_us[FRAME_LEN_MAX + 1])
{
    memcpy(m->airtime_us, airtime_us, sizeof m->airtime_us);
    m->unit_ms = m->airtime_us[m->cfg.mtu_len] / 1000 + 1;
}

void mesh_set_modem(struct mesh *m, uint64_t now_ms, bool ready)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    if (!ready && m->tx.state == TX_ON_AIR)
        tx_on_done(m, MESH_TX_SENT); /* it may have left: the airtime stays spent */
    if (!ready && m->tx.state != TX_IDLE) {
        /* Booked in a minute that may have left the window when the modem is back: build anew. */
        ledger_refund(m, m->tx.minute, m->tx.frame.airtime_us);
        m->tx.state = TX_IDLE;
        m->tx.due_ms = now_ms;
    }
    m->modem_ready = ready;
    m->need_dirty = true;
}

/* ---- events to be made durable ---------------------------------------------------- */

struct queued_event *core_queue_event(struct mesh *m, enum mesh_event_type type)
{
    int first = type == MESH_EV_STORE ? EVENT_COUNT - MESH_STAGED_COUNT_MAX : 0;
    int last = type == MESH_EV_STORE ? EVENT_COUNT : EVENT_COUNT - MESH_STAGED_COUNT_MAX;
    for (int i = first; i < last; i++) {
        struct queued_event *q = &m->events[i];
        /* One place for each kind of event that is not a record, so that none starves. */
        if (q->used || (type != MESH_EV_STORE && i != (int)type))
            continue;
        *q = (struct queued_event){ .used = true, .slot = SLOT_NONE, .victim = SLOT_NONE };
        q->ev.type = type;
        q->ev.event_id = m->next_event_id++;
        q->ev.from_node = AUTHOR_NONE;
        return q;
    }
    return NULL;
}

bool core_event_queued(const struct mesh *m, enum mesh_event_type type,
                       const struct record_ref *ref)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        const struct queued_event *q = &m->events[i];
        if (q->used && q->ev.type == type && q->ev.ref.author == ref->author &&
            q->ev.ref.lane == ref->lane)
            return true;
    }
    return false;
}

bool mesh_poll_event(struct mesh *m, uint64_t now_ms, struct mesh_event *event_out)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    ledger_turn(m);
    if (m->cfg.gateway)
        ack_advance(m);
    evict_advance(m);
    tx_advance(m);
    struct queued_event *oldest = NULL;
    for (int i = 0; i < EVENT_COUNT; i++) {
        struct queued_event *q = &m->events[i];
        if (q->used && !q->handed && (!oldest || q->ev.event_id < oldest->ev.event_id))
            oldest = q;
    }
    if (!oldest)
        return false;
    evict_review(m, oldest);
    oldest->handed = true;
    *event_out = oldest->ev;
    return true;
}

static void stored(struct mesh *m, const struct queued_event *q, bool durable)
{
    evict_end(m, q, durable);
    if (!durable) {
        m->stats.store_failed++;
        if (q->ev.own && record_is_ack(m->slots[q->slot].kind))
            ack_on_failure(m, q->ev.ref.lane);
        table_forget(m, q->slot);
        return;
    }
    if (table_is_revoked(m, &q->ev.ref)) {
        table_forget(m, q->slot); /* the root took it back meanwhile */
        return;
    }
    table_commit(m, q->slot);
    if (q->ev.own || q->ev.from_node != AUTHOR_NONE) {
        m->news_ms = m->now_ms; /* what came from a file says nothing about the air */
        neigh_on_news(m, &m->slots[q->slot]);
    }
    const struct slot *s = &m->slots[q->slot];
    if (record_is_ack(s->kind)) {
        struct record_view v;
        int err = record_decode(q->ev.bytes, q->ev.len, &v);
        assert(err == RECORD_OK);
        (void)err;
        ack_apply(m, v.ref.author, v.body, v.body_len);
    }
    struct log *log = &m->logs[s->log];
    if (log->local && !q->ev.own) {
        /* Proof that this store forgot something.  What comes back earns time for the rest. */
        log->recovering = true;
        log->claimed_ms = m->now_ms;
    }
    ack_on_commit(m, s);
    tx_record_committed(m, q->slot, q->ev.own);
    mix_retry(m, s);
    neigh_recheck(m);
}

static void charged(struct mesh *m, uint32_t event_id, bool durable)
{
    if (m->tx.state != TX_CHARGING || m->tx.charge_event_id != event_id)
        return;
    if (durable) {
        m->tx.state = TX_READY;
        return;
    }
    /* Not written down, so not sent: the frame is built anew when the disk had time to recover. */
    ledger_refund(m, m->tx.minute, m->tx.frame.airtime_us);
    m->stats.store_failed++;
    m->tx.state = TX_IDLE;
    m->tx.due_ms = m->now_ms + RETRY_MS;
}

int mesh_on_persisted(struct mesh *m, uint64_t now_ms, uint32_t event_id, bool durable)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    for (int i = 0; i < EVENT_COUNT; i++) {
        struct queued_event *q = &m->events[i];
        if (!q->used || q->ev.event_id != event_id || !q->handed)
            continue;
        q->used = false;
        struct log *log;
        switch (q->ev.type) {
        case MESH_EV_STORE:
            stored(m, q, durable);
            break;
        case MESH_EV_RESERVE:
            log = table_find_log(m, q->ev.ref.author, q->ev.ref.lane);
            if (durable && log && q->ev.ref.seq > log->reserved)
                log->reserved = q->ev.ref.seq;
            if (!durable && q->ev.ref.lane != 0) /* the only other lanes of our own */
                ack_on_failure(m, q->ev.ref.lane);
            break;
        case MESH_EV_CHARGE:
            charged(m, event_id, durable);
            break;
        case MESH_EV_FORK:
            log = table_find_log(m, q->ev.ref.author, q->ev.ref.lane);
            if (durable && log)
                log->forked = true;
            break;
        case MESH_EV_SETTLE:
            log = table_find_log(m, q->ev.ref.author, q->ev.ref.lane);
            m->settle_dirty = durable; /* after a failure not at once again */
            if (durable && log) {
                table_settle(m, log, q->ev.ref.seq);
                neigh_recheck(m);
            }
            break;
        }
        return MESH_OK;
    }
    return MESH_EUNKNOWN;
}

/* ---- sending ------------------------------------------------------------------------- */

bool mesh_poll_tx(struct mesh *m, uint64_t now_ms, struct mesh_tx *tx_out)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    if (m->tx.state != TX_READY || !m->modem_ready)
        return false;
    m->tx.state = TX_ON_AIR;
    m->tx.frame.tx_id = m->next_tx_id++;
    *tx_out = m->tx.frame;
    return true;
}

void mesh_sound(struct mesh *m, uint64_t now_ms, uint8_t frame_count)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    m->sound_left = frame_count;
    m->need_dirty = true;
}

int mesh_on_tx_done(struct mesh *m, uint64_t now_ms, uint32_t tx_id, enum mesh_tx_result result)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    if (m->tx.state != TX_ON_AIR || m->tx.frame.tx_id != tx_id)
        return MESH_EUNKNOWN;
    tx_on_done(m, result);
    return MESH_OK;
}

uint64_t mesh_next_deadline(const struct mesh *m)
{
    uint64_t at_ms = tx_next_deadline(m);
    if (m->cfg.gateway && m->ack_due_ms < at_ms)
        at_ms = m->ack_due_ms;
    return at_ms;
}

/* ---- own records ------------------------------------------------------------------------ */

/* MESH_OK when number `seq` of this log may be used now. */
static int reserve(struct mesh *m, const struct log *log, uint32_t seq)
{
    if (seq <= log->reserved)
        return MESH_OK;
    struct record_ref ref = { .author = log->author, .lane = log->lane,
                              .seq = seq + SEQ_BLOCK - 1 };
    if (ref.seq > RECORD_SEQ_MAX)
        ref.seq = RECORD_SEQ_MAX;
    struct queued_event *q = core_queue_event(m, MESH_EV_RESERVE);
    if (q)
        q->ev.ref = ref;
    return MESH_EAGAIN;
}

/* After a restored backup the neighbours may hold numbers that this store has forgotten.  Where our
 * own note of used numbers says so, nothing is written before they returned; a neighbour's claim
 * alone, or a single number that may never have been used, makes us wait a while, but must not
 * silence an author for ever. */
static bool behind(const struct mesh *m, struct log *log)
{
    if (log->lost && log->top + SEQ_BLOCK < log->reserved)
        return true;
    /* While own records come back, more may follow than anybody has claimed: until a neighbour
     * holds just what we hold. */
    for (uint64_t rest = neigh_alive_mask(m); log->recovering && rest; rest &= rest - 1)
        log->recovering = !neigh_in_sync(m, &m->neighbours[__builtin_ctzll(rest)]);
    if (log->known <= log->top && !log->recovering && (!log->lost || log->reserved <= log->top))
        log->claimed_ms = MESH_NEVER;
    uint64_t wait_ms = log->recovering ? RECOVER_WAIT_MS : BEHIND_WAIT_MS;
    return log->claimed_ms != MESH_NEVER && m->now_ms - log->claimed_ms < wait_ms;
}

int mesh_submit(struct mesh *m, uint64_t now_ms, const struct record_draft *draft,
                struct record_ref *ref_out)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    uint8_t lane = record_lane(draft->kind);
    const struct author_slot *a = table_find_author(m, draft->ref.author);
    if (!a || !a->author.local)
        return MESH_EUNKNOWN;
    struct log *log = table_get_log(m, draft->ref.author, lane);
    if (!rx_role_allows(&a->author, draft->kind))
        return MESH_EROLE;
    if (a->author.last_good_seq != UINT32_MAX)
        return MESH_EREVOKED;
    uint32_t victim;
    if (!log || log->top >= RECORD_SEQ_MAX ||
        !evict_find(m, log, draft->priority, log->top + 1, &victim))
        return MESH_EFULL;
    if (log->pending_count > 0)
        return MESH_EAGAIN; /* one at a time: a failed store must leave no hole in the numbers */
    if (behind(m, log))
        return MESH_EBEHIND;

    struct record_draft d = *draft;
    d.ref = (struct record_ref){ .author = log->author, .lane = lane, .seq = log->top + 1 };
    uint8_t bytes[RECORD_LEN_MAX];
    int len = record_encode(&d, bytes, sizeof bytes);
    if (len == RECORD_ETOOBIG ||
        (len > 0 && FRAME_HEADER_LEN + 1 + (size_t)len + KENG_SIG_LEN > m->cfg.mtu_len))
        return MESH_ETOOBIG;
    if (len < 0)
        return MESH_ECONFIG;
    int err = reserve(m, log, d.ref.seq);
    if (err != MESH_OK)
        return err;
    if (m->cfg.outside.sign(m->cfg.outside.ctx, log->author, bytes, (size_t)len) < 0)
        return MESH_ESIGN;
    struct record_view v;
    if (record_decode(bytes, (size_t)len + KENG_SIG_LEN, &v) != RECORD_OK ||
        !m->cfg.outside.verify(m->cfg.outside.ctx, &v, a->author.key))
        return MESH_ESIGN; /* a wrong key or a failing memory: better here than on air */
    struct queued_event *q = core_queue_event(m, MESH_EV_STORE);
    if (!q)
        return MESH_EAGAIN;
    v.priority = table_class(m, log, v.priority);
    q->slot = table_add(m, log, &v);
    q->ev.ref = d.ref;
    q->ev.own = true;
    q->ev.replaces_seq = lane != 0 ? log->held : 0;
    evict_begin(m, q, victim);
    q->ev.len = (uint16_t)v.len;
    memcpy(q->ev.bytes, bytes, v.len);
    *ref_out = d.ref;
    return MESH_OK;
}

/* ---- what was durable before a restart ------------------------------------------------------ */

int mesh_restore_record(struct mesh *m, const struct record_view *view)
{
    struct log *log = table_get_log(m, view->ref.author, view->ref.lane);
    if (!log)
        return table_find_author(m, view->ref.author) ? MESH_EFULL : MESH_EUNKNOWN;
    if (table_is_revoked(m, &view->ref))
        return MESH_OK; /* evidence */
    if (table_find(m, log, view->ref.seq) != SLOT_NONE ||
        (log->lane != 0 && view->ref.seq <= log->held))
        return MESH_OK;
    bool replaces = log->lane != 0 && log->newest != SLOT_NONE;
    if (m->used_count >= m->cfg.record_count_max && !replaces)
        return MESH_EFULL;
    uint32_t index = table_add(m, log, view);
    table_commit(m, index);
    ack_on_commit(m, &m->slots[index]);
    log->changed_ms = 0; /* nothing new: neighbours are asked by digest, not told */
    return MESH_OK;
}

int mesh_restore_settled(struct mesh *m, uint16_t author, uint8_t lane, uint32_t seq)
{
    struct log *log = lane == 0 ? table_get_log(m, author, lane) : NULL;
    if (!log || seq > RECORD_SEQ_MAX)
        return MESH_EUNKNOWN;
    table_settle(m, log, seq);
    log->changed_ms = 0; /* as for restored records */
    return MESH_OK;
}

int mesh_restore_reserved(struct mesh *m, uint16_t author, uint8_t lane, uint32_t seq)
{
    struct log *log = lane < LANE_COUNT ? table_get_log(m, author, lane) : NULL;
    if (!log)
        return MESH_EUNKNOWN;
    log->reserved = seq;
    table_expect_own(m, log);
    return MESH_OK;
}

/* ---- looking in --------------------------------------------------------------------------- */

bool mesh_record_state(const struct mesh *m, const struct record_ref *ref,
                       struct mesh_record_state *state_out)
{
    const struct log *log = ref->lane < LANE_COUNT ? table_find_log(m, ref->author, ref->lane)
                                                   : NULL;
    uint32_t index = log ? table_find(m, log, ref->seq) : SLOT_NONE;
    if (index == SLOT_NONE && log && log->lane == 0 && ref->seq <= log->settled) {
        *state_out = (struct mesh_record_state){ .gateway = log->acked_by };
        return true;
    }
    if (index == SLOT_NONE)
        return false;
    const struct slot *s = &m->slots[index];
    *state_out = (struct mesh_record_state){ .durable = !(s->flags & SLOT_PENDING),
                                             .gateway = AUTHOR_NONE };
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++) {
        const struct neighbour *n = &m->neighbours[i];
        if (n->used && neigh_holds(m, n, s))
            state_out->carriers[state_out->carrier_count++] = n->node;
    }
    if (s->seq <= log->acked)
        state_out->gateway = log->acked_by;
    else if (s->flags & SLOT_ACKED)
        state_out->gateway = s->acked_by;
    return true;
}

void mesh_stats(const struct mesh *m, struct mesh_stats *stats_out)
{
    *stats_out = m->stats;
    stats_out->logs_held = m->log_count;
    stats_out->window_airtime_ms = ledger_spent_ms(m);
    stats_out->budget_ms = m->cfg.duty_budget_ms;
    stats_out->digest = (uint32_t)(m->digest & 0xffffffffu);
}

uint64_t mesh_digest(const struct mesh *m)
{
    uint64_t h = m->digest ^ core_mix(m->rng);
    h = core_mix(h ^ m->now_ms);
    h = core_mix(h ^ m->stats.tx_frames ^ m->stats.rx[MESH_RX_FRAME] << 32);
    for (int i = 0; i < MESH_NEIGHBOUR_COUNT_MAX; i++)
        if (m->neighbours[i].used)
            h = core_mix(h ^ m->neighbours[i].digest ^ (uint64_t)m->neighbours[i].node << 32);
    return h;
}

const char *mesh_strerror(int err)
{
    switch (err) {
    case MESH_OK: return "ok";
    case MESH_ECONFIG: return "a setting is out of range";
    case MESH_ESTORAGE: return "storage too short";
    case MESH_EFULL: return "no room for another record";
    case MESH_ETOOBIG: return "longer than one frame of this modem can carry";
    case MESH_EAGAIN: return "busy, try again at once";
    case MESH_EUNKNOWN: return "not known here";
    case MESH_ESIGN: return "signing failed";
    case MESH_EREVOKED: return "the commune has taken this author's number back";
    case MESH_EROLE: return "this author may not write records of this kind";
    case MESH_EBEHIND:
        return "this store lacks numbers its author has used; waiting for neighbours to return "
               "them";
    }
    return "unknown error";
}

const char *mesh_verdict_name(enum mesh_verdict verdict)
{
    static const char *const names[MESH_RX_COUNT] = {
        "frame", "malformed", "version", "foreign", "echo", "new", "duplicate", "superseded",
        "settled", "unknown-author", "revoked", "role", "bad-signature", "fork", "full",
    };
    return verdict < MESH_RX_COUNT ? names[verdict] : "unknown";
}
