/* The semaphore: a number, and a line of those who wish for more than there is (queue.h).

     (S1) permits <= max, unless max is 0 (unbounded).

   Permits are given in the order of the line, all that one wishes for or none. So a wish for many
   at the head holds up smaller ones behind it, and they cannot starve it. */
#include "base/panic.h"
#include "mem/forked.h"
#include "sync/queue.h"

#include <skua/sync.h>

struct sem {
    struct skua__queue queue;
    size_t permits;
    size_t max;
};

_Static_assert(sizeof(struct sem) <= sizeof(skua_sem), "skua_sem is too small");
_Static_assert(_Alignof(struct sem) <= _Alignof(skua_sem), "skua_sem is misaligned");

static struct sem *inside(skua_sem *sem)
{
    return (struct sem *)(void *)sem;
}

static struct sem *sem_of(const struct skua__queue *queue)
{
    return (struct sem *)(uintptr_t)queue;
}

static bool may_have(const struct skua__queue *queue, const void *wish)
{
    return *(const size_t *)wish <= sem_of(queue)->permits;
}

static int give(struct skua__queue *queue, void *wish)
{
    sem_of(queue)->permits -= *(size_t *)wish;
    return 0;
}

static void take_back(struct skua__queue *queue, void *wish)
{
    sem_of(queue)->permits += *(size_t *)wish;
}

static const struct skua__queue_rules rules = {may_have, give, take_back};

void skua_sem_init(skua_sem *sem, size_t permits)
{
    *inside(sem) = (struct sem){.permits = permits};
}

void skua_sem_init_bounded(skua_sem *sem, size_t permits)
{
    if (permits == 0) {
        skua__panic("a bounded semaphore of no permits");
    }
    *inside(sem) = (struct sem){.permits = permits, .max = permits};
}

int skua_sem_acquire(skua_sem *sem, size_t permits, skua_time deadline)
{
    struct sem *self = inside(sem);
    if (self->max != 0 && permits > self->max) {
        return -EINVAL;
    }
    return skua__queue_take(&self->queue, &rules, &permits, deadline);
}

void skua_sem_release(skua_sem *sem, size_t permits)
{
    struct sem *self = inside(sem);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    size_t max = self->max != 0 ? self->max : SIZE_MAX;
    if (permits > max - self->permits) {
        skua__panic("a semaphore of at most %zu permits has %zu, and %zu more are released", max,
                    self->permits, permits);
    }
    self->permits += permits;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

size_t skua_sem_available(skua_sem *sem)
{
    struct sem *self = inside(sem);
    if (skua__process_is_forked()) {
        return 0;
    }
    skua__queue_lock(&self->queue);
    size_t permits = self->permits;
    skua__queue_unlock(&self->queue);
    return permits;
}
