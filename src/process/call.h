/* process/call.h: the system calls of this room, as results instead of errno; see io/call.h. */
#ifndef SKUA_PROCESS_CALL_H
#define SKUA_PROCESS_CALL_H

#include <stdint.h>
#include <sys/types.h>

/* Close-on-exec, with numbers > 2. Both or none. */
int skua__call_lifted_pipe(int ends[2]);

/* A terminal of that size: what the program has (0) and what the process gets (1). */
int skua__call_terminal(int ends[2], uint16_t rows, uint16_t columns);
int skua__call_resize(int fd, uint16_t rows, uint16_t columns);

/* An eventfd, close-on-exec, non-blocking, with a number > 2. */
int skua__call_bell(void);

/* Make it readable. Call from anywhere, also from handlers of signals. */
void skua__call_ring(int bell);

/* write(2), but never with SIGPIPE, and never -EINTR. */
ssize_t skua__call_write_quietly(int fd, const void *buffer, size_t bytes);

#endif
