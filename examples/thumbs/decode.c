/* decode.c: a decoder as one finds them: it works, and it trusts its input.

   It is naive on purpose, and must run nowhere but in a worker process. It believes the header: it
   never looks whether a number has overflowed, whether the file has as many bytes as the header
   says, or even where the file ends. So files crash it, make it compute forever, or make it ask for
   more memory than there is; the program around it loses that one thumbnail. */
#include "decode.h"

#include "exploit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct picture {
    uint32_t width, height, channels, white;
    const unsigned char *samples;
};

size_t picture_bytes_max(uint32_t side_max)
{
    return PICTURE_HEAD_BYTES + (size_t)3 * side_max * side_max;
}

static bool is_space(char letter)
{
    return letter == ' ' || letter == '\n' || letter == '\t' || letter == '\r';
}

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* Skip what stands before a number. Returns 0 or what a comment has done. */
static int skip_comments(const char **at, skua_reply *reply)
{
    int status = 0;
    while (status == 0 && (is_space(**at) || **at == '#')) {
        if (**at == '#') {
            status = exploit_run(*at, reply);
            *at = strchr(*at, '\n');
        }
        ++*at;
    }
    return status;
}

static int read_number(const char **at, uint32_t *number, skua_reply *reply)
{
    int status = skip_comments(at, reply);
    *number = 0;
    while (status == 0 && is_digit(**at)) {
        *number = 10 * *number + (uint32_t)(*(*at)++ - '0');
    }
    return status;
}

static int read_head(const char *file, struct picture *picture, skua_reply *reply)
{
    if (file[0] != 'P' || (file[1] != '5' && file[1] != '6')) {
        return skua_job_fail(reply, -EINVAL, "neither a PGM nor a PPM file");
    }
    const char *at = file + 2;
    picture->channels = file[1] == '5' ? 1 : 3;
    int status = read_number(&at, &picture->width, reply);
    status = status != 0 ? status : read_number(&at, &picture->height, reply);
    status = status != 0 ? status : read_number(&at, &picture->white, reply);
    picture->samples = (const unsigned char *)at + 1; /* one space */
    return status;
}

/* The power of two that makes a side small enough. */
static uint32_t shrink_factor(uint32_t side, uint32_t side_max)
{
    uint32_t factor = 1;
    while (factor * side_max < side) {
        factor *= 2;
    }
    return factor;
}

/* All samples, from 0 to 255. */
static unsigned char *unpack(const struct picture *picture)
{
    const uint32_t row = picture->width * picture->channels;
    const uint32_t bytes = row * picture->height;
    unsigned char *all = malloc(bytes);
    if (all == NULL) {
        return NULL;
    }
    for (uint32_t y = 0; y < picture->height; y++) {
        for (uint32_t x = 0; x < row; x++) {
            const size_t at = (size_t)y * row + x;
            all[at] = (unsigned char)(picture->samples[at] * 255U / picture->white);
        }
    }
    return all;
}

/* A square of the picture becomes a sample of the thumbnail; at the edges of a picture that is only
   some pixels wide it is no square. */
struct square {
    uint32_t width, height;
};

/* The mean of a square of samples of one channel. */
static unsigned char mean(const unsigned char *at, struct square square, uint32_t channels,
                          uint32_t row)
{
    uint64_t sum = 0;
    for (uint32_t y = 0; y < square.height; y++) {
        for (uint32_t x = 0; x < square.width; x++) {
            sum += at[(size_t)y * row + (size_t)x * channels];
        }
    }
    return (unsigned char)(sum / ((uint64_t)square.width * square.height));
}

static void shrink(const unsigned char *all, const struct picture *picture, struct square square,
                   unsigned char *to)
{
    const uint32_t channels = picture->channels;
    const uint32_t row = picture->width * channels;
    for (uint32_t y = 0; y < picture->height / square.height; y++) {
        const unsigned char *line = all + (size_t)y * square.height * row;
        for (uint32_t x = 0; x < picture->width / square.width; x++) {
            const unsigned char *at = line + (size_t)x * square.width * channels;
            for (uint32_t channel = 0; channel < channels; channel++) {
                *to++ = mean(at + channel, square, channels, row);
            }
        }
    }
}

static struct square square_of(const struct picture *picture, uint32_t side_max)
{
    const bool is_wide = picture->width > picture->height;
    const uint32_t factor = shrink_factor(is_wide ? picture->width : picture->height, side_max);
    return (struct square){
        .width = factor < picture->width ? factor : picture->width,
        .height = factor < picture->height ? factor : picture->height,
    };
}

static int decode_thumbnail(skua_bytes in, skua_reply *reply)
{
    const struct picture_request *request = in.data;
    struct picture picture;
    int status = read_head((const char *)request->file, &picture, reply);
    if (status != 0) {
        return status;
    }
    skua_job_log(reply, "%u x %u pixels", picture.width, picture.height);
    const struct square square = square_of(&picture, request->side_max);
    unsigned char *answer = skua_job_reserve(reply, picture_bytes_max(request->side_max));
    unsigned char *all = answer != NULL ? unpack(&picture) : NULL;
    if (all == NULL) {
        return skua_job_fail(reply, -ENOMEM, "no memory for %u x %u pixels", picture.width,
                             picture.height);
    }
    const uint32_t width = picture.width / square.width;
    const uint32_t height = picture.height / square.height;
    const int head_bytes = snprintf((char *)answer, PICTURE_HEAD_BYTES, "P%c\n%u %u\n255\n",
                                    picture.channels == 1 ? '5' : '6', width, height);
    shrink(all, &picture, square, answer + head_bytes);
    skua_job_commit(reply, (size_t)head_bytes + (size_t)width * height * picture.channels);
    free(all);
    return 0;
}
SKUA_JOB(decode_thumbnail);

const skua_job *thumbnail_job(void)
{
    return &decode_thumbnail_job;
}
