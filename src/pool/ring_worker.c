/* The wire between the parent and one worker process: the worker's end. ring.c has the invariants.

   How long to look before a sleep. A sleep and its wake cost both sides more than a moment of
   looking, if the next message comes within that moment, and looking takes a processor away from
   somebody if it does not. So a wait looks for spin_ns at first; that is halved, down to nothing,
   whenever it was in vain, and is as much as there may be again after a wait that was short. Where
   more want to spin than there are processors, the others are let run between two looks; and who
   runs on the processor that the other side is seen on does not spin at all.

   Rejected: always the same time (idle workers of a large pool, each of which looks after every
   job); asking the parent to say when more comes (it does not know either). */
#include "base/clock.h"
#include "base/futex.h"
#include "pool/ring.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

enum {
    SPIN_MAX_NS = 50 * 1000,
    SPIN_MIN_NS = 1000,
    PAUSES_PER_LOOK = 32,
};

static bool request_is_there(const struct skua__workring *ring)
{
    /* acquire: pairs with the release in skua__jobring_publish(). */
    return skua__load(&ring->shared->request_write, acquire) != (uint32_t)ring->ticket;
}

static bool return_is_there(const struct skua__workring *ring)
{
    /* acquire: pairs with the release in skua__jobring_give_back(). */
    return skua__load(&ring->shared->return_write, acquire) != ring->return_read;
}

static bool letter_is_there(const struct skua__workring *ring)
{
    /* acquire: pairs with the release in skua__jobring_reply(). */
    return skua__load(&ring->shared->letter_write, acquire) != ring->letter_read;
}

typedef bool (*is_there_fn)(const struct skua__workring *ring);

void skua__workring_init(struct skua__workring *ring, struct skua__shared *shared, uint32_t cores,
                         uint32_t spinners)
{
    *ring = (struct skua__workring){.shared = shared,
                                    .spin_ns = cores > 1 ? SPIN_MAX_NS : 0,
                                    .spin_max_ns = cores > 1 ? SPIN_MAX_NS : 0,
                                    .yields = spinners >= cores};
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Look until `until_ns`. */
static bool spin_for(const struct skua__workring *ring, is_there_fn is_there, int64_t until_ns)
{
    do {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (is_there(ring)) {
                return true;
            }
            skua__spin_pause();
        }
        if (ring->yields) {
            skua__thread_yield();
        }
    } while (skua__clock_real_ns() < until_ns);
    return false;
}

static void sleep_for(struct skua__workring *ring, is_there_fn is_there, enum skua__sleep sleep)
{
    struct skua__shared *shared = ring->shared;
    for (;;) {
        const uint32_t bell = skua__load(&shared->bell, relaxed);
        skua__store(&shared->worker_sleeps, skua__sleep_word(bell, sleep), relaxed);
        /* seq_cst: pairs with the fence in needs_wake() of ring.c (R4). */
        skua__fence(seq_cst);
        if (is_there(ring)) {
            break;
        }
        skua__futex_wait(&shared->bell, bell, SKUA__NEVER, true);
    }
    skua__store(&shared->worker_sleeps, SKUA__SLEEPS_NOT, relaxed);
}

/* Would a spin keep the parent from what is waited for? */
static bool is_in_the_way(const struct skua__workring *ring)
{
    return skua__load(&ring->shared->parent_cpu, relaxed) == (uint32_t)sched_getcpu() + 1;
}

/* Nothing was there at the first look. */
static void wait_for(struct skua__workring *ring, is_there_fn is_there, enum skua__sleep sleep)
{
    const int64_t start_ns = skua__clock_real_ns();
    if (ring->spin_ns > 0 && !is_in_the_way(ring) &&
        spin_for(ring, is_there, start_ns + ring->spin_ns)) {
        return;
    }
    sleep_for(ring, is_there, sleep);
    if (skua__clock_real_ns() - start_ns <= ring->spin_max_ns) {
        ring->spin_ns = ring->spin_max_ns;
    } else {
        ring->spin_ns = ring->spin_ns / 2 < SPIN_MIN_NS ? 0 : ring->spin_ns / 2;
    }
}

/* --- requests --------------------------------------------------------------------------------- */

/* The worker is past the request: if that was revoked, its slot is the parent's. */
static void pass(struct skua__workring *ring)
{
    /* release: publishes that its state was looked at; pairs with the acquire in reclaim() of
       ring.c. */
    skua__store(&ring->shared->request_read, (uint32_t)++ring->ticket, release);
}

/* The next request in the ring. NULL: it was revoked. */
static struct skua__request_slot *take_next(struct skua__workring *ring)
{
    struct skua__request_slot *slot =
        &ring->shared->requests[(ring->ticket + 1) % SKUA__REQUEST_SLOTS];
    uint32_t state = SKUA__REQUEST_QUEUED;
    const bool taken = skua__cas(&slot->state, &state, SKUA__REQUEST_TAKEN, relaxed, relaxed);
    pass(ring);
    return taken ? slot : NULL;
}

uint64_t skua__workring_receive(struct skua__workring *ring, struct skua__request *request,
                                char **bytes)
{
    struct skua__request_slot *slot;
    ring->has_waited = false;
    ring->has_progress = false;
    ring->done = 0;
    ring->total = 0;
    do {
        if (!request_is_there(ring)) {
            ring->has_waited = true;
            wait_for(ring, request_is_there, SKUA__SLEEPS_FOR_REQUEST);
        }
        slot = take_next(ring);
    } while (slot == NULL);
    if (ring->spin_max_ns > 0) {
        skua__store(&ring->shared->worker_cpu, (uint32_t)sched_getcpu() + 1, relaxed);
    }
    *request = slot->request;
    *bytes = slot->bytes;
    return ring->ticket;
}

/* --- responses -------------------------------------------------------------------------------- */

/* Something is out that the parent may sleep for. True: say so on the bell. */
static bool wants_bell(struct skua__workring *ring)
{
    /* seq_cst: pairs with skua__jobring_fence() (R4), and with the fence in
       skua__jobring_take_log(): the count of lines is out before the next one is written. */
    skua__fence(seq_cst);
    const uint32_t sleep = skua__load(&ring->shared->parent_sleeps, relaxed);
    if (sleep == 0 || sleep == ring->rung_for) {
        return false;
    }
    ring->rung_for = sleep;
    return true;
}

bool skua__workring_respond(struct skua__workring *ring, struct skua__response *response,
                            const void *bytes, size_t inline_bytes)
{
    struct skua__shared *shared = ring->shared;
    struct skua__response_slot *slot =
        &shared->responses[ring->response_write % SKUA__RESPONSE_SLOTS];
    response->ticket = ring->ticket;
    response->done = ring->done;
    response->total = ring->total;
    slot->response = *response;
    if (inline_bytes > 0) {
        memcpy(slot->bytes, bytes, inline_bytes);
    }
    /* release: publishes the response and the answer, and that the request's slot is not used any
       more; pairs with the acquire in skua__jobring_take(). */
    skua__store(&shared->response_write, ++ring->response_write, release);
    return wants_bell(ring);
}

void skua__workring_wait_letter(struct skua__workring *ring, struct skua__letter *letter,
                                const char **bytes)
{
    if (!letter_is_there(ring)) {
        wait_for(ring, letter_is_there, SKUA__SLEEPS_FOR_LETTER);
    }
    ring->letter_read++;
    *letter = ring->shared->letter;
    *bytes = ring->shared->letter_bytes;
}

/* --- returns ---------------------------------------------------------------------------------- */

uint32_t skua__workring_take_return(struct skua__workring *ring)
{
    if (!return_is_there(ring)) {
        return SKUA__NO_BLOCK;
    }
    return skua__load(&ring->shared->returns[ring->return_read++ % SKUA__RETURN_SLOTS], relaxed);
}

void skua__workring_wait_return(struct skua__workring *ring)
{
    if (!return_is_there(ring)) {
        wait_for(ring, return_is_there, SKUA__SLEEPS_FOR_RETURN);
    }
}

/* --- words ------------------------------------------------------------------------------------ */

bool skua__workring_stops(const struct skua__workring *ring)
{
    return skua__load(&ring->shared->stop, relaxed) == ring->ticket;
}

void skua__workring_progress(struct skua__workring *ring, uint64_t done, uint64_t total)
{
    struct skua__shared *shared = ring->shared;
    ring->done = done;
    ring->total = total;
    if (!ring->has_progress) {
        /* Whoever sees the new numbers does not take them for the earlier job's. */
        skua__store(&shared->progress_ticket, 0, relaxed);
        /* seq_cst: orders the 0 before the numbers; pairs with the fence in
           skua__jobring_progress(). */
        skua__fence(seq_cst);
    }
    skua__store(&shared->progress_total, total, relaxed);
    skua__store(&shared->progress_done, done, relaxed);
    if (!ring->has_progress) {
        ring->has_progress = true;
        /* release: publishes the numbers; pairs with the acquire in skua__jobring_progress(). */
        skua__store(&shared->progress_ticket, ring->ticket, release);
    }
}

bool skua__workring_log(struct skua__workring *ring, const char *text, size_t bytes)
{
    struct skua__shared *shared = ring->shared;
    struct skua__log_slot *slot = &shared->log[ring->log_write % SKUA__LOG_SLOTS];
    char line[SKUA__TEXT_BYTES] = {0};
    memcpy(line, text, bytes < sizeof line ? bytes : sizeof line - 1);
    skua__store(&slot->ticket, ring->ticket, relaxed);
    for (size_t i = 0; i < SKUA_COUNT_OF(slot->text); i++) {
        uint64_t word;
        memcpy(&word, line + i * sizeof word, sizeof word);
        skua__store(&slot->text[i], word, relaxed);
    }
    /* release: publishes the line; pairs with the acquire in skua__jobring_take_log(). */
    skua__store(&shared->log_write, ++ring->log_write, release);
    return wants_bell(ring);
}
