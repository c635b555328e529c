/* run.c: all files of the directory, some at a time. */
#include "thumbs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_MODE = 0777, TASKS_PER_PROCESS = 2 };

static int by_name(const void *a, const void *b)
{
    const struct file *one = a;
    const struct file *other = b;
    return strcmp(one->name, other->name);
}

static int list_into(struct run *run, skua_dir *list)
{
    skua_dir_entry entry;
    int status;
    while ((status = skua_dir_next(list, &entry, SKUA_FOREVER)) == 1) {
        if (!S_ISREG(entry.type)) {
            continue;
        }
        struct file file = {.run = run, .name = strdup(entry.name)};
        status = file.name != NULL ? skua_vec_add(&run->files, &file, sizeof file) : -ENOMEM;
        if (status < 0) {
            free(file.name);
            break;
        }
    }
    return status;
}

/* The files of the directory, in the order of their names. */
static int list_files(struct run *run)
{
    skua_dir *list;
    int status = skua_dir_open(&list, run->from, ".", SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    status = list_into(run, list);
    skua_dir_close(list);
    if (run->files.count > 0) {
        qsort(run->files.items, run->files.count, sizeof(struct file), by_name);
    }
    return status;
}

struct file *file_at(const struct run *run, size_t index)
{
    return (struct file *)run->files.items + index;
}

void free_files(struct run *run)
{
    for (size_t i = 0; i < run->files.count; i++) {
        free(file_at(run, i)->name);
        free(file_at(run, i)->message);
    }
    skua_vec_free(&run->files);
}

static int start_files(struct run *run, skua_group *group)
{
    const size_t limit = (size_t)TASKS_PER_PROCESS * run->settings.processes;
    int status = 0;
    for (size_t i = 0; i < run->files.count && status == 0; i++) {
        status = skua_group_room(group, limit, SKUA_FOREVER);
        status = status < 0 ? status : skua_group_spawn(group, make_thumbnail, file_at(run, i));
    }
    return status;
}

static int make_all(struct run *run)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    return skua_group_close(&group, start_files(run, &group));
}

static int make_watched(struct run *run)
{
    SKUA_GROUP(watchers);
    skua_group_open(&watchers, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = skua_group_spawn(&watchers, show_progress, run);
    status = status < 0 ? status : make_all(run);
    skua_event_set(&run->ended);
    return skua_group_close(&watchers, status);
}

/* Tell what it is about, and return the status. */
static int give_up(const char *what, int status)
{
    if (status != -ECANCELED) {
        fprintf(stderr, "thumbs: %s: %s\n", what, skua_error_text(status));
    }
    return status;
}

static int open_directory(const char *path)
{
    return skua_open(path, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
}

static int make_in_pool(struct run *run)
{
    const struct settings *settings = &run->settings;
    int status = list_files(run);
    if (status < 0) {
        return give_up(settings->from, status);
    }
    status = start_processes(run);
    if (status < 0) {
        return give_up("worker processes", status);
    }
    skua_sem_init(&run->free_processes, settings->processes);
    status = make_watched(run);
    skua_pool_destroy(run->pool);
    return status == -ECANCELED ? status : 0;
}

int make_thumbnails(void *arg)
{
    struct run *run = arg;
    const struct settings *settings = &run->settings;
    run->from = open_directory(settings->from);
    if (run->from < 0) {
        return give_up(settings->from, run->from);
    }
    int status = skua_mkdir_all(SKUA_CWD, settings->to, USUAL_MODE, SKUA_FOREVER);
    status = run->to = status < 0 ? status : open_directory(settings->to);
    if (status < 0) {
        skua_close(run->from);
        return give_up(settings->to, status);
    }
    status = make_in_pool(run);
    skua_close(run->from);
    skua_close(run->to);
    return status;
}
