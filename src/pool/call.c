/* Calls: how a job gets from its caller to a worker process and its answer back.

   A caller that finds an idle process sends its request itself; no other task is involved until the
   answer comes. Else its call waits in pool->pending, and whoever frees a process (the reactor as a
   rule) gives it the oldest call: a short input is copied at once, under the lock; for a long one
   the caller is woken to copy it, so that neither the reactor nor the lock is held up.

   Invariants
   (C1) pending is not empty only while no process is IDLE.
   (C2) A process runs one job at a time: it has a call from the grant to the response, and what it
        wrote counts only while it has.
   (C3) The caller's frame and input are touched only under the lock and before DONE, or by the
        caller.
   (C4) An answer on loan keeps its area and the record of its process. When a loan would leave its
        process without a free area, the caller copies the answer instead: however many answers a
        program holds on to, the workers go on.
   (C5) A job that has started and whose caller has left is killed with its process, never awaited.

   (C6) A call whose worker was dead before it took the request has not begun, and gets another one:
        workers that are killed while idle fail no job.

   Who runs it: callers (tasks, foreign threads), the reactor, the supervisor. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/state.h"
#include "sched/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    SHORT_BYTES = 8192,
    RESTARTS_MAX = 8, /* a worker could lie about what it has taken */
};

/* Behind it lies a copied answer. */
union copied {
    struct skua__loan loan;
    max_align_t alignment;
};

void skua__after_flush(struct skua__after *after)
{
    skua__wake_list_flush(&after->wakes);
    for (size_t i = 0; i < after->bell_count; i++) {
        skua__jobring_bell(
            after->bells[i]); /* only the address is used: it may be unmapped by now */
    }
    after->bell_count = 0;
}

static void wake_caller(struct skua__call *call, struct skua__after *after)
{
    if (call->waiter.parker != NULL && skua__waiter_claim(&call->waiter)) {
        skua__wake_list_add(&after->wakes, call->waiter.parker);
    }
}

static void finish(struct skua__call *call, struct skua__after *after, int status)
{
    call->process = NULL;
    call->status = status;
    call->state = SKUA__CALL_DONE;
    wake_caller(call, after);
}

void skua__call_fail(struct skua__call *call, struct skua__after *after, int status,
                     const char *format, ...)
{
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(call->text, sizeof call->text, format, arguments);
        va_end(arguments);
    }
    finish(call, after, status);
}

/* The input is in place. */
static void send_request(struct skua__process *process, struct skua__call *call,
                         struct skua__after *after)
{
    process->ticket++;
    process->answer = (uint32_t)__builtin_ctz(process->free_answers);
    const struct skua__request request = {.ticket = process->ticket,
                                          .job_hash = call->job->name_hash,
                                          .in_bytes = call->in.bytes,
                                          .job_number = call->job->number,
                                          .answer = process->answer};
    call->state = SKUA__CALL_RUNNING;
    skua__jobring_set_sleeps(&process->ring, process->pool->reactor_sleeps);
    if (skua__jobring_send(&process->ring, &request)) {
        after->bells[after->bell_count++] = process->arena.shared;
    }
}

/* The idle process gets the call: RUNNING if its input is short, else GRANTED. */
static void grant(struct skua__process *process, struct skua__call *call, struct skua__after *after)
{
    skua__list_remove(&process->idle);
    process->state = SKUA__PROCESS_BUSY;
    process->call = call;
    call->process = process;
    if (call->in.bytes <= SHORT_BYTES) {
        if (call->in.bytes > 0) {
            memcpy(skua__arena_input(&process->arena), call->in.data, call->in.bytes);
        }
        send_request(process, call, after);
    } else {
        process->references++;
        call->state = SKUA__CALL_GRANTED;
    }
}

/* The oldest waiting call gets the first idle process, if there are both. */
static void hand_out(skua_pool *pool, struct skua__after *after)
{
    struct skua__link *idle = skua__list_first(&pool->idle);
    struct skua__link *next = idle != NULL ? skua__list_pop_front(&pool->pending) : NULL;
    if (next != NULL) {
        struct skua__call *call = SKUA_CONTAINER(next, struct skua__call, link);
        grant(SKUA_CONTAINER(idle, struct skua__process, idle), call, after);
        if (call->state == SKUA__CALL_GRANTED) {
            wake_caller(call, after);
        }
    }
}

bool skua__call_restart(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    if (pool->state != SKUA__POOL_OPEN || call->restarts == RESTARTS_MAX) {
        return false;
    }
    call->restarts++;
    call->process = NULL;
    call->state = SKUA__CALL_PENDING;
    skua__list_push_front(&pool->pending, &call->link);
    hand_out(pool, after);
    return true;
}

void skua__process_settle(struct skua__process *process, struct skua__after *after)
{
    skua_pool *pool = process->pool;
    process->call = NULL;
    if (process->free_answers == 0) {
        process->state = SKUA__PROCESS_FULL;
        return;
    }
    process->state = SKUA__PROCESS_IDLE;
    /* The last one to finish is the first to go on: its caches are warm. */
    skua__list_push_front(&pool->idle, &process->idle);
    hand_out(pool, after);
}

/* The worker has written what no honest worker writes. */
static void punish(struct skua__process *process, struct skua__after *after, const char *lie)
{
    struct skua__call *call = process->call;
    skua__process_doom(process);
    skua__call_fail(call, after, -EPROTO, "job '%s': worker %d was killed for writing %s",
                    call->job->name, (int)process->pid, lie);
}

static void lend(struct skua__process *process, struct skua__call *call, size_t bytes)
{
    process->free_answers &= ~(1u << process->answer);
    process->references++;
    process->pool->loans++;
    call->loan = &process->loans[process->answer];
    call->answer_bytes = bytes;
    call->must_copy = process->free_answers == 0; /* (C4) */
}

bool skua__process_take(struct skua__process *process, struct skua__after *after)
{
    struct skua__call *call = process->call;
    if (process->state != SKUA__PROCESS_BUSY || call->state != SKUA__CALL_RUNNING) {
        return false;
    }
    struct skua__response response;
    int taken = skua__jobring_take(&process->ring, &response);
    if (taken == 0) {
        return false;
    }
    if (taken < 0) {
        punish(process, after, "a wrong ring index");
    } else if (response.ticket != process->ticket || response.answer != process->answer) {
        punish(process, after, "an answer to another job");
    } else if (response.bytes > process->pool->payload_max) {
        punish(process, after, "an answer of impossible size");
    } else {
        if (response.bytes > 0) {
            lend(process, call, (size_t)response.bytes);
        }
        process->call = NULL;
        finish(call, after, response.status);
    }
    return true;
}

bool skua__process_drain(struct skua__process *process, struct skua__after *after)
{
    if (!skua__process_take(process, after)) {
        return false;
    }
    if (process->state == SKUA__PROCESS_BUSY) { /* else it has lied */
        skua__process_settle(process, after);
    }
    return true;
}

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

/* A NEW call looks for a process. */
static void seek(skua_pool *pool, struct skua__call *call, skua_time deadline,
                 struct skua__after *after)
{
    struct skua__link *idle = skua__list_first(&pool->idle);
    if (pool->state == SKUA__POOL_BROKEN) {
        skua__call_fail(call, after, -EOWNERDEAD, "job '%s': the zygote was killed",
                        call->job->name);
    } else if (pool->state == SKUA__POOL_CLOSING) {
        finish(call, after, -ESHUTDOWN);
    } else if (is_over(deadline)) {
        finish(call, after, -ETIMEDOUT);
    } else if (idle != NULL) {
        grant(SKUA_CONTAINER(idle, struct skua__process, idle), call, after);
    } else if (skua__is_now(deadline)) {
        finish(call, after, -EAGAIN);
    } else {
        call->state = SKUA__CALL_PENDING;
        skua__list_push_back(&pool->pending, &call->link);
    }
}

/* A GRANTED call brings its input, without the lock, and sends its request. If the process is lost
   meanwhile, or the pool, the call is NEW again. */
static void load(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process = call->process;
    skua__pool_unlock(pool);
    skua__after_flush(after);
    memcpy(skua__arena_input(&process->arena), call->in.data, call->in.bytes);
    skua__pool_lock(pool);
    if (process->state == SKUA__PROCESS_BUSY) {
        send_request(process, call, after);
    } else {
        call->process = NULL;
        call->state = SKUA__CALL_NEW;
    }
    struct skua__process *last = skua__process_unref(process);
    if (last != NULL) {
        skua__pool_unlock(pool);
        skua__process_free(last);
        skua__pool_lock(pool);
    }
}

/* The caller gives up, unless the answer is there. */
static void withdraw(struct skua__call *call, struct skua__after *after, int cause)
{
    struct skua__process *process = call->process;
    struct skua__process *last = NULL;
    call->waiter.parker = NULL;
    if (call->state == SKUA__CALL_PENDING) {
        skua__list_remove(&call->link);
    } else if (call->state == SKUA__CALL_RUNNING) {
        if (skua__process_drain(process, after)) {
            return;
        }
        skua__process_doom(process); /* (C5) */
    } else if (call->state == SKUA__CALL_GRANTED) {
        if (process->state == SKUA__PROCESS_BUSY) {
            skua__process_settle(process, after);
        }
        last = skua__process_unref(process);
    }
    finish(call, after, cause);
    skua__process_free(last); /* rare: the process died between the grant and now */
}

/* Sleep until something happens to the call. Returns what skua__wait_park() says. */
static int wait(skua_pool *pool, struct skua__call *call, skua_time deadline,
                struct skua__after *after)
{
    struct skua__wait wait;
    skua__wait_begin_for(&wait, SKUA__SOFT, "a job of a process pool");
    skua__waiter_init(&call->waiter, &wait, 0, NULL);
    skua__pool_unlock(pool);
    skua__after_flush(after);
    int cause = skua__wait_park_real(&wait, limit_ns(deadline));
    skua__pool_lock(pool);
    return cause;
}

/* A reactor that sleeps for good begins to look by itself when there is something to look for. The
   bell is open while the pool is. */
static void enter(skua_pool *pool)
{
    if (pool->callers++ == 0 && pool->reactor_deep && pool->state == SKUA__POOL_OPEN) {
        const uint64_t one = 1;
        pool->reactor_deep = false;
        if (write(pool->bell, &one, sizeof one) < 0) {
            return; /* it is full, so it rings already */
        }
    }
}

static void leave(skua_pool *pool)
{
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    if (--pool->callers == 0) {
        skua__pool_notify(pool, &after);
    }
    skua__pool_unlock(pool);
    skua__after_flush(&after);
}

/* Until the call is DONE. */
static void run(skua_pool *pool, struct skua__call *call, skua_time deadline)
{
    struct skua__after after;
    skua__after_init(&after);
    int cause = skua__cancel_point();
    skua__pool_lock(pool);
    enter(pool);
    while (call->state != SKUA__CALL_DONE) {
        if (cause < 0 && cause != SKUA__RECHECK) {
            withdraw(call, &after, cause);
        } else if (call->state == SKUA__CALL_NEW) {
            seek(pool, call, deadline, &after);
        } else if (call->state == SKUA__CALL_GRANTED && !is_over(deadline)) {
            load(pool, call, &after);
        } else {
            cause = wait(pool, call, deadline, &after);
        }
    }
    skua__pool_unlock(pool);
    skua__after_flush(&after);
}

/* The answer is needed out of the way: an own copy of it is lent. */
static int copy_answer(struct skua__call *call, skua_buf *out)
{
    skua_buf shared = *out;
    union copied *copy = skua__alloc(sizeof *copy + shared.bytes);
    if (copy != NULL) {
        memcpy(copy + 1, shared.data, shared.bytes);
    }
    skua_buf_release(&shared);
    if (copy == NULL) {
        *out = (skua_buf){NULL, 0, NULL};
        return -ENOMEM;
    }
    *out = (skua_buf){copy + 1, call->answer_bytes, &copy->loan};
    return call->status;
}

static int deliver(struct skua__call *call, skua_buf *out)
{
    if (call->loan != NULL) {
        const struct skua__loan *loan = call->loan;
        out->data = skua__arena_answer(&loan->process->arena, loan->answer);
        out->bytes = call->answer_bytes;
        out->owner = call->loan;
        return call->must_copy ? copy_answer(call, out) : call->status;
    }
    if (call->text[0] != '\0') {
        return skua_fail(call->status, "%s", call->text);
    }
    return call->status;
}

int skua_pool_call(skua_pool *pool, const skua_job *job, skua_bytes in, skua_buf *out,
                   skua_time deadline)
{
    *out = (skua_buf){NULL, 0, NULL};
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (in.bytes > pool->payload_max) {
        return -EMSGSIZE;
    }
    if (job->number == 0 || job->number > pool->job_count) {
        return -ENOENT;
    }
    struct skua__call call = {.state = SKUA__CALL_NEW, .job = job, .in = in};
    run(pool, &call, deadline);
    int status = deliver(&call, out);
    leave(pool);
    return status;
}

/* The area may be written again. */
static void take_back(struct skua__loan *loan)
{
    struct skua__process *process = loan->process;
    skua_pool *pool = process->pool;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    skua_require((process->free_answers & (1u << loan->answer)) == 0); /* else released twice */
    process->free_answers |= 1u << loan->answer;
    pool->loans--;
    if (process->state == SKUA__PROCESS_FULL) {
        skua__process_settle(process, &after);
    }
    struct skua__process *last = skua__process_unref(process);
    skua__pool_unlock(pool);
    skua__after_flush(&after);
    skua__process_free(last);
}

void skua_buf_release(skua_buf *buf)
{
    struct skua__loan *loan = buf->owner;
    const size_t bytes = buf->bytes;
    *buf = (skua_buf){NULL, 0, NULL};
    if (loan == NULL || skua__forked()) {
        return;
    }
    if (loan->process == NULL) {
        skua__free(loan);
        return;
    }
    skua__arena_trim(skua__arena_answer(&loan->process->arena, loan->answer), 0, bytes);
    take_back(loan);
}
