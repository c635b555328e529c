/* Select: wait for the first of several cases, of which exactly one happens.

   All the objects' locks are taken in address order, as in Go. Then, under all of them: a case that
   is ready happens at once; otherwise a waiter for every case is linked, all with the same ticket
   and each with the index of its case as the cause to claim with. Whoever serves one of them claims
   the ticket, once, so the others cannot be served any more. Afterwards all the locks are taken
   again and the rest is unlinked.

     (L1) Between linking and unlinking no waiter's frame goes away.
     (L2) A waiter of ours that a partner finds after the ticket was claimed is dropped by that
          partner (C3).
     (L3) A thing without a lock of its own here (a task, an fd) is looked at before the locks are
          taken and linked after they were given back. What it says is a state that the select does
          not consume, so it is still true, or harmless, when the case is chosen; and its link says
          if the state has changed since.

   Channels are told from the rest by their kind, because they are most of the cases; the others are
   reached through the operations of `sched/waitable.h`, which says in which order they are called.

   A moment among the cases only lowers the deadline of the wait; it is told apart afterwards by the
   clock.

   Rejected: locking one channel at a time with a claim word for each select. Two selects that face
   each other then need both words at once; it is faster only when many selects share one channel.
   */
#include "base/mem.h"
#include "base/panic.h"
#include "base/random.h"
#include "chan/chan.h"
#include "sched/runtime.h"
#include "sched/service.h"
#include "sched/task.h"
#include "sched/waitable.h"

#include <skua/select.h>
#include <stdlib.h>
#include <string.h>

enum { INLINE_CASES = 16 };

/* Such a wait ends before it begins. */
enum { LONG_AGO_NS = 1 };

struct selection {
    skua_case *cases;
    struct skua__candidate *candidates;
    uint32_t count;
    bool has_lockless; /* cases whose waitable has no lock */
    int flags;
    struct skua__wake_list wakes;
};

/* --- the ends of tasks ------------------------------------------------------------------------ */

static int check_task(const skua_case *entry)
{
    return entry->object == skua_self() ? -EDEADLK : 0;
}

static struct skua__lock *no_lock(const skua_case *entry)
{
    (void)entry;
    return NULL;
}

static int attempt_task(const skua_case *entry, struct skua__candidate *candidate,
                        struct skua__wake_list *wakes)
{
    (void)candidate;
    (void)wakes;
    return skua__task_is_done(entry->object) ? 0 : SKUA__WOULD_WAIT;
}

static int link_task(const skua_case *entry, struct skua__candidate *candidate)
{
    return skua__task_link_joiner(entry->object, &candidate->waiter);
}

static void unlink_task(const skua_case *entry, struct skua__candidate *candidate,
                        struct skua__wake_list *wakes)
{
    (void)wakes;
    skua__task_unlink_joiner(entry->object, &candidate->waiter);
}

static const struct skua__waitable task_ends = {
    .check = check_task,
    .lock = no_lock,
    .attempt = attempt_task,
    .link = link_task,
    .unlink = unlink_task,
};

/* --- the objects ------------------------------------------------------------------------------ */

static bool is_channel_case(const skua_case *entry)
{
    return (entry->kind == SKUA_CASE_RECV || entry->kind == SKUA_CASE_SEND) &&
           entry->object != NULL;
}

/* The operations of a case that is neither a channel's nor a moment, or NULL. */
static const struct skua__waitable *waitable_of(const skua_case *entry)
{
    if (entry->object == NULL) {
        return NULL;
    }
    if (entry->kind == SKUA_CASE_WAITABLE) {
        return entry->waitable;
    }
    return entry->kind == SKUA_CASE_TASK ? &task_ends : NULL;
}

/* It has operations, and no lock. */
static bool is_lockless(const struct skua__candidate *candidate)
{
    return candidate->waitable != NULL && candidate->lock == NULL;
}

static struct skua__list *queue_of(const skua_case *entry)
{
    skua_chan *chan = entry->object;
    return entry->kind == SKUA_CASE_SEND ? &chan->waiting_senders : &chan->waiting_receivers;
}

/* Notes what a case is, once for all steps. 0, or what the select returns instead. */
static int prepare(const skua_case *entry, struct skua__candidate *candidate)
{
    candidate->waitable = NULL;
    candidate->lock = NULL;
    if (is_channel_case(entry)) {
        skua__chan_check_size(entry->object, entry->item_bytes);
        candidate->lock = &((skua_chan *)entry->object)->lock;
        return 0;
    }
    if ((unsigned)entry->kind > SKUA_CASE_WAITABLE) {
        return -EINVAL;
    }
    const struct skua__waitable *waitable = waitable_of(entry);
    if (waitable == NULL) {
        return entry->kind == SKUA_CASE_WAITABLE && entry->object != NULL ? -EINVAL : 0;
    }
    candidate->waitable = waitable;
    int status = waitable->check != NULL ? waitable->check(entry) : 0;
    if (status == 0) {
        candidate->lock = waitable->lock(entry);
    }
    return status;
}

static int prepare_all(struct selection *selection)
{
    selection->has_lockless = false;
    for (uint32_t i = 0; i < selection->count; i++) {
        int status = prepare(&selection->cases[i], &selection->candidates[i]);
        if (status < 0) {
            return status;
        }
        selection->has_lockless |= is_lockless(&selection->candidates[i]);
    }
    return 0;
}

/* Room in the list for what one operation may add. */
static struct skua__wake_list *wakes_of(struct selection *selection)
{
    if (selection->wakes.count > SKUA__WAKE_CHUNK - SKUA__WAITABLE_WAKES_MAX) {
        skua__wake_list_flush(&selection->wakes);
    }
    return &selection->wakes;
}

/* --- locking in address order ----------------------------------------------------------------- */

/* Sorts by insertion: selects are short, and mostly in the same order from call to call. */
static void sort_locks(struct selection *selection)
{
    for (uint32_t i = 0; i < selection->count; i++) {
        uintptr_t address = (uintptr_t)selection->candidates[i].lock;
        uint32_t at = i;
        while (at > 0) {
            uint32_t before = selection->candidates[at - 1].order;
            if ((uintptr_t)selection->candidates[before].lock <= address) {
                break;
            }
            selection->candidates[at].order = before;
            at--;
        }
        selection->candidates[at].order = i;
    }
}

/* The i-th different lock in order, or NULL (no lock, or the same as before). */
static struct skua__lock *lock_in_order(const struct selection *selection, uint32_t i)
{
    const struct skua__candidate *candidates = selection->candidates;
    struct skua__lock *lock = candidates[candidates[i].order].lock;
    return i > 0 && lock == candidates[candidates[i - 1].order].lock ? NULL : lock;
}

static void lock_all(const struct selection *selection)
{
    for (uint32_t i = 0; i < selection->count; i++) {
        struct skua__lock *lock = lock_in_order(selection, i);
        if (lock != NULL) {
            skua__lock(lock, SKUA__RANK_CHAN);
        }
    }
}

static void unlock_all(const struct selection *selection)
{
    for (uint32_t i = selection->count; i-- > 0;) {
        struct skua__lock *lock = lock_in_order(selection, i);
        if (lock != NULL) {
            skua__unlock(lock, SKUA__RANK_CHAN);
        }
    }
}

/* --- trying ----------------------------------------------------------------------------------- */

/* Looks at the things without a lock (L3). */
static void attempt_lockless(struct selection *selection)
{
    for (uint32_t i = 0; selection->has_lockless && i < selection->count; i++) {
        struct skua__candidate *candidate = &selection->candidates[i];
        if (is_lockless(candidate)) {
            candidate->early =
                candidate->waitable->attempt(&selection->cases[i], candidate, wakes_of(selection));
        }
    }
}

static int attempt_channel(struct selection *selection, const skua_case *entry)
{
    struct skua__parker *wake = NULL;
    int result = entry->kind == SKUA_CASE_SEND
                     ? skua__chan_try_send(entry->object, entry->item, &wake)
                     : skua__chan_try_recv(entry->object, entry->item, &wake);
    if (wake != NULL) {
        skua__wake_list_add(&selection->wakes, wake);
    }
    return result;
}

static int attempt_waitable(struct selection *selection, uint32_t index)
{
    struct skua__candidate *candidate = &selection->candidates[index];
    if (candidate->waitable == NULL) {
        return SKUA__WOULD_WAIT;
    }
    return candidate->lock == NULL ? candidate->early
                                   : candidate->waitable->attempt(&selection->cases[index],
                                                                  candidate, wakes_of(selection));
}

/* Lets the case happen if it can, under its lock. */
static bool attempt(struct selection *selection, uint32_t index)
{
    skua_case *entry = &selection->cases[index];
    int result;
    if (is_channel_case(entry)) {
        result = attempt_channel(selection, entry);
    } else if (entry->kind == SKUA_CASE_TIME && entry->at.ns != 0) {
        result = skua__is_now(entry->at) || skua__clock_ns() >= entry->at.ns ? 0 : SKUA__WOULD_WAIT;
    } else {
        result = attempt_waitable(selection, index);
    }
    if (result == SKUA__WOULD_WAIT) {
        return false;
    }
    entry->result = result;
    return true;
}

/* A seed for fair choices; it need not be unpredictable, only different from call to call. */
static uint64_t choice_seed(const struct selection *selection)
{
    static _Atomic uint64_t turn;
    uint64_t seed;
    if (skua__seed_decides(&seed)) {
        return seed;
    }
    seed = skua__load(&turn, relaxed) + (uintptr_t)selection;
    uint64_t next = seed;
    skua__random_next(&next);
    skua__store(&turn, next, relaxed);
    return seed;
}

/* Tries the cases in random order (a shuffle that is carried out only as far as it is needed), or
   in theirs. The index of the case that happened, or -1. */
static int attempt_all(struct selection *selection)
{
    bool is_random = (selection->flags & SKUA_IN_ORDER) == 0 && selection->count > 1;
    uint64_t seed = is_random ? choice_seed(selection) : 0;
    struct skua__candidate *candidates = selection->candidates;
    for (uint32_t i = 0; i < selection->count; i++) {
        candidates[i].turn = i;
    }
    for (uint32_t i = 0; i < selection->count; i++) {
        uint32_t at = i + (is_random ? skua__random_below(&seed, selection->count - i) : 0);
        uint32_t index = candidates[at].turn;
        candidates[at].turn = candidates[i].turn;
        if (attempt(selection, index)) {
            return (int)index;
        }
    }
    return -1;
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Links a waiter for each case that has a lock, under all the locks; the others' are made ready. */
static void link_locked(struct selection *selection, const struct skua__wait *wait)
{
    for (uint32_t i = 0; i < selection->count; i++) {
        const skua_case *entry = &selection->cases[i];
        struct skua__candidate *candidate = &selection->candidates[i];
        skua__waiter_init(&candidate->waiter, wait, i, entry->item);
        if (is_channel_case(entry)) {
            skua__list_push_back(queue_of(entry), &candidate->waiter.link);
            continue;
        }
        if (candidate->waitable != NULL && candidate->lock != NULL) {
            candidate->waitable->link(entry, candidate);
        }
    }
}

/* Links the cases without a lock. 1; or 0, one of them has to be tried again; or < 0, one of them
   has failed, and *failed is its index. */
static int link_lockless(struct selection *selection, uint32_t *failed)
{
    int status = 1;
    for (uint32_t i = 0; selection->has_lockless && i < selection->count; i++) {
        struct skua__candidate *candidate = &selection->candidates[i];
        if (is_lockless(candidate)) {
            int linked = candidate->waitable->link(&selection->cases[i], candidate);
            if (linked < status) {
                status = linked;
                *failed = i;
            }
        }
    }
    return status;
}

/* Takes out the waiters of the cases that have a lock, or of the others. */
static void unlink_some(struct selection *selection, bool locked)
{
    for (uint32_t i = 0; i < selection->count; i++) {
        const skua_case *entry = &selection->cases[i];
        struct skua__candidate *candidate = &selection->candidates[i];
        if (is_channel_case(entry)) {
            if (locked && skua__link_is_linked(&candidate->waiter.link)) {
                skua__list_remove(&candidate->waiter.link);
            }
            continue;
        }
        if (candidate->waitable != NULL && (candidate->lock != NULL) == locked) {
            candidate->waitable->unlink(entry, candidate, wakes_of(selection));
        }
    }
}

static void unlink_all(struct selection *selection)
{
    lock_all(selection);
    unlink_some(selection, true);
    unlock_all(selection);
    if (selection->has_lockless) {
        unlink_some(selection, false);
    }
    skua__wake_list_flush(&selection->wakes);
}

static int64_t earliest_deadline(const struct selection *selection, skua_time deadline)
{
    int64_t earliest = skua__deadline_ns(deadline);
    for (uint32_t i = 0; i < selection->count; i++) {
        const skua_case *entry = &selection->cases[i];
        if (entry->kind == SKUA_CASE_TIME && skua__deadline_ns(entry->at) < earliest) {
            earliest = entry->at.ns;
        }
    }
    return earliest;
}

/* The index of a case whose moment was what the wait ended by, or -ETIMEDOUT. */
static int find_moment(struct selection *selection, skua_time deadline)
{
    int64_t limit = skua__deadline_ns(deadline);
    for (uint32_t i = 0; i < selection->count; i++) {
        skua_case *entry = &selection->cases[i];
        if (entry->kind == SKUA_CASE_TIME && entry->at.ns != 0 && entry->at.ns <= limit &&
            entry->at.ns <= skua__clock_ns()) {
            entry->result = 0;
            return (int)i;
        }
    }
    return -ETIMEDOUT;
}

/* Under all locks. False: a case may be ready meanwhile. */
static bool may_wait_all(const struct selection *selection)
{
    for (uint32_t i = 0; i < selection->count; i++) {
        const skua_case *entry = &selection->cases[i];
        if (is_channel_case(entry)) {
            if (!(entry->kind == SKUA_CASE_SEND ? skua__chan_may_wait_to_send(entry->object)
                                                : skua__chan_may_wait_to_recv(entry->object))) {
                return false;
            }
            continue;
        }
        const struct skua__waitable *waitable = selection->candidates[i].waitable;
        if (waitable != NULL && waitable->may_wait != NULL && !waitable->may_wait(entry)) {
            return false;
        }
    }
    return true;
}

/* A waiter was claimed: that case has happened, unless its waitable finds nothing in it. */
static int finish(struct selection *selection, int index)
{
    skua_case *entry = &selection->cases[index];
    struct skua__candidate *candidate = &selection->candidates[index];
    int result = candidate->waiter.result;
    if (candidate->waitable != NULL && candidate->waitable->finish != NULL) {
        result = candidate->waitable->finish(entry, candidate);
        if (result == SKUA__WOULD_WAIT) {
            return SKUA__RECHECK;
        }
    }
    entry->result = result;
    return index;
}

/* As long as one of the cases takes real time, the clock stands still for all of them. */
static int park(const struct selection *selection, struct skua__wait *wait, int64_t deadline_ns)
{
    for (uint32_t i = 0; i < selection->count; i++) {
        const struct skua__waitable *waitable = selection->candidates[i].waitable;
        if (waitable != NULL && waitable->is_real) {
            return skua__wait_park_real(wait, deadline_ns);
        }
    }
    return skua__wait_park(wait, deadline_ns);
}

/* Entered with all locks held; gives them back. */
static int wait_for_any(struct selection *selection, skua_time deadline)
{
    struct skua__wait wait;
    uint32_t failed = 0;
    skua__wait_begin_for(&wait, SKUA__SOFT, "a select");
    link_locked(selection, &wait);
    unlock_all(selection);
    int linked = link_lockless(selection, &failed);
    /* If a task has ended while we linked, or the like, the wait is parked all the same but must
       end at once: claimed by ourselves unless somebody was faster. */
    int64_t deadline_ns = linked == 1 ? earliest_deadline(selection, deadline) : LONG_AGO_NS;
    int cause = park(selection, &wait, deadline_ns);
    unlink_all(selection);
    if (cause >= 0) {
        return finish(selection, cause);
    }
    if (cause != -ETIMEDOUT || linked == 0) {
        return cause == -ETIMEDOUT ? SKUA__RECHECK : cause;
    }
    if (linked < 0) {
        selection->cases[failed].result = linked;
        return (int)failed;
    }
    return find_moment(selection, deadline);
}

static int select_once(struct selection *selection, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    attempt_lockless(selection);
    lock_all(selection);
    int index;
    do {
        index = attempt_all(selection);
        if (index >= 0 || skua__is_now(deadline)) {
            break;
        }
        if (may_wait_all(selection)) {
            return wait_for_any(selection, deadline);
        }
    } while (true);
    unlock_all(selection);
    skua__wake_list_flush(&selection->wakes);
    return index < 0 ? -EAGAIN : index;
}

/* Until one happens, or none will. */
static int select_in(struct selection *selection, skua_time deadline)
{
    int status = prepare_all(selection);
    if (status < 0) {
        return status;
    }
    skua__wake_list_init(&selection->wakes);
    sort_locks(selection);
    do {
        status = select_once(selection, deadline);
    } while (status == SKUA__RECHECK);
    return status;
}

static SKUA_NOINLINE int select_many(struct selection *selection, skua_time deadline)
{
    selection->candidates = skua__alloc(selection->count * sizeof *selection->candidates);
    if (selection->candidates == NULL) {
        return -ENOMEM;
    }
    int status = select_in(selection, deadline);
    skua__free(selection->candidates);
    return status;
}

int skua_select(skua_case cases[], size_t count, int flags, skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (count > SKUA_CASES_MAX || (count > 0 && cases == NULL)) {
        return -EINVAL;
    }
    struct selection selection;
    selection.cases = cases;
    selection.count = (uint32_t)count;
    selection.flags = flags;
    if (count > INLINE_CASES) {
        return select_many(&selection, deadline);
    }
    struct skua__candidate inline_candidates[INLINE_CASES];
    selection.candidates = inline_candidates;
    return select_in(&selection, deadline);
}
