/* read.c: the stage that reads the files.

   A reader fills a buffer with one file after the other, a newline between them, and sends it to be
   counted when it is full. A file that is larger than the room left goes on in the next buffer; the
   word at the cut is carried over, so that it is counted once. gzip files are read whole and sent
   to be unpacked.

   All reading is done on the blocking pool, and each call reads until something is full: a
   hand-over to another thread costs as much as reading some small files. */
#include "gunzip.h"
#include "pipeline.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ROOM_MIN_BYTES = 4 * 1024, /* a buffer with less is full */
    PACKED_PER_CALL = 16,
    PACKED_PER_CALL_BYTES = 1024 * 1024,
};

/* The longest word: it must be in memory as a whole. */
#define WORD_BYTES_MAX ((size_t)256 << 20)

/* One reader's work. The blocking pool has it while read_some() runs, the task at other times. */
struct reading {
    struct pipeline *line;
    struct error_list *errors;
    struct path_batch *batch; /* what is to be read, or NULL */
    size_t batch_offset;
    const char *path; /* the open file */
    int fd;           /* -1: none */
    bool begun;       /* some of the file has been read */
    struct text_buffer *buffer;
    size_t text_bytes; /* in the buffer */
    struct packed_file packed[PACKED_PER_CALL];
    size_t packed_count;
    size_t packed_bytes;
};

/* What made read_some() return. */
enum { READ_ALL, READ_TEXT_FULL, READ_PACKED_FULL };

/* read(2) until `bytes` bytes or the end of the file. Returns the number or a negative errno. */
static ssize_t read_fully(int fd, char *data, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        const ssize_t got = read(fd, data + done, bytes - done);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)done;
}

static void close_file(struct reading *reading)
{
    close(reading->fd);
    reading->fd = -1;
    atomic_fetch_add_explicit(&reading->line->files_done, 1, memory_order_relaxed);
}

/* Open the next file of the batch. Afterwards none is open if it cannot be opened, or if it is no
   longer a regular file: what was a file in its folder may be something else by now. */
static void open_file(struct reading *reading)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    struct stat info;
    reading->begun = false;
    reading->fd = open(reading->path, flags);
    if (reading->fd < 0) {
        errors_add(reading->errors, reading->path, -errno);
        atomic_fetch_add_explicit(&reading->line->files_done, 1, memory_order_relaxed);
        return;
    }
    if (fstat(reading->fd, &info) < 0) {
        errors_add(reading->errors, reading->path, -errno);
        close_file(reading);
    } else if (!S_ISREG(info.st_mode)) {
        close_file(reading);
    }
}

/* Read the rest of a file of which `file->data` has the beginning. Returns 0 or a negative errno.
 */
static int read_rest(int fd, struct packed_file *file)
{
    size_t room = file->bytes;
    for (;;) {
        room = 2 * room < GUNZIP_BYTES_MAX ? 2 * room : GUNZIP_BYTES_MAX;
        char *data = room > file->bytes ? realloc(file->data, room) : NULL;
        if (!data) {
            return room > file->bytes ? -ENOMEM : -EFBIG;
        }
        file->data = data;
        const ssize_t got = read_fully(fd, data + file->bytes, room - file->bytes);
        if (got < 0) {
            return (int)got;
        }
        file->bytes += (size_t)got;
        if (file->bytes < room) {
            return 0;
        }
    }
}

/* The open file is a gzip file that begins with the `bytes` bytes at `start`. */
static void read_packed(struct reading *reading, const char *start, size_t bytes)
{
    struct packed_file file = {
        .path = strdup(reading->path), .data = malloc(bytes), .bytes = bytes};
    int status = -ENOMEM;
    if (file.path && file.data) {
        memcpy(file.data, start, bytes);
        status = read_rest(reading->fd, &file);
    }
    atomic_fetch_add_explicit(&reading->line->bytes_read, file.bytes, memory_order_relaxed);
    if (status < 0) {
        errors_add(reading->errors, reading->path, status);
        packed_file_free(&file);
    } else {
        reading->packed[reading->packed_count++] = file;
        reading->packed_bytes += file.bytes;
    }
    close_file(reading);
}

/* Put a newline behind the file's text and close it. There is always room for the newline. */
static void end_file(struct reading *reading)
{
    reading->buffer->data[reading->text_bytes++] = '\n';
    close_file(reading);
}

/* Read the open file until its end or until the buffer is full. Returns false if it may go on. */
static bool read_file(struct reading *reading)
{
    char *start = reading->buffer->data + reading->text_bytes;
    const size_t room = reading->buffer->room_bytes - reading->text_bytes - 1;
    const ssize_t got = read_fully(reading->fd, start, room);
    if (got < 0) {
        errors_add(reading->errors, reading->path, (int)got);
        end_file(reading);
        return true;
    }
    if (!reading->begun && gunzip_knows(start, (size_t)got)) {
        read_packed(reading, start, (size_t)got);
        return true;
    }
    reading->begun = true;
    reading->text_bytes += (size_t)got;
    atomic_fetch_add_explicit(&reading->line->bytes_read, (size_t)got, memory_order_relaxed);
    if ((size_t)got == room) {
        return false;
    }
    end_file(reading);
    return true;
}

/* On the blocking pool: read on. Returns why it has stopped. */
static int read_some(void *arg)
{
    struct reading *reading = arg;
    for (;;) {
        if (reading->buffer->room_bytes - reading->text_bytes < ROOM_MIN_BYTES) {
            return READ_TEXT_FULL;
        }
        if (reading->packed_count == PACKED_PER_CALL ||
            reading->packed_bytes >= PACKED_PER_CALL_BYTES) {
            return READ_PACKED_FULL;
        }
        if (reading->fd < 0) {
            reading->path = paths_next(reading->batch, &reading->batch_offset);
            if (!reading->path) {
                return READ_ALL;
            }
            open_file(reading);
        } else if (!read_file(reading)) {
            return READ_TEXT_FULL;
        }
    }
}

/* How much of the text in the buffer ends where a word ends. */
static size_t whole_words(const struct reading *reading)
{
    size_t bytes = reading->text_bytes;
    while (bytes > 0 && reading->fd >= 0 && is_letter(reading->buffer->data[bytes - 1])) {
        bytes--;
    }
    return bytes;
}

static int buffer_reserve(struct text_buffer *buffer, size_t bytes)
{
    if (buffer->room_bytes >= bytes) {
        return 0;
    }
    char *data = realloc(buffer->data, bytes);
    if (!data) {
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->room_bytes = bytes;
    return 0;
}

/* The buffer is full of one word that has not ended yet: make it larger. */
static int grow_word(struct reading *reading)
{
    const size_t room = 2 * reading->buffer->room_bytes;
    int status = room > WORD_BYTES_MAX ? -EFBIG : buffer_reserve(reading->buffer, room);
    if (status < 0) {
        errors_add(reading->errors, reading->path, status);
        reading->text_bytes = 0;
        close_file(reading);
    }
    return 0;
}

/* Send the text in the buffer to be counted, and go on with another buffer. A word that has not
   ended yet is carried over to it. */
static int send_text(struct reading *reading)
{
    const size_t bytes = whole_words(reading);
    const size_t carried_bytes = reading->text_bytes - bytes;
    if (bytes == 0) {
        return carried_bytes > 0 ? grow_word(reading) : 0;
    }
    struct text_buffer *next = NULL;
    int status = skua_chan_recv(reading->line->spare, SKUA_ITEM(next), SKUA_FOREVER);
    if (status != 1) {
        return status < 0 ? status : -EPIPE;
    }
    struct text text = {.data = reading->buffer->data, .bytes = bytes, .buffer = reading->buffer};
    status = buffer_reserve(next, carried_bytes + ROOM_MIN_BYTES);
    if (status == 0) {
        memcpy(next->data, text.data + bytes, carried_bytes);
        status = skua_chan_send(reading->line->texts, SKUA_ITEM(text), SKUA_FOREVER);
    }
    reading->buffer = next;
    reading->text_bytes = carried_bytes;
    return status;
}

/* Send the gzip files that have been read to be unpacked. */
static int send_packed(struct reading *reading)
{
    while (reading->packed_count > 0) {
        struct packed_file *file = &reading->packed[reading->packed_count - 1];
        int status = skua_chan_send(reading->line->packed, file, sizeof(*file), SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
        reading->packed_count--;
    }
    reading->packed_bytes = 0;
    return 0;
}

/* Read all files of the batch. */
static int read_batch(struct reading *reading)
{
    for (;;) {
        const int stopped = skua_blocking(read_some, reading, SKUA_FOREVER);
        if (stopped < 0) {
            return stopped;
        }
        int status = send_packed(reading);
        if (status == 0 && stopped == READ_TEXT_FULL) {
            status = send_text(reading);
        }
        if (status < 0 || stopped == READ_ALL) {
            return status;
        }
    }
}

static int read_batches(struct reading *reading)
{
    int status = skua_chan_recv(reading->line->spare, SKUA_ITEM(reading->buffer), SKUA_FOREVER);
    if (status != 1) {
        return status;
    }
    do {
        free(reading->batch);
        reading->batch = NULL;
        reading->batch_offset = 0;
        status = skua_chan_recv(reading->line->files, SKUA_ITEM(reading->batch), SKUA_FOREVER);
        if (status == 1) {
            const int result = read_batch(reading);
            status = result < 0 ? result : 1;
        }
    } while (status == 1);
    return status < 0 ? status : send_text(reading);
}

int read_files(void *arg)
{
    struct reader *self = arg;
    struct reading reading = {.line = self->line, .errors = &self->errors, .fd = -1};
    int status = read_batches(&reading);
    if (reading.fd >= 0) {
        close_file(&reading);
    }
    while (reading.packed_count > 0) {
        packed_file_free(&reading.packed[--reading.packed_count]);
    }
    free(reading.batch);
    return status < 0 ? pipeline_fail(self->line, status) : 0;
}
