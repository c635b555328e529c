/* Limits of a worker process: what the kernel enforces by itself once it is told to.

   Invariants
   (I1) Limits are set in the worker before its first job, and only tightened; but for the allowance
        of processor time, which begins anew with each job.
   (I2) What a job may do to evade its allowance (ignore SIGXCPU, raise the soft limit) costs nobody
        but its caller, who may still set a deadline. All other limits cannot be undone by a job.
   (I3) A death is told as that of a limit only if this very limit was set and the kernel says so:
        by the signal, or by the group's count of kills.

   Who runs it: the worker, but explain(), which the parent runs. */
#include "pool/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000 * 1000 * 1000, FDS_LOOKED_AT = 4096 };

/* The soft limit that is set now. */
static rlim_t cpu_limit_s;

/* The address space that this process has now. */
static size_t address_space_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%lu", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Both limits, but never more than the program's own. */
static int set_limit(int resource, rlim_t value)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0) {
        return -errno;
    }
    limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

/* The limit that leaves room for so many more fds. */
static rlim_t fd_limit(uint32_t more)
{
    rlim_t limit = 0;
    for (; more > 0 && limit < FDS_LOOKED_AT; limit++) {
        more -= fcntl((int)limit, F_GETFD) < 0;
    }
    return limit + more;
}

int skua__limits_enter(const struct skua__settings *settings)
{
    const skua_pool_limits *limits = &settings->limits;
    int error = set_limit(RLIMIT_CORE, 0);
    if (error == 0 && settings->nice != 0) {
        errno = 0;
        error = nice(settings->nice) == -1 && errno != 0 ? -errno : 0;
    }
    if (error == 0 && limits->address_bytes != 0) {
        error = set_limit(RLIMIT_AS, address_space_bytes() + limits->address_bytes);
    }
    if (error == 0 && limits->file_bytes != 0) {
        error = set_limit(RLIMIT_FSIZE, limits->file_bytes);
    }
    if (error == 0 && limits->fds != 0) {
        error = set_limit(RLIMIT_NOFILE, fd_limit(limits->fds));
    }
    if (error == 0 && (limits->no_new_privileges || limits->sandbox)) {
        error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
    }
    return error;
}

bool skua__limits_may_be_nice(int nice_value)
{
    struct rlimit limit;
    const int wanted = getpriority(PRIO_PROCESS, 0) + nice_value;
    return geteuid() == 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 &&
                              limit.rlim_cur >= (rlim_t)(20 - (wanted < -20 ? -20 : wanted)));
}

void skua__limits_begin_job(const struct skua__settings *settings)
{
    const int64_t allowance_ns = settings->limits.cpu_ns;
    struct timespec used;
    if (allowance_ns == 0 || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0) {
        return;
    }
    const int64_t end_ns = (int64_t)used.tv_nsec + allowance_ns % NS_PER_S;
    const rlim_t end_s = (rlim_t)used.tv_sec + (rlim_t)(allowance_ns / NS_PER_S) +
                         (rlim_t)((end_ns + NS_PER_S - 1) / NS_PER_S);
    if (end_s == cpu_limit_s) {
        return; /* short jobs are mostly within the same second */
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_CPU, &limit) == 0) {
        limit.rlim_cur = end_s < limit.rlim_max ? end_s : limit.rlim_max;
        if (setrlimit(RLIMIT_CPU, &limit) == 0) {
            cpu_limit_s = end_s;
        }
    }
}

static int explain_signal(const struct skua__settings *settings, int signal, uint32_t note,
                          bool is_oom, char *text, size_t text_bytes)
{
    const skua_pool_limits *limits = &settings->limits;
    if (signal == SIGXCPU && limits->cpu_ns != 0) {
        snprintf(text, text_bytes, "was killed by its limit of %.3g s of processor time",
                 (double)limits->cpu_ns / NS_PER_S);
        return -EDQUOT;
    }
    if (signal == SIGXFSZ && limits->file_bytes != 0) {
        snprintf(text, text_bytes, "was killed by its limit of %zu bytes for a file",
                 limits->file_bytes);
        return -EDQUOT;
    }
    if (signal == SIGKILL && is_oom && limits->memory_bytes != 0) {
        snprintf(text, text_bytes, "was killed by its limit of %zu bytes of memory",
                 limits->memory_bytes);
        return -EDQUOT;
    }
    if (signal == SIGSYS && limits->sandbox && note != 0) {
        const char *name = skua__sandbox_call_name(note - 1);
        snprintf(text, text_bytes, "was killed: its sandbox forbids system call %u (%s)", note - 1,
                 name != NULL ? name : "unknown");
        return -EDQUOT;
    }
    const char *name = sigdescr_np(signal);
    snprintf(text, text_bytes, "was killed by signal %d (%s)", signal,
             name != NULL ? name : "real-time signal");
    return -EOWNERDEAD;
}

int skua__limits_explain(const struct skua__settings *settings, int status, uint32_t note,
                         bool is_oom, char *text, size_t text_bytes)
{
    if (status == -1) {
        snprintf(text, text_bytes, "ended because the zygote was killed");
        return -EOWNERDEAD;
    }
    if (WIFSIGNALED(status)) {
        return explain_signal(settings, WTERMSIG(status), note, is_oom, text, text_bytes);
    }
    snprintf(text, text_bytes, "exited with code %d", WEXITSTATUS(status));
    return -EOWNERDEAD;
}
