/* tests/stream_help.h: sources and functions that the suites of streams share. */
#ifndef SKUA_TESTS_STREAM_HELP_H
#define SKUA_TESTS_STREAM_HELP_H

#include "tasks.h"

#include <skua/chan.h>
#include <skua/collect.h>
#include <skua/stream.h>

/* A source that counts what happens to it: 0, 1, 2... up to `count`, then `end`. */
typedef struct counting {
    int64_t count, given;
    int end; /* 0, or a failure */
    gate closed;
    gate asked;
} counting;

static inline int counting_next(void *context, void *item, skua_time deadline)
{
    counting *self = context;
    int status = skua_yield();
    atomic_fetch_add(&self->asked, 1);
    if (status < 0) {
        return status;
    }
    if (self->given == self->count) {
        return self->end;
    }
    memcpy(item, &self->given, sizeof self->given);
    self->given++;
    return 1;
}

static inline void counting_close(void *context)
{
    atomic_fetch_add(&((counting *)context)->closed, 1);
}

static inline skua_stream *count_to(counting *self)
{
    const skua_source source = {counting_next, counting_close, self, sizeof(int64_t)};
    return skua_stream_from(&source);
}

/* Functions of a program. */
static inline int square(void *context, const void *item, void *out)
{
    int64_t value = *(const int64_t *)item;
    *(int64_t *)out = value * value;
    return 0;
}

static inline int square_later(void *context, const void *item, void *out)
{
    int status = skua_sleep(skua_after(SKUA_US(20)));
    return status < 0 ? status : square(context, item, out);
}

static inline int is_even(void *context, const void *item)
{
    return *(const int64_t *)item % 2 == 0;
}

static inline int is_below(void *context, const void *item)
{
    return *(const int64_t *)item < *(const int64_t *)context;
}

static inline int add_up(void *context, void *state, const void *item)
{
    *(int64_t *)state += *(const int64_t *)item;
    return 0;
}

/* What a stream of int64_t gives, against a list; and its end. Closes it. */
static inline void check_stream(const char *file, int line, skua_stream *stream,
                                const int64_t *want, size_t count, int end)
{
    int64_t item = 0;
    for (size_t i = 0; i < count; i++) {
        test_int(file, line, "status", skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), 1);
        test_int(file, line, "item", item, want[i]);
    }
    for (int i = 0; i < 2; i++) {
        test_int(file, line, "end", skua_stream_next(stream, SKUA_ITEM(item), SKUA_FOREVER), end);
    }
    skua_stream_close(&stream);
    test_ptr(file, line, "stream", stream, NULL);
}

#define CHECK_STREAM(stream, end, ...)                                                             \
    check_stream(__FILE__, __LINE__, (stream), (const int64_t[]){__VA_ARGS__},                     \
                 sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (end))
#define CHECK_EMPTY(stream, end) check_stream(__FILE__, __LINE__, (stream), NULL, 0, (end))

#endif
