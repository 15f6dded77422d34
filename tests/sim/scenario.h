/* scenario.h - one simulation scenario, read from a JSON file.
 *
 * What a file may say is told in tests/sim/README.md.  Everything is checked before anything runs:
 * an unknown key, a missing one, a wrong type or a value out of range is an error that names the
 * file and the key.
 *
 * Time      Microseconds and seconds of the scenario's own clock, which begins at 0.
 * Memory    Heap, owned by struct scenario; scenario_free() gives it back.
 * Errors    scenario_load() returns NULL and writes one line into text_out.
 */
#ifndef KENG_TESTS_SIM_SCENARIO_H
#define KENG_TESTS_SIM_SCENARIO_H

#include "hw/air.h"
#include "proto/record.h"

enum {
    SCENARIO_TEXT_LEN = 256,
    SCENARIO_NODE_COUNT_MAX = 4000, /* author numbers of one commune: MESH_AUTHOR_COUNT_MAX */
    SCENARIO_NAME_LEN = 64,
};

enum scenario_kind { SCENARIO_VILLAGE, SCENARIO_HANDHELD, SCENARIO_GATEWAY };
enum scenario_rogue_kind { ROGUE_GARBAGE, ROGUE_REPLAY, ROGUE_FORGE, ROGUE_FLOOD };

struct scenario_point { uint64_t at_us; struct air_position at; };
struct scenario_span { uint64_t from_us, to_us; };

struct scenario_node {
    enum scenario_kind kind;
    struct air_position at;
    struct scenario_point *track; /* rising times; empty: it stays */
    uint32_t track_count;
    struct scenario_span *off;    /* rising, apart */
    uint32_t off_count;
    bool no_clock;
    int64_t clock_offset_s;
    uint16_t commune;             /* whose network key and roster it has; 0 unless told */
};

struct scenario_report {
    uint64_t at_us;
    uint32_t node;
    uint8_t priority; /* enum record_priority */
    uint16_t body_len;
};

struct scenario_workload {
    double per_node_per_hour;
    uint64_t from_us, to_us;
    uint16_t body_len_min, body_len_max;
    double mix[PRIORITY_COUNT]; /* sums to 1 */
};

struct scenario_rogue {
    uint32_t node;
    enum scenario_rogue_kind kind;
    double per_hour;
};

struct scenario {
    char name[SCENARIO_NAME_LEN];
    uint64_t duration_us;
    struct lora_params lora;
    int32_t eirp_dbm_x100;
    uint16_t mtu_len;
    int32_t sensitivity_dbm_x100, capture_db_x100;
    bool has_cca;
    int32_t cca_busy_dbm_x100;
    uint32_t cca_miss_ppm;
    uint64_t duty_window_us;
    double duty_node, duty_gateway; /* fractions */

    enum air_model model;
    int32_t *loss_db_x100; /* AIR_MATRIX */
    int32_t ref_m, ref_loss_db_x100, exponent_x100, shadow_sigma_db_x100, fading_sigma_db_x100;

    struct scenario_node *nodes;
    uint32_t node_count;
    struct air_cut *cuts;
    uint8_t *sides; /* what the cuts borrow */
    uint32_t cut_count;

    struct scenario_report *reports; /* rising times; of a workload: after scenario_draw() */
    uint32_t report_count;
    bool has_workload;
    struct scenario_workload workload;

    uint32_t frame_loss_ppm, bit_flip_ppm, duplicate_ppm, store_fail_ppm;
    struct scenario_rogue *rogues;
    uint32_t rogue_count;
};

struct scenario *scenario_load(const char *path, char text_out[SCENARIO_TEXT_LEN]);
/* The same from memory; `path` is only named in errors. */
struct scenario *scenario_parse(const char *path, const char *json, size_t len,
                                char text_out[SCENARIO_TEXT_LEN]);
void scenario_free(struct scenario *s);

/* Draws the reports of a workload (nothing to do where reports are listed). */
void scenario_draw(struct scenario *s, uint64_t seed);

/* Where a node is at a moment. */
struct air_position scenario_at(const struct scenario_node *node, uint64_t now_us);
bool scenario_is_off(const struct scenario_node *node, uint64_t now_us);
const char *scenario_kind_name(enum scenario_kind kind);

/* What a commune amounts to. */
struct scenario_commune { uint32_t node_count, gateway_count, report_count; };
struct scenario_commune scenario_commune(const struct scenario *s, uint16_t commune);

/* Links within communes that a receiver would hear at time 0, fading apart, into
 * links_out[sender * node_count + receiver] (1 or 0).  Returns false if the air cannot be built. */
bool scenario_links(const struct scenario *s, uint64_t seed, uint8_t *links_out);
/* Mean number of transmissions, over the reports, that a greedily grown broadcast tree needs to
 * bring one from its author to all it can reach: the price that perfect knowledge would pay. */
double scenario_tree(const struct scenario *s, const uint8_t *links);

#endif
