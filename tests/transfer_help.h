/* transfer_help.h: a lot of bytes, and who takes them in. */
#ifndef TRANSFER_HELP_H
#define TRANSFER_HELP_H

#include "io_help.h"

enum { BULK = 1536 * 1024 + 77 };

static unsigned char sent[BULK], came[BULK + 1];

struct sink {
    int fd;
    size_t bytes;
    bool is_slow;
};

/* Everything until the end, in pieces of all sizes, into `came`. */
static inline int swallow(void *arg)
{
    struct sink *sink = arg;
    ssize_t got = 1;
    sink->bytes = 0;
    while (got > 0) {
        size_t most = sizeof came - sink->bytes;
        const size_t piece = sink->is_slow ? 1 + sink->bytes % 5000 : 65536;
        most = most < piece ? most : piece;
        got = skua_read(sink->fd, came + sink->bytes, most, SKUA_FOREVER);
        CHECK(got >= 0);
        sink->bytes += (size_t)got;
    }
    return 0;
}

static inline void write_file(int fd, size_t bytes)
{
    CHECK_INT(skua_write_all(fd, sent, bytes, NULL, SKUA_FOREVER), 0);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
}

static inline void check_came(const struct sink *sink, size_t from, size_t bytes)
{
    CHECK_INT(sink->bytes, bytes);
    CHECK_INT(memcmp(came, sent + from, bytes), 0);
}

/* An open file without a name. */
static inline int open_temp(char path[64])
{
    snprintf(path, 64, "/tmp/skua-transfer-%d", (int)getpid());
    const int fd = skua_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK_INT(unlink(path), 0);
    return fd;
}

/* The data need not vary. */
static inline void fill_sent(void)
{
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (unsigned char)test_random(&random);
    }
}

#endif
