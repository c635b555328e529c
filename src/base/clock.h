/* base/clock.h: the only clock. */
#ifndef SKUA_BASE_CLOCK_H
#define SKUA_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC, > 0. Cost: one vDSO call. */
int64_t skua__clock_ns(void);

/* The far end of time: "no deadline" inside the library. */
#define SKUA__NEVER INT64_MAX

#endif
