/* skua/gen.h: generators: functions that give one item at a time, and run only while somebody asks.

   A generator is a task of its own that stands still between two items. It may wait for anything:
   sleep, receive, read. Whoever asks waits for the next item with a deadline of his own; being late
   or cancelled ends that wait and not the generator, which goes on towards its item and keeps it
   until it is asked for again. Closing is what ends a generator early: its present call returns
   -ECANCELED, it cleans up and returns, and only then does the close return.

     static int count_down(skua_gen *self, void *from)
     {
         int status = 0;
         for (int i = *(int *)from; i > 0 && status == 0; i--) {
             status = skua_gen_yield(self, &i);
         }
         return status;
     }

   A generator that gives one thing, a resource, is a context manager: what stands before the yield
   sets up, what stands after it takes down, and skua_gen_finish() tells it how the body ended. */
#ifndef SKUA_GEN_H
#define SKUA_GEN_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

typedef struct skua_gen skua_gen;

/* What a generator runs. Returns 0 at the end of its items, or < 0: the failure that those who ask
   from then on are told. */
typedef int (*skua_gen_fn)(skua_gen *self, void *arg);

/* Declare a generator, to be opened, that is closed when the C block is left by return, goto or
   break. Variables end in the reverse order of their declarations, so declare it behind those that
   its function uses. */
#define SKUA_GEN(name) skua_gen *name __attribute__((cleanup(skua_gen_close), unused)) = NULL

/* Make a generator of items of `item_bytes` (0: signals). fn is first called when the first item is
   asked for; `arg` has to outlive it. It runs in the calling task's runtime, which it must not
   outlive, under a root scope of its own, with the task-locals that the caller has now. Its name,
   for people, is the text of `fn`; *out is written only on success. Returns 0, -ENOMEM, -EINVAL (no
   fn, or items over 64 KiB), -EPERM (called from a foreign thread), -ESHUTDOWN (in a forked child).
   A generator that is still open when its runtime ends is named on standard error.
   Call from: a task. Never switches. */
#define skua_gen_open(out, fn, arg, item_bytes)                                                    \
    skua_gen_open_named((out), #fn, (fn), (arg), (item_bytes))
int skua_gen_open_named(skua_gen **out, const char *name, skua_gen_fn fn, void *arg,
                        size_t item_bytes) SKUA_MUST_CHECK;

/* Give *item to whoever asks, and stand still until the next one is asked for. Returns 0; what
   skua_gen_finish() was given; or -ECANCELED: nobody will ask any more (or a scope that the
   generator has opened itself was cancelled or is late; an item that was not taken then never will
   be). Clean up and return. *item is copied from where it stands, straight to where it is asked
   for, and need not outlive the call.
   Call from: the task of the generator; anybody else panics, and so do two of its forked children
   at once. May switch. Cost: no allocation. */
int skua_gen_yield(skua_gen *self, const void *item) SKUA_MUST_CHECK;

/* Ask for an item and wait for it. Returns 1 (*item is it), 0 (there are no more), < 0 (the
   generator has failed with that code), and the same again if asked again. -ETIMEDOUT, -EAGAIN and
   -ECANCELED also say that this wait has ended: the generator goes on, and nothing is lost; ask
   again. With SKUA_NOW it is set going if it stood still, and nobody waits. -EBUSY: another task is
   waiting for an item. -EDEADLK: the generator asks itself. The first call starts its task, and may
   return what skua_spawn() does; the next call then tries again.
   Call from: a task or a foreign thread, one at a time. May switch. Cancel: loses nothing.
   Cost: two switches from stack to stack, no allocation after the first. */
int skua_gen_next(skua_gen *gen, void *item, skua_time deadline) SKUA_MUST_CHECK;

/* End it: cancel the generator, wait until it has returned, also if the caller is cancelled, free
   it, and set *gen to NULL. One that was never asked is freed without having run. *gen may be NULL.
   A failure of its clean-up, which nobody can be told, is reported on standard error.
   Call from: a task or a foreign thread. While somebody waits for an item, or inside the generator,
   it panics. May switch. */
void skua_gen_close(skua_gen **gen);

/* End it without cancelling: the yield that it stands in returns `status`, and every later one
   -ECANCELED. Waits until it has returned, also if the caller is cancelled, frees it, and sets *gen
   to NULL. Returns what the generator returned; `status` if it was never asked, or *gen is NULL.
   This is the end of a context manager: `status` is the body's, and the generator decides what
   becomes of it. Call from: as skua_gen_close(). May switch. */
int skua_gen_finish(skua_gen **gen, int status) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
