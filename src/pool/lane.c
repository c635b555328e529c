/* The pool's side of its lanes: who runs its jobs without being one of its processes.

   Invariants, all under the pool's lock
   (E1) A call is in a lane when it is RUNNING with `lane` set; then it is in that lane's list and
        counted in its load, and in no ring.
   (E2) It leaves the lane once: answered, lost, or taken back.
   (E3) A lane is offered a call only while its load is below its credits. One whose credits fall
        keeps what it has.
   (E4) pool->lanes is in the order in which they are next to be offered a call.

   Rejected: processes as lanes, too. Theirs is another matter: inputs that lie in their memory
   already, copies without the lock, fds, requests that are taken back one by one. What is common to
   both would be a call through a pointer on the way of each job that stays here. */
#include "pool/lane.h"

#include "pool/state.h"

#include <errno.h>

/* --- what the pool asks ----------------------------------------------------------------------- */

/* Bytes in, bytes out, and nothing else. */
static bool may_travel(const struct skua__call *call)
{
    return call->opts == NULL;
}

static bool has_room(const struct skua__lane *lane, bool is_idle_only)
{
    const uint32_t limit =
        is_idle_only && lane->workers < lane->credits ? lane->workers : lane->credits;
    return lane->load < limit;
}

/* It becomes the last one in turn. */
static void post(struct skua__lane *lane, struct skua__call *call, struct skua__after *after)
{
    lane->load++;
    call->lane = lane;
    call->state = SKUA__CALL_RUNNING;
    skua__list_push_back(&lane->calls, &call->link);
    lane->ops->post(lane, call);
    after->lane_flush = lane->ops->flush;
    skua__list_remove(&lane->link);
    skua__list_push_back(&lane->pool->lanes, &lane->link);
}

bool skua__lanes_offer(skua_pool *pool, struct skua__call *call, bool is_idle_only,
                       struct skua__after *after)
{
    if (!may_travel(call)) {
        return false;
    }
    for (struct skua__link *link = pool->lanes.head.next; link != &pool->lanes.head;
         link = link->next) {
        struct skua__lane *lane = SKUA_CONTAINER(link, struct skua__lane, link);
        if (has_room(lane, is_idle_only)) {
            post(lane, call, after);
            return true;
        }
    }
    return false;
}

bool skua__lanes_have_idle(const skua_pool *pool)
{
    for (const struct skua__link *link = pool->lanes.head.next; link != &pool->lanes.head;
         link = link->next) {
        if (has_room(SKUA_CONTAINER(link, struct skua__lane, link), true)) {
            return true;
        }
    }
    return false;
}

uint32_t skua__lanes_load(const skua_pool *pool)
{
    uint32_t load = 0;
    for (const struct skua__link *link = pool->lanes.head.next; link != &pool->lanes.head;
         link = link->next) {
        load += SKUA_CONTAINER(link, struct skua__lane, link)->load;
    }
    return load;
}

uint64_t skua__lanes_credits(const skua_pool *pool)
{
    uint64_t credits = 0;
    for (const struct skua__link *link = pool->lanes.head.next; link != &pool->lanes.head;
         link = link->next) {
        credits += SKUA_CONTAINER(link, struct skua__lane, link)->credits;
    }
    return credits;
}

static void leave(struct skua__lane *lane, struct skua__call *call)
{
    skua__list_remove(&call->link);
    lane->load--;
    call->lane = NULL;
    call->state = SKUA__CALL_NEW;
}

bool skua__lane_take_back(struct skua__call *call, int status)
{
    struct skua__lane *lane = call->lane;
    if (!lane->ops->revoke(lane, call, status)) {
        return false;
    }
    leave(lane, call);
    return true;
}

/* --- what a lane tells ------------------------------------------------------------------------ */

void skua__lane_attach(struct skua__lane *lane, struct skua__after *after)
{
    skua__list_push_back(&lane->pool->lanes, &lane->link);
    skua__pool_dispatch(lane->pool, after);
}

void skua__lane_detach(struct skua__lane *lane)
{
    skua__list_remove(&lane->link);
}

void skua__lane_answered(struct skua__lane *lane, struct skua__call *call, int status,
                         struct skua__loan *answer, char *text, struct skua__after *after)
{
    leave(lane, call);
    call->answer = answer;
    call->text = text;
    skua__call_finish(lane->pool, call, after, status);
    skua__pool_dispatch(lane->pool, after);
    if (lane->load < lane->workers && lane->pool->pending_mask == 0 &&
        !skua__list_is_empty(&lane->pool->busy)) {
        skua__pool_ring(lane->pool); /* it may have what waits behind a long job here */
    }
}

bool skua__lane_lost(struct skua__lane *lane, struct skua__call *call, bool has_begun,
                     struct skua__after *after, const char *story)
{
    leave(lane, call);
    if (call->is_stopping) {
        skua__call_finish(lane->pool, call, after, call->status);
    } else if (!has_begun) {
        lane->pool->stats.requeued++;
        skua__pool_requeue(lane->pool, call);
    } else {
        skua__call_crashed(lane->pool, call, after, -EOWNERDEAD, story);
    }
    skua__pool_dispatch(lane->pool, after);
    return skua__after_is_full(after);
}
