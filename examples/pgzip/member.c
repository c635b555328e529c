/* member.c: one gzip member: read blocks, have them deflated by the pool, write them in order.

   Blocks end at a byte's end (an empty stored block makes them so), so that what comes back from
   the workers only has to be put one behind the other; the checksum of all is computed from those
   of the blocks. A block may refer to the 32 KiB before it, as in a file that was compressed in one
   go: these are handed to its worker with it.

   A block is read by read(2) into memory that the pool shares with a worker, and written from where
   the worker has put it: this process copies nothing of it but the 32 KiB at its end. */
#include "block.h"
#include "pgzip.h"

#include <skua/pool_map.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { ATTEMPTS = 3, OS_UNIX = 3, NAME_BYTES_MAX = 255, FLAG_NAME = 8 };
enum { BEST = 9, FAST = 1, HINT_BEST = 2, HINT_FAST = 4 };

/* Where a member is. */
struct work {
    const struct member *member;
    bool is_read; /* to the end */
    uint32_t dictionary_bytes;
    unsigned char dictionary[DICTIONARY_BYTES]; /* the end of the last block, at its end */
    uint32_t crc;                               /* of what was written, unpacked */
    uint64_t bytes;
    enum failure_place place; /* where the status comes from, if it is < 0 */
};

/* read(2) until `bytes` bytes are there, or no more come. */
static ssize_t read_fully(int fd, unsigned char *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = skua_read(fd, to + done, bytes - done, SKUA_FOREVER);
        if (got < 0) {
            return got;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Keep the end of the block for the next one. Only the last block may be shorter than that. */
static void keep_dictionary(struct work *work, const unsigned char *data, size_t bytes)
{
    const size_t kept = bytes < DICTIONARY_BYTES ? bytes : DICTIONARY_BYTES;
    memcpy(work->dictionary + DICTIONARY_BYTES - kept, data + bytes - kept, kept);
    work->dictionary_bytes = (uint32_t)kept;
}

/* Fill a block. Returns 1, 0 (the input is at its end), or < 0. */
static int fill_block(struct work *work, struct block_input *block)
{
    const struct member *member = work->member;
    const size_t room_bytes = member->run->settings.block_bytes;
    ssize_t got = read_fully(member->from, block->data, room_bytes);
    if (got <= 0) {
        return (int)got;
    }
    work->is_read = (size_t)got < room_bytes;
    block->data_bytes = (uint32_t)got;
    block->dictionary_bytes = work->dictionary_bytes;
    memcpy(block->dictionary, work->dictionary, DICTIONARY_BYTES);
    keep_dictionary(work, block->data, (size_t)got);
    member->run->bytes_in += (uint64_t)got;
    return 1;
}

/* The source of the stream: the next block, in a buffer of the pool. */
static int next_block(void *arg, skua_bytes *in, skua_buf *buf)
{
    (void)in;
    struct work *work = arg;
    struct run *run = work->member->run;
    if (work->is_read) {
        return 0;
    }
    const size_t bytes = sizeof(struct block_input) + run->settings.block_bytes;
    int status = skua_pool_alloc(run->pool, buf, bytes, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    status = fill_block(work, buf->data);
    if (status < 0 && status != -ECANCELED) {
        work->place = FAILED_READING;
    }
    if (status <= 0) {
        skua_buf_release(buf);
        *buf = (skua_buf){0};
    }
    return status;
}

static int write_bytes(struct work *work, const void *data, size_t bytes)
{
    const struct member *member = work->member;
    int status = skua_write_all(member->to, data, bytes, NULL, SKUA_FOREVER);
    if (status < 0 && status != -ECANCELED) {
        work->place = FAILED_WRITING;
    }
    member->run->bytes_out += status == 0 ? bytes : 0;
    return status;
}

static void put_little_endian(unsigned char to[4], uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (unsigned char)(number >> 8 * i);
    }
}

static int write_header(struct work *work)
{
    const struct member *member = work->member;
    const int level = member->run->settings.level;
    unsigned char header[10 + NAME_BYTES_MAX + 1] = {0x1f, 0x8b, Z_DEFLATED};
    const size_t name_bytes = member->name != NULL ? strlen(member->name) : 0;
    const bool has_name = name_bytes > 0 && name_bytes <= NAME_BYTES_MAX;
    header[3] = has_name ? FLAG_NAME : 0;
    put_little_endian(header + 4, member->modified);
    header[8] = level == BEST ? HINT_BEST : level == FAST ? HINT_FAST : 0;
    header[9] = OS_UNIX;
    if (has_name) {
        memcpy(header + 10, member->name, name_bytes);
    }
    return write_bytes(work, header, has_name ? 10 + name_bytes + 1 : 10);
}

/* The block that says that it is the last one, of no bytes, and the checksums. */
static int write_trailer(struct work *work)
{
    unsigned char trailer[10] = {0x03, 0x00};
    put_little_endian(trailer + 2, work->crc);
    put_little_endian(trailer + 6, (uint32_t)work->bytes);
    return write_bytes(work, trailer, sizeof trailer);
}

/* Bytes of a buffer may be changed by the worker at any time, if that is hostile: each is looked at
   once. */
static int write_block(struct work *work, const skua_buf *buf)
{
    struct block_answer head;
    if (buf->bytes < sizeof head) {
        return -EPROTO;
    }
    memcpy(&head, buf->data, sizeof head);
    work->crc = (uint32_t)crc32_combine(work->crc, head.crc, head.data_bytes);
    work->bytes += head.data_bytes;
    return write_bytes(work, (const unsigned char *)buf->data + sizeof head,
                       buf->bytes - sizeof head);
}

static int write_blocks(struct work *work, skua_pool_stream *stream, struct failure *failure)
{
    skua_buf answer;
    int of_job;
    int status;
    while ((status = skua_pool_stream_next(stream, NULL, &of_job, &answer, SKUA_FOREVER)) == 1) {
        status = of_job < 0 ? of_job : write_block(work, &answer);
        skua_buf_release(&answer);
        if (of_job < 0) {
            (void)snprintf(failure->text, sizeof failure->text, "%s",
                           skua_pool_stream_message(stream));
        }
        if (status < 0) {
            return status;
        }
    }
    return status;
}

static int compress_all(struct work *work, struct failure *failure)
{
    struct run *run = work->member->run;
    const skua_pool_stream_opts opts = {.attempts = ATTEMPTS};
    skua_pool_stream *stream;
    int status = skua_pool_stream_open(&stream, run->pool, block_job(), next_block, work, &opts);
    if (status < 0) {
        return status;
    }
    status = write_header(work);
    status = status < 0 ? status : write_blocks(work, stream, failure);
    skua_pool_stream_close(stream);
    return status < 0 ? status : write_trailer(work);
}

int compress_member(const struct member *member, struct failure *failure)
{
    struct work work = {.member = member, .place = FAILED_COMPRESSING};
    failure->text[0] = '\0';
    int status = compress_all(&work, failure);
    if (status < 0) {
        failure->place = work.place;
        if (failure->text[0] == '\0') {
            (void)snprintf(failure->text, sizeof failure->text, "%s", skua_error_text(status));
        }
    }
    return status;
}
