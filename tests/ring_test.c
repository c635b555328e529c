/* The ready ring, the inject queue and the idle word. */
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/ring.h"

#include "tasks.h"

#include <pthread.h>

enum { SLOTS = SKUA__RING_SLOTS };

static struct skua__ring *ring_create(void)
{
    struct skua__ring *ring = aligned_alloc(64, sizeof *ring);
    memset(ring, 0, sizeof *ring);
    return ring;
}

/* covers: B53 */
static void the_ring_is_first_in_first_out(void **state)
{
    struct skua__ring *ring = ring_create();
    struct skua__runnable items[SLOTS + 1];
    CHECK_PTR(skua__ring_pop(ring), NULL);
    for (int lap = 0; lap < 5; lap++) {
        for (int i = 0; i < SLOTS; i++) {
            CHECK_INT(skua__ring_count(ring), i);
            CHECK(skua__ring_push(ring, &items[i]));
        }
        CHECK(!skua__ring_push(ring, &items[SLOTS]));
        for (int i = 0; i < SLOTS; i++) {
            CHECK_PTR(skua__ring_pop(ring), &items[i]);
        }
        CHECK_PTR(skua__ring_pop(ring), NULL);
        CHECK(skua__ring_push(ring, &items[0])); /* the next lap starts one slot further on */
        CHECK_PTR(skua__ring_pop(ring), &items[0]);
    }
    free(ring);
}

/* covers: B53 */
static void a_thief_takes_the_older_half_rounded_up(void **state)
{
    struct skua__ring *ring = ring_create();
    struct skua__runnable items[SLOTS], *loot[SLOTS / 2];
    CHECK_INT(skua__ring_take_half(ring, loot), 0);
    for (int count = 1; count <= SLOTS; count++) {
        for (int i = 0; i < count; i++) {
            CHECK(skua__ring_push(ring, &items[i]));
        }
        const int half = count - count / 2;
        CHECK_INT(skua__ring_take_half(ring, loot), half);
        for (int i = 0; i < half; i++) {
            CHECK_PTR(loot[i], &items[i]);
        }
        for (int i = half; i < count; i++) {
            CHECK_PTR(skua__ring_pop(ring), &items[i]);
        }
    }
    free(ring);
}

static void positions_wrap_around(void **state)
{
    struct skua__ring *ring = ring_create();
    struct skua__runnable items[SLOTS], *loot[SLOTS / 2];
    atomic_store(&ring->head, UINT32_MAX - 5);
    atomic_store(&ring->tail, UINT32_MAX - 5);
    for (int i = 0; i < SLOTS; i++) {
        CHECK(skua__ring_push(ring, &items[i]));
    }
    CHECK(!skua__ring_push(ring, &items[0]));
    CHECK_INT(skua__ring_count(ring), SLOTS);
    CHECK_INT(skua__ring_take_half(ring, loot), SLOTS / 2);
    for (int i = 0; i < SLOTS / 2; i++) {
        CHECK_PTR(loot[i], &items[i]);
        CHECK_PTR(skua__ring_pop(ring), &items[SLOTS / 2 + i]);
    }
    free(ring);
}

/* One owner that pushes and pops, three thieves: each item comes out once, with what it holds. */
typedef struct item {
    struct skua__runnable runnable;
    int value; /* plain: published by the push */
    _Atomic int taken;
} item;

typedef struct heist {
    struct skua__ring *ring;
    gate left;
} heist;

static void take(heist *all, struct skua__runnable *runnable)
{
    item *one = SKUA_CONTAINER(runnable, item, runnable);
    CHECK_INT(one->value, 77);
    CHECK_INT(atomic_fetch_add(&one->taken, 1), 0);
    atomic_fetch_sub(&all->left, 1);
}

static void *steal_until_empty(void *arg)
{
    heist *all = arg;
    struct skua__runnable *loot[SLOTS / 2];
    while (atomic_load(&all->left) > 0) {
        uint32_t count = skua__ring_take_half(all->ring, loot);
        for (uint32_t i = 0; i < count; i++) {
            take(all, loot[i]);
        }
    }
    return NULL;
}

/* covers: B53 */
static void each_item_of_the_ring_is_taken_once(void **state)
{
    enum { ITEMS = 600000 / TEST_SCALE / TEST_SCALE, THIEVES = 3 };
    heist all = {ring_create(), ITEMS};
    item *items = calloc(ITEMS, sizeof *items);
    pthread_t thieves[THIEVES];
    uint64_t random = test_seed();
    for (int i = 0; i < THIEVES; i++) {
        CHECK_INT(pthread_create(&thieves[i], NULL, steal_until_empty, &all), 0);
    }
    for (int i = 0; i < ITEMS;) {
        for (uint64_t run = test_random(&random) % 400; run > 0 && i < ITEMS; run--) {
            items[i].value = 77;
            if (!skua__ring_push(all.ring, &items[i].runnable)) {
                break;
            }
            i++;
        }
        for (uint64_t run = test_random(&random) % 200; run > 0; run--) {
            struct skua__runnable *mine = skua__ring_pop(all.ring);
            if (mine == NULL) {
                break;
            }
            take(&all, mine);
        }
    }
    struct skua__runnable *last;
    while ((last = skua__ring_pop(all.ring)) != NULL) {
        take(&all, last);
    }
    for (int i = 0; i < THIEVES; i++) {
        CHECK_INT(pthread_join(thieves[i], NULL), 0);
    }
    CHECK_INT(atomic_load(&all.left), 0);
    free(items);
    free(all.ring);
}

/* --- inject ------------------------------------------------------------------------------------
   */

static void the_inject_queue_keeps_the_order_of_chains(void **state)
{
    struct skua__inject inject = {.first = NULL};
    struct skua__runnable items[10], *out[10];
    CHECK_INT(skua__inject_pop(&inject, out, 10), 0);
    for (int i = 0; i < 9; i++) {
        items[i].next = &items[i + 1];
    }
    items[2].next = NULL;
    skua__inject_push(&inject, &items[0], &items[2], 3);
    skua__inject_push(&inject, &items[3], &items[3], 1);
    for (int i = 4; i < 9; i++) {
        items[i].next = &items[i + 1];
    }
    skua__inject_push(&inject, &items[4], &items[9], 6);
    CHECK_INT(skua__inject_count(&inject), 10);
    CHECK_INT(skua__inject_pop(&inject, out, 4), 4);
    CHECK_INT(skua__inject_pop(&inject, out + 4, 10), 6);
    for (int i = 0; i < 10; i++) {
        CHECK_PTR(out[i], &items[i]);
    }
    CHECK_INT(skua__inject_count(&inject), 0);
    skua__inject_push(&inject, &items[5], &items[5], 1); /* again usable after it was empty */
    CHECK_INT(skua__inject_pop(&inject, out, 1), 1);
    CHECK_PTR(out[0], &items[5]);
}

/* --- idle --------------------------------------------------------------------------------------
   */

static void parked_and_searching_are_counted(void **state)
{
    struct skua__idle idle = {.state = 0};
    struct skua__sleeper a = {.permit = 0}, b = {.permit = 0};
    skua__idle_init(&idle);
    CHECK(!skua__idle_wants_wake(&idle, false));
    CHECK(skua__idle_search_begin(&idle, 4));
    CHECK(skua__idle_search_begin(&idle, 4));
    CHECK(!skua__idle_search_begin(&idle, 4)); /* half of those awake */
    CHECK(!skua__idle_search_end(&idle));
    CHECK(!skua__idle_park(&idle, &a, false, false)); /* somebody still searches */
    CHECK(!skua__idle_wants_wake(&idle, false));
    CHECK_PTR(skua__idle_claim(&idle), NULL);
    CHECK(skua__idle_park(&idle, &b, true, false)); /* the last searcher */
    CHECK_INT(skua__idle_parked(&idle), 2);
    CHECK_INT(skua__idle_searching(&idle), 0);
    CHECK(skua__idle_wants_wake(&idle, false));
    CHECK_PTR(skua__idle_claim(&idle), &b); /* the warmest */
    CHECK_INT(skua__idle_searching(&idle), 1);
    CHECK_PTR(skua__idle_claim(&idle), NULL);
    CHECK(!skua__idle_unpark(&idle, &b, false));
    CHECK(skua__idle_claim_this(&idle, &a));
    CHECK(!skua__idle_claim_this(&idle, &a));
    CHECK_INT(skua__idle_parked(&idle), 0);
    CHECK(skua__idle_search_end(&idle));
    CHECK_PTR(skua__idle_claim_any(&idle), NULL);
}

static void who_polls_is_woken_last(void **state)
{
    struct skua__idle idle = {.state = 0};
    struct skua__sleeper a = {.permit = 0}, poller = {.permit = 0};
    skua__idle_init(&idle);
    skua__idle_park(&idle, &a, false, false);
    skua__idle_park(&idle, &poller, false, true);
    CHECK_PTR(skua__idle_claim(&idle), &a);
    CHECK_PTR(skua__idle_claim_any(&idle), &poller);
    CHECK(skua__idle_search_end(&idle));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_ring_is_first_in_first_out),
        TEST(a_thief_takes_the_older_half_rounded_up),
        TEST(positions_wrap_around),
        TEST(each_item_of_the_ring_is_taken_once),
        TEST(the_inject_queue_keeps_the_order_of_chains),
        TEST(parked_and_searching_are_counted),
        TEST(who_polls_is_woken_last),
    };
    return TEST_RUN(tests);
}
