/* How far a job is: what its caller sees of skua_job_progress().

   While the job runs, the words lie in the memory that its worker shares with the program, and are
   read there when somebody asks: a job that says how far it is wakes nobody. With its answer the
   last ones come once more, since the worker may be in the next job by the time that is taken.

   Invariants
   (Q1) The record knows a place to look exactly while the call has a process, between
        skua__talk_begin() and skua__talk_end(), so that the memory is there.
   (Q2) Its own lock is the last one taken: whoever asks needs not know the pool, which may be gone.
        Any rank behind that of pools would do.

   The numbers are what the worker says, unchecked: they are for display. */
#include "base/lock.h"
#include "pool/state.h"
#include "sched/service.h"

#include <skua/pool_watch.h>

/* What a skua_pool_progress holds. */
struct progress {
    struct skua__lock lock;
    uint32_t unused;
    const struct skua__call *call; /* NULL: nobody has the job */
    uint64_t done;
    uint64_t total;
};

_Static_assert(sizeof(struct progress) <= sizeof(skua_pool_progress), "see pool_watch.h");
_Static_assert(_Alignof(struct progress) <= _Alignof(skua_pool_progress), "see pool_watch.h");

static struct progress *inside(const skua_pool_progress *progress)
{
    return (struct progress *)(uintptr_t)progress;
}

/* Under the lock: look whether there are new words. */
static void refresh(struct progress *progress)
{
    const struct skua__call *call = progress->call;
    uint64_t done, total;
    if (call != NULL &&
        skua__jobring_progress(call->process->arena.shared, call->ticket, &done, &total)) {
        progress->done = done;
        progress->total = total;
    }
}

void skua__progress_attach(skua_pool_progress *storage, const struct skua__call *call)
{
    struct progress *progress = inside(storage);
    skua__lock(&progress->lock, SKUA__RANK_IO);
    progress->call = call;
    progress->done = progress->total = 0;
    skua__unlock(&progress->lock, SKUA__RANK_IO);
}

void skua__progress_answered(skua_pool_progress *storage, const struct skua__response *answer)
{
    struct progress *progress = inside(storage);
    skua__lock(&progress->lock, SKUA__RANK_IO);
    progress->call = NULL;
    progress->done = answer->done;
    progress->total = answer->total;
    skua__unlock(&progress->lock, SKUA__RANK_IO);
}

void skua__progress_detach(skua_pool_progress *storage)
{
    struct progress *progress = inside(storage);
    skua__lock(&progress->lock, SKUA__RANK_IO);
    refresh(progress);
    progress->call = NULL;
    skua__unlock(&progress->lock, SKUA__RANK_IO);
}

void skua_pool_progress_get(const skua_pool_progress *storage, uint64_t *done, uint64_t *total)
{
    struct progress *progress = inside(storage);
    if (skua__forked()) { /* who held the lock at the fork holds it for ever */
        *done = progress->done;
        *total = progress->total;
        return;
    }
    skua__lock(&progress->lock, SKUA__RANK_IO);
    refresh(progress);
    *done = progress->done;
    *total = progress->total;
    skua__unlock(&progress->lock, SKUA__RANK_IO);
}
