/* Deferred calls: when they run, how often, in which order, and under what protection. */
#include "tasks.h"

#include "base/mem.h"

#include <pthread.h>
#include <skua/fork.h>
#include <sys/wait.h>

enum { TRACE_MAX = 64 };

/* What ran, in order: letters. */
struct trace {
    char text[TRACE_MAX];
    _Atomic size_t length;
};

static struct trace *traced;

static void add(char letter)
{
    traced->text[atomic_fetch_add(&traced->length, 1)] = letter;
}

/* The letter is the argument itself. */
static void add_letter(void *arg)
{
    add((char)(intptr_t)arg);
}

static void *letter(char which)
{
    return (void *)(intptr_t)which;
}

static void defer(char which)
{
    CHECK_INT(skua_defer(add_letter, letter(which)), 0);
}

static void run_traced(uint32_t workers, skua_fn fn, void *arg, const char *want)
{
    struct trace one = {.length = 0};
    traced = &one;
    run_on_with(workers, fn, arg);
    CHECK_STR(one.text, want);
}

static void run_traced_on_1_2_4(skua_fn fn, const char *want)
{
    run_traced(1, fn, NULL, want);
    run_traced(2, fn, NULL, want);
    run_traced(4, fn, NULL, want);
}

/* --- when and in which order ------------------------------------------------------------------ */

static int in_order(void *arg)
{
    defer('1');
    defer('2');
    add('<');
    {
        SKUA_SCOPE(outer);
        skua_scope_open(&outer, SKUA_FOREVER);
        defer('3');
        {
            SKUA_SCOPE(inner); /* closes itself at the end of the block */
            skua_scope_open(&inner, SKUA_FOREVER);
            defer('4');
            defer('5');
        }
        add('-');
        defer('6');
        CHECK_INT(skua_yield(), 0);
        CHECK_INT(skua_scope_close(&outer, 7), 7);
    }
    add('>');
    return 0;
}

static int in_order_body(void *arg)
{
    CHECK_INT(call(in_order, NULL), 0);
    add('.');
    return 0;
}

/* covers: A32 */
static void the_last_deferred_runs_first_when_its_scope_is_closed(void **state)
{
    run_traced_on_1_2_4(in_order_body, "<54-63>21.");
}

static int return_with(void *arg)
{
    const int status = *(int *)arg;
    defer('d');
    return status;
}

static int any_status_body(void *arg)
{
    int statuses[] = {0, 42, -EIO, -ECANCELED};
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(call(return_with, &statuses[i]), statuses[i]);
        CHECK_INT(skua_within(SKUA_FOREVER, return_with, &statuses[i]), statuses[i]);
    }
    return 0;
}

static void they_run_once_whatever_is_returned(void **state)
{
    run_traced_on_1_2_4(any_status_body, "dddddddd");
}

/* A clean-up that waits, as one that says goodbye over a connection does. */
static void wait_and_add(void *arg)
{
    CHECK(!skua_cancelled());
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    CHECK_INT(skua_yield(), 0);
    add_letter(arg);
}

static int defer_and_wait(void *arg)
{
    CHECK_INT(skua_defer(wait_and_add, letter('a')), 0);
    CHECK_INT(skua_defer(wait_and_add, letter('b')), 0);
    atomic_store((gate *)arg, 1);
    const int status = skua_sleep(SKUA_FOREVER);
    add('c');
    return status;
}

static int cancelled_body(void *arg)
{
    gate waits = 0;
    skua_task *task = spawn(defer_and_wait, &waits);
    await(&waits, 1);
    skua_task_cancel(task);
    CHECK_INT(status_of(task), -ECANCELED);
    add('.'); /* the join was no earlier than the clean-up */
    CHECK_INT(skua_task_state(task), SKUA_CANCELLED);
    skua_task_release(task);
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), defer_and_wait, &waits), -ETIMEDOUT);
    return 0;
}

/* covers: A32 A33 D62 */
static void they_may_wait_in_what_was_cancelled(void **state)
{
    run_traced_on_1_2_4(cancelled_body, "cba.cba");
}

static void wait_for_ever(void *arg)
{
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_cancel_reason(), -ECANCELED);
    add_letter(arg);
}

static int defer_too_long(void *arg)
{
    CHECK_INT(skua_defer(wait_for_ever, letter('x')), 0);
    skua_task_cancel(skua_self());
    return -ECANCELED;
}

static int too_long_body(void *arg)
{
    CHECK_INT(call(defer_too_long, NULL), -ECANCELED);
    add('.');
    return 0;
}

static void their_protection_ends_with_the_grace(void **state)
{
    struct trace one = {.length = 0};
    const skua_config config = {.workers = 2, .cleanup_ns = SKUA_MS(5)};
    traced = &one;
    CHECK_INT(skua_run(&config, too_long_body, NULL), 0);
    CHECK_STR(one.text, "x.");
}

/* A clean-up that has its own: it runs before what was deferred earlier. */
static void defer_more(void *arg)
{
    add('b');
    defer('c');
    defer('d');
    add('e');
}

static int nested_body(void *arg)
{
    defer('a');
    CHECK_INT(skua_defer(defer_more, NULL), 0);
    defer('f');
    return 0;
}

static void what_a_deferred_call_defers_runs_after_it(void **state)
{
    run_traced_on_1_2_4(nested_body, "fbedca");
}

static int main_fails(void *arg)
{
    defer('m');
    return 0;
}

static void the_main_task_runs_its_own(void **state)
{
    run_traced_on_1_2_4(main_fails, "m");
}

static int sleep_behind(void *arg)
{
    CHECK_INT(skua_defer(wait_and_add, letter('l')), 0);
    atomic_store((gate *)arg, 1);
    return skua_sleep(SKUA_FOREVER);
}

static gate behind;

static int leave_behind(void *arg)
{
    CHECK_INT(skua_spawn(NULL, sleep_behind, &behind, NULL), 0);
    await(&behind, 1);
    return 0;
}

static void a_task_that_is_left_behind_runs_its_own(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        atomic_store(&behind, 0);
        run_traced(workers, leave_behind, NULL, "l");
    }
}

/* --- forked children -------------------------------------------------------------------------- */

struct deferring {
    char letter;
    bool in_scope;
};

static int defer_own(void *arg)
{
    const struct deferring *deferring = arg;
    if (!deferring->in_scope) {
        defer(deferring->letter);
        return 0;
    }
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    defer(deferring->letter);
    return skua_scope_close(&scope, 0);
}

static int forks_body(void *arg)
{
    struct deferring one = {'1', false}, two = {'2', false}, three = {'3', true};
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    defer('0');
    SKUA_CHILD(first);
    SKUA_CHILD(second);
    SKUA_CHILD(third);
    skua_fork(&first, defer_own, &one);
    skua_fork(&second, defer_own, &two);
    skua_fork(&third, defer_own, &three);
    CHECK_INT(skua_sync(&third), 0);
    CHECK_INT(skua_sync(&second), 0);
    add('-');
    CHECK_INT(skua_sync(&first), 0);
    defer('4');
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    add('.');
    return 0;
}

/* The same, whoever runs the children. */
static void a_forked_function_defers_for_the_scope_of_its_fork(void **state)
{
    run_traced_on_1_2_4(forks_body, "3-4120.");
    CHECK_INT(setenv("SKUA_FORKS", "always", 1), 0);
    run_traced_on_1_2_4(forks_body, "3-4120.");
    CHECK_INT(unsetenv("SKUA_FORKS"), 0);
}

/* A child that is called back inside of a scope that was opened after its fork. */
static int late_sync_body(void *arg)
{
    struct deferring one = {'1', false};
    SKUA_SCOPE(outer);
    skua_scope_open(&outer, SKUA_FOREVER);
    defer('0');
    SKUA_CHILD(child);
    skua_fork(&child, defer_own, &one);
    {
        SKUA_SCOPE(inner);
        skua_scope_open(&inner, SKUA_FOREVER);
        defer('2');
        CHECK_INT(skua_sync(&child), 0);
        defer('3');
        CHECK_INT(skua_scope_close(&inner, 0), 0);
    }
    add('-');
    CHECK_INT(skua_scope_close(&outer, 0), 0);
    return 0;
}

static void a_late_sync_keeps_the_scopes_apart(void **state)
{
    run_traced_on_1_2_4(late_sync_body, "32-10");
    CHECK_INT(setenv("SKUA_FORKS", "always", 1), 0);
    run_traced_on_1_2_4(late_sync_body, "32-10");
    CHECK_INT(unsetenv("SKUA_FORKS"), 0);
}

enum { TREE_DEPTH = 6 };

static _Atomic int tree_runs;

static void count_run(void *arg)
{
    atomic_fetch_add(&tree_runs, 1);
}

static int tree(void *arg)
{
    const intptr_t depth = (intptr_t)arg;
    CHECK_INT(skua_defer(count_run, NULL), 0);
    if (depth == 0) {
        return skua_sleep(skua_after(SKUA_US(10)));
    }
    CHECK_INT(skua_both(tree, (void *)(depth - 1), tree, (void *)(depth - 1)), 0);
    return 0;
}

static int tree_body(void *arg)
{
    atomic_store(&tree_runs, 0);
    CHECK_INT(skua_within(SKUA_FOREVER, tree, (void *)(intptr_t)TREE_DEPTH), 0);
    CHECK_INT(atomic_load(&tree_runs), (2 << TREE_DEPTH) - 1);
    return 0;
}

static void each_of_a_tree_of_children_runs_once(void **state)
{
    run_on_1_2_4(tree_body);
}

/* --- when it cannot be ------------------------------------------------------------------------ */

static int no_memory_body(void *arg)
{
    atomic_store(&skua__alloc_budget, 0);
    const int status = skua_defer(add_letter, letter('n'));
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(status, -ENOMEM);
    add('.');
    return 0;
}

static void without_memory_it_is_called_at_once(void **state)
{
    run_traced(1, no_memory_body, NULL, "n.");
}

static void on_a_foreign_thread_it_is_called_at_once(void **state)
{
    struct trace one = {.length = 0};
    traced = &one;
    CHECK_INT(skua_defer(add_letter, letter('f')), -EPERM);
    CHECK_INT(skua_defer(NULL, NULL), -EINVAL);
    CHECK_STR(one.text, "f");
}

/* A process that somebody forked: the call is made, nothing is noted, and no lock is touched. */
static int forked_body(void *arg)
{
    static const skua_resource nothing = {NULL, NULL};
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(20);
        CHECK_INT(skua_defer(add_letter, letter('c')), -ESHUTDOWN);
        CHECK_STR(traced->text, "c");
        CHECK_INT(skua_with(&nothing, NULL, return_zero, NULL), -ESHUTDOWN);
        CHECK_INT(skua_move_on(SKUA_FOREVER, return_zero, NULL), -ESHUTDOWN);
        CHECK_INT(skua_shielded(SKUA_FOREVER, return_zero, NULL), -ESHUTDOWN);
        CHECK_INT(skua_rename_self("child"), -ESHUTDOWN);
        skua_task_stop(skua_self(), SKUA_NOW);
        CHECK_INT(skua_cancel_reason(), 0);
        CHECK(!skua_stopping());
        _exit(0);
    }
    int status = -1;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    return 0;
}

static void in_a_forked_process_it_is_called_at_once(void **state)
{
    run_traced(2, forked_body, NULL, "");
}

/* --- many ------------------------------------------------------------------------------------- */

/* Opens scopes and defers at random; each number must come back once, the last one first. */
struct random_run {
    uint64_t random;
    int deferred, runs;
    int open[1024]; /* deferred and not yet run, in order */
    int count;
};

static struct random_run *random_now;

static void check_last(void *arg)
{
    struct random_run *run = random_now;
    CHECK(run->count > 0);
    CHECK_INT(run->open[--run->count], (intptr_t)arg);
    run->runs++;
}

static void random_level(struct random_run *run, int depth)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    const int before = run->count;
    const int steps = (int)(test_random(&run->random) % 6);
    for (int i = 0; i < steps; i++) {
        if (depth < 5 && test_random(&run->random) % 2 == 0) {
            random_level(run, depth + 1);
            continue;
        }
        run->open[run->count++] = run->deferred;
        CHECK_INT(skua_defer(check_last, (void *)(intptr_t)run->deferred++), 0);
    }
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    CHECK_INT(run->count, before);
}

static int random_body(void *arg)
{
    struct random_run run = {.random = test_seed()};
    random_now = &run;
    for (int i = 0; i < 50; i++) {
        random_level(&run, 0);
    }
    CHECK_INT(run.runs, run.deferred);
    return 0;
}

static void scopes_at_random_keep_the_order(void **state)
{
    run_on(1, random_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_deferred_runs_first_when_its_scope_is_closed),
        TEST(they_run_once_whatever_is_returned),
        TEST(they_may_wait_in_what_was_cancelled),
        TEST(their_protection_ends_with_the_grace),
        TEST(what_a_deferred_call_defers_runs_after_it),
        TEST(the_main_task_runs_its_own),
        TEST(a_task_that_is_left_behind_runs_its_own),
        TEST(a_forked_function_defers_for_the_scope_of_its_fork),
        TEST(a_late_sync_keeps_the_scopes_apart),
        TEST(each_of_a_tree_of_children_runs_once),
        TEST(without_memory_it_is_called_at_once),
        TEST(on_a_foreign_thread_it_is_called_at_once),
        TEST(in_a_forked_process_it_is_called_at_once),
        TEST(scopes_at_random_keep_the_order),
    };
    return TEST_RUN(tests);
}
