/* Streams: one job over many inputs, in constant memory.

   An item is a call (state.h) and what belongs to its input. Who reads the stream takes inputs from
   the source, and hands them to the pool in batches; answers come back through the reactor, or
   through the reader itself when it looks.

       source --pull--> item FREE --batch--> call PENDING ... DONE --collect--> given --> FREE

   Invariants
   (M1) Only the reader touches items that are not with the pool: those in `spare`, in `batch`, and
        those that it has collected. The others are the pool's, until they are DONE.
   (M2) `in_flight` counts the items that are the pool's or DONE and not given; it is at most
        in_flight_max, and that is all the memory of the stream.
   (M3) Ordered: order[index % slots] is the item with that index. DONE items are found there; else
        they stand in `done`, in the order in which they came.
   (M4) An input stays where the source has it only if that was promised (a map's array); else it is
        copied into its item before the next one is asked for. A batch is handed over before it has
        taken longer than PULL_NS, as far as that is known.

   The reader waits for one thing: the next item that it could give. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/lane.h"
#include "pool/state.h"
#include "sched/service.h"

#include <errno.h>
#include <skua/pool_map.h>
#include <string.h>

enum {
    BATCH = 16, /* items that are handed over at a time */
    PULL_NS = 20 * 1000,
    ITEMS_PER_SLAB = 16,
    WINDOW_MAX = 1 << 20,
};

struct skua__stream_item {
    struct skua__call call;
    skua_pool_stream *stream;
    uint64_t index;
    bool is_out; /* the pool has it, or had */
    bool holds_clock;
    void *copy; /* of an input that is too long for `inside`; or NULL */
    struct skua__stream_item *next;
    char inside[SKUA__IN_INLINE_BYTES];
};

struct slab {
    struct slab *next;
    struct skua__stream_item items[ITEMS_PER_SLAB];
};

struct skua_pool_stream {
    /* Constant. */
    skua_pool *pool;
    const skua_job *job;
    skua_pool_source source;
    void *arg;
    skua_pool_stream_opts opts;
    bool inputs_stay;
    /* The reader's. */
    struct slab *slabs;
    struct skua__stream_item *spare;
    struct skua__stream_item *ready; /* collected, in the order in which they are given */
    struct skua__stream_item **ready_end;
    struct skua__stream_item **order; /* order_slots of them, a power of two */
    size_t order_slots;
    uint64_t pulled;    /* inputs taken from the source */
    uint64_t collected; /* ordered: the index of the next item to collect */
    uint64_t given;
    uint64_t window;   /* so many may be under way */
    int source_status; /* 1: it may have more */
    char *text;        /* of the item given last */
    /* (L) */
    struct skua__list done; /* unordered */
    struct skua__waiter *waiter;
    struct skua__process *near; /* has the item that was placed last; a reference */
    uint32_t near_left;         /* items that are to follow it there */
    uint64_t awaited;           /* ordered: what it waits for */
};

/* --- items ------------------------------------------------------------------------------------ */

static struct skua__stream_item *take_spare(skua_pool_stream *stream)
{
    if (stream->spare == NULL) {
        struct slab *slab = skua__alloc_dirty(sizeof *slab);
        if (slab == NULL) {
            return NULL;
        }
        slab->next = stream->slabs;
        stream->slabs = slab;
        for (size_t i = ITEMS_PER_SLAB; i > 0; i--) {
            slab->items[i - 1].is_out = false;
            slab->items[i - 1].next = stream->spare;
            stream->spare = &slab->items[i - 1];
        }
    }
    struct skua__stream_item *item = stream->spare;
    stream->spare = item->next;
    item->stream = stream;
    item->copy = NULL;
    item->holds_clock = false;
    return item;
}

static void put_spare(skua_pool_stream *stream, struct skua__stream_item *item)
{
    skua__free(item->copy);
    item->is_out = false;
    item->next = stream->spare;
    stream->spare = item;
}

/* How many may be under way now: what keeps all workers busy until the reader looks again. (L) */
static void set_window(skua_pool_stream *stream)
{
    const skua_pool *pool = stream->pool;
    const uint32_t chunk = stream->opts.chunk != 0 ? stream->opts.chunk : pool->limit;
    const uint64_t items =
        (uint64_t)4 * pool->workers * (chunk > 0 ? chunk : 1) + 2 * skua__lanes_credits(pool);
    stream->window = items < WINDOW_MAX ? items : WINDOW_MAX;
    if (stream->opts.in_flight_max != 0) {
        stream->window = stream->opts.in_flight_max;
    }
}

/* Room for the items with indices from `collected` to that one. False: no memory. */
static bool make_room_in_order(skua_pool_stream *stream, uint64_t index)
{
    if (stream->opts.unordered || index - stream->collected < stream->order_slots) {
        return true;
    }
    const size_t slots = stream->order_slots == 0 ? 64 : 2 * stream->order_slots;
    struct skua__stream_item **order = skua__alloc(slots * sizeof *order);
    if (order == NULL) {
        return false;
    }
    for (uint64_t i = stream->collected; i < stream->pulled; i++) {
        order[i % slots] = stream->order[i % stream->order_slots];
    }
    skua__free(stream->order);
    stream->order = order;
    stream->order_slots = slots;
    return true;
}

/* --- the pool's side -------------------------------------------------------------------------- */

static void wake_reader(skua_pool_stream *stream, struct skua__after *after)
{
    struct skua__waiter *waiter = stream->waiter;
    stream->waiter = NULL;
    if (waiter != NULL && skua__waiter_claim(waiter)) {
        skua__wake_list_add(&after->wakes, waiter->parker);
    }
}

void skua__stream_placed(struct skua__call *call, struct skua__after *after)
{
    skua_pool_stream *stream = SKUA_CONTAINER(call, struct skua__stream_item, call)->stream;
    struct skua__process *process = call->process;
    if (stream->opts.chunk <= 1) {
        return;
    }
    if (stream->near == process && stream->near_left > 0) {
        stream->near_left--;
        return;
    }
    process->references++;
    if (stream->near != NULL) {
        skua__process_unref(stream->near, after);
    }
    stream->near = process;
    stream->near_left = stream->opts.chunk - 1;
}

struct skua__process *skua__stream_near(const struct skua__call *call)
{
    const skua_pool_stream *stream = SKUA_CONTAINER(call, struct skua__stream_item, call)->stream;
    return stream->near_left > 0 ? stream->near : NULL;
}

void skua__stream_tell(struct skua__call *call, struct skua__after *after)
{
    struct skua__stream_item *item = SKUA_CONTAINER(call, struct skua__stream_item, call);
    skua_pool_stream *stream = item->stream;
    if (item->holds_clock) {
        skua__pool_hold_clock(stream->pool, false);
    }
    if (stream->opts.unordered) {
        skua__list_push_back(&stream->done, &call->link);
        wake_reader(stream, after);
    } else if (item->index == stream->awaited) {
        wake_reader(stream, after);
    }
}

/* --- inputs ----------------------------------------------------------------------------------- */

/* Keep the input until its worker has it. Returns 0 or a negative errno. */
static int keep_input(skua_pool_stream *stream, struct skua__stream_item *item, skua_bytes *in)
{
    if (in->bytes > stream->pool->payload_max) {
        return -EMSGSIZE;
    }
    if (stream->inputs_stay || in->bytes == 0) {
        return 0;
    }
    void *copy = item->inside;
    if (in->bytes > sizeof item->inside) {
        copy = item->copy = skua__alloc_dirty(in->bytes);
        if (copy == NULL) {
            return -ENOMEM;
        }
    }
    memcpy(copy, in->data, in->bytes);
    in->data = copy;
    return 0;
}

/* One input from the source. Returns 1 with *out, 0 (there is none), or -ENOMEM. An input that
   cannot be taken is an item that has failed. */
static int pull(skua_pool_stream *stream, struct skua__stream_item **out)
{
    if (!make_room_in_order(stream, stream->pulled)) {
        return -ENOMEM;
    }
    struct skua__stream_item *item = take_spare(stream);
    if (item == NULL) {
        return -ENOMEM;
    }
    skua_bytes in = {NULL, 0};
    skua_buf buf = {NULL, 0, NULL};
    const int got = stream->source(stream->arg, &in, &buf);
    if (got <= 0) {
        stream->source_status = got;
        put_spare(stream, item);
        return 0;
    }
    const bool is_strange =
        buf.owner != NULL && ((const struct skua__loan *)buf.owner)->pool != stream->pool;
    if (is_strange) {
        skua_buf_release(&buf); /* of another pool, which has it back */
    }
    const bool is_buf = buf.owner != NULL;
    const int error = is_strange ? -EINVAL : is_buf ? 0 : keep_input(stream, item, &in);
    skua__call_init(&item->call, stream->job, in,
                    &(skua_call_opts){.priority = stream->opts.priority,
                                      .attempts = stream->opts.attempts,
                                      .grace_ns = stream->opts.grace_ns,
                                      .in_buf = is_buf ? &buf : NULL});
    item->call.kind = SKUA__CALL_STREAM;
    item->call.status = error;
    item->index = stream->pulled++;
    if (!stream->opts.unordered) {
        stream->order[item->index % stream->order_slots] = item;
    }
    *out = item;
    return 1;
}

/* Hand them over. (L) */
static void hand_over(skua_pool_stream *stream, struct skua__stream_item *const batch[],
                      size_t count, struct skua__after *after)
{
    skua_pool *pool = stream->pool;
    for (size_t i = 0; i < count; i++) {
        struct skua__call *call = &batch[i]->call;
        batch[i]->is_out = true;
        const bool is_refused = pool->is_draining && pool->state == SKUA__POOL_OPEN;
        if (call->status < 0 || is_refused) {
            skua__call_finish(pool, call, after, is_refused ? -ESHUTDOWN : call->status);
        } else {
            skua__pool_hold_clock(pool, true);
            batch[i]->holds_clock = true;
            skua__pool_enqueue(pool, call);
        }
    }
    if (count > 0) {
        skua__pool_dispatch_new(pool, &batch[0]->call, after);
    }
}

/* Take inputs for one batch. Returns how many, or -ENOMEM if there is none and no memory. */
static ssize_t pull_batch(skua_pool_stream *stream, struct skua__stream_item *batch[])
{
    size_t count = 0;
    int64_t start_ns = 0;
    while (count < BATCH && stream->source_status > 0 &&
           stream->pulled - stream->given < stream->window) {
        const int got = pull(stream, &batch[count]);
        if (got < 0) {
            return count > 0 ? (ssize_t)count : got;
        }
        count += (size_t)got;
        if (!stream->inputs_stay) { /* an array gives at once */
            const int64_t now_ns = skua__clock_real_ns();
            start_ns = start_ns == 0 ? now_ns : start_ns;
            if (now_ns - start_ns > PULL_NS) {
                break;
            }
        }
    }
    return (ssize_t)count;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void collect_item(skua_pool_stream *stream, struct skua__stream_item *item)
{
    item->next = NULL;
    *stream->ready_end = item;
    stream->ready_end = &item->next;
}

/* What is DONE and may be given becomes the reader's. (L) */
static void collect(skua_pool_stream *stream)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(&stream->done)) != NULL) {
        struct skua__call *call = SKUA_CONTAINER(link, struct skua__call, link);
        collect_item(stream, SKUA_CONTAINER(call, struct skua__stream_item, call));
    }
    while (!stream->opts.unordered && stream->collected < stream->pulled) {
        struct skua__stream_item *item = stream->order[stream->collected % stream->order_slots];
        if (item->call.state != SKUA__CALL_DONE) {
            return;
        }
        stream->collected++;
        collect_item(stream, item);
    }
}

static int give(skua_pool_stream *stream, uint64_t *index, int *status, skua_buf *answer)
{
    struct skua__stream_item *item = stream->ready;
    stream->ready = item->next;
    if (stream->ready == NULL) {
        stream->ready_end = &stream->ready;
    }
    if (index != NULL) {
        *index = item->index;
    }
    *status = item->call.status;
    stream->text = item->call.text;
    skua__loan_deliver(item->call.answer, answer);
    stream->given++;
    put_spare(stream, item);
    return 1;
}

/* Until an item is DONE that could be given. Returns what skua__wait_park() says. (L) */
static int wait(skua_pool_stream *stream, enum skua__wait_kind kind, skua_time deadline,
                struct skua__after *after)
{
    skua_pool *pool = stream->pool;
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, kind, "jobs of a process pool");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    stream->waiter = &waiter;
    stream->awaited = stream->collected;
    skua__pool_unlock_after(pool, after);
    int cause = skua__wait_park_real(&wait, skua__deadline_ns(deadline));
    skua__pool_lock(pool);
    stream->waiter = NULL;
    return cause;
}

/* One turn: hand over what was pulled, and look for answers; wait if there are none and nothing was
   handed over. Returns 0 or why the reader gives up. */
static int turn(skua_pool_stream *stream, struct skua__stream_item *const batch[], size_t count,
                skua_time deadline)
{
    skua_pool *pool = stream->pool;
    struct skua__after after;
    skua__after_init(&after);
    int cause = 0;
    skua__pool_lock(pool);
    set_window(stream);
    hand_over(stream, batch, count, &after);
    if (count == 0) {
        skua__pool_drain(pool, &after);
    }
    collect(stream);
    if (stream->ready == NULL && count == 0) {
        if (skua__is_now(deadline)) {
            cause = -EAGAIN;
        } else {
            cause = wait(stream, SKUA__SOFT, deadline, &after);
            collect(stream);
        }
    }
    skua__pool_unlock_after(pool, &after);
    return cause < 0 && cause != SKUA__RECHECK && stream->ready == NULL ? cause : 0;
}

/* --- the calls -------------------------------------------------------------------------------- */

/* The stream uses the pool from now on. */
static int enter(skua_pool_stream *stream)
{
    skua_pool *pool = stream->pool;
    skua__pool_lock(pool);
    const int error = pool->state == SKUA__POOL_CLOSING || pool->is_draining ? -ESHUTDOWN : 0;
    if (error == 0) {
        skua__pool_enter(pool);
        set_window(stream);
    }
    skua__pool_unlock(pool);
    return error;
}

static int begin(skua_pool_stream *stream, skua_pool *pool, const skua_job *job,
                 skua_pool_source source, void *arg, const skua_pool_stream_opts *opts)
{
    *stream = (skua_pool_stream){
        .pool = pool, .job = job, .source = source, .arg = arg, .source_status = 1};
    if (opts != NULL) {
        stream->opts = *opts;
    }
    stream->ready_end = &stream->ready;
    skua__list_init(&stream->done);
    const skua_call_opts probe = {.priority = stream->opts.priority,
                                  .grace_ns = stream->opts.grace_ns};
    int error = skua__call_check(pool, job, (skua_bytes){NULL, 0}, &probe);
    return error < 0 ? error : enter(stream);
}

int skua_pool_stream_open(skua_pool_stream **out, skua_pool *pool, const skua_job *job,
                          skua_pool_source source, void *arg, const skua_pool_stream_opts *opts)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    skua_pool_stream *stream = skua__alloc_dirty(sizeof *stream);
    if (stream == NULL) {
        return -ENOMEM;
    }
    int error = begin(stream, pool, job, source, arg, opts);
    if (error < 0) {
        skua__free(stream);
        return error;
    }
    *out = stream;
    return 0;
}

int skua_pool_stream_next(skua_pool_stream *stream, uint64_t *index, int *status, skua_buf *answer,
                          skua_time deadline)
{
    *answer = (skua_buf){NULL, 0, NULL};
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    skua__free(stream->text);
    stream->text = NULL;
    const int cancelled = skua__cancel_point();
    if (cancelled < 0) {
        return cancelled;
    }
    for (;;) {
        struct skua__stream_item *batch[BATCH];
        const bool is_low = stream->pulled - stream->given < (stream->window + 1) / 2;
        const ssize_t count = stream->ready == NULL || is_low ? pull_batch(stream, batch) : 0;
        if (stream->ready != NULL && count <= 0) {
            return give(stream, index, status, answer);
        }
        if (stream->pulled == stream->given && count <= 0) {
            return count < 0 ? (int)count : stream->source_status;
        }
        const int error = turn(stream, batch, count > 0 ? (size_t)count : 0, deadline);
        if (error < 0) {
            return error;
        }
    }
}

const char *skua_pool_stream_message(const skua_pool_stream *stream)
{
    return stream->text != NULL ? stream->text : "";
}

/* Give up all that the pool has, and wait until it has nothing any more. Then it is collected. */
static void recall(skua_pool_stream *stream, int cause)
{
    skua_pool *pool = stream->pool;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    for (struct slab *slab = stream->slabs; slab != NULL; slab = slab->next) {
        for (size_t i = 0; i < ITEMS_PER_SLAB; i++) {
            struct skua__call *call = &slab->items[i].call;
            while (slab->items[i].is_out && call->state != SKUA__CALL_DONE && !call->is_stopping) {
                if (skua__after_is_full(&after)) {
                    skua__pool_unlock_after(pool, &after);
                    skua__pool_lock(pool);
                }
                skua__call_give_up(pool, call, &after, cause);
            }
        }
    }
    for (;;) {
        collect(stream);
        uint64_t ready = 0;
        for (struct skua__stream_item *item = stream->ready; item != NULL; item = item->next) {
            ready++;
        }
        if (stream->given + ready == stream->pulled) {
            break;
        }
        wait(stream, SKUA__HARD, SKUA_FOREVER, &after);
    }
    skua__pool_unlock_after(pool, &after);
}

/* Nothing is under way. */
static void end(skua_pool_stream *stream)
{
    skua_pool *pool = stream->pool;
    struct skua__after after;
    while (stream->ready != NULL) {
        int status;
        skua_buf answer;
        skua__free(stream->text);
        give(stream, NULL, &status, &answer);
        skua_buf_release(&answer);
    }
    skua__free(stream->text);
    skua__free(stream->order);
    while (stream->slabs != NULL) {
        struct slab *slab = stream->slabs;
        stream->slabs = slab->next;
        skua__free(slab);
    }
    skua__after_init(&after);
    skua__pool_lock(pool);
    if (stream->near != NULL) {
        skua__process_unref(stream->near, &after);
    }
    skua__pool_leave(pool, &after);
    skua__pool_unlock_after(pool, &after);
}

void skua_pool_stream_close(skua_pool_stream *stream)
{
    if (stream == NULL || skua__forked()) {
        return;
    }
    recall(stream, -ECANCELED);
    end(stream);
    skua__free(stream);
}

/* --- map -------------------------------------------------------------------------------------- */

struct map {
    skua_pool_item *items;
    size_t count;
    size_t next;
};

static int next_item(void *arg, skua_bytes *in, skua_buf *buf)
{
    struct map *map = arg;
    (void)buf;
    if (map->next == map->count) {
        return 0;
    }
    *in = map->items[map->next++].in;
    return 1;
}

/* What is left when the caller gives up: what was not begun has its status, too. */
static void give_up_map(skua_pool_stream *stream, struct map *map, int cause)
{
    recall(stream, cause);
    while (stream->ready != NULL) {
        uint64_t index;
        int status;
        skua_buf answer;
        skua__free(stream->text);
        give(stream, &index, &status, &answer);
        map->items[index].out = answer;
        map->items[index].status = status;
    }
    for (; map->next < map->count; map->next++) {
        map->items[map->next].status = cause;
    }
}

ssize_t skua_pool_map(skua_pool *pool, const skua_job *job, skua_pool_item items[], size_t count,
                      skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].out = (skua_buf){NULL, 0, NULL};
        items[i].status = 0;
    }
    skua_pool_stream stream;
    struct map map = {.items = items, .count = count};
    const skua_pool_stream_opts opts = {.unordered = true};
    int result = begin(&stream, pool, job, next_item, &map, &opts);
    if (result < 0) {
        for (size_t i = 0; i < count; i++) {
            items[i].status = result;
        }
        return result;
    }
    stream.inputs_stay = true;
    ssize_t failed = 0;
    uint64_t index;
    int status;
    skua_buf answer;
    while ((result = skua_pool_stream_next(&stream, &index, &status, &answer, deadline)) == 1) {
        items[index].out = answer;
        items[index].status = status;
        failed += status < 0;
    }
    if (result < 0) {
        give_up_map(&stream, &map, result);
    }
    end(&stream);
    return result < 0 ? result : failed;
}
