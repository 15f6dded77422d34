#include "tests/sim/measure.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define US 1000000.0

static const char *const spread_names[] = { "routine", "damage", "evacuation", "rescue", "any" };

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (!p)
        abort(); /* a simulation that does not fit this machine has no result */
    return p;
}

/* FNV-1a, over all that happened: equal runs, equal digests. */
static void digest_bytes(struct measure *m, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < len; i++)
        m->digest = (m->digest ^ b[i]) * 0x100000001b3ull;
}

static void digest_number(struct measure *m, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> 8 * i);
    digest_bytes(m, b, sizeof b);
}

struct measure *measure_new(const struct scenario *s, uint64_t seed, const char *protocol,
                            FILE *trace)
{
    struct measure *m = zeroed(1, sizeof *m);
    size_t bits = (size_t)s->report_count * s->node_count;
    m->s = s;
    m->seed = seed;
    m->digest = 0xcbf29ce484222325ull;
    m->trace = trace;
    (void)snprintf(m->protocol, sizeof m->protocol, "%s", protocol);
    m->reports = zeroed(s->report_count, sizeof *m->reports);
    m->nodes = zeroed(s->node_count, sizeof *m->nodes);
    m->held = zeroed(bits / 8 + 1, 1);
    m->carried = zeroed((size_t)s->node_count * s->node_count, sizeof *m->carried);
    for (uint32_t i = 0; i < s->node_count; i++)
        m->nodes[i].commune_size = scenario_commune(s, s->nodes[i].commune).node_count;
    for (uint32_t i = 0; i < s->report_count; i++)
        m->reports[i].gateway_us = m->reports[i].all_us = MEASURE_NEVER;
    return m;
}

void measure_free(struct measure *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->s->node_count; i++)
        free(m->nodes[i].sends);
    free(m->nodes);
    free(m->reports);
    free(m->held);
    free(m->carried);
    free(m);
}

void measure_trace(struct measure *m, uint64_t now_us, uint32_t node, const char *format, ...)
{
    if (!m->trace)
        return;
    fprintf(m->trace, "%.6f %u ", (double)now_us / US, node);
    va_list args;
    va_start(args, format);
    vfprintf(m->trace, format, args);
    va_end(args);
    fputc('\n', m->trace);
}

/* ---- what happened ------------------------------------------------------------------- */

static bool set_held(struct measure *m, uint32_t report, uint32_t node)
{
    size_t bit = (size_t)report * m->s->node_count + node;
    uint8_t mask = (uint8_t)(1u << bit % 8);
    if (m->held[bit / 8] & mask)
        return false;
    m->held[bit / 8] |= mask;
    m->nodes[node].held_count++;
    return true;
}

bool measure_holds(const struct measure *m, uint32_t report, uint32_t node)
{
    size_t bit = (size_t)report * m->s->node_count + node;
    return m->held[bit / 8] >> bit % 8 & 1;
}

static void note_holder(struct measure *m, uint64_t now_us, uint32_t report, uint32_t node)
{
    struct measure_report *r = &m->reports[report];
    if (!set_held(m, report, node)) {
        char text[MEASURE_TEXT_LEN];
        (void)snprintf(text, sizeof text, "report %u delivered twice at node %u", report, node);
        measure_violation(m, text);
        return;
    }
    digest_number(m, now_us);
    digest_number(m, (uint64_t)report << 32 | node);
    if (m->s->nodes[node].kind == SCENARIO_GATEWAY && r->gateway_us == MEASURE_NEVER)
        r->gateway_us = now_us;
    if (++r->held_count == m->nodes[node].commune_size && r->all_us == MEASURE_NEVER)
        r->all_us = now_us;
}

void measure_left(struct measure *m, uint32_t report, uint32_t node)
{
    size_t bit = (size_t)report * m->s->node_count + node;
    m->held[bit / 8] &= (uint8_t)~(1u << bit % 8);
    m->nodes[node].held_count--;
    m->reports[report].held_count--;
}

void measure_filed(struct measure *m, uint64_t now_us, uint32_t report)
{
    struct measure_report *r = &m->reports[report];
    r->filed = true;
    r->filed_us = now_us;
    measure_trace(m, now_us, m->s->reports[report].node, "report %u %s", report,
                  spread_names[m->s->reports[report].priority]);
    note_holder(m, now_us, report, m->s->reports[report].node);
}

void measure_held(struct measure *m, uint64_t now_us, uint32_t report, uint32_t node,
                  uint32_t from)
{
    note_holder(m, now_us, report, node);
    if (from != MEASURE_NO_NODE)
        m->carried[(size_t)from * m->s->node_count + node]++;
    measure_trace(m, now_us, node, "hold %u from %d", report,
                  from == MEASURE_NO_NODE ? -1 : (int)from);
}

void measure_known(struct measure *m, uint32_t report)
{
    m->reports[report].known = true;
}

void measure_sent(struct measure *m, uint32_t node, uint64_t start_us, uint64_t end_us,
                  const uint8_t *frame, size_t len)
{
    struct measure_node *n = &m->nodes[node];
    if (n->send_count == n->send_cap) {
        n->send_cap = n->send_cap ? n->send_cap * 2 : 64;
        n->sends = realloc(n->sends, n->send_cap * sizeof *n->sends);
        if (!n->sends)
            abort();
    }
    n->sends[n->send_count++] = (struct measure_send){ start_us, end_us, (uint16_t)len };
    n->bytes += len;
    n->airtime_us += end_us - start_us;
    digest_number(m, start_us);
    digest_number(m, node);
    digest_bytes(m, frame, len);
}

void measure_violation(struct measure *m, const char *text)
{
    if (m->violation_count < MEASURE_VIOLATION_COUNT_MAX)
        (void)snprintf(m->violations[m->violation_count++], MEASURE_TEXT_LEN, "%s", text);
}

/* ---- figures ------------------------------------------------------------------------- */

/* A window's airtime can only be largest when it begins with a frame or ends with one. */
double measure_duty_max(const struct measure *m, uint32_t node)
{
    const struct measure_node *n = &m->nodes[node];
    uint64_t window_us = m->s->duty_window_us, most_us = 0, sum_us = 0;
    uint32_t first = 0;
    for (uint32_t i = 0; i < n->send_count; i++) { /* windows that end with frame i */
        uint64_t end_us = n->sends[i].end_us;
        uint64_t from_us = end_us > window_us ? end_us - window_us : 0;
        sum_us += end_us - n->sends[i].start_us;
        for (; n->sends[first].end_us <= from_us; first++)
            sum_us -= n->sends[first].end_us - n->sends[first].start_us;
        uint64_t start_us = n->sends[first].start_us;
        uint64_t cut_us = start_us < from_us ? from_us - start_us : 0;
        if (sum_us - cut_us > most_us)
            most_us = sum_us - cut_us;
    }
    uint32_t last = 0;
    sum_us = 0;
    for (uint32_t i = 0; i < n->send_count; i++) { /* windows that begin with frame i */
        uint64_t to_us = n->sends[i].start_us + window_us;
        for (; last < n->send_count && n->sends[last].start_us < to_us; last++)
            sum_us += n->sends[last].end_us - n->sends[last].start_us;
        uint64_t end_us = n->sends[last - 1].end_us;
        uint64_t cut_us = end_us > to_us ? end_us - to_us : 0;
        if (sum_us - cut_us > most_us)
            most_us = sum_us - cut_us;
        sum_us -= n->sends[i].end_us - n->sends[i].start_us;
    }
    return (double)most_us / (double)window_us;
}

double measure_law_max(const struct measure *m, uint32_t node)
{
    bool gateway = m->s->nodes[node].kind == SCENARIO_GATEWAY;
    double limit = gateway ? m->s->duty_gateway : m->s->duty_node;
    double duty = measure_duty_max(m, node);
    if (limit > 0)
        return duty / limit;
    return duty > 0 ? INFINITY : 0;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Nearest rank. */
static double rank(const double *sorted, uint32_t count, uint32_t percent)
{
    uint32_t at = (count * percent + 99) / 100;
    return sorted[at > 0 ? at - 1 : 0];
}

static struct measure_spread spread(const struct measure *m, int priority, bool all)
{
    double *values = zeroed(m->s->report_count, sizeof *values);
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->s->report_count; i++) {
        const struct measure_report *r = &m->reports[i];
        const struct scenario_report *sr = &m->s->reports[i];
        uint64_t at_us = all ? r->all_us : r->gateway_us;
        /* What a gateway itself says did not travel to a gateway. */
        bool own = !all && m->s->nodes[sr->node].kind == SCENARIO_GATEWAY;
        bool asked = priority == PRIORITY_COUNT || sr->priority == priority;
        if (at_us != MEASURE_NEVER && !own && asked)
            values[count++] = (double)(at_us - r->filed_us) / US;
    }
    qsort(values, count, sizeof *values, by_value);
    struct measure_spread s = { .any = count > 0 };
    if (count > 0) {
        s.p50 = rank(values, count, 50);
        s.p95 = rank(values, count, 95);
        s.max = values[count - 1];
    }
    free(values);
    return s;
}

static void count_reports(const struct measure *m, struct measure_result *r)
{
    uint64_t at_gateway = 0, pairs = 0, all_pairs = 0, known = 0;
    for (uint32_t i = 0; i < m->s->report_count; i++) {
        const struct measure_report *each = &m->reports[i];
        if (!each->filed)
            continue;
        r->report_count++;
        at_gateway += each->gateway_us != MEASURE_NEVER;
        pairs += each->held_count - 1;
        all_pairs += m->nodes[m->s->reports[i].node].commune_size - 1;
        known += each->known;
    }
    double reports = r->report_count;
    r->gateway_delivery = reports > 0 ? (double)at_gateway / reports : 1;
    r->author_knows = reports > 0 ? (double)known / reports : 1;
    r->all_delivery = all_pairs > 0 ? (double)pairs / (double)all_pairs : 1;
}

void measure_result(const struct measure *m, struct measure_result *r)
{
    *r = (struct measure_result){ .collided = m->air.collided,
                                  .half_duplex_lost = m->air.half_duplex_lost,
                                  .below_sensitivity = m->air.below_sensitivity,
                                  .core_memory_bytes = (double)m->core_len_max };
    count_reports(m, r);
    for (int p = 0; p <= PRIORITY_COUNT; p++) {
        r->latency_gateway[p] = spread(m, p, false);
        r->latency_all[p] = spread(m, p, true);
    }
    for (uint32_t i = 0; i < m->s->node_count; i++) {
        const struct measure_node *n = &m->nodes[i];
        double duty = measure_duty_max(m, i);
        r->frames += n->send_count;
        r->bytes_on_air += n->bytes;
        r->airtime_s += (double)n->airtime_us / US;
        r->duty_max = fmax(r->duty_max, duty);
        r->law_max = fmax(r->law_max, measure_law_max(m, i));
    }
    r->duty_mean = r->airtime_s / m->s->node_count / ((double)m->s->duration_us / US);
    if (r->report_count > 0) {
        r->frames_per_report = (double)r->frames / r->report_count;
        r->airtime_per_report_s = r->airtime_s / r->report_count;
    }
}

/* ---- print --------------------------------------------------------------------------- */

/* Text inside JSON's quotation marks; names come from files. */
static void put_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        unsigned char u = (unsigned char)*c;
        if (u == '"' || u == '\\')
            fprintf(out, "\\%c", u);
        else if (u < 0x20)
            fprintf(out, "\\u%04x", u);
        else
            fputc(u, out);
    }
    fputc('"', out);
}

struct style {
    FILE *out;
    const char *between, *gap; /* two keys; a key and its value */
    uint32_t key_count;
};

static void put_key(struct style *st, const char *key)
{
    fprintf(st->out, "%s\"%s\":%s", st->key_count++ > 0 ? st->between : "", key, st->gap);
}

static void put_count(struct style *st, const char *key, uint64_t value)
{
    put_key(st, key);
    fprintf(st->out, "%llu", (unsigned long long)value);
}

static void put_share(struct style *st, const char *key, double value)
{
    put_key(st, key);
    fprintf(st->out, "%.6f", value);
}

static void put_seconds(struct style *st, const char *key, double value)
{
    put_key(st, key);
    fprintf(st->out, "%.3f", value);
}

static void put_spreads(struct style *st, const char *key, const struct measure_spread *s)
{
    struct style in = { .out = st->out, .between = ",", .gap = st->gap };
    put_key(st, key);
    fputc('{', st->out);
    for (int p = PRIORITY_COUNT + 1; p-- > 0;) {
        struct style each = { .out = st->out, .between = ",", .gap = st->gap };
        put_key(&in, spread_names[p]);
        if (!s[p].any) {
            fputs("null", st->out);
            continue;
        }
        fputc('{', st->out);
        put_seconds(&each, "p50", s[p].p50);
        put_seconds(&each, "p95", s[p].p95);
        put_seconds(&each, "max", s[p].max);
        fputc('}', st->out);
    }
    fputc('}', st->out);
}

static void put_violations(struct style *st, const struct measure *m)
{
    put_key(st, "violations");
    fputc('[', st->out);
    for (uint32_t i = 0; i < m->violation_count; i++) {
        fputs(i > 0 ? "," : "", st->out);
        put_text(m->violations[i], st->out);
    }
    fputc(']', st->out);
}

void measure_print(const struct measure *m, bool compact, FILE *out)
{
    struct style st = { .out = out, .between = compact ? "," : ",\n  ", .gap = compact ? "" : " " };
    struct measure_result r;
    measure_result(m, &r);
    fputs(compact ? "{" : "{\n  ", out);
    put_key(&st, "name");
    put_text(m->s->name, out);
    put_count(&st, "seed", m->seed);
    put_key(&st, "protocol");
    put_text(m->protocol, out);
    put_count(&st, "reports", r.report_count);
    put_key(&st, "digest");
    fprintf(out, "\"%016llx\"", (unsigned long long)m->digest);
    put_share(&st, "gateway_delivery", r.gateway_delivery);
    put_share(&st, "all_delivery", r.all_delivery);
    put_share(&st, "author_knows", r.author_knows);
    put_spreads(&st, "latency_gateway_s", r.latency_gateway);
    put_spreads(&st, "latency_all_s", r.latency_all);
    put_count(&st, "frames", r.frames);
    put_count(&st, "bytes_on_air", r.bytes_on_air);
    put_seconds(&st, "airtime_s", r.airtime_s);
    put_seconds(&st, "frames_per_report", r.frames_per_report);
    put_seconds(&st, "airtime_per_report_s", r.airtime_per_report_s);
    put_share(&st, "duty_mean", r.duty_mean);
    put_share(&st, "duty_max", r.duty_max);
    put_count(&st, "collided", r.collided);
    put_count(&st, "half_duplex_lost", r.half_duplex_lost);
    put_count(&st, "below_sensitivity", r.below_sensitivity);
    put_violations(&st, m);
    fputs(compact ? "}\n" : "\n}\n", out);
}

void measure_explain(const struct measure *m, FILE *out)
{
    const struct measure_waste *w = &m->waste;
    struct measure_result r;
    measure_result(m, &r);
    double reports = r.report_count > 0 ? r.report_count : 1;
    double bytes = r.bytes_on_air > 0 ? (double)r.bytes_on_air : 1;
    fprintf(out, "frames per report: %.2f, of them without any record %.2f\n",
            (double)r.frames / reports, (double)w->control_frames / reports);
    fprintf(out, "sends of records per report: reports %.2f, acknowledgements %.2f, others %.2f\n",
            (double)w->report_sends / reports, (double)w->ack_sends / reports,
            (double)w->other_sends / reports);
    fprintf(out, "bytes: headers %.1f %%, links %.1f %%, summaries %.1f %%, reports %.1f %%, "
            "acknowledgements %.1f %%, other records %.1f %%\n",
            100 * (double)w->header_bytes / bytes, 100 * (double)w->links_bytes / bytes,
            100 * (double)w->summary_bytes / bytes, 100 * (double)w->report_bytes / bytes,
            100 * (double)w->ack_bytes / bytes, 100 * (double)w->other_bytes / bytes);
    fprintf(out, "mixes: frames %.2f per report, records in them %.2f, %.1f %% of the bytes\n",
            (double)w->mixed_frames / reports, (double)w->mixed_records / reports,
            100 * (double)w->mixed_bytes / bytes);
    fprintf(out, "records heard: new %llu, known already %llu\n", (unsigned long long)w->heard_new,
            (unsigned long long)w->heard_again);
    if (m->core_len_max > 0)
        fprintf(out, "memory of a node's core: %.1f kB at most\n",
                (double)m->core_len_max / 1000);
    uint64_t tried = m->air.rx_frames + m->air.collided + m->air.half_duplex_lost + m->air.dropped;
    fprintf(out, "receptions lost: collided %.1f %%, own sending %.1f %%, faults %.1f %%\n",
            tried ? 100 * (double)m->air.collided / (double)tried : 0,
            tried ? 100 * (double)m->air.half_duplex_lost / (double)tried : 0,
            tried ? 100 * (double)m->air.dropped / (double)tried : 0);
}

void measure_dot(const struct measure *m, const uint8_t *links, FILE *out)
{
    uint32_t n = m->s->node_count;
    fputs("digraph run {\n  node [shape=circle, fontsize=10];\n", out);
    for (uint32_t i = 0; i < n; i++) {
        struct air_position at = scenario_at(&m->s->nodes[i], 0);
        fprintf(out, "  n%u [label=\"%u\", pos=\"%d,%d\"%s];\n", i, i, at.x_m, at.y_m,
                m->s->nodes[i].kind == SCENARIO_GATEWAY ? ", shape=doublecircle" : "");
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++) {
            uint32_t carried = m->carried[(size_t)i * n + k];
            if (carried > 0)
                fprintf(out, "  n%u -> n%u [label=\"%u\", penwidth=%.2f];\n", i, k, carried,
                        1 + 6.0 * carried / (m->s->report_count > 0 ? m->s->report_count : 1));
            else if (links[(size_t)i * n + k])
                fprintf(out, "  n%u -> n%u [color=gray80, arrowhead=none];\n", i, k);
        }
    fputs("}\n", out);
}
