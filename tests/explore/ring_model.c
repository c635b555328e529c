/* The ready ring, with four slots: the owner pushes and pops, thieves take half; at the end of the
   numbers, and where slots are written a second time.

   Sources: sched/ring.c
   Mutates: sched/ring.c sched/ring.h */
#include "explore.h"
#include "sched/ring.h"

#include "sched/runnable.h"

enum { ITEMS = 8 };

struct item {
    struct skua__runnable runnable;
    int payload;
    int times_taken;
};

struct shared {
    struct skua__ring ring;
    struct item items[ITEMS];
};
static struct shared *shared;
static int item_count;

static bool push(void)
{
    struct item *item = &shared->items[item_count];
    item->payload = 100 + item_count;
    bool is_pushed = skua__ring_push(&shared->ring, &item->runnable);
    item_count += is_pushed;
    return is_pushed;
}

static void took(struct skua__runnable *runnable)
{
    struct item *item = SKUA_CONTAINER(runnable, struct item, runnable);
    EXPLORE_CHECK(item->payload == 100 + (int)(item - shared->items));
    item->times_taken++;
    EXPLORE_CHECK(item->times_taken == 1);
    explore_note(explore_self() == 0 ? 0 : 1);
}

static void pop(void)
{
    struct skua__runnable *runnable = skua__ring_pop(&shared->ring);
    if (runnable != NULL) {
        took(runnable);
    }
}

/* What a thief gets is in order. */
static void thief(void)
{
    struct skua__runnable *loot[SKUA__RING_SLOTS / 2];
    uint32_t count = skua__ring_take_half(&shared->ring, loot);
    EXPLORE_CHECK(count <= SKUA__RING_SLOTS / 2);
    for (uint32_t i = 0; i < count; i++) {
        EXPLORE_CHECK(i == 0 || loot[i] > loot[i - 1]);
        took(loot[i]);
    }
}

static void start_at(uint32_t head, int count)
{
    shared = explore_alloc(sizeof *shared);
    explore_slots(shared->ring.slots, sizeof shared->ring.slots);
    skua__store(&shared->ring.head, head, relaxed);
    skua__store(&shared->ring.tail, head, relaxed);
    item_count = 0;
    while (item_count < count) {
        EXPLORE_CHECK(push());
    }
}

static void setup_empty(void)
{
    start_at(UINT32_MAX, 0);
}

static void setup_full(void)
{
    start_at(UINT32_MAX - 1, SKUA__RING_SLOTS);
}

static void finish(void)
{
    struct skua__runnable *runnable;
    EXPLORE_CHECK(skua__ring_count(&shared->ring) <= SKUA__RING_SLOTS);
    while ((runnable = skua__ring_pop(&shared->ring)) != NULL) {
        SKUA_CONTAINER(runnable, struct item, runnable)->times_taken++;
    }
    for (int i = 0; i < item_count; i++) {
        EXPLORE_CHECK(shared->items[i].times_taken == 1);
    }
}

static void owner_fills(void)
{
    push();
    push();
    pop();
    push();
}

static void owner_overwrites(void)
{
    pop();
    push();
    pop();
    push();
}

/* The slots that thieves have freed are filled again. */
static void owner_pushes_if_there_is_room(void)
{
    if (push()) {
        explore_note(2);
        push();
    }
    pop();
}

/* covers: B37 */
int main(void)
{
    EXPLORE("ring: filling", setup_empty, finish, owner_fills, thief, thief);
    EXPLORE("ring: overwriting", setup_full, finish, owner_overwrites, thief, thief);
    EXPLORE("ring: full", setup_full, finish, owner_pushes_if_there_is_room, thief, thief);
    EXPLORE_CHECK(explore_happened(2) > 0);
    return 0;
}
