/* A managed flood as Meshtastic's firmware 2.8 does it, for comparison on the same air.
 *
 * Whoever hears a report for the first time repeats it after a random wait, longer where the
 * signal was strong, unless somebody else's copy is heard meanwhile.  The author sends again, up to
 * three times, while it hears nobody repeat.  There is no store, no acknowledgement from the
 * gateway, no limit of airtime; a report that met a collision at the wrong place is lost.  Rogues
 * do not act here. */
#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"
#include "tests/sim/chance.h"
#include "tests/sim/sim.h"
#include "tests/sim/world.h"

enum {
    FRAME_OVERHEAD_LEN = 89,   /* header 16, protobuf 9, signature 64 */
    PREAMBLE_SYMBOLS = 16,
    SLOT_SYMBOLS_X10 = 25,     /* slot time: 2.5 symbols and 7.6 ms */
    SLOT_EXTRA_US = 7600,
    CW_MIN = 3,                /* contention window: 2^3 to 2^8 slots */
    CW_MAX = 8,
    SNR_MIN_DB_X4 = -20 * 4,
    SNR_MAX_DB_X4 = 10 * 4,
    NOISE_DBM_X4 = -477,       /* -119.25 dBm: the firmware takes it as given */
    RETRY_COUNT = 3,
    RETRY_SLOTS = 16 + 32,     /* beside a window of the smallest size */
    RETRY_EXTRA_US = 4500000,
};

struct packet { /* waits to be sent */
    uint32_t report;
    uint8_t hops;
    bool own;
    int16_t snr_db_x4; /* of the copy it repeats */
};

enum known { UNKNOWN, HEARD, HEARD_AGAIN };

struct node {
    bool on, sending;
    uint8_t *known;      /* by report: what this node heard of it, lost when the power goes */
    struct packet *queue;
    uint32_t queue_count, queue_cap;
    uint64_t due_us;     /* when the first of the queue may be sent */
};

struct retry { /* of an author, while nobody repeats */
    uint64_t at_us; /* MEASURE_NEVER: no more */
    uint8_t left;
};

struct flood {
    const struct scenario *s;
    struct measure *m;
    struct air *air;
    struct chance chance;
    struct lora_params lora;
    struct world world;
    uint32_t hops;
    uint64_t now_us, slot_us;
    struct node *nodes;
    struct retry *retries;
    uint32_t retry_first; /* all before it are over */
    uint32_t filed_count; /* reports that somebody has wanted to file so far */
    bool *waiting;        /* to be filed when the power is back */
};

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (!p)
        abort(); /* a simulation that does not fit this machine has no result */
    return p;
}

static uint64_t frame_len(const struct flood *f, uint32_t report)
{
    uint64_t len = f->s->reports[report].body_len + FRAME_OVERHEAD_LEN;
    return len < LORA_PAYLOAD_LEN_MAX ? len : LORA_PAYLOAD_LEN_MAX; /* no longer ones exist there */
}

/* ---- waiting ------------------------------------------------------------------------- */

static uint64_t wait_us(struct flood *f, const struct packet *p)
{
    if (p->own)
        return chance_below(&f->chance, 1u << CW_MIN) * f->slot_us; /* a quiet channel's window */
    int snr = p->snr_db_x4;
    if (snr < SNR_MIN_DB_X4)
        snr = SNR_MIN_DB_X4;
    if (snr > SNR_MAX_DB_X4)
        snr = SNR_MAX_DB_X4;
    int cw = CW_MIN + (snr - SNR_MIN_DB_X4) * (CW_MAX - CW_MIN) / (SNR_MAX_DB_X4 - SNR_MIN_DB_X4);
    return (2 * CW_MAX + chance_below(&f->chance, 1u << cw)) * f->slot_us;
}

static void next_in_queue(struct flood *f, struct node *n)
{
    n->due_us = n->queue_count > 0 && !n->sending ? f->now_us + wait_us(f, &n->queue[0])
                                                  : MEASURE_NEVER;
}

static void enqueue(struct flood *f, struct node *n, struct packet p)
{
    if (n->queue_count == n->queue_cap) {
        n->queue_cap = n->queue_cap ? n->queue_cap * 2 : 8;
        n->queue = realloc(n->queue, n->queue_cap * sizeof *n->queue);
        if (!n->queue)
            abort();
    }
    n->queue[n->queue_count++] = p;
    if (n->queue_count == 1)
        next_in_queue(f, n);
}

static void dequeue(struct flood *f, struct node *n)
{
    n->queue_count--;
    memmove(n->queue, n->queue + 1, n->queue_count * sizeof *n->queue);
    next_in_queue(f, n);
}

/* ---- what happens -------------------------------------------------------------------- */

static void retry_later(struct flood *f, uint32_t report)
{
    uint64_t airtime_us = lora_airtime_us(&f->lora, frame_len(f, report));
    f->retries[report].at_us = f->now_us + 2 * airtime_us +
                               ((1u << CW_MIN) + RETRY_SLOTS) * f->slot_us + RETRY_EXTRA_US;
}

static void originate(struct flood *f, uint32_t report)
{
    struct node *n = &f->nodes[f->s->reports[report].node];
    if (!n->on) {
        f->waiting[report] = true;
        return;
    }
    f->waiting[report] = false;
    n->known[report] = HEARD;
    measure_filed(f->m, f->now_us, report);
    f->retries[report].left = RETRY_COUNT;
    retry_later(f, report);
    enqueue(f, n, (struct packet){ .report = report, .hops = (uint8_t)f->hops, .own = true });
}

static void hear(struct flood *f, const struct air_event *ev)
{
    struct node *n = &f->nodes[ev->receiver];
    uint32_t report = load32_be(ev->frame);
    uint8_t hops = ev->frame[4];
    if (!n->on || ev->damaged || /* its decryption fails */
        f->s->nodes[ev->sender].commune != f->s->nodes[ev->receiver].commune)
        return;
    if (f->s->reports[report].node == ev->receiver) {
        f->retries[report].at_us = MEASURE_NEVER; /* somebody repeats it: that is all it asks */
        return;
    }
    if (n->known[report] != UNKNOWN) {
        n->known[report] = HEARD_AGAIN;
        return;
    }
    n->known[report] = HEARD;
    if (!measure_holds(f->m, report, ev->receiver)) /* once more after a power cut is no news */
        measure_held(f->m, f->now_us, report, ev->receiver, ev->sender);
    if (hops > 0)
        enqueue(f, n, (struct packet){ .report = report, .hops = (uint8_t)(hops - 1),
                                       .snr_db_x4 = (int16_t)(ev->rssi_dbm * 4 - NOISE_DBM_X4) });
}

static void try_send(struct flood *f, uint32_t index)
{
    struct node *n = &f->nodes[index];
    struct packet *p = &n->queue[0];
    uint8_t frame[LORA_PAYLOAD_LEN_MAX] = { 0 };
    uint64_t end_us;
    if (!p->own && n->known[p->report] == HEARD_AGAIN) {
        dequeue(f, n);
        return;
    }
    if (air_busy(f->air, f->now_us, index)) {
        n->due_us = f->now_us + wait_us(f, p) + 1;
        return;
    }
    size_t len = frame_len(f, p->report);
    store32_be(frame, p->report);
    frame[4] = p->hops;
    if (air_start_tx(f->air, f->now_us, index, frame, len, &f->lora, f->s->eirp_dbm_x100,
                     &end_us) != AIR_OK)
        abort(); /* a node that is on and silent can send */
    measure_sent(f->m, index, f->now_us, end_us, frame, len);
    measure_trace(f->m, f->now_us, index, "tx %zu bytes report %u hops %u", len, p->report,
                  p->hops);
    n->sending = true;
    dequeue(f, n);
}

static void switch_node(struct flood *f, uint32_t index, bool on)
{
    struct node *n = &f->nodes[index];
    n->on = on;
    n->sending = false;
    n->queue_count = 0;
    n->due_us = MEASURE_NEVER;
    air_set_on(f->air, f->now_us, index, on);
    if (!on) {
        memset(n->known, UNKNOWN, f->s->report_count);
        return;
    }
    for (uint32_t i = 0; i < f->filed_count; i++)
        if (f->waiting[i] && f->s->reports[i].node == index)
            originate(f, i);
}

static void act(struct flood *f, const struct world_deed *d)
{
    const struct scenario *s = f->s;
    switch (d->kind) {
    case WORLD_OFF: switch_node(f, d->index, false); break;
    case WORLD_ON: switch_node(f, d->index, true); break;
    case WORLD_REPORT:
        f->filed_count = d->index + 1;
        originate(f, d->index);
        break;
    case WORLD_MOVE:
        for (uint32_t i = 0; i < s->node_count; i++)
            if (s->nodes[i].track_count > 1)
                air_set_position(f->air, f->now_us, i, scenario_at(&s->nodes[i], f->now_us));
        break;
    }
}

static void retry_due(struct flood *f)
{
    for (uint32_t i = f->retry_first; i < f->filed_count; i++) {
        struct retry *r = &f->retries[i];
        struct node *n = &f->nodes[f->s->reports[i].node];
        if (r->at_us > f->now_us)
            continue;
        r->at_us = MEASURE_NEVER;
        if (r->left == 0 || !n->on)
            continue;
        r->left--;
        retry_later(f, i);
        enqueue(f, n, (struct packet){ .report = i, .hops = (uint8_t)f->hops, .own = true });
    }
    while (f->retry_first < f->filed_count && f->retries[f->retry_first].at_us == MEASURE_NEVER &&
           !f->waiting[f->retry_first])
        f->retry_first++;
}

static uint64_t next_us(const struct flood *f)
{
    uint64_t at_us = world_next_us(&f->world), air_us = air_next_event_us(f->air);
    if (air_us < at_us)
        at_us = air_us;
    for (uint32_t i = 0; i < f->s->node_count; i++)
        if (f->nodes[i].due_us < at_us)
            at_us = f->nodes[i].due_us;
    for (uint32_t i = f->retry_first; i < f->filed_count; i++)
        if (f->retries[i].at_us < at_us)
            at_us = f->retries[i].at_us;
    return at_us;
}

static void play(struct flood *f)
{
    for (;;) {
        struct air_event ev;
        struct world_deed d;
        f->now_us = next_us(f);
        while (air_poll_event(f->air, f->now_us, &ev)) {
            if (ev.type == AIR_EV_RX) {
                hear(f, &ev);
            } else if (f->nodes[ev.sender].sending) {
                f->nodes[ev.sender].sending = false;
                next_in_queue(f, &f->nodes[ev.sender]);
            }
        }
        if (f->now_us >= f->s->duration_us)
            return;
        while (world_poll(&f->world, f->now_us, &d))
            act(f, &d);
        retry_due(f);
        for (uint32_t i = 0; i < f->s->node_count; i++)
            if (f->nodes[i].due_us <= f->now_us)
                try_send(f, i);
    }
}

struct measure *sim_run_flood(const struct scenario *s, const struct sim_options *options)
{
    char protocol[16];
    (void)snprintf(protocol, sizeof protocol, "flood:%u", options->hops);
    struct flood f = { .s = s, .hops = options->hops, .lora = s->lora,
                       .m = measure_new(s, options->seed, protocol, options->trace),
                       .chance = chance_new(options->seed, CHANCE_FLOOD, 0) };
    struct air_cut *cuts = zeroed(s->cut_count, sizeof *cuts);
    struct air_position *positions = zeroed(s->node_count, sizeof *positions);
    f.lora.preamble_symbols = PREAMBLE_SYMBOLS;
    f.slot_us = lora_symbol_us(&s->lora) * SLOT_SYMBOLS_X10 / 10 + SLOT_EXTRA_US;
    struct air_config air = sim_air(s, 0, (uint32_t)f.slot_us, cuts, positions);
    air.seed = options->seed;
    int32_t *losses = sim_losses(s, options->seed);
    air.first_loss_db_x100 = losses;
    air.cca_miss_ppm = 0; /* its radio knows that it is in the middle of receiving a frame */
    size_t len = air_storage_len(&air);
    void *storage = zeroed(len, 1);
    if (len == 0 || air_init(storage, len, &air, &f.air) != AIR_OK)
        abort(); /* the scenario was checked */
    f.nodes = zeroed(s->node_count, sizeof *f.nodes);
    f.retries = zeroed(s->report_count, sizeof *f.retries);
    f.waiting = zeroed(s->report_count, sizeof *f.waiting);
    for (uint32_t i = 0; i < s->report_count; i++)
        f.retries[i].at_us = MEASURE_NEVER;
    for (uint32_t i = 0; i < s->node_count; i++) {
        f.nodes[i] = (struct node){ .on = true, .known = zeroed(s->report_count, 1),
                                    .due_us = MEASURE_NEVER };
        if (air_tune(f.air, 0, i, &f.lora) != AIR_OK)
            abort();
    }
    f.world = world_new(s);
    play(&f);
    air_counts(f.air, &f.m->air);
    for (uint32_t i = 0; i < s->node_count; i++) {
        free(f.nodes[i].known);
        free(f.nodes[i].queue);
    }
    world_free(&f.world);
    free(f.nodes);
    free(f.retries);
    free(f.waiting);
    free(storage);
    free(losses);
    free(cuts);
    free(positions);
    return f.m;
}
