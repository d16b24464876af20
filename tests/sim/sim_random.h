/* The simulator's randomness: everything that is drawn comes from a seed (splitmix64). */
#ifndef HF_SIM_RANDOM_H
#define HF_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline uint64_t sim_next(struct sim_random *r)
{
    r->state += 0x9e3779b97f4a7c15ULL;
    return sim_mix(r->state);
}

/* Uniform in [low, high]. */
static inline uint64_t sim_between(struct sim_random *r, uint64_t low, uint64_t high)
{
    uint64_t wide = high - low + 1;
    return wide == 0 ? sim_next(r) : low + sim_next(r) % wide;
}

static inline bool sim_chance(struct sim_random *r, unsigned permille)
{
    return sim_next(r) % 1000 < permille;
}

#endif
