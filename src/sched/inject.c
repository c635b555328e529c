/* The inject queue. A lock is enough: it is off the path of every task that stays among the
   workers. */
#include "sched/inject.h"

#include "base/mem.h"

#include <errno.h>

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

int skua__inject_set_init(struct skua__inject_set *set, uint32_t count, uint32_t workers)
{
    set->count = count;
    set->takers = (workers + count - 1) / count;
    set->lanes = skua__alloc_aligned(SKUA_CACHE_LINE, count * sizeof *set->lanes);
    return set->lanes != NULL ? 0 : -ENOMEM;
}

void skua__inject_set_fini(struct skua__inject_set *set)
{
    skua__free(set->lanes);
    set->lanes = NULL;
}

bool skua__inject_any(struct skua__inject_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (skua__inject_count(skua__inject_of(set, i)) > 0) {
            return true;
        }
    }
    return false;
}
