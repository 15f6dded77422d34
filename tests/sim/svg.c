#include "tests/sim/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 1280,
    MARGIN = 28,
    HEAD = 96,
    MAP_SIDE = 600,
    PANEL_X = MARGIN + MAP_SIDE + 60, /* left edge of the right column */
    PANEL_W = WIDTH - PANEL_X - MARGIN - 50,
    ROW_COUNT_MAX = 60,
    ROW_H_MAX = 18,
    BIN_COUNT = 72,
    CURVE_H = 190,      /* at least */
    CURVE_POINTS = 160,
    NODE_R = 9,
    NODE_R_SMALL = 5,   /* where there are many */
    MANY_NODES = 60,
    LEGEND_H = 54,
    TABLE_ROW_H = 22,
};
#define US 1000000.0
#define CARRIED_SHARE_MIN 0.08
#define PEAK_MAX 99.0 /* of a limit of nothing anything is too much */
#define HOUR_US 3600000000.0
#define INK "#22313f"
#define FAINT "#7b8894"

struct picture {
    const struct measure *m;
    const struct scenario *s;
    const uint8_t *links;
    struct measure_result r;
    FILE *out;
    double scale, x0, y0; /* metres to pixels */
    double min_x, max_y;
};

static void text(const struct picture *p, double x, double y, const char *anchor, int size,
                 const char *colour, const char *words)
{
    fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" "
            "fill=\"%s\">", x, y, anchor, size, colour);
    for (const char *c = words; *c; c++) {
        const char *entity = *c == '<' ? "&lt;" : *c == '&' ? "&amp;" : NULL;
        if (entity)
            fputs(entity, p->out);
        else
            fputc((unsigned char)*c < 0x20 ? ' ' : *c, p->out);
    }
    fputs("</text>\n", p->out);
}

static const char *share_colour(double share)
{
    return share >= 1 ? "#2e8b57" : share >= 0.95 ? "#9bbf3b" : share >= 0.7 ? "#e8b53a"
         : share >= 0.3 ? "#e07b39" : "#c0392b";
}

static double held_share(const struct picture *p, uint32_t node)
{
    const struct measure *m = p->m;
    uint32_t filed = 0;
    for (uint32_t i = 0; i < m->s->report_count; i++)
        filed += m->reports[i].filed &&
                 m->s->nodes[m->s->reports[i].node].commune == m->s->nodes[node].commune;
    return filed > 0 ? (double)m->nodes[node].held_count / filed : 1;
}

/* ---- head ---------------------------------------------------------------------------- */

static uint32_t count_at_gateway(const struct picture *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->s->report_count; i++)
        count += p->m->reports[i].filed && p->m->reports[i].gateway_us != MEASURE_NEVER;
    return count;
}

static void head(const struct picture *p)
{
    char words[512];
    const struct measure_result *r = &p->r;
    uint32_t arrived = count_at_gateway(p);
    bool all = arrived == r->report_count;
    (void)snprintf(words, sizeof words, "%s: %u nodes, %.4g hours, protocol %s, seed %llu",
                   p->s->name, p->s->node_count, (double)p->s->duration_us / HOUR_US,
                   p->m->protocol, (unsigned long long)p->m->seed);
    text(p, MARGIN, 34, "start", 20, INK, words);
    (void)snprintf(words, sizeof words, "%s%u of %u reports reached the commune",
                   all ? "All arrived: " : "", arrived, r->report_count);
    text(p, MARGIN, 62, "start", 17, all ? "#2e8b57" : "#c0392b", words);
    (void)snprintf(words, sizeof words,
                   "everybody holds %.2f %% of everything; of %.1f %% of the reports the author "
                   "knows that they arrived; %.1f transmissions and %.1f s on air a report",
                   100 * r->all_delivery, 100 * r->author_knows, r->frames_per_report,
                   r->airtime_per_report_s);
    text(p, MARGIN, 83, "start", 13, FAINT, words);
    if (p->m->violation_count > 0) {
        (void)snprintf(words, sizeof words, "BROKEN INVARIANT: %s", p->m->violations[0]);
        text(p, WIDTH - MARGIN, 34, "end", 13, "#c0392b", words);
    }
}

/* ---- map ----------------------------------------------------------------------------- */

static double map_x(const struct picture *p, struct air_position at)
{
    return p->x0 + (at.x_m - p->min_x) * p->scale;
}

static double map_y(const struct picture *p, struct air_position at)
{
    return p->y0 + (p->max_y - at.y_m) * p->scale; /* north is up */
}

static void widen(double range[4], struct air_position at)
{
    range[0] = fmin(range[0], at.x_m);
    range[1] = fmax(range[1], at.x_m);
    range[2] = fmin(range[2], at.y_m);
    range[3] = fmax(range[3], at.y_m);
}

static void fit_map(struct picture *p)
{
    double range[4] = { 1e12, -1e12, 1e12, -1e12 };
    for (uint32_t i = 0; i < p->s->node_count; i++) {
        widen(range, scenario_at(&p->s->nodes[i], 0));
        for (uint32_t k = 0; k < p->s->nodes[i].track_count; k++)
            widen(range, p->s->nodes[i].track[k].at);
    }
    double w = range[1] - range[0], h = range[3] - range[2], side = MAP_SIDE - 60;
    double span = fmax(fmax(w, h), 1);
    p->scale = side / span;
    p->min_x = range[0];
    p->max_y = range[3];
    p->x0 = MARGIN + 30 + (side - w * p->scale) / 2;
    p->y0 = HEAD + 22 + (side - h * p->scale) / 2;
}

static void draw_line(const struct picture *p, uint32_t a, uint32_t b, const char *style)
{
    struct air_position from = scenario_at(&p->s->nodes[a], 0);
    struct air_position to = scenario_at(&p->s->nodes[b], 0);
    fprintf(p->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", map_x(p, from),
            map_y(p, from), map_x(p, to), map_y(p, to), style);
}

static void draw_links(const struct picture *p)
{
    uint32_t n = p->s->node_count;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = i + 1; k < n; k++) {
            int ways = p->links[(size_t)i * n + k] + p->links[(size_t)k * n + i];
            if (ways > 0)
                draw_line(p, i, k, ways == 2 ? "stroke=\"#d4dae0\""
                                             : "stroke=\"#d4dae0\" stroke-dasharray=\"2 4\"");
        }
}

/* Who first brought reports to whom: a bent arrow, so that both ways can be told apart. */
static void draw_carried(const struct picture *p)
{
    uint32_t n = p->s->node_count, most = p->r.report_count > 0 ? p->r.report_count : 1;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++) {
            double share = (double)p->m->carried[(size_t)i * n + k] / most;
            if (share < CARRIED_SHARE_MIN)
                continue; /* seldom: it would only hide the rest */
            struct air_position a = scenario_at(&p->s->nodes[i], 0);
            struct air_position b = scenario_at(&p->s->nodes[k], 0);
            double x1 = map_x(p, a), y1 = map_y(p, a), x2 = map_x(p, b), y2 = map_y(p, b);
            double dx = x2 - x1, dy = y2 - y1, len = fmax(hypot(dx, dy), 1);
            double bend = fmin(18, len / 6), r = n > MANY_NODES ? NODE_R_SMALL : NODE_R;
            double mx = (x1 + x2) / 2 - dy / len * bend, my = (y1 + y2) / 2 + dx / len * bend;
            double ex = x2 - mx, ey = y2 - my, el = fmax(hypot(ex, ey), 1);
            fprintf(p->out, "<path d=\"M%.1f %.1f Q%.1f %.1f %.1f %.1f\" fill=\"none\" "
                    "stroke=\"#2471a3\" stroke-opacity=\"%.2f\" stroke-width=\"%.2f\" "
                    "marker-end=\"url(#tip)\"/>\n", x1, y1, mx, my, x2 - ex / el * (r + 3),
                    y2 - ey / el * (r + 3), 0.35 + 0.5 * share, 0.8 + 5 * share);
        }
}

static void draw_track(const struct picture *p, const struct scenario_node *node)
{
    fputs("<polyline fill=\"none\" stroke=\"#8e44ad\" stroke-width=\"1.5\" "
          "stroke-dasharray=\"6 4\" points=\"", p->out);
    for (uint32_t k = 0; k < node->track_count; k++)
        fprintf(p->out, "%.1f,%.1f ", map_x(p, node->track[k].at), map_y(p, node->track[k].at));
    fputs("\"/>\n", p->out);
}

static void draw_node(const struct picture *p, uint32_t i)
{
    const struct scenario_node *node = &p->s->nodes[i];
    struct air_position at = scenario_at(node, 0);
    double x = map_x(p, at), y = map_y(p, at);
    double r = p->s->node_count > MANY_NODES ? NODE_R_SMALL : NODE_R;
    const char *fill = share_colour(held_share(p, i));
    char words[16];
    if (node->kind == SCENARIO_GATEWAY)
        fprintf(p->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\" "
                "fill=\"%s\" stroke=\"" INK "\" stroke-width=\"2.5\"/>\n", x - r - 3, y - r - 3,
                2 * r + 6, 2 * r + 6, fill);
    else
        fprintf(p->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" stroke=\"" INK "\" "
                "stroke-width=\"1\"%s/>\n", x, y, r, fill,
                node->kind == SCENARIO_HANDHELD ? " stroke-dasharray=\"3 2\"" : "");
    (void)snprintf(words, sizeof words, "%u", i);
    text(p, x, y + (r < NODE_R ? 3 : 4), "middle", r < NODE_R ? 7 : 10, "#fff", words);
}

static void draw_scale(const struct picture *p)
{
    double target_m = 100 / p->scale, step = pow(10, floor(log10(fmax(target_m, 1))));
    if (step * 5 <= target_m)
        step *= 5;
    else if (step * 2 <= target_m)
        step *= 2;
    double y = HEAD + MAP_SIDE - 14, x = MARGIN + 14;
    char words[32];
    fprintf(p->out, "<path d=\"M%.1f %.1f v5 h%.1f v-5\" fill=\"none\" stroke=\"" FAINT "\"/>\n", x,
            y - 5, step * p->scale);
    (void)snprintf(words, sizeof words, step >= 1000 ? "%.0f km" : "%.0f m",
                   step >= 1000 ? step / 1000 : step);
    text(p, x + step * p->scale + 6, y, "start", 11, FAINT, words);
}

static void map_legend(const struct picture *p)
{
    static const struct { double share; const char *words; } steps[] = {
        { 1, "holds all" }, { 0.95, "≥ 95 %" }, { 0.7, "≥ 70 %" }, { 0.3, "≥ 30 %" },
        { 0, "less" } };
    double y = HEAD + MAP_SIDE + 22, x = MARGIN + 6;
    for (int i = 0; i < 5; i++) {
        fprintf(p->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\" fill=\"%s\"/>\n", x, y - 4,
                share_colour(steps[i].share));
        text(p, x + 10, y, "start", 11, INK, steps[i].words);
        x += i == 0 ? 82 : 68;
    }
    text(p, x + 6, y, "start", 11, INK, "square: gateway");
    text(p, MARGIN, y + 20, "start", 11, INK,
         "arrows: who first brought reports to whom; grey: can hear each other (dotted: one way); "
         "violet: journey");
}

static void draw_map(struct picture *p)
{
    fprintf(p->out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#fbfcfd\" "
            "stroke=\"#e3e7eb\"/>\n", MARGIN, HEAD, MAP_SIDE, MAP_SIDE);
    fit_map(p);
    draw_links(p);
    draw_carried(p);
    for (uint32_t i = 0; i < p->s->node_count; i++)
        if (p->s->nodes[i].track_count > 1)
            draw_track(p, &p->s->nodes[i]);
    for (uint32_t i = 0; i < p->s->node_count; i++)
        draw_node(p, i);
    draw_scale(p);
    map_legend(p);
}

/* ---- airtime ------------------------------------------------------------------------- */

static double limit_of(const struct scenario *s, uint32_t node)
{
    return s->nodes[node].kind == SCENARIO_GATEWAY ? s->duty_gateway : s->duty_node;
}

/* What a node spent in the window that ends at end_us, as a share of what it may spend. */
static double load_at(const struct picture *p, uint32_t node, uint64_t end_us)
{
    const struct measure_node *n = &p->m->nodes[node];
    uint64_t window_us = p->s->duty_window_us, sum_us = 0;
    uint64_t from_us = end_us > window_us ? end_us - window_us : 0;
    double limit = limit_of(p->s, node);
    for (uint32_t i = 0; i < n->send_count; i++) {
        uint64_t a = n->sends[i].start_us, b = n->sends[i].end_us;
        if (b <= from_us || a >= end_us)
            continue;
        sum_us += (b < end_us ? b : end_us) - (a > from_us ? a : from_us);
    }
    return limit > 0 ? (double)sum_us / ((double)window_us * limit) : sum_us > 0;
}

static void load_colour(double load, char out[8])
{
    static const double at[] = { 0, 0.25, 0.6, 0.9, 1.0001 };
    static const int rgb[][3] = { { 246, 248, 250 }, { 253, 236, 205 }, { 248, 196, 113 },
                                  { 230, 126, 34 }, { 169, 39, 29 } };
    int i = 0;
    while (i < 3 && load > at[i + 1])
        i++;
    double part = fmin(fmax((load - at[i]) / (at[i + 1] - at[i]), 0), 1);
    int c[3];
    for (int k = 0; k < 3; k++)
        c[k] = (int)lround(rgb[i][k] + part * (rgb[i + 1][k] - rgb[i][k]));
    (void)snprintf(out, 8, "#%02x%02x%02x", (unsigned)c[0] & 0xff, (unsigned)c[1] & 0xff,
                   (unsigned)c[2] & 0xff);
}

struct busy { uint32_t node; double peak; };

static int by_peak(const void *a, const void *b)
{
    const struct busy *x = a, *y = b;
    if (x->peak != y->peak)
        return x->peak > y->peak ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static void draw_row(const struct picture *p, const struct busy *row, double y, double h,
                     bool labelled)
{
    const struct scenario_node *node = &p->s->nodes[row->node];
    double w = (double)PANEL_W / BIN_COUNT;
    char words[32], colour[8];
    for (int b = 0; b < BIN_COUNT; b++) {
        uint64_t end_us = p->s->duration_us / BIN_COUNT * (uint64_t)(b + 1);
        bool off = scenario_is_off(node, end_us - p->s->duration_us / BIN_COUNT / 2);
        load_colour(load_at(p, row->node, end_us), colour);
        fprintf(p->out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                "fill=\"%s\"/>\n", PANEL_X + b * w, y, w + 0.2, h - 1, off ? "url(#off)" : colour);
    }
    if (!labelled)
        return;
    (void)snprintf(words, sizeof words, "%u%s", row->node,
                   node->kind == SCENARIO_GATEWAY ? " G" : "");
    text(p, PANEL_X - 6, y + h / 2 + 3, "end", h < 10 ? 8 : 10, INK, words);
    (void)snprintf(words, sizeof words, "%.0f %%", 100 * row->peak);
    text(p, PANEL_X + PANEL_W + 6, y + h / 2 + 3, "start", h < 10 ? 8 : 10,
         row->peak > 1.000001 ? "#c0392b" : INK, words);
}

static void time_axis(const struct picture *p, double y)
{
    double hours = (double)p->s->duration_us / HOUR_US;
    double step = hours > 24 ? 6 : hours > 8 ? 2 : hours > 2 ? 1 : hours > 0.5 ? 0.25 : hours / 4;
    char words[24];
    for (double h = 0; h <= hours + 1e-9; h += step) {
        (void)snprintf(words, sizeof words, "%.4g h", h);
        text(p, PANEL_X + h / hours * PANEL_W, y, "middle", 10, FAINT, words);
    }
}

/* Returns where the panel ends. */
static double draw_airtime(const struct picture *p)
{
    uint32_t n = p->s->node_count, rows = n < ROW_COUNT_MAX ? n : ROW_COUNT_MAX;
    struct busy *list = calloc(n, sizeof *list);
    char words[160];
    if (!list)
        abort();
    for (uint32_t i = 0; i < n; i++)
        list[i] = (struct busy){ i, fmin(measure_law_max(p->m, i), PEAK_MAX) };
    if (n > rows)
        qsort(list, n, sizeof *list, by_peak);
    double h = fmin(ROW_H_MAX, (double)(MAP_SIDE - CURVE_H - 90) / rows);
    h = fmax(h, 6.5);
    (void)snprintf(words, sizeof words,
                   "Airtime of the last %.0f min, as a share of what the law allows%s",
                   (double)p->s->duty_window_us / US / 60,
                   n > rows ? " (busiest nodes)" : "");
    text(p, PANEL_X, HEAD + 8, "start", 12, INK, words);
    text(p, PANEL_X + PANEL_W + 6, HEAD + 8, "start", 10, FAINT, "peak");
    double y = HEAD + 18;
    for (uint32_t i = 0; i < rows; i++, y += h)
        draw_row(p, &list[i], y, h, h >= 9 || i % 2 == 0);
    free(list);
    time_axis(p, y + 12);
    static const double steps[] = { 0, 0.25, 0.6, 0.9, 1 };
    y += 30;
    for (int i = 0; i < 5; i++) {
        char colour[8];
        load_colour(steps[i], colour);
        fprintf(p->out, "<rect x=\"%d\" y=\"%.1f\" width=\"14\" height=\"10\" fill=\"%s\" "
                "stroke=\"#cfd6dc\" stroke-width=\"0.5\"/>\n", PANEL_X + i * 66, y - 9, colour);
        (void)snprintf(words, sizeof words, "%.0f %%", 100 * steps[i]);
        text(p, PANEL_X + i * 66 + 18, y, "start", 10, FAINT, words);
    }
    fprintf(p->out, "<rect x=\"%d\" y=\"%.1f\" width=\"14\" height=\"10\" fill=\"url(#off)\"/>\n",
            PANEL_X + 5 * 66, y - 9);
    text(p, PANEL_X + 5 * 66 + 18, y, "start", 10, FAINT, "no power");
    return y + 14;
}

/* ---- what arrived, and when ----------------------------------------------------------- */

/* Reports at that moment: filed, and of those at a gateway and everywhere. */
static void count_until(const struct picture *p, uint64_t now_us, uint32_t counts[3])
{
    memset(counts, 0, 3 * sizeof counts[0]);
    for (uint32_t i = 0; i < p->s->report_count; i++) {
        const struct measure_report *r = &p->m->reports[i];
        counts[0] += r->filed && r->filed_us <= now_us;
        counts[1] += r->filed && r->gateway_us <= now_us;
        counts[2] += r->filed && r->all_us <= now_us;
    }
}

static void draw_curves(const struct picture *p, double top, double bottom)
{
    static const char *const colours[] = { "#95a5a6", "#2471a3", "#2e8b57" };
    static const char *const names[] = { "filed", "at the commune", "everywhere" };
    double most = p->r.report_count > 0 ? p->r.report_count : 1;
    char words[32];
    text(p, PANEL_X, top + 2, "start", 13, INK, "Reports");
    for (int k = 0; k < 3; k++) {
        double x = PANEL_X + 70 + k * 130;
        fprintf(p->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                "stroke-width=\"3\"/>\n", x, top - 2, x + 18, top - 2, colours[k]);
        text(p, x + 23, top + 2, "start", 11, INK, names[k]);
    }
    top += 14;
    fprintf(p->out, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"#fbfcfd\" "
            "stroke=\"#e3e7eb\"/>\n", PANEL_X, top, PANEL_W, bottom - top);
    for (int k = 0; k < 3; k++) {
        fprintf(p->out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
                colours[k]);
        for (int i = 0; i <= CURVE_POINTS; i++) {
            uint32_t counts[3];
            count_until(p, p->s->duration_us / CURVE_POINTS * (uint64_t)i, counts);
            fprintf(p->out, "%.1f,%.1f ", PANEL_X + (double)PANEL_W * i / CURVE_POINTS,
                    bottom - 2 - (bottom - top - 6) * counts[k] / most);
        }
        fputs("\"/>\n", p->out);
    }
    (void)snprintf(words, sizeof words, "%.0f", most);
    text(p, PANEL_X - 6, top + 10, "end", 10, FAINT, words);
    text(p, PANEL_X - 6, bottom, "end", 10, FAINT, "0");
    time_axis(p, bottom + 14);
}

static void put_time(double s, char out[16])
{
    (void)snprintf(out, 16, s < 120 ? "%.0f s" : s < 7200 ? "%.0f min" : "%.1f h",
                   s < 120 ? s : s < 7200 ? s / 60 : s / 3600);
}

static void draw_table(const struct picture *p, double y)
{
    static const char *const names[] = { "routine", "damage", "evacuation", "rescue", "all" };
    static const double columns[] = { 150, 230, 310, 420, 500, 580 };
    static const char *const heads[] = { "half", "95 %", "slowest", "half", "95 %", "slowest" };
    text(p, MARGIN + columns[0] - 40, y, "start", 12, INK, "until the commune has it");
    text(p, MARGIN + columns[3] - 40, y, "start", 12, INK, "until everybody has it");
    y += TABLE_ROW_H;
    for (int k = 0; k < 6; k++)
        text(p, MARGIN + columns[k], y, "end", 11, FAINT, heads[k]);
    for (int i = PRIORITY_COUNT; i >= 0; i--) {
        int at = i == PRIORITY_COUNT ? PRIORITY_RESCUE : i == 0 ? PRIORITY_COUNT : i - 1;
        const struct measure_spread *spreads[] = { &p->r.latency_gateway[at],
                                                   &p->r.latency_all[at] };
        y += TABLE_ROW_H;
        text(p, MARGIN, y, "start", 12, INK, names[at]);
        for (int k = 0; k < 6; k++) {
            const struct measure_spread *s = spreads[k / 3];
            char words[16] = "-";
            if (s->any)
                put_time(k % 3 == 0 ? s->p50 : k % 3 == 1 ? s->p95 : s->max, words);
            text(p, MARGIN + columns[k], y, "end", 12, INK, words);
        }
    }
}

void svg_draw(const struct measure *m, const uint8_t *links, FILE *out)
{
    struct picture p = { .m = m, .s = m->s, .links = links, .out = out };
    int table_y = HEAD + MAP_SIDE + LEGEND_H + 24;
    int height = table_y + 7 * TABLE_ROW_H + MARGIN;
    measure_result(m, &p.r);
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"DejaVu Sans, Noto Sans, sans-serif\">\n", WIDTH,
            height, WIDTH, height);
    fputs("<defs><marker id=\"tip\" markerUnits=\"userSpaceOnUse\" markerWidth=\"7\" "
          "markerHeight=\"7\" refX=\"5\" refY=\"3\" orient=\"auto\"><path d=\"M0 0 L6 3 L0 6 z\" "
          "fill=\"#2471a3\"/></marker><pattern id=\"off\" width=\"4\" height=\"4\" "
          "patternUnits=\"userSpaceOnUse\"><rect width=\"4\" height=\"4\" fill=\"#eceff1\"/><path "
          "d=\"M0 4 L4 0\" stroke=\"#aab4bc\" stroke-width=\"1\"/></pattern></defs>\n"
          "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n", out);
    head(&p);
    draw_map(&p);
    draw_curves(&p, draw_airtime(&p) + 16, height - MARGIN - 20);
    draw_table(&p, table_y);
    fputs("</svg>\n", out);
}
