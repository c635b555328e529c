/* Memory in the hands of the program: buffers for inputs, and answers on loan.

   What the program holds is a record, a loan, which says where the bytes are: in a block of the
   memory shared with some worker, in the record itself if they are few, or in private memory.

   Invariants
   (L1) A loan of a block keeps the record of its process, and so the mapping, whatever becomes of
        the process.
   (L2) The program may hold on to what it likes, and the workers go on: an answer that finds no
        room in OUT comes in the spare block, and is copied at once; a block of IN is only lent
        while another one for the largest payload is free there, and else copied (an answer) or
        awaited (a new buffer). So a process without requests always has room for the next.
   (L3) Who waits for memory is woken when a block has become free since it has looked: each of
        them, one after the other, since they want different sizes. `memory_epoch` counts what has
        become free.

   Records stay with the pool once they were made. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/state.h"
#include "sched/service.h"

#include <errno.h>
#include <string.h>

enum {
    LOANS_PER_SLAB = 16,
    LENT_MANY = SKUA__LENT_MAX / 2, /* blocks of one worker; from then on short ones are copied */
    COPY_BYTES = 16 * 1024,
};

/* --- records ---------------------------------------------------------------------------------- */

struct skua__loan_slab {
    struct skua__loan_slab *next;
    struct skua__loan loans[LOANS_PER_SLAB];
};

static bool make_loans(skua_pool *pool)
{
    struct skua__loan_slab *slab = skua__alloc_dirty(sizeof *slab);
    if (slab == NULL) {
        return false;
    }
    slab->next = pool->loan_slabs;
    pool->loan_slabs = slab;
    for (size_t i = 0; i < LOANS_PER_SLAB; i++) {
        struct skua__loan *loan = &slab->loans[i];
        loan->kind = SKUA__LOAN_FREE;
        loan->pool = pool;
        loan->next = pool->free_loans;
        pool->free_loans = loan;
    }
    return true;
}

void skua__pool_free_loans(skua_pool *pool)
{
    while (pool->loan_slabs != NULL) {
        struct skua__loan_slab *slab = pool->loan_slabs;
        pool->loan_slabs = slab->next;
        skua__free(slab);
    }
}

struct skua__loan *skua__loan_make(skua_pool *pool, enum skua__loan_kind kind)
{
    if (pool->free_loans == NULL && !make_loans(pool)) {
        return NULL;
    }
    struct skua__loan *loan = pool->free_loans;
    pool->free_loans = loan->next;
    pool->stats.loans++;
    loan->kind = kind;
    loan->process = NULL;
    loan->used = 0;
    loan->memory = kind == SKUA__LOAN_SHORT ? loan->inside : NULL;
    return loan;
}

/* The record alone. */
static void free_record(struct skua__loan *loan)
{
    skua_pool *pool = loan->pool;
    loan->kind = SKUA__LOAN_FREE;
    loan->next = pool->free_loans;
    pool->free_loans = loan;
    pool->stats.loans--;
}

/* Give pages back to the system, before the block may be anybody else's. Best done without the
   lock: it is a system call for what lies far in its region. */
static void trim(struct skua__loan *loan)
{
    const bool is_in = loan->kind == SKUA__LOAN_IN;
    if ((is_in || loan->kind == SKUA__LOAN_OUT) && skua__arena_is_far(loan->block, loan->used)) {
        const struct skua__arena *arena = &loan->process->arena;
        skua__arena_trim(is_in ? arena->in : arena->out, loan->block, 0, loan->used);
    }
    loan->used = 0;
}

static void give_back_in(struct skua__process *process, uint32_t block, struct skua__after *after)
{
    const bool was_taken = skua__heap_give(&process->in, block);
    skua_require(was_taken);
    skua__pool_notify_memory(process->pool, after);
}

static void give_back_out(struct skua__process *process, uint32_t block, struct skua__after *after)
{
    if (skua__jobring_give_back(&process->ring, block)) {
        skua__after_bell(after, process->arena.shared);
    }
}

void skua__loan_end(struct skua__loan *loan, struct skua__after *after)
{
    if (loan->kind == SKUA__LOAN_FREE) {
        skua__panic("a buffer of pool '%s' is released twice", loan->pool->name);
    }
    struct skua__process *process = loan->process;
    trim(loan);
    if (loan->kind == SKUA__LOAN_IN) {
        give_back_in(process, loan->block, after);
    } else if (loan->kind == SKUA__LOAN_OUT) {
        give_back_out(process, loan->block, after);
    } else if (loan->kind == SKUA__LOAN_PRIVATE) {
        skua__free(loan->memory);
    }
    free_record(loan);
    if (process != NULL) {
        skua__process_unref(process, after);
    }
}

void skua__loan_drop(struct skua__loan *loan, struct skua__after *after)
{
    const bool is_block = loan->kind == SKUA__LOAN_IN || loan->kind == SKUA__LOAN_OUT;
    if (is_block && skua__arena_is_far(loan->block, loan->used)) {
        loan->next = after->released;
        after->released = loan;
    } else {
        skua__loan_end(loan, after);
    }
}

void skua__loan_deliver(struct skua__loan *loan, skua_buf *out)
{
    if (loan == NULL) {
        *out = (skua_buf){NULL, 0, NULL};
    } else {
        *out = (skua_buf){loan->memory, loan->bytes, loan};
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Would there be a block for the largest payload left in its IN region? (L2) */
static bool has_room_left(struct skua__process *process)
{
    const uint32_t block = skua__heap_take(&process->in, process->arena.payload_max);
    return block != SKUA__NO_BLOCK && skua__heap_give(&process->in, block);
}

/* A copy of the bytes as an answer. */
static int lend_copy(struct skua__call *call, const void *data, size_t bytes)
{
    skua_pool *pool = call->process->pool;
    void *memory = bytes > SKUA__OUT_INLINE_BYTES ? skua__alloc_dirty(bytes) : NULL;
    struct skua__loan *loan =
        skua__loan_make(pool, memory != NULL ? SKUA__LOAN_PRIVATE : SKUA__LOAN_SHORT);
    if (loan == NULL || (memory == NULL && bytes > SKUA__OUT_INLINE_BYTES)) {
        skua__free(memory);
        if (loan != NULL) {
            free_record(loan);
        }
        return -ENOMEM;
    }
    if (memory != NULL) {
        loan->memory = memory;
    }
    memcpy(loan->memory, data, bytes);
    loan->bytes = bytes;
    call->answer = loan;
    return 0;
}

/* An answer in a block of the process, which goes from it to the loan. */
static int lend_block(struct skua__call *call, enum skua__loan_kind kind, uint32_t block,
                      size_t bytes)
{
    struct skua__process *process = call->process;
    struct skua__loan *loan = skua__loan_make(process->pool, kind);
    if (loan == NULL) {
        return -ENOMEM;
    }
    process->references++;
    loan->process = process;
    loan->block = block;
    loan->bytes = bytes;
    loan->used = bytes;
    loan->memory = kind == SKUA__LOAN_IN ? skua__arena_in(&process->arena, block)
                                         : skua__arena_out(&process->arena, block);
    call->answer = loan;
    return 0;
}

/* In a block of OUT. Of those a worker has a limited number, and the spare block after that, which
   makes it wait for us: while the program keeps many of them short ones are copied. */
static int lend_out(struct skua__call *call, uint32_t block, size_t bytes,
                    struct skua__after *after)
{
    struct skua__process *process = call->process;
    const bool must_copy = process->ring.lent > LENT_MANY && bytes <= COPY_BYTES;
    const int error = must_copy ? lend_copy(call, skua__arena_out(&process->arena, block), bytes)
                                : lend_block(call, SKUA__LOAN_OUT, block, bytes);
    if (must_copy || error < 0) {
        give_back_out(process, block, after);
    }
    return error;
}

/* The answer is where the input was. */
static int lend_input(struct skua__call *call, size_t bytes)
{
    struct skua__process *process = call->process;
    if (!call->has_block) { /* it is a buffer of the program's, which gets it back */
        call->answer = call->in_loan;
        call->in_loan = NULL;
        call->answer->bytes = bytes;
        return 0;
    }
    if (!has_room_left(process)) {
        return lend_copy(call, skua__arena_in(&process->arena, call->block), bytes);
    }
    int error = lend_block(call, SKUA__LOAN_IN, call->block, bytes);
    call->has_block = error < 0;
    return error;
}

int skua__loan_answer(struct skua__call *call, const struct skua__response *response,
                      struct skua__after *after)
{
    struct skua__process *process = call->process;
    const size_t bytes = (size_t)response->bytes;
    int error = 0;
    switch (response->where) {
    case SKUA__INLINE:
        return lend_copy(call, skua__jobring_bytes(&process->ring), bytes);
    case SKUA__INPUT:
        return lend_input(call, bytes);
    case SKUA__BLOCK:
        return lend_out(call, response->block, bytes, after);
    case SKUA__SPARE:
        error = lend_copy(call, process->arena.spare, bytes);
        give_back_out(process, SKUA__SPARE_BLOCK, after);
        return error;
    default:
        return 0;
    }
}

/* --- buffers for inputs ----------------------------------------------------------------------- */

/* Somebody who waits for memory, in its frame. */
struct memory_waiter {
    struct skua__waiter waiter;
    uint64_t epoch; /* when it has looked */
};

void skua__pool_notify_memory(skua_pool *pool, struct skua__after *after)
{
    pool->memory_epoch++;
    skua__pool_pass_memory(pool, after);
}

void skua__pool_pass_memory(skua_pool *pool, struct skua__after *after)
{
    struct skua__link *link;
    while ((link = skua__list_first(&pool->memory_waiters)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        const struct memory_waiter *first = SKUA_CONTAINER(waiter, struct memory_waiter, waiter);
        if (first->epoch == pool->memory_epoch || skua__after_is_full(after)) {
            return;
        }
        skua__list_remove(link);
        if (skua__waiter_claim(waiter)) {
            skua__wake_list_add(&after->wakes, waiter->parker);
            return;
        }
    }
}

/* A block of that process, if it can spare one. */
static bool alloc_from(struct skua__process *process, size_t bytes, uint32_t *block)
{
    if (process->is_retiring) {
        return false;
    }
    *block = skua__heap_take(&process->in, bytes);
    if (*block == SKUA__NO_BLOCK) {
        return false;
    }
    if (!has_room_left(process)) {
        const bool was_taken = skua__heap_give(&process->in, *block);
        skua_require(was_taken);
        return false;
    }
    return true;
}

/* The processes take turns, so that a program that fills buffers ahead fills them for all. */
static struct skua__process *alloc_from_any(skua_pool *pool, size_t bytes, uint32_t *block)
{
    struct skua__link *const last = pool->memory.head.prev;
    struct skua__link *link = NULL;
    while (link != last && (link = skua__list_pop_front(&pool->memory)) != NULL) {
        skua__list_push_back(&pool->memory, link);
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, memory);
        if (alloc_from(process, bytes, block)) {
            return process;
        }
    }
    return NULL;
}

/* Returns 1 with *out, 0 (there is none now), or a negative errno. (L) */
static int try_alloc(skua_pool *pool, skua_buf *out, size_t bytes)
{
    if (pool->state != SKUA__POOL_OPEN || pool->is_draining) {
        return -ESHUTDOWN;
    }
    uint32_t block;
    struct skua__process *process = alloc_from_any(pool, bytes, &block);
    if (process == NULL) {
        return 0;
    }
    struct skua__loan *loan = skua__loan_make(pool, SKUA__LOAN_IN);
    if (loan == NULL) {
        const bool was_taken = skua__heap_give(&process->in, block);
        skua_require(was_taken);
        return -ENOMEM;
    }
    process->references++;
    loan->process = process;
    loan->block = block;
    loan->bytes = bytes;
    loan->used = bytes;
    loan->memory = skua__arena_in(&process->arena, block);
    skua__loan_deliver(loan, out);
    return 1;
}

/* Until something was given back. Returns what skua__wait_park() says. */
static int wait_for_memory(skua_pool *pool, skua_time deadline, struct skua__after *after)
{
    struct skua__wait wait;
    struct memory_waiter self = {.epoch = pool->memory_epoch};
    skua__wait_begin_for(&wait, SKUA__SOFT, "memory of a process pool");
    skua__waiter_init(&self.waiter, &wait, 0, NULL);
    skua__list_push_back(&pool->memory_waiters, &self.waiter.link);
    skua__pool_pass_memory(pool, after); /* it may be enough for the next one (L3) */
    skua__pool_unlock_after(pool, after);
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    skua__pool_lock(pool);
    if (skua__link_is_linked(&self.waiter.link)) {
        skua__list_remove(&self.waiter.link);
    }
    return cause;
}

int skua_pool_alloc(skua_pool *pool, skua_buf *out, size_t bytes, skua_time deadline)
{
    *out = (skua_buf){NULL, 0, NULL};
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (bytes > pool->payload_max) {
        return -EMSGSIZE;
    }
    int cause = skua__cancel_point();
    if (cause < 0 || bytes == 0) {
        return cause;
    }
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    skua__pool_enter(pool);
    int result;
    while ((result = try_alloc(pool, out, bytes)) == 0) {
        if (cause < 0 && cause != SKUA__RECHECK) {
            result = cause;
            break;
        }
        if (skua__is_now(deadline)) {
            result = -EAGAIN;
            break;
        }
        cause = wait_for_memory(pool, deadline, &after);
    }
    skua__pool_pass_memory(pool, &after); /* whatever became of this one (L3) */
    skua__pool_leave(pool, &after);
    skua__pool_unlock_after(pool, &after);
    return result < 0 ? result : 0;
}

void skua_buf_release(skua_buf *buf)
{
    struct skua__loan *loan = buf->owner;
    *buf = (skua_buf){NULL, 0, NULL};
    if (loan == NULL || skua__forked()) {
        return;
    }
    skua_pool *pool = loan->pool;
    struct skua__after after;
    skua__after_init(&after);
    trim(loan); /* it is still the caller's alone */
    skua__pool_lock(pool);
    skua__loan_end(loan, &after);
    skua__pool_dispatch(pool, &after); /* a long input may have waited for the memory */
    skua__pool_unlock_after(pool, &after);
}
