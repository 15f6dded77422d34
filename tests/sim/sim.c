#include "tests/sim/sim.h"

#include <stdlib.h>

/* Shadowing is a draw for each ordered pair and a logarithm: for a thousand nodes most of a run's
 * time, if asked again for every frame. */
int32_t *sim_losses(const struct scenario *s, uint64_t seed)
{
    uint32_t n = s->node_count;
    if (s->model != AIR_LOG_DISTANCE)
        return NULL;
    struct air_position *positions = calloc(n, sizeof *positions);
    struct air_cut *cuts = calloc(s->cut_count > 0 ? s->cut_count : 1, sizeof *cuts);
    int32_t *losses = calloc((size_t)n * n, sizeof *losses);
    if (!positions || !cuts || !losses)
        abort(); /* a simulation that does not fit this machine has no result */
    struct air_config config = sim_air(s, 0, 0, cuts, positions);
    config.seed = seed;
    config.tx_count_max = 1;
    size_t len = air_storage_len(&config);
    void *storage = len > 0 ? malloc(len) : NULL;
    struct air *air;
    if (!storage || air_init(storage, len, &config, &air) != AIR_OK)
        abort(); /* the scenario was checked */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            losses[(size_t)i * n + k] = i == k ? AIR_NO_LINK : air_loss_db_x100(air, i, k);
    free(storage);
    free(positions);
    free(cuts);
    return losses;
}

struct air_config sim_air(const struct scenario *s, uint64_t start_us, uint32_t sense_us,
                          struct air_cut *cuts_out, struct air_position *positions_out)
{
    for (uint32_t i = 0; i < s->cut_count; i++) {
        cuts_out[i] = s->cuts[i];
        cuts_out[i].from_us += start_us;
        cuts_out[i].to_us += start_us;
    }
    for (uint32_t i = 0; i < s->node_count; i++)
        positions_out[i] = scenario_at(&s->nodes[i], 0);
    return (struct air_config){
        .radio_count = s->node_count,
        .model = s->model,
        .loss_db_x100 = s->loss_db_x100,
        .positions = positions_out,
        .ref_m = s->ref_m,
        .ref_loss_db_x100 = s->ref_loss_db_x100,
        .exponent_x100 = s->exponent_x100,
        .shadow_sigma_db_x100 = s->shadow_sigma_db_x100,
        .fading_sigma_db_x100 = s->fading_sigma_db_x100,
        .sensitivity_dbm_x100 = s->sensitivity_dbm_x100,
        .capture_db_x100 = s->capture_db_x100,
        /* Without carrier sense nothing is loud enough to be noticed. */
        .cca_busy_dbm_x100 = s->has_cca ? s->cca_busy_dbm_x100 : INT32_MAX,
        .cca_miss_ppm = s->cca_miss_ppm,
        .cca_blind_us = sense_us,
        .frame_loss_ppm = s->frame_loss_ppm,
        .bit_flip_ppm = s->bit_flip_ppm,
        .duplicate_ppm = s->duplicate_ppm,
        .cuts = cuts_out,
        .cut_count = s->cut_count,
    };
}

struct measure *sim_run(struct scenario *s, const struct sim_options *options)
{
    scenario_draw(s, options->seed);
    return options->hops > 0 ? sim_run_flood(s, options) : sim_run_core(s, options);
}
