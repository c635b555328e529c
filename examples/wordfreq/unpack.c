/* unpack.c: the stage that has gzip files unpacked by the process pool. A file that makes its
   process crash, or that is killed with it, is one line among the errors. */
#include "gunzip.h"
#include "pipeline.h"

#include <stdlib.h>

void packed_file_free(struct packed_file *file)
{
    free(file->path);
    free(file->data);
    *file = (struct packed_file){0};
}

/* True if the pool itself is at its end, and not only this file. */
static bool is_fatal(int status)
{
    return status == -ECANCELED || status == -ESHUTDOWN;
}

static int unpack(struct unpacker *self, const struct packed_file *file)
{
    struct text text = {0};
    int status = gunzip_call(self->line->pool, (skua_bytes){file->data, file->bytes}, &text.answer);
    if (status < 0) {
        errors_add(&self->errors, file->path, status);
    }
    text.data = text.answer.data;
    text.bytes = text.answer.bytes;
    if (is_fatal(status) || text.bytes == 0) {
        skua_buf_release(&text.answer);
        return is_fatal(status) ? status : 0;
    }
    status = skua_chan_send(self->line->texts, SKUA_ITEM(text), SKUA_FOREVER);
    if (status < 0) {
        skua_buf_release(&text.answer);
    }
    return status;
}

int unpack_files(void *arg)
{
    struct unpacker *self = arg;
    struct packed_file file;
    int status;
    while ((status = skua_chan_recv(self->line->packed, SKUA_ITEM(file), SKUA_FOREVER)) == 1) {
        status = unpack(self, &file);
        packed_file_free(&file);
        if (status < 0) {
            break;
        }
    }
    return status < 0 ? pipeline_fail(self->line, status) : 0;
}
