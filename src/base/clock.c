/* The monotonic clock, and the public arithmetic over it. */
#include "base/clock.h"

#include <skua/base.h>
#include <time.h>

int64_t skua__clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

skua_time skua_clock(void)
{
    return skua_time_at(skua__clock_ns());
}

skua_time skua_after(int64_t duration_ns)
{
    int64_t now = skua__clock_ns();
    if (duration_ns <= 0) {
        return skua_time_at(1); /* the first nanosecond after boot: over, yet neither 0 nor -1 */
    }
    return skua_time_at(duration_ns > SKUA__NEVER - 1 - now ? SKUA__NEVER - 1 : now + duration_ns);
}

int64_t skua_elapsed_ns(skua_time since)
{
    return skua__clock_ns() - since.ns;
}
