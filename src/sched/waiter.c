/* The one waiter: claims, parking, waking. waiter.h has the protocol. */
#include "sched/waiter.h"

#include "base/futex.h"
#include "base/panic.h"
#include "sched/director.h"
#include "sched/fiber.h"
#include "sched/report.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

const char skua__wait_join[] = "the end of a task";
const char skua__wait_sleep[] = "sleep";

/* A task that goes on in spite of so many -ECANCELED in a row is named. */
enum { CANCELS_IGNORED_MAX = 1000 };

/* skua_after() of nothing: such a wait ends before it begins, without a timer. */
enum { LONG_AGO_NS = 1 };

static struct skua__fiber *fiber_of(struct skua__parker *parker)
{
    return SKUA_CONTAINER(parker, struct skua__fiber, parker);
}

/* For those who look for long waits; the clock is too dear for all others. */
SKUA_NOINLINE void skua__wait_note_time(struct skua__fiber *fiber)
{
    skua__store(&fiber->waits_since_ns, skua__clock_ns(), relaxed);
}

void skua__wait_is_for_task(struct skua__wait *wait, struct skua_task *task)
{
    if (!wait->parker->is_thread) {
        struct skua__fiber *fiber = fiber_of(wait->parker);
        /* Slots of another runtime may be gone when somebody looks. */
        bool is_ours = task->runnable.runtime == fiber->runnable.runtime;
        /* release: publishes the slot, which may be new; pairs with the acquire in
           describe_join(). */
        skua__store(&fiber->waits_for_task, is_ours ? task : NULL, release);
    }
}

void skua__wait_begin_for(struct skua__wait *wait, enum skua__wait_kind kind, const char *what)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (SKUA_UNLIKELY(fiber == NULL)) {
        wait->thread.parker.is_thread = true;
        skua__store(&wait->thread.parker.word, 0, relaxed);
        skua__store(&wait->thread.bell, 0, relaxed);
        wait->parker = &wait->thread.parker;
    } else {
        wait->parker = &fiber->parker;
        skua__wait_note(fiber, what);
    }
    uint64_t state = kind == SKUA__SOFT ? SKUA__STATE_WAITING : SKUA__STATE_HARD;
    uint64_t sequence = skua__load(&wait->parker->word, relaxed) >> SKUA__SEQUENCE_SHIFT;
    wait->ticket = ((sequence + 1) << SKUA__SEQUENCE_SHIFT) | state;
    /* release: publishes what the fiber did before, for a canceller that finds it by its scope;
       pairs with the acquire in claim_wait(). Others get the ticket through a lock. */
    skua__store(&wait->parker->word, wait->ticket, release);
}

void skua__wake(struct skua__parker *parker)
{
    if (parker->is_thread) {
        struct skua__thread_parker *thread =
            SKUA_CONTAINER(parker, struct skua__thread_parker, parker);
        /* release: publishes what the waker wrote for the waiter; pairs with the acquire in
           park_thread(). It is the last access: the frame may be gone afterwards, its address is
           not. */
        skua__store(&thread->bell, 1, release);
        skua__futex_wake(&thread->bell, 1, false);
        return;
    }
    skua__ready(&fiber_of(parker)->runnable, SKUA__READY_WOKEN);
}

/* The lines in which a suspended fiber has left its registers, and the frames to which it returns.
   What has left is complete, and who was claimed is ours. */
static void prefetch_frames(const struct skua__fiber *fiber)
{
    enum { FRAMES_BYTES = 512 };
    /* acquire: pairs with the release in arrived(): the context is there to be read. */
    if (!skua__load(&fiber->on_cpu, acquire)) {
        for (size_t at = 0; at < FRAMES_BYTES; at += SKUA_CACHE_LINE) {
            __builtin_prefetch((const char *)fiber->context + at, 1);
        }
    }
}

void skua__wake_list_flush_later(struct skua__wake_list *list)
{
    if (list->count < 2 || skua__worker_self() == NULL) {
        skua__wake_list_flush(list);
        return;
    }
    struct skua__runnable *fibers[SKUA__WAKE_CHUNK];
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->parkers[i]->is_thread) {
            skua__wake(list->parkers[i]);
        } else {
            struct skua__fiber *fiber = fiber_of(list->parkers[i]);
            prefetch_frames(fiber);
            fibers[count++] = &fiber->runnable;
        }
    }
    skua__ready_later(fibers, count);
    list->count = 0;
}

static uint32_t cause_of(struct skua__parker *parker)
{
    return (uint32_t)(skua__load(&parker->word, relaxed) >> SKUA__CAUSE_SHIFT) & SKUA__CAUSE_MASK;
}

_Atomic(struct skua__director *) skua__director_now;

/* Under a virtual clock it is the director who ends the wait at its moment. */
static SKUA_NOINLINE int park_thread_virtually(struct skua__wait *wait, int64_t deadline_ns)
{
    /* acquire: pairs with the release that publishes the director. */
    struct skua__director *director = skua__load(&skua__director_now, acquire);
    struct skua__thread_timer timer = {.wait = wait, .deadline_ns = deadline_ns};
    director->thread_begins(director, &timer);
    /* acquire: pairs with the release in skua__wake(). */
    while (skua__load(&wait->thread.bell, acquire) == 0) {
        skua__futex_wait(&wait->thread.bell, 0, SKUA__NEVER, false);
    }
    director->thread_ends(director, &timer);
    uint32_t cause = cause_of(wait->parker);
    return cause == SKUA__CAUSE_DEADLINE ? -ETIMEDOUT : (int)cause;
}

/* A foreign thread has no scopes; its deadline is the futex's. */
static int park_thread(struct skua__wait *wait, int64_t deadline_ns)
{
    if (SKUA_UNLIKELY(deadline_ns != SKUA__NEVER && skua__clock_is_virtual())) {
        return park_thread_virtually(wait, deadline_ns);
    }
    /* acquire: pairs with the release in skua__wake(). */
    while (skua__load(&wait->thread.bell, acquire) == 0) {
        if (deadline_ns != SKUA__NEVER && skua__clock_ns() >= deadline_ns) {
            if (skua__claim(wait->parker, wait->ticket, SKUA__CAUSE_DEADLINE)) {
                return -ETIMEDOUT;
            }
            deadline_ns = SKUA__NEVER; /* claimed by another: the bell is about to ring */
        }
        skua__futex_wait(&wait->thread.bell, 0, deadline_ns, false);
    }
    return (int)cause_of(wait->parker);
}

int skua__refused(struct skua__fiber *fiber)
{
    if (skua__scope_is_cancelled(&skua__fiber_task(fiber)->scope)) {
        fiber->ends_slowly = fiber->was_refused = true;
    }
    return -ECANCELED;
}

/* The fiber's timer has fired: whose deadline was it? A cancel that came after that is too late for
   this wait: a sleep that is over, say, was not cancelled. */
static int judge_deadline(struct skua__fiber *fiber, bool is_soft, int64_t deadline_ns)
{
    int64_t now = skua__clock_ns();
    if (is_soft) {
        int64_t scope_deadline = skua__scope_deadline(fiber->scope, now);
        if (scope_deadline <= now && scope_deadline <= deadline_ns &&
            skua__scope_expire(fiber->scope, now, fiber->runnable.runtime)) {
            return skua__refused(fiber);
        }
    }
    return deadline_ns <= now ? -ETIMEDOUT : SKUA__RECHECK;
}

int skua__wait_judge(struct skua__wait *wait, int64_t deadline_ns)
{
    struct skua__fiber *fiber = fiber_of(wait->parker);
    bool is_soft = (wait->ticket & SKUA__STATE_MASK) == SKUA__STATE_WAITING;
    switch (cause_of(wait->parker)) {
    case SKUA__CAUSE_DEADLINE:
        return judge_deadline(fiber, is_soft, deadline_ns);
    case SKUA__CAUSE_CANCEL:
        /* An inline child runs in the scope of its fork, perhaps inside of one that was opened
           since: the cancel may have meant that one. */
        return skua__scope_is_cancelled(fiber->scope) ? skua__refused(fiber) : SKUA__RECHECK;
    default:
        return SKUA__RECHECK;
    }
}

/* The wait ends by the clock at the latest. False: it has ended already. */
static SKUA_NOINLINE bool set_timer(struct skua__fiber *fiber, uint64_t ticket, bool is_soft,
                                    int64_t deadline_ns)
{
    if (deadline_ns <= LONG_AGO_NS && skua__claim(&fiber->parker, ticket, SKUA__CAUSE_DEADLINE)) {
        return false;
    }
    int64_t timer_ns = deadline_ns;
    if (is_soft && skua__scope_has_deadline(fiber->scope)) {
        int64_t scope_ns = skua__scope_deadline(fiber->scope, skua__clock_ns());
        timer_ns = scope_ns < timer_ns ? scope_ns : timer_ns;
    }
    /* The reason of a cancel in the place of a scope's deadline (S6) is no moment for the wheel. If
       that was the deadline's own doing it is over; else who cancels ends the wait. */
    if (timer_ns < 0) {
        return !skua__claim(&fiber->parker, ticket, SKUA__CAUSE_DEADLINE);
    }
    if (timer_ns == SKUA__NEVER) {
        return true;
    }
    /* A virtual clock stands still until everybody waits: the past must not move it. */
    if (skua__runtime_is_virtual(fiber->runnable.runtime) && timer_ns <= skua__clock_ns() &&
        skua__claim(&fiber->parker, ticket, SKUA__CAUSE_DEADLINE)) {
        return false;
    }
    skua__wheel_arm(&skua__worker_self()->wheel, fiber->timer, ticket, timer_ns);
    return true;
}

static int park_fiber(struct skua__wait *wait, int64_t deadline_ns)
{
    struct skua__fiber *fiber = fiber_of(wait->parker);
    bool is_soft = (wait->ticket & SKUA__STATE_MASK) == SKUA__STATE_WAITING;
    bool needs_timer = deadline_ns != SKUA__NEVER;
    if (is_soft) {
        /* Our word is WAITING; now look at the flag and the deadlines. Pairs with the heavy fences
           in scope.c. */
        skua__runtime_light_fence(fiber->runnable.runtime);
        if (SKUA_UNLIKELY(skua__scope_is_cancelled(fiber->scope)) &&
            skua__claim(&fiber->parker, wait->ticket, SKUA__CAUSE_CANCEL)) {
            return skua__refused(fiber);
        }
        needs_timer = needs_timer || skua__scope_has_deadline(fiber->scope);
    }
    if (needs_timer && !set_timer(fiber, wait->ticket, is_soft, deadline_ns)) {
        return judge_deadline(fiber, is_soft, deadline_ns);
    }
    skua__fiber_suspend(fiber);
    return skua__wait_outcome(wait, deadline_ns);
}

int skua__wait_park(struct skua__wait *wait, int64_t deadline_ns)
{
    return wait->parker->is_thread ? park_thread(wait, deadline_ns) : park_fiber(wait, deadline_ns);
}

int skua__wait_park_real(struct skua__wait *wait, int64_t deadline_ns)
{
    if (wait->parker->is_thread) {
        return park_thread(wait, deadline_ns);
    }
    struct skua__director *director = fiber_of(wait->parker)->runnable.runtime->director;
    if (SKUA_LIKELY(director == NULL)) {
        return park_fiber(wait, deadline_ns);
    }
    skua__fetch_add(&director->holds, 1, relaxed);
    int cause = park_fiber(wait, deadline_ns);
    skua__fetch_sub(&director->holds, 1, relaxed);
    return cause;
}

void skua__wait_abandon(struct skua__wait *wait)
{
    if (!skua__claim(wait->parker, wait->ticket, 0)) {
        skua__fiber_suspend(fiber_of(wait->parker)); /* only fibers are found by cancellers */
    }
}

static SKUA_NOINLINE int refuse(struct skua__fiber *fiber)
{
    if (++fiber->cancels_ignored == CANCELS_IGNORED_MAX) {
        skua__runtime_report(
            fiber->runnable.runtime, SKUA_REPORT_STUBBORN,
            "task '%s' was cancelled and has ignored %d results of -ECANCELED in a row",
            skua_task_name(skua__fiber_task(fiber)), CANCELS_IGNORED_MAX);
    }
    skua__fiber_yield(fiber);
    return skua__refused(fiber);
}

/* The budget is used up: others first; and deadlines, which otherwise are looked at only by those
   who wait. */
static SKUA_NOINLINE void take_a_break(struct skua__fiber *fiber)
{
    skua__fiber_yield(fiber);
    if (skua__scope_has_deadline(fiber->scope)) {
        skua__scope_expire(fiber->scope, skua__clock_ns(), fiber->runnable.runtime);
    }
}

int skua__cancel_point(void)
{
    if (SKUA_UNLIKELY(skua__forked())) {
        return -ESHUTDOWN;
    }
    struct skua__worker *worker = skua__worker_self();
    if (worker == NULL) {
        return 0;
    }
    struct skua__fiber *fiber = skua__worker_current(worker);
    if (SKUA_UNLIKELY(--worker->budget <= 0)) {
        take_a_break(fiber);
    }
    if (SKUA_UNLIKELY(skua__scope_is_cancelled(fiber->scope))) {
        return refuse(fiber);
    }
    fiber->cancels_ignored = 0;
    return 0;
}
