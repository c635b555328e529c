/* Streams whose operators run in the task that asks: what they give, how they end, what is cleaned
   up, and what a late or cancelled wait leaves. */
#include "behaviours/virtual_runs.h"
#include "stream_help.h"

#include <pthread.h>
#include <sys/wait.h>

static int64_t to_ten[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static skua_stream *ten(void)
{
    return skua_stream_from_array(to_ten, sizeof to_ten[0], 10);
}

/* --- sources ---------------------------------------------------------------------------------- */

static int three(skua_gen *self, void *arg)
{
    int status = 0;
    for (int64_t i = 0; i < 3 && status == 0; i++) {
        status = skua_gen_yield(self, &i);
    }
    atomic_fetch_add((gate *)arg, 1);
    return status < 0 ? status : -EIO;
}

static int sources_body(void *arg)
{
    CHECK_STREAM(ten(), 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    CHECK_EMPTY(skua_stream_from_array(NULL, sizeof(int64_t), 0), 0);
    CHECK_STREAM(skua_stream_range(1, 4, 1), 0, 1, 2, 3);
    CHECK_STREAM(skua_stream_range(7, 0, -3), 0, 7, 4, 1);
    CHECK_EMPTY(skua_stream_range(4, 4, 1), 0);
    CHECK_STREAM(skua_stream_range(INT64_MAX - 1, INT64_MAX, 5), 0, INT64_MAX - 1);

    gate ended = 0;
    CHECK_STREAM(skua_stream_generate(three, &ended, sizeof(int64_t)), -EIO, 0, 1, 2);
    CHECK_INT(ended, 1);
    skua_gen *gen = NULL;
    CHECK_INT(skua_gen_open(&gen, three, &ended, sizeof(int64_t)), 0);
    skua_stream *stream = skua_stream_from_gen(gen);
    int64_t item = 0;
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 1);
    skua_stream_close(&stream);
    CHECK_INT(ended, 2);

    skua_chan *chan;
    CHECK_INT(skua_chan_create(&chan, sizeof(int64_t), 4), 0);
    for (item = 5; item < 8; item++) {
        CHECK_INT(skua_chan_send(chan, SKUA_ITEM(item), SKUA_FOREVER), 0);
    }
    skua_chan_release(chan, SKUA_SENDER);
    CHECK_STREAM(skua_stream_from_chan(chan, sizeof item), 0, 5, 6, 7);

    counting own = {.count = 2, .end = -EPROTO};
    CHECK_STREAM(count_to(&own), -EPROTO, 0, 1);
    CHECK_INT(own.closed, 1);
    CHECK_INT(own.asked, 3); /* not after its end */
    return 0;
}

/* covers: A50 */
static void sources_give_their_items_and_end(void **state)
{
    run_on_1_2_4(sources_body);
}

static int ticker_body(void *arg)
{
    SKUA_STREAM(ticks);
    uint64_t last = 0, tick = 0;
    skua_time start = skua_clock();
    ticks = skua_stream_ticker(SKUA_MS(5));
    CHECK_INT(skua_stream_next(ticks, SKUA_ITEM(tick), SKUA_NOW), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_stream_next(ticks, SKUA_ITEM(tick), SKUA_FOREVER), 1);
        CHECK_INT(tick, ++last);
        CHECK_INT(skua_elapsed_ns(start), SKUA_MS(5) * (int64_t)tick);
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(20))), 0);
    CHECK_INT(skua_stream_next(ticks, SKUA_ITEM(tick), SKUA_NOW), 1); /* one for all missed */
    CHECK_INT(tick, last + 4);
    return 0;
}

static void a_ticker_ticks(void **state)
{
    run_virtually_on_1_2_4(ticker_body);
}

/* --- operators -------------------------------------------------------------------------------- */

static int operators_body(void *arg)
{
    int64_t limit = 4, zero = 0;
    CHECK_STREAM(skua_stream_map(skua_stream_range(0, 5, 1), square, NULL, sizeof(int64_t)), 0, 0,
                 1, 4, 9, 16);
    CHECK_STREAM(skua_stream_filter(ten(), is_even, NULL), 0, 0, 2, 4, 6, 8);
    CHECK_STREAM(skua_stream_take_while(ten(), is_below, &limit), 0, 0, 1, 2, 3);
    CHECK_STREAM(skua_stream_take(ten(), 3), 0, 0, 1, 2);
    CHECK_STREAM(skua_stream_take(ten(), 30), 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    CHECK_EMPTY(skua_stream_take(ten(), 0), 0);
    CHECK_STREAM(skua_stream_skip(ten(), 7), 0, 7, 8, 9);
    CHECK_EMPTY(skua_stream_skip(ten(), 70), 0);
    CHECK_STREAM(skua_stream_scan(skua_stream_take(ten(), 5), add_up, NULL, &zero, sizeof zero), 0,
                 0, 1, 3, 6, 10);
    return 0;
}

static void operators_do_what_they_say(void **state)
{
    run_on_1_2_4(operators_body);
}

static int take_asks_no_further_body(void *arg)
{
    counting source = {.count = 10};
    CHECK_STREAM(skua_stream_take(count_to(&source), 2), 0, 0, 1);
    CHECK_INT(source.asked, 2);
    CHECK_INT(source.closed, 1);
    return 0;
}

static void take_asks_no_further(void **state)
{
    run_on(1, take_asks_no_further_body);
}

typedef struct pair {
    char small;
    int64_t large;
} pair;

static int to_pair(void *context, const void *item, void *out)
{
    const pair *both = item;
    *(int64_t *)out = both->small * 100 + both->large;
    return 0;
}

static int to_char(void *context, const void *item, void *out)
{
    *(char *)out = (char)(*(const int64_t *)item + 1);
    return 0;
}

static int to_stream(void *context, const void *item, void *out)
{
    int64_t count = *(const int64_t *)item;
    *(skua_stream **)out = skua_stream_range(0, count, 1);
    return 0;
}

static int several_body(void *arg)
{
    skua_stream *links[] = {skua_stream_take(ten(), 2), skua_stream_range(5, 5, 1),
                            skua_stream_range(5, 7, 1)};
    CHECK_STREAM(skua_stream_chain(links, 3), 0, 0, 1, 5, 6);

    skua_stream *small = skua_stream_map(ten(), to_char, NULL, 1);
    skua_stream *both =
        skua_stream_zip(small, skua_stream_range(7, 10, 1), sizeof(pair), offsetof(pair, large));
    CHECK_STREAM(skua_stream_map(both, to_pair, NULL, sizeof(int64_t)), 0, 107, 208, 309);

    skua_stream *inner =
        skua_stream_map(skua_stream_range(0, 4, 1), to_stream, NULL, sizeof(skua_stream *));
    CHECK_STREAM(skua_stream_flatten(inner, sizeof(int64_t)), 0, 0, 0, 1, 0, 1, 2);
    inner = skua_stream_map(skua_stream_range(3, 9, 1), to_stream, NULL, sizeof(skua_stream *));
    CHECK_STREAM(skua_stream_take(skua_stream_flatten(inner, sizeof(int64_t)), 2), 0, 0, 1);
    return 0;
}

static void streams_are_put_together(void **state)
{
    run_on_1_2_4(several_body);
}

static int deep_body(void *arg)
{
    int64_t limit = 10;
    skua_stream *stream = skua_stream_range(0, 3, 1);
    for (int i = 0; i < 500; i++) {
        stream = skua_stream_filter(stream, is_below, &limit);
    }
    CHECK_STREAM(stream, 0, 0, 1, 2);
    return 0;
}

static void chains_may_be_long(void **state)
{
    run_on(2, deep_body);
}

/* --- pace ------------------------------------------------------------------------------------- */

typedef struct threes {
    size_t count;
    int64_t items[3];
} threes;

static skua_stream *by_threes(skua_stream *stream, int64_t wait_ns)
{
    return skua_stream_batch(stream, sizeof(threes), offsetof(threes, items), wait_ns);
}

static int batch_body(void *arg)
{
    SKUA_STREAM(batches);
    threes got;
    batches = by_threes(ten(), 0);
    for (int64_t i = 0; i < 3; i++) {
        CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), 1);
        CHECK_INT(got.count, 3);
        CHECK_INT(got.items[0], 3 * i);
        CHECK_INT(got.items[2], 3 * i + 2);
    }
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), 1);
    CHECK_INT(got.count, 1);
    CHECK_INT(got.items[0], 9);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), 0);
    return 0;
}

static void send_to(skua_chan *chan, int64_t item)
{
    CHECK_INT(skua_chan_send(chan, SKUA_ITEM(item), SKUA_FOREVER), 0);
}

/* What is there is given when its time has come; a late wait before that loses nothing. */
static int batch_in_time_body(void *arg)
{
    SKUA_STREAM(batches);
    skua_chan *chan;
    threes got;
    CHECK_INT(skua_chan_create(&chan, sizeof(int64_t), 8), 0);
    batches = by_threes(skua_stream_from_chan(chan, sizeof(int64_t)), SKUA_MS(100));
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_NOW), -EAGAIN);
    send_to(chan, 1);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), skua_after(0)), -ETIMEDOUT);
    send_to(chan, 2);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), 1);
    CHECK_INT(got.count, 2);
    CHECK_INT(got.items[0], 1);
    CHECK_INT(got.items[1], 2);
    for (int64_t i = 0; i < 3; i++) {
        send_to(chan, i);
    }
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_NOW), 1);
    CHECK_INT(got.count, 3);
    skua_chan_release(chan, SKUA_SENDER);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), 0);
    return 0;
}

/* The failure comes after what was there before it. */
static int batch_and_fail_body(void *arg)
{
    counting source = {.count = 4, .end = -EIO};
    SKUA_STREAM(batches);
    threes got;
    batches = by_threes(count_to(&source), 0);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), 1);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), 1);
    CHECK_INT(got.count, 1);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), -EIO);
    CHECK_INT(skua_stream_next(batches, SKUA_ITEM(got), SKUA_FOREVER), -EIO);
    return 0;
}

static void batches_fill_by_number_and_by_time(void **state)
{
    run_on_1_2_4(batch_body);
    run_virtually_on_1_2_4(batch_in_time_body);
    run_on(1, batch_and_fail_body);
}

static int pace_body(void *arg)
{
    SKUA_STREAM(newest);
    SKUA_STREAM(calm);
    skua_chan *chan;
    int64_t item = 0;
    skua_time start = skua_clock();
    CHECK_STREAM(skua_stream_throttle(skua_stream_take(ten(), 4), SKUA_MS(1)), 0, 0, 1, 2, 3);
    CHECK(skua_elapsed_ns(start) >= SKUA_MS(3));

    CHECK_INT(skua_chan_create(&chan, sizeof item, 8), 0);
    newest = skua_stream_conflate(skua_stream_from_chan(chan, sizeof item));
    for (int64_t i = 1; i <= 5; i++) {
        send_to(chan, i);
    }
    CHECK_INT(skua_stream_next(newest, SKUA_ITEM(item), SKUA_FOREVER), 1);
    CHECK_INT(item, 5);
    CHECK_INT(skua_stream_next(newest, SKUA_ITEM(item), SKUA_NOW), -EAGAIN);
    skua_chan_release(chan, SKUA_SENDER);
    CHECK_INT(skua_stream_next(newest, SKUA_ITEM(item), SKUA_FOREVER), 0);

    CHECK_INT(skua_chan_create(&chan, sizeof item, 8), 0);
    calm = skua_stream_debounce(skua_stream_from_chan(chan, sizeof item), SKUA_MS(50));
    for (int64_t i = 1; i <= 5; i++) {
        send_to(chan, i);
    }
    CHECK_INT(skua_stream_next(calm, SKUA_ITEM(item), SKUA_NOW), -EAGAIN);
    start = skua_clock();
    CHECK_INT(skua_stream_next(calm, SKUA_ITEM(item), SKUA_FOREVER), 1);
    CHECK_INT(item, 5);
    CHECK_INT(skua_elapsed_ns(start), SKUA_MS(50));
    send_to(chan, 6);
    skua_chan_release(chan, SKUA_SENDER);
    CHECK_INT(skua_stream_next(calm, SKUA_ITEM(item), SKUA_FOREVER), 1); /* nothing can follow */
    CHECK_INT(item, 6);
    CHECK_INT(skua_stream_next(calm, SKUA_ITEM(item), SKUA_FOREVER), 0);
    return 0;
}

/* covers: B48 */
static void pace_is_kept(void **state)
{
    run_virtually_on_1_2_4(pace_body);
}

/* --- failures and waits ----------------------------------------------------------------------- */

static int fail_at(void *context, const void *item, void *out)
{
    *(int64_t *)out = *(const int64_t *)item;
    return *(const int64_t *)item == *(const int64_t *)context ? -EDOM : 0;
}

static int failures_body(void *arg)
{
    counting source = {.count = 10};
    int64_t at = 2;
    CHECK_STREAM(skua_stream_map(count_to(&source), fail_at, &at, sizeof at), -EDOM, 0, 1);
    CHECK_INT(source.asked, 3);
    CHECK_INT(source.closed, 1);
    /* A code that may also be a wait's is a failure all the same when a function returns it. */
    source = (counting){.count = 2, .end = -EIO};
    CHECK_STREAM(skua_stream_filter(count_to(&source), is_even, NULL), -EIO, 0);
    return 0;
}

static void a_failure_ends_the_stream(void **state)
{
    run_on_1_2_4(failures_body);
}

/* Sleeps for ever the first time it is called for an item. */
typedef struct slow {
    gate calls;
    int64_t slept_for;
} slow;

static int slow_once(void *context, const void *item, void *out)
{
    slow *self = context;
    *(int64_t *)out = *(const int64_t *)item;
    atomic_fetch_add(&self->calls, 1);
    if (self->slept_for != *(const int64_t *)item) {
        self->slept_for = *(const int64_t *)item;
        return skua_sleep(SKUA_FOREVER);
    }
    return 0;
}

typedef struct cancelled_asker {
    skua_stream *stream;
    int status;
} cancelled_asker;

static int ask_and_be_cancelled(void *arg)
{
    cancelled_asker *self = arg;
    int64_t item;
    self->status = skua_stream_next(self->stream, SKUA_ITEM(item), SKUA_FOREVER);
    return 0;
}

static int interrupted_body(void *arg)
{
    slow self = {.slept_for = -1};
    cancelled_asker asker = {0};
    int64_t item = 77;
    SKUA_STREAM(stream);
    stream = skua_stream_map(skua_stream_range(0, 3, 1), slow_once, &self, sizeof item);
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 1);
    CHECK_INT(item, 0);
    asker.stream = stream;
    skua_task *task = spawn(ask_and_be_cancelled, &asker);
    await(&self.calls, 3);
    skua_task_cancel(task);
    CHECK_INT(finish(task), 0);
    CHECK_INT(asker.status, -ECANCELED);
    CHECK_INT(skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 1);
    CHECK_INT(item, 1);
    CHECK_INT(self.calls, 4);
    return 0;
}

static void a_call_that_is_interrupted_is_made_again(void **state)
{
    run_on_1_2_4(interrupted_body);
}

/* An endless chain that never waits is cancelled all the same. */
static int spin(void *arg)
{
    int64_t none = -1;
    size_t count = 0;
    return skua_stream_count(
        skua_stream_filter(skua_stream_range(0, INT64_MAX, 1), is_below, &none), &count,
        SKUA_FOREVER);
}

static int spin_within(void *arg)
{
    return skua_within(skua_after(SKUA_MS(2)), spin, NULL);
}

static int spin_body(void *arg)
{
    skua_task *task = spawn(spin, NULL);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    CHECK_INT(call(spin_within, NULL), -ETIMEDOUT);
    return 0;
}

static void a_chain_that_never_waits_can_be_cancelled(void **state)
{
    run_on_1_2_4(spin_body);
}

/* --- closing ---------------------------------------------------------------------------------- */

static int break_early(counting *source, gate *ended)
{
    SKUA_STREAM(stream);
    int64_t item, status;
    skua_stream *links[] = {skua_stream_filter(count_to(source), is_even, NULL),
                            skua_stream_generate(three, ended, sizeof item)};
    stream = skua_stream_chain(links, 2);
    while ((status = skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        if (item == 4) {
            break;
        }
    }
    return (int)status;
}

static int break_body(void *arg)
{
    counting source = {.count = 100};
    gate ended = 0;
    CHECK_INT(break_early(&source, &ended), 1);
    CHECK_INT(source.closed, 1);
    CHECK_INT(source.given, 5);
    CHECK_INT(ended, 0); /* never asked */
    return 0;
}

/* covers: A51 */
static void leaving_early_cleans_up_the_whole_chain(void **state)
{
    run_on_1_2_4(break_body);
}

/* --- sinks ------------------------------------------------------------------------------------ */

typedef struct stop_at {
    int64_t at, last;
    int answer;
} stop_at;

static int note_until(void *context, const void *item)
{
    stop_at *self = context;
    self->last = *(const int64_t *)item;
    return self->last == self->at ? self->answer : 0;
}

static int sinks_body(void *arg)
{
    counting source = {.count = 10};
    stop_at early = {.at = 4, .answer = 42}, failing = {.at = 2, .answer = -EIO}, all = {.at = -1};
    CHECK_INT(skua_stream_for_each(count_to(&source), note_until, &early, SKUA_FOREVER), 42);
    CHECK_INT(early.last, 4);
    CHECK_INT(source.closed, 1);
    CHECK_INT(skua_stream_for_each(ten(), note_until, &failing, SKUA_FOREVER), -EIO);
    CHECK_INT(failing.last, 2);
    CHECK_INT(skua_stream_for_each(ten(), note_until, &all, SKUA_FOREVER), 0);
    CHECK_INT(all.last, 9);

    int64_t sum = 5, first = 0;
    CHECK_INT(skua_stream_reduce(ten(), add_up, NULL, &sum, SKUA_FOREVER), 0);
    CHECK_INT(sum, 50);
    size_t count = 0;
    source = (counting){.count = 7, .end = -EIO};
    CHECK_INT(skua_stream_count(count_to(&source), &count, SKUA_FOREVER), -EIO);
    CHECK_INT(count, 7);
    CHECK_INT(source.closed, 1);
    CHECK_INT(skua_stream_first(skua_stream_skip(ten(), 3), SKUA_ITEM(first), SKUA_FOREVER), 1);
    CHECK_INT(first, 3);
    CHECK_INT(skua_stream_first(skua_stream_take(ten(), 0), SKUA_ITEM(first), SKUA_FOREVER), 0);
    return 0;
}

static void sinks_drive_and_close(void **state)
{
    run_on_1_2_4(sinks_body);
}

static int sink_late_body(void *arg)
{
    slow self = {.slept_for = -1};
    counting source = {.count = 10};
    size_t count = 99;
    skua_chan *chan;
    CHECK_INT(skua_stream_count(skua_stream_map(count_to(&source), slow_once, &self, 8), &count,
                                skua_after(SKUA_MS(1))),
              -ETIMEDOUT);
    CHECK_INT(count, 0);
    CHECK_INT(source.closed, 1);
    CHECK_INT(skua_chan_create(&chan, sizeof(int64_t), 1), 0);
    send_to(chan, 1);
    CHECK_INT(skua_stream_count(skua_stream_from_chan(chan, sizeof(int64_t)), &count, SKUA_NOW),
              -EAGAIN);
    CHECK_INT(count, 1);
    skua_chan_release(chan, SKUA_SENDER);
    return 0;
}

static void a_sink_has_a_deadline(void **state)
{
    run_on_1_2_4(sink_late_body);
}

/* --- elsewhere -------------------------------------------------------------------------------- */

static void *use_outside(void *arg)
{
    CHECK_STREAM(skua_stream_filter(ten(), is_even, NULL), 0, 0, 2, 4, 6, 8);
    int64_t sum = 0;
    CHECK_INT(skua_stream_reduce(ten(), add_up, NULL, &sum, skua_after(SKUA_SEC(100))), 0);
    CHECK_INT(sum, 45);
    CHECK_EMPTY(skua_stream_buffer(ten(), 2), -EPERM); /* has a task */
    CHECK_EMPTY(skua_stream_generate(three, NULL, sizeof sum), -EPERM);
    return NULL;
}

static void foreign_threads_may_use_what_has_no_tasks(void **state)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, use_outside, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

/* In a child that the program forked nobody will ever answer. */
static int forked_body(void *arg)
{
    int64_t item = 0;
    size_t count;
    gate ended = 0;
    SKUA_STREAM(stream);
    SKUA_GEN(gen);
    stream = skua_stream_generate(three, &ended, sizeof item);
    CHECK_INT(skua_gen_open(&gen, three, &ended, sizeof item), 0);
    CHECK_INT(skua_gen_next(gen, &item, SKUA_FOREVER), 1);
    pid_t child = fork();
    if (child == 0) {
        skua_gen *none = NULL;
        bool is_refused = skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER) == -ESHUTDOWN &&
                          skua_gen_next(gen, &item, SKUA_FOREVER) == -ESHUTDOWN &&
                          skua_gen_open(&none, three, NULL, 8) == -ESHUTDOWN &&
                          skua_stream_count(stream, &count, SKUA_FOREVER) == -ESHUTDOWN &&
                          skua_gen_finish(&gen, 0) == -ESHUTDOWN && ten() == NULL;
        skua_stream_close(&stream);
        skua_gen_close(&gen);
        _exit(is_refused ? 0 : 1);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    return 0;
}

static void a_forked_child_is_refused(void **state)
{
    run_on_1_2_4(forked_body);
}

static int null_body(void *arg)
{
    counting source = {0};
    size_t count = 0;
    int64_t item = 0;
    skua_stream *links[] = {count_to(&source), NULL};
    skua_stream *none = skua_stream_map(
        skua_stream_take(skua_stream_batch(skua_stream_filter(NULL, is_even, NULL), 16, 8, 0), 1),
        square, NULL, 8);
    CHECK_PTR(none, NULL);
    CHECK_PTR(skua_stream_chain(links, 2), NULL);
    CHECK_INT(source.closed, 1);
    CHECK_PTR(skua_stream_zip(count_to(&source), NULL, 16, 8), NULL);
    CHECK_INT(source.closed, 2);
    links[0] = count_to(&source);
    CHECK_PTR(skua_stream_merge(links, 2), NULL);
    CHECK_INT(source.closed, 3);
    CHECK_INT(skua_stream_next(none, SKUA_ITEM(item), SKUA_FOREVER), -ENOMEM);
    CHECK_INT(skua_stream_count(none, &count, SKUA_FOREVER), -ENOMEM);
    CHECK_INT(skua_stream_first(none, SKUA_ITEM(item), SKUA_FOREVER), -ENOMEM);
    skua_stream_close(&none);
    return 0;
}

static void what_could_not_be_built_says_so_at_the_sink(void **state)
{
    run_on(1, null_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sources_give_their_items_and_end),
        TEST(a_ticker_ticks),
        TEST(operators_do_what_they_say),
        TEST(take_asks_no_further),
        TEST(streams_are_put_together),
        TEST(chains_may_be_long),
        TEST(batches_fill_by_number_and_by_time),
        TEST(pace_is_kept),
        TEST(a_failure_ends_the_stream),
        TEST(a_call_that_is_interrupted_is_made_again),
        TEST(a_chain_that_never_waits_can_be_cancelled),
        TEST(leaving_early_cleans_up_the_whole_chain),
        TEST(sinks_drive_and_close),
        TEST(a_sink_has_a_deadline),
        TEST(foreign_threads_may_use_what_has_no_tasks),
        TEST(a_forked_child_is_refused),
        TEST(what_could_not_be_built_says_so_at_the_sink),
    };
    return TEST_RUN(tests);
}
