/* rows.h: the rows of the process pool: their names, units and counts, the same for Skua's program
   and for those written by hand; and what both need to measure them. */
#ifndef SKUA_BENCH_POOL_ROWS_H
#define SKUA_BENCH_POOL_ROWS_H

#include "bench.h"

#include <dirent.h>
#include <signal.h>

enum {
    POOL_BYTES = 1 << 20, /* what "1m" stands for */
    POOL_CALLERS = 64,
};

#define POOL_CASE_ASLEEP(run_, enter_)                                                             \
    {                                                                                              \
        .name = "pool-asleep", .rows = {"pool-asleep-p50", "pool-asleep-p99"},                     \
        .units = {"us", "us"}, .count = 500, .cold = true, .run = (run_), .enter = (enter_)        \
    }
#define POOL_CASE_CALL(run_, enter_)                                                               \
    {                                                                                              \
        .name = "pool-call", .units = {"us"}, .count = 50000, .run = (run_), .enter = (enter_)     \
    }
#define POOL_CASE_CALL_64(run_, enter_)                                                            \
    {                                                                                              \
        .name = "pool-call-64", .units = {"us"}, .count = 1000000, .run = (run_),                  \
        .enter = (enter_)                                                                          \
    }
#define POOL_CASE_MAP(run_, enter_)                                                                \
    {                                                                                              \
        .name = "pool-map", .count = 2000000, .run = (run_), .enter = (enter_)                     \
    }
#define POOL_CASE_SUBMIT(run_, enter_)                                                             \
    {                                                                                              \
        .name = "pool-submit", .count = 1000000, .run = (run_), .enter = (enter_)                  \
    }
#define POOL_CASE_STREAM(run_, enter_)                                                             \
    {                                                                                              \
        .name = "pool-stream", .rows = {"pool-stream", "pool-stream-growth"},                      \
        .units = {"ns", "KiB"}, .count = 10000000, .run = (run_), .enter = (enter_)                \
    }
/* The first run grows the memory that the later ones find. */
#define POOL_CASE_QUEUE(run_, enter_)                                                              \
    {                                                                                              \
        .name = "pool-queue", .rows = {"pool-queue-bytes", "pool-queue"},                          \
        .units = {"bytes", "ns"}, .count = 1000000, .once = true, .run = (run_), .enter = (enter_) \
    }
#define POOL_CASE_COPIES(run_, enter_)                                                             \
    {                                                                                              \
        .name = "pool-1m-copies", .units = {"us"}, .count = 1000, .run = (run_), .enter = (enter_) \
    }
#define POOL_CASE_IN_PLACE(run_, enter_)                                                           \
    {                                                                                              \
        .name = "pool-1m-in-place", .units = {"us"}, .count = 1000, .run = (run_),                 \
        .enter = (enter_)                                                                          \
    }
#define POOL_CASE_UNTOUCHED(run_, enter_)                                                          \
    {                                                                                              \
        .name = "pool-1m-untouched", .units = {"us"}, .count = 100000, .run = (run_),              \
        .enter = (enter_)                                                                          \
    }
#define POOL_CASE_CRASH(run_, enter_)                                                              \
    {                                                                                              \
        .name = "pool-crash", .rows = {"pool-crash-told", "pool-crash-next"},                      \
        .units = {"us", "us"}, .count = 50, .run = (run_), .enter = (enter_)                       \
    }
/* Under mpirun, with four ranks. */
#define POOL_CASE_CLUSTER(run_, enter_)                                                            \
    {                                                                                              \
        .name = "cluster-map", .count = 500000, .run = (run_), .enter = (enter_)                   \
    }
/* The count is what is resident, in MiB. */
#define POOL_CASE_START(run_, enter_)                                                              \
    {                                                                                              \
        .name = "pool-start-4", .units = {"ms"}, .count = 2048, .cold = true, .run = (run_),       \
        .enter = (enter_)                                                                          \
    }
/* The count is the time in ms. */
#define POOL_CASE_IDLE(run_, enter_)                                                               \
    {                                                                                              \
        .name = "pool-idle", .units = {"ms"}, .count = 2000, .cold = true, .run = (run_),          \
        .enter = (enter_)                                                                          \
    }

/* What a job that crashes does: killed at once, and nobody writes a core file. */
static inline void pool_crash(void)
{
    kill(getpid(), SIGKILL);
    _exit(1);
}

/* A cache line, which the compiler takes in as few steps as it can. */
typedef uint64_t pool_line __attribute__((vector_size(64)));

/* What the job of pool-1m-in-place does with POOL_BYTES bytes: adds 1 to each 64-bit word. */
static inline void pool_add(void *data)
{
    pool_line *lines = (pool_line *)data;
    for (size_t i = 0; i < POOL_BYTES / sizeof(*lines); i++) {
        lines[i] += 1;
    }
}

/* And its caller then: the sum of the words. */
static inline uint64_t pool_sum(const void *data)
{
    const pool_line *lines = (const pool_line *)data;
    pool_line sums = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < POOL_BYTES / sizeof(*lines); i++) {
        sums += lines[i];
    }
    for (size_t i = 0; i < sizeof(sums) / sizeof(sum); i++) {
        sum += sums[i];
    }
    return sum;
}

/* Memory that was written, so that it is resident; to be freed. */
static inline void *pool_resident(size_t mib)
{
    const size_t bytes = mib << 20;
    char *memory = (char *)malloc(bytes);
    for (size_t i = 0; memory != NULL && i < bytes; i += 4096) {
        ((volatile char *)memory)[i] = 1;
    }
    return memory;
}

static inline double pool_family_cpu_ns(pid_t pid);

/* The children that one thread of a process forked. */
static inline double pool_children_cpu_ns(pid_t pid, const char *thread)
{
    char path[64];
    int child;
    double sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, thread);
    FILE *children = fopen(path, "r");
    while (children != NULL && fscanf(children, "%d", &child) == 1) {
        sum += pool_family_cpu_ns((pid_t)child);
    }
    if (children != NULL) {
        fclose(children);
    }
    return sum;
}

/* Processor time of a process, of its children and of theirs, in ns. */
static inline double pool_family_cpu_ns(pid_t pid)
{
    char path[64];
    clockid_t clock;
    double sum = clock_getcpuclockid(pid, &clock) == 0 ? bench_clock_ns(clock) : 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    for (struct dirent *entry; threads != NULL && (entry = readdir(threads)) != NULL;) {
        sum += entry->d_name[0] != '.' ? pool_children_cpu_ns(pid, entry->d_name) : 0;
    }
    if (threads != NULL) {
        closedir(threads);
    }
    return sum;
}

#endif
