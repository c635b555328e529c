/* pool/packet.h: fds on their way between the program and one of its workers, tagged with the
   ticket of the job that they belong to.

   Each call returns a negative errno instead of setting errno, and never EINTR; they are functions
   of a file of their own, which no compiler looks into (io/call.h says why). */
#ifndef SKUA_POOL_PACKET_H
#define SKUA_POOL_PACKET_H

#include <skua/pool.h>

/* What one packet can carry. */
enum { SKUA__PACKET_FDS = SKUA_POOL_FDS_MAX };

struct skua__packet {
    uint64_t ticket;
    uint32_t count;            /* of fds that came */
    bool cut;                  /* there were more: no room for them here */
    int fds[SKUA__PACKET_FDS]; /* the receiver's to close; close-on-exec */
};

/* Two ends, close-on-exec. Returns 0 or a negative errno. */
int skua__packet_pair(int ends[2]);

/* Send the packet; of `cut` nothing is sent. Never waits. Returns 0, -EAGAIN (there is no room),
   -EPIPE (nobody is there), -EBADF (one of the fds is none), -EMFILE (too many are on their way),
   or what sendmsg says. */
int skua__packet_send(int socket, const struct skua__packet *packet);

/* Receive a packet that is there. Returns 1, 0 (the other end is closed), -EAGAIN (none is there),
   -EPROTO (not a packet of ours; it was thrown away with its fds). */
int skua__packet_receive(int socket, struct skua__packet *packet);

/* Close what has come. */
void skua__packet_close_fds(struct skua__packet *packet);

#endif
