/* tests/chan_help.h: what the suites of channels and select share. */
#ifndef SKUA_TESTS_CHAN_HELP_H
#define SKUA_TESTS_CHAN_HELP_H

#include "chan/chan.h"
#include "test.h"

#include <pthread.h>
#include <skua/chan.h>
#include <skua/runtime.h>
#include <skua/task.h>
#include <stdatomic.h>

/* How many waiters stand at an end of the channel, dead entries included. */
static inline size_t waiting(skua_chan *chan, int end)
{
    const struct skua__list *queue =
        end == SKUA_SENDER ? &chan->waiting_senders : &chan->waiting_receivers;
    size_t count = 0;
    skua__lock(&chan->lock, SKUA__RANK_CHAN);
    for (const struct skua__link *link = queue->head.next; link != &queue->head;
         link = link->next) {
        count++;
    }
    skua__unlock(&chan->lock, SKUA__RANK_CHAN);
    return count;
}

/* Let others run until so many wait there. */
static inline void await_waiting(skua_chan *chan, int end, size_t count)
{
    while (waiting(chan, end) != count) {
        (void)skua_yield();
    }
}

static inline void check_nobody_waits(skua_chan *chan)
{
    CHECK_INT(waiting(chan, SKUA_SENDER), 0);
    CHECK_INT(waiting(chan, SKUA_RECEIVER), 0);
}

static inline skua_chan *make_chan(size_t item_bytes, size_t capacity)
{
    skua_chan *chan;
    CHECK_INT(skua_chan_create(&chan, item_bytes, capacity), 0);
    return chan;
}

static inline void free_chan(skua_chan *chan)
{
    check_nobody_waits(chan);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
}

static inline void send_int(skua_chan *chan, int value)
{
    CHECK_INT(skua_chan_send(chan, SKUA_ITEM(value), SKUA_FOREVER), 0);
}

static inline int recv_int(skua_chan *chan)
{
    int value = -1;
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(value), SKUA_FOREVER), 1);
    return value;
}

static inline skua_task *start(skua_fn fn, void *arg)
{
    skua_task *task;
    CHECK_INT(skua_spawn(&task, fn, arg, NULL), 0);
    return task;
}

/* Join and release; returns the task's status. */
static inline int finish(skua_task *task)
{
    int status = -1;
    CHECK_INT(skua_join(task, &status, SKUA_FOREVER), 0);
    skua_task_release(task);
    return status;
}

static inline void run_on(uint32_t workers, skua_fn fn, void *arg)
{
    const skua_config config = {.workers = workers};
    CHECK_INT(skua_run(&config, fn, arg), 0);
}

/* The same with one, two and four workers. */
static inline void run_all(skua_fn fn, void *arg)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        run_on(workers, fn, arg);
    }
}

static inline pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

/* --- one call, in a task --- */

typedef struct actor {
    skua_chan *chan;
    skua_time deadline;
    int value;  /* sent, or received */
    int status; /* what the call gave */
    _Atomic int is_done;
} actor;

static inline int act_send(void *arg)
{
    actor *self = arg;
    self->status = skua_chan_send(self->chan, SKUA_ITEM(self->value), self->deadline);
    atomic_store(&self->is_done, 1);
    return 0;
}

static inline int act_recv(void *arg)
{
    actor *self = arg;
    self->status = skua_chan_recv(self->chan, SKUA_ITEM(self->value), self->deadline);
    atomic_store(&self->is_done, 1);
    return 0;
}

static inline int try_send(skua_chan *chan, int value)
{
    return skua_chan_send(chan, SKUA_ITEM(value), SKUA_NOW);
}

static inline int try_recv(skua_chan *chan, int *value)
{
    return skua_chan_recv(chan, SKUA_ITEM(*value), SKUA_NOW);
}

static inline void check_ended(skua_chan *chan)
{
    int value = 5;
    CHECK_INT(try_recv(chan, &value), 0);
    CHECK_INT(skua_chan_recv(chan, SKUA_ITEM(value), SKUA_FOREVER), 0);
    CHECK_INT(value, 5);
    CHECK_INT(try_send(chan, 1), -EPIPE);
    CHECK_INT(skua_chan_send(chan, SKUA_ITEM(value), SKUA_FOREVER), -EPIPE);
}

static inline int recv_forever(void *arg)
{
    int value;
    return skua_chan_recv(arg, SKUA_ITEM(value), SKUA_FOREVER);
}

/* --- streams --- */

enum { EACH = 1000 / TEST_SCALE, CROWD = TEST_SCALE > 1 ? 50 : 200 };

static inline int send_thousand(void *arg)
{
    skua_chan *chan = arg;
    for (int i = 0; i < EACH; i++) {
        send_int(chan, i);
    }
    return 0;
}

typedef struct counter {
    skua_chan *chan;
    int seen[EACH];
} counter;

static inline int count_thousand(void *arg)
{
    counter *self = arg;
    for (int i = 0; i < EACH; i++) {
        int value = recv_int(self->chan);
        CHECK(value >= 0 && value < EACH);
        self->seen[value]++;
    }
    return 0;
}

#endif
