#include "tests/sim/world.h"

#include <stdlib.h>

enum { TICK_US = 1000000 };

static int deed_order(const void *a, const void *b)
{
    const struct world_deed *x = a, *y = b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

struct world world_new(const struct scenario *s)
{
    struct world w = { .s = s, .tick_us = UINT64_MAX };
    uint32_t count = s->report_count;
    for (uint32_t i = 0; i < s->node_count; i++) {
        count += 2 * s->nodes[i].off_count;
        if (s->nodes[i].track_count > 1)
            w.tick_us = TICK_US;
    }
    w.deeds = calloc(count > 0 ? count : 1, sizeof *w.deeds);
    if (!w.deeds)
        abort(); /* a simulation that does not fit this machine has no result */
    for (uint32_t i = 0; i < s->report_count; i++)
        w.deeds[w.count++] = (struct world_deed){ s->reports[i].at_us, WORLD_REPORT, i };
    for (uint32_t i = 0; i < s->node_count; i++)
        for (uint32_t k = 0; k < s->nodes[i].off_count; k++) {
            const struct scenario_span *o = &s->nodes[i].off[k];
            w.deeds[w.count++] = (struct world_deed){ o->from_us, WORLD_OFF, i };
            w.deeds[w.count++] = (struct world_deed){ o->to_us, WORLD_ON, i };
        }
    qsort(w.deeds, w.count, sizeof *w.deeds, deed_order);
    return w;
}

void world_free(struct world *w)
{
    free(w->deeds);
    w->deeds = NULL;
}

uint64_t world_next_us(const struct world *w)
{
    uint64_t at_us = w->s->duration_us;
    if (w->next < w->count && w->deeds[w->next].at_us < at_us)
        at_us = w->deeds[w->next].at_us;
    return w->tick_us < at_us ? w->tick_us : at_us;
}

bool world_poll(struct world *w, uint64_t now_us, struct world_deed *deed_out)
{
    if (w->tick_us <= now_us) {
        *deed_out = (struct world_deed){ .at_us = w->tick_us, .kind = WORLD_MOVE };
        w->tick_us += TICK_US;
        return true;
    }
    if (w->next == w->count || w->deeds[w->next].at_us > now_us)
        return false;
    *deed_out = w->deeds[w->next++];
    return true;
}
