/* The contended half of the lock, and the rank checker of debug builds. */
#include "base/lock.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/panic.h"

enum {
    SPINS_MAX = 100, /* a holder on another core is through by then */
    YIELDS_MAX = 10,
    NAP_MIN_NS = 50 * 1000,
    NAP_MAX_NS = 1000 * 1000,
};

static bool try_lock(struct skua__lock *lock)
{
    uint32_t unlocked = 0;
    /* acquire: pairs with the release in skua__unlock(). */
    return skua__load(&lock->word, relaxed) == 0 &&
           skua__cas(&lock->word, &unlocked, 1, acquire, relaxed);
}

SKUA_NOINLINE void skua__lock_slow(struct skua__lock *lock)
{
    int64_t nap_ns = NAP_MIN_NS;
    for (int turn = 0; !try_lock(lock); turn++) {
        if (turn < SPINS_MAX) {
            skua__spin_pause();
        } else if (turn < SPINS_MAX + YIELDS_MAX) {
            skua__thread_yield();
        } else {
            skua__futex_wait(&lock->word, 1, skua__clock_real_ns() + nap_ns, false);
            nap_ns = nap_ns * 2 < NAP_MAX_NS ? nap_ns * 2 : NAP_MAX_NS;
        }
    }
}

#if SKUA_DEBUG
/* How many locks of each rank this thread holds. Locks are not held across switches, so a
   thread-local is safe here. */
static _Thread_local uint16_t held[16];

SKUA_OPAQUE void skua__lock_check_take(enum skua__lock_rank rank)
{
    for (size_t higher = (size_t)rank + 1; higher < SKUA_COUNT_OF(held); higher++) {
        if (held[higher] != 0) {
            skua__panic("a lock of rank %d is taken while one of rank %zu is held", (int)rank,
                        higher);
        }
    }
    held[rank]++;
}

SKUA_OPAQUE void skua__lock_check_give(enum skua__lock_rank rank)
{
    skua_require(held[rank] > 0);
    held[rank]--;
}
#endif
