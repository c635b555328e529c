/* Skua's process pool. The runtime has one worker whatever the number of processes: what is
   measured is the way to them. */
#define _GNU_SOURCE
#include "on_skua.h"
#include "rows.h"

#include <skua/cluster.h>
#include <skua/pool.h>
#include <skua/pool_map.h>
#include <skua/pool_watch.h>

enum { MAP_ITEMS = 10000, SUBMIT_ITEMS = 10000, START_WORKERS = 4, BLOCKERS_MAX = 64 };

/* --- the jobs --- */

static int nothing(skua_bytes in, skua_reply *reply)
{
    (void)in;
    (void)reply;
    return 0;
}
SKUA_JOB(nothing);

static int copy(skua_bytes in, skua_reply *reply)
{
    void *out = skua_job_reserve(reply, in.bytes);
    if (out == NULL) {
        return -ENOMEM;
    }
    memcpy(out, in.data, in.bytes);
    skua_job_commit(reply, in.bytes);
    return 0;
}
SKUA_JOB(copy);

static int give_back(skua_bytes in, skua_reply *reply)
{
    skua_job_commit_input(reply, in.bytes);
    return 0;
}
SKUA_JOB(give_back);

static int add(skua_bytes in, skua_reply *reply)
{
    pool_add(skua_job_input(reply));
    skua_job_commit_input(reply, in.bytes);
    return 0;
}
SKUA_JOB(add);

static int crash(skua_bytes in, skua_reply *reply)
{
    (void)in;
    (void)reply;
    pool_crash();
    return 0;
}
SKUA_JOB(crash);

static int block(skua_bytes in, skua_reply *reply)
{
    (void)in;
    while (!skua_job_stopping(reply)) {
        bench_pause_us(1000);
    }
    return 0;
}
SKUA_JOB(block);

/* --- the pool --- */

static skua_pool *pool;

static int measure_with_pool(void *arg)
{
    const bench_job *job = arg;
    int error = skua_pool_create(&pool, &(skua_pool_opts){.workers = job->workers});
    if (error == 0) {
        error = bench_job_measure(job);
        skua_pool_destroy(pool);
    }
    return error;
}

static int enter_with_pool(bench_job *job)
{
    return skua_run(&(skua_config){.workers = 1}, measure_with_pool, job);
}

static int enter_without_pool(bench_job *job)
{
    return skua_run(&(skua_config){.workers = 1}, bench_measure_as_task, job);
}

static int call_nothing(void)
{
    return skua_pool_call(pool, &nothing_job, (skua_bytes){NULL, 0}, NULL, SKUA_FOREVER);
}

/* --- calls --- */

static int run_asleep(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    double *took_us = calloc(job->count, sizeof(*took_us));
    int error = took_us == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < job->count && error == 0; i++) {
        error = skua_sleep(skua_after(SKUA_US(BENCH_IDLE_US)));
        const double start = bench_now_ns();
        error = error == 0 ? call_nothing() : error;
        took_us[i] = (bench_now_ns() - start) / 1e3;
    }
    if (error == 0) {
        values[0] = bench_percentile_of(took_us, job->count, 50);
        values[1] = bench_percentile(took_us, job->count, 99);
    }
    free(took_us);
    return error;
}

static int call_many(void *arg)
{
    int error = 0;
    for (size_t i = *(const size_t *)arg; i > 0 && error == 0; i--) {
        error = call_nothing();
    }
    return error;
}

static int run_call(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    size_t count = job->count;
    const double start = bench_now_ns();
    const int error = call_many(&count);
    values[0] = bench_ns_each(start, job->count) / 1e3;
    return error;
}

static int run_call_64(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    size_t each = job->count / POOL_CALLERS + 1;
    skua_task *tasks[POOL_CALLERS];
    const double start = bench_now_ns();
    int error = skua_spawn_many(tasks, call_many, &each, 0, POOL_CALLERS, NULL);
    if (error == 0) {
        error = bench_join_all(tasks, POOL_CALLERS);
    }
    values[0] = bench_ns_each(start, each * POOL_CALLERS) / 1e3;
    return error;
}

/* --- many jobs --- */

static int submit_nothing(skua_task **tasks, size_t count)
{
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        tasks[i] = NULL;
        error = skua_pool_submit(pool, &tasks[i], &nothing_job, (skua_bytes){NULL, 0}, NULL, NULL,
                                 SKUA_FOREVER);
    }
    return error;
}

static int run_submit(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    static skua_task *tasks[SUBMIT_ITEMS];
    int error = 0;
    const double start = bench_now_ns();
    for (size_t done = 0; done < job->count && error == 0; done += SUBMIT_ITEMS) {
        const size_t left = job->count - done;
        const size_t some = left < SUBMIT_ITEMS ? left : SUBMIT_ITEMS;
        error = submit_nothing(tasks, some);
        if (error == 0) {
            error = bench_join_all(tasks, some);
        }
    }
    values[0] = bench_ns_each(start, job->count);
    return error;
}

static int run_map(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    skua_pool_item *items = calloc(MAP_ITEMS, sizeof(*items));
    ssize_t error = items == NULL ? -ENOMEM : 0;
    const double start = bench_now_ns();
    for (size_t done = 0; done < job->count && error == 0; done += MAP_ITEMS) {
        const size_t left = job->count - done;
        error = skua_pool_map(pool, &nothing_job, items, left < MAP_ITEMS ? left : MAP_ITEMS,
                              SKUA_FOREVER);
    }
    values[0] = bench_ns_each(start, job->count);
    free(items);
    return (int)error;
}

typedef struct countdown {
    size_t left;
} countdown;

static int take_nothing(void *arg, skua_bytes *in, skua_buf *buf)
{
    countdown *inputs = arg;
    (void)buf;
    *in = (skua_bytes){NULL, 0};
    return inputs->left > 0 && inputs->left-- > 0 ? 1 : 0;
}

/* *grown_bytes: resident memory on top of what there was after the first answers. */
static int drain_stream(skua_pool_stream *stream, size_t count, double *grown_bytes)
{
    double before = 0;
    size_t answers = 0;
    int got;
    int status = 0;
    skua_buf answer = {0};
    *grown_bytes = 0;
    while ((got = skua_pool_stream_next(stream, NULL, &status, &answer, SKUA_FOREVER)) == 1 &&
           status == 0) {
        skua_buf_release(&answer);
        if (answers++ % (count / 16 + 1) == count / 32) {
            const double now = bench_rss_bytes();
            before = before == 0 ? now : before;
            *grown_bytes = now - before > *grown_bytes ? now - before : *grown_bytes;
        }
    }
    return got < 0 ? got : status != 0 ? status : answers == count ? 0 : -EPROTO;
}

static int run_stream(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    skua_pool_stream *stream;
    countdown inputs = {job->count};
    const double start = bench_now_ns();
    int error = skua_pool_stream_open(&stream, pool, &nothing_job, take_nothing, &inputs, NULL);
    if (error == 0) {
        double grown_bytes;
        error = drain_stream(stream, job->count, &grown_bytes);
        values[0] = bench_ns_each(start, job->count);
        values[1] = grown_bytes / 1024;
        skua_pool_stream_close(stream);
    }
    return error;
}

/* Every process is kept busy meanwhile, so that all jobs wait. */
static int run_queue(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    skua_task **tasks = malloc(job->count * sizeof(skua_task *));
    skua_task *blockers[BLOCKERS_MAX] = {NULL};
    int error = tasks == NULL || job->workers > BLOCKERS_MAX ? -ENOMEM : 0;
    for (unsigned i = 0; i < job->workers && error == 0; i++) {
        error = skua_pool_submit(pool, &blockers[i], &block_job, (skua_bytes){NULL, 0}, NULL, NULL,
                                 SKUA_FOREVER);
    }
    if (error == 0) {
        memset(tasks, 0, job->count * sizeof(skua_task *));
        const double before = bench_rss_bytes();
        const double start = bench_now_ns();
        error = submit_nothing(tasks, job->count);
        values[1] = bench_ns_each(start, job->count);
        values[0] = (bench_rss_bytes() - before) / (double)job->count;
    }
    skua_task_cancel_all(blockers, job->workers);
    skua_task_release_all(blockers, job->workers);
    if (error == 0) {
        error = bench_join_all(tasks, job->count);
    }
    free(tasks);
    return error;
}

/* --- a megabyte --- */

static int copy_once(const char *in, char *out)
{
    skua_buf answer;
    int error =
        skua_pool_call(pool, &copy_job, (skua_bytes){in, POOL_BYTES}, &answer, SKUA_FOREVER);
    if (error == 0) {
        error = answer.bytes == POOL_BYTES ? 0 : -EPROTO;
        memcpy(out, answer.data, answer.bytes);
        skua_buf_release(&answer);
    }
    return error;
}

static int run_copies(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    char *in = malloc(POOL_BYTES);
    char *out = malloc(POOL_BYTES);
    int error = in == NULL || out == NULL ? -ENOMEM : 0;
    if (error == 0) {
        memset(in, 7, POOL_BYTES);
        memset(out, 0, POOL_BYTES);
        const double start = bench_now_ns();
        for (size_t i = 0; i < job->count && error == 0; i++) {
            in[i % POOL_BYTES]++;
            error = copy_once(in, out);
        }
        values[0] = bench_ns_each(start, job->count) / 1e3;
        error = error == 0 && memcmp(in, out, POOL_BYTES) != 0 ? -EPROTO : error;
    }
    free(in);
    free(out);
    return error;
}

/* A buffer to a job and back; written and looked at if `job` is that which adds. */
static int hand_over(const skua_job *job, bool is_touched)
{
    skua_buf in;
    skua_buf answer = {0};
    int error = skua_pool_alloc(pool, &in, POOL_BYTES, SKUA_FOREVER);
    if (error != 0) {
        return error;
    }
    if (is_touched) {
        memset(in.data, 0, POOL_BYTES);
    }
    error = skua_pool_call_with(pool, job, (skua_bytes){NULL, 0}, &(skua_call_opts){.in_buf = &in},
                                &answer, SKUA_FOREVER);
    if (error == 0 && (answer.bytes != POOL_BYTES ||
                       (is_touched && pool_sum(answer.data) != POOL_BYTES / sizeof(uint64_t)))) {
        error = -EPROTO;
    }
    skua_buf_release(&answer);
    return error;
}

static int hand_over_often(const bench_job *job, const skua_job *what, bool is_touched,
                           double *value)
{
    int error = 0;
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count && error == 0; i++) {
        error = hand_over(what, is_touched);
    }
    *value = bench_ns_each(start, job->count) / 1e3;
    return error;
}

static int run_untouched(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return hand_over_often(job, &give_back_job, false, values);
}

static int run_in_place(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return hand_over_often(job, &add_job, true, values);
}

/* --- life --- */

/* The process that crashes has just answered, the pool is complete. */
static int crash_once(double *told_us, double *next_us)
{
    int error = skua_sleep(skua_after(SKUA_US(BENCH_IDLE_US)));
    error = error == 0 ? call_nothing() : error;
    if (error != 0) {
        return error;
    }
    const double start = bench_now_ns();
    const int status = skua_pool_call(pool, &crash_job, (skua_bytes){NULL, 0}, NULL, SKUA_FOREVER);
    const double told = bench_now_ns();
    error = status == -EOWNERDEAD ? call_nothing() : -EPROTO;
    *told_us = (told - start) / 1e3;
    *next_us = (bench_now_ns() - told) / 1e3;
    return error;
}

static int run_crash(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    double *told_us = calloc(2 * job->count, sizeof(*told_us));
    double *next_us = told_us + job->count;
    int error = told_us == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < job->count && error == 0; i++) {
        error = crash_once(&told_us[i], &next_us[i]);
    }
    if (error == 0) {
        values[0] = bench_percentile_of(told_us, job->count, 50);
        values[1] = bench_percentile_of(next_us, job->count, 50);
    }
    free(told_us);
    return error;
}

/* Until four workers have answered: as many jobs are submitted at once. */
static int start_pool(void)
{
    skua_task *tasks[START_WORKERS] = {NULL};
    int error = skua_pool_create(&pool, &(skua_pool_opts){.workers = START_WORKERS});
    if (error != 0) {
        return error;
    }
    error = submit_nothing(tasks, START_WORKERS);
    return error == 0 ? bench_join_all(tasks, START_WORKERS) : error;
}

static int run_start(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    void *memory = pool_resident(job->count);
    if (memory == NULL) {
        return -ENOMEM;
    }
    const double start = bench_now_ns();
    const int error = start_pool();
    values[0] = (bench_now_ns() - start) / 1e6;
    skua_pool_destroy(pool);
    free(memory);
    return error;
}

static int run_idle(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    int error = call_nothing();
    error = error == 0 ? skua_sleep(skua_after(SKUA_MS(500))) : error;
    const double before = pool_family_cpu_ns(getpid());
    error = error == 0 ? skua_sleep(skua_after(SKUA_MS((int64_t)job->count))) : error;
    values[0] = (pool_family_cpu_ns(getpid()) - before) / 1e6;
    return error;
}

/* --- under mpirun --- */

/* One process for each rank, this one included. */
static int measure_cluster(void *arg)
{
    const bench_job *job = arg;
    int error = skua_cluster_size() > 1 ? 0 : -ENOTSUP;
    error = error == 0 ? skua_pool_create(&pool, &(skua_pool_opts){.workers = 1}) : error;
    if (error == 0) {
        error = bench_job_measure(job);
        skua_pool_destroy(pool);
    }
    return error;
}

static int enter_cluster(bench_job *job)
{
    return skua_run(&(skua_config){.workers = 1}, measure_cluster, job);
}

static const bench_case cases[] = {
    POOL_CASE_ASLEEP(run_asleep, enter_with_pool),
    POOL_CASE_CALL(run_call, enter_with_pool),
    POOL_CASE_CALL_64(run_call_64, enter_with_pool),
    POOL_CASE_SUBMIT(run_submit, enter_with_pool),
    POOL_CASE_MAP(run_map, enter_with_pool),
    POOL_CASE_STREAM(run_stream, enter_with_pool),
    POOL_CASE_QUEUE(run_queue, enter_with_pool),
    POOL_CASE_COPIES(run_copies, enter_with_pool),
    POOL_CASE_UNTOUCHED(run_untouched, enter_with_pool),
    POOL_CASE_IN_PLACE(run_in_place, enter_with_pool),
    POOL_CASE_CRASH(run_crash, enter_with_pool),
    POOL_CASE_START(run_start, enter_without_pool),
    POOL_CASE_IDLE(run_idle, enter_with_pool),
    POOL_CASE_CLUSTER(run_map, enter_cluster),
};

/* The last case wants mpirun, and is asked for by name. */
int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases) - (argc > 1 ? 0 : 1));
}
