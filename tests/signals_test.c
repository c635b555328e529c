/* SIGINT and SIGTERM under skua_run(). Each test runs in a child process, which tells over a pipe
   how far it is, and is sent signals by its parent. */
#include "tasks.h"

#include "base/sanitize.h"
#include "mem/forked.h"

#include <pthread.h>
#include <skua/control.h>
#include <sys/wait.h>

/* --- the child's side ------------------------------------------------------------------------- */

static int words; /* to the parent */

static void tell(char word)
{
    CHECK_INT(write(words, &word, 1), 1);
}

/* Main and 3 others that serve until they are told to stop. */
static int serve(void *arg)
{
    tell('w');
    while (!skua_stopping()) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    }
    return 0;
}

static int serve_all(void *arg)
{
    skua_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = spawn(serve, NULL);
    }
    CHECK_INT(serve(NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 40 + skua_run_signal();
}

static int wait_for_good(void *arg)
{
    tell('w');
    const int status = skua_sleep(SKUA_FOREVER);
    tell('c');
    return status;
}

/* Knows of no cancel. */
static int go_on_for_good(void *arg)
{
    tell('w');
    for (;;) {
        const int status = skua_yield();
        if (status == -ECANCELED && arg != NULL) {
            tell('c');
            arg = NULL;
        }
    }
    return 0;
}

static int run_with(uint32_t workers, int64_t drain_ns, skua_fn fn)
{
    static char anything;
    const skua_config config = {
        .workers = workers, .drain_ns = drain_ns, .cleanup_ns = SKUA_SEC(60)};
    return skua_run(&config, fn, &anything);
}

static int child_serves(void)
{
    return run_with(2, SKUA_SEC(30), serve_all);
}

/* Restored afterwards: whether the actions are the default ones. */
static int child_waits(void)
{
    const int status = run_with(2, SKUA_MS(20), wait_for_good);
    struct sigaction present;
    CHECK_INT(sigaction(SIGINT, NULL, &present), 0);
    CHECK(present.sa_handler == SIG_DFL);
    return status == -EINTR ? 50 : 51;
}

static int child_waits_long(void)
{
    return run_with(1, SKUA_SEC(100), wait_for_good) == -EINTR ? 50 : 51;
}

static int child_drains_not(void)
{
    return run_with(1, -1, wait_for_good) == -EINTR ? 50 : 51;
}

static int child_goes_on(void)
{
    return run_with(2, SKUA_SEC(100), go_on_for_good);
}

static int child_leaves_signals(void)
{
    const skua_config config = {.workers = 1, .leave_signals = true};
    return skua_run(&config, wait_for_good, NULL);
}

static void own_handler(int number)
{
    tell('h');
    _exit(60);
}

static int child_has_own_handler(void)
{
    signal(SIGINT, own_handler);
    return run_with(1, 0, wait_for_good);
}

static int child_ignores_one(void)
{
    signal(SIGINT, SIG_IGN);
    return run_with(1, -1, wait_for_good) == -EINTR ? 50 : 51;
}

/* Two runs in two threads. */
static void *run_in_thread(void *arg)
{
    *(int *)arg = run_with(1, -1, wait_for_good);
    return NULL;
}

static int child_runs_twice(void)
{
    int one = 0, two = 0;
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run_in_thread, &one), 0);
    run_in_thread(&two);
    CHECK_INT(pthread_join(thread, NULL), 0);
    struct sigaction present;
    CHECK_INT(sigaction(SIGTERM, NULL, &present), 0);
    CHECK(present.sa_handler == SIG_DFL);
    return one == -EINTR && two == -EINTR ? 50 : 51;
}

/* A handler that the program sets meanwhile stays. */
static int set_handler(void *arg)
{
    signal(SIGTERM, own_handler);
    return 0;
}

static int child_changes_handler(void)
{
    CHECK_INT(run_with(1, 0, set_handler), 0);
    tell('w');
    pause();
    return 61;
}

/* A signal of an earlier run is none of a later one's. */
static int note_draining(void *arg)
{
    return skua_stopping() ? 1 : 0;
}

static int child_runs_again(void)
{
    CHECK_INT(run_with(1, -1, wait_for_good), -EINTR);
    CHECK_INT(run_with(1, -1, note_draining), 0);
    return 50;
}

/* --- the parent's side ------------------------------------------------------------------------ */

typedef struct child {
    pid_t pid;
    int words;
} child;

static child start(int (*body)(void))
{
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        skua__process_is_origin(); /* Skua has not been used here yet */
        alarm(30 * TEST_SCALE);
        words = ends[1];
        _exit(body());
    }
    close(ends[1]);
    return (child){pid, ends[0]};
}

static void await_words(const child *own, char word, int count)
{
    while (count > 0) {
        char got = 0;
        CHECK_INT(read(own->words, &got, 1), 1);
        CHECK_INT(got, word);
        count--;
    }
}

static int end_of(const child *own)
{
    int status = 0;
    CHECK_INT(waitpid(own->pid, &status, 0), own->pid);
    close(own->words);
    return status;
}

static void exits_with(const child *own, int code)
{
    const int status = end_of(own);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), code);
}

/* covers: A44 */
static void the_first_drains(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        const child own = start(child_serves);
        await_words(&own, 'w', 4);
        kill(own.pid, numbers[i]);
        exits_with(&own, 40 + numbers[i]);
    }
}

/* covers: A44 B6 D72 */
static void after_the_drain_it_cancels(void **state)
{
    const child own = start(child_waits);
    await_words(&own, 'w', 1);
    kill(own.pid, SIGINT); /* while all of it sleeps */
    await_words(&own, 'c', 1);
    exits_with(&own, 50);
}

/* covers: A44 */
static void the_second_cancels_at_once(void **state)
{
    const child own = start(child_waits_long);
    const skua_time begin = skua_clock();
    await_words(&own, 'w', 1);
    kill(own.pid, SIGINT);
    kill(own.pid, SIGTERM);
    await_words(&own, 'c', 1);
    exits_with(&own, 50);
    CHECK(skua_elapsed_ns(begin) < SKUA_SEC(50));
}

/* covers: B6 */
static void without_a_drain_the_first_cancels(void **state)
{
    const child own = start(child_drains_not);
    await_words(&own, 'w', 1);
    kill(own.pid, SIGTERM);
    await_words(&own, 'c', 1);
    exits_with(&own, 50);
}

/* covers: A44 */
static void the_third_ends_the_process(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        const child own = start(child_goes_on);
        await_words(&own, 'w', 1);
        kill(own.pid, SIGINT);
        kill(own.pid, SIGTERM); /* another number, so that it is not merged with the first */
        await_words(&own, 'c', 1);
        kill(own.pid, numbers[i]);
        const int status = end_of(&own);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(WTERMSIG(status), numbers[i]);
    }
}

static void signals_can_be_left_alone(void **state)
{
    const child own = start(child_leaves_signals);
    await_words(&own, 'w', 1);
    kill(own.pid, SIGINT);
    const int status = end_of(&own);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGINT);
}

static void handlers_of_the_program_stay(void **state)
{
    child own = start(child_has_own_handler);
    await_words(&own, 'w', 1);
    kill(own.pid, SIGINT);
    await_words(&own, 'h', 1);
    exits_with(&own, 60);
    own = start(child_changes_handler);
    await_words(&own, 'w', 1);
    kill(own.pid, SIGTERM);
    await_words(&own, 'h', 1);
    exits_with(&own, 60);
}

static void what_is_ignored_stays_ignored(void **state)
{
    const child own = start(child_ignores_one);
    await_words(&own, 'w', 1);
    kill(own.pid, SIGINT);
    kill(own.pid, SIGTERM);
    await_words(&own, 'c', 1);
    exits_with(&own, 50);
}

static void several_runs_heed_the_same_signal(void **state)
{
    const child own = start(child_runs_twice);
    await_words(&own, 'w', 2);
    kill(own.pid, SIGTERM);
    await_words(&own, 'c', 2);
    exits_with(&own, 50);
}

static void a_signal_of_an_earlier_run_is_over(void **state)
{
    const child own = start(child_runs_again);
    await_words(&own, 'w', 1);
    kill(own.pid, SIGINT);
    await_words(&own, 'c', 1);
    exits_with(&own, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_drains),
        TEST(after_the_drain_it_cancels),
        TEST(the_second_cancels_at_once),
        TEST(without_a_drain_the_first_cancels),
        TEST(the_third_ends_the_process),
        TEST(signals_can_be_left_alone),
        TEST(handlers_of_the_program_stay),
        TEST(what_is_ignored_stays_ignored),
        TEST(several_runs_heed_the_same_signal),
        TEST(a_signal_of_an_earlier_run_is_over),
    };
    if (SKUA_TSAN) {
        /* It keeps a signal back until the thread comes to a call that it knows: threads that
           sleep on a futex never do. */
        return TEST_SKIPPED;
    }
    return TEST_RUN(tests);
}
