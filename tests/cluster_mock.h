/* tests/cluster_mock.h: a transport in one process, for tests: ranks are threads, and messages go
   from queue to queue. It can hold messages back, lose a rank with or without a word, and lets
   nothing be sent to who is lost. What is sent to a rank that has stopped is dropped. */
#ifndef SKUA_TESTS_CLUSTER_MOCK_H
#define SKUA_TESTS_CLUSTER_MOCK_H

#include "test.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <skua/cluster_transport.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MOCK_RANKS_MAX = 8 };

struct mock_rank;

struct mock_message {
    struct mock_message *next;
    struct mock_rank *from;
    bool is_payload, is_receipt; /* a receipt: its sender's `sent` */
    uint32_t id;
    const void *data;
    size_t bytes;
    void *token;
    int64_t due_ns;          /* not seen before */
    _Alignas(8) char copy[]; /* of the data: a rank may end before it is read */
};

/* A payload that is waited for. */
struct mock_claim {
    struct mock_claim *next;
    uint32_t from, id;
    void *data;
    size_t bytes;
    void *token;
};

struct mock_rank {
    struct mock_world *world;
    uint32_t rank;
    struct mock_message *first, **last; /* what has come */
    struct mock_claim *claims;          /* its thread's own */
    atomic_bool is_gone;                /* nothing comes from it or gets there */
    atomic_bool is_told_of;             /* and the others are told */
    atomic_bool was_aborted;
    atomic_bool is_to_end; /* it is told that rank 0 is lost */
    bool has_stopped;      /* under the lock: what is sent to it is sent in vain, and is over */
    atomic_uint polls;
    bool was_told[MOCK_RANKS_MAX];
};

struct mock_world {
    pthread_mutex_t lock;
    uint32_t size;
    int64_t delay_ns;
    /* Who is only late, as threads of a busy machine are, is not silent to rank 0. */
    bool keeps_alive;
    bool in_step;    /* of two ranks, 0 does nothing until 1 has had its turns */
    atomic_int sent; /* messages */
    struct mock_rank ranks[MOCK_RANKS_MAX];
};

static inline void mock_begin(struct mock_world *world, uint32_t size, int64_t delay_ns)
{
    memset(world, 0, sizeof *world);
    pthread_mutex_init(&world->lock, NULL);
    world->size = size;
    world->delay_ns = delay_ns;
    for (uint32_t i = 0; i < size; i++) {
        world->ranks[i].world = world;
        world->ranks[i].rank = i;
        world->ranks[i].last = &world->ranks[i].first;
    }
}

static inline void mock_free(struct mock_world *world)
{
    for (uint32_t i = 0; i < world->size; i++) {
        struct mock_rank *rank = &world->ranks[i];
        for (struct mock_message *next, *at = rank->first; at != NULL; at = next) {
            next = at->next;
            free(at);
        }
        for (struct mock_claim *next, *at = rank->claims; at != NULL; at = next) {
            next = at->next;
            free(at);
        }
    }
    pthread_mutex_destroy(&world->lock);
}

static inline void mock_lose(struct mock_world *world, uint32_t rank, bool is_told)
{
    atomic_store(&world->ranks[rank].is_told_of, is_told);
    atomic_store(&world->ranks[rank].is_gone, true);
}

static inline int mock_start(void *self, uint32_t *rank, uint32_t *size, const char **why)
{
    struct mock_rank *me = self;
    (void)why;
    *rank = me->rank;
    *size = me->world->size;
    return 0;
}

/* Under the lock. */
static inline void mock_append(struct mock_rank *to, struct mock_message *message)
{
    message->next = NULL;
    *to->last = message;
    to->last = &message->next;
}

/* Under the lock. Small messages leave a sender's memory at once in an MPI, whether or not their
   receiver is there still: they do not keep it from ending. */
static inline void mock_drop(struct mock_message *message)
{
    message->is_receipt = true;
    mock_append(message->from, message);
}

static inline void mock_put(struct mock_rank *from, struct mock_rank *to, struct mock_message what)
{
    struct mock_message *message = malloc(sizeof *message + what.bytes);
    CHECK(message != NULL);
    *message = what;
    if (what.bytes > 0) {
        memcpy(message->copy, what.data, what.bytes);
    }
    message->data = message->copy;
    message->from = from;
    message->due_ns = skua__clock_real_ns() + from->world->delay_ns;
    pthread_mutex_lock(&from->world->lock);
    if (to->has_stopped && !what.is_receipt) {
        mock_drop(message);
    } else {
        mock_append(to, message);
    }
    pthread_mutex_unlock(&from->world->lock);
}

static inline int mock_send_as(struct mock_rank *me, uint32_t to, struct mock_message what)
{
    struct mock_rank *other = &me->world->ranks[to];
    if (atomic_load(&other->is_told_of)) {
        return -EPIPE;
    }
    atomic_fetch_add(&me->world->sent, 1);
    mock_put(me, other, what);
    return 0;
}

static inline int mock_send(void *self, uint32_t to, const void *data, size_t bytes, void *token)
{
    CHECK(bytes <= SKUA_CLUSTER_PACKET_MAX);
    return mock_send_as(self, to,
                        (struct mock_message){.data = data, .bytes = bytes, .token = token});
}

static inline int mock_send_payload(void *self, uint32_t to, uint32_t id, const void *data,
                                    size_t bytes, void *token)
{
    CHECK(bytes <= SKUA_CLUSTER_PAYLOAD_MAX);
    return mock_send_as(
        self, to,
        (struct mock_message){
            .is_payload = true, .id = id, .data = data, .bytes = bytes, .token = token});
}

static inline int mock_receive_payload(void *self, uint32_t from, uint32_t id, void *data,
                                       size_t bytes, void *token)
{
    struct mock_rank *me = self;
    struct mock_claim *claim = malloc(sizeof *claim);
    CHECK(claim != NULL);
    *claim = (struct mock_claim){me->claims, from, id, data, bytes, token};
    me->claims = claim;
    return 0;
}

static inline struct mock_message *mock_next(struct mock_rank *me)
{
    struct mock_message *message = NULL;
    pthread_mutex_lock(&me->world->lock);
    if (me->first != NULL && me->first->due_ns <= skua__clock_real_ns()) {
        message = me->first;
        me->first = message->next;
        if (me->first == NULL) {
            me->last = &me->first;
        }
    }
    pthread_mutex_unlock(&me->world->lock);
    return message;
}

static inline void *mock_claimed(struct mock_rank *me, const struct mock_message *message)
{
    struct mock_claim **at = &me->claims;
    while (*at != NULL && ((*at)->from != message->from->rank || (*at)->id != message->id)) {
        at = &(*at)->next;
    }
    CHECK(*at != NULL); /* payloads are sent to who waits for them */
    struct mock_claim *claim = *at;
    CHECK_INT(message->bytes, claim->bytes);
    memcpy(claim->data, message->data, message->bytes);
    void *token = claim->token;
    *at = claim->next;
    free(claim);
    return token;
}

static inline void mock_take(struct mock_rank *me, const struct mock_message *message,
                             const skua_cluster_events *events)
{
    if (message->is_receipt) {
        events->sent(events->arg, message->token);
        return;
    }
    if (atomic_load(&me->is_gone)) {
        return;
    }
    if (atomic_load(&message->from->is_gone)) {
        /* it has ended, and so has its sending */
    } else if (message->is_payload) {
        events->received(events->arg, mock_claimed(me, message));
    } else {
        events->packet(events->arg, message->from->rank, message->data, message->bytes);
    }
    mock_put(me, message->from, (struct mock_message){.is_receipt = true, .token = message->token});
}

/* Rank 1 takes what was sent to it in one turn, and what it says to that leaves in the next. */
static inline void mock_await_turns(struct mock_rank *other)
{
    enum { TURNS = 4 };
    const unsigned before = atomic_load(&other->polls);
    while (atomic_load(&other->polls) - before < TURNS) {
        usleep(50);
    }
}

/* A packet in which nothing is. */
static inline void mock_keep_alive(const struct mock_rank *me, const skua_cluster_events *events)
{
    for (uint32_t i = 0; i < me->world->size; i++) {
        if (i != me->rank && !atomic_load(&me->world->ranks[i].is_gone)) {
            events->packet(events->arg, i, NULL, 0);
        }
    }
}

static inline int mock_poll(void *self, const skua_cluster_events *events)
{
    struct mock_rank *me = self;
    struct mock_message *message;
    int count = 0;
    atomic_fetch_add(&me->polls, 1);
    if (me->world->in_step && me->rank == 0) {
        mock_await_turns(&me->world->ranks[1]);
    }
    if (me->world->keeps_alive && me->rank == 0) {
        mock_keep_alive(me, events);
    }
    while ((message = mock_next(me)) != NULL) {
        mock_take(me, message, events);
        free(message);
        count++;
    }
    if (atomic_load(&me->is_to_end) && !me->was_told[0]) {
        me->was_told[0] = true;
        events->lost(events->arg, 0, "the test ends");
    }
    for (uint32_t i = 0; i < me->world->size; i++) {
        if (!me->was_told[i] && i != me->rank && atomic_load(&me->world->ranks[i].is_told_of)) {
            me->was_told[i] = true;
            events->lost(events->arg, i, "the test has lost it");
            count++;
        }
    }
    return count;
}

static inline void mock_stop(void *self)
{
    struct mock_rank *me = self;
    pthread_mutex_lock(&me->world->lock);
    struct mock_message *left = me->first;
    me->first = NULL;
    me->last = &me->first;
    me->has_stopped = !atomic_load(&me->is_gone); /* who is gone never says what has come */
    for (struct mock_message *next; left != NULL; left = next) {
        next = left->next;
        if (me->has_stopped && !left->is_receipt) {
            mock_drop(left);
        } else {
            free(left);
        }
    }
    pthread_mutex_unlock(&me->world->lock);
}

static inline void mock_abort(void *self, int code)
{
    struct mock_rank *me = self;
    (void)code;
    atomic_store(&me->was_aborted, true);
}

static inline skua_cluster_transport mock_transport(struct mock_world *world, uint32_t rank)
{
    return (skua_cluster_transport){
        .version = SKUA_CLUSTER_VERSION,
        .self = &world->ranks[rank],
        .start = mock_start,
        .send = mock_send,
        .send_payload = mock_send_payload,
        .receive_payload = mock_receive_payload,
        .poll = mock_poll,
        .stop = mock_stop,
        .abort = mock_abort,
    };
}

#endif
