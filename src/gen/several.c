/* Operators with several streams that are asked one after the other: chain, zip, flatten. */
#include "base/compiler.h"
#include "base/panic.h"
#include "gen/stream.h"

#include <string.h>

/* --- chain ------------------------------------------------------------------------------------ */

struct chain {
    skua_stream stream;
    size_t count, at;
    skua_stream *links[];
};

static int chain_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct chain *self = (struct chain *)stream;
    int status = 0;
    while (self->at < self->count) {
        status = skua__stream_pull(self->links[self->at], item, deadline);
        if (status != 0) {
            break;
        }
        skua_stream_close(&self->links[self->at++]);
    }
    return status;
}

static void chain_close(skua_stream *stream)
{
    struct chain *self = (struct chain *)stream;
    skua__stream_close_all(self->links, self->count);
}

skua_stream *skua_stream_chain(skua_stream *const streams[], size_t count)
{
    static const struct skua__stream_kind kind = {chain_next, chain_close};
    if (count == 0) {
        skua__panic("a chain of no streams");
    }
    if (!skua__stream_all_alike(streams, count, "a chain")) {
        return NULL;
    }
    struct chain *self = skua__stream_make(&kind, sizeof *self, count * sizeof streams[0],
                                           streams[0]->item_bytes, NULL);
    if (self == NULL) {
        skua__stream_close_all(streams, count);
        return NULL;
    }
    self->count = count;
    memcpy(self->links, streams, count * sizeof streams[0]);
    return &self->stream;
}

/* --- zip -------------------------------------------------------------------------------------- */

struct zip {
    skua_stream stream; /* whose upstream is the first */
    skua_stream *second;
    size_t second_offset;
    bool has_first;
    char *pair;
};

static int zip_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct zip *self = (struct zip *)stream;
    if (!self->has_first) {
        int status = skua__stream_pull(stream->upstream, self->pair, deadline);
        if (status != 1) {
            return status;
        }
        self->has_first = true;
    }
    int status = skua__stream_pull(self->second, self->pair + self->second_offset, deadline);
    if (status == 1) {
        memcpy(item, self->pair, stream->item_bytes);
        self->has_first = false;
    }
    return status;
}

static void zip_close(skua_stream *stream)
{
    skua_stream_close(&((struct zip *)stream)->second);
}

skua_stream *skua_stream_zip(skua_stream *first, skua_stream *second, size_t item_bytes,
                             size_t second_offset)
{
    static const struct skua__stream_kind kind = {zip_next, zip_close};
    if (first == NULL || second == NULL) {
        skua_stream_close(&first);
        skua_stream_close(&second);
        return NULL;
    }
    if (first->item_bytes > second_offset || second_offset > item_bytes ||
        second->item_bytes > item_bytes - second_offset) {
        skua__panic("pairs of %zu bytes, of items of %zu bytes, and of %zu from byte %zu on",
                    item_bytes, first->item_bytes, second->item_bytes, second_offset);
    }
    struct zip *self = skua__stream_make(&kind, sizeof *self, item_bytes, item_bytes, first);
    if (self == NULL) {
        skua_stream_close(&second);
        return NULL;
    }
    self->second = second;
    self->second_offset = second_offset;
    self->pair = skua__stream_room(self, sizeof *self);
    return &self->stream;
}

/* --- flatten ---------------------------------------------------------------------------------- */

struct flatten {
    skua_stream stream;
    bool has_inner;
    skua_stream *inner;
};

/* NULL is a stream like any other: its items are the failure -ENOMEM. */
static int inner_next(struct flatten *self, void *item, skua_time deadline)
{
    if (self->inner == NULL) {
        return -ENOMEM;
    }
    if (self->inner->item_bytes != self->stream.item_bytes) {
        skua__panic("a stream of items of %zu bytes among those of %zu bytes",
                    self->inner->item_bytes, self->stream.item_bytes);
    }
    return skua__stream_pull(self->inner, item, deadline);
}

static int flatten_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct flatten *self = (struct flatten *)stream;
    for (;;) {
        if (!self->has_inner) {
            int status = skua__stream_pull(stream->upstream, &self->inner, deadline);
            if (status != 1) {
                return status;
            }
            self->has_inner = true;
        }
        int status = inner_next(self, item, deadline);
        if (status != 0) {
            return status;
        }
        skua_stream_close(&self->inner);
        self->has_inner = false;
    }
}

static void flatten_close(skua_stream *stream)
{
    struct flatten *self = (struct flatten *)stream;
    if (self->has_inner) {
        skua_stream_close(&self->inner);
    }
}

skua_stream *skua_stream_flatten(skua_stream *stream, size_t item_bytes)
{
    static const struct skua__stream_kind kind = {flatten_next, flatten_close};
    if (stream == NULL) {
        return NULL;
    }
    if (stream->item_bytes != sizeof(skua_stream *)) {
        skua__panic("a flatten of items that are no streams");
    }
    struct flatten *self = skua__stream_make(&kind, sizeof *self, 0, item_bytes, stream);
    return self != NULL ? &self->stream : NULL;
}
