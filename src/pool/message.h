/* pool/message.h: what a pool and the zygote say to each other, one message per packet, with fds.
   */
#ifndef SKUA_POOL_MESSAGE_H
#define SKUA_POOL_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum skua__message_kind {
    SKUA__MESSAGE_CONNECT, /* parent, on the master socket: a new pool. Fd: its control socket */
    SKUA__MESSAGE_FORK,    /* parent: a worker, please. Fds: its memory, the pool's bell */
    SKUA__MESSAGE_KILL,    /* parent: kill worker `id` */
    SKUA__MESSAGE_FORKED,  /* zygote: worker `id` is process `pid`. Fd: its pidfd */
    SKUA__MESSAGE_REFUSED, /* zygote: worker `id` could not be made: `value` is a negative errno */
    SKUA__MESSAGE_DIED,    /* zygote: worker `id` is gone: `value` is its wait status */
};

enum { SKUA__MESSAGE_FDS = 2, SKUA__PROCESS_NAME_BYTES = 16 };

struct skua__message {
    uint32_t kind;
    uint32_t id; /* chosen by the parent, never used twice in a pool */
    int32_t pid;
    int32_t value;
    uint64_t payload_max;
    uint64_t memory_max_bytes;
    char name[SKUA__PROCESS_NAME_BYTES];
};

/* Send the message with those of fds[0..SKUA__MESSAGE_FDS) that are >= 0 (`fds` may be NULL). Never
   blocks. Returns 0, -EAGAIN (no room now), -EPIPE (nobody is there any more), or what sendmsg
   says. */
int skua__message_send(int socket, const struct skua__message *message, const int fds[]);

/* Receive a message; fds that did not come are -1. Never blocks. Returns 1, 0 (the other end is
   closed), -EAGAIN (none is there), -EPROTO (not a message of ours), or what recvmsg says. */
int skua__message_receive(int socket, struct skua__message *message, int fds[]);

#endif
