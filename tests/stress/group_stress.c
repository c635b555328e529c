/* Groups under load: random trees of groups of all policies, whose members fail, succeed, sleep,
   spawn siblings, are cancelled one by one or all, and run out of time. The accounts balance: every
   member that was spawned has started and ended exactly once before the close has returned, nobody
   is alive after it, and its result is one that the policy allows. The rounds go on for
   SKUA_STRESS_SECONDS, shared by the tests. */
#include "../group_help.h"

enum { TESTS = 3, DEPTH_MAX = 3, CHILDREN_MAX = 6, SIBLINGS_MAX = 3 };

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 6) / TESTS);
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* A group and its accounts, in the owner's frame. */
typedef struct nest {
    skua_group group;
    _Atomic int spawned, started, ended, alive, failed, succeeded;
} nest;

typedef struct member {
    nest *nest;
    uint64_t random;
    int depth, siblings;
} member;

static int live(void *arg);

/* Spawns a member, perhaps with a handle. */
static void bear(nest *in, uint64_t *random, int depth, int siblings, skua_task **out)
{
    const member child = {in, test_random(random), depth, siblings};
    const skua_spawn_opts opts = {
        .group = &in->group, .arg_bytes = sizeof child, .name = below(random, 4) ? NULL : "child"};
    atomic_fetch_add(&in->spawned, 1);
    int status = skua_spawn(out, live, (void *)(uintptr_t)&child, &opts);
    CHECK(status == 0 || status == -ECANCELED || status == -ESHUTDOWN);
    if (status < 0) {
        atomic_fetch_sub(&in->spawned, 1);
        if (out != NULL) {
            *out = NULL;
        }
    }
}

static int some_status(uint64_t *random)
{
    static const int statuses[] = {0, 0, 0, 0, 0, 1, 2, -EIO, -EPIPE, -ECANCELED};
    return statuses[below(random, sizeof statuses / sizeof statuses[0])];
}

static int pass_time(uint64_t *random)
{
    switch (below(random, 6)) {
    case 0:
        return skua_yield();
    case 1:
        return skua_sleep(skua_after(SKUA_US(below(random, 300))));
    case 2:
        return below(random, 20) ? 0 : skua_sleep(skua_after(SKUA_MS(5)));
    case 3:
        compute_for(SKUA_US(below(random, 20)));
        return skua_checkpoint();
    default:
        return 0;
    }
}

static skua_time some_deadline(uint64_t *random)
{
    return below(random, 4) ? SKUA_FOREVER : skua_after(SKUA_US(below(random, 2000)));
}

static int take_some(nest *in, uint64_t *random)
{
    skua_task *task;
    for (uint32_t i = below(random, CHILDREN_MAX); i > 0; i--) {
        int got = skua_group_next(&in->group, &task, some_deadline(random));
        if (got != 1) {
            return got == -ETIMEDOUT ? 0 : got;
        }
        CHECK(skua_task_state(task) != SKUA_RUNNING);
        int status;
        CHECK_INT(skua_join(task, &status, SKUA_NOW) == 0 || skua_cancelled(), 1);
        skua_task_release(task);
    }
    return 0;
}

/* The body: spawns, cancels, waits for some. */
static int have_children(nest *in, skua_policy policy, uint64_t *random, int depth)
{
    skua_task *handles[CHILDREN_MAX] = {NULL};
    const uint32_t children = below(random, CHILDREN_MAX + 1);
    int status = 0;
    for (uint32_t i = 0; i < children; i++) {
        bear(in, random, depth + 1, SIBLINGS_MAX, below(random, 2) ? &handles[i] : NULL);
        if (below(random, 8) == 0 && handles[i] != NULL) {
            skua_task_cancel(handles[i]);
        }
    }
    if (below(random, 3) == 0) {
        status = skua_group_room(&in->group, 1 + below(random, 3), some_deadline(random));
    }
    if (policy == SKUA_JOIN_SET) {
        status = take_some(in, random);
    }
    for (uint32_t i = 0; i < children; i++) {
        if (handles[i] != NULL && below(random, 2)) {
            (void)!skua_join(handles[i], NULL, some_deadline(random));
        }
        skua_task_release(handles[i]);
    }
    if (below(random, 12) == 0) {
        skua_group_cancel(&in->group);
    }
    int passed = pass_time(random);
    status = status == -ETIMEDOUT ? 0 : status;
    return status < 0 ? status : passed < 0 ? passed : below(random, 10) ? 0 : -ENOENT;
}

static void check_accounts(nest *in, skua_policy policy, int status)
{
    CHECK_INT(in->alive, 0);
    CHECK_INT(in->started, in->spawned);
    CHECK_INT(in->ended, in->spawned);
    CHECK_INT(skua_group_count(&in->group), 0);
    if (policy == SKUA_ANY_SUCCESS && in->succeeded > 0) {
        CHECK(status >= 0);
    }
    if (policy != SKUA_SUPERVISE && policy != SKUA_JOIN_SET && policy != SKUA_ANY_SUCCESS) {
        CHECK(in->failed == 0 || status < 0);
        CHECK(skua_group_error_count(&in->group) >= (size_t)in->failed);
    }
}

/* What a task with a group does. */
static int keep_house(uint64_t *random, int depth)
{
    nest in = {.spawned = 0};
    const skua_policy policy = (skua_policy)below(random, 5);
    skua_group_open(&in.group, policy, some_deadline(random));
    int status = have_children(&in, policy, random, depth);
    if (below(random, 10) == 0) {
        skua_group_fini(&in.group); /* with all that is alive */
        check_accounts(&in, SKUA_SUPERVISE, 0);
        return status;
    }
    status = skua_group_close(&in.group, status);
    check_accounts(&in, policy, status);
    skua_group_fini(&in.group);
    return status;
}

/* A member: passes its time, has siblings, and perhaps a group of its own. */
static int live(void *arg)
{
    member *self = arg;
    nest *in = self->nest;
    atomic_fetch_add(&in->started, 1);
    atomic_fetch_add(&in->alive, 1);
    int status = pass_time(&self->random);
    for (int i = 0; i < self->siblings; i++) {
        if (below(&self->random, 4) == 0) {
            bear(in, &self->random, self->depth, self->siblings - 1, NULL);
        }
    }
    if (self->depth < DEPTH_MAX && below(&self->random, 3)) {
        int kept = keep_house(&self->random, self->depth);
        status = kept < 0 ? kept : status;
    }
    status = status < 0 ? status : some_status(&self->random);
    /* -ECANCELED may be a failure or not; the set knows. */
    atomic_fetch_add(&in->failed, status < 0 && status != -ECANCELED);
    atomic_fetch_add(&in->succeeded, status >= 0);
    atomic_fetch_sub(&in->alive, 1);
    atomic_fetch_add(&in->ended, 1);
    return status;
}

/* Reports of failures are what they are here for, and not looked at. What a check says stays. */
static struct said reports;

static void forget_reports(void)
{
    CHECK_INT(ftruncate(reports.fd, 0), 0);
    CHECK_INT(lseek(reports.fd, 0, SEEK_SET), 0);
}

static int live_in_tree(void *arg)
{
    return keep_house(arg, 0);
}

static int trees_body(void *arg)
{
    enum { TREES = 4 };
    uint64_t *random = arg;
    const skua_time end = end_of_test();
    while (skua_clock().ns < end.ns) {
        uint64_t seeds[TREES];
        skua_task *trees[TREES];
        for (int i = 0; i < TREES; i++) {
            seeds[i] = test_random(random);
            trees[i] = spawn(live_in_tree, &seeds[i]);
        }
        CHECK_INT(skua_sleep(skua_after(SKUA_US(below(random, 500)))), 0);
        for (int i = 0; i < TREES; i++) {
            if (below(random, 4) == 0) {
                skua_task_cancel(trees[i]);
            }
        }
        for (int i = 0; i < TREES; i++) {
            (void)finish(trees[i]);
        }
        forget_reports();
    }
    return 0;
}

static void random_trees_balance(void **state)
{
    uint64_t random = test_seed();
    said_begin(&reports);
    run_on_with(4, trees_body, &random);
    (void)said_end(&reports);
}

/* --- the end of a runtime --------------------------------------------------------------------- */

static int leave_trees(void *arg)
{
    static uint64_t seeds[4];
    for (int i = 0; i < 4; i++) {
        seeds[i] = test_random(arg);
        CHECK_INT(skua_spawn(NULL, live_in_tree, &seeds[i], NULL), 0);
    }
    return skua_sleep(skua_after(SKUA_US(below(arg, 1000))));
}

static void runtimes_end_over_trees(void **state)
{
    uint64_t random = test_seed();
    said_begin(&reports);
    const skua_time end = end_of_test();
    while (skua_clock().ns < end.ns) {
        run_on_with(2, leave_trees, &random);
        forget_reports();
    }
    (void)said_end(&reports);
}

/* --- maps ------------------------------------------------------------------------------------- */

typedef struct entry {
    uint64_t random;
    int times, status;
} entry;

static int run_entry(void *arg)
{
    entry *self = arg;
    self->times++;
    int status = pass_time(&self->random);
    self->status = status < 0 ? status : below(&self->random, 30) ? 0 : -EIO;
    return self->status;
}

static int maps_body(void *arg)
{
    enum { ENTRIES = 100 };
    static entry entries[ENTRIES];
    static int statuses[ENTRIES];
    const skua_time end = end_of_test();
    while (skua_clock().ns < end.ns) {
        const size_t count = below(arg, ENTRIES + 1);
        const skua_map_opts opts = {.limit = below(arg, 5),
                                    .batch = below(arg, 3) ? 0 : below(arg, 40),
                                    .each_ns = below(arg, 3) ? 0 : SKUA_US(100),
                                    .policy = (skua_policy)below(arg, 3),
                                    .statuses = statuses,
                                    .deadline = some_deadline(arg)};
        for (size_t i = 0; i < count; i++) {
            entries[i] = (entry){.random = test_random(arg)};
        }
        int failures = 0, result = skua_map(run_entry, entries, sizeof entries[0], count, &opts);
        for (size_t i = 0; i < count; i++) {
            CHECK(entries[i].times <= 1);
            if (entries[i].times == 1 && entries[i].status != -ECANCELED) {
                CHECK_INT(statuses[i], entries[i].status);
            }
            failures += statuses[i] < 0;
        }
        CHECK(result < 0 || failures == 0 || opts.policy == SKUA_ANY_SUCCESS);
        CHECK(result >= 0 || failures > 0);
    }
    return 0;
}

static void random_maps_balance(void **state)
{
    uint64_t random = test_seed();
    run_on_with(3, maps_body, &random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(random_trees_balance),
        TEST(runtimes_end_over_trees),
        TEST(random_maps_balance),
    };
    return TEST_RUN(tests);
}
