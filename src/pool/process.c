/* Worker processes as records in the parent.

   A record stands for one process and its memory. A process that replaces another one gets a new
   record, a new id and new memory: nothing is initialised again, and nothing that comes late can be
   taken for something of the successor.

   Invariants
   (P1) pidfd >= 0 from FORKED until GONE, so that a kill reaches this very process or none.
   (P2) A process has a call exactly while it is BUSY, except GRANTED calls of processes that have
        died: the caller finds state GONE and gives up its reference.
   (P3) pool->worker_count counts STARTING, IDLE, BUSY and FULL.

   Who runs it: whoever has the pool's lock; create and free: anybody, without it. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/limits.h"
#include "pool/state.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int skua__process_create(struct skua__process **out, skua_pool *pool, uint32_t id)
{
    struct skua__process *process = skua__alloc(sizeof *process);
    if (process == NULL) {
        return -ENOMEM;
    }
    int error = skua__arena_create(&process->arena, pool->payload_max, &process->memfd);
    if (error < 0) {
        skua__free(process);
        return error;
    }
    process->pool = pool;
    process->id = id;
    process->references = 1;
    process->pidfd = -1;
    process->free_answers = (1u << SKUA__ANSWERS) - 1;
    process->ring.shared = process->arena.shared;
    for (uint32_t answer = 0; answer < SKUA__ANSWERS; answer++) {
        process->loans[answer] = (struct skua__loan){process, answer};
    }
    *out = process;
    return 0;
}

struct skua__process *skua__process_unref(struct skua__process *process)
{
    skua_require(process->references > 0);
    return --process->references == 0 ? process : NULL;
}

void skua__process_free(struct skua__process *process)
{
    if (process == NULL) {
        return;
    }
    if (process->memfd >= 0) {
        close(process->memfd);
    }
    skua__arena_unmap(&process->arena);
    skua__free(process);
}

static void leave_idle(struct skua__process *process)
{
    if (skua__link_is_linked(&process->idle)) {
        skua__list_remove(&process->idle);
    }
}

void skua__process_kill(const struct skua__process *process)
{
    if (process->pidfd >= 0) {
        /* It may be dead by now, which is as good. */
        syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
    }
}

void skua__process_doom(struct skua__process *process)
{
    leave_idle(process);
    process->call = NULL;
    skua__life_lost(process);
    process->state = SKUA__PROCESS_DOOMED;
    skua__process_kill(process);
}

void skua__process_welcome(struct skua__process *process, struct skua__after *after)
{
    skua__process_settle(process, after);
}

/* The story of a death. */
static void fail_call(struct skua__process *process, int status, struct skua__after *after)
{
    struct skua__call *call = process->call;
    const char *job = call->job->name;
    const int pid = (int)process->pid;
    if (status == -1) {
        skua__call_fail(call, after, -EOWNERDEAD,
                        "job '%s': worker %d ended because the zygote was killed", job, pid);
    } else {
        char text[SKUA__CALL_TEXT_BYTES];
        int error = skua__limits_explain(process->pool->life.settings, status, 0,
                                         process->life.is_oom, text, sizeof text);
        skua__call_fail(call, after, error, "job '%s': worker %d %s", job, pid, text);
    }
}

struct skua__process *skua__process_died(struct skua__process *process, int status,
                                         struct skua__after *after)
{
    skua__process_take(process, after); /* it may have answered before it died */
    leave_idle(process);
    if (process->call != NULL && process->call->state == SKUA__CALL_RUNNING) {
        if (!skua__jobring_is_untouched(&process->ring) ||
            !skua__call_restart(process->pool, process->call, after)) {
            fail_call(process, status, after);
        }
    }
    skua__life_lost(process);
    process->call = NULL;
    process->state = SKUA__PROCESS_GONE;
    if (process->pidfd >= 0) {
        close(process->pidfd);
        process->pidfd = -1;
    }
    skua__list_remove(&process->link);
    return skua__process_unref(process);
}
