/* skua/limit.h: so many at a time, so many per second, once per period.

   Embedded storage as in skua/sync.h, made ready by an init function; nothing allocates, nothing is
   to be destroyed. Waiters are served first come, first served. The common results of a wait are
   -ETIMEDOUT, -EAGAIN (SKUA_NOW, and it would have waited), -ECANCELED and -ESHUTDOWN (in a forked
   child); a wait that fails has taken nothing. */
#ifndef SKUA_LIMIT_H
#define SKUA_LIMIT_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* --- limiter: a semaphore that knows its borrowers, and whose size can change --- */

typedef struct skua_limiter {
    uint64_t opaque[6];
} skua_limiter;

/* Whoever borrows: storage that stands for a connection, a request, a task. Zeroed: has nothing. It
   holds at most one place at a limiter at a time. */
typedef struct skua_borrower {
    uint64_t opaque[1];
} skua_borrower;

/* Declare a borrower that gives back what it has when the C block is left by return, goto, break or
   its end. */
#define SKUA_BORROWER(name)                                                                        \
    skua_borrower name __attribute__((cleanup(skua_borrower_fini), unused)) = {{0}}

/* Let `total` borrow at a time. SIZE_MAX: no limit; 0: nobody for now.
   Call from: anywhere, before others use it. */
void skua_limiter_init(skua_limiter *limiter, size_t total);

/* Borrow a place for `borrower`, waiting until there is one. Returns 0 or a common result. Panics
   if the borrower has a place already.
   Call from: a task or a foreign thread; one at a time for a
   borrower. May switch. */
int skua_limiter_borrow(skua_limiter *limiter, skua_borrower *borrower, skua_time deadline)
    SKUA_MUST_CHECK;

/* Give the borrower's place back. Panics unless it has one of this limiter.
   Call from: a task or a foreign thread, not only the one that borrowed. Never switches. */
void skua_limiter_return(skua_limiter *limiter, skua_borrower *borrower);

/* Give back what the borrower has, if anything; what SKUA_BORROWER runs at the end of the block. */
void skua_borrower_fini(skua_borrower *borrower);

/* Change the size. More: who waits comes in, in order. Less: nobody is thrown out, so that more may
   be borrowed than there are, until they are returned.
   Call from: a task or a foreign thread. Never switches. */
void skua_limiter_set_total(skua_limiter *limiter, size_t total);

typedef struct skua_limiter_stats {
    size_t total;
    size_t borrowed; /* more than total after it was lowered */
    size_t waiting;
} skua_limiter_stats;

/* How it is now; an instant later it may be different.
   Call from: a task or a foreign thread. Never switches. */
void skua_limiter_get_stats(skua_limiter *limiter, skua_limiter_stats *stats);

/* --- rate: so many per second (a token bucket) --- */

typedef struct skua_rate {
    uint64_t opaque[8];
} skua_rate;

/* A bucket that holds up to `burst` tokens, is full now, and gets `per_second` of them every
   second. In any stretch of t seconds at most burst + per_second * t tokens are given out. What
   comes while the bucket is full is lost: with a burst of 1 that is what a taker wakes up late, so
   a rate that is to be reached, and not only kept, needs a burst of 2 or more. Panics unless both
   are > 0.
   Call from: anywhere, before others use it. */
void skua_rate_init(skua_rate *rate, double per_second, size_t burst);

/* Take so many tokens, all or none, waiting until they are there. Waits are exact: nothing is
   polled, and what the clock rounds does not add up. Returns 0, a common result, or -EINVAL (more
   than `burst`: they would never be there at once).
   Call from: a task or a foreign thread. May switch. */
int skua_rate_take(skua_rate *rate, size_t tokens, skua_time deadline) SKUA_MUST_CHECK;

/* --- ticker: once per period --- */

/* What becomes of ticks that nobody waited for in time. */
typedef enum skua_missed {
    SKUA_TICK_SKIP, /* one wait gets them all together; the next tick is in the future */
    SKUA_TICK_BURST /* each wait gets one, one after the other without a pause */
} skua_missed;

typedef struct skua_ticker {
    uint64_t opaque[8];
} skua_ticker;

/* Ticks come at start + period, start + 2 * period, and so on, where start is now, however late
   they are waited for. Panics unless the period is > 0.
   Call from: anywhere, before others use it.
   */
void skua_ticker_init(skua_ticker *ticker, int64_t period_ns, skua_missed missed);

/* Wait for the next tick. Returns the number of ticks that have come since the last wait (>= 1;
   always 1 with SKUA_TICK_BURST; at most INT_MAX), or a common result: the ticks are then the next
   wait's. Of several that wait, each tick is given to one.
   Call from: a task or a foreign thread. May switch. */
int skua_ticker_wait(skua_ticker *ticker, skua_time deadline) SKUA_MUST_CHECK;

/* The moment of the next tick, for a select: SKUA_AT(skua_ticker_next(&ticker)), and then a wait
   with SKUA_NOW.
   Call from: a task or a foreign thread. Never switches. */
skua_time skua_ticker_next(skua_ticker *ticker);

SKUA_END_DECLS
#endif
