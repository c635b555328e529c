/* The CPU quota on made-up cgroup trees, and the order of victims on made-up machines. */
#define _GNU_SOURCE 1
#include "test.h"
#include "topo/topo.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>

/* A folder of our own, which looks like /sys/fs/cgroup, with a file "self" in it. */
static char tree[64];

static void tree_open(void)
{
    snprintf(tree, sizeof tree, "/tmp/skua-topo-XXXXXX");
    CHECK_PTR(mkdtemp(tree), tree);
}

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *at)
{
    return remove(path);
}

static void tree_close(void)
{
    CHECK_INT(nftw(tree, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Write `text` to the file `name` below the tree, making folders as needed. */
static void put(const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", tree, name);
    for (char *at = strchr(path + strlen(tree) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        CHECK(mkdir(path, 0755) == 0 || errno == EEXIST);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

static uint32_t quota(const char *lines)
{
    char self[PATH_MAX];
    put("self", lines);
    snprintf(self, sizeof self, "%s/self", tree);
    return skua__topo_quota(tree, self);
}

static void quota_without_cgroups_is_no_limit(void **state)
{
    CHECK_INT(skua__topo_quota("/nonexistent", "/nonexistent/self"), 0);
    tree_open();
    CHECK_INT(quota(""), 0);
    CHECK_INT(quota("0::/\n"), 0);
    CHECK_INT(quota("nonsense\n:\n::\n0:\n"), 0);
    tree_close();
}

/* covers: B44 */
static void quota_of_version_2_is_rounded_down(void **state)
{
    tree_open();
    put("job/cpu.max", "max 100000\n");
    CHECK_INT(quota("0::/job\n"), 0);
    put("job/cpu.max", "400000 100000\n");
    CHECK_INT(quota("0::/job\n"), 4);
    put("job/cpu.max", "390000 100000\n");
    CHECK_INT(quota("0::/job\n"), 3);
    put("job/cpu.max", "50000 100000\n");
    CHECK_INT(quota("0::/job\n"), 1);
    put("job/cpu.max", "75000 50000\n");
    CHECK_INT(quota("0::/job\n"), 1);
    tree_close();
}

/* covers: B44 */
static void quota_is_the_tightest_of_all_levels(void **state)
{
    tree_open();
    put("a/cpu.max", "200000 100000\n");
    put("a/b/cpu.max", "800000 100000\n");
    put("a/b/c/cpu.max", "max 100000\n");
    CHECK_INT(quota("0::/a/b/c\n"), 2);
    put("a/b/c/cpu.max", "100000 100000\n");
    CHECK_INT(quota("0::/a/b/c\n"), 1);
    CHECK_INT(quota("0::/a/b\n"), 2);
    CHECK_INT(quota("0::/\n"), 0);
    tree_close();
}

/* covers: B44 */
static void quota_of_version_1_stands_in_two_files(void **state)
{
    tree_open();
    put("cpu/job/cpu.cfs_quota_us", "-1\n");
    put("cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_INT(quota("4:cpu:/job\n"), 0);
    put("cpu/job/cpu.cfs_quota_us", "350000\n");
    CHECK_INT(quota("4:cpu:/job\n"), 3);
    CHECK_INT(quota("5:memory:/job\n4:cpu,cpuacct:/job\n"), 3);
    CHECK_INT(quota("4:cpuset:/job\n3:cpuacct:/job\n"), 0);
    put("cpu,cpuacct/job/cpu.cfs_quota_us", "200000\n");
    put("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    CHECK_INT(quota("4:cpu,cpuacct:/job\n"), 2);
    tree_close();
}

static void quota_of_both_versions_counts(void **state)
{
    tree_open();
    put("unified/job/cpu.max", "300000 100000\n");
    CHECK_INT(quota("0::/job\n"), 3);
    put("cpu/cpu.cfs_quota_us", "200000\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    CHECK_INT(quota("4:cpu:/\n0::/job\n"), 2);
    tree_close();
}

/* In a container the path may be that of the host, or lead out of the namespace. */
/* covers: B44 */
static void quota_in_a_container_is_that_of_the_root(void **state)
{
    tree_open();
    put("cpu.max", "200000 100000\n");
    CHECK_INT(quota("0::/system.slice/docker-0123.scope\n"), 2);
    CHECK_INT(quota("0::/../../job\n"), 2);
    CHECK_INT(quota("0::/..\n"), 2);
    tree_close();
}

static void quota_ignores_damaged_files(void **state)
{
    tree_open();
    put("job/cpu.max", "");
    CHECK_INT(quota("0::/job\n"), 0);
    put("job/cpu.max", "100000\n");
    CHECK_INT(quota("0::/job\n"), 0);
    put("job/cpu.max", "100000 0\n");
    CHECK_INT(quota("0::/job\n"), 0);
    put("job/cpu.max", "-5 100000\n");
    CHECK_INT(quota("0::/job\n"), 0);
    tree_close();
}

/* covers: B44 */
static void worker_count_follows_the_affinity_mask(void **state)
{
    cpu_set_t before, one;
    CHECK_INT(sched_getaffinity(0, sizeof before, &before), 0);
    uint32_t all = skua__topo_worker_count();
    CHECK(all >= 1 && all <= (uint32_t)CPU_COUNT(&before));

    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
        }
    }
    CHECK_INT(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_INT(skua__topo_worker_count(), 1);
    CHECK_INT(sched_setaffinity(0, sizeof before, &before), 0);
    CHECK_INT(skua__topo_worker_count(), all);
}

/* The victims of `worker`, one string, a bar after each level. */
static const char *victims(const struct skua__topo *topo, uint32_t worker)
{
    static char text[256];
    uint32_t count = 0, length = 0;
    const uint32_t *list = skua__topo_victims(topo, worker, &count);
    text[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        bool is_last = i + 1 == skua__topo_level_end(topo, worker, i);
        length += (uint32_t)snprintf(text + length, sizeof text - length, "%s%u%s",
                                     length > 0 && text[length - 1] != '|' ? " " : "", list[i],
                                     is_last ? "|" : "");
    }
    return text;
}

static struct skua__topo *topo_open(const char *machine, uint32_t workers)
{
    struct skua__topo *topo = NULL;
    CHECK_INT(setenv("HWLOC_SYNTHETIC", machine, 1), 0);
    CHECK_INT(skua__topo_create(&topo, workers), 0);
    CHECK_INT(unsetenv("HWLOC_SYNTHETIC"), 0);
    return topo;
}

static void victims_are_ordered_by_distance(void **state)
{
    struct skua__topo *topo = topo_open("node:2 l3:2 core:2 pu:2", 16);
    CHECK_STR(victims(topo, 0), "1|2 3|4 5 6 7|8 9 10 11 12 13 14 15|");
    CHECK_STR(victims(topo, 5), "4|6 7|0 1 2 3|8 9 10 11 12 13 14 15|");
    CHECK_STR(victims(topo, 14), "15|12 13|8 9 10 11|0 1 2 3 4 5 6 7|");
    skua__topo_destroy(topo);
}

static void fewer_workers_sit_close_together(void **state)
{
    struct skua__topo *topo = topo_open("node:2 l3:2 core:2 pu:2", 6);
    CHECK_STR(victims(topo, 0), "1|2 3|4 5|");
    CHECK_STR(victims(topo, 4), "5|0 1 2 3|");
    skua__topo_destroy(topo);
}

static void more_workers_than_processors_wrap_around(void **state)
{
    struct skua__topo *topo = topo_open("core:2 pu:2", 8);
    CHECK_STR(victims(topo, 0), "4|1 5|2 3 6 7|");
    CHECK_STR(victims(topo, 6), "2|7 3|0 1 4 5|");
    skua__topo_destroy(topo);
}

static void every_worker_has_every_other_once(void **state)
{
    for (uint32_t workers = 1; workers <= 40; workers++) {
        struct skua__topo *topo = topo_open("pack:2 l3:2 l2:2 core:1 pu:3", workers);
        for (uint32_t worker = 0; worker < workers; worker++) {
            uint64_t seen = UINT64_C(1) << worker;
            uint32_t count = 0;
            const uint32_t *list = skua__topo_victims(topo, worker, &count);
            CHECK_INT(count, workers - 1);
            for (uint32_t i = 0; i < count; i++) {
                uint32_t end = skua__topo_level_end(topo, worker, i);
                CHECK(end > i && end <= count);
                seen |= UINT64_C(1) << list[i];
            }
            CHECK_INT(seen, (UINT64_C(1) << workers) - 1);
        }
        skua__topo_destroy(topo);
    }
}

static void without_hwloc_all_are_equally_far(void **state)
{
    struct skua__topo *topo = topo_open("this is no topology", 4);
    uint32_t count = 0;
    skua__topo_victims(topo, 2, &count);
    CHECK_INT(count, 3);
    skua__topo_destroy(topo);
    skua__topo_destroy(NULL);
}

static void the_real_machine_gives_an_order(void **state)
{
    struct skua__topo *topo = NULL;
    uint32_t count = 0;
    CHECK_INT(skua__topo_create(&topo, 2), 0);
    CHECK_STR(victims(topo, 0), "1|");
    CHECK_STR(victims(topo, 1), "0|");
    skua__topo_destroy(topo);
    CHECK_INT(skua__topo_create(&topo, 64), 0);
    skua__topo_victims(topo, 63, &count);
    CHECK_INT(count, 63);
    skua__topo_destroy(topo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(quota_without_cgroups_is_no_limit),
        TEST(quota_of_version_2_is_rounded_down),
        TEST(quota_is_the_tightest_of_all_levels),
        TEST(quota_of_version_1_stands_in_two_files),
        TEST(quota_of_both_versions_counts),
        TEST(quota_in_a_container_is_that_of_the_root),
        TEST(quota_ignores_damaged_files),
        TEST(worker_count_follows_the_affinity_mask),
        TEST(victims_are_ordered_by_distance),
        TEST(fewer_workers_sit_close_together),
        TEST(more_workers_than_processors_wrap_around),
        TEST(every_worker_has_every_other_once),
        TEST(without_hwloc_all_are_equally_far),
        TEST(the_real_machine_gives_an_order),
    };
    return TEST_RUN(tests);
}
