/* pool/talk.h: what a job and the program say to each other while the job runs: items of channels,
   fds, lines of log, progress, and the word that it should come to its end.

   A job asks, the program answers: a *question* is a response of another kind, and its answer comes
   through the mailbox of the shared memory. The worker waits for it, so there is one question at a
   time. The reactor notes questions under the lock and serves them after it: what has to wait for a
   channel becomes a small task that waits in the job's stead.

       NONE --question--> ASKED --serve--> SERVED --mail--> NONE
                            |                |  |
                            |                |  +-- must wait --> WAITING --mail--> NONE
                            |                |                       |
                            +---- the job is over (answered, dead, revoked): NONE, at once; what was
                                  under way for it notices by `serial` and drops what it has */
#ifndef SKUA_POOL_TALK_H
#define SKUA_POOL_TALK_H

#include "base/list.h"
#include "base/lock.h"
#include "pool/ring.h"

#include <skua/pool.h>
#include <skua/pool_watch.h>
#include <skua/scope.h>

struct skua__after;
struct skua__call;
struct skua__process;
struct skua__talker;

enum skua__talk_state {
    SKUA__TALK_NONE,
    SKUA__TALK_ASKED,   /* in pool->talk.asked */
    SKUA__TALK_SERVED,  /* somebody looks after it without the lock */
    SKUA__TALK_WAITING, /* likewise, a task that waits for a channel */
};

enum { SKUA__TALK_LINE_BYTES = 256, SKUA__TALK_LINES = 16 };

/* The program's part of the talk with one worker process. (L) */
struct skua__talk {
    struct skua__link link; /* ASKED */
    uint64_t serial;        /* counts questions and their ends */
    enum skua__talk_state state;
    bool stopping; /* the running job was told to come to its end */
    uint32_t log_read;
    int socket;              /* fds travel here; -1: none */
    struct skua__call *call; /* who has asked */
    struct skua__response question;
    struct skua__talker *talker; /* WAITING */
    skua_buf item; /* what the job has received last, until its next receive or its end */
    const skua_job *jobs[SKUA__JOBRING_SLOTS]; /* by ticket, for the lines of log */
};

/* A line that is to be delivered. */
struct skua__talk_line {
    const skua_job *job;
    pid_t pid;
    char text[SKUA__TALK_LINE_BYTES];
};

/* Of a whole pool. (L) but for the constant part. */
struct skua__talk_room {
    struct skua__list asked;
    uint32_t talkers; /* tasks; the pool must not be freed before they are gone */
    uint64_t log_lost;
    /* Constant. */
    void (*log)(void *arg, const skua_job *job, pid_t pid, const char *line);
    void *log_arg;
    /* The reactor's alone. */
    struct skua__talk_line *lines; /* NULL if there is no log */
};

/* Make the socket pair of a process; *worker_end is to be sent with its fork, and then closed.
   Returns 0 or a negative errno. No lock. */
int skua__talk_open(struct skua__talk *talk, int *worker_end);
/* Nobody else knows the process any more. No lock. */
void skua__talk_close(struct skua__talk *talk);

/* All of the following are called under the pool's lock. */

/* The request of `call` has been written to the ring of its process. */
void skua__talk_begin(struct skua__process *process, struct skua__call *call);

/* `question` was taken from the ring, and its ticket is that of `call`, which the process runs.
   False: no honest worker asks so. */
bool skua__talk_ask(struct skua__process *process, struct skua__call *call,
                    const struct skua__response *question) SKUA_MUST_CHECK;

/* The answer of `call` was taken: collect the fds that came with it, and its last progress. Returns
   0, -EMFILE (the program has no room for the fds), or -EPROTO (they did not come). */
int skua__talk_answered(struct skua__process *process, struct skua__call *call,
                        const struct skua__response *answer) SKUA_MUST_CHECK;

/* The process has `call` no more, whatever the reason: answered, revoked, dead, about to be killed.
   Always after skua__talk_begin(), once. */
void skua__talk_end(struct skua__process *process, struct skua__call *call,
                    struct skua__after *after);

/* Tell the running job to come to its end; a question of its that waits is answered by -ECANCELED.
   The kill, when the grace is over, is the caller's. */
void skua__talk_stop(struct skua__process *process, struct skua__call *call,
                     struct skua__after *after);

/* The last line that the job wrote, made harmless, or "". The process is dead. */
const char *skua__talk_last_line(const struct skua__process *process, uint64_t ticket,
                                 char text[SKUA__TALK_LINE_BYTES]);

/* Reactor, at each look: note new lines of log, and how far the running jobs are. */
void skua__talk_look(struct skua__process *process);

/* Reactor, without the lock: serve the questions that were noted, deliver lines. True: there were
   any. */
bool skua__talk_serve(skua_pool *pool);

#endif
