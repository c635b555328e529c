/* sched/service.h: what the rooms above hang on a runtime.

   A service (blocking pool, I/O) is made when it is first used and ended with the runtime, after
   the last task has ended and the workers have been joined. The scheduler knows nothing of them but
   this interface, so that includes go downward only. */
#ifndef SKUA_SCHED_SERVICE_H
#define SKUA_SCHED_SERVICE_H

#include "mem/forked.h"

#include <skua/runtime.h>
#include <stdint.h>

/* In the order in which they end: what wakes tasks before what is interrupted for it. */
enum skua__service_slot {
    SKUA__SERVICE_PROCESS,
    SKUA__SERVICE_BLOCKING,
    SKUA__SERVICE_RESOLVER,
    SKUA__SERVICE_IO,
    SKUA__SERVICE_GEN,
    SKUA__SERVICE_COUNT,
};

/* The start of every service's struct. */
struct skua__service {
    skua_runtime *runtime; /* set by who has asked for the service */
    /* Ends and frees the service. Called once, from a foreign thread, when no task is left. */
    void (*destroy)(struct skua__service *service);
    /* The runtime drains from now on: let those go on who wait for work from outside, so that they
       ask skua__runtime_is_draining(). May be NULL. Called by any thread, more than once. */
    void (*drain)(struct skua__service *service);
};

/* The calling runtime's service in `slot`, made by `create` (0 or a negative errno) if it is not
   there yet. Call from: a task. The fast path is one load. */
int skua__service_get(enum skua__service_slot slot, struct skua__service **out,
                      int (*create)(skua_runtime *runtime, struct skua__service **out));

/* The part of a poller that the scheduler uses. At most one thread at a time polls: the holder of
   the poll token. Set once per runtime, by the I/O service. */
struct skua__poller {
    /* Wait for events until `deadline_ns` (0: look only; SKUA__NEVER) and wake, by skua__wake(),
       the fibers that they concern. Returns when it has woken somebody, at the deadline, after
       interrupt(), or spuriously. Called by the token's holder only, never inside a fiber. */
    void (*poll)(struct skua__poller *poller, int64_t deadline_ns);
    /* Make the present or the next poll() return at once. Call from anywhere. */
    void (*interrupt)(struct skua__poller *poller);
    /* What it is, for the head of a dump: a constant text, ", epoll" say. Call from anywhere. */
    const char *(*describe)(struct skua__poller *poller);
};

void skua__runtime_set_poller(skua_runtime *runtime, struct skua__poller *poller);

/* Run `hook` at the start of every runtime, before it has made a thread. Hooks are registered
   before main (constructors) and stay. The hook's storage is the caller's. */
struct skua__start_hook {
    struct skua__start_hook *next;
    void (*run)(void);
};
void skua__runtime_on_start(struct skua__start_hook *hook);

/* Limits from the configuration that services ask for. */
uint32_t skua__runtime_blocking_threads_max(const skua_runtime *runtime);
const char *skua__runtime_name(const skua_runtime *runtime);

/* True in a child that the user forked: nothing may be locked, nothing will ever answer. */
static inline bool skua__forked(void)
{
    return __builtin_expect(skua__process_is_forked(), 0);
}

#endif
