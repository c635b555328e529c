/* tests/reader_help.h: a transport that gives and takes what a script says, and keeps account. */
#ifndef SKUA_TESTS_READER_HELP_H
#define SKUA_TESTS_READER_HELP_H

#include "io_help.h"

/* One call of the transport: a text to read, a number of bytes to take, or a failure. */
struct act {
    const char *text;
    ssize_t result; /* < 0: fails so; writes: takes so many at most */
};

#define GIVES(text_)                                                                               \
    {                                                                                              \
        .text = (text_)                                                                            \
    }
#define SAYS(result_)                                                                              \
    {                                                                                              \
        .result = (result_)                                                                        \
    }

enum { SCRIPT_BYTES = 64 * 1024 };

struct script {
    const struct act *acts;
    size_t count, next;
    size_t calls, flushes, ends;
    size_t most; /* the largest number of bytes that a read had room for */
    int flush_status;
    char taken[SCRIPT_BYTES];
    size_t taken_bytes;
};

static inline ssize_t script_read(void *object, void *buffer, size_t bytes, skua_time deadline)
{
    struct script *script = object;
    script->calls++;
    script->most = bytes > script->most ? bytes : script->most;
    if (script->next == script->count) {
        return 0;
    }
    const struct act *act = &script->acts[script->next++];
    if (act->text == NULL) {
        return act->result;
    }
    CHECK(strlen(act->text) <= bytes);
    memcpy(buffer, act->text, strlen(act->text));
    return (ssize_t)strlen(act->text);
}

/* Behind the last act all is taken. */
static inline ssize_t script_write(void *object, const struct iovec *parts, size_t count,
                                   skua_time deadline)
{
    struct script *script = object;
    size_t room = SCRIPT_BYTES - script->taken_bytes;
    script->calls++;
    if (script->next < script->count) {
        const struct act *act = &script->acts[script->next++];
        if (act->result < 0) {
            return act->result;
        }
        room = (size_t)act->result;
    }
    const size_t before = script->taken_bytes;
    for (size_t i = 0; i < count && room > 0; i++) {
        const size_t bytes = parts[i].iov_len < room ? parts[i].iov_len : room;
        memcpy(script->taken + script->taken_bytes, parts[i].iov_base, bytes);
        script->taken_bytes += bytes;
        room -= bytes;
    }
    return (ssize_t)(script->taken_bytes - before);
}

static inline int script_flush(void *object, skua_time deadline)
{
    struct script *script = object;
    script->flushes++;
    return script->flush_status;
}

static inline int script_close_write(void *object, skua_time deadline)
{
    struct script *script = object;
    script->ends++;
    return 0;
}

static inline void script_close(void *object) {}

static const skua_transport_ops script_ops = {.read = script_read,
                                              .write = script_write,
                                              .flush = script_flush,
                                              .close_write = script_close_write,
                                              .close = script_close};

static inline skua_transport script_transport(struct script *script, const struct act *acts,
                                              size_t count)
{
    memset(script, 0, sizeof *script);
    script->acts = acts;
    script->count = count;
    return (skua_transport){.ops = &script_ops, .object = script};
}

#define SCRIPT(script, acts) script_transport((script), (acts), sizeof(acts) / sizeof((acts)[0]))

/* Reads and writes end at once in these tests unless they say otherwise. */
#define SOON skua_after(SKUA_SEC(20))

static inline void same_view(skua_view view, const char *text)
{
    CHECK_INT(view.bytes, strlen(text));
    CHECK_INT(memcmp(view.data, text, view.bytes), 0);
}

static inline void open_reader(skua_reader *reader, skua_transport transport, size_t bytes)
{
    const skua_reader_opts opts = {.buffer_bytes = bytes};
    CHECK_INT(skua_reader_open(reader, transport, &opts), 0);
}

static inline void open_writer(skua_writer *writer, skua_transport transport, size_t bytes)
{
    const skua_writer_opts opts = {.buffer_bytes = bytes};
    CHECK_INT(skua_writer_open(writer, transport, &opts), 0);
}

#endif
