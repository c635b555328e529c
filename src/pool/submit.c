/* Jobs as tasks: skua_pool_submit().

   The task is held (sched/held.h): open, without a stack, until its job has ended. Then it runs for
   a moment to say how. A job with a long input goes earlier, when it has a place in a worker: it
   copies the input, and waits for the answer as any caller does. So no more tasks have stacks than
   workers have places.

   Invariants
   (T1) A submission lives from submit() to the end of say(), which its task runs exactly once. It
        counts as a caller of the pool meanwhile, and in `outstanding`.
   (T2) Its record stands in pool->noticed at most once (is_noticed), and in pool->notices after
        that. say() takes it out of both: no notice comes once the task has gone (H1 in held.h).
   (T3) Before `is_open` a notice is left alone: submit() looks by itself.
   (T4) While a submission is out it holds the virtual clock, as a caller that waits would. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/state.h"
#include "sched/service.h"

#include <errno.h>
#include <string.h>

struct skua__submission {
    struct skua__call call;
    struct skua__held held;
    skua_pool *pool;
    struct skua__submission *next_noticed;
    _Atomic bool is_noticed;
    bool is_open;             /* (L) */
    struct skua__link notice; /* (L) in pool->notices */
    skua_buf *out;
    skua_time deadline;
    skua_call_opts opts; /* if call.opts says so */
    char in[];
};

/* --- notices ---------------------------------------------------------------------------------- */

/* Under the locks of scopes: see held.h. */
static void notice(struct skua__held *held)
{
    struct skua__submission *self = SKUA_CONTAINER(held, struct skua__submission, held);
    skua_pool *pool = self->pool;
    /* acq_rel: orders the notices of one record; pairs with the exchange in take_noticed(). */
    if (skua__exchange(&self->is_noticed, true, acq_rel)) {
        return;
    }
    struct skua__submission *head = skua__load(&pool->noticed, relaxed);
    do {
        self->next_noticed = head;
        /* release: publishes next_noticed; pairs with the acquire in take_noticed(). */
    } while (!skua__cas(&pool->noticed, &head, self, release, relaxed));
    if (head == NULL) { /* else somebody has rung and was not heard yet */
        skua__pool_ring(pool);
    }
}

/* From the stack to the list. (L) */
static void take_noticed(skua_pool *pool)
{
    /* acquire: pairs with the release in notice(). */
    struct skua__submission *first = skua__exchange(&pool->noticed, NULL, acquire);
    while (first != NULL) {
        struct skua__submission *self = first;
        first = self->next_noticed;
        /* acq_rel: what is noticed from now on stands in the stack anew; pairs with that in
           notice(). */
        skua__exchange(&self->is_noticed, false, acq_rel);
        if (!skua__link_is_linked(&self->notice)) {
            skua__list_push_back(&pool->notices, &self->notice);
        }
    }
}

/* The earlier one of its own deadline and those of the scopes that its task is in. */
static int64_t due_ns(const struct skua__submission *self)
{
    const int64_t scope_ns = skua__held_deadline_ns(&self->held, skua__clock_ns());
    const int64_t own_ns =
        skua__is_now(self->deadline) ? SKUA__NEVER : skua__deadline_ns(self->deadline);
    return own_ns < scope_ns ? own_ns : scope_ns;
}

static void obey(skua_pool *pool, struct skua__submission *self, struct skua__after *after)
{
    if (self->call.kind != SKUA__CALL_TASK || self->call.state == SKUA__CALL_DONE ||
        !self->is_open || self->call.is_stopping) {
        return;
    }
    if (skua__held_is_cancelled(&self->held)) {
        skua__call_give_up(pool, &self->call, after, -ECANCELED);
        if (skua__after_is_full(after) && self->call.state == SKUA__CALL_RUNNING &&
            !self->call.is_stopping && !skua__link_is_linked(&self->notice)) {
            skua__list_push_back(&pool->notices, &self->notice); /* at the next look */
        }
    } else {
        skua__call_set_timer(pool, &self->call, due_ns(self));
    }
}

void skua__pool_take_notices(skua_pool *pool, struct skua__after *after)
{
    struct skua__link *link;
    if (skua__load(&pool->noticed, relaxed) != NULL) {
        take_noticed(pool);
    }
    while (!skua__after_is_full(after) && (link = skua__list_pop_front(&pool->notices)) != NULL) {
        obey(pool, SKUA_CONTAINER(link, struct skua__submission, notice), after);
    }
}

/* --- the task --------------------------------------------------------------------------------- */

void skua__submission_tell(struct skua__call *call, struct skua__after *after)
{
    struct skua__submission *self = SKUA_CONTAINER(call, struct skua__submission, call);
    call->kind = SKUA__CALL_FRAME;
    skua__call_clear_timer(self->pool, call); /* from now on it keeps its deadlines by itself */
    skua__pool_hold_clock(self->pool, false);
    after->held[after->held_count++] = &self->held;
}

static void leave_submissions(skua_pool *pool, struct skua__after *after)
{
    if (--pool->outstanding == 0) {
        skua__pool_notify(pool, after);
    }
    skua__pool_leave(pool, after);
}

/* What the task runs. */
static int say(void *arg)
{
    struct skua__submission *self = arg;
    skua_pool *pool = self->pool;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    if (skua__load(&self->is_noticed, relaxed)) {
        take_noticed(pool);
    }
    if (skua__link_is_linked(&self->notice)) {
        skua__list_remove(&self->notice);
    }
    skua__call_run(pool, &self->call, self->deadline, 0, &after);
    skua__call_deliver(&self->call, self->out, &after);
    leave_submissions(pool, &after);
    skua__pool_unlock_after(pool, &after);
    const int status = skua__call_say(&self->call);
    skua__free(self);
    return status;
}

/* --- submit ----------------------------------------------------------------------------------- */

static struct skua__submission *make(skua_pool *pool, const skua_job *job, skua_bytes in,
                                     const skua_call_opts *opts)
{
    const bool is_copied = opts == NULL || opts->in_buf == NULL;
    struct skua__submission *self = skua__alloc_dirty(sizeof *self + (is_copied ? in.bytes : 0));
    if (self == NULL) {
        return NULL;
    }
    if (is_copied && in.bytes > 0) {
        memcpy(self->in, in.data, in.bytes);
        in.data = self->in;
    }
    skua__call_init(&self->call, job, in, opts);
    self->call.kind = SKUA__CALL_TASK;
    if (self->call.opts != NULL) {
        self->opts = *opts;
        self->call.opts = &self->opts;
    }
    self->held.notice = notice;
    self->pool = pool;
    skua__store(&self->is_noticed, false, relaxed);
    self->is_open = false;
    self->notice = (struct skua__link){NULL, NULL};
    return self;
}

/* A place among the submissions. Returns 0, -ESHUTDOWN or -EAGAIN. */
static int reserve(skua_pool *pool)
{
    struct skua__after after;
    skua__after_init(&after);
    int error = 0;
    skua__pool_lock(pool);
    if (pool->state == SKUA__POOL_CLOSING || pool->is_draining) {
        error = -ESHUTDOWN;
    } else if (pool->outstanding >= pool->queue_max) {
        error = -EAGAIN;
    } else {
        pool->outstanding++;
        skua__pool_enter(pool);
    }
    skua__pool_unlock_after(pool, &after);
    return error;
}

static void unreserve(skua_pool *pool)
{
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    leave_submissions(pool, &after);
    skua__pool_unlock_after(pool, &after);
}

/* From now on the pool has it. */
static void open(struct skua__submission *self)
{
    skua_pool *pool = self->pool;
    struct skua__call *call = &self->call;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    self->is_open = true;
    skua__pool_hold_clock(pool, true);
    if (skua__held_is_cancelled(&self->held)) {
        skua__call_finish(pool, call, &after, -ECANCELED);
    } else {
        skua__call_set_timer(pool, call, due_ns(self));
        skua__call_seek(pool, call, self->deadline, &after);
    }
    skua__pool_unlock_after(pool, &after);
}

int skua_pool_submit(skua_pool *pool, skua_task **task, const skua_job *job, skua_bytes in,
                     const skua_call_opts *opts, skua_buf *out, skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    int error = skua__call_check(pool, job, in, opts);
    if (error == 0) {
        error = reserve(pool);
    }
    if (error < 0) {
        return error;
    }
    struct skua__submission *self = make(pool, job, in, opts);
    if (self == NULL) {
        unreserve(pool);
        return -ENOMEM;
    }
    self->out = out;
    self->deadline = deadline;
    const skua_spawn_opts spawn = {.name =
                                       opts != NULL && opts->name != NULL ? opts->name : job->name,
                                   .group = opts != NULL ? opts->group : NULL};
    error = skua__task_hold(&self->held, task, say, self, &spawn, NULL);
    if (error < 0) {
        skua__free(self);
        unreserve(pool);
        return error;
    }
    if (out != NULL) {
        *out = (skua_buf){NULL, 0, NULL};
    }
    if (self->call.in_loan != NULL) {
        *opts->in_buf = (skua_buf){NULL, 0, NULL};
    }
    open(self);
    return 0;
}
