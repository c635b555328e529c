/* The futex door, and membarrier beside it: both are how threads of this process meet in the
   kernel. */
#include "base/futex.h"

#include "base/clock.h"
#include "base/panic.h"
#include "base/sanitize.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(SKUA_ATOMIC_TSAN)
_Atomic int skua__fence_word;
#endif

void skua__futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns, bool shared)
{
    struct timespec until, *limit = NULL;
    if (deadline_ns != SKUA__NEVER) {
        until.tv_sec = deadline_ns / 1000000000;
        until.tv_nsec = deadline_ns % 1000000000;
        limit = &until;
    }
    /* FUTEX_WAIT_BITSET takes an absolute time; FUTEX_WAIT would take a duration. */
    int operation = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    int saved_errno = errno; /* the program's: a lock may be waited for in the middle of its call */
    syscall(SYS_futex, word, operation, expected, limit, NULL, FUTEX_BITSET_MATCH_ANY);
    errno = saved_errno;
}

/* Also called by a process that shares the memory of this one. */
SKUA_NO_SANITIZE void skua__futex_wake(_Atomic uint32_t *word, int count, bool shared)
{
    int operation = FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    int saved_errno = errno;
    syscall(SYS_futex, word, operation, count, NULL, NULL, 0);
    errno = saved_errno;
}

bool skua__fence_everywhere_prepare(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void skua__fence_everywhere(void)
{
    long result = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    skua_require(result == 0);
    /* seq_cst: orders the calling thread's own accesses around it; pairs with what the kernel has
       made the others do. */
    skua__fence(seq_cst);
}

void skua__thread_wait_exactly(void)
{
    prctl(PR_SET_TIMERSLACK, 1UL); /* if it is forbidden, timers are a little late */
}

void skua__thread_yield(void)
{
    sched_yield();
}
