/* process/process.h: the inside of a handle, and of what a runtime knows of its processes.

       STARTING ---> RUNNING ---> ENDED     the keeper, all under the handle's lock
            \---> FAILED

   A handle has two owners, the program and the keeper; who leaves last frees it. */
#ifndef SKUA_PROCESS_PROCESS_H
#define SKUA_PROCESS_PROCESS_H

#include "base/list.h"
#include "base/lock.h"
#include "io/fd.h"
#include "process/parent.h"
#include "sched/service.h"
#include "sched/waiter.h"

#include <pthread.h>

enum skua__process_state {
    SKUA__PROCESS_STARTING,
    SKUA__PROCESS_RUNNING,
    SKUA__PROCESS_ENDED,
    SKUA__PROCESS_FAILED,
};

enum { SKUA__PROCESS_STREAMS = 3, SKUA__PROCESS_NAME_BYTES = 32 };

/* The processes of one runtime. */
struct skua__process_room {
    struct skua__service service;
    struct skua__lock lock;   /* SKUA__RANK_POOL */
    struct skua__list all;    /* handles that have an owner */
    _Atomic uint32_t keepers; /* a futex; changes under the lock */
    bool has_ended;
    pthread_t ended; /* if has_ended: waits to be joined */
};

struct skua_process {
    struct skua__link link; /* in room->all */
    struct skua__process_room *room;
    struct skua__io *io;
    char name[SKUA__PROCESS_NAME_BYTES];
    int fds[SKUA__PROCESS_STREAMS]; /* ours; -1: none */
    bool has_terminal;              /* fds[0] and fds[1] are its other side */
    uint32_t owners;                /* under the room's lock */
    bool is_closed;                 /* the same */

    struct skua__lock lock; /* SKUA__RANK_CHAN */
    enum skua__process_state state;
    pid_t parent;
    bool has_parent; /* which is not reaped */
    int error;       /* FAILED: why; ENDED: 0, or -ECHILD */
    skua_process_status status;
    struct skua__list waiters;

    struct skua__birth birth;
};

/* The calling task's runtime's. */
int skua__process_room_get(struct skua__process_room **out);

/* A thread that makes the process and waits for its end. 0, -EAGAIN. */
int skua__process_keep(struct skua_process *process);

/* Give up an ownership. */
void skua__process_leave(struct skua_process *process);

static inline void skua__process_lock(struct skua_process *process)
{
    skua__lock(&process->lock, SKUA__RANK_CHAN);
}

static inline void skua__process_unlock(struct skua_process *process)
{
    skua__unlock(&process->lock, SKUA__RANK_CHAN);
}

/* Wait until the state is at least that. 0, -EAGAIN, -ETIMEDOUT, -ECANCELED. */
int skua__process_await(struct skua_process *process, enum skua__process_state state,
                        enum skua__wait_kind kind, skua_time deadline);

/* --- streams ---------------------------------------------------------------------------------- */

/* What a start takes along. */
struct skua__plan {
    struct skua__child_fd *fds;
    size_t fd_count;
    const char **paths;
    int ends[SKUA__PROCESS_STREAMS + 1]; /* the child's, which are not the caller's; -1: none */
};

/* Our ends go to the handle, adopted. 0, -EINVAL, -EMFILE, ... */
int skua__plan_streams(struct skua__plan *plan, struct skua_process *process,
                       const skua_process_opts *opts);

/* Where the program may be. 0, -ENOMEM. */
int skua__plan_paths(struct skua__plan *plan, const char *name);

void skua__plan_fini(struct skua__plan *plan);

/* Our ends. */
void skua__process_close_fds(struct skua_process *process);

#endif
