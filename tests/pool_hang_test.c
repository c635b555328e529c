/* Where process pools are known to hang, this one does not: a worker killed while much data is
   under way, queued, or with the pool's end near; failures while a worker is prepared; workers that
   are replaced after so many jobs; a program that ends with jobs in it; workers that stand still;
   and nothing is left behind. */
#include "pool_gate.h"

#include <spawn.h>

extern char **environ;

enum { MUCH = 4 << 20, MANY = 200 };

/* --- jobs ------------------------------------------------------------------------------------- */

static int die_with_input(skua_bytes in, skua_reply *reply)
{
    raise(SIGSEGV);
    return 0;
}
SKUA_JOB(die_with_input);

/* Writes its answer for ever, and says so. */
static int write_for_ever(skua_bytes in, skua_reply *reply)
{
    unsigned char *out = skua_job_reserve(reply, MUCH);
    if (out == NULL) {
        return -EMSGSIZE;
    }
    for (unsigned round = 0;; round++) {
        memset(out, (int)round, MUCH);
        skua_job_commit(reply, MUCH);
        atomic_store(&jobs_gate->last, getpid());
        atomic_fetch_add(&jobs_gate->begun, 1);
    }
}
SKUA_JOB(write_for_ever);

/* More than the pool allows. */
static int say_too_much(skua_bytes in, skua_reply *reply)
{
    return skua_job_reserve(reply, MUCH + 1) == NULL ? 0 : -EBADMSG;
}
SKUA_JOB(say_too_much);

static int double_number(skua_bytes in, skua_reply *reply)
{
    int number;
    memcpy(&number, in.data, sizeof number);
    return 2 * number;
}
SKUA_JOB(double_number);

/* Prepares its worker; or fails, in the way that the input says. */
static int prepare(skua_bytes in, skua_reply *reply)
{
    if (atomic_load(&jobs_gate->inits_to_fail) > 0) {
        atomic_fetch_sub(&jobs_gate->inits_to_fail, 1);
        if (in.bytes == sizeof "crash") {
            raise(SIGSEGV);
        }
        return skua_job_fail(reply, -ENOTTY, "not today");
    }
    return 0;
}
SKUA_JOB(prepare);

/* --- deaths with data under way --------------------------------------------------------------- */

static int much_data_main(void *arg)
{
    enum { COUNT = 10 };
    skua_pool_item items[COUNT] = {{.status = 0}};
    skua_pool *pool = open_pool(2, MUCH);
    char *data = make_bytes(MUCH, 1);
    for (int i = 0; i < COUNT; i++) {
        items[i].in = bytes_of(data, MUCH);
    }
    CHECK_INT(skua_pool_map(pool, &die_with_input_job, items, COUNT, FOREVER), COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(items[i].status, -EOWNERDEAD);
        CHECK_PTR(items[i].out.data, NULL);
    }
    check_echo(pool, data, MUCH);
    free(data);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void workers_that_die_of_much_data_hang_nobody(void **state)
{
    CHECK_INT(run_with(much_data_main), 0);
}

static int huge_result_main(void *arg)
{
    skua_pool *pool = open_pool(1, MUCH);
    for (int i = 0; i < 3; i++) {
        sent writing, next;
        reset_gate(true);
        send_job(pool, &writing, &write_for_ever_job);
        send_job(pool, &next, &pass_gate_job);
        await_here(&jobs_gate->begun, 2);
        kill(jobs_gate->last, SIGKILL);
        CHECK_INT(outcome_of(&writing), -EOWNERDEAD);
        CHECK_INT(outcome_of(&next), 0); /* it had not begun, and notices nothing */
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void a_kill_amid_a_huge_answer_fails_one_job(void **state)
{
    CHECK_INT(run_with(huge_result_main), 0);
}

static int queued_main(void *arg)
{
    static sent all[MANY];
    skua_pool *pool = open_pool(1, 4096);
    reset_gate(false);
    for (int i = 0; i < MANY; i++) {
        send_job(pool, &all[i], &pass_gate_job);
    }
    await_here(&jobs_gate->begun, 1);
    kill(jobs_gate->last, SIGKILL);
    await_here(&jobs_gate->begun, 2);
    CHECK_INT(outcome_of(&all[0]), -EOWNERDEAD);
    CHECK_INT(jobs_gate->ended, 0);
    atomic_store(&jobs_gate->is_open, true);
    for (int i = 1; i < MANY; i++) {
        CHECK_INT(outcome_of(&all[i]), 0);
    }
    CHECK_INT(jobs_gate->begun, MANY);
    CHECK_INT(jobs_gate->ended, MANY - 1);
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.answered, MANY);
    CHECK_INT(stats.crashed, 1);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void a_kill_with_many_jobs_queued_fails_one(void **state)
{
    CHECK_INT(run_with(queued_main), 0);
}

/* --- who tells whom, when nobody listens ------------------------------------------------------ */

/* Nobody but this task runs while it submits: whatever rings for the reactor rings unheard. */
static int unheard_main(void *arg)
{
    enum { COUNT = 3000 };
    skua_task **tasks = calloc(COUNT, sizeof *tasks);
    skua_pool *pool = open_pool(2, 4096);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(
            skua_pool_submit(pool, &tasks[i], &double_number_job, BYTES(i), NULL, NULL, FOREVER),
            0);
    }
    for (int i = 0; i < COUNT; i++) {
        int status = -1;
        CHECK_INT(skua_join(tasks[i], &status, FOREVER), 0);
        CHECK_INT(status, 2 * i);
    }
    skua_task_release_all(tasks, COUNT);
    free(tasks);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void submits_never_wait_for_who_is_to_hear_them(void **state)
{
    const skua_config config = {.workers = 1};
    CHECK_INT(skua_run(&config, unheard_main, NULL), 0);
}

/* --- near the end of the pool ----------------------------------------------------------------- */

static int die_in_drain_main(void *arg)
{
    sent first, dying, last;
    skua_pool *pool = open_pool(2, 4096);
    reset_gate(false);
    send_job(pool, &first, &pass_gate_job);
    await_here(&jobs_gate->begun, 1);
    const pid_t victim = jobs_gate->last;
    send_job(pool, &dying, &die_with_input_job);
    send_job(pool, &last, &pass_gate_job);
    CHECK_INT(skua_pool_drain(pool, SKUA_NOW), -EAGAIN);
    kill(victim, SIGKILL); /* after the shutdown has begun */
    CHECK_INT(outcome_of(&first), -EOWNERDEAD);
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    CHECK_INT(outcome_of(&dying), -EOWNERDEAD);
    CHECK_INT(outcome_of(&last), 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D80 */
static void deaths_during_a_drain_do_not_hold_it_up(void **state)
{
    CHECK_INT(run_with(die_in_drain_main), 0);
}

static int cancel_then_drain_main(void *arg)
{
    for (int i = 0; i < 12; i++) {
        sent one;
        skua_pool *pool = open_pool(1, 4096);
        reset_gate(i % 2 == 0);
        send_job(pool, &one, &pass_gate_job);
        skua_task_cancel(one.task);
        CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
        const int status = outcome_of(&one);
        CHECK(status == -ECANCELED || (status == 0 && i % 2 == 0));
        skua_pool_destroy(pool);
    }
    return 0;
}

/* covers: A67 D80 */
static void a_cancel_right_before_the_drain_does_not_hold_it_up(void **state)
{
    CHECK_INT(run_with(cancel_then_drain_main), 0);
}

static int after_the_end_main(void *arg)
{
    skua_buf out = {.data = NULL};
    skua_task *task;
    skua_pool_item item = {.status = 0};
    skua_pool *pool = open_pool(1, 4096);
    pid_t pid;
    CHECK_INT(skua_pool_pids(pool, &pid, 1), 1);
    kill(pid, SIGKILL); /* what breaks other pools for good */
    check_echo(pool, "still there", 11);
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    const skua_bytes none = bytes_of(NULL, 0);
    CHECK_INT(skua_pool_call(pool, &echo_job, none, &out, FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_pool_submit(pool, &task, &echo_job, none, NULL, &out, FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_pool_map(pool, &echo_job, &item, 1, FOREVER), -ESHUTDOWN);
    CHECK_INT(item.status, -ESHUTDOWN);
    CHECK_INT(skua_pool_alloc(pool, &out, 1000, FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_pool_resize(pool, 2), -ESHUTDOWN);
    CHECK_INT(skua_pool_drain(pool, FOREVER), 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: D80 */
static void a_pool_refuses_after_its_drain_and_not_after_a_death(void **state)
{
    CHECK_INT(run_with(after_the_end_main), 0);
}

static int destroy_main(void *arg)
{
    static sent all[MANY];
    skua_pool *pool = open_pool(2, 4096);
    reset_gate(false);
    for (int i = 0; i < MANY; i++) {
        send_job(pool, &all[i], &pass_gate_job);
    }
    await_here(&jobs_gate->begun, 2);
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(outcome_of(&all[i]), -ESHUTDOWN);
    }
    CHECK_INT(jobs_gate->begun, 2);
    return 0;
}

/* covers: D80 */
static void destroy_ends_all_that_was_submitted(void **state)
{
    CHECK_INT(run_with(destroy_main), 0);
}

/* --- workers that cannot be prepared ---------------------------------------------------------- */

static int init_fails_main(void *arg)
{
    skua_pool *pool = NULL;
    skua_pool_opts opts = {.workers = 2, .init = &prepare_job};
    reset_gate(true);
    atomic_store(&jobs_gate->inits_to_fail, 100);
    CHECK_INT(skua_pool_create(&pool, &opts), -ENOTTY);
    CHECK_PTR(pool, NULL);
    CHECK_INT(count_workers(), 0);
    opts.init_in = (skua_bytes){"crash", sizeof "crash"};
    reset_gate(true);
    atomic_store(&jobs_gate->inits_to_fail, 100);
    CHECK(skua_pool_create(&pool, &opts) < 0);
    CHECK_PTR(pool, NULL);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 */
static void a_failing_init_fails_the_create(void **state)
{
    CHECK_INT(run_with(init_fails_main), 0);
}

/* The first ones are prepared, those that replace them only after some tries. */
static int init_fails_later_main(void *arg)
{
    static sent all[20];
    const skua_pool_opts opts = {.workers = 1, .init = &prepare_job};
    skua_pool *pool = NULL;
    reset_gate(false);
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    for (int i = 0; i < 20; i++) {
        send_job(pool, &all[i], &pass_gate_job);
    }
    await_here(&jobs_gate->begun, 1);
    atomic_store(&jobs_gate->inits_to_fail, 3);
    for (int i = 1; i <= 3; i++) { /* the spare one as well */
        kill(jobs_gate->last, SIGKILL);
        await_here(&jobs_gate->begun, i + 1);
    }
    atomic_store(&jobs_gate->is_open, true);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(outcome_of(&all[i]), i < 3 ? -EOWNERDEAD : 0);
    }
    CHECK_INT(jobs_gate->inits_to_fail, 0);
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 D79 */
static void no_job_is_lost_to_a_worker_that_cannot_be_prepared(void **state)
{
    CHECK_INT(run_with(init_fails_later_main), 0);
}

static int too_much_main(void *arg)
{
    pid_t before, after;
    skua_pool *pool = open_pool(1, MUCH);
    CHECK_INT(skua_pool_pids(pool, &before, 1), 1);
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &say_too_much_job, bytes_of(NULL, 0), &out, FOREVER), -EMSGSIZE);
    check_echo(pool, "x", 1);
    CHECK_INT(skua_pool_pids(pool, &after, 1), 1);
    CHECK_INT(before, after);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void an_answer_that_cannot_be_sent_is_an_error_of_its_job(void **state)
{
    CHECK_INT(run_with(too_much_main), 0);
}

/* --- workers that are replaced ---------------------------------------------------------------- */

static int replaced_main(void *arg)
{
    static const struct {
        uint32_t workers, jobs_max;
        int jobs;
    } cases[] = {{1, 1, 6}, {1, 2, 9}, {2, 2, 14}, {2, 7, 40}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static sent all[40];
        const skua_pool_opts opts = {.workers = cases[i].workers,
                                     .jobs_per_worker_max = cases[i].jobs_max};
        skua_pool *pool = NULL;
        CHECK_INT(skua_pool_create(&pool, &opts), 0);
        reset_gate(true);
        for (int k = 0; k < cases[i].jobs; k++) {
            send_job(pool, &all[k], &pass_gate_job);
        }
        if (i % 2 == 0) {
            CHECK_INT(skua_pool_drain(pool, FOREVER), 0); /* replaced even while it drains */
        }
        for (int k = 0; k < cases[i].jobs; k++) {
            CHECK_INT(outcome_of(&all[k]), 0);
        }
        for (int k = 0; k < cases[i].jobs; k++) {
            uint32_t same = 0;
            for (int m = 0; m < cases[i].jobs; m++) {
                same += all[m].pid == all[k].pid;
            }
            CHECK(same <= cases[i].jobs_max);
        }
        CHECK_INT(jobs_gate->begun, cases[i].jobs);
        skua_pool_destroy(pool); /* perhaps while one is being replaced */
        CHECK_INT(count_workers(), 0);
    }
    return 0;
}

/* covers: D79 */
static void workers_are_replaced_after_so_many_jobs(void **state)
{
    CHECK_INT(run_with(replaced_main), 0);
}

/* --- workers that stand still ----------------------------------------------------------------- */

/* A job that has begun, and has a deadline yet to come: a later one where that takes so long.
   Returns when the last one was sent. */
static skua_time send_and_begin(skua_pool *pool, sent *one, int64_t *limit_ns)
{
    for (;; *limit_ns *= 2) {
        const skua_time start = skua_clock();
        int status = 0;
        reset_gate(false);
        send_with(pool, one, &pass_gate_job, bytes_of(NULL, 0), NULL, skua_after(*limit_ns));
        while (jobs_gate->begun == 0 && skua_join(one->task, &status, SKUA_NOW) == -EAGAIN) {
            nap_here(SKUA_US(200));
        }
        if (jobs_gate->begun > 0) {
            return start;
        }
        CHECK_INT(outcome_of(one), -ETIMEDOUT);
    }
}

static int stopped_main(void *arg)
{
    sent stopped;
    int64_t limit_ns = SKUA_MS(300);
    skua_pool *pool = open_pool(2, 4096);
    const skua_time start = send_and_begin(pool, &stopped, &limit_ns);
    const pid_t victim = jobs_gate->last;
    kill(victim, SIGSTOP);
    for (int i = 0; i < 50; i++) {
        check_echo(pool, &i, sizeof i); /* the others go on */
    }
    CHECK_INT(outcome_of(&stopped), -ETIMEDOUT);
    CHECK(skua_elapsed_ns(start) >= limit_ns);
    CHECK(is_gone_soon(victim)); /* SIGKILL works on a stopped one */
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 */
static void a_stopped_worker_does_not_outlast_its_jobs_deadline(void **state)
{
    CHECK_INT(run_with(stopped_main), 0);
}

/* One that was stopped while it was idle has begun nothing: what it was given is taken back. */
static int stopped_idle_main(void *arg)
{
    static sent all[MANY];
    pid_t pids[2];
    skua_pool *pool = open_pool(2, 4096);
    CHECK_INT(skua_pool_pids(pool, pids, 2), 2);
    reset_gate(false);
    send_job(pool, &all[0], &pass_gate_job);
    send_job(pool, &all[1], &pass_gate_job);
    await_here(&jobs_gate->begun, 2); /* both have shown that they are there */
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(outcome_of(&all[0]), 0);
    CHECK_INT(outcome_of(&all[1]), 0);
    stop_process(pids[0]);
    for (int i = 0; i < MANY; i++) {
        send_job(pool, &all[i], &pass_gate_job);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(outcome_of(&all[i]), 0);
        CHECK(all[i].pid != pids[0]);
    }
    CHECK(is_gone_soon(pids[0])); /* another one is in its place */
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void jobs_of_a_stopped_idle_worker_go_to_others(void **state)
{
    CHECK_INT(run_with(stopped_idle_main), 0);
}

/* Looks for workers that stand still, at such a moment. Returns who is the worker after it. */
static pid_t look_at(skua_pool *pool, int64_t now_ns)
{
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    skua__pool_unstick(pool, &after, now_ns);
    skua__pool_unlock_after(pool, &after);
    pid_t pid = 0;
    const size_t count = skua_pool_pids(pool, &pid, 1);
    return count == 1 ? pid : 0;
}

/* A job for a worker that is stopped, given to it at that moment, which is far off: so nobody but
   the test looks for such workers. `ignored_ns`: so long it has let others be before. */
static pid_t give_to_stopped(skua_pool *pool, sent *one, int64_t base_ns, int64_t ignored_ns)
{
    pid_t pid;
    reset_gate(true);
    skua__pool_lock(pool);
    pool->unstuck_ns = base_ns;
    skua__pool_unlock(pool);
    send_job(pool, one, &pass_gate_job); /* it shows that it is there */
    CHECK_INT(outcome_of(one), 0);
    CHECK_INT(skua_pool_pids(pool, &pid, 1), 1);
    stop_process(pid);
    send_job(pool, one, &pass_gate_job);
    skua__pool_lock(pool);
    struct skua__process *process =
        SKUA_CONTAINER(skua__list_first(&pool->busy), struct skua__process, busy);
    process->ignored_ns = ignored_ns;
    process->since_ns = base_ns - ignored_ns;
    skua__pool_unlock(pool);
    return pid;
}

/* All stood still: the pool, which did not look for ten seconds, cannot know whose fault it is. */
static int all_stopped_main(void *arg)
{
    sent one;
    const int64_t base_ns = skua_clock().ns + SKUA_SEC(3600);
    skua_pool *pool = open_pool(1, 4096);
    const pid_t pid = give_to_stopped(pool, &one, base_ns, 0);
    int64_t now_ns = base_ns + SKUA_SEC(10);
    CHECK_INT(look_at(pool, now_ns), pid);
    for (int i = 0; i < 8; i++) { /* now somebody looks, and it does not begin for a second */
        now_ns += SKUA_MS(100);
        CHECK_INT(look_at(pool, now_ns), pid);
    }
    CHECK(look_at(pool, now_ns + SKUA_MS(200)) != pid);
    CHECK_INT(outcome_of(&one), 0); /* by another one */
    skua_pool_destroy(pool);

    pool = open_pool(1, 4096);
    give_to_stopped(pool, &one, base_ns, SKUA_SEC(2)); /* has shown before that it begins nothing */
    look_at(pool, base_ns + SKUA_SEC(10));
    CHECK_INT(outcome_of(&one), 0);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_worker_is_not_given_up_for_what_nobody_has_seen(void **state)
{
    CHECK_INT(run_with(all_stopped_main), 0);
}

/* --- what jobs leave behind ------------------------------------------------------------------- */

/* Leaves a process in a session of its own, whose parent is gone. */
static int leave_daemon(skua_bytes in, skua_reply *reply)
{
    int ends[2];
    pid_t daemon = 0;
    if (pipe(ends) != 0) {
        return -errno;
    }
    const pid_t child = fork();
    if (child == 0) {
        setsid();
        daemon = fork();
        if (daemon == 0) {
            while (pause() < 0) {}
        }
        _exit(write(ends[1], &daemon, sizeof daemon) == sizeof daemon ? 0 : 1);
    }
    waitpid(child, NULL, 0);
    const ssize_t bytes = read(ends[0], &daemon, sizeof daemon);
    close(ends[0]);
    close(ends[1]);
    return bytes == sizeof daemon ? answer(reply, &daemon, sizeof daemon) : -EIO;
}
SKUA_JOB(leave_daemon);

static int daemon_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    sent one;
    send_job(pool, &one, &leave_daemon_job);
    CHECK_INT(outcome_of(&one), 0);
    CHECK(is_alive(one.pid));
    skua_pool_destroy(pool);
    const bool is_gone = is_gone_soon(one.pid);
    kill(is_gone ? getpid() : one.pid, is_gone ? 0 : SIGKILL);
    CHECK(is_gone);
    return 0;
}

/* covers: A67 */
static void what_a_job_leaves_in_a_session_of_its_own_is_killed(void **state)
{
    CHECK_INT(run_with(daemon_main), 0);
}

/* --- the end of the program ------------------------------------------------------------------- */

static int leave_main(void *scene)
{
    sent one, two;
    pid_t pids[3];
    skua_pool *pool = open_pool(2, 4096);
    reset_gate(false);
    send_job(pool, &one, &pass_gate_job);
    send_job(pool, &two, &pass_gate_job);
    await_here(&jobs_gate->begun, 2);
    CHECK_INT(skua_pool_pids(pool, pids, 2), 2);
    pids[2] = skua__zygote_pid();
    CHECK_INT(write(STDOUT_FILENO, pids, sizeof pids), sizeof pids);
    if (strcmp(scene, "leaves") == 0) {
        _exit(0);
    }
    abort();
}

/* Plays this program again and looks for what it leaves. */
static void leave(const char *scene)
{
    int ends[2], result;
    pid_t pid, pids[3] = {0};
    char *const argv[] = {(char *)"pool_hang_test", (char *)(uintptr_t)scene, NULL};
    posix_spawn_file_actions_t actions;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    CHECK_INT(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    CHECK_INT(read(ends[0], pids, sizeof pids), sizeof pids);
    CHECK_INT(waitpid(pid, &result, 0), pid);
    for (int i = 0; i < 3; i++) {
        CHECK(is_gone_soon(pids[i]));
    }
    char rest;
    CHECK_INT(read(ends[0], &rest, 1), 0); /* nobody holds its standard output open any more */
    close(ends[0]);
}

/* covers: A67 D80 */
static void a_program_ends_with_jobs_in_it(void **state)
{
    leave("leaves");
    leave("aborts");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(workers_that_die_of_much_data_hang_nobody),
        TEST(a_kill_amid_a_huge_answer_fails_one_job),
        TEST(a_kill_with_many_jobs_queued_fails_one),
        TEST(submits_never_wait_for_who_is_to_hear_them),
        TEST(deaths_during_a_drain_do_not_hold_it_up),
        TEST(a_cancel_right_before_the_drain_does_not_hold_it_up),
        TEST(a_pool_refuses_after_its_drain_and_not_after_a_death),
        TEST(destroy_ends_all_that_was_submitted),
        TEST(a_failing_init_fails_the_create),
        TEST(no_job_is_lost_to_a_worker_that_cannot_be_prepared),
        TEST(an_answer_that_cannot_be_sent_is_an_error_of_its_job),
        TEST(workers_are_replaced_after_so_many_jobs),
        TEST(a_stopped_worker_does_not_outlast_its_jobs_deadline),
        TEST(jobs_of_a_stopped_idle_worker_go_to_others),
        TEST(a_worker_is_not_given_up_for_what_nobody_has_seen),
        TEST(what_a_job_leaves_in_a_session_of_its_own_is_killed),
        TEST(a_program_ends_with_jobs_in_it),
    };
    if (argc > 1) {
        const skua_config config = {.workers = 2};
        return skua_run(&config, leave_main, argv[1]);
    }
    return TEST_RUN(tests);
}
