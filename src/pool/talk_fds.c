/* Fds of jobs, the program's side of the talk sockets.

   Invariants
   (F1) A call's fds are duplicated under the lock while its job has the process, and only when the
        job asks: afterwards the caller may close them and reuse their numbers.
   (F2) What comes is taken with the answer that it came with, or before, to make room; whatever
        else lies in the socket is of jobs that are over, and is closed. A worker can have as many
        fds of ours open as its socket holds, and only until it dies.

   Who runs it: whoever has the lock, but where talk.h says otherwise. */
#include "pool/packet.h"
#include "pool/state.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    STALE_MAX = 64,     /* packets that one answer throws away at most */
    PACKETS_MAX = 4096, /* more than a socket holds */
};

int skua__talk_open(struct skua__talk *talk)
{
    int ends[2];
    int error = skua__packet_pair(ends);
    if (error == 0) {
        talk->socket = ends[0];
        talk->worker_end = ends[1];
    }
    return error;
}

static void close_end(int *end)
{
    if (*end >= 0) {
        close(*end);
        *end = -1;
    }
}

void skua__talk_sent(struct skua__talk *talk)
{
    close_end(&talk->worker_end);
}

void skua__talk_close(struct skua__talk *talk)
{
    close_end(&talk->worker_end);
    close_end(&talk->socket);
}

/* One of the fds that are in a packet, which is closed; false: there was none. */
static bool take_one(struct skua__packet *packet, int *fd)
{
    if (packet->count == 0) {
        return false;
    }
    *fd = packet->fds[0];
    packet->fds[0] = packet->fds[--packet->count];
    skua__packet_close_fds(packet); /* an honest worker sends one at a time */
    return true;
}

/* The next packet of that job; those of jobs whose answers nobody wanted are thrown away. False:
   there is none, whatever the worker has said. */
static bool next_packet(struct skua__talk *talk, uint64_t ticket, struct skua__packet *packet)
{
    for (int i = 0; i < STALE_MAX; i++) {
        if (skua__packet_receive(talk->socket, packet) != 1) {
            return false;
        }
        if (packet->ticket == ticket) {
            return true;
        }
        skua__packet_close_fds(packet);
    }
    return false;
}

/* As many as the answer says it came with, each in a packet. */
int skua__talk_take_fds(struct skua__talk *talk, const struct skua__response *answer, int fds[])
{
    struct skua__packet all = talk->early;
    int error = answer->fd_count > SKUA_POOL_FDS_MAX ? -EPROTO : all.cut ? -EMFILE : 0;
    talk->early = (struct skua__packet){.count = 0};
    while (all.count < answer->fd_count && error == 0) {
        struct skua__packet packet;
        if (!next_packet(talk, answer->ticket, &packet)) {
            error = -EPROTO;
        } else if (take_one(&packet, &all.fds[all.count])) {
            all.count++;
        } else {
            error = packet.cut ? -EMFILE : -EPROTO;
        }
    }
    if (error < 0 || fds == NULL) {
        skua__packet_close_fds(&all);
        return error;
    }
    memcpy(fds, all.fds, all.count * sizeof(int));
    return (int)all.count;
}

void skua__talk_take_early(const struct skua__talk *talk, uint64_t ticket,
                           struct skua__packet *early)
{
    struct skua__packet packet;
    *early = (struct skua__packet){.count = 0};
    for (int i = 0; i < PACKETS_MAX && skua__packet_receive(talk->socket, &packet) == 1; i++) {
        const bool is_of_job = packet.ticket == ticket;
        early->cut |= is_of_job && packet.cut;
        if (is_of_job && early->count < SKUA_POOL_FDS_MAX &&
            take_one(&packet, &early->fds[early->count])) {
            early->count++;
        }
        skua__packet_close_fds(&packet);
    }
}

int skua__talk_send_fds(const struct skua__talk *talk)
{
    const struct skua__call *call = talk->call;
    struct skua__packet packet = {.ticket = call->ticket, .count = call->opts->fd_count};
    memcpy(packet.fds, call->opts->fds, packet.count * sizeof(int));
    return skua__packet_send(talk->socket, &packet);
}
