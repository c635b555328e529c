/* Misuse of generators and streams must die, and say what was wrong. */
#include "../stream_help.h"
#include "mem/forked.h"

#include <skua/fork.h>

/* The test forks; the child is told that it is a process of its own. */
static void run_main(void *fn_at)
{
    skua_fn fn = *(skua_fn *)fn_at;
    const skua_config config = {.workers = 1};
    skua__process_is_origin();
    (void)!skua_run(&config, fn, NULL);
}

static void dies(skua_fn fn, const char *text)
{
    test_dies(run_main, &fn, text);
}

/* --- generators ------------------------------------------------------------------------------- */

static skua_gen *shared;
static gate is_asked;

/* It runs only when somebody asks, who waits by then. */
static int wait_for_ever(skua_gen *self, void *arg)
{
    atomic_store(&is_asked, 1);
    return skua_sleep(SKUA_FOREVER);
}

static int close_itself(skua_gen *self, void *arg)
{
    skua_gen_close(&shared);
    return 0;
}

static int one(skua_gen *self, void *arg)
{
    return skua_gen_yield(self, &(int){1});
}

static int ask(void *arg)
{
    int item;
    return skua_gen_next(arg, &item, SKUA_FOREVER);
}

static int close_while_asked(void *arg)
{
    CHECK_INT(skua_gen_open(&shared, wait_for_ever, NULL, sizeof(int)), 0);
    spawn(ask, shared);
    await(&is_asked, 1);
    skua_gen *gen = shared;
    skua_gen_close(&gen);
    return 0;
}

static int finish_while_asked(void *arg)
{
    CHECK_INT(skua_gen_open(&shared, wait_for_ever, NULL, sizeof(int)), 0);
    spawn(ask, shared);
    await(&is_asked, 1);
    skua_gen *gen = shared;
    return skua_gen_finish(&gen, 0);
}

static int let_it_close_itself(void *arg)
{
    CHECK_INT(skua_gen_open(&shared, close_itself, NULL, sizeof(int)), 0);
    return ask(shared);
}

static int yield_for_another(void *arg)
{
    CHECK_INT(skua_gen_open(&shared, one, NULL, sizeof(int)), 0);
    CHECK_INT(ask(shared), 1);
    return skua_gen_yield(shared, &(int){2});
}

static int yield_as_child(void *self)
{
    return skua_gen_yield(self, &(int){3});
}

static int yield_twice(skua_gen *self, void *arg)
{
    skua_child child;
    skua_fork(&child, yield_as_child, self);
    int status = skua_gen_yield(self, &(int){4}); /* suspends, so the child is given away */
    return skua_sync(&child) < 0 ? -EIO : status;
}

static int let_children_yield(void *arg)
{
    CHECK_INT(skua_gen_open(&shared, yield_twice, NULL, sizeof(int)), 0);
    return ask(shared) == 1 ? skua_sleep(SKUA_FOREVER) : -1;
}

/* covers: A45 */
static void generators(void **state)
{
    dies(close_while_asked, "the generator 'wait_for_ever' is closed while a task waits");
    dies(finish_while_asked, "the generator 'wait_for_ever' is closed while a task waits");
    dies(let_it_close_itself, "the generator 'close_itself' closes itself");
    dies(let_children_yield, "the generator 'yield_twice' yields in two of its forked children");
    dies(yield_for_another, "the generator 'one' is told to yield by another task");
}

/* --- streams ---------------------------------------------------------------------------------- */

static int ask_for_another_size(void *arg)
{
    int item;
    return skua_stream_next(skua_stream_range(0, 3, 1), SKUA_ITEM(item), SKUA_FOREVER);
}

static int no_step(void *arg)
{
    return skua_stream_range(0, 3, 0) == NULL;
}

static int no_period(void *arg)
{
    return skua_stream_ticker(0) == NULL;
}

static int no_streams(void *arg)
{
    return skua_stream_merge(NULL, 0) == NULL;
}

static int no_links(void *arg)
{
    return skua_stream_chain(NULL, 0) == NULL;
}

static int unlike(void *arg)
{
    skua_stream *streams[] = {skua_stream_range(0, 3, 1), skua_stream_from_array("abc", 1, 3)};
    return skua_stream_merge(streams, 2) == NULL;
}

static int narrow_pair(void *arg)
{
    return skua_stream_zip(skua_stream_range(0, 3, 1), skua_stream_range(0, 3, 1), 16, 4) == NULL;
}

static int empty_batch(void *arg)
{
    return skua_stream_batch(skua_stream_range(0, 3, 1), 8, 8, 0) == NULL;
}

static int flat_already(void *arg)
{
    return skua_stream_flatten(skua_stream_from_array("abc", 1, 3), 1) == NULL;
}

/* covers: A45 */
static void streams(void **state)
{
    dies(ask_for_another_size, "an item of 4 bytes is asked of a stream of items of 8 bytes");
    dies(no_step, "a range without a step");
    dies(no_period, "a ticker without a period");
    dies(no_streams, "a merge of no streams");
    dies(no_links, "a chain of no streams");
    dies(unlike, "a merge of streams of items of 8 and 1 bytes");
    dies(narrow_pair, "pairs of 16 bytes, of items of 8 bytes, and of 8 from byte 4 on");
    dies(empty_batch, "a batch of 8 bytes, with items of 8 bytes from byte 8 on");
    dies(flat_already, "a flatten of items that are no streams");
}

/* --- collections ------------------------------------------------------------------------------ */

static int two_sizes(void *arg)
{
    skua_vec vec = {0};
    int64_t item = 0;
    CHECK_INT(skua_vec_add(&vec, SKUA_ITEM(item)), 0);
    return skua_vec_add(&vec, &item, 4);
}

static int two_keys(void *arg)
{
    skua_table table = {0};
    int64_t item = 0;
    CHECK_INT(skua_table_put(&table, SKUA_ITEM(item), 8), 1);
    return skua_table_put(&table, SKUA_ITEM(item), 4);
}

static int large_key(void *arg)
{
    skua_table table = {0};
    int64_t item[2] = {0};
    return skua_table_put(&table, item, 8, 16);
}

static void collections(void **state)
{
    dies(two_sizes, "an item of 4 bytes is added to an array of items of 8 bytes");
    dies(two_keys, "an item of 8 bytes, key 4, in a table of items of 8 bytes, key 8");
    dies(large_key, "a key of 16 bytes in an item of 8 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(generators), TEST(streams), TEST(collections)};
    return TEST_RUN(tests);
}
