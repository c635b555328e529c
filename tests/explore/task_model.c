/* The end of a task against those who join it, cancel the join, and release it.

   Sources: sched/task.c sched/watch.c sched/member.c sched/waiter.c sched/scope.c sched/wheel.c
   Mutates: sched/task.c(mark_done claim_joiner wake_joiners leave skua_task_release release_shared
       skua__task_run) sched/task.h */
#include "explore.h"
#include "fibers.h"
#include "sched/local.h"

#include <skua/task.h>

enum { STATUS = 42, DEADLINE_NS = 1 << 20 };

enum { NOTE_JOINED, NOTE_CANCELLED, NOTE_LATE, NOTE_REUSED };

static int *payload;
static size_t freed_from_outside;
static bool is_reused;

static skua_task *task(void)
{
    return &fibers->tasks[0];
}

static int task_main(void *arg)
{
    *(int *)arg = 7;
    return STATUS;
}

void skua__slab_return_slow(struct skua__slab *slab, struct skua__slab_cache *cache, void *object)
{
    ((skua_task *)object)->runnable.next = NULL; /* as a slab does: it is the slab's now */
    freed_from_outside++;
}

void skua__stack_check(const struct skua__stack *stack) {}
void skua__locals_release(struct skua__locals *locals) {}

const char *skua_error_text(int code)
{
    return "";
}

/* Thread 0 runs the task; `holders` others have a reference each. */
static void make(uint32_t holders, int count)
{
    fibers_make(count);
    payload = explore_alloc(sizeof *payload);
    freed_from_outside = 0;
    is_reused = false;
    task()->fn = task_main;
    task()->arg = payload;
    skua__store(&task()->refs, 1 + holders, relaxed);
    if (count > 1) {
        skua__wheel_init(&fibers->workers[1].wheel, skua__clock_ns());
    }
}

static void setup_one(void)
{
    make(1, 3);
}

static void setup_two(void)
{
    make(2, 3);
}

static void setup_reused(void)
{
    make(1, 2);
}

static void setup_foreign(void)
{
    make(1, 1);
}

static void finish(void)
{
    size_t freed = freed_from_outside;
    fibers_check();
    for (uint32_t i = 0; i < fibers->runtime.worker_count; i++) {
        freed += fibers->workers[i].tasks.count;
    }
    EXPLORE_CHECK(freed == 1);
    EXPLORE_CHECK(skua__load(&task()->refs, relaxed) == 0);
}

/* --- the threads ------------------------------------------------------------------------------ */

static void runs(void)
{
    struct skua__runnable *joiner = skua__task_run(&fibers->fibers[0]);
    if (joiner != NULL) {
        skua__ready(joiner, SKUA__READY_WOKEN);
    }
}

static int join(skua_time deadline)
{
    int status = 0;
    int result = skua_join(task(), &status, deadline);
    if (result == 0) {
        explore_note(NOTE_JOINED);
        EXPLORE_CHECK(status == STATUS && *payload == 7);
    } else {
        explore_note(result == -ECANCELED ? NOTE_CANCELLED : NOTE_LATE);
    }
    skua_task_release(task());
    return result;
}

static void joins(void)
{
    EXPLORE_CHECK(join(SKUA_FOREVER) == 0);
}

static void joins_or_is_cancelled(void)
{
    int result = join(SKUA_FOREVER);
    EXPLORE_CHECK(result == 0 || result == -ECANCELED);
}

static void joins_or_is_late(void)
{
    int result = join((skua_time){DEADLINE_NS});
    EXPLORE_CHECK(result == 0 || result == -ETIMEDOUT);
}

static void cancels_joiner(void)
{
    skua__scope_cancel(&fibers->tasks[1].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

static void runs_timers(void)
{
    explore_clock_set(2 * DEADLINE_NS);
    skua__wheel_run(&fibers->workers[1].wheel, skua__clock_ns());
}

static void releases(void)
{
    skua_task_release(task());
}

/* Releases without a join; the slot, if that was the last reference, is the next task's at once. */
static void releases_and_spawns(void)
{
    skua_task_release(task());
    if (fibers->workers[1].tasks.count > 0) {
        explore_note(NOTE_REUSED);
        skua__store(&task()->scope.flags, SKUA__SCOPE_OPEN, relaxed);
        is_reused = true;
    }
}

static void finish_reused(void)
{
    finish();
    EXPLORE_CHECK(!is_reused || skua__load(&task()->scope.flags, relaxed) == SKUA__SCOPE_OPEN);
}

static void retains_and_cancels(void)
{
    skua_task_retain(task());
    skua_task_cancel(task());
    skua_task_release(task());
    skua_task_release(task());
}

/* covers: B37 */
int main(void)
{
    EXPLORE("task: join", setup_one, finish, runs, joins);
    EXPLORE("task: two join", setup_two, finish, runs, joins, joins);
    EXPLORE("task: release", setup_two, finish, runs, joins, releases);
    EXPLORE("task: retain and cancel", setup_two, finish, runs, joins, retains_and_cancels);
    EXPLORE("task: a join is cancelled", setup_one, finish, runs, joins_or_is_cancelled,
            cancels_joiner);
    EXPLORE_CHECK(explore_happened(NOTE_JOINED) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("task: a join is late", setup_one, finish, runs, joins_or_is_late, runs_timers);
    EXPLORE_CHECK(explore_happened(NOTE_JOINED) > 0 && explore_happened(NOTE_LATE) > 0);
    EXPLORE("task: release and reuse", setup_reused, finish_reused, runs, releases_and_spawns);
    EXPLORE_CHECK(explore_happened(NOTE_REUSED) > 0);
    EXPLORE("task: a foreign thread joins", setup_foreign, finish, runs, joins);
    return 0;
}
