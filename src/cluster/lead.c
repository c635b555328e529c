/* Rank 0 of a cluster: who is there, and which pools reach beyond it.

   Invariants
   (H1) The link's thread uses a pool only between visit and leave, and a pool goes only when it is
        not being visited: so it never meets one that is gone.
   (H2) Nothing is sent to a rank before it has said hello, and is the same program.
   (H3) A pool's number may be used again; its serial number is not, and neither are tickets. So
        what comes late for an earlier pool is not taken for a later one's.
   (H4) STOP goes out when nothing is fetched from any rank, and nothing is fetched after it: a rank
        that has ended would never send what it is asked for.

   The lock is held for some instructions at a time, and no other is taken under it. */
#include "cluster/lead.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"
#include "cluster/cluster.h"
#include "cluster/link.h"
#include "cluster/remote.h"
#include "pool/job.h"
#include "sched/service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { POOLS_MAX = 256, WHY_BYTES = 160 };

/* What ranks may take to begin: a launcher of many starts them one after the other. */
static const int64_t START_NS = SKUA_SEC(120);

/* What ranks may take to end: they kill their workers, and that is all. */
static const int64_t END_NS = SKUA_SEC(20);

struct member {
    struct skua__record_hello hello; /* version 0: it has not come */
    bool has_left;                   /* BYE; the thread's */
    uint32_t sharers;                /* ranks on the same cores */
};

struct skua__lead {
    struct skua__lock lock;
    struct skua__remotes *pools[POOLS_MAX]; /* under the lock; by number - 1 */
    uint32_t pool_count;                    /* under the lock: numbers that were ever used */
    struct skua__remotes *visited;          /* under the lock: by the thread */
    _Atomic uint64_t serial;
    _Atomic uint32_t changes; /* of the following; a futex */
    _Atomic uint32_t hellos;
    _Atomic uint32_t ended; /* ranks that have left or are lost */
    _Atomic bool is_ending;
    bool has_told_stop;    /* to all; the thread's */
    _Atomic bool is_wrong; /* `why` says what */
    char why[WHY_BYTES];
    struct skua__cluster *cluster;
    struct member members[];
};

static _Atomic(struct skua__lead *) current;

static void lock(struct skua__lead *lead)
{
    skua__lock(&lead->lock, SKUA__RANK_CLUSTER);
}

static void unlock(struct skua__lead *lead)
{
    skua__unlock(&lead->lock, SKUA__RANK_CLUSTER);
}

struct skua__cluster *skua__lead_cluster(const struct skua__lead *lead)
{
    return lead->cluster;
}

const char *skua__lead_host(const struct skua__lead *lead, uint32_t rank)
{
    return lead->members[rank].hello.host;
}

uint64_t skua__lead_serial(struct skua__lead *lead)
{
    return skua__fetch_add(&lead->serial, 1, relaxed) + 1;
}

/* --- visits ----------------------------------------------------------------------------------- */

bool skua__remotes_visit(struct skua__remotes *remotes)
{
    struct skua__lead *lead = remotes->lead;
    lock(lead);
    bool is_there = !remotes->is_gone;
    if (is_there) {
        lead->visited = remotes;
    }
    unlock(lead);
    return is_there;
}

void skua__remotes_leave(struct skua__remotes *remotes)
{
    struct skua__lead *lead = remotes->lead;
    lock(lead);
    lead->visited = NULL;
    unlock(lead);
}

void skua__remotes_ref(struct skua__remotes *remotes)
{
    lock(remotes->lead);
    remotes->references++;
    unlock(remotes->lead);
}

void skua__remotes_unref(struct skua__remotes *remotes)
{
    struct skua__lead *lead = remotes->lead;
    lock(lead);
    bool is_last = --remotes->references == 0;
    unlock(lead);
    if (is_last) {
        skua__remotes_free(remotes);
    }
}

/* Visit the pool of that number, if there is one. */
static struct skua__remotes *visit(struct skua__lead *lead, uint32_t number)
{
    lock(lead);
    struct skua__remotes *remotes =
        number > 0 && number <= lead->pool_count ? lead->pools[number - 1] : NULL;
    lead->visited = remotes;
    unlock(lead);
    return remotes;
}

static uint32_t pool_count(struct skua__lead *lead)
{
    lock(lead);
    uint32_t count = lead->pool_count;
    unlock(lead);
    return count;
}

/* --- what the link tells ---------------------------------------------------------------------- */

static void note_change(struct skua__lead *lead)
{
    /* release: publishes what has changed; pairs with the acquire in await(). */
    skua__fetch_add(&lead->changes, 1, release);
    skua__futex_wake(&lead->changes, 1, false);
}

static void complain(struct skua__lead *lead, uint32_t rank, const char *host, const char *what)
{
    if (!skua__load(&lead->is_wrong, relaxed)) {
        snprintf(lead->why, sizeof lead->why, "rank %u%s%s%s %s", rank, host[0] != '\0' ? " (" : "",
                 host, host[0] != '\0' ? ")" : "", what);
        /* release: publishes `why`; pairs with the acquire in is_wrong(). */
        skua__store(&lead->is_wrong, true, release);
        note_change(lead);
    }
}

static bool on_hello(struct skua__lead *lead, uint32_t from, const struct skua__record *record)
{
    const struct skua__record_hello *hello = skua__record_body(record, sizeof *hello);
    struct member *member = &lead->members[from];
    if (hello == NULL || member->hello.version != 0) {
        return false;
    }
    member->hello = *hello;
    member->hello.host[SKUA__HOST_BYTES - 1] = '\0';
    const struct skua__record_hello *own = &lead->members[0].hello;
    if (hello->version != own->version || hello->build != own->build) {
        complain(lead, from, member->hello.host, "runs another build of the program");
    }
    /* release: publishes the member; pairs with the acquire in await(), which may see this count
       before the change that follows. */
    skua__fetch_add(&lead->hellos, 1, release);
    note_change(lead);
    return true;
}

static bool on_bye(struct skua__lead *lead, uint32_t from)
{
    if (lead->members[from].has_left) {
        return false;
    }
    lead->members[from].has_left = true;
    skua__fetch_add(&lead->ended, 1, relaxed);
    note_change(lead);
    return true;
}

/* What comes for a pool that is gone is late, and nothing more. */
static bool on_pool_record(struct skua__lead *lead, uint32_t from,
                           const struct skua__record *record)
{
    struct skua__remotes *remotes = lead->has_told_stop ? NULL : visit(lead, record->pool);
    if (remotes == NULL) {
        return true;
    }
    bool is_sense = true;
    if (record->kind == SKUA__RECORD_ANSWER) {
        is_sense = skua__remotes_answer(remotes, from, record);
    } else if (record->ticket == remotes->serial) {
        is_sense = skua__remotes_opened(remotes, from, record);
    }
    skua__remotes_leave(remotes);
    return is_sense;
}

static bool on_record(void *arg, uint32_t from, const struct skua__record *record)
{
    struct skua__lead *lead = arg;
    switch (record->kind) {
    case SKUA__RECORD_HELLO:
        return on_hello(lead, from, record);
    case SKUA__RECORD_BYE:
        return on_bye(lead, from);
    case SKUA__RECORD_OPENED:
    case SKUA__RECORD_ANSWER:
        return on_pool_record(lead, from, record);
    default:
        return false;
    }
}

static bool on_piece(void *arg, uint32_t to, const struct skua__record *record, const void **data,
                     struct skua__parcel **parcel)
{
    *data = NULL;
    *parcel = NULL; /* the input may be taken away at any moment */
    struct skua__remotes *remotes = visit(arg, record->pool);
    if (remotes == NULL) {
        return true;
    }
    bool is_sense = skua__remotes_piece(remotes, to, record, data);
    skua__remotes_leave(remotes);
    return is_sense;
}

/* Once nothing is fetched any more (H4). */
static bool tell_stop(struct skua__lead *lead)
{
    struct skua__cluster *cluster = lead->cluster;
    if (!skua__load(&lead->is_ending, relaxed) || lead->has_told_stop ||
        skua__cluster_fetches(cluster)) {
        return false;
    }
    lead->has_told_stop = true;
    for (uint32_t rank = 1; rank < cluster->size; rank++) {
        /* One that cannot be told is waited for in vain, and ended with the rest. */
        int status = skua__cluster_post(cluster, rank, SKUA__RECORD_STOP, 0, 0, NULL, 0);
        (void)status;
    }
    return true;
}

static bool work(void *arg)
{
    bool has_moved = tell_stop(arg);
    uint32_t count = pool_count(arg);
    for (uint32_t number = 1; number <= count; number++) {
        struct skua__remotes *remotes = visit(arg, number);
        if (remotes != NULL) {
            has_moved |= skua__remotes_work(remotes);
            skua__remotes_leave(remotes);
        }
    }
    return has_moved;
}

static bool any_remotes_expect(struct skua__lead *lead, uint32_t rank)
{
    bool expects = false;
    uint32_t count = pool_count(lead);
    for (uint32_t number = 1; number <= count && !expects; number++) {
        struct skua__remotes *remotes = visit(lead, number);
        if (remotes != NULL) {
            expects = skua__remotes_expect(remotes, rank);
            skua__remotes_leave(remotes);
        }
    }
    return expects;
}

static bool expects(void *arg)
{
    struct skua__lead *lead = arg;
    return skua__load(&lead->hellos, relaxed) + 1 < lead->cluster->size ||
           skua__load(&lead->is_ending, relaxed) || any_remotes_expect(lead, 0);
}

static bool owes(void *arg, uint32_t rank)
{
    struct skua__lead *lead = arg;
    const struct member *member = &lead->members[rank];
    return !member->has_left && member->hello.version != 0 &&
           (skua__load(&lead->is_ending, relaxed) || any_remotes_expect(lead, rank));
}

static int64_t due_ns(void *arg)
{
    int64_t due = SKUA__NEVER;
    uint32_t count = pool_count(arg);
    for (uint32_t number = 1; number <= count; number++) {
        struct skua__remotes *remotes = visit(arg, number);
        if (remotes != NULL) {
            int64_t its = skua__remotes_due_ns(remotes);
            due = its < due ? its : due;
            skua__remotes_leave(remotes);
        }
    }
    return due;
}

static void on_lost(void *arg, uint32_t rank, const char *why)
{
    struct skua__lead *lead = arg;
    if (lead->members[rank].has_left) {
        return;
    }
    skua__report("rank %u (%s) of the cluster is lost: %s", rank, skua__lead_host(lead, rank), why);
    complain(lead, rank, skua__lead_host(lead, rank), why);
    uint32_t count = pool_count(lead);
    for (uint32_t number = 1; number <= count; number++) {
        struct skua__remotes *remotes = visit(lead, number);
        if (remotes != NULL) {
            skua__remotes_lost(remotes, rank);
            skua__remotes_leave(remotes);
        }
    }
    skua__fetch_add(&lead->ended, 1, relaxed);
    note_change(lead);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static bool is_wrong(struct skua__lead *lead)
{
    /* acquire: pairs with the release in complain(). */
    return skua__load(&lead->is_wrong, acquire);
}

/* Until the count is there, something is wrong, or the time is over. */
static bool await(struct skua__lead *lead, _Atomic uint32_t *count, uint32_t wanted,
                  bool must_be_right, int64_t until_ns)
{
    for (;;) {
        /* acquire: pairs with the release in note_change(). */
        uint32_t changes = skua__load(&lead->changes, acquire);
        if (must_be_right && is_wrong(lead)) {
            return false;
        }
        /* acquire: pairs with the release in on_hello(). */
        if (skua__load(count, acquire) >= wanted) {
            return true;
        }
        if (skua__clock_real_ns() >= until_ns) {
            return false;
        }
        skua__futex_wait(&lead->changes, changes, until_ns, false);
    }
}

static void count_sharers(struct skua__lead *lead)
{
    uint32_t size = lead->cluster->size;
    for (uint32_t i = 0; i < size; i++) {
        const struct skua__record_hello *one = &lead->members[i].hello;
        for (uint32_t j = 0; j < size; j++) {
            const struct skua__record_hello *other = &lead->members[j].hello;
            lead->members[i].sharers +=
                one->place == other->place && strcmp(one->host, other->host) == 0;
        }
    }
}

int skua__lead_begin(struct skua__lead **out, struct skua__cluster *cluster, const char **why)
{
    static char text[WHY_BYTES]; /* there is one start in a process, or one at a time */
    struct skua__lead *lead = skua__alloc(sizeof *lead + cluster->size * sizeof lead->members[0]);
    if (lead == NULL) {
        return -ENOMEM;
    }
    lead->cluster = cluster;
    skua__cluster_introduce(&lead->members[0].hello);
    const struct skua__cluster_user user = {
        lead, on_record, on_piece, work, expects, owes, due_ns, on_lost,
    };
    skua__cluster_go(cluster, &user);
    int64_t until_ns = skua__clock_real_ns() + START_NS;
    if (!await(lead, &lead->hellos, cluster->size - 1, true, until_ns)) {
        if (is_wrong(lead)) {
            memcpy(text, lead->why, sizeof text);
        } else {
            snprintf(text, sizeof text, "only %u of %u ranks have said hello",
                     skua__load(&lead->hellos, relaxed) + 1, cluster->size);
        }
        *why = text;
        return -EPROTO; /* the thread may still use it: the program ends anyway */
    }
    count_sharers(lead);
    *out = lead;
    return 0;
}

void skua__lead_end(struct skua__lead *lead, int code)
{
    struct skua__cluster *cluster = lead->cluster;
    skua__store(&lead->is_ending, true, relaxed);
    skua__cluster_ring(cluster); /* for tell_stop() */
    if (!await(lead, &lead->ended, cluster->size - 1, false, skua__clock_real_ns() + END_NS)) {
        skua__store(&cluster->has_lost, true, relaxed);
    }
    skua__cluster_end(cluster, code);
    for (uint32_t i = 0; i < lead->pool_count; i++) {
        if (lead->pools[i] != NULL) { /* of a pool that was forgotten */
            skua__remotes_unref(lead->pools[i]);
        }
    }
    skua__free(lead);
}

struct skua__lead *skua__lead_current(void)
{
    /* acquire: pairs with the release in skua__lead_use(). */
    return skua__load(&current, acquire);
}

void skua__lead_use(struct skua__lead *lead)
{
    /* release: publishes it; pairs with the acquire in skua__lead_current(). */
    skua__store(&current, lead, release);
}

uint32_t skua__lead_share(uint32_t cores)
{
    const struct skua__lead *lead = skua__lead_current();
    uint32_t sharers = lead != NULL ? lead->members[0].sharers : 1;
    return cores > sharers ? cores / sharers : 1;
}

/* --- pools ------------------------------------------------------------------------------------ */

static bool enter_table(struct skua__lead *lead, struct skua__remotes *remotes)
{
    lock(lead);
    uint32_t place = 0;
    while (place < POOLS_MAX && lead->pools[place] != NULL) {
        place++;
    }
    if (place < POOLS_MAX) {
        lead->pools[place] = remotes;
        lead->pool_count = place + 1 > lead->pool_count ? place + 1 : lead->pool_count;
        remotes->number = (uint16_t)(place + 1);
        remotes->references = 1;
    }
    unlock(lead);
    return place < POOLS_MAX;
}

static void open_there(struct skua__lead *lead, struct skua__remotes *remotes,
                       const skua_pool_opts *opts)
{
    struct skua__record_open open = {
        .init_hash = opts->init != NULL ? opts->init->name_hash : 0,
        .payload_max = remotes->payload_max,
        .jobs_per_worker_max = opts->jobs_per_worker_max,
        .workers = opts->workers,
        .nice = opts->nice,
        .binding = (uint32_t)opts->binding,
        .limits = opts->limits,
    };
    snprintf(open.name, sizeof open.name, "%s", opts->name != NULL ? opts->name : "");
    const struct skua__part parts[] = {{&open, sizeof open},
                                       {opts->init_in.data, opts->init_in.bytes}};
    for (uint32_t rank = 1; rank < remotes->count; rank++) {
        open.ranks = lead->members[rank].sharers;
        if (skua__cluster_post(lead->cluster, rank, SKUA__RECORD_OPEN, remotes->number,
                               remotes->serial, parts, SKUA_COUNT_OF(parts)) < 0) {
            skua__pool_lock(remotes->pool);
            remotes->remote[rank].is_lost = true;
            skua__pool_unlock(remotes->pool);
        }
    }
    skua__cluster_ring(lead->cluster);
}

int skua__lead_attach(skua_pool *pool, const skua_pool_opts *opts)
{
    static const skua_pool_opts defaults;
    struct skua__lead *lead = skua__lead_current();
    opts = opts != NULL ? opts : &defaults;
    if (lead == NULL || opts->local) {
        return 0;
    }
    if (opts->init_in.bytes > SKUA__EAGER_BYTES) {
        skua__report("a pool stays on rank 0: the input of its init job has more than %d bytes",
                     SKUA__EAGER_BYTES);
        return 0;
    }
    struct skua__remotes *remotes = skua__remotes_create(lead, pool, lead->cluster->size);
    if (remotes == NULL) {
        return -ENOMEM;
    }
    remotes->serial = skua__lead_serial(lead);
    if (!enter_table(lead, remotes)) {
        skua__report("a pool stays on rank 0: there are %d already", POOLS_MAX);
        skua__remotes_free(remotes);
        return 0;
    }
    open_there(lead, remotes, opts);
    return 0;
}

static struct skua__remotes *find(struct skua__lead *lead, const skua_pool *pool)
{
    struct skua__remotes *remotes = NULL;
    lock(lead);
    for (uint32_t i = 0; i < lead->pool_count && remotes == NULL; i++) {
        remotes = lead->pools[i] != NULL && lead->pools[i]->pool == pool ? lead->pools[i] : NULL;
    }
    unlock(lead);
    return remotes;
}

void skua__lead_stop(const skua_pool *pool)
{
    struct skua__lead *lead = skua__lead_current();
    struct skua__remotes *remotes = lead != NULL ? find(lead, pool) : NULL;
    if (remotes != NULL) {
        skua__remotes_stop(remotes);
    }
}

/* H1 */
static void leave_table(struct skua__lead *lead, struct skua__remotes *remotes)
{
    lock(lead);
    lead->pools[remotes->number - 1] = NULL;
    remotes->is_gone = true;
    while (lead->visited == remotes) {
        unlock(lead);
        skua__thread_yield();
        lock(lead);
    }
    unlock(lead);
}

void skua__lead_detach(skua_pool *pool)
{
    struct skua__lead *lead = skua__lead_current();
    struct skua__remotes *remotes = lead != NULL ? find(lead, pool) : NULL;
    if (remotes == NULL) {
        return;
    }
    leave_table(lead, remotes);
    skua__pool_lock(pool);
    for (uint32_t rank = 1; rank < remotes->count; rank++) {
        if (remotes->remote[rank].is_attached) {
            skua__lane_detach(&remotes->remote[rank].lane);
        }
    }
    skua__pool_unlock(pool);
    for (uint32_t rank = 1; rank < remotes->count; rank++) {
        /* A rank that cannot be told keeps idle processes until it ends. */
        int status = skua__cluster_post(lead->cluster, rank, SKUA__RECORD_CLOSE, remotes->number,
                                        remotes->serial, NULL, 0);
        (void)status;
    }
    skua__cluster_ring(lead->cluster);
    skua__remotes_unref(remotes);
}

/* --- statistics ------------------------------------------------------------------------------- */

static void own_stats(const skua_pool *pool, const struct skua__remotes *remotes,
                      skua_cluster_stats *stats)
{
    skua_pool *mutable = (skua_pool *)(uintptr_t)pool; /* only its lock changes */
    skua_pool_stats all;
    struct skua__record_hello self;
    skua_pool_stats_get(pool, &all);
    skua__cluster_introduce(&self);
    memcpy(stats->host, self.host, sizeof stats->host);
    stats->workers = all.workers;
    skua__pool_lock(mutable);
    stats->answered = pool->stats.answered;
    stats->failed = pool->failed;
    stats->busy_ns = pool->busy_ns;
    for (uint32_t rank = 1; remotes != NULL && rank < remotes->count; rank++) {
        stats->answered -= remotes->remote[rank].ended;
        stats->failed -= remotes->remote[rank].stats.failed;
    }
    skua__pool_unlock(mutable);
    stats->sent = stats->answered + all.running;
}

int skua_cluster_stats_get(const skua_pool *pool, uint32_t rank, skua_cluster_stats *stats)
{
    *stats = (skua_cluster_stats){0};
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    struct skua__lead *lead = skua__lead_current();
    struct skua__remotes *remotes = lead != NULL ? find(lead, pool) : NULL;
    if (rank >= (lead != NULL ? lead->cluster->size : 1)) {
        return -EINVAL;
    }
    if (rank == 0) {
        own_stats(pool, remotes, stats);
        return 0;
    }
    if (remotes != NULL) {
        skua_pool *its = remotes->pool;
        skua__pool_lock(its);
        *stats = remotes->remote[rank].stats;
        skua__pool_unlock(its);
    }
    memcpy(stats->host, skua__lead_host(lead, rank), sizeof stats->host);
    stats->messages = skua__load(&lead->cluster->peers[rank].messages, relaxed);
    return 0;
}

uint32_t skua__lead_size(void)
{
    const struct skua__lead *lead = skua__lead_current();
    return lead != NULL ? lead->cluster->size : 0;
}
