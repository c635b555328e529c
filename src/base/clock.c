/* The monotonic clock, and the public arithmetic over it. */
#include "base/clock.h"

#include "base/compiler.h"

#include <skua/base.h>
#include <time.h>

_Atomic int64_t skua__clock_virtual_ns;

int64_t skua__clock_real_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t skua__clock_ns(void)
{
    /* acquire: pairs with the release by which a test moves it: who sees the new moment sees what
       was done at the one before. */
    int64_t virtual_ns = skua__load(&skua__clock_virtual_ns, acquire);
    return SKUA_LIKELY(virtual_ns == 0) ? skua__clock_real_ns() : virtual_ns;
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
