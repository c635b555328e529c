/* pool/zygote.h: the process from which all workers are forked, and the only door to fork. */
#ifndef SKUA_POOL_ZYGOTE_H
#define SKUA_POOL_ZYGOTE_H

#include "base/compiler.h"

#include <stdint.h>
#include <sys/types.h>

/* Parent: make a control socket whose other end is the zygote's. The zygote obeys the messages on
   it; when it sees the end of it, it kills the workers that were asked for there, reports them, and
   closes. Returns 0, -ENOTSUP (there is no zygote), -EMFILE, -ENFILE, -ENOMEM, -EAGAIN. Call from
   anywhere. */
int skua__zygote_connect(int *control);

/* Parent: how many jobs the zygote knows. */
uint32_t skua__zygote_job_count(void);

/* Parent: its process id, 0 if there is none. For tests. */
pid_t skua__zygote_pid(void);

/* Zygote: its whole life. `parent` is a pidfd. */
SKUA_NORETURN void skua__zygote_main(int master, int parent);

/* Zygote: fork(2). */
pid_t skua__zygote_fork(void);

#endif
