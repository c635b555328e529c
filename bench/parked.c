/* What a task costs that does nothing but wait: memory, and the time until it waits. A million of
   them. */
#define _GNU_SOURCE
#include "on_skua.h"

#include <stdatomic.h>

enum { BOTH_ENDS = SKUA_SENDER | SKUA_RECEIVER };

struct crowd {
    skua_chan *gate;     /* nothing is ever sent: closing it lets everybody go */
    skua_chan *all_here; /* the last one to come says so */
    size_t count;
    atomic_size_t here; /* relaxed: counts, and publishes nothing */
};

static int park(void *arg)
{
    struct crowd *crowd = arg;
    char item = 0;
    if (atomic_fetch_add_explicit(&crowd->here, 1, memory_order_relaxed) + 1 == crowd->count) {
        const int error = skua_chan_send(crowd->all_here, SKUA_ITEM(item), SKUA_FOREVER);
        if (error != 0) {
            return error;
        }
    }
    return skua_chan_recv(crowd->gate, SKUA_ITEM(item), SKUA_FOREVER);
}

static int gather(struct crowd *crowd, skua_task **tasks, double values[BENCH_ROWS_MAX])
{
    const skua_spawn_opts opts = {.stack_bytes = BENCH_STACK_BYTES};
    size_t spawned = 0;
    int error = 0;
    const double rss_before = bench_rss_bytes();
    const double start = bench_now_ns();
    while (spawned < crowd->count && error == 0) {
        error = skua_spawn(&tasks[spawned], park, crowd, &opts);
        spawned += error == 0;
    }
    if (error == 0) {
        char item;
        error = skua_chan_recv(crowd->all_here, SKUA_ITEM(item), SKUA_FOREVER) == 1 ? 0 : -EPROTO;
        values[1] = bench_ns_each(start, crowd->count);
        values[0] = (bench_rss_bytes() - rss_before) / (double)crowd->count;
    }
    skua_chan_close(crowd->gate);
    const int join_error = bench_join_all(tasks, spawned);
    return error != 0 ? error : join_error;
}

static int run_parked(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    struct crowd crowd = {.count = job->count};
    skua_task **tasks = malloc(job->count * sizeof(*tasks));
    int error = tasks == NULL ? -ENOMEM : skua_chan_create(&crowd.gate, 1, 0);
    if (error == 0) {
        error = skua_chan_create(&crowd.all_here, 1, 1);
    }
    if (error == 0) {
        memset(tasks, 0,
               job->count * sizeof(*tasks)); /* touched now, not while memory is measured */
        error = gather(&crowd, tasks, values);
    }
    skua_chan_release(crowd.all_here, BOTH_ENDS);
    skua_chan_release(crowd.gate, BOTH_ENDS);
    free(tasks);
    return error;
}

static const bench_case cases[] = {
    {.name = "parked-1m",
     .rows = {"parked-1m-bytes", "parked-1m-ns"},
     .units = {"bytes", "ns"},
     .count = 1000000,
     .once = true,
     .run = run_parked,
     .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
