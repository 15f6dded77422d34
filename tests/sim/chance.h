/* chance.h - the simulator's own random streams: everything from one seed.
 *
 * A stream is named by the seed, a purpose and an index, so that drawing more for one purpose
 * never shifts another.  splitmix64 (Steele, Lea, Flood 2014).  No failure, no memory.
 */
#ifndef KENG_TESTS_SIM_CHANCE_H
#define KENG_TESTS_SIM_CHANCE_H

#include <math.h>
#include <stdint.h>

enum chance_purpose { CHANCE_WORK = 1, CHANCE_ROGUE, CHANCE_FLOOD };

struct chance { uint64_t state; };

static inline uint64_t chance_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline uint64_t chance_next(struct chance *c)
{
    c->state += 0x9e3779b97f4a7c15u;
    return chance_mix(c->state);
}

static inline struct chance chance_new(uint64_t seed, enum chance_purpose purpose, uint32_t index)
{
    uint64_t h = chance_mix(seed + 1);
    return (struct chance){ chance_mix(h ^ (uint64_t)purpose << 32 ^ index) };
}

/* Uniform in [0, n); n at least 1. */
static inline uint64_t chance_below(struct chance *c, uint64_t n)
{
    return chance_next(c) % n;
}

/* Uniform in (0, 1). */
static inline double chance_unit(struct chance *c)
{
    return ((double)(chance_next(c) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double chance_exponential(struct chance *c, double mean)
{
    return -mean * log(chance_unit(c));
}

#endif
