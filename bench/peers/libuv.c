/* libuv: timers, calls on other threads, and the wake-up of a loop from another thread. One thread
   runs the loop. */
#define _GNU_SOURCE
#include "bench.h"

#include <uv.h>

typedef struct sleeper {
    uv_timer_t timer;
    double deadline_ns;
    double late_us;
} sleeper;

static void on_time(uv_timer_t *timer)
{
    sleeper *self = (sleeper *)timer;
    self->late_us = (bench_now_ns() - self->deadline_ns) / 1e3;
    uv_close((uv_handle_t *)timer, NULL);
}

static sleeper *sleep_all(size_t count)
{
    uv_loop_t loop;
    sleeper *sleepers = calloc(count, sizeof(*sleepers));
    if (sleepers == NULL || uv_loop_init(&loop) != 0) {
        free(sleepers);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const unsigned ms = bench_sleep_ms(i);
        uv_timer_init(&loop, &sleepers[i].timer);
        uv_update_time(&loop);
        sleepers[i].deadline_ns = bench_now_ns() + ms * 1e6;
        uv_timer_start(&sleepers[i].timer, on_time, ms, 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return sleepers;
}

static int run_sleep_cost(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const double start = bench_now_ns();
    const double cpu_start = bench_cpu_ns();
    sleeper *sleepers = sleep_all(job->count);
    values[0] = (bench_now_ns() - start) / 1e6;
    values[1] = (bench_cpu_ns() - cpu_start) / 1e6;
    free(sleepers);
    return sleepers == NULL;
}

static int run_sleep_late(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    sleeper *sleepers = sleep_all(job->count);
    double *late_us = calloc(job->count, sizeof(*late_us));
    if (sleepers != NULL && late_us != NULL) {
        for (size_t i = 0; i < job->count; i++) {
            late_us[i] = sleepers[i].late_us;
        }
        values[0] = bench_percentile_of(late_us, job->count, 99);
    }
    const int error = sleepers == NULL || late_us == NULL;
    free(late_us);
    free(sleepers);
    return error;
}

/* The loop that is woken. A NULL shot ends it. */
typedef struct target {
    uv_loop_t loop;
    uv_async_t bell;
    bench_shot *shot;
} target;

static void on_bell(uv_async_t *bell)
{
    target *self = bell->data;
    if (self->shot != NULL) {
        bench_shot_arrive(self->shot);
    } else {
        uv_close((uv_handle_t *)bell, NULL);
    }
}

static void loop_main(void *arg)
{
    uv_run(&((target *)arg)->loop, UV_RUN_DEFAULT);
}

static int submit(void *context, bench_shot *shot)
{
    target *self = context;
    self->shot = shot;
    return uv_async_send(&self->bell);
}

static int run_foreign_wake(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    target self = {.shot = NULL};
    uv_thread_t thread;
    if (uv_loop_init(&self.loop) != 0 || uv_async_init(&self.loop, &self.bell, on_bell) != 0) {
        return -1;
    }
    self.bell.data = &self;
    if (uv_thread_create(&thread, loop_main, &self) != 0) {
        return -1;
    }
    const int error = bench_shoot_all(job->count, submit, &self, values);
    submit(&self, NULL);
    uv_thread_join(&thread);
    uv_loop_close(&self.loop);
    return error;
}

/* Calls that do nothing, on libuv's pool of threads. */
typedef struct offload {
    uv_loop_t loop;
    size_t left;    /* still to be begun */
    size_t pending; /* begun */
} offload;

static void do_nothing(uv_work_t *work)
{
    (void)work;
}

static void on_done(uv_work_t *work, int status)
{
    offload *self = work->data;
    (void)status;
    self->pending--;
    if (self->left > 0) {
        self->left--;
        self->pending++;
        uv_queue_work(&self->loop, work, do_nothing, on_done);
    }
}

static int run_offload(const bench_job *job, size_t width, double *value)
{
    offload self = {.left = job->count};
    uv_work_t *works = calloc(width, sizeof(*works));
    if (works == NULL || uv_loop_init(&self.loop) != 0) {
        return -1;
    }
    const double start = bench_now_ns();
    for (size_t i = 0; i < width && self.left > 0; i++) {
        works[i].data = &self;
        self.left--;
        self.pending++;
        uv_queue_work(&self.loop, &works[i], do_nothing, on_done);
    }
    uv_run(&self.loop, UV_RUN_DEFAULT);
    *value = bench_ns_each(start, job->count) / 1e3;
    uv_loop_close(&self.loop);
    free(works);
    return self.pending != 0;
}

static int run_offload_1(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_offload(job, 1, values);
}

static int run_offload_1k(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_offload(job, 1000, values);
}

static const bench_case cases[] = {
    {.name = "sleep-1m",
     .rows = {"sleep-1m-wall", "sleep-1m-cpu"},
     .units = {"ms", "ms"},
     .count = 1000000,
     .cold = true,
     .run = run_sleep_cost},
    {.name = "sleep-20k-p99", .units = {"us"}, .count = 20000, .cold = true, .run = run_sleep_late},
    {.name = "foreign-wake",
     .rows = {"foreign-wake-p50", "foreign-wake-p99"},
     .units = {"us", "us"},
     .count = 500,
     .cold = true,
     .run = run_foreign_wake},
    {.name = "offload-1", .units = {"us"}, .count = 20000, .run = run_offload_1},
    {.name = "offload-1k", .units = {"us"}, .count = 200000, .run = run_offload_1k},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "libuv", cases, BENCH_COUNT(cases));
}
