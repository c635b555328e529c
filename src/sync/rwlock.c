/* The reader-writer lock: who is inside, and one line of readers and writers (queue.h).

     (R1) writer is 0 or readers is 0.
     (R2) Readers and writers come in in the order of the line. So a writer waits for the readers
          that came before it and for no others, and a run of readers comes in together.

   Who holds it is counted by its fiber, like the mutexes that it holds: a task that ends with it
   panics. A reader is not known by name to the lock; that a stranger gives back what others read is
   noticed if it holds no lock at all.

   Rejected: readers overtaking a waiting writer (writers starve, and with a steady stream of
   readers for ever); a lock-free count of readers (all of them write the same word in any case). */
#include "base/panic.h"
#include "mem/forked.h"
#include "sched/fastpath.h"
#include "sync/queue.h"

#include <skua/sync.h>

struct rwlock {
    struct skua__queue queue;
    size_t readers;
    _Atomic uintptr_t writer; /* skua__queue_self(); changed under the lock, read by itself too */
};

_Static_assert(sizeof(struct rwlock) <= sizeof(skua_rwlock), "skua_rwlock is too small");
_Static_assert(_Alignof(struct rwlock) <= _Alignof(skua_rwlock), "skua_rwlock is misaligned");

struct wish {
    bool is_writer;
    uintptr_t who;
};

static struct rwlock *inside(skua_rwlock *lock)
{
    return (struct rwlock *)(void *)lock;
}

static struct rwlock *lock_of(const struct skua__queue *queue)
{
    return (struct rwlock *)(uintptr_t)queue;
}

static uintptr_t writer_of(const struct rwlock *lock)
{
    return skua__load(&lock->writer, relaxed);
}

static bool may_enter(const struct skua__queue *queue, const void *wish)
{
    const struct rwlock *lock = lock_of(queue);
    const struct wish *self = wish;
    return writer_of(lock) == 0 && (lock->readers == 0 || !self->is_writer);
}

static int enter(struct skua__queue *queue, void *wish)
{
    const struct wish *self = wish;
    struct rwlock *lock = lock_of(queue);
    if (self->is_writer) {
        skua__store(&lock->writer, self->who, relaxed);
    } else {
        lock->readers++;
    }
    return 0;
}

static void leave(struct skua__queue *queue, void *wish)
{
    struct rwlock *lock = lock_of(queue);
    if (((const struct wish *)wish)->is_writer) {
        skua__store(&lock->writer, 0, relaxed);
    } else {
        lock->readers--;
    }
}

static const struct skua__queue_rules rules = {may_enter, enter, leave};

/* --- locking ---------------------------------------------------------------------------------- */

static int lock_as(skua_rwlock *lock, bool is_writer, skua_time deadline)
{
    struct rwlock *self = inside(lock);
    struct wish wish = {is_writer, skua__queue_self()};
    if (writer_of(self) == wish.who && !skua__process_is_forked()) {
        skua__panic("a rwlock is locked again by its writer");
    }
    int status = skua__queue_take(&self->queue, &rules, &wish, deadline);
    struct skua__fiber *fiber = skua__fiber_self();
    if (status == 0 && fiber != NULL) {
        fiber->locks_held++;
    }
    return status;
}

int skua_rwlock_read(skua_rwlock *lock, skua_time deadline)
{
    return lock_as(lock, false, deadline);
}

int skua_rwlock_write(skua_rwlock *lock, skua_time deadline)
{
    return lock_as(lock, true, deadline);
}

/* --- unlocking -------------------------------------------------------------------------------- */

/* The caller's fiber, if it is one, holds one lock less. */
static void hold_less(void)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL) {
        return;
    }
    if (fiber->locks_held == 0) {
        skua__panic("a rwlock is unlocked by a task that holds no lock");
    }
    fiber->locks_held--;
}

void skua_rwlock_read_unlock(skua_rwlock *lock)
{
    struct rwlock *self = inside(lock);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    if (self->readers == 0) {
        skua__panic("a rwlock is unlocked that nobody reads");
    }
    hold_less();
    self->readers--;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

/* With the lock of the line, which is kept. */
static void check_writer(struct rwlock *self)
{
    skua__queue_lock(&self->queue);
    if (writer_of(self) == 0) {
        skua__panic("a rwlock is unlocked that nobody writes");
    }
    if (writer_of(self) != skua__queue_self()) {
        skua__panic("a rwlock is unlocked that another one writes");
    }
}

void skua_rwlock_write_unlock(skua_rwlock *lock)
{
    struct rwlock *self = inside(lock);
    if (skua__process_is_forked()) {
        return;
    }
    check_writer(self);
    hold_less();
    skua__store(&self->writer, 0, relaxed);
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

void skua_rwlock_downgrade(skua_rwlock *lock)
{
    struct rwlock *self = inside(lock);
    if (skua__process_is_forked()) {
        return;
    }
    check_writer(self);
    skua__store(&self->writer, 0, relaxed);
    self->readers = 1;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}
