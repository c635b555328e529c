/* The calls behind names. name_call.h says why they stand apart. */
#define _GNU_SOURCE 1
#include "net/name_call.h"

#include "base/compiler.h"
#include "base/mem.h"

#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t NS_PER_S = 1000 * 1000 * 1000;
static const size_t FILE_BYTES_MAX = 64 * 1024 * 1024;

static int translate(int error, int saved_errno)
{
    switch (error) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
    case EAI_SERVICE:
    case EAI_FAMILY:
        return -ENOENT;
    case EAI_AGAIN:
        return -ENONET;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return saved_errno > 0 ? -saved_errno : -EREMOTEIO;
    case EAI_SOCKTYPE:
        return -EINVAL;
    default:
        return -EREMOTEIO;
    }
}

SKUA_OPAQUE int skua__name_lookup(const skua_question *question, skua_address addresses[],
                                  size_t capacity)
{
    /* Both families only as far as this machine has them; who asks for one gets it. */
    const struct addrinfo hints = {.ai_family = question->family,
                                   .ai_socktype = question->type,
                                   .ai_flags = question->family == 0 ? AI_ADDRCONFIG : 0};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(question->host, question->service, &hints, &found);
    if (error != 0) {
        return translate(error, errno);
    }
    size_t count = 0;
    for (const struct addrinfo *entry = found; entry != NULL && count < capacity;
         entry = entry->ai_next) {
        if (entry->ai_addrlen <= sizeof addresses[0].storage) {
            addresses[count] = (skua_address){.bytes = entry->ai_addrlen};
            memcpy(&addresses[count].storage, entry->ai_addr, entry->ai_addrlen);
            count++;
        }
    }
    freeaddrinfo(found);
    return count > 0 ? (int)count : -ENOENT;
}

SKUA_OPAQUE uint32_t skua__name_interface(const char *name)
{
    return if_nametoindex(name);
}

SKUA_OPAQUE int skua__name_file_version(const char *path, struct skua__file_version *out)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return -errno;
    }
    *out = (struct skua__file_version){.changed_ns = status.st_mtim.tv_sec * NS_PER_S +
                                                     status.st_mtim.tv_nsec,
                                       .bytes = status.st_size,
                                       .inode = status.st_ino};
    return 0;
}

/* Until the end of the file or of the room: what came, or a negative errno. */
static ssize_t read_up_to(int fd, char *buffer, size_t room)
{
    size_t done = 0;
    while (done < room) {
        ssize_t got = read(fd, buffer + done, room - done);
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

SKUA_OPAQUE int skua__name_file_read(const char *path, char **text, size_t *bytes)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    int result = fstat(fd, &status) == 0 ? 0 : -errno;
    if (result == 0 && (!S_ISREG(status.st_mode) || (size_t)status.st_size > FILE_BYTES_MAX)) {
        result = -EFBIG;
    }
    char *buffer = NULL;
    if (result == 0 && (buffer = skua__alloc((size_t)status.st_size + 1)) == NULL) {
        result = -ENOMEM;
    }
    if (result == 0) {
        ssize_t got = read_up_to(fd, buffer, (size_t)status.st_size);
        result = got < 0 ? (int)got : 0;
        *bytes = got < 0 ? 0 : (size_t)got;
    }
    close(fd);
    if (result < 0) {
        skua__free(buffer);
        return result;
    }
    *text = buffer;
    return 0;
}
