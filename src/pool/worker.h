/* pool/worker.h: the life of a worker process. */
#ifndef SKUA_POOL_WORKER_H
#define SKUA_POOL_WORKER_H

#include "base/compiler.h"
#include "pool/settings.h"

#include <stddef.h>
#include <sys/types.h>

struct skua__worker_setup {
    const struct skua__settings *settings;
    uint32_t id;
    uint32_t number; /* skua_job_worker() */
    pid_t zygote;
    int memfd;
    int bell;
};

/* The first and last thing that a forked worker does. All signals are blocked on entry. */
SKUA_NORETURN void skua__worker_process(const struct skua__worker_setup *setup);

#endif
