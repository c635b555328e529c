/* net/hosts.h: a file of names like /etc/hosts, kept in memory until it changes. */
#ifndef SKUA_NET_HOSTS_H
#define SKUA_NET_HOSTS_H

#include "net/name_call.h"

struct skua__hosts_entry;

/* Zeroed: nothing is known yet. One user at a time. */
struct skua__hosts {
    struct skua__file_version version;
    char *text;                        /* the file, cut into words; NULL: not read */
    struct skua__hosts_entry *entries; /* by name, then as in the file */
    size_t count;
};

/* The addresses of a name in the family (0: both), in the order of the file; reads the file first
   if it has changed. Writes up to `capacity`, returns how many there are. A file that cannot be
   read has no names; without memory what was known before stays. */
size_t skua__hosts_find(struct skua__hosts *hosts, const char *path, const char *name, int family,
                        skua_address addresses[], size_t capacity);

void skua__hosts_fini(struct skua__hosts *hosts);

/* "127.0.0.1", "::1" or "fe80::1%eth0", port 0. False: it is none of these. */
bool skua__address_read(const char *text, skua_address *out);

#endif
