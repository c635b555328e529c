/* tests/file_help.h: what the suites of files and directories share: a folder of their own, on a
   disk and then in memory. */
#ifndef SKUA_TESTS_FILE_HELP_H
#define SKUA_TESTS_FILE_HELP_H

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <skua/skua.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static char folder[64];
static int folder_fd = -1;

/* The path of a name in the folder; four of them may be used at a time. */
static inline const char *in_folder(const char *name)
{
    static char paths[4][4300];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void put_file(const char *path, const void *data, size_t bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, data, bytes), bytes);
    CHECK_INT(close(fd), 0);
}

/* In a task. */
static inline int open_here(const char *name, int flags)
{
    const int fd = skua_open_in(folder_fd, name, flags, 0644, SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    return fd;
}

static inline void check_whole(const char *name, const char *want)
{
    void *got = NULL;
    CHECK_INT(skua_file_load(folder_fd, name, &got, 0, SKUA_FOREVER), strlen(want));
    CHECK_STR((const char *)got, want);
    skua_file_unload(got);
}

static inline bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* How many names there are in a directory. */
static inline int count_names(const char *path)
{
    char command[4400];
    int count = -1;
    snprintf(command, sizeof command, "find '%s' -mindepth 1 -maxdepth 1 -printf x | wc -c", path);
    FILE *lines = popen(command, "r");
    CHECK(lines != NULL && fscanf(lines, "%d", &count) == 1);
    CHECK_INT(pclose(lines), 0);
    return count;
}

/* fn as a main task, with no fd left behind. */
static inline void run_here(uint32_t workers, skua_fn fn, void *arg)
{
    const skua_config config = {.workers = workers};
    const int fds = test_fds();
    CHECK_INT(skua_run(&config, fn, arg), 0);
    CHECK_INT(test_fds(), fds);
}

/* The same in a folder on a disk, and in one in memory; nothing may be left in it. */
static inline void run_in_folders(uint32_t workers, skua_fn fn)
{
    static const char *const places[] = {"/tmp/skua-file-XXXXXX", "/dev/shm/skua-file-XXXXXX"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(folder, sizeof folder, "%s", places[i]);
        if (mkdtemp(folder) == NULL) {
            CHECK(i > 0); /* not everybody has a file system in memory */
            continue;
        }
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(folder_fd >= 0);
        run_here(workers, fn, NULL);
        close(folder_fd);
        CHECK_INT(rmdir(folder), 0);
    }
}

#endif
