/* Streams under load: chains that are put together at random, asked by tasks that are late or
   cancelled at any moment, closed in the middle. What comes is in order and without a gap, and each
   source and generator is cleaned up exactly once. The rounds go on for SKUA_STRESS_SECONDS. */
#include "../stream_help.h"

enum { CHAINS = 8, LAYERS_MAX = 5, ITEMS_MAX = 60 };

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 5)) {
    case 0:
        return SKUA_NOW;
    case 1:
        return skua_after(0);
    case 2:
        return skua_after((int64_t)below(random, 100000));
    default:
        return SKUA_FOREVER;
    }
}

/* --- chains that give 0, 1, 2... -------------------------------------------------------------- */

typedef struct chain {
    uint64_t random;
    skua_stream *stream;
    int64_t count, got;
    counting source;
    gate opened, ended; /* generators that ran */
} chain;

static int give_all(skua_gen *self, void *arg)
{
    chain *it = arg;
    int status = 0;
    atomic_fetch_add(&it->opened, 1);
    for (int64_t i = 0; i < it->count && status == 0; i++) {
        if (i % 7 == 3) {
            (void)skua_yield();
        }
        status = skua_gen_yield(self, &i);
    }
    atomic_fetch_add(&it->ended, 1);
    return status;
}

static int same(void *context, const void *item, void *out)
{
    *(int64_t *)out = *(const int64_t *)item;
    return *(int64_t *)out % 5 == 2 ? skua_sleep(skua_after(SKUA_US(5))) : 0;
}

static int keep(void *context, const void *item)
{
    return 1;
}

static skua_stream *add_layer(chain *it, skua_stream *stream)
{
    const skua_parallel how = {
        .fn = same, .item_bytes = sizeof(int64_t), .limit = 1 + below(&it->random, 4)};
    switch (below(&it->random, 6)) {
    case 0:
        return skua_stream_map(stream, same, NULL, sizeof(int64_t));
    case 1:
        return skua_stream_filter(stream, keep, NULL);
    case 2:
        return skua_stream_buffer(stream, below(&it->random, 4));
    case 3:
        return skua_stream_map_parallel(stream, &how);
    case 4:
        return skua_stream_merge(&stream, 1);
    default:
        return skua_stream_chain(&stream, 1);
    }
}

static void build(chain *it)
{
    it->count = below(&it->random, ITEMS_MAX);
    it->source = (counting){.count = it->count};
    bool is_generated = below(&it->random, 2);
    it->stream =
        is_generated ? skua_stream_generate(give_all, it, sizeof(int64_t)) : count_to(&it->source);
    for (uint32_t layers = below(&it->random, LAYERS_MAX); layers > 0; layers--) {
        it->stream = add_layer(it, it->stream);
    }
    if (is_generated) {
        it->source.closed = 1;
    }
}

/* Takes some, in a task that may be cancelled meanwhile. 0: there are no more. */
static int take_some(void *arg)
{
    chain *it = arg;
    int64_t item;
    int status = 1;
    for (int left = (int)below(&it->random, 20); left > 0 && status != 0; left--) {
        status = skua_stream_next(it->stream, SKUA_ITEM(item), some_deadline(&it->random));
        if (status == 1) {
            CHECK_INT(item, it->got++);
        } else if (status == -ECANCELED) {
            return status;
        } else {
            CHECK(status == 0 || status == -EAGAIN || status == -ETIMEDOUT);
        }
    }
    return status == 0 ? 0 : 1;
}

static int use_chain(void *arg)
{
    chain *it = arg;
    build(it);
    int status = 1;
    while (status != 0 && below(&it->random, 30) > 0) {
        if (below(&it->random, 2)) {
            status = take_some(it);
            continue;
        }
        uint32_t yields = below(&it->random, 4), cancels = below(&it->random, 2);
        skua_task *task = spawn(take_some, it);
        for (; yields > 0; yields--) {
            (void)skua_yield();
        }
        if (cancels) {
            skua_task_cancel(task);
        }
        status = finish(task);
    }
    skua_stream_close(&it->stream);
    CHECK(status != 0 || it->got == it->count);
    CHECK_INT(it->source.closed, 1);
    CHECK_INT(it->ended, it->opened);
    CHECK(it->opened <= 1);
    return 0;
}

static int use_chains(void *arg)
{
    static chain chains[CHAINS];
    uint64_t *random = arg;
    skua_task *tasks[CHAINS];
    for (int i = 0; i < CHAINS; i++) {
        memset(&chains[i], 0, sizeof chains[i]);
        chains[i].random = test_random(random);
        tasks[i] = spawn(use_chain, &chains[i]);
    }
    for (int i = 0; i < CHAINS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

/* --- one generator, many who ask -------------------------------------------------------------- */

enum { ASKERS = 6 };

typedef struct crowd {
    uint64_t random;
    skua_gen *gen;
    chain it;
    gate seen[4000];
} crowd;

typedef struct member {
    crowd *all;
    uint64_t random;
} member;

/* Asks until there are no more, or it is cancelled. */
static int ask_in_crowd(void *arg)
{
    member *self = arg;
    int64_t item, last = -1;
    int status;
    do {
        status = skua_gen_next(self->all->gen, &item, some_deadline(&self->random));
        if (status == 1) {
            CHECK(item > last);
            CHECK_INT(atomic_fetch_add(&self->all->seen[item], 1), 0);
            last = item;
        } else if (status == -EBUSY) {
            (void)skua_yield();
        } else {
            CHECK(status == 0 || status == -EAGAIN || status == -ETIMEDOUT || status == -ECANCELED);
        }
    } while (status != 0 && status != -ECANCELED);
    return status;
}

/* Some are cancelled, all others together have each item once. */
static int use_crowd(void *arg)
{
    static crowd all;
    static member members[ASKERS];
    skua_task *tasks[ASKERS];
    memset(&all, 0, sizeof all);
    all.random = test_random(arg);
    all.it.count = 1 + below(&all.random, sizeof all.seen / sizeof all.seen[0] / TEST_SCALE);
    CHECK_INT(skua_gen_open(&all.gen, give_all, &all.it, sizeof(int64_t)), 0);
    for (int i = 0; i < ASKERS; i++) {
        members[i] = (member){&all, test_random(&all.random)};
        tasks[i] = spawn(ask_in_crowd, &members[i]);
    }
    for (int i = 0; i < ASKERS / 2; i++) {
        CHECK_INT(skua_sleep(skua_after((int64_t)below(&all.random, 200000))), 0);
        skua_task_cancel(tasks[i]);
    }
    for (int i = 0; i < ASKERS; i++) {
        int status = finish(tasks[i]);
        CHECK(status == 0 || (status == -ECANCELED && i < ASKERS / 2));
    }
    skua_gen_close(&all.gen);
    for (int64_t i = 0; i < all.it.count; i++) {
        CHECK_INT(all.seen[i], 1);
    }
    CHECK_INT(all.it.ended, 1);
    return 0;
}

static void run_until_end(skua_fn fn)
{
    uint64_t random = test_seed();
    skua_time end = skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 6) / 2);
    do {
        run_on_with(1u << below(&random, 3), fn, &random);
    } while (skua_clock().ns < end.ns);
}

static void chains_at_random(void **state)
{
    run_until_end(use_chains);
}

static void one_generator_for_many(void **state)
{
    run_until_end(use_crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(chains_at_random), TEST(one_generator_for_many)};
    return TEST_RUN(tests);
}
