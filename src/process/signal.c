/* Signals as events.

   One handler for all: it calls the handler that the program had before, counts, rings the bells of
   those who listen, and goes. It runs on whichever thread the kernel chooses, at any moment, so
   it touches nothing but static atomics and an eventfd for each listener, which its task reads as
   it would any fd: an idle worker sleeps in the poller and is woken at once.

   Invariants
   (N1) The counts of signals only grow. A listener keeps how many of each it has told of; what it
        has to tell is the difference, whatever its bell says. The bell only ends waits.
   (N2) The handler counts before it looks for ears; who opens a listener puts up its ear before he
        looks at the counts. So each signal is heard of by one way or the other.
   (N3) A bell is rung only by a handler that is inside of its ear, and closed only after the ear
        was taken down and nobody is inside: so nothing is written to a number that is another
        file's by then.
   (N4) Actions change under the lock: ours is put in by the first listener of a signal, and the one
        before is put back by the last, if ours is still there.

   A child that the program has forked has the handler, too, but nobody who listens: there a signal
   does what it would have done without us.

   Rejected: signalfd (signals would have to be blocked in all threads of the program, and those of
   libraries that start their own); a wait without a listener (between two of them a signal would do
   what it does by default: end the program). */
#define _GNU_SOURCE 1
#include "process/signal.h"

#include "base/futex.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "io/call.h"
#include "mem/forked.h"
#include "process/call.h"
#include "sched/signals.h"
#include "sched/waiter.h"

#include <skua/io.h>
#include <skua/runtime.h>
#include <string.h>

enum { EARS = 256 };

/* 1: who listens. Written by who opens and closes, read by handlers. */
struct ear {
    _Atomic uint64_t set; /* 0: taken down */
    _Atomic uint32_t inside;
    _Atomic int bell;
};

/* What a signal did before. */
struct action {
    uint32_t users;
    struct sigaction before;
    _Atomic uintptr_t next; /* the program's handler, or 0 */
    _Atomic bool next_gets_info;
};

static _Atomic uint32_t counts[SKUA__SIGNALS];
static _Atomic int senders[SKUA__SIGNALS];
static struct ear ears[EARS];
static _Atomic uint32_t ears_used; /* those behind were never put up */

static struct skua__lock lock; /* SKUA__RANK_SERVICE */
static struct action actions[SKUA__SIGNALS];
static bool is_taken[EARS];

static uint64_t bit_of(int number)
{
    return (uint64_t)1 << (number - 1);
}

/* --- the handler ------------------------------------------------------------------------------ */

static void ring(struct ear *ear, uint64_t bit)
{
    if ((skua__load(&ear->set, relaxed) & bit) == 0) {
        return;
    }
    /* seq_cst: orders our coming before the look at the ear; pairs with take_down() (N3). */
    skua__fetch_add(&ear->inside, 1, seq_cst);
    if ((skua__load(&ear->set, seq_cst) & bit) != 0) { /* pairs as above */
        skua__call_ring(skua__load(&ear->bell, relaxed));
    }
    /* release: orders the ring before our going; pairs with the acquire in take_down(). */
    skua__fetch_sub(&ear->inside, 1, release);
}

static void call_next(int number, siginfo_t *info, void *context)
{
    const struct action *action = &actions[number];
    uintptr_t next = skua__load(&action->next, relaxed);
    if (next != 0 && skua__load(&action->next_gets_info, relaxed)) {
        ((void (*)(int, siginfo_t *, void *))next)(number, info, context);
    } else if (next != 0) {
        ((void (*)(int))next)(number);
    }
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    call_next(number, info, context); /* first: who hears of the signal finds it done */
    if (skua__process_is_forked()) {
        if (skua__load(&actions[number].next, relaxed) == 0) {
            signal(number, SIG_DFL);
            raise(number); /* delivered when the handler returns */
        }
    } else {
        skua__store(&senders[number], info->si_code <= 0 ? info->si_pid : 0, relaxed);
        /* seq_cst: pairs with put_up(): orders the count before the looks at the ears (N2). */
        skua__fetch_add(&counts[number], 1, seq_cst);
        /* acquire: pairs with the release in put_up(). */
        uint32_t used = skua__load(&ears_used, acquire);
        for (uint32_t i = 0; i < used; i++) {
            ring(&ears[i], bit_of(number));
        }
    }
    errno = saved_errno;
}

/* --- actions ---------------------------------------------------------------------------------- */

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_signal;
}

/* The program's handler goes on to be called; that of skua_run() does not, nor is a default action
   taken. */
static void note_next(struct action *action)
{
    const struct sigaction *before = &action->before;
    bool gets_info = (before->sa_flags & SA_SIGINFO) != 0;
    bool is_handler = gets_info || (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN);
    uintptr_t next = gets_info ? (uintptr_t)before->sa_sigaction : (uintptr_t)before->sa_handler;
    skua__store(&action->next_gets_info, gets_info, relaxed);
    skua__store(&action->next, is_handler && !skua__run_has_handler(before) ? next : 0, relaxed);
}

/* With the lock. 0, -EINVAL: no signal, or libc's own. */
static int install(int number)
{
    struct action *action = &actions[number];
    struct sigaction ours = {.sa_sigaction = on_signal};
    ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    if (action->users == 0) {
        if (sigaction(number, NULL, &action->before) != 0) {
            return -EINVAL;
        }
        note_next(action);
        if (sigaction(number, &ours, NULL) != 0) {
            return -EINVAL;
        }
    }
    action->users++;
    return 0;
}

/* With the lock. `is_heeded`: some skua_run() still wants its handler. */
static void uninstall(int number, bool is_heeded)
{
    struct action *action = &actions[number];
    struct sigaction present;
    if (--action->users > 0 || sigaction(number, NULL, &present) != 0 || !is_ours(&present)) {
        return;
    }
    if (skua__run_has_handler(&action->before) && !is_heeded) {
        action->before.sa_handler = SIG_DFL;
    }
    sigaction(number, &action->before, NULL);
}

static void uninstall_all(uint64_t set, bool is_heeded)
{
    for (int number = 1; number < SKUA__SIGNALS; number++) {
        if ((set & bit_of(number)) != 0) {
            uninstall(number, is_heeded);
        }
    }
}

/* All or none. */
static int install_all(uint64_t set)
{
    uint64_t done = 0;
    for (int number = 1; number < SKUA__SIGNALS; number++) {
        if ((set & bit_of(number)) == 0) {
            continue;
        }
        int status = install(number);
        if (status < 0) {
            uninstall_all(done, true);
            return status;
        }
        done |= bit_of(number);
    }
    return 0;
}

/* --- ears ------------------------------------------------------------------------------------- */

/* With the lock: a free one, or -ENOSPC. */
static int take_ear(void)
{
    for (int i = 0; i < EARS; i++) {
        if (!is_taken[i]) {
            is_taken[i] = true;
            return i;
        }
    }
    return -ENOSPC;
}

static void put_up(int index, uint64_t set, int bell)
{
    struct ear *ear = &ears[index];
    skua__store(&ear->bell, bell, relaxed);
    if (skua__load(&ears_used, relaxed) <= (uint32_t)index) {
        /* release: publishes the number of ears; pairs with the acquire in on_signal(). */
        skua__store(&ears_used, (uint32_t)index + 1, release);
    }
    /* seq_cst: publishes the bell; pairs with the look in ring(), and orders it before our looks at
       the counts (N2). */
    skua__store(&ear->set, set, seq_cst);
}

static void take_down(int index)
{
    struct ear *ear = &ears[index];
    /* seq_cst: orders it before the look at who is inside; pairs with ring() (N3). */
    skua__store(&ear->set, 0, seq_cst);
    /* acquire and more: pairs with the release in ring(). */
    while (skua__load(&ear->inside, seq_cst) != 0) {
        skua__thread_yield();
    }
}

/* --- listeners -------------------------------------------------------------------------------- */

/* What cannot be caught, and what a thread brings upon itself. */
static bool is_for_listeners(int number)
{
    static const int others[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE,
                                 SIGILL,  SIGTRAP, SIGSYS,  SIGABRT};
    for (size_t i = 0; i < SKUA_COUNT_OF(others); i++) {
        if (number == others[i]) {
            return false;
        }
    }
    return number > 0 && number < SKUA__SIGNALS;
}

static int set_of(const int numbers[], size_t count, uint64_t *set)
{
    *set = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_for_listeners(numbers[i])) {
            return -EINVAL;
        }
        *set |= bit_of(numbers[i]);
    }
    return *set != 0 ? 0 : -EINVAL;
}

static int make_bell(void)
{
    int bell = skua__call_bell();
    int status = bell < 0 ? bell : skua_fd_adopt(bell);
    if (status < 0 && bell >= 0) {
        skua__call_close(bell);
    }
    return status < 0 ? status : bell;
}

/* It has its bell. */
static int begin(struct skua_signal *listener)
{
    skua__lock(&lock, SKUA__RANK_SERVICE);
    for (int number = 1; number < SKUA__SIGNALS; number++) {
        skua__store(&listener->seen[number], skua__load(&counts[number], relaxed), relaxed);
    }
    int status = listener->ear = take_ear();
    if (status >= 0) {
        put_up(listener->ear, listener->set, listener->bell);
        status = install_all(listener->set);
    }
    if (status < 0 && listener->ear >= 0) {
        take_down(listener->ear);
        is_taken[listener->ear] = false;
    }
    skua__unlock(&lock, SKUA__RANK_SERVICE);
    return status;
}

int skua_signal_open(skua_signal **out, const int numbers[], size_t count)
{
    uint64_t set = 0;
    if (skua__process_is_forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    int status = set_of(numbers, count, &set);
    if (status < 0) {
        return status;
    }
    struct skua_signal *listener = skua__alloc(sizeof *listener);
    if (listener == NULL) {
        return -ENOMEM;
    }
    listener->set = set;
    status = listener->bell = make_bell();
    if (status >= 0) {
        status = begin(listener);
        if (status < 0) {
            skua_close(listener->bell);
        }
    }
    if (status < 0) {
        skua__free(listener);
        return status;
    }
    *out = listener;
    return 0;
}

void skua_signal_close(skua_signal *listener)
{
    if (listener == NULL || skua__process_is_forked()) {
        return;
    }
    if (skua__load(&listener->waits, relaxed) > 0) {
        skua__panic("a listener for signals is closed while a task waits for it");
    }
    bool is_heeded = skua__run_heeds_signals();
    skua__lock(&lock, SKUA__RANK_SERVICE);
    uninstall_all(listener->set, is_heeded);
    take_down(listener->ear);
    is_taken[listener->ear] = false;
    skua__unlock(&lock, SKUA__RANK_SERVICE);
    skua_close(listener->bell);
    skua__free(listener);
}

/* --- telling ---------------------------------------------------------------------------------- */

static bool is_new(skua_signal *listener, int number)
{
    /* seq_cst: orders it after put_up(), and pairs with the count in on_signal() (N2). */
    return skua__load(&counts[number], seq_cst) != skua__load(&listener->seen[number], relaxed);
}

bool skua__signal_is_pending(skua_signal *listener)
{
    for (int number = 1; number < SKUA__SIGNALS; number++) {
        if ((listener->set & bit_of(number)) != 0 && is_new(listener, number)) {
            return true;
        }
    }
    return false;
}

/* Tell of this one, unless somebody else does. */
static bool take(skua_signal *listener, int number, skua_signal_info *info)
{
    uint32_t seen = skua__load(&listener->seen[number], relaxed);
    uint32_t count = skua__load(&counts[number], relaxed);
    if (count == seen || !skua__cas(&listener->seen[number], &seen, count, relaxed, relaxed)) {
        return false;
    }
    if (info != NULL) {
        *info = (skua_signal_info){.number = number,
                                   .count = count - seen,
                                   .sender = skua__load(&senders[number], relaxed)};
    }
    return true;
}

static bool take_any(skua_signal *listener, skua_signal_info *info)
{
    uint32_t turn = skua__load(&listener->turn, relaxed);
    for (uint32_t i = 0; i < SKUA__SIGNALS; i++) {
        uint32_t number = (turn + i) % SKUA__SIGNALS;
        if (number != 0 && (listener->set & bit_of((int)number)) != 0 &&
            is_new(listener, (int)number) && take(listener, (int)number, info)) {
            skua__store(&listener->turn, number + 1, relaxed);
            return true;
        }
    }
    return false;
}

int skua_signal_wait(skua_signal *listener, skua_signal_info *info, skua_time deadline)
{
    uint64_t rings;
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    skua__fetch_add(&listener->waits, 1, relaxed);
    while (status >= 0 && !take_any(listener, info)) {
        status = (int)skua_read(listener->bell, &rings, sizeof rings, deadline);
    }
    skua__fetch_sub(&listener->waits, 1, relaxed);
    return status < 0 ? status : 1;
}
