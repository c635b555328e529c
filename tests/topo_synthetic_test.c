/* Large machines, made up by hwloc: the order of victims, the groups that share an inject queue,
   and that what stands in one group's queue is taken by the others too. */
#include "sched/runtime.h"
#include "tasks.h"
#include "topo/topo.h"

#include <pthread.h>

typedef struct machine {
    const char *text;
    uint32_t workers, groups;
    uint32_t levels[6]; /* how many are at each distance, from near to far */
} machine;

static const machine machines[] = {
    {"node:4 l3:4 core:8 pu:2", 256, 16, {1, 14, 48, 192}},
    {"package:2 core:64 pu:1", 128, 2, {63, 64}},
    {"node:1 core:2 pu:2", 4, 1, {1, 2}},
    {"node:8 core:16 pu:2", 256, 8, {1, 30, 224}},
    {"node:2 l3:8 l2:4 core:2 pu:1", 128, 16, {1, 6, 56, 64}},
    {"package:2 node:2 l3:2 core:12 pu:1", 96, 8, {11, 12, 24, 48}},
    {"l3:16 core:4 pu:1", 64, 16, {3, 60}},
    {"l3:8 core:4 pu:1", 32, 1, {3, 28}},
    {"l3:32 core:2 pu:1", 64, 1, {1, 62}},
    {"core:8 pu:1", 8, 1, {7}},
};

enum { MACHINES = sizeof machines / sizeof machines[0] };

static struct skua__topo *topo_open(const char *text, uint32_t workers)
{
    struct skua__topo *topo = NULL;
    CHECK_INT(setenv("HWLOC_SYNTHETIC", text, 1), 0);
    CHECK_INT(skua__topo_create(&topo, workers), 0);
    CHECK_INT(unsetenv("HWLOC_SYNTHETIC"), 0);
    return topo;
}

/* Up to which of its victims `other` is as near as any: the measure of their distance. */
static uint32_t distance(const struct skua__topo *topo, uint32_t worker, uint32_t other)
{
    uint32_t count = 0;
    const uint32_t *list = skua__topo_victims(topo, worker, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == other) {
            return skua__topo_level_end(topo, worker, i);
        }
    }
    test_fail(__FILE__, __LINE__, "%u is no victim of %u", other, worker);
}

static void check_levels(const struct skua__topo *topo, const machine *one, uint32_t worker)
{
    uint32_t begin = 0;
    for (int level = 0; one->levels[level] != 0; level++) {
        const uint32_t end = skua__topo_level_end(topo, worker, begin);
        CHECK_INT(end - begin, one->levels[level]);
        for (uint32_t i = begin; i < end; i++) {
            CHECK_INT(skua__topo_level_end(topo, worker, i), end);
        }
        begin = end;
    }
    CHECK_INT(begin, one->workers - 1);
}

static void check_each_once(const struct skua__topo *topo, const machine *one, uint32_t worker)
{
    bool seen[1024] = {false};
    uint32_t count = 0;
    const uint32_t *list = skua__topo_victims(topo, worker, &count);
    CHECK_INT(count, one->workers - 1);
    seen[worker] = true;
    for (uint32_t i = 0; i < count; i++) {
        CHECK(list[i] < one->workers && !seen[list[i]]);
        seen[list[i]] = true;
    }
}

static void victims_are_in_levels_and_each_once(void **state)
{
    for (int i = 0; i < MACHINES; i++) {
        struct skua__topo *topo = topo_open(machines[i].text, machines[i].workers);
        for (uint32_t worker = 0; worker < machines[i].workers; worker++) {
            check_levels(topo, &machines[i], worker);
            check_each_once(topo, &machines[i], worker);
        }
        skua__topo_destroy(topo);
    }
}

static void distances_are_the_same_both_ways(void **state)
{
    for (int i = 0; i < MACHINES; i++) {
        struct skua__topo *topo = topo_open(machines[i].text, machines[i].workers);
        for (uint32_t worker = 0; worker < machines[i].workers; worker += 3) {
            for (uint32_t other = worker + 1; other < machines[i].workers; other += 2) {
                CHECK_INT(distance(topo, worker, other), distance(topo, other, worker));
            }
        }
        skua__topo_destroy(topo);
    }
}

/* Inside a level no two neighbours begin with the same victim, so they do not all rob one. */
static void neighbours_begin_with_different_victims(void **state)
{
    struct skua__topo *topo = topo_open("node:4 l3:4 core:16 pu:1", 256);
    for (uint32_t worker = 0; worker + 1 < 256; worker++) {
        uint32_t count = 0;
        CHECK(skua__topo_victims(topo, worker, &count)[0] !=
              skua__topo_victims(topo, worker + 1, &count)[0]);
    }
    skua__topo_destroy(topo);
}

static void groups_are_neighbours(void **state)
{
    for (int i = 0; i < MACHINES; i++) {
        const machine *one = &machines[i];
        struct skua__topo *topo = topo_open(one->text, one->workers);
        const uint32_t size = one->workers / one->groups;
        CHECK_INT(skua__topo_groups(topo, one->workers), one->groups);
        for (uint32_t worker = 0; worker < one->workers; worker++) {
            CHECK_INT(skua__topo_group(topo, worker), worker / size);
        }
        CHECK(skua__topo_group_here(topo) < one->groups);
        skua__topo_destroy(topo);
    }
}

static void only_the_groups_of_workers_count(void **state)
{
    struct skua__topo *topo = topo_open("node:4 l3:4 core:8 pu:2", 300);
    CHECK_INT(skua__topo_groups(topo, 1), 1);
    CHECK_INT(skua__topo_groups(topo, 16), 1);
    CHECK_INT(skua__topo_groups(topo, 17), 2);
    CHECK_INT(skua__topo_groups(topo, 256), 16);
    CHECK_INT(skua__topo_groups(topo, 300), 16);
    CHECK_INT(skua__topo_group(topo, 256), 0); /* wrapped around */
    CHECK_INT(skua__topo_group(topo, 299), 2);
    skua__topo_destroy(topo);
    topo = topo_open("this is no topology", 64);
    CHECK_INT(skua__topo_group(topo, 63), skua__topo_groups(topo, 64) - 1);
    skua__topo_destroy(topo);
}

/* --- runtimes on such a machine --------------------------------------------------------------- */

enum { GROUPS = 4, IN_GROUP = 8, WORKERS = GROUPS * IN_GROUP };

static skua_runtime *runtime_open(const char *text, uint32_t workers)
{
    skua_runtime *runtime = NULL;
    CHECK_INT(setenv("HWLOC_SYNTHETIC", text, 1), 0);
    CHECK_INT(skua_runtime_create(&runtime, &(skua_config){.workers = workers}), 0);
    CHECK_INT(unsetenv("HWLOC_SYNTHETIC"), 0);
    return runtime;
}

static int queues_of(const char *text, uint32_t workers)
{
    skua_runtime *runtime = runtime_open(text, workers);
    const int count = (int)runtime->injects.count;
    skua_runtime_destroy(runtime);
    return count;
}

static void a_runtime_has_a_queue_for_each_group(void **state)
{
    CHECK_INT(queues_of("node:4 l3:4 core:8 pu:2", 64), 4);
    CHECK_INT(queues_of("node:4 l3:4 core:8 pu:2", 9), 1);
    CHECK_INT(queues_of("node:1 core:2 pu:2", 4), 1);
    CHECK_INT(queues_of("l3:2 core:8 pu:1", 1), 1);
}

typedef struct flood {
    gate done, held;
    int count;
    bool must_hold;
} flood;

static int count_one(void *arg)
{
    atomic_fetch_add(&((flood *)arg)->done, 1);
    return 0;
}

/* More than the ring holds, so that half of them go to the queue of this worker's group. Then it
   keeps its worker until all have run. */
static int flood_and_hold(void *arg)
{
    flood *all = arg;
    for (int i = 0; i < all->count; i++) {
        CHECK_INT(skua_spawn(NULL, count_one, all, NULL), 0);
    }
    while (all->must_hold && atomic_load(&all->done) < all->count) {
        sched_yield();
    }
    return 0;
}

static int hold(void *arg)
{
    flood *all = arg;
    atomic_fetch_add(&all->held, 1);
    while (atomic_load(&all->done) < all->count) {
        sched_yield();
    }
    return 0;
}

static void every_group_empties_its_queue(void **state)
{
    enum { EACH = 3000 / TEST_SCALE };
    skua_runtime *runtime = runtime_open("l3:4 core:8 pu:1", WORKERS);
    flood floods[GROUPS] = {{0}};
    CHECK_INT(runtime->injects.count, GROUPS);
    for (uint32_t group = 0; group < GROUPS; group++) {
        floods[group].count = EACH;
        const skua_spawn_opts opts = {.pin = 1 + group * IN_GROUP};
        CHECK_INT(skua_submit(runtime, NULL, flood_and_hold, &floods[group], &opts), 0);
    }
    for (int group = 0; group < GROUPS; group++) {
        await(&floods[group].done, EACH);
    }
    skua_runtime_destroy(runtime);
}

/* All workers of the group are stuck: what spilled into its queue has no takers but the others. */
static void other_groups_take_what_a_stuck_group_has_queued(void **state)
{
    skua_runtime *runtime = runtime_open("l3:4 core:8 pu:1", WORKERS);
    flood stuck = {.count = 2000 / TEST_SCALE, .must_hold = true};
    const uint32_t first = 2 * IN_GROUP;
    for (uint32_t i = 1; i < IN_GROUP; i++) {
        const skua_spawn_opts opts = {.pin = 1 + first + i};
        CHECK_INT(skua_submit(runtime, NULL, hold, &stuck, &opts), 0);
    }
    await(&stuck.held, IN_GROUP - 1);
    const skua_spawn_opts opts = {.pin = 1 + first};
    CHECK_INT(skua_submit(runtime, NULL, flood_and_hold, &stuck, &opts), 0);
    await(&stuck.done, stuck.count);
    skua_runtime_destroy(runtime);
}

typedef struct submitter {
    skua_runtime *runtime;
    flood *all;
} submitter;

static void *submit_many(void *arg)
{
    const submitter *self = arg;
    for (int i = 0; i < self->all->count; i++) {
        CHECK_INT(skua_submit(self->runtime, NULL, count_one, self->all, NULL), 0);
    }
    return NULL;
}

static void foreign_threads_submit_to_any_group(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    flood all = {.count = 5000 / TEST_SCALE};
    submitter self = {runtime_open("l3:4 core:8 pu:1", WORKERS), &all};
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, submit_many, &self), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    await(&all.done, THREADS * all.count);
    skua_runtime_destroy(self.runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(victims_are_in_levels_and_each_once),
        TEST(distances_are_the_same_both_ways),
        TEST(neighbours_begin_with_different_victims),
        TEST(groups_are_neighbours),
        TEST(only_the_groups_of_workers_count),
        TEST(a_runtime_has_a_queue_for_each_group),
        TEST(every_group_empties_its_queue),
        TEST(other_groups_take_what_a_stuck_group_has_queued),
        TEST(foreign_threads_submit_to_any_group),
    };
    return TEST_RUN(tests);
}
