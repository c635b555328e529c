/* Misuse of a mutex must die, and say what was wrong and who it was. */
#include "../tasks.h"
#include "mem/forked.h"

#include <skua/sync.h>

static skua_mutex mutex;

/* The test forks; the child is told that it is a process of its own. */
static void run_main(void *fn_at)
{
    skua_fn fn = *(skua_fn *)fn_at;
    const skua_config config = {.workers = 1};
    skua__process_is_origin();
    (void)!skua_run(&config, fn, NULL);
}

static int lock_twice(void *arg)
{
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
    return skua_mutex_lock(&mutex, SKUA_NOW);
}

static int unlock_free(void *arg)
{
    skua_mutex_unlock(&mutex);
    return 0;
}

static int unlock_twice(void *arg)
{
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
    skua_mutex_unlock(&mutex);
    skua_mutex_unlock(&mutex);
    return 0;
}

static int unlock_of_another(void *arg)
{
    const skua_spawn_opts opts = {.name = "stranger"};
    CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
    return finish(spawn_with(unlock_free, NULL, &opts));
}

/* covers: A45 D23 */
static void in_tasks(void **state)
{
    skua_fn fn = lock_twice;
    test_dies(run_main, &fn, "a mutex is locked again by its holder");
    test_dies(run_main, &fn, "task 'main'");
    fn = unlock_free;
    test_dies(run_main, &fn, "a mutex is unlocked that nobody holds");
    fn = unlock_twice;
    test_dies(run_main, &fn, "a mutex is unlocked that nobody holds");
    fn = unlock_of_another;
    test_dies(run_main, &fn, "a mutex is unlocked that task 'main' holds");
    test_dies(run_main, &fn, "task 'stranger'");
}

static void lock_outside(void *arg)
{
    skua__process_is_origin();
    (void)!skua_mutex_lock(&mutex, SKUA_FOREVER);
}

static void unlock_outside(void *arg)
{
    skua__process_is_origin();
    skua_mutex_unlock(&mutex);
}

/* covers: A45 */
static void on_foreign_threads(void **state)
{
    test_dies(lock_outside, NULL, "a mutex is locked by a thread that is not a task");
    test_dies(unlock_outside, NULL, "a mutex is unlocked by a thread that is not a task");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(in_tasks), TEST(on_foreign_threads)};
    return TEST_RUN(tests);
}
