/* The guard: what it holds, and how that is given back. */
#include "base/panic.h"

#include <skua/sync.h>

enum kind { NOTHING, MUTEX, READ_LOCK, WRITE_LOCK };

struct guard {
    void *lock;
    enum kind kind;
};

_Static_assert(sizeof(struct guard) <= sizeof(skua_guard), "skua_guard is too small");
_Static_assert(_Alignof(struct guard) <= _Alignof(skua_guard), "skua_guard is misaligned");

static struct guard *empty(skua_guard *guard)
{
    struct guard *self = (struct guard *)(void *)guard;
    if (self->kind != NOTHING) {
        skua__panic("a guard is to hold a second lock");
    }
    return self;
}

/* The lock's status: 0 puts it into the guard's hands. */
static int hold(struct guard *guard, enum kind kind, void *lock, int status)
{
    if (status == 0) {
        *guard = (struct guard){lock, kind};
    }
    return status;
}

int skua_guard_lock(skua_guard *guard, skua_mutex *mutex, skua_time deadline)
{
    struct guard *self = empty(guard);
    return hold(self, MUTEX, mutex, skua_mutex_lock(mutex, deadline));
}

int skua_guard_read(skua_guard *guard, skua_rwlock *lock, skua_time deadline)
{
    struct guard *self = empty(guard);
    return hold(self, READ_LOCK, lock, skua_rwlock_read(lock, deadline));
}

int skua_guard_write(skua_guard *guard, skua_rwlock *lock, skua_time deadline)
{
    struct guard *self = empty(guard);
    return hold(self, WRITE_LOCK, lock, skua_rwlock_write(lock, deadline));
}

void skua_guard_unlock(skua_guard *guard)
{
    struct guard held = *(struct guard *)(void *)guard;
    *(struct guard *)(void *)guard = (struct guard){0};
    switch (held.kind) {
    case MUTEX:
        skua_mutex_unlock(held.lock);
        break;
    case READ_LOCK:
        skua_rwlock_read_unlock(held.lock);
        break;
    case WRITE_LOCK:
        skua_rwlock_write_unlock(held.lock);
        break;
    case NOTHING:
        break;
    }
}
