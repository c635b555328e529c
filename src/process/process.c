/* Handles of processes: starting, waiting, signalling, closing.

   Invariants
   (H1) What the birth points to is the caller's until the start is over, so the start is awaited
        whatever happens, as a call on the blocking pool is. It is over with the child's exec.
   (H2) The state changes under the handle's lock, by the keeper only; who has found it too early
        under that lock is in the list of waiters before the keeper can get there.
   (H3) Our ends of pipes are closed by the program only; the keeper knows nothing of them.

   A worker waits for none of this: making the parent, the exec of a program that has to be read
   from a disk, and the reaping are the keeper's and the parent's. */
#include "process/process.h"
#include "base/mem.h"
#include "base/panic.h"
#include "io/call.h"
#include "io/stream.h"
#include "process/call.h"

#include <signal.h>
#include <skua/io.h>
#include <skua/runtime.h>
#include <stdio.h>
#include <unistd.h>

/* --- waiting ---------------------------------------------------------------------------------- */

/* One wait: 0 (look again), or why there will be no other. */
static int wait_once(struct skua_process *process, enum skua__wait_kind kind, skua_time deadline)
{
    struct skua__wait wait;
    struct skua__waiter waiter;
    skua__wait_begin_for(&wait, kind, "a process");
    skua__waiter_init(&waiter, &wait, 0, NULL);
    skua__list_push_back(&process->waiters, &waiter.link);
    skua__process_unlock(process);
    int cause = skua__wait_park_real(&wait, skua__deadline_ns(deadline));
    if (cause >= 0) {
        return 0;
    }
    skua__process_lock(process);
    if (skua__link_is_linked(&waiter.link)) {
        skua__list_remove(&waiter.link);
    }
    skua__process_unlock(process);
    return cause == SKUA__RECHECK ? skua__cancel_point() : cause;
}

int skua__process_await(struct skua_process *process, enum skua__process_state state,
                        enum skua__wait_kind kind, skua_time deadline)
{
    int status = 0;
    while (status == 0) {
        skua__process_lock(process);
        if (process->state >= state) {
            skua__process_unlock(process);
            return 0;
        }
        if (skua__is_now(deadline)) {
            skua__process_unlock(process);
            return -EAGAIN;
        }
        status = wait_once(process, kind, deadline);
    }
    return status;
}

/* It has ended: nobody changes it any more. */
static int tell(const struct skua_process *process, skua_process_status *status)
{
    if (status != NULL) {
        *status = process->status;
    }
    return process->error;
}

int skua_process_wait(skua_process *process, skua_process_status *status, skua_time deadline)
{
    int refused = skua__cancel_point();
    if (refused < 0) {
        return refused;
    }
    int cause = skua__process_await(process, SKUA__PROCESS_ENDED, SKUA__SOFT, deadline);
    return cause < 0 ? cause : tell(process, status);
}

/* --- starting --------------------------------------------------------------------------------- */

static void fill_birth(struct skua_process *process, const char *const argv[],
                       const skua_process_opts *opts)
{
    struct skua__birth *birth = &process->birth;
    birth->argv = argv;
    birth->env = opts->env != NULL ? opts->env : (const char *const *)environ;
    birth->directory = opts->directory;
    birth->limits = opts->limits;
    birth->limit_count = opts->limit_count;
    birth->has_session = opts->new_session || opts->terminal;
    birth->has_group = opts->new_group || birth->has_session;
    birth->outlives = opts->outlives;
    birth->program = getpid();
    birth->terminal = -1;
}

static int make_handle(const char *const argv[], const skua_process_opts *opts,
                       struct skua_process **out)
{
    struct skua__process_room *room = NULL;
    struct skua__io *io = NULL;
    int status = skua__process_room_get(&room);
    status = status < 0 ? status : skua__io_get(&io);
    if (status < 0) {
        return status;
    }
    struct skua_process *process = skua__alloc(sizeof *process);
    if (process == NULL) {
        return -ENOMEM;
    }
    process->room = room;
    process->io = io;
    snprintf(process->name, sizeof process->name, "%s", argv[0]);
    skua__list_init(&process->waiters);
    for (int i = 0; i < SKUA__PROCESS_STREAMS; i++) {
        process->fds[i] = -1;
    }
    fill_birth(process, argv, opts);
    *out = process;
    return 0;
}

/* Why it has not started, or 0. */
static int failure_of(struct skua_process *process)
{
    skua__process_lock(process);
    int status = process->state == SKUA__PROCESS_FAILED ? process->error : 0;
    skua__process_unlock(process);
    return status;
}

/* The keeper has it from now on. */
static int begin(struct skua_process *process, const struct skua__plan *plan)
{
    process->birth.fds = plan->fds;
    process->birth.fd_count = plan->fd_count;
    process->birth.paths = plan->paths;
    int status = skua__process_keep(process);
    if (status == 0) {
        status = skua__process_await(process, SKUA__PROCESS_RUNNING, SKUA__HARD, SKUA_FOREVER);
    }
    if (status == 0) {
        status = failure_of(process);
    }
    if (status < 0) {
        skua__process_close_fds(process);
        skua__process_leave(process);
    }
    return status;
}

static int start(const char *const argv[], const skua_process_opts *opts, struct skua_process **out)
{
    struct skua__plan plan = {.ends = {-1, -1, -1, -1}};
    int status = make_handle(argv, opts, out);
    if (status < 0) {
        return status;
    }
    status = skua__plan_paths(&plan, argv[0]);
    if (status == 0) {
        status = skua__plan_streams(&plan, *out, opts);
    }
    if (status == 0) {
        status = begin(*out, &plan);
    } else {
        skua__process_close_fds(*out);
        skua__free(*out);
    }
    skua__plan_fini(&plan);
    return status;
}

int skua_process_start(skua_process **out, const char *const argv[], const skua_process_opts *opts,
                       skua_time start_by)
{
    static const skua_process_opts defaults;
    int status = skua__cancel_point();
    if (status < 0) {
        return status;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    if (argv == NULL || argv[0] == NULL) {
        return -EINVAL;
    }
    if (skua__is_now(start_by)) {
        return -EAGAIN;
    }
    if (skua__deadline_ns(start_by) <= skua__clock_ns()) {
        return -ETIMEDOUT;
    }
    struct skua_process *process = NULL;
    status = start(argv, opts != NULL ? opts : &defaults, &process);
    if (status == 0) {
        *out = process;
    }
    return status;
}

pid_t skua_process_pid(const skua_process *process)
{
    return process->birth.pid;
}

/* --- streams ---------------------------------------------------------------------------------- */

/* The number under which our end stands: of a terminal it is the same for both. */
static int place_of(const struct skua_process *process, int number)
{
    if (number < 0 || number >= SKUA__PROCESS_STREAMS) {
        return -1;
    }
    bool is_shared = process->has_terminal && process->fds[number] < 0 && number == STDIN_FILENO;
    return is_shared ? STDOUT_FILENO : number;
}

int skua_process_fd_of(const skua_process *process, int number)
{
    int place = place_of(process, number);
    return place < 0 ? -1 : process->fds[place];
}

void skua_process_close_fd(skua_process *process, int number)
{
    int place = place_of(process, number);
    if (place >= 0 && process->fds[place] >= 0) {
        skua_close(process->fds[place]);
        process->fds[place] = -1;
    }
}

/* Also at the end of the runtime, outside of tasks. */
void skua__process_close_fds(struct skua_process *process)
{
    for (int i = 0; i < SKUA__PROCESS_STREAMS; i++) {
        if (process->fds[i] >= 0) {
            skua__fd_close(process->io, process->fds[i]);
            process->fds[i] = -1;
        }
    }
}

ssize_t skua_process_read(skua_process *process, int number, void *buffer, size_t bytes,
                          skua_time deadline)
{
    int fd = skua_process_fd_of(process, number);
    ssize_t got = skua_read(fd, buffer, bytes, deadline);
    return got == -EIO && process->has_terminal ? 0 : got;
}

struct quiet_write {
    const char *bytes;
    size_t count;
};

static ssize_t try_write(int fd, bool is_socket, void *arg)
{
    const struct quiet_write *write = arg;
    (void)is_socket;
    return skua__call_write_quietly(fd, write->bytes, write->count);
}

int skua_process_write(skua_process *process, const void *buffer, size_t bytes, size_t *written,
                       skua_time deadline)
{
    struct quiet_write rest = {.bytes = buffer, .count = bytes};
    struct skua__life life = {0};
    const struct skua__operation operation = {
        .attempt = try_write, .arg = &rest, .direction = SKUA_WRITABLE, .life = &life};
    int fd = skua_process_fd_of(process, STDIN_FILENO);
    ssize_t put = 0;
    while (rest.count > 0 && put >= 0) {
        put = skua__stream_do(fd, &operation, deadline);
        rest.bytes += put > 0 ? put : 0;
        rest.count -= put > 0 ? (size_t)put : 0;
    }
    if (written != NULL) {
        *written = bytes - rest.count;
    }
    return put < 0 ? (int)put : 0;
}

int skua_process_resize(skua_process *process, uint16_t rows, uint16_t columns)
{
    int fd = process->fds[STDOUT_FILENO];
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    return !process->has_terminal || fd < 0 ? -ENOTTY : skua__call_resize(fd, rows, columns);
}

/* --- ending ----------------------------------------------------------------------------------- */

int skua_process_kill(skua_process *process, int number)
{
    return skua__forked() ? -ESHUTDOWN : skua__child_signal(&process->birth, number, false);
}

int skua_process_end(skua_process *process, skua_process_status *status, skua_time grace)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    const enum skua__process_state over = SKUA__PROCESS_ENDED;
    if (!skua__is_now(grace) && skua__child_signal(&process->birth, SIGTERM, true) == 0) {
        /* One that was stopped goes on, else it could not hear of it. */
        skua__child_signal(&process->birth, SIGCONT, true);
    }
    if (skua__process_await(process, over, SKUA__SOFT, grace) < 0) {
        skua__child_signal(&process->birth, SIGKILL, true);
        int awaited = skua__process_await(process, over, SKUA__HARD, SKUA_FOREVER);
        skua_require(awaited == 0);
    }
    return tell(process, status);
}

void skua_process_close(skua_process *process)
{
    if (process == NULL || skua__forked()) {
        return;
    }
    skua__process_close_fds(process);
    if (!process->birth.outlives) {
        skua__child_signal(&process->birth, SIGKILL, true);
    }
    process->is_closed = true; /* published by the lock of the room */
    skua__process_leave(process);
}
