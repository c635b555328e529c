/* Latch and wait group: a number that comes down to 0, and a line of those who wait for that
   (queue.h).

     (N1) Nobody is in the line while the number is 0.

   At 0 all in the line are served in the same stretch under the lock, so a number that rises again
   afterwards holds up only those who come after it. */
#include "base/panic.h"
#include "mem/forked.h"
#include "sync/queue.h"

#include <skua/meet.h>

struct count {
    struct skua__queue queue;
    size_t missing;
};

_Static_assert(sizeof(struct count) <= sizeof(skua_latch), "skua_latch is too small");
_Static_assert(_Alignof(struct count) <= _Alignof(skua_latch), "skua_latch is misaligned");
_Static_assert(sizeof(struct count) <= sizeof(skua_wait_group), "skua_wait_group is too small");
_Static_assert(_Alignof(struct count) <= _Alignof(skua_wait_group),
               "skua_wait_group is misaligned");

static bool may_go_on(const struct skua__queue *queue, const void *wish)
{
    (void)wish;
    return ((const struct count *)(const void *)queue)->missing == 0;
}

static const struct skua__queue_rules rules = {may_go_on, skua__queue_give_nothing,
                                               skua__queue_take_nothing_back};

static size_t missing_of(struct count *count)
{
    if (skua__process_is_forked()) {
        return 0;
    }
    skua__queue_lock(&count->queue);
    size_t missing = count->missing;
    skua__queue_unlock(&count->queue);
    return missing;
}

/* --- latch ------------------------------------------------------------------------------------ */

static struct count *inside_latch(skua_latch *latch)
{
    return (struct count *)(void *)latch;
}

void skua_latch_init(skua_latch *latch, size_t count)
{
    *inside_latch(latch) = (struct count){.missing = count};
}

void skua_latch_count_down(skua_latch *latch, size_t steps)
{
    struct count *self = inside_latch(latch);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    if (steps > self->missing) {
        skua__panic("a latch is counted down by %zu, and only %zu are missing", steps,
                    self->missing);
    }
    self->missing -= steps;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

int skua_latch_wait(skua_latch *latch, skua_time deadline)
{
    return skua__queue_take(&inside_latch(latch)->queue, &rules, NULL, deadline);
}

size_t skua_latch_missing(skua_latch *latch)
{
    return missing_of(inside_latch(latch));
}

/* --- wait group ------------------------------------------------------------------------------- */

static struct count *inside_group(skua_wait_group *group)
{
    return (struct count *)(void *)group;
}

void skua_wait_group_add(skua_wait_group *group, size_t count)
{
    struct count *self = inside_group(group);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    if (count > SIZE_MAX - self->missing) {
        skua__panic("a wait group of %zu gets %zu more", self->missing, count);
    }
    self->missing += count;
    skua__queue_unlock(&self->queue);
}

void skua_wait_group_done(skua_wait_group *group)
{
    struct count *self = inside_group(group);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    if (self->missing == 0) {
        skua__panic("a wait group is done with more than was added");
    }
    self->missing--;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

int skua_wait_group_wait(skua_wait_group *group, skua_time deadline)
{
    return skua__queue_take(&inside_group(group)->queue, &rules, NULL, deadline);
}

size_t skua_wait_group_count(skua_wait_group *group)
{
    return missing_of(inside_group(group));
}
