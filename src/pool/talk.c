/* What a job asks the program: its side, in the worker process.

   Every question waits for its reply, so a job has at most one under way, and a job that asks
   nothing pays nothing: neither its channels nor its fds cost a word on the wire before it asks.

   Fds come when they are first asked for, not with the request: a job that is prefetched, and then
   taken back or lost with its worker, leaves none behind. They are closed when the job ends.

   The program replies when it can; a job waits without a deadline. If its caller gives up, the
   reply is -ECANCELED, or the process is killed while it waits.

   Who runs it: the thread of the worker process that runs the job. */
#include "pool/talk.h"
#include "base/compiler.h"
#include "base/panic.h"
#include "pool/packet.h"
#include "pool/worker.h"

#include <errno.h>
#include <string.h>

static bool has_channel(const skua_reply *reply, uint32_t channel)
{
    return channel < reply->request.channel_count;
}

/* Ask about a channel. Returns the reply's status. */
static int ask(skua_reply *reply, enum skua__question what, uint32_t channel)
{
    struct skua__response question = {.question = (uint16_t)what, .channel = channel};
    struct skua__letter letter;
    const char *bytes;
    skua__worker_ask(reply->worker, &question, NULL, 0, NULL, &letter, &bytes);
    return letter.status;
}

int skua_job_send(skua_reply *reply, uint32_t channel, skua_bytes item)
{
    struct skua__worker *worker = reply->worker;
    if (!has_channel(reply, channel)) {
        return -EBADF;
    }
    struct skua__response question = {
        .question = SKUA__QUESTION_SEND, .channel = channel, .bytes = item.bytes};
    struct skua__letter letter;
    const char *bytes;
    if (item.bytes <= SKUA__OUT_INLINE_BYTES) {
        question.where = item.bytes > 0 ? SKUA__INLINE : SKUA__NOTHING;
        skua__worker_ask(worker, &question, item.data, item.bytes, NULL, &letter, &bytes);
        return letter.status;
    }
    if (item.bytes > worker->arena.payload_max) {
        return -EMSGSIZE;
    }
    struct skua__piece piece;
    if (!skua__worker_find(worker, item.bytes, &piece)) {
        return -ENOMEM;
    }
    memcpy(piece.data, item.data, item.bytes);
    skua__worker_ask(worker, &question, NULL, 0, &piece, &letter, &bytes);
    return letter.status;
}

int skua_job_receive(skua_reply *reply, uint32_t channel, skua_bytes *item)
{
    if (!has_channel(reply, channel)) {
        return -EBADF;
    }
    struct skua__response question = {.question = SKUA__QUESTION_RECEIVE, .channel = channel};
    struct skua__letter letter;
    const char *bytes;
    skua__worker_ask(reply->worker, &question, NULL, 0, NULL, &letter, &bytes);
    if (letter.status == 1) {
        /* Inline bytes stay in the mailbox until others come, which only a receive brings. */
        item->data = letter.where == SKUA__BLOCK
                         ? skua__arena_in(&reply->worker->arena, letter.block)
                         : bytes;
        item->bytes = letter.bytes;
    }
    return letter.status;
}

int skua_job_close(skua_reply *reply, uint32_t channel)
{
    return has_channel(reply, channel) ? ask(reply, SKUA__QUESTION_CLOSE, channel) : -EBADF;
}

/* The packet for this job; what others have left is thrown away. Returns 0 or -EMFILE. */
static int take_fds(skua_reply *reply)
{
    struct skua__job_talk *talk = &reply->talk;
    struct skua__packet packet;
    while (skua__packet_receive(reply->worker->talk, &packet) == 1) {
        if (packet.ticket == reply->ticket && packet.count == reply->request.fd_count) {
            memcpy(talk->fds, packet.fds, sizeof talk->fds);
            talk->fd_count = packet.count;
            return 0;
        }
        skua__packet_close_fds(&packet);
    }
    return -EMFILE; /* there was no room for all of them */
}

int skua_job_fd(skua_reply *reply, uint32_t index)
{
    struct skua__job_talk *talk = &reply->talk;
    if (index >= reply->request.fd_count) {
        return -EBADF;
    }
    if (!talk->has_fds) {
        talk->has_fds = true;
        talk->error = ask(reply, SKUA__QUESTION_FDS, 0);
        talk->error = talk->error < 0 ? talk->error : take_fds(reply);
    }
    return talk->error < 0 ? talk->error : talk->fds[index];
}

void skua__job_talk_end(struct skua__job_talk *talk)
{
    struct skua__packet packet = {.count = talk->fd_count};
    memcpy(packet.fds, talk->fds, talk->fd_count * sizeof(int));
    skua__packet_close_fds(&packet);
    talk->fd_count = 0;
}

int skua_job_reply_fd(skua_reply *reply, int fd)
{
    if (reply->fd_count == SKUA_POOL_FDS_MAX) {
        return -EMFILE;
    }
    const struct skua__packet packet = {.ticket = reply->ticket, .count = 1, .fds = {fd}};
    int error = skua__packet_send(reply->worker->talk, &packet);
    if (error == -EAGAIN) {
        /* The program reads the packets of a job when it takes its answer: it has many to take. */
        error = ask(reply, SKUA__QUESTION_ROOM, 0);
        error = error < 0 ? error : skua__packet_send(reply->worker->talk, &packet);
    }
    reply->fd_count += error == 0;
    return error;
}
