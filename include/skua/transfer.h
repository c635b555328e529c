/* skua/transfer.h: more ways to move bytes: several buffers at once, flags of sockets, and from one
   file descriptor to another without passing through the program.

   The calls stand beside skua_read() and skua_write() of skua/io.h, and what is said there holds
   here: fds are adopted, every call tries first and waits only when the kernel says EAGAIN, one
   reader and one writer an fd, foreign threads are blocked and may use any fd. Errors are those of
   skua_read() and skua_write(), and what else is said. A broken connection is -EPIPE or
   -ECONNRESET, never SIGPIPE. */
#ifndef SKUA_TRANSFER_H
#define SKUA_TRANSFER_H

#include <skua/base.h>
#include <sys/socket.h>
#include <sys/uio.h>

SKUA_BEGIN_DECLS

/* --- several buffers at once ------------------------------------------------------------------ */

/* readv(2): fills the parts one after the other with what there is, waiting for the first byte.
   Returns the number (0: end of file), or an error of skua_read(). No more than 1024 parts are
   looked at, and of standard input only the first one that is not empty.
   Call from: a task or a foreign thread. May switch. Cancel: no byte is lost. */
ssize_t skua_readv(int fd, const struct iovec *parts, int count, skua_time deadline)
    SKUA_MUST_CHECK;

/* writev(2): at least one byte; on a regular file opened with O_APPEND all parts land together.
   Returns the number, or an error of skua_write(). No more than 1024 parts are looked at, and of
   those for standard output and error only the first one that is not empty.
   Call from: a task or a foreign thread. May switch. */
ssize_t skua_writev(int fd, const struct iovec *parts, int count, skua_time deadline)
    SKUA_MUST_CHECK;

/* Write all parts, of any number. The array stays as it is. *written (may be NULL) tells how much
   went out, also when it fails. Returns 0 or an error of skua_write().
   Call from: a task or a foreign thread. May switch. */
int skua_writev_all(int fd, const struct iovec *parts, int count, size_t *written,
                    skua_time deadline) SKUA_MUST_CHECK;

/* --- sockets ---------------------------------------------------------------------------------- */

/* recv(2) and send(2): a read or write with flags: MSG_PEEK (looks and leaves the bytes there),
   MSG_OOB, MSG_MORE (more is about to follow: a half-filled packet waits for it), MSG_EOR. Those
   that decide about waiting and signals are not the caller's, and MSG_WAITALL, MSG_ERRQUEUE and
   MSG_TRUNC are refused: -EINVAL. Of a datagram or record that is longer than `bytes` the rest is
   lost without a word; skua_recv_from() tells. -ENOTSOCK on what is no socket.
   Call from: a task or a foreign thread. May switch. Cancel: no byte is lost. */
ssize_t skua_recv(int fd, void *buffer, size_t bytes, int flags, skua_time deadline)
    SKUA_MUST_CHECK;
ssize_t skua_send(int fd, const void *buffer, size_t bytes, int flags, skua_time deadline)
    SKUA_MUST_CHECK;

/* Half-close: shutdown(2) with SHUT_WR (the peer reads the end; reading goes on), SHUT_RD or
   SHUT_RDWR. Tasks that wait on the fd in that direction go on and see it. Returns 0, -ENOTCONN
   (the peer was faster), -ENOTSOCK, -EBADF, -EINVAL, -ESHUTDOWN (in a forked child).
   Call from: a task or a foreign thread. Never switches. */
int skua_shutdown(int fd, int how) SKUA_MUST_CHECK;

/* --- from one fd to another ------------------------------------------------------------------- */

/* sendfile(2): up to `bytes` bytes of the file `in` to the stream `out`, waiting until there is
   room. With `offset` they are taken from there and *offset moves on, else from the file's own
   position, which moves on. Returns the number (> 0), 0 at the end of the file, or an error of
   either side. One call moves 256 KiB at most. What the page cache does not have is brought there
   by the blocking pool first (SKUA_NOW: -EAGAIN), so the worker does not wait for a disk.
   Call from: a task or a foreign thread. May switch. Cancel: what has gone out is counted. */
ssize_t skua_sendfile(int out, int in, off_t *offset, size_t bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* splice(2): up to `bytes` bytes from `in` to `out`, of which one is a pipe and neither a file on a
   disk (-EINVAL), without copying them. Waits for either side. Returns the number (> 0), 0 at the
   end of `in`, or an error of either side.
   Call from: a task or a foreign thread. May switch. Cancel: no byte is lost. */
ssize_t skua_splice(int out, int in, size_t bytes, skua_time deadline) SKUA_MUST_CHECK;

/* How to copy. Zero everywhere is the default, and so is NULL. */
typedef struct skua_copy_opts {
    uint64_t bytes;  /* stop after so many; 0: at the end of `in` */
    bool half_close; /* when `in` has ended: skua_shutdown(out, SHUT_WR) */
    /* Called in the calling task with what has reached `out` so far, each time that it is more: to
       show it, or to put off the deadline of a scope around (skua_scope_deadline()), so that only
       silence ends the copy. NULL: nobody asks. */
    void (*on_progress)(uint64_t copied, void *arg);
    void *arg; /* for on_progress */
} skua_copy_opts;

/* Move bytes from `in` to `out` until `in` has ended, in the way that suits the two: sendfile from
   a file, splice where one is a pipe or while sockets carry a lot, else reads and writes. This is
   one direction of a proxy; two tasks make both. *copied (may be NULL) tells how many bytes have
   reached `out`, also when it fails. With opts->bytes an earlier end is a success: compare *copied.
   Returns 0, or an error of either side. -EAGAIN with SKUA_NOW as soon as one side would wait.
   Call from: a task or a foreign thread. May switch. Cancel: what was taken from `in` and has not
   reached `out` is lost, so both are of no use but to be closed.
   Cost: from a file or a pipe none; between sockets a buffer of 16 KiB, and while they carry a lot
   a pipe (two fds, done without if there are none); else a buffer of 64 KiB. */
int skua_copy(int out, int in, uint64_t *copied, const skua_copy_opts *opts, skua_time deadline)
    SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
