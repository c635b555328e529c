/* What a new process gets: its streams and fds, and where its program may be found. All that can
   fail for want of memory or fds is done here, before there is a process.

   Our ends of pipes are adopted at once and belong to the handle; the child's are closed when the
   child has them, or when it could not be started. */
#include "base/mem.h"
#include "io/call.h"
#include "process/call.h"
#include "process/process.h"

#include <fcntl.h>
#include <skua/io.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char path_default[] = "/usr/bin:/bin";
static const char null_device[] = "/dev/null";

/* --- streams ---------------------------------------------------------------------------------- */

static int own(struct skua_process *process, int number, int fd)
{
    int status = skua_fd_adopt(fd);
    if (status < 0) {
        skua__call_close(fd);
        return status;
    }
    process->fds[number] = fd;
    return 0;
}

static int plan_pipe(struct skua__plan *plan, struct skua_process *process, int number)
{
    int ends[2];
    int status = skua__call_lifted_pipe(ends);
    if (status < 0) {
        return status;
    }
    bool is_input = number == STDIN_FILENO;
    plan->ends[number] = plan->fds[number].source = is_input ? ends[0] : ends[1];
    return own(process, number, is_input ? ends[1] : ends[0]);
}

static int plan_file(struct skua__child_fd *fd, const char *path, int flags)
{
    if (path == NULL) {
        return -EINVAL;
    }
    fd->source = -1;
    fd->path = path;
    fd->flags = flags | O_NOCTTY | O_CLOEXEC;
    return 0;
}

static int plan_same(struct skua__child_fd *fd, int terminal)
{
    fd->source = terminal >= 0 ? terminal : fd->number;
    fd->may_miss = terminal < 0;
    return 0;
}

static int plan_like_output(struct skua__plan *plan, struct skua__child_fd *fd)
{
    if (fd->number != STDERR_FILENO) {
        return -EINVAL;
    }
    fd->source = -1;
    fd->like = STDOUT_FILENO;
    fd->may_miss = plan->fds[STDOUT_FILENO].may_miss;
    return 0;
}

static int plan_stream(struct skua__plan *plan, struct skua_process *process, int number,
                       const skua_stdio *stream)
{
    struct skua__child_fd *fd = &plan->fds[number];
    const int writes = O_WRONLY | O_CREAT;
    fd->number = number;
    switch (stream->kind) {
    case SKUA_STDIO_SAME:
        return plan_same(fd, process->birth.terminal);
    case SKUA_STDIO_NULL:
        return plan_file(fd, null_device, O_RDWR);
    case SKUA_STDIO_PIPE:
        return plan_pipe(plan, process, number);
    case SKUA_STDIO_FD:
        fd->source = stream->fd;
        return stream->fd < 0 ? -EBADF : 0;
    case SKUA_STDIO_FILE:
        return plan_file(fd, stream->path, number == STDIN_FILENO ? O_RDONLY : writes | O_TRUNC);
    case SKUA_STDIO_APPEND:
        return plan_file(fd, stream->path, number == STDIN_FILENO ? O_RDONLY : writes | O_APPEND);
    case SKUA_STDIO_OUTPUT:
        return plan_like_output(plan, fd);
    default:
        return -EINVAL;
    }
}

static int plan_more_fds(struct skua__plan *plan, const skua_process_opts *opts)
{
    for (size_t i = 0; i < opts->fd_count; i++) {
        const skua_process_fd *more = &opts->fds[i];
        if (more->fd < 0 || more->number <= STDERR_FILENO) {
            return more->fd < 0 ? -EBADF : -EINVAL;
        }
        plan->fds[SKUA__PROCESS_STREAMS + i] =
            (struct skua__child_fd){.number = more->number, .source = more->fd};
    }
    return 0;
}

/* Our side is read as output and written as input, unless these are something else. */
static int plan_terminal(struct skua__plan *plan, struct skua_process *process,
                         const skua_process_opts *opts)
{
    int ends[2];
    int status = skua__call_terminal(ends, opts->rows, opts->columns);
    if (status < 0) {
        return status;
    }
    process->has_terminal = true;
    process->birth.terminal = plan->ends[SKUA__PROCESS_STREAMS] = ends[1];
    return own(process, STDOUT_FILENO, ends[0]);
}

int skua__plan_streams(struct skua__plan *plan, struct skua_process *process,
                       const skua_process_opts *opts)
{
    const skua_stdio *streams[SKUA__PROCESS_STREAMS] = {&opts->in, &opts->out, &opts->err};
    plan->fd_count = SKUA__PROCESS_STREAMS + opts->fd_count;
    plan->fds = skua__alloc(plan->fd_count * sizeof *plan->fds);
    if (plan->fds == NULL) {
        return -ENOMEM;
    }
    int status = opts->terminal ? plan_terminal(plan, process, opts) : 0;
    for (int number = 0; status == 0 && number < SKUA__PROCESS_STREAMS; number++) {
        status = plan_stream(plan, process, number, streams[number]);
    }
    return status < 0 ? status : plan_more_fds(plan, opts);
}

/* --- the program ------------------------------------------------------------------------------ */

/* "directory/name" for each directory of `path`, behind the pointers to them. */
static void join_paths(const char **paths, char *text, const char *path, const char *name)
{
    for (;;) {
        size_t bytes = strcspn(path, ":");
        *paths++ = text;
        if (bytes > 0) { /* an empty one is the present directory */
            memcpy(text, path, bytes);
            text += bytes;
            *text++ = '/';
        }
        strcpy(text, name);
        text += strlen(name) + 1;
        if (path[bytes] == '\0') {
            break;
        }
        path += bytes + 1;
    }
    *paths = NULL;
}

int skua__plan_paths(struct skua__plan *plan, const char *name)
{
    bool is_path = strchr(name, '/') != NULL || name[0] == '\0';
    const char *path = is_path ? "" : getenv("PATH");
    path = path != NULL ? path : path_default;
    size_t count = 1;
    for (const char *at = path; *at != '\0'; at++) {
        count += *at == ':';
    }
    size_t pointers = (count + 1) * sizeof *plan->paths;
    plan->paths = skua__alloc(pointers + strlen(path) + count * (strlen(name) + 2));
    if (plan->paths == NULL) {
        return -ENOMEM;
    }
    join_paths(plan->paths, (char *)plan->paths + pointers, path, name);
    return 0;
}

void skua__plan_fini(struct skua__plan *plan)
{
    for (size_t i = 0; i < SKUA_COUNT_OF(plan->ends); i++) {
        if (plan->ends[i] >= 0) {
            skua__call_close(plan->ends[i]);
        }
    }
    skua__free(plan->fds);
    skua__free(plan->paths);
}
