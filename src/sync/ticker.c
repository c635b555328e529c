/* The ticker, as a gate (gate.h): the moment of the next tick, which moves by whole periods, so
   that nothing that is late makes the following ones late. */
#include "base/panic.h"
#include "mem/forked.h"
#include "sync/gate.h"

#include <limits.h>
#include <skua/limit.h>

struct ticker {
    struct skua__gate gate;
    int64_t next_ns;
    int64_t period_ns; /* constant */
    skua_missed missed;
};

_Static_assert(sizeof(struct ticker) <= sizeof(skua_ticker), "skua_ticker is too small");
_Static_assert(_Alignof(struct ticker) <= _Alignof(skua_ticker), "skua_ticker is misaligned");

static struct ticker *inside(skua_ticker *ticker)
{
    return (struct ticker *)(void *)ticker;
}

/* SKUA__NEVER - 1 stands for what lies behind the end of time. */
static int64_t later(int64_t moment_ns, int64_t by_ns)
{
    return moment_ns < SKUA__NEVER - 1 - by_ns ? moment_ns + by_ns : SKUA__NEVER - 1;
}

/* The wish is where the number of ticks goes. */
static int64_t try_once(struct skua__gate *gate, void *wish, int64_t now_ns)
{
    struct ticker *ticker = (struct ticker *)(void *)gate;
    if (now_ns < ticker->next_ns) {
        return ticker->next_ns;
    }
    int64_t ticks = 1;
    if (ticker->missed == SKUA_TICK_SKIP) {
        ticks += (now_ns - ticker->next_ns) / ticker->period_ns;
    }
    ticker->next_ns = later(ticker->next_ns, ticks * ticker->period_ns);
    *(int *)wish = ticks < INT_MAX ? (int)ticks : INT_MAX;
    return 0;
}

void skua_ticker_init(skua_ticker *ticker, int64_t period_ns, skua_missed missed)
{
    if (period_ns <= 0) {
        skua__panic("a ticker with a period of %lld ns", (long long)period_ns);
    }
    *inside(ticker) = (struct ticker){
        .next_ns = later(skua__clock_ns(), period_ns), .period_ns = period_ns, .missed = missed};
}

int skua_ticker_wait(skua_ticker *ticker, skua_time deadline)
{
    struct ticker *self = inside(ticker);
    int ticks = 0;
    if (self->period_ns == 0) {
        skua__panic("a ticker is waited for before its init");
    }
    int status = skua__gate_pass(&self->gate, try_once, &ticks, deadline);
    return status < 0 ? status : ticks;
}

skua_time skua_ticker_next(skua_ticker *ticker)
{
    struct ticker *self = inside(ticker);
    if (skua__process_is_forked()) {
        return SKUA_FOREVER;
    }
    skua__queue_lock(&self->gate.queue);
    skua_time next = skua_time_at(self->next_ns);
    skua__queue_unlock(&self->gate.queue);
    return next;
}
