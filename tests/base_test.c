/* Floor 0: times, error texts, lists, the lock, memory that runs out. */
#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/random.h"

#include "tasks.h"

#include <limits.h>
#include <pthread.h>

/* covers: D67 */
static void after_saturates_and_is_never_a_special_value(void **state)
{
    CHECK_INT(SKUA_FOREVER.ns, 0);
    CHECK_INT(SKUA_NOW.ns, -1);
    const int64_t durations[] = {0, -1, INT64_MIN, INT64_MIN + 1};
    for (int i = 0; i < 4; i++) {
        skua_time over = skua_after(durations[i]);
        CHECK(over.ns > 0 && over.ns <= skua_clock().ns);
    }
    CHECK(skua_after(INT64_MAX).ns > skua_clock().ns);
    CHECK(skua_after(INT64_MAX - 1).ns > skua_after(SKUA_SEC(1000000)).ns);
    const skua_time start = skua_clock();
    CHECK(skua_after(SKUA_SEC(1)).ns >= start.ns + 1000000000);
    CHECK(skua_elapsed_ns(start) >= 0);
    CHECK_INT(SKUA_US(3), 3000);
    CHECK_INT(SKUA_MS(3), 3000000);
    CHECK_INT(SKUA_SEC(3), 3000000000);
}

static void codes_have_texts(void **state)
{
    CHECK(strstr(skua_error_text(-ENOENT), "No such file") != NULL);
    CHECK(strlen(skua_error_text(0)) > 0);
    CHECK(strlen(skua_error_text(5)) > 0);
    CHECK(strlen(skua_error_text(-4000)) > 0);
    CHECK(strlen(skua_error_text(INT_MIN)) > 0);
    CHECK(SKUA_ERR(1, 0) < -4095);
    CHECK(SKUA_ERR(4095, 65535) < 0);
}

static void application_codes_share_a_text(void **state)
{
    CHECK_STR(skua_error_text(SKUA_ERR(7, 42)), "application error");
    CHECK_STR(skua_error_text(SKUA_ERR(4095, 65535)), "application error");
    CHECK_STR(skua_error_text(SKUA_ERR(1, 0)), "application error");
}

static void lists_keep_their_order(void **state)
{
    struct skua__list list;
    struct skua__link links[5] = {{NULL, NULL}};
    skua__list_init(&list);
    CHECK(skua__list_is_empty(&list));
    CHECK_PTR(skua__list_pop_front(&list), NULL);
    for (int i = 1; i < 5; i++) {
        CHECK(!skua__link_is_linked(&links[i]));
        skua__list_push_back(&list, &links[i]);
    }
    skua__list_push_front(&list, &links[0]);
    skua__list_remove(&links[2]);
    CHECK(!skua__link_is_linked(&links[2]));
    const int order[] = {0, 1, 3, 4};
    for (int i = 0; i < 4; i++) {
        CHECK_PTR(skua__list_first(&list), &links[order[i]]);
        CHECK_PTR(skua__list_pop_front(&list), &links[order[i]]);
    }
    CHECK(skua__list_is_empty(&list));
}

typedef struct counter {
    struct skua__lock lock;
    long value;
} counter;

enum { ROUNDS = 200000 / TEST_SCALE, THREADS = 4 };

static void *count_up(void *arg)
{
    counter *shared = arg;
    for (int i = 0; i < ROUNDS; i++) {
        skua__lock(&shared->lock, SKUA__RANK_CHAN);
        shared->value++;
        skua__unlock(&shared->lock, SKUA__RANK_CHAN);
    }
    return NULL;
}

static void the_lock_excludes(void **state)
{
    counter shared = {.value = 0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, count_up, &shared), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(shared.value, (long)THREADS * ROUNDS);
}

static void random_numbers_stay_below_the_bound(void **state)
{
    uint64_t seed = test_seed();
    int seen[7] = {0};
    for (int i = 0; i < 10000; i++) {
        uint32_t number = skua__random_below(&seed, 7);
        CHECK(number < 7);
        seen[number]++;
    }
    for (int i = 0; i < 7; i++) {
        CHECK(seen[i] > 10000 / 7 / 2);
    }
    CHECK_INT(skua__random_below(&seed, 1), 0);
}

static void memory_is_zeroed_and_can_run_out(void **state)
{
    char *bytes = skua__alloc(100);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(bytes[i], 0);
    }
    skua__free(bytes);
    bytes = skua__alloc_aligned(4096, 100);
    CHECK_INT((uintptr_t)bytes % 4096, 0);
    CHECK_INT(bytes[99], 0);
    skua__free(bytes);
    skua__free(NULL);
    atomic_store(&skua__alloc_budget, 2);
    void *one = skua__alloc(1), *two = skua__alloc_string("two");
    CHECK(one != NULL && two != NULL);
    CHECK_PTR(skua__alloc(1), NULL);
    CHECK_PTR(skua__alloc_aligned(64, 1), NULL);
    CHECK_PTR(skua__alloc_string(""), NULL);
    atomic_store(&skua__alloc_budget, -1);
    CHECK_STR(two, "two");
    skua__free(one);
    skua__free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_saturates_and_is_never_a_special_value),
        TEST(codes_have_texts),
        TEST(lists_keep_their_order),
        TEST(the_lock_excludes),
        TEST(random_numbers_stay_below_the_bound),
        TEST(memory_is_zeroed_and_can_run_out),
        TEST(application_codes_share_a_text),
    };
    return TEST_RUN(tests);
}
