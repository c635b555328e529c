/* The seeded schedule: one worker, one list of what is ready, and the seed chooses from it.

   Everything that becomes ready stands in one of the worker's queues at the next dispatch, in an
   order that follows from the program alone, and is moved from there into the list. The choice, the
   number of operations that the chosen one may do before it has to give way, the cases that a
   select tries first: all come from one stream of random numbers, so one seed gives one
   interleaving. Nothing is ordered by an address or by real time.

   Rejected: several workers that pass a baton. It would show nothing that one worker with random
   pre-emption at blocking calls does not show, and cost a thread switch per dispatch. */
#include "base/random.h"
#include "testing/kit.h"

enum {
    CHOICE_MAX = 64,  /* among so many of the oldest */
    BUDGET_SHORT = 6, /* operations before giving way, in most turns */
    BUDGET_LONG_ONE_IN = 4,
};

static struct skua__kit *kit_of(struct skua__director *director)
{
    return SKUA_CONTAINER(director, struct skua__kit, director);
}

static void append(struct skua__kit *kit, struct skua__runnable *runnable)
{
    runnable->next = NULL;
    if (kit->ready_first == NULL) {
        kit->ready_first = runnable;
    } else {
        kit->ready_last->next = runnable;
    }
    kit->ready_last = runnable;
    kit->ready_count++;
}

static void append_all(struct skua__kit *kit, struct skua__inject *inject)
{
    struct skua__runnable *runnable = NULL;
    while (skua__inject_pop(inject, &runnable, 1) == 1) {
        append(kit, runnable);
    }
}

/* Everything that is ready, into the list. The ring overflows into the inject queue, its older half
   first. */
static void collect(struct skua__kit *kit, struct skua__worker *worker)
{
    skua_runtime *runtime = worker->runtime;
    for (uint32_t i = 0; i < runtime->injects.count; i++) {
        append_all(kit, skua__inject_of(&runtime->injects, i));
    }
    append_all(kit, &worker->inbox);
    skua__worker_expose_woken(worker);
    struct skua__runnable *runnable;
    while ((runnable = skua__ring_pop(&worker->ring)) != NULL) {
        append(kit, runnable);
    }
}

static struct skua__runnable *take(struct skua__kit *kit, uint32_t index)
{
    struct skua__runnable *before = NULL, *runnable = kit->ready_first;
    for (uint32_t i = 0; i < index; i++) {
        before = runnable;
        runnable = runnable->next;
    }
    if (before == NULL) {
        kit->ready_first = runnable->next;
    } else {
        before->next = runnable->next;
    }
    if (kit->ready_last == runnable) {
        kit->ready_last = before;
    }
    runnable->next = NULL;
    kit->ready_count--;
    return runnable;
}

/* What was decided, out of what, and when. */
static void trace(struct skua__kit *kit, uint32_t index)
{
    if (kit->is_ending) {
        return;
    }
    uint64_t state = skua__load(&kit->trace, relaxed) ^ ((uint64_t)kit->ready_count << 32 | index);
    state ^= (uint64_t)skua__clock_ns() << 16;
    skua__store(&kit->trace, skua__random_next(&state), relaxed);
}

static struct skua__runnable *next(struct skua__director *director, struct skua__worker *worker)
{
    struct skua__kit *kit = kit_of(director);
    collect(kit, worker);
    if (kit->ready_count == 0) {
        return NULL;
    }
    uint32_t among = kit->ready_count < CHOICE_MAX ? kit->ready_count : CHOICE_MAX;
    uint32_t index = skua__random_below(&kit->random, among);
    trace(kit, index);
    return take(kit, index);
}

static int32_t budget(struct skua__director *director)
{
    struct skua__kit *kit = kit_of(director);
    if (skua__random_below(&kit->random, BUDGET_LONG_ONE_IN) == 0) {
        return SKUA__BUDGET;
    }
    return (int32_t)skua__random_below(&kit->random, BUDGET_SHORT) + 1;
}

void skua__kit_schedule_begin(struct skua__kit *kit, bool is_seeded, uint64_t seed)
{
    kit->director.is_seeded = is_seeded;
    kit->director.seed = is_seeded ? seed : 0;
    kit->director.next = next;
    kit->director.budget = budget;
    kit->ready_first = kit->ready_last = NULL;
    kit->ready_count = 0;
    kit->is_ending = false;
    kit->random = seed;
    skua__store(&kit->seed, seed, relaxed);
    skua__store(&kit->trace, is_seeded ? seed + 1 : 0, relaxed);
}

uint64_t skua_test_seed(void)
{
    return skua__load(&skua__kit.seed, relaxed);
}

uint64_t skua_test_trace(void)
{
    return skua__load(&skua__kit.trace, relaxed);
}
