/* copy.c: the work. A walk goes through the tree, makes directories and links as it meets them, and
   hands each file to a task; when all files are copied the directories get their permissions and
   times, the deepest first, since a directory may be one that cannot be written to.

   At most `jobs` copies run at a time: the walk waits for room before it starts another one. */
#include "copytree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { WALKERS_MAX = 4, USUAL_MODE = 0777, OPEN_MODE = 0700, PERMISSIONS = 07777 };

struct folder {
    char *path; /* below FROM, and below TO */
    skua_file_info info;
};

struct file {
    struct job *job;
    uint64_t copied; /* of it, so far */
    char path[];     /* of the file, below FROM */
};

/* The path below FROM, which the walk calls ".". */
static const char *below(const skua_walk_entry *entry)
{
    const char *path = entry->path + strlen(".");
    return *path == '/' ? path + 1 : ".";
}

static void count_bytes(uint64_t copied, void *arg)
{
    struct file *file = arg;
    file->job->bytes += copied - file->copied;
    file->copied = copied;
}

/* A task: one file. */
static int copy_file(void *arg)
{
    struct file *file = arg;
    struct job *job = file->job;
    const skua_file_copy_opts opts = {
        .is_durable = job->settings.is_durable,
        .is_exclusive = job->settings.is_exclusive,
        .keeps_times = job->settings.keeps_times,
        .on_progress = count_bytes,
        .arg = file,
    };
    int status = skua_file_copy(job->from, file->path, job->to, file->path, &opts, SKUA_FOREVER);
    if (status == -EEXIST && job->settings.is_exclusive) {
        status = 0; /* left alone, as was asked */
    }
    if (status < 0 && status != -ECANCELED) {
        note_failure(job, file->path, "cannot copy", status);
    }
    job->done += status == 0;
    free(file);
    return status == -ECANCELED ? status : 0;
}

static int start_copy(struct job *job, const char *path)
{
    size_t bytes = strlen(path) + 1;
    job->found++;
    int status = skua_group_room(&job->copies, job->settings.jobs, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    struct file *file = malloc(sizeof *file + bytes);
    if (file == NULL) {
        return -ENOMEM;
    }
    file->job = job;
    file->copied = 0;
    memcpy(file->path, path, bytes);
    status = skua_group_spawn(&job->copies, copy_file, file);
    if (status < 0) {
        free(file);
    }
    return status;
}

static int copy_link(struct job *job, const char *path)
{
    char target[PATH_MAX];
    ssize_t status = skua_readlink(job->from, path, target, sizeof target, SKUA_FOREVER);
    if (status >= 0) {
        status = skua_symlink(target, job->to, path, SKUA_FOREVER);
    }
    if (status == -EEXIST && !job->settings.is_exclusive) {
        status = skua_unlink(job->to, path, SKUA_FOREVER);
        status = status < 0 ? status : skua_symlink(target, job->to, path, SKUA_FOREVER);
    }
    if (status == 0 && job->settings.keeps_times) {
        skua_file_info info;
        status = skua_stat(job->from, path, SKUA_NO_FOLLOW, &info, SKUA_FOREVER);
        status = status < 0 ? status
                            : skua_utimes(job->to, path, SKUA_NO_FOLLOW, info.accessed_ns,
                                          info.modified_ns, SKUA_FOREVER);
    }
    job->links += status == 0;
    return status == -EEXIST ? 0 : (int)status;
}

static int remember_folder(struct job *job, const char *path, const skua_file_info *info)
{
    struct folder folder = {.path = strdup(path), .info = *info};
    int status = folder.path == NULL ? -ENOMEM : skua_mutex_lock(&job->lock, SKUA_FOREVER);
    if (status == 0) {
        status = skua_vec_add(&job->folders, &folder, sizeof folder);
        skua_mutex_unlock(&job->lock);
    }
    if (status < 0) {
        free(folder.path);
    }
    return status;
}

/* Returns 0, SKUA_WALK_SKIP, or a negative errno. */
static int make_folder(struct job *job, const skua_walk_entry *entry, const char *path)
{
    skua_file_info info;
    int status = skua_stat(entry->dir, entry->name, SKUA_NO_FOLLOW, &info, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    if (info.device == job->to_device && info.inode == job->to_inode) {
        return SKUA_WALK_SKIP; /* the copy does not contain itself */
    }
    status = entry->depth == 0 ? 0 : skua_mkdir(job->to, path, OPEN_MODE, SKUA_FOREVER);
    if (status == -EEXIST) {
        status = skua_mkdir_all(job->to, path, OPEN_MODE, SKUA_FOREVER); /* is it a directory? */
    }
    return status < 0 ? status : remember_folder(job, path, &info);
}

static int visit(const skua_walk_entry *entry, void *arg)
{
    struct job *job = arg;
    const char *path = below(entry);
    int status = entry->error;
    if (status < 0) {
        note_failure(job, path, "cannot read", status);
        return 0;
    }
    switch (entry->type) {
    case S_IFDIR:
        status = make_folder(job, entry, path);
        break;
    case S_IFREG:
        return start_copy(job, path);
    case S_IFLNK:
        status = copy_link(job, path);
        break;
    default:
        note_failure(job, path, "not a file", -EOPNOTSUPP);
        return 0;
    }
    if (status == -ECANCELED || status == -ENOMEM) {
        return status;
    }
    if (status < 0 && status != -ENOENT) {
        note_failure(job, path, "cannot make", status);
        return SKUA_WALK_SKIP;
    }
    return status == -ENOENT ? SKUA_WALK_SKIP : status; /* gone meanwhile */
}

/* The last first: what is inside of a directory stands behind it. */
static void finish_folders(struct job *job)
{
    struct folder *folders = job->folders.items;
    for (size_t i = job->folders.count; i-- > 0;) {
        const skua_file_info *info = &folders[i].info;
        const char *path = folders[i].path;
        int status = 0;
        if (job->settings.keeps_times) {
            status =
                skua_utimes(job->to, path, 0, info->accessed_ns, info->modified_ns, SKUA_FOREVER);
        }
        if (status == 0) {
            status = skua_chmod(job->to, path, info->mode & PERMISSIONS, SKUA_FOREVER);
        }
        if (status < 0 && status != -ECANCELED) {
            note_failure(job, path, "cannot set permissions", status);
        }
        free(folders[i].path);
    }
}

static int open_both(struct job *job)
{
    skua_file_info info = {0};
    job->from = skua_open(job->settings.from, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
    if (job->from < 0) {
        note_failure(job, job->settings.from, "cannot open", job->from);
        return job->from;
    }
    int status = skua_mkdir_all(SKUA_CWD, job->settings.to, USUAL_MODE, SKUA_FOREVER);
    if (status == 0) {
        status = job->to = skua_open(job->settings.to, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
    }
    if (status < 0) {
        note_failure(job, job->settings.to, "cannot make", status);
        skua_close(job->from);
        return status;
    }
    skua_file_info from;
    status = skua_fstat(job->from, &from, SKUA_FOREVER);
    status = status < 0 ? status : skua_fstat(job->to, &info, SKUA_FOREVER);
    if (status == 0 && from.device == info.device && from.inode == info.inode) {
        note_failure(job, job->settings.to, "cannot copy a directory to itself", -EINVAL);
        status = -EINVAL;
    }
    if (status < 0) {
        skua_close(job->from);
        skua_close(job->to);
    }
    job->to_device = info.device;
    job->to_inode = info.inode;
    return status;
}

/* Walk and copy; returns when the last copy has ended. */
static int copy_all(struct job *job)
{
    const uint32_t jobs = job->settings.jobs;
    const skua_walk_opts opts = {
        .tasks_max = jobs < WALKERS_MAX ? jobs : WALKERS_MAX,
        .stays_on_device = job->settings.stays_on_device,
    };
    skua_group_open(&job->copies, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_walk(job->from, ".", visit, job, &opts, SKUA_FOREVER);
    status = skua_group_close(&job->copies, status);
    skua_group_fini(&job->copies);
    return status;
}

int copy_tree(void *arg)
{
    struct job *job = arg;
    SKUA_GROUP(watchers);
    int status = open_both(job);
    if (status < 0) {
        return 0; /* it is in the list */
    }
    skua_group_open(&watchers, SKUA_FAIL_FAST, SKUA_FOREVER);
    status = skua_group_spawn(&watchers, show_progress, job);
    if (status == 0) {
        status = copy_all(job);
    }
    skua_event_set(&job->ended);
    status = skua_group_close(&watchers, status);
    finish_folders(job);
    skua_close(job->from);
    skua_close(job->to);
    return status;
}
