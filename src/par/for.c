/* Loops.

   A call of run() has a range to do, piece by piece. Work leaves it in two ways:

     (L1) An idle worker has asked, and there are no older children to give: half of the range
          becomes a child. Its worker does the same, so that n workers have work after log n steps.
          A range of one piece is not divided.
     (L2) During each piece all that follows it is a child, too, the `rest`. So if the piece blocks,
          the rest is promoted like any child, and others go on with it. If it does not, the rest is
          taken back without being called: a fork and a compare a piece. This is no way to give work
          away: a thief would get all but the piece, and we would wait for it. Who runs a rest
          therefore halves it at once.
     (L3) A sync may find that it must call the rest on our own stack (somebody asked meanwhile, or
          it was left for lack of memory). That call returns at once, and run() goes on; so the
          depth of the stack does not depend on the number of pieces, only on that of halvings.

   With an automatic grain the length of pieces follows the clock. */
#include "base/clock.h"
#include "par/stop.h"
#include "sched/fork.h"
#include "sched/worker.h"

#include <skua/par.h>

/* A piece of automatic length that took less than the first gets a longer successor, one that took
   more than the second a shorter one. */
enum { PIECE_SHORT_NS = 8000, PIECE_LONG_NS = 32000 };

/* An automatic piece has at most this part of what is left. */
enum { SHARE_OF_LEFT = 4 };

/* What a rest returns to a sync that has called it on the stack of its own loop (L3). */
enum { NOT_TAKEN = 1 };

struct loop {
    struct skua__stop stop;
    skua_range_fn fn;
    void *context;
    size_t grain; /* 0: automatic */
};

struct range {
    struct loop *loop;
    struct skua__fiber *fiber; /* on which it was made */
    size_t begin;
    size_t end;
    size_t piece; /* how long the next one is to be */
};

static void run(struct range *range);

static size_t length_of(const struct range *range)
{
    return range->end - range->begin;
}

static int run_half(void *arg)
{
    struct range *range = (struct range *)arg;
    range->fiber = skua__fiber_self();
    run(range);
    return 0;
}

/* Half of the range becomes a child, we do the other half (L1). */
static void halve(struct range *range)
{
    size_t half = length_of(range) / 2;
    half += (range->piece - half % range->piece) % range->piece; /* pieces stay whole */
    struct range right = *range;
    right.begin = range->begin + half;
    range->end = right.begin;
    skua_child child;
    skua_fork(&child, run_half, &right);
    run(range);
    int status = skua_sync(&child);
    (void)status; /* failures are noted in the loop */
}

static int run_rest(void *arg)
{
    struct range *rest = (struct range *)arg;
    struct skua__fiber *fiber = skua__fiber_self();
    if (rest->fiber == fiber) {
        return NOT_TAKEN;
    }
    struct range own = *rest;
    own.fiber = fiber;
    if (length_of(&own) > own.piece) {
        halve(&own);
    } else {
        run(&own);
    }
    return 0;
}

/* Call fn for the next piece. True: we go on behind it; false: others do, or have done (L2). */
static bool run_piece(struct range *range)
{
    struct loop *loop = range->loop;
    size_t begin = range->begin;
    size_t left = length_of(range);
    if (left <= range->piece) {
        skua__stop_note(&loop->stop, loop->fn(loop->context, begin, range->end));
        return false;
    }
    range->begin += range->piece; /* the rest: not touched while it is a child */
    skua_child child;
    skua_fork(&child, run_rest, range);
    skua__stop_note(&loop->stop, loop->fn(loop->context, begin, begin + range->piece));
    return skua__sync_takes_back(&child) || skua__sync_slowly(&child) == NOT_TAKEN;
}

/* How long the next piece of an automatic length is to be, after one that took so long. */
static size_t next_piece(const struct range *range, int64_t took_ns)
{
    size_t piece = range->piece;
    size_t piece_max = length_of(range) / SHARE_OF_LEFT;
    if (took_ns < PIECE_SHORT_NS && piece <= SIZE_MAX / 2) {
        piece *= 2;
    } else if (took_ns > PIECE_LONG_NS) {
        piece /= 2;
    }
    piece = piece < piece_max ? piece : piece_max;
    return piece > 0 ? piece : 1;
}

static void run(struct range *range)
{
    struct loop *loop = range->loop;
    bool is_automatic = loop->grain == 0;
    int64_t start_ns = is_automatic ? skua__clock_ns() : 0;
    while (skua__stop_poll(&loop->stop)) {
        if (length_of(range) > range->piece && skua__fork_is_asked()) {
            halve(range);
            return;
        }
        if (!run_piece(range)) {
            return;
        }
        if (is_automatic) {
            int64_t now_ns = skua__clock_ns();
            range->piece = next_piece(range, now_ns - start_ns);
            start_ns = now_ns;
        }
    }
}

int skua_for(size_t begin, size_t end, size_t grain, skua_range_fn fn, void *context)
{
    if (begin >= end) {
        return 0;
    }
    struct loop loop = {.stop = skua__stop_begin(), .fn = fn, .context = context, .grain = grain};
    struct range all = {.loop = &loop,
                        .fiber = skua__fiber_self(),
                        .begin = begin,
                        .end = end,
                        .piece = grain > 0 ? grain : 1};
    run(&all);
    return skua__stop_status(&loop.stop);
}
