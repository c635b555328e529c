/* pool/child.h: what a freshly forked process of ours does to become clean. */
#ifndef SKUA_POOL_CHILD_H
#define SKUA_POOL_CHILD_H

#include <stddef.h>

/* Every signal gets its default action; the mask stays. */
void skua__child_reset_signals(void);

/* Take SIGINT, SIGTERM and SIGHUP as not meant for this process, unblock everything. */
void skua__child_ignore_ends(void);

/* Close all fds but the standard ones and fds[0..count), which are all > 2. */
void skua__child_close_others(const int fds[], size_t count);

/* The same file under a number > 2, the old number closed. -1 on failure. */
int skua__child_lift_fd(int fd);

/* Missing standard fds become /dev/null, so that no other file is taken for one of them. */
void skua__child_fill_standard_fds(void);

/* What ps shows. */
void skua__child_set_name(const char *name);

#endif
