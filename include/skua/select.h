/* skua/select.h: wait for the first of several things; exactly one of them happens.

   The initialisers of channels, tasks and moments are here; other headers have those of what they
   offer: SKUA_GET and SKUA_PUT (skua/queue.h), SKUA_NEWS and SKUA_CHANGED (skua/share.h),
   SKUA_READY (skua/io.h), and so on. */
#ifndef SKUA_SELECT_H
#define SKUA_SELECT_H

#include <skua/chan.h>
#include <skua/task.h>

SKUA_BEGIN_DECLS

typedef enum skua_case_kind {
    SKUA_CASE_NONE, /* never fires */
    SKUA_CASE_RECV,
    SKUA_CASE_SEND,
    SKUA_CASE_TASK,     /* a task has ended */
    SKUA_CASE_TIME,     /* a moment has come */
    SKUA_CASE_WAITABLE, /* whatever `waitable` says */
} skua_case_kind;

/* What a kind of thing knows how to do; the constants are declared by the headers of the things. */
struct skua__waitable;

/* One thing to wait for. Fill it with the initialisers; cases[] can be used again as it is. */
typedef struct skua_case {
    skua_case_kind kind;
    int result;   /* of the case that fired: what the plain call would have returned */
    void *object; /* NULL: never fires */
    union {
        void *item;
        int fd; /* of SKUA_READY */
    };
    union {
        size_t item_bytes;
        int events; /* of SKUA_READY */
    };
    union {
        skua_time at;                          /* of SKUA_CASE_TIME */
        const struct skua__waitable *waitable; /* of SKUA_CASE_WAITABLE */
    };
} skua_case;

#define SKUA_RECV(chan_, x)                                                                        \
    {                                                                                              \
        .kind = SKUA_CASE_RECV, .object = (chan_), .item = &(x), .item_bytes = sizeof(x)           \
    }
#define SKUA_SEND(chan_, x)                                                                        \
    {                                                                                              \
        .kind = SKUA_CASE_SEND, .object = (chan_), .item = &(x), .item_bytes = sizeof(x)           \
    }
#define SKUA_ENDED(task_)                                                                          \
    {                                                                                              \
        .kind = SKUA_CASE_TASK, .object = (task_)                                                  \
    }
#define SKUA_AT(moment)                                                                            \
    {                                                                                              \
        .kind = SKUA_CASE_TIME, .at = (moment)                                                     \
    }

/* Prefer the first ready case instead of a fair choice among the ready ones. */
enum { SKUA_IN_ORDER = 1 };

/* The most cases that one select takes. */
enum { SKUA_CASES_MAX = 256 };

/* Wait until one of the cases can happen and let exactly that one happen. Returns its index, with
   what the plain call would have returned in its `result` (a receive: 1, or 0 for ended; a send: 0,
   or -EPIPE; a task: 0, the status is read by skua_join; a moment: 0). Otherwise nothing has
   happened: -ETIMEDOUT, -EAGAIN (SKUA_NOW), -ECANCELED, -EINVAL (too many cases, or a bad kind),
   -EDEADLK (a task waits for its own end), -ENOMEM (more than 16 cases), -ESHUTDOWN. Among ready
   cases the choice is random unless SKUA_IN_ORDER is given. The same object may stand in several
   cases. Without any case that can fire it waits for the deadline or a cancel.
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing. Cost: O(count log
   count); locks all its objects in address order (as Go's select does). */
int skua_select(skua_case cases[], size_t count, int flags, skua_time deadline) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
