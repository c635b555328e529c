/* tests/pool_help.h: jobs and helpers of the suites that test the process pool. */
#ifndef SKUA_TESTS_POOL_HELP_H
#define SKUA_TESTS_POOL_HELP_H

#include "test.h"

#include "pool/state.h"
#include "pool/zygote.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <skua/skua.h>
#include <sys/wait.h>

#define FOREVER SKUA_FOREVER

/* ---- jobs ---- */

static inline int answer(skua_reply *reply, const void *data, size_t bytes)
{
    void *memory = skua_job_reserve(reply, bytes);
    if (memory == NULL) {
        return -EMSGSIZE;
    }
    if (bytes > 0) {
        memcpy(memory, data, bytes);
    }
    skua_job_commit(reply, bytes);
    return 0;
}

static int echo(skua_bytes in, skua_reply *reply)
{
    return answer(reply, in.data, in.bytes);
}
SKUA_JOB(echo);

/* Naps for that many milliseconds and answers its process id. */
static int nap(skua_bytes in, skua_reply *reply)
{
    int ms;
    memcpy(&ms, in.data, sizeof ms);
    poll(NULL, 0, ms);
    const pid_t pid = getpid();
    return answer(reply, &pid, sizeof pid);
}
SKUA_JOB(nap);

static int hang(skua_bytes in, skua_reply *reply)
{
    while (pause() < 0) {}
    return 0;
}
SKUA_JOB(hang);

/* In a worker: the memory that it shares with the program, in which `inside` lies. */
static inline struct skua__shared *find_rings(const void *inside)
{
    char line[512];
    uintptr_t start = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from, to;
        if (sscanf(line, "%llx-%llx", &from, &to) == 2 && (uintptr_t)inside >= from &&
            (uintptr_t)inside < to) {
            start = (uintptr_t)from;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return (struct skua__shared *)start;
}

/* ---- helpers ---- */

static inline skua_bytes bytes_of(const void *data, size_t bytes)
{
    return (skua_bytes){data, bytes};
}

#define BYTES(variable) bytes_of(&(variable), sizeof(variable))

static inline int run_with(skua_fn fn)
{
    const skua_config config = {.workers = 4};
    return skua_run(&config, fn, NULL);
}

static inline skua_pool *open_pool(uint32_t workers, size_t payload_max)
{
    skua_pool *pool = NULL;
    const skua_pool_opts opts = {.workers = workers, .payload_max = payload_max};
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    return pool;
}

static inline void nap_here(int64_t ns)
{
    CHECK_INT(skua_sleep(skua_after(ns)), 0);
}

static inline void check_echo(skua_pool *pool, const void *data, size_t bytes)
{
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of(data, bytes), &out, FOREVER), 0);
    CHECK_INT(out.bytes, bytes);
    CHECK(bytes == 0 || memcmp(out.data, data, bytes) == 0);
    skua_buf_release(&out);
}

static inline char *make_bytes(size_t bytes, uint64_t seed)
{
    char *data = malloc(bytes + 8);
    for (size_t i = 0; i < bytes; i += 8) {
        const uint64_t number = test_random(&seed);
        memcpy(data + i, &number, 8);
    }
    return data;
}

/* A call in a task of its own. */
struct call {
    skua_pool *pool;
    const skua_job *job;
    skua_bytes in;
    skua_time deadline;
    skua_task *task;
    pid_t pid; /* the answer, if it is one */
    _Atomic bool is_over;
};

static inline int call_task(void *arg)
{
    struct call *call = arg;
    skua_buf out;
    int result = skua_pool_call(call->pool, call->job, call->in, &out, call->deadline);
    if (out.bytes == sizeof call->pid) {
        memcpy(&call->pid, out.data, sizeof call->pid);
    }
    skua_buf_release(&out);
    call->is_over = true;
    return result;
}

static inline void start_call(struct call *call)
{
    CHECK_INT(skua_spawn(&call->task, call_task, call, NULL), 0);
}

/* Until all of them have begun, so that they hold workers, wait, or are over. */
static inline void await_begun(skua_pool *pool, const struct call calls[], size_t count)
{
    for (size_t begun = 0; begun < count;) {
        skua__pool_lock(pool);
        begun = pool->callers;
        skua__pool_unlock(pool);
        for (size_t i = 0; i < count; i++) {
            begun += calls[i].is_over;
        }
        CHECK_INT(skua_yield(), 0);
    }
}

/* Until so many jobs run: workers may be asleep still when they are given them. */
static inline void await_running(skua_pool *pool, size_t count)
{
    size_t running = 0;
    while (running < count) {
        running = 0;
        skua__pool_lock(pool);
        for (struct skua__link *link = pool->busy.head.next; link != &pool->busy.head;
             link = link->next) {
            struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, busy);
            const uint64_t ticket = skua__jobring_oldest(&process->ring);
            running += ticket != 0 && skua__jobring_has_begun(&process->ring, ticket);
        }
        skua__pool_unlock(pool);
        CHECK_INT(skua_yield(), 0);
    }
}

/* Until so many workers are there and have nothing to do: the next calls get one each. */
static inline void await_idle(skua_pool *pool, size_t count)
{
    for (size_t idle = 0; idle < count;) {
        idle = 0;
        skua__pool_lock(pool);
        for (struct skua__link *link = pool->idle.head.next; link != &pool->idle.head;
             link = link->next) {
            idle++;
        }
        skua__pool_unlock(pool);
        nap_here(SKUA_US(100));
    }
}

static inline int end_call(struct call *call)
{
    int result;
    CHECK_INT(skua_join(call->task, &result, FOREVER), 0);
    const skua_error *error = skua_task_error(call->task); /* seen, hence not reported */
    CHECK(result >= 0 || error != NULL);
    skua_task_release(call->task);
    return result;
}

/* What /proc says of the process: the letter of its state, and its parent. False: it is not
   there. */
static inline bool read_stat(pid_t pid, char *state, pid_t *parent)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0) {
        close(fd);
    }
    if (bytes <= 0) {
        return false;
    }
    line[bytes] = '\0';
    return sscanf(strrchr(line, ')') + 1, " %c %d", state, parent) == 2;
}

static inline pid_t parent_of(pid_t pid)
{
    char state;
    pid_t parent;
    if (!read_stat(pid, &state, &parent)) {
        return 0;
    }
    return state == 'Z' ? 0 : parent; /* a zombie is gone for us: its reaper is slow */
}

/* Have it stand still, and see that it does: a signal to another processor takes its time. */
static inline void stop_process(pid_t pid)
{
    char state = 'R';
    pid_t parent;
    CHECK_INT(kill(pid, SIGSTOP), 0);
    while (read_stat(pid, &state, &parent) && state != 'T') {
        poll(NULL, 0, 1);
    }
    CHECK_INT(state, 'T');
}

static inline bool is_alive(pid_t pid)
{
    return parent_of(pid) != 0;
}

/* "Soon" is when a busy machine comes to it; the bound is there so that a failure names its
   line. */
enum { SOON_LOOKS = 3000, SOON_LOOK_MS = 10 };

static inline bool is_gone_soon(pid_t pid)
{
    bool is_gone = false;
    for (int i = 0; i < SOON_LOOKS && !is_gone; i++) {
        is_gone = !is_alive(pid);
        poll(NULL, 0, is_gone ? 0 : SOON_LOOK_MS);
    }
    return is_gone;
}

/* Processes of the zygote's. */
static inline int count_workers(void)
{
    DIR *folder = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const pid_t pid = (pid_t)atoi(entry->d_name);
        count += pid > 0 && parent_of(pid) == skua__zygote_pid();
    }
    closedir(folder);
    return count;
}

/* Pools ask for their spare processes when their workers are there. */
static inline bool has_workers_soon(int count)
{
    bool is_so = false;
    for (int i = 0; i < SOON_LOOKS && !is_so; i++) {
        is_so = count_workers() == count;
        poll(NULL, 0, is_so ? 0 : SOON_LOOK_MS);
    }
    return is_so;
}

#endif
