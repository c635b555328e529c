/* The work-stealing deque. */
#include "sched/deque.h"

#include "base/mem.h"
#include "tasks.h"

#include <pthread.h>

static struct skua__deque *deque_create(int64_t capacity)
{
    struct skua__deque *deque = aligned_alloc(64, sizeof *deque);
    memset(deque, 0, sizeof *deque);
    CHECK_INT(skua__deque_init(deque, capacity), 0);
    return deque;
}

static void deque_destroy(struct skua__deque *deque)
{
    skua__deque_fini(deque);
    free(deque);
}

static void the_owner_pops_the_newest_and_thieves_steal_the_oldest(void **state)
{
    struct skua__deque *deque = deque_create(8);
    int items[6];
    CHECK_PTR(skua__deque_pop(deque), NULL);
    CHECK_PTR(skua__deque_steal(deque), NULL);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(skua__deque_push(deque, &items[i]), 0);
    }
    CHECK_INT(skua__deque_count(deque), 6);
    CHECK_PTR(skua__deque_pop(deque), &items[5]);
    CHECK_PTR(skua__deque_steal(deque), &items[0]);
    CHECK_PTR(skua__deque_steal(deque), &items[1]);
    CHECK_PTR(skua__deque_pop(deque), &items[4]);
    CHECK_PTR(skua__deque_pop(deque), &items[3]);
    CHECK_PTR(skua__deque_pop(deque), &items[2]);
    CHECK_PTR(skua__deque_pop(deque), NULL);
    CHECK_PTR(skua__deque_steal(deque), NULL);
    CHECK_INT(skua__deque_count(deque), 0);
    CHECK_INT(skua__deque_push(deque, &items[0]), 0);
    CHECK_PTR(skua__deque_steal(deque), &items[0]); /* a last one */
    CHECK_PTR(skua__deque_pop(deque), NULL);
    deque_destroy(deque);
}

static void it_grows_and_keeps_the_order(void **state)
{
    enum { ITEMS = 1000 };
    struct skua__deque *deque = deque_create(2);
    int items[ITEMS];
    for (int i = 0; i < 3; i++) { /* not at the start of the array */
        CHECK_INT(skua__deque_push(deque, &items[i]), 0);
        CHECK_PTR(skua__deque_steal(deque), &items[i]);
    }
    for (int i = 0; i < ITEMS; i++) {
        CHECK_INT(skua__deque_push(deque, &items[i]), 0);
    }
    for (int i = 0; i < ITEMS / 2; i++) {
        CHECK_PTR(skua__deque_steal(deque), &items[i]);
        CHECK_PTR(skua__deque_pop(deque), &items[ITEMS - 1 - i]);
    }
    CHECK_PTR(skua__deque_pop(deque), NULL);
    deque_destroy(deque);
}

static void without_memory_a_push_fails_and_changes_nothing(void **state)
{
    struct skua__deque *deque = deque_create(2);
    int items[3];
    CHECK_INT(skua__deque_push(deque, &items[0]), 0);
    CHECK_INT(skua__deque_push(deque, &items[1]), 0);
    atomic_store(&skua__alloc_budget, 0);
    CHECK_INT(skua__deque_push(deque, &items[2]), -ENOMEM);
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(skua__deque_count(deque), 2);
    CHECK_INT(skua__deque_push(deque, &items[2]), 0);
    CHECK_PTR(skua__deque_pop(deque), &items[2]);
    CHECK_PTR(skua__deque_steal(deque), &items[0]);
    deque_destroy(deque);
}

typedef struct heist {
    struct skua__deque *deque;
    gate left;
} heist;

typedef struct item {
    int value; /* plain: published by the push */
    _Atomic int taken;
} item;

static void take(heist *all, item *one)
{
    CHECK_INT(one->value, 77);
    CHECK_INT(atomic_fetch_add(&one->taken, 1), 0);
    atomic_fetch_sub(&all->left, 1);
}

static void *steal_until_empty(void *arg)
{
    heist *all = arg;
    while (atomic_load(&all->left) > 0) {
        item *one = skua__deque_steal(all->deque);
        if (one != NULL) {
            take(all, one);
        }
    }
    return NULL;
}

/* Short runs keep it nearly empty, where owner and thieves meet; long ones let it grow. */
static void rob(uint64_t run_max)
{
    enum { ITEMS = 400000 / TEST_SCALE / TEST_SCALE, THIEVES = 3 };
    heist all = {deque_create(2), ITEMS};
    item *items = calloc(ITEMS, sizeof *items);
    pthread_t thieves[THIEVES];
    uint64_t random = test_seed();
    for (int i = 0; i < THIEVES; i++) {
        CHECK_INT(pthread_create(&thieves[i], NULL, steal_until_empty, &all), 0);
    }
    for (int i = 0; i < ITEMS;) {
        for (uint64_t run = test_random(&random) % run_max + 1; run > 0 && i < ITEMS; run--, i++) {
            items[i].value = 77;
            CHECK_INT(skua__deque_push(all.deque, &items[i]), 0);
        }
        for (uint64_t run = test_random(&random) % run_max + 1; run > 0; run--) {
            item *mine = skua__deque_pop(all.deque);
            if (mine != NULL) {
                take(&all, mine);
            }
        }
    }
    for (item *last; (last = skua__deque_pop(all.deque)) != NULL;) {
        take(&all, last);
    }
    for (int i = 0; i < THIEVES; i++) {
        CHECK_INT(pthread_join(thieves[i], NULL), 0);
    }
    CHECK_INT(atomic_load(&all.left), 0);
    free(items);
    deque_destroy(all.deque);
}

static void each_item_is_taken_once_when_it_is_nearly_empty(void **state)
{
    rob(2);
}

static void each_item_is_taken_once_while_it_grows(void **state)
{
    rob(3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_owner_pops_the_newest_and_thieves_steal_the_oldest),
        TEST(it_grows_and_keeps_the_order),
        TEST(without_memory_a_push_fails_and_changes_nothing),
        TEST(each_item_is_taken_once_when_it_is_nearly_empty),
        TEST(each_item_is_taken_once_while_it_grows),
    };
    return TEST_RUN(tests);
}
