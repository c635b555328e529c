/* Removing a tree.

   Steps on the pool, of NAMES_MAX names each; between two of them a cancel or the deadline ends it.
   Directories stand on a stack of nodes (tree.h), the latest on top. Whoever is on top is

       new        opened and listed: what is no directory is unlinked, directories are pushed
       emptied    removed, by its name in the one above it, which is opened for that

   (R1) Nothing is named by a path that may lead through a symbolic link: directories are opened
        below the root name by name (skua__node_open), and names are removed in a directory that is
        open. So what is removed was in the tree at that moment, whoever renames things meanwhile.
   (R2) An emptied directory that is not empty is listed again, as long as something can be removed
        from it: others may have added something, and some file systems skip entries while others
        go.
   (R3) The first failure is kept; the rest is removed all the same. What is gone already is no
        failure. */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "file/call.h"
#include "file/list.h"
#include "file/tree.h"
#include "file/work.h"

#include <fcntl.h>
#include <string.h>

enum { NAMES_MAX = 1000, IS_MORE = 1 };

struct removal {
    int dir;
    const char *path;
    int root; /* fd; -1: not begun */
    struct skua__node *stack;
    struct skua__node *listed; /* the directory that is being emptied; what was in it lies on top */
    struct skua__listing listing;
    struct skua__text text;
    int failure;     /* the first */
    uint32_t budget; /* names that this step may still deal with */
};

/* (R3) */
static void note(struct removal *removal, int status)
{
    if (status < 0 && status != -ENOENT && removal->failure == 0) {
        removal->failure = status;
    }
}

static void pop(struct removal *removal)
{
    struct skua__node *node = removal->stack;
    removal->stack = node->next;
    skua__free(node);
}

static void push(struct removal *removal, struct skua__node *parent, const char *name)
{
    struct skua__node *node = skua__node_make(parent, name);
    if (node == NULL) {
        note(removal, -ENOMEM);
        return;
    }
    node->next = removal->stack;
    removal->stack = node;
}

static void spend(struct removal *removal)
{
    removal->budget -= removal->budget > 0;
}

/* --- emptying --------------------------------------------------------------------------------- */

static void begin_listing(struct removal *removal, struct skua__node *node)
{
    int fd = skua__node_open(node, removal->root, O_RDONLY, false, &removal->text);
    spend(removal);
    if (fd < 0) {
        bool is_other = fd == -ENOTDIR || fd == -ELOOP; /* by now: not ours to remove */
        note(removal, is_other ? 0 : fd);
        node->is_done = true; /* it may be empty all the same */
        return;
    }
    node->count = 0; /* names that were removed from it */
    removal->listing.fd = fd;
    removal->listed = node;
}

static void remove_entry(struct removal *removal, const struct skua__list_entry *entry)
{
    bool is_directory = S_ISDIR(entry->type);
    spend(removal);
    if (!is_directory) {
        int status = skua__file_call_unlink(removal->listing.fd, entry->name, 0);
        removal->listed->count += status == 0;
        is_directory = status == -EISDIR; /* by now */
        note(removal, is_directory ? 0 : status);
    }
    if (is_directory) {
        push(removal, removal->listed, entry->name);
    }
}

static void go_on_listing(struct removal *removal)
{
    struct skua__listing *listing = &removal->listing;
    struct skua__list_entry entry;
    while (skua__listing_next(listing, &entry)) {
        remove_entry(removal, &entry);
        if (removal->budget == 0) {
            return;
        }
    }
    const bool is_through = listing->has_ended;
    int status = is_through ? 0 : skua__listing_fill(listing);
    note(removal, status);
    if (status < 0 || is_through) {
        removal->listed->is_done = true;
        removal->listed = NULL;
        skua__listing_shut(listing);
    }
}

/* --- removing --------------------------------------------------------------------------------- */

/* The directory on top, which was emptied. */
static void remove_directory(struct removal *removal, struct skua__node *node)
{
    int above = removal->dir;
    const char *name = removal->path;
    spend(removal);
    if (node->parent != NULL) {
        name = node->name;
        above = skua__node_open(node->parent, removal->root, O_PATH, false, &removal->text);
    }
    int status =
        above < 0 && above != SKUA_CWD ? above : skua__file_call_unlink(above, name, AT_REMOVEDIR);
    if (node->parent != NULL && above >= 0) {
        skua__file_call_shut(above);
    }
    if (status == -ENOTEMPTY && node->count > 0) {
        node->is_done = false; /* (R2) */
        return;
    }
    if (status == 0 && node->parent != NULL) {
        node->parent->count++;
    }
    note(removal, status == -ENOTDIR ? 0 : status);
    pop(removal);
}

/* What was given goes at once, if it is no directory. 0: it is one, and stands on the stack. */
static int begin(struct removal *removal)
{
    const char *slash = strrchr(removal->path, '/');
    const char *name = slash != NULL ? slash + 1 : removal->path;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return -EINVAL;
    }
    int status = skua__file_call_unlink(removal->dir, removal->path, 0);
    if (status != -EISDIR) {
        return status;
    }
    const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
    removal->root = skua__file_call_open_in(removal->dir, removal->path, flags, 0);
    if (removal->root < 0) {
        return removal->root;
    }
    push(removal, NULL, "");
    return removal->failure;
}

static ssize_t remove_step(void *arg)
{
    struct removal *removal = arg;
    removal->budget = NAMES_MAX;
    if (removal->root < 0) {
        int status = begin(removal);
        if (status < 0 || removal->root < 0) {
            return status;
        }
    }
    while (removal->stack != NULL && removal->budget > 0) {
        if (removal->listed != NULL) {
            go_on_listing(removal);
        } else if (removal->stack->is_done) {
            remove_directory(removal, removal->stack);
        } else {
            begin_listing(removal, removal->stack);
        }
    }
    return removal->stack != NULL ? IS_MORE : removal->failure;
}

int skua_remove_tree(int dir, const char *path, skua_time deadline)
{
    struct removal *removal = skua__alloc(sizeof *removal);
    if (removal == NULL) {
        return -ENOMEM;
    }
    removal->dir = dir;
    removal->path = path;
    removal->root = removal->listing.fd = -1;
    const struct skua__work work = {
        .whole = remove_step,
        .arg = removal,
        .file = SKUA_CWD,
        .dir = dir,
        .new_dir = SKUA_CWD,
    };
    int status = IS_MORE;
    while (status == IS_MORE) {
        status = (int)skua__work_do(&work, deadline);
    }
    skua__listing_shut(&removal->listing);
    while (removal->stack != NULL) {
        pop(removal);
    }
    if (removal->root >= 0) {
        skua__file_call_shut(removal->root);
    }
    skua__text_free(&removal->text);
    skua__free(removal);
    return status;
}
