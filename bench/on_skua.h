/* on_skua.h: what Skua's own benchmark programs share: running a case inside a runtime. */
#ifndef SKUA_BENCH_ON_SKUA_H
#define SKUA_BENCH_ON_SKUA_H

#include "bench.h"

#include <skua/skua.h>

/* What a million tasks are given for a stack. */
enum { BENCH_STACK_BYTES = 64 * 1024 };

static inline int bench_measure_as_task(void *job)
{
    return bench_job_measure(job);
}

/* bench_case.enter of the cases that run as a task. */
static inline int bench_enter_skua(bench_job *job)
{
    return skua_run(&(skua_config){.workers = job->workers}, bench_measure_as_task, job);
}

static inline int bench_main_skua(int argc, char **argv, const bench_case *cases, size_t count)
{
    return bench_main(argc, argv, "Skua", cases, count);
}

/* Join and release all tasks; the first error, of a join or of a task. */
static inline int bench_join_all(skua_task **tasks, size_t count)
{
    int first = 0;
    for (size_t i = 0; i < count; i++) {
        int status = 0;
        const int error = skua_join(tasks[i], &status, SKUA_FOREVER);
        if (first == 0) {
            first = error != 0 ? error : status < 0 ? status : 0;
        }
        skua_task_release(tasks[i]);
    }
    return first;
}

#endif
