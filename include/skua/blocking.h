/* skua/blocking.h: a pool of threads for calls that block the thread they run on: getaddrinfo,
   file systems, libraries that know nothing of Skua. Workers are never blocked by them. */
#ifndef SKUA_BLOCKING_H
#define SKUA_BLOCKING_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* Run fn(arg) on a thread of the pool and wait until it has returned, since it uses `arg`, which
   may be on your stack. `start_by` bounds only the wait for a free thread. Threads are started when
   all are busy, up to the runtime's blocking_threads_max, and end after some seconds without work.
   Returns what fn returned. If fn was not called: -ETIMEDOUT, -ECANCELED, -EAGAIN (SKUA_NOW and no
   thread is free, or no thread can be started), -ENOMEM, -ESHUTDOWN. fn must not use calls that
   need a task; it may use those that foreign threads may use.
   Call from: a task; on a foreign thread fn is simply called. May switch. Cancel: once fn has
   started its end is awaited. Cost: a hand-over to another thread and back, about 10 to 60 us. */
int skua_blocking(skua_fn fn, void *arg, skua_time start_by) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
