/* skua/dir.h: directories: listing one, walking a tree, making and removing trees. Directories
   (`dir` and `path`), common results and threads are as in skua/file.h says. */
#ifndef SKUA_DIR_H
#define SKUA_DIR_H

#include <skua/base.h>
#include <sys/stat.h>

SKUA_BEGIN_DECLS

/* --- one directory --- */

typedef struct skua_dir skua_dir;

typedef struct skua_dir_entry {
    const char *name; /* any bytes but '/' and zero; until the next call */
    mode_t type;      /* S_IFREG, S_IFDIR, S_IFLNK, ...: S_ISDIR(entry.type) */
    uint64_t inode;
} skua_dir_entry;

/* Open a directory to list it. Returns 0, -ENOTDIR, or a common result.
   Call from: a task or a foreign thread. May switch. Owns: nothing of yours. Cost: a hand-over,
   which also brings the first entries. */
int skua_dir_open(skua_dir **out, int dir, const char *path, skua_time deadline) SKUA_MUST_CHECK;

/* The next entry, without "." and "..", in the order of the file system. Entries that come or go
   meanwhile may be listed or not; others are listed once. Returns 1, 0 (no more), or a common
   result. By one task at a time.
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing. Cost: a hand-over for
   several hundred entries. */
int skua_dir_next(skua_dir *list, skua_dir_entry *entry, skua_time deadline) SKUA_MUST_CHECK;

/* Its fd, a `dir` for what the entries are asked with. It is closed with the list.
   Call from: a task or a foreign thread. Never switches. */
int skua_dir_fd(const skua_dir *list) SKUA_MUST_CHECK;

/* Close it, and its fd. NULL is allowed. Call from: a task or a foreign thread. Never switches. */
void skua_dir_close(skua_dir *list);

/* Make a directory. Returns 0, -EEXIST, or a common result.
   Call from: a task or a foreign thread. May switch. Cancel: nothing was done. */
int skua_mkdir(int dir, const char *path, mode_t mode, skua_time deadline) SKUA_MUST_CHECK;

/* And those above it that are missing. Returns 0, also if it was there, -ENOTDIR, -EEXIST (there is
   something else of that name), or a common result; then some of those above may be there.
   Call from: a task or a foreign thread. May switch. */
int skua_mkdir_all(int dir, const char *path, mode_t mode, skua_time deadline) SKUA_MUST_CHECK;

/* Remove an empty directory. Returns 0, -ENOTEMPTY, or a common result.
   Call from: a task or a foreign thread. May switch. Cancel: nothing was done. */
int skua_rmdir(int dir, const char *path, skua_time deadline) SKUA_MUST_CHECK;

/* --- trees --- */

typedef struct skua_walk_entry {
    const char *path; /* as given to skua_walk(), and on from there */
    const char *name; /* its last part, which `dir` knows, however long the path is */
    int dir;          /* of the directory that it is in, open during the call */
    mode_t type;      /* S_IFREG, S_IFDIR, ...; what a link that is followed leads to */
    uint32_t depth;   /* 0: what skua_walk() was given */
    int error;        /* 0; else why this entry, or what is in it, cannot be read (< 0) */
    bool is_after;    /* a directory, once more: all that is in it was visited */
} skua_walk_entry;

/* Visit one. Returns 0: go on; SKUA_WALK_SKIP: not into this directory; < 0: stop the walk. What
   the entry points to is valid during the call. May switch, and do all that tasks do. */
typedef int (*skua_walk_fn)(const skua_walk_entry *entry, void *arg);
enum { SKUA_WALK_SKIP = 1 };

/* How to walk. Zero everywhere is the default, and so is NULL. */
typedef struct skua_walk_opts {
    uint32_t tasks_max;   /* so many directories are read and visited at once; 0: 1 */
    uint32_t depth_max;   /* 0: no limit; 1: only what is in the directory itself */
    bool visits_after;    /* directories are visited a second time (is_after) */
    bool follows_links;   /* links are what they lead to; cycles are errors (-ELOOP) */
    bool stays_on_device; /* directories of other file systems are not entered */
} skua_walk_opts;

/* Visit what `path` names, and if that is a directory all that is in it, depth first: the entries
   of a directory one after the other, then what is in the first of them that is a directory, all of
   it, then the second. With several tasks different directories are visited at the same time; fn is
   then called by several tasks, never at once for one directory.

   What cannot be read is no reason to end: it is visited with its `error`, a directory thus a
   second time, and the walk goes on. What vanishes while the walk comes to it is passed over. What
   is added or moved meanwhile may be visited or not; no change makes the walk endless or leads it
   out of the tree, unless links are followed.

   Returns 0, what fn returned (< 0), -ENOENT if there is nothing of that name, -ETIMEDOUT,
   -ECANCELED, -ENOMEM; no call of fn goes on then.
   Call from: a task; with tasks_max <= 1 a foreign thread too. May switch. Cost: a hand-over for
   each directory. */
int skua_walk(int dir, const char *path, skua_walk_fn fn, void *arg, const skua_walk_opts *opts,
              skua_time deadline) SKUA_MUST_CHECK;

/* Remove what `path` names, and if that is a directory all that is in it; symbolic links are
   removed and never followed, whoever changes the tree meanwhile. What cannot be removed is passed
   over, and the first reason is the result. Returns 0, -ENOENT if there is nothing of that name,
   -ETIMEDOUT or -ECANCELED (some of it is gone then), or a common result. Call from: a task or a
   foreign thread. May switch. Cost: a hand-over for some hundred names. */
int skua_remove_tree(int dir, const char *path, skua_time deadline) SKUA_MUST_CHECK;

/* Make a directory of a new name, `prefix` and then 12 random letters, for yourself only (0700);
   the path relative to `dir` goes to `path`. Returns 0, -ENAMETOOLONG (`path_bytes` are not
   enough), or a common result. skua_remove_tree() takes it away: a job for skua_defer()
   (skua/scope.h). Call from: a task or a foreign thread. May switch. Cancel: there is none. */
int skua_temp_dir(int dir, const char *prefix, char *path, size_t path_bytes, skua_time deadline)
    SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
