/* The line of waiters, in front of a semaphore, a condition, an event and a barrier; and the mutex
   that a condition locks again. Waiters are cancelled at any moment: what was theirs is kept, or
   goes to the next one, and nobody is left behind.

   Sources: sync/queue.c sync/sem.c sync/cond.c sync/mutex.c sync/event.c sync/barrier.c
     sched/waiter.c sched/scope.c sched/wheel.c
   Mutates: sync/queue.c sync/cond.c sync/mutex.c */
#include "fibers.h"

#include "base/mem.h"

#include <skua/meet.h>
#include <skua/sync.h>

enum { NOTE_GOT, NOTE_CANCELLED };

struct shared {
    skua_sem sem;
    skua_mutex mutex;
    skua_cond cond;
    skua_barrier barrier;
    int items;     /* under the mutex */
    int payload;   /* of who has the permit, or the place */
    int places[2]; /* taken at the barrier */
    int first_status;
};
static struct shared *shared;
static skua_event *event;
static _Atomic uint32_t *first_has_ended;

static void setup(void)
{
    shared = explore_alloc(sizeof *shared);
    first_has_ended = explore_alloc(sizeof *first_has_ended);
    fibers_make(3);
    for (int i = 0; i < 3; i++) {
        skua__wheel_init(&fibers->workers[i].wheel, skua__clock_ns());
    }
    skua_barrier_init(&shared->barrier, 2);
}

static void setup_event(void)
{
    setup();
    event = skua__alloc(sizeof *event);
    EXPLORE_CHECK(event != NULL);
}

static void setup_foreign(void)
{
    setup_event();
    fibers_make(0);
}

static void cancels_first(void)
{
    skua__scope_cancel(&fibers->tasks[0].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

static void note(int status)
{
    EXPLORE_CHECK(status >= 0 || status == -ECANCELED);
    explore_note(status >= 0 ? NOTE_GOT : NOTE_CANCELLED);
}

/* --- semaphore --- */

static void releases_one(void)
{
    shared->payload++;
    skua_sem_release(&shared->sem, 1);
}

static void acquires_or_is_cancelled(void)
{
    int status = skua_sem_acquire(&shared->sem, 1, SKUA_FOREVER);
    note(status);
    if (status == 0) {
        releases_one();
    }
}

static void acquires_one(void)
{
    EXPLORE_CHECK(skua_sem_acquire(&shared->sem, 1, SKUA_FOREVER) == 0);
    releases_one();
}

/* There is one permit: it stands in the way until it is cancelled. */
static void wishes_for_two(void)
{
    EXPLORE_CHECK(skua_sem_acquire(&shared->sem, 2, SKUA_FOREVER) == -ECANCELED);
    explore_note(NOTE_CANCELLED);
}

static void releases_one_and_cancels_first(void)
{
    releases_one();
    cancels_first();
}

static void sem_finish(void)
{
    fibers_check();
    EXPLORE_CHECK(skua_sem_acquire(&shared->sem, 1, SKUA_NOW) == 0);
    EXPLORE_CHECK(skua_sem_acquire(&shared->sem, 1, SKUA_NOW) == -EAGAIN);
}

/* --- condition --- */

static void lock(void)
{
    EXPLORE_CHECK(skua_mutex_lock(&shared->mutex, SKUA_FOREVER) == 0);
}

static void brings_item(void)
{
    lock();
    shared->items++;
    skua_cond_signal(&shared->cond);
    skua_mutex_unlock(&shared->mutex);
}

/* With the mutex. */
static int wait_for_item(void)
{
    int status = 0;
    while (status == 0 && shared->items == 0) {
        status = skua_cond_wait(&shared->cond, &shared->mutex, SKUA_FOREVER);
    }
    return status;
}

/* Brings back what it has taken. */
static void takes_or_is_cancelled(void)
{
    int status = skua_mutex_lock(&shared->mutex, SKUA_FOREVER);
    if (status == 0) {
        status = wait_for_item();
        if (status == 0) {
            skua_cond_signal(&shared->cond);
        }
        skua_mutex_unlock(&shared->mutex);
    }
    note(status);
}

static void takes_item(void)
{
    lock();
    EXPLORE_CHECK(wait_for_item() == 0);
    shared->items--;
    skua_mutex_unlock(&shared->mutex);
}

/* So that the signal may find one that has been cancelled and still stands in the line. */
static void cancels_first_and_brings_item(void)
{
    cancels_first();
    brings_item();
}

static void broadcasts(void)
{
    lock();
    shared->items += 2;
    skua_cond_broadcast(&shared->cond);
    skua_mutex_unlock(&shared->mutex);
}

static void cond_finish(void)
{
    fibers_check();
    EXPLORE_CHECK(shared->items == 0);
    EXPLORE_CHECK(shared->mutex.opaque[0] == 0);
}

/* --- event --- */

static void waits_and_frees(void)
{
    EXPLORE_CHECK(skua_event_wait(event, SKUA_FOREVER) == 0);
    EXPLORE_CHECK(shared->payload == 1);
    skua__free(event);
}

static void sets(void)
{
    shared->payload = 1;
    skua_event_set(event);
}

/* --- barrier --- */

static void takes_place(int place)
{
    EXPLORE_CHECK(place == 0 || place == 1);
    EXPLORE_CHECK(shared->places[place]++ == 0);
}

static void comes_or_is_cancelled(void)
{
    int status = skua_barrier_wait(&shared->barrier, SKUA_FOREVER);
    note(status);
    shared->first_status = status;
    if (status >= 0) {
        takes_place(status);
    }
    /* release: publishes the status; pairs with the acquire below. */
    skua__store(first_has_ended, 1, release);
}

static void comes(void)
{
    takes_place(skua_barrier_wait(&shared->barrier, SKUA_FOREVER));
}

static void cancels_first_and_replaces_it(void)
{
    cancels_first();
    explore_wait_while(first_has_ended, 0);
    /* acquire: pairs with the release above. An exchange sees the latest. */
    skua__exchange(first_has_ended, 1, acquire);
    if (shared->first_status < 0) {
        comes();
    }
}

static void barrier_finish(void)
{
    fibers_check();
    EXPLORE_CHECK(shared->places[0] == 1 && shared->places[1] == 1);
}

/* Three at a condition and its mutex: a preemption less. */
static void explore_fewer(const char *name, void (*first)(void), void (*second)(void),
                          void (*third)(void))
{
    explore(&(const struct explore_model){.name = name,
                                          .setup = setup,
                                          .finish = cond_finish,
                                          .threads = {first, second, third},
                                          .bounds_stale_reads = true,
                                          .preemptions_less = 1});
}

/* covers: B37 */
int main(void)
{
    EXPLORE_LARGE("sem: a release, a cancel", setup, sem_finish, acquires_or_is_cancelled,
                  acquires_one, releases_one_and_cancels_first);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE_LARGE("sem: a release and a cancel at once", setup, sem_finish,
                  acquires_or_is_cancelled, acquires_one, releases_one, cancels_first);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE_LARGE("sem: the head of the line leaves", setup, sem_finish, wishes_for_two,
                  acquires_one, releases_one_and_cancels_first);
    EXPLORE("cond: a signal", setup, cond_finish, takes_item, brings_item);
    explore_fewer("cond: a signal, a cancel", takes_or_is_cancelled, takes_item,
                  cancels_first_and_brings_item);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    explore_fewer("cond: a broadcast", takes_item, takes_item, broadcasts);
    EXPLORE("event: the waiter frees it", setup_event, fibers_check, waits_and_frees, sets);
    EXPLORE("event: foreign threads", setup_foreign, fibers_check, waits_and_frees, sets);
    EXPLORE_LARGE("barrier: a cancelled party is replaced", setup, barrier_finish,
                  comes_or_is_cancelled, comes, cancels_first_and_replaces_it);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    return 0;
}
