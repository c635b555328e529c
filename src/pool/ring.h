/* pool/ring.h: the two rings between the parent and one worker process.

   A page of shared memory holds a ring of requests and a ring of responses. Each has one writer and
   one reader, and each word is written by exactly one side, so that a process that dies at any
   instruction leaves the other side's words as they were. */
#ifndef SKUA_POOL_RING_H
#define SKUA_POOL_RING_H

#include "base/atomic.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SKUA__JOBRING_SLOTS = 64 };

/* Run that job on the first in_bytes of the input area and use that answer area. */
struct skua__request {
    uint64_t ticket; /* counts the requests to this worker */
    uint64_t job_hash;
    uint64_t in_bytes;
    uint32_t job_number;
    uint32_t answer;
};

/* The job has ended; its answer is the first `bytes` of the answer area. */
struct skua__response {
    uint64_t ticket;
    uint64_t bytes;
    uint32_t answer;
    int32_t status;
};

/* The layout of the shared memory. */
struct skua__shared {
    /* Written by the parent. */
    SKUA_CACHE_ALIGNED _Atomic uint32_t request_write; /* the worker sleeps on this word */
    _Atomic uint32_t response_read;
    _Atomic uint32_t parent_sleeps; /* 1: a response is announced on the pool's bell */
    /* Written by the worker. */
    SKUA_CACHE_ALIGNED _Atomic uint32_t request_read;
    _Atomic uint32_t response_write;
    _Atomic uint32_t worker_sleeps; /* 1: a request is announced by a futex wake */
    SKUA_CACHE_ALIGNED struct skua__request requests[SKUA__JOBRING_SLOTS];
    SKUA_CACHE_ALIGNED struct skua__response responses[SKUA__JOBRING_SLOTS];
};

/* The parent's end. Its indices live here, in private memory: the worker can write to all of
   `shared`. */
struct skua__jobring {
    struct skua__shared *shared;
    uint32_t request_write;
    uint32_t response_read;
};

/* Requests that have not been answered. */
static inline uint32_t skua__jobring_in_flight(const struct skua__jobring *ring)
{
    return ring->request_write - ring->response_read;
}

/* Parent: send a request; there must be room. Returns true if the worker may be asleep: then
   skua__jobring_bell() must follow, with no lock held if possible. Concurrency: one caller at a
   time, and never together with take(). */
bool skua__jobring_send(struct skua__jobring *ring, const struct skua__request *request);
void skua__jobring_bell(struct skua__shared *shared);

/* Parent: take one response into private memory. Returns 1, 0 (none is there), or -EPROTO: the
   worker's index is not one that an honest worker could have written. */
int skua__jobring_take(struct skua__jobring *ring, struct skua__response *response);

/* Parent, of a dead worker: the last request was not taken out of the ring. */
bool skua__jobring_is_untouched(const struct skua__jobring *ring);

/* Parent: from now on the worker announces its responses (`sleeps`), or need not. After turning it
   on, the parent looks into the ring once more before it sleeps. */
void skua__jobring_set_sleeps(struct skua__jobring *ring, bool sleeps);

/* Parent: orders set_sleeps() before that last look. Once for any number of rings. */
void skua__jobring_fence(void);

/* Worker: wait for the next request. */
void skua__jobring_receive(struct skua__shared *shared, struct skua__request *request);

/* Worker: send the response. Returns true if the parent wants to be told on the bell. */
bool skua__jobring_respond(struct skua__shared *shared, const struct skua__response *response);

#endif
