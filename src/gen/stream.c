/* Streams: asking, closing, and what all kinds share. stream.h says what a kind is.

     (E1) A stream is used by one task at a time, so nothing here is locked; kinds with tasks of
          their own talk to them through channels.
     (E2) What is over stays over: its kind is not asked again.
     (E3) Closing goes from the sink to the source: who asks is gone before who is asked. It is a
          loop, so that the length of a chain is limited by its asking alone.

   A chain that could not be made is NULL all the way, so the one who built it needs to look once;
   rejected: an error handle for each stream (without memory there is none to make it of). */
#include "gen/stream.h"

#include "base/mem.h"
#include "base/panic.h"
#include "sched/service.h"

#include <skua/scope.h>
#include <skua/task.h>

/* --- asking ----------------------------------------------------------------------------------- */

int skua__stream_end(skua_stream *stream, int status)
{
    stream->is_over = true;
    stream->end = status;
    return status;
}

int skua__stream_pull(skua_stream *stream, void *item, skua_time deadline)
{
    if (stream->is_over) {
        return stream->end;
    }
    int status = stream->kind->next(stream, item, deadline);
    if (SKUA_UNLIKELY(status <= 0 && !skua__stream_is_transient(status))) {
        return skua__stream_end(stream, status);
    }
    return status;
}

int skua_stream_next(skua_stream *stream, void *item, size_t item_bytes, skua_time deadline)
{
    if (stream == NULL) {
        return -ENOMEM;
    }
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (item_bytes != stream->item_bytes) {
        skua__panic("an item of %zu bytes is asked of a stream of items of %zu bytes", item_bytes,
                    stream->item_bytes);
    }
    return skua__stream_pull(stream, item, deadline);
}

static bool is_cancelled(int status)
{
    return status == -ECANCELED && skua_self() != NULL && skua_cancelled();
}

static int call_within(skua_stream *stream, int (*call)(skua_stream *stream, void *out), void *out,
                       skua_time deadline, bool *is_late)
{
    skua_scope scope = {{0}};
    skua_scope_open(&scope, deadline);
    int status = call(stream, out);
    *is_late = skua_scope_expired(&scope);
    status = skua_scope_close(&scope, status);
    *is_late = *is_late && status == -ETIMEDOUT;
    return status;
}

int skua__stream_call(skua_stream *stream, int (*call)(skua_stream *stream, void *out), void *out,
                      skua_time deadline)
{
    bool is_late = false;
    bool is_bounded = deadline.ns > 0 && skua_self() != NULL;
    int status =
        is_bounded ? call_within(stream, call, out, deadline, &is_late) : call(stream, out);
    if (status < 0 && !is_late && !is_cancelled(status)) {
        skua__stream_end(stream, status);
    }
    return status;
}

/* --- making and closing ----------------------------------------------------------------------- */

void *skua__stream_make(const struct skua__stream_kind *kind, size_t kind_bytes, size_t room_bytes,
                        size_t item_bytes, skua_stream *upstream)
{
    size_t bytes;
    skua_stream *stream = NULL;
    if (!skua__forked() &&
        !__builtin_add_overflow(skua__stream_align(kind_bytes), room_bytes, &bytes) &&
        bytes <= PTRDIFF_MAX) {
        stream = skua__alloc(bytes);
    }
    if (stream == NULL) {
        skua_stream_close(&upstream);
        return NULL;
    }
    stream->kind = kind;
    stream->item_bytes = item_bytes;
    stream->upstream = upstream;
    return stream;
}

void skua_stream_close(skua_stream **place)
{
    skua_stream *stream = *place;
    *place = NULL;
    if (skua__forked()) {
        return;
    }
    while (stream != NULL) {
        skua_stream *upstream = stream->upstream;
        if (stream->kind->close != NULL) {
            stream->kind->close(stream);
        }
        skua__free(stream);
        stream = upstream;
    }
}

void skua__stream_close_all(skua_stream *const streams[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        skua_stream *stream = streams[i];
        skua_stream_close(&stream);
    }
}

bool skua__stream_all_alike(skua_stream *const streams[], size_t count, const char *operator_name)
{
    bool is_complete = true;
    for (size_t i = 0; i < count; i++) {
        is_complete = is_complete && streams[i] != NULL;
    }
    if (!is_complete) {
        skua__stream_close_all(streams, count);
        return false;
    }
    for (size_t i = 1; i < count; i++) {
        if (streams[i]->item_bytes != streams[0]->item_bytes) {
            skua__panic("%s of streams of items of %zu and %zu bytes", operator_name,
                        streams[0]->item_bytes, streams[i]->item_bytes);
        }
    }
    return true;
}
