/* A storm of cancels: some 10,000 tasks at a time, in trees of groups three deep, send and receive,
   put and get, lock, borrow, sleep, wait for conditions, generators and each other, fork, and open
   scopes, shields and clean-ups, while tasks, scopes and groups are cancelled at random, run out of
   time, and fail. Afterwards the accounts balance: who has started has ended, what was sent was
   received, dropped, or is still there, every lock and permit is free, whoever was deferred to has
   run, nobody waits anywhere, and the process holds what it held before. */
#include "../tasks.h"

#include <skua/chan.h>
#include <skua/fork.h>
#include <skua/gather.h>
#include <skua/gen.h>
#include <skua/group.h>
#include <skua/queue.h>
#include <skua/select.h>
#include <skua/sync.h>
#include <skua/testing.h>

enum {
    TREES = 100 / TEST_SCALE / TEST_SCALE, /* the deadlines come in time, then */
    MEMBERS = 10,                          /* of each group: a tree has 1 + 10 + 100 tasks */
    DEPTH = 3,
    STEPS = 4,
    CHANS = 4,
    QUEUES = 3,
    MUTEXES = 3,
    PERMITS = 5,
    KINDS = 16,
};

static skua_chan *chans[CHANS];
static skua_queue *queues[QUEUES];
static skua_mutex mutexes[MUTEXES], cond_mutex;
static skua_cond cond;
static skua_sem sem;

/* The accounts. */
static _Atomic uint64_t spawned, started, ended, entered, left;
static _Atomic uint64_t sent, received, sent_sum, received_sum;
static _Atomic uint64_t cancels, cancelled, late, failed;
static gate holders[MUTEXES], borrowed;

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)((test_random(random) >> 16) % bound);
}

static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 6)) {
    case 0:
        return SKUA_NOW;
    case 1:
        return skua_after(0);
    case 2:
        return SKUA_FOREVER; /* the tree's own deadline holds */
    default:
        return skua_after(SKUA_US(below(random, 3000)));
    }
}

/* --- items ------------------------------------------------------------------------------------ */

static void note_sent(int item)
{
    atomic_fetch_add(&sent, 1);
    atomic_fetch_add(&sent_sum, (uint64_t)item);
}

static void note_received(int item)
{
    atomic_fetch_add(&received, 1);
    atomic_fetch_add(&received_sum, (uint64_t)item);
}

/* Dropped counts as received: nobody else will have it. */
static void drop_item(void *item)
{
    note_received(*(int *)item);
}

static int send_item(uint64_t *random)
{
    const int item = (int)below(random, 1000000);
    const int status =
        skua_chan_send(chans[below(random, CHANS)], SKUA_ITEM(item), some_deadline(random));
    if (status == 0) {
        note_sent(item);
    }
    return status;
}

static int receive_item(uint64_t *random)
{
    int item = 0;
    const int status =
        skua_chan_recv(chans[below(random, CHANS)], SKUA_ITEM(item), some_deadline(random));
    if (status == 1) {
        note_received(item);
    }
    return status;
}

static int reserve_room(uint64_t *random)
{
    skua_permit permit = {{0}};
    const int item = (int)below(random, 1000000);
    int status =
        skua_chan_reserve(chans[1 + below(random, CHANS - 1)], &permit, some_deadline(random));
    if (status == 0 && below(random, 2)) {
        status = skua_yield();
    }
    if (status == 0) {
        CHECK_INT(skua_chan_commit(&permit, SKUA_ITEM(item)), 0);
        note_sent(item);
    }
    skua_chan_abort(&permit);
    return status;
}

static int put_item(uint64_t *random)
{
    const int item = (int)below(random, 1000000);
    const int status =
        skua_queue_put(queues[below(random, QUEUES)], SKUA_ITEM(item), some_deadline(random));
    if (status == 0) {
        note_sent(item);
    }
    return status;
}

static int get_item(uint64_t *random)
{
    int item = 0;
    skua_queue *queue = queues[below(random, QUEUES)];
    const int status = skua_queue_get(queue, SKUA_ITEM(item), some_deadline(random));
    if (status == 1) {
        note_received(item);
        skua_queue_done(queue);
    }
    return status;
}

static int select_item(uint64_t *random)
{
    int from_chan = 0, from_queue = 0, out = (int)below(random, 1000000);
    skua_queue *queue = queues[below(random, QUEUES)];
    const uint32_t first = below(random, CHANS);
    skua_case cases[] = {
        SKUA_RECV(chans[first], from_chan),
        SKUA_SEND(chans[(first + 1) % CHANS], out),
        SKUA_GET(queue, from_queue),
        SKUA_AT(skua_after(SKUA_US(below(random, 2000)))),
    };
    const int which = skua_select(cases, 4, 0, some_deadline(random));
    if (which == 0) {
        note_received(from_chan);
    } else if (which == 1) {
        CHECK_INT(cases[1].result, 0);
        note_sent(out);
    } else if (which == 2) {
        note_received(from_queue);
        skua_queue_done(queue);
    }
    return which < 0 ? which : 0;
}

/* --- locks ------------------------------------------------------------------------------------ */

static int lock_some(uint64_t *random)
{
    const uint32_t which = below(random, MUTEXES);
    int status = skua_mutex_lock(&mutexes[which], some_deadline(random));
    if (status == 0) {
        CHECK_INT(atomic_fetch_add(&holders[which], 1), 0);
        status = below(random, 2) ? skua_yield() : 0;
        CHECK_INT(atomic_fetch_sub(&holders[which], 1), 1);
        skua_mutex_unlock(&mutexes[which]);
    }
    return status;
}

static int borrow_some(uint64_t *random)
{
    const int count = 1 + (int)below(random, 2);
    int status = skua_sem_acquire(&sem, (size_t)count, some_deadline(random));
    if (status == 0) {
        CHECK(atomic_fetch_add(&borrowed, count) + count <= PERMITS);
        status = skua_yield();
        atomic_fetch_sub(&borrowed, count);
        skua_sem_release(&sem, (size_t)count);
    }
    return status;
}

static int wait_or_signal(uint64_t *random)
{
    if (below(random, 2)) {
        skua_cond_signal(&cond);
        return 0;
    }
    int status = skua_mutex_lock(&cond_mutex, some_deadline(random));
    if (status == 0) {
        status = skua_cond_wait(&cond, &cond_mutex, some_deadline(random));
        skua_mutex_unlock(&cond_mutex); /* panics unless the wait has come back with it */
    }
    return status;
}

/* --- scopes, shields, clean-ups, generators, forks -------------------------------------------- */

static int take_step(void *arg);

static int step_within(uint64_t *random)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, skua_after(SKUA_US(below(random, 2000))));
    if (below(random, 4) == 0) {
        skua_scope_deadline(&scope, skua_after(SKUA_US(below(random, 500))));
    }
    if (below(random, 8) == 0) {
        skua_scope_cancel(&scope);
    }
    return skua_scope_close(&scope, take_step(random));
}

static void clean_up(void *arg)
{
    CHECK(skua_yield() == 0);
    atomic_fetch_add(&left, 1);
}

static int defer_and_step(uint64_t *random)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    atomic_fetch_add(&entered, 1);
    CHECK_INT(skua_defer(clean_up, NULL), 0);
    return skua_scope_close(&scope, take_step(random));
}

static int give_numbers(skua_gen *self, void *arg)
{
    int status = 0;
    atomic_fetch_add(&entered, 1);
    for (int i = 0; i < 5 && status == 0; i++) {
        status = i % 2 ? skua_sleep(skua_after(SKUA_US(100))) : 0;
        status = status < 0 ? status : skua_gen_yield(self, &i);
    }
    atomic_fetch_add(&left, 1);
    return status;
}

static int ask_generator(uint64_t *random)
{
    int item, status = 1;
    SKUA_GEN(gen);
    CHECK_INT(skua_gen_open(&gen, give_numbers, NULL, sizeof item), 0);
    for (uint32_t i = below(random, 7); i > 0 && status == 1; i--) {
        status = skua_gen_next(gen, &item, some_deadline(random));
    }
    return status;
}

static int fork_steps(uint64_t *random)
{
    uint64_t other = test_random(random);
    return skua_both(take_step, random, take_step, &other);
}

static int wait_for_two(uint64_t *random)
{
    uint64_t seeds[2] = {test_random(random), test_random(random)};
    skua_task *tasks[2];
    for (int i = 0; i < 2; i++) {
        if (skua_spawn(&tasks[i], take_step, &seeds[i], NULL) < 0) {
            return i == 0 ? 0 : finish(tasks[0]); /* the runtime ends */
        }
    }
    int statuses[2];
    const int status = skua_gather(tasks, 2, statuses, some_deadline(random));
    if (status < 0) {
        skua_task_cancel_all(tasks, 2);
        SKUA_SCOPE(shield);
        skua_shield_open(&shield, SKUA_FOREVER);
        CHECK_INT(skua_gather(tasks, 2, statuses, SKUA_FOREVER), 0);
    }
    skua_task_release_all(tasks, 2);
    return status;
}

/* At most so many steps are inside of each other: a step that has others takes one of them. */
static int take_step(void *arg)
{
    uint64_t *random = arg;
    switch (below(random, KINDS)) {
    case 0:
    case 1:
        return send_item(random);
    case 2:
    case 3:
        return receive_item(random);
    case 4:
        return reserve_room(random);
    case 5:
        return put_item(random);
    case 6:
        return get_item(random);
    case 7:
        return select_item(random);
    case 8:
        return lock_some(random);
    case 9:
        return borrow_some(random);
    case 10:
        return wait_or_signal(random);
    case 11:
        return step_within(random);
    case 12:
        return defer_and_step(random);
    case 13:
        return ask_generator(random);
    case 14:
        return below(random, 4) ? skua_sleep(skua_after(SKUA_US(below(random, 1000))))
                                : fork_steps(random);
    default:
        return below(random, 4) ? skua_yield() : wait_for_two(random);
    }
}

/* --- trees ------------------------------------------------------------------------------------ */

typedef struct node {
    uint64_t random;
    int depth;
} node;

static int live(void *arg);

/* The body of a node's group: members, some of which are cancelled one by one. */
static int have_members(skua_group *group, node *self)
{
    for (int i = 0; i < MEMBERS; i++) {
        const node member = {test_random(&self->random), self->depth + 1};
        const skua_spawn_opts opts = {.group = group, .arg_bytes = sizeof member};
        const bool is_told = below(&self->random, 4) == 0;
        skua_task *task = NULL;
        atomic_fetch_add(&spawned, 1);
        const int status =
            skua_spawn(is_told ? &task : NULL, live, (void *)(uintptr_t)&member, &opts);
        if (status < 0) {
            CHECK(status == -ECANCELED || status == -ESHUTDOWN);
            atomic_fetch_sub(&spawned, 1);
            return status;
        }
        if (is_told && below(&self->random, 3) == 0) {
            atomic_fetch_add(&cancels, 1);
            skua_task_cancel(task);
        }
        skua_task_release(task);
    }
    return 0;
}

static int live_with_members(node *self)
{
    SKUA_GROUP(group);
    skua_group_open(&group, (skua_policy)below(&self->random, SKUA_JOIN_SET + 1),
                    skua_after(SKUA_US(2000 + below(&self->random, 100000)) * TEST_SCALE));
    int status = have_members(&group, self);
    for (int i = 0; i < STEPS && status != -ECANCELED; i++) {
        status = take_step(&self->random);
    }
    if (below(&self->random, 6) == 0) {
        atomic_fetch_add(&cancels, 1);
        skua_group_cancel(&group);
    }
    /* What came too late in the body is nobody's failure. */
    status = skua_group_close(&group, status == -ECANCELED ? status : 0);
    CHECK_INT(skua_group_count(&group), 0);
    return status;
}

static int live(void *arg)
{
    node *self = arg;
    int status = 0;
    atomic_fetch_add(&started, 1);
    if (self->depth < DEPTH) {
        status = live_with_members(self);
    } else {
        for (int i = 0; i < STEPS && status != -ECANCELED; i++) {
            status = take_step(&self->random);
        }
    }
    const bool fails = status != -ECANCELED && below(&self->random, 40) == 0;
    atomic_fetch_add(&cancelled, status == -ECANCELED);
    atomic_fetch_add(&late, status == -ETIMEDOUT);
    atomic_fetch_add(&failed, fails);
    atomic_fetch_add(&ended, 1);
    return fails ? -EIO : status == -ECANCELED ? status : 0;
}

static int grow_trees(uint64_t *random)
{
    static node roots[TREES];
    static skua_task *trees[TREES];
    for (int i = 0; i < TREES; i++) {
        roots[i] = (node){test_random(random), 1};
        atomic_fetch_add(&spawned, 1);
        trees[i] = spawn(live, &roots[i]);
    }
    for (int i = 0; i < TREES / 4; i++) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(below(random, 2000)))), 0);
        atomic_fetch_add(&cancels, 1);
        skua_task_cancel(trees[below(random, TREES)]);
    }
    for (int i = 0; i < TREES; i++) {
        (void)finish(trees[i]);
    }
    return 0;
}

/* --- the balance ------------------------------------------------------------------------------ */

static void make_world(void)
{
    const skua_queue_opts kinds[QUEUES] = {
        {.item_bytes = sizeof(int)},
        {.item_bytes = sizeof(int), .capacity = 8, .lifo = true},
        {.item_bytes = sizeof(int),
         .capacity = 4,
         .full = SKUA_FULL_DROP_OLDEST,
         .drop = drop_item},
    };
    for (int i = 0; i < CHANS; i++) {
        CHECK_INT(skua_chan_create(&chans[i], sizeof(int), (size_t)(i * i)), 0);
    }
    for (int i = 0; i < QUEUES; i++) {
        CHECK_INT(skua_queue_create(&queues[i], &kinds[i]), 0);
    }
    skua_mutex_init_fair(&mutexes[0]);
    skua_sem_init_bounded(&sem, PERMITS);
}

static void drain_chan(skua_chan *chan)
{
    int item;
    skua_chan_statistics now;
    while (skua_chan_recv(chan, SKUA_ITEM(item), SKUA_NOW) == 1) {
        note_received(item);
    }
    skua_chan_stats(chan, &now);
    CHECK_INT(now.reserved + now.waiting_senders + now.waiting_receivers, 0);
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
}

static void drain_queue(skua_queue *queue)
{
    int item;
    skua_queue_statistics now;
    while (skua_queue_get(queue, SKUA_ITEM(item), SKUA_NOW) == 1) {
        note_received(item);
        skua_queue_done(queue);
    }
    skua_queue_stats(queue, &now);
    CHECK_INT(now.unfinished + now.getters + now.putters, 0);
    skua_queue_destroy(queue);
}

static void check_world(void)
{
    for (int i = 0; i < CHANS; i++) {
        drain_chan(chans[i]);
    }
    for (int i = 0; i < QUEUES; i++) {
        drain_queue(queues[i]);
    }
    for (int i = 0; i < MUTEXES; i++) {
        CHECK_INT(skua_mutex_lock(&mutexes[i], SKUA_NOW), 0);
        skua_mutex_unlock(&mutexes[i]);
    }
    CHECK_INT(skua_sem_available(&sem), PERMITS);
    CHECK_INT(started, spawned);
    CHECK_INT(ended, spawned);
    CHECK_INT(left, entered);
    CHECK_INT(received, sent);
    CHECK_INT(received_sum, sent_sum);
}

static int storm(void *arg)
{
    make_world();
    const int status = grow_trees(arg);
    check_world();
    return status;
}

/* Failures of members are what they are here for; a task that goes on to its end in spite of a
   cancel is as it should be. Anything else that the library has to say is not. */
static void hear_of_failure(const skua_error *error, void *hook_arg)
{
    (void)error;
    (void)hook_arg;
}

static void hear_of(skua_report_kind kind, const char *text, void *hook_arg)
{
    (void)hook_arg;
    if (kind == SKUA_REPORT_LEFT || kind == SKUA_REPORT_DEADLOCK) {
        test_fail(__FILE__, __LINE__, "reported: %s", text);
    }
}

static void run_storm(uint64_t *random)
{
    const skua_config config = {
        .workers = 1u << below(random, 3), .on_failure = hear_of_failure, .on_report = hear_of};
    CHECK_INT(skua_run(&config, storm, random), 0);
}

static void a_storm_of_cancels_leaves_nothing(void **state)
{
    uint64_t random = test_seed();
    skua_test_resources before;
    const skua_time end = skua_after(SKUA_SEC((int64_t)test_env("SKUA_STRESS_SECONDS", 4)));
    run_storm(&random); /* what a process starts with its first thread belongs to `before` */
    skua_test_resources_now(&before);
    do {
        run_storm(&random);
    } while (skua_clock().ns < end.ns || spawned < 10000 / TEST_SCALE);
    CHECK_INT(skua_test_resources_compare(&before), 0);
    CHECK(cancelled > 0 && cancelled < ended);
    print_message("%llu tasks, %llu cancelled by %llu cancels and what was above them, %llu late, "
                  "%llu failed, %llu items\n",
                  (unsigned long long)spawned, (unsigned long long)cancelled,
                  (unsigned long long)cancels, (unsigned long long)late, (unsigned long long)failed,
                  (unsigned long long)sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_storm_of_cancels_leaves_nothing)};
    return TEST_RUN(tests);
}
