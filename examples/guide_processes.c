/* The program of docs/guide/processes.md. */
#include <skua/skua.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All in one call: input in, outputs out, and how it ended. */
static int sort_words(void)
{
    skua_process_run run = {.input = "pear\nfig\napple\n", .input_bytes = 15};
    int status = skua_process_run_all(&run, SKUA_ARGV("sort"), NULL, skua_after(SKUA_SEC(10)));
    if (status == 0) {
        printf("sort ended with %d and said:\n%s", run.status.code, run.output);
    }
    skua_process_run_free(&run);
    return status;
}

/* One that is talked to while it runs. */
static int calculate(void)
{
    char answer[32] = "";
    skua_process *shell = NULL;
    const skua_process_opts opts = {
        .in = {.kind = SKUA_STDIO_PIPE},
        .out = {.kind = SKUA_STDIO_PIPE},
        .err = {.kind = SKUA_STDIO_NULL},
        .directory = "/",
    };
    const char *script = "while read a b; do echo $((a * b)); done";
    int status = skua_process_start(&shell, SKUA_ARGV("/bin/sh", "-c", script), &opts,
                                    skua_after(SKUA_SEC(10)));
    if (status < 0) {
        return status; /* -ENOENT: there is no such program */
    }
    status = skua_process_write(shell, "6 7\n", 4, NULL, skua_after(SKUA_SEC(10)));
    if (status == 0) {
        status =
            (int)skua_process_read(shell, 1, answer, sizeof answer - 1, skua_after(SKUA_SEC(10)));
    }
    if (status > 0) {
        printf("6 times 7 is %s", answer);
    }
    skua_process_close(shell); /* it still runs, and is killed */
    return status < 0 ? status : 0;
}

static void tell(const char *who, const skua_process_status *how)
{
    if (how->signal != 0) {
        printf("%s was ended by signal %d\n", who, how->signal);
    } else {
        printf("%s ended with %d\n", who, how->code);
    }
}

/* One that does not hear SIGTERM, and one that cleans up first. */
static int end_two(void)
{
    const char *const scripts[] = {
        "trap '' TERM; echo ready; while :; do sleep 0.1; done",
        "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done",
    };
    const char *const names[] = {"the deaf one", "the tidy one"};
    const int64_t graces[] = {SKUA_MS(50), SKUA_SEC(10)};
    const skua_process_opts opts = {
        .out = {.kind = SKUA_STDIO_PIPE}, .err = {.kind = SKUA_STDIO_NULL}, .new_group = true};
    int status = 0;
    for (int i = 0; status >= 0 && i < 2; i++) {
        char ready[6];
        skua_process *process = NULL;
        skua_process_status how = {0};
        status = skua_process_start(&process, SKUA_ARGV("/bin/sh", "-c", scripts[i]), &opts,
                                    SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
        status = (int)skua_process_read(process, 1, ready, sizeof ready, SKUA_FOREVER);
        if (status > 0) {
            status = skua_process_end(process, &how, skua_after(graces[i]));
            tell(names[i], &how);
        }
        skua_process_close(process);
    }
    return status;
}

/* On a terminal of its own. */
static int ask_for_size(void)
{
    char line[64] = "";
    skua_process *process = NULL;
    const skua_process_opts opts = {.terminal = true, .rows = 40, .columns = 100};
    int status = skua_process_start(&process, SKUA_ARGV("stty", "size"), &opts, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    size_t bytes = 0;
    ssize_t got;
    while ((got = skua_process_read(process, 1, line + bytes, sizeof line - 1 - bytes,
                                    SKUA_FOREVER)) > 0) {
        bytes += (size_t)got;
    }
    line[strcspn(line, "\r\n")] = '\0';
    printf("its terminal has: %s\n", line);
    skua_process_close(process);
    return got < 0 ? (int)got : 0;
}

/* Whichever comes first: a signal, the end of the process, a moment. */
static int watch(void)
{
    skua_signal *signals = NULL;
    skua_process *process = NULL;
    int status = skua_signal_open(&signals, SKUA_SIGNALS(SIGHUP, SIGTERM));
    if (status < 0) {
        return status;
    }
    char script[32];
    snprintf(script, sizeof script, "kill -HUP %d; exit 7", (int)getpid());
    status = skua_process_start(&process, SKUA_ARGV("/bin/sh", "-c", script), NULL, SKUA_FOREVER);
    bool was_told = false, has_ended = false;
    while (status >= 0 && !(was_told && has_ended)) {
        skua_signal_info info;
        skua_process_status how;
        skua_case cases[] = {
            SKUA_SIGNALED(was_told ? NULL : signals),
            SKUA_EXITED(was_told ? process : NULL),
            SKUA_AT(skua_after(SKUA_SEC(10))),
        };
        status = skua_select(cases, 3, 0, SKUA_FOREVER);
        if (status == 0 && skua_signal_wait(signals, &info, SKUA_NOW) == 1) {
            printf("signal %d, %u time\n", info.number, (unsigned)info.count);
            was_told = true;
        } else if (status == 1 && skua_process_wait(process, &how, SKUA_NOW) == 0) {
            tell("the sender", &how);
            has_ended = true;
        } else if (status == 2) {
            status = -ETIMEDOUT;
        }
    }
    skua_process_close(process);
    skua_signal_close(signals);
    return status < 0 ? status : 0;
}

static int program(void *arg)
{
    int (*const parts[])(void) = {sort_words, calculate, end_two, ask_for_size, watch};
    int status = 0;
    (void)arg;
    for (size_t i = 0; status >= 0 && i < sizeof parts / sizeof parts[0]; i++) {
        status = parts[i]();
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
