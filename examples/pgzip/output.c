/* output.c: a file that is whole, or is not there. */
#include "pgzip.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* What is there already may be replaced if it is a file; what is none (a device, a fifo) is written
   to. */
static int open_existing(struct output *output, bool overwrites)
{
    skua_file_info info;
    int status = skua_stat(SKUA_CWD, output->path, 0, &info, SKUA_FOREVER);
    if (status == 0 && !S_ISREG(info.mode)) {
        return skua_open(output->path, O_WRONLY, 0, SKUA_FOREVER);
    }
    if (status == 0 && !overwrites) {
        return -EEXIST;
    }
    return skua_unlink(SKUA_CWD, output->path, SKUA_FOREVER);
}

int output_open(struct output *output, const char *path, bool overwrites, mode_t mode)
{
    *output = (struct output){.fd = STDOUT_FILENO, .path = path};
    if (path == NULL) {
        int status = skua_fd_adopt(STDOUT_FILENO);
        return status == -EEXIST ? 0 : status;
    }
    const int flags = O_WRONLY | O_CREAT | O_EXCL;
    int fd = skua_open(path, flags, mode, SKUA_FOREVER);
    output->is_ours = fd >= 0;
    if (fd == -EEXIST) {
        fd = open_existing(output, overwrites);
        if (fd == 0) {
            fd = skua_open(path, flags, mode, SKUA_FOREVER);
            output->is_ours = fd >= 0;
        }
    }
    output->fd = fd;
    return fd < 0 ? fd : 0;
}

void output_close(struct output *output, int status)
{
    if (output->path == NULL || output->fd < 0) {
        return;
    }
    skua_close(output->fd);
    output->fd = -1;
    if (status < 0 && output->is_ours) {
        SKUA_SCOPE(shield);
        skua_shield_open(&shield, SKUA_FOREVER);
        status = skua_unlink(SKUA_CWD, output->path, SKUA_FOREVER);
        if (status < 0) {
            fprintf(stderr, "pgzip: %s: cannot be removed: %s\n", output->path,
                    skua_error_text(status));
        }
    }
}
