/* block.h: the job of pgzip: one block of the input, in a worker process.

   What goes there is a struct block_input in a buffer of the pool, which was filled by read(2)
   itself; what comes back is a struct block_answer. Blocks know nothing of each other but for the
   32 KiB before them, which they may refer to; so any worker can take any block, and a block whose
   worker died is simply begun again. */
#ifndef PGZIP_BLOCK_H
#define PGZIP_BLOCK_H

#include <skua/pool.h>

enum {
    DICTIONARY_BYTES = 32 * 1024, /* as far as deflate looks back */
    BLOCK_BYTES_MIN = DICTIONARY_BYTES,
    BLOCK_BYTES_DEFAULT = 512 * 1024, /* handing one over costs some 100 us of processor time */
    BLOCK_BYTES_MAX = 64 * 1024 * 1024,
};

struct block_input {
    uint32_t dictionary_bytes; /* so much of `dictionary`, at its end, is there */
    uint32_t data_bytes;
    unsigned char dictionary[DICTIONARY_BYTES];
    unsigned char data[];
};

struct block_answer {
    uint32_t crc; /* of the data */
    uint32_t data_bytes;
    unsigned char deflated[]; /* ends at a byte's end, and is not the last of its stream */
};

/* The pool's options for blocks of that size, at that level (1 to 9), which has to stay until the
   pool is created. */
skua_pool_opts block_pool_opts(const int *level, size_t block_bytes, uint32_t processes);

/* The job, for streams. */
const skua_job *block_job(void);

#endif
