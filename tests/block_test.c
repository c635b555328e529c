/* Tasks that block their worker, with and without saying so. */
#include "tasks.h"

#include <semaphore.h>
#include <skua/fork.h>
#include <string.h>

static void wait_for_post(sem_t *posted)
{
    while (sem_wait(posted) < 0) {}
}

static int post(void *arg)
{
    CHECK_INT(sem_post(arg), 0);
    return 0;
}

/* --- declared --------------------------------------------------------------------------------- */

static int block_for_spawned(void *arg)
{
    sem_t posted;
    CHECK_INT(sem_init(&posted, 0, 0), 0);
    for (int i = 0; i < 5; i++) {
        skua_task *other = spawn(post, &posted);
        skua_block_begin();
        wait_for_post(&posted);
        CHECK_INT(skua_block_end(), 0);
        CHECK_INT(finish(other), 0);
    }
    CHECK_INT(sem_destroy(&posted), 0);
    return 0;
}

/* covers: B29 */
static void who_blocks_may_wait_for_who_is_ready(void **state)
{
    run_on_1_2_4(block_for_spawned);
}

static int block_for_child(void *arg)
{
    sem_t posted;
    skua_child child;
    CHECK_INT(sem_init(&posted, 0, 0), 0);
    for (int i = 0; i < 5; i++) {
        skua_fork(&child, post, &posted);
        skua_block_begin();
        wait_for_post(&posted);
        CHECK_INT(skua_block_end(), 0);
        CHECK_INT(skua_sync(&child), 0);
    }
    CHECK_INT(sem_destroy(&posted), 0);
    return 0;
}

/* covers: B29 */
static void who_blocks_may_wait_for_its_forked_child(void **state)
{
    run_on_1_2_4(block_for_child);
}

static int sleep_then_post(void *arg)
{
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return post(arg);
}

/* Whom it has woken last stands in its worker's LIFO slot. */
static int block_for_woken(void *arg)
{
    sem_t posted;
    CHECK_INT(sem_init(&posted, 0, 0), 0);
    skua_task *other = spawn(sleep_then_post, &posted);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    skua_task_cancel(other);
    skua_block_begin();
    wait_for_post(&posted);
    CHECK_INT(skua_block_end(), 0);
    CHECK_INT(finish(other), 0);
    CHECK_INT(sem_destroy(&posted), 0);
    return 0;
}

/* covers: B29 */
static void who_blocks_may_wait_for_whom_it_woke(void **state)
{
    run_on_1_2_4(block_for_woken);
}

typedef struct cancel_case {
    sem_t posted;
    gate blocks;
} cancel_case;

static int block_until_posted(void *arg)
{
    cancel_case *one = arg;
    skua_block_begin();
    atomic_store(&one->blocks, 1);
    wait_for_post(&one->posted);
    CHECK_INT(skua_block_end(), -ECANCELED);
    return -ECANCELED;
}

static void the_end_of_blocking_says_that_it_was_cancelled(void **state)
{
    cancel_case one = {.blocks = 0};
    skua_runtime *runtime;
    skua_task *task;
    const skua_config config = {.workers = 1};
    CHECK_INT(sem_init(&one.posted, 0, 0), 0);
    CHECK_INT(skua_runtime_create(&runtime, &config), 0);
    CHECK_INT(skua_submit(runtime, &task, block_until_posted, &one, NULL), 0);
    await(&one.blocks, 1);
    skua_task_cancel(task);
    CHECK_INT(sem_post(&one.posted), 0);
    CHECK_INT(finish(task), -ECANCELED);
    skua_runtime_destroy(runtime);
    CHECK_INT(sem_destroy(&one.posted), 0);
}

static void on_a_foreign_thread_it_does_nothing(void **state)
{
    skua_block_begin();
    CHECK_INT(skua_block_end(), 0);
    CHECK_INT(skua_block_end(), 0);
}

/* --- not declared ----------------------------------------------------------------------------- */

/* What is said of the rude one: that it blocks, and has not said so. */
static const char naming[] = "task 'the rude one' has blocked its worker";

static struct said caught;

/* Until the rude one is named, or a second is over: it has run on a stand-in, perhaps, and the
   worker has taken us. */
static int post_when_named(void *arg)
{
    const skua_time end = skua_after(SKUA_SEC(1));
    while (!said_has(&caught, naming) && skua_clock().ns < end.ns) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(5))), 0);
    }
    return post(arg);
}

static int block_rudely(void *arg)
{
    skua_task *other = spawn(post_when_named, arg);
    wait_for_post(arg); /* `other` cannot even begin before somebody else comes */
    return finish(other);
}

static int rude_body(void *arg)
{
    sem_t posted;
    const skua_spawn_opts opts = {.name = "the rude one"};
    CHECK_INT(sem_init(&posted, 0, 0), 0);
    while (!said_has(&caught, naming)) {
        CHECK_INT(finish(spawn_with(block_rudely, &posted, &opts)), 0);
    }
    CHECK_INT(sem_destroy(&posted), 0);
    return 0;
}

/* covers: B45 */
static void who_keeps_its_worker_from_others_is_named(void **state)
{
    said_begin(&caught);
    run_on(1, rude_body);
    CHECK_INT(count_of(said_end(&caught), naming), 1); /* once */
}

static int compute_for_long(void *arg)
{
    skua_task *other = spawn(return_zero, NULL);
    compute_for(SKUA_MS(150));
    return finish(other);
}

static int compute_body(void *arg)
{
    const skua_spawn_opts opts = {.name = "the busy one"};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(spawn_with(compute_for_long, NULL, &opts)), 0);
    }
    return 0;
}

/* covers: B45 */
static void of_those_that_compute_one_is_named(void **state)
{
    said_begin(&caught);
    run_on(1, compute_body);
    CHECK(count_of(said_end(&caught), "task 'the busy one' has computed for") <= 1);
}

typedef struct polite {
    sem_t posted;
    gate other_runs;
    bool computes; /* first, until a stand-in has come */
} polite;

static int post_later(void *arg)
{
    polite *self = arg;
    atomic_store(&self->other_runs, 1);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(250))), 0); /* long enough to be named */
    return post(&self->posted);
}

static int polite_body(void *arg)
{
    polite *self = arg;
    CHECK_INT(sem_init(&self->posted, 0, 0), 0);
    skua_task *other = spawn(post_later, self);
    while (self->computes && atomic_load(&self->other_runs) == 0) {}
    skua_block_begin();
    wait_for_post(&self->posted);
    CHECK_INT(skua_block_end(), 0);
    CHECK_INT(finish(other), 0);
    CHECK_INT(sem_destroy(&self->posted), 0);
    return 0;
}

/* Also if it has harmed others before it says so. */
/* covers: B29 */
static void who_says_that_it_blocks_is_not_named(void **state)
{
    polite at_once = {.computes = false}, late = {.computes = true};
    said_begin(&caught);
    run_on_with(1, polite_body, &at_once);
    run_on_with(1, polite_body, &late);
    CHECK_INT(count_of(said_end(&caught), "has blocked its worker"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_blocks_may_wait_for_who_is_ready),
        TEST(who_blocks_may_wait_for_its_forked_child),
        TEST(who_blocks_may_wait_for_whom_it_woke),
        TEST(the_end_of_blocking_says_that_it_was_cancelled),
        TEST(on_a_foreign_thread_it_does_nothing),
        TEST(who_keeps_its_worker_from_others_is_named),
        TEST(of_those_that_compute_one_is_named),
        TEST(who_says_that_it_blocks_is_not_named),
    };
    return TEST_RUN(tests);
}
