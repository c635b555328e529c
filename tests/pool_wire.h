/* tests/pool_wire.h: the wire of a pool without the pool: the parent's end in the test, the worker
   on a thread of this process. */
#ifndef SKUA_TESTS_POOL_WIRE_H
#define SKUA_TESTS_POOL_WIRE_H

#include "test.h"

#include "base/compiler.h"
#include "pool/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <skua/job.h>
#include <sys/eventfd.h>

struct wire {
    struct skua__arena arena;
    struct skua__jobring ring;
    struct skua__blocks in;
    struct skua__worker worker;
    pthread_t thread;
    uint32_t sleeps; /* the number of the parent's sleeps */
    bool has_thread;
};

/* Ends the worker's thread. */
static inline int wire_quit(skua_bytes in, skua_reply *reply)
{
    *skua_job_state(reply) = reply;
    return 0;
}
SKUA_JOB(wire_quit);

static void *wire_main(void *arg)
{
    struct skua__worker *worker = arg;
    while (worker->state == NULL) {
        skua__worker_turn(worker);
    }
    return NULL;
}

/* The two ends; the worker does not run yet. */
static inline void wire_open(struct wire *wire, size_t payload_max)
{
    int memfd;
    memset(wire, 0, sizeof *wire);
    CHECK_INT(skua__arena_create(&wire->arena, payload_max, &memfd), 0);
    close(memfd);
    CHECK_INT(skua__heap_init(&wire->in, wire->arena.region_bytes), 0);
    skua__jobring_init(&wire->ring, wire->arena.shared, wire->arena.region_bytes, payload_max);
    wire->worker.arena = wire->arena;
    wire->worker.talk = -1;
    wire->worker.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(wire->worker.bell >= 0);
    CHECK_INT(skua__worker_init(&wire->worker, 2, 2), 0);
}

static inline void wire_start(struct wire *wire)
{
    CHECK_INT(pthread_create(&wire->thread, NULL, wire_main, &wire->worker), 0);
    wire->has_thread = true;
}

/* Put a job; its input goes where it fits. Returns its ticket. */
static inline uint64_t wire_put(struct wire *wire, const skua_job *job, const void *data,
                                size_t bytes, void *owner)
{
    struct skua__request request = {.job_hash = job->name_hash,
                                    .job_number = job->number,
                                    .in_bytes = bytes,
                                    .in_where = bytes == 0                       ? SKUA__NOTHING
                                                : bytes <= SKUA__IN_INLINE_BYTES ? SKUA__INLINE
                                                                                 : SKUA__BLOCK};
    if (request.in_where == SKUA__BLOCK) {
        request.in_block = skua__heap_take(&wire->in, bytes);
        CHECK(request.in_block != SKUA__NO_BLOCK);
        memcpy(skua__arena_in(&wire->arena, request.in_block), data, bytes);
    }
    return skua__jobring_put(&wire->ring, &request, data, owner);
}

static inline void wire_publish(struct wire *wire)
{
    if (skua__jobring_publish(&wire->ring)) {
        skua__jobring_wake(wire->arena.shared);
    }
}

/* The next response, for which the parent sleeps if it has to. */
static inline void wire_take(struct wire *wire, struct skua__response *response)
{
    int taken;
    while ((taken = skua__jobring_take(&wire->ring, response)) == 0) {
        if (++wire->sleeps == 0) {
            wire->sleeps++;
        }
        skua__jobring_set_sleeps(&wire->ring, wire->sleeps);
        skua__jobring_fence();
        taken = skua__jobring_take(&wire->ring, response);
        if (taken != 0) {
            break;
        }
        struct pollfd bell = {.fd = wire->worker.bell, .events = POLLIN};
        CHECK_INT(poll(&bell, 1, -1), 1);
        uint64_t rings;
        CHECK_INT(read(wire->worker.bell, &rings, sizeof rings), sizeof rings);
    }
    skua__jobring_set_sleeps(&wire->ring, 0);
    CHECK_INT(taken, 1);
}

/* Where the answer lies. */
static inline const char *wire_bytes(const struct wire *wire, const struct skua__response *response)
{
    const struct skua__sent *sent = &wire->ring.sent[response->ticket % SKUA__REQUEST_SLOTS];
    switch (response->where) {
    case SKUA__INLINE:
        return skua__jobring_bytes(&wire->ring);
    case SKUA__BLOCK:
        return skua__arena_out(&wire->arena, response->block);
    case SKUA__INPUT:
        return skua__arena_in(&wire->arena, sent->in_block);
    case SKUA__SPARE:
        return wire->arena.spare;
    default:
        return NULL;
    }
}

static inline void wire_give_back(struct wire *wire, uint32_t block)
{
    if (skua__jobring_give_back(&wire->ring, block)) {
        skua__jobring_wake(wire->arena.shared);
    }
}

/* The program is done with the answer, and with its input. */
static inline void wire_release(struct wire *wire, const struct skua__response *response)
{
    const struct skua__sent *sent = skua__jobring_sent(&wire->ring, response->ticket);
    if (sent->in_block != SKUA__NO_BLOCK && response->kind == SKUA__RESPONSE_ANSWER) {
        CHECK(skua__heap_give(&wire->in, sent->in_block));
    }
    if (response->where == SKUA__BLOCK) {
        wire_give_back(wire, response->block);
    } else if (response->where == SKUA__SPARE) {
        wire_give_back(wire, SKUA__SPARE_BLOCK);
    }
}

/* One job, alone. */
static inline struct skua__response wire_call(struct wire *wire, const skua_job *job,
                                              const void *data, size_t bytes)
{
    struct skua__response response;
    const uint64_t ticket = wire_put(wire, job, data, bytes, NULL);
    wire_publish(wire);
    wire_take(wire, &response);
    CHECK_INT(response.ticket, ticket);
    return response;
}

static inline void wire_close(struct wire *wire)
{
    if (wire->has_thread) {
        const struct skua__response response = wire_call(wire, &wire_quit_job, NULL, 0);
        CHECK_INT(response.status, 0);
        CHECK_INT(pthread_join(wire->thread, NULL), 0);
    }
    skua__worker_fini(&wire->worker);
    skua__heap_fini(&wire->in);
    skua__arena_unmap(&wire->arena);
    close(wire->worker.bell);
}

#endif
