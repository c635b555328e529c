/* gen/stream.h: what a stream is inside: two functions, and whom it asks itself.

   A kind of stream is a struct that begins with a skua_stream, and a table of two functions. `next`
   answers as skua_stream_next() does. -ETIMEDOUT, -EAGAIN and -ECANCELED are taken for the end of
   that wait alone, unless the kind has called skua__stream_end(); everything else that is not an
   item ends the stream, and `next` is not called any more. */
#ifndef SKUA_GEN_STREAM_H
#define SKUA_GEN_STREAM_H

#include "base/clock.h"
#include "sched/waiter.h"

#include <skua/stream.h>

struct skua__stream_kind {
    int (*next)(skua_stream *self, void *item, skua_time deadline);
    void (*close)(skua_stream *self); /* what it has besides its memory and upstream; or NULL */
};

struct skua_stream {
    const struct skua__stream_kind *kind;
    size_t item_bytes;
    skua_stream *upstream; /* closed after it; NULL for sources, and for those with several */
    bool is_over;
    int end; /* once it is over: 0 or the failure */
};

/* Room for an item in the memory of a kind begins at a multiple of this. */
enum { SKUA__STREAM_ALIGN = 16 };

static inline size_t skua__stream_align(size_t bytes)
{
    return (bytes + SKUA__STREAM_ALIGN - 1) & ~(size_t)(SKUA__STREAM_ALIGN - 1);
}

/* Zeroed memory for a stream of a kind, with the room for items behind it; `upstream` NULL: a
   source. Without memory it closes `upstream` and returns NULL. */
void *skua__stream_make(const struct skua__stream_kind *kind, size_t kind_bytes, size_t room_bytes,
                        size_t item_bytes, skua_stream *upstream);

static inline void *skua__stream_room(void *stream, size_t kind_bytes)
{
    return (char *)stream + skua__stream_align(kind_bytes);
}

/* It is over from now on. Returns `status`. */
int skua__stream_end(skua_stream *stream, int status);

/* Ask, with the size known to be right. */
int skua__stream_pull(skua_stream *stream, void *item, skua_time deadline);

static inline bool skua__stream_is_transient(int status)
{
    return status == -ETIMEDOUT || status == -EAGAIN || status == -ECANCELED;
}

/* Call a function of the program for the sake of `stream`, inside the deadline. Its result; if that
   is < 0 the stream is over, unless `call` was interrupted by a cancel or the deadline: it is to be
   called again by the next who asks. */
int skua__stream_call(skua_stream *stream, int (*call)(skua_stream *stream, void *out), void *out,
                      skua_time deadline);

/* Close those that are there; for kinds with several upstreams. */
void skua__stream_close_all(skua_stream *const streams[], size_t count);

/* True if all are there and have items of one size, else they are closed, and panics if it is for
   their sizes. */
bool skua__stream_all_alike(skua_stream *const streams[], size_t count, const char *operator_name);

#endif
