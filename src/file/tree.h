/* file/tree.h: the directories of a tree that are still to be dealt with.

   A node is a directory below the root of some operation, known by its name and the node above it.
   It is opened anew when its turn comes, from the root's fd and by its whole path, none of which
   may be a symbolic link (unless links are followed): so a tree costs one fd however deep it is,
   and nobody can lead us out of it by renaming things. */
#ifndef SKUA_FILE_TREE_H
#define SKUA_FILE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct skua__node {
    struct skua__node *parent; /* NULL: the root */
    struct skua__node *next;   /* in a stack */
    uint32_t depth;            /* of the directory; the root's is 0 */
    uint32_t count;            /* for who deals with the tree */
    bool is_done;              /* as well */
    uint64_t device, inode;    /* once it has been opened */
    size_t path_bytes;         /* of the path from the root, without a zero */
    char name[];
};

/* NULL: no memory. A node is freed by skua__free(). */
struct skua__node *skua__node_make(struct skua__node *parent, const char *name);

/* A growing text, for paths. Zeroed: empty. */
struct skua__text {
    char *bytes;
    size_t room;
};
void skua__text_free(struct skua__text *text);

/* `head`, a slash if both are there, and then the path of the node from the root, and then, unless
   it is NULL, a slash and `name`. 0 or -ENOMEM. */
int skua__node_path(const struct skua__node *node, const char *head, const char *name,
                    struct skua__text *text);

/* On the pool: open the directory. Returns the fd, or a negative errno: -ENOENT, -ENOTDIR or -ELOOP
   if it is not there any more, as a directory. */
int skua__node_open(const struct skua__node *node, int root, int flags, bool follows_links,
                    struct skua__text *text);

#endif
