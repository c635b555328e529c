/* Single flights: of the calls for one key that are made at the same time one runs, and all get
   what it gave.

     (F1) At most one call for a key stands in the table, and it runs. A call that runs stands in
          the table or was detached from it; it leaves by finish or by hand-over.
     (F2) A follower stands in the list of exactly one runner, or its part is decided, or its wait
          has ended otherwise and it is about to take the lock and leave.
     (F3) The records of others are touched only under the lock, and after a successful claim. Who
          leaves takes the lock first. So a frame ends only when nobody can be at its record.
     (F4) A follower that was served reports that, however its wait has ended meanwhile: the copy,
          and what it owns, is not lost.
     (F5) A hand-over gives the part, the place in the table and the followers to one follower that
          was claimed for it. It runs, or hands over itself; so as long as somebody waits, somebody
          runs.

   Which caller's failure it is: fn runs in the scope of its caller, which may be cancelled while
   others, with all the time of the world, wait. Such a failure is not theirs.

   Rejected: a task of its own for each call, that is cancelled when nobody waits any more
   (docs/decisions/0014-waiting-for-many.md); one fixed runner, as Go has it, whose cancel fails
   everybody; waking followers while the list is still being served (the lock would be given up in
   between, and the value might be evicted). */
#include "group/flight.h"

#include "base/panic.h"
#include "sched/fiber.h"
#include "sched/service.h"
#include "sched/worker.h"

#include <skua/scope.h>
#include <string.h>

static struct skua__flight *inside(skua_flight *flight)
{
    return (struct skua__flight *)(void *)flight;
}

/* --- the table -------------------------------------------------------------------------------- */

/* FNV-1a, and a last step that brings the high bits down. */
uint64_t skua__flight_hash(const void *key, size_t key_bytes)
{
    const unsigned char *bytes = key;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key_bytes; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 32;
}

void skua__caller_init(struct skua__caller *self, const void *key, size_t key_bytes, uint64_t hash)
{
    *self = (struct skua__caller){
        .key = key, .key_bytes = key_bytes, .hash = hash, .fiber = skua__fiber_self()};
    skua__list_init(&self->followers);
}

/* The place in the table that points to the runner of this key, or to NULL at the chain's end. */
static struct skua__caller **find(struct skua__flight *flight, const void *key, size_t key_bytes,
                                  uint64_t hash)
{
    struct skua__caller **place = &flight->chains[hash % SKUA__FLIGHT_CHAINS];
    for (; *place != NULL; place = &(*place)->next) {
        const struct skua__caller *runner = *place;
        if (runner->hash == hash &&
            skua__flight_same_key(runner->key, runner->key_bytes, key, key_bytes)) {
            break;
        }
    }
    return place;
}

/* The place that points to this very runner, which is not detached. */
static struct skua__caller **place_of(struct skua__flight *flight, const struct skua__caller *self)
{
    struct skua__caller **place = &flight->chains[self->hash % SKUA__FLIGHT_CHAINS];
    while (*place != self) {
        place = &(*place)->next;
    }
    return place;
}

static void unlink_runner(struct skua__flight *flight, struct skua__caller *self)
{
    if (!self->is_detached) {
        *place_of(flight, self) = self->next;
        self->is_detached = true;
    }
}

void skua__flight_detach(struct skua__flight *flight, const void *key, size_t key_bytes,
                         uint64_t hash)
{
    struct skua__caller *runner = *find(flight, key, key_bytes, hash);
    if (runner != NULL) {
        unlink_runner(flight, runner);
    }
}

void skua__flight_detach_all(struct skua__flight *flight)
{
    for (size_t i = 0; i < SKUA__FLIGHT_CHAINS; i++) {
        while (flight->chains[i] != NULL) {
            unlink_runner(flight, flight->chains[i]);
        }
    }
}

/* --- waiting ---------------------------------------------------------------------------------- */

static enum skua__part leave(struct skua__flight *flight, struct skua__caller *self, int status)
{
    skua__unlock(&flight->lock, SKUA__RANK_WATCH);
    self->status = status;
    return SKUA__PART_LEFT;
}

/* The wait has ended without a claim of ours. */
static enum skua__part give_up(struct skua__flight *flight, struct skua__caller *self, int cause)
{
    skua__lock(&flight->lock, SKUA__RANK_WATCH);
    if (skua__link_is_linked(&self->waiter.link)) {
        skua__list_remove(&self->waiter.link);
    }
    if (self->part == SKUA__PART_NONE && cause != SKUA__RECHECK) {
        return leave(flight, self, cause);
    }
    skua__unlock(&flight->lock, SKUA__RANK_WATCH);
    return self->part == SKUA__PART_NONE ? SKUA__PART_AGAIN : self->part; /* F4 */
}

static enum skua__part follow(struct skua__flight *flight, struct skua__caller *runner,
                              struct skua__caller *self, skua_time deadline)
{
    if (runner->fiber != NULL && runner->fiber == self->fiber) {
        return leave(flight, self, -EDEADLK);
    }
    if (runner->value_bytes != self->value_bytes) {
        return leave(flight, self, -EINVAL);
    }
    if (skua__is_now(deadline)) {
        return leave(flight, self, -EAGAIN);
    }
    struct skua__wait wait;
    skua__wait_begin(&wait, SKUA__SOFT);
    skua__waiter_init(&self->waiter, &wait, 0, NULL);
    skua__list_push_back(&runner->followers, &self->waiter.link);
    skua__unlock(&flight->lock, SKUA__RANK_WATCH);
    int cause = skua__wait_park(&wait, skua__deadline_ns(deadline));
    return cause >= 0 ? self->part : give_up(flight, self, cause);
}

enum skua__part skua__flight_enter(struct skua__flight *flight, struct skua__caller *self,
                                   skua_time deadline)
{
    struct skua__caller **place = find(flight, self->key, self->key_bytes, self->hash);
    if (*place != NULL) {
        return follow(flight, *place, self, deadline);
    }
    *place = self;
    self->next = NULL;
    self->is_detached = false;
    self->part = SKUA__PART_RUN;
    skua__unlock(&flight->lock, SKUA__RANK_WATCH);
    return SKUA__PART_RUN;
}

/* --- running ---------------------------------------------------------------------------------- */

int skua__flight_attempt(skua_fn fn, void *arg, skua_time deadline, bool *is_own)
{
    *is_own = skua_cancelled();
    if (*is_own) {
        return -ECANCELED; /* before trying: an heir may have been cancelled meanwhile */
    }
    if (deadline.ns == 0 || skua_self() == NULL) {
        int status = fn(arg);
        *is_own = status < 0 && skua_cancelled();
        return status;
    }
    skua_scope scope = {{0}};
    skua_scope_open(&scope, deadline);
    int status = fn(arg);
    *is_own = status < 0 && skua_cancelled();
    return skua_scope_close(&scope, status);
}

static struct skua__caller *follower_of(struct skua__link *link)
{
    struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
    return SKUA_CONTAINER(waiter, struct skua__caller, waiter);
}

static void serve(struct skua__caller *follower, const struct skua__caller *self, int status,
                  const struct skua__flight_retain *retain)
{
    follower->part = SKUA__PART_SERVED;
    follower->status = status;
    if (status < 0 || self->value_bytes == 0) {
        return;
    }
    memcpy(follower->value, self->value, self->value_bytes);
    if (retain->retain != NULL) {
        retain->retain(follower->value, retain->arg);
    }
}

void skua__flight_finish(struct skua__flight *flight, struct skua__caller *self, int status,
                         const struct skua__flight_retain *retain)
{
    struct skua__list claimed;
    struct skua__link *link;
    skua__list_init(&claimed);
    unlink_runner(flight, self);
    for (; (link = skua__list_pop_front(&self->followers)) != NULL; flight->served++) {
        struct skua__caller *follower = follower_of(link);
        serve(follower, self, status, retain);
        if (skua__waiter_claim(&follower->waiter)) {
            skua__list_push_back(&claimed, link); /* it sleeps until the wake, so it keeps still */
        }
    }
    skua__unlock(&flight->lock, SKUA__RANK_WATCH);
    while ((link = skua__list_pop_front(&claimed)) != NULL) {
        skua__wake(follower_of(link)->waiter.parker);
    }
}

/* Moves all of `from` to the empty list `to`. */
static void move_all(struct skua__list *to, struct skua__list *from)
{
    if (!skua__list_is_empty(from)) {
        to->head = from->head;
        to->head.next->prev = to->head.prev->next = &to->head;
        skua__list_init(from);
    }
}

/* The oldest follower that still waits, claimed and out of the list; or NULL. */
static struct skua__caller *claim_heir(struct skua__caller *self)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(&self->followers)) != NULL) {
        struct skua__caller *heir = follower_of(link);
        if (skua__waiter_claim(&heir->waiter)) {
            return heir;
        }
    }
    return NULL;
}

void skua__flight_hand_over(struct skua__flight *flight, struct skua__caller *self)
{
    struct skua__caller *heir = claim_heir(self);
    if (heir == NULL) {
        unlink_runner(flight, self);
        skua__unlock(&flight->lock, SKUA__RANK_WATCH);
        return;
    }
    move_all(&heir->followers, &self->followers);
    heir->part = SKUA__PART_RUN;
    heir->is_detached = self->is_detached;
    if (!self->is_detached) {
        heir->next = self->next;
        *place_of(flight, self) = heir;
    }
    struct skua__parker *parker = heir->waiter.parker;
    skua__unlock(&flight->lock, SKUA__RANK_WATCH);
    skua__wake(parker);
}

/* --- the public call -------------------------------------------------------------------------- */

/* As the runner. */
static int run(struct skua__flight *flight, struct skua__caller *self, const skua_flight_call *call,
               skua_time deadline)
{
    static const struct skua__flight_retain nothing;
    bool is_own;
    int status = skua__flight_attempt(call->fn, call->arg, deadline, &is_own);
    skua__lock(&flight->lock, SKUA__RANK_WATCH);
    if (is_own) {
        skua__flight_hand_over(flight, self);
        return status == -ETIMEDOUT && skua__is_now(deadline) ? -EAGAIN : status;
    }
    skua__flight_finish(flight, self, status, &nothing);
    return status;
}

static int check_call(const skua_flight_call *call)
{
    bool is_good = call->fn != NULL && (call->key != NULL || call->key_bytes == 0) &&
                   (call->value != NULL || call->value_bytes == 0);
    return is_good ? 0 : -EINVAL;
}

int skua_flight_run(skua_flight *flight, const skua_flight_call *call, skua_time deadline)
{
    struct skua__flight *table = inside(flight);
    struct skua__caller self;
    int status = skua__forked() ? -ESHUTDOWN : check_call(call);
    if (status < 0) {
        return status;
    }
    skua__caller_init(&self, call->key, call->key_bytes,
                      skua__flight_hash(call->key, call->key_bytes));
    self.value = call->value;
    self.value_bytes = call->value_bytes;
    enum skua__part part;
    do {
        status = skua__cancel_point();
        if (status < 0) {
            return status;
        }
        skua__lock(&table->lock, SKUA__RANK_WATCH);
        part = skua__flight_enter(table, &self, deadline);
    } while (part == SKUA__PART_AGAIN);
    return part == SKUA__PART_RUN ? run(table, &self, call, deadline) : self.status;
}
