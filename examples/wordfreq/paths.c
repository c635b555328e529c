/* paths.c: batches of paths, so that a channel and a blocking call serve many files at a time. */
#include "pipeline.h"

#include <string.h>

bool paths_add(struct path_batch *batch, const char *folder, const char *name)
{
    const size_t folder_bytes = strlen(folder);
    const size_t name_bytes = name ? strlen(name) : 0;
    const bool slash = name && folder_bytes > 0 && folder[folder_bytes - 1] != '/';
    const size_t room_bytes = sizeof(batch->text) - batch->used_bytes;
    if (room_bytes < 2 || folder_bytes + name_bytes > room_bytes - 2) {
        return false;
    }
    char *end = batch->text + batch->used_bytes;
    memcpy(end, folder, folder_bytes);
    end += folder_bytes;
    if (slash) {
        *end++ = '/';
    }
    if (name) {
        memcpy(end, name, name_bytes);
        end += name_bytes;
    }
    *end++ = '\0';
    batch->used_bytes = (size_t)(end - batch->text);
    return true;
}

const char *paths_next(const struct path_batch *batch, size_t *offset)
{
    if (*offset >= batch->used_bytes) {
        return NULL;
    }
    const char *path = batch->text + *offset;
    *offset += strlen(path) + 1;
    return path;
}
