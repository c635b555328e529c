/* Panics and reports. Both build their line first and write it once, so that lines of several
   threads do not mix, and neither allocates. */
#include "base/panic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *(*skua__panic_task_name)(void);
bool (*skua__report_hook)(const char *text);

static void write_line(char *line, size_t length, size_t size)
{
    if (length > size - 2) {
        length = size - 2;
    }
    line[length++] = '\n';
    int saved_errno = errno;
    for (size_t done = 0; done < length;) {
        ssize_t n = write(STDERR_FILENO, line + done, length - done);
        if (n < 0 && errno != EINTR) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    errno = saved_errno;
}

void skua__panic_at(const char *file, int line, const char *format, ...)
{
    char text[1024];
    const char *task = skua__panic_task_name != NULL ? skua__panic_task_name() : NULL;
    int length = task != NULL ? snprintf(text, sizeof text, "skua: panic in task '%s': ", task)
                              : snprintf(text, sizeof text, "skua: panic: ");
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    if ((size_t)length < sizeof text) {
        length += snprintf(text + length, sizeof text - (size_t)length, " (%s:%d)", file, line);
    }
    write_line(text, (size_t)length, sizeof text);
    abort();
}

void skua__report(const char *format, ...)
{
    static const char prefix[] = "skua: ";
    char text[1024];
    strcpy(text, prefix);
    char *body = text + sizeof prefix - 1;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(body, sizeof text - sizeof prefix, format, arguments);
    va_end(arguments);
    if (skua__report_hook == NULL || !skua__report_hook(body)) {
        write_line(text, sizeof prefix - 1 + (size_t)length, sizeof text);
    }
}
