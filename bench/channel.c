/* What it costs to move an item through a channel: a round trip between two tasks, and a stream
   from one or four producers to as many consumers. */
#define _GNU_SOURCE
#include "on_skua.h"

enum { TASKS_MAX = 4, BOTH_ENDS = SKUA_SENDER | SKUA_RECEIVER };

/* Ping-pong. */

struct table {
    skua_chan *there;
    skua_chan *back;
};

static int echo(void *arg)
{
    const struct table *table = arg;
    uint64_t item;
    int error;
    while ((error = skua_chan_recv(table->there, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        error = skua_chan_send(table->back, SKUA_ITEM(item), SKUA_FOREVER);
        if (error != 0) {
            return error;
        }
    }
    return error;
}

static int bounce(const struct table *table, size_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t item = i;
        int error = skua_chan_send(table->there, SKUA_ITEM(item), SKUA_FOREVER);
        if (error != 0) {
            return error;
        }
        error = skua_chan_recv(table->back, SKUA_ITEM(item), SKUA_FOREVER);
        if (error != 1 || item != i) {
            return error < 0 ? error : -EPROTO;
        }
    }
    return 0;
}

static int play(struct table *table, size_t count, double *value)
{
    skua_task *echoing;
    int error = skua_spawn(&echoing, echo, table, NULL);
    if (error != 0) {
        return error;
    }
    const double start = bench_now_ns();
    error = bounce(table, count);
    *value = bench_ns_each(start, count);
    skua_chan_close(table->there);
    const int join_error = bench_join_all(&echoing, 1);
    return error != 0 ? error : join_error;
}

static int run_ping_pong(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    struct table table = {NULL, NULL};
    int error = skua_chan_create(&table.there, sizeof(uint64_t), 0);
    if (error == 0) {
        error = skua_chan_create(&table.back, sizeof(uint64_t), 0);
    }
    if (error == 0) {
        error = play(&table, job->count, &values[0]);
    }
    skua_chan_release(table.back, BOTH_ENDS);
    skua_chan_release(table.there, BOTH_ENDS);
    return error;
}

/* Streams. */

struct stream {
    skua_chan *chan;
    size_t each; /* items of one producer */
};

static int produce(void *arg)
{
    const struct stream *stream = arg;
    int error = 0;
    for (uint64_t item = 0; item < stream->each && error == 0; item++) {
        error = skua_chan_send(stream->chan, SKUA_ITEM(item), SKUA_FOREVER);
    }
    return error;
}

static int consume(void *arg)
{
    const struct stream *stream = arg;
    uint64_t item;
    int got;
    do {
        got = skua_chan_recv(stream->chan, SKUA_ITEM(item), SKUA_FOREVER);
    } while (got == 1);
    return got;
}

/* Closes the channel when the producers have ended, whether all could be spawned or not. */
static int flow(struct stream *stream, size_t tasks)
{
    skua_task *makers[TASKS_MAX], *takers[TASKS_MAX];
    size_t making = 0, taking = 0;
    int error = 0;
    while (taking < tasks && error == 0) {
        error = skua_spawn(&takers[taking], consume, stream, NULL);
        taking += error == 0;
    }
    while (making < tasks && error == 0) {
        error = skua_spawn(&makers[making], produce, stream, NULL);
        making += error == 0;
    }
    const int make_error = bench_join_all(makers, making);
    skua_chan_close(stream->chan);
    const int take_error = bench_join_all(takers, taking);
    return error != 0 ? error : make_error != 0 ? make_error : take_error;
}

static int run_stream(const bench_job *job, size_t tasks, size_t capacity, double *value)
{
    struct stream stream = {NULL, job->count / tasks};
    int error = skua_chan_create(&stream.chan, sizeof(uint64_t), capacity);
    if (error != 0) {
        return error;
    }
    const double start = bench_now_ns();
    error = flow(&stream, tasks);
    *value = bench_ns_each(start, stream.each * tasks);
    skua_chan_release(stream.chan, BOTH_ENDS);
    return error;
}

static int run_1p1c_0(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_stream(job, 1, 0, &values[0]);
}

static int run_1p1c_128(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_stream(job, 1, 128, &values[0]);
}

static int run_4p4c_0(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_stream(job, 4, 0, &values[0]);
}

static int run_4p4c_128(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    return run_stream(job, 4, 128, &values[0]);
}

static const bench_case cases[] = {
    {.name = "chan-pingpong", .count = 500000, .run = run_ping_pong, .enter = bench_enter_skua},
    {.name = "chan-1p1c-0", .count = 1000000, .run = run_1p1c_0, .enter = bench_enter_skua},
    {.name = "chan-1p1c-128", .count = 2000000, .run = run_1p1c_128, .enter = bench_enter_skua},
    {.name = "chan-4p4c-0", .count = 1000000, .run = run_4p4c_0, .enter = bench_enter_skua},
    {.name = "chan-4p4c-128", .count = 2000000, .run = run_4p4c_128, .enter = bench_enter_skua},
};

int main(int argc, char **argv)
{
    return bench_main_skua(argc, argv, cases, BENCH_COUNT(cases));
}
