/* Clean-up that cannot be forgotten: deferred calls, and resources.

     (D1) A fiber's deferred calls stand in one list, those of one scope together: those of inner
          scopes before those of outer ones, within a scope the last one first. So a scope that
          closes looks at the list's head only.
     (D2) A call leaves the list before it is made: it is made once, whatever it does.
     (D3) Each runs in a shield of its own inside the scope that closes, which is still open: so
          cancels of that scope reach it after the grace, and what it defers itself runs after it.

   A forked child that nobody took runs on its parent's fiber without the library's knowing where it
   begins and ends: what it defers is its parent's. A child that was taken hands over to the parent,
   so that there is no difference.

   Rejected: a list in each scope (a root scope has no room), and records in the caller's frame (the
   frame of who defers is often gone before the scope is closed). */
#include "sched/defer.h"

#include "base/mem.h"
#include "sched/runtime.h"
#include "sched/task.h"
#include "sched/worker.h"

static bool is_inside(const struct skua__scope *inner, const struct skua__scope *outer)
{
    const struct skua__scope *scope = inner != outer ? inner : NULL;
    while (scope != NULL && scope != outer) {
        scope = scope->parent;
    }
    return scope != NULL;
}

/* An inline child's scope may be outside of its parent's present one (D1). */
static void insert(struct skua__fiber *fiber, struct skua__defer *defer)
{
    struct skua__defer **place = &fiber->defers;
    while (*place != NULL && is_inside((*place)->scope, defer->scope)) {
        place = &(*place)->next;
    }
    defer->next = *place;
    *place = defer;
    fiber->ends_slowly = true;
}

/* What is in the way of deferring: 0 if nothing. */
static int why_not(const struct skua__fiber *fiber)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    return fiber == NULL ? -EPERM : 0;
}

int skua_defer(void (*fn)(void *arg), void *arg)
{
    if (fn == NULL) {
        return -EINVAL;
    }
    struct skua__fiber *fiber = skua__fiber_self();
    int status = why_not(fiber);
    struct skua__defer *defer = status == 0 ? skua__alloc(sizeof *defer) : NULL;
    if (defer == NULL) {
        fn(arg);
        return status < 0 ? status : -ENOMEM;
    }
    *defer = (struct skua__defer){.scope = fiber->scope, .fn = fn, .arg = arg};
    insert(fiber, defer);
    return 0;
}

/* A shield whose grace is the runtime's, from now on. */
static void open_shield(skua_scope *shield, const skua_runtime *runtime)
{
    skua_shield_open(shield, skua_after(runtime->cleanup_ns));
}

SKUA_NOINLINE void skua__defers_run_all(struct skua__fiber *fiber, struct skua__scope *scope)
{
    struct skua__defer *defer;
    while ((defer = fiber->defers) != NULL && defer->scope == scope) {
        struct skua__defer call = *defer;
        fiber->defers = call.next; /* (D2) */
        skua__free(defer);
        skua_scope shield = {{0}};
        open_shield(&shield, fiber->runnable.runtime);
        call.fn(call.arg);
        skua_scope_fini(&shield);
    }
}

/* --- forked children -------------------------------------------------------------------------- */

struct skua__defer *skua__defers_hand_over(struct skua__fiber *fiber, struct skua__scope *scope)
{
    struct skua__defer *defers = fiber->defers;
    for (struct skua__defer *defer = defers; defer != NULL; defer = defer->next) {
        defer->scope = scope;
    }
    fiber->defers = NULL;
    return defers;
}

/* The child's oldest first, as if the parent had called the child. */
void skua__defers_adopt(struct skua__fiber *fiber, struct skua__defer *defers)
{
    struct skua__defer *oldest = NULL, *next;
    for (; defers != NULL; defers = next) {
        next = defers->next;
        defers->next = oldest;
        oldest = defers;
    }
    for (; oldest != NULL; oldest = next) {
        next = oldest->next;
        insert(fiber, oldest);
    }
}

/* --- resources -------------------------------------------------------------------------------- */

static int leave(const skua_resource *resource, void *self, int status)
{
    struct skua__fiber *fiber = skua__fiber_self();
    if (fiber == NULL) {
        return resource->exit(self, status);
    }
    skua_scope shield = {{0}};
    open_shield(&shield, fiber->runnable.runtime);
    return skua_scope_close(&shield, resource->exit(self, status));
}

int skua_with(const skua_resource *resource, void *self, skua_fn body, void *arg)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    int entered = resource->enter != NULL ? resource->enter(self) : 0;
    if (entered < 0) {
        return entered;
    }
    int status = body(arg);
    return resource->exit != NULL ? leave(resource, self, status) : status;
}
