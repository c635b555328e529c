/* Generators: a task that stands in its yield until somebody asks.

       FRESH ----ask----> RUNNING ----yield----> STANDING
         |                  |  ^                    |
         |                  |  +--ask, cancel, finish
         |                return
         +---- close        v
                          ENDED

     (G1) All of it is under the lock but the memory of an item, which is copied under the lock from
          the yield's frame to the frame of who asks, one of which waits.
     (G2) At most one asks. `asker` is set while it waits; who takes it out has claimed it, or has
          found that it is on its way out. The same goes for `yielder`.
     (G3) `offered` is set while the generator is in a yield whose item nobody has taken. Who leaves
          the yield clears it.
     (G4) The generator is set going only by one who asks, or who ends it. So it is at most one item
          ahead, and only of one whose wait has ended early.
     (G5) `task` is written once, before the generator's function starts, by the first who asks, who
          is alone while `is_starting` is set.
     (G6) Memory goes when the task has ended, which the closer waits for, or never started.

   *Nothing is lost.* An item is handed over by a claim of the asker, or taken from `offered` by the
   next one; never both, both being under the lock. An asker whose wait was ended by its clock or a
   cancel has not been claimed by a yield, so the yield finds that its claim fails, and offers.

   *Switches.* Who asks fills the LIFO slot of its worker with the generator, and suspends, which
   switches to it directly; the yield does the same the other way round.

   Rejected: attaching the generator's scope to that of who asks, for as long as he does: a cancel
   or a deadline that comes meanwhile would end the generator's own wait and so, most often, the
   generator, and what it was about to give would be lost. Running the generator on the stack of who
   asks, without a task: it could not be resumed by another, nor outlast a late one. */
#include "gen/gen.h"

#include "base/lock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/fastpath.h"
#include "sched/local.h"
#include "sched/service.h"
#include "sched/task.h"

#include <string.h>

enum { ITEM_BYTES_MAX = 64 * 1024 };

enum state { FRESH, RUNNING, STANDING, ENDED };

/* A runtime's open generators, so that one that was forgotten is named. */
struct registry {
    struct skua__service service;
    struct skua__lock lock;
    struct skua__list open;
};

struct skua_gen {
    /* Constant. */
    skua_gen_fn fn;
    void *arg;
    size_t item_bytes;
    skua_runtime *runtime;
    struct registry *registry;

    struct skua__link link; /* under the registry's lock */
    struct skua__lock lock; /* for the rest */
    enum state state;
    bool is_starting;
    bool is_ending;       /* nobody will ask any more */
    bool has_last_answer; /* the next yield returns last_answer */
    bool is_seen;         /* who asks has been told of the failure */
    int last_answer;
    int status; /* what fn returned */
    skua_task *task;
    struct skua__locals *locals; /* until the start */
    struct skua__waiter *asker, *yielder;
    const void *offered;
    char name[];
};

/* Held alone, as those of channels are. */
static void lock(skua_gen *gen)
{
    skua__lock(&gen->lock, SKUA__RANK_CHAN);
}

static void unlock(skua_gen *gen)
{
    skua__unlock(&gen->lock, SKUA__RANK_CHAN);
}

/* --- the two who wait for each other, under the lock ------------------------------------------ */

/* Takes the waiter out. Returns its parker if it is claimed now; NULL if it was none, or is on its
   way out. */
static struct skua__parker *claim(struct skua__waiter **place, int result)
{
    struct skua__waiter *waiter = *place;
    *place = NULL;
    if (waiter == NULL || !skua__waiter_claim(waiter)) {
        return NULL;
    }
    waiter->result = result;
    return waiter->parker;
}

/* Sets a generator going that stands still. */
static struct skua__parker *set_going(skua_gen *gen, int answer)
{
    if (gen->state != STANDING) {
        return NULL;
    }
    gen->state = RUNNING;
    return claim(&gen->yielder, answer);
}

/* Gives the item to who asks, or leaves it to be taken. */
static struct skua__parker *hand_over(skua_gen *gen, const void *item)
{
    struct skua__waiter *asker = gen->asker;
    struct skua__parker *parker = claim(&gen->asker, 1);
    if (parker == NULL) {
        gen->offered = gen->item_bytes > 0 ? item : gen; /* a signal may be NULL */
    } else if (gen->item_bytes > 0) {
        memcpy(asker->item, item, gen->item_bytes);
    }
    return parker;
}

static void wake(struct skua__parker *parker)
{
    if (parker != NULL) {
        skua__wake_inline(parker);
    }
}

/* --- the generator's side --------------------------------------------------------------------- */

/* What the caller of the open had, instead of what the first who asked has. */
static void adopt_locals(skua_gen *gen)
{
    skua_task *self = skua_self();
    skua__lock(&self->scope.lock, SKUA__RANK_SCOPE);
    struct skua__locals *inherited = skua__load(&self->locals, relaxed);
    skua__store(&self->locals, gen->locals, relaxed);
    skua__unlock(&self->scope.lock, SKUA__RANK_SCOPE);
    gen->locals = NULL;
    if (inherited != NULL) {
        skua__locals_release(inherited);
    }
}

static int told(int status)
{
    return status < 0 ? status : 0;
}

static int run(void *arg)
{
    skua_gen *gen = arg;
    adopt_locals(gen);
    int status = gen->fn(gen, gen->arg);
    lock(gen);
    gen->state = ENDED;
    gen->status = status;
    struct skua__parker *asker = claim(&gen->asker, told(status));
    gen->is_seen = asker != NULL;
    unlock(gen);
    wake(asker);
    return told(status);
}

/* Stands still until asked for the next item; called with the lock held, which it gives up. `asker`
   has just been claimed, or is NULL. Returns what the yield returns, or SKUA__RECHECK. */
static int stand(skua_gen *gen, struct skua__fiber *self, struct skua__parker *asker)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_inline(&wait, self);
    skua__waiter_init(&waiter, &wait, 0, NULL);
    gen->yielder = &waiter;
    gen->state = STANDING;
    unlock(gen);
    wake(asker);
    int cause = skua__wait_park_inline(&wait, self, SKUA__NEVER);
    if (SKUA_LIKELY(cause >= 0)) {
        return waiter.result;
    }
    lock(gen);
    gen->yielder = NULL;
    gen->state = RUNNING;
    unlock(gen);
    return cause;
}

/* Whether a yield has its answer without standing still. */
static bool has_answer(skua_gen *gen, int *answer)
{
    if (SKUA_LIKELY(!gen->is_ending)) {
        *answer = 0;
        return gen->asker != NULL && gen->offered == NULL;
    }
    *answer = gen->has_last_answer ? gen->last_answer : -ECANCELED;
    gen->has_last_answer = false;
    return true;
}

/* The yield's wait has to be begun again, perhaps after somebody has asked. */
static SKUA_NOINLINE int stand_again(skua_gen *gen, struct skua__fiber *self)
{
    int status;
    do {
        status = skua__cancel_point();
        if (status < 0) {
            return status;
        }
        lock(gen);
        if (has_answer(gen, &status)) {
            unlock(gen);
            return status;
        }
        status = stand(gen, self, NULL);
    } while (status == SKUA__RECHECK);
    return status;
}

static void withdraw(skua_gen *gen)
{
    lock(gen);
    gen->offered = NULL;
    unlock(gen);
}

int skua_gen_yield(skua_gen *gen, const void *item)
{
    struct skua__fiber *self = skua__fiber_self();
    if (SKUA_UNLIKELY(self == NULL || skua__fiber_task(self) != gen->task)) {
        skua__panic("the generator '%s' is told to yield by another task", gen->name);
    }
    int status = skua__cancel_point_passes() ? 0 : skua__cancel_point();
    if (SKUA_UNLIKELY(status < 0)) {
        return status;
    }
    lock(gen);
    if (SKUA_UNLIKELY(gen->is_ending)) {
        (void)has_answer(gen, &status);
        unlock(gen);
        return status;
    }
    if (SKUA_UNLIKELY(gen->state == STANDING)) {
        skua__panic("the generator '%s' yields in two of its forked children at once", gen->name);
    }
    status = stand(gen, self, hand_over(gen, item));
    if (SKUA_UNLIKELY(status == SKUA__RECHECK)) {
        status = stand_again(gen, self);
    }
    if (SKUA_UNLIKELY(status < 0)) {
        withdraw(gen);
    }
    return status;
}

/* --- the asking side -------------------------------------------------------------------------- */

/* Whether the task is the generator's. Does not look at gen->task: who starts it may be writing. */
static bool is_inside(const skua_gen *gen, const skua_task *task)
{
    return task != NULL && task->fn == run && task->arg == gen;
}

/* Called with the lock held and is_starting set by us; returns with it held. */
static int start(skua_gen *gen)
{
    const skua_spawn_opts opts = {.name = gen->name};
    gen->state = RUNNING;
    unlock(gen);
    int status = skua_submit(gen->runtime, &gen->task, run, gen, &opts);
    lock(gen);
    gen->is_starting = false;
    if (status < 0) {
        gen->state = FRESH;
    }
    return status;
}

/* What can be said without a wait, with the lock held: 1, 0, < 0; or WAITS. */
enum { WAITS = 2 };

static int answer_now(skua_gen *gen, void *item)
{
    if (gen->offered != NULL) {
        if (gen->item_bytes > 0) {
            memcpy(item, gen->offered, gen->item_bytes);
        }
        gen->offered = NULL;
        return 1;
    }
    if (SKUA_UNLIKELY(gen->state == ENDED)) {
        gen->is_seen = true;
        return told(gen->status);
    }
    if (SKUA_UNLIKELY(gen->asker != NULL || gen->state == RUNNING)) {
        if (is_inside(gen, skua_self())) {
            return -EDEADLK;
        }
        if (gen->asker != NULL || gen->is_starting) {
            return -EBUSY;
        }
    }
    if (SKUA_UNLIKELY(gen->state == FRESH)) {
        gen->is_starting = true;
        int status = start(gen);
        return status < 0 ? status : answer_now(gen, item);
    }
    return WAITS;
}

/* Sets it going and waits; called with the lock held, which it gives up. */
static int ask(skua_gen *gen, void *item, skua_time deadline)
{
    if (SKUA_UNLIKELY(skua__is_now(deadline))) {
        struct skua__parker *yielder = set_going(gen, 0);
        unlock(gen);
        wake(yielder);
        return -EAGAIN;
    }
    struct skua__wait wait;
    struct skua__waiter waiter;
    struct skua__fiber *self = skua__fiber_self();
    if (SKUA_LIKELY(self != NULL)) {
        skua__wait_begin_inline(&wait, self);
    } else {
        skua__wait_begin(&wait, SKUA__SOFT);
    }
    skua__waiter_init(&waiter, &wait, 0, item);
    gen->asker = &waiter;
    struct skua__parker *yielder = set_going(gen, 0);
    unlock(gen);
    wake(yielder);
    int64_t deadline_ns = skua__deadline_ns(deadline);
    int cause = self != NULL ? skua__wait_park_inline(&wait, self, deadline_ns)
                             : skua__wait_park(&wait, deadline_ns);
    if (SKUA_LIKELY(cause >= 0)) {
        return waiter.result;
    }
    lock(gen);
    if (gen->asker == &waiter) {
        gen->asker = NULL;
    }
    unlock(gen);
    return cause;
}

int skua_gen_next(skua_gen *gen, void *item, skua_time deadline)
{
    int status;
    do {
        status = skua__cancel_point_passes() ? 0 : skua__cancel_point();
        if (SKUA_UNLIKELY(status < 0)) {
            return status;
        }
        lock(gen);
        status = answer_now(gen, item);
        if (status != WAITS) {
            unlock(gen);
            return status;
        }
        status = ask(gen, item, deadline);
    } while (SKUA_UNLIKELY(status == SKUA__RECHECK));
    return status;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Frees one that has ended or never started. */
static void dispose(skua_gen *gen)
{
    if (gen->locals != NULL) {
        skua__locals_release(gen->locals);
    }
    skua_task_release(gen->task);
    skua__free(gen);
}

static void registry_destroy(struct skua__service *service)
{
    struct registry *registry = SKUA_CONTAINER(service, struct registry, service);
    struct skua__link *link;
    while ((link = skua__list_pop_front(&registry->open)) != NULL) {
        skua_gen *gen = SKUA_CONTAINER(link, skua_gen, link);
        skua__report("generator '%s' was not closed before its runtime ended", gen->name);
        dispose(gen);
    }
    skua__free(registry);
}

static int registry_create(skua_runtime *runtime, struct skua__service **out)
{
    (void)runtime;
    struct registry *registry = skua__alloc(sizeof *registry);
    if (registry == NULL) {
        return -ENOMEM;
    }
    registry->service.destroy = registry_destroy;
    skua__list_init(&registry->open);
    *out = &registry->service;
    return 0;
}

static void registry_add(struct registry *registry, skua_gen *gen)
{
    gen->registry = registry;
    skua__lock(&registry->lock, SKUA__RANK_CHAN);
    skua__list_push_back(&registry->open, &gen->link);
    skua__unlock(&registry->lock, SKUA__RANK_CHAN);
}

static void registry_remove(skua_gen *gen)
{
    skua__lock(&gen->registry->lock, SKUA__RANK_CHAN);
    skua__list_remove(&gen->link);
    skua__unlock(&gen->registry->lock, SKUA__RANK_CHAN);
}

int skua_gen_open_named(skua_gen **out, const char *name, skua_gen_fn fn, void *arg,
                        size_t item_bytes)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    skua_task *self = skua_self();
    if (self == NULL) {
        return -EPERM;
    }
    if (fn == NULL || item_bytes > ITEM_BYTES_MAX) {
        return -EINVAL;
    }
    struct skua__service *service;
    int status = skua__service_get(SKUA__SERVICE_GEN, &service, registry_create);
    name = name != NULL ? name : "generator";
    size_t name_bytes = strlen(name) + 1;
    skua_gen *gen = status == 0 ? skua__alloc(sizeof *gen + name_bytes) : NULL;
    if (gen == NULL) {
        return -ENOMEM;
    }
    gen->fn = fn;
    gen->arg = arg;
    gen->item_bytes = item_bytes;
    gen->runtime = skua_runtime_current();
    gen->locals = skua__locals_of(self);
    memcpy(gen->name, name, name_bytes);
    registry_add(SKUA_CONTAINER(service, struct registry, service), gen);
    *out = gen;
    return 0;
}

size_t skua__gen_item_bytes(const skua_gen *gen)
{
    return gen->item_bytes;
}

/* --- ending ----------------------------------------------------------------------------------- */

/* Nobody may be using it; afterwards nobody will. Returns whether it has a task, with the lock held
   all the same. */
static bool begin_end(skua_gen *gen)
{
    lock(gen);
    if (is_inside(gen, skua_self())) {
        skua__panic("the generator '%s' closes itself", gen->name);
    }
    if (gen->asker != NULL || gen->is_starting) {
        skua__panic("the generator '%s' is closed while a task waits for its next item", gen->name);
    }
    gen->is_ending = true;
    return gen->task != NULL;
}

/* The wait has to be, cancelled or not: the generator uses what is its caller's. */
static void await_end(skua_task *task)
{
    int status = 0;
    if (skua_self() == NULL) {
        status = skua_join(task, NULL, SKUA_FOREVER);
    } else {
        skua_scope shield = {{0}};
        skua_shield_open(&shield, SKUA_FOREVER);
        status = skua_scope_close(&shield, skua_join(task, NULL, SKUA_FOREVER));
    }
    skua_require(status == 0);
}

static void release(skua_gen *gen)
{
    registry_remove(gen);
    dispose(gen);
}

static void report_unseen(const skua_gen *gen)
{
    if (gen->status < 0 && gen->status != -ECANCELED && !gen->is_seen) {
        skua__report("generator '%s' failed and nobody has asked: %d (%s)", gen->name, gen->status,
                     skua_error_text(gen->status));
    }
}

void skua_gen_close(skua_gen **place)
{
    skua_gen *gen = *place;
    *place = NULL;
    if (gen == NULL || skua__forked()) {
        return;
    }
    bool has_task = begin_end(gen);
    unlock(gen);
    if (has_task) {
        skua_task_cancel(gen->task);
        await_end(gen->task);
        report_unseen(gen);
    }
    release(gen);
}

int skua_gen_finish(skua_gen **place, int status)
{
    skua_gen *gen = *place;
    *place = NULL;
    if (gen == NULL || skua__forked()) {
        return gen == NULL ? status : -ESHUTDOWN;
    }
    bool has_task = begin_end(gen);
    gen->offered = NULL;
    struct skua__parker *yielder = set_going(gen, status);
    /* A yield whose wait has to be begun again finds the answer like one that is still to come. */
    gen->has_last_answer = yielder == NULL;
    gen->last_answer = status;
    unlock(gen);
    wake(yielder);
    if (has_task) {
        await_end(gen->task);
        status = gen->status;
    }
    release(gen);
    return status;
}
