/* skua/conn_pool.h: a pool of things that are dear to make and can be used again: connections to a
   database, sessions, handles of a library.

   The pool makes them when they are asked for, up to a limit, lends each to one at a time, keeps
   what comes back for the next one, and closes what was idle for too long, is too old, or came back
   broken. Who finds none waits, first come, first served. */
#ifndef SKUA_CONN_POOL_H
#define SKUA_CONN_POOL_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

typedef struct skua_conn_pool skua_conn_pool;

/* How to make a pool. What is not marked may be zero. The functions may block; none is called under
   a lock, and several run at once for different things. */
typedef struct skua_conn_pool_opts {
    /* Required. Make one: *out is what is lent, not NULL. 0, or a failure (< 0). Runs in a task
       that acquires, under its deadline. */
    int (*open)(void **out, void *arg);
    /* Required. Close it, for good. Runs under a shield that ends when the runtime's cleanup_ns
       have passed. */
    void (*close)(void *thing, void *arg);
    /* Is one that was idle still good? If not it is closed, and the next one is looked at. Runs in
       a task that acquires, under its deadline. NULL: it is. */
    bool (*is_healthy)(void *thing, void *arg);
    void *arg;        /* for these functions */
    size_t open_max;  /* there are never more, lent or idle; 0: 8 */
    size_t idle_max;  /* more than so many idle ones are closed; 0: open_max */
    int64_t check_ns; /* is_healthy() is asked only for what was idle for so long; 0: always */
    int64_t idle_ns;  /* closed when idle for so long; 0: never */
    int64_t age_ns;   /* not lent any more when so old; 0: never */
    const char *name; /* for reports; stays; NULL: "pool" */
} skua_conn_pool_opts;

/* Make a pool; nothing is opened yet. *out is written only on success. Returns 0, -EINVAL (no open
   or close, a negative duration), -ENOMEM, -EPERM (foreign thread), -ESHUTDOWN.
   Call from: a task, to whose runtime it belongs. Never switches. */
int skua_conn_pool_create(skua_conn_pool **out, const skua_conn_pool_opts *opts) SKUA_MUST_CHECK;

/* Close the pool for good: what is idle is closed now, what is lent when it comes back; who waits,
   or asks from now on, gets -EPIPE. Waits until all is back and closed. Returns 0, -ETIMEDOUT,
   -EAGAIN (SKUA_NOW, and something is lent), -ECANCELED, -ESHUTDOWN; the pool is closing all the
   same, and may be asked again.
   Call from: a task. May switch. Cancel: closing goes on with each release. */
int skua_conn_pool_close(skua_conn_pool *pool, skua_time deadline) SKUA_MUST_CHECK;

/* Give the pool back, after closing what is idle; NULL is allowed. Panics if something is lent, or
   a call is inside.
   Call from: a task. Switches only in what closes. */
void skua_conn_pool_destroy(skua_conn_pool *pool);

/* Borrow one: the one that came back last, a new one, or, if all that there may be are lent, the
   next that comes back. A failure to open is the caller's; the next in line then tries for itself.
   Returns 0 with *thing; what `open` returned (< 0); -EPIPE (the pool is closed), -ETIMEDOUT,
   -EAGAIN (SKUA_NOW, and none is idle that need not be checked), -ECANCELED, -EPERM (foreign
   thread), -ESHUTDOWN.
   Call from: a task. May switch. Cancel: what it was given goes to the next in line. Cost: a short
   lock if one is idle and not to be checked; no allocation. */
int skua_conn_pool_acquire(skua_conn_pool *pool, void **thing, skua_time deadline) SKUA_MUST_CHECK;

/* Give it back, for others to use. Panics if it is not lent.
   Call from: a task. Switches only if it has to be closed. Cost: a short lock. */
void skua_conn_pool_release(skua_conn_pool *pool, void *thing);

/* Give it back broken: it is closed, and the next in line may open another. Panics if it is not
   lent.
   Call from: a task. Switches in what closes. */
void skua_conn_pool_discard(skua_conn_pool *pool, void *thing);

/* Allow more or fewer from now on; 0: 8. Idle ones beyond that are closed now, lent ones when they
   come back. Returns 0, -ENOMEM, -EPERM, -ESHUTDOWN.
   Call from: a task. Switches only in what closes. */
int skua_conn_pool_resize(skua_conn_pool *pool, size_t open_max) SKUA_MUST_CHECK;

/* Close all that is idle now; what is lent is closed when it comes back (after the other side was
   restarted, say).
   Call from: a task. Switches only in what closes. */
void skua_conn_pool_renew(skua_conn_pool *pool);

typedef struct skua_conn_pool_counts {
    size_t lent, idle;  /* now */
    size_t opening;     /* now, those that are looked at for their health included */
    size_t waiting;     /* callers */
    uint64_t opened;    /* ever */
    uint64_t closed;    /* ever, for whatever reason */
    uint64_t failures;  /* of open */
    uint64_t unhealthy; /* closed for that */
    uint64_t acquired;  /* ever */
    uint64_t waits;     /* of these, such as had to wait */
} skua_conn_pool_counts;

/* Call from anywhere. Never switches. */
void skua_conn_pool_count(skua_conn_pool *pool, skua_conn_pool_counts *out);

SKUA_END_DECLS
#endif
