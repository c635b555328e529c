/* Rings: operations that the kernel carries out while their tasks wait.

   Every worker has a ring of its own, made when a task on it first wants one, so that a submission,
   in which the kernel may do a good deal, never keeps another worker waiting. The ring's fd is in
   the poller's set like any other; who polls takes the completions of all rings, wakes their tasks
   a batch at a time, and runs them. So does the submitter, on its own ring, because much is
   complete as soon as it was submitted.

   (R1) A flight lies in the frame of its task, and the task does not leave before the completion
        was taken: the key of an operation in the kernel's hands is always a live flight.
   (R2) The waiter, is_done and result of a flight are under its ring's lock, and so is the number
        of flights. A completion sets is_done first; whoever comes after that does not wait.
   (R3) Both locks of a ring are held over calls of the kernel that do not wait: `submitting` by the
        ring's worker and by who cancels, the other one by who takes completions.
   (R4) No more than SKUA__COMPLETIONS_MAX operations of a ring are in flight; who comes then is
        sent to the pool. So is who finds no ring: the first failure decides for good.

   *Cancelling.* A task whose wait was ended, by a cancel or its deadline, asks the kernel to give
   the operation up and begins a hard wait for the completion. The kernel may overlook the request
   (a file that has just become ready is between two queues of its own), so it is repeated from time
   to time. If the operation has succeeded meanwhile it has succeeded.

   Rejected: one ring for all workers (they would queue up behind a submission that starts a read of
   the disk); an eventfd that rings for each completion (one more call of the kernel in its path,
   and the ring's own fd can be polled just as well); to collect submissions and hand them over
   together (a worker that goes to sleep would have to be asked for them first). */
#include "io/ring.h"

#include "base/mem.h"
#include "io/call.h"
#include "io/completion.h"
#include "sched/runtime.h"
#include "sched/worker.h"

#include <skua/runtime.h>
#include <stdlib.h>
#include <string.h>

/* How long a request to cancel is given before it is repeated. */
static const int64_t REPEAT_NS_MIN = SKUA_MS(1), REPEAT_NS_MAX = SKUA_MS(100);

/* What the task's wait is called in a dump. */
static const char what[] = "a file";

struct ring {
    struct skua__completions *completions; /* constant */
    int fd;                                /* constant */
    struct skua__lock submitting;
    struct skua__lock lock;
    uint32_t flights; /* under the lock */
};

/* The rings of a runtime, one for each worker that has wanted one. */
struct skua__rings {
    enum skua__ring_choice choice; /* constant */
    _Atomic bool is_refused;       /* the kernel has none for us */
    uint32_t count;                /* constant */
    _Atomic(struct ring *) of_worker[];
};

/* One operation. */
struct flight {
    bool is_done;
    int32_t result;
    struct skua__waiter *waiter;
};

static void ring_lock(struct ring *ring)
{
    skua__lock(&ring->lock, SKUA__RANK_IO);
}

static void ring_unlock(struct ring *ring)
{
    skua__unlock(&ring->lock, SKUA__RANK_IO);
}

/* --- making and ending ------------------------------------------------------------------------ */

static enum skua__ring_choice choice_of_environment(void)
{
    const char *text = getenv("SKUA_IO");
    if (text != NULL && strcmp(text, "epoll") == 0) {
        return SKUA__RING_NEVER;
    }
    return text != NULL && strcmp(text, "uring") == 0 ? SKUA__RING_ALWAYS : SKUA__RING_AUTO;
}

int skua__rings_create(skua_runtime *runtime, struct skua__rings **out)
{
    const uint32_t count = runtime->worker_capacity;
    struct skua__rings *rings = skua__alloc(sizeof *rings + count * sizeof rings->of_worker[0]);
    if (rings == NULL) {
        return -ENOMEM;
    }
    rings->choice = choice_of_environment();
    rings->count = count;
    *out = rings;
    return 0;
}

static void destroy_ring(struct ring *ring)
{
    skua__completions_close(ring->completions);
    skua__free(ring);
}

void skua__rings_destroy(struct skua__rings *rings)
{
    for (uint32_t i = 0; i < rings->count; i++) {
        struct ring *ring = skua__load(&rings->of_worker[i], relaxed);
        if (ring != NULL) {
            destroy_ring(ring);
        }
    }
    skua__free(rings);
}

static int create_ring(struct skua__io *io, struct ring **out)
{
    struct ring *ring = skua__alloc_aligned(SKUA_CACHE_LINE, sizeof *ring);
    int status = ring == NULL ? -ENOMEM : skua__completions_open(&ring->completions);
    if (status < 0) {
        skua__free(ring);
        return status;
    }
    ring->fd = skua__completions_fd(ring->completions);
    status = skua__io_poller_watch(&io->poller, ring->fd, SKUA__RING_GENERATION);
    if (status < 0) {
        destroy_ring(ring);
        return status;
    }
    *out = ring;
    return 0;
}

/* The ring of the worker that the task runs on just now, or NULL. Does not switch, so that nobody
   else makes it. */
static struct ring *ring_here(struct skua__io *io)
{
    struct skua__rings *rings = io->rings;
    const uint32_t index = skua__worker_self()->index;
    struct ring *ring = skua__load(&rings->of_worker[index], relaxed);
    if (SKUA_LIKELY(ring != NULL) || skua__load(&rings->is_refused, relaxed)) {
        return ring;
    }
    if (create_ring(io, &ring) < 0) {
        skua__store(&rings->is_refused, true, relaxed);
        return NULL;
    }
    /* release: publishes the ring; pairs with the acquire in ring_of(). An event that comes before
       is for nobody: there is no flight yet. */
    skua__store(&rings->of_worker[index], ring, release);
    return ring;
}

/* --- completions ------------------------------------------------------------------------------ */

/* Under the lock. */
static void complete(struct ring *ring, const struct skua__completion *completion,
                     struct skua__wake_list *wakes)
{
    struct flight *flight = (struct flight *)(uintptr_t)completion->key;
    ring->flights--;
    flight->result = completion->result;
    flight->is_done = true;
    struct skua__waiter *waiter = flight->waiter;
    if (waiter != NULL && skua__waiter_claim(waiter)) {
        skua__wake_list_add(wakes, waiter->parker);
    }
}

/* Take all that is there. True: somebody was woken. */
static bool take_completions(struct ring *ring)
{
    struct skua__completion completions[SKUA__WAKE_CHUNK];
    bool has_woken = false;
    size_t count = 0;
    do {
        struct skua__wake_list wakes;
        skua__wake_list_init(&wakes);
        ring_lock(ring);
        count = skua__completions_take(ring->completions, completions, SKUA__WAKE_CHUNK);
        for (size_t i = 0; i < count; i++) {
            complete(ring, &completions[i], &wakes);
        }
        ring_unlock(ring);
        has_woken |= wakes.count > 0;
        skua__wake_list_flush(&wakes);
    } while (count == SKUA__WAKE_CHUNK);
    return has_woken;
}

static struct ring *ring_of(struct skua__rings *rings, int fd)
{
    for (uint32_t i = 0; i < rings->count; i++) {
        /* acquire: pairs with the release in ring_here(). */
        struct ring *ring = skua__load(&rings->of_worker[i], acquire);
        if (ring != NULL && ring->fd == fd) {
            return ring;
        }
    }
    return NULL;
}

bool skua__rings_deliver(struct skua__rings *rings, int fd, bool *has_woken)
{
    struct ring *ring = ring_of(rings, fd);
    if (ring == NULL) {
        return false;
    }
    *has_woken = take_completions(ring);
    return true;
}

/* --- operations ------------------------------------------------------------------------------- */

/* Announce a flight (R4). The lock also orders its frame before the completion. */
static bool begin_flight(struct ring *ring, struct flight *flight)
{
    ring_lock(ring);
    *flight = (struct flight){0};
    bool has_room = ring->flights < SKUA__COMPLETIONS_MAX;
    ring->flights += has_room;
    ring_unlock(ring);
    return has_room;
}

static bool submit(struct ring *ring, const struct skua__file_op *op, struct flight *flight)
{
    if (!begin_flight(ring, flight)) {
        return false;
    }
    skua__lock(&ring->submitting, SKUA__RANK_IO);
    int status = skua__completions_submit(ring->completions, op, (uint64_t)(uintptr_t)flight);
    skua__unlock(&ring->submitting, SKUA__RANK_IO);
    if (status < 0) {
        ring_lock(ring);
        ring->flights--;
        ring_unlock(ring);
    }
    return status == 0;
}

static void ask_for_the_end(struct ring *ring, struct flight *flight)
{
    skua__lock(&ring->submitting, SKUA__RANK_IO);
    skua__completions_cancel(ring->completions, (uint64_t)(uintptr_t)flight);
    skua__unlock(&ring->submitting, SKUA__RANK_IO);
}

/* The flight's waiter from now on, or NULL. Returns whether it is done. */
static bool set_waiter(struct ring *ring, struct flight *flight, struct skua__waiter *waiter)
{
    ring_lock(ring);
    flight->waiter = waiter;
    bool is_done = flight->is_done;
    ring_unlock(ring);
    return is_done;
}

/* 0: it is done. Else what has ended the wait. */
static int wait_for(struct ring *ring, struct flight *flight, enum skua__wait_kind kind,
                    int64_t deadline_ns)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, kind, what);
    skua__waiter_init(&waiter, &wait, 0, NULL);
    if (set_waiter(ring, flight, &waiter)) {
        skua__wait_abandon(&wait);
        return 0;
    }
    int cause = skua__wait_park_real(&wait, deadline_ns);
    if (cause >= 0) {
        return 0;
    }
    return set_waiter(ring, flight, NULL) ? 0 : cause;
}

/* (R1): also who is cancelled stays. Returns the operation's result, or what has ended it. */
static ssize_t finish(struct ring *ring, struct flight *flight, int64_t deadline_ns)
{
    int cause = set_waiter(ring, flight, NULL) ? 0 : SKUA__RECHECK;
    while (cause == SKUA__RECHECK) {
        cause = wait_for(ring, flight, SKUA__SOFT, deadline_ns);
    }
    if (cause == 0) {
        return flight->result;
    }
    int64_t patience_ns = REPEAT_NS_MIN;
    do {
        ask_for_the_end(ring, flight);
        take_completions(ring);
        patience_ns = patience_ns < REPEAT_NS_MAX ? 2 * patience_ns : REPEAT_NS_MAX;
    } while (wait_for(ring, flight, SKUA__HARD, skua__clock_ns() + patience_ns) != 0);
    bool was_given_up = flight->result == -ECANCELED || flight->result == -EINTR;
    return was_given_up ? cause : flight->result;
}

/* From the submission to the result; -ENOSYS: there was none. */
static ssize_t run(struct skua__io *io, const struct skua__file_op *op, int64_t deadline_ns)
{
    struct flight flight;
    struct ring *ring = ring_here(io);
    if (ring == NULL || !skua__completions_knows(ring->completions, op->code) ||
        !submit(ring, op, &flight)) {
        return -ENOSYS;
    }
    take_completions(ring);
    return finish(ring, &flight, deadline_ns);
}

/* The kernel refuses what a disk file that was opened with O_NONBLOCK does not have at once. The
   flag means nothing to all other calls on such a file, so it goes. */
static ssize_t run_blocking(struct skua__io *io, const struct skua__file_op *op,
                            int64_t deadline_ns)
{
    bool is_transfer = op->code <= SKUA__OP_WRITEV && op->flags == 0;
    if (!is_transfer || skua__call_type(op->fd) != SKUA__TYPE_FILE) {
        return -EAGAIN;
    }
    return skua__call_set_blocking(op->fd) < 0 ? -EAGAIN : run(io, op, deadline_ns);
}

ssize_t skua__ring_do(struct skua__io *io, const struct skua__file_op *op, skua_time deadline)
{
    if (skua__is_now(deadline)) {
        return -EAGAIN;
    }
    const int64_t deadline_ns = skua__deadline_ns(deadline);
    ssize_t result = 0;
    do {
        result = run(io, op, deadline_ns);
        if (result == -EAGAIN) {
            result = run_blocking(io, op, deadline_ns);
        }
    } while (result == -EINTR);
    return result == -EAGAIN ? -ENOSYS : result;
}

enum skua__ring_choice skua__rings_choice(const struct skua__rings *rings)
{
    return rings->choice;
}

bool skua__rings_are_open(struct skua__rings *rings)
{
    for (uint32_t i = 0; i < rings->count; i++) {
        if (skua__load(&rings->of_worker[i], relaxed) != NULL) {
            return true;
        }
    }
    return false;
}
