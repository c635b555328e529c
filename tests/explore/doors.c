/* The lower doors, modelled: futex, contended locks, the clock, memory and panics. */
#include "engine.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "mem/forked.h"
#include "sched/limit.h"
#include "sched/report.h"

#include <stdarg.h>
#include <string.h>

static const struct explore_site wait_site = {"futex", "futex_wait", 0};
static const struct explore_site wake_site = {"futex", "futex_wake", 0};
static const struct explore_site fence_site = {"membarrier", "fence_everywhere", 0};
static const struct explore_site yield_site = {"sched_yield", "yield", 0};
static const struct explore_site lock_site = {"lock", "lock->word", 0};

static int64_t clock_ns;

/* --- sleeping --------------------------------------------------------------------------------- */

void skua__futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns, bool shared)
{
    (void)shared;
    struct thread *thread = explorer.current;
    explorer_point(&wait_site, false);
    struct location *location = memory_location(word, sizeof *word);
    /* The kernel looks and queues in one step, and sees the latest; it orders nothing for us. */
    bool sleeps = memory_latest(location) == expected;
    explorer_trace("futex wait: %s", sleeps ? "sleeps" : "the word has changed");
    if (!sleeps || (deadline_ns != SKUA__NEVER && deadline_ns <= skua__clock_ns())) {
        return;
    }
    thread->futex = (uintptr_t)word;
    thread->deadline_ns = deadline_ns;
    explorer_block(THREAD_FUTEX);
}

void skua__futex_wake(_Atomic uint32_t *word, int count, bool shared)
{
    (void)shared;
    explorer_point(&wake_site, false);
    explorer_trace("futex wake");
    for (int i = 0; i < explorer.thread_count && count > 0; i++) {
        struct thread *thread = &explorer.threads[i];
        if (thread->state == THREAD_FUTEX && thread->futex == (uintptr_t)word) {
            thread->state = THREAD_READY;
            count--;
        }
    }
}

void explore_wait_while(const _Atomic uint32_t *word, uint32_t value)
{
    struct thread *thread = explorer.current;
    thread->word = memory_location(word, sizeof *word);
    thread->while_value = value;
    if (memory_latest(thread->word) == value) {
        explorer_block(THREAD_WAITS);
    }
}

void skua__thread_yield(void)
{
    explore__pause(&yield_site);
}

bool skua__fence_everywhere_prepare(void)
{
    return true;
}

void skua__fence_everywhere(void)
{
    if (explorer.is_running) {
        explorer_point(&fence_site, false);
        explorer_trace("fence everywhere");
        memory_fence_everywhere();
    }
}

/* --- locks ------------------------------------------------------------------------------------ */

/* The real lock spins and naps until it can take the word; here the thread is not run before the
   word is free. */
__attribute__((weak)) void skua__lock_slow(struct skua__lock *lock)
{
    uint32_t unlocked;
    do {
        explore_wait_while(&lock->word, 1);
        unlocked = 0;
    } while (!explore__cas(&lock->word, sizeof lock->word, &unlocked, 1, explore_acquire,
                           explore_relaxed, &lock_site));
}

/* Ranks are checked in the library's debug builds only, by thread; here all of them are one. */
static uint16_t held[EXPLORE_THREADS][16];

void skua__lock_check_take(enum skua__lock_rank rank)
{
    if (!explorer.is_running) {
        return;
    }
    uint16_t *mine = held[explorer.current->number];
    for (size_t higher = (size_t)rank + 1; higher < SKUA_COUNT_OF(held[0]); higher++) {
        if (mine[higher] != 0) {
            explore_fail(__FILE__, __LINE__, "a lock of rank %d is taken while one of %zu is held",
                         (int)rank, higher);
        }
    }
    mine[rank]++;
}

void skua__lock_check_give(enum skua__lock_rank rank)
{
    if (explorer.is_running) {
        held[explorer.current->number][rank]--;
    }
}

void doors_reset(void)
{
    memset(held, 0, sizeof held);
    clock_ns = 1000;
}

/* --- time ------------------------------------------------------------------------------------- */

void explore_clock_set(int64_t ns)
{
    clock_ns = ns > clock_ns || !explorer.is_running ? ns : clock_ns;
}

_Atomic int64_t skua__clock_virtual_ns;

int64_t skua__clock_real_ns(void)
{
    return clock_ns;
}

int64_t skua__clock_ns(void)
{
    return clock_ns;
}

/* --- memory ----------------------------------------------------------------------------------- */

_Atomic int64_t skua__alloc_budget;

void *skua__alloc(size_t bytes)
{
    return plain_alloc(16, bytes);
}

void *skua__alloc_aligned(size_t alignment, size_t bytes)
{
    return plain_alloc(alignment, bytes);
}

char *skua__alloc_string(const char *string)
{
    size_t bytes = strlen(string) + 1;
    return memcpy(skua__alloc(bytes), string, bytes);
}

void skua__free(void *memory)
{
    if (memory != NULL) {
        plain_free(memory);
    }
}

/* --- the process ------------------------------------------------------------------------------ */

static const volatile int one = 1;
const volatile int *skua__origin_word = &one;

/* --- panics ----------------------------------------------------------------------------------- */

const char *(*skua__panic_task_name)(void);

void skua__panic_at(const char *file, int line, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    explore_fail(file, line, "panic: %s", text);
}

void skua__report(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    explorer_trace("a report: %.80s", format);
    va_end(arguments);
}

void skua__runtime_report(const skua_runtime *runtime, skua_report_kind kind, const char *format,
                          ...)
{
    (void)runtime, (void)kind;
    explorer_trace("a report: %.80s", format);
}

void skua__runtime_report_failure(const struct skua_task *task)
{
    (void)task;
    explorer_trace("a report of a failure");
}

void skua__room_wake(struct skua__room *room)
{
    (void)room; /* no limit on tasks: nobody waits for room */
}

void skua__thread_wait_exactly(void) {}
