/* Tasks in the order in which they end: a watch (sched/watch.h) that stays from call to call.

     (A1) Each task has one notice, so it is delivered, and taken, at most once.
     (A2) A task that was given is not looked at again: its notice stands in no list any more, and
          its reference may be gone.

   Rejected: references of its own to the tasks (two more locks a task, to spare the caller a rule
   that skua_gather() has as well); telling tasks that stand in the array twice by sorting (the
   array's order would have to be restored). */
#include "base/mem.h"
#include "group/gather.h"
#include "sched/service.h"
#include "sched/task.h"
#include "sched/watch.h"

#include <skua/gather.h>

struct skua_as_completed {
    struct skua__watch watch;
    size_t count;                  /* of the array */
    size_t unique_count;           /* tasks; the array may repeat some */
    size_t given;                  /* tasks that were given */
    struct skua__notice notices[]; /* as the array; one that repeats an earlier one has no task */
};

/* --- tasks that stand in the array twice ------------------------------------------------------ */

/* An open hash table of tasks; slots_count is a power of two, and at least twice the tasks. */
struct seen {
    skua_task **slots;
    size_t slots_count;
};

static int seen_init(struct seen *seen, size_t count)
{
    if (count > SIZE_MAX / 4 / sizeof *seen->slots) {
        return -ENOMEM;
    }
    seen->slots_count = 2;
    while (seen->slots_count < 2 * count) {
        seen->slots_count *= 2;
    }
    seen->slots = skua__alloc(seen->slots_count * sizeof *seen->slots);
    return seen->slots != NULL ? 0 : -ENOMEM;
}

/* Puts the task in. False: it is there. */
static bool seen_add(struct seen *seen, skua_task *task)
{
    /* Tasks are whole cache lines, so the lowest bits say nothing; Fibonacci's multiplier spreads
       the others. */
    uint64_t hash = ((uintptr_t)task / SKUA_CACHE_LINE) * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(hash >> 32);
    for (;; slot++) {
        slot &= seen->slots_count - 1;
        if (seen->slots[slot] == NULL) {
            seen->slots[slot] = task;
            return true;
        }
        if (seen->slots[slot] == task) {
            return false;
        }
    }
}

/* --- the calls -------------------------------------------------------------------------------- */

static skua_as_completed *allocate(size_t count)
{
    const size_t count_max = (SIZE_MAX - sizeof(skua_as_completed)) / sizeof(struct skua__notice);
    if (count > count_max) {
        return NULL;
    }
    return skua__alloc(sizeof(skua_as_completed) + count * sizeof(struct skua__notice));
}

static void watch_all(skua_as_completed *completed, skua_task *const tasks[], struct seen *seen)
{
    skua__watch_init(&completed->watch, SKUA__ANY_FAILURE);
    for (size_t i = 0; i < completed->count; i++) {
        if (seen_add(seen, tasks[i])) {
            skua__watch_add(&completed->watch, &completed->notices[i], tasks[i]);
            completed->unique_count++;
        }
    }
}

int skua_as_completed_create(skua_as_completed **out, skua_task *const tasks[], size_t count)
{
    int status = skua__check_tasks(tasks, count);
    if (status < 0) {
        return status;
    }
    skua_as_completed *completed = allocate(count);
    if (completed == NULL) {
        return -ENOMEM;
    }
    struct seen seen;
    status = seen_init(&seen, count);
    if (status < 0) {
        skua__free(completed);
        return status;
    }
    completed->count = count;
    watch_all(completed, tasks, &seen);
    skua__free(seen.slots);
    *out = completed;
    return 0;
}

int skua_as_completed_next(skua_as_completed *completed, skua_task **task, size_t *index,
                           skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    bool is_through = completed->given == completed->unique_count;
    size_t wanted_count = completed->given + (is_through ? 0 : 1);
    int status = skua__watch_wait(&completed->watch, wanted_count, false, deadline);
    if (status < 0 || is_through) {
        return status;
    }
    struct skua__notice *notice = skua__watch_take(&completed->watch);
    completed->given++;
    *task = notice->task;
    if (index != NULL) {
        *index = (size_t)(notice - completed->notices);
    }
    return 1;
}

void skua_as_completed_destroy(skua_as_completed *completed)
{
    if (completed == NULL || skua__forked()) {
        return;
    }
    skua__watch_remove(&completed->watch, completed->notices, completed->count);
    skua__free(completed);
}
