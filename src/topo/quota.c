/* How many CPUs' worth of time the cgroups leave to this process.

   A limit stands in every folder from the process's own cgroup up to the root, and all of them
   hold, so the tightest counts. Version 2 writes "<quota or max> <period>" into cpu.max; version 1
   has two files, cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us, below a mount that is named
   after its controllers. Both versions may be there at once (the second then below "unified").

   In a container the folder that /proc/self/cgroup names may lie outside of what is mounted. That
   does no harm: what is missing is passed over, and the walk arrives at the root of the mount,
   which there is the container's own cgroup.

   Rounded down: with 2.5 CPUs of time three busy workers would be throttled for a sixth of each
   period, two never are. Half a CPU is still one worker. */
#include "topo/topo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINES_BYTES = 8192, VALUE_BYTES = 64 };

/* The tightest limit so far. */
struct quota {
    const char *root;
    uint32_t cpus; /* 0: none */
};

/* Reads the start of a file as a string. False: it is not there, or cannot be read. */
static bool read_text(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t length = 0;
    for (ssize_t got = 1; got > 0 && length<bytes - 1; length += got> 0 ? (size_t)got : 0) {
        got = read(fd, text + length, bytes - 1 - length);
    }
    close(fd);
    text[length] = '\0';
    return length > 0;
}

static bool read_file(const char *folder, const char *name, char *text, size_t bytes)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && read_text(path, text, bytes);
}

static void tighten(struct quota *quota, int64_t quota_us, int64_t period_us)
{
    if (quota_us <= 0 || period_us <= 0) {
        return;
    }
    int64_t whole = quota_us / period_us;
    uint32_t cpus = whole < 1 ? 1 : whole > UINT32_MAX ? UINT32_MAX : (uint32_t)whole;
    if (quota->cpus == 0 || cpus < quota->cpus) {
        quota->cpus = cpus;
    }
}

/* The limits that stand in one folder, of either version. */
static void look_into(struct quota *quota, const char *folder)
{
    char text[VALUE_BYTES];
    int64_t quota_us = 0, period_us = 0;
    if (read_file(folder, "cpu.max", text, sizeof text) &&
        sscanf(text, "%" SCNd64 " %" SCNd64, &quota_us, &period_us) == 2) {
        tighten(quota, quota_us, period_us);
    }
    if (read_file(folder, "cpu.cfs_quota_us", text, sizeof text) &&
        sscanf(text, "%" SCNd64, &quota_us) == 1 &&
        read_file(folder, "cpu.cfs_period_us", text, sizeof text) &&
        sscanf(text, "%" SCNd64, &period_us) == 1) {
        tighten(quota, quota_us, period_us);
    }
}

/* From the folder `path` below the mount up to the mount itself. */
static void climb(struct quota *quota, const char *mount, const char *path)
{
    char folder[PATH_MAX];
    int base = snprintf(folder, sizeof folder, "%s%s%s", quota->root, *mount ? "/" : "", mount);
    if (base <= 0 || (size_t)base >= sizeof folder) {
        return;
    }
    /* "/.." means: outside of our cgroup namespace. Nothing of that can be seen here. */
    bool is_outside = strncmp(path, "/..", 3) == 0;
    int rest = snprintf(folder + base, sizeof folder - (size_t)base, "%s", is_outside ? "" : path);
    if (rest < 0 || (size_t)(base + rest) >= sizeof folder) {
        return;
    }
    for (;;) {
        look_into(quota, folder);
        char *slash = strrchr(folder + base, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

/* Is `name` one of the comma-separated `controllers`? */
static bool has_controller(const char *controllers, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = controllers; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* One line: "<number>:<controllers>:<path>"; version 2 has no controllers. */
static void read_line(struct quota *quota, char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL) {
        return;
    }
    *controllers++ = '\0';
    *path++ = '\0';
    if (*controllers == '\0') {
        climb(quota, "", path);
        climb(quota, "unified", path);
    } else if (has_controller(controllers, "cpu")) {
        climb(quota, controllers, path);
        climb(quota, "cpu", path);
    }
}

uint32_t skua__topo_quota(const char *root, const char *self)
{
    struct quota quota = {.root = root};
    char lines[LINES_BYTES];
    if (!read_text(self, lines, sizeof lines)) {
        return 0;
    }
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        read_line(&quota, line);
    }
    return quota.cpus;
}
