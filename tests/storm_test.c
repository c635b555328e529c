/* Signals in the middle of everything: ten thousand a second at threads that do I/O, with a handler
   that interrupts system calls (no SA_RESTART). Nothing surfaces, is lost, or comes early. */
#include "base/sanitize.h"
#include "process_help.h"

#include <netinet/in.h>
#include <pthread.h>
#include <skua/blocking.h>
#include <skua/signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

enum { STORM_MS = 700, PERIOD_US = 100, THREADS_MAX = 64, BLOCK_BYTES = 5000 };

static _Atomic bool is_over, has_ended;
static _Atomic uint64_t interrupts;
static _Atomic int rounds[8];

static void interrupt(int number)
{
    interrupts++;
}

/* --- the storm -------------------------------------------------------------------------------- */

static int list_threads(pid_t tids[])
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *entry; count < THREADS_MAX && (entry = readdir(tasks)) != NULL;) {
        const pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid > 0 && tid != (pid_t)syscall(SYS_gettid)) {
            tids[count++] = tid;
        }
    }
    closedir(tasks);
    return count;
}

static void set_timer(int64_t period_us)
{
    const struct itimerval timer = {{0, period_us}, {0, period_us}};
    CHECK_INT(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static int64_t storm_ms(void)
{
    return (int64_t)test_env("SKUA_STORM_MS", STORM_MS);
}

/* Each thread of the process in turn, and the timer of the process besides. So many signals and no
   more: a machine that can do nothing else meanwhile gets through with the rest afterwards. */
static void *rage(void *arg)
{
    pid_t tids[THREADS_MAX];
    int count = 0;
    const int64_t rounds_max = storm_ms() * 1000 / PERIOD_US / TEST_SCALE;
    set_timer((int64_t)PERIOD_US * TEST_SCALE);
    for (uint32_t i = 0; i < rounds_max && !has_ended; i++) {
        if (i % 64 == 0) {
            count = list_threads(tids);
        }
        for (int j = 0; j < 4; j++) {
            syscall(SYS_tgkill, getpid(), tids[(4 * i + (uint32_t)j) % (uint32_t)count], SIGUSR1);
        }
        usleep(PERIOD_US * TEST_SCALE);
    }
    set_timer(0);
    return NULL;
}

/* --- what goes on in it ----------------------------------------------------------------------- */

static int echo(void *arg)
{
    char block[BLOCK_BYTES];
    const int fd = (int)(intptr_t)arg;
    ssize_t got;
    while ((got = skua_read(fd, block, sizeof block, SKUA_FOREVER)) > 0) {
        CHECK_INT(skua_write_all(fd, block, (size_t)got, NULL, SKUA_FOREVER), 0);
    }
    skua_close(fd);
    return (int)got;
}

static void exchange_on(int fd, uint64_t *seed)
{
    char sent[BLOCK_BYTES], got[BLOCK_BYTES];
    const size_t bytes = 1 + test_random(seed) % sizeof sent;
    memset(sent, (int)test_random(seed), bytes);
    CHECK_INT(skua_write_all(fd, sent, bytes, NULL, SKUA_FOREVER), 0);
    for (size_t count = 0; count < bytes;) {
        const ssize_t part = skua_read(fd, got + count, bytes - count, SKUA_FOREVER);
        CHECK(part > 0);
        count += (size_t)part;
    }
    CHECK_INT(memcmp(sent, got, bytes), 0);
}

static int use_sockets(void *arg)
{
    uint64_t seed = test_seed();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, bytes), 0);
    CHECK_INT(listen(listener, 8), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    CHECK_INT(skua_fd_adopt(listener), 0);
    while (!is_over) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(skua_fd_adopt(fd), 0);
        CHECK_INT(skua_connect(fd, (struct sockaddr *)&address, bytes, SKUA_FOREVER), 0);
        const int other = skua_accept(listener, NULL, NULL, SKUA_FOREVER);
        CHECK(other >= 0);
        skua_task *task = spawn(echo, (void *)(intptr_t)other);
        for (int i = 0; i < 20; i++) {
            exchange_on(fd, &seed);
        }
        CHECK_INT(shutdown(fd, SHUT_WR), 0);
        CHECK_INT(finish(task), 0);
        skua_close(fd);
        rounds[0]++;
    }
    skua_close(listener);
    return 0;
}

static int use_files(void *arg)
{
    char path[] = "/tmp/skua-storm-XXXXXX", block[BLOCK_BYTES], got[BLOCK_BYTES];
    close(mkstemp(path));
    memset(block, 'b', sizeof block);
    while (!is_over) {
        int fd = skua_open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600, SKUA_FOREVER);
        CHECK(fd >= 0);
        CHECK_INT(skua_write_all(fd, block, sizeof block, NULL, SKUA_FOREVER), 0);
        skua_close(fd);
        fd = skua_open(path, O_RDONLY, 0, SKUA_FOREVER);
        CHECK(fd >= 0);
        CHECK_INT(skua_read(fd, got, sizeof got, SKUA_FOREVER), sizeof got);
        CHECK_INT(memcmp(got, block, sizeof got), 0);
        skua_close(fd);
        rounds[1]++;
    }
    unlink(path);
    return 0;
}

static int use_processes(void *arg)
{
    while (!is_over) {
        skua_process_run run = {.input = "c\nb\na\n", .input_bytes = 6};
        CHECK_INT(skua_process_run_all(&run, SKUA_ARGV("sort"), NULL, SKUA_FOREVER), 0);
        CHECK_STR(run.output, "a\nb\nc\n");
        CHECK_INT(run.status.code, 0);
        skua_process_run_free(&run);
        rounds[2]++;
    }
    return 0;
}

static int use_timers(void *arg)
{
    while (!is_over) {
        const skua_time until = skua_after(SKUA_MS(2));
        CHECK_INT(skua_sleep(until), 0);
        CHECK(skua_clock().ns >= until.ns);
        rounds[3]++;
    }
    return 0;
}

static int block(void *arg)
{
    return 7;
}

static int use_threads(void *arg)
{
    while (!is_over) {
        CHECK_INT(skua_blocking(block, NULL, SKUA_FOREVER), 7);
        CHECK_INT(skua_wait_fd(*(int *)arg, SKUA_READABLE, skua_after(SKUA_MS(1))), -ETIMEDOUT);
        rounds[4]++;
    }
    return 0;
}

static int use_signals(void *arg)
{
    skua_signal_info info;
    skua_signal *listener = NULL;
    uint32_t heard = 0, sent = 0;
    CHECK_INT(skua_signal_open(&listener, SKUA_SIGNALS(SIGUSR2)), 0);
    while (!is_over) {
        CHECK_INT(raise(SIGUSR2), 0);
        sent++;
        CHECK_INT(skua_signal_wait(listener, &info, SKUA_FOREVER), 1);
        heard += info.count;
        rounds[5]++;
    }
    CHECK_INT(heard, sent);
    skua_signal_close(listener);
    return 0;
}

static int works_in_the_storm(void *arg)
{
    static const skua_fn users[] = {use_sockets, use_files,   use_processes,
                                    use_timers,  use_threads, use_signals};
    /* The last one only without the thread sanitizer, which in a storm leaves threads with all
       signals blocked, so that nobody would hear. */
    enum { USERS = sizeof users / sizeof users[0] - SKUA_TSAN };
    skua_task *tasks[USERS];
    int quiet[2];
    CHECK_INT(pipe2(quiet, O_CLOEXEC), 0);
    for (int i = 0; i < USERS; i++) {
        rounds[i] = 0;
        tasks[i] = spawn(users[i], &quiet[0]);
    }
    CHECK_INT(skua_sleep(skua_after(storm_ms() * SKUA_MS(1))), 0);
    for (int i = 0; i < USERS; i++) {
        await(&rounds[i], 1); /* it may have begun late */
    }
    while (interrupts <= 100) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    }
    is_over = true;
    for (int i = 0; i < USERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    close(quiet[0]);
    close(quiet[1]);
    return 0;
}

static void nothing_surfaces_and_nothing_is_lost(void **state)
{
    struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART */
    pthread_t thread;
    CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_INT(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_INT(pthread_create(&thread, NULL, rage, NULL), 0);
    run_clean_on(3, works_in_the_storm, NULL);
    has_ended = true;
    CHECK_INT(pthread_join(thread, NULL), 0);
    print_message("%llu signals; rounds: %d %d %d %d %d %d\n", (unsigned long long)interrupts,
                  rounds[0], rounds[1], rounds[2], rounds[3], rounds[4], rounds[5]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(nothing_surfaces_and_nothing_is_lost)};
    return TEST_RUN(tests);
}
