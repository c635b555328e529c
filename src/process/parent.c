/* The parent: a process between the program and the one that it starts.

   A child of the program itself would be found by the program's wait(-1), and its end would raise a
   SIGCHLD: exec resets the exit signal, so there is no way to ask for another one. Here it is the
   child of a process that never execs, is made without an exit signal, and so concerns nobody but
   the keeper, a thread that waits for it.

       program: keeper --clone(VM, FILES, FS)--> parent --clone(VM, VFORK)--> child --exec-->

   The parent shares memory, fds and directory with the program, and inherits at the moment of the
   start whatever else a process has: user, limits, groups, session, terminal. It costs the kernel's
   side of a thread and some KiB.

   Invariants
   (R1) Keeper, parent and child have the same thread-locals, which here means errno. The keeper is
        in the kernel until the child has started, and the parent while the child prepares, so they
        use it in turn. Later the parent looks at it only to find out that it has no child, and asks
        again unless it reads just that.
   (R2) What parent and child do takes no lock, allocates nothing, and no sanitizer watches it.
   (R3) All signals are blocked in the parent, as in the keeper: no handler of the program runs
        twice. What the parent changes of the signals' actions is its own.
   (R4) The child is reaped, and its number free for others, behind the gate only; signals are sent
        behind it, to a child that is not reaped.
   (R5) The parent dies with the keeper, which only dies with the program; and the child dies with
        the parent, unless it is to outlive it. (The kernel looks at the thread that has made a
        process, which here is one that stays.)

   Rejected: a parent for all children (it would start them one after the other, as the user and
   with the limits that the program had once); CLONE_VFORK for the parent, too (the keeper's wait
   would count as load); a pidfd (the gate does the same for signals, without an fd for each and on
   every kernel; only the parent could reap by it anyway); posix_spawn (it knows neither limits nor
   terminals, nor other exit signals). */
#define _GNU_SOURCE 1
#include "process/parent.h"

#include "base/clock.h"
#include "base/compiler.h"
#include "base/futex.h"
#include "base/sanitize.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* clone(2), under the name that no sanitizer watches. */
extern int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);

enum {
    MASK_BYTES = 8,    /* of a set of signals, as the kernel has it */
    ACTION_BYTES = 64, /* at least those of an action; zeros are the default one */
    EXIT_NOT_STARTED = 127,
    FDS_MAX = 65536, /* how far to look for open ones where the kernel cannot close many at once */
};

/* --- the child, up to its exec ---------------------------------------------------------------- */

SKUA_NO_SANITIZE static int lift_fd(const struct skua__birth *birth, struct skua__child_fd *fd,
                                    int above)
{
    int source = fd->source;
    if (source < 0 && fd->path != NULL) {
        source = (int)syscall(SYS_openat, AT_FDCWD, fd->path, fd->flags, 0666);
    } else if (source < 0) {
        source = birth->fds[fd->like].lifted;
        errno = EBADF; /* unless that one is there */
    }
    fd->lifted = -1;
    if (source < 0) {
        return -1;
    }
    fd->lifted = (int)syscall(SYS_fcntl, source, F_DUPFD_CLOEXEC, above + 1);
    return fd->lifted;
}

/* The smallest number >= from that stays open; UINT_MAX if there is none. */
SKUA_NO_SANITIZE static unsigned next_kept(const struct skua__birth *birth, unsigned from)
{
    unsigned next = UINT_MAX;
    for (size_t i = 0; i < birth->fd_count; i++) {
        unsigned number = (unsigned)birth->fds[i].number;
        if (number >= from && number < next) {
            next = number;
        }
    }
    return next;
}

SKUA_NO_SANITIZE static void close_from_to(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0) {
        return;
    }
    for (unsigned fd = first; fd <= last && fd < FDS_MAX; fd++) {
        syscall(SYS_close, fd);
    }
}

SKUA_NO_SANITIZE static void close_others(const struct skua__birth *birth)
{
    for (unsigned first = 0;;) {
        unsigned kept = next_kept(birth, first);
        if (kept == UINT_MAX) {
            close_from_to(first, UINT_MAX);
            return;
        }
        if (kept > first) {
            close_from_to(first, kept - 1);
        }
        first = kept + 1;
    }
}

/* First all sources go beyond all numbers, so that none is overwritten before it was used. */
SKUA_NO_SANITIZE static bool lift_fds(struct skua__birth *birth)
{
    int above = STDERR_FILENO;
    for (size_t i = 0; i < birth->fd_count; i++) {
        above = birth->fds[i].number > above ? birth->fds[i].number : above;
    }
    for (size_t i = 0; i < birth->fd_count; i++) {
        struct skua__child_fd *fd = &birth->fds[i];
        if (lift_fd(birth, fd, above) < 0 && !(fd->may_miss && errno == EBADF)) {
            return false;
        }
    }
    return true;
}

SKUA_NO_SANITIZE static bool place_fds(struct skua__birth *birth)
{
    for (size_t i = 0; i < birth->fd_count; i++) {
        struct skua__child_fd *fd = &birth->fds[i];
        if (fd->lifted < 0) {
            syscall(SYS_close, fd->number);
        } else if (syscall(SYS_dup3, fd->lifted, fd->number, 0) < 0) {
            return false;
        }
    }
    close_others(birth);
    return true;
}

SKUA_NO_SANITIZE static bool leave_family(const struct skua__birth *birth)
{
    if (birth->has_session ? syscall(SYS_setsid) < 0
                           : birth->has_group && syscall(SYS_setpgid, 0, 0) < 0) {
        return false;
    }
    if (!birth->outlives) {
        syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (syscall(SYS_getppid) != birth->parent) {
            syscall(SYS_exit_group, EXIT_NOT_STARTED); /* nobody is there to be told */
        }
    }
    return birth->terminal < 0 || syscall(SYS_ioctl, birth->terminal, TIOCSCTTY, 0) == 0;
}

SKUA_NO_SANITIZE static bool set_limits(const struct skua__birth *birth)
{
    for (size_t i = 0; i < birth->limit_count; i++) {
        const skua_process_limit *limit = &birth->limits[i];
        if (syscall(SYS_prlimit64, 0, limit->resource, &limit->limit, NULL) < 0) {
            return false;
        }
    }
    return true;
}

/* As execvp(3) goes on with the next path after some errors; that one was not allowed is told
   rather than that others are not there. */
SKUA_NO_SANITIZE static int exec_first(const struct skua__birth *birth)
{
    int error = ENOENT;
    for (const char *const *path = birth->paths; *path != NULL; path++) {
        syscall(SYS_execve, *path, birth->argv, birth->env);
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
        case ESTALE:
        case ENODEV:
            break;
        case EACCES:
            error = EACCES;
            break;
        default:
            return -errno;
        }
    }
    return -error;
}

SKUA_NO_SANITIZE static bool prepare(struct skua__birth *birth)
{
    return leave_family(birth) && lift_fds(birth) &&
           (birth->directory == NULL || syscall(SYS_chdir, birth->directory) == 0) &&
           place_fds(birth) && set_limits(birth);
}

SKUA_NO_SANITIZE static int child_main(void *arg)
{
    struct skua__birth *birth = arg;
    const uint64_t none = 0;
    if (!prepare(birth)) {
        birth->error = -errno;
    } else {
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, MASK_BYTES);
        birth->error = exec_first(birth);
    }
    syscall(SYS_exit_group, EXIT_NOT_STARTED);
    return 0;
}

/* --- the parent ------------------------------------------------------------------------------- */

/* Default actions for all, which the child inherits; with an ignored SIGCHLD there would be nothing
   to wait for. */
SKUA_NO_SANITIZE static void reset_signals(void)
{
    static const char action[ACTION_BYTES];
    for (int number = 1; number < NSIG; number++) {
        syscall(SYS_rt_sigaction, number, action, NULL, MASK_BYTES);
    }
}

/* A killer holds the gate for one system call. */
SKUA_NO_SANITIZE static void gate_enter(struct skua__birth *birth)
{
    uint32_t is_free = 0;
    /* acquire: pairs with the release in gate_leave(): the flags are as they were left. */
    while (!skua__cas(&birth->gate, &is_free, 1, acquire, relaxed)) {
        is_free = 0;
        syscall(SYS_sched_yield);
    }
}

SKUA_NO_SANITIZE static void gate_leave(struct skua__birth *birth)
{
    /* release: publishes the flags; pairs with the acquires of those who enter. */
    skua__store(&birth->gate, 0, release);
}

SKUA_NO_SANITIZE static bool wait_for_child(pid_t pid, siginfo_t *how, int options)
{
    for (;;) {
        if (syscall(SYS_waitid, P_PID, pid, how, options, NULL) == 0) {
            return true;
        }
        if (errno == ECHILD) {
            return false; /* (R1) */
        }
    }
}

/* The dead child still has its number until it is reaped (R4), and its group, too. */
SKUA_NO_SANITIZE static void reap(struct skua__birth *birth)
{
    siginfo_t how;
    how.si_pid = 0;
    bool is_known = wait_for_child(birth->pid, &how, WEXITED | WNOWAIT);
    gate_enter(birth);
    if (birth->sweeps_group) {
        syscall(SYS_kill, -birth->pid, SIGKILL);
    }
    wait_for_child(birth->pid, &how, WEXITED);
    birth->is_reaped = true;
    gate_leave(birth);
    birth->how = how.si_code;
    birth->value = how.si_status;
    birth->has_ended = is_known;
}

SKUA_NO_SANITIZE static void say_started(struct skua__birth *birth)
{
    /* release: publishes the child's number; pairs with the acquire in skua__parent_await(). */
    skua__store(&birth->phase, SKUA__BIRTH_STARTED, release);
    skua__futex_wake(&birth->phase, INT_MAX, true);
}

SKUA_NO_SANITIZE static int parent_main(void *arg)
{
    struct skua__birth *birth = arg;
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    syscall(SYS_prctl, PR_SET_NAME, "skua-parent", 0, 0, 0);
    birth->parent = (pid_t)syscall(SYS_getpid);
    reset_signals();
    if (syscall(SYS_getppid) == birth->program) {
        pid_t pid = __clone(child_main, birth->child_stack + SKUA__BIRTH_STACK_BYTES,
                            CLONE_VM | CLONE_VFORK | SIGCHLD, birth);
        birth->pid = pid;
        if (pid < 0) {
            birth->error = -errno;
        } else {
            if (birth->error == 0) {
                say_started(birth);
            }
            reap(birth);
        }
    }
    syscall(SYS_exit_group, 0); /* stores OVER, and wakes the keeper */
    return 0;
}

/* --- the program ------------------------------------------------------------------------------ */

SKUA_OPAQUE pid_t skua__parent_begin(struct skua__birth *birth)
{
    skua__store(&birth->phase, SKUA__BIRTH_BEGUN, relaxed); /* published by the clone */
    pid_t parent = __clone(parent_main, birth->parent_stack + SKUA__BIRTH_STACK_BYTES,
                           CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_CHILD_CLEARTID, birth, NULL,
                           NULL, &birth->phase);
    return parent < 0 ? -errno : parent;
}

void skua__parent_await(struct skua__birth *birth, enum skua__birth_phase phase)
{
    /* acquire: pairs with the release in say_started(); what the end of a process publishes is
       complete by itself. */
    while (skua__load(&birth->phase, acquire) == phase) {
        skua__futex_wait(&birth->phase, phase, SKUA__NEVER, true);
    }
}

SKUA_OPAQUE void skua__parent_reap(pid_t parent)
{
    /* Somebody else may have done so, who waits for children of all kinds. */
    while (waitpid(parent, NULL, __WALL) < 0 && errno == EINTR) {}
}

static bool enter_for_signal(struct skua__birth *birth)
{
    uint32_t is_free = 0;
    /* acquire: pairs with the release in gate_leave(). */
    while (!skua__cas(&birth->gate, &is_free, 1, acquire, relaxed)) {
        is_free = 0;
        /* acquire: orders this look before those at what the parent has left behind. A parent that
           was killed at the gate leaves it shut. */
        if (skua__load(&birth->phase, acquire) == SKUA__BIRTH_OVER) {
            return false;
        }
        skua__thread_yield();
    }
    return true;
}

SKUA_OPAQUE int skua__child_signal(struct skua__birth *birth, int number, bool sweeps)
{
    if (!enter_for_signal(birth)) {
        return -ESRCH;
    }
    int status = -ESRCH;
    if (!birth->is_reaped && skua__load(&birth->phase, relaxed) == SKUA__BIRTH_STARTED) {
        birth->sweeps_group = birth->sweeps_group || (sweeps && birth->has_group);
        status = kill(birth->has_group ? -birth->pid : birth->pid, number) == 0 ? 0 : -errno;
    }
    gate_leave(birth);
    return status;
}
