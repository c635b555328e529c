/* sched/deque.h: the Chase-Lev work-stealing deque: the owner pushes and pops at the bottom,
   thieves take from the top.

   After Le, Pop, Cohen, Zappa Nardelli, "Correct and Efficient Work-Stealing for Weak Memory
   Models" (PPoPP 2013), with the missing reload of the array after growing, and with signed
   positions. */
#ifndef SKUA_SCHED_DEQUE_H
#define SKUA_SCHED_DEQUE_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <stdint.h>

struct skua__deque_array;

struct skua__deque {
    _Atomic int64_t top
        SKUA_CACHE_ALIGNED; /* moved by thieves, and by the owner for the last item */
    _Atomic int64_t bottom SKUA_CACHE_ALIGNED; /* moved by the owner */
    _Atomic(struct skua__deque_array *) array; /* replaced by the owner */
};

/* `capacity` is a power of two. 0 or -ENOMEM. */
int skua__deque_init(struct skua__deque *deque, int64_t capacity);
void skua__deque_fini(struct skua__deque *deque);

/* Owner only; in parallel with steal(). 0 or -ENOMEM (it had to grow; nothing was pushed). */
int skua__deque_push(struct skua__deque *deque, void *item);

/* Owner only; in parallel with steal(): the newest item, or NULL. */
void *skua__deque_pop(struct skua__deque *deque);

/* Anybody: the oldest item, or NULL when it is empty or another thief was faster. Lock-free. */
void *skua__deque_steal(struct skua__deque *deque);

/* Anybody, a hint. */
int64_t skua__deque_count(const struct skua__deque *deque);

#endif
