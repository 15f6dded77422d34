#include "tests/sim/scenario.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/sim/chance.h"

enum {
    DB_MAX = 400,
    DISTANCE_M_MAX = 10000000,
    DURATION_S_MAX = 100 * 86400,
    PREAMBLE_MIN = 6,
    PREAMBLE_MAX = 1000,
    FREQ_HZ_MIN = 100000000,
    FREQ_HZ_MAX = 2000000000,
    MTU_LEN_MIN = 96, /* a record of no body, its signature, and the frame around it */
    MINUTE_S = 60,
    WINDOW_S_MAX = 3600,
    PER_HOUR_MAX = 3600,
    FILE_LEN_MAX = 64 << 20,
    WHERE_LEN = 96,
};
#define US 1000000.0

/* Reading goes on after the first error, but only the first is told. */
struct reader {
    const char *path;
    char *text;
    bool failed;
};

__attribute__((format(printf, 2, 3)))
static void fail(struct reader *r, const char *format, ...)
{
    if (r->failed)
        return;
    r->failed = true;
    int n = snprintf(r->text, SCENARIO_TEXT_LEN, "%s: ", r->path);
    if (n < 0 || n >= SCENARIO_TEXT_LEN)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->text + n, (size_t)(SCENARIO_TEXT_LEN - n), format, args); /* may be cut */
    va_end(args);
}

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (!p)
        abort(); /* a simulation that does not fit this machine has no result */
    return p;
}

/* ---- values ------------------------------------------------------------------------ */

/* An object with no keys but the named ones, which end with NULL. */
static bool object(struct reader *r, const char *where, json_t *value, const char *const *names)
{
    const char *key;
    json_t *member;
    if (!json_is_object(value)) {
        fail(r, "%s: must be an object", where);
        return false;
    }
    json_object_foreach(value, key, member) {
        const char *const *name = names;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name)
            fail(r, "%s: unknown key '%s'", where, key);
    }
    return true;
}

static json_t *need(struct reader *r, const char *where, json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    if (!value)
        fail(r, "%s: key '%s' is missing", where, key);
    return value;
}

static double in_range(struct reader *r, const char *where, const char *key, json_t *value,
                       double min, double max)
{
    if (!json_is_number(value)) {
        fail(r, "%s: '%s' must be a number", where, key);
        return min;
    }
    double v = json_number_value(value);
    if (!(v >= min && v <= max)) {
        fail(r, "%s: '%s' is %.10g; it must be %.10g to %.10g", where, key, v, min, max);
        return min;
    }
    return v;
}

static double number(struct reader *r, const char *where, json_t *from, const char *key, double min,
                     double max)
{
    json_t *value = need(r, where, from, key);
    return value ? in_range(r, where, key, value, min, max) : min;
}

static int64_t whole(struct reader *r, const char *where, json_t *from, const char *key, double min,
                     double max)
{
    double v = number(r, where, from, key, min, max);
    if (v != floor(v))
        fail(r, "%s: '%s' must be a whole number", where, key);
    return (int64_t)v;
}

static double optional(struct reader *r, const char *where, json_t *from, const char *key,
                       double min, double max, double fallback)
{
    json_t *value = json_object_get(from, key);
    return value ? in_range(r, where, key, value, min, max) : fallback;
}

static json_t *array(struct reader *r, const char *where, json_t *from, const char *key)
{
    json_t *value = need(r, where, from, key);
    if (value && !json_is_array(value)) {
        fail(r, "%s: '%s' must be a list", where, key);
        return NULL;
    }
    return value;
}

/* One of the named words, which end with NULL; its place among them. */
static int word(struct reader *r, const char *where, json_t *from, const char *key,
                const char *const *words)
{
    json_t *value = need(r, where, from, key);
    if (!value)
        return 0;
    const char *text = json_string_value(value);
    if (!text) {
        fail(r, "%s: '%s' must be a text", where, key);
        return 0;
    }
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    fail(r, "%s: '%s' is '%s', which is not known", where, key, text);
    return 0;
}

static int32_t x100(double v)
{
    return (int32_t)lround(v * 100);
}

static uint32_t ppm(double v)
{
    return (uint32_t)lround(v * AIR_PPM);
}

static uint64_t us(double s)
{
    return (uint64_t)llround(s * US);
}

/* [from, to] of two rising numbers. */
static bool pair(struct reader *r, const char *where, const char *key, json_t *value, double min,
                 double max, double out[2])
{
    if (!json_is_array(value) || json_array_size(value) != 2) {
        fail(r, "%s: '%s' must be a list of two numbers", where, key);
        return false;
    }
    for (size_t i = 0; i < 2; i++)
        out[i] = in_range(r, where, key, json_array_get(value, i), min, max);
    if (out[1] < out[0])
        fail(r, "%s: '%s' ends before it begins", where, key);
    return !r->failed;
}

/* ---- the air ----------------------------------------------------------------------- */

static void read_radio(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const names[] = { "freq_hz", "sf", "bw_hz", "cr", "preamble_symbols",
                                         "tx_eirp_dbm", "mtu_bytes", NULL };
    const char *at = "radio";
    json_t *o = need(r, "scenario", root, at);
    if (!o || !object(r, at, o, names))
        return;
    s->lora = (struct lora_params){
        .freq_hz = (uint32_t)whole(r, at, o, "freq_hz", FREQ_HZ_MIN, FREQ_HZ_MAX),
        .bw_hz = (uint32_t)whole(r, at, o, "bw_hz", LORA_BW_HZ_MIN, LORA_BW_HZ_MAX),
        .preamble_symbols = (uint16_t)whole(r, at, o, "preamble_symbols", PREAMBLE_MIN,
                                            PREAMBLE_MAX),
        .sf = (uint8_t)whole(r, at, o, "sf", LORA_SF_MIN, LORA_SF_MAX),
        .cr = (uint8_t)whole(r, at, o, "cr", LORA_CR_MIN, LORA_CR_MAX),
    };
    s->eirp_dbm_x100 = x100(number(r, at, o, "tx_eirp_dbm", -DB_MAX, DB_MAX));
    s->mtu_len = (uint16_t)whole(r, at, o, "mtu_bytes", MTU_LEN_MIN, LORA_PAYLOAD_LEN_MAX);
    if (!r->failed && !lora_params_valid(&s->lora))
        fail(r, "radio: no LoRa modem can be set so");
}

static void read_levels(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const names[] = { "busy_dbm", "miss", NULL };
    s->sensitivity_dbm_x100 = x100(number(r, "scenario", root, "sensitivity_dbm", -DB_MAX, DB_MAX));
    s->capture_db_x100 = x100(number(r, "scenario", root, "capture_db", 0, DB_MAX));
    json_t *o = json_object_get(root, "cca");
    if (!o || !object(r, "cca", o, names))
        return;
    s->has_cca = true;
    s->cca_busy_dbm_x100 = x100(number(r, "cca", o, "busy_dbm", -DB_MAX, DB_MAX));
    s->cca_miss_ppm = ppm(number(r, "cca", o, "miss", 0, 1));
}

static void read_duty(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const names[] = { "window_s", "node_fraction", "gateway_fraction", NULL };
    json_t *o = need(r, "scenario", root, "duty");
    if (!o || !object(r, "duty", o, names))
        return;
    int64_t window_s = whole(r, "duty", o, "window_s", MINUTE_S, WINDOW_S_MAX);
    if (window_s % MINUTE_S != 0)
        fail(r, "duty: 'window_s' must be whole minutes: a node's ledger counts in them");
    s->duty_window_us = us((double)window_s);
    s->duty_node = number(r, "duty", o, "node_fraction", 0, 1);
    s->duty_gateway = number(r, "duty", o, "gateway_fraction", 0, 1);
}

static void read_matrix(struct reader *r, struct scenario *s, json_t *o)
{
    static const char *const names[] = { "model", "loss_db", NULL };
    const char *at = "propagation";
    json_t *rows = object(r, at, o, names) ? array(r, at, o, "loss_db") : NULL;
    uint32_t n = s->node_count;
    if (!rows)
        return;
    if (json_array_size(rows) != n) {
        fail(r, "propagation: 'loss_db' has %zu rows for %u nodes", json_array_size(rows), n);
        return;
    }
    s->model = AIR_MATRIX;
    s->loss_db_x100 = zeroed((size_t)n * n, sizeof *s->loss_db_x100);
    for (uint32_t i = 0; i < n && !r->failed; i++) {
        json_t *row = json_array_get(rows, i);
        if (!json_is_array(row) || json_array_size(row) != n) {
            fail(r, "propagation: 'loss_db' row %u must be a list of %u", i, n);
            return;
        }
        for (uint32_t k = 0; k < n && !r->failed; k++) {
            char where[WHERE_LEN];
            json_t *v = json_array_get(row, k);
            (void)snprintf(where, sizeof where, "propagation.loss_db[%u][%u]", i, k);
            s->loss_db_x100[(size_t)i * n + k] =
                json_is_null(v) || i == k ? AIR_NO_LINK
                                          : x100(in_range(r, where, "loss", v, 0, DB_MAX));
        }
    }
}

static void read_log_distance(struct reader *r, struct scenario *s, json_t *o)
{
    static const char *const names[] = { "model", "ref_m", "ref_loss_db", "exponent",
                                         "shadow_sigma_db", "fading_sigma_db", NULL };
    const char *at = "propagation";
    if (!object(r, at, o, names))
        return;
    s->model = AIR_LOG_DISTANCE;
    s->ref_m = (int32_t)whole(r, at, o, "ref_m", 1, DISTANCE_M_MAX);
    s->ref_loss_db_x100 = x100(number(r, at, o, "ref_loss_db", 0, DB_MAX));
    s->exponent_x100 = x100(number(r, at, o, "exponent", 0, 10));
    s->shadow_sigma_db_x100 = x100(number(r, at, o, "shadow_sigma_db", 0, 50));
    s->fading_sigma_db_x100 = x100(number(r, at, o, "fading_sigma_db", 0, 50));
}

static void read_propagation(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const models[] = { "matrix", "log-distance", NULL };
    json_t *o = need(r, "scenario", root, "propagation");
    if (!o)
        return;
    if (!json_is_object(o)) {
        fail(r, "propagation: must be an object");
        return;
    }
    if (word(r, "propagation", o, "model", models) == 0)
        read_matrix(r, s, o);
    else
        read_log_distance(r, s, o);
}

/* ---- nodes ------------------------------------------------------------------------- */

static void read_track(struct reader *r, const char *where, struct scenario_node *node,
                       json_t *list)
{
    if (!json_is_array(list) || json_array_size(list) == 0) {
        fail(r, "%s: 'track' must be a list of [t_s, x_m, y_m]", where);
        return;
    }
    node->track = zeroed(json_array_size(list), sizeof *node->track);
    for (size_t i = 0; i < json_array_size(list) && !r->failed; i++) {
        json_t *p = json_array_get(list, i);
        if (!json_is_array(p) || json_array_size(p) != 3) {
            fail(r, "%s: 'track' must be a list of [t_s, x_m, y_m]", where);
            return;
        }
        struct scenario_point *to = &node->track[node->track_count++];
        double min = -DISTANCE_M_MAX, max = DISTANCE_M_MAX;
        to->at_us = us(in_range(r, where, "track t_s", json_array_get(p, 0), 0, DURATION_S_MAX));
        to->at.x_m = (int32_t)in_range(r, where, "track x_m", json_array_get(p, 1), min, max);
        to->at.y_m = (int32_t)in_range(r, where, "track y_m", json_array_get(p, 2), min, max);
        if (i > 0 && to->at_us <= to[-1].at_us)
            fail(r, "%s: 'track' times must rise", where);
    }
}

static void read_off(struct reader *r, const char *where, struct scenario_node *node, json_t *list)
{
    if (!json_is_array(list)) {
        fail(r, "%s: 'off' must be a list of [from_s, to_s]", where);
        return;
    }
    node->off = zeroed(json_array_size(list), sizeof *node->off);
    for (size_t i = 0; i < json_array_size(list) && !r->failed; i++) {
        double span[2];
        if (!pair(r, where, "off", json_array_get(list, i), 0, DURATION_S_MAX, span))
            return;
        struct scenario_span *o = &node->off[node->off_count++];
        *o = (struct scenario_span){ us(span[0]), us(span[1]) };
        if (o->to_us == o->from_us || (i > 0 && o->from_us <= o[-1].to_us))
            fail(r, "%s: 'off' times must rise and lie apart", where);
    }
}

static void read_node(struct reader *r, struct scenario_node *node, json_t *o, const char *where)
{
    static const char *const names[] = { "kind", "x_m", "y_m", "track", "off", "clock_offset_s",
                                         "clock", "commune", NULL };
    static const char *const kinds[] = { "village", "handheld", "gateway", NULL };
    static const char *const clocks[] = { "none", NULL };
    if (!object(r, where, o, names))
        return;
    node->kind = (enum scenario_kind)word(r, where, o, "kind", kinds);
    node->at.x_m = (int32_t)lround(number(r, where, o, "x_m", -DISTANCE_M_MAX, DISTANCE_M_MAX));
    node->at.y_m = (int32_t)lround(number(r, where, o, "y_m", -DISTANCE_M_MAX, DISTANCE_M_MAX));
    node->clock_offset_s = (int64_t)optional(r, where, o, "clock_offset_s", -1e10, 1e10, 0);
    if (json_object_get(o, "commune"))
        node->commune = (uint16_t)whole(r, where, o, "commune", 0, SCENARIO_NODE_COUNT_MAX - 1);
    json_t *value = json_object_get(o, "clock");
    if (value) {
        (void)word(r, where, o, "clock", clocks);
        node->no_clock = true;
        if (json_object_get(o, "clock_offset_s"))
            fail(r, "%s: 'clock' is none, so 'clock_offset_s' says nothing", where);
    }
    value = json_object_get(o, "track");
    if (value)
        read_track(r, where, node, value);
    value = json_object_get(o, "off");
    if (value)
        read_off(r, where, node, value);
}

static void read_nodes(struct reader *r, struct scenario *s, json_t *root)
{
    json_t *list = array(r, "scenario", root, "nodes");
    if (!list)
        return;
    size_t count = json_array_size(list);
    if (count < 1 || count > SCENARIO_NODE_COUNT_MAX) {
        fail(r, "scenario: 'nodes' has %zu entries; it must have 1 to %d", count,
             SCENARIO_NODE_COUNT_MAX);
        return;
    }
    s->nodes = zeroed(count, sizeof *s->nodes);
    s->node_count = (uint32_t)count;
    for (uint32_t i = 0; i < s->node_count && !r->failed; i++) {
        char where[WHERE_LEN];
        (void)snprintf(where, sizeof where, "nodes[%u]", i);
        read_node(r, &s->nodes[i], json_array_get(list, i), where);
    }
}

/* ---- cuts -------------------------------------------------------------------------- */

static void read_sides(struct reader *r, struct scenario *s, const char *where, json_t *sides,
                       uint8_t *side_of)
{
    size_t count = json_array_size(sides);
    if (!json_is_array(sides) || count < 2 || count > UINT8_MAX) {
        fail(r, "%s: 'sides' must be a list of at least two lists of nodes", where);
        return;
    }
    for (size_t k = 0; k < count && !r->failed; k++) {
        json_t *side = json_array_get(sides, k);
        if (!json_is_array(side))
            fail(r, "%s: 'sides' must be a list of lists of nodes", where);
        for (size_t i = 0; i < json_array_size(side) && !r->failed; i++) {
            double v = in_range(r, where, "sides", json_array_get(side, i), 0, s->node_count - 1);
            uint32_t node = (uint32_t)v;
            if (v != floor(v) || side_of[node] != 0)
                fail(r, "%s: 'sides' names node %g twice or not at all", where, v);
            side_of[node] = (uint8_t)(k + 1);
        }
    }
}

static void read_cuts(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const names[] = { "from_s", "to_s", "sides", NULL };
    if (!json_object_get(root, "cuts"))
        return;
    json_t *list = array(r, "scenario", root, "cuts");
    size_t count = json_array_size(list);
    s->cuts = zeroed(count, sizeof *s->cuts);
    s->sides = zeroed(count * s->node_count, 1);
    for (size_t i = 0; i < count && !r->failed; i++) {
        char where[WHERE_LEN];
        json_t *o = json_array_get(list, i);
        (void)snprintf(where, sizeof where, "cuts[%zu]", i);
        if (!object(r, where, o, names))
            return;
        double from_s = number(r, where, o, "from_s", 0, DURATION_S_MAX);
        double to_s = number(r, where, o, "to_s", 0, DURATION_S_MAX);
        uint8_t *side = s->sides + i * s->node_count;
        if (to_s <= from_s)
            fail(r, "%s: ends before it begins", where);
        read_sides(r, s, where, need(r, where, o, "sides"), side);
        s->cuts[s->cut_count++] = (struct air_cut){ us(from_s), us(to_s), side };
    }
}

/* ---- what is said ------------------------------------------------------------------ */

/* In the order of enum record_priority. */
static const char *const priorities[] = { "routine", "damage", "evacuation", "rescue", NULL };

static int report_order(const void *a, const void *b)
{
    const struct scenario_report *x = a, *y = b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static void read_reports(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const names[] = { "t_s", "node", "priority", "body_bytes", NULL };
    json_t *list = array(r, "scenario", root, "reports");
    size_t count = json_array_size(list);
    s->reports = zeroed(count, sizeof *s->reports);
    for (size_t i = 0; i < count && !r->failed; i++) {
        char where[WHERE_LEN];
        json_t *o = json_array_get(list, i);
        (void)snprintf(where, sizeof where, "reports[%zu]", i);
        if (!object(r, where, o, names))
            return;
        s->reports[s->report_count++] = (struct scenario_report){
            .at_us = us(number(r, where, o, "t_s", 0, (double)s->duration_us / US)),
            .node = (uint32_t)whole(r, where, o, "node", 0, s->node_count - 1),
            .priority = (uint8_t)word(r, where, o, "priority", priorities),
            .body_len = (uint16_t)whole(r, where, o, "body_bytes", 1, RECORD_BODY_LEN_MAX),
        };
    }
    qsort(s->reports, s->report_count, sizeof *s->reports, report_order);
}

static void read_mix(struct reader *r, struct scenario_workload *w, json_t *o)
{
    const char *key;
    json_t *value;
    double sum = 0;
    if (!o || !object(r, "workload.mix", o, priorities))
        return;
    json_object_foreach(o, key, value) {
        int p = 0;
        while (priorities[p] && strcmp(priorities[p], key) != 0)
            p++;
        if (!priorities[p])
            return; /* told already */
        w->mix[p] = in_range(r, "workload.mix", key, value, 0, 1);
        sum += w->mix[p];
    }
    if (fabs(sum - 1) > 0.001)
        fail(r, "workload.mix: the shares sum to %.4g, not 1", sum);
}

static void read_workload(struct reader *r, struct scenario *s, json_t *o)
{
    static const char *const names[] = { "per_node_per_hour", "from_s", "to_s", "body_bytes", "mix",
                                         NULL };
    const char *at = "workload";
    struct scenario_workload *w = &s->workload;
    double body[2] = { 1, 1 }, duration_s = (double)s->duration_us / US;
    if (!object(r, at, o, names))
        return;
    s->has_workload = true;
    w->per_node_per_hour = number(r, at, o, "per_node_per_hour", 0, PER_HOUR_MAX);
    w->from_us = us(number(r, at, o, "from_s", 0, duration_s));
    w->to_us = us(number(r, at, o, "to_s", 0, duration_s));
    if (w->to_us < w->from_us)
        fail(r, "workload: ends before it begins");
    json_t *list = need(r, at, o, "body_bytes");
    if (list && pair(r, at, "body_bytes", list, 1, RECORD_BODY_LEN_MAX, body) &&
        (body[0] != floor(body[0]) || body[1] != floor(body[1])))
        fail(r, "workload.body_bytes: must be whole numbers");
    w->body_len_min = (uint16_t)body[0];
    w->body_len_max = (uint16_t)body[1];
    read_mix(r, w, need(r, at, o, "mix"));
}

static void read_work(struct reader *r, struct scenario *s, json_t *root)
{
    json_t *reports = json_object_get(root, "reports");
    json_t *workload = json_object_get(root, "workload");
    if (!reports == !workload)
        fail(r, "scenario: exactly one of 'reports' and 'workload' must be there");
    else if (reports)
        read_reports(r, s, root);
    else
        read_workload(r, s, workload);
}

/* ---- faults ------------------------------------------------------------------------ */

static void read_rogues(struct reader *r, struct scenario *s, json_t *o)
{
    static const char *const names[] = { "node", "kind", "per_hour", NULL };
    static const char *const kinds[] = { "garbage", "replay", "forge", "flood", NULL };
    if (!json_object_get(o, "rogue"))
        return;
    json_t *list = array(r, "faults", o, "rogue");
    s->rogues = zeroed(json_array_size(list), sizeof *s->rogues);
    for (size_t i = 0; i < json_array_size(list) && !r->failed; i++) {
        char where[WHERE_LEN];
        json_t *each = json_array_get(list, i);
        (void)snprintf(where, sizeof where, "faults.rogue[%zu]", i);
        if (!object(r, where, each, names))
            return;
        s->rogues[s->rogue_count++] = (struct scenario_rogue){
            .node = (uint32_t)whole(r, where, each, "node", 0, s->node_count - 1),
            .kind = (enum scenario_rogue_kind)word(r, where, each, "kind", kinds),
            .per_hour = number(r, where, each, "per_hour", 0, PER_HOUR_MAX),
        };
    }
}

static void read_faults(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const names[] = { "frame_loss", "bit_flip", "duplicate", "store_fail",
                                         "rogue", NULL };
    json_t *o = json_object_get(root, "faults");
    if (!o || !object(r, "faults", o, names))
        return;
    s->frame_loss_ppm = ppm(optional(r, "faults", o, "frame_loss", 0, 1, 0));
    s->bit_flip_ppm = ppm(optional(r, "faults", o, "bit_flip", 0, 1, 0));
    s->duplicate_ppm = ppm(optional(r, "faults", o, "duplicate", 0, 1, 0));
    s->store_fail_ppm = ppm(optional(r, "faults", o, "store_fail", 0, 1, 0));
    read_rogues(r, s, o);
}

/* ---- the whole --------------------------------------------------------------------- */

static void read_name(struct reader *r, struct scenario *s, json_t *root)
{
    json_t *value = need(r, "scenario", root, "name");
    const char *name = json_string_value(value);
    if (value && (!name || strlen(name) == 0 || strlen(name) >= SCENARIO_NAME_LEN))
        fail(r, "scenario: 'name' must be a text of 1 to %d bytes", SCENARIO_NAME_LEN - 1);
    else if (name)
        (void)snprintf(s->name, sizeof s->name, "%s", name);
}

static void read_scenario(struct reader *r, struct scenario *s, json_t *root)
{
    static const char *const names[] = { "name", "duration_s", "radio", "sensitivity_dbm",
                                         "capture_db", "cca", "duty", "propagation", "nodes",
                                         "cuts", "reports", "workload", "faults", NULL };
    if (!object(r, "scenario", root, names) || r->failed)
        return;
    read_name(r, s, root);
    s->duration_us = us(number(r, "scenario", root, "duration_s", 1, DURATION_S_MAX));
    read_radio(r, s, root);
    read_levels(r, s, root);
    read_duty(r, s, root);
    read_nodes(r, s, root);
    if (r->failed)
        return; /* what follows counts nodes */
    read_propagation(r, s, root);
    read_cuts(r, s, root);
    read_work(r, s, root);
    read_faults(r, s, root);
}

struct scenario *scenario_parse(const char *path, const char *json, size_t len,
                                char text_out[SCENARIO_TEXT_LEN])
{
    struct reader r = { .path = path, .text = text_out };
    json_error_t error;
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        fail(&r, "line %d: %s", error.line, error.text);
        return NULL;
    }
    struct scenario *s = zeroed(1, sizeof *s);
    read_scenario(&r, s, root);
    json_decref(root);
    if (!r.failed)
        return s;
    scenario_free(s);
    return NULL;
}

struct scenario *scenario_load(const char *path, char text_out[SCENARIO_TEXT_LEN])
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        (void)snprintf(text_out, SCENARIO_TEXT_LEN, "%s: cannot be opened: %s", path,
                       strerror(errno));
        return NULL;
    }
    size_t cap = 1 << 16, len = 0;
    char *buf = zeroed(cap, 1);
    while (len < FILE_LEN_MAX && !feof(f) && !ferror(f)) {
        if (len == cap && !(buf = realloc(buf, cap *= 2)))
            abort();
        len += fread(buf + len, 1, cap - len, f);
    }
    struct scenario *s = NULL;
    if (ferror(f) || len >= FILE_LEN_MAX)
        (void)snprintf(text_out, SCENARIO_TEXT_LEN, "%s: cannot be read, or too long", path);
    else
        s = scenario_parse(path, buf, len, text_out);
    free(buf);
    (void)fclose(f); /* only read */
    return s;
}

void scenario_free(struct scenario *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->node_count; i++) {
        free(s->nodes[i].track);
        free(s->nodes[i].off);
    }
    free(s->nodes);
    free(s->loss_db_x100);
    free(s->cuts);
    free(s->sides);
    free(s->reports);
    free(s->rogues);
    free(s);
}

/* ---- drawn from the seed ------------------------------------------------------------- */

static uint8_t draw_priority(struct chance *c, const double mix[PRIORITY_COUNT])
{
    double at = chance_unit(c);
    uint8_t last = PRIORITY_ROUTINE;
    for (uint8_t p = PRIORITY_COUNT; p-- > 0;) {
        if (mix[p] <= 0)
            continue;
        last = p;
        if (at < mix[p])
            return p;
        at -= mix[p];
    }
    return last; /* the shares summed to a hair less than 1 */
}

void scenario_draw(struct scenario *s, uint64_t seed)
{
    const struct scenario_workload *w = &s->workload;
    if (!s->has_workload || w->per_node_per_hour <= 0)
        return;
    uint32_t cap = 256;
    free(s->reports);
    s->reports = zeroed(cap, sizeof *s->reports);
    s->report_count = 0;
    for (uint32_t i = 0; i < s->node_count; i++) {
        /* Each node has a stream of its own: one more node does not shift the others' reports. */
        struct chance c = chance_new(seed, CHANCE_WORK, i);
        double at_s = (double)w->from_us / US;
        for (;;) {
            at_s += chance_exponential(&c, 3600.0 / w->per_node_per_hour);
            if (us(at_s) >= w->to_us)
                break;
            if (s->report_count == cap &&
                !(s->reports = realloc(s->reports, (cap *= 2) * sizeof *s->reports)))
                abort();
            uint8_t priority = draw_priority(&c, w->mix);
            uint64_t lens = w->body_len_max - w->body_len_min + 1u;
            s->reports[s->report_count++] = (struct scenario_report){
                .at_us = us(at_s), .node = i, .priority = priority,
                .body_len = (uint16_t)(w->body_len_min + chance_below(&c, lens)) };
        }
    }
    qsort(s->reports, s->report_count, sizeof *s->reports, report_order);
}

/* ---- questions --------------------------------------------------------------------- */

struct air_position scenario_at(const struct scenario_node *node, uint64_t now_us)
{
    if (node->track_count == 0)
        return node->at;
    const struct scenario_point *p = node->track, *end = p + node->track_count;
    if (now_us <= p->at_us)
        return p->at;
    while (p + 1 < end && p[1].at_us <= now_us)
        p++;
    if (p + 1 == end)
        return p->at;
    double part = (double)(now_us - p->at_us) / (double)(p[1].at_us - p->at_us);
    return (struct air_position){
        .x_m = (int32_t)lround(p->at.x_m + part * (p[1].at.x_m - p->at.x_m)),
        .y_m = (int32_t)lround(p->at.y_m + part * (p[1].at.y_m - p->at.y_m)) };
}

bool scenario_is_off(const struct scenario_node *node, uint64_t now_us)
{
    for (uint32_t i = 0; i < node->off_count; i++)
        if (now_us >= node->off[i].from_us && now_us < node->off[i].to_us)
            return true;
    return false;
}

const char *scenario_kind_name(enum scenario_kind kind)
{
    static const char *const names[] = { "village", "handheld", "gateway" };
    return names[kind];
}

struct scenario_commune scenario_commune(const struct scenario *s, uint16_t commune)
{
    struct scenario_commune c = { 0 };
    for (uint32_t i = 0; i < s->node_count; i++) {
        c.node_count += s->nodes[i].commune == commune;
        c.gateway_count += s->nodes[i].commune == commune &&
                           s->nodes[i].kind == SCENARIO_GATEWAY;
    }
    for (uint32_t i = 0; i < s->report_count; i++)
        c.report_count += s->nodes[s->reports[i].node].commune == commune;
    return c;
}

bool scenario_links(const struct scenario *s, uint64_t seed, uint8_t *links_out)
{
    uint32_t n = s->node_count;
    struct air_position *at = zeroed(n, sizeof *at);
    for (uint32_t i = 0; i < n; i++)
        at[i] = scenario_at(&s->nodes[i], 0);
    struct air_config a = {
        .radio_count = n, .tx_count_max = 1, .seed = seed, .model = s->model,
        .loss_db_x100 = s->loss_db_x100, .positions = at, .ref_m = s->ref_m,
        .ref_loss_db_x100 = s->ref_loss_db_x100, .exponent_x100 = s->exponent_x100,
        .shadow_sigma_db_x100 = s->shadow_sigma_db_x100,
    };
    size_t len = air_storage_len(&a);
    void *storage = len > 0 ? zeroed(len, 1) : NULL;
    struct air *air;
    bool built = storage && air_init(storage, len, &a, &air) == AIR_OK;
    for (uint32_t i = 0; built && i < n; i++)
        for (uint32_t k = 0; k < n; k++) {
            bool apart = i == k || s->nodes[i].commune != s->nodes[k].commune;
            int32_t loss = apart ? AIR_NO_LINK : air_loss_db_x100(air, i, k);
            links_out[(size_t)i * n + k] =
                loss != AIR_NO_LINK && s->eirp_dbm_x100 - loss >= s->sensitivity_dbm_x100;
        }
    free(storage);
    free(at);
    return built;
}

/* Grows a tree from one author: always the holder that covers most nodes not yet covered. */
static uint32_t tree_of(const struct scenario *s, const uint8_t *links, uint32_t author,
                        uint8_t *holds)
{
    uint32_t n = s->node_count, transmissions = 0;
    memset(holds, 0, n);
    holds[author] = 1;
    for (;;) {
        uint32_t best = n, best_gain = 0;
        for (uint32_t i = 0; i < n; i++) {
            /* The author always speaks first: nobody else holds it. */
            if (!holds[i] || (transmissions == 0 && i != author))
                continue;
            uint32_t gain = 0;
            for (uint32_t k = 0; k < n; k++)
                gain += links[(size_t)i * n + k] && !holds[k];
            if (gain > best_gain) {
                best_gain = gain;
                best = i;
            }
        }
        if (best == n)
            return transmissions;
        transmissions++;
        for (uint32_t k = 0; k < n; k++)
            holds[k] |= links[(size_t)best * n + k];
    }
}

double scenario_tree(const struct scenario *s, const uint8_t *links)
{
    uint8_t *holds = zeroed(s->node_count, 1);
    uint32_t *of = zeroed(s->node_count, sizeof *of);
    double sum = 0;
    memset(of, 0xff, s->node_count * sizeof *of);
    for (uint32_t i = 0; i < s->report_count; i++) {
        uint32_t author = s->reports[i].node;
        if (of[author] == UINT32_MAX)
            of[author] = tree_of(s, links, author, holds);
        sum += of[author];
    }
    free(of);
    free(holds);
    return s->report_count > 0 ? sum / s->report_count : 0;
}
