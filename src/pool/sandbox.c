/* The sandbox of a worker: a filter of system calls (seccomp), written by hand.

       load architecture; another one: kill
       load number; of a foreign convention: kill
       number on the list: allow                       (one comparison each)
       number with conditions: look at an argument
       else: trap

   A trap is a SIGSYS: its handler writes the number of the call into the shared memory, so that the
   parent can tell it, and makes the call again, now with SIGSYS blocked, for which the kernel
   kills. A job that blocks SIGSYS gets there without the note.

   Invariants
   (X1) Nothing on the list gets a new file, socket, process or privilege, or reaches another
        process: jobs can compute, allocate, tell the time and use the fds that they have.
   (X2) What the worker itself needs between jobs is on the list, so that it works as before.
   (X3) The filter holds for all threads and cannot be taken off.

   Rejected: to kill at once (the caller would not learn by what); libseccomp (a dependency for
   forty lines of table); a list of what is forbidden (the kernel's grows). */
#include "arch/calls.h"
#include "base/atomic.h"
#include "base/panic.h"
#include "pool/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* As the kernel numbers them; short enough for all jumps of a filter to be relative to the end. */
static const uint16_t allowed[] = {
    /* fds that are there */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
    SYS_close, SYS_fstat, SYS_lseek, SYS_ppoll, SYS_dup, SYS_dup3, SYS_ftruncate, SYS_fsync,
    SYS_fdatasync, SYS_fadvise64, SYS_fallocate, SYS_sendmsg, SYS_recvmsg,
    /* memory */
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_mremap, SYS_brk, SYS_msync, SYS_mlock,
    SYS_munlock,
    /* clocks, waiting, being scheduled */
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_futex, SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu, SYS_restart_syscall,
    /* about itself */
    SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
    SYS_getrandom, SYS_getrusage, SYS_times, SYS_uname, SYS_sysinfo, SYS_membarrier,
    SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_sigaltstack, SYS_set_robust_list,
    SKUA__CALLS_OLD
        /* the end */
        SYS_exit,
    SYS_exit_group};

enum { FILTER_MAX = 256 };

struct program {
    struct sock_filter code[FILTER_MAX];
    unsigned short count;
};

static _Atomic uint32_t *shared_note;

static void add(struct program *program, struct sock_filter instruction)
{
    skua_require(program->count < FILTER_MAX);
    program->code[program->count++] = instruction;
}

#define LOAD(field)                                                                                \
    (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, action)
#define SKIP_UNLESS_EQUAL(value, count)                                                            \
    (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define SKIP_UNLESS_BITS(bits, count)                                                              \
    (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, count)

/* If the call is that number, and the low half of argument `index` is `value`, allow it; then the
   number is lost, so that a call with conditions ends in a trap if none of them holds. */
static void allow_if(struct program *program, uint32_t number, unsigned index, uint32_t value)
{
    add(program, SKIP_UNLESS_EQUAL(number, 4));
    add(program, (struct sock_filter)BPF_STMT(
                     BPF_LD | BPF_W | BPF_ABS,
                     (uint32_t)(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t))));
    add(program, SKIP_UNLESS_EQUAL(value, 1));
    add(program, RETURN(SECCOMP_RET_ALLOW));
    add(program, LOAD(nr));
}

/* prlimit(0, RLIMIT_CPU): what setrlimit() is made of; for no other process. */
static void allow_own_cpu_limit(struct program *program)
{
    add(program, SKIP_UNLESS_EQUAL(SYS_prlimit64, 6));
    add(program, LOAD(args[0]));
    add(program, SKIP_UNLESS_EQUAL(0, 3));
    add(program, LOAD(args[1]));
    add(program, SKIP_UNLESS_EQUAL(RLIMIT_CPU, 1));
    add(program, RETURN(SECCOMP_RET_ALLOW));
    add(program, LOAD(nr));
}

static void write_filter(struct program *program)
{
    add(program, LOAD(arch));
    add(program, SKIP_UNLESS_EQUAL(SKUA__AUDIT_ARCH, 1));
    add(program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
    add(program, RETURN(SECCOMP_RET_KILL_PROCESS));
    add(program, LOAD(nr));
    if (SKUA__CALL_FOREIGN_BIT != 0) {
        add(program, SKIP_UNLESS_BITS(SKUA__CALL_FOREIGN_BIT, 1));
        add(program, RETURN(SECCOMP_RET_KILL_PROCESS));
    }
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        add(program, SKIP_UNLESS_EQUAL(allowed[i], 1));
        add(program, RETURN(SECCOMP_RET_ALLOW));
    }
    const uint32_t self = (uint32_t)getpid();
    allow_if(program, SYS_tgkill, 0, self); /* raise(), abort() */
    allow_if(program, SYS_kill, 0, self);
    allow_own_cpu_limit(program);
    allow_if(program, SYS_fcntl, 1, F_GETFD);
    allow_if(program, SYS_fcntl, 1, F_SETFD);
    allow_if(program, SYS_fcntl, 1, F_GETFL);
    allow_if(program, SYS_fcntl, 1, F_DUPFD_CLOEXEC);
    allow_if(program, SYS_newfstatat, 3, AT_EMPTY_PATH); /* fstat() of some libcs */
    add(program, RETURN(SECCOMP_RET_TRAP));
}

/* See above. Async-signal-safe. */
static void note_and_die(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    /* The death of this process publishes it. */
    skua__store(shared_note, (uint32_t)info->si_syscall + 1, relaxed);
    for (;;) {
        syscall(SYS_setsid);
    }
}

static int catch_traps(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = note_and_die};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

int skua__sandbox_enter(const struct skua__settings *settings, _Atomic uint32_t *note)
{
    if (!settings->limits.sandbox) {
        return 0;
    }
    shared_note = note;
    struct program program = {.count = 0};
    write_filter(&program);
    const struct sock_fprog filter = {.len = program.count, .filter = program.code};
    int error = catch_traps();
    if (error == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0) {
        error = -errno;
    }
    return error;
}

bool skua__sandbox_is_there(void)
{
    const uint32_t action = SECCOMP_RET_TRAP;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

const char *skua__sandbox_call_name(uint32_t number)
{
    return skua__syscall_name(number);
}
