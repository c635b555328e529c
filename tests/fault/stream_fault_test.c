/* Memory runs out while chains of streams are built and used: the n-th allocation and all after it
   fail, for every n. Either all is well or the sink says -ENOMEM; what was begun is closed, once,
   and given back (the address sanitizer looks). */
#include "../stream_help.h"

#include "base/mem.h"

enum { BUDGET_MAX = 200 };

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

typedef int (*attempt_fn)(int64_t budget);

/* Returns how many allocations it takes. */
static int until_it_succeeds(attempt_fn attempt)
{
    for (int budget = 0; budget < BUDGET_MAX; budget++) {
        int status = attempt(budget);
        allow(-1);
        if (status == 0) {
            return budget;
        }
        CHECK_INT(status, -ENOMEM);
    }
    test_fail(__FILE__, __LINE__, "still fails after %d allocations", BUDGET_MAX);
}

static int five(skua_gen *self, void *arg)
{
    int status = 0;
    for (int64_t i = 0; i < 5 && status == 0; i++) {
        status = skua_gen_yield(self, &i);
    }
    return status;
}

/* All operators there are, with the limit of memory only while it is built: the tasks of a chain
   wait for memory for their stacks as long as that takes. */
static skua_stream *build(counting sources[3], int64_t zero)
{
    const skua_parallel how = {.fn = square, .item_bytes = sizeof(int64_t), .limit = 2};
    skua_stream *both[2] = {
        skua_stream_zip(count_to(&sources[0]), skua_stream_range(0, 9, 1), 16, 8),
        skua_stream_zip(skua_stream_scan(count_to(&sources[1]), add_up, NULL, &zero, 8),
                        skua_stream_range(0, 9, 1), 16, 8)};
    skua_stream *pairs = skua_stream_merge(both, 2);
    skua_stream *firsts = skua_stream_map(pairs, square, NULL, sizeof(int64_t));
    skua_stream *chained[2] = {skua_stream_take(firsts, 4), count_to(&sources[2])};
    skua_stream *all = skua_stream_skip(skua_stream_chain(chained, 2), 1);
    all = skua_stream_filter(skua_stream_take_while(all, is_even, NULL), is_even, NULL);
    all = skua_stream_throttle(skua_stream_buffer(all, 2), 1);
    all = skua_stream_debounce(skua_stream_conflate(all), 1);
    return skua_stream_map_parallel(all, &how);
}

static int build_once(int64_t budget)
{
    counting sources[3] = {{.count = 3}, {.count = 3}, {.count = 3}};
    allow(budget);
    skua_stream *stream = build(sources, 0);
    allow(-1);
    int64_t item;
    int status = stream == NULL ? -ENOMEM : 0;
    if (stream == NULL) {
        CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), -ENOMEM);
    } else {
        CHECK(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER) >= 0);
    }
    skua_stream_close(&stream);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(sources[i].closed, 1);
    }
    return status;
}

static int build_body(void *arg)
{
    CHECK(until_it_succeeds(build_once) >= 20);
    return 0;
}

static void a_chain_is_built_or_closed(void **state)
{
    run_on_1_2_4(build_body);
}

/* Without tasks also the use is limited: the sink and what it collects. */
static int collect_once(int64_t budget)
{
    counting source = {.count = 100};
    SKUA_VEC(vec);
    SKUA_TABLE(set);
    allow(budget);
    int status = skua_stream_collect(skua_stream_filter(count_to(&source), is_even, NULL), &vec,
                                     SKUA_FOREVER);
    CHECK(status == 0 ? vec.count == 50 : vec.count < 50);
    CHECK_INT(source.closed, 1);
    if (status == 0) {
        status = skua_stream_collect_set(skua_stream_range(0, 100, 1), &set, SKUA_FOREVER);
        allow(-1);
        CHECK(status == 0 ? set.list.count == 100 : set.list.count < 100);
        for (int64_t i = 0; i < 100; i++) {
            CHECK((skua_table_find(&set, &i) != NULL) == (i < (int64_t)set.list.count));
        }
    }
    return status;
}

static int collect_body(void *arg)
{
    CHECK(until_it_succeeds(collect_once) > 8);
    return 0;
}

static void a_collection_keeps_what_it_had_room_for(void **state)
{
    run_on_1_2_4(collect_body);
}

/* A generator that could not be started is started by the next who asks. */
static int open_once(int64_t budget)
{
    skua_gen *untouched = (skua_gen *)(uintptr_t)8, *gen = untouched;
    int64_t item = 0;
    allow(budget);
    int status = skua_gen_open(&gen, five, NULL, sizeof item);
    if (status < 0) {
        CHECK_PTR(gen, untouched);
        return status;
    }
    int asked = skua_gen_next(gen, &item, SKUA_NOW);
    allow(-1);
    CHECK(asked == -ENOMEM || asked == -EAGAIN || asked == 1);
    for (int64_t i = asked == 1; i < 5; i++) {
        CHECK_INT(skua_gen_next(gen, &item, SKUA_FOREVER), 1);
        CHECK_INT(item, i);
    }
    CHECK_INT(skua_gen_next(gen, &item, SKUA_FOREVER), 0);
    skua_gen_close(&gen);
    return asked == -ENOMEM ? asked : 0;
}

static int open_body(void *arg)
{
    CHECK(until_it_succeeds(open_once) > 1);
    return 0;
}

static void a_generator_is_opened_and_started_or_not(void **state)
{
    run_on_1_2_4(open_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chain_is_built_or_closed),
        TEST(a_collection_keeps_what_it_had_room_for),
        TEST(a_generator_is_opened_and_started_or_not),
    };
    return TEST_RUN(tests);
}
