/* What programs know of pools of processes from elsewhere, with submits, maps and streams: so many
   processes and no more, which are used again; chunks keep the order; failures travel with their
   text; what is queued is finished or cancelled at the end. Jobs are held back by a gate that the
   tests open: nothing sleeps. */
#include "../pool_gate.h"

static void run_on_1_2_4(skua_fn fn)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers};
        CHECK_INT(skua_run(&config, fn, NULL), 0);
    }
}

/* --- processes: bounded and used again -------------------------------------------------------- */

static int saturation_main(void *arg)
{
    enum { PROCESSES = 3, COUNT = 15 * PROCESSES };
    static sent all[COUNT];
    skua_pool *pool = open_pool(PROCESSES, 4096);
    reset_gate(false);
    for (int i = 0; i < COUNT; i++) {
        send_job(pool, &all[i], &pass_gate_job);
    }
    await_here(&jobs_gate->begun, PROCESSES);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.workers, PROCESSES);
    CHECK_INT(stats.busy, PROCESSES);
    CHECK_INT(stats.queued + stats.running, COUNT);
    atomic_store(&jobs_gate->is_open, true);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(outcome_of(&all[i]), 0);
    }
    CHECK_INT(jobs_gate->peak, PROCESSES);
    CHECK_INT(jobs_gate->ended, COUNT);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D78 */
static void fifteen_times_as_many_jobs_share_three_processes(void **state)
{
    run_on_1_2_4(saturation_main);
}

static int reuse_main(void *arg)
{
    pid_t pids[2];
    skua_pool *pool = open_pool(1, 4096);
    reset_gate(true);
    CHECK_INT(skua_pool_pids(pool, pids, 2), 1);
    for (int i = 0; i < 20; i++) {
        sent one;
        send_job(pool, &one, &pass_gate_job);
        CHECK_INT(outcome_of(&one), 0);
        CHECK_INT(one.pid, pids[0]);
    }
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.replaced, 0);
    CHECK_INT(stats.answered, 20);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D78 */
static void jobs_in_sequence_share_one_process(void **state)
{
    run_on_1_2_4(reuse_main);
}

/* --- chunks ----------------------------------------------------------------------------------- */

static int cube(skua_bytes in, skua_reply *reply)
{
    int number;
    memcpy(&number, in.data, sizeof number);
    return number * number * number;
}
SKUA_JOB(cube);

typedef struct numbers {
    int next, end;
} numbers;

static int next_number(void *arg, skua_bytes *in, skua_buf *buf)
{
    numbers *self = arg;
    if (self->next == self->end) {
        return 0;
    }
    self->next++;
    *in = bytes_of(&self->next, sizeof self->next);
    return 1;
}

static int chunks_main(void *arg)
{
    const uint32_t chunks[] = {0, 1, 6, 40, 50};
    skua_pool *pool = open_pool(2, 4096);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        for (int unordered = 0; unordered < 2; unordered++) {
            const skua_pool_stream_opts opts = {.chunk = chunks[i], .unordered = unordered == 1};
            numbers source = {.end = 40};
            skua_pool_stream *stream;
            bool seen[40] = {false};
            CHECK_INT(skua_pool_stream_open(&stream, pool, &cube_job, next_number, &source, &opts),
                      0);
            for (uint64_t want = 0; want < 40; want++) {
                uint64_t index;
                int status;
                skua_buf out;
                CHECK_INT(skua_pool_stream_next(stream, &index, &status, &out, FOREVER), 1);
                CHECK(unordered == 1 || index == want);
                CHECK(index < 40 && !seen[index]);
                seen[index] = true;
                CHECK_INT(status, (int)((index + 1) * (index + 1) * (index + 1)));
                skua_buf_release(&out);
            }
            CHECK_INT(skua_pool_stream_next(stream, NULL, &source.end, &(skua_buf){0}, FOREVER), 0);
            skua_pool_stream_close(stream);
        }
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void chunks_of_any_size_give_the_same_answers(void **state)
{
    run_on_1_2_4(chunks_main);
}

/* --- failures --------------------------------------------------------------------------------- */

static int complain(skua_bytes in, skua_reply *reply)
{
    return skua_job_fail(reply, -EDOM, "line %zu: \033[2Jno number", in.bytes);
}
SKUA_JOB(complain);
/* What a terminal would obey is not in it. */
#define COMPLAINT "line 4: ?[2Jno number"

static int complain_main(void *arg)
{
    sent one;
    skua_pool *pool = open_pool(1, 4096);
    send_with(pool, &one, &complain_job, bytes_of("four", 4), NULL, FOREVER);
    CHECK_INT(skua_join(one.task, NULL, FOREVER), 0);
    CHECK_STR(skua_task_error(one.task)->text, COMPLAINT);
    CHECK_INT(outcome_of(&one), -EDOM);
    numbers source = {.end = 3};
    skua_pool_stream *stream;
    CHECK_INT(skua_pool_stream_open(&stream, pool, &complain_job, next_number, &source, NULL), 0);
    for (int i = 0; i < 3; i++) {
        int status;
        skua_buf out;
        CHECK_INT(skua_pool_stream_next(stream, NULL, &status, &out, FOREVER), 1);
        CHECK_INT(status, -EDOM);
        CHECK_STR(skua_pool_stream_message(stream), COMPLAINT);
        skua_buf_release(&out);
    }
    skua_pool_stream_close(stream);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void the_text_of_a_failure_comes_back(void **state)
{
    run_on_1_2_4(complain_main);
}

static int killed_main(void *arg)
{
    enum { COUNT = 6 };
    sent all[COUNT];
    skua_pool *pool = open_pool(2, 4096);
    reset_gate(false);
    for (int i = 0; i < COUNT; i++) {
        send_job(pool, &all[i], &pass_gate_job);
    }
    await_here(&jobs_gate->begun, 2);
    kill(jobs_gate->last, SIGKILL);
    await_here(&jobs_gate->begun, 3);
    atomic_store(&jobs_gate->is_open, true);
    int dead = 0;
    for (int i = 0; i < COUNT; i++) {
        int status;
        CHECK_INT(skua_join(all[i].task, &status, FOREVER), 0);
        if (status < 0) {
            const char *text = skua_task_error(all[i].task)->text;
            CHECK(strstr(text, "job 'pass_gate'") != NULL);
            CHECK(strstr(text, "signal 9 (Killed)") != NULL);
            dead++;
        }
        CHECK_INT(outcome_of(&all[i]), status);
        CHECK(status == 0 || status == -EOWNERDEAD);
    }
    CHECK_INT(dead, 1); /* where others call the whole pool broken */
    sent next;
    send_job(pool, &next, &pass_gate_job);
    CHECK_INT(outcome_of(&next), 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void a_killed_process_is_one_failure_with_its_cause(void **state)
{
    run_on_1_2_4(killed_main);
}

static int replaced_main(void *arg)
{
    const skua_pool_opts opts = {.workers = 1, .jobs_per_worker_max = 3};
    pid_t pids[12];
    skua_pool *pool = NULL;
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    reset_gate(true);
    for (int i = 0; i < 12; i++) {
        sent one;
        send_job(pool, &one, &pass_gate_job);
        CHECK_INT(outcome_of(&one), 0);
        pids[i] = one.pid;
        CHECK(i % 3 == 0 ? i == 0 || pids[i] != pids[i - 1] : pids[i] == pids[i - 1]);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void a_process_serves_three_jobs_and_is_replaced(void **state)
{
    run_on_1_2_4(replaced_main);
}

/* Only who has said so is begun again. */
static int attempts_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    for (uint32_t attempts = 0; attempts <= 3; attempts++) {
        const int begins = attempts == 0 ? 1 : (int)attempts;
        const skua_call_opts opts = {.attempts = attempts};
        sent one;
        reset_gate(false);
        send_with(pool, &one, &pass_gate_job, bytes_of(NULL, 0), &opts, FOREVER);
        for (int i = 1; i <= begins; i++) {
            await_here(&jobs_gate->begun, i);
            kill(jobs_gate->last, SIGKILL);
        }
        CHECK_INT(outcome_of(&one), -EOWNERDEAD);
        CHECK_INT(jobs_gate->begun, begins);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void a_job_is_begun_as_often_as_its_caller_allows(void **state)
{
    run_on_1_2_4(attempts_main);
}

/* --- ends ------------------------------------------------------------------------------------- */

enum { QUEUED = 50, FEW = 2 };

static skua_pool *queue_jobs(sent all[])
{
    skua_pool *pool = open_pool(FEW, 4096);
    reset_gate(false);
    for (int i = 0; i < QUEUED; i++) {
        send_job(pool, &all[i], &pass_gate_job);
    }
    await_here(&jobs_gate->begun, FEW);
    return pool;
}

static int drain_main(void *arg)
{
    static sent all[QUEUED];
    skua_pool *pool = queue_jobs(all);
    CHECK_INT(skua_pool_drain(pool, SKUA_NOW), -EAGAIN);
    skua_task *task;
    CHECK_INT(skua_pool_submit(pool, &task, &echo_job, bytes_of("x", 1), NULL, NULL, FOREVER),
              -ESHUTDOWN);
    CHECK_INT(skua_pool_drain(pool, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    CHECK_INT(jobs_gate->ended, QUEUED);
    for (int i = 0; i < QUEUED; i++) {
        CHECK_INT(outcome_of(&all[i]), 0);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D80 */
static void a_drain_finishes_what_is_queued_and_refuses_more(void **state)
{
    run_on_1_2_4(drain_main);
}

static int cancel_main(void *arg)
{
    static sent all[QUEUED];
    skua_pool *pool = queue_jobs(all);
    for (int i = FEW; i < QUEUED; i++) {
        skua_task_cancel(all[i].task); /* none of these has begun */
    }
    for (int i = FEW; i < QUEUED; i++) {
        CHECK_INT(outcome_of(&all[i]), -ECANCELED);
    }
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    for (int i = 0; i < FEW; i++) {
        CHECK_INT(outcome_of(&all[i]), 0); /* nobody was killed for it */
    }
    CHECK_INT(jobs_gate->begun, FEW);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.replaced, 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D80 */
static void what_is_queued_can_be_cancelled_and_what_runs_finishes(void **state)
{
    run_on_1_2_4(cancel_main);
}

static int destroy_main(void *arg)
{
    static sent all[QUEUED];
    skua_pool *pool = queue_jobs(all);
    skua_pool_destroy(pool);
    for (int i = 0; i < QUEUED; i++) {
        CHECK_INT(outcome_of(&all[i]), -ESHUTDOWN);
    }
    CHECK_INT(jobs_gate->begun, FEW);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 D80 */
static void a_destroy_ends_what_is_queued_and_what_runs(void **state)
{
    run_on_1_2_4(destroy_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fifteen_times_as_many_jobs_share_three_processes),
        TEST(jobs_in_sequence_share_one_process),
        TEST(chunks_of_any_size_give_the_same_answers),
        TEST(the_text_of_a_failure_comes_back),
        TEST(a_killed_process_is_one_failure_with_its_cause),
        TEST(a_process_serves_three_jobs_and_is_replaced),
        TEST(a_job_is_begun_as_often_as_its_caller_allows),
        TEST(a_drain_finishes_what_is_queued_and_refuses_more),
        TEST(what_is_queued_can_be_cancelled_and_what_runs_finishes),
        TEST(a_destroy_ends_what_is_queued_and_what_runs),
    };
    return TEST_RUN(tests);
}
