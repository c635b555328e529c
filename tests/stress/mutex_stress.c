/* Mutexes under load: deadlines and cancels at any moment, holders that wait, handing over. Whoever
   was given the mutex is alone with it, and everybody who waits without a limit gets it in the end.
   The rounds go on for SKUA_STRESS_SECONDS, shared by the tests. */
#include "../tasks.h"

#include <skua/sync.h>

enum { TESTS = 2, PLAYERS = 12, MUTEXES = 2, TRIES = 300 / TEST_SCALE };

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 8) / TESTS);
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* A mutex and what it guards. */
typedef struct table {
    skua_mutex mutex;
    int inside;
    long taken;
} table;

typedef struct player {
    table *table;
    skua_time deadline;
    uint32_t stays; /* yields while it holds the mutex */
    uint64_t random;
} player;

static table tables[MUTEXES];
static _Atomic long given[MUTEXES]; /* how often a lock said 0 */

/* Locks, looks whether it is alone, and stays for a while. */
static int play_once(void *arg)
{
    player *self = arg;
    table *at = self->table;
    int status = skua_mutex_lock(&at->mutex, self->deadline);
    if (status < 0) {
        return status;
    }
    CHECK_INT(at->inside++, 0);
    at->taken++;
    atomic_fetch_add(&given[at - tables], 1);
    for (uint32_t i = 0; i < self->stays; i++) {
        (void)skua_yield();
    }
    CHECK_INT(--at->inside, 0);
    skua_mutex_unlock(&at->mutex);
    return 0;
}

static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 5)) {
    case 0:
        return SKUA_NOW;
    case 1:
        return skua_after(0);
    case 2:
        return skua_after((int64_t)below(random, 100000));
    default:
        return SKUA_FOREVER;
    }
}

static int play_under_fire(void *arg)
{
    player *self = arg;
    for (int i = 0; i < TRIES; i++) {
        self->table = &tables[below(&self->random, MUTEXES)];
        self->deadline = some_deadline(&self->random);
        self->stays = below(&self->random, 3);
        int status;
        if (below(&self->random, 2)) {
            status =
                skua_within(skua_after((int64_t)below(&self->random, 200000)), play_once, self);
        } else {
            uint32_t yields = below(&self->random, 4), cancels = below(&self->random, 2);
            skua_task *task = spawn(play_once, self);
            for (; yields > 0; yields--) {
                (void)skua_yield();
            }
            if (cancels) {
                skua_task_cancel(task);
            }
            status = finish(task);
        }
        CHECK(status == 0 || status == -ECANCELED || status == -ETIMEDOUT || status == -EAGAIN);
    }
    return 0;
}

static int play_patiently(void *arg)
{
    player *self = arg;
    self->deadline = SKUA_FOREVER;
    for (int i = 0; i < TRIES; i++) {
        self->table = &tables[below(&self->random, MUTEXES)];
        self->stays = below(&self->random, 3);
        CHECK_INT(play_once(self), 0);
    }
    return 0;
}

typedef struct storm {
    uint64_t random;
    skua_fn play;
} storm;

static int play_all(void *arg)
{
    static player players[PLAYERS];
    storm *self = arg;
    skua_task *tasks[PLAYERS];
    memset(tables, 0, sizeof tables);
    memset(given, 0, sizeof given);
    for (int i = 0; i < PLAYERS; i++) {
        players[i].random = test_random(&self->random);
        tasks[i] = spawn(i % 3 == 0 ? play_patiently : self->play, &players[i]);
    }
    for (int i = 0; i < PLAYERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (int i = 0; i < MUTEXES; i++) {
        CHECK_INT(tables[i].taken, given[i]);
        CHECK_INT(tables[i].mutex.opaque[0], 0);
    }
    return 0;
}

static void run_storms(skua_fn play)
{
    storm self = {.random = test_seed(), .play = play};
    skua_time end = end_of_test();
    do {
        run_on_with(1u << below(&self.random, 3), play_all, &self);
    } while (skua_clock().ns < end.ns);
}

static void cancels_at_any_moment(void **state)
{
    run_storms(play_under_fire);
}

static void crowds(void **state)
{
    run_storms(play_patiently);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(cancels_at_any_moment), TEST(crowds)};
    return TEST_RUN(tests);
}
