/* skua/io.h: files, sockets and pipes, as plain blocking calls that suspend only the task.

   A file descriptor that Skua opened or that was adopted is registered once with the poller, in
   edge-triggered mode; every call tries the system call first and waits only when the kernel
   says EAGAIN. Such fds are closed with skua_close(), never with close(2): the next call that is
   given that number again panics. Other (foreign) fds can be waited for with skua_wait_fd(). One
   task may read and another write the same fd at the same time; a second reader (or writer) that
   would have to wait gets -EBUSY.

   All calls but skua_fd_adopt() may be made from a foreign thread too, on any fd: there they block
   that thread, nothing is adopted, and a deadline bounds only the wait for readiness, unless the fd
   is non-blocking. In a task they want an adopted fd (-EBADF), but for skua_wait_fd(). */
#ifndef SKUA_IO_H
#define SKUA_IO_H

#include <skua/base.h>
#include <sys/socket.h>

SKUA_BEGIN_DECLS

/* Events for skua_wait_fd(). */
enum { SKUA_READABLE = 1, SKUA_WRITABLE = 2 };

/* open(2) with O_CLOEXEC, done on the blocking pool unless the kernel has all of the path in
   memory. The result is adopted. Returns the fd, or what open says, -ETIMEDOUT, -ECANCELED. A fifo
   opens without waiting for its other end (O_NONBLOCK).
   Call from: a task or a foreign thread. May switch. Cancel: an fd that was opened too late is
   closed. */
int skua_open(const char *path, int flags, mode_t mode, skua_time deadline) SKUA_MUST_CHECK;

/* Hand a file descriptor to Skua: it is made non-blocking and registered; from now on it is closed
   by skua_close(). Standard input, output and error, which other processes share, stay as they are:
   reads and writes on them wait for readiness, and where the kernel cannot promise that they then
   do not block (terminals), they are done on the blocking pool. Returns 0, -EBADF, -EEXIST (adopted
   already), -EBUSY (a task waits for it in skua_wait_fd), -ENOMEM, -ENOSPC, -EMFILE, -EPERM (on a
   foreign thread), -ESHUTDOWN.
   Call from: a task. Never switches. */
int skua_fd_adopt(int fd) SKUA_MUST_CHECK;

/* Close an adopted fd; tasks that wait on it get -EBADF. If one is in a system call on it just now
   (reading a file, say), the number is closed when that has returned. A number that is not adopted
   panics: it may be somebody else's. On a foreign thread, where nothing is adopted, it is close(2).
   Call from: a task or a foreign thread. Never switches. */
void skua_close(int fd);

/* Wait until fd is readable or writable (`events`: SKUA_READABLE | SKUA_WRITABLE), or has an error
   or hang-up (then all the asked events are reported). Works for adopted and for foreign fds; a
   foreign one is registered for this wait only, since its owner may close it and reuse the number.
   Regular files are always ready. Returns the events (> 0), -ETIMEDOUT, -EAGAIN (SKUA_NOW),
   -ECANCELED, -EBADF, -EBUSY, -EINVAL, -ENOMEM, -ENOSPC.
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing. */
int skua_wait_fd(int fd, int events, skua_time deadline) SKUA_MUST_CHECK;

/* A case for skua_select(): what skua_wait_fd(fd, events) waits for; its result is what that would
   have returned, errors too. A negative fd never fires. One direction of an fd may stand in one
   case only. In tasks only: on a foreign thread the select returns -EPERM. */
extern const struct skua__waitable skua_fd_readiness;
#define SKUA_READY(fd_, events_)                                                                   \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .object = (void *)(uintptr_t)&skua_fd_readiness,               \
        .waitable = &skua_fd_readiness, .fd = (fd_), .events = (events_)                           \
    }

/* read(2): up to `bytes` bytes, waiting until there is something. Returns the number (0: end of
   file), or -ETIMEDOUT, -EAGAIN (SKUA_NOW), -ECANCELED, -EBUSY, -EBADF (also: closed meanwhile), or
   what read says. EINTR never surfaces. A regular file is read in place while the page cache has
   it, else by the kernel's completion queue or on the blocking pool (SKUA_NOW: -EAGAIN).
   Call from: a task or a foreign thread. May switch. Cancel: no byte is lost (of a file:
   a read that has started is awaited, unless the kernel gives it up). Cost: one system call when
   ready. */
ssize_t skua_read(int fd, void *buffer, size_t bytes, skua_time deadline) SKUA_MUST_CHECK;

/* write(2): at least one byte, waiting until there is room; the rest of the errors as for
   skua_read(). A broken pipe is -EPIPE; SIGPIPE is the program's to ignore (sockets never raise
   it).
   Call from: a task or a foreign thread. May switch. Cancel: nothing was written. */
ssize_t skua_write(int fd, const void *buffer, size_t bytes, skua_time deadline) SKUA_MUST_CHECK;

/* Write all of it. *written (may be NULL) tells how much went out, also when it fails. Returns 0 or
   an error of skua_write().
   Call from: a task or a foreign thread. May switch. */
int skua_write_all(int fd, const void *buffer, size_t bytes, size_t *written, skua_time deadline)
    SKUA_MUST_CHECK;

/* accept4(2) on an adopted listening socket; the new socket is adopted, non-blocking,
   close-on-exec. The peer's address goes to `address` unless NULL, as accept(2) says. Returns the
   fd, or -ETIMEDOUT, -EAGAIN, -ECANCELED, -EBUSY, -EBADF, -ESHUTDOWN once the runtime drains (also
   for who waits already), and what else accept says; connections that have failed in the line are
   passed over. -EMFILE, -ENFILE, -ENOBUFS and -ENOMEM are told after a second try 50 ms later
   (SKUA_NOW: at once): the connection waits in the line, and a loop that goes on after them does
   not spin.
   Call from: a task or a foreign thread. May switch. Cancel: no connection is lost. */
int skua_accept(int listener, struct sockaddr *address, socklen_t *address_bytes,
                skua_time deadline) SKUA_MUST_CHECK;

/* connect(2) on an adopted socket, waiting until the connection stands. Returns 0, -ECONNREFUSED,
   -ETIMEDOUT, ... After a failure, or a cancel in the middle, the socket is of no use but to be
   closed.
   Call from: a task or a foreign thread. May switch. */
int skua_connect(int fd, const struct sockaddr *address, socklen_t address_bytes,
                 skua_time deadline) SKUA_MUST_CHECK;

/* What waits for events in the calling task's runtime: "epoll", or "epoll, files by io_uring" once
   an operation on a file has been handed to a completion queue of the kernel. SKUA_IO in the
   environment chooses: "epoll" for none; "uring" for all operations on files; "auto", the default,
   for those that are cheaper that way. Where the kernel, a sandbox or a limit forbids it, files go
   through the blocking pool, with the same results. On a foreign thread: "poll".
   Call from anywhere. Never switches. The text is a constant. */
const char *skua_io_backend(void);

SKUA_END_DECLS
#endif
