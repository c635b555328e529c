/* errors.h: the files and folders that could not be counted, and why. A list has one writer at a
   time: each task has its own, and they are put together at the end. */
#ifndef WORDFREQ_ERRORS_H
#define WORDFREQ_ERRORS_H

#include <stddef.h>

struct file_error {
    char *path;
    int code; /* negative: for gunzip_error_text() */
};

/* Zeroed storage is an empty list. */
struct error_list {
    struct file_error *items;
    size_t count;
    size_t room;
    size_t unnamed; /* errors for which there was no memory */
};

/* Note that `path` (copied) failed with `code`. Cannot fail: without memory the error is only
 * counted. */
void errors_add(struct error_list *list, const char *path, int code);

/* Move what is in `from` to the end of `list`. */
void errors_move(struct error_list *list, struct error_list *from);

/* By path. */
void errors_sort(struct error_list *list);

void errors_fini(struct error_list *list);

#endif
