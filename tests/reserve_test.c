/* Sends in two steps, and what channels tell about themselves. */
#include "chan_help.h"

#include <skua/scope.h>
#include <skua/select.h>
#include <sys/wait.h>

static skua_chan_statistics stats(const skua_chan *chan)
{
    skua_chan_statistics now;
    skua_chan_stats(chan, &now);
    return now;
}

static int reserve(skua_chan *chan, skua_permit *permit)
{
    return skua_chan_reserve(chan, permit, SKUA_NOW);
}

static void commit(skua_permit *permit, int value)
{
    CHECK_INT(skua_chan_commit(permit, SKUA_ITEM(value)), 0);
}

static void check_next(skua_chan *chan, int want)
{
    int value = -1;
    CHECK_INT(try_recv(chan, &value), 1);
    CHECK_INT(value, want);
}

/* --- one call, in a task --- */

typedef struct reserver {
    skua_chan *chan;
    skua_time deadline;
    skua_permit permit;
    int value, status;
} reserver;

static int act_reserve(void *arg)
{
    reserver *self = arg;
    return self->status = skua_chan_reserve(self->chan, &self->permit, self->deadline);
}

static int reserve_and_commit(void *arg)
{
    reserver *self = arg;
    self->status = skua_chan_reserve(self->chan, &self->permit, self->deadline);
    CHECK_INT(self->status, 0);
    commit(&self->permit, self->value);
    return 0;
}

/* --- permits --- */

static int room_is_kept(void *arg)
{
    int value;
    skua_permit first, second, third = {{0}};
    skua_chan *chan = make_chan(sizeof(int), 2);
    CHECK_INT(reserve(chan, &first), 0);
    CHECK_INT(reserve(chan, &second), 0);
    CHECK_INT(reserve(chan, &third), -EAGAIN);
    CHECK_INT(try_send(chan, 9), -EAGAIN);
    CHECK_INT(try_recv(chan, &value), -EAGAIN);
    CHECK_INT(stats(chan).reserved, 2);
    commit(&second, 2); /* items stand in the order of commits */
    commit(&first, 1);
    CHECK_INT(stats(chan).count, 2);
    CHECK_INT(stats(chan).reserved, 0);
    CHECK_INT(try_send(chan, 9), -EAGAIN);
    check_next(chan, 2);
    check_next(chan, 1);
    skua_chan_abort(&first); /* used, or none: nothing happens */
    skua_chan_abort(&third);
    CHECK_INT(reserve(chan, &first), 0);
    CHECK_INT(reserve(chan, &second), 0);
    skua_chan_abort(&first);
    CHECK_INT(try_send(chan, 3), 0);
    CHECK_INT(try_send(chan, 4), -EAGAIN);
    skua_chan_abort(&second);
    CHECK_INT(try_send(chan, 4), 0);
    check_next(chan, 3);
    check_next(chan, 4);
    free_chan(chan);
    chan = make_chan(sizeof(int), 0);
    CHECK_INT(reserve(chan, &first), -ENOTSUP);
    free_chan(chan);
    return 0;
}

/* covers: B27 */
static void a_permit_keeps_room(void **state)
{
    room_is_kept(NULL);
    run_all(room_is_kept, NULL);
}

static int wait_for_room(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    reserver one = {.chan = chan, .value = 2};
    actor sender = {.chan = chan, .value = 3};
    send_int(chan, 1);
    skua_task *task = start(reserve_and_commit, &one);
    await_waiting(chan, SKUA_SENDER, 1);
    skua_task *send_task = start(act_send, &sender);
    await_waiting(chan, SKUA_SENDER, 2);
    CHECK_INT(recv_int(chan), 1);
    CHECK_INT(finish(task), 0);
    CHECK_INT(recv_int(chan), 2); /* it came first */
    CHECK_INT(finish(send_task), 0);
    CHECK_INT(recv_int(chan), 3);
    /* An abort gives the room to who waits. */
    CHECK_INT(reserve(chan, &one.permit), 0);
    send_task = start(act_send, &sender);
    await_waiting(chan, SKUA_SENDER, 1);
    skua_chan_abort(&one.permit);
    CHECK_INT(finish(send_task), 0);
    CHECK_INT(recv_int(chan), 3);
    free_chan(chan);
    return 0;
}

static void a_permit_is_waited_for_in_line(void **state)
{
    run_all(wait_for_room, NULL);
}

/* A receiver beside a buffer that is kept whole is served by a commit, and by a sender that
   waits. */
static int receiver_waits(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    skua_permit permit;
    actor receiver = {.chan = chan}, sender = {.chan = chan, .value = 5};
    CHECK_INT(reserve(chan, &permit), 0);
    skua_task *task = start(act_recv, &receiver);
    await_waiting(chan, SKUA_RECEIVER, 1);
    reserver next = {.chan = chan, .value = 8};
    skua_task *next_task = start(act_reserve, &next);
    await_waiting(chan, SKUA_SENDER, 1);
    commit(&permit, 4);
    CHECK_INT(finish(task), 0);
    CHECK_INT(receiver.status, 1);
    CHECK_INT(receiver.value, 4);
    CHECK_INT(finish(next_task), 0); /* the room that was left over */

    skua_task *send_task = start(act_send, &sender);
    await_waiting(chan, SKUA_SENDER, 1);
    CHECK_INT(recv_int(chan), 5);
    CHECK_INT(finish(send_task), 0);
    task = start(act_recv, &receiver);
    await_waiting(chan, SKUA_RECEIVER, 1);
    CHECK_INT(try_send(chan, 6), 0);
    CHECK_INT(finish(task), 0);
    CHECK_INT(receiver.value, 6);
    commit(&next.permit, 7);
    CHECK_INT(recv_int(chan), 7);
    free_chan(chan);
    return 0;
}

static void kept_room_stops_no_hand_over(void **state)
{
    run_all(receiver_waits, NULL);
}

static int close_with_permits(void *arg)
{
    int value = 0;
    skua_permit first, second;
    skua_chan *chan = make_chan(sizeof(int), 2);
    actor receivers[2] = {{.chan = chan}, {.chan = chan}};
    CHECK_INT(reserve(chan, &first), 0);
    CHECK_INT(reserve(chan, &second), 0);
    skua_task *tasks[2] = {start(act_recv, &receivers[0]), start(act_recv, &receivers[1])};
    await_waiting(chan, SKUA_RECEIVER, 2);
    skua_chan_close(chan);
    CHECK_INT(waiting(chan, SKUA_RECEIVER), 2); /* two may still come */
    CHECK_INT(try_send(chan, 1), -EPIPE);
    skua_permit third;
    CHECK_INT(reserve(chan, &third), -EPIPE);
    commit(&first, 1);
    skua_chan_abort(&second);
    CHECK_INT(finish(tasks[0]), 0);
    CHECK_INT(finish(tasks[1]), 0);
    CHECK_INT(receivers[0].status + receivers[1].status, 1); /* one got it, one the end */
    CHECK_INT(receivers[0].value + receivers[1].value, 1);
    CHECK_INT(try_recv(chan, &value), 0);
    free_chan(chan);

    /* The other way: no receiver is left. */
    chan = make_chan(sizeof(int), 1);
    CHECK_INT(reserve(chan, &first), 0);
    skua_chan_release(chan, SKUA_RECEIVER);
    CHECK_INT(skua_chan_commit(&first, SKUA_ITEM(value)), -EPIPE);
    CHECK_INT(reserve(chan, &first), -EPIPE);
    skua_chan_release(chan, SKUA_SENDER);

    /* The permit is the last sender: its end comes with it, and frees the channel. */
    for (int commits = 0; commits < 2; commits++) {
        chan = make_chan(sizeof(int), 1);
        CHECK_INT(reserve(chan, &first), 0);
        skua_chan_release(chan, SKUA_SENDER);
        CHECK_INT(try_recv(chan, &value), -EAGAIN);
        if (commits != 0) {
            commit(&first, 6);
            check_next(chan, 6);
        } else {
            skua_chan_abort(&first);
        }
        CHECK_INT(try_recv(chan, &value), 0);
        CHECK(stats(chan).is_closed);
        skua_chan_release(chan, SKUA_RECEIVER);
    }
    return 0;
}

/* covers: B27 */
static void what_was_kept_goes_in_after_the_close(void **state)
{
    run_all(close_with_permits, NULL);
}

static int give_up_waiting(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    reserver one = {.chan = chan};
    send_int(chan, 1);
    skua_task *task = start(act_reserve, &one);
    await_waiting(chan, SKUA_SENDER, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    one.deadline = skua_after(SKUA_MS(1));
    CHECK_INT(act_reserve(&one), -ETIMEDOUT);
    check_nobody_waits(chan);
    CHECK_INT(stats(chan).reserved, 0);
    /* A close ends the wait. */
    one.deadline = SKUA_FOREVER;
    task = start(act_reserve, &one);
    await_waiting(chan, SKUA_SENDER, 1);
    skua_chan_close(chan);
    CHECK_INT(finish(task), -EPIPE);
    CHECK_INT(stats(chan).senders, 1);
    CHECK_INT(recv_int(chan), 1);
    free_chan(chan);
    return 0;
}

static void a_wait_for_room_is_given_up(void **state)
{
    run_all(give_up_waiting, NULL);
}

/* A cancel races with the room that is given: a permit, or no permit, and never a lost room. */
static int race_cancel(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    for (int i = 0; i < 300; i++) {
        reserver one = {.chan = chan};
        actor receiver = {.chan = chan};
        send_int(chan, i);
        skua_task *task = start(act_reserve, &one);
        if (i % 3 != 0) {
            await_waiting(chan, SKUA_SENDER, 1);
        }
        skua_task *recv_task = start(act_recv, &receiver);
        if (i % 2 == 0) {
            (void)skua_yield();
        }
        skua_task_cancel(task);
        CHECK_INT(finish(recv_task), 0);
        CHECK_INT(receiver.value, i);
        if (finish(task) == 0) {
            commit(&one.permit, -i);
            check_next(chan, -i);
        } else {
            CHECK_INT(one.status, -ECANCELED);
        }
        CHECK_INT(stats(chan).reserved, 0);
        CHECK_INT(try_send(chan, 1), 0);
        check_next(chan, 1);
    }
    free_chan(chan);
    return 0;
}

/* covers: B27 */
static void a_cancel_loses_no_room(void **state)
{
    run_all(race_cancel, NULL);
}

/* --- many: plain sends, permits that are committed or given back, and receivers --- */

enum { SENDERS = 6, ROUNDS = 500 };

typedef struct crowd {
    skua_chan *chan;
    _Atomic int seen[SENDERS * ROUNDS];
} crowd;

typedef struct member {
    crowd *all;
    int first;
} member;

static int send_in_all_ways(void *arg)
{
    const member *self = arg;
    uint64_t random = test_seed() + (uint64_t)self->first;
    for (int i = 0; i < ROUNDS; i++) {
        int value = self->first + i;
        skua_permit permit;
        if (test_random(&random) % 2 == 0) {
            send_int(self->all->chan, value);
            continue;
        }
        CHECK_INT(skua_chan_reserve(self->all->chan, &permit, SKUA_FOREVER), 0);
        if (test_random(&random) % 4 == 0) {
            skua_chan_abort(&permit);
            CHECK_INT(skua_chan_reserve(self->all->chan, &permit, SKUA_FOREVER), 0);
        }
        if (test_random(&random) % 4 == 0) {
            (void)skua_yield();
        }
        commit(&permit, value);
    }
    skua_chan_release(self->all->chan, SKUA_SENDER);
    return 0;
}

static int receive_all(void *arg)
{
    crowd *all = arg;
    int value;
    while (skua_chan_recv(all->chan, SKUA_ITEM(value), SKUA_FOREVER) == 1) {
        atomic_fetch_add(&all->seen[value], 1);
    }
    return 0;
}

static int many_ways(void *arg)
{
    static crowd all;
    for (size_t capacity = 1; capacity < 10; capacity += 4) {
        memset(&all, 0, sizeof all);
        all.chan = make_chan(sizeof(int), capacity);
        member members[SENDERS];
        skua_task *tasks[SENDERS + 2];
        for (int i = 0; i < SENDERS; i++) {
            members[i] = (member){.all = &all, .first = i * ROUNDS};
            skua_chan_retain(all.chan, SKUA_SENDER);
            tasks[i] = start(send_in_all_ways, &members[i]);
        }
        skua_chan_release(all.chan, SKUA_SENDER);
        tasks[SENDERS] = start(receive_all, &all);
        tasks[SENDERS + 1] = start(receive_all, &all);
        for (int i = 0; i < SENDERS + 2; i++) {
            CHECK_INT(finish(tasks[i]), 0);
        }
        for (int i = 0; i < SENDERS * ROUNDS; i++) {
            CHECK_INT(all.seen[i], 1);
        }
        CHECK_INT(stats(all.chan).reserved, 0);
        check_nobody_waits(all.chan);
        skua_chan_release(all.chan, SKUA_RECEIVER);
    }
    return 0;
}

/* covers: B27 */
static void permits_and_sends_in_a_crowd(void **state)
{
    run_all(many_ways, NULL);
}

static int signals(void *arg)
{
    skua_chan *chan = make_chan(0, 2);
    skua_permit permit;
    CHECK_INT(reserve(chan, &permit), 0);
    CHECK_INT(skua_chan_send(chan, NULL, 0, SKUA_NOW), 0);
    CHECK_INT(skua_chan_send(chan, NULL, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_chan_commit(&permit, NULL, 0), 0);
    CHECK_INT(skua_chan_recv(chan, NULL, 0, SKUA_NOW), 1);
    CHECK_INT(skua_chan_recv(chan, NULL, 0, SKUA_NOW), 1);
    CHECK_INT(skua_chan_recv(chan, NULL, 0, SKUA_NOW), -EAGAIN);
    free_chan(chan);
    return 0;
}

static void items_of_no_bytes(void **state)
{
    run_all(signals, NULL);
}

/* A select sends and receives where room is kept. */
static int select_beside_permits(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    skua_permit permit;
    int out = 1, in = 0;
    skua_case send_case[] = {SKUA_SEND(chan, out)}, recv_case[] = {SKUA_RECV(chan, in)};
    CHECK_INT(reserve(chan, &permit), 0);
    CHECK_INT(skua_select(send_case, 1, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_select(recv_case, 1, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    actor receiver = {.chan = chan};
    skua_task *task = start(act_recv, &receiver);
    CHECK_INT(skua_select(send_case, 1, 0, SKUA_FOREVER), 0);
    CHECK_INT(finish(task), 0);
    CHECK_INT(receiver.value, 1);
    commit(&permit, 2);
    CHECK_INT(skua_select(recv_case, 1, 0, SKUA_FOREVER), 0);
    CHECK_INT(in, 2);
    free_chan(chan);
    return 0;
}

static void select_knows_permits(void **state)
{
    run_all(select_beside_permits, NULL);
}

static void *commit_on_thread(void *arg)
{
    return reserve_and_commit(arg) == 0 ? NULL : arg;
}

static int from_thread(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    reserver one = {.chan = chan, .value = 4};
    send_int(chan, 3);
    pthread_t thread = start_thread(commit_on_thread, &one);
    await_waiting(chan, SKUA_SENDER, 1);
    CHECK_INT(recv_int(chan), 3);
    CHECK_INT(recv_int(chan), 4);
    pthread_join(thread, NULL);
    free_chan(chan);
    return 0;
}

static void threads_have_permits(void **state)
{
    run_all(from_thread, NULL);
}

static void forked_child(void **state)
{
    skua_chan *chan = make_chan(sizeof(int), 2);
    skua_permit permit;
    CHECK_INT(reserve(chan, &permit), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        skua_permit another, copy = permit;
        int value = 1;
        skua_chan_abort(&copy);
        _exit(reserve(chan, &another) != -ESHUTDOWN ||
              skua_chan_commit(&permit, SKUA_ITEM(value)) != -ESHUTDOWN ||
              stats(chan).capacity != 0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    commit(&permit, 1);
    check_next(chan, 1);
    free_chan(chan);
}

/* --- statistics --- */

static int look(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 4);
    skua_chan_track_peak(chan);
    for (int i = 0; i < 3; i++) {
        send_int(chan, i);
    }
    skua_chan_statistics now = stats(chan);
    CHECK_INT(now.count, 3);
    CHECK_INT(now.peak, 3);
    CHECK_INT(now.capacity, 4);
    CHECK_INT(now.senders, 1);
    CHECK_INT(now.receivers, 1);
    for (int i = 0; i < 3; i++) {
        check_next(chan, i);
    }
    now = stats(chan);
    CHECK_INT(now.count, 0);
    CHECK_INT(now.peak, 3); /* it survives */
    skua_chan_retain(chan, SKUA_SENDER | SKUA_RECEIVER);
    skua_chan_retain(chan, SKUA_SENDER);
    now = stats(chan);
    CHECK_INT(now.senders, 3);
    CHECK_INT(now.receivers, 2);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
    skua_chan_release(chan, SKUA_SENDER);

    actor calls[3] = {{.chan = chan}, {.chan = chan}, {.chan = chan}};
    skua_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        tasks[i] = start(act_recv, &calls[i]);
    }
    while (stats(chan).waiting_receivers != 3) {
        (void)skua_yield();
    }
    for (int i = 0; i < 3; i++) {
        skua_task_cancel(tasks[i]);
        CHECK_INT(finish(tasks[i]), 0);
        CHECK_INT(calls[i].status, -ECANCELED);
    }
    CHECK_INT(stats(chan).waiting_receivers, 0);
    for (int i = 0; i < 4; i++) {
        send_int(chan, i);
    }
    for (int i = 0; i < 3; i++) {
        tasks[i] = start(act_send, &calls[i]);
    }
    while (stats(chan).waiting_senders != 3) {
        (void)skua_yield();
    }
    for (int i = 0; i < 3; i++) {
        skua_task_cancel(tasks[i]);
        CHECK_INT(finish(tasks[i]), 0);
    }
    now = stats(chan);
    CHECK_INT(now.waiting_senders, 0);
    CHECK_INT(now.peak, 4);
    CHECK(!now.is_closed);
    skua_chan_close(chan);
    CHECK(stats(chan).is_closed);
    free_chan(chan);

    chan = make_chan(0, 3); /* the same without bytes */
    skua_chan_track_peak(chan);
    CHECK_INT(skua_chan_send(chan, NULL, 0, SKUA_NOW), 0);
    CHECK_INT(skua_chan_send(chan, NULL, 0, SKUA_NOW), 0);
    CHECK_INT(skua_chan_recv(chan, NULL, 0, SKUA_NOW), 1);
    CHECK_INT(stats(chan).peak, 2);
    CHECK_INT(stats(chan).count, 1);
    free_chan(chan);
    return 0;
}

/* covers: B14 D14 */
static void statistics(void **state)
{
    run_all(look, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_permit_keeps_room),
        TEST(a_permit_is_waited_for_in_line),
        TEST(kept_room_stops_no_hand_over),
        TEST(what_was_kept_goes_in_after_the_close),
        TEST(a_wait_for_room_is_given_up),
        TEST(a_cancel_loses_no_room),
        TEST(permits_and_sends_in_a_crowd),
        TEST(items_of_no_bytes),
        TEST(select_knows_permits),
        TEST(threads_have_permits),
        TEST(forked_child),
        TEST(statistics),
    };
    return TEST_RUN(tests);
}
