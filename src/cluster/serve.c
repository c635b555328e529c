/* A rank other than 0: it makes the pools that rank 0 has, and runs the jobs that come for them.

       link's thread: record --> a node for each job, a task for each node
       task: fetches a large input, runs the job in the pool, posts the answer
       link's thread: pieces of large answers, DONE

   Invariants
   (V1) A node is in its pool's table from its JOB record until its task has ended and its answer is
        either sent whole or not wanted any more. It has a reference for each of: the table, its
        task, each piece on its way.
   (V2) Every JOB is answered once, whatever becomes of it, unless its pool is closed before.
   (V3) A pool is destroyed when its table is empty, so that no answer is on loan.
   (V4) Only the link's thread adds pools and nodes and looks them up; who closes a pool cancels its
        tasks as well, and that one cancels those that it adds meanwhile.

   Deadlines travel as what is left of them, since clocks differ; rank 0 watches them as well.

   Rejected: threads or tasks that wait for work (a task for each job costs less than the packet
   that brings it, and is cancelled like any other). */
#include "cluster/serve.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "cluster/cluster.h"
#include "cluster/link.h"
#include "pool/job.h"
#include "pool/lane.h"
#include "sched/task.h"

#include <errno.h>
#include <skua/runtime.h>
#include <skua/scope.h>
#include <skua/sync.h>
#include <string.h>

enum { POOLS_MAX = 256, BUCKETS = 256, TEXT_BYTES = 512 };

struct skua__server {
    struct skua__cluster *cluster;
    skua_runtime *runtime;
    skua_event stop;
    _Atomic bool is_orphan; /* rank 0 is lost */
    struct skua__lock lock;
    /* Under the lock. */
    struct served *pools[POOLS_MAX]; /* by number - 1 */
    uint32_t closing;                /* pools, and the main task while it has them closed */
    bool must_stop;
    skua_event closed; /* when must_stop: nothing is closing any more */
};

/* A pool. Under the server's lock, but for what is constant. */
struct served {
    struct skua__server *server;
    uint16_t number;
    uint64_t serial;
    struct skua__record_open open;
    char *init;
    size_t init_bytes;
    skua_pool *pool; /* NULL: not made yet, or in vain */
    bool is_closing;
    skua_event empty; /* is set when the table has become empty while it closes */
    size_t count;     /* nodes, and the task that makes it */
    struct skua__list table[BUCKETS];
};

struct node {
    struct skua__link link;
    struct served *served;
    uint32_t references; /* under the lock */
    bool is_answered;    /* likewise: what is left of it is its answer */
    uint64_t ticket;
    struct skua__record_job job;
    int64_t due_ns;
    skua_task *task; /* the node's reference; under the lock */
    skua_buf out;
    struct skua__fetch fetch;
    skua_event has_come; /* the input */
    char in[];
};

struct answer_piece {
    struct skua__parcel parcel;
    struct node *node;
};

static void lock(struct skua__server *server)
{
    skua__lock(&server->lock, SKUA__RANK_CLUSTER);
}

static void unlock(struct skua__server *server)
{
    skua__unlock(&server->lock, SKUA__RANK_CLUSTER);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void free_node(struct node *node)
{
    skua_buf_release(&node->out);
    if (node->task != NULL) {
        skua_task_release(node->task);
    }
    skua__free(node);
}

static void unref(struct node *node)
{
    struct served *served = node->served;
    struct skua__server *server = served->server;
    lock(server);
    bool is_last = --node->references == 0;
    unlock(server);
    if (!is_last) {
        return;
    }
    free_node(node);
    lock(server);
    bool is_empty = --served->count == 0 && served->is_closing;
    if (is_empty) {
        skua_event_set(&served->empty);
    }
    unlock(server);
}

/* Out of the table. */
static void remove_node(struct node *node)
{
    struct skua__server *server = node->served->server;
    lock(server);
    bool was_there = skua__link_is_linked(&node->link);
    if (was_there) {
        skua__list_remove(&node->link);
    }
    unlock(server);
    if (was_there) {
        unref(node);
    }
}

static struct skua__list *bucket_of(struct served *served, uint64_t ticket)
{
    return &served->table[ticket % BUCKETS];
}

/* With a reference, or NULL. */
static struct node *find_node(struct served *served, uint64_t ticket)
{
    struct skua__server *server = served->server;
    struct node *found = NULL;
    lock(server);
    const struct skua__list *bucket = bucket_of(served, ticket);
    for (struct skua__link *link = bucket->head.next; link != &bucket->head && found == NULL;
         link = link->next) {
        struct node *node = SKUA_CONTAINER(link, struct node, link);
        if (node->ticket == ticket) {
            found = node;
            found->references++;
        }
    }
    unlock(server);
    return found;
}

static struct served *served_of(struct skua__server *server, const struct skua__record *record)
{
    struct served *served = NULL;
    lock(server);
    if (record->pool > 0 && record->pool <= POOLS_MAX) {
        served = server->pools[record->pool - 1];
    }
    unlock(server);
    return served;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* The message of the calling task's failure, if it is about this code. */
static size_t copy_message(int code, char *text, size_t capacity)
{
    struct skua_task *task = skua_self();
    size_t bytes = 0;
    skua__lock(&task->scope.lock, SKUA__RANK_SCOPE);
    if (code < 0 && task->error != NULL && task->error->error.code == code) {
        bytes = strlen(task->error->error.text);
        bytes = bytes < capacity ? bytes : capacity;
        memcpy(text, task->error->error.text, bytes);
    }
    skua__unlock(&task->scope.lock, SKUA__RANK_SCOPE);
    return bytes;
}

/* Without memory it is tried again: the answer must not be lost (V2). The caller is in a shield. */
static void post_surely(struct skua__server *server, enum skua__record_kind kind, uint16_t pool,
                        uint64_t ticket, const struct skua__part parts[], size_t count)
{
    while (skua__cluster_post(server->cluster, 0, kind, pool, ticket, parts, count) == -ENOMEM) {
        int status = skua_sleep(skua_after(SKUA_MS(1)));
        (void)status;
    }
    skua__cluster_ring(server->cluster);
}

static void answer(struct node *node, int status)
{
    struct served *served = node->served;
    char text[TEXT_BYTES];
    struct skua__record_answer head = {.status = status, .bytes = node->out.bytes};
    head.text_bytes = (uint32_t)copy_message(status, text, sizeof text);
    if (served->pool != NULL) {
        skua__pool_times(served->pool, &head.run_ns, &head.busy_ns);
    }
    bool is_eager = node->out.bytes <= SKUA__EAGER_BYTES;
    const struct skua__part parts[] = {{&head, sizeof head},
                                       {text, head.text_bytes},
                                       {node->out.data, is_eager ? node->out.bytes : 0}};
    post_surely(served->server, SKUA__RECORD_ANSWER, served->number, node->ticket, parts,
                SKUA_COUNT_OF(parts));
    lock(served->server);
    node->is_answered = true;
    bool is_over = is_eager || served->is_closing;
    unlock(served->server);
    if (is_over) {
        remove_node(node);
    }
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void on_input(struct skua__cluster *cluster, struct skua__fetch *fetch)
{
    (void)cluster;
    skua_event_set(&SKUA_CONTAINER(fetch, struct node, fetch)->has_come);
}

/* Into memory that the pool shares with a worker. Once it has begun it is waited for, since it is
   written to. */
static int fetch_input(struct node *node, skua_buf *in, skua_time deadline)
{
    struct served *served = node->served;
    int status = skua_pool_alloc(served->pool, in, node->job.bytes, deadline);
    if (status < 0) {
        return status;
    }
    node->fetch = (struct skua__fetch){
        .from = 0,
        .pool = served->number,
        .ticket = node->ticket,
        .data = in->data,
        .bytes = in->bytes,
        .arrived = on_input,
    };
    status = skua__cluster_fetch(served->server->cluster, &node->fetch);
    if (status < 0) {
        return status; /* without rank 0 nobody sets the event any more */
    }
    skua__cluster_ring(served->server->cluster);
    SKUA_SCOPE(scope);
    skua_shield_open(&scope, SKUA_FOREVER);
    status = skua_scope_close(&scope, skua_event_wait(&node->has_come, SKUA_FOREVER));
    return skua__load(&served->server->is_orphan, relaxed) ? -EOWNERDEAD : status;
}

static int run_in_pool(struct node *node)
{
    skua_pool *pool = node->served->pool;
    const skua_job *job = skua__job_find(node->job.name_hash);
    if (job == NULL) {
        return skua_fail(-ENOENT, "rank %u of the cluster does not know the job",
                         node->served->server->cluster->rank);
    }
    if (pool == NULL) {
        return -ESHUTDOWN;
    }
    skua_time deadline = node->due_ns == SKUA__NEVER ? SKUA_FOREVER : (skua_time){node->due_ns};
    skua_bytes in = {node->in, node->job.bytes};
    skua_buf buffer = {NULL, 0, NULL};
    skua_call_opts opts = {
        .priority = node->job.priority,
        .attempts = node->job.attempts,
        .grace_ns = node->job.grace_ns,
    };
    if (node->job.bytes > SKUA__EAGER_BYTES) {
        int status = fetch_input(node, &buffer, deadline);
        if (status < 0) {
            skua_buf_release(&buffer);
            return status;
        }
        opts.in_buf = &buffer;
    }
    int status = skua_pool_call_with(pool, job, in, &opts, &node->out, deadline);
    skua_buf_release(&buffer); /* if the pool has not taken it */
    return status;
}

static int job_main(void *arg)
{
    struct node *node = arg;
    int status = run_in_pool(node);
    SKUA_SCOPE(scope);
    skua_shield_open(&scope, SKUA_FOREVER);
    answer(node, status);
    unref(node);
    return skua_scope_close(&scope, 0);
}

/* The job is to end; or its answer is not wanted. */
static void give_up(struct node *node)
{
    struct skua__server *server = node->served->server;
    lock(server);
    skua_task *task = node->task;
    unlock(server);
    if (task != NULL) {
        skua_task_cancel(task);
    }
}

/* The answer to a job that cannot even begin. In the thread. */
static bool refuse(struct served *served, uint64_t ticket, int status)
{
    const struct skua__record_answer head = {.status = status};
    const struct skua__part part = {&head, sizeof head};
    return skua__cluster_post(served->server->cluster, 0, SKUA__RECORD_ANSWER, served->number,
                              ticket, &part, 1) == 0;
}

static bool on_job(struct served *served, const struct skua__record *record)
{
    struct skua__server *server = served->server;
    const struct skua__record_job *job = skua__record_body(record, sizeof *job);
    if (job == NULL) {
        return false;
    }
    size_t there = record->bytes - sizeof *record - sizeof *job;
    size_t eager = job->bytes <= SKUA__EAGER_BYTES ? job->bytes : 0;
    if (eager > there) {
        return false;
    }
    struct node *node = skua__alloc(sizeof *node + eager);
    if (node == NULL) {
        return refuse(served, record->ticket, -ENOMEM);
    }
    node->served = served;
    node->ticket = record->ticket;
    node->job = *job;
    node->due_ns = job->left_ns == SKUA__NEVER ? SKUA__NEVER : skua__clock_real_ns() + job->left_ns;
    node->references = 2;
    memcpy(node->in, job + 1, eager);
    lock(server);
    served->count++;
    skua__list_push_back(bucket_of(served, node->ticket), &node->link);
    node->references++; /* for here */
    unlock(server);
    skua_task *task = NULL;
    int status = skua_submit(server->runtime, &task, job_main, node, NULL);
    if (status < 0) {
        remove_node(node);
        unref(node); /* the task's */
        unref(node);
        return refuse(served, record->ticket, status);
    }
    lock(server);
    node->task = task;
    bool is_late = served->is_closing; /* then nobody else may have seen the task */
    unlock(server);
    if (is_late) {
        give_up(node);
    }
    unref(node);
    return true;
}

static void on_cancel(struct served *served, const struct skua__record *record)
{
    struct node *node = find_node(served, record->ticket);
    if (node != NULL) {
        give_up(node);
        unref(node);
    }
}

static void on_done(struct served *served, const struct skua__record *record)
{
    struct node *node = find_node(served, record->ticket);
    if (node != NULL) {
        remove_node(node);
        unref(node);
    }
}

static void end_piece(struct skua__cluster *cluster, struct skua__parcel *parcel)
{
    (void)cluster;
    struct answer_piece *piece = SKUA_CONTAINER(parcel, struct answer_piece, parcel);
    unref(piece->node);
    skua__free(piece);
}

static bool on_piece(void *arg, uint32_t to, const struct skua__record *record, const void **data,
                     struct skua__parcel **parcel)
{
    (void)to;
    struct skua__server *server = arg;
    const struct skua__record_pull *pull = skua__record_body(record, sizeof *pull);
    struct served *served = served_of(server, record);
    struct node *node = served != NULL ? find_node(served, record->ticket) : NULL;
    if (node == NULL) {
        return true;
    }
    if (pull->offset > node->out.bytes || pull->bytes > node->out.bytes - pull->offset) {
        unref(node);
        return false;
    }
    *data = (const char *)node->out.data + pull->offset;
    struct answer_piece *piece = skua__alloc(sizeof *piece);
    if (piece == NULL) { /* then it is copied; the table keeps the node meanwhile */
        unref(node);
        return true;
    }
    piece->parcel.ended = end_piece;
    piece->node = node;
    *parcel = &piece->parcel;
    return true;
}

/* --- pools ------------------------------------------------------------------------------------ */

static uint32_t workers_for(const struct skua__record_open *open)
{
    uint32_t cores = skua_worker_count(NULL);
    uint32_t share = open->ranks > 0 && cores > open->ranks ? cores / open->ranks : 1;
    return open->workers != 0 ? open->workers : open->ranks > 1 ? share : cores;
}

static int make_pool(struct served *served, skua_pool **pool)
{
    const struct skua__record_open *open = &served->open;
    const skua_job *init = open->init_hash != 0 ? skua__job_find(open->init_hash) : NULL;
    if (open->init_hash != 0 && init == NULL) {
        return -ENOENT;
    }
    const skua_pool_opts opts = {
        .name = open->name[0] != '\0' ? open->name : NULL,
        .workers = workers_for(open),
        .payload_max = open->payload_max,
        .jobs_per_worker_max = open->jobs_per_worker_max,
        .init = init,
        .init_in = {served->init, served->init_bytes},
        .nice = open->nice,
        .binding = (skua_pool_binding)open->binding,
        .limits = open->limits,
        .local = true,
    };
    return skua_pool_create(pool, &opts);
}

/* A task: makes the pool and says so. */
static int open_main(void *arg)
{
    struct served *served = arg;
    struct skua__server *server = served->server;
    skua_pool *pool = NULL;
    struct skua__record_opened opened = {.status = make_pool(served, &pool)};
    SKUA_SCOPE(scope);
    skua_shield_open(&scope, SKUA_FOREVER);
    if (opened.status == 0) {
        opened.workers = workers_for(&served->open);
    }
    lock(server);
    served->pool = pool;
    unlock(server);
    const struct skua__part part = {&opened, sizeof opened};
    post_surely(server, SKUA__RECORD_OPENED, served->number, served->serial, &part, 1);
    lock(server);
    bool is_empty = --served->count == 0 && served->is_closing;
    if (is_empty) {
        skua_event_set(&served->empty);
    }
    unlock(server);
    return skua_scope_close(&scope, 0);
}

static void free_served(struct served *served)
{
    skua__free(served->init);
    skua__free(served);
}

static bool on_open(struct skua__server *server, const struct skua__record *record)
{
    const struct skua__record_open *open = skua__record_body(record, sizeof *open);
    if (open == NULL || record->pool == 0 || record->pool > POOLS_MAX ||
        served_of(server, record) != NULL) {
        return false;
    }
    struct served *served = skua__alloc(sizeof *served);
    size_t init_bytes = record->bytes - sizeof *record - sizeof *open;
    char *init = skua__alloc(init_bytes + 1);
    if (served == NULL || init == NULL) {
        skua__free(served);
        skua__free(init);
        return false;
    }
    memcpy(init, open + 1, init_bytes);
    served->server = server;
    served->number = record->pool;
    served->serial = record->ticket;
    served->open = *open;
    served->open.name[sizeof served->open.name - 1] = '\0';
    served->init = init;
    served->init_bytes = init_bytes;
    served->count = 1; /* the task that makes it */
    for (size_t i = 0; i < BUCKETS; i++) {
        skua__list_init(&served->table[i]);
    }
    lock(server);
    server->pools[record->pool - 1] = served;
    unlock(server);
    if (skua_submit(server->runtime, NULL, open_main, served, NULL) < 0) {
        lock(server);
        server->pools[record->pool - 1] = NULL;
        unlock(server);
        free_served(served);
        return false;
    }
    return true;
}

/* The first node of the table that is left, with a reference; or NULL. */
static struct node *any_node(struct served *served)
{
    struct node *node = NULL;
    lock(served->server);
    for (size_t i = 0; i < BUCKETS && node == NULL; i++) {
        struct skua__link *first = skua__list_pop_front(&served->table[i]);
        if (first != NULL) {
            node = SKUA_CONTAINER(first, struct node, link);
            node->references++;
        }
    }
    unlock(served->server);
    return node;
}

/* A task: nobody wants anything of this pool any more. */
static int close_main(void *arg)
{
    struct served *served = arg;
    struct skua__server *server = served->server;
    SKUA_SCOPE(scope);
    skua_shield_open(&scope, SKUA_FOREVER);
    struct node *node;
    while ((node = any_node(served)) != NULL) {
        give_up(node);
        unref(node);
        unref(node); /* the table's */
    }
    int status = skua_event_wait(&served->empty, SKUA_FOREVER);
    (void)status;
    skua_pool_destroy(served->pool);
    lock(server);
    free_served(served);
    if (--server->closing == 0 && server->must_stop) {
        skua_event_set(&server->closed);
    }
    unlock(server);
    return skua_scope_close(&scope, 0);
}

/* Out of the table of pools; what comes for it later is dropped. */
static void close_pool(struct skua__server *server, uint16_t number)
{
    lock(server);
    struct served *served = server->pools[number - 1];
    server->pools[number - 1] = NULL;
    if (served != NULL) {
        served->is_closing = true;
        server->closing++;
        if (served->count == 0) {
            skua_event_set(&served->empty);
        }
    }
    unlock(server);
    if (served != NULL) {
        int status = skua__submit_own(server->runtime, close_main, served, NULL);
        skua_require(status == 0);
    }
}

/* --- what the link tells ---------------------------------------------------------------------- */

static bool on_record(void *arg, uint32_t from, const struct skua__record *record)
{
    struct skua__server *server = arg;
    if (from != 0) {
        return false;
    }
    struct served *served = served_of(server, record);
    switch (record->kind) {
    case SKUA__RECORD_OPEN:
        return on_open(server, record);
    case SKUA__RECORD_STOP:
        skua_event_set(&server->stop);
        return true;
    case SKUA__RECORD_JOB:
        return served != NULL && on_job(served, record);
    case SKUA__RECORD_CANCEL:
    case SKUA__RECORD_DONE:
    case SKUA__RECORD_CLOSE:
        break;
    default:
        return false;
    }
    if (served == NULL) {
        return true; /* late */
    }
    if (record->kind == SKUA__RECORD_CANCEL) {
        on_cancel(served, record);
    } else if (record->kind == SKUA__RECORD_DONE) {
        on_done(served, record);
    } else {
        close_pool(server, record->pool);
    }
    return true;
}

static bool no_work(void *arg)
{
    (void)arg;
    return false;
}

/* Rank 0 may say something at any moment, and owes nothing. */
static bool always(void *arg)
{
    (void)arg;
    return true;
}

static bool owes(void *arg, uint32_t rank)
{
    (void)arg;
    (void)rank;
    return false;
}

static int64_t never(void *arg)
{
    (void)arg;
    return SKUA__NEVER;
}

/* Inputs that will not come are not waited for. */
static void release_inputs(struct skua__server *server)
{
    lock(server);
    for (size_t i = 0; i < POOLS_MAX; i++) {
        for (size_t j = 0; server->pools[i] != NULL && j < BUCKETS; j++) {
            const struct skua__list *bucket = &server->pools[i]->table[j];
            for (struct skua__link *at = bucket->head.next; at != &bucket->head; at = at->next) {
                skua_event_set(&SKUA_CONTAINER(at, struct node, link)->has_come);
            }
        }
    }
    unlock(server);
}

/* Without rank 0 there is nothing to do here, and what was on its way will never come. */
static void on_lost(void *arg, uint32_t rank, const char *why)
{
    struct skua__server *server = arg;
    if (rank == 0) {
        skua__report("rank 0 of the cluster is lost: %s", why);
        skua__store(&server->is_orphan, true, relaxed);
        server->cluster->transport.abort(server->cluster->transport.self, 1);
        /* A transport that comes back from there leaves it to us. */
        release_inputs(server);
        skua_event_set(&server->stop);
    }
}

/* --- begin and end ---------------------------------------------------------------------------- */

int skua__server_begin(struct skua__server **out, struct skua__cluster *cluster)
{
    struct skua__server *server = skua__alloc(sizeof *server);
    if (server == NULL) {
        return -ENOMEM;
    }
    server->cluster = cluster;
    *out = server;
    return 0;
}

int skua__server_main(void *arg)
{
    struct skua__server *server = arg;
    server->runtime = skua_runtime_current();
    const struct skua__cluster_user user = {
        server, on_record, on_piece, no_work, always, owes, never, on_lost,
    };
    struct skua__record_hello hello;
    skua__cluster_introduce(&hello);
    const struct skua__part part = {&hello, sizeof hello};
    int status = skua__cluster_post(server->cluster, 0, SKUA__RECORD_HELLO, 0, 0, &part, 1);
    if (status < 0) {
        return status;
    }
    skua__cluster_go(server->cluster, &user);
    status = skua_event_wait(&server->stop, SKUA_FOREVER);
    SKUA_SCOPE(scope);
    skua_shield_open(&scope, SKUA_FOREVER);
    lock(server);
    server->must_stop = true;
    server->closing++;
    unlock(server);
    for (uint32_t number = 1; number <= POOLS_MAX; number++) {
        close_pool(server, (uint16_t)number);
    }
    lock(server);
    bool is_last = --server->closing == 0;
    unlock(server);
    if (!is_last) {
        int error = skua_event_wait(&server->closed, SKUA_FOREVER);
        (void)error;
    }
    return skua_scope_close(&scope, status);
}

void skua__server_end(struct skua__server *server)
{
    int status = skua__cluster_post(server->cluster, 0, SKUA__RECORD_BYE, 0, 0, NULL, 0);
    (void)status; /* rank 0 is lost, or waits until it has had enough */
    skua__cluster_end(server->cluster, -1);
    skua__free(server);
}
