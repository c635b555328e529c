/* pool/message.h: what a pool and the zygote say to each other, one message per packet, with fds.

       pool                                      zygote
        SETUP  settings, bell  ------------------>         once, first; REFUSED of worker 0 if it
                                                           cannot be had
        FORK   ids, numbers, memories ----------->         up to SKUA__MESSAGE_WORKERS at a time
               <------------ FORKED id, pid, pidfd         or REFUSED, for each of them
        KILL   id ------------------------------->
        PLACE  id, place ------------------------>
        NUDGE  ---------------------------------->
               <----------------------------- NUDGE        so that the supervisor looks again
               <---------------- DIED id, status           for each FORKED */
#ifndef SKUA_POOL_MESSAGE_H
#define SKUA_POOL_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum skua__message_kind {
    SKUA__MESSAGE_CONNECT, /* parent, on the master socket: a new pool. Fd: its control socket */
    SKUA__MESSAGE_HELLO,   /* a zygote that was executed, on the master socket: its jobs are
                              `digest`; or why it cannot be one: `value` */
    SKUA__MESSAGE_SETUP,   /* parent: what all workers of the pool share. Fds: the settings (see
                              settings.h), the pool's bell */
    SKUA__MESSAGE_FORK,    /* parent: `count` workers, please, from `id` on. Fds: of each its
                              memory and its talk socket */
    SKUA__MESSAGE_KILL,    /* parent: kill worker `id` */
    SKUA__MESSAGE_PLACE,   /* parent: worker `id` is to run in the pool's place `value` */
    SKUA__MESSAGE_NUDGE,   /* parent: say it back */
    SKUA__MESSAGE_FORKED,  /* zygote: worker `id` is process `pid`. Fd: its pidfd */
    SKUA__MESSAGE_REFUSED, /* zygote: worker `id` could not be made: `value` is a negative errno */
    SKUA__MESSAGE_DIED,    /* zygote: worker `id` is gone: `value` is its wait status */
};

enum { SKUA__MESSAGE_WORKERS = 8, SKUA__MESSAGE_FDS = 2 * SKUA__MESSAGE_WORKERS };

/* flags */
enum {
    SKUA__MESSAGE_OOM = 1, /* DIED: its control group ran out of memory, and it was killed for it */
};

struct skua__message {
    uint32_t kind;
    uint32_t id; /* of a worker, chosen by the parent: from 1 on, never used twice in a pool */
    int32_t pid;
    int32_t value;
    uint32_t count;
    uint32_t flags;
    uint64_t digest;
    uint32_t numbers[SKUA__MESSAGE_WORKERS]; /* FORK: see skua_job_worker() */
};

/* Send the message with the first `fd_count` of fds[], which stop at the first that is < 0. Never
   blocks. Returns 0, -EAGAIN (no room now), -EPIPE (nobody is there any more), or what sendmsg
   says. */
int skua__message_send(int socket, const struct skua__message *message, const int fds[],
                       size_t fd_count);

/* Receive a message; those of fds[SKUA__MESSAGE_FDS] that did not come are -1. Never blocks.
   Returns 1, 0 (the other end is closed), -EAGAIN (none is there), -EPROTO (not a message of ours),
   or what recvmsg says. */
int skua__message_receive(int socket, struct skua__message *message, int fds[]);

#endif
