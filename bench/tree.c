/* What it costs a fork-join tree that some of its leaves wait: one in a thousand sleeps, or reads
   from a pipe that is empty.

   It may cost what the same tree costs without waits, and for each wait what a wait costs a task
   that was spawned. All of it is processor time, since waits overlap with the rest of the tree, and
   their length is not a cost:

       without    the tree, whose leaves only ask whether they would wait
       wait       so many tasks at once that wait, less so many that do not: each
       with       the tree with the waits
       ratio      with / (without + waits * wait)

   A pipe is fed by a thread of its own, some time after its reader has come; what that thread
   needs is not counted. */
#define _GNU_SOURCE
#include "on_skua.h"
#include "trees.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { REPEATS = 8, FEED_US = 500 };

/* What waits: an entry for each leaf of a tree, or task, that does. */
typedef struct waiter {
    int ends[2];
    atomic_bool is_here; /* release by the reader, acquire by the feeder: publishes nothing else */
    bool was_here;       /* the feeder's: at its last look */
} waiter;

struct crowd {
    waiter *waiters;
    size_t count;
    atomic_size_t next; /* relaxed: hands out waiters, and publishes nothing */
    atomic_bool is_over;
    pthread_t feeder;
    int (*wait)(struct crowd *crowd);
};

static int wait_not(struct crowd *crowd)
{
    (void)crowd;
    return 0;
}

static int wait_asleep(struct crowd *crowd)
{
    (void)crowd;
    return skua_sleep(skua_after(SKUA_MS(1)));
}

static int wait_for_pipe(struct crowd *crowd)
{
    char byte;
    const size_t mine = atomic_fetch_add_explicit(&crowd->next, 1, memory_order_relaxed);
    waiter *self = &crowd->waiters[mine % crowd->count];
    atomic_store_explicit(&self->is_here, true, memory_order_release);
    const ssize_t got = skua_read(self->ends[0], &byte, 1, SKUA_FOREVER);
    return got == 1 ? 0 : got < 0 ? (int)got : -EPIPE;
}

/* Feeds the pipes of those who were here a while ago: they surely wait by now. */
static void *feed(void *arg)
{
    struct crowd *crowd = arg;
    while (!atomic_load(&crowd->is_over)) {
        bench_pause_us(FEED_US);
        for (size_t i = 0; i < crowd->count; i++) {
            waiter *one = &crowd->waiters[i];
            if (one->was_here) {
                one->was_here = false;
                if (write(one->ends[1], "", 1) != 1) {
                    abort();
                }
            } else if (atomic_load_explicit(&one->is_here, memory_order_acquire)) {
                atomic_store_explicit(&one->is_here, false, memory_order_relaxed);
                one->was_here = true;
            }
        }
    }
    return NULL;
}

static double crowd_cpu_ns(const struct crowd *crowd)
{
    clockid_t clock;
    const bool is_fed = crowd->waiters != NULL && pthread_getcpuclockid(crowd->feeder, &clock) == 0;
    return bench_cpu_ns() - (is_fed ? bench_clock_ns(clock) : 0);
}

/* The tree. Its value is the number of leaves that wait, or an error. */

static long grow(struct crowd *crowd, size_t first, size_t leaves);
SKUA_FORKABLE(long, grow, struct crowd *, size_t, size_t)

static long sum_or_error(long left, long right)
{
    return left < 0 ? left : right < 0 ? right : left + right;
}

static long grow(struct crowd *crowd, size_t first, size_t leaves)
{
    if (leaves > 1) {
        grow_child child;
        const size_t half = leaves / 2;
        grow_fork(&child, crowd, first, half);
        const long called = grow(crowd, first + half, leaves - half);
        return sum_or_error(grow_sync(&child), called);
    }
    if (!bench_leaf_waits(first)) {
        return 0;
    }
    const int error = crowd->wait(crowd);
    return error < 0 ? error : 1;
}

/* Processor time of one tree. The number of waits goes to *waits, or an error. */
static double tree_ns(struct crowd *crowd, int (*wait)(struct crowd *crowd), size_t leaves,
                      long *waits)
{
    crowd->wait = wait;
    const double start = crowd_cpu_ns(crowd);
    *waits = grow(crowd, 0, leaves);
    return crowd_cpu_ns(crowd) - start;
}

static int wait_in_task(void *arg)
{
    struct crowd *crowd = arg;
    return crowd->wait(crowd);
}

/* Processor time of `count` tasks at once. */
static int tasks_ns(struct crowd *crowd, int (*wait)(struct crowd *crowd), skua_task **tasks,
                    size_t count, double *ns)
{
    size_t spawned = 0;
    int error = 0;
    crowd->wait = wait;
    const double start = crowd_cpu_ns(crowd);
    while (spawned < count && error == 0) {
        error = skua_spawn(&tasks[spawned], wait_in_task, crowd, NULL);
        spawned += error == 0;
    }
    const int join_error = bench_join_all(tasks, spawned);
    *ns += crowd_cpu_ns(crowd) - start;
    return error != 0 ? error : join_error;
}

static int measure(struct crowd *crowd, int (*wait)(struct crowd *crowd), skua_task **tasks,
                   size_t leaves, double values[BENCH_ROWS_MAX])
{
    double without_ns = 0, with_ns = 0, waiting_ns = 0, idle_ns = 0;
    int error = 0;
    for (int i = 0; i < REPEATS && error == 0; i++) {
        long waits;
        without_ns += tree_ns(crowd, wait_not, leaves, &waits);
        with_ns += tree_ns(crowd, wait, leaves, &waits);
        error = waits == (long)crowd->count ? 0 : waits < 0 ? (int)waits : -EPROTO;
        if (error == 0) {
            error = tasks_ns(crowd, wait_not, tasks, crowd->count, &idle_ns);
        }
        if (error == 0) {
            error = tasks_ns(crowd, wait, tasks, crowd->count, &waiting_ns);
        }
    }
    const double waits_ns = waiting_ns - idle_ns;
    values[0] = without_ns / REPEATS / (double)leaves;
    values[1] = waits_ns / REPEATS / (double)crowd->count;
    values[2] = with_ns / REPEATS / (double)leaves;
    values[3] = with_ns / (without_ns + waits_ns);
    return error;
}

/* A smaller tree might be without waits. */
static size_t count_leaves(const bench_job *job)
{
    const size_t least = 10 * BENCH_WAIT_ONE_IN;
    return job->count > least ? job->count : least;
}

static size_t count_waits(const bench_job *job)
{
    size_t waits = 0;
    for (size_t leaf = 0; leaf < count_leaves(job); leaf++) {
        waits += bench_leaf_waits(leaf);
    }
    return waits;
}

static int measure_crowd(struct crowd *crowd, int (*wait)(struct crowd *crowd), size_t leaves,
                         double values[BENCH_ROWS_MAX])
{
    skua_task **tasks = calloc(crowd->count, sizeof(*tasks));
    const int error = tasks == NULL ? -ENOMEM : measure(crowd, wait, tasks, leaves, values);
    free(tasks);
    return error;
}

static int run_tree_sleep(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    struct crowd crowd = {.count = count_waits(job)};
    return measure_crowd(&crowd, wait_asleep, count_leaves(job), values);
}

/* Two fds for each waiter, and some for the rest of the program. */
static void allow_fds(size_t waiters)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 2 * waiters + 100) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int open_pipes(struct crowd *crowd)
{
    allow_fds(crowd->count);
    crowd->waiters = calloc(crowd->count, sizeof(*crowd->waiters));
    int error = crowd->waiters == NULL ? -ENOMEM : 0;
    size_t opened = 0;
    while (opened < crowd->count && error == 0) {
        error = pipe(crowd->waiters[opened].ends) < 0
                    ? -EMFILE
                    : skua_fd_adopt(crowd->waiters[opened].ends[0]);
        opened += error == 0;
    }
    crowd->count = opened;
    return error;
}

static void close_pipes(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        skua_close(crowd->waiters[i].ends[0]);
        close(crowd->waiters[i].ends[1]);
    }
    free(crowd->waiters);
}

static int run_tree_pipe(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    struct crowd crowd = {.count = count_waits(job)};
    int error = open_pipes(&crowd);
    if (error == 0 && pthread_create(&crowd.feeder, NULL, feed, &crowd) != 0) {
        error = -EAGAIN;
    }
    if (error == 0) {
        error = measure_crowd(&crowd, wait_for_pipe, count_leaves(job), values);
        atomic_store(&crowd.is_over, true);
        pthread_join(crowd.feeder, NULL);
    }
    close_pipes(&crowd);
    return error;
}

static const bench_case cases[] = {
    {.name = "tree-sleep",
     .rows = {"tree-sleep-without", "tree-sleep-wait", "tree-sleep-with", "tree-sleep-ratio"},
     .units = {"ns", "ns", "ns", "x"},
     .count = 1 << 20,
     .run = run_tree_sleep,
     .enter = bench_enter_skua},
    {.name = "tree-pipe",
     .rows = {"tree-pipe-without", "tree-pipe-wait", "tree-pipe-with", "tree-pipe-ratio"},
     .units = {"ns", "ns", "ns", "x"},
     .count = 1 << 20,
     .run = run_tree_pipe,
     .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
