/* How late an fd is served while every worker is kept by a task that computes and never suspends.
   */
#define _GNU_SOURCE
#include "on_skua.h"

#include <stdatomic.h>

static atomic_bool is_over;
static atomic_uint hogs_running;
static int pipe_ends[2];

static int hog(void *arg)
{
    (void)arg;
    atomic_fetch_add(&hogs_running, 1);
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {}
    return 0;
}

static int serve(void *arg)
{
    (void)arg;
    bench_shot *shot;
    int error = skua_fd_adopt(pipe_ends[0]);
    while (error == 0 && skua_read(pipe_ends[0], &shot, sizeof shot, SKUA_FOREVER) > 0) {
        bench_shot_arrive(shot);
    }
    skua_close(pipe_ends[0]);
    return error;
}

static int submit(void *context, bench_shot *shot)
{
    (void)context;
    return write(pipe_ends[1], &shot, sizeof shot) == (ssize_t)sizeof shot ? 0 : -errno;
}

static int shoot_while_busy(const bench_job *job, skua_runtime *runtime,
                            double values[BENCH_ROWS_MAX])
{
    skua_task *server, *hogs[64];
    unsigned count = job->workers < 64 ? job->workers : 64;
    atomic_store(&is_over, false);
    atomic_store(&hogs_running, 0);
    int error = skua_submit(runtime, &server, serve, NULL, NULL);
    for (unsigned i = 0; i < count && error == 0; i++) {
        error = skua_submit(runtime, &hogs[i], hog, NULL, NULL);
    }
    while (error == 0 && atomic_load(&hogs_running) < count) {
        bench_pause_us(100);
    }
    if (error == 0) {
        error = bench_shoot_all(job->count, submit, NULL, values);
    }
    atomic_store(&is_over, true);
    close(pipe_ends[1]);
    bench_join_all(hogs, count);
    bench_join_all(&server, 1);
    return error;
}

static int run_busy(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    skua_runtime *runtime;
    if (pipe(pipe_ends) < 0) {
        return -errno;
    }
    int error = skua_runtime_create(&runtime, &(skua_config){.workers = job->workers});
    if (error == 0) {
        error = shoot_while_busy(job, runtime, values);
        skua_runtime_destroy(runtime);
    }
    return error;
}

static const bench_case cases[] = {
    {.name = "busy-fd",
     .rows = {"busy-fd-p50", "busy-fd-p99"},
     .units = {"us", "us"},
     .count = 100,
     .cold = true,
     .run = run_busy},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
