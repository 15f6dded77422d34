#include "node/node.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "hw/modem.h"
#include "proto/report.h"
#include "proto/sign.h"

enum {
    LOG_COUNT_MAX = 1024,
    AUTHOR_COUNT_MAX = 768,
    EVENT_BATCH_MAX = 24, /* more than the core can have waiting */
    MS_PER_S = 1000,
    MS_PER_MINUTE = 60000,
    DUTY_PARTS = 10000,
    SECOND_SPARE = 256, /* more than a core keeps free, and what may be on its way to the store */
    CATCH_UP_MS = 60000, /* between two tries of a side that could not take anything */
    OWED_RETRY_MS = 60000,
    OWED_AT_ONCE_MAX = 16, /* directives in one receipt */
};

/* ---- time --------------------------------------------------------------------------- */

int64_t node_unix_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * MS_PER_S + ts.tv_nsec / 1000000;
}

bool node_clock_set(void)
{
    struct timex tx = { .modes = 0 };
    return adjtimex(&tx) >= 0 && !(tx.status & STA_UNSYNC);
}

uint32_t node_created_min(void)
{
    int64_t min = (node_unix_ms() / MS_PER_S - KENG_EPOCH_UNIX_S) / 60;
    return min < 0 ? 0 : min > CREATED_MINUTES_MAX ? CREATED_MINUTES_MAX : (uint32_t)min;
}

/* ---- the core's outside -------------------------------------------------------------- */

static const struct home_identity *find_identity(const struct node *n, uint16_t author)
{
    for (int i = 0; i < n->identity_count; i++)
        if (n->identities[i].number == author)
            return &n->identities[i];
    return NULL;
}

bool node_is_local(const struct node *n, uint16_t author)
{
    return find_identity(n, author) != NULL;
}

static const struct node *node_of(const void *ctx)
{
    const struct node_side *side = ctx;
    return side->node;
}

static int outside_sign(void *ctx, uint16_t author, uint8_t *buf, size_t len_unsigned)
{
    const struct node *n = node_of(ctx);
    const struct home_identity *id = find_identity(n, author);
    if (!id)
        return -1;
    record_sign(buf, len_unsigned, n->roster.network_id, id->secret_key);
    return 0;
}

static bool outside_verify(void *ctx, const struct record_view *view,
                           const uint8_t key[KENG_KEY_LEN])
{
    const struct node *n = node_of(ctx);
    return record_verify(view, n->roster.network_id, key);
}

static void outside_tag(void *ctx, const uint8_t *head, size_t head_len, const uint8_t *rest,
                        size_t rest_len, uint8_t tag_out[FRAME_TAG_LEN])
{
    const struct node *n = node_of(ctx);
    frame_tag(n->network_key, head, head_len, rest, rest_len, tag_out);
}

static int outside_load(void *ctx, const struct record_ref *ref, uint8_t *buf)
{
    const struct node *n = node_of(ctx);
    return store_load(n->store, ref, buf);
}

/* ---- the roster, as the core needs it ---------------------------------------------------- */

static int tell_author(struct node *n, const struct roster_author *a)
{
    const struct roster_entry *e = &a->entry;
    struct mesh_author author = {
        .number = e->number,
        .last_good_seq = e->revoked_after == 0 ? UINT32_MAX : e->revoked_after - 1,
    };
    memcpy(author.key, e->key, KENG_KEY_LEN);
    switch (e->role) {
    case ROSTER_GATEWAY: author.roles = MESH_ROLE_GATEWAY | MESH_ROLE_REVIEW; break;
    case ROSTER_OPERATOR: author.roles = MESH_ROLE_REVIEW; break;
    case ROSTER_MEMBER:
    case ROSTER_NODE: break;
    }
    int err = MESH_OK;
    for (size_t i = 0; i < n->side_count && err == MESH_OK; i++) {
        author.local = i == 0 && node_is_local(n, e->number); /* the first side writes for all */
        err = mesh_set_author(n->sides[i].mesh, &author);
    }
    return err;
}

/* Up to which number an author counts, as revoked_after says it; UINT32_MAX: all. */
static uint32_t bound_of(const struct node *n, uint16_t number)
{
    const struct roster_author *a = roster_find(&n->roster, number);
    return a && a->entry.revoked_after > 0 ? a->entry.revoked_after : UINT32_MAX;
}

static void apply_root_record(struct node *n, const struct record_view *view)
{
    uint32_t profile_seq = n->roster.profile_seq, bound = UINT32_MAX;
    struct roster_entry entry;
    bool enrols = view->kind == RECORD_ROSTER &&
                  roster_entry_decode(view->body, view->body_len, &entry) == REPORT_OK;
    if (enrols)
        bound = bound_of(n, entry.number);
    int verdict = roster_apply(&n->roster, view);
    if (verdict != ROSTER_VALID) {
        fprintf(stderr, "<4>kengd: record %u of the root: %s\n", view->ref.seq,
                roster_strerror(verdict));
        return;
    }
    if (profile_seq && n->roster.profile_seq != profile_seq) {
        n->profile_changed = true;
        fprintf(stderr, "<5>kengd: the commune's root signed another radio profile; it holds when"
                " kengd starts again\n");
    }
    for (size_t i = 0; view->kind == RECORD_ROSTER && i < n->roster.author_count; i++)
        if (n->roster.authors[i].entry_seq == view->ref.seq &&
            tell_author(n, &n->roster.authors[i]) != MESH_OK)
            fprintf(stderr, "<4>kengd: no room for author %u\n",
                    n->roster.authors[i].entry.number);
    /* What the store kept of him counts again, and perhaps nobody else has it. */
    for (size_t i = 0; enrols && bound_of(n, entry.number) > bound && i < n->side_count; i++)
        n->sides[i].behind_ms = 0;
}

/* ---- own reports on their way --------------------------------------------------------------- */

uint8_t node_carriers(const struct node *n, const struct record_ref *ref,
                      uint16_t carriers_out[MESH_NEIGHBOUR_COUNT_MAX])
{
    struct mesh_record_state ms;
    uint8_t count = 0;
    for (size_t i = 0; i < n->side_count; i++) {
        if (!mesh_record_state(n->sides[i].mesh, ref, &ms))
            continue;
        for (uint8_t k = 0; k < ms.carrier_count && count < MESH_NEIGHBOUR_COUNT_MAX; k++)
            carriers_out[count++] = ms.carriers[k];
    }
    return count;
}

void node_report_state(struct node *n, const struct record_ref *ref, uint16_t carried_by,
                       struct node_report *report_out)
{
    struct node_report r = { .ref = *ref, .carried_by = carried_by, .review_by = AUTHOR_NONE };
    struct mesh_record_state ms;
    struct store_review review;
    uint16_t carriers[MESH_NEIGHBOUR_COUNT_MAX];
    r.carrier_count = node_carriers(n, ref, carriers);
    if (r.carrier_count > 0 && carried_by == AUTHOR_NONE)
        r.carried_by = carriers[0];
    if (mesh_record_state(n->mesh, ref, &ms) && ms.gateway != AUTHOR_NONE)
        r.state = REPORT_RECEIVED;
    if (r.state == REPORT_STORED && r.carried_by != AUTHOR_NONE)
        r.state = REPORT_CARRIED;
    if (store_find_review(n->store, ref, &review) == STORE_OK) {
        r.state = REPORT_READ;
        r.review_by = review.by;
        r.review_state = review.state;
    }
    *report_out = r;
}

static void open_report(struct node *n, const struct record_ref *ref, uint16_t carried_by)
{
    for (size_t i = 0; i < n->open_count; i++)
        if (n->open[i].ref.author == ref->author && n->open[i].ref.seq == ref->seq)
            return; /* it did not count for a while */
    if (n->open_count == NODE_OPEN_COUNT_MAX) {
        /* The oldest is still answered when asked for; only its changes are no longer announced. */
        memmove(&n->open[0], &n->open[1], (NODE_OPEN_COUNT_MAX - 1) * sizeof n->open[0]);
        n->open_count--;
    }
    node_report_state(n, ref, carried_by, &n->open[n->open_count++]);
}

static bool same_state(const struct node_report *a, const struct node_report *b)
{
    return a->state == b->state && a->carried_by == b->carried_by &&
           a->review_by == b->review_by && a->review_state == b->review_state;
}

static bool announce_record(void *ctx, const struct store_record *record)
{
    struct node *n = ctx;
    n->on_state(n->listener, node_json_report(n, record));
    return false;
}

static void announce(struct node *n, const struct node_report *r)
{
    if (!n->on_state)
        return; /* still starting: who connects later asks for the state himself */
    if (store_find_record(n->store, &r->ref, announce_record, n) == STORE_EIO)
        fprintf(stderr, "<4>kengd: %s\n", store_text(n->store));
}

/* What changed since last time: remembered in one transaction, because one acknowledgement may
 * speak of hundreds, and announced; what was read is not followed any more, unless a later review
 * says otherwise. */
static void follow_reports(struct node *n)
{
    uint32_t state_changes = 0;
    for (size_t i = 0; i < n->side_count; i++) {
        struct mesh_stats stats;
        mesh_stats(n->sides[i].mesh, &stats);
        state_changes += stats.state_changes;
    }
    if (state_changes == n->state_changes_seen)
        return;
    n->state_changes_seen = state_changes;
    bool changed[NODE_OPEN_COUNT_MAX] = { false }, begun = false, good = true;
    for (size_t i = 0; i < n->open_count; i++) {
        struct node_report now;
        node_report_state(n, &n->open[i].ref, n->open[i].carried_by, &now);
        if (same_state(&now, &n->open[i]))
            continue;
        if (now.carried_by != n->open[i].carried_by) {
            good = good && (begun || store_begin(n->store) == STORE_OK);
            begun = true;
            good = good && store_put_carried(n->store, &now.ref, now.carried_by) == STORE_OK;
        }
        n->open[i] = now;
        changed[i] = true;
    }
    if (begun && (!good || store_commit(n->store) != STORE_OK)) {
        store_rollback(n->store);
        fprintf(stderr, "<4>kengd: %s\n", store_text(n->store));
    }
    for (size_t i = 0; i < n->open_count; i++)
        if (changed[i])
            announce(n, &n->open[i]);
}

/* ---- making durable ------------------------------------------------------------------------- */

static struct node_pending *pending_of(struct node *n, const struct record_ref *ref)
{
    for (int i = 0; i < NODE_PENDING_COUNT_MAX; i++) {
        struct node_pending *p = &n->pending[i];
        if (p->used && p->staged && p->ref.author == ref->author && p->ref.lane == ref->lane &&
            p->ref.seq == ref->seq)
            return p;
    }
    return NULL;
}

static int store_reviews(struct node *n, const struct record_view *view)
{
    struct review review;
    if (view->encrypted || review_decode(view->body, view->body_len, &review) != REPORT_OK)
        return STORE_OK; /* a body of a later version: kept and carried, not understood here */
    struct store_review row = { .by = view->ref.author, .by_seq = view->ref.seq,
                                .state = (uint8_t)review.state };
    snprintf(row.text, sizeof row.text, "%s", review.text);
    int err = STORE_OK;
    for (size_t i = 0; i < review.ref_count && err == STORE_OK; i++)
        err = store_put_review(n->store, &review.refs[i], &row);
    if (err == STORE_OK && review.state == REVIEW_CORRECTED)
        err = store_put_correction(n->store, &review.refs[0], &view->ref);
    return err;
}

static int make_room(struct node *n, const struct mesh_event *ev)
{
    if (ev->leaves.seq == 0)
        return STORE_OK;
    int err = store_drop_record(n->store, &ev->leaves);
    return err == STORE_OK && ev->settles ? store_put_settled(n->store, &ev->leaves) : err;
}

static bool is_box_receipt(const struct node *n, uint16_t author, uint8_t kind)
{
    return kind == RECORD_RECEIPT && author == n->settings.node;
}

/* A directive that asks for it is answered once by the box itself: that it is here, for somebody
 * who writes on this box.  Whether it was read, only people say. */
static bool wants_receipt(const struct node *n, const struct record_view *view)
{
    struct directive directive;
    if (view->kind != RECORD_DIRECTIVE || view->encrypted || node_is_local(n, view->ref.author) ||
        !node_is_local(n, n->settings.node) ||
        directive_decode(view->body, view->body_len, &directive) != REPORT_OK || !directive.receipt)
        return false;
    for (int i = 0; i < n->identity_count; i++) {
        const struct roster_author *a = roster_find(&n->roster, n->identities[i].number);
        if (a && directive_is_for(&directive, &a->entry))
            return true;
    }
    return false;
}

/* The debt is written with the directive and struck off with the receipt, in the same transaction:
 * no full queue, no refusal and no power cut in between loses it. */
static int keep_debts(struct node *n, const struct record_view *view)
{
    struct receipt receipt;
    int err = STORE_OK;
    if (wants_receipt(n, view))
        err = store_put_owed(n->store, &view->ref);
    if (!is_box_receipt(n, view->ref.author, view->kind) || view->encrypted ||
        receipt_decode(view->body, view->body_len, &receipt) != REPORT_OK || receipt.read)
        return err;
    for (size_t i = 0; i < receipt.ref_count && err == STORE_OK; i++)
        err = store_drop_owed(n->store, &receipt.refs[i]);
    return err;
}

/* The total of one minute, and of those before it that the disk did not take in their time. */
static int write_ledger(struct node *n, const struct node_side *side, uint64_t minute_ms)
{
    uint64_t window_ms = (uint64_t)n->roster.profile.duty_window_s * MS_PER_S +
                         MESH_LEDGER_SLACK_MINUTES * MS_PER_MINUTE;
    uint64_t at_ms = minute_ms > window_ms ? minute_ms - window_ms : 0;
    int err = STORE_OK;
    if (at_ms < side->unwritten_ms)
        at_ms = side->unwritten_ms < minute_ms ? side->unwritten_ms : minute_ms;
    for (; at_ms <= minute_ms && err == STORE_OK; at_ms += MS_PER_MINUTE) {
        uint32_t us = mesh_minute_airtime_us(side->mesh, at_ms);
        if (us > 0)
            err = store_put_airtime(n->store, side->ledger, at_ms, us);
    }
    return err;
}

static int apply_event(struct node *n, const struct node_side *side, const struct mesh_event *ev)
{
    struct record_view view;
    int64_t arrival;
    int err;
    switch (ev->type) {
    case MESH_EV_STORE: {
        const struct node_pending *p = ev->own ? pending_of(n, &ev->ref) : NULL;
        if (record_decode(ev->bytes, ev->len, &view) != RECORD_OK)
            return STORE_EIO;
        err = make_room(n, ev);
        if (err == STORE_OK)
            err = ev->own ? STORE_ENONE : store_keep_again(n->store, &view);
        if (err == STORE_ENONE)
            err = store_put_record(n->store, &view, node_unix_ms(), ev->replaces_seq,
                                   p && p->once[0] ? p->once : NULL, &arrival);
        if (err == STORE_OK && view.kind == RECORD_REVIEW)
            err = store_reviews(n, &view);
        return err == STORE_OK ? keep_debts(n, &view) : err;
    }
    case MESH_EV_FORK:
        if (record_decode(ev->bytes, ev->len, &view) != RECORD_OK)
            return STORE_EIO;
        return store_put_fork(n->store, &view, node_unix_ms());
    case MESH_EV_SETTLE:
        return store_put_settled(n->store, &ev->ref);
    case MESH_EV_CHARGE:
        return write_ledger(n, side, ev->minute_ms);
    case MESH_EV_RESERVE:
        if (numbers_put(&n->numbers, ev->ref.author, ev->ref.lane, ev->ref.seq) == 0)
            return STORE_OK;
        snprintf(n->disk_text, sizeof n->disk_text, "numbers: cannot write: %s", strerror(errno));
        return STORE_EIO;
    }
    return STORE_EIO;
}

static void answer(struct node *n, struct node_pending *p, json_t *json)
{
    uint64_t client = p->client;
    p->used = false;
    if (client)
        n->on_answer(n->listener, client, json);
    else
        json_decref(json);
}

static void refuse(struct node *n, uint64_t now_ms, struct node_pending *p, json_t *json)
{
    if (is_box_receipt(n, p->draft.ref.author, p->draft.kind))
        n->owed_after_ms = now_ms + OWED_RETRY_MS;
    answer(n, p, json);
}

static json_t *submitted_json(const struct record_ref *ref, size_t len)
{
    return json_pack("{s:b, s:i, s:i, s:i, s:i, s:i}", "ok", 1, "author", ref->author, "lane",
                     ref->lane, "seq", (int)ref->seq, "len", (int)len, "frame_len",
                     (int)(FRAME_HEADER_LEN + 1 + len));
}

/* The store has spoken about a record: whoever waits for it is told; what it says takes effect. */
static void settle_record(struct node *n, uint64_t now_ms, const struct mesh_event *ev,
                          bool durable)
{
    struct node_pending *p = ev->own ? pending_of(n, &ev->ref) : NULL;
    if (!durable) {
        if (p)
            refuse(n, now_ms, p, node_json_error("disk", "not kept: %s", n->disk_text));
        return;
    }
    n->last_arrival = store_last_arrival(n->store);
    struct record_view view;
    if (record_decode(ev->bytes, ev->len, &view) != RECORD_OK)
        return;
    if (view.ref.author == AUTHOR_ROOT)
        apply_root_record(n, &view);
    if (record_is_report(view.kind) && node_is_local(n, view.ref.author))
        open_report(n, &view.ref, AUTHOR_NONE);
    n->owes = n->owes || view.kind == RECORD_DIRECTIVE;
    if (p)
        answer(n, p, submitted_json(&ev->ref, ev->len));
}

static void note_store(struct node *n, bool durable)
{
    if (!durable && !n->store_failing)
        fprintf(stderr, "<3>kengd: %s\n", n->disk_text);
    if (durable && n->store_failing)
        fprintf(stderr, "<5>kengd: store.db can be written again\n");
    n->store_failing = !durable;
}

/* ---- several sides over one store ------------------------------------------------------------ */

static bool in_store(struct node *n, const struct mesh_event *ev)
{
    uint8_t bytes[RECORD_LEN_MAX];
    int len = store_load(n->store, &ev->ref, bytes);
    return len == ev->len && memcmp(bytes, ev->bytes, ev->len) == 0;
}

/* What the first side has kept, or let go of, becomes known to the others. */
static void tell_sides(struct node *n, uint64_t now_ms, const struct mesh_event *ev)
{
    for (size_t i = 1; i < n->side_count; i++) {
        struct node_side *side = &n->sides[i];
        if (ev->type == MESH_EV_SETTLE)
            mesh_on_left(side->mesh, now_ms, &ev->ref, true);
        if (ev->type == MESH_EV_STORE && ev->leaves.seq != 0)
            mesh_on_left(side->mesh, now_ms, &ev->leaves, ev->settles);
        if ((ev->type == MESH_EV_STORE || ev->type == MESH_EV_FORK) &&
            mesh_on_record(side->mesh, now_ms, ev->bytes, ev->len) == MESH_RX_FULL)
            side->behind_ms = now_ms;
    }
}

static bool persist_first(struct node *n, uint64_t now_ms);

/* A further side has heard something new: the first one takes it in, or refuses it for both. */
static bool take_by_first(struct node *n, uint64_t now_ms, const struct mesh_event *ev)
{
    if (in_store(n, ev))
        return true;
    mesh_on_record(n->mesh, now_ms, ev->bytes, ev->len);
    persist_first(n, now_ms);
    return in_store(n, ev);
}

/* What a further side wants durable: its airtime is its own, of records the first side decides. */
static bool persist_further(struct node *n, struct node_side *side, uint64_t now_ms)
{
    struct mesh_event ev;
    bool any = false;
    while (mesh_poll_event(side->mesh, now_ms, &ev)) {
        bool good;
        if (ev.type == MESH_EV_FORK)
            mesh_on_record(n->mesh, now_ms, ev.bytes, ev.len);
        if (ev.type == MESH_EV_STORE) {
            good = take_by_first(n, now_ms, &ev);
        } else {
            good = store_begin(n->store) == STORE_OK && apply_event(n, side, &ev) == STORE_OK &&
                   store_commit(n->store) == STORE_OK;
            if (!good) {
                store_rollback(n->store);
                snprintf(n->disk_text, sizeof n->disk_text, "%s", store_text(n->store));
            }
            note_store(n, good);
        }
        mesh_on_persisted(side->mesh, now_ms, ev.event_id, good);
        if (good && ev.type == MESH_EV_CHARGE)
            side->unwritten_ms = UINT64_MAX;
        any = true;
    }
    return any;
}

struct offering { struct node_side *side; uint64_t now_ms; bool full, taken; };

static bool offer_stored(void *ctx, const struct store_record *row)
{
    struct offering *o = ctx;
    struct record_view view;
    struct mesh_record_state ms;
    if (record_decode(row->bytes, row->len, &view) != RECORD_OK ||
        mesh_record_state(o->side->mesh, &view.ref, &ms))
        return true;
    enum mesh_verdict verdict = mesh_on_record(o->side->mesh, o->now_ms, row->bytes, row->len);
    o->full = verdict == MESH_RX_FULL;
    o->taken = o->taken || verdict == MESH_RX_NEW;
    return !o->full;
}

/* Everything in the store that this side lacks is offered to it, as much as it can stage. */
static void catch_up(struct node *n, struct node_side *side, uint64_t now_ms)
{
    struct offering o = { .side = side, .now_ms = now_ms };
    if (store_each_record(n->store, offer_stored, &o) != STORE_OK)
        fprintf(stderr, "<4>kengd: %s\n", store_text(n->store));
    side->behind_ms = !o.full ? UINT64_MAX : o.taken ? now_ms : now_ms + CATCH_UP_MS;
}

/* ---- all that the first core wants durable ----------------------------------------------- */

/* In one transaction, then the answers. */
static bool persist_first(struct node *n, uint64_t now_ms)
{
    static struct mesh_event events[EVENT_BATCH_MAX];
    size_t count = 0;
    bool good = true, begun = false;
    while (count < EVENT_BATCH_MAX && mesh_poll_event(n->mesh, now_ms, &events[count])) {
        if (!begun) {
            n->disk_text[0] = '\0';
            good = store_begin(n->store) == STORE_OK;
        }
        begun = true;
        good = good && apply_event(n, &n->sides[0], &events[count]) == STORE_OK;
        count++;
    }
    if (!begun)
        return false;
    good = good && store_commit(n->store) == STORE_OK;
    if (!good)
        store_rollback(n->store);
    if (!good && !n->disk_text[0])
        snprintf(n->disk_text, sizeof n->disk_text, "%s", store_text(n->store));
    note_store(n, good);
    for (size_t i = 0; i < count; i++) {
        mesh_on_persisted(n->mesh, now_ms, events[i].event_id, good);
        if (good && events[i].type == MESH_EV_CHARGE)
            n->sides[0].unwritten_ms = UINT64_MAX;
        if (events[i].type == MESH_EV_STORE)
            settle_record(n, now_ms, &events[i], good);
        if (good)
            tell_sides(n, now_ms, &events[i]);
    }
    return true;
}

static bool persist(struct node *n, uint64_t now_ms)
{
    bool any = persist_first(n, now_ms);
    for (size_t i = 0; i < n->side_count; i++) {
        struct node_side *side = &n->sides[i];
        any = (i > 0 && persist_further(n, side, now_ms)) || any;
        if (side->behind_ms <= now_ms && !n->store_failing) {
            catch_up(n, side, now_ms);
            any = (i > 0 ? persist_further(n, side, now_ms) : persist_first(n, now_ms)) || any;
        }
    }
    return any;
}

/* ---- submits ------------------------------------------------------------------------------ */

static json_t *refusal(int err)
{
    switch (err) {
    case MESH_EUNKNOWN: return node_json_error("unknown-author", "this node holds no key of that"
                                               " author, or the roster does not know it");
    case MESH_EROLE: return node_json_error("bad-request", "%s", mesh_strerror(err));
    case MESH_ETOOBIG: return node_json_error("too-long", "%s", mesh_strerror(err));
    case MESH_EFULL: return node_json_error("store-full", "%s", mesh_strerror(err));
    case MESH_EREVOKED: return node_json_error("revoked", "%s", mesh_strerror(err));
    case MESH_EBEHIND: return node_json_error("behind", "%s", mesh_strerror(err));
    default: return node_json_error("bad-request", "%s", mesh_strerror(err));
    }
}

bool node_submit(struct node *n, uint64_t now_ms, uint64_t client, const struct record_draft *draft,
                 const char *once)
{
    (void)now_ms;
    for (int i = 0; i < NODE_PENDING_COUNT_MAX; i++) {
        struct node_pending *p = &n->pending[i];
        if (p->used)
            continue;
        *p = (struct node_pending){ .used = true, .client = client, .draft = *draft };
        snprintf(p->once, sizeof p->once, "%s", once ? once : "");
        memcpy(p->body, draft->body, draft->body_len);
        p->draft.body = p->body;
        return true;
    }
    return false;
}

void node_forget_client(struct node *n, uint64_t client)
{
    for (int i = 0; i < NODE_PENDING_COUNT_MAX; i++)
        if (n->pending[i].used && n->pending[i].client == client)
            n->pending[i].client = 0;
}

/* The same token again: the same record again. */
static bool answered_before(struct node *n, struct node_pending *p)
{
    struct record_ref ref;
    uint8_t bytes[RECORD_LEN_MAX];
    if (!p->once[0] || store_find_once(n->store, p->once, &ref) != STORE_OK)
        return false;
    int len = store_load(n->store, &ref, bytes);
    if (len <= 0)
        answer(n, p, node_json_error("disk", "%s", store_text(n->store)));
    else
        answer(n, p, submitted_json(&ref, (size_t)len));
    return true;
}

/* A twin with the same token is being written: this one waits for its outcome. */
static bool twin_staged(const struct node *n, const struct node_pending *p)
{
    for (int i = 0; i < NODE_PENDING_COUNT_MAX; i++)
        if (n->pending[i].used && n->pending[i].staged && p->once[0] &&
            strcmp(n->pending[i].once, p->once) == 0)
            return true;
    return false;
}

static void stage_pending(struct node *n, uint64_t now_ms)
{
    for (int i = 0; i < NODE_PENDING_COUNT_MAX; i++) {
        struct node_pending *p = &n->pending[i];
        if (!p->used || p->staged || twin_staged(n, p) || answered_before(n, p))
            continue;
        int err = mesh_submit(n->mesh, now_ms, &p->draft, &p->ref);
        if (err == MESH_OK)
            p->staged = true;
        else if (err != MESH_EAGAIN)
            refuse(n, now_ms, p, refusal(err));
        else if (p->retried && n->store_failing)
            refuse(n, now_ms, p, node_json_error("disk", "not kept: %s", n->disk_text));
        else
            p->retried = true; /* the disk may be well again: that is seen by trying */
    }
}

static void take_debt(void *ctx, const struct record_ref *ref)
{
    struct receipt *receipt = ctx;
    if (receipt->ref_count < OWED_AT_ONCE_MAX)
        receipt->refs[receipt->ref_count++] = *ref;
}

/* One receipt at a time, for all that is owed when it is written. */
static void pay_debts(struct node *n, uint64_t now_ms)
{
    struct receipt receipt = { .ref_count = 0 };
    uint8_t body[RECORD_BODY_LEN_MAX];
    if (!n->owes || now_ms < n->owed_after_ms)
        return;
    for (int i = 0; i < NODE_PENDING_COUNT_MAX; i++)
        if (n->pending[i].used && is_box_receipt(n, n->pending[i].draft.ref.author,
                                                 n->pending[i].draft.kind))
            return;
    if (store_each_owed(n->store, take_debt, &receipt) != STORE_OK)
        return; /* what ails the store is told where it is written */
    n->owes = receipt.ref_count > 0;
    int len = n->owes ? receipt_encode(&receipt, body, sizeof body) : -1;
    if (len < 0)
        return;
    struct record_draft draft = { .ref = { .author = n->settings.node }, .kind = RECORD_RECEIPT,
                                  .priority = PRIORITY_ROUTINE, .clock_set = node_clock_set(),
                                  .created_min = node_created_min(), .body = body,
                                  .body_len = (size_t)len };
    node_submit(n, now_ms, 0, &draft, NULL); /* no place: the next drain tries again */
}

void node_drain(struct node *n, uint64_t now_ms)
{
    for (size_t i = 0; i < n->side_count; i++)
        mesh_set_clock(n->sides[i].mesh, node_created_min(), node_clock_set());
    do {
        pay_debts(n, now_ms);
        stage_pending(n, now_ms);
    } while (persist(n, now_ms));
    follow_reports(n);
}

const char *node_add(struct node *n, uint64_t now_ms, const uint8_t *bytes, size_t len)
{
    enum mesh_verdict verdict = mesh_on_record(n->mesh, now_ms, bytes, len);
    node_drain(n, now_ms);
    if (verdict == MESH_RX_NEW && n->store_failing)
        verdict = MESH_RX_FULL; /* offered again later */
    return mesh_verdict_name(verdict);
}

/* ---- start --------------------------------------------------------------------------------- */

static_assert((int)STORE_LEDGER_COUNT_MAX == (int)SETTINGS_MODEM_COUNT_MAX, "a ledger each");
static_assert((int)STORE_TEXT_LEN == (int)NUMBERS_TEXT_LEN, "one buffer serves both");

struct restoring { struct node *n; size_t refused; };

static bool restore_record(void *ctx, const struct store_record *row)
{
    struct restoring *r = ctx;
    struct node *n = r->n;
    struct record_view view;
    if (record_decode(row->bytes, row->len, &view) != RECORD_OK) {
        r->refused++;
        return true;
    }
    int err = MESH_OK;
    for (size_t i = 0; i < n->side_count && err == MESH_OK; i++)
        err = mesh_restore_record(n->sides[i].mesh, &view);
    if (err != MESH_OK) {
        r->refused++;
        return true;
    }
    if (view.ref.author == AUTHOR_ROOT)
        apply_root_record(n, &view);
    for (size_t i = 0; i < n->side_count; i++)
        mesh_restore_ack(n->sides[i].mesh, &view);
    if (record_is_report(view.kind) && node_is_local(n, view.ref.author))
        open_report(n, &view.ref, row->carried_by);
    return true;
}

static void restore_settled(void *ctx, const struct record_ref *ref)
{
    struct node *n = ctx;
    /* Of an author whom the roster no longer names there is nothing to settle. */
    int err = MESH_OK;
    for (size_t i = 0; i < n->side_count && err == MESH_OK; i++)
        err = mesh_restore_settled(n->sides[i].mesh, ref->author, ref->lane, ref->seq);
    if (err != MESH_OK)
        fprintf(stderr, "<4>kengd: nothing is known of author %u\n", ref->author);
}

/* What the root said since commune.keng was copied came over the air: profile and roster hold from
 * the start on, before the cores are made after them.  The root's records are the first. */
static bool take_root_record(void *ctx, const struct store_record *row)
{
    struct node *n = ctx;
    struct record_view view;
    if (record_decode(row->bytes, row->len, &view) != RECORD_OK)
        return true; /* counted by restore_record, as what cannot be applied is told there */
    if (view.ref.author != AUTHOR_ROOT)
        return false;
    (void)roster_apply(&n->roster, &view);
    return true;
}

static int take_root_records(struct node *n, char *text)
{
    if (store_each_record(n->store, take_root_record, n) == STORE_OK)
        return 0;
    snprintf(text, NODE_TEXT_LEN, "%s", store_text(n->store));
    return -1;
}

struct old_airtime {
    struct node *n;
    uint64_t now_ms, window_ms, unknown_age_us;
    char ledger[NODE_LEDGER_LEN]; /* of unknown age, being read */
    uint64_t newest_ms;
};

static void restore_airtime(void *ctx, const char *ledger, uint64_t minute_ms, uint32_t airtime_us)
{
    struct old_airtime *old = ctx;
    for (size_t i = 0; i < old->n->side_count; i++) {
        const struct node_side *side = &old->n->sides[i];
        if (strcmp(ledger, side->ledger) == 0 && minute_ms <= old->now_ms) {
            mesh_restore_airtime(side->mesh, old->now_ms, old->now_ms - minute_ms, airtime_us);
            return;
        }
    }
    if (strcmp(ledger, old->ledger) != 0) {
        snprintf(old->ledger, sizeof old->ledger, "%s", ledger);
        old->newest_ms = minute_ms;
    }
    /* What had left the window when the newest was spent is not in any window since. */
    if (old->newest_ms - minute_ms < old->window_ms)
        old->unknown_age_us += airtime_us;
}

/* Airtime of another boot has an unknown age, and of a modem that has another name now, an unknown
 * sender: its last window counts as spent just now by each of them, and is written so. */
static int take_over_airtime(struct node *n, uint64_t now_ms)
{
    struct old_airtime old = { .n = n, .now_ms = now_ms,
                               .window_ms = (uint64_t)n->roster.profile.duty_window_s * MS_PER_S +
                                            MESH_LEDGER_SLACK_MINUTES * MS_PER_MINUTE };
    const char *ledgers[STORE_LEDGER_COUNT_MAX] = { NULL };
    int err = store_each_airtime(n->store, restore_airtime, &old);
    uint32_t us = old.unknown_age_us > UINT32_MAX ? UINT32_MAX : (uint32_t)old.unknown_age_us;
    for (size_t i = 0; i < n->side_count; i++) {
        ledgers[i] = n->sides[i].ledger;
        if (us > 0)
            mesh_restore_airtime(n->sides[i].mesh, now_ms, 0, us);
    }
    if (err == STORE_OK)
        err = store_begin(n->store);
    if (err == STORE_OK)
        err = store_keep_ledgers(n->store, ledgers);
    for (size_t i = 0; i < n->side_count && err == STORE_OK && us > 0; i++)
        err = write_ledger(n, &n->sides[i], now_ms / MS_PER_MINUTE * MS_PER_MINUTE);
    if (err == STORE_OK)
        err = store_commit(n->store);
    if (err != STORE_OK)
        store_rollback(n->store);
    return err;
}

void node_spend(struct node *n, size_t side, uint64_t now_ms, uint32_t airtime_us)
{
    struct node_side *s = &n->sides[side];
    uint64_t minute_ms = now_ms / MS_PER_MINUTE * MS_PER_MINUTE;
    mesh_restore_airtime(s->mesh, now_ms, 0, airtime_us);
    int err = store_begin(n->store);
    if (err == STORE_OK)
        err = write_ledger(n, s, minute_ms);
    if (err == STORE_OK)
        err = store_commit(n->store);
    if (err == STORE_OK) {
        s->unwritten_ms = UINT64_MAX;
        return;
    }
    store_rollback(n->store);
    if (s->unwritten_ms > minute_ms)
        s->unwritten_ms = minute_ms; /* the next that is written has it too */
}

static int read_boot_id(struct node *n)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, n->boot_id, sizeof n->boot_id - 1);
    if (fd >= 0)
        close(fd);
    if (len <= 0)
        return -1;
    n->boot_id[len] = '\0';
    n->boot_id[strcspn(n->boot_id, "\n")] = '\0';
    return 0;
}

/* What one frame of this modem carries; without a driver nothing is sent anyway. */
static uint16_t mtu_len(const char *driver_name)
{
    const struct modem_driver *driver = modem_driver_find(driver_name);
    return driver && driver->caps.mtu_len < FRAME_LEN_MAX ? driver->caps.mtu_len : FRAME_LEN_MAX;
}

static struct mesh_config config_of(struct node *n, struct node_side *side,
                                    const struct settings_modem *modem, bool second)
{
    const struct profile *p = &n->roster.profile;
    uint16_t duty_e4 = n->settings.gateway ? p->duty_gateway_e4 : p->duty_node_e4;
    struct mesh_config cfg = {
        .outside = { .ctx = side, .sign = outside_sign, .verify = outside_verify,
                     .tag = outside_tag, .load = outside_load },
        .lora = settings_lora(modem, &p->lora),
        .node = n->settings.node,
        .gateway = n->settings.gateway && !second,
        .second = second,
        .mtu_len = mtu_len(modem->driver),
        .record_count_max = n->settings.record_count_max,
        .log_count_max = LOG_COUNT_MAX,
        .author_count_max = AUTHOR_COUNT_MAX,
        .duty_window_ms = p->duty_window_s * MS_PER_S,
        .duty_budget_ms = (uint32_t)((uint64_t)p->duty_window_s * MS_PER_S * duty_e4 / DUTY_PARTS),
    };
    if (second && cfg.record_count_max + SECOND_SPARE <= MESH_RECORD_COUNT_MAX)
        cfg.record_count_max += SECOND_SPARE; /* it takes whatever the first side keeps */
    randombytes_buf(&cfg.seed, sizeof cfg.seed);
    return cfg;
}

static int make_side(struct node *n, size_t index, uint64_t now_ms, char *text)
{
    struct node_side *side = &n->sides[index];
    const struct settings_modem *modem = &n->settings.modems[index];
    side->node = n;
    side->behind_ms = side->unwritten_ms = UINT64_MAX;
    snprintf(side->ledger, sizeof side->ledger, "%s%s%s", n->boot_id, modem->name[0] ? "/" : "",
             modem->name);
    struct mesh_config cfg = config_of(n, side, modem, index > 0);
    size_t len = mesh_storage_size(&cfg);
    if (len == 0) {
        snprintf(text, NODE_TEXT_LEN, "the commune's profile asks for a duty window or a radio"
                 " setting that this kengd cannot keep (window of whole minutes, at most an hour)");
        return -1;
    }
    side->storage = calloc(1, len);
    if (!side->storage || mesh_init(side->storage, len, &cfg, now_ms, &side->mesh) != MESH_OK) {
        snprintf(text, NODE_TEXT_LEN, "out of memory: record_count_max in kengd.conf is %u",
                 n->settings.record_count_max);
        return -1;
    }
    n->side_count = index + 1;
    struct mesh_author root = { .number = AUTHOR_ROOT, .last_good_seq = UINT32_MAX };
    memcpy(root.key, n->roster.root_key, KENG_KEY_LEN);
    mesh_set_author(side->mesh, &root);
    return 0;
}

static int make_sides(struct node *n, uint64_t now_ms, char *text)
{
    /* What a larger store holds is kept: a smaller number only ends its growth. */
    int64_t stored = store_record_count(n->store);
    if (stored > n->settings.record_count_max)
        n->settings.record_count_max = stored < MESH_RECORD_COUNT_MAX ? (uint32_t)stored
                                                                      : MESH_RECORD_COUNT_MAX;
    for (size_t i = 0; i < n->settings.modem_count; i++)
        if (make_side(n, i, now_ms, text) < 0)
            return -1;
    n->mesh = n->sides[0].mesh;
    return 0;
}

/* commune.keng is believed at once (its signatures were checked), so that authors are known before
 * their records are restored; what the store lacks of it enters like any record. */
static int read_commune(struct node *n, const char *home, uint8_t **bytes_out,
                        struct batch_reader *reader_out, char *text)
{
    char err[HOME_ERR_LEN];
    if (home_read_commune(home, bytes_out, reader_out, err) < 0) {
        snprintf(text, NODE_TEXT_LEN, "%s", err);
        return -1;
    }
    roster_init(&n->roster, reader_out->header.root_key);
    struct batch_reader r = *reader_out;
    const uint8_t *record;
    size_t len;
    struct record_view view;
    while (batch_next(&r, &record, &len) == 1)
        if (roster_verify(&n->roster, record, len, &view) == ROSTER_VALID)
            roster_apply(&n->roster, &view);
    if (n->roster.profile_seq == 0) {
        snprintf(text, NODE_TEXT_LEN, "%s/commune.keng holds no profile: make it anew with"
                 " `keng init`", home);
        return -1;
    }
    return 0;
}

static int check_identities(struct node *n, const char *home, char *text)
{
    char err[HOME_ERR_LEN];
    n->identity_count = home_read_identities(home, n->identities, err);
    if (n->identity_count < 0) {
        snprintf(text, NODE_TEXT_LEN, "%s", err);
        return -1;
    }
    for (int i = 0; i < n->identity_count; i++) {
        const struct home_identity *id = &n->identities[i];
        const uint8_t *key = roster_key(&n->roster, id->number);
        if (key && memcmp(key, id->public_key, KENG_KEY_LEN) == 0)
            continue;
        snprintf(text, NODE_TEXT_LEN, "%s/identity/%u.key is not the key the roster knows for"
                 " number %u: copy the desk's commune.keng here, or enroll again", home, id->number,
                 id->number);
        return -1;
    }
    if (n->settings.gateway) {
        const struct roster_author *a = roster_find(&n->roster, n->settings.node);
        if (!node_is_local(n, n->settings.node) || !a || a->entry.role != ROSTER_GATEWAY) {
            snprintf(text, NODE_TEXT_LEN, "kengd.conf says role = \"gateway\", but number %u is not"
                     " enrolled as a gateway with its key in %s/identity", n->settings.node, home);
            return -1;
        }
    }
    return 0;
}

static int open_files(struct node *n, const char *home, char *text)
{
    char path[SETTINGS_PATH_LEN + 32], err[STORE_TEXT_LEN];
    snprintf(path, sizeof path, "%s/store.db", home);
    if (store_open(path, n->roster.network_id, &n->store, err) != STORE_OK) {
        snprintf(text, NODE_TEXT_LEN, "%s: %s", home, err);
        return -1;
    }
    snprintf(path, sizeof path, "%s/numbers", home);
    if (numbers_open(&n->numbers, path, err) < 0) {
        snprintf(text, NODE_TEXT_LEN, "%s", err);
        return -1;
    }
    return 0;
}

static int restore(struct node *n, uint64_t now_ms, char *text)
{
    for (size_t i = 0; i < n->roster.author_count; i++)
        tell_author(n, &n->roster.authors[i]);
    struct restoring r = { .n = n };
    if (store_each_record(n->store, restore_record, &r) != STORE_OK ||
        store_each_settled(n->store, restore_settled, n) != STORE_OK ||
        take_over_airtime(n, now_ms) != STORE_OK) {
        snprintf(text, NODE_TEXT_LEN, "%s", store_text(n->store));
        return -1;
    }
    if (r.refused > 0)
        fprintf(stderr, "<4>kengd: %zu stored records were not taken up: unreadable, of an unknown"
                " author, or beyond record_count_max\n", r.refused);
    for (size_t i = 0; i < n->numbers.count; i++) {
        const struct numbers_entry *e = &n->numbers.entries[i];
        mesh_restore_reserved(n->mesh, e->author, e->lane, e->number);
    }
    int64_t last = store_last_arrival(n->store);
    n->last_arrival = last > 0 ? last : 0;
    return 0;
}

static void import_commune(struct node *n, uint64_t now_ms, struct batch_reader *reader)
{
    const uint8_t *record;
    size_t len;
    while (batch_next(reader, &record, &len) == 1)
        node_add(n, now_ms, record, len);
}

int node_open(struct node *n, const char *home, unsigned speed, uint64_t now_ms,
              char text[static NODE_TEXT_LEN])
{
    char path[SETTINGS_PATH_LEN + 32], err[HOME_ERR_LEN];
    uint8_t *commune = NULL;
    struct batch_reader reader;
    int result = -1;
    n->speed = speed;
    n->owes = true;
    n->numbers.fd = -1;
    snprintf(path, sizeof path, "%s/kengd.conf", home);
    if (read_boot_id(n) < 0) {
        snprintf(text, NODE_TEXT_LEN, "/proc is not mounted: kengd needs the boot id to know the "
                 "age of spent airtime");
        goto out;
    }
    if (settings_read(path, &n->settings, text) < 0)
        goto out;
    if (home_read_network_key(home, n->network_key, err) < 0) {
        snprintf(text, NODE_TEXT_LEN, "%s", err);
        goto out;
    }
    if (read_commune(n, home, &commune, &reader, text) < 0 ||
        check_identities(n, home, text) < 0 || open_files(n, home, text) < 0 ||
        take_root_records(n, text) < 0 ||
        make_sides(n, now_ms, text) < 0 || restore(n, now_ms, text) < 0)
        goto out;
    import_commune(n, now_ms, &reader);
    result = 0;
out:
    free(commune);
    return result;
}

void node_close(struct node *n)
{
    if (n->store)
        store_close(n->store);
    if (n->numbers.fd >= 0)
        numbers_close(&n->numbers);
    roster_free(&n->roster);
    sodium_memzero(n->identities, sizeof n->identities);
    sodium_memzero(n->network_key, sizeof n->network_key);
    for (size_t i = 0; i < n->side_count; i++)
        free(n->sides[i].storage);
    n->side_count = 0;
}
