/* What a task may rely on wherever it runs: its stack, its turn, its cancels, its values. */
#include "virtual_runs.h"

#include <limits.h>
#include <sys/syscall.h>

/* --- deep calls ------------------------------------------------------------------------------- */

enum { DEPTH = 20, LOCALS = 8 };

/* Asked of the kernel, since a compiler may keep what it believes to be the thread's for good. */
static long thread_here(void)
{
    return syscall(SYS_gettid);
}

/* The end of a pinned task takes who joins it along to its worker. */
static int go_elsewhere(void)
{
    const uint32_t workers = skua_worker_count(skua_runtime_current());
    const long here = thread_here();
    CHECK_INT(skua_sleep(skua_after(SKUA_US(10))), 0);
    for (uint32_t i = 0; i == 0 || (workers > 1 && thread_here() == here); i++) {
        const skua_spawn_opts opts = {.pin = 1 + i % workers};
        CHECK_INT(finish(spawn_with(return_zero, NULL, &opts)), 0);
    }
    return 0;
}

static __attribute__((noinline)) int descend(int depth)
{
    volatile int whole[LOCALS];
    volatile double parts[LOCALS];
    for (int i = 0; i < LOCALS; i++) {
        whole[i] = 1000 * depth + i;
        parts[i] = depth + i / 16.0;
    }
    const int below = depth == 0 ? go_elsewhere() : descend(depth - 1);
    for (int i = 0; i < LOCALS; i++) {
        CHECK_INT(whole[i], 1000 * depth + i);
        CHECK(parts[i] == depth + i / 16.0);
    }
    return below + depth;
}

static int descend_task(void *arg)
{
    return descend(DEPTH - 1);
}

static int deep_body(void *arg)
{
    skua_task *tasks[8];
    for (int i = 0; i < 8; i++) {
        tasks[i] = spawn(descend_task, NULL);
    }
    for (int i = 0; i < 8; i++) {
        CHECK_INT(finish(tasks[i]), DEPTH * (DEPTH - 1) / 2);
    }
    return 0;
}

/* covers: A7 */
static void twenty_frames_wait_and_go_on_on_another_worker(void **state)
{
    run_on_1_2_4(deep_body);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Things with which nobody has to wait. */
typedef struct things {
    skua_chan *chan;
    skua_queue *queue;
    skua_mutex mutex;
    skua_rwlock rwlock;
    skua_sem sem;
    skua_event event;
    skua_task *ended;
    int pipe[2];
} things;

static int send_one(things *all)
{
    int item = 1;
    const int status = skua_chan_send(all->chan, SKUA_ITEM(item), SKUA_FOREVER);
    return status < 0 ? status : skua_chan_recv(all->chan, SKUA_ITEM(item), SKUA_FOREVER);
}

static int select_one(things *all)
{
    skua_case cases[] = {SKUA_ENDED(all->ended), SKUA_IS_SET(&all->event)};
    return skua_select(cases, 2, 0, SKUA_FOREVER);
}

static int put_one(things *all)
{
    int item = 1;
    const int status = skua_queue_put(all->queue, SKUA_ITEM(item), SKUA_FOREVER);
    return status < 0 ? status : skua_queue_get(all->queue, SKUA_ITEM(item), SKUA_FOREVER);
}

static int lock_once(things *all)
{
    const int status = skua_mutex_lock(&all->mutex, SKUA_FOREVER);
    if (status == 0) {
        skua_mutex_unlock(&all->mutex);
    }
    return status;
}

static int read_lock_once(things *all)
{
    const int status = skua_rwlock_read(&all->rwlock, SKUA_FOREVER);
    if (status == 0) {
        skua_rwlock_read_unlock(&all->rwlock);
    }
    return status;
}

static int write_lock_once(things *all)
{
    const int status = skua_rwlock_write(&all->rwlock, SKUA_FOREVER);
    if (status == 0) {
        skua_rwlock_write_unlock(&all->rwlock);
    }
    return status;
}

static int acquire_once(things *all)
{
    const int status = skua_sem_acquire(&all->sem, 1, SKUA_FOREVER);
    if (status == 0) {
        skua_sem_release(&all->sem, 1);
    }
    return status;
}

static int wait_for_event(things *all)
{
    return skua_event_wait(&all->event, SKUA_FOREVER);
}

static int join_ended(things *all)
{
    return skua_join(all->ended, NULL, SKUA_FOREVER);
}

static int gather_ended(things *all)
{
    return skua_gather(&all->ended, 1, NULL, SKUA_FOREVER);
}

static int wait_for_ended(things *all)
{
    bool done = false;
    return (int)skua_wait(&all->ended, 1, SKUA_ALL, &done, SKUA_FOREVER);
}

static int write_and_read(things *all)
{
    char byte = 'a';
    const ssize_t status = skua_write(all->pipe[1], &byte, 1, SKUA_FOREVER);
    return (int)(status < 0 ? status : skua_read(all->pipe[0], &byte, 1, SKUA_FOREVER));
}

static int sleep_until_just_now(things *all)
{
    return skua_sleep(skua_after(0));
}

static int check_in(things *all)
{
    return skua_checkpoint();
}

static const struct operation {
    const char *name;
    int (*run)(things *all);
} operations[] = {
    {"channel", send_one},
    {"select", select_one},
    {"queue", put_one},
    {"mutex", lock_once},
    {"reader", read_lock_once},
    {"writer", write_lock_once},
    {"semaphore", acquire_once},
    {"event", wait_for_event},
    {"join", join_ended},
    {"gather", gather_ended},
    {"wait", wait_for_ended},
    {"pipe", write_and_read},
    {"sleep", sleep_until_just_now},
    {"checkpoint", check_in},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static void open_things(things *all)
{
    const skua_queue_opts opts = {.item_bytes = sizeof(int), .capacity = 2};
    *all = (things){.ended = spawn(return_zero, NULL)};
    CHECK_INT(status_of(all->ended), 0);
    CHECK_INT(skua_chan_create(&all->chan, sizeof(int), 2), 0);
    CHECK_INT(skua_queue_create(&all->queue, &opts), 0);
    skua_sem_init(&all->sem, 1);
    skua_event_set(&all->event);
    CHECK_INT(pipe2(all->pipe, O_CLOEXEC), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_fd_adopt(all->pipe[i]), 0);
    }
}

/* With what is in them: nothing. */
static void close_things(things *all)
{
    char byte;
    CHECK_INT(skua_chan_count(all->chan), 0);
    CHECK_INT(skua_queue_get(all->queue, &(int){0}, sizeof(int), SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_sem_available(&all->sem), 1);
    CHECK_INT(skua_read(all->pipe[0], &byte, 1, SKUA_NOW), -EAGAIN);
    skua_chan_release(all->chan, SKUA_SENDER | SKUA_RECEIVER);
    skua_queue_destroy(all->queue);
    skua_close(all->pipe[0]);
    skua_close(all->pipe[1]);
    skua_task_release(all->ended);
}

static int checkpoints_body(void *arg)
{
    things all;
    open_things(&all);
    for (int i = 0; i < OPERATIONS; i++) {
        CHECK(operations[i].run(&all) >= 0);
        SKUA_SCOPE(scope);
        skua_scope_open(&scope, SKUA_FOREVER);
        skua_scope_cancel(&scope);
        for (int k = 0; k < 2; k++) { /* the first time, and from then on */
            if (operations[i].run(&all) != -ECANCELED) {
                test_fail(__FILE__, __LINE__, "%s is no checkpoint", operations[i].name);
            }
        }
        CHECK_INT(skua_scope_close(&scope, -ECANCELED), 0);
        CHECK(operations[i].run(&all) >= 0);
    }
    close_things(&all);
    return 0;
}

/* covers: B12 */
static void what_need_not_wait_is_cancelled_all_the_same(void **state)
{
    run_on_1_2_4(checkpoints_body);
}

enum { BUDGET = 128 }; /* as skua_checkpoint() documents it */

typedef struct turns {
    gate over, now;
    int last, longest;
} turns;

static int note_turns(void *arg)
{
    turns *self = arg;
    while (atomic_load(&self->over) == 0) {
        CHECK_INT(skua_yield(), 0);
        const int now = atomic_load(&self->now);
        self->longest = now - self->last > self->longest ? now - self->last : self->longest;
        self->last = now;
    }
    return 0;
}

/* The most operations between two turns of another task. */
static int operate(const struct operation *operation, things *all)
{
    turns self = {0};
    skua_task *other = spawn(note_turns, &self);
    CHECK_INT(skua_yield(), 0);
    for (int i = 0; i < 10 * BUDGET; i++) {
        CHECK(operation->run(all) >= 0);
        atomic_store(&self.now, i + 1);
    }
    atomic_store(&self.over, 1);
    CHECK_INT(finish(other), 0);
    return self.longest;
}

/* If the one worker is kept from running for some milliseconds, the other task goes on on a thread
   that stands in for it, and no turns can be told: then once more. */
static int budget_body(void *arg)
{
    things all;
    open_things(&all);
    for (int i = 0; i < OPERATIONS; i++) {
        int longest = INT_MAX;
        for (int attempt = 0; attempt < 50 && longest > BUDGET; attempt++) {
            longest = operate(&operations[i], &all);
        }
        if (longest > BUDGET) {
            test_fail(__FILE__, __LINE__, "%s: %d in a row", operations[i].name, longest);
        }
    }
    close_things(&all);
    return 0;
}

/* covers: B12 B31 */
static void what_need_not_wait_gives_others_their_turn(void **state)
{
    run_on(1, budget_body);
}

/* --- eager children --------------------------------------------------------------------------- */

static int note_order(void *arg)
{
    gate *order = arg;
    return atomic_fetch_add(order, 1);
}

/* Whether all children ran before the task that was ready already, and it after all of them. */
static bool children_run_first(void)
{
    enum { CHILDREN = 1000 };
    skua_counts before, after;
    gate order = 0;
    bool in_order = true;
    skua_task *queued = spawn(note_order, &order);
    skua_runtime_counts(skua_runtime_current(), &before);
    for (int i = 0; i < CHILDREN; i++) {
        skua_child child;
        skua_fork(&child, note_order, &order);
        in_order &= skua_sync(&child) == i;
    }
    skua_runtime_counts(skua_runtime_current(), &after);
    CHECK_INT(after.tasks_started, before.tasks_started);
    return finish(queued) == CHILDREN && in_order;
}

/* Once more if a thread has stood in for the worker, as above. */
static int eager_body(void *arg)
{
    bool in_order = false;
    for (int attempt = 0; attempt < 50 && !in_order; attempt++) {
        in_order = children_run_first();
    }
    CHECK(in_order);
    return 0;
}

/* Eagerness of ours is a fork: it starts at once, without a task and a queue; see fork.h. */
/* covers: B1 */
static void a_forked_child_that_nobody_takes_costs_no_trip_through_the_queue(void **state)
{
    run_on(1, eager_body);
}

static int wait_for_gate(void *arg)
{
    return skua_event_wait(arg, SKUA_FOREVER);
}

static int set_gate(void *arg)
{
    skua_event_set(arg);
    return 0;
}

static int eager_wait_body(void *arg)
{
    for (int i = 0; i < 100; i++) {
        skua_event event = {{0}};
        skua_child waiting, setting;
        skua_fork(&waiting, wait_for_gate, &event);
        skua_fork(&setting, set_gate, &event);
        CHECK_INT(skua_sync(&setting), 0);
        CHECK_INT(skua_sync(&waiting), 0);
        skua_event late = {{0}};
        CHECK_INT(skua_both(wait_for_gate, &late, set_gate, &late), 0);
    }
    return 0;
}

/* covers: B1 */
static void an_eager_child_may_wait_nevertheless(void **state)
{
    run_on_1_2_4(eager_wait_body);
}

/* --- scoped values ---------------------------------------------------------------------------- */

static const skua_local user_key = {"user"};

typedef struct binding {
    void *value, *outer;
} binding;

static int set_user(void *arg)
{
    binding *self = arg;
    self->outer = skua_local_get(&user_key);
    return skua_local_set(&user_key, self->value);
}

static int reset_user(void *arg, int status)
{
    const binding *self = arg;
    CHECK_INT(skua_local_set(&user_key, self->outer), 0);
    return status;
}

static const skua_resource bound = {.enter = set_user, .exit = reset_user};

static int expect_user(void *arg)
{
    CHECK_PTR(skua_local_get(&user_key), arg);
    CHECK_INT(skua_yield(), 0);
    CHECK_PTR(skua_local_get(&user_key), arg);
    return 0;
}

static int work_for_user(void *arg)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(skua_group_spawn(&group, expect_user, arg), 0);
    }
    CHECK_INT(expect_user(arg), 0);
    return skua_group_close(&group, 0);
}

static int nest_users(void *arg)
{
    binding inner = {.value = &inner};
    CHECK_INT(skua_with(&bound, &inner, work_for_user, &inner), 0);
    CHECK_INT(work_for_user(arg), 0);
    return -EIO; /* it holds for the call, however that ends */
}

static int scoped_body(void *arg)
{
    binding outer = {.value = &outer};
    CHECK_INT(skua_with(&bound, &outer, nest_users, &outer), -EIO);
    CHECK_PTR(skua_local_get(&user_key), NULL);
    CHECK_INT(work_for_user(NULL), 0);
    return 0;
}

/* covers: A46 B47 */
static void a_value_holds_for_a_call_and_the_tasks_in_it(void **state)
{
    run_on_1_2_4(scoped_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(twenty_frames_wait_and_go_on_on_another_worker),
        TEST(what_need_not_wait_is_cancelled_all_the_same),
        TEST(what_need_not_wait_gives_others_their_turn),
        TEST(a_forked_child_that_nobody_takes_costs_no_trip_through_the_queue),
        TEST(an_eager_child_may_wait_nevertheless),
        TEST(a_value_holds_for_a_call_and_the_tasks_in_it),
    };
    return TEST_RUN(tests);
}
