/* net/name_call.h: the calls of libc and the kernel that names need, as results instead of errno.
   They are functions of a file of their own, which no compiler looks into: see io/call.h. */
#ifndef SKUA_NET_NAME_CALL_H
#define SKUA_NET_NAME_CALL_H

#include <skua/resolve.h>

/* getaddrinfo(3), which blocks: writes up to `capacity` addresses; returns their number, or what
   skua_resolve() says. */
int skua__name_lookup(const skua_question *question, skua_address addresses[], size_t capacity);

/* The number of a network interface, 0 if there is none of this name. */
uint32_t skua__name_interface(const char *name);

/* What tells one version of a file from another. */
struct skua__file_version {
    int64_t changed_ns, bytes;
    uint64_t inode;
};

/* 0, or why the file cannot be looked at. */
int skua__name_file_version(const char *path, struct skua__file_version *out);

/* The whole file, with a zero behind it, to be given to skua__free(); *bytes without that. Returns
   0, -ENOMEM, -EFBIG, and what open and read say. */
int skua__name_file_read(const char *path, char **text, size_t *bytes);

#endif
