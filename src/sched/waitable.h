/* sched/waitable.h: what a select needs of the things that it waits for, so that it knows none of
   their rooms.

   A room that has something to wait for defines a constant `struct skua__waitable skua_NOUN` with
   the operations below, declares it in its public header, and offers an initialiser there:

       extern const struct skua__waitable skua_event_sets;
       #define SKUA_ISSET(event_)                                                          \
           {                                                                               \
               .kind = SKUA_CASE_WAITABLE, .waitable = &skua_event_sets, .object = (event_) \
           }

   Since the case names the constant, the room's file is linked exactly where it is used. A case
   whose object is NULL never reaches an operation.

   What a select does with its cases:

       check       each                                           -- no locks
       attempt     each without a lock                            -- no locks
       lock all    in address order
       attempt     each with a lock; the first that happens ends it
       may_wait    each with a lock; one that may not: attempt all again
       link        each with a lock
       unlock all
       link        each without a lock; one that says 0: all over again, at once
       park
       lock all, unlink each with a lock, unlock all; unlink each without a lock
       finish      the one that was claimed                       -- no locks

   There are two sorts of waitables:

     with a lock       `lock` gives one of rank SKUA__RANK_CHAN; all operations between "lock all"
                       and "unlock all" are called while it is held, with those of the other cases,
                       and so take only locks of a higher rank. Several cases may have the same one.
     without (NULL)    `attempt`, `link` and `unlink` see to themselves. `attempt` consumes nothing:
                       it says whether the case could happen (an ended task, a readable fd), and
                       another case may happen instead.

   Whoever serves a waiter of a select treats it like any other: it takes it out of its list,
   claims, writes the result (and through `waiter->item`, which is the case's), and wakes after its
   unlock. The claim carries the index of the case by itself. A select may have several waiters in
   one list: at most one of them can be claimed. */
#ifndef SKUA_SCHED_WAITABLE_H
#define SKUA_SCHED_WAITABLE_H

#include "base/lock.h"
#include "sched/waiter.h"

struct skua_case; /* skua/select.h */
struct skua__waitable;

/* What an attempt gives when the case cannot happen now. */
enum { SKUA__WOULD_WAIT = -2000000 };

/* How many wakes one operation may add to a list. */
enum { SKUA__WAITABLE_WAKES_MAX = 4 };

/* One case during one select, in its frame. */
struct skua__candidate {
    struct skua__waiter waiter;
    uint64_t notes[3]; /* the waitable's own, from attempt to finish; unset before the first one */
    /* Select's own. */
    const struct skua__waitable *waitable; /* NULL: a channel, a moment, or nothing */
    struct skua__lock *lock;               /* NULL: it has none */
    uint32_t order; /* candidates[i].order: the case whose lock is i-th in address order */
    uint32_t turn;  /* candidates[i].turn: the case that is tried as the i-th */
    int early;      /* without a lock: what the attempt gave */
};

struct skua__waitable {
    /* Before anything else. 0, or what the select then returns (< 0); panics at misuse, such as a
       wrong size. NULL: nothing to check. */
    int (*check)(const struct skua_case *entry);

    /* The lock that guards the case; the same at every call. NULL: it has none. */
    struct skua__lock *(*lock)(const struct skua_case *entry);

    /* Let the case happen if it can. Returns what the plain call would have returned, an error
       too, or SKUA__WOULD_WAIT. Whom that wakes goes, claimed, into `wakes`. */
    int (*attempt)(const struct skua_case *entry, struct skua__candidate *candidate,
                   struct skua__wake_list *wakes);

    /* After attempts that would all have to wait: false if things may have changed, so that all are
       tried again. Only for objects that others use past the lock; NULL: true. */
    bool (*may_wait)(const struct skua_case *entry);

    /* Put candidate->waiter, which is filled in, into the list of who waits. Returns 1; without a
       lock also 0 (it can happen now, or may: try again), or an error, which is then the result of
       this case. With a lock it cannot fail. */
    int (*link)(const struct skua_case *entry, struct skua__candidate *candidate);

    /* Take it out, if it is still there. Called once for each link, also for one that has failed.
       Where another's wait may thereby become possible, `wakes` is for that. */
    void (*unlink)(const struct skua_case *entry, struct skua__candidate *candidate,
                   struct skua__wake_list *wakes);

    /* This case's waiter was claimed and has been unlinked. Returns the case's result, or
       SKUA__WOULD_WAIT: there was nothing in it, begin again. NULL: the result is what the claimer
       has left in the waiter. */
    int (*finish)(const struct skua_case *entry, struct skua__candidate *candidate);

    /* The world outside lets the case happen: a virtual clock does not jump while a select waits
       for it. */
    bool is_real;
};

#endif
