/* The zygote, seen from the parent.

   The zygote is forked from the program while that has one thread, keeps this clean image, and
   forks the workers when pools ask for them. It is the only way to fork that is safe after threads
   exist, and a fork of it is cheap however much memory the program has taken since.

   It is made with clone and no exit signal instead of fork: the program neither gets a SIGCHLD for
   it nor finds it with wait(-1). The price is that libc does not know that the process is a new
   one; the zygote therefore does nothing but system calls and a real fork(), in which libc sets the
   workers right.

   Invariants
   (Z1) The state below changes only while the process has exactly one thread, so it needs no lock.
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
#include "base/sanitize.h"
#include "pool/child.h"
#include "pool/job.h"
#include "pool/message.h"
#include "sched/service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
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
};

static struct {
    pid_t pid;   /* 0: there is none */
    pid_t owner; /* who has made it: a child that the user forks has not */
    int master;
    int pidfd;
    uint32_t jobs;
} zygote;

/* Set in the zygote and thereby in all workers: they make no zygotes. */
static bool is_child_of_zygote;

pid_t skua__zygote_fork(void)
{
    return fork();
}

static pid_t clone_silently(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

/* The link count of the directory of threads counts them, without a walk. */
static bool is_alone(void)
{
    struct stat threads;
    return stat("/proc/self/task", &threads) == 0 && threads.st_nlink <= 2 + THREADS_ALONE;
}

/* A joined thread may still be on its way out of the kernel. */
static bool becomes_alone(void)
{
    _Atomic uint32_t nobody = 0;
    for (int look = 0; look < LINGER_LOOKS; look++) {
        if (is_alone()) {
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

/* End the zygote, which may be dead already, and reap it. */
static void bury(void)
{
    shutdown(zygote.master, SHUT_RDWR);
    close(zygote.master);
    if (!is_readable(zygote.pidfd, END_MS)) {
        kill(zygote.pid, SIGKILL); /* our child and not reaped, so the number is still its own */
    }
    while (waitpid(zygote.pid, NULL, __WALL) < 0 && errno == EINTR) {}
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
        is_child_of_zygote = true;
        close(master);
        skua__zygote_main(other_end, parent);
    }
    int error = errno;
    if (parent >= 0) {
        close(parent);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : pid;
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
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int error = pid < 0 ? pid : -errno;
        close(ends[0]); /* which also ends a zygote that we cannot watch */
        if (pid > 0) {
            waitpid(pid, NULL, __WALL);
        }
        return error;
    }
    zygote.pid = pid;
    zygote.owner = getpid();
    zygote.master = ends[0];
    zygote.pidfd = pidfd;
    zygote.jobs = jobs;
    return 0;
}

/* Make a zygote unless a living one is there. */
static int ensure(void)
{
    if (is_child_of_zygote || skua__forked() || (zygote.pid != 0 && zygote.owner != getpid())) {
        return -ESHUTDOWN;
    }
    const bool is_dead = zygote.pid != 0 && is_readable(zygote.master, 0); /* (Z2) */
    if (zygote.pid != 0 && !is_dead) {
        return 0;
    }
    if (!(is_dead ? becomes_alone() : is_alone())) {
        return -EBUSY;
    }
    if (is_dead) {
        bury();
    }
    return make();
}

int skua_pool_prepare(void)
{
    return ensure();
}

/* A program that cannot have a zygote here still runs; skua_pool_create() says that there is none.
   */
static void prepare_if_there_are_jobs(void)
{
    if (skua__job_count() != 0) {
        int error = ensure();
        (void)error;
    }
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

int skua__zygote_connect(int *control)
{
    if (zygote.pid == 0) {
        return -ENOTSUP;
    }
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        return -errno;
    }
    const struct skua__message connect = {.kind = SKUA__MESSAGE_CONNECT};
    int error = skua__message_send(zygote.master, &connect, (const int[]){ends[1], -1});
    close(ends[1]);
    if (error < 0) {
        close(ends[0]);
        return error == -EPIPE ? -ENOTSUP : error;
    }
    *control = ends[0];
    return 0;
}
