/* check.c: what came back is a picture, or is not used. Whoever has taken a worker over may answer
   anything. */
#include "decode.h"

#include <stdio.h>
#include <string.h>

bool picture_is_sound(const unsigned char *file, size_t bytes, uint32_t side_max)
{
    char head[PICTURE_HEAD_BYTES + 1] = {0};
    char kind = '\0';
    unsigned width = 0;
    unsigned height = 0;
    int head_bytes = 0;
    memcpy(head, file, bytes < PICTURE_HEAD_BYTES ? bytes : PICTURE_HEAD_BYTES);
    if (sscanf(head, "P%c %9u %9u 255%n", &kind, &width, &height, &head_bytes) != 3 ||
        head_bytes == 0 || head[head_bytes] != '\n' || (kind != '5' && kind != '6')) {
        return false;
    }
    const size_t channels = kind == '5' ? 1 : 3;
    return width > 0 && height > 0 && width <= side_max && height <= side_max &&
           bytes == (size_t)head_bytes + 1 + channels * width * height;
}
