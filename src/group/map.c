/* Map: a function over an array, in tasks of a group.

   Items are taken by runners: each takes the next item, runs it, and takes another. There is always
   one runner that is not inside an item, unless there are enough; it is called by whoever goes into
   an item as the last. So there are as many runners as items wait or run at the same time, and one
   more: a million items that never wait need one for each worker, and a million that sleep have a
   million tasks, as if each had its own.

     (R1) An item is run by the runner that has taken its index from `next`, so once.
     (R2) `free_runners` counts those that are not inside an item, also those that have not
          started. It is 0 only when there are no places for more, or no memory, or no item is
          left.
     (R3) A runner ends when no item is left, when the group is cancelled, or when its item has
          failed and another runner has been called in its place. So each failure is the end of a
          task, with its text, and what it means is the policy of the group. Without memory for
          the other one it goes on, and ends with its first failure.

   A batch is a group of its own. Rejected: a task for each item (the tasks of a million items that
   compute are made before the first has run), and `limit` runners from the start (with no limit
   that is the same). */
#include "base/panic.h"
#include "group/group.h"
#include "sched/service.h"
#include "sched/waiter.h"

struct map {
    skua_fn fn;
    char *items;
    size_t item_bytes;
    const skua_map_opts *opts;
    skua_group *group;
    size_t end;            /* of the batch */
    _Atomic size_t next;   /* the first item that nobody has taken */
    _Atomic size_t places; /* for further runners */
    _Atomic size_t free_runners;
    _Atomic int winner; /* the first success of SKUA_ANY_SUCCESS; else -1 */
};

static int run_items(void *arg);

static size_t items_left(struct map *map)
{
    size_t next = skua__load(&map->next, relaxed);
    return next < map->end ? map->end - next : 0;
}

/* Takes an index; false: none is left. */
static bool take_item(struct map *map, size_t *index)
{
    *index = skua__fetch_add(&map->next, 1, relaxed);
    return *index < map->end;
}

static bool take_place(struct map *map)
{
    size_t places = skua__load(&map->places, relaxed);
    while (places > 0) {
        if (skua__cas(&map->places, &places, places - 1, relaxed, relaxed)) {
            return true;
        }
    }
    return false;
}

static int spawn_runner(struct map *map)
{
    const skua_spawn_opts opts = {.group = map->group, .name = map->opts->name};
    skua__fetch_add(&map->free_runners, 1, relaxed);
    int status = (skua_spawn)(NULL, run_items, map, &opts);
    if (status < 0) {
        skua__fetch_sub(&map->free_runners, 1, relaxed);
    }
    return status;
}

/* Before an item. Who goes as the last calls another one (R2); if that cannot be had, the next one
   to go tries again. */
static void go_inside(struct map *map)
{
    bool is_last = skua__fetch_sub(&map->free_runners, 1, relaxed) == 1;
    if (is_last && items_left(map) > 0 && take_place(map) && spawn_runner(map) < 0) {
        skua__fetch_add(&map->places, 1, relaxed);
    }
}

static int run_item(struct map *map, size_t index)
{
    int64_t each_ns = map->opts->each_ns;
    skua_time deadline = each_ns > 0 ? skua_after(each_ns) : SKUA_FOREVER;
    int status = skua_within(deadline, map->fn, map->items + index * map->item_bytes);
    if (map->opts->statuses != NULL) {
        map->opts->statuses[index] = status;
    }
    return status;
}

/* True: nothing is left to be done. */
static bool note_success(struct map *map, int status)
{
    int none = -1;
    if (map->opts->policy != SKUA_ANY_SUCCESS) {
        return false;
    }
    if (skua__cas(&map->winner, &none, status, relaxed, relaxed)) {
        skua_group_cancel(map->group);
    }
    return true;
}

/* True: this runner's failure is its end (R3). */
static bool ends_runner(struct map *map, int status)
{
    return status < 0 &&
           (map->opts->policy == SKUA_FAIL_FAST || items_left(map) == 0 || spawn_runner(map) == 0);
}

/* A runner: returns its first failure. */
static int run_items(void *arg)
{
    struct map *map = arg;
    size_t index;
    int failure = 0;
    while (items_left(map) > 0) {
        int status = skua__cancel_point();
        if (status < 0) {
            return failure < 0 ? failure : status;
        }
        if (!take_item(map, &index)) {
            break;
        }
        go_inside(map);
        status = run_item(map, index);
        failure = failure == 0 && status < 0 ? status : failure;
        if (ends_runner(map, status) || (status >= 0 && note_success(map, status))) {
            break;
        }
        skua__fetch_add(&map->free_runners, 1, relaxed);
    }
    return failure;
}

/* Runs items up to map->end in a group of their own. */
static int run_batch(struct map *map)
{
    bool is_fail_fast = map->opts->policy == SKUA_FAIL_FAST;
    SKUA_GROUP(group);
    map->group = &group;
    skua__store(&map->free_runners, 0, relaxed);
    skua__store(&map->places, map->opts->limit > 0 ? map->opts->limit - 1 : SIZE_MAX, relaxed);
    skua_group_open(&group, is_fail_fast ? SKUA_FAIL_FAST : SKUA_COLLECT, SKUA_FOREVER);
    return skua_group_close(&group, spawn_runner(map));
}

/* Between two batches: 0, or why there is no other one. */
static int pause_between(const struct map *map, int status)
{
    if (status < 0 && map->opts->policy == SKUA_FAIL_FAST) {
        return status;
    }
    if (skua__load(&map->winner, relaxed) >= 0) {
        return 0;
    }
    return skua_sleep(skua_after(map->opts->pause_ns));
}

static int run_batches(struct map *map, size_t count)
{
    size_t batch = map->opts->batch > 0 ? map->opts->batch : count;
    int first_failure = 0;
    for (size_t begin = 0; begin < count && skua__load(&map->winner, relaxed) < 0;
         begin = map->end) {
        map->end = count - begin > batch ? begin + batch : count;
        skua__store(&map->next, begin, relaxed);
        int status = run_batch(map);
        first_failure = first_failure == 0 && status < 0 ? status : first_failure;
        status = map->end < count ? pause_between(map, status) : 0;
        if (status < 0) {
            first_failure = first_failure == 0 ? status : first_failure;
            break;
        }
    }
    int winner = skua__load(&map->winner, relaxed);
    return winner >= 0 ? winner : first_failure;
}

static bool is_valid(skua_fn fn, const skua_map_opts *opts)
{
    return fn != NULL && opts->each_ns >= 0 && opts->pause_ns >= 0 &&
           (opts->policy == SKUA_FAIL_FAST || opts->policy == SKUA_COLLECT ||
            opts->policy == SKUA_ANY_SUCCESS);
}

int skua_map(skua_fn fn, void *items, size_t item_bytes, size_t count, const skua_map_opts *opts)
{
    static const skua_map_opts defaults;
    struct map map = {.fn = fn,
                      .items = items,
                      .item_bytes = item_bytes,
                      .opts = opts != NULL ? opts : &defaults};
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_self() == NULL) {
        return -EPERM;
    }
    if (!is_valid(fn, map.opts)) {
        return -EINVAL;
    }
    skua__store(&map.winner, -1, relaxed);
    for (size_t i = 0; i < count && map.opts->statuses != NULL; i++) {
        map.opts->statuses[i] = -ECANCELED;
    }
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, map.opts->deadline);
    int status = run_batches(&map, count);
    return skua_scope_close(&scope, status);
}
