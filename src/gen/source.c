/* Sources of streams. Those that never wait look for a cancel at each item, since a chain above
   them may not have anything else that does. */
#include "base/panic.h"
#include "gen/gen.h"
#include "gen/pace.h"
#include "gen/stream.h"
#include "sched/fastpath.h"

#include <string.h>

static int cancel_point(void)
{
    return skua__cancel_point_passes() ? 0 : skua__cancel_point();
}

/* --- the program's own ------------------------------------------------------------------------ */

struct own {
    skua_stream stream;
    skua_source source;
};

static int own_next(skua_stream *stream, void *item, skua_time deadline)
{
    const skua_source *source = &((struct own *)stream)->source;
    return source->next(source->context, item, deadline);
}

static void own_close(skua_stream *stream)
{
    const skua_source *source = &((struct own *)stream)->source;
    if (source->close != NULL) {
        source->close(source->context);
    }
}

skua_stream *skua_stream_from(const skua_source *source)
{
    static const struct skua__stream_kind kind = {own_next, own_close};
    struct own *self = skua__stream_make(&kind, sizeof *self, 0, source->item_bytes, NULL);
    if (self == NULL) {
        if (source->close != NULL) {
            source->close(source->context);
        }
        return NULL;
    }
    self->source = *source;
    return &self->stream;
}

/* --- arrays ----------------------------------------------------------------------------------- */

struct array {
    skua_stream stream;
    const char *next;
    size_t left;
};

static int array_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct array *self = (struct array *)stream;
    (void)deadline;
    int status = cancel_point();
    if (status < 0 || self->left == 0) {
        return status;
    }
    if (stream->item_bytes > 0) {
        memcpy(item, self->next, stream->item_bytes);
    }
    self->next += stream->item_bytes;
    self->left--;
    return 1;
}

skua_stream *skua_stream_from_array(const void *items, size_t item_bytes, size_t count)
{
    static const struct skua__stream_kind kind = {array_next, NULL};
    struct array *self = skua__stream_make(&kind, sizeof *self, 0, item_bytes, NULL);
    if (self == NULL) {
        return NULL;
    }
    self->next = items;
    self->left = count;
    return &self->stream;
}

/* --- channels --------------------------------------------------------------------------------- */

struct receiver {
    skua_stream stream;
    skua_chan *chan;
};

static int receiver_next(skua_stream *stream, void *item, skua_time deadline)
{
    return skua_chan_recv(((struct receiver *)stream)->chan, item, stream->item_bytes, deadline);
}

static void receiver_close(skua_stream *stream)
{
    skua_chan_release(((struct receiver *)stream)->chan, SKUA_RECEIVER);
}

skua_stream *skua_stream_from_chan(skua_chan *chan, size_t item_bytes)
{
    static const struct skua__stream_kind kind = {receiver_next, receiver_close};
    if (chan == NULL) {
        return NULL;
    }
    struct receiver *self = skua__stream_make(&kind, sizeof *self, 0, item_bytes, NULL);
    if (self == NULL) {
        skua_chan_release(chan, SKUA_RECEIVER);
        return NULL;
    }
    self->chan = chan;
    return &self->stream;
}

/* --- generators ------------------------------------------------------------------------------- */

struct generated {
    skua_stream stream;
    skua_gen *gen;
};

static int generated_next(skua_stream *stream, void *item, skua_time deadline)
{
    return skua_gen_next(((struct generated *)stream)->gen, item, deadline);
}

static void generated_close(skua_stream *stream)
{
    skua_gen_close(&((struct generated *)stream)->gen);
}

static struct generated *make_generated(size_t item_bytes)
{
    static const struct skua__stream_kind kind = {generated_next, generated_close};
    return skua__stream_make(&kind, sizeof(struct generated), 0, item_bytes, NULL);
}

skua_stream *skua_stream_from_gen(skua_gen *gen)
{
    if (gen == NULL) {
        return NULL;
    }
    struct generated *self = make_generated(skua__gen_item_bytes(gen));
    if (self == NULL) {
        skua_gen_close(&gen);
        return NULL;
    }
    self->gen = gen;
    return &self->stream;
}

skua_stream *skua_stream_generate_named(const char *name, skua_gen_fn fn, void *arg,
                                        size_t item_bytes)
{
    struct generated *self = make_generated(item_bytes);
    if (self == NULL) {
        return NULL;
    }
    int status = skua_gen_open_named(&self->gen, name, fn, arg, item_bytes);
    if (status < 0) {
        skua__stream_end(&self->stream, status);
    }
    return &self->stream;
}

/* --- ranges ----------------------------------------------------------------------------------- */

struct range {
    skua_stream stream;
    int64_t next, end, step;
};

static int range_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct range *self = (struct range *)stream;
    (void)deadline;
    int status = cancel_point();
    if (status < 0) {
        return status;
    }
    if (self->step > 0 ? self->next >= self->end : self->next <= self->end) {
        return 0;
    }
    memcpy(item, &self->next, sizeof self->next);
    if (__builtin_add_overflow(self->next, self->step, &self->next)) {
        self->next = self->end;
    }
    return 1;
}

skua_stream *skua_stream_range(int64_t begin, int64_t end, int64_t step)
{
    static const struct skua__stream_kind kind = {range_next, NULL};
    if (step == 0) {
        skua__panic("a range without a step");
    }
    struct range *self = skua__stream_make(&kind, sizeof *self, 0, sizeof(int64_t), NULL);
    if (self == NULL) {
        return NULL;
    }
    self->next = begin;
    self->end = end;
    self->step = step;
    return &self->stream;
}

/* --- tickers ---------------------------------------------------------------------------------- */

struct ticker {
    skua_stream stream;
    int64_t start_ns; /* 0: not asked yet */
    int64_t period_ns;
    uint64_t ticks;
};

static int ticker_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct ticker *self = (struct ticker *)stream;
    if (self->start_ns == 0) {
        self->start_ns = skua__clock_ns();
    }
    int64_t due_ns = self->start_ns + ((int64_t)self->ticks + 1) * self->period_ns;
    int status = skua__stream_wait_until(due_ns, deadline);
    if (status < 0) {
        return status;
    }
    self->ticks = (uint64_t)((skua__clock_ns() - self->start_ns) / self->period_ns);
    memcpy(item, &self->ticks, sizeof self->ticks);
    return 1;
}

skua_stream *skua_stream_ticker(int64_t period_ns)
{
    static const struct skua__stream_kind kind = {ticker_next, NULL};
    if (period_ns <= 0) {
        skua__panic("a ticker without a period");
    }
    struct ticker *self = skua__stream_make(&kind, sizeof *self, 0, sizeof(uint64_t), NULL);
    if (self == NULL) {
        return NULL;
    }
    self->period_ns = period_ns;
    return &self->stream;
}
