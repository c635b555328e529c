/* skua/stream.h: streams: items that arrive over time, and what can be done to them on the way.

   A chain is built from a source outward, and a sink at its end drives it:

     skua_stream *pages = skua_stream_map(skua_stream_from_chan(chan, sizeof(int)), fetch, &site,
                                          sizeof(struct page));
     status = skua_stream_for_each(pages, show, NULL, SKUA_FOREVER);

   Ownership. Who is given a stream owns it: an operator its sources, a sink the whole chain, which
   it closes before it returns, whatever happens. Closing runs all clean-ups upstream, those of
   generators too, and waits for them.
   Memory. Items are copied by value. Without memory a constructor closes what it was given and
   returns NULL; NULL is taken by every function, and its items are the failure -ENOMEM. So chains
   are written nested, and errors are looked for once, at the end.
   Errors. A failure, of a source or of a function of the program, ends the stream; who asks is told
   once the items before it are through, again and again. -ETIMEDOUT, -EAGAIN and -ECANCELED may
   also concern only the wait of him who asks: nothing is lost then, ask again. Functions run in the
   task that asks, inside its deadline; one that it interrupts is called again for the same item.
   Use. Constructors may be called from anywhere, skua_stream_generate() from a task; they
   switch only when they have to close. A stream is asked by one task at a time; unless it
   says so, an operator runs in the task that asks. Items of operators with tasks of their own
   have at most 64 KiB; larger ones end the stream: -EINVAL. */
#ifndef SKUA_STREAM_H
#define SKUA_STREAM_H

#include <skua/chan.h>
#include <skua/gen.h>

SKUA_BEGIN_DECLS

typedef struct skua_stream skua_stream;

/* Functions of the program: for one item (what the result means is said where it is used); from an
   item to another; and from a state and an item to the next state. < 0 is a failure. */
typedef int (*skua_stream_item_fn)(void *context, const void *item);
typedef int (*skua_stream_map_fn)(void *context, const void *item, void *out);
typedef int (*skua_stream_fold_fn)(void *context, void *state, const void *item);

/* --- asking ----------------------------------------------------------------------------------- */

/* Declare a stream that is closed when the C block is left by return, goto or break; for loops by
   hand, since what is handed to an operator or a sink is owned by that. Declare it behind what its
   functions use. */
#define SKUA_STREAM(name)                                                                          \
    skua_stream *name __attribute__((cleanup(skua_stream_close), unused)) = NULL

/* Ask for an item: while ((status = skua_stream_next(stream, SKUA_ITEM(x), SKUA_FOREVER)) == 1).
   Returns 1 (*item is it), 0 (ended) or < 0, see above. item_bytes must be the stream's: another
   size panics. Call from: a task; a foreign thread if none of the operators has tasks of its own.
   May switch. Cancel: loses nothing. */
int skua_stream_next(skua_stream *stream, void *item, size_t item_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* Close the chain, wait until all of its tasks have cleaned up, also if the caller is cancelled,
   and set *stream to NULL, which it may be. Call from: as skua_stream_next(). May switch. */
void skua_stream_close(skua_stream **stream);

/* --- sources ---------------------------------------------------------------------------------- */

/* A source of your own. next: 1, 0 or < 0 as skua_stream_next(); close: NULL, or called once. */
typedef struct skua_source {
    int (*next)(void *context, void *item, skua_time deadline);
    void (*close)(void *context);
    void *context;
    size_t item_bytes;
} skua_source;
skua_stream *skua_stream_from(const skua_source *source);

/* items[0..count), which must outlive the stream. */
skua_stream *skua_stream_from_array(const void *items, size_t item_bytes, size_t count);

/* What is received, until the channel is closed and drained; owns a receiver end from now on. */
skua_stream *skua_stream_from_chan(skua_chan *chan, size_t item_bytes);

/* What the generator gives; owns it from now on. */
skua_stream *skua_stream_from_gen(skua_gen *gen);

/* The same for one that is opened here. A failure to open it ends the stream. */
#define skua_stream_generate(fn, arg, item_bytes)                                                  \
    skua_stream_generate_named(#fn, (fn), (arg), (item_bytes))
skua_stream *skua_stream_generate_named(const char *name, skua_gen_fn fn, void *arg,
                                        size_t item_bytes);

/* int64_t: begin, begin + step... up to, and without, `end`. A step of 0 panics. */
skua_stream *skua_stream_range(int64_t begin, int64_t end, int64_t step);

/* uint64_t: how many periods have passed since the first call, which waits for the first one. Who
   is late gets one item for all that he has missed. Never ends. */
skua_stream *skua_stream_ticker(int64_t period_ns);

/* --- one by one ------------------------------------------------------------------------------- */

/* fn(context, item, out) for each, where `out` has item_bytes. */
skua_stream *skua_stream_map(skua_stream *stream, skua_stream_map_fn fn, void *context,
                             size_t item_bytes);

/* Those for which fn(context, item) is not 0. */
skua_stream *skua_stream_filter(skua_stream *stream, skua_stream_item_fn fn, void *context);

/* The items before the first one for which fn(context, item) is 0. */
skua_stream *skua_stream_take_while(skua_stream *stream, skua_stream_item_fn fn, void *context);

/* The first `count`; no more are asked for. And all but the first `count`. */
skua_stream *skua_stream_take(skua_stream *stream, size_t count);
skua_stream *skua_stream_skip(skua_stream *stream, size_t count);

/* The state after each item: fn(context, state, item), beginning with a copy of *state. */
skua_stream *skua_stream_scan(skua_stream *stream, skua_stream_fold_fn fn, void *context,
                              const void *state, size_t state_bytes);

/* --- several streams -------------------------------------------------------------------------- */

/* One after the other; all of the same item_bytes. The array is copied. */
skua_stream *skua_stream_chain(skua_stream *const streams[], size_t count);

/* All at once, in the order in which they come; a task for each, that is one item ahead. All of the
   same item_bytes. The first failure ends it. */
skua_stream *skua_stream_merge(skua_stream *const streams[], size_t count);

/* Pairs, until one of the two ends: struct pair of item_bytes, which begins with `first`'s item and
   has `second`'s at the offset. */
skua_stream *skua_stream_zip(skua_stream *first, skua_stream *second, size_t item_bytes,
                             size_t second_offset);

/* The items of the streams that are the items of `stream` (skua_stream *), one after the other. */
skua_stream *skua_stream_flatten(skua_stream *stream, size_t item_bytes);

/* --- pace ------------------------------------------------------------------------------------- */

/* Ask ahead: a task keeps up to `count` items ready. */
skua_stream *skua_stream_buffer(skua_stream *stream, size_t count);

/* Several at a time: a struct of item_bytes that begins with their number (size_t) and has room for
   them, up to its end, from the offset on:
     struct pages { size_t count; struct page pages[100]; };
   It is given when it is full, or wait_ns (0: no limit) after its first item. */
skua_stream *skua_stream_batch(skua_stream *stream, size_t item_bytes, size_t items_offset,
                               int64_t wait_ns);

/* At most one item in each period: the others wait. */
skua_stream *skua_stream_throttle(skua_stream *stream, int64_t period_ns);

/* The newest of the items that are ready; older ones are dropped. (A source that is ready for ever
   keeps it busy until it is cancelled.) */
skua_stream *skua_stream_conflate(skua_stream *stream);

/* An item that was not followed by another one for quiet_ns; those before it are dropped. */
skua_stream *skua_stream_debounce(skua_stream *stream, int64_t quiet_ns);

/* --- in parallel ------------------------------------------------------------------------------ */

typedef struct skua_parallel {
    skua_stream_map_fn fn;
    void *context;
    size_t item_bytes; /* of the results */
    size_t limit;      /* calls at once; 0: as many as there are workers */
    bool in_any_order; /* results as they come, else in the order of the items */
} skua_parallel;

/* map in `limit` tasks. At most so many items are between `stream` and him who asks: a slow
   consumer stops them. In order, a failure is told after the results before it; in any order it is
   told at once. */
skua_stream *skua_stream_map_parallel(skua_stream *stream, const skua_parallel *how);

/* --- sinks: each closes the chain ------------------------------------------------------------- */

/* Call from: as skua_stream_next(). May switch. A deadline holds for the functions too.

   fn(context, item) for each, until one is not 0. Returns that, 0 at the end, or the failure. */
int skua_stream_for_each(skua_stream *stream, skua_stream_item_fn fn, void *context,
                         skua_time deadline) SKUA_MUST_CHECK;

/* fn(context, state, item) for each. Returns 0 or the failure; *state is what has come together. */
int skua_stream_reduce(skua_stream *stream, skua_stream_fold_fn fn, void *context, void *state,
                       skua_time deadline) SKUA_MUST_CHECK;

/* How many there are. Returns 0 or the failure; *count counts those before it. */
int skua_stream_count(skua_stream *stream, size_t *count, skua_time deadline) SKUA_MUST_CHECK;

/* The first one, to *item (skua_stream_filter() before it finds one of a kind). item_bytes must be
   the stream's. Returns 1, 0 (there is none) or the failure. */
int skua_stream_first(skua_stream *stream, void *item, size_t item_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
