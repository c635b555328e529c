/* Walking a tree.

   Directories that are still to be visited are nodes (tree.h) on a stack, latest first: so the walk
   goes down before it goes on, and the stack holds at most what lies beside the way down. A visitor
   takes a node, opens it, visits its entries, and pushes those that are directories; the caller is
   one, tasks_max - 1 tasks are the others.

   (V1) A node is in the stack, or with one visitor, or done and waits for those below it (`count`:
        so many, and 1 for itself).
   (V2) Whoever brings `count` to 0 visits the directory for the second time and gives it up, and
        then looks at the one above it.
   (V3) The walk is over when the stack is empty and nobody has a node. A visitor waits only while
        somebody has one.
   (V4) The first status that ends the walk is its result; then the group is cancelled, and nodes
        are given up without visits.
   (V5) A result of the file system stays apart from that of a hand-over: only the latter ends the
        walk. So a server that gives up (-ETIMEDOUT) is an error of that entry.

   A cycle is found by the numbers of the directories on the way down; without links there is none.
   */
#include "base/mem.h"
#include "base/panic.h"
#include "file/call.h"
#include "file/list.h"
#include "file/tree.h"
#include "file/work.h"
#include "io/device.h"
#include "sync/mutex.h"

#include <fcntl.h>
#include <skua/group.h>
#include <skua/runtime.h>
#include <skua/sync.h>

struct walk {
    /* Constant. */
    int dir;
    const char *path;
    skua_walk_fn fn;
    void *arg;
    skua_walk_opts opts;
    skua_time deadline;
    int root; /* fd; -1: it is no directory */
    uint64_t device;
    skua_group *group; /* NULL: the caller is alone, and there is nothing to lock */

    /* Under the lock. */
    skua_mutex lock;
    skua_cond changed;
    struct skua__node *stack;
    uint32_t busy; /* visitors with a node */
    int status;
};

/* What one task walks with. */
struct visitor {
    struct walk *walk;
    struct skua__text path;   /* of the entry that is visited */
    struct skua__text opened; /* of the directory to open; used on the pool */
    struct skua__listing listing;
};

static void walk_lock(struct walk *walk)
{
    if (walk->group != NULL) {
        skua__mutex_relock(&walk->lock);
    }
}

static void walk_unlock(struct walk *walk)
{
    if (walk->group != NULL) {
        skua_mutex_unlock(&walk->lock);
    }
}

static struct skua__node *make_node(struct skua__node *parent, const char *name)
{
    struct skua__node *node = skua__node_make(parent, name);
    if (node != NULL) {
        node->count = 1;
    }
    return node;
}

/* --- the stack -------------------------------------------------------------------------------- */

/* With the lock held: the first reason to end counts. */
static void stop(struct walk *walk, int status)
{
    if (walk->status == 0 && status < 0) {
        walk->status = status;
        if (walk->group != NULL) {
            skua_group_cancel(walk->group);
            skua_cond_broadcast(&walk->changed);
        }
    }
}

/* Without the lock; nothing happens if the status is none to end with. */
static void end_with(struct walk *walk, int status)
{
    if (status < 0) {
        walk_lock(walk);
        stop(walk, status);
        walk_unlock(walk);
    }
}

static int status_of(struct walk *walk)
{
    walk_lock(walk);
    int status = walk->status;
    walk_unlock(walk);
    return status;
}

/* The next directory; NULL: the walk is over (V3). */
static struct skua__node *take(struct walk *walk)
{
    struct skua__node *node = NULL;
    walk_lock(walk);
    while (walk->status == 0 && walk->stack == NULL && walk->busy > 0) {
        stop(walk, skua_cond_wait(&walk->changed, &walk->lock, walk->deadline));
    }
    if (walk->status == 0 && walk->stack != NULL) {
        node = walk->stack;
        walk->stack = node->next;
        walk->busy++;
    }
    walk_unlock(walk);
    return node;
}

/* The children of one batch, first on top. */
static void push(struct walk *walk, struct skua__node *first, struct skua__node **end,
                 struct skua__node *parent, uint32_t count)
{
    walk_lock(walk);
    parent->count += count;
    *end = walk->stack;
    walk->stack = first;
    if (walk->group != NULL) {
        skua_cond_broadcast(&walk->changed);
    }
    walk_unlock(walk);
}

/* --- visits ----------------------------------------------------------------------------------- */

/* Returns what fn says; a status < 0 has stopped the walk. */
static int visit(struct walk *walk, const skua_walk_entry *entry)
{
    int status = status_of(walk);
    if (status == 0) {
        status = walk->fn(entry, walk->arg);
    }
    end_with(walk, status);
    return status;
}

/* Opening the directory above a node, so that it can be visited by its name there. */
struct above_call {
    struct visitor *visitor;
    const struct skua__node *node;
    int fd;
};

static ssize_t above_whole(void *arg)
{
    struct above_call *call = arg;
    const struct walk *walk = call->visitor->walk;
    call->fd = skua__node_open(call->node, walk->root, O_PATH, walk->opts.follows_links,
                               &call->visitor->opened);
    return 0; /* (V5) */
}

static int hand_over(struct walk *walk, skua__step whole, void *arg)
{
    const struct skua__work work = {
        .whole = whole,
        .arg = arg,
        .file = SKUA_CWD,
        .dir = SKUA_CWD,
        .new_dir = SKUA_CWD,
    };
    int status = (int)skua__work_do(&work, walk->deadline);
    end_with(walk, status);
    return status;
}

/* Is what was to be opened no directory any more, or not there? A link in its place is passed over
   as well. */
static bool has_vanished(const struct walk *walk, int result)
{
    return result == -ENOENT || result == -ENOTDIR ||
           (result == -ELOOP && !walk->opts.follows_links);
}

/* A directory as such: once more, or with an error. */
static void visit_directory(struct visitor *self, const struct skua__node *node, int error)
{
    struct walk *walk = self->walk;
    struct above_call above = {.visitor = self, .node = node->parent, .fd = walk->dir};
    skua_walk_entry entry = {
        .type = S_IFDIR,
        .depth = node->depth,
        .error = error,
        .is_after = error == 0,
        .dir = walk->dir,
        .name = walk->path,
    };
    if (skua__node_path(node, walk->path, NULL, &self->path) < 0) {
        end_with(walk, -ENOMEM);
        return;
    }
    entry.path = self->path.bytes;
    if (node->parent != NULL) {
        if (hand_over(walk, above_whole, &above) < 0 || has_vanished(walk, above.fd)) {
            return;
        }
        if (above.fd == -ENOMEM) {
            end_with(walk, -ENOMEM);
            return;
        }
        entry.dir = above.fd; /* or why there is none */
        entry.name = node->name;
        entry.error = error == 0 && above.fd < 0 ? above.fd : error;
    }
    (void)!visit(walk, &entry);
    if (node->parent != NULL && above.fd >= 0) {
        skua__file_call_shut(above.fd);
    }
}

/* (V2) */
static void give_up(struct walk *walk, struct visitor *self, struct skua__node *node)
{
    while (node != NULL) {
        walk_lock(walk);
        uint32_t left = --node->count;
        bool is_visited =
            walk->status == 0 && walk->opts.visits_after && !node->is_done; /* could not be read */
        walk_unlock(walk);
        if (left > 0) {
            return;
        }
        struct skua__node *parent = node->parent;
        if (is_visited) {
            visit_directory(self, node, 0);
        }
        skua__free(node);
        node = parent;
    }
}

/* --- one directory ---------------------------------------------------------------------------- */

struct read_call {
    struct visitor *visitor;
    struct skua__node *node;
    int result;
};

static bool is_cycle(const struct skua__node *node)
{
    for (const struct skua__node *above = node->parent; above != NULL; above = above->parent) {
        if (above->device == node->device && above->inode == node->inode) {
            return true;
        }
    }
    return false;
}

/* Open the directory, unless it is not to be entered, and read its first entries. */
static int open_and_fill(struct visitor *self, struct skua__node *node)
{
    const struct walk *walk = self->walk;
    struct skua__listing *listing = &self->listing;
    struct statx status;
    int fd = skua__node_open(node, walk->root, O_RDONLY, walk->opts.follows_links, &self->opened);
    if (fd < 0) {
        return fd;
    }
    listing->fd = fd;
    int result = skua__file_call_status(fd, "", AT_EMPTY_PATH, &status);
    if (result < 0) {
        return result;
    }
    node->device = skua__device_of(&status);
    node->inode = status.stx_ino;
    if (walk->opts.stays_on_device && node->device != walk->device) {
        listing->has_ended = true;
        return 0;
    }
    if (walk->opts.follows_links && is_cycle(node)) {
        return -ELOOP;
    }
    return skua__listing_fill(listing);
}

static ssize_t read_whole(void *arg)
{
    struct read_call *call = arg;
    struct skua__listing *listing = &call->visitor->listing;
    call->result =
        listing->fd < 0 ? open_and_fill(call->visitor, call->node) : skua__listing_fill(listing);
    return 0; /* (V5) */
}

/* The entries that are in the buffer; directories are pushed. */
static void visit_batch(struct visitor *self, struct skua__node *node)
{
    struct walk *walk = self->walk;
    struct skua__node *first = NULL, **end = &first;
    uint32_t count = 0;
    struct skua__list_entry found;
    int status = 0;
    while (status >= 0 && skua__listing_next(&self->listing, &found)) {
        if (found.type == 0) {
            continue; /* gone before its type was known */
        }
        status = skua__node_path(node, walk->path, found.name, &self->path);
        if (status < 0) {
            break;
        }
        const skua_walk_entry entry = {
            .path = self->path.bytes,
            .name = found.name,
            .dir = self->listing.fd,
            .type = found.type,
            .depth = node->depth + 1,
        };
        status = visit(walk, &entry);
        bool is_entered = S_ISDIR(found.type) && status == 0 &&
                          (walk->opts.depth_max == 0 || entry.depth < walk->opts.depth_max);
        if (is_entered && (*end = make_node(node, found.name)) != NULL) {
            end = &(*end)->next;
            count++;
        } else if (is_entered) {
            status = -ENOMEM;
        }
    }
    if (count > 0) {
        push(walk, first, end, node, count);
    }
    end_with(walk, status);
}

static void visit_entries(struct visitor *self, struct skua__node *node)
{
    struct walk *walk = self->walk;
    struct read_call call = {.visitor = self, .node = node};
    do {
        if (hand_over(walk, read_whole, &call) < 0) {
            break;
        }
        if (call.result < 0) {
            node->is_done = true;
            if (call.result == -ENOMEM) {
                end_with(walk, -ENOMEM);
            } else if (self->listing.fd >= 0 || !has_vanished(walk, call.result)) {
                visit_directory(self, node, call.result);
            }
            break;
        }
        visit_batch(self, node);
    } while (!self->listing.has_ended && status_of(walk) == 0);
    skua__listing_shut(&self->listing);
}

static int run_visitor(struct walk *walk)
{
    struct visitor *self = skua__alloc_dirty(sizeof *self);
    if (self == NULL) {
        return -ENOMEM;
    }
    self->walk = walk;
    self->path = self->opened = (struct skua__text){0};
    self->listing.fd = -1;
    self->listing.has_ended = false;
    self->listing.follows_links = walk->opts.follows_links;
    struct skua__node *node = NULL;
    while ((node = take(walk)) != NULL) {
        visit_entries(self, node);
        give_up(walk, self, node);
        walk_lock(walk);
        walk->busy--;
        if (walk->group != NULL && walk->busy == 0) {
            skua_cond_broadcast(&walk->changed);
        }
        walk_unlock(walk);
    }
    skua__text_free(&self->path);
    skua__text_free(&self->opened);
    skua__free(self);
    return 0;
}

/* A further visitor: without memory the others go on. */
static int help(void *arg)
{
    (void)!run_visitor(arg);
    return 0;
}

/* --- the walk --------------------------------------------------------------------------------- */

struct root_call {
    struct walk *walk;
    struct statx status;
};

static ssize_t root_whole(void *arg)
{
    struct root_call *call = arg;
    struct walk *walk = call->walk;
    const bool follows = walk->opts.follows_links;
    int result = skua__file_call_status(walk->dir, walk->path, follows ? 0 : AT_SYMLINK_NOFOLLOW,
                                        &call->status);
    if (result == 0 && S_ISDIR(call->status.stx_mode)) {
        const int flags = O_PATH | O_DIRECTORY | (follows ? 0 : O_NOFOLLOW);
        walk->root = skua__file_call_open_in(walk->dir, walk->path, flags, 0);
        walk->device = skua__device_of(&call->status);
        result = walk->root < 0 ? walk->root : 0;
    }
    return result;
}

/* What the walk was given: visited itself, and put on the stack if it is a directory. */
static int visit_root(struct walk *walk)
{
    struct root_call call = {.walk = walk};
    const struct skua__work work = {
        .whole = root_whole,
        .arg = &call,
        .file = SKUA_CWD,
        .dir = walk->dir,
        .new_dir = SKUA_CWD,
    };
    int status = (int)skua__work_do(&work, walk->deadline);
    if (status < 0) {
        return status;
    }
    const skua_walk_entry entry = {
        .path = walk->path,
        .name = walk->path,
        .dir = walk->dir,
        .type = call.status.stx_mode & S_IFMT,
    };
    status = visit(walk, &entry);
    if (status != 0 || walk->root < 0) {
        return status < 0 ? status : 0;
    }
    walk->stack = make_node(NULL, "");
    return walk->stack != NULL ? 0 : -ENOMEM;
}

/* The caller walks, and so many others. */
static int walk_together(struct walk *walk)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER); /* each wait inside has the deadline */
    walk->group = &group;
    int status = 0;
    for (uint32_t i = 1; i < walk->opts.tasks_max && status == 0; i++) {
        status = skua_group_spawn(&group, help, walk);
    }
    status = run_visitor(walk);
    status = skua_group_close(&group, status);
    walk->group = NULL;
    return status;
}

/* After a walk that was cut off: nodes are given up without visits (V4). */
static void clear(struct walk *walk)
{
    while (walk->stack != NULL) {
        struct skua__node *node = walk->stack;
        walk->stack = node->next;
        give_up(walk, NULL, node);
    }
}

int skua_walk(int dir, const char *path, skua_walk_fn fn, void *arg, const skua_walk_opts *opts,
              skua_time deadline)
{
    struct walk walk = {
        .dir = dir, .path = path, .fn = fn, .arg = arg, .deadline = deadline, .root = -1};
    if (opts != NULL) {
        walk.opts = *opts;
    }
    if (walk.opts.tasks_max > 1 && skua_runtime_current() == NULL) {
        return skua__forked() ? -ESHUTDOWN : -EPERM;
    }
    int status = visit_root(&walk);
    if (status == 0 && walk.stack != NULL) {
        status = walk.opts.tasks_max > 1 ? walk_together(&walk) : run_visitor(&walk);
    }
    walk.status = walk.status == 0 ? status : walk.status;
    clear(&walk);
    if (walk.root >= 0) {
        skua__file_call_shut(walk.root);
    }
    return walk.status;
}
