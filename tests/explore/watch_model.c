/* The ends of watched tasks against the watcher that waits, takes them, is late or cancelled, stops
   watching and frees all.

   Sources: sched/task.c sched/watch.c sched/member.c sched/waiter.c sched/scope.c sched/wheel.c
   Mutates: sched/watch.c(skua__watch_deliver skua__watch_add skua__watch_remove is_delivered
       wait_once withdraw skua__watch_wait skua__watch_take) */
#include "base/mem.h"
#include "explore.h"
#include "fibers.h"
#include "sched/local.h"
#include "sched/watch.h"

#include <skua/task.h>

enum { STATUS = 42, DEADLINE_NS = 1 << 20, TASKS = 2 };

enum { NOTE_ENDED, NOTE_CANCELLED, NOTE_LATE, NOTE_LEFT };

/* What dies when the watcher is through: a later access of a delivery is found. */
struct watched {
    struct skua__watch watch;
    struct skua__notice notices[TASKS];
};

static int watched_count;
static int *payload;
static size_t freed_from_outside;

static skua_task *task(int number)
{
    return &fibers->tasks[number];
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

/* Threads 0 to `count` - 1 run a task each; the watcher comes after them. */
static void make(int count, int fiber_total)
{
    fibers_make(fiber_total);
    watched_count = count;
    payload = explore_alloc(TASKS * sizeof *payload);
    freed_from_outside = 0;
    for (int i = 0; i < count; i++) {
        task(i)->fn = task_main;
        task(i)->arg = &payload[i];
    }
    if (fiber_total > count) {
        skua__wheel_init(&fibers->workers[count].wheel, skua__clock_ns());
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

static void setup_foreign(void)
{
    make(2, 2);
}

static void finish(void)
{
    size_t freed = freed_from_outside;
    fibers_check();
    for (uint32_t i = 0; i < fibers->runtime.worker_count; i++) {
        freed += fibers->workers[i].tasks.count;
    }
    EXPLORE_CHECK(freed == (size_t)watched_count);
}

/* --- the threads ------------------------------------------------------------------------------ */

static void runs(void)
{
    struct skua__runnable *joiner = skua__task_run(&fibers->fibers[explore_self()]);
    if (joiner != NULL) {
        skua__ready(joiner, SKUA__READY_WOKEN);
    }
}

static struct watched *watch_all(void)
{
    struct watched *self = skua__alloc(sizeof *self);
    skua__watch_init(&self->watch, SKUA__ANY_FAILURE);
    for (int i = 0; i < watched_count; i++) {
        skua__watch_add(&self->watch, &self->notices[i], task(i));
    }
    return self;
}

static void leave(struct watched *self)
{
    skua__watch_remove(&self->watch, self->notices, TASKS);
    skua__free(self);
    for (int i = 0; i < watched_count; i++) {
        skua_task_release(task(i));
    }
}

/* Takes an end that is there, and finds the task ended. */
static int take(struct watched *self)
{
    struct skua__notice *notice = skua__watch_take(&self->watch);
    EXPLORE_CHECK(notice != NULL);
    int index = (int)(notice - self->notices);
    EXPLORE_CHECK(skua__task_is_done(notice->task));
    EXPLORE_CHECK(notice->task->status == STATUS && payload[index] == 7);
    explore_note(NOTE_ENDED);
    return index;
}

static void takes_both(void)
{
    struct watched *self = watch_all();
    EXPLORE_CHECK(skua__watch_wait(&self->watch, 1, false, SKUA_FOREVER) == 0);
    int first = take(self);
    EXPLORE_CHECK(skua__watch_wait(&self->watch, 2, false, SKUA_FOREVER) == 0);
    EXPLORE_CHECK(take(self) == 1 - first);
    EXPLORE_CHECK(skua__watch_take(&self->watch) == NULL);
    leave(self);
}

static void waits_for_both(void)
{
    struct watched *self = watch_all();
    EXPLORE_CHECK(skua__watch_wait(&self->watch, 2, true, SKUA_FOREVER) == 0);
    EXPLORE_CHECK(take(self) + take(self) == 1);
    leave(self);
}

static void takes_one_and_leaves(void)
{
    struct watched *self = watch_all();
    EXPLORE_CHECK(skua__watch_wait(&self->watch, 1, false, SKUA_FOREVER) == 0);
    int first = take(self);
    if (!skua__task_is_done(task(1 - first))) {
        explore_note(NOTE_LEFT);
    }
    leave(self);
}

static void leaves_at_once(void)
{
    leave(watch_all());
}

/* What it gives up is not lost: a second wait finds it. */
static void waits_again(skua_time deadline, int expected, unsigned note)
{
    struct watched *self = watch_all();
    int status = skua__watch_wait(&self->watch, 1, false, deadline);
    if (status == 0) {
        take(self);
    } else {
        EXPLORE_CHECK(status == expected);
        explore_note(note);
        struct skua__notice *notice = skua__watch_take(&self->watch);
        EXPLORE_CHECK(notice == NULL || skua__task_is_done(notice->task));
    }
    leave(self);
}

static void waits_or_is_cancelled(void)
{
    waits_again(SKUA_FOREVER, -ECANCELED, NOTE_CANCELLED);
}

static void waits_or_is_late(void)
{
    waits_again((skua_time){DEADLINE_NS}, -ETIMEDOUT, NOTE_LATE);
}

static void cancels_watcher(void)
{
    skua__scope_cancel(&fibers->tasks[1].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

static void runs_timers(void)
{
    explore_clock_set(2 * DEADLINE_NS);
    skua__wheel_run(&fibers->workers[1].wheel, skua__clock_ns());
}

/* covers: B37 */
int main(void)
{
    EXPLORE("watch: ends are taken one by one", setup_two, finish, runs, runs, takes_both);
    EXPLORE("watch: one wait for both", setup_two, finish, runs, runs, waits_for_both);
    EXPLORE("watch: by a foreign thread", setup_foreign, finish, runs, runs, waits_for_both);
    EXPLORE("watch: one is left running", setup_two, finish, runs, runs, takes_one_and_leaves);
    EXPLORE_CHECK(explore_happened(NOTE_LEFT) > 0);
    EXPLORE("watch: both are left running", setup_two, finish, runs, runs, leaves_at_once);
    EXPLORE("watch: the wait is cancelled", setup_one, finish, runs, waits_or_is_cancelled,
            cancels_watcher);
    EXPLORE_CHECK(explore_happened(NOTE_ENDED) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("watch: the wait is late", setup_one, finish, runs, waits_or_is_late, runs_timers);
    EXPLORE_CHECK(explore_happened(NOTE_ENDED) > 0 && explore_happened(NOTE_LATE) > 0);
    return 0;
}
