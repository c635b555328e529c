/* base/clock.h: the only clock.

   Programs see CLOCK_MONOTONIC, or, while a test runs under one, a virtual clock: a number that
   stands still until the test moves it. What the library has to do in real time (naps, limits on
   idle threads, timeouts of kernel calls) goes by skua__clock_real_ns(). */
#ifndef SKUA_BASE_CLOCK_H
#define SKUA_BASE_CLOCK_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stdint.h>

/* The present moment of the virtual clock; 0: there is none. Written by the room of tests. */
extern _Atomic int64_t skua__clock_virtual_ns;

/* Nanoseconds of CLOCK_MONOTONIC, or of the virtual clock; > 0. Cost: one vDSO call. */
int64_t skua__clock_ns(void);

/* Nanoseconds of CLOCK_MONOTONIC, always. */
int64_t skua__clock_real_ns(void);

static inline bool skua__clock_is_virtual(void)
{
    return skua__load(&skua__clock_virtual_ns, relaxed) != 0;
}

/* The far end of time: "no deadline" inside the library. */
#define SKUA__NEVER INT64_MAX

#endif
