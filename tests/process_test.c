/* Processes: how they start, end, and are ended, and that nothing of them is left. */
#include "process_help.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* --- starting --------------------------------------------------------------------------------- */

static int ends_are_told(void *arg)
{
    const skua_process_opts quiet = {.err = to_null};
    skua_process_status status = {0};
    CHECK_INT(run_to_end(SKUA_ARGV("true"), NULL), 0);
    CHECK_INT(run_to_end(SKUA_ARGV("/bin/false"), NULL), 1);
    CHECK_INT(run_to_end(SHELL("exit 42"), NULL), 42);
    CHECK_INT(run_to_end(SHELL("kill -9 $$"), NULL), 128 + SIGKILL);
    CHECK_INT(run_to_end(SHELL("nothing-of-that-name"), &quiet), 127);

    skua_process *process = start(SHELL("kill -15 $$"), NULL);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_process_wait(process, &status, SKUA_FOREVER), 0);
        CHECK_INT(status.code, -1);
        CHECK_INT(status.signal, SIGTERM);
    }
    CHECK_INT(skua_process_wait(process, NULL, SKUA_NOW), 0);
    CHECK_INT(skua_process_kill(process, SIGTERM), -ESRCH);
    CHECK_INT(skua_process_end(process, NULL, SKUA_FOREVER), 0);
    skua_process_close(process);
    skua_process_close(NULL);
    return 0;
}

static void a_process_runs_and_its_end_is_told(void **state)
{
    run_clean(ends_are_told);
}

static int failures_are_told(void *arg)
{
    skua_process *process = NULL;
    char here[] = "/tmp/skua-process-XXXXXX";
    const int fd = mkstemp(here);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, "no program", 10), 10);
    const skua_process_opts no_directory = {.directory = "/nowhere"};
    const skua_process_opts no_file = {.in = {.kind = SKUA_STDIO_FILE, .path = "/nowhere"}};
    const skua_process_opts no_fd = {.in = {.kind = SKUA_STDIO_FD, .fd = 999999}};
    const skua_process_opts no_kind = {.in = {.kind = SKUA_STDIO_OUTPUT}};
    const skua_process_fd low = {.fd = 1, .number = 2};
    const skua_process_opts no_number = {.fds = &low, .fd_count = 1};
    const skua_process_limit limit = {.resource = 999};
    const skua_process_opts no_limit = {.limits = &limit, .limit_count = 1};
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("/nowhere"), NULL, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("no-such-program"), NULL, SKUA_FOREVER),
              -ENOENT);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV(""), NULL, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("/etc/passwd"), NULL, SKUA_FOREVER), -EACCES);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("/tmp"), NULL, SKUA_FOREVER), -EACCES);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("/etc/passwd/x"), NULL, SKUA_FOREVER),
              -ENOENT);
    CHECK_INT(chmod(here, 0700), 0);
    close(fd);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV(here), NULL, SKUA_FOREVER), -ENOEXEC);
    CHECK_INT(unlink(here), 0);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), &no_directory, SKUA_FOREVER),
              -ENOENT);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), &no_file, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), &no_fd, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), &no_kind, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), &no_number, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), &no_limit, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_process_start(&process, (const char *[]){NULL}, NULL, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), NULL, skua_after(-1)), -ETIMEDOUT);
    CHECK_PTR(process, NULL);
    return 0;
}

static void what_has_failed_is_told(void **state)
{
    run_clean(failures_are_told);
}

static int inherits(void *arg)
{
    char line[256];
    static const char *const env[] = {"NAME=Skua", NULL};
    const skua_process_opts opts = {.env = env, .directory = "/usr", .out = to_pipe};
    skua_process *process = start(SHELL("echo $NAME-$HOME; pwd; umask"), &opts);
    read_line(process, line, sizeof line);
    CHECK_STR(line, "Skua-");
    read_line(process, line, sizeof line);
    CHECK_STR(line, "/usr");
    CHECK_INT(end_of(process), 0);
    skua_process_close(process);

    const skua_process_limit limits[] = {{RLIMIT_NOFILE, {64, 64}}, {RLIMIT_CORE, {0, 0}}};
    const skua_process_opts limited = {.limits = limits, .limit_count = 2, .out = to_pipe};
    process = start(SHELL("ulimit -n; ulimit -c; kill -ABRT $$"), &limited);
    read_line(process, line, sizeof line);
    CHECK_STR(line, "64");
    read_line(process, line, sizeof line);
    CHECK_STR(line, "0");
    CHECK_INT(end_of(process), 128 + SIGABRT);
    skua_process_close(process);
    return 0;
}

static void environment_directory_and_limits_are_set(void **state)
{
    run_clean(inherits);
}

/* All fds that the child has, and its signals: blocked, ignored, caught. */
static int is_clean(void *arg)
{
    char line[256];
    const skua_process_opts opts = {.out = to_pipe};
    const int high = fcntl(0, F_DUPFD, 50); /* would be inherited */
    CHECK(high >= 50);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    sigset_t mask, before;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    skua_process *process = start(SKUA_ARGV("ls", "/proc/self/fd"), &opts);
    for (int i = 0; i < 4; i++) { /* the last one is the directory */
        read_line(process, line, sizeof line);
        CHECK_INT(atoi(line), i);
    }
    CHECK_INT(skua_process_read(process, 1, line, sizeof line, SKUA_FOREVER), 0);
    skua_process_close(process);
    process = start(SKUA_ARGV("grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"), &opts);
    read_line(process, line, sizeof line);
    CHECK_STR(line, "SigBlk:\t0000000000000000");
    read_line(process, line, sizeof line);
    CHECK_STR(line, "SigIgn:\t0000000000000000");
    CHECK_INT(end_of(process), 0);
    skua_process_close(process);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    close(high);
    return 0;
}

static void a_process_begins_without_foreign_fds_and_signals(void **state)
{
    run_clean(is_clean);
}

/* --- streams ---------------------------------------------------------------------------------- */

static int talks(void *arg)
{
    char line[64];
    size_t written = 0;
    const skua_process_opts opts = {.in = to_pipe, .out = to_pipe, .err = to_pipe};
    skua_process *process = start(SHELL("echo problem >&2; cat"), &opts);
    CHECK(skua_process_fd_of(process, 0) > 2);
    CHECK_INT(skua_process_fd_of(process, 3), -1);
    CHECK_INT(skua_process_write(process, "hello\n", 6, &written, SKUA_FOREVER), 0);
    CHECK_INT(written, 6);
    read_line(process, line, sizeof line);
    CHECK_STR(line, "hello");
    CHECK_INT(skua_process_read(process, 2, line, sizeof line, SKUA_FOREVER), 8);
    CHECK_INT(memcmp(line, "problem\n", 8), 0);
    skua_process_close_fd(process, 0);
    skua_process_close_fd(process, 0);
    CHECK_INT(skua_process_fd_of(process, 0), -1);
    CHECK_INT(skua_process_read(process, 1, line, sizeof line, SKUA_FOREVER), 0);
    CHECK_INT(skua_process_write(process, "x", 1, NULL, SKUA_FOREVER), -EBADF);
    CHECK_INT(end_of(process), 0);
    skua_process_close(process);

    /* Nobody reads: no signal. */
    process = start(SKUA_ARGV("true"), &opts);
    CHECK_INT(end_of(process), 0);
    CHECK_INT(skua_process_write(process, "x", 1, &written, SKUA_FOREVER), -EPIPE);
    CHECK_INT(written, 0);
    skua_process_close(process);
    return 0;
}

static void pipes_lead_to_and_from_a_process(void **state)
{
    run_clean(talks);
}

static int streams_lead_elsewhere(void *arg)
{
    char path[] = "/tmp/skua-process-XXXXXX", text[64] = {0};
    const int fd = mkstemp(path), more = memfd_create("more", MFD_CLOEXEC);
    const skua_stdio file = {.kind = SKUA_STDIO_FILE, .path = path};
    const skua_stdio append = {.kind = SKUA_STDIO_APPEND, .path = path};
    const skua_stdio as_output = {.kind = SKUA_STDIO_OUTPUT};
    const skua_process_opts first = {.out = file, .err = as_output};
    CHECK_INT(run_to_end(SHELL("echo one; echo two >&2"), &first), 0);
    const skua_process_opts second = {.out = append, .in = to_null};
    CHECK_INT(run_to_end(SHELL("cat; echo three"), &second), 0);
    CHECK_INT(pread(fd, text, sizeof text - 1, 0), 14);
    CHECK_STR(text, "one\ntwo\nthree\n");

    /* From a file, to an fd, and two more that change places. */
    const skua_process_fd fds[] = {{more, 9}, {fd, 7}};
    const skua_process_opts third = {
        .in = file, .out = {.kind = SKUA_STDIO_FD, .fd = more}, .fds = fds, .fd_count = 2};
    CHECK_INT(run_to_end(SHELL("head -1; echo nine >&9; cat <&7 >/dev/null"), &third), 0);
    memset(text, 0, sizeof text);
    CHECK_INT(pread(more, text, sizeof text - 1, 0), 9);
    CHECK_STR(text, "one\nnine\n");
    close(fd);
    close(more);
    unlink(path);
    return 0;
}

static void streams_are_files_and_fds(void **state)
{
    run_clean(streams_lead_elsewhere);
}

/* --- all in one ------------------------------------------------------------------------------- */

static int runs_all(void *arg)
{
    skua_process_run run = {.input = "b\na\n", .input_bytes = 4};
    CHECK_INT(skua_process_run_all(&run, SHELL("sort; echo bad >&2; exit 3"), NULL, SKUA_FOREVER),
              0);
    CHECK_STR(run.output, "a\nb\n");
    CHECK_STR(run.error, "bad\n");
    CHECK_INT(run.output_bytes, 4);
    CHECK_INT(run.status.code, 3);
    skua_process_run_free(&run);
    CHECK_PTR(run.output, NULL);

    CHECK_INT(skua_process_run_all(&run, SKUA_ARGV("/nowhere"), NULL, SKUA_FOREVER), -ENOENT);

    /* It reads nothing of a long input. */
    enum { LONG = 1 << 20 };
    char *zeros = calloc(1, LONG);
    run = (skua_process_run){.input = zeros, .input_bytes = LONG};
    CHECK_INT(skua_process_run_all(&run, SKUA_ARGV("true"), NULL, SKUA_FOREVER), 0);
    CHECK_INT(run.status.code, 0);
    skua_process_run_free(&run);

    /* It says more than is wanted: ended, though it would go on for ever. */
    run = (skua_process_run){.output_max = 1000};
    CHECK_INT(skua_process_run_all(&run, SKUA_ARGV("yes"), NULL, SKUA_FOREVER), -EFBIG);
    CHECK_INT(run.output_bytes, 1000);
    CHECK_INT(memcmp(run.output, "y\ny\n", 4), 0);
    CHECK_INT(run.output[1000], 0);
    skua_process_run_free(&run);

    /* As much as is wanted. */
    run = (skua_process_run){.output_max = 3};
    CHECK_INT(skua_process_run_all(&run, SHELL("printf abc"), NULL, SKUA_FOREVER), 0);
    CHECK_STR(run.output, "abc");
    skua_process_run_free(&run);
    free(zeros);

    /* Late: what it has said is there. If it had no time to say anything, it gets more. */
    for (int64_t limit_ns = SKUA_MS(50);; limit_ns *= 2) {
        run = (skua_process_run){.grace_ns = SKUA_SEC(20)};
        CHECK_INT(skua_process_run_all(&run, SHELL("echo soon; exec sleep 1000"), NULL,
                                       skua_after(limit_ns)),
                  -ETIMEDOUT);
        if (run.output_bytes > 0) {
            break;
        }
        skua_process_run_free(&run);
    }
    CHECK_STR(run.output, "soon\n");
    CHECK_INT(run.status.signal, SIGTERM);
    skua_process_run_free(&run);
    return 0;
}

/* It reads all of a long input, though there is nothing to be read of it. */
static int runs_silently(void *arg)
{
    enum { LONG = 1 << 20 };
    char *zeros = calloc(1, LONG);
    const skua_process_opts silent = {.out = to_null, .err = to_null};
    skua_process_run run = {.input = zeros, .input_bytes = LONG};
    const char *const count[] = {"/bin/sh", "-c", "test $(wc -c) -eq 1048576", NULL};
    CHECK_INT(skua_process_run_all(&run, count, &silent, skua_after(SKUA_SEC(20))), 0);
    CHECK_INT(run.status.code, 0);
    skua_process_run_free(&run);

    const char *const close_and_count[] = {"/bin/sh", "-c",
                                           "exec >/dev/null 2>&1; test $(wc -c) -eq 1048576", NULL};
    CHECK_INT(skua_process_run_all(&run, close_and_count, NULL, skua_after(SKUA_SEC(20))), 0);
    CHECK_INT(run.status.code, 0);
    skua_process_run_free(&run);
    free(zeros);
    return 0;
}

static void a_run_talks_and_waits(void **state)
{
    run_clean(runs_all);
    run_clean(runs_silently);
}

/* Cut off at any moment: it says so, and has ended what it began; or it was through. */
static int runs_and_is_cancelled(void *arg)
{
    static char input[100000];
    skua_process_run run = {.input = input, .input_bytes = sizeof input};
    const int status = skua_process_run_all(&run, SKUA_ARGV("cat"), NULL, SKUA_FOREVER);
    CHECK(status == -ECANCELED || (status == 0 && run.output_bytes == sizeof input));
    skua_process_run_free(&run);
    return status;
}

static int is_cut_off(void *arg)
{
    enum { ROUNDS = 12 };
    uint64_t seed = test_seed();
    for (int i = 0; i < ROUNDS; i++) {
        skua_task *task = spawn(runs_and_is_cancelled, NULL);
        const int64_t wait_ns = (int64_t)(test_random(&seed) % SKUA_MS(3));
        CHECK_INT(skua_sleep(skua_after(i % 4 == 0 ? 0 : wait_ns)), 0);
        skua_task_cancel(task);
        const int status = finish(task);
        CHECK(status == 0 || status == -ECANCELED);
    }
    return 0;
}

static void a_run_is_cut_off_at_any_moment(void **state)
{
    run_clean(is_cut_off);
}

enum { MUCH_BYTES = 3 << 20 };

static int exchanges_much(void *arg)
{
    char *input = malloc(MUCH_BYTES);
    uint64_t seed = test_seed();
    for (int i = 0; i < MUCH_BYTES; i++) {
        input[i] = (char)test_random(&seed);
    }
    skua_process_run run = {
        .input = input, .input_bytes = MUCH_BYTES, .output_max = MUCH_BYTES + 1};
    CHECK_INT(skua_process_run_all(&run, SKUA_ARGV("tee", "/dev/stderr"), NULL, SKUA_FOREVER), 0);
    CHECK_INT(run.output_bytes, MUCH_BYTES);
    CHECK_INT(run.error_bytes, MUCH_BYTES);
    CHECK_INT(memcmp(run.output, input, MUCH_BYTES), 0);
    CHECK_INT(memcmp(run.error, input, MUCH_BYTES), 0);
    skua_process_run_free(&run);
    free(input);
    return 0;
}

static void much_goes_both_ways_at_once(void **state)
{
    run_clean_on(2, exchanges_much, NULL);
}

/* --- ending ----------------------------------------------------------------------------------- */

static int is_ended(void *arg)
{
    char line[64];
    skua_process_status status = {0};
    const skua_process_opts opts = {.out = to_pipe};

    /* One that hears. */
    skua_process *process = start(SKUA_ARGV("sleep", "1000"), NULL);
    CHECK_INT(skua_process_wait(process, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_process_wait(process, NULL, skua_after(SKUA_MS(2))), -ETIMEDOUT);
    CHECK_INT(skua_process_kill(process, 0), 0);
    CHECK_INT(skua_process_kill(process, 999), -EINVAL);
    CHECK_INT(skua_process_end(process, &status, skua_after(SKUA_SEC(20))), 0);
    CHECK_INT(status.signal, SIGTERM);
    skua_process_close(process);

    /* One that does not want to. */
    process = start(SHELL("trap '' TERM; echo ready; while :; do sleep 1; done"), &opts);
    read_line(process, line, sizeof line);
    CHECK_INT(skua_process_end(process, &status, skua_after(SKUA_MS(20))), 0);
    CHECK_INT(status.signal, SIGKILL);
    skua_process_close(process);

    /* One that cleans up. */
    process = start(SHELL("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"), &opts);
    read_line(process, line, sizeof line);
    CHECK_INT(skua_process_end(process, &status, SKUA_FOREVER), 0);
    CHECK_INT(status.code, 7);
    skua_process_close(process);

    /* One that is stopped, and one that gets no time. */
    process = start(SKUA_ARGV("sleep", "1000"), NULL);
    CHECK_INT(skua_process_kill(process, SIGSTOP), 0);
    CHECK_INT(skua_process_end(process, &status, SKUA_FOREVER), 0);
    CHECK_INT(status.signal, SIGTERM);
    skua_process_close(process);
    process = start(SKUA_ARGV("sleep", "1000"), NULL);
    CHECK_INT(skua_process_end(process, &status, SKUA_NOW), 0);
    CHECK_INT(status.signal, SIGKILL);
    skua_process_close(process);

    /* One whose handle is closed. */
    process = start(SKUA_ARGV("sleep", "1000"), NULL);
    const pid_t pid = skua_process_pid(process);
    CHECK(is_alive(pid));
    skua_process_close(process);
    while (is_alive(pid)) {
        CHECK_INT(skua_yield(), 0);
    }
    return 0;
}

static void a_process_is_ended_with_grace(void **state)
{
    run_clean(is_ended);
}

/* A shell with two generations below it; says their numbers. */
static const char family[] = "trap '' HUP; (sleep 1000 & echo $!; sleep 1000 & echo $!; wait) & "
                             "wait";

static int ends_the_family(void *arg)
{
    const bool closes = arg != NULL;
    char line[32];
    pid_t grandchildren[2];
    const skua_process_opts opts = {.out = to_pipe, .new_group = true};
    skua_process *process = start(SHELL(family), &opts);
    for (int i = 0; i < 2; i++) {
        read_line(process, line, sizeof line);
        grandchildren[i] = (pid_t)atoi(line);
        CHECK(is_alive(grandchildren[i]));
    }
    CHECK_INT(getpgid(skua_process_pid(process)), skua_process_pid(process));
    if (!closes) {
        CHECK_INT(skua_process_end(process, NULL, skua_after(SKUA_SEC(20))), 0);
    }
    skua_process_close(process);
    while (is_alive(grandchildren[0]) || is_alive(grandchildren[1])) {
        CHECK_INT(skua_yield(), 0);
    }
    return 0;
}

static void a_group_is_ended_as_a_whole(void **state)
{
    run_clean(ends_the_family);
    run_clean_on(2, ends_the_family, (void *)1);
}

/* --- many ------------------------------------------------------------------------------------- */

enum { MANY = 80 };

static gate many_ended;

static int one_of_many(void *arg)
{
    const int number = (int)(intptr_t)arg;
    char script[32];
    snprintf(script, sizeof script, "exit %d", number % 100);
    CHECK_INT(run_to_end(SHELL(script), NULL), number % 100);
    many_ended++;
    return 0;
}

static int has_many(void *arg)
{
    skua_task *tasks[MANY];
    many_ended = 0;
    for (int i = 0; i < MANY; i++) {
        tasks[i] = spawn(one_of_many, (void *)(intptr_t)i);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(many_ended, MANY);
    return 0;
}

static void many_run_at_once(void **state)
{
    run_clean_on(4, has_many, NULL);
}

static int wait_for_code_5(void *arg)
{
    skua_process_status how = {0};
    const int status = skua_process_wait(arg, &how, SKUA_FOREVER);
    CHECK_INT(how.code, status == 0 ? 5 : 0);
    return status;
}

static void *wait_on_thread(void *arg)
{
    CHECK_INT(end_of(arg), 5);
    return NULL;
}

static int has_many_waiters(void *arg)
{
    enum { WAITERS = 100 };
    skua_task *tasks[WAITERS];
    pthread_t thread;
    const skua_process_opts opts = {.in = to_pipe};
    skua_process *process = start(SHELL("read x; exit 5"), &opts);
    for (int i = 0; i < WAITERS; i++) {
        tasks[i] = spawn(wait_for_code_5, process);
    }
    CHECK_INT(pthread_create(&thread, NULL, wait_on_thread, process), 0);
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(tasks[3]);
    skua_case cases[] = {SKUA_AT(skua_after(SKUA_MS(1))), SKUA_EXITED(process)};
    CHECK_INT(skua_select(cases, 2, 0, SKUA_FOREVER), 0);
    skua_process_close_fd(process, 0);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_FOREVER), 0);
    CHECK_INT(cases[1].result, 0);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_NOW), 0);
    for (int i = 0; i < WAITERS; i++) {
        const int status = finish(tasks[i]);
        CHECK(status == 0 || i == 3);
    }
    CHECK_INT(pthread_join(thread, NULL), 0);
    skua_process_close(process);
    return 0;
}

static int wait_once(void *arg)
{
    const int status = skua_process_wait(arg, NULL, SKUA_FOREVER);
    return status;
}

static int waits_are_cancelled(void *arg)
{
    skua_process *process = start(SKUA_ARGV("sleep", "1000"), NULL);
    skua_task *task = spawn(wait_once, process);
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(skua_within(skua_after(SKUA_MS(1)), wait_once, process), -ETIMEDOUT);
    CHECK(is_alive(skua_process_pid(process)));
    skua_process_close(process);
    return has_many_waiters(arg);
}

static void many_wait_for_one(void **state)
{
    run_clean(waits_are_cancelled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_process_runs_and_its_end_is_told),
        TEST(what_has_failed_is_told),
        TEST(environment_directory_and_limits_are_set),
        TEST(a_process_begins_without_foreign_fds_and_signals),
        TEST(pipes_lead_to_and_from_a_process),
        TEST(streams_are_files_and_fds),
        TEST(a_run_talks_and_waits),
        TEST(a_run_is_cut_off_at_any_moment),
        TEST(much_goes_both_ways_at_once),
        TEST(a_process_is_ended_with_grace),
        TEST(a_group_is_ended_as_a_whole),
        TEST(many_run_at_once),
        TEST(many_wait_for_one),
    };
    return TEST_RUN(tests);
}
