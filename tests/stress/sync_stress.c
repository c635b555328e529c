/* All that tasks meet at, under load: random wishes, with deadlines and cancels at any moment. What
   was taken and given back adds up, who is inside is inside rightly, and everybody who waits
   without a limit gets through in the end. The rounds go on for SKUA_STRESS_SECONDS, shared by the
   tests. */
#include "../tasks.h"
#include "base/compiler.h"

#include <skua/limit.h>
#include <skua/meet.h>
#include <skua/sync.h>
#include <skua/testing.h>

enum { TESTS = 4, PLAYERS = 16, TRIES = 200 / TEST_SCALE };

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 8) / TESTS);
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 6)) {
    case 0:
        return SKUA_NOW;
    case 1:
        return skua_after(0);
    case 2:
    case 3:
        return skua_after((int64_t)below(random, 100000));
    default:
        return SKUA_FOREVER;
    }
}

/* One call, and what follows it. */
typedef struct move {
    int (*make)(struct move *self);
    skua_time deadline;
    uint64_t random;
    uint32_t stays; /* yields while it has what it took */
} move;

static void stay(const move *self)
{
    for (uint32_t i = 0; i < self->stays; i++) {
        (void)!skua_yield();
    }
}

static int make_move(void *arg)
{
    move *self = arg;
    return self->make(self);
}

/* Makes the move here, within a limit, or in a task that is perhaps cancelled. */
static int make_somehow(move *self)
{
    uint32_t yields, cancels;
    skua_task *task;
    switch (below(&self->random, 3)) {
    case 0:
        return self->make(self);
    case 1:
        return skua_within(skua_after((int64_t)below(&self->random, 200000)), make_move, self);
    default:
        yields = below(&self->random, 4);
        cancels = below(&self->random, 2);
        task = spawn(make_move, self);
        for (; yields > 0; yields--) {
            (void)!skua_yield();
        }
        if (cancels) {
            skua_task_cancel(task);
        }
        return finish(task);
    }
}

static void check_status(int status)
{
    CHECK(status >= 0 || status == -ECANCELED || status == -ETIMEDOUT || status == -EAGAIN);
}

/* Plays its moves; `pick` chooses the next one. */
typedef struct player {
    move move;
    void (*pick)(move *move);
} player;

static int play(void *arg)
{
    player *self = arg;
    for (int i = 0; i < TRIES; i++) {
        self->move.deadline = some_deadline(&self->move.random);
        self->move.stays = below(&self->move.random, 3);
        self->pick(&self->move);
        check_status(make_somehow(&self->move));
    }
    return 0;
}

static void play_all(uint64_t *random, void (*pick)(move *))
{
    static player players[PLAYERS];
    skua_task *tasks[PLAYERS];
    for (int i = 0; i < PLAYERS; i++) {
        players[i] = (player){.move = {.random = test_random(random)}, .pick = pick};
        tasks[i] = spawn(play, &players[i]);
    }
    for (int i = 0; i < PLAYERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
}

static void run_storms(skua_fn body)
{
    uint64_t random = test_seed();
    skua_time end = end_of_test();
    do {
        run_on_with(1u << below(&random, 3), body, &random);
    } while (skua_clock().ns < end.ns);
}

/* --- what is taken and given back --- */

enum { PERMITS = 5, PLACES = 3, BURST = 4, PER_SECOND = 500000 };
static struct {
    skua_sem sem;
    _Atomic long permits_out;
    skua_limiter limiter;
    gate borrowers;
    skua_rwlock lock;
    gate readers, writers;
    skua_rate rate;
    _Atomic long tokens;
    skua_time rate_begin;
} store;

static int move_sem(move *self)
{
    size_t wish = below(&self->random, PERMITS) + 1;
    int status = skua_sem_acquire(&store.sem, wish, self->deadline);
    if (status < 0) {
        return status;
    }
    CHECK(atomic_fetch_add(&store.permits_out, (long)wish) + (long)wish <= PERMITS);
    stay(self);
    atomic_fetch_sub(&store.permits_out, (long)wish);
    skua_sem_release(&store.sem, wish);
    return 0;
}

static int move_limiter(move *self)
{
    SKUA_BORROWER(borrower);
    if (below(&self->random, 8) == 0) {
        skua_limiter_set_total(&store.limiter, 1 + below(&self->random, PLACES));
    }
    int status = skua_limiter_borrow(&store.limiter, &borrower, self->deadline);
    if (status < 0) {
        return status;
    }
    CHECK(atomic_fetch_add(&store.borrowers, 1) < PLACES);
    stay(self);
    atomic_fetch_sub(&store.borrowers, 1);
    return 0;
}

static int move_write(move *self)
{
    SKUA_GUARD(guard);
    int status = skua_guard_write(&guard, &store.lock, self->deadline);
    if (status < 0) {
        return status;
    }
    CHECK_INT(atomic_fetch_add(&store.writers, 1), 0);
    CHECK_INT(atomic_load(&store.readers), 0);
    stay(self);
    atomic_fetch_sub(&store.writers, 1);
    if (below(&self->random, 2)) {
        skua_guard_unlock(&guard);
    }
    return 0;
}

static int move_read(move *self)
{
    int status = skua_rwlock_read(&store.lock, self->deadline);
    if (status < 0) {
        return status;
    }
    atomic_fetch_add(&store.readers, 1);
    CHECK_INT(atomic_load(&store.writers), 0);
    stay(self);
    atomic_fetch_sub(&store.readers, 1);
    skua_rwlock_read_unlock(&store.lock);
    return 0;
}

static int move_downgrade(move *self)
{
    int status = skua_rwlock_write(&store.lock, self->deadline);
    if (status < 0) {
        return status;
    }
    atomic_fetch_add(&store.readers, 1); /* nobody looks before the downgrade */
    skua_rwlock_downgrade(&store.lock);
    CHECK_INT(atomic_load(&store.writers), 0);
    stay(self);
    atomic_fetch_sub(&store.readers, 1);
    skua_rwlock_read_unlock(&store.lock);
    return 0;
}

static int move_rate(move *self)
{
    size_t wish = below(&self->random, BURST + 1);
    int status = skua_rate_take(&store.rate, wish, self->deadline);
    if (status < 0) {
        return status;
    }
    long tokens = atomic_fetch_add(&store.tokens, (long)wish) + (long)wish;
    int64_t ns = skua_elapsed_ns(store.rate_begin);
    CHECK((tokens - BURST) * (SKUA_SEC(1) / PER_SECOND) <= ns);
    return 0;
}

static void pick_from_store(move *self)
{
    static int (*const moves[])(move *) = {move_sem,       move_sem,  move_limiter, move_write,
                                           move_downgrade, move_read, move_read,    move_rate};
    self->make = moves[below(&self->random, SKUA_COUNT_OF(moves))];
}

static int store_body(void *random)
{
    skua_limiter_stats stats;
    memset(&store, 0, sizeof store);
    skua_sem_init_bounded(&store.sem, PERMITS);
    skua_limiter_init(&store.limiter, PLACES);
    skua_rate_init(&store.rate, PER_SECOND, BURST);
    store.rate_begin = skua_clock();
    play_all(random, pick_from_store);
    CHECK_INT(skua_sem_available(&store.sem), PERMITS);
    skua_limiter_get_stats(&store.limiter, &stats);
    CHECK_INT(stats.borrowed, 0);
    CHECK_INT(stats.waiting, 0);
    CHECK_INT(skua_rwlock_write(&store.lock, SKUA_NOW), 0);
    skua_rwlock_write_unlock(&store.lock);
    CHECK_INT(skua_rate_take(&store.rate, 0, SKUA_FOREVER), 0);
    return 0;
}

static void accounts_balance(void **state)
{
    run_storms(store_body);
}

/* --- conditions: as many are taken as were brought --- */

static struct {
    skua_mutex mutex;
    skua_cond filled;
    long items, brought, taken;
    gate is_over;
} shelf;

static int move_take(move *self)
{
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &shelf.mutex, self->deadline);
    while (status == 0 && shelf.items == 0) {
        status = skua_cond_wait(&shelf.filled, &shelf.mutex, self->deadline);
    }
    if (status == 0) {
        shelf.items--;
        shelf.taken++;
    }
    return status;
}

static void pick_taking(move *self)
{
    self->make = move_take;
}

/* One item, one signal; and no other before that one was taken. If a signal was lost, the item
   would lie beside its waiters for ever. */
static int bring_items(void *arg)
{
    while (!atomic_load(&shelf.is_over)) {
        CHECK_INT(skua_mutex_lock(&shelf.mutex, SKUA_FOREVER), 0);
        if (shelf.items == 0) {
            shelf.items++;
            shelf.brought++;
            skua_cond_signal(&shelf.filled);
        }
        skua_mutex_unlock(&shelf.mutex);
        (void)!skua_yield();
    }
    return 0;
}

static int shelf_body(void *random)
{
    memset(&shelf, 0, sizeof shelf);
    skua_task *bringer = spawn(bring_items, NULL);
    play_all(random, pick_taking);
    atomic_store(&shelf.is_over, 1);
    CHECK_INT(finish(bringer), 0);
    CHECK_INT(shelf.brought, shelf.taken + shelf.items);
    return 0;
}

static void no_signal_is_lost(void **state)
{
    run_storms(shelf_body);
}

/* --- meetings --- */

enum { PARTIES = 3 };
static struct {
    skua_barrier barrier;
    _Atomic long met, places;
    skua_event event;
    skua_wait_group group;
    skua_once once;
    gate once_runs, once_done;
    gate is_over;
} yard;

static int move_meet(move *self)
{
    int place = skua_barrier_wait(&yard.barrier, self->deadline);
    if (place >= 0) {
        CHECK(place < PARTIES);
        atomic_fetch_add(&yard.met, 1);
        atomic_fetch_add(&yard.places, place);
    }
    return place;
}

static int move_event(move *self)
{
    return skua_event_wait(&yard.event, self->deadline);
}

static int move_group(move *self)
{
    if (below(&self->random, 2)) {
        return skua_wait_group_wait(&yard.group, self->deadline);
    }
    skua_wait_group_add(&yard.group, 1);
    stay(self);
    skua_wait_group_done(&yard.group);
    return 0;
}

/* Succeeds now and then. */
static int run_once(void *arg)
{
    move *self = arg;
    CHECK_INT(atomic_fetch_add(&yard.once_runs, 1), 0);
    stay(self);
    CHECK_INT(atomic_fetch_sub(&yard.once_runs, 1), 1);
    if (below(&self->random, 20) > 0) {
        return -EAGAIN;
    }
    CHECK_INT(atomic_fetch_add(&yard.once_done, 1), 0);
    return 5;
}

static int move_once(move *self)
{
    int status = skua_once_run(&yard.once, run_once, self, self->deadline);
    CHECK(status < 0 || status == 5);
    return status;
}

static void pick_meeting(move *self)
{
    static int (*const moves[])(move *) = {move_meet, move_meet, move_event, move_group, move_once};
    self->make = moves[below(&self->random, SKUA_COUNT_OF(moves))];
}

/* Sets and clears the event, and comes to the barrier, so that nobody is left waiting there. */
static int keep_going(void *arg)
{
    move self = {.deadline = skua_after(0)};
    while (!atomic_load(&yard.is_over)) {
        skua_event_set(&yard.event);
        skua_event_clear(&yard.event);
        self.deadline = skua_after(50000);
        (void)move_meet(&self);
    }
    return 0;
}

static int yard_body(void *random)
{
    skua_task *keepers[PARTIES];
    memset(&yard, 0, sizeof yard);
    skua_barrier_init(&yard.barrier, PARTIES);
    for (int i = 0; i < PARTIES; i++) {
        keepers[i] = spawn(keep_going, NULL);
    }
    play_all(random, pick_meeting);
    atomic_store(&yard.is_over, 1);
    for (int i = 0; i < PARTIES; i++) {
        CHECK_INT(finish(keepers[i]), 0);
    }
    /* Each opening had all its parties, each with a place of its own. */
    CHECK_INT(atomic_load(&yard.met) % PARTIES, 0);
    CHECK_INT(atomic_load(&yard.places), atomic_load(&yard.met) / PARTIES * (0 + 1 + 2));
    CHECK_INT(skua_barrier_waiting(&yard.barrier), 0);
    CHECK_INT(skua_wait_group_count(&yard.group), 0);
    CHECK_INT(skua_once_is_done(&yard.once), atomic_load(&yard.once_done));
    return 0;
}

static void everybody_gets_through(void **state)
{
    run_storms(yard_body);
}

/* --- the same on schedules that can be repeated: SKUA_SEED= what a failure prints --- */

static void schedules_by_seed(void **state)
{
    static const skua_fn bodies[] = {store_body, shelf_body, yard_body};
    uint64_t random = test_seed();
    skua_time end = end_of_test();
    do {
        for (size_t i = 0; i < SKUA_COUNT_OF(bodies); i++) {
            const skua_test_opts opts = {.seeded = true, .seed = test_random(&random) | 1};
            uint64_t moves = opts.seed;
            CHECK_INT(skua_test_run(&opts, bodies[i], &moves), 0);
        }
    } while (skua_clock().ns < end.ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accounts_balance),
        TEST(no_signal_is_lost),
        TEST(everybody_gets_through),
        TEST(schedules_by_seed),
    };
    return TEST_RUN(tests);
}
