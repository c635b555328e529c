/* sched/fork.h: forked children that have not started, and those that somebody took.

   A child is private, public, or taken:

     private   its pointer stands in its worker's private stack. No other thread ever looks there;
               fork and sync are a store and a compare (skua/fork.h).
     public    it stands in a Chase-Lev deque that belongs to the fiber that forked it. Thieves take
               the oldest, the parent takes the newest back.
     taken     a worker runs it on a fiber of its own; the parent's sync waits for its end.

   Who has nothing to do asks: it overwrites the limits of a worker's private stack, so that the
   next fork or sync there goes the slow way, and makes the older half of the private children
   public. A fiber that suspends makes all of its private children public ("promotion"), so that a
   parent or an inline child that waits holds up nobody.

   Workers find public children through the ready queues: a deque has a runnable of its own, which
   stands in a queue while there is something in the deque. Who is dispatched to it takes one child,
   puts the runnable back if there are more, and runs the child. */
#ifndef SKUA_SCHED_FORK_H
#define SKUA_SCHED_FORK_H

#include "base/atomic.h"
#include "mem/slab.h"
#include "sched/deque.h"
#include "sched/runnable.h"

#include <skua/fork.h>
#include <stdbool.h>

struct skua__fiber;
struct skua__scope;
struct skua__worker;

/* Private children of one worker; when there are more, the older become public. Checkers compile
   with less, to reach the edges. */
#ifndef SKUA__FORK_SLOTS
#define SKUA__FORK_SLOTS 1024
#endif

/* One worker's. */
struct skua__fork_stack {
    struct skua__fork_line line;
    _Atomic uint32_t lone_skips; /* so many lone children stay private, whoever asks */
    uint32_t lone_backoff;       /* how many, the next time one was made public for nothing */
    skua_child *slots[SKUA__FORK_SLOTS + 1]; /* slots[0] is what lies below the oldest: NULL */
};

/* A fiber's public children. Type-stable: made when the fiber first needs it, and kept with it. */
struct skua__forks {
    struct skua__runnable runnable;
    _Atomic uint32_t state;
    _Atomic uint32_t worker; /* index of the one that last made children public here */
    _Atomic uint64_t fpenv;  /* of a task that keeps its own: as it was lately */
    struct skua__fiber *fiber;
    struct skua__deque deque;
};

/* The inside of a skua_child. */
struct skua__child {
    skua_fn fn;
    union {
        void *arg;
        int status; /* once `join` says that it has ended */
    };
    /* While private: the slot of the private stack that holds it. Then fork.c's OPEN, LEFT, ENDED,
       or the waiter of the parent. */
    _Atomic(uintptr_t) join;
    union {
        struct skua__scope *scope;  /* the innermost one at the fork; set when it becomes public */
        struct skua__defer *defers; /* of one that was taken, once it has ended: the parent's now */
    };
};

_Static_assert(sizeof(struct skua__child) == sizeof(skua_child), "skua_child has another size");

/* What foreign threads have instead of a worker's. */
extern struct skua__fork_line skua__fork_nobodys_line;

void skua__fork_stack_init(struct skua__fork_stack *stack);

/* A sync whose child lies below `stack_low` does not call it on this stack. Owner only. */
void skua__fork_set_stack_low(struct skua__fork_stack *stack, uintptr_t stack_low);

/* Ask a worker for children. Call from any worker's thread. Costs one load when somebody has asked
   before. */
void skua__fork_ask(struct skua__fork_stack *stack);

/* True if the calling worker holds private children: they are the running fiber's. */
static inline bool skua__fork_has_private(const struct skua__fork_stack *stack)
{
    return stack->line.bottom != (skua_child **)&stack->slots[1];
}

/* True if somebody has asked the calling worker for children since it last answered. On a foreign
   thread nobody has. */
static inline bool skua__fork_is_asked(void)
{
    struct skua__fork_line *line = skua__fork_line_self();
    return skua__load((_Atomic(skua_child **) *)&line->limit, relaxed) == NULL;
}

/* The running fiber is about to give up its worker, or to change its scope: its private children
   become public. */
void skua__fork_promote(struct skua__worker *worker, struct skua__fiber *fiber);

/* Answer, if somebody has asked. For code that runs for long between forks. */
void skua__fork_checkpoint(struct skua__worker *worker, struct skua__fiber *fiber);

/* The running fiber is about to end what it runs: it must have no children that have not begun. */
void skua__fork_check_synced(struct skua__worker *worker, struct skua__fiber *fiber);

/* Give lone children away again. From the monitor: whoever was patient with them long ago may have
   longer ones now. */
void skua__fork_lose_patience(struct skua__fork_stack *stack);

/* A worker has been dispatched to a deque's runnable: take a child for `fiber` to run, whose stack
   is of the runnable's class. False: there is none. */
bool skua__fork_take(struct skua__worker *worker, struct skua__runnable *runnable,
                     struct skua__fiber *fiber);

/* Run the child that was taken to its end, on its fiber. Returns the fiber of its parent, claimed
   and not woken, if it waits already; else NULL. */
struct skua__runnable *skua__fork_run(struct skua__fiber *fiber);

/* The fiber's memory goes away; NULL is allowed. */
void skua__forks_release(struct skua__forks *forks);

/* Free all, at the runtime's end. */
void skua__forks_fini(struct skua__slab *slab);

#endif
