/* skua/signal.h: signals as events that tasks wait for.

     skua_signal *reloads = NULL;
     status = skua_signal_open(&reloads, SKUA_SIGNALS(SIGHUP, SIGUSR1));
     while ((status = skua_signal_wait(reloads, &info, SKUA_FOREVER)) == 1) { ... }
     skua_signal_close(reloads);

   While a listener for it is open, a signal does not do what it would have done: neither its
   default action, nor, for SIGINT and SIGTERM, what skua_run() makes of them. A handler that the
   program has installed before is still called, before listeners are told, on the thread that the
   signal has interrupted. When the last listener is closed, the action is again what it was before
   the first one.

   Every listener of a signal hears it. Of those that come before anybody asks, each listener keeps
   how many there were; nothing else is lost (the kernel itself may join several of a kind into one
   while they are blocked). Threads of the library that run tasks block no signals. */
#ifndef SKUA_SIGNAL_H
#define SKUA_SIGNAL_H

#include <signal.h>
#include <skua/select.h>
#include <skua/stream.h>

SKUA_BEGIN_DECLS

typedef struct skua_signal skua_signal;

/* What has come. */
typedef struct skua_signal_info {
    int number;
    uint32_t count; /* how many since the last one that was told; at least 1 */
    pid_t sender;   /* of the latest one; 0: the kernel, or it is not known */
} skua_signal_info;

/* Numbers in place, and how many: skua_signal_open(&listener, SKUA_SIGNALS(SIGHUP, SIGTERM)). */
#define SKUA_SIGNALS(...)                                                                          \
    ((const int[]){__VA_ARGS__}), (sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* Listen to the signals numbers[0..count) from now on. Returns 0, -EINVAL (none, no signal, or one
   that cannot be caught or means an error of the program: SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,
   SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT), -ENOSPC (more than 256 listeners), -EMFILE, -ENOMEM,
   -EPERM (foreign thread), -ESHUTDOWN. *out is written only on success.
   Call from: a task. Never switches. Cost: an fd. */
int skua_signal_open(skua_signal **out, const int numbers[], size_t count) SKUA_MUST_CHECK;

/* Wait for one of its signals, which came after the listener was opened. Returns 1, with *info
   (NULL: not asked for), or -ETIMEDOUT, -EAGAIN, -ECANCELED, -EBUSY (another task waits already).
   Of several kinds each has its turn.
   Call from: a task. May switch. Cancel: loses nothing. */
int skua_signal_wait(skua_signal *listener, skua_signal_info *info, skua_time deadline)
    SKUA_MUST_CHECK;

/* A case for skua_select(): skua_signal_wait() would not have to wait; ask it then, with SKUA_NOW.
   Its result is 1. */
extern const struct skua__waitable skua_signal_arrives;
#define SKUA_SIGNALED(listener_)                                                                   \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .waitable = &skua_signal_arrives, .object = (listener_)        \
    }

/* Stop listening; what has come and was not asked for is dropped. NULL is allowed; that somebody
   waits for it panics. Call from: a task. Never switches. */
void skua_signal_close(skua_signal *listener);

/* The signals as a stream of skua_signal_info without an end, which owns the listener from now on.
 */
skua_stream *skua_stream_from_signals(skua_signal *listener);

SKUA_END_DECLS
#endif
