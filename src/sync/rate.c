/* The token bucket, as a gate (gate.h).

   The bucket is one moment: that at which it will be full again. Taking a token moves it by the
   time that a token takes to come, from now at the earliest; and so many tokens are there now as
   are not missing from a full bucket until that moment. So nothing is added up while time passes,
   and nothing is rounded but the move, whose fraction of a nanosecond is kept for the next one. */
#include "base/panic.h"
#include "sync/gate.h"

#include <skua/limit.h>

/* The longest time that a full bucket may take to come, some 30 years: sums of moments fit. */
#define FILL_NS_MAX 1e18

/* A bucket that was full for so short a time did not run over: who took from it has waited for a
   moment that was rounded up. */
enum { ROUNDING_NS = 1 };

struct rate {
    struct skua__gate gate;
    int64_t full_at_ns;
    double fraction_ns; /* 0 .. 1, to be added to full_at_ns */
    double token_ns;    /* constant, like burst */
    size_t burst;
};

_Static_assert(sizeof(struct rate) <= sizeof(skua_rate), "skua_rate is too small");
_Static_assert(_Alignof(struct rate) <= _Alignof(skua_rate), "skua_rate is misaligned");

static struct rate *inside(skua_rate *rate)
{
    return (struct rate *)(void *)rate;
}

/* Moves the moment at which the bucket is full. */
static void spend(struct rate *rate, size_t tokens)
{
    double ns = rate->fraction_ns + (double)tokens * rate->token_ns;
    int64_t whole_ns = (int64_t)ns;
    rate->full_at_ns += whole_ns;
    rate->fraction_ns = ns - (double)whole_ns;
}

static int64_t try_once(struct skua__gate *gate, void *wish, int64_t now_ns)
{
    struct rate *rate = (struct rate *)(void *)gate;
    size_t tokens = *(const size_t *)wish;
    if (rate->full_at_ns < now_ns - ROUNDING_NS) {
        rate->full_at_ns = now_ns;
        rate->fraction_ns = 0;
    }
    /* With so many taken from it, it would be full that long after now at the latest. */
    double spare_ns = (double)(rate->burst - tokens) * rate->token_ns;
    double missing_ns = (double)(rate->full_at_ns - now_ns) + rate->fraction_ns - spare_ns;
    if (missing_ns <= 0) {
        spend(rate, tokens);
        return 0;
    }
    int64_t whole_ns = (int64_t)missing_ns;
    return now_ns + whole_ns + ((double)whole_ns < missing_ns); /* never early */
}

void skua_rate_init(skua_rate *rate, double per_second, size_t burst)
{
    if (!(per_second > 0) || burst == 0 || !((double)burst / per_second * 1e9 < FILL_NS_MAX)) {
        skua__panic("a rate of %g per second with a burst of %zu", per_second, burst);
    }
    *inside(rate) = (struct rate){.token_ns = 1e9 / per_second, .burst = burst};
}

int skua_rate_take(skua_rate *rate, size_t tokens, skua_time deadline)
{
    struct rate *self = inside(rate);
    if (self->burst == 0) {
        skua__panic("a rate is used before its init");
    }
    if (tokens > self->burst) {
        return -EINVAL;
    }
    return skua__gate_pass(&self->gate, try_once, &tokens, deadline);
}
