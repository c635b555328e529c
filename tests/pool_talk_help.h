/* tests/pool_talk_help.h: what the suites of talking jobs share: calls in tasks of their own, with
   options, and buffers as items. */
#ifndef SKUA_TESTS_POOL_TALK_HELP_H
#define SKUA_TESTS_POOL_TALK_HELP_H

#include "pool_help.h"

#include "pool/talk.h"
#include "pool/worker.h"

#include <skua/chan.h>
#include <skua/pool_watch.h>

/* A call with options, in a task. */
struct talking {
    skua_pool *pool;
    const skua_job *job;
    skua_bytes in;
    skua_call_opts opts;
    skua_time deadline;
    skua_task *task;
    skua_chan *channels[SKUA_POOL_CHANNELS_MAX];
    int64_t answer; /* if it is a number */
};

static inline int talking_task(void *arg)
{
    struct talking *talking = arg;
    skua_buf out;
    int status = skua_pool_call_with(talking->pool, talking->job, talking->in, &talking->opts, &out,
                                     talking->deadline);
    if (out.bytes == sizeof talking->answer) {
        memcpy(&talking->answer, out.data, sizeof talking->answer);
    }
    skua_buf_release(&out);
    return status;
}

static inline void start_talking(struct talking *talking)
{
    talking->opts.channels = talking->channels;
    while (talking->opts.channel_count < SKUA_POOL_CHANNELS_MAX &&
           talking->channels[talking->opts.channel_count] != NULL) {
        talking->opts.channel_count++;
    }
    CHECK_INT(skua_spawn(&talking->task, talking_task, talking, NULL), 0);
}

/* The call's result; its message goes to text[], which may be NULL. */
static inline int end_talking_with(struct talking *talking, char *text, size_t text_bytes)
{
    int result;
    CHECK_INT(skua_join(talking->task, &result, FOREVER), 0);
    const skua_error *error = skua_task_error(talking->task);
    if (text != NULL) {
        snprintf(text, text_bytes, "%s", error != NULL ? error->text : "");
    }
    skua_task_release(talking->task);
    return result;
}

static inline int end_talking(struct talking *talking)
{
    return end_talking_with(talking, NULL, 0);
}

static inline skua_chan *open_chan(size_t capacity)
{
    skua_chan *chan = NULL;
    CHECK_INT(skua_chan_create(&chan, sizeof(skua_buf), capacity), 0);
    return chan;
}

static inline void free_chan(skua_chan *chan)
{
    skua_chan_release(chan, SKUA_SENDER | SKUA_RECEIVER);
}

/* The byte of item `number` at that place. */
static inline char byte_of(uint64_t number, size_t place)
{
    return (char)(number * 31 + place / 7 + place);
}

static inline void fill_item(char *data, size_t bytes, uint64_t number)
{
    for (size_t i = 0; i < bytes; i++) {
        data[i] = byte_of(number, i);
    }
}

static inline bool is_item(const char *data, size_t bytes, uint64_t number)
{
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != byte_of(number, i)) {
            return false;
        }
    }
    return true;
}

static inline skua_buf make_item(skua_pool *pool, size_t bytes, uint64_t number)
{
    skua_buf item;
    CHECK_INT(skua_pool_alloc(pool, &item, bytes, FOREVER), 0);
    CHECK_INT(item.bytes, bytes);
    fill_item(item.data, bytes, number);
    return item;
}

static inline void send_item(skua_chan *chan, skua_buf item)
{
    CHECK_INT(skua_chan_send(chan, SKUA_ITEM(item), FOREVER), 0);
}

/* Until so many wait in the channel, to send and to receive. */
static inline void await_waiting(skua_chan *chan, size_t senders, size_t receivers)
{
    skua_chan_statistics stats;
    do {
        CHECK_INT(skua_yield(), 0);
        skua_chan_stats(chan, &stats);
    } while (stats.waiting_senders != senders || stats.waiting_receivers != receivers);
}

/* No buffer is on loan any more, and the pool is gone. */
static inline void close_pool(skua_pool *pool)
{
    skua_pool_stats stats;
    skua_pool_stats_get(pool, &stats);
    CHECK_INT(stats.loans, 0);
    skua_pool_destroy(pool);
}

static inline void run_on_workers(uint32_t workers, skua_fn fn)
{
    const skua_config config = {.workers = workers};
    CHECK_INT(skua_run(&config, fn, NULL), 0);
}

static inline void run_on_some(skua_fn fn)
{
    run_on_workers(1, fn);
    run_on_workers(2, fn);
    run_on_workers(4, fn);
}

#endif
