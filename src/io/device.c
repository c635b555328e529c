/* What is known of devices: whether files on them can be asked for their status, or be read and
   written, without ever waiting for a disk or a server.

   A small table of what was learned, one word an entry: the device's number and two bits. It is a
   guess: a number comes back for another file system when one was unmounted. Guessing wrong costs
   the worker a wait, and nothing else. Entries are written without order; whoever overwrites
   another's has lost only what will be learned again.

   Rejected: asking fstatfs(2) each time (a file server is asked by that very question); trusting
   numbers of block devices (programs serve file systems on these as well). */
#include "io/device.h"

#include "base/atomic.h"
#include "io/call.h"

#include <linux/magic.h>
#include <sys/vfs.h>

enum { DEVICES = 16, MINOR_BITS = 32, KIND_BITS = 2 };
enum { NEAR = 1, MEMORY = 2 };

static _Atomic uint64_t devices[DEVICES];

uint64_t skua__device_of(const struct statx *status)
{
    return (uint64_t)status->stx_dev_major << MINOR_BITS | status->stx_dev_minor;
}

static _Atomic uint64_t *entry_of(uint64_t device)
{
    return &devices[(device ^ device >> MINOR_BITS) % DEVICES];
}

static uint64_t kind_of(uint64_t device)
{
    uint64_t entry = skua__load(entry_of(device), relaxed);
    return entry >> KIND_BITS == device ? entry & (NEAR | MEMORY) : 0;
}

bool skua__device_is_near(uint64_t device)
{
    return (kind_of(device) & NEAR) != 0;
}

bool skua__device_is_memory(uint64_t device)
{
    return (kind_of(device) & MEMORY) != 0;
}

void skua__device_learn(int fd)
{
    struct statx status;
    int64_t type = skua__call_system_type(fd);
    uint64_t kind = 0;
    switch (type) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
        kind = NEAR | MEMORY;
        break;
    case EXT4_SUPER_MAGIC: /* and 2, and 3 */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case SQUASHFS_MAGIC:
    case EROFS_SUPER_MAGIC_V1:
        kind = NEAR;
        break;
    default:
        return;
    }
    if (skua__call_status_known(fd, &status) == 0) {
        uint64_t device = skua__device_of(&status);
        skua__store(entry_of(device), device << KIND_BITS | kind, relaxed);
    }
}
