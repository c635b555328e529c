/* Files that have no name yet. temp.h has the steps.

   A file that was made with O_TMPFILE is nowhere to be seen, also when the process is killed. It is
   linked under its name; if that is taken, it is linked under a random one first, since only
   rename(2) replaces. Where O_TMPFILE is not known the file has a random name from the beginning.

   Random names begin with a dot; nobody can foresee them, and O_EXCL makes sure of it. */
#define _GNU_SOURCE 1
#include "file/temp.h"

#include "file/call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { TRIES_MAX = 100 };

static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz012345";

void skua__temp_letters(char *out)
{
    const unsigned base = sizeof LETTERS - 1;
    uint64_t bits = skua__file_call_random();
    for (int i = 0; i < SKUA__TEMP_LETTERS; i++) {
        out[i] = LETTERS[bits % base];
        bits /= base;
    }
    out[SKUA__TEMP_LETTERS] = '\0';
}

static void make_name(char name[SKUA__TEMP_NAME_BYTES])
{
    memcpy(name, ".skua-", sizeof ".skua-");
    skua__temp_letters(name + strlen(name));
}

/* Does this say that there are no files without a name here? */
static bool is_unknown(int status)
{
    return status == -EOPNOTSUPP || status == -EISDIR || status == -ENOENT || status == -EINVAL;
}

static int open_named(int parent, mode_t mode, char name[SKUA__TEMP_NAME_BYTES])
{
    int fd = -EEXIST;
    for (int i = 0; i < TRIES_MAX && fd == -EEXIST; i++) {
        make_name(name);
        fd = skua__file_call_open_in(parent, name, O_RDWR | O_CREAT | O_EXCL, mode);
    }
    return fd;
}

int skua__temp_open(int dir, const char *path)
{
    enum { FOR_ME = 0600 };
    char name[SKUA__TEMP_NAME_BYTES];
    int fd = skua__file_call_open_in(dir, path, O_TMPFILE | O_RDWR | O_EXCL, FOR_ME);
    if (!is_unknown(fd)) {
        return fd;
    }
    int parent = skua__file_call_open_in(dir, path, O_PATH | O_DIRECTORY, 0);
    if (parent < 0) {
        return parent;
    }
    fd = open_named(parent, FOR_ME, name);
    if (fd >= 0) {
        (void)!skua__file_call_unlink(parent, name, 0);
    }
    skua__file_call_shut(parent);
    return fd;
}

/* --- replacements ----------------------------------------------------------------------------- */

/* The directory that the path names its last part in, open; and that part. */
static int open_parent(int dir, const char *path, int flags, const char **name)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) {
        return *path == '\0' ? -ENOENT : -EISDIR;
    }
    if (slash == NULL) {
        return skua__file_call_open_in(dir, ".", flags | O_DIRECTORY, 0);
    }
    size_t bytes = slash == path ? 1 : (size_t)(slash - path);
    if (bytes >= sizeof parent) {
        return -ENAMETOOLONG;
    }
    memcpy(parent, path, bytes);
    parent[bytes] = '\0';
    return skua__file_call_open_in(dir, parent, flags | O_DIRECTORY, 0);
}

/* Asked once at the beginning, to spare the work; the kernel asks again when the name is taken. */
static bool is_taken(const struct skua__replacement *replacement)
{
    struct statx status;
    return skua__file_call_status(replacement->parent, replacement->name, AT_SYMLINK_NOFOLLOW,
                                  &status) == 0;
}

int skua__replacement_open(struct skua__replacement *replacement, int dir, const char *path,
                           mode_t mode)
{
    const int flags = replacement->is_durable ? O_RDONLY : O_PATH; /* the first can be synced */
    replacement->has_temp_name = false;
    replacement->parent = open_parent(dir, path, flags, &replacement->name);
    if (replacement->parent < 0) {
        return replacement->parent;
    }
    if (replacement->is_exclusive && is_taken(replacement)) {
        skua__file_call_shut(replacement->parent);
        return -EEXIST;
    }
    int fd = skua__file_call_open_in(replacement->parent, ".", O_TMPFILE | O_RDWR, mode);
    if (is_unknown(fd)) {
        fd = open_named(replacement->parent, mode, replacement->temp_name);
        replacement->has_temp_name = fd >= 0;
    }
    if (fd < 0) {
        skua__file_call_shut(replacement->parent);
    }
    replacement->fd = fd;
    return fd < 0 ? fd : 0;
}

/* The file, which has no name, goes by a random one. */
static int link_temp(struct skua__replacement *replacement)
{
    int status = -EEXIST;
    for (int i = 0; i < TRIES_MAX && status == -EEXIST; i++) {
        make_name(replacement->temp_name);
        status =
            skua__file_call_link_open(replacement->fd, replacement->parent, replacement->temp_name);
    }
    replacement->has_temp_name = status == 0;
    return status;
}

static int take_name(struct skua__replacement *replacement)
{
    const int parent = replacement->parent;
    int status = -EEXIST;
    if (!replacement->has_temp_name) {
        status = skua__file_call_link_open(replacement->fd, parent, replacement->name);
    } else if (replacement->is_exclusive) {
        status = skua__file_call_link(parent, replacement->temp_name, parent, replacement->name);
        return status; /* the close takes the other name away */
    }
    if (status != -EEXIST || replacement->is_exclusive) {
        return status;
    }
    status = replacement->has_temp_name ? 0 : link_temp(replacement);
    if (status == 0) {
        status =
            skua__file_call_rename(parent, replacement->temp_name, parent, replacement->name, 0);
        replacement->has_temp_name = status < 0;
    }
    return status;
}

int skua__replacement_place(struct skua__replacement *replacement)
{
    int status = replacement->is_durable ? skua__file_call_sync(replacement->fd) : 0;
    if (status == 0) {
        status = take_name(replacement);
    }
    if (status == 0 && replacement->is_durable) {
        status = skua__file_call_sync(replacement->parent);
    }
    return status;
}

void skua__replacement_close(struct skua__replacement *replacement)
{
    if (replacement->has_temp_name) {
        (void)!skua__file_call_unlink(replacement->parent, replacement->temp_name, 0);
    }
    skua__file_call_shut(replacement->fd);
    skua__file_call_shut(replacement->parent);
}
