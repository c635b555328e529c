/* Select: wait for the first of several cases, of which exactly one happens.

   All the objects' locks are taken in address order, as in Go. Then, under all of them: a case that
   is ready happens at once; otherwise a waiter for every case is linked, all with the same ticket
   and each with the index of its case as the cause to claim with. Whoever serves one of them claims
   the ticket, once, so the others cannot be served any more. Afterwards all the locks are taken
   again and the rest is unlinked.

     (L1) Between linking and unlinking no waiter's frame goes away.
     (L2) A waiter of ours that a partner finds after the ticket was claimed is dropped by that
          partner (C3).

   A moment among the cases only lowers the deadline of the wait; it is told apart afterwards by the
   clock.

   Rejected: locking one channel at a time with a claim word for each select. Two selects that face
   each other then need both words at once; it is faster only when many selects share one channel.
   */
#include "base/mem.h"
#include "base/panic.h"
#include "base/random.h"
#include "chan/chan.h"
#include "sched/service.h"
#include "sched/task.h"

#include <skua/select.h>
#include <stdlib.h>
#include <string.h>

enum { INLINE_CASES = 16 };

/* What a select needs for each case. */
struct entry {
    struct skua__waiter waiter;
    uint32_t order; /* entries[i].order: the case whose lock is i-th in address order */
    uint32_t turn;  /* entries[i].turn: the case that is tried as the i-th */
};

struct selection {
    skua_case *cases;
    struct entry *entries;
    uint32_t count;
    int flags;
    struct skua__wake_list wakes;
};

/* --- the objects ------------------------------------------------------------------------------ */

static bool is_channel_case(const skua_case *entry)
{
    return (entry->kind == SKUA_CASE_RECV || entry->kind == SKUA_CASE_SEND) &&
           entry->object != NULL;
}

static bool is_task_case(const skua_case *entry)
{
    return entry->kind == SKUA_CASE_TASK && entry->object != NULL;
}

/* The lock that guards the case, or NULL. */
static struct skua__lock *lock_of(const skua_case *entry)
{
    return is_channel_case(entry) ? &((skua_chan *)entry->object)->lock : NULL;
}

static struct skua__list *queue_of(const skua_case *entry)
{
    skua_chan *chan = entry->object;
    return entry->kind == SKUA_CASE_SEND ? &chan->waiting_senders : &chan->waiting_receivers;
}

static int check_cases(const skua_case cases[], size_t count)
{
    if (count > SKUA_CASES_MAX || (count > 0 && cases == NULL)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)cases[i].kind > SKUA_CASE_TIME) {
            return -EINVAL;
        }
        if (is_task_case(&cases[i]) && cases[i].object == skua_self()) {
            return -EDEADLK;
        }
        if (is_channel_case(&cases[i])) {
            skua__chan_check_size(cases[i].object, cases[i].item_bytes);
        }
    }
    return 0;
}

/* --- locking in address order ----------------------------------------------------------------- */

/* Sorts by insertion: selects are short, and mostly in the same order from call to call. */
static void sort_locks(struct selection *selection)
{
    for (uint32_t i = 0; i < selection->count; i++) {
        uintptr_t address = (uintptr_t)lock_of(&selection->cases[i]);
        uint32_t at = i;
        while (at > 0) {
            uint32_t before = selection->entries[at - 1].order;
            if ((uintptr_t)lock_of(&selection->cases[before]) <= address) {
                break;
            }
            selection->entries[at].order = before;
            at--;
        }
        selection->entries[at].order = i;
    }
}

/* The i-th different lock in order, or NULL (no lock, or the same as before). */
static struct skua__lock *lock_in_order(const struct selection *selection, uint32_t i)
{
    struct skua__lock *lock = lock_of(&selection->cases[selection->entries[i].order]);
    if (i > 0 && lock == lock_of(&selection->cases[selection->entries[i - 1].order])) {
        return NULL;
    }
    return lock;
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

/* Lets the case happen if it can, under its lock. */
static bool attempt(struct selection *selection, skua_case *entry)
{
    struct skua__parker *wake = NULL;
    int result = SKUA__CHAN_WOULD_WAIT;
    if (is_channel_case(entry)) {
        result = entry->kind == SKUA_CASE_SEND
                     ? skua__chan_try_send(entry->object, entry->item, &wake)
                     : skua__chan_try_recv(entry->object, entry->item, &wake);
    } else if (is_task_case(entry)) {
        result = skua__task_is_done(entry->object) ? 0 : SKUA__CHAN_WOULD_WAIT;
    } else if (entry->kind == SKUA_CASE_TIME && entry->at.ns != 0) {
        result =
            skua__is_now(entry->at) || skua__clock_ns() >= entry->at.ns ? 0 : SKUA__CHAN_WOULD_WAIT;
    }
    if (result == SKUA__CHAN_WOULD_WAIT) {
        return false;
    }
    entry->result = result;
    if (wake != NULL) {
        skua__wake_list_add(&selection->wakes, wake);
    }
    return true;
}

/* A seed for fair choices; it need not be unpredictable, only different from call to call. */
static uint64_t choice_seed(const struct selection *selection)
{
    static _Atomic uint64_t turn;
    uint64_t seed = skua__load(&turn, relaxed) + (uintptr_t)selection;
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
    struct entry *entries = selection->entries;
    for (uint32_t i = 0; i < selection->count; i++) {
        entries[i].turn = i;
    }
    for (uint32_t i = 0; i < selection->count; i++) {
        uint32_t at = i + (is_random ? skua__random_below(&seed, selection->count - i) : 0);
        uint32_t index = entries[at].turn;
        entries[at].turn = entries[i].turn;
        if (attempt(selection, &selection->cases[index])) {
            return (int)index;
        }
    }
    return -1;
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Links a waiter for each case, the channels' under their locks. False: a task ended meanwhile. */
static bool link_all(struct selection *selection, const struct skua__wait *wait)
{
    bool all_linked = true;
    for (uint32_t i = 0; i < selection->count; i++) {
        skua_case *entry = &selection->cases[i];
        struct skua__waiter *waiter = &selection->entries[i].waiter;
        skua__waiter_init(waiter, wait, i, entry->item);
        if (is_channel_case(entry)) {
            skua__list_push_back(queue_of(entry), &waiter->link);
        } else if (is_task_case(entry)) {
            all_linked = skua__task_link_joiner(entry->object, waiter) && all_linked;
        }
    }
    return all_linked;
}

static void unlink_all(struct selection *selection)
{
    lock_all(selection);
    for (uint32_t i = 0; i < selection->count; i++) {
        skua_case *entry = &selection->cases[i];
        struct skua__waiter *waiter = &selection->entries[i].waiter;
        if (is_task_case(entry)) {
            skua__task_unlink_joiner(entry->object, waiter);
        } else if (is_channel_case(entry) && skua__link_is_linked(&waiter->link)) {
            skua__list_remove(&waiter->link);
        }
    }
    unlock_all(selection);
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
        if (is_channel_case(entry) &&
            !(entry->kind == SKUA_CASE_SEND ? skua__chan_may_wait_to_send(entry->object)
                                            : skua__chan_may_wait_to_recv(entry->object))) {
            return false;
        }
    }
    return true;
}

/* Entered with all locks held; gives them back. */
static int wait_for_any(struct selection *selection, skua_time deadline)
{
    struct skua__wait wait;
    skua__wait_begin_for(&wait, SKUA__SOFT, "a select");
    bool all_linked = link_all(selection, &wait);
    unlock_all(selection);
    /* If a task has ended while we linked, the wait is parked all the same but must end at once:
       claimed by ourselves unless somebody was faster. */
    int cause = skua__wait_park(&wait, all_linked ? earliest_deadline(selection, deadline) : 1);
    unlink_all(selection);
    if (cause >= 0) {
        selection->cases[cause].result = selection->entries[cause].waiter.result;
        return cause;
    }
    if (cause == -ETIMEDOUT) {
        return all_linked ? find_moment(selection, deadline) : SKUA__RECHECK;
    }
    return cause;
}

static int select_once(struct selection *selection, skua_time deadline)
{
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
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

int skua_select(skua_case cases[], size_t count, int flags, skua_time deadline)
{
    int status = skua__forked() ? -ESHUTDOWN : check_cases(cases, count);
    if (status < 0) {
        return status;
    }
    struct entry inline_entries[INLINE_CASES];
    struct entry *entries = inline_entries;
    if (count > INLINE_CASES) {
        entries = skua__alloc(count * sizeof *entries);
        if (entries == NULL) {
            return -ENOMEM;
        }
    }
    struct selection selection;
    selection.cases = cases;
    selection.entries = entries;
    selection.count = (uint32_t)count;
    selection.flags = flags;
    skua__wake_list_init(&selection.wakes);
    sort_locks(&selection);
    do {
        status = select_once(&selection, deadline);
    } while (status == SKUA__RECHECK);
    if (entries != inline_entries) {
        skua__free(entries);
    }
    return status;
}
