/* decode.h: the job of thumbs: from a picture to a small one, in a worker process.

   Pictures are PGM and PPM files with a byte for each sample: "P5" (gray) or "P6" (red, green,
   blue), comments, width, height, the value of white, and the samples. */
#ifndef THUMBS_DECODE_H
#define THUMBS_DECODE_H

#include <skua/pool.h>

/* What goes to the job; the answer is a file, too. */
struct picture_request {
    uint32_t side_max; /* of the small picture, in pixels */
    uint32_t file_bytes;
    unsigned char file[];
};

enum { SIDE_MAX = 4096, PICTURE_HEAD_BYTES = 64 };

/* The largest answer. */
size_t picture_bytes_max(uint32_t side_max);

const skua_job *thumbnail_job(void);

/* Whether these bytes are a picture of at most side_max pixels a side, and nothing else. Believes
   nothing: it is asked about what comes back from a worker. */
bool picture_is_sound(const unsigned char *file, size_t bytes, uint32_t side_max);

#endif
