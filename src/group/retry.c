/* Retry: a loop around one function, with a pause that doubles.

     (R1) A pause is only made if another attempt will follow it.
     (R2) Nothing here overflows: a pause is compared with half of the cap before it is doubled, and
          skua_after() saturates.
     (R3) A cancel of the caller ends the loop wherever it is found: before an attempt, by the
          attempt's -ECANCELED, in the pause.

   The jitter only shortens, so that the cap is a cap; 100 percent is what is known as full jitter.

   Rejected: a factor (nobody chooses another than two with a good reason); a pause up to the
   deadline followed by a failure (the caller learns the same, later). */
#include "group/retry.h"

#include "base/clock.h"
#include "base/random.h"
#include "sched/service.h"
#include "sched/waiter.h"
#include "sched/worker.h"

#include <skua/retry.h>
#include <skua/scope.h>

enum { ATTEMPTS_DEFAULT = 3, JITTER_MAX = 100 };
#define BASE_DEFAULT_NS SKUA_MS(100)
#define CAP_DEFAULT_NS SKUA_SEC(30)

/* --- pauses ----------------------------------------------------------------------------------- */

int64_t skua__retry_next_ns(int64_t pause_ns, int64_t cap_ns)
{
    return pause_ns > cap_ns / 2 ? cap_ns : 2 * pause_ns;
}

int64_t skua__retry_jitter_ns(int64_t pause_ns, uint32_t percent, uint64_t *random)
{
    int64_t span_ns = pause_ns / 100 * percent + pause_ns % 100 * percent / 100;
    return pause_ns - (int64_t)(skua__random_next(random) % ((uint64_t)span_ns + 1));
}

/* Different for two that fail at the same moment, which is what the jitter is for, and in other
   processes; the same where clock and schedule are a test's. */
static uint64_t jitter_seed(void)
{
    return skua__random_next(&skua__worker_self()->random) ^ (uint64_t)skua__clock_ns();
}

/* --- attempts --------------------------------------------------------------------------------- */

static int check_opts(skua_fn fn, const skua_retry_opts *opts)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (fn == NULL || opts->base_ns < 0 || opts->cap_ns < 0 || opts->each_ns < 0 ||
        opts->jitter_percent > JITTER_MAX) {
        return -EINVAL;
    }
    return skua_self() != NULL ? 0 : -EPERM;
}

static skua_retry_opts with_defaults(const skua_retry_opts *opts)
{
    skua_retry_opts full = opts != NULL ? *opts : (skua_retry_opts){0};
    full.attempts = full.attempts > 0 ? full.attempts : ATTEMPTS_DEFAULT;
    full.base_ns = full.base_ns != 0 ? full.base_ns : BASE_DEFAULT_NS;
    full.cap_ns = full.cap_ns != 0 ? full.cap_ns : CAP_DEFAULT_NS;
    return full;
}

/* One attempt under the earlier one of the two deadlines. */
static int attempt(skua_fn fn, void *arg, const skua_retry_opts *opts)
{
    skua_time deadline = opts->deadline;
    if (opts->each_ns > 0) {
        skua_time end = skua_after(opts->each_ns);
        if (deadline.ns == 0 || end.ns < deadline.ns) {
            deadline = end;
        }
    }
    return deadline.ns == 0 ? fn(arg) : skua_within(deadline, fn, arg);
}

static bool is_retryable(int status, void *arg, const skua_retry_opts *opts)
{
    if (status == -ECANCELED && (opts->retryable == NULL || skua_cancelled())) {
        return false; /* R3 */
    }
    return opts->retryable == NULL || opts->retryable(status, arg);
}

static bool is_too_late(skua_time at, const skua_retry_opts *opts)
{
    return opts->deadline.ns != 0 && at.ns >= opts->deadline.ns;
}

int skua_retry(skua_fn fn, void *arg, const skua_retry_opts *given)
{
    const skua_retry_opts opts = with_defaults(given);
    int status = check_opts(fn, &opts);
    if (status < 0) {
        return status;
    }
    uint64_t random = opts.jitter_percent > 0 ? jitter_seed() : 0;
    int64_t pause_ns = opts.base_ns < opts.cap_ns ? opts.base_ns : opts.cap_ns;
    for (uint32_t left = opts.attempts;; left--) {
        int cancelled = skua__cancel_point();
        if (cancelled < 0) {
            return cancelled;
        }
        status = attempt(fn, arg, &opts);
        if (status >= 0 || left == 1 || !is_retryable(status, arg, &opts)) { /* R1 */
            return status;
        }
        skua_time next = skua_after(skua__retry_jitter_ns(pause_ns, opts.jitter_percent, &random));
        if (is_too_late(next, &opts)) {
            return status;
        }
        cancelled = skua_sleep(next);
        if (cancelled < 0) {
            return cancelled;
        }
        pause_ns = skua__retry_next_ns(pause_ns, opts.cap_ns);
    }
}
