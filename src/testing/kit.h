/* testing/kit.h: the inside of the testing kit: one test run at a time, in static memory, so that
   threads that outlive a run find it ended and not gone. */
#ifndef SKUA_TESTING_KIT_H
#define SKUA_TESTING_KIT_H

#include "base/list.h"
#include "base/lock.h"
#include "sched/director.h"
#include "sched/runtime.h"

#include <skua/testing.h>

enum { SKUA__KIT_TEXT_BYTES = 1024 };

/* Where every virtual clock starts: the same for all runs, so that a run can be repeated. */
#define SKUA__KIT_START_NS SKUA_SEC(1000)

struct skua__kit {
    struct skua__director director;
    _Atomic bool is_taken; /* by the present run */

    /* Constant while it runs. */
    bool is_manual;
    int64_t timeout_ns;
    const char *name;

    /* Who waits for quiet or for the clock. */
    struct skua__lock lock SKUA_CACHE_ALIGNED;
    skua_runtime *runtime; /* whose workers are to be told; NULL before and after */
    bool is_over;
    struct skua__list settlers; /* of skua__waiter */
    struct skua__list thread_timers;
    struct skua__waiter *advancer;
    int64_t advance_to_ns;

    /* The seeded schedule: the one worker's. */
    struct skua__runnable *ready_first, *ready_last;
    uint32_t ready_count;
    uint64_t random;
    bool is_ending; /* the main task is over: how much is dispatched until the end is chance */
    _Atomic uint64_t trace; /* read by anybody */
    _Atomic uint64_t seed;

    /* What has failed. */
    struct skua__lock failure_lock;
    bool has_failed;
    skua_task *subject; /* to be cancelled by the first failure; NULL: nobody */
    char text[SKUA__KIT_TEXT_BYTES];

    _Atomic uint32_t watch_bell; /* ends the watchdog */
    uint32_t leaks;
};

extern struct skua__kit skua__kit;

/* The kit if the calling task belongs to its run, else NULL. */
struct skua__kit *skua__kit_of_caller(void);

/* clock.c */
void skua__kit_clock_begin(struct skua__kit *kit, bool is_virtual);
void skua__kit_clock_end(struct skua__kit *kit);
/* Whether nothing is ready and no worker runs anything; `busy_workers` may: the caller's. Under the
   kit's lock. */
bool skua__kit_is_quiet(skua_runtime *runtime, uint32_t busy_workers);

/* schedule.c */
void skua__kit_schedule_begin(struct skua__kit *kit, bool is_seeded, uint64_t seed);

/* check.c */
void skua__kit_failures_begin(struct skua__kit *kit);
/* From now on the first failure cancels this task, if not NULL. */
void skua__kit_set_subject(struct skua__kit *kit, skua_task *task);
bool skua__kit_has_failed(struct skua__kit *kit);
/* Record that the run has failed without a failed check, unless something has been recorded. */
void skua__kit_note(struct skua__kit *kit, const char *format, ...) SKUA_PRINTF(2, 3);

/* leaks.c: what a process had open before a run. */
enum { SKUA__FDS_LOOKED_AT = 4096, SKUA__THREADS_LOOKED_AT = 512 };
struct skua__belongings {
    skua_test_resources counts;
    uint8_t fds[SKUA__FDS_LOOKED_AT / 8];
    int32_t threads[SKUA__THREADS_LOOKED_AT];
    uint32_t thread_count;
};
void skua__belongings_note(struct skua__belongings *now);
/* Reports what is there and was not before, by name. Returns how many things. */
uint32_t skua__belongings_report_new(const struct skua__belongings *before, const char *run_name);
/* Reports the tasks that run besides the caller. Returns how many. Call from: a task. */
uint32_t skua__report_running_tasks(struct skua__kit *kit);

#endif
