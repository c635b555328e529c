/* What a test has left behind: tasks, fds, threads, memory; each with a name where it has one. */
#include "base/clock.h"
#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/drain.h"
#include "sched/task.h"
#include "testing/kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NAMED_MAX = 10,
    NAP_NS = 100 * 1000,
    PATIENCE_NS = 1000 * 1000 * 1000, /* for a thread that is about to end */
    EXITING = 4,                      /* PF_EXITING among the flags of a thread, see proc(5) */
    ROUNDS_MAX = 10000,               /* for tasks that are about to end: turns of everybody else */
};

/* --- tasks ------------------------------------------------------------------------------------ */

struct census {
    const skua_task *besides; /* not counted */
    const char *run_name;     /* NULL: only count */
    uint32_t count;
};

static void count_task(void *object, void *arg)
{
    struct census *census = arg;
    struct skua_task *task = object;
    if (task == census->besides || !skua__task_try_retain(task)) {
        return;
    }
    census->count++;
    if (census->run_name != NULL && census->count <= NAMED_MAX) {
        skua__report("%s: task '%s' was left running", census->run_name, skua_task_name(task));
    }
    skua_task_release(task);
}

static uint32_t count_tasks(skua_runtime *runtime, const skua_task *besides, const char *run_name)
{
    struct census census = {.besides = besides, .run_name = run_name};
    skua__runtime_visit_tasks(runtime, count_task, &census);
    return census.count;
}

uint32_t skua__report_running_tasks(struct skua__kit *kit)
{
    skua_runtime *runtime = skua_runtime_current();
    const skua_task *self = skua_self();
    uint32_t count = count_tasks(runtime, self, NULL);
    bool is_quiet = false;
    for (int round = 0; count > 0 && !is_quiet && round < ROUNDS_MAX; round++) {
        int status = skua_yield(); /* those who were just about to end */
        (void)status;
        skua__lock(&kit->lock, SKUA__RANK_DIRECTOR);
        is_quiet = kit->ready_count == 0 && skua__kit_is_quiet(runtime, 1);
        skua__unlock(&kit->lock, SKUA__RANK_DIRECTOR);
        count = count_tasks(runtime, self, NULL);
    }
    return count == 0 ? 0 : count_tasks(runtime, self, kit->name);
}

/* --- fds and threads -------------------------------------------------------------------------- */

/* Calls visit(number, arg) for each entry of a folder of /proc that is a number. Returns how many
   there are. */
static int64_t each_number(const char *path, void (*visit)(int number, void *arg), void *arg)
{
    DIR *folder = opendir(path);
    int64_t count = 0;
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        int number = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && number != dirfd(folder)) {
            count++;
            visit(number, arg);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

static void note_fd(int fd, void *arg)
{
    struct skua__belongings *now = arg;
    if (fd < SKUA__FDS_LOOKED_AT) {
        now->fds[fd / 8] |= (uint8_t)(1u << fd % 8);
    }
}

/* A thread that was joined is about to go: the kernel still has to run it for that, which it does
   when it likes. It has set the flag before it wakes who joins. */
static bool is_going(int thread)
{
    char path[64], text[512];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return true; /* it is gone */
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *name_end = strrchr(text, ')'); /* "12 (name) S ..." */
    return length <= 0 ||
           (name_end != NULL && sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
            (flags & EXITING) != 0);
}

static void count_staying(int thread, void *arg)
{
    *(int64_t *)arg += !is_going(thread);
}

static int64_t threads_now(void)
{
    int64_t count = 0;
    each_number("/proc/self/task", count_staying, &count);
    return count;
}

static void note_thread(int thread, void *arg)
{
    struct skua__belongings *now = arg;
    if (is_going(thread)) {
        return;
    }
    now->counts.threads++;
    if (now->thread_count < SKUA__THREADS_LOOKED_AT) {
        now->threads[now->thread_count++] = thread;
    }
}

static void count_memory(skua_test_resources *counts)
{
    counts->blocks = skua__load(&skua__alloc_blocks, relaxed);
    counts->bytes = skua__load(&skua__alloc_bytes, relaxed);
}

static void *return_at_once(void *arg)
{
    return arg;
}

/* A sanitizer starts a thread of its own together with the program's first one: that is no leak. */
static void start_first_thread(void)
{
    static bool was_started;
    pthread_t thread;
    if (!was_started && pthread_create(&thread, NULL, return_at_once, NULL) == 0) {
        pthread_join(thread, NULL);
        was_started = true;
    }
}

void skua__belongings_note(struct skua__belongings *now)
{
    start_first_thread();
    memset(now, 0, sizeof *now);
    skua__store(&skua__alloc_is_counted, true, relaxed);
    count_memory(&now->counts);
    now->counts.fds = each_number("/proc/self/fd", note_fd, now);
    each_number("/proc/self/task", note_thread, now);
}

static void nap(void)
{
    _Atomic uint32_t never_rung = 0;
    skua__futex_wait(&never_rung, 0, skua__clock_real_ns() + NAP_NS, false);
}

struct report {
    const struct skua__belongings *before;
    const char *run_name;
    uint32_t count;
};

/* What the link or the file says, without the end of a line. */
static void report_new(struct report *report, const char *kind, int number, const char *what)
{
    if (++report->count <= NAMED_MAX) {
        skua__report("%s: %s %d (%.*s) was left", report->run_name, kind, number,
                     (int)strcspn(what, "\n"), what);
    }
}

static void report_fd(int fd, void *arg)
{
    struct report *report = arg;
    if (fd >= SKUA__FDS_LOOKED_AT || (report->before->fds[fd / 8] >> fd % 8 & 1) != 0) {
        return;
    }
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    report_new(report, "fd", fd, target);
}

static void report_thread(int thread, void *arg)
{
    struct report *report = arg;
    for (uint32_t i = 0; i < report->before->thread_count; i++) {
        if (report->before->threads[i] == thread) {
            return;
        }
    }
    if (is_going(thread)) {
        return;
    }
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return; /* it has ended */
    }
    size_t length = fread(name, 1, sizeof name - 1, file);
    fclose(file);
    name[length] = '\0';
    report_new(report, "thread", thread, name);
}

static void ignore(int number, void *arg)
{
    (void)number;
    (void)arg;
}

/* Some are about to end by themselves, such as those of a library. */
static int64_t count_threads(int64_t at_most)
{
    int64_t until = skua__clock_real_ns() + PATIENCE_NS;
    int64_t count;
    while ((count = threads_now()) > at_most && skua__clock_real_ns() < until) {
        nap();
    }
    return count;
}

static uint32_t report_memory(const skua_test_resources *before, const char *run_name)
{
    skua_test_resources now;
    count_memory(&now);
    if (now.blocks <= before->blocks) {
        return 0;
    }
    skua__report("%s: %lld pieces of memory (%lld bytes) were left", run_name,
                 (long long)(now.blocks - before->blocks), (long long)(now.bytes - before->bytes));
    return 1;
}

uint32_t skua__belongings_report_new(const struct skua__belongings *before, const char *run_name)
{
    struct report report = {.before = before, .run_name = run_name};
    each_number("/proc/self/fd", report_fd, &report);
    if (count_threads(before->counts.threads) > before->counts.threads) {
        each_number("/proc/self/task", report_thread, &report);
    }
    return report.count + report_memory(&before->counts, run_name);
}

/* --- what tests call -------------------------------------------------------------------------- */

void skua_test_resources_now(skua_test_resources *out)
{
    skua__store(&skua__alloc_is_counted, true, relaxed);
    count_memory(out);
    out->fds = each_number("/proc/self/fd", ignore, NULL);
    out->threads = threads_now();
}

static bool has_grown(const char *what, int64_t before, int64_t now)
{
    if (now > before) {
        skua__report("%lld %s more than before", (long long)(now - before), what);
    }
    return now > before;
}

int skua_test_resources_compare(const skua_test_resources *before)
{
    int64_t fds = each_number("/proc/self/fd", ignore, NULL);
    bool is_more = has_grown("fds", before->fds, fds);
    is_more = has_grown("threads", before->threads, count_threads(before->threads)) || is_more;
    is_more = report_memory(before, "test") != 0 || is_more;
    return is_more ? -ENOTEMPTY : 0;
}
