/* The limits of worker processes: each fails the job that meets it, alone, with an error that names
   it; and where workers run. */
#include "pool_help.h"

#include "pool/cgroup.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* ---- jobs ---- */

/* Computes for that many milliseconds of processor time; < 0: for ever. */
static int compute(skua_bytes in, skua_reply *reply)
{
    int ms;
    memcpy(&ms, in.data, sizeof ms);
    struct timespec start, now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (ms < 0 ||
             (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < ms);
    return 0;
}
SKUA_JOB(compute);

/* Computes for 300 ms, and says how many were left to it when it began. */
static int compute_a_little(skua_bytes in, skua_reply *reply)
{
    const int ms = 300;
    struct rlimit limit;
    struct timespec used;
    if (getrlimit(RLIMIT_CPU, &limit) < 0 || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0) {
        return -EIO;
    }
    const int left = (int)((int64_t)limit.rlim_cur * 1000 - used.tv_sec * (int64_t)1000 -
                           used.tv_nsec / 1000000);
    const int status = compute(BYTES(ms), reply);
    return status < 0 ? status : left;
}
SKUA_JOB(compute_a_little);

/* Writes a file of that many bytes. */
static int write_file(skua_bytes in, skua_reply *reply)
{
    int bytes;
    memcpy(&bytes, in.data, sizeof bytes);
    FILE *file = tmpfile();
    for (int i = 0; i < bytes; i++) {
        fputc('x', file);
    }
    return fclose(file);
}
SKUA_JOB(write_file);

/* How many files it can open. */
static int open_files(skua_bytes in, skua_reply *reply)
{
    int fds[256], count = 0;
    while (count < 256 && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        count++;
    }
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    return count;
}
SKUA_JOB(open_files);

static int has_no_new_privileges(skua_bytes in, skua_reply *reply)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}
SKUA_JOB(has_no_new_privileges);

static int get_nice(skua_bytes in, skua_reply *reply)
{
    return getpriority(PRIO_PROCESS, 0) + 100;
}
SKUA_JOB(get_nice);

/* Answers its set of processors. */
static int get_affinity(skua_bytes in, skua_reply *reply)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    const int ms = 20;
    poll(NULL, 0, ms); /* so that the other worker gets the next one */
    return answer(reply, &set, sizeof set);
}
SKUA_JOB(get_affinity);

/* What a sandbox allows. */
static int behave(skua_bytes in, skua_reply *reply)
{
    struct timespec now;
    char *volatile memory = malloc(10 << 20);
    if (memory == NULL || clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return -ENOMEM;
    }
    memset(memory, 1, 10 << 20);
    free(memory);
    poll(NULL, 0, 1);
    dprintf(STDERR_FILENO, "%s", "");
    return (int)in.bytes;
}
SKUA_JOB(behave);

/* What it does not. */
static int misbehave(skua_bytes in, skua_reply *reply)
{
    const char *const arguments[] = {"true", NULL};
    switch (*(const char *)in.data) {
    case 'o':
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    case 's':
        return socket(AF_INET, SOCK_STREAM, 0);
    case 'f':
        return fork();
    case 'k':
        return kill(getppid(), 0);
    case 'x':
        return execv("/bin/true", (char *const *)(uintptr_t)arguments);
    case 'b': { /* without the handler that would note it */
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        return unlink("/tmp/there-is-no-such-file");
    }
    }
    return 0;
}
SKUA_JOB(misbehave);

static int eat(skua_bytes in, skua_reply *reply)
{
    for (;;) {
        char *volatile memory = malloc(1 << 20);
        memset(memory, 1, 1 << 20);
    }
    return 0;
}
SKUA_JOB(eat);

/* ---- helpers ---- */

static const skua_bytes none = {NULL, 0};

static skua_pool *open_limited(const skua_pool_limits *limits)
{
    skua_pool *pool = NULL;
    const skua_pool_opts opts = {.workers = 1, .payload_max = 4096, .limits = *limits};
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    return pool;
}

struct expected {
    skua_pool *pool;
    const skua_job *job;
    skua_bytes in;
};

static int failing_task(void *arg)
{
    const struct expected *expected = arg;
    skua_buf out;
    return skua_pool_call(expected->pool, expected->job, expected->in, &out, FOREVER);
}

static int behaving_task(void *arg)
{
    const struct expected *expected = arg;
    skua_buf out;
    int result = skua_pool_call(expected->pool, &behave_job, bytes_of("abc", 3), &out, FOREVER);
    return result == 3 ? 0 : result;
}

/* The job fails by a limit, and says so. */
static void check_quota(skua_pool *pool, const skua_job *job, skua_bytes in, int code,
                        const char *text)
{
    struct expected expected = {pool, job, in};
    skua_task *task;
    int result;
    CHECK_INT(skua_spawn(&task, failing_task, &expected, NULL), 0);
    CHECK_INT(skua_join(task, &result, FOREVER), 0);
    CHECK_INT(result, code);
    const skua_error *error = skua_task_error(task);
    CHECK(error != NULL && error->text != NULL);
    if (strstr(error->text, text) == NULL) {
        CHECK_STR(error->text, text);
    }
    skua_task_release(task);
    check_echo(pool, "next", 5); /* nobody else has noticed */
}

/* ---- resource limits ---- */

static int cpu_main(void *arg)
{
    const int ever = -1;
    const skua_pool_limits limits = {.cpu_ns = SKUA_MS(900)}; /* hence the first second ends it */
    skua_pool *pool = open_limited(&limits);
    check_quota(pool, &compute_job, BYTES(ever), -EDQUOT, "limit of 0.9 s of processor time");
    for (int i = 0; i < 2; i++) { /* what the first one has used is not the second one's */
        const int left_ms = skua_pool_call(pool, &compute_a_little_job, none, NULL, FOREVER);
        CHECK(left_ms > 800 && left_ms < 2000);
    }
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void processor_time_is_limited_for_each_job(void **state)
{
    CHECK_INT(run_with(cpu_main), 0);
}

static int files_main(void *arg)
{
    const int few = 1000, many = 100 * 1000;
    const skua_pool_limits limits = {.file_bytes = 64 * 1024, .fds = 10, .no_new_privileges = true};
    skua_pool *pool = open_limited(&limits);
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &write_file_job, BYTES(few), &out, FOREVER), 0);
    check_quota(pool, &write_file_job, BYTES(many), -EDQUOT, "limit of 65536 bytes for a file");
    CHECK_INT(skua_pool_call(pool, &open_files_job, none, &out, FOREVER), 10);
    CHECK_INT(skua_pool_call(pool, &has_no_new_privileges_job, none, &out, FOREVER), 1);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void files_and_fds_are_limited(void **state)
{
    CHECK_INT(run_with(files_main), 0);
}

/* ---- the sandbox ---- */

static int sandbox_main(void *arg)
{
    const skua_pool_limits limits = {.sandbox = true, .cpu_ns = SKUA_SEC(20)};
    skua_pool *pool = open_limited(&limits);
    for (int i = 0; i < 3; i++) {
        struct expected expected = {.pool = pool};
        skua_task *task;
        CHECK_INT(skua_spawn(&task, behaving_task, &expected, NULL), 0);
        CHECK_INT(skua_join(task, NULL, FOREVER), 0);
        const skua_error *error = skua_task_error(task);
        CHECK_STR(error != NULL ? error->text : "none", "none");
        skua_task_release(task);
        check_echo(pool, "echo", 5);
    }
    check_quota(pool, &misbehave_job, bytes_of("o", 1), -EDQUOT, "(openat)");
    check_quota(pool, &misbehave_job, bytes_of("s", 1), -EDQUOT, "its sandbox forbids system call");
    check_quota(pool, &misbehave_job, bytes_of("f", 1), -EDQUOT, "(clone)");
    check_quota(pool, &misbehave_job, bytes_of("k", 1), -EDQUOT, "(kill)");
    check_quota(pool, &misbehave_job, bytes_of("x", 1), -EDQUOT, "(execve)");
    check_quota(pool, &misbehave_job, bytes_of("b", 1), -EOWNERDEAD, "signal 31");
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void a_sandbox_forbids_and_tells(void **state)
{
    if (TEST_SCALE > 1) {
        skip(); /* the sanitizers' own system calls are not on the list */
    }
    CHECK_INT(run_with(sandbox_main), 0);
}

/* ---- control groups ---- */

static void make_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* The tree of a program in top/parent/own; `parent` says what the parent hands on. Returns what is
   found, and where. */
static int find_in(const char *parent, const char *own, char path[], size_t path_bytes)
{
    char top[] = "/tmp/skua-cgroup-XXXXXX";
    char line[256], folder[256], mounts[256], groups[256], command[256];
    CHECK(mkdtemp(top) != NULL);
    snprintf(folder, sizeof folder, "%s/parent", top);
    CHECK_INT(mkdir(folder, 0755), 0);
    make_file(folder, "cgroup.subtree_control", parent);
    snprintf(folder, sizeof folder, "%s/parent/own", top);
    CHECK_INT(mkdir(folder, 0755), 0);
    if (own != NULL) {
        make_file(folder, "cgroup.subtree_control", own);
    }
    snprintf(line, sizeof line, "31 23 0:28 / %s rw,relatime - cgroup2 cgroup2 rw\n", top);
    make_file(top, "mounts", line);
    make_file(top, "groups", "4:memory:/elsewhere\n0::/parent/own\n");
    snprintf(mounts, sizeof mounts, "%s/mounts", top);
    snprintf(groups, sizeof groups, "%s/groups", top);
    const skua_pool_limits limits = {.memory_bytes = 1 << 20, .processes = 5};
    int result = skua__cgroup_find(path, path_bytes, mounts, groups, &limits);
    memmove(path, path + strlen(top), strlen(path + strlen(top)) + 1);
    snprintf(command, sizeof command, "rm -r %s", top);
    CHECK_INT(system(command), 0);
    return result;
}

static void control_groups_are_found(void **state)
{
    char path[SKUA__CGROUP_PATH_BYTES];
    char expected[64];
    CHECK_INT(find_in("cpu memory pids\n", "memory pids\n", path, sizeof path), 0);
    snprintf(expected, sizeof expected, "/parent/own/skua-%d-", (int)getpid());
    CHECK(strncmp(path, expected, strlen(expected)) == 0);
    /* The own group cannot have any: it says nothing of what it hands on. */
    CHECK_INT(find_in("memory pids", NULL, path, sizeof path), 0);
    snprintf(expected, sizeof expected, "/parent/skua-%d-", (int)getpid());
    CHECK(strncmp(path, expected, strlen(expected)) == 0);
    const skua_pool_limits limits = {.processes = 5};
    CHECK_INT(skua__cgroup_find(path, sizeof path, "/dev/null", "/proc/self/cgroup", &limits),
              -ENOTSUP);
}

static int create_limited_task(void *arg)
{
    skua_pool *pool = NULL;
    const skua_pool_opts opts = {.workers = 1, .limits = *(const skua_pool_limits *)arg};
    int error = skua_pool_create(&pool, &opts);
    if (error == 0) {
        check_quota(pool, &eat_job, none, -EDQUOT, "bytes of memory");
        skua_pool_destroy(pool);
    }
    return error;
}

static int memory_main(void *arg)
{
    skua_pool_limits limits = {.memory_bytes = 32 << 20};
    skua_task *task;
    int result;
    CHECK_INT(skua_spawn(&task, create_limited_task, &limits, NULL), 0);
    CHECK_INT(skua_join(task, &result, FOREVER), 0);
    if (result < 0) { /* this machine, or this user, may not */
        CHECK_INT(result, -ENOTSUP);
        const skua_error *error = skua_task_error(task);
        CHECK(error != NULL && strstr(error->text, "control group") != NULL);
    }
    skua_task_release(task);
    return result < 0;
}

/* covers: A67 */
static void memory_is_limited_or_refused(void **state)
{
    const int is_refused = run_with(memory_main);
    if (is_refused) {
        print_message("control groups of version 2 were not delegated to this test\n");
    }
    CHECK(is_refused == 0 || is_refused == 1);
}

/* ---- where workers run ---- */

static int place_main(void *arg)
{
    skua_pool *pool = NULL;
    skua_pool_opts opts = {.workers = 2, .nice = 3, .binding = SKUA_POOL_CORES};
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    skua_buf out;
    const int own = getpriority(PRIO_PROCESS, 0);
    CHECK_INT(skua_pool_call(pool, &get_nice_job, none, &out, FOREVER),
              (own + 3 < 19 ? own + 3 : 19) + 100);
    cpu_set_t all, own_set, both;
    CPU_ZERO(&all);
    sched_getaffinity(0, sizeof own_set, &own_set);
    for (int i = 0; i < 10; i++) {
        cpu_set_t set;
        CHECK_INT(skua_pool_call(pool, &get_affinity_job, none, &out, FOREVER), 0);
        memcpy(&set, out.data, sizeof set);
        skua_buf_release(&out);
        CPU_AND(&both, &set, &own_set);
        CHECK(CPU_EQUAL(&both, &set) && CPU_COUNT(&set) > 0);
        CHECK(CPU_COUNT(&set) < CPU_COUNT(&own_set) || CPU_COUNT(&own_set) <= 2);
        CPU_OR(&all, &all, &set);
    }
    skua_pool_destroy(pool);
    opts.binding = SKUA_POOL_NODES;
    CHECK_INT(skua_pool_create(&pool, &opts), 0);
    CHECK_INT(skua_pool_call(pool, &get_affinity_job, none, &out, FOREVER), 0);
    skua_buf_release(&out);
    skua_pool_destroy(pool);
    return 0;
}

/* covers: A67 */
static void workers_run_where_they_are_put(void **state)
{
    CHECK_INT(run_with(place_main), 0);
}

static int refused_main(void *arg)
{
    skua_pool *pool = NULL;
    const skua_pool_opts bad[] = {{.workers = 1025},
                                  {.payload_max = ((size_t)64 << 30) + 1},
                                  {.binding = (skua_pool_binding)7},
                                  {.limits = {.cpu_ns = -1}}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(skua_pool_create(&pool, &bad[i]), -EINVAL);
        CHECK_PTR(pool, NULL);
    }
    return 0;
}

static void bad_options_are_refused(void **state)
{
    CHECK_INT(run_with(refused_main), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(processor_time_is_limited_for_each_job),
        TEST(files_and_fds_are_limited),
        TEST(a_sandbox_forbids_and_tells),
        TEST(control_groups_are_found),
        TEST(memory_is_limited_or_refused),
        TEST(workers_run_where_they_are_put),
        TEST(bad_options_are_refused),
    };
    return TEST_RUN(tests);
}
