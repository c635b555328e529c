/* The process pool under load: calls of all sizes with deadlines and cancels at any moment, answers
   on loan, crashes, while workers are killed and stopped at random; jobs that scribble over the
   rings; pools that come and go with calls in them. Every call has exactly one outcome, an answer
   is the right one, and nothing is left. The storms go on for SKUA_STRESS_SECONDS, shared by the
   tests. */
#include "../pool_help.h"

#include "pool/ring.h"

#include <stdatomic.h>

enum { TESTS = 3, WORKERS = 4, PAYLOAD_MAX = 1 << 18 };

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 9) / TESTS);
}

static bool is_over(skua_time end)
{
    return skua_clock().ns >= end.ns;
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* --- calls of all kinds --- */

static int die(skua_bytes in, skua_reply *reply)
{
    static const int signals[] = {SIGSEGV, SIGABRT, SIGKILL, SIGBUS, SIGSTOP};
    uint64_t which;
    memcpy(&which, in.data, sizeof which);
    if (which % 6 == 5) {
        _exit(7);
    }
    raise(signals[which % 6]);
    return 0;
}
SKUA_JOB(die);

typedef struct storm {
    skua_pool *pool;
    skua_time end;
    atomic_uint tasks_left;
    atomic_ulong calls, answers, deaths, timeouts;
} storm;

static void check_outcome(storm *self, int result, bool has_deadline)
{
    atomic_fetch_add(&self->calls, 1);
    if (result == -EOWNERDEAD) {
        atomic_fetch_add(&self->deaths, 1);
    } else if (result == -ETIMEDOUT || result == -ECANCELED) {
        CHECK(has_deadline);
        atomic_fetch_add(&self->timeouts, 1);
    } else {
        CHECK_INT(result, 0);
        atomic_fetch_add(&self->answers, 1);
    }
}

typedef struct echo_call {
    storm *storm;
    uint64_t random;
    skua_buf *out;
    size_t bytes;
} echo_call;

static int echo_inside(void *arg)
{
    echo_call *self = arg;
    const int64_t limit_ns = (int64_t)below(&self->random, 3000 * 1000);
    const bool is_bounded = below(&self->random, 4) == 0;
    const skua_time deadline = is_bounded ? skua_after(limit_ns) : FOREVER;
    char *data = make_bytes(self->bytes, self->bytes);
    int result = skua_pool_call(self->storm->pool, &echo_job, bytes_of(data, self->bytes),
                                self->out, deadline);
    if (result == 0) {
        CHECK_INT(self->out->bytes, self->bytes);
        CHECK(self->bytes == 0 || memcmp(self->out->data, data, self->bytes) == 0);
    } else {
        CHECK_PTR(self->out->owner, NULL);
        memset(data, 0xee, self->bytes); /* nobody reads it any more */
    }
    free(data);
    return result == -ETIMEDOUT && is_bounded ? -ECANCELED : result;
}

static void call_echo(storm *self, uint64_t *random, skua_buf *out)
{
    echo_call call = {.storm = self, .random = test_random(random), .out = out};
    call.bytes = below(random, 4) == 0 ? below(random, PAYLOAD_MAX + 1) : below(random, 200);
    const bool is_bounded = below(random, 4) == 0;
    if (is_bounded) {
        const int64_t limit_ns = (int64_t)below(random, 3000 * 1000);
        check_outcome(self, skua_within(skua_after(limit_ns), echo_inside, &call), true);
    } else {
        check_outcome(self, echo_inside(&call), true);
    }
}

static int storm_task(void *arg)
{
    enum { LOANS = 6 };
    storm *self = arg;
    skua_buf loans[LOANS] = {{NULL, 0, NULL}};
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    while (!is_over(self->end)) {
        skua_buf *out = &loans[below(&random, LOANS)];
        const uint64_t which = test_random(&random);
        skua_buf_release(out);
        switch (below(&random, 64)) {
        case 0: {
            const skua_time deadline = skua_after(SKUA_MS(20));
            int result = skua_pool_call(self->pool, &die_job, BYTES(which), out, deadline);
            check_outcome(self, result, true);
            break;
        }
        case 1: {
            const skua_time deadline = skua_after(SKUA_MS(1 + below(&random, 5)));
            int result = skua_pool_call(self->pool, &hang_job, bytes_of(NULL, 0), out, deadline);
            check_outcome(self, result, true);
            break;
        }
        default:
            call_echo(self, &random, out);
        }
    }
    for (int i = 0; i < LOANS; i++) {
        skua_buf_release(&loans[i]);
    }
    atomic_fetch_sub(&self->tasks_left, 1);
    return 0;
}

/* Kills workers, and stops some for a moment. A stopped one may have been replaced by then. */
static void torment(skua_pool *pool, uint64_t *random)
{
    pid_t pids[WORKERS];
    const size_t count = skua_pool_pids(pool, pids, WORKERS);
    if (count > 0) {
        const pid_t victim = pids[below(random, (uint32_t)(count < WORKERS ? count : WORKERS))];
        const bool is_stop = below(random, 2) == 0;
        kill(victim, is_stop ? SIGSTOP : SIGKILL);
        nap_here(SKUA_MS(3));
        if (is_stop && parent_of(victim) == skua__zygote_pid()) {
            kill(victim, SIGCONT);
        }
    }
}

static int storm_main(void *arg)
{
    enum { TASKS = 32 };
    skua_task *tasks[TASKS];
    uint64_t random = test_seed();
    storm self = {.pool = open_pool(WORKERS, PAYLOAD_MAX), .end = end_of_test()};
    self.tasks_left = TASKS;
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], storm_task, &self, NULL), 0);
    }
    while (self.tasks_left > 0) {
        torment(self.pool, &random);
        nap_here(SKUA_MS(2));
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, FOREVER), 0);
    }
    skua_task_release_all(tasks, TASKS);
    CHECK_INT(self.answers + self.deaths + self.timeouts, self.calls);
    printf("    %lu calls: %lu answers, %lu deaths, %lu timeouts\n", self.calls, self.answers,
           self.deaths, self.timeouts);
    skua_pool_destroy(self.pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

static void every_call_has_one_outcome(void **state)
{
    CHECK_INT(run_with(storm_main), 0);
}

/* --- liars --- */

/* Random bytes at random places of the rings, then one of three ends. */
static int scribble(skua_bytes in, skua_reply *reply)
{
    uint64_t random;
    memcpy(&random, in.data, sizeof random);
    unsigned char *rings = (unsigned char *)find_rings(in.data);
    for (uint32_t i = below(&random, 64); i > 0; i--) {
        /* The indices above all, with values near to the right ones. */
        const size_t at = below(&random, 2) ? below(&random, 3 * SKUA_CACHE_LINE)
                                            : below(&random, sizeof(struct skua__shared));
        rings[at] = below(&random, 2) ? (unsigned char)(rings[at] + below(&random, 3))
                                      : (unsigned char)below(&random, 256);
    }
    if (below(&random, 2) == 0) {
        poll(NULL, 0, 2);
    }
    if (below(&random, 8) == 0) {
        _exit(1);
    }
    return answer(reply, in.data, in.bytes);
}
SKUA_JOB(scribble);

static int liar_task(void *arg)
{
    storm *self = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    while (!is_over(self->end)) {
        const uint64_t seed = test_random(&random);
        skua_buf out;
        const skua_time deadline = skua_after(SKUA_MS(20));
        int result = skua_pool_call(self->pool, &scribble_job, BYTES(seed), &out, deadline);
        CHECK(out.bytes <= PAYLOAD_MAX);
        uint64_t sum = (uint64_t)result;
        for (size_t i = 0; i < out.bytes; i++) {
            sum += ((const unsigned char *)out.data)[i]; /* whatever it says, it can be read */
        }
        atomic_fetch_add(&self->answers, sum & 1);
        atomic_fetch_add(&self->calls, 1);
        skua_buf_release(&out);
    }
    atomic_fetch_sub(&self->tasks_left, 1);
    return 0;
}

static int liars_main(void *arg)
{
    enum { TASKS = 8 };
    storm self = {.pool = open_pool(WORKERS, PAYLOAD_MAX), .end = end_of_test()};
    skua_pool *honest = open_pool(1, PAYLOAD_MAX);
    self.tasks_left = TASKS;
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_spawn(NULL, liar_task, &self, NULL), 0);
    }
    uint64_t echoes = 0;
    for (; self.tasks_left > 0; echoes++) {
        check_echo(honest, &echoes, sizeof echoes); /* another pool does not notice */
    }
    printf("    %lu scribblers, %lu honest jobs\n", self.calls, (unsigned long)echoes);
    skua_pool_destroy(honest);
    skua_pool_destroy(self.pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

static void scribblers_hurt_only_themselves(void **state)
{
    CHECK_INT(run_with(liars_main), 0);
}

/* --- pools that come and go --- */

/* Without an answer on loan, which would have to be released before the pool goes. */
static int call_for_nothing(void *arg)
{
    struct call *call = arg;
    const int result = skua_pool_call(call->pool, call->job, call->in, NULL, FOREVER);
    call->is_over = true;
    return result;
}

static int short_lived_main(void *arg)
{
    enum { CALLS = 12 };
    storm *self = arg;
    uint64_t random = test_seed() ^ (uintptr_t)&random;
    char *data = make_bytes(PAYLOAD_MAX, 1);
    while (!is_over(self->end)) {
        struct call calls[CALLS];
        skua_pool *pool = open_pool(1 + below(&random, 3), PAYLOAD_MAX);
        const uint32_t count = below(&random, CALLS + 1);
        for (uint32_t i = 0; i < count; i++) {
            const skua_job *job = below(&random, 4) == 0 ? &hang_job : &echo_job;
            const skua_bytes in = bytes_of(data, below(&random, PAYLOAD_MAX));
            calls[i] = (struct call){.pool = pool, .job = job, .in = in};
            CHECK_INT(skua_spawn(&calls[i].task, call_for_nothing, &calls[i], NULL), 0);
        }
        await_begun(pool, calls, count);
        nap_here((int64_t)below(&random, 1000 * 1000));
        skua_pool_destroy(pool);
        for (uint32_t i = 0; i < count; i++) {
            int result = end_call(&calls[i]);
            CHECK(result == 0 || result == -ESHUTDOWN);
        }
        atomic_fetch_add(&self->calls, count);
    }
    free(data);
    return 0;
}

static int coming_and_going_main(void *arg)
{
    enum { TASKS = 3 };
    skua_task *tasks[TASKS];
    storm self = {.end = end_of_test()};
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], short_lived_main, &self, NULL), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, FOREVER), 0);
    }
    skua_task_release_all(tasks, TASKS);
    printf("    %lu calls\n", self.calls);
    CHECK_INT(count_workers(), 0);
    return 0;
}

static void pools_come_and_go(void **state)
{
    const int fds = test_fds();
    CHECK_INT(run_with(coming_and_going_main), 0);
    CHECK_INT(test_settle(test_fds, fds), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_has_one_outcome),
        TEST(scribblers_hurt_only_themselves),
        TEST(pools_come_and_go),
    };
    return TEST_RUN(tests);
}
