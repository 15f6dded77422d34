/* sim.h - one run of a scenario, by the shipped core or by a managed flood.
 *
 * Deterministic: same scenario, same options, same result, byte for byte.
 * Memory: heap, given back before return; the result is the caller's (measure_free).
 */
#ifndef KENG_TESTS_SIM_SIM_H
#define KENG_TESTS_SIM_SIM_H

#include "tests/sim/measure.h"

enum { SIM_HOPS_MAX = 7 };

struct sim_options {
    uint64_t seed;
    uint32_t hops;      /* 0: the core; else a flood with that hop limit */
    bool real_crypto;   /* Ed25519 and BLAKE2b instead of keyed checksums */
    uint32_t store_count; /* records that a store takes, a gateway's excepted; 0: all there are */
    uint32_t crash_ppm; /* of a crash at each place between two calls of the core */
    FILE *trace;        /* what happened, a line each; NULL: none */
    FILE *dump;         /* the state of dump_node at the end; NULL: none */
    uint32_t dump_node;
};

/* Draws the scenario's workload and runs it. */
struct measure *sim_run(struct scenario *s, const struct sim_options *options);

/* What sim_run() is made of: the reports are drawn already. */
struct measure *sim_run_core(const struct scenario *s, const struct sim_options *options);
struct measure *sim_run_flood(const struct scenario *s, const struct sim_options *options);

/* All losses of a distance model at time 0, worked out once, for first_loss_db_x100 of the air: the
 * caller's to free; NULL where the scenario has a matrix. */
int32_t *sim_losses(const struct scenario *s, uint64_t seed);

/* The scenario's air; cuts_out and positions_out (node_count) are borrowed by it.  Times begin at
 * start_us.  sense_us: how young a frame carrier sense cannot notice. */
struct air_config sim_air(const struct scenario *s, uint64_t start_us, uint32_t sense_us,
                          struct air_cut *cuts_out, struct air_position *positions_out);

#endif
