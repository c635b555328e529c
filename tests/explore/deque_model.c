/* The work-stealing deque: one owner, two thieves, growth.

   Sources: sched/deque.c
   Mutates: sched/deque.c */
#include "explore.h"
#include "sched/deque.h"

enum { ITEMS = 4 };

/* An item's payload is plain memory: whoever gets the item must see it. */
struct item {
    int payload;
    int times_taken;
};

struct shared {
    struct skua__deque deque;
    struct item items[ITEMS];
};
static struct shared *shared;
static int item_count;

static void make(int64_t capacity)
{
    shared = explore_alloc(sizeof *shared);
    EXPLORE_CHECK(skua__deque_init(&shared->deque, capacity) == 0);
    /* The array's inside is the deque's own; its only atomic objects are the slots. */
    size_t at_least = (size_t)capacity * sizeof(void *);
    explore_slots(skua__load(&shared->deque.array, relaxed), 2 * sizeof(void *) + at_least);
    item_count = 0;
}

static void push(int number)
{
    shared->items[number].payload = 100 + number;
    item_count = number + 1;
    EXPLORE_CHECK(skua__deque_push(&shared->deque, &shared->items[number]) == 0);
}

static void took(struct item *item)
{
    if (item == NULL) {
        return;
    }
    explore_note(explore_self() == 0 ? 0 : 1);
    EXPLORE_CHECK(item->payload == 100 + (int)(item - shared->items));
    item->times_taken++; /* a race, if two have it */
    EXPLORE_CHECK(item->times_taken == 1);
}

static void pop(void)
{
    took(skua__deque_pop(&shared->deque));
}

static void thief(void)
{
    took(skua__deque_steal(&shared->deque));
}

/* Nothing is lost: what the threads have not taken is still there. */
static void finish(void)
{
    struct item *item;
    while ((item = skua__deque_pop(&shared->deque)) != NULL) {
        item->times_taken++;
    }
    for (int i = 0; i < item_count; i++) {
        EXPLORE_CHECK(shared->items[i].times_taken == 1);
    }
    skua__deque_fini(&shared->deque);
    EXPLORE_CHECK(explore_blocks() == 1);
}

/* --- the last item ---------------------------------------------------------------------------- */

static void setup_small(void)
{
    make(2);
}

static void owner_pops_the_last(void)
{
    push(0);
    pop();
    push(1);
    pop();
}

static void owner_pops_two(void)
{
    push(0);
    push(1);
    pop();
    pop();
}

/* --- growth ----------------------------------------------------------------------------------- */

static void setup_two_inside(void)
{
    make(2);
    push(0);
    push(1);
}

static void owner_grows(void)
{
    push(2);
    pop();
    pop();
}

static void owner_wraps(void)
{
    push(2);
    push(3);
    pop();
}

static void thief_of_two(void)
{
    thief();
    thief();
}

/* covers: B37 */
int main(void)
{
    EXPLORE("deque: the last item", setup_small, finish, owner_pops_the_last, thief, thief);
    EXPLORE("deque: two items", setup_small, finish, owner_pops_two, thief, thief);
    EXPLORE("deque: growth", setup_two_inside, finish, owner_grows, thief, thief);
    EXPLORE("deque: growth and laps", setup_two_inside, finish, owner_wraps, thief_of_two);
    return 0;
}
