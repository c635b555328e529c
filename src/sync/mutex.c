/* The mutex: one word, and a list of those who wait.

       63                            2       1         0
       +-----------------------------+-------+---------+
       |  the fiber that holds it    | LIST  | WAITERS |
       +-----------------------------+-------+---------+

       0               free                     lock: 0 -> fiber, unlock: fiber -> 0
       fiber           held, nobody waits       to wait: LIST, link, fiber | WAITERS
       fiber|WAITERS   held, somebody waits     unlock: LIST, claim the oldest, then one of these:
       WAITERS or 0      free: the claimed one tries its luck
       other|WAITERS     held by the claimed one: it is handed over
       ... | LIST      somebody works on the list

     (X1) While LIST is set only he who has set it changes the word and the list.
     (X2) WAITERS is set exactly while the list has an entry, but for the time of LIST.
     (X3) While the mutex is free and somebody waits, a waiter that an unlock has woken is on its
          way, and tries to take it before anything else.
     (X4) The last access of an unlock is the one that makes the mutex free, or another's.
     (X5) A waiter that comes back without having been claimed by an unlock takes itself out of the
          list before its frame ends.

   *Lost wake.* A waiter links itself by X1 while the mutex is held, so the holder's fast unlock
   fails, and its slow one finds the list. An unlock claims one waiter and wakes it. That one finds
   the mutex free and takes it, cancelled or not; or finds it taken by somebody else, whose unlock
   looks at the list again (X2). So in either case somebody will unlock after it.

   *A woken waiter is cancelled.* The claim has decided: a canceller that comes later claims
   nothing. If the mutex is taken meanwhile, the waiter begins another wait, and a cancel ends that
   one, with nothing to pass on, because of the argument above.

   *The holder's end.* A fiber counts the locks that it holds, in its own memory, and a task that
   ends with one panics (fiber.h); nobody could ever unlock it. So nobody waits for a task that is
   gone, and the next task of the same fiber is not taken for the holder.

   *Fairness.* Barging is cheap: the running task takes a free mutex rather than wait for a task
   that has to be scheduled first. A waiter that has lost such a race stands first in the list
   again, and is handed the mutex by the next unlock. So it is passed by those only who run before
   it does.

   Rejected: handing over always (every unlock then waits for a switch, and all queue up behind it);
   measuring how long a waiter has waited (two looks at the clock for each wait, for the same
   bound); a spin before the wait (nothing gained where the mutex is held for a moment, since to
   wait costs little more than that; ten times slower where a hundred tasks hold it over a yield,
   with two workers: 1170 ns a lock instead of 119). */
#include "sync/mutex.h"
#include "base/futex.h"
#include "base/list.h"
#include "base/panic.h"
#include "sched/fastpath.h"
#include "sched/task.h"

#include <errno.h>
#include <skua/sync.h>

enum {
    HAS_WAITERS = 1 << 0,
    LIST = 1 << 1,
    FLAGS = HAS_WAITERS | LIST,
};

/* Somebody who works on the list is through by then, or preempted. */
enum { LIST_SPINS_MAX = 100 };

/* What an unlock does for a waiter, which stands in its `result`; and ways out of a wait. */
enum { HANDED = 0, WOKEN = 1, HAS_TO_RECHECK = 2 };

struct mutex {
    _Atomic uint64_t word;
    struct skua__list waiters; /* skua__waiter, oldest first; valid while there are any */
    bool is_fair;              /* constant: every unlock hands it over */
};

_Static_assert(sizeof(struct mutex) <= sizeof(skua_mutex), "skua_mutex is too small");
_Static_assert(_Alignof(struct mutex) <= _Alignof(skua_mutex), "skua_mutex is misaligned");
_Static_assert(_Alignof(struct skua__fiber) > FLAGS, "the flags need bits of a fiber's address");

static struct mutex *inside(skua_mutex *mutex)
{
    return (struct mutex *)(void *)mutex;
}

static uint64_t holder_of(uint64_t word)
{
    return word & ~(uint64_t)FLAGS;
}

static const char *holder_name(uint64_t word)
{
    const struct skua__fiber *fiber = (const struct skua__fiber *)(uintptr_t)holder_of(word);
    return skua_task_name(skua__fiber_task(fiber));
}

/* --- the list --------------------------------------------------------------------------------- */

/* Waits for somebody who is at the list. */
static void wait_for_list(uint32_t *turn)
{
    if ((*turn)++ < LIST_SPINS_MAX) {
        skua__spin_pause();
    } else {
        skua__thread_yield();
    }
}

/* Sets LIST. Returns the word without it. */
static uint64_t list_lock(struct mutex *mutex)
{
    uint32_t turn = 0;
    uint64_t word = skua__load(&mutex->word, relaxed);
    for (;;) {
        if ((word & LIST) != 0) {
            wait_for_list(&turn);
            word = skua__load(&mutex->word, relaxed);
            /* acquire: pairs with the release in list_unlock(): the list is as it was left. */
        } else if (skua__cas(&mutex->word, &word, word | LIST, acquire, relaxed)) {
            return word;
        }
    }
}

/* Clears LIST, for a mutex that `holder` holds now (0: nobody). `is_empty`: so is the list. */
static void list_unlock(struct mutex *mutex, uint64_t holder, bool is_empty)
{
    /* release: publishes the list, and, if the mutex is free now, what the holder did; pairs with
       the acquires of list_lock() and of the lock. */
    skua__store(&mutex->word, holder | (is_empty ? 0 : HAS_WAITERS), release);
}

/* The oldest waiter that can be served; claimed and out of the list. Or NULL. */
static struct skua__waiter *claim_first(struct skua__list *list)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(list)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (skua__waiter_claim(waiter)) {
            return waiter;
        }
    }
    return NULL;
}

/* --- locking ---------------------------------------------------------------------------------- */

/* X5. */
static void leave_list(struct mutex *mutex, struct skua__waiter *waiter)
{
    uint64_t word = list_lock(mutex);
    bool is_empty = (word & HAS_WAITERS) == 0;
    if (skua__link_is_linked(&waiter->link)) {
        skua__list_remove(&waiter->link);
        is_empty = skua__list_is_empty(&mutex->waiters);
    }
    list_unlock(mutex, holder_of(word), is_empty);
}

/* Waits for an unlock. Called with LIST set by us in `word`, the word of a held mutex; gives it
   back. `service` is what the unlock is to do for us: HANDED for one who was woken in vain. Returns
   0 (it was handed over), what the lock returns (< 0), or how to try again. */
static int wait_in_list(struct mutex *mutex, struct skua__fiber *self, uint64_t word, int service,
                        enum skua__wait_kind kind, skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    if (SKUA_LIKELY(kind == SKUA__SOFT)) {
        skua__wait_begin_inline_for(&wait, self, "a mutex");
    } else {
        skua__wait_begin_for(&wait, kind, "a mutex");
    }
    skua__waiter_init(&waiter, &wait, 0, NULL);
    waiter.result = service;
    if ((word & HAS_WAITERS) == 0) {
        skua__list_init(&mutex->waiters);
    }
    if (service == HANDED) {
        skua__list_push_front(&mutex->waiters, &waiter.link);
    } else {
        skua__list_push_back(&mutex->waiters, &waiter.link);
    }
    list_unlock(mutex, holder_of(word), false);
    int cause = SKUA_LIKELY(kind == SKUA__SOFT)
                    ? skua__wait_park_inline(&wait, self, skua__deadline_ns(deadline))
                    : skua__wait_park(&wait, skua__deadline_ns(deadline));
    if (SKUA_LIKELY(cause >= 0)) {
        return waiter.result;
    }
    leave_list(mutex, &waiter);
    if (cause != SKUA__RECHECK) {
        return cause;
    }
    int status = skua__cancel_point();
    return status < 0 ? status : HAS_TO_RECHECK;
}

static SKUA_NOINLINE int lock_slow(struct mutex *mutex, struct skua__fiber *self,
                                   enum skua__wait_kind kind, skua_time deadline)
{
    int service = WOKEN;
    uint32_t list_turn = 0;
    for (;;) {
        uint64_t word = skua__load(&mutex->word, relaxed);
        if (holder_of(word) == (uintptr_t)self) {
            skua__panic("a mutex is locked again by its holder");
        }
        if ((word & LIST) != 0) {
            wait_for_list(&list_turn);
        } else if (holder_of(word) == 0) {
            /* acquire: pairs with the releases of the unlock. */
            if (skua__cas(&mutex->word, &word, word | (uintptr_t)self, acquire, relaxed)) {
                self->locks_held++;
                return 0;
            }
        } else if (skua__is_now(deadline)) {
            return -EAGAIN;
            /* acquire: pairs with the release in list_unlock(). */
        } else if (skua__cas(&mutex->word, &word, word | LIST, acquire, relaxed)) {
            int status = wait_in_list(mutex, self, word, service, kind, deadline);
            if (status <= 0) {
                self->locks_held += status == HANDED;
                return status;
            }
            service = status == WOKEN ? HANDED : service;
        }
    }
}

/* The check before the lock has something to say, or the caller is no task. */
static SKUA_NOINLINE int lock_in_full(struct mutex *mutex, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    struct skua__fiber *self = skua__fiber_self();
    if (self == NULL) {
        skua__panic("a mutex is locked by a thread that is not a task");
    }
    return lock_slow(mutex, self, SKUA__SOFT, deadline);
}

int skua_mutex_lock(skua_mutex *mutex, skua_time deadline)
{
    struct mutex *self = inside(mutex);
    if (SKUA_UNLIKELY(!skua__cancel_point_passes())) {
        return lock_in_full(self, deadline);
    }
    struct skua__fiber *fiber = skua__fiber_self();
    uint64_t is_free = 0;
    /* acquire: pairs with the releases of the unlock. */
    if (SKUA_LIKELY(skua__cas(&self->word, &is_free, (uintptr_t)fiber, acquire, relaxed))) {
        fiber->locks_held++;
        return 0;
    }
    return lock_slow(self, fiber, SKUA__SOFT, deadline);
}

/* --- unlocking -------------------------------------------------------------------------------- */

/* Panics unless the fiber holds the mutex. */
static void check_holder(const struct mutex *mutex, const struct skua__fiber *self)
{
    uint64_t word = skua__load(&mutex->word, relaxed);
    if (self == NULL) {
        skua__panic("a mutex is unlocked by a thread that is not a task");
    }
    if (holder_of(word) == 0) {
        skua__panic("a mutex is unlocked that nobody holds");
    }
    if (holder_of(word) != (uintptr_t)self) {
        skua__panic("a mutex is unlocked that task '%s' holds", holder_name(word));
    }
}

static SKUA_NOINLINE void unlock_slow(struct mutex *mutex, struct skua__fiber *self)
{
    if (skua__process_is_forked()) {
        return;
    }
    check_holder(mutex, self);
    self->locks_held--;
    uint64_t word = list_lock(mutex);
    if ((word & HAS_WAITERS) == 0) {
        list_unlock(mutex, 0, true);
        return;
    }
    struct skua__waiter *waiter = claim_first(&mutex->waiters);
    struct skua__parker *parker = waiter != NULL ? waiter->parker : NULL;
    uint64_t holder = 0;
    if (waiter != NULL && (waiter->result == HANDED || mutex->is_fair)) {
        waiter->result = HANDED;
        holder = (uintptr_t)SKUA_CONTAINER(parker, struct skua__fiber, parker);
    }
    list_unlock(mutex, holder, skua__list_is_empty(&mutex->waiters));
    if (parker != NULL) {
        skua__wake_inline(parker);
    }
}

void skua_mutex_unlock(skua_mutex *mutex)
{
    struct mutex *self = inside(mutex);
    struct skua__fiber *fiber = skua__fiber_self();
    uint64_t word = (uintptr_t)fiber;
    /* release: publishes what the holder did; pairs with the acquires of the lock. The last access
       (X4). */
    if (SKUA_UNLIKELY(fiber == NULL || !skua__cas(&self->word, &word, 0, release, relaxed))) {
        unlock_slow(self, fiber);
    } else {
        fiber->locks_held--;
    }
}

void skua_mutex_init_fair(skua_mutex *mutex)
{
    *inside(mutex) = (struct mutex){.is_fair = true};
}

/* --- for conditions --------------------------------------------------------------------------- */

bool skua__mutex_is_mine(skua_mutex *mutex)
{
    const struct skua__fiber *self = skua__fiber_self();
    return self != NULL && holder_of(skua__load(&inside(mutex)->word, relaxed)) == (uintptr_t)self;
}

void skua__mutex_relock(skua_mutex *mutex)
{
    int status = lock_slow(inside(mutex), skua__fiber_self(), SKUA__HARD, SKUA_FOREVER);
    skua_require(status == 0);
}
