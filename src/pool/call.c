/* Calls: from whoever asks to the end of the job.

   However a job was asked for, there is one struct skua__call for it, and one way through the pool:
   it waits (dispatch.c), a worker has it, it is DONE. What differs is how the end is told.

   Invariants
   (C1) A call becomes DONE once, under the lock, and is told then. After the unlock nobody of the
        pool looks at it again.
   (C2) The frame and the input of a caller are touched only under the lock and before DONE, or by
        the caller, or while `is_copied` says so.
   (C3) A caller that gives up takes its job back if it has not begun. If it has, the job is asked
        to stop, and killed with its worker when its grace is over; it is never awaited longer. If
        it answers in its grace that is the answer: what has succeeded is success.
   (C4) A call whose worker was lost before it began gets another one: workers that are killed while
        idle fail no job.

   Who runs it: callers (tasks, foreign threads), the reactor, the supervisor. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/job.h"
#include "pool/lane.h"
#include "pool/state.h"
#include "sched/director.h"
#include "sched/runtime.h"
#include "sched/service.h"
#include "sched/task.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SHORT_JOB_NS = 1000,
    SPIN_NS = 2000,
    PAUSES_PER_LOOK = 4,
};

enum { AGAIN_NS = 1000 * 1000 };

/* --- after the unlock ------------------------------------------------------------------------- */

void skua__after_bell(struct skua__after *after, struct skua__shared *shared)
{
    for (size_t i = after->bell_count; i > 0; i--) {
        if (after->bells[i - 1] == shared) {
            return;
        }
    }
    if (after->bell_count < SKUA__WAKE_CHUNK) {
        after->bells[after->bell_count++] = shared;
    } else {
        skua__jobring_wake(shared); /* under the lock, but not lost */
    }
}

static void flush(skua_pool *pool, struct skua__after *after)
{
    for (size_t i = 0; i < after->bell_count; i++) {
        /* Only the address is used: it may be unmapped by now. */
        skua__jobring_wake(after->bells[i]);
    }
    if (after->lane_flush != NULL) {
        after->lane_flush();
    }
    if (after->must_copy) {
        skua__pool_copy(pool);
    }
    while (after->released != NULL) {
        struct skua__loan *loan = after->released;
        after->released = loan->next;
        skua_buf_release(&(skua_buf){NULL, 0, loan});
    }
    while (after->freed != NULL) {
        struct skua__process *process = after->freed;
        after->freed = process->next_freed;
        skua__process_free(process);
    }
    /* Last, since who is woken may end the pool. */
    for (size_t i = 0; i < after->held_count; i++) {
        skua__task_go(after->held[i]);
    }
    skua__wake_list_flush(&after->wakes);
    skua__after_init(after);
}

/* Show workers what was put into their rings. */
static void publish(skua_pool *pool, struct skua__after *after)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(&pool->fresh)) != NULL) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, fresh);
        skua__jobring_set_sleeps(&process->ring, pool->sleep);
        skua__jobring_set_cpu(&process->ring, pool->cpu);
        if (skua__jobring_publish(&process->ring)) {
            skua__after_bell(after, process->arena.shared);
        }
    }
}

void skua__pool_unlock_after(skua_pool *pool, struct skua__after *after)
{
    publish(pool, after);
    while (after->must_dispatch || after->must_copy || after->released != NULL) {
        pool->callers++; /* nobody frees it while there is more to do in it */
        skua__pool_unlock(pool);
        flush(pool, after);
        skua__pool_lock(pool);
        skua__pool_dispatch(pool, after);
        skua__pool_leave(pool, after);
        publish(pool, after);
    }
    skua__pool_unlock(pool);
    flush(pool, after);
}

/* --- the end of a call ------------------------------------------------------------------------ */

static void wake_caller(struct skua__call *call, struct skua__after *after)
{
    struct skua__waiter *waiter = call->waiter;
    call->waiter = NULL;
    if (waiter != NULL && skua__waiter_claim(waiter)) {
        skua__wake_list_add(&after->wakes, waiter->parker);
    }
}

void skua__call_finish(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                       int status)
{
    skua_require(call->state == SKUA__CALL_NEW);
    skua__call_clear_timer(pool, call);
    if (call->in_loan != NULL) {
        skua__loan_drop(call->in_loan, after);
        call->in_loan = NULL;
    }
    call->status = status;
    call->state = SKUA__CALL_DONE;
    if (call->kind == SKUA__CALL_INIT) {
        skua__life_init_ended(SKUA_CONTAINER(call, struct skua__process, init), after);
        return;
    }
    pool->stats.answered++;
    pool->failed += status < 0;
    skua__life_drained(pool, after);
    if (call->kind == SKUA__CALL_FRAME) {
        wake_caller(call, after);
    } else if (call->kind == SKUA__CALL_TASK) {
        skua__submission_tell(call, after);
    } else {
        skua__stream_tell(call, after);
    }
}

void skua__call_fail(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                     int status, const char *format, ...)
{
    char *text = call->text != NULL ? NULL : skua__alloc(SKUA__CALL_TEXT_BYTES);
    if (text != NULL) { /* else the status has to say all */
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, SKUA__CALL_TEXT_BYTES, format, arguments);
        va_end(arguments);
        call->text = text;
    }
    skua__call_finish(pool, call, after, status);
}

void skua__call_crashed(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                        int status, const char *story)
{
    if (call->is_stopping) {
        skua__call_finish(pool, call, after, call->status);
    } else if (pool->state == SKUA__POOL_CLOSING) {
        skua__call_finish(pool, call, after, -ESHUTDOWN); /* it died of that */
    } else if (pool->state == SKUA__POOL_OPEN && call->attempts > 1) {
        call->attempts--;
        pool->stats.retried++;
        skua__pool_requeue(pool, call);
    } else {
        skua__call_fail(pool, call, after, status, "job '%s': %s", call->job->name, story);
    }
}

void skua__pool_hold_clock(const skua_pool *pool, bool holds)
{
    struct skua__director *director = pool->runtime->director;
    if (director != NULL && holds) {
        skua__fetch_add(&director->holds, 1, relaxed);
    } else if (director != NULL) {
        skua__fetch_sub(&director->holds, 1, relaxed);
    }
}

/* --- timers ----------------------------------------------------------------------------------- */

void skua__call_set_timer(skua_pool *pool, struct skua__call *call, int64_t due_ns)
{
    skua__call_clear_timer(pool, call);
    if (due_ns == SKUA__NEVER) {
        return;
    }
    call->due_ns = due_ns;
    call->has_timer = true;
    skua__heap_add(&pool->timers, &call->timer);
    if (pool->sleep != 0 && due_ns < pool->reactor_due_ns) {
        skua__pool_ring(pool);
    }
}

void skua__call_clear_timer(skua_pool *pool, struct skua__call *call)
{
    if (call->has_timer) {
        skua__heap_remove(&pool->timers, &call->timer);
        call->has_timer = false;
    }
}

void skua__pool_run_timers(skua_pool *pool, struct skua__after *after, int64_t now_ns)
{
    while (pool->timers.first != NULL && !skua__after_is_full(after)) {
        struct skua__call *call = SKUA_CONTAINER(pool->timers.first, struct skua__call, timer);
        if (call->due_ns > now_ns) {
            return;
        }
        skua__call_clear_timer(pool, call);
        skua__call_give_up(pool, call, after, -ETIMEDOUT);
    }
}

/* --- giving up -------------------------------------------------------------------------------- */

/* The job runs and has to go: after its grace, if it has any. */
static void stop_running(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                         int cause)
{
    struct skua__process *process = call->process;
    const bool is_over = call->is_stopping;
    if (!is_over && call->grace_ns > 0) {
        call->is_stopping = true;
        call->status = cause;
        skua__talk_stop(process, call);
        skua__call_set_timer(pool, call, skua__clock_real_ns() + call->grace_ns);
    } else {
        pool->stats.killed++;
        skua__process_stop_job(process, after, is_over ? call->status : cause);
    }
}

/* It says that it has begun this job, and has not answered the one before it. An honest worker's
   answer may not be seen yet: then it is a moment later. */
static void suspect(skua_pool *pool, struct skua__call *call, struct skua__after *after, int cause)
{
    struct skua__process *process = call->process;
    if (!call->is_stopping) {
        call->is_stopping = true;
        call->status = cause;
        skua__call_set_timer(pool, call, skua__clock_real_ns() + AGAIN_NS);
        return;
    }
    const int status = call->status;
    char story[SKUA__CALL_TEXT_BYTES];
    snprintf(story, sizeof story, "worker %d was killed for beginning jobs out of turn",
             (int)process->pid);
    skua__process_doom(process, after, -EPROTO, story);
    if (call->state != SKUA__CALL_DONE) { /* it waits again, or stands in another ring unseen */
        skua__call_give_up(pool, call, after, status);
    }
}

static void give_up_here(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                         int cause)
{
    struct skua__process *process = call->process;
    if (skua__call_revoke(call, after)) {
        skua__call_finish(pool, call, after, call->is_stopping ? call->status : cause);
        return;
    }
    skua__process_take_back(process, call->ticket, 0, after); /* so that nothing of it begins */
    skua__process_drain(process, after);
    if (call->state != SKUA__CALL_RUNNING || call->process != process) {
        return; /* it was answered in the last moment, or its worker has lied */
    }
    if (skua__jobring_oldest(&process->ring) == call->ticket) {
        stop_running(pool, call, after, cause);
    } else if (!skua__after_is_full(after)) {
        suspect(pool, call, after, cause);
    } else if (call->kind != SKUA__CALL_FRAME) { /* `after` is full: again, soon */
        skua__call_set_timer(pool, call, 1);
    }
}

void skua__call_give_up(skua_pool *pool, struct skua__call *call, struct skua__after *after,
                        int cause)
{
    switch (call->state) {
    case SKUA__CALL_PENDING:
        skua__pool_dequeue(pool, call);
        skua__call_finish(pool, call, after, cause);
        break;
    case SKUA__CALL_NEW:
        skua__call_finish(pool, call, after, cause);
        break;
    case SKUA__CALL_GRANTED:
        if (call->is_copied) { /* who copies will see it */
            call->is_stopping = true;
            call->status = cause;
        } else {
            skua__call_ungrant(call, after);
            skua__call_finish(pool, call, after, cause);
        }
        break;
    case SKUA__CALL_RUNNING:
        if (call->process != NULL) {
            give_up_here(pool, call, after, cause);
        } else if (skua__lane_take_back(call, cause)) {
            skua__call_finish(pool, call, after, cause);
        } else {
            call->is_stopping = true;
            call->status = cause;
        }
        break;
    default:
        return;
    }
    skua__pool_dispatch(pool, after);
}

/* --- the input -------------------------------------------------------------------------------- */

void skua__call_tell_granted(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    if (call->kind == SKUA__CALL_FRAME) {
        wake_caller(call, after);
    } else if (call->kind == SKUA__CALL_TASK) {
        skua__submission_tell(call, after);
    } else {
        skua__list_push_back(&pool->copies, &call->link);
        after->must_copy = true;
    }
}

void skua__call_load(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process = call->process;
    call->is_copied = true;
    skua__pool_unlock_after(pool, after);
    memcpy(skua__arena_in(&process->arena, call->block), call->in.data, call->in.bytes);
    skua__pool_lock(pool);
    call->is_copied = false;
    if (call->is_stopping) {
        skua__call_ungrant(call, after);
        skua__call_finish(pool, call, after, call->status);
    } else if (process->state == SKUA__PROCESS_READY) {
        skua__call_forward(call, after);
    } else { /* it was lost meanwhile */
        skua__call_ungrant(call, after);
        skua__pool_requeue(pool, call);
    }
    skua__pool_dispatch(pool, after);
}

/* A stream's calls are copied by a task of the pool, or by whoever could not start one. */
static int copy_task(void *arg)
{
    skua_pool *pool = arg;
    struct skua__after after;
    skua__after_init(&after);
    struct skua__link *link;
    skua__pool_lock(pool);
    while ((link = skua__list_pop_front(&pool->copies)) != NULL) {
        skua__call_load(pool, SKUA_CONTAINER(link, struct skua__call, link), &after);
    }
    skua__pool_leave(pool, &after);
    skua__pool_unlock_after(pool, &after);
    return 0;
}

void skua__pool_copy(skua_pool *pool)
{
    const skua_spawn_opts opts = {.name = "skua-pool-copy"};
    skua__pool_lock(pool);
    skua__pool_enter(pool);
    skua__pool_unlock(pool);
    if (skua__submit_own(pool->runtime, copy_task, pool, &opts) < 0) {
        copy_task(pool);
    }
}

/* --- calls that somebody waits for ------------------------------------------------------------ */

/* How long to wait: SKUA_NOW limits only the search for a process. */
static int64_t limit_ns(skua_time deadline)
{
    return skua__is_now(deadline) ? SKUA__NEVER : skua__deadline_ns(deadline);
}

static bool is_over(skua_time deadline)
{
    int64_t limit = limit_ns(deadline);
    return limit != SKUA__NEVER && limit <= skua__clock_ns();
}

void skua__call_seek(skua_pool *pool, struct skua__call *call, skua_time deadline,
                     struct skua__after *after)
{
    const bool is_now = skua__is_now(deadline);
    if (pool->is_draining && pool->state == SKUA__POOL_OPEN) {
        skua__call_finish(pool, call, after, -ESHUTDOWN);
    } else if (is_over(deadline)) {
        skua__call_finish(pool, call, after, -ETIMEDOUT);
    } else if (is_now && pool->state == SKUA__POOL_OPEN &&
               (skua__list_is_empty(&pool->idle) || pool->pending_mask != 0)) {
        skua__call_finish(pool, call, after, -EAGAIN);
    } else {
        skua__pool_enqueue(pool, call);
        skua__pool_dispatch_new(pool, call, after);
    }
}

/* Sleep until something happens to the call. Returns what skua__wait_park() says. */
static int wait(skua_pool *pool, struct skua__call *call, skua_time deadline,
                struct skua__after *after)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    const bool is_stopping = call->is_stopping;
    skua__wait_begin_for(&wait, is_stopping ? SKUA__HARD : SKUA__SOFT, "a job of a process pool");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    call->waiter = &waiter;
    skua__pool_unlock_after(pool, after);
    int cause = skua__wait_park_real(&wait, is_stopping ? SKUA__NEVER : limit_ns(deadline));
    skua__pool_lock(pool);
    call->waiter = NULL;
    return cause;
}

/* Might the answer be here before a sleep and its wake would be over? Its worker is awake, on
   another processor, and has nothing else to do, and its jobs are very short. */
static bool is_soon(const struct skua__call *call)
{
    const struct skua__process *process = call->process;
    return call->state == SKUA__CALL_RUNNING && process != NULL && !call->is_stopping &&
           process->run_ns >= 0 && process->run_ns < SHORT_JOB_NS &&
           skua__jobring_live(&process->ring) == 1 &&
           skua__load(&process->arena.shared->worker_sleeps, relaxed) == 0 &&
           !skua__jobring_is_on(&process->ring, (uint32_t)sched_getcpu());
}

/* Look for the answer for a moment. The reactor may take it meanwhile. */
static void spin(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process = call->process;
    const struct skua__shared *shared = process->arena.shared;
    const uint32_t seen = process->ring.response_read;
    process->references++; /* for the mapping */
    skua__pool_unlock_after(pool, after);
    const int64_t until_ns = skua__clock_real_ns() + SPIN_NS;
    do {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            skua__spin_pause();
        }
    } while (skua__load(&shared->response_write, relaxed) == seen &&
             skua__clock_real_ns() < until_ns);
    skua__pool_lock(pool);
    if (process->state == SKUA__PROCESS_READY) {
        skua__process_drain(process, after);
        skua__pool_dispatch(pool, after);
    }
    skua__process_unref(process, after);
}

void skua__call_run(skua_pool *pool, struct skua__call *call, skua_time deadline, int cause,
                    struct skua__after *after)
{
    bool has_spun = false;
    while (call->state != SKUA__CALL_DONE) {
        if (skua__after_is_full(after)) {
            skua__pool_unlock_after(pool, after);
            skua__pool_lock(pool);
        } else if (cause < 0 && cause != SKUA__RECHECK && !call->is_stopping) {
            skua__call_give_up(pool, call, after, cause);
        } else if (call->state == SKUA__CALL_NEW) {
            skua__call_seek(pool, call, deadline, after);
        } else if (call->state == SKUA__CALL_GRANTED && !is_over(deadline)) {
            skua__call_load(pool, call, after);
        } else if (!has_spun && is_soon(call)) {
            has_spun = true;
            spin(pool, call, after);
        } else {
            cause = wait(pool, call, deadline, after);
        }
    }
}

/* A reactor that sleeps for good begins to look by itself when there is something to look for. */
void skua__pool_enter(skua_pool *pool)
{
    if (pool->callers++ == 0 && pool->sleep != 0 && pool->reactor_due_ns == SKUA__NEVER) {
        skua__pool_ring(pool);
    }
}

void skua__pool_leave(skua_pool *pool, struct skua__after *after)
{
    if (--pool->callers == 0) {
        skua__pool_notify(pool, after);
    }
}

void skua__call_init(struct skua__call *call, const skua_job *job, skua_bytes in,
                     const skua_call_opts *opts)
{
    *call = (struct skua__call){
        .kind = SKUA__CALL_FRAME, .priority = 3, .attempts = 1, .job = job, .in = in};
    if (opts == NULL) {
        return;
    }
    call->priority = (uint8_t)(SKUA__PRIORITY_MAX - opts->priority);
    call->attempts = opts->attempts;
    call->grace_ns = opts->grace_ns;
    if (opts->in_buf != NULL) {
        call->in = (skua_bytes){opts->in_buf->data, opts->in_buf->bytes};
        call->in_loan = opts->in_buf->owner;
    }
    if (opts->fd_count > 0 || opts->channel_count > 0 || opts->reply_fds != NULL ||
        opts->progress != NULL) {
        call->opts = opts;
    }
}

static bool opts_are_bad(const skua_pool *pool, const skua_call_opts *opts)
{
    if (opts == NULL) {
        return false;
    }
    const struct skua__loan *loan = opts->in_buf != NULL ? opts->in_buf->owner : NULL;
    if (loan != NULL && loan->kind == SKUA__LOAN_FREE) {
        skua__panic("a buffer that is given to pool '%s' is not the program's any more",
                    pool->name);
    }
    return opts->priority < SKUA__PRIORITY_MIN || opts->priority > SKUA__PRIORITY_MAX ||
           opts->grace_ns < 0 || opts->fd_count > SKUA_POOL_FDS_MAX ||
           opts->channel_count > SKUA_POOL_CHANNELS_MAX || (loan != NULL && loan->pool != pool) ||
           (opts->reply_fds != NULL && opts->reply_fd_count == NULL);
}

int skua__call_check(const skua_pool *pool, const skua_job *job, skua_bytes in,
                     const skua_call_opts *opts)
{
    if (opts_are_bad(pool, opts)) {
        return -EINVAL;
    }
    if (opts != NULL && opts->reply_fds != NULL) {
        *opts->reply_fd_count = 0;
    }
    const bool is_buf = opts != NULL && opts->in_buf != NULL;
    if ((is_buf ? opts->in_buf->bytes : in.bytes) > pool->payload_max) {
        return -EMSGSIZE;
    }
    return skua__job_is_late(job, pool->job_count) ? skua__job_prepare(job)
                                                   : (job->number == 0 ? -ENOENT : 0);
}

void skua__call_deliver(struct skua__call *call, skua_buf *out, struct skua__after *after)
{
    if (out != NULL) {
        skua__loan_deliver(call->answer, out);
    } else if (call->answer != NULL) {
        skua__loan_drop(call->answer, after);
    }
}

int skua__call_say(struct skua__call *call)
{
    const int status = call->status;
    if (status < 0 && call->text != NULL) {
        const int code = skua_fail(status, "%s", call->text);
        (void)code;
    }
    skua__free(call->text);
    return status;
}

int skua_pool_call_with(skua_pool *pool, const skua_job *job, skua_bytes in,
                        const skua_call_opts *opts, skua_buf *out, skua_time deadline)
{
    if (out != NULL) {
        *out = (skua_buf){NULL, 0, NULL};
    }
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    int error = skua__call_check(pool, job, in, opts);
    if (error < 0) {
        return error;
    }
    struct skua__call call;
    struct skua__after after;
    skua__call_init(&call, job, in, opts);
    if (call.in_loan != NULL) {
        *opts->in_buf = (skua_buf){NULL, 0, NULL};
    }
    skua__after_init(&after);
    const int cause = skua__cancel_point();
    skua__pool_lock(pool);
    skua__pool_enter(pool);
    skua__call_run(pool, &call, deadline, cause, &after);
    skua__call_deliver(&call, out, &after);
    skua__pool_leave(pool, &after);
    skua__pool_unlock_after(pool, &after);
    return skua__call_say(&call);
}

int skua_pool_call(skua_pool *pool, const skua_job *job, skua_bytes in, skua_buf *out,
                   skua_time deadline)
{
    return skua_pool_call_with(pool, job, in, NULL, out, deadline);
}
