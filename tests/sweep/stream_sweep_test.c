/* Generators, streams and their sinks, disturbed wherever they wait: every generator has cleaned
   up, and every permit that let one go on was used for an item or is still there. */
#include "sweep.h"

#include <skua/collect.h>
#include <skua/stream.h>

enum { ITEMS = 3 };

/* A generator waits for a permit before each of its items. */
static skua_sem permits;
static skua_event event;
static gate released, used;
static gate entered, exited;

static void begin(void)
{
    skua_sem_init(&permits, 0);
    event = (skua_event){{0}};
    released = used = entered = exited = 0;
}

static void release_permit(void)
{
    released++;
    skua_sem_release(&permits, 1);
}

static void set_event(void)
{
    skua_event_set(&event);
}

static void all_is_well(int status)
{
    SAME(used + (int)skua_sem_available(&permits), released);
    SAME(exited, entered);
}

static void clean_up_slowly(void)
{
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    SAME(skua_event_wait(&event, SKUA_FOREVER), 0);
    SAME(skua_scope_close(&shield, 0), 0);
}

/* 1, 2, 3. */
static int give_items(skua_gen *self, void *arg)
{
    int status = 0;
    entered++;
    for (int i = 1; i <= ITEMS && status == 0; i++) {
        status = skua_sem_acquire(&permits, 1, SKUA_FOREVER);
        used += status == 0;
        status = status < 0 ? status : skua_gen_yield(self, &i);
    }
    exited++;
    return status;
}

/* --- generators ------------------------------------------------------------------------------- */

static int ask_generator(skua_time deadline)
{
    int item = 0, count = 0, status;
    SKUA_GEN(gen);
    SAME(skua_gen_open(&gen, give_items, NULL, sizeof(int)), 0);
    while ((status = skua_gen_next(gen, &item, deadline)) == 1) {
        SAME(item, ++count);
    }
    SAME(status < 0 ? ITEMS : count, ITEMS);
    return status;
}

/* One that outlives him who asks: what the victim did not get, the next one gets. */
static skua_gen *kept;
static gate asked;

static void keep_generator(void)
{
    begin();
    asked = 0;
    SAME(skua_gen_open(&kept, give_items, NULL, sizeof(int)), 0);
}

static int ask_kept(skua_time deadline)
{
    int item = 0, status;
    while ((status = skua_gen_next(kept, &item, deadline)) == 1) {
        SAME(item, ++asked);
    }
    return status;
}

static void ask_for_the_rest(int status)
{
    while (released < ITEMS) {
        release_permit();
    }
    SAME(ask_kept(SKUA_FOREVER), 0);
    SAME(asked, ITEMS);
    skua_gen_close(&kept);
    all_is_well(status);
}

static int give_once(skua_gen *self, void *arg)
{
    int item = 1;
    entered++;
    const int status = skua_gen_yield(self, &item);
    clean_up_slowly();
    exited++;
    return status;
}

/* The first item under a shield: it is the end that is swept. */
static skua_gen *open_and_ask(void)
{
    int item = 0;
    skua_gen *gen = NULL;
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    SAME(skua_gen_open(&gen, give_once, NULL, sizeof(int)), 0);
    SAME(skua_gen_next(gen, &item, SKUA_FOREVER), 1);
    SAME(skua_scope_close(&shield, 0), 0);
    return gen;
}

static int close_generator(skua_time deadline)
{
    skua_gen *gen = open_and_ask();
    const int before = exited;
    skua_gen_close(&gen);
    SAME(gen == NULL && exited > before, true);
    return 0;
}

static int finish_generator(skua_time deadline)
{
    skua_gen *gen = open_and_ask();
    return skua_gen_finish(&gen, 7) == 7 && gen == NULL ? 0 : -EIO;
}

/* --- streams ---------------------------------------------------------------------------------- */

static skua_stream *items(void)
{
    return skua_stream_generate(give_items, NULL, sizeof(int));
}

static int same(void *context, const void *item, void *out)
{
    memcpy(out, item, sizeof(int));
    return 0;
}

/* Waits, too. */
static int same_slowly(void *context, const void *item, void *out)
{
    const int status = skua_sem_acquire(&permits, 1, SKUA_FOREVER);
    used += status == 0;
    memcpy(out, item, sizeof(int));
    return status;
}

static int is_odd(void *context, const void *item)
{
    return *(const int *)item % 2;
}

/* Asks until the end, and closes. */
static int ask_all(skua_stream *stream, size_t item_bytes, skua_time deadline)
{
    char item[64];
    int status;
    do {
        status = skua_stream_next(stream, item, item_bytes, deadline);
    } while (status == 1);
    skua_stream_close(&stream);
    return status;
}

static int ask_map(skua_time deadline)
{
    return ask_all(skua_stream_map(items(), same_slowly, NULL, sizeof(int)), sizeof(int), deadline);
}

static int ask_filter(skua_time deadline)
{
    return ask_all(skua_stream_filter(items(), is_odd, NULL), sizeof(int), deadline);
}

static int ask_chain(skua_time deadline)
{
    skua_stream *const both[] = {items(), items()};
    return ask_all(skua_stream_chain(both, 2), sizeof(int), deadline);
}

static int ask_merge(skua_time deadline)
{
    skua_stream *const both[] = {items(), items()};
    return ask_all(skua_stream_merge(both, 2), sizeof(int), deadline);
}

static int ask_zip(skua_time deadline)
{
    return ask_all(skua_stream_zip(items(), items(), 2 * sizeof(int), sizeof(int)), 2 * sizeof(int),
                   deadline);
}

static int ask_buffer(skua_time deadline)
{
    return ask_all(skua_stream_buffer(items(), 2), sizeof(int), deadline);
}

static int ask_parallel(skua_time deadline)
{
    const skua_parallel how = {.fn = same_slowly, .item_bytes = sizeof(int), .limit = 2};
    return ask_all(skua_stream_map_parallel(items(), &how), sizeof(int), deadline);
}

static int ask_parallel_in_any_order(skua_time deadline)
{
    const skua_parallel how = {
        .fn = same_slowly, .item_bytes = sizeof(int), .limit = 2, .in_any_order = true};
    return ask_all(skua_stream_map_parallel(items(), &how), sizeof(int), deadline);
}

typedef struct pair {
    size_t count;
    int items[2];
} pair;

static int ask_batch(skua_time deadline)
{
    return ask_all(skua_stream_batch(items(), sizeof(pair), offsetof(pair, items), 0), sizeof(pair),
                   deadline);
}

static int ask_throttle(skua_time deadline)
{
    return ask_all(skua_stream_throttle(items(), SKUA_SEC(1)), sizeof(int), deadline);
}

static int ask_debounce(skua_time deadline)
{
    return ask_all(skua_stream_debounce(items(), SKUA_SEC(1)), sizeof(int), deadline);
}

static int ask_conflate(skua_time deadline)
{
    return ask_all(skua_stream_conflate(items()), sizeof(int), deadline);
}

static void a_second_passes(void)
{
    SAME(skua_test_advance(SKUA_SEC(1)), 0);
}

static void release_or_pass(void)
{
    release_permit();
    a_second_passes();
}

static int ask_ticker(skua_time deadline)
{
    return ask_all(skua_stream_take(skua_stream_ticker(SKUA_SEC(1)), 2), sizeof(uint64_t),
                   deadline);
}

static int close_stream(skua_time deadline)
{
    skua_stream *stream =
        skua_stream_map(skua_stream_from_gen(open_and_ask()), same, NULL, sizeof(int));
    const int before = exited;
    skua_stream_close(&stream);
    SAME(stream == NULL && exited > before, true);
    return 0;
}

/* --- sinks ------------------------------------------------------------------------------------ */

static int look(void *context, const void *item)
{
    *(int *)context += *(const int *)item;
    return 0;
}

static int each(skua_time deadline)
{
    int sum = 0;
    const int status = skua_stream_for_each(items(), look, &sum, deadline);
    SAME(status < 0 ? 6 : sum, 6);
    return status;
}

static int add(void *context, void *state, const void *item)
{
    return look(state, item);
}

static int reduce(skua_time deadline)
{
    int sum = 0;
    const int status = skua_stream_reduce(items(), add, NULL, &sum, deadline);
    SAME(status < 0 ? 6 : sum, 6);
    return status;
}

static int count(skua_time deadline)
{
    size_t number = 0;
    const int status = skua_stream_count(items(), &number, deadline);
    SAME(status < 0 ? ITEMS : number, ITEMS);
    return status;
}

static int first(skua_time deadline)
{
    int item = 0;
    const int status = skua_stream_first(items(), SKUA_ITEM(item), deadline);
    SAME(item, status == 1);
    return status;
}

static int collect(skua_time deadline)
{
    SKUA_VEC(vec);
    const int status = skua_stream_collect(items(), &vec, deadline);
    SAME(status < 0 ? ITEMS : vec.count, ITEMS);
    return status;
}

static int collect_set(skua_time deadline)
{
    SKUA_TABLE(set);
    const int status = skua_stream_collect_set(items(), &set, deadline);
    SAME(status < 0 ? ITEMS : set.list.count, ITEMS);
    return status;
}

static int collect_dict(skua_time deadline)
{
    SKUA_TABLE(dict);
    const int status = skua_stream_collect_dict(items(), &dict, sizeof(int), deadline);
    SAME(status < 0 ? ITEMS : dict.list.count, ITEMS);
    return status;
}

/* --- the table -------------------------------------------------------------------------------- */

enum { ENDS = SWEEP_NO_DEADLINE | SWEEP_AWAITS };

static const swept entries[] = {
    {"skua_gen_next", begin, ask_generator, release_permit, all_is_well, .done = 0},
    {"skua_gen_next: asked on by another", keep_generator, ask_kept, release_permit,
     ask_for_the_rest, .flags = SWEEP_ALONE},
    {"skua_gen_close", begin, close_generator, set_event, all_is_well, .flags = ENDS},
    {"skua_gen_finish", begin, finish_generator, set_event, all_is_well, .flags = ENDS},

    {"skua_stream_next: map", begin, ask_map, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: filter", begin, ask_filter, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: chain", begin, ask_chain, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: merge", begin, ask_merge, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: zip", begin, ask_zip, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: buffer", begin, ask_buffer, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: parallel", begin, ask_parallel, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: parallel in any order", begin, ask_parallel_in_any_order, release_permit,
     all_is_well, .done = 0},
    {"skua_stream_next: batch", begin, ask_batch, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: throttle", begin, ask_throttle, release_or_pass, all_is_well, .done = 0},
    {"skua_stream_next: debounce", begin, ask_debounce, release_or_pass, all_is_well, .done = 0},
    {"skua_stream_next: conflate", begin, ask_conflate, release_permit, all_is_well, .done = 0},
    {"skua_stream_next: ticker", begin, ask_ticker, a_second_passes, all_is_well, .done = 0},
    {"skua_stream_close", begin, close_stream, set_event, all_is_well, .flags = ENDS},

    {"skua_stream_for_each", begin, each, release_permit, all_is_well, .done = 0},
    {"skua_stream_reduce", begin, reduce, release_permit, all_is_well, .done = 0},
    {"skua_stream_count", begin, count, release_permit, all_is_well, .done = 0},
    {"skua_stream_first", begin, first, release_permit, all_is_well, .done = 1},
    {"skua_stream_collect", begin, collect, release_permit, all_is_well, .done = 0},
    {"skua_stream_collect_set", begin, collect_set, release_permit, all_is_well, .done = 0},
    {"skua_stream_collect_dict", begin, collect_dict, release_permit, all_is_well, .done = 0},
};

/* covers: B12 */
static void streams_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(streams_are_swept)};
    return TEST_RUN(tests);
}
