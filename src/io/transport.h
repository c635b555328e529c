/* io/transport.h: what readers and writers have in common. */
#ifndef SKUA_IO_TRANSPORT_H
#define SKUA_IO_TRANSPORT_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/panic.h"
#include "sched/fastpath.h"

#include <skua/reader.h>

enum { SKUA__BUFFER_BYTES = 8 * 1024 };

/* Will each later call on the transport fail as well? If the kernel has told an error it tells the
   end next, so an error that is not kept would turn into a clean end. */
bool skua__transport_error_is_final(int status, skua_time deadline);

/* The beginning of each call on a reader or writer: 0, -ECANCELED, -ESHUTDOWN; -EBUSY: another task
   waits in it. */
static inline int skua__transport_enter(const _Atomic uint32_t *is_busy, const char *buffer)
{
    int status = SKUA_LIKELY(skua__cancel_point_passes()) ? 0 : skua__cancel_point();
    if (SKUA_UNLIKELY(status < 0)) {
        return status;
    }
    if (SKUA_UNLIKELY(buffer == NULL)) {
        skua__panic("a reader or writer is used that is not open");
    }
    return SKUA_UNLIKELY(skua__load(is_busy, relaxed) != 0) ? -EBUSY : 0;
}

/* Around calls on the transport, where the task may wait: false if another one is there. */
static inline bool skua__transport_claim(_Atomic uint32_t *is_busy)
{
    uint32_t nobody = 0;
    /* acquire: pairs with the release below: who comes next sees what was done meanwhile. */
    return skua__cas(is_busy, &nobody, 1, acquire, relaxed);
}

static inline void skua__transport_unclaim(_Atomic uint32_t *is_busy)
{
    /* release: publishes what the call has done; pairs with the acquire above. */
    skua__store(is_busy, 0, release);
}

#endif
