/* A process from start to end in one call: input in, outputs out, both at once, so that neither
   side waits for the other in vain.

   One task serves all three pipes: it does what can be done without waiting, and then waits for
   whichever of them is ready first. Tasks of their own for each would cost three stacks, and a
   cancel would have to be passed on to them. */
#include "base/mem.h"
#include "process/process.h"

#include <skua/io.h>
#include <skua/runtime.h>
#include <skua/scope.h>
#include <string.h>
#include <unistd.h>

enum { OUTPUT_MAX_DEFAULT = 1 << 20, CHUNK_BYTES = 16384, IS_OPEN = 1 };

static const int64_t GRACE_NS_DEFAULT = SKUA_SEC(1);

struct output {
    int number;
    char *text;
    size_t bytes, room;
};

struct exchange {
    skua_process *process;
    const char *input;
    size_t input_left, output_max;
    struct output outputs[2];
};

/* Room for some more, and for the zero behind it. */
static int make_room(struct output *output, size_t max)
{
    size_t room = output->room == 0 ? CHUNK_BYTES : 2 * output->room;
    if (output->room - output->bytes > 1) {
        return 0;
    }
    room = room - 1 > max ? max + 2 : room; /* one more shows that there is too much */
    char *text = skua__alloc(room);
    if (text == NULL) {
        return -ENOMEM;
    }
    if (output->bytes > 0) {
        memcpy(text, output->text, output->bytes);
    }
    skua__free(output->text);
    output->text = text;
    output->room = room;
    return 0;
}

/* All there is at the moment. 0, IS_OPEN (there may come more), or a failure. */
static int read_some(struct exchange *exchange, struct output *output)
{
    skua_process *process = exchange->process;
    while (skua_process_fd_of(process, output->number) >= 0) {
        int status = make_room(output, exchange->output_max);
        if (status < 0) {
            return status;
        }
        ssize_t got = skua_process_read(process, output->number, output->text + output->bytes,
                                        output->room - output->bytes - 1, SKUA_NOW);
        if (got < 0) {
            return got == -EAGAIN ? IS_OPEN : (int)got;
        }
        output->bytes += (size_t)got;
        if (output->bytes > exchange->output_max) {
            output->bytes = exchange->output_max;
            return -EFBIG;
        }
        if (got == 0) {
            skua_process_close_fd(process, output->number);
        }
    }
    return 0;
}

static bool has_input_pipe(const struct exchange *exchange)
{
    return exchange->process->fds[STDIN_FILENO] >= 0;
}

/* As much as goes in. Who reads no more has had enough. */
static int write_some(struct exchange *exchange)
{
    size_t written = 0;
    if (exchange->input_left > 0 && skua_process_fd_of(exchange->process, STDIN_FILENO) >= 0) {
        int status = skua_process_write(exchange->process, exchange->input, exchange->input_left,
                                        &written, SKUA_NOW);
        exchange->input += written;
        exchange->input_left -= written;
        if (status == -EAGAIN) {
            return IS_OPEN;
        }
        if (status < 0 && status != -EPIPE && status != -EIO) {
            return status;
        }
    }
    exchange->input_left = 0;
    if (has_input_pipe(exchange)) {
        skua_process_close_fd(exchange->process, STDIN_FILENO);
    }
    return 0;
}

static int wait_for_any(struct exchange *exchange, skua_time deadline)
{
    const skua_process *process = exchange->process;
    int in = exchange->input_left > 0 ? skua_process_fd_of(process, STDIN_FILENO) : -1;
    int out = skua_process_fd_of(process, STDOUT_FILENO);
    int error = skua_process_fd_of(process, STDERR_FILENO);
    bool is_one = in == out; /* a terminal */
    bool is_silent = out < 0 && error < 0;
    enum { EXITED = 3 };
    skua_case cases[] = {
        SKUA_READY(is_one ? -1 : in, SKUA_WRITABLE),
        SKUA_READY(out, is_one && in >= 0 ? SKUA_READABLE | SKUA_WRITABLE : SKUA_READABLE),
        SKUA_READY(error, SKUA_READABLE),
        [EXITED] = SKUA_EXITED(is_silent ? exchange->process : NULL),
    };
    int index = skua_select(cases, SKUA_COUNT_OF(cases), 0, deadline);
    if (index == EXITED) {
        exchange->input_left = 0; /* whoever else may have the other end */
        return 0;
    }
    return index < 0 ? index : cases[index].result < 0 ? cases[index].result : 0;
}

/* Until both outputs have ended, and all of the input went in or is not wanted. */
static int talk(struct exchange *exchange, skua_time deadline)
{
    for (;;) {
        int written = write_some(exchange);
        int out = written < 0 ? written : read_some(exchange, &exchange->outputs[0]);
        int error = out < 0 ? out : read_some(exchange, &exchange->outputs[1]);
        if (error < 0 || (written == 0 && out == 0 && error == 0)) {
            return error;
        }
        int status = wait_for_any(exchange, deadline);
        if (status < 0) {
            return status;
        }
    }
}

static void end_with_grace(skua_process *process, skua_process_run *run)
{
    int64_t grace_ns = run->grace_ns != 0 ? run->grace_ns : GRACE_NS_DEFAULT;
    skua_scope shield = {{0}};
    skua_shield_open(&shield, SKUA_FOREVER);
    int status = skua_process_end(process, &run->status, skua_after(grace_ns));
    status = skua_scope_close(&shield, status);
    (void)status; /* it has ended, one way or the other */
}

static void hand_over(const struct output *output, char **text, size_t *bytes)
{
    *text = output->text;
    *bytes = output->bytes;
    if (output->text != NULL) {
        output->text[output->bytes] = '\0';
    }
}

static skua_process_opts complete(const skua_process_run *run, const skua_process_opts *opts)
{
    static const skua_process_opts defaults;
    skua_process_opts full = opts != NULL ? *opts : defaults;
    if (full.terminal) {
        return full; /* one for all three */
    }
    full.in.kind = run->input != NULL ? SKUA_STDIO_PIPE : full.in.kind;
    full.out.kind = full.out.kind == SKUA_STDIO_SAME ? SKUA_STDIO_PIPE : full.out.kind;
    full.err.kind = full.err.kind == SKUA_STDIO_SAME ? SKUA_STDIO_PIPE : full.err.kind;
    return full;
}

int skua_process_run_all(skua_process_run *run, const char *const argv[],
                         const skua_process_opts *opts, skua_time deadline)
{
    const skua_process_opts full = complete(run, opts);
    struct exchange exchange = {
        .input = run->input,
        .input_left = run->input != NULL ? run->input_bytes : 0,
        .output_max = run->output_max != 0 ? run->output_max : OUTPUT_MAX_DEFAULT,
        .outputs = {{.number = STDOUT_FILENO}, {.number = STDERR_FILENO}},
    };
    run->output = run->error = NULL;
    run->output_bytes = run->error_bytes = 0;
    int status = skua_process_start(&exchange.process, argv, &full, deadline);
    if (status < 0) {
        return status;
    }
    status = talk(&exchange, deadline);
    if (status == 0) {
        status = skua_process_wait(exchange.process, &run->status, deadline);
    }
    if (status < 0 && status != -ECHILD) {
        end_with_grace(exchange.process, run);
    }
    hand_over(&exchange.outputs[0], &run->output, &run->output_bytes);
    hand_over(&exchange.outputs[1], &run->error, &run->error_bytes);
    skua_process_close(exchange.process);
    return status;
}

void skua_process_run_free(skua_process_run *run)
{
    skua__free(run->output);
    skua__free(run->error);
    run->output = run->error = NULL;
    run->output_bytes = run->error_bytes = 0;
}
