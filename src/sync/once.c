/* Once: whether it is done, who does it now, and a line of those who would do it next (queue.h).

     (O1) At DONE, value stays; nobody is in the line.
     (O2) runner is 0 unless somebody's function runs, or has been told that its turn has come.

   The first in line whose turn comes after a failure runs its own function. One whose turn came in
   the moment of its cancel gives the turn back, and the next one has it (Q4).

   Who finds DONE takes no lock. The storage may go once nobody is inside a call on it, the runner's
   among them: it still gives the lock back when others see DONE already. */
#include "base/panic.h"
#include "mem/forked.h"
#include "sched/fastpath.h"
#include "sync/queue.h"

#include <skua/meet.h>

/* What a wish comes to, besides the common results. */
enum { IS_DONE = 0, IS_YOUR_TURN = 1 };

struct once {
    struct skua__queue queue;
    _Atomic uint32_t is_done; /* changed under the lock */
    int value;
    uintptr_t runner; /* skua__queue_self() */
};

_Static_assert(sizeof(struct once) <= sizeof(skua_once), "skua_once is too small");
_Static_assert(_Alignof(struct once) <= _Alignof(skua_once), "skua_once is misaligned");

static struct once *inside(skua_once *once)
{
    return (struct once *)(void *)once;
}

static struct once *once_of(const struct skua__queue *queue)
{
    return (struct once *)(uintptr_t)queue;
}

static bool is_done(const struct once *once)
{
    /* acquire: pairs with the release in finish(): what the function did is seen. */
    return skua__load(&once->is_done, acquire) != 0;
}

/* The wish is who has it. */
static bool may_go_on(const struct skua__queue *queue, const void *wish)
{
    const struct once *once = once_of(queue);
    if (once->runner == *(const uintptr_t *)wish) {
        skua__panic("a once is run inside of its own function");
    }
    return once->runner == 0;
}

static int let_go_on(struct skua__queue *queue, void *wish)
{
    struct once *once = once_of(queue);
    if (is_done(once)) {
        return IS_DONE;
    }
    once->runner = *(uintptr_t *)wish;
    return IS_YOUR_TURN;
}

static void take_back(struct skua__queue *queue, void *wish)
{
    struct once *once = once_of(queue);
    if (once->runner == *(uintptr_t *)wish) {
        once->runner = 0;
    }
}

static const struct skua__queue_rules rules = {may_go_on, let_go_on, take_back};

/* The runner's function has returned `status`. */
static void finish(struct once *once, int status)
{
    skua__queue_lock(&once->queue);
    once->runner = 0;
    if (status >= 0) {
        once->value = status;
        /* release: publishes the value and what the function did; pairs with is_done(). */
        skua__store(&once->is_done, 1, release);
    }
    skua__queue_serve_and_unlock(&once->queue, &rules);
}

int skua_once_run(skua_once *once, skua_fn fn, void *arg, skua_time deadline)
{
    struct once *self = inside(once);
    if (is_done(self) && skua__cancel_point_passes()) {
        return self->value;
    }
    uintptr_t who = skua__queue_self();
    int status = skua__queue_take(&self->queue, &rules, &who, deadline);
    if (status < 0) {
        return status;
    }
    if (status == IS_DONE) {
        return self->value;
    }
    status = fn(arg);
    if (!skua__process_is_forked()) {
        finish(self, status);
    }
    return status;
}

bool skua_once_is_done(const skua_once *once)
{
    return is_done((const struct once *)(const void *)once);
}
