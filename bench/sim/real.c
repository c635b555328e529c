/* The simulation's workloads on the library itself, on the machine at hand: what the simulation is
   held against. `sim_real WORKLOAD [WORKERS]` prints: workload, workers, unit, and the least and
   the median of its runs (for each task, yield or message; for serve the median and the 99th
   percentile of the time until the end of a request). */
#define _GNU_SOURCE
#include "on_skua.h"

#include <math.h>
#include <pthread.h>

enum { RUNS = 15, STORM = 40000, YIELDERS = 8, TURNS = 20000, MESSAGES = 200000, REQUESTS = 6000 };

static unsigned workers;

/* Until the clock says so: the rate of the processor changes too much to count loops. A thread that
   is put aside meanwhile has done its leaf for nothing, but that is one leaf in a time slice. */
static void spin(double ns)
{
    const double end = ns > 0 ? bench_now_ns() + ns : 0;
    while (ns > 0 && bench_now_ns() < end) {}
}

static int leaf(void *arg)
{
    spin(*(const double *)arg);
    return 0;
}

static int spawn_and_join(size_t count, skua_fn fn, void *arg)
{
    skua_task **tasks = calloc(count, sizeof(*tasks));
    size_t spawned = 0;
    int error = tasks == NULL ? -ENOMEM : 0;
    while (spawned < count && error == 0) {
        error = skua_spawn(&tasks[spawned], fn, arg, NULL);
        spawned += error == 0;
    }
    const int join_error = bench_join_all(tasks, spawned);
    free(tasks);
    return error != 0 ? error : join_error;
}

static int storm(void *leaf_ns)
{
    return spawn_and_join(STORM, leaf, leaf_ns);
}

static int depths[] = {0, 1, 2, 3, 4, 5};
static double one_us = 1000;

static int skynet(void *depth)
{
    const int here = *(const int *)depth;
    return here == 0 ? leaf(&one_us) : spawn_and_join(10, skynet, &depths[here - 1]);
}

static int take_turns(void *arg)
{
    (void)arg;
    int error = 0;
    for (int i = 0; i < TURNS && error == 0; i++) {
        error = skua_yield();
    }
    return error;
}

static int yielders(void *arg)
{
    return spawn_and_join(YIELDERS, take_turns, arg);
}

static int echo(void *arg)
{
    skua_chan **both = arg;
    int item, got;
    while ((got = skua_chan_recv(both[0], SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        got = skua_chan_send(both[1], SKUA_ITEM(item), SKUA_FOREVER);
        if (got != 0) {
            return got;
        }
    }
    return got;
}

static int pair(void *arg)
{
    (void)arg;
    skua_chan *both[2];
    skua_task *other;
    int item = 0;
    if (skua_chan_create(&both[0], sizeof(item), 0) != 0 ||
        skua_chan_create(&both[1], sizeof(item), 0) != 0 ||
        skua_spawn(&other, echo, both, NULL) != 0) {
        return -ENOMEM;
    }
    for (int i = 0; i < MESSAGES / 2; i++) {
        if (skua_chan_send(both[0], SKUA_ITEM(item), SKUA_FOREVER) != 0 ||
            skua_chan_recv(both[1], SKUA_ITEM(item), SKUA_FOREVER) != 1) {
            return -EPROTO;
        }
    }
    skua_chan_close(both[0]);
    const int error = bench_join_all(&other, 1);
    skua_chan_release(both[0], SKUA_SENDER | SKUA_RECEIVER);
    skua_chan_release(both[1], SKUA_SENDER | SKUA_RECEIVER);
    return error;
}

static int pairs(void *arg)
{
    return spawn_and_join(workers, pair, arg);
}

/* A measurement: `count` things in each run. */
struct sum {
    skua_fn fn;
    void *arg;
    double count, values[RUNS];
};

static int measure(void *arg)
{
    struct sum *sum = arg;
    int error = sum->fn(sum->arg);
    for (int i = 0; i < RUNS && error == 0; i++) {
        const double start = bench_now_ns();
        error = sum->fn(sum->arg);
        sum->values[i] = (bench_now_ns() - start) / sum->count;
    }
    return error;
}

static int run(const char *name, skua_fn fn, void *arg, double count)
{
    struct sum sum = {.fn = fn, .arg = arg, .count = count};
    const int error = skua_run(&(skua_config){.workers = workers}, measure, &sum);
    bench_sort(sum.values, RUNS);
    printf("%s\t%u\tns\t%.1f\t%.1f\n", name, workers, sum.values[0], sum.values[RUNS / 2]);
    return error;
}

struct request {
    double due_ns, *latency_us;
    double service_ns;
};

static int serve_one(void *arg)
{
    const struct request *request = arg;
    spin(request->service_ns);
    *request->latency_us = (bench_now_ns() - request->due_ns) / 1e3;
    return 0;
}

/* Poisson arrivals from this thread; it waits by looking at the clock. */
static int serve(double load)
{
    static double latency_us[REQUESTS];
    skua_runtime *runtime;
    int error = skua_runtime_create(&runtime, &(skua_config){.workers = workers});
    double due = bench_now_ns();
    for (int i = 0; i < REQUESTS && error == 0; i++) {
        due += -log(1 - drand48()) * 20000 / load / workers;
        struct request one = {due, &latency_us[i], -log(1 - drand48()) * 20000};
        while (bench_now_ns() < due) {}
        error = skua_submit(runtime, NULL, serve_one, &one,
                            &(skua_spawn_opts){.arg_bytes = sizeof(one)});
    }
    bench_pause_us(100000);
    skua_runtime_destroy(runtime);
    bench_sort(latency_us, REQUESTS);
    printf("serve\t%u\tus\t%.1f\t%.1f\n", workers, bench_percentile(latency_us, REQUESTS, 50),
           bench_percentile(latency_us, REQUESTS, 99));
    return error;
}

int main(int argc, char **argv)
{
    static double none = 0, five_us = 5000;
    const char *name = argc > 1 ? argv[1] : "";
    workers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    if (strcmp(name, "storm0") == 0) {
        return run(name, storm, &none, STORM);
    } else if (strcmp(name, "storm") == 0) {
        return run(name, storm, &five_us, STORM);
    } else if (strcmp(name, "skynet") == 0) {
        return run(name, skynet, &depths[5], 111111);
    } else if (strcmp(name, "yield") == 0) {
        return run(name, yielders, NULL, YIELDERS * TURNS);
    } else if (strcmp(name, "pairs") == 0) {
        return run(name, pairs, NULL, MESSAGES * (double)workers);
    } else if (strcmp(name, "serve") == 0) {
        return serve(0.3);
    }
    fprintf(stderr, "sim_real storm0|storm|skynet|yield|pairs|serve [WORKERS]\n");
    return 2;
}
