/* tests/testing_test.c: test runs, checks, leaks, and tests of cmocka whose body is a task. */
#include "mem/forked.h"
#include "tasks.h"

#include <pthread.h>
#include <skua/chan.h>
#include <skua/testing.h>
#include <sys/wait.h>

static int do_nothing(void *arg)
{
    return 0;
}

/* What a run says on standard error, and its status. */
static int run_caught(struct said *caught, const skua_test_opts *opts, skua_fn fn, void *arg)
{
    said_begin(caught);
    const int status = skua_test_run(opts, fn, arg);
    said_end(caught);
    return status;
}

/* --- runs ------------------------------------------------------------------------------------- */

static int return_its_number(void *arg)
{
    CHECK_INT(skua_test_run(NULL, do_nothing, NULL), -EBUSY);
    return *(int *)arg;
}

static void a_run_returns_what_its_main_task_returns(void **state)
{
    int number = 42;
    CHECK_INT(skua_test_run(NULL, return_its_number, &number), 42);
    number = -EIO;
    CHECK_INT(skua_test_run(NULL, return_its_number, &number), -EIO);
    CHECK_INT(skua_test_run(NULL, NULL, NULL), -EINVAL);
}

static void *run_beside(void *arg)
{
    CHECK_INT(skua_test_run(NULL, do_nothing, NULL), -EBUSY);
    return NULL;
}

static int let_a_thread_run(void *arg)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run_beside, NULL), 0);
    pthread_join(thread, NULL);
    return 0;
}

static void one_run_at_a_time(void **state)
{
    CHECK_INT(skua_test_run(NULL, let_a_thread_run, NULL), 0);
}

static int allocate(void *arg)
{
    skua_chan *chans[3] = {NULL, NULL, NULL};
    const int *good = arg;
    for (int i = 0; i < 3; i++) {
        const int status = skua_chan_create(&chans[i], sizeof(int), 4);
        CHECK_INT(status, i < *good ? 0 : -ENOMEM);
    }
    for (int i = 0; i < 3; i++) {
        skua_chan_release(chans[i], SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

static void the_nth_allocation_fails(void **state)
{
    for (int good = 0; good < 3; good++) {
        const skua_test_opts opts = {.fail_nth_alloc = (uint32_t)good + 1};
        CHECK_INT(skua_test_run(&opts, allocate, &good), 0);
    }
    int all = 3;
    CHECK_INT(skua_test_run(NULL, allocate, &all), 0);
}

/* --- hangs ------------------------------------------------------------------------------------ */

static int wait_for_nothing(void *arg)
{
    return skua_sleep(SKUA_FOREVER);
}

static int start_and_hang(void *arg)
{
    const skua_spawn_opts opts = {.name = "left-behind"};
    skua_task *task = spawn_with(wait_for_nothing, NULL, &opts);
    return finish(task);
}

static void hang(void *arg)
{
    const skua_test_opts *opts = arg;
    skua__process_is_origin(); /* a fork may not use Skua, but this one is meant to */
    CHECK_INT(skua_test_run(opts, start_and_hang, NULL), 0);
}

/* What it says when it hangs, in a process of its own, which must end by that. */
static void hang_says(const skua_test_opts *opts, char *said, size_t bytes)
{
    int ends[2], status = 0;
    size_t length = 0;
    CHECK_INT(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        hang((void *)(uintptr_t)opts);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got = 1; got > 0; length += (size_t)(got > 0 ? got : 0)) {
        got = read(ends[0], said + length, bytes - 1 - length);
    }
    said[length] = '\0';
    close(ends[0]);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGABRT);
}

/* A time limit that is over before the tasks have got to where they hang shows less than one that
   is not; so the next one is ten times as long. */
/* covers: A89 */
static void a_hang_lists_the_tasks_and_aborts(void **state)
{
    static char said[16384];
    skua_test_opts opts = {.virtual_clock = true, .timeout_ns = SKUA_MS(30), .name = "stuck"};
    for (bool hangs = false; !hangs; opts.timeout_ns *= 10) {
        char headline[100];
        hang_says(&opts, said, sizeof said);
        snprintf(headline, sizeof headline, "stuck: hang: it has not ended after %lld ms",
                 (long long)(opts.timeout_ns / SKUA_MS(1)));
        CHECK(strstr(said, headline) != NULL);
        hangs = strstr(said, "'left-behind' sleeps") != NULL &&
                strstr(said, "'main' waits for the end of 'left-behind'") != NULL;
    }
    opts.timeout_ns = SKUA_MS(30);
    opts.seeded = true;
    opts.seed = 99;
    test_dies(hang, &opts, "SKUA_SEED=99");
}

/* --- leaks ------------------------------------------------------------------------------------ */

static int leak_a_task(void *arg)
{
    const skua_spawn_opts opts = {.name = "forgotten"};
    skua_task_release(spawn_with(wait_for_nothing, NULL, &opts));
    return 0;
}

static int leak_a_handle(void *arg)
{
    const skua_spawn_opts opts = {.name = "unreleased"};
    skua_task *task = spawn_with(do_nothing, NULL, &opts);
    CHECK_INT(status_of(task), 0);
    return 0;
}

static int leaked_fd;
static int leak_an_fd(void *arg)
{
    leaked_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return 0;
}

static skua_chan *leaked_chan;
static int leak_memory(void *arg)
{
    CHECK_INT(skua_chan_create(&leaked_chan, 16, 64), 0);
    return 0;
}

static pthread_t leaked_thread;
static gate thread_may_end;
static void *linger(void *arg)
{
    pthread_setname_np(pthread_self(), "lingerer");
    atomic_store(&thread_may_end, 1);
    await(&thread_may_end, 2);
    return NULL;
}

static int leak_a_thread(void *arg)
{
    atomic_store(&thread_may_end, 0);
    CHECK_INT(pthread_create(&leaked_thread, NULL, linger, NULL), 0);
    await(&thread_may_end, 1);
    return 0;
}

static int end_soon(void *arg)
{
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    return 0;
}

static int release_tasks_that_end(void *arg)
{
    for (int i = 0; i < 50; i++) {
        skua_task_release(spawn(end_soon, NULL));
    }
    return 0;
}

static void expect_leak(skua_fn fn, const char *text)
{
    static struct said caught;
    const skua_test_opts opts = {.virtual_clock = true, .name = "leaky"};
    const skua_test_opts lax = {.virtual_clock = true, .allow_leaks = true};
    CHECK_INT(run_caught(&caught, &opts, fn, NULL), -ENOTEMPTY);
    CHECK(strstr(caught.text, text) != NULL);
    if (fn == leak_a_task || fn == leak_a_handle) {
        run_caught(&caught, &lax, fn, NULL);
    }
}

static void what_is_left_behind_is_named(void **state)
{
    expect_leak(leak_a_task, "leaky: task 'forgotten' was left running");
    expect_leak(leak_a_handle, "not released: task 'unreleased'");
    expect_leak(leak_an_fd, "(/dev/null) was left");
    close(leaked_fd);
    expect_leak(leak_memory, "leaky: 1 pieces of memory");
    skua_chan_release(leaked_chan, SKUA_SENDER | SKUA_RECEIVER);
    expect_leak(leak_a_thread, "(lingerer) was left");
    atomic_store(&thread_may_end, 2);
    pthread_join(leaked_thread, NULL);
    CHECK_INT(skua_test_run(NULL, do_nothing, NULL), 0);
}

static void tasks_that_are_about_to_end_are_no_leak(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_test_opts opts = {.workers = workers};
        CHECK_INT(skua_test_run(&opts, release_tasks_that_end, NULL), 0);
    }
    const skua_test_opts seeded = {.seeded = true};
    CHECK_INT(skua_test_run(&seeded, release_tasks_that_end, NULL), 0);
}

static void resources_can_be_compared(void **state)
{
    static struct said caught;
    skua_test_resources before;
    skua_chan *chan = NULL;
    skua_test_resources_now(&before);
    CHECK_INT(skua_test_resources_compare(&before), 0);
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_INT(skua_chan_create(&chan, 8, 8), 0);
    said_begin(&caught);
    const int status = skua_test_resources_compare(&before);
    said_end(&caught);
    CHECK_INT(status, -ENOTEMPTY);
    CHECK(strstr(caught.text, "pieces of memory") != NULL);
    close(fd);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    CHECK_INT(skua_test_resources_compare(&before), 0);
}

/* --- checks ----------------------------------------------------------------------------------- */

static int fail_inside_a_scope(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    SKUA_CHECK(arg == NULL);
    SKUA_CHECK_INT(1 + 1, 3);
    CHECK(false);
    return 0;
}

static int wait_for_child(void *arg)
{
    skua_task_release(spawn(fail_inside_a_scope, NULL));
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED); /* the child's check has cancelled us */
    return 0;
}

static int compare_texts(void *arg)
{
    SKUA_CHECK_TEXT("same", "same");
    SKUA_CHECK_TEXT((const char *)arg, "other");
    return 0;
}

/* covers: A89 */
static void a_failed_check_is_recorded_and_leaves_by_return(void **state)
{
    static struct said caught;
    CHECK_INT(run_caught(&caught, NULL, fail_inside_a_scope, NULL), SKUA_TEST_FAILED);
    CHECK(strstr(caught.text, "in task 'main': 1 + 1 is 2, expected 3") != NULL);
    CHECK_INT(run_caught(&caught, NULL, wait_for_child, NULL), SKUA_TEST_FAILED);
    CHECK(strstr(caught.text, "1 + 1 is 2, expected 3") != NULL);
    CHECK_INT(run_caught(&caught, NULL, compare_texts, NULL), SKUA_TEST_FAILED);
    CHECK(strstr(caught.text, "is \"(null)\", expected \"other\"") != NULL);
    char text[] = "other";
    CHECK_INT(skua_test_run(NULL, compare_texts, text), 0);
}

static void check_outside(void *arg)
{
    skua_test_same_int(__FILE__, __LINE__, "nothing", 1, 2);
}

static void a_check_outside_of_a_run_aborts(void **state)
{
    test_dies(check_outside, NULL, "nothing is 1, expected 2");
}

static void let_go_too_often(void *arg)
{
    skua_test_hold_clock();
    skua_test_let_clock_go();
    skua_test_let_clock_go();
}

static void letting_go_of_what_nobody_holds_dies(void **state)
{
    test_dies(let_go_too_often, NULL, "the clock is let go of, but nobody holds it");
}

/* --- cases ------------------------------------------------------------------------------------ */

static char course[64];

static int set_up(void **state)
{
    strcat(course, "S");
    *state = course;
    return skua_sleep(skua_after(SKUA_SEC(1)));
}

static int set_up_badly(void **state)
{
    strcat(course, "s");
    return -EIO;
}

static int use_it(void **state)
{
    strcat(*state, "B");
    return skua_sleep(skua_after(SKUA_SEC(1)));
}

static int use_it_badly(void **state)
{
    strcat(*state, "b");
    SKUA_CHECK_INT(strlen(*state), 0);
    CHECK(false);
    return 0;
}

static int fail_in_child_task(void *arg)
{
    SKUA_CHECK(arg != NULL);
    return 0;
}

static int let_a_child_fail(void **state)
{
    strcat(*state, "c");
    skua_task_release(spawn(fail_in_child_task, NULL));
    return skua_sleep(SKUA_FOREVER); /* until the failure cancels this */
}

/* Not cancelled with the body. */
static int tear_down(void **state)
{
    const int status = skua_sleep(skua_after(SKUA_SEC(1)));
    strcat(course, "T");
    return status;
}

static int end_badly(void **state)
{
    return -EPIPE;
}

static int run_case(skua_test_fn setup, skua_test_fn body, skua_test_fn teardown,
                    const char **message)
{
    static struct said caught;
    const skua_test_parts parts = {"trial", setup, body, teardown};
    void *state = NULL;
    *message = "";
    course[0] = '\0';
    said_begin(&caught);
    const int status = skua_test_case(NULL, &parts, &state, message);
    said_end(&caught);
    return status;
}

/* covers: A89 A90 */
static void setup_body_and_teardown_are_tasks(void **state)
{
    const char *message;
    CHECK_INT(run_case(set_up, use_it, tear_down, &message), 0);
    CHECK_STR(course, "SBT");
    CHECK(run_case(set_up, use_it_badly, tear_down, &message) < 0);
    CHECK_STR(course, "SbT");
    CHECK(strstr(message, "in task 'trial': strlen(*state) is 2, expected 0") != NULL);
    CHECK(run_case(set_up, let_a_child_fail, tear_down, &message) < 0);
    CHECK_STR(course, "ScT");
    CHECK(strstr(message, "arg != NULL is false") != NULL);
    CHECK(run_case(set_up_badly, use_it, tear_down, &message) < 0);
    CHECK_STR(course, "sT");
    CHECK(strstr(message, "setup returned") != NULL);
    CHECK(run_case(set_up, end_badly, tear_down, &message) < 0);
    CHECK_STR(course, "ST");
    CHECK(strstr(message, "body returned -32") != NULL);
    CHECK(run_case(NULL, end_badly, NULL, &message) < 0);
}

/* --- cmocka ----------------------------------------------------------------------------------- */

SKUA_TEST(passes_first)
{
    const skua_time start = skua_clock();
    SKUA_CHECK_INT(skua_sleep(skua_after(SKUA_SEC(450))), 0);
    SKUA_CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(450));
    return 0;
}

SKUA_TEST(fails_in_a_task)
{
    char name[8] = "";
    *state = name;
    return let_a_child_fail(state);
}

SKUA_FIXTURE_TEST(fails_between_its_fixtures, set_up, tear_down)
{
    return use_it_badly(state);
}

SKUA_FIXTURE_TEST(passes_last, set_up, tear_down)
{
    SKUA_CHECK_TEXT(course, "SbTS"); /* what the test before has left: its teardown has run */
    return use_it(state);
}

static void run_four_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_first),
        cmocka_unit_test(fails_in_a_task),
        cmocka_unit_test(fails_between_its_fixtures),
        cmocka_unit_test(passes_last),
    };
    skua__process_is_origin();
    course[0] = '\0';
    setenv("CMOCKA_TEST_ABORT", "0", 1);
    const int failed = cmocka_run_group_tests_name("trial", tests, NULL, NULL);
    fflush(NULL);
    _exit(100 + failed);
}

/* In a process of its own, since two of them are to fail. */
/* covers: A89 A90 */
static void a_failure_in_a_task_fails_that_cmocka_test_only(void **state)
{
    int ends[2], status = 0;
    char said[16384];
    size_t length = 0;
    CHECK_INT(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        run_four_tests();
    }
    close(ends[1]);
    for (ssize_t got = 1; got > 0; length += (size_t)(got > 0 ? got : 0)) {
        got = read(ends[0], said + length, sizeof said - 1 - length);
    }
    said[length] = '\0';
    close(ends[0]);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 102);
    CHECK(strstr(said, "[       OK ] passes_first") != NULL);
    CHECK(strstr(said, "[  FAILED  ] fails_in_a_task") != NULL);
    CHECK(strstr(said, "[  FAILED  ] fails_between_its_fixtures") != NULL);
    CHECK(strstr(said, "[       OK ] passes_last") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failure_in_a_task_fails_that_cmocka_test_only),
        TEST(a_run_returns_what_its_main_task_returns),
        TEST(one_run_at_a_time),
        TEST(the_nth_allocation_fails),
        TEST(a_hang_lists_the_tasks_and_aborts),
        TEST(what_is_left_behind_is_named),
        TEST(tasks_that_are_about_to_end_are_no_leak),
        TEST(resources_can_be_compared),
        TEST(a_failed_check_is_recorded_and_leaves_by_return),
        TEST(a_check_outside_of_a_run_aborts),
        TEST(letting_go_of_what_nobody_holds_dies),
        TEST(setup_body_and_teardown_are_tasks),
    };
    return TEST_RUN(tests);
}
