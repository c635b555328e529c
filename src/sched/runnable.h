/* sched/runnable.h: what stands in ready queues. */
#ifndef SKUA_SCHED_RUNNABLE_H
#define SKUA_SCHED_RUNNABLE_H

#include <skua/runtime.h>
#include <stdint.h>

enum skua__runnable_kind {
    SKUA__RUNNABLE_FIBER, /* suspended, has a stack: switch to it */
    SKUA__RUNNABLE_TASK,  /* not started: give it a fiber */
    SKUA__RUNNABLE_FORKS, /* a fiber's public children: take one and give it a fiber */
};

/* The head of a fiber and of a task. At any moment it is in one queue at most; `next` belongs to
   whoever owns that queue's lock, or else to whoever holds the runnable. */
struct skua__runnable {
    struct skua__runnable *next;
    skua_runtime *runtime;
    uint32_t pin;         /* 0, or 1 + the index of the only worker that may run it */
    uint16_t kind;        /* constant */
    uint16_t stack_class; /* the stack that a task needs, or that a fiber has */
};

#endif
