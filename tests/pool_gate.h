/* tests/pool_gate.h: memory that a suite shares with its worker processes, and jobs that are seen
   to have begun and are held until the suite lets them go. It is made before main, hence before the
   zygote. */
#ifndef SKUA_TESTS_POOL_GATE_H
#define SKUA_TESTS_POOL_GATE_H

#include "pool_help.h"

#include <stdatomic.h>
#include <sys/mman.h>

typedef struct pool_gate {
    atomic_int begun;  /* jobs that have begun since the gate was reset */
    atomic_int ended;  /* ... that came to their end */
    atomic_int inside; /* ... that are between the two, unless they were killed there */
    atomic_int peak;   /* the largest `inside` */
    atomic_bool is_open;
    _Atomic pid_t last;       /* who began last */
    atomic_int inits_to_fail; /* so many of the next init jobs, in suites that have some */
} pool_gate;

static pool_gate *jobs_gate;

__attribute__((constructor)) static void make_gate(void)
{
    jobs_gate =
        mmap(NULL, sizeof *jobs_gate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static inline void reset_gate(bool is_open)
{
    memset((void *)jobs_gate, 0, sizeof *jobs_gate);
    atomic_store(&jobs_gate->is_open, is_open);
}

static inline void await_here(atomic_int *count, int at_least)
{
    while (atomic_load(count) < at_least) {
        nap_here(SKUA_US(200));
    }
}

/* Begins, waits until the gate is open, answers its process id. */
static int pass_gate(skua_bytes in, skua_reply *reply)
{
    const pid_t pid = getpid();
    const int inside = atomic_fetch_add(&jobs_gate->inside, 1) + 1;
    int peak = atomic_load(&jobs_gate->peak);
    while (inside > peak && !atomic_compare_exchange_weak(&jobs_gate->peak, &peak, inside)) {}
    atomic_store(&jobs_gate->last, pid);
    atomic_fetch_add(&jobs_gate->begun, 1);
    while (!atomic_load(&jobs_gate->is_open)) {
        poll(NULL, 0, 1);
    }
    atomic_fetch_sub(&jobs_gate->inside, 1);
    atomic_fetch_add(&jobs_gate->ended, 1);
    return answer(reply, &pid, sizeof pid);
}
SKUA_JOB(pass_gate);

/* A job as a task, and what becomes of it. */
typedef struct sent {
    skua_task *task;
    skua_buf out;
    pid_t pid; /* the answer of pass_gate */
} sent;

static inline void send_with(skua_pool *pool, sent *self, const skua_job *job, skua_bytes in,
                             const skua_call_opts *opts, skua_time deadline)
{
    *self = (sent){.task = NULL};
    CHECK_INT(skua_pool_submit(pool, &self->task, job, in, opts, &self->out, deadline), 0);
}

static inline void send_job(skua_pool *pool, sent *self, const skua_job *job)
{
    send_with(pool, self, job, bytes_of(NULL, 0), NULL, FOREVER);
}

static inline int outcome_of(sent *self)
{
    int status = 0;
    CHECK_INT(skua_join(self->task, &status, FOREVER), 0);
    CHECK(status >= 0 || skua_task_error(self->task) != NULL);
    if (self->out.bytes == sizeof self->pid) {
        memcpy(&self->pid, self->out.data, sizeof self->pid);
    }
    skua_buf_release(&self->out);
    skua_task_release(self->task);
    return status;
}

#endif
