/* Operators that take one item at a time and call a function of the program for it.

     (O1) An item that was taken from upstream stays in `input`, and is_held is set, until the
          function has answered for it: a call that a cancel or a deadline has interrupted is made
          again by the next who asks, and nothing is lost.
     (O2) A state is changed only by a call that has succeeded. */
#include "gen/stream.h"

#include "base/compiler.h"

#include <string.h>

struct one {
    skua_stream stream;
    union {
        skua_stream_map_fn map;
        skua_stream_item_fn item;
        skua_stream_fold_fn fold;
    } fn;
    void *context;
    bool is_held;
    void *input;
    void *state; /* scan's */
};

/* With room for an item of upstream and a state. */
static struct one *make(const struct skua__stream_kind *kind, skua_stream *upstream, void *context,
                        size_t item_bytes, size_t state_bytes)
{
    if (upstream == NULL) {
        return NULL;
    }
    size_t input_bytes = skua__stream_align(upstream->item_bytes);
    struct one *self =
        skua__stream_make(kind, sizeof *self, input_bytes + state_bytes, item_bytes, upstream);
    if (self == NULL) {
        return NULL;
    }
    self->context = context;
    self->input = skua__stream_room(self, sizeof *self);
    self->state = (char *)self->input + input_bytes;
    return self;
}

/* Takes an item and calls for it, O1. The result of the call; 0 or less of the pull: *has_item is
   false then. */
static int take_and_call(struct one *self, int (*call)(skua_stream *, void *), void *out,
                         skua_time deadline, bool *has_item)
{
    *has_item = self->is_held;
    if (!self->is_held) {
        int status = skua__stream_pull(self->stream.upstream, self->input, deadline);
        if (status != 1) {
            return status;
        }
        self->is_held = *has_item = true;
    }
    int status = skua__stream_call(&self->stream, call, out, deadline);
    self->is_held = status < 0;
    return status;
}

/* --- map and scan ----------------------------------------------------------------------------- */

static int map_call(skua_stream *stream, void *out)
{
    struct one *self = (struct one *)stream;
    return self->fn.map(self->context, self->input, out);
}

static int map_next(skua_stream *stream, void *item, skua_time deadline)
{
    bool has_item;
    int status = take_and_call((struct one *)stream, map_call, item, deadline, &has_item);
    return has_item && status >= 0 ? 1 : status;
}

skua_stream *skua_stream_map(skua_stream *stream, skua_stream_map_fn fn, void *context,
                             size_t item_bytes)
{
    static const struct skua__stream_kind kind = {map_next, NULL};
    struct one *self = make(&kind, stream, context, item_bytes, 0);
    if (self == NULL) {
        return NULL;
    }
    self->fn.map = fn;
    return &self->stream;
}

static int scan_call(skua_stream *stream, void *out)
{
    struct one *self = (struct one *)stream;
    memcpy(out, self->state, stream->item_bytes);
    int status = self->fn.fold(self->context, out, self->input);
    if (status >= 0) {
        memcpy(self->state, out, stream->item_bytes);
    }
    return status;
}

static int scan_next(skua_stream *stream, void *item, skua_time deadline)
{
    bool has_item;
    int status = take_and_call((struct one *)stream, scan_call, item, deadline, &has_item);
    return has_item && status >= 0 ? 1 : status;
}

skua_stream *skua_stream_scan(skua_stream *stream, skua_stream_fold_fn fn, void *context,
                              const void *state, size_t state_bytes)
{
    static const struct skua__stream_kind kind = {scan_next, NULL};
    struct one *self = make(&kind, stream, context, state_bytes, state_bytes);
    if (self == NULL) {
        return NULL;
    }
    self->fn.fold = fn;
    memcpy(self->state, state, state_bytes);
    return &self->stream;
}

/* --- filter and take_while -------------------------------------------------------------------- */

static int test_call(skua_stream *stream, void *out)
{
    struct one *self = (struct one *)stream;
    int status = self->fn.item(self->context, self->input);
    if (status > 0) {
        memcpy(out, self->input, stream->item_bytes);
    }
    return status;
}

static int filter_next(skua_stream *stream, void *item, skua_time deadline)
{
    bool has_item;
    int status;
    do {
        status = take_and_call((struct one *)stream, test_call, item, deadline, &has_item);
    } while (has_item && status == 0);
    return status > 0 ? 1 : status;
}

static skua_stream *make_test(const struct skua__stream_kind *kind, skua_stream *stream,
                              skua_stream_item_fn fn, void *context)
{
    struct one *self = make(kind, stream, context, stream != NULL ? stream->item_bytes : 0, 0);
    if (self == NULL) {
        return NULL;
    }
    self->fn.item = fn;
    return &self->stream;
}

skua_stream *skua_stream_filter(skua_stream *stream, skua_stream_item_fn fn, void *context)
{
    static const struct skua__stream_kind kind = {filter_next, NULL};
    return make_test(&kind, stream, fn, context);
}

static int take_while_next(skua_stream *stream, void *item, skua_time deadline)
{
    bool has_item;
    int status = take_and_call((struct one *)stream, test_call, item, deadline, &has_item);
    return status > 0 ? 1 : status;
}

skua_stream *skua_stream_take_while(skua_stream *stream, skua_stream_item_fn fn, void *context)
{
    static const struct skua__stream_kind kind = {take_while_next, NULL};
    return make_test(&kind, stream, fn, context);
}

/* --- counted ---------------------------------------------------------------------------------- */

struct counted {
    skua_stream stream;
    size_t left;
};

static skua_stream *make_counted(const struct skua__stream_kind *kind, skua_stream *stream,
                                 size_t count)
{
    if (stream == NULL) {
        return NULL;
    }
    struct counted *self = skua__stream_make(kind, sizeof *self, 0, stream->item_bytes, stream);
    if (self == NULL) {
        return NULL;
    }
    self->left = count;
    return &self->stream;
}

static int take_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct counted *self = (struct counted *)stream;
    if (self->left == 0) {
        return 0;
    }
    int status = skua__stream_pull(stream->upstream, item, deadline);
    self->left -= status == 1;
    return status;
}

skua_stream *skua_stream_take(skua_stream *stream, size_t count)
{
    static const struct skua__stream_kind kind = {take_next, NULL};
    return make_counted(&kind, stream, count);
}

static int skip_next(skua_stream *stream, void *item, skua_time deadline)
{
    struct counted *self = (struct counted *)stream;
    int status = 1;
    while (self->left > 0 && status == 1) {
        status = skua__stream_pull(stream->upstream, item, deadline);
        self->left -= status == 1;
    }
    return status == 1 ? skua__stream_pull(stream->upstream, item, deadline) : status;
}

skua_stream *skua_stream_skip(skua_stream *stream, size_t count)
{
    static const struct skua__stream_kind kind = {skip_next, NULL};
    return make_counted(&kind, stream, count);
}
