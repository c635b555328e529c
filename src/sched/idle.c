/* Searching and parking: the counts and the list. README.md argues why no wake-up is lost. */
#include "sched/idle.h"

#define SEARCHING_ONE (UINT64_C(1) << 32)
#define PARKED_ONE UINT64_C(1)

void skua__idle_init(struct skua__idle *idle)
{
    skua__list_init(&idle->parked);
}

bool skua__idle_search_begin(struct skua__idle *idle, uint32_t workers)
{
    uint64_t state = skua__load(&idle->state, relaxed);
    uint64_t awake = workers - (uint32_t)state;
    if (2 * (state >> 32) >= awake) {
        return false;
    }
    /* A few too many, by a race, do no harm. */
    skua__fetch_add(&idle->state, SEARCHING_ONE, relaxed);
    return true;
}

bool skua__idle_search_end(struct skua__idle *idle)
{
    /* seq_cst: orders the count before the caller's look at the queues; pairs with the fence in
       skua__idle_wants_wake(). */
    uint64_t before = skua__fetch_sub(&idle->state, SEARCHING_ONE, seq_cst);
    /* seq_cst: orders the same once more: a read-modify-write alone does not keep later loads
       behind its store on all processors; pairs as above. */
    skua__fence(seq_cst);
    return before >> 32 == 1;
}

bool skua__idle_park(struct skua__idle *idle, struct skua__sleeper *sleeper, bool was_searching,
                     bool is_polling)
{
    skua__lock(&idle->lock, SKUA__RANK_IDLE);
    sleeper->is_polling = is_polling;
    skua__store(&sleeper->permit, SKUA__PERMIT_NONE, relaxed);
    skua__list_push_front(&idle->parked, &sleeper->link);
    uint64_t change = PARKED_ONE - (was_searching ? SEARCHING_ONE : 0);
    /* seq_cst: orders the count before the caller's last look; pairs with the fence (here or by
       membarrier) on the submitter's side. */
    uint64_t after = skua__fetch_add(&idle->state, change, seq_cst) + change;
    skua__unlock(&idle->lock, SKUA__RANK_IDLE);
    return after >> 32 == 0;
}

/* Takes the sleeper out, under the lock. */
static void take_out(struct skua__idle *idle, struct skua__sleeper *sleeper, bool as_searcher)
{
    skua__list_remove(&sleeper->link);
    uint64_t change = (as_searcher ? SEARCHING_ONE : 0) - PARKED_ONE;
    skua__fetch_add(&idle->state, change, relaxed);
}

bool skua__idle_unpark(struct skua__idle *idle, struct skua__sleeper *sleeper, bool as_searcher)
{
    skua__lock(&idle->lock, SKUA__RANK_IDLE);
    bool is_listed = skua__link_is_linked(&sleeper->link);
    if (is_listed) {
        take_out(idle, sleeper, as_searcher);
    }
    skua__unlock(&idle->lock, SKUA__RANK_IDLE);
    return is_listed;
}

/* The latest sleeper that does not poll, else the latest, else NULL. */
static struct skua__sleeper *choose(struct skua__idle *idle)
{
    struct skua__link *first = skua__list_first(&idle->parked);
    for (struct skua__link *link = first; link != NULL && link != &idle->parked.head;
         link = link->next) {
        struct skua__sleeper *sleeper = SKUA_CONTAINER(link, struct skua__sleeper, link);
        if (!sleeper->is_polling) {
            return sleeper;
        }
    }
    return first != NULL ? SKUA_CONTAINER(first, struct skua__sleeper, link) : NULL;
}

struct skua__sleeper *skua__idle_claim(struct skua__idle *idle)
{
    struct skua__sleeper *sleeper = NULL;
    skua__lock(&idle->lock, SKUA__RANK_IDLE);
    if (skua__idle_searching(idle) == 0) {
        sleeper = choose(idle);
    }
    if (sleeper != NULL) {
        take_out(idle, sleeper, true);
    }
    skua__unlock(&idle->lock, SKUA__RANK_IDLE);
    return sleeper;
}

bool skua__idle_claim_this(struct skua__idle *idle, struct skua__sleeper *sleeper)
{
    return skua__idle_unpark(idle, sleeper, false);
}

struct skua__sleeper *skua__idle_claim_any(struct skua__idle *idle)
{
    skua__lock(&idle->lock, SKUA__RANK_IDLE);
    struct skua__sleeper *sleeper = choose(idle);
    if (sleeper != NULL) {
        take_out(idle, sleeper, false);
    }
    skua__unlock(&idle->lock, SKUA__RANK_IDLE);
    return sleeper;
}
