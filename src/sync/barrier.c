/* The barrier: a number of parties, and a line of those who are here (queue.h).

     (B1) The line is shorter than `parties`: who comes last does not enter it, but opens.
     (B2) verdict is HOLD whenever the lock is free.

   Opening gives to all in the line, each its place. It cannot be taken back: the others go on
   already. So a party that was cancelled in the very moment of the opening has been here, and its
   call says so (Q4); the next blocking call tells it of the cancel. One that was cancelled before
   has left the line, and counts no more. */
#include "base/panic.h"
#include "mem/forked.h"
#include "sched/fastpath.h"
#include "sync/queue.h"

#include <limits.h>
#include <skua/meet.h>

enum verdict { HOLD, OPEN, BREAK };

struct barrier {
    struct skua__queue queue;
    uint32_t parties;
    uint32_t place; /* of the next one to be given to */
    enum verdict verdict;
    bool is_aborted;
};

_Static_assert(sizeof(struct barrier) <= sizeof(skua_barrier), "skua_barrier is too small");
_Static_assert(_Alignof(struct barrier) <= _Alignof(skua_barrier), "skua_barrier is misaligned");

static struct barrier *inside(skua_barrier *barrier)
{
    return (struct barrier *)(void *)barrier;
}

static struct barrier *barrier_of(const struct skua__queue *queue)
{
    return (struct barrier *)(uintptr_t)queue;
}

static bool may_go_on(const struct skua__queue *queue, const void *wish)
{
    (void)wish;
    return barrier_of(queue)->verdict != HOLD;
}

static int let_go_on(struct skua__queue *queue, void *wish)
{
    (void)wish;
    struct barrier *barrier = barrier_of(queue);
    int result = barrier->verdict == OPEN ? (int)barrier->place++ : -ECONNABORTED;
    if (queue->count == 0) {
        barrier->verdict = HOLD; /* the line is empty: all have theirs (B2) */
    }
    return result;
}

static const struct skua__queue_rules rules = {may_go_on, let_go_on, NULL};

/* Gives it to all in the line; with the lock, which is given back. */
static void pronounce(struct barrier *barrier, enum verdict verdict)
{
    barrier->place = 0;
    barrier->verdict = barrier->queue.count > 0 ? verdict : HOLD;
    skua__queue_serve_and_unlock(&barrier->queue, &rules);
}

void skua_barrier_init(skua_barrier *barrier, size_t parties)
{
    if (parties == 0 || parties > INT_MAX) {
        skua__panic("a barrier for %zu parties", parties);
    }
    *inside(barrier) = (struct barrier){.parties = (uint32_t)parties};
}

int skua_barrier_wait(skua_barrier *barrier, skua_time deadline)
{
    struct barrier *self = inside(barrier);
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (self->parties == 0) {
        skua__panic("a barrier is waited at before its init");
    }
    skua__queue_lock(&self->queue);
    if (self->is_aborted) {
        status = -ECONNABORTED;
    } else if (self->queue.count + 1 == self->parties) {
        status = (int)self->queue.count;
        pronounce(self, OPEN);
        return status;
    } else if (skua__is_now(deadline)) {
        status = -EAGAIN;
    } else {
        return skua__queue_wait(&self->queue, &rules, NULL, deadline);
    }
    skua__queue_unlock(&self->queue);
    return status;
}

static void dismiss(struct barrier *barrier, bool is_aborted)
{
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&barrier->queue);
    barrier->is_aborted = is_aborted;
    pronounce(barrier, BREAK);
}

void skua_barrier_abort(skua_barrier *barrier)
{
    dismiss(inside(barrier), true);
}

void skua_barrier_reset(skua_barrier *barrier)
{
    dismiss(inside(barrier), false);
}

size_t skua_barrier_waiting(skua_barrier *barrier)
{
    struct barrier *self = inside(barrier);
    if (skua__process_is_forked()) {
        return 0;
    }
    skua__queue_lock(&self->queue);
    size_t count = self->queue.count;
    skua__queue_unlock(&self->queue);
    return count;
}

bool skua_barrier_is_aborted(skua_barrier *barrier)
{
    struct barrier *self = inside(barrier);
    if (skua__process_is_forked()) {
        return true;
    }
    skua__queue_lock(&self->queue);
    bool is_aborted = self->is_aborted;
    skua__queue_unlock(&self->queue);
    return is_aborted;
}
