/* A run of the shipped core: the scenario's people, power cuts, journeys and rogues act on the
 * network of tests/support/net.h, which is the daemon's loop around node/core. */
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "tests/sim/chance.h"
#include "tests/sim/sim.h"
#include "tests/sim/world.h"
#include "tests/support/net.h"

enum {
    HEARD_COUNT = 64,     /* frames that a replaying rogue remembers */
    LOG_SPARE = 16,
    ACK_LOGS = 4,         /* lanes that a gateway acknowledges in */
    RECORD_SPARE = 256,
    SENSE_SYMBOLS = 5,    /* a receiver needs so many to notice a preamble */
    GARBAGE_LEN_MIN = 12,
    FORGED_BODY_LEN_MAX = 60,
    SEQ_AHEAD = 3,        /* forged numbers reach a little past what exists */
    HOUR_S = 3600,
};
#define US 1000000.0

struct rogue {
    const struct scenario_rogue *r;
    struct chance chance;
    uint64_t next_us;
    uint8_t heard[HEARD_COUNT][FRAME_LEN_MAX];
    uint8_t heard_len[HEARD_COUNT];
    uint32_t heard_count;
};

struct author { /* numbers of an author's log to reports; UINT32_MAX: not a counted one */
    uint32_t *reports;
    uint32_t count, cap;
};

struct run {
    const struct scenario *s;
    struct measure *m;
    struct net *net;
    struct world world;
    struct rogue *rogues;
    struct author *authors;
    uint32_t *order_report; /* order id to report */
    uint32_t order_count, order_cap;
};

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (!p)
        abort(); /* a simulation that does not fit this machine has no result */
    return p;
}

static uint64_t since_start(uint64_t net_us)
{
    return net_us - NET_START_US;
}

/* ---- watching ------------------------------------------------------------------------ */

static void append(uint32_t **list, uint32_t *count, uint32_t *cap, uint32_t value)
{
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *list = realloc(*list, *cap * sizeof **list);
        if (!*list)
            abort();
    }
    (*list)[(*count)++] = value;
}

static uint32_t report_of(const struct run *run, const struct record_ref *ref)
{
    const struct author *a = &run->authors[ref->author];
    return ref->seq > 0 && ref->seq <= a->count ? a->reports[ref->seq - 1] : UINT32_MAX;
}

static void on_stored(void *ctx, const struct net_node *n, const struct mesh_event *ev,
                      uint32_t order)
{
    struct run *run = ctx;
    uint64_t now_us = since_start(run->net->now_us);
    struct author *a = &run->authors[ev->ref.author];
    uint32_t left = report_of(run, &ev->leaves);
    if (left != UINT32_MAX)
        measure_left(run->m, left, n->index);
    if (ev->ref.lane != 0) {
        measure_trace(run->m, now_us, n->index, "ack %u.%u.%u", ev->ref.author, ev->ref.lane,
                      ev->ref.seq);
        return;
    }
    if (ev->own) {
        uint32_t report = order == NET_NO_ORDER ? UINT32_MAX : run->order_report[order];
        append(&a->reports, &a->count, &a->cap, report); /* numbers rise by one: checked by net */
        if (report != UINT32_MAX)
            measure_filed(run->m, now_us, report);
        return;
    }
    uint32_t report = report_of(run, &ev->ref);
    if (report != UINT32_MAX)
        measure_held(run->m, now_us, report, n->index,
                     ev->from_node == AUTHOR_NONE ? MEASURE_NO_NODE : ev->from_node - 1u);
}

static void trace_frame(struct run *run, const struct net_node *n, uint64_t start_us,
                        uint64_t end_us, const struct frame_view *view)
{
    char text[512];
    size_t at = 0;
    struct frame_view v = *view;
    struct record_view r;
    struct frame_entry e;
    struct frame_link link;
    const uint8_t *record;
    size_t len;
    if (v.about != v.sender)
        at = (size_t)snprintf(text, sizeof text, " about %u", v.about);
    while (frame_next_link(&v, &link) && at + 48 < sizeof text)
        at += (size_t)snprintf(text + at, sizeof text - at, " l%u/%u", link.node, link.quality);
    while (frame_next_entry(&v, &e) && at + 48 < sizeof text)
        at += (size_t)snprintf(text + at, sizeof text - at, " s%u.%u:%u%s", e.log / LANE_COUNT,
                               e.log % LANE_COUNT, e.held, e.run_count ? "+" : "");
    for (uint8_t i = 0; i < v.mix_count && at + 48 < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, " m%u.%u.%u",
                               v.mixed[i].log / LANE_COUNT, v.mixed[i].log % LANE_COUNT,
                               v.mixed[i].seq);
    while (frame_next_record(&v, &record, &len) && at + 48 < sizeof text)
        if (record_decode(record, len, &r) == RECORD_OK)
            at += (size_t)snprintf(text + at, sizeof text - at, " r%u.%u.%u", r.ref.author,
                                   r.ref.lane, r.ref.seq);
    text[at] = '\0';
    measure_trace(run->m, start_us, n->index, "tx %u bytes %.3f s%s%s", n->tx.len,
                  (double)(end_us - start_us) / US,
                  view->sum_count > 0 ? " sums" : view->flags & FRAME_FLAG_WHOLE ? " whole" : "",
                  text);
}

static void count_waste(struct measure_waste *w, const struct frame_view *view, size_t frame_len)
{
    struct frame_view v = *view;
    struct record_view r;
    const uint8_t *record;
    size_t len, rest = frame_len - FRAME_HEADER_LEN, links_len = 0;
    uint32_t count = 0;
    while (frame_next_record(&v, &record, &len)) {
        if (record_decode(record, len, &r) != RECORD_OK)
            continue; /* net.c has called that a breach */
        count++;
        rest -= len + 1;
        bool ack = record_is_ack(r.kind), report = record_is_report(r.kind);
        *(ack ? &w->ack_sends : report ? &w->report_sends : &w->other_sends) += 1;
        *(ack ? &w->ack_bytes : report ? &w->report_bytes : &w->other_bytes) += len + 1;
    }
    if (v.flags & FRAME_FLAG_LINKS) {
        struct frame_link link;
        const uint8_t *list = v.links.at;
        while (frame_next_link(&v, &link))
            continue;
        links_len = 1 + (size_t)(v.links.at - list);
    }
    if (v.mix_count > 0) {
        w->mixed_frames++;
        w->mixed_records += v.mix_count;
        uint8_t longest_len = 0;
        for (uint8_t i = 0; i < v.mix_count; i++)
            if (v.mixed[i].len > longest_len)
                longest_len = v.mixed[i].len;
        w->mixed_bytes += longest_len;
        rest -= longest_len;
    }
    w->control_frames += count == 0 && v.mix_count == 0;
    w->links_bytes += links_len;
    w->header_bytes += FRAME_HEADER_LEN;
    w->summary_bytes += rest - links_len;
}

static void on_sent(void *ctx, const struct net_node *n, uint64_t start_us, uint64_t end_us)
{
    struct run *run = ctx;
    struct frame_view v;
    start_us = since_start(start_us);
    end_us = since_start(end_us);
    measure_sent(run->m, n->index, start_us, end_us, n->tx.bytes, n->tx.len);
    if (frame_decode(n->tx.bytes, n->tx.len, &v) != FRAME_OK)
        return; /* net.c has called that a breach */
    count_waste(&run->m->waste, &v, n->tx.len);
    if (run->m->trace)
        trace_frame(run, n, start_us, end_us, &v);
}

static void on_heard(void *ctx, const struct net_node *n, const struct air_event *ev,
                     enum mesh_verdict verdict)
{
    struct run *run = ctx;
    measure_trace(run->m, since_start(ev->at_us), n->index, "rx from %u %d dBm: %s%s", ev->sender,
                  ev->rssi_dbm, mesh_verdict_name(verdict), ev->damaged ? ", damaged" : "");
    for (uint32_t i = 0; i < run->s->rogue_count; i++) {
        struct rogue *r = &run->rogues[i];
        if (r->r->node != n->index || r->r->kind != ROGUE_REPLAY)
            continue;
        uint32_t at = r->heard_count++ % HEARD_COUNT;
        memcpy(r->heard[at], ev->frame, ev->len);
        r->heard_len[at] = (uint8_t)ev->len;
    }
}

/* ---- rogues -------------------------------------------------------------------------- */

/* Under a tag that holds, a record of somebody that is not signed by him. */
static size_t forge(struct run *run, struct rogue *r, uint8_t *frame)
{
    uint8_t record[RECORD_LEN_MAX], body[FORGED_BODY_LEN_MAX];
    uint32_t nodes = run->s->node_count;
    uint16_t author = (uint16_t)(1 + chance_below(&r->chance, nodes));
    size_t body_len = 1 + chance_below(&r->chance, sizeof body);
    for (size_t i = 0; i < body_len; i++)
        body[i] = (uint8_t)chance_next(&r->chance);
    struct record_draft d = {
        .ref = { .author = author,
                 .seq = 1 + (uint32_t)chance_below(&r->chance,
                                                   run->authors[author].count + SEQ_AHEAD) },
        .kind = RECORD_RESCUE, .priority = PRIORITY_RESCUE, .body = body, .body_len = body_len,
    };
    int len = record_encode(&d, record, sizeof record);
    if (len < 0)
        return 0;
    for (int i = 0; i < KENG_SIG_LEN; i++)
        record[len + i] = (uint8_t)chance_next(&r->chance);
    struct frame_builder b;
    frame_begin(&b, frame, run->s->mtu_len, (uint16_t)(1 + chance_below(&r->chance, nodes)),
                (uint32_t)chance_below(&r->chance, 1u << 8 * FRAME_DIGEST_LEN),
                (uint8_t)chance_below(&r->chance, 256));
    if (!frame_add_record(&b, record, (size_t)len + KENG_SIG_LEN))
        return 0;
    size_t frame_len = frame_finish(&b);
    net_tag(run->net, r->r->node, frame, frame_len);
    return frame_len;
}

static void rogue_acts(struct run *run, struct rogue *r)
{
    uint8_t frame[FRAME_LEN_MAX];
    size_t len = 0;
    switch (r->r->kind) {
    case ROGUE_GARBAGE:
        len = GARBAGE_LEN_MIN + chance_below(&r->chance, run->s->mtu_len - GARBAGE_LEN_MIN + 1u);
        for (size_t i = 0; i < len; i++)
            frame[i] = (uint8_t)chance_next(&r->chance);
        break;
    case ROGUE_REPLAY:
        if (r->heard_count > 0) {
            uint32_t count = r->heard_count < HEARD_COUNT ? r->heard_count : HEARD_COUNT;
            uint32_t at = (uint32_t)chance_below(&r->chance, count);
            len = r->heard_len[at];
            memcpy(frame, r->heard[at], len);
        }
        break;
    case ROGUE_FORGE:
        len = forge(run, r, frame);
        break;
    case ROGUE_FLOOD: /* a member like any other, who does not stop talking */
        net_order(run->net, r->r->node, RECORD_NOTE, PRIORITY_RESCUE, FORGED_BODY_LEN_MAX);
        append(&run->order_report, &run->order_count, &run->order_cap, UINT32_MAX);
        break;
    }
    if (len > 0 && net_shout(run->net, r->r->node, frame, len))
        measure_trace(run->m, since_start(run->net->now_us), r->r->node, "rogue %zu bytes", len);
}

static uint64_t rogue_wait_us(struct rogue *r)
{
    if (r->r->per_hour <= 0)
        return MEASURE_NEVER / 2;
    return 1 + (uint64_t)(chance_exponential(&r->chance, HOUR_S / r->r->per_hour) * US);
}

/* ---- what the world does ------------------------------------------------------------- */

static void file_report(struct run *run, uint32_t report)
{
    static const uint8_t kinds[PRIORITY_COUNT] = { RECORD_NOTE, RECORD_DAMAGE, RECORD_EVACUATION,
                                                   RECORD_RESCUE };
    const struct scenario_report *r = &run->s->reports[report];
    net_order(run->net, r->node, kinds[r->priority], r->priority, r->body_len);
    append(&run->order_report, &run->order_count, &run->order_cap, report);
}

static void act(struct run *run, const struct world_deed *d)
{
    const struct scenario *s = run->s;
    switch (d->kind) {
    case WORLD_OFF:
        measure_trace(run->m, d->at_us, d->index, "off");
        net_stop(run->net, d->index);
        run->net->nodes[d->index].restart_due = false; /* not before the power is back */
        break;
    case WORLD_ON:
        measure_trace(run->m, d->at_us, d->index, "on");
        net_start(run->net, d->index);
        break;
    case WORLD_REPORT:
        file_report(run, d->index);
        break;
    case WORLD_MOVE:
        for (uint32_t i = 0; i < s->node_count; i++)
            if (s->nodes[i].track_count > 1)
                net_move(run->net, i, scenario_at(&s->nodes[i], d->at_us));
        break;
    }
}

static void play(struct run *run)
{
    for (;;) {
        uint64_t at_us = world_next_us(&run->world);
        for (uint32_t i = 0; i < run->s->rogue_count; i++)
            if (run->rogues[i].next_us < at_us)
                at_us = run->rogues[i].next_us;
        if (!net_run(run->net, NET_START_US + at_us) || at_us == run->s->duration_us)
            return;
        struct world_deed d;
        while (world_poll(&run->world, at_us, &d))
            act(run, &d);
        for (uint32_t i = 0; i < run->s->rogue_count; i++)
            if (run->rogues[i].next_us <= at_us) {
                rogue_acts(run, &run->rogues[i]);
                run->rogues[i].next_us += rogue_wait_us(&run->rogues[i]);
            }
    }
}

/* ---- at the end ---------------------------------------------------------------------- */

static void dump(struct run *run, uint32_t node, FILE *out)
{
    const struct net_node *n = &run->net->nodes[node];
    fprintf(out, "node %u (number %u) %s, rows %u, waiting to be filed %u, crashes %u\n", node,
            n->number, n->up ? "up" : "down", net_row_count(&n->rows), n->order_count, n->crashes);
    for (int v = 0; v < MESH_RX_COUNT; v++)
        fprintf(out, "  heard %s: %llu\n", mesh_verdict_name((enum mesh_verdict)v),
                (unsigned long long)net_rx(run->net, node, (enum mesh_verdict)v));
    for (uint32_t i = 0; i < n->rows.count; i++)
        if (n->rows.row[i].used)
            fprintf(out, "  row %u.%u.%u %u bytes\n", n->rows.row[i].ref.author,
                    n->rows.row[i].ref.lane, n->rows.row[i].ref.seq, n->rows.row[i].len);
    if (!n->up)
        return;
    struct mesh_stats s;
    struct mesh_neighbour neighbours[MESH_NEIGHBOUR_COUNT_MAX];
    mesh_stats(n->mesh, &s);
    fprintf(out, "  sent %llu frames, %llu records, %llu summaries; put off by law %llu; window "
            "%u of %u ms\n", (unsigned long long)s.tx_frames, (unsigned long long)s.tx_records,
            (unsigned long long)s.tx_summaries, (unsigned long long)s.tx_refused_duty,
            s.window_airtime_ms, s.budget_ms);
    size_t count = mesh_neighbours(n->mesh, neighbours);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  neighbour %u heard %.1f s ago, %d dBm%s\n", neighbours[i].node - 1u,
                (double)(run->net->now_us - n->clock_base_us) / US -
                    (double)neighbours[i].heard_ms / 1000,
                neighbours[i].rssi_dbm, neighbours[i].in_sync ? ", in sync" : "");
}

/* Every node's power is cut once more: what it then reads from its store must be all of it. */
static void restart_all(struct run *run)
{
    for (uint32_t i = 0; i < run->s->node_count && !run->net->breach; i++) {
        struct net_node *n = &run->net->nodes[i];
        net_stop(run->net, i);
        net_start(run->net, i);
        struct mesh_stats stats;
        mesh_stats(n->mesh, &stats);
        if (stats.records_held != net_row_count(&n->rows)) {
            char text[MEASURE_TEXT_LEN];
            (void)snprintf(text, sizeof text, "node %u holds %u of %u durable records", i,
                           stats.records_held, net_row_count(&n->rows));
            measure_violation(run->m, text);
        }
    }
}

static void ask_authors(struct run *run)
{
    for (uint32_t i = 0; i < run->s->node_count && !run->net->breach; i++) {
        const struct author *a = &run->authors[i + 1];
        for (uint32_t k = 0; k < a->count; k++) {
            struct record_ref ref = { .author = (uint16_t)(i + 1), .seq = k + 1 };
            struct mesh_record_state state;
            if (a->reports[k] != UINT32_MAX &&
                (net_is_gateway(run->net, i) || /* it is the commune */
                 (mesh_record_state(run->net->nodes[i].mesh, &ref, &state) &&
                  state.gateway != AUTHOR_NONE)))
                measure_known(run->m, a->reports[k]);
        }
    }
}

static void conclude(struct run *run, const struct sim_options *options)
{
    struct measure_waste *w = &run->m->waste;
    air_counts(run->net->air, &run->m->air);
    for (uint32_t i = 0; i < run->s->node_count; i++) {
        w->heard_new += net_rx(run->net, i, MESH_RX_NEW);
        w->heard_again += net_rx(run->net, i, MESH_RX_DUPLICATE) +
                          net_rx(run->net, i, MESH_RX_SUPERSEDED);
        if (run->net->nodes[i].storage_len > run->m->core_len_max)
            run->m->core_len_max = run->net->nodes[i].storage_len;
    }
    if (options->dump)
        dump(run, options->dump_node, options->dump);
    restart_all(run);
    ask_authors(run);
    if (run->net->breach)
        measure_violation(run->m, run->net->breach);
    for (uint32_t i = 0; i < run->s->node_count; i++) {
        char text[MEASURE_TEXT_LEN];
        double law = measure_law_max(run->m, i);
        if (law <= 1)
            continue;
        (void)snprintf(text, sizeof text, "node %u spent %.6f of its duty limit", i, law);
        measure_violation(run->m, text);
    }
}

/* ---- beginning ----------------------------------------------------------------------- */

static struct net_config configure(struct run *run, const struct sim_options *options,
                                   const struct air_config *air, uint8_t *gateways,
                                   uint16_t *communes, struct net_clock *clocks)
{
    const struct scenario *s = run->s;
    struct scenario_commune largest = { 0 };
    for (uint32_t i = 0; i < s->node_count; i++) {
        struct scenario_commune c = scenario_commune(s, s->nodes[i].commune);
        largest.node_count = c.node_count > largest.node_count ? c.node_count : largest.node_count;
        if (c.gateway_count > largest.gateway_count)
            largest.gateway_count = c.gateway_count;
        if (c.report_count > largest.report_count)
            largest.report_count = c.report_count;
        gateways[i] = s->nodes[i].kind == SCENARIO_GATEWAY;
        communes[i] = s->nodes[i].commune;
        clocks[i] = (struct net_clock){ s->nodes[i].no_clock, s->nodes[i].clock_offset_s };
    }
    double records = largest.report_count + RECORD_SPARE;
    for (uint32_t i = 0; i < s->rogue_count; i++)
        if (s->rogues[i].kind == ROGUE_FLOOD)
            records += 2 * s->rogues[i].per_hour * (double)s->duration_us / US / HOUR_S;
    return (struct net_config){
        .node_count = s->node_count, .seed = options->seed, .lora = s->lora,
        .faults = { .frame_loss_ppm = s->frame_loss_ppm, .bit_flip_ppm = s->bit_flip_ppm,
                    .duplicate_ppm = s->duplicate_ppm, .store_fail_ppm = s->store_fail_ppm,
                    .crash_ppm = options->crash_ppm },
        .gateway = s->node_count,
        .duty_node_e4 = (uint32_t)(s->duty_node * 10000 + 1e-6),
        .duty_gateway_e4 = (uint32_t)(s->duty_gateway * 10000 + 1e-6),
        .record_count_max = (uint32_t)records + ACK_LOGS * largest.gateway_count,
        .village_record_count_max = options->store_count,
        .real_crypto = options->real_crypto, .air = air, .eirp_dbm_x100 = s->eirp_dbm_x100,
        .mtu_len = s->mtu_len,
        .log_count_max = (uint16_t)(largest.node_count + ACK_LOGS * largest.gateway_count +
                                    LOG_SPARE),
        .window_ms = (uint32_t)(s->duty_window_us / 1000), .gateways = gateways,
        .communes = communes, .clocks = clocks, .strict = true, .kiss_modem = true,
        .watch = { run, on_sent, on_heard, on_stored },
    };
}

struct measure *sim_run_core(const struct scenario *s, const struct sim_options *options)
{
    struct run run = { .s = s, .m = measure_new(s, options->seed, "keng", options->trace) };
    struct air_cut *cuts = zeroed(s->cut_count, sizeof *cuts);
    struct air_position *positions = zeroed(s->node_count, sizeof *positions);
    uint8_t *gateways = zeroed(s->node_count, 1);
    uint16_t *communes = zeroed(s->node_count, sizeof *communes);
    struct net_clock *clocks = zeroed(s->node_count, sizeof *clocks);
    run.authors = zeroed(s->node_count + 1u, sizeof *run.authors);
    run.rogues = zeroed(s->rogue_count, sizeof *run.rogues);
    for (uint32_t i = 0; i < s->rogue_count; i++) {
        run.rogues[i].r = &s->rogues[i];
        run.rogues[i].chance = chance_new(options->seed, CHANCE_ROGUE, i);
        run.rogues[i].next_us = rogue_wait_us(&run.rogues[i]);
    }
    struct air_config air = sim_air(s, NET_START_US, SENSE_SYMBOLS * lora_symbol_us(&s->lora), cuts,
                                    positions);
    int32_t *losses = sim_losses(s, options->seed);
    air.first_loss_db_x100 = losses;
    struct net_config cfg = configure(&run, options, &air, gateways, communes, clocks);
    run.net = net_new(&cfg);
    run.world = world_new(s);
    play(&run);
    conclude(&run, options);
    net_free(run.net);
    for (uint32_t i = 0; i <= s->node_count; i++)
        free(run.authors[i].reports);
    free(losses);
    free(run.authors);
    free(run.rogues);
    free(run.order_report);
    world_free(&run.world);
    free(cuts);
    free(positions);
    free(gateways);
    free(communes);
    free(clocks);
    return run.m;
}
