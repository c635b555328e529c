/* The cases of the pools that are written by hand. */
#define _GNU_SOURCE
#include "raw.h"
#include "rows.h"

#include <errno.h>

/* One job and its answer. */
static int call(unsigned worker, raw_kind kind, const void *in, size_t bytes, raw_answer *answer)
{
    int error = raw_post(worker, kind, in, bytes);
    if (error == 0) {
        error = raw_flush();
    }
    if (error == 0) {
        const ssize_t got = raw_wait(answer, 1);
        error = got < 0 ? (int)got : got != 1 || answer->worker != worker ? -EPROTO : 0;
    }
    return error;
}

static int call_nothing(unsigned worker)
{
    raw_answer answer;
    const int error = call(worker, RAW_NOTHING, NULL, 0, &answer);
    return error == 0 && answer.is_lost ? -EOWNERDEAD : error;
}

int raw_run_asleep(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    double *took_us = calloc(job->count, sizeof(*took_us));
    int error = took_us == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < job->count && error == 0; i++) {
        bench_pause_us(BENCH_IDLE_US);
        const double start = bench_now_ns();
        error = call_nothing((unsigned)(i % job->workers));
        took_us[i] = (bench_now_ns() - start) / 1e3;
    }
    if (error == 0) {
        values[0] = bench_percentile_of(took_us, job->count, 50);
        values[1] = bench_percentile(took_us, job->count, 99);
    }
    free(took_us);
    return error;
}

int raw_run_call(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    int error = 0;
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count && error == 0; i++) {
        error = call_nothing((unsigned)(i % job->workers));
    }
    values[0] = bench_ns_each(start, job->count) / 1e3;
    return error;
}

/* `count` empty jobs, `window` of each worker under way: each answer makes room for the next. */
static int run_window(const bench_job *job, size_t window)
{
    raw_answer answers[RAW_WINDOW_MAX];
    size_t posted = 0;
    size_t answered = 0;
    int error = 0;
    for (size_t i = 0; i < window * job->workers && posted < job->count && error == 0; i++) {
        error = raw_post((unsigned)(i % job->workers), RAW_NOTHING, NULL, 0);
        posted++;
    }
    while (error == 0 && answered < job->count) {
        error = raw_flush();
        const ssize_t got = error == 0 ? raw_wait(answers, RAW_WINDOW_MAX) : 0;
        error = got < 0 ? (int)got : error;
        for (ssize_t i = 0; i < got && error == 0; i++) {
            answered++;
            if (posted < job->count) {
                error = raw_post(answers[i].worker, RAW_NOTHING, NULL, 0);
                posted++;
            }
        }
    }
    return error;
}

int raw_run_call_64(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const double start = bench_now_ns();
    const int error = run_window(job, POOL_CALLERS / job->workers);
    values[0] = bench_ns_each(start, job->count) / 1e3;
    return error;
}

int raw_run_map(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const double start = bench_now_ns();
    const int error = run_window(job, raw_window);
    values[0] = bench_ns_each(start, job->count);
    return error;
}

/* From the caller's memory to the caller's memory: a copy each into what is shared, into the answer
   and out again. */
static int copy_once(unsigned worker, const void *in, void *out)
{
    raw_answer answer;
    const int error = call(worker, RAW_COPY, in, POOL_BYTES, &answer);
    if (error != 0 || answer.is_lost || answer.bytes != POOL_BYTES) {
        return error != 0 ? error : -EPROTO;
    }
    memcpy(out, answer.data, POOL_BYTES);
    return 0;
}

int raw_run_copies(const bench_job *job, double values[BENCH_ROWS_MAX])
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
            error = copy_once((unsigned)(i % job->workers), in, out);
        }
        values[0] = bench_ns_each(start, job->count) / 1e3;
        error = error == 0 && memcmp(in, out, POOL_BYTES) != 0 ? -EPROTO : error;
    }
    free(in);
    free(out);
    return error;
}

/* A megabyte changes hands twice, and nobody looks into it. */
int raw_run_untouched(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    raw_answer answer;
    int error = 0;
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count && error == 0; i++) {
        const unsigned worker = (unsigned)(i % job->workers);
        error = call(worker, RAW_NOTHING, raw_buffer(worker), POOL_BYTES, &answer);
        error = error == 0 && answer.bytes != POOL_BYTES ? -EPROTO : error;
    }
    values[0] = bench_ns_each(start, job->count) / 1e3;
    return error;
}

/* The caller writes each byte, the job changes each word, the caller reads each word. */
int raw_run_in_place(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    raw_answer answer;
    int error = 0;
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count && error == 0; i++) {
        const unsigned worker = (unsigned)(i % job->workers);
        memset(raw_buffer(worker), 0, POOL_BYTES);
        error = call(worker, RAW_ADD, raw_buffer(worker), POOL_BYTES, &answer);
        if (error == 0 && pool_sum(answer.data) != POOL_BYTES / sizeof(uint64_t)) {
            error = -EPROTO;
        }
    }
    values[0] = bench_ns_each(start, job->count) / 1e3;
    return error;
}

/* As in skua.c. */
static int crash_once(double *told_us, double *next_us)
{
    raw_answer answer;
    bench_pause_us(BENCH_IDLE_US);
    int error = call_nothing(0);
    if (error != 0) {
        return error;
    }
    const double start = bench_now_ns();
    error = call(0, RAW_CRASH, NULL, 0, &answer);
    const double told = bench_now_ns();
    error = error == 0 && !answer.is_lost ? -EPROTO : error;
    error = error == 0 ? call_nothing(0) : error;
    *told_us = (told - start) / 1e3;
    *next_us = (bench_now_ns() - told) / 1e3;
    return error;
}

int raw_run_crash(const bench_job *job, double values[BENCH_ROWS_MAX])
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

/* Until four workers have answered. */
int raw_run_start(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    void *memory = pool_resident(job->count);
    if (memory == NULL) {
        return -ENOMEM;
    }
    const double start = bench_now_ns();
    int error = raw_start(4);
    for (unsigned worker = 0; worker < 4 && error == 0; worker++) {
        error = call_nothing(worker);
    }
    values[0] = (bench_now_ns() - start) / 1e6;
    raw_stop();
    free(memory);
    return error;
}

int raw_run_idle(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    int error = 0;
    for (unsigned worker = 0; worker < job->workers && error == 0; worker++) {
        error = call_nothing(worker);
    }
    bench_pause_us(500000);
    const double before = pool_family_cpu_ns(getpid());
    bench_pause_us((long)job->count * 1000);
    values[0] = (pool_family_cpu_ns(getpid()) - before) / 1e6;
    return error;
}

int raw_enter(bench_job *job)
{
    int error = raw_start(job->workers);
    if (error == 0) {
        error = bench_job_measure(job);
        raw_stop();
    }
    return error;
}
