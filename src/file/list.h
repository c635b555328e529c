/* file/list.h: the entries of one directory, a batch at a time.

   A list is opened and filled on the pool, and read by the task: a directory of some hundred
   entries costs one hand-over for all of it. */
#ifndef SKUA_FILE_LIST_H
#define SKUA_FILE_LIST_H

#include <skua/dir.h>

enum { SKUA__LIST_BYTES = 32 * 1024 };

struct skua__list_entry {
    const char *name;
    mode_t type; /* S_IFDIR and so on */
    uint64_t inode;
};

struct skua__listing {
    int fd;             /* -1: not open */
    bool follows_links; /* a link is of the type that it leads to */
    bool has_ended;     /* what is in the buffer is the last */
    size_t at, bytes;   /* read and filled, of the buffer */
    _Alignas(uint64_t) char buffer[SKUA__LIST_BYTES];
};

/* On the pool: the next batch. 0 or a negative errno. Types that the file system does not tell are
   asked for. */
int skua__listing_fill(struct skua__listing *listing);

/* The next entry of the batch, but for "." and ".."; false: there is none. */
bool skua__listing_next(struct skua__listing *listing, struct skua__list_entry *out);

/* Ready to be opened anew. */
void skua__listing_shut(struct skua__listing *listing);

#endif
