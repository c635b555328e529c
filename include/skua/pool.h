/* skua/pool.h: a pool of worker processes for CPU jobs that may crash, hang or be hostile.

   A job is a function of the program plus bytes in and bytes out. Its process is forked from a
   clean image of the program (the zygote) that was made before any thread existed: what the program
   had set up by then, the job sees; what came later it does not. A worker that crashes fails
   exactly the job that it was running, and a fresh one takes its place. When the program ends, in
   whatever way, the zygote and all workers end within moments.

   Workers have the standard fds of the program and no others, a process group of their own (ctrl-C
   is the program's to handle) and default signal actions, but ignore SIGINT, SIGTERM and SIGHUP. */
#ifndef SKUA_POOL_H
#define SKUA_POOL_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

typedef struct skua_pool skua_pool;

/* Read-only bytes. */
typedef struct skua_bytes {
    const void *data;
    size_t bytes;
} skua_bytes;

/* In a job: where its answer goes. See skua_job_reserve(). */
typedef struct skua_reply skua_reply;

/* A job: reads `in`, writes its answer through `reply`, returns >= 0 or an error code. It runs in a
   worker process: what it changes in memory is not seen by the program (but by later jobs of that
   worker), and it may not use Skua but for the calls named skua_job_*. */
typedef int (*skua_job_fn)(skua_bytes in, skua_reply *reply);

typedef struct skua_job {
    const char *name;
    skua_job_fn fn;
    struct skua_job *next; /* this and the following: of skua_job_register() */
    uint64_t name_hash;
    uint32_t number;
} skua_job;

/* Declares and registers the job <function>_job, at file level: SKUA_JOB(unzip); */
#define SKUA_JOB(function)                                                                         \
    static skua_job function##_job = {#function, function, NULL, 0, 0};                            \
    __attribute__((constructor)) static void skua_register_##function(void)                        \
    {                                                                                              \
        skua_job_register(&function##_job);                                                        \
    }                                                                                              \
    static skua_job function##_job

/* What SKUA_JOB calls, before main; *job stays where it is. A program that has registered jobs gets
   its zygote when the first runtime starts, if it has no threads of its own by then. */
void skua_job_register(skua_job *job);

/* Make the zygote now. Needed only by programs that start threads before their first runtime: call
   it at the top of main. Returns 0 (also if it is there already), -EBUSY (the process has several
   threads), -EAGAIN, -ENOMEM, -EMFILE, -ESHUTDOWN (in a forked child).
   Call from: a foreign thread. */
int skua_pool_prepare(void) SKUA_MUST_CHECK;

typedef struct skua_pool_opts {
    uint32_t workers;   /* processes; 0: one per worker of the runtime; at most 1024 */
    size_t payload_max; /* largest input or answer in bytes; 0: 64 MiB. Memory is used as needed */
    size_t memory_max_bytes; /* what a worker may allocate, counted in address space (RLIMIT_AS) on
                                top of what it starts with; 0: no limit */
    const char *name;        /* processes are called so (15 characters); NULL: "skua-pool" */
} skua_pool_opts;

/* Start a pool and wait until its workers are there. *out is written only on success. Returns 0,
   -ENOTSUP (no zygote, or it was killed: see skua_pool_prepare()), -ENOMEM, -EMFILE, -EAGAIN,
   -EINVAL, -EPERM (not in a task), -ECANCELED, -ESHUTDOWN. `opts` may be NULL.
   Call from: a task. May switch. Cost: about a millisecond per worker. */
int skua_pool_create(skua_pool **out, const skua_pool_opts *opts) SKUA_MUST_CHECK;

/* An answer: memory shared with the worker, on loan until skua_buf_release(). The job that wrote it
   has ended, but a hostile worker process could still change the bytes: copy them first if that
   matters. */
typedef struct skua_buf {
    const void *data;
    size_t bytes;
    void *owner;
} skua_buf;

/* Give an answer's memory back; a released or zeroed buf is left alone. Call from anywhere. */
void skua_buf_release(skua_buf *buf);

/* Run the job on `in` in a worker process and wait for its answer. Calls are served first come,
   first served. Returns the job's status with the answer in *out (also when the status is < 0: a
   job may fail and still answer); otherwise *out is empty and the result is
     -EOWNERDEAD  the worker died in this very job, or the zygote died and all workers with it
     -EPROTO      the worker wrote nonsense into the memory it shares with us, and was killed
     -ETIMEDOUT   the deadline passed (a job that had started was killed with its worker)
     -ECANCELED   likewise
     -EMSGSIZE    `in` is larger than payload_max, or the answer would have been
     -ENOENT      the job was not registered when the zygote was made
     -EAGAIN      SKUA_NOW, and no worker is free (else SKUA_NOW sets no limit to the job)
     -ENOMEM      no memory for the answer
     -ESHUTDOWN   the pool is being destroyed, or this is a forked child.
   -EOWNERDEAD and -EPROTO come with a message, as skua_fail() attaches it to the calling task: it
   names the job, the process and the signal or exit code. `in` is not used after the return.
   Call from: a task or a foreign thread. May switch. Cost: one copy of `in`; none of the answer,
   unless the caller holds several answers of the same worker on loan. */
int skua_pool_call(skua_pool *pool, const skua_job *job, skua_bytes in, skua_buf *out,
                   skua_time deadline) SKUA_MUST_CHECK;

/* Stop the workers, wait until they are gone, free everything; NULL is allowed. Calls that wait get
   -ESHUTDOWN; answers on loan must have been released (panics). A pool that was forgotten is
   closed when its runtime ends, and reported when the program does.
   Call from: a task of the pool's runtime. May switch, and is not cancelled. */
void skua_pool_destroy(skua_pool *pool);

/* Process ids of the workers alive now, for display and for tests. Returns how many there are,
   writes at most `count`.
   Call from: a task. */
size_t skua_pool_pids(const skua_pool *pool, pid_t pids[], size_t count);

/* In a job: memory for an answer of up to `bytes` bytes, in place, zero copy; a later call replaces
   the earlier one and keeps what was written. NULL: more than payload_max; a job that then returns
   >= 0 makes the call return -EMSGSIZE. */
void *skua_job_reserve(skua_reply *reply, size_t bytes);

/* In a job: the answer's final size, at most what was reserved (more panics). Without it the answer
   is empty. */
void skua_job_commit(skua_reply *reply, size_t bytes);

SKUA_END_DECLS
#endif
