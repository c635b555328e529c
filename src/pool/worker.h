/* pool/worker.h: the life of a worker process. */
#ifndef SKUA_POOL_WORKER_H
#define SKUA_POOL_WORKER_H

#include "base/compiler.h"

#include <stddef.h>
#include <sys/types.h>

struct skua__worker_setup {
    const char *name;
    size_t payload_max;
    size_t memory_max_bytes; /* 0: no limit */
    pid_t zygote;
    int memfd;
    int bell;
};

/* The first and last thing that a forked worker does. All signals are blocked on entry. */
SKUA_NORETURN void skua__worker_process(const struct skua__worker_setup *setup);

#endif
