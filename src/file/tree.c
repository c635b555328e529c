/* Nodes of trees: tree.h has what they are. Paths may be longer than the kernel takes at once; such
   a one is opened in parts. */
#define _GNU_SOURCE 1
#include "file/tree.h"

#include "base/mem.h"
#include "file/call.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

enum { ROOM_MIN = 256 };

struct skua__node *skua__node_make(struct skua__node *parent, const char *name)
{
    size_t bytes = strlen(name);
    struct skua__node *node = skua__alloc(sizeof *node + bytes + 1);
    if (node == NULL) {
        return NULL;
    }
    node->parent = parent;
    if (parent != NULL) {
        node->depth = parent->depth + 1;
        node->path_bytes = parent->path_bytes + (parent->path_bytes > 0) + bytes;
    }
    memcpy(node->name, name, bytes + 1);
    return node;
}

/* --- paths ------------------------------------------------------------------------------------ */

void skua__text_free(struct skua__text *text)
{
    skua__free(text->bytes);
    *text = (struct skua__text){0};
}

/* What was in it is lost. */
static int reserve(struct skua__text *text, size_t bytes)
{
    if (bytes <= text->room) {
        return 0;
    }
    size_t room = bytes < ROOM_MIN ? ROOM_MIN : bytes * 2;
    skua__text_free(text);
    text->bytes = skua__alloc_dirty(room);
    text->room = text->bytes != NULL ? room : 0;
    return text->bytes != NULL ? 0 : -ENOMEM;
}

/* The node's path from the root, in exactly its path_bytes. Written from its end. */
static void write_path(const struct skua__node *node, char *out)
{
    for (; node->parent != NULL; node = node->parent) {
        size_t bytes = strlen(node->name);
        memcpy(out + node->path_bytes - bytes, node->name, bytes);
        if (node->path_bytes > bytes) {
            out[node->path_bytes - bytes - 1] = '/';
        }
    }
}

static char *add(char *at, const char *part, size_t bytes)
{
    memcpy(at, part, bytes);
    return at + bytes;
}

int skua__node_path(const struct skua__node *node, const char *head, const char *name,
                    struct skua__text *text)
{
    size_t head_bytes = strlen(head), name_bytes = name != NULL ? strlen(name) : 0;
    if (reserve(text, head_bytes + node->path_bytes + name_bytes + 3) < 0) {
        return -ENOMEM;
    }
    char *at = add(text->bytes, head, head_bytes);
    bool needs_slash = head_bytes > 0 && head[head_bytes - 1] != '/';
    if (node->path_bytes > 0) {
        at = add(at, "/", needs_slash);
        write_path(node, at);
        at += node->path_bytes;
        needs_slash = true;
    }
    if (name_bytes > 0) {
        at = add(at, "/", needs_slash);
        at = add(at, name, name_bytes);
    }
    *at = '\0';
    return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int open_part(int at, const char *path, int flags, bool follows_links)
{
    return follows_links ? skua__file_call_open_in(at, path, flags, 0)
                         : skua__file_call_open_beneath(at, path, flags);
}

int skua__node_open(const struct skua__node *node, int root, int flags, bool follows_links,
                    struct skua__text *text)
{
    if (node->parent == NULL) {
        return skua__file_call_open_in(root, ".", flags | O_DIRECTORY, 0);
    }
    if (skua__node_path(node, "", NULL, text) < 0) {
        return -ENOMEM;
    }
    int at = root;
    char *path = text->bytes, *end = text->bytes + node->path_bytes;
    while (end - path >= PATH_MAX && at >= 0) {
        char *slash = memrchr(path, '/', PATH_MAX - 1);
        *slash = '\0';
        int next = open_part(at, path, O_PATH | O_DIRECTORY, follows_links);
        if (at != root) {
            skua__file_call_shut(at);
        }
        at = next;
        path = slash + 1;
    }
    int fd = at < 0 ? at : open_part(at, path, flags | O_DIRECTORY, follows_links);
    if (at != root && at >= 0) {
        skua__file_call_shut(at);
    }
    return fd;
}
