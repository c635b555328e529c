/* process/signal.h: the inside of a listener, for select. */
#ifndef SKUA_PROCESS_SIGNAL_H
#define SKUA_PROCESS_SIGNAL_H

#include "base/atomic.h"

#include <skua/signal.h>

enum { SKUA__SIGNALS = 65 }; /* numbers from 1 on */

struct skua_signal {
    uint64_t set; /* bit n - 1: signal n */
    int bell;     /* adopted; rung by the handler */
    int ear;      /* which is ours */
    _Atomic uint32_t waits;
    _Atomic uint32_t turn;                /* the number that is looked at first */
    _Atomic uint32_t seen[SKUA__SIGNALS]; /* how many of each were told */
};

/* Is there something to tell? */
bool skua__signal_is_pending(skua_signal *listener);

#endif
