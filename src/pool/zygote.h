/* pool/zygote.h: the process from which all workers are forked, and the only door to fork. */
#ifndef SKUA_POOL_ZYGOTE_H
#define SKUA_POOL_ZYGOTE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Parent: make a control socket whose other end is the zygote's, after making a zygote if there is
   none. The zygote obeys the messages on the socket; when it sees the end of it, it kills the
   workers that were asked for there, reports them, and closes. Returns 0, -ENOTSUP (there is no
   zygote; why is attached to the task), -EMFILE, -ENFILE, -ENOMEM, -EAGAIN, -ESHUTDOWN (in a forked
   child). Call from: a task. May switch. */
int skua__zygote_connect(int *control);

/* Parent: how many jobs the zygote knows. */
uint32_t skua__zygote_job_count(void);

/* Parent: its process id, 0 if there is none. For tests. */
pid_t skua__zygote_pid(void);

/* Zygote: its whole life. `parent` is a pidfd. */
SKUA_NORETURN void skua__zygote_main(int master, int parent);

/* The process becomes the zygote for good: main() with what else there is to note. */
SKUA_NORETURN void skua__zygote_serve(int master, int parent);

/* Does this process have one thread? */
bool skua__zygote_is_alone(void);

/* Zygote: fork(2). */
pid_t skua__zygote_fork(void);

#endif
