/* Deadlines that are moved, by whom and when; and the calls that run a function under one. */
#include "tasks.h"

#include "sched/runtime.h"

#include <pthread.h>
#include <skua/fork.h>
#include <skua/testing.h>

/* Under the virtual clock no moment comes while anybody has something to do. */
static void run_virtually_on_1_2_4(skua_fn fn)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_test_opts opts = {
            .workers = workers, .virtual_clock = true, .timeout_ns = TEST_PATIENCE_NS};
        CHECK_INT(skua_test_run(&opts, fn, NULL), 0);
    }
}

static int sleep_100_s(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(100)));
}

static int return_17(void *arg)
{
    return 17;
}

static int fail_io(void *arg)
{
    return -EIO;
}

/* A scope that others can reach, and whether somebody waits in it. */
typedef struct shared_scope {
    skua_scope scope;
    gate waits;
    int64_t move_ns; /* to so much from now */
} shared_scope;

static int wait_in_scope(void *arg)
{
    shared_scope *shared = arg;
    atomic_store(&shared->waits, 1);
    return skua_sleep(SKUA_FOREVER);
}

static int move_deadline(void *arg)
{
    shared_scope *shared = arg;
    await(&shared->waits, 1);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0); /* usually it waits by now */
    skua_scope_deadline(&shared->scope, skua_after(shared->move_ns));
    return 0;
}

static void *move_from_outside(void *arg)
{
    CHECK_INT(move_deadline(arg), 0);
    return NULL;
}

/* --- moving ----------------------------------------------------------------------------------- */

static int earlier_body(void *arg)
{
    const skua_time firsts[] = {SKUA_FOREVER, skua_after(SKUA_SEC(100))};
    for (size_t i = 0; i < 2; i++) {
        shared_scope shared = {.move_ns = SKUA_MS(2)};
        skua_scope_open(&shared.scope, firsts[i]);
        skua_task *mover = spawn(move_deadline, &shared);
        const int status = wait_in_scope(&shared);
        CHECK_INT(status, -ECANCELED);
        CHECK_INT(skua_cancel_reason(), -ETIMEDOUT);
        CHECK(skua_scope_expired(&shared.scope));
        CHECK_INT(skua_scope_close(&shared.scope, status), -ETIMEDOUT);
        CHECK_INT(finish(mover), 0);
    }
    return 0;
}

/* covers: A39 B10 */
static void a_deadline_brought_forward_reaches_who_waits(void **state)
{
    run_on_1_2_4(earlier_body);
}

static int earlier_from_outside_body(void *arg)
{
    shared_scope shared = {.move_ns = 0};
    pthread_t thread;
    skua_scope_open(&shared.scope, SKUA_FOREVER);
    CHECK_INT(pthread_create(&thread, NULL, move_from_outside, &shared), 0);
    const int status = skua_scope_close(&shared.scope, wait_in_scope(&shared));
    CHECK_INT(status, -ETIMEDOUT);
    CHECK_INT(pthread_join(thread, NULL), 0);
    return 0;
}

/* covers: B10 */
static void a_foreign_thread_may_move_it(void **state)
{
    run_on_1_2_4(earlier_from_outside_body);
}

static int put_off(void *arg)
{
    shared_scope *shared = arg;
    await(&shared->waits, 1);
    skua_scope_deadline(&shared->scope, SKUA_FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(60))), 0); /* past the first one */
    CHECK(!skua_scope_expired(&shared->scope));
    skua_scope_cancel(&shared->scope);
    return 0;
}

static int later_body(void *arg)
{
    shared_scope shared = {.move_ns = 0};
    skua_scope_open(&shared.scope, skua_after(SKUA_MS(50)));
    skua_task *mover = spawn(put_off, &shared);
    const int status = wait_in_scope(&shared);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_cancel_reason(), -ECANCELED); /* the cancel, not the deadline */
    CHECK_INT(skua_scope_close(&shared.scope, status), 0);
    return finish(mover);
}

/* covers: A39 B10 */
static void a_deadline_that_was_put_off_does_not_fire(void **state)
{
    run_virtually_on_1_2_4(later_body);
}

/* A watchdog: each item may take its time, all together take longer. */
static int reschedule_body(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, skua_after(SKUA_MS(20)));
    const skua_time first = skua_scope_when(&scope);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(8))), 0);
        skua_scope_deadline(&scope, skua_after(SKUA_MS(20)));
        CHECK(skua_scope_when(&scope).ns > first.ns);
    }
    skua_scope_deadline(&scope, skua_after(SKUA_MS(1)));
    return skua_scope_close(&scope, skua_sleep(SKUA_FOREVER)) == -ETIMEDOUT ? 0 : -EPROTO;
}

/* covers: A39 */
static void who_runs_inside_may_move_its_own_deadline(void **state)
{
    run_virtually_on_1_2_4(reschedule_body);
}

static int fired_body(void *arg)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, skua_after(0));
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK(skua_scope_expired(&scope));
    skua_scope_deadline(&scope, SKUA_FOREVER);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_scope_when(&scope).ns, SKUA_NOW.ns);
    skua_scope_cancel(&scope); /* comes too late to be the cause */
    CHECK_INT(skua_cancel_reason(), -ETIMEDOUT);
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
    return 0;
}

static void what_has_fired_cannot_be_taken_back(void **state)
{
    run_on(2, fired_body);
}

static int when_body(void *arg)
{
    const skua_time moment = skua_after(SKUA_SEC(30));
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    CHECK_INT(skua_scope_when(&scope).ns, SKUA_FOREVER.ns);
    skua_scope_deadline(&scope, moment);
    CHECK_INT(skua_scope_when(&scope).ns, moment.ns);
    CHECK(!skua_scope_expired(&scope));
    skua_scope_deadline(&scope, SKUA_FOREVER);
    CHECK_INT(skua_scope_when(&scope).ns, SKUA_FOREVER.ns);
    CHECK_INT(skua_sleep(skua_after(SKUA_US(10))), 0);
    skua_scope_deadline(&scope, SKUA_NOW);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
    return 0;
}

/* covers: A39 */
static void when_tells_the_deadline(void **state)
{
    run_on(2, when_body);
}

/* The one who waits is three scopes further in, or on another stack. */
static int wait_deeper(void *arg)
{
    skua_child child;
    SKUA_SCOPE(inner);
    skua_scope_open(&inner, skua_after(SKUA_SEC(50)));
    skua_fork(&child, sleep_100_s, NULL);
    const int mine = skua_within(skua_after(SKUA_SEC(60)), wait_in_scope, arg);
    CHECK_INT(skua_sync(&child), -ECANCELED);
    CHECK_INT(skua_cancel_reason(), -ETIMEDOUT);
    return skua_scope_close(&inner, mine);
}

static int deeper_body(void *arg)
{
    shared_scope shared = {.move_ns = SKUA_MS(1)};
    skua_scope_open(&shared.scope, SKUA_FOREVER);
    skua_task *mover = spawn(move_deadline, &shared);
    const int status = wait_deeper(&shared);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_scope_close(&shared.scope, status), -ETIMEDOUT);
    return finish(mover);
}

/* covers: D68 */
static void a_moved_deadline_reaches_inner_scopes_and_forked_children(void **state)
{
    run_on_1_2_4(deeper_body);
    CHECK_INT(setenv("SKUA_FORKS", "always", 1), 0);
    run_on_1_2_4(deeper_body);
    CHECK_INT(unsetenv("SKUA_FORKS"), 0);
}

static int lift_shield(void *arg)
{
    shared_scope *shared = arg;
    await(&shared->waits, 1);
    skua_scope_deadline(&shared->scope, SKUA_NOW);
    return 0;
}

static int shield_body(void *arg)
{
    shared_scope shared = {.move_ns = 0};
    SKUA_SCOPE(outer);
    skua_scope_open(&outer, SKUA_FOREVER);
    skua_scope_cancel(&outer);
    skua_shield_open(&shared.scope, SKUA_FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_US(10))), 0);
    skua_task *lifter = spawn(lift_shield, &shared);
    CHECK_INT(wait_in_scope(&shared), -ECANCELED);
    CHECK_INT(skua_scope_close(&shared.scope, -ECANCELED), -ECANCELED);
    CHECK_INT(skua_scope_close(&outer, -ECANCELED), 0);
    return finish(lifter);
}

/* covers: B10 */
static void a_shield_is_lifted_by_moving_its_grace(void **state)
{
    run_on_1_2_4(shield_body);
}

/* --- what is left behind ---------------------------------------------------------------------- */

static int sleep_5000_s(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(5000)));
}

static int cancel_it(void *arg)
{
    skua_scope_cancel(arg);
    return 0;
}

static int no_timer_body(void *arg)
{
    const struct skua__wheel *wheel = &skua_runtime_current()->workers[0].wheel;
    const skua_time start = skua_clock();
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_task *canceller = spawn(cancel_it, &scope);
    CHECK_INT(skua_scope_close(&scope, sleep_5000_s(NULL)), 0);
    CHECK(skua_elapsed_ns(start) < SKUA_SEC(5000));
    CHECK_INT(finish(canceller), 0);
    CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0);   /* moves the one timer of this fiber */
    while (atomic_load(&wheel->next_ns) != SKUA__NEVER) { /* whoever has run it goes on to say so */
        CHECK_INT(skua_yield(), 0);
    }
    return 0;
}

/* Pinned, or its timer might stand in the wheel of a stand-in. */
static int no_timer_on_first(void *arg)
{
    return finish(spawn_with(no_timer_body, NULL, &(skua_spawn_opts){.pin = 1}));
}

/* covers: D49 D50 */
static void a_cancelled_sleep_leaves_no_timer(void **state)
{
    run_on(1, no_timer_on_first);
}

/* --- running a function ----------------------------------------------------------------------- */

static int move_on_body(void *arg)
{
    CHECK_INT(skua_move_on(skua_after(SKUA_MS(2)), sleep_100_s, NULL), 0);
    CHECK_INT(skua_move_on(SKUA_FOREVER, return_17, NULL), 17);
    CHECK_INT(skua_move_on(skua_after(0), return_17, NULL), 17); /* what it achieved counts */
    CHECK_INT(skua_move_on(skua_after(0), fail_io, NULL), -EIO);
    CHECK(!skua_cancelled());
    return 0;
}

/* covers: B11 */
static void move_on_leaves_out_what_takes_too_long(void **state)
{
    run_on_1_2_4(move_on_body);
}

static int move_on_in_vain(void *arg)
{
    const int status = skua_move_on(skua_after(SKUA_SEC(50)), sleep_100_s, NULL);
    CHECK_INT(status, -ECANCELED);
    return status;
}

static int outer_body(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_MS(2)), move_on_in_vain, NULL), -ETIMEDOUT);
    CHECK_INT(skua_move_on(skua_after(SKUA_MS(2)), move_on_in_vain, NULL), 0);
    return 0;
}

/* covers: B11 D61 */
static void move_on_passes_an_outer_cancel_on(void **state)
{
    run_on_1_2_4(outer_body);
}

static int sleep_1_ms(void *arg)
{
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    return 5;
}

static int shielded_in_cancelled(void *arg)
{
    skua_task_cancel(skua_self());
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_shielded(SKUA_FOREVER, sleep_1_ms, NULL), 5);
    CHECK_INT(skua_shielded(skua_after(SKUA_MS(2)), sleep_100_s, NULL), -ECANCELED);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return -ECANCELED;
}

static int shielded_body(void *arg)
{
    CHECK_INT(skua_shielded(SKUA_NOW, sleep_1_ms, NULL), 5); /* nothing to be shielded from */
    return call(shielded_in_cancelled, NULL) == -ECANCELED ? 0 : -EPROTO;
}

/* covers: A33 A36 D48 */
static void a_shielded_function_may_wait_in_a_cancelled_task(void **state)
{
    run_on_1_2_4(shielded_body);
}

/* --- at random -------------------------------------------------------------------------------- */

struct shaker {
    shared_scope shared;
    gate stop;
    uint64_t seed;
};

/* Moves the deadline about, now and then into the past. */
static int shake(void *arg)
{
    struct shaker *shaker = arg;
    uint64_t random = shaker->seed;
    while (atomic_load(&shaker->stop) == 0) {
        const int64_t away_ns = (int64_t)(test_random(&random) % SKUA_MS(1)) - SKUA_US(150);
        skua_scope_deadline(&shaker->shared.scope, skua_after(away_ns));
        if (skua_yield() < 0) {
            break;
        }
    }
    return 0;
}

/* A wait that nobody else ends: it ends because some deadline came, never before it. */
static int shaken_round(uint64_t seed)
{
    struct shaker shaker = {.seed = seed};
    skua_scope_open(&shaker.shared.scope, SKUA_FOREVER);
    skua_task *one = spawn(shake, &shaker);
    skua_task *two = spawn(shake, &shaker);
    int status = skua_within(skua_after(SKUA_SEC(100)), sleep_forever, NULL);
    CHECK_INT(status, -ECANCELED);
    CHECK(skua_scope_expired(&shaker.shared.scope));
    atomic_store(&shaker.stop, 1);
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    CHECK_INT(finish(one), 0);
    CHECK_INT(finish(two), 0);
    CHECK_INT(skua_scope_close(&shield, 0), 0);
    status = skua_scope_close(&shaker.shared.scope, status);
    return status == -ETIMEDOUT ? 0 : status;
}

static int shaken_body(void *arg)
{
    uint64_t random = test_seed();
    for (int i = 0; i < 25 / TEST_SCALE; i++) {
        CHECK_INT(shaken_round(test_random(&random)), 0);
    }
    return 0;
}

static void deadlines_are_moved_while_they_fire(void **state)
{
    run_on_1_2_4(shaken_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_deadline_brought_forward_reaches_who_waits),
        TEST(a_foreign_thread_may_move_it),
        TEST(a_deadline_that_was_put_off_does_not_fire),
        TEST(who_runs_inside_may_move_its_own_deadline),
        TEST(what_has_fired_cannot_be_taken_back),
        TEST(when_tells_the_deadline),
        TEST(a_moved_deadline_reaches_inner_scopes_and_forked_children),
        TEST(a_shield_is_lifted_by_moving_its_grace),
        TEST(a_cancelled_sleep_leaves_no_timer),
        TEST(move_on_leaves_out_what_takes_too_long),
        TEST(move_on_passes_an_outer_cancel_on),
        TEST(a_shielded_function_may_wait_in_a_cancelled_task),
        TEST(deadlines_are_moved_while_they_fire),
    };
    return TEST_RUN(tests);
}
