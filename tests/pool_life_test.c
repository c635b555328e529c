/* How worker processes begin and end: spares, init jobs, replacement after so many jobs, pools that
   grow, shrink and drain, and that idle ones cost nothing. */
#include "pool_gate.h"

#include <pthread.h>
#include <skua/group.h>
#include <sys/stat.h>

/* ---- jobs ---- */

static int die(skua_bytes in, skua_reply *reply)
{
    abort();
}
SKUA_JOB(die);

/* How many jobs this process has run, this one included. */
static int count_jobs(skua_bytes in, skua_reply *reply)
{
    static int count;
    return ++count;
}
SKUA_JOB(count_jobs);

/* An init job: keeps its input, and how often it has run. */
struct prepared {
    int runs;
    size_t bytes;
    unsigned sum;
    uint32_t worker;
};

static int prepare(skua_bytes in, skua_reply *reply)
{
    static struct prepared prepared;
    const unsigned char *bytes = in.data;
    prepared.runs++;
    prepared.bytes = in.bytes;
    prepared.worker = skua_job_worker(reply);
    for (size_t i = 0; i < in.bytes; i++) {
        prepared.sum += bytes[i];
    }
    *skua_job_state(reply) = &prepared;
    return 0;
}
SKUA_JOB(prepare);

static int look_at_state(skua_bytes in, skua_reply *reply)
{
    const struct prepared *prepared = *skua_job_state(reply);
    return prepared == NULL ? -ENOENT : answer(reply, prepared, sizeof *prepared);
}
SKUA_JOB(look_at_state);

static int fail_to_prepare(skua_bytes in, skua_reply *reply)
{
    return skua_job_fail(reply, -ENOKEY, "there is no %s", (const char *)in.data);
}
SKUA_JOB(fail_to_prepare);

/* Succeeds while the file of that name is there. */
static int depend_on_file(skua_bytes in, skua_reply *reply)
{
    return access(in.data, F_OK) == 0 ? 0 : -ENOENT;
}
SKUA_JOB(depend_on_file);

static int get_pid(skua_bytes in, skua_reply *reply)
{
    return getpid();
}
SKUA_JOB(get_pid);

/* ---- helpers ---- */

static const skua_bytes none = {NULL, 0};

static skua_pool *open_with(const skua_pool_opts *opts)
{
    skua_pool *pool = NULL;
    CHECK_INT(skua_pool_create(&pool, opts), 0);
    return pool;
}

static int run_job(skua_pool *pool, const skua_job *job)
{
    skua_buf out;
    int result = skua_pool_call(pool, job, none, &out, FOREVER);
    skua_buf_release(&out);
    return result;
}

/* Until the pool has so many workers and spares that are ready. */
static void await_processes(skua_pool *pool, uint32_t workers, uint32_t spares)
{
    skua_pool_stats stats;
    do {
        nap_here(SKUA_MS(1));
        skua_pool_stats_get(pool, &stats);
    } while (stats.workers != workers || stats.spares != spares);
}

/* ---- spares ---- */

static int spare_main(void *arg)
{
    const skua_pool_opts opts = {.workers = 1, .payload_max = 4096};
    skua_pool *pool = open_with(&opts);
    skua_pool_stats stats;
    for (uint64_t round = 1; round <= 5; round++) {
        await_processes(pool, 1, 1);
        const int newest = run_job(pool, &get_pid_job);
        CHECK_INT(run_job(pool, &die_job), -EOWNERDEAD);
        const int next = run_job(pool, &get_pid_job);
        CHECK(next != newest);
        skua_pool_stats_get(pool, &stats);
        CHECK_INT(stats.replaced, round);
        CHECK_INT(stats.crashed, round);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_spare_takes_the_place_of_a_lost_worker(void **state)
{
    CHECK_INT(run_with(spare_main), 0);
}

/* ---- init jobs ---- */

static int init_main(void *arg)
{
    const size_t sizes[] = {0, 5, 100 * 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *data = make_bytes(sizes[i], 5);
        unsigned sum = 0;
        for (size_t k = 0; k < sizes[i]; k++) {
            sum += (unsigned char)data[k];
        }
        const skua_pool_opts opts = {.workers = 2,
                                     .payload_max = 1 << 20,
                                     .init = &prepare_job,
                                     .init_in = bytes_of(data, sizes[i])};
        skua_pool *pool = open_with(&opts);
        free(data);
        for (int round = 0; round < 6; round++) {
            skua_buf out;
            struct prepared prepared;
            CHECK_INT(skua_pool_call(pool, &look_at_state_job, none, &out, FOREVER), 0);
            memcpy(&prepared, out.data, sizeof prepared);
            skua_buf_release(&out);
            CHECK_INT(prepared.runs, 1);
            CHECK_INT(prepared.bytes, sizes[i]);
            CHECK_INT(prepared.sum, sum);
            CHECK(prepared.worker <= 2 + (unsigned)round + SKUA__SPARES);
            CHECK_INT(run_job(pool, &die_job), -EOWNERDEAD);
        }
        skua_pool_destroy(pool);
    }
    return 0;
}

/* covers: A67 */
static void init_jobs_run_before_all_others(void **state)
{
    CHECK_INT(run_with(init_main), 0);
}

static int create_task(void *arg)
{
    skua_pool *pool = NULL;
    int error = skua_pool_create(&pool, arg);
    CHECK(error < 0);
    return error;
}

static void check_create_fails(skua_pool_opts *opts, int code, const char *text)
{
    skua_task *task;
    int result;
    CHECK_INT(skua_spawn(&task, create_task, opts, NULL), 0);
    CHECK_INT(skua_join(task, &result, FOREVER), 0);
    CHECK_INT(result, code);
    const skua_error *error = skua_task_error(task);
    CHECK(error != NULL && error->text != NULL && strstr(error->text, text) != NULL);
    skua_task_release(task);
}

static int init_fails_main(void *arg)
{
    skua_pool_opts opts = {
        .workers = 2, .init = &fail_to_prepare_job, .init_in = bytes_of("model", 6)};
    check_create_fails(&opts, -ENOKEY, "there is no model");
    opts.init = &die_job;
    check_create_fails(&opts, -EOWNERDEAD, "signal 6");
    return 0;
}

static void a_failing_init_job_fails_the_create(void **state)
{
    CHECK_INT(run_with(init_fails_main), 0);
}

static int init_later_main(void *arg)
{
    char path[] = "/tmp/skua-init-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    const skua_pool_opts opts = {
        .workers = 1, .init = &depend_on_file_job, .init_in = bytes_of(path, sizeof path)};
    skua_pool *pool = open_with(&opts);
    await_processes(pool, 1, 1);
    unlink(path);
    CHECK_INT(run_job(pool, &die_job), -EOWNERDEAD);
    CHECK_INT(run_job(pool, &die_job), -EOWNERDEAD); /* the spare */
    await_processes(pool, 0, 0);
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &get_pid_job, none, &out, skua_after(SKUA_MS(50))), -ETIMEDOUT);
    file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    CHECK(run_job(pool, &get_pid_job) > 0); /* it was tried again */
    unlink(path);
    skua_pool_destroy(pool);
    return 0;
}

static void later_workers_are_tried_again(void **state)
{
    CHECK_INT(run_with(init_later_main), 0);
}

/* ---- replacement ---- */

enum { WORN_TASKS = 8, WORN_JOBS = 8, WORN_MAX = 3 };

static int worn_task(void *pool)
{
    for (int i = 0; i < WORN_JOBS; i++) {
        const int count = run_job(pool, &count_jobs_job);
        CHECK(count >= 1 && count <= WORN_MAX);
    }
    return 0;
}

static int worn_main(void *arg)
{
    const skua_pool_opts opts = {
        .workers = 2, .payload_max = 4096, .jobs_per_worker_max = WORN_MAX};
    skua_pool *pool = open_with(&opts);
    skua_task *tasks[WORN_TASKS];
    for (int i = 0; i < WORN_TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], worn_task, pool, NULL), 0);
    }
    for (int i = 0; i < WORN_TASKS; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, FOREVER), 0);
    }
    skua_task_release_all(tasks, WORN_TASKS);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.answered, WORN_TASKS * WORN_JOBS);
    CHECK_INT(stats.crashed, 0);
    CHECK(stats.replaced >= WORN_TASKS * WORN_JOBS / WORN_MAX - 2);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void workers_are_replaced_after_so_many_jobs(void **state)
{
    CHECK_INT(run_with(worn_main), 0);
}

/* ---- growing and shrinking ---- */

static int resize_main(void *arg)
{
    enum { MOST = 20 };
    const uint32_t sizes[] = {1, MOST, 3, 3, 1, 7, 2};
    const int ms = 5;
    struct call calls[MOST];
    pid_t pids[2 * MOST];
    skua_pool *pool = open_pool(2, 4096);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int k = 0; k < MOST; k++) {
            calls[k] = (struct call){.pool = pool, .job = &nap_job, .in = BYTES(ms)};
            start_call(&calls[k]);
        }
        CHECK_INT(skua_pool_resize(pool, sizes[i]), 0);
        for (int k = 0; k < MOST; k++) {
            CHECK_INT(end_call(&calls[k]), 0); /* none is lost */
        }
        await_processes(pool, sizes[i], 1);
        CHECK_INT(skua_pool_pids(pool, pids, 2 * MOST), sizes[i]);
        CHECK(has_workers_soon((int)sizes[i] + 1));
    }
    CHECK_INT(skua_pool_resize(pool, 0), -EINVAL);
    CHECK_INT(skua_pool_resize(pool, 1025), -EINVAL);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void pools_grow_and_shrink(void **state)
{
    CHECK_INT(run_with(resize_main), 0);
}

/* ---- draining ---- */

static int drain_task(void *pool)
{
    return skua_pool_drain(pool, FOREVER);
}

static int drain_main(void *arg)
{
    enum { COUNT = 6 };
    struct call calls[COUNT];
    skua_task *task;
    int result;
    skua_pool *pool = open_pool(2, 4096);
    reset_gate(false);
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (struct call){.pool = pool, .job = &pass_gate_job};
        start_call(&calls[i]);
    }
    await_begun(pool, calls, COUNT);
    CHECK_INT(skua_pool_drain(pool, SKUA_NOW), -EAGAIN);
    CHECK_INT(run_job(pool, &get_pid_job), -ESHUTDOWN);
    CHECK_INT(skua_pool_drain(pool, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_spawn(&task, drain_task, pool, NULL), 0);
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(task);
    CHECK_INT(skua_join(task, &result, FOREVER), 0);
    CHECK_INT(result, -ECANCELED);
    skua_task_release(task);
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(end_call(&calls[i]), 0);
    }
    CHECK_INT(skua_pool_drain(pool, SKUA_NOW), 0);
    CHECK_INT(skua_pool_resize(pool, 3), -ESHUTDOWN);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void pools_drain(void **state)
{
    CHECK_INT(run_with(drain_main), 0);
}

static void *drain_thread(void *pool)
{
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    return NULL;
}

static int drain_foreign_main(void *arg)
{
    const int ms = 30;
    pthread_t thread;
    skua_pool *pool = open_pool(1, 4096);
    struct call call = {.pool = pool, .job = &nap_job, .in = BYTES(ms)};
    start_call(&call);
    await_begun(pool, &call, 1);
    CHECK_INT(pthread_create(&thread, NULL, drain_thread, pool), 0);
    CHECK_INT(end_call(&call), 0);
    pthread_join(thread, NULL);
    skua_pool_destroy(pool);
    return 0;
}

static void foreign_threads_drain(void **state)
{
    CHECK_INT(run_with(drain_foreign_main), 0);
}

/* ---- idling ---- */

/* How often the process has been scheduled. */
static long count_switches(pid_t pid)
{
    char path[64], line[256];
    long total = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *at = strstr(line, "voluntary_ctxt_switches:");
        total += at != NULL ? atol(strchr(at, ':') + 1) : 0;
    }
    fclose(file);
    return total;
}

static int idle_main(void *arg)
{
    enum { COUNT = 3 };
    pid_t pids[COUNT + 1];
    long before = 0, after = 0;
    skua_pool *pool = open_pool(COUNT, 4096);
    check_echo(pool, "abc", 3);
    await_processes(pool, COUNT, 1);
    CHECK_INT(skua_pool_pids(pool, pids, COUNT), COUNT);
    pids[COUNT] = skua__zygote_pid();
    /* What was going on comes to its end at some time; a timer would never leave them alone. */
    for (int i = 0; i < 20 && (i == 0 || after != before); i++) {
        before = i == 0 ? -1 : after;
        after = 0;
        nap_here(SKUA_MS(400));
        for (int k = 0; k <= COUNT; k++) {
            after += count_switches(pids[k]);
        }
    }
    CHECK_INT(after, before);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void idle_processes_are_not_woken(void **state)
{
    CHECK_INT(run_with(idle_main), 0);
}

/* A worker that is only made ready holds nobody up. */
static int drain_with_init_main(void *arg)
{
    const skua_pool_opts opts = {.workers = 1, .init = &prepare_job};
    for (int round = 0; round < 8; round++) {
        skua_pool *pool = open_with(&opts);
        CHECK_INT(run_job(pool, &look_at_state_job), 0);
        CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
        skua_pool_destroy(pool);
    }
    return 0;
}

static void init_jobs_are_not_waited_for(void **state)
{
    CHECK_INT(run_with(drain_with_init_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_spare_takes_the_place_of_a_lost_worker),
        TEST(init_jobs_run_before_all_others),
        TEST(a_failing_init_job_fails_the_create),
        TEST(later_workers_are_tried_again),
        TEST(workers_are_replaced_after_so_many_jobs),
        TEST(pools_grow_and_shrink),
        TEST(pools_drain),
        TEST(init_jobs_are_not_waited_for),
        TEST(foreign_threads_drain),
        TEST(idle_processes_are_not_woken),
    };
    return TEST_RUN(tests);
}
