/* Directories, entry by entry.

   The kernel gives entries in records of its own (getdents64). A batch is as many as go into the
   buffer; the call that finds no more belongs to the batch that it ends, so that a small directory
   is one visit to the pool.

   readdir(3) is not used: its buffer cannot be filled on one thread and read on another without a
   lock, and its errors come in errno. */
#include "file/list.h"
#include "base/mem.h"
#include "file/call.h"
#include "file/work.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* What getdents64(2) writes. */
struct record {
    uint64_t inode;
    int64_t offset;
    unsigned short bytes; /* of the record */
    unsigned char type;
    char name[];
};

enum {
    RECORD_BYTES_MAX = sizeof(struct record) + NAME_MAX + 1 + sizeof(uint64_t),
    TYPE_SHIFT = 12
};

/* --- batches ---------------------------------------------------------------------------------- */

static struct record *record_at(struct skua__listing *listing, size_t at)
{
    return (struct record *)(void *)(listing->buffer + at);
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* A link that leads nowhere stays a link; what is gone is of no type, and passed over later. */
static void find_type(const struct skua__listing *listing, struct record *record)
{
    struct statx status;
    bool is_link = record->type == DT_LNK;
    if ((record->type != DT_UNKNOWN && !(is_link && listing->follows_links)) ||
        is_dots(record->name)) {
        return;
    }
    int flags = listing->follows_links ? 0 : AT_SYMLINK_NOFOLLOW;
    int result = skua__file_call_status(listing->fd, record->name, flags, &status);
    if (result < 0 && flags == 0) {
        result = skua__file_call_status(listing->fd, record->name, AT_SYMLINK_NOFOLLOW, &status);
    }
    if (result == 0) {
        record->type = (unsigned char)((status.stx_mode & S_IFMT) >> TYPE_SHIFT);
    }
}

int skua__listing_fill(struct skua__listing *listing)
{
    listing->at = listing->bytes = 0;
    while (!listing->has_ended && sizeof listing->buffer - listing->bytes >= RECORD_BYTES_MAX) {
        ssize_t got = skua__file_call_entries(listing->fd, listing->buffer + listing->bytes,
                                              sizeof listing->buffer - listing->bytes);
        if (got == -ENOENT) {
            got = 0; /* the directory itself was removed */
        }
        if (got < 0) {
            return listing->bytes > 0 ? 0 : (int)got; /* it will be said by the next batch */
        }
        listing->has_ended = got == 0;
        listing->bytes += (size_t)got;
    }
    for (size_t at = 0; at < listing->bytes; at += record_at(listing, at)->bytes) {
        find_type(listing, record_at(listing, at));
    }
    return 0;
}

bool skua__listing_next(struct skua__listing *listing, struct skua__list_entry *out)
{
    while (listing->at < listing->bytes) {
        const struct record *record = record_at(listing, listing->at);
        listing->at += record->bytes;
        if (!is_dots(record->name)) {
            *out = (struct skua__list_entry){
                .name = record->name,
                .type = (mode_t)record->type << TYPE_SHIFT,
                .inode = record->inode,
            };
            return true;
        }
    }
    return false;
}

void skua__listing_shut(struct skua__listing *listing)
{
    if (listing->fd >= 0) {
        skua__file_call_shut(listing->fd);
    }
    listing->fd = -1;
    listing->at = listing->bytes = 0;
    listing->has_ended = false;
}

/* --- lists ------------------------------------------------------------------------------------ */

struct skua_dir {
    struct skua__listing listing;
};

struct open_call {
    struct skua__listing *listing;
    int dir;
    const char *path;
};

static ssize_t open_whole(void *arg)
{
    const struct open_call *call = arg;
    struct skua__listing *listing = call->listing;
    listing->fd = skua__file_call_open_in(call->dir, call->path, O_RDONLY | O_DIRECTORY, 0);
    return listing->fd < 0 ? listing->fd : skua__listing_fill(listing);
}

int skua_dir_open(skua_dir **out, int dir, const char *path, skua_time deadline)
{
    skua_dir *list = skua__alloc(sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    list->listing.fd = -1;
    struct open_call call = {.listing = &list->listing, .dir = dir, .path = path};
    const struct skua__work work = {
        .whole = open_whole,
        .arg = &call,
        .file = SKUA_CWD,
        .dir = dir,
        .new_dir = SKUA_CWD,
    };
    int status = (int)skua__work_do(&work, deadline);
    if (status < 0) {
        skua_dir_close(list);
        return status;
    }
    *out = list;
    return 0;
}

static ssize_t next_in_place(void *arg)
{
    const struct skua__listing *listing = arg;
    return listing->at < listing->bytes || listing->has_ended ? 0 : -EAGAIN;
}

static ssize_t next_whole(void *arg)
{
    struct skua__listing *listing = arg;
    return next_in_place(listing) == 0 ? 0 : skua__listing_fill(listing);
}

int skua_dir_next(skua_dir *list, skua_dir_entry *entry, skua_time deadline)
{
    struct skua__listing *listing = &list->listing;
    const struct skua__work work = {
        .in_place = next_in_place,
        .whole = next_whole,
        .arg = listing,
        .file = SKUA_CWD,
        .dir = SKUA_CWD,
        .new_dir = SKUA_CWD,
    };
    struct skua__list_entry next;
    for (;;) {
        int status = (int)skua__work_do(&work, deadline);
        if (status < 0) {
            return status;
        }
        if (skua__listing_next(listing, &next)) {
            *entry = (skua_dir_entry){.name = next.name, .type = next.type, .inode = next.inode};
            return 1;
        }
        if (listing->has_ended) {
            return 0;
        }
    }
}

int skua_dir_fd(const skua_dir *list)
{
    return list->listing.fd;
}

void skua_dir_close(skua_dir *list)
{
    if (list != NULL) {
        skua__listing_shut(&list->listing);
        skua__free(list);
    }
}
