/* base/futex.h: sleeping on a word. The only door to the futex system call.

   Every wait may end spuriously: callers loop on their own condition. */
#ifndef SKUA_BASE_FUTEX_H
#define SKUA_BASE_FUTEX_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stdint.h>

/* Sleep while *word == expected, until the moment `deadline_ns` (SKUA__NEVER: no limit). `shared`:
   the word is in memory shared with another process. */
void skua__futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns, bool shared);

/* Wake up to `count` sleepers. Touches only the address, not the word: it may be gone already. */
void skua__futex_wake(_Atomic uint32_t *word, int count, bool shared);

/* Make every running thread of this process execute a full fence (membarrier). Returns false where
   the kernel will not do that; `skua__fence_everywhere_prepare` tells beforehand, and must come
   first. */
bool skua__fence_everywhere_prepare(void);
void skua__fence_everywhere(void);

/* From now on the calling thread's timed waits end when they should, and not up to 50 us later, as
   the kernel likes to bundle them. */
void skua__thread_wait_exactly(void);

/* Give the processor away. */
void skua__thread_yield(void);

#endif
