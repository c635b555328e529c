/* The process pool when things run out: memory of the program (the n-th allocation and all after it
   fail, for every n), memory, fds and processes of workers, fds and processes for new workers, room
   in /dev/shm. Calls fail with a code or wait; no job is lost or run twice, nothing is left, and
   the pool goes on when there is more again. */
#include "../pool_gate.h"
#include "../pool_scenes.h"

#include "base/mem.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum { BUDGET_MAX = 300, LONG = 10000 };

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

/* --- memory of the program -------------------------------------------------------------------- */

static char *data;

static bool is_scarcity(int status)
{
    return status == -ENOMEM || status == -EAGAIN;
}

static int call_once(skua_pool *pool)
{
    skua_buf out;
    const int status = skua_pool_call(pool, &echo_job, bytes_of(data, LONG), &out, FOREVER);
    CHECK_INT(out.bytes, status == 0 ? LONG : 0);
    CHECK(status != 0 || memcmp(out.data, data, LONG) == 0);
    skua_buf_release(&out);
    return status;
}

static int submit_once(skua_pool *pool)
{
    skua_task *task = NULL;
    skua_buf out = {.data = NULL};
    int result = 0;
    const int status =
        skua_pool_submit(pool, &task, &echo_job, bytes_of(data, LONG), NULL, &out, FOREVER);
    if (status < 0) {
        CHECK_PTR(task, NULL);
        return status;
    }
    CHECK_INT(skua_join(task, &result, FOREVER), 0);
    CHECK_INT(out.bytes, result == 0 ? LONG : 0);
    CHECK(result == 0 || skua_task_error(task) != NULL);
    skua_task_release(task);
    skua_buf_release(&out);
    return result;
}

static int map_once(skua_pool *pool)
{
    skua_pool_item items[20] = {{.status = 0}};
    int worst = 0;
    for (size_t i = 0; i < 20; i++) {
        items[i].in = bytes_of(data, i * 500);
    }
    const ssize_t failed = skua_pool_map(pool, &echo_job, items, 20, FOREVER);
    for (size_t i = 0; i < 20; i++) {
        worst = items[i].status < 0 ? items[i].status : worst;
        CHECK(failed < 0 || items[i].status < 0 || items[i].out.bytes == i * 500);
        skua_buf_release(&items[i].out);
    }
    return failed < 0 ? (int)failed : worst;
}

static int give_ten(void *arg, skua_bytes *in, skua_buf *buf)
{
    int *given = arg;
    *in = bytes_of(data, (size_t)*given * 900);
    return (*given)++ < 10;
}

static int stream_once(skua_pool *pool)
{
    skua_pool_stream *stream = NULL;
    int given = 0, worst = 0;
    int status = skua_pool_stream_open(&stream, pool, &echo_job, give_ten, &given, NULL);
    if (status < 0) {
        CHECK_PTR(stream, NULL);
        return status;
    }
    for (uint64_t want = 0; status >= 0; want++) {
        uint64_t index;
        int job_status;
        skua_buf out = {.data = NULL};
        status = skua_pool_stream_next(stream, &index, &job_status, &out, FOREVER);
        if (status <= 0) {
            CHECK(status < 0 || want == 10);
            break;
        }
        CHECK_INT(index, want);
        CHECK(job_status < 0 || out.bytes == index * 900);
        worst = job_status < 0 ? job_status : worst;
        skua_buf_release(&out);
    }
    skua_pool_stream_close(stream);
    return status < 0 ? status : worst;
}

static int alloc_once(skua_pool *pool)
{
    skua_buf in, out;
    int status = skua_pool_alloc(pool, &in, LONG, FOREVER);
    if (status < 0) {
        return status;
    }
    memcpy(in.data, data, LONG);
    const skua_call_opts opts = {.in_buf = &in};
    status = skua_pool_call_with(pool, &echo_job, bytes_of(NULL, 0), &opts, &out, FOREVER);
    CHECK_INT(out.bytes, status == 0 ? LONG : 0);
    skua_buf_release(&out);
    skua_buf_release(&in);
    return status;
}

static int memory_main(void *arg)
{
    static int (*const attempts[])(skua_pool *) = {call_once, submit_once, map_once, stream_once,
                                                   alloc_once};
    skua_pool *pool = open_pool(2, 1 << 20);
    data = make_bytes(LONG, 1);
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int status = -ENOMEM;
        for (int budget = 0; status != 0; budget++) {
            CHECK(budget < BUDGET_MAX);
            allow(budget);
            status = attempts[i](pool);
            allow(-1);
            CHECK(status == 0 || is_scarcity(status));
            CHECK_INT(call_once(pool), 0);
        }
    }
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.loans, 0);
    CHECK_INT(stats.queued + stats.running, 0);
    CHECK_INT(stats.crashed, 0);
    free(data);
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 */
static void calls_fail_when_memory_does_and_the_pool_goes_on(void **state)
{
    CHECK_INT(run_with(memory_main), 0);
}

/* Workers die while there is no memory for new ones. */
static int memory_for_workers_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    for (int round = 0; round < 3; round++) {
        allow(round);
        for (int i = 0; i < 4; i++) {
            pid_t pids[2];
            const size_t count = skua_pool_pids(pool, pids, 2);
            for (size_t k = 0; k < count && k < 2; k++) {
                kill(pids[k], SIGKILL);
                CHECK(is_gone_soon(pids[k]));
            }
        }
        allow(-1);
        check_echo(pool, "x", 1);
    }
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 D79 */
static void workers_come_back_when_memory_does(void **state)
{
    CHECK_INT(run_with(memory_for_workers_main), 0);
}

/* --- memory and fds of a worker --------------------------------------------------------------- */

/* Takes all that it can get, and answers all the same. */
static int take_memory(skua_bytes in, skua_reply *reply)
{
    int count = 0;
    while (malloc((size_t)1 << 20) != NULL && count < 1 << 16) {
        count++;
    }
    return answer(reply, &count, sizeof count);
}
SKUA_JOB(take_memory);

static int take_fds(skua_bytes in, skua_reply *reply)
{
    int count = 0;
    while (dup(0) >= 0 && count < 1 << 20) {
        count++;
    }
    return answer(reply, &count, sizeof count);
}
SKUA_JOB(take_fds);

static int greedy_main(void *arg)
{
    skua_pool *pool = NULL;
    skua_buf out;
    const skua_pool_opts opts = {
        .workers = 1,
        .payload_max = 1 << 20,
        .limits = {.address_bytes = (size_t)64 << 20, .fds = 40},
    };
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    const skua_job *const jobs[] = {&take_memory_job, &take_fds_job};
    char *much = make_bytes(1 << 20, 1);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(skua_pool_call(pool, jobs[i % 2], bytes_of(NULL, 0), &out, FOREVER), 0);
        CHECK(*(const int *)out.data < 100);
        skua_buf_release(&out);
        check_echo(pool, much, 1 << 20); /* it needs nothing more to go on */
    }
    free(much);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_worker_without_memory_and_fds_goes_on_answering(void **state)
{
    if (TEST_SCALE > 1) {
        skip(); /* sanitizers need their address space */
    }
    CHECK_INT(run_with(greedy_main), 0);
}

/* --- fds and processes for new workers -------------------------------------------------------- */

static void kill_workers(skua_pool *pool)
{
    pid_t pids[4];
    const size_t count = skua_pool_pids(pool, pids, 4);
    for (size_t i = 0; i < count && i < 4; i++) {
        kill(pids[i], SIGKILL);
        CHECK(is_gone_soon(pids[i]));
    }
}

/* Until no worker is left, the spare one neither. */
static void kill_all_workers(skua_pool *pool)
{
    while (skua_pool_pids(pool, NULL, 0) > 0) {
        kill_workers(pool);
        nap_here(SKUA_MS(1));
    }
}

/* Until all are there, the spare one too: nobody is being made just now. */
static void await_all(skua_pool *pool)
{
    skua_pool_stats stats;
    do {
        nap_here(SKUA_US(200));
        skua_pool_stats_get(pool, &stats);
    } while (stats.workers != 2 || stats.spares != SKUA__SPARES);
}

/* While nobody can make new workers calls wait; then they go on. */
static void check_recovery(skua_pool *pool, pid_t whom, __rlimit_resource_t resource, rlim_t few)
{
    struct rlimit limit;
    skua_buf out;
    await_all(pool);
    CHECK_INT(prlimit(whom, resource, NULL, &limit), 0);
    const struct rlimit low = {few, limit.rlim_max};
    CHECK_INT(prlimit(whom, resource, &low, NULL), 0);
    kill_all_workers(pool);
    CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of("x", 1), &out, skua_after(SKUA_MS(50))),
              -ETIMEDOUT);
    CHECK_INT(prlimit(whom, resource, &limit, NULL), 0);
    check_echo(pool, "there again", 11);
}

static int fds_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    check_echo(pool, "x", 1);
    check_recovery(pool, getpid(), RLIMIT_NOFILE, 3);
    check_recovery(pool, skua__zygote_pid(), RLIMIT_NOFILE, 4); /* so many it polls */
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

/* covers: A67 D79 */
static void workers_come_back_when_fds_do(void **state)
{
    CHECK_INT(run_with(fds_main), 0);
}

/* Root may have as many processes as it likes: be somebody else, of whom there are no others. */
static bool become_nobody(void)
{
    const uid_t somebody = 54321;
    return geteuid() == 0 && setresgid(somebody, somebody, somebody) == 0 &&
           setresuid(somebody, somebody, somebody) == 0;
}

static int pids_main(void *arg)
{
    skua_pool *pool = open_pool(2, 4096);
    check_recovery(pool, skua__zygote_pid(), RLIMIT_NPROC, 1);
    skua_pool_destroy(pool);
    CHECK_INT(count_workers(), 0);
    return 0;
}

static int play_pids(int number)
{
    if (!become_nobody()) {
        return SCENE_SKIPPED;
    }
    /* The processes are another user's from here on, whom we may signal. */
    return run_with(pids_main);
}

static int few_main(void *arg)
{
    skua_pool *pool = NULL;
    const skua_pool_opts opts = {.workers = 3, .payload_max = 4096};
    const int status = skua_pool_create(&pool, &opts);
    CHECK(status == 0 || status == -EAGAIN || status == -ENOTSUP || status == -ENOMEM);
    if (status == 0) {
        check_echo(pool, "x", 1);
        skua_pool_destroy(pool);
    }
    return 0;
}

/* Only so many processes and threads: it works, or says that it does not. */
static int play_few(int number)
{
    const struct rlimit limit = {(rlim_t)number, (rlim_t)number};
    if (setrlimit(RLIMIT_NPROC, &limit) != 0 || !become_nobody()) {
        return SCENE_SKIPPED;
    }
    const skua_config config = {.workers = 2};
    const int status = skua_run(&config, few_main, NULL);
    return status == 0 || status == -EAGAIN || status == -ENOMEM ? 0 : 1;
}

/* covers: A67 D79 */
static void workers_come_back_when_processes_do(void **state)
{
    if (TEST_SCALE > 1 || !play_scene("pids", 0)) {
        print_message("needs to be root, and no sanitizer, which has threads of its own\n");
        skip();
    }
}

/* covers: A67 */
static void lack_of_processes_is_told(void **state)
{
    if (TEST_SCALE > 1 || geteuid() != 0) {
        print_message("needs to be root, and no sanitizer, which has threads of its own\n");
        skip();
    }
    for (int number = 1; number <= 12; number++) {
        CHECK(play_scene("few", number));
    }
}

/* --- room in /dev/shm, and for files ---------------------------------------------------------- */

static int shm_main(void *arg)
{
    char *much = make_bytes(1 << 20, 1);
    skua_pool *pool = open_pool(2, 1 << 20);
    for (int i = 0; i < 10; i++) {
        check_echo(pool, much, 1 << 20);
    }
    skua_pool_destroy(pool);
    free(much);
    return 0;
}

/* A /dev/shm of one page, which is full. */
static int play_shm(int number)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=4k") != 0) {
        return SCENE_SKIPPED;
    }
    char page[4096] = {1};
    const int fd = open("/dev/shm/full", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(write(fd, page, sizeof page), sizeof page);
    CHECK(write(fd, page, 1) < 0);
    close(fd);
    return run_with(shm_main);
}

/* covers: A67 */
static void a_full_dev_shm_does_not_matter(void **state)
{
    if (!play_scene("shm", 0)) {
        print_message("may not mount here\n");
        skip();
    }
}

static int file_limit_main(void *arg)
{
    skua_pool *pool = NULL;
    const int status = skua_pool_create(&pool, NULL);
    CHECK(status <= 0);
    if (status == 0) {
        check_echo(pool, "x", 1);
        skua_pool_destroy(pool);
    }
    return 0;
}

/* A program that may not write large files has a pool, or is told that it cannot. */
static int play_file_limit(int number)
{
    const struct rlimit limit = {1 << 16, 1 << 16};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return run_with(file_limit_main);
}

/* covers: A67 */
static void a_limit_on_files_kills_nobody(void **state)
{
    CHECK(play_scene("file_limit", 0));
}

int main(int argc, char **argv)
{
    static const scene scenes[] = {
        {"pids", play_pids}, {"few", play_few}, {"shm", play_shm}, {"file_limit", play_file_limit},
        {NULL, NULL},
    };
    const struct CMUnitTest tests[] = {
        TEST(calls_fail_when_memory_does_and_the_pool_goes_on),
        TEST(workers_come_back_when_memory_does),
        TEST(a_worker_without_memory_and_fds_goes_on_answering),
        TEST(workers_come_back_when_fds_do),
        TEST(workers_come_back_when_processes_do),
        TEST(lack_of_processes_is_told),
        TEST(a_full_dev_shm_does_not_matter),
        TEST(a_limit_on_files_kills_nobody),
    };
    return argc > 1 ? perform_scene(scenes, argc, argv) : TEST_RUN(tests);
}
