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

/* --- classes ---------------------------------------------------------------------------------- */

/* A class of blocking calls: never more than so many of them run at once, and they get these
   threads however many calls of other classes are stuck, as those get theirs. So a slow disk, or a
   server that does not answer, stops only its own kind. Threads are shared: one that is through
   with a call of one class may go on with another. skua_blocking()'s own class has the runtime's
   blocking_threads_max. */
typedef struct skua_blocking_class skua_blocking_class;

/* Make a class of the calling task's runtime. `name` is for those who look; it is copied.
   Returns 0, -EINVAL (threads_max 0), -ENOMEM, -EPERM (foreign thread), -ESHUTDOWN. *out is written
   only on success.
   Call from: a task. Never switches. */
int skua_blocking_class_create(skua_blocking_class **out, const char *name, uint32_t threads_max)
    SKUA_MUST_CHECK;

/* Give it back; NULL is allowed. Panics if a call of it runs or waits.
   Call from: a task of its runtime. Never switches. */
void skua_blocking_class_destroy(skua_blocking_class *blocking_class);

/* skua_blocking() in a class; NULL: in that function's own. Also -EINVAL: the class of another
   runtime. */
int skua_blocking_in(skua_blocking_class *blocking_class, skua_fn fn, void *arg, skua_time start_by)
    SKUA_MUST_CHECK;

/* For calls that may be abandoned: fn gets a copy of the `arg_bytes` bytes at `arg`, and who is
   cancelled or late leaves at once, while fn runs to its end. If fn has returned in time, the copy,
   as fn has left it, is written back to *arg and is the caller's. With -ETIMEDOUT and -ECANCELED of
   this call nobody wants it any more: `drop` (may be NULL) is called on it once, to give up what
   the caller or fn has put there: on the thread when fn has returned, or in the caller if fn is
   never called. fn and drop cannot see task-locals. The end of the runtime awaits calls that run.
   `blocking_class` may be NULL. Returns what fn returned; -ETIMEDOUT, -ECANCELED; and, for calls
   that never are and whose *arg stays the caller's, -EAGAIN (SKUA_NOW, or no thread), -ENOMEM,
   -EINVAL, -ESHUTDOWN.
   Call from: a task; on a foreign thread fn(arg) is simply called. May switch. Cost: an allocation
   more than skua_blocking(). */
int skua_blocking_abandonable(skua_blocking_class *blocking_class, skua_fn fn, void *arg,
                              size_t arg_bytes, void (*drop)(void *arg), skua_time deadline)
    SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
