/* skua/process.h: other programs, started, talked to, waited for and ended by tasks.

     skua_process *process = NULL;
     const skua_process_opts opts = {.out = {.kind = SKUA_STDIO_PIPE}};
     status = skua_process_start(&process, SKUA_ARGV("ls", "-l"), &opts, SKUA_FOREVER);
     while ((got = skua_process_read(process, 1, text, sizeof text, SKUA_FOREVER)) > 0) { ... }
     status = skua_process_wait(process, &how, SKUA_FOREVER);
     skua_process_close(process);

   A process is one of a parent that Skua makes for it, which shares the memory of the program: the
   program gets no SIGCHLD for it, and its own wait(-1) does not find it. What the program is at the
   moment of the start (user, limits, directory, session) the process inherits. It gets the standard
   streams and the fds that it is given and no others, default actions for all signals, and none
   of them blocked.

   Nothing is left behind: a process is killed when its handle is closed, when the runtime ends, and
   by the kernel when the program itself is killed, unless it was started with `outlives`; its end
   is always awaited by somebody, so there are no zombies. In a forked child all calls return
   -ESHUTDOWN. */
#ifndef SKUA_PROCESS_H
#define SKUA_PROCESS_H

#include <skua/select.h>
#include <sys/resource.h>

SKUA_BEGIN_DECLS

typedef struct skua_process skua_process;

/* What a standard stream of the process is. */
typedef enum skua_stdio_kind {
    SKUA_STDIO_SAME,   /* the program's own; on a terminal (below), that */
    SKUA_STDIO_NULL,   /* /dev/null */
    SKUA_STDIO_PIPE,   /* a pipe; the handle has its other end */
    SKUA_STDIO_FD,     /* `fd`, which stays the caller's */
    SKUA_STDIO_FILE,   /* `path`: read, or written from its beginning, made if it is not there */
    SKUA_STDIO_APPEND, /* `path`: written at its end */
    SKUA_STDIO_OUTPUT, /* for standard error: where standard output goes */
} skua_stdio_kind;

typedef struct skua_stdio {
    skua_stdio_kind kind;
    int fd;
    const char *path; /* seen from the program's directory */
} skua_stdio;

/* A further fd: `fd` of the program is `number` (> 2) of the process. It stays the caller's. */
typedef struct skua_process_fd {
    int fd;
    int number;
} skua_process_fd;

/* As setrlimit(2) has it: {RLIMIT_AS, {soft, hard}}. */
typedef struct skua_process_limit {
    int resource;
    struct rlimit limit;
} skua_process_limit;

/* How to start. Zero everywhere is the default, and so is NULL. */
typedef struct skua_process_opts {
    const char *const *env; /* "NAME=value"..., NULL; NULL: the program's environment */
    const char *directory;  /* NULL: the program's */
    skua_stdio in, out, err;
    const skua_process_fd *fds;
    size_t fd_count;
    const skua_process_limit *limits;
    size_t limit_count;
    bool new_group;   /* in a process group of its own: signals reach those that it starts, too */
    bool new_session; /* in a session of its own, without a terminal, and so in a new group */
    bool terminal;    /* in a session of its own, on a new terminal (pty) that the handle has */
    uint16_t rows, columns; /* of the terminal; 0: 24, 80 */
    bool outlives;          /* closing the handle, and the program's end, leave it running */
} skua_process_opts;

/* How a process has ended. */
typedef struct skua_process_status {
    int code;      /* of its exit, 0 to 255; -1 if a signal has ended it */
    int signal;    /* which did, else 0 */
    bool has_core; /* and has left a core dump */
} skua_process_status;

/* Arguments in place: SKUA_ARGV("ls", "-l"). */
#define SKUA_ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Start argv[0] with the arguments argv, which end with NULL. A name without a slash is looked for
   along PATH (the program's). `start_by` is for the beginning only. Returns 0, or what has failed:
   execve (-ENOENT, -EACCES, -ENOEXEC, ...), the directory, a file, an fd (-EBADF), a limit;
   -EMFILE, -EAGAIN (no more processes; or SKUA_NOW, since it has to wait), -ENOMEM, -EINVAL,
   -ETIMEDOUT, -ECANCELED, -EPERM (foreign thread), -ESHUTDOWN. *out is written only on success.
   Call from: a task. May switch, until the new program is in place. Cancel: once begun its result
   is awaited and told. Cost: two threads for the kernel, one of the program and one as the parent,
   for as long as it runs; a worker waits for neither. */
int skua_process_start(skua_process **out, const char *const argv[], const skua_process_opts *opts,
                       skua_time start_by) SKUA_MUST_CHECK;

/* Its number. Once the process has ended that may be another's: signals go by the handle.
   Call from anywhere. */
pid_t skua_process_pid(const skua_process *process);

/* The program's end of the pipe that is the process's stream `number` (0, 1, 2), as an adopted fd
   for skua_read(), skua_write(), skua_wait_fd(); of a process on a terminal its other side. It
   belongs to the handle. -1: there is none. Call from: a task. */
int skua_process_fd_of(const skua_process *process, int number);

/* Close it before the handle is closed: of 0, so that the process reads the end of its input. That
   of a terminal hangs it up. Does nothing if there is none. Call from: a task. Never switches. */
void skua_process_close_fd(skua_process *process, int number);

/* skua_read() from its stream `number` (1 or 2), where a terminal whose last user has gone reads as
   the end (0), not as -EIO. -EBADF: there is no pipe. Call from: a task. May switch. */
ssize_t skua_process_read(skua_process *process, int number, void *buffer, size_t bytes,
                          skua_time deadline) SKUA_MUST_CHECK;

/* skua_write_all() to its standard input, where a process that reads no more is -EPIPE and never
   SIGPIPE. Call from: a task. May switch. */
int skua_process_write(skua_process *process, const void *buffer, size_t bytes, size_t *written,
                       skua_time deadline) SKUA_MUST_CHECK;

/* Wait until it has ended. Any number may wait, any number of times. *status may be NULL. Returns
   0, -ETIMEDOUT, -EAGAIN, -ECANCELED, or -ECHILD: its parent was killed, nobody knows how it
   ended.
   Call from: a task or a foreign thread. May switch. Cancel: loses nothing; the process goes on. */
int skua_process_wait(skua_process *process, skua_process_status *status, skua_time deadline)
    SKUA_MUST_CHECK;

/* A case for skua_select(): the process has ended; its result is 0, or -ECHILD. */
extern const struct skua__waitable skua_process_ends;
#define SKUA_EXITED(process_)                                                                      \
    {                                                                                              \
        .kind = SKUA_CASE_WAITABLE, .waitable = &skua_process_ends, .object = (process_)           \
    }

/* Send a signal to it, or to all of its group if it has one of its own. Never to a stranger that
   has got its number. Returns 0, -ESRCH (it has ended), -EINVAL, -EPERM.
   Call from: a task or a foreign thread. Never switches. */
int skua_process_kill(skua_process *process, int number) SKUA_MUST_CHECK;

/* End it: SIGTERM, and, if it is still there at the moment `grace` (SKUA_NOW: at once) or when the
   caller is cancelled, SIGKILL, whose effect is awaited. If it has a group of its own, what is left
   of that when it ends is killed at once. Returns 0, -ECHILD, with its *status (NULL: none); also
   if it had ended by itself.
   Call from: a task. May switch. Cancel: kills now. */
int skua_process_end(skua_process *process, skua_process_status *status, skua_time grace)
    SKUA_MUST_CHECK;

/* Give the handle back, with its pipes. A process that still runs is killed, with its group if it
   has one of its own, and its end awaited in the background; one that was started with `outlives`
   runs on. NULL is allowed. Nobody may be using the handle.
   Call from: a task. Never switches. */
void skua_process_close(skua_process *process);

/* Another size of its terminal (SIGWINCH tells it). Returns 0, -ENOTTY (it has none).
   Call from: a task. Never switches. */
int skua_process_resize(skua_process *process, uint16_t rows, uint16_t columns) SKUA_MUST_CHECK;

/* --- all of it in one call -------------------------------------------------------------------- */

typedef struct skua_process_run {
    /* Given. */
    const void *input; /* for its standard input, unless NULL */
    size_t input_bytes;
    size_t output_max; /* bytes of each output; 0: 1 MiB */
    int64_t grace_ns;  /* between SIGTERM and SIGKILL; 0: 1 s */
    /* Got; to be given back by skua_process_run_free(). The texts end with a zero besides. */
    char *output, *error;
    size_t output_bytes, error_bytes;
    skua_process_status status;
} skua_process_run;

/* Start it, write the input, read both outputs at the same time, wait for its end. Outputs that
   `opts` leave at zero are read; of others nothing is. Returns 0 when it has ended by itself,
   however that was (run->status); -EFBIG if an output got too large, -ETIMEDOUT, -ECANCELED,
   -ENOMEM, for which it is ended as by skua_process_end(), under a shield; -ECHILD; or what
   skua_process_start() gives. What was read until then is in `run`, unless it was not started. That
   it did not read all of the input is no failure. With SKUA_NOW -EAGAIN.
   Call from: a task. May switch. Cancel: it is ended. */
int skua_process_run_all(skua_process_run *run, const char *const argv[],
                         const skua_process_opts *opts, skua_time deadline) SKUA_MUST_CHECK;

/* Free the outputs, and zero them. Call from anywhere. */
void skua_process_run_free(skua_process_run *run);

SKUA_END_DECLS
#endif
