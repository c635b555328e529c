/* copytree.h: what the parts of copytree share. */
#ifndef COPYTREE_H
#define COPYTREE_H

#include <skua/skua.h>

enum { ERRORS_MAX = 1000 }; /* so many are listed; the others are counted */

struct settings {
    const char *from, *to;
    uint32_t jobs; /* files that are copied at the same time */
    bool keeps_times, is_durable, is_exclusive, stays_on_device, is_quiet;
};

/* One thing that could not be copied. */
struct failure {
    char *path;
    const char *what;
    int status;
};

struct job {
    struct settings settings;
    int from, to; /* fds of the two directories */
    uint64_t to_device, to_inode;
    skua_group copies;
    skua_vec folders; /* of struct folder: their permissions are set last */

    skua_mutex lock; /* of what follows */
    struct failure failures[ERRORS_MAX];
    size_t failure_count;

    _Atomic uint64_t found, done, links, bytes; /* files found and done; bytes copied */
    skua_event ended;
};

/* The first task; arg is a struct job with its settings. Returns 0, also with failures. */
int copy_tree(void *arg);

/* Note that `path` could not be copied, and why. */
void note_failure(struct job *job, const char *path, const char *what, int status);
void print_failures(const struct job *job);
void free_failures(struct job *job);

/* The task that shows on a terminal how far it is, until job->ended is set. */
int show_progress(void *arg);

#endif
