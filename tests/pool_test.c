/* The process pool: answers of all sizes, queues, loans, deadlines, and what is refused. */
#include "pool_gate.h"

#include <pthread.h>

/* Returns the int that it is given, with the answer "text". */
static int status(skua_bytes in, skua_reply *reply)
{
    int value;
    memcpy(&value, in.data, sizeof value);
    int error = answer(reply, "text", 5);
    return error < 0 ? error : value;
}
SKUA_JOB(status);

/* Asks for more than there is. */
static int greedy(skua_bytes in, skua_reply *reply)
{
    size_t bytes;
    memcpy(&bytes, in.data, sizeof bytes);
    char *memory = skua_job_reserve(reply, bytes);
    if (memory != NULL) {
        memset(memory, 'g', bytes);
        skua_job_commit(reply, bytes);
    }
    return 1;
}
SKUA_JOB(greedy);

/* Allocates that much. */
static int allocate(skua_bytes in, skua_reply *reply)
{
    size_t bytes;
    memcpy(&bytes, in.data, sizeof bytes);
    char *volatile memory =
        malloc(bytes); /* volatile: else the compiler sees that nobody needs it */
    if (memory == NULL) {
        return -ENOMEM;
    }
    memset(memory, 1, bytes);
    free(memory);
    return 0;
}
SKUA_JOB(allocate);

/* How many fds it has besides the standard ones. */
static int count_fds(skua_bytes in, skua_reply *reply)
{
    int count = 0;
    for (int fd = 3; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}
SKUA_JOB(count_fds);

static skua_job unregistered_job = {"unregistered", echo, NULL, 0, 0, 0};
static skua_job late_job = {"late", echo, NULL, 0, 0, 0};

/* ---- answers ---- */

static int echo_sizes_main(void *arg)
{
    const size_t payload_max = 5 << 20;
    const size_t sizes[] = {0, 1, 4095, 4096, 8192, 8193, 1 << 20, payload_max};
    char *data = make_bytes(payload_max + 1, test_seed());
    skua_pool *pool = open_pool(2, payload_max);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            check_echo(pool, data, sizes[i]);
        }
    }
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of(data, payload_max + 1), &out, FOREVER),
              -EMSGSIZE);
    CHECK_PTR(out.data, NULL);
    free(data);
    skua_pool_destroy(pool);
    return 0;
}

static void echo_of_all_sizes(void **state)
{
    CHECK_INT(run_with(echo_sizes_main), 0);
}

static int statuses_main(void *arg)
{
    const int values[] = {0, 1, 4711, -EIO, -EOWNERDEAD, SKUA_ERR(12, 34)};
    skua_pool *pool = open_pool(1, 0);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        skua_buf out;
        CHECK_INT(skua_pool_call(pool, &status_job, BYTES(values[i]), &out, FOREVER), values[i]);
        CHECK_STR((const char *)out.data, "text");
        skua_buf_release(&out);
        skua_buf_release(&out);
    }
    const size_t payload_max = (size_t)64 << 20;
    for (size_t more = 0; more < 2; more++) {
        const size_t bytes = payload_max + more;
        skua_buf out;
        int result = skua_pool_call(pool, &greedy_job, BYTES(bytes), &out, FOREVER);
        CHECK_INT(result, more ? -EMSGSIZE : 1);
        CHECK_INT(out.bytes, more ? 0 : bytes);
        CHECK(more || ((const char *)out.data)[bytes - 1] == 'g');
        skua_buf_release(&out);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: D79 */
static void statuses_come_with_answers(void **state)
{
    CHECK_INT(run_with(statuses_main), 0);
}

static int processes_main(void *arg)
{
    enum { COUNT = 4 };
    struct call calls[COUNT];
    pid_t pids[COUNT + 1];
    skua_pool *pool = open_pool(COUNT, 4096);
    reset_gate(false);
    CHECK_INT(skua_pool_pids(pool, pids, COUNT + 1), COUNT);
    CHECK(has_workers_soon(COUNT + SKUA__SPARES));
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (struct call){.pool = pool, .job = &pass_gate_job};
        start_call(&calls[i]);
    }
    await_here(&jobs_gate->begun, COUNT); /* all at the same time */
    atomic_store(&jobs_gate->is_open, true);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(end_call(&calls[i]), 0);
        CHECK(calls[i].pid != getpid() && getpgid(calls[i].pid) != getpgrp());
        for (int k = 0; k < i; k++) {
            CHECK(calls[i].pid != calls[k].pid);
        }
    }
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &count_fds_job, bytes_of(NULL, 0), &out, FOREVER), 2);
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 */
static void jobs_run_in_processes(void **state)
{
    CHECK_INT(run_with(processes_main), 0);
}

/* Many long inputs for one worker: they wait, and are brought by their callers. */
static int long_inputs_task(void *arg)
{
    const size_t bytes = 100 * 1000;
    char *data = make_bytes(bytes, (uintptr_t)&bytes);
    for (int i = 0; i < 20; i++) {
        check_echo(arg, data, bytes);
    }
    free(data);
    return 0;
}

static int queue_main(void *arg)
{
    enum { TASKS = 16 };
    skua_task *tasks[TASKS];
    skua_pool *pool = open_pool(1, 1 << 20);
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], long_inputs_task, pool, NULL), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        int result;
        CHECK_INT(skua_join(tasks[i], &result, FOREVER), 0);
        CHECK_INT(result, 0);
    }
    skua_task_release_all(tasks, TASKS);
    skua_pool_destroy(pool);
    return 0;
}

static void calls_queue_for_a_worker(void **state)
{
    CHECK_INT(run_with(queue_main), 0);
}

static int loans_main(void *arg)
{
    enum { COUNT = 20 };
    const size_t bytes = 10000;
    skua_buf outs[COUNT];
    char *data[COUNT];
    skua_pool *pool = open_pool(1, 1 << 20);
    for (int i = 0; i < COUNT; i++) {
        data[i] = make_bytes(bytes, (uint64_t)i);
        const skua_bytes in = bytes_of(data[i], bytes);
        CHECK_INT(skua_pool_call(pool, &echo_job, in, &outs[i], FOREVER), 0);
    }
    pid_t pid;
    CHECK_INT(skua_pool_pids(pool, &pid, 1), 1);
    kill(pid, SIGKILL); /* the answers outlive the worker */
    CHECK(is_gone_soon(pid));
    check_echo(pool, data[0], bytes);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(outs[i].bytes, bytes);
        CHECK(memcmp(outs[i].data, data[i], bytes) == 0);
        skua_buf_release(&outs[i]);
        free(data[i]);
    }
    skua_pool_destroy(pool);
    return 0;
}

static void answers_stay_on_loan(void **state)
{
    CHECK_INT(run_with(loans_main), 0);
}

static void *foreign_thread(void *pool)
{
    char *data = make_bytes(20000, 7);
    for (size_t bytes = 0; bytes <= 20000; bytes += 1000) {
        check_echo(pool, data, bytes);
    }
    free(data);
    return NULL;
}

static int foreign_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, foreign_thread, pool), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    skua_pool_destroy(pool);
    return 0;
}

static void foreign_threads_call(void **state)
{
    CHECK_INT(run_with(foreign_main), 0);
}

static int refused_main(void *arg)
{
    skua_pool *pool = NULL;
    skua_pool_opts opts = {.workers = 100000};
    CHECK_INT(skua_pool_create(&pool, &opts), -EINVAL);
    opts = (skua_pool_opts){.workers = 1, .payload_max = SIZE_MAX};
    CHECK_INT(skua_pool_create(&pool, &opts), -EINVAL);
    CHECK_PTR(pool, NULL);
    skua_pool_destroy(NULL);
    skua_buf out;
    pool = open_pool(1, 4096);
    const skua_bytes none = bytes_of(NULL, 0);
    CHECK_INT(skua_pool_call(pool, &unregistered_job, none, &out, FOREVER), -ENOENT);
    if (late_job.number == 0) {
        skua_job_register(&late_job);
    }
    CHECK_INT(skua_pool_call(pool, &late_job, none, &out, FOREVER), -ENOENT);
    const pid_t child = fork();
    if (child == 0) {
        _exit(skua_pool_call(pool, &echo_job, none, &out, FOREVER) == -ESHUTDOWN ? 0 : 1);
    }
    int result;
    CHECK_INT(waitpid(child, &result, 0), child);
    CHECK_INT(result, 0);
    skua_pool_destroy(pool);
    return 0;
}

static void wrong_calls_are_refused(void **state)
{
    CHECK_INT(run_with(refused_main), 0);
}

static int memory_main(void *arg)
{
    const size_t little = 1 << 20;
    const size_t much = (size_t)512 << 20;
    skua_pool *pool;
    skua_buf out;
    const skua_pool_opts opts = {.workers = 1, .limits.address_bytes = (size_t)64 << 20};
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    CHECK_INT(skua_pool_call(pool, &allocate_job, BYTES(little), &out, FOREVER), 0);
    CHECK_INT(skua_pool_call(pool, &allocate_job, BYTES(much), &out, FOREVER), -ENOMEM);
    skua_pool_destroy(pool);
    return 0;
}

static void memory_is_limited(void **state)
{
    if (TEST_SCALE > 1) {
        skip(); /* sanitizers need their address space */
    }
    CHECK_INT(run_with(memory_main), 0);
}

/* ---- deadlines and cancels ---- */

/* A deadline that comes when the job has begun, which on a busy machine takes longer at times. */
static void hang_until_late(skua_pool *pool)
{
    int64_t limit_ns = SKUA_MS(30);
    reset_gate(false);
    while (jobs_gate->begun == 0) {
        const skua_time start = skua_clock();
        CHECK_INT(
            skua_pool_call(pool, &pass_gate_job, bytes_of(NULL, 0), NULL, skua_after(limit_ns)),
            -ETIMEDOUT);
        CHECK(skua_elapsed_ns(start) >= limit_ns);
        limit_ns *= 2;
    }
}

static int deadline_main(void *arg)
{
    skua_buf out;
    pid_t before, after;
    const skua_bytes none = bytes_of(NULL, 0);
    skua_pool *pool = open_pool(1, 4096);
    CHECK_INT(skua_pool_pids(pool, &before, 1), 1);
    /* Over before it began: no worker dies for it. */
    CHECK_INT(skua_pool_call(pool, &echo_job, none, &out, skua_after(-1)), -ETIMEDOUT);
    CHECK(is_alive(before));
    hang_until_late(pool);
    CHECK(is_gone_soon(before));
    check_echo(pool, &out, sizeof out);
    CHECK_INT(skua_pool_pids(pool, &after, 1), 1);
    CHECK(before != after);
    /* One that waits is withdrawn; the one that runs goes on. */
    struct call running = {.pool = pool, .job = &pass_gate_job};
    reset_gate(false);
    start_call(&running);
    await_here(&jobs_gate->begun, 1);
    CHECK_INT(skua_pool_call(pool, &echo_job, none, &out, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_pool_call(pool, &echo_job, none, &out, skua_after(SKUA_MS(20))), -ETIMEDOUT);
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(end_call(&running), 0);
    CHECK_INT(running.pid, after);
    CHECK_INT(skua_pool_call(pool, &echo_job, none, &out, SKUA_NOW), 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void deadlines_kill(void **state)
{
    CHECK_INT(run_with(deadline_main), 0);
}

static int cancel_main(void *arg)
{
    pid_t pid;
    skua_pool *pool = open_pool(1, 4096);
    CHECK_INT(skua_pool_pids(pool, &pid, 1), 1);
    enum { RUNNING, WAITING, LAST, COUNT };
    struct call calls[COUNT];
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (struct call){.pool = pool, .job = i == RUNNING ? &hang_job : &echo_job};
        start_call(&calls[i]);
        await_begun(pool, calls, (size_t)i + 1);
    }
    await_running(pool, 1);
    skua_task_cancel(calls[WAITING].task);
    CHECK_INT(end_call(&calls[WAITING]), -ECANCELED);
    CHECK(is_alive(pid));
    skua_task_cancel(calls[RUNNING].task);
    CHECK_INT(end_call(&calls[RUNNING]), -ECANCELED);
    CHECK(is_gone_soon(pid));
    CHECK_INT(end_call(&calls[LAST]), 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void cancels_kill(void **state)
{
    CHECK_INT(run_with(cancel_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(echo_of_all_sizes),       TEST(statuses_come_with_answers),
        TEST(jobs_run_in_processes),   TEST(calls_queue_for_a_worker),
        TEST(answers_stay_on_loan),    TEST(foreign_threads_call),
        TEST(wrong_calls_are_refused), TEST(memory_is_limited),
        TEST(deadlines_kill),          TEST(cancels_kill),
    };
    return TEST_RUN(tests);
}
