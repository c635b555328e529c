/* tests/process_help.h: what the suites of processes share: shells, and a look at who is there. */
#ifndef SKUA_TESTS_PROCESS_HELP_H
#define SKUA_TESTS_PROCESS_HELP_H

#include "tasks.h"

#include <dirent.h>
#include <skua/io.h>
#include <skua/process.h>
#include <sys/wait.h>

#define SHELL(script) SKUA_ARGV("/bin/sh", "-c", (script))

static const skua_stdio to_pipe = {.kind = SKUA_STDIO_PIPE};
static const skua_stdio to_null = {.kind = SKUA_STDIO_NULL};

static inline skua_process *start(const char *const argv[], const skua_process_opts *opts)
{
    skua_process *process = NULL;
    CHECK_INT(skua_process_start(&process, argv, opts, SKUA_FOREVER), 0);
    CHECK(skua_process_pid(process) > 0);
    return process;
}

/* The end of a process: its exit code, or 128 and the signal. */
static inline int end_of(skua_process *process)
{
    skua_process_status status = {0};
    CHECK_INT(skua_process_wait(process, &status, SKUA_FOREVER), 0);
    return status.signal != 0 ? 128 + status.signal : status.code;
}

static inline int run_to_end(const char *const argv[], const skua_process_opts *opts)
{
    skua_process *process = start(argv, opts);
    const int code = end_of(process);
    skua_process_close(process);
    return code;
}

/* The first line of what it says. */
static inline void read_line(skua_process *process, char *line, size_t bytes)
{
    size_t count = 0;
    while (count + 1 < bytes) {
        CHECK_INT(skua_process_read(process, 1, line + count, 1, SKUA_FOREVER), 1);
        if (line[count] == '\n') {
            break;
        }
        count += line[count] != '\r';
    }
    line[count] = '\0';
}

/* Is there a process of that number that is no zombie? */
static inline bool is_alive(pid_t pid)
{
    char path[64], text[512] = "", *state;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    if (read(fd, text, sizeof text - 1) < 0) {
        text[0] = '\0';
    }
    close(fd);
    state = strrchr(text, ')');
    return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

/* How many processes have this one as their parent, zombies too. */
static inline int test_children(void)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    CHECK(proc != NULL);
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        char path[300], text[512] = "", *rest;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (file == NULL) {
            continue;
        }
        if (fgets(text, sizeof text, file) != NULL && (rest = strrchr(text, ')')) != NULL) {
            count += atoi(rest + 4) == getpid();
        }
        fclose(file);
    }
    closedir(proc);
    return count;
}

/* Some tools start a thread of their own with the first one of the program. */
static inline void start_tools(void)
{
    static bool has_run;
    if (!has_run) {
        run_on(1, return_zero);
        has_run = true;
    }
}

/* Run it on 1, 2 and 4 workers, and see that nothing is left: fds, threads, children. */
static inline void run_clean_on(uint32_t workers, skua_fn fn, void *arg)
{
    start_tools();
    const int fds = test_fds(), threads = test_threads(), children = test_children();
    run_on_with(workers, fn, arg);
    CHECK_INT(test_fds(), fds);
    CHECK_INT(test_settle(test_threads, threads), threads);
    CHECK_INT(test_children(), children);
}

static inline void run_clean(skua_fn fn)
{
    run_clean_on(1, fn, NULL);
    run_clean_on(2, fn, NULL);
    run_clean_on(4, fn, NULL);
}

#endif
