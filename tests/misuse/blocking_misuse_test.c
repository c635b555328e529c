/* Misuse of classes of blocking calls must die, and say what was wrong. */
#include "../tasks.h"

#include "mem/forked.h"

#include <skua/blocking.h>

static skua_blocking_class *class;
static gate is_inside;

static int stay(void *arg)
{
    atomic_store(&is_inside, 1);
    while (atomic_load(&is_inside) != 0) {
        pause();
    }
    return 0;
}

static int stay_in_class(void *arg)
{
    return skua_blocking_in(class, stay, NULL, SKUA_FOREVER);
}

static int destroy_it_early(void *arg)
{
    CHECK_INT(skua_blocking_class_create(&class, "mine", 1), 0);
    skua_task_release(spawn(stay_in_class, NULL));
    await(&is_inside, 1);
    skua_blocking_class_destroy(class);
    return 0;
}

static void destroy_early(void *arg)
{
    skua__process_is_origin();
    run_on(1, destroy_it_early);
}

static void a_class_is_not_destroyed_under_its_callers(void **state)
{
    test_dies(destroy_early, NULL,
              "a class of blocking calls is destroyed while 1 wait for calls of it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_class_is_not_destroyed_under_its_callers)};
    return TEST_RUN(tests);
}
