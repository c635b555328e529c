/* A pool by hand on shared memory: two rings with one writer each for every worker, a short spin,
   then a futex.

   Invariants:
   1. Every word has one writer but for the two sleep words, which both sides may clear.
   2. Who wants to sleep says so and looks again; who has written looks whether the other sleeps.
      Between write and look there is a full fence on both sides, so that one sees the other.
   3. Indices count up and are never wrapped: their lowest bits are the slot. */
#define _GNU_SOURCE
#include "raw.h"
#include "rows.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { SLOTS = RAW_WINDOW_MAX, SPINS = 400 };

typedef struct slot {
    uint32_t kind;
    uint32_t bytes;
} slot;

typedef struct line {
    _Alignas(64) atomic_uint word;
} line;

/* One worker's memory, shared with it. */
typedef struct shared {
    line requests_written; /* by the program; the worker sleeps on it */
    line worker_sleeps;
    line answers_written; /* by the worker */
    _Alignas(64) slot requests[SLOTS];
    _Alignas(64) slot answers[SLOTS];
    _Alignas(4096) char in[RAW_BYTES_MAX];
    char out[RAW_BYTES_MAX];
} shared;

/* What all workers share with the program: its bed. */
typedef struct bell {
    line rung; /* the program sleeps on it */
    line program_sleeps;
} bell;

typedef struct worker {
    shared *memory;
    pid_t pid;
    unsigned posted; /* requests; what is flushed is in memory->requests_written */
    unsigned flushed;
    unsigned taken; /* answers */
} worker;

size_t raw_window = RAW_WINDOW_MAX;

static worker workers[RAW_WORKERS_MAX];
static unsigned worker_count;
static bell *the_bell;

static void pause_once(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* --- the worker --- */

static void wait_for_requests(shared *memory, unsigned read)
{
    for (unsigned i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&memory->requests_written.word, memory_order_acquire) != read) {
            return;
        }
        pause_once();
    }
    atomic_store(&memory->worker_sleeps.word, 1);
    while (atomic_load(&memory->requests_written.word) == read) {
        futex_wait(&memory->requests_written.word, read);
    }
    atomic_store(&memory->worker_sleeps.word, 0);
}

static void ring_bell(void)
{
    if (atomic_load(&the_bell->program_sleeps.word) != 0 &&
        atomic_exchange(&the_bell->program_sleeps.word, 0) != 0) {
        atomic_fetch_add(&the_bell->rung.word, 1);
        futex_wake(&the_bell->rung.word);
    }
}

static void run_job(shared *memory, slot request)
{
    switch (request.kind) {
    case RAW_COPY:
        memcpy(memory->out, memory->in, request.bytes);
        break;
    case RAW_ADD:
        pool_add(memory->in);
        break;
    case RAW_CRASH:
        pool_crash();
        break;
    case RAW_END:
        _exit(0);
    default:
        break;
    }
}

_Noreturn static void work(shared *memory)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned done = 0;; done++) {
        if (atomic_load_explicit(&memory->requests_written.word, memory_order_acquire) == done) {
            wait_for_requests(memory, done);
        }
        const slot request = memory->requests[done % SLOTS];
        run_job(memory, request);
        memory->answers[done % SLOTS] = request;
        atomic_store_explicit(&memory->answers_written.word, done + 1, memory_order_release);
        atomic_thread_fence(memory_order_seq_cst);
        ring_bell();
    }
}

/* --- the program --- */

static void *map_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int start_worker(worker *one)
{
    memset(one, 0, sizeof(*one));
    one->memory = map_shared(sizeof(*one->memory));
    if (one->memory == NULL) {
        return -ENOMEM;
    }
    one->pid = fork();
    if (one->pid == 0) {
        work(one->memory);
    }
    return one->pid < 0 ? -errno : 0;
}

int raw_start(unsigned count)
{
    int error = 0;
    the_bell = map_shared(sizeof(*the_bell));
    if (the_bell == NULL) {
        return -ENOMEM;
    }
    for (worker_count = 0; worker_count < count && error == 0; worker_count++) {
        error = start_worker(&workers[worker_count]);
    }
    return error;
}

void raw_stop(void)
{
    for (unsigned i = 0; i < worker_count; i++) {
        raw_post(i, RAW_END, NULL, 0);
    }
    raw_flush();
    for (unsigned i = 0; i < worker_count; i++) {
        waitpid(workers[i].pid, NULL, 0);
        munmap(workers[i].memory, sizeof(*workers[i].memory));
    }
    munmap(the_bell, sizeof(*the_bell));
    worker_count = 0;
}

int raw_post(unsigned index, raw_kind kind, const void *in, size_t bytes)
{
    worker *one = &workers[index];
    if (bytes > 0 && in != one->memory->in) {
        memcpy(one->memory->in, in, bytes);
    }
    one->memory->requests[one->posted % SLOTS] = (slot){kind, (uint32_t)bytes};
    one->posted++;
    return 0;
}

int raw_flush(void)
{
    for (unsigned i = 0; i < worker_count; i++) {
        worker *one = &workers[i];
        if (one->flushed != one->posted) {
            one->flushed = one->posted;
            atomic_store_explicit(&one->memory->requests_written.word, one->posted,
                                  memory_order_release);
            atomic_thread_fence(memory_order_seq_cst);
            if (atomic_load(&one->memory->worker_sleeps.word) != 0) {
                futex_wake(&one->memory->requests_written.word);
            }
        }
    }
    return 0;
}

static size_t take(unsigned index, raw_answer answers[], size_t count)
{
    worker *one = &workers[index];
    const unsigned end =
        atomic_load_explicit(&one->memory->answers_written.word, memory_order_acquire);
    size_t got = 0;
    for (; one->taken != end && got < count; got++, one->taken++) {
        const slot answer = one->memory->answers[one->taken % SLOTS];
        answers[got].worker = index;
        answers[got].is_lost = false;
        answers[got].data = answer.kind == RAW_COPY ? one->memory->out : one->memory->in;
        answers[got].bytes = answer.bytes;
    }
    return got;
}

static size_t take_all(raw_answer answers[], size_t count)
{
    size_t got = 0;
    for (unsigned i = 0; i < worker_count; i++) {
        got += take(i, answers + got, count - got);
    }
    return got;
}

ssize_t raw_wait(raw_answer answers[], size_t count)
{
    size_t got = 0;
    for (unsigned i = 0; i < SPINS && got == 0; i++) {
        got = take_all(answers, count);
        if (got == 0) {
            pause_once();
        }
    }
    while (got == 0) {
        const unsigned seen = atomic_load(&the_bell->rung.word);
        atomic_store(&the_bell->program_sleeps.word, 1);
        atomic_thread_fence(memory_order_seq_cst);
        got = take_all(answers, count);
        if (got == 0) {
            futex_wait(&the_bell->rung.word, seen);
        }
        atomic_store(&the_bell->program_sleeps.word, 0);
    }
    return (ssize_t)got;
}

void *raw_buffer(unsigned index)
{
    return workers[index].memory->in;
}

static const bench_case cases[] = {
    POOL_CASE_ASLEEP(raw_run_asleep, raw_enter),
    POOL_CASE_CALL(raw_run_call, raw_enter),
    POOL_CASE_CALL_64(raw_run_call_64, raw_enter),
    POOL_CASE_MAP(raw_run_map, raw_enter),
    POOL_CASE_COPIES(raw_run_copies, raw_enter),
    POOL_CASE_UNTOUCHED(raw_run_untouched, raw_enter),
    POOL_CASE_IN_PLACE(raw_run_in_place, raw_enter),
    POOL_CASE_START(raw_run_start, NULL),
    POOL_CASE_IDLE(raw_run_idle, raw_enter),
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "shared-ring", cases, BENCH_COUNT(cases));
}
