/* Where membarrier is forbidden (some sandboxes) the runtime falls back to real fences on both
   sides. A seccomp filter makes it forbidden here, for good; the scenarios are those that depend on
   the fences: parking and waking, cancels and deadlines, launches that meet the runtime's end. */
#include "tasks.h"

#include "base/futex.h"
#include "sched/runtime.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { ROUNDS = 2000 / TEST_SCALE };

static bool forbid_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int check_fences(void *arg)
{
    CHECK(skua_runtime_current()->needs_fences);
    return 0;
}

static void the_runtime_knows_that_it_needs_fences(void **state)
{
    CHECK(!skua__fence_everywhere_prepare());
    run_on_1_2_4(check_fences);
}

/* --- parking ---------------------------------------------------------------------------------- */

static void submissions_from_outside_wake_parked_workers(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime;
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        for (int i = 0; i < ROUNDS; i++) {
            CHECK_INT(skua_call(runtime, return_zero, NULL, SKUA_FOREVER), 0);
        }
        skua_runtime_destroy(runtime);
    }
}

static int meet_spinning(void *arg)
{
    gate *here = arg;
    atomic_fetch_add(here, 1);
    while (atomic_load(here) < 2) {}
    return 0;
}

/* The spawner does not suspend: a parked worker must come. */
static int meet_body(void *arg)
{
    for (int i = 0; i < ROUNDS / 40; i++) {
        gate here = 0;
        skua_task *other = spawn(meet_spinning, &here);
        meet_spinning(&here);
        CHECK_INT(finish(other), 0);
        CHECK_INT(skua_sleep(skua_after(SKUA_US(6 * i % 300))), 0); /* they park again, or nearly */
    }
    return 0;
}

static void spawns_wake_parked_workers(void **state)
{
    run_on(2, meet_body);
    run_on(4, meet_body);
}

static int spawn_tree(void *arg)
{
    const int depth = *(int *)arg - 1;
    skua_task *tasks[3];
    int sum = 1;
    if (depth < 0) {
        return 1;
    }
    const skua_spawn_opts opts = {.arg_bytes = sizeof depth};
    for (int i = 0; i < 3; i++) {
        tasks[i] = spawn_with(spawn_tree, (void *)(uintptr_t)&depth, &opts);
    }
    for (int i = 0; i < 3; i++) {
        sum += finish(tasks[i]);
    }
    return sum;
}

static int tree_body(void *arg)
{
    int depth = TEST_SCALE > 1 ? 5 : 7, nodes = 1;
    for (int i = 0; i < depth; i++) {
        nodes = 3 * nodes + 1;
    }
    CHECK_INT(spawn_tree(&depth), nodes);
    return 0;
}

static void trees_of_tasks_come_out_right(void **state)
{
    run_on_1_2_4(tree_body);
}

/* --- cancels and deadlines -------------------------------------------------------------------- */

/* The cancel falls around the moment at which the task begins to wait. */
static int wait_a_little_later(void *arg)
{
    compute_for(*(int64_t *)arg);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return 7;
}

static int cancel_body(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        int64_t late_ns = i % 50 * 200;
        skua_task *task = spawn(wait_a_little_later, &late_ns);
        if (i % 2 == 0) {
            CHECK_INT(skua_yield(), 0);
        }
        compute_for((i * 7) % 50 * 200);
        skua_task_cancel(task);
        CHECK_INT(finish(task), 7);
    }
    return 0;
}

static void no_cancel_is_missed(void **state)
{
    run_on_1_2_4(cancel_body);
}

static int deadline_body(void *arg)
{
    for (int i = 0; i < ROUNDS / 4; i++) {
        const skua_time soon = skua_after(SKUA_US(i % 100));
        CHECK_INT(skua_within(soon, sleep_forever, NULL), -ETIMEDOUT);
        skua_task *task = spawn(sleep_forever, NULL);
        CHECK_INT(skua_join(task, NULL, skua_after(SKUA_US(i % 100))), -ETIMEDOUT);
        skua_task_cancel(task);
        CHECK_INT(finish(task), -ECANCELED);
    }
    return 0;
}

static void no_deadline_is_missed(void **state)
{
    run_on_1_2_4(deadline_body);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Where the end is late in coming, there are enough sleepers after a while. */
static int spawn_until_refused(void *arg)
{
    enum { SLEEPERS = 1000 };
    int status = 0;
    for (int i = 0; status != -ESHUTDOWN; i++) {
        status = skua_spawn(NULL, i < SLEEPERS ? sleep_forever : return_zero, NULL, NULL);
        CHECK(status == 0 || status == -ESHUTDOWN);
        int yielded = skua_yield();
        (void)yielded;
    }
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

static int start_spawners(void *arg)
{
    for (int i = 0; i < 4; i++) {
        CHECK_INT(skua_spawn(NULL, spawn_until_refused, arg, NULL), 0);
    }
    return skua_sleep(skua_after(SKUA_US(100)));
}

static void launches_that_meet_the_end_are_cancelled(void **state)
{
    for (int i = 0; i < ROUNDS / 40; i++) {
        gate refused = 0;
        run_on_with(1 + (uint32_t)i % 4, start_spawners, &refused);
        CHECK_INT(atomic_load(&refused), 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_runtime_knows_that_it_needs_fences),
        TEST(submissions_from_outside_wake_parked_workers),
        TEST(spawns_wake_parked_workers),
        TEST(trees_of_tasks_come_out_right),
        TEST(no_cancel_is_missed),
        TEST(no_deadline_is_missed),
        TEST(launches_that_meet_the_end_are_cancelled),
    };
    if (!forbid_membarrier()) {
        return TEST_SKIPPED;
    }
    return TEST_RUN(tests);
}
