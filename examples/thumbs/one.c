/* one.c: one file: read it into memory that is shared with a worker, have it decoded there, look at
   what came back, write it.

   Each file is a task of its own, which waits where it has to; there are twice as many as worker
   processes, so that some read and write while others are decoded. But no job is submitted before a
   process is free for it: its time is to be its own, and not that of those before it. */
#include "decode.h"
#include "thumbs.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 400 };

/* Note what has become of it, and why. Returns -1. */
static int end_as(struct file *file, enum outcome outcome, const char *format, ...)
    SKUA_PRINTF(3, 4);

static int end_as(struct file *file, enum outcome outcome, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    file->outcome = outcome;
    file->message = text[0] != '\0' ? strdup(text) : NULL;
    return -1;
}

/* The same for a call that failed; -ECANCELED is no outcome. */
static int end_because(struct file *file, const char *doing, int status)
{
    return status == -ECANCELED ? status
                                : end_as(file, FAILED, "%s: %s", doing, skua_error_text(status));
}

/* What the end of its job means for a file. */
static int end_of_job(struct file *file, int status, const skua_error *error)
{
    const char *text = error != NULL && error->text != NULL ? error->text : skua_error_text(status);
    switch (status) {
    case -ECANCELED:
    case -ESHUTDOWN:
        return -ECANCELED;
    case -EOWNERDEAD:
    case -EPROTO:
        return end_as(file, CRASHED, "%s", text);
    case -ETIMEDOUT:
        return end_as(file, TIMED_OUT, "took longer than %.1f s",
                      (double)file->run->settings.time_ns / 1e9);
    case -EDQUOT:
    case -ENOMEM:
    case -EMSGSIZE:
        return end_as(file, OVER_LIMIT, "%s", text);
    case -EINVAL:
        return end_as(file, REFUSED, "%s", text);
    default:
        return end_as(file, FAILED, "%s", text);
    }
}

static int read_fully(int fd, unsigned char *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = skua_read(fd, to + done, bytes - done, SKUA_FOREVER);
        if (got <= 0) {
            return got < 0 ? (int)got : -EIO; /* it has become shorter */
        }
        done += (size_t)got;
    }
    return 0;
}

/* Read the open file into *buf, as a request. */
static int read_request(struct file *file, int fd, skua_buf *buf)
{
    struct run *run = file->run;
    skua_file_info info;
    int status = skua_fstat(fd, &info, SKUA_FOREVER);
    if (status < 0) {
        return end_because(file, "reading", status);
    }
    if (info.bytes > UINT32_MAX) {
        return end_as(file, OVER_LIMIT, "the file is too large");
    }
    const size_t bytes = sizeof(struct picture_request) + info.bytes;
    status = skua_pool_alloc(run->pool, buf, bytes, SKUA_FOREVER);
    if (status == -EMSGSIZE) {
        return end_as(file, OVER_LIMIT, "the file is too large");
    }
    if (status < 0) {
        return end_because(file, "reading", status);
    }
    struct picture_request *request = buf->data;
    request->side_max = run->settings.side_max;
    request->file_bytes = (uint32_t)info.bytes;
    status = read_fully(fd, request->file, info.bytes);
    return status < 0 ? end_because(file, "reading", status) : 0;
}

/* Wait for the job's end, since it uses what lies on this stack; when this task is cancelled, it is
   cancelled first. Returns its status. */
static int join_job(skua_task *job)
{
    int result = 0;
    if (skua_join(job, &result, SKUA_FOREVER) < 0) {
        SKUA_SCOPE(shield);
        skua_task_cancel(job);
        skua_shield_open(&shield, SKUA_FOREVER);
        return skua_join(job, &result, SKUA_FOREVER) < 0 ? -ECANCELED : result;
    }
    return result;
}

/* Have the request decoded; the buffer is the pool's then. */
static int decode(struct file *file, skua_buf *request, skua_buf *answer)
{
    struct run *run = file->run;
    const skua_call_opts opts = {.in_buf = request, .name = file->name};
    int status = skua_sem_acquire(&run->free_processes, 1, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    skua_task *job;
    status = skua_pool_submit(run->pool, &job, thumbnail_job(), (skua_bytes){0}, &opts, answer,
                              skua_after(run->settings.time_ns));
    if (status == 0) {
        *request = (skua_buf){0};
        const int result = join_job(job);
        status = result < 0 ? end_of_job(file, result, skua_task_error(job)) : 0;
        skua_task_release(job);
    } else {
        status = end_because(file, "starting the job", status);
    }
    skua_sem_release(&run->free_processes, 1);
    return status;
}

/* Copy it, look at it, write it: in this order, since a worker that was taken over may still change
   what it shares with us. */
static int write_answer(struct file *file, const skua_buf *answer)
{
    struct run *run = file->run;
    const size_t bytes = answer->bytes;
    unsigned char *copy = malloc(bytes + 1);
    if (copy == NULL) {
        return end_because(file, "writing", -ENOMEM);
    }
    memcpy(copy, answer->data, bytes);
    int status = 0;
    if (!picture_is_sound(copy, bytes, run->settings.side_max)) {
        status = end_as(file, REFUSED, "its decoder answered with nonsense");
    } else {
        status = skua_file_save(run->to, file->name, copy, bytes, NULL, SKUA_FOREVER);
        status = status < 0 ? end_because(file, "writing", status) : 0;
    }
    free(copy);
    return status;
}

static int make_from(struct file *file, skua_buf *request)
{
    int fd = skua_open_in(file->run->from, file->name, O_RDONLY | O_NOFOLLOW, 0, SKUA_FOREVER);
    if (fd < 0) {
        return end_because(file, "reading", fd);
    }
    int status = read_request(file, fd, request);
    skua_close(fd);
    skua_buf answer = {0};
    status = status < 0 ? status : decode(file, request, &answer);
    status = status < 0 ? status : write_answer(file, &answer);
    skua_buf_release(&answer);
    return status;
}

int make_thumbnail(void *arg)
{
    struct file *file = arg;
    skua_buf request = {0};
    int status = make_from(file, &request);
    skua_buf_release(&request);
    if (status == -ECANCELED) {
        return status;
    }
    if (status == 0) {
        file->outcome = DONE;
    }
    file->run->ended_count++;
    file->run->bad_count += status < 0;
    return 0;
}
