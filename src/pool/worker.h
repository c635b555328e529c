/* pool/worker.h: the life of a worker process, and what its parts know of each other.

   Everything here is called in a worker process, by its one thread. System calls that it needs once
   it is set up, for who limits them: futex, sched_yield, clock_gettime, write (the bell, standard
   output), madvise, and on the talk socket sendmsg, recvmsg, close. */
#ifndef SKUA_POOL_WORKER_H
#define SKUA_POOL_WORKER_H

#include "base/compiler.h"
#include "pool/arena.h"
#include "pool/heap.h"
#include "pool/ring.h"
#include "pool/settings.h"
#include "pool/talk.h"

#include <skua/job.h>
#include <stddef.h>
#include <sys/types.h>

struct skua__worker_setup {
    const struct skua__settings *settings;
    uint32_t id;
    uint32_t number; /* skua_job_worker() */
    pid_t zygote;
    int memfd;
    int bell;
    int talk; /* socket to the parent, for fds; -1: none */
};

/* The first and last thing that a forked worker does. All signals are blocked on entry. */
SKUA_NORETURN void skua__worker_process(const struct skua__worker_setup *setup);

/* A worker process. */
struct skua__worker {
    struct skua__workring ring;
    struct skua__arena arena;
    struct skua__blocks out;
    bool spare_is_lent;  /* the parent has the spare block */
    bool spare_is_used;  /* the running job has */
    size_t spare_used;   /* so much of it may have been written when it was lent */
    int64_t clock_ns;    /* when the latest job ended, or began if it waited for its request */
    const skua_job *job; /* the latest */
    bool is_confined;    /* in the sandbox, if there is to be one */
    int bell;
    int talk;
    uint32_t number;
    void *state;                           /* skua_job_state() */
    const struct skua__settings *settings; /* NULL in tests: no limits */
    char load_error[SKUA__TEXT_BYTES];     /* of the latest library that could not be loaded */
};

/* Memory for bytes that go to the parent. */
struct skua__piece {
    char *data;
    size_t capacity;
    size_t used;    /* so much of it may have been written */
    uint32_t block; /* if `where` is SKUA__BLOCK */
    uint16_t where; /* SKUA__NOTHING, SKUA__BLOCK or SKUA__SPARE */
};

/* Set up the parts of a worker whose arena is open. Returns 0 or -ENOMEM. */
int skua__worker_init(struct skua__worker *worker, uint32_t cores, uint32_t spinners);
void skua__worker_fini(struct skua__worker *worker); /* the arena stays; for tests */

/* Find memory for `bytes` bytes, at most payload_max, all of which count as used: a block of OUT,
   or the spare one, waiting until the parent has given that back. False: the running job has the
   spare block already. */
bool skua__worker_find(struct skua__worker *worker, size_t bytes, struct skua__piece *piece);

/* The piece is not needed after all. */
void skua__worker_drop(struct skua__worker *worker, struct skua__piece *piece);

/* Say something to the parent, and ring the pool's bell if it wants that. The piece (NULL: none) is
   the parent's from now on; `where` and `block` are filled in from it. */
void skua__worker_say(struct skua__worker *worker, struct skua__response *response,
                      const void *bytes, size_t inline_bytes, struct skua__piece *piece);

/* Ask the parent: a question, and its reply; *bytes: the letter's inline ones, in the mailbox. */
void skua__worker_ask(struct skua__worker *worker, struct skua__response *question,
                      const void *inline_data, size_t inline_bytes, struct skua__piece *piece,
                      struct skua__letter *letter, const char **bytes);

/* A line of log. */
void skua__worker_log(struct skua__worker *worker, const char *line);

/* Take one request, run it and answer. */
void skua__worker_turn(struct skua__worker *worker);

/* The running job, as its calls know it. */
struct skua_reply {
    struct skua__worker *worker;
    struct skua__request request;
    uint64_t ticket;
    char *input;
    struct skua__piece piece; /* where the answer is written, if not to `small` */
    char *area;               /* of the last reserve */
    size_t reserved;          /* by the last call */
    size_t bytes;             /* committed */
    bool is_input;            /* the answer is the input's memory */
    bool is_refused;          /* more than there can be was asked for, and nothing since */
    uint16_t text_bytes;
    uint32_t fd_count; /* sent with the answer: pool/talk.h */
    struct skua__job_talk talk;
    _Alignas(16) char small[SKUA__OUT_INLINE_BYTES];
    char text[SKUA__TEXT_BYTES];
};

/* job_side.c: begin and end a job. */
void skua__reply_begin(struct skua_reply *reply, struct skua__worker *worker,
                       const struct skua__request *request, uint64_t ticket, char *bytes);
/* The answer goes out; `status` is what the job has returned. */
void skua__reply_send(struct skua_reply *reply, int status, int64_t run_ns);

#endif
