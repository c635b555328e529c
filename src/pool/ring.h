/* pool/ring.h: the wire between the parent and one worker process.

   It lies at the start of the memory that the two share (pool/arena.h):

     requests   parent -> worker   64 jobs in order; those that have not begun can be revoked
     responses  worker -> parent   answers, in the order of the requests, and questions
     returns    parent -> worker   blocks of the OUT region that the program is done with
     mailbox    parent -> worker   the answer to the worker's one open question
     stop       parent -> worker   the job that is to come to its end
     progress   worker -> parent   how far the running job is
     log        worker -> parent   the latest lines

   Each word is written by one side, but for a request's state, where the worker's claim (TAKEN)
   meets the parent's (REVOKED). A process that dies at any instruction leaves nothing half done
   that the other one needs.

   A ticket is the number of a request to this worker, from 1; its slot follows from it. The
   parent's end is called under the pool's lock, but for skua__jobring_wake() and where it says
   "call from anywhere". It believes nothing: what it reads it reads once, into private memory, and
   checks before use. The worker's end is called by the one thread that runs jobs, and believes the
   parent. */
#ifndef SKUA_POOL_RING_H
#define SKUA_POOL_RING_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "pool/heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Powers of two; checkers compile with less, to reach the edges. */
#ifndef SKUA__REQUEST_SLOTS
#define SKUA__REQUEST_SLOTS 64
#define SKUA__RESPONSE_SLOTS 128 /* more than the requests and a question */
#define SKUA__RETURN_SLOTS 1024
#define SKUA__LOG_SLOTS 16
#define SKUA__TEXT_BYTES 256 /* of a line, or of the text of a failure, with its final 0 */
#endif

enum {
    SKUA__IN_INLINE_BYTES = 192,  /* an input of so many bytes travels in its request */
    SKUA__OUT_INLINE_BYTES = 256, /* likewise an answer, or the text of a failure, or an item */
    /* Blocks of OUT that an honest worker has out at most: they all fit into the returns, together
       with the spare block. */
    SKUA__LENT_MAX = SKUA__RETURN_SLOTS - 1,
};

/* In the returns: the spare block. */
#define SKUA__SPARE_BLOCK (UINT32_MAX - 1)

/* Where bytes are. */
enum skua__where {
    SKUA__NOTHING, /* there are none */
    SKUA__INLINE,  /* in the message itself */
    SKUA__BLOCK,   /* in that block: of IN if the parent speaks, of OUT if the worker does */
    SKUA__INPUT,   /* response: in the input's block (of IN) */
    SKUA__SPARE,   /* response: in the spare block; to be copied and returned at once */
};

enum skua__request_kind {
    SKUA__REQUEST_RUN,  /* a job; the first one shuts the worker into its sandbox */
    SKUA__REQUEST_INIT, /* the pool's init job, before all others */
    SKUA__REQUEST_LOAD, /* the input is what skua__job_load() wants (pool/job.h); it answers */
};

/* What is asked of the worker. The fields up to `in_where` are the same for every kind. */
struct skua__request {
    uint64_t job_hash;
    uint64_t in_bytes;
    uint32_t in_block; /* if in_where is SKUA__BLOCK */
    uint32_t job_number;
    uint16_t kind;
    uint16_t in_where; /* SKUA__NOTHING, SKUA__INLINE or SKUA__BLOCK */
    uint16_t channel_count;
    uint16_t fd_count;   /* they come on the talk socket before the request does */
    uint32_t in_is_lent; /* the block belongs to a buffer of the program, which has it trimmed */
};

enum skua__response_kind {
    SKUA__RESPONSE_ANSWER = 1, /* the job has ended */
    SKUA__RESPONSE_QUESTION,   /* it asks something; the reply comes by the mailbox */
};

/* What the worker says. */
struct skua__response {
    uint64_t ticket;
    uint64_t bytes;
    int64_t run_ns; /* answer: how long the job has run, as the worker says */
    int32_t status; /* answer: the job's result */
    uint32_t block; /* if `where` is SKUA__BLOCK */
    uint16_t kind;
    uint16_t where;
    uint16_t text_bytes; /* answer: the inline bytes are so much of a text, without a final 0; then
                            `where` is not SKUA__INLINE */
    uint16_t question;   /* question: what is asked, in the words of pool/talk.h */
    uint32_t channel;    /* question: of which channel; anything */
    uint32_t fd_count;   /* answer: so many fds came before on the talk socket; anything */
    uint64_t done;       /* this and the next: answer: the job's last progress; anything */
    uint64_t total;
};

/* The reply to a question. The inline bytes of the latest letter that had any stay in the mailbox.
   */
struct skua__letter {
    uint64_t bytes;
    uint32_t block; /* of IN; the parent takes it back at the next receive, or the job's end */
    int32_t status;
    uint16_t where; /* SKUA__NOTHING, SKUA__INLINE or SKUA__BLOCK */
};

enum skua__request_state {
    SKUA__REQUEST_QUEUED = 1, /* written before the request is published */
    SKUA__REQUEST_TAKEN,      /* by the worker's compare-and-swap: the job begins */
    SKUA__REQUEST_REVOKED,    /* by the parent's: the worker passes over it */
};

struct skua__request_slot {
    SKUA_CACHE_ALIGNED _Atomic uint32_t state;
    struct skua__request request;
    SKUA_CACHE_ALIGNED char bytes[SKUA__IN_INLINE_BYTES];
};

struct skua__response_slot {
    SKUA_CACHE_ALIGNED struct skua__response response;
    SKUA_CACHE_ALIGNED char bytes[SKUA__OUT_INLINE_BYTES];
};

/* Words, since it may be read while it is overwritten. */
struct skua__log_slot {
    _Atomic uint64_t ticket;
    _Atomic uint64_t text[SKUA__TEXT_BYTES / sizeof(uint64_t)];
};

/* The layout of the shared memory. */
struct skua__shared {
    /* Written by the parent. */
    SKUA_CACHE_ALIGNED _Atomic uint32_t request_write; /* the latest ticket */
    _Atomic uint32_t bell;                             /* the worker sleeps on this word */
    _Atomic uint32_t parent_sleeps; /* not 0: say it on the pool's bell, once for each value */
    _Atomic uint32_t parent_cpu;    /* where the parent waits for answers, plus one; 0: anywhere */
    SKUA_CACHE_ALIGNED _Atomic uint32_t return_write;
    _Atomic uint32_t letter_write;
    _Atomic uint64_t stop;
    /* Written by the worker. */
    SKUA_CACHE_ALIGNED _Atomic uint32_t
        request_read; /* the latest ticket that is taken or passed */
    _Atomic uint32_t response_write;
    _Atomic uint32_t worker_sleeps; /* see skua__sleep_word() */
    _Atomic uint32_t worker_cpu;    /* where it took its latest request, plus one */
    SKUA_CACHE_ALIGNED _Atomic uint64_t progress_ticket;
    _Atomic uint64_t progress_done;
    _Atomic uint64_t progress_total;
    _Atomic uint32_t log_write;
    _Atomic uint32_t sandbox_note; /* of skua__sandbox_enter() (pool/limits.h) */
    /* Written as the state, or the index, of the slot says. */
    struct skua__request_slot requests[SKUA__REQUEST_SLOTS];
    struct skua__response_slot responses[SKUA__RESPONSE_SLOTS];
    SKUA_CACHE_ALIGNED _Atomic uint32_t returns[SKUA__RETURN_SLOTS];
    SKUA_CACHE_ALIGNED struct skua__letter letter;
    SKUA_CACHE_ALIGNED char letter_bytes[SKUA__OUT_INLINE_BYTES];
    struct skua__log_slot log[SKUA__LOG_SLOTS];
};

/* What the worker waits for. A bell for one thing is no reason to wake it for another. */
enum skua__sleep {
    SKUA__SLEEPS_NOT,
    SKUA__SLEEPS_FOR_REQUEST,
    SKUA__SLEEPS_FOR_RETURN,
    SKUA__SLEEPS_FOR_LETTER,
};

/* worker_sleeps: for what, and at which bell; a bell that has been moved on need not be moved
   again. */
static inline uint32_t skua__sleep_word(uint32_t bell, enum skua__sleep sleep)
{
    return bell << 2 | (uint32_t)sleep;
}

/* --- the parent's end ------------------------------------------------------------------------- */

/* What the parent remembers of a slot. */
struct skua__sent {
    void *owner; /* the caller's */
    uint64_t in_bytes;
    uint32_t in_block; /* SKUA__NO_BLOCK: none */
    bool is_revoked;
};

/* Private memory: the worker can write to all of `shared`. */
struct skua__jobring {
    struct skua__shared *shared;
    uint64_t payload_max;
    uint64_t region_bytes; /* of OUT, likewise IN */
    uint32_t bell;
    uint64_t last;          /* the latest ticket that was put */
    uint64_t published;     /* the latest that the worker can see */
    uint64_t passed;        /* all tickets up to this one are over, and their slots are free */
    uint32_t live;          /* requests neither answered nor revoked */
    uint32_t lent;          /* blocks of OUT that came with a response and were not given back */
    uint32_t response_read; /* responses taken */
    uint32_t return_write;  /* blocks given back */
    uint32_t letter_write;  /* questions replied to */
    uint32_t log_read;      /* lines taken or lost */
    bool has_question;      /* a question was taken and has no reply yet */
    bool spare_is_lent;     /* a response in the spare block was taken, and not given back */
    struct skua__sent sent[SKUA__REQUEST_SLOTS];
};

/* The memory is zeroed and nobody else has it yet. */
void skua__jobring_init(struct skua__jobring *ring, struct skua__shared *shared,
                        size_t region_bytes, size_t payload_max);

/* How many requests can be put now. */
uint32_t skua__jobring_room(struct skua__jobring *ring);

/* Requests that were neither answered nor revoked: the running one and those before it. */
static inline uint32_t skua__jobring_live(const struct skua__jobring *ring)
{
    return ring->live;
}

/* Put a request into the ring; there must be room. `bytes` is the inline input: in_bytes bytes if
   in_where is SKUA__INLINE. Returns its ticket. The worker sees it after the next publish. */
uint64_t skua__jobring_put(struct skua__jobring *ring, const struct skua__request *request,
                           const void *bytes, void *owner);

/* Show the worker all that was put. True: it sleeps, and skua__jobring_wake() must follow, best
   after the unlock; once for any number of publishes, returns and letters to this worker. */
bool skua__jobring_publish(struct skua__jobring *ring);

/* Wake the worker. Uses only the address: the memory may be unmapped by now. Call from anywhere. */
void skua__jobring_wake(struct skua__shared *shared);

/* The oldest and the newest live request; 0: none. The oldest is the one that runs, if any. */
uint64_t skua__jobring_oldest(const struct skua__jobring *ring);
uint64_t skua__jobring_newest(const struct skua__jobring *ring);
/* The live request after (before) that one; 0: none. */
uint64_t skua__jobring_next(const struct skua__jobring *ring, uint64_t ticket);
uint64_t skua__jobring_previous(const struct skua__jobring *ring, uint64_t ticket);

/* What was put with that ticket, which is live. */
static inline struct skua__sent *skua__jobring_sent(struct skua__jobring *ring, uint64_t ticket)
{
    return &ring->sent[ticket % SKUA__REQUEST_SLOTS];
}

/* Has that live request begun, as far as one can see? */
bool skua__jobring_has_begun(const struct skua__jobring *ring, uint64_t ticket);

/* Take a live request back. True: it has not begun and never will, it is not live any more and no
   answer comes; its input is the caller's again. False: it has begun. Of a dead worker, when all
   responses were taken, it tells which jobs had begun. */
bool skua__jobring_revoke(struct skua__jobring *ring, uint64_t ticket);

/* Take one response into private memory. Returns 1, 0 (none is there), or -EPROTO: an honest worker
   cannot have written this; kill it, and take nothing more.
   After 1: the ticket is that of the oldest live request; for an answer it is over now (its
   skua__sent stays until the next put). kind, where, text_bytes are valid, `bytes` is at most
   payload_max and fits into where it is said to be, `block` is inside OUT; a block may be one that
   is out already: then this worker shares an answer with itself. run_ns is between 0 and a day.
   All other fields are as the worker wrote them. */
int skua__jobring_take(struct skua__jobring *ring, struct skua__response *response);

/* The inline bytes of the response just taken, SKUA__OUT_INLINE_BYTES of them: to be copied now. */
const char *skua__jobring_bytes(const struct skua__jobring *ring);

/* Give a block of OUT, or SKUA__SPARE_BLOCK, back to the worker. True: wake it. */
bool skua__jobring_give_back(struct skua__jobring *ring, uint32_t block);

/* Reply to the open question. `bytes`: the inline ones. True: wake it. */
bool skua__jobring_reply(struct skua__jobring *ring, const struct skua__letter *letter,
                         const void *bytes);

/* The job with that ticket is to come to its end. Call from anywhere. */
void skua__jobring_stop(struct skua__shared *shared, uint64_t ticket);

/* From now on the worker announces what it says on the pool's bell, once for each value of `sleep`;
   0: need not. After turning it on, the parent looks into the ring once more before it sleeps. */
void skua__jobring_set_sleeps(struct skua__jobring *ring, uint32_t sleep);

/* The parent waits for answers on that processor. A worker that runs on the same one does not keep
   it from that by spinning. */
void skua__jobring_set_cpu(struct skua__jobring *ring, uint32_t cpu);

/* The worker has taken its latest request on that processor: to spin there is to keep it from its
   work. */
bool skua__jobring_is_on(const struct skua__jobring *ring, uint32_t cpu);

/* Orders set_sleeps() before that last look. Once for any number of rings. */
void skua__jobring_fence(void);

/* What the job with that ticket has said of its progress. False: nothing. Call from anywhere. */
bool skua__jobring_progress(const struct skua__shared *shared, uint64_t ticket, uint64_t *done,
                            uint64_t *total);

/* Take one line of log, with its final 0, and the ticket of who has written it (unchecked). Returns
   1 or 0 (none is there); *lost grows by the lines that came too fast. */
int skua__jobring_take_log(struct skua__jobring *ring, char text[SKUA__TEXT_BYTES],
                           uint64_t *ticket, uint64_t *lost);

/* Of a dead worker: the latest line of that job, taken or not. False: none. */
bool skua__jobring_last_log(const struct skua__jobring *ring, uint64_t ticket,
                            char text[SKUA__TEXT_BYTES]);

/* --- the worker's end ------------------------------------------------------------------------- */

/* Private to the worker process. */
struct skua__workring {
    struct skua__shared *shared;
    uint64_t ticket;         /* of the latest request taken or passed */
    uint32_t response_write; /* responses sent */
    uint32_t return_read;    /* returns taken */
    uint32_t letter_read;    /* replies taken */
    uint32_t log_write;
    uint64_t done, total; /* what this job has said of its progress */
    uint32_t rung_for;    /* the latest value of parent_sleeps that the bell was rung for */
    int64_t spin_ns;      /* how long the next wait looks before it sleeps */
    int64_t spin_max_ns;  /* constant; 0: never spin */
    bool yields;          /* constant: others need the processor, let them run between looks */
    bool has_waited;      /* the last receive found nothing at first */
    bool has_progress;    /* this job has said how far it is */
};

/* `cores`: that this process may use. `spinners`: how many threads and processes are likely to spin
   there at a time; 0: few. */
void skua__workring_init(struct skua__workring *ring, struct skua__shared *shared, uint32_t cores,
                         uint32_t spinners);

/* Wait for the next request that is not revoked, and take it. *bytes is the inline input, in the
   slot, which is the job's until its answer. Returns its ticket. */
uint64_t skua__workring_receive(struct skua__workring *ring, struct skua__request *request,
                                char **bytes);

/* Send a response with that many inline bytes; its ticket and progress are filled in. True: ring
   the pool's bell. */
bool skua__workring_respond(struct skua__workring *ring, struct skua__response *response,
                            const void *bytes, size_t inline_bytes);

/* Wait for the reply to the question that was sent, at its inline bytes. */
void skua__workring_wait_letter(struct skua__workring *ring, struct skua__letter *letter,
                                const char **bytes);

/* The next block that came back; SKUA__NO_BLOCK: none is there. */
uint32_t skua__workring_take_return(struct skua__workring *ring);

/* Wait until one is there. */
void skua__workring_wait_return(struct skua__workring *ring);

/* Is the running job to come to its end? */
bool skua__workring_stops(const struct skua__workring *ring);

void skua__workring_progress(struct skua__workring *ring, uint64_t done, uint64_t total);

/* True: ring the pool's bell. */
bool skua__workring_log(struct skua__workring *ring, const char *text, size_t bytes);

#endif
