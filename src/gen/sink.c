/* Sinks: the end of a chain, which asks until there is no more, and closes it.

   All of them are one loop with a function for each item. Its deadline is a scope around the loop,
   so that everything in the chain sees it, and each wait has one look at it less to take. */
#include "gen/sink.h"

#include "base/compiler.h"
#include "base/mem.h"
#include "gen/stream.h"
#include "sched/service.h"

#include <skua/scope.h>
#include <skua/task.h>
#include <string.h>

/* Until the function answers something else than 0, or the stream does. */
static int drain(skua_stream *stream, void *item, skua_stream_item_fn fn, void *context,
                 skua_time deadline)
{
    int status;
    while ((status = skua__stream_pull(stream, item, deadline)) == 1) {
        status = fn(context, item);
        if (status != 0) {
            break;
        }
    }
    return status;
}

static int drain_within(skua_stream *stream, void *item, skua_stream_item_fn fn, void *context,
                        skua_time deadline)
{
    if (deadline.ns <= 0 || skua_self() == NULL) {
        return drain(stream, item, fn, context, deadline);
    }
    skua_scope scope = {{0}};
    skua_scope_open(&scope, deadline);
    return skua_scope_close(&scope, drain(stream, item, fn, context, SKUA_FOREVER));
}

int skua_stream_for_each(skua_stream *stream, skua_stream_item_fn fn, void *context,
                         skua_time deadline)
{
    if (stream == NULL || skua__forked()) {
        return stream == NULL ? -ENOMEM : -ESHUTDOWN;
    }
    void *item = skua__alloc(stream->item_bytes);
    int status = -ENOMEM;
    if (item != NULL) {
        status = drain_within(stream, item, fn, context, deadline);
        skua__free(item);
    }
    skua_stream_close(&stream);
    return status;
}

/* --- folding ---------------------------------------------------------------------------------- */

struct fold {
    skua_stream_fold_fn fn;
    void *context;
    void *state;
};

static int fold_one(void *context, const void *item)
{
    const struct fold *fold = context;
    int status = fold->fn(fold->context, fold->state, item);
    return status < 0 ? status : 0;
}

int skua_stream_reduce(skua_stream *stream, skua_stream_fold_fn fn, void *context, void *state,
                       skua_time deadline)
{
    struct fold fold = {fn, context, state};
    return skua_stream_for_each(stream, fold_one, &fold, deadline);
}

static int count_one(void *context, const void *item)
{
    (void)item;
    ++*(size_t *)context;
    return 0;
}

int skua_stream_count(skua_stream *stream, size_t *count, skua_time deadline)
{
    *count = 0;
    return skua_stream_for_each(stream, count_one, count, deadline);
}

int skua_stream_first(skua_stream *stream, void *item, size_t item_bytes, skua_time deadline)
{
    int status = skua_stream_next(stream, item, item_bytes, deadline);
    skua_stream_close(&stream);
    return status;
}

size_t skua__stream_item_bytes(const skua_stream *stream)
{
    return stream != NULL ? stream->item_bytes : 0;
}
