/* What is around a process: terminals, the program's own children and signals, the end of the
   runtime and of the program, and want of fds, processes and memory. */
#include "process_help.h"

#include "base/mem.h"

#include <pthread.h>
#include <skua/control.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* --- terminals -------------------------------------------------------------------------------- */

static int has_terminal(void *arg)
{
    char line[128];
    const skua_process_opts opts = {.terminal = true, .rows = 33, .columns = 111};
    skua_process *process = start(SHELL("stty size; tty; trap 'stty size; exit 3' WINCH; "
                                        "echo ready; while :; do sleep 0.01; done"),
                                  &opts);
    CHECK_INT(skua_process_fd_of(process, 0), skua_process_fd_of(process, 1));
    CHECK_INT(skua_process_fd_of(process, 2), -1);
    read_line(process, line, sizeof line);
    CHECK_STR(line, "33 111");
    read_line(process, line, sizeof line);
    CHECK_INT(strncmp(line, "/dev/pts/", 9), 0);
    read_line(process, line, sizeof line);
    CHECK_STR(line, "ready");
    CHECK_INT(skua_process_resize(process, 50, 60), 0);
    read_line(process, line, sizeof line);
    CHECK_STR(line, "50 60");
    CHECK_INT(end_of(process), 3);
    CHECK_INT(skua_process_read(process, 1, line, sizeof line, SKUA_FOREVER), 0);
    CHECK_INT(skua_process_read(process, 1, line, sizeof line, SKUA_NOW), 0);
    skua_process_close(process);

    /* What is typed is echoed, and ^C is a signal to who reads. */
    const skua_process_opts plain = {.terminal = true};
    process = start(SKUA_ARGV("cat"), &plain);
    CHECK_INT(skua_process_write(process, "typed\n", 6, NULL, SKUA_FOREVER), 0);
    for (int i = 0; i < 2; i++) {
        read_line(process, line, sizeof line);
        CHECK_STR(line, "typed");
    }
    CHECK_INT(skua_process_write(process, "\x03", 1, NULL, SKUA_FOREVER), 0);
    CHECK_INT(end_of(process), 128 + SIGINT);
    skua_process_close(process);

    /* Closing our side hangs it up. */
    process = start(SKUA_ARGV("sleep", "1000"), &plain);
    skua_process_close_fd(process, 0);
    CHECK_INT(end_of(process), 128 + SIGHUP);
    CHECK_INT(skua_process_resize(process, 1, 1), -ENOTTY);
    skua_process_close(process);

    skua_process_run run = {.input = "4 + 4\n\x04", .input_bytes = 7};
    const int status = skua_process_run_all(&run, SHELL("stty -echo; read x; echo =$(($x))"),
                                            &plain, SKUA_FOREVER);
    CHECK_INT(status, 0);
    CHECK(strstr(run.output, "=8\r\n") != NULL);
    CHECK_INT(run.status.code, 0);
    skua_process_run_free(&run);

    process = start(SKUA_ARGV("true"), NULL);
    CHECK_INT(skua_process_resize(process, 1, 1), -ENOTTY);
    skua_process_close(process);
    return 0;
}

static void a_process_may_have_a_terminal(void **state)
{
    run_clean(has_terminal);
}

/* --- the program's own ------------------------------------------------------------------------ */

static _Atomic int child_signals;

static void on_child(int number)
{
    child_signals++;
    const int saved = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    errno = saved;
}

static void *run_own_child(void *arg)
{
    /* Its wait(-1) finds its own child and no other. */
    const pid_t own = fork();
    if (own == 0) {
        _exit(9);
    }
    int status = 0;
    CHECK_INT(waitpid(-1, &status, 0), own);
    CHECK_INT(WEXITSTATUS(status), 9);
    CHECK_INT(waitpid(-1, &status, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
    return NULL;
}

static int leaves_children_alone(void *arg)
{
    enum { ROUNDS = 20 };
    pthread_t thread;
    skua_process *long_one = start(SKUA_ARGV("sleep", "1000"), NULL);
    CHECK_INT(pthread_create(&thread, NULL, run_own_child, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    child_signals = 0;
    signal(SIGCHLD, on_child);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_INT(run_to_end(SHELL("exit 6"), NULL), 6);
    }
    skua_process_close(long_one);
    CHECK_INT(child_signals, 0);
    signal(SIGCHLD, SIG_IGN); /* the kernel would reap the program's own by itself */
    CHECK_INT(run_to_end(SHELL("exit 6"), NULL), 6);
    signal(SIGCHLD, SIG_DFL);
    return 0;
}

static void the_program_s_own_children_are_its_own(void **state)
{
    run_clean(leaves_children_alone);
}

/* --- ends ------------------------------------------------------------------------------------- */

static pid_t left_pid;

static int leaves_one(void *arg)
{
    const skua_process_opts opts = {.out = to_pipe};
    skua_process *process = start(SKUA_ARGV("sleep", "1000"), &opts);
    left_pid = skua_process_pid(process);
    return 0;
}

static void the_end_of_the_runtime_kills_and_tells(void **state)
{
    struct said caught;
    start_tools();
    const int fds = test_fds(), threads = test_threads(), children = test_children();
    said_begin(&caught);
    run_on(2, leaves_one);
    const char *said = said_end(&caught);
    char want[100];
    snprintf(want, sizeof want, "process %d ('sleep') was still running, and has been killed",
             (int)left_pid);
    CHECK(strstr(said, want) != NULL);
    CHECK_INT(count_of(said, "was still running"), 1);
    CHECK(!is_alive(left_pid));
    CHECK_INT(test_fds(), fds);
    CHECK_INT(test_settle(test_threads, threads), threads);
    CHECK_INT(test_children(), children);
}

static int leaves_one_to_itself(void *arg)
{
    const bool closes = arg != NULL;
    const skua_process_opts opts = {.outlives = true};
    skua_process *process = start(SKUA_ARGV("sleep", "1000"), &opts);
    left_pid = skua_process_pid(process);
    if (closes) {
        skua_process_close(process);
    }
    return 0;
}

/* It is ours again, as the nearest ancestor that wants orphans, so that nothing is left behind. */
static void one_that_outlives_goes_on(void **state)
{
    int status = 0;
    CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    for (intptr_t closes = 0; closes < 2; closes++) {
        run_on_with(2, leaves_one_to_itself, (void *)closes);
        CHECK(is_alive(left_pid));
        CHECK_INT(kill(left_pid, SIGKILL), 0);
        CHECK_INT(waitpid(left_pid, &status, __WALL), left_pid);
    }
    CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    CHECK_INT(test_children(), 0);
}

/* Somebody kills the parent: the process goes with it, and who waits is told. */
static int loses_the_parent(void *arg)
{
    char path[64], text[512] = "";
    skua_process *process = start(SKUA_ARGV("sleep", "1000"), NULL);
    const pid_t pid = skua_process_pid(process);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    const pid_t parent = (pid_t)atoi(strrchr(text, ')') + 4);
    CHECK(parent != getpid());
    CHECK_INT(kill(parent, SIGKILL), 0);
    CHECK_INT(skua_process_wait(process, NULL, SKUA_FOREVER), -ECHILD);
    CHECK_INT(skua_process_kill(process, SIGTERM), -ESRCH);
    CHECK_INT(skua_process_end(process, NULL, SKUA_FOREVER), -ECHILD);
    skua_process_close(process);
    while (is_alive(pid)) {
        CHECK_INT(skua_yield(), 0);
    }
    return 0;
}

static void a_killed_parent_is_noticed(void **state)
{
    run_clean(loses_the_parent);
}

/* The program itself is killed: what it has started is too, or is not. */
static int says_and_sleeps(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    for (int outlives = 0; outlives < 2; outlives++) {
        const skua_process_opts opts = {.outlives = outlives};
        const pid_t pid = skua_process_pid(start(SKUA_ARGV("sleep", "1000"), &opts));
        if (write(fd, &pid, sizeof pid) != sizeof pid) {
            return -EIO;
        }
    }
    return skua_sleep(SKUA_FOREVER);
}

static void a_killed_program_takes_its_processes_along(void **state)
{
    int ends[2];
    pid_t pids[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    /* By the program's file again: a fork of this one is no place for a runtime. */
    const pid_t program = fork();
    if (program == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", ends[1]);
        fcntl(ends[1], F_SETFD, 0);
        setenv("SKUA_TEST_SLEEPER", number, 1);
        execl("/proc/self/exe", "sleeper", NULL);
        _exit(1);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(read(ends[0], &pids[i], sizeof pids[i]), sizeof pids[i]);
    }
    CHECK(is_alive(pids[0]) && is_alive(pids[1]));
    CHECK_INT(kill(program, SIGKILL), 0);
    CHECK_INT(waitpid(program, NULL, 0), program);
    while (is_alive(pids[0])) {
        sched_yield();
    }
    CHECK(is_alive(pids[1]));
    CHECK_INT(kill(pids[1], SIGKILL), 0);
    close(ends[0]);
    close(ends[1]);
}

/* --- want ------------------------------------------------------------------------------------- */

static int lacks_fds(void *arg)
{
    skua_process *process = NULL;
    struct rlimit before, tight;
    const skua_process_opts opts = {.in = to_pipe, .out = to_pipe, .err = to_pipe};
    const skua_process_opts terminal = {.terminal = true};
    CHECK_INT(run_to_end(SKUA_ARGV("true"), &opts), 0); /* all that a runtime has is there */
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int fds = test_fds();
    int status = -EMFILE;
    for (rlim_t more = 0; status != 0; more++) {
        const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(next);
        tight = (struct rlimit){(rlim_t)next + more, before.rlim_max};
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
        status = skua_process_start(&process, SKUA_ARGV("true"), &opts, SKUA_FOREVER);
        const int other =
            more < 2 ? skua_process_start(&process, SKUA_ARGV("true"), &terminal, SKUA_FOREVER)
                     : -EMFILE;
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
        CHECK_INT(other, -EMFILE);
        if (status != 0) {
            /* The child has not enough numbers either: it says so in its own way. */
            CHECK(status == -EMFILE || status == -EINVAL);
            CHECK_INT(test_fds(), fds);
        }
        CHECK(more < 20);
    }
    CHECK_INT(end_of(process), 0);
    skua_process_close(process);
    return 0;
}

static void want_of_fds_is_told(void **state)
{
    run_clean_on(2, lacks_fds, NULL);
}

static int lacks_memory(void *arg)
{
    const skua_process_opts opts = {.in = to_pipe, .out = to_pipe};
    int status = -ENOMEM;
    for (int64_t budget = 0; status != 0; budget++) {
        skua_process *process = NULL;
        const int fds = test_fds();
        skua__alloc_budget = budget;
        status = skua_process_start(&process, SKUA_ARGV("true"), &opts, SKUA_FOREVER);
        skua__alloc_budget = -1;
        CHECK(status == 0 || status == -ENOMEM);
        if (status == 0) {
            skua_process_close(process);
        } else if (budget > 5) {
            CHECK_INT(test_fds(), fds);
        }
        CHECK(budget < 50);
    }
    for (int64_t budget = 0; budget < 4; budget++) {
        skua_process_run run = {.input = NULL};
        skua__alloc_budget = budget;
        status = skua_process_run_all(&run, SHELL("echo x; exec sleep 1000"), NULL,
                                      skua_after(SKUA_MS(500)));
        skua__alloc_budget = -1;
        CHECK_INT(status, -ENOMEM);
        skua_process_run_free(&run);
    }
    return 0;
}

static void want_of_memory_is_told(void **state)
{
    run_clean_on(2, lacks_memory, NULL);
}

static int lacks_processes(void *arg)
{
    skua_process *process = NULL;
    struct rlimit before, none = {1, 1};
    CHECK_INT(getrlimit(RLIMIT_NPROC, &before), 0);
    none.rlim_max = before.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NPROC, &none), 0);
    const int status = skua_process_start(&process, SKUA_ARGV("true"), NULL, SKUA_FOREVER);
    CHECK_INT(setrlimit(RLIMIT_NPROC, &before), 0);
    CHECK_INT(status, -EAGAIN);
    return 0;
}

static void want_of_processes_is_told(void **state)
{
    if (geteuid() == 0) {
        print_message("root has no limit of processes\n");
        skip();
    }
    run_clean_on(2, lacks_processes, NULL);
}

static int in_a_forked_child(void *arg)
{
    int status = 0;
    skua_process *process = start(SKUA_ARGV("sleep", "1000"), NULL), *other = NULL;
    const pid_t child = fork();
    if (child == 0) {
        skua_process_run run = {.input = NULL};
        const char *const argv[] = {"true", NULL};
        bool is_well = skua_process_start(&other, argv, NULL, SKUA_FOREVER) == -ESHUTDOWN &&
                       skua_process_wait(process, NULL, SKUA_FOREVER) == -ESHUTDOWN &&
                       skua_process_kill(process, SIGKILL) == -ESHUTDOWN &&
                       skua_process_end(process, NULL, SKUA_NOW) == -ESHUTDOWN &&
                       skua_process_resize(process, 1, 1) == -ESHUTDOWN &&
                       skua_process_run_all(&run, argv, NULL, SKUA_FOREVER) == -ESHUTDOWN;
        skua_process_close(process);
        _exit(is_well ? 0 : 1);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    CHECK(is_alive(skua_process_pid(process)));
    skua_process_close(process);
    return 0;
}

static void a_forked_child_cannot_touch_them(void **state)
{
    run_clean_on(2, in_a_forked_child, NULL);
}

static void a_thread_cannot_start_any(void **state)
{
    skua_process *process = NULL;
    CHECK_INT(skua_process_start(&process, SKUA_ARGV("true"), NULL, SKUA_FOREVER), -EPERM);
}

int main(void)
{
    const char *fd = getenv("SKUA_TEST_SLEEPER");
    if (fd != NULL) {
        return skua_run(NULL, says_and_sleeps, (void *)(intptr_t)atoi(fd));
    }
    const struct CMUnitTest tests[] = {
        TEST(a_process_may_have_a_terminal),
        TEST(the_program_s_own_children_are_its_own),
        TEST(the_end_of_the_runtime_kills_and_tells),
        TEST(one_that_outlives_goes_on),
        TEST(a_killed_parent_is_noticed),
        TEST(a_killed_program_takes_its_processes_along),
        TEST(want_of_fds_is_told),
        TEST(want_of_memory_is_told),
        TEST(want_of_processes_is_told),
        TEST(a_forked_child_cannot_touch_them),
        TEST(a_thread_cannot_start_any),
    };
    return TEST_RUN(tests);
}
