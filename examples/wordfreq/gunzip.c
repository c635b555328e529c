/* gunzip.c: gzip, the way of `zcat -f`.

   A file is a row of members, each with a header, a deflate stream, a checksum and a length. What
   follows the last member without being one is taken as plain text.

   Of a damaged member zcat prints what it has written so far when it meets the damage, and the same
   text is counted here. It writes window by window of 32 KiB, and what is left at the end of the
   member, or of the file; so only data that is not deflate costs text: the beginning of the last
   window. What comes after the damage is not looked at. */
#include "gunzip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    HEADER_BYTES = 10,
    TRAILER_BYTES = 8,
    WINDOW_BYTES = 32768,
    FIRST_ROOM_BYTES = 64 * 1024,
};

/* The flags in the header of a member. */
enum {
    FLAG_HEADER_CRC = 0x02,
    FLAG_EXTRA = 0x04,
    FLAG_NAME = 0x08,
    FLAG_COMMENT = 0x10,
    FLAGS_UNKNOWN = 0xe0,
};

/* Codes of this job, beside -EFBIG and -ENOMEM. */
enum {
    GUNZIP_ERROR = 1,
    GUNZIP_TRUNCATED = SKUA_ERR(GUNZIP_ERROR, 1),
    GUNZIP_BAD_HEADER = SKUA_ERR(GUNZIP_ERROR, 2),
    GUNZIP_BAD_DATA = SKUA_ERR(GUNZIP_ERROR, 3),
    GUNZIP_BAD_CHECKSUM = SKUA_ERR(GUNZIP_ERROR, 4),
    GUNZIP_BAD_LENGTH = SKUA_ERR(GUNZIP_ERROR, 5),
};

/* One file on its way: the bytes not yet read, and the text so far, which is the job's answer. */
struct unpacking {
    const unsigned char *input;
    size_t input_bytes;
    skua_reply *reply;
    unsigned char *text;
    size_t text_bytes;
    size_t room_bytes;
};

const char *gunzip_error_text(int code)
{
    switch (code) {
    case GUNZIP_TRUNCATED:
        return "gzip: unexpected end of file";
    case GUNZIP_BAD_HEADER:
        return "gzip: unknown method or flags";
    case GUNZIP_BAD_DATA:
        return "gzip: invalid compressed data";
    case GUNZIP_BAD_CHECKSUM:
        return "gzip: wrong checksum";
    case GUNZIP_BAD_LENGTH:
        return "gzip: wrong length";
    case -EFBIG:
    case -EMSGSIZE:
        return "gzip: too large to be unpacked";
    case -EOWNERDEAD:
        return "gzip: the process that unpacked it died";
    default:
        return skua_error_text(code);
    }
}

bool gunzip_knows(const void *data, size_t bytes)
{
    return bytes >= 2 && memcmp(data, "\x1f\x8b", 2) == 0;
}

/* Make room for at least `more_bytes` of text. */
static int unpacking_reserve(struct unpacking *file, size_t more_bytes)
{
    if (more_bytes <= file->room_bytes - file->text_bytes) {
        return 0;
    }
    if (more_bytes > GUNZIP_BYTES_MAX - file->text_bytes) {
        return -EFBIG;
    }
    size_t room = file->text_bytes + more_bytes;
    room = room < 2 * file->room_bytes ? 2 * file->room_bytes : room;
    room = room < FIRST_ROOM_BYTES ? FIRST_ROOM_BYTES : room;
    room = room > GUNZIP_BYTES_MAX ? GUNZIP_BYTES_MAX : room;
    unsigned char *text = skua_job_reserve(file->reply, room);
    if (!text) {
        return -ENOMEM;
    }
    file->text = text;
    file->room_bytes = room;
    return 0;
}

static void unpacking_skip(struct unpacking *file, size_t bytes)
{
    file->input += bytes;
    file->input_bytes -= bytes;
}

/* Skip a string that ends with a zero byte. */
static int skip_string(struct unpacking *file)
{
    const unsigned char *end = memchr(file->input, 0, file->input_bytes);
    if (!end) {
        return GUNZIP_TRUNCATED;
    }
    unpacking_skip(file, (size_t)(end - file->input) + 1);
    return 0;
}

/* Skip the extra field: two bytes of length, and as many bytes. */
static int skip_extra(struct unpacking *file)
{
    if (file->input_bytes < 2) {
        return GUNZIP_TRUNCATED;
    }
    size_t bytes = 2 + file->input[0] + ((size_t)file->input[1] << 8);
    if (file->input_bytes < bytes) {
        return GUNZIP_TRUNCATED;
    }
    unpacking_skip(file, bytes);
    return 0;
}

/* The header's own checksum: the lower half of the CRC of all bytes from `start` to here. */
static int check_header_crc(struct unpacking *file, const unsigned char *start)
{
    if (file->input_bytes < 2) {
        return GUNZIP_TRUNCATED;
    }
    unsigned long crc = crc32(0, start, (uInt)(file->input - start)) & 0xffff;
    unsigned long stored = file->input[0] | (unsigned long)file->input[1] << 8;
    unpacking_skip(file, 2);
    return crc == stored ? 0 : GUNZIP_BAD_HEADER;
}

static int skip_header(struct unpacking *file)
{
    const unsigned char *start = file->input;
    if (file->input_bytes >= 3 && start[2] != Z_DEFLATED) {
        return GUNZIP_BAD_HEADER;
    }
    if (file->input_bytes < HEADER_BYTES) {
        return GUNZIP_TRUNCATED;
    }
    const unsigned flags = start[3];
    if (flags & FLAGS_UNKNOWN) {
        return GUNZIP_BAD_HEADER;
    }
    unpacking_skip(file, HEADER_BYTES);
    int status = flags & FLAG_EXTRA ? skip_extra(file) : 0;
    if (status == 0 && flags & FLAG_NAME) {
        status = skip_string(file);
    }
    if (status == 0 && flags & FLAG_COMMENT) {
        status = skip_string(file);
    }
    if (status == 0 && flags & FLAG_HEADER_CRC) {
        status = check_header_crc(file, start);
    }
    return status;
}

/* Inflate until the input or the room is at its end. Returns 1 at the end of the
   stream, 0 when there is more to do, or an error code. */
static int inflate_some(struct unpacking *file, z_stream *stream)
{
    int status = unpacking_reserve(file, 1);
    if (status < 0) {
        return status;
    }
    stream->next_out = file->text + file->text_bytes;
    stream->avail_out = (uInt)(file->room_bytes - file->text_bytes);
    status = inflate(stream, Z_NO_FLUSH);
    file->text_bytes = file->room_bytes - stream->avail_out;
    switch (status) {
    case Z_STREAM_END:
        return 1;
    case Z_OK:
    case Z_BUF_ERROR:
        return stream->avail_in == 0 && stream->avail_out > 0 ? GUNZIP_TRUNCATED : 0;
    case Z_MEM_ERROR:
        return -ENOMEM;
    default:
        return GUNZIP_BAD_DATA;
    }
}

/* Inflate one member's stream; when it is damaged, drop the text that zcat would not have written.
 */
static int inflate_member(struct unpacking *file, z_stream *stream)
{
    const size_t start = file->text_bytes;
    int status = 0;
    while (status == 0) {
        status = inflate_some(file, stream);
    }
    if (status == GUNZIP_BAD_DATA) {
        file->text_bytes -= (file->text_bytes - start) % WINDOW_BYTES;
    }
    return status < 0 ? status : 0;
}

/* gzip's window is full of zeros at the start, and it takes distances that reach back into them:
   only the checksum tells that the text is wrong. With a window of zeros zlib takes them too. */
static int stream_open(z_stream *stream)
{
    static const unsigned char zeros[WINDOW_BYTES];
    memset(stream, 0, sizeof(*stream));
    if (inflateInit2(stream, -MAX_WBITS) != Z_OK) {
        return -ENOMEM;
    }
    return inflateSetDictionary(stream, zeros, WINDOW_BYTES) == Z_OK ? 0 : -ENOMEM;
}

static uint32_t little_endian(const unsigned char bytes[4])
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The checksum and the length of the text that began at `start`. */
static int check_trailer(struct unpacking *file, size_t start)
{
    if (file->input_bytes < TRAILER_BYTES) {
        return GUNZIP_TRUNCATED;
    }
    const size_t bytes = file->text_bytes - start;
    const uint32_t crc = (uint32_t)crc32_z(0, file->text + start, bytes);
    if (crc != little_endian(file->input)) {
        return GUNZIP_BAD_CHECKSUM;
    }
    if ((uint32_t)bytes != little_endian(file->input + 4)) {
        return GUNZIP_BAD_LENGTH;
    }
    unpacking_skip(file, TRAILER_BYTES);
    return 0;
}

static int unpack_member(struct unpacking *file)
{
    int status = skip_header(file);
    if (status < 0) {
        return status;
    }
    z_stream stream;
    status = stream_open(&stream);
    if (status == 0) {
        const size_t start = file->text_bytes;
        stream.next_in = (unsigned char *)file->input; /* zlib does not write there */
        stream.avail_in = (uInt)file->input_bytes;
        status = inflate_member(file, &stream);
        unpacking_skip(file, file->input_bytes - stream.avail_in);
        status = status < 0 ? status : check_trailer(file, start);
    }
    (void)inflateEnd(&stream);
    return status;
}

/* What stands behind the last member, as it is. */
static int copy_rest(struct unpacking *file)
{
    int status = unpacking_reserve(file, file->input_bytes);
    if (status == 0) {
        memcpy(file->text + file->text_bytes, file->input, file->input_bytes);
        file->text_bytes += file->input_bytes;
        file->input_bytes = 0;
    }
    return status;
}

/* For tests: a text that begins with what WORDFREQ_CRASH_ON says makes the job crash. */
static void crash_if_asked(const struct unpacking *file)
{
    const char *marker = getenv("WORDFREQ_CRASH_ON");
    const size_t bytes = marker ? strlen(marker) : 0;
    if (bytes > 0 && file->text_bytes >= bytes && memcmp(file->text, marker, bytes) == 0) {
        abort();
    }
}

static int gunzip(skua_bytes in, skua_reply *reply)
{
    struct unpacking file = {.input = in.data, .input_bytes = in.bytes, .reply = reply};
    int status = 0;
    while (status == 0 && gunzip_knows(file.input, file.input_bytes)) {
        status = unpack_member(&file);
    }
    if (status == 0 && file.input_bytes > 0) {
        status = copy_rest(&file);
    }
    crash_if_asked(&file);
    if (status == -EFBIG) {
        return status; /* a part of an enormous text would only mislead */
    }
    if (file.text) {
        skua_job_commit(reply, file.text_bytes);
    }
    return status;
}
SKUA_JOB(gunzip);

int gunzip_call(skua_pool *pool, skua_bytes packed, skua_buf *text)
{
    return skua_pool_call(pool, &gunzip_job, packed, text, SKUA_FOREVER);
}
