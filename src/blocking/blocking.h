/* blocking/blocking.h: what tests may turn. */
#ifndef SKUA_BLOCKING_BLOCKING_H
#define SKUA_BLOCKING_BLOCKING_H

#include "base/atomic.h"

#include <stdint.h>

/* How long a thread of the pool stays without work. */
extern _Atomic int64_t skua__blocking_idle_ns;

#endif
