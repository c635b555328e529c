/* sched/waiter.h: the one way in which anything in Skua waits.

   A *parker* is whoever can wait: a fiber, or a foreign thread inside one call. Its word holds a
   sequence number and a state:

       63                16 15         4 3     0
       +-------------------+------------+-------+
       |     sequence      |   cause    | state |
       +-------------------+------------+-------+

       RUNNING   not waiting
       WAITING   waiting; may be claimed by anybody who knows the sequence
       HARD      waiting; a cancel or a scope's deadline must not claim it
       CLAIMED   somebody has ended the wait and says why in `cause`
       NOTICE    in tickets only, never in a word: no wait, but a notice (sched/watch.h)

       wait_begin   RUNNING/CLAIMED -> WAITING or HARD, with the next sequence    (the parker
       itself) claim        WAITING or HARD -> CLAIMED                                    (anybody,
       once) wake         puts the claimed parker back to work                          (who has
       claimed)

   Once begun, a wait is parked or abandoned, never forgotten: a canceller may claim it at any
   moment. A wait ends by exactly one successful claim: a sender, a closer, a timer, a canceller all
   race by one compare-and-swap, and whoever wins wakes. The word is type-stable (it belongs to the
   fiber, whose memory stays until the runtime ends) and the sequence never repeats, so that a late
   claimer can neither touch a dead frame nor end the next wait.

   How a primitive waits:

       for (;;) {
           int cancelled = skua__cancel_point();            -- before trying
           lock; try; if it worked: unlock and return
           if (skua__is_now(deadline)) { unlock; return -EAGAIN; }
           skua__wait_begin(&wait, SKUA__SOFT);
           fill a skua__waiter from `wait` and link it; unlock
           int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
           if (cause >= 0) { return what the waker left in the waiter; }
           lock; unlink the waiter if it is still linked; unlock
           if (cause != SKUA__RECHECK) { return cause; }     -- -ETIMEDOUT or -ECANCELED
       }

   How a primitive wakes: under its lock take the waiter out of the list, claim, and if that worked
   write the result into the waiter; unlock; then wake. A waiter whose claim fails is skipped: it is
   on its way out. After the wake the waiter is gone. */
#ifndef SKUA_SCHED_WAITER_H
#define SKUA_SCHED_WAITER_H

#include "base/atomic.h"
#include "base/clock.h"
#include "base/list.h"

#include <skua/base.h>

struct skua__fiber;

enum {
    SKUA__STATE_RUNNING = 0,
    SKUA__STATE_WAITING = 1,
    SKUA__STATE_HARD = 2,
    SKUA__STATE_CLAIMED = 3,
    SKUA__STATE_NOTICE = 4,
    SKUA__STATE_MASK = 0xf,
    SKUA__CAUSE_SHIFT = 4,
    SKUA__CAUSE_MASK = 0xfff,
    SKUA__SEQUENCE_SHIFT = 16,
};

/* Causes: 0 .. SKUA_CASES_MAX - 1 are the waker's (the index of a select's case, else 0). */
enum {
    SKUA__CAUSE_DEADLINE = 0xffd,
    SKUA__CAUSE_CANCEL = 0xffe,
    SKUA__CAUSE_RECHECK = 0xfff,
};

/* What skua__wait_park() says when the wait has to be begun again: the scopes' deadlines have
   changed. */
enum { SKUA__RECHECK = -1000000 };

struct skua_task;

struct skua__parker {
    _Atomic uint64_t word;
    bool is_thread; /* constant; else it is inside a skua__fiber */
};

/* A foreign thread's parker, in the frame of its wait. */
struct skua__thread_parker {
    struct skua__parker parker;
    _Atomic uint32_t bell;
};

/* One wait of the calling fiber or thread, in its frame. */
struct skua__wait {
    struct skua__parker *parker;
    uint64_t ticket; /* the word while this wait lasts */
    struct skua__thread_parker thread;
};

enum skua__wait_kind {
    SKUA__SOFT, /* cancels and the deadlines of scopes end it */
    SKUA__HARD, /* only its waker and its own deadline do */
};

/* An entry in the list of waiters of some object, in the frame of the wait. Guarded by that
   object's lock; after a successful claim it belongs to the claimer until the wake. */
struct skua__waiter {
    struct skua__link link;
    struct skua__parker *parker;
    uint64_t ticket;
    uint32_t cause; /* what to claim with: 0, or the index of a select's case */
    int result;     /* written by the claimer */
    void *item;     /* channels: where the item goes or comes from */
};

/* Begin a wait. `what` is what a list of all tasks says that it is for: a text that stays. */
void skua__wait_begin_for(struct skua__wait *wait, enum skua__wait_kind kind, const char *what);

/* The texts that are known to who looks. */
extern const char skua__wait_join[], skua__wait_sleep[];

/* The same where the name of the function that waits says it. */
#define skua__wait_begin(wait, kind) skua__wait_begin_for((wait), (kind), __func__)

/* The calling fiber, which has begun a wait, waits for the end of the task: for the same list. */
void skua__wait_is_for_task(struct skua__wait *wait, struct skua_task *task);

static inline void skua__waiter_init(struct skua__waiter *waiter, const struct skua__wait *wait,
                                     uint32_t cause, void *item)
{
    *waiter = (struct skua__waiter){
        .parker = wait->parker, .ticket = wait->ticket, .cause = cause, .item = item};
}

/* Give up the processor until claimed. Returns the waker's cause (>= 0), -ETIMEDOUT when
   `deadline_ns` has come, -ECANCELED when the current scope is cancelled, or SKUA__RECHECK. May
   switch. */
int skua__wait_park(struct skua__wait *wait, int64_t deadline_ns);

/* The same for what the world outside ends: a real fd, a thread that makes a blocking call. A
   virtual clock does not jump meanwhile. */
int skua__wait_park_real(struct skua__wait *wait, int64_t deadline_ns);

/* What skua__wait_park() returns, once a fiber has been claimed and goes on. */
int skua__wait_judge(struct skua__wait *wait, int64_t deadline_ns);

static inline int skua__wait_outcome(struct skua__wait *wait, int64_t deadline_ns)
{
    uint64_t word = skua__load(&wait->parker->word, relaxed);
    uint32_t cause = (uint32_t)(word >> SKUA__CAUSE_SHIFT) & SKUA__CAUSE_MASK;
    return cause < SKUA__CAUSE_DEADLINE ? (int)cause : skua__wait_judge(wait, deadline_ns);
}

/* Leave a wait that was begun, whose waiter stands in no list, without parking. It may have been
   claimed by a canceller already, whose wake is then consumed: may switch. */
void skua__wait_abandon(struct skua__wait *wait);

/* End the wait, once. True: the caller must call skua__wake() on the parker. Lock-free. */
static inline bool skua__claim(struct skua__parker *parker, uint64_t ticket, uint32_t cause)
{
    uint64_t claimed = (ticket & ~(uint64_t)SKUA__STATE_MASK) | SKUA__STATE_CLAIMED |
                       (uint64_t)cause << SKUA__CAUSE_SHIFT;
    /* acq_rel: orders what the waiter wrote before the wait against what the claimer does to it,
       and that against the waiter's going on; pairs with itself on the losing side, and with the
       wake. */
    return skua__cas(&parker->word, &ticket, claimed, acq_rel, relaxed);
}

static inline bool skua__waiter_claim(struct skua__waiter *waiter)
{
    return skua__claim(waiter->parker, waiter->ticket, waiter->cause);
}

/* Make a claimed parker go on. Takes no lock above SKUA__RANK_WHEEL, so it may be called under
   those of channels, though calling it after the unlock is better. */
void skua__wake(struct skua__parker *parker);

/* Several parkers that were claimed under a lock and are woken after it. */
enum { SKUA__WAKE_CHUNK = 32 };
struct skua__wake_list {
    size_t count;
    struct skua__parker *parkers[SKUA__WAKE_CHUNK];
};

/* The array is left as it is: zeroing it would cost more than what the list is for. */
static inline void skua__wake_list_init(struct skua__wake_list *list)
{
    list->count = 0;
}

/* True when the list is full: unlock, flush, lock again. */
static inline bool skua__wake_list_add(struct skua__wake_list *list, struct skua__parker *parker)
{
    list->parkers[list->count++] = parker;
    return list->count == SKUA__WAKE_CHUNK;
}

/* The first one is woken last: a worker runs first what was woken last, and then the others in
   their order. So they go on as they stand here. */
static inline void skua__wake_list_flush(struct skua__wake_list *list)
{
    for (size_t i = 1; i < list->count; i++) {
        skua__wake(list->parkers[i]);
    }
    if (list->count > 0) {
        skua__wake(list->parkers[0]);
    }
    list->count = 0;
}

/* The same from the root context of a worker, for fibers who do not wait for each other: they queue
   up behind what is ready, and the processor is told to fetch what they need to go on. */
void skua__wake_list_flush_later(struct skua__wake_list *list);

/* The check before every blocking call: 0, or -ECANCELED if the current scope is cancelled (after
   letting others run, so that a loop that ignores it cannot keep a core). Counts one operation
   against the task's budget and yields when that is used up. On a foreign thread 0; in a forked
   child -ESHUTDOWN. */
int skua__cancel_point(void);

/* -ECANCELED, for the running task: noted if the cancel is the task's own, so that it can be told
   whether the task made nothing of it. */
int skua__refused(struct skua__fiber *fiber);

/* Deadlines as the library keeps them: nanoseconds, SKUA__NEVER for none. */
static inline bool skua__is_now(skua_time deadline)
{
    return deadline.ns < 0;
}

static inline int64_t skua__deadline_ns(skua_time deadline)
{
    return deadline.ns == 0 ? SKUA__NEVER : deadline.ns;
}

#endif
