/* blocking/blocking.h: what rooms above may start, and what tests may turn. */
#ifndef SKUA_BLOCKING_BLOCKING_H
#define SKUA_BLOCKING_BLOCKING_H

#include "base/atomic.h"

#include <skua/blocking.h>
#include <stdint.h>

/* How long a thread of the pool stays without work. */
extern _Atomic int64_t skua__blocking_idle_ns;

/* A class of the library's own, which has no name and goes with the pool if it is not given back.
   */
int skua__blocking_class_create(skua_blocking_class **out, uint32_t threads_max) SKUA_MUST_CHECK;

/* Begin a call that nobody waits for: fn(arg), then drop(arg), on a thread of the class, as soon as
   the class has room. If the runtime ends before that, or there is no thread to be had, drop(arg)
   comes without fn, in the latter case before this returns. When it fails (-ENOMEM) neither is
   called. Call from: a task. Never switches. */
int skua__blocking_begin(skua_blocking_class *blocking_class, skua_fn fn, void *arg,
                         void (*drop)(void *arg)) SKUA_MUST_CHECK;

#endif
