/* Blocking calls beside waiting tasks, bounded threads, processes; and how they end. Calls are held
   back by semaphores that the tests post: nothing sleeps. */
#include "../pool_help.h"

#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

static void run_on(uint32_t workers, uint32_t threads_max, skua_fn fn, void *arg)
{
    const skua_config config = {.workers = workers, .blocking_threads_max = threads_max};
    CHECK_INT(skua_run(&config, fn, arg), 0);
}

static void run_on_1_2_4(uint32_t threads_max, skua_fn fn)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        run_on(workers, threads_max, fn, NULL);
    }
}

static void wait_for_post(sem_t *posted)
{
    while (sem_wait(posted) != 0) {}
}

/* --- blocking beside waiting ------------------------------------------------------------------ */

enum { HELD = 64, ROUNDS = 200 };

typedef struct held {
    sem_t open;
    _Atomic int started;
} held;

static int hold(void *arg)
{
    held *all = arg;
    atomic_fetch_add(&all->started, 1);
    wait_for_post(&all->open);
    return 1;
}

static int call_hold(void *arg)
{
    return skua_blocking(hold, arg, FOREVER);
}

static int echo_numbers(void *arg)
{
    skua_chan **ends = arg;
    int number = 0, status = 0;
    while ((status = skua_chan_recv(ends[0], SKUA_ITEM(number), FOREVER)) == 1) {
        CHECK_INT(skua_chan_send(ends[1], SKUA_ITEM(number), FOREVER), 0);
    }
    return status;
}

/* Tasks, channels and timers as ever. */
static void live_normally(void)
{
    skua_chan *ends[2];
    skua_task *task;
    int number = 0, status = -1;
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_chan_create(&ends[i], sizeof(int), 0), 0);
    }
    CHECK_INT(skua_spawn(&task, echo_numbers, ends, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(skua_chan_send(ends[0], SKUA_ITEM(i), FOREVER), 0);
        CHECK_INT(skua_chan_recv(ends[1], SKUA_ITEM(number), FOREVER), 1);
        CHECK_INT(number, i);
    }
    nap_here(SKUA_US(50));
    skua_chan_close(ends[0]);
    CHECK_INT(skua_join(task, &status, FOREVER), 0);
    CHECK_INT(status, 0);
    skua_task_release(task);
    for (int i = 0; i < 2; i++) {
        skua_chan_release(ends[i], SKUA_SENDER | SKUA_RECEIVER);
    }
}

static int responsive_body(void *arg)
{
    held all = {.started = 0};
    skua_task *tasks[HELD];
    int statuses[HELD];
    CHECK_INT(sem_init(&all.open, 0, 0), 0);
    for (int i = 0; i < HELD; i++) {
        CHECK_INT(skua_spawn(&tasks[i], call_hold, &all, NULL), 0);
    }
    while (atomic_load(&all.started) < HELD) {
        CHECK_INT(skua_yield(), 0);
    }
    live_normally();
    for (int i = 0; i < HELD; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, SKUA_NOW), -EAGAIN); /* all of them block still */
    }
    for (int i = 0; i < HELD; i++) {
        CHECK_INT(sem_post(&all.open), 0);
    }
    CHECK_INT(skua_gather(tasks, HELD, statuses, FOREVER), 0);
    for (int i = 0; i < HELD; i++) {
        CHECK_INT(statuses[i], 1);
    }
    skua_task_release_all(tasks, HELD);
    CHECK_INT(sem_destroy(&all.open), 0);
    return 0;
}

/* covers: A64 A69 */
static void tasks_go_on_while_sixty_four_calls_block(void **state)
{
    run_on_1_2_4(HELD, responsive_body);
}

/* A library that knows nothing of tasks, and talks to them all the same. */
static int add_up(void *arg)
{
    skua_chan **ends = arg;
    int number = 0, sum = 0;
    while (skua_chan_recv(ends[0], SKUA_ITEM(number), FOREVER) == 1) {
        sum += number;
        CHECK_INT(skua_chan_send(ends[1], SKUA_ITEM(sum), FOREVER), 0);
    }
    return sum;
}

static int call_add_up(void *arg)
{
    return skua_blocking(add_up, arg, FOREVER);
}

static int talk_body(void *arg)
{
    skua_chan *ends[2];
    skua_task *task;
    int sum = 0, status = 0;
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_chan_create(&ends[i], sizeof(int), (size_t)i), 0);
    }
    CHECK_INT(skua_spawn(&task, call_add_up, ends, NULL), 0);
    for (int i = 1; i <= 100; i++) {
        CHECK_INT(skua_chan_send(ends[0], SKUA_ITEM(i), FOREVER), 0);
        CHECK_INT(skua_chan_recv(ends[1], SKUA_ITEM(sum), FOREVER), 1);
        CHECK_INT(sum, i * (i + 1) / 2);
    }
    skua_chan_close(ends[0]);
    CHECK_INT(skua_join(task, &status, FOREVER), 0);
    CHECK_INT(status, 5050);
    skua_task_release(task);
    for (int i = 0; i < 2; i++) {
        skua_chan_release(ends[i], SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

/* covers: A65 A69 */
static void a_blocking_call_and_a_task_talk_over_channels(void **state)
{
    run_on_1_2_4(1, talk_body);
}

static const skua_local user_key = {"user"};
static int user;

/* A nested call is made on the same thread. */
static int look_for_user(void *arg)
{
    CHECK_PTR(skua_local_get(&user_key), arg);
    CHECK_INT(skua_local_set(&user_key, NULL), -EPERM);
    CHECK_PTR(skua_local_get(&user_key), arg);
    return 0;
}

static int look_twice(void *arg)
{
    CHECK_INT(look_for_user(arg), 0);
    return skua_blocking(look_for_user, arg, FOREVER);
}

static int call_look(void *arg)
{
    return skua_blocking(look_twice, NULL, FOREVER);
}

static int locals_body(void *arg)
{
    skua_task *without;
    int status = -1;
    CHECK_INT(skua_spawn(&without, call_look, NULL, NULL), 0); /* before they are there */
    CHECK_INT(skua_local_set(&user_key, &user), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua_blocking(look_twice, &user, FOREVER), 0);
    }
    CHECK_INT(skua_join(without, &status, FOREVER), 0);
    CHECK_INT(status, 0);
    skua_task_release(without);
    CHECK_INT(skua_local_set(&user_key, NULL), 0);
    return skua_blocking(look_twice, NULL, FOREVER);
}

/* covers: A65 */
static void a_blocking_call_sees_the_locals_of_its_task(void **state)
{
    run_on_1_2_4(1, locals_body); /* one thread for all */
}

/* --- so many threads -------------------------------------------------------------------------- */

enum { THREADS = 3, CALLS = 5 };

typedef struct bounded {
    _Atomic int inside, peak;
    sem_t open;
} bounded;

typedef struct doubling {
    bounded *all;
    int number, result;
} doubling;

static int double_it(void *arg)
{
    doubling *self = arg;
    const int inside = atomic_fetch_add(&self->all->inside, 1) + 1;
    CHECK(inside <= THREADS);
    if (inside == THREADS) {
        atomic_store(&self->all->peak, THREADS); /* all threads: open, for these and the others */
        for (int i = 0; i < CALLS; i++) {
            CHECK_INT(sem_post(&self->all->open), 0);
        }
    }
    wait_for_post(&self->all->open);
    self->result = 2 * self->number;
    atomic_fetch_sub(&self->all->inside, 1);
    return 0;
}

static int call_double(void *arg)
{
    return skua_blocking(double_it, arg, FOREVER);
}

static int bounded_body(void *arg)
{
    bounded all = {.inside = 0};
    doubling calls[CALLS];
    CHECK_INT(sem_init(&all.open, 0, 0), 0);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (doubling){.all = &all, .number = i};
    }
    CHECK_INT(skua_map(call_double, calls, sizeof calls[0], CALLS, NULL), 0);
    for (int i = 0; i < CALLS; i++) {
        CHECK_INT(calls[i].result, 2 * i);
    }
    CHECK_INT(all.peak, THREADS);
    CHECK_INT(sem_destroy(&all.open), 0);
    return 0;
}

/* covers: A66 D78 */
static void five_calls_share_three_threads(void **state)
{
    run_on_1_2_4(THREADS, bounded_body);
}

/* --- processes -------------------------------------------------------------------------------- */

enum { PROCESSES = 4 };

/* Shared with the worker processes, since it is there before they are. */
static _Atomic int *arrived;

__attribute__((constructor)) static void share_arrived(void)
{
    arrived =
        mmap(NULL, sizeof *arrived, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

typedef struct squares {
    skua_pool *pool;
    uint64_t count, sum;
    pid_t pid;
} squares;

/* Begins when all four have: so each has a process of its own. */
static int sum_squares(skua_bytes in, skua_reply *reply)
{
    squares self;
    memcpy(&self, in.data, sizeof self);
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < PROCESSES) {
        sched_yield();
    }
    for (uint64_t i = 0; i < self.count; i++) {
        self.sum += i * i;
    }
    self.pid = getpid();
    return answer(reply, &self, sizeof self);
}
SKUA_JOB(sum_squares);

static int call_sum_squares(void *arg)
{
    squares *self = arg;
    skua_buf out;
    const int status =
        skua_pool_call(self->pool, &sum_squares_job, bytes_of(self, sizeof *self), &out, FOREVER);
    if (status == 0) {
        memcpy(self, out.data, sizeof *self);
    }
    skua_buf_release(&out);
    return status;
}

static int squares_body(void *arg)
{
    squares all[PROCESSES];
    skua_pool *pool = open_pool(PROCESSES, 4096);
    atomic_store(arrived, 0);
    for (uint64_t i = 0; i < PROCESSES; i++) {
        all[i] = (squares){.pool = pool, .count = 1000000 + i};
    }
    CHECK_INT(skua_map(call_sum_squares, all, sizeof all[0], PROCESSES, NULL), 0);
    for (uint64_t i = 0; i < PROCESSES; i++) {
        const uint64_t n = all[i].count;
        CHECK_INT(all[i].sum, (n - 1) * n * (2 * n - 1) / 6);
        CHECK(all[i].pid != getpid());
        for (uint64_t k = 0; k < i; k++) {
            CHECK(all[i].pid != all[k].pid);
        }
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void four_sums_of_squares_in_four_processes(void **state)
{
    run_on_1_2_4(0, squares_body);
}

/* A job says what was wrong with it: its status, and an answer for people. */
static int complain(skua_bytes in, skua_reply *reply)
{
    static const char text[] = "no such page";
    const int status = answer(reply, text, sizeof text);
    return status < 0 ? status : -ENOENT;
}
SKUA_JOB(complain);

static int complain_body(void *arg)
{
    skua_buf out;
    skua_pool *pool = open_pool(1, 4096);
    CHECK_INT(skua_pool_call(pool, &complain_job, bytes_of("", 0), &out, FOREVER), -ENOENT);
    CHECK_STR(out.data, "no such page");
    skua_buf_release(&out);
    pid_t pid;
    CHECK_INT(skua_pool_pids(pool, &pid, 1), 1);
    CHECK_INT(kill(pid, SIGKILL), 0);
    CHECK(is_gone_soon(pid));
    check_echo(pool, "next", 5); /* a killed worker is replaced; nobody else has noticed */
    skua_pool_destroy(pool);
    return 0;
}

/* A killed worker takes its own job along only, not the pool. */
/* covers: D79 */
static void a_jobs_complaint_comes_back_and_a_killed_worker_is_replaced(void **state)
{
    run_on_1_2_4(0, complain_body);
}

/* --- ends ------------------------------------------------------------------------------------- */

enum { QUEUED = 50, FEW = 2 };

typedef struct ending {
    held gate;
    _Atomic int finished, cancelled;
} ending;

static int call_and_count(void *arg)
{
    ending *self = arg;
    const int status = skua_blocking(hold, &self->gate, FOREVER);
    CHECK(status == 1 || status == -ECANCELED);
    atomic_fetch_add(status == 1 ? &self->finished : &self->cancelled, 1);
    return status;
}

static skua_runtime *queue_calls(ending *self, uint32_t workers)
{
    skua_runtime *runtime;
    const skua_config config = {.workers = workers, .blocking_threads_max = FEW};
    *self = (ending){.finished = 0};
    CHECK_INT(sem_init(&self->gate.open, 0, 0), 0);
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < QUEUED; i++) {
        CHECK_INT(skua_submit(runtime, NULL, call_and_count, self, NULL), 0);
    }
    while (atomic_load(&self->gate.started) < FEW) {
        sched_yield();
    }
    return runtime;
}

/* Lets all through, waits for the end; nothing is accepted any more. */
static void end_calls(ending *self, skua_runtime *runtime)
{
    skua_task *task = NULL;
    CHECK_INT(skua_submit(runtime, &task, call_and_count, self, NULL), -ESHUTDOWN);
    CHECK_INT(skua_call(runtime, call_and_count, self, FOREVER), -ESHUTDOWN);
    for (int i = 0; i < QUEUED; i++) {
        CHECK_INT(sem_post(&self->gate.open), 0);
    }
    CHECK_INT(skua_runtime_wait(runtime, FOREVER), 0);
    skua_runtime_destroy(runtime);
    CHECK_INT(sem_destroy(&self->gate.open), 0);
    CHECK_INT(self->finished + self->cancelled, QUEUED);
}

/* covers: D80 */
static void a_drain_finishes_all_that_is_queued(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        ending self;
        skua_runtime *runtime = queue_calls(&self, workers);
        skua_drain(runtime, FOREVER);
        end_calls(&self, runtime);
        CHECK_INT(self.finished, QUEUED);
    }
}

/* covers: D80 */
static void a_cancel_ends_what_is_queued_and_waits_for_what_runs(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        ending self;
        skua_runtime *runtime = queue_calls(&self, workers);
        skua_drain(runtime, SKUA_NOW);
        while (atomic_load(&self.cancelled) < QUEUED - FEW) {
            sched_yield();
        }
        end_calls(&self, runtime);
        CHECK_INT(self.finished, FEW);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tasks_go_on_while_sixty_four_calls_block),
        TEST(a_blocking_call_and_a_task_talk_over_channels),
        TEST(a_blocking_call_sees_the_locals_of_its_task),
        TEST(five_calls_share_three_threads),
        TEST(four_sums_of_squares_in_four_processes),
        TEST(a_jobs_complaint_comes_back_and_a_killed_worker_is_replaced),
        TEST(a_drain_finishes_all_that_is_queued),
        TEST(a_cancel_ends_what_is_queued_and_waits_for_what_runs),
    };
    return TEST_RUN(tests);
}
