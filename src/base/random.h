/* base/random.h: fast pseudo-random numbers for choices among equals. Not for secrets. */
#ifndef SKUA_BASE_RANDOM_H
#define SKUA_BASE_RANDOM_H

#include <stdint.h>

/* One step of Vigna's splitmix64: any seed is good, also 0. */
static inline uint64_t skua__random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below `bound` (> 0), by multiplication (Lemire) instead of division. */
static inline uint32_t skua__random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((skua__random_next(state) >> 32) * bound >> 32);
}

#endif
