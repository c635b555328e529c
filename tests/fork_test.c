/* Forks: results, who runs where, blocking of every kind, cancels. */
#include "tasks.h"

#include "arch/fpenv.h"

#include <pthread.h>
#include <skua/chan.h>
#include <skua/fork.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY_WORKERS = TEST_SCALE > 1 ? 16 : 32 };

static void run_on_all(skua_fn fn)
{
    run_on_1_2_4(fn);
    run_on(MANY_WORKERS, fn);
}

/* --- results ---------------------------------------------------------------------------------- */

static long fib(int n);
SKUA_FORKABLE(long, fib, int)

static long fib(int n)
{
    if (n < 2) {
        return n;
    }
    fib_child child;
    fib_fork(&child, n - 2);
    const long one = fib(n - 1);
    return one + fib_sync(&child);
}

typedef struct fib_call {
    int n;
    long result;
} fib_call;

static int fib_generic(void *arg)
{
    fib_call *call_ = arg;
    if (call_->n < 2) {
        call_->result = call_->n;
        return 0;
    }
    fib_call one = {.n = call_->n - 1}, two = {.n = call_->n - 2};
    CHECK_INT(skua_both(fib_generic, &two, fib_generic, &one), 0);
    call_->result = one.result + two.result;
    return 0;
}

static int fib_body(void *arg)
{
    enum { N = TEST_SCALE > 1 ? 18 : 25 };
    static const long want[] = {[18] = 2584, [25] = 75025};
    for (int i = 0; i < 5; i++) {
        fib_call generic = {.n = N};
        CHECK_INT(fib(N), want[N]);
        CHECK_INT(fib_generic(&generic), 0);
        CHECK_INT(generic.result, want[N]);
    }
    return 0;
}

static void a_recursion_that_forks_at_every_step(void **state)
{
    run_on_all(fib_body);
}

static long four(char a, short b, int c, double d)
{
    return a + 10 * b + 100 * c + (long)(1000 * d);
}
SKUA_FORKABLE(long, four, char, short, int, double)

static const char *text_of(const char *text, int skip)
{
    return text + skip;
}
SKUA_FORKABLE(const char *, text_of, const char *, int)

static int typed_body(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        four_child one;
        text_of_child two;
        four_fork(&one, 1, 2, 3, 4.0);
        text_of_fork(&two, "skua", 2);
        CHECK_STR(text_of_sync(&two), "ua");
        CHECK_INT(four_sync(&one), 4321);
    }
    return 0;
}

static void typed_forks_pass_their_arguments(void **state)
{
    run_on_all(typed_body);
}

static int status_is(void *arg)
{
    return *(int *)arg;
}

static int statuses_body(void *arg)
{
    int statuses[3] = {5, -EIO, -EPIPE};
    skua_child child;
    for (int i = 0; i < 3; i++) {
        skua_fork(&child, status_is, &statuses[i]);
        CHECK_INT(skua_sync(&child), statuses[i]);
    }
    CHECK_INT(skua_both(status_is, &statuses[0], status_is, &statuses[1]), -EIO);
    CHECK_INT(skua_both(status_is, &statuses[1], status_is, &statuses[2]), -EIO);
    CHECK_INT(skua_both(status_is, &statuses[1], status_is, &statuses[0]), -EIO);
    CHECK_INT(skua_both(status_is, &statuses[0], status_is, &statuses[0]), 5);
    return 0;
}

static void a_sync_returns_the_status(void **state)
{
    run_on_all(statuses_body);
}

static int add_one(void *arg)
{
    atomic_fetch_add((gate *)arg, 1);
    return 0;
}

/* More than the private stack holds. */
static int wide_body(void *arg)
{
    enum { COUNT = 5000 };
    skua_child *children = calloc(COUNT, sizeof *children);
    gate sum = 0;
    for (int i = 0; i < COUNT; i++) {
        skua_fork(&children[i], add_one, &sum);
    }
    for (int i = COUNT; i-- > 0;) {
        CHECK_INT(skua_sync(&children[i]), 0);
    }
    CHECK_INT(atomic_load(&sum), COUNT);
    free(children);
    return 0;
}

static void thousands_of_children_of_one_function(void **state)
{
    run_on_all(wide_body);
}

/* 4000 calls of 1 KiB each do not fit on one stack. */
static int go_down(void *arg)
{
    volatile char frame[1024];
    int left = *(int *)arg;
    frame[0] = (char)left;
    if (left == 0) {
        return 0;
    }
    left--;
    skua_child child;
    skua_fork(&child, go_down, &left);
    const int depth = skua_sync(&child);
    return frame[0] == (char)(left + 1) ? depth + 1 : -EIO;
}

static int depth_body(void *arg)
{
    int depth = 4000 / TEST_SCALE;
    CHECK_INT(go_down(&depth), depth);
    return 0;
}

static void recursion_is_deeper_than_a_stack(void **state)
{
    run_on_1_2_4(depth_body);
}

/* --- who and where ---------------------------------------------------------------------------- */

static const skua_local colour = {"colour"};

static int look_around(void *arg)
{
    CHECK_PTR(skua_self(), arg);
    CHECK_STR(skua_local_get(&colour), "blue");
    CHECK_STR(skua_task_name(skua_self()), "parent");
    return 0;
}

static int identity_task(void *arg)
{
    static char blue[] = "blue";
    CHECK_INT(skua_local_set(&colour, blue), 0);
    for (int i = 0; i < 60; i++) {
        skua_child child;
        skua_fork(&child, look_around, skua_self());
        CHECK_INT(skua_yield(), 0); /* the child becomes public */
        CHECK_INT(skua_sync(&child), 0);
    }
    return 0;
}

static int identity_body(void *arg)
{
    const skua_spawn_opts opts = {.name = "parent"};
    CHECK_INT(finish(spawn_with(identity_task, NULL, &opts)), 0);
    return 0;
}

static void a_child_is_its_parents_task(void **state)
{
    run_on_all(identity_body);
}

static int thread_is(void *arg)
{
    CHECK(pthread_equal(*(pthread_t *)arg, pthread_self()));
    CHECK_INT(skua_yield(), 0);
    CHECK(pthread_equal(*(pthread_t *)arg, pthread_self()));
    return 0;
}

static int pinned_task(void *arg)
{
    pthread_t here = pthread_self();
    for (int i = 0; i < 100; i++) {
        skua_child one, two;
        skua_fork(&one, thread_is, &here);
        skua_fork(&two, thread_is, &here);
        CHECK_INT(skua_yield(), 0);
        CHECK_INT(skua_sync(&two), 0);
        CHECK_INT(skua_sync(&one), 0);
    }
    return 0;
}

static int pinned_body(void *arg)
{
    const skua_spawn_opts opts = {.pin = 2};
    CHECK_INT(finish(spawn_with(pinned_task, NULL, &opts)), 0);
    return 0;
}

static void children_of_a_pinned_task_stay_on_its_worker(void **state)
{
    run_on_all(pinned_body);
}

static int leaves_early(gate *ran)
{
    SKUA_CHILD(one);
    SKUA_CHILD(two);
    SKUA_CHILD(never);
    skua_fork(&one, add_one, ran);
    skua_fork(&two, add_one, ran);
    if (atomic_load(ran) % 3 == 0) {
        return skua_sync(&two);
    }
    return 0;
}

static int early_body(void *arg)
{
    gate ran = 0;
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(leaves_early(&ran), 0);
        CHECK_INT(atomic_load(&ran), 2 * i + 2);
        CHECK_INT(i % 50 == 0 ? skua_yield() : 0, 0);
    }
    return 0;
}

static void a_declared_child_is_synced_when_the_block_is_left(void **state)
{
    run_on_all(early_body);
    CHECK_INT(early_body(NULL), 0); /* on a foreign thread */
}

static void a_foreign_thread_calls_its_children_itself(void **state)
{
    fib_call generic = {.n = 15};
    CHECK_INT(fib(15), 610);
    CHECK_INT(fib_generic(&generic), 0);
    CHECK_INT(generic.result, 610);
    wide_body(NULL);
}

/* --- children that block ---------------------------------------------------------------------- */

typedef struct pipe_case {
    skua_chan *chan;
    int count;
    long sum;
} pipe_case;

static int send_all(void *arg)
{
    pipe_case *one = arg;
    for (int i = 1; i <= one->count; i++) {
        CHECK_INT(skua_chan_send(one->chan, &i, sizeof i, SKUA_FOREVER), 0);
    }
    return 0;
}

static int receive_all(void *arg)
{
    pipe_case *one = arg;
    for (int i = 1, item; i <= one->count; i++) {
        CHECK_INT(skua_chan_recv(one->chan, &item, sizeof item, SKUA_FOREVER), 1);
        one->sum += item;
    }
    return 0;
}

/* The parent syncs the receiver first, whose sender is still a child that has not started; and the
   other way round. */
static int siblings_body(void *arg)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        for (int i = 0; i < 60; i++) {
            pipe_case one = {.count = 10};
            skua_child first, second;
            CHECK_INT(skua_chan_create(&one.chan, sizeof(int), capacity), 0);
            skua_fork(&first, i % 2 == 0 ? send_all : receive_all, &one);
            skua_fork(&second, i % 2 == 0 ? receive_all : send_all, &one);
            CHECK_INT(skua_sync(&second), 0);
            CHECK_INT(skua_sync(&first), 0);
            CHECK_INT(one.sum, 55);
            skua_chan_release(one.chan, SKUA_SENDER | SKUA_RECEIVER);
        }
    }
    return 0;
}

static void siblings_may_wait_for_each_other(void **state)
{
    run_on_all(siblings_body);
}

static int parent_waits_body(void *arg)
{
    for (int i = 0; i < 60; i++) {
        pipe_case one = {.count = 3};
        skua_child child;
        CHECK_INT(skua_chan_create(&one.chan, sizeof(int), 0), 0);
        skua_fork(&child, send_all, &one);
        CHECK_INT(receive_all(&one), 0);
        CHECK_INT(skua_sync(&child), 0);
        CHECK_INT(one.sum, 6);
        skua_chan_release(one.chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

static void a_parent_may_wait_for_its_child_before_the_sync(void **state)
{
    run_on_all(parent_waits_body);
}

/* A tree of random shape whose nodes block now and then, each in its own way. */
typedef struct node {
    uint64_t seed;
    int depth;
    skua_chan *echo;
    long leaves;
} node;

static int grow(void *arg);

static int grow_task(void *arg)
{
    return grow(arg);
}

static void block_somehow(node *here)
{
    int item = (int)here->depth, back = 0;
    switch (test_random(&here->seed) % 48) {
    case 0:
        CHECK_INT(skua_sleep(skua_after(SKUA_US(50))), 0);
        break;
    case 1:
        CHECK_INT(skua_yield(), 0);
        break;
    case 2:
        CHECK_INT(skua_chan_send(here->echo, &item, sizeof item, SKUA_FOREVER), 0);
        CHECK_INT(skua_chan_recv(here->echo, &back, sizeof back, SKUA_FOREVER), 1);
        break;
    case 3:
        CHECK_INT(skua_checkpoint(), 0);
        break;
    case 4:
        CHECK_INT(skua_within(skua_after(SKUA_SEC(100)), return_zero, NULL), 0);
        break;
    default:
        break;
    }
}

static int grow(void *arg)
{
    node *here = arg;
    node below[4];
    skua_child children[4];
    if (here->depth == 0) {
        here->leaves = 1;
        block_somehow(here);
        return 0;
    }
    const int count = 1 + (int)(test_random(&here->seed) % 4);
    here->leaves = 0;
    SKUA_SCOPE(scope);
    for (int i = 0; i < count; i++) {
        below[i] = (node){.seed = test_random(&here->seed), here->depth - 1, here->echo, 0};
        skua_fork(&children[i], i == 1 && here->depth > 2 ? grow_task : grow, &below[i]);
        block_somehow(here);
    }
    if (count == 3) {
        skua_scope_open(&scope, SKUA_FOREVER); /* the children are outside of it */
    }
    for (int i = count; i-- > 0;) {
        CHECK_INT(skua_sync(&children[i]), 0);
        here->leaves += below[i].leaves;
        block_somehow(here);
    }
    return 0;
}

static int tree_body(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    for (int round = 0; round < 12 / TEST_SCALE + 1; round++) {
        node root = {.seed = test_random(&seed), .depth = 7};
        node again;
        CHECK_INT(skua_chan_create(&root.echo, sizeof(int), 1000000), 0);
        again = root;
        CHECK_INT(grow(&root), 0);
        CHECK_INT(grow(&again), 0);
        CHECK(root.leaves > 0);
        CHECK_INT(again.leaves, root.leaves);
        skua_chan_release(root.echo, SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

static void trees_whose_nodes_block_in_every_way(void **state)
{
    static const uint32_t workers[] = {1, 2, 4, MANY_WORKERS};
    uint64_t seed = test_seed();
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        run_on_with(workers[i], tree_body, &seed);
    }
}

/* --- cancels and deadlines -------------------------------------------------------------------- */

static int sleep_long(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(1000)));
}

/* Some children sleep already, some have not started, some sleep inline under the sync. */
static int fork_sleepers(void *arg)
{
    skua_child children[20];
    for (int i = 0; i < 20; i++) {
        skua_fork(&children[i], sleep_long, NULL);
        if (arg != NULL && i == 10) {
            atomic_fetch_add((gate *)arg, 1);
            (void)skua_yield();
        }
    }
    for (int i = 20; i-- > 0;) {
        CHECK_INT(skua_sync(&children[i]), -ECANCELED);
    }
    return -ECANCELED;
}

static int cancel_body(void *arg)
{
    for (int i = 0; i < 20; i++) {
        gate begun = 0;
        skua_task *task = spawn(fork_sleepers, &begun);
        await(&begun, 1);
        if (i % 2 == 0) {
            CHECK_INT(skua_sleep(skua_after(SKUA_US(200))), 0);
        }
        skua_task_cancel(task);
        CHECK_INT(finish(task), -ECANCELED);
    }
    return 0;
}

/* covers: B24 */
static void a_cancel_reaches_all_children(void **state)
{
    run_on_all(cancel_body);
}

static int deadline_body(void *arg)
{
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_within(skua_after(SKUA_MS(1)), fork_sleepers, NULL), -ETIMEDOUT);
    }
    return 0;
}

static void a_deadline_reaches_all_children(void **state)
{
    run_on_all(deadline_body);
}

static int sleep_briefly(void *arg)
{
    return skua_sleep(skua_after(SKUA_MS(2)));
}

/* The child was forked outside of the scope that is cancelled while it runs, inline. */
static int outside_body(void *arg)
{
    for (int i = 0; i < 20; i++) {
        skua_child outer, inner;
        SKUA_SCOPE(scope);
        skua_fork(&outer, sleep_briefly, NULL);
        skua_scope_open(&scope, SKUA_FOREVER);
        skua_fork(&inner, sleep_long, NULL);
        skua_scope_cancel(&scope);
        CHECK_INT(skua_sync(&inner), -ECANCELED);
        CHECK_INT(skua_sync(&outer), 0);
        CHECK_INT(skua_scope_close(&scope, -ECANCELED), 0);
    }
    return 0;
}

static void a_child_has_the_scope_of_its_fork(void **state)
{
    run_on_all(outside_body);
}

static int shielded(void *arg)
{
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    skua_child child;
    skua_fork(&child, sleep_briefly, NULL);
    CHECK_INT(sleep_briefly(NULL), 0);
    return skua_sync(&child);
}

static int shield_body(void *arg)
{
    for (int i = 0; i < 20; i++) {
        skua_task *task = spawn(shielded, NULL);
        CHECK_INT(skua_yield(), 0);
        skua_task_cancel(task);
        const int status = finish(task);
        CHECK(status == 0 || status == -ECANCELED);
    }
    return 0;
}

static void a_shield_protects_children_too(void **state)
{
    run_on_all(shield_body);
}

/* The child was forked outside of the shield that its parent has opened meanwhile. */
static int shield_then_sync(void *arg)
{
    skua_child child;
    SKUA_SCOPE(shield);
    skua_fork(&child, sleep_long, NULL);
    skua_shield_open(&shield, SKUA_FOREVER);
    atomic_fetch_add((gate *)arg, 1);
    return skua_sync(&child);
}

static int outside_of_shield_body(void *arg)
{
    for (int i = 0; i < 20; i++) {
        gate begun = 0;
        skua_task *task = spawn(shield_then_sync, &begun);
        await(&begun, 1);
        CHECK_INT(skua_sleep(skua_after(SKUA_US(i * 20 + 1))), 0);
        skua_task_cancel(task);
        CHECK_INT(finish(task), -ECANCELED);
    }
    return 0;
}

static void a_shield_does_not_protect_older_children(void **state)
{
    run_on_all(outside_of_shield_body);
}

static int fail_with_text(void *arg)
{
    return skua_fail(-EIO, "child %d", *(int *)arg);
}

static int failing_task(void *arg)
{
    int numbers[8];
    skua_child children[8];
    for (int i = 0; i < 8; i++) {
        numbers[i] = i;
        skua_fork(&children[i], fail_with_text, &numbers[i]);
    }
    (void)skua_yield();
    for (int i = 8; i-- > 0;) {
        CHECK_INT(skua_sync(&children[i]), -EIO);
    }
    return -EIO;
}

static int failing_body(void *arg)
{
    for (int i = 0; i < 30; i++) {
        skua_task *task = spawn(failing_task, NULL);
        CHECK_INT(status_of(task), -EIO);
        CHECK(strncmp(skua_task_error(task)->text, "child ", 6) == 0);
        skua_task_release(task);
    }
    return 0;
}

static void a_childs_failure_is_its_tasks(void **state)
{
    run_on_all(failing_body);
}

/* --- the odd ones ----------------------------------------------------------------------------- */

/* The control word's bits that round to plus infinity. */
#if defined(__x86_64__)
static const uint64_t UPWARD = 0x4000;
#else
static const uint64_t UPWARD = 0x400000;
#endif

static int check_rounding(void *arg)
{
    volatile double one = 1, three = 3; /* a third, rounded upward or to nearest */
    CHECK((one / three > 0x1.5555555555555p-2) == *(bool *)arg);
    return 0;
}

static int round_upward(void *arg)
{
    bool mode = true;
    struct skua__fpenv env = skua__fpenv_save();
    env.control |= UPWARD;
    skua__fpenv_restore(env);
    for (int i = 0; i < 150; i++) {
        skua_child one, two;
        skua_fork(&one, check_rounding, &mode);
        skua_fork(&two, check_rounding, &mode);
        CHECK_INT(i % 3 == 0 ? skua_yield() : 0, 0);
        CHECK_INT(skua_sync(&two), 0);
        CHECK_INT(skua_sync(&one), 0);
    }
    return 0;
}

static int rounding_body(void *arg)
{
    const skua_spawn_opts opts = {.keep_fpenv = true};
    skua_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        tasks[i] = spawn_with(round_upward, NULL, &opts);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

static void children_keep_the_rounding_mode(void **state)
{
    run_on_all(rounding_body);
}

/* Locks may have been held by other threads when the process forked. */
static int fork_process_body(void *arg)
{
    for (int i = 0; i < 20; i++) {
        const pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            _exit(fib(12) == 144 ? 0 : 1);
        }
        int status = -1;
        CHECK_INT(waitpid(pid, &status, 0), pid);
        CHECK_INT(status, 0);
        CHECK_INT(fib(12), 144);
    }
    return 0;
}

static void a_forked_process_calls_its_children_itself(void **state)
{
    if (TEST_SCALE > 1) {
        skip(); /* sanitizers do not like forks of programs with threads */
    }
    run_on_1_2_4(fork_process_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_recursion_that_forks_at_every_step),
        TEST(typed_forks_pass_their_arguments),
        TEST(a_sync_returns_the_status),
        TEST(thousands_of_children_of_one_function),
        TEST(recursion_is_deeper_than_a_stack),
        TEST(a_child_is_its_parents_task),
        TEST(children_of_a_pinned_task_stay_on_its_worker),
        TEST(a_declared_child_is_synced_when_the_block_is_left),
        TEST(a_foreign_thread_calls_its_children_itself),
        TEST(siblings_may_wait_for_each_other),
        TEST(a_parent_may_wait_for_its_child_before_the_sync),
        TEST(trees_whose_nodes_block_in_every_way),
        TEST(a_cancel_reaches_all_children),
        TEST(a_deadline_reaches_all_children),
        TEST(a_child_has_the_scope_of_its_fork),
        TEST(a_shield_protects_children_too),
        TEST(a_shield_does_not_protect_older_children),
        TEST(a_childs_failure_is_its_tasks),
        TEST(children_keep_the_rounding_mode),
        TEST(a_forked_process_calls_its_children_itself),
    };
    return TEST_RUN(tests);
}
