/* sync/event.h: the inside of skua_event, for select. */
#ifndef SKUA_SYNC_EVENT_H
#define SKUA_SYNC_EVENT_H

#include "sync/queue.h"

struct skua__event {
    struct skua__queue queue;
    bool is_set; /* under the lock of the line */
};

#endif
