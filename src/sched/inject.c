/* The inject queue. A lock is enough: it is off the path of every task that stays among the
   workers. */
#include "sched/inject.h"

void skua__inject_push(struct skua__inject *inject, struct skua__runnable *first,
                       struct skua__runnable *last, uint32_t count)
{
    last->next = NULL;
    skua__lock(&inject->lock, SKUA__RANK_INJECT);
    if (inject->first == NULL) {
        inject->first = first;
    } else {
        inject->last->next = first;
    }
    inject->last = last;
    skua__store(&inject->count, skua__load(&inject->count, relaxed) + count, relaxed);
    skua__unlock(&inject->lock, SKUA__RANK_INJECT);
}

uint32_t skua__inject_pop(struct skua__inject *inject, struct skua__runnable **out, uint32_t count)
{
    if (skua__inject_count(inject) == 0) {
        return 0;
    }
    uint32_t taken = 0;
    skua__lock(&inject->lock, SKUA__RANK_INJECT);
    while (taken < count && inject->first != NULL) {
        out[taken] = inject->first;
        inject->first = inject->first->next;
        taken++;
    }
    skua__store(&inject->count, skua__load(&inject->count, relaxed) - taken, relaxed);
    skua__unlock(&inject->lock, SKUA__RANK_INJECT);
    return taken;
}
