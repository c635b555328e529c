/* skua/base.h: time, results and attributes; every other header includes this one.

   Results. Functions return 0 or a value >= 0 when they succeed and a negative errno when they
   fail (-ECANCELED, -ETIMEDOUT, -EPIPE, ...). Nothing is reported through errno: a compiler may
   keep the address of the old thread's errno across a switch. What delivers items returns 1 (got
   one), 0 (ended) or < 0, like read(2). Codes below -4095 belong to the application.

   Time. Every call that can block takes a deadline last: a moment on the monotonic clock, not a
   duration. A zeroed deadline is SKUA_FOREVER, so that zeroed options have none.

   Words used in all headers:
     "Call from"   where the function may be called: a task, a foreign thread (one that Skua did
                   not start), or both.
     "May switch"  the task may be suspended inside the call and may go on on another thread.
     "Cancel"      what a cancelled or timed-out call can lose. It is nothing unless it says so. */
#ifndef SKUA_BASE_H
#define SKUA_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define SKUA_BEGIN_DECLS                                                                           \
    extern "C" {                                                                                   \
    _Pragma("GCC visibility push(default)")
#define SKUA_END_DECLS                                                                             \
    _Pragma("GCC visibility pop")                                                                  \
    }
#else
#define SKUA_BEGIN_DECLS _Pragma("GCC visibility push(default)")
#define SKUA_END_DECLS _Pragma("GCC visibility pop")
#endif

#define SKUA_MUST_CHECK __attribute__((warn_unused_result))
#define SKUA_PRINTF(format_index, first_argument)                                                  \
    __attribute__((format(printf, format_index, first_argument)))

SKUA_BEGIN_DECLS

#define SKUA_VERSION_MAJOR 0
#define SKUA_VERSION_MINOR 1
#define SKUA_VERSION_PATCH 0

/* A moment: nanoseconds of CLOCK_MONOTONIC. A struct, so that skua_sleep(SKUA_MS(50)), a duration
   where a moment is meant, does not compile. */
typedef struct skua_time {
    int64_t ns;
} skua_time;

static inline skua_time skua_time_at(int64_t ns)
{
    skua_time time;
    time.ns = ns;
    return time;
}

/* No deadline. */
#define SKUA_FOREVER skua_time_at(0)

/* Try, never suspend: the call gives -EAGAIN where it would have waited. */
#define SKUA_NOW skua_time_at(-1)

/* Durations in nanoseconds, for skua_after(). */
#define SKUA_US(n) ((int64_t)(n)*1000)
#define SKUA_MS(n) ((int64_t)(n)*1000000)
#define SKUA_SEC(n) ((int64_t)(n)*1000000000)

/* The present moment. Call from anywhere. Cost: one vDSO call, about 20 ns. */
skua_time skua_clock(void);

/* The moment `duration_ns` from now. Saturates instead of overflowing; a duration <= 0 gives a
   moment that is already over (which is not the same as SKUA_NOW: a call that could succeed at
   once still does, one that would wait gives -ETIMEDOUT). Call from anywhere. */
skua_time skua_after(int64_t duration_ns);

/* Nanoseconds that have passed since `since`. Call from anywhere. */
int64_t skua_elapsed_ns(skua_time since);

/* What a task runs. Returns < 0 for a failure (its code) or >= 0 for a result. */
typedef int (*skua_fn)(void *arg);

/* Application codes: class 1..4095 and detail 0..65535; never mistaken for an errno. */
#define SKUA_ERR(error_class, detail) (-(((error_class) << 16) | (detail)))

/* A failure with its origin, as skua_task_error() gives it. */
typedef struct skua_error {
    int code;
    int line;
    const char *file;
    const char *task_name;
    const char *task_site; /* where the task was spawned, see skua_task_site(); or NULL */
    const char *text;
} skua_error;

/* Fail with a message: return skua_fail(-EIO, "reading %s", path);
   Returns `code`, and attaches text and origin to the calling task, where a joiner finds them with
   skua_task_error() if the task ends with that very code. The last call wins. Outside of a task it
   only returns `code`. Never switches, never fails: without memory the text is left out. */
#define skua_fail(code, ...) skua_fail_at(__FILE__, __LINE__, (code), __VA_ARGS__)
int skua_fail_at(const char *file, int line, int code, const char *format, ...) SKUA_PRINTF(4, 5);

/* A short, static text for a code; all application codes are "application error". */
const char *skua_error_text(int code);

SKUA_END_DECLS
#endif
