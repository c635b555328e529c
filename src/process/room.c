/* The keepers: for each process a thread that has made its parent, waits for that, and tells those
   who wait.

   Invariants
   (K1) A handle is in the list of the room while somebody owns it: its keeper, or the program until
        it closes it.
   (K2) The parent is reaped after has_parent was taken back under the handle's lock: whoever kills
        it under that lock kills no stranger.
   (K3) A keeper that ends joins the one that ended before it, so at most one is unjoined at any
        time, and the end of the room joins that one.

   The end of the runtime kills what still runs, but for what is to outlive it, whose parent is
   killed instead, and awaits all keepers. No task is left by then, so nobody waits and nobody
   starts. */
#define _GNU_SOURCE 1
#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "base/sanitize.h"
#include "process/process.h"
#include "sched/report.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum { THREAD_NAME_BYTES = 16, THREAD_NAME_MAX = 13 };

static void room_lock(struct skua__process_room *room)
{
    skua__lock(&room->lock, SKUA__RANK_POOL);
}

static void room_unlock(struct skua__process_room *room)
{
    skua__unlock(&room->lock, SKUA__RANK_POOL);
}

/* --- owners ----------------------------------------------------------------------------------- */

void skua__process_leave(struct skua_process *process)
{
    struct skua__process_room *room = process->room;
    room_lock(room);
    bool is_last = --process->owners == 0;
    if (is_last) {
        skua__list_remove(&process->link);
    }
    room_unlock(room);
    if (is_last) {
        skua__free(process);
    }
}

/* --- the keeper ------------------------------------------------------------------------------- */

/* The next state, and all who wait are woken, to see for themselves. */
static void announce(struct skua_process *process, enum skua__process_state state, int error)
{
    struct skua__wake_list wakes;
    bool is_full = false;
    skua__wake_list_init(&wakes);
    skua__process_lock(process);
    process->state = state;
    process->error = error;
    skua__process_unlock(process);
    do { /* from here on nobody joins them */
        struct skua__link *link = NULL;
        skua__process_lock(process);
        is_full = false;
        while (!is_full && (link = skua__list_pop_front(&process->waiters)) != NULL) {
            struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
            if (skua__waiter_claim(waiter)) {
                waiter->result = error;
                is_full = skua__wake_list_add(&wakes, waiter->parker);
            }
        }
        skua__process_unlock(process);
        skua__wake_list_flush(&wakes);
    } while (is_full);
}

static void note_end(struct skua_process *process)
{
    const struct skua__birth *birth = &process->birth;
    bool was_killed = birth->how == CLD_KILLED || birth->how == CLD_DUMPED;
    process->status.code = was_killed || !birth->has_ended ? -1 : birth->value;
    process->status.signal = was_killed ? birth->value : 0;
    process->status.has_core = birth->how == CLD_DUMPED;
}

/* (K2) */
static void bury_parent(struct skua_process *process)
{
    skua__process_lock(process);
    process->has_parent = false;
    skua__process_unlock(process);
    skua__parent_reap(process->parent);
}

static void see_through(struct skua_process *process)
{
    struct skua__birth *birth = &process->birth;
    process->parent = skua__parent_begin(birth);
    if (process->parent < 0) {
        announce(process, SKUA__PROCESS_FAILED, process->parent);
        return;
    }
    skua__process_lock(process);
    process->has_parent = true;
    skua__process_unlock(process);
    skua__parent_await(birth, SKUA__BIRTH_BEGUN);
    bool has_started = birth->error == 0 && birth->pid > 0;
    if (has_started) {
        announce(process, SKUA__PROCESS_RUNNING, 0);
        skua__parent_await(birth, SKUA__BIRTH_STARTED);
    }
    bury_parent(process);
    if (has_started) {
        note_end(process);
        announce(process, SKUA__PROCESS_ENDED, birth->has_ended ? 0 : -ECHILD);
    } else {
        announce(process, SKUA__PROCESS_FAILED, birth->error < 0 ? birth->error : -ECHILD);
    }
}

static void *keeper_main(void *arg)
{
    struct skua_process *process = arg;
    struct skua__process_room *room = process->room;
    char name[THREAD_NAME_BYTES];
    snprintf(name, sizeof name, "%.*s-p", THREAD_NAME_MAX,
             skua__runtime_name(room->service.runtime));
    pthread_setname_np(pthread_self(), name);
    see_through(process);
    skua__process_leave(process);

    room_lock(room);
    bool has_predecessor = room->has_ended;
    pthread_t predecessor = room->ended;
    room->has_ended = true;
    room->ended = pthread_self();
    /* release: publishes who is to be joined; pairs with the acquire in await_keepers(). */
    skua__fetch_sub(&room->keepers, 1, release);
    room_unlock(room);
    skua__futex_wake(&room->keepers, INT_MAX, false); /* the room lasts until we are joined */
    if (has_predecessor) {
        pthread_join(predecessor, NULL);
    }
    return NULL;
}

/* All signals stay the program's own threads', and are blocked in the parent. */
static int start_thread(struct skua_process *process)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return -EAGAIN;
    }
    pthread_attr_setstacksize(&attributes, SKUA__STACK_BYTES_DEFAULT);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attributes, keeper_main, process);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error == 0 ? 0 : -EAGAIN;
}

int skua__process_keep(struct skua_process *process)
{
    struct skua__process_room *room = process->room;
    room_lock(room);
    skua__list_push_back(&room->all, &process->link);
    process->owners = 2;
    skua__fetch_add(&room->keepers, 1, relaxed);
    room_unlock(room);
    int status = start_thread(process);
    if (status < 0) {
        room_lock(room);
        process->owners = 1;
        skua__fetch_sub(&room->keepers, 1, relaxed);
        room_unlock(room);
    }
    return status;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void end_process(struct skua_process *process)
{
    struct skua__birth *birth = &process->birth;
    skua__process_lock(process);
    if (birth->outlives && process->has_parent) {
        kill(process->parent, SIGKILL); /* (K2); the child is init's from now on */
    }
    bool runs = process->state == SKUA__PROCESS_RUNNING && !birth->outlives;
    skua__process_unlock(process);
    if (!runs || skua__child_signal(birth, SIGKILL, true) != 0 || process->is_closed) {
        return;
    }
    skua__runtime_report(process->room->service.runtime, SKUA_REPORT_LEFT,
                         "process %d ('%s') was still running, and has been killed",
                         (int)birth->pid, process->name);
}

static void end_all(struct skua__process_room *room)
{
    room_lock(room);
    for (struct skua__link *link = room->all.head.next; link != &room->all.head;
         link = link->next) {
        end_process(SKUA_CONTAINER(link, struct skua_process, link));
    }
    room_unlock(room);
}

static void await_keepers(struct skua__process_room *room)
{
    uint32_t count;
    /* acquire: pairs with the release in keeper_main(). */
    while ((count = skua__load(&room->keepers, acquire)) != 0) {
        skua__futex_wait(&room->keepers, count, SKUA__NEVER, false);
    }
    room_lock(room);
    bool has_ended = room->has_ended;
    pthread_t ended = room->ended;
    room_unlock(room);
    if (has_ended) {
        pthread_join(ended, NULL);
    }
}

static void room_destroy(struct skua__service *service)
{
    struct skua__process_room *room = SKUA_CONTAINER(service, struct skua__process_room, service);
    struct skua__link *link;
    end_all(room);
    await_keepers(room);
    while ((link = skua__list_pop_front(&room->all)) != NULL) {
        struct skua_process *process = SKUA_CONTAINER(link, struct skua_process, link);
        skua__process_close_fds(process);
        skua__free(process);
    }
    skua__free(room);
}

static int room_create(skua_runtime *runtime, struct skua__service **out)
{
    struct skua__process_room *room = skua__alloc(sizeof *room);
    (void)runtime;
    if (room == NULL) {
        return -ENOMEM;
    }
    skua__list_init(&room->all);
    room->service.destroy = room_destroy;
    *out = &room->service;
    return 0;
}

int skua__process_room_get(struct skua__process_room **out)
{
    struct skua__service *service = NULL;
    int status = skua__service_get(SKUA__SERVICE_PROCESS, &service, room_create);
    if (status == 0) {
        *out = SKUA_CONTAINER(service, struct skua__process_room, service);
    }
    return status;
}
