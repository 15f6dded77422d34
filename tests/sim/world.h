/* world.h - what happens to a simulated commune from outside, in order of time.
 *
 * Somebody wants a report filed, the power goes and comes back, somebody is on the way.
 * Memory: heap, owned by struct world; world_free().
 */
#ifndef KENG_TESTS_SIM_WORLD_H
#define KENG_TESTS_SIM_WORLD_H

#include "tests/sim/scenario.h"

enum world_kind { WORLD_OFF, WORLD_ON, WORLD_REPORT, WORLD_MOVE };

struct world_deed {
    uint64_t at_us;
    enum world_kind kind;
    uint32_t index; /* of the node; of the report; WORLD_MOVE: unused, everybody on the way moves */
};

struct world {
    const struct scenario *s;
    struct world_deed *deeds;
    uint32_t count, next;
    uint64_t tick_us; /* next time that those on the way are moved; UINT64_MAX: nobody is */
};

struct world world_new(const struct scenario *s);
void world_free(struct world *w);
/* When something happens next, at most the scenario's end. */
uint64_t world_next_us(const struct world *w);
/* The next thing that happens not later than now_us, or false. */
bool world_poll(struct world *w, uint64_t now_us, struct world_deed *deed_out);

#endif
