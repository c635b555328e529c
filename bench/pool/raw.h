/* raw.h: pools of worker processes written by hand, against which Skua's is measured: the least
   that each way to talk to another process costs. They keep no promise: a job cannot be cancelled,
   has no deadline and is no function of the caller's choice, and whatever a worker writes is
   believed.

   One way to talk is one file (ring.c, socketpair.c, mpi.c) that defines the functions below; raw.c
   has the cases, which are the same for all. Everything is called by one thread.

   Invariants:
   1. At most raw_window jobs of a worker are under way; the caller counts them.
   2. A job is on its way only after raw_flush(): what is posted before may go as one batch.
   3. Payloads are RAW_BYTES_MAX bytes at most, one at a time for each worker. */
#ifndef SKUA_BENCH_POOL_RAW_H
#define SKUA_BENCH_POOL_RAW_H

#include "bench.h"

enum {
    RAW_WORKERS_MAX = 16,
    RAW_WINDOW_MAX = 64,
    RAW_BYTES_MAX = 1 << 20,
};

/* What a job does. */
typedef enum raw_kind {
    RAW_NOTHING, /* returns */
    RAW_COPY,    /* its answer is a copy of its input */
    RAW_ADD,     /* adds 1 to each 64-bit word of its input, whose memory is the answer */
    RAW_CRASH,   /* dies */
    RAW_END,     /* ends the worker; what raw_stop() sends */
} raw_kind;

typedef struct raw_answer {
    unsigned worker;
    bool is_lost;     /* the worker died in it */
    const void *data; /* stays until the next job is posted to this worker */
    size_t bytes;
} raw_answer;

/* How many jobs one worker is given at a time, when there are many. */
extern size_t raw_window;

/* Start `workers` workers. 0 or a negative errno. */
int raw_start(unsigned workers);

void raw_stop(void);

/* Give a job to `worker`. `in` is copied, unless it is the worker's raw_buffer(). A worker that
   died is replaced first. */
int raw_post(unsigned worker, raw_kind kind, const void *in, size_t bytes);

int raw_flush(void);

/* Wait until there are answers. Returns how many were written, or a negative errno. `count` is as
   many as one worker may have under way, or more. */
ssize_t raw_wait(raw_answer answers[], size_t count);

/* Memory that is shared with the worker, or NULL if there is no such thing. */
void *raw_buffer(unsigned worker);

/* The cases, for the list of each file; see docs/bench.md. */
int raw_run_asleep(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_call(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_call_64(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_map(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_copies(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_untouched(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_in_place(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_crash(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_start(const bench_job *job, double values[BENCH_ROWS_MAX]);
int raw_run_idle(const bench_job *job, double values[BENCH_ROWS_MAX]);

/* bench_case.enter: starts the workers and measures. */
int raw_enter(bench_job *job);

#endif
