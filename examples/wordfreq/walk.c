/* walk.c: the stage that finds the files.

   Each walker has a stack of folders of its own and lists them on the blocking pool, several in one
   call. Of what it has found, it gives half away through the channel `folders` whenever that is
   empty: then somebody may have nothing to do. The walk ends when no folder is left, with anybody.

   Symbolic links are not followed, but for those that were named by the user, so there are no
   loops. */
#include "pipeline.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS_PER_CALL = 32, FILES_PER_BATCH = 64 };

/* One walker's work. The blocking pool has it while list_folders() runs, the task at other times.
 */
struct walk {
    struct pipeline *line;
    struct error_list *errors;
    char **folders; /* the stack */
    size_t folders_count;
    size_t folders_room;
    DIR *open; /* the folder that is being listed, or NULL */
    char *open_path;
    struct path_batch *files; /* what was found, or NULL */
    size_t files_count;
};

static int push_folder(struct walk *walk, char *path)
{
    if (!path) {
        return -ENOMEM;
    }
    if (walk->folders_count == walk->folders_room) {
        const size_t room = walk->folders_room > 0 ? 2 * walk->folders_room : 64;
        char **folders = realloc(walk->folders, room * sizeof(*folders));
        if (!folders) {
            free(path);
            return -ENOMEM;
        }
        walk->folders = folders;
        walk->folders_room = room;
    }
    walk->folders[walk->folders_count++] = path;
    return 0;
}

static void close_folder(struct walk *walk)
{
    if (walk->open) {
        closedir(walk->open);
        walk->open = NULL;
    }
    free(walk->open_path);
    walk->open_path = NULL;
    pipeline_folder_done(walk->line);
}

/* Open the folder at the top of the stack. */
static void open_folder(struct walk *walk)
{
    walk->open_path = walk->folders[--walk->folders_count];
    const int fd = open(walk->open_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    walk->open = fd < 0 ? NULL : fdopendir(fd);
    if (!walk->open) {
        errors_add(walk->errors, walk->open_path, -errno);
        if (fd >= 0) {
            close(fd);
        }
        close_folder(walk);
    }
}

/* What an entry is, for file systems that do not say it in the folder. */
static unsigned char look_up_type(struct walk *walk, const char *name)
{
    struct stat info;
    if (fstatat(dirfd(walk->open), name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        return DT_UNKNOWN;
    }
    return S_ISREG(info.st_mode) ? DT_REG : S_ISDIR(info.st_mode) ? DT_DIR : DT_UNKNOWN;
}

static int push_subfolder(struct walk *walk, const char *name)
{
    const size_t folder_bytes = strlen(walk->open_path);
    const size_t bytes = folder_bytes + strlen(name) + 2;
    const char *slash = folder_bytes > 0 && walk->open_path[folder_bytes - 1] == '/' ? "" : "/";
    char *path = malloc(bytes);
    if (path) {
        snprintf(path, bytes, "%s%s%s", walk->open_path, slash, name);
        atomic_fetch_add_explicit(&walk->line->folders_left, 1, memory_order_relaxed);
    }
    return push_folder(walk, path);
}

/* Take in one entry of the open folder. Returns 0 or -ENOMEM. */
static int add_entry(struct walk *walk, const struct dirent *entry)
{
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return 0;
    }
    const unsigned char type =
        entry->d_type == DT_UNKNOWN ? look_up_type(walk, name) : entry->d_type;
    if (type == DT_DIR) {
        return push_subfolder(walk, name);
    }
    if (type == DT_REG) {
        atomic_fetch_add_explicit(&walk->line->files_found, 1, memory_order_relaxed);
        if (paths_add(walk->files, walk->open_path, name)) {
            walk->files_count++;
        } else {
            errors_add(walk->errors, walk->open_path, -ENAMETOOLONG);
        }
    }
    return 0; /* links, pipes, sockets and devices hold no text */
}

/* True if the batch may have no room for another file. */
static bool files_full(const struct walk *walk)
{
    const size_t left = sizeof(walk->files->text) - walk->files->used_bytes;
    return walk->files_count == FILES_PER_BATCH ||
           (walk->files_count > 0 && left < strlen(walk->open_path) + NAME_MAX + 2);
}

/* List the open folder until its end or until the batch is full. Returns 0 or -ENOMEM. */
static int list_folder(struct walk *walk)
{
    while (!files_full(walk)) {
        errno = 0;
        const struct dirent *entry = readdir(walk->open);
        if (!entry) {
            if (errno != 0) {
                errors_add(walk->errors, walk->open_path, -errno);
            }
            close_folder(walk);
            return 0;
        }
        int status = add_entry(walk, entry);
        if (status < 0) {
            return status;
        }
    }
    return 0;
}

/* On the blocking pool: list until the stack is empty or the batch full, but not for long, so that
   what was found can be shared. Returns 0 or -ENOMEM. */
static int list_folders(void *arg)
{
    struct walk *walk = arg;
    int status = 0;
    for (int left = FOLDERS_PER_CALL; left > 0 && status == 0; left--) {
        if (!walk->open && walk->folders_count > 0) {
            open_folder(walk);
        }
        if (walk->open) {
            status = list_folder(walk);
        }
        if (walk->open || walk->folders_count == 0) {
            break;
        }
    }
    return status;
}

/* Put all paths of a batch on the stack. */
static int push_folders(struct walk *walk, const struct path_batch *batch)
{
    int status = 0;
    size_t offset = 0;
    for (const char *path; status == 0 && (path = paths_next(batch, &offset));) {
        status = push_folder(walk, strdup(path));
    }
    return status;
}

/* Give the older half of the stack to the others, if they have nothing. */
static int share_folders(struct walk *walk)
{
    if (walk->folders_count < 2 || skua_chan_count(walk->line->folders) > 0) {
        return 0;
    }
    struct path_batch *batch = calloc(1, sizeof(*batch));
    if (!batch) {
        return -ENOMEM;
    }
    size_t shared = 0;
    while (shared < walk->folders_count / 2 && paths_add(batch, walk->folders[shared], NULL)) {
        free(walk->folders[shared++]);
    }
    walk->folders_count -= shared;
    memmove(walk->folders, walk->folders + shared, walk->folders_count * sizeof(*walk->folders));

    int status = skua_chan_send(walk->line->folders, SKUA_ITEM(batch), SKUA_NOW);
    if (status == -EAGAIN) { /* somebody else was quicker */
        status = push_folders(walk, batch);
        free(batch);
    } else if (status < 0) {
        free(batch);
    }
    return status;
}

/* Hand the files found so far to the readers, and begin a new batch. */
static int send_files(struct walk *walk)
{
    if (walk->files_count > 0) {
        int status = skua_chan_send(walk->line->files, SKUA_ITEM(walk->files), SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
        walk->files = NULL;
        walk->files_count = 0;
    }
    if (!walk->files) {
        walk->files = calloc(1, sizeof(*walk->files));
    }
    return walk->files ? 0 : -ENOMEM;
}

/* Get folders from another walker. Returns 1, 0 (the walk is at its end) or an error. */
static int take_folders(struct walk *walk)
{
    struct path_batch *batch = NULL;
    int status = skua_chan_recv(walk->line->folders, SKUA_ITEM(batch), SKUA_NOW);
    if (status == -EAGAIN) { /* before a wait the readers get what there is */
        status = send_files(walk);
        if (status == 0) {
            status = skua_chan_recv(walk->line->folders, SKUA_ITEM(batch), SKUA_FOREVER);
        }
    }
    if (status == 1) {
        const int pushed = push_folders(walk, batch);
        free(batch);
        status = pushed < 0 ? pushed : 1;
    }
    return status;
}

static int walk_on(struct walk *walk)
{
    for (;;) {
        int status = walk->open || walk->folders_count > 0 ? 1 : take_folders(walk);
        if (status <= 0) {
            return status < 0 ? status : send_files(walk);
        }
        status = walk->files ? 0 : send_files(walk);
        if (status == 0) {
            status = skua_blocking(list_folders, walk, SKUA_FOREVER);
        }
        if (status == 0 && walk->open) {
            status = send_files(walk); /* the call ended because the batch was full */
        }
        if (status == 0) {
            status = share_folders(walk);
        }
        if (status < 0) {
            return status;
        }
    }
}

int walk_folders(void *arg)
{
    struct walker *self = arg;
    struct walk walk = {.line = self->line, .errors = &self->errors};
    int status = walk_on(&walk);
    if (walk.open) {
        close_folder(&walk);
    }
    while (walk.folders_count > 0) {
        free(walk.folders[--walk.folders_count]);
    }
    free(walk.folders);
    free(walk.files);
    return status < 0 ? pipeline_fail(self->line, status) : 0;
}
