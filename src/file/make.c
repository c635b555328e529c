/* Making directories: with those above them, and of a new name. */
#include "base/mem.h"
#include "file/call.h"
#include "file/temp.h"
#include "file/work.h"

#include <fcntl.h>
#include <limits.h>
#include <skua/dir.h>
#include <string.h>

enum { TRIES_MAX = 100, FOR_ME = 0700, FOR_ALL = 0777 };

struct make_call {
    int dir;
    const char *path;
    mode_t mode;
    char *out;
};

static ssize_t make_somewhere(skua__step whole, struct make_call *call, skua_time deadline)
{
    const struct skua__work work = {
        .whole = whole,
        .arg = call,
        .file = SKUA_CWD,
        .dir = call->dir,
        .new_dir = SKUA_CWD,
    };
    return skua__work_do(&work, deadline);
}

/* The last part; 0 also if it is there, as a directory. */
static int make_last(const struct make_call *call)
{
    struct statx status;
    int result = skua__file_call_mkdir(call->dir, call->path, call->mode);
    if (result != -EEXIST) {
        return result;
    }
    result = skua__file_call_status(call->dir, call->path, 0, &status);
    return result == 0 && !S_ISDIR(status.stx_mode) ? -EEXIST : result;
}

/* Each part, from the first on. The path is a copy. */
static int make_parts(const struct make_call *call, char *path)
{
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        if (slash == path || slash[-1] == '/') {
            continue; /* the root, or the second of two */
        }
        *slash = '\0';
        int status = skua__file_call_mkdir(call->dir, path, FOR_ALL);
        *slash = '/';
        if (status < 0 && status != -EEXIST && status != -EROFS && status != -EACCES) {
            return status; /* a directory that cannot be made may be there: the next part tells */
        }
    }
    return make_last(call);
}

static ssize_t make_all_whole(void *arg)
{
    const struct make_call *call = arg;
    char path[PATH_MAX];
    int status = make_last(call);
    if (status != -ENOENT || *call->path == '\0') {
        return status;
    }
    size_t bytes = strlen(call->path) + 1;
    if (bytes > sizeof path) {
        return -ENAMETOOLONG;
    }
    memcpy(path, call->path, bytes);
    for (char *end = path + bytes - 2; end > path && *end == '/'; end--) {
        *end = '\0'; /* the last part is made by make_last() */
    }
    return make_parts(call, path);
}

int skua_mkdir_all(int dir, const char *path, mode_t mode, skua_time deadline)
{
    struct make_call call = {.dir = dir, .path = path, .mode = mode};
    return (int)make_somewhere(make_all_whole, &call, deadline);
}

static ssize_t temp_dir_whole(void *arg)
{
    const struct make_call *call = arg;
    size_t bytes = strlen(call->path);
    int status = -EEXIST;
    memcpy(call->out, call->path, bytes);
    for (int i = 0; i < TRIES_MAX && status == -EEXIST; i++) {
        skua__temp_letters(call->out + bytes);
        status = skua__file_call_mkdir(call->dir, call->out, FOR_ME);
    }
    return status;
}

int skua_temp_dir(int dir, const char *prefix, char *path, size_t path_bytes, skua_time deadline)
{
    struct make_call call = {.dir = dir, .path = prefix, .out = path};
    if (strlen(prefix) + SKUA__TEMP_LETTERS + 1 > path_bytes) {
        return -ENAMETOOLONG;
    }
    return (int)make_somewhere(temp_dir_whole, &call, deadline);
}
