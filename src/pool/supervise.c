/* The supervisor: a task of each pool that talks to the zygote. It asks for workers, learns of
   their deaths, and takes everything down in the end.

   Invariants
   (S1) It alone asks for workers and adds and removes processes; it alone uses the control socket,
        but for NUDGE, and for the shutdown that tells the zygote that the pool closes.
   (S2) The control socket ends after the last DIED, or because the zygote is dead. In the second
        case the kernel kills the workers, and the supervisor sees each of them dead before it goes
        on.
   (S3) A worker that cannot be made is asked for again, after a pause that doubles up to
        BACKOFF_MAX_NS, and that a success ends. So are workers that die before they have done
        anything.
   (S4) When it ends there is no process, no fd and no other task of the pool.
   (S5) What DIED says has its effect in one turn under the lock: the job of the dead fails or waits
        again, and the spare takes its place and the next job. Only when those who were told have
        run is the memory of the dead given back and the zygote asked for another spare, so that
        neither delays anybody.

   If the runtime cancels it the program has forgotten the pool, or is ending: the pool is closed,
   and the rest happens in a shield. */
#include "base/panic.h"
#include "pool/state.h"

#include <skua/io.h>
#include <skua/scope.h>
#include <skua/task.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BACKOFF_MIN_NS = 10 * 1000 * 1000, BACKOFF_MAX_NS = 1000 * 1000 * 1000 };

static void nap(int64_t duration_ns)
{
    int error = skua_sleep(skua_after(duration_ns));
    (void)error; /* cancelled: the next wait will say so again */
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* The smallest number that no process has; -1: there is none. */
static int64_t take_number(struct skua__life *life)
{
    for (size_t i = 0; i < SKUA__NUMBERS_MAX / 64; i++) {
        if (~life->numbers[i] != 0) {
            const int bit = __builtin_ctzll(~life->numbers[i]);
            life->numbers[i] |= UINT64_C(1) << bit;
            return (int64_t)i * 64 + bit;
        }
    }
    return -1;
}

static void give_number(struct skua__life *life, uint32_t number)
{
    life->numbers[number / 64] &= ~(UINT64_C(1) << number % 64);
}

/* --- asking for processes --------------------------------------------------------------------- */

/* Forget a process that was never there, or is dead. */
static void remove_process(struct skua__process *process, int status)
{
    skua_pool *pool = process->pool;
    struct skua__after after;
    skua__after_init(&after);
    give_number(&pool->life, process->number);
    skua__pool_lock(pool);
    while (!skua__process_died(process, status, &after)) {
        skua__pool_unlock_after(pool, &after);
        skua__pool_lock(pool);
    }
    skua__life_promote(pool, &after);
    skua__pool_unlock_after(pool, &after);
}

/* A worker could not be made: the creator is told, or it is tried again later. */
static void cannot_make(skua_pool *pool, int error)
{
    struct skua__after after;
    skua__after_init(&after);
    if (pool->backoff_ns == 0 && pool->started) {
        skua__report("pool '%s': no new worker: %s; trying again", pool->name,
                     skua_error_text(error));
    }
    pool->backoff_ns = pool->backoff_ns == 0 ? BACKOFF_MIN_NS : 2 * pool->backoff_ns;
    pool->backoff_ns = pool->backoff_ns < BACKOFF_MAX_NS ? pool->backoff_ns : BACKOFF_MAX_NS;
    pool->retry_ns = skua__clock_real_ns() + pool->backoff_ns;
    skua__pool_lock(pool);
    if (!pool->started && pool->start_error == 0) {
        pool->start_error = error;
        skua__pool_notify(pool, &after);
    }
    skua__pool_unlock_after(pool, &after);
}

static int create_process(struct skua__process **out, skua_pool *pool)
{
    const int64_t number = take_number(&pool->life);
    if (number < 0) {
        return -EAGAIN; /* so many are dying; there will be some soon */
    }
    int error = skua__process_create(out, pool, pool->next_id);
    if (error < 0) {
        give_number(&pool->life, (uint32_t)number);
        return error;
    }
    (*out)->number = (uint32_t)number;
    pool->next_id++;
    error = skua__life_prepare_init(*out);
    if (error < 0) {
        skua__process_free(*out);
        give_number(&pool->life, (uint32_t)number);
    }
    return error;
}

/* From now on they are STARTING. The first ones become workers as long as any are missing. */
static void add_processes(skua_pool *pool, struct skua__process *const processes[], uint32_t count)
{
    skua__pool_lock(pool);
    for (uint32_t i = 0; i < count; i++) {
        processes[i]->life.is_spare = pool->worker_count >= pool->workers;
        *(processes[i]->life.is_spare ? &pool->spare_count : &pool->worker_count) += 1;
        skua__list_push_back(&pool->processes, &processes[i]->link);
    }
    skua__pool_unlock(pool);
}

/* Ask for up to `wanted` processes, in one message. Returns how many, or a negative errno. */
static int request_some(skua_pool *pool, uint32_t wanted)
{
    struct skua__process *processes[SKUA__MESSAGE_WORKERS];
    int fds[SKUA__MESSAGE_FDS];
    struct skua__message message = {.kind = SKUA__MESSAGE_FORK, .id = pool->next_id};
    int error = 0;
    while (message.count < SKUA__MESSAGE_WORKERS && message.count < wanted && error == 0) {
        error = create_process(&processes[message.count], pool);
        if (error == 0) {
            fds[2 * message.count] = processes[message.count]->memfd;
            fds[2 * message.count + 1] = processes[message.count]->talk.worker_end;
            message.numbers[message.count] = processes[message.count]->number;
            message.count++;
        }
    }
    if (message.count > 0) {
        error = skua__message_send(pool->control, &message, fds, (size_t)2 * message.count);
    }
    if (error < 0) {
        for (uint32_t i = 0; i < message.count; i++) {
            give_number(&pool->life, processes[i]->number);
            skua__process_free(processes[i]);
        }
        return error;
    }
    add_processes(pool, processes, message.count);
    return (int)message.count;
}

static uint32_t missing_processes(skua_pool *pool)
{
    skua__pool_lock(pool);
    const bool wanted = pool->state == SKUA__POOL_OPEN && pool->start_error == 0;
    const uint32_t there = pool->worker_count + pool->spare_count;
    const uint32_t needed = pool->workers + SKUA__SPARES;
    skua__pool_unlock(pool);
    return wanted && there < needed ? needed - there : 0;
}

/* Ask for the processes that are missing. Returns when to look again. */
static skua_time top_up(skua_pool *pool)
{
    uint32_t missing = missing_processes(pool);
    if (missing > 0 && skua__clock_real_ns() >= pool->retry_ns) {
        int result = 0;
        for (; missing > 0 && result >= 0; missing -= result > 0 ? (uint32_t)result : 0) {
            result = request_some(pool, missing);
        }
        if (result < 0 && result != -EPIPE) { /* the dead zygote is seen on the socket */
            cannot_make(pool, result);
        }
    }
    return missing > 0 ? skua_time_at(pool->retry_ns) : SKUA_FOREVER;
}

/* --- what the zygote says --------------------------------------------------------------------- */

static struct skua__process *find_process(skua_pool *pool, uint32_t id)
{
    for (struct skua__link *link = pool->processes.head.next; link != &pool->processes.head;
         link = link->next) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, link);
        if (process->id == id) {
            return process;
        }
    }
    return NULL;
}

/* The zygote sent a process but no pidfd: there was no room for one. It has to go, since only a
   pidfd makes it safe to kill it later. */
static void send_away(struct skua__process *process)
{
    skua_pool *pool = process->pool;
    const struct skua__message message = {.kind = SKUA__MESSAGE_KILL, .id = process->id};
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    if (process->state != SKUA__PROCESS_DOOMED) {
        skua__process_doom(process, &after, 0, NULL);
    }
    skua__pool_unlock_after(pool, &after);
    int error = skua__message_send(pool->control, &message, NULL, 0);
    if (error < 0 && error != -EPIPE) { /* a pool that closes has all its workers killed */
        skua__report("pool '%s': a worker that cannot be watched is left over", pool->name);
    }
    cannot_make(pool, -EMFILE);
}

static void welcome(struct skua__process *process, pid_t pid, int pidfd)
{
    skua_pool *pool = process->pool;
    struct skua__after after;
    skua__after_init(&after);
    close(process->memfd);
    process->memfd = -1;
    skua__talk_sent(&process->talk);
    if (pidfd < 0) {
        send_away(process);
        return;
    }
    skua__pool_lock(pool);
    process->pid = pid;
    process->pidfd = pidfd;
    if (process->state == SKUA__PROCESS_STARTING) { /* else the pool is closing */
        skua__life_begin(process, &after);
    }
    skua__pool_unlock_after(pool, &after);
}

/* Give up the reference to a dead process. Returns what its init job has failed with, or 0. */
static int give_up(struct skua__process *process)
{
    skua_pool *pool = process->pool;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    const int init_error = pool->state == SKUA__POOL_OPEN ? process->life.init_error : 0;
    skua__process_unref(process, &after);
    skua__pool_unlock_after(pool, &after);
    return init_error;
}

/* (S5) Whoever was just told comes first, also if there is one worker thread. */
static void let_others_run(void)
{
    int error = skua_yield();
    (void)error; /* cancelled: the next wait will say so again */
}

static void bid_farewell(struct skua__process *process, const struct skua__message *message)
{
    skua_pool *pool = process->pool;
    const int status = message->value;
    skua__pool_lock(pool);
    process->life.is_oom = (message->flags & SKUA__MESSAGE_OOM) != 0;
    const bool did_nothing = process->ring.last == 0 && process->state != SKUA__PROCESS_DOOMED;
    process->references++; /* for what its init job has said, and so that its memory stays */
    skua__pool_unlock(pool);
    remove_process(process, status);
    let_others_run();
    const int init_error = give_up(process);
    if (did_nothing && WIFEXITED(status)) {
        cannot_make(pool, -ECHILD); /* it did not get through its own set-up */
    } else if (init_error < 0) {
        cannot_make(pool, init_error);
    } else {
        pool->backoff_ns = 0;
    }
}

/* One message about a worker. */
static void hear_of(struct skua__process *process, const struct skua__message *message, int pidfd)
{
    if (message->kind == SKUA__MESSAGE_FORKED) {
        welcome(process, message->pid, pidfd);
    } else if (message->kind == SKUA__MESSAGE_REFUSED) {
        skua_pool *pool = process->pool;
        remove_process(process, 0);
        cannot_make(pool, message->value);
    } else if (message->kind == SKUA__MESSAGE_DIED) {
        bid_farewell(process, message);
    }
}

/* The zygote could not do what the settings ask for. */
static void start_in_vain(skua_pool *pool, int error)
{
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    if (!pool->started && pool->start_error == 0) {
        pool->start_error = -ENOTSUP;
        snprintf(pool->life.start_text, sizeof pool->life.start_text,
                 "the control group for the limits of pool '%s' could not be made: %s", pool->name,
                 skua_error_text(error));
        skua__pool_notify(pool, &after);
    }
    skua__pool_unlock_after(pool, &after);
}

/* One message of the zygote's. */
static void obey(skua_pool *pool, const struct skua__message *message, int pidfd)
{
    if (message->kind == SKUA__MESSAGE_NUDGE) {
        return; /* it is enough that we are awake */
    }
    if (message->kind == SKUA__MESSAGE_REFUSED && message->id == 0) {
        start_in_vain(pool, message->value);
        return;
    }
    struct skua__process *process = find_process(pool, message->id);
    if (process != NULL) {
        hear_of(process, message, pidfd);
        return;
    }
    skua__report("pool '%s': the zygote speaks of an unknown worker", pool->name);
    if (pidfd >= 0) {
        close(pidfd);
    }
}

/* All messages that are there. False: the socket has ended. */
static bool listen_to_zygote(skua_pool *pool)
{
    for (;;) {
        struct skua__message message;
        int fds[SKUA__MESSAGE_FDS];
        int result = skua__message_receive(pool->control, &message, fds);
        if (result == 1) {
            obey(pool, &message, fds[0]);
        } else {
            return result == -EAGAIN || result == -EPROTO;
        }
    }
}

/* --- the whole life --------------------------------------------------------------------------- */

/* Serve until the control socket ends. The shield is opened when the runtime cancels. */
static void serve(skua_pool *pool, skua_scope *shield)
{
    bool is_shielded = false;
    do {
        const skua_time retry = top_up(pool);
        skua__pool_hold_clock(pool, false);
        int ready = skua_wait_fd(pool->control, SKUA_READABLE, retry);
        skua__pool_hold_clock(pool, true);
        if (ready == -ECANCELED && !is_shielded) {
            is_shielded = true;
            skua_shield_open(shield, SKUA_FOREVER);
            skua__pool_stop(pool, SKUA__POOL_CLOSING);
        } else if (ready < 0 && ready != -ETIMEDOUT) {
            nap(SKUA_MS(1)); /* no memory to wait with, say */
        }
    } while (listen_to_zygote(pool));
    if (!is_shielded) {
        skua_shield_open(shield, SKUA_FOREVER);
    }
}

/* The zygote is dead, and its workers die with it: see that they do (S2). */
static void bury_all(skua_pool *pool)
{
    for (;;) {
        struct skua__link *first = skua__list_first(&pool->processes);
        if (first == NULL) {
            return;
        }
        struct skua__process *process = SKUA_CONTAINER(first, struct skua__process, link);
        skua__pool_lock(pool);
        skua__process_kill(process);
        skua__pool_unlock(pool);
        while (process->pidfd >= 0 &&
               skua_wait_fd(process->pidfd, SKUA_READABLE, SKUA_FOREVER) < 0) {
            nap(SKUA_MS(1));
        }
        remove_process(process, -1);
    }
}

static bool has_no_submissions(const skua_pool *pool)
{
    return pool->outstanding == 0;
}

/* Everything but the struct, and but for callers that are on their way out. Submissions are waited
   for, since a cancel of their tasks rings the bell. */
static void take_down(skua_pool *pool)
{
    int error = skua__pool_watch(pool, has_no_submissions, SKUA__HARD, SKUA_FOREVER);
    skua_require(error == 0);
    skua__pool_end_reactor(pool);
    skua__pool_lock(pool);
    const int control = pool->control;
    const int bell = pool->bell;
    pool->control = pool->bell = -1;
    skua__pool_unlock(pool);
    close(control);
    skua_close(bell);
}

/* The last access to the pool. */
static void finish(skua_pool *pool)
{
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    pool->finished = true;
    skua__pool_notify(pool, &after);
    skua__pool_unlock_after(pool, &after);
}

int skua__pool_supervise(void *arg)
{
    skua_pool *pool = arg;
    SKUA_SCOPE(shield);
    serve(pool, &shield);
    skua__pool_stop(pool, SKUA__POOL_BROKEN); /* unless it is closing */
    bury_all(pool);
    take_down(pool);
    skua__pool_orphan(pool);
    finish(pool);
    return skua_scope_close(&shield, 0);
}
