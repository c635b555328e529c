/* pool/talk.h: what a job and the program say to each other while the job runs: items of channels,
   fds, lines of log, progress, and the word that it should come to its end.

   A job asks, the program replies: a *question* is a response of its own kind, and its reply comes
   through the mailbox of the shared memory. The worker waits for it, so there is one question at a
   time. The program notes it under the pool's lock; the reactor serves it after that; what has to
   wait for a channel becomes a small task that waits in the job's stead.

       NONE --ask--> ASKED --serve--> SERVED --reply--> NONE
                       |                | |
                       |                | +--must wait--> WAITING --reply--> NONE
                       |                |                    |
                       +----------------+--------------------+--> NONE, at once, when the job
                                            is over (answered, revoked, dead): who was busy with
                                            it finds another serial, and drops what it has */
#ifndef SKUA_POOL_TALK_H
#define SKUA_POOL_TALK_H

#include "base/list.h"
#include "pool/packet.h"
#include "pool/ring.h"

#include <skua/pool.h>
#include <skua/pool_watch.h>

struct skua__after;
struct skua__call;
struct skua__loan;
struct skua__process;
struct skua__talker;
struct skua_reply;

/* skua__response.question. The reply's status is what the job's call returns. */
enum skua__question {
    SKUA__QUESTION_SEND = 1, /* the bytes, as an item, on the channel */
    SKUA__QUESTION_RECEIVE,  /* the channel's next item, which comes with the letter */
    SKUA__QUESTION_CLOSE,    /* the channel */
    SKUA__QUESTION_FDS,      /* the call's fds: a packet on the talk socket, before the letter */
    SKUA__QUESTION_ROOM,     /* the talk socket is full: take out what there is */
};

/* --- the program's side (talk_parent.c, talk_fds.c, talk_log.c, progress.c) ------------------ */

enum skua__talk_state {
    SKUA__TALK_NONE,
    SKUA__TALK_ASKED,   /* in pool->talk.asked */
    SKUA__TALK_SERVED,  /* the reactor looks after it, without the lock */
    SKUA__TALK_WAITING, /* a task of its own does */
};

/* In a process, as `talk`. (L): under the pool's lock. */
struct skua__talk {
    struct skua__link link; /* ASKED */
    uint64_t serial;        /* counts questions, replies, and ends of jobs that have asked */
    enum skua__talk_state state;
    struct skua__call *call; /* who has asked last, until it is over */
    enum skua__question question;
    uint32_t channel;            /* its index */
    struct skua__talker *talker; /* WAITING */
    struct skua__loan *sent;     /* ASKED to send: the item */
    struct skua__loan *received; /* the block that the job reads, until its next receive */
    skua_buf kept;               /* an item taken for the job for which there was no memory */
    bool has_kept;
    struct skua__packet early; /* fds of the running job that were taken out to make room */
    uint32_t kept_channel;
    const skua_job *jobs[SKUA__REQUEST_SLOTS]; /* by ticket: who has written a line of log */
    /* Constant. */
    int socket; /* fds travel here */
    /* Supervisor only. */
    int worker_end; /* until FORKED, else -1 */
};

/* A line that is to be delivered. */
struct skua__talk_line {
    const skua_job *job;
    pid_t pid;
    char text[SKUA__TEXT_BYTES];
};

enum { SKUA__TALK_LINES = 128 };

/* In a pool, as `talk`. */
struct skua__talk_room {
    /* (L) */
    struct skua__list asked;
    uint64_t log_lost;
    uint32_t line_count;
    /* Constant. */
    struct skua__talk_line *lines; /* (L) SKUA__TALK_LINES; NULL if nobody wants them */
    void (*log)(void *arg, const skua_job *job, pid_t pid, const char *line);
    void *log_arg;
};

/* Set up and tear down the pool's part. Without the lock. Returns 0 or -ENOMEM. */
int skua__talk_room_init(struct skua__talk_room *room, const skua_pool_opts *opts);
void skua__talk_room_fini(struct skua__talk_room *room);

/* Make the sockets of a process; talk->worker_end is to be sent with its fork. Without the lock.
   Returns 0 or a negative errno. */
int skua__talk_open(struct skua__talk *talk);
/* The worker has its end. Without the lock. */
void skua__talk_sent(struct skua__talk *talk);
/* The record of the process is about to be freed. Without the lock. */
void skua__talk_close(struct skua__talk *talk);

/* All of the following until it says otherwise: (L). */

/* A request of `call`, with its ticket, was put into the ring of the process. */
void skua__talk_begin(struct skua__process *process, struct skua__call *call);

/* A question was just taken from the ring, and `call` is what the process runs. False: no honest
   worker asks so; kill it. True: the reactor has to look. */
bool skua__talk_ask(struct skua__process *process, struct skua__call *call,
                    const struct skua__response *question, struct skua__after *after)
    SKUA_MUST_CHECK;

/* The answer of `call` was just taken: collect the fds and the last progress that came with it.
   Returns 0, -EMFILE (the program has no room for the fds), or -EPROTO (they did not come). */
int skua__talk_answered(struct skua__process *process, struct skua__call *call,
                        const struct skua__response *answer) SKUA_MUST_CHECK;

/* The process has `call` no more, whatever the reason: answered, revoked, dead, about to be killed.
   Before call->ticket and call->process are cleared. */
void skua__talk_end(struct skua__process *process, struct skua__call *call,
                    struct skua__after *after);

/* The running call's is_stopping was set: tell its job. A question of its that would have to wait
   is replied to with -ECANCELED from now on. To kill it when its grace is over is not done here. */
void skua__talk_stop(struct skua__process *process, struct skua__call *call);

/* Collect new lines of log, if somebody wants them: when the reactor looks, after it has taken the
   answers, and when the process is dead. */
void skua__talk_look(struct skua__process *process);

/* Text of a worker's, with its final 0: control characters become question marks, so that it may be
   printed on a terminal. */
void skua__talk_make_harmless(char *line);

/* The last line that the job wrote, made harmless; false: none. The process is dead. */
bool skua__talk_last_line(const struct skua__process *process, uint64_t ticket,
                          char text[SKUA__TEXT_BYTES]);

/* Serve the questions that were noted, deliver the lines. Reactor, without the lock. True: there
   were any. */
bool skua__talk_serve(skua_pool *pool);
/* The part of it that is in talk_log.c. */
bool skua__talk_deliver(skua_pool *pool);

/* talk_fds.c: take the fds that came with an answer. Returns how many there are in fds[] (NULL:
   nobody wants them), or -EMFILE, -EPROTO. */
int skua__talk_take_fds(struct skua__talk *talk, const struct skua__response *answer, int fds[]);
/* Without the lock, while the worker waits: take all that is in the socket; *early is what is of
   that job. */
void skua__talk_take_early(const struct skua__talk *talk, uint64_t ticket,
                           struct skua__packet *early);
/* Send the fds of talk->call. Returns 0 or a negative errno. */
int skua__talk_send_fds(const struct skua__talk *talk);

/* progress.c: a call has been given to a process, which has `ticket` and `process` of it; has been
   answered; has none any more (harmless after the answer). */
void skua__progress_attach(skua_pool_progress *progress, const struct skua__call *call);
void skua__progress_answered(skua_pool_progress *progress, const struct skua__response *answer);
void skua__progress_detach(skua_pool_progress *progress);

/* --- the worker's side (talk.c) --------------------------------------------------------------- */

/* In a skua_reply, as `talk`. */
struct skua__job_talk {
    bool has_fds; /* it has asked for them */
    int error;    /* of that */
    uint32_t fd_count;
    int fds[SKUA_POOL_FDS_MAX];
};

static inline void skua__job_talk_begin(struct skua__job_talk *talk)
{
    talk->has_fds = false;
    talk->fd_count = 0;
}

/* The job has returned: close its fds. */
void skua__job_talk_end(struct skua__job_talk *talk);

#endif
