/* count.c: the stage that counts words. Each counter has a table of its own: nothing is shared, so
   nothing is locked. */
#include "pipeline.h"

#include <stdlib.h>

enum { SLICE_BYTES = 1024 * 1024 };

int text_release(struct pipeline *line, struct text *text)
{
    skua_buf_release(&text->answer);
    struct text_buffer *buffer = text->buffer;
    if (!buffer) {
        return 0;
    }
    text->buffer = NULL;
    if (buffer->room_bytes > TEXT_BUFFER_BYTES) { /* it had to hold an enormous word */
        char *smaller = realloc(buffer->data, TEXT_BUFFER_BYTES);
        if (smaller) {
            buffer->data = smaller;
            buffer->room_bytes = TEXT_BUFFER_BYTES;
        }
    }
    return skua_chan_send(line->spare, SKUA_ITEM(buffer), SKUA_FOREVER);
}

/* The length of the first part of a text, cut where no word is cut. */
static size_t slice_bytes(const char *data, size_t bytes)
{
    size_t end = bytes < SLICE_BYTES ? bytes : SLICE_BYTES;
    while (end < bytes && is_letter(data[end])) {
        end++;
    }
    return end;
}

/* An unpacked file may be long, so others get a turn now and then. */
static int count_text(struct counter *self, const struct text *text)
{
    int status = 0;
    for (size_t done = 0; done < text->bytes && status == 0;) {
        const size_t bytes = slice_bytes(text->data + done, text->bytes - done);
        status = words_add_text(self->table, text->data + done, bytes);
        done += bytes;
        if (status == 0) {
            status = skua_checkpoint();
        }
    }
    return status;
}

int count_texts(void *arg)
{
    struct counter *self = arg;
    struct text text;
    int status;
    while ((status = skua_chan_recv(self->line->texts, SKUA_ITEM(text), SKUA_FOREVER)) == 1) {
        status = count_text(self, &text);
        const int released = text_release(self->line, &text);
        status = status < 0 ? status : released;
        if (status < 0) {
            break;
        }
    }
    return status < 0 ? pipeline_fail(self->line, status) : 0;
}
