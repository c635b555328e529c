/* Floor 1: stacks with guards of each kind, and slabs. */
#include "mem/slab.h"
#include "mem/stack.h"

#include "tasks.h"

#include <pthread.h>
#include <sys/wait.h>

/* --- stacks ------------------------------------------------------------------------------------
   */

static void classes_are_the_smallest_that_fit(void **state)
{
    CHECK_INT(skua__stack_class(0), 0);
    CHECK_INT(skua__stack_class(1), 0);
    for (uint32_t i = 0; i < SKUA__STACK_CLASSES; i++) {
        const size_t bytes = skua__stack_class_bytes(i);
        CHECK_INT(skua__stack_class(bytes), i);
        CHECK_INT(skua__stack_class(bytes + 1), i + 1 < SKUA__STACK_CLASSES ? (int)i + 1 : -EINVAL);
    }
    CHECK_INT(skua__stack_class(SIZE_MAX), -EINVAL);
}

static void stacks_are_apart_aligned_and_zero(void **state)
{
    enum { STACKS = 1200 }; /* more than a slab holds */
    struct skua__stacks stacks = {.mprotect_left = 0};
    struct skua__stack *taken = calloc(STACKS, sizeof *taken);
    skua__stacks_init(&stacks);
    for (uint32_t stack_class = 0; stack_class < 2; stack_class++) {
        for (int i = 0; i < STACKS; i++) {
            CHECK_INT(skua__stacks_take(&stacks, stack_class, &taken[i]), 0);
            CHECK_INT((uintptr_t)taken[i].bottom % 4096, 0);
            CHECK_INT(taken[i].bytes, skua__stack_class_bytes(stack_class));
            uint64_t *top = (uint64_t *)(void *)(taken[i].bottom + taken[i].bytes) - 1;
            CHECK_INT(*top, 0);
            CHECK_INT(taken[i].bottom[0], 0);
            *top = taken[i].bottom[0] = 1;
        }
        for (int i = 0; i < STACKS; i++) {
            CHECK_INT(taken[i].bottom[0], 1);
            taken[i].bottom[0] = (char)(i % 100);
        }
        for (int i = 0; i < STACKS; i++) {
            CHECK_INT(taken[i].bottom[0], i % 100); /* nobody else's */
            skua__stacks_return(&stacks, &taken[i]);
        }
    }
    for (int i = 0; i < STACKS; i++) {
        CHECK_INT(skua__stacks_take(&stacks, 0, &taken[i]), 0);
        CHECK_INT(taken[i].bottom[0], 0); /* its memory was given back */
    }
    skua__stacks_fini(&stacks);
    free(taken);
}

static void fini_unmaps_everything(void **state)
{
    const int before = test_maps();
    struct skua__stacks stacks = {.mprotect_left = 0};
    struct skua__stack stack;
    skua__stacks_init(&stacks);
    for (uint32_t i = 0; i < SKUA__STACK_CLASSES; i++) {
        CHECK_INT(skua__stacks_take(&stacks, i, &stack), 0);
    }
    skua__stacks_fini(&stacks);
    CHECK(test_maps() <= before + (TEST_SCALE > 1 ? 1000 : 1));
}

/* Which signal writing `offset` below the usable part of a stack ends a process with. */
static int signal_below(enum skua__stack_guard guard, size_t offset)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct skua__stacks stacks = {.mprotect_left = 0};
        struct skua__stack stack;
        signal(SIGSEGV, SIG_DFL);
        skua__stacks_init(&stacks);
        stacks.guard = guard;
        if (skua__stacks_take(&stacks, 1, &stack) < 0 ||
            stack.is_canary != (guard == SKUA__GUARD_CANARY)) {
            _exit(1);
        }
        ((volatile char *)stack.bottom)[0] = 1;
        ((volatile char *)stack.bottom)[-(ptrdiff_t)offset] = 1;
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void a_guard_stops_who_grows_beyond_the_stack(void **state)
{
    const size_t offsets[] = {1, 4096, 60000, SKUA__STACK_GUARD_BYTES};
    struct skua__stacks stacks = {.mprotect_left = 0};
    skua__stacks_init(&stacks);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(signal_below(SKUA__GUARD_MPROTECT, offsets[i]), SIGSEGV);
        if (stacks.guard == SKUA__GUARD_MADVISE) {
            CHECK_INT(signal_below(SKUA__GUARD_MADVISE, offsets[i]), SIGSEGV);
        }
    }
    skua__stacks_fini(&stacks);
}

static void guards_are_found_by_address(void **state)
{
    struct skua__stacks stacks = {.mprotect_left = 0};
    struct skua__stack stack;
    char *top = NULL;
    skua__stacks_init(&stacks);
    CHECK(!skua__stacks_find_guard(&stacks, &stack, &top));
    for (uint32_t i = 0; i < SKUA__STACK_CLASSES; i++) {
        CHECK_INT(skua__stacks_take(&stacks, i, &stack), 0);
        CHECK(skua__stacks_find_guard(&stacks, stack.bottom - 1, &top));
        CHECK_PTR(top, stack.bottom + stack.bytes);
        CHECK(skua__stacks_find_guard(&stacks, stack.bottom - SKUA__STACK_GUARD_BYTES, &top));
        CHECK(!skua__stacks_find_guard(&stacks, stack.bottom, &top));
        CHECK(!skua__stacks_find_guard(&stacks, stack.bottom + stack.bytes - 1, &top));
    }
    skua__stacks_fini(&stacks);
}

static void overflow_a_canary(void *arg)
{
    struct skua__stacks stacks = {.mprotect_left = 0};
    struct skua__stack stack;
    skua__stacks_init(&stacks);
    stacks.guard = SKUA__GUARD_CANARY;
    CHECK_INT(skua__stacks_take(&stacks, 0, &stack), 0);
    skua__stack_check(&stack); /* untouched */
    stack.bottom[-1] = 1;
    skua__stack_check(&stack);
}

static void a_broken_canary_panics(void **state)
{
    test_dies(overflow_a_canary, NULL, "overflowed");
}

static void guards_fall_back_when_mappings_run_out(void **state)
{
    struct said said;
    struct skua__stacks stacks = {.mprotect_left = 0};
    struct skua__stack taken[20];
    skua__stacks_init(&stacks);
    stacks.guard = SKUA__GUARD_MPROTECT;
    stacks.mprotect_left = 10;
    said_begin(&said);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua__stacks_take(&stacks, 0, &taken[i]), 0);
        CHECK_INT(taken[i].is_canary, i >= 10);
    }
    CHECK_INT(count_of(said_end(&said), "\n"), 1); /* said once */
    for (int i = 0; i < 20; i++) {
        skua__stacks_return(&stacks, &taken[i]);
    }
    int canaries = 0; /* a stack keeps the guard that it has */
    for (int i = 0; i < 20; i++) {
        CHECK_INT(skua__stacks_take(&stacks, 0, &taken[i]), 0);
        canaries += taken[i].is_canary;
    }
    CHECK_INT(canaries, 10);
    skua__stacks_fini(&stacks);
}

/* --- slabs -------------------------------------------------------------------------------------
   */

typedef struct object {
    void *link;
    _Atomic int owner;
    char rest[100];
} object;

static void slab_objects_are_apart_and_come_back(void **state)
{
    enum { OBJECTS = 3000 };
    struct skua__slab slab;
    struct skua__slab_cache cache = {.free = NULL};
    object **taken = calloc(OBJECTS, sizeof *taken);
    skua__slab_init(&slab, sizeof(object), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            taken[i] = skua__slab_take(&slab, i % 3 ? &cache : NULL);
            CHECK(taken[i] != NULL);
            CHECK_INT(atomic_exchange(&taken[i]->owner, i + 1), 0);
        }
        for (int i = 0; i < OBJECTS; i++) {
            CHECK_INT(atomic_exchange(&taken[i]->owner, 0), i + 1);
            skua__slab_return(&slab, i % 5 ? &cache : NULL, taken[i]);
        }
    }
    skua__slab_fini(&slab);
    free(taken);
}

static void count_owned(void *visited, void *arg)
{
    *(int *)arg += atomic_load(&((object *)visited)->owner) != 0;
}

static void visits_meet_all_live_objects(void **state)
{
    struct skua__slab slab;
    struct skua__slab_cache cache = {.free = NULL};
    skua__slab_init(&slab, sizeof(object), 0);
    for (int i = 1; i <= 1000; i++) {
        object *one = skua__slab_take(&slab, &cache);
        atomic_store(&one->owner, i);
        int count = 0;
        if (i % 100 == 0) {
            skua__slab_visit(&slab, count_owned, &count);
            CHECK_INT(count, i);
        }
    }
    skua__slab_fini(&slab);
}

static void *take_and_return(void *arg)
{
    struct skua__slab *slab = arg;
    struct skua__slab_cache cache = {.free = NULL};
    uint64_t random = test_seed() + (uintptr_t)&cache;
    object *held[300] = {NULL};
    for (int i = 0; i < 200000 / TEST_SCALE; i++) {
        object **slot = &held[test_random(&random) % 300];
        struct skua__slab_cache *through = test_random(&random) % 8 ? &cache : NULL;
        if (*slot == NULL) {
            *slot = skua__slab_take(slab, through);
            CHECK_INT(atomic_exchange(&(*slot)->owner, 1), 0);
        } else {
            CHECK_INT(atomic_exchange(&(*slot)->owner, 0), 1);
            skua__slab_return(slab, through, *slot);
            *slot = NULL;
        }
    }
    return NULL;
}

static void threads_never_share_an_object(void **state)
{
    struct skua__slab slab;
    pthread_t threads[4];
    skua__slab_init(&slab, sizeof(object), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, take_and_return, &slab), 0);
    }
    for (int i = 0; i < 20; i++) {
        int count = 0;
        skua__slab_visit(&slab, count_owned, &count);
        CHECK(count <= 1200);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    skua__slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(classes_are_the_smallest_that_fit),
        TEST(stacks_are_apart_aligned_and_zero),
        TEST(fini_unmaps_everything),
        TEST(a_guard_stops_who_grows_beyond_the_stack),
        TEST(guards_are_found_by_address),
        TEST(a_broken_canary_panics),
        TEST(guards_fall_back_when_mappings_run_out),
        TEST(slab_objects_are_apart_and_come_back),
        TEST(visits_meet_all_live_objects),
        TEST(threads_never_share_an_object),
    };
    return TEST_RUN(tests);
}
