/* Jobs as tasks, streams and buffers while workers are killed: submissions of all priorities and
   sizes that are cancelled and reach deadlines at any moment, maps and streams beside them. Every
   job has one outcome, an answer is the right one, and nothing is left. Goes on for
   SKUA_STRESS_SECONDS. */
#include "../pool_help.h"

#include <stdatomic.h>

enum { WORKERS = 3, TASKS = 6, BATCH = 24, PAYLOAD_MAX = 1 << 18 };

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

typedef struct storm {
    skua_pool *pool;
    skua_time end;
    const char *data;
    atomic_uint tasks_left;
    atomic_ulong jobs, answers;
} storm;

static bool is_over(const storm *self)
{
    return skua_clock().ns >= self->end.ns;
}

static size_t any_size(uint64_t *random)
{
    static const uint32_t bounds[] = {2, 200, 300, 5000, PAYLOAD_MAX};
    return below(random, bounds[below(random, SKUA_COUNT_OF(bounds))]);
}

static void check_answer(storm *self, int status, const skua_buf *out, size_t from, size_t bytes)
{
    atomic_fetch_add(&self->jobs, 1);
    if (status == 0) {
        CHECK_INT(out->bytes, bytes);
        CHECK(bytes == 0 || memcmp(out->data, self->data + from, bytes) == 0);
        atomic_fetch_add(&self->answers, 1);
    } else {
        CHECK(status == -EOWNERDEAD || status == -ECANCELED || status == -ETIMEDOUT);
        CHECK_INT(out->bytes, 0);
    }
}

typedef struct submitted {
    skua_task *task;
    skua_buf in, out;
    size_t from, bytes;
} submitted;

static void submit_one(storm *self, submitted *job, uint64_t *random)
{
    job->from = below(random, 1000);
    job->bytes = any_size(random);
    job->in = job->out = (skua_buf){NULL, 0, NULL};
    skua_call_opts opts = {.priority = (int)below(random, 8) - 4,
                           .attempts = below(random, 3),
                           .grace_ns = below(random, 2) * SKUA_US(200)};
    if (below(random, 3) == 0 && job->bytes > 0 &&
        skua_pool_alloc(self->pool, &job->in, job->bytes, SKUA_NOW) == 0) {
        memcpy(job->in.data, self->data + job->from, job->bytes);
        opts.in_buf = &job->in;
    }
    const skua_bytes in = bytes_of(self->data + job->from, job->bytes);
    const skua_time deadline =
        below(random, 4) == 0 ? skua_after(SKUA_US(1) * below(random, 3000)) : FOREVER;
    CHECK_INT(skua_pool_submit(self->pool, &job->task, &echo_job, in, &opts, &job->out, deadline),
              0);
    CHECK_PTR(job->in.owner, NULL);
}

static int submit_task(void *arg)
{
    storm *self = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    while (!is_over(self)) {
        submitted jobs[BATCH];
        for (int i = 0; i < BATCH; i++) {
            submit_one(self, &jobs[i], &random);
        }
        for (int i = 0; i < BATCH; i++) {
            if (below(&random, 8) == 0) {
                skua_task_cancel(jobs[below(&random, BATCH)].task);
            }
        }
        for (int i = 0; i < BATCH; i++) {
            int status;
            CHECK_INT(skua_join(jobs[i].task, &status, FOREVER), 0);
            CHECK(status >= 0 || skua_task_error(jobs[i].task) != NULL);
            check_answer(self, status, &jobs[i].out, jobs[i].from, jobs[i].bytes);
            skua_buf_release(&jobs[i].out);
        }
        for (int i = 0; i < BATCH; i++) {
            skua_task_release(jobs[i].task);
        }
    }
    atomic_fetch_sub(&self->tasks_left, 1);
    return 0;
}

typedef struct source {
    storm *storm;
    uint64_t random;
    uint32_t left;
    size_t bytes; /* of all of them */
} source;

static int next_input(void *arg, skua_bytes *in, skua_buf *buf)
{
    source *self = arg;
    if (self->left == 0) {
        return 0;
    }
    self->left--;
    if (self->bytes > 0 && below(&self->random, 3) == 0 &&
        skua_pool_alloc(self->storm->pool, buf, self->bytes, SKUA_NOW) == 0) {
        memcpy(buf->data, self->storm->data, self->bytes);
    } else {
        *in = bytes_of(self->storm->data, self->bytes);
    }
    return 1;
}

static int stream_task(void *arg)
{
    storm *self = arg;
    source from = {.storm = self, .random = test_seed() ^ (uintptr_t)&from};
    while (!is_over(self)) {
        from.left = 200;
        from.bytes = any_size(&from.random);
        const skua_pool_stream_opts opts = {.unordered = below(&from.random, 2),
                                            .chunk = below(&from.random, 5),
                                            .in_flight_max = below(&from.random, 40),
                                            .attempts = below(&from.random, 3)};
        skua_pool_stream *stream;
        CHECK_INT(skua_pool_stream_open(&stream, self->pool, &echo_job, next_input, &from, &opts),
                  0);
        uint32_t stop = below(&from.random, 400);
        int status;
        skua_buf answer;
        int result;
        while ((result = skua_pool_stream_next(stream, NULL, &status, &answer, FOREVER)) == 1) {
            check_answer(self, status, &answer, 0, from.bytes);
            skua_buf_release(&answer);
            if (stop-- == 0) {
                break;
            }
        }
        CHECK(result >= 0);
        skua_pool_stream_close(stream);
    }
    atomic_fetch_sub(&self->tasks_left, 1);
    return 0;
}

static int storm_main(void *arg)
{
    storm self = {.pool = open_pool(WORKERS, PAYLOAD_MAX),
                  .end = skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 6)),
                  .data = make_bytes(PAYLOAD_MAX + 1000, 5),
                  .tasks_left = TASKS};
    uint64_t random = test_seed();
    skua_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], i % 2 == 0 ? submit_task : stream_task, &self, NULL), 0);
    }
    while (atomic_load(&self.tasks_left) > 0) {
        pid_t pids[WORKERS];
        const size_t count = skua_pool_pids(self.pool, pids, WORKERS);
        if (count > 0 && below(&random, 2) == 0) {
            kill(pids[below(&random, (uint32_t)(count < WORKERS ? count : WORKERS))], SIGKILL);
        }
        nap_here(SKUA_MS(10));
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, FOREVER), 0);
    }
    skua_task_release_all(tasks, TASKS);
    check_echo(self.pool, "after", 5);
    skua_pool_stats stats;
    skua_pool_stats_get(self.pool, &stats);
    CHECK_INT(stats.loans + stats.queued + stats.running, 0);
    printf("    %lu jobs: %lu answers; %llu crashed, %llu killed, %llu requeued, %llu retried\n",
           atomic_load(&self.jobs), atomic_load(&self.answers), (unsigned long long)stats.crashed,
           (unsigned long long)stats.killed, (unsigned long long)stats.requeued,
           (unsigned long long)stats.retried);
    skua_pool_destroy(self.pool);
    free((char *)(uintptr_t)self.data);
    return 0;
}

/* So that the zygote is there. */
static int first_main(void *arg)
{
    skua_pool_destroy(open_pool(1, 0));
    return 0;
}

/* covers: D79 */
static void every_job_has_one_outcome(void **state)
{
    CHECK_INT(run_with(first_main), 0);
    const int fds = test_fds();
    CHECK_INT(run_with(storm_main), 0);
    CHECK_INT(test_settle(test_fds, fds), fds);
    CHECK_INT(count_workers(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_job_has_one_outcome)};
    return TEST_RUN(tests);
}
