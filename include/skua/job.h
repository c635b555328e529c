/* skua/job.h: jobs, and what they may call: the side of a worker process.

   A job is a function of the program plus bytes in and bytes out. It runs in a process that was
   forked from a clean image of the program (the zygote), which was made before any thread existed:
   what the program had set up by then, the job sees; what came later it does not. What a job
   changes in memory is seen by later jobs of that worker process only. A job may use what it
   likes of the C library and others, and of Skua the calls of this header and no others.

   Workers have the standard fds of the program and no others, a process group of their own (ctrl-C
   is the program's to handle) and default signal actions, but ignore SIGINT, SIGTERM and SIGHUP.

   All calls here are made by the thread that runs the job, while it runs. What pools are, and how
   jobs get to them, is in skua/pool.h. */
#ifndef SKUA_JOB_H
#define SKUA_JOB_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

/* Read-only bytes. */
typedef struct skua_bytes {
    const void *data;
    size_t bytes;
} skua_bytes;

/* In a job: the job itself, as the calls below know it, and where its answer goes. */
typedef struct skua_reply skua_reply;

/* A job: reads `in`, writes its answer through `reply`, returns >= 0 or an error code. */
typedef int (*skua_job_fn)(skua_bytes in, skua_reply *reply);

typedef struct skua_job {
    const char *name;
    skua_job_fn fn;
    struct skua_job *next; /* this and the following: of skua_job_register() */
    uint64_t name_hash;
    uint32_t number;
    uint32_t object;
} skua_job;

/* Declares and registers the job <function>_job, at file level: SKUA_JOB(unzip); The names of all
   jobs of a program and its libraries differ, or its first pool is refused with -EEXIST. */
#define SKUA_JOB(function)                                                                         \
    static skua_job function##_job = {#function, function, NULL, 0, 0, 0};                         \
    __attribute__((constructor)) static void skua_register_##function(void)                        \
    {                                                                                              \
        skua_job_register(&function##_job);                                                        \
        (void)*(volatile uint32_t *)&function##_job.number; /* so that the call returns here */    \
    }                                                                                              \
    static skua_job function##_job

/* What SKUA_JOB calls, before main or when a library is loaded; *job stays where it is. Jobs of a
   library that was loaded after the zygote was made are found all the same: each worker loads the
   library by its path when it first meets one of its jobs. */
void skua_job_register(skua_job *job);

/* --- the answer --- */

/* Memory for an answer of up to `bytes` bytes, in place, zero copy; a later call replaces the
   earlier one and keeps what was written. NULL: more than the pool's payload_max, or no room; a job
   that then returns >= 0 makes its call return -EMSGSIZE. */
void *skua_job_reserve(skua_reply *reply, size_t bytes);

/* The answer's final size, at most what was reserved (more panics). Without it the answer is
   empty. */
void skua_job_commit(skua_reply *reply, size_t bytes);

/* The input, to be changed in place: the memory is this job's until it returns. */
void *skua_job_input(skua_reply *reply);

/* The answer is the first `bytes` bytes of the input's memory (more than the input had panics):
   what came without a copy goes back without one. Replaces what was reserved. */
void skua_job_commit_input(skua_reply *reply, size_t bytes);

/* Fail with a text: `return skua_job_fail(reply, -EINVAL, "line %d: no number", line);` The caller
   gets `code` (< 0, which is what this returns) and the text as its error's message. Texts are cut
   at 255 bytes, and control characters become '?'. An answer that was committed is delivered as
   well. */
int skua_job_fail(skua_reply *reply, int code, const char *format, ...) SKUA_PRINTF(3, 4)
    SKUA_MUST_CHECK;

/* --- the worker --- */

/* A pointer of this worker process, NULL at first: what the pool's init job prepares, all its later
   jobs find. It is the same for all jobs of the process; one pool never shares a process with
   another. */
void **skua_job_state(skua_reply *reply);

/* The number of the worker in its pool, from 0: no two that are alive have the same. */
uint32_t skua_job_worker(const skua_reply *reply);

/* True once the caller has given up (cancel, deadline): the job is killed when its grace
   (skua_call_opts.grace_ns) is over. One load. */
bool skua_job_stopping(const skua_reply *reply);

/* --- what the caller sees while the job runs --- */

/* A line of log, without its newline, cut at 255 bytes. The pool hands it to skua_pool_opts.log, or
   drops it if there is none; and the last line of a job is part of the message if its worker dies.
   Never waits: under a flood the oldest lines that were not read are lost, and counted. */
void skua_job_log(skua_reply *reply, const char *format, ...) SKUA_PRINTF(2, 3);

/* How far the job is: what skua_pool_progress() tells. Two stores. */
void skua_job_progress(skua_reply *reply, uint64_t done, uint64_t total);

/* --- channels: the program's own, with their other ends here (skua_call_opts.channels) ---

   A call that would have to wait returns -ECANCELED while skua_job_stopping(). An item that was
   taken out of a channel for a job is that job's: if its worker dies before the job has it, it is
   lost with the job. */

/* Send an item of `bytes` bytes on the call's channel number `channel`, waiting while it is full.
   Results that are streamed go this way. Returns 0, -EPIPE (closed, or nobody is left to receive),
   -EMSGSIZE (more than payload_max), -EBADF (the call has no such channel), -ENOMEM, -ECANCELED.
   Whatever it is but 0, the item is not in the channel.
   Cost: one copy; some microseconds, since the program has to answer. */
int skua_job_send(skua_reply *reply, uint32_t channel, skua_bytes item) SKUA_MUST_CHECK;

/* Receive the next item: 1 with *item, which stays until the next receive from any channel or the
   job's end; 0: closed and drained; -EBADF; -ENOMEM (once there is memory, the next receive from
   this channel gets it); -EMSGSIZE (it is larger than payload_max, and is lost); -ECANCELED. Cost:
   as skua_job_send(); no copy if the item is a buffer in this worker's memory, else one. */
int skua_job_receive(skua_reply *reply, uint32_t channel, skua_bytes *item) SKUA_MUST_CHECK;

/* Close the channel, as skua_chan_close() does. Returns 0 or -EBADF. */
int skua_job_close(skua_reply *reply, uint32_t channel) SKUA_MUST_CHECK;

/* --- files --- */

/* The `index`-th of the fds that came with the call (skua_call_opts.fds), or -EBADF; -EMFILE: there
   is no room for them here. The pool closes it when the job has ended; dup() it to keep it. Cost:
   the first one brings all, and asks the program as skua_job_send() does. */
int skua_job_fd(skua_reply *reply, uint32_t index) SKUA_MUST_CHECK;

/* Send an fd with the answer: the caller gets a duplicate (skua_call_opts.reply_fds), unless it has
   given no room for any. At most 8. Returns 0, -EBADF, -EMFILE (too many), or what sendmsg() says.
   */
int skua_job_reply_fd(skua_reply *reply, int fd) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
