/* skua/pool.h: a pool of worker processes for CPU jobs that may crash, hang or be hostile.

   A worker that crashes fails exactly the job that it was running, with an error that says what
   happened, and a spare one takes its place at once. A job whose deadline passes or whose caller is
   cancelled is killed with its worker. When the program ends, in whatever way, all workers end
   within moments. Payloads lie in memory that the program shares with one worker and with nobody
   else: nothing that a worker writes there makes the program read or write anywhere else.

   How jobs are written is in skua/job.h. Under mpirun the same calls use other machines as well:
   skua/cluster.h. */
#ifndef SKUA_POOL_H
#define SKUA_POOL_H

#include <skua/job.h>
#include <skua/task.h>

SKUA_BEGIN_DECLS

typedef struct skua_pool skua_pool;
struct skua_chan; /* skua/chan.h */

/* Make the zygote now, by a fork. A program that has registered jobs gets it when its first runtime
   starts; a program that starts threads before that calls this at the top of main, or gets a zygote
   that is the program executed anew: its constructors have run and main has not, so that what main
   had set up is missing there. Returns 0 (also if it is there already), -EBUSY (the process has
   several threads), -EAGAIN, -ENOMEM, -EMFILE, -ESHUTDOWN (in a forked child).
   Call from: a foreign thread. Cost: that of a fork, which copies the page tables of all memory in
   use by then, as does each fork of a worker: call it before the program takes gigabytes. */
int skua_pool_prepare(void) SKUA_MUST_CHECK;

/* What each worker process may use; zero: no limit. A job that meets one fails alone, and its error
   names the limit where the kernel tells which it was. */
typedef struct skua_pool_limits {
    size_t address_bytes;   /* address space on top of what it starts with: allocations fail */
    size_t memory_bytes;    /* memory in use, by a control group: over it the worker is killed */
    uint32_t processes;     /* threads and processes, by a control group */
    int64_t cpu_ns;         /* processor time of one job, rounded up to seconds: over it, killed */
    size_t file_bytes;      /* largest file that it may write */
    uint32_t fds;           /* open at a time */
    bool no_new_privileges; /* set-user-ID programs and file capabilities have no effect */
    bool sandbox; /* seccomp: memory, clocks, and the fds that it has; anything else kills it */
} skua_pool_limits;

/* Where workers run. */
typedef enum skua_pool_binding {
    SKUA_POOL_UNBOUND, /* where the kernel likes */
    SKUA_POOL_CORES,   /* each on one core, round robin */
    SKUA_POOL_NODES,   /* each on the cores of one NUMA node, with memory from there */
} skua_pool_binding;

typedef struct skua_pool_opts {
    const char *name;   /* processes are called so (15 characters); NULL: "skua-pool" */
    uint32_t workers;   /* processes; 0: one per worker of the runtime; at most 1024 */
    size_t payload_max; /* largest input or answer in bytes; 0: 64 MiB; at most 64 GiB. Memory is
                           used as needed */
    uint32_t queue_max; /* submitted jobs that have no answer yet; 0: 1,048,576. More: -EAGAIN */
    uint64_t jobs_per_worker_max; /* a worker is replaced after so many; 0: never */
    const skua_job *init; /* runs in each worker before its first job, on init_in; NULL: none. If it
                             fails, so does the create; later the worker is tried again */
    skua_bytes init_in;   /* copied */
    int nice;             /* added to the program's */
    skua_pool_binding binding;
    skua_pool_limits limits;
    /* Gets the lines of skua_job_log(), in a task of the pool; must not block. NULL: dropped. */
    void (*log)(void *arg, const skua_job *job, pid_t pid, const char *line);
    void *log_arg;
    bool local; /* also under mpirun only processes of this machine */
} skua_pool_opts;

/* Start a pool and wait until its workers are there. *out is written only on success. Returns 0,
   -ENOTSUP (no zygote can be made, or a limit cannot be enforced here; the message says which),
   -EEXIST (two jobs have one name), -ENOMEM, -EMFILE, -EAGAIN, -EFBIG (RLIMIT_FSIZE), -EINVAL, what
   the init job returned, -EPERM (not in a task), -ECANCELED, -ESHUTDOWN. `opts` may be NULL.
   Call from: a task. May switch. Cost: some 0.2 ms per worker, however large the program is. */
int skua_pool_create(skua_pool **out, const skua_pool_opts *opts) SKUA_MUST_CHECK;

/* Stop the workers, wait until they are gone, free everything; NULL is allowed. Calls that wait and
   jobs that were submitted get -ESHUTDOWN; buffers on loan must have been released (panics). A pool
   that was forgotten is closed when its runtime ends, and reported when the program does.
   Call from: a task of the pool's runtime. May switch, and is not cancelled. */
void skua_pool_destroy(skua_pool *pool);

/* Refuse new jobs with -ESHUTDOWN and wait until all that were accepted have ended. Returns 0,
   -ETIMEDOUT, -EAGAIN (SKUA_NOW), -ECANCELED: the pool stays closed to new jobs in any case, and
   what still runs goes on until the destroy.
   Call from: a task or a foreign thread. May switch. */
int skua_pool_drain(skua_pool *pool, skua_time deadline) SKUA_MUST_CHECK;

/* From now on there are to be so many workers (1 to 1024). Those that are too many end after their
   present job; those that are missing are started. Returns 0 at once, or -EINVAL, -ESHUTDOWN.
   Call from: a task or a foreign thread. Never switches. */
int skua_pool_resize(skua_pool *pool, uint32_t workers) SKUA_MUST_CHECK;

/* --- payloads --- */

/* Memory shared with a worker: a buffer of skua_pool_alloc(), or an answer on loan. The worker
   process that it is shared with could still change the bytes if it is hostile: copy them first if
   that matters. Release it, or give it to a call. */
typedef struct skua_buf {
    void *data;
    size_t bytes;
    void *owner;
} skua_buf;

/* A buffer for an input, to be filled in place and given to a call in skua_call_opts.in_buf: no
   copy is made if the worker that it is shared with takes the job. Waits while the memory of all
   workers is in use. Returns 0, -EMSGSIZE (more than payload_max), -ETIMEDOUT, -EAGAIN (SKUA_NOW),
   -ECANCELED, -ENOMEM, -ESHUTDOWN. Of 0 bytes it is empty, and needs no release.
   Call from: a task or a foreign thread. May switch. Cost: O(1); pages are touched by who writes
   them first. */
int skua_pool_alloc(skua_pool *pool, skua_buf *out, size_t bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* Give the memory back; a released or zeroed buf is left alone. Call from anywhere. */
void skua_buf_release(skua_buf *buf);

/* --- jobs --- */

enum { SKUA_POOL_CHANNELS_MAX = 8, SKUA_POOL_FDS_MAX = 8 };

/* How to run a job; zero everywhere is the default. The arrays are used until the job has ended. */
typedef struct skua_call_opts {
    int priority;      /* -4 to 3: a higher one is begun first */
    uint32_t attempts; /* > 1: the job may be begun again when its worker dies in it, so often in
                          all. For jobs that do no harm twice; of an in_buf it sees what the one
                          that died has made of it */
    int64_t grace_ns; /* after a cancel or the deadline: how long skua_job_stopping() says so before
                          the worker is killed */
    skua_buf *in_buf; /* the input is this buffer, and the pool's from now on; `in` is ignored */
    const int *fds;   /* duplicates of these go with the job; they stay open until it has ended */
    uint32_t fd_count;
    int *reply_fds; /* room for SKUA_POOL_FDS_MAX: what the job sends back, the caller's to close */
    uint32_t *reply_fd_count;          /* how many; written whenever reply_fds is given */
    struct skua_chan *const *channels; /* of skua_buf items: see skua_job_send() */
    uint32_t channel_count;
    struct skua_pool_progress *progress;
    struct skua_group *group; /* submit: the task is to be a member of this group */
    const char *name;         /* submit: the task's; copied. NULL: the job's */
} skua_call_opts;

/* Run the job on `in` in a worker process and wait for its answer. Jobs of one priority are begun
   first come, first served. Returns the job's status with the answer in *out (also when the status
   is < 0: a job may fail and still answer); otherwise *out is empty and the result is
     -EOWNERDEAD  the worker died in this very job; or the zygote died and all workers with it; or
                  nine workers died before they had begun it
     -EDQUOT      likewise, by a limit of the pool; the message names it
     -EPROTO      the worker wrote nonsense into the memory it shares with us, and was killed
     -ETIMEDOUT   the deadline passed (a job that had started was killed with its worker)
     -ECANCELED   likewise
     -EMSGSIZE    `in` is larger than payload_max, or the answer would have been
     -ENOENT      no worker can find the job: its library was loaded late and cannot be again
     -EAGAIN      SKUA_NOW, and no worker is free (else SKUA_NOW sets no limit to the job)
     -EINVAL      bad opts
     -ENOMEM, -EMFILE, -ESHUTDOWN (the pool is draining or being destroyed, or a forked child).
   Deaths come with a message, as skua_fail() attaches it to the calling task: it names the job, the
   process, the signal, exit code or limit, and the last line of skua_job_log(). `in` is not used
   after the return; `opts` may be NULL, `out` too.
   Call from: a task or a foreign thread. May switch. Cancel: the job is killed, unless it has
   answered. Cost: one copy of `in`, none of the answer. */
int skua_pool_call(skua_pool *pool, const skua_job *job, skua_bytes in, skua_buf *out,
                   skua_time deadline) SKUA_MUST_CHECK;
int skua_pool_call_with(skua_pool *pool, const skua_job *job, skua_bytes in,
                        const skua_call_opts *opts, skua_buf *out, skua_time deadline)
    SKUA_MUST_CHECK;

/* The same without waiting: the job becomes a task, which groups, gather, wait, select and join
   take like any other, and which a cancel ends. Its status is what skua_pool_call() would have
   returned; *out (which may be NULL) is written before the task ends and must stay until then. `in`
   is copied, `opts` (which may be NULL) as well. *task is an owned reference; NULL: nobody will
   ask. While it waits a job holds some 700 bytes and no stack. Returns 0, -EAGAIN (queue_max, or
   the runtime's max_tasks), -EMSGSIZE, -EINVAL, -EPERM (a foreign thread), -ENOMEM, -ESHUTDOWN;
   then nothing was begun, and in_buf is still the caller's.
   Call from: a task of the pool's runtime. Never switches. */
int skua_pool_submit(skua_pool *pool, skua_task **task, const skua_job *job, skua_bytes in,
                     const skua_call_opts *opts, skua_buf *out, skua_time deadline) SKUA_MUST_CHECK;

/* One item of an array: its input, its answer (to be released), its status. */
typedef struct skua_pool_item {
    skua_bytes in;
    skua_buf out;
    int status;
} skua_pool_item;

/* Run the job on all items, whatever fails, and wait. Returns how many have a status < 0, or
   -ETIMEDOUT or -ECANCELED (then every item has its status all the same), -ENOMEM, -ESHUTDOWN.
   Call from: a task or a foreign thread. May switch. Cost: less than `count` calls, since they come
   and go in batches. */
ssize_t skua_pool_map(skua_pool *pool, const skua_job *job, skua_pool_item items[], size_t count,
                      skua_time deadline) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
