/* sync/gate.h: what opens by the clock: the first in line waits for its moment, the others for
   their turn to be first. Rates and tickers are gates. */
#ifndef SKUA_SYNC_GATE_H
#define SKUA_SYNC_GATE_H

#include "sync/queue.h"

struct skua__gate {
    struct skua__queue queue;
    bool is_busy; /* somebody stands at the gate, who is not in the line any more */
};

/* What may be had at the moment `now_ns`: 0, and it is taken, or the moment (> now_ns) from which
   on it can be had if nobody else takes something. Under the lock of the line. */
typedef int64_t skua__gate_fn(struct skua__gate *gate, void *wish, int64_t now_ns);

/* Take the wish as soon as it is one's turn and the moment has come. Returns 0 or a common result.
   */
int skua__gate_pass(struct skua__gate *gate, skua__gate_fn *try_once, void *wish,
                    skua_time deadline);

#endif
