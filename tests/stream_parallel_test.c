/* Streams with tasks of their own: buffer, merge, parallel map. Order, bounds, failures, ends. */
#include "stream_help.h"

static skua_stream *squares(skua_stream *stream, size_t limit, bool in_any_order)
{
    const skua_parallel how = {.fn = square_later,
                               .item_bytes = sizeof(int64_t),
                               .limit = limit,
                               .in_any_order = in_any_order};
    return skua_stream_map_parallel(stream, &how);
}

/* --- buffer ----------------------------------------------------------------------------------- */

static int buffer_body(void *arg)
{
    counting source = {.count = 100};
    SKUA_STREAM(stream);
    int64_t item = 0;
    stream = skua_stream_buffer(count_to(&source), 4);
    CHECK_INT(skua_yield(), 0);
    CHECK_INT(source.asked, 0); /* not before it is asked itself */
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 1);
    CHECK_INT(item, 0);
    await(&source.asked, 6); /* given, four in the buffer, and one in the hand */
    for (int i = 0; i < 50; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(source.asked, 6);
    skua_stream_close(&stream);
    CHECK_INT(source.closed, 1);

    source = (counting){.count = 10, .end = -EIO};
    CHECK_STREAM(skua_stream_buffer(count_to(&source), 3), -EIO, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    CHECK_INT(source.closed, 1);
    source = (counting){.count = 3};
    CHECK_STREAM(skua_stream_buffer(count_to(&source), 0), 0, 0, 1, 2);
    return 0;
}

/* covers: B48 */
static void a_buffer_asks_ahead_and_no_further(void **state)
{
    run_on_1_2_4(buffer_body);
}

/* --- merge ------------------------------------------------------------------------------------ */

static int merge_body(void *arg)
{
    enum { STREAMS = 5, EACH = 50 };
    counting sources[STREAMS];
    skua_stream *streams[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        sources[i] = (counting){.count = (i + 1) * EACH, .given = i * EACH};
        streams[i] = count_to(&sources[i]);
    }
    SKUA_STREAM(all);
    int64_t item = 0, last[STREAMS] = {-1, -1, -1, -1, -1};
    size_t count = 0;
    all = skua_stream_merge(streams, STREAMS);
    while (skua_stream_next(all, SKUA_ITEM(item), SKUA_FOREVER) == 1) {
        CHECK(item > last[item / EACH]); /* each stream keeps its order */
        last[item / EACH] = item;
        count++;
    }
    CHECK_INT(count, STREAMS * EACH);
    skua_stream_close(&all);
    for (int i = 0; i < STREAMS; i++) {
        CHECK_INT(sources[i].closed, 1);
    }
    return 0;
}

static void a_merge_gives_all_there_is(void **state)
{
    run_on_1_2_4(merge_body);
}

static int failing_merge_body(void *arg)
{
    counting failing = {.count = 3, .end = -EIO};
    skua_chan *silent;
    int64_t item = 0;
    int status;
    SKUA_STREAM(all);
    CHECK_INT(skua_chan_create(&silent, sizeof item, 1), 0);
    skua_stream *streams[] = {skua_stream_from_chan(silent, sizeof item), count_to(&failing)};
    all = skua_stream_merge(streams, 2);
    while ((status = skua_stream_next(all, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {}
    CHECK_INT(status, -EIO); /* though the other one is silent */
    CHECK_INT(skua_stream_next(all, SKUA_ITEM(item), SKUA_NOW), -EIO);
    skua_stream_close(&all);
    CHECK_INT(failing.closed, 1);
    CHECK_INT(skua_chan_send(silent, SKUA_ITEM(item), SKUA_NOW), -EPIPE); /* its end went back */
    skua_chan_release(silent, SKUA_SENDER);
    return 0;
}

static void the_first_failure_ends_a_merge(void **state)
{
    run_on_1_2_4(failing_merge_body);
}

/* --- parallel --------------------------------------------------------------------------------- */

static int in_order_body(void *arg)
{
    SKUA_STREAM(stream);
    int64_t item = 0;
    stream = squares(skua_stream_range(0, 200, 1), 7, false);
    for (int64_t i = 0; i < 200; i++) {
        CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 1);
        CHECK_INT(item, i * i);
    }
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 0);
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 0);
    CHECK_EMPTY(squares(skua_stream_range(0, 0, 1), 3, false), 0);
    CHECK_STREAM(squares(skua_stream_range(0, 2, 1), 9, false), 0, 0, 1);
    CHECK_STREAM(squares(skua_stream_range(0, 3, 1), 1, false), 0, 0, 1, 4);
    CHECK_STREAM(squares(skua_stream_range(0, 3, 1), 0, false), 0, 0, 1, 4);
    return 0;
}

/* covers: A53 */
static void a_parallel_map_keeps_the_order(void **state)
{
    run_on_1_2_4(in_order_body);
}

static int any_order_body(void *arg)
{
    int64_t sum = 0, want = 0;
    for (int64_t i = 0; i < 200; i++) {
        want += i * i;
    }
    CHECK_INT(skua_stream_reduce(squares(skua_stream_range(0, 200, 1), 7, true), add_up, NULL, &sum,
                                 SKUA_FOREVER),
              0);
    CHECK_INT(sum, want);
    CHECK_EMPTY(squares(skua_stream_range(0, 0, 1), 3, true), 0);
    return 0;
}

/* covers: A53 */
static void a_parallel_map_in_any_order_gives_all(void **state)
{
    run_on_1_2_4(any_order_body);
}

/* The calls meet: each waits until all others have begun. */
static int meet(void *context, const void *item, void *out)
{
    gate *inside = context;
    atomic_fetch_add(inside, 1);
    await(inside, 6);
    return square(NULL, item, out);
}

static int really_parallel_body(void *arg)
{
    for (int any = 0; any < 2; any++) {
        gate inside = 0;
        const skua_parallel how = {.fn = meet,
                                   .context = &inside,
                                   .item_bytes = sizeof(int64_t),
                                   .limit = 6,
                                   .in_any_order = any};
        int64_t sum = 0;
        CHECK_INT(skua_stream_reduce(skua_stream_map_parallel(skua_stream_range(0, 6, 1), &how),
                                     add_up, NULL, &sum, SKUA_FOREVER),
                  0);
        CHECK_INT(sum, 55);
    }
    return 0;
}

static void calls_run_at_the_same_time(void **state)
{
    run_on_1_2_4(really_parallel_body);
}

/* How many items are between the source and a consumer that is slow. */
static int bounded(bool in_any_order)
{
    enum { LIMIT = 4 };
    counting source = {.count = 200};
    SKUA_STREAM(stream);
    int64_t item = 0, got = 0;
    stream = squares(count_to(&source), LIMIT, in_any_order);
    while (skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER) == 1) {
        got++;
        for (int i = 0; i < 5; i++) {
            CHECK_INT(skua_yield(), 0);
        }
        CHECK(source.asked <= got + LIMIT + 1); /* and one that may just be asked for */
    }
    CHECK_INT(got, 200);
    return 0;
}

static int bounded_body(void *arg)
{
    return bounded(false) + bounded(true);
}

/* covers: A53 */
static void a_slow_sink_holds_up_the_source(void **state)
{
    run_on_1_2_4(bounded_body);
}

static int fail_at(void *context, const void *item, void *out)
{
    int status = square_later(NULL, item, out);
    return *(const int64_t *)item == *(int64_t *)context ? -EDOM : status;
}

static int failing_body(void *arg)
{
    counting source = {.count = 1000};
    int64_t at = 5, item;
    skua_parallel how = {.fn = fail_at, .context = &at, .item_bytes = sizeof at, .limit = 4};
    CHECK_STREAM(skua_stream_map_parallel(count_to(&source), &how), -EDOM, 0, 1, 4, 9, 16);
    CHECK_INT(source.closed, 1);
    CHECK(source.asked <= 10); /* it stopped */
    source = (counting){.count = 3, .end = -EIO};
    CHECK_STREAM(squares(count_to(&source), 4, false), -EIO, 0, 1, 4);

    /* In any order: at once, though the source has nothing more to give. */
    skua_chan *chan;
    CHECK_INT(skua_chan_create(&chan, sizeof item, 8), 0);
    for (item = 5; item < 7; item++) {
        CHECK_INT(skua_chan_send(chan, SKUA_ITEM(item), SKUA_FOREVER), 0);
    }
    how.in_any_order = true;
    SKUA_STREAM(stream);
    stream = skua_stream_map_parallel(skua_stream_from_chan(chan, sizeof item), &how);
    int status;
    while ((status = skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        CHECK_INT(item, 36);
    }
    CHECK_INT(status, -EDOM);
    skua_chan_release(chan, SKUA_SENDER);
    return 0;
}

static void a_failure_comes_in_its_place(void **state)
{
    run_on_1_2_4(failing_body);
}

/* --- cancels and closing ---------------------------------------------------------------------- */

typedef struct consumer {
    skua_stream *stream;
    int64_t got; /* the next that it expects */
    gate began;
} consumer;

/* Takes what comes until it is cancelled. */
static int consume(void *arg)
{
    consumer *self = arg;
    int64_t item;
    int status;
    while ((status = skua_stream_next(self->stream, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        CHECK_INT(item, self->got * self->got);
        self->got++;
        atomic_fetch_add(&self->began, 1);
    }
    return status;
}

/* One consumer after the other is cancelled: what they get together has no gap. */
static int relay_body(void *arg)
{
    consumer self = {0};
    self.stream = skua_stream_buffer(squares(skua_stream_range(0, 300, 1), 5, false), 3);
    int status;
    do {
        self.began = 0;
        skua_task *task = spawn(consume, &self);
        while (atomic_load(&self.began) < 20 && skua_task_state(task) == SKUA_RUNNING) {
            CHECK_INT(skua_yield(), 0);
        }
        skua_task_cancel(task);
        status = finish(task);
        CHECK(status == -ECANCELED || status == 0);
    } while (status != 0);
    CHECK_INT(self.got, 300);
    skua_stream_close(&self.stream);
    return 0;
}

static void a_cancelled_consumer_loses_nothing(void **state)
{
    run_on_1_2_4(relay_body);
}

/* Opened and ended generators. */
typedef struct lives {
    gate begun, ended;
} lives;

static int endless(skua_gen *self, void *arg)
{
    lives *count = arg;
    int status = 0;
    atomic_fetch_add(&count->begun, 1);
    for (int64_t i = 0; status == 0; i++) {
        status = skua_gen_yield(self, &i);
    }
    atomic_fetch_add(&count->ended, 1);
    return status;
}

static int sleep_long(void *context, const void *item, void *out)
{
    return skua_sleep(SKUA_FOREVER);
}

static int close_body(void *arg)
{
    lives count = {0};
    int64_t item = 0;
    const skua_parallel how = {.fn = sleep_long, .item_bytes = sizeof item, .limit = 3};
    skua_stream *streams[3];
    for (int i = 0; i < 3; i++) {
        streams[i] = skua_stream_generate(endless, &count, sizeof item);
    }
    SKUA_STREAM(stream);
    stream = skua_stream_buffer(squares(skua_stream_merge(streams, 3), 4, true), 2);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 1);
    }
    skua_stream_close(&stream);
    CHECK(count.begun > 0); /* some may not have been asked yet */
    CHECK_INT(count.ended, count.begun);

    stream = skua_stream_map_parallel(skua_stream_generate(endless, &count, sizeof item), &how);
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_stream_close(&stream); /* ends the calls that sleep for ever */
    CHECK_INT(count.ended, count.begun);
    int begun = count.begun;
    stream = skua_stream_buffer(skua_stream_generate(endless, &count, sizeof item), 2);
    skua_stream_close(&stream); /* never asked */
    CHECK_INT(count.begun, begun);
    return 0;
}

static void closing_ends_all_tasks_upstream(void **state)
{
    run_on_1_2_4(close_body);
}

/* --- producers and consumers ------------------------------------------------------------------ */

typedef struct shop {
    skua_chan *goods;
    _Atomic int64_t sum;
    gate ended;
} shop;

static int produce(void *arg)
{
    shop *self = arg;
    for (int64_t i = 1; i <= 100; i++) {
        CHECK_INT(skua_chan_send(self->goods, SKUA_ITEM(i), SKUA_FOREVER), 0);
    }
    skua_chan_release(self->goods, SKUA_SENDER);
    return 0;
}

static int buy(void *context, const void *item)
{
    atomic_fetch_add(&((shop *)context)->sum, *(const int64_t *)item);
    return 0;
}

static int buy_all(void *arg)
{
    shop *self = arg;
    CHECK_INT(skua_stream_for_each(skua_stream_from_chan(self->goods, sizeof(int64_t)), buy, self,
                                   SKUA_FOREVER),
              0);
    return 0;
}

static int shop_body(void *arg)
{
    enum { PRODUCERS = 3, CONSUMERS = 4 };
    shop self = {0};
    skua_task *tasks[PRODUCERS + CONSUMERS];
    CHECK_INT(skua_chan_create(&self.goods, sizeof(int64_t), 10), 0);
    for (int i = 0; i < PRODUCERS; i++) {
        skua_chan_retain(self.goods, SKUA_SENDER);
        tasks[i] = spawn(produce, &self);
    }
    for (int i = 0; i < CONSUMERS; i++) {
        skua_chan_retain(self.goods, SKUA_RECEIVER);
        tasks[PRODUCERS + i] = spawn(buy_all, &self);
    }
    skua_chan_release(self.goods, SKUA_SENDER | SKUA_RECEIVER);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    CHECK_INT(self.sum, PRODUCERS * 5050);
    return 0;
}

/* covers: A88 */
static void producers_and_consumers_share_a_channel(void **state)
{
    run_on_1_2_4(shop_body);
}

static int too_large_body(void *arg)
{
    static char large[64 * 1024 + 1];
    skua_stream *stream = skua_stream_buffer(skua_stream_from_array(large, sizeof large, 1), 1);
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(large), SKUA_FOREVER), -EINVAL);
    skua_stream_close(&stream);
    return 0;
}

static void items_that_no_channel_takes_are_refused(void **state)
{
    run_on(1, too_large_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_buffer_asks_ahead_and_no_further),
        TEST(a_merge_gives_all_there_is),
        TEST(the_first_failure_ends_a_merge),
        TEST(a_parallel_map_keeps_the_order),
        TEST(a_parallel_map_in_any_order_gives_all),
        TEST(calls_run_at_the_same_time),
        TEST(a_slow_sink_holds_up_the_source),
        TEST(a_failure_comes_in_its_place),
        TEST(a_cancelled_consumer_loses_nothing),
        TEST(closing_ends_all_tasks_upstream),
        TEST(producers_and_consumers_share_a_channel),
        TEST(items_that_no_channel_takes_are_refused),
    };
    return TEST_RUN(tests);
}
