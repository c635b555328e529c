/* The runtime as a whole: chains of tasks, signals while it is idle, and what the race detector
   makes of tasks. */
#include "../tasks.h"

#include "base/sanitize.h"

#include <fcntl.h>
#include <skua/skua.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

/* --- chains ----------------------------------------------------------------------------------- */

enum {
    LINKS = 200,
    CYCLES = 5,
    TRACKS = TEST_SCALE > 1 ? 3 : 50, /* the race detector takes long to make a stack */
    REPETITIONS = TEST_SCALE > 1 ? 1 : 2,
};

typedef struct chain_link {
    skua_chan *from, *to;
} chain_link;

static int forward(void *arg)
{
    const chain_link *self = arg;
    int message = 0, status = 0;
    while ((status = skua_chan_recv(self->from, SKUA_ITEM(message), SKUA_FOREVER)) == 1) {
        message++;
        status = skua_chan_send(self->to, SKUA_ITEM(message), SKUA_FOREVER);
        if (status < 0) {
            break;
        }
    }
    skua_chan_release(self->from, SKUA_RECEIVER);
    skua_chan_release(self->to, SKUA_SENDER); /* the last sender: the end goes on, too */
    return status;
}

/* The head of a chain of tasks, which ends in *tail. */
static skua_chan *make_chain(skua_chan **tail)
{
    skua_chan *head, *from;
    CHECK_INT(skua_chan_create(&head, sizeof(int), 10), 0);
    from = head;
    for (int i = 0; i < LINKS; i++) {
        chain_link link = {.from = from};
        const skua_spawn_opts opts = {.arg_bytes = sizeof link};
        CHECK_INT(skua_chan_create(&link.to, sizeof(int), 10), 0);
        CHECK_INT(skua_spawn(NULL, forward, &link, &opts), 0);
        from = link.to;
    }
    *tail = from;
    return head;
}

static int run_track(void *arg)
{
    skua_chan *tail, *head = make_chain(&tail);
    int message = 0;
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        CHECK_INT(skua_chan_send(head, SKUA_ITEM(message), SKUA_FOREVER), 0);
        CHECK_INT(skua_chan_recv(tail, SKUA_ITEM(message), SKUA_FOREVER), 1);
        CHECK_INT(message, LINKS * (cycle + 1));
    }
    skua_chan_release(head, SKUA_SENDER);
    CHECK_INT(skua_chan_recv(tail, SKUA_ITEM(message), SKUA_FOREVER), 0);
    skua_chan_release(tail, SKUA_RECEIVER);
    return LINKS * CYCLES;
}

static int tracks_body(void *arg)
{
    skua_task *tasks[TRACKS];
    for (int i = 0; i < REPETITIONS; i++) {
        for (int k = 0; k < TRACKS; k++) {
            tasks[k] = spawn(run_track, NULL);
        }
        for (int k = 0; k < TRACKS; k++) {
            CHECK_INT(finish(tasks[k]), LINKS * CYCLES);
        }
    }
    return 0;
}

/* covers: D73 */
static void chains_of_two_hundred_tasks_deliver_every_message(void **state)
{
    run_on_1_2_4(tracks_body);
}

/* --- a signal while idle ---------------------------------------------------------------------- */

static int await_signal(void *arg)
{
    gate *waits = arg;
    sigset_t set;
    struct signalfd_siginfo info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(fd >= 0);
    CHECK_INT(skua_fd_adopt(fd), 0);
    atomic_store(waits, 1);
    CHECK_INT(skua_read(fd, &info, sizeof info, SKUA_FOREVER), sizeof info);
    CHECK_INT(info.ssi_signo, SIGUSR1);
    CHECK_INT(skua_read(fd, &info, sizeof info, SKUA_NOW), -EAGAIN); /* once */
    skua_close(fd);
    return 0;
}

/* covers: D72 */
static void a_signal_wakes_an_idle_runtime_once(void **state)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        skua_runtime *runtime;
        skua_task *task;
        gate waits = 0;
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_runtime_create(&runtime, &config), 0);
        CHECK_INT(skua_submit(runtime, &task, await_signal, &waits, NULL), 0);
        await(&waits, 1);
        CHECK_INT(kill(getpid(), SIGUSR1), 0);
        CHECK_INT(finish(task), 0);
        skua_runtime_destroy(runtime);
    }
    CHECK_INT(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

/* --- races ------------------------------------------------------------------------------------ */

/* Plain numbers, on purpose: what the detector is to watch. */
typedef struct shared {
    int number;
    gate both;
    skua_chan *turn;
} shared;

/* Begins when both have begun; the gate orders nothing. */
static void meet(shared *all)
{
    atomic_fetch_add_explicit(&all->both, 1, memory_order_relaxed);
    while (atomic_load_explicit(&all->both, memory_order_relaxed) < 2) {
        sched_yield();
    }
}

static int count_in_turn(void *arg)
{
    shared *all = arg;
    char token = 0;
    meet(all);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(skua_chan_recv(all->turn, SKUA_ITEM(token), SKUA_FOREVER), 1);
        all->number++;
        CHECK_INT(skua_chan_send(all->turn, SKUA_ITEM(token), SKUA_FOREVER), 0);
    }
    return 0;
}

static int count_at_once(void *arg)
{
    shared *all = arg;
    meet(all);
    for (int i = 0; i < 1000; i++) {
        all->number++;
    }
    return 0;
}

static int count_twice(skua_fn fn)
{
    shared all = {.number = 0};
    skua_task *tasks[2];
    char token = 0;
    CHECK_INT(skua_chan_create(&all.turn, 1, 1), 0);
    CHECK_INT(skua_chan_send(all.turn, SKUA_ITEM(token), SKUA_FOREVER), 0);
    for (uint32_t i = 0; i < 2; i++) {
        tasks[i] = spawn_with(fn, &all, &(skua_spawn_opts){.pin = 1 + i});
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    skua_chan_release(all.turn, SKUA_SENDER | SKUA_RECEIVER);
    return all.number;
}

static int ordered_body(void *arg)
{
    CHECK_INT(count_twice(count_in_turn), 2000);
    return 0;
}

/* Of a channel the detector knows what it orders, wherever the tasks go on. */
/* covers: A63 B42 */
static void tasks_that_take_turns_do_not_race(void **state)
{
    run_on(2, ordered_body);
}

static int racing_body(void *arg)
{
    return count_twice(count_at_once) > 0 ? 0 : -EIO;
}

/* This program again, as one that races. Returns its wait status. */
static int play_race(char *text, size_t size)
{
    int ends[2], result;
    char *const argv[] = {(char *)"runtime_behaviours_test", (char *)"race", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    CHECK_INT(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t length = 0;
    char piece[512];
    for (ssize_t n = 0; (n = read(ends[0], piece, sizeof piece)) > 0;) {
        for (ssize_t i = 0; i < n && length + 1 < size; i++) {
            text[length++] = piece[i];
        }
    }
    text[length] = '\0';
    close(ends[0]);
    CHECK_INT(waitpid(pid, &result, 0), pid);
    return result;
}

/* Only the race detector's build can tell; in the others there is nothing to see. */
/* covers: B42 */
static void a_race_of_two_tasks_is_found(void **state)
{
    char text[8192];
    if (SKUA_TSAN) {
        CHECK(play_race(text, sizeof text) != 0);
        CHECK(strstr(text, "data race") != NULL);
        CHECK(strstr(text, "count_at_once") != NULL);
    }
}

static int race(void)
{
    const skua_config config = {.workers = 2};
    return skua_run(&config, racing_body, NULL) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(chains_of_two_hundred_tasks_deliver_every_message),
        TEST(a_signal_wakes_an_idle_runtime_once),
        TEST(tasks_that_take_turns_do_not_race),
        TEST(a_race_of_two_tasks_is_found),
    };
    return argc > 1 ? race() : TEST_RUN(tests);
}
