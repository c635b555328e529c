/* The condition: a line of those who wait for a signal (queue.h), each of whom has unlocked the
   same mutex and locks it again.

     (K1) signals is > 0 only while a call serves the line, or after one whose signal came back to
          an empty line; who enters an empty line clears it.
     (K2) All who stand in the line wait with the same mutex.

   *No signal is missed.* A waiter enters the line while it holds the mutex. Who changes what it
   waits for does so under the mutex, hence later, and then finds it in the line.

   *No signal is lost.* It is given to the oldest in line. If that one was cancelled in the same
   moment, it takes the signal back to the line, for the next one (Q4). After a broadcast there is
   nobody to pass it on to: all who were there have it. */
#include "base/panic.h"
#include "mem/forked.h"
#include "sched/fastpath.h"
#include "sync/mutex.h"
#include "sync/queue.h"

#include <skua/sync.h>

/* `signals` of a broadcast: enough for all. */
#define FOR_ALL SIZE_MAX

struct cond {
    struct skua__queue queue;
    size_t signals;
    skua_mutex *mutex; /* of those in the line */
};

_Static_assert(sizeof(struct cond) <= sizeof(skua_cond), "skua_cond is too small");
_Static_assert(_Alignof(struct cond) <= _Alignof(skua_cond), "skua_cond is misaligned");

/* What a waiter was given. */
struct wish {
    bool is_one_signal;
};

static struct cond *inside(skua_cond *cond)
{
    return (struct cond *)(void *)cond;
}

static struct cond *cond_of(const struct skua__queue *queue)
{
    return (struct cond *)(uintptr_t)queue;
}

static bool may_go_on(const struct skua__queue *queue, const void *wish)
{
    (void)wish;
    return cond_of(queue)->signals > 0;
}

static int let_go_on(struct skua__queue *queue, void *wish)
{
    struct cond *cond = cond_of(queue);
    if (cond->signals != FOR_ALL) {
        cond->signals--;
        ((struct wish *)wish)->is_one_signal = true;
    }
    return 0;
}

static void pass_on(struct skua__queue *queue, void *wish)
{
    cond_of(queue)->signals = ((const struct wish *)wish)->is_one_signal;
}

static const struct skua__queue_rules rules = {may_go_on, let_go_on, pass_on};

static void enter(struct cond *cond, skua_mutex *mutex, struct skua__queue_entry *entry,
                  struct wish *wish)
{
    skua__queue_lock(&cond->queue);
    if (cond->queue.count == 0) {
        cond->signals = 0;
        cond->mutex = mutex;
    }
    if (cond->mutex != mutex) {
        skua__panic("a condition is waited for with two mutexes");
    }
    skua__queue_enter(&cond->queue, entry, wish);
}

int skua_cond_wait(skua_cond *cond, skua_mutex *mutex, skua_time deadline)
{
    struct cond *self = inside(cond);
    struct skua__queue_entry entry;
    struct wish wish = {0};
    int status = skua__cancel_point();
    if (status == -ESHUTDOWN) {
        return status; /* not even the mutex has a holder here */
    }
    if (!skua__mutex_is_mine(mutex)) {
        skua__panic("a condition is waited for by one who does not hold the mutex");
    }
    if (status < 0) {
        return status;
    }
    if (skua__is_now(deadline)) {
        return -EAGAIN;
    }
    enter(self, mutex, &entry, &wish);
    skua_mutex_unlock(mutex);
    status = skua__queue_stay(&self->queue, &rules, &entry, deadline);
    skua__mutex_relock(mutex);
    return status;
}

/* The signals are given within this call: what is left over was for nobody. */
static void signal_so_many(struct cond *cond, size_t signals)
{
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&cond->queue);
    cond->signals = signals;
    skua__queue_serve_and_unlock(&cond->queue, &rules);
}

void skua_cond_signal(skua_cond *cond)
{
    signal_so_many(inside(cond), 1);
}

void skua_cond_broadcast(skua_cond *cond)
{
    signal_so_many(inside(cond), FOR_ALL);
}
