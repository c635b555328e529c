/* The thread that owns the transport of a cluster.

       others: post, fetch --lock--> dirty peers, fetches --+   packets, payloads
               ring --------bell-------------------------->  thread ----------> transport
                                                              | ^                  |
                             user: record, piece, work, lost <+ +---- poll --------+

   Invariants
   (N1) The transport is called by the thread alone, and so is the user.
   (N2) Records to one rank leave in the order in which they were posted.
   (N3) Memory of the transport's is given back by its event only. What a lost rank will never
        send or take stays until the transport has stopped, since it might come after all.
   (N4) Whoever posts counts the bell after the post, and the thread reads the count before it
        looks: so it never sleeps over a post.
   (N5) Once the user is told that a rank is lost, the link has none of its fetches any more, and
        takes none: so their owner, who will hear nothing of them, may free them.

   *Sleep.* A transport may have nothing to wait on (MPI has not), so the thread has to look. It
   looks all the time for 30 us after something has happened, giving the processor to whoever wants
   it, then naps for an eighth of the time that nothing has happened, 50 us to 1 ms. Where nothing
   can come, on rank 0 without jobs elsewhere, it sleeps until the bell.

   *Batches.* What is posted within 20 us of a packet to the same rank waits for those to be over,
   and makes one packet with what comes meanwhile. So a single job waits for nothing, and of many
   short ones, whose answers come one by one, each side handles dozens at a time.

   *Silence.* A rank that owes something is asked for a sign of life a few times before it is given
   up. Looks are counted, not time, since this process may have been stopped itself.

   *Large payloads* are pulled by who wants them, in pieces of a megabyte of which four are asked
   for at a time, to memory that is there: a sender never has to keep what nobody takes, and its
   own copy, if it needs one, is small. Numbers of pieces are the puller's.

   Rejected: one message for a whole payload (the sender's memory could not be given back at a
   deadline while the other side stands still); calling the transport from tasks (their stacks are
   small, and what MPI does on them is anybody's guess). */
#include "cluster/link.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/mem.h"
#include "base/panic.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    LOOKS = 10, /* for silence, in silence_ns */
    LOOK_NS = 30 * 1000,
    PACE_NS = 20 * 1000, /* between two packets to a rank, unless one is full */
    NAP_MIN_NS = 50 * 1000,
    NAP_MAX_NS = 1000 * 1000,
    NAP_DIVISOR = 8,
    PACKETS_KEPT = 64,
    WHY_BYTES = 96,
};

static const int64_t SILENCE_NS = SKUA_SEC(10);

/* How far the thread is. */
enum { STARTING, STARTED, WORKING, ENDING, FAILED };

struct skua__bundle {
    struct skua__parcel parcel;
    struct skua__link link;
    struct skua__bundle *next; /* kept ones */
    struct skua__peer *peer;
    uint32_t bytes;
    _Alignas(16) char data[SKUA_CLUSTER_PACKET_MAX];
};

/* A copy of a piece, on its way. */
struct staged {
    struct skua__parcel parcel;
    char data[SKUA__PIECE_BYTES];
};

static void lock(struct skua__cluster *cluster)
{
    skua__lock(&cluster->lock, SKUA__RANK_CLUSTER);
}

static void unlock(struct skua__cluster *cluster)
{
    skua__unlock(&cluster->lock, SKUA__RANK_CLUSTER);
}

static size_t aligned(size_t bytes)
{
    return (bytes + SKUA__RECORD_ALIGNMENT - 1) & ~(size_t)(SKUA__RECORD_ALIGNMENT - 1);
}

static void count_message(struct skua__peer *peer)
{
    skua__store(&peer->messages, skua__load(&peer->messages, relaxed) + 1, relaxed);
}

bool skua__cluster_is_lost(const struct skua__cluster *cluster, uint32_t rank)
{
    return skua__load(&cluster->peers[rank].is_lost, relaxed);
}

/* --- posting ---------------------------------------------------------------------------------- */

/* (K) A packet with room for so many bytes, or NULL. */
static struct skua__bundle *packet_with_room(struct skua__cluster *cluster, struct skua__peer *peer,
                                             size_t bytes)
{
    if (peer->open != NULL && peer->open->bytes + bytes > sizeof peer->open->data) {
        skua__list_push_back(&peer->full, &peer->open->link);
        peer->open = NULL;
    }
    if (peer->open != NULL) {
        return peer->open;
    }
    struct skua__bundle *packet = cluster->kept;
    if (packet != NULL) {
        cluster->kept = packet->next;
        cluster->kept_count--;
    } else {
        packet = skua__alloc_dirty(sizeof *packet);
    }
    if (packet == NULL) {
        return NULL;
    }
    packet->link = (struct skua__link){NULL, NULL};
    packet->peer = peer;
    packet->bytes = 0;
    peer->open = packet;
    if (!skua__link_is_linked(&peer->dirty)) {
        skua__list_push_back(&cluster->dirty, &peer->dirty);
    }
    return packet;
}

int skua__cluster_post(struct skua__cluster *cluster, uint32_t to, enum skua__record_kind kind,
                       uint16_t pool, uint64_t ticket, const struct skua__part parts[],
                       size_t count)
{
    struct skua__record record = {sizeof record, (uint16_t)kind, pool, ticket};
    for (size_t i = 0; i < count; i++) {
        record.bytes += (uint32_t)parts[i].bytes;
    }
    struct skua__peer *peer = &cluster->peers[to];
    skua_require(aligned(record.bytes) <= SKUA_CLUSTER_PACKET_MAX);
    lock(cluster);
    if (skua__load(&peer->is_lost, relaxed)) {
        unlock(cluster);
        return -EOWNERDEAD;
    }
    struct skua__bundle *packet = packet_with_room(cluster, peer, aligned(record.bytes));
    if (packet != NULL) {
        char *at = packet->data + packet->bytes;
        memcpy(at, &record, sizeof record);
        at += sizeof record;
        for (size_t i = 0; i < count; i++) {
            if (parts[i].bytes > 0) {
                memcpy(at, parts[i].data, parts[i].bytes);
                at += parts[i].bytes;
            }
        }
        memset(at, 0, aligned(record.bytes) - record.bytes);
        packet->bytes += (uint32_t)aligned(record.bytes);
    }
    unlock(cluster);
    return packet != NULL ? 0 : -ENOMEM;
}

int skua__cluster_fetch(struct skua__cluster *cluster, struct skua__fetch *fetch)
{
    fetch->asked = fetch->come = 0;
    for (size_t i = 0; i < SKUA__PIECES_AT_ONCE; i++) {
        fetch->pieces[i] = (struct skua__piece){.fetch = fetch};
    }
    lock(cluster);
    bool is_lost = skua__cluster_is_lost(cluster, fetch->from);
    if (!is_lost) {
        skua__list_push_back(&cluster->fetches, &fetch->link);
    }
    unlock(cluster);
    return is_lost ? -EOWNERDEAD : 0;
}

void skua__cluster_ring(struct skua__cluster *cluster)
{
    /* seq_cst: orders the post before the look at `sleeps`; pairs with rest(), which says that it
       sleeps before it looks at the bell (N4). */
    skua__fetch_add(&cluster->bell, 1, seq_cst);
    /* seq_cst: pairs likewise. */
    if (skua__load(&cluster->sleeps, seq_cst)) {
        skua__futex_wake(&cluster->bell, 1, false);
    }
}

/* --- sending ---------------------------------------------------------------------------------- */

static void end_packet(struct skua__cluster *cluster, struct skua__parcel *parcel)
{
    struct skua__bundle *packet = SKUA_CONTAINER(parcel, struct skua__bundle, parcel);
    lock(cluster);
    bool is_kept = cluster->kept_count < PACKETS_KEPT;
    if (is_kept) {
        packet->next = cluster->kept;
        cluster->kept = packet;
        cluster->kept_count++;
    }
    unlock(cluster);
    if (!is_kept) {
        skua__free(packet);
    }
}

static void end_staged(struct skua__cluster *cluster, struct skua__parcel *parcel)
{
    (void)cluster;
    skua__free(SKUA_CONTAINER(parcel, struct staged, parcel));
}

/* (K) The first peer that has something which may leave now, out of the list; or NULL. */
static struct skua__peer *next_dirty(struct skua__cluster *cluster, int64_t now_ns)
{
    cluster->holds_back = false;
    for (struct skua__link *link = cluster->dirty.head.next; link != &cluster->dirty.head;
         link = link->next) {
        struct skua__peer *peer = SKUA_CONTAINER(link, struct skua__peer, dirty);
        if (!skua__list_is_empty(&peer->full) || now_ns - peer->sent_ns >= PACE_NS) {
            skua__list_remove(link);
            peer->sent_ns = now_ns;
            return peer;
        }
        cluster->holds_back = true;
    }
    return NULL;
}

/* (K) All packets of such a peer. */
static bool take_packets(struct skua__cluster *cluster, struct skua__list *packets, int64_t now_ns)
{
    struct skua__peer *peer = next_dirty(cluster, now_ns);
    if (peer == NULL) {
        return false;
    }
    struct skua__link *link;
    while ((link = skua__list_pop_front(&peer->full)) != NULL) {
        skua__list_push_back(packets, link);
    }
    if (peer->open != NULL) {
        skua__list_push_back(packets, &peer->open->link);
        peer->open = NULL;
    }
    return true;
}

static void note_sending(struct skua__cluster *cluster, struct skua__parcel *parcel,
                         struct skua__peer *peer)
{
    cluster->sending++;
    skua__list_push_back(&cluster->under_way, &parcel->link);
    count_message(peer);
}

static void send_packet(struct skua__cluster *cluster, struct skua__bundle *packet)
{
    struct skua__peer *peer = packet->peer;
    uint32_t to = (uint32_t)(peer - cluster->peers);
    packet->parcel.ended = end_packet;
    int status = skua__load(&peer->is_lost, relaxed)
                     ? -EOWNERDEAD
                     : cluster->transport.send(cluster->transport.self, to, packet->data,
                                               packet->bytes, &packet->parcel);
    if (status == 0) {
        note_sending(cluster, &packet->parcel, peer);
        return;
    }
    end_packet(cluster, &packet->parcel);
    skua__cluster_lose(cluster, to, "nothing can be sent to it");
}

static bool send_packets(struct skua__cluster *cluster)
{
    bool has_sent = false;
    int64_t now_ns = skua__clock_real_ns();
    for (;;) {
        struct skua__list packets;
        skua__list_init(&packets);
        lock(cluster);
        bool is_more = take_packets(cluster, &packets, now_ns);
        unlock(cluster);
        if (!is_more) {
            return has_sent;
        }
        struct skua__link *link;
        while ((link = skua__list_pop_front(&packets)) != NULL) {
            send_packet(cluster, SKUA_CONTAINER(link, struct skua__bundle, link));
            has_sent = true;
        }
    }
}

/* The other side has asked for a piece, and gets one in any case: it waits for it. */
static bool send_piece(struct skua__cluster *cluster, uint32_t to,
                       const struct skua__record *record)
{
    const struct skua__record_pull *pull = skua__record_body(record, sizeof *pull);
    const void *data = NULL;
    struct skua__parcel *parcel = NULL;
    if (pull == NULL || pull->bytes > SKUA__PIECE_BYTES ||
        !cluster->user.piece(cluster->user.arg, to, record, &data, &parcel)) {
        return false;
    }
    if (parcel == NULL) {
        struct staged *staged = skua__alloc_dirty(sizeof *staged);
        if (staged == NULL) {
            return false;
        }
        staged->parcel.ended = end_staged;
        if (data != NULL) {
            memcpy(staged->data, data, pull->bytes);
        } else {
            memset(staged->data, 0, pull->bytes);
        }
        parcel = &staged->parcel;
        data = staged->data;
    }
    if (cluster->transport.send_payload(cluster->transport.self, to, pull->id, data, pull->bytes,
                                        parcel) < 0) {
        parcel->ended(cluster, parcel);
        return false;
    }
    note_sending(cluster, parcel, &cluster->peers[to]);
    return true;
}

/* --- fetching --------------------------------------------------------------------------------- */

static struct skua__piece *unused_piece(struct skua__fetch *fetch)
{
    for (size_t i = 0; i < SKUA__PIECES_AT_ONCE; i++) {
        if (fetch->pieces[i].bytes == 0) {
            return &fetch->pieces[i];
        }
    }
    return NULL;
}

/* Ask for pieces as long as there is room for them. False: the rank is lost. */
static bool pull(struct skua__cluster *cluster, struct skua__fetch *fetch)
{
    struct skua__piece *piece;
    while (fetch->asked < fetch->bytes && (piece = unused_piece(fetch)) != NULL) {
        size_t left = fetch->bytes - fetch->asked;
        struct skua__record_pull body = {
            .offset = fetch->asked,
            .bytes = (uint32_t)(left < SKUA__PIECE_BYTES ? left : SKUA__PIECE_BYTES),
            .id = cluster->next_id,
        };
        cluster->next_id = (cluster->next_id + 1) % SKUA_CLUSTER_IDS;
        const struct skua__part part = {&body, sizeof body};
        const skua_cluster_transport *transport = &cluster->transport;
        if (transport->receive_payload(transport->self, fetch->from, body.id,
                                       fetch->data + fetch->asked, body.bytes,
                                       &piece->parcel) < 0) {
            return false;
        }
        piece->bytes = body.bytes;
        fetch->asked += body.bytes;
        cluster->fetching++;
        if (skua__cluster_post(cluster, fetch->from, SKUA__RECORD_PULL, fetch->pool, fetch->ticket,
                               &part, 1) < 0) {
            return false;
        }
    }
    return true;
}

/* Its rank is lost. Who has nothing to do at the end may free it before. */
static void keep_dead(struct skua__cluster *cluster, struct skua__fetch *fetch)
{
    if (fetch->dropped != NULL) {
        skua__list_push_back(&cluster->dead, &fetch->link);
    }
}

static struct skua__fetch *next_fetch(struct skua__cluster *cluster)
{
    lock(cluster);
    struct skua__link *link = skua__list_pop_front(&cluster->fetches);
    unlock(cluster);
    return link != NULL ? SKUA_CONTAINER(link, struct skua__fetch, link) : NULL;
}

/* One by one: when a rank is lost on the way, those behind are still in the list (N5). */
static bool pull_all(struct skua__cluster *cluster)
{
    bool has_pulled = false;
    struct skua__fetch *fetch;
    while ((fetch = next_fetch(cluster)) != NULL) {
        skua__list_push_back(&cluster->asked, &fetch->link);
        has_pulled = true;
        if (!pull(cluster, fetch)) {
            skua__cluster_lose(cluster, fetch->from, "its payloads cannot be received");
        }
    }
    return has_pulled;
}

bool skua__cluster_fetches(struct skua__cluster *cluster)
{
    lock(cluster);
    bool is_any = !skua__list_is_empty(&cluster->fetches);
    unlock(cluster);
    return is_any || !skua__list_is_empty(&cluster->asked);
}

static void on_received(void *arg, void *token)
{
    struct skua__cluster *cluster = arg;
    struct skua__parcel *parcel = token;
    struct skua__piece *piece = SKUA_CONTAINER(parcel, struct skua__piece, parcel);
    struct skua__fetch *fetch = piece->fetch;
    struct skua__peer *peer = &cluster->peers[fetch->from];
    fetch->come += piece->bytes;
    piece->bytes = 0;
    cluster->fetching--;
    peer->missed = 0;
    count_message(peer);
    if (skua__load(&peer->is_lost, relaxed)) {
        return;
    }
    if (fetch->come == fetch->bytes) {
        skua__list_remove(&fetch->link);
        fetch->arrived(cluster, fetch);
    } else if (!pull(cluster, fetch)) {
        skua__cluster_lose(cluster, fetch->from, "its payloads cannot be received");
    }
}

/* --- receiving -------------------------------------------------------------------------------- */

static bool take_record(struct skua__cluster *cluster, uint32_t from,
                        const struct skua__record *record)
{
    switch (record->kind) {
    case SKUA__RECORD_PULL:
        return send_piece(cluster, from, record);
    case SKUA__RECORD_PING: {
        int status = skua__cluster_post(cluster, from, SKUA__RECORD_PONG, 0, 0, NULL, 0);
        return status == 0;
    }
    case SKUA__RECORD_PONG:
        return true;
    default:
        return cluster->user.record(cluster->user.arg, from, record);
    }
}

static void on_packet(void *arg, uint32_t from, const void *data, size_t bytes)
{
    struct skua__cluster *cluster = arg;
    struct skua__peer *peer = &cluster->peers[from];
    peer->missed = 0;
    count_message(peer);
    const char *at = data;
    while (bytes > 0 && !skua__load(&peer->is_lost, relaxed)) {
        const struct skua__record *record = (const struct skua__record *)(const void *)at;
        if (bytes < sizeof *record || record->bytes < sizeof *record ||
            aligned(record->bytes) > bytes || !take_record(cluster, from, record)) {
            skua__cluster_lose(cluster, from, "it has sent something that makes no sense");
            return;
        }
        at += aligned(record->bytes);
        bytes -= aligned(record->bytes);
    }
}

static void on_sent(void *arg, void *token)
{
    struct skua__cluster *cluster = arg;
    struct skua__parcel *parcel = token;
    cluster->sending--;
    skua__list_remove(&parcel->link);
    parcel->ended(cluster, parcel);
}

static void on_lost(void *arg, uint32_t rank, const char *why)
{
    skua__cluster_lose(arg, rank, why);
}

/* --- lost ranks ------------------------------------------------------------------------------- */

/* Take those of the rank out of the list. */
static void bury(struct skua__cluster *cluster, struct skua__list *fetches, uint32_t rank)
{
    struct skua__link *link = fetches->head.next;
    while (link != &fetches->head) {
        struct skua__link *next = link->next;
        struct skua__fetch *fetch = SKUA_CONTAINER(link, struct skua__fetch, link);
        if (fetch->from == rank) {
            skua__list_remove(link);
            keep_dead(cluster, fetch);
        }
        link = next;
    }
}

void skua__cluster_lose(struct skua__cluster *cluster, uint32_t rank, const char *why)
{
    struct skua__peer *peer = &cluster->peers[rank];
    if (skua__load(&peer->is_lost, relaxed)) {
        return;
    }
    skua__store(&cluster->has_lost, true, relaxed);
    /* What it was to send will not come; the memory stays (N3). */
    bury(cluster, &cluster->asked, rank);
    lock(cluster);
    skua__store(&peer->is_lost, true, relaxed);
    bury(cluster, &cluster->fetches, rank);
    unlock(cluster);
    cluster->user.lost(cluster->user.arg, rank, why);
}

static void look_for_silence(struct skua__cluster *cluster, int64_t now_ns)
{
    cluster->look_ns = now_ns + cluster->silence_ns / LOOKS;
    for (uint32_t rank = 0; rank < cluster->size; rank++) {
        struct skua__peer *peer = &cluster->peers[rank];
        if (rank == cluster->rank || skua__load(&peer->is_lost, relaxed)) {
            continue;
        }
        if (!cluster->user.owes(cluster->user.arg, rank)) {
            peer->missed = 0;
        } else if (peer->missed++ >= LOOKS) {
            char why[WHY_BYTES];
            snprintf(why, sizeof why, "it has been silent for %.3g s",
                     (double)cluster->silence_ns / 1e9);
            skua__cluster_lose(cluster, rank, why);
        } else if (peer->missed > 1 &&
                   skua__cluster_post(cluster, rank, SKUA__RECORD_PING, 0, 0, NULL, 0) == -ENOMEM) {
            peer->missed--;
        }
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool turn(struct skua__cluster *cluster)
{
    const skua_cluster_events events = {cluster, on_packet, on_sent, on_received, on_lost};
    bool has_moved = cluster->user.work(cluster->user.arg);
    has_moved |= pull_all(cluster);
    has_moved |= send_packets(cluster);
    has_moved |= cluster->transport.poll(cluster->transport.self, &events) > 0;
    return has_moved;
}

static bool expects(struct skua__cluster *cluster)
{
    return cluster->holds_back || cluster->sending > 0 || cluster->fetching > 0 ||
           cluster->user.expects(cluster->user.arg);
}

/* How long to sleep after `quiet` ns without anything; 0: not at all. */
static int64_t nap_ns(struct skua__cluster *cluster, int64_t quiet)
{
    if (!expects(cluster)) {
        return SKUA__NEVER;
    }
    if (quiet < LOOK_NS || cluster->holds_back) {
        return 0;
    }
    int64_t nap = quiet / NAP_DIVISOR;
    return nap < NAP_MIN_NS ? NAP_MIN_NS : nap > NAP_MAX_NS ? NAP_MAX_NS : nap;
}

static void rest(struct skua__cluster *cluster, uint32_t bell, int64_t now_ns)
{
    int64_t nap = nap_ns(cluster, now_ns - cluster->quiet_ns);
    if (nap == 0) {
        skua__thread_yield();
        return;
    }
    int64_t until = nap == SKUA__NEVER ? SKUA__NEVER : now_ns + nap;
    int64_t due = cluster->user.due_ns(cluster->user.arg);
    until = due < until ? due : until;
    /* seq_cst: orders this before the kernel's look at the bell; pairs with
       skua__cluster_ring(). */
    skua__store(&cluster->sleeps, true, seq_cst);
    skua__futex_wait(&cluster->bell, bell, until, false);
    skua__store(&cluster->sleeps, false, relaxed);
}

static uint32_t step_of(struct skua__cluster *cluster)
{
    /* acquire: pairs with the release in set_step(). */
    return skua__load(&cluster->step, acquire);
}

static void set_step(struct skua__cluster *cluster, uint32_t step)
{
    /* release: publishes what the step is about; pairs with the acquire in step_of(). */
    skua__store(&cluster->step, step, release);
    skua__futex_wake(&cluster->step, 1, false);
}

static void await_step(struct skua__cluster *cluster, uint32_t present)
{
    while (step_of(cluster) == present) {
        skua__futex_wait(&cluster->step, present, SKUA__NEVER, false);
    }
}

static void work(struct skua__cluster *cluster)
{
    cluster->quiet_ns = skua__clock_real_ns();
    cluster->look_ns = cluster->quiet_ns + cluster->silence_ns / LOOKS;
    for (;;) {
        bool is_ending = step_of(cluster) == ENDING;
        /* acquire: pairs with the seq_cst in skua__cluster_ring() (N4). */
        uint32_t bell = skua__load(&cluster->bell, acquire);
        bool has_moved = turn(cluster);
        int64_t now_ns = skua__clock_real_ns();
        if (now_ns >= cluster->look_ns) {
            look_for_silence(cluster, now_ns);
        }
        if (has_moved) {
            cluster->quiet_ns = now_ns;
        } else if (is_ending && ((cluster->sending == 0 && !cluster->holds_back) ||
                                 skua__load(&cluster->has_lost, relaxed))) {
            return;
        } else {
            rest(cluster, bell, now_ns);
        }
    }
}

static void *thread_main(void *arg)
{
    struct skua__cluster *cluster = arg;
    const skua_cluster_transport *transport = &cluster->transport;
    pthread_setname_np(pthread_self(), "skua-cluster");
    cluster->status =
        transport->start(transport->self, &cluster->rank, &cluster->size, &cluster->why);
    set_step(cluster, cluster->status < 0 ? FAILED : STARTED);
    if (cluster->status < 0) {
        return NULL;
    }
    await_step(cluster, STARTED);
    if (step_of(cluster) == WORKING) {
        work(cluster);
    }
    if (cluster->end_code >= 0 && skua__load(&cluster->has_lost, relaxed)) {
        transport->abort(transport->self, cluster->end_code);
    }
    transport->stop(transport->self);
    return NULL;
}

/* --- begin and end ---------------------------------------------------------------------------- */

/* All signals stay the program's own threads'. */
static int start_thread(struct skua__cluster *cluster)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&cluster->thread, NULL, thread_main, cluster);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error != 0 ? -EAGAIN : 0;
}

int skua__cluster_create(struct skua__cluster **out, const skua_cluster_transport *transport,
                         const char **why)
{
    *why = NULL;
    struct skua__cluster *cluster = skua__alloc(sizeof *cluster);
    if (cluster == NULL) {
        return -ENOMEM;
    }
    cluster->transport = *transport;
    cluster->silence_ns = SILENCE_NS;
    cluster->end_code = -1;
    skua__list_init(&cluster->dirty);
    skua__list_init(&cluster->fetches);
    skua__list_init(&cluster->under_way);
    skua__list_init(&cluster->asked);
    skua__list_init(&cluster->dead);
    int status = start_thread(cluster);
    if (status < 0) {
        skua__free(cluster);
        return status;
    }
    await_step(cluster, STARTING);
    if (step_of(cluster) == FAILED) {
        pthread_join(cluster->thread, NULL);
        status = cluster->status;
        *why = cluster->why;
        skua__free(cluster);
        return status;
    }
    cluster->peers = skua__alloc(cluster->size * sizeof *cluster->peers);
    if (cluster->peers == NULL) {
        skua__cluster_end(cluster, -1);
        return -ENOMEM;
    }
    for (uint32_t rank = 0; rank < cluster->size; rank++) {
        skua__list_init(&cluster->peers[rank].full);
    }
    *out = cluster;
    return 0;
}

void skua__cluster_go(struct skua__cluster *cluster, const struct skua__cluster_user *user)
{
    cluster->user = *user;
    set_step(cluster, WORKING);
}

/* What lost ranks have neither taken nor sent: the transport is no more, and nobody writes. */
static void drop_the_rest(struct skua__cluster *cluster)
{
    struct skua__link *link;
    while ((link = skua__list_pop_front(&cluster->under_way)) != NULL) {
        struct skua__parcel *parcel = SKUA_CONTAINER(link, struct skua__parcel, link);
        parcel->ended(cluster, parcel);
    }
    while ((link = skua__list_pop_front(&cluster->dead)) != NULL) {
        struct skua__fetch *fetch = SKUA_CONTAINER(link, struct skua__fetch, link);
        if (fetch->dropped != NULL) {
            fetch->dropped(cluster, fetch);
        }
    }
    for (uint32_t rank = 0; cluster->peers != NULL && rank < cluster->size; rank++) {
        struct skua__peer *peer = &cluster->peers[rank];
        skua__free(peer->open);
        while ((link = skua__list_pop_front(&peer->full)) != NULL) {
            skua__free(SKUA_CONTAINER(link, struct skua__bundle, link));
        }
    }
}

void skua__cluster_end(struct skua__cluster *cluster, int code)
{
    cluster->end_code = code;
    bool has_worked = step_of(cluster) == WORKING;
    set_step(cluster, has_worked ? ENDING : FAILED);
    skua__cluster_ring(cluster);
    pthread_join(cluster->thread, NULL);
    drop_the_rest(cluster);
    while (cluster->kept != NULL) {
        struct skua__bundle *packet = cluster->kept;
        cluster->kept = packet->next;
        skua__free(packet);
    }
    skua__free(cluster->peers);
    skua__free(cluster);
}
