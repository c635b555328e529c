/* skua/pool_map.h: one job over a stream of inputs, without end if need be, in constant memory. */
#ifndef SKUA_POOL_MAP_H
#define SKUA_POOL_MAP_H

#include <skua/pool.h>

SKUA_BEGIN_DECLS

typedef struct skua_pool_stream skua_pool_stream;

/* The next input: 1 with *in, which has to stay until the source is called again or the stream is
   closed (it is copied, unless it is empty); 0: there are no more; < 0: the stream ends with that
   code, after the answers that are under way. Or 1 with *buf, a buffer of skua_pool_alloc(), which
   is the stream's from then on. Called by skua_pool_stream_next(), in its caller; it may block. */
typedef int (*skua_pool_source)(void *arg, skua_bytes *in, skua_buf *buf);

typedef struct skua_pool_stream_opts {
    uint32_t
        in_flight_max; /* inputs taken whose answers were not; 0: 4 for each worker and chunk */
    uint32_t chunk;    /* so many inputs go to one worker in a row; 0: as many as is good for the
                        present length of a job */
    bool unordered;    /* answers as they come; else in the order of the inputs */
    int priority;      /* this and the following: as in skua_call_opts */
    uint32_t attempts;
    int64_t grace_ns;
} skua_pool_stream_opts;

/* Begin. Nothing is taken from the source yet. *out is written only on success. Returns 0, -EINVAL,
   -ENOMEM, -ESHUTDOWN. `opts` may be NULL.
   Call from: a task or a foreign thread. Never switches. */
int skua_pool_stream_open(skua_pool_stream **out, skua_pool *pool, const skua_job *job,
                          skua_pool_source source, void *arg, const skua_pool_stream_opts *opts)
    SKUA_MUST_CHECK;

/* The next answer. Takes inputs from the source until in_flight_max are under way, then waits.
   Returns 1 with the number of the input in *index (from 0; may be NULL), the job's status in
   *status (as skua_pool_call() would have returned it) and its answer in *answer, to be released;
   0: the source has ended and all answers were given; what the source returned if that was < 0;
   -ETIMEDOUT, -EAGAIN (SKUA_NOW), -ECANCELED: nothing is lost, call again; -ENOMEM, -ESHUTDOWN.
   Call from: one at a time, a task or a foreign thread. May switch. Cost: less than a call, since
   inputs and answers go in batches. */
int skua_pool_stream_next(skua_pool_stream *stream, uint64_t *index, int *status, skua_buf *answer,
                          skua_time deadline) SKUA_MUST_CHECK;

/* Why the job of the last answer failed, if its status was < 0: a text that stays until the next
   call, or "". */
const char *skua_pool_stream_message(const skua_pool_stream *stream);

/* End it: jobs that have not begun are dropped, those that run are killed unless they have
   answered, unseen answers are released. NULL is allowed.
   Call from: a task or a foreign thread, with no skua_pool_stream_next() under way. May switch, and
   is not cancelled. */
void skua_pool_stream_close(skua_pool_stream *stream);

SKUA_END_DECLS
#endif
