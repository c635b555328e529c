/* Jobs that lie in the memory that they share with the program, each in one way: the program sees
   it, kills the worker and fails that very job; or it is none of its business. Random lies are in
   stress/pool_liar_stress.c, and against the wire alone in stress/pool_ring_stress.c. */
#include "pool_lies.h"

/* --- one lie each ----------------------------------------------------------------------------- */

/* The response that this job would write next, filled in as an honest worker would. */
static struct skua__response *next_response(struct skua__shared *wire, uint32_t *write)
{
    *write = skua__load(&wire->response_write, relaxed);
    struct skua__response *response = &wire->responses[*write % SKUA__RESPONSE_SLOTS].response;
    *response = (struct skua__response){
        .ticket = skua__load(&wire->request_read, relaxed),
        .kind = SKUA__RESPONSE_ANSWER,
    };
    return response;
}

static void lie(struct skua__shared *wire, char kind)
{
    uint32_t write;
    struct skua__response *response = next_response(wire, &write);
    uint32_t next = write + 1;
    switch (kind) {
    case 'i': /* an index far ahead */
        next = write + 1000;
        break;
    case 'b': /* one that goes back */
        next = write - 1;
        break;
    case 't': /* another job's ticket */
        response->ticket += 7;
        break;
    case 'k': /* a kind that does not exist */
        response->kind = 77;
        break;
    case 'w': /* a place that does not exist */
        response->where = 99;
        response->bytes = 1;
        break;
    case 'l': /* more than there may be */
        response->where = SKUA__BLOCK;
        response->bytes = UINT64_MAX - 7;
        break;
    case 'o': /* beyond the region */
        response->where = SKUA__BLOCK;
        response->block = UINT32_MAX - 3;
        response->bytes = 4096;
        break;
    case 's': /* more than fits where it is said to be */
        response->where = SKUA__INLINE;
        response->bytes = SKUA__OUT_INLINE_BYTES + 1;
        break;
    case 'p': /* input memory that it never had */
        response->where = SKUA__INPUT;
        response->bytes = 1;
        break;
    case 'T': /* a text without end */
        response->text_bytes = UINT16_MAX;
        break;
    case 'n': /* bytes that are nowhere */
        response->where = SKUA__NOTHING;
        response->bytes = 5;
        break;
    case 'x': /* everything */
        memset((void *)wire, 0xfe, sizeof *wire);
        return;
    }
    skua__store(&wire->response_write, next, release);
}

static int liar(skua_bytes in, skua_reply *reply)
{
    lie(find_wire(), *(const char *)in.data);
    while (pause() < 0) {}
    return 0;
}
SKUA_JOB(liar);

static int lies_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    for (const char *kind = "ibtkwlospTnx"; *kind != '\0'; kind++) {
        struct call call = {.pool = pool, .job = &liar_job, .in = bytes_of(kind, 1)};
        /* On a worker of its own: what another job has answered there is not looked at any more
           once a lie was seen, and the job that is the oldest then fails in the liar's stead. */
        await_idle(pool, 2);
        start_call(&call);
        check_echo(pool, kind, 1); /* others do not notice */
        int result;
        CHECK_INT(skua_join(call.task, &result, FOREVER), 0);
        if (result != -EPROTO) {
            test_fail(__FILE__, __LINE__, "lie '%c' ended with %d", *kind, result);
        }
        CHECK(skua_task_error(call.task)->text != NULL);
        skua_task_release(call.task);
        check_echo(pool, kind, 1);
    }
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 D79 */
static void each_lie_is_found_out(void **state)
{
    CHECK_INT(run_with(lies_main), 0);
}

/* --- what it can reach ------------------------------------------------------------------------ */

static int count_reach(skua_bytes in, skua_reply *reply)
{
    return find_reach().count;
}
SKUA_JOB(count_reach);

static int reach_main(void *arg)
{
    skua_pool *first = open_pool(2, 4096);
    skua_pool *second = open_pool(1, 4096);
    for (int i = 0; i < 8; i++) {
        CHECK_INT(skua_pool_call(i % 2 == 0 ? first : second, &count_reach_job, bytes_of(NULL, 0),
                                 NULL, FOREVER),
                  1);
    }
    skua_pool_destroy(second);
    skua_pool_destroy(first);
    return 0;
}

/* covers: A67 */
static void a_worker_shares_one_memory_with_nobody_but_the_program(void **state)
{
    CHECK_INT(run_with(reach_main), 0);
}

/* --- lies about having begun ------------------------------------------------------------------ */

/* Says that it has not begun, and hangs. */
static int deny(skua_bytes in, skua_reply *reply)
{
    struct skua__shared *wire = find_wire();
    const uint32_t ticket = skua__load(&wire->request_read, relaxed);
    skua__store(&wire->requests[ticket % SKUA__REQUEST_SLOTS].state, SKUA__REQUEST_QUEUED, relaxed);
    if (*(const char *)in.data == 'r') {
        skua__store(&wire->request_read, ticket - 1, relaxed);
    }
    atomic_fetch_add(&jobs_gate->begun, 1);
    while (pause() < 0) {}
    return 0;
}
SKUA_JOB(deny);

static int deny_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    for (const char *kind = "sr"; *kind != '\0'; kind++) {
        reset_gate(true);
        struct call call = {.pool = pool, .job = &deny_job, .in = bytes_of(kind, 1)};
        start_call(&call);
        await_here(&jobs_gate->begun, 1);
        skua_task_cancel(call.task);
        CHECK_INT(end_call(&call), -ECANCELED);
        check_echo(pool, "next", 4); /* though the only worker hangs in that job */
    }
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 */
static void a_job_that_denies_to_have_begun_does_not_keep_its_worker(void **state)
{
    CHECK_INT(run_with(deny_main), 0);
}

/* Nor does it when all that comes after it is given up sooner than its worker would be. */
static int deny_for_long_main(void *arg)
{
    enum { TRIES_MAX = 500 };
    skua_pool_stats stats = {.replaced = 0};
    skua_pool *pool = open_pool(1, 4096);
    reset_gate(true);
    struct call call = {.pool = pool, .job = &deny_job, .in = bytes_of("s", 1)};
    start_call(&call);
    await_here(&jobs_gate->begun, 1);
    skua_task_cancel(call.task);
    CHECK_INT(end_call(&call), -ECANCELED);
    for (int tries = 0; stats.replaced == 0; tries++) {
        const int status =
            skua_pool_call(pool, &echo_job, bytes_of("x", 1), NULL, skua_after(SKUA_MS(40)));
        CHECK(status == -ETIMEDOUT || status == 0);
        CHECK(tries < TRIES_MAX);
        skua_pool_stats_get(pool, &stats);
    }
    check_echo(pool, "next", 4);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void jobs_with_short_deadlines_do_not_keep_a_worker_that_denies(void **state)
{
    CHECK_INT(run_with(deny_for_long_main), 0);
}

/* Says that all the jobs behind it have begun, too, and dies, or hangs. */
static int claim_all(skua_bytes in, skua_reply *reply)
{
    struct skua__shared *wire = find_wire();
    atomic_fetch_add(&jobs_gate->begun, 1);
    while (!atomic_load(&jobs_gate->is_open)) {
        poll(NULL, 0, 1);
    }
    for (int i = 0; i < SKUA__REQUEST_SLOTS; i++) {
        skua__store(&wire->requests[i].state, SKUA__REQUEST_TAKEN, relaxed);
    }
    atomic_fetch_add(&jobs_gate->ended, 1); /* the lie is told */
    if (*(const char *)in.data == 'd') {
        raise(SIGSEGV);
    }
    while (pause() < 0) {}
    return 0;
}
SKUA_JOB(claim_all);

static int claim_main(void *arg)
{
    enum { COUNT = 40 };
    static sent all[COUNT];
    skua_pool *pool = open_pool(1, 4096);
    for (const char *kind = "dh"; *kind != '\0'; kind++) {
        sent claimer;
        for (int i = 0; i < 1000; i++) {
            check_echo(pool, "x", 1); /* short jobs: many are sent ahead from now on */
        }
        reset_gate(false);
        send_with(pool, &claimer, &claim_all_job, bytes_of(kind, 1), NULL, FOREVER);
        for (int i = 0; i < COUNT; i++) {
            send_job(pool, &all[i], &echo_job);
        }
        await_here(&jobs_gate->begun, 1);
        atomic_store(&jobs_gate->is_open, true);
        if (*kind == 'h') {
            await_here(&jobs_gate->ended, 1);
            skua_task_cancel(claimer.task);
        }
        const int status = outcome_of(&claimer);
        CHECK(status == -EPROTO || status == (*kind == 'd' ? -EOWNERDEAD : -ECANCELED));
        for (int i = 0; i < COUNT; i++) {
            CHECK_INT(outcome_of(&all[i]), 0); /* they had not */
        }
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void jobs_behind_a_liar_are_not_lost_with_it(void **state)
{
    CHECK_INT(run_with(claim_main), 0);
}

/* --- floods ----------------------------------------------------------------------------------- */

static void *flood_thread(void *arg)
{
    struct skua__shared *wire = arg;
    for (uint32_t i = 1;; i++) {
        skua__store(&wire->log_write, i * 1000, relaxed);
        skua__store(&wire->progress_done, i, relaxed);
        skua__store(&wire->worker_sleeps, skua__load(&wire->bell, relaxed) << 2 | i % 4, relaxed);
    }
    return NULL;
}

/* Answers as it should, and leaves a thread behind that writes lines of log without end. */
static int leave_flood(skua_bytes in, skua_reply *reply)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, flood_thread, find_wire()) != 0) {
        return -EAGAIN;
    }
    return 0;
}
SKUA_JOB(leave_flood);

static void ignore_line(void *arg, const skua_job *job, pid_t pid, const char *line)
{
    CHECK(memchr(line, '\0', 256) != NULL);
}

static int flood_main(void *arg)
{
    skua_pool *pool = NULL;
    const skua_pool_opts opts = {.workers = 2, .log = ignore_line};
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    CHECK_INT(skua_pool_call(pool, &leave_flood_job, bytes_of(NULL, 0), NULL, FOREVER), 0);
    for (int i = 0; i < 200; i++) {
        check_echo(pool, &i, sizeof i); /* whichever worker has it */
    }
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 */
static void a_flood_of_log_lines_holds_nobody_up(void **state)
{
    CHECK_INT(run_with(flood_main), 0);
}

/* --- fds that are gone ------------------------------------------------------------------------ */

/* Closes all that its worker has, and answers. */
static int close_all(skua_bytes in, skua_reply *reply)
{
    for (int fd = 3; fd < 64; fd++) {
        close(fd);
    }
    return 0;
}
SKUA_JOB(close_all);

static int close_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    for (int i = 0; i < 3; i++) {
        skua_buf out;
        const int status =
            skua_pool_call(pool, &close_all_job, bytes_of(NULL, 0), NULL, skua_after(SKUA_SEC(20)));
        CHECK(status == 0 || status == -EOWNERDEAD || status == -EPROTO);
        nap_here(SKUA_MS(5)); /* the reactor sleeps by then: it cannot be rung for any more */
        CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of("x", 1), &out, skua_after(SKUA_SEC(20))),
                  0);
        skua_buf_release(&out);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_worker_that_closed_its_bell_is_heard_all_the_same(void **state)
{
    CHECK_INT(run_with(close_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_lie_is_found_out),
        TEST(a_worker_shares_one_memory_with_nobody_but_the_program),
        TEST(a_job_that_denies_to_have_begun_does_not_keep_its_worker),
        TEST(jobs_with_short_deadlines_do_not_keep_a_worker_that_denies),
        TEST(jobs_behind_a_liar_are_not_lost_with_it),
        TEST(a_flood_of_log_lines_holds_nobody_up),
        TEST(a_worker_that_closed_its_bell_is_heard_all_the_same),
    };
    return TEST_RUN(tests);
}
