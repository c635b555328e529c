/* Jobs as tasks, their order, and memory that the program shares with workers. */
#include "pool_help.h"

#include <pthread.h>
#include <sched.h>
#include <skua/testing.h>
#include <sys/mman.h>

/* Shared with the worker processes, since it is there before they are. */
static struct {
    _Atomic int begun;
    _Atomic int open;
    _Atomic int order;
} * shared;

__attribute__((constructor)) static void share(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Answers with its input's own memory, its first byte changed. */
static int stamp(skua_bytes in, skua_reply *reply)
{
    if (in.bytes > 0) {
        *(char *)skua_job_input(reply) = '!';
    }
    skua_job_commit_input(reply, in.bytes);
    return 0;
}
SKUA_JOB(stamp);

/* Runs until the test opens the gate. */
static int gate(skua_bytes in, skua_reply *reply)
{
    shared->begun++;
    while (shared->open == 0) {
        sched_yield();
    }
    return 0;
}
SKUA_JOB(gate);

/* The how manieth of its kind it is. */
static int count(skua_bytes in, skua_reply *reply)
{
    return ++shared->order;
}
SKUA_JOB(count);

/* Dies when it is begun for the first time. */
static int die_once(skua_bytes in, skua_reply *reply)
{
    if (shared->begun++ == 0) {
        abort();
    }
    return 7;
}
SKUA_JOB(die_once);

static int refuse(skua_bytes in, skua_reply *reply)
{
    return skua_job_fail(reply, -EINVAL, "%d bytes are not enough", (int)in.bytes);
}
SKUA_JOB(refuse);

/* Goes when it is told to. */
static int obey(skua_bytes in, skua_reply *reply)
{
    shared->begun++;
    while (!skua_job_stopping(reply)) {
        sched_yield();
    }
    return 5;
}
SKUA_JOB(obey);

static const skua_bytes none = {NULL, 0};

static void reset(void)
{
    shared->begun = shared->open = shared->order = 0;
}

static skua_task *submit_with(skua_pool *pool, const skua_job *job, skua_bytes in,
                              const skua_call_opts *opts, skua_buf *out)
{
    skua_task *task = NULL;
    CHECK_INT(skua_pool_submit(pool, &task, job, in, opts, out, FOREVER), 0);
    return task;
}

static skua_task *submit(skua_pool *pool, const skua_job *job, skua_bytes in, skua_buf *out)
{
    return submit_with(pool, job, in, NULL, out);
}

static int end_task(skua_task *task)
{
    int status = -1;
    CHECK_INT(skua_join(task, &status, FOREVER), 0);
    const skua_error *error = skua_task_error(task);
    CHECK(status >= 0 || error != NULL);
    skua_task_release(task);
    return status;
}

/* Until so many jobs have begun. */
static void await_begun_jobs(int jobs)
{
    while (shared->begun < jobs) {
        CHECK_INT(skua_yield(), 0);
    }
}

static void run_on_1_2_4(skua_fn fn)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers};
        reset();
        CHECK_INT(skua_run(&config, fn, NULL), 0);
    }
}

/* --- tasks ------------------------------------------------------------------------------------ */

static int answers_main(void *arg)
{
    enum { COUNT = 200 };
    const size_t sizes[] = {0, 1, 192, 193, 256, 257, 4096, 4097, 100 * 1000};
    const size_t most = 100 * 1000;
    char *data = make_bytes(most, test_seed());
    skua_task *tasks[COUNT];
    skua_buf outs[COUNT];
    skua_pool *pool = open_pool(2, most);
    for (size_t i = 0; i < COUNT; i++) {
        const size_t bytes = sizes[i % SKUA_COUNT_OF(sizes)];
        char *copy = malloc(bytes + 1);
        memcpy(copy, data, bytes);
        tasks[i] = submit(pool, &echo_job, bytes_of(copy, bytes), &outs[i]);
        memset(copy, 0, bytes); /* it was copied */
        free(copy);
    }
    for (size_t i = 0; i < COUNT; i++) {
        const size_t bytes = sizes[i % SKUA_COUNT_OF(sizes)];
        CHECK_STR(skua_task_name(tasks[i]), "echo");
        CHECK_INT(end_task(tasks[i]), 0);
        CHECK_INT(outs[i].bytes, bytes);
        CHECK(bytes == 0 || memcmp(outs[i].data, data, bytes) == 0);
        skua_buf_release(&outs[i]);
    }
    free(data);
    skua_pool_destroy(pool);
    return 0;
}

static void submitted_jobs_answer(void **state)
{
    run_on_1_2_4(answers_main);
}

static int group_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    {
        SKUA_GROUP(group);
        skua_group_open(&group, SKUA_COLLECT, FOREVER);
        const skua_call_opts opts = {.group = &group, .name = "member"};
        for (int i = 0; i < 100; i++) {
            CHECK_INT(skua_pool_submit(pool, NULL, &count_job, none, &opts, NULL, FOREVER), 0);
        }
        (void)!skua_group_close(&group, 0);
    }
    CHECK_INT(shared->order, 100);
    {
        SKUA_GROUP(group);
        skua_group_open(&group, SKUA_COLLECT, FOREVER);
        const skua_call_opts opts = {.group = &group};
        for (int i = 0; i < 10; i++) {
            CHECK_INT(skua_pool_submit(pool, NULL, &hang_job, none, &opts, NULL, FOREVER), 0);
        }
        skua_group_cancel(&group);
        (void)!skua_group_close(&group, 0);
    }
    check_echo(pool, "after", 5);
    skua_pool_destroy(pool);
    return 0;
}

static void submitted_jobs_are_members_of_groups(void **state)
{
    run_on_1_2_4(group_main);
}

static int cancel_main(void *arg)
{
    pid_t pid;
    skua_pool *pool = open_pool(1, 4096);
    CHECK_INT(skua_pool_pids(pool, &pid, 1), 1);
    skua_task *running = submit(pool, &gate_job, none, NULL);
    skua_task *queued[100];
    for (int i = 0; i < 100; i++) {
        queued[i] = submit(pool, &count_job, none, NULL);
    }
    await_begun_jobs(1);
    for (int i = 0; i < 100; i += 2) {
        skua_task_cancel(queued[i]);
    }
    for (int i = 0; i < 100; i += 2) {
        CHECK_INT(end_task(queued[i]), -ECANCELED);
    }
    CHECK(is_alive(pid));
    shared->open = 1;
    CHECK_INT(end_task(running), 0);
    for (int i = 1; i < 100; i += 2) {
        CHECK_INT(end_task(queued[i]), (i + 1) / 2); /* in their order */
    }
    shared->open = 0;
    running = submit(pool, &gate_job, none, NULL);
    skua_task *next = submit(pool, &count_job, none, NULL);
    await_begun_jobs(2);
    skua_task_cancel(running);
    CHECK_INT(end_task(running), -ECANCELED);
    CHECK(is_gone_soon(pid));
    CHECK_INT(end_task(next), 51); /* it had not begun, and got another worker */
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_cancel_kills_only_what_has_begun(void **state)
{
    run_on_1_2_4(cancel_main);
}

static int deadline_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    skua_task *hanging = NULL, *queued = NULL;
    skua_task *gated = submit(pool, &gate_job, none, NULL);
    CHECK_INT(
        skua_pool_submit(pool, &queued, &count_job, none, NULL, NULL, skua_after(SKUA_MS(10))), 0);
    CHECK_INT(end_task(queued), -ETIMEDOUT);
    CHECK_INT(shared->order, 0);
    shared->open = 1;
    CHECK_INT(end_task(gated), 0);
    CHECK_INT(
        skua_pool_submit(pool, &hanging, &hang_job, none, NULL, NULL, skua_after(SKUA_MS(30))), 0);
    CHECK_INT(end_task(hanging), -ETIMEDOUT);
    check_echo(pool, "next", 4);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void deadlines_of_submitted_jobs_hold(void **state)
{
    run_on_1_2_4(deadline_main);
}

/* With a deadline that comes when the job has begun: a longer one where that takes so long. */
static int call_until_late(skua_pool *pool, const skua_job *job, const skua_call_opts *opts)
{
    int64_t limit_ns = SKUA_MS(20);
    for (shared->begun = 0;; limit_ns *= 2) {
        int status = skua_pool_call_with(pool, job, none, opts, NULL, skua_after(limit_ns));
        if (shared->begun > 0) {
            return status;
        }
        CHECK_INT(status, -ETIMEDOUT);
    }
}

static int grace_main(void *arg)
{
    pid_t before, after;
    skua_pool *pool = open_pool(1, 4096);
    const skua_call_opts patient = {.grace_ns = SKUA_SEC(20)};
    const skua_call_opts strict = {.grace_ns = SKUA_MS(10)};
    CHECK_INT(skua_pool_pids(pool, &before, 1), 1);
    skua_task *task = submit_with(pool, &obey_job, none, &patient, NULL);
    await_begun_jobs(1);
    skua_task_cancel(task);
    CHECK_INT(end_task(task), 5);
    CHECK_INT(call_until_late(pool, &obey_job, &patient), 5);
    CHECK_INT(skua_pool_pids(pool, &after, 1), 1);
    CHECK_INT(before, after); /* nobody was killed */
    CHECK_INT(call_until_late(pool, &gate_job, &strict), -ETIMEDOUT);
    CHECK(is_gone_soon(before));
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_job_may_end_by_itself_in_its_grace(void **state)
{
    run_on_1_2_4(grace_main);
}

static int refusals_main(void *arg)
{
    skua_pool *pool = NULL;
    const skua_pool_opts opts = {.workers = 1, .payload_max = 4096, .queue_max = 2};
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    const skua_call_opts bad[] = {
        {.priority = 4}, {.priority = -5}, {.grace_ns = -1}, {.fd_count = 9}, {.channel_count = 9}};
    skua_task *task = NULL;
    for (size_t i = 0; i < SKUA_COUNT_OF(bad); i++) {
        CHECK_INT(skua_pool_submit(pool, &task, &echo_job, none, &bad[i], NULL, FOREVER), -EINVAL);
    }
    char large[4097];
    CHECK_INT(skua_pool_submit(pool, &task, &echo_job, BYTES(large), NULL, NULL, FOREVER),
              -EMSGSIZE);
    skua_task *first = submit(pool, &gate_job, none, NULL);
    skua_task *second = submit(pool, &count_job, none, NULL);
    CHECK_INT(skua_pool_submit(pool, &task, &count_job, none, NULL, NULL, FOREVER), -EAGAIN);
    CHECK_PTR(task, NULL);
    shared->open = 1;
    CHECK_INT(end_task(first), 0);
    CHECK_INT(end_task(second), 1);
    task = submit(pool, &refuse_job, bytes_of("abc", 3), NULL);
    int status;
    CHECK_INT(skua_join(task, &status, FOREVER), 0);
    CHECK_INT(status, -EINVAL);
    CHECK_STR(skua_task_error(task)->text, "3 bytes are not enough");
    skua_task_release(task);
    skua_pool_destroy(pool);
    return 0;
}

static void wrong_submissions_are_refused(void **state)
{
    run_on_1_2_4(refusals_main);
}

static int destroy_main(void *arg)
{
    enum { COUNT = 300 };
    skua_task *tasks[COUNT];
    skua_pool *pool = open_pool(2, 4096);
    for (int i = 0; i < COUNT; i++) {
        tasks[i] = submit(pool, &hang_job, none, NULL);
    }
    skua_pool_destroy(pool);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(end_task(tasks[i]), -ESHUTDOWN);
    }
    return 0;
}

/* covers: D80 */
static void destroy_ends_submitted_jobs(void **state)
{
    run_on_1_2_4(destroy_main);
}

static int many_main(void *arg)
{
    enum { COUNT = 6000 / TEST_SCALE };
    skua_pool *pool = open_pool(2, 4096);
    skua_task **tasks = calloc(COUNT, sizeof *tasks);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(skua_pool_submit(pool, &tasks[i], &count_job, none, NULL, NULL, FOREVER), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(end_task(tasks[i]) > 0);
    }
    CHECK_INT(shared->order, COUNT);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.workers, 2);
    CHECK_INT(stats.answered, COUNT);
    CHECK_INT(stats.queued + stats.running + stats.killed + stats.crashed + stats.loans, 0);
    free(tasks);
    skua_pool_destroy(pool);
    return 0;
}

static void many_jobs_wait_without_stacks(void **state)
{
    run_on_1_2_4(many_main);
}

static void *submit_from_thread(void *pool)
{
    skua_task *task = NULL;
    CHECK_INT(skua_pool_submit(pool, &task, &echo_job, none, NULL, NULL, FOREVER), -EPERM);
    skua_buf buf;
    CHECK_INT(skua_pool_alloc(pool, &buf, 100, FOREVER), 0);
    CHECK_INT(skua_pool_call_with(pool, &stamp_job, none, &(skua_call_opts){.in_buf = &buf}, NULL,
                                  FOREVER),
              0);
    CHECK_PTR(buf.owner, NULL);
    return NULL;
}

static int foreign_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, submit_from_thread, pool), 0);
    pthread_join(thread, NULL);
    skua_pool_destroy(pool);
    return 0;
}

static void foreign_threads_do_not_submit(void **state)
{
    run_on_1_2_4(foreign_main);
}

/* A job takes real time: a virtual clock waits for it, and does not for a pool that has nothing to
   do. */
static int virtual_main(void *arg)
{
    const int ms = 30;
    skua_pool *pool = open_pool(1, 4096);
    const skua_time start = skua_clock();
    skua_task *task = submit(pool, &nap_job, BYTES(ms), NULL);
    CHECK_INT(skua_join(task, NULL, skua_after(SKUA_SEC(3600))), 0);
    CHECK_INT(end_task(task), 0);
    skua_pool_item item = {.in = BYTES(ms)};
    CHECK_INT(skua_pool_map(pool, &nap_job, &item, 1, skua_after(SKUA_SEC(3600))), 0);
    skua_buf_release(&item.out);
    CHECK(skua_elapsed_ns(start) < SKUA_SEC(3600));
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(3600))), 0);
    skua_pool_destroy(pool);
    return 0;
}

static void a_virtual_clock_waits_for_jobs(void **state)
{
    const skua_test_opts opts = {.virtual_clock = true};
    CHECK_INT(skua_test_run(&opts, virtual_main, NULL), 0);
}

/* --- order ------------------------------------------------------------------------------------ */

static int priorities_main(void *arg)
{
    enum { EACH = 20 };
    skua_pool *pool = open_pool(1, 4096);
    skua_task *first = submit(pool, &gate_job, none, NULL);
    await_begun_jobs(1);
    skua_task *tasks[3][EACH];
    const int priorities[3] = {-4, 0, 3};
    for (int kind = 0; kind < 3; kind++) {
        const skua_call_opts opts = {.priority = priorities[kind]};
        for (int i = 0; i < EACH; i++) {
            tasks[kind][i] = submit_with(pool, &count_job, none, &opts, NULL);
        }
    }
    shared->open = 1;
    CHECK_INT(end_task(first), 0);
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < EACH; i++) {
            CHECK_INT(end_task(tasks[kind][i]), (2 - kind) * EACH + i + 1);
        }
    }
    skua_pool_destroy(pool);
    return 0;
}

static void a_higher_priority_is_begun_first(void **state)
{
    run_on_1_2_4(priorities_main);
}

static int long_job_main(void *arg)
{
    enum { COUNT = 500 };
    skua_task *tasks[COUNT];
    skua_pool *pool = open_pool(2, 4096);
    for (int i = 0; i < 100; i++) {
        check_echo(pool, "short", 5); /* so that many are sent ahead */
    }
    for (int i = 0; i < COUNT / 2; i++) {
        tasks[i] = submit(pool, &count_job, none, NULL);
    }
    skua_task *gated = submit(pool, &gate_job, none, NULL);
    for (int i = COUNT / 2; i < COUNT; i++) {
        tasks[i] = submit(pool, &count_job, none, NULL);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(end_task(tasks[i]) > 0); /* while the gate is closed */
    }
    shared->open = 1;
    CHECK_INT(end_task(gated), 0);
    skua_pool_destroy(pool);
    return 0;
}

static void a_long_job_holds_up_nobody(void **state)
{
    run_on_1_2_4(long_job_main);
}

static int attempts_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    const skua_call_opts twice = {.attempts = 2};
    CHECK_INT(end_task(submit_with(pool, &die_once_job, none, &twice, NULL)), 7);
    shared->begun = 0;
    CHECK_INT(end_task(submit(pool, &die_once_job, none, NULL)), -EOWNERDEAD);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.crashed, 2);
    CHECK_INT(stats.retried, 1);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: D79 */
static void idempotent_jobs_are_begun_again(void **state)
{
    run_on_1_2_4(attempts_main);
}

/* --- memory ----------------------------------------------------------------------------------- */

static int buffers_main(void *arg)
{
    const size_t sizes[] = {1, 192, 193, 5000, 1 << 20};
    skua_pool *pool = open_pool(1, 1 << 20);
    for (size_t i = 0; i < SKUA_COUNT_OF(sizes); i++) {
        skua_buf buf, out;
        CHECK_INT(skua_pool_alloc(pool, &buf, sizes[i], FOREVER), 0);
        CHECK_INT(buf.bytes, sizes[i]);
        memset(buf.data, 'x', buf.bytes);
        const void *where = buf.data;
        const skua_call_opts opts = {.in_buf = &buf};
        if (i % 2 == 0) {
            CHECK_INT(skua_pool_call_with(pool, &stamp_job, none, &opts, &out, FOREVER), 0);
        } else {
            CHECK_INT(end_task(submit_with(pool, &stamp_job, none, &opts, &out)), 0);
        }
        CHECK_PTR(buf.owner, NULL);
        CHECK_INT(out.bytes, sizes[i]);
        CHECK_PTR(out.data, where); /* there and back without a copy */
        CHECK_INT(*(char *)out.data, '!');
        CHECK(sizes[i] == 1 || ((char *)out.data)[sizes[i] - 1] == 'x');
        skua_buf_release(&out);
    }
    skua_buf buf;
    CHECK_INT(skua_pool_alloc(pool, &buf, (1 << 20) + 1, FOREVER), -EMSGSIZE);
    CHECK_INT(skua_pool_alloc(pool, &buf, 0, FOREVER), 0);
    CHECK_PTR(buf.owner, NULL);
    CHECK_INT(skua_pool_alloc(pool, &buf, 1000, FOREVER), 0);
    skua_buf_release(&buf);
    skua_buf_release(&buf);
    skua_pool_destroy(pool);
    return 0;
}

static void buffers_go_there_and_back_without_a_copy(void **state)
{
    run_on_1_2_4(buffers_main);
}

/* A buffer of one worker's that another one has to take. */
static int moved_main(void *arg)
{
    const size_t bytes = 200 * 1000;
    char *data = make_bytes(bytes, 3);
    skua_pool *pool = open_pool(2, bytes);
    skua_task *gates[1] = {submit(pool, &gate_job, none, NULL)};
    await_begun_jobs(1);
    for (int i = 0; i < 10; i++) {
        skua_buf buf, out;
        CHECK_INT(skua_pool_alloc(pool, &buf, bytes, FOREVER), 0);
        memcpy(buf.data, data, bytes);
        const skua_call_opts opts = {.in_buf = &buf};
        CHECK_INT(end_task(submit_with(pool, &echo_job, none, &opts, &out)), 0);
        CHECK_INT(out.bytes, bytes);
        CHECK(memcmp(out.data, data, bytes) == 0);
        skua_buf_release(&out);
    }
    shared->open = 1;
    CHECK_INT(end_task(gates[0]), 0);
    free(data);
    skua_pool_destroy(pool);
    return 0;
}

static void a_buffer_moves_if_its_worker_is_busy(void **state)
{
    run_on_1_2_4(moved_main);
}

struct waiter {
    skua_pool *pool;
    size_t bytes;
};

static int wait_for_buffer(void *arg)
{
    struct waiter *self = arg;
    skua_buf buf;
    int status = skua_pool_alloc(self->pool, &buf, self->bytes, FOREVER);
    skua_buf_release(&buf);
    return status;
}

static int scarce_main(void *arg)
{
    enum { MOST = 64, WAITERS = 8 };
    const size_t bytes = (size_t)4 << 20;
    skua_buf bufs[MOST];
    int got = 0;
    skua_pool *pool = open_pool(1, bytes);
    while (skua_pool_alloc(pool, &bufs[got], bytes, SKUA_NOW) == 0) {
        got++;
        CHECK(got < MOST);
    }
    CHECK(got > 0);
    CHECK_INT(skua_pool_alloc(pool, &bufs[got], bytes, skua_after(SKUA_MS(10))), -ETIMEDOUT);
    /* Jobs go on, with inputs and answers of all sizes, whatever the program holds. */
    char *data = make_bytes(bytes, 1);
    check_echo(pool, data, bytes);
    skua_buf outs[4];
    for (int i = 0; i < 4; i++) {
        CHECK_INT(skua_pool_call(pool, &stamp_job, bytes_of(data, bytes), &outs[i], FOREVER), 0);
        CHECK_INT(outs[i].bytes, bytes);
        CHECK(memcmp((char *)outs[i].data + 1, data + 1, bytes - 1) == 0);
    }
    struct waiter waiters[WAITERS];
    skua_task *tasks[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){pool, i % 2 == 0 ? bytes : 4096};
        CHECK_INT(skua_spawn(&tasks[i], wait_for_buffer, &waiters[i], NULL), 0);
    }
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(tasks[0]);
    for (int i = 0; i < 4; i++) {
        skua_buf_release(&outs[i]);
    }
    for (int i = 0; i < got; i++) {
        skua_buf_release(&bufs[i]);
    }
    for (int i = 0; i < WAITERS; i++) {
        const int status = end_task(tasks[i]);
        CHECK(status == 0 || (i == 0 && status == -ECANCELED));
    }
    free(data);
    skua_pool_destroy(pool);
    return 0;
}

static void memory_in_the_programs_hands_stops_no_job(void **state)
{
    const skua_config config = {.workers = 2};
    reset();
    CHECK_INT(skua_run(&config, scarce_main, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(submitted_jobs_answer),
        TEST(submitted_jobs_are_members_of_groups),
        TEST(a_cancel_kills_only_what_has_begun),
        TEST(deadlines_of_submitted_jobs_hold),
        TEST(a_job_may_end_by_itself_in_its_grace),
        TEST(wrong_submissions_are_refused),
        TEST(destroy_ends_submitted_jobs),
        TEST(many_jobs_wait_without_stacks),
        TEST(foreign_threads_do_not_submit),
        TEST(a_virtual_clock_waits_for_jobs),
        TEST(a_higher_priority_is_begun_first),
        TEST(a_long_job_holds_up_nobody),
        TEST(idempotent_jobs_are_begun_again),
        TEST(buffers_go_there_and_back_without_a_copy),
        TEST(a_buffer_moves_if_its_worker_is_busy),
        TEST(memory_in_the_programs_hands_stops_no_job),
    };
    return TEST_RUN(tests);
}
