/* The zygote, seen from the parent.

   The zygote is forked from the program while that has one thread, keeps this clean image, and
   forks the workers when pools ask for them. It is the only way to fork that is safe after threads
   exist, and a fork of it is cheap however much memory the program has taken since.

   It is made with clone and no exit signal instead of fork: the program neither gets a SIGCHLD for
   it nor finds it with wait(-1). The price is that libc does not know that the process is a new
   one; the zygote therefore does nothing but system calls and a real fork(), in which libc sets the
   workers right.

   Invariants
   (Z1) The state below is touched under a mutex, by threads that may block; a child that the
        program forks finds out that it is none of its own before it looks at the mutex.
   (Z2) The master socket carries only packets from the parent. If the parent can read something
        from it, that is the end: the zygote is dead.
   (Z3) The zygote ends when it sees the end of the master socket, or the parent's pidfd becomes
        readable (a child of the program may have inherited the socket): no worker outlives the
        program.

   Who runs it: start hooks and skua_pool_prepare() (a thread, alone); skua__zygote_connect() (any
   thread); the destructor, at exit.

   Rejected: PR_SET_PDEATHSIG in the zygote (it fires when the thread ends that made it); making it
   in a constructor (the jobs would not see what main has set up before the first runtime). */
#include "pool/zygote.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "pool/child.h"
#include "pool/job.h"
#include "pool/lane.h"
#include "pool/message.h"
#include "pool/reexec.h"
#include "sched/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <skua/blocking.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(SKUA_TSAN) && SKUA_TSAN
enum { THREADS_ALONE = 2 }; /* the sanitizer has one of its own */
#else
enum { THREADS_ALONE = 1 };
#endif

enum {
    END_MS = 2000,          /* what the zygote may take to end */
    LINGER_NS = 100 * 1000, /* how often to look again for threads that are just ending */
    LINGER_LOOKS = 50,
    EXIT_MAIN_RUNS = 72,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct {
    pid_t pid;   /* 0: there is none */
    pid_t owner; /* who has made it: a child that the user forks has not */
    int master;
    int pidfd;
    bool is_child; /* to be reaped by us */
    uint32_t jobs;
} zygote;

/* Set in the zygote and thereby in all workers: they make no zygotes. */
static bool is_child_of_zygote;

pid_t skua__zygote_fork(void)
{
    return fork();
}

void skua__zygote_serve(int master, int parent)
{
    is_child_of_zygote = true;
    skua__zygote_main(master, parent);
}

static pid_t clone_silently(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

/* The link count of the directory of threads counts them, without a walk. */
bool skua__zygote_is_alone(void)
{
    struct stat threads;
    return stat("/proc/self/task", &threads) == 0 && threads.st_nlink <= 2 + THREADS_ALONE;
}

/* A joined thread may still be on its way out of the kernel. */
static bool becomes_alone(void)
{
    _Atomic uint32_t nobody = 0;
    for (int look = 0; look < LINGER_LOOKS; look++) {
        if (skua__zygote_is_alone()) {
            return true;
        }
        skua__futex_wait(&nobody, 0, skua__clock_real_ns() + LINGER_NS, false);
    }
    return false;
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, timeout_ms) > 0;
}

/* (Z2), but a worker that was just being forked may hold the other end for a moment. */
static bool is_dead(void)
{
    return is_readable(zygote.pidfd, 0) || is_readable(zygote.master, 0);
}

/* End the zygote, which may be dead already, and reap it. */
static void bury(void)
{
    shutdown(zygote.master, SHUT_RDWR);
    close(zygote.master);
    if (!is_readable(zygote.pidfd, END_MS)) {
        syscall(SYS_pidfd_send_signal, zygote.pidfd, SIGKILL, NULL, 0);
        is_readable(zygote.pidfd, END_MS);
    }
    while (zygote.is_child && waitpid(zygote.pid, NULL, __WALL) < 0 && errno == EINTR) {}
    close(zygote.pidfd);
    zygote.pid = 0;
}

/* Between the two, with all signals blocked, so that no handler of the program runs in the zygote.
   */
static pid_t clone_zygote(int master, int other_end)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pid_t pid = parent < 0 ? -1 : clone_silently();
    if (pid == 0) {
        close(master);
        skua__zygote_serve(other_end, parent);
    }
    int error = errno;
    if (parent >= 0) {
        close(parent);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : pid;
}

static void note_zygote(pid_t pid, int pidfd, int master, uint32_t jobs)
{
    zygote.pid = pid;
    zygote.owner = getpid();
    zygote.master = master;
    zygote.pidfd = pidfd;
    zygote.is_child = true;
    zygote.jobs = jobs;
}

/* `pid`, if it is one, is the zygote from now on. */
static int adopt(pid_t pid, int master, uint32_t jobs)
{
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int error = pid < 0 ? pid : -errno;
        close(master); /* which also ends a zygote that we cannot watch */
        if (pid > 0) {
            waitpid(pid, NULL, __WALL);
        }
        return error;
    }
    note_zygote(pid, pidfd, master, jobs);
    return 0;
}

static int make(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    fflush(stdout); /* what the program has printed so far is not for the workers to print again */
    uint32_t jobs = skua__job_count();
    pid_t pid = clone_zygote(ends[0], ends[1]);
    close(ends[1]);
    return adopt(pid, ends[0], jobs);
}

/* --- the program executed anew ---------------------------------------------------------------- */

/* clone(2), under the name that no sanitizer watches. */
extern int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);

enum { STACK_BYTES = 64 * 1024, HELLO_MS = 30 * 1000 };

/* What the children need; they share our memory, and we wait. There are two: the kernel gives a
   process that executes a program SIGCHLD for its end, however it was made, and shows it to
   wait(-1). So the one that executes is the child of one that ends at once, and then of init. */
struct launch {
    const struct skua__reexec_image *image;
    int master;
    int parent;
    int error;
    pid_t pid; /* of the zygote */
    int pidfd;
    SKUA_CACHE_ALIGNED char first_stack[STACK_BYTES];
    SKUA_CACHE_ALIGNED char second_stack[STACK_BYTES];
};

/* The second. */
SKUA_NO_SANITIZE static int execute(void *arg)
{
    struct launch *launch = arg;
    /* Its fds are a copy of ours, so this is no leak to others. */
    syscall(SYS_fcntl, launch->master, F_SETFD, 0);
    syscall(SYS_fcntl, launch->parent, F_SETFD, 0);
    syscall(SYS_execve, "/proc/self/exe", launch->image->arguments, launch->image->environment);
    launch->error = errno;
    syscall(SYS_exit, 127);
    return 0;
}

/* The first, which has our fds. What it gets from the kernel is of its own child, which nobody has
   reaped. */
SKUA_NO_SANITIZE static int beget(void *arg)
{
    struct launch *launch = arg;
    launch->pid = __clone(execute, launch->second_stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, arg);
    if (launch->pid < 0) {
        launch->error = errno;
    } else if (launch->error == 0) {
        launch->pidfd = (int)syscall(SYS_pidfd_open, launch->pid, 0);
        launch->error = launch->pidfd < 0 ? errno : 0; /* then the zygote sees its socket end */
    }
    syscall(SYS_exit, 0);
    return 0;
}

/* Returns 0 or a negative errno. */
static int launch_children(struct launch *launch)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t first = __clone(beget, launch->first_stack + STACK_BYTES,
                          CLONE_VM | CLONE_VFORK | CLONE_FILES, launch);
    const int error = first < 0 ? errno : launch->error;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (first > 0 && waitpid(first, NULL, __WALL) < 0 && errno == EINTR) {}
    return -error;
}

/* `other_end` of the master socket, and a pidfd of ours, go along. Returns the process id, or a
   negative errno. */
static pid_t launch_zygote(int other_end, uint32_t expected, int *pidfd)
{
    const int parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (parent < 0) {
        return -errno;
    }
    const struct skua__reexec_orders orders = {
        .master = other_end, .parent = parent, .parent_pid = getpid(), .expected = expected};
    struct skua__reexec_image *image = NULL;
    struct launch *launch = skua__alloc_dirty(sizeof *launch);
    pid_t pid = launch == NULL ? -ENOMEM : skua__reexec_image_create(&image, &orders);
    if (pid == 0) {
        launch->image = image;
        launch->master = other_end;
        launch->parent = parent;
        launch->error = 0;
        pid = launch_children(launch);
        if (pid == 0) {
            pid = launch->pid;
            *pidfd = launch->pidfd;
        }
    }
    skua__free(image);
    skua__free(launch);
    close(parent);
    return pid;
}

/* What it says first. Returns 0 or a negative errno. */
static int await_hello(uint32_t expected)
{
    struct skua__message hello;
    int fds[SKUA__MESSAGE_FDS];
    if (!is_readable(zygote.master, HELLO_MS) ||
        skua__message_receive(zygote.master, &hello, fds) != 1) {
        return -EPROTO;
    }
    if (hello.kind != SKUA__MESSAGE_HELLO || hello.value < 0) {
        return hello.value < 0 ? hello.value : -EPROTO;
    }
    return hello.digest == skua__job_digest(expected) ? 0 : -ESTALE;
}

static int make_anew(void)
{
    const uint32_t expected = skua__job_last_of_program();
    if (expected == 0) {
        return -ENOENT;
    }
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    fflush(stdout);
    int pidfd = -1;
    pid_t pid = launch_zygote(ends[1], expected, &pidfd);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return pid;
    }
    note_zygote(pid, pidfd, ends[0], expected);
    zygote.is_child = false;
    int error = await_hello(expected);
    if (error < 0) {
        bury();
    }
    return error;
}

/* Make a zygote unless a living one is there. */
static int ensure(bool may_execute)
{
    if (is_child_of_zygote || skua__forked() || (zygote.pid != 0 && zygote.owner != getpid())) {
        return -ESHUTDOWN;
    }
    const bool was_dead = zygote.pid != 0 && is_dead();
    if (zygote.pid != 0 && !was_dead) {
        return 0;
    }
    const bool alone = was_dead && !may_execute ? becomes_alone() : skua__zygote_is_alone();
    if (!alone && !may_execute) {
        return -EBUSY;
    }
    if (was_dead) {
        bury();
    }
    return alone ? make() : make_anew();
}

int skua_pool_prepare(void)
{
    if (skua__forked()) { /* the mutex may be locked for ever */
        return -ESHUTDOWN;
    }
    pthread_mutex_lock(&mutex);
    int error = ensure(false);
    pthread_mutex_unlock(&mutex);
    return error;
}

/* A program that cannot have a zygote here still runs; skua_pool_create() says that there is none.
   */
static void prepare_if_there_are_jobs(void)
{
    if (skua__reexec_is_wanted()) {
        _exit(EXIT_MAIN_RUNS); /* (V1) of reexec.c */
    }
    if (skua__job_count() != 0) {
        int error = skua_pool_prepare();
        (void)error;
    }
    skua__elsewhere.begin();
}

static struct skua__start_hook start_hook = {.run = prepare_if_there_are_jobs};

__attribute__((constructor)) static void hook_into_start(void)
{
    skua__runtime_on_start(&start_hook);
}

__attribute__((destructor)) static void end_with_process(void)
{
    if (zygote.pid != 0 && zygote.owner == getpid()) {
        bury();
    }
}

uint32_t skua__zygote_job_count(void)
{
    return zygote.jobs;
}

pid_t skua__zygote_pid(void)
{
    return zygote.pid;
}

/* Hand one end of a new socket to the zygote. Returns the other one, or a negative errno. */
static int connect_to(int master)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        return -errno;
    }
    const struct skua__message connect = {.kind = SKUA__MESSAGE_CONNECT};
    int error = skua__message_send(master, &connect, &ends[1], 1);
    close(ends[1]);
    if (error < 0) {
        close(ends[0]);
        return error;
    }
    return ends[0];
}

/* If a living zygote is there; else -EAGAIN. */
static int connect_at_once(void)
{
    if (is_child_of_zygote || skua__forked() || pthread_mutex_trylock(&mutex) != 0) {
        return -EAGAIN;
    }
    const bool is_there = zygote.pid != 0 && zygote.owner == getpid() && !is_dead();
    int result = is_there ? connect_to(zygote.master) : -EAGAIN;
    pthread_mutex_unlock(&mutex);
    return result;
}

/* In a thread that may block. Returns the socket, or a negative errno. */
static int connect_slowly(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    int result = ensure(true);
    if (result == 0) {
        result = connect_to(zygote.master);
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

/* What a zygote that could not be made means to the caller. */
static int explain(int error)
{
    switch (error) {
    case -ENOENT:
        return skua_fail(-ENOTSUP,
                         "the program has threads, and no job of its own by which it could "
                         "be executed anew: call skua_pool_prepare() first in main");
    case -ESTALE:
        return skua_fail(-ENOTSUP,
                         "the program executed anew has other jobs, or other builds of its "
                         "libraries: call skua_pool_prepare() first in main");
    case -EBUSY:
        return skua_fail(-ENOTSUP, "a constructor of the program starts threads: call "
                                   "skua_pool_prepare() before");
    case -EPROTO:
    case -ENOTSUP:
        return skua_fail(-ENOTSUP, "the program executed anew did not become a zygote: call "
                                   "skua_pool_prepare() first in main");
    case -EPIPE:
        return -ENOTSUP;
    default:
        return error;
    }
}

int skua__zygote_connect(int *control)
{
    int result = connect_at_once();
    if (result == -EAGAIN) {
        result = skua_blocking(connect_slowly, NULL, SKUA_FOREVER);
    }
    if (result < 0) {
        return explain(result);
    }
    *control = result;
    return 0;
}
