/* The process pool: crashes, kills, liars, the end of pools and programs, and that nothing is left
   over. What needs a fresh program runs in this one again, started with the name of a scene as its
   argument. */
#include "pool_gate.h"

#include "base/mem.h"
#include "pool/ring.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/resource.h>

extern char **environ;

static char *volatile nowhere = (char *)64;

static int crash(skua_bytes in, skua_reply *reply)
{
    switch (*(const char *)in.data) {
    case 'a':
        abort();
    case 's':
        *nowhere = 1;
        break;
    case 'e':
        exit(3);
    case '_':
        _exit(3);
    case 'k':
        kill(getpid(), SIGKILL);
        break;
    }
    return 0;
}
SKUA_JOB(crash);

/* Leaves a process behind that would live for ever. */
static int litter(skua_bytes in, skua_reply *reply)
{
    const pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    return answer(reply, &pid, sizeof pid);
}
SKUA_JOB(litter);

/* Takes the rings of the bell away from all others. */
static int thief(skua_bytes in, skua_reply *reply)
{
    for (;;) {
        for (int fd = 3; fd < 16; fd++) {
            uint64_t rings;
            if (read(fd, &rings, sizeof rings) < 0) {
                continue; /* not this one, or nothing to take */
            }
        }
    }
    return 0;
}
SKUA_JOB(thief);

static int liar(skua_bytes in, skua_reply *reply)
{
    struct skua__shared *rings = find_rings(in.data);
    const char kind = *(const char *)in.data;
    const uint32_t at = skua__load(&rings->response_write, relaxed);
    struct skua__response *response = &rings->responses[at % SKUA__RESPONSE_SLOTS].response;
    *response = (struct skua__response){.ticket = skua__load(&rings->request_read, relaxed),
                                        .kind = SKUA__RESPONSE_ANSWER};
    uint32_t index = at + 1;
    switch (kind) {
    case 'i': /* an index far ahead */
        index = at + 1000;
        break;
    case 'b': /* an index that goes back */
        index = at - 1;
        break;
    case 't': /* another job's ticket */
        response->ticket = 99;
        break;
    case 'l': /* more than fits */
        response->where = SKUA__BLOCK;
        response->bytes = UINT64_MAX - 7;
        break;
    case 'a': /* a block that does not exist */
        response->where = SKUA__BLOCK;
        response->bytes = 1;
        response->block = UINT32_MAX - 7;
        break;
    case 'x': /* everything */
        memset((void *)rings, 0xfe, sizeof *rings);
        break;
    }
    if (kind != 'x') {
        skua__store(&rings->response_write, index, release);
    }
    while (pause() < 0) {}
    return 0;
}
SKUA_JOB(liar);

/* ---- deaths ---- */

/* The job fails with that text around its process id; others and the next ones do not notice. */
static void check_crash(skua_pool *pool, const char *kind, const char *before, const char *after)
{
    struct call other = {.pool = pool, .job = &pass_gate_job};
    struct call call = {.pool = pool, .job = &crash_job, .in = bytes_of(kind, 1)};
    reset_gate(false);
    start_call(&other);
    await_here(&jobs_gate->begun, 1);
    start_call(&call);
    int result;
    CHECK_INT(skua_join(call.task, &result, FOREVER), 0);
    CHECK_INT(result, -EOWNERDEAD);
    const skua_error *error = skua_task_error(call.task);
    CHECK(error != NULL && error->text != NULL);
    CHECK_INT(strncmp(error->text, before, strlen(before)), 0);
    const size_t length = strlen(error->text);
    CHECK(length > strlen(after));
    CHECK_STR(error->text + length - strlen(after), after);
    skua_task_release(call.task);
    atomic_store(&jobs_gate->is_open, true);
    CHECK_INT(end_call(&other), 0);
    check_echo(pool, kind, 1);
}

static int crashes_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    const char *before = "job 'crash': worker ";
    check_crash(pool, "a", before, " was killed by signal 6 (Aborted)");
    check_crash(pool, "s", before, " was killed by signal 11 (Segmentation fault)");
    check_crash(pool, "_", before, " exited with code 3");
    check_crash(pool, "k", before, " was killed by signal 9 (Killed)");
    if (TEST_SCALE == 1) {
        check_crash(pool, "e", before,
                    " exited with code 3"); /* else the leak checker has its say */
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: D79 */
static void a_crash_fails_one_job(void **state)
{
    CHECK_INT(run_with(crashes_main), 0);
}

static int killed_main(void *arg)
{
    const int ms = 1;
    skua_pool *pool = open_pool(2, 4096);
    struct call calls[2] = {{.pool = pool, .job = &hang_job},
                            {.pool = pool, .job = &nap_job, .in = BYTES(ms)}};
    pid_t pids[2];
    CHECK_INT(skua_pool_pids(pool, pids, 2), 2);
    start_call(&calls[0]);
    await_running(pool, 1); /* hence the next one goes to the other worker */
    start_call(&calls[1]);
    CHECK_INT(end_call(&calls[1]), 0);
    kill(pids[0] == calls[1].pid ? pids[1] : pids[0], SIGKILL);
    CHECK_INT(end_call(&calls[0]), -EOWNERDEAD);
    check_echo(pool, pids, sizeof pids);
    /* Idle workers are replaced too. */
    size_t count = skua_pool_pids(pool, pids, 2);
    for (size_t i = 0; i < count; i++) {
        kill(pids[i], SIGKILL);
        CHECK(is_gone_soon(pids[i]));
    }
    check_echo(pool, pids, sizeof pids);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 D79 */
static void a_kill_fails_one_job(void **state)
{
    CHECK_INT(run_with(killed_main), 0);
}

static int litter_main(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    struct call call = {.pool = pool, .job = &litter_job};
    start_call(&call);
    CHECK_INT(end_call(&call), 0);
    CHECK(is_alive(call.pid));
    skua_pool_destroy(pool);
    CHECK(is_gone_soon(call.pid));
    return 0;
}

static void what_a_job_leaves_behind_is_killed(void **state)
{
    CHECK_INT(run_with(litter_main), 0);
}

static int liars_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    for (const char *kind = "ibtlax"; *kind != '\0'; kind++) {
        pid_t pids[2];
        check_echo(pool, kind, 1);
        struct call call = {.pool = pool, .job = &liar_job, .in = bytes_of(kind, 1)};
        call.deadline = skua_after(SKUA_SEC(20));
        start_call(&call);
        int result;
        CHECK_INT(skua_join(call.task, &result, FOREVER), 0);
        CHECK_INT(result, -EPROTO);
        CHECK(strstr(skua_task_error(call.task)->text, "was killed for writing") != NULL);
        skua_task_release(call.task);
        size_t count = skua_pool_pids(pool, pids, 2);
        CHECK(count <= 2); /* the replacements come later */
        check_echo(pool, kind, 1);
    }
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

static void liars_are_killed(void **state)
{
    CHECK_INT(run_with(liars_main), 0);
}

static int thief_main(void *arg)
{
    const int ms = 20;
    skua_pool *pool = open_pool(2, 4096);
    struct call stealing = {.pool = pool, .job = &thief_job};
    start_call(&stealing);
    await_begun(pool, &stealing, 1);
    for (int i = 0; i < 5; i++) {
        struct call call = {.pool = pool, .job = &nap_job, .in = BYTES(ms)};
        start_call(&call);
        CHECK_INT(end_call(&call), 0);
        CHECK(!stealing.is_over);
    }
    skua_task_cancel(stealing.task);
    CHECK_INT(end_call(&stealing), -ECANCELED);
    skua_pool_destroy(pool);
    return 0;
}

static void a_stolen_bell_delays_only(void **state)
{
    CHECK_INT(run_with(thief_main), 0);
}

/* ---- many jobs while workers are killed ---- */

enum { STORM_TASKS = 100, STORM_JOBS = TEST_SCALE > 1 ? 20 : 50, JOBS_PER_DEATH = 50 };

static _Atomic int storm_done, storm_dead, storm_running;

static int storm_task(void *pool)
{
    uint64_t random = test_seed() + (uintptr_t)&random;
    for (int i = 0; i < STORM_JOBS; i++) {
        uint64_t data[2048] = {0};
        skua_buf out;
        const size_t bytes = test_random(&random) % sizeof data;
        data[0] = test_random(&random);
        int result = skua_pool_call(pool, &echo_job, bytes_of(data, bytes), &out, FOREVER);
        if (result == 0) {
            CHECK_INT(out.bytes, bytes);
            CHECK(bytes == 0 || memcmp(out.data, data, bytes) == 0);
            storm_done++;
        } else {
            CHECK_INT(result, -EOWNERDEAD);
            storm_dead++;
        }
        skua_buf_release(&out);
    }
    storm_running--;
    return 0;
}

static int storm_main(void *arg)
{
    skua_task *tasks[STORM_TASKS];
    uint64_t random = test_seed();
    skua_pool *pool = open_pool(4, 1 << 20);
    storm_done = storm_dead = 0;
    storm_running = STORM_TASKS;
    for (int i = 0; i < STORM_TASKS; i++) {
        CHECK_INT(skua_spawn(&tasks[i], storm_task, pool, NULL), 0);
    }
    for (int done = 0; storm_running > 0;) {
        pid_t pids[8];
        const size_t count = skua_pool_pids(pool, pids, 8);
        CHECK(count <= 4);
        /* A death for so many jobs: however slow the machine is, there are not more of them. */
        if (count > 0 && storm_done + storm_dead >= done) {
            kill(pids[test_random(&random) % count], SIGKILL);
            done = storm_done + storm_dead + JOBS_PER_DEATH;
        }
        nap_here(SKUA_US(500));
    }
    for (int i = 0; i < STORM_TASKS; i++) {
        CHECK_INT(skua_join(tasks[i], NULL, FOREVER), 0);
    }
    skua_task_release_all(tasks, STORM_TASKS);
    CHECK_INT(storm_done + storm_dead, STORM_TASKS * STORM_JOBS);
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: D79 */
static void every_job_has_one_outcome(void **state)
{
    CHECK_INT(run_with(storm_main), 0);
}

/* ---- ends ---- */

static int two_pools_main(void *arg)
{
    skua_pool *first = open_pool(1, 4096);
    skua_pool *second = open_pool(1, 8192);
    CHECK(has_workers_soon(2 + 2 * SKUA__SPARES));
    skua_pool_destroy(first);
    check_echo(second, &first, sizeof first);
    CHECK(has_workers_soon(1 + SKUA__SPARES));
    skua_pool_destroy(second);
    return 0;
}

static int zygote_main(void *arg)
{
    enum { COUNT = 4 };
    struct call calls[COUNT];
    pid_t pids[2];
    skua_pool *pool = open_pool(2, 4096);
    CHECK_INT(skua_pool_pids(pool, pids, 2), 2);
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (struct call){.pool = pool, .job = &hang_job};
        start_call(&calls[i]);
    }
    await_begun(pool, calls, COUNT);
    const pid_t zygote = skua__zygote_pid();
    kill(zygote, SIGKILL);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(end_call(&calls[i]), -EOWNERDEAD);
    }
    CHECK(is_gone_soon(zygote));
    skua_buf out;
    const skua_bytes none = bytes_of(NULL, 0);
    CHECK_INT(skua_pool_call(pool, &echo_job, none, &out, FOREVER), -EOWNERDEAD);
    CHECK_INT(skua_pool_pids(pool, pids, 0), 0);
    skua_pool *second = NULL;
    CHECK_INT(skua_pool_create(&second, NULL), 0); /* of a zygote that is executed anew */
    check_echo(second, pids, sizeof pids);
    skua_pool_destroy(second);
    skua_pool_destroy(pool);
    for (int i = 0; i < 2; i++) {
        CHECK(is_gone_soon(pids[i]));
    }
    return 0;
}

static void a_killed_zygote_hangs_nobody(void **state)
{
    CHECK_INT(run_with(zygote_main), 0);
    /* So has the next runtime. */
    CHECK_INT(run_with(two_pools_main), 0);
}

static int busy_destroy_main(void *arg)
{
    enum { COUNT = 8 };
    struct call calls[COUNT];
    char *data = make_bytes(1 << 20, 1);
    skua_pool *pool = open_pool(2, 1 << 20);
    for (int i = 0; i < COUNT; i++) {
        const skua_bytes in = bytes_of(data, i % 2 == 0 ? 1 << 20 : 1);
        calls[i] = (struct call){.pool = pool, .job = &hang_job, .in = in};
        start_call(&calls[i]);
    }
    await_begun(pool, calls, COUNT);
    skua_pool_destroy(pool);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(end_call(&calls[i]), -ESHUTDOWN);
    }
    CHECK_INT(count_workers(), 0);
    free(data);
    return 0;
}

/* covers: D80 */
static void destroy_ends_running_jobs(void **state)
{
    CHECK_INT(run_with(busy_destroy_main), 0);
}

enum { CYCLES = 20 };

static int cycle_main(void *arg)
{
    for (int i = 0; i < CYCLES; i++) {
        skua_pool *pool = open_pool(2, 0);
        check_echo(pool, &i, sizeof i);
        skua_pool_destroy(pool);
    }
    CHECK_INT(count_workers(), 0);
    return 0;
}

static void nothing_is_left(void **state)
{
    CHECK_INT(run_with(two_pools_main), 0);
    CHECK_INT(run_with(cycle_main), 0);
    const int fds = test_fds();
    const int maps = test_maps();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(run_with(cycle_main), 0);
    }
    CHECK_INT(test_settle(test_fds, fds), fds);
    /* The allocator's own maps come and go; a leak would be one for each of 180 workers or more. */
    CHECK(test_maps() < maps + 100);
    CHECK_INT(test_settle(test_threads, 1), TEST_SCALE > 1 ? test_threads() : 1);
}

/* ---- scarcity ---- */

/* However much memory there is: a pool that works, or an error and nothing left. */
static int memory_scarce_main(void *arg)
{
    int created = 0;
    for (int64_t budget = 0; created == 0; budget++) {
        skua_pool *pool = NULL;
        const skua_pool_opts opts = {.workers = 3, .payload_max = 4096};
        skua__store(&skua__alloc_budget, budget, relaxed);
        int result = skua_pool_create(&pool, &opts);
        skua__store(&skua__alloc_budget, -1, relaxed);
        CHECK(result == 0 || result == -ENOMEM || result == -EAGAIN);
        CHECK(budget < 100);
        if (result == 0) {
            check_echo(pool, &budget, sizeof budget);
            skua_pool_destroy(pool);
            created++;
        }
        CHECK_INT(count_workers(), 0);
    }
    return 0;
}

static void lack_of_memory_is_told(void **state)
{
    CHECK_INT(run_with(memory_scarce_main), 0);
}

static int fds_scarce_main(void *arg)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int result = -1;
    int fd = dup(0);
    close(fd);
    for (int more = 0; result != 0; more++) {
        skua_pool *pool = NULL;
        const skua_pool_opts opts = {.workers = 3, .payload_max = 4096};
        const struct rlimit low = {(rlim_t)(fd + more), limit.rlim_max};
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
        result = skua_pool_create(&pool, &opts);
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
        CHECK(result == 0 || result == -EMFILE);
        CHECK(more < 100);
        skua_pool_destroy(pool);
        CHECK_INT(count_workers(), 0);
    }
    return 0;
}

static void lack_of_fds_is_told(void **state)
{
    CHECK_INT(run_with(fds_scarce_main), 0);
}

/* ---- scenes: this program again, as another one ---- */

static pid_t play(const char *scene, int *output)
{
    int ends[2];
    char *const argv[] = {(char *)"pool_death_test", (char *)(uintptr_t)scene, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    CHECK_INT(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *output = ends[0];
    return pid;
}

/* Plays the scene to its end. Returns its wait status; `text` is the start of what it printed. */
static int play_to_end(const char *scene, char *text, size_t size)
{
    int output, result;
    const pid_t pid = play(scene, &output);
    size_t length = 0;
    for (ssize_t n = 1; n > 0;) {
        char rest[256];
        n = read(output, rest, sizeof rest);
        for (ssize_t i = 0; i < n && length + 1 < size; i++) {
            text[length++] = rest[i];
        }
    }
    text[length] = '\0';
    close(output);
    CHECK_INT(waitpid(pid, &result, 0), pid);
    return result;
}

static int victim_main(void *arg)
{
    pid_t pids[3];
    skua_pool *pool = open_pool(2, 4096);
    CHECK_INT(skua_pool_pids(pool, pids, 2), 2);
    struct call call = {.pool = pool, .job = &hang_job};
    start_call(&call);
    pids[2] = skua__zygote_pid();
    CHECK_INT(write(STDOUT_FILENO, pids, sizeof pids), sizeof pids);
    return skua_sleep(FOREVER);
}

static void nothing_survives_the_program(void **state)
{
    int output, result;
    pid_t pids[3];
    const pid_t pid = play("victim", &output);
    CHECK_INT(read(output, pids, sizeof pids), sizeof pids);
    kill(pid, SIGKILL);
    for (int i = 0; i < 3; i++) {
        CHECK(is_gone_soon(pids[i]));
    }
    CHECK_INT(waitpid(pid, &result, 0), pid);
    close(output);
}

static int forget_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    static struct call call = {.job = &hang_job};
    call.pool = pool;
    CHECK_INT(skua_spawn(NULL, call_task, &call, NULL), 0);
    nap_here(SKUA_MS(20));
    return 5;
}

static int forget(void)
{
    CHECK_INT(run_with(forget_main), 5);
    CHECK_INT(count_workers(), 0);
    CHECK_INT(run_with(two_pools_main), 0);
    return 0;
}

static void a_forgotten_pool_is_closed(void **state)
{
    char text[2048];
    CHECK_INT(play_to_end("forget", text, sizeof text), 0);
    CHECK(strstr(text, "pool 'skua-pool' was never destroyed") != NULL);
}

static int loan_main(void *arg)
{
    skua_buf out;
    skua_pool *pool = open_pool(1, 4096);
    CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of("x", 1), &out, FOREVER), 0);
    skua_pool_destroy(pool);
    return 0;
}

static void destroy_with_loans_panics(void **state)
{
    char text[2048];
    const int result = play_to_end("loan", text, sizeof text);
    CHECK(WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT);
    CHECK(strstr(text, "is destroyed with 1 buffer on loan") != NULL);
}

static void *idle_thread(void *arg)
{
    for (;;) {
        pause();
    }
    return arg;
}

static int create_main(void *expected)
{
    skua_pool *pool = NULL;
    CHECK_INT(skua_pool_create(&pool, NULL), *(int *)expected);
    if (pool != NULL) {
        check_echo(pool, "abc", 3);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* A program with threads gets a zygote by execution, unless it has made one before. */
static int threads(bool prepared)
{
    pthread_t thread;
    if (prepared) {
        CHECK_INT(skua_pool_prepare(), 0);
    }
    CHECK_INT(pthread_create(&thread, NULL, idle_thread, NULL), 0);
    int expected = 0;
    CHECK_INT(skua_pool_prepare(), prepared ? 0 : -EBUSY);
    CHECK_INT(skua_run(NULL, create_main, &expected), 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD); /* it is nobody's child */
    return 0;
}

static void programs_with_threads_have_zygotes(void **state)
{
    char text[2048];
    CHECK_INT(play_to_end("threads", text, sizeof text), 0);
    CHECK_INT(play_to_end("prepared", text, sizeof text), 0);
}

/* Without standard fds: the sockets must not take their places. Without children that wait() finds.
   */
static int bare(void)
{
    int expected = 0;
    close(0);
    close(1);
    close(2);
    CHECK_INT(skua_run(NULL, create_main, &expected), 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    return 0;
}

static void programs_may_lack_standard_fds(void **state)
{
    char text[2048];
    CHECK_INT(play_to_end("bare", text, sizeof text), 0);
}

static int perform(const char *scene)
{
    if (strcmp(scene, "victim") == 0) {
        return run_with(victim_main);
    }
    if (strcmp(scene, "forget") == 0) {
        return forget();
    }
    if (strcmp(scene, "loan") == 0) {
        return run_with(loan_main);
    }
    if (strcmp(scene, "bare") == 0) {
        return bare();
    }
    return threads(strcmp(scene, "prepared") == 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_crash_fails_one_job),
        TEST(a_kill_fails_one_job),
        TEST(what_a_job_leaves_behind_is_killed),
        TEST(liars_are_killed),
        TEST(a_stolen_bell_delays_only),
        TEST(every_job_has_one_outcome),
        TEST(a_killed_zygote_hangs_nobody),
        TEST(destroy_ends_running_jobs),
        TEST(nothing_is_left),
        TEST(lack_of_memory_is_told),
        TEST(lack_of_fds_is_told),
        TEST(nothing_survives_the_program),
        TEST(a_forgotten_pool_is_closed),
        TEST(destroy_with_loans_panics),
        TEST(programs_with_threads_have_zygotes),
        TEST(programs_may_lack_standard_fds),
    };
    return argc > 1 ? perform(argv[1]) : TEST_RUN(tests);
}
