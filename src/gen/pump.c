/* Buffer and merge: a task for each stream moves its items into one channel.

     (U1) A stream belongs to its task while that runs, and to who closes before and after.
     (U2) The channel is closed by the last task that is through with its stream, or by the first
          that has failed, after the failure has been noted: who asks and finds it closed and
          drained knows the failure, if there was one.
     (U3) The tasks end before the streams and the channel are taken away.

   What is ahead of who asks: what the channel holds, and the item of each task that waits for
   room. */
#include "base/atomic.h"
#include "base/compiler.h"
#include "base/panic.h"
#include "gen/crew.h"
#include "gen/stream.h"

struct pump {
    struct pumps *all;
    skua_stream *from;
    void *item;
};

struct pumps {
    skua_stream stream;
    struct skua__crew crew;
    skua_chan *chan;
    _Atomic size_t running;
    _Atomic int failure;
    struct pump pumps[];
};

/* Moves items until there are no more; the failure, or 0. */
static int move_all(struct pump *pump)
{
    size_t item_bytes = pump->from->item_bytes;
    int status;
    while ((status = skua__stream_pull(pump->from, pump->item, SKUA_FOREVER)) == 1) {
        int sent = skua_chan_send(pump->all->chan, pump->item, item_bytes, SKUA_FOREVER);
        if (sent < 0) {
            return sent == -EPIPE ? 0 : sent; /* another has failed, or we are cancelled */
        }
    }
    return status;
}

static int run(void *arg)
{
    struct pump *pump = arg;
    struct pumps *all = pump->all;
    int status = move_all(pump), none = 0;
    if (status < 0) {
        (void)skua__cas(&all->failure, &none, status, relaxed, relaxed);
    }
    /* acq_rel: orders the failure that another has noted before the close by the last one, which
       publishes it to who asks; pairs with itself. */
    if (skua__fetch_sub(&all->running, 1, acq_rel) == 1 || status < 0) {
        skua_chan_close(all->chan);
    }
    return 0;
}

static int pumps_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct pumps *self = (struct pumps *)stream;
    int status =
        skua__crew_start(&self->crew, run, self->pumps, sizeof self->pumps[0], "stream pump");
    if (status == 0) {
        status = skua_chan_recv(self->chan, item, stream->item_bytes, deadline);
        if (status == 0) {
            return skua__stream_end(stream, skua__load(&self->failure, relaxed));
        }
    }
    return status;
}

static void pumps_close(skua_stream *stream)
{
    struct pumps *self = (struct pumps *)stream;
    skua__crew_end(&self->crew);
    for (size_t i = 0; i < self->crew.count; i++) {
        skua_stream_close(&self->pumps[i].from);
    }
    skua_chan_release(self->chan, SKUA_SENDER | SKUA_RECEIVER);
}

/* Where everything lies: the pumps, the tasks, and an item for each. */
static void lay_out(struct pumps *self, skua_stream *const streams[], size_t count)
{
    char *items = (char *)skua__stream_room(self, sizeof *self + count * sizeof self->pumps[0]);
    size_t item_bytes = skua__stream_align(streams[0]->item_bytes);
    for (size_t i = 0; i < count; i++) {
        self->pumps[i] = (struct pump){self, streams[i], items + i * item_bytes};
    }
    self->crew.tasks = (skua_task **)(void *)(items + count * item_bytes);
    self->crew.count = count;
    skua__store(&self->running, count, relaxed);
}

static skua_stream *make(skua_stream *const streams[], size_t count, size_t capacity)
{
    static const struct skua__stream_kind kind = {pumps_next, pumps_close};
    size_t item_bytes = streams[0]->item_bytes;
    size_t each_bytes = skua__stream_align(item_bytes) + sizeof(skua_task *);
    size_t fixed_bytes = sizeof(struct pumps) + count * sizeof(struct pump);
    struct pumps *self =
        skua__stream_make(&kind, fixed_bytes, count * each_bytes, item_bytes, NULL);
    if (self == NULL) {
        skua__stream_close_all(streams, count);
        return NULL;
    }
    lay_out(self, streams, count);
    int status = skua_chan_create(&self->chan, item_bytes, capacity);
    if (status == -ENOMEM) {
        skua_stream *failed = &self->stream;
        skua_stream_close(&failed);
        return NULL;
    }
    if (status < 0) {
        skua__stream_end(&self->stream, status);
    }
    return &self->stream;
}

skua_stream *skua_stream_buffer(skua_stream *stream, size_t count)
{
    return stream != NULL ? make(&stream, 1, count) : NULL;
}

skua_stream *skua_stream_merge(skua_stream *const streams[], size_t count)
{
    if (count == 0) {
        skua__panic("a merge of no streams");
    }
    return skua__stream_all_alike(streams, count, "a merge") ? make(streams, count, 0) : NULL;
}
