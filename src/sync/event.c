/* The event: a flag, and a line of those who wait for it (queue.h).

     (V1) Nobody is in the line while the flag is set.

   Even one who finds the flag set takes the lock: who was let through may free the event, so who
   sets it must be through with it by then. */
#include "sync/event.h"
#include "mem/forked.h"

#include <skua/sync.h>

_Static_assert(sizeof(struct skua__event) <= sizeof(skua_event), "skua_event is too small");
_Static_assert(_Alignof(struct skua__event) <= _Alignof(skua_event), "skua_event is misaligned");

static struct skua__event *inside(skua_event *event)
{
    return (struct skua__event *)(void *)event;
}

static bool may_go_on(const struct skua__queue *queue, const void *wish)
{
    (void)wish;
    return ((const struct skua__event *)(const void *)queue)->is_set;
}

static const struct skua__queue_rules rules = {may_go_on, skua__queue_give_nothing,
                                               skua__queue_take_nothing_back};

void skua_event_set(skua_event *event)
{
    struct skua__event *self = inside(event);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    self->is_set = true;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

void skua_event_clear(skua_event *event)
{
    struct skua__event *self = inside(event);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    self->is_set = false;
    skua__queue_unlock(&self->queue);
}

bool skua_event_is_set(skua_event *event)
{
    struct skua__event *self = inside(event);
    if (skua__process_is_forked()) {
        return false;
    }
    skua__queue_lock(&self->queue);
    bool is_set = self->is_set;
    skua__queue_unlock(&self->queue);
    return is_set;
}

int skua_event_wait(skua_event *event, skua_time deadline)
{
    return skua__queue_take(&inside(event)->queue, &rules, NULL, deadline);
}
