/* tests/idle_help.h: whether the threads of runtimes do anything, for the suites that say they do
   not. */
#ifndef SKUA_TESTS_IDLE_HELP_H
#define SKUA_TESTS_IDLE_HELP_H

#include "tasks.h"

#include "sched/runtime.h"

#include <dirent.h>

/* How often a thread has waited, if it is one of a runtime that has no name of its own. */
static inline uint64_t waits_of(const char *thread)
{
    char path[300], line[256];
    bool is_of_runtime = false;
    unsigned long long waits = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        is_of_runtime = is_of_runtime || strncmp(line, "Name:\tskua-", 11) == 0;
        (void)!sscanf(line, "voluntary_ctxt_switches: %llu", &waits);
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_of_runtime ? waits : 0;
}

static inline uint64_t waits_of_all(void)
{
    uint64_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        count += entry->d_name[0] != '.' ? waits_of(entry->d_name) : 0;
    }
    closedir(tasks);
    return count;
}

/* Of a runtime with so many workers, the only one, in which nobody can do anything: once it has
   fallen asleep, none of its threads is given a processor for so long. It is the threads that are
   looked at, and not the time they use: the kernel may take its time to run them, and a machine
   may be slow. */
static inline void check_idle_for(skua_runtime *runtime, uint32_t workers, int64_t ns)
{
    while (atomic_load(&runtime->monitor_sleeps) == 0) { /* it is the last to fall asleep */
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(10))), 0);
    }
    const uint64_t before = waits_of_all();
    CHECK(before > 0);
    CHECK_INT(skua_sleep(skua_after(ns)), 0);
    CHECK(waits_of_all() - before <= workers + 1); /* each may have been about to wait */
}

#endif
