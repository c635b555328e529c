/* The rings between the parent and one worker process.

   Invariants
   (R1) Every word of the shared page has one writer. The parent never reads back what it has
        written there: its own indices are private, so that nothing the worker does to them matters.
   (R2) The parent reads response_write once per look, and believes it only if it lies at most
        in_flight() beyond its own index. A response is copied to private memory before any field of
        it is looked at.
   (R3) in_flight() <= SKUA__JOBRING_SLOTS, by the parent's own count. The parent needs no room
        check against request_read, and the worker none against response_read.
   (R4) Nobody sleeps through a message. Both directions use the same handshake:

            sender:   index = n + 1 (release); fence; if (sleeps) { wake }
            sleeper:  sleeps = 1; fence; if (index has moved) { do not sleep }

        Of the two fences one is first; the side whose fence is second sees the other's store.

   Who runs it: the parent under the pool's lock; the worker process, which has one thread.

   How it could go wrong: a worker that lies about its indices (R2 catches it, or it only hurts
   itself), that sleeps for ever or never rings (then its call waits for its deadline, like for any
   job that hangs). */
#include "pool/ring.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/panic.h"

#include <errno.h>

enum {
    SPIN_NS = 20 * 1000, /* a sleep and its wake cost more than this on both sides */
    PAUSES_PER_LOOK = 32,
};

bool skua__jobring_send(struct skua__jobring *ring, const struct skua__request *request)
{
    struct skua__shared *shared = ring->shared;
    skua_require(skua__jobring_in_flight(ring) < SKUA__JOBRING_SLOTS);
    shared->requests[ring->request_write % SKUA__JOBRING_SLOTS] = *request;
    /* release: publishes the request and the input; pairs with the acquire in
       skua__jobring_receive(). */
    skua__store(&shared->request_write, ++ring->request_write, release);
    /* seq_cst: pairs with the fence in sleep_until_request() (R4). */
    skua__fence(seq_cst);
    return skua__load(&shared->worker_sleeps, relaxed) != 0;
}

void skua__jobring_bell(struct skua__shared *shared)
{
    skua__futex_wake(&shared->request_write, 1, true);
}

int skua__jobring_take(struct skua__jobring *ring, struct skua__response *response)
{
    struct skua__shared *shared = ring->shared;
    /* acquire: pairs with the release in skua__jobring_respond(): the response and the answer are
       there. */
    const uint32_t write = skua__load(&shared->response_write, acquire);
    if (write == ring->response_read) {
        return 0;
    }
    if (write - ring->response_read > skua__jobring_in_flight(ring)) {
        return -EPROTO;
    }
    *response = shared->responses[ring->response_read % SKUA__JOBRING_SLOTS];
    ring->response_read++;
    skua__store(&shared->response_read, ring->response_read, relaxed);
    return 1;
}

bool skua__jobring_is_untouched(const struct skua__jobring *ring)
{
    const uint32_t read = skua__load(&ring->shared->request_read, relaxed);
    return skua__jobring_in_flight(ring) > 0 && read != ring->request_write;
}

void skua__jobring_set_sleeps(struct skua__jobring *ring, bool sleeps)
{
    skua__store(&ring->shared->parent_sleeps, sleeps ? 1 : 0, relaxed);
}

void skua__jobring_fence(void)
{
    /* seq_cst: pairs with the fence in skua__jobring_respond() (R4). */
    skua__fence(seq_cst);
}

static bool request_is_there(struct skua__shared *shared, uint32_t read)
{
    /* acquire: pairs with the release in skua__jobring_send(). */
    return skua__load(&shared->request_write, acquire) != read;
}

/* For a short while the next request is cheaper awaited than slept for. */
static bool spin_until_request(struct skua__shared *shared, uint32_t read)
{
    const int64_t until_ns = skua__clock_real_ns() + SPIN_NS;
    do {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (request_is_there(shared, read)) {
                return true;
            }
            skua__spin_pause();
        }
    } while (skua__clock_real_ns() < until_ns);
    return false;
}

static void sleep_until_request(struct skua__shared *shared, uint32_t read)
{
    skua__store(&shared->worker_sleeps, 1, relaxed);
    /* seq_cst: pairs with the fence in skua__jobring_send() (R4). */
    skua__fence(seq_cst);
    while (!request_is_there(shared, read)) {
        skua__futex_wait(&shared->request_write, read, SKUA__NEVER, true);
    }
    skua__store(&shared->worker_sleeps, 0, relaxed);
}

void skua__jobring_receive(struct skua__shared *shared, struct skua__request *request)
{
    const uint32_t read = skua__load(&shared->request_read, relaxed);
    if (!spin_until_request(shared, read)) {
        sleep_until_request(shared, read);
    }
    *request = shared->requests[read % SKUA__JOBRING_SLOTS];
    skua__store(&shared->request_read, read + 1, relaxed);
}

bool skua__jobring_respond(struct skua__shared *shared, const struct skua__response *response)
{
    const uint32_t write = skua__load(&shared->response_write, relaxed);
    shared->responses[write % SKUA__JOBRING_SLOTS] = *response;
    /* release: publishes response and answer; pairs with the acquire in skua__jobring_take(). */
    skua__store(&shared->response_write, write + 1, release);
    /* seq_cst: pairs with skua__jobring_fence() (R4). */
    skua__fence(seq_cst);
    return skua__load(&shared->parent_sleeps, relaxed) != 0;
}
