/* block.c: see block.h. The deflate stream of a worker process is made once, by the pool's init
   job, and is found again by the jobs as the state of their process. */
#include "block.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    MEMORY_LEVEL = 8, /* zlib's default */
    /* What a flush adds to the bound of a whole stream, and some more. */
    FLUSH_BYTES = 64,
};

/* The init job: in comes the level. */
static int begin_deflate(skua_bytes in, skua_reply *reply)
{
    int level;
    if (in.bytes != sizeof level) {
        return -EINVAL;
    }
    memcpy(&level, in.data, sizeof level);
    z_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL ||
        deflateInit2(stream, level, Z_DEFLATED, -MAX_WBITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY)) {
        free(stream);
        return skua_job_fail(reply, -ENOMEM, "no memory for a deflate stream");
    }
    *skua_job_state(reply) = stream;
    return 0;
}
SKUA_JOB(begin_deflate);

/* Deflate all of the block to *answer, which has room for it, and end at a byte's end. Returns the
   number of bytes, or < 0. */
static int deflate_all(z_stream *stream, const struct block_input *block, unsigned char *to,
                       size_t room_bytes)
{
    const unsigned char *dictionary =
        block->dictionary + DICTIONARY_BYTES - block->dictionary_bytes;
    if (deflateReset(stream) != Z_OK ||
        (block->dictionary_bytes > 0 &&
         deflateSetDictionary(stream, dictionary, block->dictionary_bytes) != Z_OK)) {
        return -EINVAL;
    }
    stream->next_in = (unsigned char *)(uintptr_t)block->data; /* zlib does not write there */
    stream->avail_in = block->data_bytes;
    stream->next_out = to;
    stream->avail_out = (uInt)room_bytes;
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in > 0 || stream->avail_out == 0) {
        return -EIO;
    }
    return (int)(room_bytes - stream->avail_out);
}

static int deflate_block(skua_bytes in, skua_reply *reply)
{
    const struct block_input *block = in.data;
    z_stream *stream = *skua_job_state(reply);
    const size_t room_bytes = deflateBound(stream, block->data_bytes) + FLUSH_BYTES;
    struct block_answer *answer = skua_job_reserve(reply, sizeof *answer + room_bytes);
    if (answer == NULL) {
        return -EMSGSIZE;
    }
    int bytes = deflate_all(stream, block, answer->deflated, room_bytes);
    if (bytes < 0) {
        return skua_job_fail(reply, bytes, "zlib: %s", stream->msg ? stream->msg : "failed");
    }
    answer->crc = (uint32_t)crc32_z(0, block->data, block->data_bytes);
    answer->data_bytes = block->data_bytes;
    skua_job_commit(reply, sizeof *answer + (size_t)bytes);
    return 0;
}
SKUA_JOB(deflate_block);

skua_pool_opts block_pool_opts(const int *level, size_t block_bytes, uint32_t processes)
{
    return (skua_pool_opts){
        .name = "pgzip",
        .workers = processes,
        .payload_max = sizeof(struct block_input) + sizeof(struct block_answer) +
                       compressBound(block_bytes) + FLUSH_BYTES,
        .init = &begin_deflate_job,
        .init_in = {level, sizeof *level},
    };
}

const skua_job *block_job(void)
{
    return &deflate_block_job;
}
