/* Tasks, groups, waits for many, calls around calls, and parallel calls, disturbed wherever they
   wait: nobody is left alive, what was entered was left, and permits are back. */
#include "sweep.h"

#include <skua/blocking.h>
#include <skua/fork.h>
#include <skua/gather.h>
#include <skua/group.h>
#include <skua/par.h>
#include <skua/retry.h>

enum { PARTS = 3 };

/* What all wait for here: an event, or a permit for each part of the work. */
static skua_event event;
static skua_sem permits;
static gate released, used;
static gate entered, exited;
static skua_task *tasks[PARTS];
static skua_event ends[PARTS];
static gate ended, gone; /* tasks that may end, and that have */

static void begin(void)
{
    event = (skua_event){{0}};
    skua_sem_init(&permits, 0);
    memset(ends, 0, sizeof ends);
    released = used = entered = exited = ended = gone = 0;
}

static void set_event(void)
{
    skua_event_set(&event);
}

static void release_permit(void)
{
    released++;
    skua_sem_release(&permits, 1);
}

static void nothing_is_left(int status) {}

/* A permit is used by whoever got it, or it is still there. */
static void permits_add_up(int status)
{
    SAME(used + (int)skua_sem_available(&permits), released);
}

static int wait_for_event(void *arg)
{
    return skua_event_wait(&event, SKUA_FOREVER);
}

static int use_permit(void *arg)
{
    const int status = skua_sem_acquire(&permits, 1, SKUA_FOREVER);
    used += status == 0;
    return status;
}

/* Cannot be hurried. */
static int wait_shielded(void *arg)
{
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    const int status = skua_event_wait(&event, SKUA_FOREVER);
    SAME(status, 0);
    exited++;
    return skua_scope_close(&shield, status);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static int wait_for_end(void *arg)
{
    const int *number = arg;
    const int status = skua_event_wait(&ends[*number], SKUA_FOREVER);
    gone++;
    return status < 0 ? status : *number;
}

static void start_tasks(void)
{
    static int numbers[PARTS];
    begin();
    for (int i = 0; i < PARTS; i++) {
        numbers[i] = i;
        tasks[i] = spawn(wait_for_end, &numbers[i]);
    }
}

static void end_one(void)
{
    if (ended < PARTS) {
        skua_event_set(&ends[ended++]);
    }
}

static void finish_tasks(int status)
{
    while (ended < PARTS) {
        end_one();
    }
    for (int i = 0; i < PARTS; i++) {
        SAME(finish(tasks[i]), i);
    }
}

static int join_last(skua_time deadline)
{
    int status = 0;
    const int joined = skua_join(tasks[PARTS - 1], &status, deadline);
    return joined < 0 ? joined : status;
}

static int sleep_3_s(skua_time deadline)
{
    return skua_sleep(skua_after(SKUA_SEC(3)));
}

static void a_second_passes(void)
{
    SAME(skua_test_advance(SKUA_SEC(1)), 0);
}

static int yield(skua_time deadline)
{
    return skua_yield();
}

static int check_in(skua_time deadline)
{
    return skua_checkpoint();
}

static int block_in_place(skua_time deadline)
{
    skua_block_begin();
    return skua_block_end();
}

static int gather_all(skua_time deadline)
{
    int statuses[PARTS] = {9, 9, 9};
    const int status = skua_gather(tasks, PARTS, statuses, deadline);
    for (int i = 0; i < PARTS; i++) {
        const int want = i < gone ? i : -EINPROGRESS;
        SAME(statuses[i], status == -ECANCELED && statuses[i] == 9 ? 9 : want);
    }
    return status;
}

static int wait_for_all(skua_time deadline)
{
    bool done[PARTS] = {false, false, false};
    const ssize_t count = skua_wait(tasks, PARTS, SKUA_ALL, done, deadline);
    SAME(count < 0 || count == gone, true);
    return (int)count;
}

static skua_as_completed *completed;
static gate given;

static void watch_tasks(void)
{
    start_tasks();
    given = 0;
    SAME(skua_as_completed_create(&completed, tasks, PARTS), 0);
}

static int take_all(skua_time deadline)
{
    skua_task *task;
    int status;
    while ((status = skua_as_completed_next(completed, &task, NULL, deadline)) == 1) {
        SAME(task == tasks[given], true);
        given++;
    }
    return status;
}

/* What the victim did not take is given now, each once. */
static void take_the_rest(int status)
{
    while (ended < PARTS) {
        end_one();
        sweep_settle(); /* they end in this order */
    }
    SAME(take_all(SKUA_FOREVER), 0);
    SAME(given, PARTS);
    skua_as_completed_destroy(completed);
    finish_tasks(status);
}

static int call_runtime(skua_time deadline)
{
    return skua_call(skua_runtime_current(), wait_for_event, NULL, deadline);
}

/* --- groups ----------------------------------------------------------------------------------- */

static int get_ready(void *arg)
{
    const int status = wait_for_event(NULL);
    entered++;
    if (status == 0) {
        skua_started(&entered);
    }
    return status;
}

static int start_member(skua_time deadline)
{
    void *value = NULL;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_SUPERVISE, SKUA_FOREVER);
    const int status = skua_group_start(&group, get_ready, NULL, &value, deadline);
    SAME(value == &entered, status == 0);
    const int closed = skua_group_close(&group, 0);
    SAME(closed, skua_cancelled() && closed < 0 ? -ECANCELED : 0);
    SAME(skua_group_count(&group), 0);
    return status;
}

static int next_members(skua_time deadline)
{
    int status = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_JOIN_SET, SKUA_FOREVER);
    for (int i = 0; i < PARTS && status == 0; i++) {
        status = skua_group_spawn(&group, use_permit, NULL);
    }
    skua_task *task;
    while (status >= 0 && (status = skua_group_next(&group, &task, deadline)) == 1) {
        skua_task_release(task);
    }
    skua_group_cancel(&group);
    (void)!skua_group_close(&group, 0);
    return status;
}

static int wait_for_room(skua_time deadline)
{
    int status = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    for (int i = 0; i < PARTS && status == 0; i++) {
        status = skua_group_spawn(&group, use_permit, NULL);
    }
    status = status < 0 ? status : skua_group_room(&group, 1, deadline);
    skua_group_cancel(&group);
    (void)!skua_group_close(&group, 0);
    return status;
}

static int close_group(skua_time deadline)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, deadline);
    for (int i = 0; i < PARTS; i++) {
        if (skua_group_spawn(&group, use_permit, NULL) < 0) {
            break;
        }
    }
    const int status = skua_group_close(&group, 0);
    SAME(skua_group_count(&group), 0);
    return status;
}

static int give_up_group(skua_time deadline)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_SUPERVISE, SKUA_FOREVER);
    entered += skua_group_spawn(&group, wait_shielded, NULL) == 0;
    skua_group_fini(&group);
    return skua_group_count(&group) == 0 ? 0 : -EIO;
}

static void all_have_left(int status)
{
    SAME(exited, entered);
}

/* A group that victim and rival share: each end of a member is one's or the other's. */
static skua_group shared;
static gate taken;

static void share_group(void)
{
    begin();
    taken = 0;
    shared = (skua_group){{0}};
    skua_group_open(&shared, SKUA_JOIN_SET, SKUA_FOREVER);
    for (int i = 0; i < PARTS; i++) {
        SAME(skua_group_spawn(&shared, use_permit, NULL), 0);
    }
}

static int take_next(skua_time deadline)
{
    skua_task *task = NULL;
    const int status = skua_group_next(&shared, &task, deadline);
    SAME(task != NULL, status == 1);
    taken += status == 1;
    skua_task_release(task);
    return status;
}

static int wait_for_one_end(skua_time deadline)
{
    return skua_group_room(&shared, PARTS, deadline);
}

static void take_what_is_left(int status)
{
    while (skua_group_count(&shared) > 0) {
        release_permit();
        sweep_settle();
    }
    while (take_next(SKUA_FOREVER) == 1) {}
    SAME(taken, PARTS);
    SAME(skua_group_close(&shared, 0), 0);
    permits_add_up(status);
}

static int map_parts(skua_time deadline)
{
    int items[PARTS] = {0}, statuses[PARTS];
    const skua_map_opts opts = {.deadline = deadline, .statuses = statuses, .limit = 2};
    const int status = skua_map(use_permit, items, sizeof items[0], PARTS, &opts);
    for (int i = 0; i < PARTS; i++) {
        SAME(statuses[i] == 0 || statuses[i] == -ECANCELED, true);
        SAME(status < 0 || statuses[i] == 0, true);
    }
    return status;
}

/* --- calls around calls ----------------------------------------------------------------------- */

static int run_within(skua_time deadline)
{
    return skua_within(deadline, wait_for_event, NULL);
}

static int move_on(skua_time deadline)
{
    return skua_move_on(deadline, wait_for_event, NULL);
}

static int run_shielded(skua_time deadline)
{
    return skua_shielded(SKUA_FOREVER, wait_for_event, NULL);
}

static int enter(void *self)
{
    const int status = use_permit(NULL);
    entered += status == 0;
    return status;
}

static int leave(void *self, int status)
{
    exited++;
    return status;
}

static int use_resource(skua_time deadline)
{
    static const skua_resource resource = {enter, leave};
    return skua_with(&resource, NULL, use_permit, NULL);
}

static void left_and_added_up(int status)
{
    all_have_left(status);
    permits_add_up(status);
}

static void clean_up(void *arg)
{
    SAME(wait_for_event(NULL), 0);
    exited++;
}

static int close_scope(skua_time deadline)
{
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    entered++;
    SAME(skua_defer(clean_up, NULL), 0);
    return skua_scope_close(&scope, 0);
}

typedef struct tries {
    int count;
} tries;

static int fail_twice(void *arg)
{
    tries *self = arg;
    return self->count++ < 2 ? -EIO : 0;
}

static int retry(skua_time deadline)
{
    tries mine = {0};
    const skua_retry_opts opts = {.base_ns = SKUA_SEC(1), .deadline = deadline};
    const int status = skua_retry(fail_twice, &mine, &opts);
    SAME(mine.count <= 3, true);
    return status;
}

static int retry_waiting(skua_time deadline)
{
    return skua_retry(use_permit, NULL, &(skua_retry_opts){.deadline = deadline, .attempts = 1});
}

static skua_flight flight;
static skua_task *runner;

static int fly_for_7(void *arg)
{
    const int status = wait_for_event(NULL);
    return status < 0 ? status : 7;
}

static int fly(skua_time deadline)
{
    static const char key[] = "key";
    return skua_flight_run(
        &flight,
        &(skua_flight_call){.key = key, .key_bytes = sizeof key, .fn = fly_for_7, .arg = NULL},
        deadline);
}

static int fly_first(void *arg)
{
    return fly(SKUA_FOREVER);
}

static void start_flight(void)
{
    begin();
    flight = (skua_flight){{0}};
    runner = spawn(fly_first, NULL);
}

static void land(int status)
{
    set_event();
    SAME(finish(runner), 7);
}

static void begin_flight(void)
{
    begin();
    flight = (skua_flight){{0}};
}

static skua_cache *cache;

static int fill(const void *key, size_t key_bytes, void *value, void *arg)
{
    const int status = use_permit(NULL);
    if (status == 0) {
        *(int *)value = *(const int *)key * 10;
        entered++; /* kept */
    }
    return status;
}

static int ask_cache(skua_time deadline)
{
    const int key = 4;
    int value = 0;
    const int status = skua_cache_get(cache, &key, sizeof key, &value, sizeof value, deadline);
    SAME(value, status == 0 ? 40 : 0);
    return status;
}

static void make_cache(void)
{
    begin();
    const skua_cache_opts opts = {.fill = fill, .value_bytes = sizeof(int)};
    SAME(skua_cache_create(&cache, &opts), 0);
}

static void drop_cache(int status)
{
    skua_cache_counts counts;
    skua_cache_count(cache, &counts);
    SAME(counts.kept, entered);
    SAME(entered <= 1, true);
    permits_add_up(status);
    skua_cache_destroy(cache); /* panics if a call is inside */
}

/* --- parallel calls --------------------------------------------------------------------------- */

static int run_both(skua_time deadline)
{
    return skua_both(use_permit, NULL, use_permit, NULL);
}

static int fork_and_sync(skua_time deadline)
{
    SKUA_CHILD(child);
    skua_fork(&child, use_permit, NULL);
    const int mine = use_permit(NULL);
    const int status = skua_sync(&child);
    return mine < 0 ? mine : status;
}

static int use_permits(void *context, size_t begin, size_t end)
{
    int status = 0;
    for (size_t i = begin; i < end && status == 0; i++) {
        status = use_permit(NULL);
    }
    return status;
}

static int loop(skua_time deadline)
{
    return skua_for(0, PARTS, 1, use_permits, NULL);
}

static int invoke(skua_time deadline)
{
    skua_part parts[PARTS] = {{use_permit, NULL, 0}, {use_permit, NULL, 0}, {use_permit, NULL, 0}};
    return skua_invoke(parts, PARTS);
}

static int fold(void *context, size_t begin, size_t end, void *value)
{
    *(int *)value += (int)(end - begin);
    return use_permits(NULL, begin, end);
}

static int add(void *context, void *into, const void *from)
{
    *(int *)into += *(const int *)from;
    return 0;
}

static int reduce(skua_time deadline)
{
    int sum = 0;
    const skua_reduce_opts opts = {.value_bytes = sizeof sum, .grain = 1, .combine = add};
    const int status = skua_reduce(PARTS, fold, NULL, &sum, &opts);
    SAME(status < 0 ? PARTS : sum, PARTS);
    return status;
}

static int add_with_permit(void *context, void *into, const void *from)
{
    *(int *)into += *(const int *)from;
    return use_permit(NULL);
}

static int scan(skua_time deadline)
{
    int items[PARTS] = {1, 1, 1};
    const skua_scan_opts opts = {.item_bytes = sizeof items[0], .combine = add_with_permit};
    const int status = skua_scan(items, PARTS, NULL, &opts);
    SAME(status < 0 ? PARTS : items[PARTS - 1], PARTS);
    return status;
}

static int sync_set(skua_time deadline)
{
    SKUA_FORK_SET(set);
    for (int i = 0; i < PARTS; i++) {
        skua_fork_set_add(&set, use_permit, NULL);
    }
    return skua_fork_set_sync(&set);
}

/* --- calls that block a thread ---------------------------------------------------------------- */

static int block(skua_time deadline)
{
    return skua_blocking(wait_for_event, NULL, deadline);
}

static void until_back(void)
{
    while (!sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

/* --- the table -------------------------------------------------------------------------------- */

enum { PLAIN = SWEEP_NO_DEADLINE };

static const swept entries[] = {
    {"skua_join", start_tasks, join_last, end_one, finish_tasks, .done = PARTS - 1},
    {"skua_sleep", begin, sleep_3_s, a_second_passes, nothing_is_left, .flags = PLAIN},
    {"skua_yield", begin, yield, NULL, nothing_is_left, .flags = PLAIN},
    {"skua_checkpoint", begin, check_in, NULL, nothing_is_left, .flags = PLAIN},
    {"skua_block_end", begin, block_in_place, NULL, nothing_is_left, .flags = PLAIN},
    {"skua_gather", start_tasks, gather_all, end_one, finish_tasks, .done = 0},
    {"skua_wait", start_tasks, wait_for_all, end_one, finish_tasks, .done = PARTS,
     .late = SWEEP_FINE, .now = SWEEP_FINE},
    {"skua_as_completed_next", watch_tasks, take_all, end_one, take_the_rest, .done = 0,
     .flags = SWEEP_ALONE},
    {"skua_call", begin, call_runtime, set_event, nothing_is_left, .flags = SWEEP_BEGINS},

    {"skua_group_start", begin, start_member, set_event, nothing_is_left, .done = 0},
    {"skua_group_next", begin, next_members, release_permit, permits_add_up, .done = 0},
    {"skua_group_room", begin, wait_for_room, release_permit, permits_add_up, .done = 0},
    {"skua_group_next: of a shared group", share_group, take_next, release_permit,
     take_what_is_left, .done = 1},
    {"skua_group_room: of a shared group", share_group, wait_for_one_end, release_permit,
     take_what_is_left, .done = 0},
    {"skua_group_close", begin, close_group, release_permit, permits_add_up, .done = 0,
     .flags = SWEEP_NO_NOW},
    {"skua_group_fini", begin, give_up_group, set_event, all_have_left,
     .flags = PLAIN | SWEEP_AWAITS},
    {"skua_map", begin, map_parts, release_permit, permits_add_up, .done = 0,
     .flags = SWEEP_NO_NOW},

    {"skua_within", begin, run_within, set_event, nothing_is_left, .done = 0,
     .flags = SWEEP_NO_NOW},
    {"skua_move_on", begin, move_on, set_event, nothing_is_left, .done = 0, .late = SWEEP_FINE,
     .flags = SWEEP_NO_NOW},
    {"skua_shielded", begin, run_shielded, set_event, nothing_is_left,
     .flags = PLAIN | SWEEP_AWAITS},
    {"skua_with", begin, use_resource, release_permit, left_and_added_up, .flags = PLAIN},
    {"skua_scope_close: what was deferred", begin, close_scope, set_event, all_have_left,
     .flags = PLAIN | SWEEP_AWAITS},
    {"skua_retry: pauses", begin, retry, a_second_passes, nothing_is_left, .done = 0, .late = -EIO,
     .flags = SWEEP_NO_NOW},
    {"skua_retry: an attempt", begin, retry_waiting, release_permit, permits_add_up, .done = 0,
     .flags = SWEEP_NO_NOW},
    {"skua_flight_run: another one does it", start_flight, fly, set_event, land, .done = 7},
    {"skua_flight_run: it does it itself", begin_flight, fly, set_event, nothing_is_left,
     .done = 7},
    {"skua_cache_get", make_cache, ask_cache, release_permit, drop_cache, .done = 0},

    {"skua_both", begin, run_both, release_permit, permits_add_up, .flags = PLAIN},
    {"skua_sync", begin, fork_and_sync, release_permit, permits_add_up, .flags = PLAIN},
    {"skua_for", begin, loop, release_permit, permits_add_up, .flags = PLAIN},
    {"skua_invoke", begin, invoke, release_permit, permits_add_up, .flags = PLAIN},
    {"skua_reduce", begin, reduce, release_permit, permits_add_up, .flags = PLAIN},
    {"skua_scan", begin, scan, release_permit, permits_add_up, .flags = PLAIN},
    {"skua_fork_set_sync", begin, sync_set, release_permit, permits_add_up, .flags = PLAIN},

    {"skua_blocking: once it has started", begin, block, set_event, nothing_is_left,
     .await = until_back, .flags = PLAIN | SWEEP_AWAITS | SWEEP_ALONE | SWEEP_REAL},
};

/* covers: B12 */
static void tasks_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(tasks_are_swept)};
    return TEST_RUN(tests);
}
