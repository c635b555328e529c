/* errors.c: see errors.h. */
#include "errors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Make room for one more. False: there is no memory. */
static bool make_room(struct error_list *list)
{
    if (list->count < list->room) {
        return true;
    }
    const size_t room = list->room > 0 ? 2 * list->room : 16;
    struct file_error *items = realloc(list->items, room * sizeof(*items));
    if (!items) {
        return false;
    }
    list->items = items;
    list->room = room;
    return true;
}

void errors_add(struct error_list *list, const char *path, int code)
{
    char *copy = make_room(list) ? strdup(path) : NULL;
    if (!copy) {
        list->unnamed++;
        return;
    }
    list->items[list->count++] = (struct file_error){.path = copy, .code = code};
}

void errors_move(struct error_list *list, struct error_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        if (make_room(list)) {
            list->items[list->count++] = from->items[i];
        } else {
            free(from->items[i].path);
            list->unnamed++;
        }
    }
    list->unnamed += from->unnamed;
    free(from->items);
    *from = (struct error_list){0};
}

static int compare_paths(const void *a_, const void *b_)
{
    const struct file_error *a = a_;
    const struct file_error *b = b_;
    return strcmp(a->path, b->path);
}

void errors_sort(struct error_list *list)
{
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof(struct file_error), compare_paths);
    }
}

void errors_fini(struct error_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].path);
    }
    free(list->items);
    *list = (struct error_list){0};
}
