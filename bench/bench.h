/* bench.h: what every benchmark program in C and C++ shares.

   A program is a list of cases. A case measures one piece of work, usually for one row of the
   table, and does it several times:

       bench_NAME                 every case of the program
       bench_NAME CASE            this case only
       bench_NAME CASE WORKERS    with this many workers (default: $BENCH_WORKERS, else 1)

   Each row is printed on stdout as one JSON object on one line. $BENCH_RUNS says how many runs
   there are (default 5), $BENCH_SCALE by what the counts are multiplied (default 1).

   A program that is built with BENCH_COUNTED has another clock: it goes on by one for each atomic
   read-modify-write and each full fence that the library executes. So a case whose value is a time
   for each operation tells how many of these there are for each. Its row is called rmw-ROW, and it
   has no other. */
#ifndef SKUA_BENCH_H
#define SKUA_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef BENCH_COUNTED
#include "counted/count.h"
#define BENCH_PREFIX "rmw-"
#else
#define BENCH_PREFIX ""
#endif

#define BENCH_ROWS_MAX 4
#define BENCH_RUNS_MAX 100

typedef struct bench_case bench_case;

/* One case on its way: what run() is given. */
typedef struct bench_job {
    const bench_case *what;
    const char *who;
    unsigned workers;
    unsigned runs;
    size_t count; /* operations in a run, scaled */
} bench_job;

struct bench_case {
    const char *name;                  /* the row's id, or what its two ids begin with */
    const char *rows[BENCH_ROWS_MAX];  /* empty: one row, called as the case */
    const char *units[BENCH_ROWS_MAX]; /* empty: ns */
    size_t count;                      /* operations in a run at scale 1 */
    unsigned workers_min;              /* with fewer there is nothing to measure: left out */
    bool cold;                         /* no warm-up: it would cost seconds and change nothing */
    bool once;                         /* one run a process: memory must never have been used */
    /* Does the work and writes one value a row. 0 or an error. */
    int (*run)(const bench_job *job, double values[BENCH_ROWS_MAX]);
    /* Starts the runtime and calls bench_job_measure(job) inside it. NULL: no runtime, or run()
       starts it. */
    int (*enter)(bench_job *job);
};

/* Clocks. */

static inline double bench_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline double bench_now_ns(void)
{
#ifdef BENCH_COUNTED
    return (double)bench_rmws();
#else
    return bench_clock_ns(CLOCK_MONOTONIC);
#endif
}

static inline double bench_cpu_ns(void)
{
    return bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline double bench_ns_each(double since_ns, size_t count)
{
    return (bench_now_ns() - since_ns) / (double)count;
}

static inline void bench_pause_us(long us)
{
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

/* Memory of this process that is resident now. */
static inline double bench_rss_bytes(void)
{
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL || fscanf(statm, "%*s %ld", &pages) != 1) {
        pages = 0;
    }
    if (statm != NULL) {
        fclose(statm);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* The most that ever was, for each of `count`. */
static inline double bench_peak_bytes_each(size_t count)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024 / (double)count : 0;
}

/* The sleeps of the timer rows: 1 to 1000 ms in an order that is scattered and always the same. */
static inline unsigned bench_sleep_ms(size_t index)
{
    return (unsigned)(index * 7919 % 1000) + 1;
}

/* Order statistics. */

static inline int bench_compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static inline void bench_sort(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), bench_compare);
}

/* `values` sorted; the value that `percent` of them do not exceed. */
static inline double bench_percentile(const double *values, size_t count, unsigned percent)
{
    const size_t rank = (count * percent + 99) / 100;
    return values[rank > 0 ? rank - 1 : 0];
}

/* Sorts. */
static inline double bench_percentile_of(double *values, size_t count, unsigned percent)
{
    bench_sort(values, count);
    return bench_percentile(values, count, percent);
}

static inline double bench_median(const double *values, size_t count)
{
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* The two rows of "foreign-wake": an idle runtime gets one task after the other from this thread,
   which does not belong to it. Between two shots the runtime is left alone long enough to be asleep
   again. */

enum { BENCH_IDLE_US = 2000 };

typedef struct bench_shot {
    double sent_ns;
    double arrived_ns;
    int arrived; /* release by the task, acquire by the thread: publishes arrived_ns */
} bench_shot;

/* Called by the task, first thing. */
static inline void bench_shot_arrive(bench_shot *shot)
{
    shot->arrived_ns = bench_now_ns();
    __atomic_store_n(&shot->arrived, 1, __ATOMIC_RELEASE);
}

static inline double bench_shoot(int (*submit)(void *context, bench_shot *shot), void *context)
{
    bench_shot shot = {0, 0, 0};
    shot.sent_ns = bench_now_ns();
    if (submit(context, &shot) != 0) {
        return -1;
    }
    do {
        bench_pause_us(BENCH_IDLE_US);
    } while (!__atomic_load_n(&shot.arrived, __ATOMIC_ACQUIRE));
    return (shot.arrived_ns - shot.sent_ns) / 1e3;
}

/* Writes the 50th and the 99th percentile in us. */
static inline int bench_shoot_all(size_t count, int (*submit)(void *context, bench_shot *shot),
                                  void *context, double values[2])
{
    double *late_us = (double *)calloc(count, sizeof(*late_us));
    if (late_us == NULL) {
        return -1;
    }
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        late_us[i] = bench_shoot(submit, context);
        error = late_us[i] < 0 ? -1 : 0;
    }
    bench_sort(late_us, count);
    values[0] = bench_percentile(late_us, count, 50);
    values[1] = bench_percentile(late_us, count, 99);
    free(late_us);
    return error;
}

/* Settings. */

static inline double bench_setting(const char *name, double otherwise)
{
    const char *text = getenv(name);
    const double value = text != NULL ? strtod(text, NULL) : 0;
    return value > 0 ? value : otherwise;
}

static inline size_t bench_scaled(size_t count)
{
    const double scaled = (double)count * bench_setting("BENCH_SCALE", 1);
    return scaled < 1 ? 1 : (size_t)scaled;
}

/* Running. */

static inline void bench_print(const char *row, const char *who, unsigned workers, const char *unit,
                               double *values, size_t runs)
{
    bench_sort(values, runs);
    printf("{\"row\":\"" BENCH_PREFIX "%s\",\"who\":\"%s\",\"workers\":%u,\"unit\":\"%s\","
           "\"median\":%.3f,\"min\":%.3f,\"max\":%.3f,\"runs\":%zu}\n",
           row, who, workers, unit, bench_median(values, runs), values[0], values[runs - 1], runs);
    fflush(stdout);
}

static inline void bench_job_print(const bench_job *job, double table[][BENCH_RUNS_MAX])
{
#ifdef BENCH_COUNTED
    bench_print(job->what->name, job->who, job->workers, "RMWs", table[0], job->runs);
#else
    for (size_t i = 0; i < BENCH_ROWS_MAX; i++) {
        const char *row = job->what->rows[i] != NULL ? job->what->rows[i] : job->what->name;
        const char *unit = job->what->units[i] != NULL ? job->what->units[i] : "ns";
        if (i == 0 || job->what->rows[i] != NULL) {
            bench_print(row, job->who, job->workers, unit, table[i], job->runs);
        }
    }
#endif
}

/* A run at a tenth of the count warms caches, stacks and branch predictors, and is not counted. */
static inline int bench_job_warm_up(const bench_job *job)
{
    double ignored[BENCH_ROWS_MAX];
    bench_job small = *job;
    small.count = job->count > 10 ? job->count / 10 : 1;
    return job->what->cold || job->what->once ? 0 : job->what->run(&small, ignored);
}

/* Warm-up, all runs, and the records. 0 or the first error. */
static inline int bench_job_measure(const bench_job *job)
{
    double table[BENCH_ROWS_MAX][BENCH_RUNS_MAX];
    int error = bench_job_warm_up(job);
    for (unsigned run = 0; error == 0 && run < job->runs; run++) {
        double values[BENCH_ROWS_MAX] = {0};
        error = job->what->run(job, values);
        for (size_t i = 0; i < BENCH_ROWS_MAX; i++) {
            table[i][run] = values[i];
        }
    }
    if (error == 0) {
        bench_job_print(job, table);
    }
    return error;
}

static inline unsigned bench_runs(const bench_case *what)
{
    const double runs = bench_setting("BENCH_RUNS", 5);
    if (what->once || runs < 1) {
        return 1;
    }
    return runs < BENCH_RUNS_MAX ? (unsigned)runs : BENCH_RUNS_MAX;
}

static inline int bench_case_run(const bench_case *what, const char *who, unsigned workers)
{
    bench_job job;
    job.what = what;
    job.who = who;
    job.workers = workers;
    job.runs = bench_runs(what);
    job.count = bench_scaled(what->count);
    const int error = what->enter != NULL ? what->enter(&job) : bench_job_measure(&job);
    if (error != 0) {
        fprintf(stderr, "%s: %s with %u workers failed: %d\n", who, what->name, workers, error);
    }
    return error;
}

/* Runs this program again for one case, so that no case inherits the memory of another. */
static inline int bench_case_apart(const bench_case *what, unsigned workers)
{
    char text[16];
    int status = 0;
    snprintf(text, sizeof(text), "%u", workers);
    const pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", what->name, what->name, text, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        return -1;
    }
    return status;
}

/* The whole of main(). 0: every case asked for gave its rows. 2: there is no such case. */
static inline int bench_main(int argc, char **argv, const char *who, const bench_case *cases,
                             size_t count)
{
    const size_t prefix = strlen(BENCH_PREFIX);
    const bool is_prefixed = argc > 1 && strncmp(argv[1], BENCH_PREFIX, prefix) == 0;
    const char *only = argc > 1 ? argv[1] + (is_prefixed ? prefix : 0) : NULL;
    const unsigned asked = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    const unsigned workers = asked > 0 ? asked : (unsigned)bench_setting("BENCH_WORKERS", 1);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (only == NULL && workers < cases[i].workers_min) {
            continue;
        }
        if (only == NULL) {
            failed |= bench_case_apart(&cases[i], workers) != 0;
        } else if (strcmp(only, cases[i].name) == 0) {
            return bench_case_run(&cases[i], who, workers) != 0;
        }
    }
    if (only != NULL) {
        fprintf(stderr, "%s: there is no case \"%s\" here\n", who, only);
        return 2;
    }
    return failed;
}

#define BENCH_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
