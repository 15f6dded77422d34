/* campaign.h - a scenario under many seeds, on all processors.
 *
 * Each worker is a process of its own; a worker that dies is a failing seed, not a lost campaign.
 */
#ifndef KENG_TESTS_SIM_CAMPAIGN_H
#define KENG_TESTS_SIM_CAMPAIGN_H

#include "tests/sim/sim.h"

struct campaign {
    struct sim_options options; /* its seed is not used */
    uint64_t first, last;       /* seeds */
    const char *path;           /* as the user named the scenario, for the commands that replay */
};

/* Runs and prints: medians and worst figures as JSON on one line (compact) or one line for each
 * figure.  0; 1 when a seed broke an invariant or died, or, with goals, a median missed one
 * (seeds that did are named); 2 when the campaign could not be run. */
int campaign_run(const struct campaign *c, struct scenario *s, bool compact, bool goals);
bool campaign_goals_met(double gateway_delivery, double all_delivery, double author_knows);

#endif
