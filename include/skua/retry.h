/* skua/retry.h: what is put around one call: try it again, make it once for all who ask, keep what
   it gave. */
#ifndef SKUA_RETRY_H
#define SKUA_RETRY_H

#include <skua/task.h>

SKUA_BEGIN_DECLS

/* --- again ------------------------------------------------------------------------------------ */

/* How to retry. Zero everywhere is the default. */
typedef struct skua_retry_opts {
    uint32_t attempts;       /* at most so many calls; 0: 3 */
    int64_t base_ns;         /* the first pause, twice as long each time; 0: 100 ms */
    int64_t cap_ns;          /* no pause is longer; 0: 30 s */
    uint32_t jitter_percent; /* a pause is shortened at random by up to this; at most 100 */
    int64_t each_ns;         /* > 0: a deadline for each attempt, which then gives -ETIMEDOUT */
    bool (*retryable)(int status, void *arg); /* NULL: all failures but -ECANCELED are */
    skua_time deadline;                       /* of all attempts together */
} skua_retry_opts;

/* Call fn(arg) until it returns a status >= 0, with a pause of min(base_ns * 2^k, cap_ns) after
   the k-th failure (k = 0, 1, ...), less the jitter. Gives up, with the last failure, when the
   attempts are used up, when `retryable` (which gets the same arg) says no, or when the next pause
   would last beyond the deadline; it does not pause after the last attempt. The deadline also cuts
   off an attempt that is under way, as skua_within() does. When the caller is cancelled it returns
   -ECANCELED without another attempt, whatever `retryable` thinks of it. `opts` may be NULL.
   Returns fn's last status, -ETIMEDOUT, -ECANCELED, -EINVAL (fn NULL, a negative duration, more
   than 100 percent), -EPERM (from a foreign thread), -ESHUTDOWN.
   Call from: a task. May switch. Cost: that of fn; with each_ns or a deadline, of skua_within(). */
int skua_retry(skua_fn fn, void *arg, const skua_retry_opts *opts) SKUA_MUST_CHECK;

/* --- once for all who ask --------------------------------------------------------------------- */

/* The calls that are under way. Zeroed is ready for use, there is nothing to destroy; it must stay
   where it is while a call is inside. */
typedef struct skua_flight {
    uint64_t opaque[16];
} skua_flight;

typedef struct skua_flight_call {
    const void *key; /* calls with equal bytes are the same call */
    size_t key_bytes;
    skua_fn fn; /* fn(arg) does the work, and writes the result to *value */
    void *arg;
    void *value; /* after a status >= 0 the bytes here are the result; NULL: the status is all */
    size_t value_bytes;
} skua_flight_call;

/* Do the call, or, if another caller is doing it for the same key, wait and take what that one
   gets: its status, and a copy of its value. fn runs in the first caller, on its stack and in its
   scope, under its deadline. The failure of a runner that was cancelled, or whose deadline came, is
   its own and nobody else's: the longest-waiting caller then runs its own fn. Any other status,
   also a failure, is shared with all who wait at that moment; who comes later starts a new call.
   Returns the status of fn; for this caller alone -ETIMEDOUT, -EAGAIN (SKUA_NOW, and somebody is at
   it, or fn would have waited), -ECANCELED; -EDEADLK (fn, in a task, asks for the key it is working
   for), -EINVAL (fn or key NULL, or a value of another size than the runner's), -ESHUTDOWN.
   Call from: a task or a foreign thread, where the deadline holds only for waiting. May switch.
   Cancel: see above. Owns: nothing; `call` and what it points to are used until it returns. Cost:
   two short locks and no allocation. */
int skua_flight_run(skua_flight *flight, const skua_flight_call *call, skua_time deadline)
    SKUA_MUST_CHECK;

/* --- keep it ---------------------------------------------------------------------------------- */

/* A cache: values of one size under keys of any bytes, made when they are first asked for. */
typedef struct skua_cache skua_cache;

/* How to make a cache. What is not marked may be zero. */
typedef struct skua_cache_opts {
    /* Required. Make the value of a key in zeroed memory: >= 0, or a failure. Runs in a caller of
       skua_cache_get(), may block, and several run at once for different keys. */
    int (*fill)(const void *key, size_t key_bytes, void *value, void *arg);
    void *arg;              /* for the functions here */
    size_t value_bytes;     /* required */
    size_t count_max;       /* at most so many are kept, the least recently used goes; 0: 1024 */
    int64_t ttl_ns;         /* so long they are kept, from the end of the fill; 0: for ever */
    int64_t failure_ttl_ns; /* failures are kept, too, for so long; 0: they are not */
    /* The value owns something: `drop` gives it up, for a value that leaves the cache and for each
       that was never in it. `retain` makes a copy of it another owner; it is called under the
       cache's lock for what callers get, which is theirs, and must only count. */
    void (*retain)(void *value, void *arg);
    void (*drop)(void *value, void *arg);
} skua_cache_opts;

/* Make a cache. Returns 0, -EINVAL (no fill, value_bytes 0, a negative duration, `drop` without
   `retain` or the reverse), -ENOMEM, -ESHUTDOWN. *out is written only on success.
   Call from anywhere. Never switches. */
int skua_cache_create(skua_cache **out, const skua_cache_opts *opts) SKUA_MUST_CHECK;

/* Give back the cache and drop all values; NULL is allowed. Panics if a call is inside.
   Call from anywhere. Runs `drop`. */
void skua_cache_destroy(skua_cache *cache);

/* Copy the value of the key to *value: the kept one, or a new one, which is filled once however
   many ask for it meanwhile, under the rules of skua_flight_run(). Panics if value_bytes is not the
   cache's.
   Returns 0; < 0 what fill returned (or had returned, if failures are kept), with *value untouched,
   or -ENOMEM; for this caller alone -ETIMEDOUT, -EAGAIN (SKUA_NOW, and it is not there),
   -ECANCELED, -EDEADLK (the fill, in a task, asks for its own key), -ESHUTDOWN.
   Call from: a task or a foreign thread, on which fill may run, too. May switch. Cancel: a value is
   either given or still in the cache. Cost: one short lock, O(1), and the clock if values age. */
int skua_cache_get(skua_cache *cache, const void *key, size_t key_bytes, void *value,
                   size_t value_bytes, skua_time deadline) SKUA_MUST_CHECK;

/* Put a copy of *value there, whatever was there; the cache becomes its owner if this succeeds. A
   fill that is under way for the key is not kept. Returns 0, -ENOMEM, -ESHUTDOWN.
   Call from anywhere. Never switches. Runs `drop` for what was there. */
int skua_cache_put(skua_cache *cache, const void *key, size_t key_bytes, const void *value,
                   size_t value_bytes) SKUA_MUST_CHECK;

/* Forget one key, or all. A fill that is under way is given to those who wait for it, is not kept,
   and whoever asks from now on gets a new one. Call from anywhere. Never switches. Runs `drop`. */
void skua_cache_forget(skua_cache *cache, const void *key, size_t key_bytes);
void skua_cache_clear(skua_cache *cache);

typedef struct skua_cache_counts {
    size_t kept;     /* in the cache now, aged ones that nobody asked for included */
    uint64_t hits;   /* gets that found it */
    uint64_t fills;  /* calls of fill */
    uint64_t shared; /* gets that another one's fill has served */
    uint64_t evictions;
} skua_cache_counts;

/* What has happened so far. Call from anywhere. Never switches. */
void skua_cache_count(skua_cache *cache, skua_cache_counts *out);

SKUA_END_DECLS
#endif
