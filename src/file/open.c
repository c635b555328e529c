/* Opening relative to a directory, and files without a name. */
#include "file/call.h"
#include "file/temp.h"
#include "file/work.h"
#include "io/call.h"
#include "io/stream.h"

#include <fcntl.h>
#include <skua/runtime.h>

struct open_call {
    int dir;
    const char *path;
    int flags;
    mode_t mode;
};

/* With O_PATH no data is ever asked for, so that such an fd never waits. */
static int adopted(ssize_t fd)
{
    return fd < 0 || skua_runtime_current() == NULL ? (int)fd : skua__file_own((int)fd);
}

static ssize_t open_in_place(void *arg)
{
    const struct open_call *call = arg;
    const bool is_new = (call->flags & (O_CREAT | O_TRUNC)) != 0;
    const bool is_nameless = (call->flags & O_TMPFILE) == O_TMPFILE;
    return is_new || is_nameless
               ? -EAGAIN
               : skua__call_open_cached(call->dir, call->path, call->flags | O_NONBLOCK);
}

int skua_open_in(int dir, const char *path, int flags, mode_t mode, skua_time deadline)
{
    struct open_call call = {.dir = dir, .path = path, .flags = flags, .mode = mode};
    const struct skua__file_op op = {
        .code = SKUA__OP_OPEN,
        .fd = dir,
        .path = path,
        .flags = (uint32_t)flags,
        .mode = mode,
    };
    const struct skua__work work = {
        .in_place = open_in_place,
        .op = &op,
        .arg = &call,
        .file = SKUA_CWD,
        .dir = dir,
        .new_dir = SKUA_CWD,
    };
    return adopted(skua__work_do(&work, deadline));
}

static ssize_t temp_file_whole(void *arg)
{
    const struct open_call *call = arg;
    return skua__temp_open(call->dir, call->path);
}

int skua_temp_file(int dir, const char *path, skua_time deadline)
{
    struct open_call call = {.dir = dir, .path = path};
    const struct skua__work work = {
        .whole = temp_file_whole,
        .arg = &call,
        .file = SKUA_CWD,
        .dir = dir,
        .new_dir = SKUA_CWD,
    };
    return adopted(skua__work_do(&work, deadline));
}
