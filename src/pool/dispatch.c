/* Who gets which call: from the waiting lists to processes and lanes, and back.

   A worker with short jobs has several requests in its ring, so that neither it nor we wait for the
   other between two of them: as many as fill FILL_NS, by the measured length of its jobs. What
   stands in a ring can be taken back until the worker begins it (ring.h), so this decides nothing
   for good: a call that is withdrawn kills nobody, one that stands behind a long job goes to
   whoever is idle, and one of a higher priority passes.

   Invariants
   (D1) A READY process stands in pool->idle if it has neither requests nor GRANTED calls, in
        pool->open if it has some and may have more, else in neither.
   (D2) While a call is PENDING no process is idle and open to it, except while the lock is held and
        until the next dispatch. Whoever makes room dispatches.
   (D3) pool->busy holds the processes with requests, and is in the order of since_ns.
   (D4) Each priority's calls wait in the order of `sequence`, but for those that were GRANTED.
   (D5) The memory of IN that is lent to the program always leaves a block for the largest payload
        (payload.c), so that a process without requests has room for every call.

   A long input is not copied under the lock. Its call is GRANTED: a place and a block are its own,
   and somebody (its caller, or a task of the pool) copies and comes back to send it. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/lane.h"
#include "pool/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    COPY_BYTES = 4096,    /* so much is copied under the lock */
    FILL_NS = 50 * 1000,  /* worth of jobs in a ring */
    JOB_NS = 300,         /* what a job costs besides its function */
    STUCK_NS = 50 * 1000, /* a job that has run for so long holds up what is behind it */
    CANDIDATES_MAX = 8,   /* processes that are asked for memory */
    LONG_AGO_MAX = 64,    /* processes that are looked at for what is stuck */
    LIMIT_MAX = SKUA__REQUEST_SLOTS - 1,
};

/* --- lists ------------------------------------------------------------------------------------ */

static void unlink_if_linked(struct skua__link *link)
{
    if (skua__link_is_linked(link)) {
        skua__list_remove(link);
    }
}

void skua__process_settle(struct skua__process *process)
{
    skua_pool *pool = process->pool;
    unlink_if_linked(&process->place);
    const uint32_t live = skua__jobring_live(&process->ring);
    if (live == 0) {
        unlink_if_linked(&process->busy);
    }
    if (process->state != SKUA__PROCESS_READY) {
        return;
    }
    const uint32_t load = live + process->granted;
    skua__life_wear(process, load);
    if (load == 0 && !process->is_retiring) {
        /* The last one to finish is the first to go on: its caches are warm. */
        skua__list_push_front(&pool->idle, &process->place);
    } else if (load < process->limit && !process->is_retiring) {
        skua__list_push_back(&pool->open, &process->place);
    }
}

void skua__process_note_head(struct skua__process *process, int64_t since_ns)
{
    struct skua__list *busy = &process->pool->busy;
    process->since_ns = since_ns;
    unlink_if_linked(&process->busy);
    struct skua__link *before = busy->head.prev;
    while (before != &busy->head &&
           SKUA_CONTAINER(before, struct skua__process, busy)->since_ns > since_ns) {
        before = before->prev; /* a few steps, and only for one that has ignored requests */
    }
    skua__list_insert_behind(before, &process->busy);
}

/* What is put into an empty ring. One that was given others, and let them be until they were taken
   back, is as late as it is with the first of them (P5). */
static void note_first(struct skua__process *process, uint64_t latest)
{
    const uint32_t read = skua__load(&process->arena.shared->request_read, relaxed);
    if (read == (uint32_t)latest) {
        process->ignored_ns = 0; /* it has looked at all of them */
    }
    skua__process_note_head(process, skua__clock_real_ns() - process->ignored_ns);
}

/* It had something until now, and does not any more; it has not begun it. */
static void note_ignored(struct skua__process *process)
{
    if (skua__jobring_live(&process->ring) == 0) {
        process->ignored_ns = skua__clock_real_ns() - process->since_ns;
    }
}

void skua__pool_enqueue(skua_pool *pool, struct skua__call *call)
{
    call->state = SKUA__CALL_PENDING;
    call->sequence = pool->sequence++;
    skua__list_push_back(&pool->pending[call->priority], &call->link);
    pool->pending_mask |= 1u << call->priority;
    pool->pending_count++;
}

void skua__pool_requeue(skua_pool *pool, struct skua__call *call)
{
    call->state = SKUA__CALL_PENDING;
    skua__list_push_front(&pool->pending[call->priority], &call->link);
    pool->pending_mask |= 1u << call->priority;
    pool->pending_count++;
}

void skua__pool_dequeue(skua_pool *pool, struct skua__call *call)
{
    skua__list_remove(&call->link);
    if (skua__list_is_empty(&pool->pending[call->priority])) {
        pool->pending_mask &= ~(1u << call->priority);
    }
    pool->pending_count--;
    call->state = SKUA__CALL_NEW;
}

static struct skua__call *next_pending(const skua_pool *pool)
{
    if (pool->pending_mask == 0) {
        return NULL;
    }
    const uint32_t priority = (uint32_t)__builtin_ctz(pool->pending_mask);
    return SKUA_CONTAINER(skua__list_first(&pool->pending[priority]), struct skua__call, link);
}

/* --- a call and its process ------------------------------------------------------------------- */

static void free_block(struct skua__call *call, struct skua__after *after)
{
    if (call->has_block) {
        struct skua__process *process = call->process;
        skua__arena_trim(process->arena.in, call->block, 0, call->in.bytes);
        const bool was_taken = skua__heap_give(&process->in, call->block);
        skua_require(was_taken);
        call->has_block = false;
        skua__pool_notify_memory(process->pool, after);
    }
}

void skua__call_detach(struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process = call->process;
    skua__talk_end(process, call, after);
    process->pool->in_rings[call->priority] -= call->kind != SKUA__CALL_INIT;
    free_block(call, after);
    call->process = NULL;
    call->state = SKUA__CALL_NEW;
}

bool skua__call_revoke(struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process = call->process;
    if (!skua__jobring_revoke(&process->ring, call->ticket)) {
        return false;
    }
    note_ignored(process);
    skua__call_detach(call, after);
    skua__process_settle(process);
    return true;
}

void skua__call_ungrant(struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process = call->process;
    process->granted--;
    free_block(call, after);
    call->process = NULL;
    call->state = SKUA__CALL_NEW;
    unlink_if_linked(&call->link);
    skua__process_settle(process);
    skua__process_unref(process, after);
}

/* Where its input lies for the worker. */
static uint16_t input_place(const struct skua__call *call)
{
    if (call->in.bytes == 0) {
        return SKUA__NOTHING;
    }
    const bool is_there = call->in_loan != NULL && call->in_loan->process == call->process;
    return call->has_block || is_there ? SKUA__BLOCK : SKUA__INLINE;
}

/* The input is in its place, or short. */
void skua__call_put(struct skua__call *call)
{
    struct skua__process *process = call->process;
    skua_pool *pool = process->pool;
    const uint16_t where = input_place(call);
    const skua_call_opts *opts = call->opts;
    const struct skua__request request = {
        .job_hash = call->job->name_hash,
        .in_bytes = call->in.bytes,
        .in_block = where == SKUA__BLOCK ? call->block : SKUA__NO_BLOCK,
        .job_number = call->job->number,
        .kind = call->kind == SKUA__CALL_INIT ? SKUA__REQUEST_INIT : SKUA__REQUEST_RUN,
        .in_where = where,
        .in_is_lent = !call->has_block,
        .channel_count = (uint16_t)(opts != NULL ? opts->channel_count : 0),
        .fd_count = (uint16_t)(opts != NULL ? opts->fd_count : 0)};
    call->state = SKUA__CALL_RUNNING;
    pool->in_rings[call->priority] += call->kind != SKUA__CALL_INIT;
    const uint64_t latest = process->ring.last;
    call->ticket = skua__jobring_put(&process->ring, &request,
                                     where == SKUA__INLINE ? call->in.data : NULL, call);
    skua__talk_begin(process, call);
    if (!skua__link_is_linked(&process->busy)) {
        note_first(process, latest);
    }
    if (!skua__link_is_linked(&process->fresh)) {
        skua__list_push_back(&pool->fresh, &process->fresh);
    }
}

void skua__call_forward(struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process = call->process;
    skua_require(call->state == SKUA__CALL_GRANTED && process->state == SKUA__PROCESS_READY);
    process->granted--;
    skua__call_put(call);
    skua__process_settle(process);
    skua__process_unref(process, after);
}

/* Find memory for the input in the process. False: there is none now. */
static bool find_block(struct skua__process *process, struct skua__call *call)
{
    if (call->in_loan != NULL && call->in_loan->process == process) {
        call->block = call->in_loan->block;
        return true;
    }
    if (call->in.bytes <= SKUA__IN_INLINE_BYTES) {
        return true;
    }
    call->block = skua__heap_take(&process->in, call->in.bytes);
    call->has_block = call->block != SKUA__NO_BLOCK;
    return call->has_block;
}

/* The process, which has room, gets the call, which waits in no list: RUNNING, or GRANTED. False:
   it has no memory for it. */
static bool grant(struct skua__process *process, struct skua__call *call, struct skua__after *after)
{
    if (!skua__late_ready(process, call->job) || !find_block(process, call)) {
        return false;
    }
    call->process = process;
    if (call->kind == SKUA__CALL_STREAM) {
        skua__stream_placed(call, after);
    }
    if (!call->has_block || call->in.bytes <= COPY_BYTES) {
        if (call->has_block) {
            memcpy(skua__arena_in(&process->arena, call->block), call->in.data, call->in.bytes);
        }
        skua__call_put(call);
    } else {
        call->state = SKUA__CALL_GRANTED;
        process->granted++;
        process->references++;
        skua__call_tell_granted(process->pool, call, after);
    }
    skua__process_settle(process);
    return true;
}

/* --- handing out ------------------------------------------------------------------------------ */

static bool grant_first_of(struct skua__list *list, struct skua__call *call,
                           struct skua__after *after)
{
    int asked = 0;
    for (struct skua__link *link = list->head.next; link != &list->head && asked < CANDIDATES_MAX;
         link = link->next, asked++) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, place);
        if (skua__jobring_room(&process->ring) > process->granted && grant(process, call, after)) {
            return true;
        }
    }
    return false;
}

/* The process that has the input already, if it has room. */
static bool grant_at_home(struct skua__call *call, struct skua__after *after)
{
    struct skua__process *home = call->in_loan != NULL ? call->in_loan->process : NULL;
    return home != NULL && skua__link_is_linked(&home->place) &&
           skua__jobring_room(&home->ring) > home->granted && grant(home, call, after);
}

/* The process that has the item before this one of a stream in chunks. */
static bool grant_in_chunk(struct skua__call *call, struct skua__after *after)
{
    struct skua__process *process =
        call->kind == SKUA__CALL_STREAM ? skua__stream_near(call) : NULL;
    return process != NULL && process->state == SKUA__PROCESS_READY && !process->is_retiring &&
           process->limit > 1 && /* else it was relieved of it */
           skua__jobring_room(&process->ring) > process->granted && grant(process, call, after);
}

static bool offer(skua_pool *pool, struct skua__call *call, bool is_idle_only,
                  struct skua__after *after)
{
    return !skua__list_is_empty(&pool->lanes) && skua__lanes_offer(pool, call, is_idle_only, after);
}

/* Idle workers first, here and elsewhere; then those who will soon be. */
static bool place(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    return grant_at_home(call, after) || grant_in_chunk(call, after) ||
           grant_first_of(&pool->idle, call, after) || offer(pool, call, true, after) ||
           grant_first_of(&pool->open, call, after) || offer(pool, call, false, after);
}

/* The pool takes no job any more. */
static void refuse(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    if (pool->state == SKUA__POOL_BROKEN) {
        skua__call_fail(pool, call, after, -EOWNERDEAD, "job '%s': the zygote was killed",
                        call->job->name);
    } else {
        skua__call_finish(pool, call, after, -ESHUTDOWN);
    }
}

void skua__pool_dispatch(skua_pool *pool, struct skua__after *after)
{
    struct skua__call *call;
    while ((call = next_pending(pool)) != NULL) {
        if (skua__after_is_full(after)) {
            after->must_dispatch = true;
            return;
        }
        if (pool->state != SKUA__POOL_OPEN) {
            skua__pool_dequeue(pool, call);
            refuse(pool, call, after);
            continue;
        }
        const uint64_t sequence = call->sequence;
        skua__pool_dequeue(pool, call);
        if (!place(pool, call, after)) {
            call->sequence = sequence;
            skua__pool_requeue(pool, call);
            return;
        }
    }
}

/* --- taking back ------------------------------------------------------------------------------ */

/* The oldest request of the process that waits behind another one, or NULL. */
static struct skua__call *second_of(struct skua__process *process)
{
    struct skua__jobring *ring = &process->ring;
    const uint64_t oldest = skua__jobring_oldest(ring);
    const uint64_t second = oldest != 0 ? skua__jobring_next(ring, oldest) : 0;
    return second != 0 ? skua__jobring_sent(ring, second)->owner : NULL;
}

void skua__process_take_back(struct skua__process *process, uint64_t ticket, uint8_t priority,
                             struct skua__after *after)
{
    struct skua__jobring *ring = &process->ring;
    for (uint64_t behind = skua__jobring_newest(ring); behind > ticket;) {
        const uint64_t before = skua__jobring_previous(ring, behind);
        struct skua__call *call = skua__jobring_sent(ring, behind)->owner;
        if (call != NULL && call->priority >= priority && skua__call_revoke(call, after)) {
            process->pool->stats.requeued++;
            skua__pool_requeue(process->pool, call);
        }
        behind = before;
    }
}

/* The job that the process runs takes long, and others wait behind it: they go elsewhere, unless
   those who came before them still wait. */
static void relieve(struct skua__process *process, const struct skua__call *second,
                    struct skua__after *after)
{
    const struct skua__call *pending = next_pending(process->pool);
    if (pending == NULL ||
        (second->priority <= pending->priority && second->sequence < pending->sequence)) {
        process->limit = 1; /* until its next answer */
        skua__process_take_back(process, skua__jobring_oldest(&process->ring), 0, after);
    }
    skua__pool_dispatch(process->pool, after);
}

bool skua__pool_has_idle(const skua_pool *pool)
{
    return !skua__list_is_empty(&pool->idle) || skua__lanes_have_idle(pool);
}

int64_t skua__pool_balance(skua_pool *pool, struct skua__after *after, int64_t now_ns)
{
    int looked = 0;
    struct skua__link *link = pool->busy.head.next;
    while (link != &pool->busy.head && skua__pool_has_idle(pool) && looked++ < LONG_AGO_MAX &&
           !skua__after_is_full(after)) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, busy);
        const struct skua__call *second = second_of(process);
        const int64_t left_ns = process->since_ns + STUCK_NS - now_ns;
        link = link->next;
        if (second != NULL && left_ns > 0) {
            return left_ns;
        }
        if (second != NULL) {
            relieve(process, second, after);
        }
    }
    /* An idle process whose ring is full of what was taken back has room when it has seen that. */
    const bool is_stuck = pool->pending_mask != 0 && !skua__list_is_empty(&pool->idle);
    return is_stuck ? STUCK_NS : SKUA__NEVER;
}

/* Calls of a lower priority that have not begun wait again, behind those that do. */
static void pass(skua_pool *pool, uint8_t priority, struct skua__after *after)
{
    int looked = 0;
    for (struct skua__link *link = pool->busy.head.next, *next;
         link != &pool->busy.head && looked++ < LONG_AGO_MAX; link = next) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, busy);
        next = link->next;
        skua__process_take_back(process, skua__jobring_oldest(&process->ring),
                                (uint8_t)(priority + 1), after);
    }
    skua__pool_dispatch(pool, after);
}

static bool is_lower_in_rings(const skua_pool *pool, uint8_t priority)
{
    uint32_t count = 0;
    for (uint32_t lower = priority + 1u; lower < SKUA__PRIORITIES; lower++) {
        count += pool->in_rings[lower];
    }
    return count > 0;
}

void skua__pool_dispatch_new(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    skua__pool_dispatch(pool, after);
    /* The first one of its priority that has to wait: those after it find that done. */
    if (call->state == SKUA__CALL_PENDING && next_pending(pool) == call &&
        is_lower_in_rings(pool, call->priority)) {
        pass(pool, call->priority, after);
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

/* The worker has written what no honest worker writes. */
static void punish(struct skua__process *process, struct skua__after *after, const char *lie)
{
    char story[SKUA__CALL_TEXT_BYTES];
    snprintf(story, sizeof story, "worker %d was killed for writing %s", (int)process->pid, lie);
    skua__process_doom(process, after, -EPROTO, story);
}

/* What the job's length says about how many should wait for this worker. */
static void learn(struct skua__process *process, int64_t run_ns)
{
    if (run_ns < 0) {
        run_ns = 0;
    }
    const bool is_first = process->run_ns < 0;
    const int64_t old_ns = process->run_ns;
    process->run_ns = is_first ? run_ns : old_ns + run_ns / 8 - old_ns / 8;
    const int64_t more = FILL_NS / (process->run_ns + JOB_NS);
    process->limit = 1 + (uint32_t)(more < 1 ? 1 : more < LIMIT_MAX ? more : LIMIT_MAX - 1);
    process->pool->limit = process->limit;
}

static void copy_text(struct skua__call *call, const char *bytes, size_t length)
{
    call->text = skua__alloc(length + 1);
    if (call->text != NULL) {
        memcpy(call->text, bytes, length);
        skua__talk_make_harmless(call->text);
    }
}

/* The oldest request is answered. False: the worker has lied about what came with the answer. */
static bool take_answer(struct skua__process *process, const struct skua__response *response,
                        struct skua__after *after)
{
    skua_pool *pool = process->pool;
    struct skua__call *call = skua__jobring_sent(&process->ring, response->ticket)->owner;
    if (call == NULL) {
        return true; /* it has loaded a library */
    }
    process->completed += call->kind != SKUA__CALL_INIT;
    pool->busy_ns += response->run_ns > 0 ? response->run_ns : 0;
    learn(process, response->run_ns);
    int status = response->status;
    if (response->text_bytes > 0) {
        copy_text(call, skua__jobring_bytes(&process->ring), response->text_bytes);
    }
    const int talk_error = skua__talk_answered(process, call, response);
    const int error = skua__loan_answer(call, response, after);
    skua__call_detach(call, after);
    if (talk_error == -EPROTO) {
        skua__call_fail(pool, call, after, talk_error,
                        "job '%s': worker %d was killed for speaking of files that did not come",
                        call->job->name, (int)process->pid);
        return false;
    }
    skua__call_finish(pool, call, after, talk_error < 0 ? talk_error : error < 0 ? error : status);
    return true;
}

/* The running job asks something. False: no honest worker does. */
static bool take_question(struct skua__process *process, const struct skua__response *response,
                          struct skua__after *after)
{
    struct skua__call *call = skua__jobring_sent(&process->ring, response->ticket)->owner;
    return call != NULL && skua__talk_ask(process, call, response, after);
}

size_t skua__process_drain(struct skua__process *process, struct skua__after *after)
{
    size_t count = 0;
    size_t answers = 0;
    int taken = 0;
    struct skua__response response;
    while (!skua__after_is_full(after) &&
           (taken = skua__jobring_take(&process->ring, &response)) == 1) {
        count++;
        if (response.kind != SKUA__RESPONSE_ANSWER) {
            if (!take_question(process, &response, after)) {
                punish(process, after, "a question that cannot be");
                return count;
            }
        } else if (take_answer(process, &response, after)) {
            answers++;
        } else {
            skua__process_doom(process, after, -EPROTO, NULL);
            return count;
        }
    }
    skua__talk_look(process);
    if (taken < 0) {
        punish(process, after, "nonsense into the memory that it shares with us");
        count++;
    } else if (answers > 0) {
        process->ignored_ns = 0;
        if (skua__jobring_live(&process->ring) > 0) {
            skua__process_note_head(process, skua__clock_real_ns());
        }
        skua__process_settle(process);
    }
    return count;
}

size_t skua__pool_drain(skua_pool *pool, struct skua__after *after)
{
    size_t count = 0;
    struct skua__link *const last = pool->busy.head.prev;
    for (struct skua__link *link = pool->busy.head.next, *next;
         link != &pool->busy.head && !skua__after_is_full(after); link = next) {
        next = link == last ? &pool->busy.head : link->next;
        count += skua__process_drain(SKUA_CONTAINER(link, struct skua__process, busy), after);
    }
    skua__pool_dispatch(pool, after);
    return count;
}
