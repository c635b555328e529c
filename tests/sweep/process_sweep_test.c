/* Processes and signals, disturbed wherever they are waited for: no byte, no end and no signal is
   lost, and no process is left. In real time. */
#include "sweep.h"

#include <skua/io.h>
#include <skua/process.h>
#include <skua/signal.h>

enum { PIPE_BYTES = 4096, MUCH_BYTES = 3 * PIPE_BYTES };

static skua_process *process;
static skua_signal *listener;
static gate went_in, came_out;
static char much[MUCH_BYTES];

static const skua_process_opts both_pipes = {.in = {.kind = SKUA_STDIO_PIPE},
                                             .out = {.kind = SKUA_STDIO_PIPE}};

static void until_back(void)
{
    while (!sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

static void begin(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    process = NULL;
    went_in = came_out = 0;
    SAME(skua_process_start(&process, argv, &both_pipes, SKUA_FOREVER), 0);
}

static void close_process(int status)
{
    skua_process_close(process);
}

/* --- starting and ending ---------------------------------------------------------------------- */

static void nothing(void) {}
static void nothing_is_left(int status) {}

static int start_one(skua_time start_by)
{
    process = NULL;
    const int status = skua_process_start(&process, SKUA_ARGV("true"), NULL, start_by);
    if (status == 0) {
        skua_process_close(process);
    }
    return status;
}

static void begin_one_that_reads(void)
{
    begin("read x; exit 5");
}

static void let_it_end(void)
{
    skua_process_close_fd(process, 0);
}

static int wait_for_end(skua_time deadline)
{
    skua_process_status how = {0};
    const int status = skua_process_wait(process, &how, deadline);
    SAME(how.code, status == 0 ? 5 : 0);
    return status;
}

/* It has to be killed, or its input closed. */
static void begin_one_that_will_not(void)
{
    char ready;
    begin("trap '' TERM; echo; read x");
    SAME(skua_process_read(process, 1, &ready, 1, SKUA_FOREVER), 1);
}

static int end_it(skua_time grace)
{
    return skua_process_end(process, NULL, grace);
}

static void it_has_ended(int status)
{
    SAME(skua_process_wait(process, NULL, status < 0 ? SKUA_FOREVER : SKUA_NOW), 0);
    close_process(status);
}

/* --- pipes ------------------------------------------------------------------------------------ */

static void begin_echo(void)
{
    begin("exec cat");
}

static void write_a_byte(void)
{
    went_in++;
    SAME(skua_process_write(process, "x", 1, NULL, SKUA_FOREVER), 0);
}

static int read_some(skua_time deadline)
{
    char bytes[8];
    const ssize_t status = skua_process_read(process, 1, bytes, sizeof bytes, deadline);
    came_out += status > 0 ? (int)status : 0;
    return (int)status;
}

static void all_came_out(int status)
{
    while (came_out < went_in) {
        SAME(read_some(SKUA_FOREVER) > 0, true);
    }
    close_process(status);
}

static bool is_stopped(void)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)skua_process_pid(process));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    return got > 0 && strrchr(text, ')')[2] == 'T';
}

static void begin_one_that_stands_still(void)
{
    begin("kill -STOP $$; exec wc -c");
    SAME(fcntl(skua_process_fd_of(process, 0), F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    while (!is_stopped()) {
        (void)!skua_yield();
    }
}

static void let_it_go_on(void)
{
    SAME(skua_process_kill(process, SIGCONT), 0);
}

static int write_much(skua_time deadline)
{
    size_t written = 0;
    const int status = skua_process_write(process, much, sizeof much, &written, deadline);
    went_in += (int)written;
    SAME(status == 0 ? written : sizeof much, sizeof much);
    return status;
}

/* It counts what it was given. */
static void all_was_written(int status)
{
    char text[32] = {0};
    let_it_go_on();
    skua_process_close_fd(process, 0);
    SAME(skua_process_read(process, 1, text, sizeof text - 1, SKUA_FOREVER) > 0, true);
    SAME(atoi(text), went_in);
    close_process(status);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void listen_to_one(void)
{
    went_in = came_out = 0;
    SAME(skua_signal_open(&listener, SKUA_SIGNALS(SIGUSR1)), 0);
}

static void send_one(void)
{
    went_in++;
    SAME(raise(SIGUSR1), 0);
}

static int hear_one(skua_time deadline)
{
    skua_signal_info info = {0};
    const int status = skua_signal_wait(listener, &info, deadline);
    came_out += (int)info.count;
    return status;
}

static void all_were_heard(int status)
{
    while (came_out < went_in) {
        SAME(hear_one(SKUA_FOREVER), 1);
    }
    SAME(came_out, went_in);
    skua_signal_close(listener);
}

/* --- the table -------------------------------------------------------------------------------- */

enum { LONE = SWEEP_REAL | SWEEP_ALONE };

static const swept entries[] = {
    {"skua_process_start", nothing, start_one, nothing, nothing_is_left, .done = 0,
     .await = until_back, .flags = LONE | SWEEP_NO_DEADLINE | SWEEP_AWAITS},
    {"skua_process_wait", begin_one_that_reads, wait_for_end, let_it_end, close_process, .done = 0,
     .await = until_back, .flags = LONE},
    {"skua_process_end", begin_one_that_will_not, end_it, let_it_end, it_has_ended, .done = 0,
     .late = SWEEP_FINE, .await = until_back, .flags = LONE | SWEEP_AWAITS | SWEEP_NO_NOW},
    {"skua_process_read", begin_echo, read_some, write_a_byte, all_came_out, .done = 1,
     .await = until_back, .flags = LONE},
    {"skua_process_write", begin_one_that_stands_still, write_much, let_it_go_on, all_was_written,
     .done = 0, .await = until_back, .flags = LONE},
    {"skua_signal_wait", listen_to_one, hear_one, send_one, all_were_heard, .done = 1,
     .await = until_back, .flags = LONE},
};

/* covers: B12 */
static void processes_and_signals_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(processes_and_signals_are_swept)};
    return TEST_RUN(tests);
}
