/* Signals as events: heard by all who listen, at once, and by nobody any more afterwards. */
#include "process_help.h"

#include "base/sanitize.h"

#include <pthread.h>
#include <skua/control.h>
#include <skua/signal.h>
#include <skua/stream.h>
#include <sys/time.h>

static skua_signal *listen_to(int number)
{
    skua_signal *listener = NULL;
    CHECK_INT(skua_signal_open(&listener, &number, 1), 0);
    return listener;
}

/* To the process, which as a rule means its first thread. ThreadSanitizer keeps a signal back until
   the thread calls something that it knows, which one that sleeps does not: so to this one. */
static void send_me(int number)
{
    CHECK_INT(SKUA_TSAN ? raise(number) : kill(getpid(), number), 0);
}

static bool is_default(int number)
{
    struct sigaction action;
    CHECK_INT(sigaction(number, NULL, &action), 0);
    return action.sa_handler == SIG_DFL;
}

/* --- hearing ---------------------------------------------------------------------------------- */

static int hears(void *arg)
{
    skua_signal_info info = {0};
    skua_signal *listener = NULL;
    CHECK_INT(skua_signal_open(&listener, SKUA_SIGNALS(SIGUSR1, SIGUSR2, SIGHUP)), 0);
    CHECK_INT(skua_signal_wait(listener, &info, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_signal_wait(listener, &info, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    send_me(SIGUSR2);
    CHECK_INT(skua_signal_wait(listener, &info, SKUA_FOREVER), 1);
    CHECK_INT(info.number, SIGUSR2);
    CHECK_INT(info.count, 1);
    CHECK_INT(info.sender, getpid());

    /* Several, of several kinds: each kind once, with how many. */
    for (int i = 0; i < 3; i++) {
        CHECK_INT(raise(SIGUSR1), 0);
        CHECK_INT(raise(SIGHUP), 0);
    }
    uint32_t counts[32] = {0};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_signal_wait(listener, &info, SKUA_NOW), 1);
        counts[info.number] += info.count;
    }
    CHECK_INT(counts[SIGUSR1], 3);
    CHECK_INT(counts[SIGHUP], 3);
    CHECK_INT(skua_signal_wait(listener, NULL, SKUA_NOW), -EAGAIN);
    CHECK(!is_default(SIGUSR1));
    skua_signal_close(listener);
    skua_signal_close(NULL);
    CHECK(is_default(SIGUSR1) && is_default(SIGUSR2) && is_default(SIGHUP));
    return 0;
}

static void signals_are_heard_and_counted(void **state)
{
    run_clean(hears);
}

static int refuses(void *arg)
{
    static const int bad[] = {0, -1, SIGKILL, SIGSTOP, SIGSEGV, 32, 33, 65, 1000};
    skua_signal *listener = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const int numbers[] = {SIGUSR1, bad[i]};
        CHECK_INT(skua_signal_open(&listener, numbers, 2), -EINVAL);
        CHECK(is_default(SIGUSR1));
    }
    CHECK_INT(skua_signal_open(&listener, bad, 0), -EINVAL);
    CHECK_PTR(listener, NULL);
    return 0;
}

static void what_is_no_event_is_refused(void **state)
{
    run_clean(refuses);
    skua_signal *listener = NULL;
    CHECK_INT(skua_signal_open(&listener, SKUA_SIGNALS(SIGUSR1)), -EPERM);
}

static gate asleep;

static int wait_for_one(void *arg)
{
    skua_signal_info info;
    asleep++;
    const int status = skua_signal_wait(arg, &info, SKUA_FOREVER);
    return status == 1 ? info.number : status;
}

/* All workers are idle, and a thread of the program's own sends it. */
static void *send_when_idle(void *arg)
{
    await(&asleep, 1);
    usleep(20 * 1000); /* for the workers to fall asleep: it holds without, too */
    send_me(SIGUSR1);
    return NULL;
}

static int hears_when_idle(void *arg)
{
    pthread_t thread;
    skua_signal *listener = listen_to(SIGUSR1);
    asleep = 0;
    CHECK_INT(pthread_create(&thread, NULL, send_when_idle, NULL), 0);
    const skua_time start = skua_clock();
    CHECK_INT(wait_for_one(listener), SIGUSR1);
    CHECK(skua_elapsed_ns(start) < SKUA_SEC(20));
    CHECK_INT(skua_signal_wait(listener, NULL, SKUA_NOW), -EAGAIN); /* once */
    CHECK_INT(pthread_join(thread, NULL), 0);
    skua_signal_close(listener);
    return 0;
}

/* covers: D72 */
static void a_signal_is_heard_while_all_are_idle(void **state)
{
    run_clean(hears_when_idle);
}

static int all_hear(void *arg)
{
    enum { LISTENERS = 20 };
    skua_signal *listeners[LISTENERS];
    skua_task *tasks[LISTENERS];
    asleep = 0;
    for (int i = 0; i < LISTENERS; i++) {
        listeners[i] = listen_to(SIGUSR1);
        tasks[i] = spawn(wait_for_one, listeners[i]);
    }
    await(&asleep, LISTENERS);
    send_me(SIGUSR1);
    for (int i = 0; i < LISTENERS; i++) {
        CHECK_INT(finish(tasks[i]), SIGUSR1);
        CHECK(!is_default(SIGUSR1));
        skua_signal_close(listeners[i]);
    }
    CHECK(is_default(SIGUSR1));
    return 0;
}

static void all_who_listen_hear_it(void **state)
{
    run_clean(all_hear);
}

static int too_many(void *arg)
{
    enum { LISTENERS = 257 };
    skua_signal *listeners[LISTENERS] = {NULL};
    int count = 0, status = 0, number = SIGUSR1;
    while (count < LISTENERS && (status = skua_signal_open(&listeners[count], &number, 1)) == 0) {
        count++;
    }
    CHECK_INT(status, -ENOSPC);
    CHECK_INT(count, LISTENERS - 1);
    while (count > 0) {
        skua_signal_close(listeners[--count]);
    }
    return 0;
}

static void listeners_are_limited(void **state)
{
    run_clean_on(1, too_many, NULL);
}

/* --- waits ------------------------------------------------------------------------------------ */

static int waits_end(void *arg)
{
    skua_signal *listener = listen_to(SIGUSR1);
    skua_task *task = spawn(wait_for_one, listener);
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(skua_within(skua_after(SKUA_MS(1)), wait_for_one, listener), -ETIMEDOUT);

    /* In a select. */
    skua_case cases[] = {SKUA_AT(skua_after(SKUA_MS(1))), SKUA_SIGNALED(listener)};
    CHECK_INT(skua_select(cases, 2, 0, SKUA_FOREVER), 0);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_NOW), -EAGAIN);
    send_me(SIGUSR1);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_FOREVER), 0);
    CHECK_INT(cases[1].result, 1);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_NOW), 0); /* it was not asked for yet */
    CHECK_INT(skua_signal_wait(listener, NULL, SKUA_NOW), 1);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_NOW), -EAGAIN);
    skua_signal_close(listener);
    return 0;
}

static void waits_end_by_deadlines_cancels_and_in_selects(void **state)
{
    run_clean(waits_end);
}

static int selects_on_one(void *arg)
{
    skua_case entry = SKUA_SIGNALED(arg);
    asleep++;
    CHECK_INT(skua_select(&entry, 1, 0, SKUA_FOREVER), 0);
    return skua_signal_wait(arg, NULL, SKUA_NOW);
}

/* One after the other, each while a task stands in a select: none is lost. */
static int selects_many_times(void *arg)
{
    enum { ROUNDS = 300 };
    skua_signal *listener = listen_to(SIGUSR2);
    for (int i = 0; i < ROUNDS; i++) {
        asleep = 0;
        skua_task *task = spawn(i % 2 == 0 ? selects_on_one : wait_for_one, listener);
        await(&asleep, 1);
        send_me(SIGUSR2);
        CHECK_INT(finish(task), i % 2 == 0 ? 1 : SIGUSR2);
    }
    skua_signal_close(listener);
    return 0;
}

static void no_signal_is_lost_to_who_is_about_to_wait(void **state)
{
    run_clean(selects_many_times);
}

static int is_a_stream(void *arg)
{
    skua_signal_info info;
    SKUA_STREAM(signals);
    signals = skua_stream_take(skua_stream_from_signals(listen_to(SIGHUP)), 2);
    for (int i = 0; i < 2; i++) {
        send_me(SIGHUP);
        CHECK_INT(skua_stream_next(signals, SKUA_ITEM(info), SKUA_FOREVER), 1);
        CHECK_INT(info.number, SIGHUP);
    }
    CHECK_INT(skua_stream_next(signals, SKUA_ITEM(info), SKUA_FOREVER), 0);
    skua_stream_close(&signals);
    CHECK(is_default(SIGHUP));
    return 0;
}

static void signals_are_a_stream(void **state)
{
    run_clean(is_a_stream);
}

/* --- others ----------------------------------------------------------------------------------- */

/* Meanwhile it does not drain; afterwards it does again. */
static int takes_over(void *arg)
{
    skua_signal *listener = listen_to(SIGTERM);
    for (int i = 0; i < 5; i++) {
        send_me(SIGTERM);
        CHECK_INT(skua_signal_wait(listener, NULL, SKUA_FOREVER), 1);
    }
    CHECK(!skua_stopping());
    skua_signal_close(listener);
    send_me(SIGTERM);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(20))), -ECANCELED);
    return 5;
}

static void a_listener_takes_over_from_the_run(void **state)
{
    const skua_config config = {.workers = 2, .drain_ns = SKUA_MS(1)};
    CHECK_INT(skua_run(&config, takes_over, NULL), 5);
    CHECK(is_default(SIGTERM));
}

static _Atomic int plain_calls, info_calls;

static void plain_handler(int number)
{
    plain_calls++;
}

static void info_handler(int number, siginfo_t *info, void *context)
{
    info_calls += info != NULL && context != NULL && info->si_pid == getpid();
}

static int leaves_handlers(void *arg)
{
    struct sigaction ours = {.sa_sigaction = info_handler, .sa_flags = SA_SIGINFO}, now;
    plain_calls = info_calls = 0;
    signal(SIGUSR1, plain_handler);
    CHECK_INT(sigaction(SIGUSR2, &ours, NULL), 0);
    skua_signal *listener = NULL;
    CHECK_INT(skua_signal_open(&listener, SKUA_SIGNALS(SIGUSR1, SIGUSR2)), 0);
    send_me(SIGUSR1);
    CHECK_INT(skua_signal_wait(listener, NULL, SKUA_FOREVER), 1);
    send_me(SIGUSR2);
    CHECK_INT(skua_signal_wait(listener, NULL, SKUA_FOREVER), 1);
    CHECK_INT(plain_calls, 1);
    CHECK_INT(info_calls, 1);
    skua_signal_close(listener);
    CHECK_INT(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == plain_handler);
    CHECK_INT(sigaction(SIGUSR2, NULL, &now), 0);
    CHECK(now.sa_sigaction == info_handler);

    /* What the program puts in meanwhile, it keeps. */
    listener = listen_to(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    skua_signal_close(listener);
    CHECK_INT(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_IGN);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    return 0;
}

static void handlers_of_the_program_are_called_and_restored(void **state)
{
    run_clean(leaves_handlers);
}

/* In a child that the program forks, a signal does what it would do without us. */
static int forks(void *arg)
{
    int status = 0;
    skua_signal *listener = listen_to(SIGUSR1);
    const pid_t child = fork();
    if (child == 0) {
        skua_signal *other = NULL;
        if (skua_signal_open(&other, SKUA_SIGNALS(SIGUSR2)) != -ESHUTDOWN ||
            skua_signal_wait(listener, NULL, SKUA_FOREVER) != -ESHUTDOWN) {
            _exit(1);
        }
        skua_signal_close(listener);
        raise(SIGUSR1);
        _exit(2);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGUSR1);
    CHECK_INT(skua_signal_wait(listener, NULL, SKUA_NOW), -EAGAIN);
    skua_signal_close(listener);
    return 0;
}

static void a_forked_child_has_nothing_to_do_with_it(void **state)
{
    if (SKUA_TSAN) {
        print_message("the tool keeps the signal from the child\n");
        skip();
    }
    run_clean_on(2, forks, NULL);
}

/* --- storms ----------------------------------------------------------------------------------- */

static _Atomic bool is_over;
static _Atomic uint32_t sent;

static void *send_many(void *arg)
{
    while (!is_over) {
        if (raise(SIGUSR1) == 0) {
            sent++;
        }
    }
    return NULL;
}

static int open_and_close(void *arg)
{
    for (int i = 0; i < 500; i++) {
        skua_signal_close(listen_to(SIGUSR1));
    }
    return 0;
}

/* Listeners come and go under the fire of two threads; one stays, and has heard them all. */
static int hears_all(void *arg)
{
    pthread_t threads[2];
    skua_task *tasks[2];
    skua_signal_info info;
    uint32_t heard = 0;
    is_over = false;
    sent = 0;
    skua_signal *listener = listen_to(SIGUSR1);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, send_many, NULL), 0);
        tasks[i] = spawn(open_and_close, NULL);
    }
    while (heard < 2000) {
        CHECK_INT(skua_signal_wait(listener, &info, SKUA_FOREVER), 1);
        heard += info.count;
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    is_over = true;
    for (int i = 0; i < 2; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    while (skua_signal_wait(listener, &info, SKUA_NOW) == 1) {
        heard += info.count;
    }
    CHECK_INT(heard, sent);
    skua_signal_close(listener);
    return 0;
}

static void none_is_lost_in_a_storm(void **state)
{
    run_clean_on(2, hears_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(signals_are_heard_and_counted),
        TEST(what_is_no_event_is_refused),
        TEST(a_signal_is_heard_while_all_are_idle),
        TEST(all_who_listen_hear_it),
        TEST(listeners_are_limited),
        TEST(waits_end_by_deadlines_cancels_and_in_selects),
        TEST(no_signal_is_lost_to_who_is_about_to_wait),
        TEST(signals_are_a_stream),
        TEST(a_listener_takes_over_from_the_run),
        TEST(handlers_of_the_program_are_called_and_restored),
        TEST(a_forked_child_has_nothing_to_do_with_it),
        TEST(none_is_lost_in_a_storm),
    };
    return TEST_RUN(tests);
}
