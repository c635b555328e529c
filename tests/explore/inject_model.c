/* The inject queue: two who push, two who take, under the real lock.

   Sources: sched/inject.c
   Mutates: sched/inject.c base/lock.h */
#include "explore.h"
#include "sched/inject.h"

enum { ITEMS = 4 };

struct item {
    struct skua__runnable runnable;
    int payload;
    int times_taken;
};

struct shared {
    struct skua__inject inject;
    struct item items[ITEMS];
};
static struct shared *shared;

static void setup(void)
{
    shared = explore_alloc(sizeof *shared);
}

static void push(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        shared->items[i].payload = 100 + i;
        shared->items[i].runnable.next = &shared->items[i + 1].runnable;
    }
    skua__inject_push(&shared->inject, &shared->items[first].runnable,
                      &shared->items[first + count - 1].runnable, (uint32_t)count);
}

static void push_chain(void)
{
    push(0, 2);
}

static void push_one(void)
{
    push(2, 1);
}

static void take(void)
{
    struct skua__runnable *out[2];
    uint32_t count = skua__inject_pop(&shared->inject, out, 2);
    for (uint32_t i = 0; i < count; i++) {
        struct item *item = SKUA_CONTAINER(out[i], struct item, runnable);
        EXPLORE_CHECK(item->payload == 100 + (int)(item - shared->items));
        item->times_taken++;
        explore_note(count);
    }
}

static void finish(void)
{
    struct skua__runnable *out[ITEMS];
    uint32_t left = skua__inject_count(&shared->inject);
    EXPLORE_CHECK(skua__inject_pop(&shared->inject, out, ITEMS) == left);
    for (uint32_t i = 0; i < left; i++) {
        SKUA_CONTAINER(out[i], struct item, runnable)->times_taken++;
    }
    for (int i = 0; i < 3; i++) {
        EXPLORE_CHECK(shared->items[i].times_taken == 1);
    }
}

/* covers: B37 */
int main(void)
{
    EXPLORE("inject: two push, two take", setup, finish, push_chain, push_one, take, take);
    EXPLORE_CHECK(explore_happened(1) > 0 && explore_happened(2) > 0);
    return 0;
}
