/* Strays: found by their parent, since every orphan below a worker becomes the worker's child, and
   the zygote's when the worker has ended.

   The list of a process's children (/proc/PID/task/TID/children) is not in every kernel, so the
   parents of all processes are read. The zygote does that at most once a second, and only after
   a worker has died.

   Rejected: a control group for each worker (may not be had); to look before each death (a look is
   slower than the start of a worker). */
#include "pool/strays.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void skua__strays_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* since Linux 3.4; without it orphans go to init */
}

/* 0: it is gone, or a zombie. */
static pid_t parent_of(const char *pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    const ssize_t bytes = read(fd, text, sizeof text - 1);
    close(fd);
    text[bytes > 0 ? bytes : 0] = '\0';
    const char *name_end = strrchr(text, ')'); /* names may have anything in them */
    char state;
    int parent;
    if (name_end == NULL || sscanf(name_end + 1, " %c %d", &state, &parent) != 2 || state == 'Z') {
        return 0;
    }
    return parent;
}

size_t skua__strays_kill(skua__is_known_fn is_known)
{
    const pid_t self = getpid();
    size_t count = 0;
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        const pid_t pid = (pid_t)atoi(entry->d_name);
        /* A child is not reaped by anybody else, so its number stays its own. */
        if (pid > 0 && parent_of(entry->d_name) == self && !is_known(pid)) {
            kill(pid, SIGKILL);
            count++;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

void skua__strays_reap(skua__is_known_fn is_known)
{
    siginfo_t info = {.si_pid = 0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
           !is_known(info.si_pid)) {
        waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
}
