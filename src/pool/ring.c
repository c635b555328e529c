/* The wire between the parent and one worker process: the parent's end.

   Invariants
   (R1) Every word of the shared memory has one writer, but for a request's state. The parent never
        reads back what it has written there: its own indices are private, so that nothing the
        worker does to them matters.
   (R2) What the parent believes of the worker's words it has read once, by an atomic or volatile
        access, and checked in private memory: the number of responses lies at most live + 1 beyond
        its own; a response is for the oldest live request, which was published; its bytes are
        where they can be.
   (R3) No index is checked for room that an honest worker cannot fill: it has at most live answers
        and one question outstanding, which is less than SKUA__RESPONSE_SLOTS, and at most
        SKUA__LENT_MAX blocks and the spare one lent, which all fit into the returns. One that lies
        loses its own messages.
   (R4) Nobody sleeps through a message. Both directions use the same handshake:

            sender:   message (release); fence; if (sleeps) { wake }
            sleeper:  sleeps; fence; if (a message is there) { do not sleep }

        Of the two fences one is first; the side whose fence is second sees the other's store.
   (R5) The worker sleeps on the bell, and has said at which number of it. To wake it is to move the
        bell on, with the lock held, and to call the kernel, without: whoever looks at the worker
        between the two sees that this bell is rung already.
   (R6) A request is begun (TAKEN) or revoked, by a compare-and-swap of its state, and never both.
        A slot is written again when the request in it is answered, or revoked and passed by the
        worker, as request_read says: one that lies about that spoils its own requests.

   How it could go wrong: a worker that lies about its indices (R2, or it only hurts itself), that
   sleeps for ever or never rings (then its job waits for its deadline, like any that hangs), that
   says a job is still QUEUED after it has run it (then that one is run again, by another worker,
   and its answer here is one to a revoked request, which is a lie by R2).

   Rejected: taking the newest requests back by moving request_write back (the worker may have
   looked at it before); a ring that both sides may close (nobody needs it: a worker is killed). */
#include "pool/ring.h"

#include "base/futex.h"
#include "base/panic.h"

#include <errno.h>
#include <string.h>

_Static_assert((SKUA__REQUEST_SLOTS & (SKUA__REQUEST_SLOTS - 1)) == 0, "tickets wrap");
_Static_assert(SKUA__RESPONSE_SLOTS > SKUA__REQUEST_SLOTS, "R3");
_Static_assert(sizeof(_Atomic uint32_t) + sizeof(struct skua__request) <= SKUA_CACHE_LINE,
               "a short input would not follow its request");
_Static_assert(sizeof(struct skua__response) <= SKUA_CACHE_LINE, "likewise an answer");

void skua__jobring_init(struct skua__jobring *ring, struct skua__shared *shared,
                        size_t region_bytes, size_t payload_max)
{
    *ring = (struct skua__jobring){
        .shared = shared, .payload_max = payload_max, .region_bytes = region_bytes};
}

static struct skua__sent *sent_of(const struct skua__jobring *ring, uint64_t ticket)
{
    return (struct skua__sent *)(uintptr_t)&ring->sent[ticket % SKUA__REQUEST_SLOTS];
}

/* Slots of revoked requests that no answer comes after are free when the worker has passed them. */
static void reclaim(struct skua__jobring *ring)
{
    /* acquire: pairs with the release in skip() of ring_worker.c: it will not look at these slots'
       states any more. */
    const uint32_t read = skua__load(&ring->shared->request_read, acquire);
    const uint32_t seen = read - (uint32_t)ring->passed;
    if (seen > ring->published - ring->passed) {
        return;
    }
    const uint64_t limit = ring->passed + seen;
    while (ring->passed < limit && sent_of(ring, ring->passed + 1)->is_revoked) {
        ring->passed++;
    }
}

uint32_t skua__jobring_room(struct skua__jobring *ring)
{
    if (ring->last - ring->passed > ring->live) {
        reclaim(ring);
    }
    return SKUA__REQUEST_SLOTS - (uint32_t)(ring->last - ring->passed);
}

uint64_t skua__jobring_put(struct skua__jobring *ring, const struct skua__request *request,
                           const void *bytes, void *owner)
{
    skua_require(ring->last - ring->passed < SKUA__REQUEST_SLOTS);
    const uint64_t ticket = ++ring->last;
    struct skua__request_slot *slot = &ring->shared->requests[ticket % SKUA__REQUEST_SLOTS];
    skua__store(&slot->state, SKUA__REQUEST_QUEUED, relaxed);
    slot->request = *request;
    if (request->in_where == SKUA__INLINE) {
        skua_require(request->in_bytes <= SKUA__IN_INLINE_BYTES);
        memcpy(slot->bytes, bytes, (size_t)request->in_bytes);
    }
    *sent_of(ring, ticket) = (struct skua__sent){
        .owner = owner,
        .in_bytes = request->in_bytes,
        .in_block = request->in_where == SKUA__BLOCK ? request->in_block : SKUA__NO_BLOCK};
    ring->live++;
    return ticket;
}

/* A message for a worker that may sleep for it is out. True: wake it (R5). */
static bool needs_wake(struct skua__jobring *ring, enum skua__sleep sleep)
{
    struct skua__shared *shared = ring->shared;
    /* seq_cst: pairs with the fence in sleep_for() of ring_worker.c (R4). */
    skua__fence(seq_cst);
    if (skua__load(&shared->worker_sleeps, relaxed) != skua__sleep_word(ring->bell, sleep)) {
        return false;
    }
    skua__store(&shared->bell, ++ring->bell, relaxed);
    return true;
}

bool skua__jobring_publish(struct skua__jobring *ring)
{
    ring->published = ring->last;
    /* release: publishes requests and inputs; pairs with the acquire in request_is_there() of
       ring_worker.c. */
    skua__store(&ring->shared->request_write, (uint32_t)ring->last, release);
    return needs_wake(ring, SKUA__SLEEPS_FOR_REQUEST);
}

void skua__jobring_wake(struct skua__shared *shared)
{
    skua__futex_wake(&shared->bell, 1, true);
}

/* --- the live requests ------------------------------------------------------------------------ */

uint64_t skua__jobring_next(const struct skua__jobring *ring, uint64_t ticket)
{
    do {
        if (ticket++ == ring->last) {
            return 0;
        }
    } while (sent_of(ring, ticket)->is_revoked);
    return ticket;
}

uint64_t skua__jobring_previous(const struct skua__jobring *ring, uint64_t ticket)
{
    do {
        if (--ticket <= ring->passed) {
            return 0;
        }
    } while (sent_of(ring, ticket)->is_revoked);
    return ticket;
}

uint64_t skua__jobring_oldest(const struct skua__jobring *ring)
{
    return skua__jobring_next(ring, ring->passed);
}

uint64_t skua__jobring_newest(const struct skua__jobring *ring)
{
    return skua__jobring_previous(ring, ring->last + 1);
}

static bool is_live(const struct skua__jobring *ring, uint64_t ticket)
{
    return ticket > ring->passed && ticket <= ring->last && !sent_of(ring, ticket)->is_revoked;
}

bool skua__jobring_has_begun(const struct skua__jobring *ring, uint64_t ticket)
{
    const struct skua__request_slot *slot = &ring->shared->requests[ticket % SKUA__REQUEST_SLOTS];
    return skua__load(&slot->state, relaxed) == SKUA__REQUEST_TAKEN;
}

bool skua__jobring_revoke(struct skua__jobring *ring, uint64_t ticket)
{
    skua_require(is_live(ring, ticket));
    struct skua__request_slot *slot = &ring->shared->requests[ticket % SKUA__REQUEST_SLOTS];
    uint32_t state = SKUA__REQUEST_QUEUED;
    if (!skua__cas(&slot->state, &state, SKUA__REQUEST_REVOKED, relaxed, relaxed)) {
        return false;
    }
    sent_of(ring, ticket)->is_revoked = true;
    ring->live--;
    return true;
}

/* --- responses -------------------------------------------------------------------------------- */

/* (R2) `sent` is the request that it is for. */
static bool is_possible(const struct skua__jobring *ring, const struct skua__response *response,
                        const struct skua__sent *sent)
{
    const uint64_t bytes = response->bytes;
    switch (response->where) {
    case SKUA__NOTHING:
        return bytes == 0;
    case SKUA__INLINE:
        return bytes > 0 && bytes <= SKUA__OUT_INLINE_BYTES && response->text_bytes == 0;
    case SKUA__INPUT:
        return bytes > 0 && bytes <= sent->in_bytes && sent->in_block != SKUA__NO_BLOCK &&
               response->kind == SKUA__RESPONSE_ANSWER;
    case SKUA__SPARE:
        return bytes > 0 && bytes <= ring->payload_max && !ring->spare_is_lent;
    case SKUA__BLOCK: {
        const uint64_t offset = (uint64_t)response->block << SKUA__BLOCK_SHIFT;
        return bytes > 0 && bytes <= ring->payload_max && ring->lent < SKUA__LENT_MAX &&
               offset < ring->region_bytes && bytes <= ring->region_bytes - offset;
    }
    default:
        return false;
    }
}

static bool is_honest(const struct skua__jobring *ring, const struct skua__response *response)
{
    const uint64_t ticket = skua__jobring_oldest(ring);
    return ticket != 0 && ticket <= ring->published && response->ticket == ticket &&
           !ring->has_question &&
           (response->kind == SKUA__RESPONSE_ANSWER || response->kind == SKUA__RESPONSE_QUESTION) &&
           response->text_bytes < SKUA__TEXT_BYTES &&
           is_possible(ring, response, sent_of(ring, ticket));
}

/* So much that sums and averages of them stay numbers. */
static int64_t credible_ns(int64_t run_ns)
{
    const int64_t day_ns = INT64_C(86400) * 1000 * 1000 * 1000;
    return run_ns < 0 ? 0 : run_ns > day_ns ? day_ns : run_ns;
}

static void account(struct skua__jobring *ring, const struct skua__response *response)
{
    if (response->kind == SKUA__RESPONSE_ANSWER) {
        ring->passed = response->ticket;
        ring->live--;
    } else {
        ring->has_question = true;
    }
    if (response->where == SKUA__BLOCK) {
        ring->lent++;
    } else if (response->where == SKUA__SPARE) {
        ring->spare_is_lent = true;
    }
}

int skua__jobring_take(struct skua__jobring *ring, struct skua__response *response)
{
    struct skua__shared *shared = ring->shared;
    /* acquire: pairs with the release in skua__workring_respond(): the response and the answer are
       there. */
    const uint32_t write = skua__load(&shared->response_write, acquire);
    if (write == ring->response_read) {
        return 0;
    }
    if (write - ring->response_read > ring->live + 1) {
        return -EPROTO;
    }
    const volatile struct skua__response *from =
        &shared->responses[ring->response_read % SKUA__RESPONSE_SLOTS].response;
    *response = *from;
    if (!is_honest(ring, response)) {
        return -EPROTO;
    }
    response->run_ns = credible_ns(response->run_ns);
    ring->response_read++;
    account(ring, response);
    return 1;
}

const char *skua__jobring_bytes(const struct skua__jobring *ring)
{
    return ring->shared->responses[(ring->response_read - 1) % SKUA__RESPONSE_SLOTS].bytes;
}

/* --- returns and letters ---------------------------------------------------------------------- */

bool skua__jobring_give_back(struct skua__jobring *ring, uint32_t block)
{
    struct skua__shared *shared = ring->shared;
    if (block == SKUA__SPARE_BLOCK) {
        skua_require(ring->spare_is_lent);
        ring->spare_is_lent = false;
    } else {
        skua_require(ring->lent > 0);
        ring->lent--;
    }
    skua__store(&shared->returns[ring->return_write % SKUA__RETURN_SLOTS], block, relaxed);
    /* release: publishes the number, and that nobody here reads the block any more; pairs with the
       acquire in return_is_there() of ring_worker.c. */
    skua__store(&shared->return_write, ++ring->return_write, release);
    return needs_wake(ring, SKUA__SLEEPS_FOR_RETURN);
}

bool skua__jobring_reply(struct skua__jobring *ring, const struct skua__letter *letter,
                         const void *bytes)
{
    struct skua__shared *shared = ring->shared;
    skua_require(ring->has_question);
    ring->has_question = false;
    shared->letter = *letter;
    if (letter->where == SKUA__INLINE) {
        skua_require(letter->bytes <= SKUA__OUT_INLINE_BYTES);
        memcpy(shared->letter_bytes, bytes, (size_t)letter->bytes);
    }
    /* release: publishes the letter; pairs with the acquire in letter_is_there() of ring_worker.c.
       */
    skua__store(&shared->letter_write, ++ring->letter_write, release);
    return needs_wake(ring, SKUA__SLEEPS_FOR_LETTER);
}

/* --- words ------------------------------------------------------------------------------------ */

void skua__jobring_stop(struct skua__shared *shared, uint64_t ticket)
{
    skua__store(&shared->stop, ticket, relaxed);
}

void skua__jobring_set_sleeps(struct skua__jobring *ring, uint32_t sleep)
{
    skua__store(&ring->shared->parent_sleeps, sleep, relaxed);
}

void skua__jobring_set_cpu(struct skua__jobring *ring, uint32_t cpu)
{
    skua__store(&ring->shared->parent_cpu, cpu + 1, relaxed);
}

bool skua__jobring_is_on(const struct skua__jobring *ring, uint32_t cpu)
{
    return skua__load(&ring->shared->worker_cpu, relaxed) == cpu + 1;
}

void skua__jobring_fence(void)
{
    /* seq_cst: pairs with the fence in wants_bell() of ring_worker.c (R4). */
    skua__fence(seq_cst);
}

bool skua__jobring_progress(const struct skua__shared *shared, uint64_t ticket, uint64_t *done,
                            uint64_t *total)
{
    /* acquire: pairs with the release in skua__workring_progress(): the numbers are not those of an
       earlier job. */
    if (skua__load(&shared->progress_ticket, acquire) != ticket) {
        return false;
    }
    *done = skua__load(&shared->progress_done, relaxed);
    *total = skua__load(&shared->progress_total, relaxed);
    /* seq_cst: pairs with the fence in skua__workring_progress(): were one of the numbers a later
       job's, the ticket would have been taken away before. */
    skua__fence(seq_cst);
    return skua__load(&shared->progress_ticket, relaxed) == ticket;
}

/* --- log -------------------------------------------------------------------------------------- */

static uint64_t copy_line(const struct skua__shared *shared, uint32_t line,
                          char text[SKUA__TEXT_BYTES])
{
    const struct skua__log_slot *slot = &shared->log[line % SKUA__LOG_SLOTS];
    for (size_t i = 0; i < SKUA_COUNT_OF(slot->text); i++) {
        const uint64_t word = skua__load(&slot->text[i], relaxed);
        memcpy(text + i * sizeof word, &word, sizeof word);
    }
    text[SKUA__TEXT_BYTES - 1] = '\0';
    return skua__load(&slot->ticket, relaxed);
}

int skua__jobring_take_log(struct skua__jobring *ring, char text[SKUA__TEXT_BYTES],
                           uint64_t *ticket, uint64_t *lost)
{
    struct skua__shared *shared = ring->shared;
    for (int tries = 0; tries < SKUA__LOG_SLOTS; tries++) {
        /* acquire: pairs with the release in skua__workring_log(): the lines are there. */
        const uint32_t pending = skua__load(&shared->log_write, acquire) - ring->log_read;
        if (pending == 0) {
            return 0;
        }
        if (pending >= SKUA__LOG_SLOTS) { /* the oldest of the slots may be being written */
            *lost += pending - (SKUA__LOG_SLOTS - 1);
            ring->log_read += pending - (SKUA__LOG_SLOTS - 1);
        }
        *ticket = copy_line(shared, ring->log_read, text);
        /* seq_cst: orders the copy before the second look; pairs with the fence in wants_bell():
           had a word been overwritten, the count would say so. */
        skua__fence(seq_cst);
        const uint32_t write = skua__load(&shared->log_write, relaxed);
        if (write - ring->log_read < SKUA__LOG_SLOTS) {
            ring->log_read++;
            return 1;
        }
    }
    return 0; /* a flood: at the next look */
}

bool skua__jobring_last_log(const struct skua__jobring *ring, uint64_t ticket,
                            char text[SKUA__TEXT_BYTES])
{
    /* Who has learned of its death sees what it wrote. */
    const uint32_t write = skua__load(&ring->shared->log_write, relaxed);
    return write != 0 && copy_line(ring->shared, write - 1, text) == ticket;
}
