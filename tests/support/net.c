#include "tests/support/net.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/sign.h"

enum {
    EIRP_DBM_X100 = 1400,
    LINK_LOSS_DB_X100 = 10500,
    SENSITIVITY_DBM_X100 = -12400,
    BACKOFF_SLOT_US = 20000,
    BACKOFF_SLOTS = 12,
    /* The modem as modem_settings_default() sets it up: see kiss_waits(). */
    CSMA_SLOT_SYMBOLS = 6,
    CSMA_SLOT_US_STEP = 10000,
    CSMA_SLOT_US_MIN = 20000,
    CSMA_WIN_ONE_IN = 2, /* persistence 127 of 255 */
    CSMA_POLL_US = 4000,
    FRAME_LEN_LONGEST = 255,
    ORDER_RETRY_US = 1000000,
    BACK_US_MAX = 5000000,
    LOG_COUNT_PER_NODE = 5,
    WINDOW_MS = 3600000,
    PPM = 1000000,
    MINUTE_MS = 60000,
    CREATED_MIN_AT_START = 450000, /* what a clock that is right shows when time begins */
    SECONDS_PER_MINUTE = 60,
    REBOOTS_ONE_IN = 10, /* a crash takes the process with it, and sometimes the whole machine */
};
#define BOOT_CLOCK_US (2ull * 3600 * 1000000) /* a clock may have run so long before the node did */

static void breach(struct net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void breach(struct net *net, const char *format, ...)
{
    if (net->breach)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(net->breach_text, sizeof net->breach_text, format, args);
    va_end(args);
    net->breach = net->breach_text;
}

static void wake(struct net_node *n);

static void *grown(void *old, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return old;
    *cap = *cap ? *cap * 2 : 64;
    void *grown_to = realloc(old, *cap * size);
    if (!grown_to)
        abort(); /* a test without memory has nothing left to say */
    return grown_to;
}

/* ---- chance --------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    return x ^ x >> 32;
}

uint64_t net_random_below(struct net *net, uint64_t n)
{
    net->rng += 0x9e3779b97f4a7c15ull;
    return mix(net->rng) % n;
}

static bool chance(struct net *net, uint32_t ppm)
{
    return ppm > 0 && net_random_below(net, PPM) < ppm;
}

/* ---- rows ----------------------------------------------------------------------- */

static uint32_t bucket_of(const struct record_ref *ref)
{
    return (uint32_t)(mix((uint64_t)ref->author << 32 | (uint64_t)ref->lane << 24 | ref->seq) %
                      NET_BUCKET_COUNT);
}

static void rows_init(struct net_rows *rows)
{
    free(rows->row);
    *rows = (struct net_rows){ 0 };
    memset(rows->buckets, 0xff, sizeof rows->buckets);
}

static uint32_t rows_index(const struct net_rows *rows, const struct record_ref *ref)
{
    uint32_t i = rows->buckets[bucket_of(ref)];
    for (; i != UINT32_MAX; i = rows->row[i].next) {
        const struct record_ref *r = &rows->row[i].ref;
        if (r->author == ref->author && r->lane == ref->lane && r->seq == ref->seq)
            break;
    }
    return i;
}

const struct net_row *net_find(const struct net_rows *rows, const struct record_ref *ref)
{
    uint32_t i = rows_index(rows, ref);
    return i == UINT32_MAX ? NULL : &rows->row[i];
}

static struct net_row *rows_add(struct net_rows *rows, const struct record_ref *ref,
                                const uint8_t *bytes, size_t len)
{
    rows->row = grown(rows->row, rows->count, &rows->cap, sizeof *rows->row);
    struct net_row *row = &rows->row[rows->count];
    uint32_t *bucket = &rows->buckets[bucket_of(ref)];
    *row = (struct net_row){ .ref = *ref, .next = *bucket, .used = true, .len = (uint16_t)len };
    memcpy(row->bytes, bytes, len);
    *bucket = rows->count++;
    return row;
}

static void rows_remove(struct net_rows *rows, const struct record_ref *ref)
{
    uint32_t index = rows_index(rows, ref);
    if (index == UINT32_MAX)
        return;
    uint32_t *link = &rows->buckets[bucket_of(ref)];
    while (*link != index)
        link = &rows->row[*link].next;
    *link = rows->row[index].next;
    rows->row[index].used = false;
}

uint32_t net_row_count(const struct net_rows *rows)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++)
        count += rows->row[i].used;
    return count;
}

static uint32_t rows_top(const struct net_rows *rows, uint16_t author, uint8_t lane, bool own)
{
    uint32_t top = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct net_row *r = &rows->row[i];
        if (r->used && r->ref.author == author && r->ref.lane == lane && r->ref.seq > top &&
            (r->own || !own))
            top = r->ref.seq;
    }
    return top;
}

/* ---- crypto ---------------------------------------------------------------------- */

static uint64_t checksum(const uint8_t *key, const uint8_t *bytes, size_t len, uint64_t h)
{
    h ^= load64_be(key);
    for (size_t i = 0; i < len; i++)
        h = (h ^ bytes[i]) * 0x100000001b3ull;
    return mix(h + len);
}

static void checksum_sign(const uint8_t *key, const uint8_t *bytes, size_t len,
                          uint8_t sig[KENG_SIG_LEN])
{
    uint64_t h = checksum(key, bytes, len, 1);
    for (int i = 0; i < KENG_SIG_LEN; i += 8) {
        store64_be(sig + i, h);
        h = mix(h);
    }
}

static void sign_in_place(struct net *net, uint16_t author, uint8_t *buf, size_t len_unsigned)
{
    if (net->cfg.real_crypto)
        record_sign(buf, len_unsigned, net->network_id, net->secrets[author]);
    else
        checksum_sign(net->keys[author], buf, len_unsigned, buf + len_unsigned);
}

static int outside_sign(void *ctx, uint16_t author, uint8_t *buf, size_t len_unsigned)
{
    struct net_node *n = ctx;
    if (author != n->number) {
        breach(n->net, "node %u asked for the signature of author %u", n->number, author);
        return -1;
    }
    sign_in_place(n->net, author, buf, len_unsigned);
    return 0;
}

static bool outside_verify(void *ctx, const struct record_view *view,
                           const uint8_t key[KENG_KEY_LEN])
{
    struct net_node *n = ctx;
    if (n->net->cfg.real_crypto)
        return record_verify(view, n->net->network_id, key);
    uint8_t sig[KENG_SIG_LEN];
    checksum_sign(key, view->bytes, view->len - KENG_SIG_LEN, sig);
    return memcmp(sig, view->sig, sizeof sig) == 0;
}

static uint16_t commune_of(const struct net *net, uint32_t node)
{
    return net->cfg.communes ? net->cfg.communes[node] : 0;
}

bool net_same_commune(const struct net *net, uint32_t a, uint32_t b)
{
    return commune_of(net, a) == commune_of(net, b);
}

static void tag_of(const struct net *net, uint32_t node, const uint8_t *head, size_t head_len,
                   const uint8_t *rest, size_t rest_len, uint8_t tag_out[FRAME_TAG_LEN])
{
    uint8_t key[KENG_NETWORK_KEY_LEN] = { 0 };
    store64_be(key, mix(net->cfg.seed + ((uint64_t)commune_of(net, node) << 32)));
    if (net->cfg.real_crypto)
        frame_tag(key, head, head_len, rest, rest_len, tag_out);
    else
        store32_be(tag_out, (uint32_t)checksum(key, rest, rest_len,
                                               checksum(key, head, head_len, 2)));
}

static void outside_tag(void *ctx, const uint8_t *head, size_t head_len, const uint8_t *rest,
                        size_t rest_len, uint8_t tag_out[FRAME_TAG_LEN])
{
    const struct net_node *n = ctx;
    tag_of(n->net, n->index, head, head_len, rest, rest_len, tag_out);
}

static int outside_load(void *ctx, const struct record_ref *ref, uint8_t *buf)
{
    const struct net_node *n = ctx;
    const struct net_row *row = net_find(&n->rows, ref);
    if (!row)
        return -1;
    memcpy(buf, row->bytes, row->len);
    return row->len;
}

size_t net_sign(struct net *net, const struct record_draft *draft, uint8_t *buf)
{
    int len = record_encode(draft, buf, RECORD_LEN_MAX);
    assert(len > 0);
    sign_in_place(net, draft->ref.author, buf, (size_t)len);
    return (size_t)len + KENG_SIG_LEN;
}

void net_tag(struct net *net, uint32_t node, uint8_t *frame, size_t len)
{
    tag_of(net, node, frame, 1, frame + 1 + FRAME_TAG_LEN, len - 1 - FRAME_TAG_LEN, frame + 1);
}

static void make_keys(struct net *net)
{
    uint8_t seed[crypto_sign_SEEDBYTES] = { 0 };
    for (uint32_t i = 0; i <= net->cfg.node_count; i++) {
        store64_be(seed, net->cfg.seed);
        store32_be(seed + 8, i);
        if (net->cfg.real_crypto)
            crypto_sign_seed_keypair(net->keys[i], net->secrets[i], seed);
        else
            store64_be(net->keys[i], mix(net->cfg.seed + i + 1));
    }
    if (net->cfg.real_crypto)
        network_id_of_root(net->keys[AUTHOR_ROOT], net->network_id);
}

/* ---- a node's life ---------------------------------------------------------------- */

static uint64_t clock_ms(const struct net_node *n)
{
    return (n->net->now_us - n->clock_base_us) / 1000;
}

static uint32_t duty_e4(const struct net_node *n)
{
    const struct net_config *c = &n->net->cfg;
    return net_is_gateway(n->net, n->index) ? c->duty_gateway_e4 : c->duty_node_e4;
}

bool net_is_gateway(const struct net *net, uint32_t node)
{
    return net->cfg.gateways ? net->cfg.gateways[node] != 0 : node == net->cfg.gateway;
}

static uint32_t record_count_max(const struct net_node *n)
{
    const struct net_config *c = &n->net->cfg;
    bool village = c->village_record_count_max > 0 && !net_is_gateway(n->net, n->index);
    return village ? c->village_record_count_max : c->record_count_max;
}

static uint32_t window_ms(const struct net *net)
{
    return net->cfg.window_ms > 0 ? net->cfg.window_ms : WINDOW_MS;
}

/* What this node would claim the time to be; false: its clock was never set. */
static bool claimed_time(const struct net_node *n, uint32_t *created_min_out)
{
    const struct net_clock *c = n->net->cfg.clocks ? &n->net->cfg.clocks[n->index] : NULL;
    *created_min_out = 0;
    if (!c || c->none)
        return false;
    int64_t minutes = CREATED_MIN_AT_START +
                      ((int64_t)((n->net->now_us - NET_START_US) / PPM) + c->offset_s) /
                          SECONDS_PER_MINUTE;
    if (minutes < 0)
        minutes = 0;
    *created_min_out = minutes > CREATED_MINUTES_MAX ? CREATED_MINUTES_MAX : (uint32_t)minutes;
    return true;
}

static uint32_t budget_ms(const struct net_node *n)
{
    return (uint32_t)((uint64_t)window_ms(n->net) * duty_e4(n) / 10000);
}

static void set_author(struct net_node *n, uint32_t number)
{
    const struct net *net = n->net;
    struct mesh_author a = { .number = (uint16_t)number, .last_good_seq = UINT32_MAX,
                             .local = number == n->number };
    if (number > 0 && ((net->nodes[number - 1].hidden && !a.local) ||
                       !net_same_commune(net, n->index, number - 1)))
        return;
    if (number > 0 && net_is_gateway(net, number - 1))
        a.roles = MESH_ROLE_GATEWAY;
    if (number > 0 && net->nodes[number - 1].revoked)
        a.last_good_seq = net->nodes[number - 1].last_good_seq;
    memcpy(a.key, net->keys[number], KENG_KEY_LEN);
    if (mesh_set_author(n->mesh, &a) != MESH_OK)
        breach(n->net, "node %u: author %u refused", n->number, number);
}

/* In the same boot the minutes are those of the same clock.  After another boot nobody knows how
 * long ago it was: all of it counts as spent now, and is written down so. */
static void restore_airtime(struct net_node *n)
{
    uint64_t now_ms = clock_ms(n);
    for (uint32_t i = 0; i < n->charge_count; i++) {
        uint64_t age_ms = n->rebooted ? 0 : now_ms - n->charges[i].minute_ms;
        mesh_restore_airtime(n->mesh, now_ms, age_ms, n->charges[i].airtime_us);
    }
    if (!n->rebooted || n->charge_count == 0)
        return;
    n->charges[0] = (struct net_charge){ now_ms / MINUTE_MS * MINUTE_MS,
                                         mesh_minute_airtime_us(n->mesh, now_ms) };
    n->charge_count = 1;
}

static void restore(struct net_node *n)
{
    struct net *net = n->net;
    for (uint32_t i = 0; i <= net->cfg.node_count; i++)
        set_author(n, i);
    restore_airtime(n);
    for (uint32_t i = 0; i < n->rows.count; i++) {
        const struct net_row *row = &n->rows.row[i];
        struct record_view v;
        if (!row->used)
            continue;
        if (record_decode(row->bytes, row->len, &v) != RECORD_OK ||
            mesh_restore_record(n->mesh, &v) != MESH_OK)
            breach(net, "node %u: its own row refused", n->number);
        else if (record_is_ack(v.kind))
            mesh_restore_ack(n->mesh, &v);
    }
    for (uint32_t i = 0; i <= net->cfg.node_count; i++)
        if (n->settled[i] > 0 &&
            mesh_restore_settled(n->mesh, (uint16_t)i, 0, n->settled[i]) != MESH_OK)
            breach(net, "node %u: its settled numbers refused", n->number);
    for (uint8_t lane = 0; lane < LANE_COUNT; lane++)
        if (n->reserved[lane] > 0 &&
            mesh_restore_reserved(n->mesh, n->number, lane, n->reserved[lane]) != MESH_OK)
            breach(net, "node %u: reserved numbers refused", n->number);
}

static uint32_t commune_size(const struct net *net, uint32_t node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < net->cfg.node_count; i++)
        count += net_same_commune(net, i, node);
    return count;
}

static void start(struct net *net, uint32_t node, bool rebooted)
{
    struct net_node *n = &net->nodes[node];
    const struct net_config *c = &net->cfg;
    uint32_t members = commune_size(net, node);
    n->rebooted = rebooted;
    if (rebooted)
        n->clock_base_us = net->now_us - net_random_below(net, BOOT_CLOCK_US);
    struct mesh_config cfg = {
        .outside = { n, outside_sign, outside_verify, outside_tag, outside_load },
        .lora = c->lora, .seed = net_random_below(net, UINT64_MAX), .node = n->number,
        .gateway = net_is_gateway(net, node),
        .mtu_len = c->mtu_len > 0 ? c->mtu_len : FRAME_LEN_MAX,
        .record_count_max = record_count_max(n),
        .log_count_max = c->log_count_max > 0 ? c->log_count_max
                                              : (uint16_t)(members * LOG_COUNT_PER_NODE + 1),
        .author_count_max = (uint16_t)(members + 1),
        .duty_window_ms = window_ms(net), .duty_budget_ms = budget_ms(n),
    };
    n->storage_len = mesh_storage_size(&cfg);
    free(n->storage);
    n->storage = malloc(n->storage_len);
    if (!n->storage ||
        mesh_init(n->storage, n->storage_len, &cfg, clock_ms(n), &n->mesh) != MESH_OK)
        abort();
    n->up = true;
    n->restart_due = n->asked = false;
    n->ask_again_us = net->now_us;
    restore(n);
    mesh_set_modem(n->mesh, clock_ms(n), true);
    air_set_on(net->air, net->now_us, node, true);
}

void net_start(struct net *net, uint32_t node)
{
    start(net, node, true);
    wake(&net->nodes[node]);
}

void net_stop(struct net *net, uint32_t node)
{
    struct net_node *n = &net->nodes[node];
    if (!n->up)
        return;
    struct mesh_stats stats;
    mesh_stats(n->mesh, &stats);
    for (int i = 0; i < MESH_RX_COUNT; i++)
        n->rx_before[i] += stats.rx[i];
    n->up = n->modem_busy = n->on_air = n->asked = false;
    free(n->storage);
    n->storage = NULL;
    n->mesh = NULL;
    air_set_on(net->air, net->now_us, node, false);
    wake(n);
}

void net_crash(struct net *net, uint32_t node, uint64_t back_us)
{
    struct net_node *n = &net->nodes[node];
    net_stop(net, node);
    n->crashes++;
    n->restart_due = true;
    n->restart_us = net->now_us + back_us;
    wake(n);
}

/* A place where the node may die.  True: it did. */
static bool dies(struct net_node *n)
{
    if (!chance(n->net, n->net->cfg.faults.crash_ppm))
        return false;
    net_crash(n->net, n->index, 1000 + net_random_below(n->net, BACK_US_MAX));
    return true;
}

void net_forget(struct net *net, uint32_t node, bool numbers_too)
{
    struct net_node *n = &net->nodes[node];
    assert(!n->up);
    rows_init(&n->rows);
    rows_init(&n->forks);
    memset(n->settled, 0, (net->cfg.node_count + 1) * sizeof *n->settled);
    if (numbers_too)
        memset(n->reserved, 0, sizeof n->reserved);
    n->charge_count = 0;
}

static void tell_of(struct net *net, uint32_t node)
{
    for (uint32_t i = 0; i < net->cfg.node_count; i++)
        if (net->nodes[i].up) {
            set_author(&net->nodes[i], node + 1);
            wake(&net->nodes[i]);
        }
}

void net_enrol(struct net *net, uint32_t node)
{
    net->nodes[node].hidden = false;
    tell_of(net, node);
}

void net_revoke(struct net *net, uint32_t node, uint32_t last_good_seq)
{
    net->nodes[node].revoked = true;
    net->nodes[node].last_good_seq = last_good_seq;
    tell_of(net, node);
}

uint64_t net_rx(const struct net *net, uint32_t node, enum mesh_verdict verdict)
{
    const struct net_node *n = &net->nodes[node];
    struct mesh_stats stats = { 0 };
    if (n->up)
        mesh_stats(n->mesh, &stats);
    return n->rx_before[verdict] + stats.rx[verdict];
}

/* ---- the store ---------------------------------------------------------------------- */

static bool write_fails(struct net_node *n)
{
    n->stores++;
    if (n->store_fail_at > 0 && --n->store_fail_at == 0)
        return true;
    return chance(n->net, n->net->cfg.faults.store_fail_ppm);
}

static void charge_row(struct net_node *n, const struct mesh_event *ev)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->charge_count; i++) /* as the daemon's store forgets them */
        if (n->charges[i].minute_ms + window_ms(n->net) + 2 * MINUTE_MS >= ev->minute_ms)
            n->charges[kept++] = n->charges[i];
    n->charge_count = kept;
    for (uint32_t i = 0; i < n->charge_count; i++)
        if (n->charges[i].minute_ms == ev->minute_ms) {
            n->charges[i].airtime_us = ev->minute_airtime_us;
            return;
        }
    n->charges = grown(n->charges, n->charge_count, &n->charge_cap, sizeof *n->charges);
    n->charges[n->charge_count++] = (struct net_charge){ ev->minute_ms, ev->minute_airtime_us };
}

/* Two contents under one number can only be an author's doing, never the network's. */
static void check_truth(struct net_node *n, const struct mesh_event *ev)
{
    struct net *net = n->net;
    const struct net_row *known = net_find(&net->truth, &ev->ref);
    if (ev->own) {
        uint32_t top = rows_top(&net->truth, ev->ref.author, ev->ref.lane, true);
        if (ev->ref.seq != top + 1)
            breach(net, "author %u lane %u used %u after %u", ev->ref.author, ev->ref.lane,
                   ev->ref.seq, top);
        if (ev->ref.seq > n->reserved[ev->ref.lane])
            breach(net, "author %u used %u, unreserved", ev->ref.author, ev->ref.seq);
        rows_add(&net->truth, &ev->ref, ev->bytes, ev->len)->own = true;
    } else if (!known && net->cfg.strict) {
        breach(net, "node %u accepted %u.%u.%u, which nobody made", n->number, ev->ref.author,
               ev->ref.lane, ev->ref.seq);
    } else if (!known) {
        rows_add(&net->truth, &ev->ref, ev->bytes, ev->len);
    } else if (known->len != ev->len || memcmp(known->bytes, ev->bytes, ev->len) != 0) {
        breach(net, "%u.%u.%u has two contents", ev->ref.author, ev->ref.lane, ev->ref.seq);
    }
}

static void settle(struct net_node *n, const struct record_ref *ref)
{
    bool safe = false;
    for (uint32_t i = 0; i < n->net->cfg.node_count; i++)
        safe = safe || (net_is_gateway(n->net, i) && net_find(&n->net->nodes[i].rows, ref));
    if (ref->lane != 0 || !safe)
        breach(n->net, "node %u settles %u.%u, which no gateway has", n->number, ref->author,
               ref->seq);
    if (ref->seq > n->settled[ref->author])
        n->settled[ref->author] = ref->seq;
}

/* Somebody else's record whose number the node could call settled. */
static bool could_leave(const struct net_node *n, const struct net_row *row)
{
    struct mesh_record_state state;
    return row->used && !row->own && row->ref.lane == 0 && row->ref.author != AUTHOR_ROOT &&
           row->ref.seq == n->settled[row->ref.author] + 1 &&
           mesh_record_state(n->mesh, &row->ref, &state) && state.gateway != AUTHOR_NONE;
}

/* A record makes room: never an own one that no gateway has, and none that no gateway has while
 * one that a gateway has could have gone. */
static void leave(struct net_node *n, const struct mesh_event *ev)
{
    const struct net_row *row = net_find(&n->rows, &ev->leaves);
    if (!row || ev->leaves.lane != 0 || net_is_gateway(n->net, n->index)) {
        breach(n->net, "node %u lets go of %u.%u.%u", n->number, ev->leaves.author,
               ev->leaves.lane, ev->leaves.seq);
        return;
    }
    if (row->own && !ev->settles)
        breach(n->net, "node %u lets go of its own %u", n->number, ev->leaves.seq);
    /* What is in a frame stays until that is sent. */
    bool judge = !ev->settles && !n->modem_busy && n->unjudged_us != n->net->now_us;
    for (uint32_t i = 0; judge && i < n->rows.count; i++) {
        const struct net_row *r = &n->rows.row[i];
        if (could_leave(n, r))
            breach(n->net, "node %u lets go of %u.%u before %u.%u, which a gateway has", n->number,
                   ev->leaves.author, ev->leaves.seq, r->ref.author, r->ref.seq);
    }
    rows_remove(&n->rows, &ev->leaves);
    n->evicted++;
    if (ev->settles)
        settle(n, &ev->leaves);
}

static void store_row(struct net_node *n, const struct mesh_event *ev)
{
    if (net_find(&n->rows, &ev->ref))
        breach(n->net, "node %u stores %u.%u.%u twice", n->number, ev->ref.author, ev->ref.lane,
               ev->ref.seq);
    if (!net_same_commune(n->net, n->index, ev->ref.author - 1u))
        breach(n->net, "node %u stores a record of another commune", n->number);
    check_truth(n, ev);
    if (ev->replaces_seq > 0) {
        struct record_ref old = ev->ref;
        old.seq = ev->replaces_seq;
        if (!net_find(&n->rows, &old))
            breach(n->net, "node %u replaces what it does not hold", n->number);
        rows_remove(&n->rows, &old);
    }
    if (ev->leaves.seq > 0)
        leave(n, ev);
    rows_add(&n->rows, &ev->ref, ev->bytes, ev->len)->own = ev->own;
    if (ev->leaves.seq > 0 && net_row_count(&n->rows) > record_count_max(n))
        breach(n->net, "node %u holds more than its store takes", n->number);
    uint32_t order = NET_NO_ORDER;
    /* Acknowledgements are the core's own doing, in lanes that no user writes. */
    if (ev->own && n->asked && ev->ref.lane == record_lane(n->orders[0].kind)) {
        n->orders[0].stored = true;
        order = n->orders[0].id;
    }
    const struct net_watch *w = &n->net->cfg.watch;
    if (w->stored)
        w->stored(w->ctx, n, ev, order);
}

static bool persist(struct net_node *n, const struct mesh_event *ev)
{
    if (write_fails(n))
        return false;
    switch (ev->type) {
    case MESH_EV_STORE:
        store_row(n, ev);
        break;
    case MESH_EV_RESERVE:
        if (ev->ref.author != n->number || ev->ref.seq <= n->reserved[ev->ref.lane])
            breach(n->net, "node %u reserves %u again", n->number, ev->ref.seq);
        n->reserved[ev->ref.lane] = ev->ref.seq;
        break;
    case MESH_EV_CHARGE:
        charge_row(n, ev);
        n->unjudged_us = n->net->now_us;
        break;
    case MESH_EV_FORK:
        rows_add(&n->forks, &ev->ref, ev->bytes, ev->len);
        break;
    case MESH_EV_SETTLE:
        settle(n, &ev->ref);
        break;
    }
    return true;
}

/* ---- what users want said ------------------------------------------------------------- */

uint32_t net_order(struct net *net, uint32_t node, uint8_t kind, uint8_t priority,
                   uint32_t body_len)
{
    struct net_node *n = &net->nodes[node];
    assert(body_len > 0 && body_len <= NET_BODY_LEN_MAX);
    n->orders = grown(n->orders, n->order_count, &n->order_cap, sizeof *n->orders);
    struct net_order *o = &n->orders[n->order_count++];
    *o = (struct net_order){ .kind = kind, .priority = priority, .body_len = (uint16_t)body_len,
                             .asked_us = net->now_us, .id = net->orders_made++ };
    for (uint32_t i = 0; i < body_len; i++)
        o->body[i] = (uint8_t)net_random_below(net, 256);
    if (n->order_count == 1)
        n->ask_again_us = net->now_us;
    wake(n);
    return o->id;
}

static void drop_order(struct net_node *n)
{
    n->order_count--;
    memmove(n->orders, n->orders + 1, n->order_count * sizeof *n->orders);
    n->asked = false;
}

static void try_order(struct net_node *n)
{
    if (n->order_count == 0 || n->asked || n->net->now_us < n->ask_again_us)
        return;
    const struct net_order *o = &n->orders[0];
    /* After a crash the user looks whether his last word was stored before he repeats it. */
    if (o->stored) {
        drop_order(n);
        return;
    }
    struct record_draft d = { .ref = { .author = n->number, .lane = record_lane(o->kind) },
                              .kind = o->kind, .priority = o->priority, .body = o->body,
                              .body_len = o->body_len };
    d.clock_set = claimed_time(n, &d.created_min);
    struct record_ref ref;
    n->last_err = mesh_submit(n->mesh, clock_ms(n), &d, &ref);
    if (n->last_err == MESH_OK)
        n->asked = true;
    else if (n->last_err != MESH_EAGAIN)
        n->ask_again_us = n->net->now_us + ORDER_RETRY_US;
}

static void order_answered(struct net_node *n, const struct mesh_event *ev, bool durable)
{
    if (ev->type == MESH_EV_RESERVE && !durable)
        n->ask_again_us = n->net->now_us + ORDER_RETRY_US;
    if (ev->type != MESH_EV_STORE || !ev->own || !n->asked ||
        ev->ref.lane != record_lane(n->orders[0].kind))
        return; /* acknowledgements are the core's own doing */
    if (durable)
        drop_order(n);
    n->asked = false;
    if (!durable)
        n->ask_again_us = n->net->now_us + ORDER_RETRY_US;
}

/* ---- sending ------------------------------------------------------------------------- */

/* A mix must be the sum of records that are in its sender's store. */
static void check_mix(struct net_node *n, const struct frame_view *v)
{
    uint8_t sum[RECORD_LEN_MAX] = { 0 };
    uint8_t len = 0;
    for (uint8_t i = 0; i < v->mix_count; i++) {
        const struct frame_mixed *x = &v->mixed[i];
        struct record_ref ref = { .author = (uint16_t)(x->log / LANE_COUNT),
                                  .lane = (uint8_t)(x->log % LANE_COUNT), .seq = x->seq };
        const struct net_row *row = net_find(&n->rows, &ref);
        if (!row && ref.lane != 0)
            row = net_find(&n->net->truth, &ref);
        if (!row || row->len != x->len) {
            breach(n->net, "node %u mixes %u.%u.%u, which is not in its store", n->number,
                   ref.author, ref.lane, ref.seq);
            return;
        }
        for (size_t k = 0; k < row->len; k++)
            sum[k] ^= row->bytes[k];
        len = x->len > len ? x->len : len;
    }
    if (memcmp(sum, v->mix, len) != 0)
        breach(n->net, "node %u sends a mix that is not the sum of its records", n->number);
}

static void check_frame(struct net_node *n)
{
    struct net *net = n->net;
    struct frame_view v;
    if (frame_decode(n->tx.bytes, n->tx.len, &v) != FRAME_OK) {
        breach(net, "node %u made a frame that nobody can read", n->number);
        return;
    }
    const uint8_t *record;
    size_t len;
    uint32_t count = 0;
    while (frame_next_record(&v, &record, &len)) {
        struct record_view r;
        if (record_decode(record, len, &r) != RECORD_OK) {
            breach(net, "node %u sends what is no record", n->number);
            return;
        }
        const struct net_row *row = net_find(&n->rows, &r.ref);
        /* What was durable when the frame was built may be superseded before it leaves. */
        if (!row && r.ref.lane != 0 &&
            rows_top(&n->rows, r.ref.author, r.ref.lane, false) > r.ref.seq)
            row = net_find(&net->truth, &r.ref);
        if (!row || row->len != len || memcmp(row->bytes, record, len) != 0)
            breach(net, "node %u sends %u.%u.%u, which is not in its store", n->number,
                   r.ref.author, r.ref.lane, r.ref.seq);
        net->record_bytes += len + 1;
        count++;
    }
    if (v.mix_count > 0)
        check_mix(n, &v);
    net->frames++;
    net->frame_bytes += n->tx.len;
    net->records_sent += count + v.mix_count;
    net->record_frames += count + v.mix_count > 0;
}

/* Every window that ends with this frame. */
static void check_duty(struct net_node *n)
{
    uint64_t end_us = n->sends[n->send_count - 1].end_us, window_us = window_ms(n->net) * 1000ull;
    while (n->sends[n->send_first].end_us + window_us <= end_us)
        n->send_first++;
    uint64_t sum_us = 0;
    for (uint32_t i = n->send_first; i < n->send_count; i++) {
        uint64_t from_us = n->sends[i].start_us;
        if (from_us + window_us < end_us)
            from_us = end_us - window_us;
        sum_us += n->sends[i].end_us - from_us;
    }
    if (sum_us > budget_ms(n) * 1000ull)
        breach(n->net, "node %u was on air for %llu us in one window", n->number,
               (unsigned long long)sum_us);
}

static uint32_t csma_slot_us(const struct net *net)
{
    uint32_t us = CSMA_SLOT_SYMBOLS * lora_symbol_us(&net->cfg.lora);
    us = (us + CSMA_SLOT_US_STEP - 1) / CSMA_SLOT_US_STEP * CSMA_SLOT_US_STEP;
    return us < CSMA_SLOT_US_MIN ? CSMA_SLOT_US_MIN : us;
}

static void modem_wait_clear(struct net_node *n, uint64_t from_us)
{
    const struct net *net = n->net;
    n->try_us = from_us;
    n->polite_until_us = from_us + lora_airtime_us(&net->cfg.lora, FRAME_LEN_LONGEST) * 3ull / 2;
}

static int32_t eirp_dbm_x100(const struct net *net)
{
    return net->cfg.air ? net->cfg.eirp_dbm_x100 : EIRP_DBM_X100;
}

/* MeshCore's modem: wait until nothing is heard, then send with a chance of one half, else wait a
 * slot and begin again; it is polite no longer than one and a half frames. */
static bool kiss_waits(struct net_node *n)
{
    struct net *net = n->net;
    if (net->now_us >= n->polite_until_us)
        return false;
    if (air_busy(net->air, net->now_us, n->index)) {
        /* Looking again before some frame ends would see the same. */
        uint64_t end_us = air_next_event_us(net->air);
        uint64_t wait_us = end_us > net->now_us ? end_us - net->now_us : 1;
        n->try_us = net->now_us + (wait_us + CSMA_POLL_US - 1) / CSMA_POLL_US * CSMA_POLL_US;
        if (n->try_us > n->polite_until_us)
            n->try_us = n->polite_until_us;
        return true;
    }
    if (net_random_below(net, CSMA_WIN_ONE_IN) == 0)
        return false;
    modem_wait_clear(n, net->now_us + csma_slot_us(net));
    return true;
}

/* A plain one: a fresh random wait whenever the channel is busy. */
static bool backoff_waits(struct net_node *n)
{
    struct net *net = n->net;
    if (!air_busy(net->air, net->now_us, n->index))
        return false;
    n->try_us = net->now_us + BACKOFF_SLOT_US * (1 + net_random_below(net, BACKOFF_SLOTS));
    return true;
}

static void modem_try(struct net_node *n)
{
    struct net *net = n->net;
    if (!n->modem_busy || n->on_air || n->try_us > net->now_us)
        return;
    if (air_sending(net->air, net->now_us, n->index)) { /* what net_shout() began */
        n->try_us = net->now_us + CSMA_POLL_US;
        return;
    }
    if (net->cfg.kiss_modem ? kiss_waits(n) : backoff_waits(n))
        return;
    uint64_t end_us;
    if (air_start_tx(net->air, net->now_us, n->index, n->tx.bytes, n->tx.len, &net->cfg.lora,
                     eirp_dbm_x100(net), &end_us) != AIR_OK) {
        breach(net, "the air refused a frame of node %u", n->number);
        return;
    }
    n->on_air = true;
    n->sends = grown(n->sends, n->send_count, &n->send_cap, sizeof *n->sends);
    n->sends[n->send_count++] = (struct net_send){ net->now_us, end_us };
    net->frame_airtime_us += end_us - net->now_us;
    check_duty(n);
    if (net->cfg.watch.sent)
        net->cfg.watch.sent(net->cfg.watch.ctx, n, net->now_us, end_us);
}

/* The daemon's loop: make durable and answer until nothing is left, then hand over a frame. */
static void service(struct net_node *n)
{
    struct mesh_event ev;
    uint32_t created_min;
    bool clock_set = claimed_time(n, &created_min);
    mesh_set_clock(n->mesh, created_min, clock_set);
    for (;;) {
        try_order(n);
        if (!mesh_poll_event(n->mesh, clock_ms(n), &ev))
            break;
        if (dies(n))
            return;
        bool durable = persist(n, &ev);
        if (dies(n))
            return;
        if (mesh_on_persisted(n->mesh, clock_ms(n), ev.event_id, durable) != MESH_OK)
            breach(n->net, "node %u does not know its own event", n->number);
        order_answered(n, &ev, durable);
        if (dies(n))
            return;
    }
    if (mesh_poll_tx(n->mesh, clock_ms(n), &n->tx)) {
        if (dies(n))
            return;
        check_frame(n);
        n->modem_busy = true;
        if (n->net->cfg.kiss_modem)
            modem_wait_clear(n, n->net->now_us);
        else
            n->try_us = n->net->now_us +
                        BACKOFF_SLOT_US * net_random_below(n->net, BACKOFF_SLOTS);
    }
    modem_try(n);
    if (mesh_next_deadline(n->mesh) <= clock_ms(n))
        breach(n->net, "node %u would never sleep", n->number);
}

/* ---- the clock ------------------------------------------------------------------------ */

static void hear(struct net_node *n, const struct air_event *ev)
{
    struct mesh_rx_meta meta = { .rssi_dbm = ev->rssi_dbm, .snr_db_x4 = ev->snr_db_x4 };
    if (!n->up || dies(n))
        return;
    enum mesh_verdict verdict = mesh_on_frame(n->mesh, clock_ms(n), ev->frame, ev->len, &meta);
    const struct net_watch *w = &n->net->cfg.watch;
    if (w->heard)
        w->heard(w->ctx, n, ev, verdict);
    dies(n);
}

static void sent(struct net_node *n)
{
    if (!n->on_air)
        return; /* it died in mid-frame */
    n->on_air = n->modem_busy = false;
    if (dies(n))
        return;
    if (mesh_on_tx_done(n->mesh, clock_ms(n), n->tx.tx_id, MESH_TX_SENT) != MESH_OK)
        breach(n->net, "node %u does not know its own frame", n->number);
}

static uint64_t node_next_us(const struct net_node *n)
{
    if (!n->up)
        return n->restart_due ? n->restart_us : UINT64_MAX;
    uint64_t deadline_ms = mesh_next_deadline(n->mesh);
    uint64_t at_us = deadline_ms == MESH_NEVER ? UINT64_MAX
                                               : n->clock_base_us + deadline_ms * 1000;
    if (n->modem_busy && !n->on_air && n->try_us < at_us)
        at_us = n->try_us;
    if (n->order_count > 0 && !n->asked && n->ask_again_us < at_us)
        at_us = n->ask_again_us;
    return at_us;
}

/* ---- who is next: a heap, so that a thousand nodes cost no more than their deeds ---------- */

static bool sooner(const struct net *net, uint32_t a, uint32_t b)
{
    uint64_t a_us = net->nodes[a].due_us, b_us = net->nodes[b].due_us;
    return a_us != b_us ? a_us < b_us : a < b;
}

static void heap_put(struct net *net, uint32_t at, uint32_t node)
{
    net->heap[at] = node;
    net->nodes[node].heap_index = at;
}

static void heap_sift(struct net *net, uint32_t node)
{
    uint32_t at = net->nodes[node].heap_index, count = net->cfg.node_count;
    for (; at > 0 && sooner(net, node, net->heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap_put(net, at, net->heap[(at - 1) / 2]);
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < count && sooner(net, net->heap[child + 1], net->heap[child]))
            child++;
        if (child >= count || !sooner(net, net->heap[child], node))
            break;
        heap_put(net, at, net->heap[child]);
        at = child;
    }
    heap_put(net, at, node);
}

/* After anything that may have changed when a node wants to be looked at. */
static void wake(struct net_node *n)
{
    n->due_us = node_next_us(n);
    heap_sift(n->net, n->index);
}

static uint64_t next_us(const struct net *net)
{
    uint64_t at_us = air_next_event_us(net->air);
    uint64_t node_us = net->nodes[net->heap[0]].due_us;
    if (node_us < at_us)
        at_us = node_us;
    return at_us < net->now_us ? net->now_us : at_us;
}

static void touch(struct net_node *n)
{
    if (n->touched)
        return;
    n->touched = true;
    n->net->touched[n->net->touched_count++] = n->index;
}

static int by_index(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void step(struct net *net)
{
    struct air_event ev;
    net->steps++;
    while (air_poll_event(net->air, net->now_us, &ev)) {
        struct net_node *n = &net->nodes[ev.type == AIR_EV_RX ? ev.receiver : ev.sender];
        if (ev.type == AIR_EV_RX)
            hear(n, &ev);
        else
            sent(n);
        touch(n);
    }
    while (net->nodes[net->heap[0]].due_us <= net->now_us) {
        struct net_node *n = &net->nodes[net->heap[0]];
        touch(n);
        n->due_us = UINT64_MAX; /* until it was looked at */
        heap_sift(net, n->index);
    }
    qsort(net->touched, net->touched_count, sizeof *net->touched, by_index);
    for (uint32_t i = 0; i < net->touched_count; i++) {
        struct net_node *n = &net->nodes[net->touched[i]];
        n->touched = false;
        if (!n->up && n->restart_due && n->restart_us <= net->now_us)
            start(net, n->index, net_random_below(net, REBOOTS_ONE_IN) == 0);
        if (n->up)
            service(n);
        wake(n);
    }
    net->touched_count = 0;
}

bool net_run(struct net *net, uint64_t until_us)
{
    while (!net->breach) {
        uint64_t at_us = next_us(net);
        if (at_us > until_us)
            break;
        net->now_us = at_us;
        step(net);
    }
    if (!net->breach && until_us > net->now_us)
        net->now_us = until_us;
    return !net->breach;
}

bool net_run_complete(struct net *net, uint64_t until_us)
{
    while (!net->breach && net->now_us < until_us) {
        uint64_t piece_us = net->now_us + PPM;
        net_run(net, piece_us < until_us ? piece_us : until_us);
        if (net_complete(net))
            break;
    }
    return net_complete(net);
}

enum mesh_verdict net_inject(struct net *net, uint32_t node, const uint8_t *frame, size_t len)
{
    struct net_node *n = &net->nodes[node];
    struct mesh_rx_meta meta = { .rssi_dbm = -90, .snr_db_x4 = 20 };
    assert(n->up);
    enum mesh_verdict verdict = mesh_on_frame(n->mesh, clock_ms(n), frame, len, &meta);
    service(n);
    wake(n);
    return verdict;
}

bool net_shout(struct net *net, uint32_t node, const uint8_t *frame, size_t len)
{
    uint64_t end_us;
    return net->nodes[node].up && !air_sending(net->air, net->now_us, node) &&
           air_start_tx(net->air, net->now_us, node, frame, len, &net->cfg.lora,
                        eirp_dbm_x100(net), &end_us) == AIR_OK;
}

void net_move(struct net *net, uint32_t node, struct air_position at)
{
    air_set_position(net->air, net->now_us, node, at);
}

/* ---- at the end -------------------------------------------------------------------------- */

/* Holds it, or did until a gateway had it and its own store was full. */
static bool counts_as_held(const struct net_node *n, const struct record_ref *ref)
{
    return net_find(&n->rows, ref) || (ref->lane == 0 && ref->seq <= n->settled[ref->author]);
}

/* A record that a node lacks, the node to *node_out; NULL: none. */
static const struct record_ref *missing(const struct net *net, uint32_t *node_out)
{
    for (uint32_t k = 0; k < net->truth.count; k++) {
        const struct record_ref *ref = &net->truth.row[k].ref;
        /* In a superseding lane the newest is enough, and nothing else is right. */
        if (ref->lane != 0 && ref->seq < rows_top(&net->truth, ref->author, ref->lane, false))
            continue;
        for (*node_out = 0; *node_out < net->cfg.node_count; ++*node_out)
            if (net->nodes[*node_out].up && net_same_commune(net, *node_out, ref->author - 1u) &&
                !counts_as_held(&net->nodes[*node_out], ref))
                return ref;
    }
    return NULL;
}

bool net_complete(const struct net *net)
{
    uint32_t node;
    if (net->breach)
        return false;
    for (uint32_t i = 0; i < net->cfg.node_count; i++)
        if (net->nodes[i].restart_due || (net->nodes[i].up && net->nodes[i].order_count > 0))
            return false;
    return !missing(net, &node);
}

bool net_acknowledged(const struct net *net)
{
    for (uint32_t i = 0; i < net->cfg.node_count; i++) {
        const struct net_node *n = &net->nodes[i];
        uint32_t top = rows_top(&net->truth, n->number, 0, true);
        for (uint32_t seq = 1; n->up && !net_is_gateway(net, i) && seq <= top; seq++) {
            struct record_ref ref = { .author = n->number, .seq = seq };
            struct mesh_record_state state;
            if (!mesh_record_state(n->mesh, &ref, &state) ||
                state.gateway == AUTHOR_NONE)
                return false;
        }
    }
    return true;
}

void net_print(const struct net *net, FILE *out)
{
    fprintf(out, "# t=%.1f s steps=%llu truth=%u %s\n", (double)(net->now_us - NET_START_US) / 1e6,
            (unsigned long long)net->steps, net->truth.count, net->breach ? net->breach : "");
    uint32_t node;
    const struct record_ref *ref = missing(net, &node);
    if (ref)
        fprintf(out, "# node %u lacks %u.%u.%u\n", node + 1, ref->author, ref->lane, ref->seq);
    for (uint32_t i = 0; i < net->cfg.node_count; i++) {
        const struct net_node *n = &net->nodes[i];
        struct mesh_stats s = { 0 };
        if (n->up)
            mesh_stats(n->mesh, &s);
        fprintf(out, "# node %2u %s rows=%u orders=%u err=%d crashes=%u tx=%llu records=%llu "
                "summaries=%llu duty-refused=%llu window=%u/%u ms full=%llu evicted=%u\n",
                n->number, n->up ? "up" : "down", net_row_count(&n->rows), n->order_count,
                n->last_err, n->crashes, (unsigned long long)s.tx_frames,
                (unsigned long long)s.tx_records, (unsigned long long)s.tx_summaries,
                (unsigned long long)s.tx_refused_duty, s.window_airtime_ms, s.budget_ms,
                (unsigned long long)s.rx[MESH_RX_FULL], n->evicted);
    }
}

/* ---- building ------------------------------------------------------------------------------ */

struct lora_params net_lora(uint8_t sf)
{
    return (struct lora_params){ .freq_hz = 921000000, .bw_hz = 125000, .preamble_symbols = 16,
                                 .sf = sf, .cr = LORA_CR_MIN };
}

struct net_config net_config_default(uint32_t node_count, uint64_t seed)
{
    return (struct net_config){ .node_count = node_count, .seed = seed, .lora = net_lora(7),
                                .gateway = node_count, .duty_node_e4 = 10000,
                                .duty_gateway_e4 = 10000, .record_count_max = 2048 };
}

static void no_links(uint32_t node_count, int32_t *loss)
{
    for (uint32_t i = 0; i < node_count * node_count; i++)
        loss[i] = AIR_NO_LINK;
}

void net_line(uint32_t node_count, int32_t *loss)
{
    no_links(node_count, loss);
    for (uint32_t i = 0; i + 1 < node_count; i++)
        loss[i * node_count + i + 1] = loss[(i + 1) * node_count + i] = LINK_LOSS_DB_X100;
}

void net_dense(uint32_t node_count, uint64_t seed, int32_t *loss)
{
    for (uint32_t i = 0; i < node_count; i++)
        for (uint32_t k = 0; k < node_count; k++) {
            uint64_t pair = i < k ? (uint64_t)i << 32 | k : (uint64_t)k << 32 | i;
            loss[i * node_count + k] = LINK_LOSS_DB_X100 - 1000 +
                                       (int32_t)(mix(seed ^ mix(pair + 1)) % 2500);
        }
}

static bool connected(uint32_t node_count, const int32_t *loss)
{
    uint64_t seen = 1, before = 0;
    while (seen != before) {
        before = seen;
        for (uint32_t i = 0; i < node_count; i++)
            for (uint32_t k = 0; k < node_count; k++)
                if ((seen & 1ull << i) && loss[i * node_count + k] != AIR_NO_LINK)
                    seen |= 1ull << k;
    }
    return seen == (node_count == 64 ? UINT64_MAX : (1ull << node_count) - 1);
}

void net_random(uint32_t node_count, uint64_t seed, int32_t *loss)
{
    enum { SIDE = 1000, RANGE = 260 };
    int32_t x[NET_NODE_COUNT_MAX], y[NET_NODE_COUNT_MAX];
    uint64_t state = mix(seed + 77);
    do {
        no_links(node_count, loss);
        for (uint32_t i = 0; i < node_count; i++) {
            x[i] = (int32_t)((state = mix(state + 1)) % SIDE);
            y[i] = (int32_t)((state = mix(state + 1)) % SIDE);
        }
        for (uint32_t i = 0; i < node_count; i++)
            for (uint32_t k = 0; k < node_count; k++) {
                int32_t dx = x[i] - x[k], dy = y[i] - y[k], d2 = dx * dx + dy * dy;
                if (i != k && d2 <= RANGE * RANGE)
                    loss[i * node_count + k] = 9500 + d2 * 2500 / (RANGE * RANGE);
            }
    } while (!connected(node_count, loss));
}

static void make_air(struct net *net)
{
    const struct net_config *c = &net->cfg;
    struct air_config a = {
        .model = AIR_MATRIX, .loss_db_x100 = net->loss,
        .sensitivity_dbm_x100 = SENSITIVITY_DBM_X100, .capture_db_x100 = 600,
        .cca_busy_dbm_x100 = -11500, .cca_miss_ppm = 30000, .cca_blind_us = 2000,
        .cuts = c->cuts, .cut_count = c->cut_count,
    };
    if (c->air)
        a = *c->air;
    a.radio_count = c->node_count;
    a.seed = c->seed;
    a.frame_loss_ppm = c->faults.frame_loss_ppm;
    a.bit_flip_ppm = c->faults.bit_flip_ppm;
    a.duplicate_ppm = c->faults.duplicate_ppm;
    size_t len = air_storage_len(&a);
    net->air_storage = len > 0 ? malloc(len) : NULL;
    if (!net->air_storage || air_init(net->air_storage, len, &a, &net->air) != AIR_OK)
        abort();
    for (uint32_t i = 0; i < c->node_count; i++)
        if (air_tune(net->air, net->now_us, i, &c->lora) != AIR_OK)
            abort();
}

struct net *net_new(const struct net_config *cfg)
{
    struct net *net = calloc(1, sizeof *net);
    uint32_t count = cfg->node_count;
    if (!net || sodium_init() < 0)
        abort();
    net->nodes = calloc(count, sizeof *net->nodes);
    net->heap = calloc(count, sizeof *net->heap);
    net->touched = calloc(count, sizeof *net->touched);
    net->keys = calloc(count + 1, sizeof *net->keys);
    net->secrets = calloc(count + 1, sizeof *net->secrets);
    if (!net->nodes || !net->heap || !net->touched || !net->keys || !net->secrets)
        abort();
    net->cfg = *cfg;
    net->rng = mix(cfg->seed + 1);
    net->now_us = NET_START_US;
    if (!cfg->air) {
        size_t matrix_len = (size_t)count * count * sizeof *net->loss;
        net->loss = malloc(matrix_len);
        if (!net->loss)
            abort();
        memcpy(net->loss, cfg->loss_db_x100, matrix_len);
    }
    rows_init(&net->truth);
    make_keys(net);
    make_air(net);
    for (uint32_t i = 0; i < cfg->node_count; i++) {
        struct net_node *n = &net->nodes[i];
        n->net = net;
        n->index = i;
        n->number = (uint16_t)(i + 1);
        n->settled = calloc(count + 1, sizeof *n->settled);
        if (!n->settled)
            abort();
        rows_init(&n->rows);
        rows_init(&n->forks);
        n->due_us = UINT64_MAX;
        heap_put(net, i, i);
    }
    for (uint32_t i = 0; i < cfg->node_count; i++)
        net_start(net, i);
    return net;
}

void net_free(struct net *net)
{
    for (uint32_t i = 0; i < net->cfg.node_count; i++) {
        struct net_node *n = &net->nodes[i];
        free(n->storage);
        free(n->rows.row);
        free(n->forks.row);
        free(n->settled);
        free(n->charges);
        free(n->orders);
        free(n->sends);
    }
    free(net->truth.row);
    free(net->nodes);
    free(net->heap);
    free(net->touched);
    free(net->keys);
    free(net->secrets);
    free(net->air_storage);
    free(net->loss);
    free(net);
}
