/* A select over all kinds of things: queues, subscribers, watches, one-shots, fds, tasks and
   channels, alone and together. */
#include "tasks.h"

#include <fcntl.h>
#include <pthread.h>
#include <skua/io.h>
#include <skua/queue.h>
#include <skua/select.h>
#include <skua/share.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* One of everything. */
typedef struct things {
    skua_queue *from, *to; /* `to` has room for one */
    skua_broadcast *broadcast;
    skua_subscriber *subscriber;
    skua_watch *watch;
    skua_chan *chan;
    uint64_t version;
    int fds[2]; /* a pipe; -1 on a foreign thread */
    /* What a selector has. */
    int got, heard, seen, received, put;
    int index, result;
    skua_time deadline;
} things;

enum { GET, PUT, NEWS, CHANGED, RECV, READY, KINDS };

static skua_queue *make_queue(size_t capacity)
{
    skua_queue *queue = NULL;
    const skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = capacity};
    CHECK_INT(skua_queue_create(&queue, &opts), 0);
    return queue;
}

static void make_things(things *all)
{
    *all = (things){.from = make_queue(0), .to = make_queue(1), .fds = {-1, -1}};
    int zero = 0;
    CHECK_INT(skua_queue_put(all->to, SKUA_ITEM(zero), SKUA_NOW), 0);
    CHECK_INT(skua_broadcast_create(&all->broadcast, sizeof(int), 4), 0);
    CHECK_INT(skua_broadcast_subscribe(all->broadcast, &all->subscriber), 0);
    CHECK_INT(skua_watch_create(&all->watch, SKUA_ITEM(zero)), 0);
    CHECK_INT(skua_chan_create(&all->chan, sizeof(int), 0), 0);
    all->version = 1;
    if (skua_self() != NULL) {
        CHECK_INT(pipe2(all->fds, O_CLOEXEC | O_NONBLOCK), 0);
    }
}

static skua_queue_statistics stats(const skua_queue *queue)
{
    skua_queue_statistics now;
    skua_queue_stats(queue, &now);
    return now;
}

static size_t waiting_receivers(const skua_chan *chan)
{
    skua_chan_statistics now;
    skua_chan_stats(chan, &now);
    return now.waiting_receivers;
}

static void check_nobody_waits(const things *all)
{
    CHECK_INT(stats(all->from).getters, 0);
    CHECK_INT(stats(all->to).putters, 0);
    CHECK_INT(waiting_receivers(all->chan), 0);
}

/* Panics if anybody waits. */
static void free_things(things *all)
{
    check_nobody_waits(all);
    skua_queue_destroy(all->from);
    skua_queue_destroy(all->to);
    skua_subscriber_release(all->subscriber);
    skua_broadcast_destroy(all->broadcast);
    skua_watch_destroy(all->watch);
    skua_chan_release(all->chan, SKUA_SENDER | SKUA_RECEIVER);
    for (int i = 0; i < 2 && all->fds[0] >= 0; i++) {
        CHECK_INT(close(all->fds[i]), 0);
    }
}

static int select_all(void *arg)
{
    things *all = arg;
    skua_case cases[KINDS] = {
        [GET] = SKUA_GET(all->from, all->got),
        [PUT] = SKUA_PUT(all->to, all->put),
        [NEWS] = SKUA_NEWS(all->subscriber, all->heard),
        [CHANGED] = SKUA_CHANGED(all->watch, all->version),
        [RECV] = SKUA_RECV(all->chan, all->received),
        [READY] = SKUA_READY(all->fds[0], SKUA_READABLE),
    };
    const size_t count = all->fds[0] >= 0 ? KINDS : READY;
    all->index = skua_select(cases, count, 0, all->deadline);
    if (all->index >= 0) {
        all->result = cases[all->index].result;
    }
    if (all->index == CHANGED) {
        const int status =
            skua_watch_wait(all->watch, &all->version, SKUA_ITEM(all->seen), SKUA_NOW);
        CHECK_INT(status, all->result);
    }
    return 0;
}

static void *select_on_thread(void *arg)
{
    select_all(arg);
    return NULL;
}

/* Make that case ready. */
static void fire(things *all, int kind, int value)
{
    int old;
    switch (kind) {
    case GET:
        CHECK_INT(skua_queue_put(all->from, SKUA_ITEM(value), SKUA_FOREVER), 0);
        break;
    case PUT:
        CHECK_INT(skua_queue_get(all->to, SKUA_ITEM(old), SKUA_FOREVER), 1);
        break;
    case NEWS:
        CHECK_INT(skua_broadcast_send(all->broadcast, SKUA_ITEM(value)), 1);
        break;
    case CHANGED:
        CHECK_INT(skua_watch_set(all->watch, SKUA_ITEM(value)), 0);
        break;
    case RECV:
        CHECK_INT(skua_chan_send(all->chan, SKUA_ITEM(value), SKUA_FOREVER), 0);
        break;
    default:
        CHECK_INT(write(all->fds[1], "x", 1), 1);
    }
}

/* What the case gave is what was made ready; and is taken back. */
static void check_fired(things *all, int kind, int value)
{
    CHECK_INT(all->index, kind);
    CHECK_INT(all->result, kind == PUT ? 0 : kind == READY ? SKUA_READABLE : 1);
    const int got[KINDS] = {
        [GET] = all->got,      [PUT] = value,          [NEWS] = all->heard,
        [CHANGED] = all->seen, [RECV] = all->received, [READY] = value,
    };
    CHECK_INT(got[kind], value);
    char byte;
    if (kind == READY) {
        CHECK_INT(read(all->fds[0], &byte, 1), 1);
    }
}

static bool is_ready_before(int kind)
{
    return kind != RECV; /* a rendezvous has nobody to meet */
}

static int fires_before(void *arg)
{
    things all;
    make_things(&all);
    const int kinds = all.fds[0] >= 0 ? KINDS : READY;
    for (int i = 0; i < 60; i++) {
        const int kind = i % kinds;
        if (is_ready_before(kind)) {
            all.deadline = SKUA_NOW;
            select_all(&all);
            CHECK_INT(all.index, -EAGAIN);
            all.deadline = i % 2 == 0 ? SKUA_NOW : SKUA_FOREVER;
            fire(&all, kind, i);
            select_all(&all);
            check_fired(&all, kind, i);
        }
    }
    free_things(&all);
    return 0;
}

/* covers: B23 */
static void each_kind_fires_when_it_is_ready(void **state)
{
    fires_before(NULL);
    run_on_1_2_4(fires_before);
}

static int fires_while_waiting(void *arg)
{
    things all;
    make_things(&all);
    for (int i = 0; i < 120; i++) {
        const int kind = i % KINDS;
        skua_task *task = spawn(select_all, &all);
        while (i % 3 != 0 && waiting_receivers(all.chan) == 0) {
            (void)skua_yield();
        }
        fire(&all, kind, i);
        CHECK_INT(finish(task), 0);
        check_fired(&all, kind, i);
        check_nobody_waits(&all);
    }
    free_things(&all);
    return 0;
}

/* covers: B23 */
static void each_kind_ends_a_wait(void **state)
{
    run_on_1_2_4(fires_while_waiting);
}

static int thread_waits(void *arg)
{
    things all;
    make_things(&all);
    close(all.fds[0]);
    close(all.fds[1]);
    all.fds[0] = -1;
    for (int i = 0; i < 15; i++) {
        pthread_t thread;
        const int kind = i % READY;
        CHECK_INT(pthread_create(&thread, NULL, select_on_thread, &all), 0);
        while (i % 3 != 0 && waiting_receivers(all.chan) == 0) {
            (void)skua_yield();
        }
        fire(&all, kind, i);
        CHECK_INT(pthread_join(thread, NULL), 0);
        check_fired(&all, kind, i);
    }
    free_things(&all);
    return 0;
}

static void threads_select(void **state)
{
    run_on_1_2_4(thread_waits);
}

static int give_up(void *arg)
{
    things all;
    make_things(&all);
    all.deadline = skua_after(SKUA_MS(1));
    select_all(&all);
    CHECK_INT(all.index, -ETIMEDOUT);
    check_nobody_waits(&all);
    all.deadline = SKUA_FOREVER;
    CHECK_INT(skua_within(skua_after(SKUA_MS(1)), select_all, &all), 0);
    CHECK_INT(all.index, -ECANCELED);
    check_nobody_waits(&all);
    skua_task *task = spawn(select_all, &all);
    while (waiting_receivers(all.chan) == 0) {
        (void)skua_yield();
    }
    skua_task_cancel(task);
    CHECK_INT(finish(task), 0);
    CHECK_INT(all.index, -ECANCELED);
    /* And nothing was lost: each of them fires once, for the next one. */
    all.deadline = SKUA_NOW;
    for (int kind = 0; kind < KINDS; kind++) {
        if (is_ready_before(kind)) {
            fire(&all, kind, 7);
            select_all(&all);
            check_fired(&all, kind, 7);
        }
    }
    free_things(&all);
    return 0;
}

static void a_select_that_is_given_up_leaves_nothing(void **state)
{
    run_on_1_2_4(give_up);
}

/* --- the ends of things --- */

static int close_things(void *arg)
{
    for (int kind = 0; kind < RECV; kind++) {
        things all;
        make_things(&all);
        skua_task *task = spawn(select_all, &all);
        while (waiting_receivers(all.chan) == 0) {
            (void)skua_yield();
        }
        switch (kind) {
        case GET:
            skua_queue_close(all.from, true);
            break;
        case PUT:
            skua_queue_close(all.to, true);
            break;
        case NEWS:
            skua_broadcast_close(all.broadcast);
            break;
        default:
            skua_watch_close(all.watch);
        }
        CHECK_INT(finish(task), 0);
        CHECK_INT(all.index, kind);
        CHECK_INT(all.result, kind == PUT ? -ESHUTDOWN : 0);
        all.deadline = SKUA_NOW; /* and it stays so */
        select_all(&all);
        CHECK_INT(all.index, kind);
        CHECK_INT(all.result, kind == PUT ? -ESHUTDOWN : 0);
        free_things(&all);
    }
    return 0;
}

static void closing_fires(void **state)
{
    run_on_1_2_4(close_things);
}

static int nil_things(void *arg)
{
    int value = 3;
    uint64_t version = 0;
    skua_case cases[] = {
        SKUA_GET(NULL, value),    SKUA_PUT(NULL, value),
        SKUA_NEWS(NULL, value),   SKUA_CHANGED(NULL, version),
        SKUA_ENDED(NULL),         SKUA_READY(-1, SKUA_READABLE | SKUA_WRITABLE),
        {.kind = SKUA_CASE_NONE},
    };
    const size_t count = skua_self() != NULL ? 7 : 5;
    CHECK_INT(skua_select(cases, count, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_select(cases, count, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(value, 3);
    return 0;
}

/* covers: D19 */
static void what_is_not_there_never_fires(void **state)
{
    nil_things(NULL);
    run_on_1_2_4(nil_things);
}

static int a_lapped_subscriber(void *arg)
{
    things all;
    make_things(&all);
    for (int i = 0; i < 6; i++) {
        fire(&all, NEWS, i);
    }
    select_all(&all);
    CHECK_INT(all.index, NEWS);
    CHECK_INT(all.result, -EOVERFLOW);
    CHECK_INT(skua_subscriber_missed(all.subscriber), 2);
    select_all(&all);
    check_fired(&all, NEWS, 2);
    free_things(&all);
    return 0;
}

static void a_lag_is_told_by_select_too(void **state)
{
    run_on_1_2_4(a_lapped_subscriber);
}

/* --- which one --- */

static int choose(void *arg)
{
    enum { ROUNDS = 600 };
    int counts[KINDS] = {0};
    things all;
    make_things(&all);
    all.deadline = SKUA_NOW;
    for (int kind = 0; kind < KINDS; kind++) {
        if (is_ready_before(kind)) {
            fire(&all, kind, kind);
        }
    }
    for (int i = 0; i < ROUNDS; i++) {
        select_all(&all);
        CHECK(all.index >= 0 && all.index < KINDS);
        counts[all.index]++;
        check_fired(&all, all.index, all.index);
        if (all.index == CHANGED) {
            all.version = 0;
        } else {
            fire(&all, all.index, all.index);
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        CHECK(!is_ready_before(kind) || counts[kind] > ROUNDS / 15); /* of 5: on average 120 */
    }
    /* In order it is always the first. */
    int value = 0;
    skua_case cases[] = {SKUA_READY(all.fds[0], SKUA_READABLE), SKUA_GET(all.from, value),
                         SKUA_NEWS(all.subscriber, value)};
    for (int i = 0; i < 50; i++) {
        CHECK_INT(skua_select(cases, 3, SKUA_IN_ORDER, SKUA_FOREVER), 0);
        CHECK_INT(skua_select(cases + 1, 2, SKUA_IN_ORDER, SKUA_FOREVER), 0);
        fire(&all, GET, i);
    }
    free_things(&all);
    return 0;
}

/* covers: B23 D20 */
static void the_choice_is_fair_or_in_order(void **state)
{
    run_on_1_2_4(choose);
}

/* Two queues and a channel; what goes in by one select comes out by another, once. */
enum { SIDES = 4, EACH = 400 };

typedef struct mesh {
    skua_queue *queues[2];
    skua_chan *chan;
    _Atomic int seen[SIDES * EACH];
} mesh;

typedef struct member {
    mesh *all;
    int first;
} member;

static int put_anywhere(void *arg)
{
    const member *self = arg;
    mesh *all = self->all;
    for (int i = 0; i < EACH; i++) {
        int value = self->first + i;
        skua_case cases[] = {SKUA_PUT(all->queues[0], value), SKUA_SEND(all->chan, value),
                             SKUA_PUT(all->queues[1], value)};
        const int index = skua_select(cases, 3, 0, SKUA_FOREVER);
        CHECK(index >= 0);
        CHECK_INT(cases[index].result, 0);
    }
    return 0;
}

static int get_anywhere(void *arg)
{
    mesh *all = arg;
    for (int i = 0; i < EACH; i++) {
        int values[3] = {-1, -1, -1};
        skua_case cases[] = {SKUA_GET(all->queues[1], values[0]),
                             SKUA_GET(all->queues[0], values[1]), SKUA_RECV(all->chan, values[2])};
        const int index = skua_select(cases, 3, 0, SKUA_FOREVER);
        CHECK(index >= 0);
        CHECK_INT(cases[index].result, 1);
        atomic_fetch_add(&all->seen[values[index]], 1);
    }
    return 0;
}

static int meet_in_the_mesh(void *arg)
{
    static mesh all;
    memset(&all, 0, sizeof all);
    all.queues[0] = make_queue(1);
    all.queues[1] = make_queue(3);
    CHECK_INT(skua_chan_create(&all.chan, sizeof(int), 0), 0);
    member members[SIDES];
    skua_task *tasks[2 * SIDES];
    for (int i = 0; i < SIDES; i++) {
        members[i] = (member){.all = &all, .first = i * EACH};
        tasks[i] = spawn(put_anywhere, &members[i]);
        tasks[SIDES + i] = spawn(get_anywhere, &all);
    }
    for (int i = 0; i < 2 * SIDES; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (int i = 0; i < SIDES * EACH; i++) {
        CHECK_INT(all.seen[i], 1);
    }
    skua_queue_destroy(all.queues[0]);
    skua_queue_destroy(all.queues[1]);
    skua_chan_release(all.chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: B23 */
static void selects_meet_over_queues(void **state)
{
    run_on_1_2_4(meet_in_the_mesh);
}

/* --- fds --- */

typedef struct fd_wait {
    int fd, events, index, result;
    skua_chan *gate; /* NULL: none */
} fd_wait;

static int select_fd(void *arg)
{
    fd_wait *self = arg;
    int value;
    skua_case cases[] = {SKUA_READY(self->fd, self->events), SKUA_RECV(self->gate, value)};
    self->index = skua_select(cases, 2, 0, SKUA_FOREVER);
    self->result = self->index >= 0 ? cases[self->index].result : 0;
    return 0;
}

static void await_gate(skua_chan *chan)
{
    while (waiting_receivers(chan) == 0) {
        (void)skua_yield();
    }
}

/* Adopted sockets, whose events are those that reads wait for. */
static int adopted_fds(void *arg)
{
    int ends[2];
    char byte;
    skua_chan *gate_chan;
    CHECK_INT(skua_chan_create(&gate_chan, sizeof(int), 0), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    CHECK_INT(skua_fd_adopt(ends[1]), 0);
    fd_wait wait = {.fd = ends[0], .events = SKUA_READABLE | SKUA_WRITABLE, .gate = gate_chan};
    select_fd(&wait);
    CHECK_INT(wait.index, 0);
    CHECK_INT(wait.result, SKUA_WRITABLE);
    wait.events = SKUA_READABLE;
    for (int i = 0; i < 30; i++) {
        skua_task *task = spawn(select_fd, &wait);
        if (i % 2 == 0) {
            await_gate(gate_chan);
        }
        CHECK_INT(skua_write(ends[1], "x", 1, SKUA_FOREVER), 1);
        CHECK_INT(finish(task), 0);
        CHECK_INT(wait.index, 0);
        CHECK_INT(wait.result, SKUA_READABLE);
        CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_FOREVER), 1);
    }
    /* The channel is first, and the fd is not missed afterwards. */
    skua_task *task = spawn(select_fd, &wait);
    int value = 1;
    CHECK_INT(skua_chan_send(gate_chan, SKUA_ITEM(value), SKUA_FOREVER), 0);
    CHECK_INT(finish(task), 0);
    CHECK_INT(wait.index, 1);
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_NOW), -EAGAIN);
    /* Closed while a select waits on it. */
    task = spawn(select_fd, &wait);
    await_gate(gate_chan);
    skua_close(ends[0]);
    CHECK_INT(finish(task), 0);
    CHECK_INT(wait.index, 0);
    CHECK_INT(wait.result, -EBADF);
    skua_close(ends[1]);
    skua_chan_release(gate_chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: B23 */
static void adopted_fds_in_a_select(void **state)
{
    run_on_1_2_4(adopted_fds);
}

/* Others' fds, which are theirs again after the select. */
static int foreign_fds(void *arg)
{
    int ends[2];
    char byte;
    skua_chan *gate_chan;
    CHECK_INT(skua_chan_create(&gate_chan, sizeof(int), 0), 0);
    CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fd_wait wait = {.fd = ends[0], .events = SKUA_READABLE, .gate = gate_chan};
    for (int i = 0; i < 30; i++) {
        skua_task *task = spawn(select_fd, &wait);
        if (i % 2 == 0) {
            await_gate(gate_chan);
        }
        if (i % 3 == 0) {
            int value = 1;
            CHECK_INT(skua_chan_send(gate_chan, SKUA_ITEM(value), SKUA_FOREVER), 0);
            CHECK_INT(finish(task), 0);
            CHECK_INT(wait.index, 1);
            continue;
        }
        CHECK_INT(write(ends[1], "x", 1), 1);
        CHECK_INT(finish(task), 0);
        CHECK_INT(wait.index, 0);
        CHECK_INT(wait.result, SKUA_READABLE);
        CHECK_INT(read(ends[0], &byte, 1), 1);
    }
    CHECK_INT(close(ends[1]), 0); /* a hang-up is an event too */
    select_fd(&wait);
    CHECK_INT(wait.result, SKUA_READABLE);
    CHECK_INT(skua_fd_adopt(ends[0]), 0); /* it was given back */
    skua_close(ends[0]);
    select_fd(&wait);
    CHECK_INT(wait.index, 0);
    CHECK_INT(wait.result, -EBADF); /* nobody's */
    skua_chan_release(gate_chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void foreign_fds_in_a_select(void **state)
{
    run_on_1_2_4(foreign_fds);
}

static int one_at_a_time(void *arg)
{
    int ends[2];
    skua_chan *gate_chan;
    CHECK_INT(skua_chan_create(&gate_chan, sizeof(int), 0), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    fd_wait first = {.fd = ends[0], .events = SKUA_READABLE, .gate = gate_chan}, second = first;
    skua_task *task = spawn(select_fd, &first);
    await_gate(gate_chan);
    for (int i = 0; i < 50; i++) {
        (void)skua_yield(); /* the fd is linked after the channel */
    }
    second.gate = NULL;
    /* Whoever comes second, most often we, is refused; then the other one waits on. */
    skua_task *other = spawn(select_fd, &second);
    while (skua_task_state(task) == SKUA_RUNNING && skua_task_state(other) == SKUA_RUNNING) {
        (void)skua_yield();
    }
    CHECK_INT(write(ends[1], "x", 1), 1);
    CHECK_INT(finish(task), 0);
    CHECK_INT(finish(other), 0);
    CHECK_INT(first.index, 0);
    CHECK_INT(second.index, 0);
    CHECK((first.result == -EBUSY) != (second.result == -EBUSY));
    CHECK(first.result == SKUA_READABLE || second.result == SKUA_READABLE);
    skua_close(ends[0]);
    CHECK_INT(close(ends[1]), 0);
    skua_chan_release(gate_chan, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void a_second_reader_is_refused(void **state)
{
    run_on_1_2_4(one_at_a_time);
}

/* --- bad cases, forks --- */

static int bad_in_task(void *arg)
{
    skua_case events[] = {SKUA_READY(0, 0)}, more[] = {SKUA_READY(0, 4)};
    CHECK_INT(skua_select(events, 1, 0, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_select(more, 1, 0, SKUA_NOW), -EINVAL);
    skua_case self[] = {SKUA_ENDED(skua_self())};
    CHECK_INT(skua_select(self, 1, 0, SKUA_NOW), -EDEADLK);
    return 0;
}

static void bad_cases(void **state)
{
    skua_case nothing[] = {{.kind = SKUA_CASE_WAITABLE, .object = nothing}};
    CHECK_INT(skua_select(nothing, 1, 0, SKUA_NOW), -EINVAL);
    skua_case kind[] = {{.kind = (skua_case_kind)(SKUA_CASE_WAITABLE + 1)}};
    CHECK_INT(skua_select(kind, 1, 0, SKUA_NOW), -EINVAL);
    skua_case fd[] = {SKUA_READY(0, SKUA_READABLE)};
    CHECK_INT(skua_select(fd, 1, 0, SKUA_NOW), -EPERM); /* on a foreign thread */
    run_on_1_2_4(bad_in_task);
}

static void forked_child(void **state)
{
    things all;
    make_things(&all);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        select_all(&all);
        _exit(all.index != -ESHUTDOWN);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    free_things(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_fires_when_it_is_ready),
        TEST(each_kind_ends_a_wait),
        TEST(threads_select),
        TEST(a_select_that_is_given_up_leaves_nothing),
        TEST(closing_fires),
        TEST(what_is_not_there_never_fires),
        TEST(a_lag_is_told_by_select_too),
        TEST(the_choice_is_fair_or_in_order),
        TEST(selects_meet_over_queues),
        TEST(adopted_fds_in_a_select),
        TEST(foreign_fds_in_a_select),
        TEST(a_second_reader_is_refused),
        TEST(bad_cases),
        TEST(forked_child),
    };
    return TEST_RUN(tests);
}
