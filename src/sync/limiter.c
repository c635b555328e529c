/* The limiter: so many places, so many borrowed, and a line of those who want one (queue.h).

     (L1) borrowed counts the borrowers that have this limiter in their word. It is more than total
          only after total was lowered, and then nobody new comes in.

   A borrower's word says what it has: 0, a limiter, or a limiter with WAITS while it is in line.
   Only its own calls write it, one at a time, so that it needs no atomics; the flag finds the ones
   that do not keep to that. */
#include "base/panic.h"
#include "mem/forked.h"
#include "sync/queue.h"

#include <skua/limit.h>

struct limiter {
    struct skua__queue queue;
    size_t total;
    size_t borrowed;
};

enum { WAITS = 1 };

struct borrower {
    uintptr_t word;
};

_Static_assert(sizeof(struct limiter) <= sizeof(skua_limiter), "skua_limiter is too small");
_Static_assert(_Alignof(struct limiter) <= _Alignof(skua_limiter), "skua_limiter is misaligned");
_Static_assert(sizeof(struct borrower) <= sizeof(skua_borrower), "skua_borrower is too small");
_Static_assert(_Alignof(struct borrower) <= _Alignof(skua_borrower), "skua_borrower is misaligned");

static struct limiter *inside(skua_limiter *limiter)
{
    return (struct limiter *)(void *)limiter;
}

static struct borrower *inside_borrower(skua_borrower *borrower)
{
    return (struct borrower *)(void *)borrower;
}

static struct limiter *limiter_of(const struct skua__queue *queue)
{
    return (struct limiter *)(uintptr_t)queue;
}

static bool may_have(const struct skua__queue *queue, const void *wish)
{
    (void)wish;
    return limiter_of(queue)->borrowed < limiter_of(queue)->total;
}

static int give(struct skua__queue *queue, void *wish)
{
    (void)wish;
    limiter_of(queue)->borrowed++;
    return 0;
}

static void take_back(struct skua__queue *queue, void *wish)
{
    (void)wish;
    limiter_of(queue)->borrowed--;
}

static const struct skua__queue_rules rules = {may_have, give, take_back};

void skua_limiter_init(skua_limiter *limiter, size_t total)
{
    *inside(limiter) = (struct limiter){.total = total};
}

int skua_limiter_borrow(skua_limiter *limiter, skua_borrower *borrower, skua_time deadline)
{
    struct limiter *self = inside(limiter);
    struct borrower *by = inside_borrower(borrower);
    if (by->word != 0) {
        skua__panic((by->word & WAITS) != 0 ? "a borrower waits for two places at a time"
                                            : "a borrower borrows again what it has");
    }
    by->word = (uintptr_t)self | WAITS;
    int status = skua__queue_take(&self->queue, &rules, NULL, deadline);
    by->word = status == 0 ? (uintptr_t)self : 0;
    return status;
}

void skua_limiter_return(skua_limiter *limiter, skua_borrower *borrower)
{
    struct limiter *self = inside(limiter);
    struct borrower *by = inside_borrower(borrower);
    if (skua__process_is_forked()) {
        return;
    }
    if (by->word != (uintptr_t)self) {
        skua__panic(by->word == 0 ? "a borrower returns what it has not borrowed"
                                  : "a borrower returns what it has of another limiter");
    }
    by->word = 0;
    skua__queue_lock(&self->queue);
    self->borrowed--;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

void skua_borrower_fini(skua_borrower *borrower)
{
    uintptr_t word = inside_borrower(borrower)->word;
    if (word != 0) {
        skua_limiter_return((skua_limiter *)word, borrower);
    }
}

void skua_limiter_set_total(skua_limiter *limiter, size_t total)
{
    struct limiter *self = inside(limiter);
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    self->total = total;
    skua__queue_serve_and_unlock(&self->queue, &rules);
}

void skua_limiter_get_stats(skua_limiter *limiter, skua_limiter_stats *stats)
{
    struct limiter *self = inside(limiter);
    *stats = (skua_limiter_stats){0};
    if (skua__process_is_forked()) {
        return;
    }
    skua__queue_lock(&self->queue);
    *stats = (skua_limiter_stats){self->total, self->borrowed, self->queue.count};
    skua__queue_unlock(&self->queue);
}
