/* Control groups for workers: memory and number of processes.

       .../program.slice/               finder: hands on memory and pids, or lets us make it do so
           the program's own group      (a group with processes in it may not have limited children)
           skua-4711-1/                 the pool's folder: process id of the zygote, number
               17/                      a worker's: memory.max, pids.max; the worker is in it

   Invariants
   (G1) Folders are made and removed by the zygote, which outlives the program, and by the
        supervisor, should the zygote be killed. What both could not remove, the next pool of this
        user does: a folder whose zygote is dead.
   (G2) A worker enters its folder before it maps anything of the pool's; it is a leaf.
   (G3) An OOM kill is told from other SIGKILLs by the group's own count, read when the worker is
        dead and before the folder is removed.

   A file of a control group is written in one piece; all paths are absolute.

   Rejected: limits of a whole pool (one job would be killed for the memory of another one);
   version 1 (has no delegation); asking systemd for a scope (a dependency, and a round trip). */
#include "pool/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = SKUA__CGROUP_PATH_BYTES + 64, TEXT_BYTES = 1024, REMOVE_TRIES = 200 };

/* --- files ------------------------------------------------------------------------------------ */

/* The file's beginning, with a final 0. Returns its bytes, or a negative errno. */
static ssize_t read_file(const char *folder, const char *name, char text[TEXT_BYTES])
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const ssize_t bytes = read(fd, text, TEXT_BYTES - 1);
    const int error = errno;
    close(fd);
    text[bytes > 0 ? bytes : 0] = '\0';
    return bytes < 0 ? -error : bytes;
}

static int write_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const ssize_t bytes = write(fd, text, strlen(text));
    const int error = errno;
    close(fd);
    return bytes < 0 ? -error : 0;
}

static int write_number(const char *folder, const char *name, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return write_file(folder, name, text);
}

/* --- finding a place -------------------------------------------------------------------------- */

/* The group of the line "0::/group" and the mount of the hierarchy without controllers of version
   1. False: there is none. */
static bool find_own(char path[], size_t path_bytes, const char *mounts, const char *groups)
{
    char line[TEXT_BYTES], group[SKUA__CGROUP_PATH_BYTES] = "", mount[TEXT_BYTES] = "",
                           root[TEXT_BYTES] = "";
    FILE *file = fopen(groups, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(group, sizeof group, "%.*s", (int)sizeof group - 1, line + 3);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    file = fopen(mounts, "re");
    while (file != NULL && mount[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const bool is_ours = strstr(line, " - cgroup2 ") != NULL;
        if (is_ours && sscanf(line, "%*s %*s %*s %1023s %1023s", root, mount) != 2) {
            mount[0] = '\0';
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    const char *below = group;
    if (strcmp(root, "/") != 0 && strncmp(group, root, strlen(root)) == 0) {
        below += strlen(root); /* only a part of the tree is mounted here */
    }
    const int bytes =
        snprintf(path, path_bytes, "%s%s", mount, strcmp(below, "/") == 0 ? "" : below);
    return mount[0] != '\0' && group[0] != '\0' && bytes < (int)path_bytes - 64;
}

static bool has_word(const char *text, const char *word)
{
    const size_t bytes = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += bytes) {
        const bool begins = at == text || at[-1] == ' ';
        if (begins && strchr(" \n", at[bytes]) != NULL) { /* also the final 0 */
            return true;
        }
    }
    return false;
}

/* Have the folder hand the controllers that the limits need on to its children. */
static int hand_on(const char *folder, const skua_pool_limits *limits)
{
    char text[TEXT_BYTES];
    const ssize_t bytes = read_file(folder, "cgroup.subtree_control", text);
    int error = bytes < 0 ? (int)bytes : 0;
    if (error == 0 && limits->memory_bytes != 0 && !has_word(text, "memory")) {
        error = write_file(folder, "cgroup.subtree_control", "+memory");
    }
    if (error == 0 && limits->processes != 0 && !has_word(text, "pids")) {
        error = write_file(folder, "cgroup.subtree_control", "+pids");
    }
    return error;
}

static bool can_be_finder(const char *folder, const skua_pool_limits *limits)
{
    return access(folder, W_OK | X_OK) == 0 && hand_on(folder, limits) == 0;
}

int skua__cgroup_find(char path[], size_t path_bytes, const char *mounts, const char *groups,
                      const skua_pool_limits *limits)
{
    static _Atomic uint32_t count;
    if (!find_own(path, path_bytes, mounts, groups)) {
        return -ENOTSUP;
    }
    if (!can_be_finder(path, limits)) {
        char *last = strrchr(path, '/');
        if (last == NULL || last == path) {
            return -ENOTSUP;
        }
        *last = '\0';
        if (!can_be_finder(path, limits)) {
            return -ENOTSUP;
        }
    }
    const size_t bytes = strlen(path);
    snprintf(path + bytes, path_bytes - bytes, "/skua-%d-%u", (int)getpid(), ++count);
    return 0;
}

/* --- folders ---------------------------------------------------------------------------------- */

/* Remove a folder whose processes are dead or dying. */
static void remove_folder(const char *path)
{
    write_file(path, "cgroup.kill", "1"); /* since Linux 5.14 */
    for (int i = 0; i < REMOVE_TRIES && rmdir(path) < 0 && errno == EBUSY; i++) {
        poll(NULL, 0, 1); /* the last of them is on its way out of the kernel */
    }
}

/* Remove a pool's folder with all workers' folders in it. */
static void remove_tree(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            char child[PATH_BYTES + sizeof entry->d_name];
            snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
            remove_folder(child);
        }
    }
    closedir(folder);
    remove_folder(path);
}

/* What programs have left behind that were killed together with their zygotes (G1). */
static void sweep(const char *pool_path)
{
    char parent[SKUA__CGROUP_PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", pool_path);
    *strrchr(parent, '/') = '\0';
    DIR *folder = opendir(parent);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        int pid;
        if (sscanf(entry->d_name, "skua-%d-", &pid) == 1 && kill(pid, 0) < 0 && errno == ESRCH) {
            char child[PATH_BYTES + sizeof entry->d_name];
            snprintf(child, sizeof child, "%s/%s", parent, entry->d_name);
            remove_tree(child);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

int skua__cgroup_open(const struct skua__settings *settings)
{
    if (settings->cgroup[0] == '\0') {
        return 0;
    }
    sweep(settings->cgroup);
    if (mkdir(settings->cgroup, 0755) < 0) {
        return -errno;
    }
    return hand_on(settings->cgroup, &settings->limits);
}

static void worker_path(const struct skua__settings *settings, uint32_t id, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%u", settings->cgroup, id);
}

static int set_limits(const char *path, const skua_pool_limits *limits)
{
    int error = 0;
    if (limits->memory_bytes != 0) {
        error = write_number(path, "memory.max", limits->memory_bytes);
        /* Else it would be swapped out, slowly, and never killed. Not there without swap. */
        write_number(path, "memory.swap.max", 0);
    }
    if (error == 0 && limits->processes != 0) {
        error = write_number(path, "pids.max", limits->processes);
    }
    return error;
}

int skua__cgroup_make(const struct skua__settings *settings, uint32_t id)
{
    if (settings->cgroup[0] == '\0') {
        return 0;
    }
    char path[PATH_BYTES];
    worker_path(settings, id, path);
    if (mkdir(path, 0755) < 0) {
        return -errno;
    }
    int error = set_limits(path, &settings->limits);
    if (error < 0) {
        rmdir(path);
    }
    return error;
}

int skua__cgroup_enter(const struct skua__settings *settings, uint32_t id)
{
    if (settings->cgroup[0] == '\0') {
        return 0;
    }
    char path[PATH_BYTES];
    worker_path(settings, id, path);
    return write_file(path, "cgroup.procs", "0"); /* who writes it */
}

static bool has_run_out(const char *path)
{
    char text[TEXT_BYTES];
    unsigned long long kills = 0;
    if (read_file(path, "memory.events", text) > 0) {
        const char *line = strstr(text, "oom_kill ");
        if (line != NULL && sscanf(line, "oom_kill %llu", &kills) != 1) {
            kills = 0;
        }
    }
    return kills > 0;
}

bool skua__cgroup_remove(const struct skua__settings *settings, uint32_t id)
{
    if (settings == NULL || settings->cgroup[0] == '\0') {
        return false;
    }
    char path[PATH_BYTES];
    worker_path(settings, id, path);
    const bool is_oom = has_run_out(path);
    remove_folder(path);
    return is_oom;
}

void skua__cgroup_close(const struct skua__settings *settings)
{
    if (settings->cgroup[0] != '\0') {
        remove_tree(settings->cgroup);
    }
}
