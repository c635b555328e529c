/* tests/test.c: the watchdog, the checks and the counters of test.h. */
#include "test.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Shared with the watchdog, which is another process. */
typedef struct test_note {
    char name[128];
    uint64_t seed;
} test_note;

static test_note *test_now;

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "\n%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n  in %s, SKUA_SEED=%llu\n", test_now ? test_now->name : "?",
            test_now ? (unsigned long long)test_now->seed : 0);
    abort();
}

void test_int(const char *file, int line, const char *what, long long got, long long want)
{
    if (got != want) {
        test_fail(file, line, "%s is %lld, expected %lld", what, got, want);
    }
}

void test_ptr(const char *file, int line, const char *what, const void *got, const void *want)
{
    if (got != want) {
        test_fail(file, line, "%s is %p, expected %p", what, got, want);
    }
}

void test_str(const char *file, int line, const char *what, const char *got, const char *want)
{
    if (!got || !want || strcmp(got, want) != 0) {
        test_fail(file, line, "%s is \"%s\", expected \"%s\"", what, got ? got : "(null)",
                  want ? want : "(null)");
    }
}

uint64_t test_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t test_seed(void)
{
    return test_now->seed;
}

/* splitmix64. */
uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Lives in its own process, so that the suite has no extra thread, child, fd or signal handler. */
static void test_watch(int pidfd, int timeout_ms)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    if (poll(&end, 1, timeout_ms) == 0) {
        dprintf(STDERR_FILENO, "\nhang in %s, SKUA_SEED=%llu\n", test_now->name,
                (unsigned long long)test_now->seed);
        syscall(SYS_pidfd_send_signal, pidfd, SIGABRT, NULL, 0);
    }
    _exit(0);
}

/* The seed, line-wise output (else it is lost in an abort), and the watchdog: a grandchild, which
   init adopts, so that wait() in a test never meets it. */
void test_begin(void)
{
    const uint64_t limit_s = test_env("SKUA_TEST_SECONDS", 50) * TEST_SCALE;
    const int flags = MAP_SHARED | MAP_ANONYMOUS;
    test_now = mmap(NULL, sizeof *test_now, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (test_now == MAP_FAILED || getrandom(&test_now->seed, sizeof test_now->seed, 0) < 0) {
        abort();
    }
    test_now->seed = test_env("SKUA_SEED", test_now->seed >> 32);
    setvbuf(stdout, NULL, _IOLBF, 0);
    setenv("CMOCKA_TEST_ABORT", "1", 0); /* no signal handlers of cmocka under our tasks */

    const int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    const pid_t child = pidfd < 0 ? -1 : fork();
    if (child == 0) {
        if (fork() == 0) {
            test_watch(pidfd, (int)limit_s * 1000);
        }
        _exit(0);
    }
    if (pidfd >= 0) {
        waitpid(child, NULL, 0);
        close(pidfd);
    }
}

/* Before each test: note its name, which comes as the initial state. */
int test_enter(void **state)
{
    snprintf(test_now->name, sizeof test_now->name, "%s", (const char *)*state);
    *state = NULL;
    return 0;
}

/* Entries of a folder of /proc, without "." and "..". */
static int test_entries(const char *path)
{
    DIR *folder = opendir(path);
    int count = -2;
    if (!folder) {
        abort();
    }
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

/* Whether the thread has ended, and perhaps was joined, but has not been forgotten yet: the kernel
   does that when it next runs it. */
static bool test_is_going(const char *thread)
{
    enum { EXITING = 4 }; /* PF_EXITING, see proc(5) */
    char path[300], text[512] = "";
    unsigned flags = EXITING;
    snprintf(path, sizeof path, "/proc/self/task/%s/stat", thread);
    FILE *file = fopen(path, "re");
    if (file) {
        const char *end = fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
        if (end) { /* "12 (name) S ..." */
            (void)!sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
        }
        fclose(file);
    }
    return (flags & EXITING) != 0;
}

int test_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    int count = 0;
    if (!folder) {
        abort();
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.' && !test_is_going(entry->d_name);
    }
    closedir(folder);
    return count;
}

int test_fds(void)
{
    return test_entries("/proc/self/fd") - 1; /* without the one that looks */
}

int test_maps(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    int lines = 0;
    if (!maps) {
        abort();
    }
    for (int c = getc(maps); c != EOF; c = getc(maps)) {
        lines += c == '\n';
    }
    fclose(maps);
    return lines;
}

int test_settle(int (*count)(void), int want)
{
    int now = count();
    for (int turn = 0; now != want && turn < 200; turn++) {
        poll(NULL, 0, 10);
        now = count();
    }
    return now;
}

void test_dies(void (*fn)(void *), void *arg, const char *text)
{
    int ends[2], status = 0;
    char said[8192];
    size_t length = 0;
    CHECK_INT(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        dup2(ends[1], STDERR_FILENO);
        fn(arg);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got = 1; got > 0; length += (size_t)(got > 0 ? got : 0)) {
        got = length < sizeof said - 1 ? read(ends[0], said + length, sizeof said - 1 - length) : 0;
    }
    said[length] = '\0';
    close(ends[0]);
    CHECK_INT(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(said, text)) {
        test_fail(__FILE__, __LINE__,
                  "status %#x, expected an abort that says \"%s\"; it said:\n%s", (unsigned)status,
                  text, said);
    }
}
