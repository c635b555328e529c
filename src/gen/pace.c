/* Operators that look at the clock. None has a task: to stop waiting for an item in time is enough,
   because a late wait loses nothing upstream.

     (A1) What was taken from upstream and not given yet is in the operator's own memory, so that a
          wait that ends early loses nothing here either.
     (A2) A failure from upstream comes after what was held before it: upstream is over then, and
          says so again when asked again. */
#include "gen/pace.h"

#include "base/compiler.h"
#include "base/panic.h"
#include "gen/stream.h"

#include <skua/task.h>
#include <string.h>

/* --- moments ---------------------------------------------------------------------------------- */

int skua__stream_wait_until(int64_t until_ns, skua_time deadline)
{
    if (skua__clock_ns() >= until_ns) {
        return skua__cancel_point();
    }
    if (skua__is_now(deadline)) {
        int status = skua__cancel_point();
        return status < 0 ? status : -EAGAIN;
    }
    if (skua__deadline_ns(deadline) < until_ns) {
        int status = skua_sleep(deadline);
        return status < 0 ? status : -ETIMEDOUT;
    }
    return skua_sleep(skua_time_at(until_ns));
}

static int64_t after(int64_t duration_ns)
{
    return skua_after(duration_ns).ns;
}

/* The earlier of the two; SKUA_NOW stays what it is. */
static skua_time earlier(skua_time deadline, int64_t at_ns)
{
    return skua__deadline_ns(deadline) < at_ns ? deadline : skua_time_at(at_ns);
}

/* Whether a pull that was to end at `at_ns` at the latest has ended for that. */
static bool has_come(int status, int64_t at_ns)
{
    return (status == -ETIMEDOUT || status == -EAGAIN) && skua__clock_ns() >= at_ns;
}

static bool is_end(int status)
{
    return status <= 0 && !skua__stream_is_transient(status);
}

/* --- throttle --------------------------------------------------------------------------------- */

struct throttle {
    skua_stream stream;
    int64_t period_ns;
    int64_t open_ns; /* the next item may come then */
};

static int throttle_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct throttle *self = (struct throttle *)stream;
    int status = skua__stream_wait_until(self->open_ns, deadline);
    if (status < 0) {
        return status;
    }
    status = skua__stream_pull(stream->upstream, item, deadline);
    if (status == 1) {
        self->open_ns = after(self->period_ns);
    }
    return status;
}

skua_stream *skua_stream_throttle(skua_stream *stream, int64_t period_ns)
{
    static const struct skua__stream_kind kind = {throttle_next, NULL};
    if (stream == NULL) {
        return NULL;
    }
    struct throttle *self = skua__stream_make(&kind, sizeof *self, 0, stream->item_bytes, stream);
    if (self == NULL) {
        return NULL;
    }
    self->period_ns = period_ns;
    return &self->stream;
}

/* --- batch ------------------------------------------------------------------------------------ */

struct batch {
    skua_stream stream;
    size_t items_offset;
    size_t count, count_max;
    int64_t wait_ns;
    int64_t full_ns; /* what is there is given then at the latest */
    char *pending;   /* the batch: a size_t, and the items from the offset on */
};

static int batch_give(struct batch *self, void *item)
{
    memcpy(self->pending, &self->count, sizeof self->count);
    memcpy(item, self->pending,
           self->items_offset + self->count * self->stream.upstream->item_bytes);
    self->count = 0;
    return 1;
}

static int batch_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct batch *self = (struct batch *)stream;
    while (self->count < self->count_max) {
        char *place =
            self->pending + self->items_offset + self->count * stream->upstream->item_bytes;
        int64_t full_ns = self->count > 0 ? self->full_ns : SKUA__NEVER;
        int status = skua__stream_pull(stream->upstream, place, earlier(deadline, full_ns));
        if (status != 1) {
            bool is_due = is_end(status) || has_come(status, full_ns);
            if (self->count == 0 || !is_due) {
                return status;
            }
            break;
        }
        if (self->count++ == 0) {
            self->full_ns = self->wait_ns > 0 ? after(self->wait_ns) : SKUA__NEVER;
        }
    }
    return batch_give(self, item);
}

skua_stream *skua_stream_batch(skua_stream *stream, size_t item_bytes, size_t items_offset,
                               int64_t wait_ns)
{
    static const struct skua__stream_kind kind = {batch_next, NULL};
    if (stream == NULL) {
        return NULL;
    }
    if (items_offset < sizeof(size_t) || items_offset > item_bytes || stream->item_bytes == 0 ||
        item_bytes - items_offset < stream->item_bytes) {
        skua__panic("a batch of %zu bytes, with items of %zu bytes from byte %zu on", item_bytes,
                    stream->item_bytes, items_offset);
    }
    struct batch *self = skua__stream_make(&kind, sizeof *self, item_bytes, item_bytes, stream);
    if (self == NULL) {
        return NULL;
    }
    self->items_offset = items_offset;
    self->count_max = (item_bytes - items_offset) / stream->item_bytes;
    self->wait_ns = wait_ns;
    self->pending = skua__stream_room(self, sizeof *self);
    return &self->stream;
}

/* --- conflate and debounce -------------------------------------------------------------------- */

struct newest {
    skua_stream stream;
    int64_t quiet_ns;
    int64_t ripe_ns; /* the held item is given then, if no other comes */
    bool is_held;
    void *held;
    void *fresh; /* where the next one is put, which may not come */
};

static void swap(struct newest *self)
{
    void *held = self->held;
    self->held = self->fresh;
    self->fresh = held;
}

static int give(struct newest *self, void *item)
{
    memcpy(item, self->held, self->stream.item_bytes);
    self->is_held = false;
    return 1;
}

static int conflate_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct newest *self = (struct newest *)stream;
    int status = skua__stream_pull(stream->upstream, self->held, deadline);
    if (status != 1) {
        return status;
    }
    while (skua__stream_pull(stream->upstream, self->fresh, SKUA_NOW) == 1) {
        swap(self);
    }
    return give(self, item);
}

static int debounce_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct newest *self = (struct newest *)stream;
    for (;;) {
        int64_t ripe_ns = self->is_held ? self->ripe_ns : SKUA__NEVER;
        int status = skua__stream_pull(stream->upstream, self->fresh, earlier(deadline, ripe_ns));
        if (status == 1) {
            swap(self);
            self->is_held = true;
            self->ripe_ns = after(self->quiet_ns);
        } else if (self->is_held && (is_end(status) || has_come(status, ripe_ns))) {
            return give(self, item);
        } else {
            return status;
        }
    }
}

static skua_stream *make_newest(const struct skua__stream_kind *kind, skua_stream *stream,
                                int64_t quiet_ns)
{
    if (stream == NULL) {
        return NULL;
    }
    size_t item_bytes = stream->item_bytes;
    size_t room_bytes = skua__stream_align(item_bytes) + item_bytes;
    struct newest *self = skua__stream_make(kind, sizeof *self, room_bytes, item_bytes, stream);
    if (self == NULL) {
        return NULL;
    }
    self->quiet_ns = quiet_ns;
    self->held = skua__stream_room(self, sizeof *self);
    self->fresh = (char *)self->held + skua__stream_align(item_bytes);
    return &self->stream;
}

skua_stream *skua_stream_conflate(skua_stream *stream)
{
    static const struct skua__stream_kind kind = {conflate_next, NULL};
    return make_newest(&kind, stream, 0);
}

skua_stream *skua_stream_debounce(skua_stream *stream, int64_t quiet_ns)
{
    static const struct skua__stream_kind kind = {debounce_next, NULL};
    return make_newest(&kind, stream, quiet_ns);
}
