/* tests/seed_mix_test.c: random programs of tasks, groups, channels, queues, locks, semaphores,
   conditions, generators, selects, gathers, cancels, and scopes whose deadlines are moved, each
   under a seeded schedule, twice: the same happens in the same order, nothing is lost and nothing
   hangs. SKUA_SEEDS says how many; without it there are 500, or as many as 15 seconds allow on a
   busy machine. The programs come from SKUA_SEED. */
#include "tasks.h"

#include <skua/chan.h>
#include <skua/gather.h>
#include <skua/gen.h>
#include <skua/group.h>
#include <skua/queue.h>
#include <skua/select.h>
#include <skua/sync.h>
#include <skua/testing.h>

enum { CHANS = 3, MUTEXES = 2, PERMITS = 3, TASKS = 6, STEPS = 10, KINDS = 17, SEEDS_MIN = 20 };

typedef struct world {
    uint64_t program; /* what the tasks do */
    uint64_t hash;    /* of all that has happened, in order */
    int events;
    int sent, received;
    int holders[MUTEXES], borrowed, put, got;
    skua_chan *chans[CHANS];
    skua_mutex mutexes[MUTEXES];
    skua_sem sem;
    skua_cond cond; /* of the first mutex */
    skua_queue *queue;
    skua_scope *scope; /* that somebody has open just now, or NULL */
    skua_task *tasks[TASKS];
} world;

typedef struct actor {
    world *all;
    int number, depth;
    uint64_t random;
} actor;

static void note(actor *self, int kind, int result)
{
    uint64_t state = self->all->hash ^ (uint64_t)(self->number * 1000003 + kind * 4099 + result);
    state ^= (uint64_t)skua_clock().ns << 20;
    self->all->hash = test_random(&state);
    self->all->events++;
}

static uint32_t draw(actor *self, uint32_t below)
{
    return (uint32_t)(test_random(&self->random) >> 32) % below;
}

/* Often the same moments for many, so that deadlines meet. */
static skua_time soon(actor *self)
{
    return draw(self, 8) == 0 ? SKUA_NOW : skua_after(SKUA_MS(1) * (1 + draw(self, 5)));
}

static int act(void *arg);

static int send_some(actor *self)
{
    skua_chan *chan = self->all->chans[draw(self, CHANS)];
    const int item = self->number;
    const int status = skua_chan_send(chan, SKUA_ITEM(item), soon(self));
    self->all->sent += status == 0;
    return status;
}

static int receive_some(actor *self)
{
    int item = 0;
    const int status =
        skua_chan_recv(self->all->chans[draw(self, CHANS)], SKUA_ITEM(item), soon(self));
    self->all->received += status == 1;
    return status == 1 ? 100 + item : status;
}

static int select_some(actor *self)
{
    world *all = self->all;
    int in = 0, out = self->number;
    const uint32_t first = draw(self, CHANS);
    skua_case cases[] = {
        {.kind = SKUA_CASE_RECV, .object = all->chans[first], .item = &in, .item_bytes = sizeof in},
        {.kind = SKUA_CASE_SEND,
         .object = all->chans[(first + 1) % CHANS],
         .item = &out,
         .item_bytes = sizeof out},
        {.kind = SKUA_CASE_TIME, .at = skua_after(SKUA_MS(3))},
    };
    const int which = skua_select(cases, 3, 0, soon(self));
    all->received += which == 0 && cases[0].result == 1;
    all->sent += which == 1 && cases[1].result == 0;
    return which == 0 ? 200 + in : which;
}

static int lock_and_wait(actor *self)
{
    const uint32_t which = draw(self, MUTEXES);
    const int status = skua_mutex_lock(&self->all->mutexes[which], soon(self));
    if (status < 0) {
        return status;
    }
    CHECK_INT(self->all->holders[which]++, 0);
    const int slept = skua_sleep(skua_after(SKUA_MS(1) * draw(self, 3)));
    CHECK_INT(--self->all->holders[which], 0);
    skua_mutex_unlock(&self->all->mutexes[which]);
    return slept;
}

static int act_within(actor *self)
{
    actor inner = {self->all, self->number + 50, self->depth + 1, test_random(&self->random)};
    return skua_within(soon(self), act, &inner);
}

static int act_in_a_child(actor *self)
{
    actor inner = {self->all, self->number + 100, self->depth + 1, test_random(&self->random)};
    skua_task *task = spawn(act, &inner);
    int result = 0;
    int status = skua_join(task, &result, soon(self));
    if (status < 0) {
        SKUA_SCOPE(shield);
        skua_shield_open(&shield, SKUA_FOREVER);
        skua_task_cancel(task);
        CHECK_INT(skua_join(task, &result, SKUA_FOREVER), 0);
    }
    skua_task_release(task);
    return status < 0 ? status : result;
}

/* A group of two, of any policy, that may be cancelled as a whole. */
static int act_in_a_group(actor *self)
{
    actor inner[2];
    SKUA_GROUP(group);
    skua_group_open(&group, (skua_policy)draw(self, SKUA_JOIN_SET + 1), soon(self));
    for (int i = 0; i < 2; i++) {
        inner[i] =
            (actor){self->all, self->number + 200 + i, self->depth + 1, test_random(&self->random)};
        const int status = skua_group_spawn(&group, act, &inner[i]);
        CHECK(status == 0 || status == -ECANCELED);
    }
    int status = draw(self, 2) ? skua_group_room(&group, 1 + draw(self, 2), soon(self)) : 0;
    if (draw(self, 4) == 0) {
        skua_group_cancel(&group);
    }
    status = skua_group_close(&group, status == -ECANCELED ? status : 0);
    CHECK_INT(skua_group_count(&group), 0);
    return status;
}

static int gather_children(actor *self)
{
    actor inner[2];
    skua_task *tasks[2];
    int statuses[2];
    for (int i = 0; i < 2; i++) {
        inner[i] =
            (actor){self->all, self->number + 300 + i, self->depth + 1, test_random(&self->random)};
        tasks[i] = spawn(act, &inner[i]);
    }
    const int status = skua_gather(tasks, 2, statuses, soon(self));
    if (status < 0) {
        SKUA_SCOPE(shield);
        skua_shield_open(&shield, SKUA_FOREVER);
        skua_task_cancel_all(tasks, 2);
        CHECK_INT(skua_gather(tasks, 2, statuses, SKUA_FOREVER), 0);
    }
    skua_task_release_all(tasks, 2);
    return status < 0 ? status : statuses[0];
}

static int put_some(actor *self)
{
    const int item = self->number;
    const int status = skua_queue_put(self->all->queue, SKUA_ITEM(item), soon(self));
    self->all->put += status == 0;
    return status;
}

static int get_some(actor *self)
{
    int item = 0;
    const int status = skua_queue_get(self->all->queue, SKUA_ITEM(item), soon(self));
    if (status != 1) {
        return status;
    }
    self->all->got++;
    skua_queue_done(self->all->queue);
    return 400 + item;
}

static int borrow_some(actor *self)
{
    const int count = 1 + (int)draw(self, 2);
    const int status = skua_sem_acquire(&self->all->sem, (size_t)count, soon(self));
    if (status < 0) {
        return status;
    }
    self->all->borrowed += count;
    CHECK(self->all->borrowed <= PERMITS);
    const int slept = skua_sleep(skua_after(SKUA_MS(1) * draw(self, 3)));
    self->all->borrowed -= count;
    skua_sem_release(&self->all->sem, (size_t)count);
    return slept;
}

static int wait_or_signal(actor *self)
{
    world *all = self->all;
    if (draw(self, 2)) {
        skua_cond_signal(&all->cond);
        return 0;
    }
    int status = skua_mutex_lock(&all->mutexes[0], soon(self));
    if (status == 0) {
        CHECK_INT(all->holders[0], 0);
        status = skua_cond_wait(&all->cond, &all->mutexes[0], soon(self));
        CHECK_INT(all->holders[0], 0);
        skua_mutex_unlock(&all->mutexes[0]);
    }
    return status;
}

static int count_slowly(skua_gen *self, void *arg)
{
    int status = 0;
    for (int i = 1; i < 4 && status == 0; i++) {
        status = skua_sleep(skua_after(SKUA_MS(1)));
        status = status < 0 ? status : skua_gen_yield(self, &i);
    }
    return status;
}

static int ask_generator(actor *self)
{
    int item = 0, status = 1;
    SKUA_GEN(gen);
    CHECK_INT(skua_gen_open(&gen, count_slowly, NULL, sizeof item), 0);
    for (uint32_t i = draw(self, 5); i > 0 && status == 1; i--) {
        status = skua_gen_next(gen, &item, soon(self));
    }
    return status < 0 ? status : 500 + item;
}

/* In a scope that others can reach, or into the one of somebody else. */
static int move_deadline(actor *self)
{
    world *all = self->all;
    if (all->scope != NULL) {
        skua_scope_deadline(all->scope, skua_after(SKUA_MS(1) * draw(self, 5)));
        return 0;
    }
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, soon(self));
    all->scope = &scope;
    const int slept = skua_sleep(skua_after(SKUA_MS(3)));
    all->scope = NULL;
    const int status = skua_scope_close(&scope, slept);
    CHECK(status == 0 || status == -ECANCELED || skua_scope_expired(&scope));
    return status;
}

static int cancel_some(actor *self)
{
    if (draw(self, 4) == 0) {
        skua_task_cancel(self->all->tasks[draw(self, TASKS)]);
    }
    return 0;
}

static int do_step(actor *self, uint32_t kind)
{
    switch (kind) {
    case 0:
        return send_some(self);
    case 1:
        return receive_some(self);
    case 2:
        return select_some(self);
    case 3:
        return lock_and_wait(self);
    case 4:
        return skua_sleep(soon(self));
    case 5:
        return skua_yield();
    case 6:
        return self->depth < 2 ? act_within(self) : 0;
    case 7:
        return self->depth < 2 ? act_in_a_child(self) : 0;
    case 8:
        return put_some(self);
    case 9:
        return get_some(self);
    case 10:
        return borrow_some(self);
    case 11:
        return wait_or_signal(self);
    case 12:
        return ask_generator(self);
    case 13:
        return move_deadline(self);
    case 14:
        return self->depth < 2 ? act_in_a_group(self) : 0;
    case 15:
        return self->depth < 2 ? gather_children(self) : 0;
    default:
        return cancel_some(self);
    }
}

static int act(void *arg)
{
    actor *self = arg;
    for (int i = 0; i < STEPS >> self->depth; i++) {
        const uint32_t kind = draw(self, KINDS);
        const int result = do_step(self, kind);
        note(self, (int)kind, result);
        if (result == -ECANCELED) {
            return result;
        }
    }
    return 0;
}

static int drain(skua_chan *chan)
{
    int item = 0, count = 0;
    while (skua_chan_recv(chan, SKUA_ITEM(item), SKUA_NOW) == 1) {
        count++;
    }
    return count;
}

/* What was put was got, dropped by the full queue, or is still there. */
static void check_queue(world *all)
{
    int item = 0;
    skua_queue_statistics now;
    while (skua_queue_get(all->queue, SKUA_ITEM(item), SKUA_NOW) == 1) {
        all->got++;
        skua_queue_done(all->queue);
    }
    skua_queue_stats(all->queue, &now);
    CHECK_INT(all->put, all->got + (int)now.dropped);
    CHECK_INT(now.unfinished + now.getters + now.putters, 0);
    skua_queue_destroy(all->queue);
}

/* What tasks meet at is of another kind in each program. */
static void make_world(world *all, uint64_t *random)
{
    const uint64_t kind = test_random(random) >> 32;
    const skua_queue_opts opts = {
        .item_bytes = sizeof(int),
        .capacity = kind % 3,
        .lifo = kind % 5 == 0,
        .full = kind % 7 == 0 && kind % 3 != 0 ? SKUA_FULL_DROP_OLDEST : SKUA_FULL_WAIT,
    };
    CHECK_INT(skua_queue_create(&all->queue, &opts), 0);
    for (int i = 0; i < CHANS; i++) {
        CHECK_INT(skua_chan_create(&all->chans[i], sizeof(int), (size_t)i * i), 0);
    }
    skua_sem_init_bounded(&all->sem, PERMITS);
    if (kind % 2) {
        skua_mutex_init_fair(&all->mutexes[0]);
    }
}

static int run_world(void *arg)
{
    world *all = arg;
    actor actors[TASKS];
    uint64_t random = all->program;
    make_world(all, &random);
    for (int i = 0; i < TASKS; i++) {
        actors[i] = (actor){all, i + 1, 0, test_random(&random)};
        all->tasks[i] = spawn(act, &actors[i]);
    }
    for (int i = 0; i < TASKS; i++) {
        const int status = status_of(all->tasks[i]);
        CHECK(status == 0 || status == -ECANCELED);
    }
    for (int i = 0; i < TASKS; i++) {
        skua_task_release(all->tasks[i]);
    }
    int left = 0;
    for (int i = 0; i < CHANS; i++) {
        left += drain(all->chans[i]);
        skua_chan_release(all->chans[i], SKUA_SENDER | SKUA_RECEIVER);
    }
    CHECK_INT(all->sent, all->received + left);
    CHECK_INT(skua_sem_available(&all->sem), PERMITS);
    check_queue(all);
    return 0;
}

/* How it went: the hash of all events and of all decisions. */
static uint64_t play(uint64_t program, uint64_t seed, int *events)
{
    world all = {.program = program};
    const skua_test_opts opts = {.seeded = true, .seed = seed, .allow_leaks = seed % 8 != 0};
    CHECK_INT(skua_test_run(&opts, run_world, &all), 0);
    *events = all.events;
    return all.hash ^ skua_test_trace();
}

/* covers: B20 */
static void random_programs_are_repeated_by_their_seeds(void **state)
{
    const bool is_limited = getenv("SKUA_SEEDS") == NULL;
    const uint64_t seeds = test_env("SKUA_SEEDS", 500 / TEST_SCALE);
    const skua_time end = skua_after(SKUA_SEC(15));
    uint64_t last = 0, i;
    int events = 0, again = 0, total = 0;
    for (i = 0; i < seeds && (!is_limited || i < SEEDS_MIN || skua_clock().ns < end.ns); i++) {
        const uint64_t program = test_seed() + i / 4, seed = test_seed() * 1000 + i + 1;
        const uint64_t first = play(program, seed, &events);
        const uint64_t second = play(program, seed, &again);
        if (first != second || events != again || first == last) {
            test_fail(__FILE__, __LINE__, "program %llu under seed %llu: %d events, then %d",
                      (unsigned long long)program, (unsigned long long)seed, events, again);
        }
        last = first;
        total += events;
    }
    CHECK(total > (int)i * TASKS);
    print_message("%d events under %d seeds\n", total, (int)i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(random_programs_are_repeated_by_their_seeds)};
    return TEST_RUN(tests);
}
