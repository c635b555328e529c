/* The other ranks of a cluster, as a pool of rank 0 sees them: what is in its lanes, and where.

       pool: post, revoke --(L)--> places <--(L)-- the cluster's thread: sends, is answered

   Invariants
   (L1) A call that a remote has is in exactly one place, and its ticket names it; a place that is
        free or used again has another ticket.
   (L2) Only the cluster's thread ends calls that have left (SENT, STOPPING). It reads their input
        without the lock, since that stays until the end.
   (L3) A call whose caller has given up is answered when its grace is over, by the rank or by us,
        so that no deadline depends on another machine.
   (L4) A remote's places are made once, for the most that it may ever have; credits are at most
        that.

   *How many jobs a rank has.* One for each of its processes, and as many more as keep them busy
   while an answer and the next job are on their way, which takes up to a millisecond: that many
   jobs of the present length. Where a job takes long none is kept waiting behind it, since another
   rank might have had it.

   *Answers.* A small one is copied out of its packet, a large one is fetched to memory that
   becomes the caller's. If the caller is gone by then, it is dropped.

   Rejected: taking back what waits at a rank when others have nothing to do (a round trip more, for
   jobs that are short by the rule above); letting ranks steal from each other (the same, and rank 0
   would not know where a job is). */
#include "cluster/remote.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "cluster/lead.h"
#include "cluster/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    WORKERS_MAX = 1024,          /* of a pool */
    BATCH = 64,                  /* jobs that leave in one turn under the lock */
    AHEAD_MAX = 255,             /* jobs behind the one that runs, for each process */
    PLACES_MAX = 2048,           /* of a remote, unless it has more than half as many processes */
    ROUND_TRIP_NS = 1000 * 1000, /* what they have to bridge */
    STORY_BYTES = 128,
    WEIGHT = 8, /* of what is known against what is new */
};

/* Behind a job that takes so long nothing waits. */
static const int64_t LONG_NS = SKUA_MS(50);

static struct skua__remote *remote_of(struct skua__lane *lane)
{
    return SKUA_CONTAINER(lane, struct skua__remote, lane);
}

/* (L) The thread is to look at the remote. The hint is set and cleared under the lock, and read
   without it. */
static void note_work(struct skua__remote *remote)
{
    struct skua__remotes *remotes = remote->remotes;
    if (!remote->is_active) {
        remote->is_active = true;
        remote->next_active = remotes->active;
        remotes->active = remote;
        skua__store(&remotes->has_work, true, relaxed);
    }
}

/* (L) */
static struct skua__remote *next_active(struct skua__remotes *remotes)
{
    struct skua__remote *remote = remotes->active;
    if (remote != NULL) {
        remotes->active = remote->next_active;
        remote->is_active = false;
    } else {
        skua__store(&remotes->has_work, false, relaxed);
    }
    return remote;
}

/* --- (L) places ------------------------------------------------------------------------------- */

static uint32_t number_of(const struct skua__remote *remote, const struct skua__place *place)
{
    return (uint32_t)(place - remote->places);
}

static struct skua__place *place_of(struct skua__remote *remote, uint64_t ticket)
{
    uint32_t number = (uint32_t)ticket;
    if (number >= remote->place_count || remote->places[number].ticket != ticket ||
        remote->places[number].state == SKUA__PLACE_FREE) {
        return NULL;
    }
    return &remote->places[number];
}

static void free_place(struct skua__remote *remote, struct skua__place *place)
{
    if (place->state == SKUA__PLACE_STOPPING) {
        remote->stopping--;
        remote->remotes->stopping--;
    }
    place->state = SKUA__PLACE_FREE;
    place->call = NULL;
    place->next = remote->free;
    remote->free = number_of(remote, place);
}

static void queue_place(struct skua__remote *remote, struct skua__place *place)
{
    place->next = SKUA__PLACE_NONE;
    if (remote->first_posted == SKUA__PLACE_NONE) {
        remote->first_posted = number_of(remote, place);
    } else {
        remote->places[remote->last_posted].next = number_of(remote, place);
    }
    remote->last_posted = number_of(remote, place);
}

/* The next one that is to leave, out of the queue; or NULL. */
static struct skua__place *next_posted(struct skua__remote *remote)
{
    while (remote->first_posted != SKUA__PLACE_NONE) {
        struct skua__place *place = &remote->places[remote->first_posted];
        remote->first_posted = place->next;
        if (place->state == SKUA__PLACE_POSTED) {
            return place;
        }
        free_place(remote, place); /* REVOKED */
    }
    return NULL;
}

/* --- (L) what the pool asks for --------------------------------------------------------------- */

static void post(struct skua__lane *lane, struct skua__call *call)
{
    struct skua__remote *remote = remote_of(lane);
    skua_require(remote->free != SKUA__PLACE_NONE); /* L4 */
    struct skua__place *place = &remote->places[remote->free];
    remote->free = place->next;
    place->ticket = (skua__lead_serial(remote->remotes->lead) << 32) | number_of(remote, place);
    place->state = SKUA__PLACE_POSTED;
    place->call = call;
    call->ticket = place->ticket;
    queue_place(remote, place);
    note_work(remote);
}

static bool revoke(struct skua__lane *lane, struct skua__call *call, int status)
{
    struct skua__remote *remote = remote_of(lane);
    struct skua__place *place = place_of(remote, call->ticket);
    skua_require(place != NULL && place->call == call);
    if (place->state == SKUA__PLACE_POSTED) {
        place->state = SKUA__PLACE_REVOKED;
        place->call = NULL;
        return true;
    }
    if (place->state == SKUA__PLACE_SENT) {
        place->state = SKUA__PLACE_STOPPING;
        place->must_cancel = true;
        place->status = status;
        place->due_ns = call->grace_ns > 0 ? skua__clock_real_ns() + call->grace_ns : 0;
        remote->remotes->stopping++;
        remote->due_ns = remote->stopping++ == 0 || place->due_ns < remote->due_ns ? place->due_ns
                                                                                   : remote->due_ns;
        note_work(remote);
        skua__cluster_ring(skua__lead_cluster(remote->remotes->lead));
    }
    return false;
}

/* Without the lock. */
static void flush(void)
{
    struct skua__lead *lead = skua__lead_current();
    if (lead != NULL) {
        skua__cluster_ring(skua__lead_cluster(lead));
    }
}

static const struct skua__lane_ops operations = {post, revoke, flush};

/* --- sending ---------------------------------------------------------------------------------- */

struct departure {
    const struct skua__call *call;
    uint64_t ticket;
    int64_t left_ns;
};

static const void *input_of(const struct skua__call *call)
{
    return call->in.data != NULL || call->in_loan == NULL ? call->in.data : call->in_loan->memory;
}

/* (L) Until its deadline, where that is the pool's to watch: callers that wait watch their own. */
static int64_t left_ns(const struct skua__call *call)
{
    int64_t left = call->has_timer ? call->due_ns - skua__clock_real_ns() : SKUA__NEVER;
    return left > 0 ? left : 0;
}

/* (L) */
static size_t take_departures(struct skua__remote *remote, struct departure departures[],
                              size_t count)
{
    size_t taken = 0;
    struct skua__place *place;
    while (taken < count && (place = next_posted(remote)) != NULL) {
        place->state = SKUA__PLACE_SENT;
        remote->stats.sent++;
        remote->stats.bytes_in += place->call->in.bytes;
        departures[taken++] = (struct departure){place->call, place->ticket, left_ns(place->call)};
    }
    return taken;
}

/* By L2. */
static int send_job(const struct skua__remote *remote, const struct departure *departure)
{
    const struct skua__call *call = departure->call;
    const struct skua__record_job job = {
        .name_hash = call->job->name_hash,
        .bytes = call->in.bytes,
        .left_ns = departure->left_ns,
        .grace_ns = call->grace_ns,
        .priority = SKUA__PRIORITIES / 2 - 1 - (int)call->priority,
        .attempts = call->attempts,
    };
    const struct skua__part parts[] = {
        {&job, sizeof job},
        {input_of(call), call->in.bytes <= SKUA__EAGER_BYTES ? call->in.bytes : 0},
    };
    return skua__cluster_post(skua__lead_cluster(remote->remotes->lead), remote->rank,
                              SKUA__RECORD_JOB, remote->remotes->number, departure->ticket, parts,
                              SKUA_COUNT_OF(parts));
}

/* The call in the place ends with what we have. */
static void end_here(struct skua__remote *remote, uint64_t ticket, int status)
{
    skua_pool *pool = remote->remotes->pool;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    struct skua__place *place = place_of(remote, ticket);
    if (place != NULL && place->call != NULL) {
        struct skua__call *call = place->call;
        free_place(remote, place);
        remote->ended++;
        remote->stats.failed++;
        skua__lane_answered(&remote->lane, call, status, NULL, NULL, &after);
    }
    skua__pool_unlock_after(pool, &after);
}

static bool send_posted(struct skua__remote *remote)
{
    skua_pool *pool = remote->remotes->pool;
    struct departure departures[BATCH];
    bool has_sent = false;
    size_t count;
    do {
        skua__pool_lock(pool);
        count = remote->is_lost ? 0 : take_departures(remote, departures, BATCH);
        skua__pool_unlock(pool);
        for (size_t i = 0; i < count; i++) {
            if (send_job(remote, &departures[i]) == -ENOMEM) {
                end_here(remote, departures[i].ticket, -ENOMEM);
            }
        }
        has_sent |= count > 0;
    } while (count == BATCH);
    return has_sent;
}

/* --- those whose callers have given up -------------------------------------------------------- */

static void cancel_there(const struct skua__remote *remote, uint64_t ticket)
{
    /* Without memory the job runs on there, and its answer is dropped. */
    int status = skua__cluster_post(skua__lead_cluster(remote->remotes->lead), remote->rank,
                                    SKUA__RECORD_CANCEL, remote->remotes->number, ticket, NULL, 0);
    (void)status;
}

/* (L) The next place from `from` on that has to be seen to, and what is the earliest later on. */
static struct skua__place *next_stopping(struct skua__remote *remote, uint32_t from, int64_t now_ns)
{
    for (uint32_t i = from; i < remote->place_count; i++) {
        struct skua__place *place = &remote->places[i];
        if (place->state == SKUA__PLACE_STOPPING) {
            if (place->must_cancel || place->due_ns <= now_ns) {
                return place;
            }
            remote->due_ns = place->due_ns < remote->due_ns ? place->due_ns : remote->due_ns;
        }
    }
    return NULL;
}

static bool stop_overdue(struct skua__remote *remote, int64_t now_ns)
{
    skua_pool *pool = remote->remotes->pool;
    bool has_stopped = false;
    uint32_t from = 0;
    skua__pool_lock(pool);
    remote->due_ns = SKUA__NEVER;
    struct skua__place *place;
    while ((place = next_stopping(remote, from, now_ns)) != NULL) {
        uint64_t ticket = place->ticket;
        int status = place->status;
        bool must_cancel = place->must_cancel, is_due = place->due_ns <= now_ns;
        place->must_cancel = false;
        from = number_of(remote, place) + is_due; /* or look at it again, for its moment */
        skua__pool_unlock(pool);
        if (must_cancel) {
            cancel_there(remote, ticket);
        }
        if (is_due) {
            end_here(remote, ticket, status);
        }
        has_stopped = true;
        skua__pool_lock(pool);
    }
    skua__pool_unlock(pool);
    return has_stopped;
}

/* The pool closes: nobody waits for other machines. */
static bool stop_all(struct skua__remote *remote)
{
    skua_pool *pool = remote->remotes->pool;
    bool has_stopped = false;
    for (;;) {
        skua__pool_lock(pool);
        struct skua__link *first = skua__list_first(&remote->lane.calls);
        struct skua__call *call =
            first != NULL ? SKUA_CONTAINER(first, struct skua__call, link) : NULL;
        uint64_t ticket = call != NULL ? call->ticket : 0;
        struct skua__place *place = call != NULL ? place_of(remote, ticket) : NULL;
        if (place != NULL && place->state == SKUA__PLACE_POSTED) {
            bool is_ours = revoke(&remote->lane, call, -ESHUTDOWN);
            skua_require(is_ours);
            struct skua__after after;
            skua__after_init(&after);
            skua__lane_answered(&remote->lane, call, -ESHUTDOWN, NULL, NULL, &after);
            skua__pool_unlock_after(pool, &after);
            has_stopped = true;
            continue;
        }
        skua__pool_unlock(pool);
        if (place == NULL) {
            return has_stopped;
        }
        end_here(remote, ticket, -ESHUTDOWN);
        has_stopped = true;
    }
}

void skua__remotes_stop(struct skua__remotes *remotes)
{
    skua__pool_lock(remotes->pool);
    skua__store(&remotes->is_closing, true, relaxed);
    for (uint32_t rank = 1; rank < remotes->count; rank++) {
        note_work(&remotes->remote[rank]);
    }
    skua__pool_unlock(remotes->pool);
    skua__cluster_ring(skua__lead_cluster(remotes->lead));
}

/* --- the thread's turn ------------------------------------------------------------------------ */

static bool look_at_remote(struct skua__remote *remote, int64_t now_ns)
{
    bool has_moved = false;
    if (skua__load(&remote->remotes->is_closing, relaxed)) {
        has_moved = stop_all(remote);
    }
    has_moved |= send_posted(remote);
    return stop_overdue(remote, now_ns) || has_moved;
}

/* (L) Those whose moment has come are looked at as well. */
static void note_overdue(struct skua__remotes *remotes, int64_t now_ns)
{
    for (uint32_t rank = 1; rank < remotes->count && remotes->stopping > 0; rank++) {
        struct skua__remote *remote = &remotes->remote[rank];
        if (remote->stopping > 0 && remote->due_ns <= now_ns) {
            note_work(remote);
        }
    }
}

bool skua__remotes_work(struct skua__remotes *remotes)
{
    int64_t now_ns = skua__clock_real_ns();
    bool is_due = skua__remotes_due_ns(remotes) <= now_ns;
    if (!skua__load(&remotes->has_work, relaxed) && !is_due) {
        return false;
    }
    bool has_moved = false;
    struct skua__remote *remote;
    skua__pool_lock(remotes->pool);
    note_overdue(remotes, now_ns);
    while ((remote = next_active(remotes)) != NULL) {
        skua__pool_unlock(remotes->pool);
        has_moved |= look_at_remote(remote, now_ns);
        skua__pool_lock(remotes->pool);
    }
    skua__pool_unlock(remotes->pool);
    return has_moved;
}

/* (L) Something may come from there: answers, or word that it is open. */
static bool remote_expects(const struct skua__remote *remote)
{
    return !remote->is_lost && (remote->lane.load > 0 || remote->places == NULL);
}

bool skua__remotes_expect(struct skua__remotes *remotes, uint32_t rank)
{
    uint32_t first = rank != 0 ? rank : 1;
    uint32_t last = rank != 0 ? rank : remotes->count - 1;
    bool expects = false;
    skua__pool_lock(remotes->pool);
    for (uint32_t i = first; i <= last && !expects; i++) {
        expects = remote_expects(&remotes->remote[i]);
    }
    skua__pool_unlock(remotes->pool);
    return expects;
}

int64_t skua__remotes_due_ns(struct skua__remotes *remotes)
{
    int64_t due = SKUA__NEVER;
    skua__pool_lock(remotes->pool);
    for (uint32_t i = 1; i < remotes->count && remotes->stopping > 0; i++) {
        const struct skua__remote *remote = &remotes->remote[i];
        due = remote->stopping > 0 && remote->due_ns < due ? remote->due_ns : due;
    }
    skua__pool_unlock(remotes->pool);
    return due;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* (L) How much the rank gets from now on. */
static void adapt(struct skua__remote *remote, int64_t run_ns)
{
    if (run_ns > 0) {
        remote->run_ns =
            remote->run_ns == 0 ? run_ns : (remote->run_ns * (WEIGHT - 1) + run_ns) / WEIGHT;
    }
    int64_t ahead = remote->run_ns == 0         ? 1
                    : remote->run_ns >= LONG_NS ? 0
                                                : 1 + ROUND_TRIP_NS / remote->run_ns;
    ahead = ahead > AHEAD_MAX ? AHEAD_MAX : ahead;
    uint32_t credits = remote->lane.workers * (1 + (uint32_t)ahead);
    remote->lane.credits = credits < remote->place_count ? credits : remote->place_count;
}

/* An answer, as far as it has come. */
struct arrival {
    struct skua__fetch fetch; /* of a large one */
    struct skua__remote *remote;
    struct skua__record_answer head;
    char *text;   /* or NULL */
    char *memory; /* of the answer if it is long; else `inside` */
    const void *data;
    bool is_short;
    char inside[SKUA__OUT_INLINE_BYTES];
};

static void release_there(const struct skua__remote *remote, uint64_t ticket)
{
    int status = skua__cluster_post(skua__lead_cluster(remote->remotes->lead), remote->rank,
                                    SKUA__RECORD_DONE, remote->remotes->number, ticket, NULL, 0);
    (void)status;
}

/* (L) The answer as a loan; NULL with *status changed: there is no memory. */
static struct skua__loan *loan_of(struct arrival *arrival, int *status)
{
    if (arrival->head.bytes == 0) {
        return NULL;
    }
    if (!arrival->is_short && arrival->memory == NULL) {
        *status = -ENOMEM;
        return NULL;
    }
    struct skua__loan *loan = skua__loan_make(
        arrival->remote->remotes->pool, arrival->is_short ? SKUA__LOAN_SHORT : SKUA__LOAN_PRIVATE);
    if (loan == NULL) {
        *status = -ENOMEM;
        return NULL;
    }
    loan->bytes = arrival->head.bytes;
    if (arrival->is_short) {
        memcpy(loan->memory, arrival->data, arrival->head.bytes);
    } else {
        loan->memory = arrival->memory;
        arrival->memory = NULL;
    }
    return loan;
}

/* What the rank says of a job that it was told to stop is only that. */
static int status_in(const struct skua__place *place, int status)
{
    bool was_stopped = status == -ECANCELED || status == -ETIMEDOUT;
    return place->state == SKUA__PLACE_STOPPING && was_stopped ? place->status : status;
}

/* All of it is here. */
static void settle(struct arrival *arrival, uint64_t ticket)
{
    struct skua__remote *remote = arrival->remote;
    skua_pool *pool = remote->remotes->pool;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    struct skua__place *place = place_of(remote, ticket);
    if (place != NULL && place->call != NULL) {
        struct skua__call *call = place->call;
        int status = status_in(place, arrival->head.status);
        free_place(remote, place);
        remote->ended++;
        remote->stats.answered++;
        remote->stats.failed += status < 0;
        remote->stats.bytes_out += arrival->head.bytes;
        remote->stats.busy_ns = arrival->head.busy_ns;
        adapt(remote, arrival->head.run_ns);
        struct skua__loan *loan = loan_of(arrival, &status);
        skua__lane_answered(&remote->lane, call, status, loan, arrival->text, &after);
        arrival->text = NULL;
    }
    skua__pool_unlock_after(pool, &after);
    skua__free(arrival->text);
    skua__free(arrival->memory);
}

/* The rank was lost, and its call is over; the cluster ends. */
static void on_dropped(struct skua__cluster *cluster, struct skua__fetch *fetch)
{
    (void)cluster;
    struct arrival *arrival = SKUA_CONTAINER(fetch, struct arrival, fetch);
    skua__free(arrival->text);
    skua__free(arrival->memory);
    skua__remotes_unref(arrival->remote->remotes);
    skua__free(arrival);
}

static void on_arrived(struct skua__cluster *cluster, struct skua__fetch *fetch)
{
    (void)cluster;
    struct arrival *arrival = SKUA_CONTAINER(fetch, struct arrival, fetch);
    struct skua__remotes *remotes = arrival->remote->remotes;
    release_there(arrival->remote, fetch->ticket);
    if (skua__remotes_visit(remotes)) {
        settle(arrival, fetch->ticket);
        skua__remotes_leave(remotes);
    } else { /* the pool is gone */
        skua__free(arrival->text);
        skua__free(arrival->memory);
    }
    skua__remotes_unref(remotes);
    skua__free(arrival);
}

/* Does somebody wait for it? */
static bool is_wanted(struct skua__remote *remote, uint64_t ticket)
{
    skua__pool_lock(remote->remotes->pool);
    const struct skua__place *place = place_of(remote, ticket);
    bool wanted = place != NULL && place->call != NULL;
    skua__pool_unlock(remote->remotes->pool);
    return wanted;
}

static bool fetch_answer(const struct arrival *start, uint64_t ticket)
{
    struct skua__remote *remote = start->remote;
    struct arrival *arrival = skua__alloc(sizeof *arrival);
    char *memory = arrival != NULL ? skua__alloc_dirty(start->head.bytes) : NULL;
    if (memory == NULL) {
        skua__free(arrival);
        return false;
    }
    *arrival = *start;
    arrival->memory = memory;
    arrival->fetch = (struct skua__fetch){
        .from = remote->rank,
        .pool = remote->remotes->number,
        .ticket = ticket,
        .data = memory,
        .bytes = start->head.bytes,
        .arrived = on_arrived,
        .dropped = on_dropped,
    };
    skua__remotes_ref(remote->remotes);
    int status = skua__cluster_fetch(skua__lead_cluster(remote->remotes->lead), &arrival->fetch);
    skua_require(status == 0); /* by the thread, which has just heard of the rank */
    return true;
}

/* It is small enough to be in the record. */
static void take_small(struct arrival *arrival, const void *data, uint64_t ticket)
{
    size_t bytes = arrival->head.bytes;
    arrival->is_short = bytes <= SKUA__OUT_INLINE_BYTES;
    arrival->data = data;
    if (!arrival->is_short) {
        arrival->memory = skua__alloc_dirty(bytes);
        if (arrival->memory != NULL) {
            memcpy(arrival->memory, data, bytes);
        }
    }
    settle(arrival, ticket);
}

static char *copy_text(const char *text, size_t bytes)
{
    char *copy = bytes > 0 ? skua__alloc(bytes + 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

bool skua__remotes_answer(struct skua__remotes *remotes, uint32_t rank,
                          const struct skua__record *record)
{
    struct skua__remote *remote = &remotes->remote[rank];
    const struct skua__record_answer *head = skua__record_body(record, sizeof *head);
    if (head == NULL || head->bytes > remotes->payload_max) {
        return false;
    }
    const char *text = (const char *)(head + 1);
    bool is_eager = head->bytes <= SKUA__EAGER_BYTES;
    size_t left = record->bytes - sizeof *record - sizeof *head;
    if (head->text_bytes > left || (is_eager && head->bytes > left - head->text_bytes)) {
        return false;
    }
    if (!is_wanted(remote, record->ticket)) {
        if (!is_eager) {
            release_there(remote, record->ticket);
        }
        return true;
    }
    struct arrival arrival = {
        .remote = remote, .head = *head, .text = copy_text(text, head->text_bytes)};
    if (is_eager) {
        take_small(&arrival, text + head->text_bytes, record->ticket);
    } else if (!fetch_answer(&arrival, record->ticket)) {
        release_there(remote, record->ticket);
        settle(&arrival, record->ticket); /* without its memory: -ENOMEM */
    }
    return true;
}

/* --- inputs ----------------------------------------------------------------------------------- */

bool skua__remotes_piece(struct skua__remotes *remotes, uint32_t rank,
                         const struct skua__record *record, const void **data)
{
    struct skua__remote *remote = &remotes->remote[rank];
    const struct skua__record_pull *pull = skua__record_body(record, sizeof *pull);
    *data = NULL;
    bool is_sense = true;
    skua__pool_lock(remotes->pool);
    const struct skua__place *place = place_of(remote, record->ticket);
    if (place != NULL && place->call != NULL) {
        const struct skua__call *call = place->call;
        is_sense = pull->offset <= call->in.bytes && pull->bytes <= call->in.bytes - pull->offset;
        *data = is_sense ? (const char *)input_of(call) + pull->offset : NULL;
    }
    skua__pool_unlock(remotes->pool);
    return is_sense;
}

/* --- remotes come and go ---------------------------------------------------------------------- */

bool skua__remotes_opened(struct skua__remotes *remotes, uint32_t rank,
                          const struct skua__record *record)
{
    struct skua__remote *remote = &remotes->remote[rank];
    const struct skua__record_opened *opened = skua__record_body(record, sizeof *opened);
    if (opened == NULL || opened->workers > WORKERS_MAX || remote->places != NULL) {
        return false;
    }
    if (opened->status < 0) {
        remote->is_lost = true;
        skua__report("rank %u (%s) of the cluster has no processes for a pool: %s", rank,
                     skua__lead_host(remotes->lead, rank), skua_error_text(opened->status));
        return true;
    }
    uint32_t count = opened->workers * (1 + AHEAD_MAX);
    uint32_t count_max = opened->workers > PLACES_MAX / 2 ? 2 * opened->workers : PLACES_MAX;
    count = count < count_max ? count : count_max;
    struct skua__place *places = skua__alloc(count * sizeof *places);
    if (places == NULL) {
        remote->is_lost = true;
        return true;
    }
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(remotes->pool);
    remote->places = places;
    remote->place_count = count;
    remote->free = SKUA__PLACE_NONE;
    for (uint32_t i = count; i > 0; i--) {
        free_place(remote, &places[i - 1]);
    }
    remote->lane.workers = remote->stats.workers = opened->workers;
    adapt(remote, 0);
    remote->is_attached = true;
    skua__lane_attach(&remote->lane, &after);
    skua__pool_unlock_after(remotes->pool, &after);
    return true;
}

/* (L) The next call that the remote had, which has begun for all that is known if it has left. */
static struct skua__call *next_call(struct skua__remote *remote, bool *has_begun)
{
    struct skua__link *first = skua__list_first(&remote->lane.calls);
    if (first == NULL) {
        return NULL;
    }
    struct skua__call *call = SKUA_CONTAINER(first, struct skua__call, link);
    const struct skua__place *place = place_of(remote, call->ticket);
    *has_begun = place == NULL || place->state != SKUA__PLACE_POSTED;
    return call;
}

void skua__remotes_lost(struct skua__remotes *remotes, uint32_t rank)
{
    struct skua__remote *remote = &remotes->remote[rank];
    char story[STORY_BYTES];
    snprintf(story, sizeof story, "rank %u (%s) of the cluster was lost", rank,
             skua__lead_host(remotes->lead, rank));
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(remotes->pool);
    remote->is_lost = true;
    remote->stats.workers = remote->lane.workers = remote->lane.credits = 0;
    remote->stats.lost += remote->lane.load;
    struct skua__call *call;
    bool has_begun;
    while ((call = next_call(remote, &has_begun)) != NULL) {
        if (skua__lane_lost(&remote->lane, call, has_begun, &after, story)) {
            skua__pool_unlock_after(remotes->pool, &after);
            skua__after_init(&after);
            skua__pool_lock(remotes->pool);
        }
    }
    remote->first_posted = SKUA__PLACE_NONE;
    remotes->stopping -= remote->stopping;
    remote->stopping = 0;
    remote->place_count = 0; /* whoever comes with a ticket finds nothing */
    skua__pool_unlock_after(remotes->pool, &after);
}

struct skua__remotes *skua__remotes_create(struct skua__lead *lead, skua_pool *pool, uint32_t count)
{
    struct skua__remotes *remotes =
        skua__alloc(sizeof *remotes + count * sizeof remotes->remote[0]);
    if (remotes == NULL) {
        return NULL;
    }
    remotes->lead = lead;
    remotes->pool = pool;
    remotes->count = count;
    remotes->payload_max = pool->payload_max;
    for (uint32_t rank = 1; rank < count; rank++) {
        struct skua__remote *remote = &remotes->remote[rank];
        remote->remotes = remotes;
        remote->rank = rank;
        remote->first_posted = remote->free = SKUA__PLACE_NONE;
        remote->due_ns = SKUA__NEVER;
        remote->lane.pool = pool;
        remote->lane.ops = &operations;
        skua__list_init(&remote->lane.calls);
    }
    return remotes;
}

void skua__remotes_free(struct skua__remotes *remotes)
{
    for (uint32_t rank = 1; rank < remotes->count; rank++) {
        skua__free(remotes->remote[rank].places);
    }
    skua__free(remotes);
}
